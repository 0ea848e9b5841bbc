"""Choose the queries of an evaluation, the gallery that they search, and the class of each."""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from lookalike.analysis.evaluation.rankings import Rows
from lookalike.analysis.evaluation.scores import Split
from lookalike.core.filters import FIELDS, value_of
from lookalike.core.notes import text
from lookalike.core.records import Item
from lookalike.errors import CollectionError

if TYPE_CHECKING:
    from lookalike.collection import Collection


__all__ = ["QueryPlan", "class_of", "plan_queries"]


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryPlan:
    """Queries and gallery. Rows index the first collection's participating items, by id."""

    by: str
    where: str | None
    split: Split | None
    seed: int
    distractors: bool
    names: list[str]
    classes: Rows  # (n,) number of a name; -1 for an item without a class
    ids: list[list[str]]  # for each collection, (n,)
    queries: Rows
    gallery: Rows
    eligible: int
    alone: int
    unclassed: int
    common: int
    left_out: tuple[int, ...]


def plan_queries(
    collections: Sequence["Collection"],
    *,
    by: str,
    where: str | None,
    split: Split | None,
    queries: int | None,
    seed: int,
    distractors: bool,
) -> QueryPlan:
    first = collections[0]
    known = [_Known.of(item, by) for item in first.items(where)]
    mapped: list[dict[str, str]] = []
    common, left_out = len(known), [0]
    if len(collections) > 1:
        keyed = [_key_items((item.id, item.digest) for item in one) for one in collections]
        shared = set(keyed[0]).intersection(*keyed[1:])
        if not shared:
            raise CollectionError(
                "the collections have no image in common; index the same files into each"
            )
        mapped = [{keyed[0][key]: one[key] for key in shared} for one in keyed[1:]]
        known = [item for item in known if item.id in mapped[0]]
        common, left_out = len(shared), [len(one) - len(shared) for one in keyed]
    unclassed = sum(item.name is None for item in known)
    kept = known if distractors else [item for item in known if item.name is not None]
    if unclassed == len(known):
        raise CollectionError(_explain_no_classes(first, len(known), by, where))
    names = sorted({item.name for item in kept if item.name is not None})
    numbers = {name: number for number, name in enumerate(names)}
    classes = np.array(
        [-1 if item.name is None else numbers[item.name] for item in kept], dtype=np.intp
    )
    for side in split or ():
        if side is not None and (why := first.notes(side)):
            raise CollectionError(f"no item meets {side}: {text(why)}")
    asking, gallery = _split_sides(first, [item.id for item in kept], split)
    asking = asking[classes[asking] >= 0]
    sizes = np.bincount(classes[gallery][classes[gallery] >= 0], minlength=len(names))
    to_find = sizes[classes[asking]] - np.isin(asking, gallery)
    eligible = asking[to_find > 0]
    if not len(eligible):
        raise CollectionError(_explain_nothing_to_find(len(asking), by, split))
    chosen = eligible
    if queries is not None and queries < len(eligible):
        drawn = np.random.default_rng(seed).choice(len(eligible), queries, replace=False)
        chosen = eligible[np.sort(drawn)]
    return QueryPlan(
        by=by,
        where=where,
        split=split,
        seed=seed,
        distractors=distractors,
        names=names,
        classes=classes,
        ids=[[item.id for item in kept], *([one[item.id] for item in kept] for one in mapped)],
        queries=chosen,
        gallery=gallery,
        eligible=len(eligible),
        alone=len(asking) - len(eligible),
        unclassed=unclassed,
        common=common,
        left_out=tuple(left_out),
    )


@dataclass(frozen=True, slots=True)
class _Known:
    """The required fields of an item, in a tenth of its memory."""

    id: str
    name: str | None

    @classmethod
    def of(cls, item: Item, by: str) -> "_Known":
        return cls(item.id, class_of(item, by))


def class_of(item: Item, by: str) -> str | None:
    """Return the value of a field as text; ``None`` if there is none."""
    value = value_of(item, by)
    if isinstance(value, list | dict):
        raise CollectionError(
            f"{by} of {item.id!r} is a {'list' if isinstance(value, list) else 'group'} of values; "
            "only a field with one value per item says which results are right"
        )
    if value is None or value == "":
        return None
    if isinstance(value, float) and value.is_integer():
        value = int(value)  # 1.0 and 1 are one class
    return value if isinstance(value, str) else json.dumps(value)


def _key_items(items: Iterator[tuple[str, str]]) -> dict[tuple[str, int], str]:
    """Return (digest, number among its duplicates by id) → id."""
    seen: Counter[str] = Counter()
    keys = {}
    for item_id, digest in items:
        keys[digest, seen[digest]] = item_id
        seen[digest] += 1
    return keys


def _split_sides(first: "Collection", ids: Sequence[str], split: Split | None) -> tuple[Rows, Rows]:
    """Return the rows of the queries and of the gallery."""
    everything = np.arange(len(ids))
    if split is None:
        return everything, everything
    sides = []
    for where in split:
        if where is None:
            sides.append(everything)
            continue
        meant = {item.id for item in first.items(where)}
        sides.append(np.flatnonzero([one in meant for one in ids]))
    return sides[0], sides[1]


def _explain_no_classes(first: "Collection", items: int, by: str, where: str | None) -> str:
    if not items:
        reason = text(first.notes(where))
        return f"no item meets {where}: {reason}" if where else reason
    how = {
        "label": "set labels with `lookalike label`, or index a catalogue or class folders",
        "group": "index a catalogue with a group column (`lookalike index --group-column`)",
    }.get(by, "`lookalike info --fields` lists the fields that there are")
    if by not in FIELDS and (why := first.notes(where, field=by)):
        how = (
            f"{text(why)} {how[0].upper()}{how[1:]}"
            if text(why).endswith("?")
            else f"{text(why)}; {how}"
        )
    return f"none of the {items:,} items has a {by}, so nothing says which results are right; {how}"


def _explain_nothing_to_find(asking: int, by: str, split: Split | None) -> str:
    if not asking:
        side = f" that meets {split[0]}" if split else ""
        return f"there is no query: no item{side} has a {by}"
    return f"no two images share a {by}, so there is nothing to find"
