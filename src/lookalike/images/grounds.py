"""What an image shows: whether it is blank, and which ground its transparent parts need."""

from typing import NamedTuple

from PIL import Image, ImageChops

__all__ = ["Shown", "is_blank", "is_empty", "put_on_ground"]

_EVEN = 4  # levels between the pixels of one colour: lossy codecs change them a little
_NEUTRAL = 8  # levels between the channels of a grey
_SAMPLE = 64  # pixels on a side, looked at before all are

_FAINT = 24  # levels from the ground that are hardly seen
_VISIBLE = 32  # alpha from which a pixel counts as seen
_LEAST_SHARE = 0.01  # of the visible pixels, that must differ from the ground
_LEAST_CLEAR = 0.02  # of all pixels, below which the ground hardly matters


class Shown(NamedTuple):
    """An image without transparency, and what was done to get there, if it is worth a note."""

    image: Image.Image
    note: str | None = None


def put_on_ground(image: Image.Image, ground: str | None = None) -> Shown:
    """Return an image with transparency as L or RGB on a ground that shows its content.

    That is white unless the content is (nearly) white itself: then black. With ``ground``, it is
    that one. An alpha channel that is 0 everywhere says nothing and is ignored: programs leave one
    behind that take the fourth channel for padding.
    """
    base = "L" if image.mode in {"1", "L", "LA", "La"} else "RGB"
    layered = image.convert("LA" if base == "L" else "RGBA")
    alpha = layered.getchannel("A")
    colours = layered.convert(base)
    least, most = _levels(alpha)[0]
    if least == 255:  # noqa: PLR2004 - opaque
        return Shown(colours)
    if most == 0 and not _is_even(colours):
        return Shown(colours, "its alpha channel is 0 everywhere and was ignored")
    flat = _on(colours, alpha, ground or "white")
    if ground is None and not _shows(flat, alpha, white=True):
        black = _on(colours, alpha, "black")
        if _shows(black, alpha, white=False):
            return Shown(black, "it was put on black: on white its content is not seen")
    return Shown(flat)


def _on(colours: Image.Image, alpha: Image.Image, ground: str) -> Image.Image:
    flat = Image.new(colours.mode, colours.size, ground)
    flat.paste(colours, mask=alpha)
    return flat


def _shows(flat: Image.Image, alpha: Image.Image, *, white: bool) -> bool:
    """Return whether enough of what is visible differs from the ground that it lies on."""
    bands = flat.split()
    extreme = bands[0]
    for band in bands[1:]:
        extreme = (ImageChops.darker if white else ImageChops.lighter)(extreme, band)
    levels = extreme.histogram()
    seen = sum(levels[: 256 - _FAINT] if white else levels[_FAINT:])
    shares = alpha.histogram()
    visible = sum(shares[_VISIBLE:])
    pixels = flat.width * flat.height
    if white and pixels - sum(shares[256 - _VISIBLE :]) < pixels * _LEAST_CLEAR:
        return True
    return seen >= max(visible * _LEAST_SHARE, 1)


def is_empty(image: Image.Image) -> bool:
    """Return whether an image of any mode shows nothing: one colour, or nothing but transparency.

    White on a transparent ground is something.
    """
    if image.has_transparency_data:
        layered = image.convert("RGBA")
        if _levels(layered.getchannel("A"))[0][1] == 0 and _is_even(layered.convert("RGB")):
            return True
        return _is_even(layered)
    return _is_even(image if image.mode in {"L", "RGB"} else image.convert("RGB"))


def is_blank(image: Image.Image) -> bool:
    """Return whether an L or RGB image is nothing but white, black or one grey.

    A single colour is no blank image: it may be that of a fabric or a paint.
    """
    if not _is_even(image):
        return False
    levels = [value for ends in _levels(image) for value in ends]
    return max(levels) - min(levels) <= _NEUTRAL


def _is_even(image: Image.Image) -> bool:
    small = image.resize((_SAMPLE, _SAMPLE), Image.Resampling.NEAREST)
    return all(
        high - low <= _EVEN for one in (small, image) for low, high in _levels(one)
    )  # lazily: most images end with the small one


def _levels(image: Image.Image) -> tuple[tuple[int, int], ...]:
    """Return the least and the greatest value of each channel."""
    found = image.getextrema()
    return found if isinstance(found[0], tuple) else (found,)  # type: ignore[return-value]
