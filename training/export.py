"""Write a student as an ONNX file with its card and a model card for people.

    python -m training.export training/lite0.toml --run FOLDER [--weights student/weights.npz] \
        [--name lookalike-lite0-v1] [--inner 0.8] [--card efficientnet-lite2] [--side 260] \
        [--out FOLDER/export]

Without ``--weights`` it is the base network with the student's pooling, which needs no training.
The weights are stored as float16 and computed with as float32. The vector is the mean and the
spread of the last map, each at length 1, and with ``--inner`` the spread of an inner layer at that
length. ``map``, the last map, stays an output for explanations.
"""

import argparse
import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from onnx import TensorProto, checker, helper, numpy_helper

from lookalike.encoders.cards import find_card
from lookalike.encoders.efficientnet_lite import build_network
from lookalike.encoders.pooled_embedding import Arrays, add_output, embedding_parts
from lookalike.encoders.weights import read_weights
from training.config import Config, read_config

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["halve", "write_student"]

_OUTPUT = "embedding"
_SMALL = 64  # numbers: what is not worth a Cast
_CARD = """\
name = {name}
title = {title}
licence = "Apache-2.0"
source = "training/README.md of lookalike"

[weights]
builder = "onnx"
file = {file}
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
name = "embedding"
dim = {dim}

[map]
name = "map"
layout = "nchw"
"""


_MODEL_CARD = """\
# {name}

- **What**: {title}. An image of {side} x {side} px (proportions ignored) becomes {dim:,} numbers.
- **Base**: {source}; {licence}; trained on ImageNet (ILSVRC 2012).
- **Further training**: {training}.
- **Vector**: {vector}. Meant to be centred and projected on the collection's own components.
- **File**: {file}, {size:,} bytes, SHA-256 {sha256}; weights as float16, computed with as float32.
- **Measured**: by `training/README.md` (protocol) and `benchmarks/encoders.py`.
- **Limits**: it knows what ImageNet and the training images show. Not measured: faces, text, small
  things in large scenes, fairness.
"""
_DATA = (
    "the last {stages} stages, taught by CLIP ViT-B/16 (OpenAI, MIT) and by the base itself on "
    "views of sharp-photos.zip (mixed terms, research), Caltech-101 (CC BY 4.0) and Myntra product "
    "images (stated as MIT or CC0 by third parties), without held-out classes"
)


def halve(model: Any) -> None:  # noqa: ANN401 - onnx.ModelProto
    """Store the weights as float16, each cast to float32 where it is used."""
    kept, casts = [], []
    for tensor in model.graph.initializer:
        array = numpy_helper.to_array(tensor)
        if array.dtype != np.float32 or array.size < _SMALL:
            kept.append(tensor)
            continue
        name = f"{tensor.name}:half"
        kept.append(numpy_helper.from_array(array.astype(np.float16), name))
        casts.append(
            helper.make_node("Cast", [name], [tensor.name], to=TensorProto.FLOAT, name=tensor.name)
        )
    nodes = [*casts, *model.graph.node]
    del model.graph.initializer[:]
    model.graph.initializer.extend(kept)
    del model.graph.node[:]
    model.graph.node.extend(nodes)


def write_student(
    config: Config, learned: Arrays, folder: Path, *, name: str, inner: float
) -> Path:
    """Write ``name.onnx``, its card ``name.toml`` and the model card ``name.md``.

    Return the path of the second.
    """
    card = find_card(config.student.card)
    arrays: dict[str, NDArray[np.generic]] = {**read_weights(card), **learned}
    lengths = [1.0, config.student.spread, inner]
    parts = embedding_parts(arrays)
    model = build_network(arrays, width=config.student.side, height=config.student.side)
    add_output(model, parts, output=_OUTPUT, lengths=lengths)
    halve(model)
    for output in list(model.graph.output):
        if output.name not in (_OUTPUT, "map"):
            model.graph.output.remove(output)
    checker.check_model(model)
    content: bytes = model.SerializeToString()
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.onnx").write_bytes(content)
    dim = next(
        output.type.tensor_type.shape.dim[1].dim_value
        for output in model.graph.output
        if output.name == _OUTPUT
    )
    taught = "taught by CLIP ViT-B/16" if learned else "not trained further"
    title = f"{card.title}, {taught}; mean and spread of its maps"
    digest = hashlib.sha256(content).hexdigest()
    path = folder / f"{name}.toml"
    path.write_text(
        _CARD.format(
            name=json.dumps(name),
            title=json.dumps(title),
            file=json.dumps(f"{name}.onnx"),
            sha256=digest,
            side=config.student.side,
            dim=dim,
        ),
        encoding="utf-8",
    )
    pooled = [
        f"{part.name} at length {length:g}" for part, length in zip(parts, lengths, strict=True)
    ]
    path.with_suffix(".md").write_text(
        _MODEL_CARD.format(
            name=name,
            title=title,
            side=config.student.side,
            dim=dim,
            source=card.source,
            licence=card.licence,
            training=_DATA.format(stages=config.student.stages) if learned else "none",
            vector=", ".join(pooled),
            file=f"{name}.onnx",
            size=len(content),
            sha256=digest,
        ),
        encoding="utf-8",
    )
    return path


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("config", type=Path)
    parser.add_argument("--run", type=Path, required=True, help="folder for all that is made")
    parser.add_argument("--weights", type=Path, help="what was learned (.npz)")
    parser.add_argument("--name", default="lookalike-lite0-v1")
    parser.add_argument("--inner", type=float, default=0.8, help="length of the inner spread")
    parser.add_argument("--spread", type=float, help="instead of the configuration's")
    parser.add_argument("--card", help="instead of the configuration's")
    parser.add_argument("--side", type=int, help="instead of the configuration's")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    config = read_config(options.config, options.run)
    given = {name: getattr(options, name) for name in ("card", "side", "spread")}
    changes = {name: value for name, value in given.items() if value is not None}
    config = replace(config, student=replace(config.student, **changes))
    learned: dict[str, NDArray[np.generic]] = {}
    if options.weights:
        with np.load(options.weights) as file:
            learned = {name: file[name] for name in file.files}
    out = options.out or config.run / "export"
    print(write_student(config, learned, out, name=options.name, inner=options.inner))


if __name__ == "__main__":
    main()
