"""Clusters of embeddings, and names for them from the labels and words of their items."""

import math
from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from lookalike.core.keywords import STOP_WORDS, words_of
from lookalike.core.records import Item
from lookalike.core.vectors import Matrix

__all__ = ["MOST_CLUSTERS", "choose_count", "cluster_rows", "name_clusters"]

MOST_CLUSTERS = 24
"""As many as colours can be distinguished, beside the names on the map."""
_ROUNDS = 30  # of k-means, at most
_HALF = 0.5  # share of a cluster's items from which a label is its name
_COMMON = 0.3  # share of a cluster's items from which a word may be its name
_RARE = 0.05  # … where no word is that frequent
_WORDS = 2  # of a name
_SHORTEST = 3  # letters of a word in a name


def choose_count(items: int) -> int:
    """Return how many clusters so many items have: the root of half of them, from 1 to 24."""
    return max(1, min(MOST_CLUSTERS, round(math.sqrt(items / 2))))


def cluster_rows(rows: Matrix, count: int, *, seed: int = 0) -> NDArray[np.int32]:
    """Return the cluster, (n,) from 0, of each of ``rows`` (n, dim), the largest cluster first.

    By spherical k-means (Dhillon and Modha, "Concept decompositions for large sparse text data
    using clustering", 2001), begun by k-means++. Fewer clusters come back where some stay empty.
    """
    count = min(count, len(rows))
    if count < 1:
        return np.zeros(len(rows), dtype=np.int32)
    centres = _begin(rows, count, np.random.default_rng(seed))
    chosen = np.zeros(len(rows), dtype=np.int64)
    for step in range(_ROUNDS):
        before = chosen
        chosen = (rows @ centres.T).argmax(axis=1)
        if step and np.array_equal(chosen, before):
            break
        sums = np.zeros_like(centres)
        np.add.at(sums, chosen, rows)
        lengths = np.linalg.norm(sums, axis=1, keepdims=True)
        centres = np.where(lengths > 0, sums / np.maximum(lengths, 1e-12), centres)
    sizes = np.bincount(chosen, minlength=count)
    order = np.argsort(-sizes, kind="stable")
    place = np.empty(count, dtype=np.int32)
    place[order] = np.arange(count, dtype=np.int32)
    return place[chosen]


def _begin(rows: Matrix, count: int, generator: np.random.Generator) -> Matrix:
    """Return rows far from each other as the first centres: k-means++."""
    chosen = [int(generator.integers(len(rows)))]
    far = np.maximum(1 - rows @ rows[chosen[0]], 0)
    while len(chosen) < count:
        total = float(far.sum())
        if total <= 0:  # all others are equal to a centre
            break
        one = int(generator.choice(len(rows), p=far / total))
        chosen.append(one)
        far = np.minimum(far, np.maximum(1 - rows @ rows[one], 0))
    return rows[chosen].copy()


def name_clusters(items: Sequence[Item], clusters: NDArray[np.int32]) -> list[str]:
    """Return a name for each cluster, in order.

    It is the label that half of the items have, or the two that half have together; else the words
    of labels, paths and metadata that are frequent in the cluster and rare elsewhere; else the two
    labels or words that are most of it, with an ellipsis; else a number.
    """
    everywhere: Counter[str] = Counter()
    inside: dict[int, Counter[str]] = {}
    labels: dict[int, Counter[str]] = {}
    for item, cluster in zip(items, clusters.tolist(), strict=True):
        found = words_of(item)
        words = {one for one in (*found.label, *found.others) if _says_something(one)}
        everywhere.update(words)
        inside.setdefault(cluster, Counter()).update(words)
        labels.setdefault(cluster, Counter()).update([item.label] if item.label else [])
    sizes = np.bincount(clusters).tolist() if len(clusters) else []
    used: Counter[str] = Counter()
    names = []
    for cluster, size in enumerate(sizes):
        name = _by_label(labels.get(cluster, Counter()), size) or _by_words(
            inside.get(cluster, Counter()), size, everywhere, len(items)
        )
        if not name:  # of many kinds: the two most of them
            found_words = _by_words(inside[cluster], size, everywhere, len(items), least=_RARE)
            kinds = [label for label, _ in labels[cluster].most_common(2)] or [found_words]
            name = f"{', '.join(kinds)}, …" if kinds[0] else ""
        name = name or f"cluster {cluster + 1}"
        used[name] += 1
        names.append(name if used[name] == 1 else f"{name} ({used[name]})")
    return names


def _says_something(word: str) -> bool:
    return len(word) >= _SHORTEST and word.isalpha() and word not in STOP_WORDS


def _by_label(labels: Counter[str], size: int) -> str:
    most = labels.most_common(2)
    if most and most[0][1] >= _HALF * size:
        return most[0][0]
    if len(most) == 2 and sum(count for _, count in most) >= _HALF * size:  # noqa: PLR2004 - two
        return f"{most[0][0]}, {most[1][0]}"
    return ""


def _by_words(
    inside: Counter[str],
    size: int,
    everywhere: Counter[str],
    items: int,
    *,
    least: float = _COMMON,
) -> str:
    """Return the words with the highest p log(p / q): frequent here (p), rare among all (q)."""
    scored = []
    for word, count in inside.items():
        here, rest = count / size, everywhere[word] / items
        if here >= least and here > rest:
            scored.append((here * math.log(here / rest), word))
    best = sorted(scored, key=lambda one: (-one[0], one[1]))[:_WORDS]
    return ", ".join(word for _, word in best)
