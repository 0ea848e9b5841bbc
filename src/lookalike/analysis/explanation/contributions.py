"""From shares of two embeddings to what each region adds to their score. Pure.

With shares f_p that add up to the embedding a, and g_q that add up to b, the score a·b is the sum
of f_p·g_q over all pairs of positions. So f_p·b is what the position p of the query adds to it,
a·g_q what q of the item adds, and f_p·g_q what the two have in common.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lookalike.core.vectors import Vector

__all__ = ["Divided", "Pair", "explain_pair", "merge_positions", "settle"]

_MOST = 16  # rows and columns; of finer grids, neighbours are added up


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Divided:
    """An embedding ``vector`` (dim,), and its ``shares`` (rows, columns, dim), if it has any."""

    vector: Vector
    shares: NDArray[np.float32] | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Pair:
    """What was computed of two embeddings.

    ``query`` and ``item`` (rows, columns) are what each position adds to the score; ``pairs``
    (rows, columns, rows, columns) what each position of the query and each of the item have in
    common. ``None`` where one has no shares.
    """

    score: float
    query: NDArray[np.float32] | None
    item: NDArray[np.float32] | None
    pairs: NDArray[np.float32] | None


def explain_pair(query: Divided, item: Divided) -> Pair:
    """Return what each position of two images adds to their score."""
    pairs = None
    if query.shares is not None and item.shares is not None:
        pairs = np.tensordot(query.shares, item.shares, axes=(2, 2))
    return Pair(
        score=float(query.vector @ item.vector),
        query=None if query.shares is None else query.shares @ item.vector,
        item=None if item.shares is None else item.shares @ query.vector,
        pairs=pairs,
    )


def settle(shares: NDArray[np.float32], vector: Vector) -> NDArray[np.float32]:
    """Return the shares of one image so that they add up to ``vector``.

    What is missing is divided evenly: rounding, or what a stored embedding has lost of its digits.
    """
    missing = vector - shares.sum(axis=(0, 1))
    settled: NDArray[np.float32] = shares + missing / (shares.shape[0] * shares.shape[1])
    return settled


def merge_positions(shares: NDArray[np.float32], most: int = _MOST) -> NDArray[np.float32]:
    """Return shares on a grid of at most ``most`` rows and columns, with the same sum.

    A position of a finer grid that lies in two positions of the new one is divided between them.
    """
    for axis in (0, 1):
        size = shares.shape[axis]
        if size > most:
            parts = np.tensordot(_overlaps(size, most), shares, axes=(1, axis))
            shares = np.moveaxis(parts, 0, axis).astype(np.float32)
    return shares


def _overlaps(fine: int, coarse: int) -> NDArray[np.float64]:
    """Return how much of each of ``fine`` steps lies in each of ``coarse``, (coarse, fine)."""
    new, old = np.linspace(0, fine, coarse + 1), np.arange(fine + 1)
    stop = np.minimum(new[1:, None], old[None, 1:])
    start = np.maximum(new[:-1, None], old[None, :-1])
    inside: NDArray[np.float64] = np.maximum(stop - start, 0.0)
    return inside
