"""The index beside the items: its documents, the encoder, and the counter that keys come from."""

import json
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from lookalike.core.records import Json
from lookalike.errors import (
    StoreBusyError,
    StoreDamagedError,
    StoreDeniedError,
    StoreError,
    StoreReadOnlyError,
)
from lookalike.stores.binding import Bound, bound_of
from lookalike.stores.servers.bulk import Action
from lookalike.stores.servers.documents import document_id
from lookalike.stores.servers.mappings import beside_name
from lookalike.stores.servers.queries import Query
from lookalike.stores.servers.reading import KEYS, Reader

__all__ = ["SideIndex", "of_kind", "orphans"]

_TRIES = 200  # tries of a change that conflicts with others


@dataclass(slots=True, kw_only=True)
class SideIndex:
    """The index beside the items, in which every document names its ``kind``."""

    reader: Reader
    _bound: Bound | None = None

    # -- the encoder -----------------------------------------------------------------------

    def bound(self) -> Bound | None:
        """Return the encoder that the collection is bound to, if any."""
        if self._bound is None:
            document, _ = self.document("setting:encoder")
            self._bound = None if document is None else bound_of(json.loads(document["value"]))
        return self._bound

    @property
    def dim(self) -> int:
        """Return the dimensions of a vector. Raise ``StoreError`` before the collection is
        bound.
        """
        bound = self.bound()
        if bound is None:
            raise StoreError(f"{self.reader.server.address} is not bound to an encoder yet")
        return bound[2]

    # -- keys ------------------------------------------------------------------------------

    # A key is claimed before its item is written, so an item may appear after one of a higher key.
    # Whoever reads all keys first raises the floor to the last that was claimed; whoever writes
    # looks, when the items are there, whether the floor has passed them, and if so gives them new
    # keys. So of all items that appear later, the keys are above the floor.

    def claim_keys(self, count: int) -> int:
        """Return the first of ``count`` consecutive keys that nobody else has or will have."""
        first = 0

        def claimed(document: dict[str, Any] | None) -> dict[str, Json]:
            nonlocal first
            first = 1 if document is None else document["next"]
            floor = 0 if document is None else document["floor"]
            return {"kind": "keys", "next": first + count, "floor": floor}

        self.change("keys", claimed)
        return first

    def last_key(self) -> int:
        """Return the last key that was claimed."""
        document, _ = self.document("keys")
        return 0 if document is None else int(document["next"]) - 1

    def pass_key(self, key: int) -> None:
        """Never claim keys up to this one again, because an item has it."""

        def passed(document: dict[str, Any] | None) -> dict[str, Json]:
            following = 1 if document is None else document["next"]
            floor = 0 if document is None else document["floor"]
            return {"kind": "keys", "next": max(following, key + 1), "floor": floor}

        self.change("keys", passed)

    def floor(self) -> int:
        """Return the floor: keys up to this one have been read by someone."""
        document, _ = self.document("keys")
        return 0 if document is None else int(document["floor"])

    def raise_floor(self) -> int:
        """Raise the floor to the last claimed key, and return it."""
        document, _ = self.document("keys")
        if document is None:
            return 0
        last = int(document["next"]) - 1
        if document["floor"] == last:
            return last

        def raised(document: dict[str, Any] | None) -> dict[str, Json]:
            following = 1 if document is None else document["next"]
            return {"kind": "keys", "next": following, "floor": following - 1}

        try:
            return int(str(self.change("keys", raised)["floor"]))
        except (StoreDeniedError, StoreReadOnlyError):
            return last  # a read-only process writes no marks that could become wrong

    # -- documents -------------------------------------------------------------------------

    def document(self, name: str) -> tuple[dict[str, Any] | None, tuple[int, int]]:
        """Return a document as it is now, and its sequence number and term."""
        path = f"/{quote(self.reader.index)}/_doc/{quote(document_id(name), safe='')}"
        body = self.reader.server.ask("GET", path, allow=(404,)).body
        if not body.get("found", False):
            if "error" in body:  # the index itself is not there
                self._raise_missing()
                self.reader.server.ask("GET", path)
            return None, (0, 0)
        return body["_source"], (body["_seq_no"], body["_primary_term"])

    def _raise_missing(self) -> None:
        """Raise ``StoreDamagedError`` if the items have an index and this one is missing."""
        items = self.reader.index.removesuffix(beside_name(""))
        response = self.reader.server.ask("GET", f"/{quote(items)}/_mapping", allow=(404,))
        if response.status < 300:  # noqa: PLR2004 - HTTP
            raise StoreDamagedError(
                f"the index {self.reader.index} is missing, which says what encoder "
                f"{self.reader.server.address} has and which folders: restore it, or copy it like "
                "the items; or `lookalike doctor --repair` makes another where it can"
            )

    def change(
        self, name: str, change: Callable[[dict[str, Any] | None], dict[str, Json]]
    ) -> dict[str, Json]:
        """Atomically replace a document by ``change(document)``; return the new one."""
        for tried in range(_TRIES):
            document, seen = self.document(name)
            new = change(document)
            action = Action(
                verb="create" if document is None else "index",
                index=self.reader.index,
                id=document_id(name),
                source=new,
                seen=None if document is None else seen,
            )
            if self.reader.server.write([action], refresh=False)[0].done:
                return new
            time.sleep(random.random() * min(0.001 * 2**tried, 0.2))  # noqa: S311 - only spreads
        raise StoreBusyError(
            f"{self.reader.server.address}: too many others change {name} at once; try again"
        )


def of_kind(kind: str) -> Query:
    """Return the query for the documents of a kind."""
    return {"term": {"kind": {"value": kind}}}


def orphans(items: Reader, side: Reader, kind: Query) -> list[str]:
    """Return the server's keys of documents whose item is gone or has other content now.

    ``kind`` is the query for documents that contain the ``key`` of an item.
    """
    gone: list[str] = []
    for page in side.walk(kind, by="key", source=("key",), size=KEYS):
        named = {hit["_source"]["key"]: hit["_id"] for hit in page}
        there = {key for key, _ in items.by_key([*named])}
        gone += [one for key, one in named.items() if key not in there]
    return gone
