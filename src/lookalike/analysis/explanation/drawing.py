"""An explanation as one image: both images with their contributions, the score, and a scale."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from lookalike.images.lettering import Colour, fit_text, measure_text, write_text

if TYPE_CHECKING:
    from lookalike.analysis.explanation.explanation import ExplainedImage, Explanation

__all__ = ["ADDS", "TAKES", "draw_explanation", "overlay"]

# People with any common form of colour blindness can distinguish orange from blue.
ADDS: Colour = (235, 94, 0)
"""Of regions that add to the score."""
TAKES: Colour = (20, 100, 200)
"""Of regions that take away from it."""

_PAGE: Colour = (250, 249, 247)
_TEXT: Colour = (32, 32, 36)
_QUIET: Colour = (96, 93, 90)
_PALE = 0.72  # how much of an image's colour is taken away, so that the overlay is seen
_DENSEST = 0.85  # of the overlay, where a contribution is the highest of all
_SMALLEST = 160  # pixels of a side


def draw_explanation(explanation: "Explanation", *, side: int = 480) -> Image.Image:
    """Return both images side by side, or the item's alone; ``side`` is the longer side of each."""
    if side < _SMALLEST:
        raise ValueError(f"side is {side} pixels; below {_SMALLEST} the scale cannot be read")
    shown = [one for one in (explanation.query, explanation.item) if one is not None]
    highest = max(float(np.abs(one.contributions).max()) for one in shown) or 1.0
    size = max(13, side // 30)
    margin, line = side // 20, round(size * 1.5)
    panels = [overlay(one, highest, side=side) for one in shown]
    tall = max(panel.height for panel in panels)
    width = sum(panel.width for panel in panels) + margin * (len(panels) + 1)
    width = max(width, side + 2 * margin)
    top = margin + round(size * 1.4) + line
    below = top + tall + margin
    page = Image.new("RGB", (width, below + 3 * line + margin), _PAGE)
    pen = ImageDraw.Draw(page)
    room = width - 2 * margin
    turned = explanation.orientation
    title = f"Score {explanation.score:.3f}" + ("" if turned == "upright" else f", query {turned}")
    write_text(pen, (margin, margin * 0.7), title, size=round(size * 1.4), fill=_TEXT)
    left = margin
    heads = ["Query", "Item"] if len(shown) > 1 else ["Item"]
    for head, one, panel in zip(heads, shown, panels, strict=True):
        caption = fit_text(f"{head}: {one.name}" if one.name else head, size, panel.width)
        write_text(pen, (left, top - line), caption, size=size, fill=_TEXT)
        page.paste(panel, (left, top))
        left += panel.width + margin
    cells = explanation.item.contributions.size
    _draw_scale(page, (margin, below), min(room, side), highest, size)
    for number, note in enumerate(_notes(explanation, cells)):
        at = (margin, below + round(size * (2.6 + 1.4 * number)))
        write_text(pen, at, fit_text(note, size, room), size=size, fill=_QUIET)
    return page


def overlay(shown: "ExplainedImage", highest: float, *, side: int) -> Image.Image:
    """Return an image, pale, with its contributions in colour; ``highest`` is the densest."""
    image = shown.image
    scale = side / max(image.size)
    size = (max(round(image.width * scale), 1), max(round(image.height * scale), 1))
    pixels = np.asarray(image.convert("RGB").resize(size), dtype=np.float32)
    grey = pixels.mean(axis=2, keepdims=True)
    pale = grey + (pixels - grey) * (1 - _PALE)
    heat = shown.heatmap(size)[..., None] / highest
    return Image.fromarray(_blend(pale, heat))


def _blend(pixels: NDArray[np.float32], heat: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Return pixels (h, w, 3) covered by the colours of ``heat`` (h, w, 1) in [-1, 1]."""
    colour = np.where(heat >= 0, np.array(ADDS, np.float32), np.array(TAKES, np.float32))
    dense = np.clip(np.abs(heat), 0, 1) * _DENSEST
    return (pixels * (1 - dense) + colour * dense).round().clip(0, 255).astype(np.uint8)


def _draw_scale(
    page: Image.Image, at: tuple[int, int], width: int, highest: float, size: int
) -> None:
    """Draw a bar from ``-highest`` to ``highest``, with its numbers on the same line."""
    pen = ImageDraw.Draw(page)
    low, high = f"-{highest:.3f}", f"+{highest:.3f}"
    before, after = (measure_text(text, size) + size // 2 for text in (low, high))
    bar = max(width - before - after, 1)
    heat = np.linspace(-1, 1, bar, dtype=np.float32)[None, :, None].repeat(size, axis=0)
    grey = np.full((size, bar, 3), 225, dtype=np.float32)
    page.paste(Image.fromarray(_blend(grey, heat)), (at[0] + before, at[1]))
    write_text(pen, at, low, size=size, fill=_TEXT)
    write_text(pen, (at[0] + before + bar + size // 2, at[1]), high, size=size, fill=_TEXT)


def _notes(explanation: "Explanation", cells: int) -> list[str]:
    """Return what the colours mean, in two lines."""
    first = "Orange regions add to the score, blue ones take away from it."
    if explanation.adds_up:
        return [first, f"The {cells} regions of an image add up to the score."]
    return [first, "Each region was hidden in turn; these losses do not add up to the score."]
