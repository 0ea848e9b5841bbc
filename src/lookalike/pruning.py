"""Removing what has vanished from a source, as a step of its own.

``index`` does it at its end. Where several machines index parts of a source, none of them knows
what the others saw; so afterwards one looks at the whole, and removes.
"""

import os
from dataclasses import dataclass, replace
from pathlib import Path

from lookalike import images
from lookalike.catalogues import open_catalogue, recognise
from lookalike.collection import Collection
from lookalike.errors import SourceError
from lookalike.indexing import plan_folder
from lookalike.protocols import Catalogue
from lookalike.records import Entry
from lookalike.roots import Root, below, innermost
from lookalike.scan import ScanOptions, check_folder, scan

__all__ = ["PruneReport", "prune"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PruneReport:
    """``vanished`` ids, in order; ``removed`` of them went (none in a dry run).

    ``items`` were looked for. ``kept`` of them were not found, but could not be looked for either.
    """

    items: int
    vanished: tuple[str, ...]
    removed: int = 0
    kept: int = 0


def prune(
    collection: Collection,
    source: str | os.PathLike[str] | Catalogue,
    *,
    format: str = "auto",  # noqa: A002 - the word everywhere
    options: ScanOptions = ScanOptions(),  # noqa: B008 - frozen
    dry_run: bool = False,
    most: bool = False,
) -> PruneReport:
    """Remove the items whose file has gone from a folder, or whose line from a catalogue.

    ``source``, ``format`` and ``options`` are those of ``Collection.index``. A folder that cannot
    be listed keeps what is below it; while a line of a catalogue cannot be understood all its items
    stay, for it may be theirs. ``dry_run`` removes nothing.

    Raises ``SourceError`` for a missing folder, one that was never indexed, and when more than half
    of the items would go, unless ``most``.
    """
    if isinstance(source, str | os.PathLike):
        path = Path(source).expanduser()
        format = recognise(path) if format == "auto" else format  # noqa: A001 - its name
        source = path if format == "folder" else open_catalogue(path, format)
    if isinstance(source, Catalogue):
        report = _of_catalogue(collection, source)
        place = f"the catalogue in {source.root}"
    else:
        report = _of_folder(collection, source, options)
        place = str(source)
    if dry_run:
        return report
    if 2 * len(report.vanished) > report.items and not most:
        raise SourceError(
            f"{len(report.vanished):,} of the {report.items:,} items of {place} are no longer "
            "there, more than half; if that is right, say --yes (--dry-run lists them)"
        )
    return replace(report, removed=collection.remove(report.vanished))


def _of_folder(collection: Collection, folder: Path, options: ScanOptions) -> PruneReport:
    root, under = _indexed(collection, folder)
    # Read before the scan: what others index meanwhile has not vanished.
    known = collection.store.stamps(root.name, under)
    apart = below(collection.roots(), root)
    if collection.store.folder is not None:
        apart.append(str(collection.store.folder.resolve()))
    listing = scan(root.path, suffixes=images.SUFFIXES, under=under, options=options, apart=apart)
    plan = plan_folder(listing, known, {})
    items = sum(bool(path) for path in known)  # an item without a path came as bytes
    return PruneReport(items=items, vanished=plan.vanished, kept=plan.kept)


def _of_catalogue(collection: Collection, catalogue: Catalogue) -> PruneReport:
    root, under = _indexed(collection, catalogue.root)
    if under:
        raise SourceError(
            f"{catalogue.root} lies in {root.path}, which was indexed as a folder; prune that"
        )
    known = collection.store.stamps(root.name)
    ids = [one for path, (one, _) in known.items() if path]
    named, odd = set(), False
    for one in catalogue.entries():
        if isinstance(one, Entry):
            named.add(one.id)
        else:
            odd = True
    gone = tuple(sorted(one for one in ids if one not in named))
    if odd:
        return PruneReport(items=len(ids), vanished=(), kept=len(gone))
    return PruneReport(items=len(ids), vanished=gone)


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
