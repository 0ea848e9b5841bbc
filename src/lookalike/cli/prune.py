"""``lookalike prune``."""

from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lookalike.cli.exit_codes import FAILED, HELD_BACK, LEFT_OUT
from lookalike.cli.index import update_neighbours
from lookalike.cli.options import (
    TableOptions,
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
from lookalike.cli.sources import Source
from lookalike.core.plurals import count_noun
from lookalike.errors import SourceError
from lookalike.indexing import prune as pruning
from lookalike.sources.scan import ScanOptions

if TYPE_CHECKING:
    from lookalike.collection import Collection

__all__ = ["prune_command"]

# Without the options of `index`, every existing file counts: only files that are gone go.
_EVERY_FILE = ScanOptions(include=("*",), hidden=True, follow_links=True)


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
    help="As given to `index`: only files that match count as present.",
)
@click.option(
    "--exclude",
    multiple=True,
    metavar="PATTERN",
    help="As given to `index`: files and folders that match count as missing.",
)
@click.option("--hidden", is_flag=True, help="As given to `index`.")
@click.option("--follow-links", is_flag=True, help="As given to `index`.")
@click.option(
    "--missing",
    "of_missing",
    is_flag=True,
    help="Instead, delete the stored labels, groups, metadata and thumbnails of missing items. "
    "Otherwise they are kept until the files come back.",
)
@click.option(
    "--older-than",
    type=click.FloatRange(min=0),
    metavar="DAYS",
    help="With --missing: only items that have been missing for this many days.",
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
    table: TableOptions,
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
    """Remove items whose file is gone, for example after several machines indexed their shards.

    Their labels and metadata are kept until the files come back; `--missing` deletes them.

    Without SOURCE, every indexed folder is checked for files that no longer exist. To also remove
    items that a catalogue no longer lists, or files that --exclude skips, give the SOURCE as it was
    given to `lookalike index`, with the same options. A source is read completely before anything
    is removed. A folder that is missing or cannot be listed removes nothing. As with `index`,
    nothing is removed if all items would go, if more than three and more than one in ten would go,
    or if the catalogue is malformed; the exit code is then 4. At the end, the ANN index and the
    neighbour table are updated.

    \b
      lookalike prune --dry-run
      lookalike prune photos/ -c elasticsearch://search:9200/shop --dry-run
      lookalike prune photos/ -c elasticsearch://search:9200/shop
      lookalike prune --missing --older-than 365
    """
    of_sources = (
        format_ != "auto",
        root,
        table,
        include,
        exclude,
        hidden,
        follow_links,
    )
    _check(sources, missing=of_missing, older_than=older_than, of_sources=any(of_sources))
    if of_missing:
        _forget(collection, older_than or 0.0, dry_run=dry_run, as_json=as_json)
        return
    files = Path(root).expanduser() if root else None
    named = [Source.named(source, format_, files=files, table=table) for source in sources]
    options = ScanOptions(
        include=include, exclude=exclude, hidden=hidden, follow_links=follow_links
    )
    with opened(collection) as shop, stop_on_signal() as stop:
        if not sources:
            named = [Source.of_root(one.path) for one in shop.roots()]
            options = _EVERY_FILE
        reports, failed = _prune(
            shop,
            named,
            options,
            stop,
            dry_run=dry_run,
            allow_removals=allow_removals,
            carry_on=not sources,
        )
        if not dry_run and not stop():
            with Meter("ANN index", quiet=quiet) as meter:
                shop.optimize(progress=meter)
            update_neighbours(shop, stop, quiet=quiet)
        count = len(shop)
    together = _merge_reports(reports)
    _show(together, count, dry_run=dry_run, as_json=as_json)
    if together.held_back or together.problems:
        ctx.exit(HELD_BACK)
    if failed:
        ctx.exit(LEFT_OUT if reports else FAILED)


def _check(
    sources: Sequence[str], *, missing: bool, older_than: float | None, of_sources: bool
) -> None:
    """Raise ``UsageError`` for options that contradict each other."""
    if missing and sources:
        raise click.UsageError("give a SOURCE or --missing, not both")
    if older_than is not None and not missing:
        raise click.UsageError("--older-than is only for --missing")
    if not sources and of_sources:
        raise click.UsageError("give the SOURCE that these options are for")


def _prune(
    shop: "Collection",
    sources: Sequence[Source],
    options: ScanOptions,
    stop: Callable[[], bool],
    *,
    dry_run: bool,
    allow_removals: bool,
    carry_on: bool,
) -> tuple[list[pruning.PruneReport], int]:
    """Prune each source. Return the reports, and with ``carry_on`` how many sources failed."""
    reports: list[pruning.PruneReport] = []
    failed = 0
    for source in sources:
        if stop():
            break
        try:
            report = pruning.prune(
                shop,
                source.whole("prune"),
                format=source.kind,
                options=options,
                dry_run=dry_run,
                allow_removals=allow_removals,
            )
        except SourceError as error:
            if not carry_on:
                raise
            click.echo(f"error: {error}", err=True)
            failed += 1
        else:
            reports.append(report)
    return reports, failed


def _merge_reports(reports: Sequence[pruning.PruneReport]) -> pruning.PruneReport:
    """Return the reports of several sources as one."""
    return pruning.PruneReport(
        checked=sum(one.checked for one in reports),
        vanished=tuple(one for report in reports for one in report.vanished),
        removed=sum(one.removed for one in reports),
        kept=sum(one.kept for one in reports),
        held_back=sum(one.held_back for one in reports),
        problems=tuple(problem for report in reports for problem in report.problems),
        moved=sum(one.moved for one in reports),
        restored=sum(one.restored for one in reports),
    )


def _show(report: pruning.PruneReport, count: int, *, dry_run: bool, as_json: bool) -> None:
    for problem in report.problems:
        click.echo(f"warning: {plain(problem)}", err=True)
    if as_json:
        print_json({**asdict(report), "items": count, "dry_run": dry_run})
        return
    if dry_run:
        for one in report.vanished:
            click.echo(plain(one))
    click.echo(summary(report, dry_run=dry_run), err=dry_run)


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
    forgotten = count_noun(len(report.forgotten), "missing item")
    click.echo(f"{forgotten} {what}, {report.missing:,} kept", err=dry_run)


def summary(report: pruning.PruneReport, *, dry_run: bool) -> str:
    """Return what was done, or would be done, as one line."""
    going = len(report.vanished) - report.held_back
    parts = [
        f"{going:,} would be removed" if dry_run else f"{report.removed:,} removed",
        f"{report.checked - going:,} kept",
    ]
    if report.held_back:
        parts.append(f"{report.held_back:,} of them missing but not removed")
    if report.moved:
        parts.append(f"{report.moved:,} moved")
    if report.restored:
        parts.append(f"{report.restored:,} restored")
    if report.kept:
        parts.append(f"{report.kept:,} of them could not be checked")
    return ", ".join(parts)
