"""Choose which columns of a table hold the image, id, label and group."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from lookalike.errors import SourceError

__all__ = ["ChosenColumns", "Columns", "choose_columns", "join_names"]

Columns: TypeAlias = Mapping[str, str | Sequence[str] | None]
"""Field → column, or several columns for ``file`` and ``url``."""

# Default columns: the first of these names that the table has.
_USUAL = {
    "file": ("file", "path", "image", "picture", "filename", "file_name", "image_path"),
    "url": ("url", "image_url", "picture_url", "imageurl", "link"),
    "id": ("id", "image_id", "sku"),
    "label": ("label", "category", "class"),
    "group": ("group", "product_id", "product", "item_id"),
}
_SEVERAL = ("file", "url")  # fields that may have several columns
_NUMBERED = re.compile(r"(.*?)[ _-]?0*(\d{1,2})")


@dataclass(frozen=True, slots=True, kw_only=True)
class ChosenColumns:
    """The columns of each field. A table has ``file`` or ``url`` columns, or both."""

    file: tuple[str, ...]
    url: tuple[str, ...]
    id: str | None
    label: str | None
    group: str | None

    def used(self) -> dict[str, tuple[str, ...]]:
        """Return field → its columns, for the fields that have one."""
        found = {
            "file": self.file,
            "url": self.url,
            **{use: (name,) for use in ("id", "label", "group") if (name := getattr(self, use))},
        }
        return {use: names for use, names in found.items() if names}

    def names(self) -> frozenset[str]:
        """Return the columns that are used for a field; the others are metadata."""
        return frozenset(name for names in self.used().values() for name in names)


def choose_columns(path: Path, names: Sequence[str], wanted: Columns) -> ChosenColumns:
    """Return the columns of each field: those that are ``wanted``, else those of a usual name.

    Columns of one usual name with numbers (``image_1``, ``image_2``) all hold images. Raise
    ``SourceError`` if a wanted column does not exist, or none holds images.
    """
    found = {use: _find(path, names, use, wanted.get(use)) for use in _USUAL}
    if found["file"] and not wanted.get("url"):
        found["url"] = ()  # local files come first; the URL is then metadata
    elif not found["file"] and not found["url"]:
        raise SourceError(
            f"{path}: which column names the image's file? It has {join_names(names)}; "
            "name it with --file-column, or --url-column for images to be downloaded"
        )
    one = {use: next(iter(found[use]), None) for use in ("id", "label", "group")}
    return ChosenColumns(file=found["file"], url=found["url"], **one)


def join_names(names: Iterable[str]) -> str:
    """Return the names of columns for a message; the first forty of many."""
    names = [*names]
    return ", ".join(names[:40]) + (", …" if len(names) > 40 else "")  # noqa: PLR2004 - a screen


def _find(
    path: Path, names: Sequence[str], use: str, wanted: str | Sequence[str] | None
) -> tuple[str, ...]:
    if wanted:
        given = (wanted,) if isinstance(wanted, str) else tuple(wanted)
        if len(given) > 1 and use not in _SEVERAL:
            raise SourceError(f"{path}: {use} can be in one column only, not {join_names(given)}")
        for name in given:
            if name not in names:
                raise SourceError(f"{path} has no column {name!r}; it has {join_names(names)}")
        return given
    lower = {name.lower(): name for name in reversed(names)}
    first = next((one for one in _USUAL[use] if one in lower), None)
    if use not in _SEVERAL:
        return () if first is None else (lower[first],)
    numbered: dict[str, list[tuple[int, str]]] = {}
    for name in names:
        if (parts := _NUMBERED.fullmatch(name.lower())) is not None:
            numbered.setdefault(parts[1], []).append((int(parts[2]), name))
    if first is None:
        first = next((one for one in _USUAL[use] if one in numbered), None)
    if first is None:
        return ()
    own = [lower[first]] if first in lower else []
    return (*own, *(name for _, name in sorted(numbered.get(first, []))))
