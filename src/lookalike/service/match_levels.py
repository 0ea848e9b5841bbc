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

_FRESH_S = 1.0  # the stored calibration is read again after this time


class MatchLevels:
    """The calibration of ``collection``, in memory while it holds; ``aside`` is used
    for measuring.

    A read-only collection cannot store what was measured. Only ``measured`` takes long; callers
    must make sure that one of them measures at a time.
    """

    def __init__(self, collection: "Collection", aside: "Collection") -> None:
        self._collection = collection
        self._aside = aside
        self._scale: Calibration | None = None
        self._looked = -_FRESH_S

    def known(self, min_match: Match | None) -> Calibration | None:
        """Return the scale for results; ``None`` also where it would have to be measured first."""
        now = time.monotonic()
        if now - self._looked >= _FRESH_S:
            scale, before = load_calibration(self._collection), self._scale
            if scale is None and before is not None and holds(before, self._collection):
                scale = before
            self._scale, self._looked = scale, now
        return choose_scale(self._scale, min_match)

    def measured(self) -> Calibration:
        """Return the known scale, or measure it now, which takes about a second."""
        scale = self.known("weak")
        if scale is None:
            scale = get_calibration(self._aside)
            self._scale, self._looked = scale, time.monotonic()
        return scale
