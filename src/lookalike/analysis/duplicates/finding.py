"""Find the duplicates in a collection: exact ones by digest, near ones by pixels.

items → one for each digest → signatures → candidates (vector, hash) → compared → groups
"""

import os
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from lookalike import images
from lookalike.analysis.duplicates import candidates, grouping
from lookalike.analysis.duplicates.comparing import LIKELY, compare
from lookalike.analysis.duplicates.confirming import SIDE_SHOWN, Verdict
from lookalike.analysis.duplicates.grouping import Duplicate, DuplicateGroup, KeepRule
from lookalike.analysis.duplicates.image_signatures import load_signatures, load_view
from lookalike.analysis.duplicates.signature_cache import SignatureCache
from lookalike.analysis.duplicates.signatures import Signatures, hashes, signature
from lookalike.analysis.duplicates.verification import NOTHING_SHOWN, Verifier
from lookalike.core.cpus import usable_cores
from lookalike.core.filters import Condition
from lookalike.core.progress import Progress, ProgressCallback, ignore_progress
from lookalike.core.records import Hit, Item, Skipped
from lookalike.core.vectors import cosines

if TYPE_CHECKING:
    from lookalike.collection import Collection


__all__ = ["TURNS", "DuplicateReport", "find", "find_duplicates_of"]

# How a duplicate is turned, as ``signatures.hashes`` numbers it.
TURNS = (
    "",
    "mirrored",
    "upside down and mirrored",
    "turned by 180°",
    "mirrored along the diagonal",
    "turned by 90°",
    "turned by 270°",
    "mirrored along the other diagonal",
)
_BATCH = 512
# Past this many floats (0.5 GB) vectors are not compared with each other: the store's ANN index is
# asked for the nearest.
EXACT_FLOATS = 128_000_000
_SEARCHES = 256
_CONFIRMED = 64  # pairs confirmed before it is asked whether to stop
_PLAIN = 0.5  # grey levels: the spread of a signature that shows nothing
_NEAREST_OF_A_PICTURE = 30
_QUARTERS = (
    Image.Transpose.ROTATE_90,
    Image.Transpose.ROTATE_180,
    Image.Transpose.ROTATE_270,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class DuplicateReport:
    """Groups of duplicates, largest first.

    ``items`` were examined. ``unread`` items have a file that is gone or cannot be decoded, or
    came as bytes: only their exact duplicates are found. ``compared`` pairs were compared.
    ``interrupted``: stopped early, so near duplicates may be missing.
    """

    groups: tuple[DuplicateGroup, ...]
    items: int
    unread: tuple[Skipped, ...]
    compared: int
    interrupted: bool
    seconds: float

    @property
    def copies(self) -> int:
        return sum(len(group.duplicates) for group in self.groups)


def find(
    collection: "Collection",
    *,
    where: str | Condition | None = None,
    exact_only: bool = False,
    keep: KeepRule = "best",
    max_difference: float = 1.0,
    marked: bool = False,
    cache: Path | None = None,
    progress: ProgressCallback = ignore_progress,
    stop: Callable[[], bool] = lambda: False,
) -> DuplicateReport:
    """Return the duplicates among the items, all or those that meet a filter.

    Exact duplicates have the same bytes. Near duplicates are one image resized, recompressed,
    cropped by up to a tenth, mirrored or turned by quarters; with ``marked`` also what is the same
    but in one place, as under a watermark, which another print on one shirt is too. ``keep`` says
    which item of a group is the representative (``grouping.rank``); every other item is a duplicate
    of the representative, not only of another duplicate. ``max_difference``, from 0 to 1, is what a
    near duplicate may differ by. ``cache`` is a file in which what was decoded is kept for the next
    time. The stage of ``progress`` is what is being compared. Raise ``FilterError``,
    ``StoreError``.
    """
    began = time.monotonic()
    by_digest: dict[str, list[Item]] = defaultdict(list)
    count = 0
    for item in collection.items(where):
        by_digest[item.digest].append(item)
        count += 1
    for same in by_digest.values():
        same.sort(key=lambda item: grouping.rank(item, keep))
    firsts = [same[0] for same in by_digest.values()]
    unread: list[Skipped] = []
    compared = 0
    joined: list[tuple[int, dict[int, float]]] = []
    run: _Run | None = None
    if not exact_only and len(firsts) > 1:
        run = _Run(
            collection,
            firsts,
            SignatureCache(cache),
            progress,
            stop,
            most=max_difference,
            marked=marked,
        )
        run.read()
        unread = run.unread
        run.compare()
        compared = run.compared
        joined = run.groups(keep)
    return DuplicateReport(
        groups=_grouped(by_digest, joined, run),
        items=count,
        unread=tuple(unread),
        compared=compared,
        interrupted=not exact_only and stop(),
        seconds=time.monotonic() - began,
    )


def find_duplicates_of(
    collection: "Collection",
    source: str | os.PathLike[str] | bytes,
    *,
    marked: bool = False,
    cache: Path | None = None,
) -> list[Duplicate]:
    """Return the items that duplicate an image, the nearest first, without the item at its path.

    ``source`` is a file or the bytes of one; ``marked`` as for ``find``. Raises
    ``ImageError``, ``EncoderError``.
    """
    data = source if isinstance(source, bytes) else images.read(source, collection.limits)
    image = images.decode(data, limits=collection.limits).image
    view = load_view(data, side=SIDE_SHOWN, limits=collection.limits)
    itself = collection.encode(source).item
    hits: dict[str, Hit] = {}
    for degrees in (None, *_QUARTERS):  # the encoder does not know an image lying on its side
        query = image if degrees is None else image.transpose(degrees)
        for hit in collection.search(query, k=_NEAREST_OF_A_PICTURE):
            hits.setdefault(hit.item.id, hit)
    if itself is not None:
        hits.pop(itself.id, None)
    digest = images.digest(data)
    kept = SignatureCache(cache)
    read, _ = load_signatures(collection, [hit.item for hit in hits.values()], kept)
    others = [hit for hit in hits.values() if hit.item.digest in read]
    mine = max((signature(ground) for ground in view.grounds), key=lambda one: float(one.std()))
    found = compare(
        np.stack([read[hit.item.digest] for hit in others]) if others else mine[None][:0],
        np.broadcast_to(mine, (len(others), *mine.shape)),
        marked=marked,
    )
    likely = np.flatnonzero(found.difference <= (1 if marked else LIKELY))
    verdicts = Verifier(collection, kept).against(
        view,
        [others[place].item for place in likely],
        found.turns[likely].tolist(),
    )
    near = {
        others[place].item.id: (min(far, 1.0), int(found.turns[place]), verdict)
        for place, verdict in zip(likely.tolist(), verdicts, strict=True)
        for far in [float(found.difference[place])]
        if _stays(verdict, far, 1.0, marked=marked)
    }
    copies = []
    for hit in hits.values():
        if hit.item.digest == digest:
            copies.append(
                Duplicate(
                    item=hit.item, exact=True, difference=0.0, turn="", score=hit.score, sure=True
                )
            )
        elif hit.item.id in near:
            copies.append(_near_copy(hit.item, *near[hit.item.id], score=hit.score))
    return sorted(copies, key=lambda copy: (not copy.exact, copy.difference, copy.item.id))


def _stays(verdict: Verdict, far: float, most: float, *, marked: bool) -> bool:
    """Return whether a pair is still shown as near. A mark is a difference in one place."""
    if far > most:
        return verdict.sure
    return verdict.same or (marked and verdict.reason != NOTHING_SHOWN)


def _near_copy(item: Item, far: float, turn: int, verdict: Verdict, *, score: float) -> Duplicate:
    return Duplicate(
        item=item,
        exact=False,
        difference=round(far, 4),
        turn=TURNS[turn],
        score=score,
        sure=verdict.sure,
        reason=verdict.reason,
    )


# --- one run -----------------------------------------------------------------------------------


class _Run:
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
        # What is of one colour has no near duplicates: it would be paired with all of its kind.
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
        by_hash = candidates.united(self._alike_by_hash(), count)
        by_vector = candidates.united(self._alike_by_vector(), count)
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
        """Of a batch the pairs that are copies, and how many were compared."""
        some = pairs[start : start + _BATCH]
        if self._stop():
            return some[:0], 0
        first, second = self.signatures[some[:, 1]], self.signatures[some[:, 0]]
        found = compare(first, second, crops=crops, marked=self._marked)
        return some[found.difference <= self._widest], len(some)

    def _alike_by_hash(self) -> Iterator[candidates.Pairs]:
        parts = [
            hashes(self.signatures[start : start + _BATCH])
            for start in range(0, len(self.items), _BATCH)
        ]
        for part in candidates.alike_by_hash(
            np.concatenate(parts), told=lambda done: self._show("hashes", done, len(self.items))
        ):
            if self._stop():
                return
            yield part

    def _alike_by_vector(self) -> Iterator[candidates.Pairs]:
        count = len(self.items)
        bound = self.collection.store.bound()
        if bound is None:
            return
        if count * bound[2] > EXACT_FLOATS:
            yield from self._searched()
            return
        vectors = np.empty((count, bound[2]), np.float32)
        for start in range(0, count, _BATCH):
            ids = [item.id for item in self.items[start : start + _BATCH]]
            vectors[start : start + len(ids)] = self.collection.vectors(ids)
        for part in candidates.alike_by_vector(
            vectors, told=lambda done: self._show("vectors", done, count)
        ):
            if self._stop():
                return
            yield part

    def _searched(self) -> Iterator[candidates.Pairs]:
        """Yield the nearest as the store's search proposes them, for collections too large to
        hold.
        """
        place_of = {item.digest: place for place, item in enumerate(self.items)}
        store = self.collection.store
        for start in range(0, len(self.items), _SEARCHES):
            if self._stop():
                return
            some = self.items[start : start + _SEARCHES]
            vectors = self.collection.vectors([item.id for item in some])
            answers = store.search.nearest(vectors, k=candidates.NEAREST + 1)
            pairs = {
                (min(start + row, place), max(start + row, place))
                for row, hits in enumerate(answers)
                for hit in hits
                if hit.score >= candidates.LEAST_COSINE
                for place in (place_of.get(hit.item.digest, start + row),)
                if place != start + row
            }
            yield np.array(sorted(pairs), np.int64).reshape(-1, 2)
            self._show("vectors", start + len(some), len(self.items))

    def groups(self, keep: KeepRule) -> list[tuple[int, dict[int, float]]]:
        """Return the components of the pairs, each taken apart until all are copies of the kept
        one.
        """
        found = []
        for members in grouping.components(self._pairs):
            found += grouping.stars(
                members,
                lambda one: grouping.rank(self.items[one], keep),
                self._differences,
            )
        return found

    def _differences(self, kept: int, others: Sequence[int]) -> dict[int, float]:
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
                if _stays(verdict, far, self._most, marked=self._marked):
                    copies[one] = min(far, 1.0)
                    self.turns[kept, one] = turn
                    self.verdicts[kept, one] = verdict
            self.confirmed += len(some)
            self._show("details", self.confirmed, self.confirmed + len(likely) - start - len(some))
        return copies

    def scores(self, kept: int, others: Sequence[int]) -> dict[int, float]:
        """Return cosines of the kept one with its copies."""
        rows = self.collection.vectors([self.items[one].id for one in (kept, *others)])
        return dict(zip(others, cosines(rows[1:], rows[0]).tolist(), strict=True))


def _grouped(
    by_digest: Mapping[str, list[Item]],
    joined: Sequence[tuple[int, dict[int, float]]],
    run: "_Run | None",
) -> tuple[DuplicateGroup, ...]:
    """Return groups of items: near duplicates, and of each its exact duplicates."""
    groups = []
    taken: set[str] = set()
    for kept, others in joined if run is not None else ():
        assert run is not None  # noqa: S101 - asked in the line above
        item = run.items[kept]
        copies = _exact(by_digest[item.digest], 1.0)
        scores = run.scores(kept, list(others))
        for one, far in sorted(others.items(), key=lambda pair: (pair[1], pair[0])):
            same = by_digest[run.items[one].digest]
            copies += [
                _near_copy(
                    each,
                    far,
                    run.turns[kept, one],
                    run.verdicts[kept, one],
                    score=scores[one],
                )
                for each in same
            ]
            taken.add(same[0].digest)
        taken.add(item.digest)
        groups.append(DuplicateGroup(kept=item, duplicates=tuple(copies)))
    groups += [
        DuplicateGroup(kept=same[0], duplicates=tuple(_exact(same, 1.0)))
        for digest, same in by_digest.items()
        if len(same) > 1 and digest not in taken
    ]
    return tuple(sorted(groups, key=lambda group: (-len(group.duplicates), group.kept.id)))


def _exact(same: Sequence[Item], score: float) -> list[Duplicate]:
    return [
        Duplicate(item=item, exact=True, difference=0.0, turn="", score=score, sure=True)
        for item in same[1:]
    ]
