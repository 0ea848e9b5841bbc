"""Bytes → an upright RGB image, under limits; and thumbnails."""

from lookalike.images.decoding import (
    SUFFIXES,
    Box,
    Layers,
    Limits,
    Picture,
    cropped,
    decode,
    digest,
    for_crop,
    from_array,
    from_image,
    layers,
    read,
    reader_version,
    thumbnail,
    viewed,
)

__all__ = [
    "SUFFIXES",
    "Box",
    "Layers",
    "Limits",
    "Picture",
    "cropped",
    "decode",
    "digest",
    "for_crop",
    "from_array",
    "from_image",
    "layers",
    "read",
    "reader_version",
    "thumbnail",
    "viewed",
]
