"""Removing what has vanished from a source, as a step of its own.

``index`` does it at its end. Where several machines index parts of a source, none of them knows
what the others saw; so afterwards one looks at the whole, and removes.
"""

import os
from dataclasses import dataclass, replace
from pathlib import Path

from lookalike import images, removals
from lookalike.catalogues import open_catalogue, recognise
from lookalike.collection import Collection
from lookalike.errors import SourceError
from lookalike.indexing import plan_folder
from lookalike.protocols import Catalogue
from lookalike.records import Entry, Skipped
from lookalike.roots import Root, below, innermost
from lookalike.scan import ScanOptions, check_folder, scan

__all__ = ["PruneReport", "prune"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PruneReport:
    """``vanished`` ids, in order; ``removed`` of them went (none in a dry run).

    ``items`` were looked for. ``kept`` of them were not found, but could not be looked for either.
    ``held_back`` have vanished and stay, as in an ``IndexReport``; ``problems`` say why.
    """

    items: int
    vanished: tuple[str, ...]
    removed: int = 0
    kept: int = 0
    held_back: int = 0
    problems: tuple[str, ...] = ()


def prune(
    collection: Collection,
    source: str | os.PathLike[str] | Catalogue,
    *,
    format: str = "auto",  # noqa: A002 - the word everywhere
    options: ScanOptions = ScanOptions(),  # noqa: B008 - frozen
    dry_run: bool = False,
    allow_removals: bool = False,
) -> PruneReport:
    """Remove the items whose file has gone from a folder, or whose line from a catalogue.

    ``source``, ``format`` and ``options`` are those of ``Collection.index``, and so is what is held
    back, unless ``allow_removals``. A folder that cannot be listed keeps what is below it.
    ``dry_run`` removes nothing.

    Raises ``SourceError`` for a missing folder, and one that was never indexed.
    """
    if isinstance(source, str | os.PathLike):
        path = Path(source).expanduser()
        format = recognise(path) if format == "auto" else format  # noqa: A001 - its name
        source = path if format == "folder" else open_catalogue(path, format)
    if isinstance(source, Catalogue):
        report, going = _of_catalogue(collection, source, allow=allow_removals)
    else:
        report, going = _of_folder(collection, source, options, allow=allow_removals)
    report = replace(report, held_back=going.held_back, problems=going.problems)
    if dry_run or not going.remove:
        return report
    return replace(report, removed=collection.remove(going.remove))


def _of_folder(
    collection: Collection, folder: Path, options: ScanOptions, *, allow: bool
) -> tuple[PruneReport, removals.Removals]:
    root, under = _indexed(collection, folder)
    # Read before the scan: what others index meanwhile has not vanished.
    known = collection.store.stamps(root.name, under)
    apart = below(collection.roots(), root)
    if collection.store.folder is not None:
        apart.append(str(collection.store.folder.resolve()))
    listing = scan(root.path, suffixes=images.SUFFIXES, under=under, options=options, apart=apart)
    plan = plan_folder(listing, known, {})
    items = sum(bool(path) for path in known)  # an item without a path came as bytes
    vanished = set(plan.vanished)
    going = removals.settle(
        collection.store,
        root.path,
        {one: path for path, (one, _) in known.items() if one in vanished},
        items,
        place=str(folder),
        allow=allow,
    )
    return PruneReport(items=items, vanished=plan.vanished, kept=plan.kept), going


def _of_catalogue(
    collection: Collection, catalogue: Catalogue, *, allow: bool
) -> tuple[PruneReport, removals.Removals]:
    root, under = _indexed(collection, catalogue.root)
    if under:
        raise SourceError(
            f"{catalogue.root} lies in {root.path}, which was indexed as a folder; prune that"
        )
    known = {one: path for path, (one, _) in collection.store.stamps(root.name).items() if path}
    named: set[str] = set()
    malformed: list[Skipped] = []
    has_lines = False
    for one in catalogue.entries():
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
        in_folders=not has_lines,
        malformed=malformed,
        allow=allow,
    )
    going = replace(going, problems=(*removals.damage(malformed), *going.problems))
    return PruneReport(items=len(known), vanished=tuple(sorted(gone))), going


def _indexed(collection: Collection, folder: Path) -> tuple[Root, str]:
    """The root that a folder is or lies in, and the path below it."""
    check_folder(folder)
    place = folder.resolve()
    root = innermost(collection.roots(), place)
    if root is None:
        raise SourceError(
            f"{folder} was never indexed into this collection, so nothing of it can have vanished; "
            "`lookalike info` says which folders were"
        )
    under = place.relative_to(root.path).as_posix()
    return root, "" if under == "." else under
