"""Answers of a search in which one item stands for its near copies."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from lookalike.collection import Collection
from lookalike.duplicates.comparing import LIKELY, compare
from lookalike.duplicates.judging import Judge
from lookalike.duplicates.keeping import Kept
from lookalike.duplicates.reading import signatures_of
from lookalike.duplicates.signatures import Signatures
from lookalike.records import Hit

__all__ = ["Collapsed", "collapsed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Collapsed:
    """Answers, best first, and by the id of each the number of its copies that were folded."""

    hits: tuple[Hit, ...]
    folded: dict[str, int]


def collapsed(
    collection: Collection,
    ask: Callable[[int], Sequence[Hit]],
    *,
    k: int = 10,
    cache: Path | None = None,
) -> Collapsed:
    """The ``k`` best answers of which none is an exact or near copy of a better one.

    ``ask`` answers so many hits, best first, or all there are::

        collapsed(shop, lambda n: shop.search("query.jpg", k=n), k=10)

    It is asked for more until there are ``k`` answers or no more hits. Near copies are those of
    ``find``; of an item whose file is gone or has changed only exact ones are folded. ``cache`` is
    the file of ``find``. Raises what ``ask`` raises.
    """
    fold = _Fold(collection, k, Kept(cache))
    wanted = k
    while True:
        hits = ask(wanted)
        fold.look(hits)
        if len(fold.kept) >= k or len(hits) < wanted:
            return Collapsed(
                hits=tuple(hit for hit, _ in fold.kept.values()),
                folded={hit.item.id: copies for hit, copies in fold.kept.values()},
            )
        wanted *= 4  # as Collection.search does


@dataclass(slots=True)
class _Fold:
    """The answers so far, by digest, each with the number of its copies."""

    collection: Collection
    k: int
    cache: Kept
    kept: dict[str, tuple[Hit, int]] = field(default_factory=dict)
    seen: set[str] = field(default_factory=set)
    signatures: dict[str, Signatures] = field(default_factory=dict)
    judge: Judge = field(init=False)

    def __post_init__(self) -> None:
        self.judge = Judge(self.collection, self.cache)

    def look(self, hits: Sequence[Hit]) -> None:
        """Go on with the hits that have not been looked at, until there are ``k`` answers."""
        new = [hit for hit in hits if hit.item.id not in self.seen]
        for start in range(0, len(new), self.k):
            some = new[start : start + self.k]
            unread = [hit.item for hit in some if hit.item.digest not in self.signatures]
            self.signatures |= signatures_of(self.collection, unread, self.cache)[0]
            for hit in some:
                if len(self.kept) >= self.k:
                    return
                self.seen.add(hit.item.id)
                better = self._copy_of(hit)
                if better is None:
                    self.kept[hit.item.digest] = (hit, 0)
                else:
                    first, copies = self.kept[better]
                    self.kept[better] = (first, copies + 1)

    def _copy_of(self, hit: Hit) -> str | None:
        """The digest of the answer that a hit is a copy of, the nearest if of several."""
        digest = hit.item.digest
        if digest in self.kept:
            return digest
        others = [one for one in self.kept if one in self.signatures]
        if digest not in self.signatures or not others:
            return None
        mine = self.signatures[digest]
        found = compare(
            np.broadcast_to(mine, (len(others), *mine.shape)),
            np.stack([self.signatures[one] for one in others]),
        )
        order: list[int] = np.argsort(found.difference, kind="stable").tolist()
        for place in order:
            if found.difference[place] > LIKELY:
                break
            first = self.kept[others[place]][0].item
            turn = int(found.turns[place])
            (verdict,) = self.judge.verdicts(first, [hit.item], [turn])
            near = verdict.same and verdict.compared and found.difference[place] <= 1
            if near or verdict.sure:
                return others[place]
        return None
