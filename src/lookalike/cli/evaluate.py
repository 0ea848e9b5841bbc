"""``lookalike evaluate``."""

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lookalike.analysis.evaluation import SAMPLE, Comparison, compare
from lookalike.cli.encoder_comparison import encoder_names, run_comparison
from lookalike.cli.options import json_option, opened, where_option
from lookalike.cli.output import plain, print_json, print_table
from lookalike.cli.progress import Meter
from lookalike.core.plurals import count_noun
from lookalike.errors import ExportError
from lookalike.output.result_files import document, write_report

if TYPE_CHECKING:
    from lookalike.collection import Collection

__all__ = ["evaluate_command"]

_SIDE = 440  # pixels of an image on a sheet, enough for a high-resolution screen


def _parse_numbers(ctx: click.Context, param: click.Parameter, value: str) -> tuple[int, ...]:
    """Return numbers from 1 up, separated by commas. Raise ``BadParameter``."""
    try:
        numbers = tuple(int(part) for part in value.split(","))
    except ValueError:
        numbers = ()
    if not numbers or min(numbers) < 1:
        message = f"{value!r} is not a list of numbers from 1 up, such as 1,5,10"
        raise click.BadParameter(message, ctx, param)
    return numbers


def _parse_at_most(ctx: click.Context, param: click.Parameter, value: str) -> int | None:
    """Return a number from 1 up, or ``None`` for ``all``. Raise ``BadParameter``."""
    if value == "all":
        return None
    try:
        number = int(value)
    except ValueError:
        number = 0
    if number < 1:
        message = f"{value!r} is neither a number from 1 up nor all"
        raise click.BadParameter(message, ctx, param)
    return number


@click.command("evaluate")
@click.option(
    "-c",
    "--collection",
    "collections",
    multiple=True,
    metavar="NAME|PATH",
    help="The collection. Repeat to compare several, on the images that all of them have.  "
    "[default: $LOOKALIKE_COLLECTION, or 'default']",
)
@click.option(
    "--by",
    default="label",
    show_default=True,
    metavar="label|group|FIELD",
    help="The field that decides: a result is correct if it has the query's value.",
)
@where_option
@click.option("--query-where", metavar="FILTER", help="Use only these items as queries.")
@click.option("--gallery-where", metavar="FILTER", help="Let the queries search only these items.")
@click.option(
    "--queries",
    callback=_parse_at_most,
    default=str(SAMPLE),
    show_default=True,
    metavar="N|all",
    help="The maximum number of queries, drawn at random.",
)
@click.option(
    "-k",
    "ks",
    callback=_parse_numbers,
    default="1,5,10",
    show_default=True,
    metavar="K,...",
    help="How many results the measures look at.",
)
@click.option("--distractors", is_flag=True, help="Keep items without a label, as wrong results.")
@click.option(
    "--encoders",
    callback=encoder_names,
    metavar="NAME,...",
    help="Compare the collection's encoder with these on a sample of its images. Each is a name or "
    "the path of a model card.",
)
@click.option(
    "--sample",
    type=click.IntRange(2),
    default=1000,
    show_default=True,
    help="With --encoders: how many images each encoder encodes.",
)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Random seed.")
@click.option(
    "--report",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE.html",
    help="Write an HTML report with plots, classes and the worst queries.",
)
@click.option(
    "--worst",
    type=click.IntRange(0),
    default=10,
    show_default=True,
    help="How many of the worst queries to show.",
)
@click.option(
    "--sheets",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="FOLDER",
    help="Write a contact sheet for each of the worst queries.",
)
@click.option("-q", "--quiet", is_flag=True, help="No progress, and only the table.")
@json_option
@click.pass_context
def evaluate_command(
    ctx: click.Context,
    *,
    collections: tuple[str, ...],
    by: str,
    where: str | None,
    query_where: str | None,
    gallery_where: str | None,
    queries: int | None,
    ks: tuple[int, ...],
    distractors: bool,
    encoders: tuple[str, ...],
    sample: int,
    seed: int,
    report: Path | None,
    worst: int,
    sheets: Path | None,
    quiet: bool,
    as_json: bool,
) -> None:
    """Measure search quality, using labels, groups or a field as ground truth.

    Every item is a query against all others, or the items that meet --query-where against those
    that meet --gallery-where. Prints for each measure the mean over queries, its 95 % interval and
    the mean over classes. P@k is the share of correct results among the first k; R@k the share of
    queries with a correct one among k (hit rate); recall@k the share of all correct items that are
    among k.

    \b
      lookalike evaluate -c shop --report shop.html
      lookalike evaluate --by group -k 1,10,100 --where 'split=test'
      lookalike evaluate --by group --query-where 'split=query' --gallery-where 'split=gallery'
      lookalike evaluate -c shop -c shop-lite2 --json
      lookalike evaluate -c shop --encoders efficientnet-lite1,efficientnet-lite2
    """
    if encoders:
        _check_alone(ctx)
        with opened(collections[0] if collections else None) as shop:
            run_comparison(
                ctx,
                shop,
                encoders,
                by=by,
                where=where,
                sample=sample,
                ks=ks,
                seed=seed,
                quiet=quiet,
                as_json=as_json,
            )
        return
    split = None
    if query_where is not None or gallery_where is not None:
        split = (query_where, gallery_where)
    with ExitStack() as stack:
        shops = [stack.enter_context(opened(name)) for name in collections or (None,)]
        with Meter("queries", quiet=quiet) as meter:
            found = compare(
                shops,
                by=by,
                where=where,
                ks=ks,
                queries=queries,
                split=split,
                distractors=distractors,
                worst=worst,
                seed=seed,
                progress=meter,
            )
        if report is not None:
            write_report(shops, found, report)
            click.echo(f"wrote {plain(str(report))}", err=True)
        if sheets is not None:
            _write_sheets(shops, found, sheets)
    if as_json:
        print_json(document(found))
        return
    if not quiet:
        click.echo(_describe(found), err=True)
    _print(found)


_WITH_ENCODERS = {
    "collections": "several collections",
    "query_where": "--query-where",
    "gallery_where": "--gallery-where",
    "queries": "--queries",
    "distractors": "--distractors",
    "report": "--report",
    "worst": "--worst",
    "sheets": "--sheets",
}


def _check_alone(ctx: click.Context) -> None:
    """Raise ``UsageError`` for options that a comparison of encoders does not have."""
    for name, option in _WITH_ENCODERS.items():
        given = ctx.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE
        if given and (name != "collections" or len(ctx.params[name]) > 1):
            raise click.UsageError(
                f"--encoders cannot be combined with {option}; it compares encoders on a sample "
                "of one collection"
            )


def _describe(found: Comparison) -> str:
    """Return what was evaluated as one line."""
    one = found.evaluations[0]
    text = count_noun(one.queries, "query", "queries")
    if one.queries < one.eligible:
        text += f" of {one.eligible:,} (drawn with seed {one.seed}; use --queries all for all)"
    classes = count_noun(len(one.classes), "class", "classes")
    text += f", {count_noun(one.items, 'item')}, {classes} by {plain(one.by)}"
    if one.alone:
        whose = "its" if one.alone == 1 else "their"
        unused = (
            f"{count_noun(one.alone, 'item')} not used as "
            f"{'a query' if one.alone == 1 else 'queries'}"
        )
        text += f"; {unused} (no other item shares {whose} {plain(one.by)})"
    if one.unclassed:
        what = "kept as wrong results" if one.distractors else "left out"
        text += f"; {count_noun(one.unclassed, 'item')} without {plain(one.by)} {what}"
    if len(found.evaluations) > 1:
        text += f"; {count_noun(found.common, 'image')} in common"
    return text


def _print(found: Comparison) -> None:
    every = found.evaluations
    if len(every) == 1:
        print_table(
            ("measure", "queries", "95 % interval", "classes"),
            [
                (name, f"{one.micro:.4f}", f"{one.low:.4f} to {one.high:.4f}", f"{one.macro:.4f}")
                for name, one in every[0].scores.items()
            ],
        )
        return
    rows = []
    for name in every[0].scores:
        for number, one in enumerate(every):
            score = one.scores[name]
            difference = ""
            if number:
                by = found.differences[number - 1][name]
                difference = f"{by.mean:+.4f} ({by.low:+.4f} to {by.high:+.4f})"
            rows.append(
                (
                    name,
                    plain(one.collection),
                    f"{score.micro:.4f}",
                    f"{score.low:.4f} to {score.high:.4f}",
                    f"{score.macro:.4f}",
                    difference,
                )
            )
    columns = (
        "measure",
        "collection",
        "queries",
        "95 % interval",
        "classes",
        "difference to first",
    )
    print_table(columns, rows)


# --- contact sheets ----------------------------------------------------------------------------


def _write_sheets(shops: Sequence["Collection"], found: Comparison, folder: Path) -> None:
    """Write a sheet for each of the worst queries; several collections get a folder each."""
    from lookalike.display.contact_sheet import Cell, contact_sheet
    from lookalike.display.outputs import save_sheet

    count = 0
    for number, (shop, one) in enumerate(zip(shops, found.evaluations, strict=True), 1):
        place = folder if len(shops) == 1 else folder / str(number)
        for rank, query in enumerate(one.worst, 1):
            ids = [query.id, *(hit.id for hit in query.hits)]
            own, *images = shop.previews(map(shop.get, ids), side=_SIDE)
            cells = [
                Cell(
                    image=image,
                    caption=hit.id.rpartition("/")[2],
                    score=hit.score,
                    note=f"{'right' if hit.right else 'wrong'}: {hit.name or 'no class'}",
                )
                for hit, image in zip(query.hits, images, strict=True)
            ]
            title = f"{query.name}: {query.id.rpartition('/')[2]}"
            sheet = contact_sheet(own, cells, columns=4, title=title)
            target = place / f"worst-{rank:03}.jpg"
            try:
                place.mkdir(parents=True, exist_ok=True)
                save_sheet(sheet, target, shops, quality=90)
            except OSError as error:
                raise ExportError(
                    f"the sheet cannot be written to {target}: {error.strerror}"
                ) from error
            count += 1
    click.echo(f"wrote {count_noun(count, 'sheet')} to {plain(str(folder))}", err=True)
