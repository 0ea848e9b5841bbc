"""Model cards: everything that must be known about a network to use it rightly, as data.

A card is a TOML file, written by hand; ``docs/encoders.md`` explains every key. The preprocessing
is part of it, so that it travels with the weights.
"""

import hashlib
import math
import re
import tomllib
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal, TypeAlias, TypeVar, get_args

from lookalike.core.suggestions import did_you_mean
from lookalike.encoders.text.card import TextCard, read_text_card
from lookalike.errors import EncoderError, ModelCardError

__all__ = [
    "Builder",
    "Input",
    "Logits",
    "ModelCard",
    "Output",
    "PatchMap",
    "Table",
    "Weights",
    "available_encoders",
    "find_card",
    "read_card",
]

Builder: TypeAlias = Literal["onnx", "efficientnet-lite"]
Channels: TypeAlias = Literal["rgb", "bgr"]
Interpolation: TypeAlias = Literal["nearest", "bilinear", "bicubic", "lanczos", "box", "hamming"]
Layout: TypeAlias = Literal["nchw", "nhwc"]
Pooling: TypeAlias = Literal["none", "avg", "max"]
Resize: TypeAlias = Literal["squash", "crop", "pad"]
Triple: TypeAlias = tuple[float, float, float]
_Choice = TypeVar("_Choice", bound=str)

_SHIPPED = Path(__file__).parent / "cards"
_LARGEST_SIDE = 4096  # pixels of input: far beyond any network, well below a memory problem
_LARGEST_DIM = 2**20
_SHA256 = "[0-9a-f]{64}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """Where the weights lie and how they become a network.

    ``file`` is relative to the folder of the card or, with ``package``, of that importable
    package; ``install`` is then what pip is told to install when it is missing. ``data`` are the
    further files that an ONNX network reads: the name that the network has for each, and its
    SHA-256 in hex, sorted by name.
    """

    builder: Builder
    file: str
    sha256: str
    package: str | None = None
    install: str | None = None
    data: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Input:
    """What the network takes: ``(pixel * scale - mean) / std`` for each of 0..255.

    ``mean`` and ``std`` are in the order of ``channels``. ``crop`` is the part of the shorter side
    that resize "crop" keeps; ``fill`` the colour (r, g, b) with which "pad" surrounds.
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """The output that is the vector. ``layout`` matters only where it is pooled."""

    name: str
    dim: int
    pooling: Pooling
    layout: Layout


@dataclass(frozen=True, slots=True, kw_only=True)
class PatchMap:
    """An output with a vector for each position."""

    name: str
    layout: Layout


@dataclass(frozen=True, slots=True, kw_only=True)
class Logits:
    """An output with a number for each class that the network was trained to tell apart."""

    name: str
    classes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelCard:
    """A network and how to feed it. ``path`` is the card's own file.

    ``words`` is its text encoder, if it has one.
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
    words: TextCard | None = None

    def fingerprint(self, *revisions: int) -> str:
        """Return the name, and 16 hex digits over all that decides what a vector is.

        That is weights, preprocessing, chosen output, and ``revisions`` of the code that does
        it; not the title, the place of the files, the device, or the text encoder, whose vectors
        are not stored.
        """
        given, output = self.input, self.output
        # Spelt out, so that a key added to the records later leaves old fingerprints alone.
        # Of a network of one file the digest stays what it was before there were others.
        weights = (self.weights.builder, self.weights.sha256)
        facts = (
            (*weights, self.weights.data) if self.weights.data else weights,
            (given.width, given.height, given.channels, given.resize, given.interpolation),
            (given.crop, given.fill, given.scale, given.mean, given.std),
            (output.name, output.dim, output.pooling, output.layout),
            revisions,
        )
        return f"{self.name}:{hashlib.sha256(repr(facts).encode()).hexdigest()[:16]}"


def available_encoders() -> tuple[str, ...]:
    """Names of the cards that come with lookalike; their weights need not be installed."""
    return tuple(sorted(path.stem for path in _SHIPPED.glob("*.toml")))


def find_card(name_or_path: str | Path) -> ModelCard:
    """Return the card of that name, or in that file if it looks like a path to a ``.toml``.

    Raise ``EncoderError`` for an unknown name, ``ModelCardError`` for a card that is no good.
    """
    text = str(name_or_path)
    if isinstance(name_or_path, Path) or text.endswith(".toml") or "/" in text or "\\" in text:
        return read_card(Path(name_or_path))
    if text not in available_encoders():
        raise EncoderError(
            f"there is no encoder {text!r}; there are {', '.join(available_encoders())}"
            f"{did_you_mean(text, available_encoders())}, and any card by its path (….toml)"
        )
    return read_card(_SHIPPED / f"{text}.toml")


def read_card(path: Path) -> ModelCard:
    """Parse and check a card. Raise ``ModelCardError`` naming the file and the key."""
    try:
        parsed = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ModelCardError(f"{path}: cannot be read: {error.strerror or error}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ModelCardError(f"{path}: not TOML: {error}") from error
    top = Table(parsed, path, "", ModelCard)
    return ModelCard(
        name=top.text("name", pattern=r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}"),
        title=top.text("title"),
        licence=top.text("licence"),
        source=top.text("source"),
        weights=_weights(top.table("weights", Weights)),
        input=_input(top.table("input", Input)),
        output=_output(top.table("output", Output)),
        map=_map(top.table("map", PatchMap)) if "map" in top else None,
        logits=_logits(top.table("logits", Logits)) if "logits" in top else None,
        path=path,
        words=_words(top) if "words" in top else None,
    )


def _words(top: "Table") -> TextCard:
    table = top.table("words", TextCard)
    built = top.table("weights", Weights).text("builder") != "onnx"
    if built and "file" not in table:
        raise table.error("file", "is missing; only an ONNX file can hold both halves")
    return read_text_card(table)


def _weights(table: "Table") -> Weights:
    packaged = "package" in table
    if "install" in table and not packaged:
        raise table.error("install", "says how to get a package, but no package is named")
    builder: Builder = table.choice("builder", get_args(Builder))
    if "data" in table and builder != "onnx":
        raise table.error("data", 'is only for builder = "onnx"')
    return Weights(
        builder=builder,
        file=table.text("file"),
        sha256=table.text("sha256", pattern=_SHA256),
        package=table.text("package", pattern=r"[A-Za-z_][A-Za-z0-9_]*") if packaged else None,
        install=table.text("install") if packaged else None,
        data=table.digests("data") if "data" in table else (),
    )


def _input(table: "Table") -> Input:
    resize: Resize = table.choice("resize", get_args(Resize))
    for key, mode in (("crop", "crop"), ("fill", "pad")):
        if key in table and resize != mode:
            raise table.error(key, f'is only for resize = "{mode}"')
    crop = table.number("crop", 1.0)
    if not 0 < crop <= 1:
        raise table.error("crop", f"must be above 0 and at most 1, not {crop}")
    fill = table.triple("fill", [0, 0, 0])
    if not set(fill) <= set(range(256)):
        raise table.error("fill", "must be three whole numbers from 0 to 255")
    scale = table.number("scale", 1.0)
    if scale <= 0:
        raise table.error("scale", "must be above 0")
    std = table.triple("std")
    if min(std) <= 0:
        raise table.error("std", "must be three numbers above 0")
    return Input(
        name=table.text("name"),
        width=table.count("width", _LARGEST_SIDE),
        height=table.count("height", _LARGEST_SIDE),
        layout=table.choice("layout", get_args(Layout), "nchw"),
        channels=table.choice("channels", get_args(Channels), "rgb"),
        resize=resize,
        interpolation=table.choice("interpolation", get_args(Interpolation)),
        crop=crop,
        fill=(int(fill[0]), int(fill[1]), int(fill[2])),
        scale=scale,
        mean=table.triple("mean"),
        std=std,
    )


def _output(table: "Table") -> Output:
    return Output(
        name=table.text("name"),
        dim=table.count("dim", _LARGEST_DIM),
        pooling=table.choice("pooling", get_args(Pooling), "none"),
        layout=table.choice("layout", get_args(Layout), "nchw"),
    )


def _map(table: "Table") -> PatchMap:
    return PatchMap(name=table.text("name"), layout=table.choice("layout", get_args(Layout)))


def _logits(table: "Table") -> Logits:
    return Logits(name=table.text("name"), classes=table.count("classes", _LARGEST_DIM))


class Table:
    """One table of a card, whose keys are the fields of ``record`` (and ``name`` of a path)."""

    def __init__(self, values: object, path: Path, prefix: str, record: type[Any]) -> None:
        self._path = path
        self._prefix = prefix
        if not isinstance(values, dict):
            raise ModelCardError(f"{path}: {prefix.removesuffix('.')} must be a table")
        self._values: dict[str, object] = values
        known = {field.name for field in fields(record)} - {"path"}
        for key in values:
            if key not in known:
                raise self.error(key, f"is not a key of a card{did_you_mean(key, known)}")

    def __contains__(self, key: str) -> bool:
        return key in self._values

    def table(self, key: str, record: type[Any]) -> "Table":
        return Table(self._get(key), self._path, f"{self._prefix}{key}.", record)

    def text(self, key: str, *, pattern: str | None = None) -> str:
        value = self._get(key)
        if not (isinstance(value, str) and value.strip()):
            raise self.error(key, f"must be text, not {value!r}")
        if pattern is not None and not re.fullmatch(pattern, value):
            raise self.error(key, f"must match {pattern}, which {value!r} does not")
        return value

    def digests(self, key: str) -> tuple[tuple[str, str], ...]:
        value = self._get(key)
        if not isinstance(value, dict):
            raise self.error(key, 'must be a table: "FILE" = "SHA-256"')
        for file, digest in value.items():
            if not (isinstance(digest, str) and re.fullmatch(_SHA256, digest)):
                what = f"of {file!r} must match {_SHA256}, which {digest!r} does not"
                raise self.error(key, what)
        return tuple(sorted(value.items()))

    def texts(self, key: str) -> tuple[str, ...]:
        value = self._get(key)
        if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
            raise self.error(key, f"must be a list of texts, not {value!r}")
        return tuple(value)

    def choice(self, key: str, choices: tuple[_Choice, ...], default: str | None = None) -> _Choice:
        value = self._get(key, default)
        for choice in choices:
            if value == choice:
                return choice
        raise self.error(key, f"must be one of {', '.join(map(repr, choices))}, not {value!r}")

    def count(self, key: str, limit: int) -> int:
        return self.whole(key, 1, limit)

    def whole(self, key: str, least: int, limit: int) -> int:
        value = self._get(key)
        if type(value) is not int or not least <= value <= limit:
            raise self.error(key, f"must be a whole number from {least} to {limit}, not {value!r}")
        return value

    def number(self, key: str, default: float) -> float:
        (number,) = self._numbers(key, [self._get(key, default)], "a number")
        return number

    def triple(self, key: str, default: list[float] | None = None) -> Triple:
        value = self._get(key, default)
        if not isinstance(value, list) or len(value) != len("rgb"):
            raise self.error(key, f"must be three numbers, one a channel, not {value!r}")
        first, second, third = self._numbers(key, value, "three numbers, one a channel")
        return first, second, third

    def error(self, key: str, what: str) -> ModelCardError:
        return ModelCardError(f"{self._path}: {self._prefix}{key} {what}")

    def _numbers(self, key: str, values: list[Any], wanted: str) -> list[float]:
        for value in values:
            if type(value) not in (int, float) or not math.isfinite(value):
                raise self.error(key, f"must be {wanted}, not {value!r}")
        return [float(value) for value in values]

    def _get(self, key: str, default: object = None) -> object:
        value = self._values.get(key, default)
        if value is None:  # TOML has no null, so this is a key that is not there
            raise self.error(key, "is missing")
        return value
