"""Turn pairs of duplicates into groups, each with the item to keep. Pure."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from lookalike.core.records import Item

__all__ = ["KEEP_RULES", "Duplicate", "DuplicateGroup", "KeepRule", "components", "rank", "stars"]

KeepRule: TypeAlias = Literal["best", "largest", "oldest", "first"]
KEEP_RULES: tuple[KeepRule, ...] = ("best", "largest", "oldest", "first")


@dataclass(frozen=True, slots=True, kw_only=True)
class Duplicate:
    """A duplicate of a group's representative.

    ``exact``: the same bytes. ``difference`` is 0 for the same pixels and at most 1; ``turn`` is
    how it must be turned, clockwise, to match the other. ``score`` is the cosine of the two.
    ``sure``: the two were compared in detail and are similar enough to remove the duplicate; if
    not, ``reason`` says why. Before a file is removed, it is compared once more in more detail.
    """

    item: Item
    exact: bool
    difference: float
    turn: str
    score: float
    sure: bool = False
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DuplicateGroup:
    """An item to keep and its duplicates, the nearest first."""

    kept: Item
    duplicates: tuple[Duplicate, ...]


def rank(item: Item, keep: KeepRule) -> tuple[object, ...]:
    """Return a sort key; the item with the smallest is kept.

    ``best``: most pixels, then the largest file, then the oldest, then the first id. ``largest``:
    the largest file, then as ``best``. ``oldest``: the oldest file, then as ``best``. ``first``:
    the first id.
    """
    size, age = (item.stamp.size, item.stamp.mtime_ns) if item.stamp else (0, 2**63)
    best = (-item.width * item.height, -size, age, item.id)
    return {
        "best": best,
        "largest": (-size, *best),
        "oldest": (age, *best),
        "first": (item.id,),
    }[keep]


def components(pairs: Iterable[tuple[int, int]]) -> list[list[int]]:
    """Return the connected components of a graph of pairs, each ascending, by their smallest."""
    above: dict[int, int] = {}

    def top(one: int) -> int:
        while above.setdefault(one, one) != one:
            above[one] = above[above[one]]
            one = above[one]
        return one

    for first, second in pairs:
        low, high = sorted((top(first), top(second)))
        above[high] = low
    members: dict[int, list[int]] = defaultdict(list)
    for one in sorted(above):
        members[top(one)].append(one)
    return [members[one] for one in sorted(members)]


def stars(
    members: Sequence[int],
    key: Callable[[int], tuple[object, ...]],
    differences: Callable[[int, Sequence[int]], dict[int, float]],
) -> list[tuple[int, dict[int, float]]]:
    """Split a component into (kept, its duplicates with their differences).

    A chain (a cropped to b, b cropped to c …) can connect images that are not duplicates. So the
    first by ``key`` takes those that ``differences`` finds to be its duplicates, and the rest is
    split again. A single item is not a group.
    """
    left = sorted(members, key=key)
    found = []
    while len(left) > 1:
        kept, others = left[0], left[1:]
        copies = differences(kept, others)
        if copies:
            found.append((kept, copies))
        left = [one for one in others if one not in copies]
    return found
