"""The map of position vectors of an image, fine enough to find small things in.

A convolutional encoder has 7 x 7 positions at 224 pixels: something a quarter as wide as the image
covers less than two of them. So four overlapping parts of the image are encoded too, and their maps
are put together to one of 12 x 12.
"""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lookalike.core.protocols import Encoder, MapEncoder, Prepared, map_encoder_of
from lookalike.errors import RegionError
from lookalike.images.cropping import Box
from lookalike.regions.proposals import propose_boxes

__all__ = ["find_boxes", "finest_size", "position_map", "require_map"]

_FINEST = 2  # times ``decode_size``: a quarter of the width still has the pixels of the input
_ENOUGH = 12  # positions along a side that need no parts
_SHARED = 2  # positions that neighbouring parts share
_REDUCING_GAP = 2.0


def require_map(encoder: Encoder) -> MapEncoder:
    """Return what gives position vectors. Raise ``RegionError`` for an encoder without a map."""
    found = map_encoder_of(encoder)
    if found is None:
        raise RegionError(
            f"{encoder.name} gives no vectors for positions (its card has no [map]), so it cannot "
            "propose crops; give a crop, or use another encoder"
        )
    return found


def finest_size(encoder: Encoder) -> tuple[int, int] | None:
    """Return the (width, height) below which an image must not be decoded to look for its parts."""
    size = encoder.decode_size
    return None if size is None else (_FINEST * size[0], _FINEST * size[1])


def find_boxes(encoder: Encoder, image: Image.Image, count: int) -> list[Box]:
    """Return at most ``count`` boxes of an RGB image that stand out, the most salient first.

    None for an image of one colour: all that its map shows is the padding at the border. Raise
    ``RegionError`` and ``EncoderError``.
    """
    require_map(encoder)
    if image.convert("RGB").getcolors(1) is not None:
        return []
    return propose_boxes(position_map(encoder, image), count)


def position_map(encoder: Encoder, image: Image.Image) -> NDArray[np.float32]:
    """Return the position vectors of an image, (rows, columns, depth). Raise ``EncoderError``."""
    maps = require_map(encoder)
    # The map must show all of the image, so it is not prepared by cropping or padding.
    height, width, _ = encoder.prepare(image).shape
    size = width, height
    whole: NDArray[np.float32] = maps.patches([_squash(image, size, (0.0, 0.0, 1.0, 1.0))])[0]
    rows, columns, depth = whole.shape
    if min(rows, columns) >= _ENOUGH or min(rows, columns) <= _SHARED:
        return whole
    total = 2 * rows - _SHARED, 2 * columns - _SHARED
    corners = [(top, left) for top in (0, rows - _SHARED) for left in (0, columns - _SHARED)]
    tiles = [
        _squash(
            image,
            size,
            (
                left / total[1],
                top / total[0],
                (left + columns) / total[1],
                (top + rows) / total[0],
            ),
        )
        for top, left in corners
    ]
    sums = np.zeros((*total, depth), np.float32)
    counts = np.zeros((*total, 1), np.float32)
    for (top, left), part in zip(corners, maps.patches(tiles), strict=True):
        sums[top : top + rows, left : left + columns] += part
        counts[top : top + rows, left : left + columns] += 1
    return (sums / counts).astype(np.float32)


def _squash(
    image: Image.Image, size: tuple[int, int], box: tuple[float, float, float, float]
) -> Prepared:
    """Return a part of the image at the encoder's input size, whatever its proportions."""
    width, height = image.size
    place = (box[0] * width, box[1] * height, box[2] * width, box[3] * height)
    resized = image.convert("RGB").resize(
        size, Image.Resampling.BILINEAR, box=place, reducing_gap=_REDUCING_GAP
    )
    return np.asarray(resized, dtype=np.uint8)
