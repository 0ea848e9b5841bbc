"""Images with their scores as HTML that a notebook shows, in a light or a dark theme.

Everything is in the markup itself: styles are inline and thumbnails are data URIs, because a
notebook is saved, mailed and opened elsewhere. All text is escaped.
"""

import base64
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

__all__ = ["Card", "cards_html", "facts_html"]

SIDE = 128
"""Pixels of the longer side of an image."""
_LONGEST = 200  # characters of any text

_BOX = f"width:{SIDE}px;height:{SIDE}px;display:flex;align-items:center;justify-content:center"
_LINE = "overflow:hidden;text-overflow:ellipsis;white-space:nowrap"
_QUIET = "opacity:.75"
_BAR = "height:3px;border-radius:2px;background:rgba(127,127,127,.25);margin:3px 0"


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """An image (``jpeg``; ``None`` where it cannot be shown) with its title and quieter lines.

    Of a title that is a path, the name is shown; pointing at it shows the rest. ``score`` is shown
    as a number and a bar. ``rank`` is its place in the results.
    """

    jpeg: bytes | None
    title: str
    lines: Sequence[str] = ()
    score: float | None = None
    rank: int | None = None


def cards_html(
    cards: Iterable[Card],
    *,
    heading: str = "",
    query: Sequence[Card] = (),
    notes: Sequence[str] = (),
) -> str:
    """Return the images beside each other, those of the ``query`` first, below a heading."""
    top = f'<div style="margin:4px 0">{_clean(heading)}</div>' if heading else ""
    asked = "".join(_card(one) for one in query)
    line = "1px solid rgba(127,127,127,.4)"
    if asked:
        asked = (
            f'<div style="display:flex;gap:12px;padding-right:16px;border-right:{line}">{asked}'
            "</div>"
        )
    shown = "".join(map(_card, cards))
    below = "".join(f'<div style="{_QUIET};margin:4px 0">{_clean(one)}</div>' for one in notes)
    return (
        '<div style="font:13px/1.4 system-ui,sans-serif">'
        f'{top}<div style="display:flex;flex-wrap:wrap;gap:12px">{asked}{shown}</div>{below}</div>'
    )


def facts_html(heading: str, facts: Iterable[tuple[str, str]], inner: str = "") -> str:
    """Return a heading, a table of facts, and HTML below it."""
    rows = "".join(
        f'<tr style="background:none"><th scope="row" style="text-align:left;font-weight:normal;'
        f'padding:2px 16px 2px 0;{_QUIET}">{_clean(name)}</th>'
        f'<td style="text-align:left;padding:2px 0">{_clean(value)}</td></tr>'
        for name, value in facts
    )
    return (
        '<div style="font:13px/1.4 system-ui,sans-serif">'
        f'<div style="font-weight:600;margin:4px 0">{_clean(heading)}</div>'
        f'<table style="border-collapse:collapse;margin:4px 0">{rows}</table>{inner}</div>'
    )


def _card(card: Card) -> str:
    title, short = _clean(card.title), _clean(card.title.rstrip("/").rpartition("/")[2])
    if card.jpeg is None:
        image = f'<span style="{_QUIET}">no image</span>'
    else:
        source = base64.b64encode(card.jpeg).decode()
        image = (
            f'<img src="data:image/jpeg;base64,{source}" alt="{title}" '
            f'style="max-width:{SIDE}px;max-height:{SIDE}px;margin:0">'
        )
    score = "" if card.score is None else _score(card.score, card.rank)
    lines = "".join(
        f'<div style="{_LINE};{_QUIET}" title="{_clean(one)}">{_clean(one)}</div>'
        for one in card.lines
        if one
    )
    return (
        f'<div style="width:{SIDE}px"><div style="{_BOX};background:rgba(127,127,127,.1)">{image}'
        f'</div>{score}<div style="{_LINE}" title="{title}">{short}</div>{lines}</div>'
    )


def _score(score: float, rank: int | None) -> str:
    share = max(0.0, min(1.0, score)) * 100
    place = "" if rank is None else str(rank)
    return (
        f'<div style="display:flex;justify-content:space-between"><span style="{_QUIET}">{place}'
        f'</span><span>{score:.3f}</span></div><div style="{_BAR}"><div style="width:{share:.1f}%;'
        f'height:3px;border-radius:2px;background:#248f89"></div></div>'
    )


def _clean(text: str) -> str:
    """Return text as HTML shows it: escaped, and not endless."""
    return escape(text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…", quote=True)
