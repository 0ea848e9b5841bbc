"""Index any source: a folder, a catalogue, or single entries."""

import os
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

from lookalike import images
from lookalike.core import settings_keys
from lookalike.core.progress import ProgressCallback
from lookalike.core.protocols import Catalogue, Encoder, Store
from lookalike.core.records import Entry, IndexReport
from lookalike.core.roots import (
    Root,
    below,
    expand_home,
    innermost,
    read_roots,
    roots_json,
    with_root,
)
from lookalike.core.shards import Shard
from lookalike.errors import SourceError
from lookalike.images.thumbnails import set_thumbnail_side
from lookalike.indexing import failures
from lookalike.indexing.archive_names import claim_name
from lookalike.indexing.catalogue_files import remember_catalogue
from lookalike.indexing.catalogue_indexing import index_catalogue
from lookalike.indexing.entry_indexing import index_listed
from lookalike.indexing.file_indexing import list_files
from lookalike.indexing.file_reading import ReadOptions
from lookalike.indexing.fitting import EncoderBinding, ProjectionDim
from lookalike.indexing.folder_indexing import index_folder
from lookalike.indexing.relocating import check_new
from lookalike.regions.position_maps import require_map
from lookalike.regions.table import set_region_count
from lookalike.sources.archives import read_archive
from lookalike.sources.catalogues import open_catalogue, recognise
from lookalike.sources.named_files import expand_pattern
from lookalike.sources.scan import ScanOptions, check_folder

__all__ = ["IndexOptions", "index_source"]


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexOptions:
    """Options of indexing; the fields are the keywords of ``Collection.index``."""

    format: str = "auto"
    options: ScanOptions | None = None
    keep_missing: bool = False
    allow_removals: bool = False
    retry: bool = False
    reread: bool = False
    settle: float = 0.0
    shard: Shard | None = None
    overwrite_by_hand: bool = False
    as_new: bool = False
    thumbnails: int | None = None
    regions: int | None = None
    dim: ProjectionDim = "auto"
    optimize: bool = True


def index_source(
    store: Store,
    open_encoder: Callable[[], Encoder],
    source: str | os.PathLike[str] | Catalogue | Iterable[Entry | str | os.PathLike[str]],
    options: IndexOptions,
    *,
    limits: images.Limits,
    progress: ProgressCallback | None,
    stop: Callable[[], bool],
) -> IndexReport:
    """Bring a store in line with a source. Raise as ``Collection.index`` does.

    ``open_encoder`` is called when an image must be encoded; the store is then bound to it, with a
    projection where ``options.dim`` says so.
    """
    began = time.monotonic()
    reading = ReadOptions(reread=options.reread, settle=options.settle)
    encoder = EncoderBinding(
        store=store,
        open_encoder=open_encoder,
        dim=options.dim,
        limits=limits,
        progress=progress,
        stop=stop,
    )
    if options.thumbnails is not None:
        set_thumbnail_side(store, options.thumbnails)
    if options.regions is not None:
        if options.regions:
            require_map(open_encoder())
        set_region_count(store, options.regions)
    if isinstance(source, str | os.PathLike):
        source = _open(store, expand_home(source), options.format, limits, stop)
    if isinstance(source, Path):
        check_folder(source)
        root, under = _register_root(store, source, as_new=options.as_new)
        report = index_folder(
            store,
            encoder,
            root.path,
            name=root.name,
            under=under,
            options=options.options or ScanOptions(),
            apart=below(read_roots(store.settings.get(settings_keys.ROOTS)), root),
            keep_missing=options.keep_missing,
            allow_removals=options.allow_removals,
            retry=options.retry,
            shard=options.shard,
            overwrite_by_hand=options.overwrite_by_hand,
            reading=reading,
            limits=limits,
            progress=progress,
            stop=stop,
        )
    elif isinstance(source, Catalogue):
        root, under = _register_root(store, source.root, as_new=options.as_new)
        if under:
            raise SourceError(
                f"{source.root} lies in {root.path}, which this collection indexes as a "
                "folder; index the catalogue into another collection"
            )
        report = index_catalogue(
            store,
            encoder,
            source,
            name=root.name,
            keep_missing=options.keep_missing,
            allow_removals=options.allow_removals,
            retry=options.retry,
            shard=options.shard,
            overwrite_by_hand=options.overwrite_by_hand,
            reading=reading,
            limits=limits,
            progress=progress,
            stop=stop,
        )
    else:
        entries = _list_entries(store, source, as_new=options.as_new)
        shard = options.shard
        report = index_listed(
            store,
            encoder,
            entries if shard is None else (entry for entry in entries if entry.id in shard),
            overwrite_by_hand=options.overwrite_by_hand,
            reading=replace(reading, look_again=False),  # who names a file has written it
            limits=limits,
            progress=progress,
            stop=stop,
        )
        failures.remember(store, "", report.skipped, whole=False, kind="id")
    report = replace(report, seconds=time.monotonic() - began)
    remember_catalogue(store, source)
    if report.indexed or report.reused or report.removed:
        store.settings.set(settings_keys.UPDATED_AT, time.time())
    if options.optimize and not report.interrupted:
        store.search.optimize()
    return report


def _open(
    store: Store, path: Path, format: str, limits: images.Limits, stop: Callable[[], bool]
) -> Path | Catalogue | Iterable[Entry] | list[Path]:
    format = recognise(path) if format == "auto" else format
    match format:
        case "folder":
            return path
        case "files":
            return expand_pattern(path)
        case "archive":
            claim_name(store, path)
            return read_archive(path, limits=limits, stop=stop)
        case _:
            return open_catalogue(path, format)


def _list_entries(
    store: Store, source: Iterable[Entry | str | os.PathLike[str]], *, as_new: bool
) -> Iterable[Entry]:
    """Return the entries of a list; files that it names lie in roots."""
    if not isinstance(source, list | tuple) or all(isinstance(one, Entry) for one in source):
        return cast("Iterable[Entry]", source)
    files = [expand_home(one) for one in source if not isinstance(one, Entry)]
    if len(files) != len(source):
        raise SourceError("a list names files or holds entries, but not both")
    return list_files(store, files, lambda folder: _register_root(store, folder, as_new=as_new))


def _register_root(store: Store, folder: Path, *, as_new: bool) -> tuple[Root, str]:
    """Return the root that contains a folder, and the path below it; add a root if needed."""
    place = folder.resolve()
    around = innermost(read_roots(store.settings.get(settings_keys.ROOTS)), place)
    below_root = place.name if around is None else str(place.relative_to(around.path))
    if not _is_utf8(below_root):
        raise SourceError(f"{ascii(str(folder))[1:-1]}: its name is not UTF-8; rename it")
    if around is None:
        if not as_new:
            check_new(store, place)
        store.settings.change(
            settings_keys.ROOTS, lambda stored: roots_json(with_root(read_roots(stored), place))
        )
    root = innermost(read_roots(store.settings.get(settings_keys.ROOTS)), place)
    if root is None:  # another process has removed it in between
        raise SourceError(f"{folder} has just been removed from the collection; try again")
    under = place.relative_to(root.path).as_posix()
    return root, "" if under == "." else under


def _is_utf8(path: str) -> bool:
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True
