"""From an image to the numbers that a network takes, as its card says. Pure.

RGB image -> squash | crop | pad to (height, width, 3) uint8     prepare: 150 kB at 224 px
batch of those -> rgb | bgr, scaled, nchw | nhwc                   tensor: four times that
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lookalike.core.protocols import Prepared
from lookalike.encoders.cards import Input

__all__ = ["PREPROCESSING_REVISION", "prepare", "seen_area", "tensor"]

PREPROCESSING_REVISION = 1  # part of fingerprints: raise it when the same card gives other numbers

_RESAMPLING = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
    "box": Image.Resampling.BOX,
    "hamming": Image.Resampling.HAMMING,
}
# Pillow's filters widen with the reduction, so they do not alias; that makes them slow on large
# images. With this, a whole-number box reduction to at least twice the size comes first:
# 12 megapixels take 9 ms instead of 30 (bilinear) or 60 (bicubic).
_REDUCING_GAP = 2.0


def prepare(image: Image.Image, spec: Input) -> Prepared:
    """Return the image at the input size, (height, width, 3) uint8, always red, green, blue.

    "squash" ignores the image's proportions; "crop" keeps its middle, ``spec.crop`` of the
    shorter side; "pad" shows all of it, in the middle, surrounded by ``spec.fill``.
    """
    if image.mode != "RGB":
        image = image.convert("RGB")
    size = (spec.width, spec.height)
    filter_ = _RESAMPLING[spec.interpolation]
    box = _middle(image.size, spec) if spec.resize == "crop" else None
    if spec.resize != "pad":
        resized = image.resize(size, filter_, box=box, reducing_gap=_REDUCING_GAP)
        return np.asarray(resized, dtype=np.uint8)
    shrink = min(spec.width / image.width, spec.height / image.height)
    inner = (max(round(image.width * shrink), 1), max(round(image.height * shrink), 1))
    canvas = Image.new("RGB", size, spec.fill)
    corner = ((spec.width - inner[0]) // 2, (spec.height - inner[1]) // 2)
    canvas.paste(image.resize(inner, filter_, reducing_gap=_REDUCING_GAP), corner)
    return np.asarray(canvas, dtype=np.uint8)


def seen_area(width: int, height: int, spec: Input) -> tuple[float, float, float, float]:
    """Return (left, top, right, bottom) of what the encoder sees of an image of that size.

    It is in [0, 1] of the image, and beyond where "pad" surrounds the image.
    """
    if spec.resize == "squash":
        return 0.0, 0.0, 1.0, 1.0
    if spec.resize == "crop":
        left, top, right, bottom = _middle((width, height), spec)
        return left / width, top / height, right / width, bottom / height
    shrink = min(spec.width / width, spec.height / height)
    across, down = spec.width / shrink / width, spec.height / shrink / height
    return (1 - across) / 2, (1 - down) / 2, (1 + across) / 2, (1 + down) / 2


def tensor(
    batch: Sequence[Prepared], spec: Input
) -> NDArray[np.float32] | NDArray[np.float16] | NDArray[np.uint8]:
    """Return what the model takes: (n, 3, height, width) or (n, height, width, 3) of its dtype.

    "uint8" has the pixels as they are. ``ValueError`` for an image that is not of the input size.
    """
    shape = (spec.height, spec.width, 3)
    for image in batch:
        if image.shape != shape or image.dtype != np.uint8:
            raise ValueError(f"a prepared image is uint8 {shape}, not {image.dtype} {image.shape}")
    order = range(3) if spec.channels == "rgb" else range(2, -1, -1)
    if spec.dtype == "uint8":
        pixels = np.stack(batch)[..., list(order)]
        return np.ascontiguousarray(
            pixels if spec.layout == "nhwc" else pixels.transpose(0, 3, 1, 2)
        )
    # One multiplication and one addition a number: (x * scale - mean) / std
    factors = [np.float32(spec.scale / std) for std in spec.std]
    offsets = [np.float32(-mean / std) for mean, std in zip(spec.mean, spec.std, strict=True)]
    planes = np.empty((len(batch), 3, spec.height, spec.width), dtype=np.float32)
    for image, plane in zip(batch, planes, strict=True):
        for place, channel in enumerate(order):
            np.multiply(image[:, :, channel], factors[place], out=plane[place])
            plane[place] += offsets[place]
    if spec.layout == "nhwc":
        planes = np.ascontiguousarray(planes.transpose(0, 2, 3, 1))
    return planes if spec.dtype == "float32" else planes.astype(np.float16)


def _middle(size: tuple[int, int], spec: Input) -> tuple[float, float, float, float]:
    """(left, top, right, bottom) of the largest middle part of the input's proportions."""
    width, height = size
    pixels = min(width / spec.width, height / spec.height) * spec.crop  # for each input pixel
    half_width, half_height = spec.width * pixels / 2, spec.height * pixels / 2
    return (
        max(width / 2 - half_width, 0.0),
        max(height / 2 - half_height, 0.0),
        min(width / 2 + half_width, float(width)),
        min(height / 2 + half_height, float(height)),
    )
