"""The journal of a run: which items got content that may have come from elsewhere."""

import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lookalike.core import manual_edits
from lookalike.core.manual_edits import NOTHING, ManualEdits
from lookalike.core.protocols import Store
from lookalike.core.records import (
    Entry,
    Item,
    Json,
    SideRow,
)
from lookalike.indexing.missing_rows import REPLACED, TABLE, item_of, place_json
from lookalike.indexing.pairing import Former

__all__ = ["ARRIVALS", "Arrival", "Arrivals", "journalled_at", "read_arrival"]

ARRIVALS = "arrived"


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """An item with new content: ``entry`` has what its source says, ``before`` what it replaced."""

    item: Item
    entry: Entry
    before: Former | None


class Arrivals:
    """The journal of one run: which items got content that may have come from elsewhere.

    It is in the store, so that annotations still follow when a run is killed and repeated.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._table = store.table(ARRIVALS)
        filled = store.tables()
        self._missing = [store.table(name) for name in (TABLE, REPLACED) if name in filled]
        self._left: set[str] = set()  # digests that were replaced in this run

    def write(
        self,
        entries: Mapping[str, Entry],
        items: Sequence[Item],
        before: Mapping[str, Item],
        known: Collection[str],
    ) -> None:
        """Journal items that are about to be stored.

        ``before`` are the items that they replace, ``known`` the digests that the store has.
        """
        awaited: set[str] = set()
        for table in self._missing:
            awaited |= {row.digest for row in table.with_digest([one.digest for one in items])}
            awaited |= table.get([one.id for one in items]).keys()
        hands = manual_edits.read_edits(self._store, [*before]) if before else {}
        rows = []
        for item in items:
            old = before.get(item.id)
            if old is not None:
                self._left.add(old.digest)
            if (
                old is not None
                or item.digest in known
                or item.digest in self._left
                or not awaited.isdisjoint((item.digest, item.id))
            ):
                hand = hands.get(item.id, NOTHING)
                rows.append(_arrival_row(item, entries[item.id], old, hand))
        self._table.put(rows)


def _arrival_row(item: Item, entry: Entry, before: Item | None, hand: ManualEdits) -> SideRow:
    value: dict[str, Json] = {
        "at": time.time(),
        "root": item.root,
        "path": item.path,
        "label": entry.label,
        "group": entry.group,
        "metadata": None if entry.metadata is None else dict(entry.metadata),
        "partial": entry.partial,
        "before": None
        if before is None
        else {"digest": before.digest, **place_json(before), "by_hand": hand.as_json()},
    }
    return SideRow(id=item.id, digest=item.digest, value=value)


def journalled_at(row: SideRow) -> float:
    """Return the Unix time at which a row of the journal was written."""
    value: Any = row.value
    return float(value["at"])


def read_arrival(row: SideRow, item: Item) -> Arrival:
    """Return what the journal says of ``item``, which is stored now."""
    value: Any = row.value
    annotations = {name: value[name] for name in ("label", "group", "metadata", "partial")}
    before = value["before"]
    return Arrival(
        item=item,
        entry=Entry(id=item.id, image=b"", **annotations),
        before=None
        if before is None
        else Former(
            item=item_of(row.id, before["digest"], before),
            origin="replaced",
            by_hand=ManualEdits.of_json(before["by_hand"]),
        ),
    )
