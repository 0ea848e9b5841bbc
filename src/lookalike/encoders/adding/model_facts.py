"""What an ONNX file says of itself: inputs, outputs, what depends on what, how it was made."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lookalike.encoders.external import digest_beside, locations
from lookalike.encoders.graph_cutting import parse_model
from lookalike.errors import EncoderError

__all__ = ["ModelFacts", "Tensor", "before_classifier", "read_facts"]

_LFS = b"version https://git-lfs"
_LINEAR = {"Gemm", "MatMul", "Conv", "QLinearMatMul", "MatMulInteger", "QGemm"}
# What may stand between a classifier and the output of its classes.
_AFTER = {"Add", "Cast", "DequantizeLinear", "Flatten", "Identity", "Mul", "QuantizeLinear"}
_AFTER |= {"Reshape", "Sigmoid", "Softmax", "LogSoftmax", "Squeeze"}
_ARITHMETIC = {"Add", "Sub", "Mul", "Div"}
_BEFORE_PIXELS = {"Cast", "Transpose", "Identity", "QuantizeLinear", "DequantizeLinear"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Tensor:
    """An input or output. ``shape`` has a number or a name for each axis, ``None`` for neither."""

    name: str
    dtype: str
    shape: tuple[int | str | None, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFacts:
    """Facts about a model. ``reads`` has the inputs that each tensor depends on.

    ``dynamic`` says that it is quantised at run time, by the numbers of the whole batch;
    ``normalises`` that it begins by computing with constants, as one that takes 0..255 does.
    """

    path: Path
    sha256: str
    data: tuple[tuple[str, str], ...]
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    reads: Mapping[str, frozenset[str]]
    producer: str
    dynamic: bool
    normalises: bool
    producers: Mapping[str, Any] = field(repr=False)


def read_facts(path: Path, image_input: str | None = None) -> ModelFacts:
    """Return the facts of an ONNX file. Raise ``EncoderError`` if it is none."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise EncoderError(f"{path}: cannot be read: {error.strerror or error}") from error
    if content.startswith(_LFS):
        raise EncoderError(
            f"{path}: is only a pointer to the model, as Git LFS has it; run git lfs pull, or "
            "download the file itself"
        )
    try:
        model = parse_model(content)
    except ValueError as error:
        raise EncoderError(
            f"{path}: is no ONNX model, or only a part of one: download or export it again"
        ) from error
    if not model.graph.node or not model.graph.output:
        raise EncoderError(f"{path}: is no ONNX model that computes something: it has no outputs")
    stored = {one.name for one in model.graph.initializer}
    inputs = tuple(_tensor(one) for one in model.graph.input if one.name not in stored)
    named = [one.name for one in inputs if image_input in {None, one.name}]
    return ModelFacts(
        path=path,
        sha256=hashlib.sha256(content).hexdigest(),
        data=tuple(sorted((one, digest_beside(path, one)) for one in locations(model))),
        inputs=inputs,
        outputs=tuple(map(_tensor, model.graph.output)),
        reads=_reads(model, {one.name for one in inputs}),
        producer=" ".join(filter(None, (model.producer_name, model.graph.name))),
        dynamic=any(node.op_type.startswith("DynamicQuantize") for node in model.graph.node),
        normalises=any(_normalises(model, name, stored) for name in named),
        producers={name: node for node in model.graph.node for name in node.output},
    )


def before_classifier(facts: ModelFacts, output: str) -> str | None:
    """Return the tensor that the last layer before ``output`` reads; ``None`` if none is found."""
    name = output
    while (node := facts.producers.get(name)) is not None:
        # A bias may be added from the left: what a node gives comes before what is stored.
        made = [one for one in node.input if one in facts.producers] or [*node.input]
        if node.op_type in _LINEAR:
            return str(made[0])
        if node.op_type not in _AFTER or not made:
            return None
        name = made[0]
    return None


def _tensor(value: Any) -> Tensor:  # noqa: ANN401 - of onnx, which has no types
    import onnx  # noqa: PLC0415 - loaded by then

    kind = value.type.tensor_type
    if value.type.WhichOneof("value") != "tensor_type":
        return Tensor(name=value.name, dtype=str(value.type.WhichOneof("value")), shape=())
    return Tensor(
        name=value.name,
        dtype=onnx.TensorProto.DataType.Name(kind.elem_type).lower(),
        shape=tuple(
            one.dim_value if one.dim_value > 0 else one.dim_param or None for one in kind.shape.dim
        ),
    )


def _reads(model: Any, inputs: set[str]) -> dict[str, frozenset[str]]:  # noqa: ANN401 - of onnx
    found = {name: frozenset({name}) for name in inputs}
    nothing: frozenset[str] = frozenset()
    for node in model.graph.node:
        read = nothing.union(*(found.get(name, nothing) for name in node.input))
        if any(one.HasField("g") or one.graphs for one in node.attribute):
            read = frozenset(inputs)  # what graphs inside it read is not looked up
        found |= dict.fromkeys(node.output, read)
    return found


def _normalises(model: Any, name: str, stored: set[str]) -> bool:  # noqa: ANN401 - of onnx
    """Return whether the first computation on an input is one with a constant."""
    constants = stored | {
        one for node in model.graph.node if node.op_type == "Constant" for one in node.output
    }
    for node in model.graph.node:
        if name in node.input:
            if node.op_type in _ARITHMETIC:
                return any(one in constants for one in node.input)
            if node.op_type not in _BEFORE_PIXELS:
                return False
            name = node.output[0]
    return False
