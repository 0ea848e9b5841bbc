"""Two-dimensional layouts of embeddings: by neighbours, or by principal components.

The layout by neighbours follows McInnes, Healy and Melville ("UMAP: Uniform Manifold Approximation
and Projection for Dimension Reduction", 2018): items are joined to their nearest neighbours with
weights that adapt to the local density; joined items attract and random ones repel each other. It
differs: neighbours are exact, it begins with the principal components, each step moves all items at
once, as arrays, everything is pulled slightly to the middle, and repulsion is stronger, which keeps
more neighbours (Böhm, Berens and Kobak, "Attraction-Repulsion Spectrum in Neighbor Embeddings",
2022).
"""

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from lookalike.analysis.mapping.nearest import NearestItems
from lookalike.core.vectors import Matrix

__all__ = ["Numbers", "Points", "fit_box", "lay_out_by_components", "lay_out_by_neighbours"]

Numbers: TypeAlias = NDArray[np.float64]
Points: TypeAlias = NDArray[np.float32]
"""Positions, (n, 2)."""

# The curve 1 / (1 + a d^2b) by which a distance d on the map becomes a degree of neighbourhood
# (section 3.2 of the paper). This one spreads groups further than the paper's, so that images do
# not hide each other. All numbers here were chosen by the neighbours that maps keep, and by looking
# at maps (docs/decisions/0042-map.md).
_A, _B = 0.3, 1.2
_REPULSION = 120.0  # of one item from all others, beside an attraction of 4 in all
_REPELLED = 60  # random items that stand for all others, in each step …
_REPELLED_ALL = 600_000  # … but no more than so many pairs, and at least:
_REPELLED_LEAST = 8
_GRAVITY = 0.004  # to the middle, so that groups without a common neighbour do not drift apart
_LONGEST_FORCE = 4.0  # between two items
_LONGEST_STEP = 8.0
_STEPS, _STEPS_LARGE, _LARGE = 500, 300, 10_000
_AXES, _ROUNDS = 8, 24  # of the iteration: directions at once, of which two are used
_ITERATIONS = 48  # of the search for the width of each neighbourhood


def lay_out_by_components(rows: Matrix) -> Points:
    """Return the first two principal components of ``rows`` (n, dim) as (n, 2).

    By subspace iteration, because all components of 3,808 dimensions would take minutes.
    """
    count = len(rows)
    points = np.zeros((count, 2), dtype=np.float32)
    if count < 2 or rows.shape[1] < 1:  # noqa: PLR2004 - one point has no direction
        return points
    mean = rows.mean(axis=0)
    generator = np.random.default_rng(0)
    axes = generator.normal(size=(rows.shape[1], min(_AXES, rows.shape[1]))).astype(np.float32)
    for _ in range(_ROUNDS):
        shown = rows @ axes - mean @ axes
        axes, _ = np.linalg.qr(rows.T @ shown - np.outer(mean, shown.sum(axis=0)))
    shown = rows @ axes - mean @ axes  # (n, axes), the directions of greatest variance among them
    _, turned = np.linalg.eigh((shown.T @ shown).astype(np.float64))
    axes = axes @ turned[:, ::-1][:, :2].astype(np.float32)
    signs = np.sign(axes[np.abs(axes).argmax(axis=0), np.arange(axes.shape[1])])
    points[:, : axes.shape[1]] = (rows @ axes - mean @ axes) * np.where(signs == 0, 1, signs)
    return points


class _Edges(NamedTuple):
    """Pairs of neighbours: ``heads`` and ``tails`` (m,) are items, ``weights`` in (0, 1]."""

    heads: NDArray[np.int64]
    tails: NDArray[np.int64]
    weights: NDArray[np.float64]


def lay_out_by_neighbours(
    near: NearestItems,
    start: Points,
    *,
    seed: int = 0,
    progress: Callable[[float], None] = lambda _: None,
) -> Points:
    """Return a layout (n, 2) in which neighbours lie together, beginning with ``start`` (n, 2).

    The same arguments give the same layout. ``progress`` is called with the share that is done.
    """
    count = len(start)
    if count < 3 or near.places.shape[1] == 0:  # noqa: PLR2004 - nothing to lay out
        return start
    edges = _join(near)
    heads, tails = edges.heads, edges.tails
    spread = float(np.abs(start).max()) or 1.0
    generator = np.random.default_rng(seed)
    points = start.astype(np.float64) * (10 / spread)
    points += generator.normal(scale=1e-3, size=points.shape)  # equal items can part
    x, y = np.ascontiguousarray(points[:, 0]), np.ascontiguousarray(points[:, 1])
    drawn = max(_REPELLED_LEAST, min(_REPELLED, _REPELLED_ALL // count))
    everyone = np.tile(np.arange(count), drawn)
    steps = _STEPS if count <= _LARGE else _STEPS_LARGE
    for step in range(steps):
        pull_x, pull_y = _attract(x[heads] - x[tails], y[heads] - y[tails], edges.weights)
        others = generator.integers(count, size=len(everyone))  # itself is at distance 0: no force
        push_x, push_y = _repel(x[everyone] - x[others], y[everyone] - y[others], drawn)
        # Each pair of neighbours is there in both directions; either moves both items.
        move_x = _sum(heads, 2 * pull_x, count) + _sum(everyone, push_x, count) - _GRAVITY * x
        move_y = _sum(heads, 2 * pull_y, count) + _sum(everyone, push_y, count) - _GRAVITY * y
        length = np.hypot(move_x, move_y)
        rate = (1 - step / steps) ** 2 * np.minimum(1, _LONGEST_STEP / np.maximum(length, 1e-9))
        x += rate * move_x
        y += rate * move_y
        progress((step + 1) / steps)
    return np.stack([x, y], axis=1).astype(np.float32)


def _join(near: NearestItems) -> _Edges:
    """Return weighted pairs of neighbours, each pair once in each direction.

    The weight of a neighbour falls with its distance beyond that of the nearest, so that every
    item's weights sum to log2(k): section 3.1 of the paper.
    """
    count, k = near.places.shape
    distances = np.maximum(1 - near.cosines.astype(np.float64), 0)
    beyond = np.maximum(distances - distances[:, :1], 0)
    wanted = np.log2(max(k, 2))
    low = np.zeros(count)
    high = np.full(count, np.inf)
    width = np.ones(count)
    for _ in range(_ITERATIONS):
        total = np.exp(-beyond / width[:, None]).sum(axis=1)
        above = total > wanted
        high = np.where(above, width, high)
        low = np.where(above, low, width)
        width = np.where(np.isinf(high), width * 2, (low + high) / 2)
        width = np.maximum(width, 1e-6)
    weights = np.exp(-beyond / width[:, None]).ravel()
    heads = np.repeat(np.arange(count, dtype=np.int64), k)
    tails = near.places.astype(np.int64).ravel()
    forward, backward = heads * count + tails, tails * count + heads
    order = np.argsort(forward)
    place = np.minimum(np.searchsorted(forward[order], backward), len(order) - 1)
    there = forward[order][place] == backward
    back = np.where(there, weights[order][place], 0)
    joint = weights + back - weights * back
    alone = ~there
    return _Edges(
        np.concatenate([heads, tails[alone]]),
        np.concatenate([tails, heads[alone]]),
        np.concatenate([joint, joint[alone]]),
    )


def _sum(places: NDArray[np.int64], forces: Numbers, count: int) -> Numbers:
    """Return the sum of the forces on each of ``count`` items, (count,)."""
    return np.bincount(places, forces, count).astype(np.float64, copy=False)


def _attract(x: Numbers, y: Numbers, weights: Numbers) -> tuple[Numbers, Numbers]:
    """Return the forces towards neighbours that lie at ``-x, -y``."""
    squared = np.maximum(x * x + y * y, 1e-12)
    power = squared**_B
    force = -2 * _A * _B * (power / squared) / (1 + _A * power) * weights
    return _limit(x * force), _limit(y * force)


def _repel(x: Numbers, y: Numbers, drawn: int) -> tuple[Numbers, Numbers]:
    """Return the forces away from items at ``-x, -y``, of which ``drawn`` stand for all."""
    squared = x * x + y * y
    share = _REPULSION / drawn
    force = 2 * _B * share / ((1e-3 + squared) * (1 + _A * squared**_B))
    return _limit(x * force), _limit(y * force)


def _limit(force: Numbers) -> Numbers:
    return np.clip(force, -_LONGEST_FORCE, _LONGEST_FORCE)


def fit_box(points: Points) -> Points:
    """Return positions in [0, 1], the aspect ratio kept; the larger extent is filled."""
    low, high = points.min(axis=0), points.max(axis=0)
    extent = float((high - low).max()) or 1.0
    middle = (low + high) / 2
    boxed: Points = ((points - middle) / extent + 0.5).astype(np.float32)
    return boxed
