"""Random views of an image for training: a crop, its mirror image, other lighting. Pure.

A view is cut from the whole image and then passes through the encoder's own ``prepare``, so that
size, resampling and channel order are those of every image that is ever searched.
"""

import math
from collections.abc import Callable

import numpy as np
from PIL import Image

from lookalike.core.protocols import Prepared

__all__ = ["augment"]

_LEAST_AREA = 0.35  # least share of the image; an object in its middle stays recognisable
_STRETCH = 4 / 3  # of the crop's aspect ratio
_LIGHT = 0.3  # how much brightness, contrast and saturation may differ
_GREY = np.array([0.299, 0.587, 0.114], dtype=np.float32)  # ITU-R BT.601


def augment(
    image: Image.Image, prepare: Callable[[Image.Image], Prepared], rng: np.random.Generator
) -> Prepared:
    """Return a random view of an RGB image: (height, width, 3) uint8, as ``prepare`` returns."""
    pixels = prepare(image.crop(_choose_crop(image.size, rng)))
    if rng.random() < 0.5:  # noqa: PLR2004 - as often as not
        pixels = pixels[:, ::-1]
    return _change_lighting(pixels, rng)


def _choose_crop(size: tuple[int, int], rng: np.random.Generator) -> tuple[int, int, int, int]:
    """Return a crop (left, top, right, bottom) of 0.35 to all of the area (Szegedy et al. 2015)."""
    area = rng.uniform(_LEAST_AREA, 1)
    stretch = math.exp(rng.uniform(-math.log(_STRETCH), math.log(_STRETCH)) / 2)
    sides = [
        min(max(round(full * math.sqrt(area) * factor), 1), full)
        for full, factor in zip(size, (stretch, 1 / stretch), strict=True)
    ]
    left, top = (
        int(rng.integers(0, full - part + 1)) for full, part in zip(size, sides, strict=True)
    )
    return left, top, left + sides[0], top + sides[1]


def _change_lighting(pixels: Prepared, rng: np.random.Generator) -> Prepared:
    brightness, contrast, saturation = rng.uniform(1 - _LIGHT, 1 + _LIGHT, 3).astype(np.float32)
    wanted = pixels.astype(np.float32) * brightness
    middle = np.float32(wanted.mean())
    wanted = middle + (wanted - middle) * contrast
    grey = (wanted @ _GREY)[:, :, None]
    wanted = grey + (wanted - grey) * saturation
    light: Prepared = np.clip(np.rint(wanted), 0, 255).astype(np.uint8)
    return light
