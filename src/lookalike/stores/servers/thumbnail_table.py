"""Thumbnails on a server: one document each, in the index beside the items.

Not a field of the item's own document: every search would read past it, and adding one would write
the vector again, which is expensive for the server's ANN index. Like a list of neighbours, a
thumbnail's document is found by its item's id, contains the item's key, and is valid only while the
item has it.
"""

import base64
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from lookalike.core.records import Item, Thumbnail, ThumbnailState
from lookalike.errors import StoreDamagedError
from lookalike.stores.servers import indexes
from lookalike.stores.servers.bulk import Action
from lookalike.stores.servers.documents import document_id
from lookalike.stores.servers.queries import Query
from lookalike.stores.servers.reading import LIMIT, Reader
from lookalike.stores.servers.side_index import of_kind, orphans

__all__ = ["ServerThumbnails"]

_KIND = of_kind("thumbnail")
_PAGE = 5000
_FEW = 1000  # items that are looked up individually; for more, all are walked
_JPEGS = 200  # read at a time: 2 MB of 256 pixels


@dataclass(slots=True, kw_only=True)
class ServerThumbnails:
    """Thumbnails in the index ``side``, of the items in ``items``."""

    items: Reader
    side: Reader
    _ready: bool = False

    def get(self, ids: Sequence[str]) -> dict[str, Thumbnail]:
        found: dict[str, Thumbnail] = {}
        for start in range(0, len(ids), _JPEGS):
            for one, row in self._current(ids[start : start + _JPEGS], ("side", "jpeg")).items():
                found[one] = Thumbnail(jpeg=_jpeg(row["jpeg"], one), side=row["side"])
        return found

    def sides(self, ids: Sequence[str]) -> dict[str, int]:
        if len(ids) <= _FEW:
            return {one: row["side"] for one, row in self._current(ids, ("side",)).items()}
        columns = ("key", "side")
        sides = dict(self._columns(self.side, columns, query=_KIND, by="key"))
        keys = dict(self._columns(self.items, ("id", "key"), query=None, by="id"))
        return {one: sides[keys[one]] for one in ids if keys.get(one) in sides}

    def put(self, items: Sequence[Item], thumbnails: Sequence[Thumbnail]) -> int:
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
            self.side.server.write(list(puts.values()))
        return len(puts)

    def prepare(self) -> None:
        """Add the thumbnails' fields to the mapping. Call this before the first one is written."""
        if not self._ready:
            indexes.add_thumbnails(self.side.server, self.side.index)
            self._ready = True

    def putting(self, one: str, thumbnail: Thumbnail, *, key: int) -> Action:
        """Return the action that writes the thumbnail of an item with this key."""
        return Action(
            verb="index",
            index=self.side.index,
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
        """Return the action that deletes the thumbnail of an item."""
        return Action(verb="delete", index=self.side.index, id=_row_id(one))

    def clear(self) -> None:
        for page in self.side.walk(_KIND, by="key", size=_PAGE):
            self.side.server.write(
                [Action(verb="delete", index=self.side.index, id=hit["_id"]) for hit in page]
            )

    def state(self) -> ThumbnailState:
        body: dict[str, Any] = {
            "size": 0,
            "track_total_hits": True,
            "query": _KIND,
            "aggs": {"bytes": {"sum": {"field": "bytes"}}},
        }
        found = self.side.search(body)
        return ThumbnailState(
            items=found["hits"]["total"]["value"],
            bytes=int(found["aggregations"]["bytes"]["value"] or 0),
        )

    def orphans(self) -> list[str]:
        """Return the server's keys of thumbnails whose item no longer exists."""
        return orphans(self.items, self.side, _KIND)

    def _columns(
        self, reader: Reader, columns: tuple[str, str], *, query: Query | None, by: str
    ) -> Iterator[tuple[Any, Any]]:
        """Yield two fields of every document that meets a query, without reading the documents."""
        first, second = columns
        for page in reader.walk(query, by=by, columns=columns, size=LIMIT):
            for fields in (hit["fields"] for hit in page):
                yield fields[first][0], fields[second][0]

    def _current(self, ids: Sequence[str], source: Sequence[str]) -> dict[str, dict[str, Any]]:
        """Return fields of the thumbnails of those items whose content they show."""
        named = list(dict.fromkeys(ids))
        rows = self.side.sources([_row_id(one) for one in named], source=("key", *source))
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
        raise StoreDamagedError(f"the stored thumbnail of {one!r} is not base64") from error
