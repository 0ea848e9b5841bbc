"""Count the values of a field on the server, with the number of items of each."""

from collections.abc import Iterator
from typing import Any, TypeAlias

from lookalike.core.filters import FIELDS
from lookalike.stores.servers.queries import Query, facet_terms, token_start
from lookalike.stores.servers.reading import Reader, both
from lookalike.stores.servers.tokens import value_of

__all__ = ["Facet", "distinct", "facets"]

Facet: TypeAlias = tuple[str | float | bool, int]

_PAGE = 5000  # values per request if all are wanted


def facets(items: Reader, field: str, where: Query | None, *, limit: int) -> list[Facet]:
    """Return at most ``limit`` values, most frequent first, ties by value."""
    if limit < 1:
        return []
    body: dict[str, Any] = {
        "size": 0,
        "track_total_hits": False,
        "aggs": {"values": facet_terms(field, limit)},
    }
    if (query := both(items.only, where)) is not None:
        body["query"] = query
    found = items.search(body)["aggregations"]["values"]
    counted = [(one["key"], one["doc_count"]) for one in found["buckets"]]
    if found[
        "doc_count_error_upper_bound"
    ]:  # the most frequent of single shards are not those of all
        counted = sorted(_all(items, field, where), key=lambda one: (-one[1], one[0]))[:limit]
    return [(_value(field, key), count) for key, count in counted]


def distinct(items: Reader, field: str, where: Query | None) -> int:
    """Return the number of values; counted exactly, as a server's own figure is an estimate."""
    return sum(1 for _ in _all(items, field, where))


def _all(items: Reader, field: str, where: Query | None) -> Iterator[tuple[Any, int]]:
    """Yield every value as the server returns it, ascending, with its number of items."""
    own = field in FIELDS
    start = "" if own else token_start(field)
    values = {"value": {"terms": {"field": field if own else "tokens"}}}
    composite: dict[str, Any] = {"size": _PAGE, "sources": [values]}
    if not own:
        composite["after"] = {"value": start}
    body: dict[str, Any] = {
        "size": 0,
        "track_total_hits": False,
        "aggs": {"values": {"composite": composite}},
    }
    if (query := both(items.only, where)) is not None:
        body["query"] = query
    while True:
        found = items.search(body)["aggregations"]["values"]
        for bucket in found["buckets"]:
            key = bucket["key"]["value"]
            if not own and not key.startswith(start):
                return
            if own or key[len(start)] != "e":
                yield key, bucket["doc_count"]
        if "after_key" not in found:
            return
        composite["after"] = found["after_key"]


def _value(field: str, key: Any) -> str | float | bool:  # noqa: ANN401 - JSON
    if field not in FIELDS:
        return value_of(key[len(token_start(field)) :])
    if isinstance(key, float):
        return int(key)
    return str(key)
