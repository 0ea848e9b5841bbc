"""Pictures of concurrent requests, shared out among the cores, or encoded together.

    request → wait for a free lane → decode, prepare, encode (the lane's thread) → request

Nobody waits for company: while the lanes are busy it gathers by itself. A lane that is free takes
as many of those that wait as the encoder takes best. On processor cores that is one: a batch is no
faster there, and each of its requests would wait for all of it.
"""

import asyncio
import time
from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import NamedTuple, Protocol, TypeAlias

from lookalike.collection import Collection, PreparedQuery
from lookalike.errors import LookalikeError
from lookalike.images.cropping import Box
from lookalike.search import Encoded
from lookalike.service.problems import Busy

__all__ = ["Batcher", "Meter"]

_LANES = 4  # of an encoder of batches: more would make them small
_Outcome: TypeAlias = Encoded | Exception


class Meter(Protocol):
    """Hears of the work."""

    def batch(self, pictures: int, seconds: float) -> None:
        """``pictures`` were encoded together."""

    def waiting(self, change: int) -> None:
        """So many more pictures are in work than before, of whichever collection."""


class Batcher:
    """Encodes for one collection. To be used on one event loop.

    ``encoder`` runs up to ``lanes`` batches at a time, of ``most`` pictures at most (by default as
    the collection's encoder takes them best). At most ``limit`` pictures are in work, then ``Busy``
    is raised: what waits is bytes, and no more pictures are decoded at a time than there are lanes.
    """

    def __init__(
        self,
        collection: Collection,
        *,
        encoder: Executor,
        lanes: int,
        limit: int,
        meter: Meter,
        most: int | None = None,
    ) -> None:
        self._collection = collection
        self._encoder = encoder
        self._lanes = lanes
        self._limit = limit
        self._meter = meter
        self._most = most
        self._inside = 0
        self._waiting: list[_Waiting] = []
        self._runs: set[asyncio.Task[None]] = set()
        self._each_s = 0.02  # a picture's share of a lane's time, as it was lately

    @property
    def encoding(self) -> bool:
        """Whether a batch is being encoded."""
        return bool(self._runs)

    @property
    def waiting(self) -> int:
        """How many pictures wait for a lane."""
        return len(self._waiting)

    async def encode(self, picture: bytes, *, crop: Box | None = None) -> Encoded:
        """As ``Collection.encode``, beside what others bring. Raises ``Busy`` also."""
        if self._inside >= self._limit:
            raise Busy(
                f"{self._inside} pictures are in work already; try again shortly",
                retry_s=self._inside * self._each_s / self._lanes,
            )
        one = _Waiting(picture, crop, asyncio.get_running_loop().create_future())
        self._count(1)
        try:
            self._waiting.append(one)
            self._wake()
            return await one.answer
        finally:
            self._count(-1)

    def _count(self, change: int) -> None:
        self._inside += change
        self._meter.waiting(change)

    def _wake(self) -> None:
        """Give what waits to the lanes that are free."""
        self._waiting = [one for one in self._waiting if not one.answer.done()]  # some have gone
        most = self._most or self._collection.batch_size
        lanes = self._lanes if most == 1 else min(self._lanes, _LANES)
        while self._waiting and len(self._runs) < lanes:
            batch, self._waiting = self._waiting[:most], self._waiting[most:]
            run = asyncio.get_running_loop().create_task(self._run(batch))
            self._runs.add(run)
            run.add_done_callback(self._ended)

    def _ended(self, run: asyncio.Task[None]) -> None:
        self._runs.discard(run)
        self._wake()

    async def _run(self, batch: "Sequence[_Waiting]") -> None:
        loop = asyncio.get_running_loop()
        began = time.perf_counter()
        try:
            done = await loop.run_in_executor(self._encoder, _worked, self._collection, batch)
        except asyncio.CancelledError:
            for one in batch:
                one.answer.cancel()
            raise
        for one, outcome in zip(batch, done.outcomes, strict=True):
            _settle(one, outcome)
        took = time.perf_counter() - began
        self._each_s += 0.2 * (took / len(batch) - self._each_s)
        if done.encoded:
            self._meter.batch(done.encoded, done.seconds)


# -- on a lane's thread -------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class _Waiting:
    picture: bytes
    crop: Box | None
    answer: asyncio.Future[Encoded]


class _Done(NamedTuple):
    """What became of each picture of a batch, how many were encoded, and in what time."""

    outcomes: list[_Outcome]
    encoded: int
    seconds: float


def _worked(collection: Collection, batch: Sequence[_Waiting]) -> _Done:
    outcomes: list[_Outcome | None] = []
    prepared: list[PreparedQuery] = []
    for one in batch:
        try:
            prepared.append(collection.prepare(one.picture, crop=one.crop))
            outcomes.append(None)
        except Exception as error:  # noqa: BLE001 - raised again in the request that it belongs to
            outcomes.append(error)
    began = time.perf_counter()
    encoded = iter(_encoded(collection, prepared) if prepared else [])
    seconds = time.perf_counter() - began
    settled = [next(encoded) if outcome is None else outcome for outcome in outcomes]
    return _Done(settled, len(prepared), seconds)


def _encoded(collection: Collection, prepared: list[PreparedQuery]) -> list[_Outcome]:
    try:
        return [*collection.encode_prepared(prepared)]
    except LookalikeError as error:
        if len(prepared) == 1:
            return [error]
        # One picture without a direction must not harm its neighbours.
        return [outcome for one in prepared for outcome in _encoded(collection, [one])]
    except Exception as error:  # noqa: BLE001 - likewise
        return [error] * len(prepared)


def _settle(one: _Waiting, outcome: _Outcome) -> None:
    if one.answer.done():  # its request has gone
        return
    if isinstance(outcome, Encoded):
        one.answer.set_result(outcome)
    else:
        one.answer.set_exception(outcome)
