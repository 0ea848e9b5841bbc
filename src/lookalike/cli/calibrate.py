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
    """Measure the thresholds of strong, fair and weak matches in a collection, and store them.

    Compares a sample of the stored embeddings and reads no images. `search --min-match` calibrates
    on its own when needed. Once calibrated, every result shows its match level.

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
            (
                one.match,
                f"{one.least:.3f}",
                _explain_level(scale, one),
                _share(scale, one),
                _share_same_label(one),
            )
            for one in scale.levels
        ],
    )
    if scale.reason is not None:
        click.echo(f"{scale.reason}; these thresholds are a rule of thumb", err=True)
    for what, spread in (
        ("two items at random", scale.pairs),
        ("an item and its nearest neighbour", scale.nearest),
    ):
        if spread is not None:
            click.echo(
                f"{what}: median {spread.p50:.2f}, 90 % between {spread.p5:.2f} and "
                f"{spread.p95:.2f}",
                err=True,
            )


def levels_of(shop: "Collection") -> "Sequence[Level]":
    """Return the thresholds measured in a collection, if they still apply."""
    from lookalike.analysis import calibration

    scale = calibration.load_calibration(shop)
    return scale.levels if scale is not None and scale.reason is None else ()


def levels_text(levels: "Sequence[Level]") -> str:
    """Return the thresholds in one line."""
    return ", ".join(f"{one.match} from {one.least:.3f}" for one in levels)


def _explain_level(scale: "Calibration", level: "Level") -> str:
    if scale.reason is not None or scale.chance is None or scale.nearest is None:
        return "default for every collection"
    if level.match == "fair":
        return "halfway between weak and strong"
    if level.match == "weak":
        if level.least < scale.chance:
            return "reached by 19 of 20 items with their nearest neighbour"
        return f"above the best of {scale.items:,} unrelated images by chance"
    if level.least > scale.nearest.p50:
        return "well above chance"
    return "reached by half of the items with their nearest neighbour"


def _share(scale: "Calibration", level: "Level") -> str:
    """Return the share of the sampled items whose nearest neighbour is at this level."""
    return f"{level.nearest / scale.sampled:.0%}" if scale.sampled else ""


def _share_same_label(level: "Level") -> str:
    """Return how often a nearest neighbour at this level shares the item's label."""
    return f"{level.same_label / level.labelled:.0%}" if level.labelled else ""
