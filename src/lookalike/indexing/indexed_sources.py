"""A source that a collection was indexed from, looked at again: to prune or to verify."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

from lookalike import images
from lookalike.core.protocols import Catalogue
from lookalike.core.records import Stamp
from lookalike.core.roots import Root, below, innermost
from lookalike.errors import SourceError
from lookalike.sources.catalogues import open_catalogue, recognise
from lookalike.sources.catalogues.object_folder import open_objects
from lookalike.sources.scan import Listing, ScanOptions, check_folder, scan

if TYPE_CHECKING:
    from lookalike.collection import Collection

__all__ = ["find_catalogue_root", "find_root", "open_indexed", "scan_indexed"]


def open_indexed(
    collection: "Collection", source: str | os.PathLike[str] | Catalogue, format: str
) -> Path | Catalogue:
    """Return a source as ``Collection.index`` takes it: a folder, or an opened catalogue."""
    source = open_objects(source, collection.cache)
    if not isinstance(source, str | os.PathLike):
        return source
    path = Path(source).expanduser()
    format = recognise(path) if format == "auto" else format
    return path if format == "folder" else open_catalogue(path, format)


def find_root(collection: "Collection", folder: Path) -> tuple[Root, str]:
    """Return the root that contains a folder, and the folder's path below it."""
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


def find_catalogue_root(collection: "Collection", catalogue: Catalogue, *, instead: str) -> Root:
    """Return the root of a catalogue. Raise ``SourceError`` where it belongs to a folder."""
    root, under = find_root(collection, catalogue.root)
    if under:
        raise SourceError(
            f"{catalogue.root} lies in {root.path}, which was indexed as a folder; {instead}"
        )
    return root


def scan_indexed(
    collection: "Collection", folder: Path, options: ScanOptions
) -> tuple[Root, dict[str, tuple[str, Stamp | None]], Listing]:
    """Return the root of a folder, the ids and stamps of its items by path, and its files."""
    root, under = find_root(collection, folder)
    # Read before the scan: items that others index meanwhile have not vanished.
    known = collection.store.items.stamps(root.name, under)
    listing = scan(
        root.path,
        suffixes=images.SUFFIXES,
        under=under,
        options=options,
        apart=below(collection.roots(), root),
    )
    return root, known, listing
