"""Align two images exactly: turn, crop, scale and shift by fractions of a pixel. Pure.

    signatures → a first guess of the crop → Gauss-Newton at 64, 128, … pixels → boxes of both

The two axes are independent, as resizing and cropping leave them; an image that was rotated by a
few degrees does not align.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lookalike.analysis.duplicates.comparing import crops_between
from lookalike.analysis.duplicates.signatures import signature

__all__ = ["TRANSPOSES", "Placement", "align"]

Box = tuple[float, float, float, float]

# What each turn, as ``signatures.hashes`` numbers it, does to a Pillow image.
TRANSPOSES: tuple[tuple[Image.Transpose, ...], ...] = (
    (),
    (Image.Transpose.FLIP_LEFT_RIGHT,),
    (Image.Transpose.FLIP_TOP_BOTTOM,),
    (Image.Transpose.ROTATE_180,),
    (Image.Transpose.TRANSPOSE,),
    (Image.Transpose.TRANSPOSE, Image.Transpose.FLIP_LEFT_RIGHT),
    (Image.Transpose.TRANSPOSE, Image.Transpose.FLIP_TOP_BOTTOM),
    (Image.Transpose.TRANSVERSE,),
)

_FIRST_LEVEL = 64
_GOOD = 2.0  # grey levels, rms: if aligned this well, no crop is searched for
_STEPS = 4  # Gauss-Newton steps at each level
_SCALE_KEPT = 0.35  # pixels over the whole side: scales that differ by less are equal
_SHIFT_KEPT = 0.2  # pixels: a shift this close to a whole number is rounded
_LEAST_SIDE = 8
_STIFFNESS = 50.0  # squared grey levels: keeps plain images in place
_FAR_STEP = 2.0  # pixels that one step may move an edge by

_Floats = NDArray[np.float32]
_Line = tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """Which part of the first image shows the same as which part of the second.

    Boxes are left, top, right, bottom in pixels; both are resized to ``size`` (width, height), at
    which neither is enlarged.
    """

    first: Box
    second: Box
    size: tuple[int, int]
    lines: tuple[_Line, _Line]  # where the second's sides lie in the first, as shares

    def crops(self, first: Image.Image, second: Image.Image) -> tuple[Image.Image, Image.Image]:
        """Return both parts at the common size."""
        return _resize(first, self.first, self.size), _resize(second, self.second, self.size)


def align(
    first: Image.Image, second: Image.Image, *, side: int, begin: Placement | None = None
) -> Placement:
    """Return how ``first`` is placed on ``second``, both upright RGB images, neither turned.

    ``side`` is the longest side in pixels of what is compared; ``begin`` is the placement found at
    a smaller one. Images that show different things are aligned as well as possible.
    """
    grey, onto = first.convert("L"), second.convert("L")
    if begin is None:
        lines, level = _start(first, second, grey, onto), 2 * _FIRST_LEVEL
    else:
        lines, level = begin.lines, 2 * max(begin.size)
    while level <= side:
        lines, _ = _refine(grey, onto, lines, level)
        if max(_place(grey.size, onto.size, lines, level).size) < level:
            break  # no more pixels than that
        level *= 2
    kept = tuple(
        _snap(line, mine, theirs)
        for line, mine, theirs in zip(lines, grey.size, onto.size, strict=True)
    )
    return _place(grey.size, onto.size, (kept[0], kept[1]), side)


def _start(
    first: Image.Image, second: Image.Image, grey: Image.Image, onto: Image.Image
) -> tuple[_Line, _Line]:
    """Return the placement at the first level."""
    best, least = ((0.0, 1.0), (0.0, 1.0)), np.inf
    for guess in _guess_lines(first, second):
        lines, error = _refine(grey, onto, guess, _FIRST_LEVEL)
        if error < least:
            best, least = lines, error
        if least < _GOOD:
            break
    return best


def _guess_lines(first: Image.Image, second: Image.Image) -> Iterator[tuple[_Line, _Line]]:
    """Yield where the second's sides are in the first, as shares."""
    yield (0.0, 1.0), (0.0, 1.0)
    one, other = signature(first)[None], signature(second)[None]
    down, across = crops_between(one, other)
    yield (across[0, 0], 1 - across[0, 1]), (down[0, 0], 1 - down[0, 1])
    down, across = crops_between(other, one)
    yield _invert(across[0, 0], 1 - across[0, 1]), _invert(down[0, 0], 1 - down[0, 1])


def _invert(start: float, end: float) -> _Line:
    span = end - start
    return -start / span, (1 - start) / span


def _place(
    first: tuple[int, int], second: tuple[int, int], lines: tuple[_Line, _Line], side: int
) -> Placement:
    """Return the parts that both show, and the size at which they are compared."""
    mine, theirs, sizes = [], [], []
    for line, wide, onto in zip(lines, first, second, strict=True):
        start, end = line
        span = max(end - start, 1e-3)
        low, high = max(0.0, -start / span), min(1.0, (1 - start) / span)
        if (high - low) * onto < 1:  # they do not overlap
            low, high, start, span = 0.0, 1.0, 0.0, 1.0
        theirs.append((low * onto, high * onto))
        left, right = max(start + low * span, 0.0), min(start + high * span, 1.0)
        mine.append((left * wide, right * wide))
        sizes.append(min((high - low) * onto, (right - left) * wide))
    scale = min(1.0, side / max(sizes))
    width, height = (max(1, round(size * scale)) for size in sizes)
    return Placement(
        first=(mine[0][0], mine[1][0], mine[0][1], mine[1][1]),
        second=(theirs[0][0], theirs[1][0], theirs[0][1], theirs[1][1]),
        size=(width, height),
        lines=lines,
    )


def _refine(
    grey: Image.Image, onto: Image.Image, lines: tuple[_Line, _Line], level: int
) -> tuple[tuple[_Line, _Line], float]:
    """Return the result of a few Gauss-Newton steps (Lucas and Kanade 1981), and the error left.

    Large differences have little weight, so that a changed part does not pull at the rest.
    """
    error = np.inf
    best, least = lines, np.inf
    for _ in range(_STEPS):
        placed = _place(grey.size, onto.size, lines, level)
        width, height = placed.size
        if min(width, height) < _LEAST_SIDE:
            return lines, float(np.inf)
        one, other = (np.asarray(part, np.float32) for part in placed.crops(grey, onto))
        off = other - one
        size = np.abs(off)
        error = float(np.sqrt(np.mean(np.minimum(size, 64.0) ** 2)))
        if error < least:
            best, least = lines, error
        weight = 1 / (1 + (size / max(6.0, 2 * float(np.median(size)))) ** 2)
        down, across = np.gradient((one + other) / 2)
        x = np.linspace(-0.5, 0.5, width, dtype=np.float32)[None, :]
        y = np.linspace(-0.5, 0.5, height, dtype=np.float32)[:, None]
        slopes = np.stack([across, across * x, down, down * y]).reshape(4, -1)
        weighed = slopes * weight.ravel()
        squares = weighed @ slopes.T + _STIFFNESS * one.size / 1e3 * np.eye(4, dtype=np.float32)
        step = np.clip(np.linalg.solve(squares, weighed @ off.ravel()), -_FAR_STEP, _FAR_STEP)
        lines = (
            _move(lines[0], step[:2], placed.first[0::2], grey.width, width),
            _move(lines[1], step[2:], placed.first[1::2], grey.height, height),
        )
        if float(np.abs(step).max()) < 0.01:  # noqa: PLR2004 - of a pixel
            break
    return best, least


def _move(
    line: _Line, step: NDArray[np.floating], box: tuple[float, ...], wide: int, pixels: int
) -> _Line:
    """Return a line after the image under the box moved and grew by the pixels of ``step``."""
    shift, stretch = float(step[0]), float(step[1])
    # A slope of the box's own pixels; x is 0 in its middle and ±½ at its ends.
    per_pixel = (box[1] - box[0]) / pixels / wide
    middle = (box[0] + box[1]) / 2 / wide
    span = max((box[1] - box[0]) / wide, 1e-6)

    def at(place: float) -> float:
        return place + per_pixel * (shift + stretch * (place - middle) / span)

    return at(line[0]), at(line[1])


def _snap(line: _Line, wide: int, onto: int) -> _Line:
    """Return a line that is almost a whole number of pixels off, at the same scale, as exactly
    that.

    Then nothing is interpolated, which would blur one of the two.
    """
    start, end = line[0] * wide, line[1] * wide
    if abs((end - start) - onto) > _SCALE_KEPT:
        if abs(start) < _SCALE_KEPT and abs(end - wide) < _SCALE_KEPT:
            return 0.0, 1.0
        return line
    middle = (start + end - onto) / 2
    if abs(middle - round(middle)) > _SHIFT_KEPT:
        return line
    return round(middle) / wide, (round(middle) + onto) / wide


def _resize(image: Image.Image, box: Box, size: tuple[int, int]) -> Image.Image:
    if size == image.size and box == (0, 0, *image.size):
        return image
    return image.resize(size, Image.Resampling.BICUBIC, box=box)
