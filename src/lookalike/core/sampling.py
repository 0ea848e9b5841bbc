"""A few items of many, by chance.

A digest is a hash, so items by digest are items in no order at all: those that follow a place
chosen by chance are a fair sample, and every store finds them by an index instead of counting off.
"""

import random
from collections.abc import Iterable

from lookalike.core.filters import And, Compare, Condition, Or, Value
from lookalike.core.protocols import Store
from lookalike.core.records import Item

__all__ = ["sample"]

_ALL = 2**64  # places that the first 16 digits of a digest tell apart
_SPARE = 2  # times as many as are wanted lie, on average, where one looks first


def sample(store: Store, k: int, *, seed: int = 0, where: Condition | None = None) -> list[Item]:
    """``k`` items (that meet a condition) by chance, in no order; of exact copies one.

    The same for the same ``seed``, but for what was added or removed. Fewer than ``k`` come back
    only when there are not as many. ``ValueError`` when ``k`` is below 1.
    """
    if k < 1:
        raise ValueError("a sample is of one item or more")
    start = random.Random(seed).randrange(_ALL)  # noqa: S311 - no secret
    width = min(_ALL, _ALL * k * _SPARE // max(store.count(where), 1))
    while True:
        lying = _within(start, width)
        parts = tuple(part for part in (where, lying) if part is not None)
        found = store.scan(And(parts) if len(parts) > 1 else parts[0] if parts else None)
        chosen = _following(found, start)
        if len(chosen) >= k or width == _ALL:
            return chosen[:k]
        width = min(_ALL, width * 4)


def _within(start: int, width: int) -> Condition | None:
    """That a digest is one of the ``width`` places from ``start`` on, beginning anew at the end."""
    if width >= _ALL:
        return None
    end = start + width
    first, last = _compared(">=", start), _compared("<", end % _ALL)
    return And((first, last)) if end < _ALL else Or((first, last))


def _compared(operator: str, place: int) -> Compare:
    return Compare("digest", operator, Value(f"{place:016x}"))


def _following(items: Iterable[Item], start: int) -> list[Item]:
    """Items by how far their digest lies behind ``start``; of one digest the first by id."""
    by_digest = {
        item.digest: item for item in sorted(items, key=lambda item: item.id, reverse=True)
    }
    behind = {digest: (int(digest[:16], 16) - start) % _ALL for digest in by_digest}
    return [by_digest[digest] for digest in sorted(by_digest, key=lambda one: (behind[one], one))]
