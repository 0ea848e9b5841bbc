"""Large images: what they cost is known from the header, and they are decoded one at a time."""

import asyncio
import io
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import lookalike
from hostile import photo, saved
from lookalike.images import is_heavy
from lookalike.images.decoding import decode
from lookalike.images.formats import format_of
from lookalike.images.weight import header_size, take_turn
from lookalike.service.batching import Batcher


@pytest.mark.parametrize("kind", ["PNG", "GIF", "BMP", "WEBP", "AVIF", "JPEG2000", "TIFF", "JPEG"])
@pytest.mark.parametrize("size", [(96, 64), (40, 300), (1, 1)])
def test_the_size_is_known_from_the_header(kind: str, size: tuple[int, int]) -> None:
    data = saved(photo(*size), kind)

    assert header_size(data, format_of(data)) == size
    for end in range(0, min(len(data), 200), 7):
        header_size(data[:end], format_of(data))


def test_the_size_of_a_heic_and_of_a_jpeg_xl_is_known_too() -> None:
    pillow_heif = pytest.importorskip("pillow_heif")
    pytest.importorskip("pillow_jxl")
    file = io.BytesIO()
    pillow_heif.from_pillow(photo(128, 64)).save(file)
    assert header_size(file.getvalue(), "HEIC") == (128, 64)
    assert header_size(saved(photo(128, 64), "JXL"), "JPEG XL") == (128, 64)


def _flat(side: int) -> bytes:
    """Return a small file of many pixels."""
    return saved(Image.new("1", (side, side), 1), "PNG")


def test_a_small_file_of_many_pixels_is_heavy_and_an_ordinary_one_is_not() -> None:
    assert is_heavy(_flat(5000))
    assert len(_flat(5000)) < 20_000
    assert not is_heavy(_flat(1000))
    assert not is_heavy(saved(photo(), "JPEG"))
    assert not is_heavy(b"no image")
    assert not is_heavy(b"")


def test_large_images_of_hungry_formats_wait_for_each_other_and_small_ones_do_not() -> None:
    large, small = saved(Image.new("L", (4096, 4096)), "WEBP"), saved(photo(), "WEBP")
    inside, most = 0, 0
    lock = threading.Lock()

    def work(data: bytes) -> None:
        nonlocal inside, most
        with take_turn(data, "WebP"):
            with lock:
                inside += data is large
                most = max(most, inside)
            time.sleep(0.01)
            with lock:
                inside -= data is large

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, [large, small] * 8))
        assert most == 1
        with take_turn(large, "WebP"):  # a small one does not wait
            pool.submit(work, small).result(timeout=5)


def test_what_is_decoded_keeps_no_decoder() -> None:
    for kind in ("PNG", "WEBP", "AVIF", "TIFF"):
        decoded = decode(saved(photo(), kind))

        assert type(decoded.image) is Image.Image
        assert not hasattr(decoded.image, "fp")
        assert np.asarray(decoded.image.copy()).shape == (64, 96, 3)


class _Meter:
    def batch(self, images: int, seconds: float) -> None: ...

    def waiting(self, change: int) -> None: ...


def test_while_heavy_images_are_decoded_one_by_one_others_are_answered(
    tmp_path: Path, card: Path
) -> None:
    photo().save(tmp_path / "a.png")
    heavy, light = _flat(4100), saved(photo(), "PNG")

    async def ask(shop: lookalike.Collection) -> list[str]:
        done: list[str] = []
        with ThreadPoolExecutor(2) as lanes:
            batcher = Batcher(shop, encoder=lanes, lanes=2, limit=50, meter=_Meter())

            async def one(name: str, data: bytes) -> None:
                await batcher.encode(data)
                done.append(name)

            queue = [one("heavy", heavy) for _ in range(4)] + [one("light", light)]
            await asyncio.gather(*queue)
        return done

    with lookalike.open(tmp_path / "shop", encoder=card, create=True) as shop:
        shop.index(tmp_path)
        done = asyncio.run(ask(shop))

    assert done.index("light") <= 1
