"""Which items are learned from, and which judge what was learned. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lookalike.analysis.categories.logistic import divide

__all__ = ["DataSplit", "Rows", "split_items"]

Rows = NDArray[np.intp]

_NEW_LABELS = 0.1
_LEAST_LABELS = 10  # below, every label is needed for learning
_MOST_JUDGES = 2500  # a side: 110 MB of maps, and a second or so for the ranking


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DataSplit:
    """Rows of items, ascending. ``held`` are images of labels that are learned, ``new`` all the
    images of labels that are not: they tell what becomes of things that nobody has labelled yet.
    """

    learn: Rows
    held: Rows
    new: Rows


def split_items(classes: Rows, keys: Sequence[tuple[str, ...]], *, seed: int) -> DataSplit:
    """Hold out a tenth of the labels, where there are ten, and a fifth of the others' images.

    Items that share one of their ``keys`` (a product, a file's digest) never stand on two sides:
    what shares one with a held-out label takes no part. At most 2,500 judge on each side, drawn
    at random.
    """
    rng = np.random.default_rng(seed)
    names, sizes = np.unique(classes, return_counts=True)
    count = round(_NEW_LABELS * len(names)) if len(names) >= _LEAST_LABELS else 0
    able = names[sizes > 1]  # a lone image has nothing to find
    new = np.isin(classes, rng.permutation(able)[:count])
    of_new = {key for row in np.flatnonzero(new).tolist() for key in keys[row]}
    rest = np.array(
        [row for row in np.flatnonzero(~new).tolist() if of_new.isdisjoint(keys[row])],
        dtype=np.intp,
    )
    held = divide(classes[rest], [keys[row] for row in rest.tolist()], seed=seed)
    return DataSplit(
        learn=rest[~held], held=_some(rest[held], rng), new=_some(np.flatnonzero(new), rng)
    )


def _some(rows: Rows, rng: np.random.Generator) -> Rows:
    return np.sort(rng.permutation(rows)[:_MOST_JUDGES])
