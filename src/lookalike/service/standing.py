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

__all__ = ["Standing", "Standings"]

_FRESH_S = 1.0  # how old may be what is told
_LOG = logging.getLogger("lookalike.service")


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """``document`` is what answers say of a collection, ``error`` why there is none."""

    name: str
    document: dict[str, Json] | None = None
    error: LookalikeError | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Look:
    began: float
    seen: asyncio.Future[Standing]


class Standings:
    """Looks at collections: at each once at a time, and once a second at most.

    A look has a thread of its own, for a server that does not answer keeps it for minutes: that
    must hold up neither who asks nor the end of the process. To be used on one event loop.
    """

    def __init__(self, collections: Collections) -> None:
        self._collections = collections
        self._looks: dict[str, _Look] = {}
        self._away: set[str] = set()

    async def of(self, names: Iterable[str], *, patience_s: float) -> list[Standing]:
        """``one`` for each, at the same time."""
        return await asyncio.gather(*(self.one(name, patience_s=patience_s) for name in names))

    async def one(self, name: str, *, patience_s: float) -> Standing:
        """How a collection stands; one that has not answered after ``patience_s`` is away."""
        loop = asyncio.get_running_loop()
        look = self._looks.get(name)
        if look is None or (look.seen.done() and loop.time() - look.began > _FRESH_S):
            look = self._looks[name] = _Look(began=loop.time(), seen=self._looking(name))
        rest = look.began + patience_s - loop.time()
        if not look.seen.done() and rest > 0:
            await asyncio.wait({look.seen}, timeout=rest)
        if look.seen.done():
            return look.seen.result()
        late = f"{name} has not answered within {patience_s:g} s"
        return Standing(name=name, error=StoreUnreachableError(late))

    def _looking(self, name: str) -> asyncio.Future[Standing]:
        loop = asyncio.get_running_loop()
        seen: asyncio.Future[Standing] = loop.create_future()

        def look() -> None:
            try:
                standing = self._look(name)
            except Exception as error:  # noqa: BLE001 - raised again where it is waited for
                failed = error
                with suppress(RuntimeError):  # the service has ended meanwhile
                    loop.call_soon_threadsafe(seen.set_exception, failed)
            else:
                with suppress(RuntimeError):
                    loop.call_soon_threadsafe(seen.set_result, standing)

        threading.Thread(target=look, name=f"lookalike-look-{name}", daemon=True).start()
        return seen

    def _look(self, name: str) -> Standing:
        try:
            document = self._collections.get(name).document()
        except LookalikeError as error:
            if name not in self._away:  # once, and not at every probe
                _LOG.warning("%s cannot be asked: %s", name, error)
                self._away.add(name)
            return Standing(name=name, error=error)
        if name in self._away:
            _LOG.warning("%s can be asked again", name)
            self._away.discard(name)
        return Standing(name=name, document=document)
