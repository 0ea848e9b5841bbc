"""What stores items and vectors: a ``Store`` is a set of small roles.

``store.items`` writes and reads items, ``store.search`` and ``store.keywords`` find them, and
``store.settings``, ``store.skips``, ``store.thumbnails``, ``store.neighbours`` and
``store.table(name)`` hold what is stored with them. The store itself only has its lifecycle. How to
write one: docs/write-a-store.md.
"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray

from lookalike.core.filters import Condition
from lookalike.core.keywords import WordIndex
from lookalike.core.progress import ProgressCallback
from lookalike.core.protocols.tables import (
    NeighbourTable,
    SettingTable,
    SideTable,
    SkipTable,
    ThumbnailTable,
)
from lookalike.core.records import (
    Field,
    Hit,
    Item,
    Json,
    Leftover,
    Stamp,
    Thumbnail,
)
from lookalike.core.vectors import Matrix

__all__ = ["ItemSearch", "Items", "Lifecycle", "Store"]


class Items(Protocol):
    """Items with their vectors: the truth of a collection."""

    def upsert(
        self,
        items: Sequence[Item],
        vectors: Matrix,
        thumbnails: Sequence[Thumbnail | None] | None = None,
    ) -> None:
        """Insert or replace whole items: each with its vector and its thumbnail, or not at all.

        The embedded store writes a batch whole or not at all; on a server, an error part way says
        how much of it is stored, and the batch may be written again.
        Of two items with one id the last wins. A skip recorded for an item's path is deleted.
        ``thumbnails`` are in the order of ``items``; an item without one loses the one it had.
        Raise ``ValueError`` when ``vectors`` is not (len(items), dim) or holds a row not of length
        1, or when there are not as many ``thumbnails``.
        """

    def insert(
        self,
        items: Sequence[Item],
        vectors: Matrix,
        thumbnails: Sequence[Thumbnail | None] | None = None,
    ) -> set[str]:
        """Write new items as ``upsert`` does, but replace none.

        Return the ids that were taken, by another item or an earlier one of ``items``; nothing is
        changed for these, however many processes write at the same time. Raise as ``upsert``.
        """

    def update(self, items: Sequence[Item]) -> None:
        """Replace everything but vectors and thumbnails.

        Raise ``ItemNotFoundError``, and change nothing, if one of them does not exist.
        """

    def delete(self, ids: Sequence[str]) -> int:
        """Delete items and return how many there were; unknown ids are ignored."""

    def get(self, ids: Sequence[str]) -> dict[str, Item]:
        """Return the items with these ids, those that exist."""

    def vectors(self, ids: Sequence[str]) -> Matrix:
        """Return vectors in the order of ``ids``, (n, dim) float32 unit rows.

        Raise ``ItemNotFoundError`` with the name of one that is missing.
        """

    def rows(self, ids: Sequence[str]) -> NDArray[np.floating]:
        """Return vectors as they are stored: float16 or float32, not scaled again."""

    def with_digest(self, digests: Sequence[str]) -> dict[str, str]:
        """Return digest → the id of one item that has it, for those digests that occur."""

    def scan(self, where: Condition | None = None, *, limit: int | None = None) -> Iterator[Item]:
        """Yield every item (that meets a condition) once, by ascending id, as when the scan began.

        With ``limit``, only the first ones, and no more are read.
        """

    def stamps(self, root: str, under: str = "") -> dict[str, tuple[str, Stamp | None]]:
        """Return path → (id, stamp) of the items of a root, only those below folder ``under``.

        ``under`` names a whole folder: ``shop`` does not match ``shop2/…``.
        """


class ItemSearch(Protocol):
    """Finds and counts items."""

    def nearest(
        self, vectors: Matrix, *, k: int, exact: bool = False, where: Condition | None = None
    ) -> list[list[Hit]]:
        """Return for each query row the ``k`` items of highest cosine, best first, ties by id.

        With ``where``, of those items that meet the condition: it comes first, so fewer than
        ``k`` come back only when fewer meet it. ``exact`` compares with every vector;
        without it, an ANN index may propose the items, but every score is a true cosine.
        Raise ``ValueError`` where ``k`` is below 1 or ``vectors`` is not (n, dim).
        """

    def count(self, where: Condition | None = None) -> int:
        """Return how many items there are, or how many meet a condition."""

    def facets(
        self, field: str, where: Condition | None = None, *, limit: int = 100
    ) -> list[tuple[str | float | bool, int]]:
        """Return the values of a field and how many items have each, most first.

        Equal counts are in the order of values: false and true, then numbers, then text by code
        point. Each element of a list counts, once per item. At most ``limit`` values are returned.
        """

    def distinct(self, field: str, where: Condition | None = None) -> int:
        """Return how many values ``facets`` would return without a limit."""

    def fields(self, *, limit: int = 200) -> list[Field]:
        """Return the metadata fields that occur, those filled in most items first, then by name.

        Reads every item: about a second for 100,000. At most ``limit`` are returned.
        """

    def declare(self, field: str) -> None:
        """Index a metadata field: filters and facets on it become fast, results stay the same.

        Raise ``ValueError`` for one of an item's own fields. Declaring twice is fine.
        """

    def undeclare(self, field: str) -> bool:
        """Drop a field's index; return whether there was one."""

    def declared(self) -> list[str]:
        """Return the declared fields, sorted."""

    def warm(self) -> None:
        """Load now what the first search would load; only saves that search the time."""

    def optimize(self, *, progress: ProgressCallback | None = None) -> bool:
        """Update the caches that speed up search; return whether there was work.

        Never changes a score. May take minutes for a million items; safe to interrupt.
        ``progress`` counts rows.
        """


class Lifecycle(Protocol):
    """Opening, replacing and closing a collection."""

    def bind(self, *, encoder: str, fingerprint: str, dim: int) -> None:
        """Tie the store to an encoder on first use.

        Raise ``EncoderMismatchError`` where it is tied to another.
        """

    def bound(self) -> tuple[str, str, int] | None:
        """Return the (encoder, fingerprint, dim) that the store is tied to, if it is."""

    def check(self, *, repair: bool = False) -> list[str]:
        """Return problems in what is stored, as sentences; ``repair`` repairs what it can."""

    def facts(self) -> dict[str, Json]:
        """Return where and how the items are stored: kind, address, bytes, and the like."""

    def is_current(self) -> bool:
        """Return whether the opened collection still is the one at its address.

        ``False`` once it has been replaced or removed, also where another collection was created
        in its place. Costs a server a request.
        """

    def sibling(self, name: str, *, create: bool) -> Self:
        """Open the collection called ``name`` next to this one, made in the same way, for writing.

        Raise ``CollectionNotFoundError`` where there is none and ``create`` is not set, and with it
        ``FolderInUseError`` where the sibling could not take this one's place, or other files are
        in its own.
        """

    def replace(self, new: Self, *, keep: str, last: Callable[[], None]) -> str:
        """Let ``new``, a sibling, take this one's place and name in one step; close both.

        First ``last`` runs; while it does, no process writes to this one. Processes that have this
        one open can read on but no longer write; those that open it afterwards get ``new``. This
        one stays under the name that is returned: ``keep``, where that is free. Folders that others
        have within this one's, such as a service's uploads, are in both from then on. When ``last``
        raises, nothing changes.
        """

    def drop(self) -> Leftover | None:
        """Remove the whole collection, and close; return what stays, if anything does.

        Files that are not lookalike's are never removed, nor the folder that they lie in.
        """

    def close(self) -> None:
        """Release files and connections. Closing twice is fine."""


class Store(Lifecycle, Protocol):
    """Stores items and their vectors together; no other place holds data that it must agree with.

    All methods may be called from several threads. Ids are any non-empty text. Reads see every
    write that was finished before they began, in this process or another.
    """

    @property
    def items(self) -> Items:
        """The items and their vectors."""

    @property
    def search(self) -> ItemSearch:
        """Search, counts, and the fields that filters know."""

    @property
    def keywords(self) -> WordIndex:
        """Search by the words of items: ``core.keywords.match``."""

    @property
    def settings(self) -> SettingTable:
        """The collection's settings."""

    @property
    def skips(self) -> SkipTable:
        """The files that were left out."""

    @property
    def thumbnails(self) -> ThumbnailTable:
        """The items' thumbnails."""

    @property
    def neighbours(self) -> NeighbourTable:
        """The items' precomputed nearest neighbours."""

    def table(self, name: str) -> SideTable:
        """Return the table of this name beside the items; it is empty before its first row."""

    def tables(self) -> dict[str, int]:
        """Return the number of rows of each table beside the items that has any."""

    @property
    def name(self) -> str:
        """What the collection is called where it lies: the last part of its address."""

    @property
    def folder(self) -> Path | None:
        """The folder that the collection lies in; ``None`` on a server."""

    @property
    def begun(self) -> bool:
        """Whether the collection was created by opening it (``create``)."""

    @property
    def made(self) -> Sequence[Path]:
        """Folders that were made for the collection when it was created, the deepest first."""
