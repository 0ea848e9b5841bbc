"""Two folders change places."""

import ctypes
import os
import sys
from pathlib import Path

__all__ = ["exchange"]

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
