"""EfficientNet-Lite as an ONNX graph, from the arrays of its PyTorch checkpoint. Pure.

The network (Tan and Le, "EfficientNet: Rethinking Model Scaling for Convolutional Neural
Networks", 2019; the Lite variants drop squeeze-and-excitation and use ReLU6): a stem, inverted
bottleneck blocks (Sandler et al., "MobileNetV2", 2018), a 1 x 1 convolution to 1,280 channels, the
mean over positions, a linear classifier.

Two things are settled here once instead of at each run: every batch norm is folded into its
convolution, and TensorFlow's "same" padding, which at stride 2 adds more at the end than at the
beginning, becomes explicit numbers for the given input size.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lookalike.errors import WeightsError

if TYPE_CHECKING:
    import onnx

__all__ = [
    "BUILDER_REVISION",
    "EPSILON",
    "FEATURES",
    "IMAGE",
    "LOGITS",
    "MAP",
    "STAGES",
    "Block",
    "blocks_of",
    "build_network",
    "same_padding",
]

BUILDER_REVISION = 1  # part of fingerprints and cache names: raise it when the graph changes
IMAGE, FEATURES, MAP, LOGITS = "image", "features", "map", "logits"
EPSILON = 1e-3  # of the batch norms, as trained

_STRIDES = (1, 2, 2, 2, 1, 2, 1)  # of the first block of each of the seven stages
STAGES = len(_STRIDES)
_OPSET = 17
_IR_VERSION = 8  # what goes with opset 17; every supported onnxruntime reads it


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """An inverted bottleneck: its number, its stage (0 to 6), and whether its input is added."""

    index: int
    stage: int
    stride: int
    skip: bool

    @property
    def output(self) -> str:
        """The name of what it gives in the graph."""
        return f"_blocks.{self.index}.{'sum' if self.skip else '_project_conv'}"


def blocks_of(arrays: Mapping[str, NDArray[np.generic]]) -> list[Block]:
    """The blocks of a checkpoint, from the shapes. Raises ``WeightsError`` if it is another's."""
    found: list[Block] = []
    channels, stage = None, -1
    count = 1 + max(
        (int(name.split(".")[1]) for name in arrays if name.startswith("_blocks.")), default=-1
    )
    for index in range(count):
        out = _array(arrays, f"_blocks.{index}._project_conv.weight").shape[0]
        first = out != channels  # a stage begins where the width changes
        stage += first
        if stage >= STAGES:
            raise WeightsError("the weights are not those of an EfficientNet-Lite: too many stages")
        stride = _STRIDES[stage] if first else 1
        found.append(Block(index=index, stage=stage, stride=stride, skip=not first))
        channels = out
    if stage != STAGES - 1:
        raise WeightsError("the weights are not those of an EfficientNet-Lite: too few stages")
    return found


def build_network(
    arrays: Mapping[str, NDArray[np.generic]],
    *,
    width: int,
    height: int,
    classifier: bool = False,
) -> "onnx.ModelProto":
    """Return the network for images of one size.

    Input ``image`` (n, 3, height, width) float32. Outputs: ``features`` (n, 1280), the mean over
    positions of ``map`` (n, 1280, ceil(height / 32), ceil(width / 32)); with ``classifier`` also
    ``logits`` (n, 1000). ``arrays`` may be any of Lite0 to Lite4: widths, kernels and the number
    of blocks are read from the shapes. Raise ``WeightsError`` if an array is missing or of
    another shape than its neighbours need.
    """
    graph = _Graph(arrays, size=(height, width))
    hidden = graph.convolution(IMAGE, "_conv_stem", "_bn0", stride=2)
    hidden = graph.clip(hidden)
    for block in blocks_of(arrays):
        hidden = graph.block(hidden, block)
    hidden = graph.convolution(hidden, "_conv_head", "_bn1")
    graph.clip(hidden, name=MAP)
    graph.node("GlobalAveragePool", [MAP], "pooled")
    graph.node("Flatten", ["pooled"], FEATURES)
    dim = graph.shape("_conv_head.weight")[0]
    outputs: dict[str, list[int | str]] = {FEATURES: ["n", dim], MAP: ["n", dim, *graph.size]}
    if classifier:
        classes = graph.classifier()
        outputs[LOGITS] = ["n", classes]
    return graph.model(["n", 3, height, width], outputs)


def _array(arrays: Mapping[str, NDArray[np.generic]], name: str) -> NDArray[np.generic]:
    try:
        return arrays[name]
    except KeyError:
        raise WeightsError(
            f"the weights are not those of an EfficientNet-Lite: no {name}"
        ) from None


def same_padding(size: int, kernel: int, stride: int) -> tuple[int, int]:
    """(before, after) so that ``size`` becomes ceil(size / stride), the odd one after."""
    total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2


class _Graph:
    """Collects nodes and weights; ``size`` is (height, width) of the map as it stands."""

    def __init__(self, arrays: Mapping[str, NDArray[np.generic]], *, size: tuple[int, int]) -> None:
        # 100 ms to import, and needed only when a network is built, once per user.
        from onnx import helper, numpy_helper  # noqa: PLC0415

        self._helper = helper
        self._from_array = numpy_helper.from_array
        self._arrays = arrays
        self._nodes: list[Any] = []
        self._weights: list[Any] = []
        self.size = size
        self._channels = 3
        self._weight("zero", np.float32(0))
        self._weight("six", np.float32(6))

    def array(self, name: str) -> NDArray[np.float64]:
        return _array(self._arrays, name).astype(np.float64)

    def shape(self, name: str) -> tuple[int, ...]:
        return self.array(name).shape

    def node(self, operator: str, inputs: list[str], output: str, **attributes: Any) -> str:  # noqa: ANN401  ONNX attributes
        self._nodes.append(
            self._helper.make_node(operator, inputs, [output], name=output, **attributes)
        )
        return output

    def clip(self, tensor: str, *, name: str | None = None) -> str:
        return self.node("Clip", [tensor, "zero", "six"], name or f"{tensor}.relu6")

    def convolution(self, tensor: str, conv: str, norm: str, *, stride: int = 1) -> str:
        """A convolution with its batch norm folded in.

        y = gamma * (w * x - mean) / sqrt(var + eps) + beta is a convolution with the weights
        ``w * scale`` and the bias ``beta - mean * scale``, where scale = gamma / sqrt(var + eps).
        """
        weight = self.array(f"{conv}.weight")  # (out, in / groups, k, k)
        gamma, beta, mean, variance = (
            self.array(f"{norm}.{part}")
            for part in ("weight", "bias", "running_mean", "running_var")
        )
        out, fan_in, kernel = weight.shape[0], weight.shape[1], weight.shape[-1]
        groups = self._channels // fan_in if fan_in else 0
        if (
            weight.ndim != 4  # noqa: PLR2004  (out, in, rows, columns)
            or fan_in * groups != self._channels
            or {a.shape for a in (gamma, beta, mean, variance)} != {(out,)}
        ):
            raise WeightsError(f"{conv}.weight has another shape than an EfficientNet-Lite needs")
        scale = gamma / np.sqrt(variance + EPSILON)
        self._weight(f"{conv}.weight", (weight * scale[:, None, None, None]).astype(np.float32))
        self._weight(f"{conv}.bias", (beta - mean * scale).astype(np.float32))
        (top, bottom), (left, right) = (same_padding(s, kernel, stride) for s in self.size)
        self.size = (-(-self.size[0] // stride), -(-self.size[1] // stride))
        self._channels = out
        return self.node(
            "Conv",
            [tensor, f"{conv}.weight", f"{conv}.bias"],
            conv,
            kernel_shape=[kernel, kernel],
            strides=[stride, stride],
            pads=[top, left, bottom, right],
            group=groups,
        )

    def block(self, tensor: str, block: Block) -> str:
        """Expand, convolve each channel by itself, project; add the input where shapes allow."""
        prefix = f"_blocks.{block.index}."
        hidden = tensor
        if f"{prefix}_expand_conv.weight" in self._arrays:
            hidden = self.convolution(hidden, f"{prefix}_expand_conv", f"{prefix}_bn0")
            hidden = self.clip(hidden)
        hidden = self.convolution(
            hidden, f"{prefix}_depthwise_conv", f"{prefix}_bn1", stride=block.stride
        )
        hidden = self.clip(hidden)
        hidden = self.convolution(hidden, f"{prefix}_project_conv", f"{prefix}_bn2")
        return self.node("Add", [hidden, tensor], block.output) if block.skip else hidden

    def classifier(self) -> int:
        """Adds ``logits``; how many classes there are."""
        self._weight("_fc.weight", self.array("_fc.weight").astype(np.float32))
        self._weight("_fc.bias", self.array("_fc.bias").astype(np.float32))
        self.node("Gemm", [FEATURES, "_fc.weight", "_fc.bias"], LOGITS, transB=1)
        return self.shape("_fc.weight")[0]

    def model(
        self, image: list[int | str], outputs: Mapping[str, list[int | str]]
    ) -> "onnx.ModelProto":
        floats = 1  # onnx.TensorProto.FLOAT
        value = self._helper.make_tensor_value_info
        graph = self._helper.make_graph(
            self._nodes,
            "efficientnet-lite",
            [value(IMAGE, floats, image)],
            [value(name, floats, shape) for name, shape in outputs.items()],
            self._weights,
        )
        return self._helper.make_model(
            graph,
            producer_name="lookalike",
            producer_version=str(BUILDER_REVISION),
            ir_version=_IR_VERSION,
            opset_imports=[self._helper.make_opsetid("", _OPSET)],
        )

    def _weight(self, name: str, array: NDArray[np.float32] | np.float32) -> None:
        self._weights.append(self._from_array(np.asarray(array), name))
