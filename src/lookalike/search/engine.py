"""The one engine that carries out every search.

parts → one unit vector, or one for each → store.search → exclude the query
      → fold duplicates and groups → k best → thresholds → Results

``expand`` searches twice, and ``diversity`` chooses the k from more. Scores stay the query's own.
Words are a part with a vector, or keywords whose ranking is fused with that of the vector, or alone
(``search.text``).
"""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

from lookalike.core import notes
from lookalike.core.blank_images import find_blank
from lookalike.core.filters import Condition, all_of
from lookalike.core.keywords import match
from lookalike.core.records import Hit, Item, Note
from lookalike.core.vectors import reaches
from lookalike.errors import WordsError
from lookalike.search.candidates import WIDEN, Candidates, Find, firsts
from lookalike.search.directions import Directions, check_weights
from lookalike.search.diversity import choose_diverse, pool_size
from lookalike.search.expansion import expand, nearest_by
from lookalike.search.options import SearchOptions
from lookalike.search.orientations import (
    check_turnable,
    choose_orientation,
    encode_turned,
    match_orientations,
)
from lookalike.search.parts import check_parts, encode_part, mix, resolve_crops
from lookalike.search.query import Encoded, Query, QueryPart
from lookalike.search.regions import choose_regions, nearest_with_regions
from lookalike.search.results import Results
from lookalike.search.text import FEWEST, explain_words, fuse, plan_text
from lookalike.search.words import has_words, named_query

if TYPE_CHECKING:
    from lookalike.analysis.calibration import Calibration, Match
    from lookalike.analysis.categories.category_search import CategoryChoice, CategoryRules
    from lookalike.analysis.duplicates.collapsing import NearDuplicateFold
    from lookalike.collection import Collection
    from lookalike.core.keywords import KeywordMatches
    from lookalike.search.text import TextPlan

__all__ = ["run"]


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
    looked up, or measured, only for ``min_match``. Words have no match level: levels are measured
    between images. ``rules`` are the finer settings of a category search
    (``analysis.categories.search``).

    Raise ``ImageError`` for an image that cannot be used, ``ItemNotFoundError``, ``WordsError`` for
    an encoder without words or for words with ``min_match``, ``CollectionError`` for a category
    that no item has, ``EncoderError`` and ``StoreError``, and ``ValueError`` for a query without
    parts, whose weights are all below 0, or whose parts cancel out.
    """
    if not query.parts:
        raise ValueError("the query has no parts; give an image, an item, words or a vector")
    check_weights(query.parts)
    query = asked = named_query(query)
    if options.any_orientation:
        check_turnable(query)
    if has_words(query):
        if options.min_match is not None:
            raise WordsError(
                "match levels are measured between images, so they say nothing about words; "
                "use min_score instead of min_match"
            )
        scale = None
    if collection.store.bound() is None:
        check_parts(collection, query)
        nothing = Results(notes=notes.explain_filter(collection.store, None))
        return nothing.shown_from(collection, asked)
    query = asked = resolve_crops(collection, query)
    plan = None
    if has_words(query):
        plan = plan_text(collection, query, options.text_mode)
        query = plan.query
        if not query.parts and options.expand:
            raise WordsError(
                f"{plan.text}: keywords alone have no embedding that could be expanded; leave "
                "expand out, or search by words that name a label"
            )
        if not query.parts and options.category == "auto":
            raise WordsError(
                f"{plan.text}: keywords alone have no embedding that a category could be predicted "
                "of; give the category, or use a filter"
            )
    found = _Search(collection, query, options, plan).results(scale, rules)
    return found.shown_from(collection, asked)


class _Search:
    """One search of one collection."""

    def __init__(
        self,
        collection: "Collection",
        query: Query,
        options: SearchOptions,
        plan: "TextPlan | None" = None,
    ) -> None:
        self._collection = collection
        self._store = collection.store
        self._options = options
        self._folded: Mapping[str, int] | None = None
        self._plan = plan
        self._text = None if plan is None else plan.text
        self._matches: KeywordMatches | None = None
        self._directions: Directions | None = None
        self._expanded: dict[Condition | None, Directions] = {}
        self._blank: dict[str, None] = {}  # ids that were left out because their images are blank
        self._least = -1.0  # a lower score is not among the results
        own: list[Item] = []
        # An item alone needs no more than its id, where the neighbour table has its list.
        self._item_id = None if options.any_orientation else query.item_id
        self._encoded: Encoded | None = None
        self._parts: tuple[Sequence[Encoded], Sequence[QueryPart]] = ((), ())
        self._by_vector = bool(query.parts)
        self._regions = choose_regions(collection, query, options) if self._by_vector else None
        if self._item_id is None and self._by_vector:
            encode = encode_turned if options.any_orientation else encode_part
            encoded = [encode(collection, part) for part in query.parts]
            self._parts = encoded, query.parts
            turned = encoded[0].orientations
            if options.any_orientation and turned is not None:
                self._directions = Directions(turned, (1.0,) * len(turned))
            elif options.mix == "best" and any(part.weight > 0 for part in query.parts):
                self._directions = Directions.of_each(encoded, query.parts)
            own = [one.item for one in encoded if one.item is not None]
        elif options.per_group and self._item_id is not None:
            own = [collection.get(self._item_id)]
        ids = {} if self._item_id is None else {self._item_id: None}
        ids |= {item.id: None for item in own}
        if options.include_self:
            own, ids = [], {}
        self._own_ids = ids
        self._own_groups = {item.group for item in own if item.group and options.per_group}

    def results(self, scale: "Calibration | None", rules: "CategoryRules | None") -> Results:
        options, choice = self._options, None
        if scale is None and options.min_match is not None:
            from lookalike.analysis.calibration import get_calibration  # noqa: PLC0415 - only for a level

            scale = get_calibration(self._collection)
        if options.min_score is not None:
            self._least = options.min_score
        if scale is not None and options.min_match is not None:
            self._least = max(self._least, scale.least(options.min_match))
        if options.any_orientation and options.category == "auto":
            nearest = self._ranked(options.condition, 1)
            self._encoded = choose_orientation(
                self._store, self._compared(), self._parts[0][0], nearest
            )
        if options.category == "off":
            found = self._best(options.condition, options.k)
        else:
            from lookalike.analysis.categories import category_search  # noqa: PLC0415 - rarely used

            found, choice = category_search.search_within(
                self._collection,
                self._vector() if self._by_vector and options.category == "auto" else None,
                options.category,
                find=lambda scope, k: self._best(all_of(scope, options.condition), k),
                k=options.k,
                mass=options.mass,
                # Folding and reordering need all of a scope; else the nearest of all may suffice.
                quick=not (options.exact or options.collapse or options.per_group)
                and not (options.expand or options.diversity),
                rules=rules,
            )
        return self._match(found, choice, scale)

    def _match(
        self, found: Sequence[Hit], choice: "CategoryChoice | None", scale: "Calibration | None"
    ) -> Results:
        """Drop what is below the thresholds, and say what there is to say."""
        options = self._options
        matches: Sequence[Match | None] = ()
        if scale is None:
            hits = [hit for hit in found if reaches(hit.score, self._least)]
            said: tuple[Note, ...] = ()
        else:
            matched = scale.match_hits(
                found, min_match=options.min_match, min_score=options.min_score
            )
            hits, matches, said = list(matched.hits), matched.matches, matched.notes
        best = max(found, key=lambda hit: hit.score, default=None)  # fused, the first may not be
        if not said and (found or self._by_vector):
            said = notes.explain_search(
                self._store,
                found=found if best is None else [best, *found],
                kept=hits,
                where=options.condition,
                min_score=options.min_score,
                per_group=options.per_group,
            )
        elif not said:
            said = notes.explain_filter(self._store, options.condition)
        if self._plan is not None:
            said = (*explain_words(self._store, self._plan, self._matches, hits), *said)
        if self._blank:
            said = (*(one for one in said if hits or one.code != "no-other-item"),)
            said += notes.explain_blank([*self._blank])
        said += notes.explain_order(hits, expand=options.expand, diversity=options.diversity)
        return Results(
            hits,
            notes=said,
            score="cosine" if self._by_vector else "words",
            left_out=tuple(self._own_ids),
            best=None if hits else best,
            matches=matches,
            scale=scale,
            category=choice,
            folded=self._folded,
            orientations=match_orientations(self._store, self._compared(), hits)
            if options.any_orientation and hits
            else None,
        )

    def _best(self, where: Condition | None, k: int) -> list[Hit]:
        """Return the ``k`` best hits that meet a filter, the query left out and the rest folded."""
        fold = self._fold(k)
        if not self._options.diversity:
            hits = self._ranked(where, k, fold)
        else:
            pool = pool_size(k)
            while True:
                ranked = self._ranked(where, pool)
                hits = choose_diverse(
                    self._store,
                    ranked,
                    self._options.diversity,
                    k if fold is None else pool,
                    least=self._least,
                )
                hits = hits if fold is None else fold.look(hits)
                if fold is None or len(hits) >= k or len(ranked) < pool:
                    break
                pool *= WIDEN
        self._folded = None if fold is None else fold.folded
        return hits

    def _ranked(
        self, where: Condition | None, k: int, fold: "NearDuplicateFold | None" = None
    ) -> list[Hit]:
        """Return the ``k`` first hits of the ranking, the query left out and the rest folded."""
        own, hits = len(self._own_ids), None
        if self._text is not None:
            return self._widen(self._keywords(self._text, where), k, fold, spare=own) or []
        listed = not (self._options.expand or self._regions)  # else the table cannot say
        if self._item_id is not None and own and listed:
            hits = self._widen(self._table(self._item_id, where), k, fold, spare=0)
        if hits is None:
            find = partial(self._nearest, where=where)
            hits = self._widen(find, k, fold, spare=max(own, 1))
        return hits or []

    def _keywords(self, text: str, where: Condition | None) -> Find:
        """Return what finds items by keywords, fused with the nearest where there is a vector."""

        def alone(ask: int) -> Candidates:
            self._matches = match(self._store.keywords, text, k=ask, where=where)
            hits = [Hit(item=one.item, score=one.share) for one in self._matches.hits]
            return Candidates(hits, complete=len(hits) < ask)

        def fused(ask: int) -> Candidates:
            depth = max(ask, FEWEST)
            near = self._nearest(depth, where)
            score = self._compared().scores
            hits, self._matches = fuse(
                self._store, text, near.hits, score, depth=depth, where=where
            )
            return Candidates(hits, complete=near.complete and len(self._matches.hits) < depth)

        return fused if self._by_vector else alone

    def _nearest(self, k: int, where: Condition | None) -> Candidates:
        """Return the nearest to the query, in the order of its scores or of its expansion."""
        compared, exact = self._compared(), self._options.exact
        plain = partial(compared.nearest, self._store, exact=exact, where=where)
        if self._regions is not None:
            with_regions = partial(nearest_with_regions, self._regions, compared, self._store)
            plain = partial(with_regions, exact=exact, where=where)
        if not self._options.expand:
            return Candidates(*plain(k))
        if where not in self._expanded:
            spare = max(len(self._own_ids), 1)
            near = self._widen(
                lambda ask: Candidates(*plain(ask)), self._options.expand, spare=spare
            )
            rows = self._store.items.vectors([hit.item.id for hit in near or ()])
            self._expanded[where] = expand(compared, rows)
        ranking = self._expanded[where]
        return Candidates(*nearest_by(ranking, compared, self._store, k, exact=exact, where=where))

    def _compared(self) -> Directions:
        """Return what items are compared with."""
        if self._directions is None:
            self._directions = Directions.of(self._vector().vector)
        return self._directions

    def _table(self, id: str, where: Condition | None) -> Find:
        """Return what reads the neighbour table; it gives ``None`` where only a search can say."""

        def read(ask: int) -> Candidates | None:
            found = self._store.neighbours.get(id, k=ask, exact=self._options.exact, where=where)
            if found is None:
                return None
            return Candidates(found.hits, found.complete, more=len(found.hits) >= ask)

        return read

    def _widen(
        self, find: Find, k: int, fold: "NearDuplicateFold | None" = None, *, spare: int
    ) -> list[Hit] | None:
        """Ask for more until ``k`` of the hits are wanted; ``None`` where ``find`` cannot say."""
        ask = k + spare
        while True:
            found = find(ask)
            if found is None:
                return None
            hits = self._wanted(found.hits)
            if fold is not None:
                hits = fold.look(hits)
            if len(hits) >= k or found.complete:
                return hits[:k]
            if not found.more:
                return None
            ask *= WIDEN  # the query, duplicates and items of one group took the places

    def _wanted(self, hits: Sequence[Hit]) -> list[Hit]:
        wanted = [
            hit
            for hit in hits
            if hit.item.id not in self._own_ids and hit.item.group not in self._own_groups
        ]
        if not self._options.include_blank:
            blank = find_blank(self._store, [hit.item.digest for hit in wanted])
            if blank:
                self._blank |= {hit.item.id: None for hit in wanted if hit.item.digest in blank}
                wanted = [hit for hit in wanted if hit.item.digest not in blank]
        if self._options.collapse == "exact":  # near duplicates include them
            wanted = firsts(wanted, lambda item: item.digest)
        if self._options.per_group:
            wanted = firsts(wanted, lambda item: (item.group, None if item.group else item.id))
        return wanted

    def _fold(self, k: int) -> "NearDuplicateFold | None":
        if self._options.collapse != "near":
            return None
        from lookalike.analysis.duplicates.collapsing import NearDuplicateFold  # noqa: PLC0415 - rarely

        return NearDuplicateFold(self._collection, k)

    def _vector(self) -> Encoded:
        """Return the one vector of the query; with ``best`` only a category is predicted of it."""
        if self._encoded is None and self._item_id is None:
            self._encoded = mix(*self._parts)
        if self._encoded is None:
            assert self._item_id is not None  # noqa: S101 - the only query that is not encoded
            # Where labels are voted for, the item itself must not be among those that vote.
            voted = self._options.category != "off"
            self._encoded = Encoded(
                vector=self._collection.vectors([self._item_id])[0],
                item=self._collection.get(self._item_id) if voted else None,
            )
        return self._encoded
