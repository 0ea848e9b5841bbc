"""Keyword search: the words of items, and which items have the words of a text. Pure.

    found = match(store.keywords, "red leather bag", k=10)

Every store keeps the words that ``words_of`` finds in an item, and implements the two methods of
the role ``Keywords``. What a text asks for, what a word counts and the order of hits are decided
here, so all stores return the same hits.

Words are compared without case and accents, and without a plural s (Harman 1991, How effective is
suffixing?, with the forms of English that end in -es). ``FlipFlops``, ``flip-flops`` and
``flip_flops.jpg`` hold the words flip and flop. A character of Chinese or Japanese is a word.
"""

import math
import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import NamedTuple, Protocol

from lookalike.core.filters import Condition
from lookalike.core.records import Item, Json

__all__ = [
    "MOST_TERMS",
    "NONE",
    "STOP_WORDS",
    "ItemWords",
    "KeywordCounts",
    "KeywordHit",
    "KeywordMatches",
    "Term",
    "Wanted",
    "WordHit",
    "WordIndex",
    "match",
    "split",
    "words_of",
]

MOST_TERMS = 32
"""Words of a text that are looked for; the others are passed over."""
STOP_WORDS = frozenset(
    ("a", "an", "and", "for", "from", "in", "item", "not", "of", "on", "or", "the", "to", "with")
)
"""Words, as ``split`` returns them, that say nothing of an item: no text is searched by them."""
_MOST_WORDS = 1000  # of an item
_LONGEST = 64  # characters of a word
_MOST_PARTS = 8  # of a compound; one of more is a code, such as a digest
_BEGINNING = 3  # characters from which on an unknown word is taken as a beginning
_MOST_BITS = 60  # of the weight of a word
_DEEPEST = 32  # lists and objects within each other, in metadata
_LABEL = 2048  # above the greatest weight that all terms can have together

NONE = ""
"""Written where an item has no words, so that it differs from one that was not looked at."""


class Term(NamedTuple):
    """A word that is looked for; with ``prefix``, every word that begins so."""

    word: str
    prefix: bool = False


class Wanted(NamedTuple):
    """A term, and what it counts for an item that has it, and more for one whose label has it.

    Both are whole numbers, whose sums over ``MOST_TERMS`` stay below 2**24: exact in any type.
    """

    term: Term
    score: int
    label_score: int


class ItemWords(NamedTuple):
    """The distinct words of an item: of its ``label``, and the ``others`` that this one lacks."""

    label: tuple[str, ...]
    others: tuple[str, ...]


class KeywordCounts(NamedTuple):
    """How many items there are, how many of them ``lack`` their words, and how many have each term.

    Those that lack words were written by an older version, and no keyword finds them.
    """

    items: int
    lacking: int
    having: list[int]


class WordHit(NamedTuple):
    """An item and the sum of its terms' scores."""

    item: Item
    score: int


class WordIndex(Protocol):
    """Finds items by their words (``words_of``)."""

    def counts(self, terms: Sequence[Term]) -> KeywordCounts:
        """Return how many items have each term, in the order of ``terms``."""

    def ranked(
        self, wanted: Sequence[Wanted], *, k: int, where: Condition | None = None
    ) -> list[WordHit]:
        """Return the ``k`` items with the highest sums, ties by id, of those that have any term.

        An item that has a term scores its ``score``, and one whose label has it ``label_score``
        as well. With ``where``, only of those items that meet the condition.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class KeywordHit:
    """An item that has words of the text.

    ``share`` in (0, 1] is how much of the text it has: 1 is every word, and a rare word counts
    more than a frequent one. It is not a cosine.
    """

    item: Item
    share: float


@dataclass(frozen=True, slots=True, kw_only=True)
class KeywordMatches:
    """What ``match`` found: ``hits``, best first.

    ``words`` counts the compounds of the text that were looked for. No item has the ``unknown``
    words. ``beginnings`` are words that no item has either, but that other words begin with.
    ``lacking`` items were written by an older version and could not be looked at. ``cut`` says that
    the text has more than ``MOST_TERMS`` words.
    """

    hits: list[KeywordHit]
    words: int = 0
    unknown: tuple[str, ...] = ()
    beginnings: tuple[str, ...] = ()
    lacking: int = 0
    cut: bool = False


def match(index: WordIndex, text: str, *, k: int, where: Condition | None = None) -> KeywordMatches:
    """Return the ``k`` items that have most of the words of a text.

    An item need not have all words, but those that do come first. A word counts the more, the
    fewer items have it: 2 log2(items / items with it). Of items with equal sums those come first
    whose label has the words, then the order is that of ids. A word that no item has is taken as
    the beginning of words, from three letters on; one that ends with ``*`` always is.
    ``STOP_WORDS`` are passed over.

    A text without words finds nothing. Raise ``ValueError`` where ``k`` is below 1.
    """
    if k < 1:
        raise ValueError(f"k is {k}, but must be at least 1")
    compounds, cut = _compounds(text)
    if not compounds:
        return KeywordMatches(hits=[])
    asked = list(dict.fromkeys(term for one in compounds for term in one.asked()))
    counts = index.counts(asked)
    having = dict(zip(asked, counts.having, strict=True))
    chosen: dict[Term, int] = {}
    unknown: list[str] = []
    beginnings: list[str] = []
    lost = 0
    for compound in compounds:
        terms = [term for term in compound.terms if having[term]]
        if not terms:
            terms = [term for term in compound.beginnings() if having[term]]
            (beginnings if terms else unknown).append(compound.text)
        if not terms:
            lost += _bits(counts.items, 1)
        chosen |= {term: _bits(counts.items, having[term]) for term in terms}
    found: list[WordHit] = []
    if chosen:
        wanted = [Wanted(term, bits * _LABEL, bits) for term, bits in chosen.items()]
        found = index.ranked(wanted, k=k, where=where)
    whole = sum(chosen.values()) + lost
    return KeywordMatches(
        hits=[KeywordHit(item=item, share=score // _LABEL / whole) for item, score in found],
        words=len(compounds),
        unknown=tuple(unknown),
        beginnings=tuple(beginnings),
        lacking=counts.lacking,
        cut=cut,
    )


def _bits(items: int, having: int) -> int:
    """Return what a word counts that ``having`` of ``items`` have: its information in half bits."""
    return min(max(round(2 * math.log2((items + 1) / having)), 1), _MOST_BITS)


# -- the words of an item --------------------------------------------------------------------------


def words_of(item: Item) -> ItemWords:
    """Return the words of an item's label, group, path, id and metadata.

    File extensions are left out, and so are names of fields, fractions and booleans. Of an item
    with more than 1,000 words the first 1,000 are kept.
    """
    label = dict.fromkeys(split(item.label or ""))
    others: dict[str, None] = {}
    for text in _texts(item):
        for word in split(text):
            if word not in label:
                others[word] = None
        if len(others) >= _MOST_WORDS:
            break
    return ItemWords(tuple(label)[:_MOST_WORDS], tuple(others)[:_MOST_WORDS])


def _texts(item: Item) -> Iterator[str]:
    yield item.group or ""
    path = _without_extension(item.path)
    yield path
    named = _without_extension(item.id)
    if named != path:
        yield named
    yield from _texts_in(dict(item.metadata), _DEEPEST)


def _texts_in(value: Json, depth: int) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, int) and not isinstance(value, bool):
        yield str(value) if abs(value) < 10**18 else ""
    elif isinstance(value, list | dict) and depth:
        for one in value.values() if isinstance(value, dict) else value:
            yield from _texts_in(one, depth - 1)


def _without_extension(path: str) -> str:
    extension = PurePosixPath(path).suffix
    return path.removesuffix(extension) if 1 < len(extension) <= len(".jpeg2") else path


# -- text → words ----------------------------------------------------------------------------------

_COMPOUND = re.compile(r"[^\s*]+\*?")
_JOINS = re.compile(r"[-'&]+")
_PART = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[^A-Z0-9]+|[0-9]+")
_IDEOGRAPHS = (
    *((0x3040, 0x30FF), (0x3400, 0x4DBF), (0x4E00, 0x9FFF)),
    *((0xF900, 0xFAFF), (0x20000, 0x3FFFD)),
)


class _Characters(dict[int, str | int]):
    """The replacement of each character: letters, digits and marks stay, others become a space."""

    def __missing__(self, code: int) -> str | int:
        found: str | int = " "
        if any(first <= code <= last for first, last in _IDEOGRAPHS):
            found = f" {chr(code)} "
        elif unicodedata.category(chr(code))[0] in "LNM":
            found = code
        self[code] = found
        return found


_APOSTROPHES: dict[int, str | int] = dict.fromkeys(map(ord, "'\u2019\u02bc"), "'")
_CHARACTERS = _Characters({**_APOSTROPHES, ord("-"): "-", ord("&"): "&"})
_QUERIED = _Characters({**_CHARACTERS, ord("*"): "*"})


def split(text: str) -> list[str]:
    """Return the words of a text in order, as they are compared; a compound gives itself, too.

    ``Flip-Flops`` gives flip, flop and flipflop.
    """
    return [word for one in _plain(text, _CHARACTERS).split() for word in _words(one)]


def _plain(text: str, characters: _Characters) -> str:
    """Return the text without accents, and with spaces for what is between words."""
    if text.isascii():
        return text.translate(characters)
    open_up = unicodedata.normalize("NFKD", text)
    bare = "".join(one for one in open_up if not 0x300 <= ord(one) <= 0x36F)  # noqa: PLR2004 - accents
    return unicodedata.normalize("NFKC", bare).translate(characters)


def _words(compound: str) -> list[str]:
    """Return the words of what stands between spaces: its parts, and the whole."""
    compound = compound.strip("-'&")
    if compound.endswith(("'s", "'S")):
        compound = compound[:-2]
    if compound.isascii() and compound.isalpha() and (compound.islower() or compound.istitle()):
        return [_stem(compound.lower())]
    pieces = _JOINS.split(compound)
    parts = [part for piece in pieces for part in _PART.findall(piece)]
    whole = "".join(pieces)
    if 1 < len(parts) <= _MOST_PARTS:
        return [_stem(one.casefold()) for one in (*parts, whole)]
    return [_stem(whole.casefold())] if whole else []


def _stem(word: str) -> str:
    """Return a word without the s of a plural; ``hoodies`` and ``hoodie`` become ``hoody``."""
    word = word[:_LONGEST]
    if len(word) < 4 or not (word.isascii() and word.isalpha()):  # noqa: PLR2004 - bus, as, is
        return word
    if word.endswith(("sses", "shes", "ches", "xes", "zzes")):
        word = word[:-2]
    elif word.endswith("s") and not word.endswith(("ss", "us", "is")):
        word = word[:-1]
    return f"{word[:-2]}y" if word.endswith("ie") and len(word) > 4 else word  # noqa: PLR2004 - tie


# -- what a text asks for --------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Compound:
    """What stood between spaces in a text, and the terms that it may be found by."""

    text: str
    terms: tuple[Term, ...]

    def beginnings(self) -> Iterator[Term]:
        for term in self.terms:
            if not term.prefix and len(term.word) >= _BEGINNING:
                yield Term(term.word, prefix=True)

    def asked(self) -> Iterator[Term]:
        yield from self.terms
        yield from self.beginnings()


def _compounds(text: str) -> tuple[list[_Compound], bool]:
    """Return the compounds of a text that is searched for, and whether there were too many."""
    found: list[_Compound] = []
    known: set[Term] = set()
    for one in _COMPOUND.findall(_plain(text, _QUERIED)):
        typed = one.rstrip("*")
        prefix = one.endswith("*")
        terms = [Term(word, prefix) for word in _words(typed) if prefix or word not in STOP_WORDS]
        fresh = tuple(dict.fromkeys(term for term in terms if term not in known))
        if not fresh:
            continue
        if len(known) + len(fresh) > MOST_TERMS:
            return found, True
        known.update(fresh)
        found.append(_Compound(typed.casefold(), fresh))
    return found, False
