"""Read tables with one line per image."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path, PurePath

from lookalike import images
from lookalike.core.records import Damaged, Entry, Json, Remote, Skipped
from lookalike.errors import SourceError
from lookalike.sources.catalogues.delimited import swallows_a_row
from lookalike.sources.catalogues.rows import (
    SUFFIXES,
    TableRow,
    Value,
    convert_csv_value,
    convert_json_value,
    read_rows,
)
from lookalike.sources.scan import stamp_of

__all__ = ["SUFFIXES", "Columns", "Table"]

# Default columns: the first of these names that the table has.
_USUAL = {
    "file": ("file", "path", "image", "picture", "filename", "file_name", "image_path"),
    "url": ("url", "image_url", "picture_url", "imageurl", "link"),
    "id": ("id", "image_id", "sku"),
    "label": ("label", "category", "class"),
    "group": ("group", "product_id", "product", "item_id"),
}

_SWALLOWED = "a value that begins in this line holds other lines; is a quote left open?"
_STRAY = "a quote stands in the middle of a value that is not quoted"
_LINE_END = re.compile("[\r\n]")

Columns = Mapping[str, str | None]


class Table:
    """A table of images: CSV, TSV, JSON lines or Parquet.

    ``columns`` names the column of the ``file`` (a path below ``root``, by default the table's
    folder), the ``url`` (instead of a file: it must be downloaded first), the ``id`` (by default
    the file or URL), the ``label`` and the ``group``; usual names are found automatically, in any
    case. All other columns are metadata. In CSV and TSV, a plain number becomes a number (``007``
    does not), and an empty field is missing. A Parquet file may hold the images themselves in its
    file column, as bytes or as ``{bytes, path}``.
    """

    format = "table"

    def __init__(
        self,
        path: Path,
        *,
        root: Path | None = None,
        columns: Columns | None = None,
        encoding: str | None = None,
    ) -> None:
        self.path = path
        self.root = path.parent if root is None else root
        self._resolved = self.root.resolve()
        self._wanted = dict(columns or {})
        self._encoding = encoding
        self._typed = path.suffix.lower() not in (".csv", ".tsv")

    def columns(self) -> dict[str, str]:
        """Return the column of each field that has one, from the first readable row.

        Return nothing for a table without rows. Raise ``SourceError`` as ``entries`` does.
        """
        for row in read_rows(self.path, encoding=self._encoding):
            if row is not None and not isinstance(row.values, str):
                found = self._choose_columns(list(row.values))
                return {use: name for use, name in found.items() if name is not None}
        return {}

    def entries(self) -> Iterator[Entry | Skipped | None]:
        columns: dict[str, str | None] | None = None
        for row in read_rows(self.path, encoding=self._encoding):
            if row is None:
                yield None
                continue
            where = f"{self.path.name}:{row.line}"
            if isinstance(row.values, str):
                kind = Damaged if row.damaged else Skipped
                yield kind(path=where, reason=row.values)
                continue
            if columns is None:
                columns = self._choose_columns(list(row.values))
            if row.only_header:
                return
            if row.cells and _swallows_rows(row, row.values, columns):
                yield Damaged(path=where, reason=_SWALLOWED)
                continue
            names = [columns[use] for use in ("id", "file", "url")]
            if row.stray and any('"' in str(row.values[name]) for name in names if name):
                yield Skipped(path=where, reason=_STRAY)
                continue
            one = self._parse_row(where, row.values, columns)
            yield one if row.ended or isinstance(one, Skipped) else replace(one, ended=False)

    def _parse_row(
        self, where: str, row: Mapping[str, Value], columns: Mapping[str, str | None]
    ) -> Entry | Skipped:
        fields = {use: row.get(name) if name else None for use, name in columns.items()}
        try:
            named = {use: _to_text(use, fields[use]) for use in ("id", "label", "group")}
            image, path = self._read_image(fields, columns)
        except ValueError as error:
            return Skipped(path=where, reason=str(error))
        used = {name for name in columns.values() if name}
        own = path or (image.urls[0] if isinstance(image, Remote) else where)
        return Entry(
            id=named["id"] or own,
            image=image,
            path=path,
            stamp=stamp_of(image) if isinstance(image, Path) else None,
            label=named["label"] or None,
            group=named["group"] or None,
            metadata=self._metadata(row, used),
            line=where,
        )

    def _read_image(
        self, fields: Mapping[str, Value], columns: Mapping[str, str | None]
    ) -> tuple[Path | bytes | Remote, str]:
        """Return the image and its path below the root. Raise ``ValueError`` with the reason."""
        urls, file = fields["url"], fields["file"]
        if isinstance(urls, list | tuple) and urls and all(isinstance(one, str) for one in urls):
            return Remote(tuple(urls)), ""
        if isinstance(urls, str) and urls.strip():
            return Remote((urls.strip(),)), ""
        if isinstance(file, dict):  # as in Hugging Face's data sets
            file = file.get("bytes") or file.get("path")
        if isinstance(file, bytes):
            return file, ""
        if not isinstance(file, str) or not file.strip():
            raise ValueError(f"no image in column {columns['url'] or columns['file']!r}")
        if "://" in file:
            return Remote((file.strip(),)), ""
        place = self.root / file
        try:
            return place, place.resolve().relative_to(self._resolved).as_posix()
        except (ValueError, OSError) as error:
            raise ValueError(
                f"{file} is outside {self.root}; give the folder of the files with --root"
            ) from error

    def _metadata(self, row: Mapping[str, Value], used: set[str]) -> dict[str, Json]:
        values = {
            name: convert_json_value(value) if self._typed else convert_csv_value(str(value))
            for name, value in row.items()
            if name not in used
        }
        return {name: value for name, value in values.items() if value is not None}

    def _choose_columns(self, names: list[str]) -> dict[str, str | None]:
        """Return field → column name, for the fields that have a column."""
        found: dict[str, str | None] = {}
        for use, usual in _USUAL.items():
            wanted = self._wanted.get(use)
            if wanted is not None and wanted not in names:
                raise SourceError(
                    f"{self.path} has no column {wanted!r}; it has {_join_names(names)}"
                )
            lower = {name.lower(): name for name in reversed(names)}
            found[use] = wanted or next((lower[one] for one in usual if one in lower), None)
        if found["file"] is not None and self._wanted.get("url") is None:
            found["url"] = None  # local files come first; the URL is then metadata
        elif found["file"] is None and found["url"] is None:
            raise SourceError(
                f"{self.path}: which column names the image's file? It has {_join_names(names)}; "
                "name it with --file-column, or --url-column for images to be downloaded"
            )
        return found


def _swallows_rows(row: TableRow, values: Mapping[str, Value], columns: Columns) -> bool:
    """Return whether a quote that was closed too late has merged several rows into one."""
    for use in ("id", "label", "group", "file", "url"):
        name = columns[use]
        if name is not None and _LINE_END.search(str(values[name]).strip()):
            return True
    names = list(values)
    image_column = columns["file"] or columns["url"]
    if image_column is None or len(names) != len(row.cells):
        return False
    column = names.index(image_column)
    suffix = _suffix(row.cells[column])

    def names_image(text: str) -> bool:
        text = text.strip()
        if columns["file"] is None:
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


def _join_names(names: list[str]) -> str:
    return ", ".join(names[:40]) + (", …" if len(names) > 40 else "")  # noqa: PLR2004 - a screen
