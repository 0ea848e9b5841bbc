"""A convolutional graph that is put together layer by layer. Pure.

The builder knows the number of channels and the height and width at each step: explicit paddings
need them, and a layer that does not fit the one before it is reported by the name that it has in
the file.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from lookalike.encoders.converting.layers import Layer
from lookalike.encoders.efficientnet_lite import same_padding
from lookalike.errors import WeightsError

if TYPE_CHECKING:
    import onnx

__all__ = [
    "FEATURES",
    "IMAGE",
    "IR_VERSION",
    "LOGITS",
    "MAP",
    "OPSET",
    "Activation",
    "GraphBuilder",
    "GraphTensor",
    "Padding",
]

IMAGE, FEATURES, MAP, LOGITS = "image", "features", "map", "logits"
OPSET = 17
IR_VERSION = 8  # what goes with opset 17; every supported onnxruntime reads it

Activation: TypeAlias = Literal["none", "relu", "relu6"]
Padding: TypeAlias = Literal["same", "symmetric", "none"]
"""``same``: TensorFlow's, the odd row at the end. ``symmetric``: kernel // 2 all round."""

_DENSE = 2  # axes of a dense layer's weight


@dataclass(frozen=True, slots=True)
class GraphTensor:
    """A tensor in the graph: (n, channels, height, width)."""

    name: str
    channels: int
    height: int
    width: int


class GraphBuilder:
    """Collects nodes and weights; each method adds one step and returns what comes out of it."""

    def __init__(self, title: str, *, height: int, width: int) -> None:
        # 100 ms to import, and needed only when a file is converted.
        from onnx import helper, numpy_helper  # noqa: PLC0415

        self._helper = helper
        self._from_array = numpy_helper.from_array
        self._title = title
        self._nodes: list[Any] = []
        self._weights: dict[str, Any] = {}
        self._outputs: dict[str, list[int | str]] = {}
        self.image = GraphTensor(IMAGE, 3, height, width)

    def node(self, operator: str, inputs: list[str], output: str, **attributes: Any) -> str:  # noqa: ANN401  ONNX attributes
        """Add any operator; return its output's name."""
        self._nodes.append(self._helper.make_node(operator, inputs, [output], output, **attributes))
        return output

    def constant(self, name: str, array: NDArray[Any] | np.generic) -> str:
        """Add an array that nodes may read; return its name."""
        if name not in self._weights:
            self._weights[name] = self._from_array(np.asarray(array), name)
        return name

    def convolution(
        self,
        source: GraphTensor,
        part: Layer,
        name: str,
        *,
        stride: int = 1,
        padding: Padding = "same",
        activation: Activation = "none",
    ) -> GraphTensor:
        """A convolution; of each channel by itself where the weight has one input channel."""
        if part.weight.ndim != 4:  # noqa: PLR2004  out, in, height, width
            raise _misfit(part, "a convolution's weight has four axes")
        out, given, kernel, kernel_width = part.weight.shape
        groups = source.channels if given == 1 else 1
        if given * groups != source.channels or out % groups:
            raise _misfit(part, f"the layer before it gives {source.channels} channels")
        if kernel != kernel_width:
            raise _misfit(part, "the kernel must be square")
        top, bottom, height = _padded(source.height, kernel, stride, padding)
        left, right, width = _padded(source.width, kernel, stride, padding)
        self.node(
            "Conv",
            [
                source.name,
                self.constant(f"{name}.weight", part.weight),
                self.constant(f"{name}.bias", part.bias),
            ],
            name,
            kernel_shape=[kernel, kernel],
            strides=[stride, stride],
            pads=[top, left, bottom, right],
            group=groups,
        )
        return GraphTensor(self.activation(name, activation), out, height, width)

    def max_pool(
        self, source: GraphTensor, name: str, *, kernel: int, stride: int, padding: Padding
    ) -> GraphTensor:
        """The largest number of each window."""
        top, bottom, height = _padded(source.height, kernel, stride, padding)
        left, right, width = _padded(source.width, kernel, stride, padding)
        if min(height, width) < 1:
            raise WeightsError(
                f"the image is too small for {self._title}: nothing is left at {name}"
            )
        self.node(
            "MaxPool",
            [source.name],
            name,
            kernel_shape=[kernel, kernel],
            strides=[stride, stride],
            pads=[top, left, bottom, right],
        )
        return GraphTensor(name, source.channels, height, width)

    def add(
        self, left: GraphTensor, right: GraphTensor, name: str, *, activation: Activation = "none"
    ) -> GraphTensor:
        """The sum of two tensors of one shape."""
        if left.channels != right.channels:
            raise WeightsError(
                f"{self._title}: {name} cannot add {left.channels} and {right.channels} channels"
            )
        self.node("Add", [left.name, right.name], name)
        return GraphTensor(
            self.activation(name, activation), left.channels, left.height, left.width
        )

    def activation(self, tensor: str, kind: Activation) -> str:
        """Cut off what is below 0, with "relu6" also what is above 6."""
        if kind == "none":
            return tensor
        zero, six = np.float32(0), np.float32(6)
        if kind == "relu":
            return self.node("Relu", [tensor], f"{tensor}.relu")
        limits = [self.constant("zero", zero), self.constant("six", six)]
        return self.node("Clip", [tensor, *limits], f"{tensor}.relu6")

    def dense(
        self, source: str, channels: int, part: Layer, name: str, *, activation: Activation = "none"
    ) -> str:
        """A dense layer over (n, channels)."""
        if part.weight.ndim != _DENSE or part.weight.shape[1] != channels:
            raise _misfit(part, f"the layer before it gives {channels} numbers")
        weights = [
            self.constant(f"{name}.weight", part.weight),
            self.constant(f"{name}.bias", part.bias),
        ]
        self.node("Gemm", [source, *weights], name, transB=1)
        return self.activation(name, activation)

    def show(self, tensor: str, output: str, shape: list[int | str]) -> None:
        """Make a tensor an output of the graph, under the name ``output``."""
        self.node("Identity", [tensor], output)
        self._outputs[output] = shape

    def show_map(self, source: GraphTensor) -> None:
        """Make the output ``map``, (n, channels, height, width)."""
        self.show(source.name, MAP, ["n", source.channels, source.height, source.width])

    def show_pooled(self, source: GraphTensor, pooling: Literal["avg", "max"]) -> str:
        """Make the output ``features``, (n, channels), of a map; return its name."""
        operator = "GlobalAveragePool" if pooling == "avg" else "GlobalMaxPool"
        self.node(operator, [source.name], "pooled")
        self.node("Flatten", ["pooled"], FEATURES)
        self._outputs[FEATURES] = ["n", source.channels]
        return FEATURES

    def show_flat(self, source: GraphTensor) -> str:
        """Make the output ``features``, a map as Keras flattens it: row, column, channel."""
        self.node("Transpose", [source.name], "positions", perm=[0, 2, 3, 1])
        self.node("Flatten", ["positions"], FEATURES)
        self._outputs[FEATURES] = ["n", source.channels * source.height * source.width]
        return FEATURES

    def model(self) -> "onnx.ModelProto":
        """Return what was put together."""
        floats = 1  # onnx.TensorProto.FLOAT
        value = self._helper.make_tensor_value_info
        given = self.image
        graph = self._helper.make_graph(
            self._nodes,
            self._title,
            [value(IMAGE, floats, ["n", given.channels, given.height, given.width])],
            [value(name, floats, shape) for name, shape in self._outputs.items()],
            list(self._weights.values()),
        )
        return self._helper.make_model(
            graph,
            producer_name="lookalike",
            ir_version=IR_VERSION,
            opset_imports=[self._helper.make_opsetid("", OPSET)],
        )

    @property
    def outputs(self) -> Mapping[str, list[int | str]]:
        """The outputs so far: name → shape."""
        return self._outputs


def _padded(size: int, kernel: int, stride: int, padding: Padding) -> tuple[int, int, int]:
    """Return (before, after, size of the result) along one axis."""
    if padding == "same":
        before, after = same_padding(size, kernel, stride)
    else:
        before = after = kernel // 2 if padding == "symmetric" else 0
    return before, after, (size + before + after - kernel) // stride + 1


def _misfit(part: Layer, reason: str) -> WeightsError:
    return WeightsError(
        f"{part.origin} has shape {part.weight.shape}, which does not fit: {reason}"
    )
