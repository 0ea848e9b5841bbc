"""Progress on stderr (a bar on a terminal, plain lines elsewhere) and clean stops on Ctrl-C."""

import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING, Self

import click

from lookalike.core.progress import Progress

if TYPE_CHECKING:
    from rich.progress import Progress as Bar

__all__ = ["Meter", "duration", "stop_on_signal"]

_EVERY_S = 5.0  # seconds between two plain lines


class Meter:
    """Shows the progress of a task, its rate and the time left."""

    def __init__(self, what: str, *, quiet: bool = False) -> None:
        self._what = what
        self._quiet = quiet
        self._began = self._said = time.monotonic()
        self._bar: Bar | None = None
        self._task = 0

    def __call__(self, progress: Progress) -> None:
        """Show the progress that a report gives."""
        skipped = f"{progress.skipped} skipped" if progress.skipped else ""
        self.show(progress.done, progress.total, progress.note or skipped or progress.stage)

    def show(self, done: int, total: int | None, note: str = "") -> None:
        if self._quiet:
            return
        if sys.stderr.isatty():
            self._draw(done, total, note)
        elif time.monotonic() - self._said >= _EVERY_S and done != total:
            self._said = time.monotonic()
            rate = done / (self._said - self._began)
            parts = [f"{done:,}", f"{rate:.0f}/s"]
            if total is not None:
                parts[0] += f" of {total:,}"
                parts.append(f"{duration((total - done) / rate if rate else 0)} left")
            click.echo(f"{self._what}: {', '.join([*parts, *([note] if note else [])])}", err=True)

    def _draw(self, done: int, total: int | None, note: str) -> None:
        if self._bar is None:
            self._bar = _bar()
            self._bar.start()
            self._task = self._bar.add_task(self._what, total=total, note=note, rate=0.0)
        rate = done / max(time.monotonic() - self._began, 1e-9)
        self._bar.update(
            self._bar.task_ids[self._task], completed=done, total=total, note=note, rate=rate
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Take the bar away; nothing more will come."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None


def _bar() -> "Bar":
    from rich import progress
    from rich.console import Console

    return progress.Progress(
        progress.TextColumn("{task.description}"),
        progress.BarColumn(bar_width=None),
        progress.MofNCompleteColumn(),
        progress.TextColumn("{task.fields[rate]:.0f}/s"),
        progress.TimeRemainingColumn(compact=True),
        progress.TextColumn("{task.fields[note]}"),
        console=Console(stderr=True),
        transient=True,
        expand=False,
    )


def duration(seconds: float) -> str:
    """Return a duration in the unit that reads best."""
    if seconds < 90:  # noqa: PLR2004 - reads better than 1 min
        return f"{seconds:.0f} s"
    if seconds < 5400:  # noqa: PLR2004 - likewise
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"


class _Stop:
    """Whether a stop was requested."""

    def __init__(self) -> None:
        self.asked = False

    def __call__(self) -> bool:
        return self.asked


@contextmanager
def stop_on_signal() -> Iterator[_Stop]:
    """Turn the first Ctrl-C (or SIGTERM) into a stop request; the second one ends the process."""
    stop = _Stop()

    def request_stop(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - the signal module's signature
        if stop.asked:
            raise KeyboardInterrupt
        stop.asked = True
        click.echo("stopping after the current batch (press again to stop at once)", err=True)

    before = {
        number: signal.signal(number, request_stop) for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
