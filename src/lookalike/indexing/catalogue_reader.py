"""Read a catalogue for indexing: which entries to process, and what is wrong with the others."""

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from unicodedata import normalize

from lookalike.core.protocols import Catalogue
from lookalike.core.records import Entry, Remote, Skipped
from lookalike.core.shards import Shard
from lookalike.errors import SourceError
from lookalike.indexing import removals
from lookalike.indexing.file_reading import REMOTE

__all__ = ["CatalogueReader"]

_NONE_OF = 1000  # after this many absent images, no image is assumed to exist


class CatalogueReader:
    """Yields the entries of a catalogue that are to be processed, and collects problems."""

    def __init__(
        self,
        catalogue: Catalogue,
        name: str,
        skips: Mapping[str, Skipped],
        shard: Shard | None,
        *,
        is_cut_off: Callable[[Entry, Collection[str]], bool],
        stop: Callable[[], bool] = lambda: False,
    ) -> None:
        self._catalogue = catalogue
        self._name = name
        self._skips = skips
        self._shard = shard
        self._is_cut_off = is_cut_off
        self._stop = stop
        self._alike: dict[str, str] = {}  # an id without case and Unicode form → the id
        self._absent = 0  # absent files, counted until the first one exists
        self.seen: set[str] = set()
        self.named: set[str] = set()  # includes entries whose image is absent
        self.has_lines = False  # a list names the images; otherwise they are files in folders
        self.last: dict[str, Entry] = {}  # of repeated ids
        self.odd: list[Skipped] = []  # lines that are not entries
        self.left: list[Skipped] = []  # repeated ids; unusable before and unchanged now
        self.notes: list[str] = []
        self.stopped = False  # by request, before the end

    def entries(self) -> Iterator[Entry]:
        remote: list[Skipped] = []
        for one in self._readable_entries():
            self.has_lines = self.has_lines or bool(one.line)
            self.named.add(one.id)
            if isinstance(one.image, Remote):
                reason = one.image.reason or REMOTE
                remote.append(Skipped(path=one.line or one.id, reason=reason))
                if not self.seen and len(remote) == _NONE_OF:
                    break
            elif self._shard is None or one.id in self._shard:
                yield from self._filter_entry(one)
        if self.stopped:
            return
        self.notes += getattr(self._catalogue, "notes", ())
        if remote and not self.seen:
            raise SourceError(
                f"{self._catalogue.format} lists URLs, and only local images can be indexed; "
                "fetch them with `lookalike download … --to DIR`, then index DIR"
            )
        if self._absent and self._absent == len(self.seen):
            self._report_none_found()
        self.left += remote

    def _readable_entries(self) -> Iterator[Entry]:
        """Yield the entries until a stop is requested, and collect the lines that are none."""
        for one in self._catalogue.entries():
            # Asked here, not between batches: a million lines may hold no entry for a batch.
            if self._stop():
                self.stopped = True
                return
            if isinstance(one, Skipped):
                self.odd.append(one)
            elif one is not None and not one.ended and self._is_cut_off(one, self.named):
                self.odd.append(removals.cut_off(one))
            elif one is not None:
                yield one

    def _filter_entry(self, one: Entry) -> Iterator[Entry]:
        if isinstance(one.image, Path):
            if one.stamp is not None:
                self._absent = -1
            elif self._absent >= 0:
                self._absent += 1
                if self._absent == _NONE_OF:
                    self._report_none_found()
        skip = self._skips.get(one.path)
        entry = replace(one, root=self._name)
        if one.id in self.seen:
            self.left.append(
                Skipped(
                    path=one.line or one.path,
                    reason=f"id {one.id!r} appears again; the last line wins",
                )
            )
            self.last[one.id] = entry
            return
        self._compare(one)
        self.seen.add(one.id)
        if skip is not None and skip.stamp == one.stamp is not None:
            self.left.append(skip)
        else:
            yield entry

    def _compare(self, one: Entry) -> None:
        other = self._alike.setdefault(normalize("NFC", one.id).casefold(), one.id)
        if other != one.id:
            self.notes.append(
                f"{one.line or one.path}: id {one.id!a} differs only by case or Unicode form "
                f"from {other!a}; both are kept"
            )

    def _report_none_found(self) -> None:
        raise SourceError(
            f"none of the {self._absent:,} images looked for lies below {self._catalogue.root}; "
            "say where they lie with --root"
        )
