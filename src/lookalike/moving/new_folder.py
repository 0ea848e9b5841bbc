"""A folder that appears whole or not at all: built under another name, then renamed."""

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from lookalike.core.atomic_files import DISK_FULL
from lookalike.errors import (
    FolderInUseError,
    StoreError,
    StoreFullError,
)
from lookalike.stores.embedded import own_files

__all__ = ["build_folder", "check_target", "flush", "put_in_place"]


def check_target(to: Path) -> Path:
    """Return the resolved path. Raise ``FolderInUseError`` unless it is free or an empty folder."""
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
def build_folder(place: Path) -> Iterator[Path]:
    """Yield a folder beside ``place`` to build in; remove it at the end unless it was renamed.

    Raise ``StoreFullError`` or ``StoreError`` for what cannot be written.
    """
    made = own_files.make_folder(place.parent)
    draft = place.with_name(f".{place.name}.{secrets.token_hex(4)}.part")
    try:
        draft.mkdir()
        yield draft
    except OSError as error:
        kind = StoreFullError if error.errno in DISK_FULL else StoreError
        raise kind(f"{place} cannot be written: {error.strerror or error}") from error
    finally:
        # All of it: it was created here under a random name.
        shutil.rmtree(draft, ignore_errors=True)
        own_files.remove_empty(made)  # parents of a renamed folder are not empty


def put_in_place(draft: Path, place: Path) -> None:
    """Give a built folder its name. Raise ``FolderInUseError`` rather than replace a filled one."""
    flush(draft)
    try:
        draft.rename(place)
    except OSError as error:
        if not os.path.lexists(place):
            raise
        raise FolderInUseError(
            f"{place} was made by somebody else meanwhile; give another folder"
        ) from error
    flush(place.parent)


def flush(path: Path) -> None:
    """Flush a file's bytes, or a folder's names, to the disk."""
    with suppress(OSError):  # not every system lets a folder be opened
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
