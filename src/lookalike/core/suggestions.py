"""Suggestions for mistyped words."""

from collections.abc import Iterable, Sequence

__all__ = ["closest", "did_you_mean", "format_hint"]


def closest(word: str, known: Iterable[str], *, n: int = 1) -> list[str]:
    """Return at most ``n`` of the known words that resemble ``word``, the most similar first.

    A word that differs only by case always comes first.
    """
    import difflib  # noqa: PLC0415 - only for a mistake; a search should not pay for it

    words = list(dict.fromkeys(known))
    folded = word.casefold()
    same = [one for one in words if one.casefold() == folded]
    lowered: dict[str, str] = {}
    for one in words:
        lowered.setdefault(one.casefold(), one)
    similar = [lowered[one] for one in difflib.get_close_matches(folded, lowered, n=n, cutoff=0.7)]
    return list(dict.fromkeys([*same, *similar]))[:n]


def did_you_mean(word: str, known: Iterable[str], *, n: int = 1) -> str:
    """Return ``; did you mean 'source'?`` if a known word resembles ``word``, else nothing."""
    return format_hint(closest(word, known, n=n))


def format_hint(found: Sequence[str]) -> str:
    """Return the words that were found as ``; did you mean 'source'?``; nothing for none."""
    return f"; did you mean {' or '.join(map(repr, found))}?" if found else ""
