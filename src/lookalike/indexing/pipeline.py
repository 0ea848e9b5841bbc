"""The indexing data flow: images into a store.

    entries → read → digest, (known? reuse) → decode → prepare → encode → upsert

Reading and decoding run on threads, a bounded number of batches ahead of the encoder, so memory
stays flat for any number of images.
"""

import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from itertools import islice

import numpy as np

from lookalike import images
from lookalike.core import manual_edits
from lookalike.core.blank_images import mark_blank
from lookalike.core.cpus import usable_cores
from lookalike.core.progress import Progress, ProgressCallback
from lookalike.core.protocols import Encoder, Store
from lookalike.core.records import BeingWritten, Entry, IndexReport, Item, SideRow, Skipped
from lookalike.core.vectors import Matrix, Vector
from lookalike.images.thumbnails import thumbnail_side
from lookalike.indexing.arrivals import Arrivals
from lookalike.indexing.batch import Batch, load, taken
from lookalike.indexing.decoding_notes import DecodingNotes
from lookalike.indexing.file_reading import DEFAULT, ReadOptions
from lookalike.regions.table import forget_unused, put_regions, region_count

__all__ = ["BATCH", "index_entries"]

BATCH = 64  # images in a batch; 64 prepared at 224 px are 10 MB
_AHEAD = 3  # batches read ahead of the encoder


def index_entries(
    store: Store,
    encoder: Encoder,
    entries: Iterable[Entry],
    *,
    total: int | None = None,
    limits: images.Limits = images.Limits(),
    journal: bool = False,
    overwrite_by_hand: bool = False,
    reading: ReadOptions = DEFAULT,
    vectors: Mapping[str, Vector] | None = None,
    progress: ProgressCallback | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> IndexReport:
    """Read, encode and store ``entries``, one transaction per batch.

    ``vectors`` are embeddings of images that were encoded before, by digest.

    With ``journal``, new content that was known under another id is journalled for
    ``carry_over.carry_annotations``, which must follow. With ``overwrite_by_hand``, entries may
    change manual edits. ``reading`` says which files are read. If the collection keeps thumbnails
    (``images.thumbnails``), each item gets one.

    An image that cannot be used is skipped with its reason and the run continues. An error of the
    encoder or the store is raised, and what was stored before stays. ``stop`` is called between
    batches.
    """
    began = time.monotonic()
    indexed = reused = replaced = same = done = pictured = relabelled = kept_by_hand = 0
    arrivals = Arrivals(store) if journal else None
    skipped: list[Skipped] = []
    said = DecodingNotes()
    interrupted = False
    workers = usable_cores()
    side = thumbnail_side(store)
    regions = region_count(store)
    with (
        ThreadPoolExecutor(workers, thread_name_prefix="lookalike-read") as pool,
        closing(
            _load_ahead(
                pool,
                lambda batch: load(
                    batch,
                    store,
                    encoder,
                    limits,
                    side=side,
                    regions=regions,
                    overwrite_by_hand=overwrite_by_hand,
                    reading=reading,
                    vectors=vectors,
                ),
                _iterate_batches(entries, BATCH),
                workers + _AHEAD,
            )
        ) as batches,
    ):
        for batch in batches:
            pictured += _write(batch, store, encoder, arrivals)
            relabelled += batch.relabelled
            for path, notes in batch.noted:
                said.add(path, notes)
            for path in batch.blank.values():
                said.add_blank(path)
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
        being_written=sum(isinstance(one, BeingWritten) for one in skipped),
        skipped=tuple(skipped),
        notes=said.sentences(),
        interrupted=interrupted,
        seconds=time.monotonic() - began,
    )


def _write(batch: Batch, store: Store, encoder: Encoder, arrivals: Arrivals | None) -> int:
    """Store the results of a batch; its new and changed items are one transaction.

    Return the number of existing items that were given a thumbnail.
    """
    new = [item for item, _ in (*batch.encode, *batch.reuse)]
    rows = [vector[None, :] for _, vector in batch.reuse]
    if batch.encode:
        rows.insert(0, _encode(batch, encoder))
    if new and arrivals is not None:
        known = {item.digest for item, _ in batch.reuse}
        arrivals.write(batch.arrived, new, batch.before, known)
    mark_blank(store, batch.blank)
    if new:
        _store(batch, store, new, np.concatenate(rows))
    put_regions(store, batch.regions)
    forget_unused(store, [batch.before[one].digest for one in batch.replaced])
    if batch.update:
        # An item may have changed or vanished since it was read; then the next run handles it.
        there = store.items.get([item.id for item in batch.update])
        store.items.update(
            [
                item
                for item in batch.update
                if item.id in there and there[item.id].digest == item.digest
            ]
        )
    if batch.overwritten:
        table = store.table(manual_edits.TABLE)
        table.delete([one for one, hand in batch.overwritten.items() if not hand])
        left = {one: hand for one, hand in batch.overwritten.items() if hand}
        table.put([SideRow(id=one, value=hand.as_json()) for one, hand in left.items()])
    pictured = 0
    if batch.bare:
        small = [batch.thumbnails[item.digest] for item in batch.bare]
        pictured = store.thumbnails.put(batch.bare, small)
    left_out: dict[str, list[Skipped]] = {}
    for entry, skip in batch.skipped:
        if entry.stamp is not None:  # only a file has a stamp to store
            left_out.setdefault(entry.root, []).append(skip)
    for root, skips in left_out.items():
        store.skips.put(root, skips)
    return pictured


def _encode(batch: Batch, encoder: Encoder) -> Matrix:
    """Return the embeddings of a batch's new images, those that are known and the others."""
    unknown = [prepared for item, prepared in batch.encode if item.digest not in batch.vectors]
    encoded = iter(encoder.encode(unknown) if unknown else ())
    return np.stack(
        [
            batch.vectors[item.digest] if item.digest in batch.vectors else next(encoded)
            for item, _ in batch.encode
        ]
    )


def _store(batch: Batch, store: Store, new: list[Item], vectors: Matrix) -> None:
    """Write new and changed items; ``fresh`` ones only if their ids are free."""
    for fresh in (False, True):
        places = [place for place, one in enumerate(new) if (one.id in batch.fresh) == fresh]
        if not places:
            continue
        items = [new[place] for place in places]
        small = [batch.thumbnails.get(item.digest) for item in items]
        if not fresh:
            store.items.upsert(items, vectors[places], small)
            continue
        lost = store.items.insert(items, vectors[places], small)
        batch.encode = [one for one in batch.encode if one[0].id not in lost]
        batch.reuse = [one for one in batch.reuse if one[0].id not in lost]
        left_out = [batch.fresh[one] for one in sorted(lost)]
        batch.skipped += [(entry, taken(entry)) for entry in left_out]


def _iterate_batches(entries: Iterable[Entry], size: int) -> Iterator[list[Entry]]:
    iterator = iter(entries)
    while batch := list(islice(iterator, size)):
        yield batch


def _load_ahead(
    pool: ThreadPoolExecutor,
    load: Callable[[list[Entry]], Batch],
    batches: Iterator[list[Entry]],
    depth: int,
) -> Generator[Batch, None, None]:
    """Yield the results of ``load`` in order, with at most ``depth`` in progress or waiting."""
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
