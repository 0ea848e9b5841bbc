"""Notes that explain why a search, a filter or a field finds nothing. Every way in shows them.

The ``explain_…`` functions query the store only when nothing was found. They then count a few
times and read the first few thousand items, whatever the size of the collection.
"""

from collections.abc import Iterator, Sequence
from itertools import islice, pairwise

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
    all_of,
)
from lookalike.core.protocols import Store
from lookalike.core.records import Hit, Json, Note
from lookalike.core.suggestions import closest, format_hint

__all__ = [
    "explain_blank",
    "explain_field",
    "explain_filter",
    "explain_order",
    "explain_search",
    "text",
]

_LOOKED_AT = 5000  # items whose metadata give the names of fields
_VALUES = 10_000  # of a field, most frequent first, that a wrong value is compared with
_UNIQUE = frozenset({"id", "path", "digest"})  # fields with as many values as there are items


def explain_search(
    store: Store,
    *,
    found: Sequence[Hit],
    kept: Sequence[Hit],
    where: Condition | None = None,
    min_score: float | None = None,
    per_group: bool = False,
) -> tuple[Note, ...]:
    """Say why a search kept none of its hits, or could not group them.

    ``found`` are the hits before ``min_score``, best first; ``kept`` those that reached it.
    """
    if kept:
        grouped = not per_group or any(hit.item.group for hit in kept)
        return () if grouped else _note_no_groups(store)
    if found and min_score is not None:
        return (_note_below(found[0], min_score),)
    if where is not None:
        return explain_filter(store, where) or (
            Note(code="no-other-item", message="no item but the query itself meets the filter"),
        )
    return explain_filter(store, None)


def explain_filter(store: Store, where: Condition | None) -> tuple[Note, ...]:
    """Say why no item meets a filter; nothing where one does.

    Without a filter, say so when the collection is empty.
    """
    if store.search.count(where):
        return ()
    if not store.search.count():
        return (Note(code="empty-collection", message="the collection is empty"),)
    if where is None:
        return ()
    found: list[Note] = []
    for part in _list_parts(where):
        if not _has_field(store, part.field):
            found.append(_note_unknown_field(store, part.field))
        elif not isinstance(part, Exists):
            found += _note_values(store, part)
    unique = {note.message: note for note in found}
    if not unique:
        return (Note(code="nothing-meets-filter", message="no item meets the filter"),)
    return tuple(unique.values())


def explain_blank(ids: Sequence[str]) -> tuple[Note, ...]:
    """Say that items were left out because their images are blank."""
    first = ids[0] if len(ids) == 1 else f"{ids[0]} …"
    message = f"blank images were left out ({first}); include_blank shows them"
    return (Note(code="blank-left-out", message=message, details={"count": len(ids)}),)


def explain_order(hits: Sequence[Hit], *, expand: int, diversity: float) -> tuple[Note, ...]:
    """Say why hits are not in the order of their scores, if an option has reordered them."""
    if all(one.score >= after.score for one, after in pairwise(hits)):
        return ()
    ways = [*(["the expanded query"] * bool(expand)), *(["diversity"] * bool(diversity))]
    if not ways:
        return ()
    message = f"ranked by {' and '.join(ways)}, so scores are not in order"
    return (Note(code="reordered", message=message),)


def explain_field(store: Store, name: str, where: Condition | None = None) -> tuple[Note, ...]:
    """Say why a field has no values among the items that meet a filter; nothing where it has."""
    if nothing := explain_filter(store, where):
        return nothing
    if store.search.count(all_of(where, Exists(name))):
        return ()
    if _has_field(store, name):
        message = f"no item that meets the filter has the field {name!r}"
        return (Note(code="no-such-field", message=message, details={"field": name}),)
    return (_note_unknown_field(store, name),)


def text(notes: Sequence[Note]) -> str:
    """Return the notes as one phrase."""
    return "; ".join(note.message for note in notes)


# --- one thing each ----------------------------------------------------------------------------


def _note_below(best: Hit, min_score: float) -> Note:
    # As many digits as it takes: 0.7999 does not reach 0.80, and must not look as if it did.
    digits = next(
        (n for n in range(2, 6) if round(best.score, n) < round(min_score, n) == min_score), 6
    )
    return Note(
        code="below-min-score",
        message=(
            f"no result reaches min score {min_score:.{digits}f}; the best is "
            f"{best.score:.{digits}f} ({best.item.id})"
        ),
        details={
            "min_score": min_score,
            "best": round(best.score, 6),
            "id": best.item.id,
        },
    )


def _note_no_groups(store: Store) -> tuple[Note, ...]:
    if _has_field(store, "group"):
        return ()
    message = "no item has a group; each item counts as a group of its own"
    return (Note(code="no-groups", message=message),)


def _note_unknown_field(store: Store, name: str) -> Note:
    known = (one for one in _list_names(store) if one != name)
    near = closest(name.removeprefix("metadata."), known)
    hint = format_hint(near)
    what = f"a {name}" if name in FIELDS else f"the field {name!r}"
    return Note(
        code="no-such-field",
        message=f"no item has {what}{hint}",
        details={"field": name, "did_you_mean": near[0] if near else None},
    )


def _note_values(store: Store, part: Compare | In) -> Iterator[Note]:
    """Return what is wrong with the values of a condition, where no item has them."""
    if isinstance(part, Compare) and part.operator not in ("=", "^="):
        yield from _note_other_type(store, part)
        return
    operator = part.operator if isinstance(part, Compare) else "="
    for value in part.values if isinstance(part, In) else (part.value,):
        if store.search.count(Compare(part.field, operator, value)) == 0:
            yield _note_unknown_value(store, part.field, operator, value)


def _note_other_type(store: Store, part: Compare) -> Iterator[Note]:
    """Say that a number is compared with text, or text with numbers, which no order has."""
    if part.field in FIELDS:
        return
    found = [one for one, _ in store.search.facets(part.field, limit=_VALUES)]
    texts = [one for one in found if isinstance(one, str)]
    numbers = [one for one in found if isinstance(one, int | float) and not isinstance(one, bool)]
    if part.value.number is not None and texts and not numbers:
        message = (
            f"{part.field} is text, such as {texts[0]!r}, and {part.operator} {part.value.text} "
            f"compares numbers; index the table again with --column-type {part.field}=number"
        )
        details: dict[str, Json] = {"type": "text", "example": texts[0]}
    elif part.value.number is None and numbers and not texts:
        message = (
            f"{part.field} is a number, such as {numbers[0]}, and {part.operator} "
            f"{part.value.text!r} compares text"
        )
        details = {"type": "number", "example": numbers[0]}
    else:
        return
    yield Note(code="other-type", message=message, details={"field": part.field, **details})


def _note_unknown_value(store: Store, field: str, operator: str, value: Value) -> Note:
    known = [] if field in _UNIQUE else store.search.facets(field, limit=_VALUES)
    folded = value.text.casefold()
    words = [(one, count) for one, count in known if isinstance(one, str)]
    if operator == "^=":
        alike = [(one, count) for one, count in words if one.casefold().startswith(folded)]
        wording = "begins with"
    else:
        alike = [(one, count) for one, count in words if one.casefold() == folded]
        wording = "="
    message = f"no item has {field} {wording} {value.text!r}"
    details: dict[str, Json] = {"field": field, "value": value.text}
    if alike:
        found, count = alike[0]
        has = "has" if count == 1 else "have"
        return Note(
            code="other-case",
            message=f"{message}; {count:,} {has} {found!r}",
            details={**details, "did_you_mean": found, "count": count},
        )
    near = closest(value.text, (one for one, _ in words))
    return Note(
        code="no-such-value",
        message=f"{message}{format_hint(near)}",
        details={**details, "did_you_mean": near[0] if near else None},
    )


def _has_field(store: Store, name: str) -> bool:
    return store.search.count(Exists(name)) > 0


def _list_names(store: Store) -> list[str]:
    """The names of the items' own fields and of the metadata, as far as the first items show."""
    names = dict.fromkeys(("label", "group", "id", "path"))
    for item in islice(store.items.scan(limit=_LOOKED_AT), _LOOKED_AT):
        for name, value in item.metadata.items():
            names[name] = None
            if isinstance(value, dict):
                names.update(dict.fromkeys(f"{name}.{inner}" for inner in value))
    return [*names, *store.search.declared()]


def _list_parts(condition: Condition) -> Iterator[Compare | In | Exists]:
    """The single conditions of a filter that items must meet; what is negated is passed over."""
    if isinstance(condition, And | Or):
        for part in condition.parts:
            yield from _list_parts(part)
    elif isinstance(condition, Not):
        return
    elif not (isinstance(condition, Compare) and condition.operator == "!="):
        yield condition
