"""The classes that an encoder was trained on, as directions in the space of its images.

A linear classifier over the embedding adds to the score of a class what the embedding has of the
class's row of weights: so the row itself, less the mean of all rows, points at images of the class.
"""

from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import numpy as np

from lookalike.core.vectors import Matrix, unit_rows
from lookalike.encoders.cards import ModelCard
from lookalike.encoders.efficientnet_lite import FEATURES
from lookalike.encoders.pooled_embedding import POOLED
from lookalike.encoders.weights import read_weights

__all__ = ["CheckpointClasses", "checkpoint_classes"]

_ROWS = "_fc.weight"


@dataclass(slots=True)
class CheckpointClasses:
    """The classes of ImageNet, by the rows of a card's checkpoint. Satisfies ``ClassEncoder``."""

    card: ModelCard
    _rows: Matrix | None = field(default=None, repr=False)

    @property
    def names(self) -> tuple[str, ...]:
        """The classes' names, in the order of the rows."""
        return _imagenet_classes()

    def vectors(self) -> Matrix:
        """Return the direction of each class, (classes, dim) float32 unit rows.

        Raise ``WeightsError``.
        """
        if self._rows is None:
            rows = np.asarray(read_weights(self.card)[_ROWS], np.float64).reshape(
                len(self.names), -1
            )
            rows -= rows.mean(axis=0)
            # A pooled embedding begins with the features that the classifier was trained on.
            further = self.card.output.dim - rows.shape[1]
            self._rows = unit_rows(np.pad(rows, ((0, 0), (0, further))))
        return self._rows


def checkpoint_classes(card: ModelCard) -> CheckpointClasses | None:
    """Return the classes of a card; ``None`` where their names or rows are not known."""
    known = card.weights.builder == "efficientnet-lite" and card.output.name in (FEATURES, POOLED)
    if not known or card.logits is None or card.logits.classes != len(_imagenet_classes()):
        return None
    return CheckpointClasses(card)


@cache
def _imagenet_classes() -> tuple[str, ...]:
    text = Path(__file__).with_name("imagenet_classes.txt").read_text(encoding="utf-8")
    return tuple(line for line in text.splitlines() if not line.startswith("#"))
