"""A collection as a file that other programs read, and that can be indexed again.

    report = export(shop, "shop.csv")
    lookalike index shop.csv --root photos/       # the same items in another collection

Columns, and what each format can hold: docs/export.md.
"""

import csv
import io
import json
import math
import os
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from decimal import Decimal
from itertools import islice
from pathlib import Path
from tempfile import SpooledTemporaryFile
from types import ModuleType
from typing import IO, BinaryIO, Literal, Protocol, Self, TextIO, TypeAlias

import numpy as np

from lookalike.collection import Collection
from lookalike.core.filters import Condition
from lookalike.core.records import Item, Json
from lookalike.core.vectors import Matrix
from lookalike.errors import ExportError, ItemNotFoundError
from lookalike.output.outputs import check_output

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

_COLUMNS = ("id", "file", "label", "group")  # what `lookalike index` takes for an item's own
_FACTS = ("path", "width", "height", "digest")
_VECTOR = "vector"
_PREFIX = "metadata."
_BATCH = 4096  # rows at a time, and in a row group: 20 MB of vectors of 1,280 numbers
_SPOOL_BYTES = 64_000_000  # rows wait in memory up to this, then in a temporary file
_EXACT_FLOAT = 2**53  # up to here a float64 holds every whole number
_INT64 = 2**63

_Row: TypeAlias = dict[str, Json]  # a column that an item has nothing for may be missing
_Heard: TypeAlias = Callable[[int, int | None, str], None] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportReport:
    """What was written.

    ``removed`` items went from the collection while their vectors were being read, and are in
    neither file. ``root`` is the folder that the ``file`` column is below. ``as_json`` names
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
    """The format to write; ``None`` as target is a stream. ``ValueError`` for what cannot be."""
    suffix = "" if target is None else Path(target).suffix.lower()
    found = format or (FORMATS.get(suffix) if target is not None else "jsonl")
    kind = next((one for one in FORMATS.values() if one == found), None)
    known = ", ".join(dict.fromkeys(FORMATS.values()))
    if kind is None and format is not None:
        raise ValueError(f"there is no format {format!r}; there are {known}")
    if kind is None:
        raise ValueError(f"{target} has no suffix that says its format; say one of {known}")
    if target is None and kind == "parquet":
        raise ValueError("Parquet can only be written to a file")
    if target is None and vectors == "npy":
        raise ValueError("vectors are written beside a file, and there is none")
    if vectors == "column" and kind != "parquet":
        raise ValueError(
            f"only Parquet has columns for vectors; {kind} takes npy, a file beside it"
        )
    return kind


def export(
    collection: Collection,
    target: str | os.PathLike[str] | TextIO,
    *,
    format: str | None = None,
    where: str | Condition | None = None,
    vectors: Vectors = "none",
    facts: bool = False,
    force: bool = False,
    progress: _Heard = None,
) -> ExportReport:
    """Write the items, all or those that meet a filter, by ascending id.

    ``target`` is a file, whose suffix says the format, or a text stream. The items are those of
    one moment, memory stays flat, and a file is there whole or not at all. ``vectors`` go into a
    NumPy file beside it (``npy``: ``shop.vectors.npy``, its rows in the file's order) or into a
    ``column`` (Parquet). ``facts`` adds where the picture lies, its size and its digest: a table
    with them is for other programs, since indexing it again would take them for metadata.
    ``force`` replaces a file that is there. ``progress`` hears (done, total, what is being done).

    Raises ``ExportError`` where the file cannot be written or pyarrow is missing, ``FilterError``,
    ``StoreError``, and ``ValueError`` for a format that cannot be (see ``format_of``).
    """
    path = Path(target) if isinstance(target, str | os.PathLike) else None
    kind = format_of(path, format, vectors)
    beside = path.with_suffix(".vectors.npy") if path is not None and vectors == "npy" else None
    arrow = _arrow() if kind == "parquet" else None
    total = collection.count(where)
    places = _Places.of(collection)
    own = (*_COLUMNS, *(_FACTS if facts else ()), *([_VECTOR] if vectors == "column" else ()))
    rows: Iterator[_Row] = (
        _row(item, places, own, facts=facts) for item in collection.items(where)
    )
    for one in (path, beside):
        if one is not None and force:
            check_output(one, [collection])
    with ExitStack() as stack:
        stack.enter_context(_told(path))
        text = stack.enter_context(_Target(path, force=force)) if path is not None else None
        array = stack.enter_context(_Target(beside, force=force)) if beside is not None else None
        kinds: dict[str, set[str]] = {}
        if kind != "jsonl":  # all columns must be known before the first row is written
            spool = stack.enter_context(
                SpooledTemporaryFile(_SPOOL_BYTES, "w+", encoding="utf-8", newline="\n")
            )
            _spool(rows, spool, kinds, progress, total)
            rows = map(json.loads, spool)
        columns = (*(one for one in own if one != _VECTOR), *sorted(kinds.keys() - set(own)))
        writer: _Writer
        if arrow is not None and text is not None:
            stack.callback(text.file.close)
            writer = _Parquet(
                arrow,
                text.file,
                columns,
                kinds,
                about=_about(collection),
                vectors=vectors == "column",
            )
            stack.callback(writer.close)
        else:
            out = text.text() if text is not None else target
            assert not isinstance(out, str | os.PathLike)  # noqa: S101 - `path` is set for those
            writer = (
                _Lines(out)
                if kind == "jsonl"
                else _Csv(out, columns, delimiter="\t" if kind == "tsv" else ",")
            )
        matrices = _Npy(array.file, collection.info().dim or 0) if array is not None else None
        done = removed = 0
        while batch := list(islice(rows, _BATCH)):
            matrix = None
            kept = batch
            if vectors != "none":
                kept, matrix = _with_vectors(collection, batch)
            removed += len(batch) - len(kept)
            writer.write(kept, matrix)
            if matrices is not None and matrix is not None:
                matrices.write(matrix)
            done += len(kept)
            if progress is not None:
                progress(done, total, "written")
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
        as_json=() if kind == "jsonl" else _json_columns(kind, kinds),
        notes=() if done else tuple(note.message for note in collection.notes(where)),
    )


# -- rows ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Places:
    """The deepest folder that all roots lie in, and each root's place below it.

    With one root that is the root: what the table calls ``file`` is then the item's path.
    """

    folder: Path | None
    below: Mapping[str, str]
    roots: Mapping[str, Path]

    @classmethod
    def of(cls, collection: Collection) -> "_Places":
        roots = {root.name: root.path for root in collection.roots()}
        try:
            folder = Path(os.path.commonpath(roots.values())) if roots else None
        except ValueError:  # two drives of Windows: no folder holds both
            folder = None
        if folder is None:
            return cls(None, {}, roots)
        below = {
            name: "" if path == folder else f"{path.relative_to(folder).as_posix()}/"
            for name, path in roots.items()
        }
        return cls(folder, below, roots)


def _row(item: Item, places: _Places, own: Sequence[str], *, facts: bool) -> _Row:
    row: _Row = {
        "id": item.id,
        "file": places.below.get(item.root, "") + item.path if item.path else None,
        "label": item.label,
        "group": item.group,
    }
    if facts:
        root = places.roots.get(item.root)
        row["path"] = str(root / item.path) if item.path and root is not None else None
        row |= {"width": item.width, "height": item.height, "digest": item.digest}
    for name, value in item.metadata.items():
        row[column(name, own)] = value
    return row


def column(name: str, own: Sequence[str] = _COLUMNS) -> str:
    """The column of a metadata field: its name, unless that would mean something else."""
    return f"{_PREFIX}{name}" if name in own or not name or name.startswith(_PREFIX) else name


def _spool(
    rows: Iterable[_Row], spool: IO[str], kinds: dict[str, set[str]], progress: _Heard, total: int
) -> None:
    """Put rows by, and learn of what kinds each column's values are."""
    done = 0
    for done, row in enumerate(rows, 1):
        for name, value in row.items():
            kinds.setdefault(name, set()).add(_kind(value))
        spool.write(json.dumps(row, ensure_ascii=False) + "\n")
        if progress is not None and done % _BATCH == 0:
            progress(done, total, "read")
    spool.seek(0)


def _kind(value: Json) -> str:  # noqa: PLR0911 - a kind each
    match value:
        case None:
            return "null"
        case bool():
            return "bool"
        case int():
            if abs(value) <= _EXACT_FLOAT:
                return "int"
            return "large" if -_INT64 <= value < _INT64 else "huge"
        case float():
            return "float"
        case str():
            return "text"
    return "nested"


def _json_columns(kind: Format, kinds: Mapping[str, set[str]]) -> tuple[str, ...]:
    if kind == "parquet":
        return tuple(sorted(name for name, some in kinds.items() if _arrow_type(some) == "json"))
    return tuple(sorted(name for name, some in kinds.items() if "nested" in some))


def _with_vectors(collection: Collection, rows: list[_Row]) -> tuple[list[_Row], Matrix]:
    """The rows whose items are still there, and their vectors."""
    while True:
        try:
            return rows, collection.vectors([str(row["id"]) for row in rows])
        except ItemNotFoundError:
            rows = [row for row in rows if row["id"] in collection]


# -- formats -------------------------------------------------------------------------------


class _Writer(Protocol):
    def write(self, rows: Sequence[_Row], vectors: Matrix | None) -> None: ...

    def close(self) -> None:
        """End the file. Closing twice is fine."""


class _Lines:
    """A JSON object a line."""

    def __init__(self, out: TextIO) -> None:
        self._out = out

    def write(self, rows: Sequence[_Row], vectors: Matrix | None) -> None:  # noqa: ARG002 - as all
        self._out.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)

    def close(self) -> None:
        self._out.flush()


class _Csv:
    def __init__(self, out: TextIO, columns: Sequence[str], *, delimiter: str) -> None:
        self._out = out
        self._columns = columns
        self._writer = csv.writer(out, delimiter=delimiter)  # ends lines as RFC 4180 says, by \r\n
        self._writer.writerow(columns)

    def write(self, rows: Sequence[_Row], vectors: Matrix | None) -> None:  # noqa: ARG002 - as all
        self._writer.writerows([_cell(row.get(name)) for name in self._columns] for row in rows)

    def close(self) -> None:
        self._out.flush()


def _cell(value: Json) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case float() if math.isfinite(value) and "e" in repr(value):
            return format(Decimal(repr(value)), "f")  # 0.00001, which more programs read than 1e-05
        case str():
            return value
        case int() | float():
            return repr(value)
    return json.dumps(value, ensure_ascii=False)


def _arrow() -> ModuleType:
    try:
        import pyarrow as pa  # noqa: PLC0415 - an extra, and 60 ms
        import pyarrow.parquet  # noqa: PLC0415 - likewise
    except ImportError as error:
        raise ExportError(
            "writing Parquet needs pyarrow; `pip install 'lookalike[parquet]'` brings it"
        ) from error
    module: ModuleType = pa
    return module


def _arrow_type(kinds: set[str]) -> str:
    """What a column of such values is in Parquet: an Arrow type's name, or ``json`` for text."""
    some = kinds - {"null"}
    if some <= {"text"}:
        return "string"
    if some == {"bool"}:
        return "bool_"
    if some <= {"int", "large"}:
        return "int64"
    return "float64" if some <= {"int", "float"} else "json"


def _about(collection: Collection) -> dict[str, str]:
    info = collection.info()
    return {
        "lookalike.encoder": info.encoder or "",
        "lookalike.fingerprint": info.fingerprint or "",
        "lookalike.dim": str(info.dim or 0),
    }


class _Parquet:
    """A row group a batch. Columns whose values have no common type hold each as JSON text."""

    def __init__(
        self,
        arrow: ModuleType,
        file: BinaryIO,
        columns: Sequence[str],
        kinds: Mapping[str, set[str]],
        *,
        about: Mapping[str, str],
        vectors: bool,
    ) -> None:
        self._arrow = arrow
        self._types = {name: _arrow_type(kinds.get(name, set())) for name in columns}
        fields = [
            arrow.field(name, arrow.string(), metadata={"lookalike": "json"})
            if kind == "json"
            else arrow.field(name, getattr(arrow, kind)())
            for name, kind in self._types.items()
        ]
        self._dim = int(about["lookalike.dim"])
        if vectors:
            fields.append(arrow.field(_VECTOR, arrow.list_(arrow.float32(), self._dim)))
        self._schema = arrow.schema(fields, metadata=dict(about))
        self._writer = arrow.parquet.ParquetWriter(file, self._schema, compression="zstd")

    def write(self, rows: Sequence[_Row], vectors: Matrix | None) -> None:
        arrow = self._arrow
        if not rows:
            return
        arrays = [
            arrow.array(
                [None if (value := row.get(name)) is None else _typed(kind, value) for row in rows],
                self._schema.field(name).type,
            )
            for name, kind in self._types.items()
        ]
        if vectors is not None and _VECTOR in self._schema.names[len(self._types) :]:
            flat = arrow.array(np.ascontiguousarray(vectors, dtype=np.float32).ravel())
            arrays.append(arrow.FixedSizeListArray.from_arrays(flat, self._dim))
        self._writer.write_batch(arrow.record_batch(arrays, schema=self._schema))

    def close(self) -> None:
        self._writer.close()


def _typed(kind: str, value: Json) -> Json:
    if kind == "json":
        return json.dumps(value, ensure_ascii=False)
    return float(value) if kind == "float64" and isinstance(value, int) else value


class _Npy:
    """(n, dim) float32 in C order, a batch at a time.

    Written and not mapped: a mapped file on a full disk ends the process without a word. The
    header is padded so that the true number of rows takes the place of the first guess, none.
    """

    def __init__(self, file: BinaryIO, dim: int) -> None:
        self._file = file
        self._rows, self._dim = 0, dim
        self._header()

    def write(self, vectors: Matrix) -> None:
        self._rows += len(vectors)
        self._file.write(np.ascontiguousarray(vectors, dtype="<f4").tobytes())

    def close(self) -> None:
        self._file.seek(0)
        self._header()
        self._file.flush()

    def _header(self) -> None:
        np.lib.format.write_array_header_1_0(
            self._file,
            {"descr": "<f4", "fortran_order": False, "shape": (self._rows, self._dim)},
        )


# -- files ---------------------------------------------------------------------------------


class _Target:
    """A file that appears whole, under its name, when the block ends well; else not at all."""

    def __init__(self, path: Path, *, force: bool) -> None:
        self._path = path
        self._force = force
        self._check()
        self._part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")

    def _check(self) -> None:
        if self._path.exists() and not self._path.is_file():
            raise ExportError(f"{self._path} is there, and is no file; choose another name")
        if self._path.exists() and not self._force:
            raise ExportError(f"{self._path} is there already; --force (force=True) replaces it")

    def __enter__(self) -> Self:
        self.file: BinaryIO = self._part.open("xb")
        self._text: TextIO | None = None
        return self

    def text(self) -> TextIO:
        self._text = io.TextIOWrapper(self.file, encoding="utf-8", newline="")
        return self._text

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            (self._text or self.file).close()
            if kind is None:
                self._check()
                self._part.replace(self._path)
        finally:
            self._part.unlink(missing_ok=True)


@contextmanager
def _told(path: Path | None) -> Iterator[None]:
    """Turn the errors of a file into ours."""
    try:
        yield
    except BrokenPipeError:  # who reads has enough
        raise
    except OSError as error:
        what = error.strerror or str(error)
        raise ExportError(f"{path or 'the output'} cannot be written: {what}") from error
