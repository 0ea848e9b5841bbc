"""Thumbnails on a server: a document for each, beside the items.

Not a field of the item's own document: every search would read past it, and to add one would be to
write the vector anew, which the server's graph pays for. As a list of neighbours, a thumbnail goes
by its item's id and names the item's key, and counts only while the item has that key.
"""

import base64
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from lookalike.core.records import Item, Thumbnail, ThumbnailState
from lookalike.errors import StoreDamagedError
from lookalike.stores.servers import indexes
from lookalike.stores.servers.beside import orphans
from lookalike.stores.servers.bulk import Action
from lookalike.stores.servers.documents import document_id
from lookalike.stores.servers.queries import Query
from lookalike.stores.servers.reading import LIMIT, Reader

__all__ = ["ThumbnailTable"]

_KIND: Query = {"term": {"kind": {"value": "thumbnail"}}}
_PAGE = 5000
_FEW = 1000  # items that are looked up one by one: more are, and their thumbnails, walked past
_PICTURES = 200  # read at a time: 2 MB of 256 pixels


@dataclass(slots=True, kw_only=True)
class ThumbnailTable:
    """Thumbnails in the index ``beside``, of the items in ``items``."""

    items: Reader
    beside: Reader
    _ready: bool = False

    def pictures(self, ids: Sequence[str]) -> dict[str, Thumbnail]:
        found: dict[str, Thumbnail] = {}
        for start in range(0, len(ids), _PICTURES):
            for one, kept in self._kept(ids[start : start + _PICTURES], ("side", "jpeg")).items():
                found[one] = Thumbnail(jpeg=_jpeg(kept["jpeg"], one), side=kept["side"])
        return found

    def sides(self, ids: Sequence[str]) -> dict[str, int]:
        if len(ids) <= _FEW:
            return {one: kept["side"] for one, kept in self._kept(ids, ("side",)).items()}
        columns = ("key", "side")
        sides = dict(self._columns(self.beside, columns, query=_KIND, by="key"))
        keys = dict(self._columns(self.items, ("id", "key"), query=None, by="id"))
        return {one: sides[keys[one]] for one in ids if keys.get(one) in sides}

    def set(self, items: Sequence[Item], thumbnails: Sequence[Thumbnail]) -> int:
        there = self.items.sources(
            [document_id(item.id) for item in items], source=("key", "digest")
        )
        puts = {
            item.id: self.putting(item.id, thumbnail, key=one["_source"]["key"])
            for item, thumbnail, one in zip(items, thumbnails, there, strict=True)
            if one is not None and one["_source"]["digest"] == item.digest
        }
        if puts:
            self.prepare()
            self.beside.server.write(list(puts.values()))
        return len(puts)

    def prepare(self) -> None:
        """Make room in the mapping. To be called before the first thumbnail is written."""
        if not self._ready:
            indexes.add_thumbnails(self.beside.server, self.beside.index)
            self._ready = True

    def putting(self, one: str, thumbnail: Thumbnail, *, key: int) -> Action:
        """What writes the thumbnail of an item with this key."""
        return Action(
            verb="index",
            index=self.beside.index,
            id=_row_id(one),
            source={
                "kind": "thumbnail",
                "key": key,
                "side": thumbnail.side,
                "bytes": len(thumbnail.jpeg),
                "jpeg": base64.b64encode(thumbnail.jpeg).decode(),
            },
        )

    def forgetting(self, one: str) -> Action:
        """What drops the thumbnail of an item."""
        return Action(verb="delete", index=self.beside.index, id=_row_id(one))

    def drop(self) -> None:
        for page in self.beside.walk(_KIND, by="key", size=_PAGE):
            self.beside.server.write(
                [Action(verb="delete", index=self.beside.index, id=hit["_id"]) for hit in page]
            )

    def state(self) -> ThumbnailState:
        body: dict[str, Any] = {
            "size": 0,
            "track_total_hits": True,
            "query": _KIND,
            "aggs": {"bytes": {"sum": {"field": "bytes"}}},
        }
        found = self.beside.search(body)
        return ThumbnailState(
            items=found["hits"]["total"]["value"],
            bytes=int(found["aggregations"]["bytes"]["value"] or 0),
        )

    def orphans(self) -> list[str]:
        """The server's keys of thumbnails whose item has gone."""
        return orphans(self.items, self.beside, _KIND)

    def _columns(
        self, reader: Reader, columns: tuple[str, str], *, query: Query | None, by: str
    ) -> Iterator[tuple[Any, Any]]:
        """Two fields of every document that meets a query, without reading the documents."""
        first, second = columns
        for page in reader.walk(query, by=by, columns=columns, size=LIMIT):
            for told in (hit["fields"] for hit in page):
                yield told[first][0], told[second][0]

    def _kept(self, ids: Sequence[str], source: Sequence[str]) -> dict[str, dict[str, Any]]:
        """Fields of the thumbnails of these ids, for those items whose content they show."""
        named = list(dict.fromkeys(ids))
        rows = self.beside.sources([_row_id(one) for one in named], source=("key", *source))
        having = [(one, row) for one, row in zip(named, rows, strict=True) if row is not None]
        items = self.items.sources([document_id(one) for one, _ in having], source=("key",))
        return {
            one: row["_source"]
            for (one, row), item in zip(having, items, strict=True)
            if item is not None and item["_source"]["key"] == row["_source"]["key"]
        }


def _row_id(one: str) -> str:
    return document_id(f"thumbnail:{one}")


def _jpeg(text: str, one: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except ValueError as error:
        raise StoreDamagedError(f"the stored thumbnail of {one!r} is no base64") from error
