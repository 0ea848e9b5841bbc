"""How a table is read: which column is used for what, and of what type each one is."""

import datetime as dt
import decimal
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from lookalike.core.records import Json
from lookalike.sources.catalogues.columns import ChosenColumns
from lookalike.sources.catalogues.rows import Value
from lookalike.sources.catalogues.table_types import TableTypes

__all__ = ["ColumnReport", "report_columns"]

_EXAMPLES = 3
_LONGEST = 60  # characters of an example


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnReport:
    """A column of a table: what it is used for, its type, and examples as they are stored.

    ``use`` is file, url, id, label, group or metadata. ``type`` is text, number, date, boolean,
    list, object or image; several if values differ, none if there are no values. ``note`` says what
    decided the type where that is not plain.
    """

    column: str
    use: str
    type: str
    examples: tuple[Json, ...]
    note: str = ""


def report_columns(
    rows: Sequence[Mapping[str, Value]], columns: ChosenColumns, types: TableTypes
) -> tuple[ColumnReport, ...]:
    """Return a report on each column, from the first rows of a table."""
    uses = {name: use for use, names in columns.used().items() for name in names}
    names = dict.fromkeys(name for row in rows for name in row)
    found = []
    for name in names:
        use = uses.get(name, "metadata")
        values = [row[name] for row in rows if row.get(name) not in (None, "")]
        known = types.type_of(name) if use == "metadata" else None
        if known is not None:
            kind = known.name
        else:
            kind = "text" if use not in ("metadata", "file", "url") else _name_types(values)
        stored = values if use != "metadata" else [types.convert(name, one, "") for one in values]
        found.append(
            ColumnReport(
                column=name,
                use=use,
                type=kind,
                examples=tuple(_choose_examples(stored)),
                note="" if known is None else known.note,
            )
        )
    types.forget_notes()
    return tuple(found)


def _name_types(values: Iterable[Value]) -> str:
    return ", ".join(dict.fromkeys(map(_name_type, values)))


def _name_type(value: Value) -> str:  # noqa: PLR0911 - a case each
    match value:
        case bool():
            return "boolean"
        case int() | float() | decimal.Decimal():
            return "number"
        case dt.date() | dt.time():
            return "date"
        case list() | tuple():
            return "list"
        case dict():
            return "image" if isinstance(value.get("bytes"), bytes) else "object"
        case bytes():
            return "image"
        case _:
            return "text"


def _choose_examples(values: Iterable[Value]) -> list[Json]:
    """Return the first different values, shortened."""
    found: list[Json] = []
    for value in values:
        one: Json
        if isinstance(value, bool | int | float):
            one = value
        else:
            text = "…" if isinstance(value, bytes | dict) else str(value).strip()
            one = text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
        if one not in found:
            found.append(one)
        if len(found) == _EXAMPLES:
            break
    return found
