"""Copy what a collection keeps beside its items: settings, skipped files and side tables."""

from collections.abc import Collection, Sequence
from itertools import islice

from lookalike.core import blank_images, manual_edits, settings_keys
from lookalike.core.protocols import SideTable, Store
from lookalike.core.roots import read_roots
from lookalike.indexing import arrivals, failures, missing_rows

__all__ = ["copy_settings", "copy_side_tables", "copy_skips"]

_BATCH = 1000
_TABLES = (
    blank_images.TABLE,
    manual_edits.TABLE,
    missing_rows.TABLE,
    missing_rows.REPLACED,
    missing_rows.THUMBNAILS,
    arrivals.ARRIVALS,
    failures.TABLE,
)


def copy_settings(source: Store, target: Store, *, names: Sequence[str] | None = None) -> list[str]:
    """Declare the same fields and copy settings; return the names of those copied.

    Copies all settings except ``settings_keys.NOT_COPIED``, or only ``names``.
    """
    for field in source.search.declared():
        target.search.declare(field)
    copied = []
    for name in source.settings.names() if names is None else names:
        value = source.settings.get(name)
        if name not in settings_keys.NOT_COPIED and value is not None:
            target.settings.set(name, value)
            copied.append(name)
    return copied


def copy_skips(source: Store, target: Store) -> int:
    """Copy the records of skipped files; return how many there are."""
    copied = 0
    roots = read_roots(source.settings.get(settings_keys.ROOTS))
    for name in dict.fromkeys(["", *(root.name for root in roots)]):
        skips = list(source.skips.below(name).values())
        for start in range(0, len(skips), _BATCH):
            target.skips.put(name, skips[start : start + _BATCH])
        copied += len(skips)
    return copied


def copy_side_tables(
    source: Store, target: Store, *, mirror: bool, apart: Collection[str] | None = None
) -> int:
    """Copy marks, manual edits, missing items and recorded failures; return the number of rows.

    With ``mirror``, rows that only ``target`` has are deleted. If ``apart`` is given, existing rows
    stay as they are, and those of the items in ``apart`` are not copied.
    """
    return sum(
        _copy_table(source.table(name), target.table(name), mirror=mirror, apart=apart)
        for name in _TABLES
    )


def _copy_table(
    source: SideTable, target: SideTable, *, mirror: bool, apart: Collection[str] | None
) -> int:
    if not source.count() and not target.count():
        return 0
    copied = 0
    rows = source.scan()
    while batch := list(islice(rows, _BATCH)):
        there = target.get([row.id for row in batch])
        if apart is not None:
            batch = [row for row in batch if row.id not in there and row.id not in apart]
        target.put([row for row in batch if there.get(row.id) != row])
        copied += len(batch)
    others = target.scan() if mirror else iter(())
    while batch := list(islice(others, _BATCH)):
        kept = source.get([row.id for row in batch])
        target.delete([row.id for row in batch if row.id not in kept])
    return copied
