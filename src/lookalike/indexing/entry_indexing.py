"""Index single entries; nothing else is removed."""

from collections.abc import Callable, Iterable, Iterator
from itertools import chain, islice

from lookalike import images
from lookalike.core.progress import ProgressCallback
from lookalike.core.protocols import Store
from lookalike.core.records import Entry, IndexReport
from lookalike.indexing.carry_over import carry_annotations
from lookalike.indexing.file_reading import DEFAULT, ReadOptions
from lookalike.indexing.fitting import EncoderBinding, draw
from lookalike.indexing.missing import count as count_missing
from lookalike.indexing.pipeline import index_entries

__all__ = ["index_listed"]

# Of a list, a projection is fitted on a sample of the first entries, which are held until then.
_HEAD = 4000  # entries
_HEAD_BYTES = 256 * 2**20  # of images that come as bytes


def index_listed(
    store: Store,
    encoder: EncoderBinding,
    entries: Iterable[Entry],
    *,
    limits: images.Limits = images.Limits(),
    overwrite_by_hand: bool = False,
    reading: ReadOptions = DEFAULT,
    progress: ProgressCallback | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> IndexReport:
    """Add or replace ``entries``, and nothing else: no item vanishes.

    Missing items whose file is back get their annotations back.
    """
    head: list[Entry] = []
    if store.bound() is None:
        entries = iter(entries)
        head = _take_head(entries)
        entries = chain(head, entries)
    bound = encoder.bind(lambda count: draw(head, count))
    if bound is None:
        return IndexReport(interrupted=True)
    awaited = count_missing(store) > 0
    ids: dict[str, set[str]] = {}  # by root

    def noted() -> Iterator[Entry]:
        for entry in entries:
            ids.setdefault(entry.root, set()).add(entry.id)
            yield entry

    report = index_entries(
        store,
        bound,
        noted() if awaited else entries,
        limits=limits,
        journal=awaited,
        overwrite_by_hand=overwrite_by_hand,
        reading=reading,
        vectors=encoder.known,
        progress=progress,
        stop=stop,
    )
    for root, some in ids.items():
        carried = carry_annotations(store, root, (), ids=some, overwrite_by_hand=overwrite_by_hand)
        report = carried.add_to(report)
    return report


def _take_head(entries: Iterator[Entry]) -> list[Entry]:
    """Take the first entries, no more than may be held in memory."""
    head: list[Entry] = []
    held = 0
    for entry in islice(entries, _HEAD):
        head.append(entry)
        held += len(entry.image) if isinstance(entry.image, bytes) else 0
        if held >= _HEAD_BYTES:
            break
    return head
