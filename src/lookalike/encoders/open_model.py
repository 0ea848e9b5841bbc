"""An open model, and how to keep its device busy."""

import threading
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from lookalike.core.protocols import Prepared
from lookalike.encoders.cards import ModelCard
from lookalike.encoders.constants import constants_for
from lookalike.encoders.devices import Device
from lookalike.encoders.preprocessing import tensor
from lookalike.encoders.runtimes.sessions import RunSettings, Session
from lookalike.encoders.signature import fixed_batch
from lookalike.errors import EncoderError

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

__all__ = ["OpenModel"]

_Array: TypeAlias = NDArray[Any]


class OpenModel:
    """A session and how to keep its device busy. Raise ``EncoderError`` for an input without a
    value.
    """

    def __init__(
        self,
        session: Session,
        device: Device,
        card: ModelCard,
        settings: RunSettings,
    ) -> None:
        self.device = device
        self.session = session
        self.settings = settings
        self._spec = card.input
        self._lock = threading.Lock()  # guards the making of the pool
        self._pool: ThreadPoolExecutor | None = None
        self._constants = constants_for(session, card)
        # A model may take only a certain number of images; fewer are filled up with the last one.
        self._fixed = fixed_batch(session, card.input.name)
        self._most = self._fixed or card.input.max_batch
        images = min(settings.images, self._most or settings.images)
        self.batch_size = 1 if device.processor and settings.threads == 1 else images
        # Not every provider for graphics cards allows two runs at a time, and none gains by it.
        self._turn = nullcontext() if device.processor else threading.Lock()

    def run(
        self, batch: Sequence[Prepared], output: str, reduce: Callable[[_Array], _Array]
    ) -> NDArray[np.float32]:
        """Return one output for all the batch, each run's part passed through ``reduce``."""
        runs = self.settings.runs
        size = min(self.settings.images, -(-len(batch) // runs))  # few images: spread them
        size = self._fixed or min(size, self._most or size)
        parts = [batch[start : start + size] for start in range(0, len(batch), size)]

        def run(part: Sequence[Prepared]) -> _Array:
            return reduce(self._run(part, output))

        if len(parts) == 1 or runs == 1:
            results = [run(part) for part in parts]
        else:
            results = list(self._workers().map(run, parts))
        return np.concatenate(results).astype(np.float32, copy=False)

    def _run(self, part: Sequence[Prepared], output: str) -> _Array:
        count = self._fixed or len(part)
        filled = [*part, *[part[-1]] * (count - len(part))]
        feed = {
            self._spec.name: tensor(filled, self._spec),
            **{one.name: one.array(count) for one in self._constants},
        }
        try:
            with self._turn:
                (result,) = self.session.run([output], feed)
        except Exception as error:
            raise EncoderError(f"the model failed on {self.device.name}: {error}") from error
        if not isinstance(result, np.ndarray):
            raise EncoderError(f"output {output} is no array of numbers")
        if count == 1 and result.ndim == 1:  # a model of one image may leave out the first axis
            result = result[None]
        if result.shape[:1] != (count,):
            raise EncoderError(
                f"output {output} does not have one row for each image: it is of shape "
                f"{result.shape} for {count}"
            )
        rows: _Array = result[: len(part)]
        return rows

    def _workers(self) -> "ThreadPoolExecutor":
        from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415 - one image needs none

        with self._lock:
            if self._pool is None:
                self._pool = ThreadPoolExecutor(
                    self.settings.runs, thread_name_prefix="lookalike-run"
                )
            return self._pool
