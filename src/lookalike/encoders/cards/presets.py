"""Presets: how families of models want their images, by name, as data (``presets.toml``)."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from lookalike.core.suggestions import did_you_mean
from lookalike.errors import ModelCardError

__all__ = ["Preset", "find_preset", "presets"]

_FILE = Path(__file__).with_name("presets.toml")


@dataclass(frozen=True, slots=True, kw_only=True)
class Preset:
    """Values of keys of a card's table ``[input]`` for one family of models.

    ``size`` among ``keys`` is width and height. ``about`` says which models it is for.
    """

    name: str
    aliases: tuple[str, ...]
    about: str
    keys: Mapping[str, Any]


@cache
def presets() -> Mapping[str, Preset]:
    """Return the presets by name, without aliases."""
    found = {}
    for name, table in tomllib.loads(_FILE.read_text(encoding="utf-8")).items():
        aliases, about = tuple(table.pop("aliases", ())), table.pop("about")
        found[name] = Preset(name=name, aliases=aliases, about=about, keys=table)
    return found


def find_preset(name: str) -> Preset:
    """Return a preset by name or alias. Raise ``ModelCardError`` for an unknown one."""
    known = {alias: one for one in presets().values() for alias in (one.name, *one.aliases)}
    if name not in known:
        raise ModelCardError(
            f"{name!r} is unknown; there are {', '.join(sorted(known))}{did_you_mean(name, known)}"
        )
    return known[name]
