"""The options of ``lookalike search`` and ``lookalike similar``."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from lookalike.cli.options import collection_option, json_option

if TYPE_CHECKING:
    from lookalike.images.cropping import Crop

__all__ = ["CropType", "search_options"]

_Command = TypeVar("_Command", bound=Callable[..., None])


class CropType(click.ParamType["Crop"]):
    """A part of an image: left, top, right and bottom; or ``auto``."""

    name = "crop"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> "Crop":
        if value == "auto":
            return "auto"
        try:
            left, top, right, bottom = map(float, str(value).split(","))
        except ValueError:
            self.fail(
                f"{value!r} is neither auto nor four numbers: left,top,right,bottom", param, ctx
            )
        if not (0 <= left < right <= 1 and 0 <= top < bottom <= 1):
            self.fail("left,top,right,bottom are from 0 to 1, in that order", param, ctx)
        return left, top, right, bottom


def search_options(command: _Command) -> _Command:
    """Add what both commands take."""
    for option in (
        json_option,
        click.option(
            "--sheet",
            type=click.Path(dir_okay=False, path_type=Path),
            metavar="FILE",
            help="Write the query and its results as one image.",
        ),
        click.option(
            "--no-preview",
            is_flag=True,
            help="Print no thumbnails in the table, even if the terminal can show them.",
        ),
        click.option(
            "-0", "--null", is_flag=True, help="With --paths, end each with a NUL byte (xargs -0)."
        ),
        click.option(
            "--paths", is_flag=True, help="Print only the paths of the results, for pipes."
        ),
        click.option(
            "--per-group", is_flag=True, help="Return only the best item of each group (product)."
        ),
        click.option(
            "--where",
            metavar="FILTER",
            help="Search only items that meet a filter, such as: label=mug and price<20.",
        ),
        click.option(
            "--category",
            default="off",
            show_default=True,
            metavar="auto|LABEL|off",
            help="Search in two steps: predict the label, then search among its items. Or give the "
            "label yourself.",
        ),
        click.option(
            "--mass",
            type=click.FloatRange(0, 1, min_open=True),
            default=0.9,
            show_default=True,
            help="With --category auto, the probability that the labels must have together.",
        ),
        click.option(
            "--collapse",
            type=click.Choice(["exact", "near"]),
            help="Let one item stand for its exact duplicates, or for near ones too (resized, "
            "recompressed, cropped, rotated). On its own: exact.",
        ),
        click.option(
            "--include-self", is_flag=True, help="Also show the item that the query itself is."
        ),
        click.option(
            "--include-blank",
            is_flag=True,
            help="Also show blank images: nothing but white, black or one grey.",
        ),
        click.option(
            "--text-mode",
            type=click.Choice(["auto", "encoder", "labels", "keywords", "fused"]),
            default="auto",
            show_default=True,
            help="How words are searched: by the text encoder, by the images of the labels that "
            "they name, by keywords, or by keywords and one of the others together (fused).",
        ),
        click.option(
            "--mix",
            type=click.Choice(["mean", "best"]),
            default="mean",
            show_default=True,
            help="How several parts of a query are searched: by the mean of their vectors, for "
            "results like all of them, or by the best score with any of them.",
        ),
        click.option(
            "--expand",
            type=click.IntRange(0, 100),
            default=0,
            show_default=True,
            metavar="N",
            help="Search again with the N nearest items mixed into the query: more of its kind, "
            "fewer exact matches. 3 to 5 are good.",
        ),
        click.option(
            "--diversity",
            type=click.FloatRange(0, 1),
            default=0.0,
            show_default=True,
            help="Prefer results that are unlike those before them: 0.2 to 0.3 for a more varied "
            "list, 1 for variety alone.",
        ),
        click.option(
            "--any-orientation",
            is_flag=True,
            help="Search with the image turned and mirrored too, in eight orientations.",
        ),
        click.option(
            "--regions",
            type=click.Choice(["auto", "on", "off"]),
            default="auto",
            show_default=True,
            help="Compare with the regions of items too (`index --regions`); auto: where the "
            "collection has them, for one part without --diversity, --expand and --min-match.",
        ),
        click.option(
            "--exact", is_flag=True, help="Compare with every item, without the ANN index."
        ),
        click.option(
            "--min-score",
            type=click.FloatRange(-1, 1),
            metavar="COSINE",
            help="Drop results with a lower score, from -1 to 1.",
        ),
        click.option(
            "--min-match",
            type=click.Choice(["strong", "fair", "weak"]),
            help="Drop results below this match level. With --min-score, the stricter counts.",
        ),
        click.option(
            "--crop",
            type=CropType(),
            metavar="L,T,R,B|auto",
            help="Search with a part of the query's first image: left, top, right, bottom from 0 "
            "to 1; or auto, the part that stands out most (`lookalike crops` lists them).",
        ),
        click.option(
            "--positive",
            multiple=True,
            metavar="IMAGE|@ID|WORDS",
            help="Return results more like this image or item too. Repeat for several.",
        ),
        click.option(
            "--negative",
            multiple=True,
            metavar="IMAGE|@ID|WORDS",
            help="Return results less like this image or item. Repeat for several.",
        ),
        click.option(
            "-k",
            "-t",
            "--top",
            "k",
            type=click.IntRange(1),
            default=10,
            show_default=True,
            help="How many results to return.",
        ),
    ):
        command = option(command)
    return collection_option(command)
