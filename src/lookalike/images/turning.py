"""The eight orientations of an image: four quarter turns, and those of its mirror image."""

from typing import Final, Literal, TypeAlias

from PIL import Image

__all__ = ["ORIENTATIONS", "Orientation", "turn"]

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


def turn(image: Image.Image, orientation: Orientation) -> Image.Image:
    """Return an image in an orientation; the same object for ``upright``."""
    operation = _TRANSPOSITIONS[orientation]
    return image if operation is None else image.transpose(operation)
