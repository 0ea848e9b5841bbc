"""How good the answers are, on pictures whose label (or product, or any field) is known.

Every query is a picture of the collection; its own item is never an answer, exact copies under
other ids are. An answer is right when it is of the query's class. Answers stand as searches give
them: descending cosine to nine decimals, equal ones by ascending id. With R right answers in all:

======================  ==========================================================================
``P@k``                 precision: right answers among the first k, divided by k
``R@k``                 hit rate: 1 if one of the first k is right, else 0. Retrieval benchmarks
                        (Stanford Online Products, In-shop) call this Recall@k or CMC@k
``recall@k``            recall: right answers among the first k, divided by R
``mAP``                 average precision over the whole ranking: P at the rank of each right
                        answer, added up and divided by R (Manning, Raghavan, Schütze,
                        Introduction to Information Retrieval, 8.4)
``mAP@R``               likewise over the first R answers only, divided by R (Musgrave, Belongie,
                        Lim, A Metric Learning Reality Check, arXiv 2003.08505, 3.2)
``R-precision``         P at k = R (Introduction to Information Retrieval, 8.4)
======================  ==========================================================================

Micro is the mean over queries; macro the mean over classes of their queries' mean. Intervals are
percentiles of bootstrapped means over queries (Efron, Tibshirani, An Introduction to the
Bootstrap, 13.3): what chance in the choice of queries does, not in the choice of classes.
"""

import json
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from lookalike.collection import Collection
from lookalike.errors import CollectionError
from lookalike.filters import FIELDS
from lookalike.records import Item, Json
from lookalike.vectors import Matrix

__all__ = [
    "Answer",
    "ClassScore",
    "Comparison",
    "Confusion",
    "Difference",
    "Evaluation",
    "Judged",
    "Measures",
    "Score",
    "Split",
    "compare",
    "evaluate",
    "interval",
    "measures",
]

Rows: TypeAlias = NDArray[np.intp]
Values: TypeAlias = NDArray[np.float64]
Split: TypeAlias = tuple[str | None, str | None]
"""Filters on the queries and on the gallery that they search; ``None`` leaves a side open."""

SAMPLE = 5000  # queries by default, where there are more
SHOWN = 8  # first answers that are kept of each query
CURVE = 50  # k up to which precision is drawn
RESAMPLES = 1000
CONFUSIONS = 50
_CELLS = 8_000_000  # of a block of the ranking: 64 MB of keys, as much again of scores
_COLUMNS = 8192  # items widened to float64 at a time: 84 MB at 1,280 values
_DIGITS = 1_000_000_000  # scores are compared to nine decimals, as in `vectors.cosines`
_LAST = (2**31 - 1) << 32  # after every score: a cosine of -1 is 2 * _DIGITS


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
class Answer:
    """One of a query's first answers; ``name`` is its class, ``None`` if it has none."""

    id: str
    name: str | None
    score: float
    right: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """A query with its first answers and what became of it."""

    id: str
    name: str
    relevant: int
    average_precision: float
    answers: tuple[Answer, ...]


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
    worst: tuple[Judged, ...]
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
    """Several collections on the same pictures.

    ``common`` pictures are in all of them, ``left_out`` items of each are not. What a picture is
    (its class, whether a filter means it) the first collection says. ``differences`` has a
    mapping for every collection but the first.
    """

    evaluations: tuple[Evaluation, ...]
    common: int
    left_out: tuple[int, ...]
    differences: tuple[Mapping[str, Difference], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Measures:
    """What ``measures`` found, a row for each query; ``first`` are rows of ``vectors``."""

    values: Mapping[str, Values]
    relevant: Rows
    first: Rows  # (q, SHOWN or fewer); -1 where the gallery has no more
    scores: Values  # likewise, cosines
    curve: Values


def evaluate(
    collection: Collection,
    *,
    by: str = "label",
    where: str | None = None,
    ks: Sequence[int] = (1, 5, 10),
    queries: int | None = SAMPLE,
    split: Split | None = None,
    distractors: bool = False,
    worst: int = 10,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> Evaluation:
    """Measure how good a collection's answers are, by exact comparison with every item.

    ``by`` says what makes an answer right: ``label``, ``group``, or a metadata field with one
    value an item, compared as text. Without ``split``, each item that meets ``where`` queries all
    the others; with it, those that meet the first filter query those that meet the second (In-shop:
    ``by="group", split=("split=query", "split=gallery")``). Queries whose class no other item has
    are left out. ``queries`` is the most that are asked, drawn at random; ``None`` asks all.
    ``distractors`` keeps items without a class as wrong answers. ``worst`` queries are kept with
    their first answers. ``progress`` hears (queries done, queries in all).

    Takes about 5 s per 1,000 queries among 44,441 items of 1,280 values on two cores. Raises
    ``CollectionError`` where nothing can be judged, and ``FilterError``.
    """
    found = compare(
        [collection],
        by=by,
        where=where,
        ks=ks,
        queries=queries,
        split=split,
        distractors=distractors,
        worst=worst,
        seed=seed,
        progress=progress,
    )
    return found.evaluations[0]


def compare(
    collections: Sequence[Collection],
    *,
    by: str = "label",
    where: str | None = None,
    ks: Sequence[int] = (1, 5, 10),
    queries: int | None = SAMPLE,
    split: Split | None = None,
    distractors: bool = False,
    worst: int = 10,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> Comparison:
    """Measure several collections on the pictures that are in all of them, as ``evaluate``.

    A picture is known by its bytes (``digest``), so ids may differ; the queries are the same.
    """
    if not collections:
        raise ValueError("there is nothing to compare")
    if not ks or min(ks) < 1:
        raise ValueError("ks must be numbers from 1 up")
    if queries is not None and queries < 1:
        raise ValueError("queries must be at least 1; None asks all")
    plan = _plan(
        collections,
        by=by,
        where=where,
        split=split,
        queries=queries,
        seed=seed,
        distractors=distractors,
    )
    total = len(plan.queries) * len(collections)

    def heard(number: int) -> Callable[[int], None]:
        before = number * len(plan.queries)
        return lambda done: progress(before + done, total) if progress else None

    made = tuple(
        _evaluated(
            one,
            plan,
            plan.ids[number],
            ks=tuple(sorted(set(ks))),
            worst=worst,
            progress=heard(number),
        )
        for number, one in enumerate(collections)
    )
    return Comparison(
        evaluations=made,
        common=plan.common,
        left_out=plan.left_out,
        differences=tuple(_differences(made[0], other) for other in made[1:]),
    )


# --- which pictures --------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plan:
    """Who asks whom. Rows count the first collection's items that take part, by ascending id."""

    by: str
    where: str | None
    split: Split | None
    seed: int
    distractors: bool
    names: list[str]
    classes: Rows  # (n,) number of a name; -1 for an item without a class
    ids: list[list[str]]  # for each collection, (n,)
    queries: Rows
    gallery: Rows
    eligible: int
    alone: int
    unclassed: int
    common: int
    left_out: tuple[int, ...]


def _plan(
    collections: Sequence[Collection],
    *,
    by: str,
    where: str | None,
    split: Split | None,
    queries: int | None,
    seed: int,
    distractors: bool,
) -> _Plan:
    first = collections[0]
    known = [_Known.of(item, by) for item in first.items(where)]
    mapped: list[dict[str, str]] = []
    common, left_out = len(known), [0]
    if len(collections) > 1:
        keyed = [_keyed((item.id, item.digest) for item in one) for one in collections]
        shared = set(keyed[0]).intersection(*keyed[1:])
        if not shared:
            raise CollectionError(
                "the collections have no picture in common; index the same files into each"
            )
        mapped = [{keyed[0][key]: one[key] for key in shared} for one in keyed[1:]]
        known = [item for item in known if item.id in mapped[0]]
        common, left_out = len(shared), [len(one) - len(shared) for one in keyed]
    unclassed = sum(item.name is None for item in known)
    kept = known if distractors else [item for item in known if item.name is not None]
    if unclassed == len(known):
        raise CollectionError(_no_classes(len(known), by, where))
    names = sorted({item.name for item in kept if item.name is not None})
    numbers = {name: number for number, name in enumerate(names)}
    classes = np.array(
        [-1 if item.name is None else numbers[item.name] for item in kept], dtype=np.intp
    )
    asking, gallery = _sides(first, [item.id for item in kept], split)
    asking = asking[classes[asking] >= 0]
    sizes = np.bincount(classes[gallery][classes[gallery] >= 0], minlength=len(names))
    to_find = sizes[classes[asking]] - np.isin(asking, gallery)
    eligible = asking[to_find > 0]
    if not len(eligible):
        raise CollectionError(_nothing_to_find(len(asking), by, split))
    chosen = eligible
    if queries is not None and queries < len(eligible):
        drawn = np.random.default_rng(seed).choice(len(eligible), queries, replace=False)
        chosen = eligible[np.sort(drawn)]
    return _Plan(
        by=by,
        where=where,
        split=split,
        seed=seed,
        distractors=distractors,
        names=names,
        classes=classes,
        ids=[[item.id for item in kept], *([one[item.id] for item in kept] for one in mapped)],
        queries=chosen,
        gallery=gallery,
        eligible=len(eligible),
        alone=len(asking) - len(eligible),
        unclassed=unclassed,
        common=common,
        left_out=tuple(left_out),
    )


@dataclass(frozen=True, slots=True)
class _Known:
    """What is needed of an item: a tenth of the memory of the item."""

    id: str
    name: str | None

    @classmethod
    def of(cls, item: Item, by: str) -> "_Known":
        return cls(item.id, _class_of(item, by))


def _class_of(item: Item, by: str) -> str | None:
    """The value of a field as text; ``None`` where there is none."""
    value: Json
    if by in FIELDS:
        value = getattr(item, by)
    else:
        name = by.removeprefix("metadata.")
        value = item.metadata.get(name)
        if value is None:
            value = _inner(item.metadata, name.split("."))
    if isinstance(value, list | dict):
        raise CollectionError(
            f"{by} of {item.id!r} is a {'list' if isinstance(value, list) else 'group'} of values; "
            "answers can be judged by a field with one value an item"
        )
    if value is None or value == "":
        return None
    if isinstance(value, float) and value.is_integer():
        value = int(value)  # 1.0 and 1 are one class
    return value if isinstance(value, str) else json.dumps(value)


def _inner(metadata: Mapping[str, Json], parts: Sequence[str]) -> Json:
    value: Json = dict(metadata)
    for part in parts:
        value = value.get(part) if isinstance(value, dict) else None
    return value


def _keyed(items: Iterator[tuple[str, str]]) -> dict[tuple[str, int], str]:
    """Digest and which of its copies (by id) → id."""
    seen: Counter[str] = Counter()
    keys = {}
    for item_id, digest in items:
        keys[digest, seen[digest]] = item_id
        seen[digest] += 1
    return keys


def _sides(first: Collection, ids: Sequence[str], split: Split | None) -> tuple[Rows, Rows]:
    """Rows of the queries and of the gallery."""
    everything = np.arange(len(ids))
    if split is None:
        return everything, everything
    sides = []
    for where in split:
        if where is None:
            sides.append(everything)
            continue
        meant = {item.id for item in first.items(where)}
        sides.append(np.flatnonzero([one in meant for one in ids]))
    return sides[0], sides[1]


def _no_classes(items: int, by: str, where: str | None) -> str:
    if not items:
        return f"no item meets {where}" if where else "the collection is empty"
    how = {
        "label": "give them labels with `lookalike label`, or index a catalogue or class folders",
        "group": "index a catalogue with a group column (`lookalike index --group-column`)",
    }.get(by, "`lookalike info --fields` lists the fields that there are")
    return f"none of the {items:,} items has a {by}, so no answer can be judged; {how}"


def _nothing_to_find(asking: int, by: str, split: Split | None) -> str:
    if not asking:
        side = f" that meets {split[0]}" if split else ""
        return f"there is no query: no item{side} has a {by}"
    return f"no two pictures share a {by}, so there is nothing to find"


# --- measuring ---------------------------------------------------------------------------------


def measures(
    vectors: Matrix,
    classes: Rows,
    queries: Rows,
    gallery: Rows,
    *,
    ks: Sequence[int] = (1, 5, 10),
    progress: Callable[[int], None] | None = None,
) -> Measures:
    """The measures of each query, by comparison with every item of the gallery.

    ``queries`` and ``gallery`` are rows of ``vectors`` (n, dim); equal scores go by row. A class
    below 0 is none. Memory beside the vectors is about 250 MB, however large they are. Raises
    ``ValueError`` for a query with nothing to find.
    """
    gallery = np.sort(gallery)
    sizes = np.bincount(classes[gallery][classes[gallery] >= 0], minlength=classes.max() + 1)
    relevant = sizes[classes[queries]] - np.isin(queries, gallery)
    if (classes[queries] < 0).any() or (relevant < 1).any():
        raise ValueError("a query has nothing to find in the gallery")
    block = max(1, min(512, _CELLS // max(1, len(gallery))))
    parts: list[dict[str, Values]] = []
    firsts: list[tuple[Rows, Values]] = []
    curve = np.zeros(min(CURVE, len(gallery)))
    for start in range(0, len(queries), block):
        asking = queries[start : start + block]
        order, scores = _ranking(vectors, asking, gallery)
        right = classes[gallery[order]] == classes[asking][:, None]  # (b, m)
        own = np.isin(asking, gallery)
        right[own, -1] = False  # the query itself stands last
        parts.append(_judge(right, relevant[start : start + block], ks))
        curve += right[:, : len(curve)].sum(axis=0)
        first = gallery[order[:, :SHOWN]]
        first[first == asking[:, None]] = -1  # so few items that the query is among the first
        firsts.append((first, scores))
        if progress is not None:
            progress(min(start + block, len(queries)))
    upto = np.arange(1, len(curve) + 1)
    return Measures(
        values={name: np.concatenate([one[name] for one in parts]) for name in parts[0]},
        relevant=relevant,
        first=np.concatenate([first for first, _ in firsts]),
        scores=np.concatenate([scores for _, scores in firsts]),
        curve=np.cumsum(curve) / upto / len(queries),
    )


def _ranking(vectors: Matrix, asking: Rows, gallery: Rows) -> tuple[NDArray[np.int64], Values]:
    """Positions in the gallery by descending score, then position: (b, m); the first scores.

    Score and position are packed into one integer, so that a plain sort (four times as fast as
    one that moves positions along) puts equal scores in order. The query itself comes last.
    """
    keys = np.empty((len(asking), len(gallery)), dtype=np.int64)
    wanted = _unit(vectors[asking])
    for start in range(0, len(gallery), _COLUMNS):
        some = slice(start, start + _COLUMNS)
        cosine = wanted @ _unit(vectors[gallery[some]]).T  # (b, c)
        np.clip(cosine, -1, 1, out=cosine)
        keys[:, some] = _DIGITS - np.rint(cosine * _DIGITS).astype(np.int64)
    keys <<= 32
    keys += np.arange(len(gallery))
    rows, places = np.nonzero(gallery[None, :] == asking[:, None])
    keys[rows, places] = _LAST + places
    keys.sort(axis=1)
    scores = (_DIGITS - (keys[:, :SHOWN] >> 32)) / _DIGITS
    keys &= (1 << 32) - 1
    return keys, scores


def _unit(rows: Matrix) -> Values:
    """Rows of length 1 in float64, where a product's rounding is far below the ninth decimal."""
    wide = rows.astype(np.float64)
    wide /= np.sqrt(np.einsum("ij,ij->i", wide, wide))[:, None]
    return wide


def _judge(right: NDArray[np.bool_], relevant: Rows, ks: Sequence[int]) -> dict[str, Values]:
    """The measures of rankings: ``right`` (b, m) says which answers are, best first."""
    count = len(right)
    rows, ranks = np.nonzero(right)  # ranks from 0
    begins = np.searchsorted(rows, np.arange(count))
    found = np.arange(len(rows)) - begins[rows] + 1  # right answers down to this one
    precision = found / (ranks + 1)
    values: dict[str, Values] = {}
    for k in ks:
        hits = np.bincount(rows[ranks < k], minlength=count)
        values[f"P@{k}"] = hits / k
        values[f"R@{k}"] = (hits > 0).astype(np.float64)
        values[f"recall@{k}"] = hits / relevant
    within = ranks < relevant[rows]
    values["mAP"] = np.bincount(rows, precision, count) / relevant
    values["mAP@R"] = np.bincount(rows[within], precision[within], count) / relevant
    values["R-precision"] = np.bincount(rows[within], minlength=count) / relevant
    order = [f"{name}@{k}" for name in ("P", "R", "recall") for k in ks]
    return {name: values[name] for name in (*order, "mAP", "mAP@R", "R-precision")}


# --- summing up --------------------------------------------------------------------------------


def interval(values: Values, *, seed: int = 0, resamples: int = RESAMPLES) -> tuple[Values, Values]:
    """95 % percentile intervals of column means (q, m), by resampling rows: two of (m,).

    64 resamples are held at a time, as counts of how often each row was drawn.
    """
    count = len(values)
    rng = np.random.default_rng(seed)
    means = []
    for start in range(0, resamples, 64):
        drawn = np.empty((min(64, resamples - start), count))
        for row in drawn:
            row[:] = np.bincount(rng.integers(0, count, count), minlength=count)
        means.append(drawn @ values / count)
    low, high = np.percentile(np.concatenate(means), [2.5, 97.5], axis=0)
    return low, high


def _differences(one: Evaluation, other: Evaluation) -> dict[str, Difference]:
    apart = np.stack([other.values[name] - one.values[name] for name in one.values], axis=1)
    low, high = interval(apart, seed=one.seed)
    return {
        name: Difference(mean=float(mean), low=float(a), high=float(b))
        for name, mean, a, b in zip(one.values, apart.mean(axis=0), low, high, strict=True)
    }


def _evaluated(
    collection: Collection,
    plan: _Plan,
    ids: Sequence[str],
    *,
    ks: tuple[int, ...],
    worst: int,
    progress: Callable[[int], None],
) -> Evaluation:
    began = time.perf_counter()
    info = collection.info()
    made = measures(
        collection.vectors(ids),
        plan.classes,
        plan.queries,
        plan.gallery,
        ks=ks,
        progress=progress,
    )
    of = plan.classes[plan.queries]  # (q,)
    asked = np.bincount(of, minlength=len(plan.names))
    present = np.flatnonzero(asked)
    by_class = {
        name: np.bincount(of, values, len(plan.names))[present] / asked[present]
        for name, values in made.values.items()
    }
    table = np.stack(list(made.values.values()), axis=1)
    low, high = interval(table, seed=plan.seed)
    scores = {
        name: Score(
            micro=float(values.mean()),
            low=float(low[column]),
            high=float(high[column]),
            macro=float(by_class[name].mean()),
        )
        for column, (name, values) in enumerate(made.values.items())
    }
    headline = f"P@{_fillable(ks, made.relevant)}"
    confusions = _confusions(made, plan)
    return Evaluation(
        collection=Path(info.address).name,
        encoder=info.encoder or "",
        fingerprint=info.fingerprint or "",
        by=plan.by,
        where=plan.where,
        split=plan.split,
        ks=ks,
        seed=plan.seed,
        items=len(plan.gallery),
        eligible=plan.eligible,
        queries=len(plan.queries),
        alone=plan.alone,
        unclassed=plan.unclassed,
        distractors=plan.distractors,
        headline=headline,
        scores=scores,
        curve=tuple(made.curve.tolist()),
        classes=_classes(
            plan,
            by_class=by_class,
            present=present,
            asked=asked,
            headline=headline,
            confusions=confusions,
        ),
        confusions=tuple(confusions[:CONFUSIONS]),
        worst=_worst(made, plan, ids, worst),
        seconds=time.perf_counter() - began,
        query_ids=tuple(plan.ids[0][row] for row in plan.queries),
        values=made.values,
    )


def _fillable(ks: Sequence[int], relevant: Rows) -> int:
    """The largest k that the median query could fill with right answers."""
    return max((k for k in ks if k <= np.median(relevant)), default=min(ks))


def _classes(
    plan: _Plan,
    *,
    by_class: Mapping[str, Values],
    present: Rows,
    asked: Rows,
    headline: str,
    confusions: Sequence[Confusion],
) -> tuple[ClassScore, ...]:
    """Worst first."""
    members = plan.classes[plan.gallery]
    sizes = np.bincount(members[members >= 0], minlength=len(plan.names))
    mistaken: dict[str, str] = {}
    for one in confusions:  # most first
        mistaken.setdefault(one.name, one.taken_for)
    order = np.lexsort((present, by_class["mAP"], by_class[headline]))
    return tuple(
        ClassScore(
            name=plan.names[present[row]],
            items=int(sizes[present[row]]),
            queries=int(asked[present[row]]),
            values={name: float(values[row]) for name, values in by_class.items()},
            mistaken_for=mistaken.get(plan.names[present[row]]),
        )
        for row in order
    )


def _confusions(made: Measures, plan: _Plan) -> list[Confusion]:
    """Wrong first answers by their pair of classes, most first."""
    asked, first = plan.classes[plan.queries], plan.classes[made.first[:, 0]]
    wrong = (asked != first) & (first >= 0) & (made.first[:, 0] >= 0)
    pairs = Counter(zip(asked[wrong].tolist(), first[wrong].tolist(), strict=True))
    return [
        Confusion(name=plan.names[one], taken_for=plan.names[other], count=count)
        for (one, other), count in sorted(pairs.items(), key=lambda pair: (-pair[1], pair[0]))
    ]


def _worst(made: Measures, plan: _Plan, ids: Sequence[str], count: int) -> tuple[Judged, ...]:
    """Queries of the least average precision."""
    order = np.lexsort((plan.queries, made.values["mAP"]))[:count]
    return tuple(
        Judged(
            id=ids[plan.queries[row]],
            name=plan.names[plan.classes[plan.queries[row]]],
            relevant=int(made.relevant[row]),
            average_precision=float(made.values["mAP"][row]),
            answers=tuple(
                Answer(
                    id=ids[found],
                    name=plan.names[plan.classes[found]] if plan.classes[found] >= 0 else None,
                    score=float(score),
                    right=bool(plan.classes[found] == plan.classes[plan.queries[row]]),
                )
                for found, score in zip(made.first[row], made.scores[row], strict=True)
                if found >= 0
            ),
        )
        for row in order
    )
