"""Whether two pictures are one: their signatures laid upon each other and compared. Pure.

    turn → shift and crop → four differences, each as a share of what a copy may have

A hash cannot tell a shirt from the same shirt in another colour, nor a vector; pixels can, once
one picture lies upon the other.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lookalike.duplicates.signatures import SIDE, Signatures, luminance, turned

__all__ = ["Comparison", "compare"]

# What differs in a copy, and what in another picture: docs/decisions/0010-copies.md.
PIXELS = 24.0  # root of the mean squared difference of pixels, of 255
STRUCTURE = 0.35  # 1 - correlation of what is finer than three pixels
BRIGHTNESS = 31.0  # the largest difference of mean brightness in one of 8 x 8 fields, of 255
COLOUR = 10.0  # the same of colour (Cb, Cr)

_NOISE = 4.0  # squared grey levels: a plain surface has no structure to correlate
_COARSE, _FINE = 8, 16  # sides at which the crop is looked for, roughly and then well
_BLOCK = 256  # pairs at a time: 38 MB of windows at full size
_FIELDS = 8
_MOST_CROP = 0.125  # of a side, at either end
_STEP = 0.025
_SURE = 0.5  # copies up to here without looking for a crop
_FAR_FIELDS = 45.0  # no copies beyond this, whatever was cropped: 8 x 8 fields, of 255
_FAR_COARSE = 20.0  # likewise, when the crop has been found
_FAR = 9.0  # what is said of pairs beyond
_CHROMA = np.array([[-0.1687, -0.3313, 0.5], [0.5, -0.4187, -0.0813]], np.float32).T

_Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """How pairs differ: ``difference`` (n,) is 0 for the same pixels, up to 1 for a copy.

    ``turns`` (n,) say how the first must be turned to lie on the second, as in ``hashes``.
    """

    difference: NDArray[np.float64]
    turns: NDArray[np.intp]


def compare(first: Signatures, second: Signatures, *, crops: bool = True) -> Comparison:
    """Compare pictures (n, SIDE, SIDE, 3) uint8 pair by pair.

    Without ``crops`` no part is looked for: enough where the hashes agree, and ten times as fast.
    """
    parts = [
        _compare(first[start : start + _BLOCK], second[start : start + _BLOCK], crops=crops)
        for start in range(0, len(first), _BLOCK)
    ]
    if not parts:
        return Comparison(difference=np.empty(0), turns=np.empty(0, np.intp))
    return Comparison(
        difference=np.concatenate([part.difference for part in parts]),
        turns=np.concatenate([part.turns for part in parts]),
    )


def _compare(first: Signatures, second: Signatures, *, crops: bool) -> Comparison:
    small, onto = (_shrink(some.astype(np.float32), _FIELDS) for some in (first, second))
    turns = _turns(luminance(small), luminance(onto))
    fields = turned(small, turns) - onto
    if crops:
        near = np.flatnonzero(_root_mean(fields) <= _FAR_FIELDS)
    else:
        near = np.flatnonzero(np.hypot(*_of_fields(fields)) <= 1)
    best = np.full(len(first), _FAR, np.float32)
    one = turned(first[near], turns[near]).astype(np.float32)
    other = second[near].astype(np.float32)
    best[near] = _difference(one, other)
    if crops:
        left = best[near] > _SURE  # the others need no shift to be copies
        one, other, near = one[left], other[left], near[left]
        for whole, part in ((one, other), (other, one)):
            rows, columns, error = _coarse(luminance(whole), luminance(part))
            some = error <= _FAR_COARSE
            cut = _cropped(whole[some], part[some], rows[some], columns[some])
            best[near[some]] = np.minimum(best[near[some]], _difference(cut, part[some]))
    return Comparison(difference=best.astype(np.float64), turns=turns)


def _root_mean(error: _Floats) -> _Floats:
    axes = tuple(range(1, error.ndim))
    means: _Floats = np.sqrt(np.square(error).mean(axes))
    return means


def _turns(first: _Floats, second: _Floats) -> NDArray[np.intp]:
    """The turns under which small grey pictures agree best; none when that is as good."""
    mine = first - first.mean((1, 2), keepdims=True)
    onto = second - second.mean((1, 2), keepdims=True)
    agree = np.stack(
        [(turned(mine, np.full(len(mine), turn)) * onto).sum((1, 2)) for turn in range(8)], axis=1
    )
    agree[:, 0] += 1e-3 * np.abs(agree[:, 0])
    best: NDArray[np.intp] = agree.argmax(1)
    return best


def _shrink(pictures: _Floats, side: int) -> _Floats:
    """(n, s, s, …) → (n, side, side, …)."""
    count, step = len(pictures), pictures.shape[1] // side
    shape = (count, side, step, side, step, *pictures.shape[3:])
    shrunk: _Floats = pictures.reshape(shape).mean((2, 4))
    return shrunk


# --- laying one upon the other -----------------------------------------------------------------


def _windows(side: int, crops: NDArray[np.floating]) -> _Floats:
    """(n, side, side): what takes the part from ``crops[:, 0]`` to ``1 - crops[:, 1]`` to all."""
    edges = np.linspace(0, 1, side + 1)
    at = (crops[:, :1] + (1 - crops.sum(1, keepdims=True)) * edges) * side
    low, high = at[:, :-1, None], at[:, 1:, None]
    pixels = np.arange(side)
    share = np.clip(np.minimum(high, pixels + 1) - np.maximum(low, pixels), 0, None)
    windows: _Floats = (share / share.sum(-1, keepdims=True)).astype(np.float32)
    return windows


def _pairs(crops: NDArray[np.floating]) -> NDArray[np.floating]:
    return np.array([(start, end) for start in crops for end in crops])


_COARSE_CROPS = _pairs(np.arange(0, _MOST_CROP, 2 * _STEP))
_COARSE_WINDOWS = _windows(_COARSE, _COARSE_CROPS)
_FINE_CROPS = _pairs(np.arange(0, _MOST_CROP + _STEP / 2, _STEP))
_FINE_WINDOWS = _windows(_FINE, _FINE_CROPS)
_LINE = np.arange(0, _MOST_CROP + _STEP / 4, _STEP / 2)
_WINDOWS = _windows(SIDE, _pairs(_LINE)).reshape(len(_LINE), len(_LINE), SIDE, SIDE)
_AROUND = np.array([(start, end) for start in (-1, 0, 1) for end in (-1, 0, 1)])
_FINE_OF_COARSE = np.array(
    [np.abs(_FINE_CROPS - crop).sum(1).argmin() for crop in _COARSE_CROPS], np.intp
)


def _along(windows: _Floats, pictures: _Floats) -> _Floats:
    """Every window down every picture, (n, windows, side, side), as one matrix product."""
    count, side = len(pictures), pictures.shape[1]
    flat = pictures.transpose(1, 0, 2).reshape(side, -1)
    moved: _Floats = (windows.reshape(-1, side) @ flat).reshape(len(windows), side, count, side)
    return moved.transpose(2, 0, 1, 3)


def _coarse(whole: _Floats, part: _Floats) -> tuple[NDArray[np.intp], NDArray[np.intp], _Floats]:
    """Which of the windows down and across make ``part`` of ``whole``, and the error left."""
    small, onto = _shrink(whole, _COARSE), _shrink(part, _COARSE)
    count, windows = len(small), len(_COARSE_WINDOWS)
    down = _along(_COARSE_WINDOWS, small).reshape(-1, _COARSE, _COARSE)
    both = _along(_COARSE_WINDOWS, down.transpose(0, 2, 1))
    both = both.reshape(count, windows * windows, _COARSE, _COARSE)  # transposed pictures
    both = both - onto.transpose(0, 2, 1)[:, None]
    error = np.einsum("nwij,nwij->nw", both, both)
    best = error.argmin(1)
    rows, columns = np.divmod(best, windows)
    left: _Floats = np.sqrt(error[np.arange(count), best] / _COARSE**2)
    return _FINE_OF_COARSE[rows], _FINE_OF_COARSE[columns], left


def _cropped(
    whole: _Floats, part: _Floats, rows: NDArray[np.intp], columns: NDArray[np.intp]
) -> _Floats:
    """The part of each picture of ``whole`` that fits best on ``part``, at the same size."""
    grey, onto = _shrink(luminance(whole), _FINE), _shrink(luminance(part), _FINE)
    for _ in range(2):  # one axis at a time
        across = grey @ _FINE_WINDOWS[columns].transpose(0, 2, 1)
        rows = _best(across, onto)
        down = _FINE_WINDOWS[rows] @ grey
        columns = _best(down.transpose(0, 2, 1), onto.transpose(0, 2, 1))
    grey, onto = luminance(whole), luminance(part)
    ends = [np.rint(_FINE_CROPS[best] * 2 / _STEP).astype(np.intp) for best in (rows, columns)]
    for axis in (0, 1):  # and by half a step, at full size
        other = _WINDOWS[ends[1 - axis][:, 0], ends[1 - axis][:, 1]]
        if axis == 0:
            ends[axis] = _closer(grey @ other.transpose(0, 2, 1), onto, ends[axis])
        else:
            down = (other @ grey).transpose(0, 2, 1)
            ends[axis] = _closer(down, onto.transpose(0, 2, 1), ends[axis])
    down, across = (_WINDOWS[one[:, 0], one[:, 1]] for one in ends)
    moved = down[:, None] @ whole.transpose(0, 3, 1, 2) @ across.transpose(0, 2, 1)[:, None]
    return np.asarray(moved.transpose(0, 2, 3, 1), np.float32)


def _closer(pictures: _Floats, onto: _Floats, ends: NDArray[np.intp]) -> NDArray[np.intp]:
    """The window down each picture, of those around ``ends``, that makes it most like ``onto``."""
    tried = np.clip(ends[:, None] + _AROUND, 0, len(_LINE) - 1)
    error = _WINDOWS[tried[..., 0], tried[..., 1]] @ pictures[:, None] - onto[:, None]
    best = np.einsum("nwij,nwij->nw", error, error).argmin(1)
    chosen: NDArray[np.intp] = tried[np.arange(len(tried)), best]
    return chosen


def _best(pictures: _Floats, onto: _Floats) -> NDArray[np.intp]:
    """The window down each picture that makes it most like ``onto``."""
    error = _along(_FINE_WINDOWS, pictures) - onto[:, None]
    least: NDArray[np.intp] = np.einsum("nwij,nwij->nw", error, error).argmin(1)
    return least


# --- comparing ---------------------------------------------------------------------------------


def _difference(one: _Floats, other: _Floats) -> _Floats:
    """The length of four differences, each in shares of its limit, (n,)."""
    error = one - other
    first, second = _fine(luminance(one)), _fine(luminance(other))
    power = np.sqrt((first * first).mean((1, 2)) * (second * second).mean((1, 2)))
    agree = ((first * second).mean((1, 2)) + _NOISE) / (power + _NOISE)
    parts = (
        _root_mean(error) / PIXELS,
        (1 - agree) / STRUCTURE,
        *_of_fields(_shrink(error, _FIELDS)),
    )
    length = np.sqrt(sum(part * part for part in parts))
    return np.asarray(length, np.float32)


def _of_fields(error: _Floats) -> tuple[_Floats, _Floats]:
    """How bright and how coloured the mean differences of fields are, in shares of the limits."""
    brightness = np.abs(luminance(error)).max((1, 2)) / BRIGHTNESS
    colour = np.abs(error @ _CHROMA).max((1, 2, 3)) / COLOUR
    return np.asarray(brightness, np.float32), np.asarray(colour, np.float32)


def _fine(grey: _Floats) -> _Floats:
    """A picture less its means over 3 x 3 pixels."""
    padded = np.pad(grey, ((0, 0), (1, 1), (1, 1)), mode="edge")
    down = padded[:, :-2] + padded[:, 1:-1] + padded[:, 2:]
    mean = (down[:, :, :-2] + down[:, :, 1:-1] + down[:, :, 2:]) / 9
    fine: _Floats = grey - mean
    return fine
