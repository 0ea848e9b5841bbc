"""The maps that a model pools to its embedding, found by the form of its graph. Pure.

map → mean | maximum | spread → (length 1, times a number) → (side by side with others) → output
"""

from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from lookalike.encoders.patch_shares import Pooled, PooledMap

if TYPE_CHECKING:
    import onnx

__all__ = ["pooled_maps"]

# What changes no direction, or only the form of a tensor.
_PASSED_ON = frozenset(
    {"Flatten", "Squeeze", "Reshape", "Identity", "Cast", "QuantizeLinear", "DequantizeLinear"}
)
_MEANS = frozenset({"GlobalAveragePool", "ReduceMean"})
_MAXIMA = frozenset({"GlobalMaxPool", "ReduceMax"})
_CHANNELS_FIRST: tuple[list[int], ...] = ([2, 3], [-2, -1])
_CHANNELS_LAST = [1, 2]

_Node: TypeAlias = Any  # a NodeProto


def pooled_maps(model: "onnx.ModelProto", output: str) -> list[PooledMap]:
    """Return the maps that are pooled to ``output``, in the order of its values.

    The list is empty where anything else is found on the way.
    """
    graph = _Graph(model)
    node = graph.source(output)
    while node is not None and node.op_type == "LpNormalization":
        node = graph.source(node.input[0])
    if node is None:
        return []
    parts = list(node.input) if node.op_type == "Concat" else [node.output[0]]
    found = [graph.part(part) for part in parts]
    return [one for one in found if one is not None] if all(found) else []


class _Graph:
    """Follows tensors of a model back to what they are made of."""

    def __init__(self, model: "onnx.ModelProto") -> None:
        self._made: dict[str, _Node] = {
            output: node for node in model.graph.node for output in node.output
        }
        self._constants = {one.name: one for one in model.graph.initializer}

    def source(self, name: str) -> _Node | None:
        """Return the node that computes a tensor, past those that leave it as it is."""
        node = self._made.get(name)
        while node is not None and node.op_type in _PASSED_ON:
            node = self._made.get(node.input[0])
        return node

    def part(self, name: str) -> PooledMap | None:
        """Return the map that is pooled to one part of the embedding."""
        node, factor, length = self.source(name), 1.0, None
        while node is not None and node.op_type in {"Mul", "LpNormalization"}:
            if node.op_type == "LpNormalization":
                length = factor
            else:
                number = self.constant(node.input[1])
                if number is None or number.size != 1:
                    return None
                factor *= float(number.ravel()[0])
            node = self.source(node.input[0])
        if node is None:
            return None
        if node.op_type == "Sqrt":
            return self._spread(node, length)
        return self._pooled(node, length)

    def constant(self, name: str) -> NDArray[np.generic] | None:
        """Return a constant of the model."""
        from onnx import numpy_helper  # noqa: PLC0415 - 100 ms that few need

        found = self._constants.get(name)
        return None if found is None else np.asarray(numpy_helper.to_array(found))

    def _pooled(self, node: _Node, length: float | None) -> PooledMap | None:
        """Return the map of which a node is the mean or the maximum."""
        pooling: Pooled
        if node.op_type in _MEANS:
            pooling = "mean"
        elif node.op_type in _MAXIMA:
            pooling = "max"
        else:
            return None
        if node.op_type.startswith("Global"):
            return PooledMap(tensor=node.input[0], pooling=pooling, length=length)
        axes = self._axes(node)
        if axes == _CHANNELS_LAST:
            return PooledMap(tensor=node.input[0], pooling=pooling, layout="nhwc", length=length)
        if axes in _CHANNELS_FIRST:
            return PooledMap(tensor=node.input[0], pooling=pooling, length=length)
        return None

    def _spread(self, node: _Node, length: float | None) -> PooledMap | None:
        """Return the map of which a root is the standard deviation: √(mean (x - mean x)² + tiny)"""
        mean = self.source(node.input[0])
        if mean is not None and mean.op_type == "Add":
            mean = self.source(mean.input[0])
        if mean is None or mean.op_type not in _MEANS:
            return None
        square = self.source(mean.input[0])
        if square is None or square.op_type not in {"Mul", "Pow"}:
            return None
        difference = self.source(square.input[0])
        if difference is None or difference.op_type != "Sub":
            return None
        return PooledMap(tensor=difference.input[0], pooling="spread", length=length)

    def _axes(self, node: _Node) -> list[int]:
        """Return the axes of a reduction: an attribute, or from opset 18 on a constant input."""
        for attribute in node.attribute:
            if attribute.name == "axes":
                return list(attribute.ints)
        axes = self.constant(node.input[1]) if len(node.input) > 1 else None
        return [] if axes is None else [int(one) for one in axes.ravel()]
