"""The meaning of filters and facets in plain Python: what every store is compared with."""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from lookalike.core.filters import (
    FIELDS,
    And,
    Compare,
    Condition,
    Exists,
    In,
    Not,
    Or,
    Value,
    value_of,
)
from lookalike.core.records import Item, Json

__all__ = ["facets", "meets"]


def meets(condition: Condition, item: Item) -> bool:  # noqa: PLR0911 - a case each
    match condition:
        case And(parts):
            return all(meets(part, item) for part in parts)
        case Or(parts):
            return any(meets(part, item) for part in parts)
        case Not(part):
            return not meets(part, item)
        case Exists(field):
            return value_of(item, field) not in (None, [], "" if field in FIELDS else None)
        case In(field, values):
            return any(meets(Compare(field, "=", value), item) for value in values)
        case Compare(field, "!=", value):
            return not meets(Compare(field, "=", value), item)
        case Compare(field, operator, value):
            return any(_holds(one, operator, value) for one in _scalars(value_of(item, field)))
    raise TypeError(condition)


def facets(items: Iterable[Item], field: str) -> list[tuple[str | float | bool, int]]:
    """Return the values of a field and how many items have each, in the order of facets."""
    counted: Counter[tuple[int, Any]] = Counter()
    for item in items:
        # false and true, then numbers, then text; and true is not 1
        counted.update(
            {
                (0 if isinstance(one, bool) else 2 if isinstance(one, str) else 1, one)
                for one in _scalars(value_of(item, field))
            }
        )
    ordered = sorted(counted.items(), key=lambda one: (-one[1], one[0]))
    return [(value, count) for (_, value), count in ordered]


def _scalars(value: Json) -> Iterator[str | float | bool]:
    if isinstance(value, list):
        for one in value:
            if isinstance(one, str | int | float):
                yield one
    elif isinstance(value, str | int | float):
        yield value


def _holds(one: str | float, operator: str, value: Value) -> bool:  # noqa: PLR0911 - a case each
    if operator == "^=":
        return isinstance(one, str) and one.startswith(value.text)
    if operator == "=":
        if isinstance(one, bool):
            return value.text == ("true" if one else "false")
        if isinstance(one, str):
            return one == value.text
        return value.number is not None and one == value.number
    if isinstance(one, bool):
        return False
    wanted: Any = value.text if value.number is None else value.number
    if isinstance(one, str) != isinstance(wanted, str):
        return False
    left: Any = one
    orders = {
        "<": left < wanted,
        "<=": left <= wanted,
        ">": left > wanted,
        ">=": left >= wanted,
    }
    return bool(orders[operator])
