"""Remove items that have vanished from a source, as a separate step.

``index`` does it at its end. If several machines index shards of a source, none of them knows what
the others saw; so afterwards one run compares the whole source and removes.
"""

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from lookalike.core import settings_keys
from lookalike.core.protocols import Catalogue
from lookalike.core.records import Entry, Skipped
from lookalike.indexing import missing, removals
from lookalike.indexing.carry_over import Carried, carry_annotations
from lookalike.indexing.folder_plan import plan_folder
from lookalike.indexing.indexed_sources import (
    find_catalogue_root,
    find_root,
    open_indexed,
    scan_indexed,
)
from lookalike.sources.scan import ScanOptions

if TYPE_CHECKING:
    from lookalike.collection import Collection


__all__ = ["ForgetReport", "PruneReport", "forget_missing", "prune"]

_BATCH = 1000

_Carry: TypeAlias = Callable[[Sequence[str]], frozenset[str]]
"""Carries the annotations of vanished items to where their files are now; returns these ids."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PruneReport:
    """What pruning did: ``vanished`` ids, in order; ``removed`` of them (none in a dry run).

    ``checked`` counts the items that were compared with the source. ``kept`` were not found, but
    their place could not be searched. ``held_back`` have vanished and stay, as in an
    ``IndexReport``; ``problems`` say why. ``moved`` files were found at another path and kept their
    annotations; ``restored`` missing items are back.
    """

    checked: int
    vanished: tuple[str, ...]
    removed: int = 0
    kept: int = 0
    held_back: int = 0
    problems: tuple[str, ...] = ()
    moved: int = 0
    restored: int = 0


def prune(
    collection: "Collection",
    source: str | os.PathLike[str] | Catalogue,
    *,
    format: str = "auto",
    options: ScanOptions = ScanOptions(),
    dry_run: bool = False,
    allow_removals: bool = False,
) -> PruneReport:
    """Remove the items whose file has vanished from a folder, or whose line from a catalogue.

    Works as at the end of ``Collection.index``: annotations follow a moved file, and those of
    removed items are kept (``Collection.missing``). ``source``, ``format`` and ``options`` are
    those of ``Collection.index``. Too many removals are held back unless ``allow_removals``. Items
    below a folder that cannot be listed stay. ``dry_run`` removes nothing.

    Raise ``SourceError`` for a folder that does not exist or was never indexed.
    """
    source = open_indexed(collection, source, format)
    root, under = find_root(collection, source.root if isinstance(source, Catalogue) else source)
    store, carried = collection.store, Carried()

    def carry(vanished: Sequence[str]) -> frozenset[str]:
        nonlocal carried
        if not dry_run:
            carried = carry_annotations(store, root.name, vanished, under=under)
        return carried.moved

    if isinstance(source, Catalogue):
        report, going = _prune_catalogue(collection, source, carry, allow=allow_removals)
    else:
        report, going = _prune_folder(collection, source, options, carry, allow=allow_removals)
    report = replace(report, held_back=going.held_back, problems=going.problems)
    if dry_run:
        return report
    removed = missing.mark_missing(store, going.remove, moved=carried.moved)
    if removed:
        store.settings.set(settings_keys.UPDATED_AT, time.time())
    return replace(report, removed=removed, moved=carried.items_moved, restored=carried.restored)


@dataclass(frozen=True, slots=True, kw_only=True)
class ForgetReport:
    """The ids of missing items that ``forget_missing`` forgot (or would), and how many stay."""

    forgotten: tuple[str, ...]
    missing: int


def forget_missing(
    collection: "Collection", *, older_than: float = 0.0, dry_run: bool = False
) -> ForgetReport:
    """Forget the annotations of items that have been missing for ``older_than`` days or longer.

    If their files come back later, they are new items. Nothing else forgets them automatically.
    ``dry_run`` only lists them.
    """
    latest = time.time() - 86_400 * older_than
    gone, kept = [], 0
    for one in collection.missing():
        if one.since <= latest:
            gone.append(one.item.id)
        else:
            kept += 1
    if not dry_run:
        for start in range(0, len(gone), _BATCH):
            missing.forget(collection.store, gone[start : start + _BATCH])
    return ForgetReport(forgotten=tuple(gone), missing=kept)


def _prune_folder(
    collection: "Collection", folder: Path, options: ScanOptions, carry: _Carry, *, allow: bool
) -> tuple[PruneReport, removals.Removals]:
    root, known, listing = scan_indexed(collection, folder, options)
    plan = plan_folder(listing, known, {})
    items = sum(bool(path) for path in known)  # an item without a path was added as bytes
    vanished = set(plan.vanished)
    going = removals.settle(
        collection.store,
        root.path,
        {one: path for path, (one, _) in known.items() if one in vanished},
        items,
        place=str(folder),
        followed=carry(plan.vanished),
        allow=allow,
    )
    return PruneReport(checked=items, vanished=plan.vanished, kept=plan.kept), going


def _prune_catalogue(
    collection: "Collection", catalogue: Catalogue, carry: _Carry, *, allow: bool
) -> tuple[PruneReport, removals.Removals]:
    root = find_catalogue_root(collection, catalogue, instead="prune that")
    known = {
        one: path for path, (one, _) in collection.store.items.stamps(root.name).items() if path
    }
    named: set[str] = set()
    malformed: list[Skipped] = []
    has_lines = False
    for one in catalogue.entries():
        if one is None:
            continue
        if not isinstance(one, Entry):
            malformed.append(one)
        elif removals.is_cut_off(collection.store, one, known, named, allow=allow):
            malformed.append(removals.cut_off(one))
        else:
            named.add(one.id)
            has_lines = has_lines or bool(one.line)
    gone = {one: path for one, path in known.items() if one not in named}
    going = removals.settle(
        collection.store,
        catalogue.root,
        gone,
        len(known),
        place=str(getattr(catalogue, "path", catalogue.root)),
        followed=frozenset() if malformed else carry(sorted(gone)),
        in_folders=not has_lines,
        malformed=malformed,
        allow=allow,
    )
    going = replace(going, problems=removals.problems(malformed, going))
    return PruneReport(checked=len(known), vanished=tuple(sorted(gone))), going
