"""``lookalike finetune``."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Self

import click

from lookalike.cli.options import collection_option, json_option, opened, where_option
from lookalike.cli.output import plain, print_json, print_table
from lookalike.cli.progress import Meter, stop_on_signal
from lookalike.core.plurals import count_noun
from lookalike.core.progress import Progress

if TYPE_CHECKING:
    from lookalike.analysis.finetuning import (
        Epoch,
        FinetuningReport,
        Quality,
        SplitQuality,
    )

__all__ = ["finetune_command"]


@click.command("finetune")
@collection_option
@click.option(
    "--to",
    required=True,
    type=click.Path(file_okay=False, path_type=Path),
    metavar="FOLDER",
    help="The folder to write the encoder to; the encoder takes its name.",
)
@click.option(
    "--by",
    default="label",
    show_default=True,
    metavar="label|group|FIELD",
    help="The field to train on: images with the same value should look alike.",
)
@where_option
@click.option(
    "--encoder",
    "base",
    default="efficientnet-lite0",
    show_default=True,
    metavar="NAME|CARD.toml",
    help="The encoder to start from: an EfficientNet-Lite.",
)
@click.option(
    "--epochs",
    type=click.IntRange(1),
    default=10,
    show_default=True,
    help="The maximum number of passes over the images.",
)
@click.option(
    "--minutes",
    type=click.FloatRange(0, min_open=True),
    help="The maximum training time, without the evaluation at the end.",
)
@click.option(
    "--stages",
    type=click.IntRange(1, 6),
    default=1,
    show_default=True,
    help="How many of the network's seven stages to train, from the last one.",
)
@click.option(
    "--share",
    type=click.FloatRange(0, 1, min_open=True),
    help="How far to move from the original weights to the trained ones; 1 is best for the trained "
    "labels.  [default: as far as other labels do not get worse]",
)
@click.option(
    "--seed",
    type=int,
    default=0,
    show_default=True,
    help="The random seed, which also chooses the held-out items.",
)
@click.option("--anew", is_flag=True, help="Start again instead of continuing from the folder.")
@click.option("--threads", type=click.IntRange(1), help="CPU cores to use.  [default: all]")
@click.option("-q", "--quiet", is_flag=True, help="No progress.")
@json_option
@click.pass_context
def finetune_command(
    ctx: click.Context,
    /,
    *,
    collection: str | None,
    to: Path,
    by: str,
    where: str | None,
    base: str,
    epochs: int,
    minutes: float | None,
    stages: int,
    share: float | None,
    seed: int,
    anew: bool,
    threads: int | None,
    quiet: bool,
    as_json: bool,
) -> None:
    """Fine-tune an encoder on the collection's labels, and write it to a folder.

    Reads the images; the collection itself is not changed. A fifth of the images and a tenth of
    the labels are held out to measure the quality. Ctrl-C keeps the best result so far, and the
    same command continues from there. Needs PyTorch: pip install 'lookalike[finetune]'

    \b
      lookalike finetune -c shop --to shop-encoder/ --minutes 30
      lookalike index photos/ -c shop-new --encoder shop-encoder/shop-encoder.toml
      lookalike evaluate -c shop -c shop-new
    """
    from lookalike.analysis import finetuning as training

    with (
        opened(collection) as shop,
        stop_on_signal() as stop,
        _Display(quiet=quiet) as display,
    ):
        report = training.finetune(
            shop,
            to,
            by=by,
            base=base,
            where=where,
            recipe=training.Recipe(epochs=epochs, stages=stages),
            minutes=minutes,
            share=share,
            seed=seed,
            threads=threads,
            anew=anew,
            progress=display,
            on_epoch=display.line,
            stop=stop,
        )
    if as_json:
        print_json({**asdict(report), "card": None if report.card is None else str(report.card)})
    else:
        _print_report(report)
    if report.interrupted:
        after = f"epoch {len(report.epochs)}" if report.epochs else "the beginning"
        click.echo(f"interrupted; the same command continues from {after}", err=True)
        ctx.exit(130)


class _Display:
    """Shows the progress of a training: a meter for each of its stages, one line per epoch."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet
        self._stage = "reading"
        self._meter = Meter(self._stage, quiet=quiet)
        self._begun = 0  # images of earlier calls, which would distort the rate of this one

    def __call__(self, now: Progress) -> None:
        if now.stage != self._stage:
            self._meter.stop()
            self._stage, self._begun = now.stage, now.done
            self._meter = Meter(now.stage, quiet=self._quiet)
        total = None if now.total is None else now.total - self._begun
        self._meter.show(now.done - self._begun, total, now.note)

    def line(self, epoch: "Epoch", before: "SplitQuality") -> None:
        """Print the result of an epoch."""
        if self._quiet:
            return
        parts = [
            f"{what} {found.map_at_r:.3f} (was {was.map_at_r:.3f})"
            for what, was, found in _pair_sides(before, epoch.quality)
        ]
        text = f"loss {epoch.loss:.3f}, mAP@R of {', of '.join(parts)}, {epoch.seconds:.0f} s"
        click.echo(f"epoch {epoch.number}: {text}", err=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        self._meter.stop()


def _pair_sides(
    before: "SplitQuality", after: "SplitQuality"
) -> list[tuple[str, "Quality", "Quality"]]:
    """Return the qualities before and after, for each held-out set that exists."""
    sides = (
        ("held-out images", before.held, after.held),
        ("held-out labels", before.new, after.new),
    )
    return [(what, was, now) for what, was, now in sides if was is not None and now is not None]


def _print_report(report: "FinetuningReport") -> None:
    if not report.epochs:
        print_table(("", ""), [("encoder", "none: no epoch was finished")])
        return
    data = f"{count_noun(report.labels, 'label')}, {count_noun(report.images, 'image')}"
    epochs = count_noun(len(report.epochs), "epoch")
    rows = [("trained on", f"{data} in {report.seconds:,.0f} s, {epochs}")]
    for what, was, now in _pair_sides(report.before, report.after):
        pairs = (("R@1", was.r1, now.r1), ("P@10", was.p10, now.p10), ("mAP", was.map, now.map))
        text = ", ".join(f"{name} {one:.3f} to {other:.3f}" for name, one, other in pairs)
        rows.append((what, f"{text} ({count_noun(now.queries, 'query', 'queries')})"))
    if report.skipped:
        first = report.skipped[0]
        rows.append(
            ("skipped", plain(f"{len(report.skipped):,}, for example {first.path}: {first.reason}"))
        )
    if report.card is None:
        rows.append(("encoder", "none: no epoch improved on the original encoder"))
    else:
        rows += [
            ("weights", f"{report.share:.0%} of the way to those of epoch {report.best}"),
            ("encoder", plain(str(report.card))),
        ]
    print_table(("", ""), rows)
