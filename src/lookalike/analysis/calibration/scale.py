"""The match levels of a collection, and the levels of scores."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray

from lookalike.core.records import Hit, Json, Note
from lookalike.core.vectors import reaches

__all__ = ["FIXED", "Calibration", "Level", "Match", "MatchedHits", "Spread", "Values"]

Values: TypeAlias = NDArray[np.float64]
Match: TypeAlias = Literal["strong", "fair", "weak"]

FIXED: Mapping[Match, float] = {"strong": 0.8, "fair": 0.65, "weak": 0.5}
"""Used if nothing can be measured; between the values of Caltech-101 and Myntra."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """The percentiles 5, 50, 95 and 99.9 of the cosines of some pairs."""

    p5: float
    p50: float
    p95: float
    p999: float

    @classmethod
    def of(cls, scores: Values) -> "Spread":
        p5, p50, p95, p999 = np.quantile(scores, (0.05, 0.5, 0.95, 0.999)).tolist()
        return cls(p5=p5, p50=p50, p95=p95, p999=p999)


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """A match level: a cosine of ``least`` or more.

    ``nearest`` of the sampled items have their nearest neighbour at this level and none above. Of
    these pairs, ``labelled`` have labels on both sides, which are equal in ``same_label``.
    """

    match: Match
    least: float
    nearest: int = 0
    labelled: int = 0
    same_label: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class MatchedHits:
    """Hits with their match levels; ``None`` stands for less than a weak match.

    ``nothing`` says why there are no hits, if a level was required and no hit reached it;
    ``nearest`` is then the best hit that was dropped.
    """

    hits: tuple[Hit, ...]
    matches: tuple[Match | None, ...]
    nearest: Hit | None = None
    nothing: str | None = None

    @property
    def notes(self) -> tuple[Note, ...]:
        """``nothing`` and ``nearest`` as a note."""
        if self.nothing is None or self.nearest is None:
            return ()
        details: dict[str, Json] = {
            "best": round(self.nearest.score, 6),
            "id": self.nearest.item.id,
        }
        return (Note(code="below-min-match", message=self.nothing, details=details),)


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """The levels of a collection, and what they were measured on.

    ``levels`` are strong, fair and weak. ``chance`` is the score that the best of ``items``
    unrelated images is expected to reach. ``pairs`` are scores of random pairs, ``nearest`` those
    of each of ``sampled`` items and its nearest neighbour. ``reason`` says why nothing could be
    measured; the levels are then ``FIXED``.
    """

    fingerprint: str
    items: int
    levels: tuple[Level, Level, Level]
    sampled: int = 0
    chance: float | None = None
    pairs: Spread | None = None
    nearest: Spread | None = None
    reason: str | None = None
    measured_at: float = 0.0

    def least(self, match: Match) -> float:
        """Return the lowest cosine of a match level. Raise ``ValueError`` for another word."""
        for level in self.levels:
            if level.match == match:
                return level.least
        raise ValueError(
            f"{match!r} is not a match level; the levels are {', '.join(get_args(Match))}"
        )

    def match(self, score: float) -> Match | None:
        """Return the match level of a cosine in [-1, 1]; ``None`` below a weak match."""
        return next((level.match for level in self.levels if score >= level.least), None)

    def match_hits(
        self,
        hits: Sequence[Hit],
        *,
        min_match: Match | None = None,
        min_score: float | None = None,
    ) -> MatchedHits:
        """Assign match levels to hits, and drop hits below ``min_match`` or ``min_score``.

        The stricter of the two limits counts. ``hits`` are sorted best first.
        """
        least = max(
            -1.0 if min_match is None else self.least(min_match),
            -1.0 if min_score is None else min_score,
        )
        passing = tuple(hit for hit in hits if reaches(hit.score, least))
        nearest = hits[0] if min_match is not None and hits and not passing else None
        return MatchedHits(
            hits=passing,
            matches=tuple(self.match(hit.score) for hit in passing),
            nearest=nearest,
            nothing=None if nearest is None else self._nothing(nearest, least),
        )

    def _nothing(self, nearest: Hit, least: float) -> str:
        score, weak = nearest.score, self.least("weak")
        word = self.match(score)
        if word is not None:
            return (
                f"the most similar item, {nearest.item.id}, has {score:.3f}, a {word} match, but "
                f"{least:.3f} is required"
            )
        if self.reason is not None:
            why = f"a weak match begins at {weak:.3f} in any collection"
        elif self.chance is not None and weak < self.chance:
            why = f"19 of 20 images here have a neighbour at {weak:.3f} or more"
        else:
            why = f"unrelated images reach {weak:.3f} here by chance"
        return f"the most similar item, {nearest.item.id}, has {score:.3f}, but {why}"
