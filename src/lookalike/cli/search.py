"""``lookalike search`` and ``lookalike similar``."""

import os
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lookalike.cli.exit_codes import of_batch
from lookalike.cli.options import encoder_options, opened
from lookalike.cli.query_arguments import crop_query, list_shown, make_feedback, read_stdin
from lookalike.cli.results import Failure, RowLimits, Success, View, query_json, show
from lookalike.cli.search_options import search_options
from lookalike.errors import (
    ImageError,
    ItemNotFoundError,
    LookalikeError,
    UnreadableImageError,
    WordsError,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lookalike.core.records import Json
    from lookalike.search import Query
    from lookalike.search.query_language import ParsedQuery

__all__ = ["search_command", "similar_command"]

_VIEW = ("as_json", "paths", "null", "sheet", "no_preview")
"""The options that are not for the engine."""


class _SearchCommand(click.Command):
    """A command whose ``--collapse`` may stand alone, also before an image."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        # A click option with an optional value would take the image after it for the value.
        end = args.index("--") if "--" in args else len(args)
        for place in range(end):
            if args[place] == "--collapse" and args[place + 1 : place + 2] not in (
                ["exact"],
                ["near"],
            ):
                args[place] = "--collapse=exact"
        return super().parse_args(ctx, args)


@click.command("search", cls=_SearchCommand)
@click.argument("query", nargs=-1, metavar="QUERY...")
@click.option(
    "--vector",
    multiple=True,
    metavar="FILE|-",
    help="Search with the vector in a .npy file or a JSON list of numbers; - reads stdin. As a "
    "part of a query: vector:FILE.",
)
@search_options
@encoder_options
@click.pass_context
def search_command(
    ctx: click.Context,
    /,
    query: tuple[str, ...],
    *,
    vector: tuple[str, ...],
    collection: str | None,
    encoder: str | None,
    device: str,
    threads: int | None,
    **asked: Any,  # noqa: ANN401 - the options of search_options
) -> None:
    """Find the items that look most like each QUERY: an image ('-' reads one from stdin), an item
    (@ID), words or a vector.

    Scores are cosines: 1 is the same image, around 0 has nothing in common. An image that is the
    file of an item is left out of its own results (--include-self shows it). Any other image finds
    its exact duplicates, so they show "do I have this one already?".

    \b
      lookalike search query.jpg
      lookalike search query.jpg -k 30 --min-score 0.7 --sheet results.png
      lookalike search query.jpg --paths -0 | xargs -0 cp -t found/
      lookalike search query.jpg --json | jq '.hits[0]'
      lookalike search query.jpg --category auto
      lookalike search query.jpg --crop 0.2,0.1,0.6,0.9 --negative other.jpg

    What names no file and does not look like a path is words. '+' and '-' between two parts make
    one query of them: results are more like the first and more, or less, like the second. A part is
    an image, an item (@ID), words or a vector (vector:FILE). It may have a weight (2:a.jpg), and an
    image a crop (a.jpg#LEFT,TOP,RIGHT,BOTTOM from 0 to 1). If the encoder does not support words,
    they are searched by the label that they name and by keywords (--text-mode).

    \b
      lookalike search "red leather bag"
      lookalike search a.jpg + "in blue" - 0.5:b.jpg
      lookalike search "a.jpg + 0.5:@2024/cat.jpg - c.jpg#0.2,0.1,0.6,0.9"
      lookalike search --vector query.npy

    --min-match drops results that are not alike enough in this collection: from weak on, an item
    is more alike than images are by chance here; strong is as alike as nearest neighbours usually
    are. `lookalike calibrate` shows the thresholds.

    \b
      lookalike search query.jpg --min-match fair

    With several queries, --json prints an array with an entry for each, also for those that failed.
    Exits with 5 when a query found nothing, with 1 when all failed, and with 3 when only some did.
    """
    from lookalike.search.query_language import parse_queries

    arguments = [*query, *(f"vector:{one}" for one in vector)]
    if not arguments:
        raise click.UsageError("Missing argument 'QUERY...'. An image, an item (@ID), words.", ctx)
    try:
        queries = parse_queries(arguments)
    except ValueError as error:
        raise click.UsageError(str(error), ctx) from error
    _search_each(
        ctx,
        queries,
        asked,
        collection=collection,
        encoder=encoder,
        device=device,
        threads=threads,
        search=any(isinstance(part.source, str) for one in queries for part in one.query.parts),
    )


@click.command("similar", cls=_SearchCommand)
@click.argument("ids", nargs=-1, required=True, metavar="ID...")
@search_options
@click.pass_context
def similar_command(
    ctx: click.Context,
    /,
    ids: tuple[str, ...],
    *,
    collection: str | None,
    **asked: Any,  # noqa: ANN401 - the options of search_options
) -> None:
    """Find the items that look most like an item of the collection, given by its id.

    Needs no encoder: the item's embedding is stored. `lookalike list` shows ids.

    \b
      lookalike similar 2024/cat.jpg
      lookalike similar 2024/cat.jpg 2024/dog.jpg --json
    """
    from lookalike.search import ItemRef, Query
    from lookalike.search.query_language import ParsedQuery

    queries = [ParsedQuery(text=one, query=Query.of(ItemRef(one))) for one in ids]
    _search_each(ctx, queries, asked, collection=collection)


def _search_each(
    ctx: click.Context,
    queries: "Sequence[ParsedQuery]",
    asked: dict[str, Any],
    *,
    collection: str | None,
    **opening: Any,  # noqa: ANN401 - as `opened` takes them
) -> None:
    """Search for each of several queries, and show what they find."""
    from lookalike.search import Query, SearchOptions, resolve_crops, run

    view = View(**{name: asked.pop(name) for name in _VIEW})
    crop, liked, disliked = (asked.pop(name) for name in ("crop", "positive", "negative"))
    options = SearchOptions(**asked)
    more = make_feedback(ctx, liked, disliked)
    outcomes: list[Success | Failure] = []
    with opened(collection, **opening) as shop:
        limits = RowLimits.of(shop, options.min_match)
        for one in queries:
            began = time.perf_counter()
            query = one.query if crop is None else crop_query(ctx, one, crop)
            asked_for = query
            document = query_json(query.parts)
            try:
                query = resolve_crops(shop, read_stdin(query))
                document = _describe(asked_for, query)
                query = Query((*query.parts, *more))
                results = run(shop, query, options, scale=limits.scale)
                parts = list_shown(shop, query.parts)
            except (ImageError, ItemNotFoundError, WordsError) as error:
                outcomes.append(
                    Failure(text=one.text, query=document, error=_add_hint(error, one.query))
                )
                continue
            except ValueError as error:  # parts that cancel each other out
                raise click.UsageError(f"{one.text}: {error}", ctx) from error
            seconds = time.perf_counter() - began
            outcomes.append(
                Success(text=one.text, query=document, parts=parts, found=results, seconds=seconds)
            )
        show(shop, outcomes, options, view)
    ctx.exit(of_batch([outcome.has_results for outcome in outcomes]))


def _describe(given: "Query", query: "Query") -> "dict[str, Json]":
    """Return the document of a query as it was given, with the crops that were searched."""
    both = zip(given.parts, query.parts, strict=True)
    return query_json([replace(part, crop=used.crop) for part, used in both])


def _add_hint(error: LookalikeError, query: "Query") -> LookalikeError:
    """Return the error; for a missing file whose name may be words, with how to write words.

    What ends like the name of an image, or begins like a path, is hardly meant as words.
    """
    from lookalike.images.decoding import SUFFIXES

    if not isinstance(error, UnreadableImageError) or error.path is None:
        return error
    path = Path(error.path)
    typed = any(part.source == error.path for part in query.parts)  # "./red" is a path
    meant = path.suffix.lower() in SUFFIXES or error.path.startswith((".", "~"))
    if not typed or meant or path.is_absolute() or os.path.lexists(path):
        return error
    reason = f"{error.reason}; to search by words, write 'words:{error.path}'"
    return UnreadableImageError(reason, path=error.path)
