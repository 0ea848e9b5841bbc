"""What commands do to the queries that their arguments name."""

import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import click

from lookalike.errors import NotAnImageError

if TYPE_CHECKING:
    from lookalike.images.cropping import Box
    from lookalike.search import Query
    from lookalike.search.query_language import ParsedQuery

__all__ = ["crop_query", "read_stdin"]


def crop_query(ctx: click.Context, one: "ParsedQuery", crop: "Box") -> "Query":
    """Return the query with the crop of its first image."""
    from lookalike.search import Query, Words

    parts = [*one.query.parts]
    first = next((at for at, part in enumerate(parts) if not isinstance(part.source, Words)), None)
    if first is None:
        raise click.UsageError(f"{one.text}: --crop needs an image, and this query is words", ctx)
    parts[first] = replace(parts[first], crop=crop)
    return Query(tuple(parts))


def read_stdin(query: "Query") -> "Query":
    """Return the query with what stdin holds in place of '-'.

    Raise ``NotAnImageError`` if it holds nothing.
    """
    from lookalike.search import Query
    from lookalike.search.query_language import STDIN

    if all(part.source != STDIN for part in query.parts):
        return query
    data = sys.stdin.buffer.read()
    if not data:
        raise NotAnImageError("standard input is empty; '-' reads an image from it")
    return Query(
        tuple(replace(part, source=data) if part.source == STDIN else part for part in query.parts)
    )
