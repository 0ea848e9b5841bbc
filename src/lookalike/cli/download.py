"""``lookalike download``."""

from collections.abc import Iterator
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lookalike.cli.exit_codes import FAILED, INTERRUPTED, LEFT_OUT
from lookalike.cli.options import TableOptions, json_option, table_options
from lookalike.cli.output import plain, print_json, print_table, size_text
from lookalike.cli.progress import Meter, stop_on_signal
from lookalike.core.plurals import count_noun, reasons_text
from lookalike.errors import SourceError
from lookalike.sources.catalogues import FORMATS, IMAGES_ALONE, open_catalogue, recognise
from lookalike.sources.download.politeness import USER_AGENT, Politeness

if TYPE_CHECKING:
    from lookalike.sources.download.record import RecordRow
    from lookalike.sources.download.report import DownloadReport

__all__ = ["download_command"]

_DEFAULT = Politeness()
_SKIPS = 5  # malformed lines to show
_FAILURES = 5  # failures to show
_MOST_FAILURES = 1000  # in the JSON report; --failures has no limit


@click.command("download")
@click.argument("catalogue", required=False)
@click.option("--to", required=True, metavar="DIR", help="The folder to save the images in.")
@click.option(
    "--label",
    "labels",
    multiple=True,
    metavar="LABEL",
    help="Only images with this label. Repeat for several.",
)
@click.option(
    "--limit",
    type=click.IntRange(1),
    metavar="N",
    help="At most the first N entries of each --label, or of the catalogue.",
)
@click.option(
    "--format",
    "format_",
    default="auto",
    show_default=True,
    type=click.Choice(["auto", *FORMATS]),
    help="The format of the catalogue; auto detects it from the content.",
)
@table_options
@click.option(
    "--concurrent",
    type=click.IntRange(1),
    default=_DEFAULT.concurrent,
    show_default=True,
    help="Number of concurrent requests.",
)
@click.option(
    "--per-host",
    type=click.IntRange(1),
    default=_DEFAULT.per_host,
    show_default=True,
    help="Number of concurrent requests to one host.",
)
@click.option(
    "--rate",
    type=click.FloatRange(min=0),
    default=_DEFAULT.rate,
    show_default=True,
    help="Requests per second to one host; 0 means no limit.",
)
@click.option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True),
    default=_DEFAULT.total_s,
    show_default=True,
    help="Seconds allowed for one image.",
)
@click.option(
    "--attempts",
    type=click.IntRange(1),
    default=_DEFAULT.attempts,
    show_default=True,
    help="How often to try a URL that fails temporarily.",
)
@click.option(
    "--user-agent", default=USER_AGENT, metavar="TEXT", help="The User-Agent header to send."
)
@click.option(
    "--max-megabytes",
    type=click.FloatRange(min=0, min_open=True),
    default=_DEFAULT.max_bytes / 1e6,
    show_default=True,
    help="Skip larger files.",
)
@click.option(
    "--allow-private",
    is_flag=True,
    help="Allow connections to this machine and its local network.",
)
@click.option("--retry-failed", is_flag=True, help="Try downloads again that failed before.")
@click.option(
    "--failures",
    is_flag=True,
    help="Only list failed downloads (id, status, reason, URL); download nothing.",
)
@click.option("--strict", is_flag=True, help="Exit with 3 if an image could not be downloaded.")
@click.option("-q", "--quiet", is_flag=True, help="No progress.")
@json_option
@click.pass_context
def download_command(
    ctx: click.Context,
    catalogue: str | None,
    *,
    to: str,
    labels: tuple[str, ...],
    limit: int | None,
    format_: str,
    table: TableOptions,
    concurrent: int,
    per_host: int,
    rate: float,
    timeout: float,
    attempts: int,
    user_agent: str,
    max_megabytes: float,
    allow_private: bool,
    retry_failed: bool,
    failures: bool,
    strict: bool,
    quiet: bool,
    as_json: bool,
) -> None:
    """Download the images that a CATALOGUE lists by URL.

    Every file is checked: a web page, an empty file or a broken image is recorded as a failure,
    with the reason. Images that exist already are not requested again. Ctrl-C stops, and the next
    run continues. Nothing in DIR is ever removed. Exits with 1 if nothing could be downloaded.

    \b
      lookalike download train.json --label 12 --to furniture/
      lookalike download products.csv --url-column image --to shop/
      lookalike download --to shop/ --failures
      lookalike index shop/
    """
    folder = Path(to).expanduser()
    if failures:
        _print_failures(folder, as_json=as_json)
        return
    if catalogue is None:
        raise click.UsageError("missing argument CATALOGUE (or the option --failures)", ctx)
    if not user_agent.isprintable():
        raise click.UsageError("--user-agent must be one line of text", ctx)
    politeness = Politeness(
        concurrent=concurrent,
        per_host=per_host,
        rate=rate or None,
        total_s=timeout,
        connect_s=min(timeout, _DEFAULT.connect_s),
        read_s=min(timeout, _DEFAULT.read_s),
        attempts=attempts,
        user_agent=user_agent,
        max_bytes=max(int(max_megabytes * 1e6), 1),
        allow_private=allow_private,
    )
    path = Path(catalogue).expanduser()
    kind = recognise(path) if format_ == "auto" else format_
    if kind in IMAGES_ALONE:
        raise SourceError(f"{path} holds images alone; there is nothing to download")
    source = open_catalogue(path, kind, **table)
    from lookalike.sources.download.run import download

    with stop_on_signal() as stop, Meter(plain(catalogue), quiet=quiet) as meter:
        report = download(
            source.entries(),
            folder,
            labels=labels or None,
            limit=limit,
            politeness=politeness,
            retry=retry_failed,
            progress=meter,
            stop=stop,
        )
    _show(report, folder, to, as_json=as_json)
    if report.interrupted:
        click.echo("interrupted; the next run continues from here", err=True)
        ctx.exit(INTERRUPTED)
    if report.nothing_usable:
        ctx.exit(FAILED)
    if strict and (report.failed or report.failed_before or report.skipped):
        ctx.exit(LEFT_OUT)


def _show(report: "DownloadReport", folder: Path, to: str, *, as_json: bool) -> None:
    failed = bool(report.failed or report.failed_before)
    failures = _failures(folder, _FAILURES + 1) if failed else []
    for row in failures[:_FAILURES]:
        click.echo(f"failed {plain(row.id)}: {plain(row.reason or row.status)}", err=True)
    if len(failures) > _FAILURES:
        click.echo(
            f"to list all failures: lookalike download --to {plain(to)} --failures", err=True
        )
    for skip in report.skips[:_SKIPS]:
        click.echo(f"skipped {plain(skip.path)}: {plain(skip.reason)}", err=True)
    if report.skipped > _SKIPS:
        click.echo(f"and {count_noun(report.skipped - _SKIPS, 'more line')} skipped", err=True)
    if as_json:
        skips = [{"path": one.path, "reason": one.reason} for one in report.skips]
        failures = _failures(folder, _MOST_FAILURES) if failed else []
        print_json(
            {
                **asdict(report),
                "failed": dict(report.failed),
                "skips": skips,
                "failures": [_row_json(row) for row in failures],
            }
        )
    elif report.nothing_usable:
        click.echo(done(report))
        click.echo("error: nothing was downloaded", err=True)
    else:
        click.echo(summary(report, to))


def summary(report: "DownloadReport", to: str) -> str:
    """Return the result of a download and the next command as one line."""
    return f"{done(report)}; to index them: lookalike index {plain(to)}"


def done(report: "DownloadReport") -> str:
    """Return the result of a download as one line."""
    failed = sum(report.failed.values())
    parts = [f"{report.downloaded:,} downloaded ({size_text(report.bytes)})"]
    parts.append(f"{report.already:,} already there")
    if report.updated:
        parts[-1] += f" ({report.updated:,} with updated metadata)"
    parts.append(f"{failed:,} failed" + (f" ({reasons_text(report.failed)})" if failed else ""))
    if report.failed_before:
        parts.append(f"{report.failed_before:,} failed before (retry with --retry-failed)")
    if report.local:
        parts.append(f"{report.local:,} without a URL")
    if report.skipped:
        parts.append(f"{count_noun(report.skipped, 'line')} skipped")
    return f"{', '.join(parts)} in {report.seconds:.1f} s"


def _failures(folder: Path, most: int) -> "list[RecordRow]":
    """Return the first failures in the record of a download folder."""
    from lookalike.sources.download.record import DownloadRecord

    with DownloadRecord(folder) as record:
        return list(islice(record.rows(ok=False), most))


def _row_json(row: "RecordRow") -> dict[str, str]:
    return {"id": row.id, "status": row.status, "reason": row.reason, "url": row.url}


def _print_failures(folder: Path, *, as_json: bool) -> None:
    from lookalike.sources.download.record import DownloadRecord

    def cells(rows: "Iterator[RecordRow]") -> Iterator[tuple[str, str, str, str]]:
        return ((plain(row.id), row.status, plain(row.reason), plain(row.url)) for row in rows)

    with DownloadRecord(folder) as record:
        if as_json:
            print_json([_row_json(row) for row in record.rows(ok=False)])
        else:
            print_table(("id", "status", "reason", "url"), cells(record.rows(ok=False)))
