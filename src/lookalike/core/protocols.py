"""The two seams: what makes vectors of pictures, and what keeps them.

Every implementation passes the same sentences: ``tests/contracts/``.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, Self, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lookalike.core.filters import Condition
from lookalike.core.progress import ProgressCallback
from lookalike.core.records import (
    Entry,
    Field,
    Hit,
    Item,
    Json,
    Leftover,
    Neighbours,
    NeighbourState,
    SideRow,
    Skipped,
    Stamp,
    Thumbnail,
    ThumbnailState,
)
from lookalike.core.vectors import Matrix

__all__ = ["Catalogue", "Encoder", "Keyed", "NeighbourLists", "Prepared", "SideTable", "Store"]

Prepared = NDArray[np.uint8]  # one picture at the encoder's input size, (height, width, 3)


@dataclass(frozen=True, slots=True, kw_only=True)
class Keyed:
    """Items with the keys of their vectors, by ascending key.

    ``keys`` (n,) int64 above 0: one for each vector that was ever stored, never used twice. New
    content has a new and higher key, so what is computed of keys can be behind but never wrong.
    ``rows`` (n, dim) float16 or float32 are the vectors as they are stored, by which answers are
    scored; their lengths are 1 but for rounding.
    """

    keys: NDArray[np.int64]
    ids: list[str]
    rows: NDArray[np.floating]


@dataclass(frozen=True, slots=True, kw_only=True)
class NeighbourLists:
    """Rows of the neighbour table, by ascending key.

    ``near`` (n, k) int64 are keys, best first by score, then id; 0 where a list ends because
    there were no further items. ``scores`` (n, k) float64 are the cosines of a search.
    ``marks`` (n,): every item with a key up to it was looked at. ``exact`` (n,) bool: compared
    with every item, not only with those that a graph proposed.
    """

    keys: NDArray[np.int64]
    marks: NDArray[np.int64]
    exact: NDArray[np.bool_]
    near: NDArray[np.int64]
    scores: NDArray[np.float64]


class Encoder(Protocol):
    """Turns pictures into unit vectors."""

    @property
    def name(self) -> str:
        """The name a person gives to choose it."""

    @property
    def fingerprint(self) -> str:
        """Weights and preprocessing in one string; vectors of two fingerprints never mix."""

    @property
    def dim(self) -> int:
        """Length of a vector."""

    @property
    def decode_size(self) -> tuple[int, int] | None:
        """(width, height) below which a picture must not be decoded, or ``None`` for full size.

        A JPEG that is larger may be decoded at a reduced scale that keeps both sides at least
        this long, which costs a fraction of the time.
        """

    def prepare(self, image: Image.Image, /) -> Prepared:
        """Bring an RGB picture to the input size. Pure and thread-safe; the answer is small."""

    def encode(self, batch: Sequence[Prepared], /) -> Matrix:
        """Vectors of prepared pictures, (n, dim) float32 with unit rows, in order.

        Thread-safe. A picture's vector does not depend on its companions in the batch (up to
        float rounding). Raises ``EncoderError`` when the network cannot be run.

        An encoder may also have a number ``batch_size``: how many pictures it takes best at a time,
        if that is not 32. A service then encodes so many together.
        """


@runtime_checkable
class Catalogue(Protocol):
    """A list of pictures with what is said about them, in some format."""

    @property
    def format(self) -> str:
        """The format's name."""

    @property
    def root(self) -> Path:
        """The folder that the pictures lie in; entries' paths are below it."""

    def entries(self) -> Iterator[Entry | Skipped]:
        """Entries one by one, and lines that are none with the reason. Memory stays flat."""


class SideTable(Protocol):
    """Rows beside the items: one of a store's named tables of small documents.

    The rows are independent of the items: deleting an item changes no row. Thread-safe, and reads
    see every write that was finished before they began.
    """

    def put(self, rows: Sequence[SideRow]) -> None:
        """Insert or replace rows by id; of two with one id the last wins.

        Raises ``StoreError`` where the store can't keep one of them.
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


class Store(Protocol):
    """Keeps items and their vectors together; there is no second truth beside it.

    All methods may be called from several threads. Ids are any non-empty text. Reads see every
    write that was finished before they began, in this process or another.
    """

    def bind(self, *, encoder: str, fingerprint: str, dim: int) -> None:
        """Tie the store to an encoder on first use; ``EncoderMismatchError`` for another later."""

    def bound(self) -> tuple[str, str, int] | None:
        """(encoder, fingerprint, dim) that the store is tied to, if it is."""

    def upsert(
        self,
        items: Sequence[Item],
        vectors: Matrix,
        thumbnails: Sequence[Thumbnail | None] | None = None,
    ) -> None:
        """Insert or replace whole items: each with its vector and its thumbnail, or not at all.

        The embedded store takes a batch whole or not at all; on a server, what fails part way says
        how much of it is stored, and may be done again.
        Of two items with one id the last wins. A skip recorded for an item's place is forgotten.
        ``thumbnails`` are in the order of ``items``; an item that is given none has none then.
        ``ValueError`` when ``vectors`` is not (len(items), dim) or holds a row not of length 1, or
        there are not as many ``thumbnails``.
        """

    def insert(
        self,
        items: Sequence[Item],
        vectors: Matrix,
        thumbnails: Sequence[Thumbnail | None] | None = None,
    ) -> set[str]:
        """Write new items as ``upsert`` does, but replace none.

        Return the ids that were taken, by another item or an earlier one of ``items``; nothing is
        changed for these, however many processes write at the same time. Raises as ``upsert``.
        """

    def update(self, items: Sequence[Item]) -> None:
        """Replace all but vectors and thumbnails; ``ItemNotFoundError``, and no change, if one is
        new.
        """

    def delete(self, ids: Sequence[str]) -> int:
        """Remove items; ids that are not there are passed over. Answers how many went."""

    def get(self, ids: Sequence[str]) -> dict[str, Item]:
        """The items of these ids, those that exist."""

    def vectors(self, ids: Sequence[str]) -> Matrix:
        """Vectors in the order of ``ids``; ``ItemNotFoundError`` names one that is missing."""

    def rows(self, ids: Sequence[str]) -> NDArray[np.floating]:
        """As ``vectors``, but the rows as they are stored: float16 or float32, not scaled again."""

    def thumbnails(self, ids: Sequence[str]) -> dict[str, Thumbnail]:
        """The thumbnails of these ids, of those items that have one."""

    def thumbnail_sides(self, ids: Sequence[str]) -> dict[str, int]:
        """Id → ``side`` of the thumbnail, for those items that have one; no picture is read."""

    def set_thumbnails(self, items: Sequence[Item], thumbnails: Sequence[Thumbnail]) -> int:
        """Give items that are there a thumbnail, or another; answers how many got theirs.

        Passed over are those that have gone or have another ``digest`` by now.
        """

    def drop_thumbnails(self) -> None:
        """Remove all thumbnails."""

    def thumbnail_state(self) -> ThumbnailState:
        """How many thumbnails there are; not by reading them."""

    def with_digest(self, digests: Sequence[str]) -> dict[str, str]:
        """Digest → the id of one item that has it, for those digests that occur."""

    def count(self, where: Condition | None = None) -> int:
        """How many items there are, or meet a condition."""

    def facets(
        self, field: str, where: Condition | None = None, *, limit: int = 100
    ) -> list[tuple[str | float | bool, int]]:
        """The values that a field has and how many items each, most first.

        As many are in the order of values: false and true, then numbers, then text by code point.
        Of a list each element counts, once an item. At most ``limit`` values come back.
        """

    def distinct(self, field: str, where: Condition | None = None) -> int:
        """How many values ``facets`` would answer without a limit."""

    def fields(self, *, limit: int = 200) -> list[Field]:
        """The metadata fields that occur, those that most items have filled first, then by name.

        Reads every item: a second or so for 100,000. At most ``limit`` come back.
        """

    def declare(self, field: str) -> None:
        """Index a metadata field: filters and facets on it become quick, answers stay the same.

        ``ValueError`` for one of an item's own fields. Declaring twice is fine.
        """

    def undeclare(self, field: str) -> bool:
        """Drop a field's index; says whether there was one."""

    def declared(self) -> list[str]:
        """The fields that are declared, sorted."""

    def scan(self, where: Condition | None = None, *, limit: int | None = None) -> Iterator[Item]:
        """Every item (that meets a condition) once, by ascending id, as when the scan began.

        Or only the first ``limit`` of them, which takes no longer than they are many.
        """

    def stamps(self, root: str, under: str = "") -> dict[str, tuple[str, Stamp | None]]:
        """Path → (id, stamp) of the items of a root, those below folder ``under`` only.

        ``under`` names a whole folder: ``photos`` does not claim ``photos2/…``.
        """

    def search(
        self, vectors: Matrix, *, k: int, exact: bool = False, where: Condition | None = None
    ) -> list[list[Hit]]:
        """For each query row, the ``k`` items of highest cosine, best first, ties by id.

        With ``where``, of those items that meet the condition: it comes first, so fewer than
        ``k`` come back only when fewer meet it. ``exact`` compares with every vector;
        without it, an approximate graph may answer, but every score is a true cosine.
        """

    def neighbours(
        self,
        id: str,
        *,
        k: int,
        exact: bool = False,
        where: Condition | None = None,
    ) -> Neighbours | None:
        """What ``search`` by an item would find but for itself, from the neighbour table alone.

        At most ``k`` hits that meet ``where``; fewer, and not ``complete``, when the item's list
        ends before. ``None`` when the table cannot say: no list for the item, items newer than
        the list, or with ``exact`` a list that a graph proposed.
        """

    def keyed(self, after: int = 0) -> Iterator[Keyed]:
        """All items with keys above ``after``, some thousands at a time."""

    def neighbour_lists(self, *, k: int) -> Iterator[NeighbourLists]:
        """The table's rows whose lists were made with this ``k``, some thousands at a time."""

    def set_neighbours(self, lists: NeighbourLists) -> None:
        """Insert or replace rows of the table; those whose item has gone are passed over."""

    def confirm_neighbours(
        self, keys: NDArray[np.int64], marks: NDArray[np.int64], mark: int
    ) -> None:
        """Raise these rows to ``mark``, where their mark is still that of ``marks``."""

    def drop_neighbours(self) -> None:
        """Empty the neighbour table."""

    def neighbour_state(self) -> NeighbourState:
        """How much the neighbour table holds."""

    def warm(self) -> None:
        """Load now what the first search would load; only saves that search the time."""

    def skip(self, root: str, skips: Sequence[Skipped]) -> None:
        """Remember files that were left out, so that they are not tried again unchanged."""

    def skips(self, root: str, under: str = "") -> dict[str, Skipped]:
        """Path → what is remembered of a left-out file, for the files of a root."""

    def forget_skips(self, root: str, paths: Sequence[str]) -> None:
        """Drop what is remembered of these files."""

    def beside(self, table: str) -> SideTable:
        """Return the table of this name beside the items; it is empty before its first row."""

    def tables(self) -> dict[str, int]:
        """Return the number of rows of each table beside the items that has any."""

    def setting(self, name: str) -> Json:
        """A small document kept beside the items; ``None`` if never set."""

    def set_setting(self, name: str, value: Json) -> None:
        """Keep a small document beside the items."""

    def settings(self) -> list[str]:
        """The names of the documents kept beside the items, sorted; the store's own among them."""

    def change_setting(self, name: str, change: Callable[[Json], Json]) -> Json:
        """Replace a document by ``change`` of it, and answer the new one.

        Nobody else can change it in between.
        """

    def optimize(self, *, progress: ProgressCallback | None = None) -> bool:
        """Bring caches that speed up search in line with the items; say if there was work.

        Never changes a score. May take minutes for a million items; safe to interrupt.
        ``progress`` counts rows.
        """

    def check(self, *, repair: bool = False) -> list[str]:
        """Problems found in what is stored, as plain sentences; ``repair`` mends what it can."""

    def facts(self) -> dict[str, Json]:
        """Where and how the items are kept: kind, address, bytes, and the like."""

    def is_current(self) -> bool:
        """Whether what was opened still is what its address leads to.

        No longer once it has been replaced or removed, also where another collection was begun in
        its place. Costs a server a request.
        """

    @property
    def name(self) -> str:
        """What the collection is called where it is kept: the last part of its address."""

    def sibling(self, name: str, *, create: bool) -> Self:
        """The collection called ``name`` beside this one, made in the same way; open for writing.

        Raise ``CollectionNotFoundError`` where there is none and ``create`` is not set, and with it
        ``FolderInUseError`` where the sibling could not take this one's place, or other files are
        in its own.
        """

    def replace(self, new: Self, *, keep: str, last: Callable[[], None]) -> str:
        """Let ``new``, a sibling, take this one's place and name in one step; close both.

        First ``last`` runs: while it does, nobody writes to this one. Whoever has it open reads on
        and can no longer write; who opens it from then on gets ``new``. This one stays under the
        name that comes back: ``keep``, where that is free. Folders that others keep within this
        one's, as a service keeps what is uploaded, are in both from then on. When ``last`` raises,
        all is as before.
        """

    def drop(self) -> Leftover | None:
        """Remove the whole collection, and close; return what stays, where that is not nothing.

        Files that are not lookalike's are never removed, nor the folder that they lie in.
        """

    @property
    def folder(self) -> Path | None:
        """The folder that the collection lies in; ``None`` on a server."""

    @property
    def begun(self) -> bool:
        """Whether the collection was begun by opening it (``create``)."""

    @property
    def made(self) -> Sequence[Path]:
        """Folders that were made for the collection when it was begun, the deepest first."""

    def close(self) -> None:
        """Let go of files and connections. Closing twice is fine."""
