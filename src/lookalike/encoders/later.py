"""A result that is computed on a thread of its own."""

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

__all__ = ["Later"]

_T = TypeVar("_T")


class Later(Generic[_T]):
    """A function's result, which a new thread computes, at once or from ``start`` on."""

    def __init__(self, work: Callable[[], _T], *, start: bool = True) -> None:
        self._work = work
        self._result: list[_T] = []
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="lookalike-open")
        self._lock = threading.Lock()  # guards the start
        self._started = False
        if start:
            self.start()

    def start(self) -> None:
        """Begin to compute it, if that has not begun."""
        with self._lock:
            if not self._started:
                self._started = True
                self._thread.start()

    def done(self) -> bool:
        """Return whether there is a result."""
        return bool(self._result)

    def result(self) -> _T:
        """Wait for the result and return it. Raise what the function raised."""
        self.start()
        self._thread.join()
        if self._error is not None:
            raise self._error
        return self._result[0]

    def _run(self) -> None:
        try:
            self._result.append(self._work())
        except BaseException as error:  # noqa: BLE001 - raised again by whoever asks
            self._error = error
