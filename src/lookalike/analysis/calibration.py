"""What a score means in a collection: from which cosine on a match is strong, fair or weak.

    from lookalike.analysis import calibration

    scale = calibration.calibrated(shop)
    found = scale.judge(shop.search("query.jpg"), min_match="fair")
    print(found.hits, found.matches, found.nothing)

A cosine of 0.6 is much among photographs of anything and little among shoes on white. So a sample
of the collection says two things: how alike two of its pictures are by chance, and how alike a
picture is to its nearest. Exact copies and pictures of one group are passed over in both: they say
how alike a product is to itself.

======  ==========================================================================================
weak    from what the best of all items reaches by chance: of n unrelated pictures, the score that
        one is expected to pass. Never more than 19 of 20 sampled items reach with their nearest,
        for where everything is of one kind two pictures at random are no measure of chance
fair    from halfway between weak and strong
strong  from what half of the sampled items reach with their nearest; at least three tenths of the
        way from weak to 1, for where nothing has a look-alike the nearest is as far as chance
======  ==========================================================================================

Chance is a normal distribution through the median and the lower quartile of random pairs: their
upper half holds pairs that are truly alike, and would count likeness as chance.
"""

import math
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray

from lookalike.core.records import Hit, Item, Json, Note
from lookalike.core.vectors import Matrix, reaches, unit_rows
from lookalike.errors import StoreBusyError, StoreFullError, StoreReadOnlyError

if TYPE_CHECKING:
    from lookalike.collection import Collection


__all__ = [
    "FIXED",
    "Calibration",
    "Judgement",
    "Level",
    "Match",
    "Spread",
    "applying",
    "calibrate",
    "calibrated",
    "chance",
    "holds",
    "kept",
    "thresholds",
]

Match: TypeAlias = Literal["strong", "fair", "weak"]
Values: TypeAlias = NDArray[np.float64]

FIXED: Mapping[Match, float] = {"strong": 0.8, "fair": 0.65, "weak": 0.5}
"""Where nothing can be measured; between what Caltech-101 and Myntra have."""

SAMPLE = 500  # items; their 124,750 pairs are the random ones
_SETTING = "calibration"
_FEWEST = 20  # items with a nearest: "19 of 20" means nothing among fewer
_DRIFT = 1.5  # times more or fewer items, and it is measured anew: weak has moved by 0.006
_ALIKE = 0.99  # a weak match from here on says that the encoder tells nothing apart
_NEAR, _FAR = 8, 64  # answers to look through for one that is no copy, at first and then
_MISSED = 0.05
_CLEAR = 0.3
_QUARTILE = 0.6744897501960817  # a normal distribution's quartile, in standard deviations


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """Cosines that 5, 50, 95 and 99.9 % of some pairs stay below."""

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
    """A match of this kind has a cosine of ``least`` or more.

    ``nearest`` of the sampled items have their nearest at this level and none above. Of these
    pairs, ``labelled`` have labels on both sides, which are the same in ``same_label``.
    """

    match: Match
    least: float
    nearest: int = 0
    labelled: int = 0
    same_label: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """Answers with their words; ``None`` stands for less than a weak match.

    ``nothing`` says why there are no hits, where a level was asked for and none reached it:
    ``nearest`` is then the best of what was left out.
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

    ``levels`` are strong, fair and weak. ``chance`` is what the best of ``items`` unrelated
    pictures is expected to reach. ``pairs`` are of two items at random, ``nearest`` of each of
    ``sampled`` items and its nearest. ``reason`` says why nothing could be measured: the levels
    are then ``FIXED``.
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
        """The lowest cosine of a match. ``ValueError`` for another word."""
        for level in self.levels:
            if level.match == match:
                return level.least
        raise ValueError(f"{match!r} is no match; they are {', '.join(get_args(Match))}")

    def match(self, score: float) -> Match | None:
        """The word for a cosine; ``None`` for less than a weak match."""
        return next((level.match for level in self.levels if score >= level.least), None)

    def judge(
        self,
        hits: Sequence[Hit],
        *,
        min_match: Match | None = None,
        min_score: float | None = None,
    ) -> Judgement:
        """Give hits their words, and leave out those that are less than ``min_match``.

        Both limits hold, so the stricter counts. Hits are best first, as any search gives them.
        """
        least = max(
            -1.0 if min_match is None else self.least(min_match),
            -1.0 if min_score is None else min_score,
        )
        passing = tuple(hit for hit in hits if reaches(hit.score, least))
        nearest = hits[0] if min_match is not None and hits and not passing else None
        return Judgement(
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
                f"nothing here is alike enough: the most alike item is {nearest.item.id} at "
                f"{score:.3f}, a {word} match, and {least:.3f} is asked for"
            )
        if self.reason is not None:
            why = f"a weak match begins at {weak:.3f}, whatever is in the collection"
        elif self.chance is not None and weak < self.chance:
            why = f"19 of 20 pictures here have one at {weak:.3f} or more"
        else:
            why = f"unrelated pictures reach {weak:.3f} here by chance"
        return (
            f"nothing here looks like that: the most alike item is {nearest.item.id} at "
            f"{score:.3f}, and {why}"
        )


def calibrated(collection: "Collection") -> Calibration:
    """The collection's levels: those that are kept if they still hold, else measured now.

    Measuring needs no picture and no network. What is measured is kept, where that can be written.
    """
    scale = kept(collection)
    if scale is None:
        scale = _measured(collection)
        # Unkept it is as good: who asks next waits a second too.
        with suppress(StoreBusyError, StoreFullError, StoreReadOnlyError):
            _keep(collection, scale)
    return scale


def applying(scale: Calibration | None, min_match: Match | None) -> Calibration | None:
    """What answers are judged by: the rule of thumb is for who asks for a level alone. Pure."""
    return None if scale is None or (scale.reason and min_match is None) else scale


def calibrate(collection: "Collection") -> Calibration:
    """Measure the levels anew and keep them. Raises ``StoreError`` where nothing can be written."""
    scale = _measured(collection)
    _keep(collection, scale)
    return scale


def kept(collection: "Collection") -> Calibration | None:
    """What was measured before, if it still holds."""
    scale = _read(collection.store.setting(_SETTING))
    return scale if scale is not None and holds(scale, collection) else None


def holds(scale: Calibration, collection: "Collection") -> bool:
    """Whether what was measured tells of the collection as it is now.

    It does for the vectors of one encoder, until there are half as many items again or a third
    have gone. What could not be measured holds while the number of items is the same.
    """
    bound = collection.store.bound()
    if bound is None or scale.fingerprint != bound[1]:
        return False
    items = len(collection)
    if scale.reason is not None:
        return items == scale.items
    return scale.items / _DRIFT <= items <= scale.items * _DRIFT


# --- the statistics --------------------------------------------------------------------------


def chance(pairs: Values, items: int) -> float:
    """The cosine that one of ``items`` unrelated pictures is expected to pass, at most 1. Pure.

    ``pairs`` (n,) are cosines of random pairs; see above for which of them count.
    """
    # It loads fractions and decimals, which a search that reads what is kept should not pay for.
    from statistics import NormalDist  # noqa: PLC0415

    quartile, median = (float(one) for one in np.quantile(pairs, (0.25, 0.5)))
    deviations = NormalDist().inv_cdf(1 - 1 / max(items, 2))
    return min(median + deviations * (median - quartile) / _QUARTILE, 1.0)


def thresholds(pairs: Values, nearest: Values, items: int) -> dict[Match, float]:
    """Where each level begins, from cosines of random pairs and of items' nearest. Pure."""
    missed, usual = np.quantile(nearest, (_MISSED, 0.5)).tolist()
    weak = min(chance(pairs, items), missed)
    strong = max(usual, weak + _CLEAR * (1 - weak))
    return {"strong": strong, "fair": (weak + strong) / 2, "weak": weak}


def _measured(collection: "Collection") -> Calibration:
    bound = collection.store.bound()
    count = len(collection)

    def fixed(reason: str) -> Calibration:
        strong, fair, weak = (Level(match=match, least=FIXED[match]) for match in get_args(Match))
        return Calibration(
            fingerprint=bound[1] if bound else "",
            items=count,
            levels=(strong, fair, weak),
            reason=reason,
            measured_at=time.time(),
        )

    if count < _FEWEST:
        items_are = "1 item is" if count == 1 else f"{count} items are"
        return fixed(f"{items_are} too few to tell what is alike here")
    items, rows = _sample(collection)
    near = _nearest(collection, items, rows)
    nearest = np.array([hit.score for hit in near if hit is not None])
    pairs = _pairs(items, rows)
    if len(nearest) < _FEWEST or not len(pairs):
        return fixed(
            "nearly all pictures here are copies of one another, or of one group, which does not "
            "tell what is alike"
        )
    least = thresholds(pairs, nearest, count)
    if least["weak"] >= _ALIKE:
        return fixed("the encoder finds all pictures here alike")
    strong, fair, weak = _levels(least, items, near)
    return Calibration(
        fingerprint=bound[1] if bound else "",
        items=count,
        levels=(strong, fair, weak),
        sampled=len(nearest),
        chance=chance(pairs, count),
        pairs=Spread.of(pairs),
        nearest=Spread.of(nearest),
        measured_at=time.time(),
    )


def _sample(collection: "Collection") -> tuple[list[Item], Matrix]:
    """Items drawn at random (seeded), with their vectors (n, dim)."""
    count = len(collection)
    chosen = np.sort(np.random.default_rng(0).permutation(count)[:SAMPLE])
    ids: list[str] = []
    rows: list[NDArray[np.floating]] = []
    start = 0
    for chunk in collection.store.keyed():
        some = chosen[(chosen >= start) & (chosen < start + len(chunk.ids))] - start
        ids += [chunk.ids[one] for one in some.tolist()]
        rows.append(chunk.rows[some])
        start += len(chunk.ids)
    found = collection.store.get(ids)  # one may have gone meanwhile
    there = [position for position, one in enumerate(ids) if one in found]
    matrix = unit_rows(np.concatenate(rows)[there]) if there else np.empty((0, 0), np.float32)
    return [found[ids[position]] for position in there], matrix


def _related(one: Item, other: Item) -> bool:
    """Whether two items are one, copies, or of one group."""
    same = one.id == other.id or one.digest == other.digest
    return same or (bool(one.group) and one.group == other.group)


def _nearest(collection: "Collection", items: Sequence[Item], rows: Matrix) -> list[Hit | None]:
    """For each item the most alike that is not related to it; ``None`` where none was found."""
    near: list[Hit | None] = [None] * len(items)
    waiting = list(range(len(items)))
    for ask in (_NEAR, _FAR):
        found = collection.store.search(rows[waiting], k=ask) if waiting else []
        for position, hits in zip(waiting, found, strict=True):
            own = items[position]
            near[position] = next((hit for hit in hits if not _related(hit.item, own)), None)
        waiting = [position for position in waiting if near[position] is None]
    return near


def _pairs(items: Sequence[Item], rows: Matrix) -> Values:
    """Cosines of all pairs of items that are not related, (n,)."""
    kinds: dict[str, int] = {}
    digests = np.array([kinds.setdefault(f"d{item.digest}", len(kinds)) for item in items])
    groups = np.array(
        [
            kinds.setdefault(f"g{item.group}" if item.group else f"i{item.id}", len(kinds))
            for item in items
        ]
    )
    first, second = np.triu_indices(len(items), k=1)
    apart = (digests[first] != digests[second]) & (groups[first] != groups[second])
    scores: Values = (rows @ rows.T)[first[apart], second[apart]].astype(np.float64)
    return scores.clip(-1, 1)


def _levels(
    least: Mapping[Match, float], items: Sequence[Item], near: Sequence[Hit | None]
) -> list[Level]:
    """The levels, best first, with how the sampled items fare at each."""
    levels = []
    above = math.inf
    for match in get_args(Match):
        here = [
            (item.label, hit.item.label)
            for item, hit in zip(items, near, strict=True)
            if hit is not None and least[match] <= hit.score < above
        ]
        both = [pair for pair in here if all(pair)]
        levels.append(
            Level(
                match=match,
                least=least[match],
                nearest=len(here),
                labelled=len(both),
                same_label=sum(one == other for one, other in both),
            )
        )
        above = least[match]
    return levels


# --- what is kept ----------------------------------------------------------------------------


def _keep(collection: "Collection", scale: Calibration) -> None:
    if collection.store.bound() is not None:
        collection.store.set_setting(_SETTING, asdict(scale))


def _read(document: Any) -> Calibration | None:  # noqa: ANN401 - JSON, looked at closely here
    """What ``_keep`` wrote; ``None`` for nothing, or what another version wrote."""
    try:
        strong, fair, weak = (Level(**level) for level in document["levels"])
        spreads = {
            name: None if document[name] is None else Spread(**document[name])
            for name in ("pairs", "nearest")
        }
        return Calibration(**{**document, **spreads, "levels": (strong, fair, weak)})
    except (KeyError, TypeError, ValueError):
        return None
