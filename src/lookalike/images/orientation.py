"""EXIF orientation: how an image must be turned or mirrored to be upright."""

from PIL import Image

from lookalike.images.formats import DECODER_ERRORS

__all__ = ["SIDEWAYS", "make_upright", "read_orientation"]

# EXIF orientation → the transposition that makes the image upright.
_TRANSPOSITIONS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
SIDEWAYS = frozenset({5, 6, 7, 8})
"""Orientations that exchange width and height."""
_TAG = 0x0112
_EXIF_TEXT = "Raw profile type exif"  # of a PNG by ImageMagick
_XMP = ("xmp", "XML:com.adobe.xmp")


def read_orientation(image: Image.Image) -> int:
    """Return the EXIF orientation, 1 to 8; 1 where there is none, or the metadata is broken.

    One that only XMP has is not meant: browsers and most viewers ignore it.
    """
    try:
        stored = image.info.get("exif")
        if isinstance(stored, bytes):
            exif = Image.Exif()
            exif.load(stored)
        elif _EXIF_TEXT in image.info or not any(name in image.info for name in _XMP):
            exif = image.getexif()  # takes XMP too, where that is the only one
        else:
            return 1
        value = exif.get(_TAG, 1)
    except DECODER_ERRORS:
        return 1
    return value if isinstance(value, int) and value in _TRANSPOSITIONS else 1


def make_upright(image: Image.Image, orientation: int) -> Image.Image:
    """Return the image turned upright; the same object if it is upright already."""
    turn = _TRANSPOSITIONS.get(orientation)
    return image if turn is None else image.transpose(turn)
