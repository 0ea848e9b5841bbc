"""Fold the results of a search: one item represents its near duplicates."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from lookalike.analysis.duplicates.comparing import LIKELY, compare
from lookalike.analysis.duplicates.image_signatures import load_signatures
from lookalike.analysis.duplicates.signature_cache import SignatureCache
from lookalike.analysis.duplicates.signatures import Signatures
from lookalike.analysis.duplicates.verification import Verifier
from lookalike.core.records import Hit

if TYPE_CHECKING:
    from lookalike.collection import Collection

__all__ = ["NearDuplicateFold"]

_CACHE = "signatures.sqlite"


@dataclass(slots=True)
class NearDuplicateFold:
    """The results so far, by digest, each with the number of near duplicates that it stands for.

    Near duplicates are those of ``duplicates.find``; of an item whose file is gone or has changed
    only exact ones are folded. Signatures are kept in the collection's ``cache``.
    """

    collection: "Collection"
    k: int
    cache: SignatureCache = field(init=False)
    kept: dict[str, tuple[Hit, int]] = field(default_factory=dict)
    seen: set[str] = field(default_factory=set)
    signatures: dict[str, Signatures] = field(default_factory=dict)
    verifier: Verifier = field(init=False)

    def __post_init__(self) -> None:
        folder = self.collection.cache
        self.cache = SignatureCache(None if folder is None else folder / _CACHE)
        self.verifier = Verifier(self.collection, self.cache)

    @property
    def folded(self) -> dict[str, int]:
        """Return how many near duplicates each result represents, by its id."""
        return {hit.item.id: copies for hit, copies in self.kept.values()}

    def look(self, hits: Sequence[Hit]) -> list[Hit]:
        """Fold the hits that have not been processed, and return at most ``k`` results."""
        new = [hit for hit in hits if hit.item.id not in self.seen]
        for start in range(0, len(new), self.k):
            some = new[start : start + self.k]
            unread = [hit.item for hit in some if hit.item.digest not in self.signatures]
            self.signatures |= load_signatures(self.collection, unread, self.cache)[0]
            for hit in some:
                if len(self.kept) >= self.k:
                    break
                self.seen.add(hit.item.id)
                better = self._find_original(hit)
                if better is None:
                    self.kept[hit.item.digest] = (hit, 0)
                else:
                    first, copies = self.kept[better]
                    self.kept[better] = (first, copies + 1)
        return [hit for hit, _ in self.kept.values()]

    def _find_original(self, hit: Hit) -> str | None:
        """Return the digest of the nearest result that a hit duplicates; ``None`` if there is
        none.
        """
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
            (verdict,) = self.verifier.verdicts(first, [hit.item], [turn])
            near = verdict.same and verdict.compared and found.difference[place] <= 1
            if near or verdict.sure:
                return others[place]
        return None
