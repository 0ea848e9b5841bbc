"""Models as exporters write them, made by program around the small network of ``networks``.

    path = export(tmp_path, Form(layout="nhwc", dtype="float16", batch=1))

Whatever the form, the embedding is that of the plain network, so any difference is a mistake of
whoever runs it.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnx
from onnx import TensorProto, compose, helper, numpy_helper

from networks import SIDE, tiny_network

__all__ = ["DIM", "Form", "export"]

DIM = 32
_TYPES = {
    "float32": TensorProto.FLOAT,
    "float16": TensorProto.FLOAT16,
    "uint8": TensorProto.UINT8,
    "float64": TensorProto.DOUBLE,
    "string": TensorProto.STRING,
}


@dataclass(frozen=True, kw_only=True)
class Form:
    """How a model is exported.

    ``batch`` and ``side`` are numbers or names of open axes. ``outputs`` are among embedding
    (n, DIM), map, tokens (n, 65, DIM) with the embedding as the first one, pooler, classes, flat
    (DIM,) and, of two towers, text_embeds and logits_per_image. ``quantised`` is static (QDQ) or
    dynamic, whose scale is that of the batch. ``texts`` is a second half with inputs of its own.
    ``centred`` says that the model itself maps 0..255 to -1..1, as it does for uint8.
    """

    input: str = "pixel_values"
    batch: int | str = "batch_size"
    side: int | str = SIDE
    layout: Literal["nchw", "nhwc"] = "nchw"
    dtype: Literal["float32", "float16", "uint8", "float64", "string"] = "float32"
    output_dtype: Literal["float32", "float16", "uint8"] = "float32"
    outputs: tuple[str, ...] = ("embedding",)
    quantised: Literal["no", "static", "dynamic"] = "no"
    texts: bool = False
    centred: bool = False
    opset: int = 17
    ir: int = 8
    seed: int = 0


def export(folder: Path, form: Form, *, name: str = "model", outside: bool = False) -> Path:
    """Write the model as ``<name>.onnx``, with its weights in a further file if ``outside``."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.onnx"
    model = _model(form)
    if outside:
        onnx.save(
            model,
            path,
            save_as_external_data=True,
            location=f"{name}.onnx_data",
            size_threshold=0,
        )
    else:
        onnx.save(model, path)
    return path


def _model(form: Form) -> onnx.ModelProto:
    plain = onnx.load_from_string(tiny_network(seed=form.seed, dim=DIM))
    core = compose.add_prefix(plain, "net/").graph
    nodes, constants = _before(form)
    nodes += list(core.node)
    constants += list(core.initializer)
    more, found = _after(form)
    nodes += more[0]
    constants += more[1]
    shape = [form.batch, 3, form.side, form.side]
    if form.layout == "nhwc":
        shape = [form.batch, form.side, form.side, 3]
    inputs = [helper.make_tensor_value_info(form.input, _TYPES[form.dtype], shape)]
    if form.texts:
        texts = ["text_batch_size", "sequence_length"]
        inputs = [
            helper.make_tensor_value_info("input_ids", TensorProto.INT64, texts),
            *inputs,
            helper.make_tensor_value_info("attention_mask", TensorProto.INT64, texts),
        ]
    outputs = [found[name] for name in form.outputs]
    graph = helper.make_graph(nodes, "main_graph", inputs, outputs, constants)
    return helper.make_model(
        graph,
        producer_name="pytorch",
        ir_version=form.ir,
        opset_imports=[helper.make_opsetid("", form.opset)],
    )


def _before(form: Form) -> tuple[list[Any], list[Any]]:
    """From the input as it is exported to what the network takes, ``net/image``."""
    nodes: list[Any] = []
    constants: list[Any] = []
    name = form.input

    def step(op: str, *more: str, **attributes: Any) -> None:  # noqa: ANN401 - as onnx takes them
        nonlocal name
        nodes.append(helper.make_node(op, [name, *more], [f"{op}_{len(nodes)}"], **attributes))
        name = nodes[-1].output[0]

    if form.dtype not in {"float32", "string"}:
        step("Cast", to=TensorProto.FLOAT)
    if form.dtype == "uint8" or form.centred:
        constants += [_constant("half", 127.5)]
        step("Sub", "half")
        step("Div", "half")
    if form.layout == "nhwc":
        step("Transpose", perm=[0, 3, 1, 2])
    if form.quantised == "static":
        constants += [_constant("q_scale", 1 / 127.5), _constant("q_zero", 128, np.uint8)]
        step("QuantizeLinear", "q_scale", "q_zero")
        step("DequantizeLinear", "q_scale", "q_zero")
    if form.quantised == "dynamic":
        nodes.append(helper.make_node("DynamicQuantizeLinear", [name], ["dq", "dq_s", "dq_z"]))
        nodes.append(helper.make_node("DequantizeLinear", ["dq", "dq_s", "dq_z"], ["dequantised"]))
        name = "dequantised"
    if form.dtype == "string":
        constants += [_constant("black", 0.0, shape=(1, 3, SIDE, SIDE))]
        name = "black"
    nodes.append(helper.make_node("Identity", [name], ["net/image"]))
    return nodes, constants


def _after(form: Form) -> tuple[tuple[list[Any], list[Any]], dict[str, Any]]:
    """What is made of the network's features and map, and each output by its name."""
    kind = _TYPES[form.output_dtype]
    nodes = [
        helper.make_node("Unsqueeze", ["net/features", "axis_1"], ["first"]),
        helper.make_node("Flatten", ["net/logits"], ["flat_logits"]),
        helper.make_node("Reshape", ["net/map", "as_positions"], ["positions"]),
        helper.make_node("Transpose", ["positions"], ["patches"], perm=[0, 2, 1]),
        helper.make_node("Concat", ["first", "patches"], ["all_tokens"], axis=1),
        helper.make_node("Reshape", ["net/features", "as_flat"], ["as_one"]),
        helper.make_node("Cast", ["net/features"], ["image_embeds"], to=kind),
        helper.make_node("Cast", ["all_tokens"], ["last_hidden_state"], to=kind),
        helper.make_node("Cast", ["net/features"], ["pooler_output"], to=kind),
        helper.make_node("Cast", ["net/map"], ["feature_map"], to=kind),
        helper.make_node("Cast", ["flat_logits"], ["logits"], to=kind),
        helper.make_node("Cast", ["as_one"], ["flat"], to=kind),
    ]
    constants = [
        numpy_helper.from_array(np.array([1]), "axis_1"),
        numpy_helper.from_array(np.array([0, DIM, -1]), "as_positions"),
        numpy_helper.from_array(np.array([DIM]), "as_flat"),
    ]
    if form.texts:
        constants += [_constant("words", 0.5, shape=(1, DIM))]
        nodes += [
            helper.make_node("Cast", ["input_ids"], ["ids"], to=TensorProto.FLOAT),
            helper.make_node("Cast", ["attention_mask"], ["mask"], to=TensorProto.FLOAT),
            helper.make_node("Mul", ["ids", "mask"], ["masked"]),
            helper.make_node("ReduceMean", ["masked"], ["one"], axes=[1], keepdims=1),
            helper.make_node("Add", ["one", "words"], ["text_embeds"]),
            helper.make_node("Transpose", ["text_embeds"], ["texts"]),
            helper.make_node("MatMul", ["net/features", "texts"], ["logits_per_image"]),
        ]
    shapes: dict[str, tuple[str, list[Any]]] = {
        "embedding": ("image_embeds", [form.batch, DIM]),
        "pooler": ("pooler_output", [form.batch, DIM]),
        "map": ("feature_map", [form.batch, DIM, 8, 8]),
        "tokens": ("last_hidden_state", [form.batch, 65, DIM]),
        "classes": ("logits", [form.batch, 10]),
        "flat": ("flat", [DIM]),
        "text_embeds": ("text_embeds", ["text_batch_size", DIM]),
        "logits_per_image": ("logits_per_image", [form.batch, "text_batch_size"]),
    }
    found = {}
    for key, (name, shape) in shapes.items():
        plain = key in {"text_embeds", "logits_per_image"}
        found[key] = helper.make_tensor_value_info(
            name, TensorProto.FLOAT if plain else kind, shape
        )
    wanted = {found[key].name for key in form.outputs}
    return (_only(nodes, wanted), constants), found


def _only(nodes: list[Any], wanted: set[str]) -> list[Any]:
    """Leave out what no output needs, as exporters do."""
    kept = []
    for node in reversed(nodes):
        if wanted.intersection(node.output):
            kept.append(node)
            wanted.update(node.input)
    return kept[::-1]


def _constant(
    name: str, value: float, kind: type[np.generic] = np.float32, shape: tuple[int, ...] = ()
) -> Any:  # noqa: ANN401 - a TensorProto
    return numpy_helper.from_array(np.full(shape, value, dtype=kind), name)
