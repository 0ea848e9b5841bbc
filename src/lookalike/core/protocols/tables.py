"""What a store holds besides items: settings, skips, thumbnails, neighbour lists, other rows."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from lookalike.core.filters import Condition
from lookalike.core.records import (
    Item,
    Json,
    Neighbours,
    NeighbourState,
    SideRow,
    Skipped,
    Thumbnail,
    ThumbnailState,
)

__all__ = [
    "Keyed",
    "NeighbourLists",
    "NeighbourTable",
    "SettingTable",
    "SideTable",
    "SkipTable",
    "ThumbnailTable",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Keyed:
    """Items with the keys of their vectors, by ascending key.

    ``keys`` (n,) int64 above 0: one for each vector that was ever stored, never used twice. New
    content has a new and higher key, so what is computed from keys can be behind but never wrong.
    ``rows`` (n, dim) float16 or float32 are the vectors as they are stored, from which scores are
    computed; their lengths are 1 up to rounding.
    """

    keys: NDArray[np.int64]
    ids: list[str]
    rows: NDArray[np.floating]


@dataclass(frozen=True, slots=True, kw_only=True)
class NeighbourLists:
    """Rows of the neighbour table, by ascending key.

    ``near`` (n, k) int64 are keys, best first by score, then id; 0 where a list ends because
    there were no further items. ``scores`` (n, k) float64 are the cosines of a search.
    ``marks`` (n,): every item with a key up to it was compared. ``exact`` (n,) bool: compared
    with every item, not only with those that an ANN index proposed.
    """

    keys: NDArray[np.int64]
    marks: NDArray[np.int64]
    exact: NDArray[np.bool_]
    near: NDArray[np.int64]
    scores: NDArray[np.float64]


class SettingTable(Protocol):
    """Small named JSON documents of a collection."""

    def get(self, name: str) -> Json:
        """Return a setting; ``None`` if it was never set."""

    def set(self, name: str, value: Json) -> None:
        """Set or replace a setting."""

    def change(self, name: str, change: Callable[[Json], Json]) -> Json:
        """Replace a setting by ``change`` of it, and return the new one.

        Nobody else can change it in between.
        """

    def names(self) -> list[str]:
        """Return the names of all settings, sorted; the store's own are among them."""


class SkipTable(Protocol):
    """Files that were left out, so that they are not tried again while they are unchanged."""

    def put(self, root: str, skips: Sequence[Skipped]) -> None:
        """Record files of a root that were left out."""

    def below(self, root: str, under: str = "") -> dict[str, Skipped]:
        """Return path → skip for the files of a root, only those below folder ``under``."""

    def delete(self, root: str, paths: Sequence[str]) -> None:
        """Delete the records of these files."""


class ThumbnailTable(Protocol):
    """Small JPEGs of items. They are written with an item (``Items.upsert``) or later."""

    def get(self, ids: Sequence[str]) -> dict[str, Thumbnail]:
        """Return the thumbnails of those items that have one."""

    def sides(self, ids: Sequence[str]) -> dict[str, int]:
        """Return id → ``side`` for those items that have a thumbnail, without reading JPEGs."""

    def put(self, items: Sequence[Item], thumbnails: Sequence[Thumbnail]) -> int:
        """Set the thumbnails of items that exist; return how many were written.

        Items that were deleted, or have another ``digest`` by now, are left as they are.
        """

    def clear(self) -> None:
        """Delete all thumbnails."""

    def state(self) -> ThumbnailState:
        """Return how many thumbnails there are, without reading them."""


class NeighbourTable(Protocol):
    """Precomputed nearest neighbours of items."""

    def get(
        self, id: str, *, k: int, exact: bool = False, where: Condition | None = None
    ) -> Neighbours | None:
        """Return what a search by an item would find except itself, from the table alone.

        At most ``k`` hits that meet ``where``; fewer, and not ``complete``, when the item's list
        ends before. ``None`` when the table cannot say: no list for the item, items newer than
        the list, or with ``exact`` a list that an ANN index proposed.
        """

    def keyed(self, after: int = 0) -> Iterator[Keyed]:
        """Yield all items with keys above ``after``, some thousands at a time."""

    def lists(self, *, k: int) -> Iterator[NeighbourLists]:
        """Yield the table's rows that were computed with this ``k``, some thousands at a time."""

    def put(self, lists: NeighbourLists) -> None:
        """Insert or replace rows of the table; those whose item has gone are ignored."""

    def confirm(self, keys: NDArray[np.int64], marks: NDArray[np.int64], mark: int) -> None:
        """Raise these rows to ``mark``, where their mark is still that of ``marks``."""

    def clear(self) -> None:
        """Empty the table."""

    def state(self) -> NeighbourState:
        """Return how much the table holds."""


class SideTable(Protocol):
    """Rows beside the items: one of a store's named tables of small documents.

    The rows are independent of the items: deleting an item changes no row. Thread-safe, and reads
    see every write that was finished before they began.
    """

    def put(self, rows: Sequence[SideRow]) -> None:
        """Insert or replace rows by id; of two with one id the last wins.

        Raise ``StoreError`` if the store cannot keep one of them.
        """

    def get(self, ids: Sequence[str]) -> dict[str, SideRow]:
        """Return the rows with these ids, those that exist."""

    def with_digest(self, digests: Sequence[str]) -> list[SideRow]:
        """Return all rows with one of these digests, by id."""

    def scan(self) -> Iterator[SideRow]:
        """Yield every row once, by ascending id."""

    def delete(self, ids: Sequence[str]) -> int:
        """Delete rows and return how many there were; unknown ids are ignored."""

    def count(self) -> int:
        """Return the number of rows."""
