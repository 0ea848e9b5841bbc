"""Select the entries of a catalogue to download, and convert them to rows of the record."""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace
from itertools import islice

from lookalike.core.records import Entry, Remote, Skipped
from lookalike.sources.download.record import RecordRow

__all__ = [
    "CHUNK",
    "find_problem",
    "make_entry",
    "merge_entries",
    "read_chunk",
    "select_entries",
    "update_row",
]

CHUNK = 250  # entries read from the catalogue at once
_MOST_LINES = 5000  # read for a chunk; a rare label must not delay a stop


def select_entries(
    entries: Iterable[Entry | Skipped | None], labels: Collection[str] | None, limit: int | None
) -> Iterator[Entry | Skipped | None]:
    """Yield the wanted entries, and ``None`` for each other one, so that the reader can pause."""
    wanted = None if labels is None else frozenset(labels)
    taken: Counter[str | None] = Counter()
    for one in entries:
        if one is None or isinstance(one, Skipped):
            yield one
            continue
        kind = None if wanted is None else one.label
        if wanted is not None and kind not in wanted:
            yield None
            continue
        if limit is None or taken[kind] < limit:
            taken[kind] += 1
            yield one
            if limit is not None and all(taken[label] >= limit for label in (wanted or {None})):
                return
        else:
            yield None


def read_chunk(
    entries: Iterator[Entry | Skipped | None],
) -> tuple[list[Entry | Skipped], bool]:
    """Return up to ``CHUNK`` wanted entries, and whether there may be more."""
    chunk: list[Entry | Skipped] = []
    lines = 0
    for one in islice(entries, _MOST_LINES):
        lines += 1
        if one is not None:
            chunk.append(one)
            if len(chunk) == CHUNK:
                return chunk, True
    return chunk, lines == _MOST_LINES


def find_problem(entry: Entry) -> str | None:
    """Return why an entry cannot be recorded; a lone surrogate cannot be stored."""
    words = (entry.id, entry.label or "", entry.group or "")
    try:
        for word in words:
            word.encode()
    except UnicodeEncodeError:
        return "its id, label or group is not valid Unicode"
    return None if entry.id else "it has no id"


def merge_entries(entry: Entry, newer: Entry) -> Entry:
    """Return the entry with the label, group and metadata that the newer one gives."""
    return replace(
        entry,
        label=entry.label if newer.label is None else newer.label,
        group=entry.group if newer.group is None else newer.group,
        metadata=entry.metadata if newer.metadata is None else newer.metadata,
    )


def make_entry(row: RecordRow) -> Entry:
    """Return the entry that a row of the record was made from."""
    return Entry(
        id=row.id,
        image=Remote(row.urls),
        label=row.label,
        group=row.group,
        metadata=row.metadata,
    )


def update_row(row: RecordRow, entry: Entry) -> RecordRow:
    """Return the row with the label, group and metadata that the entry gives."""
    words = merge_entries(make_entry(row), entry)
    return replace(row, label=words.label, group=words.group, metadata=dict(words.metadata or {}))
