"""Compare two aligned images place by place. Pure.

Resizing and recompressing change an image a little everywhere; a different text changes it much in
some places. So the measure is the worst window, not a mean: the difference that remains after a
small shift and sharpening are explained, as a share of what the window's own structure allows.
"""

from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

__all__ = ["Local", "compare_locally"]

_Floats = NDArray[np.float32]

_CELL = 4  # pixels: windows are 2 x 2 and 4 x 4 cells, and overlap by all but one
_RIDGE = 1.0  # squared grey levels: a window without structure explains nothing
_MARGIN = 2  # pixels at the edges that are not compared, because resizing extrapolates there
_CHROMA = np.array([[-0.1687, -0.3313, 0.5], [0.5, -0.4187, -0.0813]], np.float32).T


@dataclass(frozen=True, slots=True, kw_only=True)
class Local:
    """Windows of a pair: ``left`` is what differs (grey levels, rms) and ``texture`` the contrast.

    Both (n,) float32, of windows of one size; ``colour`` (m,) of cells is the difference of Cb and
    Cr.
    """

    left: _Floats
    texture: _Floats
    colour: _Floats


def compare_locally(one: _Floats, other: _Floats, *, cells: int) -> Local:
    """Compare two images (h, w, 3), 0 to 255, in windows of ``cells`` x ``cells`` cells."""
    weights = np.array([0.299, 0.587, 0.114], np.float32)
    a, b = one @ weights, other @ weights
    inner = (slice(_MARGIN, -_MARGIN),) * 2
    mean_of_both: _Floats = ((a + b) / 2).astype(np.float32, copy=False)
    down, across = (_compute_gradient(mean_of_both, axis) for axis in (0, 1))
    features = [part[inner] for part in (a - _blur(a), across, down)]
    off = (b - a)[inner]
    area = (cells * _CELL) ** 2

    def summed(values: _Floats) -> _Floats:
        return _sum_windows(_sum_cells(values), cells)

    squares = np.empty((*summed(off).shape, 3, 3), np.float32)
    pull = np.empty((*squares.shape[:2], 3), np.float32)
    for row in range(3):
        pull[..., row] = summed(features[row] * off)
        for column in range(row, 3):
            squares[..., row, column] = summed(features[row] * features[column])
            squares[..., column, row] = squares[..., row, column]
    squares += np.eye(3, dtype=np.float32) * (_RIDGE * area)
    solved = np.linalg.solve(squares, pull[..., None])[..., 0]
    # A shift of more than half a pixel, or strong sharpening, is not resampling.
    solved = np.clip(solved, [-0.6, -0.5, -0.5], [2.0, 0.5, 0.5]).astype(np.float32)
    energy = summed(off * off) - 2 * np.einsum("hwi,hwi->hw", solved, pull)
    energy += np.einsum("hwi,hwij,hwj->hw", solved, squares - np.eye(3) * (_RIDGE * area), solved)
    left = np.sqrt(np.maximum(energy, 0) / area)
    texture = np.zeros_like(left)
    for image in (a[inner], b[inner]):
        mean = summed(image) / area
        spread = np.sqrt(np.maximum(summed(image * image) / area - mean * mean, 0))
        texture = np.maximum(texture, spread)
    colours = ((other - one)[inner] @ _CHROMA).astype(np.float32)
    colour = np.hypot(*(summed(colours[..., axis]) / area for axis in (0, 1)))
    return Local(left=left, texture=texture, colour=colour)


def _compute_gradient(image: _Floats, axis: int) -> _Floats:
    return np.asarray(np.gradient(image, axis=axis), np.float32)


def _blur(image: _Floats) -> _Floats:
    """Return the means of 3 x 3 pixels."""
    padded = np.pad(image, 1, mode="edge")
    rows = padded[:-2] + padded[1:-1] + padded[2:]
    blurred: _Floats = (rows[:, :-2] + rows[:, 1:-1] + rows[:, 2:]) / np.float32(9)
    return blurred


def _sum_cells(values: _Floats) -> _Floats:
    """Return the sums of squares of ``_CELL`` pixels; what is left over at the end is left out."""
    height, width = (size // _CELL for size in values.shape)
    cut = values[: height * _CELL, : width * _CELL]
    rows = np.add.reduceat(cut, np.arange(0, height * _CELL, _CELL), axis=0)
    sums: _Floats = np.add.reduceat(rows, np.arange(0, width * _CELL, _CELL), axis=1)
    return sums


def _sum_windows(cells: _Floats, count: int) -> _Floats:
    """Return the sums of ``count`` x ``count`` neighbouring cells, one for each place."""
    count = min(count, *cells.shape)
    rows = sliding_window_view(cells, count, axis=0).sum(-1)
    sums: _Floats = sliding_window_view(rows, count, axis=1).sum(-1)
    return sums
