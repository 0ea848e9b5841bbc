"""Reading and decoding: colours, turns, scales, limits, and what hostile files lead to."""

import contextlib
import gc
import hashlib
import io
import math
import os
import struct
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import PIL
import psutil  # type: ignore[import-untyped,unused-ignore]
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, ImageCms, ImageSequence, features

import hostile
from hostile import Case, photo, saved
from lookalike import images
from lookalike.errors import (
    BrokenImageError,
    ImageError,
    ImageTooLargeError,
    NotAnImageError,
    UnreadableImageError,
)
from lookalike.images.cropping import crop_image, size_for_crop
from lookalike.images.decoding import decode, from_array, from_image
from lookalike.images.limits import Limits
from lookalike.images.previews import encode_thumbnail
from lookalike.images.reading import read
from lookalike.images.records import DecodedImage


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> list[Case]:
    return hostile.build(tmp_path_factory.mktemp("hostile"))


def pixels(picture: DecodedImage) -> NDArray[np.int16]:
    """(h, w, 3), signed so that differences can be taken."""
    assert picture.image.mode == "RGB"
    return np.asarray(picture.image, dtype=np.int16)


def outcome(path: bytes) -> tuple[type[ImageError] | None, str]:
    try:
        decode(read(path))
    except ImageError as error:
        return type(error), error.reason
    return None, ""


# --- colours -----------------------------------------------------------------------------------

_RED = (220, 30, 40)


def _plain(mode: str, colour: object) -> Image.Image:
    return Image.new(mode, (16, 12), colour)  # type: ignore[arg-type]


def _ycck(image: Image.Image) -> bytes:
    """A JPEG in Adobe's YCCK, as Photoshop writes it."""
    negative = Image.eval(image, lambda value: 255 - value).convert("YCbCr")
    planes = [Image.eval(plane, lambda value: 255 - value) for plane in negative.split()]
    data = saved(Image.merge("CMYK", [*planes, Image.new("L", image.size, 0)]), "JPEG", quality=95)
    at = data.index(b"Adobe") + 11
    return data[:at] + b"\2" + data[at + 1 :]


def _grey16(kind: str, values: list[int], order: str = "<") -> bytes:
    return saved(Image.fromarray(np.full((12, 16), values[0], dtype=f"{order}u2")), kind)


_COLOURS: dict[str, tuple[Callable[[], bytes], tuple[int, int, int], int]] = {
    "RGB PNG": (lambda: saved(_plain("RGB", _RED), "PNG"), _RED, 0),
    "RGB JPEG": (lambda: saved(_plain("RGB", _RED), "JPEG", quality=95), _RED, 3),
    "RGB BMP": (lambda: saved(_plain("RGB", _RED), "BMP"), _RED, 0),
    "RGB TIFF": (lambda: saved(_plain("RGB", _RED), "TIFF"), _RED, 0),
    "RGB WebP": (lambda: saved(_plain("RGB", _RED), "WEBP", lossless=True), _RED, 0),
    "RGB AVIF": (lambda: saved(_plain("RGB", _RED), "AVIF", quality=95), _RED, 4),
    "DIB": (lambda: saved(_plain("RGB", _RED), "DIB"), _RED, 0),
    "palette PNG": (lambda: saved(_plain("RGB", _RED).quantize(4), "PNG"), _RED, 0),
    "palette GIF": (lambda: saved(_plain("RGB", _RED).quantize(4), "GIF"), _RED, 0),
    "grey PNG": (lambda: saved(_plain("L", 77), "PNG"), (77, 77, 77), 0),
    "grey JPEG": (lambda: saved(_plain("L", 77), "JPEG", quality=95), (77, 77, 77), 1),
    "1-bit PNG, white": (lambda: saved(_plain("1", 1), "PNG"), (255, 255, 255), 0),
    "1-bit TIFF, fax": (
        lambda: saved(_plain("1", 1), "TIFF", compression="group4"),
        (255, 255, 255),
        0,
    ),
    "half transparent RGBA": (
        lambda: saved(_plain("RGBA", (*_RED, 128)), "PNG"),
        (237, 142, 147),
        1,
    ),
    "wholly transparent RGBA": (
        lambda: saved(_plain("RGBA", (*_RED, 0)), "WEBP", lossless=True),
        (255, 255, 255),
        0,
    ),
    "opaque RGBA": (lambda: saved(_plain("RGBA", (*_RED, 255)), "PNG"), _RED, 0),
    "grey with alpha": (lambda: saved(_plain("LA", (0, 128)), "PNG"), (127, 127, 127), 1),
    "palette, one colour clear": (
        lambda: saved(_plain("P", 0), "PNG", transparency=0),
        (255, 255, 255),
        0,
    ),
    "palette with alphas": (
        lambda: saved(_plain("P", 0), "PNG", transparency=b"\x80\xff"),
        (127, 127, 127),
        1,
    ),
    "RGB, one colour clear": (
        lambda: saved(_plain("RGB", _RED), "PNG", transparency=_RED),
        (255, 255, 255),
        0,
    ),
    "grey, one shade clear": (
        lambda: saved(_plain("L", 7), "PNG", transparency=7),
        (255, 255, 255),
        0,
    ),
    "GIF, one colour clear": (
        lambda: saved(_plain("P", 0), "GIF", transparency=0),
        (255, 255, 255),
        0,
    ),
    "16-bit grey PNG": (lambda: _grey16("PNG", [32896]), (128, 128, 128), 0),
    "16-bit grey PNG, dark": (lambda: _grey16("PNG", [514]), (2, 2, 2), 0),
    "16-bit grey TIFF": (lambda: _grey16("TIFF", [32896]), (128, 128, 128), 0),
    "16-bit grey TIFF, big-endian": (
        lambda: _grey16("TIFF", [32896], ">"),
        (128, 128, 128),
        0,
    ),
    "32-bit integers to 255": (lambda: saved(_plain("I", 200), "TIFF"), (200, 200, 200), 0),
    "32-bit integers to 65535": (lambda: saved(_plain("I", 32896), "TIFF"), (128, 128, 128), 0),
    "floats to 1": (lambda: saved(_plain("F", 0.5), "TIFF"), (128, 128, 128), 0),
    "floats to 255": (lambda: saved(_plain("F", 200.0), "TIFF"), (200, 200, 200), 0),
    "floats to 65535": (lambda: saved(_plain("F", 32896.0), "TIFF"), (128, 128, 128), 0),
    "CMYK JPEG": (lambda: saved(_plain("CMYK", (0, 255, 255, 0)), "JPEG"), (255, 0, 0), 4),
    "CMYK TIFF": (lambda: saved(_plain("CMYK", (0, 255, 255, 0)), "TIFF"), (255, 0, 0), 0),
    "YCCK JPEG": (lambda: _ycck(_plain("RGB", _RED)), _RED, 4),
    "LAB TIFF": (lambda: saved(_plain("RGB", _RED).convert("LAB"), "TIFF"), _RED, 4),
    "YCbCr JPEG in a TIFF": (
        lambda: saved(_plain("RGB", _RED), "TIFF", compression="jpeg", quality=95),
        _RED,
        6,
    ),
}


@pytest.mark.parametrize("name", _COLOURS)
def test_every_kind_of_colour_comes_out_as_the_right_rgb(name: str) -> None:
    make, expected, tolerance = _COLOURS[name]

    picture = decode(make())

    assert (picture.width, picture.height) == (16, 12)
    assert np.abs(pixels(picture) - expected).max() <= tolerance


def test_a_16_bit_slope_keeps_its_shades_and_is_not_clipped() -> None:
    slope = np.linspace(0, 65535, 256).astype(np.uint16).reshape(1, 256)

    grey = pixels(decode(saved(Image.fromarray(slope), "PNG")))[0, :, 0]

    assert np.abs(grey - np.arange(256)).max() <= 1


def test_numbers_beyond_every_usual_range_are_stretched_and_nan_is_black() -> None:
    values = np.array([[-1e38, 0.0, 1e38, np.nan, np.inf]], dtype=np.float32)

    grey = pixels(decode(saved(Image.fromarray(values), "TIFF")))[0, :, 0]

    assert grey.tolist() == [0, 128, 255, 0, 255]


def test_white_is_zero_holds_for_16_bit_tiffs_too() -> None:
    data = _grey16("TIFF", [0])
    entry = struct.pack("<HHIHH", 262, 3, 1, 1, 0)
    assert entry in data

    assert pixels(decode(data.replace(entry, entry[:8] + b"\0\0\0\0"))).min() == 255


def _swapped_profile() -> bytes:
    """sRGB's profile with the primaries of red and green exchanged: its red is green."""
    data = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    red, green = data.index(b"rXYZ", 128) + 4, data.index(b"gXYZ", 128) + 4
    data[red : red + 8], data[green : green + 8] = data[green : green + 8], data[red : red + 8]
    return bytes(data)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP", "AVIF"])
def test_a_colour_profile_is_applied(kind: str) -> None:
    data = saved(_plain("RGB", (255, 0, 0)), kind, quality=95, icc_profile=_swapped_profile())

    assert np.abs(pixels(decode(data)) - (0, 255, 0)).max() <= 4


def test_a_profile_is_applied_to_grey_transparent_and_palette_pictures_as_well() -> None:
    profile = _swapped_profile()
    clear = saved(_plain("RGBA", (255, 0, 0, 255)), "PNG", icc_profile=profile)
    palette = saved(_plain("RGB", (255, 0, 0)).quantize(4), "PNG", icc_profile=profile)
    grey = saved(_plain("L", 90), "PNG", icc_profile=profile)

    assert np.abs(pixels(decode(clear)) - (0, 255, 0)).max() <= 2
    assert np.abs(pixels(decode(palette)) - (0, 255, 0)).max() <= 2
    assert np.abs(pixels(decode(grey)) - 90).max() <= 3


@pytest.mark.parametrize(
    "profile",
    [
        ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes(),
        ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes(),
        b"no profile at all" * 20,
    ],
    ids=["sRGB", "for another mode", "broken"],
)
def test_a_profile_that_has_nothing_to_say_changes_no_pixel(profile: bytes) -> None:
    image = photo()

    picture = decode(saved(image, "PNG", icc_profile=profile))

    assert np.array_equal(pixels(picture), np.asarray(image))


def test_a_profile_is_not_applied_twice() -> None:
    first = decode(saved(_plain("RGB", (255, 0, 0)), "PNG", icc_profile=_swapped_profile()))

    assert np.array_equal(pixels(from_image(first.image)), pixels(first))


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "TIFF", "MPO", "AVIF"])
def test_of_several_frames_the_first_is_taken(kind: str) -> None:
    frames = [_plain("RGB", colour) for colour in ("red", "lime", "blue")]

    data = saved(frames[0], kind, save_all=True, append_images=frames[1:])

    assert len(list(ImageSequence.Iterator(Image.open(io.BytesIO(data))))) == 3
    assert np.abs(pixels(decode(data)) - (255, 0, 0)).max() <= 8


# --- turns -------------------------------------------------------------------------------------

# What a viewer shows of a stored picture, by EXIF orientation: written with numpy's words.
_SHOWN: dict[int, Callable[[NDArray[np.int16]], NDArray[np.int16]]] = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.transpose(1, 0, 2),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: np.rot90(a.transpose(1, 0, 2), 2),
    8: np.rot90,
}


def _turned(kind: str, orientation: int, image: Image.Image, **options: object) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return saved(image, kind, exif=exif, **options)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_exif_orientation_comes_out_upright(kind: str, orientation: int) -> None:
    image = photo(48, 32)

    picture = decode(_turned(kind, orientation, image, quality=95))

    shown = _SHOWN[orientation](np.asarray(image, dtype=np.int16))
    assert pixels(picture).shape == shown.shape
    assert (picture.height, picture.width) == shown.shape[:2]
    assert np.abs(pixels(picture) - shown).mean() < 10


@pytest.mark.parametrize("orientation", [0, 9, 99])
def test_an_impossible_orientation_is_no_turn(orientation: int) -> None:
    assert decode(_turned("JPEG", orientation, photo(48, 32))).width == 48


# --- reduced scale -----------------------------------------------------------------------------


def test_a_reduced_decode_is_close_to_the_full_one_after_resizing() -> None:
    data = saved(photo(1200, 900), "JPEG", quality=90)

    full, reduced = decode(data), decode(data, at_least=(224, 224))

    assert reduced.image.size == (300, 225)
    assert (reduced.width, reduced.height) == full.image.size == (1200, 900)
    small = [
        np.asarray(picture.image.resize((224, 224), Image.Resampling.BICUBIC), dtype=np.int16)
        for picture in (full, reduced)
    ]
    assert np.abs(small[0] - small[1]).mean() < 2


@pytest.mark.parametrize("orientation", range(1, 9))
def test_at_least_is_meant_as_the_picture_is_seen(orientation: int) -> None:
    data = _turned("JPEG", orientation, photo(1600, 400))
    upright = (1600, 400) if orientation < 5 else (400, 1600)

    picture = decode(data, at_least=(upright[0] // 4, upright[1] // 4))

    assert (picture.width, picture.height) == upright
    assert picture.image.size == (upright[0] // 4, upright[1] // 4)


@given(
    size=st.tuples(st.integers(1, 300), st.integers(1, 300)),
    at_least=st.tuples(st.integers(1, 400), st.integers(1, 400)),
)
@settings(max_examples=60, deadline=None)
def test_no_side_falls_below_at_least(size: tuple[int, int], at_least: tuple[int, int]) -> None:
    picture = decode(saved(Image.new("RGB", size), "JPEG"), at_least=at_least)

    assert (picture.width, picture.height) == size
    for got, wanted, full in zip(picture.image.size, at_least, size, strict=True):
        assert got >= min(wanted, full)


@pytest.mark.parametrize("mode", ["L", "CMYK", "RGB"])
def test_the_scale_changes_no_colour(mode: str) -> None:
    image = _plain("RGB", _RED).resize((640, 480)).convert(mode)
    data = saved(image, "JPEG", quality=95, icc_profile=_swapped_profile())

    full, reduced = pixels(decode(data)), pixels(decode(data, at_least=(100, 100)))

    assert reduced.shape < full.shape
    assert np.abs(full[0, 0] - reduced[0, 0]).max() <= 2


# --- limits ------------------------------------------------------------------------------------


def test_too_many_bytes_are_refused_with_both_numbers(tmp_path: Path) -> None:
    path = tmp_path / "large.jpg"
    with path.open("wb") as file:
        file.truncate(212_000_000)  # takes no room on the disk

    with pytest.raises(ImageTooLargeError) as caught:
        read(path)

    assert caught.value.reason == "212 MB; the limit is 100 MB"
    assert caught.value.path == str(path)


def test_the_bytes_handed_to_decode_are_limited_too() -> None:
    with pytest.raises(ImageTooLargeError, match="the limit is 10 bytes"):
        decode(saved(photo(), "PNG"), limits=Limits(max_bytes=10))


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="needs Linux")
def test_a_file_that_gives_more_than_its_size_said_is_stopped_at_the_limit() -> None:
    assert Path("/proc/self/maps").stat().st_size == 0

    with pytest.raises(ImageTooLargeError):
        read("/proc/self/maps", Limits(max_bytes=10))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "BMP", "TIFF", "WEBP", "AVIF"])
def test_too_many_pixels_are_refused_and_exactly_enough_are_not(kind: str) -> None:
    data = saved(photo(100, 50), kind)

    assert decode(data, limits=Limits(max_pixels=5000)).width == 100
    with pytest.raises(ImageTooLargeError, match=r"\(100 x 50\); the limit is"):
        decode(data, limits=Limits(max_pixels=4999))


_DECODE_BOMBS = """
import pathlib, resource, sys
from lookalike.errors import ImageError
from lookalike.images.decoding import decode
from lookalike.images.reading import read
from PIL import AvifImagePlugin, BmpImagePlugin, GifImagePlugin, TiffImagePlugin, WebPImagePlugin
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for path in sorted(pathlib.Path(sys.argv[1]).glob("bomb-*")):
    try:
        decode(read(path))
    except ImageError:
        pass
    else:
        print(path)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss is in kB on Linux only")
def test_bombs_are_refused_before_they_take_memory_or_time(corpus: list[Case]) -> None:
    folder = os.path.dirname(corpus[0].path)  # noqa: PTH120 - bytes
    start = time.perf_counter()

    done = subprocess.run(
        [sys.executable, "-c", _DECODE_BOMBS, folder],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )

    *read, grown = done.stdout.split()
    assert int(grown) < 40  # MB, for pictures of up to 10 TB
    # Their pixels are few: what is huge is beside them, and was dropped.
    assert {Path(path).name for path in read} <= {
        *("bomb-ztxt.png", "bomb-ztxt-after.png", "bomb-ztxt-many.png"),
        *("bomb-itxt.png", "bomb-iccp.png"),
    }
    assert done.stderr == ""
    assert time.perf_counter() - start < 10


def test_pillows_own_bomb_warning_is_not_heard_below_our_limit() -> None:
    data = saved(Image.new("1", (10_000, 9_500)), "PNG")  # 95 megapixels; Pillow warns from 89

    assert decode(data).image.size == (10_000, 9_500)


@pytest.mark.parametrize("limits", [{"max_bytes": 0}, {"max_pixels": -1}])
def test_a_limit_of_nothing_is_a_mistake(limits: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        Limits(**limits)


# --- what goes wrong ---------------------------------------------------------------------------


def test_the_corpus_is_large_and_the_same_each_time(corpus: list[Case], tmp_path: Path) -> None:
    again = hostile.build(tmp_path)

    assert len(corpus) > 200
    assert [case.name for case in again] == [case.name for case in corpus]


def test_every_hostile_file_is_a_picture_or_has_a_plain_reason(corpus: list[Case]) -> None:
    surprises = []
    for case in corpus:
        kind, reason = outcome(case.path)
        if kind not in case.outcomes:
            surprises.append(f"{case.name}: {kind}")
        if kind is not None:
            assert 10 < len(reason) < 120
            assert reason.isprintable()
            assert not any(word in reason for word in ("Traceback", "Error", "0x", "<", "b'"))

    assert surprises == []


def test_nothing_is_printed_and_no_warning_leaks(
    corpus: list[Case], capfd: pytest.CaptureFixture[str]
) -> None:
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        for case in corpus:
            outcome(case.path)

    assert heard == []
    assert capfd.readouterr() == ("", "")


def test_threads_come_to_the_same_ends_while_others_change_the_warning_filters(
    corpus: list[Case],
) -> None:
    alone = [outcome(case.path) for case in corpus]
    done = threading.Event()

    def disturb() -> None:
        while not done.wait(0.2):  # far more often than any program does
            warnings.simplefilter("error")

    disturber = threading.Thread(target=disturb)
    disturber.start()
    try:
        with ThreadPoolExecutor(8) as pool:
            together = list(pool.map(lambda case: outcome(case.path), corpus))
    finally:
        done.set()
        disturber.join()

    assert together == alone


def test_warnings_of_others_are_still_heard() -> None:
    decode(saved(photo(), "PNG"))

    with pytest.warns(UserWarning, match="still here"):
        warnings.warn("still here", stacklevel=1)


def test_decoding_the_whole_corpus_again_and_again_takes_no_more_memory(
    corpus: list[Case],
) -> None:
    process = psutil.Process()

    def rounds(count: int) -> int:
        for _ in range(count):
            for case in corpus:
                outcome(case.path)
        gc.collect()
        return int(process.memory_info().rss)

    settled = rounds(5)
    growth = rounds(25) - settled

    assert growth < 12 * 2**20  # 25 x 260 files; a leak of one small picture each would be 120 MB


_WHOLE = hostile._whole()


@pytest.mark.parametrize("name", _WHOLE)
def test_a_file_cut_anywhere_is_no_half_picture(name: str) -> None:
    """Either an error, or every pixel: what is missing was only a trailer."""
    whole = _WHOLE[name]
    expected = pixels(decode(whole))
    for end in {
        *range(1, len(whole), max(len(whole) // 60, 1)),
        *range(len(whole) - 20, len(whole)),
    }:
        try:
            picture = decode(whole[:end])
        except ImageError:
            continue
        assert np.array_equal(pixels(picture), expected), end


def test_a_tiff_with_fewer_strips_than_rows_is_no_half_black_picture() -> None:
    data = saved(photo(40, 30), "TIFF")
    height = struct.pack("<HHI", 257, 4, 1) + struct.pack("<I", 30)
    if height not in data:
        height = struct.pack("<HHI", 257, 3, 1) + struct.pack("<I", 30)
    taller = data.replace(height, height[:8] + struct.pack("<I", 300))
    assert taller != data

    with pytest.raises(BrokenImageError, match="cut off"):
        decode(taller)


def test_a_huge_run_length_bitmap_does_not_keep_a_core_busy() -> None:
    data = bytearray(hostile._rle_bmp())
    data[18:26] = struct.pack("<ii", 9000, 9000)

    with pytest.raises(ImageTooLargeError):
        decode(bytes(data))


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "the file is empty"),
        (b"\0" * 99, "nothing but zero bytes"),
        (b"<!doctype html><p>", "an HTML page"),
        (b"%PDF-1.4", "a PDF"),
        (b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
        (b"\0\0\0\x18ftypcrx \0\0\0\1", "a camera raw file"),
        (b"\0\0\0\x18ftypqt  \0\0\0\1", "a video"),
        (b"\x9b\x81\xaa", "no known format"),
        (b"\0\0\1\0", "an icon"),
        (saved(photo(), "PNG")[:-200], "the PNG file is cut off"),
        (saved(photo(), "JPEG")[:-200], "the JPEG file is cut off"),
        (saved(photo(), "PNG").replace(b"IHDR", b"IHDx"), "the PNG file is damaged"),
    ],
)
def test_the_reason_says_what_is_the_matter(data: bytes, words: str) -> None:
    with pytest.raises(ImageError) as caught:
        decode(data)

    assert words in caught.value.reason


def test_ghostscript_is_never_reached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "gs"
    program.write_text(f"#!/bin/sh\ntouch {tmp_path}/reached\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)

    with pytest.raises(NotAnImageError, match="EPS"):
        decode(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n")

    assert not (tmp_path / "reached").exists()


def test_reading_gives_the_bytes_and_the_digest_is_sha_256(tmp_path: Path) -> None:
    data = saved(photo(), "PNG")
    (tmp_path / "a.png").write_bytes(data)

    assert read(tmp_path / "a.png") == read(str(tmp_path / "a.png")) == data
    assert read(os.fsencode(tmp_path / "a.png")) == data
    assert images.digest(data) == hashlib.sha256(data).hexdigest()


def test_a_vanished_file_is_unreadable_and_not_broken(tmp_path: Path) -> None:
    with pytest.raises(UnreadableImageError, match="no such file"):
        read(tmp_path / "gone.jpg")


def test_a_path_through_a_file_is_unreadable(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"x")

    with pytest.raises(UnreadableImageError, match="could not be read"):
        read(tmp_path / "a.png" / "b.png")


_MUTABLE = [
    *sorted(_WHOLE.items()),
    ("exif.jpg", _turned("JPEG", 6, photo(), icc_profile=_swapped_profile())),
    ("exif.png", _turned("PNG", 6, photo(), icc_profile=_swapped_profile())),
    ("grey16.tif", _grey16("TIFF", [9])),
    ("lab.tif", saved(photo().convert("LAB"), "TIFF")),
    ("alpha.webp", saved(photo().convert("RGBA"), "WEBP")),
]


@given(st.binary(max_size=400), st.sampled_from([b"", *(data[:40] for _, data in _MUTABLE)]))
@settings(max_examples=300, deadline=None)
def test_random_bytes_raise_nothing_but_picture_errors(noise: bytes, start: bytes) -> None:
    with contextlib.suppress(ImageError):
        decode(start + noise)


@given(
    st.sampled_from(_MUTABLE),
    st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.binary(max_size=6)), max_size=6),
    st.booleans(),
)
@settings(max_examples=400, deadline=None)
def test_mutated_pictures_raise_nothing_but_picture_errors(
    file: tuple[str, bytes],
    changes: list[tuple[float, bytes]],
    early: bool,  # noqa: FBT001
) -> None:
    data = bytearray(file[1])
    for place, new in changes:
        at = int(place * (min(len(data), 300) if early else len(data)))
        data[at : at + len(new)] = new
    try:
        picture = decode(bytes(data), at_least=(20, 20), limits=Limits(max_pixels=10**7))
    except ImageError:
        return
    else:
        assert picture.image.mode == "RGB"
        assert min(picture.image.size) > 0


# --- HEIC --------------------------------------------------------------------------------------


def test_without_pillow_heif_the_reason_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    monkeypatch.setitem(sys.modules, "pi_heif", None)

    with pytest.raises(NotAnImageError) as caught:
        decode(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + b"\0" * 40)

    assert "pip install 'lookalike[heic]'" in caught.value.reason


@pytest.mark.parametrize("newer", [True, False])
@pytest.mark.parametrize("orientation", [1, 3, 6])
def test_a_heic_picture_is_read_and_turned_once(
    orientation: int,
    newer: bool,  # noqa: FBT001
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pillow_heif = pytest.importorskip("pillow_heif")
    image = photo(64, 48)
    exif = Image.Exif()
    exif[0x0112] = orientation
    file = io.BytesIO()
    pillow_heif.from_pillow(image).save(file, quality=95, exif=exif.tobytes())

    if not newer:  # what the default installation has
        pytest.importorskip("pi_heif")
        monkeypatch.setitem(sys.modules, "pillow_heif", None)

    picture = decode(file.getvalue())

    shown = _SHOWN[orientation](np.asarray(image, dtype=np.int16))
    assert (picture.height, picture.width) == shown.shape[:2]
    assert np.abs(pixels(picture) - shown).mean() < 10
    with pytest.raises(ImageTooLargeError):
        decode(file.getvalue(), limits=Limits(max_pixels=1000))
    with pytest.raises(BrokenImageError, match="the HEIC file is cut off"):
        decode(file.getvalue()[:-300])


# --- pictures from memory ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "array",
    [
        np.full((12, 16), 51, dtype=np.uint8),
        np.full((12, 16, 1), 51, dtype=np.uint8),
        np.full((12, 16, 3), 51, dtype=np.uint8),
        np.full((24, 32, 3), 51, dtype=np.uint8)[::2, ::2],
        np.dstack([np.full((12, 16, 3), 51), np.full((12, 16), 255)]).astype(np.uint8),
        np.full((12, 16), 0.2, dtype=np.float32),
        np.full((12, 16, 3), 0.2),
    ],
    ids=lambda array: f"{array.shape} {array.dtype}",
)
def test_arrays_become_pictures(array: NDArray[np.uint8]) -> None:
    picture = from_array(array)

    assert (picture.width, picture.height) == (16, 12)
    assert (pixels(picture) == 51).all()


def test_the_transparent_parts_of_an_array_become_white() -> None:
    assert (pixels(from_array(np.zeros((2, 2, 4), dtype=np.uint8))) == 255).all()


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.zeros(3, dtype=np.uint8), "not (3,)"),
        (np.zeros((3, 4, 2), dtype=np.uint8), "not (3, 4, 2)"),
        (np.zeros((1, 3, 4, 3), dtype=np.uint8), "not (1, 3, 4, 3)"),
        (np.zeros((0, 4, 3), dtype=np.uint8), "at least one pixel"),
        (np.zeros((3, 4), dtype=np.int64), "not int64"),
        (np.full((3, 4), 2.0), "from 0 to 1"),
        (np.full((3, 4), np.nan), "from 0 to 1"),
    ],
)
def test_arrays_that_are_no_image_say_why(array: NDArray[np.uint8], words: str) -> None:
    with pytest.raises(ValueError, match="image") as caught:
        from_array(array)

    assert words in str(caught.value)


def test_an_image_handed_in_is_brought_to_form_and_stays_as_it_is() -> None:
    image = photo(48, 32).convert("RGBA")
    image.paste((0, 0, 0, 0), (0, 0, 24, 32))
    image.getexif()[0x0112] = 6
    before = image.tobytes()

    picture = from_image(image)

    assert (picture.width, picture.height) == picture.image.size == (32, 48)
    assert (pixels(picture)[:24] == 255).all()
    assert (image.mode, image.tobytes(), image.getexif()[0x0112]) == ("RGBA", before, 6)


def test_a_picture_does_not_share_pixels_with_the_image_it_came_from() -> None:
    image = photo()
    picture = from_image(image)

    image.paste("black", (0, 0, *image.size))

    assert pixels(picture).max() > 0


@pytest.mark.parametrize("file", _MUTABLE, ids=lambda file: file[0])
def test_bytes_and_an_opened_image_of_one_file_give_one_picture(file: tuple[str, bytes]) -> None:
    opened = from_image(Image.open(io.BytesIO(file[1])))

    assert np.array_equal(pixels(opened), pixels(decode(file[1])))


def test_an_image_without_pixels_or_with_broken_ones_is_a_broken_picture() -> None:
    with pytest.raises(BrokenImageError):
        from_image(Image.new("RGB", (0, 5)))
    with pytest.raises(BrokenImageError):
        from_image(Image.open(io.BytesIO(saved(photo(), "PNG")[:-500])))


# --- thumbnails and the rest -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((640, 480), (192, 144)),
        ((480, 640), (144, 192)),
        ((100, 50), (100, 50)),
        ((10_000, 3), (192, 1)),
        ((1, 1), (1, 1)),
    ],
)
def test_thumbnails_fit_keep_the_shape_and_are_never_enlarged(
    size: tuple[int, int], expected: tuple[int, int]
) -> None:
    data = encode_thumbnail(photo(*size), 192)

    assert decode(data).image.size == expected
    assert len(data) < 20_000


def test_a_thumbnail_looks_like_its_picture() -> None:
    image = photo(80, 60).resize((640, 480), Image.Resampling.BICUBIC)

    small = pixels(decode(encode_thumbnail(image, 160)))

    expected = np.asarray(image.resize((160, 120), Image.Resampling.BICUBIC), dtype=np.int16)
    assert np.abs(small - expected).mean() < 5


def test_a_thumbnail_carries_no_metadata() -> None:
    data = _turned("JPEG", 6, photo(), icc_profile=_swapped_profile())

    small = Image.open(io.BytesIO(encode_thumbnail(decode(data).image, 32)))

    assert not small.getexif()
    assert "icc_profile" not in small.info


def test_the_readers_version_names_what_decides_and_stays_the_same() -> None:
    version = images.reader_version()

    assert PIL.__version__ in version
    assert "heic" in version
    assert images.reader_version() == version


def test_suffixes_are_lower_case_and_cover_what_can_be_read() -> None:
    assert all(suffix == suffix.lower() and suffix[0] == "." for suffix in images.SUFFIXES)
    assert {".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".avif"} <= images.SUFFIXES
    assert ".svg" not in images.SUFFIXES


def test_this_pillow_has_the_codecs_that_these_tests_need() -> None:
    assert features.check("webp")
    assert features.check("avif")


# -- parts of a picture ---------------------------------------------------------------------


def test_a_part_of_a_picture_is_what_lies_in_its_box() -> None:
    picture = from_image(photo(80, 40))
    part = crop_image(picture, (0.25, 0.5, 0.75, 1.0))
    assert part.image.size == (part.width, part.height) == (40, 20)
    np.testing.assert_array_equal(pixels(part), pixels(picture)[20:40, 20:60])
    np.testing.assert_array_equal(pixels(crop_image(picture, (0, 0, 1, 1))), pixels(picture))


@given(
    st.tuples(st.integers(1, 30), st.integers(1, 30)),
    st.lists(st.floats(0, 1), min_size=4, max_size=4, unique=True),
)
def test_every_box_holds_a_pixel(size: tuple[int, int], edges: list[float]) -> None:
    (left, right), (top, bottom) = sorted(edges[:2]), sorted(edges[2:])
    part = crop_image(from_image(Image.new("RGB", size)), (left, top, right, bottom))
    assert 1 <= part.image.width <= size[0]
    assert 1 <= part.image.height <= size[1]
    assert min(part.width, part.height) >= 1


@pytest.mark.parametrize(
    "box", [(0.5, 0, 0.5, 1), (0, 1, 1, 0), (-0.1, 0, 1, 1), (0, 0, 1, 1.1), (0, 0, math.nan, 1)]
)
def test_an_impossible_box_is_refused(box: tuple[float, float, float, float]) -> None:
    with pytest.raises(ValueError, match="from 0 to 1"):
        crop_image(from_image(photo()), box)
    with pytest.raises(ValueError, match="from 0 to 1"):
        size_for_crop((224, 224), box)


def test_a_part_of_a_large_jpeg_is_decoded_as_finely_as_the_whole_would_be() -> None:
    data = saved(photo(1600, 1200), "JPEG", quality=90)
    box = (0.0, 0.0, 0.25, 0.25)
    assert decode(data, at_least=(100, 75)).image.size == (200, 150)
    part = crop_image(decode(data, at_least=size_for_crop((100, 75), box)), box)
    assert part.image.size == (100, 75)
    assert (part.width, part.height) == (400, 300)
