"""Watch the sources of a run file, and run it again when they change."""

import json
import time
from collections.abc import Callable, Collection
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lookalike.cli.output import plain
from lookalike.core.progress import ProgressCallback, ignore_progress
from lookalike.core.records import IndexReport
from lookalike.indexing.watching import (
    WatchedSource,
    WatchEvent,
    list_watched_folders,
    watch,
)
from lookalike.output.json_documents import when
from lookalike.runfile.execution import execute
from lookalike.runfile.known_state import address_of
from lookalike.runfile.step_inputs import open_sources, settle_of

if TYPE_CHECKING:
    from lookalike.core.records import Json
    from lookalike.runfile.reading import LoadedRunFile
    from lookalike.runfile.step_results import StepOutcome
    from lookalike.runfile.steps import Step

__all__ = ["watch_run"]


def watch_run(
    loaded: "LoadedRunFile",
    only: "Collection[Step]",
    stop: Callable[[], bool],
    *,
    describe: Callable[["StepOutcome"], str],
    as_document: Callable[["StepOutcome"], "Json"],
    as_json: bool,
) -> None:
    """Run the steps that are out of date whenever a source of ``index`` changes, until a stop.

    Steps that did something, or failed, are printed: as lines, or each run as a line of JSON.
    """
    wanted = loaded.file.index
    if wanted is None:
        return

    def run() -> IndexReport:
        outcomes = [*execute(loaded, only=only, shown=_show_nothing, stop=stop)]
        shown = [one for one in outcomes if one.status in ("done", "failed")]
        if as_json and shown:
            steps = [as_document(one) for one in shown]
            _print_line({"event": "run", "at": when(time.time()), "steps": steps})
        for one in () if as_json else shown:
            click.echo(f"{time.strftime('%H:%M:%S')} {describe(one)}")
            if one.status == "failed":
                click.echo(f"error: {one.step}: {one.why}", err=True)
        reports = [one.result for one in outcomes if isinstance(one.result, IndexReport)]
        return reports[0] if reports else IndexReport()

    folders = [
        folder
        for _, _, source in open_sources(loaded, wanted)
        for folder in list_watched_folders(source)
    ]
    address = address_of(loaded)
    source = WatchedSource(
        name=str(loaded.path),
        folders=folders,
        index=run,
        apart=[] if "://" in address else [Path(address)],
    )
    watch([source], stop=stop, settle=settle_of(wanted), poll=wanted.poll, on_event=_warn)
    if as_json:
        _print_line({"event": "ended", "at": when(time.time())})
    else:
        click.echo("stopped watching")


def _show_nothing(_: str) -> AbstractContextManager[ProgressCallback]:
    return nullcontext(ignore_progress)


def _warn(event: WatchEvent) -> None:
    if event.message:
        click.echo(f"warning: {plain(event.message)}", err=True)


def _print_line(document: dict[str, object]) -> None:
    click.echo(json.dumps(document, ensure_ascii=False))
