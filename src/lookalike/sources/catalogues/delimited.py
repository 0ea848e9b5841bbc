"""Read CSV and TSV row by row, so that an open quote never merges many lines into one value."""

import csv
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

__all__ = [
    "LARGEST_VALUE",
    "BadRow",
    "GoodRow",
    "find_open_quote",
    "read_delimited",
    "swallows_a_row",
]

_LINE_END = re.compile(r"\r\n|\r|\n")
LARGEST_VALUE = 1_000_000  # characters; the csv module's own limit is 131,072


class GoodRow(NamedTuple):
    """A row that begins at ``line``, counted from 1, and spans ``lines`` lines.

    ``ended`` means that a line break follows; without one, the file may be cut off in this row.
    ``stray`` means that an unquoted value contains a quote, which was read as part of it.
    """

    line: int
    lines: int
    values: list[str]
    ended: bool
    stray: bool


class BadRow(NamedTuple):
    """Lines that are not a row: ``line`` is where it went wrong; ``swallowed`` lines are lost."""

    line: int
    reason: str
    swallowed: bool


def read_delimited(
    file: Iterable[str], delimiter: str, *, before: int = 0
) -> Iterator[GoodRow | BadRow]:
    """Yield the rows of a table, the header first; ``before`` lines of the file are read already.

    A quote that is never closed, or closed in the middle of a later value, is a ``BadRow`` at the
    line where it opens; reading continues after the lines that it swallowed.
    """
    csv.field_size_limit(LARGEST_VALUE)
    lines = _Lines(file, before)
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    while True:
        begin = lines.number + 1
        lines.taken = []
        try:
            values = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield _make_bad_row(error, begin, lines, delimiter)
        else:
            ended = lines.taken[-1].endswith(("\n", "\r"))
            stray = any('"' in value for value in values) and has_stray(lines.taken, delimiter)
            yield GoodRow(begin, len(lines.taken), values, ended, stray)


def swallows_a_row(
    values: Sequence[str], column: int, names_image: Callable[[str], bool], *, delimiter: str
) -> bool:
    """Return whether a value contains what looks like another row: its quote was closed too late.

    ``values`` are those of one row. The lines within each value are split like rows; one whose
    ``column`` satisfies ``names_image`` was a row. The first and last lines of a value are parts of
    rows, so only the columns that they would contain are checked.
    """
    return any(
        names_image(cell)
        for index, value in enumerate(values)
        if "\n" in value or "\r" in value
        for cell in _guess_cells(value, index, column, len(values), delimiter)
    )


def _guess_cells(value: str, index: int, column: int, width: int, delimiter: str) -> Iterator[str]:
    """Yield what ``column`` would hold if the lines of the value at ``index`` were rows."""
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


def _make_bad_row(error: csv.Error, begin: int, lines: "_Lines", delimiter: str) -> BadRow:
    opened = begin + find_open_quote(lines.taken, delimiter)
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
    reason = "a quote within a value is not doubled, or the value is not quoted as a whole"
    return BadRow(opened, reason, swallowed=False)


def has_stray(lines: Sequence[str], delimiter: str) -> bool:
    """Return whether a quote appears within a value that does not begin with one."""
    quoted = re.compile(rf'(?:^|(?<=[{re.escape(delimiter)}\r\n]))"(?:[^"]|"")*+"')
    return '"' in quoted.sub("", "".join(lines))


def find_open_quote(lines: Sequence[str], delimiter: str) -> int:
    """Return the line of a row, counted from 0, where the last quoted value that spans lines
    begins.

    If none spans lines, return that of the last quote.
    """
    number, opened, spans = 0, 0, -1
    for state, char in _iterate_states("".join(lines), delimiter):
        if char == '"' and state == "start":
            opened = number
        elif char == "\n":
            number += 1
            spans = opened if state == "quoted" else spans
    return opened if spans < 0 else spans


def _iterate_states(text: str, delimiter: str) -> Iterator[tuple[str, str]]:
    """Yield each character of the rows with its state.

    States: the ``start`` of a value, in a ``quoted`` one, after the quote that ``closed`` it, or in
    an unquoted ``value``.
    """
    state = "start"
    for char in text:
        yield state, char
        if state == "quoted":
            state = "closed" if char == '"' else state
        elif char == '"' and state in ("start", "closed"):
            state = "quoted"  # a doubled quote in a quoted value stands for one quote
        elif char == delimiter or char in "\r\n":
            state = "start"
        else:
            state = "value"


class _Lines:
    """The lines of a file; those of the current row are kept in ``taken``."""

    def __init__(self, file: Iterable[str], before: int) -> None:
        self._file = iter(file)
        self.number = before
        self.taken: list[str] = []

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = next(self._file)
        self.number += 1
        self.taken.append(line)
        return line
