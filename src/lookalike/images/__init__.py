"""Bytes → an upright RGB image, under limits; and thumbnails."""

from lookalike.images.decoding import (
    SUFFIXES,
    Box,
    DecodedImage,
    Layers,
    Limits,
    crop_image,
    decode,
    decode_layers,
    digest,
    encode_thumbnail,
    from_array,
    from_image,
    load_preview,
    read,
    reader_version,
    size_for_crop,
)

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
