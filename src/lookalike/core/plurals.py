"""Counts in messages."""

from collections.abc import Mapping

__all__ = ["count_noun", "reasons_text"]


def count_noun(count: int, noun: str, plural: str | None = None) -> str:
    """Return a count with its noun in the right number: ``1 group``, ``1,200 groups``."""
    return f"{count:,} {noun if count == 1 else plural or noun + 's'}"


def reasons_text(reasons: Mapping[str, int]) -> str:
    """Return reasons with their counts as one phrase: ``3 broken, 1 empty``."""
    return ", ".join(f"{count} {reason}" for reason, count in reasons.items())
