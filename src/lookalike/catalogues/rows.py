"""The rows of a table file, one by one: CSV, TSV, JSON lines, Parquet."""

import csv
import datetime as dt
import decimal
import json
import math
import re
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import NamedTuple, TextIO, TypeAlias

from lookalike.errors import SourceError
from lookalike.records import Json

__all__ = ["SUFFIXES", "Row", "Value", "csv_value", "json_value", "rows_of"]

_JSON_LINES = (".jsonl", ".ndjson")
_PARQUET = (".parquet", ".pq")
SUFFIXES = frozenset({".csv", ".tsv", *_JSON_LINES, *_PARQUET})

_NUMBER = re.compile(r"-?(0|[1-9]\d{0,14})(\.\d{1,10})?")
_LARGEST_FIELD = 1_000_000  # characters; the csv module's own limit is 131,072
_BATCH = 256  # rows of a Parquet file in memory at a time; each may hold a picture

Value: TypeAlias = object  # as the format has it: text in CSV, typed elsewhere


class Row(NamedTuple):
    """``line`` counts from 1 (in Parquet: the row). ``values`` is a reason where it is no row."""

    line: int
    values: dict[str, Value] | str


def rows_of(path: Path, *, encoding: str | None = None) -> Iterator[Row]:
    """The rows of a table, in order, in flat memory; the format goes by the suffix.

    ``encoding`` is that of text, by default UTF-8, or UTF-16 where the file says so. A line that
    cannot be understood comes with the reason. Raises ``SourceError`` where nothing can be read.
    """
    suffix = path.suffix.lower()
    if suffix in _PARQUET:
        yield from _parquet(path)
    elif suffix in _JSON_LINES:
        yield from _json_lines(path, encoding)
    else:
        yield from _csv(path, encoding)


def csv_value(text: str) -> Json:
    """A CSV field: a number if it reads as a plain one, ``None`` if it is empty, else text."""
    text = text.strip()
    if not text:
        return None
    if _NUMBER.fullmatch(text):
        return float(text) if "." in text else int(text)
    return text


def json_value(value: Value) -> Json:  # noqa: PLR0911 - a case each
    """A typed value as JSON has it: dates as ISO 8601, bytes and not-a-number as missing."""
    match value:
        case None | bool() | int() | str():
            return value
        case float():
            return value if math.isfinite(value) else None
        case decimal.Decimal():
            return json_value(float(value))
        case dt.date() | dt.time():
            return value.isoformat()
        case dict():
            return {str(name): json_value(one) for name, one in value.items()}
        case list() | tuple():
            return [json_value(one) for one in value]
        case _:
            return None


def _csv(path: Path, encoding: str | None) -> Iterator[Row]:
    csv.field_size_limit(_LARGEST_FIELD)
    with _opened(path, encoding) as file:
        first = file.readline()
        reader = csv.reader(chain([first], file), delimiter=_delimiter(first))
        header: list[str] | None = None
        while True:
            try:
                row = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                yield Row(reader.line_num, _csv_reason(error))
                continue
            if (wrong := _wrong_byte(row)) is not None:
                if header is None:
                    raise SourceError(f"{path}, its first line: {wrong}")
                yield Row(reader.line_num, wrong)
            elif header is None:
                header = _header(row)
            elif any(row):
                yield Row(reader.line_num, _named(header, row))


def _delimiter(header: str) -> str:
    """What separates the columns: what the header has most of."""
    return max(",;\t|", key=header.count)


def _header(row: list[str]) -> list[str]:
    header = [name.strip() for name in row]
    while header and not header[-1]:
        header.pop()
    return header


def _named(header: list[str], row: list[str]) -> dict[str, Value] | str:
    if len(row) < len(header) or any(row[len(header) :]):
        return f"{len(row)} values for {len(header)} columns; is a comma unquoted?"
    return dict(zip(header, row, strict=False))


def _csv_reason(error: csv.Error) -> str:
    if "field limit" in str(error):
        return f"a value of more than {_LARGEST_FIELD:,} characters; is a quote left open?"
    return f"not a line of the table: {error}"


def _json_lines(path: Path, encoding: str | None) -> Iterator[Row]:
    with _opened(path, encoding) as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            if (wrong := _wrong_byte([line])) is not None:
                yield Row(number, wrong)
                continue
            try:
                row = json.loads(line)
            except (ValueError, RecursionError) as error:
                yield Row(number, f"not JSON: {error}")
                continue
            if not isinstance(row, dict):
                yield Row(number, "not a JSON object")
            elif "\\u" in line and _half_character(row):
                yield Row(number, "holds half a character (an escape \\ud800 to \\udfff alone)")
            else:
                yield Row(number, row)


def _half_character(row: dict[str, Value]) -> bool:
    """Whether a surrogate stands alone: text that no file or database takes."""
    try:
        json.dumps(row, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return True
    return False


def _parquet(path: Path) -> Iterator[Row]:
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
                    yield Row(number, row)
    except pa.ArrowInvalid as error:
        what = str(error).splitlines()[0]
        after = f", after row {number:,}" if number else ""
        raise SourceError(f"{path}{after}: not a whole Parquet file ({what})") from error
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {error.strerror or error}") from error


def _opened(path: Path, encoding: str | None) -> TextIO:
    """The file as text; bytes of another encoding come as surrogates, for ``_wrong_byte``."""
    try:
        if encoding is None:
            with path.open("rb") as file:
                wide = file.read(2) in (b"\xff\xfe", b"\xfe\xff")  # what Excel calls Unicode text
            encoding = "utf-16" if wide else "utf-8-sig"
        return path.open(encoding=encoding, errors="surrogateescape", newline="")
    except LookupError as error:
        raise SourceError(f"there is no encoding {encoding!r}; try utf-8 or cp1252") from error
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {error.strerror}") from error


def _wrong_byte(texts: Iterable[str]) -> str | None:
    """Says so if a text holds a byte that its encoding does not have."""
    try:
        "".join(texts).encode()
    except UnicodeEncodeError as error:
        byte = ord(error.object[error.start]) & 0xFF
        return (
            f"byte {byte:#x} is not UTF-8; save the table as UTF-8, or say its encoding "
            "(--encoding cp1252)"
        )
    return None
