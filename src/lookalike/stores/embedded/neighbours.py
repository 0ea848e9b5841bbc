"""The embedded store's neighbour table. The bytes: docs/storage.md."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from lookalike.core.filters import Condition
from lookalike.core.protocols import Keyed, NeighbourLists
from lookalike.core.records import Hit, Neighbours, NeighbourState
from lookalike.stores import neighbour_lists
from lookalike.stores.binding import check_k
from lookalike.stores.embedded import database, neighbour_sql
from lookalike.stores.embedded.database import Database
from lookalike.stores.embedded.rows import item_of
from lookalike.stores.stored_values import matrix_of

__all__ = ["EmbeddedNeighbours"]


class EmbeddedNeighbours:
    """The rows of neighbour lists; a trigger deletes them with their items."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def get(
        self, id: str, *, k: int, exact: bool = False, where: Condition | None = None
    ) -> Neighbours | None:
        check_k(k)
        with self._db.moment() as db:
            row = db.execute(neighbour_sql.ROW, (id,)).fetchone()
            if row is None or (exact and not row[1]):
                return None
            entries = neighbour_lists.scores_of(row[0])
            sql, values = self._db.where(where)
            # A few more than requested: some may have been removed.
            step = k + 2 if where is None else database.PARAMETERS
            hits: list[Hit] = []
            for start in range(0, len(entries), step):
                if len(hits) > k:
                    break
                part = dict(entries[start : start + step])
                select = neighbour_sql.items_sql(len(part))
                select += sql.replace(" WHERE ", " AND (", 1) + ")" if sql else ""
                found = {one[0]: one[1:] for one in db.execute(select, [*part, *values])}
                hits += [
                    Hit(item=item_of(found[seq]), score=score)
                    for seq, score in part.items()
                    if seq in found
                ]
        return Neighbours(hits[:k], complete=len(hits) <= k and len(entries) < row[2])

    def keyed(self, after: int = 0) -> Iterator[Keyed]:
        while True:
            rows = self._db.read(
                "SELECT seq, id, vector FROM items JOIN vectors USING (seq) WHERE seq > ? "
                "ORDER BY seq LIMIT ?",
                (after, database.CHUNK),
            )
            if not rows:
                return
            after = rows[-1][0]
            yield Keyed(
                keys=np.fromiter((row[0] for row in rows), np.int64, len(rows)),
                ids=[row[1] for row in rows],
                rows=matrix_of([row[2] for row in rows], self._db.dim),
            )

    def lists(self, *, k: int) -> Iterator[NeighbourLists]:
        after = 0
        while True:
            rows = self._db.read(neighbour_sql.CHUNK, (k, after, database.CHUNK))
            if not rows:
                return
            after = rows[-1][0]
            yield neighbour_lists.lists_of(rows, k)

    def put(self, lists: NeighbourLists) -> None:
        rows = neighbour_lists.rows_of(lists)
        with self._db.transaction() as db:
            for row, entries in rows:
                if db.execute(neighbour_sql.PUT, row).rowcount:
                    db.execute(neighbour_sql.PUT_LIST, (row[0], entries))

    def confirm(self, keys: NDArray[np.int64], marks: NDArray[np.int64], mark: int) -> None:
        rows = zip(keys.tolist(), marks.tolist(), strict=True)
        with self._db.transaction() as db:
            db.executemany(
                "UPDATE neighbours SET mark = ? WHERE seq = ? AND mark = ?",
                [(mark, key, was) for key, was in rows],
            )

    def clear(self) -> None:
        with self._db.transaction() as db:
            db.execute("DELETE FROM neighbours")
            db.execute("DELETE FROM neighbour_lists")

    def state(self) -> NeighbourState:
        rows, current, exact, k, size = self._db.read(neighbour_sql.STATE)[0]
        items = self._db.read("SELECT count(*) FROM items")[0][0]
        return NeighbourState(items=items, rows=rows, current=current, exact=exact, k=k, bytes=size)
