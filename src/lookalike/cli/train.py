"""``lookalike train``."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Self

import click

from lookalike.cli.options import collection_option, json_option, opened
from lookalike.cli.output import plain, print_json, print_table
from lookalike.cli.progress import Meter, stop_on_signal

if TYPE_CHECKING:
    from lookalike.analysis.finetuning import (
        Epoch,
        FinetuningProgress,
        FinetuningReport,
        Quality,
        SplitQuality,
    )

__all__ = ["train_command"]


@click.command("train")
@collection_option
@click.option(
    "--to",
    required=True,
    type=click.Path(file_okay=False, path_type=Path),
    metavar="FOLDER",
    help="Where the encoder goes; its name is the folder's.",
)
@click.option(
    "--by",
    default="label",
    show_default=True,
    metavar="label|group|FIELD",
    help="Pictures with the same are to look alike.",
)
@click.option("--where", metavar="FILTER", help="Learn only from items that meet a filter.")
@click.option(
    "--encoder",
    "base",
    default="efficientnet-lite0",
    show_default=True,
    metavar="NAME|CARD.toml",
    help="The network to begin with: an EfficientNet-Lite.",
)
@click.option(
    "--epochs",
    type=click.IntRange(1),
    default=10,
    show_default=True,
    help="At most so many times through the pictures.",
)
@click.option(
    "--minutes",
    type=click.FloatRange(0, min_open=True),
    help="At most so long; judging at the end comes on top.",
)
@click.option(
    "--stages",
    type=click.IntRange(1, 6),
    default=1,
    show_default=True,
    help="How many of the network's seven stages learn, from the last.",
)
@click.option(
    "--share",
    type=click.FloatRange(0, 1, min_open=True),
    help="How far to go from the first weights to the learned ones; 1 is best for the labels that "
    "were learned.  [default: as far as others do not get worse]",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Which items judge, and more.")
@click.option("--anew", is_flag=True, help="Begin again, whatever lies in the folder.")
@click.option("--threads", type=click.IntRange(1), help="Processor cores to use.  [default: all]")
@click.option("-q", "--quiet", is_flag=True, help="No progress.")
@json_option
@click.pass_context
def train_command(
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
    """Teach the network the collection's labels, and write it as an encoder.

    Reads the pictures; the collection itself stays as it is. A fifth of the pictures and a tenth
    of the labels take no part and tell how good it is. Ctrl-C keeps the best so far, and the same
    command goes on from there. Needs PyTorch: pip install 'lookalike[train]'

    \b
      lookalike train -c shop --to shop-encoder/ --minutes 30
      lookalike index photos/ -c shop-new --encoder shop-encoder/shop-encoder.toml
      lookalike evaluate -c shop -c shop-new
    """
    from lookalike.analysis import finetuning as training

    with (
        opened(collection) as shop,
        stop_on_signal() as stop,
        _Told(quiet=quiet) as told,
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
            progress=told,
            stop=stop,
        )
    if as_json:
        print_json({**asdict(report), "card": None if report.card is None else str(report.card)})
    else:
        _print_report(report)
    if report.interrupted:
        after = f"epoch {len(report.epochs)}" if report.epochs else "the beginning"
        click.echo(f"interrupted; the same command goes on from {after}", err=True)
        ctx.exit(130)


class _Told:
    """Shows how far a training is: a meter for each of its two parts, and a line an epoch."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet
        self._meter = Meter("reading", quiet=quiet)
        self._reading = True
        self._begun = 0  # pictures of earlier calls, which say nothing of the speed of this one
        self._last: Epoch | None = None

    def __call__(self, now: "FinetuningProgress") -> None:
        if self._reading and not now.reading:
            self._meter.stop()
            self._meter = Meter("learning", quiet=self._quiet)
            self._reading, self._last = False, now.epoch
            self._begun = now.done if now.epoch is not None else 0
        if now.epoch is not None and now.epoch is not self._last and now.before is not None:
            self._last = now.epoch
            self.line(now.epoch, now.before)
        note = "" if now.loss is None else f"loss {now.loss:.3f}"
        self._meter.show(now.done - self._begun, now.total - self._begun, note)

    def line(self, epoch: "Epoch", before: "SplitQuality") -> None:
        """One epoch: how it went."""
        if self._quiet:
            return
        parts = [
            f"{what} {found.map_at_r:.3f} (was {was.map_at_r:.3f})"
            for what, was, found in _sides(before, epoch.judgement)
        ]
        text = f"loss {epoch.loss:.3f}, mAP@R of {', of '.join(parts)}, {epoch.seconds:.0f} s"
        click.echo(f"epoch {epoch.number}: {text}", err=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        self._meter.stop()


def _sides(before: "SplitQuality", after: "SplitQuality") -> list[tuple[str, "Quality", "Quality"]]:
    """What judged, before and after, where there was something to judge by."""
    sides = (
        ("held-out pictures", before.held, after.held),
        ("held-out labels", before.new, after.new),
    )
    return [(what, was, now) for what, was, now in sides if was is not None and now is not None]


def _print_report(report: "FinetuningReport") -> None:
    if not report.epochs:
        print_table(("", ""), [("encoder", "none: not one epoch was finished")])
        return
    taught = f"{report.labels:,} labels from {report.pictures:,} pictures"
    rows = [("learned", f"{taught} in {report.seconds:,.0f} s, {len(report.epochs)} epochs")]
    for what, was, now in _sides(report.before, report.after):
        pairs = (("R@1", was.r1, now.r1), ("P@10", was.p10, now.p10), ("mAP", was.map, now.map))
        text = ", ".join(f"{name} {one:.3f} to {other:.3f}" for name, one, other in pairs)
        rows.append((what, f"{text} ({now.queries:,} queries)"))
    if report.skipped:
        first = report.skipped[0]
        rows.append(
            ("left out", plain(f"{len(report.skipped):,}, {first.path} for one: {first.reason}"))
        )
    if report.card is None:
        rows.append(("encoder", "none: nothing is better than the network as it was"))
    else:
        rows += [
            ("weights", f"{report.share:.0%} of the way to those of epoch {report.best}"),
            ("encoder", plain(str(report.card))),
        ]
    print_table(("", ""), rows)
