"""Find the type of each column of a table, in one quick pass over a CSV file.

A code with leading zeros in the last line makes its whole column text, so the types are known only
at the end. The pass parses the lines without checking them, and looks only at columns that may
still be numbers: docs/decisions/0044-types-of-columns.md has what it costs.
"""

import csv
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from itertools import chain, islice
from pathlib import Path

from lookalike.core.records import Json
from lookalike.errors import SourceError
from lookalike.sources.catalogues.columns import join_names
from lookalike.sources.catalogues.delimited import LARGEST_VALUE
from lookalike.sources.catalogues.rows import Value, convert_json_value, find_delimiter
from lookalike.sources.catalogues.text_files import open_text
from lookalike.sources.catalogues.value_types import (
    DECIMALS,
    ColumnType,
    Tally,
    check_types,
    decide,
    parse_type,
)

__all__ = ["TableTypes"]

_CHUNK = 2000  # rows


class TableTypes:
    """The types of a table's metadata, and its values as these types.

    ``wanted`` are types by column that were asked for; ``decimal`` is ``comma`` or ``point``, or
    not known.
    """

    def __init__(
        self, path: Path, *, encoding: str | None, wanted: Mapping[str, str], decimal: str | None
    ) -> None:
        if decimal not in (None, *DECIMALS):
            raise SourceError(f"decimal is {decimal!r}, but must be comma or point")
        self._path = path
        self._encoding = encoding
        self._decimal = None if decimal is None else DECIMALS[decimal]
        self._text = path.suffix.lower() in (".csv", ".tsv")
        self._wanted = dict(wanted)
        self._found = False
        check_types(wanted)
        self.types = {name: parse_type(kind, self._decimal) for name, kind in wanted.items()}
        self._failed: Counter[str] = Counter()  # by column
        self._examples: dict[str, tuple[str, str, str]] = {}  # column → value, line, reason

    def check(self, names: Collection[str]) -> None:
        """Raise ``SourceError`` for a type of a column that does not exist."""
        for name in self._wanted:
            if name not in names:
                raise SourceError(
                    f"{self._path} has no column {name!r}, which --column-type names; it has "
                    f"{join_names(names)}"
                )

    def find(self, unused: Collection[str]) -> Iterator[None]:
        """Read a CSV file to find the types of all columns but the ``unused``; yield now and then.

        A second call does nothing.
        """
        if self._found or not self._text:
            return
        with open_text(self._path, self._encoding) as file:
            first = file.readline()
            delimiter, said = find_delimiter(first)
            # A comma is for decimals where Excel separates columns by semicolons for its sake.
            decimal = self._decimal or ("," if delimiter == ";" else None)
            csv.field_size_limit(LARGEST_VALUE)
            rows = csv.reader(file if said else chain([first], file), delimiter=delimiter)
            names = [name.strip() for name in next(rows, [])]
            skip = {*unused, *self._wanted, ""}
            tallies = {place: Tally() for place, one in enumerate(names) if one not in skip}
            for chunk in _iterate_chunks(rows):
                if len(chunk) == _CHUNK:  # a small file takes no time
                    yield None
                columns = [*zip(*(row for row in chunk if len(row) >= len(names)), strict=False)]
                left = [place for place, one in tallies.items() if not one.decided]
                for place in left:
                    tallies[place].add(columns[place] if columns else (), decimal)
                if not left:
                    break
            for place, tally in tallies.items():
                self.types[names[place]] = decide(names[place], tally, self._decimal)
        self._found = True

    def convert(self, name: str, value: Value, where: str) -> Json:
        """Return a value of a column as JSON; ``None`` for a missing one.

        What is not of the type that was asked for stays as it is, and is noted.
        """
        known = self.types.get(name)
        if known is None or not isinstance(value, str | int | float) or isinstance(value, bool):
            return convert_json_value(value)
        if known.name == "number" and not isinstance(value, str):
            return convert_json_value(value)
        text = str(convert_json_value(value)).strip()
        if isinstance(value, float):
            text = text.removesuffix(".0")  # pandas turns whole numbers into floats
        if not text:
            return None
        try:
            return known.parse(text)
        except ValueError as error:
            self._failed[name] += 1
            self._examples.setdefault(name, (text, where, str(error)))
            return text

    def notes(self) -> list[str]:
        """Return sentences on values that are not of the type that was asked for."""
        found = []
        for name, count in self._failed.items():
            text, where, reason = self._examples[name]
            many = "1 value" if count == 1 else f"{count:,} values"
            found.append(
                f"{many} of column {name!r} stay text: {text[:40]!r} ({where}) is {reason}"
            )
        return found

    def forget_notes(self) -> None:
        """Begin to count anew, for another reading."""
        self._failed.clear()
        self._examples.clear()

    def type_of(self, name: str) -> ColumnType | None:
        return self.types.get(name)


def _iterate_chunks(rows: Iterator[list[str]]) -> Iterator[list[list[str]]]:
    """Yield rows in chunks, up to a quote that is never closed: reading proper reports it."""
    while True:
        try:
            chunk = list(islice(rows, _CHUNK))
        except csv.Error:
            return
        if not chunk:
            return
        yield chunk
