"""How each collection stands: what it holds, or why it cannot be asked; told without delay."""

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

_FRESH_S = 1.0  # how old may be what is told
_LOG = logging.getLogger("lookalike.service")


@dataclass(frozen=True, slots=True, kw_only=True)
class Availability:
    """``document`` is what answers say of a collection, ``error`` why there is none."""

    name: str
    document: dict[str, Json] | None = None
    error: LookalikeError | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Check:
    began: float
    result: asyncio.Future[Availability]


class AvailabilityMonitor:
    """Looks at collections: at each once at a time, and once a second at most.

    A check has a thread of its own, for a server that does not answer keeps it for minutes: that
    must hold up neither who asks nor the end of the process. To be used on one event loop.
    """

    def __init__(self, collections: Collections) -> None:
        self._collections = collections
        self._checks: dict[str, _Check] = {}
        self._away: set[str] = set()

    async def of(self, names: Iterable[str], *, timeout_s: float) -> list[Availability]:
        """``one`` for each, at the same time."""
        return await asyncio.gather(*(self.one(name, timeout_s=timeout_s) for name in names))

    async def one(self, name: str, *, timeout_s: float) -> Availability:
        """How a collection stands; one that has not answered after ``patience_s`` is away."""
        loop = asyncio.get_running_loop()
        check = self._checks.get(name)
        if check is None or (check.result.done() and loop.time() - check.began > _FRESH_S):
            check = self._checks[name] = _Check(began=loop.time(), result=self._start_check(name))
        rest = check.began + timeout_s - loop.time()
        if not check.result.done() and rest > 0:
            await asyncio.wait({check.result}, timeout=rest)
        if check.result.done():
            return check.result.result()
        late = f"{name} has not answered within {timeout_s:g} s"
        return Availability(name=name, error=StoreUnreachableError(late))

    def _start_check(self, name: str) -> asyncio.Future[Availability]:
        loop = asyncio.get_running_loop()
        result: asyncio.Future[Availability] = loop.create_future()

        def check() -> None:
            try:
                state = self._check(name)
            except Exception as error:  # noqa: BLE001 - raised again where it is waited for
                failed = error
                with suppress(RuntimeError):  # the service has ended meanwhile
                    loop.call_soon_threadsafe(result.set_exception, failed)
            else:
                with suppress(RuntimeError):
                    loop.call_soon_threadsafe(result.set_result, state)

        threading.Thread(target=check, name=f"lookalike-check-{name}", daemon=True).start()
        return result

    def _check(self, name: str) -> Availability:
        try:
            document = self._collections.get(name).document()
        except LookalikeError as error:
            if name not in self._away:  # once, and not at every probe
                _LOG.warning("%s cannot be asked: %s", name, error)
                self._away.add(name)
            return Availability(name=name, error=error)
        if name in self._away:
            _LOG.warning("%s can be asked again", name)
            self._away.discard(name)
        return Availability(name=name, document=document)
