"""Compare the files of a source with the items by digest, and change nothing."""

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from lookalike import images
from lookalike.core.cpus import usable_cores
from lookalike.core.progress import Progress, ProgressCallback
from lookalike.core.protocols import Catalogue
from lookalike.core.records import BeingWritten, Entry, Item, Skipped
from lookalike.errors import ImageError
from lookalike.indexing.differences import DifferenceKind, FileDifference, VerificationReport
from lookalike.indexing.file_reading import read_entry
from lookalike.indexing.folder_indexing import make_entries
from lookalike.indexing.indexed_sources import (
    find_catalogue_root,
    open_indexed,
    scan_indexed,
)
from lookalike.sources.scan import ScanOptions

if TYPE_CHECKING:
    from lookalike.collection import Collection

__all__ = ["verify"]

_BATCH = 256
_REASONS: dict[DifferenceKind, str] = {
    "changed": "its content is not what was indexed",
    "changed-unseen": "its content is not what was indexed, but its size and time are the same",
    "missing": "its file is gone, or its source no longer names it",
    "new": "not in the collection",
    "being-written": "still being written",
}


def verify(
    collection: "Collection",
    source: str | os.PathLike[str] | Catalogue,
    *,
    format: str = "auto",
    options: ScanOptions | None = None,
    progress: ProgressCallback | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> VerificationReport:
    """Read every file of a source and compare its digest with that of its item.

    Nothing is changed, decoded or encoded. ``source``, ``format`` and ``options`` are those of
    ``Collection.index``. ``stop`` is called between batches. Raise ``SourceError`` for a source
    that does not exist or was never indexed.
    """
    began = time.monotonic()
    source = open_indexed(collection, source, format)
    if isinstance(source, Catalogue):
        compared = _read_catalogue(collection, source, stop)
    else:
        compared = _read_folder(collection, source, options or ScanOptions())
    with ThreadPoolExecutor(usable_cores(), thread_name_prefix="lookalike-read") as pool:
        while batch := list(islice(compared.entries, _BATCH)):
            if stop():
                return compared.report(began, interrupted=True)
            compared.add(batch, pool)
            if progress is not None:
                done, total = compared.checked, compared.total
                progress(Progress(done=done, total=total, skipped=len(compared.found)))
    if stop():
        return compared.report(began, interrupted=True)
    compared.find_missing()
    return compared.report(began)


def _read_folder(collection: "Collection", folder: Path, options: ScanOptions) -> "_Comparison":
    root, known, listing = scan_indexed(collection, folder, options)
    return _Comparison(
        collection=collection,
        root=root.name,
        entries=make_entries(root.path, root.name, listing, listing.files),
        absent={one: path for path, (one, _) in known.items() if path and listing.covers(path)},
        found=[_differ("unreadable", "", one.path, one.reason) for one in listing.skipped],
    )


def _read_catalogue(
    collection: "Collection", catalogue: Catalogue, stop: Callable[[], bool]
) -> "_Comparison":
    root = find_catalogue_root(collection, catalogue, instead="verify that")
    known = collection.store.items.stamps(root.name)
    return _Comparison(
        collection=collection,
        root=root.name,
        entries=_read_entries(catalogue, root.name, stop),
        absent={one: path for path, (one, _) in known.items() if path},
    )


def _read_entries(
    catalogue: Catalogue, root: str, stop: Callable[[], bool]
) -> Iterator[Entry | Skipped]:
    for one in catalogue.entries():
        if isinstance(one, Entry):
            yield replace(one, root=root)
        elif one is not None:
            yield one
        elif stop():
            return


@dataclass(slots=True, kw_only=True)
class _Comparison:
    """A comparison in progress; ``absent`` maps ids of items to the paths not come across yet."""

    collection: "Collection"
    root: str
    entries: Iterator[Entry] | Iterator[Entry | Skipped]
    absent: dict[str, str]
    found: list[FileDifference] = field(default_factory=list)
    total: int = 0
    checked: int = 0
    matching: int = 0
    unusable: int = 0
    _skips: Mapping[str, Skipped] | None = None

    def __post_init__(self) -> None:
        self.total = len(self.absent)

    def add(self, batch: Sequence[Entry | Skipped], pool: ThreadPoolExecutor) -> None:
        """Compare some entries with their items."""
        self.found += [
            _differ("unreadable", "", one.path, one.reason)
            for one in batch
            if isinstance(one, Skipped)
        ]
        files = [one for one in batch if isinstance(one, Entry) and one.stamp is not None]
        items = self.collection.store.items.get([one.id for one in files])
        known = [one for one in files if one.id in items]
        for entry in files:
            self.absent.pop(entry.id, None)
            if entry.id not in items:
                self._add_new(entry)
        limits = self.collection.limits
        pairs = pool.map(lambda one: _compare(one, items[one.id], limits), known)
        for difference in pairs:
            self.checked += 1
            if difference is None:
                self.matching += 1
            else:
                self.found.append(difference)

    def _add_new(self, entry: Entry) -> None:
        if self._skips is None:
            self._skips = self.collection.store.skips.below(self.root)
        skip = self._skips.get(entry.path)
        if skip is not None and skip.stamp == entry.stamp:
            self.unusable += 1
        else:
            self.found.append(_differ("new", entry.id, entry.path))

    def find_missing(self) -> None:
        """Add the items whose file was not come across."""
        self.checked += len(self.absent)
        self.found += [_differ("missing", one, path) for one, path in sorted(self.absent.items())]

    def report(self, began: float, *, interrupted: bool = False) -> VerificationReport:
        return VerificationReport(
            checked=self.checked,
            matching=self.matching,
            unusable=self.unusable,
            differences=tuple(self.found),
            interrupted=interrupted,
            seconds=time.monotonic() - began,
        )


def _compare(entry: Entry, item: Item, limits: images.Limits) -> FileDifference | None:
    """Return how a file differs from its item; ``None`` if the bytes are the same."""
    try:
        entry, data = read_entry(entry, limits)
    except ImageError as error:
        return _differ("unreadable", entry.id, entry.path, error.reason)
    if isinstance(data, BeingWritten):
        return _differ("being-written", entry.id, entry.path)
    if images.digest(data) == item.digest:
        return None
    unseen = (item.path, item.stamp) == (entry.path, entry.stamp)
    return _differ("changed-unseen" if unseen else "changed", entry.id, entry.path)


def _differ(kind: DifferenceKind, id: str, path: str, reason: str = "") -> FileDifference:
    return FileDifference(kind=kind, id=id, path=path, reason=reason or _REASONS[kind])
