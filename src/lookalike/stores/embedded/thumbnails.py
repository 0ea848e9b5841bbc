"""The embedded store's thumbnails. Bytes on disk: docs/storage.md.

Sizes are stored apart from the JPEGs, so that reading many of them does not page through all.
"""

import sqlite3
from collections.abc import Sequence
from contextlib import suppress

from lookalike.core.records import Item, Thumbnail, ThumbnailState
from lookalike.errors import StoreError
from lookalike.stores.embedded.database import Database
from lookalike.stores.embedded.sqlite import translated

__all__ = ["EmbeddedThumbnails", "put"]

_SIDES = "SELECT id, side FROM items JOIN thumbnails USING (seq) WHERE id IN ({})"
_JPEGS = (
    "SELECT id, side, jpeg FROM items JOIN thumbnails USING (seq) "
    "JOIN thumbnail_jpegs USING (seq) WHERE id IN ({})"
)
_STATE = "SELECT count(*), coalesce(sum(bytes), 0) FROM thumbnails"
_SAME = "SELECT seq FROM items WHERE id = ? AND digest = ?"


def put(db: sqlite3.Connection, seq: int | None, thumbnail: Thumbnail) -> None:
    """Write the thumbnail of an item's row, in place of the one that it has."""
    size = len(thumbnail.jpeg)
    db.execute("INSERT OR REPLACE INTO thumbnails VALUES (?, ?, ?)", (seq, thumbnail.side, size))
    db.execute("INSERT OR REPLACE INTO thumbnail_jpegs VALUES (?, ?)", (seq, thumbnail.jpeg))


class EmbeddedThumbnails:
    """The rows of thumbnails; a trigger deletes them with their items."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def get(self, ids: Sequence[str]) -> dict[str, Thumbnail]:
        rows = self._db.by_value(_JPEGS, ids)
        return {one: Thumbnail(jpeg=jpeg, side=side) for one, side, jpeg in rows}

    def sides(self, ids: Sequence[str]) -> dict[str, int]:
        return dict(self._db.by_value(_SIDES, ids))

    def put(self, items: Sequence[Item], thumbnails: Sequence[Thumbnail]) -> int:
        written = 0
        with self._db.transaction() as db:
            for item, thumbnail in zip(items, thumbnails, strict=True):
                row = db.execute(_SAME, (item.id, bytes.fromhex(item.digest))).fetchone()
                if row is not None:
                    put(db, row[0], thumbnail)
                    written += 1
        return written

    def clear(self) -> None:
        if not self.state().items:
            return
        with self._db.transaction() as db:
            db.execute("DELETE FROM thumbnails")
            db.execute("DELETE FROM thumbnail_jpegs")
        # Without this the file keeps its size. Where another process is reading, or there is no
        # room for the moment in which there are two files, the free pages are used again later.
        with suppress(StoreError), self._db.lock, translated(self._db.folder):
            self._db.connection.execute("VACUUM")

    def state(self) -> ThumbnailState:
        items, size = self._db.read(_STATE)[0]
        return ThumbnailState(items=items, bytes=size)
