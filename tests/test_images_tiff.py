"""TIFF: every layout that a file can have gives the right pixels, or is refused by its name."""

import io
import shutil
import struct
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from hostile import photo, saved
from lookalike.errors import BrokenImageError, ImageError, ImageTooLargeError, NotAnImageError
from lookalike.images.decoding import decode
from lookalike.images.limits import Limits

tifffile = pytest.importorskip("tifffile", reason="writes the files of these tests")

_HEIGHT, _WIDTH = 37, 53


def _slopes(samples: int) -> NDArray[np.float64]:
    """Return (h, w, samples) in [0, 1]: a slope in another direction in each sample."""
    y, x = np.mgrid[0:_HEIGHT, 0:_WIDTH]
    across, down = x / (_WIDTH - 1), y / (_HEIGHT - 1)
    return np.stack([across, down, (across + down) / 2, 1 - across / 2], -1)[:, :, :samples]


def _write(
    values: NDArray[Any], photometric: str, *, planar: str = "contig", **options: object
) -> bytes:
    """Return a TIFF of samples (h, w, s)."""
    array = values[:, :, 0] if values.shape[2] == 1 else values
    if values.shape[2] > 1:
        options["planarconfig"] = planar
        array = np.moveaxis(values, -1, 0) if planar == "separate" else values
    file = io.BytesIO()
    tifffile.imwrite(file, np.ascontiguousarray(array), photometric=photometric, **options)
    return file.getvalue()


def _typed(values: NDArray[np.float64], kind: str) -> NDArray[Any]:
    if kind.startswith("f"):
        return values.astype(kind)
    return np.rint(values * np.iinfo(kind).max).astype(kind)


def _shown(values: NDArray[np.float64], photometric: str) -> NDArray[np.float64]:
    """Return the RGB (h, w, 3), 0 to 255, that a viewer shows of samples."""
    if photometric == "separated":
        return 255 * (1 - values[:, :, :3]) * (1 - values[:, :, 3:])
    if values.shape[2] == 4:
        return 255 * (values[:, :, :3] * values[:, :, 3:] + 1 - values[:, :, 3:])
    grey = 1 - values if photometric == "miniswhite" else values
    return 255 * (np.repeat(grey, 3, axis=2) if values.shape[2] == 1 else grey)


def _pixels(data: bytes) -> NDArray[np.int16]:
    return np.asarray(decode(data).image, dtype=np.int16)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("planar", ["contig", "separate"])
@pytest.mark.parametrize("kind", ["u1", "u2", "u4", "f2", "f4", "f8"])
@pytest.mark.parametrize(
    ("photometric", "samples"),
    [("minisblack", 1), ("miniswhite", 1), ("rgb", 3), ("rgb", 4), ("separated", 4)],
)
def test_every_depth_and_order_of_planes_and_bytes_gives_the_right_pixels(
    photometric: str, samples: int, kind: str, planar: str, order: str
) -> None:
    values = _slopes(samples)
    alpha = {"extrasamples": ["unassalpha"]} if (photometric, samples) == ("rgb", 4) else {}
    for options in ({}, {"rowsperstrip": 5}, {"tile": (16, 32)}, {"bigtiff": True}):
        data = _write(
            _typed(values, kind), photometric, planar=planar, byteorder=order, **options, **alpha
        )
        assert np.abs(_pixels(data) - _shown(values, photometric)).max() <= 3, options


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("predictor", [False, True])
@pytest.mark.parametrize("compression", ["zlib", "lzw", "packbits", "zstd"])
@pytest.mark.parametrize("kind", ["u2", "i4", "u4", "f4"])
def test_compressed_numbers_have_their_bytes_in_the_right_order(
    kind: str,
    compression: str,
    predictor: bool,  # noqa: FBT001
    order: str,
) -> None:
    pytest.importorskip("imagecodecs", reason="decodes what Pillow gets wrong")
    if predictor and compression in {"packbits", "zstd"}:
        pytest.skip("these codecs have no predictor here")
    values = _slopes(1)
    data = _write(
        _typed(values, kind),
        "minisblack",
        compression=compression,
        predictor=predictor,
        byteorder=order,
    )
    assert np.abs(_pixels(data) - _shown(values, "minisblack")).max() <= 3


def test_without_the_codecs_the_reason_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("imagecodecs", reason="writes the file")
    data = _write(_typed(_slopes(3), "f4"), "rgb", compression="lzw")
    monkeypatch.setitem(__import__("sys").modules, "imagecodecs", None)

    with pytest.raises(NotAnImageError) as caught:
        decode(data)

    assert "32-bit float RGB, compression LZW" in caught.value.reason
    assert "pip install 'lookalike[tiff]'" in caught.value.reason


@pytest.mark.parametrize("top", [255, 65535])
def test_a_palette_of_bytes_has_its_colours(top: int) -> None:
    colours = np.zeros((3, 256), np.uint16)
    colours[:, 7] = (top, top // 2, 0)
    file = io.BytesIO()
    tifffile.imwrite(file, np.full((9, 9), 7, np.uint8), photometric="palette", colormap=colours)

    assert np.abs(_pixels(file.getvalue()) - (255, 127, 0)).max() <= 1


def _without_strips(data: bytes, kept: int) -> bytes:
    """Return a TIFF whose list of strips is said to have ``kept`` entries only."""
    changed = bytearray(data)
    (start,) = struct.unpack_from("<I", data, 4)
    (count,) = struct.unpack_from("<H", data, start)
    for place in range(start + 2, start + 2 + 12 * count, 12):
        tag, kind, values, at = struct.unpack_from("<HHII", data, place)
        if tag in {273, 279}:
            assert values > kept
            if kept == 1:  # a single number lies in the entry itself
                size = 2 if kind == 3 else 4
                changed[place + 8 : place + 12] = data[at : at + size].ljust(4, b"\0")
            struct.pack_into("<I", changed, place + 4, kept)
    return bytes(changed)


@pytest.mark.parametrize("kind", ["u1", "u2"])
@pytest.mark.parametrize("kept", [1, 2])
def test_planes_that_are_missing_are_no_black_channels(kind: str, kept: int) -> None:
    data = _write(_typed(_slopes(3), kind), "rgb", planar="separate", byteorder="<")

    with pytest.raises(BrokenImageError, match="cut off"):
        decode(_without_strips(data, kept))


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: _write(_slopes(3), "cielab"), "64-bit float Lab"),
        (lambda: _write(np.repeat(_typed(_slopes(1), "u2"), 20, 2), "minisblack"), "more channels"),
        (lambda: _write(_slopes(1).astype("c8"), "minisblack"), "complex grey"),
    ],
    ids=["Lab of floats", "20 channels", "complex"],
)
def test_a_kind_that_is_not_read_is_named_and_not_called_damaged(make: Any, words: str) -> None:  # noqa: ANN401
    with pytest.raises(NotAnImageError, match="a kind of TIFF that is not read") as caught:
        decode(make())

    assert words in caught.value.reason


def test_cmyk_with_alpha_is_read_without_its_alpha() -> None:
    values = np.concatenate([_slopes(4), _slopes(1)], axis=2)
    data = _write(_typed(values, "u1"), "separated", extrasamples=["unassalpha"])

    assert np.abs(_pixels(data) - _shown(values[:, :, :4], "separated")).max() <= 3


def test_the_first_page_that_is_no_reduced_version_is_taken_and_noted() -> None:
    image = photo(48, 32)
    file = io.BytesIO()
    with tifffile.TiffWriter(file) as writer:
        writer.write(np.asarray(image.resize((12, 8))), photometric="rgb", subfiletype=1)
        writer.write(np.asarray(image), photometric="rgb")

    decoded = decode(file.getvalue())

    assert np.array_equal(np.asarray(decoded.image), np.asarray(image))
    assert decoded.notes == ("page 2 was used; those before are reduced versions",)


def test_the_limit_holds_for_what_tifffile_reads() -> None:
    data = _write(_typed(_slopes(3), "u4"), "rgb")

    assert decode(data, limits=Limits(max_pixels=_WIDTH * _HEIGHT)).width == _WIDTH
    with pytest.raises(ImageTooLargeError):
        decode(data, limits=Limits(max_pixels=_WIDTH * _HEIGHT - 1))


@pytest.mark.parametrize("orientation", [1, 3, 6])
def test_what_tifffile_reads_is_turned_as_well(orientation: int) -> None:
    values = _slopes(3)
    data = _write(
        _typed(values, "u4"), "rgb", extratags=[(274, 3, 1, orientation, True)], metadata=None
    )
    shown = {1: lambda a: a, 3: lambda a: a[::-1, ::-1], 6: lambda a: np.rot90(a, -1)}

    expected = shown[orientation](_shown(values, "rgb"))
    assert np.abs(_pixels(data) - expected).max() <= 3


@pytest.mark.parametrize("at", range(0, 400, 7))
def test_a_mutated_file_that_tifffile_reads_raises_nothing_but_image_errors(at: int) -> None:
    data = bytearray(_write(_typed(_slopes(3), "u4"), "rgb", rowsperstrip=4))
    data[at : at + 3] = b"\xff\x80\x01"
    try:
        decode(bytes(data), limits=Limits(max_pixels=10**6))
    except ImageError:
        return


@pytest.mark.skipif(shutil.which("convert") is None, reason="ImageMagick is not installed")
@pytest.mark.parametrize("planar", ["contig", "separate"])
@pytest.mark.parametrize("kind", ["u1", "u2"])
@pytest.mark.parametrize("order", ["<", ">"])
def test_imagemagick_sees_the_same(tmp_path: Path, planar: str, kind: str, order: str) -> None:
    path = tmp_path / "a.tif"
    path.write_bytes(_write(_typed(_slopes(3), kind), "rgb", planar=planar, byteorder=order))

    subprocess.run(["convert", path, "-depth", "8", tmp_path / "a.ppm"], check=True)

    with Image.open(tmp_path / "a.ppm") as other:
        seen = np.asarray(other.convert("RGB"), dtype=np.int16)
    assert np.abs(_pixels(path.read_bytes()) - seen).max() <= 1


def test_an_ordinary_tiff_has_no_notes() -> None:
    assert decode(saved(photo(), "TIFF", compression="tiff_lzw")).notes == ()


@pytest.mark.parametrize("order", ["<", ">"])
def test_floats_with_a_few_highlights_above_1_are_not_black(order: str) -> None:
    values = _slopes(3)
    values[5:8, 5:8] = 40.0
    values[9, 9] = np.nan
    data = _write(_typed(values, "f4"), "rgb", byteorder=order)

    shown = _pixels(data)

    assert np.abs(shown[12:] - _shown(values, "rgb")[12:]).max() <= 1
    assert shown[6, 6].tolist() == [255, 255, 255]
    assert shown[9, 9].tolist() == [0, 0, 0]


def test_subsampled_colours_that_are_not_compressed_are_named_and_not_garbage() -> None:
    data = saved(photo(), "TIFF")
    entry = struct.pack("<HHIHH", 262, 3, 1, 2, 0)
    assert entry in data

    with pytest.raises(NotAnImageError, match=r"\(8-bit YCbCr\)"):
        decode(data.replace(entry, entry[:8] + b"\6\0\0\0"))


def test_bits_of_a_fax_that_claim_to_be_more_are_damage() -> None:
    data = saved(photo().convert("1"), "TIFF", compression="group4")
    entry = struct.pack("<HHIHH", 258, 3, 1, 1, 0)
    assert entry in data

    with pytest.raises(BrokenImageError):
        decode(data.replace(entry, entry[:8] + b"\x1a\0\0\0"))
