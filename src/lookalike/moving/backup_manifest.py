"""The list of a backup's files: read, written, and compared with the files that exist."""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from lookalike.core.records import Json
from lookalike.errors import (
    CollectionFormatError,
    StoreDamagedError,
    StoreError,
)
from lookalike.moving.file_copying import CHUNK, ByteCounter, FileDigest
from lookalike.moving.new_folder import flush
from lookalike.stores.embedded import own_files
from lookalike.stores.embedded.own_files import DATABASE, MANIFEST

__all__ = [
    "Manifest",
    "check_file",
    "file_missing",
    "hash_file",
    "hash_folder",
    "read_manifest",
    "write_manifest",
]


_FORMAT = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What was backed up (``of``), when (UTC), how many items, and the files by path."""

    of: str
    made_at: str
    items: int
    files: Mapping[str, FileDigest]


def read_manifest(folder: Path) -> Manifest:
    """Return the list of a backup.

    Raise ``CollectionFormatError`` for a folder that is not a backup or was made by a newer
    version, ``StoreDamagedError`` for a damaged list, and ``StoreError`` if it cannot be read.
    """
    path = folder / MANIFEST
    try:
        stored: Json = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError) as error:
        raise CollectionFormatError(
            f"{folder} is not a backup: it holds no {MANIFEST}; `lookalike backup` makes one"
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
            found = {name: one for name, listed in files.items() if (one := _file_of(name, listed))}
            if len(found) == len(files) and DATABASE in found:
                return Manifest(of=of, made_at=made_at, items=items, files=found)
    raise StoreDamagedError(f"{path} is damaged; restore another backup")


def _file_of(name: str, listed: Json) -> FileDigest | None:
    """Return what the list holds about a file; ``None`` for a name that no backup has."""
    match listed:
        case [int(size), str(sha256)] if own_files.is_own(name):
            return FileDigest(size, sha256)
        case _:
            return None


def check_file(file: Path, listed: FileDigest, found: FileDigest) -> None:
    """Raise ``StoreDamagedError`` unless a file is as it was backed up."""
    if listed != found:
        raise StoreDamagedError(
            f"{file} is not what was backed up: it is damaged, or was changed since; restore "
            "another backup (one that was opened and written to can still be copied by "
            "`lookalike copy`)"
        )


def hash_folder(draft: Path, stop: Callable[[], bool]) -> dict[str, FileDigest]:
    """Return the size and SHA-256 of each file of a backup, after flushing them to the disk."""
    counter = ByteCounter(stop=stop)
    found = {}
    for file in own_files.own_files(draft):
        found[file.relative_to(draft).as_posix()] = hash_file(file, counter)
        flush(file)
    return found


def hash_file(file: Path, counter: ByteCounter) -> FileDigest:
    """Read a file. Raise ``StoreDamagedError`` if it is missing, else ``StoreError``."""
    digest, size = hashlib.sha256(), 0
    try:
        with file.open("rb") as stream:
            while chunk := stream.read(CHUNK):
                digest.update(chunk)
                size += len(chunk)
                counter(len(chunk))
    except (FileNotFoundError, NotADirectoryError) as error:
        raise file_missing(file) from error
    except OSError as error:
        raise StoreError(f"{file} cannot be read: {error.strerror}") from error
    return FileDigest(size, digest.hexdigest())


def file_missing(file: Path) -> StoreDamagedError:
    """Return the error for a file of a backup that is not there."""
    return StoreDamagedError(f"{file} is missing; restore another backup")


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write the list into a backup that is being built."""
    document: Json = {
        "lookalike-backup": _FORMAT,
        "of": manifest.of,
        "made_at": manifest.made_at,
        "items": manifest.items,
        "files": {name: [one.bytes, one.sha256] for name, one in manifest.files.items()},
    }
    path = folder / MANIFEST
    path.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    flush(path)
