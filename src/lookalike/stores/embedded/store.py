"""The embedded store: one folder, SQLite rows as the truth, a graph beside them as a cache."""

import json
import os
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from itertools import islice
from pathlib import Path
from typing import Any, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

from lookalike.core.filters import FIELDS, Condition
from lookalike.core.progress import Progress, ProgressCallback
from lookalike.core.protocols import Keyed, NeighbourLists
from lookalike.core.records import (
    Field,
    Hit,
    Item,
    Json,
    Leftover,
    Neighbours,
    NeighbourState,
    Skipped,
    Stamp,
    Thumbnail,
    ThumbnailState,
)
from lookalike.core.vectors import Matrix, cosines, dots, top_k, unit_rows
from lookalike.errors import (
    CollectionFormatError,
    CollectionNotFoundError,
    CollectionReplacedError,
    FolderInUseError,
    ItemNotFoundError,
    StoreDamagedError,
    StoreError,
    StoreFullError,
    StoreReadOnlyError,
)
from lookalike.stores import neighbour_rows, thumbnail_rows
from lookalike.stores.binding import (
    Bound,
    bound_of,
    check_encoder,
    check_thumbnails,
    check_vectors,
    no_vector,
)
from lookalike.stores.embedded import ann_index as graph
from lookalike.stores.embedded import own_files, schema
from lookalike.stores.embedded.exchange import exchange, finish_exchange, share_folder
from lookalike.stores.embedded.own_files import DATABASE, UPLOADS
from lookalike.stores.embedded.resident import Chosen, Resident
from lookalike.stores.embedded.side_rows import SideRows
from lookalike.stores.embedded.sqlite import connect, translated
from lookalike.stores.fields import FieldCount
from lookalike.stores.inspection import inspect
from lookalike.stores.rows import COLUMNS, item_of, matrix_of, row_of, stamp_of
from lookalike.stores.where import (
    BOOLEANS,
    FILL,
    facets_sql,
    json_path,
    metadata_name,
    where_sql,
)

__all__ = ["EmbeddedStore"]

# Past this many floats the rows are searched through a graph: reading and multiplying more than
# this costs a fresh process longer than opening the graph does (benchmarks/results).
EXACT_FLOATS = 16_000_000
# A graph that more than a fifth of its rows have left is built anew rather than added to.
_DEAD_SHARE = 0.2
_CHUNK = 4096  # rows read at a time: 10 MB of 1280-d float16
_GONE = 256  # rows in memory that have gone and are borne with: 1.3 MB of 1280-d float32
_PARAMETERS = 500  # ids per statement; SQLite allows 32,766, older builds 999
_GROWTH_FLOATS = 4_000_000  # rows newer than the graph are searched exactly up to this many

_SET = "INSERT OR REPLACE INTO settings VALUES (?, ?)"
_INSERT = f"INSERT INTO items ({COLUMNS}) VALUES ({', '.join('?' * 11)})"  # noqa: S608 - constants

_FILTERS = 8  # filters whose rows are remembered
_FEW_FLOATS = 4_000_000  # rows that a filter leaves are held in memory up to this many: 16 MB

_Row: TypeAlias = tuple[Any, ...]  # as wide as its statement says


class EmbeddedStore:
    """Items and vectors in one SQLite database (WAL), in a folder that can be copied or moved.

    Several processes may read while one writes. Each ``upsert`` is one transaction.
    """

    def __init__(self, folder: Path, db: sqlite3.Connection, *, read_only: bool) -> None:
        self.folder = folder
        self.read_only = read_only
        self._db = db
        self.made: list[Path] = []
        """Folders that were made for this collection when it was begun, the deepest first."""
        self.begun = False
        self._file = _file_at(folder / DATABASE)
        self._lock = threading.RLock()
        self._writes = 0  # own commits; `PRAGMA data_version` tells of the others'
        self._resident: Resident | None = None
        self._graph: graph.Graph | None = None
        self._graph_seen: str | None = None
        self._bound: Bound | None = None
        self._searched: tuple[int, int] | None = None  # the state that the next two describe
        self._live = 0
        self._near: graph.Graph | None = None
        self._filters: list[Chosen] = []  # the last used last

    @classmethod
    def open(cls, folder: Path, *, create: bool = False) -> Self:
        """Open the collection in ``folder``, or with ``create`` begin one there.

        A collection is only begun in a folder that is new or empty. Raise
        ``CollectionNotFoundError``, ``FolderInUseError``, ``CollectionFormatError``,
        ``StoreReadOnlyError`` (a place where none can be begun) or ``StoreDamagedError``.
        """
        path = folder / DATABASE
        made: list[Path] = []
        finish_exchange(folder)
        begun = _is_empty(path)
        if begun:
            if not create:
                raise CollectionNotFoundError(f"there is no collection in {folder}")
            own_files.check_new(folder)
            made = own_files.make_folder(folder)
        elif own_files.is_foreign_database(path):  # before anything of it is changed
            raise CollectionFormatError(f"{path} is an SQLite database, but not of lookalike")
        try:
            with translated(path):
                db, read_only = connect(path, create=create)
                try:
                    schema.migrate(db, where=str(path), read_only=read_only)
                except BaseException:
                    db.close()
                    raise
        except BaseException:  # Ctrl-C, a full disk
            if begun:
                _undo(folder, made)
            raise
        store = cls(folder, db, read_only=read_only)
        store.begun, store.made = begun, made
        return store

    # -- writing ---------------------------------------------------------------------------

    def bind(self, *, encoder: str, fingerprint: str, dim: int) -> None:
        bound = self.bound()
        if bound is None:
            with self._transaction() as db:
                db.execute(
                    "INSERT OR IGNORE INTO settings VALUES ('encoder', ?)",
                    (json.dumps({"name": encoder, "fingerprint": fingerprint, "dim": dim}),),
                )
            bound = self.bound()
        check_encoder(bound, (encoder, fingerprint, dim), place=self.folder)

    def bound(self) -> tuple[str, str, int] | None:
        if self._bound is None:
            self._bound = bound_of(self.setting("encoder"))
        return self._bound

    def upsert(
        self,
        items: Sequence[Item],
        vectors: Matrix,
        thumbnails: Sequence[Thumbnail | None] | None = None,
    ) -> None:
        check_vectors(items, vectors, self._dim())
        small = check_thumbnails(items, thumbnails)
        last = {item.id: position for position, item in enumerate(items)}
        kept = sorted(last.values())
        with self._transaction() as db:
            _delete(db, [items[position].id for position in kept])
            _insert(db, items, vectors.astype("<f2"), small, kept)

    def insert(
        self,
        items: Sequence[Item],
        vectors: Matrix,
        thumbnails: Sequence[Thumbnail | None] | None = None,
    ) -> set[str]:
        check_vectors(items, vectors, self._dim())
        small = check_thumbnails(items, thumbnails)
        taken: set[str] = set()
        first: dict[str, int] = {}
        with self._transaction() as db:
            for position, item in enumerate(items):
                there = db.execute("SELECT 1 FROM items WHERE id = ?", (item.id,)).fetchone()
                if there is not None or item.id in first:
                    taken.add(item.id)
                else:
                    first[item.id] = position
            _insert(db, items, vectors.astype("<f2"), small, sorted(first.values()))
        return taken

    def update(self, items: Sequence[Item]) -> None:
        with self._transaction() as db:
            for item in items:
                done = db.execute(
                    "UPDATE items SET digest=?, width=?, height=?, root=?, path=?, size=?, "
                    'mtime_ns=?, label=?, "group"=?, metadata=? WHERE id=?',
                    (*row_of(item)[1:], item.id),
                )
                if done.rowcount == 0:
                    raise _no_item(item.id)

    def delete(self, ids: Sequence[str]) -> int:
        with self._transaction() as db:
            return _delete(db, ids)

    def set_thumbnails(self, items: Sequence[Item], thumbnails: Sequence[Thumbnail]) -> int:
        with self._transaction() as db:
            return sum(
                thumbnail_rows.put_where_same(db, item, thumbnail)
                for item, thumbnail in zip(items, thumbnails, strict=True)
            )

    def drop_thumbnails(self) -> None:
        if not self.thumbnail_state().items:
            return
        with self._transaction() as db:
            thumbnail_rows.empty(db)
        # Else the file stays as large as it was. With somebody in the way, or no room for the
        # moment in which there are two, the pages are free for what comes next.
        with suppress(StoreError), self._lock, translated(self.folder):
            self._db.execute("VACUUM")

    def skip(self, root: str, skips: Sequence[Skipped]) -> None:
        rows = []
        for one in skips:
            size, mtime_ns = (one.stamp.size, one.stamp.mtime_ns) if one.stamp else (None, None)
            rows.append((root, one.path, size, mtime_ns, one.reason))
        with self._transaction() as db:
            db.executemany("INSERT OR REPLACE INTO skips VALUES (?, ?, ?, ?, ?)", rows)

    def forget_skips(self, root: str, paths: Sequence[str]) -> None:
        with self._transaction() as db:
            db.executemany(
                "DELETE FROM skips WHERE root = ? AND path = ?", [(root, path) for path in paths]
            )

    def declare(self, field: str) -> None:
        if field in FIELDS:
            raise ValueError(f"{field} is every item's own, and indexed already")
        name = metadata_name(field)
        with self._transaction() as db:
            row = (name, json_path(field))
            if db.execute("INSERT OR IGNORE INTO declared VALUES (?, ?)", row).rowcount:
                db.execute(FILL, (name,))

    def undeclare(self, field: str) -> bool:
        name = metadata_name(field)
        with self._transaction() as db:
            db.execute("DELETE FROM field_values WHERE field = ?", (name,))
            return db.execute("DELETE FROM declared WHERE field = ?", (name,)).rowcount > 0

    def declared(self) -> list[str]:
        return [row[0] for row in self._read("SELECT field FROM declared ORDER BY field")]

    def set_setting(self, name: str, value: Json) -> None:
        with self._transaction() as db:
            db.execute(_SET, (name, json.dumps(value)))

    def settings(self) -> list[str]:
        return [row[0] for row in self._read("SELECT name FROM settings ORDER BY name")]

    def change_setting(self, name: str, change: Callable[[Json], Json]) -> Json:
        with self._transaction() as db:
            row = db.execute("SELECT value FROM settings WHERE name = ?", (name,)).fetchone()
            value = change(None if row is None else json.loads(row[0]))
            db.execute(_SET, (name, json.dumps(value)))
        return value

    # -- reading ---------------------------------------------------------------------------

    def get(self, ids: Sequence[str]) -> dict[str, Item]:
        rows = self._by_value(f"SELECT {COLUMNS} FROM items WHERE id IN ({{}})", ids)  # noqa: S608 - constants
        found = {row[0]: item_of(row) for row in rows}
        return {one: found[one] for one in ids if one in found}

    def vectors(self, ids: Sequence[str]) -> Matrix:
        return unit_rows(self.rows(ids))

    def rows(self, ids: Sequence[str]) -> NDArray[np.floating]:
        rows: dict[str, bytes] = dict(
            self._by_value(
                "SELECT id, vector FROM items JOIN vectors USING (seq) WHERE id IN ({})", ids
            )
        )
        missing = next((one for one in ids if one not in rows), None)
        if missing is not None:
            raise no_vector(missing) if self.get([missing]) else _no_item(missing)
        return matrix_of([rows[one] for one in ids], self._dim())

    def thumbnails(self, ids: Sequence[str]) -> dict[str, Thumbnail]:
        rows = self._by_value(thumbnail_rows.PICTURES, ids)
        return {one: Thumbnail(jpeg=jpeg, side=side) for one, side, jpeg in rows}

    def thumbnail_sides(self, ids: Sequence[str]) -> dict[str, int]:
        return dict(self._by_value(thumbnail_rows.SIDES, ids))

    def thumbnail_state(self) -> ThumbnailState:
        items, size = self._read(thumbnail_rows.STATE)[0]
        return ThumbnailState(items=items, bytes=size)

    def with_digest(self, digests: Sequence[str]) -> dict[str, str]:
        rows = self._by_value(
            # one of each: a picture may have thousands of copies
            "SELECT digest, min(id) FROM items WHERE digest IN ({}) GROUP BY digest",
            [bytes.fromhex(one) for one in digests],
        )
        return {digest.hex(): one for digest, one in rows}

    def count(self, where: Condition | None = None) -> int:
        sql, values = self._where(where)
        total: int = self._read(f"SELECT count(*) FROM items{sql}", values)[0][0]  # noqa: S608 - compiled
        return total

    def facets(
        self, field: str, where: Condition | None = None, *, limit: int = 100
    ) -> list[tuple[str | float | bool, int]]:
        select, path = facets_sql(field, self.declared())
        sql, values = self._where(where)
        rows = self._read(
            f"{select.format(where=sql)} ORDER BY 2 DESC, kind NOT IN ('true', 'false'), 1 LIMIT ?",
            [*values, *path, limit],
        )
        return [(kind == "true" if kind in BOOLEANS else value, n) for value, n, kind in rows]

    def distinct(self, field: str, where: Condition | None = None) -> int:
        select, path = facets_sql(field, self.declared())
        sql, values = self._where(where)
        counted = f"SELECT count(*) FROM ({select.format(where=sql)})"  # noqa: S608 - compiled
        total: int = self._read(counted, [*values, *path])[0][0]
        return total

    def fields(self, *, limit: int = 200) -> list[Field]:
        count = FieldCount()
        for (metadata,) in self._walk("SELECT metadata FROM items WHERE metadata != '{}'"):
            count.add(json.loads(metadata))
        return count.fields()[:limit]

    def scan(self, where: Condition | None = None, *, limit: int | None = None) -> Iterator[Item]:
        sql, values = self._where(where)
        select = f"SELECT {COLUMNS} FROM items{sql} ORDER BY id"  # noqa: S608 - compiled
        if limit is None or limit > _CHUNK:
            return islice(map(item_of, self._walk(select, values)), limit)
        self._check_place()  # as for a walk, but without a connection of its own
        return map(item_of, self._read(f"{select} LIMIT ?", [*values, limit]))

    def _where(self, condition: Condition | None) -> tuple[str, list[str | float | bytes]]:
        """A WHERE clause with a space before it, and its parameters; empty for no condition."""
        if condition is None:
            return "", []
        sql, values = where_sql(condition, self.declared())
        return f" WHERE {sql}", values

    def _walk(self, sql: str, values: Sequence[object] = ()) -> Iterator[_Row]:
        """Rows one by one, over a connection of their own: the walk sees one moment."""
        self._read("SELECT 1")  # says so if the store has been closed
        self._check_place()
        with translated(self.folder):
            db, _ = connect(self.folder / DATABASE, create=False)
            try:
                yield from db.execute(sql, values)
            finally:
                db.close()

    def stamps(self, root: str, under: str = "") -> dict[str, tuple[str, Stamp | None]]:
        rows = self._below("SELECT path, id, size, mtime_ns FROM items", root, under)
        return {path: (one, stamp_of(size, mtime_ns)) for path, one, size, mtime_ns in rows}

    def skips(self, root: str, under: str = "") -> dict[str, Skipped]:
        rows = self._below("SELECT path, size, mtime_ns, reason FROM skips", root, under)
        return {
            path: Skipped(path=path, reason=reason, stamp=stamp_of(size, mtime_ns))
            for path, size, mtime_ns, reason in rows
        }

    def beside(self, table: str) -> SideRows:
        return SideRows(table=table, read=self._read, transaction=self._transaction)

    def tables(self) -> dict[str, int]:
        return dict(self._read('SELECT "table", count(*) FROM beside GROUP BY "table"', ()))

    def setting(self, name: str) -> Json:
        rows = self._read("SELECT value FROM settings WHERE name = ?", (name,))
        try:
            value: Json = json.loads(rows[0][0]) if rows else None
        except ValueError as error:
            raise StoreDamagedError(
                f"the setting {name!r} of {self.folder} is no JSON; restore it from a copy"
            ) from error
        return value

    def facts(self) -> dict[str, Json]:
        record = self._graph_record()
        return {
            "store": "embedded",
            "address": str(self.folder),
            "bytes": own_files.size(self.folder),
            "ann_index_rows": record.count if record else 0,
            "read_only": self.read_only,
        }

    # -- searching -------------------------------------------------------------------------

    def search(
        self, vectors: Matrix, *, k: int, exact: bool = False, where: Condition | None = None
    ) -> list[list[Hit]]:
        if k < 1:
            raise ValueError(f"k is {k}, but at least 1 answer must be asked for")
        if self.bound() is None:
            return [[] for _ in vectors]
        if vectors.ndim != 2 or vectors.shape[1] != self._dim():  # noqa: PLR2004 - a matrix
            raise ValueError(f"queries are {vectors.shape}, not (n, {self._dim()})")
        with self._lock:
            self._look()
            chosen = None if where is None else self._chosen(where)
            wanted = min(k, self._live if chosen is None else len(chosen.seqs))
            found: list[list[Hit]] = [[] for _ in vectors]
            # Of what is proposed about this share passes: ask for twice as many more at once.
            ask = wanted + 8
            if wanted and chosen is not None and chosen.resident is None:
                ask += int(2 * wanted * self._live / len(chosen.seqs))
            pending = list(range(len(vectors)))
            while wanted and pending:
                proposals, exhausted = self._propose(
                    vectors[pending], ask, exact=exact, chosen=chosen
                )
                for query, seqs in zip(pending, proposals, strict=True):
                    found[query] = self._hits(vectors[query], seqs, wanted)
                pending = [q for q in pending if len(found[q]) < wanted and not exhausted]
                ask *= 4  # rows that have gone since the caches were filled took the places
        if not exact:
            for query, hits in enumerate(found):
                if len(hits) < wanted:  # a graph need not reach every row
                    rest = self.search(vectors[query : query + 1], k=k, exact=True, where=where)
                    found[query] = rest[0]
        return found

    def warm(self) -> None:
        if self.bound() is not None:
            with self._lock:
                self._look()
                self._current_resident(self._near.record.mark if self._near else 0)

    def _state(self) -> tuple[int, int]:
        """Changes with every commit, of this process or another."""
        return self._read("PRAGMA data_version")[0][0], self._writes

    def _look(self) -> None:
        """Take in what has changed since the last search: counting a million rows takes 6 ms."""
        state = self._state()
        if state != self._searched:
            self._live = self.count()
            self._near = self._current_graph()
            self._searched = state

    def _chosen(self, where: Condition) -> Chosen:
        """The rows that meet a condition; remembered for the next queries of the same filter."""
        for position, chosen in enumerate(self._filters):
            if chosen.where == where and chosen.state == self._searched:
                self._filters.append(self._filters.pop(position))
                return chosen
        sql, values = self._where(where)
        rows = self._read(f"SELECT seq FROM items{sql} ORDER BY seq", values)  # noqa: S608 - compiled
        seqs = np.fromiter((row[0] for row in rows), np.int64, len(rows))
        chosen = Chosen(where=where, state=self._searched, seqs=seqs)
        if len(seqs) * self._dim() <= _FEW_FLOATS:
            chosen.resident = Resident(dim=self._dim(), start=0)
            select = "SELECT seq, vector FROM vectors WHERE seq IN ({})"
            blobs: list[_Row] = sorted(self._by_value(select, seqs))
            if blobs:
                found = np.fromiter((row[0] for row in blobs), np.int64, len(blobs))
                chosen.resident.add(found, matrix_of([row[1] for row in blobs], self._dim()))
        self._filters = [*self._filters[-_FILTERS + 1 :], chosen]
        return chosen

    def _propose(
        self, vectors: Matrix, count: int, *, exact: bool, chosen: Chosen | None
    ) -> tuple[list[NDArray[np.int64]], bool]:
        """For each query, ``seq`` of about the ``count`` nearest rows; and if those are all."""
        if chosen is not None and chosen.resident is not None:
            return chosen.resident.nearest(vectors, count), count >= len(chosen.seqs)
        near = None if exact else self._near
        mark = near.record.mark if near else 0
        resident = self._current_resident(mark)
        if resident is not None:
            proposals = resident.nearest(vectors, count)
            rows = len(resident)
        else:
            proposals, rows = self._stream(vectors, count), self._live
        if near is not None:
            # A few more than asked: what half floats put in the wrong order, rescoring puts right.
            proposals = [
                np.concatenate([near.candidates(vector, count + 8), fresh])
                for vector, fresh in zip(vectors, proposals, strict=True)
            ]
            rows = max(rows, near.record.count)
        if chosen is not None:
            proposals = [chosen.among(seqs) for seqs in proposals]
        return proposals, count >= rows

    def _hits(self, vector: NDArray[np.float32], seqs: NDArray[np.int64], k: int) -> list[Hit]:
        """The best ``k`` of the rows ``seqs`` that still exist, with their true cosines."""
        blobs: dict[int, bytes] = dict(
            self._by_value("SELECT seq, vector FROM vectors WHERE seq IN ({})", seqs)
        )
        if not blobs:
            return []
        alive = list(blobs)
        scores = cosines(matrix_of(list(blobs.values()), self._dim()), vector)
        kth = scores[top_k(scores, k)[-1]]  # of all that are level with it, ids decide
        by_seq = {alive[place]: float(scores[place]) for place in np.flatnonzero(scores >= kth)}
        rows = self._by_value(f"SELECT seq, {COLUMNS} FROM items WHERE seq IN ({{}})", list(by_seq))  # noqa: S608 - constants
        hits = [Hit(item=item_of(row[1:]), score=by_seq[row[0]]) for row in rows]
        return sorted(hits, key=lambda hit: (-hit.score, hit.item.id))[:k]

    def _current_resident(self, mark: int) -> Resident | None:
        """Rows after ``mark`` in memory, up to date; ``None`` when they are too many to hold."""
        state = self._state()
        resident = self._resident
        if resident is None or resident.start != mark:
            resident = Resident(dim=self._dim(), start=mark)
        if resident.state != state:
            live = self._read("SELECT count(*) FROM items WHERE seq > ?", (mark,))[0][0]
            if live * self._dim() > EXACT_FLOATS:
                self._resident = None
                return None
            if len(resident) > 2 * live + _GONE:  # mostly rows that have gone
                resident = Resident(dim=self._dim(), start=mark)
            for seqs, rows in self._chunks(resident.end):
                resident.add(seqs, rows)
            resident.state = state
        self._resident = resident
        return resident

    def _stream(self, vectors: Matrix, count: int) -> list[NDArray[np.int64]]:
        """The nearest rows by comparing with every one, a chunk at a time in flat memory."""
        best = [(np.empty(0, np.int64), np.empty(0, np.float32)) for _ in vectors]
        for seqs, rows in self._chunks(0):
            scores = dots(vectors, rows.astype(np.float32))  # (q, n)
            for query, row in enumerate(scores):
                all_seqs = np.concatenate([best[query][0], seqs])
                all_scores = np.concatenate([best[query][1], row])
                chosen = top_k(all_scores, count)
                best[query] = (all_seqs[chosen], all_scores[chosen])
        return [seqs for seqs, _ in best]

    def _chunks(self, after: int) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float16]]]:
        """Rows newer than ``after`` by ascending ``seq``: (n,) and (n, dim), a few at a time."""
        while True:
            rows = self._read(
                "SELECT seq, vector FROM vectors WHERE seq > ? ORDER BY seq LIMIT ?",
                (after, _CHUNK),
            )
            if not rows:
                return
            seqs = np.fromiter((row[0] for row in rows), np.int64, len(rows))
            after = rows[-1][0]
            yield seqs, matrix_of([row[1] for row in rows], self._dim())

    # -- the neighbour table ---------------------------------------------------------------

    def neighbours(
        self,
        id: str,
        *,
        k: int,
        exact: bool = False,
        where: Condition | None = None,
    ) -> Neighbours | None:
        if k < 1:
            raise ValueError(f"k is {k}, but at least 1 answer must be asked for")
        with self._moment() as db:
            row = db.execute(neighbour_rows.ROW, (id,)).fetchone()
            if row is None or (exact and not row[1]):
                return None
            entries = neighbour_rows.scores_of(row[0])
            sql, values = self._where(where)
            # A few more at once than are asked for: some may have gone.
            step = k + 2 if where is None else _PARAMETERS
            hits: list[Hit] = []
            for start in range(0, len(entries), step):
                if len(hits) > k:
                    break
                part = dict(entries[start : start + step])
                select = neighbour_rows.items_sql(len(part))
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
            rows = self._read(
                "SELECT seq, id, vector FROM items JOIN vectors USING (seq) WHERE seq > ? "
                "ORDER BY seq LIMIT ?",
                (after, _CHUNK),
            )
            if not rows:
                return
            after = rows[-1][0]
            yield Keyed(
                keys=np.fromiter((row[0] for row in rows), np.int64, len(rows)),
                ids=[row[1] for row in rows],
                rows=matrix_of([row[2] for row in rows], self._dim()),
            )

    def neighbour_lists(self, *, k: int) -> Iterator[NeighbourLists]:
        after = 0
        while True:
            rows = self._read(neighbour_rows.CHUNK, (k, after, _CHUNK))
            if not rows:
                return
            after = rows[-1][0]
            yield neighbour_rows.lists_of(rows, k)

    def set_neighbours(self, lists: NeighbourLists) -> None:
        rows = neighbour_rows.rows_of(lists)
        with self._transaction() as db:
            for row, entries in rows:
                if db.execute(neighbour_rows.PUT, row).rowcount:
                    db.execute(neighbour_rows.PUT_LIST, (row[0], entries))

    def confirm_neighbours(
        self, keys: NDArray[np.int64], marks: NDArray[np.int64], mark: int
    ) -> None:
        rows = zip(keys.tolist(), marks.tolist(), strict=True)
        with self._transaction() as db:
            db.executemany(
                "UPDATE neighbours SET mark = ? WHERE seq = ? AND mark = ?",
                [(mark, key, was) for key, was in rows],
            )

    def drop_neighbours(self) -> None:
        with self._transaction() as db:
            db.execute("DELETE FROM neighbours")
            db.execute("DELETE FROM neighbour_lists")

    def neighbour_state(self) -> NeighbourState:
        rows, current, exact, k, size = self._read(neighbour_rows.STATE)[0]
        return NeighbourState(
            items=self.count(), rows=rows, current=current, exact=exact, k=k, bytes=size
        )

    @contextmanager
    def _moment(self) -> Iterator[sqlite3.Connection]:
        """Several statements that see one moment, whatever other processes write."""
        with self._lock, translated(self.folder):
            self._db.execute("BEGIN")
            try:
                yield self._db
            finally:
                self._db.execute("COMMIT")

    # -- the graph -------------------------------------------------------------------------

    def _graph_record(self) -> graph.GraphRecord | None:
        match self.setting("graph"):
            case {
                "file": str(file),
                "mark": int(mark),
                "count": int(count),
                "bytes": int(size),
                "digest": str(digest),
            }:
                return graph.GraphRecord(
                    file=file, mark=mark, count=count, bytes=size, digest=digest
                )
            case _:
                return None

    def _current_graph(self) -> graph.Graph | None:
        record = self._graph_record()
        if record is None:
            self._graph = self._graph_seen = None
        elif self._graph_seen != record.file:
            self._graph_seen = record.file
            self._graph = graph.Graph.open(self.folder, record, dim=self._dim())
        return self._graph

    def optimize(self, *, progress: ProgressCallback | None = None) -> bool:
        if self.bound() is None or self.read_only:
            return False
        total = self.count()
        if total * self._dim() <= EXACT_FLOATS:
            return self._forget_graph()
        plan = self._graph_plan(total)
        if plan is None:
            return False
        grow, total = plan

        def report(done: int) -> None:
            if progress is not None:
                progress(Progress(done=min(done, total), total=total))

        def build(grow: graph.GraphRecord | None) -> graph.GraphRecord | None:
            chunks = self._chunks(grow.mark if grow else 0)
            return graph.build(self.folder, chunks, dim=self._dim(), grow=grow, progress=report)

        try:
            record = build(grow) or build(None)
        except OSError as error:
            raise StoreFullError(
                f"the search graph could not be written in {self.folder}: {error.strerror}; "
                "searches stay right, but slower"
            ) from error
        if record is None:  # only a graph that was to grow can be missing
            raise StoreError(f"the search graph of {self.folder} could not be built")
        with self._transaction() as db:
            graph.adopt(self.folder, record)
            db.execute(_SET, ("graph", json.dumps(record.as_json())))
        with self._lock:
            self._resident = None
        return True

    def _graph_plan(self, total: int) -> tuple[graph.GraphRecord | None, int] | None:
        """The graph to add to (``None``: a new one) and how many rows; ``None`` if all is well."""
        record = self._graph_record()
        if record is None or not graph.intact(self.folder, record):
            return None, total
        fresh, covered = self._read(
            "SELECT coalesce(sum(seq > ?), 0), coalesce(sum(seq <= ?), 0) FROM items",
            (record.mark, record.mark),
        )[0]
        if record.count - covered > _DEAD_SHARE * record.count:
            return None, total
        return (record, fresh) if fresh * self._dim() > _GROWTH_FLOATS else None

    def _forget_graph(self) -> bool:
        """A collection that has become small is searched exactly again."""
        if self._graph_record() is None:
            return False
        self.set_setting("graph", None)
        self._graph = self._graph_seen = None
        graph.remove_others(self.folder, None)
        return True

    # -- health ----------------------------------------------------------------------------

    def check(self, *, repair: bool = False) -> list[str]:
        try:
            found = [row[0] for row in self._read("PRAGMA integrity_check(20)")]
        except StoreDamagedError as error:
            return [str(error)]
        if found != ["ok"]:
            remedy = "restore the folder from a copy, or index the pictures again"
            return [*(f"the database is damaged: {one}" for one in found), remedy]
        if self.bound() is None:
            return []
        problems = self._check_rows(repair=repair)
        record = self._graph_record()
        if record is not None:
            self._graph_seen = None
            if self._current_graph() is None:
                problems.append(
                    "the search graph is missing or damaged"
                    + ("; built anew" if repair else " (searches are right, but slower)")
                )
                if repair:
                    self.set_setting("graph", None)
        if repair:
            self.optimize()
        return problems

    def _check_rows(self, *, repair: bool) -> list[str]:
        if repair:
            with self._transaction() as db:
                return inspect(db, dim=self._dim(), repair=True)
        with self._moment() as db:
            return inspect(db, dim=self._dim(), repair=False)

    def close(self) -> None:
        with self._lock:
            self._db.close()
            self._resident = self._graph = self._near = None

    # -- moving ----------------------------------------------------------------------------

    def is_current(self) -> bool:
        return _file_at(self.folder / DATABASE) == self._file

    @property
    def name(self) -> str:
        return self.folder.resolve().name

    def sibling(self, name: str, *, create: bool) -> Self:
        if create:
            _check_moves(self.folder)
        return self.open(self.folder.resolve().with_name(name), create=create)

    def replace(self, new: Self, *, keep: str, last: Callable[[], None]) -> str:
        here, there = self.folder.resolve(), new.folder.resolve()
        try:
            with self._transaction():  # others wait, and then find that the place is another's
                last()
                new.close()
                _check_moves(here)  # again: a migration takes hours
                _check_moves(there)
                share_folder(here / UPLOADS, there / UPLOADS)
                exchange(here, there)
        except OSError as error:
            raise StoreError(
                f"{here} and {there} could not change places: {error.strerror}; end what has them "
                "open, and try again"
            ) from error
        self.close()
        kept = here.with_name(keep)
        if os.path.lexists(kept):
            return there.name  # which is where this one lies now
        try:
            there.rename(kept)
        except OSError:
            return there.name
        return kept.name

    def drop(self) -> Leftover | None:
        current = self.is_current()
        self.close()
        if not current:
            raise self._replaced()
        return own_files.remove(self.folder)

    def _check_place(self) -> None:
        """Raise unless the database that is open is still the one that lies in the folder."""
        if not self.is_current():
            raise self._replaced()

    def _replaced(self) -> CollectionReplacedError:
        return CollectionReplacedError(
            f"{self.folder} has been replaced or removed since it was opened (`lookalike "
            "migrate` does so); open it again"
        )

    # -- SQLite ----------------------------------------------------------------------------

    def _dim(self) -> int:
        bound = self.bound()
        if bound is None:
            raise StoreError(f"{self.folder} is not bound to an encoder yet")
        return bound[2]

    def _read(self, sql: str, values: Sequence[object] | dict[str, int] = ()) -> list[_Row]:
        with self._lock, translated(self.folder):
            return self._db.execute(sql, values).fetchall()

    def _by_value(self, sql: str, values: Sequence[object] | NDArray[np.int64]) -> list[_Row]:
        """Run ``sql``, whose ``{}`` stands for a list of parameters, over ``values`` in parts."""
        listed = values.tolist() if isinstance(values, np.ndarray) else list(values)
        rows = []
        for start in range(0, len(listed), _PARAMETERS):
            part = listed[start : start + _PARAMETERS]
            rows += self._read(sql.format(",".join("?" * len(part))), part)
        return rows

    def _below(self, select: str, root: str, under: str) -> list[_Row]:
        if not under:
            return self._read(f"{select} WHERE root = ?", (root,))
        # "0" is the character after "/": exactly the paths below the folder, by the index
        return self._read(
            f"{select} WHERE root = ? AND path >= ? AND path < ?",
            (root, f"{under}/", f"{under}0"),
        )

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        if self.read_only:
            raise StoreReadOnlyError(f"{self.folder} may be read but not written")
        with self._lock, translated(self.folder):
            self._db.execute("BEGIN IMMEDIATE")
            try:
                self._check_place()
                yield self._db
            except BaseException:
                if self._db.in_transaction:  # a full disk has rolled back already
                    self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")
            self._writes += 1


def _insert(
    db: sqlite3.Connection,
    items: Sequence[Item],
    blobs: NDArray[np.float16],
    thumbnails: Sequence[Thumbnail | None],
    positions: Sequence[int],
) -> None:
    """Write those of ``items`` at ``positions``, whose ids are free."""
    for position in positions:
        seq = db.execute(_INSERT, row_of(items[position])).lastrowid
        db.execute("INSERT INTO vectors VALUES (?, ?)", (seq, blobs[position].tobytes()))
        thumbnail = thumbnails[position]
        if thumbnail is not None:
            thumbnail_rows.put(db, seq, thumbnail)
    db.executemany(
        "DELETE FROM skips WHERE root = ? AND path = ?",
        [(items[position].root, items[position].path) for position in positions],
    )


def _delete(db: sqlite3.Connection, ids: Sequence[str]) -> int:
    gone = 0
    for one in ids:
        row = db.execute("DELETE FROM items WHERE id = ? RETURNING seq", (one,)).fetchone()
        if row is not None:
            db.execute("DELETE FROM vectors WHERE seq = ?", row)
            gone += 1
    return gone


def _is_empty(path: Path) -> bool:
    """Whether there is no file at ``path``, or one that was begun and never written to."""
    try:
        return not path.stat().st_size
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:  # opening it says what is wrong
        return False


def _undo(folder: Path, made: list[Path]) -> None:
    """Remove a collection again whose beginning has failed, unless another process filled it."""
    path = folder / DATABASE
    with suppress(sqlite3.Error, OSError, StoreError):
        if not _is_empty(path):
            there = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)
            with closing(there):
                tables = "SELECT count(*) FROM sqlite_master WHERE name = 'items'"
                if there.execute(tables).fetchone()[0] and _has_items(there):
                    return
        own_files.remove(folder)
    own_files.remove_empty(made)


def _has_items(db: sqlite3.Connection) -> bool:
    return db.execute("SELECT 1 FROM items LIMIT 1").fetchone() is not None


def _check_moves(folder: Path) -> None:
    """``FolderInUseError`` where a migration would take other files along, to another folder."""
    # Uploads may lie elsewhere, behind a link; the other folder is given the same link.
    others = [one for one in own_files.other_files(folder) if one != UPLOADS]
    if others:
        raise FolderInUseError(
            f"{folder} holds other files ({own_files.listed(others)}), which a migration would "
            "move with it; move them elsewhere, or copy the collection to a folder of its own "
            "(`lookalike copy`) and migrate that"
        )


def _file_at(path: Path) -> tuple[int, int] | None:
    """Which file lies there, if any."""
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_dev, stat.st_ino


def _no_item(one: str) -> ItemNotFoundError:
    return ItemNotFoundError(f"there is no item {one!r}")
