"""How well vectors find images of the same class: leave-one-out, with intervals.

Every image is a query among all others of its set. mAP is the mean over queries of the average
precision, P@k the share of images of the query's class among the first k. Intervals are 95 %
bootstrap intervals over queries. Vectors are compared as they are (``raw``), less their mean
(``centred``), or centred and projected on their first 256 principal components (``projected``),
mean and components being those of the set itself, as a collection fits them on its own items.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lookalike.analysis.evaluation.intervals import interval
from lookalike.analysis.evaluation.rankings import measures

__all__ = ["SPACES", "Score", "difference", "evaluate", "in_space", "pca", "side_by_side", "unit"]

SPACES = ("raw", "centred", "projected")
PROJECTED_DIM = 256

Rows = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """Means over queries and their intervals; ``average_precision`` has a value per query."""

    queries: int
    classes: int
    mean: Mapping[str, float]  # of mAP, P@1, P@10
    interval: Mapping[str, tuple[float, float]]
    average_precision: NDArray[np.float64]


def unit(rows: NDArray[np.floating]) -> Rows:
    """Return the rows at length 1; a row of zeros stays one."""
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    result: Rows = (rows / np.maximum(lengths, 1e-12)).astype(np.float32)
    return result


def pca(rows: NDArray[np.floating], dim: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return mean (d,) and components (d, dim or fewer) of the rows, by descending variance.

    Whichever is smaller is decomposed, the products of dimensions or those of rows: encoders side
    by side have more dimensions than a set has images.
    """
    mean: NDArray[np.float32] = rows.mean(axis=0, dtype=np.float64).astype(np.float32)
    centred = (rows - mean).astype(np.float32)
    dim = min(dim, *centred.shape)
    if centred.shape[1] <= centred.shape[0]:
        _, vectors = np.linalg.eigh(centred.T @ centred)
        return mean, np.ascontiguousarray(vectors[:, ::-1][:, :dim])
    values, vectors = np.linalg.eigh(centred @ centred.T)
    lengths = np.sqrt(np.maximum(values[::-1][:dim], values[-1] * 1e-7))
    components: NDArray[np.float32] = centred.T @ vectors[:, ::-1][:, :dim] / lengths
    return mean, components


def in_space(rows: NDArray[np.floating], space: str) -> Rows:
    """Return unit rows in one of ``SPACES``, fitted on the rows themselves."""
    rows = unit(rows)
    if space == "raw":
        return rows
    if space == "centred":
        return unit(rows - rows.mean(axis=0))
    mean, components = pca(rows, PROJECTED_DIM)
    return unit((rows - mean) @ components)


def side_by_side(parts: Sequence[NDArray[np.floating]], weights: Sequence[float]) -> Rows:
    """Return each encoder's rows centred, scaled to length ``weights`` and concatenated."""
    columns = [
        weight * unit(rows - rows.mean(axis=0))
        for rows, weight in zip(map(unit, parts), weights, strict=True)
    ]
    return unit(np.concatenate(columns, axis=1))


def evaluate(rows: Rows, labels: Sequence[str]) -> Score:
    """Return how well unit ``rows`` (n, d) find the labels; classes of one image ask nothing."""
    _, classes, sizes = np.unique(list(labels), return_inverse=True, return_counts=True)
    queries = np.flatnonzero(sizes[classes] > 1)
    found = measures(rows, classes, queries, np.arange(len(rows)), ks=(1, 10))
    wanted = ("mAP", "P@1", "P@10")
    table = np.stack([found.values[name] for name in wanted], axis=1)
    low, high = interval(table)
    return Score(
        queries=len(queries),
        classes=int((sizes > 1).sum()),
        mean={name: float(value) for name, value in zip(wanted, table.mean(axis=0), strict=True)},
        interval={name: (float(a), float(b)) for name, a, b in zip(wanted, low, high, strict=True)},
        average_precision=found.values["mAP"],
    )


def difference(one: Score, other: Score) -> tuple[float, float, float]:
    """Return how much higher the mAP of ``one`` is on the same queries, and its interval."""
    differences = one.average_precision - other.average_precision
    low, high = interval(differences[:, None])
    return float(differences.mean()), float(low[0]), float(high[0])
