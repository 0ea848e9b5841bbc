"""Read the rows of a table file one by one: CSV, TSV, JSON lines, Parquet."""

import datetime as dt
import decimal
import json
import math
import re
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import NamedTuple, TextIO, TypeAlias

from lookalike.core.records import Json
from lookalike.errors import SourceError
from lookalike.sources.catalogues.delimited import BadRow, GoodRow, read_delimited

__all__ = [
    "SUFFIXES",
    "TableRow",
    "Value",
    "convert_csv_value",
    "convert_json_value",
    "find_wrong_byte",
    "read_rows",
]

_JSON_LINES = (".jsonl", ".ndjson")
_PARQUET = (".parquet", ".pq")
SUFFIXES = frozenset({".csv", ".tsv", *_JSON_LINES, *_PARQUET})

_NUMBER = re.compile(r"-?(0|[1-9]\d{0,14})(\.\d{1,10})?")
_BATCH = 256  # rows of a Parquet file in memory at once; each may hold an image

Value: TypeAlias = object  # as in the format: text in CSV, typed elsewhere


class TableRow(NamedTuple):
    """A row. ``line`` counts from 1 (rows, in Parquet). ``values`` is a reason if it is not a row.

    ``damaged`` means that rows may be lost after it. For a row that spans lines, ``cells`` are its
    values in order, as text. A row is not ``ended`` if the file ends without a line break, and has
    a ``stray`` quote if an unquoted value contains one.
    """

    line: int
    values: dict[str, Value] | str
    damaged: bool = False
    cells: tuple[str, ...] = ()
    delimiter: str = ""
    ended: bool = True
    stray: bool = False


_EMPTY = TableRow(1, "the file is empty: it has no bytes", damaged=True)


def read_rows(path: Path, *, encoding: str | None = None) -> Iterator[TableRow]:
    """Yield the rows of a table in order; memory stays flat. The suffix decides the format.

    ``encoding`` is that of text files, by default UTF-8, or UTF-16 with a byte order mark. A line
    that cannot be understood is yielded with the reason. Raise ``SourceError`` if nothing can be
    read.
    """
    suffix = path.suffix.lower()
    if suffix in _PARQUET:
        yield from _read_parquet(path)
    elif suffix in _JSON_LINES:
        yield from _read_json_lines(path, encoding)
    else:
        yield from _read_csv(path, encoding)


def convert_csv_value(text: str) -> Json:
    """Convert a CSV field: a plain number to a number, an empty field to ``None``."""
    text = text.strip()
    if not text:
        return None
    if _NUMBER.fullmatch(text):
        return float(text) if "." in text else int(text)
    return text


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


def _read_csv(path: Path, encoding: str | None) -> Iterator[TableRow]:
    with _open_text(path, encoding) as file:
        try:
            first = file.readline()
        except UnicodeDecodeError as error:
            raise SourceError(f"{path}, its first line: not {error.encoding}") from error
        if not first:
            yield _EMPTY
        delimiter = _find_delimiter(first)
        rows = read_delimited(chain([first], file), delimiter)
        header = _read_header(path, next(rows, None), delimiter)
        for row in rows:
            if isinstance(row, BadRow):
                yield TableRow(row.line, row.reason, damaged=row.swallowed)
            elif (wrong := find_wrong_byte(row.values)) is not None:
                yield TableRow(row.line, wrong)
            elif any(row.values):
                yield _name_values(header, row, delimiter)


def _find_delimiter(header: str) -> str:
    """Return the delimiter of the columns: the candidate that the header has most of."""
    return max(",;\t|", key=header.count)


def _read_header(path: Path, row: GoodRow | BadRow | None, delimiter: str) -> list[str]:
    """Return the column names. Raise ``SourceError`` if they cannot be read: then no row can."""
    if row is None:
        return []
    if isinstance(row, BadRow):
        raise SourceError(f"{path}, line {row.line}, its header: {row.reason}")
    if (wrong := find_wrong_byte(row.values)) is not None:
        raise SourceError(f"{path}, its first line: {wrong}")
    header = [name.strip() for name in row.values]
    while header and not header[-1]:
        header.pop()
    if row.stray:
        raise SourceError(f"{path}, line 1, its header: a quote in the middle of a name")
    if row.lines > 1 and any(delimiter in name for name in header):
        raise SourceError(f"{path}, line 1, its header: a name has several lines; is a quote open?")
    return header


def _name_values(header: list[str], row: GoodRow, delimiter: str) -> TableRow:
    cells = row.values[: len(header)]
    if len(cells) < len(header) or any(row.values[len(header) :]):
        if not row.ended and len(row.values) < len(header):
            return TableRow(row.line, "the file ends in the middle of this line", damaged=True)
        reason = f"{len(row.values)} values for {len(header)} columns; is a comma unquoted"
        if row.lines > 1:
            return TableRow(row.line, f"{reason}, or a quote left open?", damaged=True)
        return TableRow(row.line, f"{reason}?")
    values: dict[str, Value] = dict(zip(header, cells, strict=True))
    found = TableRow(row.line, values, ended=row.ended, stray=row.stray)
    return found if row.lines == 1 else found._replace(cells=tuple(cells), delimiter=delimiter)


def _read_json_lines(path: Path, encoding: str | None) -> Iterator[TableRow]:
    with _open_text(path, encoding) as file:
        number = 0
        try:
            for number, line in enumerate(file, 1):
                if line.strip():
                    yield _from_json(number, line)
        except UnicodeDecodeError as error:
            reason = f"not {error.encoding} from here on ({error.reason}); is the file cut off?"
            yield TableRow(number + 1, reason, damaged=True)
            return
        if not number:
            yield _EMPTY


def _from_json(number: int, line: str) -> TableRow:
    if (wrong := find_wrong_byte([line])) is not None:
        return TableRow(number, wrong)
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        if not line.endswith(("\n", "\r")):
            return TableRow(
                number, f"the file ends in the middle of this line: {error}", damaged=True
            )
        return TableRow(number, f"not JSON: {error}")
    if not isinstance(row, dict):
        return TableRow(number, "not a JSON object")
    if "\\u" in line and _has_half_character(row):
        return TableRow(number, "holds half a character (an escape \\ud800 to \\udfff alone)")
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


def _open_text(path: Path, encoding: str | None) -> TextIO:
    """Open the file as text. Bytes of other encodings become surrogates, for
    ``find_wrong_byte``.
    """
    try:
        if encoding is None:
            with path.open("rb") as file:
                wide = file.read(2) in (b"\xff\xfe", b"\xfe\xff")  # Excel's "Unicode text"
            encoding = "utf-16" if wide else "utf-8-sig"
        return path.open(encoding=encoding, errors="surrogateescape", newline="")
    except LookupError as error:
        raise SourceError(f"there is no encoding {encoding!r}; try utf-8 or cp1252") from error
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {error.strerror}") from error


def find_wrong_byte(texts: Iterable[str]) -> str | None:
    """Return the problem if a text holds a byte that its encoding does not have, else ``None``."""
    try:
        "".join(texts).encode()
    except UnicodeEncodeError as error:
        byte = ord(error.object[error.start]) & 0xFF
        return (
            f"byte {byte:#x} is not UTF-8; save the table as UTF-8, or give its encoding "
            "(--encoding cp1252)"
        )
    return None
