"""Two folders change places, and what lies in one comes to be in the other."""

import ctypes
import os
import shutil
import sys
from contextlib import suppress
from pathlib import Path

__all__ = ["exchange", "share_folders"]

_HERE = -100  # AT_FDCWD: paths are those of this process
_EXCHANGE = 2  # RENAME_EXCHANGE of Linux, RENAME_SWAP of macOS


def exchange(one: Path, other: Path) -> None:
    """Let two folders change places: in one step where the system can, else in three.

    Raises ``OSError``; then both are where they were.
    """
    if _at_once(os.fsencode(one), os.fsencode(other)):
        return
    between = one.with_name(f"{one.name}.moving")
    one.rename(between)
    try:
        other.rename(one)
    except OSError:
        between.rename(one)
        raise
    between.rename(other)


def share_folders(one: Path, other: Path) -> None:
    """Let the folders within ``one`` be within ``other`` too, file by file.

    Files are hard links, which take no room, and copies where the file system has none. Those that
    are there already stay, and those that vanish meanwhile are passed over. Raises ``OSError``.
    """
    for folder in sorted(path for path in one.iterdir() if path.is_dir()):
        if folder.is_symlink():  # to another disk, say
            with suppress(FileExistsError):
                (other / folder.name).symlink_to(folder.readlink())
            continue
        for base, _, names in os.walk(folder):
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
    """Whether the system did it; not every file system can."""
    # Python's os has no name for either call.
    if sys.platform == "linux":
        call = getattr(ctypes.CDLL(None), "renameat2", None)
        return call is not None and call(_HERE, one, _HERE, other, _EXCHANGE) == 0
    if sys.platform == "darwin":
        call = getattr(ctypes.CDLL(None), "renamex_np", None)
        return call is not None and call(one, other, _EXCHANGE) == 0
    return False
