"""``lookalike explain``."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from lookalike.cli.options import collection_option, encoder_options, json_option, opened
from lookalike.cli.output import print_json, print_table
from lookalike.cli.query_arguments import crop_query, read_stdin
from lookalike.cli.search_options import CropType
from lookalike.errors import ExportError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lookalike.analysis.explanation import ExplainedImage, Explanation, Method
    from lookalike.collection import Collection
    from lookalike.images.cropping import Crop
    from lookalike.search.query_language import ParsedQuery

__all__ = ["explain_command"]

_SHOWN = 3  # regions of each image in the table


@click.command("explain")
@click.argument("query", nargs=-1, required=True, metavar="QUERY...")
@click.argument("item", metavar="ITEM")
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Write both images side by side, with their contributions in colour (.png, .jpg, .webp).",
)
@click.option(
    "--side",
    type=click.IntRange(160, 2048),
    default=480,
    show_default=True,
    help="With --output, the longer side of each image in pixels.",
)
@click.option(
    "--method",
    type=click.Choice(["auto", "map", "occlusion"]),
    default="auto",
    show_default=True,
    help="Take the contributions from the encoder's map, which add up to the score, or hide "
    "regions in turn, for encoders without a map.",
)
@click.option(
    "--crop",
    type=CropType(),
    metavar="L,T,R,B|auto",
    help="Take a part of the query's first image: left, top, right, bottom from 0 to 1; or auto.",
)
@click.option(
    "--any-orientation",
    is_flag=True,
    help="Turn and mirror the query's image to be most like the item.",
)
@json_option
@encoder_options
@collection_option
@click.pass_context
def explain_command(
    ctx: click.Context,
    /,
    query: tuple[str, ...],
    item: str,
    *,
    output: Path | None,
    side: int,
    method: "Method",
    any_orientation: bool,
    crop: "Crop | None",
    as_json: bool,
    collection: str | None,
    encoder: str | None,
    device: str,
    threads: int | None,
) -> None:
    """Show which regions make QUERY and ITEM alike.

    QUERY is what `lookalike search` takes: an image, an item (@ID), words, or several of them with
    '+' and '-'. ITEM is an item of the collection, by its id.

    \b
      lookalike explain query.jpg 2024/cat.jpg -o why.png
      lookalike explain @2024/dog.jpg 2024/cat.jpg
      lookalike explain "red leather bag" shoes/7.jpg --json

    The contributions of an image's regions add up to the score, unless the encoder has no map: then
    each region is hidden in turn, and its contribution is what the score loses. --json prints all
    of them, and what each region of one image has in common with each of the other.
    """
    from lookalike.display.outputs import check_output
    from lookalike.search.explaining import explain
    from lookalike.search.query_language import parse_queries

    try:
        queries = parse_queries(query)
    except ValueError as error:
        raise click.UsageError(str(error), ctx) from error
    if len(queries) > 1:
        raise click.UsageError(
            f"{queries[0].text} and {queries[1].text} are two queries; join them with '+'", ctx
        )
    (one,) = queries
    with opened(
        collection,
        encoder=encoder,
        device=device,
        threads=threads,
        search=any(isinstance(part.source, str) for part in one.query.parts),
    ) as shop:
        if output is not None:
            check_output(output, [shop], inputs=_files(one))
        asked = read_stdin(one.query if crop is None else crop_query(ctx, one, crop))
        name = item.removeprefix("@") if item.startswith("@") and item not in shop else item
        try:
            found = explain(shop, asked, name, method=method, any_orientation=any_orientation)
        except ValueError as error:  # parts that cancel each other out, nothing to turn
            raise click.UsageError(f"{one.text}: {error}", ctx) from error
        if output is not None:
            _write(shop, found, output, side=side, inputs=_files(one))
    if as_json:
        print_json(found.to_json())
    else:
        _print(found)
    if output is not None:
        click.echo(f"wrote {output}", err=True)


def _files(query: "ParsedQuery") -> list[Path]:
    """Return the files that a query names."""
    return [Path(part.source) for part in query.query.parts if isinstance(part.source, str)]


def _write(
    shop: "Collection", found: "Explanation", output: Path, *, side: int, inputs: list[Path]
) -> None:
    from lookalike.display.outputs import save_sheet

    try:
        save_sheet(found.render(side=side), output, [shop], inputs=inputs)
    except OSError as error:
        what = error.strerror or str(error)
        raise ExportError(f"cannot write the explanation to {output}: {what}") from error
    except ValueError as error:  # the suffix of no image format
        raise ExportError(
            f"cannot write the explanation to {output}: {error}; give a .png or .jpg file"
        ) from error


def _print(found: "Explanation") -> None:
    """Print the regions that add most, and on stderr what they are part of."""
    rows: list[tuple[str, str, str]] = []
    if found.query is not None:
        rows += _rows("query", found.query)
    rows += _rows("item", found.item)
    print_table(("image", "region", "adds"), rows)
    said = (
        "the regions of an image add up to it"
        if found.adds_up
        else "each region was hidden in turn; these losses do not add up to it"
    )
    click.echo(f"score {found.score:.3f}; {said}", err=True)


def _rows(side: str, shown: "ExplainedImage") -> "Iterator[tuple[str, str, str]]":
    rows, columns = shown.contributions.shape
    order = (-shown.contributions).ravel().argsort(kind="stable")[:_SHOWN]
    for place in order:
        row, column = divmod(int(place), columns)
        left, top, right, bottom = shown.area
        x = left + (column + 0.5) / columns * (right - left)
        y = top + (row + 0.5) / rows * (bottom - top)
        yield side, f"around {x:.0%}, {y:.0%}", f"{shown.contributions[row, column]:+.3f}"
