"""Move files so that nothing is overwritten and nothing is lost on the way."""

import os
import shutil
from collections.abc import Container
from pathlib import Path

from lookalike.core.digests import sha256_of

__all__ = ["free", "move"]


def free(target: Path, taken: Container[Path] = ()) -> Path:
    """Return ``target``, or the same with a number if it exists."""
    number, place = 2, target
    while place in taken or os.path.lexists(place):
        place = target.with_stem(f"{target.stem}-{number}")
        number += 1
    return place


def move(path: Path, target: Path) -> None:
    """Move a file to a path that does not exist. Raise ``OSError`` (``FileExistsError`` if it
    does).

    The name is reserved first, so that no other file is overwritten. Across file systems the file
    is copied, and only removed when the copy is complete and on disk.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("xb"):
        pass
    try:
        try:
            path.replace(target)
        except OSError:
            shutil.copy2(path, target)
            with target.open("rb") as file:
                os.fsync(file.fileno())
            if sha256_of(target) != sha256_of(path):
                raise OSError(None, "the copy is not what was to be moved") from None
            path.unlink()
    except OSError:
        if path.exists():
            target.unlink(missing_ok=True)
        raise
