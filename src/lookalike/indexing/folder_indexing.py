"""Index a folder: bring the stored items in line with its files."""

import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from lookalike import images
from lookalike.core.progress import ProgressCallback
from lookalike.core.protocols import Store
from lookalike.core.records import Entry, IndexReport, Stamp, id_of
from lookalike.core.shards import Shard
from lookalike.images.thumbnails import thumbnail_side
from lookalike.indexing import failures, removals
from lookalike.indexing.carry_over import Carried, carry_annotations
from lookalike.indexing.file_reading import DEFAULT, ReadOptions
from lookalike.indexing.fitting import EncoderBinding, draw
from lookalike.indexing.folder_plan import plan_folder
from lookalike.indexing.missing import mark_missing
from lookalike.indexing.pipeline import index_entries
from lookalike.regions.table import finish_root, is_pending
from lookalike.sources.scan import Listing, ScanOptions, describe_passed, scan_in_steps

__all__ = ["index_folder", "make_entries"]


def index_folder(
    store: Store,
    encoder: EncoderBinding,
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
    reading: ReadOptions = DEFAULT,
    progress: ProgressCallback | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> IndexReport:
    """Bring the stored items of folder ``root`` (called ``name``) in line with its files.

    ``encoder`` is bound only if an image must be encoded. Items whose file has vanished are
    removed at the end, after a complete scan and a run that was not stopped, unless
    ``keep_missing``. If they are too many (``indexing.removals``), they stay and the report says
    so, unless ``allow_removals``. With ``shard``, only files in it are processed, and nothing is
    removed. The other arguments are those of ``scan``, ``plan_folder`` and ``index_entries``.
    """
    began = time.monotonic()
    listing = Listing()
    steps = scan_in_steps(root, suffixes=images.SUFFIXES, under=under, options=options, apart=apart)
    for step in steps:
        if stop():
            return IndexReport(interrupted=True, seconds=time.monotonic() - began)
        listing = step
    known, skips = store.items.stamps(name, under), store.skips.below(name, under)
    if shard is not None:
        listing.files = {
            path: stamp for path, stamp in listing.files.items() if id_of(name, path) in shard
        }
        known = {path: one for path, one in known.items() if one[0] in shard}
        skips = {path: skip for path, skip in skips.items() if id_of(name, path) in shard}
    plan = plan_folder(
        listing,
        known,
        skips,
        retry=retry,
        reread=reading.reread,
        bare=_find_bare(store, name, known),
    )
    report = IndexReport()
    bound = encoder.bind(_sampler(root, name, listing, plan.work)) if plan.work else None
    if plan.work and bound is None:
        report = IndexReport(interrupted=True)
    elif bound is not None:
        report = index_entries(
            store,
            bound,
            make_entries(root, name, listing, plan.work),
            total=len(plan.work),
            limits=limits,
            journal=True,
            overwrite_by_hand=overwrite_by_hand,
            reading=reading,
            vectors=encoder.known,
            progress=progress,
            stop=stop,
        )
    going, carried = removals.Removals(), Carried()
    if not report.interrupted:
        carried = carry_annotations(
            store,
            name,
            plan.vanished if shard is None else (),
            under=under,
            final=shard is None,
            overwrite_by_hand=overwrite_by_hand,
        )
        report = carried.add_to(report)
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
        # A skip of a vanished file is deleted under the same conditions as an item would be.
        all_there = allow_removals or (bool(listing.files) and not going.held_back)
        recovered = [path for path in plan.recovered if all_there or path in listing.files]
        if recovered:
            store.skips.delete(name, recovered)
    _note_regions(store, name, whole=not under and shard is None and not report.interrupted)
    removed = mark_missing(store, going.remove, moved=carried.moved)
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
        seen = True  # their reasons explain it
    notes = () if seen else (_note_no_images(root / under, passed),)
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


def _note_regions(store: Store, name: str, *, whole: bool) -> None:
    """Note that all items of a root have their regions, where the ``whole`` root was indexed."""
    if whole:
        finish_root(store, name)


def _note_no_images(folder: Path, passed: Mapping[str, int]) -> str:
    """Return a note on a folder in which a scan found no image."""
    there = f"passed over {describe_passed(passed)}" if passed else "the folder is empty"
    return f"no usable images in {folder}: {there}"


def _find_bare(
    store: Store, name: str, known: Mapping[str, tuple[str, Stamp | None]]
) -> Collection[str]:
    """Return the ids of items that lack a thumbnail, or that may lack regions.

    If the collection keeps them.
    """
    side = thumbnail_side(store)
    ids = [one for one, _ in known.values()]
    if is_pending(store, name):
        return set(ids)
    if side is None:
        return ()
    have = store.thumbnails.sides(ids)
    return {one for one in ids if have.get(one) != side}


def _sampler(
    root: Path, name: str, listing: Listing, paths: Sequence[str]
) -> Callable[[int], list[Entry]]:
    return lambda count: draw(make_entries(root, name, listing, paths), count)


def make_entries(root: Path, name: str, listing: Listing, paths: Iterable[str]) -> Iterator[Entry]:
    """Yield the entries of a scanned folder. Ids begin with ``name``, the root's, if it has one."""
    for path in paths:
        yield Entry(
            id=id_of(name, path),
            image=root / path,
            root=name,
            path=path,
            stamp=listing.files[path],
        )
