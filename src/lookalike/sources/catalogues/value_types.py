"""What type a column of text has, and its values as JSON: text, numbers, dates, yes and no.

A column of a CSV file is of one type: if one code of a column would lose its zeros as a number,
then all of them stay text.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time
from typing import TypeAlias

from lookalike.core.records import Json
from lookalike.errors import SourceError

__all__ = ["DECIMALS", "TYPES", "ColumnType", "Tally", "check_types", "decide", "parse_type"]

TYPES = ("text", "number", "date", "date:dmy", "date:mdy", "boolean")
"""``date:dmy`` and ``date:mdy`` read 3/4/2025 with the day or the month first."""

DECIMALS = {"comma": ",", "point": "."}

_Parse: TypeAlias = Callable[[str], Json]

_PLAIN = re.compile(r"-?(0|[1-9]\d{0,14})(\.\d{1,10})?")
_GROUPS = r"[1-9]\d{0,2}(?:[%s]\d{3}){1,4}"
_SPACES = " '\u2019\u00a0\u202f"
_COMMA = re.compile(rf"-?(0|[1-9]\d{{0,14}}|{_GROUPS % f'.{_SPACES}'})(,\d{{1,10}})?")
_POINT = re.compile(rf"-?(0|[1-9]\d{{0,14}}|{_GROUPS % f',{_SPACES}'})(\.\d{{1,10}})?")
_NOT_DIGITS = re.compile(rf"[{_SPACES}]")
_CODE = re.compile(r"0\d+|\d{16,}")  # leading zeros, or more digits than a number keeps
_GROUPED = re.compile(r"-?\d{1,3}(\.\d{3})+")  # may be a number in either style
_NAMES_OF_CODES = re.compile(
    r"(?:^|[\W_])(ean|gtin|upc|isbn|issn|barcode|mpn|sku|zip|zip_?code|plz|post_?code|"
    r"postal_?code|phone)(?=\d|[\W_]|$)",
    re.IGNORECASE,
)
_ISO = re.compile(
    r"(\d{4})-(\d{2})-(\d{2})([T ]\d{2}:\d{2}(:\d{2}(\.\d{1,6})?)?(Z|[+-]\d{2}:?\d{2})?)?"
)
_ISO_LIKE = re.compile(r"(\d{4})[-/.]?(\d{1,2})[-/.]?(\d{1,2})")
_DOTTED = re.compile(r"(\d{1,2})\.\s?(\d{1,2})\.\s?(\d{4})")
_SLASHED = re.compile(r"(\d{1,2})[-/.](\d{1,2})[-/.](\d{4})")
_TIME = re.compile(r"(.+?)[T ]+(\d{1,2}):(\d{2})(?::(\d{2}))?")
_YES = frozenset({"true", "yes", "y", "t", "1"})
_NO = frozenset({"false", "no", "n", "f", "0"})
_ENOUGH = 1000  # texts in a column, more than numbers, that decide it


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnType:
    """The type of a column, how a value of it is read, and a ``note`` on what was unclear.

    ``parse`` raises ``ValueError`` for text that is not of the type.
    """

    name: str
    parse: _Parse
    note: str = ""


def check_types(types: Mapping[str, str]) -> None:
    """Raise ``SourceError`` for a type that does not exist."""
    for column, kind in types.items():
        if kind not in TYPES:
            raise SourceError(
                f"the type of column {column!r} is {kind!r}, but must be one of {', '.join(TYPES)}"
            )


def parse_type(kind: str, decimal: str | None) -> ColumnType:
    """Return a type that was asked for. ``decimal`` is a comma, a point, or not known."""
    if kind == "text":
        return ColumnType(name=kind, parse=str)
    if kind == "number":
        return ColumnType(name=kind, parse=_read_comma if decimal == "," else _read_point)
    if kind == "boolean":
        return ColumnType(name=kind, parse=_read_boolean)
    order = kind.partition(":")[2]
    return ColumnType(name="date", parse=lambda text: _read_date(text, order))


@dataclass(slots=True)
class Tally:
    """What the values of a column look like, counted as far as it takes to decide its type."""

    code: str = ""
    numbers: int = 0
    pointed: int = 0  # numbers that have a point and are none with a decimal comma
    commas: int = 0  # numbers with a decimal comma
    grouped: str = ""
    dates: int = 0
    texts: int = 0
    text: str = ""

    @property
    def decided(self) -> bool:
        """Whether further values cannot change the type: it is text."""
        return bool(self.code) or (self.texts >= _ENOUGH and self.texts > self.numbers)

    def add(self, values: Iterable[str], decimal: str | None) -> None:
        """Count values. ``decimal`` is what a number may have besides a point and no groups."""
        for value in values:
            text = value.strip()
            if not text:
                continue
            if _PLAIN.fullmatch(text) is not None:
                self.numbers += 1
                if "." in text:
                    if _GROUPED.fullmatch(text):
                        self.grouped = self.grouped or text
                    else:
                        self.pointed += 1
            elif _CODE.fullmatch(text) is not None:
                self.code = text
                return
            elif decimal == "," and _COMMA.fullmatch(text) is not None:
                self.numbers += 1
                self.commas += "," in text
            elif decimal == "." and _POINT.fullmatch(text) is not None:
                self.numbers += 1
            elif _ISO.fullmatch(text) is not None:
                self.dates += 1
            else:
                self.texts += 1
                self.text = self.text or text


def decide(name: str, tally: Tally, decimal: str | None) -> ColumnType:
    """Return the type of a column that nobody named."""
    if tally.code:
        return ColumnType(name="text", parse=str, note=f"has codes such as {tally.code}")
    if tally.dates > max(tally.texts, tally.numbers):
        return ColumnType(name="date", parse=str)
    if not tally.numbers or tally.texts > tally.numbers:
        return ColumnType(name="text", parse=str)
    if (said := _NAMES_OF_CODES.search(name)) is not None:
        return ColumnType(name="text", parse=str, note=f"{said[1]} is a code")
    comma = decimal == "," or (decimal is None and tally.commas > 0 and not tally.pointed)
    note = ""
    if tally.texts:
        note = f"others stay text, such as {tally.text[:40]!r}"
    elif comma and decimal is None:
        note = "the comma is a decimal comma"
    elif tally.grouped and decimal is None and not tally.pointed:
        note = f"{tally.grouped} is read with a decimal point"
    if comma:
        return ColumnType(name="number", parse=_or_text(_read_comma), note=note)
    read = _read_point if decimal == "." else _read_plain
    return ColumnType(name="number", parse=_or_text(read), note=note)


def _or_text(read: _Parse) -> _Parse:
    def parse(text: str) -> Json:
        try:
            return read(text)
        except ValueError:
            return text

    return parse


def _read_plain(text: str) -> Json:
    if _PLAIN.fullmatch(text) is None:
        raise ValueError("not a number")
    return float(text) if "." in text else int(text)


def _read_point(text: str) -> Json:
    if _POINT.fullmatch(text) is None:
        raise ValueError("not a number")
    return _read_plain(_NOT_DIGITS.sub("", text).replace(",", ""))


def _read_comma(text: str) -> Json:
    if _COMMA.fullmatch(text) is None:
        raise ValueError("not a number with a decimal comma")
    return _read_plain(_NOT_DIGITS.sub("", text).replace(".", "").replace(",", "."))


def _read_boolean(text: str) -> Json:
    if text.casefold() not in _YES | _NO:
        raise ValueError("neither yes nor no")
    return text.casefold() in _YES


def _read_date(text: str, order: str) -> Json:
    """Return a date, or a date and time, as ISO 8601. ``order`` is ``dmy``, ``mdy`` or empty."""
    if (iso := _ISO.fullmatch(text)) is not None:
        read = datetime if iso[4] else date
        return read.fromisoformat(text).isoformat()
    clock: time | None = None
    if (parts := _TIME.fullmatch(text)) is not None:
        hour, minute, second = (int(one or 0) for one in parts.groups()[1:])
        text, clock = parts[1], time(hour, minute, second)
    if (found := _ISO_LIKE.fullmatch(text)) is not None:
        year, month, day = map(int, found.groups())
    elif (found := _DOTTED.fullmatch(text)) is not None and order != "mdy":
        day, month, year = map(int, found.groups())
    elif order and (found := _SLASHED.fullmatch(text)) is not None:
        first, second, year = map(int, found.groups())
        day, month = (first, second) if order == "dmy" else (second, first)
    else:
        raise ValueError("not a date" if order else "not a date that is clear: day or month first?")
    day_found = date(year, month, day)
    return (day_found if clock is None else datetime.combine(day_found, clock)).isoformat()
