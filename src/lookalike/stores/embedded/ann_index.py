"""A USearch HNSW index over a store's rows: a cache in a file that may be deleted at any time.

Keys are the rows' ``seq``. The index only proposes candidates, which are rescored from the rows, so
a stale or coarse index can cost recall but never produces a wrong score.
"""

import contextlib
import hashlib
import secrets
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lookalike.core.cpus import usable_cores
from lookalike.core.vectors import Vector
from lookalike.stores.embedded.own_files import graph_files

__all__ = ["AnnIndex", "AnnRecord", "adopt", "build", "intact", "remove_others"]

# Scalars of 16 bits halve the file; candidates are rescored, so recall does not suffer
# (benchmarks/results). Degree and build effort are USearch's defaults.
_DTYPE = "f16"
_CONNECTIVITY = 16
_EXPANSION_ADD = 128
# Rows looked at in a search: 96 find .998 of the ten nearest of 100,000; of a million 128
# find .995.
_EXPANSION_SEARCH = 96
_EXPANSION_SEARCH_LARGE = 128
_LARGE = 300_000
# The first rows are added one by one: threads that begin together can leave parts of a small graph
# badly connected.
_FIRST = 1024
_EDGE = 1 << 20  # bytes hashed at each end: catches truncation and a torn header in 2 ms


@dataclass(frozen=True, slots=True, kw_only=True)
class AnnRecord:
    """What the store records of its index, to recognise the file that it wrote.

    ``mark`` is the highest ``seq`` that the index covers; ``count`` is its number of rows.
    """

    file: str
    mark: int
    count: int
    bytes: int
    digest: str

    def as_json(self) -> dict[str, str | int]:
        return asdict(self)


class AnnIndex:
    """An index opened by memory map: nothing is read until it is searched."""

    def __init__(self, index: Any, record: AnnRecord) -> None:  # noqa: ANN401 - see below
        # USearch's stubs call its settable properties read-only, so the type is not used.
        self._index = index
        self.record = record

    @classmethod
    def open(cls, folder: Path, record: AnnRecord, *, dim: int) -> "AnnIndex | None":
        """Return the index of ``record``; ``None`` if its file is missing or has changed."""
        if not intact(folder, record):
            return None
        index = _restore(folder / record.file, view=True)
        if index is None or index.ndim != dim or len(index) != record.count:
            return None
        return cls(index, record)

    def candidates(self, vector: Vector, count: int) -> NDArray[np.int64]:
        """Return the ``seq`` of about ``count`` rows near a vector, nearest first."""
        count = min(count, self.record.count)
        least = _EXPANSION_SEARCH_LARGE if self.record.count > _LARGE else _EXPANSION_SEARCH
        self._index.expansion_search = max(least, count)
        return np.asarray(self._index.search(vector, count).keys, dtype=np.int64)


def intact(folder: Path, record: AnnRecord) -> bool:
    """Return whether the index file exists as it was written. Does not load USearch."""
    path = folder / record.file
    try:
        return path.stat().st_size == record.bytes and _fingerprint(path) == record.digest
    except OSError:
        return False


def build(
    folder: Path,
    chunks: Iterable[tuple[NDArray[np.int64], NDArray[np.float16]]],
    *,
    dim: int,
    grow: AnnRecord | None = None,
    progress: Callable[[int], None] = lambda _done: None,
) -> AnnRecord | None:
    """Write a draft of an index of the rows in ``chunks``: seq (n,), vectors (n, dim).

    With ``grow``, the rows are added to a copy of that index; return ``None`` if it cannot be read.
    ``progress`` gets the number of rows added so far.
    """
    from usearch.index import Index  # noqa: PLC0415 - as in _restore

    if grow is None:
        index: Any = Index(
            ndim=dim,
            metric="ip",
            dtype=_DTYPE,
            connectivity=_CONNECTIVITY,
            expansion_add=_EXPANSION_ADD,
        )
        mark, done = 0, 0
    else:
        index = _restore(folder / grow.file, view=False)
        if index is None:
            return None
        index.expansion_add = _EXPANSION_ADD
        mark, done = grow.mark, 0
    for seqs, vectors in chunks:
        alone = _FIRST if len(index) == 0 else 0
        keys = seqs.astype(np.uint64)
        if alone:
            index.add(keys[:alone], vectors[:alone], threads=1)
        if len(keys) > alone:
            index.add(keys[alone:], vectors[alone:], threads=usable_cores())
        mark = max(mark, int(seqs[-1]))
        done += len(seqs)
        progress(done)
    # A new name each time: processes that build at the same time must not share a file, and readers
    # of the old one must notice the new one.
    name = f"graph-{mark}-{secrets.token_hex(4)}.usearch"
    draft = folder / f"{name}.draft"
    try:
        index.save(str(draft))
        return AnnRecord(
            file=name,
            mark=mark,
            count=len(index),
            bytes=draft.stat().st_size,
            digest=_fingerprint(draft),
        )
    except BaseException:
        draft.unlink(missing_ok=True)
        raise


def adopt(folder: Path, record: AnnRecord) -> None:
    """Give a built index its final name and delete all others; the caller holds the write lock.

    Drafts of killed processes are deleted when they are a day old. On Windows, a file that is still
    mapped by another process cannot be deleted; the next call tries again.
    """
    (folder / f"{record.file}.draft").replace(folder / record.file)
    remove_others(folder, record.file)


def remove_others(folder: Path, keep: str | None) -> None:
    """Delete index files other than ``keep``."""
    yesterday = time.time() - 86_400
    for path in graph_files(folder):
        draft = path.suffix == ".draft"
        stale = path.stat().st_mtime < yesterday if draft else path.name != keep
        if stale:
            with contextlib.suppress(OSError):
                path.unlink()


def _restore(path: Path, *, view: bool) -> Any:  # noqa: ANN401 - as in AnnIndex
    """Return a USearch index from its file, or ``None`` if it cannot be read."""
    from usearch.index import Index  # noqa: PLC0415 - 45 ms that a small collection never pays

    try:
        return Index.restore(str(path), view=view)
    except (OSError, ValueError, RuntimeError):  # raised by USearch for a missing or truncated file
        return None


def _fingerprint(path: Path) -> str:
    with path.open("rb") as file:
        digest = hashlib.blake2b(file.read(_EDGE), digest_size=16)
        file.seek(max(_EDGE, path.stat().st_size - _EDGE))
        digest.update(file.read(_EDGE))
    return digest.hexdigest()
