"""What a comparison of files with items by digest finds."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

__all__ = ["DifferenceKind", "FileDifference", "VerificationReport", "merge_reports"]

DifferenceKind: TypeAlias = Literal[
    "changed", "changed-unseen", "missing", "new", "unreadable", "being-written"
]
"""``changed-unseen``: other bytes, but the size and time that were indexed, so that only a run with
``reread`` would notice. ``new``: a file without an item."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileDifference:
    """A file that differs from its item: ``path`` below the source's root, and why."""

    kind: DifferenceKind
    id: str
    path: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class VerificationReport:
    """What a comparison by digest found: ``matching`` of the ``checked`` items have their bytes.

    ``unusable`` files were skipped by an earlier run and have not changed since.
    """

    checked: int = 0
    matching: int = 0
    unusable: int = 0
    differences: tuple[FileDifference, ...] = ()
    interrupted: bool = False
    seconds: float = 0.0

    def count(self) -> dict[str, int]:
        """Return the number of differences of each kind that occurs."""
        counts: dict[str, int] = {}
        for one in self.differences:
            counts[one.kind] = counts.get(one.kind, 0) + 1
        return counts


def merge_reports(reports: Sequence[VerificationReport]) -> VerificationReport:
    """Return one report of several sources."""
    return VerificationReport(
        checked=sum(one.checked for one in reports),
        matching=sum(one.matching for one in reports),
        unusable=sum(one.unusable for one in reports),
        differences=tuple(one for report in reports for one in report.differences),
        interrupted=any(one.interrupted for one in reports),
        seconds=sum(one.seconds for one in reports),
    )
