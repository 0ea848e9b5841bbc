"""Items on a server: read by id, digest or path, and written by a ``Writer``."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lookalike.core.filters import Condition
from lookalike.core.records import Item, Stamp, Thumbnail
from lookalike.core.vectors import Matrix, unit_rows
from lookalike.stores.binding import check_thumbnails, check_vectors, no_vector
from lookalike.stores.servers import documents
from lookalike.stores.servers.documents import document_id, item_of
from lookalike.stores.servers.queries import below, condition_query
from lookalike.stores.servers.reading import LIMIT, Reader, both
from lookalike.stores.servers.side_index import SideIndex
from lookalike.stores.servers.writing import Writer, no_item
from lookalike.stores.stored_values import stamp_of

__all__ = ["ServerItems"]

_PAGE = 2500  # items per request: as fast as larger pages, and twice as fast as 1,000
_DIGESTS = 1000  # digests per request
_STAMPS = 10_000  # stamps, which are small


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerItems:
    """The documents of items. ``check_place`` raises if the collection has been replaced."""

    reader: Reader
    side: SideIndex
    writer: Writer
    check_place: Callable[[], None]

    def upsert(
        self,
        items: Sequence[Item],
        vectors: Matrix,
        thumbnails: Sequence[Thumbnail | None] | None = None,
    ) -> None:
        check_vectors(items, vectors, self.side.dim)
        self.check_place()  # nothing else distinguishes vectors of another encoder
        self.writer.upsert(items, vectors, check_thumbnails(items, thumbnails))

    def insert(
        self,
        items: Sequence[Item],
        vectors: Matrix,
        thumbnails: Sequence[Thumbnail | None] | None = None,
    ) -> set[str]:
        check_vectors(items, vectors, self.side.dim)
        self.check_place()  # as for `upsert`
        return self.writer.insert(items, vectors, check_thumbnails(items, thumbnails))

    def update(self, items: Sequence[Item]) -> None:
        self.writer.update(items)

    def delete(self, ids: Sequence[str]) -> int:
        return self.writer.delete(ids)

    def get(self, ids: Sequence[str]) -> dict[str, Item]:
        named = list(dict.fromkeys(ids))
        keys = [document_id(one) for one in named]
        found = self.reader.sources(keys, source=documents.ITEM)
        return {
            one: item_of(there["_source"])
            for one, there in zip(named, found, strict=True)
            if there is not None and "id" in there["_source"]
        }

    def vectors(self, ids: Sequence[str]) -> Matrix:
        return unit_rows(self.rows(ids))

    def rows(self, ids: Sequence[str]) -> NDArray[np.floating]:
        named = list(dict.fromkeys(ids))
        found = self.reader.sources([document_id(one) for one in named], source=("half",))
        places: dict[str, int] = {}
        stored: list[str] = []
        for one, there in zip(named, found, strict=True):
            if there is None:
                raise no_item(one)
            if not there["_source"].get("half"):
                raise no_vector(one)
            places[one] = len(stored)
            stored.append(there["_source"]["half"])
        return documents.halves(stored, self.side.dim)[[places[one] for one in ids]]

    def with_digest(self, digests: Sequence[str]) -> dict[str, str]:
        found: dict[str, str] = {}
        for start in range(0, len(digests), _DIGESTS):
            part = list(digests[start : start + _DIGESTS])
            body: dict[str, Any] = {
                "size": len(part),
                "track_total_hits": False,
                "_source": ["digest", "id"],
                "query": both(documents.IS_ITEM, {"terms": {"digest": [*part]}}),
                "collapse": {
                    "field": "digest"
                },  # one of each: an image may have thousands of duplicates
                "sort": [{"id": "asc"}],
            }
            for hit in self.reader.search(body)["hits"]["hits"]:
                found[hit["_source"]["digest"]] = hit["_source"]["id"]
        return found

    def scan(self, where: Condition | None = None, *, limit: int | None = None) -> Iterator[Item]:
        query = condition_query(where)
        if limit is None or limit > LIMIT:
            pages = self.reader.walk(query, by="id", source=documents.ITEM, size=_PAGE)
        else:
            pages = iter([self.reader.first(query, by="id", source=documents.ITEM, size=limit)])
        hits = (hit for page in pages for hit in page)
        return (item_of(hit["_source"]) for hit in islice(hits, limit))

    def stamps(self, root: str, under: str = "") -> dict[str, tuple[str, Stamp | None]]:
        query = both({"term": {"root": {"value": root}}}, below(under) if under else None)
        found = {}
        for page in self.reader.walk(query, by="id", columns=documents.STAMP, size=_STAMPS):
            for one in (hit["fields"] for hit in page):
                (path,) = one.get("path", [""])
                if under and not path.startswith(f"{under}/"):
                    continue
                (size,), (mtime_ns,) = one.get("size", [None]), one.get("mtime_ns", [None])
                found[path] = (one["id"][0], stamp_of(size, mtime_ns))
        return found
