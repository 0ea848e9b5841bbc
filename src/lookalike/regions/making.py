"""Make the regions of an image: find boxes that stand out, and encode them."""

import numpy as np

from lookalike import images
from lookalike.core.protocols import Encoder
from lookalike.regions.position_maps import find_boxes, finest_size
from lookalike.regions.records import Regions

__all__ = ["make_regions"]


def make_regions(
    encoder: Encoder, data: bytes, count: int, *, limits: images.Limits = images.Limits()
) -> Regions:
    """Return at most ``count`` regions of an image file's bytes.

    Raise ``ImageError``, ``RegionError`` for an encoder without a map, and ``EncoderError``.
    """
    decoded = images.decode(data, limits=limits, at_least=finest_size(encoder))
    boxes = find_boxes(encoder, decoded.image, count)
    prepared = [encoder.prepare(images.crop_image(decoded, box).image) for box in boxes]
    vectors = encoder.encode(prepared) if prepared else np.empty((0, encoder.dim), np.float32)
    return Regions(count=count, boxes=tuple(boxes), vectors=vectors)
