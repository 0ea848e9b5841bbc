"""``lookalike encoder bench``."""

import math
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lookalike.cli import exit_codes
from lookalike.cli.options import json_option
from lookalike.cli.output import plain, print_json, print_table
from lookalike.cli.progress import Meter, stop_on_signal
from lookalike.config import settings

if TYPE_CHECKING:
    from lookalike.encoders import OnnxEncoder
    from lookalike.encoders.speed.measuring import Measurement, SpeedReport

__all__ = ["bench_command"]

_TWO_DIGITS = 10


def _seconds(ctx: click.Context, option: click.Parameter, value: float) -> float:
    if not math.isfinite(value):
        raise click.BadParameter(f"{value} is no length of time", ctx, option)
    return value


@click.command("bench")
@click.argument("encoders", metavar="[ENCODER]...", nargs=-1)
@click.option(
    "--seconds",
    type=click.FloatRange(0),
    callback=_seconds,
    default=30.0,
    show_default=True,
    help="How long to measure each encoder; opening it comes on top.",
)
@click.option("--forget", is_flag=True, help="Remove what was remembered, and measure nothing.")
@click.option("-q", "--quiet", is_flag=True, help="No progress.")
@json_option
@click.pass_context
def bench_command(
    ctx: click.Context,
    *,
    encoders: tuple[str, ...],
    seconds: float,
    forget: bool,
    quiet: bool,
    as_json: bool,
) -> None:
    """Measure how to run an encoder fastest on this machine, and remember it.

    ENCODER is a name or the path of a model card; the default encoder if none is given. Every
    installed runtime and device is measured (ONNX Runtime, OpenVINO, graphics cards) with several
    numbers of images in a run and of threads, and in bfloat16 where OpenVINO offers it on this
    processor. Each is measured in turns with the default, so that other programs matter less.
    Beside images per second, the processor time for an image is measured: indexing needs the
    processor for decoding as well, so a way that takes more of it is not chosen.

    The best is used from then on by whatever encodes with --device auto, except for single
    searches, for which the default opens sooner. Only a way whose embeddings agree with the
    default's (cosine distance up to 0.001) is chosen. Other package versions or another processor
    need another measurement.

    \b
      lookalike encoder bench
      lookalike encoder bench efficientnet-lite0 my/card.toml --seconds 60
      lookalike encoder bench --forget
    """
    opened = [_load(name) for name in encoders or (None,)]
    if forget:
        _forget(opened, as_json=as_json)
        return
    documents = []
    for encoder in opened:
        report, path = _measure(encoder, seconds, quiet=quiet)
        if report.best is None:
            click.echo(f"interrupted; nothing was remembered for {plain(encoder.name)}", err=True)
            ctx.exit(exit_codes.INTERRUPTED)
        documents.append(_document(report, path))
        if not as_json:
            _print(report)
            if report.busy:
                click.echo(
                    "note: other programs kept the processor busy; measure again when it is quiet",
                    err=True,
                )
    if as_json:
        print_json({"encoders": documents})


def _load(name: str | None) -> "OnnxEncoder":
    from lookalike.encoders import OnnxEncoder, find_card
    from lookalike.encoders.qualities import DEFAULT_ENCODER

    known = settings()
    card = find_card(DEFAULT_ENCODER if name is None else name, folder=known.home / "encoders")
    return OnnxEncoder(card, cache=known.cache, start=False)


def _measure(
    encoder: "OnnxEncoder", seconds: float, *, quiet: bool
) -> tuple["SpeedReport", Path | None]:
    """Measure an encoder and remember the best. Return the file as well."""
    from lookalike.encoders.speed.measuring import measure_speed
    from lookalike.encoders.speed.remembered import remember
    from lookalike.errors import EncoderError

    cache = settings().cache
    with stop_on_signal() as stop, Meter(plain(encoder.name), quiet=quiet) as meter:
        report = measure_speed(
            encoder.card,
            encoder.fingerprint,
            seconds=seconds,
            cache=cache,
            progress=meter,
            stop=stop,
        )
    choice = report.choice
    if choice is None:
        return report, None
    try:
        return report, remember(cache, report.fingerprint, report.machine, choice)
    except OSError as error:
        raise EncoderError(
            f"{cache}: the result cannot be remembered: {error.strerror or error}; set "
            "LOOKALIKE_CACHE to a folder that can be written"
        ) from error


def _forget(encoders: "list[OnnxEncoder]", *, as_json: bool) -> None:
    from lookalike.encoders.devices import available_providers
    from lookalike.encoders.speed.machine import describe_machine
    from lookalike.encoders.speed.remembered import forget
    from lookalike.errors import EncoderError

    cache, machine = settings().cache, describe_machine(available_providers())
    try:
        found = {one.name: forget(cache, one.fingerprint, machine) for one in encoders}
    except OSError as error:
        raise EncoderError(f"{cache}: {error.strerror or error}") from error
    if as_json:
        print_json({"forgotten": [name for name, there in found.items() if there]})
        return
    for name, there in found.items():
        click.echo(f"{plain(name)}: {'forgotten' if there else 'nothing was remembered'}")


def _print(report: "SpeedReport") -> None:
    click.echo(plain(report.encoder))
    columns = (
        *("device", "precision", "runs x threads", "images in a run", "images/s"),
        *("times the default", "processor ms", "cosine", ""),
    )
    print_table(columns, [_row(one, report) for one in report.measurements])


def _row(one: "Measurement", report: "SpeedReport") -> tuple[str, ...]:
    way = one.settings
    cells = (one.device.name, way.precision, f"{way.runs} x {way.threads}", str(way.images))
    if one.images_per_second is None or one.relative is None or one.distance is None:
        return (*cells, "", "", "", "", plain(one.problem))
    marks = [
        "default" if one.default else "",
        "" if one.agrees else "not used: other embeddings",
        "remembered" if one is report.best else "",
    ]
    used = "" if one.processor_ms is None else f"{one.processor_ms:.2f}"
    said = ", ".join(mark for mark in marks if mark)
    return (
        *cells,
        _rate(one.images_per_second),
        f"{one.relative:.2f}",
        used,
        f"{1 - one.distance:.5f}",
        said,
    )


def _rate(images_per_second: float) -> str:
    """Return a rate with two digits at least."""
    return f"{images_per_second:,.{0 if images_per_second >= _TWO_DIGITS else 1}f}"


def _document(report: "SpeedReport", path: Path | None) -> dict[str, object]:
    best = report.best
    return {
        "encoder": report.encoder,
        "fingerprint": report.fingerprint,
        "machine": report.machine,
        "busy": report.busy,
        "best": None if best is None else _measurement(best),
        "remembered": None if path is None else str(path),
        "measurements": [_measurement(one) for one in report.measurements],
    }


def _measurement(one: "Measurement") -> dict[str, object]:
    return {
        "device": one.device.name,
        "runtime": one.device.runtime,
        "precision": one.settings.precision,
        "runs": one.settings.runs,
        "threads": one.settings.threads,
        "images": one.settings.images,
        "default": one.default,
        "images_per_second": one.images_per_second,
        "relative": one.relative,
        "processor_ms": one.processor_ms,
        "distance": one.distance,
        "agrees": one.agrees,
        "problem": one.problem or None,
    }
