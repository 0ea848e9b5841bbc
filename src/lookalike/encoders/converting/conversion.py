"""From a file of Keras, PyTorch or TensorFlow Lite to an ONNX graph and what its card must say."""

import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lookalike.core.suggestions import did_you_mean
from lookalike.encoders.cards import Input, Logits, Output, PatchMap
from lookalike.encoders.converting.architectures import (
    ARCHITECTURES,
    Architecture,
    default_architecture,
    input_for,
)
from lookalike.encoders.converting.file_kinds import file_kind
from lookalike.encoders.converting.graph import FEATURES, LOGITS, MAP
from lookalike.encoders.converting.keras_files import open_keras
from lookalike.encoders.converting.layers import Layer, Layers
from lookalike.encoders.converting.mobilenetv2 import build_mobilenetv2
from lookalike.encoders.converting.naming import Naming
from lookalike.encoders.converting.resnet50 import build_resnet50
from lookalike.encoders.converting.sources import (
    WeightsSource,
    keras_sources,
    recognise,
    torch_sources,
)
from lookalike.encoders.converting.tflite_conversion import choose_outputs, input_of
from lookalike.encoders.converting.tflite_files import read_tflite
from lookalike.encoders.converting.tflite_graph import translate
from lookalike.encoders.converting.torch_files import read_safetensors, read_torch
from lookalike.encoders.converting.vgg16 import build_vgg16
from lookalike.errors import WeightsError

if TYPE_CHECKING:
    import onnx

__all__ = ["Conversion", "convert"]

_SIDE = 224  # pixels, where a file does not say
_REDUCTION = 32  # of these networks' last map
_LARGEST_SIDE = 1024
_NAME_LIMIT = 64  # characters, of a card

# What numbers and shapes that no framework writes can raise.
_DAMAGE = (ArithmeticError, LookupError, TypeError, ValueError)

_RESCALES = (
    "the model has a layer that rescales pixels by itself; it is left out, and images are prepared "
    "as the network was published: compare a few embeddings if you trained it otherwise"
)
_UNNAMED = "the file does not name its layers as expected; they were taken in the order of"


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversion:
    """A converted network: the ONNX file's content, and what goes into its card.

    ``notes`` are sentences for whoever converts it: what could not be known from the file.
    """

    name: str
    title: str
    content: bytes
    input: Input
    output: Output
    map: PatchMap | None
    logits: Logits | None
    notes: tuple[str, ...] = ()


def convert(path: Path, *, architecture: str | None = None, size: int | None = None) -> Conversion:
    """Return the network in a file, as an ONNX graph.

    ``architecture`` is a name of ``ARCHITECTURES``, or of a network; by default what is recognised
    from the names of the weights. ``size`` is the width and height of images in pixels; by default
    what the file says, or 224. A ``.tflite`` file is a graph for one size and takes neither.

    Raise ``WeightsError`` with one sentence for a file that is damaged, of another kind or of an
    unknown network, and ``ValueError`` for an unknown architecture or a size out of range.
    """
    wanted = _wanted(architecture)
    if size is not None and not _REDUCTION <= size <= _LARGEST_SIDE:
        raise ValueError(f"size must be from {_REDUCTION} to {_LARGEST_SIDE} pixels, not {size}")
    square = (size, size) if size else None
    kind = file_kind(path)
    if kind == "keras":
        with open_keras(path) as file:
            source = recognise(path, keras_sources(file), file.layers)
            notes: tuple[str, ...] = (_RESCALES,) if file.rescales else ()
            if not source.by_name:
                notes += (f"{_UNNAMED} {source.naming.title}",)
            return _converted(path, source, wanted, square or file.input_size, notes)
    if kind == "tflite":
        if architecture is not None or size is not None:
            raise WeightsError(
                f"{path}: a TensorFlow Lite file is a whole graph for one size of image; give "
                "neither an architecture nor a size"
            )
        return _converted_tflite(path)
    tensors = read_torch(path) if kind == "torch" else read_safetensors(path)
    source = recognise(path, torch_sources(tensors), tensors)
    return _converted(path, source, wanted, square, ())


def _converted_tflite(path: Path) -> Conversion:
    model = read_tflite(path)
    try:
        chosen = choose_outputs(model)
        spec, note = input_of(model)
        graph = translate(model, chosen.outputs)
    except _DAMAGE as error:
        raise WeightsError(f"{path}: is damaged: {error!r}") from error
    except WeightsError as error:
        raise WeightsError(f"{path}: {error}") from error
    name = re.sub(r"[^a-z0-9._-]+", "-", path.stem.lower()).strip("-._") or "tflite"
    return _described(
        graph,
        name=name[:_NAME_LIMIT],
        title=f"{path.stem}, from TensorFlow Lite",
        spec=spec,
        notes=(chosen.note, *([note] if note else [])),
    )


def _described(
    model: "onnx.ModelProto", *, name: str, title: str, spec: Input, notes: tuple[str, ...]
) -> Conversion:
    """Return a graph with what its outputs say."""
    outputs = {one.name: one.type.tensor_type.shape.dim for one in model.graph.output}
    dim = outputs[FEATURES][1].dim_value
    shows_classes = LOGITS in outputs
    return Conversion(
        name=name,
        title=title,
        content=model.SerializeToString(),
        input=spec,
        output=Output(name=FEATURES, dim=dim, pooling="none", layout="nchw"),
        map=PatchMap(name=MAP, layout="nchw") if MAP in outputs else None,
        logits=Logits(name=LOGITS, classes=outputs[LOGITS][1].dim_value) if shows_classes else None,
        notes=notes,
    )


def _wanted(name: str | None) -> str | None:
    networks = {one.network for one in ARCHITECTURES.values()}
    if name is None or name in ARCHITECTURES or name in networks:
        return name
    known = sorted({*ARCHITECTURES, *networks})
    hint = did_you_mean(name, known)
    raise ValueError(f"there is no architecture {name!r}; there are {', '.join(known)}{hint}")


def _converted(
    path: Path,
    source: WeightsSource,
    wanted: str | None,
    size: tuple[int, int] | None,
    notes: tuple[str, ...],
) -> Conversion:
    naming = source.naming
    architecture = _chosen(path, source, wanted)
    try:
        layers = {name: source.read(name) for name in _needed(source, architecture)}
        height, width = _size(layers, size)
        model = _build(architecture, naming, layers, height=height, width=width)
        del layers  # half a gigabyte of VGG16, before as much is written
    except _DAMAGE as error:
        raise WeightsError(f"{path}: has tensors that cannot be: {error}") from error
    except WeightsError as error:
        raise WeightsError(f"{path}: {error}") from error
    return _described(
        model,
        name=architecture.name,
        title=f"{architecture.title} (weights of {naming.origin})",
        spec=input_for(architecture, naming.framework, width=width, height=height),
        notes=notes,
    )


def _chosen(path: Path, source: WeightsSource, wanted: str | None) -> Architecture:
    network, title = source.naming.network, source.naming.title
    if wanted is None or wanted == network:
        return default_architecture(network, dense=network == "vgg16" and source.has("fc2"))
    architecture = ARCHITECTURES.get(wanted)
    if architecture is None or architecture.network != network:
        raise WeightsError(f"{path}: holds {title}, which cannot become {wanted}")
    if architecture.legacy and source.naming.framework == "torch":
        raise WeightsError(
            f"{path}: {architecture.name} prepares images for weights of Keras, and these are of "
            f"{source.naming.origin}; use {architecture.name.removesuffix('-legacy')}"
        )
    return architecture


def _needed(source: WeightsSource, architecture: Architecture) -> list[str]:
    """Return the builder's names of the layers to read."""
    names = [name for name in source.naming.names if name not in source.naming.optional]
    if architecture.network == "vgg16":
        names += {"fc1": ["fc1"], "fc2": ["fc1", "fc2"]}.get(architecture.output, [])
    # What tells classes is read where the graph computes its input anyway.
    classifiers = {
        ("mobilenetv2", "avg"): "classifier",
        ("resnet50", "avg"): "classifier",
        ("resnet50", "max"): "classifier",
        ("vgg16", "fc2"): "predictions",
    }
    classifier = classifiers.get((architecture.network, architecture.output))
    return [*names, classifier] if classifier and source.has(classifier) else names


def _size(layers: Layers, size: tuple[int, int] | None) -> tuple[int, int]:
    """Return (height, width). VGG16's first dense layer fixes the size of the map before it."""
    if "fc1" not in layers:
        return size or (_SIDE, _SIDE)
    dense, channels = layers["fc1"], layers["block5_conv3"].width
    side = math.isqrt(dense.weight.shape[-1] // channels) * _REDUCTION
    if size is not None and size != (side, side):
        raise WeightsError(
            f"{dense.origin} takes images of {side} x {side} pixels only, not {size[1]} x {size[0]}"
        )
    return side, side


def _build(
    architecture: Architecture, naming: Naming, layers: Layers, *, height: int, width: int
) -> "onnx.ModelProto":
    keras = naming.framework == "keras"
    output = architecture.output
    if architecture.network == "mobilenetv2":
        return build_mobilenetv2(
            layers,
            width=width,
            height=height,
            padding="same" if keras else "symmetric",
            output="map" if output == "map" else "avg",
        )
    if architecture.network == "resnet50":
        return build_resnet50(
            layers,
            width=width,
            height=height,
            strided="1x1" if keras else "3x3",
            pooling="max" if output == "max" else "avg",
        )
    if keras and "fc1" in layers:
        layers = {**layers, "fc1": _by_channel(layers["fc1"], layers["block5_conv3"].width)}
    return build_vgg16(
        layers, width=width, height=height, output="fc1" if output == "map" else output
    )


def _by_channel(dense: Layer, channels: int) -> Layer:
    """Turn a weight for a map that Keras flattened by position into one for a map by channel."""
    out, taken = dense.weight.shape
    side = math.isqrt(taken // channels)
    if side * side * channels != taken:
        raise WeightsError(
            f"{dense.origin} takes {taken} numbers, which are no square map of {channels} channels"
        )
    turned = dense.weight.reshape(out, side, side, channels).transpose(0, 3, 1, 2)
    return Layer(turned.reshape(out, taken), dense.bias, dense.origin)
