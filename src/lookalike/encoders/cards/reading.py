"""Reading cards."""

import math
import tomllib
from pathlib import Path
from typing import Any, get_args

from lookalike.encoders.cards.presets import find_preset
from lookalike.encoders.cards.records import (
    GEM_P,
    Builder,
    Channels,
    Constant,
    Dtype,
    Input,
    Interpolation,
    Layout,
    Logits,
    ModelCard,
    Origin,
    Output,
    PatchMap,
    Pooling,
    Resize,
    Triple,
    Weights,
)
from lookalike.encoders.cards.tables import SHA256, CardTable
from lookalike.encoders.text.card import TextCard, read_text_card
from lookalike.errors import ModelCardError

__all__ = ["NAME_PATTERN", "read_card"]

NAME_PATTERN = r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}"
"""What the name of an encoder is made of."""

_LARGEST_SIDE = 4096  # pixels of input: far beyond any model, well below a memory problem
_LARGEST_DIM = 2**20
_LARGEST_BATCH = 1024
_MOST_TOKENS = 4096
_MOST_VALUES = 4096  # of a constant: no text that stands for nothing is longer
_LARGEST_P = 100.0
_IDENTITY = {"scale": 1.0, "mean": [0.0, 0.0, 0.0], "std": [1.0, 1.0, 1.0]}


def read_card(path: Path) -> ModelCard:
    """Parse and check a card. Raise ``ModelCardError`` naming the file and the key."""
    try:
        parsed = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ModelCardError(f"{path}: cannot be read: {error.strerror or error}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ModelCardError(f"{path}: not TOML: {error}") from error
    top = CardTable(parsed, path, "", ModelCard)
    name = top.text("name", pattern=NAME_PATTERN)
    return ModelCard(
        name=name,
        title=top.text("title", name),
        licence=top.text("licence", ""),
        source=top.text("source", ""),
        weights=_weights(top.table("weights", Weights)),
        input=_input(top.table("input", Input, more=["size"])),
        output=_output(top.table("output", Output)),
        map=_map(top.table("map", PatchMap)) if "map" in top else None,
        logits=_logits(top.table("logits", Logits)) if "logits" in top else None,
        origin=_origin(top.table("origin", Origin)) if "origin" in top else None,
        inputs=_constants(top) if "inputs" in top else (),
        words=_words(top) if "words" in top else None,
        path=path,
    )


def _words(top: CardTable) -> TextCard:
    table = top.table("words", TextCard)
    if _weights(top.table("weights", Weights)).builder != "onnx" and "file" not in table:
        raise table.error("file", "is missing; only an ONNX file can hold both halves")
    return read_text_card(table)


def _weights(table: CardTable) -> Weights:
    packaged = "package" in table
    if "install" in table and not packaged:
        raise table.error("install", "says how to get a package, but no package is named")
    builder: Builder = table.choice("builder", get_args(Builder), "onnx")
    if "data" in table and builder != "onnx":
        raise table.error("data", 'is only for builder = "onnx"')
    trained = "trained" in table
    if trained and builder != "efficientnet-lite":
        raise table.error("trained", 'is only for builder = "efficientnet-lite"')
    if "trained_sha256" in table and not trained:
        raise table.error("trained_sha256", "is the digest of a file, but trained names none")
    return Weights(
        builder=builder,
        file=table.text("file"),
        sha256=table.text("sha256", pattern=SHA256),
        package=table.text("package", pattern=r"[A-Za-z_][A-Za-z0-9_]*") if packaged else None,
        install=table.text("install") if packaged else None,
        data=table.digests("data") if "data" in table else (),
        trained=table.text("trained") if trained else None,
        trained_sha256=table.text("trained_sha256", pattern=SHA256) if trained else None,
    )


def _origin(table: CardTable) -> Origin:
    return Origin(
        repository=table.text("repository"),
        **{key: table.text(key) if key in table else None for key in ("revision", "file", "terms")},
    )


def _input(table: CardTable) -> Input:
    preset = table.text("preset") if "preset" in table else None
    base = _preset_keys(table, preset)
    dtype: Dtype = table.choice("dtype", get_args(Dtype), "float32")
    if dtype == "uint8":
        for key in _IDENTITY:
            if key in table:
                raise table.error(key, 'is not for dtype = "uint8": the model gets plain pixels')
        base |= _IDENTITY
    resize: Resize = table.choice("resize", get_args(Resize), base.get("resize"))
    crop, fill = _around(table, resize, base.get("crop", 1.0))
    width, height = _size(table, base.get("size"))
    return Input(
        name=table.text("name"),
        width=width,
        height=height,
        layout=table.choice("layout", get_args(Layout), base.get("layout", "nchw")),
        channels=table.choice("channels", get_args(Channels), base.get("channels", "rgb")),
        resize=resize,
        interpolation=table.choice(
            "interpolation", get_args(Interpolation), base.get("interpolation")
        ),
        crop=crop,
        fill=fill,
        scale=table.positive("scale", base.get("scale", 1.0)),
        mean=table.triple("mean", base.get("mean")),
        std=_std(table, base.get("std")),
        dtype=dtype,
        max_batch=table.count("max_batch", _LARGEST_BATCH) if "max_batch" in table else None,
        preset=preset,
    )


def _preset_keys(table: CardTable, preset: str | None) -> dict[str, Any]:
    if preset is None:
        return {}
    try:
        return dict(find_preset(preset).keys)
    except ModelCardError as error:
        raise table.error("preset", str(error)) from error


def _around(table: CardTable, resize: Resize, default: float) -> tuple[float, tuple[int, int, int]]:
    """Return the part that "crop" keeps, and the colour with which "pad" surrounds."""
    for key, mode in (("crop", "crop"), ("fill", "pad")):
        if key in table and resize != mode:
            raise table.error(key, f'is only for resize = "{mode}"')
    crop = table.number("crop", default if resize == "crop" else 1.0)
    if not 0 < crop <= 1:
        raise table.error("crop", f"must be above 0 and at most 1, not {crop}")
    red, green, blue = table.triple("fill", [0, 0, 0])
    if not {red, green, blue} <= set(range(256)):
        raise table.error("fill", "must be three whole numbers from 0 to 255")
    return crop, (int(red), int(green), int(blue))


def _std(table: CardTable, default: list[float] | None) -> Triple:
    std = table.triple("std", default)
    if min(std) <= 0:
        raise table.error("std", "must be three numbers above 0")
    return std


def _size(table: CardTable, default: int | None) -> tuple[int, int]:
    """Return width and height, which ``size`` may give together."""
    if "size" in table:
        for key in ("width", "height"):
            if key in table:
                raise table.error(key, "is given by input.size already; remove one of them")
        side = table.count("size", _LARGEST_SIDE)
        return side, side
    return (
        table.count("width", _LARGEST_SIDE, default),
        table.count("height", _LARGEST_SIDE, default),
    )


def _output(table: CardTable) -> Output:
    pooling: Pooling = table.choice("pooling", get_args(Pooling), "none", older={"avg": "mean"})
    if "gem_p" in table and pooling != "gem":
        raise table.error("gem_p", 'is only for pooling = "gem"')
    gem_p = table.positive("gem_p", GEM_P)
    if gem_p > _LARGEST_P:
        raise table.error("gem_p", f"must be at most {_LARGEST_P:.0f}, not {gem_p}")
    if "prefix_tokens" in table and pooling in {"none", "cls"}:
        raise table.error("prefix_tokens", f'is not for pooling = "{pooling}"')
    return Output(
        name=table.text("name"),
        dim=table.count("dim", _LARGEST_DIM),
        pooling=pooling,
        layout=table.choice("layout", get_args(Layout), "nchw"),
        gem_p=gem_p,
        prefix_tokens=table.whole("prefix_tokens", 0, _MOST_TOKENS, int(pooling == "mean_tokens")),
    )


def _map(table: CardTable) -> PatchMap:
    return PatchMap(name=table.text("name"), layout=table.choice("layout", get_args(Layout)))


def _logits(table: CardTable) -> Logits:
    return Logits(name=table.text("name"), classes=table.count("classes", _LARGEST_DIM))


def _constants(top: CardTable) -> tuple[Constant, ...]:
    found = []
    for name, given in sorted(top.free("inputs").items()):
        keys = given if isinstance(given, dict) else {"value": given}
        if not {"value"} <= set(keys) <= {"value", "shape"}:
            raise top.error("inputs", f"of {name!r} must be a value, or {{ value, shape }}")
        values = keys["value"] if isinstance(keys["value"], list) else [keys["value"]]
        if not 0 < len(values) <= _MOST_VALUES or not all(map(_is_number, values)):
            raise top.error(
                "inputs",
                f"of {name!r} must be a number or a list of numbers, not {keys['value']!r}",
            )
        shape = keys.get("shape")
        if shape is not None and not (
            isinstance(shape, list)
            and all(type(axis) is int and 0 < axis <= _LARGEST_DIM for axis in shape)
            and math.prod(shape) <= _LARGEST_DIM
            and len(values) in {1, math.prod(shape)}
        ):
            raise top.error(
                "inputs",
                f"of {name!r}: its shape must be a list of whole numbers that fits its values, "
                f"not {shape!r}",
            )
        found.append(
            Constant(
                name=name,
                values=tuple(map(float, values)),
                shape=None if shape is None else tuple(shape),
            )
        )
    return tuple(found)


def _is_number(value: object) -> bool:
    return isinstance(value, bool | int | float) and math.isfinite(value)
