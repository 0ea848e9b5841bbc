"""The region vectors of a collection, in a table beside its items.

Regions belong to the bytes of an image, so a row is kept by digest: duplicates share it, and moves,
renames and edits need not touch it. A row that no item has any more is never a result.

A search holds all vectors in memory (``regions.index``). It notices by ``REGION_CHANGES`` what
others have written: a number that grows, and the digests that were written last.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any

from lookalike.core import settings_keys
from lookalike.core.arguments import check_whole
from lookalike.core.protocols import Store
from lookalike.core.records import Json, SideRow
from lookalike.core.roots import read_roots
from lookalike.core.vectors import Matrix, unit_rows
from lookalike.regions.records import Regions

__all__ = [
    "MOST",
    "TABLE",
    "check_region_count",
    "copy_regions",
    "finish_root",
    "forget_unused",
    "is_pending",
    "project_regions",
    "put_regions",
    "region_count",
    "regions_done",
    "set_region_count",
]

TABLE = "regions"
MOST = 16
"""Regions of an image."""
_BATCH = 500
_REMEMBERED = 1000  # digests written last; who is further behind reads all


def check_region_count(count: object) -> int:
    """Return a number of regions; 0 for none. Raise ``TypeError`` or ``ValueError``."""
    return check_whole("regions", count, least=0, most=MOST)


def region_count(store: Store) -> int:
    """Return how many regions an image of a collection has at most; 0 for one without regions."""
    match store.settings.get(settings_keys.REGIONS):
        case {"count": int(count)}:
            return count
        case _:
            return 0


def set_region_count(store: Store, count: int) -> None:
    """Give images ``count`` regions from now on; 0 gives none and drops the existing ones.

    Those that are there get theirs from the next run over their root: ``is_pending``.
    """
    if count == region_count(store):
        return
    roots: list[Json] = [*read_roots_of(store)]
    store.settings.set(settings_keys.REGIONS, {"count": count, "pending": roots} if count else None)
    if not count:
        table = store.table(TABLE)
        rows = table.scan()
        while part := [row.id for row in islice(rows, _BATCH)]:
            table.delete(part)
        _note_change(store, None)


def read_roots_of(store: Store) -> list[str]:
    """Return the names of a collection's roots."""
    return [root.name for root in read_roots(store.settings.get(settings_keys.ROOTS))]


def is_pending(store: Store, root: str) -> bool:
    """Return whether items of a root may lack their regions."""
    match store.settings.get(settings_keys.REGIONS):
        case {"pending": list(names)}:
            return root in names
        case _:
            return False


def finish_root(store: Store, root: str) -> None:
    """Note that all items of a root have their regions."""

    def finished(stored: Json) -> Json:
        match stored:
            case {"count": count, "pending": list(names)}:
                return {"count": count, "pending": [one for one in names if one != root]}
            case _:
                return stored

    if is_pending(store, root):
        store.settings.change(settings_keys.REGIONS, finished)


def regions_done(store: Store, digests: Iterable[str], count: int) -> set[str]:
    """Return those digests whose regions are there, ``count`` of each at most."""
    rows = store.table(TABLE).get(sorted(set(digests)))
    return {one for one, row in rows.items() if _count_of(row) == count}


def put_regions(store: Store, found: Mapping[str, Regions]) -> None:
    """Write regions, by the digest of their image."""
    if found:
        store.table(TABLE).put([regions.row(digest) for digest, regions in found.items()])
        _note_change(store, [*found])


def forget_unused(store: Store, digests: Iterable[str]) -> None:
    """Delete the regions of images that no item shows any more."""
    wanted = sorted(set(digests))
    if wanted and region_count(store):
        used = store.items.with_digest(wanted)
        unused = [one for one in wanted if one not in used]
        if store.table(TABLE).delete(unused):
            _note_change(store, unused)


def copy_regions(source: Store, target: Store, *, mirror: bool) -> int:
    """Copy regions between collections of one encoder; return the number of rows.

    With ``mirror``, rows that only ``target`` has are deleted.
    """
    mine, theirs = source.table(TABLE), target.table(TABLE)
    copied, gone = 0, False
    rows = mine.scan()
    while part := list(islice(rows, _BATCH)):
        there = theirs.get([row.id for row in part])
        theirs.put([row for row in part if there.get(row.id) != row])
        copied += len(part)
    others = theirs.scan() if mirror else iter(())
    while part := list(islice(others, _BATCH)):
        kept = mine.get([row.id for row in part])
        gone |= bool(theirs.delete([row.id for row in part if row.id not in kept]))
    if copied or gone:
        _note_change(target, None)
    return copied


def project_regions(
    source: Store,
    target: Store,
    digests: Iterable[str],
    project: Callable[[Matrix], Matrix],
) -> None:
    """Copy the regions of images into the space that ``project`` leads to."""
    bound = source.bound()
    if bound is None or not region_count(source):
        return
    found: dict[str, Regions] = {}
    for digest, row in source.table(TABLE).get(sorted(set(digests))).items():
        regions = Regions.of_row(row, bound[2])
        if regions is not None:
            vectors = regions.vectors
            vectors = project(unit_rows(vectors)) if len(vectors) else vectors
            found[digest] = replace(regions, vectors=vectors)
    put_regions(target, found)


def _count_of(row: SideRow) -> int:
    value: Any = row.value
    return int(value["count"]) if isinstance(value, dict) and "count" in value else 0


def _note_change(store: Store, digests: Sequence[str] | None) -> None:
    """Let searches notice that rows were written or deleted; ``None`` for all of them."""

    def noted(stored: Json) -> Json:
        version = 0
        recent: list[Json] = []
        match stored:
            case {"version": int(version), "recent": list(recent)}:
                pass
        version += 1
        recent = [] if digests is None else [*recent, [version, [*digests]]]
        listed: Any = recent
        while sum(len(one) for _, one in listed) > _REMEMBERED:
            listed = listed[1:]
        return {"version": version, "recent": listed}

    store.settings.change(settings_keys.REGION_CHANGES, noted)
