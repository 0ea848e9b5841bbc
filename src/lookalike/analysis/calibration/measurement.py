"""Measure the match levels on a sample of a collection. Reads vectors, no images."""

import math
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, get_args

import numpy as np

from lookalike.analysis.calibration.scale import FIXED, Calibration, Level, Match, Spread, Values
from lookalike.core.records import Hit, Item
from lookalike.core.vectors import Matrix, unit_rows

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from lookalike.collection import Collection

__all__ = ["SAMPLE", "compute_thresholds", "estimate_chance", "measure"]

SAMPLE = 500  # items; their 124,750 pairs are the random ones
_FEWEST = 20  # items with a nearest neighbour: "19 of 20" is meaningless among fewer
_ALIKE = 0.99  # a weak match above this means that the encoder distinguishes nothing
_NEAR, _FAR = 8, 64  # hits searched for one that is not a duplicate, at first and then
_MISSED = 0.05
_CLEAR = 0.3
_QUARTILE = 0.6744897501960817  # a normal distribution's quartile, in standard deviations


def estimate_chance(pairs: Values, items: int) -> float:
    """Return the cosine that one of ``items`` unrelated images is expected to reach, at most 1.
    Pure.

    ``pairs`` (n,) are cosines of random pairs; the module says which of them count.
    """
    # It loads fractions and decimals, which a search with a stored calibration does not need.
    from statistics import NormalDist  # noqa: PLC0415

    quartile, median = (float(one) for one in np.quantile(pairs, (0.25, 0.5)))
    deviations = NormalDist().inv_cdf(1 - 1 / max(items, 2))
    return min(median + deviations * (median - quartile) / _QUARTILE, 1.0)


def compute_thresholds(pairs: Values, nearest: Values, items: int) -> dict[Match, float]:
    """Return the least score of each level from cosines of random pairs and nearest neighbours."""
    missed, usual = np.quantile(nearest, (_MISSED, 0.5)).tolist()
    weak = min(estimate_chance(pairs, items), missed)
    strong = max(usual, weak + _CLEAR * (1 - weak))
    return {"strong": strong, "fair": (weak + strong) / 2, "weak": weak}


def measure(collection: "Collection") -> Calibration:
    bound = collection.store.bound()
    count = len(collection)

    def make_default(reason: str) -> Calibration:
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
        return make_default(f"{items_are} too few to measure match levels")
    items, rows = _sample(collection)
    near = _find_nearest(collection, items, rows)
    nearest = np.array([hit.score for hit in near if hit is not None])
    pairs = _compute_pairs(items, rows)
    if len(nearest) < _FEWEST or not len(pairs):
        return make_default(
            "nearly all images are duplicates of one another, or of one group; match levels cannot "
            "be measured"
        )
    least = compute_thresholds(pairs, nearest, count)
    if least["weak"] >= _ALIKE:
        return make_default("the encoder gives nearly the same vector for all images")
    strong, fair, weak = _make_levels(least, items, near)
    return Calibration(
        fingerprint=bound[1] if bound else "",
        items=count,
        levels=(strong, fair, weak),
        sampled=len(nearest),
        chance=estimate_chance(pairs, count),
        pairs=Spread.of(pairs),
        nearest=Spread.of(nearest),
        measured_at=time.time(),
    )


def _sample(collection: "Collection") -> tuple[list[Item], Matrix]:
    """Return randomly drawn items (seeded) with their vectors (n, dim)."""
    count = len(collection)
    chosen = np.sort(np.random.default_rng(0).permutation(count)[:SAMPLE])
    ids: list[str] = []
    rows: list[NDArray[np.floating]] = []
    start = 0
    for chunk in collection.store.neighbours.keyed():
        some = chosen[(chosen >= start) & (chosen < start + len(chunk.ids))] - start
        ids += [chunk.ids[one] for one in some.tolist()]
        rows.append(chunk.rows[some])
        start += len(chunk.ids)
    found = collection.store.items.get(ids)  # one may have been removed meanwhile
    there = [position for position, one in enumerate(ids) if one in found]
    matrix = unit_rows(np.concatenate(rows)[there]) if there else np.empty((0, 0), np.float32)
    return [found[ids[position]] for position in there], matrix


def _are_related(one: Item, other: Item) -> bool:
    """Return whether two items are the same, duplicates, or in one group."""
    same = one.id == other.id or one.digest == other.digest
    return same or (bool(one.group) and one.group == other.group)


def _find_nearest(
    collection: "Collection", items: Sequence[Item], rows: Matrix
) -> list[Hit | None]:
    """Return the nearest unrelated item of each item; ``None`` if none was found."""
    near: list[Hit | None] = [None] * len(items)
    waiting = list(range(len(items)))
    for ask in (_NEAR, _FAR):
        found = collection.store.search.nearest(rows[waiting], k=ask) if waiting else []
        for position, hits in zip(waiting, found, strict=True):
            own = items[position]
            near[position] = next((hit for hit in hits if not _are_related(hit.item, own)), None)
        waiting = [position for position in waiting if near[position] is None]
    return near


def _compute_pairs(items: Sequence[Item], rows: Matrix) -> Values:
    """Return cosines of all pairs of items that are not related, (n,)."""
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


def _make_levels(
    least: Mapping[Match, float], items: Sequence[Item], near: Sequence[Hit | None]
) -> list[Level]:
    """Return the levels, best first, with the counts of sampled items at each."""
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
