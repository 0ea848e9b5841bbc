"""The neighbour table on a server: a document for each item's list, beside the items.

A list's document goes by its item's id and names the item's key. It counts only while the item has
that key: one that outlived its item, or its item's content, says nothing.
"""

import base64
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lookalike.core.protocols import NeighbourLists
from lookalike.core.records import Hit, Neighbours, NeighbourState
from lookalike.stores import neighbour_rows
from lookalike.stores.servers.beside import orphans
from lookalike.stores.servers.bulk import Action
from lookalike.stores.servers.documents import ITEM, document_id, item_of
from lookalike.stores.servers.queries import Query
from lookalike.stores.servers.reading import KEYS, Reader, both, keyed, keys_body

__all__ = ["NeighbourTable"]

_KIND: Query = {"term": {"kind": {"value": "neighbours"}}}
_NEWEST: Query = {
    "size": 1,
    "query": {"exists": {"field": "key"}},
    "_source": ["key"],
    "sort": [{"key": "desc"}],
    "track_total_hits": False,
}
_PAGE = 2000
_STEP = 500  # entries of a list that are looked up at once, where a filter may leave few


@dataclass(frozen=True, slots=True, kw_only=True)
class NeighbourTable:
    """Lists in the index ``beside``, of the items in ``items``."""

    items: Reader
    beside: Reader

    def neighbours(
        self, one: str, *, k: int, exact: bool, where: Query | None
    ) -> Neighbours | None:
        (row,) = self.beside.sources(
            [_row_id(one)], source=("key", "mark", "k", "exact", "entries")
        )
        if row is None or (exact and not row["_source"]["exact"]):
            return None
        kept = row["_source"]
        entries = neighbour_rows.scores_of(base64.b64decode(kept["entries"]))
        # A few more at once than are asked for: some may have gone.
        step = min(k + 2 if where is None else _STEP, KEYS)
        parts = [dict(entries[start : start + step]) for start in range(0, len(entries), step)]
        # One journey says whether the list still counts, and most often its items too.
        own, newest, *found = self.items.searches(
            [
                keys_body([kept["key"]], ("id",)),
                _NEWEST,
                *(keys_body(list(part), ITEM, where) for part in parts[:1]),
            ]
        )
        if not any(source["id"] == one for _, source in keyed(own)):
            return None
        if _newest(newest) > kept["mark"]:
            return None
        hits: list[Hit] = []
        for place, part in enumerate(parts):
            if len(hits) > k:
                break
            there = dict(
                keyed(found[0]) if place == 0 else self.items.by_key(list(part), ITEM, where)
            )
            hits += [
                Hit(item=item_of(there[key]), score=score)
                for key, score in part.items()
                if key in there
            ]
        return Neighbours(hits[:k], complete=len(hits) <= k and len(entries) < kept["k"])

    def lists(self, k: int) -> Iterator[NeighbourLists]:
        query = both(_KIND, {"term": {"k": {"value": k}}})
        source = ("key", "mark", "exact", "entries")
        for page in self.beside.walk(query, by="key", source=source, size=_PAGE):
            rows = [
                (one["key"], one["mark"], one["exact"], base64.b64decode(one["entries"]))
                for one in (hit["_source"] for hit in page)
            ]
            yield neighbour_rows.lists_of(rows, k)

    def put(self, lists: NeighbourLists) -> None:
        rows = neighbour_rows.rows_of(lists)
        ids = {key: one["id"] for key, one in self.items.by_key(lists.keys.tolist(), ("id",))}
        self.beside.server.write(
            [
                Action(
                    verb="index",
                    index=self.beside.index,
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
            found = self.beside.search({**body, "seq_no_primary_term": True})["hits"]["hits"]
            self.beside.server.write(
                [
                    Action(
                        verb="update",
                        index=self.beside.index,
                        id=hit["_id"],
                        source={"mark": mark},
                        seen=(hit["_seq_no"], hit["_primary_term"]),
                    )
                    for hit in found
                    if hit["_source"]["mark"] == was[hit["_source"]["key"]]
                ]
            )

    def drop(self) -> None:
        for page in self.beside.walk(_KIND, by="key", source=(), size=_PAGE):
            self.beside.server.write(
                [Action(verb="delete", index=self.beside.index, id=hit["_id"]) for hit in page]
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
        found = self.beside.search(body)
        told = found["aggregations"]
        return NeighbourState(
            items=self.items.count(),
            rows=found["hits"]["total"]["value"],
            current=told["current"]["doc_count"],
            exact=told["exact"]["doc_count"],
            k=int(told["k"]["value"] or 0),
            bytes=int(told["bytes"]["value"] or 0),
        )

    def newest(self) -> int:
        """The highest key of an item."""
        return _newest(self.items.search(_NEWEST))

    def forgetting(self, one: str) -> Action:
        """What drops the list of an item."""
        return Action(verb="delete", index=self.beside.index, id=_row_id(one))

    def orphans(self) -> list[str]:
        """The server's keys of lists whose item has gone."""
        return orphans(self.items, self.beside, _KIND)


def _newest(answer: Any) -> int:  # noqa: ANN401 - JSON
    hits = answer["hits"]["hits"]
    return int(hits[0]["_source"]["key"]) if hits else 0


def _row_id(one: str) -> str:
    return document_id(f"neighbours:{one}")
