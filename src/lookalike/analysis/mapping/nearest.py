"""The nearest neighbours of every item among the items of a map."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lookalike.core.vectors import Matrix

__all__ = ["NearestItems", "find_nearest_items"]

_FLOATS = 16_000_000  # of a block of cosines: 64 MB


class NearestItems(NamedTuple):
    """The ``k`` nearest other items of each item, nearest first.

    ``places`` (n, k) are positions among the items, ``cosines`` (n, k) float32 in [-1, 1].
    """

    places: NDArray[np.int32]
    cosines: NDArray[np.float32]


def find_nearest_items(
    rows: Matrix, k: int, *, progress: Callable[[int], None] = lambda _: None
) -> NearestItems:
    """Compare every one of ``rows`` (n, dim) with all others, a block at a time.

    Memory beside the rows stays at 64 MB of cosines. ``progress`` is called with the number of
    items that are done.
    """
    count = len(rows)
    k = min(k, count - 1)
    places = np.empty((count, max(k, 0)), dtype=np.int32)
    near = np.empty((count, max(k, 0)), dtype=np.float32)
    size = max(1, _FLOATS // max(count, 1))
    for start in range(0, count if k > 0 else 0, size):
        block = rows[start : start + size] @ rows.T  # (block, n) cosines
        own = np.arange(len(block))
        block[own, start + own] = -np.inf
        best = np.argpartition(block, count - k, axis=1)[:, count - k :]
        found = np.take_along_axis(block, best, axis=1)
        order = np.argsort(-found, axis=1, kind="stable")
        places[start : start + size] = np.take_along_axis(best, order, axis=1)
        near[start : start + size] = np.take_along_axis(found, order, axis=1)
        progress(min(start + size, count))
    return NearestItems(places, np.clip(near, -1, 1))
