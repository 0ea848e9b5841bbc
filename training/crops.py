"""The part of an image that a view shows. Pure and seeded by the view's key."""

import math
import zlib

import numpy as np
from PIL import Image

from training.sources import View

__all__ = ["show"]

_AREA = (0.3, 0.9)  # of the image
_STRETCH = 4 / 3  # of the proportions


def show(image: Image.Image, view: View) -> Image.Image:
    """Return the image for view 0; for others a crop of it, every second one mirrored."""
    if view.number == 0:
        return image
    rng = np.random.default_rng(zlib.crc32(view.key.encode()))
    area = rng.uniform(*_AREA)
    stretch = math.exp(rng.uniform(-1, 1) * math.log(_STRETCH) / 2)
    width = min(max(round(image.width * math.sqrt(area) * stretch), 1), image.width)
    height = min(max(round(image.height * math.sqrt(area) / stretch), 1), image.height)
    left = int(rng.integers(0, image.width - width + 1))
    top = int(rng.integers(0, image.height - height + 1))
    part = image.crop((left, top, left + width, top + height))
    if rng.random() < 0.5:
        part = part.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    return part
