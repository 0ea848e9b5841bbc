"""Exchange two folders, and share the files of one folder with another."""

import ctypes
import errno
import os
import shutil
import sys
from contextlib import suppress
from pathlib import Path

from lookalike.stores.embedded.own_files import BETWEEN, holds_collection

__all__ = ["exchange", "finish_exchange", "share_folder"]

_HERE = -100  # AT_FDCWD: paths are those of this process
_EXCHANGE = 2  # RENAME_EXCHANGE of Linux, RENAME_SWAP of macOS


def exchange(one: Path, other: Path) -> None:
    """Exchange two folders: in one step if the system supports it, else in three.

    Raise ``OSError``; then both are where they were. If the process is killed between the three
    steps, ``finish_exchange`` puts ``one`` back.
    """
    if _at_once(os.fsencode(one), os.fsencode(other)):
        return
    between = _between(one)
    if os.path.lexists(between):
        raise FileExistsError(errno.EEXIST, f"{between} is in the way", str(between))
    one.rename(between)
    try:
        other.rename(one)
    except OSError:
        between.rename(one)
        raise
    between.rename(other)


def finish_exchange(one: Path) -> None:
    """Put back a folder that a killed exchange has left under another name."""
    if os.path.lexists(one):
        return
    between = _between(one)
    if holds_collection(between):
        with suppress(OSError):
            between.rename(one)


def _between(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}{BETWEEN}")


def share_folder(one: Path, other: Path) -> None:
    """Make the files in folder ``one``, if it exists, also available in ``other``.

    Files are hard links, which take no space, or copies if the file system has no links. Existing
    files stay, and files that vanish meanwhile are ignored. If ``one`` is a link, ``other`` becomes
    the same link. Raise ``OSError``.
    """
    if one.is_symlink():  # to another disk, say
        with suppress(FileExistsError):
            other.symlink_to(one.readlink())
        return
    for base, _, names in os.walk(one):
        place = other / Path(base).relative_to(one)
        place.mkdir(parents=True, exist_ok=True)
        for name in names:
            with suppress(FileExistsError, FileNotFoundError):
                _share(Path(base, name), place / name)


def _share(file: Path, place: Path) -> None:
    try:
        os.link(file, place, follow_symlinks=False)
    except (FileExistsError, FileNotFoundError):
        raise
    except OSError:
        shutil.copy2(file, place)


def _at_once(one: bytes, other: bytes) -> bool:
    """Exchange in one step; return whether the system and file system support it."""
    # Python's os has no name for either call.
    if sys.platform == "linux":
        call = getattr(ctypes.CDLL(None), "renameat2", None)
        return call is not None and call(_HERE, one, _HERE, other, _EXCHANGE) == 0
    if sys.platform == "darwin":
        call = getattr(ctypes.CDLL(None), "renamex_np", None)
        return call is not None and call(one, other, _EXCHANGE) == 0
    return False
