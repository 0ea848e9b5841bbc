"""A TensorFlow Lite graph as an ONNX graph of floats. Pure.

Only the operators of convolutional image encoders (MobileNet, EfficientNet-Lite and the like) are
translated; any other is refused by name. Maps are (n, height, width, channels) there and
(n, channels, height, width) here. A quantised graph runs as the floats that its numbers stand for:
weights keep the values that they were rounded to, activations are not rounded, only limited to
their range, which is where such files keep their ReLUs.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lookalike.encoders.converting.graph import IMAGE, GraphBuilder
from lookalike.encoders.converting.tflite_files import TfliteModel, TfliteStep, TfliteTensor
from lookalike.encoders.efficientnet_lite import same_padding
from lookalike.errors import WeightsError

if TYPE_CHECKING:
    import onnx

__all__ = ["SUPPORTED", "translate"]

_MAP = 4  # axes
_NONE, _RELU, _RELU_N1_TO_1, _RELU6 = range(4)  # ActivationFunctionType
_LIMITS = {_RELU: (0.0, math.inf), _RELU_N1_TO_1: (-1.0, 1.0), _RELU6: (0.0, 6.0)}
_TO_CHANNELS_FIRST = (0, 3, 1, 2)
_AXIS = {0: 0, 1: 2, 2: 3, 3: 1}  # of a map: theirs → ours


def translate(model: TfliteModel, shown: Mapping[str, int]) -> "onnx.ModelProto":
    """Return the part of a graph that computes some tensors.

    ``shown`` maps names of outputs to tensors: maps stay maps, all else becomes (n, numbers).
    Input ``image`` (n, 3, height, width) float32 in real numbers. Raise ``WeightsError`` for an
    operator that is not translated.
    """
    return _Translator(model).run(shown)


class _Translator:
    """Goes through the steps in order; ``_names`` are the tensors that exist by now."""

    def __init__(self, model: TfliteModel) -> None:
        self._model = model
        _, height, width, _ = model.tensors[model.input].shape
        self._graph = GraphBuilder("tflite", height=height, width=width)
        self._names = {model.input: IMAGE}

    def run(self, shown: Mapping[str, int]) -> "onnx.ModelProto":
        for step in _needed(self._model, set(shown.values())):
            (at,) = step.outputs
            if step.operator not in _TRANSLATIONS:
                raise WeightsError(
                    f"uses {step.operator}, which is not translated (translated are "
                    f"{', '.join(SUPPORTED)}); export the network to ONNX instead"
                )
            name = _TRANSLATIONS[step.operator](self, step, f"t{at}")
            activation = step.options.get("activation", _NONE)
            self._names[at] = self._limited(name, self._model.tensors[at], activation)
        for output, at in shown.items():
            shape = self._model.tensors[at].shape
            if len(shape) == _MAP and output == "map":
                _, height, width, channels = shape
                self._graph.show(self._names[at], output, ["n", channels, height, width])
            else:
                flat = self._flat(at, f"{output}.flat")
                self._graph.show(flat, output, ["n", math.prod(shape)])
        return self._graph.model()

    # What steps read

    def _value(self, at: int) -> str:
        """Return the name of a tensor; a constant is added to the graph."""
        if at not in self._names:
            data = self._floats(at)
            if data.ndim == _MAP:
                data = data.transpose(_TO_CHANNELS_FIRST)
            self._names[at] = self._graph.constant(f"t{at}", np.ascontiguousarray(data))
        return self._names[at]

    def _floats(self, at: int) -> NDArray[np.float32]:
        data = self._model.tensors[at].floats
        if data is None:
            raise WeightsError(f"tensor {self._model.tensors[at].name!r} should be a constant")
        return data

    def _whole(self, at: int) -> list[int]:
        data = self._model.tensors[at].data
        if data is None or data.dtype.kind != "i":
            raise WeightsError(f"tensor {self._model.tensors[at].name!r} should hold whole numbers")
        return [int(one) for one in data.ravel()]

    def _flat(self, at: int, name: str) -> str:
        """Return a tensor as (n, numbers), a map in the order in which TensorFlow flattens it."""
        value, shape = self._value(at), self._model.tensors[at].shape
        if len(shape) == _MAP and shape[1] * shape[2] > 1:
            value = self._graph.node("Transpose", [value], f"{name}.positions", perm=[0, 2, 3, 1])
        return self._graph.node("Flatten", [value], name)

    def _limited(self, name: str, tensor: TfliteTensor, activation: int) -> str:
        """Apply a fused activation, or that which hides in the range of a quantised tensor."""
        if activation not in (_NONE, *_LIMITS):
            raise WeightsError(f"uses an activation that is not translated (number {activation})")
        low, high = _LIMITS.get(activation, (-math.inf, math.inf))
        if tensor.range is not None:
            least, most = tensor.range
            if least == 0 or activation != _NONE:
                low, high = max(low, least), min(high, most)
        if math.isinf(low):
            return name
        if low == 0 and math.isinf(high):
            return self._graph.node("Relu", [name], f"{name}.relu")
        limits = [self._graph.constant(f"limit {one!r}", np.float32(one)) for one in (low, high)]
        return self._graph.node("Clip", [name, *limits], f"{name}.clip")

    # Steps

    def convolution(self, step: TfliteStep, name: str) -> str:
        weight = self._floats(step.inputs[1])
        if weight.ndim != _MAP:
            raise WeightsError(f"a convolution's weights have shape {weight.shape}")
        depthwise = step.operator == "DEPTHWISE_CONV_2D"
        given = self._shape(step.inputs[0])
        kernel = weight.shape[1:3]
        options = step.options
        dilations = [options["dilation_h"], options["dilation_w"]]
        turned = weight.transpose((3, 0, 1, 2) if depthwise else (0, 3, 1, 2))
        inputs = [
            self._value(step.inputs[0]),
            self._graph.constant(f"{name}.weight", np.ascontiguousarray(turned)),
        ]
        bias = self._bias(step)
        if bias is not None:
            inputs.append(self._graph.constant(f"{name}.bias", bias))
        return self._graph.node(
            "Conv",
            inputs,
            name,
            kernel_shape=list(kernel),
            strides=[options["stride_h"], options["stride_w"]],
            dilations=dilations,
            pads=_pads(given, kernel, dilations, options),
            group=given[3] if depthwise else 1,
        )

    def dense(self, step: TfliteStep, name: str) -> str:
        weight = self._floats(step.inputs[1])
        inputs = [
            self._flat(step.inputs[0], f"{name}.flat"),
            self._graph.constant(f"{name}.weight", weight),
        ]
        bias = self._bias(step)
        if bias is not None:
            inputs.append(self._graph.constant(f"{name}.bias", bias))
        return self._graph.node("Gemm", inputs, name, transB=1)

    def _bias(self, step: TfliteStep) -> NDArray[np.float32] | None:
        if len(step.inputs) < 3 or step.inputs[2] < 0:  # noqa: PLR2004  input, weight, bias
            return None
        return self._floats(step.inputs[2])

    def pool(self, step: TfliteStep, name: str) -> str:
        options = step.options
        kernel = (options["filter_h"], options["filter_w"])
        average = step.operator == "AVERAGE_POOL_2D"
        return self._graph.node(
            "AveragePool" if average else "MaxPool",
            [self._value(step.inputs[0])],
            name,
            kernel_shape=list(kernel),
            strides=[options["stride_h"], options["stride_w"]],
            pads=_pads(self._shape(step.inputs[0]), kernel, [1, 1], options),
        )

    def mean(self, step: TfliteStep, name: str) -> str:
        rank = len(self._shape(step.inputs[0]))
        axes = [one % rank for one in self._whole(step.inputs[1])]
        if rank != _MAP or sorted(axes) != [1, 2]:
            raise WeightsError("uses MEAN over other axes than height and width")
        kept = int(step.options.get("keep_dims", False))
        value = self._value(step.inputs[0])
        return self._graph.node("ReduceMean", [value], name, axes=[2, 3], keepdims=kept)

    def arithmetic(self, step: TfliteStep, name: str) -> str:
        operator = {"ADD": "Add", "MUL": "Mul", "SUB": "Sub"}[step.operator]
        rank = len(self._model.tensors[step.outputs[0]].shape)
        values = []
        for at in step.inputs[:2]:
            tensor = self._model.tensors[at]
            if rank == _MAP and tensor.data is not None and len(tensor.shape) < _MAP:
                if len(tensor.shape) > 1:
                    raise WeightsError(f"uses {step.operator} of shapes that are not translated")
                data = self._floats(at).reshape(1, -1, 1, 1)
                values.append(self._graph.constant(f"t{at}.map", data))
            else:
                values.append(self._value(at))
        return self._graph.node(operator, values, name)

    def pad(self, step: TfliteStep, name: str) -> str:
        amounts = np.array(self._whole(step.inputs[1])).reshape(-1, 2)
        if len(amounts) != _MAP:
            raise WeightsError("uses PAD of something that is not a map")
        ours = amounts[list(_TO_CHANNELS_FIRST)]
        pads = self._graph.constant(f"{name}.pads", ours.T.ravel().astype(np.int64))
        return self._graph.node("Pad", [self._value(step.inputs[0]), pads], name)

    def concatenation(self, step: TfliteStep, name: str) -> str:
        rank = len(self._model.tensors[step.outputs[0]].shape)
        axis = step.options.get("axis", 0) % rank
        values = [self._value(at) for at in step.inputs]
        return self._graph.node("Concat", values, name, axis=_AXIS[axis] if rank == _MAP else axis)

    def reshape(self, step: TfliteStep, name: str) -> str:
        shape = self._model.tensors[step.outputs[0]].shape
        if len(shape) == 2:  # noqa: PLR2004  (1, numbers)
            return self._flat(step.inputs[0], name)
        if len(shape) == _MAP and shape[1:3] == (1, 1):
            flat = self._flat(step.inputs[0], f"{name}.flat")
            target = self._graph.constant(f"{name}.shape", np.array([0, shape[3], 1, 1]))
            return self._graph.node("Reshape", [flat, target], name)
        raise WeightsError(f"uses {step.operator} to shape {shape}, which is not translated")

    def softmax(self, step: TfliteStep, name: str) -> str:
        axis = 1 if len(self._shape(step.inputs[0])) == _MAP else -1
        return self._graph.node("Softmax", [self._value(step.inputs[0])], name, axis=axis)

    def length_one(self, step: TfliteStep, name: str) -> str:
        axis = 1 if len(self._shape(step.inputs[0])) == _MAP else -1
        return self._graph.node(
            "LpNormalization", [self._value(step.inputs[0])], name, axis=axis, p=2
        )

    def simple(self, step: TfliteStep, name: str) -> str:
        value = self._value(step.inputs[0])
        if step.operator == "RELU6":
            limits = [self._graph.constant(f"limit {one!r}", np.float32(one)) for one in (0.0, 6.0)]
            return self._graph.node("Clip", [value, *limits], name)
        operator = {
            "DEQUANTIZE": "Identity",  # all numbers are real ones here
            "HARD_SWISH": "HardSwish",
            "LOGISTIC": "Sigmoid",
            "QUANTIZE": "Identity",
            "RELU": "Relu",
        }[step.operator]
        return self._graph.node(operator, [value], name)

    def _shape(self, at: int) -> tuple[int, ...]:
        return self._model.tensors[at].shape


_TRANSLATIONS: Mapping[str, Callable[[_Translator, TfliteStep, str], str]] = {
    "ADD": _Translator.arithmetic,
    "AVERAGE_POOL_2D": _Translator.pool,
    "CONCATENATION": _Translator.concatenation,
    "CONV_2D": _Translator.convolution,
    "DEPTHWISE_CONV_2D": _Translator.convolution,
    "DEQUANTIZE": _Translator.simple,
    "FULLY_CONNECTED": _Translator.dense,
    "HARD_SWISH": _Translator.simple,
    "L2_NORMALIZATION": _Translator.length_one,
    "LOGISTIC": _Translator.simple,
    "MAX_POOL_2D": _Translator.pool,
    "MEAN": _Translator.mean,
    "MUL": _Translator.arithmetic,
    "PAD": _Translator.pad,
    "QUANTIZE": _Translator.simple,
    "RELU": _Translator.simple,
    "RELU6": _Translator.simple,
    "RESHAPE": _Translator.reshape,
    "SOFTMAX": _Translator.softmax,
    "SQUEEZE": _Translator.reshape,
    "SUB": _Translator.arithmetic,
}

SUPPORTED = tuple(_TRANSLATIONS)


def _needed(model: TfliteModel, wanted: set[int]) -> list[TfliteStep]:
    """Return the steps that compute some tensors, in their order."""
    needed, steps = set(wanted), []
    for step in reversed(model.steps):
        if needed.intersection(step.outputs):
            # The target of a reshape may be computed, but for one image it is known.
            computed = step.operator in ("RESHAPE", "SQUEEZE")
            needed.update(step.inputs[:1] if computed else step.inputs)
            steps.append(step)
    return steps[::-1]


def _pads(
    given: Sequence[int],
    kernel: Sequence[int],
    dilations: Sequence[int],
    options: Mapping[str, Any],
) -> list[int]:
    """Return ONNX's (top, left, bottom, right); padding 0 is "same", 1 is none."""
    if options["padding"] != 0:
        return [0, 0, 0, 0]
    strides = (options["stride_h"], options["stride_w"])
    sides = [
        same_padding(size, (width - 1) * dilation + 1, stride)
        for size, width, dilation, stride in zip(
            given[1:3], kernel, dilations, strides, strict=True
        )
    ]
    (top, bottom), (left, right) = sides
    return [top, left, bottom, right]
