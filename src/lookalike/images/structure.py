"""Checks on the structure of files that would cost too much to decode."""

import re

from PIL import Image

from lookalike.errors import BrokenImageError, NotAnImageError
from lookalike.images.limits import Limits, check_pixels

__all__ = ["check_channels", "check_scans", "check_tiles", "jxl_size", "webp_size"]


def webp_size(data: bytes) -> tuple[int, int]:
    """Return the canvas (width, height) from the first chunk; (0, 0) for a broken file."""
    chunk = data[12:16]
    if chunk == b"VP8X" and len(data) >= 30:  # noqa: PLR2004
        edges = int.from_bytes(data[24:27], "little"), int.from_bytes(data[27:30], "little")
        return edges[0] + 1, edges[1] + 1
    if chunk == b"VP8L":
        bits = int.from_bytes(data[21:25], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if chunk == b"VP8 ":
        edges = int.from_bytes(data[26:28], "little"), int.from_bytes(data[28:30], "little")
        return edges[0] & 0x3FFF, edges[1] & 0x3FFF
    return 0, 0


_JXL_RATIOS = {1: (1, 1), 2: (12, 10), 3: (4, 3), 4: (3, 2), 5: (16, 9), 6: (5, 4), 7: (2, 1)}
_JXL_BITS = (9, 13, 18, 30)


def jxl_size(data: bytes) -> tuple[int, int]:
    """Return the (width, height) of a JPEG XL image from its header; (0, 0) for a broken file."""
    start = 0
    if not data.startswith(b"\xff\x0a"):  # in the first box of the codestream
        boxes = (data.find(name, 0, 2**20) for name in (b"jxlc", b"jxlp"))
        box = max(boxes)
        start = data.find(b"\xff\x0a", box, box + 16) if box >= 0 else -1
    if start < 0:
        return 0, 0
    bits, at = int.from_bytes(data[start + 2 : start + 18], "little"), 0

    def take(count: int) -> int:
        nonlocal at
        value, at = (bits >> at) & ((1 << count) - 1), at + count
        return value

    small = take(1)

    def take_side() -> int:
        return (take(5) + 1) * 8 if small else take(_JXL_BITS[take(2)]) + 1

    height, ratio = take_side(), take(3)
    across, down = _JXL_RATIOS.get(ratio, (0, 1))
    return (height * across // down if ratio else take_side()), height


_SIZES, _CHANNELS = b"\xff\x4f\xff\x51", b"cdef"
_NO_COLOUR = {0, 0xFFFF}  # the whole image, or nothing in particular


def check_channels(data: bytes) -> None:
    """Refuse a JPEG 2000 image whose channels Pillow shears or exchanges.

    Those are coarse ones of an odd size, and channels in another order than that of the colours.
    Raise ``NotAnImageError``.
    """
    at = data.find(_SIZES, 0, 2**20)
    size = [int.from_bytes(data[at + place : at + place + 4], "big") for place in (8, 12)]
    count = int.from_bytes(data[at + 40 : at + 42], "big") if at >= 0 else 0
    for channel in range(min(count, 16)):
        steps = data[at + 43 + 3 * channel : at + 45 + 3 * channel]
        if any(step > 1 and side % step for side, step in zip(size, steps, strict=False)):
            raise NotAnImageError(
                "a kind of JPEG 2000 that is not read (coarse channels, odd size)"
            )
    at = data.find(_CHANNELS, 0, 2**16)
    count = int.from_bytes(data[at + 4 : at + 6], "big") if at >= 0 else 0
    for entry in range(min(count, 16)):
        place = at + 6 + 6 * entry
        channel, kind, colour = (
            int.from_bytes(data[place + 2 * word : place + 2 * word + 2], "big")
            for word in range(3)
        )
        if kind == 0 and colour not in _NO_COLOUR and colour != channel + 1:
            raise NotAnImageError("a kind of JPEG 2000 that is not read (reordered channels)")


_MOST_RLE_PIXELS = 16_000_000


def check_tiles(image: Image.Image) -> None:
    """Refuse what Pillow handles badly.

    It leaves pixels black that no part of the file describes, and it expands the run lengths of a
    BMP in Python, at 15 megapixels a second. Raise ``OSError``, ``ImageTooLargeError``.
    """
    tiles = getattr(image, "tile", [])
    pixels = image.width * image.height
    if tiles and tiles[0].codec_name == "bmp_rle":
        check_pixels(image.size, Limits(max_pixels=_MOST_RLE_PIXELS))
    corners = [tile.extents for tile in tiles if tile.extents is not None]
    given = sum((right - left) * (bottom - top) for left, top, right, bottom in corners)
    if image.format == "TIFF" and given < pixels:
        raise OSError("truncated: fewer strips than rows")


# A scan is one pass over all pixels, and twenty bytes can request one, so a file of a megabyte can
# keep a core busy for an hour. Cameras and tools write at most a dozen scans.
_MOST_SCANS = 100
_MARKER = re.compile(rb"\xff[\xc0-\xcf\xd9-\xfe]")


def check_scans(data: bytes) -> None:
    """Raise ``BrokenImageError`` for a JPEG with far more scans than any real one."""
    if data.count(b"\xff\xda") <= _MOST_SCANS:  # quick, and counts too many if anything
        return
    scans, at = 0, 2
    while (found := _MARKER.search(data, at)) and found[0] != b"\xff\xd9":
        scans += found[0] == b"\xff\xda"
        at = found.end() + max(int.from_bytes(data[found.end() : found.end() + 2], "big"), 2)
    if scans > _MOST_SCANS:
        raise BrokenImageError(f"the JPEG file has {scans} scans, which no real image has")
