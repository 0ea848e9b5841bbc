"""The query language of the command line: its arguments → queries. Pure.

    a.jpg b.jpg                           two queries
    a.jpg + "in blue" - 0.5:b.jpg         one query of three parts, with their weights
    "a.jpg + 0.5:b.jpg - @2024/cat.jpg"   the same in one argument
    "red leather bag" @2024/cat.jpg       words; an item, by its id
    a.jpg#0.2,0.1,0.6,0.9  vector:v.npy   a part of an image; a vector, from a file

``docs/mixed-queries.md`` has the rules.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import PurePath

from lookalike.images.cropping import Box, check_box
from lookalike.images.decoding import SUFFIXES
from lookalike.search.query import ItemRef, Query, QueryPart, VectorFile, Words
from lookalike.search.words import is_file, named_source

__all__ = ["STDIN", "ParsedQuery", "parse_part", "parse_queries", "split_argument"]

STDIN = "-"
"""The source of a part that is to be read from standard input."""

_WEIGHT = re.compile(r"(\d+(?:\.\d*)?|\.\d+):(.+)", re.DOTALL)
_TIME = re.compile(r"\d+:\d")  # 12:30, or 16:9
_MOST = 1000.0  # as a service takes
_WORDS = "words:"
_VECTOR = "vector:"
_ARRAY = ".npy"
_NUMBER = r"\s*(\d+(?:\.\d*)?|\.\d+)\s*"
_CROP = re.compile(rf"(.*\S)#{_NUMBER},{_NUMBER},{_NUMBER},{_NUMBER}", re.DOTALL)
_OPERATOR = re.compile(r"\s+([+-])\s+")


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
    a query of its own. A ``-`` that cannot join is standard input. An argument may also hold a
    whole query (``split_argument``). Raise ``ValueError`` for an operator without a part on both
    sides, and as ``parse_part``.
    """
    arguments = [one for given in arguments for one in split_argument(given, is_file=is_file)]
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


def split_argument(argument: str, *, is_file: Callable[[str], bool] = is_file) -> list[str]:
    """Return the parts and operators of an argument that holds a whole query.

    Operators have blanks on both sides. What names a file, blanks and operators included, is one
    part, the longest first. Text of which no part names an image, an item, a vector or ``words:``
    is returned whole: a dash in words is no operator.
    """
    operators = [*_OPERATOR.finditer(argument)]
    if not operators or is_file(argument) or argument.startswith(_WORDS):
        return [argument]
    starts = [0, *(one.end() for one in operators)]
    ends = [*(one.start() for one in operators), len(argument)]
    found: list[str] = []
    first = 0
    while first < len(starts):
        last = next(
            (
                end
                for end in range(len(ends) - 1, first, -1)
                if is_file(_bare(argument[starts[first] : ends[end]]))
            ),
            first,
        )
        found.append(argument[starts[first] : ends[last]])
        if last < len(operators):
            found.append(operators[last][1])
        first = last + 1
    meant = any(_is_meant(part, is_file) for part in found[::2])
    return found if meant and all(part.strip() for part in found) else [argument]


def _bare(part: str) -> str:
    """Return a part without its weight and crop."""
    weighted = _WEIGHT.fullmatch(part)
    rest = weighted[2] if weighted else part
    cropped = _CROP.fullmatch(rest)
    return cropped[1] if cropped else rest


def _is_meant(part: str, is_file: Callable[[str], bool]) -> bool:
    """Return whether a part is anything but words that could be a piece of longer words."""
    bare = _bare(part)
    if is_file(part) or is_file(bare) or bare.startswith(("@", _WORDS, _VECTOR)):
        return True
    return PurePath(bare).suffix.lower() in {*SUFFIXES, _ARRAY}


def parse_part(
    argument: str, *, sign: int = 1, is_file: Callable[[str], bool] = is_file
) -> QueryPart:
    """Return the part of a query that one argument is, its weight multiplied by ``sign``.

    An existing file is that file, whatever else its name could mean. Words that begin like a time
    (``12:30 watch``) have no weight. Raise ``ValueError`` for a weight or crop out of range, an id
    that is empty, and words that are.
    """
    if is_file(argument):
        return _part(argument, float(sign), is_file)
    weighted = _WEIGHT.fullmatch(argument)
    if weighted is None:
        return _part(argument, float(sign), is_file)
    rest = weighted[2]
    if _TIME.match(argument) and isinstance(named_source(rest, is_file=is_file), Words):
        return QueryPart(source=Words(argument, guessed=True), weight=float(sign))
    weight = float(weighted[1])
    if not 0 < weight <= _MOST:
        raise ValueError(f"the weight of {argument!r} must be above 0 and at most {_MOST:g}")
    return _part(rest, sign * weight, is_file)


def _part(text: str, weight: float, is_file: Callable[[str], bool]) -> QueryPart:
    """Return the part of a text without its weight: a source, and its crop."""
    cropped = None if is_file(text) else _CROP.fullmatch(text)
    if cropped is not None:
        source = _source(cropped[1], is_file)
        if not isinstance(source, Words):
            return QueryPart(source=source, weight=weight, crop=_crop(cropped))
    return QueryPart(source=_source(text, is_file), weight=weight)


def _crop(found: re.Match[str]) -> Box:
    left, top, right, bottom = map(float, found.groups()[1:])
    try:
        return check_box((left, top, right, bottom))
    except ValueError as error:
        raise ValueError(f"{found[0]}: {error}") from error


def _source(text: str, is_file: Callable[[str], bool]) -> str | ItemRef | Words | VectorFile:
    source: object
    if text == STDIN or is_file(text):
        source = text
    elif text.startswith("@"):
        source = ItemRef(_after("@", text, "the id of an item: @ID"))
    elif text.startswith(_WORDS):
        source = Words(text.removeprefix(_WORDS))
    elif text.startswith(_VECTOR):
        source = VectorFile(_after(_VECTOR, text, "a file: vector:FILE.npy, or vector:- for stdin"))
    else:
        source = named_source(text, is_file=is_file)
    assert isinstance(source, str | ItemRef | Words | VectorFile)  # noqa: S101 - of a text
    return VectorFile(source) if isinstance(source, str) and source.endswith(_ARRAY) else source


def _after(prefix: str, text: str, needed: str) -> str:
    if text == prefix:
        raise ValueError(f"'{prefix}' needs {needed}")
    return text.removeprefix(prefix)
