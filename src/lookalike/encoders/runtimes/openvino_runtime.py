"""OpenVINO, by its own package: on processors, in float32 unless bfloat16 is asked for."""

import importlib.util
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np

from lookalike.encoders.graph_cutting import parse_model
from lookalike.encoders.runtimes.sessions import Precision, RunSettings, Session
from lookalike.encoders.weights import Network

__all__ = ["explain_openvino", "has_openvino", "offered_precisions", "open_openvino"]

_PROCESSOR = "CPU"
_TYPES = {
    "f32": "tensor(float)",
    "f16": "tensor(float16)",
    "f64": "tensor(double)",
    "bf16": "tensor(bfloat16)",
    "i64": "tensor(int64)",
    "i32": "tensor(int32)",
    "i8": "tensor(int8)",
    "u8": "tensor(uint8)",
    "boolean": "tensor(bool)",
}
_HINTS: Mapping[Precision, str] = {"fp32": "f32", "bf16": "bf16"}
_TELEMETRY = "openvino_telemetry"


def has_openvino() -> bool:
    """Return whether the package is installed, without importing it."""
    return importlib.util.find_spec("openvino") is not None


def offered_precisions() -> tuple[Precision, ...]:
    """Return the precisions that OpenVINO computes in on this processor; imports the package."""
    offered = _import().Core().get_property(_PROCESSOR, "OPTIMIZATION_CAPABILITIES")
    return ("fp32", "bf16") if "BF16" in offered else ("fp32",)


def open_openvino(network: Network, settings: RunSettings) -> Session:
    """Open a model. Raise ``RuntimeError`` for what OpenVINO cannot read or run."""
    core = _import().Core()
    if isinstance(network, bytes):
        model = core.read_model(network, b"")
    else:
        model = core.read_model(network)
    inputs = [_described(port) for port in model.inputs]
    if len(inputs) > 1:  # which of them have the batch's axis is known by the names of axes
        named = _axes(network if isinstance(network, bytes) else network.read_bytes())
        inputs = [_Node(one.name, one.type, named.get(one.name, one.shape)) for one in inputs]
    compiled = core.compile_model(
        model,
        _PROCESSOR,
        {
            # Its own choice would be the least precise that is fast.
            "INFERENCE_PRECISION_HINT": _HINTS[settings.precision],
            "NUM_STREAMS": settings.runs,
            "INFERENCE_NUM_THREADS": settings.runs * settings.threads,
        },
    )
    return _OpenVinoSession(compiled, inputs)


def explain_openvino(error: BaseException) -> str:
    """Return what an error of OpenVINO says, without the places in its source code."""
    missing = re.search(r"No conversion rule found for operations: (.+)", str(error))
    if missing is not None:
        return (
            f"OpenVINO has no operators {missing[1].strip()}, which the model uses; run it on "
            "another device"
        )
    if "Unable to read the model" in str(error) or "binary protobuf message" in str(error):
        return "the file is no ONNX model, or only a part of one: download or export it again"
    lines = [line.strip() for line in str(error).splitlines()]
    said = [one for one in lines if one and not re.match(r"Exception from |Check '.*' failed", one)]
    return " ".join(said) or type(error).__name__


@dataclass(frozen=True, slots=True)
class _Node:
    name: str
    type: str
    shape: list[Any]


class _OpenVinoSession:
    """Satisfies ``Session``."""

    def __init__(self, compiled: Any, inputs: Sequence[_Node]) -> None:  # noqa: ANN401 - untyped
        self._compiled = compiled
        self._inputs = inputs
        self._ports = {name: port for port in compiled.outputs for name in port.get_names()}
        self._outputs = [_described(port, name) for name, port in self._ports.items()]
        # A request holds the arrays of one run. Appending and popping are atomic.
        self._free: list[Any] = []

    def get_inputs(self) -> Sequence[_Node]:
        return self._inputs

    def get_outputs(self) -> Sequence[_Node]:
        return self._outputs

    def run(self, output_names: Sequence[str], input_feed: Mapping[str, Any], /) -> list[Any]:
        try:
            request = self._free.pop()
        except IndexError:
            request = self._compiled.create_infer_request()
        feed = {name: np.ascontiguousarray(array) for name, array in input_feed.items()}
        request.infer(feed, share_inputs=True)
        found = [request.get_tensor(self._ports[name]).data.copy() for name in output_names]
        self._free.append(request)
        return found


def _described(port: Any, name: str | None = None) -> _Node:  # noqa: ANN401 - untyped
    kind = port.get_element_type().get_type_name()
    shape = port.get_partial_shape()
    axes = (
        []
        if shape.rank.is_dynamic
        else [None if one.is_dynamic else one.get_length() for one in shape]
    )
    return _Node(name or port.get_any_name(), _TYPES.get(kind, f"tensor({kind})"), axes)


def _axes(content: bytes) -> dict[str, list[Any]]:
    """Return the shapes of a model's inputs, with the names of open axes, which OpenVINO drops."""
    return {
        one.name: [
            axis.dim_param or (axis.dim_value if axis.HasField("dim_value") else None)
            for axis in one.type.tensor_type.shape.dim
        ]
        for one in parse_model(content).graph.input
    }


def _import() -> ModuleType:
    """Import OpenVINO without its telemetry.

    That would report the import to a server and write an id into the user's home folder. OpenVINO
    does without where its package for that is not installed.
    """
    with _without(_TELEMETRY):
        import openvino  # noqa: PLC0415 - half a second that only its users pay

    module: ModuleType = openvino
    return module


@contextmanager
def _without(package: str) -> Iterator[None]:
    """Let an import fail, unless something else has imported it before."""
    if package in sys.modules:
        yield
        return
    sys.modules[package] = None  # type: ignore[assignment]  # documented: its import then fails
    try:
        yield
    finally:
        del sys.modules[package]
