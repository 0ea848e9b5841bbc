"""MobileNetV2 as an ONNX graph. Pure.

Sandler et al., "MobileNetV2: Inverted Residuals and Linear Bottlenecks", 2018. Any width: channels
are read from the weights. Keras and TensorFlow pad each strided convolution only as far as needed
and at the end ("same"); torchvision and timm pad one row and column all round.
"""

from typing import TYPE_CHECKING, Literal

from lookalike.encoders.converting.graph import LOGITS, GraphBuilder, GraphTensor, Padding
from lookalike.encoders.converting.layers import Layers

if TYPE_CHECKING:
    import onnx

__all__ = ["BLOCKS", "build_mobilenetv2", "layer_names"]

_STRIDED = {1, 3, 6, 13}  # blocks that halve the map
BLOCKS = 17


def layer_names(*, classifier: bool) -> list[str]:
    """Return the names of the layers that the builder takes, in their order."""
    names = ["stem"]
    for block in range(BLOCKS):
        parts = ("expand", "depthwise", "project") if block else ("depthwise", "project")
        names += [f"blocks.{block}.{part}" for part in parts]
    return [*names, "head", *(["classifier"] if classifier else [])]


def build_mobilenetv2(
    layers: Layers,
    *,
    width: int,
    height: int,
    padding: Padding,
    output: Literal["avg", "map"] = "avg",
) -> "onnx.ModelProto":
    """Return the graph for images of one size.

    Input ``image`` (n, 3, height, width) float32. Outputs: ``map`` (n, 1280, rows, columns) after
    the last ReLU6; ``features``, its mean over positions (n, 1280) or, if ``output`` is "map", all
    of it as Keras flattens it; ``logits`` if there is a layer ``classifier`` and the features are
    the mean. Raise ``WeightsError`` for layers that do not fit each other.
    """
    graph = GraphBuilder("MobileNetV2", height=height, width=width)
    hidden = graph.convolution(
        graph.image, layers["stem"], "stem", stride=2, padding=padding, activation="relu6"
    )
    for block in range(BLOCKS):
        hidden = _block(graph, layers, hidden, block, padding)
    hidden = graph.convolution(hidden, layers["head"], "head", activation="relu6")
    graph.show_map(hidden)
    if output == "map":
        graph.show_flat(hidden)
        return graph.model()
    features = graph.show_pooled(hidden, "avg")
    if "classifier" in layers:
        classifier = layers["classifier"]
        classes = graph.dense(features, hidden.channels, classifier, "classes")
        graph.show(classes, LOGITS, ["n", classifier.width])
    return graph.model()


def _block(
    graph: GraphBuilder, layers: Layers, source: GraphTensor, block: int, padding: Padding
) -> GraphTensor:
    """Expand, convolve each channel by itself, project; add the input where shapes allow."""
    prefix = f"blocks.{block}."
    stride = 2 if block in _STRIDED else 1
    hidden = source
    if block:
        name = f"{prefix}expand"
        hidden = graph.convolution(hidden, layers[name], name, activation="relu6")
    name = f"{prefix}depthwise"
    hidden = graph.convolution(
        hidden, layers[name], name, stride=stride, padding=padding, activation="relu6"
    )
    name = f"{prefix}project"
    hidden = graph.convolution(hidden, layers[name], name)
    if stride == 1 and hidden.channels == source.channels:
        return graph.add(hidden, source, f"{prefix}sum")
    return hidden
