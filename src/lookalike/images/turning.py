"""The eight orientations of an image: four quarter turns, and those of its mirror image."""

from typing import Final, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

__all__ = ["ORIENTATIONS", "SIDEWAYS_TURNS", "Orientation", "turn", "turn_back"]

Orientation: TypeAlias = Literal[
    "upright",
    "turned-90",
    "turned-180",
    "turned-270",
    "mirrored",
    "mirrored-90",
    "mirrored-180",
    "mirrored-270",
]
"""Turned clockwise by so many degrees; ``mirrored`` left to right before it is turned."""

_TRANSPOSITIONS: Final[dict[Orientation, Image.Transpose | None]] = {
    "upright": None,
    "turned-90": Image.Transpose.ROTATE_270,  # Pillow turns anticlockwise
    "turned-180": Image.Transpose.ROTATE_180,
    "turned-270": Image.Transpose.ROTATE_90,
    "mirrored": Image.Transpose.FLIP_LEFT_RIGHT,
    "mirrored-90": Image.Transpose.TRANSVERSE,
    "mirrored-180": Image.Transpose.FLIP_TOP_BOTTOM,
    "mirrored-270": Image.Transpose.TRANSPOSE,
}
ORIENTATIONS: Final[tuple[Orientation, ...]] = tuple(_TRANSPOSITIONS)
"""All eight, ``upright`` first."""

SIDEWAYS_TURNS: Final = frozenset({"turned-90", "turned-270", "mirrored-90", "mirrored-270"})
"""Orientations that exchange width and height."""


def turn(image: Image.Image, orientation: Orientation) -> Image.Image:
    """Return an image in an orientation; the same object for ``upright``."""
    operation = _TRANSPOSITIONS[orientation]
    return image if operation is None else image.transpose(operation)


def turn_back(grid: NDArray[np.float32], orientation: Orientation) -> NDArray[np.float32]:
    """Return a grid (rows, columns, …) over an image in an orientation as one over the upright."""
    if orientation in {"turned-90", "turned-180", "turned-270"}:
        return np.rot90(grid, int(orientation.removeprefix("turned-")) // 90)
    if orientation == "mirrored":
        return grid[:, ::-1]
    if orientation == "mirrored-180":
        return grid[::-1]
    if orientation == "mirrored-270":
        return grid.swapaxes(0, 1)
    return grid[::-1, ::-1].swapaxes(0, 1) if orientation == "mirrored-90" else grid
