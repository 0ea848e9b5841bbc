"""``lookalike search`` and ``lookalike similar``."""

import sys
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple, TypedDict, TypeVar

import click

from lookalike.cli.answers import Answer, Failure, Limits, View, show
from lookalike.cli.exit_codes import of_batch
from lookalike.cli.options import collection_option, encoder_options, json_option, opened
from lookalike.errors import ItemNotFoundError, PictureError
from lookalike.records import Json, Results

if TYPE_CHECKING:
    from lookalike.calibration import Match
    from lookalike.categories import CategorySearch
    from lookalike.collection import Collection, Query

__all__ = ["search_command", "similar_command"]

_Command = TypeVar("_Command", bound=Callable[..., None])


class _Wanted(TypedDict):
    """Which answers are asked for, as ``Collection.search`` has them."""

    k: int
    min_score: float | None
    exact: bool
    include_self: bool
    collapse: bool
    where: str | None
    per_group: bool


def _more(wanted: _Wanted, k: int) -> _Wanted:
    """The same, but ``k`` of them."""
    more = wanted.copy()
    more["k"] = k
    return more


def _answer_options(command: _Command) -> _Command:
    for option in (
        json_option,
        click.option(
            "--sheet",
            type=click.Path(dir_okay=False, path_type=Path),
            metavar="FILE",
            help="Write the query and its answers as one picture.",
        ),
        click.option(
            "--no-preview",
            is_flag=True,
            help="No small pictures in the table, where the terminal could show them.",
        ),
        click.option(
            "-0", "--null", is_flag=True, help="With --paths, end each by a NUL byte (xargs -0)."
        ),
        click.option(
            "--paths", is_flag=True, help="Print the answers' paths and nothing else, for pipes."
        ),
        click.option("--per-group", is_flag=True, help="The best picture of each group (product)."),
        click.option(
            "--where",
            metavar="FILTER",
            help="Only items that meet a filter, as: label=mug and price<20.",
        ),
        click.option(
            "--collapse",
            type=click.Choice(["exact", "near"]),
            help="Let one item stand for its exact copies, or for its near ones too (resized, "
            "recompressed, cropped, turned); alone: exact.",
        ),
        click.option(
            "--include-self", is_flag=True, help="Also show the item that the query itself is."
        ),
        click.option("--exact", is_flag=True, help="Compare with every item, without the graph."),
        click.option(
            "--min-score",
            type=click.FloatRange(-1, 1),
            metavar="COSINE",
            help="Leave out answers that are less alike, from -1 to 1.",
        ),
        click.option(
            "--min-match",
            type=click.Choice(["strong", "fair", "weak"]),
            help="Leave out answers that are less alike, as this collection goes; with "
            "--min-score the stricter counts.",
        ),
        click.option(
            "-k",
            "-t",
            "--top",
            "k",
            type=click.IntRange(1),
            default=10,
            show_default=True,
            help="How many answers.",
        ),
    ):
        command = option(command)
    return collection_option(command)


class _AnswerCommand(click.Command):
    """A command whose ``--collapse`` may stand alone, also before a picture."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        # A click option with an optional value would take the picture after it for the value.
        end = args.index("--") if "--" in args else len(args)
        for place in range(end):
            if args[place] == "--collapse" and args[place + 1 : place + 2] not in (
                ["exact"],
                ["near"],
            ):
                args[place] = "--collapse=exact"
        return super().parse_args(ctx, args)


@click.command("search", cls=_AnswerCommand)
@click.argument("pictures", nargs=-1, required=True, metavar="PICTURE...")
@_answer_options
@click.option(
    "--category",
    default="off",
    show_default=True,
    metavar="auto|LABEL|off",
    help="Search in two steps: predict the label, then only among its items; or a label of yours.",
)
@click.option(
    "--mass",
    type=click.FloatRange(0, 1, min_open=True),
    default=0.9,
    show_default=True,
    help="With --category auto, how probable the labels must be together.",
)
@encoder_options
@click.pass_context
def search_command(
    ctx: click.Context,
    /,
    pictures: tuple[str, ...],
    *,
    collection: str | None,
    encoder: str | None,
    device: str,
    threads: int | None,
    k: int,
    min_match: "Match | None",
    min_score: float | None,
    exact: bool,
    include_self: bool,
    collapse: Literal["exact", "near"] | None,
    where: str | None,
    per_group: bool,
    category: str,
    mass: float,
    **view: bool | Path | None,
) -> None:
    """Find the indexed pictures that look most like each PICTURE ('-' reads one from stdin).

    Scores are cosines: 1 is the same picture, around 0 has nothing in common. A PICTURE that is
    the file of an item is left out of its own results (--include-self shows it); from anywhere
    else it finds its exact duplicates, so the answer to "do I have this already?" comes first.

    \b
      lookalike search query.jpg
      lookalike search query.jpg -k 30 --min-score 0.7 --sheet answers.png
      lookalike search query.jpg --paths -0 | xargs -0 cp -t found/
      lookalike search query.jpg --json | jq '.hits[0]'
      lookalike search query.jpg --category auto

    With --min-match, "nothing here looks like that" is an answer: weak is more alike than pictures
    are by chance here, strong as alike as the nearest are. `lookalike calibrate` shows the scores.

    \b
      lookalike search query.jpg --min-match fair

    With several pictures, --json prints an array with an entry for each, also for those that
    failed. Exits with 5 when a picture found nothing, with 1 when none could be read, and with 3
    when only some could.
    """
    wanted = _Wanted(
        k=k,
        min_score=None if min_match else min_score,
        exact=exact,
        include_self=include_self,
        collapse=collapse == "exact",
        where=where,
        per_group=per_group,
    )
    answers: list[Answer | Failure] = []
    with opened(collection, encoder=encoder, device=device, threads=threads, search=True) as shop:
        limits = Limits.of(shop, min_match, min_score)
        for picture in pictures:
            began = time.perf_counter()
            query: dict[str, Json] = {"path": picture}
            try:
                source = sys.stdin.buffer.read() if picture == "-" else picture
                found = _searched(
                    shop, source, wanted, category=category, mass=mass, near=collapse == "near"
                )
            except PictureError as error:
                answers.append(Failure(query=query, error=error))
                continue
            answers.append(
                Answer(
                    query=query,
                    picture=source if isinstance(source, bytes) else Path(source),
                    found=found.results,
                    judged=limits.judged(found.results),
                    took_ms=(time.perf_counter() - began) * 1000,
                    category=found.category,
                    folded=found.folded,
                )
            )
        show(shop, answers, limits, View(**view))  # type: ignore[arg-type]
    ctx.exit(of_batch([answer.outcome for answer in answers]))


@click.command("similar", cls=_AnswerCommand)
@click.argument("ids", nargs=-1, required=True, metavar="ID...")
@_answer_options
@click.pass_context
def similar_command(
    ctx: click.Context,
    /,
    ids: tuple[str, ...],
    *,
    collection: str | None,
    k: int,
    min_match: "Match | None",
    min_score: float | None,
    exact: bool,
    include_self: bool,
    collapse: Literal["exact", "near"] | None,
    where: str | None,
    per_group: bool,
    **view: bool | Path | None,
) -> None:
    """Find the items that look most like an item of the collection, by its id.

    Needs no network to run: the item's vector is stored. `lookalike list` shows ids.

    \b
      lookalike similar 2024/cat.jpg
      lookalike similar 2024/cat.jpg 2024/dog.jpg --json
    """
    wanted = _Wanted(
        k=k,
        min_score=None if min_match else min_score,
        exact=exact,
        include_self=include_self,
        collapse=collapse == "exact",
        where=where,
        per_group=per_group,
    )
    answers: list[Answer | Failure] = []
    with opened(collection) as shop:
        limits = Limits.of(shop, min_match, min_score)
        for one in ids:
            began = time.perf_counter()
            query: dict[str, Json] = {"id": one}
            try:
                found = _found(
                    shop, partial(_similar, shop, one, wanted), k, near=collapse == "near"
                )
                picture = shop.get(one)
            except ItemNotFoundError as error:
                answers.append(Failure(query=query, error=error))
                continue
            answers.append(
                Answer(
                    query=query,
                    picture=picture,
                    found=found.results,
                    judged=limits.judged(found.results),
                    took_ms=(time.perf_counter() - began) * 1000,
                    folded=found.folded,
                )
            )
        show(shop, answers, limits, View(**view))  # type: ignore[arg-type]
    ctx.exit(of_batch([answer.outcome for answer in answers]))


class _Found(NamedTuple):
    """What a query found: the results, its category, and the copies that each hit stands for."""

    results: Results
    category: "CategorySearch | None" = None
    folded: Mapping[str, int] | None = None


def _searched(
    shop: "Collection",
    source: str | bytes,
    wanted: _Wanted,
    *,
    category: str,
    mass: float,
    near: bool,
) -> _Found:
    """What an image finds."""
    found: CategorySearch | None = None
    picture: Query = shop.encode(source) if near and len(shop) else source

    def ask(k: int) -> Results:
        nonlocal found
        if category == "off":
            return shop.search(picture, **_more(wanted, k))
        from lookalike import categories  # noqa: PLC0415 - only with --category

        found = categories.search(shop, picture, category=category, mass=mass, **_more(wanted, k))
        return found.results

    return _found(shop, ask, wanted["k"], near=near)._replace(category=found)


def _similar(shop: "Collection", id: str, wanted: _Wanted, k: int) -> Results:  # noqa: A002 - the word everywhere
    return shop.similar(id, **_more(wanted, k))


def _found(shop: "Collection", ask: Callable[[int], Results], k: int, *, near: bool) -> _Found:
    """The results of ``ask``, of which near copies are folded if that is wanted."""
    if not near:
        return _Found(ask(k))
    from lookalike.config import settings  # noqa: PLC0415 - only with --collapse near
    from lookalike.duplicates import collapsed  # noqa: PLC0415 - likewise

    last = Results()

    def heard(count: int) -> Results:
        nonlocal last
        last = ask(count)
        return last

    found = collapsed(shop, heard, k=k, cache=settings().cache / "signatures.sqlite")
    results = Results(found.hits, notes=last.notes, left_out=last.left_out, best=last.best)
    return _Found(results, folded=found.folded)
