"""The items of a served collection, read and edited."""

import io
import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self, Unpack

from PIL import Image

from lookalike.analysis.mapping import CollectionMap, MapOptions
from lookalike.client.connection import Document, RequestOptions, ServiceConnection, segment
from lookalike.client.responses import (
    read_description,
    read_info,
    read_item,
    read_map,
    read_missing,
    read_note,
)
from lookalike.collection_info import CollectionInfo, Description
from lookalike.collection_view import CollectionView
from lookalike.core.arguments import checked_methods
from lookalike.core.ids import is_plain, is_text
from lookalike.core.manual_edits import ItemChanges
from lookalike.core.records import (
    Item,
    Missing,
    Note,
)
from lookalike.errors import ImageError, ItemNotFoundError

__all__ = ["RemoteItems"]

_PAGE = 1000  # items per request


@checked_methods
class RemoteItems(CollectionView):
    """The items of a served collection: the part of ``RemoteCollection`` that sends no images."""

    def __init__(self, service: "ServiceConnection", name: str) -> None:
        self._service = service
        self._path = f"/v1/collections/{segment(name)}"
        self.name = name

    # -- reading ---------------------------------------------------------------------------

    def get(self, id: str) -> Item:
        """Return the item of an id; ``ItemNotFoundError`` when there is none."""
        return read_item(self._item("GET", id))

    def image(self, id: str) -> bytes:
        """Return an item's file. ``ItemNotFoundError``, ``UnreadableImageError`` if it has none."""
        path, asked = self._locate(id, "/image")
        return self._service.send("GET", path, query=asked)

    def thumbnail(self, id: str, *, side: int = 320) -> bytes:
        """Return a JPEG of an item, at most ``side`` (16 to 2048) pixels a side. Raise as
        ``image``.
        """
        path, asked = self._locate(id, "/thumbnail")
        return self._service.send("GET", path, query=asked | {"side": side})

    def previews(self, items: Iterable[Item], *, side: int) -> Iterator[Image.Image | None]:
        """Yield the thumbnail of each item to show, or ``None`` where it has none."""
        for item in items:
            try:
                yield Image.open(io.BytesIO(self.thumbnail(item.id, side=side)))
            except (ImageError, ItemNotFoundError):
                yield None

    def file_of(self, item: Item) -> None:
        """Return ``None``: the files are on the service's machine."""

    def files_of(self, items: Iterable[Item]) -> list[Path | None]:
        """Return ``file_of`` each item."""
        return [None for _ in items]

    def __contains__(self, id: object) -> bool:
        try:
            return isinstance(id, str) and bool(self.get(id))
        except ItemNotFoundError:
            return False

    def count(self, where: str | None = None) -> int:
        """Return how many items there are, or meet a filter. ``FilterError``."""
        total: int = self._ask("GET", "/items", query={"where": where, "limit": 1})["total"]
        return total

    def items(self, where: str | None = None) -> Iterator[Item]:
        """Return items by ascending id, all or those that meet a filter. ``FilterError``.

        They come in pages of a thousand; what is added or removed meanwhile may be among them.
        """
        return self._iterate_pages(where, self._page(where, None))  # now: the filter may be invalid

    def _page(self, where: str | None, after: str | None) -> Document:
        return self._ask("GET", "/items", query={"where": where, "after": after, "limit": _PAGE})

    def _iterate_pages(self, where: str | None, page: Document) -> Iterator[Item]:
        while True:
            yield from map(read_item, page["items"])
            if page["next"] is None:
                return
            page = self._page(where, page["next"])

    def sample(self, k: int, *, seed: int = 0, where: str | None = None) -> list[Item]:
        """``k`` items by chance, the same for the same ``seed``: ``Collection.sample``.

        A service tells of at most a thousand at once. Raise ``FilterError``.
        """
        asked = {"sample": k, "seed": seed, "where": where}
        return [read_item(one) for one in self._ask("GET", "/items", query=asked)["items"]]

    def facets(
        self, field: str, where: str | None = None, *, limit: int = 100
    ) -> list[tuple[str | float | bool, int]]:
        """Return the values of a field (``label``, ``price``, ``spec.size`` …) and how many items
        each.

        Most first; of a list each element counts. Raise ``FilterError``.
        """
        asked = {"field": field, "where": where, "limit": limit}
        (found,) = self._ask("GET", "/facets", query=asked)["facets"]
        return [(one["value"], one["count"]) for one in found["values"]]

    def notes(self, where: str | None = None, *, field: str | None = None) -> tuple[Note, ...]:
        """Say why no item meets a filter, or none that does has a field: ``Collection.notes``."""
        if field is None:
            found = self._ask("GET", "/items", query={"where": where, "limit": 1})
        else:
            found = self._ask("GET", "/facets", query={"field": field, "where": where, "limit": 1})
        return tuple(map(read_note, found["notes"]))

    def map(self, *, where: str | None = None, **options: Unpack[MapOptions]) -> CollectionMap:
        """Lay out the items in two dimensions: ``Collection.map``. At most 10,000 are shown."""
        return read_map(self._ask("GET", "/map", query={"where": where, **options}))

    def declared(self) -> list[str]:
        """Return the metadata fields that are indexed, sorted."""
        return [*self._ask("GET", "")["declared"]]

    def __len__(self) -> int:
        return self.count()

    def __iter__(self) -> Iterator[Item]:
        return self.items()

    @property
    def supports_words(self) -> bool:
        """Whether the encoder supports search by words: ``Collection.supports_words``."""
        return self.info().words

    def info(self) -> CollectionInfo:
        """Return what the collection holds. ``address`` is its URL; folders are as the service
        tells.
        """
        document = self._ask("GET", "")
        return read_info(document, address=f"{self._service.address}{self._path}")

    def describe(self, *, labels: int = 20, fields: bool = True) -> Description:
        """Return what is said about the items: ``Collection.describe``. Looks at every item."""
        query = {"labels": labels, "fields": fields}
        return read_description(self._ask("GET", "/stats", query=query))

    # -- editing ---------------------------------------------------------------------------

    def missing(self) -> Iterator[Missing]:
        """Yield the items whose file has gone, the first thousand: ``Collection.missing``."""
        yield from map(read_missing, self._ask("GET", "/missing", query={"limit": _PAGE})["items"])

    def label(self, ids: Sequence[str], label: str | None) -> None:
        """Set the label of items, or remove it; nothing is encoded. Raise ``ItemNotFoundError``."""
        for one in ids:
            self.get(one)  # so that a wrong id changes nothing
        body = json.dumps({"label": label}).encode()
        for one in ids:
            self._item("PATCH", one, body=body, kind="application/json")

    def edit(
        self,
        id: str,
        **changes: Unpack[ItemChanges],
    ) -> Item:
        """Set ``label``, ``group`` or ``metadata`` of an item by hand: ``Collection.edit``."""
        body = json.dumps(changes).encode()
        return read_item(self._item("PATCH", id, body=body, kind="application/json"))

    def remove(self, ids: str | Sequence[str]) -> int:
        """Remove items by id; return how many there were. Indexed files are not touched."""
        removed = 0
        for one in [ids] if isinstance(ids, str) else ids:
            try:
                # Not repeated after a broken connection: the item may be removed already.
                self._item("DELETE", one, again=False)
            except ItemNotFoundError:
                continue
            removed += 1
        return removed

    # -- requests ---------------------------------------------------------------------------

    def _ask(self, method: str, path: str, **asked: Unpack[RequestOptions]) -> Document:
        return self._service.ask(method, self._path + path, **asked)

    def _item(
        self,
        method: str,
        item_id: str,
        what: str = "",
        **asked: Unpack[RequestOptions],
    ) -> Document:
        """Send a request for an item, or for ``what`` of it."""
        path, named = self._locate(item_id, what)
        asked["query"] = {**named, **asked.get("query", {})}
        return self._service.ask(method, path, **asked)

    def _locate(self, item_id: str, what: str) -> tuple[str, dict[str, object]]:
        """Return where an item is, and the parameters that belong to it.

        An id that could be read as a step in a path is sent as a parameter, which no proxy
        rewrites.
        """
        if not item_id or not is_text(item_id):
            raise ItemNotFoundError(f"there is no item {item_id!r}")
        if is_plain(item_id):
            return f"{self._path}/items/{segment(item_id)}{what}", {}
        return f"{self._path}/item{what}", {"id": item_id}

    def close(self) -> None:
        """Close the connections."""
        self._service.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
