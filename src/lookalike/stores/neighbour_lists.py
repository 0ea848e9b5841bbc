"""Convert neighbour lists to the bytes that every store keeps, and back: docs/storage.md."""

import struct
from collections.abc import Sequence
from typing import Any

import numpy as np

from lookalike.core.protocols import NeighbourLists
from lookalike.errors import StoreDamagedError

__all__ = ["lists_of", "rows_of", "scores_of"]


# Scores are integers of billionths: cosines are rounded to nine decimals, so they are exact.
_BILLION = 1e9
_ENTRY = np.dtype([("seq", "<i8"), ("score", "<i4")])
_UNPACK = struct.Struct("<qi").iter_unpack


def scores_of(entries: bytes) -> list[tuple[int, float]]:
    """Decode the entries of a list: (seq, cosine), best first."""
    try:
        return [(seq, billionths / _BILLION) for seq, billionths in _UNPACK(entries)]
    except struct.error as error:
        raise _damaged() from error


def rows_of(lists: NeighbourLists) -> list[tuple[tuple[int, int, int, bool], bytes]]:
    """Return rows of ``neighbours`` with their entries."""
    entries = np.empty(lists.near.shape, _ENTRY)
    entries["seq"] = lists.near
    entries["score"] = np.rint(lists.scores * _BILLION)
    lengths = np.count_nonzero(lists.near, axis=1)
    k = lists.near.shape[1]
    columns = zip(lists.keys.tolist(), lists.marks.tolist(), lists.exact.tolist(), strict=True)
    return [
        ((key, mark, k, exact), entries[row, : lengths[row]].tobytes())
        for row, (key, mark, exact) in enumerate(columns)
    ]


def lists_of(rows: Sequence[Sequence[Any]], k: int) -> NeighbourLists:
    """Decode rows of ``CHUNK``."""
    size = k * _ENTRY.itemsize
    if any(len(row[3]) > size or len(row[3]) % _ENTRY.itemsize for row in rows):
        raise _damaged()
    entries = np.frombuffer(b"".join(row[3].ljust(size, b"\0") for row in rows), _ENTRY)
    table = entries.reshape(len(rows), k)
    return NeighbourLists(
        keys=np.fromiter((row[0] for row in rows), np.int64, len(rows)),
        marks=np.fromiter((row[1] for row in rows), np.int64, len(rows)),
        exact=np.fromiter((row[2] for row in rows), np.bool_, len(rows)),
        near=table["seq"].astype(np.int64),
        scores=table["score"] / _BILLION,
    )


def _damaged() -> StoreDamagedError:
    return StoreDamagedError(
        "a list of neighbours has the wrong length; `lookalike neighbours build --rebuild` "
        "repairs it"
    )
