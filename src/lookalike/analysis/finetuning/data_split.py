"""Choose which items are trained on, and which are held out for evaluation. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lookalike.analysis.categories.logistic import divide

__all__ = ["DataSplit", "Rows", "split_items"]

Rows = NDArray[np.intp]

_NEW_LABELS = 0.1
_LEAST_LABELS = 10  # with fewer, every label is needed for training
_MOST_HELD_OUT = 2500  # per side: 110 MB of maps, and about a second for the ranking


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DataSplit:
    """Rows of items, ascending.

    ``held`` are images of trained labels; ``new`` are all images of labels that are not trained on,
    and show the effect on things that nobody has labelled yet.
    """

    train: Rows
    held: Rows
    new: Rows


def split_items(classes: Rows, keys: Sequence[tuple[str, ...]], *, seed: int) -> DataSplit:
    """Hold out a tenth of the labels, if there are ten, and a fifth of the others' images.

    Items that share one of their ``keys`` (a product, a file's digest) are never on two sides:
    those that share one with a held-out label are not used. At most 2,500 random items are used on
    each held-out side.
    """
    rng = np.random.default_rng(seed)
    names, sizes = np.unique(classes, return_counts=True)
    count = round(_NEW_LABELS * len(names)) if len(names) >= _LEAST_LABELS else 0
    able = names[sizes > 1]  # a single image has nothing to find
    new = np.isin(classes, rng.permutation(able)[:count])
    of_new = {key for row in np.flatnonzero(new).tolist() for key in keys[row]}
    rest = np.array(
        [row for row in np.flatnonzero(~new).tolist() if of_new.isdisjoint(keys[row])],
        dtype=np.intp,
    )
    held = divide(classes[rest], [keys[row] for row in rest.tolist()], seed=seed)
    return DataSplit(
        train=rest[~held], held=_sample(rest[held], rng), new=_sample(np.flatnonzero(new), rng)
    )


def _sample(rows: Rows, rng: np.random.Generator) -> Rows:
    return np.sort(rng.permutation(rows)[:_MOST_HELD_OUT])
