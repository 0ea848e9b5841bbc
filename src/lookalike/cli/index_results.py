"""Print the report of ``lookalike index``, and choose its exit code."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from lookalike.cli.exit_codes import DONE, FAILED, HELD_BACK, LEFT_OUT
from lookalike.cli.output import plain, print_json
from lookalike.core.plurals import count_noun, reasons_text
from lookalike.core.records import IndexReport

if TYPE_CHECKING:
    from lookalike.core.records import Json

__all__ = ["exit_code", "report_json", "show_report", "summary"]

_NOTES = 10  # notes to show


def exit_code(reports: Sequence[IndexReport], *, strict: bool) -> int:
    """Return the exit code of a run that was not interrupted, from the report of each source."""
    if any(one.held_back or one.problems for one in reports):
        return HELD_BACK
    unusable = [one.nothing_usable for one in reports]
    if all(unusable):
        return FAILED
    skipped = strict and any(one.skipped for one in reports)
    return LEFT_OUT if any(unusable) or skipped else DONE


def show_report(
    report: IndexReport,
    count: int,
    *,
    sources: "Sequence[dict[str, Json]]",
    as_json: bool,
    show_skipped: bool,
) -> None:
    """Print what indexing did; in JSON also how the ``sources`` were read."""
    for note in report.notes[:_NOTES]:
        click.echo(f"note: {plain(note)}", err=True)
    if len(report.notes) > _NOTES:
        click.echo(f"note: and {len(report.notes) - _NOTES:,} more (--json lists all)", err=True)
    if show_skipped:
        for skip in report.skipped:
            click.echo(f"skipped {plain(skip.path)}: {skip.reason}", err=True)
    for problem in report.problems:
        click.echo(f"warning: {plain(problem)}", err=True)
    if as_json:
        print_json({**report_json(report), "items": count, "sources": [*sources]})
    else:
        click.echo(summary(report))
        if report.skipped and not show_skipped:
            click.echo("use --show-skipped to list the skipped files", err=True)


def report_json(report: IndexReport) -> dict[str, object]:
    """Return the report as a JSON document."""
    skipped = [{"path": one.path, "reason": one.reason} for one in report.skipped]
    return {**asdict(report), "skipped": skipped}


def summary(report: IndexReport) -> str:
    """Return the result of indexing as one line."""
    parts = [f"{report.indexed:,} indexed"]
    if report.reused:
        parts.append(f"{report.reused:,} reused without encoding")
    parts.append(f"{report.unchanged:,} unchanged")
    parts.append(f"{report.removed:,} removed")
    if report.held_back:
        parts.append(f"{report.held_back:,} missing but not removed")
    if report.moved:
        parts.append(f"{report.moved:,} moved")
    if report.restored:
        parts.append(f"{report.restored:,} restored")
    if report.relabelled:
        parts.append(f"{report.relabelled:,} relabelled by the source")
    if report.kept_by_hand:
        parts.append(f"{report.kept_by_hand:,} kept as set by hand")
    if report.thumbnails:
        parts.append(f"{count_noun(report.thumbnails, 'thumbnail')} added to existing items")
    if report.kept:
        parts.append(f"{report.kept:,} missing but kept")
    if report.skipped:
        reasons = Counter(skip.reason for skip in report.skipped)
        rest = len(reasons) - 5
        shown = reasons_text(dict(reasons.most_common(5))) + (
            f", and {count_noun(rest, 'other reason')}" if rest > 0 else ""
        )
        parts.append(f"{len(report.skipped):,} skipped ({shown})")
    rate = f", {report.indexed / report.seconds:.0f} images/s" if report.indexed else ""
    return f"{', '.join(parts)} in {report.seconds:.1f} s{rate}"
