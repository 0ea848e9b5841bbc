"""Reading image files: regular files only, under the limit on bytes."""

import errno
import hashlib
import os
import stat

from lookalike.errors import NotAnImageError, UnreadableImageError
from lookalike.images.limits import DEFAULT_LIMITS, Limits, check_bytes

__all__ = ["digest", "read"]


def read(path: str | bytes | os.PathLike[str], limits: Limits = DEFAULT_LIMITS) -> bytes:
    """Return the bytes of a regular file, which is read once.

    Never wait on a pipe and never open a device. Raise ``UnreadableImageError``,
    ``ImageTooLargeError`` and, for an empty file or anything but a file, ``NotAnImageError``.
    """
    shown = os.fsdecode(path)
    try:
        # Before opening, because to open some devices is to act on them.
        _check_regular(os.stat(path).st_mode, shown)  # noqa: PTH116 - bytes too
        # NONBLOCK in case a pipe has taken the file's place since.
        flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
        with open(os.open(path, flags), "rb", buffering=0) as file:  # noqa: PTH123
            found = os.fstat(file.fileno())
            _check_regular(found.st_mode, shown)
            check_bytes(found.st_size, limits, shown)
            chunks, size = [], 0
            while chunk := file.read(max(found.st_size + 1 - size, 2**16)):
                chunks.append(chunk)
                size += len(chunk)
                check_bytes(size, limits, shown)  # again: a file may grow
    except OSError as error:
        raise UnreadableImageError(_explain_unreadable(error, path), path=shown) from error
    if not chunks:
        raise NotAnImageError("the file is empty", path=shown)
    return b"".join(chunks)


def digest(data: bytes) -> str:
    """Return the SHA-256 of a file's content in hex, by which exact duplicates are known."""
    return hashlib.sha256(data).hexdigest()


def _check_regular(mode: int, path: str) -> None:
    if stat.S_ISREG(mode):
        return
    kinds = {
        stat.S_IFDIR: "a folder",
        stat.S_IFIFO: "a named pipe",
        stat.S_IFSOCK: "a socket",
        stat.S_IFCHR: "a device",
        stat.S_IFBLK: "a device",
    }
    what = kinds.get(stat.S_IFMT(mode), "something else")
    raise NotAnImageError(f"it is {what}, not a file", path=path)


def _explain_unreadable(error: OSError, path: str | bytes | os.PathLike[str]) -> str:
    if error.errno == errno.ENOENT:
        dangling = os.path.islink(path)  # noqa: PTH114 - bytes too
        return "a link to a file that is not there" if dangling else "there is no such file"
    if error.errno == errno.ELOOP:
        return "a link that leads back to itself"
    if error.errno in {errno.EACCES, errno.EPERM}:
        return "no permission to read it"
    words = error.strerror or type(error).__name__
    return f"it could not be read ({words})"
