"""A random sample of items.

A digest is a hash, so the order by digest is a random order. The items that follow a random place
in it are a fair sample, and every store finds them by an index instead of counting through all.
"""

import random
from collections.abc import Iterable

from lookalike.core.filters import And, Compare, Condition, Or, Value, all_of
from lookalike.core.protocols import Store
from lookalike.core.records import Item

__all__ = ["sample"]

_ALL = 2**64  # places: the values of the first 16 digits of a digest
_SPARE = 2  # the first range searched holds, on average, so many times the items wanted


def sample(store: Store, k: int, *, seed: int = 0, where: Condition | None = None) -> list[Item]:
    """Return ``k`` random items (that meet a condition) in random order; of exact duplicates one.

    The same ``seed`` gives the same items, apart from what was added or removed since. Fewer than
    ``k`` are returned only when there are not that many. Raise ``ValueError`` for ``k`` below 1.
    """
    if k < 1:
        raise ValueError("a sample has at least one item")
    start = random.Random(seed).randrange(_ALL)  # noqa: S311 - no secret
    width = min(_ALL, _ALL * k * _SPARE // max(store.search.count(where), 1))
    while True:
        near = _make_range(start, width)
        found = store.items.scan(all_of(where, near))
        chosen = _iterate_from(found, start)
        if len(chosen) >= k or width == _ALL:
            return chosen[:k]
        width = min(_ALL, width * 4)


def _make_range(start: int, width: int) -> Condition | None:
    """Return the condition for digests in the ``width`` places from ``start``, wrapping around."""
    if width >= _ALL:
        return None
    end = start + width
    first, last = _compare_digest(">=", start), _compare_digest("<", end % _ALL)
    return And((first, last)) if end < _ALL else Or((first, last))


def _compare_digest(operator: str, place: int) -> Compare:
    return Compare("digest", operator, Value(f"{place:016x}"))


def _iterate_from(items: Iterable[Item], start: int) -> list[Item]:
    """Return items by the distance of their digest from ``start``; of one digest the first id."""
    by_digest = {
        item.digest: item for item in sorted(items, key=lambda item: item.id, reverse=True)
    }
    behind = {digest: (int(digest[:16], 16) - start) % _ALL for digest in by_digest}
    return [by_digest[digest] for digest in sorted(by_digest, key=lambda one: (behind[one], one))]
