"""What re-ranking the best results by the encoder's maps would gain.

It is no option of lookalike (docs/decisions/0041-search-options.md). It is measured on a sample:
the positions of the last map (7 x 7), centred and projected on 128 components, compared pair by
pair, and what that gives added to the score of the best 100.
"""

import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks.machine import Json
from benchmarks.retrieval import NOT_A_CLASS, Indexed, Places, Quality, Scores, ranked, recall
from lookalike.core.vectors import Matrix
from lookalike.encoders import OnnxEncoder, load_encoder
from lookalike.search.directions import Directions

__all__ = ["reranking"]

_FIRST = 100  # that are re-ranked
_WEIGHTS = (0.5, 1.0)
_COMPONENTS = 128

Positions: TypeAlias = NDArray[np.float32]  # ([n,] positions, depth)


def _chamfer(query: Positions, items: Positions) -> Scores:
    """The mean, over the query's positions, of the best cosine with a position of an item."""
    best: Scores = np.einsum("qd,npd->nqp", query, items, optimize=True).max(axis=2).mean(axis=1)
    return best


def _best_buddies(query: Positions, items: Positions) -> Scores:
    """As ``_chamfer``, but only of pairs that are each other's nearest position."""
    cosines = np.einsum("qd,npd->nqp", query, items, optimize=True)
    there, back = cosines.argmax(axis=2), cosines.argmax(axis=1)  # (n, q), (n, p)
    mutual = np.take_along_axis(back, there, axis=1) == np.arange(len(query))
    best: Scores = (cosines.max(axis=2) * mutual).mean(axis=1)
    return best


_METHODS: dict[str, Callable[[Positions, Positions], Scores]] = {
    "chamfer": _chamfer,
    "best buddies": _best_buddies,
}


@dataclass(slots=True)
class _Way:
    """A way to re-rank, and what it gives. Without a method nothing is re-ranked."""

    name: str
    weight: float = 0.0
    quality: Quality = field(default_factory=Quality.empty)
    ranks: dict[str, list[int]] = field(default_factory=dict)

    def order(self, scores: Scores, query: Positions, maps: Positions) -> Places:
        order = ranked(scores)
        if self.name not in _METHODS:
            return order
        first, rest = order[:_FIRST], order[_FIRST:]
        alike = _METHODS[self.name](query, maps[first])
        return np.concatenate([first[ranked(scores[first] + self.weight * alike)], rest])


def _unit(rows: Positions) -> Positions:
    made: Positions = rows / np.maximum(np.linalg.norm(rows, axis=2, keepdims=True), 1e-6)
    return made


def _positions(encoder: OnnxEncoder, loaded: Sequence[Image.Image]) -> Positions:
    made = encoder.patches([encoder.prepare(image) for image in loaded])
    return _unit(made.reshape(len(made), -1, made.shape[-1]))


def reranking(
    of: Indexed,
    encoder_name: str,
    distorted: Mapping[str, Matrix],
    changes: Mapping[str, Callable[[Image.Image], Image.Image]],
    count: int,
) -> list[dict[str, Json]]:
    """Return a row for each way. ``count`` images are searched, a tenth of them also distorted."""
    encoder = load_encoder(encoder_name)
    own = of.sample[: count // 10]
    others = [one for one in range(len(of.ids)) if one not in {*own}]
    places = [*own, *random.Random(2).sample(others, min(count, len(others)) - len(own))]
    began = time.perf_counter()
    batches = [places[at : at + 50] for at in range(0, len(places), 50)]
    every = np.concatenate([_positions(encoder, [of.load(one) for one in few]) for few in batches])
    seconds = _FIRST * (time.perf_counter() - began) / len(places)
    flat = every[::2].reshape(-1, every.shape[-1])
    mean = flat.mean(axis=0)
    _, axes = np.linalg.eigh((flat - mean).T @ (flat - mean))
    components = axes[:, ::-1][:, :_COMPONENTS]
    maps = _unit((every - mean) @ components)
    vectors, labels = of.vectors[places], of.labels[places]
    ways = [_Way("none"), *(_Way(name, weight) for name in _METHODS for weight in _WEIGHTS)]
    for place in range(2 * len(own)):
        if labels[place] != NOT_A_CLASS and (labels == labels[place]).sum() > 1:
            scores = Directions.of(vectors[place]).scores(vectors)
            for way in ways:
                way.quality.add(way.order(scores, maps[place], maps), place, labels)
    for name, change in changes.items():
        loaded = [change(of.load(one)) for one in own]
        changed = _unit((_positions(encoder, loaded) - mean) @ components)
        for place, query in enumerate(changed):
            scores = Directions.of(distorted[name][place]).scores(vectors)
            for way in ways:
                order = way.order(scores, query, maps)
                rank = 1 + int(np.flatnonzero(order == place)[0])
                way.ranks.setdefault(name, []).append(rank)
    rows: list[dict[str, Json]] = []
    for way in ways:
        row: dict[str, Json] = {"images": of.title, "re-ranked by": way.name, "weight": way.weight}
        row |= way.quality.row(ways[0].quality)
        row |= {f"R@1 {name}": recall(ranks)["R@1"] for name, ranks in way.ranks.items()}
        row["s for 100 images"] = round(seconds, 2) if way.weight else 0.0
        rows.append(row)
    return rows
