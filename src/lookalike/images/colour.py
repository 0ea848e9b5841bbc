"""Converting any of Pillow's modes to RGB in sRGB, without transparency."""

import io
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from lookalike.images.deep import stretch_to_bytes
from lookalike.images.formats import DECODER_ERRORS
from lookalike.images.grounds import Shown, put_on_ground

if TYPE_CHECKING:
    from PIL.ImageCms import ImageCmsTransform

__all__ = ["rgb"]

_BITS_PER_SAMPLE, _PHOTOMETRIC = 258, 262  # TIFF tags
_LARGEST_PROFILE = 4 * 2**20  # those of printing presses have 2 MB


def rgb(image: Image.Image, *, ground: str | None = None) -> Shown:
    """Return an image of any mode as RGB, in sRGB, on ``ground`` or on one that shows its content.

    The same object is returned when there is nothing to do.
    """
    mode, note = image.mode, None
    if mode in {"I", "F"} or mode.startswith("I;16"):
        flat = _reduce_to_eight_bits(image)
    elif image.has_transparency_data:
        flat, note = put_on_ground(image, ground)
    elif mode in {"L", "RGB", "CMYK"}:
        flat = image
    else:
        flat = image.convert("L" if mode == "1" else "RGB")
    profile = image.info.get("icc_profile")
    if isinstance(profile, bytes) and 0 < len(profile) <= _LARGEST_PROFILE and mode != "LAB":
        flat = _convert_to_srgb(flat, profile)
    return Shown(flat if flat.mode == "RGB" else flat.convert("RGB"), note)


def _reduce_to_eight_bits(image: Image.Image) -> Image.Image:
    """Return a deep grey image as L.

    16 bits are scaled by their full range, other numbers as ``stretch_to_bytes`` does.
    """
    tags = getattr(image, "tag_v2", {})
    # TIFF's "white is zero", which Pillow does not apply to deep grey.
    negative = tags.get(_PHOTOMETRIC) == 0
    if image.mode.startswith("I;16"):
        white = 4095 if tags.get(_BITS_PER_SAMPLE) == (12,) else 65535
        table = np.rint(np.minimum(np.arange(65536) / white, 1) * 255).astype(np.uint8)
        if negative:
            table = 255 - table
        if isinstance(clear := image.info.get("transparency"), int) and 0 <= clear < len(table):
            table[clear] = 255
        return Image.fromarray(table[np.asarray(image)])
    grey = stretch_to_bytes(np.asarray(image))
    return Image.fromarray(255 - grey if negative else grey)


def _convert_to_srgb(image: Image.Image, profile: bytes) -> Image.Image:
    """Return an L, RGB or CMYK image converted from its profile to sRGB, if that is usable."""
    transform = _to_srgb(profile, image.mode)
    if transform is None and image.mode == "L":  # grey images often carry an RGB profile
        transform = _to_srgb(profile, "RGB")
        image = image if transform is None else image.convert("RGB")
    return image if transform is None else transform.apply(image)


@lru_cache(maxsize=16)  # a folder's images come from few cameras; building one takes 1 to 60 ms
def _to_srgb(profile: bytes, mode: str) -> "ImageCmsTransform | None":
    """Return a transform; ``None`` for a broken profile, another mode's, or no change."""
    from PIL import ImageCms  # noqa: PLC0415 - few images need it

    spaces = {"L": "GRAY", "RGB": "RGB", "CMYK": "CMYK"}
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if source.profile.xcolor_space.strip() != spaces[mode]:
            return None
        transform = ImageCms.buildTransform(
            source,
            ImageCms.createProfile("sRGB"),
            mode,
            "RGB",
            ImageCms.Intent.RELATIVE_COLORIMETRIC,
            ImageCms.Flags.BLACKPOINTCOMPENSATION,
        )
        if mode == "CMYK":
            return transform
        # sRGB has a dozen names, so what the profile does decides, not its name.
        steps = np.arange(0, 256, 15, dtype=np.uint8)  # 18
        cube = np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(18, -1, 3)
        before = Image.fromarray(cube if mode == "RGB" else np.ascontiguousarray(cube[:, :, 0]))
        change = np.asarray(transform.apply(before), np.int16) - np.asarray(before.convert("RGB"))
    except (ImageCms.PyCMSError, *DECODER_ERRORS):
        return None
    return transform if np.abs(change).max() > 2 else None  # noqa: PLR2004 - rounding gives 1
