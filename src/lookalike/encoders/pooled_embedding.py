"""A better embedding from the same pass of an EfficientNet-Lite: several poolings side by side.

The plain embedding is the mean of the last map over its positions. Their spread (standard
deviation), and that of an inner layer, say more of an image and cost next to nothing: the pass
computes these maps anyway (docs/decisions/0027-default-encoder.md).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lookalike.encoders.efficientnet_lite import MAP, Block, blocks_of

if TYPE_CHECKING:
    import onnx

__all__ = [
    "LENGTHS",
    "POOLED",
    "EmbeddingPart",
    "add_output",
    "all_parts",
    "dim_of",
    "embedding_parts",
]

POOLED = "embedding"
"""The name of the output; a card that names it as its output gets it."""
LENGTHS = (1.0, 1.0, 0.8)
"""Of the parts of the embedding."""

Arrays = Mapping[str, NDArray[np.generic]]

_GEM = 3.0  # exponent of the generalised mean
_LATE, _MIDDLE = 5, 4  # stages whose wide layers are pooled too
_SAME_WIDTH = 1e-6  # under the root of a variance: no gradient and no NaN at 0


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbeddingPart:
    """A slice of the vector: ``pooling`` over the positions of ``tensor``.

    ``pooling`` is ``mean``, ``spread`` (the standard deviation), ``gem`` (the generalised mean
    with exponent 3) or ``max``.
    """

    tensor: str
    pooling: str
    start: int
    stop: int

    @property
    def name(self) -> str:
        return f"{self.tensor}:{self.pooling}"


def all_parts(arrays: Arrays) -> list[EmbeddingPart]:
    """Return all poolings that may be worth trying, in order; see ``training/features.py``."""
    last = _last_blocks(arrays)
    wanted = [(MAP, pooling) for pooling in ("mean", "spread", "gem", "max")]
    for stage in range(1, 7):
        wanted += [(last[stage].output, pooling) for pooling in ("mean", "spread")]
    for stage in (_MIDDLE, _LATE):
        wanted += [(_wide(last[stage]), pooling) for pooling in ("mean", "spread")]
    return _laid_out(arrays, wanted)


def embedding_parts(arrays: Arrays) -> list[EmbeddingPart]:
    """Return the parts of the embedding: mean and spread of the last map, and the spread of the
    wide layer in the last block of the last stage but one."""
    late = _wide(_last_blocks(arrays)[_LATE])
    return _laid_out(arrays, [(MAP, "mean"), (MAP, "spread"), (late, "spread")])


def dim_of(parts: Sequence[EmbeddingPart]) -> int:
    """Return the length of the vector."""
    return max(part.stop for part in parts)


def add_output(
    model: "onnx.ModelProto",
    parts: Sequence[EmbeddingPart],
    *,
    output: str = POOLED,
    lengths: Sequence[float] | None = LENGTHS,
) -> None:
    """Add an output (n, dim) to a network of ``build_network``: the parts side by side.

    With ``lengths`` each part is scaled to that length; one of length 0 is left out.
    """
    from onnx import helper  # noqa: PLC0415 - a search should not pay for it

    graph = _Pooling()
    columns, dim = [], 0
    for part, length in zip(parts, lengths or [1.0] * len(parts), strict=True):
        if length:
            flat = graph.node("Flatten", [graph.pool(part)], f"{part.name}:flat")
            columns.append(flat if lengths is None else graph.scale(flat, length))
            dim += part.stop - part.start
    graph.node("Concat", columns, output, axis=1)
    model.graph.node.extend(graph.nodes)
    model.graph.initializer.extend(graph.constants)
    model.graph.output.append(helper.make_tensor_value_info(output, 1, ["n", dim]))


class _Pooling:
    """Collects nodes and constants."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self._means: dict[str, str] = {}

    def node(self, operator: str, inputs: list[str], output: str, **attributes: Any) -> str:  # noqa: ANN401 - ONNX attributes
        from onnx import helper  # noqa: PLC0415 - as above

        self.nodes.append(helper.make_node(operator, inputs, [output], name=output, **attributes))
        return output

    def pool(self, part: EmbeddingPart) -> str:
        """Return the name of the pooled part, (n, channels, 1, 1)."""
        name = part.name
        if part.tensor not in self._means:
            self._means[part.tensor] = self.node(
                "GlobalAveragePool", [part.tensor], f"{part.tensor}:average"
            )
        mean = self._means[part.tensor]
        if part.pooling == "mean":
            return mean
        if part.pooling == "max":
            return self.node("GlobalMaxPool", [part.tensor], f"{name}:pooled")
        if part.pooling == "gem":
            cube = self.node("Pow", [part.tensor, self._number(f"{name}:p", _GEM)], f"{name}:cube")
            average = self.node("GlobalAveragePool", [cube], f"{name}:average")
            root = self._number(f"{name}:root", 1 / _GEM)
            return self.node("Pow", [average, root], f"{name}:pooled")
        centred = self.node("Sub", [part.tensor, mean], f"{name}:centred")
        square = self.node("Mul", [centred, centred], f"{name}:square")
        variance = self.node("GlobalAveragePool", [square], f"{name}:variance")
        above = self.node(
            "Add", [variance, self._number(f"{name}:tiny", _SAME_WIDTH)], f"{name}:above"
        )
        return self.node("Sqrt", [above], f"{name}:pooled")

    def scale(self, flat: str, weight: float) -> str:
        """Return rows (n, d) at the length ``weight``."""
        unit = self.node("LpNormalization", [flat], f"{flat}:unit", axis=1, p=2)
        return self.node("Mul", [unit, self._number(f"{flat}:weight", weight)], f"{flat}:scaled")

    def _number(self, name: str, value: float) -> str:
        from onnx import numpy_helper  # noqa: PLC0415 - as above

        self.constants.append(numpy_helper.from_array(np.array(value, np.float32), name))
        return name


def _last_blocks(arrays: Arrays) -> dict[int, Block]:
    return {block.stage: block for block in blocks_of(arrays)}


def _wide(block: Block) -> str:
    return f"_blocks.{block.index}._depthwise_conv.relu6"


def _width(arrays: Arrays, tensor: str) -> int:
    if tensor == MAP:
        return int(arrays["_conv_head.weight"].shape[0])
    block, layer = tensor.removeprefix("_blocks.").split(".")[:2]
    layer = "_project_conv" if layer == "sum" else layer
    return int(arrays[f"_blocks.{block}.{layer}.weight"].shape[0])


def _laid_out(arrays: Arrays, wanted: Sequence[tuple[str, str]]) -> list[EmbeddingPart]:
    parts, start = [], 0
    for tensor, pooling in wanted:
        stop = start + _width(arrays, tensor)
        parts.append(EmbeddingPart(tensor=tensor, pooling=pooling, start=start, stop=stop))
        start = stop
    return parts
