"""What becomes of a pair that was compared: whether it is shown, and as which duplicate."""

from lookalike.analysis.duplicates.confirming import Verdict
from lookalike.analysis.duplicates.grouping import Duplicate
from lookalike.analysis.duplicates.verification import NOTHING_SHOWN
from lookalike.core.records import Item

__all__ = ["TURNS", "is_shown", "near_duplicate"]


# How a duplicate is turned, as ``signatures.hashes`` numbers it.
TURNS = (
    "",
    "mirrored",
    "upside down and mirrored",
    "turned by 180°",
    "mirrored along the diagonal",
    "turned by 90°",
    "turned by 270°",
    "mirrored along the other diagonal",
)


def is_shown(verdict: Verdict, far: float, most: float, *, marked: bool) -> bool:
    """Return whether a pair is reported as near. A mark is a difference in one place."""
    if far > most:
        return verdict.sure
    return verdict.same or (marked and verdict.reason != NOTHING_SHOWN)


def near_duplicate(
    item: Item, far: float, turn: int, verdict: Verdict, *, score: float
) -> Duplicate:
    """Return the near duplicate that a confirmed pair is."""
    return Duplicate(
        item=item,
        exact=False,
        difference=round(far, 4),
        turn=TURNS[turn],
        score=score,
        sure=verdict.sure,
        reason=verdict.reason,
    )
