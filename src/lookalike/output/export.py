"""A collection as a file that other programs read, and that can be indexed again.

    report = export(shop, "shop.csv")
    lookalike index shop.csv --root photos/       # the same items in another collection

Columns, and what each format can hold: docs/export.md.
"""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import Literal, TextIO, TypeAlias

from lookalike.collection import Collection
from lookalike.core.arguments import checked
from lookalike.core.filters import Condition
from lookalike.core.progress import Progress, ProgressCallback
from lookalike.core.vectors import Matrix
from lookalike.display.outputs import check_output
from lookalike.errors import ItemNotFoundError
from lookalike.output.table_rows import (
    BATCH,
    COLUMNS,
    FACTS,
    VECTOR_COLUMN,
    FilePlaces,
    Row,
    arrow_type_of,
    column,
    make_row,
    spool_rows,
)
from lookalike.output.table_writers import (
    CsvWriter,
    JsonLinesWriter,
    NpyWriter,
    ParquetWriter,
    TableWriter,
    import_arrow,
)
from lookalike.output.whole_file import WholeFile, export_errors

__all__ = [
    "FORMATS",
    "VECTORS",
    "ExportReport",
    "Format",
    "Vectors",
    "column",
    "export",
    "format_of",
]

Format: TypeAlias = Literal["csv", "tsv", "jsonl", "parquet"]
Vectors: TypeAlias = Literal["none", "npy", "column"]

FORMATS: dict[str, Format] = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
    ".pq": "parquet",
}
VECTORS: tuple[Vectors, ...] = ("none", "npy", "column")

_SPOOL_BYTES = 64_000_000  # rows wait in memory up to this, then in a temporary file


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportReport:
    """What was written.

    ``removed`` items were removed while their vectors were being read, and are in neither
    file. ``root`` is the folder that the ``file`` column is below. ``as_json`` names
    the columns that hold (also) JSON text, for the format has nothing better. ``notes`` say why
    there are no items.
    """

    items: int
    removed: int
    format: Format
    path: Path | None
    vectors: Path | None
    root: Path | None
    as_json: tuple[str, ...]
    notes: tuple[str, ...] = ()


def format_of(
    target: str | os.PathLike[str] | None,
    format: str | None = None,
    vectors: Vectors = "none",
) -> Format:
    """Return the format to write; ``None`` as target is a stream.

    Raise ``ValueError`` for an impossible combination.
    """
    suffix = "" if target is None else Path(target).suffix.lower()
    found = format or (FORMATS.get(suffix) if target is not None else "jsonl")
    kind = next((one for one in FORMATS.values() if one == found), None)
    known = ", ".join(dict.fromkeys(FORMATS.values()))
    if kind is None and format is not None:
        raise ValueError(f"unknown format {format!r}; the formats are {known}")
    if kind is None:
        raise ValueError(f"{target} has no suffix of a known format; give one of {known}")
    if target is None and kind == "parquet":
        raise ValueError("Parquet can only be written to a file")
    if target is None and vectors == "npy":
        raise ValueError("vectors are written beside a file, and there is none")
    if vectors == "column" and kind != "parquet":
        raise ValueError(
            f"only Parquet has columns for vectors; {kind} takes npy, a file beside it"
        )
    return kind


@checked
def export(
    collection: Collection,
    target: str | os.PathLike[str] | TextIO,
    *,
    format: str | None = None,
    where: str | Condition | None = None,
    vectors: Vectors = "none",
    facts: bool = False,
    force: bool = False,
    progress: ProgressCallback | None = None,
) -> ExportReport:
    """Write the items, all or those that meet a filter, by ascending id.

    ``target`` is a file, whose suffix says the format, or a text stream. The items are those of
    one moment, memory stays flat, and a file is there whole or not at all. ``vectors`` go into a
    NumPy file beside it (``npy``: ``shop.vectors.npy``, its rows in the file's order) or into a
    ``column`` (Parquet). ``facts`` adds where the image lies, its size and its digest: a table
    with them is for other programs, since indexing it again would take them for metadata.
    ``force`` replaces an existing file. ``progress`` gets what is being done as its stage.

    Raise ``ExportError`` where the file cannot be written or pyarrow is missing, ``FilterError``,
    ``StoreError``, and ``ValueError`` for a format that cannot be (see ``format_of``).
    """
    path = Path(target) if isinstance(target, str | os.PathLike) else None
    kind = format_of(path, format, vectors)
    beside = path.with_suffix(".vectors.npy") if path is not None and vectors == "npy" else None
    arrow = import_arrow() if kind == "parquet" else None
    total = collection.count(where)
    places = FilePlaces.of(collection)
    own = (*COLUMNS, *(FACTS if facts else ()), *([VECTOR_COLUMN] if vectors == "column" else ()))
    rows: Iterator[Row] = (
        make_row(item, places, own, facts=facts) for item in collection.items(where)
    )
    for one in (path, beside):
        if one is not None and force:
            check_output(one, [collection])
    with ExitStack() as stack:
        stack.enter_context(export_errors(path))
        text = stack.enter_context(WholeFile(path, force=force)) if path is not None else None
        array = stack.enter_context(WholeFile(beside, force=force)) if beside is not None else None
        kinds: dict[str, set[str]] = {}
        if kind != "jsonl":  # all columns must be known before the first row is written
            spool = stack.enter_context(
                SpooledTemporaryFile(_SPOOL_BYTES, "w+", encoding="utf-8", newline="\n")
            )
            spool_rows(rows, spool, kinds, progress, total)
            rows = map(json.loads, spool)
        columns = (*(one for one in own if one != VECTOR_COLUMN), *sorted(kinds.keys() - set(own)))
        writer: TableWriter
        if arrow is not None and text is not None:
            stack.callback(text.file.close)
            writer = ParquetWriter(
                arrow,
                text.file,
                columns,
                kinds,
                about=_describe_collection(collection),
                vectors=vectors == "column",
            )
            stack.callback(writer.close)
        else:
            out = text.text() if text is not None else target
            assert not isinstance(out, str | os.PathLike)  # noqa: S101 - `path` is set for those
            writer = (
                JsonLinesWriter(out)
                if kind == "jsonl"
                else CsvWriter(out, columns, delimiter="\t" if kind == "tsv" else ",")
            )
        matrices = NpyWriter(array.file, collection.info().dim or 0) if array is not None else None
        done = removed = 0
        while batch := list(islice(rows, BATCH)):
            matrix = None
            kept = batch
            if vectors != "none":
                kept, matrix = _add_vectors(collection, batch)
            removed += len(batch) - len(kept)
            writer.write(kept, matrix)
            if matrices is not None and matrix is not None:
                matrices.write(matrix)
            done += len(kept)
            if progress is not None:
                progress(Progress(done=done, total=total, stage="written"))
        writer.close()
        if matrices is not None:
            matrices.close()
    return ExportReport(
        items=done,
        removed=removed,
        format=kind,
        path=path,
        vectors=beside,
        root=places.folder,
        as_json=() if kind == "jsonl" else json_columns(kind, kinds),
        notes=() if done else tuple(note.message for note in collection.notes(where)),
    )


def json_columns(kind: Format, kinds: Mapping[str, set[str]]) -> tuple[str, ...]:
    if kind == "parquet":
        return tuple(sorted(name for name, some in kinds.items() if arrow_type_of(some) == "json"))
    return tuple(sorted(name for name, some in kinds.items() if "nested" in some))


def _add_vectors(collection: Collection, rows: list[Row]) -> tuple[list[Row], Matrix]:
    """Return the rows whose items are still there, and their vectors."""
    while True:
        try:
            return rows, collection.vectors([str(row["id"]) for row in rows])
        except ItemNotFoundError:
            rows = [row for row in rows if row["id"] in collection]


def _describe_collection(collection: Collection) -> dict[str, str]:
    info = collection.info()
    return {
        "lookalike.encoder": info.encoder or "",
        "lookalike.fingerprint": info.fingerprint or "",
        "lookalike.dim": str(info.dim or 0),
    }
