"""Crops, turns and transparent colours of a file come out as other decoders have them."""

import shutil
import struct
import subprocess
import zlib
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from hostile import photo, saved
from lookalike.images.decoding import decode
from lookalike.images.heif_boxes import read_crop


def _pixels(data: bytes) -> NDArray[np.int16]:
    return np.asarray(decode(data).image, dtype=np.int16)


_TRANSFORMS: dict[str, list[str]] = {
    "none": [],
    "crop": ["--clap", "50,1,40,1,3,1,-2,1"],
    "crop of an odd size": ["--clap", "51,1,39,1,1,2,-1,2"],
    "turn": ["--irot", "1"],
    "mirror": ["--imir", "0"],
    "mirror on the other axis": ["--imir", "1"],
    "turn and mirror": ["--irot", "3", "--imir", "1"],
    "all": ["--clap", "50,1,40,1,3,1,-2,1", "--irot", "1", "--imir", "1"],
}


@pytest.mark.skipif(
    shutil.which("avifenc") is None or shutil.which("heif-convert") is None,
    reason="libavif-bin and libheif-examples are not installed",
)
@pytest.mark.parametrize("name", _TRANSFORMS)
def test_libheif_sees_the_same_of_an_avif_that_is_cropped_turned_or_mirrored(
    name: str, tmp_path: Path
) -> None:
    photo(96, 64).save(tmp_path / "a.png")
    encode = ["avifenc", "--min", "0", "--max", "5", "-y", "444", *_TRANSFORMS[name]]
    subprocess.run([*encode, "a.png", "a.avif"], cwd=tmp_path, check=True, capture_output=True)
    convert = ["heif-convert", "a.avif", "b.png"]
    subprocess.run(convert, cwd=tmp_path, check=True, capture_output=True)

    decoded = decode((tmp_path / "a.avif").read_bytes())

    with Image.open(tmp_path / "b.png") as other:
        seen = np.asarray(other.convert("RGB"), dtype=np.int16)
    assert (decoded.height, decoded.width) == seen.shape[:2]
    assert np.abs(np.asarray(decoded.image, dtype=np.int16) - seen).mean() < 2


def _with_crop(data: bytes, numbers: tuple[int, ...]) -> bytes:
    """Return an AVIF by Pillow with a crop instead of its pixel aspect or colour property."""
    for name in (b"pasp", b"colr", b"pixi"):
        at = data.find(name)
        if at >= 0:
            break
    body = struct.pack(">IIIIiIiI", *numbers)
    old = struct.unpack_from(">I", data, at - 4)[0]
    grown = bytearray(
        data[: at - 4] + struct.pack(">I4s", 40, b"clap") + body + data[at - 4 + old :]
    )
    more = 40 - old
    for box in (b"meta", b"iprp", b"ipco"):  # the boxes around it
        place = grown.index(box) - 4
        struct.pack_into(">I", grown, place, struct.unpack_from(">I", grown, place)[0] + more)
    return bytes(grown)


@pytest.mark.parametrize(
    ("numbers", "expected"),
    [
        ((50, 1, 40, 1, 3, 1, -2, 1), (26, 10, 76, 50)),
        ((96, 1, 64, 1, 0, 1, 0, 1), None),
        ((500, 1, 400, 1, 0, 1, 0, 1), None),
        ((50, 0, 40, 1, 0, 1, 0, 1), None),
        ((0, 1, 40, 1, 0, 1, 0, 1), None),
        ((50, 1, 40, 1, 900, 1, 0, 1), None),
        ((60, 1, 40, 1, 40, 1, 0, 1), (58, 12, 96, 52)),
    ],
)
def test_a_crop_is_read_from_the_boxes_and_an_impossible_one_is_none(
    numbers: tuple[int, ...], expected: tuple[int, ...] | None
) -> None:
    data = _with_crop(saved(photo(96, 64), "AVIF"), numbers)

    assert read_crop(data, (96, 64)) == expected


def test_boxes_that_lie_are_no_crop() -> None:
    data = _with_crop(saved(photo(96, 64), "AVIF"), (50, 1, 40, 1, 3, 1, -2, 1))
    for at in range(0, 400, 3):
        changed = data[:at] + b"\xff\xff\xff" + data[at + 3 :]
        found = read_crop(changed, (96, 64))
        assert found is None or (0 <= found[0] < found[2] <= 96 and 0 <= found[1] < found[3] <= 64)


# --- transparent colours of a PNG ----------------------------------------------------------------


def _png(rows: list[bytes], width: int, depth: int, colours: int, clear: bytes) -> bytes:
    def chunk(name: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        )

    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">IIBBBBB", width, len(rows), depth, colours, 0, 0, 0))
        + chunk(b"tRNS", clear)
        + chunk(b"IDAT", zlib.compress(b"".join(b"\0" + row for row in rows)))
        + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("depth", [1, 2, 4, 8, 16])
def test_the_transparent_shade_of_a_grey_png_counts_in_its_own_depth(depth: int) -> None:
    """Eight pixels of shade 1, which is transparent, and eight of shade 0, which is not."""
    ones = {1: b"\xff", 2: b"\x55" * 2, 4: b"\x11" * 4, 8: b"\1" * 8, 16: b"\0\1" * 8}[depth]
    shown = _pixels(_png([ones + bytes(len(ones))] * 8, 16, depth, 0, struct.pack(">H", 1)))

    assert shown[:, :8].min() == 255
    assert shown[:, 8:].max() == 0


@pytest.mark.parametrize("depth", [8, 16])
def test_the_transparent_colour_of_an_rgb_png_counts_in_its_own_depth(depth: int) -> None:
    size = ">3B" if depth == 8 else ">3H"
    colour = (10, 20, 30) if depth == 8 else (2570, 5140, 7710)
    other = (200, 0, 0) if depth == 8 else (51400, 0, 0)
    row = struct.pack(size, *colour) * 8 + struct.pack(size, *other) * 8
    shown = _pixels(_png([row] * 8, 16, depth, 2, struct.pack(">3H", *colour)))

    assert shown[:, :8].min() == 255
    assert (shown[:, 8:] == (200, 0, 0)).all()


# --- orientation: EXIF, never XMP alone ----------------------------------------------------------

_XMP = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-'
    b'syntax-ns#"><rdf:Description xmlns:tiff="http://ns.adobe.com/tiff/1.0/" '
    b'tiff:Orientation="6"/></rdf:RDF></x:xmpmeta>'
)


@pytest.mark.parametrize("kind", ["JPEG", "WEBP", "PNG", "TIFF", "AVIF"])
def test_an_orientation_that_only_xmp_has_is_ignored_as_browsers_do(kind: str) -> None:
    options: dict[str, object] = {"xmp": _XMP}
    if kind == "TIFF":
        options = {"tiffinfo": {700: _XMP}}
    elif kind == "PNG":
        from PIL import PngImagePlugin  # noqa: PLC0415 - only here

        info = PngImagePlugin.PngInfo()
        info.add_itxt("XML:com.adobe.xmp", _XMP.decode())
        options = {"pnginfo": info}

    data = saved(photo(48, 32), kind, **options)

    assert b"tiff:Orientation" in data
    assert decode(data).width == 48


@pytest.mark.parametrize("kind", ["JPEG", "WEBP", "PNG"])
def test_exif_counts_where_xmp_says_something_else(kind: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = 3
    data = saved(photo(48, 32), kind, exif=exif, xmp=_XMP, quality=95)

    decoded = decode(data)

    assert decoded.width == 48
    assert np.abs(_pixels(data) - np.asarray(photo(48, 32), np.int16)[::-1, ::-1]).mean() < 10
