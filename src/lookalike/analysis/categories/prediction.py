"""Predict an image's label: by the trained classifier, or by a vote of its neighbours."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from lookalike.analysis.categories import logistic, stored_model
from lookalike.analysis.categories.labels import (
    LabelField,
    Path,
    Prediction,
    check_field,
    levels_of,
    path_of,
)
from lookalike.core.arguments import checked
from lookalike.core.filters import Exists
from lookalike.core.records import Hit
from lookalike.errors import CollectionError

if TYPE_CHECKING:
    from lookalike.collection import Collection
    from lookalike.search import Encoded, ImageSource

__all__ = ["predict", "predict_encoded"]

_NEIGHBOURS = 20
# The value from 0.01 to 0.1 with the least calibration error on Caltech-101 and Myntra.
_VOTE_TEMPERATURE = 0.025


@checked
def predict(
    collection: "Collection",
    image: "ImageSource | Encoded",
    by: str | None = None,
    *,
    level: int | None = None,
) -> list[Prediction]:
    """Return every label with its probability in [0, 1], most probable first.

    The trained classifier predicts. Without one, or for another field, the 20 most similar items
    with a label vote, not including the image itself. ``by`` is the field: by default the
    classifier's, else ``label``. ``level`` selects the first so many names of label paths (1 is the
    top); the probability of a parent is the sum of those below it.

    Raise ``CollectionError`` if no item has a label, ``EncoderMismatchError`` for a classifier of
    other vectors, and as ``Collection.encode``.
    """
    _, found = predict_encoded(collection, collection.encode(image), by)
    if level is not None and level < 1:
        raise ValueError(f"level is {level}, but the top one is 1")
    levels = levels_of(found)
    return levels[-1 if level is None else min(level, len(levels)) - 1]


def predict_encoded(
    collection: "Collection", image: "Encoded", by: str | None = None
) -> tuple[LabelField, dict[Path, float]]:
    """Return the field that holds labels, and the probability of each label path."""
    model = stored_model.load(collection)
    if model is not None and by in (None, model.info.by):
        meaning = LabelField(by=model.info.by, levels=model.info.levels)
        chances = model.probabilities(image.vector).tolist()
        return meaning, dict(zip(model.paths, chances, strict=True))
    meaning = LabelField(by=by or "label", levels=False)
    check_field(meaning.by)
    near = collection.search(image, k=_NEIGHBOURS, where=Exists(meaning.by))
    found = _vote(near, meaning.by)
    if not found:
        raise CollectionError(
            f"no item has a {meaning.by}, so none can be predicted; `lookalike label` sets "
            "labels, and catalogues provide them"
        )
    return meaning, found


def _vote(near: Sequence[Hit], by: str) -> dict[Path, float]:
    """Return the labels' shares among items, each weighted by exp(cosine / 0.025)."""
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
