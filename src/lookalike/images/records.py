"""What decoding gives."""

from dataclasses import dataclass

from PIL import Image

__all__ = ["DecodedImage", "Layers"]


@dataclass(frozen=True, slots=True, kw_only=True)
class DecodedImage:
    """An upright RGB image.

    ``width`` and ``height`` are those of the original after it was turned upright (EXIF);
    ``image`` is smaller when it was decoded at a reduced scale. ``notes`` say, in a clause each,
    what was chosen or left out on the way: the page, the ground, side data that cannot be read.
    A ``blank`` image is nothing but white, black or one grey.
    """

    image: Image.Image
    width: int
    height: int
    notes: tuple[str, ...] = ()
    blank: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Layers:
    """Everything that an image can show.

    ``grounds``: the image on white and, if parts of it are transparent, also on black.
    ``several``: the file holds further pages or frames.
    """

    grounds: tuple[Image.Image, ...]
    several: bool
