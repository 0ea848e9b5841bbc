"""Tables with a line a picture: CSV, TSV and JSON lines."""

import csv
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TextIO

from lookalike.errors import SourceError
from lookalike.records import Entry, Json, Skipped
from lookalike.scan import stamp_of

__all__ = ["SUFFIXES", "Columns", "Table", "csv_value"]

SUFFIXES = frozenset({".csv", ".tsv", ".jsonl", ".ndjson"})

# What a column is for when nobody says: the first of these names that the table has.
_USUAL = {
    "file": ("file", "path", "image", "picture", "filename", "file_name", "image_path"),
    "id": ("id", "image_id", "sku"),
    "label": ("label", "category", "class"),
    "group": ("group", "product_id", "product", "item_id"),
}
_NUMBER = re.compile(r"-?(0|[1-9]\d{0,14})(\.\d{1,10})?")
_LARGEST_FIELD = 1_000_000  # characters; the csv module's own limit is 131,072

Columns = Mapping[str, str | None]


class Table:
    """A table of pictures.

    ``columns`` says which column is the ``file`` (a path below ``pictures``, by default the
    table's folder), the ``id`` (by default the file), the ``label`` and the ``group``; the usual
    names are found by themselves. All other columns are metadata. In CSV and TSV a value that
    reads as a plain number is one (``007`` is not), and an empty one is missing.
    """

    format = "table"

    def __init__(
        self, path: Path, *, pictures: Path | None = None, columns: Columns | None = None
    ) -> None:
        self.path = path
        self.root = path.parent if pictures is None else pictures
        self._wanted = dict(columns or {})

    def entries(self) -> Iterator[Entry | Skipped]:
        rows = self._json_rows() if self.path.suffix.lower() in (".jsonl", ".ndjson") else None
        columns: dict[str, str | None] | None = None
        for line, row in rows if rows is not None else self._csv_rows():
            if isinstance(row, str):
                yield Skipped(path=f"{self.path.name}:{line}", reason=row)
                continue
            if columns is None:
                columns = self._columns(list(row))
            yield self._entry(line, row, columns)

    def _entry(
        self, line: int, row: Mapping[str, Json], columns: Mapping[str, str | None]
    ) -> Entry | Skipped:
        where = f"{self.path.name}:{line}"
        file = _text(row.get(columns["file"] or ""))
        if not file:
            return Skipped(path=where, reason=f"no file in column {columns['file']!r}")
        if "://" in file:
            return Skipped(path=where, reason="its picture is a URL; download it first")
        place = self.root / file
        try:
            inside = place.resolve().relative_to(self.root.resolve()).as_posix()
        except (ValueError, OSError):
            return Skipped(path=where, reason=f"{file} lies outside {self.root}")
        used = {name for name in columns.values() if name}
        return Entry(
            id=_text(row.get(columns["id"] or "")) or inside,
            picture=place,
            path=inside,
            stamp=stamp_of(place),
            label=_text(row.get(columns["label"] or "")) or None,
            group=_text(row.get(columns["group"] or "")) or None,
            metadata={
                name: value for name, value in row.items() if name not in used and value is not None
            },
        )

    def _columns(self, names: list[str]) -> dict[str, str | None]:
        found: dict[str, str | None] = {}
        for use, usual in _USUAL.items():
            wanted = self._wanted.get(use)
            if wanted is not None and wanted not in names:
                raise SourceError(
                    f"{self.path} has no column {wanted!r}; it has {', '.join(names)}"
                )
            found[use] = wanted or next((name for name in usual if name in names), None)
        if found["file"] is None:
            raise SourceError(
                f"{self.path}: which column names the picture's file? It has {', '.join(names)}; "
                "say it with --file-column"
            )
        return found

    def _csv_rows(self) -> Iterator[tuple[int, dict[str, Json] | str]]:
        csv.field_size_limit(_LARGEST_FIELD)
        delimiter = "\t" if self.path.suffix.lower() == ".tsv" else ","
        with _opened(self.path) as file:
            reader = csv.reader(file, delimiter=delimiter)
            header: list[str] | None = None
            while True:
                try:
                    row = next(reader)
                except StopIteration:
                    return
                except csv.Error as error:
                    yield reader.line_num, f"not a line of the table: {error}"
                    continue
                except UnicodeDecodeError as error:
                    raise _not_utf8(self.path, reader.line_num + 1, error) from error
                if header is None:
                    header = [name.strip() for name in row]
                    while header and not header[-1]:
                        header.pop()
                elif any(row):
                    extra = any(row[len(header) :])
                    if extra or len(row) < len(header):
                        yield (
                            reader.line_num,
                            f"{len(row)} values for {len(header)} columns; is a comma unquoted?",
                        )
                        continue
                    yield (
                        reader.line_num,
                        {name: csv_value(text) for name, text in zip(header, row, strict=False)},
                    )

    def _json_rows(self) -> Iterator[tuple[int, dict[str, Json] | str]]:
        number = 0
        with _opened(self.path) as file:
            while True:
                number += 1
                try:
                    line = file.readline()
                except UnicodeDecodeError as error:
                    raise _not_utf8(self.path, number, error) from error
                if not line:
                    return
                if not line.strip():
                    continue
                try:
                    row = json.loads(line)
                except ValueError as error:
                    yield number, f"not JSON: {error}"
                    continue
                yield number, row if isinstance(row, dict) else "not a JSON object"


def csv_value(text: str) -> Json:
    """A CSV field: a number if it reads as a plain one, ``None`` if it is empty, else text."""
    text = text.strip()
    if not text:
        return None
    if _NUMBER.fullmatch(text):
        return float(text) if "." in text else int(text)
    return text


def _opened(path: Path) -> TextIO:
    try:
        return path.open(encoding="utf-8-sig", newline="")
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {error.strerror}") from error


def _not_utf8(path: Path, line: int, error: UnicodeDecodeError) -> SourceError:
    return SourceError(
        f"{path}, about line {line}: byte {error.object[error.start]:#x} is not UTF-8; save the "
        "table as UTF-8"
    )


def _text(value: Json) -> str:
    return "" if value is None else str(value)
