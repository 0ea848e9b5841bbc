"""What commands do to the queries that their arguments name: feedback, crops, standard input."""

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lookalike.cli.results import ShownPart
from lookalike.errors import NotAnImageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from lookalike.collection import Collection
    from lookalike.core.records import Item
    from lookalike.images.cropping import Crop
    from lookalike.search import Query, QueryPart
    from lookalike.search.query_language import ParsedQuery

__all__ = ["crop_query", "list_shown", "make_feedback", "read_stdin"]


def make_feedback(
    ctx: click.Context, liked: Sequence[str], disliked: Sequence[str]
) -> "list[QueryPart]":
    """Return the parts that --positive and --negative add; a weight multiplies the usual one."""
    from lookalike.search import Query, liked_and_disliked
    from lookalike.search.query_language import parse_part

    try:
        parts = [[parse_part(one) for one in given] for given in (liked, disliked)]
    except ValueError as error:
        raise click.UsageError(str(error), ctx) from error
    shares = liked_and_disliked(len(liked), len(disliked), alone=False)
    added = [
        replace(part, weight=part.weight * share)
        for given, share in zip(parts, shares, strict=True)
        for part in given
    ]
    return [*read_stdin(Query(tuple(added))).parts]


def crop_query(ctx: click.Context, one: "ParsedQuery", crop: "Crop") -> "Query":
    """Return the query with the crop of its first image."""
    from lookalike.search import Query, Words

    parts = [*one.query.parts]
    first = next((at for at, part in enumerate(parts) if not isinstance(part.source, Words)), None)
    if first is None:
        raise click.UsageError(f"{one.text}: --crop needs an image, and this query is words", ctx)
    if parts[first].crop is not None:
        raise click.UsageError(f"{one.text}: the image has a crop already; leave out --crop", ctx)
    parts[first] = replace(parts[first], crop=crop)
    return Query(tuple(parts))


def read_stdin(query: "Query") -> "Query":
    """Return the query with what stdin holds, an image or a vector, in place of '-'.

    Raise ``NotAnImageError`` if it holds nothing, and ``ValueError`` for what is no vector.
    """
    from lookalike.search import Query

    if not any(_is_stdin(part) for part in query.parts):
        return query
    data = sys.stdin.buffer.read()
    if not data:
        raise NotAnImageError("standard input is empty; '-' reads an image or a vector from it")
    return Query(
        tuple(
            replace(part, source=_of_stdin(part, data)) if _is_stdin(part) else part
            for part in query.parts
        )
    )


def _is_stdin(part: "QueryPart") -> bool:
    from lookalike.search import VectorFile
    from lookalike.search.query_language import STDIN

    return part.source == STDIN or part.source == VectorFile(STDIN)


def _of_stdin(part: "QueryPart", data: bytes) -> "bytes | NDArray[np.generic]":
    from lookalike.search import VectorFile
    from lookalike.search.vectors import parse_vector

    is_vector = isinstance(part.source, VectorFile)
    return parse_vector(data, name="standard input") if is_vector else data


def list_shown(shop: "Collection", parts: "Sequence[QueryPart]") -> "list[ShownPart]":
    """Return what to show of each part of a query."""
    from lookalike.search import ItemRef, VectorFile, Words

    def shown(part: "QueryPart") -> ShownPart:
        source = part.source
        image: Item | Path | bytes | None = None
        if isinstance(source, ItemRef):
            image, name = shop.get(source.id), source.id.rpartition("/")[2]
        elif isinstance(source, bytes):
            image, name = source, "standard input"
        elif isinstance(source, str):
            image, name = Path(source), Path(source).name
        elif isinstance(source, Words):
            name = source.text
        else:
            name = source.path if isinstance(source, VectorFile) else "vector"
        crop = None if part.crop == "auto" else part.crop  # where nothing has been searched yet
        return ShownPart(image=image, name=name, weight=part.weight, crop=crop)

    return [shown(part) for part in parts]
