"""Copy a collection from one store into another: items, vectors, and the data beside them.

    copying.copy(shop.store, other.store)

Nothing is encoded, and vectors keep every bit that both stores can hold. Caches (ANN index,
neighbour table) are not copied: they are built from the rest.
"""

import random
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np

from lookalike.core import settings_keys
from lookalike.core.arguments import checked
from lookalike.core.plurals import count_noun
from lookalike.core.progress import Progress, ProgressCallback
from lookalike.core.protocols import Store
from lookalike.core.records import Hit, Item
from lookalike.core.roots import read_roots
from lookalike.core.vectors import Matrix
from lookalike.errors import CollectionError, ItemNotFoundError
from lookalike.moving.transfer import copy_settings, copy_side_tables, copy_skips
from lookalike.regions.table import copy_regions, region_count

__all__ = ["CopyReport", "copy", "describe_differences"]

_BATCH = 1000  # items per transaction: 2.5 MB of 1,280 half floats
_PASSES = 5  # over a source that others write to meanwhile
_SAMPLES = 20  # items whose results are compared at the end
_K = 10
_NAMED = 3  # in a message
_CLOSE = 1e-6  # tolerance for scores, as stores may hold vectors in different precision


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyReport:
    """What a copy did.

    ``copied`` items were written with their vectors; ``updated`` items existed and got other
    labels, groups or metadata; ``unchanged`` items existed; ``removed`` items are not in the
    source. ``thumbnails`` were written with items or added to items that lacked theirs. ``items``
    are in the target now, ``extra`` of them not in the source; ``kept`` have other content or
    annotations in the target and were not changed. ``searches`` were compared; ``problems`` say
    what differs.
    """

    copied: int = 0
    updated: int = 0
    unchanged: int = 0
    removed: int = 0
    thumbnails: int = 0
    items: int = 0
    extra: int = 0
    kept: int = 0
    skips: int = 0
    settings: tuple[str, ...] = ()
    searches: int = 0
    problems: tuple[str, ...] = ()
    interrupted: bool = False
    seconds: float = 0.0


@checked
def copy(
    source: Store,
    target: Store,
    *,
    resume: bool = False,
    mirror: bool = False,
    progress: ProgressCallback | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> CopyReport:
    """Copy everything but caches from ``source`` into ``target``, and compare the two.

    Items that the target already has are not copied again, so repeating an interrupted copy
    continues it. ``resume`` also continues in a collection that this copy did not create, and adds
    what it lacks: existing items with other content or annotations stay as they are. Items that
    only ``target`` has stay. With ``mirror``, ``target`` becomes equal to ``source``. ``stop`` is
    called between batches; ``progress`` gets the number of compared items. Calling
    ``Store.optimize`` is left to the caller.

    Raise ``CollectionError`` for a target that holds something else, ``EncoderMismatchError``, and
    ``StoreError``.
    """
    began = time.monotonic()
    bound = source.bound()
    _check_target(source, target, resume=resume)
    here = str(source.facts()["address"])
    known = target.settings.get(settings_keys.COPIED_FROM) == here
    adding = target.search.count() > 0 and not known and not mirror
    if not adding:
        target.settings.set(settings_keys.COPIED_FROM, here)
    report, kept = CopyReport(), set[str]()
    if bound is not None:
        target.bind(encoder=bound[0], fingerprint=bound[1], dim=bound[2])
        report, kept = _copy_items(source, target, adding=adding, progress=progress, stop=stop)
    if not report.interrupted:
        names = [
            name
            for name in source.settings.names()
            if not adding or target.settings.get(name) is None
        ]
        report = replace(report, settings=tuple(copy_settings(source, target, names=names)))
        report = replace(report, skips=copy_skips(source, target))
        copy_side_tables(source, target, mirror=mirror, apart=kept if adding else None)
        if region_count(source) == region_count(target) != 0:
            copy_regions(source, target, mirror=mirror)
        if mirror:
            report = replace(report, removed=_remove_others(source, target))
        report = _compare(report, source, target, kept)
    return replace(report, items=target.search.count(), seconds=time.monotonic() - began)


def _check_target(source: Store, target: Store, *, resume: bool) -> None:
    here, there = str(source.facts()["address"]), str(target.facts()["address"])
    if here == there:
        raise CollectionError(f"{here} cannot be copied onto itself; give another place")
    if target.settings.get(settings_keys.COPIED_FROM) == here:
        return
    if target.search.count() and not resume:
        raise CollectionError(
            f"{there} is not empty and not a copy of {here}; give another place, or --resume to "
            "add what it lacks"
        )
    roots = read_roots(target.settings.get(settings_keys.ROOTS))
    if roots and roots != read_roots(source.settings.get(settings_keys.ROOTS)):
        raise CollectionError(
            f"{there} indexes other folders than {here}, where the files of the copied items are "
            "not; give another place"
        )


def _copy_items(
    source: Store,
    target: Store,
    *,
    adding: bool,
    progress: ProgressCallback | None,
    stop: Callable[[], bool],
) -> tuple[CopyReport, set[str]]:
    """Copy items; with ``adding``, only new ones. Also return the ids that were not changed."""
    kept: set[str] = set()
    copied = updated = unchanged = thumbnails = 0
    stopped = False
    small = source.thumbnails.state().items > 0
    for turn in range(_PASSES):
        total, done, missed = source.search.count(), 0, 0
        for batch in _iterate_batches(source.items.scan()):
            there = target.items.get([item.id for item in batch])
            new, changed = _split(batch, there)
            new, changed = _keep_existing(new, changed, there, kept) if adding else (new, changed)
            stored, rows = _read_rows(source, new)
            _put(target, stored, rows, changed)
            same = [item for item in batch if item.id not in kept] if small else []
            thumbnails += _copy_thumbnails(source, target, same) if small else 0
            copied += len(stored)
            updated += len(changed)
            if turn == 0:
                unchanged += len(batch) - len(new) - len(changed)
                unchanged -= sum(item.id in kept for item in batch)
            missed += len(new) - len(stored)
            done += len(batch)
            if progress is not None:
                progress(Progress(done=done, total=total))
            stopped = stop()
            if stopped:
                break
        if stopped or not missed:
            break
    report = CopyReport(
        copied=copied,
        updated=updated,
        unchanged=unchanged,
        kept=len(kept),
        thumbnails=thumbnails,
        interrupted=stopped,
    )
    return report, kept


def _copy_thumbnails(source: Store, target: Store, items: Sequence[Item]) -> int:
    """Copy the thumbnails of items that have the same content in both stores."""
    mine = source.thumbnails.sides([item.id for item in items])
    theirs = target.thumbnails.sides(list(mine))
    lacking = [item for item in items if mine.get(item.id) != theirs.get(item.id)]
    found = source.thumbnails.get([item.id for item in lacking if item.id in mine])
    # Digests are read afterwards: an item that is being replaced in the source has another one.
    now = source.items.get(list(found))
    same = [
        item
        for item in lacking
        if item.id in found and item.id in now and now[item.id].digest == item.digest
    ]
    return target.thumbnails.put(same, [found[item.id] for item in same]) if same else 0


def _split(batch: Sequence[Item], there: Mapping[str, Item]) -> tuple[list[Item], list[Item]]:
    """Return the items with new content, and those with other labels, groups or metadata only."""
    new, changed = [], []
    for item in batch:
        before = there.get(item.id)
        if before is None or before.digest != item.digest:
            new.append(item)
        elif before != item:
            changed.append(item)
    return new, changed


def _put(target: Store, new: Sequence[Item], rows: Matrix, changed: Sequence[Item]) -> None:
    if new:
        target.items.upsert(new, rows)
    if changed:
        target.items.update(changed)


def _keep_existing(
    new: Sequence[Item], changed: Sequence[Item], there: Mapping[str, Item], kept: set[str]
) -> tuple[list[Item], list[Item]]:
    """Return new items whose ids are free; the ids of all others are added to ``kept``."""
    kept |= {item.id for item in (*new, *changed) if item.id in there}
    return [item for item in new if item.id not in there], []


def _read_rows(
    source: Store, items: Sequence[Item]
) -> tuple[list[Item], "np.ndarray[tuple[int, int], np.dtype[np.float32]]"]:
    """Return items with their vectors as stored, float32 of shape (n, dim).

    Items that are being removed or replaced at this moment are left out: a vector must belong to
    its item's content.
    """
    kept = list(items)
    while kept:
        try:
            rows = source.items.rows([item.id for item in kept])
        except ItemNotFoundError:
            now = source.items.get([item.id for item in kept])
            kept = [item for item in kept if item.id in now]
            continue
        now = source.items.get([item.id for item in kept])
        same = [
            place
            for place, item in enumerate(kept)
            if item.id in now and now[item.id].digest == item.digest
        ]
        return [kept[place] for place in same], rows[same].astype(np.float32)
    return [], np.empty((0, 0), np.float32)


def _remove_others(source: Store, target: Store) -> int:
    """Remove the items of ``target`` that ``source`` does not have; return how many."""
    removed = 0
    for batch in _iterate_batches(target.items.scan()):
        there = source.items.get([item.id for item in batch])
        gone = [item.id for item in batch if item.id not in there]
        if gone:
            removed += target.items.delete(gone)
    return removed


# -- comparing -----------------------------------------------------------------------------------


def _compare(report: CopyReport, source: Store, target: Store, kept: Collection[str]) -> CopyReport:
    """Return the report with the differences between the two, by count and by samples.

    ``kept`` items are known to differ.
    """
    if source.bound() is None:
        return report
    extra = target.search.count() - source.search.count()
    problems = []
    if extra < 0:
        problems.append(
            f"{count_noun(-extra, 'item is', 'items are')} missing; if the source has changed "
            "meanwhile, copy again"
        )
    if kept:
        names = ", ".join(map(ascii, sorted(kept)[:_NAMED]))
        more = f" and {len(kept) - _NAMED:,} more" if len(kept) > _NAMED else ""
        problems.append(
            f"{names}{more}: have other content, labels or metadata there and were not changed; "
            "--mirror replaces them"
        )
    ids = [one for one in _sample(source) if one not in kept]
    searches = 0
    if ids and not extra and not kept:  # items that only one store has would displace others
        queries = source.items.vectors(ids)
        searches = len(ids)
        for one, mine, theirs in zip(
            ids,
            source.search.nearest(queries, k=_K, exact=True),
            target.search.nearest(queries, k=_K, exact=True),
            strict=True,
        ):
            problems += [f"{one!a}: {words}" for words in describe_differences(mine, theirs)]
    missing = set(ids) - target.items.get(ids).keys()
    problems += [f"{one!a} is missing" for one in sorted(missing)]
    there = [one for one in ids if one not in missing]
    if there and not np.allclose(source.items.rows(there), target.items.rows(there), atol=1e-3):
        problems.append("vectors differ")
    return replace(report, extra=max(extra, 0), searches=searches, problems=tuple(problems))


def describe_differences(hits: Sequence[Hit], others: Sequence[Hit]) -> list[str]:
    """Describe how two results of one exact search differ. Ties with the last hit may differ."""
    if len(hits) != len(others):
        return [f"{count_noun(len(hits), 'result')}, but {len(others)} in the copy"]
    found = []
    least = max(hits[-1].score, others[-1].score) if hits else 0.0
    for rank, (one, other) in enumerate(zip(hits, others, strict=True), start=1):
        if abs(one.score - other.score) > _CLOSE:
            found.append(f"result {rank} has {one.score:.6f}, and {other.score:.6f} in the copy")
    clear = [
        {hit.item.id: hit.item for hit in some if hit.score > least + _CLOSE}
        for some in (hits, others)
    ]
    if clear[0] != clear[1]:
        found.append("the nearest items differ in the copy")
    return found


def _sample(store: Store) -> list[str]:
    """Return the ids of a uniform sample of items, the same one each time."""
    chance = random.Random(0)  # noqa: S311 - a sample
    some: list[str] = []
    for number, item in enumerate(store.items.scan()):
        if number < _SAMPLES:
            some.append(item.id)
        elif (place := chance.randrange(number + 1)) < _SAMPLES:
            some[place] = item.id
    return sorted(some)


def _iterate_batches(items: Iterator[Item]) -> Iterator[list[Item]]:
    while batch := list(islice(items, _BATCH)):
        yield batch
