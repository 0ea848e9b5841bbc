"""Text on images, in the font that Pillow includes."""

import math
import unicodedata
from functools import cache
from typing import TypeAlias

from PIL import ImageDraw, ImageFont

__all__ = [
    "GLYPHS",
    "Colour",
    "fit_text",
    "load_font",
    "measure_text",
    "simplify_text",
    "wrap_text",
    "write_text",
]

Font: TypeAlias = ImageFont.FreeTypeFont | ImageFont.ImageFont
Colour: TypeAlias = tuple[int, int, int]

LONGEST_TEXT = 400  # characters that are read; no cell shows more
ELLIPSIS = "…"
# what Pillow's own font can draw; tests/test_sheet.py compares this with the font
GLYPHS = frozenset(map(chr, range(0x20, 0x7F))) | frozenset("©«°±´·»‘’“”…‹›⁄™")  # noqa: RUF001
BOX = "\N{WHITE SQUARE}"  # not a glyph of the font either, so it shows as the font's empty box
SPELLED = {
    "ß": "ss",
    "æ": "ae",
    "Æ": "AE",
    "ø": "o",
    "Ø": "O",
    "ł": "l",
    "Ł": "L",
    "\N{MULTIPLICATION SIGN}": "x",
}


@cache
def load_font(size: int) -> Font:
    """Return the font at a size in pixels."""
    return ImageFont.load_default(size)


def measure_text(text: str, size: int) -> int:
    """Return the width of a line in pixels."""
    return math.ceil(load_font(size).getlength(text))


def write_text(
    pen: ImageDraw.ImageDraw, at: tuple[float, float], text: str, *, size: int, fill: Colour
) -> None:
    """Write a line; ``at`` is its upper left corner."""
    pen.text(at, text, fill=fill, font=load_font(size))


def simplify_text(text: str) -> str:
    """Return the text in characters that the font can draw, on one line.

    Accents go (``é`` → ``e``), line breaks and tabs become spaces, what is invisible goes, and
    the rest becomes a box: it is better to see that something stood there.
    """
    drawn = []
    for character in unicodedata.normalize("NFC", text[:LONGEST_TEXT]):
        if character.isspace():
            drawn.append(" ")
            continue
        if character in GLYPHS:
            drawn.append(character)
            continue
        for part in unicodedata.normalize("NFKD", SPELLED.get(character, character)):
            category = unicodedata.category(part)
            if category == "Pd":
                drawn.append("-")
            elif category[0] != "M" and category not in {"Cc", "Cf"}:
                drawn.append(part if part in GLYPHS else BOX)
    return " ".join("".join(drawn).split())


def fit_text(text: str, size: int, room: float) -> str:
    """Return the text as one line no wider than ``room``, with its middle left out where it is
    longer.
    """
    line = simplify_text(text)
    if measure_text(line, size) <= room:
        return line
    few, many = 0, len(line)  # characters kept: `few` fit, `many` do not
    while many - few > 1:
        kept = (few + many) // 2
        if measure_text(_shorten(line, kept), size) <= room:
            few = kept
        else:
            many = kept
    return _shorten(line, few)


def _shorten(line: str, kept: int) -> str:
    # the end of a file name tells more (a number, the extension), so it gets the odd character
    tail = -(-kept // 2)
    head, end = line[: kept - tail].rstrip(), line[len(line) - tail :].lstrip()
    return head + ELLIPSIS + end


def wrap_text(text: str, size: int, room: float, most: int) -> list[str]:
    """Return the text as at most ``most`` lines no wider than ``room``; the last is shortened."""
    lines: list[str] = []
    words = simplify_text(text).split()
    while words and len(lines) < most - 1:
        count = 1
        while count < len(words) and measure_text(" ".join(words[: count + 1]), size) <= room:
            count += 1
        lines.append(fit_text(" ".join(words[:count]), size, room))
        words = words[count:]
    return [*lines, fit_text(" ".join(words), size, room)] if words else lines
