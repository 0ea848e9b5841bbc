"""Small networks made by program: real ONNX files with real cards, in microseconds a picture.

    card = tiny_card(tmp_path)                 # tmp_path/tiny.onnx and tmp_path/tiny.toml
    encoder = load_encoder(card)               # 32 x 32 pixels in, 32 numbers out

The network sees colour and a little shape: equal pictures get equal vectors, nearly equal
pictures nearly equal ones, and pictures of other colours or patterns clearly different ones.
"""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

__all__ = ["CLASSES", "SIDE", "tiny_card", "tiny_network"]

SIDE = 32  # pixels, width and height of the input
CLASSES = 10  # width of the output "logits"
_HIDDEN = 12

_CARD = """\
name = "{name}"
title = "A small seeded network for tests"
licence = "Apache-2.0"
source = "tests/networks.py"

[weights]
builder = "onnx"
file = "{name}.onnx"
sha256 = "{sha256}"

[input]
name = "image"
width = {side}
height = {side}
layout = "nchw"
channels = "rgb"
resize = "squash"
interpolation = "bilinear"
mean = [127.5, 127.5, 127.5]
std = [127.5, 127.5, 127.5]

[output]
name = "features"
dim = {dim}

[map]
name = "map"
layout = "nchw"

[logits]
name = "logits"
classes = {classes}
"""


def tiny_card(folder: Path, *, name: str = "tiny", seed: int = 0, dim: int = 32) -> Path:
    """Write ``<name>.onnx`` and ``<name>.toml`` into ``folder``; the path of the card.

    Another ``seed`` is another network: its vectors mean something else, and so its fingerprint
    differs.
    """
    folder.mkdir(parents=True, exist_ok=True)
    network = tiny_network(seed=seed, dim=dim)
    (folder / f"{name}.onnx").write_bytes(network)
    card = folder / f"{name}.toml"
    sha256 = hashlib.sha256(network).hexdigest()
    card.write_text(
        _CARD.format(name=name, sha256=sha256, side=SIDE, dim=dim, classes=CLASSES),
        encoding="utf-8",
    )
    return card


def tiny_network(*, seed: int = 0, dim: int = 32) -> bytes:
    """Two convolutions and a mean, as a serialised ONNX model.

    ``image`` (n, 3, 32, 32) float32 → ``map`` (n, dim, 8, 8), its mean ``features`` (n, dim), and
    ``logits`` (n, 10). The last convolution has no rectifier, so that unlike pictures get
    cosines well below those of like ones, some negative.
    """
    random = np.random.default_rng(seed)

    def normal(*shape: int, scale: float) -> NDArray[np.float32]:
        return (random.standard_normal(shape) * scale).astype(np.float32)

    weights = {
        "w1": normal(_HIDDEN, 3, 3, 3, scale=0.3),
        "b1": normal(_HIDDEN, scale=0.1),
        "w2": normal(dim, _HIDDEN, 3, 3, scale=0.1),
        "b2": normal(dim, scale=0.02),  # small, not zero: a grey picture has a direction too
        "w3": normal(CLASSES, dim, scale=0.2),
    }
    conv: dict[str, Any] = {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [0, 0, 1, 1]}
    nodes = [
        helper.make_node("Conv", ["image", "w1", "b1"], ["c1"], **conv),
        helper.make_node("Relu", ["c1"], ["r1"]),
        helper.make_node("Conv", ["r1", "w2", "b2"], ["map"], **conv),
        helper.make_node("GlobalAveragePool", ["map"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["features"]),
        helper.make_node("Gemm", ["features", "w3"], ["logits"], transB=1),
    ]
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["n", 3, SIDE, SIDE])],
        [
            helper.make_tensor_value_info("features", TensorProto.FLOAT, ["n", dim]),
            helper.make_tensor_value_info("map", TensorProto.FLOAT, ["n", dim, 8, 8]),
            helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", CLASSES]),
        ],
        [numpy_helper.from_array(array, name) for name, array in weights.items()],
    )
    model = helper.make_model(
        graph,
        producer_name="lookalike tests",
        ir_version=8,  # the oldest that the oldest supported onnxruntime is sure to read
        opset_imports=[helper.make_opsetid("", 17)],
    )
    onnx.checker.check_model(model)
    serialized: bytes = model.SerializeToString()
    return serialized
