"""Cutting a model down to what a card needs of it: tensors inside it become its outputs.

What only other outputs need goes, with its weights and its inputs: a text half, a classifier.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lookalike.core.suggestions import did_you_mean
from lookalike.errors import ModelCardError

if TYPE_CHECKING:
    import onnx

__all__ = ["cut_graph", "inner_tensors", "parse_model"]


def parse_model(content: bytes) -> "onnx.ModelProto":
    """Return an ONNX file's content as a message. Raise ``ValueError`` if it is none."""
    import onnx  # noqa: PLC0415 - 100 ms that few models need
    from google.protobuf.message import (  # type: ignore[import-untyped]  # noqa: PLC0415 - of onnx
        DecodeError,
    )

    model = onnx.ModelProto()
    try:
        model.ParseFromString(content)
    except DecodeError as error:
        raise ValueError(str(error)) from error
    return model


def inner_tensors(model: "onnx.ModelProto") -> list[str]:
    """Return the names of all tensors that the model computes, in the order of its nodes."""
    return [name for node in model.graph.node for name in node.output if name]


def cut_graph(content: bytes, wanted: Mapping[str, str], card: Path) -> bytes:
    """Return the model with ``wanted`` as its only outputs, and without what they do not need.

    ``wanted`` maps names of tensors to the keys of the card that name them. Raise
    ``ModelCardError`` for a tensor that there is not.
    """
    import onnx  # noqa: PLC0415 - see parse_model

    model = parse_model(content)
    graph = model.graph
    known = {one.name: one for one in (*graph.output, *graph.value_info)}
    computed = set(inner_tensors(model))
    for name, key in wanted.items():
        if name not in computed:
            there = ", ".join(one.name for one in graph.output)
            raise ModelCardError(
                f"{card}: {key} is {name!r}, but the model has no such tensor"
                f"; its outputs are {there or 'none'}{did_you_mean(name, computed)}"
            )
    keep = _needed(graph.node, wanted)
    nodes = [node for node, kept in zip(graph.node, keep, strict=True) if kept]
    used = {*wanted, *(name for node in nodes for name in _read_by(node))}
    # A tensor without a type gets one from ONNX Runtime, which infers all of them.
    named = [known.get(name) or onnx.ValueInfoProto(name=name) for name in wanted]
    copies = [onnx.ValueInfoProto.FromString(one.SerializeToString()) for one in named]
    del graph.output[:]
    graph.output.extend(copies)
    _drop(graph.node, keep)
    _drop(graph.initializer, [one.name in used for one in graph.initializer])
    _drop(graph.sparse_initializer, [one.values.name in used for one in graph.sparse_initializer])
    _drop(graph.input, [one.name in used for one in graph.input])
    serialized: bytes = model.SerializeToString()
    return serialized


def _needed(nodes: Sequence[Any], wanted: Iterable[str]) -> list[bool]:
    """Return for each node whether what it computes is needed for ``wanted``.

    ONNX lists nodes in the order in which they run, so one pass from the end suffices.
    """
    needed = set(wanted)
    keep = [False] * len(nodes)
    for place in range(len(nodes) - 1, -1, -1):
        if needed.intersection(nodes[place].output):
            keep[place] = True
            needed.update(_read_by(nodes[place]))
    return keep


def _read_by(node: Any) -> Iterator[str]:  # noqa: ANN401 - a NodeProto
    """What a node reads, with what the graphs inside it (of If and Loop) read."""
    yield from (name for name in node.input if name)
    for attribute in node.attribute:
        graphs = [*attribute.graphs, *([attribute.g] if attribute.HasField("g") else [])]
        for graph in graphs:
            yield from (one.name for one in graph.output)
            for inner in graph.node:
                yield from _read_by(inner)


def _drop(field: Any, keep: Sequence[bool]) -> None:  # noqa: ANN401 - a repeated field
    """Delete in place: weights are large, and copying all that are kept would double them."""
    for place in range(len(keep) - 1, -1, -1):
        if not keep[place]:
            del field[place]
