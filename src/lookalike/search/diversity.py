"""Diversity: results that are like the query, and unlike each other."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from lookalike.core.protocols import Store
from lookalike.core.records import Hit
from lookalike.core.vectors import cosines, reaches

__all__ = ["choose_diverse", "diversify", "pool_size"]

_POOL = 100


def pool_size(k: int) -> int:
    """Return how many of the best hits ``k`` results are chosen from.

    It is the same up to ``k`` of 50, so that fewer results are the first ones of more.
    """
    return max(_POOL, 2 * k)


def diversify(
    rows: NDArray[np.floating], relevance: NDArray[np.floating], diversity: float, k: int
) -> list[int]:
    """Return the places of ``k`` hits in the order in which they are chosen.

    Maximal marginal relevance (Carbonell and Goldstein, "The use of MMR, diversity-based reranking
    for reordering documents and producing summaries", SIGIR 1998): first the best hit, then always
    the one with the greatest (1 - diversity) * relevance - diversity * (its highest cosine with
    those chosen). ``rows`` (n, dim) are the hits' vectors. ``relevance`` (n,) is in [-1, 1], best
    first. Of equals the earlier one is chosen. With ``diversity`` 0 nothing is reordered.
    """
    count = len(rows)
    free = np.ones(count, bool)
    highest = np.full(count, -1.0)
    chosen: list[int] = []
    for _ in range(min(k, count)):
        if chosen:
            gain = (1 - diversity) * relevance - diversity * highest
            place = int(np.where(free, gain, -np.inf).argmax())
        else:
            place = 0
        chosen.append(place)
        free[place] = False
        highest = np.maximum(highest, cosines(rows, rows[place]))
    return chosen


def choose_diverse(
    store: Store, ranked: Sequence[Hit], diversity: float, k: int, *, least: float
) -> list[Hit]:
    """Choose ``k`` of ranked hits, only of those that score at least ``least`` if any does.

    Where keywords or an expanded query have ranked them, scores are not in order. Then the first is
    as relevant as the highest score says, the second as the second highest, and so on.
    """
    pool = [hit for hit in ranked if reaches(hit.score, least)] or [*ranked]
    if not pool:
        return []
    rows = store.items.vectors([hit.item.id for hit in pool])
    relevance = np.sort([hit.score for hit in pool])[::-1]
    return [pool[place] for place in diversify(rows, relevance, diversity, k)]
