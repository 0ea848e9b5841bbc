"""What a downloaded graph says of itself: inputs, outputs, further files, inner layers."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lookalike.encoders.external import locations
from lookalike.errors import PullError

__all__ = ["GraphFacts", "GraphTensor", "read_graph"]

_LINEAR = {"Gemm", "MatMul", "Conv"}
_CLASSIFIER_END = {"Add", "Identity", "Cast", "Flatten", "Reshape", "Squeeze", "Softmax"}


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphTensor:
    """An input or output: ``shape`` has ``None`` for each open dimension."""

    name: str
    dtype: str
    shape: tuple[int | None, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphFacts:
    """``data`` are the further files that the graph reads, relative to its own folder."""

    inputs: tuple[GraphTensor, ...]
    outputs: tuple[GraphTensor, ...]
    data: tuple[str, ...]
    opset: int
    _producers: dict[str, Any]  # the node that gives each tensor

    def has_inner(self, name: str) -> bool:
        """Return whether some layer of the graph gives a tensor of that name."""
        return name in self._producers

    def before(self, output: str) -> str | None:
        """Return the name of what the last layer before ``output`` reads: the embedding.

        ``None`` if that layer is not found.
        """
        name = output
        while (node := self._producers.get(name)) is not None:
            # A bias may be added from the left: what a node gives comes before what is stored.
            made = [one for one in node.input if one in self._producers] or [*node.input]
            if node.op_type in _LINEAR:
                return str(made[0])
            if node.op_type not in _CLASSIFIER_END or not made:
                return None
            name = made[0]
        return None


def read_graph(path: Path) -> GraphFacts:
    """Return the facts of an ONNX file, without its further files. Raise ``PullError``."""
    import onnx  # noqa: PLC0415 - 100 ms that only a pull needs

    try:
        model = onnx.load(path, load_external_data=False)
    except Exception as error:
        raise PullError(f"{path}: not an ONNX file: {error}") from error
    weights = {one.name for one in model.graph.initializer}
    inputs = [one for one in model.graph.input if one.name not in weights]
    opsets = [one.version for one in model.opset_import if one.domain in {"", "ai.onnx"}]
    return GraphFacts(
        inputs=tuple(map(_tensor, inputs)),
        outputs=tuple(map(_tensor, model.graph.output)),
        data=locations(model),
        opset=max(opsets, default=0),
        _producers={name: node for node in model.graph.node for name in node.output},
    )


def _tensor(value: Any) -> GraphTensor:  # noqa: ANN401 - of onnx, which has no types
    import onnx  # noqa: PLC0415 - loaded by then

    kind = value.type.tensor_type
    return GraphTensor(
        name=value.name,
        dtype=onnx.TensorProto.DataType.Name(kind.elem_type).lower(),
        shape=tuple(one.dim_value if one.HasField("dim_value") else None for one in kind.shape.dim),
    )
