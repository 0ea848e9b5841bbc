"""The sources that a command line names, and how each is read."""

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click

from lookalike.cli.output import plain
from lookalike.config import settings
from lookalike.core.plurals import count_noun
from lookalike.errors import SourceError
from lookalike.sources.catalogues import IMAGES_ALONE, open_catalogue, recognise
from lookalike.sources.catalogues.object_folder import open_objects
from lookalike.sources.catalogues.table import Table
from lookalike.sources.named_files import expand_pattern

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lookalike.cli.options import TableOptions
    from lookalike.core.protocols import Catalogue
    from lookalike.core.records import Json
    from lookalike.sources.catalogues.table_preview import ColumnReport

__all__ = ["Source", "column_json"]

_FIELDS = 12  # columns that a line names


class Source(NamedTuple):
    """A SOURCE of the command line, with its format."""

    name: str
    kind: str
    source: "Path | Catalogue | list[Path]"

    @classmethod
    def of_root(cls, path: Path) -> "Source":
        """Return a folder that the collection has indexed."""
        return cls(plain(str(path)), "folder", path)

    @classmethod
    def named(cls, word: str, kind: str, *, files: Path | None, table: "TableOptions") -> "Source":
        """Return the source that a word of the command line names. Raise ``SourceError``."""
        objects = open_objects(word, settings().cache)
        if not isinstance(objects, str):
            return cls(plain(word), objects.format, objects)
        path = Path(word).expanduser()
        if kind == "auto":
            kind = recognise(path)
        if kind in IMAGES_ALONE:
            if files or table:
                raise SourceError(
                    f"--root, --encoding and the column options are for catalogues, but {path} is "
                    "read as images alone; set --format to read it as something else"
                )
            return cls(plain(word), kind, expand_pattern(path) if kind == "files" else path)
        catalogue = open_catalogue(path, kind, root=files, **table)
        if isinstance(catalogue, Table):
            catalogue.columns()  # a column that does not exist is an error before any work
        return cls(plain(word), kind, catalogue)

    @classmethod
    def gathered(cls, sources: "Iterable[Source]") -> "list[Source]":
        """Return the sources, with all files that were named one by one as a single one."""
        sources = [*sources]
        single = [one for one in sources if one.kind == "files"]
        if len(single) < 2:  # noqa: PLR2004 - nothing to gather
            return sources
        files = [path for one in single if isinstance(one.source, list) for path in one.source]
        together = cls(count_noun(len(files), "file"), "files", files)
        return [*(one for one in sources if one.kind != "files"), together]

    def columns(self) -> "tuple[ColumnReport, ...]":
        """Return how the columns of a table are read; nothing for another source."""
        return self.source.preview() if isinstance(self.source, Table) else ()

    def whole(self, what: str) -> "Path | Catalogue":
        """Return a source that can be compared as a whole, as ``what`` does.

        Raise ``SourceError`` for single files and archives, of which images are only added.
        """
        if self.kind in ("files", "archive") or isinstance(self.source, list):
            raise SourceError(
                f"{what} compares a folder or a catalogue, and {self.name} is read as {self.kind}"
            )
        return self.source

    def announce(self) -> None:
        """Say on stderr how the source is read."""
        for line in _describe(self.kind, self.columns()):
            click.echo(f"{self.name}: {line}", err=True)

    def as_json(self) -> "dict[str, Json]":
        """Return how the source is read, as a document."""
        return {
            "source": self.name,
            "format": self.kind,
            "columns": [column_json(one) for one in self.columns()],
        }


def column_json(column: "ColumnReport") -> "dict[str, Json]":
    return {
        "column": column.column,
        "use": column.use,
        "type": column.type,
        "examples": [*column.examples],
        "note": column.note,
    }


def _describe(kind: str, columns: "tuple[ColumnReport, ...]") -> tuple[str, ...]:
    used: dict[str, list[str]] = {}
    for one in columns:
        if one.use != "metadata":
            used.setdefault(one.use, []).append(plain(one.column))
    if not used:
        return (f"read as {kind}",)
    order = sorted(used, key=["file", "url", "id", "label", "group"].index)
    said = ", ".join(f"{use} from column {', '.join(used[use])}" for use in order)
    fields = [_describe_field(one) for one in columns if one.use == "metadata"]
    lines = (f"read as {kind}: {said}; other columns become metadata",)
    if not fields:
        return lines
    more = f"; and {len(fields) - _FIELDS} more" if len(fields) > _FIELDS else ""
    return (*lines, f"metadata: {'; '.join(fields[:_FIELDS])}{more}")


def _describe_field(column: "ColumnReport") -> str:
    said = f"{plain(column.column)} {column.type or 'empty'}"
    if column.examples:
        said += f" ({', '.join(plain(str(one)) for one in column.examples[:2])})"
    return f"{said}, {plain(column.note)}" if column.note else said
