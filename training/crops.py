"""What a view shows, and what an image may look like in another light. Pure and seeded by keys."""

import math
import zlib

import numpy as np
from PIL import Image, ImageEnhance, ImageFilter

from training.sources import View

__all__ = ["disturb", "show"]

_AREA = (0.3, 0.9)  # of the image
_STRETCH = 4 / 3  # of the proportions
_LIGHT = (0.7, 1.3)  # factors of brightness, contrast and saturation
_KEPT = 0.85  # of each side, at least, in a disturbed view
_BLUR = 0.01  # deviation at most, as a share of the shorter side


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


def disturb(image: Image.Image, key: str, variant: int) -> Image.Image:
    """Return what the student sees of a view whose clean form the teacher saw.

    Variant 0 is the view itself; the others lose a border, are mirrored, stand in another light
    and are sometimes blurred.
    """
    if variant == 0:
        return image
    rng = np.random.default_rng([zlib.crc32(key.encode()), variant])
    left, right = np.sort(rng.uniform(0, 1 - _KEPT, 2)) * image.width
    top, bottom = np.sort(rng.uniform(0, 1 - _KEPT, 2)) * image.height
    box = (int(left), int(top), image.width - int(right - left), image.height - int(bottom - top))
    part = image.crop(box)
    if rng.random() < 0.5:
        part = part.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    for enhance in (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color):
        part = enhance(part).enhance(float(rng.uniform(*_LIGHT)))
    if rng.random() < 0.3:
        radius = float(rng.uniform(0, _BLUR)) * min(part.size)
        part = part.filter(ImageFilter.GaussianBlur(radius))
    return part
