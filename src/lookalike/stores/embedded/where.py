"""Translate conditions into SQL over the embedded store's ``items``. Values are parameters."""

import re
from collections.abc import Collection, Sequence

from lookalike.core.filters import FIELDS, And, Compare, Condition, Exists, In, Not, Or, Value
from lookalike.stores.field_names import json_path, metadata_name

__all__ = ["BOOLEANS", "FILL", "facets_sql", "where_sql"]


BOOLEANS = frozenset({"true", "false"})  # as JSON types, in the third column of facets

_COLUMNS = {
    "id": "items.id",
    "label": "items.label",
    "group": 'items."group"',
    "root": "items.root",
    "path": "items.path",
    "digest": "lower(hex(items.digest))",
    "width": "items.width",
    "height": "items.height",
}
_COLUMN_FACETS = """
    SELECT {column}, count(*), '' AS kind FROM (SELECT * FROM items{where}) AS items
    WHERE {column} IS NOT NULL GROUP BY 1"""
# 1 and 1.0 are one value, as in filters; 1 and true are two.
_KIND = "CASE {type} WHEN 'integer' THEN 'real' ELSE {type} END"
_METADATA_FACETS = f"""
    SELECT each.value, count(DISTINCT items.seq), {_KIND.format(type="each.type")} AS kind
    FROM (SELECT * FROM items{{where}}) AS items, json_each(items.metadata, ?) AS each
    WHERE typeof(each.key) != 'text' AND each.type NOT IN ('null', 'array', 'object')
    GROUP BY each.value, kind"""  # noqa: S608 - constants
_DECLARED_FACETS = f"""
    SELECT value, count(DISTINCT seq), {_KIND.format(type="type")} AS kind FROM field_values
    WHERE seq IN (SELECT seq FROM items{{where}}) AND field = ?
    GROUP BY value, kind"""  # noqa: S608 - constants
# What the triggers of the schema do for new items, for one field of existing items.
FILL = """
    INSERT INTO field_values
    SELECT items.seq, declared.field, each.type, each.value
    FROM declared, items, json_each(items.metadata, declared.path) AS each
    WHERE declared.field = ?
    AND typeof(each.key) != 'text' AND each.type NOT IN ('null', 'array', 'object')"""
_NUMBERS = frozenset({"width", "height"})
_ORDERS = frozenset({"<", "<=", ">", ">="})
_WHOLE_BYTES = re.compile(r"(?:[0-9a-f]{2})+")

Parameters = list[str | float | bytes]


def where_sql(  # noqa: PLR0911 - a case each
    condition: Condition, declared: Collection[str] = ()
) -> tuple[str, Parameters]:
    """Return an SQL condition on a row of ``items``, and its parameters in order. Pure.

    ``declared`` are the metadata fields whose values are in ``field_values``.
    """
    match condition:
        case And(parts):
            return _joined(" AND ", parts, declared)
        case Or(parts):
            return _joined(" OR ", parts, declared)
        case Not(part):
            sql, values = where_sql(part, declared)
            return f"NOT {sql}", values
        case Exists(field):
            return _exists(field)
        case In(field, values):
            return _joined(" OR ", [Compare(field, "=", value) for value in values], declared)
        case Compare(field, "!=", value):
            sql, parameters = where_sql(Compare(field, "=", value), declared)
            return f"NOT {sql}", parameters
        case Compare(field, operator, value):
            if field in _COLUMNS:
                return _column(field, operator, value)
            sql, parameters = _scalar("value", "type", operator, value)
            if (name := metadata_name(field)) in declared:
                chosen = "SELECT seq FROM field_values WHERE field = ? AND"
                return f"items.seq IN ({chosen} {sql})", [name, *parameters]
            # an array gives its elements (their keys are numbers), a scalar itself (no key)
            each = "EXISTS (SELECT 1 FROM json_each(items.metadata, ?) WHERE"
            return f"{each} typeof(key) != 'text' AND {sql})", [json_path(field), *parameters]
    raise TypeError(f"not a condition: {condition!r}")


def facets_sql(field: str, declared: Collection[str] = ()) -> tuple[str, Parameters]:
    """Return a SELECT of value, number of items and ``kind`` (a JSON type), and its parameters.

    ``{where}`` in it must be replaced by a clause, whose parameters come before these.
    """
    if field in FIELDS:
        column = _COLUMNS[field]
        return _COLUMN_FACETS.format(column=column, where="{where}"), []
    if (name := metadata_name(field)) in declared:
        return _DECLARED_FACETS, [name]
    return _METADATA_FACETS, [json_path(field)]


def _joined(
    word: str, parts: Sequence[Condition], declared: Collection[str]
) -> tuple[str, Parameters]:
    compiled = [where_sql(part, declared) for part in parts]
    if not compiled:
        return "0", []
    return f"({word.join(sql for sql, _ in compiled)})", [
        one for _, some in compiled for one in some
    ]


def _exists(field: str) -> tuple[str, Parameters]:
    if field in FIELDS:
        return f"({_COLUMNS[field]} IS NOT NULL AND {_COLUMNS[field]} != '')", []
    path = json_path(field)
    kind = "coalesce(json_type(items.metadata, ?), 'null')"
    empty = "coalesce(json_array_length(items.metadata, ?), 0) = 0"
    return f"({kind} != 'null' AND NOT ({kind} = 'array' AND {empty}))", [path, path, path]


def _column(field: str, operator: str, value: Value) -> tuple[str, Parameters]:
    column = _COLUMNS[field]
    if field in _NUMBERS:
        if value.number is None or operator == "^=":
            return "0", []
        return f"{column} {operator} ?", [value.number]
    if operator == "^=":
        sql, parameters = f"substr({column}, 1, length(?)) = ?", [value.text, value.text]
    elif operator in _ORDERS and value.number is not None:
        return "0", []  # text has no order with a number
    elif field == "digest" and _WHOLE_BYTES.fullmatch(value.text):
        # bytes are in the order of their digits, and take the column's index
        return f"items.digest {operator} ?", [bytes.fromhex(value.text)]
    elif operator == "=":
        return f"{column} IS ?", [value.text]  # never NULL, and takes the column's index
    else:
        sql, parameters = f"{column} {operator} ?", [value.text]
    return f"coalesce({sql}, 0)", [*parameters]  # NULL would make "not" find nothing


def _scalar(value: str, kind: str, operator: str, wanted: Value) -> tuple[str, Parameters]:
    """Return a condition on one JSON scalar, given the SQL of its value and type."""
    if operator == "^=":
        test = f"({kind} = 'text' AND substr({value}, 1, length(?)) = ?)"
        return test, [wanted.text, wanted.text]
    number = f"({kind} IN ('integer', 'real') AND {value} {operator} ?)"
    text = f"({kind} = 'text' AND {value} {operator} ?)"
    if operator in _ORDERS:
        if wanted.number is not None:
            return number, [wanted.number]
        return text, [wanted.text]
    tests = [text]
    values: Parameters = [wanted.text]
    if wanted.number is not None:
        tests.append(number)
        values.append(wanted.number)
    if wanted.text in ("true", "false"):
        tests.append(f"{kind} = '{wanted.text}'")
    return f"({' OR '.join(tests)})", values
