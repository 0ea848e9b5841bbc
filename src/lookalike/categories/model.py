"""What a collection has learned about its labels: training it, keeping it, asking it."""

import base64
import hashlib
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np

from lookalike.categories import logistic
from lookalike.collection import Collection, Encoded, Query
from lookalike.errors import CollectionError, EncoderMismatchError, StoreDamagedError
from lookalike.filters import FIELDS, And, Compare, Condition, Exists, In, Or, Value
from lookalike.records import Hit, Item, Json, Progress
from lookalike.vectors import Vector

__all__ = [
    "CalibrationBin",
    "CategoryReport",
    "Confusion",
    "Learned",
    "Meaning",
    "Model",
    "Path",
    "Prediction",
    "condition_of",
    "drop",
    "learned",
    "levels_of",
    "load",
    "path_of",
    "predict",
    "predicted",
    "sums",
    "train",
]

_SETTING = "categories"
_MOST_LABELS = 2000  # 5 MB of weights at 1280 values, kept as text in one setting
_MOST_ITEMS = 100_000  # 512 MB of vectors while learning, at 1280 values
_NEIGHBOURS = 20
# Of 0.01 to 0.1 the one with the least calibration error on Caltech-101 and Myntra.
_VOTE_TEMPERATURE = 0.025
_CHUNK = 4096

Path = tuple[str, ...]  # a label's names from the top down; most have one


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """A label and how probable it is. A path's names are joined by ``/``."""

    label: str
    probability: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Confusion:
    """``items`` of one label that were taken for another."""

    label: str
    predicted: str
    items: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CalibrationBin:
    """Items whose first prediction was about equally sure, and the share that was right."""

    confidence: float
    accuracy: float
    items: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CategoryReport:
    """What was learned and how good it is on items that took no part in it.

    ``items`` were learned from, ``held_out`` judge; ``unjudged`` labels have no item among those.
    ``ece`` is the expected calibration error over 15 bins, ``ece_before`` without the temperature.
    What is judged was calibrated on the other half of the held-out items. The shares are ``None``
    when nothing could be held out.
    """

    by: str
    items: int
    classes: int
    held_out: int
    unjudged: int
    accuracy: float | None = None
    top5: float | None = None
    macro_accuracy: float | None = None
    log_loss: float | None = None
    ece: float | None = None
    ece_before: float | None = None
    calibration: tuple[CalibrationBin, ...] = ()
    confusions: tuple[Confusion, ...] = ()
    seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Learned:
    """What the collection keeps about its model. ``report`` is as ``CategoryReport`` in JSON."""

    by: str
    levels: bool
    labels: tuple[str, ...]
    encoder: str
    fingerprint: str
    temperature: float
    trained_at: float
    report: Mapping[str, Json]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Model:
    """Weights (dim, n) and bias (n,) for the labels of ``paths``."""

    learned: Learned
    paths: tuple[Path, ...]
    weights: logistic.Floats
    bias: logistic.Floats

    def probabilities(self, vector: Vector) -> logistic.Floats:
        logits = vector @ self.weights + self.bias  # (n,)
        return logistic.softmax(logits, self.learned.temperature)


# -- training ----------------------------------------------------------------------------------


def train(
    collection: Collection,
    by: str = "label",
    *,
    where: str | Condition | None = None,
    levels: bool = False,
    seed: int = 0,
    progress: Callable[[Progress], None] = lambda now: None,  # noqa: ARG005 - says nothing
) -> CategoryReport:
    """Learn to tell the labels apart from the stored vectors, and keep what was learned.

    ``by`` is ``label`` or a metadata field. A list (``["Clothing", "Tops"]``) is a path, from the
    top down; with ``levels`` a text is one too, split at ``/``. Items without it are passed over.
    A fifth of the items, chosen by ``seed``, only calibrates and judges; copies and pictures of
    one group come to one side. Of more than 100,000 items so many are drawn. Nothing is kept
    until all is done.

    Raises ``CollectionError`` for fewer than 2 labels or more than 2,000.
    """
    began = time.perf_counter()
    ids, names, keys = _labelled(collection, by, where, seed, levels=levels)
    paths = sorted(set(names))
    if len(paths) < 2:  # noqa: PLR2004 - one label tells nothing apart
        raise CollectionError(
            f"at least 2 different labels are needed to learn from, and the items have {len(paths)}"
            f" in {by}; `lookalike label` gives labels, and catalogues bring theirs"
        )
    if len(paths) > _MOST_LABELS:
        raise CollectionError(
            f"{by} has {len(paths):,} different values, and {_MOST_LABELS:,} can be learned; "
            "choose a coarser field"
        )
    number = {path: position for position, path in enumerate(paths)}
    classes = np.array([number[name] for name in names], dtype=np.intp)
    held = logistic.divide(classes, keys, seed=seed)
    rows = np.empty((len(ids), 0), np.float32)
    for start in range(0, len(ids), _CHUNK):
        some = collection.vectors(ids[start : start + _CHUNK])
        if not start:
            rows = np.empty((len(ids), some.shape[1]), np.float32)
        rows[start : start + len(some)] = some

    weights, bias = logistic.fit(
        rows[~held],
        classes[~held],
        len(paths),
        seed=seed,
        progress=lambda done, total: progress(Progress(done=done, total=total, skipped=0)),
    )
    weights = weights.astype("<f2").astype(np.float32)  # as it will be kept, so it is judged
    learned_of = np.isin(np.arange(len(paths)), classes[~held])
    truth = np.where(learned_of[classes[held]], classes[held], -1 - classes[held])
    logits = rows[held] @ weights + bias
    report = _report(logits, truth, paths, by=by, items=int((~held).sum()), began=began)
    _keep(
        collection,
        paths,
        weights,
        bias,
        temperature=logistic.temperature_of(logits, truth),
        levels=levels,
        report=report,
    )
    return report


def _labelled(
    collection: Collection, by: str, where: str | Condition | None, seed: int, *, levels: bool
) -> tuple[list[str], list[Path], list[tuple[str, ...]]]:
    """Ids, labels and what ties items together, of all items that have a label."""
    _check_field(by)
    ids, names, keys = [], [], []
    for item in collection.items(where):
        path = path_of(item, by, levels=levels)
        if path:
            ids.append(item.id)
            names.append(path)
            group = (f"group {item.group}",) if item.group else ()
            keys.append((f"digest {item.digest}", *group))
    if len(ids) > _MOST_ITEMS:
        chosen = np.random.default_rng(seed).permutation(len(ids))[:_MOST_ITEMS].tolist()
        ids, names, keys = ([some[one] for one in chosen] for some in (ids, names, keys))
    return ids, names, keys


def _report(
    logits: logistic.Floats,
    truth: logistic.Numbers,
    paths: Sequence[Path],
    *,
    by: str,
    items: int,
    began: float,
) -> CategoryReport:
    """Each half of the held-out items is judged at the temperature of the other."""
    plain = CategoryReport(
        by=by,
        items=items,
        classes=len(paths),
        held_out=len(truth),
        unjudged=len(paths) - len(np.unique(truth)),
        seconds=time.perf_counter() - began,
    )
    if not len(truth):
        return plain
    probabilities = np.empty_like(logits)
    halves = np.arange(len(truth)) % 2 == 0
    for own, other in ((halves, ~halves), (~halves, halves)):
        temperature = logistic.temperature_of(logits[other], truth[other])
        probabilities[own] = logistic.softmax(logits[own], temperature)
    found = logistic.judge(probabilities, truth)
    return CategoryReport(
        by=by,
        items=items,
        classes=len(paths),
        held_out=len(truth),
        unjudged=plain.unjudged,
        accuracy=found.accuracy,
        top5=found.top5,
        macro_accuracy=found.macro,
        log_loss=found.log_loss,
        ece=found.ece,
        ece_before=logistic.judge(logistic.softmax(logits), truth).ece,
        calibration=tuple(
            CalibrationBin(confidence=sure, accuracy=share, items=n)
            for sure, share, n in found.bins
        ),
        confusions=tuple(
            Confusion(label="/".join(paths[one]), predicted="/".join(paths[other]), items=n)
            for one, other, n in found.confusions
        ),
        seconds=time.perf_counter() - began,
    )


# -- keeping -----------------------------------------------------------------------------------


def _keep(
    collection: Collection,
    paths: Sequence[Path],
    weights: logistic.Floats,
    bias: logistic.Floats,
    *,
    temperature: float,
    levels: bool,
    report: CategoryReport,
) -> None:
    bound = collection.store.bound()
    assert bound is not None  # noqa: S101 - there were vectors
    document: dict[str, Json] = {
        "by": report.by,
        "levels": levels,
        "labels": [list(path) for path in paths],
        "encoder": bound[1],
        "dim": bound[2],
        "temperature": temperature,
        # (dim, n) little-endian float16, then (n,) little-endian float32
        "data": base64.b64encode(
            weights.astype("<f2").tobytes() + bias.astype("<f4").tobytes()
        ).decode(),
    }
    collection.store.set_setting(
        _SETTING,
        {
            **document,
            "fingerprint": _fingerprint(document),
            "trained_at": time.time(),
            "report": json.loads(json.dumps(asdict(report))),
        },
    )


def _fingerprint(document: Mapping[str, Json]) -> str:
    """Of all that a prediction depends on."""
    names = ("by", "levels", "labels", "encoder", "dim", "temperature", "data")
    text = json.dumps([document.get(name) for name in names])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def load(collection: Collection) -> Model | None:
    """The collection's model, if one was trained.

    Raises ``EncoderMismatchError`` for a model of other vectors, ``StoreDamagedError`` for one
    that is not as it was written.
    """
    document = collection.store.setting(_SETTING)
    if document is None:
        return None
    match document:
        case {
            "by": str(by),
            "levels": bool(levels),
            "labels": list(labels),
            "encoder": str(encoder),
            "dim": int(dim),
            "temperature": float(temperature),
            "data": str(data),
            "fingerprint": str(fingerprint),
            "trained_at": float(trained_at),
            "report": dict(report),
        } if isinstance(document, dict) and fingerprint == _fingerprint(document):
            pass
        case _:
            raise StoreDamagedError(
                "what was learned of the labels is damaged; `lookalike categories train` learns "
                "it anew, `lookalike categories drop` forgets it"
            )
    bound = collection.store.bound()
    if bound is None or bound[1:] != (encoder, dim):
        raise EncoderMismatchError(
            f"the labels were learned on vectors of {encoder}, and the collection holds those of "
            f"{bound[1] if bound else 'none'}; `lookalike categories train` learns them anew"
        )
    paths = tuple(tuple(map(str, path)) for path in labels if isinstance(path, list))
    raw, count = base64.b64decode(data), len(paths)
    return Model(
        learned=Learned(
            by=by,
            levels=levels,
            labels=tuple("/".join(path) for path in paths),
            encoder=encoder,
            fingerprint=fingerprint,
            temperature=temperature,
            trained_at=trained_at,
            report=report,
        ),
        paths=paths,
        weights=np.frombuffer(raw, "<f2", dim * count).reshape(dim, count).astype(np.float32),
        bias=np.frombuffer(raw, "<f4", count, offset=2 * dim * count).astype(np.float32),
    )


def learned(collection: Collection) -> Learned | None:
    """What the collection has learned, or ``None``. Raises as ``predict``."""
    model = load(collection)
    return None if model is None else model.learned


def drop(collection: Collection) -> bool:
    """Forget what was learned; says whether there was something."""
    there = collection.store.setting(_SETTING) is not None
    if there:
        collection.store.set_setting(_SETTING, None)
    return there


# -- predicting --------------------------------------------------------------------------------


def predict(
    collection: Collection, picture: Query, by: str | None = None, *, level: int | None = None
) -> list[Prediction]:
    """Every label with its probability, most probable first.

    By the trained model; where none has been trained, or another field is asked for, the 20 most
    similar items that have a label vote, the picture itself not among them. ``by`` is the field,
    else the model's, else ``label``. ``level`` asks for the first so many names of label paths
    (1 is the top): a parent is as probable as what is below it together.

    Raises ``CollectionError`` when no item has a label, ``EncoderMismatchError`` for a model of
    other vectors, and as ``Collection.encode``.
    """
    _, found = predicted(collection, collection.encode(picture), by)
    if level is not None and level < 1:
        raise ValueError(f"level is {level}, but the top one is 1")
    levels = levels_of(found)
    return levels[-1 if level is None else min(level, len(levels)) - 1]


def predicted(
    collection: Collection, picture: Encoded, by: str | None = None
) -> tuple["Meaning", dict[Path, float]]:
    """What labels mean in the collection, and the probability of each."""
    model = load(collection)
    if model is not None and by in (None, model.learned.by):
        meaning = Meaning(by=model.learned.by, levels=model.learned.levels)
        chances = model.probabilities(picture.vector).tolist()
        return meaning, dict(zip(model.paths, chances, strict=True))
    meaning = Meaning(by=by or "label", levels=False)
    _check_field(meaning.by)
    near = collection.search(picture, k=_NEIGHBOURS, where=Exists(meaning.by))
    found = _vote(near, meaning.by)
    if not found:
        raise CollectionError(
            f"no item has a {meaning.by}, so none can be predicted; `lookalike label` gives "
            "labels, and catalogues bring theirs"
        )
    return meaning, found


def _vote(near: Sequence[Hit], by: str) -> dict[Path, float]:
    """The shares of the labels among items, each weighing exp(cosine / 0.025)."""
    named = [(path, hit.score) for hit in near if (path := path_of(hit.item, by))]
    if not named:
        return {}
    scores = np.array([score for _, score in named], dtype=np.float32)
    shares: dict[Path, float] = {}
    for (path, _), weight in zip(
        named, logistic.softmax(scores, _VOTE_TEMPERATURE).tolist(), strict=True
    ):
        shares[path] = shares.get(path, 0.0) + weight
    return shares


def sums(found: Mapping[Path, float], depth: int) -> dict[Path, float]:
    """Probabilities of the first ``depth`` names of each path: a parent's is its leaves' sum."""
    summed: dict[Path, float] = {}
    for path, chance in found.items():
        summed[path[:depth]] = summed.get(path[:depth], 0.0) + chance
    return summed


def levels_of(found: Mapping[Path, float]) -> list[list[Prediction]]:
    """Ranked predictions of each level, the top first, whole labels last."""
    deepest = max(map(len, found), default=1)
    return [
        [
            Prediction(label="/".join(path), probability=min(chance, 1.0))
            for path, chance in sorted(
                sums(found, depth).items(), key=lambda one: (-one[1], one[0])
            )
        ]
        for depth in range(1, deepest + 1)
    ]


# -- what a label is ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Meaning:
    """Where labels stand; with ``levels``, a text is a path split at ``/``."""

    by: str
    levels: bool = False


def _check_field(by: str) -> None:
    if by in FIELDS - {"label"}:
        raise ValueError(f"{by} is no category; choose label or a metadata field")


def path_of(item: Item, by: str, *, levels: bool = False) -> Path:
    """An item's label as a path; empty if it has none, or one that is neither text nor list."""
    value: Json = item.label if by == "label" else dict(item.metadata)
    if by != "label":
        for part in by.removeprefix("metadata.").split("."):
            value = value.get(part) if isinstance(value, dict) else None
    if isinstance(value, str) and value:
        return tuple(part for part in value.split("/") if part) if levels else (value,)
    if isinstance(value, list):
        return tuple(part for part in value if isinstance(part, str) and part)
    return ()


def condition_of(meaning: Meaning, paths: Sequence[Path]) -> Condition:
    """The filter for items of these labels, or below them."""
    single = [path[0] for path in paths if len(path) == 1]
    parts: list[Condition] = []
    if single:  # in a list, one of its names
        parts.append(In(meaning.by, tuple(Value(name) for name in single)))
    for path in paths:
        name = "/".join(path)
        if meaning.levels:
            if len(path) > 1:
                parts.append(Compare(meaning.by, "=", Value(name)))
            parts.append(Compare(meaning.by, "^=", Value(f"{name}/")))
        elif len(path) > 1:
            parts.append(And(tuple(Compare(meaning.by, "=", Value(part)) for part in path)))
    return parts[0] if len(parts) == 1 else Or(tuple(parts))
