"""Read the images in a zip or tar archive, without unpacking it.

Nothing is written to disk, so no name in an archive leads anywhere; archives within archives stay
closed. What is decompressed is bounded: each image by the limit on files, and all of it by the size
of the archive.
"""

import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from lzma import LZMAError
from pathlib import Path, PurePosixPath
from typing import IO

from lookalike import images
from lookalike.core.records import Entry, Remote
from lookalike.errors import SourceError
from lookalike.sources.scan import IGNORE_FILE

__all__ = ["SUFFIXES", "is_archive", "read_archive"]

SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")

_MOST_EXPANDED = 200  # times the size of the archive: JPEG and PNG do not shrink to a hundredth
_LEAST_EXPANDED = 2**30  # bytes that any archive may hold
_BROKEN = (
    OSError,
    EOFError,
    ValueError,
    zlib.error,
    LZMAError,
    RuntimeError,  # encrypted
    NotImplementedError,  # a kind of compression
    zipfile.BadZipFile,
    tarfile.TarError,
)


def is_archive(path: Path) -> bool:
    """Return whether a file is an archive, by its name."""
    return path.name.lower().endswith(SUFFIXES)


def read_archive(
    path: Path, *, limits: images.Limits, stop: Callable[[], bool] = lambda: False
) -> Iterator[Entry]:
    """Yield the images of an archive, each as bytes; its id is ``archive.zip/folder/a.jpg``.

    What cannot be used is an entry with the reason. Hidden files and those without the suffix of an
    image are passed over. Raise ``SourceError`` if the archive cannot be opened or is damaged, or
    if it expands beyond measure.
    """
    number = 0
    try:
        members = _read_zip if path.name.lower().endswith(".zip") else _read_tar
        with path.open("rb") as file:
            most = max(_LEAST_EXPANDED, _MOST_EXPANDED * path.stat().st_size)
            for name, size, member in members(file, limits.max_bytes):
                if stop():
                    return
                most -= size
                if most < 0:
                    raise SourceError(
                        f"{path} expands to more than {_MOST_EXPANDED} times its size, which no "
                        "archive of images does; unpack it yourself if you trust it"
                    )
                if not _is_image(name):
                    continue
                number += 1
                yield _make_entry(path, name, size, member, limits)
    except FileNotFoundError as error:
        raise SourceError(f"{path} does not exist; give an archive of images") from error
    except _BROKEN as error:
        after = f", after {number:,} images" if number else ""
        what = getattr(error, "strerror", None) or error
        raise SourceError(f"{path}{after}: the archive cannot be read ({what})") from error


def _make_entry(
    path: Path, name: str, size: int, member: Callable[[], bytes], limits: images.Limits
) -> Entry:
    written = name.replace("\\", "/")
    parts = [part for part in PurePosixPath(written).parts if part != "/"]
    plain = "/".join(parts)
    reason = ""
    data = b""
    if ".." in parts or written.startswith("/") or ":" in parts[0]:
        reason = f"{name!a} leads out of the archive"
    elif size > limits.max_bytes:
        reason = f"{size:,} bytes; the limit is {limits.max_bytes:,}"
    else:
        try:
            data = member()
        except _BROKEN as error:
            reason = f"cannot be read in the archive ({error})"
    one = f"{path.name}/{plain.replace('..', '__')}"
    return Entry(id=one, image=Remote((), reason) if reason else data, line=f"{path.name}: {name}")


def _is_image(name: str) -> bool:
    parts = PurePosixPath(name.replace("\\", "/")).parts
    hidden = any(part.startswith(".") and part not in (".", "..") for part in parts)
    system = "__MACOSX" in parts or parts[-1:] == (IGNORE_FILE,)
    suffix = PurePosixPath(name).suffix.lower()
    return not hidden and not system and suffix in images.SUFFIXES


def _read_zip(file: IO[bytes], most: int) -> Iterator[tuple[str, int, Callable[[], bytes]]]:
    """Yield the name, the size and the reader of each file."""
    with zipfile.ZipFile(file) as archive:
        for info in archive.infolist():
            if info.is_dir():
                continue

            def read(info: zipfile.ZipInfo = info) -> bytes:
                with archive.open(info) as member:
                    return _read_whole(member, most)

            yield info.filename, info.file_size if _is_image(info.filename) else 0, read


def _read_tar(file: IO[bytes], most: int) -> Iterator[tuple[str, int, Callable[[], bytes]]]:
    """Yield the name, the size and the reader of each file; links and devices are passed over.

    The stream is decompressed as a whole, so every file counts.
    """
    with tarfile.open(fileobj=file, mode="r|*") as archive:
        for info in archive:
            if not info.isreg():
                continue

            def read(info: tarfile.TarInfo = info) -> bytes:
                member = archive.extractfile(info)
                if member is None:
                    raise ValueError("not a file")
                with member:
                    return _read_whole(member, most)

            yield info.name, info.size, read


def _read_whole(member: IO[bytes], most: int) -> bytes:
    """Return the content; a size that an archive declares is not believed."""
    data = member.read(most + 1)
    if len(data) > most:
        raise ValueError(f"more than {most:,} bytes")
    return data
