"""The search: the server proposes, the stored vectors decide."""

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

_MORE = 8  # proposals beyond k: what rounding put in the wrong order, stored vectors put right
_ROUGH = 16  # so many more than k count, where proposals come in the order of coarse vectors
_MOST = 200  # proposals beyond k: at the end of a long list, few change places over more
_HITS = 2000  # answers, with their vectors, in one response: 10 MB of 1,280 values
_PAGE = 2000  # vectors read at a time where all are compared here


@dataclass(slots=True, kw_only=True)
class Search:
    """How a collection is searched. ``vectors`` is how they are indexed."""

    items: Reader
    dialect: Dialect
    vectors: str
    candidates: int
    oversample: float
    scripts: bool = True  # until the server says that it runs none

    def hits(self, queries: Matrix, *, k: int, exact: bool, where: Query | None) -> list[list[Hit]]:
        """The best ``k`` of each query row, by true cosines, ties by id."""
        found = self._asked(queries, k=k, exact=exact, where=where)
        if exact:
            return found
        short = [place for place, hits in enumerate(found) if len(hits) < k]
        if short:
            wanted = min(k, self.items.count(where))
            short = [place for place in short if len(found[place]) < wanted]
        if short:  # a graph need not reach every item
            rest = self._asked(queries[short], k=k, exact=True, where=where)
            for place, hits in zip(short, rest, strict=True):
                found[place] = hits
        return found

    def _asked(
        self, queries: Matrix, *, k: int, exact: bool, where: Query | None
    ) -> list[list[Hit]]:
        if k + _MORE > LIMIT:
            return self._compared_here(queries, k=k, where=where)
        ask = min(k + self._more(k, exact=exact), LIMIT)
        step = max(1, _HITS // ask)
        found: list[list[Hit]] = []
        for start in range(0, len(queries), step):
            some = queries[start : start + step]
            answers = self._answers(some, ask, exact=exact, where=where)
            if answers is None:
                found += self._compared_here(some, k=k, where=where)
                continue
            for query, answer in zip(some, answers, strict=True):
                found.append(_best(answer["hits"]["hits"], query, k))
        return found

    def _more(self, k: int, *, exact: bool) -> int:
        """How many proposals beyond ``k`` are compared again by their stored vectors."""
        if exact or self.dialect.rescores(self.vectors):
            return _MORE
        return max(_MORE, min(ceil((self.oversample - 1) * (k + _ROUGH)), _MOST))

    def _answers(
        self, queries: Matrix, ask: int, *, exact: bool, where: Query | None
    ) -> list[Any] | None:
        """What the server proposes; ``None`` where it cannot compare with every vector."""
        bodies = [self._body(query, ask, exact=exact, where=where) for query in queries]
        asked = [body for body in bodies if body is not None]
        if len(asked) < len(bodies):
            return None
        try:
            return self.items.searches(asked)
        except StoreError as error:
            if not exact or "script" not in str(error):
                raise
            self.scripts = False  # painless is not there, or not allowed
            return None

    def _body(
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

    def _compared_here(self, queries: Matrix, *, k: int, where: Query | None) -> list[list[Hit]]:
        """The exact search where the server cannot: all vectors are read, in flat memory."""
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
        answers = []
        for query, (ids, _) in zip(queries, best, strict=True):
            found = self.items.sources([document_id(one) for one in ids], source=SCORED)
            answers.append(_best([one for one in found if one is not None], query, k))
        return answers


def _best(hits: Sequence[Any], query: Vector, k: int) -> list[Hit]:
    """The best ``k`` of a server's hits, by the vectors that are stored."""
    # A document of somebody else's may have a vector too.
    hits = [hit for hit in hits if hit["_source"].get("half") and "id" in hit["_source"]]
    if not hits:
        return []
    rows = halves([hit["_source"]["half"] for hit in hits], len(query))
    scores = cosines(rows, query)
    order = sorted(range(len(hits)), key=lambda one: (-scores[one], hits[one]["_source"]["id"]))
    return [Hit(item=item_of(hits[one]["_source"]), score=float(scores[one])) for one in order[:k]]
