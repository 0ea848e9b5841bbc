"""Small pictures in the terminal, where the terminal can.

Drawn with half blocks (``▀``): each character shows two pixels, its own colour above and its
background below. Every terminal with 256 colours can do that, nothing has to be asked of it,
and the result is text, so that it can stand in a table.
"""

from PIL import Image
from rich.color import Color
from rich.console import Console
from rich.style import Style
from rich.text import Text

__all__ = ["can_preview", "preview"]

PAPER = (255, 255, 255)  # behind what can be seen through, as in a shop


def can_preview(console: Console) -> bool:
    """Whether pictures make sense there: a real terminal, in colour, that knows the characters.

    A pipe, a file or a log gets none, not even with ``FORCE_COLOR``; nor does anyone with
    ``NO_COLOR`` or ``TERM=dumb``. Sixteen colours are too few to know a picture by.
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
    """The picture, whole, at most ``columns`` wide and half as many lines high.

    ``None`` where the console cannot show it. Raises ``ValueError`` for fewer than one column.
    """
    if columns < 1:
        raise ValueError(f"columns is {columns}; a preview needs at least one")
    if 0 in image.size or not can_preview(console):
        return None
    pixels = _reduced(image, columns)
    # a column of a picture of odd height ends in a half block with nothing below
    blocks = Text(no_wrap=True, overflow="crop", end="")
    for top in range(0, pixels.height, 2):
        if top:
            blocks.append("\n")
        for x in range(pixels.width):
            below = _colour(pixels, x, top + 1) if top + 1 < pixels.height else None
            blocks.append("▀", Style(color=_colour(pixels, x, top), bgcolor=below))
    return blocks


def _reduced(image: Image.Image, side: int) -> Image.Image:
    """The picture as RGB within ``side`` by ``side`` pixels, enlarged if it is smaller."""
    scale = side / max(image.size)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    if image.has_transparency_data:
        seen = image.convert("RGBA")
        paper = Image.new("RGBA", seen.size, (*PAPER, 255))
        image = Image.alpha_composite(paper, seen)
    return image.convert("RGB").resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0)


def _colour(pixels: Image.Image, x: int, y: int) -> Color:
    red, green, blue = pixels.crop((x, y, x + 1, y + 1)).tobytes()
    return Color.from_rgb(red, green, blue)
