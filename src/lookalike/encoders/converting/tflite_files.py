"""Reading TensorFlow Lite files: tensors, operators and their options, as plain records.

The schema comes from the package ``tflite``. Quantised weights become floats here: a number is
``scale * (stored - zero point)``, with a scale for the whole tensor or for each slice along one
axis (https://ai.google.dev/edge/litert/models/quantization_spec).
"""
# ruff: noqa: ANN401  tflite has no types

import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lookalike.errors import WeightsError

__all__ = ["Quantisation", "TfliteModel", "TfliteStep", "TfliteTensor", "read_tflite"]

_MOST = 100_000  # tensors or operators
_RANK = 6
_LARGEST = 2**29  # elements
_DAMAGE = (struct.error, IndexError, TypeError, ValueError, AttributeError, OverflowError)


@dataclass(frozen=True, slots=True, eq=False)
class Quantisation:
    """How stored whole numbers become real ones; ``axis`` is that of several scales."""

    scales: NDArray[np.float64]
    zero_points: NDArray[np.int64]
    axis: int

    def real(self, stored: NDArray[Any]) -> NDArray[np.float32]:
        """Return the real numbers of stored ones."""
        scales, zeros = self.scales, self.zero_points
        if len(scales) > 1:
            shape = [1] * stored.ndim
            shape[self.axis] = len(scales)
            scales, zeros = scales.reshape(shape), zeros.reshape(shape)
        return ((stored.astype(np.float64) - zeros) * scales).astype(np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class TfliteTensor:
    """A tensor: ``data`` are its numbers if the file has them (weights), as they are stored."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    data: NDArray[Any] | None
    quantisation: Quantisation | None

    @property
    def floats(self) -> NDArray[np.float32] | None:
        """The real numbers of a constant."""
        if self.data is None or self.data.dtype == np.float32:
            return self.data
        if self.quantisation is not None:
            return self.quantisation.real(self.data)
        return self.data.astype(np.float32)

    @property
    def range(self) -> tuple[float, float] | None:
        """The least and the largest real number that a quantised activation can be."""
        given = self.quantisation
        limits = {"INT8": (-128, 127), "UINT8": (0, 255)}.get(self.dtype)
        if given is None or limits is None or len(given.scales) != 1:
            return None
        low, high = (float((one - given.zero_points[0]) * given.scales[0]) for one in limits)
        return low, high


@dataclass(frozen=True, slots=True, eq=False)
class TfliteStep:
    """An operator: its name, the tensors that it reads (-1: left out) and writes, its options."""

    operator: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: Mapping[str, Any]


@dataclass(frozen=True, slots=True, eq=False)
class TfliteModel:
    """A graph: ``steps`` in the order in which they run."""

    tensors: tuple[TfliteTensor, ...]
    steps: tuple[TfliteStep, ...]
    input: int
    output: int


# Options by operator: (class in the schema, {our name: method})
_STRIDES = {"stride_h": "StrideH", "stride_w": "StrideW", "padding": "Padding"}
_FUSED = {"activation": "FusedActivationFunction"}
_DILATION = {"dilation_h": "DilationHFactor", "dilation_w": "DilationWFactor"}
_POOL = {**_STRIDES, **_FUSED, "filter_h": "FilterHeight", "filter_w": "FilterWidth"}
_OPTIONS: Mapping[str, tuple[str, Mapping[str, str]]] = {
    "ADD": ("AddOptions", _FUSED),
    "AVERAGE_POOL_2D": ("Pool2DOptions", _POOL),
    "CONCATENATION": ("ConcatenationOptions", {**_FUSED, "axis": "Axis"}),
    "CONV_2D": ("Conv2DOptions", {**_STRIDES, **_FUSED, **_DILATION}),
    "DEPTHWISE_CONV_2D": ("DepthwiseConv2DOptions", {**_STRIDES, **_FUSED, **_DILATION}),
    "FULLY_CONNECTED": ("FullyConnectedOptions", _FUSED),
    "L2_NORMALIZATION": ("L2NormOptions", _FUSED),
    "MAX_POOL_2D": ("Pool2DOptions", _POOL),
    "MEAN": ("ReducerOptions", {"keep_dims": "KeepDims"}),
    "MUL": ("MulOptions", _FUSED),
    "SUB": ("SubOptions", _FUSED),
}
_DTYPES = {
    "FLOAT32": "<f4",
    "FLOAT16": "<f2",
    "INT8": "i1",
    "UINT8": "u1",
    "INT16": "<i2",
    "INT32": "<i4",
    "INT64": "<i8",
}


def read_tflite(path: Path) -> TfliteModel:
    """Return the graph in a file. Raise ``WeightsError`` if it is damaged or takes no image."""
    try:
        import tflite  # noqa: PLC0415  an extra
    except ImportError as error:
        raise WeightsError(
            f"{path}: reading TensorFlow Lite files needs tflite: pip install 'lookalike[convert]'"
        ) from error
    try:
        content = path.read_bytes()
    except OSError as error:
        raise WeightsError(f"{path}: cannot be read: {error.strerror or error}") from error
    try:
        return _model(tflite.Model.GetRootAsModel(content, 0), tflite)
    except WeightsError as error:
        raise WeightsError(f"{path}: {error}") from error
    except _DAMAGE as error:
        raise WeightsError(f"{path}: is damaged or cut off: {error}") from error


def _model(model: Any, schema: Any) -> TfliteModel:
    if model.SubgraphsLength() < 1:
        raise ValueError("it has no graph")
    graph = model.Subgraphs(0)
    counts = (graph.TensorsLength(), graph.OperatorsLength())
    if max(counts) > _MOST:
        raise ValueError("it has too many tensors or operators")
    types = {value: name for name, value in vars(schema.TensorType).items() if name.isupper()}
    tensors = tuple(_tensor(model, graph.Tensors(at), types) for at in range(counts[0]))
    steps = tuple(_step(model, graph.Operators(at), schema) for at in range(counts[1]))
    places = {one for step in steps for one in (*step.inputs, *step.outputs)}
    if not all(-1 <= one < len(tensors) for one in places):
        raise ValueError("an operator names a tensor that does not exist")
    if graph.InputsLength() != 1 or graph.OutputsLength() < 1:
        raise WeightsError(f"has {graph.InputsLength()} inputs; an encoder takes one image")
    given = tensors[graph.Inputs(0)]
    signature = graph.Tensors(graph.Inputs(0))
    if signature.ShapeSignatureLength() and min(signature.ShapeSignatureAsNumpy()[1:]) < 0:
        raise WeightsError("takes images of any size; convert it again for one size of image")
    if len(given.shape) != 4 or given.shape[0] != 1 or given.shape[3] != 3:  # noqa: PLR2004
        raise WeightsError(f"takes {given.shape}, not one image of shape (1, height, width, 3)")
    return TfliteModel(tensors, steps, graph.Inputs(0), graph.Outputs(0))


def _tensor(model: Any, tensor: Any, types: Mapping[int, str]) -> TfliteTensor:
    name = (tensor.Name() or b"").decode(errors="replace")
    shape = tuple(int(one) for one in (tensor.ShapeAsNumpy() if tensor.ShapeLength() else ()))
    if len(shape) > _RANK or min(shape, default=1) < 0 or math.prod(shape) > _LARGEST:
        raise ValueError(f"tensor {name!r} has shape {shape}")
    dtype = types.get(tensor.Type(), "?")
    buffer = model.Buffers(tensor.Buffer())
    data = None
    if buffer is not None and buffer.DataLength():
        if tensor.Sparsity() is not None or dtype not in _DTYPES:
            raise WeightsError(
                f"tensor {name!r} holds weights that are not read: "
                f"{'sparse' if tensor.Sparsity() is not None else dtype}"
            )
        flat = np.frombuffer(buffer.DataAsNumpy().tobytes(), dtype=_DTYPES[dtype])
        data = flat.reshape(shape)
    return TfliteTensor(name, shape, dtype, data, _quantisation(tensor, shape))


def _quantisation(tensor: Any, shape: tuple[int, ...]) -> Quantisation | None:
    given = tensor.Quantization()
    if given is None or not given.ScaleLength():
        return None
    scales = given.ScaleAsNumpy().astype(np.float64)
    zeros = np.zeros(len(scales), dtype=np.int64)
    if given.ZeroPointLength():
        zeros = np.broadcast_to(given.ZeroPointAsNumpy(), scales.shape).astype(np.int64)
    axis = given.QuantizedDimension()
    if not (np.isfinite(scales).all() and scales.min() >= 0):
        raise ValueError("a scale is no number above 0")
    if len(scales) > 1 and not (0 <= axis < len(shape) and shape[axis] == len(scales)):
        raise ValueError("the scales of a tensor do not fit its shape")
    return Quantisation(scales, zeros, axis)


def _step(model: Any, operator: Any, schema: Any) -> TfliteStep:
    code = model.OperatorCodes(operator.OpcodeIndex())
    number = max(code.BuiltinCode(), code.DeprecatedBuiltinCode())
    name = schema.BUILTIN_OPCODE2NAME.get(number, f"operator {number}")
    if name == "CUSTOM":
        name = f"custom operator {(code.CustomCode() or b'?').decode(errors='replace')}"
    options: dict[str, Any] = {}
    if name in _OPTIONS:
        kind, methods = _OPTIONS[name]
        table, given = getattr(schema, kind)(), operator.BuiltinOptions()
        if given is not None:
            table.Init(given.Bytes, given.Pos)
            options = {ours: getattr(table, method)() for ours, method in methods.items()}
    inputs = operator.InputsAsNumpy() if operator.InputsLength() else ()
    outputs = operator.OutputsAsNumpy() if operator.OutputsLength() else ()
    return TfliteStep(name, tuple(map(int, inputs)), tuple(map(int, outputs)), options)
