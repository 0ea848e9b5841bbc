"""Pooling taken apart: what each position of a map adds to a pooled vector. Pure.

Each pooling is a function f of the values x of a channel with f(c x) = c f(x) for c > 0, so by
Euler's theorem f(x) is the sum of x_p df/dx_p over the positions p. These terms are the shares: no
part of the vector is left over, and none is counted twice.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from lookalike.encoders.cards.records import GEM_P, Layout

__all__ = ["PooledMap", "divide", "divide_all"]

Pooled: TypeAlias = Literal["mean", "spread", "gem", "max"]

_LEAST = 1e-6  # as in ``pooling`` and ``pooled_embedding``
_MAP_AXES, _TOKEN_AXES = 4, 3


@dataclass(frozen=True, slots=True, kw_only=True)
class PooledMap:
    """A tensor with a vector for each position, and how it is pooled to a part of the embedding.

    ``pooling`` "spread" is the standard deviation. ``length`` is that to which the part is scaled;
    ``None`` leaves it as it is. ``layout`` is that of a map with four axes; one with three has
    tokens (n, tokens, channels), of which the first ``prefix_tokens`` stand for no place.
    """

    tensor: str
    pooling: Pooled
    layout: Layout = "nchw"
    length: float | None = None
    gem_p: float = GEM_P
    prefix_tokens: int = 0


def divide_all(
    tensors: Sequence[NDArray[np.generic]], maps: Sequence[PooledMap], *, aspect: float
) -> NDArray[np.float64]:
    """Return shares (n, rows, columns, dim) of the embeddings of which ``maps`` are the parts.

    ``tensors`` are those that the maps name, for n images; ``aspect`` is width / height of the
    input, which says how tokens lie. The sum over positions has length 1. Raise ``ValueError`` for
    tensors that are no maps, or whose grids differ.
    """
    parts = []
    for tensor, one in zip(tensors, maps, strict=True):
        part = divide(_on_grid(tensor, one, aspect), one)
        if one.length is not None:
            part *= one.length / _length(part)
        parts.append(part)
    if len({part.shape[:3] for part in parts}) != 1:
        raise ValueError("the maps of the embedding have different grids")
    shares = np.concatenate(parts, axis=-1)
    unit: NDArray[np.float64] = shares / _length(shares)
    return unit


def divide(values: NDArray[np.float64], how: PooledMap) -> NDArray[np.float64]:
    """Return shares of a pooled map (n, rows, columns, channels), of the same shape.

    Their sum over rows and columns is the map, pooled as ``how`` says.
    """
    axes = (1, 2)
    count = values.shape[1] * values.shape[2]
    if how.pooling == "mean":
        even: NDArray[np.float64] = values / count
        return even
    if how.pooling == "spread":
        squares = (values - values.mean(axis=axes, keepdims=True)) ** 2 + _LEAST
        deviation = np.sqrt(squares.mean(axis=axes, keepdims=True))
        spread: NDArray[np.float64] = squares / count / deviation
        return spread
    top = values.max(axis=axes, keepdims=True)
    if how.pooling == "max":
        highest = values == top  # equal ones share it
        shared: NDArray[np.float64] = highest * top / highest.sum(axis=axes, keepdims=True)
        return shared
    above = np.maximum(values, _LEAST)
    top = np.maximum(top, _LEAST)
    powers = (above / top) ** how.gem_p
    pooled = powers.mean(axis=axes, keepdims=True) ** (1 / how.gem_p) * top
    weighted: NDArray[np.float64] = powers / powers.sum(axis=axes, keepdims=True) * pooled
    return weighted


def _on_grid(tensor: NDArray[np.generic], how: PooledMap, aspect: float) -> NDArray[np.float64]:
    """Return a tensor as (n, rows, columns, channels) float64."""
    values = tensor.astype(np.float64)
    if values.ndim == _TOKEN_AXES:
        values = values[:, how.prefix_tokens :]
        rows = round((values.shape[1] / aspect) ** 0.5)
        columns = values.shape[1] // max(rows, 1)
        if rows * columns != values.shape[1] or not rows:
            raise ValueError(f"the {values.shape[1]} tokens of {how.tensor} form no grid")
        return values.reshape(len(values), rows, columns, values.shape[-1])
    if values.ndim != _MAP_AXES:
        raise ValueError(f"{how.tensor} is of shape {values.shape}, and no map")
    return values.transpose(0, 2, 3, 1) if how.layout == "nchw" else values


def _length(shares: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the length of each vector whose shares these are, to divide them by."""
    length: NDArray[np.float64] = np.linalg.norm(
        shares.sum(axis=(1, 2), keepdims=True), axis=-1, keepdims=True
    )
    return np.maximum(length, np.finfo(np.float64).tiny)
