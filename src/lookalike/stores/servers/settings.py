"""Settings on a server, and the skipped files: documents in the side index."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from lookalike.core.records import Json, Skipped
from lookalike.stores.servers.bulk import Action
from lookalike.stores.servers.documents import document_id
from lookalike.stores.servers.queries import below
from lookalike.stores.servers.reading import both
from lookalike.stores.servers.side_index import SideIndex, of_kind
from lookalike.stores.stored_values import stamp_of

__all__ = ["ServerSettings", "ServerSkips", "skip_deletion"]

_PAGE = 5000


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSettings:
    """One document per setting; changes use sequence numbers, so none is lost."""

    side: SideIndex

    def get(self, name: str) -> Json:
        document, _ = self.side.document(f"setting:{name}")
        return None if document is None else json.loads(document["value"])

    def set(self, name: str, value: Json) -> None:
        self.change(name, lambda _: value)

    def change(self, name: str, change: Callable[[Json], Json]) -> Json:
        new: Json = None

        def changed(document: dict[str, Any] | None) -> dict[str, Json]:
            nonlocal new
            new = change(None if document is None else json.loads(document["value"]))
            text = json.dumps(new, ensure_ascii=False)
            return {"kind": "setting", "name": name, "value": text}

        self.side.change(f"setting:{name}", changed)
        return new

    def names(self) -> list[str]:
        reader = self.side.reader
        # Unlike items, they are written without waiting until searches see them.
        reader.refresh()
        pages = reader.walk(of_kind("setting"), by="name", source=("name",), size=_PAGE)
        return [hit["_source"]["name"] for page in pages for hit in page]


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSkips:
    """One document per file; writing an item deletes the document of its path."""

    side: SideIndex

    def put(self, root: str, skips: Sequence[Skipped]) -> None:
        reader = self.side.reader
        reader.server.write(
            [
                Action(
                    verb="index",
                    index=reader.index,
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

    def below(self, root: str, under: str = "") -> dict[str, Skipped]:
        query = both(
            of_kind("skip"),
            {"term": {"root": {"value": root}}},
            below(under) if under else None,
        )
        source = ("path", "size", "mtime_ns", "reason")
        found: dict[str, Skipped] = {}
        for page in self.side.reader.walk(query, by="path", source=source, size=_PAGE):
            for one in (hit["_source"] for hit in page):
                path = one["path"]
                if not under or path.startswith(f"{under}/"):
                    stamp = stamp_of(one["size"], one["mtime_ns"])
                    found[path] = Skipped(path=path, reason=one["reason"], stamp=stamp)
        return found

    def delete(self, root: str, paths: Sequence[str]) -> None:
        self.side.reader.server.write([skip_deletion(self.side, root, path) for path in paths])


def skip_deletion(side: SideIndex, root: str, path: str) -> Action:
    """Return the action that deletes the skip of a file."""
    return Action(verb="delete", index=side.reader.index, id=_skip_id(root, path))


def _skip_id(root: str, path: str) -> str:
    return document_id(f"skip:{root}\0{path}")
