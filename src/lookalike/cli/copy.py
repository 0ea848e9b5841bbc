"""``lookalike copy``."""

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from lookalike.cli.options import json_option, opened
from lookalike.cli.output import plain, print_json
from lookalike.cli.progress import Meter, stop_on_signal
from lookalike.indexing.unfinished import abandon

if TYPE_CHECKING:
    from lookalike.moving.copying import CopyReport

__all__ = ["copy_command"]


@click.command("copy")
@click.argument("source", metavar="FROM")
@click.argument("target", metavar="TO")
@click.option(
    "--resume",
    is_flag=True,
    help="Go on also in a collection that holds items and that this copy did not begin.",
)
@click.option("--mirror", is_flag=True, help="Remove from TO what FROM does not have.")
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
    """Copy a collection from one place to another: folder, Elasticsearch or OpenSearch.

    FROM and TO are names, paths or addresses, as for -c. Items come with vectors, labels, groups,
    metadata and thumbnails; folders, declared fields, categories and the like with them; nothing is
    encoded. At the end counts and the answers to some exact searches are compared, and the exit
    code is 1 when they differ. A copy that was interrupted goes on when it is done again.

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
            with Meter("search graph", quiet=quiet) as meter:
                other.optimize(progress=meter)
        else:
            abandon(other.store)  # unless something has been copied
    if as_json:
        print_json(asdict(report))
    else:
        click.echo(summary(report))
    if report.interrupted:
        click.echo("interrupted; the same copy goes on from here", err=True)
        ctx.exit(130)
    for problem in report.problems[:10]:
        click.echo(f"error: {plain(problem)}", err=True)
    if report.problems:
        ctx.exit(1)


def summary(report: "CopyReport") -> str:
    """One line that says what was done."""
    parts = [f"{report.copied:,} copied", f"{report.unchanged:,} there already"]
    if report.told:
        parts.append(f"{report.told:,} updated")
    if report.thumbnails:
        parts.append(f"{report.thumbnails:,} thumbnails")
    if report.removed:
        parts.append(f"{report.removed:,} removed")
    if report.extra:
        parts.append(f"{report.extra:,} only there")
    if report.settings:
        parts.append(f"with {', '.join(report.settings)}")
    if report.searches and not report.problems:
        parts.append(f"{report.searches} searches give the same answers")
    elif report.extra:
        parts.append("searches not compared: the copy has more items")
    rate = f", {report.copied / report.seconds:.0f} items/s" if report.copied else ""
    return f"{', '.join(parts)} in {report.seconds:.1f} s{rate}"
