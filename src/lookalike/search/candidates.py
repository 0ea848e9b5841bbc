"""The hits that a store proposes, before the query is left out and others are folded."""

from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeAlias

from lookalike.core.records import Hit, Item

__all__ = ["WIDEN", "Candidates", "Find", "firsts"]

WIDEN = 4
"""Factor of requested hits if too few are left."""


class Candidates(NamedTuple):
    """Hits that a store proposes, best first: all that there are when ``complete``.

    Without ``more``, asking for a greater number finds no others although they may exist.
    """

    hits: list[Hit]
    complete: bool
    more: bool = True


Find: TypeAlias = Callable[[int], Candidates | None]
"""Returns so many hits; ``None`` where it cannot say."""


def firsts(hits: Sequence[Hit], key: Callable[[Item], object]) -> list[Hit]:
    """Return the first hit of each kind."""
    seen: dict[object, Hit] = {}
    for hit in hits:
        seen.setdefault(key(hit.item), hit)
    return list(seen.values())
