"""Nearest neighbours in the embedded store: candidate rows are proposed, then rescored.

Small collections are compared row by row in memory. In large ones an ANN index proposes, and rows
newer than it are compared one by one. Every score is the cosine of the stored vector.
"""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from lookalike.core.filters import Condition
from lookalike.core.records import Hit
from lookalike.core.vectors import Matrix, cosines, dots, top_k
from lookalike.stores.binding import check_k, check_queries
from lookalike.stores.embedded import ann_cache
from lookalike.stores.embedded.ann_cache import AnnCache
from lookalike.stores.embedded.database import Database, Row
from lookalike.stores.embedded.resident import ChosenRows, Resident
from lookalike.stores.embedded.rows import COLUMNS, item_of
from lookalike.stores.stored_values import matrix_of

if TYPE_CHECKING:
    from lookalike.stores.embedded.ann_index import AnnIndex

__all__ = ["VectorSearch"]

_GONE = 256  # deleted rows that may stay in memory: 1.3 MB of 1280-d float32
_FILTERS = 8  # filters whose rows are cached
_FEW_FLOATS = 4_000_000  # matching rows of a filter are held in memory up to this many: 16 MB


class VectorSearch:
    """Searches by vector, and the caches that speed up the next search."""

    def __init__(self, db: Database, ann: AnnCache) -> None:
        self._db = db
        self._ann = ann
        self._resident: Resident | None = None
        self._searched: tuple[int, int] | None = None  # the state that the next two describe
        self._live = 0
        self._near: AnnIndex | None = None
        self._filters: list[ChosenRows] = []  # the last used last

    def nearest(
        self, vectors: Matrix, *, k: int, exact: bool = False, where: Condition | None = None
    ) -> list[list[Hit]]:
        """Search as ``ItemSearch.nearest`` does."""
        check_k(k)
        if self._db.bound() is None:
            return [[] for _ in vectors]
        check_queries(vectors, self._db.dim)
        with self._db.lock:
            self._look()
            chosen = None if where is None else self._chosen(where)
            wanted = min(k, self._live if chosen is None else len(chosen.seqs))
            found: list[list[Hit]] = [[] for _ in vectors]
            # About this share of the proposals passes the filter: ask for twice as many at once.
            ask = wanted + 8
            if wanted and chosen is not None and chosen.resident is None:
                ask += int(2 * wanted * self._live / len(chosen.seqs))
            pending = list(range(len(vectors)))
            while wanted and pending:
                proposals, exhausted = self._propose(
                    vectors[pending], ask, exact=exact, chosen=chosen
                )
                for query, seqs in zip(pending, proposals, strict=True):
                    found[query] = self._hits(vectors[query], seqs, wanted)
                pending = [q for q in pending if len(found[q]) < wanted and not exhausted]
                ask *= 4  # rows that were deleted since the caches were filled took the places
        if not exact:
            for query, hits in enumerate(found):
                if len(hits) < wanted:  # an ANN index need not reach every row
                    rest = self.nearest(vectors[query : query + 1], k=k, exact=True, where=where)
                    found[query] = rest[0]
        return found

    def warm(self) -> None:
        """Read into memory what the first search would read."""
        if self._db.bound() is not None:
            with self._db.lock:
                self._look()
                self.resident(self._near.record.mark if self._near else 0)

    def forget_rows(self) -> None:
        """Release the vectors held in memory."""
        with self._db.lock:
            self._resident = None

    def close(self) -> None:
        """Release memory and files."""
        self._resident = self._near = None
        self._ann.close()

    def resident(self, mark: int) -> Resident | None:
        """Return the rows after ``mark`` in memory, up to date; ``None`` if they are too many."""
        state = self._db.state()
        resident = self._resident
        if resident is None or resident.start != mark:
            resident = Resident(dim=self._db.dim, start=mark)
        if resident.state != state:
            live = self._db.read("SELECT count(*) FROM items WHERE seq > ?", (mark,))[0][0]
            if live * self._db.dim > ann_cache.EXACT_FLOATS:
                self._resident = None
                return None
            if len(resident) > 2 * live + _GONE:  # mostly deleted rows
                resident = Resident(dim=self._db.dim, start=mark)
            for seqs, rows in self._db.chunks(resident.end):
                resident.add(seqs, rows)
            resident.state = state
        self._resident = resident
        return resident

    def _look(self) -> None:
        """Notice changes since the last search: counting a million rows takes 6 ms."""
        state = self._db.state()
        if state != self._searched:
            self._live = self._db.read("SELECT count(*) FROM items")[0][0]
            self._near = self._ann.current()
            self._searched = state

    def _chosen(self, where: Condition) -> ChosenRows:
        """Return the rows that meet a condition; cached for further queries with it."""
        for position, chosen in enumerate(self._filters):
            if chosen.where == where and chosen.state == self._searched:
                self._filters.append(self._filters.pop(position))
                return chosen
        sql, values = self._db.where(where)
        rows = self._db.read(f"SELECT seq FROM items{sql} ORDER BY seq", values)  # noqa: S608 - compiled
        seqs = np.fromiter((row[0] for row in rows), np.int64, len(rows))
        chosen = ChosenRows(where=where, state=self._searched, seqs=seqs)
        dim = self._db.dim
        if len(seqs) * dim <= _FEW_FLOATS:
            chosen.resident = Resident(dim=dim, start=0)
            select = "SELECT seq, vector FROM vectors WHERE seq IN ({})"
            blobs: list[Row] = sorted(self._db.by_value(select, seqs))
            if blobs:
                found = np.fromiter((row[0] for row in blobs), np.int64, len(blobs))
                chosen.resident.add(found, matrix_of([row[1] for row in blobs], dim))
        self._filters = [*self._filters[-_FILTERS + 1 :], chosen]
        return chosen

    def _propose(
        self, vectors: Matrix, count: int, *, exact: bool, chosen: ChosenRows | None
    ) -> tuple[list[NDArray[np.int64]], bool]:
        """Return the ``seq`` of about the ``count`` nearest rows per query, and whether these are
        all.

        The ``seq`` are (n,) int64 for each query.
        """
        if chosen is not None and chosen.resident is not None:
            return chosen.resident.nearest(vectors, count), count >= len(chosen.seqs)
        near = None if exact else self._near
        mark = near.record.mark if near else 0
        resident = self.resident(mark)
        if resident is not None:
            proposals = resident.nearest(vectors, count)
            rows = len(resident)
        else:
            proposals, rows = self._stream(vectors, count), self._live
        if near is not None:
            # A few more than requested: rescoring corrects the order of half floats.
            proposals = [
                np.concatenate([near.candidates(vector, count + 8), fresh])
                for vector, fresh in zip(vectors, proposals, strict=True)
            ]
            rows = max(rows, near.record.count)
        if chosen is not None:
            proposals = [chosen.among(seqs) for seqs in proposals]
        return proposals, count >= rows

    def _hits(self, vector: NDArray[np.float32], seqs: NDArray[np.int64], k: int) -> list[Hit]:
        """Return the best ``k`` of the rows ``seqs`` that still exist, with their true cosines."""
        blobs: dict[int, bytes] = dict(
            self._db.by_value("SELECT seq, vector FROM vectors WHERE seq IN ({})", seqs)
        )
        if not blobs:
            return []
        alive = list(blobs)
        scores = cosines(matrix_of(list(blobs.values()), self._db.dim), vector)
        kth = scores[top_k(scores, k)[-1]]  # of all that are level with it, ids decide
        by_seq = {alive[place]: float(scores[place]) for place in np.flatnonzero(scores >= kth)}
        select = f"SELECT seq, {COLUMNS} FROM items WHERE seq IN ({{}})"  # noqa: S608 - constants
        rows = self._db.by_value(select, list(by_seq))
        hits = [Hit(item=item_of(row[1:]), score=by_seq[row[0]]) for row in rows]
        return sorted(hits, key=lambda hit: (-hit.score, hit.item.id))[:k]

    def _stream(self, vectors: Matrix, count: int) -> list[NDArray[np.int64]]:
        """Return the nearest rows by comparing every row, in parts, so that memory stays flat."""
        best = [(np.empty(0, np.int64), np.empty(0, np.float32)) for _ in vectors]
        for seqs, rows in self._db.chunks(0):
            scores = dots(vectors, rows.astype(np.float32))  # (q, n)
            for query, row in enumerate(scores):
                all_seqs = np.concatenate([best[query][0], seqs])
                all_scores = np.concatenate([best[query][1], row])
                chosen = top_k(all_scores, count)
                best[query] = (all_seqs[chosen], all_scores[chosen])
        return [seqs for seqs, _ in best]
