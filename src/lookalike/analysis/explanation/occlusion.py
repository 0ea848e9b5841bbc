"""Which regions matter, found by hiding each in turn: for encoders without a map.

Zeiler and Fergus, "Visualizing and Understanding Convolutional Networks" (2014): what the score
loses when a region is hidden is what the region adds to it. These losses do not add up to the
score: what two regions show twice is in neither loss, what needs both is in both.
"""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from lookalike.core.protocols import Prepared
from lookalike.core.vectors import Matrix

__all__ = ["GRID", "divide_by_occlusion", "hide"]

GRID = 7
"""Rows and columns of the regions that are hidden."""
_BLUR = 0.11  # of the longer side: nothing can be recognised, and no edge is added


def divide_by_occlusion(
    prepared: Prepared, encode: Callable[[Sequence[Prepared]], Matrix], grid: int = GRID
) -> NDArray[np.float32]:
    """Return what the embedding of an image loses with each region, (grid, grid, dim) float32."""
    blurred = blur(prepared)
    hidden = [
        hide(prepared, blurred, [(row, column)], grid)
        for row in range(grid)
        for column in range(grid)
    ]
    vectors = encode([prepared, *hidden])
    lost: NDArray[np.float32] = vectors[:1] - vectors[1:]
    return lost.reshape(grid, grid, -1)


def blur(prepared: Prepared) -> Prepared:
    """Return the image, blurred until nothing can be recognised."""
    radius = max(prepared.shape) * _BLUR
    return np.asarray(Image.fromarray(prepared).filter(ImageFilter.GaussianBlur(radius)))


def hide(
    prepared: Prepared, blurred: Prepared, regions: Sequence[tuple[int, int]], grid: int = GRID
) -> Prepared:
    """Return the image with some (row, column) of a grid replaced by those of ``blurred``."""
    found = prepared.copy()
    height, width = prepared.shape[:2]
    for row, column in regions:
        place = (
            slice(row * height // grid, (row + 1) * height // grid),
            slice(column * width // grid, (column + 1) * width // grid),
        )
        found[place] = blurred[place]
    return found
