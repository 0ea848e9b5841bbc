"""Answering a query: encode what must be, mix, search, and say it as a document."""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias, TypedDict

import numpy as np

from lookalike import images
from lookalike.calibration import Judgement
from lookalike.categories import CategorySearch
from lookalike.categories import search as search_within
from lookalike.collection import Collection, Encoded
from lookalike.documents import hits_json, matches_json, search_json
from lookalike.errors import UnreadablePictureError
from lookalike.filters import And, Compare, Condition, Value, parse
from lookalike.images import Box
from lookalike.notes import of_filter
from lookalike.notes import results as told_about
from lookalike.records import Hit, Item, Json, Results
from lookalike.service.collections import Opened
from lookalike.service.paths import item_address
from lookalike.service.problems import Problem
from lookalike.service.schemas import Options
from lookalike.service.state import Service, in_thread
from lookalike.service.uploads import Upload
from lookalike.thumbnails import kept_side
from lookalike.vectors import Vector, mixed

__all__ = ["Part", "searched", "with_links"]

_Found: TypeAlias = tuple[Results, CategorySearch | None]
_Find: TypeAlias = Callable[[], _Found]


class _Asked(TypedDict):
    """``Collection.search``'s own words."""

    k: int
    min_score: float | None
    where: Condition | None
    per_group: bool
    collapse: bool
    exact: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A picture of a query. ``weight`` is below zero for what is disliked."""

    source: Upload | str  # bytes, or an item's id
    crop: Box | None
    weight: float

    def told(self) -> dict[str, Json]:
        """What the answer says of it."""
        source = self.source
        told: dict[str, Json] = (
            {"id": source} if isinstance(source, str) else {"file": source.name or None}
        )
        return told if self.crop is None else told | {"crop": [*self.crop]}


async def searched(
    service: Service,
    opened: Opened,
    parts: Sequence[Part],
    options: Options,
    began: float,
) -> dict[str, Json]:
    """The whole answer to a query. Raises ``Problem`` and what ``Collection.search`` raises."""
    find = await _finder(opened, parts, options)
    levels, min_match = opened.levels, options.min_match
    if min_match is not None and await in_thread(levels.known, min_match) is None:
        async with opened.measuring:  # who waits here holds no thread
            await in_thread(levels.measured)

    def answer() -> dict[str, Json]:
        results, category = find()
        hits: list[Hit] = results
        opened.confirm()
        scale = levels.known(min_match) if min_match is None else levels.measured()
        judged = None
        if scale is not None:
            judged = scale.judge(hits, min_match=min_match, min_score=options.min_score)
            hits = [*judged.hits]
        documents = _hits_json(service, opened, hits, judged, options)
        told: dict[str, Json] = parts[0].told() if len(parts) == 1 else {"pictures": _told(parts)}
        return search_json(
            query=told,
            took_ms=(time.perf_counter() - began) * 1000,
            collection=opened.document(),
            hits=documents,
            category=category,
            matches=matches_json(scale, judged, min_match),
            results=results,
            judged=judged,
        )

    return await in_thread(answer)  # at once: each change of threads costs a tenth of a millisecond


def _told(parts: Sequence[Part]) -> list[Json]:
    return [part.told() | {"weight": round(part.weight, 6)} for part in parts]


def _condition(options: Options) -> Condition | None:
    conditions: list[Condition] = []
    if options.where and options.where.strip():
        conditions.append(parse(options.where))
    if options.label is not None:
        conditions.append(Compare("label", "=", Value.of(options.label)))
    return conditions[0] if len(conditions) == 1 else And(tuple(conditions)) if conditions else None


async def _finder(opened: Opened, parts: Sequence[Part], options: Options) -> _Find:
    """What finds the hits, once all is encoded; for a thread."""
    shop = opened.collection
    asked = _Asked(
        k=options.k,
        # What is too little alike is judged afterwards: it is told how near the nearest comes.
        min_score=None if options.min_match else options.min_score,
        where=_condition(options),
        per_group=options.per_group,
        collapse=options.collapse,
        exact=options.exact,
    )
    if shop.store.bound() is None:
        return lambda: _of_nothing(shop, parts)
    first = parts[0]
    if len(parts) == 1 and options.category == "off" and first.crop is None:
        source, itself = first.source, options.include_self
        if isinstance(source, str):
            return lambda: (shop.similar(source, include_self=itself, **asked), None)
    encoded = await asyncio.gather(*(_encoded(opened, part) for part in parts))
    query = Encoded(vector=_direction(encoded, parts))
    own = [one.item for one in encoded if one.item is not None and not options.include_self]
    return lambda: _apart(shop, query, options.category, asked, own)


def _of_nothing(shop: Collection, parts: Sequence[Part]) -> _Found:
    """An empty collection still says what is no picture and no item."""
    for part in parts:
        if isinstance(part.source, str):
            shop.get(part.source)
        else:
            shop.search(part.source.data)
    return Results(notes=of_filter(shop.store, None)), None


def _direction(encoded: Sequence[Encoded], parts: Sequence[Part]) -> Vector:
    if len(parts) == 1 and parts[0].weight > 0:
        return encoded[0].vector
    try:
        rows = np.stack([one.vector for one in encoded])
        return mixed(rows, [part.weight for part in parts])
    except ValueError as error:
        raise Problem(422, "nothing-asked", str(error)) from error


async def _encoded(opened: Opened, part: Part) -> Encoded:
    shop, source = opened.collection, part.source
    if isinstance(source, Upload):
        return await opened.encoding.encode(source.data, crop=part.crop)
    item = await in_thread(shop.get, source)
    if part.crop is None:
        vector = (await in_thread(shop.vectors, [source]))[0]
        return Encoded(vector=vector, digest=item.digest, item=item)
    data = await in_thread(_bytes_of, shop, source)
    found = await opened.encoding.encode(data, crop=part.crop)
    return Encoded(vector=found.vector, digest=item.digest, item=item)


def _bytes_of(shop: Collection, item_id: str) -> bytes:
    place = shop.file_of(shop.get(item_id))
    if place is None:
        raise UnreadablePictureError(f"the picture of {item_id!r} is not kept, only its vector")
    return images.read(place, limits=shop.limits)


def _apart(
    shop: Collection, query: Encoded, category: str, asked: _Asked, own: Sequence[Item]
) -> _Found:
    """Search, and leave out the items that the query was made of, as ``Collection.search`` does."""
    wanted, ask = asked["k"], asked["k"] + len(own)
    ids = {item.id for item in own}
    groups = {item.group for item in own if item.group and asked["per_group"]}
    while True:
        found: CategorySearch | None = None
        # min_score comes last, so that the best of what it leaves out is known
        these = _Asked(**{**asked, "k": ask, "min_score": None})
        hits: Sequence[Hit]
        if category == "off":
            hits = shop.search(query, **these)
        else:
            found = search_within(shop, query, category=category, **these)
            hits = found.hits
        others = [h for h in hits if h.item.id not in ids and h.item.group not in groups]
        if len(others) >= wanted or len(hits) < ask:
            told = told_about(
                shop.store,
                others[:wanted],
                where=asked["where"],
                min_score=asked["min_score"],
                per_group=asked["per_group"],
                left_out=[*dict.fromkeys(item.id for item in own)],
            )
            return told, found
        ask *= 4


def _hits_json(
    service: Service,
    opened: Opened,
    hits: Sequence[Hit],
    judged: Judgement | None,
    options: Options,
) -> list[dict[str, Json]]:
    documents = hits_json(opened.collection, hits, judged)
    with_links(service, opened, [hit.item for hit in hits], documents)
    if options.fields is None:
        return documents
    return [_chosen(document, options.fields) for document in documents]


def with_links(
    service: Service, opened: Opened, items: Sequence[Item], documents: Sequence[dict[str, Json]]
) -> None:
    """Say in each item's document where its pictures are had from."""
    has_file = [document["path"] is not None for document in documents]
    keeps = not all(has_file) and kept_side(opened.collection.store) is not None
    for item, document, file in zip(items, documents, has_file, strict=True):
        for what, shown in (("thumbnail", file or keeps), ("picture", file)):
            link = item_address(item.id, f"/{what}", f"v={item.digest[:12]}")
            document[what] = f"{opened.address}{link}" if shown else None
        if not service.settings.show_paths:
            document["path"] = None


def _chosen(document: dict[str, Json], fields: Sequence[str]) -> dict[str, Json]:
    """The members of a hit that are wanted."""
    chosen = {name: document[name] for name in ("rank", "score", "id")}
    chosen |= {name: document[name] for name in fields if name in document}
    parts = {name.removeprefix("metadata.") for name in fields} - set(fields)
    metadata = document["metadata"]
    if parts and "metadata" not in chosen and isinstance(metadata, dict):
        chosen["metadata"] = {name: value for name, value in metadata.items() if name in parts}
    return chosen
