"""Backups of collections in folders: made while the collection is in use, checked, restored.

    backups.backup(shop, Path("/backups/shop-monday"))
    backups.restore(Path("/backups/shop-monday"), Path("./shop"))

A backup is a collection's folder: it can be opened and searched. Beside the database lies a list of
its files with their SHA-256, by which a damaged or changed backup is recognised.
"""

import errno
import hashlib
import json
import os
import secrets
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from lookalike.collection import Collection
from lookalike.core import settings_keys
from lookalike.core.progress import Progress, ProgressCallback, ignore_progress
from lookalike.core.records import Json
from lookalike.core.roots import Root, read_roots, roots_json
from lookalike.errors import (
    CollectionError,
    CollectionFormatError,
    CollectionReplacedError,
    FolderInUseError,
    StoreDamagedError,
    StoreError,
    StoreFullError,
)
from lookalike.stores.embedded import own_files
from lookalike.stores.embedded.own_files import DATABASE, MANIFEST, UPLOADS
from lookalike.stores.embedded.snapshot import check_database, copy_database
from lookalike.stores.embedded.store import EmbeddedStore

__all__ = ["BackupReport", "RestoreReport", "VerifyReport", "backup", "restore", "verify"]

_FORMAT = 1
_CHUNK = 1 << 20
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupReport:
    """A backup in ``folder``: ``items``, and ``files`` of ``bytes`` together.

    ``uploads`` images that a service keeps came along; ``missing`` ones had gone.
    """

    folder: str
    items: int = 0
    files: int = 0
    bytes: int = 0
    uploads: int = 0
    missing: tuple[str, ...] = ()
    interrupted: bool = False
    seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyReport:
    """A backup that is whole: what was backed up, when, and how much there is."""

    folder: str
    of: str
    made_at: str
    items: int
    files: int
    bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreReport:
    """A collection of ``items`` that was restored to ``folder``."""

    folder: str
    items: int = 0
    files: int = 0
    bytes: int = 0
    interrupted: bool = False
    seconds: float = 0.0


class _Stopped(Exception):  # noqa: N818 - no error
    """The wish to stop, out of the copying of a file."""


def backup(
    collection: Collection,
    to: Path,
    *,
    progress: ProgressCallback = ignore_progress,
    stop: Callable[[], bool] = lambda: False,
) -> BackupReport:
    """Back a collection up to the folder ``to``, as it is at one moment.

    Others may search and index meanwhile. ``to`` must not exist or be empty; it appears whole, or
    not at all. ``progress`` counts bytes.

    Raise ``CollectionError`` for a collection on a server, ``FolderInUseError`` if ``to`` holds
    anything, ``StoreDamagedError`` for a damaged collection, and ``StoreError``.
    """
    began = time.monotonic()
    store = collection.store
    if store.folder is None:
        raise CollectionError(
            f"{store.facts()['address']} is on a server; `lookalike copy` copies it to a folder, "
            "which can be backed up, or take a snapshot on the server (docs/backup.md)"
        )
    if not store.is_current():
        raise CollectionReplacedError(
            f"{store.folder} has been replaced or removed since it was opened; open it again"
        )
    source = store.folder.resolve()
    place = _target(to)
    if place.is_relative_to(source):
        raise FolderInUseError(
            f"{to} lies in the collection's own folder; give a folder elsewhere, best on another "
            "disk"
        )
    with _built(place) as draft:
        try:
            # Before the database and again after it: what is deleted in between is there, too.
            _copy_uploads(source, draft, stop)
            if not copy_database(source, draft, progress=progress, stop=stop):
                return BackupReport(folder=str(to), interrupted=True)
            items, missing = _settle(source, draft, place, stop)
            files = _hashed(draft, stop)
        except _Stopped:
            return BackupReport(folder=str(to), interrupted=True)
        document: Json = {
            "lookalike-backup": _FORMAT,
            "of": str(source),
            "made_at": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
            "items": items,
            "files": {name: [one.bytes, one.sha256] for name, one in files.items()},
        }
        (draft / MANIFEST).write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
        _flush(draft / MANIFEST)
        _place(draft, place)
    return BackupReport(
        folder=str(to),
        items=items,
        files=len(files),
        bytes=sum(one.bytes for one in files.values()),
        uploads=sum(name.startswith(f"{UPLOADS}/") for name in files),
        missing=missing,
        seconds=time.monotonic() - began,
    )


def verify(backup: Path, *, progress: ProgressCallback = ignore_progress) -> VerifyReport:
    """Read a whole backup and compare it with its list of files.

    Raise ``CollectionFormatError`` for a folder that is no backup or a newer version's, and
    ``StoreDamagedError`` for a file that is missing, damaged or was changed since.
    """
    manifest = _read_manifest(backup)
    heard = ProgressCallbackd(progress, sum(one.bytes for one in manifest.files.values()))
    for name, said in manifest.files.items():
        _check(backup / name, said, _digest(backup / name, heard))
    return VerifyReport(
        folder=str(backup),
        of=manifest.of,
        made_at=manifest.made_at,
        items=manifest.items,
        files=len(manifest.files),
        bytes=sum(one.bytes for one in manifest.files.values()),
    )


def restore(
    backup: Path,
    to: Path,
    *,
    progress: ProgressCallback = ignore_progress,
    stop: Callable[[], bool] = lambda: False,
) -> RestoreReport:
    """Restore a backup to the folder ``to``, which must not exist or be empty.

    Every byte is checked on the way; the collection appears whole, or not at all. The backup stays
    as it is. Raise as ``verify``, ``FolderInUseError`` if ``to`` holds anything, and
    ``StoreError``.
    """
    began = time.monotonic()
    manifest = _read_manifest(backup)
    place = _target(to)
    total = sum(one.bytes for one in manifest.files.values())
    heard = ProgressCallbackd(progress, total, stop)
    with _built(place) as draft:
        try:
            for name, said in manifest.files.items():
                _check(backup / name, said, _restored(backup / name, draft / name, heard))
        except _Stopped:
            return RestoreReport(folder=str(to), interrupted=True)
        check_database(draft)
        items = _point_at(draft, place)
        if items != manifest.items:
            raise StoreDamagedError(
                f"{backup} holds {items:,} items, not the {manifest.items:,} that were backed up; "
                "restore another backup"
            )
        _place(draft, place)
    return RestoreReport(
        folder=str(to),
        items=items,
        files=len(manifest.files),
        bytes=total,
        seconds=time.monotonic() - began,
    )


# -- the list of files ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _File:
    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Manifest:
    of: str
    made_at: str
    items: int
    files: Mapping[str, _File]


def _read_manifest(folder: Path) -> _Manifest:
    path = folder / MANIFEST
    try:
        stored: Json = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError) as error:
        raise CollectionFormatError(
            f"{folder} is no backup: it holds no {MANIFEST}; `lookalike backup` makes one"
        ) from error
    except OSError as error:
        raise StoreError(f"{path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise StoreDamagedError(f"{path} is damaged ({error}); restore another backup") from error
    match stored:
        case {"lookalike-backup": int(number)} if number > _FORMAT:
            raise CollectionFormatError(
                f"{folder} was made by a newer lookalike (format {number}; this one reads "
                f"{_FORMAT}); upgrade lookalike"
            )
        case {
            "lookalike-backup": 1,
            "of": str(of),
            "made_at": str(made_at),
            "items": int(items),
            "files": dict(files),
        }:
            found = {name: one for name, said in files.items() if (one := _file_of(name, said))}
            if len(found) == len(files) and DATABASE in found:
                return _Manifest(of=of, made_at=made_at, items=items, files=found)
    raise StoreDamagedError(f"{path} is damaged; restore another backup")


def _file_of(name: str, said: Json) -> _File | None:
    """Return what the list says of a file; ``None`` for a name that no backup has."""
    match said:
        case [int(size), str(sha256)] if own_files.is_own(name):
            return _File(size, sha256)
        case _:
            return None


def _check(file: Path, said: _File, found: _File) -> None:
    if said != found:
        raise StoreDamagedError(
            f"{file} is not what was backed up: it is damaged, or was changed since; restore "
            "another backup (one that was opened and written to can still be copied by "
            "`lookalike copy`)"
        )


# -- building ------------------------------------------------------------------------------------


def _target(to: Path) -> Path:
    """Return where to build; ``FolderInUseError`` unless nothing, or an empty folder, is there."""
    place = to.resolve()
    if to.is_symlink() or (os.path.lexists(place) and not _is_empty_folder(place)):
        raise FolderInUseError(
            f"{to} exists already, and is never overwritten; give a folder that does not exist"
        )
    return place


def _is_empty_folder(place: Path) -> bool:
    try:
        return place.is_dir() and next(place.iterdir(), None) is None
    except OSError:
        return False


@contextmanager
def _built(place: Path) -> Iterator[Path]:
    """A folder beside ``place`` to build in; it goes at the end, unless it was put in place."""
    made = own_files.make_folder(place.parent)
    draft = place.with_name(f".{place.name}.{secrets.token_hex(4)}.part")
    try:
        draft.mkdir()
        yield draft
    except OSError as error:
        kind = StoreFullError if error.errno in _FULL else StoreError
        raise kind(f"{place} cannot be written: {error.strerror or error}") from error
    finally:
        # Whole, for it was made here under a name by chance, and holds what may be damaged.
        shutil.rmtree(draft, ignore_errors=True)
        own_files.remove_empty(made)  # which what was put in place keeps from being empty


def _place(draft: Path, place: Path) -> None:
    """Give what was built its name; no folder that holds something is ever replaced."""
    _flush(draft)
    try:
        draft.rename(place)
    except OSError as error:
        if not os.path.lexists(place):
            raise
        raise FolderInUseError(
            f"{place} was made by somebody else meanwhile; give another folder"
        ) from error
    _flush(place.parent)


def _settle(
    source: Path, draft: Path, place: Path, stop: Callable[[], bool]
) -> tuple[int, tuple[str, ...]]:
    """Bring what lies beside the database in line with it: uploads, ANN index, settings.

    Return how many items there are, and which uploads had gone.
    """
    items = _point_at(draft, place)
    store = EmbeddedStore.open(draft)
    try:
        name = store.settings.get(settings_keys.UPLOADS)
        known = set(store.items.stamps(name)) if isinstance(name, str) else set()
        graph = store.settings.get(settings_keys.GRAPH)
        file = graph.get("file") if isinstance(graph, dict) else None
        if isinstance(file, str) and own_files.is_own(file) and not _taken(source, draft, file):
            store.settings.set(settings_keys.GRAPH, None)  # it is built again by the next `index`
    finally:
        store.close()
    _copy_uploads(source, draft, stop, known)
    for upload in own_files.upload_files(draft / UPLOADS):
        path = upload.relative_to(draft / UPLOADS).as_posix()
        if path not in known:
            upload.unlink()
            own_files.remove_empty([upload.parent, draft / UPLOADS])
        known.discard(path)
    return items, tuple(sorted(filter(own_files.is_upload, known)))


def _taken(source: Path, draft: Path, file: str) -> bool:
    try:
        _copy_file(source / file, draft / file, ProgressCallbackd())
    except FileNotFoundError:  # a newer one has taken its place
        return False
    return True


def _point_at(draft: Path, place: Path) -> int:
    """Let a copy's settings be those of a collection in ``place``; how many items it holds."""
    uploads = place / UPLOADS

    def moved(stored: Json) -> Json:
        return roots_json(
            [
                Root(name=root.name, path=uploads if root.name == name else root.path)
                for root in read_roots(stored)
            ]
        )

    store = EmbeddedStore.open(draft)
    try:
        name = store.settings.get(settings_keys.UPLOADS)
        if isinstance(name, str):
            store.settings.change(settings_keys.ROOTS, moved)
        for own in (
            settings_keys.VERSION_OF,
            settings_keys.REPLACED,
        ):  # of migrations in the other place
            if store.settings.get(own) is not None:
                store.settings.set(own, None)
        return store.search.count()
    finally:
        store.close()


def _copy_uploads(
    source: Path, draft: Path, stop: Callable[[], bool], known: set[str] | None = None
) -> None:
    """Copy the uploads that are there, of ``known`` paths, and not in the draft yet."""
    folder = (source / UPLOADS).resolve()  # which may lie on another disk
    heard = ProgressCallbackd(stop=stop)
    for upload in own_files.upload_files(folder):
        path = upload.relative_to(folder).as_posix()
        target = draft / UPLOADS / path
        if upload.suffix != ".part" and not target.exists() and (known is None or path in known):
            with suppress(FileNotFoundError):  # deleted meanwhile
                _copy_file(upload, target, heard)


# -- files ---------------------------------------------------------------------------------------


class ProgressCallbackd:
    """Adds up the bytes of several files, and asks whether to stop."""

    def __init__(
        self,
        progress: ProgressCallback = ignore_progress,
        total: int = 0,
        stop: Callable[[], bool] = lambda: False,
    ) -> None:
        self._progress, self._total, self._stop = progress, total, stop
        self._done = 0

    def __call__(self, count: int) -> None:
        self._done += count
        self._progress(Progress(done=self._done, total=self._total))
        if self._stop():
            raise _Stopped


def _hashed(draft: Path, stop: Callable[[], bool]) -> dict[str, _File]:
    heard = ProgressCallbackd(stop=stop)
    found = {}
    for file in own_files.own_files(draft):
        found[file.relative_to(draft).as_posix()] = _digest(file, heard)
        _flush(file)
    return found


def _digest(file: Path, heard: ProgressCallbackd) -> _File:
    digest, size = hashlib.sha256(), 0
    try:
        with file.open("rb") as stream:
            while chunk := stream.read(_CHUNK):
                digest.update(chunk)
                size += len(chunk)
                heard(len(chunk))
    except (FileNotFoundError, NotADirectoryError) as error:
        raise _missing(file) from error
    except OSError as error:
        raise StoreError(f"{file} cannot be read: {error.strerror}") from error
    return _File(size, digest.hexdigest())


def _copy_file(file: Path, target: Path, heard: ProgressCallbackd) -> _File:
    """Copy a file and answer what was read."""
    digest, size = hashlib.sha256(), 0
    with file.open("rb") as stream:
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("xb") as out:
            while chunk := stream.read(_CHUNK):
                digest.update(chunk)
                size += len(chunk)
                out.write(chunk)
                heard(len(chunk))
            out.flush()
            os.fsync(out.fileno())
    return _File(size, digest.hexdigest())


def _restored(file: Path, target: Path, heard: ProgressCallbackd) -> _File:
    try:
        return _copy_file(file, target, heard)
    except (FileNotFoundError, NotADirectoryError) as error:
        if file.exists():
            raise
        raise _missing(file) from error


def _missing(file: Path) -> StoreDamagedError:
    return StoreDamagedError(f"{file} is missing; restore another backup")


def _flush(path: Path) -> None:
    """See to it that a file's bytes, or a folder's names, are on the disk."""
    with suppress(OSError):  # not every system lets a folder be opened
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
