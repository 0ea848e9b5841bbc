"""Bytes → an upright image in sRGB, or an ``ImageError`` that says why not.

    read(path) → digest, decode → DecodedImage → (the encoder's prepare, thumbnail)

Files are treated as hostile. Only the parsers named in ``opening`` are ever reached, sizes are
checked before pixels are decoded, and whatever makes a decoder fail becomes one plain sentence.
"""

import contextlib
import importlib.util
import re
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, TypeVar

import numpy as np
import PIL
from numpy.typing import NDArray
from PIL import Image

from lookalike.errors import BrokenImageError, ImageTooLargeError, NotAnImageError
from lookalike.images.colour import rgb
from lookalike.images.formats import DECODER_ERRORS, describe_other, format_of, is_cut_off
from lookalike.images.grounds import is_blank, is_empty
from lookalike.images.kinds import describe_kind
from lookalike.images.limits import DEFAULT_LIMITS, Limits, check_bytes, format_megapixels
from lookalike.images.opening import OpenedImage, open_image
from lookalike.images.orientation import SIDEWAYS, make_upright, read_orientation
from lookalike.images.quiet import run_quietly
from lookalike.images.raw import is_raw
from lookalike.images.records import DecodedImage, Layers
from lookalike.images.repairing import repairs
from lookalike.images.weight import take_turn

__all__ = [
    "SUFFIXES",
    "decode",
    "decode_layers",
    "from_array",
    "from_image",
    "reader_version",
]

# fmt: off
SUFFIXES = frozenset({
    ".apng", ".avif", ".avifs", ".bmp", ".dib", ".gif", ".heic", ".heics", ".heif", ".heifs",
    ".hif", ".ico", ".jfif", ".jp2", ".jpe", ".jpeg", ".jpf", ".jpg", ".jpx", ".j2k", ".jxl",
    ".png", ".psd", ".tif", ".tiff", ".webp",
    # camera raw files
    ".3fr", ".arw", ".cr2", ".cr3", ".dng", ".erf", ".iiq", ".nef", ".nrw", ".orf", ".pef", ".raf",
    ".rw2", ".srw", ".x3f",
})
# fmt: on
"""Lower-case suffixes of the files that a scan lists. The bytes decide what a file really is."""

# Raised whenever a file that failed before could now be read, or is read differently.
_REVISION = 2

_T = TypeVar("_T")


def decode(
    data: bytes, *, limits: Limits = DEFAULT_LIMITS, at_least: tuple[int, int] | None = None
) -> DecodedImage:
    """Return the (first) image in a file's bytes: upright, in sRGB, without transparent parts.

    The ground is white, or black where white would hide the content; of several frames or pages,
    the first that shows something is taken. ``DecodedImage.notes`` say so.

    With ``at_least`` (width, height, of the upright image), a JPEG may be decoded at 1/2, 1/4 or
    1/8 of its size, in a fraction of the time; neither side falls below ``at_least``.

    Raise ``NotAnImageError``, ``BrokenImageError`` (also for a truncated file, however little is
    missing) and ``ImageTooLargeError`` (known from the header, before any pixel is decoded).
    """
    return _decode_checked(data, limits, lambda opened: _decode(opened, at_least))


def decode_layers(
    data: bytes, *, limits: Limits = DEFAULT_LIMITS, at_least: tuple[int, int] | None = None
) -> Layers:
    """Decode as ``decode`` does, but keep what a white ground hides. Raise as ``decode``."""
    return _decode_checked(data, limits, lambda opened: _decode_layers(opened, at_least))


def _decode_checked(data: bytes, limits: Limits, work: Callable[[OpenedImage], _T]) -> _T:
    """Return what ``work`` makes of an opened file. Turn failures into one sentence."""
    if not data:
        raise NotAnImageError("the file is empty")
    check_bytes(len(data), limits)
    kind = "raw" if is_raw(data) else format_of(data)
    if kind is None:
        raise NotAnImageError(describe_other(data))
    try:
        with take_turn(data, kind):
            return run_quietly(lambda: work(open_image(data, kind, limits)))
    except Image.DecompressionBombError as error:
        raise ImageTooLargeError(_describe_limit(error)) from error
    except MemoryError as error:
        raise ImageTooLargeError("there is not enough memory to decode it") from error
    except DECODER_ERRORS as error:
        unread = describe_kind(kind, data, error)
        if unread is not None:
            raise NotAnImageError(unread) from error
        found = run_quietly(lambda: _work_on_repaired(data, kind, limits, work))
        if found is None:
            raise BrokenImageError(_describe_harm(kind, data, error)) from error
        return found


def _work_on_repaired(
    data: bytes, kind: str, limits: Limits, work: Callable[[OpenedImage], _T]
) -> _T | None:
    """Return what ``work`` makes of the file without what cannot be read; ``None`` if nothing."""
    for repaired in repairs(data, kind, limits):
        with contextlib.suppress(Image.DecompressionBombError, *DECODER_ERRORS):
            opened = open_image(repaired.data, kind, limits)
            if repaired.profile is not None:
                opened.image.info["icc_profile"] = repaired.profile
            if repaired.note is not None:
                opened.notes.append(repaired.note)
            return work(opened)
    return None


def from_image(image: Image.Image) -> DecodedImage:
    """Return a Pillow image in the form that ``decode`` gives.

    ``image`` itself is not changed (one that was opened lazily is loaded). Raise
    ``BrokenImageError`` if its pixels cannot be loaded.
    """
    if 0 in image.size:
        raise BrokenImageError("it has no pixels")
    try:
        return run_quietly(lambda: _normalise(image))
    except (*DECODER_ERRORS, Image.DecompressionBombError) as error:
        raise BrokenImageError("its pixels could not be loaded") from error


def from_array(array: NDArray[Any]) -> DecodedImage:
    """Return an image from an array: (h, w), (h, w, 1), (h, w, 3), or (h, w, 4) with alpha.

    Values are uint8, or floats in [0, 1]; rows go from the top, channels are R, G, B. Raise
    ``ValueError`` for any other array.
    """
    array = np.asarray(array)
    if array.ndim == 3 and array.shape[2] == 1:  # noqa: PLR2004
        array = array[:, :, 0]
    if not (array.ndim == 2 or (array.ndim == 3 and array.shape[2] in {3, 4})):  # noqa: PLR2004
        raise ValueError(
            f"an image has the shape (h, w), (h, w, 1), (h, w, 3) or (h, w, 4), not {array.shape}"
        )
    if array.size == 0:
        raise ValueError(f"an image has at least one pixel; the shape is {array.shape}")
    if np.issubdtype(array.dtype, np.floating):
        # Written so that NaN fails too.
        if not (array.min() >= 0 and array.max() <= 1):
            raise ValueError("an image of floats has values from 0 to 1; use uint8 for 0 to 255")
        array = np.rint(array * 255).astype(np.uint8)
    elif array.dtype != np.uint8:
        raise ValueError(f"an image is uint8, or floats from 0 to 1, not {array.dtype}")
    return from_image(Image.fromarray(np.ascontiguousarray(array)))


def _decode(opened: OpenedImage, at_least: tuple[int, int] | None) -> DecodedImage:
    size, turn = _load(opened, at_least)
    image = opened.image
    shown = rgb(image)
    upright = make_upright(shown.image, turn)
    if upright is image and opened.kind != "JPEG":
        # Pillow's object keeps decoder and bytes alive; a JPEG's keeps neither.
        upright = _detach(image)
    return _as_decoded(upright, size, turn, [*opened.notes, shown.note])


def _detach(image: Image.Image) -> Image.Image:
    """Return the loaded pixels without their decoder; a copy would take as much memory again."""
    if type(image) is Image.Image:
        return image
    detached = Image.Image()
    detached.im, detached._mode, detached._size = image.im, image.mode, image.size  # noqa: SLF001
    return detached


def _decode_layers(opened: OpenedImage, at_least: tuple[int, int] | None) -> Layers:
    several = opened.kind not in {"JPEG", "PSD"} and getattr(opened.image, "n_frames", 1) > 1
    _, turn = _load(opened, at_least)
    image = opened.image
    shown = [make_upright(rgb(image, ground="white").image, turn)]
    if image.has_transparency_data:
        shown.append(make_upright(rgb(image, ground="black").image, turn))
        if shown[0].tobytes() == shown[1].tobytes():  # nothing is seen through
            del shown[1]
    copies = tuple(one.copy() if one is image else one for one in shown)
    for one in copies:
        one.info = {}
    return Layers(grounds=copies, several=several)


def _normalise(image: Image.Image) -> DecodedImage:
    image.load()
    turn = read_orientation(image)
    shown = rgb(image)
    upright = make_upright(shown.image, turn)
    if upright is image:
        upright = image.copy()
    return _as_decoded(upright, image.size, turn, [shown.note])


def _load(opened: OpenedImage, at_least: tuple[int, int] | None) -> tuple[tuple[int, int], int]:
    """Decode the pixels. Return the full (width, height) before turning, and the orientation."""
    image = opened.image
    if opened.kind == "JPEG":
        size = image.size
        # Needed now: the scale is chosen before the turn.
        turn = read_orientation(image) if opened.turn is None else opened.turn
        if at_least is not None:
            image.draft(None, at_least[::-1] if turn in SIDEWAYS else at_least)
        image.load()
        return size, turn
    image.load()
    _skip_empty_frames(opened)
    image = opened.image
    if opened.crop is not None:
        opened.image = image = image.crop(opened.crop)
    turn = read_orientation(image) if opened.turn is None else opened.turn
    return image.size, turn  # a PNG may tell its turn after the pixels


_MOST_FRAMES = 64  # that are looked at


def _skip_empty_frames(opened: OpenedImage) -> None:
    """Go on to the first frame or page that shows something, if there is one."""
    image = opened.image
    if opened.kind == "PSD" or not getattr(image, "is_animated", False) or not is_empty(image):
        return  # the layers of a Photoshop document are no frames
    first = image.copy()  # going back is not reliable: some animations come out black
    pixels = image.width * image.height
    for number in range(1, min(image.n_frames, _MOST_FRAMES)):  # type: ignore[attr-defined]
        try:
            image.seek(number)
            if image.width * image.height > pixels:
                break  # checked against the limit were those of the first one
            image.load()
        except DECODER_ERRORS:
            break
        if not is_empty(image):
            opened.notes.append(f"frame {number + 1} was used; those before it are blank")
            return
    opened.image = first


def _describe_limit(error: Exception) -> str:
    found = re.search(r"\d+", str(error))
    size = format_megapixels(int(found[0])) if found else "far too many pixels"
    limit = format_megapixels(2 * (Image.MAX_IMAGE_PIXELS or 0))
    return f"{size}; the limit is {limit}, Pillow's own"


def _describe_harm(kind: str, data: bytes, error: BaseException) -> str:
    harm = "cut off" if is_cut_off(kind, data, error) else "damaged"
    return f"the {kind} file is {harm}"


def _as_decoded(
    image: Image.Image, size: tuple[int, int], turn: int, notes: Sequence[str | None]
) -> DecodedImage:
    width, height = size[::-1] if turn in SIDEWAYS else size
    image.info = {}  # a profile or EXIF turn left there would be applied once more
    return DecodedImage(
        image=image,
        width=width,
        height=height,
        notes=tuple(note for note in notes if note is not None),
        blank=is_blank(image),
    )


@cache
def reader_version() -> str:
    """Return a text that changes when files that could not be read are worth another try."""
    found = [name for name, spec in _OPTIONAL.items() if importlib.util.find_spec(spec) is not None]
    return f"{_REVISION}; pillow {PIL.__version__}; {', '.join(found)}"


_OPTIONAL = {
    "heic": "pi_heif",
    "newer heic": "pillow_heif",
    "jxl": "pillow_jxl",
    "raw": "rawpy",
    "tiff": "tifffile",
    "tiff codecs": "imagecodecs",
}
