"""What an evaluation says: of all queries, of each class, of the worst."""

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
"""Filters on the queries and on the gallery that they search; ``None`` leaves a side open."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """A measure over all queries: ``low`` to ``high`` is the 95 % interval of ``micro``."""

    micro: float
    low: float
    high: float
    macro: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassScore:
    """A class: ``items`` of it in the gallery, its ``queries``, and the mean of each measure.

    ``mistaken_for`` is the class that its wrong first answers are most often of.
    """

    name: str
    items: int
    queries: int
    values: Mapping[str, float]
    mistaken_for: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Confusion:
    """``count`` queries of class ``name`` had a first answer of class ``taken_for``."""

    name: str
    taken_for: str
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluatedHit:
    """One of a query's first answers; ``name`` is its class, ``None`` if it has none."""

    id: str
    name: str | None
    score: float
    right: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluatedQuery:
    """A query with its first answers and what became of it."""

    id: str
    name: str
    relevant: int
    average_precision: float
    answers: tuple[EvaluatedHit, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """What was measured on one collection, and how.

    Of ``items`` that a query may find, ``queries`` were asked, drawn with ``seed`` from the
    ``eligible``. Left out were ``unclassed`` items without a class (or kept as wrong answers, with
    ``distractors``) and ``alone`` queries, for which there is nothing to find. ``headline`` is
    the measure that classes are ordered by: precision at the largest k that most could fill.
    ``curve`` is P@1, P@2 … . ``values`` are the queries' own, in the order of ``query_ids``.
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
    """How far a measure lies above the first collection's, query by query, with its interval."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Several collections on the same images.

    ``common`` images are in all of them, ``left_out`` items of each are not. What an image is
    (its class, whether a filter means it) the first collection says. ``differences`` has a
    mapping for every collection but the first.
    """

    evaluations: tuple[Evaluation, ...]
    common: int
    left_out: tuple[int, ...]
    differences: tuple[Mapping[str, Difference], ...]
