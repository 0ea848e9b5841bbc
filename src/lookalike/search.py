"""Search: what is asked, and the one engine that carries it out for every way in.

    options = SearchOptions(k=5, where="price<20")
    results = run(shop, Query.of("query.jpg"), options)

``Collection``, the client, the command line, the service, run files and Django build a ``Query``
and ``SearchOptions``. Only this module decides what is left out, folded, widened or asked again:

    parts → one unit vector → store.search → exclude the query → fold duplicates and groups
          → k best → thresholds → Results
"""

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Literal, NamedTuple, Self, TypeAlias, TypedDict, get_args

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lookalike import images
from lookalike.core import notes
from lookalike.core.filters import Condition, all_of, to_condition
from lookalike.core.records import Hit, Item, Note
from lookalike.core.vectors import Vector, mixed, reaches, unit_rows
from lookalike.errors import ItemNotFoundError, UnreadableImageError
from lookalike.images.cropping import Box

if TYPE_CHECKING:
    from lookalike.analysis.calibration import Calibration, Match
    from lookalike.analysis.categories.category_search import CategoryChoice, CategoryRules
    from lookalike.analysis.duplicates.collapsing import NearDuplicateFold
    from lookalike.collection import Collection

__all__ = [
    "Collapse",
    "Encoded",
    "ImageSource",
    "ItemRef",
    "Query",
    "QueryLike",
    "QueryPart",
    "Results",
    "SearchKeywords",
    "SearchOptions",
    "bytes_of",
    "feedback",
    "liked_and_disliked",
    "run",
]

Collapse: TypeAlias = Literal["exact", "near"]
ImageSource: TypeAlias = str | os.PathLike[str] | bytes | NDArray[np.generic] | Image.Image

_WIDEN = 4  # times as many hits are asked for when too few are left of those that came


# -- what is asked --------------------------------------------------------------------------------


class SearchKeywords(TypedDict, total=False):
    """The fields of ``SearchOptions`` as keywords of ``search`` and ``similar``."""

    k: int
    min_score: float | None
    min_match: "Match | None"
    where: str | Condition | None
    category: str
    mass: float
    per_group: bool
    collapse: "Collapse | bool | None"
    exact: bool
    include_self: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchOptions:
    """Which results are wanted. Every way in has these options, by these names.

    - ``k``: how many results, 1 or more.
    - ``min_score``: drop results with a lower cosine, in [-1, 1].
    - ``min_match``: drop results below this calibrated level: ``strong``, ``fair`` or ``weak``.
      With ``min_score`` the stricter of the two counts.
    - ``where``: only items that meet a filter, as text or as a condition. It comes before the
      search, so there are ``k`` results while ``k`` items meet it.
    - ``category``: ``auto`` predicts the label and searches among its items; a label searches among
      the items that have it; ``off`` searches everywhere. ``mass``, in (0, 1], is the probability
      that the predicted labels must have together.
    - ``per_group``: only the best item of each group.
    - ``collapse``: one item stands for its ``exact`` duplicates, or for its ``near`` ones too.
      ``True`` means ``exact``.
    - ``exact``: compare with every vector instead of asking the ANN index.
    - ``include_self``: keep the item that the query is.

    Raise ``ValueError`` for a value out of range, and ``FilterError`` for a filter that cannot be
    read.
    """

    k: int = 10
    min_score: float | None = None
    min_match: "Match | None" = None
    where: str | Condition | None = None
    category: str = "off"
    mass: float = 0.9
    per_group: bool = False
    collapse: "Collapse | bool | None" = None
    exact: bool = False
    include_self: bool = False
    condition: Condition | None = field(init=False, repr=False, compare=False)
    """``where``, parsed."""

    def __post_init__(self) -> None:
        if type(self.k) is not int or self.k < 1:
            raise ValueError(f"k is {self.k!r}, but must be a whole number of at least 1")
        if self.min_score is not None and not -1 <= self.min_score <= 1:
            raise ValueError(f"min_score is {self.min_score}, but must be from -1 to 1")
        if self.min_match not in (None, "strong", "fair", "weak"):
            raise ValueError(f"min_match is {self.min_match!r}, but must be strong, fair or weak")
        if not 0 < self.mass <= 1:
            raise ValueError(f"mass is {self.mass}, but must lie above 0 and up to 1")
        if self.collapse not in (None, True, False, *get_args(Collapse)):
            raise ValueError(f"collapse is {self.collapse!r}, but must be exact or near")
        if isinstance(self.collapse, bool):
            object.__setattr__(self, "collapse", "exact" if self.collapse else None)
        object.__setattr__(self, "condition", to_condition(self.where))

    @classmethod
    def names(cls) -> list[str]:
        """Return the names of the options."""
        return [one.name for one in fields(cls) if one.init]

    @classmethod
    def of(cls, options: Self | None, keywords: SearchKeywords) -> Self:
        """Return options with keywords on top: what ``search`` and ``similar`` are called with."""
        return cls(**keywords) if options is None else replace(options, **keywords)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Encoded:
    """An image that has been encoded, to be searched more than once.

    ``vector`` (dim,) float32 has length 1. ``digest`` is of the image's bytes, if it had any.
    ``item`` is the one whose file it is; it is left out of its own results.
    """

    vector: Vector
    digest: str | None = None
    item: Item | None = None


@dataclass(frozen=True, slots=True)
class ItemRef:
    """An item of the collection, as a query."""

    id: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class QueryPart:
    """One part of a query.

    ``source`` is an image (a path, the bytes of a file, a PIL image, an (h, w, 3) array), an
    ``ItemRef``, something ``Encoded``, or a vector: an array of one dimension. ``crop`` (left, top,
    right, bottom), each in [0, 1] of the upright image, takes a part of it. ``weight`` is how much
    the part counts; below 0, results are less like it.
    """

    source: ImageSource | ItemRef | Encoded
    weight: float = 1.0
    crop: Box | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Query:
    """What is searched for: one part, or several that are mixed by weight."""

    parts: tuple[QueryPart, ...]

    @classmethod
    def of(cls, query: "QueryLike", *, crop: Box | None = None) -> Self:
        """Return a query of whatever ``search`` takes; ``crop`` takes a part of its one image."""
        if isinstance(query, cls):
            made = query
        elif isinstance(query, QueryPart):
            made = cls((query,))
        elif isinstance(query, list | tuple):
            made = cls(
                tuple(one if isinstance(one, QueryPart) else QueryPart(source=one) for one in query)
            )
        else:
            made = cls((QueryPart(source=query),))  # type: ignore[arg-type]
        if crop is None:
            return made
        if len(made.parts) != 1 or made.parts[0].crop is not None:
            raise ValueError("crop belongs to a query of one image; give each QueryPart its own")
        return cls((replace(made.parts[0], crop=crop),))

    @property
    def item_id(self) -> str | None:
        """The id of the item that the query is, where it is one whole item and nothing else."""
        if len(self.parts) != 1:
            return None
        (part,) = self.parts
        plain = isinstance(part.source, ItemRef) and part.crop is None and part.weight > 0
        return part.source.id if plain and isinstance(part.source, ItemRef) else None


QueryLike: TypeAlias = (
    ImageSource
    | ItemRef
    | Encoded
    | QueryPart
    | Query
    | Sequence["QueryPart | ItemRef | ImageSource"]
)


class Results(list[Hit]):
    """Hits, best first, and what to say about them.

    - ``notes`` say why there are no hits, or what is odd about them.
    - ``left_out`` are the ids of items that are the query itself.
    - ``best`` is the most similar item, where a threshold dropped every hit.
    - ``matches`` has the match level of each hit (``None`` for less than weak), or is empty where
      the collection is not calibrated; ``scale`` are the thresholds that gave them.
    - ``category`` says what was predicted and where the search looked, if a category was asked for.
    - ``folded`` has, by id, how many near duplicates each hit stands for, if they were folded.
    """

    def __init__(
        self,
        hits: Iterable[Hit] = (),
        *,
        notes: Sequence[Note] = (),
        left_out: Sequence[str] = (),
        best: Hit | None = None,
        matches: "Sequence[Match | None]" = (),
        scale: "Calibration | None" = None,
        category: "CategoryChoice | None" = None,
        folded: Mapping[str, int] | None = None,
    ) -> None:
        super().__init__(hits)
        self.notes = tuple(notes)
        self.left_out = tuple(left_out)
        self.best = best
        self.matches = tuple(matches)
        self.scale = scale
        self.category = category
        self.folded = folded


def liked_and_disliked(liked: int, disliked: int, *, alone: bool) -> tuple[float, float]:
    """Return the weight of each part that is liked and of each that is disliked.

    Beside a query of weight 1, what is liked weighs 0.75 together and what is disliked -0.5;
    ``alone``, without a query, what is liked weighs 1. Manning, Raghavan and Schütze (Introduction
    to Information Retrieval, 2008, 9.1.1) advise 0.75 and 0.15; on images more of the second is
    better (docs/decisions/0016-service.md).
    """
    return (1.0 if alone else 0.75) / max(liked, 1), -0.5 / max(disliked, 1)


def feedback(
    positive: Sequence[ImageSource | ItemRef], negative: Sequence[ImageSource | ItemRef]
) -> list[QueryPart]:
    """Return the parts that what is liked and disliked adds to a query of weight 1."""
    liked, disliked = liked_and_disliked(len(positive), len(negative), alone=False)
    return [
        QueryPart(source=source, weight=weight)
        for sources, weight in ((positive, liked), (negative, disliked))
        for source in sources
    ]


# -- the engine -----------------------------------------------------------------------------------


def run(
    collection: "Collection",
    query: Query,
    options: SearchOptions,
    *,
    scale: "Calibration | None" = None,
    rules: "CategoryRules | None" = None,
) -> Results:
    """Carry out a search; all that ``search`` and ``similar`` do is done here.

    ``scale`` is the calibration that gives each result its match level. Without one, levels are
    looked up, or measured, only for ``min_match``. ``rules`` are the finer settings of a category
    search (``analysis.categories.search``).

    Raise ``ImageError`` for an image that cannot be used, ``ItemNotFoundError``,
    ``CollectionError`` for a category that no item has, ``EncoderError`` and ``StoreError``, and
    ``ValueError`` for a query without parts or whose parts cancel out.
    """
    if not query.parts:
        raise ValueError("the query has no parts; give an image, an item or a vector")
    if collection.store.bound() is None:
        _check_parts(collection, query)
        return Results(notes=notes.explain_filter(collection.store, None))
    return _Search(collection, query, options).results(scale, rules)


def _check_parts(collection: "Collection", query: Query) -> None:
    """Raise for the parts of a query to an empty collection that are no image and no item."""
    for part in query.parts:
        if isinstance(part.source, ItemRef):
            raise ItemNotFoundError(f"there is no item {part.source.id!r}: the collection is empty")
        if not isinstance(part.source, Encoded) and not _is_vector(part.source):
            collection.check_image(part.source)


class _Found(NamedTuple):
    """Hits that a store proposes, best first: all that there are when ``complete``.

    Without ``more``, asking for a greater number finds no others although they may exist.
    """

    hits: list[Hit]
    complete: bool
    more: bool = True


_Find: TypeAlias = Callable[[int], _Found | None]


class _Search:
    """One search of one collection."""

    def __init__(self, collection: "Collection", query: Query, options: SearchOptions) -> None:
        self._collection = collection
        self._store = collection.store
        self._options = options
        self._folded: Mapping[str, int] | None = None
        own: list[Item] = []
        # An item alone needs no more than its id, where the neighbour table has its list.
        self._item_id = query.item_id
        self._encoded: Encoded | None = None
        if self._item_id is None:
            encoded = [_encode(collection, part) for part in query.parts]
            self._encoded = _mix(encoded, query.parts)
            own = [one.item for one in encoded if one.item is not None]
        elif options.per_group:
            own = [collection.get(self._item_id)]
        ids = {} if self._item_id is None else {self._item_id: None}
        ids |= {item.id: None for item in own}
        if options.include_self:
            own, ids = [], {}
        self._own_ids = ids
        self._own_groups = {item.group for item in own if item.group and options.per_group}

    def results(self, scale: "Calibration | None", rules: "CategoryRules | None") -> Results:
        options, choice = self._options, None
        if options.category == "off":
            found = self._best(options.condition, options.k)
        else:
            from lookalike.analysis.categories import category_search  # noqa: PLC0415 - rarely used

            found, choice = category_search.search_within(
                self._collection,
                self._vector(),
                options.category,
                find=lambda scope, k: self._best(all_of(scope, options.condition), k),
                k=options.k,
                mass=options.mass,
                # Folding needs all of a scope; without it the nearest of all mostly suffice.
                quick=not (options.exact or options.collapse or options.per_group),
                rules=rules,
            )
        return self._judged(found, choice, scale)

    def _judged(
        self, found: Sequence[Hit], choice: "CategoryChoice | None", scale: "Calibration | None"
    ) -> Results:
        """Drop what is below the thresholds, and say what there is to say."""
        options = self._options
        if scale is None and options.min_match is not None:
            from lookalike.analysis.calibration import get_calibration  # noqa: PLC0415 - only for a level

            scale = get_calibration(self._collection)
        matches: Sequence[Match | None] = ()
        if scale is None:
            least = options.min_score
            hits = [hit for hit in found if least is None or reaches(hit.score, least)]
            said: tuple[Note, ...] = ()
        else:
            judged = scale.match_hits(
                found, min_match=options.min_match, min_score=options.min_score
            )
            hits, matches, said = list(judged.hits), judged.matches, judged.notes
        if not said:
            said = notes.explain_search(
                self._store,
                found=found,
                kept=hits,
                where=options.condition,
                min_score=options.min_score,
                per_group=options.per_group,
            )
        return Results(
            hits,
            notes=said,
            left_out=tuple(self._own_ids),
            best=found[0] if found and not hits else None,
            matches=matches,
            scale=scale,
            category=choice,
            folded=self._folded,
        )

    def _best(self, where: Condition | None, k: int) -> list[Hit]:
        """Return the ``k`` best hits that meet a filter, the query left out and the rest folded."""
        hits = None
        if self._item_id is not None and self._own_ids:
            hits = self._widen(self._table(self._item_id, where), k, spare=0)
        if hits is None:
            vector = self._vector().vector[None, :]
            exact = self._options.exact

            def search(ask: int) -> _Found:
                (found,) = self._store.search.nearest(vector, k=ask, exact=exact, where=where)
                return _Found(found, complete=len(found) < ask)

            hits = self._widen(search, k, spare=max(len(self._own_ids), 1))
        return hits or []

    def _table(self, id: str, where: Condition | None) -> _Find:
        """Return what reads the neighbour table; it gives ``None`` where only a search can say."""

        def read(ask: int) -> _Found | None:
            found = self._store.neighbours.get(id, k=ask, exact=self._options.exact, where=where)
            if found is None:
                return None
            return _Found(found.hits, found.complete, more=len(found.hits) >= ask)

        return read

    def _widen(self, find: _Find, k: int, *, spare: int) -> list[Hit] | None:
        """Ask for more until ``k`` of the hits are wanted; ``None`` where ``find`` cannot say."""
        fold = self._fold(k)
        ask = k + spare
        while True:
            found = find(ask)
            if found is None:
                return None
            hits = self._wanted(found.hits)
            if fold is not None:
                hits = fold.look(hits)
            if len(hits) >= k or found.complete:
                self._folded = None if fold is None else fold.folded
                return hits[:k]
            if not found.more:
                return None
            ask *= _WIDEN  # the query, duplicates and items of one group took the places

    def _wanted(self, hits: Sequence[Hit]) -> list[Hit]:
        wanted = [
            hit
            for hit in hits
            if hit.item.id not in self._own_ids and hit.item.group not in self._own_groups
        ]
        if self._options.collapse == "exact":  # near duplicates include them
            wanted = _firsts(wanted, lambda item: item.digest)
        if self._options.per_group:
            wanted = _firsts(wanted, lambda item: (item.group, None if item.group else item.id))
        return wanted

    def _fold(self, k: int) -> "NearDuplicateFold | None":
        if self._options.collapse != "near":
            return None
        from lookalike.analysis.duplicates.collapsing import NearDuplicateFold  # noqa: PLC0415 - rarely

        return NearDuplicateFold(self._collection, k)

    def _vector(self) -> Encoded:
        if self._encoded is None:
            assert self._item_id is not None  # noqa: S101 - the only query that is not encoded
            # Where labels are voted for, the item itself must not be among those that vote.
            voted = self._options.category != "off"
            self._encoded = Encoded(
                vector=self._store.items.vectors([self._item_id])[0],
                item=self._collection.get(self._item_id) if voted else None,
            )
        return self._encoded


def _firsts(hits: Sequence[Hit], key: Callable[[Item], object]) -> list[Hit]:
    """Return the first hit of each kind."""
    seen: dict[object, Hit] = {}
    for hit in hits:
        seen.setdefault(key(hit.item), hit)
    return list(seen.values())


# -- parts → one vector ---------------------------------------------------------------------------


def _encode(collection: "Collection", part: QueryPart) -> Encoded:
    source = part.source
    if isinstance(source, ItemRef):
        item = collection.get(source.id)
        if part.crop is None:
            return Encoded(vector=collection.vectors([item.id])[0], digest=item.digest, item=item)
        data = bytes_of(collection, item)
        found = collection.encode(data, crop=part.crop)
        return Encoded(vector=found.vector, digest=item.digest, item=item)
    if isinstance(source, Encoded) or _is_vector(source):
        if part.crop is not None:
            raise ValueError("a crop needs an image; a vector has no parts")
        return source if isinstance(source, Encoded) else _vector_of(collection, source)
    return collection.encode(source, crop=part.crop)


def bytes_of(collection: "Collection", item: Item) -> bytes:
    """Return the bytes of an item's file. Raise ``ImageError`` where it has none any more."""
    place = collection.file_of(item)
    if place is None:
        raise UnreadableImageError(
            f"there is no file of {item.id!r}, only its embedding, so no crop of it can be encoded"
        )
    return images.read(place, limits=collection.limits)


def _is_vector(source: object) -> bool:
    return isinstance(source, np.ndarray) and source.ndim == 1


def _vector_of(collection: "Collection", source: object) -> Encoded:
    vector = np.asarray(source, dtype=np.float32)
    bound = collection.store.bound()
    if bound is not None and len(vector) != bound[2]:
        raise ValueError(
            f"the vector has {len(vector)} values, but embeddings here have {bound[2]} ({bound[0]})"
        )
    if not np.isfinite(vector).all() or not vector.any():
        raise ValueError("the vector must have finite values that are not all 0")
    return Encoded(vector=unit_rows(vector[None, :])[0])


def _mix(encoded: Sequence[Encoded], parts: Sequence[QueryPart]) -> Encoded:
    """Return the weighted sum of the parts as a unit vector."""
    if len(parts) == 1 and parts[0].weight > 0:
        return encoded[0]
    rows = np.stack([one.vector for one in encoded])
    return Encoded(vector=mixed(rows, [part.weight for part in parts]))
