"""Writers of tables: JSON lines, CSV and TSV, Parquet; and of vectors as a NumPy file."""

import csv
import json
import math
from collections.abc import Mapping, Sequence
from decimal import Decimal
from types import ModuleType
from typing import BinaryIO, Protocol, TextIO

import numpy as np

from lookalike.core.records import Json
from lookalike.core.vectors import Matrix
from lookalike.errors import ExportError
from lookalike.output.table_rows import VECTOR_COLUMN, Row, arrow_type_of

__all__ = [
    "CsvWriter",
    "JsonLinesWriter",
    "NpyWriter",
    "ParquetWriter",
    "TableWriter",
    "import_arrow",
]


class TableWriter(Protocol):
    def write(self, rows: Sequence[Row], vectors: Matrix | None) -> None: ...

    def close(self) -> None:
        """End the file. May be called twice."""


class JsonLinesWriter:
    """Writes one JSON object per line."""

    def __init__(self, out: TextIO) -> None:
        self._out = out

    def write(self, rows: Sequence[Row], vectors: Matrix | None) -> None:  # noqa: ARG002 - as all
        self._out.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)

    def close(self) -> None:
        self._out.flush()


class CsvWriter:
    def __init__(self, out: TextIO, columns: Sequence[str], *, delimiter: str) -> None:
        self._out = out
        self._columns = columns
        self._writer = csv.writer(out, delimiter=delimiter)  # ends lines as RFC 4180 says, by \r\n
        self._writer.writerow(columns)

    def write(self, rows: Sequence[Row], vectors: Matrix | None) -> None:  # noqa: ARG002 - as all
        self._writer.writerows(
            [_format_cell(row.get(name)) for name in self._columns] for row in rows
        )

    def close(self) -> None:
        self._out.flush()


def _format_cell(value: Json) -> str:
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


def import_arrow() -> ModuleType:
    try:
        import pyarrow as pa  # noqa: PLC0415 - an extra, and 60 ms
        import pyarrow.parquet  # noqa: PLC0415 - likewise
    except ImportError as error:
        raise ExportError(
            "writing Parquet needs pyarrow; `pip install 'lookalike[parquet]'` brings it"
        ) from error
    module: ModuleType = pa
    return module


class ParquetWriter:
    """Writes one row group per batch. Columns without a common type hold JSON text."""

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
        self._types = {name: arrow_type_of(kinds.get(name, set())) for name in columns}
        fields = [
            arrow.field(name, arrow.string(), metadata={"lookalike": "json"})
            if kind == "json"
            else arrow.field(name, getattr(arrow, kind)())
            for name, kind in self._types.items()
        ]
        self._dim = int(about["lookalike.dim"])
        if vectors:
            fields.append(arrow.field(VECTOR_COLUMN, arrow.list_(arrow.float32(), self._dim)))
        self._schema = arrow.schema(fields, metadata=dict(about))
        self._writer = arrow.parquet.ParquetWriter(file, self._schema, compression="zstd")

    def write(self, rows: Sequence[Row], vectors: Matrix | None) -> None:
        arrow = self._arrow
        if not rows:
            return
        arrays = [
            arrow.array(
                [
                    None if (value := row.get(name)) is None else _convert(kind, value)
                    for row in rows
                ],
                self._schema.field(name).type,
            )
            for name, kind in self._types.items()
        ]
        if vectors is not None and VECTOR_COLUMN in self._schema.names[len(self._types) :]:
            flat = arrow.array(np.ascontiguousarray(vectors, dtype=np.float32).ravel())
            arrays.append(arrow.FixedSizeListArray.from_arrays(flat, self._dim))
        self._writer.write_batch(arrow.record_batch(arrays, schema=self._schema))

    def close(self) -> None:
        self._writer.close()


def _convert(kind: str, value: Json) -> Json:
    if kind == "json":
        return json.dumps(value, ensure_ascii=False)
    return float(value) if kind == "float64" and isinstance(value, int) else value


class NpyWriter:
    """Writes (n, dim) float32 in C order, one batch at a time.

    Written, not memory-mapped: a mapped file on a full disk ends the process without a message. The
    header is padded, so that the final number of rows replaces the initial zero.
    """

    def __init__(self, file: BinaryIO, dim: int) -> None:
        self._file = file
        self._rows, self._dim = 0, dim
        self._write_header()

    def write(self, vectors: Matrix) -> None:
        self._rows += len(vectors)
        self._file.write(np.ascontiguousarray(vectors, dtype="<f4").tobytes())

    def close(self) -> None:
        self._file.seek(0)
        self._write_header()
        self._file.flush()

    def _write_header(self) -> None:
        np.lib.format.write_array_header_1_0(
            self._file,
            {"descr": "<f4", "fortran_order": False, "shape": (self._rows, self._dim)},
        )
