"""Writing cards."""

import json
import re
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from lookalike.encoders.cards.records import Constant, ModelCard

__all__ = ["card_text", "toml_text"]

_TABLES = ("weights", "input", "output", "map", "logits", "words", "origin")
# Keys that a card always has, whatever their defaults: these matter.
_ALWAYS = {"input.layout", "input.channels", "output.pooling"}
_DEFAULTS: Mapping[str, object] = {"input.crop": 1.0, "input.fill": (0, 0, 0), "input.scale": 1.0}


def card_text(
    card: ModelCard, *, comment: str = "", more: Mapping[str, Mapping[str, Any]] | None = None
) -> str:
    """Return a card as TOML that reads back as the same card; its file goes without saying.

    Keys that have their default are left out. ``comment`` stands above, each line after a ``#``;
    ``more`` are further tables. A preset is written out, so the card stays what it is whatever
    becomes of the preset.
    """
    top = {key: getattr(card, key) for key in ("name", "title", "licence", "source")}
    if card.title == card.name:
        del top["title"]
    values: dict[str, Any] = {key: value for key, value in top.items() if value}
    for name in _TABLES:
        record = getattr(card, name)
        if record is not None:
            values[name] = _record(record, name)
    if card.output.pooling in {"none", "cls"}:
        values["output"].pop("prefix_tokens", None)
    elif card.output.pooling == "mean_tokens":
        values["output"]["prefix_tokens"] = card.output.prefix_tokens
    if card.input.dtype == "uint8":  # of plain pixels
        for key in ("scale", "mean", "std"):
            values["input"].pop(key, None)
    if card.inputs:
        values["inputs"] = {one.name: _constant(one) for one in card.inputs}
    return toml_text(values | dict(more or {}), comment=comment)


def toml_text(values: Mapping[str, Any], *, comment: str = "") -> str:
    """Return text, numbers, lists and tables as TOML; keys whose value is ``None`` are left out."""
    lines = [f"# {line}".rstrip() for line in comment.splitlines()]
    lines += _lines(values, ())
    return "\n".join(lines).lstrip("\n") + "\n"


def _record(record: object, name: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for field in fields(record):  # type: ignore[arg-type] # all of them are dataclasses
        place = f"{name}.{field.name}"
        value = getattr(record, field.name)
        default = _DEFAULTS.get(place, field.default)
        if place != "input.preset" and (place in _ALWAYS or value != default):
            found[field.name] = dict(value) if field.name == "data" else value
    return found


def _constant(one: Constant) -> object:
    numbers = [int(value) if value.is_integer() else value for value in one.values]
    value = numbers[0] if len(numbers) == 1 else numbers
    return value if one.shape is None else {"value": value, "shape": list(one.shape)}


def _lines(values: Mapping[str, Any], above: tuple[str, ...]) -> list[str]:
    """The table's own keys first, then its tables, as TOML wants it."""
    given = {key: value for key, value in values.items() if value is not None}
    plain = {key: value for key, value in given.items() if not isinstance(value, Mapping)}
    lines = [f"{_key(key)} = {_value(value)}" for key, value in plain.items()]
    for key, table in given.items():
        if isinstance(table, Mapping):
            path = (*above, key)
            lines += ["", f"[{'.'.join(map(_key, path))}]", *_lines(table, path)]
    return lines


def _key(key: str) -> str:
    return key if re.fullmatch("[A-Za-z0-9_-]+", key) else _value(key)


def _value(value: object) -> str:
    if isinstance(value, str):
        # A basic string of TOML has JSON's escapes, but for DEL, which only TOML wants escaped.
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_value, value))}]"
    return repr(value)
