"""Queries, options, and the one engine that carries out every search.

    options = SearchOptions(k=5, where="price<20")
    results = run(shop, Query.of("query.jpg"), options)

``Collection``, the client, the command line, the service, run files and Django build a ``Query``
and ``SearchOptions``. Only this folder decides what is left out, folded, widened or asked again.
"""

from lookalike.search.engine import run
from lookalike.search.options import Collapse, SearchKeywords, SearchOptions
from lookalike.search.orientations import check_turnable, encode_turned
from lookalike.search.parts import bytes_of, resolve_crops
from lookalike.search.query import (
    Encoded,
    ImageSource,
    ItemRef,
    Query,
    QueryLike,
    QueryPart,
    VectorFile,
    Words,
    feedback,
    is_vector,
    liked_and_disliked,
)
from lookalike.search.results import Results
from lookalike.search.words import named_query, words_vector

__all__ = [
    "Collapse",
    "Encoded",
    "ImageSource",
    "ItemRef",
    "Query",
    "QueryLike",
    "QueryPart",
    "Results",
    "SearchKeywords",
    "SearchOptions",
    "VectorFile",
    "Words",
    "bytes_of",
    "check_turnable",
    "encode_turned",
    "feedback",
    "is_vector",
    "liked_and_disliked",
    "named_query",
    "resolve_crops",
    "run",
    "words_vector",
]
