"""Parts of images, given by a box in relative coordinates."""

import math
from typing import Literal, TypeAlias

from lookalike.images.records import DecodedImage

__all__ = ["Box", "Crop", "check_box", "crop_image", "size_for_crop"]

Box: TypeAlias = tuple[float, float, float, float]
"""Left, top, right and bottom of a part of an image, in [0, 1] of its width and height."""

Crop: TypeAlias = Box | Literal["auto"]
"""A part to search with; ``auto`` is the part that stands out most."""


def crop_image(image: DecodedImage, box: Box) -> DecodedImage:
    """Return the part ``box`` of an upright image, at least one pixel.

    ``width`` and ``height`` are those of the part, in pixels of the original. Raise ``ValueError``
    for an impossible box.
    """
    left, top, right, bottom = check_box(box)
    width, height = image.image.size
    x, y = min(int(left * width), width - 1), min(int(top * height), height - 1)
    corner = max(round(right * width), x + 1), max(round(bottom * height), y + 1)
    return DecodedImage(
        image=image.image.crop((x, y, *corner)),
        width=max(round((right - left) * image.width), 1),
        height=max(round((bottom - top) * image.height), 1),
    )


def size_for_crop(at_least: tuple[int, int], box: Box) -> tuple[int, int]:
    """Return the (width, height) to decode an image at, so that its part has ``at_least`` pixels.

    Raise ``ValueError`` for an impossible box.
    """
    left, top, right, bottom = check_box(box)
    return math.ceil(at_least[0] / (right - left)), math.ceil(at_least[1] / (bottom - top))


def check_box(box: Box) -> Box:
    """Return the box. Raise ``ValueError`` for an impossible one, or ``TypeError``."""
    if not _is_four_numbers(box):
        wanted = "(left, top, right, bottom), each from 0 to 1"
        raise TypeError(f"crop is {box!r}, but must be {wanted}")
    left, top, right, bottom = box
    if not (0 <= left < right <= 1 and 0 <= top < bottom <= 1):
        raise ValueError(
            f"a part of an image is (left, top, right, bottom) from 0 to 1, not {tuple(box)}"
        )
    return box


def _is_four_numbers(box: object) -> bool:
    if not isinstance(box, tuple | list) or len(box) != 4:  # noqa: PLR2004 - two corners
        return False
    return all(isinstance(side, int | float) for side in box)
