"""Compute and compare neighbour lists: pure, from vectors and from rows of the table.

A list is what an exact search would find, to the last decimal: cosines as ``vectors.cosines``
computes them, ties by id. Scores are computed in tiles, never as a full matrix.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from lookalike.core.protocols import NeighbourLists
from lookalike.core.vectors import Matrix, cosines

__all__ = [
    "Keys",
    "Scores",
    "TableChange",
    "VectorRows",
    "find_changes",
    "find_nearest",
    "remove_entries",
]

_TILE = 8192  # items that they are compared with at once: 32 MB of scores

Keys: TypeAlias = NDArray[np.int64]
Scores: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class TableChange:
    """Changes of some rows of the table, as masks over them, (n,) bool.

    ``gone`` rows have no item any more. ``again`` lists lost one of their neighbours, and the next
    one is unknown. ``shorter`` lists contained every item, so that removing entries is enough.
    ``behind`` lists must be compared with newer items. A row may be both ``shorter`` and
    ``behind``.
    """

    gone: NDArray[np.bool_]
    again: NDArray[np.bool_]
    shorter: NDArray[np.bool_]
    behind: NDArray[np.bool_]


def find_changes(lists: NeighbourLists, alive: Keys) -> TableChange:
    """Compare rows of the table with the current keys, ascending."""
    gone = ~np.isin(lists.keys, alive)
    dead = ((lists.near > 0) & ~np.isin(lists.near, alive)).any(axis=1)
    complete = lists.near[:, -1] == 0
    newest = alive[-1] if len(alive) else 0
    again = ~gone & dead & ~complete
    left = ~gone & ~again
    return TableChange(
        gone=gone,
        again=again,
        shorter=left & dead,
        behind=left & (lists.marks < newest),
    )


class VectorRows:
    """Vectors to compare with: ``keys`` (n,), ``ranks`` (n,) of their ids, ``stored`` (n, dim).

    ``stored`` are float32 copies of the stored vectors, not scaled to length 1: scores are computed
    from these, as in a search. In any order, best at random: the first rows decide how near others
    must be.
    """

    def __init__(self, keys: Keys, ranks: Keys, stored: NDArray[np.float32]) -> None:
        self.keys = keys
        self.ranks = ranks
        self.stored = stored
        lengths = np.sqrt(np.einsum("ij,ij->i", stored, stored, dtype=np.float32))
        self._scale = (1 / lengths).astype(np.float32)
        # Twice the largest error of a float32 product of unit vectors: rows further than this below
        # the k-th are not among the k.
        self.slack = np.float32(2 * (stored.shape[1] + 8) * 2.0**-24)

    def __len__(self) -> int:
        return len(self.keys)

    def close_to(
        self, vectors: Matrix, own: Keys, k: int, least: NDArray[np.float32]
    ) -> list[NDArray[np.intp]]:
        """Return for each of ``vectors`` (q, dim) the positions of rows that may be its nearest.

        That is every row that can be among the ``k`` nearest. ``own`` (q,) are the queries' keys,
        which are excluded, as are rows with a score below ``least`` (q,), which is -inf if nothing
        is known.
        """
        if not len(self):
            return [np.empty(0, np.intp)] * len(vectors)
        floor = least.copy()
        parts: list[tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float32]]] = []
        for start in range(0, len(self), _TILE):
            end = min(start + _TILE, len(self))
            scores = vectors @ self.stored[start:end].T  # (q, n)
            scores *= self._scale[start:end]
            if start == 0 and end > k + 1:
                # one more than k: the item itself may be among them
                kth = np.partition(scores, end - k - 1, axis=1)[:, end - k - 1]
                floor = np.maximum(floor, kth - self.slack)
            passing = np.flatnonzero(scores >= floor[:, None])
            query, place = np.divmod(passing, end - start)
            parts.append((query, place + start, scores.ravel()[passing]))
        query, place, score = (np.concatenate(some) for some in zip(*parts, strict=True))
        other = self.keys[place] != own[query]
        query, place, score = query[other], place[other], score[other]
        order = np.lexsort((-score, query))
        query, place, score = query[order], place[order], score[order]
        starts = np.searchsorted(query, np.arange(len(vectors) + 1))
        found = []
        for first, last in pairwise(starts.tolist()):
            cut = last
            if last - first > k:
                lowest = score[first + k - 1] - self.slack
                cut = first + np.searchsorted(-score[first:last], -lowest, side="right")
            found.append(place[first:cut])
        return found


def find_nearest(
    rows: VectorRows,
    keys: Keys,
    vectors: Matrix,
    k: int,
    known: tuple[Keys, Scores, Keys] | None = None,
) -> tuple[Keys, Scores, NDArray[np.bool_]]:
    """Return the ``k`` nearest items among ``rows``: keys and scores (q, k), 0 if there are fewer.

    ``known`` are existing lists to merge: keys (q, k), scores and ranks. The third array (q,) marks
    the lists that one of ``rows`` has entered.
    """
    least = np.full(len(keys), -np.inf, np.float32)
    if known is not None:
        full = known[0][:, -1] > 0
        least[full] = known[1][full, -1] - rows.slack
    places = rows.close_to(vectors, keys, k, least)
    near, scores = np.zeros((len(keys), k), np.int64), np.zeros((len(keys), k))
    changed = np.zeros(len(keys), np.bool_)

    def choose(one: int) -> None:
        chosen = places[one]
        old = 0 if known is None else int(np.count_nonzero(known[0][one]))
        if known is not None and old:
            chosen = chosen[~np.isin(rows.keys[chosen], known[0][one])]
        if known is not None and not len(chosen):
            near[one], scores[one] = known[0][one], known[1][one]
            return
        candidates = (
            rows.keys[chosen],
            cosines(rows.stored[chosen], vectors[one]),
            rows.ranks[chosen],
        )
        if known is not None:
            candidates = tuple(  # type: ignore[assignment] # three as before
                np.concatenate([some[one, :old], new])
                for some, new in zip(known, candidates, strict=True)
            )
        order = np.lexsort((candidates[2], -candidates[1]))[:k]
        near[one, : len(order)] = candidates[0][order]
        scores[one, : len(order)] = candidates[1][order]
        changed[one] = bool((order >= old).any())

    for one in range(len(keys)):  # threads would only wait for the interpreter lock
        choose(one)
    return near, scores, changed


def remove_entries(near: Keys, scores: Scores, gone: NDArray[np.bool_]) -> tuple[Keys, Scores]:
    """Return lists without the entries that are ``gone``; the others move up."""
    near = np.where(gone, 0, near)
    order = np.argsort(near == 0, axis=1, kind="stable")
    return np.take_along_axis(near, order, 1), np.take_along_axis(scores, order, 1)
