"""Settings, skips, thumbnails and neighbour lists over one kind of rows: for new stores.

A store that has ``SideTable`` and transactions gets these roles from here. The embedded store and
the servers have tables of their own instead, which their formats fix and which are joined to the
items by SQL or by the server: docs/write-a-store.md.
"""

import base64
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from lookalike.core.filters import Condition
from lookalike.core.protocols import Keyed, NeighbourLists, SideTable
from lookalike.core.records import (
    Hit,
    Item,
    Json,
    Neighbours,
    NeighbourState,
    SideRow,
    Skipped,
    Stamp,
    Thumbnail,
    ThumbnailState,
)
from lookalike.stores.binding import check_k

__all__ = [
    "ItemKeys",
    "TableNeighbours",
    "TableSettings",
    "TableSkips",
    "TableThumbnails",
    "Transaction",
]

Transaction: TypeAlias = Callable[[], AbstractContextManager[object]]
"""A transaction of several reads and writes; a nested one is part of the outer one."""

_CHUNK = 4096  # neighbour lists at a time


class ItemKeys(Protocol):
    """What the neighbour table needs to know about items, by the keys of their vectors."""

    def by_key(self, keys: Sequence[int], where: Condition | None = None) -> Mapping[int, Item]:
        """Return key → item for the keys of items that meet a condition."""

    def keyed(self, after: int = 0) -> Iterator[Keyed]:
        """As ``NeighbourTable.keyed``."""

    def newest(self) -> int:
        """Return the highest key of an item; 0 if there is none."""

    def count(self) -> int:
        """Return how many items there are."""


@dataclass(frozen=True, slots=True)
class TableSettings:
    """One row per setting, by name."""

    rows: SideTable
    transaction: Transaction

    def get(self, name: str) -> Json:
        row = self.rows.get([name]).get(name)
        return None if row is None else row.value

    def set(self, name: str, value: Json) -> None:
        self.rows.put([SideRow(id=name, value=value)])

    def change(self, name: str, change: Callable[[Json], Json]) -> Json:
        with self.transaction():
            value = change(self.get(name))
            self.set(name, value)
        return value

    def names(self) -> list[str]:
        return [row.id for row in self.rows.scan()]


@dataclass(frozen=True, slots=True)
class TableSkips:
    """One row per skipped file, by root and path."""

    rows: SideTable

    def put(self, root: str, skips: Sequence[Skipped]) -> None:
        self.rows.put(
            [
                SideRow(
                    id=_place(root, one.path),
                    value={
                        "root": root,
                        "path": one.path,
                        "reason": one.reason,
                        "stamp": list(one.stamp) if one.stamp else None,
                    },
                )
                for one in skips
            ]
        )

    def below(self, root: str, under: str = "") -> dict[str, Skipped]:
        values: list[Any] = [row.value for row in self.rows.scan()]
        return {
            one["path"]: Skipped(
                path=one["path"],
                reason=one["reason"],
                stamp=Stamp(*one["stamp"]) if one["stamp"] else None,
            )
            for one in values
            if one["root"] == root and one["path"].startswith(f"{under}/" if under else "")
        }

    def delete(self, root: str, paths: Sequence[str]) -> None:
        self.rows.delete([_place(root, path) for path in paths])


@dataclass(frozen=True, slots=True)
class TableThumbnails:
    """One row per thumbnail, by the id of its item.

    The store calls ``write`` in the transaction that writes or deletes items. ``get_items`` returns
    the items with some ids.
    """

    rows: SideTable
    transaction: Transaction
    get_items: Callable[[Sequence[str]], Mapping[str, Item]]

    def get(self, ids: Sequence[str]) -> dict[str, Thumbnail]:
        return {
            id: Thumbnail(jpeg=base64.b64decode(one["jpeg"]), side=one["side"])
            for id, one in _values(self.rows.get(ids))
        }

    def sides(self, ids: Sequence[str]) -> dict[str, int]:
        return {id: one["side"] for id, one in _values(self.rows.get(ids))}

    def put(self, items: Sequence[Item], thumbnails: Sequence[Thumbnail]) -> int:
        with self.transaction():
            found = self.get_items([item.id for item in items])
            pairs = zip(items, thumbnails, strict=True)
            current = {
                item.id: thumbnail
                for item, thumbnail in pairs
                if item.id in found and found[item.id].digest == item.digest
            }
            self.write(current)
        return len(current)

    def clear(self) -> None:
        with self.transaction():
            self.rows.delete([row.id for row in self.rows.scan()])

    def state(self) -> ThumbnailState:
        sizes = [one["bytes"] for _, one in _values({row.id: row for row in self.rows.scan()})]
        return ThumbnailState(items=len(sizes), bytes=sum(sizes))

    def write(self, thumbnails: Mapping[str, Thumbnail | None]) -> None:
        """Write the thumbnails of these ids, and delete those of ids with ``None``."""
        self.rows.delete([id for id, one in thumbnails.items() if one is None])
        self.rows.put(
            [
                SideRow(
                    id=id,
                    value={
                        "side": one.side,
                        "bytes": len(one.jpeg),
                        "jpeg": base64.b64encode(one.jpeg).decode(),
                    },
                )
                for id, one in thumbnails.items()
                if one is not None
            ]
        )


@dataclass(frozen=True, slots=True)
class TableNeighbours:
    """One row per list of neighbours, by the item's id.

    The store calls ``rows.delete`` in the transaction that writes or deletes items.
    """

    rows: SideTable
    transaction: Transaction
    items: ItemKeys

    def get(
        self, id: str, *, k: int, exact: bool = False, where: Condition | None = None
    ) -> Neighbours | None:
        check_k(k)
        with self.transaction():
            for _, one in _values(self.rows.get([id])):
                if one["mark"] >= self.items.newest() and (one["exact"] or not exact):
                    found = self.items.by_key([key for key, _ in one["near"]], where)
                    near = [(key, score) for key, score in one["near"] if key in found]
                    hits = [Hit(item=found[key], score=score) for key, score in near]
                    complete = len(hits) <= k and len(one["near"]) < one["k"]
                    return Neighbours(hits[:k], complete=complete)
        return None

    def keyed(self, after: int = 0) -> Iterator[Keyed]:
        return self.items.keyed(after)

    def lists(self, *, k: int) -> Iterator[NeighbourLists]:
        values: list[Any] = [row.value for row in self.rows.scan()]
        chosen = sorted((one for one in values if one["k"] == k), key=lambda one: one["key"])
        for start in range(0, len(chosen), _CHUNK):
            part = chosen[start : start + _CHUNK]
            padded = [one["near"] + [[0, 0.0]] * (k - len(one["near"])) for one in part]
            yield NeighbourLists(
                keys=np.array([one["key"] for one in part], np.int64),
                marks=np.array([one["mark"] for one in part], np.int64),
                exact=np.array([one["exact"] for one in part], np.bool_),
                near=np.array([[key for key, _ in near] for near in padded], np.int64),
                scores=np.array([[score for _, score in near] for near in padded]),
            )

    def put(self, lists: NeighbourLists) -> None:
        every = zip(
            lists.keys.tolist(),
            lists.marks.tolist(),
            lists.exact.tolist(),
            lists.near.tolist(),
            lists.scores.tolist(),
            strict=True,
        )
        with self.transaction():
            found = self.items.by_key(lists.keys.tolist())
            self.rows.put(
                [
                    SideRow(
                        id=found[key].id,
                        value={
                            "key": key,
                            "mark": mark,
                            "exact": exact,
                            "k": len(near),
                            "near": [[n, s] for n, s in zip(near, scores, strict=True) if n],
                        },
                    )
                    for key, mark, exact, near, scores in every
                    if key in found
                ]
            )

    def confirm(self, keys: NDArray[np.int64], marks: NDArray[np.int64], mark: int) -> None:
        before = dict(zip(keys.tolist(), marks.tolist(), strict=True))
        with self.transaction():
            found = self.items.by_key([*before])
            rows = _values(self.rows.get([item.id for item in found.values()]))
            self.rows.put(
                [
                    SideRow(id=id, value={**one, "mark": mark})
                    for id, one in rows
                    if before.get(one["key"]) == one["mark"]
                ]
            )

    def clear(self) -> None:
        with self.transaction():
            self.rows.delete([row.id for row in self.rows.scan()])

    def state(self) -> NeighbourState:
        with self.transaction():
            values: list[Any] = [row.value for row in self.rows.scan()]
            newest = self.items.newest()
            return NeighbourState(
                items=self.items.count(),
                rows=len(values),
                current=sum(one["mark"] >= newest for one in values),
                exact=sum(one["exact"] for one in values),
                k=max((one["k"] for one in values), default=0),
                bytes=sum(16 * len(one["near"]) for one in values),  # a key and a score
            )


def _place(root: str, path: str) -> str:
    return f"{root}\0{path}"


def _values(rows: Mapping[str, SideRow]) -> list[tuple[str, Any]]:
    """Return (id, value) of rows whose values these tables wrote."""
    return [(id, row.value) for id, row in rows.items()]
