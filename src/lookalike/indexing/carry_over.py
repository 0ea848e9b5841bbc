"""Carry the annotations of a file that was moved, or that is back, over to its new item.

A file that only changed its path takes its label, group, metadata, thumbnail and manual edits along
in the same run: ``carry_annotations`` pairs what arrived with what has vanished (``pairing``) and
gives the annotations back; then ``missing.mark_missing`` removes what has gone.
"""

import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from lookalike.core import manual_edits, settings_keys
from lookalike.core.filters import In, Value
from lookalike.core.manual_edits import NOTHING, ManualEdits
from lookalike.core.protocols import Store
from lookalike.core.records import (
    IndexReport,
    Item,
    SideRow,
)
from lookalike.indexing.arrivals import ARRIVALS, Arrival, journalled_at, read_arrival
from lookalike.indexing.missing_rows import (
    REPLACED,
    TABLE,
    THUMBNAILS,
    missing_row,
    parts,
    read_missing,
    read_thumbnail,
    rekey,
)
from lookalike.indexing.pairing import Former, Pairs, pair

__all__ = ["Carried", "carry_annotations"]

_NOTES = 3  # names in a note
_STALE_S = 86_400.0  # after which no process is still about to store what the journal says


@dataclass(frozen=True, slots=True, kw_only=True)
class Carried:
    """What ``carry_annotations`` found. ``moved`` ids gave their annotations to another id.

    ``items_moved`` counts all that moved, also within ids that are still there; ``restored`` items
    were missing. For ``kept_by_hand`` items, manual edits differ from the source. ``notes`` are
    sentences for the report.
    """

    moved: frozenset[str] = frozenset()
    items_moved: int = 0
    restored: int = 0
    kept_by_hand: int = 0
    notes: tuple[str, ...] = ()

    def add_to(self, report: IndexReport) -> IndexReport:
        """Return the report of the same run with these counts and notes."""
        return replace(
            report,
            moved=report.moved + self.items_moved,
            restored=report.restored + self.restored,
            kept_by_hand=report.kept_by_hand + self.kept_by_hand,
            notes=(*report.notes, *self.notes),
        )


def carry_annotations(
    store: Store,
    root: str,
    vanished: Sequence[str],
    *,
    under: str = "",
    ids: Collection[str] | None = None,
    final: bool = True,
    overwrite_by_hand: bool = False,
) -> Carried:
    """Give journalled items of a root the annotations of what they were before.

    ``vanished`` are items of the root whose file has gone; they are not deleted here. ``ids``
    limits the work to these items. Unless ``final``, items without a match stay in the journal,
    because it is not known yet what has vanished. With ``overwrite_by_hand``, values of the source
    replace manual edits. Safe to interrupt and repeat.
    """
    journal, filled = store.table(ARRIVALS), store.tables()
    rows = [
        row
        for row in (journal.scan() if ARRIVALS in filled else ())
        if isinstance(row.value, dict)
        and row.value.get("root") == root
        and (ids is None or row.id in ids)
        and (not under or str(row.value.get("path")).startswith(f"{under}/"))
    ]
    if not rows:
        return Carried()
    now = store.items.get([row.id for row in rows])
    arrivals = {
        row.id: read_arrival(row, now[row.id])
        for row in rows
        if row.id in now and now[row.id].digest == row.digest
    }
    formers = _formers(store, arrivals, vanished, elsewhere=final, filled=filled)
    # After an interrupted run, a new item may have manual edits already: these count.
    new = [one for one in arrivals if arrivals[one].before is None]
    edited = manual_edits.read_edits(store, new) if manual_edits.TABLE in filled else {}
    found = pair(formers, [one.item for one in arrivals.values() if one.item.id not in edited])
    if TABLE in filled:
        found = _by_id(store, found, {one: it for one, it in arrivals.items() if one not in edited})
    stale = time.time() - _STALE_S
    _keep_replaced(store, found, arrivals)
    kept = _carry(store, found, arrivals, overwrite=overwrite_by_hand)
    settled = {item.id for _, item in found.moved}
    # What is not stored as the journal says may be about to be, by another process.
    done = [
        row.id
        for row in rows
        if row.id in settled or (final and row.id in arrivals) or journalled_at(row) < stale
    ]
    journal.delete(done)
    return Carried(
        moved=frozenset(one.item.id for one, _ in found.moved if one.origin == "vanished"),
        items_moved=sum(one.origin != "missing" for one, _ in found.moved),
        restored=sum(one.origin == "missing" for one, _ in found.moved),
        kept_by_hand=kept,
        notes=_notes(found.unclear),
    )


def _formers(
    store: Store,
    arrivals: Mapping[str, Arrival],
    vanished: Sequence[str],
    *,
    elsewhere: bool,
    filled: Collection[str],
) -> list[Former]:
    """Return what arrivals may have been before; ``filled`` are the tables that have rows."""
    digests = {one.item.digest for one in arrivals.values()}
    gone = [
        item
        for part in parts(vanished)
        for item in store.items.get(part).values()
        if item.digest in digests
    ]
    left = [
        one.before
        for one in arrivals.values()
        if one.before is not None and one.before.item.digest in digests
    ]
    hands = manual_edits.read_edits(store, [one.id for one in gone])

    def formers(items: Sequence[Item], origin: str) -> list[Former]:
        return [
            Former(item=one, origin=origin, by_hand=hands.get(one.id, NOTHING)) for one in items
        ]

    found = [*formers(gone, "vanished"), *left]
    for name in (TABLE, REPLACED):
        if name in filled:
            found += [_former(row, name) for row in store.table(name).with_digest([*digests])]
    if not elsewhere:
        return found
    lacking = digests - {one.item.digest for one in found}
    others = [one for one in _gone_elsewhere(store, [*lacking]) if one.id not in arrivals]
    hands = manual_edits.read_edits(store, [one.id for one in others])
    return [*found, *formers(others, "elsewhere")]


def _gone_elsewhere(store: Store, digests: Sequence[str]) -> Iterator[Item]:
    """Yield items with these digests whose file has gone, in folders that are there."""
    roots = store.settings.get(settings_keys.ROOTS)
    places = {
        name: Path(path)
        for name, path in (roots.items() if isinstance(roots, dict) else ())
        if isinstance(path, str)
    }
    there = {name for name, path in places.items() if digests and path.is_dir()}
    for part in parts(digests):
        for item in store.items.scan(In("digest", tuple(Value(one) for one in part))):
            if item.path and item.root in there and not (places[item.root] / item.path).exists():
                yield item


def _by_id(store: Store, found: Pairs, arrivals: Mapping[str, Arrival]) -> Pairs:
    """Add missing items that came back under their old id with other content."""
    paired = {item.id for _, item in found.moved}
    used = {one.row for one, _ in found.moved if one.table == TABLE}
    waiting = [
        one.item.id for one in arrivals.values() if one.before is None and one.item.id not in paired
    ]
    rows = store.table(TABLE).get(waiting)
    back = [
        (_former(row, TABLE), arrivals[one].item) for one, row in rows.items() if one not in used
    ]
    unclear = tuple(item for item in found.unclear if item.id not in rows)
    return Pairs(moved=(*found.moved, *back), unclear=unclear)


def _carry(store: Store, found: Pairs, arrivals: Mapping[str, Arrival], *, overwrite: bool) -> int:
    """Give annotations back. Return for how many items manual edits differ from the source.

    An id whose content moved away keeps its annotations too: what took its place may be the same
    image, edited.
    """
    changed: list[Item] = []
    hands: dict[str, ManualEdits] = {}
    kept = 0
    # Manual edits since the item exists; those of replaced content are in ``former``.
    since = manual_edits.read_edits(store, [item.id for _, item in found.moved])
    for former, item in found.moved:
        arrival = arrivals[item.id]
        own = since.get(item.id, NOTHING) if arrival.before is None else NOTHING
        hand = former.by_hand.and_then(own)
        if overwrite:
            hand = hand.without(arrival.entry)
        kept += hand.against(arrival.entry)
        hands[item.id] = hand
        changed.append(hand.over(_annotated(arrival, former.item)))
    table = store.table(manual_edits.TABLE)
    table.put([SideRow(id=one, value=hand.as_json()) for one, hand in hands.items() if hand])
    for part in parts(changed):
        there = store.items.get([item.id for item in part])
        store.items.update([item for item in part if item.id in there])
    table.delete([one for one in since if not hands[one]])
    _give_thumbnails(store, found)
    back = [one.item.id for one, _ in found.moved if one.origin == "missing"]
    for name in (TABLE, REPLACED):
        store.table(name).delete([one.row for one, _ in found.moved if one.table == name])
    store.table(THUMBNAILS).delete(back)
    return kept


def _keep_replaced(store: Store, found: Pairs, arrivals: Mapping[str, Arrival]) -> None:
    """Keep annotations that would be overwritten by those of a file that took an id over.

    They are those of a missing item with that id, or of the content that the id had before.
    """
    claimed = {one.item.id for one, _ in found.moved if one.origin == "replaced"}
    taken = [item.id for _, item in found.moved]
    since = time.time()
    rows = []
    for one in taken:
        before = arrivals[one].before
        if before is not None and one not in claimed and _is_annotated(before):
            rows.append(missing_row(before.item, before.by_hand, since))
    used = {one.row for one, _ in found.moved if one.table == TABLE}
    rows += [row for one, row in store.table(TABLE).get(taken).items() if one not in used]
    rekey(store, rows)


def _is_annotated(former: Former) -> bool:
    item = former.item
    return bool(item.label is not None or item.group is not None or item.metadata or former.by_hand)


def _annotated(arrival: Arrival, former: Item) -> Item:
    """Return the new item with the values of its source and, for the rest, the former ones."""
    entry = arrival.entry
    if entry.partial and (former.label is not None or former.group is not None or former.metadata):
        entry = replace(entry, label=None, group=None, metadata=None)
    return replace(
        arrival.item,
        label=former.label if entry.label is None else entry.label,
        group=former.group if entry.group is None else entry.group,
        metadata=former.metadata if entry.metadata is None else entry.metadata,
    )


def _give_thumbnails(store: Store, found: Pairs) -> None:
    same = [(one, item) for one, item in found.moved if one.item.digest == item.digest]
    for part in parts(same):
        have = store.thumbnails.sides([item.id for _, item in part])
        lacking = [(one.item.id, item) for one, item in part if item.id not in have]
        if not lacking:
            continue
        kept = store.thumbnails.get([one for one, _ in lacking])
        for row in store.table(THUMBNAILS).get([one for one, _ in lacking]).values():
            kept[row.id] = read_thumbnail(row)
        given = [(item, kept[one]) for one, item in lacking if one in kept]
        if given:
            store.thumbnails.put([item for item, _ in given], [small for _, small in given])


def _notes(unclear: Sequence[Item]) -> tuple[str, ...]:
    if not unclear:
        return ()
    names = ", ".join(repr(item.id) for item in unclear[:_NOTES])
    more = f" and {len(unclear) - _NOTES:,} more" if len(unclear) > _NOTES else ""
    note = (
        f"{names}{more}: exact duplicates of items that have gone, of which different things were "
        "said; their paths don't tell which is which, so nothing was carried over "
        "(`lookalike list --missing` shows what was said)"
    )
    return (note,)


def _former(row: SideRow, table: str) -> Former:
    gone, hand = read_missing(row)
    return Former(item=gone.item, origin="missing", by_hand=hand, table=table, row=row.id)
