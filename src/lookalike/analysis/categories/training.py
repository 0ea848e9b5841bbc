"""Train a classifier on a collection's labels and stored vectors, and evaluate it."""

import json
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from lookalike.analysis.categories import logistic, stored_model
from lookalike.analysis.categories.labels import Path, check_field, path_of
from lookalike.core.arguments import checked
from lookalike.core.filters import Condition
from lookalike.core.progress import Progress, ProgressCallback, ignore_progress
from lookalike.errors import CollectionError

if TYPE_CHECKING:
    from lookalike.collection import Collection


__all__ = ["CalibrationBin", "CategoryReport", "LabelConfusion", "LabelScore", "train"]

_MOST_LABELS = 2000  # 5 MB of weights at 1280 values, stored as text in one setting
_MOST_ITEMS = 100_000  # 512 MB of vectors during training, at 1280 values
_CHUNK = 4096
_KEPT_CONFUSIONS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelConfusion:
    """``items`` of one label that were predicted as another."""

    label: str
    predicted: str
    items: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CalibrationBin:
    """Items whose best prediction had a similar probability, and the share that was right."""

    confidence: float
    accuracy: float
    items: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelScore:
    """One label: of ``held_out`` items, ``right`` were predicted right; ``predicted`` got this
    label.

    ``items`` is the number of all its items. ``taken_for`` is the most frequent wrong prediction.
    ``recall`` and ``precision`` are ``None`` if they are undefined.
    """

    label: str
    items: int
    held_out: int
    right: int
    predicted: int
    taken_for: str | None = None

    @property
    def recall(self) -> float | None:
        return self.right / self.held_out if self.held_out else None

    @property
    def precision(self) -> float | None:
        return self.right / self.predicted if self.predicted else None


@dataclass(frozen=True, slots=True, kw_only=True)
class CategoryReport:
    """What was trained, and its quality on items that were not used in the training.

    The stored model was trained on all ``items``. The figures are those of a model that was trained
    without the ``held_out`` ones; ``unjudged`` labels have no item among them. ``ece`` is the
    expected calibration error over 15 bins, ``ece_before`` without the temperature. Each half of
    the held-out items was evaluated with the temperature of the other half. The shares are ``None``
    if nothing could be held out. ``confusions`` are complete, most frequent first; ``labels`` are
    sorted by name.
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
    confusions: tuple[LabelConfusion, ...] = ()
    labels: tuple[LabelScore, ...] = ()
    seconds: float = 0.0


@checked
def train(
    collection: "Collection",
    by: str = "label",
    *,
    where: str | Condition | None = None,
    levels: bool = False,
    seed: int = 0,
    progress: ProgressCallback = ignore_progress,
) -> CategoryReport:
    """Train a classifier on the stored vectors and labels, store it, and return its report.

    ``by`` is ``label`` or a metadata field. A list (``["Clothing", "Tops"]``) is a path from the
    top down; with ``levels``, a text is also a path, split at ``/``. Items without a label are
    ignored. A fifth of the items, chosen by ``seed``, is held out to calibrate and evaluate a first
    model of the others; duplicates and images of one group stay on one side. The stored model is
    then trained on all items, with the temperature that was found. From more than 100,000 items,
    100,000 are sampled. Nothing is stored until the end.

    Raise ``CollectionError`` for fewer than 2 labels or more than 2,000.
    """
    began = time.perf_counter()
    ids, names, keys = _collect_labelled(collection, by, where, levels=levels)
    counts = Counter(names)
    if len(ids) > _MOST_ITEMS:
        chosen = np.random.default_rng(seed).permutation(len(ids))[:_MOST_ITEMS].tolist()
        ids, names, keys = ([some[one] for one in chosen] for some in (ids, names, keys))
    paths = sorted(set(names))
    if len(paths) < 2:  # noqa: PLR2004 - one label tells nothing apart
        raise CollectionError(
            f"training needs at least 2 different labels, but the items have {len(paths)} in {by}; "
            "`lookalike label` sets labels, and catalogues provide them"
            + "".join(f"; {note.message}" for note in collection.notes(where, field=by))
        )
    if len(paths) > _MOST_LABELS:
        raise CollectionError(
            f"{by} has {len(paths):,} different values, but at most {_MOST_LABELS:,} can be "
            "trained on; choose a coarser field"
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

    trained_on = len(ids) - int(held.sum())  # items of the first model
    steps = [logistic.count_steps(trained_on), logistic.count_steps(len(ids)) if held.any() else 0]

    def fit_model(
        rows: logistic.Floats, classes: logistic.Numbers, before: int
    ) -> tuple[logistic.Floats, logistic.Floats]:
        def report_progress(done: int, _: int) -> None:
            progress(Progress(done=before + done, total=sum(steps), skipped=0))

        weights, bias = logistic.fit(rows, classes, len(paths), seed=seed, progress=report_progress)
        return weights.astype("<f2").astype(
            np.float32
        ), bias  # evaluated with the precision in which it is stored

    weights, bias = fit_model(rows[~held], classes[~held], 0)
    is_trained = np.isin(np.arange(len(paths)), classes[~held])
    truth = np.where(is_trained[classes[held]], classes[held], -1 - classes[held])
    logits = rows[held] @ weights + bias
    temperature = logistic.fit_temperature(logits, truth)
    if held.any():
        weights, bias = fit_model(rows, classes, steps[0])
    report = _make_report(logits, truth, paths, classes, by=by, began=began)
    kept = replace(report, confusions=report.confusions[:_KEPT_CONFUSIONS], labels=())
    stored_model.save_model(
        collection,
        {path: counts[path] for path in paths},
        weights,
        bias,
        by=by,
        levels=levels,
        where=where if where is None or isinstance(where, str) else False,
        temperature=temperature,
        report=json.loads(json.dumps(asdict(kept))),
    )
    return report


def _collect_labelled(
    collection: "Collection", by: str, where: str | Condition | None, *, levels: bool
) -> tuple[list[str], list[Path], list[tuple[str, ...]]]:
    """Return ids, labels and connecting keys of all items that have a label."""
    check_field(by)
    ids, names, keys = [], [], []
    for item in collection.items(where):
        path = path_of(item, by, levels=levels)
        if path:
            ids.append(item.id)
            names.append(path)
            group = (f"group {item.group}",) if item.group else ()
            keys.append((f"digest {item.digest}", *group))
    return ids, names, keys


def _make_report(
    logits: logistic.Floats,
    truth: logistic.Numbers,
    paths: Sequence[Path],
    classes: logistic.Numbers,
    *,
    by: str,
    began: float,
) -> CategoryReport:
    """Return the report: each half of the held-out items is evaluated at the other's temperature.

    ``truth`` are the classes of those items, -1 - class if the training had no item of it;
    ``classes`` those of all items.
    """
    plain = CategoryReport(
        by=by,
        items=len(classes),
        classes=len(paths),
        held_out=len(truth),
        unjudged=len(paths) - len(np.unique(truth)),
        labels=_score_labels(logits, truth, paths, classes),
        seconds=time.perf_counter() - began,
    )
    if not len(truth):
        return plain
    probabilities = np.empty_like(logits)
    halves = np.arange(len(truth)) % 2 == 0
    for own, other in ((halves, ~halves), (~halves, halves)):
        temperature = logistic.fit_temperature(logits[other], truth[other])
        probabilities[own] = logistic.softmax(logits[own], temperature)
    found = logistic.evaluate_probabilities(probabilities, truth)
    return replace(
        plain,
        accuracy=found.accuracy,
        top5=found.top5,
        macro_accuracy=found.macro,
        log_loss=found.log_loss,
        ece=found.ece,
        ece_before=logistic.evaluate_probabilities(logistic.softmax(logits), truth).ece,
        calibration=tuple(
            CalibrationBin(confidence=sure, accuracy=share, items=n)
            for sure, share, n in found.bins
        ),
        confusions=tuple(
            LabelConfusion(label="/".join(paths[one]), predicted="/".join(paths[other]), items=n)
            for one, other, n in found.confusions
        ),
    )


def _score_labels(
    logits: logistic.Floats,
    truth: logistic.Numbers,
    paths: Sequence[Path],
    classes: logistic.Numbers,
) -> tuple[LabelScore, ...]:
    names = ["/".join(path) for path in paths]
    predicted = logits.argmax(axis=1) if len(logits) else truth
    own = np.where(truth < 0, -1 - truth, truth)
    right = predicted == truth
    taken: dict[int, Counter[int]] = {}
    for one, other in zip(own[~right].tolist(), predicted[~right].tolist(), strict=True):
        taken.setdefault(one, Counter())[other] += 1
    items, held_out, hits, guesses = (
        np.bincount(some, minlength=len(paths)).tolist()
        for some in (classes, own, own[right], predicted)
    )
    return tuple(
        LabelScore(
            label=name,
            items=items[one],
            held_out=held_out[one],
            right=hits[one],
            predicted=guesses[one],
            taken_for=names[taken[one].most_common(1)[0][0]] if one in taken else None,
        )
        for one, name in enumerate(names)
    )
