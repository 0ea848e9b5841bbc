"""What decoding a file will cost, known from its header in microseconds.

Some decoders hold the whole image several times over, so large images of these formats are decoded
one at a time; and who serves others meanwhile wants to know which images take seconds.
"""

import contextlib
import re
import struct
import threading
from collections.abc import Iterator

from lookalike.images.formats import format_of
from lookalike.images.structure import jxl_size, webp_size
from lookalike.images.tiff_directories import read_directories

__all__ = ["header_size", "is_heavy", "take_turn"]

_LARGE = 16_000_000  # pixels: 0.2 GB while an AVIF is decoded
_LARGE_JPEG = 60_000_000  # decoded at a reduced scale, and without other copies
_HUNGRY = {"AVIF", "HEIC", "JPEG 2000", "JPEG XL", "WebP"}
_one_large = threading.Lock()

_JPEG_FRAME = re.compile(rb"\xff[\xc0-\xc3\xc5-\xc7\xc9-\xcb\xcd-\xcf]..\x08(..)(..)", re.DOTALL)
_HEAD = 2**20


def header_size(data: bytes, kind: str | None) -> tuple[int, int]:
    """Return the (width, height) that a file claims; (0, 0) where that is not known."""
    try:
        return _read_size(data, kind)
    except (struct.error, IndexError):
        return 0, 0


def _read_size(data: bytes, kind: str | None) -> tuple[int, int]:  # noqa: C901, PLR0911 - a flat list
    match kind:
        case "PNG":
            return _pair(data, ">II", 16)
        case "GIF":
            return _pair(data, "<HH", 6)
        case "BMP":
            width, height = _pair(data, "<ii", 18)
            return abs(width), abs(height)
        case "WebP":
            return webp_size(data)
        case "JPEG XL":
            return jxl_size(data)
        case "JPEG 2000":
            at = data.find(b"\xff\x4f\xff\x51", 0, _HEAD)
            return _pair(data, ">II", at + 8) if at >= 0 else (0, 0)
        case "AVIF" | "HEIC":  # tiles have a size too, and the whole has the largest
            boxes = re.finditer(rb"ispe\0{4}(.{8})", data[:_HEAD], re.DOTALL)
            sizes = [_pair(one[1], ">II", 0) for one in boxes]
            return max(sizes, key=lambda size: size[0] * size[1], default=(0, 0))
        case "TIFF":
            pages = read_directories(data)
            return (pages[0].number(256), pages[0].number(257)) if pages else (0, 0)
        case "JPEG":
            found = _JPEG_FRAME.search(data, 0, _HEAD)
            if found is None:
                return 0, 0
            return int.from_bytes(found[2], "big"), int.from_bytes(found[1], "big")
    return 0, 0


def _pair(data: bytes, form: str, at: int) -> tuple[int, int]:
    width, height = struct.unpack_from(form, data, at)
    return width, height


def is_heavy(data: bytes) -> bool:
    """Return whether decoding a file may take seconds, whatever its bytes are."""
    kind = format_of(data)
    width, height = header_size(data, kind)
    return width * height >= (_LARGE_JPEG if kind == "JPEG" else _LARGE)


@contextlib.contextmanager
def take_turn(data: bytes, kind: str) -> Iterator[None]:
    """Wait until no other large image is decoded, if this is one of a format that needs memory."""
    width, height = header_size(data, kind) if kind in _HUNGRY else (0, 0)
    if width * height < _LARGE:
        yield
        return
    with _one_large:
        yield
