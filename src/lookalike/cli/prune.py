"""``lookalike prune``."""

from dataclasses import asdict
from pathlib import Path

import click

from lookalike.cli.exit_codes import HELD_BACK
from lookalike.cli.index import Source, update_neighbours
from lookalike.cli.options import (
    allow_removals_option,
    collection_option,
    format_option,
    json_option,
    opened,
    root_option,
    table_options,
)
from lookalike.cli.output import plain, print_json
from lookalike.cli.progress import Meter, stop_on_signal
from lookalike.indexing import prune as pruning
from lookalike.sources.scan import ScanOptions

__all__ = ["prune_command"]


@click.command("prune")
@click.argument("sources", nargs=-1, metavar="[SOURCE...]")
@collection_option
@format_option
@root_option
@table_options
@click.option(
    "--include",
    multiple=True,
    metavar="PATTERN",
    help="As `index` was told: only files that match are there.",
)
@click.option(
    "--exclude",
    multiple=True,
    metavar="PATTERN",
    help="As `index` was told: files and folders that match are not there.",
)
@click.option("--hidden", is_flag=True, help="As `index` was told.")
@click.option("--follow-links", is_flag=True, help="As `index` was told.")
@click.option(
    "--missing",
    "of_missing",
    is_flag=True,
    help="Instead forget what was said of items whose files have gone: labels, groups, metadata "
    "and thumbnails. Without it they are kept until the files come back.",
)
@click.option(
    "--older-than",
    type=click.FloatRange(min=0),
    metavar="DAYS",
    help="With --missing: only of those that have been missing so long.",
)
@click.option("--dry-run", is_flag=True, help="Only list what would be removed.")
@allow_removals_option("-y", "--yes")
@click.option("-q", "--quiet", is_flag=True, help="No progress.")
@json_option
@click.pass_context
def prune_command(
    ctx: click.Context,
    sources: tuple[str, ...],
    *,
    collection: str | None,
    format_: str,
    root: str | None,
    columns: dict[str, str],
    encoding: str | None,
    include: tuple[str, ...],
    exclude: tuple[str, ...],
    hidden: bool,
    follow_links: bool,
    of_missing: bool,
    older_than: float | None,
    dry_run: bool,
    allow_removals: bool,
    quiet: bool,
    as_json: bool,
) -> None:
    """Remove the items whose file has vanished, after several machines have indexed their parts.

    What was said of them is kept until the files come back; `--missing` forgets it.

    A SOURCE is what `lookalike index` was given, with the same options. It is looked at whole
    before anything is removed. A folder that is missing or cannot be listed removes nothing. When
    all items would go, or more than three that are more than one in ten, or the catalogue is
    malformed, nothing is removed, and the exit code is 4, as with `lookalike index`. At the end
    the search graph and the neighbours follow, as `index` without --shard has them follow.

    \b
      lookalike prune photos/ -c elasticsearch://search:9200/shop --dry-run
      lookalike prune photos/ -c elasticsearch://search:9200/shop
      lookalike prune --missing --older-than 365
    """
    if of_missing == bool(sources) or (older_than is not None and not of_missing):
        raise click.UsageError("give a SOURCE, or --missing (with --older-than DAYS if you like)")
    if of_missing:
        _forget(collection, older_than or 0.0, dry_run=dry_run, as_json=as_json)
        return
    pictures = Path(root).expanduser() if root else None
    named = [
        Source.named(source, format_, pictures=pictures, columns=columns or None, encoding=encoding)
        for source in sources
    ]
    options = ScanOptions(
        include=include, exclude=exclude, hidden=hidden, follow_links=follow_links
    )
    with opened(collection) as shop, stop_on_signal() as stop:
        reports = [
            pruning.prune(
                shop,
                source.source,
                format=source.kind,
                options=options,
                dry_run=dry_run,
                allow_removals=allow_removals,
            )
            for source in named
            if not stop()
        ]
        if not dry_run and not stop():
            with Meter("search graph", quiet=quiet) as meter:
                shop.optimize(progress=meter)
            update_neighbours(shop, stop, quiet=quiet)
        count = len(shop)
    together = pruning.PruneReport(
        checked=sum(one.checked for one in reports),
        vanished=tuple(one for report in reports for one in report.vanished),
        removed=sum(one.removed for one in reports),
        kept=sum(one.kept for one in reports),
        held_back=sum(one.held_back for one in reports),
        problems=tuple(problem for report in reports for problem in report.problems),
        moved=sum(one.moved for one in reports),
        restored=sum(one.restored for one in reports),
    )
    for problem in together.problems:
        click.echo(f"warning: {plain(problem)}", err=True)
    if as_json:
        print_json({**asdict(together), "items": count, "dry_run": dry_run})
    else:
        if dry_run:
            for one in together.vanished:
                click.echo(plain(one))
        click.echo(summary(together, dry_run=dry_run), err=dry_run)
    if together.held_back or together.problems:
        ctx.exit(HELD_BACK)


def _forget(collection: str | None, older_than: float, *, dry_run: bool, as_json: bool) -> None:
    with opened(collection) as shop:
        report = pruning.forget_missing(shop, older_than=older_than, dry_run=dry_run)
    if as_json:
        print_json({**asdict(report), "dry_run": dry_run})
        return
    if dry_run:
        for one in report.forgotten:
            click.echo(plain(one))
    what = "would be forgotten" if dry_run else "forgotten"
    click.echo(f"{len(report.forgotten):,} {what}, {report.missing:,} stay missing", err=dry_run)


def summary(report: pruning.PruneReport, *, dry_run: bool) -> str:
    """One line that says what was done, or would be."""
    going = len(report.vanished) - report.held_back
    parts = [
        f"{going:,} would be removed" if dry_run else f"{report.removed:,} removed",
        f"{report.checked - going:,} stay",
    ]
    if report.held_back:
        parts.append(f"{report.held_back:,} of them not there but not removed")
    if report.moved:
        parts.append(f"{report.moved:,} moved")
    if report.restored:
        parts.append(f"{report.restored:,} restored")
    if report.kept:
        parts.append(f"{report.kept:,} of them could not be looked for")
    return ", ".join(parts)
