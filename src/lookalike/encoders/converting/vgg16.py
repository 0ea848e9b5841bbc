"""VGG16 as an ONNX graph. Pure.

Simonyan and Zisserman, "Very Deep Convolutional Networks for Large-Scale Image Recognition", 2014:
thirteen 3 x 3 convolutions in five groups, each followed by a pooling, then three dense layers.
``fc1`` and ``fc2`` are the first two of these after their ReLU, as Keras names them. Weights with
batch norms (``vgg16_bn``) are folded before they come here.
"""

from typing import TYPE_CHECKING, Literal

from lookalike.encoders.converting.graph import FEATURES, LOGITS, GraphBuilder
from lookalike.encoders.converting.layers import Layers

if TYPE_CHECKING:
    import onnx

__all__ = ["GROUPS", "build_vgg16", "layer_names"]

GROUPS = (2, 2, 3, 3, 3)  # convolutions before each pooling


def layer_names(*, dense: int) -> list[str]:
    """Return the names of the layers that the builder takes, with ``dense`` of the dense ones."""
    convolutions = [
        f"block{group}_conv{number}"
        for group, count in enumerate(GROUPS, 1)
        for number in range(1, count + 1)
    ]
    return [*convolutions, *("fc1", "fc2", "predictions")[:dense]]


def build_vgg16(
    layers: Layers,
    *,
    width: int,
    height: int,
    output: Literal["avg", "max", "fc1", "fc2"],
) -> "onnx.ModelProto":
    """Return the graph for images of one size, cut after ``output``.

    Input ``image`` (n, 3, height, width) float32. Outputs: ``map`` (n, 512, rows, columns) after
    the last pooling; ``features``; with "fc2" also ``logits`` if there is a layer ``predictions``.
    The weight of ``fc1`` takes the map channel by channel. Raise ``WeightsError`` for layers that
    do not fit each other.
    """
    graph = GraphBuilder("VGG16", height=height, width=width)
    hidden = graph.image
    for group, count in enumerate(GROUPS, 1):
        for number in range(1, count + 1):
            name = f"block{group}_conv{number}"
            hidden = graph.convolution(hidden, layers[name], name, activation="relu")
        hidden = graph.max_pool(hidden, f"block{group}_pool", kernel=2, stride=2, padding="none")
    graph.show_map(hidden)
    if output in ("avg", "max"):
        graph.show_pooled(hidden, output)
        return graph.model()
    flat = graph.node("Flatten", [hidden.name], "flatten")
    dim = hidden.channels * hidden.height * hidden.width
    for name in ("fc1", "fc2"):
        flat = graph.dense(flat, dim, layers[name], name, activation="relu")
        dim = layers[name].width
        if name == output:
            break
    graph.show(flat, FEATURES, ["n", dim])
    if output == "fc2" and "predictions" in layers:
        classifier = layers["predictions"]
        graph.show(graph.dense(flat, dim, classifier, "classes"), LOGITS, ["n", classifier.width])
    return graph.model()
