"""Small graphs with the inputs, outputs, types and opsets of encoders on the hub, made by program.

    graph = vision({"image_embeds": 512})                    # as CLIP's image tower is exported
    graph = tokens(384, count=257)                           # as DINOv2
    graph, data = tokens(384, count=201, registers=4, pooled=True, data="model.onnx_data")

Each sees colours and coarse shapes, so that images that differ get embeddings that differ. The
names are those that exporters write: the curated list says where they were read.
"""

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

__all__ = ["INNER", "classifier", "fixed", "text", "tokens", "vgg16", "vision", "with_data"]

INNER = "/global_pool/Flatten_output_0"
"""What the classifier of ``classifier`` reads, named as torch's exporter does."""

_BATCH = ["batch_size", "num_channels", "height", "width"]  # optimum leaves all four open
_FEATURES = 32  # what the trunk gives: 8 filters at 2 x 2 positions
_VOCABULARY = 128


class _Graph:
    """Nodes and weights that grow; every weight is seeded by its name."""

    def __init__(self, seed: str) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []
        self._seed = seed

    def weight(self, name: str, *shape: int, scale: float = 0.2) -> str:
        digest = hashlib.sha256(f"{self._seed}/{name}".encode()).digest()
        random = np.random.default_rng(int.from_bytes(digest[:8], "big"))
        return self.constant(name, (random.standard_normal(shape) * scale).astype(np.float32))

    def constant(self, name: str, value: NDArray[Any]) -> str:
        self.weights.append(numpy_helper.from_array(value, name))
        return name

    def add(self, kind: str, inputs: list[str], output: str, **attributes: Any) -> str:  # noqa: ANN401 - of any operator
        name = f"/{output}/{kind}"
        self.nodes.append(helper.make_node(kind, inputs, [output], name=name, **attributes))
        return output

    def linear(self, source: str, size: int, output: str, *, into: int = _FEATURES) -> str:
        weight = self.weight(f"{output}.weight", size, into)
        bias = self.weight(f"{output}.bias", size, scale=0.02)
        return self.add("Gemm", [source, weight, bias], output, transB=1)

    def trunk(self, source: str) -> str:
        """Return (n, 32): patches of 16 pixels seen by 8 filters, averaged over quarters."""
        filters = self.weight("patches.weight", 8, 3, 16, 16, scale=0.02)
        bias = self.weight("patches.bias", 8, scale=0.02)
        patches = self.add(
            "Conv", [source, filters, bias], "patches", kernel_shape=[16, 16], strides=[16, 16]
        )
        seen = self.add("Tanh", [patches], "seen")
        quarters = self.add("AveragePool", [seen], "quarters", kernel_shape=[7, 7], strides=[7, 7])
        return self.add("Flatten", [quarters], "trunk")

    def model(
        self,
        inputs: Mapping[str, tuple[int, list[Any]]],
        outputs: Mapping[str, list[Any]],
        *,
        opset: int,
    ) -> bytes:
        graph = helper.make_graph(
            self.nodes,
            "main_graph",
            [helper.make_tensor_value_info(name, *one) for name, one in inputs.items()],
            [
                helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
                for name, shape in outputs.items()
            ],
            self.weights,
        )
        model = helper.make_model(
            graph, ir_version=8, opset_imports=[helper.make_opsetid("", opset)]
        )
        onnx.checker.check_model(model)
        serialized: bytes = model.SerializeToString()
        return serialized


def _image(name: str = "pixel_values", shape: list[Any] | None = None) -> dict[str, Any]:
    return {name: (TensorProto.FLOAT, shape or _BATCH)}


def vision(
    outputs: Mapping[str, int], *, hidden: int | None = None, opset: int = 14, seed: str = ""
) -> bytes:
    """Return an image tower: (n, size) for each output; ``hidden`` adds the tokens first."""
    graph = _Graph(seed)
    trunk = graph.trunk("pixel_values")
    shapes: dict[str, list[Any]] = {}
    if hidden is not None:
        axes = graph.constant("axes", np.array([1]))
        flat = graph.linear(trunk, hidden, "hidden")
        graph.add("Unsqueeze", [flat, axes], "last_hidden_state")
        shapes["last_hidden_state"] = ["batch_size", "sequence_length", hidden]
    for name, size in outputs.items():
        graph.linear(trunk, size, name)
        shapes[name] = ["batch_size", size]
    return graph.model(_image(), shapes, opset=opset)


def tokens(dim: int, *, count: int, pooled: bool = False, opset: int = 14, seed: str = "") -> bytes:
    """Return ``last_hidden_state`` (n, count, dim), whose first token sees the image.

    The others are constant and large: a mean over tokens would be nearly the same for all images.
    With ``pooled``, ``pooler_output`` (n, dim) is the first token.
    """
    graph = _Graph(seed)
    trunk = graph.trunk("pixel_values")
    axes = graph.constant("axes", np.array([1]))
    first = graph.add("Unsqueeze", [graph.linear(trunk, dim, "cls"), axes], "first")
    rest = graph.weight("rest", 1, count - 1, dim, scale=5.0)
    zero = graph.constant("zero", np.zeros(1, dtype=np.float32))
    nothing = graph.add("Mul", [first, zero], "nothing")  # (n, 1, dim): gives the others their n
    others = graph.add("Add", [nothing, rest], "others")
    graph.add("Concat", [first, others], "last_hidden_state", axis=1)
    shapes: dict[str, list[Any]] = {
        "last_hidden_state": ["batch_size", "sequence_length", dim],
    }
    if pooled:
        graph.add("Squeeze", [first, axes], "pooler_output")
        shapes["pooler_output"] = ["batch_size", dim]
    return graph.model(_image(), shapes, opset=opset)


def classifier(
    dim: int, *, classes: int = 1000, opset: int = 14, seed: str = "", matmul: bool = False
) -> bytes:
    """Return a network with ``logits`` only, made of something that has an inner name.

    With ``matmul``, the last layer is a product with its bias added from the left.
    """
    graph = _Graph(seed)
    features = graph.linear(graph.trunk("pixel_values"), dim, INNER)
    if matmul:
        product = graph.add("MatMul", [features, graph.weight("last", dim, classes)], "product")
        graph.add("Add", [graph.weight("bias", classes), product], "logits")
    else:
        graph.linear(features, classes, "logits", into=dim)
    return graph.model(_image(), {"logits": ["batch_size", classes]}, opset=opset)


def fixed(dim: int, *, name: str = "input", output: str = "output", seed: str = "") -> bytes:
    """Return a network for 224 pixels only, with names that nobody documents (Unicom)."""
    graph = _Graph(seed)
    graph.linear(graph.trunk(name), dim, output)
    return graph.model(_image(name, ["batch", 3, 224, 224]), {output: ["batch", dim]}, opset=14)


def vgg16(*, dim: int = 4096, seed: str = "") -> bytes:
    """Return VGG16 of the ONNX Model Zoo, opset 7: one image at a time, layers by MXNet's names.

    Each layer reads the trunk, so that the file stays small.
    """
    graph = _Graph(seed)
    trunk = graph.trunk("data")
    for number in range(2):
        dense = graph.linear(trunk, dim, f"vgg0_dense{number}_fwd")
        relu = graph.add("Relu", [dense], f"vgg0_dense{number}_relu_fwd")
        graph.add("Dropout", [relu], f"vgg0_dropout{number}_fwd", ratio=0.5)
    graph.linear(trunk, 1000, "vgg0_dense2_fwd")
    return graph.model(_image("data", [1, 3, 224, 224]), {"vgg0_dense2_fwd": [1, 1000]}, opset=7)


def text(dim: int, *, output: str, hidden: int | None = None, seed: str = "") -> bytes:
    """Return a text tower: ``input_ids`` int64 → (n, dim), the mean of what each id stands for."""
    graph = _Graph(seed)
    table = graph.weight("table", _VOCABULARY, _FEATURES, scale=1.0)
    size = graph.constant("size", np.array(_VOCABULARY))
    near = graph.add("Mod", ["input_ids", size], "near")
    vectors = graph.add("Gather", [table, near], "vectors")
    mean = graph.add("ReduceMean", [vectors], "mean", axes=[1], keepdims=0)
    shapes: dict[str, list[Any]] = {}
    if hidden is not None:
        axes = graph.constant("axes", np.array([1]))
        graph.add("Unsqueeze", [graph.linear(mean, hidden, "states"), axes], "last_hidden_state")
        shapes["last_hidden_state"] = ["batch_size", "sequence_length", hidden]
    graph.linear(mean, dim, output)
    shapes[output] = ["batch_size", dim]
    ids = {"input_ids": (TensorProto.INT64, ["batch_size", "sequence_length"])}
    return graph.model(ids, shapes, opset=14)


def with_data(graph: bytes, name: str) -> tuple[bytes, bytes]:
    """Return a graph without its weights, and the content of the file ``name`` that has them."""
    model = onnx.ModelProto()
    model.ParseFromString(graph)
    data = bytearray()
    for weight in model.graph.initializer:
        if not weight.raw_data:
            continue
        details = {"location": name, "offset": str(len(data)), "length": str(len(weight.raw_data))}
        data += weight.raw_data
        weight.ClearField("raw_data")
        weight.data_location = TensorProto.EXTERNAL
        for key, value in details.items():
            weight.external_data.add(key=key, value=value)
    serialized: bytes = model.SerializeToString()
    return serialized, bytes(data)
