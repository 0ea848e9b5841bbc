"""Multinomial logistic regression on unit vectors, its calibration, and its quality.

Plain numpy; docs/decisions/0009-categories.md compares it with scikit-learn. Independent of
collections.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "ClassifierQuality",
    "Numbers",
    "count_steps",
    "divide",
    "evaluate_probabilities",
    "fit",
    "fit_temperature",
    "softmax",
]

Floats = NDArray[np.float32]
Numbers = NDArray[np.intp]

_HELD_OUT = 0.2
_RATE = 2e-3  # of Adam at the start; falls to 0 along a cosine
_DECAY = 1e-4
_LEAST_STEPS = 200
_LEAST_EPOCHS = 10
_BINS = 15
# Bounds of the temperature: without any error among held-out items, the least loss is at 0.
_COLDEST, _HOTTEST = 0.5, 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassifierQuality:
    """The quality of probabilities on items that were not used in training.

    ``ece`` is the expected calibration error over 15 bins of equal width; ``bins`` are the
    non-empty ones as (mean confidence, share that is right, items). ``confusions`` are all mistakes
    as (true class, predicted class, items), most frequent first. ``macro`` is the mean of the
    classes' accuracies. ``log_loss`` excludes classes without an item in the training.
    """

    items: int
    accuracy: float
    top5: float
    macro: float
    log_loss: float
    ece: float
    bins: tuple[tuple[float, float, int], ...]
    confusions: tuple[tuple[int, int, int], ...]


def divide(classes: Numbers, keys: Sequence[tuple[str, ...]], *, seed: int) -> NDArray[np.bool_]:
    """Return which items are held out: a random fifth of each class.

    Items that share a key (a product, a file's digest), directly or through others, stay on one
    side. A class whose items are all connected is not held out.
    """
    unit = _find_groups(keys)
    of_class: dict[int, list[int]] = {}
    for first, number in zip(*np.unique(unit, return_index=True)[::-1], strict=True):
        of_class.setdefault(int(classes[first]), []).append(int(number))
    rng = np.random.default_rng(seed)
    held = np.zeros(len(unit), dtype=bool)
    for one in sorted(of_class):
        units = rng.permutation(of_class[one])
        if len(units) > 1:
            held[units[: max(1, round(_HELD_OUT * len(units)))]] = True
    chosen: NDArray[np.bool_] = held[unit]
    return chosen


def _find_groups(keys: Sequence[tuple[str, ...]]) -> Numbers:
    """Return for each item the number of its connected group: below len(keys)."""
    parent = list(range(len(keys)))

    def find_root(one: int) -> int:
        while parent[one] != one:
            parent[one] = parent[parent[one]]
            one = parent[one]
        return one

    first: dict[str, int] = {}
    for position, own in enumerate(keys):
        for key in own:
            parent[find_root(position)] = find_root(first.setdefault(key, position))
    return np.array([find_root(one) for one in range(len(keys))], dtype=np.intp)


def fit(
    rows: Floats,
    classes: Numbers,
    count: int,
    *,
    seed: int,
    progress: Callable[[int, int], None] = lambda done, total: None,  # noqa: ARG005 - says nothing
) -> tuple[Floats, Floats]:
    """Return weights (dim, count) and bias (count,): ``rows @ weights + bias`` are logits.

    Adam on mini-batches. Items have equal weight, so frequent classes are considered more probable,
    which makes the probabilities correct. ``progress`` gets (steps done, steps in all).
    """
    mean = rows.mean(axis=0)
    scale = np.float32(1 / max(float(np.sqrt(rows.var(axis=0).mean())), 1e-6))
    size, epochs = _choose_batches(len(rows))
    steps = count_steps(len(rows))
    rng = np.random.default_rng(seed)
    # the bias is one more row, for an input that is always 1
    weights, slope, square = (np.zeros((rows.shape[1] + 1, count), np.float32) for _ in range(3))
    step = 0
    for _ in range(epochs):
        order = rng.permutation(len(rows))
        for start in range(0, len(rows), size):
            step += 1
            chosen = order[start : start + size]
            x = np.empty((len(chosen), rows.shape[1] + 1), np.float32)
            x[:, :-1] = (rows[chosen] - mean) * scale
            x[:, -1] = 1
            excess = softmax(x @ weights)
            excess[np.arange(len(chosen)), classes[chosen]] -= 1
            gradient = x.T @ excess / np.float32(len(chosen)) + np.float32(_DECAY) * weights
            slope += np.float32(0.1) * (gradient - slope)
            square += np.float32(0.001) * (gradient * gradient - square)
            rate = _RATE * 0.5 * (1 + np.cos(np.pi * step / steps)) / (1 - 0.9**step)
            spread = np.sqrt(square / np.float32(1 - 0.999**step)) + np.float32(1e-8)
            weights -= np.float32(rate) * slope / spread
            progress(step, steps)
    plain = weights[:-1] * scale
    return plain, weights[-1] - mean @ plain


def _choose_batches(count: int) -> tuple[int, int]:
    """Return the items per step, and the number of passes."""
    size = 512 if count >= 8192 else min(256, max(16, count // 8))  # noqa: PLR2004 - said here
    return size, max(_LEAST_EPOCHS, -(-_LEAST_STEPS // -(-count // size)))


def count_steps(count: int) -> int:
    """Return how many steps ``fit`` takes for ``count`` items."""
    size, epochs = _choose_batches(count)
    return epochs * -(-count // size)


def softmax(logits: Floats, temperature: float = 1.0) -> Floats:
    """Return probabilities along the last axis; a higher temperature makes them more equal."""
    powers = logits / np.float32(temperature)
    powers -= powers.max(axis=-1, keepdims=True)
    np.exp(powers, out=powers)
    powers /= powers.sum(axis=-1, keepdims=True)
    return powers


def fit_temperature(logits: Floats, classes: Numbers) -> float:
    """Return the temperature with the least log-loss (Guo et al. 2017, arXiv 1706.04599).

    Classes below 0 are ignored; without items, return 1.
    """
    known = classes >= 0
    if not known.any():
        return 1.0
    logits, classes = logits[known], classes[known]
    # The loss is convex in 1/T: a golden-section search finds its minimum.
    low, high = np.log(_COLDEST), np.log(_HOTTEST)
    ratio = (np.sqrt(5) - 1) / 2
    for _ in range(20):
        left, right = high - ratio * (high - low), low + ratio * (high - low)
        if _compute_loss(softmax(logits, np.exp(left)), classes) < _compute_loss(
            softmax(logits, np.exp(right)), classes
        ):
            high = right
        else:
            low = left
    return float(np.exp((low + high) / 2))


def _compute_loss(probabilities: Floats, classes: Numbers) -> float:
    own = probabilities[np.arange(len(classes)), classes]
    return float(-np.log(np.maximum(own, 1e-12)).mean())


def evaluate_probabilities(probabilities: Floats, classes: Numbers) -> ClassifierQuality:
    """Compare probabilities (n, count) with the true classes; a class below 0 is always wrong."""
    if not len(classes):
        raise ValueError("there is no item to evaluate with")
    predicted = probabilities.argmax(axis=1)
    right = predicted == classes
    best = np.argsort(-probabilities, axis=1, kind="stable")[:, :5]
    known = classes >= 0
    confidence = probabilities.max(axis=1)
    at = np.minimum((confidence * _BINS).astype(int), _BINS - 1)
    bins = tuple(
        (float(confidence[at == one].mean()), float(right[at == one].mean()), int(n))
        for one, n in enumerate(np.bincount(at, minlength=_BINS))
        if n
    )
    pairs, times = np.unique(
        np.stack([classes[~right & known], predicted[~right & known]], axis=1),
        axis=0,
        return_counts=True,
    )
    most = np.argsort(-times, kind="stable")
    return ClassifierQuality(
        items=len(classes),
        accuracy=float(right.mean()),
        top5=float((best == classes[:, None]).any(axis=1).mean()),
        macro=float(np.mean([right[classes == one].mean() for one in np.unique(classes)])),
        log_loss=_compute_loss(probabilities[known], classes[known])
        if known.any()
        else float("nan"),
        ece=sum(abs(sure - share) * n for sure, share, n in bins) / len(classes),
        bins=bins,
        confusions=tuple((int(pairs[i, 0]), int(pairs[i, 1]), int(times[i])) for i in most),
    )
