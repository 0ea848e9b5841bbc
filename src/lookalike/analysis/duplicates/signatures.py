"""The signature of an image in 3 kB, and its perceptual hash under the eight turns. Pure.

The signature is the image at 32 x 32 pixels in colour. Hash and comparison are computed from it, so
a file is decoded once.
"""

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

__all__ = ["HASH_BITS", "SIDE", "Signatures", "hashes", "luminance", "signature", "turned"]

SIDE = 32
HASH_BITS = 64
_LOW = 8  # frequencies across and down that the hash uses

# (n, SIDE, SIDE, 3) uint8, rows from the top, R, G, B
Signatures = NDArray[np.uint8]

_WEIGHTS = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601
_COSINES = np.cos(
    np.pi * (2 * np.arange(SIDE)[None, :] + 1) * np.arange(_LOW)[:, None] / (2 * SIDE)
).astype(np.float32)
_SIGNS = np.where(np.arange(_LOW) % 2, -1, 1).astype(np.float32)  # the effect of a mirror on each


def signature(image: Image.Image) -> Signatures:
    """Convert an RGB image to (SIDE, SIDE, 3) uint8, its sides stretched to a square."""
    small = image.resize((SIDE, SIDE), Image.Resampling.BILINEAR, reducing_gap=4.0)
    return np.asarray(small, np.uint8)


def luminance(images: NDArray[np.number]) -> NDArray[np.float32]:
    """Convert (…, 3) to (…) float32, 0 to 255."""
    return images.astype(np.float32, copy=False) @ _WEIGHTS


def hashes(signatures: Signatures) -> NDArray[np.uint64]:
    """Return perceptual hashes of images under the eight turns, (n, 8) uint64; [:, 0] as they are.

    The signs of the lowest 8 x 8 frequencies of a cosine transform against their median (the
    pHash of Zauner 2010, "Implementation and benchmarking of perceptual image hash functions").
    Turning an image swaps and negates its frequencies, so that one transform serves all eight.
    """
    waves = _COSINES @ luminance(signatures) @ _COSINES.T  # (n, _LOW, _LOW)
    down, across = _SIGNS[:, None], _SIGNS[None, :]
    every = np.stack(
        [
            turn * flip
            for turn in (waves, waves.transpose(0, 2, 1))
            for flip in (1, across, down, down * across)
        ],
        axis=1,
    ).reshape(len(signatures), 8, HASH_BITS)
    high = every > np.median(every[..., 1:], axis=-1, keepdims=True)
    high[..., 0] = False  # the mean brightness, which is always high
    bits: NDArray[np.uint64] = np.packbits(high, axis=-1).view(np.uint64)[..., 0]
    return bits


_Numbers = TypeVar("_Numbers", np.uint8, np.float32)


def turned(images: NDArray[_Numbers], turns: NDArray[np.integer]) -> NDArray[_Numbers]:
    """Return each image of (n, side, side, …) under its turn, numbered as in ``hashes``."""
    out = images.copy()
    for turn in range(1, 8):
        these = np.flatnonzero(turns == turn)
        if len(these):
            some = images[these]
            if turn & 4:
                some = some.swapaxes(1, 2)
            if turn & 1:
                some = some[:, :, ::-1]
            if turn & 2:
                some = some[:, ::-1]
            out[these] = some
    return out
