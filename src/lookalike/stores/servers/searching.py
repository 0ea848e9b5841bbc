"""Search by vector: the server proposes, and the stored vectors decide."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any

import numpy as np

from lookalike.core.records import Hit
from lookalike.core.vectors import Matrix, Vector, cosines, dots, top_k
from lookalike.errors import StoreError
from lookalike.stores.servers.dialect import Dialect, Nearest
from lookalike.stores.servers.documents import (
    SCORED,
    document_id,
    halves,
    item_of,
    query_vector,
)
from lookalike.stores.servers.queries import HAS_VECTOR, Query
from lookalike.stores.servers.reading import LIMIT, Reader, both

__all__ = ["Search"]

_MORE = 8  # proposals beyond k: stored vectors correct the order of rounded ones
_ROUGH = 16  # factor of proposals if these are ordered by coarse vectors
_MOST = 200  # proposals beyond k: at the end of a long list, few items change places
_HITS = 2000  # responses, with their vectors, in one response: 10 MB of 1,280 values
_PAGE = 2000  # vectors per page if all are compared in this process


@dataclass(slots=True, kw_only=True)
class Search:
    """Searches a collection. ``vectors`` is how they are indexed."""

    items: Reader
    dialect: Dialect
    vectors: str
    candidates: int
    oversample: float
    scripts: bool = True  # until the server refuses to run scripts

    def hits(self, queries: Matrix, *, k: int, exact: bool, where: Query | None) -> list[list[Hit]]:
        """Return the best ``k`` hits of each query by true cosines, ties by id."""
        found = self._search_batch(queries, k=k, exact=exact, where=where)
        if exact:
            return found
        short = [place for place, hits in enumerate(found) if len(hits) < k]
        if short:
            wanted = min(k, self.items.count(where))
            short = [place for place in short if len(found[place]) < wanted]
        if short:  # an ANN index may not reach every item
            rest = self._search_batch(queries[short], k=k, exact=True, where=where)
            for place, hits in zip(short, rest, strict=True):
                found[place] = hits
        return found

    def _search_batch(
        self, queries: Matrix, *, k: int, exact: bool, where: Query | None
    ) -> list[list[Hit]]:
        if k + _MORE > LIMIT:
            return self._compare_all(queries, k=k, where=where)
        ask = min(k + self._count_extra(k, exact=exact), LIMIT)
        step = max(1, _HITS // ask)
        found: list[list[Hit]] = []
        for start in range(0, len(queries), step):
            some = queries[start : start + step]
            responses = self._propose(some, ask, exact=exact, where=where)
            if responses is None:
                found += self._compare_all(some, k=k, where=where)
                continue
            for query, response in zip(some, responses, strict=True):
                found.append(_rescore(response["hits"]["hits"], query, k))
        return found

    def _count_extra(self, k: int, *, exact: bool) -> int:
        """Return how many proposals beyond ``k`` are compared again by their stored vectors."""
        if exact or self.dialect.rescores(self.vectors):
            return _MORE
        return max(_MORE, min(ceil((self.oversample - 1) * (k + _ROUGH)), _MOST))

    def _propose(
        self, queries: Matrix, ask: int, *, exact: bool, where: Query | None
    ) -> list[Any] | None:
        """Return the server's proposals; ``None`` if it cannot compare every vector."""
        bodies = [self._make_body(query, ask, exact=exact, where=where) for query in queries]
        asked = [body for body in bodies if body is not None]
        if len(asked) < len(bodies):
            return None
        try:
            return self.items.searches(asked)
        except StoreError as error:
            if not exact or "script" not in str(error):
                raise
            self.scripts = False  # Painless scripts are not available or not allowed
            return None

    def _make_body(
        self, query: Vector, ask: int, *, exact: bool, where: Query | None
    ) -> dict[str, Any] | None:
        vector = query_vector(query)
        part: dict[str, Any] | None
        if exact:
            part = self.dialect.exact(vector, self.vectors, where, ask) if self.scripts else None
        else:
            part = self.dialect.nearest(
                Nearest(
                    vector=vector,
                    k=ask,
                    vectors=self.vectors,
                    candidates=min(max(self.candidates, 2 * ask), LIMIT),
                    oversample=self.oversample,
                    where=where,
                )
            )
        if part is None:
            return None
        return {"size": ask, "track_total_hits": False, "_source": list(SCORED), **part}

    def _compare_all(self, queries: Matrix, *, k: int, where: Query | None) -> list[list[Hit]]:
        """Compare every vector in this process, for servers that cannot; memory stays flat."""
        best: list[tuple[list[str], np.ndarray[Any, np.dtype[np.float32]]]] = [
            ([], np.empty(0, np.float32)) for _ in queries
        ]
        ask = k + _MORE
        for page in self.items.walk(
            both(HAS_VECTOR, where), by="id", source=("id", "half"), size=_PAGE
        ):
            ids = [hit["_source"]["id"] for hit in page]
            rows = halves([hit["_source"]["half"] for hit in page], queries.shape[1])
            for place, scores in enumerate(dots(queries, rows.astype(np.float32))):
                every = [*best[place][0], *ids]
                compared = np.concatenate([best[place][1], scores])
                chosen = top_k(compared, ask)
                best[place] = ([every[one] for one in chosen], compared[chosen])
        responses = []
        for query, (ids, _) in zip(queries, best, strict=True):
            found = self.items.sources([document_id(one) for one in ids], source=SCORED)
            responses.append(_rescore([one for one in found if one is not None], query, k))
        return responses


def _rescore(hits: Sequence[Any], query: Vector, k: int) -> list[Hit]:
    """Return the best ``k`` of a server's hits by their stored vectors."""
    # A document of another program may have a vector too.
    hits = [hit for hit in hits if hit["_source"].get("half") and "id" in hit["_source"]]
    if not hits:
        return []
    rows = halves([hit["_source"]["half"] for hit in hits], len(query))
    scores = cosines(rows, query)
    order = sorted(range(len(hits)), key=lambda one: (-scores[one], hits[one]["_source"]["id"]))
    return [Hit(item=item_of(hits[one]["_source"]), score=float(scores[one])) for one in order[:k]]
