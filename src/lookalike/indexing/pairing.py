"""Decide which new file is an earlier one under another name. Pure.

Both have the same digest. If several exact duplicates moved at once, their paths decide. If paths
cannot decide and the duplicates had different annotations, nothing is paired: a wrong label is
worse than one that waits among the missing items.
"""

import json
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from lookalike.core.manual_edits import NOTHING, ManualEdits
from lookalike.core.records import Item

__all__ = ["Former", "Pairs", "pair"]

_Key: TypeAlias = Callable[[Item], object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Former:
    """Content that has left its place: ``item`` as it was, and its manual edits (``by_hand``).

    ``origin`` is ``vanished`` (its file no longer exists), ``replaced`` (its place has other
    content), ``missing`` (gone since an earlier run) or ``elsewhere`` (its file has gone from a
    folder that this run does not scan). A missing one has its ``row`` in a ``table``.
    """

    item: Item
    origin: str
    by_hand: ManualEdits = NOTHING
    table: str = ""
    row: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pairs:
    """``moved`` are pairs of (former, new item); ``unclear`` new items could have been several."""

    moved: tuple[tuple[Former, Item], ...]
    unclear: tuple[Item, ...]


def pair(formers: Sequence[Former], arrivals: Sequence[Item]) -> Pairs:
    """Pair each new item with what it was before; each former item is used at most once."""
    before: dict[str, list[Former]] = defaultdict(list)
    for former in formers:
        before[former.item.digest].append(former)
    now: dict[str, list[Item]] = defaultdict(list)
    for item in arrivals:
        if item.digest in before:
            now[item.digest].append(item)
    moved: list[tuple[Former, Item]] = []
    unclear: list[Item] = []
    for digest, items in now.items():
        found = _pair_one_digest(before[digest], items)
        moved += found.moved
        unclear += found.unclear
    return Pairs(moved=tuple(moved), unclear=tuple(unclear))


def _pair_one_digest(formers: Sequence[Former], arrivals: Sequence[Item]) -> Pairs:
    """Pair by the strongest evidence first; candidates with equal evidence share a bucket."""
    waiting = sorted(formers, key=lambda one: (one.item.id, one.origin))
    new = sorted(arrivals, key=lambda one: one.id)
    moved: list[tuple[Former, Item]] = []
    unclear: list[Item] = []
    for key in _evidence(waiting, new):
        if not waiting or not new:
            break
        lefts: dict[object, list[Former]] = defaultdict(list)
        for former in waiting:
            lefts[key(former.item)].append(former)
        rights: dict[object, list[Item]] = defaultdict(list)
        for item in new:
            rights[key(item)].append(item)
        waiting, new = [], []
        for place, mine in lefts.items():
            theirs = rights.pop(place, [])
            if place is None or not theirs:
                waiting += mine
                new += theirs
            elif len({_words(one) for one in mine}) == 1:
                moved += zip(mine, theirs, strict=False)
                waiting += mine[len(theirs) :]
                new += theirs[len(mine) :]
            else:
                unclear += theirs
        new += [item for items in rights.values() for item in items]
    return Pairs(moved=tuple(moved), unclear=tuple(unclear))


def _evidence(formers: Sequence[Former], arrivals: Sequence[Item]) -> list[_Key]:
    """Yield what two items may have in common, strongest first; ``None`` is nothing."""
    yours, theirs = [one.item for one in formers], arrivals
    deepest = min(max(len(_parts(item)) for item in items) for items in (yours, theirs))

    def ending(count: int) -> _Key:
        return lambda item: parts[-count:] if len(parts := _parts(item)) >= count else None

    return [
        lambda item: item.id,
        *(ending(count) for count in range(deepest, 0, -1)),
        lambda item: (item.root, _parts(item)[:-1]),
        lambda _: "the digest alone",
    ]


def _parts(item: Item) -> tuple[str, ...]:
    return tuple(item.path.split("/")) if item.path else ()


def _words(former: Former) -> str:
    item = former.item
    said = [item.label, item.group, dict(item.metadata), former.by_hand.as_json()]
    return json.dumps(said, sort_keys=True)
