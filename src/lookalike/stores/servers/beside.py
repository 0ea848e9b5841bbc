"""What is kept beside the items: settings, skips, and the counter that keys come from."""

import json
import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from lookalike.core.records import Json, Skipped
from lookalike.errors import (
    StoreBusyError,
    StoreDamagedError,
    StoreDeniedError,
    StoreReadOnlyError,
)
from lookalike.stores.rows import stamp_of
from lookalike.stores.servers.bulk import Action
from lookalike.stores.servers.documents import document_id
from lookalike.stores.servers.mappings import beside_name
from lookalike.stores.servers.queries import Query, below
from lookalike.stores.servers.reading import KEYS, Reader, both

__all__ = ["Beside", "orphans"]

_TRIES = 200  # of a change that others get in the way of
_PAGE = 5000


@dataclass(frozen=True, slots=True, kw_only=True)
class Beside:
    """The index beside the items, whose documents say of what ``kind`` they are."""

    reader: Reader

    # -- settings --------------------------------------------------------------------------

    def setting(self, name: str) -> Json:
        value, _ = self._document(f"setting:{name}")
        return None if value is None else json.loads(value["value"])

    def settings(self) -> list[str]:
        """The names of the settings, sorted."""
        # They are written without waiting for searches to see them, unlike items.
        self.reader.server.ask("POST", f"/{quote(self.reader.index)}/_refresh")
        pages = self.reader.walk(self.of_kind("setting"), by="name", source=("name",), size=_PAGE)
        return [hit["_source"]["name"] for page in pages for hit in page]

    def change_setting(self, name: str, change: Callable[[Json], Json]) -> Json:
        answer: Json = None

        def changed(document: dict[str, Any] | None) -> dict[str, Json]:
            nonlocal answer
            answer = change(None if document is None else json.loads(document["value"]))
            text = json.dumps(answer, ensure_ascii=False)
            return {"kind": "setting", "name": name, "value": text}

        self._change(f"setting:{name}", changed)
        return answer

    # -- keys ------------------------------------------------------------------------------

    # A key is claimed before its item is written, so an item may appear after one of a higher key.
    # Whoever reads all keys first raises the floor to the last that was claimed; whoever writes
    # looks, when the items are there, whether the floor has passed them, and if so gives them new
    # keys. So of all items that appear later, the keys are above the floor.

    def claim_keys(self, count: int) -> int:
        """The first of ``count`` keys in a row that nobody else has or will have."""
        first = 0

        def claimed(document: dict[str, Any] | None) -> dict[str, Json]:
            nonlocal first
            first = 1 if document is None else document["next"]
            floor = 0 if document is None else document["floor"]
            return {"kind": "keys", "next": first + count, "floor": floor}

        self._change("keys", claimed)
        return first

    def last_key(self) -> int:
        """The last key that was claimed."""
        document, _ = self._document("keys")
        return 0 if document is None else int(document["next"]) - 1

    def pass_key(self, key: int) -> None:
        """Let no key up to this one be claimed any more: an item has it."""

        def passed(document: dict[str, Any] | None) -> dict[str, Json]:
            following = 1 if document is None else document["next"]
            floor = 0 if document is None else document["floor"]
            return {"kind": "keys", "next": max(following, key + 1), "floor": floor}

        self._change("keys", passed)

    def floor(self) -> int:
        """Keys up to this one have been read by someone."""
        document, _ = self._document("keys")
        return 0 if document is None else int(document["floor"])

    def raise_floor(self) -> int:
        """Lift the floor to the last key that was claimed, and answer it."""
        document, _ = self._document("keys")
        if document is None:
            return 0
        last = int(document["next"]) - 1
        if document["floor"] == last:
            return last

        def raised(document: dict[str, Any] | None) -> dict[str, Json]:
            following = 1 if document is None else document["next"]
            return {"kind": "keys", "next": following, "floor": following - 1}

        try:
            return int(str(self._change("keys", raised)["floor"]))
        except (StoreDeniedError, StoreReadOnlyError):
            return last  # who may only read leaves no marks that could be wrong

    # -- skips -----------------------------------------------------------------------------

    def skip(self, root: str, skips: Sequence[Skipped]) -> None:
        self.reader.server.write(
            [
                Action(
                    verb="index",
                    index=self.reader.index,
                    id=_skip_id(root, one.path),
                    source={
                        "kind": "skip",
                        "root": root,
                        "path": one.path,
                        "size": one.stamp.size if one.stamp else None,
                        "mtime_ns": one.stamp.mtime_ns if one.stamp else None,
                        "reason": one.reason,
                    },
                )
                for one in skips
            ]
        )

    def skips(self, root: str, under: str) -> Iterator[tuple[str, Skipped]]:
        query = both(
            {"term": {"kind": {"value": "skip"}}},
            {"term": {"root": {"value": root}}},
            below(under) if under else None,
        )
        source = ("path", "size", "mtime_ns", "reason")
        for page in self.reader.walk(query, by="path", source=source, size=_PAGE):
            for hit in page:
                one = hit["_source"]
                if under and not one["path"].startswith(f"{under}/"):
                    continue
                stamp = stamp_of(one["size"], one["mtime_ns"])
                yield one["path"], Skipped(path=one["path"], reason=one["reason"], stamp=stamp)

    def forgetting(self, root: str, path: str) -> Action:
        """What drops a skip."""
        return Action(verb="delete", index=self.reader.index, id=_skip_id(root, path))

    # -- inside ----------------------------------------------------------------------------

    def of_kind(self, kind: str) -> Query:
        return {"term": {"kind": {"value": kind}}}

    def _document(self, name: str) -> tuple[dict[str, Any] | None, tuple[int, int]]:
        """A document as it is now, and its sequence number and term."""
        path = f"/{quote(self.reader.index)}/_doc/{quote(document_id(name), safe='')}"
        body = self.reader.server.ask("GET", path, allow=(404,)).body
        if not body.get("found", False):
            if "error" in body:  # the index itself is not there
                self._raise_missing()
                self.reader.server.ask("GET", path)
            return None, (0, 0)
        return body["_source"], (body["_seq_no"], body["_primary_term"])

    def _raise_missing(self) -> None:
        """Raise what it means that this index is not there, if the items are."""
        items = self.reader.index.removesuffix(beside_name(""))
        answer = self.reader.server.ask("GET", f"/{quote(items)}/_mapping", allow=(404,))
        if answer.status < 300:  # noqa: PLR2004 - HTTP
            raise StoreDamagedError(
                f"the index {self.reader.index} is missing, which says what encoder "
                f"{self.reader.server.address} has and which folders: restore it, or copy it like "
                "the items; or `lookalike doctor --repair` makes another where it can"
            )

    def _change(
        self, name: str, change: Callable[[dict[str, Any] | None], dict[str, Json]]
    ) -> dict[str, Json]:
        """Replace a document by what ``change`` makes of it, with nobody in between."""
        for tried in range(_TRIES):
            document, seen = self._document(name)
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


def orphans(items: Reader, beside: Reader, kind: Query) -> list[str]:
    """The server's keys of documents beside whose item has gone or has other content by now.

    ``kind`` is of those that name the ``key`` of an item.
    """
    gone: list[str] = []
    for page in beside.walk(kind, by="key", source=("key",), size=KEYS):
        named = {hit["_source"]["key"]: hit["_id"] for hit in page}
        there = {key for key, _ in items.by_key([*named])}
        gone += [one for key, one in named.items() if key not in there]
    return gone


def _skip_id(root: str, path: str) -> str:
    return document_id(f"skip:{root}\0{path}")
