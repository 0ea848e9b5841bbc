"""Open SQLite databases, and translate SQLite's errors."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lookalike.errors import (
    StoreBusyError,
    StoreDamagedError,
    StoreError,
    StoreFullError,
    StoreReadOnlyError,
)
from lookalike.stores.embedded.own_files import APPLICATION_ID

__all__ = ["connect", "translated"]

_BUSY_TIMEOUT_S = 30.0
_PAGE_SIZE = 16_384  # holds six 1280-d vectors with 6 % lost; 4,096 would lose 37 %


def connect(path: Path, *, create: bool) -> tuple[sqlite3.Connection, bool]:
    """Return a connection in WAL mode, and whether it is read-only."""

    def opened(mode: str) -> sqlite3.Connection:
        return sqlite3.connect(
            f"{path.resolve().as_uri()}?{mode}",
            uri=True,
            timeout=_BUSY_TIMEOUT_S,
            isolation_level=None,
            check_same_thread=False,
        )

    db = opened("mode=rwc" if create else "mode=rw")
    try:
        # Nothing happens to an existing database's page size; WAL with NORMAL survives kill -9,
        # and loses at most the last commits, never consistency, when the power goes.
        db.execute(f"PRAGMA page_size = {_PAGE_SIZE}")
        if create and not db.execute("PRAGMA page_count").fetchone()[0]:
            # Written to the file before there is a WAL, so that the file is known as ours from the
            # start.
            db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = NORMAL")
        db.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except sqlite3.OperationalError as error:
        db.close()
        if error.sqlite_errorcode & 0xFF not in (
            sqlite3.SQLITE_READONLY,
            sqlite3.SQLITE_CANTOPEN,
        ):
            raise
        # A folder without write permission: WAL needs a file beside the database, unless the
        # database is declared unchanging, which is true if it is not writable.
        db = opened("mode=ro&immutable=1")
        db.execute("SELECT count(*) FROM sqlite_master").fetchone()
        return db, True
    except BaseException:
        db.close()
        raise
    return db, False


@contextmanager
def translated(where: Path) -> Iterator[None]:
    """Translate SQLite's errors into lookalike's, by their code."""
    try:
        yield
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            raise StoreBusyError(
                f"{where} is being written by another process; try again when it is done"
            ) from error
        if code == sqlite3.SQLITE_FULL:
            raise StoreFullError(f"no space is left on the disk of {where}") from error
        if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM):
            raise StoreReadOnlyError(
                f"{where} cannot be opened or written: {error}; look at who owns it and may read it"
            ) from error
        if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
            raise StoreDamagedError(
                f"{where} is damaged or not an SQLite database ({error}); restore it from a "
                "backup, or "
                "delete it and index the images again"
            ) from error
        raise StoreError(f"{where}: {error}") from error
