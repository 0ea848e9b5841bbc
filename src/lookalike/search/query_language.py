"""The query language of the command line: its arguments → queries. Pure.

    a.jpg b.jpg                           two queries
    a.jpg + "in blue" - 0.5:b.jpg         one query of three parts, with their weights
    "red leather bag" @2024/cat.jpg       words; an item, by its id

``docs/search-by-words.md`` has the rules.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from lookalike.search.query import ItemRef, Query, QueryPart, Words
from lookalike.search.words import is_file, named_source

__all__ = ["STDIN", "ParsedQuery", "parse_part", "parse_queries"]

STDIN = "-"
"""The source of a part that is to be read from standard input."""

_WEIGHT = re.compile(r"(\d+(?:\.\d*)?|\.\d+):(.+)", re.DOTALL)
_TIME = re.compile(r"\d+:\d")  # 12:30, or 16:9
_MOST = 1000.0  # as a service takes
_WORDS = "words:"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ParsedQuery:
    """A query, and its ``text``: the arguments that it was parsed from, with blanks between."""

    text: str
    query: Query


def parse_queries(
    arguments: Sequence[str], *, is_file: Callable[[str], bool] = is_file
) -> list[ParsedQuery]:
    """Return the queries of arguments. ``is_file`` says whether there is a file of a name.

    The arguments ``+`` and ``-`` join what stands on both sides to one query; what stands alone is
    a query of its own. A ``-`` that cannot join is standard input. Raise ``ValueError`` for an
    operator without a part on both sides, and as ``parse_part``.
    """
    found: list[ParsedQuery] = []
    words: list[str] = []
    parts: list[QueryPart] = []
    sign = 0  # of the next part, where an operator came before it

    def end() -> None:
        if parts:
            found.append(ParsedQuery(text=" ".join(words), query=Query(tuple(parts))))
            words.clear()
            parts.clear()

    for place, argument in enumerate(arguments):
        following = arguments[place + 1 : place + 2]
        if not sign and parts and _joins(argument, following):
            words.append(argument)
            sign = 1 if argument == "+" else -1
            continue
        if argument == "+":
            raise ValueError("'+' joins two parts of a query; there is nothing before this one")
        if not sign:
            end()
        words.append(argument)
        parts.append(parse_part(argument, sign=sign or 1, is_file=is_file))
        sign = 0
    if sign:
        raise ValueError("'+' joins two parts of a query; there is nothing after the last one")
    end()
    return found


def _joins(argument: str, following: Sequence[str]) -> bool:
    """Return whether an argument after a part is an operator."""
    return argument == "+" or (argument == "-" and bool(following) and following[0] != "+")


def parse_part(
    argument: str, *, sign: int = 1, is_file: Callable[[str], bool] = is_file
) -> QueryPart:
    """Return the part of a query that one argument is, its weight multiplied by ``sign``.

    An existing file is that file, whatever else its name could mean. Words that begin like a time
    (``12:30 watch``) have no weight. Raise ``ValueError`` for a weight out of range, an id that is
    empty, and words that are.
    """
    if is_file(argument):
        return QueryPart(source=argument, weight=float(sign))
    weighted = _WEIGHT.fullmatch(argument)
    if weighted is None:
        return QueryPart(source=_source(argument, is_file), weight=float(sign))
    rest = weighted[2]
    if _TIME.match(argument) and isinstance(named_source(rest, is_file=is_file), Words):
        return QueryPart(source=Words(argument, guessed=True), weight=float(sign))
    weight = float(weighted[1])
    if not 0 < weight <= _MOST:
        raise ValueError(f"the weight of {argument!r} must be above 0 and at most {_MOST:g}")
    source = rest if is_file(rest) else _source(rest, is_file)
    return QueryPart(source=source, weight=sign * weight)


def _source(text: str, is_file: Callable[[str], bool]) -> str | ItemRef | Words:
    if text == STDIN:
        return text
    if text.startswith("@"):
        if len(text) == 1:
            raise ValueError("'@' needs the id of an item: @ID")
        return ItemRef(text[1:])
    if text.startswith(_WORDS):
        return Words(text.removeprefix(_WORDS))
    source = named_source(text, is_file=is_file)
    assert isinstance(source, str | Words)  # noqa: S101 - text is a path or words
    return source
