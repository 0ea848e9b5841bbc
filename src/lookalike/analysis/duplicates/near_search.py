"""The search for near duplicates among items of different bytes.

signatures → candidate pairs (by hash, by vector) → compared → groups around the item that is kept
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from lookalike.analysis.duplicates import candidates, grouping
from lookalike.analysis.duplicates.comparing import LIKELY, compare
from lookalike.analysis.duplicates.grouping import KeepRule
from lookalike.analysis.duplicates.image_signatures import load_signatures
from lookalike.analysis.duplicates.near_duplicate import is_shown
from lookalike.analysis.duplicates.signature_cache import SignatureCache
from lookalike.analysis.duplicates.signatures import Signatures, hashes
from lookalike.analysis.duplicates.verification import Verifier
from lookalike.core.cpus import usable_cores
from lookalike.core.progress import Progress, ProgressCallback
from lookalike.core.records import Item, Skipped
from lookalike.core.vectors import cosines

if TYPE_CHECKING:
    from lookalike.analysis.duplicates.confirming import Verdict
    from lookalike.collection import Collection

__all__ = ["NearSearch"]

_BATCH = 512
# Up to this many floats (0.5 GB), vectors are compared with each other; beyond, the store's ANN
# index proposes the nearest.
EXACT_FLOATS = 128_000_000
_SEARCHES = 256
_CONFIRMED = 64  # pairs confirmed between two calls of ``stop``
_PLAIN = 0.5  # grey levels: the spread of a signature without content


class NearSearch:
    """The search for near duplicates among items of different bytes: what was read and compared."""

    def __init__(
        self,
        collection: "Collection",
        items: list[Item],
        kept: SignatureCache,
        progress: ProgressCallback,
        stop: Callable[[], bool],
        *,
        most: float,
        marked: bool,
    ) -> None:
        self.collection = collection
        self._marked = marked
        self._most = most
        self._widest = LIKELY if most >= 1 and not marked else most
        self.items = items
        self.unread: list[Skipped] = []
        self.compared = 0
        self.confirmed = 0
        self.signatures: Signatures = np.empty((0,), np.uint8)
        self.turns: dict[tuple[int, int], int] = {}
        self.verdicts: dict[tuple[int, int], Verdict] = {}
        self._verifier = Verifier(collection, kept)
        self._kept = kept
        self._progress = progress
        self._stop = stop
        self._pairs: list[tuple[int, int]] = []

    def _show(self, stage: str, done: int, total: int) -> None:
        self._progress(Progress(done=done, total=total, stage=stage))

    def read(self) -> None:
        """Load or compute the signatures; drop items that could not be read."""
        found: dict[str, Signatures] = {}
        for start in range(0, len(self.items), _BATCH):
            if self._stop():
                break
            some = self.items[start : start + _BATCH]
            read, unread = load_signatures(self.collection, some, self._kept)
            found |= read
            self.unread += unread
            self._show("images", start + len(some), len(self.items))
        # A plain image has no near duplicates: it would be paired with all plain images.
        self.items = [
            item
            for item in self.items
            if item.digest in found and found[item.digest].std() > _PLAIN
        ]
        if self.items:
            self.signatures = np.stack([found.pop(item.digest) for item in self.items])

    def compare(self) -> None:
        """Compare the candidate pairs."""
        if len(self.items) < 2 or self._stop():  # noqa: PLR2004 - a pair
            return
        count = len(self.items)
        by_hash = candidates.unite_pairs(self._find_by_hash(), count)
        by_vector = candidates.unite_pairs(self._find_by_vector(), count)
        total = len(by_hash) + len(by_vector)
        with ThreadPoolExecutor(usable_cores()) as pool:
            for pairs, crops in ((by_hash, False), (by_vector, True)):
                look = partial(self._look, pairs, crops=crops)
                for copies, looked in pool.map(look, range(0, len(pairs), _BATCH)):
                    self._pairs += [(first, second) for first, second in copies.tolist()]
                    self.compared += looked
                    self._show("pairs", self.compared, total)

    def _look(
        self, pairs: candidates.Pairs, start: int, *, crops: bool
    ) -> tuple[candidates.Pairs, int]:
        """Return the pairs of a batch that are near duplicates, and how many were compared."""
        some = pairs[start : start + _BATCH]
        if self._stop():
            return some[:0], 0
        first, second = self.signatures[some[:, 1]], self.signatures[some[:, 0]]
        found = compare(first, second, crops=crops, marked=self._marked)
        return some[found.difference <= self._widest], len(some)

    def _find_by_hash(self) -> Iterator[candidates.Pairs]:
        parts = [
            hashes(self.signatures[start : start + _BATCH])
            for start in range(0, len(self.items), _BATCH)
        ]
        for part in candidates.find_by_hash(
            np.concatenate(parts), progress=lambda done: self._show("hashes", done, len(self.items))
        ):
            if self._stop():
                return
            yield part

    def _find_by_vector(self) -> Iterator[candidates.Pairs]:
        count = len(self.items)
        bound = self.collection.store.bound()
        if bound is None:
            return
        if count * bound[2] > EXACT_FLOATS:
            yield from self._search_store()
            return
        vectors = np.empty((count, bound[2]), np.float32)
        for start in range(0, count, _BATCH):
            ids = [item.id for item in self.items[start : start + _BATCH]]
            vectors[start : start + len(ids)] = self.collection.vectors(ids)
        for part in candidates.find_by_vector(
            vectors, progress=lambda done: self._show("vectors", done, count)
        ):
            if self._stop():
                return
            yield part

    def _search_store(self) -> Iterator[candidates.Pairs]:
        """Yield the nearest that the store proposes, for collections too large for memory."""
        place_of = {item.digest: place for place, item in enumerate(self.items)}
        store = self.collection.store
        for start in range(0, len(self.items), _SEARCHES):
            if self._stop():
                return
            some = self.items[start : start + _SEARCHES]
            vectors = self.collection.vectors([item.id for item in some])
            results = store.search.nearest(vectors, k=candidates.NEAREST + 1)
            pairs = {
                (min(start + row, place), max(start + row, place))
                for row, hits in enumerate(results)
                for hit in hits
                if hit.score >= candidates.LEAST_COSINE
                for place in (place_of.get(hit.item.digest, start + row),)
                if place != start + row
            }
            yield np.array(sorted(pairs), np.int64).reshape(-1, 2)
            self._show("vectors", start + len(some), len(self.items))

    def groups(self, keep: KeepRule) -> list[tuple[int, dict[int, float]]]:
        """Return groups of pairs, split until every other item duplicates the one that is kept."""
        found = []
        for members in grouping.components(self._pairs):
            found += grouping.stars(
                members,
                lambda one: grouping.rank(self.items[one], keep),
                self._compute_differences,
            )
        return found

    def _compute_differences(self, kept: int, others: Sequence[int]) -> dict[int, float]:
        again = compare(
            self.signatures[list(others)],
            np.broadcast_to(self.signatures[kept], (len(others), *self.signatures.shape[1:])),
            marked=self._marked,
        )
        likely = [
            (one, far, turn)
            for one, far, turn in zip(
                others, again.difference.tolist(), again.turns.tolist(), strict=True
            )
            if far <= self._widest
        ]
        copies: dict[int, float] = {}
        for start in range(0, len(likely), _CONFIRMED):
            if self._stop():
                break
            some = likely[start : start + _CONFIRMED]
            verdicts = self._verifier.verdicts(
                self.items[kept],
                [self.items[one] for one, _, _ in some],
                [turn for _, _, turn in some],
            )
            for (one, far, turn), verdict in zip(some, verdicts, strict=True):
                if is_shown(verdict, far, self._most, marked=self._marked):
                    copies[one] = min(far, 1.0)
                    self.turns[kept, one] = turn
                    self.verdicts[kept, one] = verdict
            self.confirmed += len(some)
            self._show("details", self.confirmed, self.confirmed + len(likely) - start - len(some))
        return copies

    def scores(self, kept: int, others: Sequence[int]) -> dict[int, float]:
        """Return the cosine of the kept item with each of its duplicates."""
        rows = self.collection.vectors([self.items[one].id for one in (kept, *others)])
        return dict(zip(others, cosines(rows[1:], rows[0]).tolist(), strict=True))
