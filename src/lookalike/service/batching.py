"""Query images of concurrent requests, distributed over the cores, or encoded in batches.

    request → wait for a free lane → decode, prepare, encode (the lane's thread) → request

No request waits for a batch to fill: requests queue up while all lanes are busy, and a free lane
takes as many of them as suit the encoder. On CPU cores that is one image: a batch is not faster
there, and each of its requests would wait for the whole batch.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple, Protocol, TypeAlias, TypeVar

from lookalike import images
from lookalike.collection import Collection, PreparedQuery
from lookalike.errors import LookalikeError
from lookalike.images.cropping import Box, Crop
from lookalike.search import Encoded, ItemRef, QueryPart, Words, encode_turned
from lookalike.service.problems import Busy

__all__ = ["Batcher", "EncodingMeter"]

_LANES = 4  # for an encoder that uses batches: more lanes would make batches small
_Result = TypeVar("_Result")
_Outcome: TypeAlias = Encoded | Exception


class EncodingMeter(Protocol):
    """Receives counts and times."""

    def batch(self, images: int, seconds: float) -> None:
        """Record a batch of ``images`` and its encoding time."""

    def waiting(self, change: int) -> None:
        """Record a change of the number of images in progress, in all collections."""


class Batcher:
    """Encodes query images for one collection. Use it on one event loop.

    ``encoder`` runs up to ``lanes`` batches at a time, of at most ``most`` images (by default the
    encoder's batch size). At most ``limit`` images are in progress; beyond that ``Busy`` is raised.
    Waiting images are bytes: only as many are decoded at a time as there are lanes.
    """

    def __init__(
        self,
        collection: Collection,
        *,
        encoder: Executor,
        lanes: int,
        limit: int,
        meter: EncodingMeter,
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
        self._heavy: asyncio.Task[None] | None = None  # the run of an image that takes seconds
        self._each_s = 0.02  # recent lane time per image, in seconds

    @property
    def encoding(self) -> bool:
        """Whether a batch is being encoded."""
        return bool(self._runs)

    @property
    def waiting(self) -> int:
        """The number of images that wait for a lane."""
        return len(self._waiting)

    async def encode(self, image: bytes, *, crop: Crop | None = None) -> Encoded:
        """Return ``Collection.encode`` of an image, in a batch with others. Also raise ``Busy``."""
        self._check_limit()
        result = asyncio.get_running_loop().create_future()
        one = _Waiting(image, crop, result, heavy=images.is_heavy(image))
        self._count(1)
        try:
            self._waiting.append(one)
            self._assign()
            return await one.result
        finally:
            self._count(-1)

    async def encode_turned(self, part: QueryPart) -> Encoded:
        """Return an image or item in all orientations, on a lane's thread. Also raise ``Busy``."""
        return await self.run(partial(encode_turned, self._collection, part))

    async def encode_words(self, words: Words) -> Encoded:
        """Return ``Collection.encode`` of words, on a lane's thread. Also raise ``Busy``."""
        return await self.run(lambda: self._collection.encode(words))

    async def run(self, work: Callable[[], _Result]) -> _Result:
        """Return what ``work`` returns, which encodes, on a lane's thread. Also raise ``Busy``."""
        self._check_limit()
        self._count(1)
        try:
            return await asyncio.get_running_loop().run_in_executor(self._encoder, work)
        finally:
            self._count(-1)

    async def propose_crops(self, source: bytes | ItemRef, *, count: int) -> list[Box]:
        """Return ``Collection.propose_crops``, on a lane's thread. Also raise ``Busy``."""
        self._check_limit()
        self._count(1)
        try:
            propose = partial(self._collection.propose_crops, source, count=count)
            return await asyncio.get_running_loop().run_in_executor(self._encoder, propose)
        finally:
            self._count(-1)

    def _check_limit(self) -> None:
        if self._inside >= self._limit:
            raise Busy(
                f"{self._inside} images are being processed already; try again shortly",
                retry_s=self._inside * self._each_s / self._lanes,
            )

    def _count(self, change: int) -> None:
        self._inside += change
        self._meter.waiting(change)

    def _assign(self) -> None:
        """Assign waiting images to free lanes."""
        self._waiting = [
            one for one in self._waiting if not one.result.done()
        ]  # drop those whose request was cancelled
        most = self._most or self._collection.batch_size
        lanes = self._lanes if most == 1 else min(self._lanes, _LANES)
        while len(self._runs) < lanes and (batch := self._next_batch(most)):
            self._waiting = [one for one in self._waiting if one not in batch]
            run = asyncio.get_running_loop().create_task(self._run(batch))
            self._runs.add(run)
            if batch[0].heavy:
                self._heavy = run
            run.add_done_callback(self._on_end)

    def _next_batch(self, most: int) -> "list[_Waiting]":
        """Return the images to go next. One that takes seconds goes alone, and only one at a time.

        So the other lanes stay free for the others.
        """
        if self._waiting and self._waiting[0].heavy and self._heavy is None:
            return self._waiting[:1]
        light = [one for one in self._waiting if not one.heavy][:most]
        if light or self._heavy is not None:
            return light
        return self._waiting[:1]

    def _on_end(self, run: asyncio.Task[None]) -> None:
        self._runs.discard(run)
        if run is self._heavy:
            self._heavy = None
        self._assign()

    async def _run(self, batch: "Sequence[_Waiting]") -> None:
        loop = asyncio.get_running_loop()
        began = time.perf_counter()
        try:
            done = await loop.run_in_executor(self._encoder, _run_batch, self._collection, batch)
        except asyncio.CancelledError:
            for one in batch:
                one.result.cancel()
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
    image: bytes
    crop: Crop | None
    result: asyncio.Future[Encoded]
    heavy: bool = False


class _Done(NamedTuple):
    """The outcome of each image of a batch, how many were encoded, and in how many seconds."""

    outcomes: list[_Outcome]
    encoded: int
    seconds: float


def _run_batch(collection: Collection, batch: Sequence[_Waiting]) -> _Done:
    outcomes: list[_Outcome | None] = []
    prepared: list[PreparedQuery] = []
    for one in batch:
        try:
            prepared.append(collection.prepare(one.image, crop=one.crop))
            outcomes.append(None)
        except Exception as error:  # noqa: BLE001 - raised again in its request
            outcomes.append(error)
    began = time.perf_counter()
    encoded = iter(_encode(collection, prepared) if prepared else [])
    seconds = time.perf_counter() - began
    settled = [next(encoded) if outcome is None else outcome for outcome in outcomes]
    return _Done(settled, len(prepared), seconds)


def _encode(collection: Collection, prepared: list[PreparedQuery]) -> list[_Outcome]:
    try:
        return [*collection.encode_prepared(prepared)]
    except LookalikeError as error:
        if len(prepared) == 1:
            return [error]
        # One image without a usable embedding must not fail the others.
        return [outcome for one in prepared for outcome in _encode(collection, [one])]
    except Exception as error:  # noqa: BLE001 - as above
        return [error] * len(prepared)


def _settle(one: _Waiting, outcome: _Outcome) -> None:
    if one.result.done():  # its request was cancelled
        return
    if isinstance(outcome, Encoded):
        one.result.set_result(outcome)
    else:
        one.result.set_exception(outcome)
