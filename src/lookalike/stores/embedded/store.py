"""The embedded store: one folder, SQLite rows as the truth, an ANN index as a cache."""

import json
import os
import sqlite3
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import Self

from lookalike.core.records import Json, Leftover
from lookalike.errors import (
    CollectionFormatError,
    CollectionNotFoundError,
    FolderInUseError,
    StoreDamagedError,
    StoreError,
)
from lookalike.stores.binding import Bound, check_encoder
from lookalike.stores.embedded import own_files, schema
from lookalike.stores.embedded.database import Database
from lookalike.stores.embedded.exchange import exchange, finish_exchange, share_folder
from lookalike.stores.embedded.inspection import inspect
from lookalike.stores.embedded.items import EmbeddedItems
from lookalike.stores.embedded.keywords import EmbeddedKeywords
from lookalike.stores.embedded.neighbours import EmbeddedNeighbours
from lookalike.stores.embedded.own_files import DATABASE, UPLOADS
from lookalike.stores.embedded.search import EmbeddedSearch
from lookalike.stores.embedded.settings import EmbeddedSettings, EmbeddedSkips
from lookalike.stores.embedded.side_rows import SideRows
from lookalike.stores.embedded.sqlite import connect, translated
from lookalike.stores.embedded.thumbnails import EmbeddedThumbnails

__all__ = ["EmbeddedStore"]


class EmbeddedStore:
    """Items and vectors in one SQLite database (WAL), in a folder that can be copied or moved.

    Several processes may read while one writes.
    """

    def __init__(self, folder: Path, db: sqlite3.Connection, *, read_only: bool) -> None:
        self.folder = folder
        self.read_only = read_only
        self.begun = False
        self.made: list[Path] = []
        """Folders that were created for this collection, the deepest first."""
        self.database = Database(folder, db, read_only=read_only)
        self.items = EmbeddedItems(self.database)
        self.search = EmbeddedSearch(self.database)
        self.keywords = EmbeddedKeywords(self.database)
        self.settings = EmbeddedSettings(self.database)
        self.skips = EmbeddedSkips(self.database)
        self.thumbnails = EmbeddedThumbnails(self.database)
        self.neighbours = EmbeddedNeighbours(self.database)

    @classmethod
    def open(cls, folder: Path, *, create: bool = False) -> Self:
        """Open the collection in ``folder``, or create one there with ``create``.

        A collection is only created in a folder that is new or empty. Raise
        ``CollectionNotFoundError``, ``FolderInUseError``, ``CollectionFormatError``,
        ``StoreReadOnlyError`` (none can be created there) or ``StoreDamagedError``.
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
            raise CollectionFormatError(f"{path} is an SQLite database of another program")
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

    @property
    def name(self) -> str:
        return self.folder.resolve().name

    def table(self, name: str) -> SideRows:
        return SideRows(table=name, db=self.database)

    def tables(self) -> dict[str, int]:
        return dict(self.database.read('SELECT "table", count(*) FROM beside GROUP BY "table"'))

    def bind(self, *, encoder: str, fingerprint: str, dim: int) -> None:
        bound = self.bound()
        if bound is None:
            with self.database.transaction() as db:
                db.execute(
                    "INSERT OR IGNORE INTO settings VALUES ('encoder', ?)",
                    (json.dumps({"name": encoder, "fingerprint": fingerprint, "dim": dim}),),
                )
            bound = self.bound()
        check_encoder(bound, (encoder, fingerprint, dim), place=self.folder)

    def bound(self) -> Bound | None:
        return self.database.bound()

    def facts(self) -> dict[str, Json]:
        record = self.search.ann.record()
        return {
            "store": "embedded",
            "address": str(self.folder),
            "bytes": own_files.size(self.folder),
            "ann_index_rows": record.count if record else 0,
            "read_only": self.read_only,
        }

    def check(self, *, repair: bool = False) -> list[str]:
        try:
            found = [row[0] for row in self.database.read("PRAGMA integrity_check(20)")]
        except StoreDamagedError as error:
            return [str(error)]
        if found != ["ok"]:
            remedy = "restore the folder from a backup, or index the images again"
            return [*(f"the database is damaged: {one}" for one in found), remedy]
        if self.bound() is None:
            return []
        problems = self._check_rows(repair=repair) + self.search.ann.check(repair=repair)
        if repair:
            self.search.optimize()
        return problems

    def _check_rows(self, *, repair: bool) -> list[str]:
        if repair:
            with self.database.transaction() as db:
                return inspect(db, dim=self.database.dim, repair=True)
        with self.database.moment() as db:
            return inspect(db, dim=self.database.dim, repair=False)

    def is_current(self) -> bool:
        return self.database.is_current()

    def sibling(self, name: str, *, create: bool) -> Self:
        if create:
            _check_moves(self.folder)
        return self.open(self.folder.resolve().with_name(name), create=create)

    def replace(self, new: Self, *, keep: str, last: Callable[[], None]) -> str:
        here, there = self.folder.resolve(), new.folder.resolve()
        try:
            # Others wait, and then find that the folder is another collection's.
            with self.database.transaction():
                last()
                new.close()
                _check_moves(here)  # again: a migration takes hours
                _check_moves(there)
                share_folder(here / UPLOADS, there / UPLOADS)
                exchange(here, there)
        except OSError as error:
            raise StoreError(
                f"{here} and {there} could not be exchanged: {error.strerror}; end what has them "
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
        try:
            self.database.check_place()
        finally:
            self.close()
        return own_files.remove(self.folder)

    def close(self) -> None:
        with self.database.lock:
            self.database.connection.close()
            self.search.vectors.close()


def _is_empty(path: Path) -> bool:
    """Return whether there is no file at ``path``, or one that nothing was written to."""
    try:
        return not path.stat().st_size
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:  # opening it says what is wrong
        return False


def _undo(folder: Path, made: list[Path]) -> None:
    """Remove a collection that could not be created, unless another process has filled it."""
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
    """Raise ``FolderInUseError`` if a migration would move other files to another folder."""
    # Uploads may lie elsewhere, behind a link; the other folder is given the same link.
    others = [one for one in own_files.other_files(folder) if one != UPLOADS]
    if others:
        raise FolderInUseError(
            f"{folder} holds other files ({own_files.listed(others)}), which a migration would "
            "move with it; move them elsewhere, or copy the collection to a folder of its own "
            "(`lookalike copy`) and migrate that"
        )
