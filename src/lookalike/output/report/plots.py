"""Plots for report pages, drawn as SVG. ``series`` numbers the colours of the page's style.

Sizes are in the units of the drawing, whose width the page stretches or shrinks to its column.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

from lookalike.output.report.page import percent

__all__ = ["Bar", "axis", "bars", "figure", "key", "rect", "short", "text"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """A share in [0, 1] with its name; ``title`` is shown where the pointer rests on it."""

    name: str
    share: float
    title: str = ""


def figure(
    caption: str, size: tuple[float, float], body: Iterable[str], *, wide: bool = False
) -> str:
    """Return a drawing of ``body`` (SVG) with a caption above it; a ``wide`` one stands alone."""
    width, height = size
    caption = escape(caption)
    return (
        f"<figure{' class=wide' * wide}><figcaption>{caption}</figcaption>"
        f'<svg viewBox="0 0 {width:.0f} {height:.0f}" role="img" aria-label="{caption}">'
        f"{''.join(body)}</svg></figure>"
    )


def text(x: float, y: float, words: str, *, anchor: str = "start", name: bool = False) -> str:
    """Return words with their baseline at ``y``; a ``name`` is in full colour."""
    kind = ' class="name"' if name else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{kind}>{escape(words)}</text>'


def rect(box: tuple[float, float, float, float], series: int, title: str = "") -> str:
    """Return a filled rectangle of (x, y, width, height)."""
    x, y, width, height = box
    inside = f"<title>{escape(title)}</title>" if title else ""
    return (
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{max(width, 0.5):.1f}" '
        f'height="{max(height, 0.5):.1f}" rx="1.5" style="fill:var(--s{series % 4})">'
        f"{inside}</rect>"
    )


def short(words: str, room: int) -> str:
    """Return at most ``room`` characters, with an ellipsis where some are left out."""
    return words if len(words) <= room else words[: room - 1].rstrip() + "…"


def axis(left: float, top: float, width: float, height: float) -> list[str]:
    """Return lines at 0, 25 … 100 % from bottom to top, with their numbers."""
    parts = []
    for share in (0, 0.25, 0.5, 0.75, 1):
        y = top + height * (1 - share)
        parts.append(
            f'<line class="grid" x1="{left:.1f}" x2="{left + width:.1f}" y1="{y:.1f}" '
            f'y2="{y:.1f}"/>'
        )
        parts.append(text(left - 6, y + 4, f"{100 * share:.0f} %", anchor="end"))
    return parts


def key(titles: Sequence[str], y: float) -> list[str]:
    """Return which colour is which, below a plot."""
    if len(titles) == 1:
        return []
    parts = []
    for number, title in enumerate(titles):
        at = y + 20 * number
        parts += [
            rect((44, at - 10, 12, 12), number),
            text(62, at, short(title, 60), name=True),
        ]
    return parts


def bars(caption: str, shown: Sequence[Bar], series: int) -> str:
    """Return horizontal bars, one below the other, each between its name and its share."""
    room = min(20, max((len(each.name) for each in shown), default=0))
    left, step, width = 16 + 7.0 * room, 19.0, 480.0
    long = width - left - 52
    body = []
    for number, each in enumerate(shown):
        y = number * step
        body += [
            text(left - 8, y + 13, short(each.name, room), anchor="end", name=True),
            rect((left, y + 3, long * each.share, 12), series, each.title),
            text(left + long * each.share + 6, y + 13, percent(each.share)),
        ]
    return figure(caption, (width, len(shown) * step + 4), body)
