"""Conditions → queries of Elasticsearch and OpenSearch, which speak alike here. Pure.

The meaning is that of ``core.filters`` and, to the last item, of the embedded store.
"""

import re
from collections.abc import Sequence
from math import inf
from typing import TypeAlias

from lookalike.core.filters import FIELDS, And, Compare, Condition, Exists, In, Not, Or, Value
from lookalike.core.records import Json
from lookalike.errors import FilterError
from lookalike.stores.field_names import json_path, metadata_name
from lookalike.stores.servers import tokens

__all__ = [
    "HAS_VECTOR",
    "NOTHING",
    "Query",
    "beginning",
    "below",
    "condition_query",
    "facet_terms",
    "filter_query",
    "token_start",
]

Query: TypeAlias = dict[str, Json]

NOTHING: Query = {"match_none": {}}

HAS_VECTOR: Query = {"exists": {"field": "vector"}}
"""Items that the server's graph knows."""

_NUMBERS = frozenset({"width", "height"})
_ORDERS = {"<": "lt", "<=": "lte", ">": "gt", ">=": "gte"}
# Servers refuse more clauses within each other (20 in OpenSearch, 30 in Elasticsearch).
_DEEPEST = 18
_LARGEST = 1.7976931348623157e308
_LONGEST = 32_766  # bytes of a term
_BOUND = 900  # bytes of a range's bound: Lucene 9 makes an automaton of it, of at most 1,000 states
_FOLDER = 200  # characters of a folder's name that a server looks for


def condition_query(condition: Condition | None) -> Query | None:
    """Return the query for the items that meet a condition; ``None`` where there is none."""
    return None if condition is None else filter_query(condition)


def filter_query(condition: Condition, *, depth: int = 0) -> Query:  # noqa: PLR0911 - a case each
    """A query that finds the items that meet a condition. Raises ``FilterError``."""
    _check(depth)
    match condition:
        case And(parts):
            return {"bool": {"filter": [filter_query(part, depth=depth + 1) for part in parts]}}
        case Or(parts):
            return _either([filter_query(part, depth=depth + 1) for part in parts])
        case Not(Not(part)):
            return filter_query(part, depth=depth)
        case Not(part):
            return {"bool": {"must_not": [filter_query(part, depth=depth + 1)]}}
        case Exists(field):
            return _exists(field)
        case In(field, values):
            return _either([filter_query(Compare(field, "=", value)) for value in values])
        case Compare(field, "!=", value):
            return {"bool": {"must_not": [filter_query(Compare(field, "=", value))]}}
        case Compare(field, operator, value) if field in FIELDS:
            return _own(field, operator, value)
        case Compare(field, operator, value):
            return _told(token_start(field), operator, value)
    raise TypeError(f"not a condition: {condition!r}")


def token_start(field: str) -> str:
    """What all tokens of a metadata field begin with. Raises ``FilterError``."""
    json_path(field)  # the same names as everywhere
    return f"{tokens.path_name(metadata_name(field))}="


def facet_terms(field: str, limit: int) -> Query:
    """The aggregation that counts the ``limit`` most frequent values of a field."""
    terms: Query = {"size": limit, "order": [{"_count": "desc"}, {"_key": "asc"}]}
    if field in FIELDS:
        return {"terms": {"field": field, **terms}}
    start = re.sub(r'([.?+*|{}\[\]()"\\#@&<>~^$-])', r"\\\1", token_start(field))
    # Without the "?", OpenSearch 2.19 fails where the last of all tokens comes before these.
    return {"terms": {"field": "tokens", "include": f"({start}[bns].*)?", **terms}}


def below(under: str) -> Query:
    """Paths below a folder; of one with a very long name, also others that begin like it."""
    return beginning("path", f"{under}/"[:_FOLDER])


def beginning(field: str, start: str) -> Query:
    """Terms of a field that begin so."""
    return _range(field, *_beginning(start))


def _check(depth: int) -> None:
    if depth > _DEEPEST:
        raise FilterError(
            f"more than {_DEEPEST} conditions stand within each other, which no server takes",
            text="",
            at=0,
        )


def _either(parts: Sequence[Query]) -> Query:
    if not parts:
        return NOTHING
    terms = [part["terms"] for part in parts if "terms" in part]
    if len(terms) == len(parts) and len({field for one in terms for field in _of(one)}) == 1:
        (field,) = _of(terms[0])
        return _terms(field, [str(value) for one in terms for value in _of(one)[field]])
    return {"bool": {"should": [*parts], "minimum_should_match": 1}}


def _of(one: Json) -> dict[str, list[Json]]:
    return one  # type: ignore[return-value]  # the inside of a "terms" that was made here


def _beginning(start: str) -> tuple[dict[str, Json], str]:
    """The bounds of terms that begin so, and the longest of them."""
    bounds: dict[str, Json] = {"gte": start}
    after = tokens.first_after(start)
    return (bounds if after is None else {**bounds, "lt": after}), start


def _range(field: str, bounds: dict[str, Json], longest: str) -> Query:
    # A range rather than a prefix, which may have 1,000 characters, but counts them otherwise.
    if len(longest.encode()) > _BOUND:
        raise FilterError(
            f"a server compares text by its order or beginning only up to {_BOUND} bytes, the "
            "field's name included; this is longer",
            text=longest[:60],
            at=0,
        )
    return {"range": {field: bounds}}


def _terms(field: str, values: Sequence[str]) -> Query:
    return {"terms": {field: [*dict.fromkeys(values)]}}


def _exists(field: str) -> Query:
    if field in _NUMBERS:
        return {"exists": {"field": field}}
    if field in FIELDS:
        empty: Query = {"term": {field: {"value": ""}}}
        return {"bool": {"filter": [{"exists": {"field": field}}], "must_not": [empty]}}
    return _terms("tokens", [f"{token_start(field)}e"])


def _own(field: str, operator: str, value: Value) -> Query:
    """A condition on one of an item's own fields."""
    if field in _NUMBERS:
        return _own_number(field, operator, value)
    if operator in _ORDERS and value.number is not None:
        return NOTHING  # text has no order with a number
    if operator in _ORDERS:
        return _range(field, {_ORDERS[operator]: value.text}, value.text)
    if operator == "=":
        return _terms(field, [value.text]) if len(value.text.encode()) <= _LONGEST else NOTHING
    return _range(field, *_beginning(value.text)) if value.text else {"exists": {"field": field}}


def _own_number(field: str, operator: str, value: Value) -> Query:
    if value.number is None or operator == "^=":
        return NOTHING
    # JSON has no infinity; every pixel count lies below the largest double
    number = max(min(value.number, _LARGEST), -_LARGEST)
    if operator == "=":
        return NOTHING if abs(value.number) == inf else {"term": {field: {"value": number}}}
    return {"range": {field: {_ORDERS[operator]: number}}}


def _told(start: str, operator: str, value: Value) -> Query:
    """A condition on a metadata field, by its tokens."""
    if operator == "=":
        found = [start + tokens.text(value.text)]
        if value.number is not None:
            found.append(start + tokens.number(value.number))
        if value.text in ("true", "false"):
            found.append(f"{start}b{value.text}")
        return _terms("tokens", found)
    if operator == "^=":
        return _range("tokens", *_beginning(f"{start}s{value.text}"))
    if value.number is None:
        kind, wanted = f"{start}s", start + tokens.text(value.text)
    else:
        kind, wanted = f"{start}n", start + tokens.number(value.number)
    bounds: dict[str, Json] = {_ORDERS[operator]: wanted}
    if operator in ("<", "<="):
        bounds["gte"] = kind
    else:
        bounds["lt"] = tokens.first_after(kind)
    return _range("tokens", bounds, wanted)
