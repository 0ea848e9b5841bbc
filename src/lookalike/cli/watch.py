"""``lookalike index --watch``."""

import json
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

import click

from lookalike.cli.exit_codes import DONE, HELD_BACK, INTERRUPTED, LEFT_OUT
from lookalike.cli.index_results import report_json, summary
from lookalike.cli.output import plain
from lookalike.cli.progress import duration
from lookalike.core.plurals import count_noun
from lookalike.core.records import IndexReport
from lookalike.indexing.unfinished import abandon
from lookalike.indexing.watching import (
    SETTLE_S,
    WatchedSource,
    WatchEvent,
    list_watched_folders,
    watch,
)
from lookalike.output.json_documents import when

if TYPE_CHECKING:
    from lookalike.cli.sources import Source
    from lookalike.collection import Collection

__all__ = ["check_options", "show_event", "watch_sources"]


def check_options(
    settle: float | None, *, verify: bool, watch: bool, poll: float | None, shard: object
) -> float:
    """Return how long files settle. Raise ``UsageError`` for options that contradict each other."""
    if verify and watch:
        raise click.UsageError("give --verify or --watch, not both")
    if poll is not None and not watch:
        raise click.UsageError("--poll is only for --watch")
    if watch and shard is not None:
        raise click.UsageError("--watch removes what is gone, and --shard does not: give one")
    if settle is None:
        settle = SETTLE_S if watch else 0.0
    return settle


def watch_sources(
    shop: "Collection",
    names: Sequence[str],
    name_source: Callable[[str], "Source"],
    index: Callable[["Source"], IndexReport],
    stop: Callable[[], bool],
    *,
    settle: float,
    poll: float | None,
    strict: bool,
    as_json: bool,
) -> int:
    """Index sources whenever they change, print what happens, and return the exit code."""
    from lookalike.cli.index import update_neighbours

    def update(name: str) -> IndexReport:
        report = index(name_source(name))  # named again: a catalogue may have other columns now
        if report.indexed or report.reused or report.removed:
            update_neighbours(shop, stop, quiet=True)
        return report

    began = time.monotonic()
    report = watch(
        [
            WatchedSource(
                name=plain(name),
                folders=list_watched_folders(name_source(name).whole("--watch")),
                index=partial(update, name),
                apart=[] if shop.store.folder is None else [shop.store.folder],
            )
            for name in names
        ],
        stop=stop,
        settle=settle,
        poll=poll,
        on_event=lambda event: show_event(event, as_json=as_json),
    )
    if not len(shop):
        abandon(shop.store)
    _show_end(report, len(names), time.monotonic() - began, as_json=as_json)
    if report.interrupted:
        return INTERRUPTED
    if report.problems:
        return HELD_BACK
    return LEFT_OUT if strict and report.skipped else DONE


def _show_end(report: IndexReport, sources: int, seconds: float, *, as_json: bool) -> None:
    if as_json:
        _print_line({"event": "ended", **report_json(report), "seconds": seconds})
    else:
        watched = f"watched {count_noun(sources, 'source')} for {duration(seconds)}"
        click.echo(f"{watched}: {summary(report)}")


def show_event(event: WatchEvent, *, as_json: bool) -> None:
    """Print an event of a watch: as a line of JSON, or for people with the time of day."""
    if as_json:
        document: dict[str, object] = {"event": event.kind, "source": event.source}
        document["at"] = when(time.time())
        if event.report is not None:
            document |= report_json(event.report)
        if event.message:
            document["message"] = event.message
        _print_line(document)
        return
    now = time.strftime("%H:%M:%S")
    if event.message:
        click.echo(f"{now} warning: {plain(event.message)}", err=True)
    if event.report is not None:
        for note in (*event.report.notes, *event.report.problems):
            click.echo(f"{now} warning: {plain(note)}", err=True)
        click.echo(f"{now} {event.source}: {summary(event.report)}")


def _print_line(document: dict[str, object]) -> None:
    click.echo(json.dumps(document, ensure_ascii=False))
