"""The folders that a collection indexes, and which of them a place belongs to. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lookalike.core.records import Json

__all__ = ["Root", "below", "innermost", "read_roots", "roots_json", "with_root"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Root:
    """A folder that a collection indexes. ``name`` begins the ids of its items, if not empty."""

    name: str
    path: Path


def read_roots(stored: Json) -> list[Root]:
    """Roots from the store's setting, first come first."""
    pairs = stored.items() if isinstance(stored, dict) else ()
    return [Root(name=name, path=Path(path)) for name, path in pairs if isinstance(path, str)]


def roots_json(roots: Sequence[Root]) -> Json:
    """Roots as the store's setting."""
    return {root.name: str(root.path) for root in roots}


def innermost(roots: Sequence[Root], place: Path) -> Root | None:
    """The root that ``place`` (resolved) is or lies in; of several the deepest."""
    around = [root for root in roots if place.is_relative_to(root.path)]
    return max(around, key=lambda root: len(root.path.parts), default=None)


def with_root(roots: Sequence[Root], place: Path) -> list[Root]:
    """``roots`` and one for ``place``, if none is around it. The first has no name."""
    if innermost(roots, place) is not None:
        return list(roots)
    taken = {root.name for root in roots}
    name, number = place.name if roots else "", 2
    while name in taken:
        name, number = f"{place.name}-{number}", number + 1
    return [*roots, Root(name=name, path=place)]


def below(roots: Sequence[Root], root: Root) -> list[str]:
    """Paths of the other roots within ``root``: what is in them is theirs."""
    return [str(one.path) for one in roots if one != root and one.path.is_relative_to(root.path)]
