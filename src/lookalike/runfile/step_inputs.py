"""What the steps work on: sources, files that are read, and options built from the sections."""

from pathlib import Path

from lookalike.config import settings
from lookalike.core.protocols import Catalogue
from lookalike.errors import SourceError
from lookalike.indexing.watching import SETTLE_S
from lookalike.runfile.reading import LoadedRunFile
from lookalike.runfile.sections import DownloadSection, EvaluateSection, IndexSection
from lookalike.sources.catalogues import IMAGES_ALONE, open_catalogue, recognise
from lookalike.sources.catalogues.object_folder import open_objects
from lookalike.sources.download.politeness import Politeness
from lookalike.sources.named_files import is_pattern
from lookalike.sources.object_storage import is_object_url
from lookalike.sources.scan import ScanOptions, check_folder

__all__ = [
    "list_inputs",
    "make_politeness",
    "open_sources",
    "scan_options",
    "settle_of",
    "split_of",
    "table_options",
]


def open_sources(
    loaded: LoadedRunFile, wanted: IndexSection
) -> list[tuple[str, str, Path | Catalogue]]:
    """Return (name, format, folder or catalogue) of each source."""
    download = loaded.file.download
    words = wanted.source or ((download.to,) if download is not None else ())
    found: list[tuple[str, str, Path | Catalogue]] = []
    for word in words:
        objects = open_objects(word, settings().cache)
        if not isinstance(objects, str):
            found.append((word, objects.format, objects))
            continue
        path = loaded.place(word)
        if not path.exists() and not is_pattern(path):
            raise SourceError(f"{path} does not exist (index.source)")
        kind = recognise(path) if wanted.format == "auto" else wanted.format
        table = table_options(wanted)
        if kind not in IMAGES_ALONE:
            root = loaded.place(wanted.root) if wanted.root else None
            catalogue = open_catalogue(path, kind, root=root, **table)
            found.append((word, kind, catalogue))
        elif wanted.root or any(table.values()):
            raise SourceError(
                "index.root, columns, column_types, decimal and encoding are for catalogues; "
                f"{path} is read as images alone (index.format says otherwise)"
            )
        else:
            if kind == "folder":
                check_folder(path)
            found.append((word, kind, path))
    return found


def scan_options(wanted: IndexSection) -> ScanOptions:
    """Return which files of a folder are indexed."""
    return ScanOptions(
        include=wanted.include,
        exclude=wanted.exclude,
        hidden=wanted.hidden,
        follow_links=wanted.follow_links,
    )


def table_options(wanted: DownloadSection | IndexSection) -> dict[str, object]:
    """Return the options of a table; those that are not given are ``None``."""
    return {
        "columns": wanted.columns.given(),
        "column_types": wanted.column_types or None,
        "decimal": wanted.decimal,
        "encoding": wanted.encoding,
        "label_level": wanted.label_level if isinstance(wanted, IndexSection) else None,
    }


def settle_of(wanted: IndexSection) -> float:
    """Return how many seconds a file must have been unchanged before it is read."""
    if wanted.settle is not None:
        return wanted.settle
    return SETTLE_S if wanted.watch else 0.0


def list_inputs(loaded: LoadedRunFile) -> list[Path]:
    """Return the files that the run reads."""
    wanted, fetch = loaded.file.index, loaded.file.download
    words = [*(wanted.source or () if wanted else ()), *([fetch.catalogue] if fetch else ())]
    return [loaded.path, *(loaded.place(word) for word in words if not is_object_url(word))]


def make_politeness(wanted: DownloadSection) -> Politeness:
    plain = Politeness()
    return Politeness(
        concurrent=wanted.concurrent,
        per_host=wanted.per_host,
        rate=wanted.rate or None,
        total_s=wanted.timeout,
        connect_s=min(wanted.timeout, plain.connect_s),
        read_s=min(wanted.timeout, plain.read_s),
        attempts=wanted.attempts,
        user_agent=wanted.user_agent,
        max_bytes=max(int(wanted.max_megabytes * 1e6), 1),
        allow_private=wanted.allow_private,
    )


def split_of(wanted: EvaluateSection) -> tuple[str | None, str | None] | None:
    if wanted.query_where is None and wanted.gallery_where is None:
        return None
    return wanted.query_where, wanted.gallery_where
