"""Bytes → an upright RGB image, under limits; and thumbnails."""

from lookalike.images.cropping import Box, Crop, crop_image, size_for_crop
from lookalike.images.decoding import (
    SUFFIXES,
    decode,
    decode_layers,
    from_array,
    from_image,
    reader_version,
)
from lookalike.images.limits import Limits
from lookalike.images.previews import encode_thumbnail, load_preview
from lookalike.images.reading import digest, read
from lookalike.images.records import DecodedImage, Layers
from lookalike.images.weight import is_heavy

__all__ = [
    "SUFFIXES",
    "Box",
    "Crop",
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
    "is_heavy",
    "load_preview",
    "read",
    "reader_version",
    "size_for_crop",
]
