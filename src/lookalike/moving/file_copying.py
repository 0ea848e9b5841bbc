"""Copy files to disk and compute their SHA-256, with progress in bytes."""

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from lookalike.core.progress import Progress, ProgressCallback, ignore_progress

__all__ = ["CHUNK", "ByteCounter", "FileDigest", "StopRequested", "copy_file"]

CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class FileDigest:
    """The size of a file in bytes, and its SHA-256 in hexadecimal."""

    bytes: int
    sha256: str


class StopRequested(Exception):  # noqa: N818 - no error
    """``stop`` returned true while files were being read."""


class ByteCounter:
    """Add up the bytes of several files, report them, and raise ``StopRequested`` if asked to."""

    def __init__(
        self,
        progress: ProgressCallback = ignore_progress,
        total: int = 0,
        stop: Callable[[], bool] = lambda: False,
    ) -> None:
        self._progress, self._total, self._stop = progress, total, stop
        self._done = 0

    def __call__(self, count: int) -> None:
        self._done += count
        self._progress(Progress(done=self._done, total=self._total))
        if self._stop():
            raise StopRequested


def copy_file(file: Path, target: Path, counter: ByteCounter) -> FileDigest:
    """Copy a file to a new ``target`` and flush it to the disk. Return the digest of its bytes."""
    digest, size = hashlib.sha256(), 0
    with file.open("rb") as stream:
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("xb") as out:
            while chunk := stream.read(CHUNK):
                digest.update(chunk)
                size += len(chunk)
                out.write(chunk)
                counter(len(chunk))
            out.flush()
            os.fsync(out.fileno())
    return FileDigest(size, digest.hexdigest())
