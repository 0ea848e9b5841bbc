"""Search the regions of items together with whole images: an item has its best score."""

from itertools import islice
from typing import TYPE_CHECKING, Literal, TypeAlias

from lookalike.core.filters import Condition, In, Value, all_of
from lookalike.core.protocols import Store
from lookalike.core.records import Hit, Item
from lookalike.errors import CollectionError
from lookalike.regions.index import RegionIndex, RegionScores
from lookalike.search.directions import Directions
from lookalike.search.query import Query

if TYPE_CHECKING:
    from lookalike.collection import Collection
    from lookalike.search.options import SearchOptions

__all__ = ["RegionMode", "choose_regions", "nearest_with_regions"]

RegionMode: TypeAlias = Literal["auto", "on", "off"]

_FEW = 5000  # items that meet a filter, and are looked up first
_PART = 64  # images whose items are looked up at a time, at least
_MOST_PART = 4096
_GROWTH = 4


def choose_regions(
    collection: "Collection", query: Query, options: "SearchOptions"
) -> RegionIndex | None:
    """Return the regions to search, if any.

    ``auto`` leaves regions out where whole images are compared: match levels are measured between
    them, and queries are expanded and results made diverse with them. It does so for a query of
    several parts too: their mixed vector is like no image, so that it is nearer to the vectors of
    small patches, which crowd out the items that are like the parts. Raise ``CollectionError``
    where regions are wanted and there are none, and ``ValueError`` with ``expand``.
    """
    by_whole = options.min_match is not None or options.diversity or len(query.parts) > 1
    if options.regions == "off" or (options.regions == "auto" and by_whole):
        return None
    if options.expand:
        if options.regions == "on":
            raise ValueError("expand goes by whole images; leave it out, or regions")
        return None
    index = collection.region_index
    if index.exists():
        return index
    if options.regions == "on":
        raise CollectionError(
            "the collection has no region vectors; `lookalike index FOLDER --regions 4` makes them"
        )
    return None


def nearest_with_regions(
    index: RegionIndex,
    compared: Directions,
    store: Store,
    k: int,
    *,
    exact: bool,
    where: Condition | None,
) -> tuple[list[Hit], bool]:
    """Return the ``k`` items of the best scores, best first, and whether these are all.

    The score of an item is that of its whole image or of its best region, whichever is higher;
    with a region, ``Hit.box`` is its place. An item among the best ``k`` in all is among the best
    ``k`` of one of the two.
    """
    whole, complete = compared.nearest(store, k, exact=exact, where=where)
    scores = index.scores(compared.vectors, compared.factors)
    found = {hit.item.id: hit for hit in whole}
    others = [item for item in _best_items(scores, store, k, where) if item.id not in found]
    if others:
        rows = compared.scores(store.items.vectors([item.id for item in others]))
        for item, score in zip(others, rows.tolist(), strict=True):
            found[item.id] = Hit(item=item, score=score)
    regions = scores.of(hit.item.digest for hit in found.values())
    merged = []
    for hit in found.values():
        score, box = regions.get(hit.item.digest, (hit.score, None))
        better = box is not None and score > hit.score
        merged.append(Hit(item=hit.item, score=round(score, 9), box=box) if better else hit)
    merged.sort(key=lambda hit: (-hit.score, hit.item.id))
    return merged if complete else merged[:k], complete


def _best_items(scores: RegionScores, store: Store, k: int, where: Condition | None) -> list[Item]:
    """Return at least the ``k`` items with the best regions that meet a filter, if there are."""
    few = where is not None and store.search.count(where) <= _FEW
    among = {item.digest for item in store.items.scan(where)} if few else None
    waiting = scores.ranked(among)
    found: list[Item] = []
    size = max(_PART, min(2 * k, _MOST_PART))
    while len(found) < k and (part := list(islice(waiting, size))):
        place = {digest: rank for rank, digest in enumerate(part)}
        same = In("digest", tuple(Value(one) for one in part))
        items = list(store.items.scan(all_of(where, same)))
        found += sorted(items, key=lambda item: (place[item.digest], item.id))
        size = min(size * _GROWTH, _MOST_PART)
    return found
