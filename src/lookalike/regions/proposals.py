"""Which boxes of an image show something of their own: from a map of position vectors. Pure.

A box is worth proposing where the positions inside are alike and differ from those around it. That
is Otsu's criterion (A threshold selection method from gray-level histograms, 1979), the variance
between two classes, for vectors: inside the box, and in the ring around it. Every box of the grid
is compared, by sums over rectangles (Viola and Jones, Rapid object detection, 2001). Alternatives
that were measured: docs/decisions/0039-parts.md.
"""

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from lookalike.images.cropping import Box

__all__ = ["overlap", "propose_boxes"]

PositionMap: TypeAlias = NDArray[np.float32]

_SLIMMEST = 3.0  # longer side of a box over its shorter one
_SMALLEST, _LARGEST = 1 / 6, 2 / 3  # side of a box, of the image's
_OVERLAP = 0.3  # of two proposals: what they share over what they cover
_DIMENSIONS = 16  # principal components of the positions; more find the same boxes
_FLAT = 1e-9  # variance below which all positions are one


def propose_boxes(positions: PositionMap, count: int) -> list[Box]:
    """Return at most ``count`` boxes, best first, from position vectors (rows, columns, depth).

    There are fewer where the map is too small or the same everywhere.
    """
    rows, columns, _ = positions.shape
    reduced = _reduce(positions)
    grid = _grid(rows, columns)
    if reduced is None or not len(grid):
        return []
    found: list[Box] = []
    for place in np.argsort(-_contrast(reduced, grid), kind="stable"):
        top, left, bottom, right = grid[place].tolist()
        box = (left / columns, top / rows, right / columns, bottom / rows)
        if all(overlap(box, other) < _OVERLAP for other in found):
            found.append(box)
            if len(found) == count:
                break
    return found


def overlap(one: Box, other: Box) -> float:
    """Return the area that two boxes share over the area that they cover, from 0 to 1."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    if width <= 0 or height <= 0:
        return 0.0
    return width * height / (_area(one) + _area(other) - width * height)


def _area(box: Box) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])


def _reduce(positions: PositionMap) -> NDArray[np.float64] | None:
    """Return the positions on their principal components; ``None`` where all are the same.

    The root of each value comes first, so that a few strong channels do not decide alone.
    """
    rows, columns, depth = positions.shape
    flat = positions.reshape(rows * columns, depth).astype(np.float64)
    flat = np.sign(flat) * np.sqrt(np.abs(flat))
    flat -= flat.mean(axis=0)
    values, vectors = np.linalg.eigh(flat @ flat.T)
    if not np.isfinite(values[-1]) or values[-1] <= _FLAT:
        return None
    lengths = np.sqrt(np.maximum(values[-_DIMENSIONS:], 0))
    reduced: NDArray[np.float64] = vectors[:, -_DIMENSIONS:] * lengths
    return reduced.reshape(rows, columns, -1)


def _grid(rows: int, columns: int) -> NDArray[np.int64]:
    """Return every box that may be proposed, (n, 4): top, left, bottom and right in positions."""
    heights = _sides(rows)
    boxes = [
        (top, left, top + height, left + width)
        for height in heights
        for width in _sides(columns)
        if max(height / rows * columns / width, width / columns * rows / height) <= _SLIMMEST
        for top in range(rows - height + 1)
        for left in range(columns - width + 1)
    ]
    return np.array(boxes, np.int64).reshape(-1, 4)


def _sides(positions: int) -> range:
    return range(max(round(positions * _SMALLEST), 1), int(positions * _LARGEST) + 1)


def _contrast(positions: NDArray[np.float64], boxes: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the variance between each box and the ring of one position around it, (n,)."""
    rows, columns, depth = positions.shape
    sums = np.zeros((rows + 1, columns + 1, depth))
    sums[1:, 1:] = positions.cumsum(axis=0).cumsum(axis=1)
    ring = np.stack(
        [
            np.maximum(boxes[:, 0] - 1, 0),
            np.maximum(boxes[:, 1] - 1, 0),
            np.minimum(boxes[:, 2] + 1, rows),
            np.minimum(boxes[:, 3] + 1, columns),
        ],
        axis=1,
    )
    inside, within = _sum(sums, boxes)
    around, beyond = _sum(sums, ring)
    around, beyond = around - inside, beyond - within
    apart = inside / within[:, None] - around / beyond[:, None]
    contrast: NDArray[np.float64] = within * beyond / (within + beyond) * (apart**2).sum(axis=1)
    return contrast


def _sum(
    sums: NDArray[np.float64], boxes: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return the sum of the positions in each box, (n, depth), and how many there are, (n,)."""
    top, left, bottom, right = boxes.T
    total = sums[bottom, right] - sums[top, right] - sums[bottom, left] + sums[top, left]
    return total, (bottom - top) * (right - left)
