"""Read tables with one line per image."""

import re
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import chain
from pathlib import Path, PurePath
from typing import TypeAlias

from lookalike import images
from lookalike.core.records import Damaged, Entry, Json, Remote, Skipped, Stamp
from lookalike.sources.catalogues.columns import (
    ChosenColumns,
    Columns,
    choose_columns,
    join_names,
)
from lookalike.sources.catalogues.delimited import swallows_a_row
from lookalike.sources.catalogues.image_paths import ImageFinder
from lookalike.sources.catalogues.rows import (
    SUFFIXES,
    TableRow,
    Value,
    read_rows,
)
from lookalike.sources.catalogues.table_preview import ColumnReport, report_columns
from lookalike.sources.catalogues.table_types import TableTypes

__all__ = ["SUFFIXES", "Columns", "Table"]

_HEAD = 100  # rows that are looked at first
_MOST_HEAD = 10_000  # lines, if few of them are rows

_SWALLOWED = "a value that begins in this line holds other lines; is a quote left open?"
_STRAY = "a quote stands in the middle of a value that is not quoted"
_LINE_END = re.compile("[\r\n]")

# Addresses in one value stand apart like this; a comma or semicolon may be part of one.
_BETWEEN_URLS = re.compile(r"[\s|,;]+(?=(?:https?|s3a?|gc?s)://)")
_Image: TypeAlias = tuple[Path | bytes | Remote, str, Stamp | None]
"""An image, its path below the root if it is a file, and the file's stamp."""


class Table:
    """A table of images: CSV, TSV, JSON lines or Parquet.

    ``columns`` names the column of the ``file`` (a path below ``root``, by default the table's
    folder), the ``url`` (instead of a file: it must be downloaded first), the ``id`` (by default
    the file or URL), the ``label`` and the ``group``; usual names are found automatically, in any
    case. All other columns are metadata. In CSV and TSV, a column is of one type: number, date or
    text, and an empty field is missing. ``column_types`` names the type of columns
    (``value_types.TYPES``), ``decimal`` what numbers have: ``comma`` or ``point``. A Parquet file
    may hold the images themselves in its file column, as bytes or as ``{bytes, path}``.
    """

    format = "table"

    def __init__(
        self,
        path: Path,
        *,
        root: Path | None = None,
        columns: Columns | None = None,
        encoding: str | None = None,
        column_types: Mapping[str, str] | None = None,
        decimal: str | None = None,
    ) -> None:
        self.path = path
        self.root = path.parent if root is None else root
        self._finder = ImageFinder(self.root)
        self._wanted = dict(columns or {})
        self._encoding = encoding
        self._types = TableTypes(
            path, encoding=encoding, wanted=column_types or {}, decimal=decimal
        )

    def columns(self) -> dict[str, str]:
        """Return the column, or columns, of each field that has one, from the first rows.

        Return nothing for a table without rows. Raise ``SourceError`` as ``entries`` does.
        """
        _, columns, _ = self._begin()
        used = columns.used() if columns is not None else {}
        return {use: join_names(names) for use, names in used.items()}

    def preview(self) -> tuple[ColumnReport, ...]:
        """Return what each column is used for, of what type it is, and examples.

        A CSV file is read to its end for that. Raise ``SourceError`` as ``entries`` does.
        """
        head, columns, _ = self._begin()
        if columns is None:
            return ()
        deque(self._types.find(columns.names()), maxlen=0)
        rows = [row.values for row in head if row is not None and not isinstance(row.values, str)]
        return report_columns(rows, columns, self._types)

    def _begin(
        self,
    ) -> tuple[list[TableRow | None], ChosenColumns | None, Iterator[TableRow | None]]:
        """Return the first rows, the columns that they have, and the rows after them.

        Objects of JSON need not all have the same keys, so several rows are looked at.
        """
        rows = read_rows(self.path, encoding=self._encoding)
        head: list[TableRow | None] = []
        names: dict[str, None] = {}
        readable = 0
        for row in rows:
            head.append(row)
            if row is not None and not isinstance(row.values, str):
                readable += 1
                names |= dict.fromkeys(row.values)
                if readable == _HEAD or any(map(_is_image, row.values.values())):
                    break
            if len(head) == _MOST_HEAD:
                break
        if not readable:
            return head, None, rows
        self._types.check(names)
        return head, choose_columns(self.path, [*names], self._wanted), rows

    @property
    def notes(self) -> tuple[str, ...]:
        """What was done in the last reading but may be a slip, as sentences."""
        found = self._finder
        notes = self._types.notes()
        if found.respelled:
            name, path = found.example
            many = "1 file was" if found.respelled == 1 else f"{found.respelled:,} files were"
            notes.append(f"{many} found by another spelling, such as {name!r}: {path}")
        return tuple(notes)

    def entries(self) -> Iterator[Entry | Skipped | None]:
        self._finder.respelled = 0
        self._types.forget_notes()
        head, columns, rest = self._begin()
        if columns is not None:
            yield from self._types.find(columns.names())
        for row in chain(head, rest):
            if row is None:
                yield None
                continue
            where = f"{self.path.name}:{row.line}"
            if isinstance(row.values, str):
                kind = Damaged if row.damaged else Skipped
                yield kind(path=where, reason=row.values)
                continue
            if columns is None:  # after very many lines that cannot be read
                columns = choose_columns(self.path, [*row.values], self._wanted)
            if row.only_header:
                return
            if row.cells and _swallows_rows(row, row.values, columns):
                yield Damaged(path=where, reason=_SWALLOWED)
                continue
            names = [*columns.file, *columns.url, *([columns.id] if columns.id else [])]
            if row.stray and any('"' in str(row.values.get(name)) for name in names):
                yield Skipped(path=where, reason=_STRAY)
                continue
            ones = self._parse_row(where, row.values, columns)
            yield from ones if row.ended else map(_unended, ones)

    def _parse_row(
        self, where: str, row: Mapping[str, Value], columns: ChosenColumns
    ) -> Iterator[Entry | Skipped]:
        """Yield an entry for each image of a row, in one group if there are several.

        The first has the row's id; the others have a number after it, so that an id stays when an
        image is added.
        """
        try:
            named = {
                use: _to_text(use, row.get(name)) if (name := getattr(columns, use)) else ""
                for use in ("id", "label", "group")
            }
            found, wrong = self._read_images(row, columns)
        except ValueError as error:
            yield Skipped(path=where, reason=str(error))
            return
        for reason in wrong:
            yield Skipped(path=where, reason=reason)
        metadata = self._metadata(row, columns.names(), where)
        owns = [
            path or (image.urls[0] if isinstance(image, Remote) else "") for image, path, _ in found
        ]
        one_of = named["group"] or (named["id"] or owns[0] or where if len(found) > 1 else "")
        for number, ((image, path, stamp), own) in enumerate(zip(found, owns, strict=True), 1):
            first = named["id"] or (where if not own else "")
            yield Entry(
                id=own if not first else first if number == 1 else f"{first}#{number}",
                image=image,
                path=path,
                stamp=stamp,
                label=named["label"] or None,
                group=one_of or None,
                metadata=metadata,
                line=where,
            )

    def _read_images(
        self, row: Mapping[str, Value], columns: ChosenColumns
    ) -> tuple[list[_Image], list[str]]:
        """Return the images of a row, and why others cannot be used.

        Raise ``ValueError`` with the reason if there is none.
        """
        found: list[_Image] = []
        wrong: list[str] = []
        for name in columns.url:
            found += [(Remote((one,)), "", None) for one in _split_urls(row.get(name))]
        if not found:
            for value in chain.from_iterable(map(self._split_files, map(row.get, columns.file))):
                try:
                    found.append(self._read_image(value))
                except ValueError as error:
                    wrong.append(str(error))
        if not found:
            name = (*columns.url, *columns.file)[0]
            raise ValueError("; ".join(wrong) or f"no image in column {name!r}")
        unique = {
            path or (image if isinstance(image, Remote) else n): (image, path, stamp)
            for n, (image, path, stamp) in enumerate(found)
        }
        return list(unique.values()), wrong

    def _split_files(self, value: Value) -> list[bytes | str]:
        """Return what a value names: one file or several, or the bytes of images."""
        if isinstance(value, dict):  # as in Hugging Face's data sets
            value = value.get("bytes") or value.get("path")
        if isinstance(value, list | tuple):
            return [one for part in value for one in self._split_files(part)]
        if isinstance(value, bytes):
            return [value]
        return self._split_names(value) if isinstance(value, str) and value.strip() else []

    def _split_names(self, text: str) -> list[bytes | str]:
        if _is_url(text):
            return [*_split_urls(text)]
        if self._finder.exists(text):
            return [text]
        for separator in "|;,":
            parts = [part for part in text.split(separator) if part.strip()]
            # A bar is in few names; the others are only taken between what looks like names.
            if len(parts) > 1 and (separator == "|" or all(map(_has_image_suffix, parts))):
                return [*parts]
        return [text]

    def _read_image(self, value: bytes | str) -> _Image:
        """Return one image. Raise ``ValueError`` with the reason."""
        if isinstance(value, bytes):
            return value, "", None
        if _is_url(value):
            return Remote((value.strip(),)), "", None
        found = self._finder.find(value)
        return found.place, found.path, found.stamp

    def _metadata(
        self, row: Mapping[str, Value], used: frozenset[str], where: str
    ) -> dict[str, Json]:
        convert = self._types.convert
        values = {
            name: convert(name, value, where) for name, value in row.items() if name not in used
        }
        return {name: value for name, value in values.items() if value is not None}


def _is_image(value: Value) -> bool:
    """Return whether a value holds an image itself; few such rows may be in memory at once."""
    return isinstance(value, bytes) or (
        isinstance(value, dict) and isinstance(value.get("bytes"), bytes)
    )


def _unended(one: Entry | Skipped) -> Entry | Skipped:
    return replace(one, ended=False) if isinstance(one, Entry) else one


def _split_urls(value: Value) -> list[str]:
    """Return the addresses that a value holds: text with one or several, or a list of these."""
    if isinstance(value, list | tuple):
        return [one for part in value for one in _split_urls(part)]
    if not isinstance(value, str) or not value.strip():
        return []
    return _BETWEEN_URLS.split(value.strip().rstrip("|,; "))


def _is_url(text: str) -> bool:
    """Return whether text is an address to download from."""
    return "://" in text and text.strip()[:5].lower() != "file:"


def _has_image_suffix(text: str) -> bool:
    return _suffix(text) in images.SUFFIXES


def _swallows_rows(row: TableRow, values: Mapping[str, Value], columns: ChosenColumns) -> bool:
    """Return whether a quote that was closed too late has merged several rows into one."""
    for names_of_use in columns.used().values():
        for name in names_of_use:
            if _LINE_END.search(str(values[name]).strip()):
                return True
    names = list(values)
    if len(names) != len(row.cells):
        return False
    column = names.index((*columns.file, *columns.url)[0])
    suffix = _suffix(row.cells[column])

    def names_image(text: str) -> bool:
        text = text.strip()
        if not columns.file:
            return text.startswith(("http://", "https://")) and not text.count(" ")
        return _suffix(text) in {suffix, *images.SUFFIXES} - {""}

    return swallows_a_row(row.cells, column, names_image, delimiter=row.delimiter)


def _suffix(text: str) -> str:
    return PurePath(text.strip()).suffix.lower()


def _to_text(use: str, value: Value) -> str:
    """Return a value as an id, label or group. Raise ``ValueError`` if it cannot be one."""
    if isinstance(value, list | tuple | dict | bytes):
        raise ValueError(f"its {use} is not text: {str(value)[:40]}")  # noqa: TRY004 - bad input
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))  # pandas turns whole numbers into floats if one is missing
    return "" if value is None or value != value else str(value).strip()  # noqa: PLR0124 - NaN
