"""Thumbnails in the terminal, if it can show them.

They are drawn with half blocks (``▀``): each character shows two pixels, the upper one in its own
colour and the lower one in its background. Every terminal with 256 colours can do that, no query
of the terminal is needed, and the result is text, so it fits into a table.
"""

from PIL import Image
from rich.color import Color
from rich.console import Console
from rich.style import Style
from rich.text import Text

__all__ = ["can_preview", "preview"]

PAPER = (255, 255, 255)  # behind transparent pixels, as in a shop


def can_preview(console: Console) -> bool:
    """Return whether the console can show thumbnails: a terminal with enough colours, in UTF.

    A pipe, a file or a log gets none, not even with ``FORCE_COLOR``. ``NO_COLOR`` and ``TERM=dumb``
    turn them off. Sixteen colours are too few to recognise an image.
    """
    return (
        console.file.isatty()
        and console.is_terminal
        and not console.is_dumb_terminal
        and not console.no_color
        and console.color_system in {"256", "truecolor"}
        and console.encoding.startswith("utf")
    )


def preview(image: Image.Image, *, console: Console, columns: int = 12) -> Text | None:
    """Return the whole image, at most ``columns`` wide and half as many lines high.

    Return ``None`` if the console cannot show it. Raise ``ValueError`` for fewer than one column.
    """
    if columns < 1:
        raise ValueError(f"columns is {columns}; a preview needs at least one")
    if 0 in image.size or not can_preview(console):
        return None
    pixels = _reduce(image, columns)
    # each column of an image of odd height ends in a half block without a lower pixel
    blocks = Text(no_wrap=True, overflow="crop", end="")
    for top in range(0, pixels.height, 2):
        if top:
            blocks.append("\n")
        for x in range(pixels.width):
            below = _get_colour(pixels, x, top + 1) if top + 1 < pixels.height else None
            blocks.append("▀", Style(color=_get_colour(pixels, x, top), bgcolor=below))
    return blocks


def _reduce(image: Image.Image, side: int) -> Image.Image:
    """Return the image as RGB, scaled to fit ``side`` by ``side`` pixels, also if it is smaller."""
    scale = side / max(image.size)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        paper = Image.new("RGBA", layer.size, (*PAPER, 255))
        image = Image.alpha_composite(paper, layer)
    return image.convert("RGB").resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0)


def _get_colour(pixels: Image.Image, x: int, y: int) -> Color:
    red, green, blue = pixels.crop((x, y, x + 1, y + 1)).tobytes()
    return Color.from_rgb(red, green, blue)
