"""From the facts of a model to a card, with what was guessed and why. Pure but for one run."""

import json
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from lookalike.encoders.adding.model_facts import ModelFacts, Tensor, before_classifier
from lookalike.encoders.cards import Layout, Pooling, presets
from lookalike.encoders.inputs import TEXT_INPUTS
from lookalike.errors import EncoderError

__all__ = [
    "Candidate",
    "Guess",
    "ask_for_constants",
    "candidates",
    "further_inputs",
    "guess_preset",
    "image_input",
    "layout_of",
    "name_for",
    "pooled",
]

Shapes = Callable[[Sequence[str]], dict[str, tuple[int, ...]]]

_IMAGE_AXES, _TOKEN_AXES, _ROW_AXES = 4, 3, 2
_NUMBERS = ("float", "float16", "uint8")
_USUAL_INPUTS = ("pixel_values", "image", "images", "input", "data", "x")
_EMBEDDINGS = (
    *("image_embeds", "l2norm_image_embeddings", "image_embeddings", "image_features"),
    *("embedding", "embeddings", "sentence_embedding", "pooler_output", "features", "feature"),
)
_CLASSES = re.compile(r"logit|prob|softmax|class|predict|score|label", re.IGNORECASE)
_CLASS_COUNTS = {10, 100, 1000, 1001, 10450, 11221, 21841, 21843}
_NOT_IMAGES = re.compile(r"text|per_image|per_text|scale|bias", re.IGNORECASE)
_REGISTERS = 4
# Presets whose names say nothing in the name of a file: a data set, and what any file may hold.
_NO_FAMILIES = {"imagenet", "pixels", "raw"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Guess:
    """A value of the card that the model does not say, and why it was chosen."""

    key: str
    value: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A tensor that may be the embedding. ``shape`` is for one image, without the first axis."""

    name: str
    shape: tuple[int, ...]
    pooling: Pooling
    dim: int
    prefix_tokens: int
    reason: str
    inner: bool


def image_input(facts: ModelFacts, chosen: str | None) -> Tensor:
    """Return the input that takes the image. Raise ``EncoderError`` if that is not clear."""
    there = ", ".join(f"{one.name} ({one.dtype}, {_shape(one)})" for one in facts.inputs) or "none"
    if chosen is not None:
        for one in facts.inputs:
            if one.name == chosen:
                return one
        raise EncoderError(f"{facts.path}: the model has no input {chosen!r}; it has {there}")
    images = [one for one in facts.inputs if _may_be_image(one)]
    usual = [one for name in _USUAL_INPUTS for one in images if one.name == name]
    if len(images) == 1 or usual:
        return (usual or images)[0]
    if images:
        raise EncoderError(
            f"{facts.path}: several inputs may take the image; choose one with --input: "
            + ", ".join(one.name for one in images)
        )
    raise EncoderError(
        f"{facts.path}: no input takes a batch of colour images as float32, float16 or uint8 "
        f"numbers; its inputs are {there}. Export the image half of the model, with an input of "
        "shape (n, 3, height, width) or (n, height, width, 3)"
    )


def _may_be_image(one: Tensor) -> bool:
    return (
        one.dtype in _NUMBERS
        and len(one.shape) == _IMAGE_AXES
        and any(axis == 3 or not isinstance(axis, int) for axis in (one.shape[1], one.shape[3]))  # noqa: PLR2004 - colours
    )


def _shape(one: Tensor) -> str:
    return " x ".join("?" if axis is None else str(axis) for axis in one.shape) or "no shape"


def layout_of(tensor: Tensor) -> tuple[Layout, Guess | None]:
    """Return the layout of an image input, and a guess if its shape does not say."""
    first, last = tensor.shape[1], tensor.shape[3]
    if first == len("rgb"):
        return "nchw", None
    if last == len("rgb"):
        return "nhwc", None
    reason = "no axis is known to be the colours; this is how PyTorch has them"
    return "nchw", Guess(key="input.layout", value="nchw", reason=reason)


def guess_preset(facts: ModelFacts, layout: Layout, ranked: Sequence[Candidate]) -> Guess:
    """Return how images are probably prepared, by what the model and its file are called."""
    called = f"{facts.path.parent.name}/{facts.path.stem} {facts.producer}".lower()
    words = re.sub(r"[^a-z0-9]+", " ", called)
    known = {alias: one.name for one in presets().values() for alias in (one.name, *one.aliases)}
    spelt = [
        alias
        for alias in sorted(known, key=len, reverse=True)
        if alias not in _NO_FAMILIES and re.search(rf"\b{alias.replace('-', ' ?')}(?![a-z])", words)
    ]
    outputs = {one.name: one for one in ranked}
    if facts.normalises:
        name, reason = "pixels", "the model itself begins by scaling its input"
    elif spelt:
        name, reason = known[spelt[0]], f"the file or its folder is called {spelt[0]}"
    elif layout == "nhwc":
        name, reason = "keras-tf", "colours come last, as TensorFlow has them"
    elif "image_embeds" in outputs:
        name, reason = "clip", "the output image_embeds is that of CLIP"
    elif "last_hidden_state" in outputs:
        prefix = outputs["last_hidden_state"].prefix_tokens
        name = {0: "siglip", 1: "dinov2"}.get(prefix, "dinov3")
        reason = f"last_hidden_state begins with {prefix} tokens that stand for no place"
    else:
        name, reason = "imagenet", "most models of PyTorch were trained in this way"
    return Guess(key="preset", value=name, reason=reason)


def candidates(facts: ModelFacts, image: Tensor, shapes: Shapes) -> list[Candidate]:
    """Return the tensors that may be the embedding, the best first.

    ``shapes`` runs the model and returns the shapes of tensors for one image. Raise
    ``EncoderError`` if there is none.
    """
    numbers = [one for one in facts.outputs if "float" in one.dtype or one.dtype == "double"]
    usable = [
        one.name
        for one in numbers
        if facts.reads.get(one.name, frozenset()) == {image.name}
        and not _NOT_IMAGES.search(one.name)
    ]
    found = shapes(usable)
    classes = [name for name, shape in found.items() if _are_classes(name, shape)]
    inner = {before: name for name in classes if (before := before_classifier(facts, name))}
    found |= shapes([name for name in inner if name not in found])
    ranked = []
    for name, shape in found.items():
        if name not in classes or name in inner:
            rank, reason = _rank(name, shape, inner.get(name))
            pooling, dim, prefix = pooled(shape)
            candidate = Candidate(
                name=name,
                shape=shape,
                pooling=pooling,
                dim=dim,
                prefix_tokens=prefix,
                reason=reason,
                inner=name not in usable,
            )
            ranked.append((rank, candidate))
    if not ranked:
        for one in numbers:
            if further := further_inputs(facts, image, one.name):
                raise EncoderError(ask_for_constants(facts, one.name, further))
        given = ", ".join(f"{one.name} ({one.dtype}, {_shape(one)})" for one in facts.outputs)
        raise EncoderError(
            f"{facts.path}: no output is an embedding of the image: it has {given}. Name a tensor "
            "inside the model with --output, such as what its last layer reads"
        )
    return [one for _, one in sorted(ranked, key=lambda pair: pair[0])]


def further_inputs(facts: ModelFacts, image: Tensor, output: str) -> list[Tensor]:
    """Return the inputs that a tensor of an image also depends on, but those for text."""
    reads = facts.reads.get(output, frozenset())
    if image.name not in reads:
        return []
    others = reads - {image.name}
    if others & TEXT_INPUTS.keys():
        return []
    return [one for one in facts.inputs if one.name in others]


def ask_for_constants(facts: ModelFacts, output: str, further: Sequence[Tensor]) -> str:
    """Return the message that an output depends on further inputs, and how to give these."""
    there = ", ".join(f"{one.name} ({one.dtype}, {_shape(one)})" for one in further)
    lines = "\n".join(f"{json.dumps(one.name)} = 1" for one in further)
    return (
        f"{facts.path}: {output} depends on the image and on {there}. Export the model without "
        "the latter, or write its card yourself (docs/encoders.md) with a constant for it, such "
        f"as\n[inputs]\n{lines}"
    )


def _are_classes(name: str, shape: tuple[int, ...]) -> bool:
    return len(shape) == 1 and (bool(_CLASSES.search(name)) or shape[0] in _CLASS_COUNTS)


def _rank(name: str, shape: tuple[int, ...], classifier: str | None) -> tuple[int, str]:
    if name.lower() in _EMBEDDINGS:
        return _EMBEDDINGS.index(name.lower()), "its name is that of an embedding"
    if classifier is not None:
        return 30, f"it is what the layer before {classifier} reads"
    if len(shape) == 1:
        return 20, "it is one vector for each image"
    if len(shape) == _ROW_AXES:
        return 40, "it has a vector for each token"
    return 50, "it has a vector for each position"


def pooled(shape: tuple[int, ...]) -> tuple[Pooling, int, int]:
    """Return pooling, length and prefix tokens for a tensor of that shape for one image."""
    if len(shape) == _TOKEN_AXES and min(math.prod(shape[1:]), math.prod(shape[:-1])) > 1:
        # The side of a map is seldom longer than its vectors.
        nchw = shape[0] >= shape[2]
        return "mean", shape[0] if nchw else shape[2], 0
    if len(shape) == _ROW_AXES and shape[0] > 1:
        tokens, dim = shape
        for prefix in (0, 1, 1 + _REGISTERS):
            if math.isqrt(tokens - prefix) ** 2 == tokens - prefix:
                return "cls" if prefix else "mean", dim, prefix
        return "mean", dim, 0
    return "none", math.prod(shape), 0


def name_for(path: Path) -> str:
    """Return a name for the encoder in a file: the file's, or its folder's if that says nothing."""
    stem = path.stem
    if re.fullmatch(r"(?i)(vision_?)?model(_\w+)?|visual|network|encoder|image", stem):
        folder = path.resolve().parent
        stem = folder.parent.name if folder.name.lower() in {"onnx", "visual"} else folder.name
    text = re.sub(r"[^A-Za-z0-9._-]+", "-", stem).strip("-._")
    return text[:64] or "encoder"
