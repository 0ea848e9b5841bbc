"""Writing files so that each appears under its name whole, or not at all."""

import errno
import os
import secrets
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

__all__ = ["DISK_FULL", "replace_file", "write_file"]

DISK_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""The errors of a disk, a quota or a file that is full."""


def write_file(
    path: Path, content: bytes | str, *, exclusive: bool = False, durable: bool = False
) -> None:
    """Write a whole file, text as UTF-8. Options and errors are those of ``replace_file``.

    A link stays, and the file that it leads to is replaced. A device or a pipe, such as
    ``/dev/stdout``, is written directly. Raise ``PermissionError`` for a read-only file and, with
    ``exclusive``, ``FileExistsError`` if there is anything at ``path``.
    """

    def check() -> None:
        if exclusive and os.path.lexists(path):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path))

    check()
    data = content.encode() if isinstance(content, str) else content
    place = path.resolve()
    if place.exists() and not place.is_file():
        path.write_bytes(data)
        return
    if place.exists() and not os.access(place, os.W_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
    with replace_file(place, check=check, durable=durable) as file:
        file.write(data)


@contextmanager
def replace_file(
    path: Path,
    *,
    temporary: Path | None = None,
    check: Callable[[], None] = lambda: None,
    durable: bool = False,
) -> Iterator[BinaryIO]:
    """Open a temporary file and, if the block succeeds, give it the name ``path``.

    If the block fails, the temporary file is removed, and a file that was at ``path`` stays as it
    was. ``temporary`` is a new name in the same folder, by default a random one. ``check`` runs
    just before the renaming. With ``durable``, the content is on the disk before the file has its
    name. Permissions of an existing file are kept. Of several writers, the last one wins. Raise
    ``OSError``.
    """
    # The default is short whatever the length of the name, which may be all that a disk allows.
    part = temporary or path.with_name(f".lookalike-{secrets.token_hex(8)}.part")
    try:
        file = part.open("xb")
    except OSError as error:
        raise _name_target(error, path) from None
    try:
        with file:
            yield file
            if durable:
                file.flush()
                os.fsync(file.fileno())
        if path.is_file():
            part.chmod(stat.S_IMODE(path.stat().st_mode))
        check()
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def _name_target(error: OSError, path: Path) -> OSError:
    """Return the error of opening a temporary file as one about the file that was to be written."""
    what = error.strerror or str(error)
    if error.errno == errno.ENOENT:
        what = f"the folder {path.parent} does not exist"
    elif error.errno == errno.ENOTDIR:
        what = f"{path.parent} is not a folder"
    return OSError(error.errno, what, str(path))
