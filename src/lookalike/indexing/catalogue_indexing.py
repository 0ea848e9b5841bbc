"""Index a catalogue: bring the stored items in line with what it names now."""

from collections.abc import Callable, Iterator
from dataclasses import replace

from lookalike import images
from lookalike.core.progress import ProgressCallback
from lookalike.core.protocols import Catalogue, Store
from lookalike.core.records import Entry, IndexReport
from lookalike.core.shards import Shard
from lookalike.indexing import failures, removals
from lookalike.indexing.carry_over import Carried, carry_annotations
from lookalike.indexing.catalogue_reader import CatalogueReader
from lookalike.indexing.file_reading import DEFAULT, ReadOptions
from lookalike.indexing.fitting import EncoderBinding, draw
from lookalike.indexing.missing import mark_missing
from lookalike.indexing.pipeline import index_entries
from lookalike.sources.scan import check_folder

__all__ = ["index_catalogue"]


def _indexable(
    catalogue: Catalogue, shard: Shard | None, stop: Callable[[], bool]
) -> Iterator[Entry]:
    """Yield the entries whose image is a file that exists, until a stop is requested."""
    for one in catalogue.entries():
        if stop():
            return
        if isinstance(one, Entry) and one.stamp is not None and (shard is None or one.id in shard):
            yield one


def index_catalogue(
    store: Store,
    encoder: EncoderBinding,
    catalogue: Catalogue,
    *,
    name: str = "",
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
    """Bring the stored items of root ``name`` in line with a catalogue.

    Manual edits are kept unless ``overwrite_by_hand``. Unchanged files are not read: where only the
    table has changed, only the items' annotations are updated. If several lines have one id, the
    last one wins and each earlier one is reported. Ids that differ only by case or Unicode form are
    separate items, and noted.

    Items that the catalogue no longer names are removed at the end, unless ``keep_missing`` or the
    run was stopped. If they are too many (``indexing.removals``), they stay unless
    ``allow_removals``. While a line cannot be understood they stay in any case, because the line
    may name one of them. The report says so. With ``shard``, only entries in it are processed, and
    nothing is removed.

    Raise ``SourceError`` if no image of the catalogue is available: all are URLs, or their files do
    not exist.
    """
    check_folder(catalogue.root)
    # Read before the catalogue: items that others index meanwhile have not vanished.
    known = {one: path for path, (one, _) in store.items.stamps(name).items() if path}
    reader = CatalogueReader(
        catalogue,
        name,
        {} if retry or reading.reread else store.skips.below(name),
        shard,
        is_cut_off=lambda one, named: removals.is_cut_off(
            store, one, known, named, allow=allow_removals
        ),
        stop=stop,
    )
    bound = encoder.bind(lambda count: draw(_indexable(catalogue, shard, stop), count))
    report = IndexReport(interrupted=True)
    if bound is not None:
        report = index_entries(
            store,
            bound,
            reader.entries(),
            limits=limits,
            journal=True,
            overwrite_by_hand=overwrite_by_hand,
            reading=reading,
            vectors=encoder.known,
            progress=progress,
            stop=stop,
        )
        report = replace(report, interrupted=report.interrupted or reader.stopped)
    if bound is not None and reader.last and not report.interrupted:
        # After all others: an earlier line with the same id may still be in the pipeline.
        again = index_entries(
            store,
            bound,
            reader.last.values(),
            limits=limits,
            journal=True,
            overwrite_by_hand=overwrite_by_hand,
            reading=reading,
            stop=stop,
        )
        report = replace(
            again,
            indexed=report.indexed + again.indexed,
            reused=report.reused + again.reused,
            replaced=report.replaced + again.replaced,
            unchanged=report.unchanged + again.unchanged,
            thumbnails=report.thumbnails + again.thumbnails,
            being_written=report.being_written + again.being_written,
            relabelled=report.relabelled + again.relabelled,
            kept_by_hand=report.kept_by_hand + again.kept_by_hand,
            skipped=(*report.skipped, *again.skipped),
            seconds=report.seconds + again.seconds,
        )
    gone = {}
    carried = Carried()
    whole = not reader.odd and shard is None
    if not report.interrupted:
        gone = {
            one: path
            for one, path in known.items()
            if one not in reader.named and (shard is None or one in shard)
        }
        carried = carry_annotations(
            store,
            name,
            [*gone] if whole else (),
            final=whole,
            overwrite_by_hand=overwrite_by_hand,
        )
        report = carried.add_to(report)
    going = removals.Removals()
    if not keep_missing and shard is None:
        going = removals.settle(
            store,
            catalogue.root,
            gone,
            len(known),
            place=str(getattr(catalogue, "path", catalogue.root)),
            new=(one for one in reader.seen if one not in known),
            followed=carried.moved,
            in_folders=not reader.has_lines,
            malformed=reader.odd,
            allow=allow_removals,
        )
    removed = mark_missing(store, going.remove, moved=carried.moved)
    skipped = (*reader.odd, *reader.left, *report.skipped)
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
        notes=(*reader.notes, *report.notes),
        problems=removals.problems(reader.odd, going),
    )
