"""Items whose file has gone: they leave the results at once, and their annotations are kept.

A row beside the items keeps the label, group, metadata, thumbnail and manual edits until the file
is back (under its old id, or with the same bytes at another path), or until somebody prunes it.
``carry_over`` gives annotations back; ``missing_rows`` says how they are stored.
"""

import time
from collections.abc import Collection, Iterator, Sequence
from itertools import islice

from lookalike.core import manual_edits
from lookalike.core.manual_edits import NOTHING
from lookalike.core.protocols import Store
from lookalike.core.records import (
    Item,
    Missing,
)
from lookalike.indexing.arrivals import ARRIVALS
from lookalike.indexing.missing_rows import (
    BATCH,
    REPLACED,
    TABLE,
    THUMBNAILS,
    missing_row,
    parts,
    read_missing,
    rekey,
    thumbnail_row,
)
from lookalike.regions.table import forget_unused

__all__ = ["copy_as_missing", "count", "forget", "mark_missing", "missing"]


def mark_missing(store: Store, ids: Sequence[str], *, moved: Collection[str] = ()) -> int:
    """Remove items whose file has gone from the results, and keep their annotations.

    Those of ``moved`` items are elsewhere already. Return how many items there were.
    """
    gone = 0
    with_thumbnails = store.thumbnails.state().items > 0 if ids else False
    since = time.time()
    for part in parts(ids):
        waiting = [one for one in part if one not in moved]
        items = store.items.get(waiting)
        hands = manual_edits.read_edits(store, part)
        small = store.thumbnails.get(waiting) if with_thumbnails else {}
        rekey(
            store,
            [
                row
                for row in store.table(TABLE).get(waiting).values()
                if row.id in items and row.digest != items[row.id].digest
            ],
        )
        store.table(TABLE).put(
            [missing_row(item, hands.get(item.id, NOTHING), since) for item in items.values()]
        )
        store.table(THUMBNAILS).put([thumbnail_row(one, kept) for one, kept in small.items()])
        shown = [item.digest for item in items.values()]
        gone += store.items.delete(part)
        forget_unused(store, shown)
        manual_edits.forget_edits(store, list(hands))
    return gone


def copy_as_missing(source: Store, target: Store, items: Sequence[Item]) -> None:
    """Copy items of ``source`` that ``target`` cannot hold, as missing items of ``target``."""
    since = time.time()
    for part in parts(items):
        ids = [item.id for item in part]
        hands = manual_edits.read_edits(source, ids)
        rows = [missing_row(item, hands.get(item.id, NOTHING), since) for item in part]
        target.table(TABLE).put(rows)
        small = source.thumbnails.get(ids)
        target.table(THUMBNAILS).put([thumbnail_row(one, kept) for one, kept in small.items()])
        manual_edits.forget_edits(target, list(hands))


def forget(store: Store, ids: Sequence[str]) -> int:
    """Delete what is kept beside items that are removed for good. Return how many were missing."""
    manual_edits.forget_edits(store, ids)
    store.table(THUMBNAILS).delete(ids)
    store.table(ARRIVALS).delete(ids)
    replaced, named = store.table(REPLACED), set(ids)
    if named and replaced.count():
        rows = [row.id for row in replaced.scan() if read_missing(row)[0].item.id in named]
        replaced.delete(rows)
    return store.table(TABLE).delete(ids)


def count(store: Store) -> int:
    """Return how many items are missing."""
    filled = store.tables()
    return filled.get(TABLE, 0) + filled.get(REPLACED, 0)


def missing(store: Store) -> Iterator[Missing]:
    """Yield the missing items by ascending id, then those whose id has other content now."""
    rows = store.table(TABLE).scan()
    while part := list(islice(rows, BATCH)):
        there = store.items.get([row.id for row in part])  # back, but the run was interrupted
        for row in part:
            if row.id not in there:
                yield read_missing(row)[0]
    for row in store.table(REPLACED).scan():
        yield read_missing(row)[0]
