"""Printing of results: JSON, lines of text, tables."""

import json
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import click

from lookalike.core.records import Leftover, Note
from lookalike.output.json_documents import notes_json

if TYPE_CHECKING:
    from lookalike.collection_info import CollectionInfo

__all__ = [
    "encoder_text",
    "leftover_text",
    "lines",
    "plain",
    "print_json",
    "print_notes",
    "print_table",
    "size_text",
    "stdout",
]


class _Stdout:
    """Whether stdout already holds a document or data, so that no error document may follow."""

    taken = False


stdout = _Stdout()


def print_json(value: object) -> None:
    """Print one JSON document on stdout."""
    stdout.taken = True
    click.echo(json.dumps(value, ensure_ascii=False, indent=2))


def print_notes(notes: Sequence[Note], *, as_json: bool = False) -> None:
    """Print notes on stderr, one per line; with ``as_json`` all of them as one line of JSON."""
    if as_json and notes:
        click.echo(json.dumps({"notes": notes_json(notes)}, ensure_ascii=False), err=True)
        return
    for note in notes:
        click.echo(plain(f"note: {note.message}"), err=True)


def size_text(count: int) -> str:
    """Return a number of bytes with an SI unit, as in ``1.2 MB``."""
    size = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:  # noqa: PLR2004 - SI units
            return f"{size:.0f} {unit}" if unit in ("B", "kB") else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"


def plain(text: str) -> str:
    """Return the text on one line, with line ends and control characters escaped."""
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in text
    )


def leftover_text(left: Leftover) -> str:
    """Say that a folder remains after its collection was removed, and why."""
    if not left.count:
        return f"{plain(left.folder)} is now empty, but could not be removed"
    shown = ", ".join(plain(name) for name in left.files[:3])
    more = f" and {left.count - 3:,} more" if left.count > 3 else ""  # noqa: PLR2004 - as shown
    return f"kept {plain(left.folder)}: it contains other files ({shown}{more})"


def lines(values: Iterable[str], *, null: bool) -> None:
    """Print one value per line; with ``null``, end each with a NUL byte (``xargs -0``)."""
    for value in values:
        click.echo(value + "\0" if null else value, nl=not null)


def encoder_text(info: "CollectionInfo") -> str:
    """Return a collection's encoder, and the length and kind of its embeddings."""
    from lookalike.encoders.projection import is_projected

    if info.encoder is None:
        return "none yet"
    space = ", projected" if is_projected(info.fingerprint or "") else ""
    return f"{info.encoder} ({info.dim} values{space})"


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print a table on a terminal; elsewhere one row per line, tab-separated, without a header."""
    if not sys.stdout.isatty():
        for row in rows:
            click.echo("\t".join(map(str, row)))
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold", show_header=any(columns))
    for column in columns:
        table.add_column(column, justify="right" if column == "#" else "left", overflow="fold")
    for row in rows:
        # Text, not str: rich would read a file name such as "[red]" as markup
        table.add_row(*(one if isinstance(one, Text) else Text(str(one)) for one in row))
    Console(highlight=False).print(table)
