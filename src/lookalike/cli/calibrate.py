"""``lookalike calibrate``."""

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from lookalike.cli.options import collection_option, json_option, opened
from lookalike.cli.output import print_json, print_table
from lookalike.output.json_documents import when

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lookalike.analysis.calibration import Calibration, Level
    from lookalike.collection import Collection
    from lookalike.core.records import Json

__all__ = ["calibrate_command", "levels_of", "levels_text"]


@click.command("calibrate")
@collection_option
@json_option
def calibrate_command(*, collection: str | None, as_json: bool) -> None:
    """Measure which scores are strong, fair and weak matches in a collection, and keep that.

    A sample of its stored vectors is compared; no picture is read. `search --min-match` does this
    by itself when it is needed; afterwards every answer has its word.

    \b
      lookalike calibrate -c shop
      lookalike search query.jpg -c shop --min-match fair
    """
    from lookalike.analysis import calibration

    with opened(collection) as shop:
        scale = calibration.calibrate(shop)
    if as_json:
        document: dict[str, Json] = asdict(scale)
        print_json({**document, "measured_at": when(scale.measured_at)})
        return
    print_table(
        ("match", "from", "meaning", "nearest", "same label"),
        [
            (one.match, f"{one.least:.3f}", _meaning(scale, one), _share(scale, one), _labels(one))
            for one in scale.levels
        ],
    )
    if scale.reason is not None:
        click.echo(f"{scale.reason}; these levels are a rule of thumb", err=True)
    for what, spread in (
        ("two items at random", scale.pairs),
        ("an item and its nearest", scale.nearest),
    ):
        if spread is not None:
            click.echo(
                f"{what}: {spread.p50:.2f}, nine in ten between {spread.p5:.2f} and "
                f"{spread.p95:.2f}",
                err=True,
            )


def levels_of(shop: "Collection") -> "Sequence[Level]":
    """The levels that were measured in a collection and still hold; none where there are none."""
    from lookalike.analysis import calibration

    scale = calibration.load_calibration(shop)
    return scale.levels if scale is not None and scale.reason is None else ()


def levels_text(levels: "Sequence[Level]") -> str:
    """The levels in one line."""
    return ", ".join(f"{one.match} from {one.least:.3f}" for one in levels)


def _meaning(scale: "Calibration", level: "Level") -> str:
    if scale.reason is not None or scale.chance is None or scale.nearest is None:
        return "the same in every collection"
    if level.match == "fair":
        return "halfway between the two"
    if level.match == "weak":
        if level.least < scale.chance:
            return "reached by 19 of 20 items with their nearest"
        return f"more than the best of {scale.items:,} unrelated pictures by chance"
    if level.least > scale.nearest.p50:
        return "well above chance"
    return "reached by half of the items with their nearest"


def _share(scale: "Calibration", level: "Level") -> str:
    """Of the sampled items, those whose nearest is at this level."""
    return f"{level.nearest / scale.sampled:.0%}" if scale.sampled else ""


def _labels(level: "Level") -> str:
    """How often the nearest of this level has the item's label."""
    return f"{level.same_label / level.labelled:.0%}" if level.labelled else ""
