"""What scores mean in a collection that is served, measured no more often than need be."""

import time
from typing import TYPE_CHECKING

from lookalike.analysis.calibration import (
    Calibration,
    Match,
    choose_scale,
    get_calibration,
    holds,
    load_calibration,
)

if TYPE_CHECKING:
    from lookalike.collection import Collection

__all__ = ["MatchLevels"]

_FRESH_S = 1.0  # how old may be what is told without looking


class MatchLevels:
    """The calibration of ``collection``, in memory while it holds; ``aside`` is to measure by.

    A collection that is read only cannot keep what was measured. Only ``measured`` takes long; that
    one caller measures at a time is the callers' to see to.
    """

    def __init__(self, collection: "Collection", aside: "Collection") -> None:
        self._collection = collection
        self._aside = aside
        self._scale: Calibration | None = None
        self._looked = -_FRESH_S

    def known(self, min_match: Match | None) -> Calibration | None:
        """What answers are judged by; ``None`` also where it would have to be measured first."""
        now = time.monotonic()
        if now - self._looked >= _FRESH_S:
            scale, before = load_calibration(self._collection), self._scale
            if scale is None and before is not None and holds(before, self._collection):
                scale = before
            self._scale, self._looked = scale, now
        return choose_scale(self._scale, min_match)

    def measured(self) -> Calibration:
        """What is known, else measured now: a second or so."""
        scale = self.known("weak")
        if scale is None:
            scale = get_calibration(self._aside)
            self._scale, self._looked = scale, time.monotonic()
        return scale
