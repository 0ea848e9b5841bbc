"""Labels, groups and metadata members set by hand, which a source must not change.

A side table has a row for each item of which something was set by hand. The row holds the values
themselves, so whatever writes the item, the next run of `index` can restore them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypedDict

from lookalike.core.near_ids import item_not_found
from lookalike.core.protocols import Store
from lookalike.core.records import Entry, Item, Json, SideRow

__all__ = [
    "NOTHING",
    "TABLE",
    "ItemChanges",
    "ManualEdits",
    "apply_edit",
    "forget_edits",
    "read_edits",
]

TABLE = "by_hand"

_FIELDS = ("label", "group")


class ItemChanges(TypedDict, total=False):
    """What can be set by hand of an item."""

    label: str | None
    group: str | None
    metadata: dict[str, Json]


@dataclass(frozen=True, slots=True, kw_only=True)
class ManualEdits:
    """What was set by hand of one item.

    ``fields`` has ``label`` and ``group``, if they were set; ``None`` means removed. ``members``
    are the metadata members that were set, ``removed`` those that were removed.
    """

    fields: Mapping[str, str | None] = field(default_factory=dict)
    members: Mapping[str, Json] = field(default_factory=dict)
    removed: frozenset[str] = frozenset()

    def __bool__(self) -> bool:
        return bool(self.fields or self.members or self.removed)

    def over(self, item: Item) -> Item:
        """Return the item with what was set by hand."""
        if not self:
            return item
        kept = {name: one for name, one in item.metadata.items() if name not in self.removed}
        changes: dict[str, Any] = {**self.fields, "metadata": {**kept, **self.members}}
        return replace(item, **changes)

    def against(self, entry: Entry) -> bool:
        """Return whether a source gives another value than the one set by hand."""
        said = entry.metadata
        return any(
            getattr(entry, name) is not None and getattr(entry, name) != value
            for name, value in self.fields.items()
        ) or (
            said is not None
            and (
                any(name not in said or said[name] != one for name, one in self.members.items())
                or any(name in said for name in self.removed)
            )
        )

    def without(self, entry: Entry) -> "ManualEdits":
        """Return what remains once the values of a source have replaced those set by hand."""
        fields = {name: one for name, one in self.fields.items() if getattr(entry, name) is None}
        if entry.metadata is None:
            return replace(self, fields=fields)
        return ManualEdits(fields=fields)

    def and_then(self, later: "ManualEdits") -> "ManualEdits":
        """Return both combined; where they differ, ``later`` wins."""
        members = {
            name: one for name, one in self.members.items() if name not in later.removed
        } | dict(later.members)
        return ManualEdits(
            fields={**self.fields, **later.fields},
            members=members,
            removed=(self.removed | later.removed) - members.keys(),
        )

    def as_json(self) -> dict[str, Json]:
        """Return the value of its row."""
        return {
            "fields": dict(self.fields),
            "members": dict(self.members),
            "removed": [*sorted(self.removed)],
        }

    @classmethod
    def of_json(cls, value: Json) -> "ManualEdits":
        """Return what the value of a row holds; nothing for a value of another form."""
        if not isinstance(value, dict):
            return NOTHING
        fields, members, removed = (value.get(one) for one in ("fields", "members", "removed"))
        return cls(
            fields={
                name: one
                for name, one in (fields.items() if isinstance(fields, dict) else ())
                if name in _FIELDS and (one is None or isinstance(one, str))
            },
            members=members if isinstance(members, dict) else {},
            removed=frozenset(map(str, removed if isinstance(removed, list) else ())),
        )


NOTHING = ManualEdits()


def read_edits(store: Store, ids: Sequence[str]) -> dict[str, ManualEdits]:
    """Return what was set by hand, for those of these items of which something was."""
    found = store.table(TABLE).get(ids)
    return {one: ManualEdits.of_json(row.value) for one, row in found.items()}


def apply_edit(store: Store, ids: Sequence[str], changes: ItemChanges) -> list[Item]:
    """Change ``label``, ``group`` or ``metadata`` of items by hand, and return the items.

    ``metadata`` replaces all metadata; the members that differ from before count as set by hand.
    Raise ``ItemNotFoundError``, and then change nothing.
    """
    named = list(dict.fromkeys(ids))
    found = store.items.get(named)
    absent = next((one for one in named if one not in found), None)
    if absent is not None:
        raise item_not_found(store, absent)
    before = read_edits(store, named)
    items, rows = [], []
    for one in named:
        item = found[one]
        items.append(replace(item, **changes))
        hand = before.get(one, NOTHING).and_then(_make_change(item, changes))
        rows.append(SideRow(id=one, value=hand.as_json()))
    # The rows come first: if this is interrupted, the next `index` updates the items.
    store.table(TABLE).put(rows)
    store.items.update(items)
    return items


def forget_edits(store: Store, ids: Sequence[str]) -> None:
    """Delete what was set by hand of items that are removed for good."""
    store.table(TABLE).delete(ids)


def _make_change(item: Item, changes: ItemChanges) -> ManualEdits:
    fields: dict[str, str | None] = {}
    if "label" in changes:
        fields["label"] = changes["label"]
    if "group" in changes:
        fields["group"] = changes["group"]
    if "metadata" not in changes:
        return ManualEdits(fields=fields)
    before, after = item.metadata, changes["metadata"]
    return ManualEdits(
        fields=fields,
        members={
            name: one for name, one in after.items() if name not in before or before[name] != one
        },
        removed=frozenset(before.keys() - after.keys()),
    )
