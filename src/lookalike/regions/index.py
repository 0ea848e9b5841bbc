"""All region vectors of a collection in memory, compared one by one."""

import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lookalike.core import settings_keys
from lookalike.core.protocols import Store
from lookalike.core.records import SideRow
from lookalike.core.vectors import Matrix, dots
from lookalike.images.cropping import Box
from lookalike.regions.records import Regions
from lookalike.regions.table import TABLE, region_count

__all__ = ["RegionIndex", "RegionScores"]

# On a server, looking whether a collection has regions is a request: "no" counts for a while.
_NONE_FOR_S = 10.0


@dataclass(frozen=True, slots=True, eq=False)
class _Rows:
    """Regions of images: those of image ``i`` begin at ``starts[i]``; each image has some."""

    digests: list[str]
    starts: NDArray[np.intp]
    boxes: NDArray[np.float32]
    vectors: Matrix
    places: dict[str, int] = field(init=False)

    def __post_init__(self) -> None:
        places = {digest: place for place, digest in enumerate(self.digests)}
        object.__setattr__(self, "places", places)

    @classmethod
    def of(cls, found: Mapping[str, Regions], dim: int) -> "_Rows":
        some = {digest: one for digest, one in found.items() if one.boxes}
        counts = [len(one.boxes) for one in some.values()]
        boxes = [np.array(one.boxes, np.float32) for one in some.values()]
        return cls(
            digests=[*some],
            starts=np.cumsum([0, *counts[:-1]]) if counts else np.empty(0, np.intp),
            boxes=np.concatenate(boxes) if boxes else np.empty((0, 4), np.float32),
            vectors=np.concatenate([one.vectors for one in some.values()])
            if some
            else np.empty((0, dim), np.float32),
        )

    def replaced(self, changed: set[str], new: "_Rows") -> "_Rows":
        """Return these without the images ``changed``, and with new ones."""
        keep = np.array([one not in changed for one in self.digests], np.bool_)
        ends = np.append(self.starts[1:], len(self.vectors))
        counts = (ends - self.starts)[keep] if len(keep) else np.empty(0, np.intp)
        rows = np.repeat(keep, ends - self.starts) if len(keep) else np.empty(0, np.bool_)
        kept = int(counts.sum())
        return _Rows(
            digests=[one for one, kept in zip(self.digests, keep, strict=True) if kept]
            + new.digests,
            starts=np.concatenate([np.cumsum(counts) - counts, new.starts + kept]).astype(np.intp),
            boxes=np.concatenate([self.boxes[rows], new.boxes]),
            vectors=np.concatenate([self.vectors[rows], new.vectors]),
        )


@dataclass(frozen=True, slots=True, eq=False)
class RegionScores:
    """The best region of each image for one query, by digest."""

    _rows: _Rows
    _scores: NDArray[np.float32]  # of each region
    _best: NDArray[np.float32]  # of each image

    def ranked(self, among: set[str] | None = None) -> Iterator[str]:
        """Yield the digests of images, the best first; only those ``among`` some."""
        digests = self._rows.digests
        for place in np.argsort(-self._best, kind="stable"):
            if among is None or digests[place] in among:
                yield digests[place]

    def of(self, digests: Iterable[str]) -> dict[str, tuple[float, Box]]:
        """Return the score and the box of the best region, for those images that have regions."""
        rows = self._rows
        found: dict[str, tuple[float, Box]] = {}
        for digest in digests:
            place = rows.places.get(digest)
            if place is None:
                continue
            start = int(rows.starts[place])
            end = int(rows.starts[place + 1]) if place + 1 < len(rows.starts) else None
            row = start + int(self._scores[start:end].argmax())
            left, top, right, bottom = (round(float(side), 4) for side in rows.boxes[row])
            found[digest] = (float(self._scores[row]), (left, top, right, bottom))
        return found


class RegionIndex:
    """The regions of a store, up to date with what any process has written. Thread-safe."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._rows: _Rows | None = None
        self._version = -1
        self._none_since = -_NONE_FOR_S

    def exists(self) -> bool:
        """Return whether the collection has regions."""
        if self._store.folder is None and time.monotonic() - self._none_since < _NONE_FOR_S:
            return False
        if region_count(self._store):
            return True
        self._none_since = time.monotonic()
        return False

    def scores(self, vectors: Matrix, factors: Sequence[float]) -> RegionScores:
        """Compare all regions with query ``vectors`` (q, dim).

        A region's score is its best dot product, times the query's factor.
        """
        rows = self._current()
        if not len(rows.vectors):
            empty = np.empty(0, np.float32)
            return RegionScores(rows, empty, empty)
        products = dots(vectors.astype(np.float32), rows.vectors)
        scores = (products * np.array(factors, np.float32)[:, None]).max(axis=0)
        scores = np.clip(scores, -1, 1)
        return RegionScores(rows, scores, np.maximum.reduceat(scores, rows.starts))

    def _current(self) -> _Rows:
        with self._lock:
            stored: Any = self._store.settings.get(settings_keys.REGION_CHANGES)
            version = stored["version"] if isinstance(stored, dict) else 0
            if self._rows is None or version != self._version:
                changed = _changed_since(stored, self._version)
                self._rows = self._read(self._rows, changed)
                self._version = version
            return self._rows

    def _read(self, before: _Rows | None, changed: set[str] | None) -> _Rows:
        bound = self._store.bound()
        dim = 0 if bound is None else bound[2]
        table = self._store.table(TABLE)
        if before is None or changed is None:
            return _Rows.of(_parse(table.scan(), dim), dim)
        found = table.get(sorted(changed))
        return before.replaced(changed, _Rows.of(_parse(found.values(), dim), dim))


def _parse(rows: Iterable[SideRow], dim: int) -> dict[str, Regions]:
    found = ((row.id, Regions.of_row(row, dim)) for row in rows)
    return {digest: one for digest, one in found if one is not None}


def _changed_since(stored: Any, version: int) -> set[str] | None:  # noqa: ANN401 - stored JSON
    """Return the digests that were written after a version; ``None`` if that is not known."""
    if version < 0 or not isinstance(stored, dict):
        return None
    recent = [(number, digests) for number, digests in stored["recent"] if number > version]
    if len(recent) != stored["version"] - version:
        return None
    return {digest for _, digests in recent for digest in digests}
