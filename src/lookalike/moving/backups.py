"""Back up collections in folders while they are in use; verify and restore backups.

    backups.backup(shop, Path("/backups/shop-monday"))
    backups.restore(Path("/backups/shop-monday"), Path("./shop"))

A backup is a collection's folder: it can be opened and searched. A list of its files with their
SHA-256 lies beside the database (``backup_manifest``), so damage and changes are recognised.
"""

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from lookalike.collection import Collection
from lookalike.core import settings_keys
from lookalike.core.arguments import checked
from lookalike.core.progress import ProgressCallback, ignore_progress
from lookalike.core.records import Json
from lookalike.core.roots import Root, read_roots, roots_json
from lookalike.errors import (
    CollectionError,
    CollectionReplacedError,
    FolderInUseError,
    StoreDamagedError,
)
from lookalike.moving.backup_manifest import (
    Manifest,
    check_file,
    file_missing,
    hash_file,
    hash_folder,
    read_manifest,
    write_manifest,
)
from lookalike.moving.file_copying import ByteCounter, FileDigest, StopRequested, copy_file
from lookalike.moving.new_folder import build_folder, check_target, put_in_place
from lookalike.stores.embedded import own_files
from lookalike.stores.embedded.own_files import UPLOADS
from lookalike.stores.embedded.snapshot import check_database, copy_database
from lookalike.stores.embedded.store import EmbeddedStore

__all__ = ["BackupReport", "RestoreReport", "VerifyReport", "backup", "restore", "verify"]


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupReport:
    """A backup in ``folder``: ``items``, and ``files`` of ``bytes`` together.

    ``uploads`` images that a service stores were copied; ``missing`` ones no longer existed.
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


@checked
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
    place = check_target(to)
    if place.is_relative_to(source):
        raise FolderInUseError(
            f"{to} lies in the collection's own folder; give a folder elsewhere, best on another "
            "disk"
        )
    with build_folder(place) as draft:
        try:
            # Before the database and again after it: so what is deleted in between is there too.
            _copy_uploads(source, draft, stop)
            if not copy_database(source, draft, progress=progress, stop=stop):
                return BackupReport(folder=str(to), interrupted=True)
            items, missing = _complete(source, draft, place, stop)
            files = hash_folder(draft, stop)
        except StopRequested:
            return BackupReport(folder=str(to), interrupted=True)
        made_at = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
        write_manifest(draft, Manifest(of=str(source), made_at=made_at, items=items, files=files))
        put_in_place(draft, place)
    return BackupReport(
        folder=str(to),
        items=items,
        files=len(files),
        bytes=sum(one.bytes for one in files.values()),
        uploads=sum(name.startswith(f"{UPLOADS}/") for name in files),
        missing=missing,
        seconds=time.monotonic() - began,
    )


@checked
def verify(backup: Path, *, progress: ProgressCallback = ignore_progress) -> VerifyReport:
    """Read a whole backup and compare it with its list of files.

    Raise ``CollectionFormatError`` for a folder that is not a backup or was made by a newer
    version, and ``StoreDamagedError`` for a file that is missing, damaged or was changed since.
    """
    manifest = read_manifest(backup)
    counter = ByteCounter(progress, sum(one.bytes for one in manifest.files.values()))
    for name, listed in manifest.files.items():
        check_file(backup / name, listed, hash_file(backup / name, counter))
    return VerifyReport(
        folder=str(backup),
        of=manifest.of,
        made_at=manifest.made_at,
        items=manifest.items,
        files=len(manifest.files),
        bytes=sum(one.bytes for one in manifest.files.values()),
    )


@checked
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
    manifest = read_manifest(backup)
    place = check_target(to)
    total = sum(one.bytes for one in manifest.files.values())
    counter = ByteCounter(progress, total, stop)
    with build_folder(place) as draft:
        try:
            for name, listed in manifest.files.items():
                check_file(
                    backup / name, listed, _restore_file(backup / name, draft / name, counter)
                )
        except StopRequested:
            return RestoreReport(folder=str(to), interrupted=True)
        check_database(draft)
        items = _point_at(draft, place)
        if items != manifest.items:
            raise StoreDamagedError(
                f"{backup} holds {items:,} items, not the {manifest.items:,} that were backed up; "
                "restore another backup"
            )
        put_in_place(draft, place)
    return RestoreReport(
        folder=str(to),
        items=items,
        files=len(manifest.files),
        bytes=total,
        seconds=time.monotonic() - began,
    )


def _complete(
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
        if isinstance(file, str) and own_files.is_own(file) and not _copied(source, draft, file):
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


def _copied(source: Path, draft: Path, file: str) -> bool:
    try:
        copy_file(source / file, draft / file, ByteCounter())
    except FileNotFoundError:  # a newer one has taken its place
        return False
    return True


def _point_at(draft: Path, place: Path) -> int:
    """Change a copy's settings to those of a collection in ``place``. Return its item count."""
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
        # Migrations of the original are none of the copy's.
        for own in (settings_keys.VERSION_OF, settings_keys.REPLACED):
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
    counter = ByteCounter(stop=stop)
    for upload in own_files.upload_files(folder):
        path = upload.relative_to(folder).as_posix()
        target = draft / UPLOADS / path
        if upload.suffix != ".part" and not target.exists() and (known is None or path in known):
            with suppress(FileNotFoundError):  # deleted meanwhile
                copy_file(upload, target, counter)


def _restore_file(file: Path, target: Path, counter: ByteCounter) -> FileDigest:
    try:
        return copy_file(file, target, counter)
    except (FileNotFoundError, NotADirectoryError) as error:
        if file.exists():
            raise
        raise file_missing(file) from error
