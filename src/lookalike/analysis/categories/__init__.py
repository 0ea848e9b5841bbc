"""Categories: predict an image's label with a classifier, and search within that label.

    from lookalike.analysis import categories

    report = categories.train(shop)
    print(categories.predict(shop, "query.jpg")[0])
    found = categories.search(shop, "query.jpg", k=5)
    print(found.scope.labels, found.scope.reason)

The classifier is trained on the collection's labels and vectors, and stored in the collection.
"""

from lookalike.analysis.categories.category_search import (
    CategorySearch,
    Scope,
    choose_scope,
    search,
)
from lookalike.analysis.categories.labels import Prediction
from lookalike.analysis.categories.prediction import predict
from lookalike.analysis.categories.stored_model import (
    ClassifierInfo,
    ClassifierStatus,
    drop,
    get_classifier_info,
    get_classifier_status,
)
from lookalike.analysis.categories.training import (
    CalibrationBin,
    CategoryReport,
    LabelConfusion,
    LabelScore,
    train,
)

__all__ = [
    "CalibrationBin",
    "CategoryReport",
    "CategorySearch",
    "ClassifierInfo",
    "ClassifierStatus",
    "LabelConfusion",
    "LabelScore",
    "Prediction",
    "Scope",
    "choose_scope",
    "drop",
    "get_classifier_info",
    "get_classifier_status",
    "predict",
    "search",
    "train",
]
