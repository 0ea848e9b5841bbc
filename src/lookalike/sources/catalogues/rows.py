"""Read the rows of a table file one by one: CSV, TSV, JSON lines, Parquet."""

import datetime as dt
import decimal
import json
import math
import re
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Literal, NamedTuple, TypeAlias

from lookalike.core.records import Json
from lookalike.errors import SourceError
from lookalike.sources.catalogues.delimited import BadRow, GoodRow, read_delimited
from lookalike.sources.catalogues.json_stream import BrokenJsonError, open_json, records
from lookalike.sources.catalogues.text_files import find_wrong_byte, open_text

__all__ = [
    "SUFFIXES",
    "TableRow",
    "Value",
    "convert_json_value",
    "find_delimiter",
    "find_json_rows",
    "read_rows",
]

_JSON_LINES = (".jsonl", ".ndjson")
_PARQUET = (".parquet", ".pq")
SUFFIXES = frozenset({".csv", ".tsv", *_JSON_LINES, *_PARQUET})

_HEAD = 65_536  # bytes of a JSON file that show whether each line is a row
_LIST_OF_OBJECTS = re.compile(rb'"(\w+)"\s*:\s*\[\s*\{')
_NO_ROWS = frozenset({b"images", b"annotations", b"licenses", b"categories"})  # annotation files'
# What Excel may write before the header, to name the delimiter for others of its kind.
_SEPARATOR = re.compile(r'"?sep=([^\w"\r\n])"?[\r\n]*', re.IGNORECASE)
_PAUSE = 10_000  # empty lines read between two chances to stop
_BATCH = 256  # rows of a Parquet file in memory at once; each may hold an image

Value: TypeAlias = object  # as in the format: text in CSV, typed elsewhere


class TableRow(NamedTuple):
    """A row. ``line`` counts from 1 (rows, in Parquet). ``values`` is a reason if it is not a row.

    ``damaged`` means that rows may be lost after it. For a row that spans lines, ``cells`` are its
    values in order, as text. A row is not ``ended`` if the file ends without a line break, and has
    a ``stray`` quote if an unquoted value contains one. A table without rows has one
    that is ``only_header``.
    """

    line: int
    values: dict[str, Value] | str
    damaged: bool = False
    cells: tuple[str, ...] = ()
    delimiter: str = ""
    ended: bool = True
    stray: bool = False
    only_header: bool = False


_HALF = "holds half a character (an escape \\ud800 to \\udfff alone)"
_CUT = "the file ends in the middle of this line"
_EMPTY = TableRow(1, "the file is empty: it has no bytes", damaged=True)


def read_rows(path: Path, *, encoding: str | None = None) -> Iterator[TableRow | None]:
    """Yield the rows of a table in order; memory stays flat. The suffix decides the format.

    ``encoding`` is that of text files (``open_text``). A line that cannot be understood is yielded
    with the reason. ``None`` stands for many lines without anything, so that the caller can stop.
    Raise ``SourceError`` if nothing can be read.
    """
    suffix = path.suffix.lower()
    if suffix in _PARQUET:
        yield from _read_parquet(path)
    elif suffix in (".json", *_JSON_LINES):
        read = _read_json_lines if find_json_rows(path) == "lines" else _read_json_list
        yield from read(path, encoding)
    else:
        yield from _read_csv(path, encoding)


def convert_json_value(value: Value) -> Json:  # noqa: PLR0911 - a case each
    """Convert a typed value to JSON: dates to ISO 8601, bytes and NaN to ``None``."""
    match value:
        case None | bool() | int() | str():
            return value
        case float():
            return value if math.isfinite(value) else None
        case decimal.Decimal():
            return convert_json_value(float(value))
        case dt.date() | dt.time():
            return value.isoformat()
        case dict():
            return {str(name): convert_json_value(one) for name, one in value.items()}
        case list() | tuple():
            return [convert_json_value(one) for one in value]
        case _:
            return None


def _read_csv(path: Path, encoding: str | None) -> Iterator[TableRow | None]:
    with open_text(path, encoding) as file:
        first = file.readline()
        if not first:
            yield _EMPTY
        delimiter, said = find_delimiter(first)
        rows = read_delimited(
            file if said else chain([first], file), delimiter, before=1 if said else 0
        )
        header = _read_header(path, next(rows, None), delimiter, file.encoding)
        number = -1
        for number, row in enumerate(rows):
            if isinstance(row, BadRow):
                yield TableRow(row.line, row.reason, damaged=row.swallowed)
            elif (wrong := find_wrong_byte(row.values, file.encoding)) is not None:
                yield _make_wrong(row.line, wrong, file.encoding, ended=row.ended)
            elif any(row.values):
                yield _name_values(header, row, delimiter)
            elif number % _PAUSE == 0:
                yield None
        if header and number < 0:
            yield TableRow(1, dict.fromkeys(header, ""), only_header=True)


def _make_wrong(line: int, wrong: str, encoding: str, *, ended: bool) -> TableRow:
    """Return a row with a wrong byte; in UTF-16, one in the last line means that there was more."""
    cut = not ended and encoding.startswith(("utf-16", "utf-32"))
    return TableRow(line, _CUT if cut else wrong, damaged=cut)


def find_delimiter(first: str) -> tuple[str, bool]:
    """Return the delimiter of the columns, and whether the first line says so and is no header.

    Otherwise it is the candidate that the header has most of.
    """
    said = _SEPARATOR.fullmatch(first)
    return (said[1], True) if said else (max(",;\t|", key=first.count), False)


def _read_header(
    path: Path, row: GoodRow | BadRow | None, delimiter: str, encoding: str
) -> list[str]:
    """Return the column names. Raise ``SourceError`` if they cannot be read: then no row can."""
    if row is None:
        return []
    if isinstance(row, BadRow):
        raise SourceError(f"{path}, line {row.line}, its header: {row.reason}")
    if (wrong := find_wrong_byte(row.values, encoding)) is not None:
        raise SourceError(f"{path}, line {row.line}, its header: {wrong}")
    header = [name.strip() for name in row.values]
    while header and not header[-1]:
        header.pop()
    if row.stray:
        raise SourceError(f"{path}, line {row.line}, its header: a quote in the middle of a name")
    if row.lines > 1 and any(delimiter in name for name in header):
        raise SourceError(
            f"{path}, line {row.line}, its header: a name has several lines; is a quote open?"
        )
    return header


def _name_values(header: list[str], row: GoodRow, delimiter: str) -> TableRow:
    cells = row.values[: len(header)]
    if len(cells) < len(header) or any(row.values[len(header) :]):
        if not row.ended and len(row.values) < len(header):
            return TableRow(row.line, _CUT, damaged=True)
        reason = f"{len(row.values)} values for {len(header)} columns; is a comma unquoted"
        if row.lines > 1:
            return TableRow(row.line, f"{reason}, or a quote left open?", damaged=True)
        return TableRow(row.line, f"{reason}?")
    values: dict[str, Value] = dict(zip(header, cells, strict=True))
    found = TableRow(row.line, values, ended=row.ended, stray=row.stray)
    return found if row.lines == 1 else found._replace(cells=tuple(cells), delimiter=delimiter)


def _read_json_lines(path: Path, encoding: str | None) -> Iterator[TableRow | None]:
    with open_text(path, encoding) as file:
        number = 0
        for number, line in enumerate(file, 1):
            if line.strip():
                yield _from_json(number, line, file.encoding)
            elif number % _PAUSE == 0:
                yield None
        if not number:
            yield _EMPTY


def find_json_rows(path: Path) -> Literal["lines", "list", ""]:
    """Return how a JSON file holds its rows: one on each ``line``, or in a ``list`` that is the
    file or stands in an object; nothing if it does not seem to hold rows.

    Its beginning decides. Raise ``SourceError`` if it cannot be read.
    """
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD)
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {error.strerror}") from error
    text = head.replace(b"\0", b"").removeprefix(b"\xef\xbb\xbf").lstrip()
    if text.startswith(b"["):
        return "list"
    first, _, rest = text.partition(b"\n")
    try:
        whole = isinstance(json.loads(first), dict)  # a whole object on a line is a row
    except (ValueError, RecursionError):
        whole = False
    lists = _LIST_OF_OBJECTS.search(text)
    if path.suffix.lower() in _JSON_LINES or (whole and (rest.strip()[:1] == b"{" or not lists)):
        return "lines"
    return "list" if lists and lists[1] not in _NO_ROWS else ""


def _read_json_list(path: Path, encoding: str | None) -> Iterator[TableRow | None]:
    if encoding is not None and not encoding.lower().replace("_", "-").startswith("utf-8"):
        raise SourceError(f"{path}: a list of JSON is UTF-8; leave the encoding out")
    number = 0
    try:
        with open_json(path, lists=True) as events:
            for number, row in enumerate(records(events), 1):
                if row is None:
                    yield TableRow(number, "not a JSON object")
                elif _has_half_character(row):
                    yield TableRow(number, _HALF)
                else:
                    yield TableRow(number, row)
    except BrokenJsonError as error:
        yield TableRow(number + 1, str(error), damaged=True)
    else:
        if not number:
            reason = (
                "it holds no rows: no list of objects" if path.stat().st_size else _EMPTY.values
            )
            yield TableRow(1, reason, damaged=True)


def _from_json(number: int, line: str, encoding: str) -> TableRow:
    ended = line.endswith(("\n", "\r"))
    if (wrong := find_wrong_byte([line], encoding)) is not None:
        return _make_wrong(number, wrong, encoding, ended=ended)
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        if not ended:
            return TableRow(
                number, f"the file ends in the middle of this line: {error}", damaged=True
            )
        return TableRow(number, f"not JSON: {error}")
    if not isinstance(row, dict):
        return TableRow(number, "not a JSON object")
    if "\\u" in line and _has_half_character(row):
        return TableRow(number, _HALF)
    return TableRow(number, row)


def _has_half_character(row: dict[str, Value]) -> bool:
    """Return whether a text holds a lone surrogate, which no file or database accepts."""
    try:
        json.dumps(row, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return True
    return False


def _read_parquet(path: Path) -> Iterator[TableRow]:
    try:
        import pyarrow as pa  # noqa: PLC0415 - an extra, and 60 ms
        from pyarrow import parquet  # noqa: PLC0415 - likewise
    except ImportError as error:
        raise SourceError(
            f"{path}: reading Parquet needs pyarrow; `pip install 'lookalike[parquet]'` brings it"
        ) from error
    number = 0
    try:
        with parquet.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=_BATCH):
                for row in batch.to_pylist():
                    number += 1
                    yield TableRow(number, row)
    except (pa.ArrowException, UnicodeDecodeError, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise SourceError(f"{path} cannot be read: {error.strerror or error}") from error
        what = (str(error).splitlines() or [type(error).__name__])[0]
        after = f", after row {number:,}" if number else ""
        raise SourceError(f"{path}{after}: not a whole Parquet file ({what})") from error
