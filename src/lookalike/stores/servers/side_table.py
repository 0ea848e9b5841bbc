"""Tables beside the items on a server: one document per row, in the collection's side index."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from lookalike.core.records import Json, SideRow
from lookalike.errors import StoreError
from lookalike.stores.servers import indexes
from lookalike.stores.servers.bulk import Action
from lookalike.stores.servers.documents import LONGEST_TERM, document_id
from lookalike.stores.servers.queries import Query
from lookalike.stores.servers.reading import LIMIT, Reader
from lookalike.stores.servers.side_index import of_kind

__all__ = ["ServerSideTable", "row_counts"]

_PREFIX = "table:"  # of the kind of a row's document
_SOURCE = ("name", "value", "digest")
_PAGE = 1000
_DIGESTS = 1000  # in a query


@dataclass(slots=True, kw_only=True)
class ServerSideTable:
    """The table called ``table`` in the index ``side``; its documents have a kind of their own.

    The mapping gets the required fields with the first row, even if the index is older.
    """

    table: str
    side: Reader
    _ready: bool = False

    def put(self, rows: Sequence[SideRow]) -> None:
        last = {row.id: row for row in rows}
        for row in last.values():
            if len(row.id.encode()) > LONGEST_TERM:
                raise StoreError(
                    f"the id {row.id[:80]!r} is longer than {LONGEST_TERM:,} bytes, more than a "
                    "server can look up; shorten it"
                )
        if not last:
            return
        if not self._ready:
            indexes.add_side_tables(self.side.server, self.side.index)
            self._ready = True
        self.side.server.write([self._putting(row) for row in last.values()])

    def get(self, ids: Sequence[str]) -> dict[str, SideRow]:
        named = list(dict.fromkeys(ids))
        found = self.side.sources([self._key(one) for one in named], source=_SOURCE)
        return {
            one: _row_of(there["_source"])
            for one, there in zip(named, found, strict=True)
            if there is not None
        }

    def with_digest(self, digests: Sequence[str]) -> list[SideRow]:
        wanted: list[Json] = [one for one in dict.fromkeys(digests) if one]
        found = []
        for start in range(0, len(wanted), _DIGESTS):
            query: Query = {
                "bool": {
                    "filter": [
                        self._kind(),
                        {"terms": {"digest": wanted[start : start + _DIGESTS]}},
                    ]
                }
            }
            found += list(self._rows(query))
        return sorted(found, key=lambda row: row.id)

    def scan(self) -> Iterator[SideRow]:
        return self._rows(self._kind())

    def delete(self, ids: Sequence[str]) -> int:
        index = self.side.index
        actions = [
            Action(verb="delete", index=index, id=self._key(one)) for one in dict.fromkeys(ids)
        ]
        return sum(one.done for one in self.side.server.write(actions)) if actions else 0

    def count(self) -> int:
        return self.side.count(self._kind())

    def _rows(self, query: Query) -> Iterator[SideRow]:
        # One request if a page holds them all, which is usual; a walk takes three.
        few = self.side.first(query, by="name", source=_SOURCE, size=_PAGE)
        whole = len(few) < _PAGE
        walk = self.side.walk(query, by="name", source=_SOURCE, size=_PAGE)
        for page in [few] if whole else walk:
            for hit in page:
                yield _row_of(hit["_source"])

    def _kind(self) -> Query:
        return of_kind(f"{_PREFIX}{self.table}")

    def _key(self, one: str) -> str:
        return document_id(f"{_PREFIX}{self.table}:{one}")

    def _putting(self, row: SideRow) -> Action:
        return Action(
            verb="index",
            index=self.side.index,
            id=self._key(row.id),
            source={
                "kind": f"{_PREFIX}{self.table}",
                "name": row.id,
                "digest": row.digest or None,
                "value": json.dumps(row.value, ensure_ascii=False),
            },
        )


def row_counts(side: Reader) -> dict[str, int]:
    """Return the number of rows of each table in the index ``side`` that has any."""
    kinds = {"terms": {"field": "kind", "size": LIMIT}}
    found = side.search(
        {
            "size": 0,
            "track_total_hits": False,
            "query": {"prefix": {"kind": {"value": _PREFIX}}},
            "aggs": {"kinds": kinds},
        }
    )
    return {
        one["key"].removeprefix(_PREFIX): one["doc_count"]
        for one in found["aggregations"]["kinds"]["buckets"]
    }


def _row_of(source: dict[str, Any]) -> SideRow:
    return SideRow(
        id=source["name"], value=json.loads(source["value"]), digest=source["digest"] or ""
    )
