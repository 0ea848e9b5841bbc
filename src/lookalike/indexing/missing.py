"""Items whose file has gone: they leave the results at once, and what was said of them waits.

A row beside the items keeps label, group, metadata, thumbnail and what was set by hand, until the
file is back (under its old id, or with the same bytes at another path), or somebody prunes it. A
file that only changed its path takes its words along in the same run.

    arrivals  ids that got content in this run, journalled before they are written
    carry_words    pair them with what has vanished; give words back; then drop what has gone
"""

import base64
import hashlib
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

from lookalike.core import manual_edits, settings_keys
from lookalike.core.filters import In, Value
from lookalike.core.manual_edits import NOTHING, ManualEdits
from lookalike.core.protocols import Store
from lookalike.core.records import (
    Entry,
    IndexReport,
    Item,
    Json,
    Missing,
    SideRow,
    Stamp,
    Thumbnail,
)
from lookalike.indexing.pairing import Former, Pairs, pair

__all__ = [
    "ARRIVALS",
    "REPLACED",
    "TABLE",
    "THUMBNAILS",
    "Arrivals",
    "Carried",
    "carry_words",
    "copy_as_missing",
    "forget",
    "mark_missing",
    "missing",
]

TABLE = "missing"
THUMBNAILS = "missing_thumbnails"
REPLACED = "replaced"
"""Words of content that is gone although its id is not: what moved there has words of its own."""
ARRIVALS = "arrived"

_BATCH = 200  # items whose thumbnails are held at a time
_NOTES = 3  # names in a note
_STALE_S = 86_400.0  # after which nobody is still about to store what the journal says


@dataclass(frozen=True, slots=True, kw_only=True)
class Carried:
    """What ``carry_words`` found. ``moved`` are ids whose words went along to another id.

    ``items_moved`` counts all that moved, also within ids that are still there; ``restored`` items
    came back from among the missing. Of ``kept_by_hand`` the source says something else than people
    did. ``notes`` are sentences for the report.
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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Arrival:
    """An item with new content: ``entry`` has what its source says, ``before`` what it was."""

    item: Item
    entry: Entry
    before: Former | None


class Arrivals:
    """The journal of one run: which items got content that may have come from elsewhere.

    It lies in the store, so that words still follow when the run is killed and done again.
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


def carry_words(
    store: Store,
    root: str,
    vanished: Sequence[str],
    *,
    under: str = "",
    ids: Collection[str] | None = None,
    final: bool = True,
    overwrite_by_hand: bool = False,
) -> Carried:
    """Give journalled items of a root the words of what they were before.

    ``vanished`` are items of the root whose file has gone; they are not deleted here. ``ids``
    limits it to these items. Unless ``final``, what finds no words stays in the journal, for
    nobody knows yet what has vanished. With ``overwrite_by_hand``, what the source says of an item
    replaces what was set by hand. Safe to be cut off and done again.
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
        row.id: _arrival(row, now[row.id])
        for row in rows
        if row.id in now and now[row.id].digest == row.digest
    }
    formers = _formers(store, arrivals, vanished, elsewhere=final, filled=filled)
    # A run was cut off, and people have said something of a new item since: that is what counts.
    new = [one for one in arrivals if arrivals[one].before is None]
    spoken = manual_edits.read_edits(store, new) if manual_edits.TABLE in filled else {}
    found = pair(formers, [one.item for one in arrivals.values() if one.item.id not in spoken])
    if TABLE in filled:
        found = _by_id(store, found, {one: it for one, it in arrivals.items() if one not in spoken})
    stale = time.time() - _STALE_S
    _keep_replaced(store, found, arrivals)
    kept = _carry(store, found, arrivals, overwrite=overwrite_by_hand)
    settled = {item.id for _, item in found.moved}
    # What isn't stored as the journal says may be on its way, in another process.
    done = [
        row.id
        for row in rows
        if row.id in settled or (final and row.id in arrivals) or _journalled(row) < stale
    ]
    journal.delete(done)
    return Carried(
        moved=frozenset(one.item.id for one, _ in found.moved if one.origin == "vanished"),
        items_moved=sum(one.origin != "missing" for one, _ in found.moved),
        restored=sum(one.origin == "missing" for one, _ in found.moved),
        kept_by_hand=kept,
        notes=_notes(found.unclear),
    )


def mark_missing(store: Store, ids: Sequence[str], *, moved: Collection[str] = ()) -> int:
    """Take items whose file has gone out of the results, and keep what was said of them.

    Of ``moved`` items the words are elsewhere already. Returns how many items there were.
    """
    gone = 0
    pictured = store.thumbnails.state().items > 0 if ids else False
    since = time.time()
    for part in _parts(ids):
        waiting = [one for one in part if one not in moved]
        items = store.items.get(waiting)
        hands = manual_edits.read_edits(store, part)
        small = store.thumbnails.get(waiting) if pictured else {}
        _rekey(
            store,
            [
                row
                for row in store.table(TABLE).get(waiting).values()
                if row.id in items and row.digest != items[row.id].digest
            ],
        )
        store.table(TABLE).put(
            [_missing_row(item, hands.get(item.id, NOTHING), since) for item in items.values()]
        )
        store.table(THUMBNAILS).put([_thumbnail_row(one, kept) for one, kept in small.items()])
        gone += store.items.delete(part)
        manual_edits.forget_edits(store, list(hands))
    return gone


def copy_as_missing(source: Store, target: Store, items: Sequence[Item]) -> None:
    """Keep what ``source`` says of items that ``target`` cannot have, as missing items of that."""
    since = time.time()
    for part in _parts(items):
        ids = [item.id for item in part]
        hands = manual_edits.read_edits(source, ids)
        rows = [_missing_row(item, hands.get(item.id, NOTHING), since) for item in part]
        target.table(TABLE).put(rows)
        small = source.thumbnails.get(ids)
        target.table(THUMBNAILS).put([_thumbnail_row(one, kept) for one, kept in small.items()])
        manual_edits.forget_edits(target, list(hands))


def forget(store: Store, ids: Sequence[str]) -> int:
    """Forget all that is kept beside items removed for good; return how many were missing."""
    manual_edits.forget_edits(store, ids)
    store.table(THUMBNAILS).delete(ids)
    store.table(ARRIVALS).delete(ids)
    replaced, named = store.table(REPLACED), set(ids)
    if named and replaced.count():
        rows = [row.id for row in replaced.scan() if _missing_of(row)[0].item.id in named]
        replaced.delete(rows)
    return store.table(TABLE).delete(ids)


def count(store: Store) -> int:
    """Return how many items are missing."""
    filled = store.tables()
    return filled.get(TABLE, 0) + filled.get(REPLACED, 0)


def missing(store: Store) -> Iterator[Missing]:
    """Yield the missing items by ascending id, then those whose id has other content now."""
    rows = store.table(TABLE).scan()
    while part := list(islice(rows, _BATCH)):
        there = store.items.get([row.id for row in part])  # back, but the run was cut off
        for row in part:
            if row.id not in there:
                yield _missing_of(row)[0]
    for row in store.table(REPLACED).scan():
        yield _missing_of(row)[0]


# -- pairing -------------------------------------------------------------------------------------


def _formers(
    store: Store,
    arrivals: Mapping[str, _Arrival],
    vanished: Sequence[str],
    *,
    elsewhere: bool,
    filled: Collection[str],
) -> list[Former]:
    """Return what arrivals may have been before; ``filled`` are the tables that have rows."""
    digests = {one.item.digest for one in arrivals.values()}
    gone = [
        item
        for part in _parts(vanished)
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
    for part in _parts(digests):
        for item in store.items.scan(In("digest", tuple(Value(one) for one in part))):
            if item.path and item.root in there and not (places[item.root] / item.path).exists():
                yield item


def _by_id(store: Store, found: Pairs, arrivals: Mapping[str, _Arrival]) -> Pairs:
    """Add what came back under its old id with other content."""
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


# -- giving words back ---------------------------------------------------------------------------


def _carry(store: Store, found: Pairs, arrivals: Mapping[str, _Arrival], *, overwrite: bool) -> int:
    """Give words back; return of how many items the source says something else than people did.

    An id whose content moved away keeps its words too: what took its place may be the same image,
    edited.
    """
    changed: list[Item] = []
    hands: dict[str, ManualEdits] = {}
    kept = 0
    # What was set by hand since the item is there; of content that was replaced, it isn't.
    since = manual_edits.read_edits(store, [item.id for _, item in found.moved])
    for former, item in found.moved:
        arrival = arrivals[item.id]
        own = since.get(item.id, NOTHING) if arrival.before is None else NOTHING
        hand = former.by_hand.and_then(own)
        if overwrite:
            hand = hand.without(arrival.entry)
        kept += hand.against(arrival.entry)
        hands[item.id] = hand
        changed.append(hand.over(_told(arrival, former.item)))
    table = store.table(manual_edits.TABLE)
    table.put([SideRow(id=one, value=hand.as_json()) for one, hand in hands.items() if hand])
    for part in _parts(changed):
        there = store.items.get([item.id for item in part])
        store.items.update([item for item in part if item.id in there])
    table.delete([one for one in since if not hands[one]])
    _give_thumbnails(store, found)
    back = [one.item.id for one, _ in found.moved if one.origin == "missing"]
    for name in (TABLE, REPLACED):
        store.table(name).delete([one.row for one, _ in found.moved if one.table == name])
    store.table(THUMBNAILS).delete(back)
    return kept


def _keep_replaced(store: Store, found: Pairs, arrivals: Mapping[str, _Arrival]) -> None:
    """Keep words that would be written over: of content whose place was taken by a file with words.

    It may be that the id has a missing item of the same name, or that it had other content.
    """
    claimed = {one.item.id for one, _ in found.moved if one.origin == "replaced"}
    taken = [item.id for _, item in found.moved]
    since = time.time()
    rows = []
    for one in taken:
        before = arrivals[one].before
        if before is not None and one not in claimed and _has_words(before):
            rows.append(_missing_row(before.item, before.by_hand, since))
    used = {one.row for one, _ in found.moved if one.table == TABLE}
    rows += [row for one, row in store.table(TABLE).get(taken).items() if one not in used]
    _rekey(store, rows)


def _has_words(former: Former) -> bool:
    item = former.item
    return bool(item.label is not None or item.group is not None or item.metadata or former.by_hand)


def _rekey(store: Store, rows: Sequence[SideRow]) -> None:
    """Keep rows of missing items under keys of their own: their ids are those of items again."""
    store.table(REPLACED).put(
        [
            replace(row, id=hashlib.sha256(f"{row.id}\n{row.digest}".encode()).hexdigest())
            for row in rows
        ]
    )
    store.table(TABLE).delete([row.id for row in rows])


def _told(arrival: _Arrival, former: Item) -> Item:
    """Return the new item with what its source says, and for the rest what was said before."""
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
    for part in _parts(same):
        have = store.thumbnails.sides([item.id for _, item in part])
        lacking = [(one.item.id, item) for one, item in part if item.id not in have]
        if not lacking:
            continue
        kept = store.thumbnails.get([one for one, _ in lacking])
        for row in store.table(THUMBNAILS).get([one for one, _ in lacking]).values():
            kept[row.id] = _thumbnail_of(row)
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


# -- rows ----------------------------------------------------------------------------------------


def _words_json(item: Item) -> dict[str, Json]:
    return {"label": item.label, "group": item.group, "metadata": dict(item.metadata)}


def _place_json(item: Item) -> dict[str, Json]:
    return {
        "root": item.root,
        "path": item.path,
        "size": item.stamp.size if item.stamp else None,
        "mtime_ns": item.stamp.mtime_ns if item.stamp else None,
        "width": item.width,
        "height": item.height,
        **_words_json(item),
    }


def _item_of(one: str, digest: str, value: Mapping[str, Any]) -> Item:
    size, mtime_ns = value.get("size"), value.get("mtime_ns")
    return Item(
        id=one,
        digest=digest,
        width=value["width"],
        height=value["height"],
        root=value["root"],
        path=value["path"],
        stamp=None if size is None or mtime_ns is None else Stamp(size, mtime_ns),
        label=value["label"],
        group=value["group"],
        metadata=value["metadata"],
    )


def _missing_row(item: Item, hand: ManualEdits, since: float) -> SideRow:
    value: dict[str, Json] = {
        "id": item.id,
        **_place_json(item),
        "since": since,
        "by_hand": hand.as_json(),
    }
    return SideRow(id=item.id, digest=item.digest, value=value)


def _missing_of(row: SideRow) -> tuple[Missing, ManualEdits]:
    value: Any = row.value
    hand = ManualEdits.of_json(value["by_hand"])
    item = _item_of(value["id"], row.digest, value)
    return Missing(item=item, since=value["since"]), hand


def _former(row: SideRow, table: str) -> Former:
    gone, hand = _missing_of(row)
    return Former(item=gone.item, origin="missing", by_hand=hand, table=table, row=row.id)


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
        else {"digest": before.digest, **_place_json(before), "by_hand": hand.as_json()},
    }
    return SideRow(id=item.id, digest=item.digest, value=value)


def _journalled(row: SideRow) -> float:
    value: Any = row.value
    return float(value["at"])


def _arrival(row: SideRow, item: Item) -> _Arrival:
    value: Any = row.value
    said = {name: value[name] for name in ("label", "group", "metadata", "partial")}
    before = value["before"]
    return _Arrival(
        item=item,
        entry=Entry(id=item.id, image=b"", **said),
        before=None
        if before is None
        else Former(
            item=_item_of(row.id, before["digest"], before),
            origin="replaced",
            by_hand=ManualEdits.of_json(before["by_hand"]),
        ),
    )


def _thumbnail_row(one: str, small: Thumbnail) -> SideRow:
    jpeg = base64.b64encode(small.jpeg).decode()
    return SideRow(id=one, value={"side": small.side, "jpeg": jpeg})


def _thumbnail_of(row: SideRow) -> Thumbnail:
    value: Any = row.value
    return Thumbnail(jpeg=base64.b64decode(value["jpeg"]), side=value["side"])


def _parts(some: Sequence[Any]) -> Iterator[Any]:
    """Yield a sequence in parts of a few hundred."""
    for start in range(0, len(some), _BATCH):
        yield some[start : start + _BATCH]
