"""How answers are printed: JSON, paths, tables."""

import json
import sys
from collections.abc import Iterable, Mapping, Sequence

import click

from lookalike.core.records import Leftover, Note
from lookalike.output.json_documents import notes_json

__all__ = [
    "leftover_text",
    "lines",
    "plain",
    "print_json",
    "print_notes",
    "print_table",
    "reasons_text",
    "size_text",
    "stdout",
]


class _Stdout:
    """Whether stdout holds a document or data, beside which an error must not stand."""

    taken = False


stdout = _Stdout()


def print_json(value: object) -> None:
    """One JSON document on stdout, as text that any terminal or pipe takes."""
    stdout.taken = True
    click.echo(json.dumps(value, ensure_ascii=False, indent=2))


def print_notes(notes: Sequence[Note], *, as_json: bool = False) -> None:
    """Notes on stderr, a line each; as one line of JSON for who asked for that."""
    if as_json and notes:
        click.echo(json.dumps({"notes": notes_json(notes)}, ensure_ascii=False), err=True)
        return
    for note in notes:
        click.echo(plain(f"note: {note.message}"), err=True)


def size_text(count: int) -> str:
    """Bytes as people say them."""
    size = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:  # noqa: PLR2004 - SI units
            return f"{size:.0f} {unit}" if unit in ("B", "kB") else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"


def reasons_text(reasons: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {reason}" for reason, count in reasons.items())


def plain(text: str) -> str:
    """Text on one line: line ends and control characters of file names made visible."""
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in text
    )


def leftover_text(left: Leftover) -> str:
    """That a folder stays after its collection was removed, and why."""
    if not left.count:
        return f"{plain(left.folder)} is empty now, and could not be removed itself"
    shown = ", ".join(plain(name) for name in left.files[:3])
    more = f" and {left.count - 3:,} more" if left.count > 3 else ""  # noqa: PLR2004 - as shown
    return f"{plain(left.folder)} stays: it holds other files ({shown}{more})"


def lines(values: Iterable[str], *, null: bool) -> None:
    """One value a line, or ended by NUL bytes for names with line ends (``xargs -0``)."""
    for value in values:
        click.echo(value + "\0" if null else value, nl=not null)


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """A quiet table on a terminal; elsewhere a row a line, its values between tabs."""
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
        # text as it is: a file name like "[red]" is no markup
        table.add_row(*(one if isinstance(one, Text) else Text(str(one)) for one in row))
    Console(highlight=False).print(table)
