"""Translate conditions into queries of Elasticsearch and OpenSearch. Pure.

They mean exactly the same as ``core.filters`` and the embedded store.
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
"""Items in the server's ANN index."""

_NUMBERS = frozenset({"width", "height"})
_ORDERS = {"<": "lt", "<=": "lte", ">": "gt", ">=": "gte"}
# Servers refuse deeper nesting (20 in OpenSearch, 30 in Elasticsearch).
_DEEPEST = 18
_LARGEST = 1.7976931348623157e308
_LONGEST = 32_766  # bytes of a term
_BOUND = 900  # bytes of a range's bound: Lucene 9 makes an automaton of it, of at most 1,000 states
_FOLDER = 200  # characters of a folder's name that a server looks for


def condition_query(condition: Condition | None) -> Query | None:
    """Return the query for the items that meet a condition; ``None`` if there is no condition."""
    return None if condition is None else filter_query(condition)


def filter_query(condition: Condition, *, depth: int = 0) -> Query:  # noqa: PLR0911 - a case each
    """Return a query for the items that meet a condition. Raise ``FilterError``."""
    _check(depth)
    match condition:
        case And(parts):
            return {"bool": {"filter": [filter_query(part, depth=depth + 1) for part in parts]}}
        case Or(parts):
            return _match_any([filter_query(part, depth=depth + 1) for part in parts])
        case Not(Not(part)):
            return filter_query(part, depth=depth)
        case Not(part):
            return {"bool": {"must_not": [filter_query(part, depth=depth + 1)]}}
        case Exists(field):
            return _match_exists(field)
        case In(field, values):
            return _match_any([filter_query(Compare(field, "=", value)) for value in values])
        case Compare(field, "!=", value):
            return {"bool": {"must_not": [filter_query(Compare(field, "=", value))]}}
        case Compare(field, operator, value) if field in FIELDS:
            return _match_own_field(field, operator, value)
        case Compare(field, operator, value):
            return _match_metadata(token_start(field), operator, value)
    raise TypeError(f"not a condition: {condition!r}")


def token_start(field: str) -> str:
    """Return the prefix of all tokens of a metadata field. Raise ``FilterError``."""
    json_path(field)  # the same names as everywhere
    return f"{tokens.path_name(metadata_name(field))}="


def facet_terms(field: str, limit: int) -> Query:
    """Return the aggregation that counts the ``limit`` most frequent values of a field."""
    terms: Query = {"size": limit, "order": [{"_count": "desc"}, {"_key": "asc"}]}
    if field in FIELDS:
        return {"terms": {"field": field, **terms}}
    start = re.sub(r'([.?+*|{}\[\]()"\\#@&<>~^$-])', r"\\\1", token_start(field))
    # Without the "?", OpenSearch 2.19 fails if the last of all tokens sorts before these.
    return {"terms": {"field": "tokens", "include": f"({start}[bns].*)?", **terms}}


def below(under: str) -> Query:
    """Return the query for paths below a folder; a very long name also matches similar ones."""
    return beginning("path", f"{under}/"[:_FOLDER])


def beginning(field: str, start: str) -> Query:
    """Terms of a field that begin so."""
    return _match_range(field, *_bound_prefix(start))


def _check(depth: int) -> None:
    if depth > _DEEPEST:
        raise FilterError(
            f"more than {_DEEPEST} nested conditions, which no server accepts",
            text="",
            at=0,
        )


def _match_any(parts: Sequence[Query]) -> Query:
    if not parts:
        return NOTHING
    terms = [part["terms"] for part in parts if "terms" in part]
    if (
        len(terms) == len(parts)
        and len({field for one in terms for field in _split_terms(one)}) == 1
    ):
        (field,) = _split_terms(terms[0])
        return _match_terms(
            field, [str(value) for one in terms for value in _split_terms(one)[field]]
        )
    return {"bool": {"should": [*parts], "minimum_should_match": 1}}


def _split_terms(one: Json) -> dict[str, list[Json]]:
    return one  # type: ignore[return-value]  # the inside of a "terms" that was made here


def _bound_prefix(start: str) -> tuple[dict[str, Json], str]:
    """Return the bounds of terms with this prefix, and the length of the longer one."""
    bounds: dict[str, Json] = {"gte": start}
    after = tokens.first_after(start)
    return (bounds if after is None else {**bounds, "lt": after}), start


def _match_range(field: str, bounds: dict[str, Json], longest: str) -> Query:
    # A range, not a prefix query, whose limit of 1,000 characters is counted differently.
    if len(longest.encode()) > _BOUND:
        raise FilterError(
            f"a server compares text by its order or beginning only up to {_BOUND} bytes, the "
            "field's name included; this is longer",
            text=longest[:60],
            at=0,
        )
    return {"range": {field: bounds}}


def _match_terms(field: str, values: Sequence[str]) -> Query:
    return {"terms": {field: [*dict.fromkeys(values)]}}


def _match_exists(field: str) -> Query:
    if field in _NUMBERS:
        return {"exists": {"field": field}}
    if field in FIELDS:
        empty: Query = {"term": {field: {"value": ""}}}
        return {"bool": {"filter": [{"exists": {"field": field}}], "must_not": [empty]}}
    return _match_terms("tokens", [f"{token_start(field)}e"])


def _match_own_field(field: str, operator: str, value: Value) -> Query:
    """Return a condition on one of an item's own fields."""
    if field in _NUMBERS:
        return _match_own_number(field, operator, value)
    if operator in _ORDERS and value.number is not None:
        return NOTHING  # text has no order with a number
    if operator in _ORDERS:
        return _match_range(field, {_ORDERS[operator]: value.text}, value.text)
    if operator == "=":
        return (
            _match_terms(field, [value.text]) if len(value.text.encode()) <= _LONGEST else NOTHING
        )
    return (
        _match_range(field, *_bound_prefix(value.text))
        if value.text
        else {"exists": {"field": field}}
    )


def _match_own_number(field: str, operator: str, value: Value) -> Query:
    if value.number is None or operator == "^=":
        return NOTHING
    # JSON has no infinity; every pixel count lies below the largest double
    number = max(min(value.number, _LARGEST), -_LARGEST)
    if operator == "=":
        return NOTHING if abs(value.number) == inf else {"term": {field: {"value": number}}}
    return {"range": {field: {_ORDERS[operator]: number}}}


def _match_metadata(start: str, operator: str, value: Value) -> Query:
    """Return a condition on a metadata field, by its tokens."""
    if operator == "=":
        found = [start + tokens.text(value.text)]
        if value.number is not None:
            found.append(start + tokens.number(value.number))
        if value.text in ("true", "false"):
            found.append(f"{start}b{value.text}")
        return _match_terms("tokens", found)
    if operator == "^=":
        return _match_range("tokens", *_bound_prefix(f"{start}s{value.text}"))
    if value.number is None:
        kind, wanted = f"{start}s", start + tokens.text(value.text)
    else:
        kind, wanted = f"{start}n", start + tokens.number(value.number)
    bounds: dict[str, Json] = {_ORDERS[operator]: wanted}
    if operator in ("<", "<="):
        bounds["gte"] = kind
    else:
        bounds["lt"] = tokens.first_after(kind)
    return _match_range("tokens", bounds, wanted)
