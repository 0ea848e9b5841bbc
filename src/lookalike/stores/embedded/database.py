"""The SQLite database of an embedded store, which all of its roles read and write."""

import json
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from lookalike.core.filters import Condition
from lookalike.core.records import Json
from lookalike.errors import (
    CollectionReplacedError,
    StoreDamagedError,
    StoreError,
    StoreReadOnlyError,
)
from lookalike.stores.binding import Bound, bound_of
from lookalike.stores.embedded.own_files import DATABASE
from lookalike.stores.embedded.sqlite import connect, translated
from lookalike.stores.embedded.where import where_sql
from lookalike.stores.stored_values import matrix_of

__all__ = ["CHUNK", "PARAMETERS", "Database", "Row"]

CHUNK = 4096  # rows read at a time: 10 MB of 1280-d float16
PARAMETERS = 500  # ids per statement; SQLite allows 32,766, older builds 999

Row: TypeAlias = tuple[Any, ...]
"""A row, as wide as its statement says."""


class Database:
    """One connection to the database in ``folder``, shared by threads under ``lock``."""

    def __init__(self, folder: Path, connection: sqlite3.Connection, *, read_only: bool) -> None:
        self.folder = folder
        self.read_only = read_only
        self.connection = connection
        self.lock = threading.RLock()
        self._file = _file_at(folder / DATABASE)
        self._writes = 0  # own commits; `PRAGMA data_version` counts those of others
        self._bound: Bound | None = None

    # -- statements ------------------------------------------------------------------------

    def read(self, sql: str, values: Sequence[object] | dict[str, int] = ()) -> list[Row]:
        """Return all rows of a statement."""
        with self.lock, translated(self.folder):
            return self.connection.execute(sql, values).fetchall()

    def by_value(self, sql: str, values: Sequence[object] | NDArray[np.int64]) -> list[Row]:
        """Run ``sql``, whose ``{}`` stands for a list of parameters, over ``values`` in parts."""
        listed = values.tolist() if isinstance(values, np.ndarray) else list(values)
        rows = []
        for start in range(0, len(listed), PARAMETERS):
            part = listed[start : start + PARAMETERS]
            rows += self.read(sql.format(",".join("?" * len(part))), part)
        return rows

    def below(self, select: str, root: str, under: str) -> list[Row]:
        """Return the rows of a root, or only those whose path is below the folder ``under``."""
        if not under:
            return self.read(f"{select} WHERE root = ?", (root,))
        # "0" is the character after "/": exactly the paths below the folder, by the index
        return self.read(
            f"{select} WHERE root = ? AND path >= ? AND path < ?",
            (root, f"{under}/", f"{under}0"),
        )

    def walk(self, sql: str, values: Sequence[object] = ()) -> Iterator[Row]:
        """Yield rows one by one over a connection of their own: all as of one moment."""
        self.read("SELECT 1")  # raises if the store has been closed
        self.check_place()
        with translated(self.folder):
            db, _ = connect(self.folder / DATABASE, create=False)
            try:
                yield from db.execute(sql, values)
            finally:
                db.close()

    def where(self, condition: Condition | None) -> tuple[str, list[str | float | bytes]]:
        """Return a WHERE clause with a space before it, and its parameters; empty for ``None``."""
        if condition is None:
            return "", []
        sql, values = where_sql(condition, self.declared())
        return f" WHERE {sql}", values

    def declared(self) -> list[str]:
        """Return the metadata fields that have an index of their own, sorted."""
        return [row[0] for row in self.read("SELECT field FROM declared ORDER BY field")]

    @contextmanager
    def moment(self) -> Iterator[sqlite3.Connection]:
        """Let several statements read one snapshot, whatever other processes write."""
        with self.lock, translated(self.folder):
            self.connection.execute("BEGIN")
            try:
                yield self.connection
            finally:
                self.connection.execute("COMMIT")

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Write several statements together, or none if one of them fails."""
        if self.read_only:
            raise StoreReadOnlyError(f"{self.folder} may be read but not written")
        with self.lock, translated(self.folder):
            self.connection.execute("BEGIN IMMEDIATE")
            try:
                self.check_place()
                yield self.connection
            except BaseException:
                if self.connection.in_transaction:  # a full disk has rolled back already
                    self.connection.execute("ROLLBACK")
                raise
            self.connection.execute("COMMIT")
            self._writes += 1

    def state(self) -> tuple[int, int]:
        """Return a value that changes with every commit of any process."""
        return self.read("PRAGMA data_version")[0][0], self._writes

    # -- what is stored --------------------------------------------------------------------

    def setting(self, name: str) -> Json:
        """Return a setting. Raise ``StoreDamagedError`` if it is not JSON."""
        rows = self.read("SELECT value FROM settings WHERE name = ?", (name,))
        try:
            value: Json = json.loads(rows[0][0]) if rows else None
        except ValueError as error:
            raise StoreDamagedError(
                f"the setting {name!r} of {self.folder} is not JSON; restore the folder from a "
                "backup"
            ) from error
        return value

    def bound(self) -> Bound | None:
        """Return the encoder that the store is bound to, if any."""
        if self._bound is None:
            self._bound = bound_of(self.setting("encoder"))
        return self._bound

    @property
    def dim(self) -> int:
        """Return the dimensions of a vector. Raise ``StoreError`` before the store is bound."""
        bound = self.bound()
        if bound is None:
            raise StoreError(f"{self.folder} is not bound to an encoder yet")
        return bound[2]

    def chunks(self, after: int) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float16]]]:
        """Yield vectors newer than ``after`` by ascending ``seq``, some thousands at a time.

        Each is (n,) int64 of ``seq`` and (n, dim) float16.
        """
        while True:
            rows = self.read(
                "SELECT seq, vector FROM vectors WHERE seq > ? ORDER BY seq LIMIT ?",
                (after, CHUNK),
            )
            if not rows:
                return
            seqs = np.fromiter((row[0] for row in rows), np.int64, len(rows))
            after = rows[-1][0]
            yield seqs, matrix_of([row[1] for row in rows], self.dim)

    # -- the file --------------------------------------------------------------------------

    def is_current(self) -> bool:
        """Return whether the open database is still the file in the folder."""
        return _file_at(self.folder / DATABASE) == self._file

    def check_place(self) -> None:
        """Raise ``CollectionReplacedError`` unless the database is still the one in the folder."""
        if not self.is_current():
            raise CollectionReplacedError(
                f"{self.folder} has been replaced or removed since it was opened (`lookalike "
                "migrate` does so); open it again"
            )


def _file_at(path: Path) -> tuple[int, int] | None:
    """Return an identity of the file at a path, if there is one."""
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_dev, stat.st_ino
