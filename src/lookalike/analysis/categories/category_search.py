"""Search within categories: predict an image's labels, then search among their items."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Unpack

from lookalike.analysis.categories.labels import (
    LabelField,
    Path,
    Prediction,
    condition_of,
    is_of,
    levels_of,
    path_of,
    sums,
)
from lookalike.analysis.categories.prediction import predict_encoded
from lookalike.analysis.categories.stored_model import load
from lookalike.core.arguments import checked
from lookalike.core.filters import Condition, Exists
from lookalike.core.records import Hit
from lookalike.core.suggestions import did_you_mean
from lookalike.errors import CollectionError

if TYPE_CHECKING:
    from lookalike.collection import Collection
    from lookalike.search import Encoded, QueryLike, Results, SearchKeywords

__all__ = [
    "CategoryChoice",
    "CategoryRules",
    "CategorySearch",
    "Scope",
    "choose_scope",
    "search",
    "search_within",
]

_MASS = 0.9
_LEAST = 0.3
_MOST = 10
_AHEAD = 3  # times ``k``: the nearest items overall that are checked first


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """The scope of a search: the items of ``labels``, or all if there are none; and why.

    ``probability`` is the sum of the labels' probabilities.
    """

    labels: tuple[str, ...] = ()
    probability: float = 0.0
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CategoryChoice:
    """What was predicted for an image (nothing for a given label), and the scope searched."""

    predictions: tuple[Prediction, ...]
    scope: Scope


@dataclass(frozen=True, slots=True, kw_only=True)
class CategoryRules:
    """When to search within predicted labels, in addition to their total probability.

    ``by`` is the field that holds the labels: by default the trained classifier's, else ``label``.
    The whole collection is searched if the most probable label has less than ``least``, or if more
    than ``most`` labels would be needed.
    """

    by: str | None = None
    least: float = _LEAST
    most: int = _MOST


@dataclass(frozen=True, slots=True, kw_only=True)
class CategorySearch:
    """Results, what was predicted for the image (nothing for a given label), and the scope."""

    results: "Results"
    predictions: tuple[Prediction, ...]
    scope: Scope

    @property
    def hits(self) -> "Results":
        return self.results


def choose_scope(
    predictions: Sequence[Prediction],
    *,
    mass: float = _MASS,
    least: float = _LEAST,
    most: int = _MOST,
) -> Scope:
    """Return the fewest labels whose probabilities add up to ``mass``. Pure.

    None if the most probable label has less than ``least``, or more than ``most`` would be needed.
    """
    if not 0 < mass <= 1:
        raise ValueError(f"mass is {mass}, but must be above 0 and at most 1")
    ranked = sorted(predictions, key=lambda one: -one.probability)
    if not ranked:
        return Scope(reason="nothing was predicted")
    first = ranked[0]
    if first.probability < least:
        return Scope(
            reason=f"unsure: the most probable label, {first.label}, has {first.probability:.2f}, "
            f"less than {least:g}"
        )
    total, labels = 0.0, []
    for one in ranked:
        total += one.probability
        labels.append(one.label)
        if total >= mass - 1e-6:  # rounding of float32
            break
    if len(labels) > most:
        return Scope(
            reason=f"unsure: {len(labels)} labels would be needed for {mass:g}, more than {most}"
        )
    likely = f"{len(labels)} label{'s' * (len(labels) > 1)} with {min(total, 1):.2f} together"
    return Scope(labels=tuple(labels), probability=min(total, 1.0), reason=likely)


@checked
def search(
    collection: "Collection",
    image: "QueryLike",
    *,
    by: str | None = None,
    least: float = _LEAST,
    most: int = _MOST,
    **keywords: "Unpack[SearchKeywords]",
) -> CategorySearch:
    """Return the ``k`` items most similar to an image, among those of its category.

    With ``category="auto"``, the default here, the label is predicted, and the search is restricted
    to the fewest labels whose probabilities add up to ``mass``; for label paths, at the deepest
    level where ``most`` labels suffice. The whole collection is searched if the most probable label
    has less than ``least``, if more than ``most`` would be needed, if no item has the most probable
    label any more, or if fewer than ``k`` results are found among them. A given label is a filter;
    ``off`` searches everywhere. ``scope`` says what was done. The rest is as in
    ``Collection.search``, which also has ``category``.

    Raise ``CollectionError`` for a label that no item has, and as ``predict`` and
    ``Collection.search``.
    """
    keywords.setdefault("category", "auto")
    found = collection.search(image, rules=CategoryRules(by=by, least=least, most=most), **keywords)
    choice = found.category or CategoryChoice(predictions=(), scope=Scope(reason="off"))
    return CategorySearch(results=found, predictions=choice.predictions, scope=choice.scope)


def search_within(
    collection: "Collection",
    encoded: "Encoded | None",
    category: str,
    *,
    find: Callable[[Condition | None, int], Sequence[Hit]],
    k: int,
    mass: float,
    quick: bool,
    rules: CategoryRules | None = None,
) -> tuple[list[Hit], CategoryChoice]:
    """Choose where to search, and search there: a step of ``lookalike.search.run``.

    ``find`` returns so many of the best hits that meet a condition. With ``quick``, the nearest
    items overall are checked first: those with the label are also the nearest with the label, so if
    they are enough, the items with the label need not be looked up.
    """
    rules = rules or CategoryRules()

    def within(meaning: LabelField, paths: Sequence[Path]) -> list[Hit]:
        if quick:
            near = find(None, _AHEAD * k)
            found = [hit for hit in near if is_of(hit.item, meaning, paths)]
            if len(found) >= k:
                return found[:k]
        return list(find(condition_of(meaning, paths), k))

    if category != "auto":
        meaning, path = _find_label(collection, category, rules.by)
        scope = Scope(labels=(category,), probability=1.0, reason="as given")
        return within(meaning, [path]), CategoryChoice(predictions=(), scope=scope)
    if encoded is None:
        raise CollectionError("a category can only be predicted of an image or an embedding")
    meaning, chances = predict_encoded(collection, encoded, rules.by)
    scope, predictions, paths = _choose_deepest(
        chances, mass=mass, least=rules.least, most=rules.most
    )
    hits = within(meaning, paths) if paths else []
    if paths and (gone := _find_vanished(collection, meaning, paths, hits)):
        scope = Scope(
            reason=f"the classifier is out of date: no item has {', '.join(gone)} as its "
            f"{meaning.by} any more; `lookalike categories train` trains it again"
        )
    elif paths and len(hits) < k:
        names = ", ".join(scope.labels)
        scope = Scope(reason=f"only {len(hits)} of {k} results are of {names}")
    if not scope.labels:
        hits = list(find(None, k))
    return hits, CategoryChoice(predictions=tuple(predictions), scope=scope)


def _choose_deepest(
    chances: dict[Path, float], *, mass: float, least: float, most: int
) -> tuple[Scope, list[Prediction], list[Path]]:
    """Return the deepest level's scope, if there is one, with its predictions and paths."""
    levels = levels_of(chances)
    for depth in range(len(levels), 0, -1):
        scope = choose_scope(levels[depth - 1], mass=mass, least=least, most=most)
        if scope.labels:
            path_of_label = {"/".join(path): path for path in sums(chances, depth)}
            return scope, levels[depth - 1], [path_of_label[label] for label in scope.labels]
    return choose_scope(levels[-1], mass=mass, least=least, most=most), levels[-1], []


def _find_vanished(
    collection: "Collection", meaning: LabelField, paths: Sequence[Path], hits: Sequence[Hit]
) -> list[str]:
    """Return labels of a scope, most probable first, that no item has any more.

    Only labels without a hit are looked up.
    """
    # Labels are looked up in an index; without one, only the most probable is checked.
    doubted = paths if meaning.by == "label" and not meaning.levels else paths[:1]
    return [
        "/".join(path)
        for path in doubted
        if not any(is_of(hit.item, meaning, [path]) for hit in hits)
        and not collection.count(condition_of(meaning, [path]))
    ]


def _find_label(collection: "Collection", label: str, by: str | None) -> tuple[LabelField, Path]:
    """Return the field and path of a given label. Raise ``CollectionError`` if no item has it."""
    model = load(collection)
    if model is not None and by in (None, model.info.by):
        meaning = LabelField(by=model.info.by, levels=model.info.levels)
        known = {path[:depth] for path in model.paths for depth in range(1, len(path) + 1)}
    else:
        meaning, known = LabelField(by=by or "label"), set()
    path: Path = next((one for one in known if "/".join(one) == label), (label,))
    if collection.count(condition_of(meaning, [path])) == 0:
        if not known:
            known = {path_of(item, meaning.by) for item in collection.items(Exists(meaning.by))}
        hint = did_you_mean(label, sorted("/".join(one) for one in known), n=3)
        raise CollectionError(f"no item has {label!r} as its {meaning.by}{hint}")
    return meaning, path
