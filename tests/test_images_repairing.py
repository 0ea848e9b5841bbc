"""Whole pixels in a file that is not whole otherwise; and what is no damage is not called so."""

import struct
import zlib
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageCms

from hostile import photo, saved
from lookalike.errors import BrokenImageError, ImageError, NotAnImageError
from lookalike.images.decoding import decode

_DROPPED = ("metadata that cannot be read was dropped",)


def _pixels(data: bytes) -> NDArray[np.int16]:
    return np.asarray(decode(data).image, dtype=np.int16)


# --- JPEG --------------------------------------------------------------------------------------

_JPEGS: dict[str, Callable[[], bytes]] = {
    "baseline": lambda: saved(photo(), "JPEG", quality=90),
    "progressive": lambda: saved(photo(), "JPEG", quality=90, progressive=True),
    "grey": lambda: saved(photo().convert("L"), "JPEG", quality=90),
    "not subsampled": lambda: saved(photo(), "JPEG", quality=90, subsampling=0),
    "restarts": lambda: saved(photo(), "JPEG", quality=90, restart_marker_blocks=3),
    "CMYK": lambda: saved(photo().convert("CMYK"), "JPEG", quality=90),
}


@pytest.mark.parametrize("name", _JPEGS)
@pytest.mark.parametrize("after", [b"", b"\0" * 50, b"\r\n", b"\xff", b"no marker in here"])
def test_a_jpeg_without_its_end_marker_is_read_if_its_scans_are_complete(
    name: str, after: bytes
) -> None:
    data = _JPEGS[name]()

    decoded = decode(data[:-2] + after)

    assert np.array_equal(np.asarray(decoded.image), np.asarray(decode(data).image))
    assert decoded.notes in ((), ("its end marker is missing",))


@pytest.mark.parametrize("name", _JPEGS)
def test_a_jpeg_that_lacks_more_than_its_end_marker_is_cut_off(name: str) -> None:
    data = _JPEGS[name]()
    expected = _pixels(data)
    refused = 0
    for missing in range(3, 60):
        for after in (b"", b"\xff\xd9"):
            try:
                pixels = _pixels(data[:-missing] + after)
            except BrokenImageError:
                refused += 1
            else:
                # With an end marker in the wrong place, no reader can tell.
                assert after or np.array_equal(pixels, expected), missing
    assert refused >= 50


def _with_segment(data: bytes, marker: int, body: bytes, *, size: int | None = None) -> bytes:
    length = len(body) + 2 if size is None else size
    return data[:2] + bytes([0xFF, marker]) + struct.pack(">H", length) + body + data[2:]


@pytest.mark.parametrize(
    ("marker", "body"),
    [
        (0xE0, b"JFIF\0"),
        (0xE0, b""),
        (0xE1, b""),
        (0xE1, b"Exif\0\0MM"),
        (0xE1, b"http://ns.adobe.com/xap/1.0/\0<x"),
        (0xE2, b"ICC_PROFILE\0"),
        (0xE2, b"MPF\0II"),
        (0xED, b"Photoshop 3.0\x008BIM\x04"),
        (0xEE, b"Adobe\0"),
        (0xEE, b"Adobe"),
        (0xFE, b""),
    ],
    ids=str,
)
def test_a_bad_or_empty_segment_beside_the_image_does_not_lose_it(marker: int, body: bytes) -> None:
    data = saved(photo(), "JPEG", quality=90)

    decoded = decode(_with_segment(data, marker, body))

    assert np.array_equal(np.asarray(decoded.image), np.asarray(decode(data).image))
    assert decoded.notes in ((), _DROPPED)


def test_bytes_between_the_segments_do_not_lose_the_image() -> None:
    data = saved(photo(), "JPEG", quality=90)
    at = data.index(b"\xff\xdb")

    decoded = decode(data[:at] + b"\0\x11\x22" + data[at:])

    assert np.array_equal(np.asarray(decoded.image), np.asarray(decode(data).image))


# --- PNG ---------------------------------------------------------------------------------------


def _chunk(name: bytes, body: bytes, *, checksum: int | None = None) -> bytes:
    found = zlib.crc32(name + body) if checksum is None else checksum
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", found)


def _with_chunk(data: bytes, chunk: bytes, *, late: bool = False) -> bytes:
    at = data.index(b"IEND") - 4 if late else 33  # after the header
    return data[:at] + chunk + data[at:]


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize(
    "chunk",
    [
        _chunk(b"tEXt", b"Comment\0hello", checksum=7),
        _chunk(b"iCCP", b""),
        _chunk(b"iCCP", b"profile\0\0garbage"),
        _chunk(b"gAMA", b""),
        _chunk(b"cHRM", b"\0"),
        _chunk(b"pHYs", b"\0\0"),
        _chunk(b"sRGB", b""),
        _chunk(b"eXIf", b""),
        _chunk(b"zTXt", b""),
        _chunk(b"zTXt", b"Comment\0\0" + zlib.compress(b"\0" * 3_000_000)),
        _chunk(b"iTXt", b"Comment\0\1\0\0\0" + zlib.compress(b"\0" * 3_000_000)),
        _chunk(b"acTL", b"\0"),
        _chunk(b"teSt", b"anything", checksum=1),
    ],
    ids=lambda value: str(value)[:24] if isinstance(value, bytes) else str(value),
)
def test_a_bad_empty_or_huge_chunk_beside_the_image_does_not_lose_it(
    chunk: bytes,
    late: bool,  # noqa: FBT001
) -> None:
    decoded = decode(_with_chunk(saved(photo(), "PNG"), chunk, late=late))

    assert np.array_equal(np.asarray(decoded.image), np.asarray(photo()))
    assert decoded.notes in ((), _DROPPED)


def _large_profile(size: int) -> bytes:
    """Return sRGB's profile with the primaries of red and green exchanged, padded to ``size``."""
    data = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    red, green = data.index(b"rXYZ", 128) + 4, data.index(b"gXYZ", 128) + 4
    data[red : red + 8], data[green : green + 8] = data[green : green + 8], data[red : red + 8]
    data += bytes(size - len(data))
    data[:4] = struct.pack(">I", len(data))
    return bytes(data)


def test_a_colour_profile_of_more_than_a_megabyte_is_applied() -> None:
    red = saved(Image.new("RGB", (16, 12), "red"), "PNG")
    body = b"large\0\0" + zlib.compress(_large_profile(2_500_000))

    shown = _pixels(_with_chunk(red, _chunk(b"iCCP", body)))

    assert np.abs(shown - (0, 255, 0)).max() <= 4


def test_a_damaged_transparency_does_not_lose_the_colours() -> None:
    data = _with_chunk(saved(photo(), "PNG"), _chunk(b"tRNS", b"\0"))

    assert np.array_equal(_pixels(data), np.asarray(photo()))


@pytest.mark.parametrize("name", [b"IHDR", b"IDAT"])
def test_damage_to_the_pixels_stays_damage(name: bytes) -> None:
    data = bytearray(saved(photo(), "PNG"))
    at = data.index(name) + 9
    data[at : at + 3] = b"\xff\xff\xff"

    with pytest.raises(ImageError):
        decode(bytes(data))


# --- WebP --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [b"EXIF", b"ICCP", b"XMP "])
def test_damaged_metadata_of_a_webp_does_not_lose_it(name: bytes) -> None:
    data = saved(photo(), "WEBP", lossless=True, exif=b"Exif\0\0MM\0*\0\0\0\x08", xmp=b"<x/>")
    if name not in data:
        data = saved(photo(), "WEBP", lossless=True, icc_profile=b"nothing" * 20)
    at = data.index(name, 30)
    shown = _pixels(data[: at + 8] + b"\xff" * 4 + data[at + 12 :])

    assert np.array_equal(shown, np.asarray(photo()))


# --- AVIF --------------------------------------------------------------------------------------


def _split_properties(data: bytes) -> bytes:
    """Return an AVIF of two images whose list of properties is two boxes with the same flags."""
    at = data.index(b"ipma") - 4
    (size,) = struct.unpack_from(">I", data, at)
    full, (count,) = data[at + 8 : at + 12], struct.unpack_from(">I", data, at + 12)
    assert count == 2
    first = data[at + 16 : at + 19 + data[at + 18]]
    rest = data[at + 16 + len(first) : at + size]
    boxes = b"".join(
        struct.pack(">I4s", 16 + len(entry), b"ipma") + full + struct.pack(">I", 1) + entry
        for entry in (first, rest)
    )
    changed = bytearray(data[:at] + boxes + data[at + size :])
    for name in (b"meta", b"iprp"):
        place = changed.index(name) - 4
        struct.pack_into(">I", changed, place, struct.unpack_from(">I", changed, place)[0] + 16)
    items = changed.index(b"iloc") + 12
    for place in (items + 6, items + 20):  # where the images lie in the file
        struct.pack_into(">I", changed, place, struct.unpack_from(">I", changed, place)[0] + 16)
    return bytes(changed)


def test_an_avif_whose_list_of_properties_is_split_as_early_encoders_did_is_read() -> None:
    image = photo().convert("RGBA")
    image.paste((0, 0, 0, 0), (0, 0, 30, 64))
    data = saved(image, "AVIF", quality=90)

    decoded = decode(_split_properties(data))

    assert np.array_equal(np.asarray(decoded.image), np.asarray(decode(data).image))
    assert decoded.notes == ()


# --- what is not read is not damaged -------------------------------------------------------------


def _frame(data: bytes, *, marker: int = 0xC0, bits: int = 8) -> bytes:
    at = data.index(b"\xff\xc0")
    return data[: at + 1] + bytes([marker]) + data[at + 2 : at + 4] + bytes([bits]) + data[at + 5 :]


def _bitfields() -> bytes:
    data = saved(photo(8, 8), "BMP")
    header = bytearray(data[14:54])
    struct.pack_into("<HI", header, 14, 16, 3)
    masks = struct.pack("<III", 0x7000, 0x0700, 0x0070)
    body = b"\0\x77" * 64
    start = struct.pack("<2sIII", b"BM", 14 + 40 + 12 + len(body), 0, 66)
    return start + bytes(header) + masks + body


def _heif(codec: bytes) -> bytes:
    """Return the boxes of a still image of an item type, without its data."""
    entry = b"\2\0\0\0\0\1\0\0" + codec + b"\0"
    infe = struct.pack(">I4s", 8 + len(entry), b"infe") + entry
    iinf = struct.pack(">I4sIH", 14 + len(infe), b"iinf", 0, 1) + infe
    handler = b"\0" * 8 + b"pict" + b"\0" * 13
    hdlr = struct.pack(">I4s", 8 + len(handler), b"hdlr") + handler
    pitm = struct.pack(">I4sIH", 14, b"pitm", 0, 1)
    body = b"\0\0\0\0" + hdlr + pitm + iinf
    return (
        b"\0\0\0\x18ftypmif1\0\0\0\0mif1miaf" + struct.pack(">I4s", 8 + len(body), b"meta") + body
    )


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (_frame(saved(photo(), "JPEG"), bits=12), "a kind of JPEG that is not read (12 bits"),
        (_frame(saved(photo(), "JPEG"), marker=0xC3), "(lossless)"),
        (_frame(saved(photo(), "JPEG"), marker=0xC5), "(hierarchical)"),
        (_frame(saved(photo(), "JPEG"), marker=0xF7), "(JPEG-LS)"),
        (_bitfields(), "a kind of BMP that is not read (16 bits, bit fields)"),
    ],
    ids=lambda value: value[:30] if isinstance(value, str) else "",
)
def test_a_sound_file_of_a_kind_that_is_not_read_is_called_that(data: bytes, words: str) -> None:
    with pytest.raises(NotAnImageError) as caught:
        decode(data)

    assert words in caught.value.reason


@pytest.mark.parametrize("codec", [b"avc1", b"jpeg", b"hvc1"])
def test_a_heif_still_is_never_called_a_video(codec: bytes) -> None:
    pytest.importorskip("pi_heif")
    with pytest.raises(ImageError) as caught:
        decode(_heif(codec))

    assert "video" not in caught.value.reason
    assert "HEI" in caught.value.reason
