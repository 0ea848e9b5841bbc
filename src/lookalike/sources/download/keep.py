"""Write to a folder of downloads: one writer at a time, and complete files only."""

import contextlib
import os
import secrets
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from lookalike import images
from lookalike.core.atomic_files import DISK_FULL, replace_file
from lookalike.errors import DownloadError

__all__ = ["Own", "is_there", "keep", "lock_folder", "remove_partial_files"]

_LOCK = "downloads.lock"
_PART = ".lookalike-part-"


@contextmanager
def lock_folder(folder: Path) -> Iterator[None]:
    """Create the folder and lock it for writing, until the block or the process ends.

    The lock is SQLite's, on an empty file of its own: it works on every system and is released when
    the process ends, however it ends. Raise ``DownloadError`` if another process holds it.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = sqlite3.connect(folder / _LOCK, timeout=0, isolation_level=None)
    except (OSError, sqlite3.Error) as error:
        raise DownloadError(f"{folder} cannot be made or written: {error}") from error
    with contextlib.closing(lock):
        try:
            lock.execute("BEGIN EXCLUSIVE")
        except sqlite3.Error as error:
            raise DownloadError(
                f"another download into {folder} is under way, or it cannot be written ({error})"
            ) from error
        yield


def remove_partial_files(folder: Path) -> int:
    """Remove partial files that a killed run left; return how many."""
    left = list(folder.glob(f"*/{_PART}*"))
    for path in left:
        with contextlib.suppress(OSError):
            path.unlink()
    return len(left)


@dataclass(frozen=True, slots=True, kw_only=True)
class Own:
    """A file that an earlier download wrote: its path below the folder, and its digest then."""

    path: str
    digest: str | None

    def is_untouched(self, folder: Path, data: bytes) -> bool:
        """Return whether nobody has edited the file since; a prefix of ``data`` counts as unedited.

        Raise ``OSError``.
        """
        content = (folder / self.path).read_bytes()
        return images.digest(content) == self.digest or data.startswith(content)


def keep(folder: Path, stem: str, suffix: str, data: bytes, *, own: Own | None = None) -> str:
    """Write a file completely; return its path below ``folder``: ``stem + suffix``.

    An existing file stays, unless it is the same or its ``own`` as it was written; then the name
    gets a part of the digest. Raise ``DownloadError`` if the disk is full or not writable.
    """
    digest = images.digest(data)
    stems = chain((stem,), (f"{stem}-{digest[:length]}" for length in range(12, len(digest))))
    try:
        for path in (f"{one}{suffix}" for one in stems):
            place = folder / path
            known = own if own is not None and own.path == path and place.is_file() else None
            if place.exists() and not (known and known.is_untouched(folder, data)):
                if place.is_file() and images.digest(place.read_bytes()) == digest:
                    return path  # left by a killed run, which could not record it
                continue
            _write(place, data)
            return path
    except OSError as error:
        if error.errno in DISK_FULL:
            raise DownloadError(
                f"no space is left on the disk of {folder} ({error.strerror}); what was downloaded "
                "stays, and the next run goes on"
            ) from error
        raise DownloadError(
            f"{folder / stem}{suffix} cannot be written: {error.strerror}; the next run goes on"
        ) from error
    raise DownloadError(f"{folder / stem}{suffix} is taken, and so is every name like it")


def _write(place: Path, data: bytes) -> None:
    part = place.with_name(
        _PART + secrets.token_hex(8)
    )  # a name that ``remove_partial_files`` recognises
    place.parent.mkdir(parents=True, exist_ok=True)
    with replace_file(place, temporary=part) as file:
        file.write(data)


def is_there(folder: Path, file: str | None, size: int | None) -> bool:
    """Return whether a file of the record exists with its recorded size."""
    if file is None:
        return False
    try:
        return os.stat(folder / file).st_size == size  # noqa: PTH116 - a million times
    except OSError:
        return False
