"""Categories: what a picture is, learned from the collection's own labels, and search by it.

    from lookalike.analysis import categories

    report = categories.train(shop)
    print(categories.predict(shop, "query.jpg")[0])
    found = categories.search(shop, "query.jpg", k=5)
    print(found.scope.labels, found.scope.reason)

What is learned lies in the collection, beside the vectors that it was learned from.
"""

from lookalike.analysis.categories.keeping import Learned, Standing, drop, learned, standing
from lookalike.analysis.categories.labels import Prediction
from lookalike.analysis.categories.predicting import predict
from lookalike.analysis.categories.training import (
    CalibrationBin,
    CategoryReport,
    Confusion,
    LabelScore,
    train,
)
from lookalike.analysis.categories.twostep import CategorySearch, Scope, choose, search

__all__ = [
    "CalibrationBin",
    "CategoryReport",
    "CategorySearch",
    "Confusion",
    "LabelScore",
    "Learned",
    "Prediction",
    "Scope",
    "Standing",
    "choose",
    "drop",
    "learned",
    "predict",
    "search",
    "standing",
    "train",
]
