"""The recipe, the progress and the quality of a training."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lookalike.analysis.evaluation import measures
from lookalike.analysis.finetuning.data_split import Rows
from lookalike.core.records import Skipped
from lookalike.core.vectors import Matrix
from lookalike.encoders.efficientnet_lite import STAGES

__all__ = ["Epoch", "FinetuningReport", "Quality", "Recipe", "SplitQuality"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """The settings of a training. The defaults are the best that were measured: decision 13.

    The last ``stages`` of the network's seven are trained; the others stay unchanged. ``rate`` is
    Adam's peak rate for them, ``head_rate`` for the labels' directions. ``temperature`` divides
    cosines; ``smoothing`` is the share of the target that is spread over all labels.
    """

    epochs: int = 10
    stages: int = 1
    batch: int = 64
    rate: float = 1e-3
    head_rate: float = 1e-3
    temperature: float = 0.1
    smoothing: float = 0.1

    def __post_init__(self) -> None:
        if self.epochs < 1 or self.batch < 1 or not 1 <= self.stages < STAGES:
            raise ValueError(
                f"at least 1 epoch, batches of 1, and 1 to {STAGES - 1} stages are needed"
            )
        if min(self.rate, self.head_rate, self.temperature) <= 0 or not 0 <= self.smoothing < 1:
            raise ValueError("rates and temperature must be above 0, smoothing from 0 to below 1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Quality:
    """The quality of results among some images, each of which is a query against all others.

    Means over ``queries`` of R@1, P@10, mAP and mAP@R, as in ``analysis.evaluation``.
    """

    queries: int
    r1: float
    p10: float
    map: float
    map_at_r: float

    @classmethod
    def of(cls, vectors: Matrix, classes: Rows) -> "Quality | None":
        """Return the quality; ``None`` if no image has another of its class to find."""
        queries = np.flatnonzero(np.bincount(classes, minlength=1)[classes] > 1)
        if not len(queries):
            return None
        values = measures(vectors, classes, queries, np.arange(len(classes))).values
        return cls(
            queries=len(queries),
            r1=float(values["R@1"].mean()),
            p10=float(values["P@10"].mean()),
            map=float(values["mAP"].mean()),
            map_at_r=float(values["mAP@R"].mean()),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitQuality:
    """The quality among held-out images of trained labels (``held``) and of other labels (``new``).

    ``None`` if too few images could be held out.
    """

    held: Quality | None
    new: Quality | None

    @property
    def value(self) -> float:
        """Return what a training maximises: mAP@R, the mean of both.

        It does not depend on the number of images per label, as P@10 does. New labels count as much
        as trained ones, because a shop will add labels that were not trained.
        """
        known = [one.map_at_r for one in (self.held, self.new) if one is not None]
        return sum(known) / len(known) if known else 0.0

    def is_nowhere_below(self, other: "SplitQuality") -> bool:
        """Return whether neither mAP@R is lower than the other's."""
        pairs = ((self.held, other.held), (self.new, other.new))
        return all(
            one.map_at_r >= two.map_at_r
            for one, two in pairs
            if one is not None and two is not None
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Epoch:
    """One pass over the images: the mean loss, and the quality after it."""

    number: int
    loss: float
    quality: SplitQuality
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class FinetuningReport:
    """What was trained, and its quality.

    ``card`` is the new encoder's; ``None`` if nothing was better than the original. ``images`` of
    ``labels`` were trained on, and ``new_labels`` were held out completely. ``best`` is the number
    of the best epoch; ``share`` is how far the weights moved towards it. ``interrupted``: stopped
    before the end; the next call continues.
    """

    card: Path | None
    base: str
    images: int
    labels: int
    new_labels: int
    before: SplitQuality
    after: SplitQuality
    epochs: tuple[Epoch, ...]
    best: int
    share: float
    skipped: tuple[Skipped, ...]
    interrupted: bool
    seconds: float
