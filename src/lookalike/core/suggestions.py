"""Suggestions for mistyped words."""

import re
from collections.abc import Iterable, Sequence

__all__ = ["closest", "did_you_mean", "format_hint"]


def closest(word: str, known: Iterable[str], *, n: int = 1) -> list[str]:
    """Return at most ``n`` of the known words that resemble ``word``, the most similar first.

    A word that differs only by case comes first, then those that contain all of its words, with
    or without a plural s (``Shoes`` → ``Casual Shoes``), those with fewer other words and more of
    its letters first, then those with similar letters, in all or in one word of a name such as
    ``baseColour``.
    """
    import difflib  # noqa: PLC0415 - only for a mistake; a search should not pay for it

    words = list(dict.fromkeys(known))
    folded = word.casefold()
    same = [one for one in words if one.casefold() == folded]
    lowered: dict[str, str] = {}
    for one in words:
        lowered.setdefault(one.casefold(), one)
    similar = [lowered[one] for one in difflib.get_close_matches(folded, lowered, n=n, cutoff=0.7)]
    parts = _parts(word)
    wider = [one for one in words if parts and parts <= _parts(one)]
    alike = difflib.SequenceMatcher(b=folded)

    def rank(one: str) -> tuple[int, float]:
        alike.set_seq1(one.casefold())
        return len(_parts(one)), -alike.ratio()

    wider.sort(key=rank)  # stable: of equals the first known one
    named = [
        one
        for one in words
        if difflib.get_close_matches(folded, _words_of_name(one), n=1, cutoff=0.75)
    ]
    return list(dict.fromkeys([*same, *wider, *similar, *named]))[:n]


def _words_of_name(name: str) -> list[str]:
    """Return the words of a name written together (``baseColour``, ``base_colour``), folded.

    Empty for text of words with spaces, and for a name of one word.
    """
    found = re.findall(r"[A-Z]?[a-z]{3,}", name)
    return [one.casefold() for one in found] if len(found) > 1 and " " not in name else []


def _parts(text: str) -> frozenset[str]:
    """Return the words of a text, folded and without a plural s, from three letters on."""
    words = re.findall(r"[^\W_]{3,}", text.casefold())
    return frozenset(one[:-1] if len(one) > 3 and one.endswith("s") else one for one in words)  # noqa: PLR2004 - as above


def did_you_mean(word: str, known: Iterable[str], *, n: int = 1) -> str:
    """Return ``; did you mean 'source'?`` if a known word resembles ``word``, else nothing."""
    return format_hint(closest(word, known, n=n))


def format_hint(found: Sequence[str]) -> str:
    """Return the words that were found as ``; did you mean 'source'?``; nothing for none."""
    return f"; did you mean {' or '.join(map(repr, found))}?" if found else ""
