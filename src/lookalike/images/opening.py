"""A file's bytes → an image whose size is known and checked, and whose pixels are not decoded yet.

Only the parsers that are named here are ever reached.
"""

import importlib
import io
import re
import struct
import sys
from dataclasses import dataclass, field
from typing import Any

from PIL import Image

from lookalike.errors import BrokenImageError, NotAnImageError
from lookalike.images import tiff
from lookalike.images.heif_boxes import read_crop
from lookalike.images.limits import Limits, check_pixels
from lookalike.images.quiet import silence_libtiff
from lookalike.images.raw import find_preview
from lookalike.images.structure import check_channels, check_scans, check_tiles, jxl_size, webp_size

__all__ = ["OpenedImage", "open_image"]

# Format → its parsers, best first. Pillow has forty more (EPS calls Ghostscript), which are never
# reached.
_PLUGINS = {
    "AVIF": [("PIL.AvifImagePlugin", "AvifImageFile")],
    "BMP": [("PIL.BmpImagePlugin", "BmpImageFile")],
    "DIB": [("PIL.BmpImagePlugin", "DibImageFile")],
    "GIF": [("PIL.GifImagePlugin", "GifImageFile")],
    # The first has newer codecs, but its wheels are under the GPL, so it is an extra.
    "HEIC": [("pillow_heif", "HeifImageFile"), ("pi_heif", "HeifImageFile")],
    # Not Pillow's factory, which turns camera files of several images into MPO: the first
    # image is the one wanted, and its parser is this.
    "JPEG": [("PIL.JpegImagePlugin", "JpegImageFile")],
    "ICO": [("PIL.IcoImagePlugin", "IcoImageFile")],
    "JPEG 2000": [("PIL.Jpeg2KImagePlugin", "Jpeg2KImageFile")],
    "JPEG XL": [("pillow_jxl.JpegXLImagePlugin", "JXLImageFile")],
    "PNG": [("PIL.PngImagePlugin", "PngImageFile")],
    "PSD": [("PIL.PsdImagePlugin", "PsdImageFile")],
    "TIFF": [("PIL.TiffImagePlugin", "TiffImageFile")],
    "WebP": [("PIL.WebPImagePlugin", "WebPImageFile")],
}
_EXTRAS = {"HEIC": "heic", "JPEG XL": "jxl"}
_WIDTH, _HEIGHT, _ORIENTATION = 256, 257, 274  # TIFF tags
_UNKNOWN = (
    "unknown pixel mode",
    "unknown data organization",
    "Windows Media",
    "Invalid value for samples per pixel",
)


@dataclass(slots=True, kw_only=True)
class OpenedImage:
    """An image of the format ``kind``, within the limits.

    ``crop`` (left, top, right, bottom) is the part that the file asks to show, in pixels before the
    turn. ``turn`` is its EXIF orientation where that is known apart from ``image``; 1 for an image
    that its reader turns upright. ``notes`` say what was chosen or left out.
    """

    image: Image.Image
    kind: str
    turn: int | None = None
    crop: tuple[int, int, int, int] | None = None
    notes: list[str] = field(default_factory=list)


def open_image(data: bytes, kind: str, limits: Limits) -> OpenedImage:
    """Open a file of a format that ``format_of`` recognised.

    Raise ``ImageError``, and whatever parsers raise (``DECODER_ERRORS``).
    """
    _check_before_parsing(data, kind, limits)
    if kind == "TIFF":
        return _open_tiff(data, limits)
    if kind == "raw":
        return _open_raw(data, limits)
    image = _parse(data, kind, limits)
    opened = OpenedImage(image=image, kind=kind, turn=1 if kind in {"HEIC", "JPEG XL"} else None)
    if kind == "PNG":
        _scale_clear_colour(image, data)
    elif kind == "PSD" and image.mode == "RGBA" and not _psd_is_transparent(data):
        image.load()
        opened.image = image.convert("RGB")  # the fourth channel is a stored selection
        opened.image.info = dict(image.info)
    elif kind == "AVIF":
        opened.crop = read_crop(data, image.size)
    return opened


def _check_before_parsing(data: bytes, kind: str, limits: Limits) -> None:
    """Check what parsers act on before they say it."""
    if kind == "WebP":
        # The parser below allocates the whole canvas before it gives its size.
        check_pixels(webp_size(data), limits)
    if kind == "JPEG XL":  # likewise, all its pixels
        check_pixels(jxl_size(data), limits)
    if kind == "JPEG 2000":
        check_channels(data)
    if kind == "JPEG":
        check_scans(data)
    if kind == "ICO":
        for found in _PNG_SIZE.finditer(data):  # an icon's sizes say nothing of a PNG inside
            check_pixels(struct.unpack(">II", found[1]), limits)


def _scale_clear_colour(image: Image.Image, data: bytes) -> None:
    """Give the transparent colour of a PNG in the depth that its pixels are decoded to."""
    clear, (depth, colours) = image.info.get("transparency"), data[24:26]
    if isinstance(clear, int) and colours == 0 and depth in {2, 4}:
        image.info["transparency"] = min(clear * 255 // (2**depth - 1), 255)
    elif isinstance(clear, tuple) and depth == 16:  # noqa: PLR2004
        image.info["transparency"] = tuple(value >> 8 for value in clear)


_PNG_SIZE = re.compile(rb"\x89PNG\r\n\x1a\n....IHDR(.{8})", re.DOTALL)


def _psd_is_transparent(data: bytes) -> bool:
    """Return whether the first channel after the colours is the transparency of the whole.

    A Photoshop document says so by a negative number of layers.
    """
    at = 26
    for _ in range(2):  # the colour mode data and the resources
        at += 4 + int.from_bytes(data[at : at + 4], "big")
    return int.from_bytes(data[at + 8 : at + 10], "big", signed=True) < 0


def _open_raw(data: bytes, limits: Limits) -> OpenedImage:
    """Open the largest preview of a camera raw file, or develop it where that is too small."""
    try:
        preview = find_preview(data, limits)
    except NotAnImageError as error:
        try:
            import rawpy  # noqa: PLC0415 - an extra
        except ImportError:
            raise error from None
        try:
            with rawpy.imread(io.BytesIO(data)) as raw:
                check_pixels((raw.sizes.width, raw.sizes.height), limits)
                pixels = raw.postprocess(use_camera_wb=True, half_size=True)
        except rawpy.LibRawError:
            what = "is damaged, or of a camera that LibRaw does not know"
            raise BrokenImageError(f"a camera raw file without a preview; it {what}") from error
        note = "the camera raw file has no usable preview, so it was developed"
        return OpenedImage(image=Image.fromarray(pixels), kind="raw", turn=1, notes=[note])
    image = _parse(data[preview.at :], "JPEG", limits)
    note = f"the preview of {preview.size[0]} x {preview.size[1]} pixels in the raw file was used"
    return OpenedImage(image=image, kind="JPEG", turn=preview.turn, notes=[note])


def _open_tiff(data: bytes, limits: Limits) -> OpenedImage:
    page = tiff.main_page(data)
    image = None
    if page is not None:
        check_pixels((page.number(_WIDTH), page.number(_HEIGHT)), limits)
        tiff.check_kind(page)
        tiff.check_strips(page)
    if page is None or tiff.pillow_is_right(page):
        try:
            image = _parse(data, "TIFF", limits, page=page.main or 0 if page else 0)
        except (SyntaxError, OSError) as error:
            if page is None or not any(one in str(error) for one in _UNKNOWN):
                raise
    if image is not None:
        if page is not None:
            tiff.repair_palette(image, page)
        opened = OpenedImage(image=image, kind="TIFF", turn=1)  # Pillow turns it
    else:
        assert page is not None  # noqa: S101 - without a page, Pillow has decided above
        turn = page.number(_ORIENTATION, 1)
        opened = OpenedImage(image=tiff.read_with_tifffile(page, limits), kind="TIFF", turn=turn)
    if page is not None and page.main:
        opened.notes.append(f"page {page.main + 1} was used; those before are reduced versions")
    return opened


def _parse(data: bytes, kind: str, limits: Limits, *, page: int = 0) -> Image.Image:
    image = _choose_parser(kind)(io.BytesIO(data))
    if kind == "TIFF":
        image.info.pop("xmp", None)  # Pillow would turn the image by what it says
    if page:
        image.seek(page)
    check_pixels(image.size, limits)
    check_tiles(image)
    return image  # type: ignore[no-any-return] # the parser's class is chosen by name


def _choose_parser(kind: str) -> Any:  # noqa: ANN401 - Pillow's plugin classes share no useful type
    for module, name in _PLUGINS[kind]:
        try:
            parser = getattr(importlib.import_module(module), name)
        except ImportError:
            continue
        if kind == "TIFF":
            silence_libtiff()
        if not getattr(sys.modules[module], "SUPPORTED", True):
            raise NotAnImageError(f"this build of Pillow cannot read {kind}")
        return parser
    raise NotAnImageError(
        f"it is a {kind} image; to read these, run: pip install 'lookalike[{_EXTRAS[kind]}]'"
    )
