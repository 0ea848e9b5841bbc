"""Camera raw files: recognised by what they hold, and read by their largest preview.

A raw file holds the values of a sensor, and JPEGs that the camera made of them: from a thumbnail of
160 x 120 pixels up to the full size. The largest is what a viewer shows first.
"""

import io
import re
from typing import NamedTuple

from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile

from lookalike.errors import NotAnImageError
from lookalike.images.formats import DECODER_ERRORS
from lookalike.images.kinds import describe_kind
from lookalike.images.limits import Limits, check_pixels
from lookalike.images.tiff_directories import Directory, read_directories

__all__ = ["Preview", "find_preview", "is_raw"]

_STARTS = (
    *(b"FUJIFILMCCD-RAW", b"IIRO", b"IIRS", b"MMOR", b"IIU\0", b"\0MRM", b"FOVb"),
    *(b"HEAPCCDR",),
)
_COLOUR_SPACE, _MAKE, _ORIENTATION, _SUB_DIRECTORIES, _DNG_VERSION = 262, 271, 274, 330, 50706
_SENSOR_VALUES = {32803, 34892}
_MAKERS = (
    "NIKON",
    "SONY",
    "PENTAX",
    "SAMSUNG",
    "PHASE ONE",
    "LEAF",
    "HASSELBLAD",
    "KODAK",
    "EPSON",
)
_LEAST_SIDE = 256  # pixels of the longer side of a preview that stands for the image

_JPEG = re.compile(rb"\xff\xd8\xff[\xc0\xc4\xdb-\xef\xfe]")
_MOST_JPEGS = 200
_LONGEST_HEAD = 2**18  # bytes before the pixels of a JPEG: metadata and a thumbnail


class Preview(NamedTuple):
    """The largest JPEG in a raw file: where it starts, and the EXIF orientation to show it in."""

    at: int
    size: tuple[int, int]
    turn: int


def is_raw(data: bytes) -> bool:
    """Return whether a file is a camera raw file, by its content."""
    if data.startswith(_STARTS) or data[6:14] == b"HEAPCCDR":
        return True
    if data[4:11] == b"ftypcrx":
        return True
    if data[:4] not in {b"II*\0", b"MM\0*"}:
        return False
    if data[8:10] == b"CR" or data[8:12] in {b"IIII", b"MMMM"}:  # Canon, Phase One
        return True
    return any(_is_of_sensor(one) for one in read_directories(data))


def _is_of_sensor(page: Directory) -> bool:
    if _DNG_VERSION in page or page.number(_COLOUR_SPACE) in _SENSOR_VALUES:
        return True
    # Scans that cameras' makers write are plain TIFFs; raw files have directories inside others.
    maker = page.text(_MAKE).upper().startswith(_MAKERS)
    return maker and page.main == 0 and len(page.numbers(_SUB_DIRECTORIES)) > 1


def find_preview(data: bytes, limits: Limits) -> Preview:
    """Return the largest JPEG in a raw file.

    Raise ``NotAnImageError`` where there is none that is large enough to stand for the image.
    """
    best: Preview | None = None
    for number, found in enumerate(_JPEG.finditer(data)):
        if number >= _MOST_JPEGS:
            break
        part = data[found.start() : found.start() + _LONGEST_HEAD]
        try:
            image = JpegImageFile(io.BytesIO(part))
            size, turn = image.size, _turn_of(image)
        except (*DECODER_ERRORS, Image.DecompressionBombError):
            continue
        if describe_kind("JPEG", part, OSError()) is not None:
            continue  # the values of the sensor, as a lossless JPEG
        if best is None or size[0] * size[1] > best.size[0] * best.size[1]:
            best = Preview(found.start(), size, turn)
    if best is None or max(best.size) < _LEAST_SIDE:
        had = "has no preview" if best is None else f"has a preview of {_format(best.size)} only"
        raise NotAnImageError(
            f"a camera raw file that {had}; to read these, run: pip install 'lookalike[raw]'"
        )
    check_pixels(best.size, limits)
    pages = read_directories(data)
    turn = best.turn
    if turn == 1 and pages:
        turn = pages[0].number(_ORIENTATION, 1)
    return best._replace(turn=turn)


def _turn_of(image: Image.Image) -> int:
    found = image.getexif().get(_ORIENTATION, 1)
    return found if isinstance(found, int) else 1


def _format(size: tuple[int, int]) -> str:
    return f"{size[0]} x {size[1]}"
