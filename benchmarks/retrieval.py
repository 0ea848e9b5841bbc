"""Collections with their vectors and labels, and how good rankings of their items are."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks.machine import ImageSet, Json
from lookalike import Collection, images
from lookalike.core.vectors import Matrix

__all__ = [
    "NOT_A_CLASS",
    "Indexed",
    "Places",
    "Quality",
    "Scores",
    "average_precision",
    "prepare",
    "rank_of",
    "ranked",
    "recall",
]

NOT_A_CLASS = "BACKGROUND_Google"
"""Caltech-101's images of anything."""
_TEN = 10
Scores: TypeAlias = NDArray[np.float64]
Places: TypeAlias = NDArray[np.intp]


@dataclass(frozen=True, slots=True, eq=False)
class Indexed:
    """A collection's vectors (n, dim) and labels, in the order of ``ids``, and some places."""

    title: str
    folder: ImageSet
    shop: Collection
    ids: list[str]
    vectors: Matrix
    labels: NDArray[np.str_]
    queries: list[int]  # places of items that share their label
    sample: list[int]  # of these

    def load(self, place: int) -> Image.Image:
        path = self.folder.folder / self.ids[place]
        return images.decode(images.read(path)).image

    def encode(self, loaded: Sequence[Image.Image]) -> Matrix:
        prepared = [self.shop.prepare(image) for image in loaded]
        return np.stack([one.vector for one in self.shop.encode_prepared(prepared)])


def prepare(image_set: ImageSet, shop: Collection, count: int) -> Indexed:
    ids = list(image_set.labels)
    labels = np.array([image_set.labels[one] for one in ids])
    known, counts = np.unique(labels, return_counts=True)
    several = {*known[counts > 1].tolist()} - {NOT_A_CLASS}
    queries = [place for place, label in enumerate(labels.tolist()) if label in several]
    sample = sorted(random.Random(41).sample(queries, min(count, len(queries))))
    return Indexed(image_set.name, image_set, shop, ids, shop.vectors(ids), labels, queries, sample)


def average_precision(right: NDArray[np.bool_]) -> float:
    """Of a ranking, best first."""
    places = np.flatnonzero(right)
    return float(np.mean(np.arange(1, len(places) + 1) / (places + 1))) if len(places) else 0.0


@dataclass(slots=True)
class Quality:
    """Sums over queries."""

    precisions: list[float]
    tens: list[float]
    ones: list[float]

    @classmethod
    def empty(cls) -> "Quality":
        return cls([], [], [])

    def add(self, order: Places, place: int, labels: NDArray[np.str_]) -> None:
        """Add a ranking of all items; the query's own is left out."""
        order = order[order != place]
        right = labels[order] == labels[place]
        self.precisions.append(average_precision(right))
        self.tens.append(float(right[:_TEN].mean()))
        self.ones.append(float(right[0]))

    def row(self, base: "Quality") -> dict[str, Json]:
        gains = np.array(self.precisions) - np.array(base.precisions)
        error = 1.96 * gains.std() / np.sqrt(len(gains))
        return {
            "mAP": round(float(np.mean(self.precisions)), 4),
            "gain": round(float(gains.mean()), 4),
            "+-": round(float(error), 4),
            "P@10": round(float(np.mean(self.tens)), 4),
            "P@1": round(float(np.mean(self.ones)), 4),
        }


def ranked(scores: Scores) -> Places:
    order: Places = np.argsort(-scores, kind="stable")
    return order


def recall(ranks: Sequence[int]) -> dict[str, Json]:
    found = np.array(ranks)
    return {
        "R@1": round(float((found <= 1).mean()), 3),
        "R@10": round(float((found <= _TEN).mean()), 3),
    }


def rank_of(scores: Scores, place: int) -> int:
    return int((scores >= scores[place]).sum())
