"""The files that lookalike writes in a collection's folder, known by name and by content.

    collection.sqlite  -wal  -shm  -journal     items, vectors, settings
    graph-44442-7f6ea3f5.usearch  (.draft)      the ANN index
    lookalike-backup.json                       the file list of a backup
    uploads/<24 hex>/<24 hex>.jpg               images that were uploaded to a service

All code that removes, replaces or moves a collection asks this module which files are lookalike's.
Everything else in the folder is someone else's: it is never deleted, moved or opened. Links are
never followed and never removed, whatever their name.
"""

import os
import re
import sqlite3
import stat
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path

from lookalike.core.records import Leftover
from lookalike.errors import FolderInUseError, StoreError, StoreReadOnlyError

__all__ = [
    "APPLICATION_ID",
    "BETWEEN",
    "DATABASE",
    "MANIFEST",
    "UPLOADS",
    "check_new",
    "graph_files",
    "holds_collection",
    "is_foreign_database",
    "is_own",
    "is_upload",
    "listed",
    "make_folder",
    "other_files",
    "own_files",
    "remove",
    "remove_empty",
    "size",
    "upload_files",
]

APPLICATION_ID = 0x4C4F4F4B  # "LOOK", which identifies the database as ours, also to `file`
DATABASE = "collection.sqlite"
MANIFEST = "lookalike-backup.json"
UPLOADS = "uploads"
BETWEEN = ".moving"  # suffix of a folder's name during an exchange in three steps

_DATABASE_FILES = (DATABASE, f"{DATABASE}-wal", f"{DATABASE}-shm", f"{DATABASE}-journal")
_GRAPH = re.compile(r"graph-\d+-[0-9a-f]{8}\.usearch(\.draft)?")
_UPLOAD_FOLDER = re.compile(r"[0-9a-f]{24}")
_UPLOAD = re.compile(
    r"[0-9a-f]{24}/([0-9a-f]{24}\.(avif|bin|bmp|gif|heic|jpg|png|tif|webp)|[0-9a-f]{16}\.part)"
)
# Created by systems, not by people. A folder with these counts as empty, and they stay when the
# collection is removed.
_SYSTEM_FILES = frozenset({".ds_store", "thumbs.db", "desktop.ini", "lost+found", ".directory"})
_SHOWN = 3  # names in a message
_LISTED = 100  # names in a report


def holds_collection(folder: Path) -> bool:
    """Return whether ``folder`` holds a database of lookalike. Changes nothing."""
    path = folder / DATABASE
    return _application(path) == APPLICATION_ID


def is_foreign_database(path: Path) -> bool:
    """Return whether ``path`` is another program's SQLite database."""
    return _application(path) not in (None, APPLICATION_ID)


def _is_ours(path: Path) -> bool:
    """Return whether a file with the database's name is, or was to become, our database."""
    return not path.exists() or not path.stat().st_size or _application(path) == APPLICATION_ID


def graph_files(folder: Path) -> list[Path]:
    """Return the files of ANN indexes in ``folder``, including drafts."""
    return [path for path in _entries(folder) if _GRAPH.fullmatch(path.name) and _is_file(path)]


def is_own(path: str) -> bool:
    """Return whether ``path``, below a collection's folder, has the name of one of its files."""
    folder, _, below = path.partition("/")
    if below:
        return folder == UPLOADS and is_upload(below)
    return path == DATABASE or _GRAPH.fullmatch(path) is not None


def is_upload(path: str) -> bool:
    """Return whether ``path``, below a folder of uploads, has the name of an upload."""
    return _UPLOAD.fullmatch(path) is not None


def upload_files(uploads: Path) -> list[Path]:
    """Return the uploads in the folder ``uploads``; none if that is a link."""
    if not _is_folder(uploads):
        return []
    return [
        file
        for folder in _entries(uploads)
        if _UPLOAD_FOLDER.fullmatch(folder.name) and _is_folder(folder)
        for file in _entries_if_there(folder)
        if is_upload(f"{folder.name}/{file.name}") and _is_file(file)
    ]


def own_files(folder: Path) -> list[Path]:
    """Return the files of the collection in ``folder``, the database first."""
    database = [folder / name for name in _DATABASE_FILES if _is_file(folder / name)]
    if not _is_ours(folder / DATABASE):
        database = []
    manifest = [folder / MANIFEST] if _is_file(folder / MANIFEST) else []
    return [*database, *graph_files(folder), *manifest, *upload_files(folder / UPLOADS)]


def size(folder: Path) -> int:
    """Return the size of the collection in ``folder`` in bytes, without uploads."""
    total = 0
    for file in own_files(folder):
        with suppress(FileNotFoundError):
            total += file.stat().st_size if file.parent == folder else 0
    return total


def other_files(folder: Path) -> Iterator[str]:
    """Return names in ``folder`` and its uploads that are neither lookalike's nor the system's."""
    # Each entry is checked by itself: a service may write and rename files at the same time.
    named = {MANIFEST, *(_DATABASE_FILES if _is_ours(folder / DATABASE) else ())}
    for path in _entries(folder):
        if path.name == UPLOADS and _is_folder(path):
            for below in _entries(path):
                if _UPLOAD_FOLDER.fullmatch(below.name) and _is_folder(below):
                    yield from (
                        f"{UPLOADS}/{below.name}/{file.name}"
                        for file in _entries_if_there(below)
                        if _is_other(file, named=is_upload(f"{below.name}/{file.name}"))
                    )
                elif _is_other(below, named=False):
                    yield f"{UPLOADS}/{below.name}"
        elif _is_other(path, named=path.name in named or bool(_GRAPH.fullmatch(path.name))):
            yield path.name


def _is_other(path: Path, *, named: bool) -> bool:
    """Return whether an entry is someone else's; ``named``: its name is one of lookalike's.

    An entry that has vanished since it was listed belongs to nobody.
    """
    if not os.path.lexists(path) or _is_system_file(path):
        return False
    return not (named and (_is_file(path) or not os.path.lexists(path)))


def check_new(folder: Path, *, what: str = "no collection is created there") -> None:
    """Check that a collection may be created in ``folder``: it is new or empty.

    Raise ``FolderInUseError`` if it holds anything else, is a file or a broken link;
    ``StoreReadOnlyError`` if it cannot be listed.
    """
    try:
        others = list(other_files(folder))
    except FileNotFoundError:
        if folder.is_symlink():
            raise FolderInUseError(
                f"{folder} is a link to {folder.readlink()}, which does not exist; make that "
                "folder, or give another one"
            ) from None
        return
    except NotADirectoryError:
        raise FolderInUseError(
            f"{folder} is a file, or lies below one; give a folder that is new or empty"
        ) from None
    except OSError as error:
        raise StoreReadOnlyError(f"{folder} cannot be read: {error.strerror}") from error
    if others:
        raise FolderInUseError(
            f"{folder} holds other files ({listed(others)}), so {what}; give a folder that is new "
            f"or empty, such as {folder.resolve() / 'lookalike'}"
        )


def listed(names: list[str]) -> str:
    """Return the first of ``names`` and how many more there are, for a message."""
    shown = ", ".join(_printable(name) for name in names[:_SHOWN])
    rest = len(names) - _SHOWN
    return f"{shown} and {rest:,} more" if rest > 0 else shown


def make_folder(folder: Path) -> list[Path]:
    """Create ``folder`` and its parents; return the created ones, the deepest first.

    Raise ``StoreReadOnlyError``.
    """
    missing: list[Path] = []
    place = folder
    while not place.exists() and place != place.parent:
        missing.append(place)
        place = place.parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        remove_empty(missing)
        raise StoreReadOnlyError(f"cannot make the folder {folder}: {error.strerror}") from error
    return missing


def remove_empty(folders: list[Path]) -> None:
    """Remove those of ``folders`` that are empty."""
    for folder in folders:
        with suppress(OSError):
            folder.rmdir()


def remove(folder: Path) -> Leftover | None:
    """Remove the collection in ``folder``, file by file, and the folder if it is then empty.

    Return what stays, if anything does. The database is removed first: a folder without it holds no
    collection. Raise ``StoreError`` if a file cannot be removed or the database is a link.
    """
    if (folder / DATABASE).is_symlink():
        raise StoreError(
            f"{folder / DATABASE} is a link to {(folder / DATABASE).readlink()}; lookalike does "
            "not delete through links; remove the link and what it leads to yourself"
        )
    place = folder.resolve()
    try:
        for file in own_files(place):
            file.unlink(missing_ok=True)
        uploads = place / UPLOADS
        if _is_folder(uploads):
            remove_empty([one for one in _entries(uploads) if _UPLOAD_FOLDER.fullmatch(one.name)])
            remove_empty([uploads])
    except OSError as error:
        raise StoreError(
            f"the collection in {folder} could not be removed: {error.filename}: {error.strerror}"
        ) from error
    if folder.is_symlink():  # the folder behind the link was created by someone else
        return _leftover(folder)
    try:
        place.rmdir()
    except OSError:  # not empty, the root of a disk, or in a folder that may not be written
        return _leftover(folder)
    return None


def _leftover(folder: Path) -> Leftover:
    names = sorted(path.name for path in _entries(folder))
    return Leftover(folder=str(folder), files=tuple(names[:_LISTED]), count=len(names))


def _application(path: Path) -> int | None:
    """Return the application id of an SQLite database; ``None`` for any other or no file."""
    # Through SQLite, not by reading the file: closing it would release the locks that this process
    # holds on it (https://www.sqlite.org/howtocorrupt.html, 2.2). An immutable database is neither
    # locked nor given a WAL.
    try:
        if not path.stat().st_size:
            return None
        with closing(_reading(path, "immutable=1")) as db:
            application: int = db.execute("PRAGMA application_id").fetchone()[0]
        wal = path.with_name(f"{path.name}-wal")
        if application or not (wal.exists() and wal.stat().st_size):
            return application
        with closing(_reading(path)) as db:  # earlier versions wrote the id to the WAL first
            application = db.execute("PRAGMA application_id").fetchone()[0]
    except (OSError, sqlite3.Error):
        return None
    return application


def _reading(path: Path, *options: str) -> sqlite3.Connection:
    address = "&".join((f"{path.resolve().as_uri()}?mode=ro", *options))
    return sqlite3.connect(address, uri=True)


def _entries(folder: Path) -> list[Path]:
    return sorted(folder.iterdir())


def _entries_if_there(folder: Path) -> list[Path]:
    """Return the entries of a folder that a service may be removing."""
    try:
        return _entries(folder)
    except FileNotFoundError:
        return []


def _is_file(path: Path) -> bool:
    return _has_kind(path, stat.S_ISREG)


def _is_folder(path: Path) -> bool:
    return _has_kind(path, stat.S_ISDIR)


def _has_kind(path: Path, is_kind: Callable[[int], bool]) -> bool:
    """Return whether the entry itself, not the target of a link, is of a kind."""
    try:
        return is_kind(path.lstat().st_mode)
    except OSError:
        return False


def _is_system_file(path: Path) -> bool:
    return path.name.lower() in _SYSTEM_FILES


def _printable(name: str) -> str:
    return os.fsencode(name).decode("utf-8", "backslashreplace")
