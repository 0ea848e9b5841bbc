"""TIFF files: which reader gets the pixels right, and what a file says that neither can read.

Pillow reads the common kinds, fast and under limits. What it takes for something else (byte order,
planes, unsigned numbers) or does not know goes to tifffile, where that can read it.
"""

import io
import logging
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lookalike.errors import BrokenImageError, ImageError, NotAnImageError
from lookalike.images.deep import stretch_to_bytes
from lookalike.images.formats import DECODER_ERRORS
from lookalike.images.limits import Limits, check_pixels
from lookalike.images.tiff_directories import Directory, read_directories

__all__ = [
    "check_kind",
    "check_strips",
    "describe_page",
    "main_page",
    "pillow_is_right",
    "read_with_tifffile",
    "repair_palette",
]

logging.getLogger("tifffile").addHandler(logging.NullHandler())

_SUBFILE, _WIDTH, _HEIGHT, _BITS, _COMPRESSION, _COLOUR_SPACE = 254, 256, 257, 258, 259, 262
_STRIPS, _SAMPLES, _ROWS, _STRIP_BYTES, _PLANAR, _COLOURS = 273, 277, 278, 279, 284, 320
_TILE_WIDTH, _TILE_HEIGHT, _TILES, _EXTRA, _FORMAT, _PROFILE = 322, 323, 324, 338, 339, 34675
_NEEDED = (_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _COLOUR_SPACE, _STRIPS, _SAMPLES, _PLANAR, _TILES)
_UNSIGNED, _SIGNED, _FLOAT = 1, 2, 3  # sample formats
_SEPARATE = 2  # planes
_DEEPEST_OF_PILLOW = 16
_RAW, _OLD_JPEG, _JPEG = 1, 6, 7  # compressions
_SUBSAMPLING = 530
_YCBCR = 6
_FAX = {2, 3, 4}  # compressions of single bits
_REDUCED_OR_MASK = 1 | 4


def main_page(data: bytes) -> Directory | None:
    """Return the directory of the first page that is no reduced version of another, nor a mask."""
    pages = [one for one in read_directories(data) if one.main is not None]
    whole = (one for one in pages if not one.number(_SUBFILE) & _REDUCED_OR_MASK)
    return next(whole, pages[0] if pages else None)


def check_strips(page: Directory) -> None:
    """Raise ``BrokenImageError`` where strips, tiles or what describes them are missing."""
    if any(tag in page and not page.numbers(tag) for tag in _NEEDED):
        raise BrokenImageError("the TIFF file is cut off or damaged: its description is incomplete")
    offsets = page.numbers(_TILES) or page.numbers(_STRIPS)
    if not offsets:
        return  # an old kind of JPEG in a TIFF has none
    width, height = page.number(_WIDTH), page.number(_HEIGHT)
    if _TILES in page:
        across, down = page.number(_TILE_WIDTH), page.number(_TILE_HEIGHT)
    else:
        across, down = width, min(page.number(_ROWS, height), height)
    if min(width, height, across, down) <= 0:
        return  # the reader refuses it
    needed = math.ceil(width / across) * math.ceil(height / down)
    if page.number(_PLANAR, 1) == _SEPARATE:  # planes of which nothing is known are not read
        needed *= max(page.number(_SAMPLES, 1) - page.numbers(_EXTRA).count(0), 1)
    if len(offsets) < needed or 0 in offsets[:needed]:
        raise BrokenImageError("the TIFF file is cut off: strips of it are missing")


def check_kind(page: Directory) -> None:
    """Raise ``NotAnImageError`` for layouts that every reader here takes for another."""
    tiles_as_strips = _TILE_WIDTH in page and _TILES not in page
    plain = page.number(_COMPRESSION, _RAW) not in {_OLD_JPEG, _JPEG}
    coarse = page.number(_COLOUR_SPACE) == _YCBCR and page.numbers(_SUBSAMPLING, (2, 2)) != (1, 1)
    separate = page.number(_PLANAR, 1) == _SEPARATE
    raw = page.number(_COMPRESSION, _RAW) == _RAW
    if tiles_as_strips or (coarse and plain and (separate or raw)):
        raise NotAnImageError(f"a kind of TIFF that is not read ({describe_page(page)})")


def pillow_is_right(page: Directory) -> bool:
    """Return whether Pillow, if it opens this page at all, gets its pixels right."""
    swapped = page.order == ">"
    if page.big and swapped:
        return False
    compressed = page.number(_COMPRESSION, _RAW) != _RAW
    bits = max(page.numbers(_BITS, (1,)))
    formats = set(page.numbers(_FORMAT, (_UNSIGNED,)))
    if formats & {_SIGNED, _FLOAT}:
        # It gives the bytes of compressed numbers in the wrong order, and takes -1 for 255.
        return not (compressed and swapped) and bits > 8  # noqa: PLR2004
    if bits > _DEEPEST_OF_PILLOW:
        return False  # it takes large unsigned numbers for negative ones
    planes = page.number(_PLANAR, 1) == _SEPARATE and page.number(_SAMPLES, 1) > 1
    return not (planes and bits > 8 and not compressed)  # noqa: PLR2004 - it reads single bytes


def repair_palette(image: Image.Image, page: Directory) -> None:
    """Give an image the colours of a palette of bytes, which Pillow takes for 16-bit numbers."""
    colours = page.numbers(_COLOURS)
    if image.mode in {"P", "PA"} and colours and 0 < max(colours) <= 255:  # noqa: PLR2004
        third = len(colours) // 3
        planes = np.array(colours[: third * 3], np.uint8).reshape(3, third)
        image.putpalette(np.ascontiguousarray(planes.T).tobytes(), "RGB")


def read_with_tifffile(page: Directory, limits: Limits) -> Image.Image:
    """Return the pixels of a page, turned as they are stored, read by tifffile.

    Raise ``NotAnImageError`` for a kind that it cannot read either, and as ``check_pixels``.
    """
    width, height = page.number(_WIDTH), page.number(_HEIGHT)
    samples = page.number(_SAMPLES, 1)
    if width < 1 or height < 1 or samples < 1 or page.main is None:
        raise BrokenImageError("the TIFF file is damaged")
    check_pixels((width, height), limits)
    # A tile may be larger than the image, and many samples take as much room as many pixels.
    check_pixels((page.number(_TILE_WIDTH, 1), page.number(_TILE_HEIGHT, 1)), limits)
    kind = describe_page(page)
    if page.number(_COMPRESSION) in _FAX and page.numbers(_BITS, (1,)) != (1,):
        raise BrokenImageError("the TIFF file is damaged")
    if samples > 8:  # noqa: PLR2004 - satellites have more, but then three of them are no colours
        raise NotAnImageError(f"a kind of TIFF that is not read ({kind})")
    try:
        array = _load(page, kind)
        image = _to_image(array, page, kind)
    except ImageError:
        raise
    except DECODER_ERRORS as error:
        raise BrokenImageError("the TIFF file is damaged") from error
    profile = page.tags.get(_PROFILE)
    if profile is not None:
        image.info["icc_profile"] = page.data[profile.at : profile.at + profile.count]
    return image


def _load(page: Directory, kind: str) -> NDArray[Any]:
    """Return the samples (h, w, s) of a page."""
    import tifffile  # noqa: PLC0415 - few files need it

    try:
        import imagecodecs  # noqa: F401, PLC0415
    except ImportError:
        # Its own fallbacks put no bound on what a strip unpacks to.
        if page.number(_COMPRESSION, _RAW) != _RAW:
            raise NotAnImageError(
                f"a kind of TIFF that is read only with more codecs ({kind}): "
                "pip install 'lookalike[tiff]'"
            ) from None
    with tifffile.TiffFile(io.BytesIO(page.data)) as file:
        try:
            found: Any = file.pages[page.main or 0]
            if found.imagedepth != 1:
                raise NotAnImageError(f"a kind of TIFF that is not read ({kind}, in depth)")
            array = np.asarray(found.asarray(maxworkers=1))
        except (ValueError, NotImplementedError, KeyError, TypeError) as error:
            words = str(error).lower()
            if any(one in words for one in ("corrupt", "truncated", "read ", "bytes")):
                raise BrokenImageError("the TIFF file is damaged") from error
            raise NotAnImageError(f"a kind of TIFF that is not read ({kind})") from error
    samples = page.number(_SAMPLES, 1)
    width, height = page.number(_WIDTH), page.number(_HEIGHT)
    if page.number(_PLANAR, 1) == _SEPARATE and samples > 1:
        array = np.moveaxis(array.reshape(samples, height, width), 0, -1)
    return array.reshape(height, width, samples)


def _to_image(array: NDArray[Any], page: Directory, kind: str) -> Image.Image:
    """Return samples (h, w, s) as an image of 8 bits."""
    space = page.number(_COLOUR_SPACE, 0)
    if space == _YCBCR and page.number(_COMPRESSION, _RAW) == _JPEG:
        space = 2  # the codec gives RGB
    bits = max(page.numbers(_BITS, (1,)))
    mode, colours = {0: ("L", 1), 1: ("L", 1), 2: ("RGB", 3), 5: ("CMYK", 4)}.get(space, ("", 0))
    if not mode or array.shape[2] < colours or array.dtype.kind not in "uifb":
        raise NotAnImageError(f"a kind of TIFF that is not read ({kind})")
    flat = _to_bytes(array[:, :, :colours], bits)
    if space == 0:
        flat = 255 - flat
    image = Image.fromarray(np.ascontiguousarray(flat[:, :, 0] if colours == 1 else flat), mode)
    extra = page.number(_EXTRA, 0)
    if mode == "CMYK" or extra not in {1, 2} or array.shape[2] == colours:
        return image
    alpha = Image.fromarray(np.ascontiguousarray(_to_alpha(array[:, :, colours], bits)))
    layered = image.convert("RGB")
    layered.putalpha(alpha)
    if extra == 1:  # colours that are multiplied by alpha already
        return Image.frombytes("RGBa", layered.size, layered.tobytes()).convert("RGBA")
    return layered


def _to_bytes(values: NDArray[Any], bits: int) -> NDArray[np.uint8]:
    if values.dtype.kind == "b":
        return values.astype(np.uint8) * np.uint8(255)
    if values.dtype.kind == "u" and bits <= _DEEPEST_OF_PILLOW:
        top = 2**bits - 1
        grey: NDArray[np.uint8] = np.rint(values.astype(np.float32) * (255 / top)).astype(np.uint8)
        return grey
    return stretch_to_bytes(values)


def _to_alpha(values: NDArray[Any], bits: int) -> NDArray[np.uint8]:
    """Return alpha, whose full range is always meant: that of its type, or 0 to 1."""
    if values.dtype.kind in "ui":
        top = 2**bits - 1 if values.dtype.kind == "u" else 2 ** (bits - 1) - 1
        values = values.astype(np.float64) / top
    shares: NDArray[np.float64] = np.nan_to_num(np.asarray(values, np.float64)).clip(0, 1)
    return np.rint(shares * 255).astype(np.uint8)


_NAMES = {
    0: "grey", 1: "grey", 2: "RGB", 3: "palette", 4: "mask", 5: "CMYK", 6: "YCbCr", 8: "Lab",
    9: "ICC Lab", 10: "ITU Lab", 32803: "sensor values", 32844: "LogL", 32845: "LogLuv",
    34892: "linear sensor values",
}  # fmt: skip
_FORMATS = {_SIGNED: "signed", _FLOAT: "float", 5: "complex", 6: "complex"}
_COMPRESSIONS = {
    2: "CCITT", 3: "fax", 4: "fax", 5: "LZW", 6: "old JPEG", 7: "JPEG", 8: "deflate", 9: "JBIG",
    10: "JBIG", 32773: "PackBits", 32809: "ThunderScan", 32946: "deflate", 34661: "JBIG",
    34676: "SGI Log", 34677: "SGI Log", 34712: "JPEG 2000", 34887: "LERC", 34925: "LZMA",
    34934: "JPEG XR", 50000: "Zstandard", 50001: "WebP", 50002: "JPEG XL", 52546: "JPEG XL",
}  # fmt: skip


def describe_page(page: Directory) -> str:
    """Return the kind of a page in a few words, as ``16-bit CMYK with 1 more channel``."""
    space = page.number(_COLOUR_SPACE, 0)
    compression = page.number(_COMPRESSION, _RAW)
    words = [f"{max(page.numbers(_BITS, (1,)))}-bit"]
    words += [_FORMATS[one] for one in {page.number(_FORMAT, 1)} if one in _FORMATS]
    words.append(_NAMES.get(space, f"colour space {space}"))
    colours = {2: 3, 5: 4, 6: 3, 8: 3, 9: 3}.get(space, 1)
    more = page.number(_SAMPLES, 1) - colours
    if more > 0:
        words.append("with alpha" if more == 1 else f"with {more} more channels")
    text = " ".join(words)
    if compression != _RAW:
        text += f", compression {_COMPRESSIONS.get(compression, compression)}"
    return f"{text}, big-endian BigTIFF" if page.big and page.order == ">" else text
