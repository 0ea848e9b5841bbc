"""``lookalike index --verify``."""

from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from lookalike.cli.exit_codes import DONE, INTERRUPTED, LEFT_OUT
from lookalike.cli.output import plain, print_json, print_table
from lookalike.cli.progress import Meter
from lookalike.core.plurals import count_noun
from lookalike.indexing.differences import VerificationReport, merge_reports
from lookalike.indexing.verification import verify

if TYPE_CHECKING:
    from lookalike.cli.sources import Source
    from lookalike.collection import Collection
    from lookalike.sources.scan import ScanOptions

__all__ = ["summary", "verify_sources"]


def verify_sources(
    shop: "Collection",
    sources: Sequence["Source"],
    options: "ScanOptions",
    stop: Callable[[], bool],
    *,
    quiet: bool,
    as_json: bool,
) -> int:
    """Compare sources with the collection, print what differs, and return the exit code."""
    reports = []
    for source in sources:
        if stop():
            break
        with Meter(source.name, quiet=quiet) as meter:
            reports.append(
                verify(
                    shop,
                    source.whole("--verify"),
                    format=source.kind,
                    options=options,
                    progress=meter,
                    stop=stop,
                )
            )
    report = merge_reports(reports)
    if as_json:
        print_json(asdict(report))
    else:
        _print_differences(report)
    if stop():
        click.echo("interrupted; the other files were not compared", err=True)
        return INTERRUPTED
    return LEFT_OUT if report.differences else DONE


def _print_differences(report: VerificationReport) -> None:
    if report.differences:
        cells = ((one.kind, plain(one.path), one.reason) for one in report.differences)
        print_table(("difference", "path", "reason"), cells)
    click.echo(summary(report), err=bool(report.differences))


def summary(report: VerificationReport) -> str:
    """Return the result of a comparison as one line."""
    parts = [f"{report.matching:,} of {count_noun(report.checked, 'item')} verified"]
    parts += [f"{count:,} {kind}" for kind, count in report.count().items()]
    if report.unusable:
        parts.append(f"{count_noun(report.unusable, 'file')} without an item skipped before")
    return f"{', '.join(parts)} in {report.seconds:.1f} s"
