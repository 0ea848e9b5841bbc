"""Exact search: vectors held in memory and compared one by one."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lookalike.core.filters import Condition
from lookalike.core.vectors import Matrix, dots, top_k

__all__ = ["ChosenRows", "Resident"]


class Resident:
    """The vectors of the rows with ``seq`` above ``start``, as far as they have been read.

    Deleted rows stay until everything is read again: the caller looks results up in the rows.
    ``state`` is the owner's mark of what has been read.
    """

    def __init__(self, *, dim: int, start: int) -> None:
        self.start = start
        self.state: tuple[int, int] | None = None
        self._count = 0
        self._seqs = np.empty(0, np.int64)
        self._rows = np.empty((0, dim), np.float32)

    def __len__(self) -> int:
        return self._count

    @property
    def end(self) -> int:
        """Return the highest ``seq`` that has been read."""
        return int(self._seqs[self._count - 1]) if self._count else self.start

    def add(self, seqs: NDArray[np.int64], rows: NDArray[np.float16]) -> None:
        """Append rows (n, dim) whose ``seqs`` (n,) ascend from beyond ``end``."""
        total = self._count + len(seqs)
        if total > len(self._seqs):
            room = max(total, len(self._seqs) * 3 // 2)
            self._seqs = np.concatenate([self._seqs, np.empty(room - len(self._seqs), np.int64)])
            grown = np.empty((room, self._rows.shape[1]), np.float32)
            grown[: self._count] = self._rows[: self._count]
            self._rows = grown
        self._seqs[self._count : total] = seqs
        self._rows[self._count : total] = rows
        self._count = total

    def nearest(self, vectors: Matrix, count: int) -> list[NDArray[np.int64]]:
        """Return for each query the ``seq`` of the ``count`` rows with the highest dot products."""
        rows = self._rows[: self._count]
        seqs = self._seqs[: self._count]
        # 64 queries at a time: their scores over a full resident of 12,500 rows are 3 MB
        return [
            seqs[top_k(scores, count)]
            for start in range(0, len(vectors), 64)
            for scores in dots(vectors[start : start + 64], rows)  # (q, n)
        ]


@dataclass(slots=True, kw_only=True)
class ChosenRows:
    """The rows that met a condition when the store was in ``state``: ascending ``seqs``.

    ``resident`` holds their vectors if they are few.
    """

    where: Condition
    state: tuple[int, int] | None
    seqs: NDArray[np.int64]
    resident: Resident | None = None

    def among(self, seqs: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return those of ``seqs`` that met the condition."""
        if not len(self.seqs):
            return seqs[:0]
        places = np.searchsorted(self.seqs, seqs).clip(max=len(self.seqs) - 1)
        chosen: NDArray[np.int64] = seqs[self.seqs[places] == seqs]
        return chosen
