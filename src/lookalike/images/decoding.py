"""Bytes → an upright picture in sRGB on white, or a ``ImageError`` that says why not.

    read(path) → digest, decode → DecodedImage → (the encoder's prepare, thumbnail)

Files are taken as hostile: only the parsers named in ``_PLUGINS`` are ever reached, sizes are
checked before pixels, and whatever a decoder stumbles over becomes one plain sentence.
"""

import contextlib
import errno
import hashlib
import importlib
import importlib.util
import io
import logging
import math
import os
import re
import stat
import sys
import threading
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

import numpy as np
import PIL
from numpy.typing import NDArray
from PIL import Image

from lookalike.errors import (
    BrokenImageError,
    ImageError,
    ImageTooLargeError,
    NotAnImageError,
    UnreadableImageError,
)
from lookalike.images.colour import rgb
from lookalike.images.formats import DECODER_ERRORS, cut_off, format_of, what_instead

__all__ = [
    "SUFFIXES",
    "Box",
    "DecodedImage",
    "Layers",
    "Limits",
    "crop_image",
    "decode",
    "decode_layers",
    "digest",
    "encode_thumbnail",
    "from_array",
    "from_image",
    "load_preview",
    "read",
    "reader_version",
    "size_for_crop",
]

# fmt: off
SUFFIXES = frozenset({
    ".apng", ".avif", ".avifs", ".bmp", ".dib", ".gif", ".heic", ".heics", ".heif", ".heifs",
    ".hif", ".jfif", ".jpe", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp",
})
# fmt: on
"""Lower-case file endings that a scan takes for pictures. What a file is, its bytes decide."""

# Raised whenever a file that failed before could now be read, or reads differently.
_REVISION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a picture may cost: bytes of the file, and pixels of the whole canvas.

    A pixel takes 4 (JPEG) to 24 bytes (WebP with alpha, floats) for a moment. Pillow stops by
    itself at 179 million pixels (twice ``PIL.Image.MAX_IMAGE_PIXELS``) for some formats, however
    high ``max_pixels`` is.
    """

    max_bytes: int = 100 * 2**20
    max_pixels: int = 100_000_000

    def __post_init__(self) -> None:
        if self.max_bytes < 1 or self.max_pixels < 1:
            raise ValueError("limits must be at least 1")


@dataclass(frozen=True, slots=True, kw_only=True)
class DecodedImage:
    """An upright RGB picture. ``width`` and ``height`` are the original's after the EXIF turn;
    ``image`` is smaller when it was decoded at a reduced scale.
    """

    image: Image.Image
    width: int
    height: int


Box: TypeAlias = tuple[float, float, float, float]
"""Left, top, right and bottom of a part of a picture, in [0, 1] of its width and height."""

_LIMITS = Limits()
_T = TypeVar("_T")

# --- reading -----------------------------------------------------------------------------------


def read(path: str | bytes | os.PathLike[str], limits: Limits = _LIMITS) -> bytes:
    """The bytes of a regular file, read once.

    Never waits on a pipe and never opens a device. Raises ``UnreadableImageError``,
    ``ImageTooLargeError`` and, for an empty file or anything but a file, ``NotAnImageError``.
    """
    shown = os.fsdecode(path)
    try:
        # Before opening, because to open some devices is to act on them.
        _check_regular(os.stat(path).st_mode, shown)  # noqa: PTH116 - bytes too
        # NONBLOCK in case a pipe has taken the file's place since.
        flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
        with open(os.open(path, flags), "rb", buffering=0) as file:  # noqa: PTH123
            found = os.fstat(file.fileno())
            _check_regular(found.st_mode, shown)
            _check_bytes(found.st_size, limits, shown)
            chunks, size = [], 0
            while chunk := file.read(max(found.st_size + 1 - size, 2**16)):
                chunks.append(chunk)
                size += len(chunk)
                _check_bytes(size, limits, shown)  # again: a file may grow
    except OSError as error:
        raise UnreadableImageError(_why_unreadable(error, path), path=shown) from error
    if not chunks:
        raise NotAnImageError("the file is empty", path=shown)
    return b"".join(chunks)


def digest(data: bytes) -> str:
    """SHA-256 in hex: the identity of a file's content."""
    return hashlib.sha256(data).hexdigest()


def _check_regular(mode: int, path: str) -> None:
    if stat.S_ISREG(mode):
        return
    kinds = {
        stat.S_IFDIR: "a folder",
        stat.S_IFIFO: "a named pipe",
        stat.S_IFSOCK: "a socket",
        stat.S_IFCHR: "a device",
        stat.S_IFBLK: "a device",
    }
    what = kinds.get(stat.S_IFMT(mode), "something else")
    raise NotAnImageError(f"it is {what}, not a file", path=path)


def _check_bytes(size: int, limits: Limits, path: str | None = None) -> None:
    if size > limits.max_bytes:
        raise ImageTooLargeError(
            f"{_megabytes(size)}; the limit is {_megabytes(limits.max_bytes)}", path=path
        )


def _megabytes(size: int) -> str:
    if size < 2**20:
        return f"{size} bytes"
    return f"{size / 2**20:.4g} MB" if size < 1000 * 2**20 else f"{size / 2**20:.0f} MB"


def _why_unreadable(error: OSError, path: str | bytes | os.PathLike[str]) -> str:
    if error.errno == errno.ENOENT:
        dangling = os.path.islink(path)  # noqa: PTH114 - bytes too
        return "a link to a file that is not there" if dangling else "there is no such file"
    if error.errno == errno.ELOOP:
        return "a link that leads back to itself"
    if error.errno in {errno.EACCES, errno.EPERM}:
        return "no permission to read it"
    words = error.strerror or type(error).__name__
    return f"it could not be read ({words})"


# --- decoding ----------------------------------------------------------------------------------

# Format → where its parser lives. Pillow knows forty more (EPS calls Ghostscript): never reached.
_PLUGINS = {
    "AVIF": ("PIL.AvifImagePlugin", "AvifImageFile"),
    "BMP": ("PIL.BmpImagePlugin", "BmpImageFile"),
    "DIB": ("PIL.BmpImagePlugin", "DibImageFile"),
    "GIF": ("PIL.GifImagePlugin", "GifImageFile"),
    "HEIC": ("pillow_heif", "HeifImageFile"),
    # Not Pillow's factory, which turns camera files of several pictures into MPO: the first
    # picture is the one wanted, and its parser is this.
    "JPEG": ("PIL.JpegImagePlugin", "JpegImageFile"),
    "PNG": ("PIL.PngImagePlugin", "PngImageFile"),
    "TIFF": ("PIL.TiffImagePlugin", "TiffImageFile"),
    "WebP": ("PIL.WebPImagePlugin", "WebPImageFile"),
}


def decode(
    data: bytes, *, limits: Limits = _LIMITS, at_least: tuple[int, int] | None = None
) -> DecodedImage:
    """A picture file's bytes → its (first) picture, upright, sRGB, transparent parts white.

    With ``at_least`` (width, height, as seen upright) a JPEG may be decoded at 1/2, 1/4 or 1/8
    of its size such that neither side falls below, in a fraction of the time.

    Raises ``NotAnImageError``, ``BrokenImageError`` (a truncated file too, though most of it
    may be there) and ``ImageTooLargeError`` (known from the header, before any pixel).
    """
    return _checked_decode(
        data, limits, lambda kind, parser: _decode(data, kind, parser, limits, at_least)
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Layers:
    """All that can be seen of an image: it lies on white and, if parts of it are transparent, also
    on black. ``several``: the file holds further pages or frames.
    """

    grounds: tuple[Image.Image, ...]
    several: bool


def decode_layers(
    data: bytes, *, limits: Limits = _LIMITS, at_least: tuple[int, int] | None = None
) -> Layers:
    """Decode as ``decode`` does, but keep what a white ground hides.

    Raises what ``decode`` raises.
    """
    return _checked_decode(
        data, limits, lambda kind, parser: _layers(data, kind, parser, limits, at_least)
    )


def _checked_decode(
    data: bytes, limits: Limits, work: Callable[[str, Callable[[io.BytesIO], Image.Image]], _T]
) -> _T:
    """Do ``work`` with the kind of a file and its parser; what goes wrong becomes one sentence."""
    if not data:
        raise NotAnImageError("the file is empty")
    _check_bytes(len(data), limits)
    kind = format_of(data)
    if kind is None:
        raise NotAnImageError(what_instead(data))
    parser = _parser(kind)
    if kind == "WebP":
        # The parser below makes room for the whole canvas before it tells its size.
        _check_pixels(_webp_size(data), limits)
    if kind == "JPEG":
        _check_scans(data)
    try:
        return _quietly(lambda: work(kind, parser))
    except Image.DecompressionBombError as error:
        raise ImageTooLargeError(_pillows_limit(error)) from error
    except MemoryError as error:
        raise ImageTooLargeError("there is not enough memory to decode it") from error
    except DECODER_ERRORS as error:
        raise BrokenImageError(_harm(kind, data, error)) from error


def from_image(image: Image.Image) -> DecodedImage:
    """A picture that is already a Pillow image, brought to the form ``decode`` gives.

    ``image`` itself stays as it is (one that was opened lazily is loaded). Raises
    ``BrokenImageError`` when its pixels cannot be had.
    """
    if 0 in image.size:
        raise BrokenImageError("it has no pixels")
    try:
        return _quietly(lambda: _normal(image))
    except (*DECODER_ERRORS, Image.DecompressionBombError) as error:
        raise BrokenImageError("its pixels could not be loaded") from error


def from_array(array: NDArray[Any]) -> DecodedImage:
    """A picture from numbers: (h, w), (h, w, 1), (h, w, 3) or (h, w, 4) with alpha.

    uint8, or floats in [0, 1]; rows from the top, channels R, G, B. Raises ``ValueError``.
    """
    array = np.asarray(array)
    if array.ndim == 3 and array.shape[2] == 1:  # noqa: PLR2004
        array = array[:, :, 0]
    if not (array.ndim == 2 or (array.ndim == 3 and array.shape[2] in {3, 4})):  # noqa: PLR2004
        raise ValueError(
            f"a picture has the shape (h, w), (h, w, 1), (h, w, 3) or (h, w, 4), not {array.shape}"
        )
    if array.size == 0:
        raise ValueError(f"a picture has at least one pixel; the shape is {array.shape}")
    if np.issubdtype(array.dtype, np.floating):
        # Written so that NaN fails too.
        if not (array.min() >= 0 and array.max() <= 1):
            raise ValueError("a picture of floats has values from 0 to 1; use uint8 for 0 to 255")
        array = np.rint(array * 255).astype(np.uint8)
    elif array.dtype != np.uint8:
        raise ValueError(f"a picture is uint8, or floats from 0 to 1, not {array.dtype}")
    return from_image(Image.fromarray(np.ascontiguousarray(array)))


def _parser(kind: str) -> Any:  # noqa: ANN401 - Pillow's plugin classes share no useful type
    module, name = _PLUGINS[kind]
    try:
        parser = getattr(importlib.import_module(module), name)
    except ImportError as error:
        if kind != "HEIC":
            raise
        raise NotAnImageError(
            "it is a HEIC picture; to read these, run: pip install 'lookalike[heic]'"
        ) from error
    if kind == "TIFF":
        _silence_libtiff()
    if not getattr(sys.modules[module], "SUPPORTED", True):
        raise NotAnImageError(f"this build of Pillow cannot read {kind}")
    return parser


def _decode(
    data: bytes,
    kind: str,
    parser: Callable[[io.BytesIO], Image.Image],
    limits: Limits,
    at_least: tuple[int, int] | None,
) -> DecodedImage:
    image = _parsed(data, parser, limits)
    size, turn = _load(image, kind, at_least)
    upright = _upright(rgb(image), turn)
    if upright is image and kind != "JPEG":
        # Pillow's object keeps decoder and bytes alive; a JPEG's keeps neither.
        upright = image.copy()
    return _picture(upright, size, turn)


def _layers(
    data: bytes,
    kind: str,
    parser: Callable[[io.BytesIO], Image.Image],
    limits: Limits,
    at_least: tuple[int, int] | None,
) -> Layers:
    image = _parsed(data, parser, limits)
    several = kind != "JPEG" and getattr(image, "n_frames", 1) > 1
    _, turn = _load(image, kind, at_least)
    shown = [_upright(rgb(image), turn)]
    if image.has_transparency_data:
        shown.append(_upright(rgb(image, ground="black"), turn))
        if shown[0].tobytes() == shown[1].tobytes():  # nothing is seen through
            del shown[1]
    copies = tuple(one.copy() if one is image else one for one in shown)
    for one in copies:
        one.info = {}
    return Layers(grounds=copies, several=several)


def _parsed(
    data: bytes, parser: Callable[[io.BytesIO], Image.Image], limits: Limits
) -> Image.Image:
    image = parser(io.BytesIO(data))
    _check_pixels(image.size, limits)
    _check_tiles(image)
    return image


def _normal(image: Image.Image) -> DecodedImage:
    image.load()
    turn = _turn(image)
    upright = _upright(rgb(image), turn)
    if upright is image:
        upright = image.copy()
    return _picture(upright, image.size, turn)


def _load(
    image: Image.Image, kind: str, at_least: tuple[int, int] | None
) -> tuple[tuple[int, int], int]:
    """Decode the pixels. Answers the full (width, height) before the turn, and the turn."""
    if kind == "JPEG":
        size = image.size
        turn = _turn(image)  # needed now: the scale is chosen before the turn
        if at_least is not None:
            image.draft(None, at_least[::-1] if turn in _SIDEWAYS else at_least)
        image.load()
        return size, turn
    image.load()
    if kind in {"TIFF", "HEIC"}:  # turned by Pillow and by pillow-heif
        return image.size, 1
    return image.size, _turn(image)  # a PNG may tell its turn after the pixels


def _check_pixels(size: tuple[int, int], limits: Limits) -> None:
    width, height = size
    if width * height > limits.max_pixels:
        raise ImageTooLargeError(
            f"{_megapixels(width * height)} ({width} x {height}); "
            f"the limit is {_megapixels(limits.max_pixels)}"
        )


def _megapixels(pixels: int) -> str:
    return f"{pixels / 1e6:.0f} megapixels" if pixels >= 10**9 else f"{pixels / 1e6:.3g} megapixels"


def _pillows_limit(error: Exception) -> str:
    found = re.search(r"\d+", str(error))
    size = _megapixels(int(found[0])) if found else "far too many pixels"
    return f"{size}; the limit is {_megapixels(2 * (Image.MAX_IMAGE_PIXELS or 0))}, Pillow's own"


def _webp_size(data: bytes) -> tuple[int, int]:
    """Canvas (width, height) from the first chunk; (0, 0) if it tells none (then it is broken)."""
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


def _check_tiles(image: Image.Image) -> None:
    """Refuse what Pillow would do badly: pixels that no part of the file gives, which it leaves
    black, and run lengths in a BMP, which it spells out in Python at 15 megapixels a second.
    """
    tiles = getattr(image, "tile", [])
    pixels = image.width * image.height
    if tiles and tiles[0].codec_name == "bmp_rle":
        _check_pixels(image.size, Limits(max_pixels=_MOST_RLE_PIXELS))
    corners = [tile.extents for tile in tiles if tile.extents is not None]
    given = sum((right - left) * (bottom - top) for left, top, right, bottom in corners)
    if image.format == "TIFF" and given < pixels:
        raise OSError("truncated: fewer strips than rows")


# A scan is one pass over all pixels, and twenty bytes can ask for one: a megabyte can keep a
# core busy for an hour. Cameras and tools write at most a dozen.
_MOST_SCANS = 100
_MARKER = re.compile(rb"\xff[\xc0-\xcf\xd9-\xfe]")


def _check_scans(data: bytes) -> None:
    if data.count(b"\xff\xda") <= _MOST_SCANS:  # quick, and counts too many if anything
        return
    scans, at = 0, 2
    while (found := _MARKER.search(data, at)) and found[0] != b"\xff\xd9":
        scans += found[0] == b"\xff\xda"
        at = found.end() + max(int.from_bytes(data[found.end() : found.end() + 2], "big"), 2)
    if scans > _MOST_SCANS:
        raise BrokenImageError(f"the JPEG file has {scans} scans, which no real picture has")


def _harm(kind: str, data: bytes, error: BaseException) -> str:
    if "Decompressed data too large" in str(error):
        return f"the {kind} file holds text or a colour profile that unpacks to over a megabyte"
    harm = "cut off" if cut_off(kind, data, error) else "damaged"
    return f"the {kind} file is {harm}"


# --- turn --------------------------------------------------------------------------------------

# EXIF orientation → what brings the picture upright.
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_SIDEWAYS = frozenset({5, 6, 7, 8})
_ORIENTATION = 0x0112


def _turn(image: Image.Image) -> int:
    """EXIF orientation 1 to 8; 1 where there is none, or metadata is broken."""
    try:
        value = image.getexif().get(_ORIENTATION, 1)
    except DECODER_ERRORS:
        return 1
    return value if isinstance(value, int) and value in _TURNS else 1


def _upright(image: Image.Image, turn: int) -> Image.Image:
    return image if turn == 1 else image.transpose(_TURNS[turn])


def _picture(image: Image.Image, size: tuple[int, int], turn: int) -> DecodedImage:
    width, height = size[::-1] if turn in _SIDEWAYS else size
    image.info = {}  # a profile or EXIF turn left there would be applied once more
    return DecodedImage(image=image, width=width, height=height)


# --- parts of a picture ------------------------------------------------------------------------


def crop_image(picture: DecodedImage, box: Box) -> DecodedImage:
    """The part of an upright picture that ``box`` says, at least a pixel of it.

    ``width`` and ``height`` are the part's, in pixels of the original. Raises ``ValueError`` for
    an impossible box.
    """
    left, top, right, bottom = _checked(box)
    width, height = picture.image.size
    x, y = min(int(left * width), width - 1), min(int(top * height), height - 1)
    corner = max(round(right * width), x + 1), max(round(bottom * height), y + 1)
    return DecodedImage(
        image=picture.image.crop((x, y, *corner)),
        width=max(round((right - left) * picture.width), 1),
        height=max(round((bottom - top) * picture.height), 1),
    )


def size_for_crop(at_least: tuple[int, int], box: Box) -> tuple[int, int]:
    """How large a picture must be decoded for the part ``box`` of it to be ``at_least`` so."""
    left, top, right, bottom = _checked(box)
    return math.ceil(at_least[0] / (right - left)), math.ceil(at_least[1] / (bottom - top))


def _checked(box: Box) -> Box:
    left, top, right, bottom = box
    if not (0 <= left < right <= 1 and 0 <= top < bottom <= 1):
        raise ValueError(
            f"a part of a picture is (left, top, right, bottom) from 0 to 1, not {tuple(box)}"
        )
    return box


# --- thumbnails and versions -------------------------------------------------------------------


def load_preview(
    source: Path | bytes | None, side: int, limits: Limits = _LIMITS
) -> Image.Image | None:
    """A picture to look at, at least ``side`` pixels if it has them; ``None`` for none, or one that
    is gone or cannot be read.
    """
    if source is None:
        return None
    try:
        data = source if isinstance(source, bytes) else read(source, limits=limits)
        return decode(data, limits=limits, at_least=(side, side)).image
    except ImageError:
        return None


def encode_thumbnail(image: Image.Image, side: int) -> bytes:
    """A JPEG of an RGB picture, at most ``side`` pixels on the longer side, never enlarged.

    JPEG and not WebP: half a kilobyte to two more each, but a tenth of the time.
    """
    if side < 1:
        raise ValueError("a thumbnail has a side of at least 1")
    scale = min(1.0, side / max(image.size))
    size = max(1, round(image.width * scale)), max(1, round(image.height * scale))
    small = image.convert("RGB") if image.mode != "RGB" else image
    if size != image.size:
        small = small.resize(size, Image.Resampling.BICUBIC, reducing_gap=2.0)
    file = io.BytesIO()
    small.save(file, "JPEG", quality=80, optimize=True)
    return file.getvalue()


@cache
def reader_version() -> str:
    """Changes when a file that could not be read is worth another try."""
    heic = importlib.util.find_spec("pillow_heif") is not None
    return f"{_REVISION}; pillow {PIL.__version__}; {'heic' if heic else 'no heic'}"


# --- silence -----------------------------------------------------------------------------------


# Pillow logs an error or two; without a handler Python would print them to the terminal.
logging.getLogger("PIL").addHandler(logging.NullHandler())


@cache
def _silence_libtiff() -> None:
    """Stop libtiff from printing to stderr, which Pillow leaves on and has no call to turn off.

    Where its symbols cannot be reached (Windows) it goes on printing.
    """
    import ctypes  # noqa: PLC0415 - few pictures are TIFFs

    with contextlib.suppress(OSError, AttributeError):
        codecs = importlib.import_module("PIL._imaging").__file__
        setter = ctypes.CDLL(codecs).TIFFSetErrorHandler
        setter.argtypes, setter.restype = [ctypes.c_void_p], ctypes.c_void_p
        setter(None)


class _OnThisThread(threading.local):
    """Stands where a warning filter has its module pattern: matches while this thread decodes."""

    decoding = False

    def match(self, _module: str) -> bool:
        return self.decoding


_here = _OnThisThread()
_filter: Any = ("ignore", None, Warning, _here, 0)
_filters_lock = threading.Lock()


def _quietly(work: Callable[[], _T]) -> _T:
    """Do ``work``, and keep Pillow's warnings from the user: a truncated tag is no news, and its
    bomb warning is our limit's business.

    ``warnings.catch_warnings`` swaps a list that all threads share (before Python 3.14's
    context-aware warnings), so two loader threads would restore each other's. This filter is put
    in front and stays: it is blind but on a thread that is just decoding.
    """
    if getattr(sys.flags, "context_aware_warnings", False):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return work()
    for _ in range(_TRIES):
        filters: list[Any] = warnings.filters  # type: ignore[assignment]
        if not filters or filters[0] is not _filter:
            with _filters_lock:
                if _filter in filters:
                    filters.remove(_filter)
                filters.insert(0, _filter)
        _here.decoding = True
        try:
            return work()
        except Warning:  # another thread has just put "warnings are errors" in front of ours
            continue
        finally:
            _here.decoding = False
    raise BrokenImageError("it was disturbed while decoding; try again")


_TRIES = 10
