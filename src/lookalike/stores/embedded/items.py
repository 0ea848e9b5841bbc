"""The embedded store's items: rows of SQLite, the truth of a collection."""

import sqlite3
from collections.abc import Iterator, Sequence
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from lookalike.core.filters import Condition
from lookalike.core.records import Item, Stamp, Thumbnail
from lookalike.core.vectors import Matrix, unit_rows
from lookalike.errors import ItemNotFoundError
from lookalike.stores.binding import check_thumbnails, check_vectors, no_vector
from lookalike.stores.embedded import database, keywords, thumbnails
from lookalike.stores.embedded.database import Database
from lookalike.stores.embedded.rows import COLUMNS, item_of, row_of
from lookalike.stores.stored_values import matrix_of, stamp_of

__all__ = ["EmbeddedItems"]

_INSERT = f"INSERT INTO items ({COLUMNS}) VALUES ({', '.join('?' * 11)})"  # noqa: S608 - constants


class EmbeddedItems:
    """The rows of items and vectors. Each method that writes is one transaction."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def upsert(
        self,
        items: Sequence[Item],
        vectors: Matrix,
        thumbnails: Sequence[Thumbnail | None] | None = None,
    ) -> None:
        check_vectors(items, vectors, self._db.dim)
        jpegs = check_thumbnails(items, thumbnails)
        last = {item.id: position for position, item in enumerate(items)}
        positions = sorted(last.values())
        with self._db.transaction() as db:
            _delete(db, [items[position].id for position in positions])
            _insert(db, items, vectors.astype("<f2"), jpegs, positions)

    def insert(
        self,
        items: Sequence[Item],
        vectors: Matrix,
        thumbnails: Sequence[Thumbnail | None] | None = None,
    ) -> set[str]:
        check_vectors(items, vectors, self._db.dim)
        jpegs = check_thumbnails(items, thumbnails)
        taken: set[str] = set()
        first: dict[str, int] = {}
        with self._db.transaction() as db:
            for position, item in enumerate(items):
                found = db.execute("SELECT 1 FROM items WHERE id = ?", (item.id,)).fetchone()
                if found is not None or item.id in first:
                    taken.add(item.id)
                else:
                    first[item.id] = position
            _insert(db, items, vectors.astype("<f2"), jpegs, sorted(first.values()))
        return taken

    def update(self, items: Sequence[Item]) -> None:
        with self._db.transaction() as db:
            for item in items:
                done = db.execute(
                    "UPDATE items SET digest=?, width=?, height=?, root=?, path=?, size=?, "
                    'mtime_ns=?, label=?, "group"=?, metadata=? WHERE id=?',
                    (*row_of(item)[1:], item.id),
                )
                if done.rowcount == 0:
                    raise _no_item(item.id)
            keywords.put_changed(db, items)

    def delete(self, ids: Sequence[str]) -> int:
        with self._db.transaction() as db:
            return _delete(db, ids)

    def get(self, ids: Sequence[str]) -> dict[str, Item]:
        rows = self._db.by_value(f"SELECT {COLUMNS} FROM items WHERE id IN ({{}})", ids)  # noqa: S608 - constants
        found = {row[0]: item_of(row) for row in rows}
        return {one: found[one] for one in ids if one in found}

    def vectors(self, ids: Sequence[str]) -> Matrix:
        return unit_rows(self.rows(ids))

    def rows(self, ids: Sequence[str]) -> NDArray[np.floating]:
        rows: dict[str, bytes] = dict(
            self._db.by_value(
                "SELECT id, vector FROM items JOIN vectors USING (seq) WHERE id IN ({})", ids
            )
        )
        missing = next((one for one in ids if one not in rows), None)
        if missing is not None:
            raise no_vector(missing) if self.get([missing]) else _no_item(missing)
        return matrix_of([rows[one] for one in ids], self._db.dim)

    def with_digest(self, digests: Sequence[str]) -> dict[str, str]:
        rows = self._db.by_value(
            # one of each: an image may have thousands of duplicates
            "SELECT digest, min(id) FROM items WHERE digest IN ({}) GROUP BY digest",
            [bytes.fromhex(one) for one in digests],
        )
        return {digest.hex(): one for digest, one in rows}

    def scan(self, where: Condition | None = None, *, limit: int | None = None) -> Iterator[Item]:
        sql, values = self._db.where(where)
        select = f"SELECT {COLUMNS} FROM items{sql} ORDER BY id"  # noqa: S608 - compiled
        if limit is None or limit > database.CHUNK:
            return islice(map(item_of, self._db.walk(select, values)), limit)
        self._db.check_place()  # as for a walk, but without a connection of its own
        return map(item_of, self._db.read(f"{select} LIMIT ?", [*values, limit]))

    def stamps(self, root: str, under: str = "") -> dict[str, tuple[str, Stamp | None]]:
        rows = self._db.below("SELECT path, id, size, mtime_ns FROM items", root, under)
        return {path: (one, stamp_of(size, mtime_ns)) for path, one, size, mtime_ns in rows}


def _insert(
    db: sqlite3.Connection,
    items: Sequence[Item],
    blobs: NDArray[np.float16],
    jpegs: Sequence[Thumbnail | None],
    positions: Sequence[int],
) -> None:
    """Write those of ``items`` at ``positions``, whose ids are free."""
    written: list[tuple[int, Item]] = []
    for position in positions:
        seq = db.execute(_INSERT, row_of(items[position])).lastrowid
        assert seq is not None  # noqa: S101 - of an INSERT
        written.append((seq, items[position]))
        db.execute("INSERT INTO vectors VALUES (?, ?)", (seq, blobs[position].tobytes()))
        thumbnail = jpegs[position]
        if thumbnail is not None:
            thumbnails.put(db, seq, thumbnail)
    keywords.put(db, written)
    db.executemany(
        "DELETE FROM skips WHERE root = ? AND path = ?",
        [(items[position].root, items[position].path) for position in positions],
    )


def _delete(db: sqlite3.Connection, ids: Sequence[str]) -> int:
    deleted = 0
    for one in ids:
        row = db.execute("DELETE FROM items WHERE id = ? RETURNING seq", (one,)).fetchone()
        if row is not None:
            db.execute("DELETE FROM vectors WHERE seq = ?", row)
            deleted += 1
    return deleted


def _no_item(one: str) -> ItemNotFoundError:
    return ItemNotFoundError(f"there is no item {one!r}")
