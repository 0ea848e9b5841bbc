"""Query expansion: search again with the nearest items mixed into the query."""

import numpy as np

from lookalike.core.filters import Condition
from lookalike.core.protocols import Store
from lookalike.core.records import Hit
from lookalike.core.vectors import Matrix, unit_rows
from lookalike.search.directions import Directions

__all__ = ["ALPHA", "expand", "nearest_by"]

ALPHA = 3.0
"""The power of a neighbour's cosine that is its weight, as its authors found it."""


def expand(directions: Directions, neighbours: Matrix) -> Directions:
    """Return the directions with their neighbours (n, dim) mixed in.

    Weighted query expansion (Radenović, Tolias and Chum, "Fine-tuning CNN image retrieval with no
    human annotation", TPAMI 2018): the sum of the query, with weight 1, and of each neighbour with
    its cosine to the power of 3. Of several directions, a neighbour belongs to the one with which
    it scores best; one without neighbours stays as it is. The factors stay.
    """
    if not len(neighbours):
        return directions
    scores = directions.each(neighbours)  # (directions, n)
    nearest = scores.argmax(axis=0)
    vectors = directions.vectors.astype(np.float64)
    for place, factor in enumerate(directions.factors):
        mine = nearest == place
        weights = np.clip(scores[place, mine] / factor, 0, None) ** ALPHA
        vectors[place] += weights @ neighbours[mine].astype(np.float64)
    return Directions(unit_rows(vectors), directions.factors)


def nearest_by(
    ranking: Directions,
    scoring: Directions,
    store: Store,
    k: int,
    *,
    exact: bool,
    where: Condition | None,
) -> tuple[list[Hit], bool]:
    """Return the ``k`` items nearest to ``ranking`` with their scores with ``scoring``.

    Also whether these are all, as ``Directions.nearest``.
    """
    hits, complete = ranking.nearest(store, k, exact=exact, where=where)
    if not hits:
        return [], complete
    scores = scoring.scores(store.items.vectors([hit.item.id for hit in hits])).tolist()
    return [Hit(item=hit.item, score=one) for hit, one in zip(hits, scores, strict=True)], complete
