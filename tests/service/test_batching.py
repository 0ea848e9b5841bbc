"""Pictures of concurrent requests are encoded beside each other or together, and never more than
can be borne.
"""

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import lookalike
from lookalike import Collection
from lookalike.core.protocols import Prepared
from lookalike.core.vectors import Matrix
from lookalike.encoders import OnnxEncoder
from lookalike.errors import EncoderError, NotAnImageError, WordsError
from lookalike.search import Encoded, Words
from lookalike.service.batching import Batcher
from lookalike.service.problems import Busy


async def until(done: Callable[[], bool]) -> None:
    """Let others go on until something is so."""
    while not done():  # noqa: ASYNC110 - nobody tells of it
        await asyncio.sleep(0.001)


class Watched:
    """The tiny encoder, with a gate before it and a memory of its batches.

    A picture that is ``bad`` gives no vector, as one that a network answers with zeros. ``open``
    counts pictures that are prepared and not yet encoded.
    """

    name = "watched"
    fingerprint = "watched"

    def __init__(self, encoder: OnnxEncoder) -> None:
        self._encoder = encoder
        self.dim = encoder.dim
        self.decode_size = encoder.decode_size
        self.open = self.most_open = 0
        self.batches: list[int] = []
        self.gate = threading.Event()
        self.gate.set()
        self.bad: Prepared | None = None
        self._turn = threading.Lock()

    def prepare(self, image: Image.Image) -> Prepared:
        with self._turn:
            self.open += 1
            self.most_open = max(self.most_open, self.open)
        return self._encoder.prepare(image)

    def encode(self, batch: Sequence[Prepared]) -> Matrix:
        self.gate.wait(30)
        with self._turn:
            self.open -= len(batch)
        self.batches.append(len(batch))
        if self.bad is not None and any(np.array_equal(one, self.bad) for one in batch):
            raise EncoderError("no vector for an image of the batch")
        return self._encoder.encode(batch)


class Heard:
    """A meter that remembers."""

    def __init__(self) -> None:
        self.batches: list[int] = []
        self.now = self.most = 0

    def batch(self, pictures: int, seconds: float) -> None:
        assert seconds >= 0
        self.batches.append(pictures)

    def waiting(self, change: int) -> None:
        self.now += change
        self.most = max(self.most, self.now)


@pytest.fixture
def watched(tiny: OnnxEncoder) -> Watched:
    return Watched(tiny)


@pytest.fixture
def shop(tmp_path: Path, watched: Watched, pictures: Path) -> Iterator[Collection]:
    with lookalike.open(tmp_path / "shop", encoder=watched, create=True) as shop:
        shop.index(pictures)
        watched.batches.clear()
        watched.most_open = 0
        yield shop


Scene = Callable[[Batcher], Coroutine[Any, Any, None]]


@pytest.fixture
def play(shop: Collection) -> Callable[..., Heard]:
    """``play(scene)`` runs a scene with a batcher and answers what the meter heard."""

    def play(scene: Scene, *, limit: int = 100, most: int | None = None, lanes: int = 1) -> Heard:
        heard = Heard()
        with ThreadPoolExecutor(lanes) as encoder:
            batcher = Batcher(
                shop, encoder=encoder, lanes=lanes, limit=limit, meter=heard, most=most
            )
            asyncio.run(scene(batcher))
        return heard

    return play


@pytest.fixture
def bytes_of(pictures: Path) -> list[bytes]:
    return [(pictures / f"{number}.png").read_bytes() for number in range(9)]


def test_pictures_that_come_together_are_encoded_together_and_each_gets_its_own(
    shop: Collection, watched: Watched, bytes_of: list[bytes], play: Callable[..., Heard]
) -> None:
    async def scene(batcher: Batcher) -> None:
        found = await asyncio.gather(*(batcher.encode(data) for data in bytes_of))
        for data, encoded in zip(bytes_of, found, strict=True):
            alone = shop.encode(data)
            np.testing.assert_allclose(encoded.vector, alone.vector, atol=1e-5)
            assert encoded.digest == alone.digest

    heard = play(scene)
    assert heard.batches == [1, 8]  # who comes first waits for nobody
    assert heard.most == 9
    assert watched.batches[:2] == [1, 8]


def test_who_comes_alone_does_not_wait_for_company(
    bytes_of: list[bytes], play: Callable[..., Heard]
) -> None:
    async def scene(batcher: Batcher) -> None:
        async with asyncio.timeout(20):
            for data in bytes_of[:3]:
                await batcher.encode(data)

    assert play(scene).batches == [1, 1, 1]


def test_a_batch_has_its_most(bytes_of: list[bytes], play: Callable[..., Heard]) -> None:
    async def scene(batcher: Batcher) -> None:
        await asyncio.gather(*(batcher.encode(data) for data in bytes_of))

    assert play(scene, most=4).batches == [1, 4, 4]


def test_an_encoder_says_how_many_pictures_it_takes_best(
    watched: Watched,
    bytes_of: list[bytes],
    play: Callable[..., Heard],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def scene(batcher: Batcher) -> None:
        await asyncio.gather(*(batcher.encode(data) for data in bytes_of))

    monkeypatch.setattr(watched, "batch_size", 3, raising=False)
    assert play(scene).batches == [1, 3, 3, 2]


def test_on_a_processor_each_picture_has_a_lane_of_its_own(
    tmp_path: Path, tiny: OnnxEncoder, pictures: Path, bytes_of: list[bytes]
) -> None:
    heard = Heard()

    async def scene(batcher: Batcher) -> None:
        await asyncio.gather(*(batcher.encode(data) for data in bytes_of))

    with (
        lookalike.open(tmp_path / "shop", encoder=tiny, create=True) as shop,
        ThreadPoolExecutor(2) as encoder,
    ):
        shop.index(pictures)
        asyncio.run(scene(Batcher(shop, encoder=encoder, lanes=2, limit=100, meter=heard)))
    assert heard.batches == [1] * 9


def test_no_more_pictures_are_prepared_than_lanes_encode(
    watched: Watched, bytes_of: list[bytes], play: Callable[..., Heard]
) -> None:
    async def scene(batcher: Batcher) -> None:
        watched.gate.clear()
        tasks = [asyncio.create_task(batcher.encode(data)) for data in bytes_of]
        await until(lambda: watched.open == 2)
        await until(lambda: batcher.waiting == 7)
        watched.gate.set()
        await asyncio.gather(*tasks)

    assert len(play(scene, most=1, lanes=2).batches) == 9
    assert watched.most_open == 2


def test_what_comes_meanwhile_is_the_next_batch(
    watched: Watched, bytes_of: list[bytes], play: Callable[..., Heard]
) -> None:
    async def scene(batcher: Batcher) -> None:
        watched.gate.clear()
        first = asyncio.create_task(batcher.encode(bytes_of[0]))
        await until(lambda: batcher.encoding)
        rest = [asyncio.create_task(batcher.encode(data)) for data in bytes_of[1:]]
        await until(lambda: batcher.waiting == len(rest))
        watched.gate.set()
        await asyncio.gather(first, *rest)

    assert play(scene).batches == [1, 8]


def test_more_than_the_limit_are_told_when_to_come_again(
    watched: Watched, bytes_of: list[bytes], play: Callable[..., Heard]
) -> None:
    async def scene(batcher: Batcher) -> None:
        watched.gate.clear()
        tasks = [asyncio.create_task(batcher.encode(data)) for data in bytes_of[:4]]
        await asyncio.sleep(0)
        with pytest.raises(Busy) as refused:
            await batcher.encode(bytes_of[4])
        assert refused.value.headers is not None
        assert int(refused.value.headers["Retry-After"]) >= 1
        with pytest.raises(Busy):
            await batcher.encode_words(Words("red"))
        watched.gate.set()
        await asyncio.gather(*tasks)
        await batcher.encode(bytes_of[4])  # there is room again
        with pytest.raises(WordsError):  # this encoder has none, which is no reason to be busy
            await batcher.encode_words(Words("red"))
        await batcher.encode(bytes_of[4])

    assert play(scene, limit=4).most == 4


def test_a_bad_picture_harms_none_of_its_batch(
    shop: Collection, watched: Watched, bytes_of: list[bytes], play: Callable[..., Heard]
) -> None:
    watched.bad = shop.prepare(bytes_of[3]).prepared

    async def scene(batcher: Batcher) -> None:
        asked = [batcher.encode(data) for data in (*bytes_of, b"no picture")]
        found = await asyncio.gather(*asked, return_exceptions=True)
        assert isinstance(found[3], EncoderError)
        assert isinstance(found[9], NotAnImageError)
        assert all(isinstance(one, Encoded) for one in found[:3] + found[4:9])
        assert isinstance(await batcher.encode(bytes_of[0]), Encoded)

    play(scene)


def test_who_has_gone_is_not_waited_for(
    watched: Watched, bytes_of: list[bytes], play: Callable[..., Heard]
) -> None:
    async def scene(batcher: Batcher) -> None:
        watched.gate.clear()
        first = asyncio.create_task(batcher.encode(bytes_of[0]))
        await until(lambda: batcher.encoding)
        gone = asyncio.create_task(batcher.encode(bytes_of[1]))
        stays = asyncio.create_task(batcher.encode(bytes_of[2]))
        await until(lambda: batcher.waiting == 2)
        gone.cancel()
        await asyncio.sleep(0)
        watched.gate.set()
        await asyncio.gather(first, stays)
        with pytest.raises(asyncio.CancelledError):
            await gone

    assert play(scene).batches == [1, 1]


def test_a_mistake_of_ours_is_raised_where_it_belongs_and_the_next_go_on(
    watched: Watched,
    bytes_of: list[bytes],
    play: Callable[..., Heard],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def scene(batcher: Batcher) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(watched, "encode", lambda _: 1 / 0)
            asked = [batcher.encode(data) for data in bytes_of[:2]]
            found = await asyncio.gather(*asked, return_exceptions=True)
            assert [type(one) for one in found] == [ZeroDivisionError] * 2
        await batcher.encode(bytes_of[0])

    play(scene)
