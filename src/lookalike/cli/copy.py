"""``lookalike copy``."""

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from lookalike.cli.options import json_option, opened
from lookalike.cli.output import plain, print_json
from lookalike.cli.progress import Meter, stop_on_signal
from lookalike.core.plurals import count_noun
from lookalike.indexing.unfinished import abandon

if TYPE_CHECKING:
    from lookalike.moving.copying import CopyReport

__all__ = ["copy_command"]

# The settings worth naming in the summary, as a reader knows them. --json lists all.
_SHOWN = {
    "roots": "source folders",
    "categories": "categories",
    "calibration": "match thresholds",
    "neighbours": "nearest neighbours",
}


@click.command("copy")
@click.argument("source", metavar="FROM")
@click.argument("target", metavar="TO")
@click.option(
    "--resume",
    is_flag=True,
    help="Continue even if TO holds items and was not created by this copy: add what it lacks. "
    "Items that are there stay as they are.",
)
@click.option("--mirror", is_flag=True, help="Make TO like FROM: remove what FROM does not have.")
@click.option("-q", "--quiet", is_flag=True, help="No progress.")
@json_option
@click.pass_context
def copy_command(
    ctx: click.Context,
    source: str,
    target: str,
    *,
    resume: bool,
    mirror: bool,
    quiet: bool,
    as_json: bool,
) -> None:
    """Copy a collection between folders, Elasticsearch and OpenSearch.

    FROM and TO are names, paths or addresses, as for -c. Items are copied with their embeddings,
    labels, groups, metadata and thumbnails, and the collection with its source folders, indexed
    fields, categories and thresholds. Nothing is encoded. At the end, counts and the results of
    some exact searches are compared; the exit code is 1 if they differ. Run the same command again
    to continue an interrupted copy.

    \b
      lookalike copy shop elasticsearch://localhost:9200/shop
      lookalike copy elasticsearch://localhost:9200/shop backup/shop
    """
    from lookalike.moving import copying

    with (
        opened(source) as shop,
        opened(target, create=True) as other,
        stop_on_signal() as stop,
    ):
        with Meter("copy", quiet=quiet) as meter:
            report = copying.copy(
                shop.store,
                other.store,
                resume=resume,
                mirror=mirror,
                progress=meter,
                stop=stop,
            )
        if not report.interrupted:
            with Meter("ANN index", quiet=quiet) as meter:
                other.optimize(progress=meter)
        else:
            abandon(other.store)  # does nothing once something was copied
    if as_json:
        print_json(asdict(report))
    else:
        click.echo(summarise(report))
    if report.interrupted:
        click.echo("interrupted; run the same command again to continue", err=True)
        ctx.exit(130)
    for problem in report.problems[:10]:
        click.echo(f"error: {plain(problem)}", err=True)
    if report.problems:
        ctx.exit(1)


def summarise(report: "CopyReport") -> str:
    """Return the result of a copy as one line."""
    parts = [f"{report.copied:,} copied", f"{report.unchanged:,} unchanged"]
    if report.updated:
        parts.append(f"{report.updated:,} updated")
    if report.thumbnails:
        parts.append(count_noun(report.thumbnails, "thumbnail"))
    if report.removed:
        parts.append(f"{report.removed:,} removed")
    if report.extra:
        parts.append(f"{report.extra:,} only in the copy")
    if report.kept:
        parts.append(f"{report.kept:,} different in the copy and kept")
    if shown := [_SHOWN[name] for name in _SHOWN if name in report.settings]:
        parts.append(f"with {', '.join(shown)}")
    if report.searches and not report.problems:
        parts.append(f"{count_noun(report.searches, 'search', 'searches')} compared: same results")
    elif report.extra:
        parts.append("searches not compared, as the copy has more items")
    rate = f", {report.copied / report.seconds:.0f} items/s" if report.copied else ""
    return f"{', '.join(parts)} in {report.seconds:.1f} s{rate}"
