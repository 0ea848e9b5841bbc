"""``lookalike export``."""

import io
import sys
from dataclasses import asdict
from pathlib import Path
from typing import cast

import click

from lookalike.cli.options import (
    Renamed,
    collection_option,
    json_option,
    opened,
    where_option,
)
from lookalike.cli.output import plain, print_json, stdout
from lookalike.cli.progress import Meter
from lookalike.core.plurals import count_noun
from lookalike.output.export import FORMATS, VECTORS, ExportReport, Vectors, export, format_of

__all__ = ["export_command"]


@click.command("export")
@click.argument("file", metavar="FILE")
@collection_option
@where_option
@click.option(
    "--format",
    "format_",
    type=click.Choice(list(dict.fromkeys(FORMATS.values()))),
    help="The output format.  [default: by FILE's suffix; jsonl for -]",
)
@click.option(
    "--vectors",
    type=click.Choice(VECTORS),
    default="none",
    show_default=True,
    help="Also write the embeddings: npy writes them next to FILE, as NAME.vectors.npy; column "
    "writes them into the Parquet file.",
)
@click.option(
    "--details",
    "--facts",
    "details",
    cls=Renamed,
    old=["--facts"],
    is_flag=True,
    help="Also write each image's path, size in pixels and digest.",
)
@click.option("--force", is_flag=True, help="Overwrite an existing FILE.")
@click.option("-q", "--quiet", is_flag=True, help="No progress.")
@json_option
def export_command(
    file: str,
    *,
    collection: str | None,
    where: str | None,
    format_: str | None,
    vectors: str,
    details: bool,
    force: bool,
    quiet: bool,
    as_json: bool,
) -> None:
    """Write a collection's items to FILE, one per line: CSV, TSV, JSON lines or Parquet.

    `lookalike index FILE --root FOLDER` reads it back. Use - as FILE to write to stdout.

    \b
      lookalike export shop.csv
      lookalike export mugs.jsonl --where 'label=mug' -c shop
      lookalike export shop.parquet --vectors column --details
      lookalike export - --format csv | head
    """
    chosen = cast("Vectors", vectors)
    path = None if file == "-" else Path(file).expanduser()
    try:
        format_of(path, format_, chosen)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    out = None
    if path is None:  # UTF-8 and the format's own line ends, whatever the terminal uses
        out = io.TextIOWrapper(sys.stdout.buffer, encoding="utf-8", newline="")
    try:
        with opened(collection) as shop, Meter(plain(file), quiet=quiet) as meter:
            stdout.taken = out is not None
            report = export(
                shop,
                out or path or file,
                format=format_,
                where=where,
                vectors=chosen,
                facts=details,
                force=force,
                progress=meter,
            )
    finally:
        if out is not None:
            out.detach()
    _show(report, quiet=quiet, as_json=as_json)


def _show(report: ExportReport, *, quiet: bool, as_json: bool) -> None:
    if report.as_json and not quiet:
        names = ", ".join(map(plain, report.as_json))
        click.echo(f"written as JSON text, as their values have no common type: {names}", err=True)
    for note in report.notes:
        click.echo(f"note: {plain(note)}", err=True)
    if report.removed and not quiet:
        click.echo(
            f"{count_noun(report.removed, 'item')} removed during the export and left out", err=True
        )
    to_stderr = report.path is None
    if as_json and not to_stderr:
        places = ("path", "vectors", "root")
        document = asdict(report)
        print_json(document | {name: _text(document[name]) for name in places})
        return
    what = "stdout" if report.path is None else plain(str(report.path))
    vectors = f" (embeddings in {plain(str(report.vectors))})" if report.vectors else ""
    click.echo(f"{count_noun(report.items, 'item')} written to {what}{vectors}", err=to_stderr)
    if not quiet and not to_stderr and report.root is not None:
        folder = plain(str(report.root))
        click.echo(
            f"paths in the file column are relative to {folder} (lookalike index --root)", err=True
        )


def _text(path: Path | None) -> str | None:
    return None if path is None else str(path)
