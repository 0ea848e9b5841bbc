"""The curated list: encoders on a hub that are known well enough to be pulled by a name.

Each is a file in ``encoders/curated``: a card without weights, and where the weights are. A digest
or revision stands there only where it could be read somewhere; else the first pull decides, and
its card is checked ever after (docs/decisions, trust on first use).
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

__all__ = ["CuratedEncoder", "CuratedWords", "curated_encoder", "curated_encoders"]

_FOLDER = Path(__file__).parents[1] / "curated"


@dataclass(frozen=True, slots=True, kw_only=True)
class CuratedWords:
    """The text side of an encoder: its files in the same repository, and keys of the card."""

    graph: str
    tokenizer: str
    megabytes: float
    keys: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class CuratedEncoder:
    """An encoder that can be pulled.

    ``graph`` and ``data`` are paths in ``repository``, and ``sha256`` the digests that are known
    of them. ``timm`` is set instead where nobody keeps a graph: a model of timm, to be exported.
    ``terms`` say how the licence restricts use; it must then be accepted. ``keys`` are the tables
    of the card as far as they are known without the graph.
    """

    name: str
    title: str
    licence: str
    source: str
    good_for: str
    facts: str
    megabytes: float
    terms: str | None = None
    licence_file: str | None = None
    repository: str = ""
    revision: str | None = None
    graph: str = ""
    data: tuple[str, ...] = ()
    sha256: Mapping[str, str] = field(default_factory=dict)
    timm: str | None = None
    keys: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    words: CuratedWords | None = None

    @property
    def dim(self) -> int | None:
        dim = self.keys.get("output", {}).get("dim")
        return dim if isinstance(dim, int) else None


@cache
def curated_encoders() -> Mapping[str, CuratedEncoder]:
    """Return the curated encoders by name, sorted."""
    found = [_read(path) for path in sorted(_FOLDER.glob("*.toml"))]
    return MappingProxyType({one.name: one for one in found})


def curated_encoder(name: str) -> CuratedEncoder | None:
    """Return the curated encoder of that name, ``None`` if there is none."""
    return curated_encoders().get(name)


def _read(path: Path) -> CuratedEncoder:
    parsed = tomllib.loads(path.read_text(encoding="utf-8"))
    place: dict[str, Any] = parsed.pop("hub", {})
    timm: dict[str, Any] = parsed.pop("timm", {})
    words: dict[str, Any] | None = parsed.pop("words", None)
    keys = {name: parsed.pop(name) for name in list(parsed) if isinstance(parsed[name], dict)}
    place["data"] = tuple(place.get("data", ()))
    return CuratedEncoder(
        **parsed,
        **(place if not timm else {}),
        **({"timm": timm["model"], "megabytes": timm["megabytes"]} if timm else {}),
        keys=keys,
        words=_words(words) if words is not None else None,
    )


def _words(table: dict[str, Any]) -> CuratedWords:
    places = {key: table.pop(key) for key in ("graph", "tokenizer", "megabytes")}
    return CuratedWords(**places, keys=table)
