"""Search in two steps: what is it, and then what among those is most alike."""

from collections.abc import Sequence
from dataclasses import dataclass

from lookalike.categories.keeping import load
from lookalike.categories.labels import (
    Meaning,
    Path,
    Prediction,
    condition_of,
    is_of,
    levels_of,
    path_of,
    sums,
)
from lookalike.categories.predicting import predicted
from lookalike.collection import Collection, Encoded, Query
from lookalike.errors import CollectionError
from lookalike.filters import And, Condition, Exists, parse
from lookalike.notes import results
from lookalike.records import Hit, Results
from lookalike.suggestions import did_you_mean

__all__ = ["CategorySearch", "Scope", "choose", "search"]

_MASS = 0.9
_LEAST = 0.3
_MOST = 10
_AHEAD = 3  # times the answers asked for: the nearest of all that are looked through first


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """Where is searched: among items of ``labels``, or everywhere when there are none; and why.

    ``probability`` is that of the labels together.
    """

    labels: tuple[str, ...] = ()
    probability: float = 0.0
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CategorySearch:
    """Answers, what was predicted for the picture (nothing for a given label), and the scope.

    ``hits`` are a tuple; ``results`` are the same hits with what is to be told about them.
    """

    results: Results
    predictions: tuple[Prediction, ...]
    scope: Scope

    @property
    def hits(self) -> tuple[Hit, ...]:
        return tuple(self.results)


def choose(
    predictions: Sequence[Prediction],
    *,
    mass: float = _MASS,
    least: float = _LEAST,
    most: int = _MOST,
) -> Scope:
    """The fewest labels that together are as probable as ``mass``. Pure.

    None when the most probable is less so than ``least``, or more than ``most`` would be needed.
    """
    if not 0 < mass <= 1:
        raise ValueError(f"mass is {mass}, but must lie above 0 and up to 1")
    ranked = sorted(predictions, key=lambda one: -one.probability)
    if not ranked:
        return Scope(reason="nothing was predicted")
    first = ranked[0]
    if first.probability < least:
        return Scope(
            reason=f"unsure: the likeliest, {first.label}, has {first.probability:.2f}, "
            f"less than {least:g}"
        )
    total, labels = 0.0, []
    for one in ranked:
        total += one.probability
        labels.append(one.label)
        if total >= mass - 1e-6:  # the probabilities of float32
            break
    if len(labels) > most:
        return Scope(
            reason=f"unsure: {len(labels)} labels would be needed for {mass:g}, more than {most}"
        )
    likely = f"{len(labels)} label{'s' * (len(labels) > 1)} with {min(total, 1):.2f} together"
    return Scope(labels=tuple(labels), probability=min(total, 1.0), reason=likely)


def search(
    collection: Collection,
    picture: Query,
    *,
    k: int = 10,
    category: str = "auto",
    by: str | None = None,
    mass: float = _MASS,
    least: float = _LEAST,
    most: int = _MOST,
    min_score: float | None = None,
    exact: bool = False,
    include_self: bool = False,
    collapse: bool = False,
    where: str | Condition | None = None,
    per_group: bool = False,
) -> CategorySearch:
    """The ``k`` items most like a picture, among those of its category.

    With ``category="auto"`` the label is predicted, and the search is restricted beforehand to the
    fewest labels that together are as probable as ``mass``; of label paths at the deepest level
    where ``most`` labels suffice. The whole collection is searched when the likeliest label has
    less than ``least``, when more than ``most`` would be needed, when the likeliest is one that no
    item has any more, or when fewer than ``k`` answers are found among them. A label of your own is
    a filter that stays; ``off`` searches everywhere. ``scope`` tells what was done. The rest is as
    ``Collection.search``.

    Raises ``CollectionError`` for a label that no item has, and as ``predict`` and
    ``Collection.search``.
    """
    if not 0 < mass <= 1:
        raise ValueError(f"mass is {mass}, but must lie above 0 and up to 1")
    asked = _Asked(
        collection=collection,
        picture=collection.encode(picture),
        k=k,
        where=(parse(where) if where.strip() else None) if isinstance(where, str) else where,
        exact=exact,
        include_self=include_self,
        collapse=collapse,
        per_group=per_group,
    )
    predictions: Sequence[Prediction] = ()
    if category == "off":
        scope, hits = Scope(reason="off"), asked.answers()
    elif category != "auto":
        meaning, path = _named(collection, category, by)
        scope = Scope(labels=(category,), probability=1.0, reason="as given")
        hits = asked.within(meaning, [path])
    else:
        meaning, chances = predicted(collection, asked.picture, by)
        scope, predictions, paths = _deepest(chances, mass=mass, least=least, most=most)
        hits = asked.within(meaning, paths) if paths else ()
        if paths and (gone := _vanished(collection, meaning, paths, hits)):
            scope = Scope(
                reason=f"what was learned is out of date: no item has {', '.join(gone)} as its "
                f"{meaning.by} any more; `lookalike categories train` learns anew"
            )
        elif paths and len(hits) < k:
            names = ", ".join(scope.labels)
            scope = Scope(reason=f"only {len(hits)} of {k} answers are of {names}")
        if not scope.labels:
            hits = asked.answers()
    return CategorySearch(
        results=asked.told(hits, min_score), predictions=tuple(predictions), scope=scope
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """What is looked for, wherever that is."""

    collection: Collection
    picture: Encoded
    k: int
    where: Condition | None
    exact: bool
    include_self: bool
    collapse: bool
    per_group: bool

    def answers(self, scope: Condition | None = None) -> tuple[Hit, ...]:
        """The answers of a scope, or of the whole collection."""
        parts = tuple(part for part in (scope, self.where) if part is not None)
        return self._found(And(parts) if parts else None, self.k)

    def within(self, meaning: Meaning, paths: Sequence[Path]) -> tuple[Hit, ...]:
        """The answers of labels, found quicker: most are among the nearest of all.

        Those of the nearest of all that have a label are the nearest that have it. So as long as
        they are enough, nobody needs to look up all that have it.
        """
        if self.k > 0 and not (self.exact or self.collapse or self.per_group):
            near = self._found(self.where, _AHEAD * self.k)
            found = tuple(hit for hit in near if is_of(hit.item, meaning, paths))
            if len(found) >= self.k:
                return found[: self.k]
        return self.answers(condition_of(meaning, paths))

    def told(self, found: Sequence[Hit], min_score: float | None) -> Results:
        """The hits that reach ``min_score``, with what is to be told about them."""
        itself = None if self.include_self else self.picture.item
        return results(
            self.collection.store,
            found,
            where=self.where,
            min_score=min_score,
            per_group=self.per_group,
            left_out=() if itself is None else (itself.id,),
        )

    def _found(self, where: Condition | None, k: int) -> tuple[Hit, ...]:
        found = self.collection.search(
            self.picture,
            k=k,
            exact=self.exact,
            include_self=self.include_self,
            collapse=self.collapse,
            where=where,
            per_group=self.per_group,
        )
        return tuple(found)


def _deepest(
    chances: dict[Path, float], *, mass: float, least: float, most: int
) -> tuple[Scope, list[Prediction], list[Path]]:
    """The scope of the deepest level that gives one, with that level's predictions and paths."""
    levels = levels_of(chances)
    for depth in range(len(levels), 0, -1):
        scope = choose(levels[depth - 1], mass=mass, least=least, most=most)
        if scope.labels:
            path_of_label = {"/".join(path): path for path in sums(chances, depth)}
            return scope, levels[depth - 1], [path_of_label[label] for label in scope.labels]
    return choose(levels[-1], mass=mass, least=least, most=most), levels[-1], []


def _vanished(
    collection: Collection, meaning: Meaning, paths: Sequence[Path], hits: Sequence[Hit]
) -> list[str]:
    """Labels of a scope, the likeliest first, that no item has any more.

    Only those without an answer are looked up.
    """
    # A label is looked up in an index; where a field has none, the likeliest must do.
    doubted = paths if meaning.by == "label" and not meaning.levels else paths[:1]
    return [
        "/".join(path)
        for path in doubted
        if not any(is_of(hit.item, meaning, [path]) for hit in hits)
        and not collection.count(condition_of(meaning, [path]))
    ]


def _named(collection: Collection, label: str, by: str | None) -> tuple[Meaning, Path]:
    """What a label that somebody typed means; ``CollectionError`` if no item has it."""
    model = load(collection)
    if model is not None and by in (None, model.learned.by):
        meaning = Meaning(by=model.learned.by, levels=model.learned.levels)
        known = {path[:depth] for path in model.paths for depth in range(1, len(path) + 1)}
    else:
        meaning, known = Meaning(by=by or "label"), set()
    path: Path = next((one for one in known if "/".join(one) == label), (label,))
    if collection.count(condition_of(meaning, [path])) == 0:
        if not known:
            known = {path_of(item, meaning.by) for item in collection.items(Exists(meaning.by))}
        hint = did_you_mean(label, sorted("/".join(one) for one in known), n=3)
        raise CollectionError(f"no item has {label!r} as its {meaning.by}{hint}")
    return meaning, path
