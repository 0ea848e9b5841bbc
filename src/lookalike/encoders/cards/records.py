"""What a model card says, as records."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from lookalike.encoders.text.card import TextCard

__all__ = [
    "Builder",
    "Channels",
    "Constant",
    "Dtype",
    "Input",
    "Interpolation",
    "Layout",
    "Logits",
    "ModelCard",
    "Origin",
    "Output",
    "PatchMap",
    "Pooling",
    "Resize",
    "Triple",
    "Weights",
]

Builder: TypeAlias = Literal["onnx", "efficientnet-lite"]
Channels: TypeAlias = Literal["rgb", "bgr"]
Dtype: TypeAlias = Literal["float32", "float16", "uint8"]
Interpolation: TypeAlias = Literal["nearest", "bilinear", "bicubic", "lanczos", "box", "hamming"]
Layout: TypeAlias = Literal["nchw", "nhwc"]
Pooling: TypeAlias = Literal["none", "mean", "max", "gem", "cls", "mean_tokens"]
Resize: TypeAlias = Literal["squash", "crop", "pad"]
Triple: TypeAlias = tuple[float, float, float]

GEM_P = 3.0
"""The exponent of generalised-mean pooling where a card gives none: that of the paper."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """Where the weights are and how they become a model.

    ``file`` is relative to the folder of the card or, with ``package``, of that importable
    package; ``install`` is what pip must install if it is missing. ``data`` are the
    further files that an ONNX model reads: the name that the model has for each, and its SHA-256
    in hex, sorted by name. ``trained`` lies beside the card and holds the weights that were trained
    further and replace those of ``file`` (``encoders.trained_weights``); ``trained_sha256`` is its
    digest.
    """

    builder: Builder
    file: str
    sha256: str
    package: str | None = None
    install: str | None = None
    data: tuple[tuple[str, str], ...] = ()
    trained: str | None = None
    trained_sha256: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where a downloaded file came from: a repository, its exact revision, and the path there.

    ``terms`` is the licence that had to be accepted first, if there was one.
    """

    repository: str
    revision: str | None = None
    file: str | None = None
    terms: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Input:
    """What the model takes: ``(pixel * scale - mean) / std`` for each of 0..255.

    ``mean`` and ``std`` are in the order of ``channels``. ``crop`` is the part of the shorter side
    that resize "crop" keeps; ``fill`` the colour (r, g, b) with which "pad" surrounds. With dtype
    "uint8", pixels are passed as they are. At most ``max_batch`` images are run at a time; ``None``
    is any number that the model takes. ``preset`` names where keys that the card lacks came from.
    """

    name: str
    width: int
    height: int
    layout: Layout
    channels: Channels
    resize: Resize
    interpolation: Interpolation
    crop: float
    fill: tuple[int, int, int]
    scale: float
    mean: Triple
    std: Triple
    dtype: Dtype = "float32"
    max_batch: int | None = None
    preset: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Constant:
    """What a further input of the model always gets: one value for all its numbers, or each.

    ``shape`` is the input's own where it is ``None``; open axes are then 1, or the number of
    images where they have the name of the image input's batch axis.
    """

    name: str
    values: tuple[float, ...]
    shape: tuple[int, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """The tensor that is the embedding: an output of the model, or one inside it.

    ``layout`` is that of a map (n, channels, rows, columns) that is pooled. ``gem_p`` is the
    exponent of pooling "gem". ``prefix_tokens`` is how many tokens at the beginning of (n, tokens,
    channels) stand for no place in the image, and are left out by every pooling but "cls".
    """

    name: str
    dim: int
    pooling: Pooling
    layout: Layout
    gem_p: float = GEM_P
    prefix_tokens: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class PatchMap:
    """An output with a vector for each position."""

    name: str
    layout: Layout


@dataclass(frozen=True, slots=True, kw_only=True)
class Logits:
    """An output with a number for each class that the model was trained to tell apart."""

    name: str
    classes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelCard:
    """A model and how to feed it. ``path`` is the card's own file.

    ``licence`` and ``source`` are empty where nobody has said. ``inputs`` are constants for the
    inputs that do not take the image, sorted by name. ``words`` is the text encoder, if it has one.
    """

    name: str
    title: str
    licence: str
    source: str
    weights: Weights
    input: Input
    output: Output
    map: PatchMap | None
    logits: Logits | None
    path: Path
    origin: Origin | None = None
    inputs: tuple[Constant, ...] = ()
    words: TextCard | None = None

    def fingerprint(self, *revisions: int) -> str:
        """Return the name, and 16 hex digits over all that decides what an embedding is.

        That is weights, preprocessing, chosen output, and ``revisions`` of the code that does
        it; not the title, the place of the files, the device, or the text encoder, whose vectors
        are not stored.
        """
        given, output = self.input, self.output
        # Spelt out, so that a key added to the records later leaves old fingerprints alone.
        # Of a model of one file the digest stays what it was before there were others.
        weights = (self.weights.builder, self.weights.sha256)
        pooling = "avg" if output.pooling == "mean" else output.pooling  # its first name
        facts: tuple[object, ...] = (
            (*weights, self.weights.data) if self.weights.data else weights,
            (given.width, given.height, given.channels, given.resize, given.interpolation),
            (given.crop, given.fill, given.scale, given.mean, given.std),
            (output.name, output.dim, pooling, output.layout),
            revisions,
        )
        later = {
            "dtype": given.dtype if given.dtype != "float32" else None,
            "gem_p": output.gem_p if output.pooling == "gem" else None,
            "prefix_tokens": output.prefix_tokens or None,
            "trained": self.weights.trained_sha256,
            "inputs": tuple((one.name, one.values, one.shape) for one in self.inputs) or None,
        }
        added = tuple((key, value) for key, value in later.items() if value is not None)
        if added:
            facts = (*facts, added)
        return f"{self.name}:{hashlib.sha256(repr(facts).encode()).hexdigest()[:16]}"
