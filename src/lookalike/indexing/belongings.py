"""What belongs to a collection beside its items: settings, declared fields, left-out files."""

from collections.abc import Sequence
from itertools import islice
from pathlib import Path

from lookalike.core import manual_edits
from lookalike.core.protocols import SideTable, Store
from lookalike.core.records import Json
from lookalike.core.roots import read_roots
from lookalike.indexing import failures, missing

__all__ = [
    "CATALOGUES",
    "OWN",
    "move_settings",
    "move_side_tables",
    "move_skips",
    "remember_catalogue",
]

OWN = frozenset(
    {"copied_from", "declared", "encoder", "graph", "neighbours", "replaced", "version_of"}
)
"""Settings that a store, a copy or a migration has for itself; ``declared`` moves by itself."""

CATALOGUES = "catalogues"
"""The setting that names the files of indexed catalogues, so that no output replaces one."""

_BATCH = 1000
_TABLES = (
    manual_edits.TABLE,
    missing.TABLE,
    missing.THUMBNAILS,
    missing.ARRIVED,
    failures.TABLE,
)


def move_settings(source: Store, target: Store, *, names: Sequence[str] | None = None) -> list[str]:
    """Copy what is declared, and of what is kept beside the items all but caches, or ``names``."""
    for field in source.declared():
        target.declare(field)
    moved = []
    for name in source.settings() if names is None else names:
        value = source.setting(name)
        if name not in OWN and value is not None:
            target.set_setting(name, value)
            moved.append(name)
    return moved


def remember_catalogue(store: Store, source: object) -> None:
    """Keep the path of what has been indexed, where that is a catalogue in one file."""
    path = getattr(source, "path", None)
    if not isinstance(path, Path) or not path.is_file():
        return
    name = str(path.resolve())

    def with_it(stored: Json) -> Json:
        before = stored if isinstance(stored, list) else []
        return [*before, *([] if name in before else [name])]

    before = store.setting(CATALOGUES)
    if with_it(before) != before:
        store.change_setting(CATALOGUES, with_it)


def move_skips(source: Store, target: Store) -> int:
    """Copy what is remembered of files that were left out; how many there are."""
    moved = 0
    for name in dict.fromkeys(["", *(root.name for root in read_roots(source.setting("roots")))]):
        skips = list(source.skips(name).values())
        for start in range(0, len(skips), _BATCH):
            target.skip(name, skips[start : start + _BATCH])
        moved += len(skips)
    return moved


def move_side_tables(source: Store, target: Store, *, mirror: bool) -> int:
    """Copy what was set by hand, said of missing items and noted of failures; return how many rows.

    With ``mirror``, rows that only ``target`` has are deleted.
    """
    return sum(
        _move_table(source.beside(name), target.beside(name), mirror=mirror)
        for name in (
            manual_edits.TABLE,
            missing.TABLE,
            missing.REPLACED,
            missing.THUMBNAILS,
            missing.ARRIVED,
            failures.TABLE,
        )
    )


def _move_table(source: SideTable, target: SideTable, *, mirror: bool) -> int:
    if not source.count() and not target.count():
        return 0
    moved = 0
    rows = source.scan()
    while batch := list(islice(rows, _BATCH)):
        there = target.get([row.id for row in batch])
        target.put([row for row in batch if there.get(row.id) != row])
        moved += len(batch)
    others = target.scan() if mirror else iter(())
    while batch := list(islice(others, _BATCH)):
        kept = source.get([row.id for row in batch])
        target.delete([row.id for row in batch if row.id not in kept])
    return moved
