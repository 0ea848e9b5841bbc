"""ResNet50 as an ONNX graph. Pure.

He et al., "Deep Residual Learning for Image Recognition", 2015. Two versions exist that their
weights do not tell apart by shape: the paper's and Keras's halve the map in the first 1 x 1
convolution of a block, torchvision's and timm's ("V1.5") in the 3 x 3 one. Keras's convolutions
have biases; they are folded into the batch norms' before they come here.
"""

from typing import TYPE_CHECKING, Literal

from lookalike.encoders.converting.graph import LOGITS, GraphBuilder, GraphTensor
from lookalike.encoders.converting.layers import Layers

if TYPE_CHECKING:
    import onnx

__all__ = ["STAGES", "build_resnet50", "layer_names"]

STAGES = (3, 4, 6, 3)  # blocks


def layer_names(*, classifier: bool) -> list[str]:
    """Return the names of the layers that the builder takes."""
    names = ["stem"]
    for stage, blocks in enumerate(STAGES):
        for block in range(blocks):
            parts = ("1", "2", "3") if block else ("1", "2", "3", "shortcut")
            names += [f"stages.{stage}.{block}.{part}" for part in parts]
    return [*names, *(["classifier"] if classifier else [])]


def build_resnet50(
    layers: Layers,
    *,
    width: int,
    height: int,
    strided: Literal["1x1", "3x3"],
    pooling: Literal["avg", "max"] = "avg",
) -> "onnx.ModelProto":
    """Return the graph for images of one size.

    Input ``image`` (n, 3, height, width) float32. Outputs: ``map`` (n, 2048, rows, columns) after
    the last ReLU; ``features`` (n, 2048), its mean or maximum over positions; ``logits`` if there
    is a layer ``classifier`` (which always takes the mean). ``strided`` is the convolution that
    halves the map. Raise ``WeightsError`` for layers that do not fit each other.
    """
    graph = GraphBuilder("ResNet50", height=height, width=width)
    hidden = graph.convolution(
        graph.image, layers["stem"], "stem", stride=2, padding="symmetric", activation="relu"
    )
    # After a ReLU a border of zeros and one that never wins give the same maximum.
    hidden = graph.max_pool(hidden, "stem_pool", kernel=3, stride=2, padding="symmetric")
    for stage, blocks in enumerate(STAGES):
        for block in range(blocks):
            stride = 2 if stage and not block else 1
            prefix = f"stages.{stage}.{block}."
            hidden = _block(graph, layers, hidden, prefix, stride=stride, strided=strided)
    graph.show_map(hidden)
    graph.show_pooled(hidden, pooling)
    if "classifier" in layers:
        classifier = layers["classifier"]
        graph.node("GlobalAveragePool", [hidden.name], "mean")
        graph.node("Flatten", ["mean"], "mean_flat")
        classes = graph.dense("mean_flat", hidden.channels, classifier, "classes")
        graph.show(classes, LOGITS, ["n", classifier.width])
    return graph.model()


def _block(
    graph: GraphBuilder,
    layers: Layers,
    source: GraphTensor,
    prefix: str,
    *,
    stride: int,
    strided: Literal["1x1", "3x3"],
) -> GraphTensor:
    """Narrow, convolve, widen; add the input, projected where its shape differs."""
    first, middle = (stride, 1) if strided == "1x1" else (1, stride)
    hidden = graph.convolution(
        source, layers[f"{prefix}1"], f"{prefix}1", stride=first, padding="none", activation="relu"
    )
    hidden = graph.convolution(
        hidden,
        layers[f"{prefix}2"],
        f"{prefix}2",
        stride=middle,
        padding="symmetric",
        activation="relu",
    )
    hidden = graph.convolution(hidden, layers[f"{prefix}3"], f"{prefix}3")
    name = f"{prefix}shortcut"
    if name in layers:
        source = graph.convolution(source, layers[name], name, stride=stride, padding="none")
    return graph.add(hidden, source, f"{prefix}sum", activation="relu")
