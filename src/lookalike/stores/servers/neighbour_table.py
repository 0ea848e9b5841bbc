"""The neighbour table on a server: one document per item's list, in the index beside the items.

A list's document is found by its item's id and contains the item's key. It is valid only while the
item has that key: a list of a removed item or of earlier content is ignored.
"""

import base64
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lookalike.core.filters import Condition
from lookalike.core.protocols import Keyed, NeighbourLists
from lookalike.core.records import Hit, Neighbours, NeighbourState
from lookalike.stores import neighbour_lists
from lookalike.stores.binding import check_k
from lookalike.stores.servers.bulk import Action
from lookalike.stores.servers.documents import ITEM, document_id, halves, item_of
from lookalike.stores.servers.queries import HAS_VECTOR, Query, condition_query
from lookalike.stores.servers.reading import KEYS, Reader, both, keyed, keys_body
from lookalike.stores.servers.side_index import SideIndex, of_kind, orphans

__all__ = ["ServerNeighbours"]

_KIND = of_kind("neighbours")
_NEWEST: Query = {
    "size": 1,
    "query": {"exists": {"field": "key"}},
    "_source": ["key"],
    "sort": [{"key": "desc"}],
    "track_total_hits": False,
}
_PAGE = 2000
_VECTORS = 2000  # vectors read at a time: 7 MB of 1,280 values
_STEP = 500  # entries looked up at once if a filter may leave few


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerNeighbours:
    """Lists in the side index, of the items in ``items``."""

    items: Reader
    index: SideIndex

    @property
    def side(self) -> Reader:
        """The reader of the side index."""
        return self.index.reader

    def get(
        self, id: str, *, k: int, exact: bool = False, where: Condition | None = None
    ) -> Neighbours | None:
        check_k(k)
        query = condition_query(where)
        (row,) = self.side.sources([_row_id(id)], source=("key", "mark", "k", "exact", "entries"))
        if row is None or (exact and not row["_source"]["exact"]):
            return None
        listed = row["_source"]
        entries = neighbour_lists.scores_of(base64.b64decode(listed["entries"]))
        # A few more than requested: some may have been removed.
        step = min(k + 2 if query is None else _STEP, KEYS)
        parts = [dict(entries[start : start + step]) for start in range(0, len(entries), step)]
        # One request returns whether the list is valid, and usually its items too.
        own, newest, *found = self.items.searches(
            [
                keys_body([listed["key"]], ("id",)),
                _NEWEST,
                *(keys_body(list(part), ITEM, query) for part in parts[:1]),
            ]
        )
        if not any(source["id"] == id for _, source in keyed(own)):
            return None
        if _newest(newest) > listed["mark"]:
            return None
        hits: list[Hit] = []
        for place, part in enumerate(parts):
            if len(hits) > k:
                break
            there = dict(
                keyed(found[0]) if place == 0 else self.items.by_key(list(part), ITEM, query)
            )
            hits += [
                Hit(item=item_of(there[key]), score=score)
                for key, score in part.items()
                if key in there
            ]
        return Neighbours(hits[:k], complete=len(hits) <= k and len(entries) < listed["k"])

    def keyed(self, after: int = 0) -> Iterator[Keyed]:
        floor = self.index.raise_floor()
        query = both(HAS_VECTOR, {"range": {"key": {"gt": after, "lte": floor}}})
        for page in self.items.walk(query, by="key", source=("key", "id", "half"), size=_VECTORS):
            found = [hit["_source"] for hit in page]
            yield Keyed(
                keys=np.fromiter((one["key"] for one in found), np.int64, len(found)),
                ids=[one["id"] for one in found],
                rows=halves([one["half"] for one in found], self.index.dim),
            )

    def lists(self, *, k: int) -> Iterator[NeighbourLists]:
        query = both(_KIND, {"term": {"k": {"value": k}}})
        source = ("key", "mark", "exact", "entries")
        for page in self.side.walk(query, by="key", source=source, size=_PAGE):
            rows = [
                (one["key"], one["mark"], one["exact"], base64.b64decode(one["entries"]))
                for one in (hit["_source"] for hit in page)
            ]
            yield neighbour_lists.lists_of(rows, k)

    def put(self, lists: NeighbourLists) -> None:
        rows = neighbour_lists.rows_of(lists)
        ids = {key: one["id"] for key, one in self.items.by_key(lists.keys.tolist(), ("id",))}
        self.side.server.write(
            [
                Action(
                    verb="index",
                    index=self.side.index,
                    id=_row_id(ids[key]),
                    source={
                        "kind": "neighbours",
                        "key": key,
                        "mark": mark,
                        "k": k,
                        "exact": exact,
                        "entries": base64.b64encode(entries).decode(),
                        "bytes": len(entries),
                    },
                )
                for (key, mark, k, exact), entries in rows
                if key in ids
            ]
        )

    def confirm(self, keys: NDArray[np.int64], marks: NDArray[np.int64], mark: int) -> None:
        was = dict(zip(keys.tolist(), marks.tolist(), strict=True))
        listed = list(was)
        for start in range(0, len(listed), KEYS):
            query = both(_KIND, {"terms": {"key": [*listed[start : start + KEYS]]}})
            body = {"size": KEYS, "query": query, "_source": ["key", "mark"]}
            found = self.side.search({**body, "seq_no_primary_term": True})["hits"]["hits"]
            self.side.server.write(
                [
                    Action(
                        verb="update",
                        index=self.side.index,
                        id=hit["_id"],
                        source={"mark": mark},
                        seen=(hit["_seq_no"], hit["_primary_term"]),
                    )
                    for hit in found
                    if hit["_source"]["mark"] == was[hit["_source"]["key"]]
                ]
            )

    def clear(self) -> None:
        for page in self.side.walk(_KIND, by="key", source=(), size=_PAGE):
            self.side.server.write(
                [Action(verb="delete", index=self.side.index, id=hit["_id"]) for hit in page]
            )

    def state(self) -> NeighbourState:
        newest = self.newest()
        body: dict[str, Any] = {
            "size": 0,
            "track_total_hits": True,
            "query": _KIND,
            "aggs": {
                "current": {"filter": {"range": {"mark": {"gte": newest}}}},
                "exact": {"filter": {"term": {"exact": {"value": True}}}},
                "k": {"max": {"field": "k"}},
                "bytes": {"sum": {"field": "bytes"}},
            },
        }
        found = self.side.search(body)
        sums = found["aggregations"]
        return NeighbourState(
            items=self.items.count(),
            rows=found["hits"]["total"]["value"],
            current=sums["current"]["doc_count"],
            exact=sums["exact"]["doc_count"],
            k=int(sums["k"]["value"] or 0),
            bytes=int(sums["bytes"]["value"] or 0),
        )

    def newest(self) -> int:
        """Return the highest key of an item."""
        return _newest(self.items.search(_NEWEST))

    def forgetting(self, one: str) -> Action:
        """Return the action that deletes the list of an item."""
        return Action(verb="delete", index=self.side.index, id=_row_id(one))

    def orphans(self) -> list[str]:
        """Return the server's keys of lists whose item no longer exists."""
        return orphans(self.items, self.side, _KIND)


def _newest(response: Any) -> int:  # noqa: ANN401 - JSON
    hits = response["hits"]["hits"]
    return int(hits[0]["_source"]["key"]) if hits else 0


def _row_id(one: str) -> str:
    return document_id(f"neighbours:{one}")
