"""Make a consistent copy of a collection's database while others read and write it."""

import sqlite3
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

from lookalike.core.progress import Progress, ProgressCallback
from lookalike.errors import StoreDamagedError
from lookalike.stores.embedded.own_files import DATABASE
from lookalike.stores.embedded.sqlite import connect, translated

__all__ = ["check_database", "copy_database"]

_PAGES = 512  # copied at a time: 8 MB


class _Stopped(Exception):  # noqa: N818 - no error
    """Raised to stop SQLite's backup."""


def copy_database(
    source: Path,
    target: Path,
    *,
    progress: ProgressCallback,
    stop: Callable[[], bool],
) -> bool:
    """Copy the database in the folder ``source`` to the folder ``target``, as a snapshot.

    ``progress`` counts bytes. Return ``False`` if it was stopped. Writers are not blocked. Raise
    ``StoreError``; ``StoreDamagedError`` for a damaged database.
    """

    def hear(_status: int, remaining: int, total: int) -> None:
        progress(Progress(done=(total - remaining) * size, total=total * size))
        if stop():
            raise _Stopped

    with translated(source), closing(connect(source / DATABASE, create=False)[0]) as db:
        size: int = db.execute("PRAGMA page_size").fetchone()[0]
        # One read transaction for all steps: commits of others are not seen, and the
        # backup does not start over because of them.
        db.execute("BEGIN")
        db.execute("SELECT count(*) FROM sqlite_master").fetchone()
        try:
            with translated(target), closing(sqlite3.connect(target / DATABASE)) as copy:
                db.backup(copy, pages=_PAGES, progress=hear)
        except _Stopped:
            return False
        finally:
            with suppress(sqlite3.Error):
                db.execute("ROLLBACK")
    check_database(target)
    return True


def check_database(folder: Path) -> None:
    """Read the whole database in ``folder``. Raise ``StoreDamagedError`` if it is damaged."""
    with translated(folder), closing(connect(folder / DATABASE, create=False)[0]) as db:
        problems = [row[0] for row in db.execute("PRAGMA quick_check(3)")]
    if problems != ["ok"]:
        raise StoreDamagedError(f"the database in {folder} is damaged: {'; '.join(problems)}")
