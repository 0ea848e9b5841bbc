"""Labels: the field that holds them, paths of labels, and predictions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lookalike.core.filters import FIELDS, And, Compare, Condition, In, Or, Value, value_of
from lookalike.core.records import Item

__all__ = [
    "LabelField",
    "Path",
    "Prediction",
    "check_field",
    "condition_of",
    "is_of",
    "levels_of",
    "path_of",
    "sums",
]

Path = tuple[str, ...]  # a label's names from the top down; most have one


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """A label and its probability. The names of a path are joined by ``/``."""

    label: str
    probability: float


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelField:
    """The field that holds labels; with ``levels``, a text is a path split at ``/``."""

    by: str
    levels: bool = False


def check_field(by: str) -> None:
    if by in FIELDS - {"label"}:
        raise ValueError(f"{by} is not a category; choose label or a metadata field")


def path_of(item: Item, by: str, *, levels: bool = False) -> Path:
    """Return an item's label as a path; empty if it has none, or neither a text nor a list."""
    value = value_of(item, by)
    if isinstance(value, str) and value:
        return tuple(part for part in value.split("/") if part) if levels else (value,)
    if isinstance(value, list):
        return tuple(part for part in value if isinstance(part, str) and part)
    return ()


def is_of(item: Item, meaning: LabelField, paths: Sequence[Path]) -> bool:
    """Return whether an item meets ``condition_of``, without a store."""
    value = value_of(item, meaning.by)
    names = value if isinstance(value, list) else [value]
    texts = {
        str(one).lower() if isinstance(one, bool) else one  # JSON's true is also a text to filters
        for one in names
        if isinstance(one, str | bool)
    }
    if not meaning.levels:
        return any(texts.issuperset(path) for path in paths)
    return any(
        one == name or one.startswith(f"{name}/")
        for name in ("/".join(path) for path in paths)
        for one in texts
    )


def condition_of(meaning: LabelField, paths: Sequence[Path]) -> Condition:
    """Return the filter for items with these labels, or labels below them."""
    single = [path[0] for path in paths if len(path) == 1]
    parts: list[Condition] = []
    if single:  # in a list, one of its names
        parts.append(In(meaning.by, tuple(Value(name) for name in single)))
    for path in paths:
        name = "/".join(path)
        if meaning.levels:
            if len(path) > 1:
                parts.append(Compare(meaning.by, "=", Value(name)))
            parts.append(Compare(meaning.by, "^=", Value(f"{name}/")))
        elif len(path) > 1:
            parts.append(And(tuple(Compare(meaning.by, "=", Value(part)) for part in path)))
    return parts[0] if len(parts) == 1 else Or(tuple(parts))


def sums(found: Mapping[Path, float], depth: int) -> dict[Path, float]:
    """Return the probability of the first ``depth`` names of each path: the sum of its leaves."""
    summed: dict[Path, float] = {}
    for path, chance in found.items():
        summed[path[:depth]] = summed.get(path[:depth], 0.0) + chance
    return summed


def levels_of(found: Mapping[Path, float]) -> list[list[Prediction]]:
    """Return ranked predictions of each level: the top first, whole labels last."""
    deepest = max(map(len, found), default=1)
    return [
        [
            Prediction(label="/".join(path), probability=min(chance, 1.0))
            for path, chance in sorted(
                sums(found, depth).items(), key=lambda one: (-one[1], one[0])
            )
        ]
        for depth in range(1, deepest + 1)
    ]
