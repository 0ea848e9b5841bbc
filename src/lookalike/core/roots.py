"""The folders that a collection indexes, and which of them a path belongs to."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lookalike.core.records import Json

__all__ = ["Root", "below", "expand_home", "innermost", "read_roots", "roots_json", "with_root"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Root:
    """A folder that a collection indexes; the ids of its items begin with ``name``, if any."""

    name: str
    path: Path


def read_roots(stored: Json) -> list[Root]:
    """Return the roots that the store's setting holds, in the order in which they were added."""
    pairs = stored.items() if isinstance(stored, dict) else ()
    return [Root(name=name, path=Path(path)) for name, path in pairs if isinstance(path, str)]


def roots_json(roots: Sequence[Root]) -> Json:
    """Return roots as the store's setting."""
    return {root.name: str(root.path) for root in roots}


def innermost(roots: Sequence[Root], place: Path) -> Root | None:
    """Return the root that ``place`` (resolved) is or lies in; of several the deepest."""
    around = [root for root in roots if place.is_relative_to(root.path)]
    return max(around, key=lambda root: len(root.path.parts), default=None)


def with_root(roots: Sequence[Root], place: Path) -> list[Root]:
    """Return the roots and, unless it lies in one, one for ``place``. The first has no name."""
    if innermost(roots, place) is not None:
        return list(roots)
    taken = {root.name for root in roots}
    name, number = place.name if roots else "", 2
    while name in taken:
        name, number = f"{place.name}-{number}", number + 1
    return [*roots, Root(name=name, path=place)]


def below(roots: Sequence[Root], root: Root) -> list[str]:
    """Return the paths of the other roots within ``root``, whose files are theirs."""
    return [str(one.path) for one in roots if one != root and one.path.is_relative_to(root.path)]


def expand_home(path: str | os.PathLike[str]) -> Path:
    """Return a path with ``~`` as the home folder; a file called ``~draft.jpg`` keeps its name."""
    return Path(os.path.expanduser(path))  # noqa: PTH111 - a Path's raises for an unknown ~user
