"""From the vectors of a query's parts to the directions that items are compared with."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

from lookalike.core.filters import Condition
from lookalike.core.protocols import Store
from lookalike.core.records import Hit
from lookalike.core.vectors import Matrix, Vector, cosines, mixed
from lookalike.search.query import Encoded, QueryPart

__all__ = ["ONLY_LESS", "Directions", "Mix", "check_weights"]

ONLY_LESS = (
    "the query says only what results should be less like; add an image, an item, words or a "
    "vector that they should be like"
)

Mix: TypeAlias = Literal["mean", "best"]


def check_weights(parts: Sequence[QueryPart]) -> None:
    """Raise ``ValueError`` for parts that results are all to be less like."""
    if parts and all(part.weight < 0 for part in parts):
        raise ValueError(ONLY_LESS)


@dataclass(frozen=True, slots=True, eq=False)
class Directions:
    """One direction or several: an item scores its best cosine, times the direction's factor.

    ``vectors`` is (n, dim) unit rows; ``factors`` are above 0 and at most 1. Of one direction the
    score is the cosine.
    """

    vectors: Matrix
    factors: tuple[float, ...]

    @classmethod
    def of(cls, vector: Vector) -> Self:
        """Return a single direction."""
        return cls(vector[None, :], (1.0,))

    @classmethod
    def of_each(cls, encoded: Sequence[Encoded], parts: Sequence[QueryPart]) -> Self:
        """Return a direction for each part of weight above 0, away from all those below 0.

        The factor of a part is its weight as a share of the greatest. Raise ``ValueError`` for a
        part that those below 0 cancel out.
        """
        rows = np.stack([one.vector for one in encoded])
        most = max(part.weight for part in parts)
        away = [place for place, part in enumerate(parts) if part.weight < 0]
        weights = [1.0, *(parts[place].weight / most for place in away)]
        liked = [place for place, part in enumerate(parts) if part.weight > 0]
        vectors = [mixed(rows[[place, *away]], weights) if away else rows[place] for place in liked]
        return cls(np.stack(vectors), tuple(parts[place].weight / most for place in liked))

    def nearest(
        self, store: Store, k: int, *, exact: bool, where: Condition | None
    ) -> tuple[list[Hit], bool]:
        """Return the ``k`` items of the best scores, best first, and whether these are all.

        An item among the best ``k`` is among the best ``k`` of one direction: each item before it
        there scores more than it in all.
        """
        found = store.search.nearest(self.vectors, k=k, exact=exact, where=where)
        complete = all(len(hits) < k for hits in found)
        if len(found) == 1:
            return found[0], complete
        best: dict[str, Hit] = {}
        for hits, factor in zip(found, self.factors, strict=True):
            for hit in hits:
                score = hit.score * factor
                known = best.get(hit.item.id)
                if known is None or known.score < score:
                    best[hit.item.id] = Hit(item=hit.item, score=score)
        order = sorted(best.values(), key=lambda hit: (-hit.score, hit.item.id))
        return order if complete else order[:k], complete

    def scores(self, rows: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return the score of each of ``rows`` (n, dim), as (n,)."""
        best: NDArray[np.float64] = self.each(rows).max(axis=0)
        return best

    def each(self, rows: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return what each of ``rows`` (n, dim) scores with each direction, (directions, n)."""
        return np.stack(
            [
                factor * cosines(rows, vector)
                for vector, factor in zip(self.vectors, self.factors, strict=True)
            ]
        )
