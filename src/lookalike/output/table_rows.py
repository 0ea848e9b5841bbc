"""Convert items to rows of a table: columns, and the kinds of values in each column."""

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TypeAlias

from lookalike.collection import Collection
from lookalike.core.progress import Progress, ProgressCallback
from lookalike.core.records import Item, Json

__all__ = [
    "BATCH",
    "COLUMNS",
    "FACTS",
    "VECTOR_COLUMN",
    "FilePlaces",
    "Row",
    "arrow_type_of",
    "column",
    "kind_of",
    "make_row",
    "spool_rows",
]

COLUMNS = ("id", "file", "label", "group")  # what `lookalike index` takes for an item's own
FACTS = ("path", "width", "height", "digest")
VECTOR_COLUMN = "vector"
BATCH = 4096  # rows at a time, and in a row group: 20 MB of vectors of 1,280 numbers
_PREFIX = "metadata."
_EXACT_FLOAT = 2**53  # up to here a float64 holds every whole number
_INT64 = 2**63

Row: TypeAlias = dict[str, Json]  # a column that an item has no value for may be missing


@dataclass(frozen=True, slots=True)
class FilePlaces:
    """The deepest folder that contains all roots, and each root's place below it.

    With one root, that is the root: ``file`` in the table is then the item's path.
    """

    folder: Path | None
    below: Mapping[str, str]
    roots: Mapping[str, Path]

    @classmethod
    def of(cls, collection: Collection) -> "FilePlaces":
        roots = {root.name: root.path for root in collection.roots()}
        try:
            folder = Path(os.path.commonpath(roots.values())) if roots else None
        except ValueError:  # two drives of Windows: no folder holds both
            folder = None
        if folder is None:
            return cls(None, {}, roots)
        below = {
            name: "" if path == folder else f"{path.relative_to(folder).as_posix()}/"
            for name, path in roots.items()
        }
        return cls(folder, below, roots)


def make_row(item: Item, places: FilePlaces, own: Sequence[str], *, facts: bool) -> Row:
    row: Row = {
        "id": item.id,
        "file": places.below.get(item.root, "") + item.path if item.path else None,
        "label": item.label,
        "group": item.group,
    }
    if facts:
        root = places.roots.get(item.root)
        row["path"] = str(root / item.path) if item.path and root is not None else None
        row |= {"width": item.width, "height": item.height, "digest": item.digest}
    for name, value in item.metadata.items():
        row[column(name, own)] = value
    return row


def column(name: str, own: Sequence[str] = COLUMNS) -> str:
    """Return the column of a metadata field: its name, unless that is a reserved column."""
    return f"{_PREFIX}{name}" if name in own or not name or name.startswith(_PREFIX) else name


def spool_rows(
    rows: Iterable[Row],
    spool: IO[str],
    kinds: dict[str, set[str]],
    progress: ProgressCallback | None,
    total: int,
) -> None:
    """Write rows to a temporary file, and collect the kinds of each column's values."""
    done = 0
    for done, row in enumerate(rows, 1):
        for name, value in row.items():
            kinds.setdefault(name, set()).add(kind_of(value))
        spool.write(json.dumps(row, ensure_ascii=False) + "\n")
        if progress is not None and done % BATCH == 0:
            progress(Progress(done=done, total=total, stage="read"))
    spool.seek(0)


def kind_of(value: Json) -> str:  # noqa: PLR0911 - a kind each
    match value:
        case None:
            return "null"
        case bool():
            return "bool"
        case int():
            if abs(value) <= _EXACT_FLOAT:
                return "int"
            return "large" if -_INT64 <= value < _INT64 else "huge"
        case float():
            return "float"
        case str():
            return "text"
    return "nested"


def arrow_type_of(kinds: set[str]) -> str:
    """Return the Arrow type of a column with such values, or ``json`` for text."""
    some = kinds - {"null"}
    if some <= {"text"}:
        return "string"
    if some == {"bool"}:
        return "bool_"
    if some <= {"int", "large"}:
        return "int64"
    return "float64" if some <= {"int", "float"} else "json"
