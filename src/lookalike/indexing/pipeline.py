"""The first of the two data flows: pictures into a store. Plan purely, then act.

    entries → read → digest, (known? reuse) → decode → prepare → encode → upsert

Reading and decoding run on threads, a bounded number of batches ahead of the encoder, so memory
stays flat however many pictures there are.
"""

import time
from collections import deque
from collections.abc import (
    Callable,
    Collection,
    Generator,
    Iterable,
    Iterator,
    Mapping,
)
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from unicodedata import normalize

import numpy as np

from lookalike import images
from lookalike.core import manual_edits
from lookalike.core.cpus import usable_cores
from lookalike.core.progress import Progress, ProgressCallback
from lookalike.core.protocols import Catalogue, Encoder, Store
from lookalike.core.records import (
    Entry,
    IndexReport,
    Item,
    Remote,
    SideRow,
    Skipped,
    Stamp,
    id_of,
)
from lookalike.core.shards import Shard
from lookalike.core.vectors import Matrix
from lookalike.errors import SourceError
from lookalike.images.thumbnails import thumbnail_side
from lookalike.indexing import failures, removals
from lookalike.indexing.batch import REMOTE, Batch, load, taken
from lookalike.indexing.missing import Arrivals, Carried, carry_words, set_aside
from lookalike.indexing.missing import count as count_missing
from lookalike.sources.scan import Listing, ScanOptions, check_folder, passed_text, scan

__all__ = [
    "FolderPlan",
    "index_catalogue",
    "index_entries",
    "index_folder",
    "index_listed",
    "plan_folder",
]

BATCH = 64  # pictures a batch; 64 prepared at 224 px are 10 MB
_AHEAD = 3  # batches read ahead of the encoder
_NONE_OF = 1000  # so many pictures of a catalogue that are not here say that none is


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderPlan:
    """What a folder's scan means for what is stored of it.

    ``work`` are paths to read, ``vanished`` ids of items whose file has gone, ``kept`` counts
    items that were not found but could not be looked for. ``skipped`` failed before and are still
    the same. ``recovered`` are paths whose remembered skip no longer holds.
    """

    work: tuple[str, ...]
    unchanged: int
    vanished: tuple[str, ...]
    kept: int
    skipped: tuple[Skipped, ...]
    recovered: tuple[str, ...]


def index_folder(
    store: Store,
    encoder: Callable[[], Encoder],
    root: Path,
    *,
    name: str = "",
    under: str = "",
    options: ScanOptions = ScanOptions(),
    apart: Collection[str] = (),
    limits: images.Limits = images.Limits(),
    keep_missing: bool = False,
    allow_removals: bool = False,
    retry: bool = False,
    shard: Shard | None = None,
    overwrite_by_hand: bool = False,
    progress: ProgressCallback | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> IndexReport:
    """Bring what is stored of folder ``root`` (called ``name``) in line with what is there.

    ``encoder`` is only called when there is a picture to encode. Items whose file has gone are
    removed at the end, after a scan that saw everything and a run that was not stopped, unless
    ``keep_missing``. Where they are too many (``indexing.removals``) they stay, and the report
    says so, unless ``allow_removals``. With ``shard``, only what is in it is looked at, and nothing
    removed. The other arguments are those of ``scan``, ``plan_folder`` and ``index_entries``.
    """
    began = time.monotonic()
    listing = scan(root, suffixes=images.SUFFIXES, under=under, options=options, apart=apart)
    known, skips = store.stamps(name, under), store.skips(name, under)
    if shard is not None:
        listing.files = {
            path: stamp for path, stamp in listing.files.items() if id_of(name, path) in shard
        }
        known = {path: one for path, one in known.items() if one[0] in shard}
        skips = {path: skip for path, skip in skips.items() if id_of(name, path) in shard}
    plan = plan_folder(listing, known, skips, retry=retry, bare=_bare(store, known))
    report = IndexReport()
    if plan.work:
        report = index_entries(
            store,
            encoder(),
            _entries(root, name, listing, plan.work),
            total=len(plan.work),
            limits=limits,
            journal=True,
            overwrite_by_hand=overwrite_by_hand,
            progress=progress,
            stop=stop,
        )
    going, carried = removals.Removals(), Carried()
    if not report.interrupted:
        carried = carry_words(
            store,
            name,
            plan.vanished if shard is None else (),
            under=under,
            final=shard is None,
            overwrite_by_hand=overwrite_by_hand,
        )
        report = _with(report, carried)
        if not keep_missing and shard is None:
            vanished = set(plan.vanished)
            going = removals.settle(
                store,
                root,
                {one: path for path, (one, _) in known.items() if one in vanished},
                sum(map(bool, known)),  # an item without a path came as bytes
                place=str(root / under),
                new=(id_of(name, path) for path in plan.work if path not in known),
                followed=carried.moved,
                allow=allow_removals,
            )
        # The record of a file that has gone goes as its item would.
        all_there = allow_removals or (bool(listing.files) and not going.held_back)
        recovered = [path for path in plan.recovered if all_there or path in listing.files]
        if recovered:
            store.forget_skips(name, recovered)
    removed = set_aside(store, going.remove, moved=carried.moved)
    unread = (*listing.skipped, *report.skipped)
    left = [replace(one, path=str(root / one.path)) for one in unread]
    failures.remember(
        store,
        f"folder {root / under}",
        left,
        whole=shard is None and not report.interrupted,
    )
    used = plan.unchanged + report.indexed + report.reused + report.unchanged
    seen = bool(used) or shard is not None or report.interrupted
    passed = {} if seen else dict(listing.passed)
    if not passed and (listing.files or listing.skipped):
        seen = True  # the reasons of those say it all
    notes = () if seen else (_no_images(root / under, passed),)
    return replace(
        report,
        notes=(*report.notes, *notes),
        passed=passed,
        unchanged=report.unchanged + plan.unchanged,
        removed=removed,
        kept=plan.kept + len(plan.vanished) - removed - going.held_back,
        held_back=going.held_back,
        problems=going.problems,
        skipped=(*plan.skipped, *report.skipped),
        seconds=time.monotonic() - began,
    )


def _no_images(folder: Path, passed: Mapping[str, int]) -> str:
    """A note on a folder in which a scan found no image."""
    there = f"passed over {passed_text(passed)}" if passed else "the folder is empty"
    return f"no usable images in {folder}: {there}"


def index_catalogue(
    store: Store,
    encoder: Encoder,
    catalogue: Catalogue,
    *,
    name: str = "",
    limits: images.Limits = images.Limits(),
    keep_missing: bool = False,
    allow_removals: bool = False,
    retry: bool = False,
    shard: Shard | None = None,
    overwrite_by_hand: bool = False,
    progress: ProgressCallback | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> IndexReport:
    """Bring what is stored of root ``name`` in line with a catalogue.

    What was set by hand stays, unless ``overwrite_by_hand``. Unchanged files are not read: where
    only the table has changed, the items are told what is new.
    Of lines with one id the last wins, and each earlier one is reported; ids that differ only by
    case or Unicode form are items of their own, and noted. Items that the catalogue no longer names
    are removed at the end, unless ``keep_missing`` or the run was stopped. Where they are too many
    (``indexing.removals``) they stay, unless ``allow_removals``; while a line cannot be understood
    they stay anyway, for it may be theirs. The report says so. With ``shard``, only entries in it
    are looked at, and nothing is removed.

    Raises ``SourceError`` where not one picture is there: all are URLs, or lie elsewhere.
    """
    check_folder(catalogue.root)
    # Read before the catalogue: what others index meanwhile has not vanished.
    known = {one: path for path, (one, _) in store.stamps(name).items() if path}
    reading = _Reading(
        catalogue,
        name,
        {} if retry else store.skips(name),
        shard,
        lambda one, named: removals.is_cut_off(store, one, known, named, allow=allow_removals),
    )
    report = index_entries(
        store,
        encoder,
        reading.entries(),
        limits=limits,
        journal=True,
        overwrite_by_hand=overwrite_by_hand,
        progress=progress,
        stop=stop,
    )
    if reading.last and not report.interrupted:
        # After all others: the earlier line of an id may still be on its way through the readers.
        again = index_entries(
            store,
            encoder,
            reading.last.values(),
            limits=limits,
            journal=True,
            overwrite_by_hand=overwrite_by_hand,
            stop=stop,
        )
        report = replace(
            again,
            indexed=report.indexed + again.indexed,
            reused=report.reused + again.reused,
            replaced=report.replaced + again.replaced,
            unchanged=report.unchanged + again.unchanged,
            thumbnails=report.thumbnails + again.thumbnails,
            relabelled=report.relabelled + again.relabelled,
            kept_by_hand=report.kept_by_hand + again.kept_by_hand,
            skipped=(*report.skipped, *again.skipped),
            seconds=report.seconds + again.seconds,
        )
    gone = {}
    carried = Carried()
    whole = not reading.odd and shard is None
    if not report.interrupted:
        gone = {
            one: path
            for one, path in known.items()
            if one not in reading.named and (shard is None or one in shard)
        }
        carried = carry_words(
            store,
            name,
            [*gone] if whole else (),
            final=whole,
            overwrite_by_hand=overwrite_by_hand,
        )
        report = _with(report, carried)
    going = removals.Removals()
    if not keep_missing and shard is None:
        going = removals.settle(
            store,
            catalogue.root,
            gone,
            len(known),
            place=str(getattr(catalogue, "path", catalogue.root)),
            new=(one for one in reading.seen if one not in known),
            followed=carried.moved,
            in_folders=not reading.has_lines,
            malformed=reading.odd,
            allow=allow_removals,
        )
    removed = set_aside(store, going.remove, moved=carried.moved)
    skipped = (*reading.odd, *reading.left, *report.skipped)
    failures.remember(
        store,
        f"{catalogue.format} {getattr(catalogue, 'path', catalogue.root)}",
        skipped,
        whole=shard is None and not report.interrupted,
    )
    return replace(
        report,
        removed=removed,
        kept=len(gone) - removed - going.held_back,
        held_back=going.held_back,
        skipped=skipped,
        notes=(*reading.notes, *report.notes),
        problems=removals.problems(reading.odd, going),
    )


def index_listed(
    store: Store,
    encoder: Encoder,
    entries: Iterable[Entry],
    *,
    limits: images.Limits = images.Limits(),
    overwrite_by_hand: bool = False,
    progress: ProgressCallback | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> IndexReport:
    """Add or replace ``entries``, which are all that is meant; nothing vanishes.

    What is back from among the missing items gets its words again.
    """
    awaited = count_missing(store) > 0
    ids: dict[str, set[str]] = {}  # by root

    def noted() -> Iterator[Entry]:
        for entry in entries:
            ids.setdefault(entry.root, set()).add(entry.id)
            yield entry

    report = index_entries(
        store,
        encoder,
        noted() if awaited else entries,
        limits=limits,
        journal=awaited,
        overwrite_by_hand=overwrite_by_hand,
        progress=progress,
        stop=stop,
    )
    for root, some in ids.items():
        carried = carry_words(store, root, (), ids=some, overwrite_by_hand=overwrite_by_hand)
        report = _with(report, carried)
    return report


def _with(report: IndexReport, carried: Carried) -> IndexReport:
    return replace(
        report,
        moved=report.moved + carried.items_moved,
        restored=report.restored + carried.restored,
        kept_by_hand=report.kept_by_hand + carried.kept_by_hand,
        notes=(*report.notes, *carried.notes),
    )


class _Reading:
    """A catalogue on its way to the readers: what of it is to be looked at, and what is odd."""

    def __init__(
        self,
        catalogue: Catalogue,
        name: str,
        skips: Mapping[str, Skipped],
        shard: Shard | None,
        is_cut_off: Callable[[Entry, Collection[str]], bool],
    ) -> None:
        self._catalogue = catalogue
        self._name = name
        self._skips = skips
        self._shard = shard
        self._is_cut_off = is_cut_off
        self._alike: dict[str, str] = {}  # an id without case and Unicode form → the id
        self._absent = 0  # files that are not there, as long as none was
        self.seen: set[str] = set()
        self.named: set[str] = set()  # those of images that are not here too
        self.has_lines = False  # a list names the images; else they lie in folders
        self.last: dict[str, Entry] = {}  # of ids that came again
        self.odd: list[Skipped] = []  # lines that are no entries
        self.left: list[Skipped] = []  # twice the same id; unusable before and the same now
        self.notes: list[str] = []

    def entries(self) -> Iterator[Entry]:
        remote: list[Skipped] = []
        for one in self._catalogue.entries():
            if isinstance(one, Skipped):
                self.odd.append(one)
                continue
            if not one.ended and self._is_cut_off(one, self.named):
                self.odd.append(removals.cut_off(one))
                continue
            self.has_lines = self.has_lines or bool(one.line)
            self.named.add(one.id)
            if isinstance(one.image, Remote):
                reason = one.image.reason or REMOTE
                remote.append(Skipped(path=one.line or one.id, reason=reason))
                if not self.seen and len(remote) == _NONE_OF:
                    break
            elif self._shard is None or one.id in self._shard:
                yield from self._looked_at(one)
        if remote and not self.seen:
            raise SourceError(
                f"{self._catalogue.format} lists URLs, and pictures must be here to be indexed; "
                "fetch them with `lookalike download … --to DIR`, then index DIR"
            )
        if self._absent and self._absent == len(self.seen):
            self._none_there()
        self.left += remote

    def _looked_at(self, one: Entry) -> Iterator[Entry]:
        if isinstance(one.image, Path):
            if one.stamp is not None:
                self._absent = -1
            elif self._absent >= 0:
                self._absent += 1
                if self._absent == _NONE_OF:
                    self._none_there()
        skip = self._skips.get(one.path)
        entry = replace(one, root=self._name)
        if one.id in self.seen:
            self.left.append(
                Skipped(path=one.line or one.path, reason=f"id {one.id!r} again; the last wins")
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

    def _none_there(self) -> None:
        raise SourceError(
            f"none of the {self._absent:,} pictures looked for lies below {self._catalogue.root}; "
            "say where they lie with --root"
        )


def plan_folder(
    listing: Listing,
    known: Mapping[str, tuple[str, Stamp | None]],
    skips: Mapping[str, Skipped],
    *,
    retry: bool = False,
    bare: Collection[str] = (),
) -> FolderPlan:
    """Compare a scan with what is stored; touches nothing.

    ``known`` and ``skips`` are the store's items and skips of the same root and folder, by path.
    ``retry`` tries files again that could not be used although they are unchanged. ``bare`` are ids
    of items that lack a thumbnail, for which an unchanged file is read too.
    """
    work, again = [], []
    unchanged = 0
    for path, stamp in listing.files.items():
        before = known.get(path)
        if before is not None and before[1] == stamp and before[0] not in bare:
            unchanged += 1
        elif (skip := skips.get(path)) is not None and skip.stamp == stamp and not retry:
            again.append(skip)
        else:
            work.append(path)
    # An item without a path came as bytes: no file of it can have gone.
    gone = [(path, known[path][0]) for path in known.keys() - listing.files.keys() if path]
    vanished = sorted(one for path, one in gone if listing.covers(path))
    recovered = [
        path
        for path in skips
        if (
            listing.covers(path)
            if path not in listing.files
            else (before := known.get(path)) is not None and before[1] == listing.files[path]
        )
    ]
    return FolderPlan(
        work=tuple(work),
        unchanged=unchanged,
        vanished=tuple(vanished),
        kept=len(gone) - len(vanished),
        skipped=(*listing.skipped, *again),
        recovered=tuple(sorted(recovered)),
    )


def index_entries(
    store: Store,
    encoder: Encoder,
    entries: Iterable[Entry],
    *,
    total: int | None = None,
    limits: images.Limits = images.Limits(),
    journal: bool = False,
    overwrite_by_hand: bool = False,
    progress: ProgressCallback | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> IndexReport:
    """Read, encode and store ``entries``; one transaction a batch.

    With ``journal``, new content that was known under another id is journalled for
    ``missing.settle``, which must follow. ``overwrite_by_hand`` lets entries change what was set by
    hand.

    Where the collection keeps thumbnails (``images.thumbnails``), each item is given its own.
    A picture that cannot be used is skipped with its reason and the rest goes on. An encoder or a
    store that fails raises, and what was stored before stays. ``stop`` is asked between batches.
    """
    began = time.monotonic()
    indexed = reused = replaced = same = done = pictured = relabelled = kept_by_hand = 0
    arrivals = Arrivals(store) if journal else None
    skipped: list[Skipped] = []
    interrupted = False
    workers = usable_cores()
    side = thumbnail_side(store)
    with (
        ThreadPoolExecutor(workers, thread_name_prefix="lookalike-read") as pool,
        closing(
            _ahead(
                pool,
                lambda batch: load(
                    batch, store, encoder, limits, side=side, overwrite_by_hand=overwrite_by_hand
                ),
                _batches(entries, BATCH),
                workers + _AHEAD,
            )
        ) as batches,
    ):
        for batch in batches:
            pictured += _write(batch, store, encoder, arrivals)
            relabelled += batch.relabelled
            kept_by_hand += batch.kept_by_hand
            indexed += len(batch.encode)
            reused += len(batch.reuse)
            replaced += len(batch.replaced)
            same += batch.same + len(batch.update)
            skipped += [skip for _, skip in batch.skipped]
            done += batch.size
            if progress is not None:
                progress(Progress(done=done, total=total, skipped=len(skipped)))
            if stop():
                interrupted = True
                break
    return IndexReport(
        indexed=indexed,
        reused=reused,
        replaced=replaced,
        unchanged=same,
        thumbnails=pictured,
        relabelled=relabelled,
        kept_by_hand=kept_by_hand,
        skipped=tuple(skipped),
        interrupted=interrupted,
        seconds=time.monotonic() - began,
    )


def _write(batch: Batch, store: Store, encoder: Encoder, arrivals: Arrivals | None) -> int:
    """Store what a batch brought; its new and changed items are one transaction.

    Answers how many items were there already and were given a thumbnail.
    """
    new = [item for item, _ in (*batch.encode, *batch.reuse)]
    rows = [vector[None, :] for _, vector in batch.reuse]
    if batch.encode:
        rows.insert(0, encoder.encode([prepared for _, prepared in batch.encode]))
    if new and arrivals is not None:
        known = {item.digest for item, _ in batch.reuse}
        arrivals.write(batch.arrived, new, batch.before, known)
    if new:
        _store(batch, store, new, np.concatenate(rows))
    if batch.update:
        # An item may have changed or gone since it was read: then the next run looks at it again.
        there = store.get([item.id for item in batch.update])
        store.update(
            [
                item
                for item in batch.update
                if item.id in there and there[item.id].digest == item.digest
            ]
        )
    if batch.overwritten:
        table = store.beside(manual_edits.TABLE)
        table.delete([one for one, hand in batch.overwritten.items() if not hand])
        left = {one: hand for one, hand in batch.overwritten.items() if hand}
        table.put([SideRow(id=one, value=hand.as_json()) for one, hand in left.items()])
    pictured = 0
    if batch.bare:
        small = [batch.thumbnails[item.digest] for item in batch.bare]
        pictured = store.set_thumbnails(batch.bare, small)
    left_out: dict[str, list[Skipped]] = {}
    for entry, skip in batch.skipped:
        if entry.stamp is not None:  # only a file has a state to remember
            left_out.setdefault(entry.root, []).append(skip)
    for root, skips in left_out.items():
        store.skip(root, skips)
    return pictured


def _store(batch: Batch, store: Store, new: list[Item], vectors: Matrix) -> None:
    """Write new and changed items; those that replace nothing only where their ids are free."""
    for fresh in (False, True):
        places = [place for place, one in enumerate(new) if (one.id in batch.fresh) == fresh]
        if not places:
            continue
        items = [new[place] for place in places]
        small = [batch.thumbnails.get(item.digest) for item in items]
        if not fresh:
            store.upsert(items, vectors[places], small)
            continue
        lost = store.insert(items, vectors[places], small)
        batch.encode = [one for one in batch.encode if one[0].id not in lost]
        batch.reuse = [one for one in batch.reuse if one[0].id not in lost]
        left_out = [batch.fresh[one] for one in sorted(lost)]
        batch.skipped += [(entry, taken(entry)) for entry in left_out]


def _bare(store: Store, known: Mapping[str, tuple[str, Stamp | None]]) -> Collection[str]:
    """Ids of those that lack the thumbnail which the collection keeps of each item."""
    side = thumbnail_side(store)
    if side is None:
        return ()
    ids = [one for one, _ in known.values()]
    have = store.thumbnail_sides(ids)
    return {one for one in ids if have.get(one) != side}


def _batches(entries: Iterable[Entry], size: int) -> Iterator[list[Entry]]:
    iterator = iter(entries)
    while batch := list(islice(iterator, size)):
        yield batch


def _ahead(
    pool: ThreadPoolExecutor,
    load: Callable[[list[Entry]], Batch],
    batches: Iterator[list[Entry]],
    depth: int,
) -> Generator[Batch, None, None]:
    """Results of ``load`` in order, with at most ``depth`` under way or waiting."""
    waiting: deque[Future[Batch]] = deque()
    try:
        for batch in batches:
            waiting.append(pool.submit(load, batch))
            if len(waiting) >= depth:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        for future in waiting:
            future.cancel()


def _entries(root: Path, name: str, listing: Listing, paths: Iterable[str]) -> Iterator[Entry]:
    """Entries of a scanned folder. ``name`` is the root's: later roots' ids begin with it."""
    for path in paths:
        yield Entry(
            id=id_of(name, path),
            image=root / path,
            root=name,
            path=path,
            stamp=listing.files[path],
        )
