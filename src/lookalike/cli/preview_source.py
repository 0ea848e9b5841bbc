"""``lookalike preview``."""

from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lookalike.cli.options import (
    TableOptions,
    format_option,
    json_option,
    root_option,
    table_options,
)
from lookalike.cli.output import plain, print_json, print_table
from lookalike.cli.sources import Source
from lookalike.core.protocols import Catalogue
from lookalike.core.records import Entry, Remote, Skipped

if TYPE_CHECKING:
    from lookalike.core.records import Json

__all__ = ["preview_command"]

_LOOKED_AT = 1000  # entries and lines of a catalogue
_SKIPS = 5


@click.command("preview")
@click.argument("source", metavar="SOURCE")
@format_option
@root_option
@table_options
@click.option(
    "-n",
    "--limit",
    type=click.IntRange(1),
    default=5,
    show_default=True,
    help="The number of images to show.",
)
@json_option
def preview_command(
    *,
    source: str,
    format_: str,
    root: str | None,
    table: TableOptions,
    limit: int,
    as_json: bool,
) -> None:
    """Show how a SOURCE would be indexed: its format, columns, types, and first images.

    Nothing is indexed. The options are those of `lookalike index`.

    \b
      lookalike preview products.csv
      lookalike preview products.csv --column-type ean=text --decimal comma
    """
    files = Path(root).expanduser() if root else None
    found = Source.named(source, format_, files=files, table=table)
    entries, skips = _read_first(found.source, limit)
    if as_json:
        print_json(
            {
                **found.as_json(),
                "images": [_entry_json(one) for one in entries],
                "skipped": [{"path": one.path, "reason": one.reason} for one in skips],
            }
        )
        return
    click.echo(f"{found.name}: read as {found.kind}")
    if columns := found.columns():
        rows = [
            (
                plain(one.column),
                one.use,
                one.type or "-",
                plain(", ".join(map(str, one.examples))),
                plain(one.note),
            )
            for one in columns
        ]
        print_table(("column", "used as", "type", "examples", "note"), rows)
    if entries:
        click.echo()
        print_table(
            ("id", "image", "label", "group"),
            [
                (
                    plain(one.id),
                    plain(_name_image(one)),
                    plain(one.label or "-"),
                    plain(one.group or "-"),
                )
                for one in entries
            ],
        )
    for skip in skips:
        click.echo(f"skipped {plain(skip.path)}: {plain(skip.reason)}", err=True)


def _read_first(
    source: Path | Catalogue | list[Path], limit: int
) -> tuple[list[Entry], list[Skipped]]:
    """Return the first entries of a catalogue, and the first lines that cannot be used."""
    if isinstance(source, Path | list):
        return [], []
    entries: list[Entry] = []
    skips: list[Skipped] = []
    for one in islice(source.entries(), _LOOKED_AT):
        if isinstance(one, Entry) and len(entries) < limit:
            entries.append(one)
        elif isinstance(one, Skipped) and len(skips) < _SKIPS:
            skips.append(one)
    return entries, skips


def _name_image(entry: Entry) -> str:
    if isinstance(entry.image, Remote):
        return entry.image.urls[0] if entry.image.urls else "-"
    if isinstance(entry.image, bytes):
        return f"{len(entry.image):,} bytes"
    return entry.path if entry.stamp is not None else f"{entry.path} (missing)"


def _entry_json(entry: Entry) -> "dict[str, Json]":
    return {
        "id": entry.id,
        "image": _name_image(entry),
        "found": entry.stamp is not None or isinstance(entry.image, bytes),
        "label": entry.label,
        "group": entry.group,
        "metadata": dict(entry.metadata or {}),
    }
