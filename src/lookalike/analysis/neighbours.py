"""The neighbour table: each item's k nearest neighbours, precomputed and stored.

    neighbours.build(shop)        # everything the first time, then only what has changed
    shop.similar("a.jpg")         # reads the table if it has the exact result

A list is what an exact search would find, to the last decimal: cosines as ``vectors.cosines``
computes them, ties by id, without the item itself, with its exact duplicates. There is never a full
matrix of all items: a block of items is compared with a tile of others at a time.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from lookalike.analysis.neighbour_lists import (
    Keys,
    Scores,
    VectorRows,
    find_changes,
    find_nearest,
    remove_entries,
)
from lookalike.core import settings_keys
from lookalike.core.arguments import checked
from lookalike.core.progress import Progress, ProgressCallback
from lookalike.core.protocols import Keyed, NeighbourLists, Store
from lookalike.core.vectors import Matrix, unit_rows
from lookalike.errors import ItemNotFoundError

if TYPE_CHECKING:
    from lookalike.collection import Collection


__all__ = ["BuildReport", "build", "drop", "read_k"]

# Up to this many floats, the vectors are held in memory (0.5 GB) and compared with each other (for
# 100,000 x 1,280 about 3 minutes on two cores); beyond, the store's ANN index proposes.
EXACT_FLOATS = 128_000_000
_BLOCK = 1024  # items whose lists are computed at once and stored in one transaction
_SEARCHES = 256  # items per call of the store's search
_K = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildReport:
    """What was done: lists computed, lists that newer items entered, and unchanged lists.

    ``waiting`` items have no current list yet, because the build was stopped or items changed
    meanwhile. The next build continues.
    """

    built: int = 0
    merged: int = 0
    kept: int = 0
    waiting: int = 0
    interrupted: bool = False
    seconds: float = 0.0


@checked
def build(
    collection: "Collection",
    *,
    k: int | None = None,
    rebuild: bool = False,
    progress: ProgressCallback | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> BuildReport:
    """Bring the neighbour table in line with the items; create it if there is none.

    Only changes are computed: lists of new items, lists that lost an item, and lists that newer
    items enter. ``k`` is by default that of the table, or 50; another ``k`` or ``rebuild`` computes
    all lists again. Lists are stored block by block, so after ``stop`` or when the process is
    killed, the next build continues. ``progress`` gets (lists done, lists in all). Raise
    ``StoreError``.
    """
    began = time.monotonic()
    store = collection.store
    wanted = read_k(collection) or _K if k is None else k
    if wanted < 1:
        raise ValueError(f"k is {wanted}, but it must be at least 1")
    bound = store.bound()
    if rebuild:
        store.neighbours.clear()
    store.settings.set(settings_keys.NEIGHBOURS, {"k": wanted})
    run = None if bound is None else _read(store, bound[2], wanted, progress, stop)
    if run is None:
        return BuildReport(seconds=time.monotonic() - began)
    run.make(run.bring_up_to_date())
    state = store.neighbours.state()
    waiting = state.items - state.current
    return BuildReport(
        built=run.built,
        merged=run.merged,
        kept=run.kept,
        waiting=waiting,
        interrupted=bool(waiting) and stop(),
        seconds=time.monotonic() - began,
    )


@checked
def read_k(collection: "Collection") -> int | None:
    """Return the k of the collection's neighbour table; ``None`` if it has none."""
    match collection.store.settings.get(settings_keys.NEIGHBOURS):
        case {"k": int(k)}:
            return k
        case _:
            return None


@checked
def drop(collection: "Collection") -> None:
    """Drop the neighbour table until the next ``build``."""
    collection.store.neighbours.clear()
    collection.store.settings.set(settings_keys.NEIGHBOURS, None)


def _read(
    store: Store,
    dim: int,
    k: int,
    progress: ProgressCallback | None,
    stop: Callable[[], bool],
) -> "_Build | None":
    """Return the initial state; ``None`` if there are no items."""
    fits = store.search.count() * dim <= EXACT_FLOATS
    keys: list[Keys] = []
    ids: list[str] = []
    halves: list[NDArray[np.floating]] = []
    for some in store.neighbours.keyed():
        keys.append(some.keys)
        ids += some.ids
        if fits:
            halves.append(some.rows)
    if not ids:
        return None
    ranks = np.empty(len(ids), np.int64)
    ranks[sorted(range(len(ids)), key=ids.__getitem__)] = np.arange(len(ids))
    run = _Build(
        store=store,
        k=k,
        keys=np.concatenate(keys),
        ids=ids,
        ranks=ranks,
        progress=progress,
        stop=stop,
    )
    if fits:
        run.slots = np.random.default_rng(0).permutation(len(ids))
        stored = np.empty((len(ids), dim), np.float32)
        start = 0
        while halves:
            some_rows = halves.pop(0)
            stored[run.slots[start : start + len(some_rows)]] = some_rows
            start += len(some_rows)
        mixed = np.argsort(run.slots)
        run.rows = VectorRows(run.keys[mixed], ranks[mixed], stored)
    return run


@dataclass(slots=True, kw_only=True)
class _Build:
    """One run over a store: what it has read and done so far.

    ``keys`` (n,) are ascending and complete as of the start; ``ids`` and ``ranks`` belong to them.
    ``rows`` are all vectors, if they fit in memory, in the order of ``slots``.
    """

    store: Store
    k: int
    keys: Keys
    ids: list[str]
    ranks: Keys
    progress: ProgressCallback | None
    stop: Callable[[], bool]
    rows: VectorRows | None = None
    slots: NDArray[np.intp] = field(default_factory=lambda: np.empty(0, np.intp))
    newer: tuple[int, VectorRows | None] | None = None
    key_of: dict[str, int] = field(default_factory=dict)
    built: int = 0
    merged: int = 0
    kept: int = 0

    def bring_up_to_date(self) -> NDArray[np.intp]:
        """Update the table's rows; return the positions of items that need a new list."""
        known = [np.empty(0, np.int64)]
        for lists in self.store.neighbours.lists(k=self.k):
            if self.stop():
                break
            change = find_changes(lists, self.keys)
            left = ~(change.gone | change.again)
            rows = (
                self._newer(int(lists.marks[change.behind].min())) if change.behind.any() else None
            )
            if rows is None:  # too many to hold: these lists are computed again
                left &= ~change.behind
            self.kept += int((left & ~change.behind & ~change.shorter).sum())
            for part in _parts(np.flatnonzero(left & (change.behind | change.shorter)), _BLOCK):
                self._merge(lists, part, rows)
            known.append(lists.keys[left])
            self._tell(sum(map(len, known)))
        return np.flatnonzero(~np.isin(self.keys, np.concatenate(known)))

    def make(self, places: NDArray[np.intp]) -> None:
        """Compute the lists of these items, by full comparison or through the store's ANN index."""
        done = len(self.keys) - len(places)
        for part in _parts(places, _SEARCHES if self.rows is None else _BLOCK):
            if self.stop():
                return
            vectors = self._vectors(part)
            if vectors is not None:
                if self.rows is None:
                    self._search(part, vectors)
                else:
                    near, scores, _ = find_nearest(self.rows, self.keys[part], vectors, self.k)
                    self._put(self.keys[part], near, scores, np.ones(len(part), np.bool_))
            done += len(part)
            self._tell(done)

    def _search(self, part: NDArray[np.intp], vectors: Matrix) -> None:
        if not self.key_of:
            self.key_of = dict(zip(self.ids, self.keys.tolist(), strict=True))
            self.store.search.optimize()  # beyond this size, only the ANN index is fast
        near, scores = np.zeros((len(part), self.k), np.int64), np.zeros((len(part), self.k))
        found = self.store.search.nearest(vectors, k=min(self.k + 1, len(self.keys)))
        for row, (place, hits) in enumerate(zip(part, found, strict=True)):
            others = [hit for hit in hits if hit.item.id != self.ids[place]]
            others = [hit for hit in others if hit.item.id in self.key_of][: self.k]
            near[row, : len(others)] = [self.key_of[hit.item.id] for hit in others]
            scores[row, : len(others)] = [hit.score for hit in others]
        # A list that concurrent changes have shortened would mean that there are no others.
        whole = np.count_nonzero(near, axis=1) == min(self.k, len(self.keys) - 1)
        exact = np.zeros(int(whole.sum()), np.bool_)
        self._put(self.keys[part][whole], near[whole], scores[whole], exact)

    def _merge(
        self, lists: NeighbourLists, part: NDArray[np.intp], rows: VectorRows | None
    ) -> None:
        """Remove deleted entries, and add newer items."""
        keys = lists.keys[part]
        near, scores = lists.near[part], lists.scores[part]
        gone = (near > 0) & ~np.isin(near, self.keys)
        short = gone.any(axis=1)
        near, scores = remove_entries(near, scores, gone)
        changed = short
        if rows is not None:
            vectors = self._vectors(np.searchsorted(self.keys, keys))
            if vectors is None:
                return
            places = np.searchsorted(self.keys, near).clip(max=len(self.keys) - 1)
            known = near, scores, self.ranks[places]
            near, scores, changed = find_nearest(rows, keys, vectors, self.k, known)
            changed |= short
        self._put(
            keys[changed], near[changed], scores[changed], lists.exact[part][changed], merged=True
        )
        self.store.neighbours.confirm(keys[~changed], lists.marks[part][~changed], self._mark)
        self.kept += int((~changed).sum())

    def _newer(self, mark: int) -> VectorRows | None:
        """Return the vectors of the items above a mark, if they can be held. More are harmless."""
        first = int(np.searchsorted(self.keys, mark, side="right"))
        if self.newer is None or self.newer[0] > first:
            self.newer = first, self._rows_from(first, mark)
        return self.newer[1]

    def _rows_from(self, first: int, mark: int) -> VectorRows | None:
        if self.rows is not None:
            slots = self.slots[first:]
            return VectorRows(self.keys[first:], self.ranks[first:], self.rows.stored[slots])
        bound = self.store.bound()
        if bound is None or (len(self.keys) - first) * bound[2] > EXACT_FLOATS // 4:
            return None
        chunks: list[Keyed] = list(self.store.neighbours.keyed(mark))
        keys = np.concatenate([some.keys for some in chunks])
        stored = np.concatenate([some.rows.astype(np.float32) for some in chunks])
        there = np.isin(keys, self.keys)  # items added at this moment are left to the next build
        places = np.searchsorted(self.keys, keys[there])
        return VectorRows(keys[there], self.ranks[places], stored[there])

    def _vectors(self, places: NDArray[np.intp]) -> Matrix | None:
        """Return unit vectors of items; ``None`` if some were removed or changed meanwhile."""
        if self.rows is not None:
            return unit_rows(self.rows.stored[self.slots[places]])
        ids = [self.ids[place] for place in places]
        try:
            return self.store.items.vectors(ids)
        except ItemNotFoundError:
            return None

    def _put(
        self,
        keys: Keys,
        near: Keys,
        scores: Scores,
        exact: NDArray[np.bool_],
        *,
        merged: bool = False,
    ) -> None:
        marks = np.full(len(keys), self._mark)
        self.store.neighbours.put(
            NeighbourLists(keys=keys, marks=marks, exact=exact, near=near, scores=scores)
        )
        if merged:
            self.merged += len(keys)
        else:
            self.built += len(keys)

    @property
    def _mark(self) -> int:
        return int(self.keys[-1])

    def _tell(self, done: int) -> None:
        if self.progress is not None:
            self.progress(Progress(done=done, total=len(self.keys)))


def _parts(places: NDArray[np.intp], size: int) -> Iterator[NDArray[np.intp]]:
    for start in range(0, len(places), size):
        yield places[start : start + size]
