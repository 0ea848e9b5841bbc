"""The availability of each collection: what it holds, or why it cannot be used."""

import asyncio
import logging
import threading
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass

from lookalike.core.records import Json
from lookalike.errors import LookalikeError, StoreUnreachableError
from lookalike.service.collections import Collections

__all__ = ["Availability", "AvailabilityMonitor"]

_FRESH_S = 1.0  # a check is reused for this long
_LOG = logging.getLogger("lookalike.service")


@dataclass(frozen=True, slots=True, kw_only=True)
class Availability:
    """Whether a collection can be used.

    ``document`` describes it, as in responses; ``error`` says why there is none.
    """

    name: str
    document: dict[str, Json] | None = None
    error: LookalikeError | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Check:
    began: float
    result: asyncio.Future[Availability]


class AvailabilityMonitor:
    """Checks collections: each one once at a time, and at most once a second.

    Each check runs on its own daemon thread, because a server that does not respond can block it
    for minutes. That must delay neither requests nor the end of the process. Use it on one event
    loop.
    """

    def __init__(self, collections: Collections) -> None:
        self._collections = collections
        self._checks: dict[str, _Check] = {}
        self._away: set[str] = set()

    async def of(self, names: Iterable[str], *, timeout_s: float) -> list[Availability]:
        """Return ``one`` of each name; they are checked at the same time."""
        return await asyncio.gather(*(self.one(name, timeout_s=timeout_s) for name in names))

    async def one(self, name: str, *, timeout_s: float) -> Availability:
        """Return whether a collection can be used. After ``timeout_s`` it counts as unreachable."""
        loop = asyncio.get_running_loop()
        check = self._checks.get(name)
        if check is None or (check.result.done() and loop.time() - check.began > _FRESH_S):
            check = self._checks[name] = _Check(began=loop.time(), result=self._start_check(name))
        rest = check.began + timeout_s - loop.time()
        if not check.result.done() and rest > 0:
            await asyncio.wait({check.result}, timeout=rest)
        if check.result.done():
            return check.result.result()
        late = f"{name} did not respond within {timeout_s:g} s"
        return Availability(name=name, error=StoreUnreachableError(late))

    def _start_check(self, name: str) -> asyncio.Future[Availability]:
        loop = asyncio.get_running_loop()
        result: asyncio.Future[Availability] = loop.create_future()

        def check() -> None:
            try:
                state = self._check(name)
            except Exception as error:  # noqa: BLE001 - raised again by the waiting caller
                failed = error
                with suppress(RuntimeError):  # the service has stopped meanwhile
                    loop.call_soon_threadsafe(result.set_exception, failed)
            else:
                with suppress(RuntimeError):
                    loop.call_soon_threadsafe(result.set_result, state)

        threading.Thread(target=check, name=f"lookalike-check-{name}", daemon=True).start()
        return result

    def _check(self, name: str) -> Availability:
        try:
            opened = self._collections.get(name)
            document = opened.document() | {"words": opened.collection.supports_words}
        except LookalikeError as error:
            if name not in self._away:  # log it once, not at every probe
                _LOG.warning("%s is unavailable: %s", name, error)
                self._away.add(name)
            return Availability(name=name, error=error)
        if name in self._away:
            _LOG.warning("%s is available again", name)
            self._away.discard(name)
        return Availability(name=name, document=document)
