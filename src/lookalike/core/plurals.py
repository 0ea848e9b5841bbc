"""Counts in messages."""

__all__ = ["count_noun"]


def count_noun(count: int, noun: str, plural: str | None = None) -> str:
    """Return a count with its noun in the right number: ``1 group``, ``1,200 groups``."""
    return f"{count:,} {noun if count == 1 else plural or noun + 's'}"
