"""Hits as cards: their thumbnails, scores, labels and match levels."""

from collections.abc import Iterable, Sequence
from itertools import zip_longest
from typing import TYPE_CHECKING

from lookalike.core.records import Hit
from lookalike.display.cards import SIDE, Card
from lookalike.errors import LookalikeError

if TYPE_CHECKING:
    from lookalike.core.protocols.viewing import ItemViewer

__all__ = ["MOST", "hit_cards", "thumbnail_of"]

MOST = 24
"""Hits that HTML shows: each is some 10 kB of a saved notebook."""
_PIXELS = SIDE * 3 // 2  # of a thumbnail, for high-resolution screens


def thumbnail_of(viewer: "ItemViewer | None", id: str) -> bytes | None:
    """Return a small JPEG of an item; ``None`` where it has none or the collection is closed."""
    if viewer is None:
        return None
    try:
        return viewer.thumbnail(id, side=_PIXELS)
    except (LookalikeError, OSError):
        return None


def hit_cards(
    viewer: "ItemViewer | None",
    hits: Iterable[Hit],
    *,
    matches: Sequence[str | None] = (),
    ranked: bool = True,
) -> list[Card]:
    """Return a card of each of the first ``MOST`` hits; ``matches`` are their match levels."""
    chosen = [*hits][:MOST]
    return [
        Card(
            jpeg=thumbnail_of(viewer, hit.id),
            title=hit.id,
            lines=[line for line in (hit.item.label, match) if line],
            score=hit.score,
            rank=rank if ranked else None,
        )
        for rank, (hit, match) in enumerate(
            zip_longest(chosen, matches[: len(chosen)]),
            1,
        )
    ]
