"""Unit vectors and what is computed on them. Pure numpy."""

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = ["Matrix", "Vector", "cosines", "dots", "mixed", "reaches", "top_k", "unit_rows"]

Vector: TypeAlias = NDArray[np.float32]  # (dim,), unit length
Matrix: TypeAlias = NDArray[np.float32]  # (n, dim), unit rows


_ROUNDING = 1e-6


def unit_rows(rows: NDArray[np.floating]) -> Matrix:
    """Scale each row to length 1, so that a dot product is a cosine.

    ``rows`` is (n, dim) of any float type; the result is a new (n, dim) float32 array.
    Raise ``ValueError`` for a row that is zero or not finite: it has no direction, and
    dividing would store NaN.
    """
    lengths = np.linalg.norm(rows.astype(np.float64, copy=False), axis=1, keepdims=True)
    bad = np.flatnonzero(~np.isfinite(lengths[:, 0]) | (lengths[:, 0] == 0))
    if bad.size:
        raise ValueError(f"row {bad[0]} is zero or not finite, so it has no direction")
    units: Matrix = (rows / lengths).astype(np.float32)
    return units


def reaches(score: float, least: float) -> bool:
    """Return whether a cosine is at least ``least``, but for the rounding of stored vectors.

    An image scores 0.9999998 against itself, and a ``min_score`` of 1 is to find it.
    """
    return score >= least - _ROUNDING


def top_k(scores: NDArray[np.floating], k: int) -> NDArray[np.intp]:
    """Positions of the ``k`` highest of ``scores`` (n,), best first; ties by position.

    Fewer than ``k`` come back when there are fewer. Linear in n: the rest is never sorted.
    """
    k = min(k, len(scores))
    if k <= 0:
        return np.empty(0, dtype=np.intp)
    if k < len(scores):
        kth = np.partition(scores, len(scores) - k)[len(scores) - k]
        above = np.flatnonzero(scores > kth)
        level = np.flatnonzero(scores == kth)[: k - len(above)]
        chosen = np.concatenate([above, level])
    else:
        chosen = np.arange(len(scores))
    return chosen[np.lexsort((chosen, -scores[chosen]))]


def dots(queries: Matrix, rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Dot product of each of ``queries`` (q, dim) with each of ``rows`` (n, dim), as (q, n).

    A query alone is multiplied on the calling thread. A matrix product would share it out and save
    a millisecond at 12,500 rows of 1280, but the threads that BLAS woke then spin for tens of
    milliseconds, and a service that encodes on the same cores has half of them left.
    """
    if len(queries) == 1:
        products: NDArray[np.float32] = np.vecdot(rows, queries[0])
        return products[None, :]
    return queries @ rows.T


def cosines(rows: NDArray[np.floating], vector: NDArray[np.floating]) -> NDArray[np.float64]:
    """Cosine of each of ``rows`` (n, dim) with ``vector`` (dim,), as (n,) float64 in [-1, 1].

    Equal rows give equal scores wherever they stand, which a matrix product does not promise:
    so every search scores its results here, to nine decimals, and duplicates tie exactly.
    """
    narrow = rows.astype(np.float32, copy=False)  # numpy cannot sum half floats in a wider type
    direction = vector.astype(np.float64)
    dots = np.einsum("ij,j->i", narrow, direction, dtype=np.float64)
    squares = np.einsum("ij,ij->i", narrow, narrow, dtype=np.float64)
    lengths = np.sqrt(squares) * np.sqrt((direction * direction).sum())
    scores: NDArray[np.float64] = np.clip(np.round(dots / lengths, 9), -1, 1)
    return scores


def mixed(rows: Matrix, weights: Sequence[float]) -> Vector:
    """Return one direction for several: the weighted sum of unit ``rows`` (n, dim), unit again.

    A negative weight leads away from a row. This is Rocchio's way to use what a person likes
    and dislikes of the results ("Relevance feedback in information retrieval", 1971), on vectors
    of equal length. Raise ``ValueError`` when the rows cancel each other out.
    """
    if len(weights) != len(rows):
        raise ValueError(f"{len(rows)} rows have {len(weights)} weights")
    total = np.asarray(weights, dtype=np.float64) @ rows.astype(np.float64)  # (dim,)
    # what rounding leaves of vectors that cancel points anywhere
    if not np.linalg.norm(total) > 1e-4 * np.abs(weights).max(initial=0):
        raise ValueError("the parts of the query cancel each other out; change a weight")
    one: Vector = unit_rows(total[None, :])[0]
    return one
