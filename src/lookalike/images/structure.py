"""Checks on the structure of files that would cost too much to decode."""

import re

from PIL import Image

from lookalike.errors import BrokenImageError
from lookalike.images.limits import Limits, check_pixels

__all__ = ["check_scans", "check_tiles", "webp_size"]


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
