"""The embedded store's rows of small pictures. The bytes: docs/storage.md.

What a row says lies apart from the picture: to ask of many must not page through all of them.
"""

import sqlite3

from lookalike.core.records import Item, Thumbnail

__all__ = ["PICTURES", "SIDES", "STATE", "empty", "put", "put_where_same"]

SIDES = "SELECT id, side FROM items JOIN thumbnails USING (seq) WHERE id IN ({})"
PICTURES = (
    "SELECT id, side, jpeg FROM items JOIN thumbnails USING (seq) "
    "JOIN thumbnail_jpegs USING (seq) WHERE id IN ({})"
)
STATE = "SELECT count(*), coalesce(sum(bytes), 0) FROM thumbnails"

_SAME = "SELECT seq FROM items WHERE id = ? AND digest = ?"


def put(db: sqlite3.Connection, seq: int | None, thumbnail: Thumbnail) -> None:
    """Write the thumbnail of a row, in place of the one that it has."""
    size = len(thumbnail.jpeg)
    db.execute("INSERT OR REPLACE INTO thumbnails VALUES (?, ?, ?)", (seq, thumbnail.side, size))
    db.execute("INSERT OR REPLACE INTO thumbnail_jpegs VALUES (?, ?)", (seq, thumbnail.jpeg))


def put_where_same(db: sqlite3.Connection, item: Item, thumbnail: Thumbnail) -> bool:
    """As ``put``, if the item is there with this content; says if it was."""
    row = db.execute(_SAME, (item.id, bytes.fromhex(item.digest))).fetchone()
    if row is not None:
        put(db, row[0], thumbnail)
    return row is not None


def empty(db: sqlite3.Connection) -> None:
    """Delete all rows."""
    db.execute("DELETE FROM thumbnails")
    db.execute("DELETE FROM thumbnail_jpegs")
