"""CSV and TSV, row by row, so that an open quote never makes one value of many lines."""

import csv
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

__all__ = ["LARGEST_VALUE", "BadRow", "GoodRow", "delimited_rows", "quote_opened", "swallows_a_row"]

_LINE_END = re.compile(r"\r\n|\r|\n")
LARGEST_VALUE = 1_000_000  # characters; the csv module's own limit is 131,072


class GoodRow(NamedTuple):
    """A row that begins in ``line``, counted from 1, and is ``lines`` long.

    ``ended`` says that a line break follows: without one the file may be cut off in this row.
    ``stray`` says that a quote stands in a value that is not quoted, and was taken as part of it.
    """

    line: int
    lines: int
    values: list[str]
    ended: bool
    stray: bool


class BadRow(NamedTuple):
    """What is no row: ``line`` is where it went wrong. ``swallowed`` lines are lost with it."""

    line: int
    reason: str
    swallowed: bool


def delimited_rows(file: Iterable[str], delimiter: str) -> Iterator[GoodRow | BadRow]:
    """Yield the rows of a table, the header first.

    A quote that is closed by none, or by one in the middle of a later value, is a ``BadRow`` of
    the line where it opens; reading goes on after the lines that it swallowed.
    """
    csv.field_size_limit(LARGEST_VALUE)
    lines = _Lines(file)
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    while True:
        begin = lines.number + 1
        lines.taken = []
        try:
            values = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield _bad(error, begin, lines, delimiter)
        except UnicodeDecodeError as error:
            reason = f"not {error.encoding} from here on ({error.reason}); is the file cut off?"
            yield BadRow(lines.number + 1, reason, swallowed=True)
            return
        else:
            ended = lines.taken[-1].endswith(("\n", "\r"))
            stray = any('"' in value for value in values) and has_stray(lines.taken, delimiter)
            yield GoodRow(begin, len(lines.taken), values, ended, stray)


def swallows_a_row(
    values: Sequence[str], column: int, names_image: Callable[[str], bool], *, delimiter: str
) -> bool:
    """Return whether a value holds what looks like another row: its quote was closed too late.

    ``values`` are a row's. The lines within each of them are split as rows are; one that has
    ``names_image`` say yes to what then stands in ``column`` was a row. Of the first and the last
    line of a value, which are parts of rows, only the columns that they would have are looked at.
    """
    return any(
        names_image(cell)
        for index, value in enumerate(values)
        if "\n" in value or "\r" in value
        for cell in _in_column(value, index, column, len(values), delimiter)
    )


def _in_column(value: str, index: int, column: int, width: int, delimiter: str) -> Iterator[str]:
    """Return what would stand in ``column``, if the lines of the value at ``index`` were rows."""
    lines = _LINE_END.split(value)
    for number, line in enumerate(lines):
        cells = next(csv.reader([line], delimiter=delimiter), [])
        if number == 0:  # its first cell is where this value begins
            if len(cells) == width - index and column > index:
                yield cells[column - index]
        elif number == len(lines) - 1:  # its last cell is where this value ends
            if len(cells) == index + 1 and column < index:
                yield cells[column]
        elif len(cells) == width:
            yield cells[column]


def _bad(error: csv.Error, begin: int, lines: "_Lines", delimiter: str) -> BadRow:
    opened = begin + quote_opened(lines.taken, delimiter)
    many = len(lines.taken) > 1
    if "unexpected end" in str(error):
        reason = "a quote opens here and is never closed, so nothing after it can be read"
        return BadRow(opened, reason, swallowed=True)
    if "field limit" in str(error):
        reason = f"a value of more than {LARGEST_VALUE:,} characters; is a quote left open?"
        return BadRow(opened, reason, swallowed=True)
    if many:
        reason = f"a quote opens here and is closed wrongly in line {lines.number:,}"
        return BadRow(opened, reason, swallowed=True)
    reason = "a quote within a value is not doubled, or its value not quoted as a whole"
    return BadRow(opened, reason, swallowed=False)


def has_stray(lines: Sequence[str], delimiter: str) -> bool:
    """Return whether a quote stands within a value that does not begin with one."""
    quoted = re.compile(rf'(?:^|(?<=[{re.escape(delimiter)}\r\n]))"(?:[^"]|"")*+"')
    return '"' in quoted.sub("", "".join(lines))


def quote_opened(lines: Sequence[str], delimiter: str) -> int:
    """Return in which of a row's lines, from 0, the last quote opens that spans lines.

    The last quote of all where none does.
    """
    number, opened, spans = 0, 0, -1
    for state, char in _states("".join(lines), delimiter):
        if char == '"' and state == "start":
            opened = number
        elif char == "\n":
            number += 1
            spans = opened if state == "quoted" else spans
    return opened if spans < 0 else spans


def _states(text: str, delimiter: str) -> Iterator[tuple[str, str]]:
    """Each character of rows, with where it stands.

    At the ``start`` of a value, in one that is ``quoted``, after the quote that ``closed`` it, or
    in a ``value`` that is not quoted.
    """
    state = "start"
    for char in text:
        yield state, char
        if state == "quoted":
            state = "closed" if char == '"' else state
        elif char == '"' and state in ("start", "closed"):
            state = "quoted"  # two quotes in one that is quoted mean one
        elif char == delimiter or char in "\r\n":
            state = "start"
        else:
            state = "value"


class _Lines:
    """The lines of a file; those of the row in hand are kept in ``taken``."""

    def __init__(self, file: Iterable[str]) -> None:
        self._file = iter(file)
        self.number = 0
        self.taken: list[str] = []

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = next(self._file)
        self.number += 1
        self.taken.append(line)
        return line
