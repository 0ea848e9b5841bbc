"""Pictures of concurrent requests, encoded together.

    request → prepare (reader threads) → wait a moment for company → encode (lanes) → request

A picture waits only while others are being prepared, and 5 ms at most: who comes alone is encoded
at once. A batch is what waits, shared out among the lanes that are free: were it all of it, every
client would wait for the same batch, and then the network for all of them.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Protocol

from lookalike.collection import Collection, Encoded, PreparedQuery
from lookalike.errors import LookalikeError
from lookalike.images import Box
from lookalike.service.problems import Busy

__all__ = ["Batcher", "Meter"]

_WAIT_S = 0.005
_MOST = 32  # pictures a batch; a core does 8 or more of EfficientNet-Lite0 in a tenth of a second


class Meter(Protocol):
    """Hears of the work."""

    def batch(self, pictures: int, seconds: float) -> None:
        """``pictures`` were encoded together."""

    def waiting(self, change: int) -> None:
        """So many more pictures are in work than before, of whichever collection."""


@dataclass(slots=True, eq=False)
class _Waiting:
    prepared: PreparedQuery
    since: float
    answer: asyncio.Future[Encoded]


class Batcher:
    """Encodes for one collection. To be used on one event loop.

    ``readers`` prepares pictures, ``encoder`` encodes up to ``lanes`` batches at a time; at most
    ``limit`` pictures are in work, then ``Busy`` is raised.
    """

    def __init__(
        self,
        collection: Collection,
        *,
        readers: Executor,
        encoder: Executor,
        lanes: int,
        limit: int,
        meter: Meter,
        wait_s: float = _WAIT_S,
        most: int = _MOST,
    ) -> None:
        self._collection = collection
        self._readers = readers
        self._encoder = encoder
        self._lanes = lanes
        self._limit = limit
        self._meter = meter
        self._wait_s = wait_s
        self._most = most
        self._inside = 0
        self._preparing = 0
        self._waiting: list[_Waiting] = []
        self._timer: asyncio.TimerHandle | None = None
        self._runs: set[asyncio.Task[None]] = set()
        self._each_s = 0.02  # a picture's share, as it was lately

    @property
    def encoding(self) -> bool:
        """Whether a batch is being encoded."""
        return bool(self._runs)

    @property
    def prepared(self) -> int:
        """How many pictures wait for the next batch."""
        return len(self._waiting)

    async def encode(self, picture: bytes, *, crop: Box | None = None) -> Encoded:
        """As ``Collection.encode``, together with what others bring. Raises ``Busy`` also."""
        if self._inside >= self._limit:
            raise Busy(
                f"{self._inside} pictures are in work already; try again shortly",
                retry_s=self._inside * self._each_s,
            )
        self._count(1)
        try:
            return await self._through(lambda: self._collection.prepare(picture, crop=crop))
        finally:
            self._count(-1)

    async def _through(self, prepare: Callable[[], PreparedQuery]) -> Encoded:
        loop = asyncio.get_running_loop()
        self._preparing += 1
        try:
            prepared = await loop.run_in_executor(self._readers, prepare)
        except BaseException:
            self._preparing -= 1
            self._wake()  # others may have waited for this one
            raise
        self._preparing -= 1
        one = _Waiting(prepared, loop.time(), loop.create_future())
        self._waiting.append(one)
        self._wake()
        return await one.answer

    def _count(self, change: int) -> None:
        self._inside += change
        self._meter.waiting(change)

    def _wake(self) -> None:
        """Begin a batch if it is time to."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        loop = asyncio.get_running_loop()
        while self._waiting and (free := self._lanes - len(self._runs)) > 0:
            rest = self._waiting[0].since + self._wait_s - loop.time()
            if self._preparing and len(self._waiting) < self._most and rest > 0:
                self._timer = loop.call_later(rest, self._wake)
                return
            share = min(-(-len(self._waiting) // free), self._most)
            batch, self._waiting = self._waiting[:share], self._waiting[share:]
            run = loop.create_task(self._encode(batch))
            self._runs.add(run)
            run.add_done_callback(self._ended)

    def _ended(self, run: asyncio.Task[None]) -> None:
        self._runs.discard(run)
        self._wake()

    async def _encode(self, batch: Sequence[_Waiting]) -> None:
        began = time.perf_counter()
        wanted = [one for one in batch if not one.answer.done()]  # its request may have gone
        try:
            await self._answer(wanted)
        finally:
            took = time.perf_counter() - began
            if wanted:
                self._each_s += 0.2 * (took / len(wanted) - self._each_s)
                self._meter.batch(len(wanted), took)

    async def _answer(self, wanted: Sequence[_Waiting]) -> None:
        try:
            outcomes: list[Encoded | Exception] = [*await self._encoded(wanted)]
        except asyncio.CancelledError:
            for one in wanted:
                one.answer.cancel()
            raise
        except LookalikeError as error:
            if len(wanted) > 1:  # one picture without a direction must not harm its neighbours
                for one in wanted:
                    await self._answer([one])
                return
            outcomes = [error]
        except Exception as error:  # noqa: BLE001 - raised again in the requests that it belongs to
            outcomes = [error] * len(wanted)
        for one, outcome in zip(wanted, outcomes, strict=True):
            _settle(one, outcome)

    async def _encoded(self, wanted: Sequence[_Waiting]) -> list[Encoded]:
        loop = asyncio.get_running_loop()
        prepared = [one.prepared for one in wanted]
        return await loop.run_in_executor(self._encoder, self._collection.encode_prepared, prepared)


def _settle(one: _Waiting, outcome: Encoded | Exception) -> None:
    if one.answer.done():
        return
    if isinstance(outcome, Encoded):
        one.answer.set_result(outcome)
    else:
        one.answer.set_exception(outcome)
