"""The results of an evaluation: for all queries, for each class, for the worst queries."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from lookalike.analysis.evaluation.rankings import Values

__all__ = [
    "ClassScore",
    "Comparison",
    "Confusion",
    "Difference",
    "EvaluatedHit",
    "EvaluatedQuery",
    "Evaluation",
    "Score",
    "Split",
]

Split: TypeAlias = tuple[str | None, str | None]
"""Filters on the queries and on the gallery that they search; ``None`` is no filter."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """A measure over all queries: ``low`` to ``high`` is the 95 % interval of ``micro``."""

    micro: float
    low: float
    high: float
    macro: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassScore:
    """A class: its ``items`` in the gallery, its ``queries``, and the mean of each measure.

    ``mistaken_for`` is the class of most of its wrong first results.
    """

    name: str
    items: int
    queries: int
    values: Mapping[str, float]
    mistaken_for: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Confusion:
    """``count`` queries of class ``name`` had a first result of class ``taken_for``."""

    name: str
    taken_for: str
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluatedHit:
    """One of a query's first hits; ``name`` is its class, ``None`` if it has none."""

    id: str
    name: str | None
    score: float
    right: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluatedQuery:
    """A query with its first hits and its measures."""

    id: str
    name: str
    relevant: int
    average_precision: float
    hits: tuple[EvaluatedHit, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """What was measured on one collection, and how.

    Of ``items`` that a query may find, ``queries`` were used, drawn with ``seed`` from the
    ``eligible``. Not used were ``unclassed`` items without a class (or used as wrong results, with
    ``distractors``) and ``alone`` queries, for which there is nothing to find. ``headline`` is the
    measure that orders classes: precision at the largest k that most queries could fill. ``curve``
    is P@1, P@2 … . ``values`` are the queries' own, in the order of ``query_ids``.
    """

    collection: str
    encoder: str
    fingerprint: str
    by: str
    where: str | None
    split: Split | None
    ks: tuple[int, ...]
    seed: int
    items: int
    eligible: int
    queries: int
    alone: int
    unclassed: int
    distractors: bool
    headline: str
    scores: Mapping[str, Score]
    curve: tuple[float, ...]
    classes: tuple[ClassScore, ...]
    confusions: tuple[Confusion, ...]
    worst: tuple[EvaluatedQuery, ...]
    seconds: float
    query_ids: tuple[str, ...] = field(repr=False)
    values: Mapping[str, Values] = field(repr=False, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """How far a measure is above the first collection's, query by query, with its interval."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Several collections on the same images.

    ``common`` images are in all of them; ``left_out`` items of each are not. The first collection
    decides an image's class and whether it meets a filter. ``differences`` has a mapping for every
    collection but the first.
    """

    evaluations: tuple[Evaluation, ...]
    common: int
    left_out: tuple[int, ...]
    differences: tuple[Mapping[str, Difference], ...]
