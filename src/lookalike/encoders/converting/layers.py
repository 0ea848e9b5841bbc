"""Layers with their weights in one form, whatever framework they came from. Pure.

Builders of graphs take a mapping of these. Weights are laid out as ONNX wants them, and every batch
norm is folded into the convolution before it, so that frameworks differ no more than they must.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from lookalike.errors import WeightsError

__all__ = ["Array", "Layer", "Layers", "Norm", "folded", "layer"]

Array: TypeAlias = NDArray[Any]


@dataclass(frozen=True, slots=True, eq=False)
class Layer:
    """A convolution or dense layer.

    ``weight`` is float32 (out, in / groups, height, width), or (out, in) if dense; ``bias`` is
    (out,). ``origin`` is the name of its weight in the file, for messages.
    """

    weight: NDArray[np.float32]
    bias: NDArray[np.float32]
    origin: str

    @property
    def width(self) -> int:
        """The number of channels that come out."""
        return int(self.weight.shape[0])


Layers: TypeAlias = Mapping[str, Layer]


@dataclass(frozen=True, slots=True, eq=False)
class Norm:
    """A batch norm: arrays of one number per channel, ``None`` where it has no such part."""

    gamma: Array | None
    beta: Array | None
    mean: Array
    variance: Array
    epsilon: float


def layer(weight: Array, bias: Array | None, origin: str) -> Layer:
    """Return a layer without a batch norm; no bias is a bias of zeros."""
    out = weight.shape[0] if weight.ndim else 0
    zeros = np.zeros(out, dtype=np.float32)
    given = zeros if bias is None else np.asarray(bias, dtype=np.float32)
    if given.shape != (out,):
        raise WeightsError(
            f"the bias of {origin} has shape {given.shape}; its weight of shape {weight.shape} "
            f"needs ({out},)"
        )
    return Layer(np.ascontiguousarray(weight, dtype=np.float32), given, origin)


def folded(weight: Array, bias: Array | None, norm: Norm, origin: str) -> Layer:
    """Return the convolution that does what this one and the batch norm after it do."""
    plain = layer(weight, bias, origin)
    shapes = {
        part.shape for part in (norm.gamma, norm.beta, norm.mean, norm.variance) if part is not None
    }
    if shapes != {plain.bias.shape}:
        found = ", ".join(map(str, sorted(shapes)))
        raise WeightsError(
            f"the batch norm after {origin} has shape {found}; it needs {plain.bias.shape}"
        )
    variance = norm.variance.astype(np.float64)
    scale = 1 / np.sqrt(variance + norm.epsilon)
    if norm.gamma is not None:
        scale = scale * norm.gamma
    shift = (plain.bias - norm.mean.astype(np.float64)) * scale
    if norm.beta is not None:
        shift = shift + norm.beta
    scaled = plain.weight * scale.reshape(-1, *[1] * (plain.weight.ndim - 1))
    return Layer(scaled.astype(np.float32), shift.astype(np.float32), origin)
