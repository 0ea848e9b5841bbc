"""Compute the measures of each query from the ranking of everything that it may find.

Plain numpy, independent of collections. The package's docstring defines the measures.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from lookalike.core.vectors import Matrix

__all__ = ["Measures", "Rows", "Values", "measures"]

Rows: TypeAlias = NDArray[np.intp]
Values: TypeAlias = NDArray[np.float64]

_SHOWN = 8  # first hits that are kept of each query
_CURVE = 50  # k up to which precision is plotted
_CELLS = 8_000_000  # keys per block of the ranking: 64 MB, and as much again for scores
_COLUMNS = 8192  # items converted to float64 at once: 84 MB at 1,280 values
_DIGITS = 1_000_000_000  # scores are compared to nine decimals, as in `vectors.cosines`
_LAST = (2**31 - 1) << 32  # after every score: a cosine of -1 is 2 * _DIGITS


@dataclass(frozen=True, slots=True, kw_only=True)
class Measures:
    """The result of ``measures``, one row per query; ``first`` are rows of ``vectors``."""

    values: Mapping[str, Values]
    relevant: Rows
    first: Rows  # (q, SHOWN or fewer); -1 if the gallery has no more
    scores: Values  # likewise, cosines
    curve: Values


def measures(
    vectors: Matrix,
    classes: Rows,
    queries: Rows,
    gallery: Rows,
    *,
    ks: Sequence[int] = (1, 5, 10),
    progress: Callable[[int], None] | None = None,
) -> Measures:
    """Return the measures of each query, by comparison with every item of the gallery.

    ``queries`` and ``gallery`` are rows of ``vectors`` (n, dim); ties are ordered by row. A class
    below 0 is none. Memory beside the vectors is about 250 MB for any size. Raise ``ValueError``
    for a query with nothing to find.
    """
    gallery = np.sort(gallery)
    sizes = np.bincount(classes[gallery][classes[gallery] >= 0], minlength=classes.max() + 1)
    relevant = sizes[classes[queries]] - np.isin(queries, gallery)
    if (classes[queries] < 0).any() or (relevant < 1).any():
        raise ValueError("a query has nothing to find in the gallery")
    block = max(1, min(512, _CELLS // max(1, len(gallery))))
    parts: list[dict[str, Values]] = []
    firsts: list[tuple[Rows, Values]] = []
    curve = np.zeros(min(_CURVE, len(gallery)))
    for start in range(0, len(queries), block):
        asking = queries[start : start + block]
        order, scores = _rank(vectors, asking, gallery)
        right = classes[gallery[order]] == classes[asking][:, None]  # (b, m)
        own = np.isin(asking, gallery)
        right[own, -1] = False  # the query itself comes last
        parts.append(_compute(right, relevant[start : start + block], ks))
        curve += right[:, : len(curve)].sum(axis=0)
        first = gallery[order[:, :_SHOWN]]
        first[first == asking[:, None]] = -1  # with few items, the query is among the first
        firsts.append((first, scores))
        if progress is not None:
            progress(min(start + block, len(queries)))
    upto = np.arange(1, len(curve) + 1)
    return Measures(
        values={name: np.concatenate([one[name] for one in parts]) for name in parts[0]},
        relevant=relevant,
        first=np.concatenate([first for first, _ in firsts]),
        scores=np.concatenate([scores for _, scores in firsts]),
        curve=np.cumsum(curve) / upto / len(queries),
    )


def _rank(vectors: Matrix, asking: Rows, gallery: Rows) -> tuple[NDArray[np.int64], Values]:
    """Return positions in the gallery by descending score, then position (b, m), and first scores.

    Score and position are packed into one integer, so that a plain sort (four times as fast as one
    that moves positions along) orders ties. The query itself comes last.
    """
    keys = np.empty((len(asking), len(gallery)), dtype=np.int64)
    wanted = _normalise(vectors[asking])
    for start in range(0, len(gallery), _COLUMNS):
        some = slice(start, start + _COLUMNS)
        cosine = wanted @ _normalise(vectors[gallery[some]]).T  # (b, c)
        np.clip(cosine, -1, 1, out=cosine)
        keys[:, some] = _DIGITS - np.rint(cosine * _DIGITS).astype(np.int64)
    keys <<= 32
    keys += np.arange(len(gallery))
    rows, places = np.nonzero(gallery[None, :] == asking[:, None])
    keys[rows, places] = _LAST + places
    keys.sort(axis=1)
    scores = (_DIGITS - (keys[:, :_SHOWN] >> 32)) / _DIGITS
    keys &= (1 << 32) - 1
    return keys, scores


def _normalise(rows: Matrix) -> Values:
    """Return rows of length 1 in float64, whose products round far below the ninth decimal."""
    wide = rows.astype(np.float64)
    wide /= np.sqrt(np.einsum("ij,ij->i", wide, wide))[:, None]
    return wide


def _compute(right: NDArray[np.bool_], relevant: Rows, ks: Sequence[int]) -> dict[str, Values]:
    """Return the measures of rankings: ``right`` (b, m) marks the right hits, best first."""
    count = len(right)
    rows, ranks = np.nonzero(right)  # ranks from 0
    begins = np.searchsorted(rows, np.arange(count))
    found = np.arange(len(rows)) - begins[rows] + 1  # right hits down to this one
    precision = found / (ranks + 1)
    values: dict[str, Values] = {}
    for k in ks:
        hits = np.bincount(rows[ranks < k], minlength=count)
        values[f"P@{k}"] = hits / k
        values[f"R@{k}"] = (hits > 0).astype(np.float64)
        values[f"recall@{k}"] = hits / relevant
    within = ranks < relevant[rows]
    values["mAP"] = np.bincount(rows, precision, count) / relevant
    values["mAP@R"] = np.bincount(rows[within], precision[within], count) / relevant
    values["R-precision"] = np.bincount(rows[within], minlength=count) / relevant
    order = [f"{name}@{k}" for name in ("P", "R", "recall") for k in ks]
    return {name: values[name] for name in (*order, "mAP", "mAP@R", "R-precision")}
