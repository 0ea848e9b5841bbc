"""Searching: a picture, an item, or several of both with what is liked and disliked."""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, TypedDict
from urllib.parse import quote

import numpy as np
from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse

from lookalike import images
from lookalike.categories import CategorySearch
from lookalike.categories import search as search_within
from lookalike.collection import Collection, Encoded
from lookalike.documents import hits_json, search_json
from lookalike.errors import LookalikeError, UnreadablePictureError
from lookalike.filters import And, Compare, Condition, Value, parse
from lookalike.images import Box
from lookalike.records import Hit, Item, Json
from lookalike.service import schemas
from lookalike.service.collections import Opened
from lookalike.service.problems import Problem, checked, problem_of
from lookalike.service.schemas import Options, PictureRef, SearchOptions, SearchRequest
from lookalike.service.state import ItemId, Served, Service, State, in_thread
from lookalike.service.uploads import Body, Upload, decoded, read_body
from lookalike.vectors import mixed

__all__ = ["router", "searched", "with_links"]

# Rocchio's weights as Manning, Raghavan and Schütze give them (Introduction to Information
# Retrieval, 2008, 9.1.1), each shared out among the pictures of its kind.
_LIKED = 0.75
_DISLIKED = 0.25

router = APIRouter(tags=["search"])


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


# -- routes -------------------------------------------------------------------------------------

_PICTURE = {"type": "string", "format": "binary"}
_BODY = {
    "required": True,
    "content": {
        "application/json": {"schema": {"$ref": "#/components/schemas/SearchRequest"}},
        "multipart/form-data": {
            "schema": {
                "type": "object",
                "properties": {"picture": {"type": "array", "items": _PICTURE}},
                "description": "One picture or several; other fields as in JSON.",
            }
        },
        "image/*": {"schema": _PICTURE},
    },
}
_SEARCHED: dict[int | str, dict[str, Any]] = {200: {"model": schemas.SearchAnswer}}


@router.post(
    "/search",
    responses=_SEARCHED,
    openapi_extra={"requestBody": _BODY},
    summary="What looks like a picture",
)
async def search(
    request: Request, opened: Served, service: State, options: Annotated[SearchOptions, Query()]
) -> JSONResponse:
    """Search by an uploaded picture (as it is, or in a form), base64, an item's id, or several.

    Options stand in the query string; in a form or JSON they may stand beside the picture.
    """
    began = time.perf_counter()
    body = await read_body(request, service.settings)
    wanted = _request(body, options)
    parts = await _parts(wanted, body.pictures, service)
    return JSONResponse(await searched(service, opened, parts, wanted, began))


@router.post(
    "/search/batch",
    responses={200: {"model": schemas.BatchAnswer}},
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {"schema": {"$ref": "#/components/schemas/BatchRequest"}},
                "multipart/form-data": _BODY["content"]["multipart/form-data"],  # type: ignore[index]
            },
        }
    },
    summary="Several searches at once",
)
async def search_batch(
    request: Request, opened: Served, service: State, options: Annotated[SearchOptions, Query()]
) -> JSONResponse:
    """Each query of a JSON list, or each picture of a form, has its own answer, or problem."""
    body = await read_body(request, service.settings)
    queries: list[tuple[SearchRequest, list[Upload]]]
    if body.document is not None:
        queries = [(one, []) for one in checked(schemas.BatchRequest, body.document).queries]
    else:
        wanted = _request(body, options)
        if not body.pictures:
            raise Problem(422, "no-picture", "send pictures, or JSON with queries")
        if len(body.pictures) > service.settings.max_queries:
            raise Problem(413, "too-many-parts", f"at most {service.settings.max_queries} queries")
        queries = [(wanted, [picture]) for picture in body.pictures]

    async def one(wanted: SearchRequest, pictures: list[Upload]) -> dict[str, Json]:
        began = time.perf_counter()
        try:
            parts = await _parts(wanted, pictures, service)
            return await searched(service, opened, parts, wanted, began)
        except LookalikeError as error:
            return problem_of(error).document()
        except Problem as problem:
            return problem.document()

    found = await asyncio.gather(*(one(*query) for query in queries))
    return JSONResponse({"answers": found})


@router.get(
    "/items/{id:path}/similar",
    responses=_SEARCHED,
    summary="What looks like an item",
)
async def similar(
    id: ItemId,  # noqa: A002 - the word everywhere
    opened: Served,
    service: State,
    options: Annotated[Options, Query()],
) -> JSONResponse:
    """Needs no network: the item's vector is stored."""
    part = Part(source=id, crop=None, weight=1.0)
    return JSONResponse(await searched(service, opened, [part], options, time.perf_counter()))


# -- what is asked ------------------------------------------------------------------------------


def _request(body: Body, options: Options) -> SearchRequest:
    """The query of any form of body, with the options of the query string where it says nothing."""
    said: dict[str, Any] = options.model_dump(exclude_unset=True)
    if body.document is not None:
        said |= body.document
    for name, values in body.fields.items():
        listed = name in {"fields", "positive", "negative", "weights"}
        said[name] = values if listed else values[-1]
    wanted: SearchRequest = checked(SearchRequest, said)
    return wanted


async def _parts(wanted: SearchRequest, uploads: Sequence[Upload], service: Service) -> list[Part]:
    """The pictures of a query with their weights."""
    asked = [*_asked(wanted, uploads)]
    if not asked and not wanted.positive:
        raise Problem(422, "no-picture", "send a picture, or give id, image_base64 or positive")
    weights = wanted.weights or [wanted.weight or 1.0] * len(asked)
    if len(weights) != len(asked):
        raise Problem(422, "weights", f"{len(weights)} weights for {len(asked)} pictures")
    parts = [
        Part(source=await _source(one, service), crop=wanted.crop, weight=weight)
        for one, weight in zip(asked, weights, strict=True)
    ]
    for refs, sign, whole in ((wanted.positive, 1.0, _LIKED), (wanted.negative, -1.0, _DISLIKED)):
        share = (whole if parts or sign < 0 else 1.0) / max(len(refs), 1)
        for ref in refs:
            if isinstance(ref, str):
                parts.append(Part(source=ref, crop=None, weight=sign * share))
            else:
                source = await _source(ref, service)
                weight = sign * (share if ref.weight is None else ref.weight)
                parts.append(Part(source=source, crop=ref.crop, weight=weight))
    return parts


def _asked(wanted: SearchRequest, uploads: Sequence[Upload]) -> list[PictureRef | Upload]:
    if wanted.sources() and uploads:
        raise Problem(422, "two-queries", "a picture was sent and another one is named; give one")
    return [*uploads] if uploads else [wanted] if wanted.sources() else []


async def _source(ref: PictureRef | Upload, service: Service) -> Upload | str:
    if isinstance(ref, Upload):
        return ref
    if ref.id is not None:
        return ref.id
    if ref.image_base64 is not None:
        return decoded(ref.image_base64, service.settings)
    from lookalike.service.remote import fetched  # noqa: PLC0415 - few services allow it

    return await fetched(ref.image_url or "", service.settings)


# -- the answer ---------------------------------------------------------------------------------


async def searched(
    service: Service,
    opened: Opened,
    parts: Sequence[Part],
    options: Options,
    began: float,
) -> dict[str, Json]:
    """The whole answer to a query. Raises ``Problem`` and what ``Collection.search`` raises."""
    shop = opened.collection
    asked = _Asked(
        k=options.k,
        min_score=options.min_score,
        where=_condition(options),
        per_group=options.per_group,
        collapse=options.collapse,
        exact=options.exact,
    )
    category: CategorySearch | None = None
    if shop.store.bound() is None:
        hits = await in_thread(_of_nothing, shop, parts)
    else:
        (first, *others) = parts
        plain = not others and options.category == "off"
        if plain and isinstance(first.source, str) and first.crop is None:
            source, itself = first.source, options.include_self
            hits = await in_thread(lambda: shop.similar(source, include_self=itself, **asked))
        else:
            hits, category = await _by_vector(opened, parts, options, asked)
    documents = await in_thread(_hits_json, service, opened, hits, options)
    told: dict[str, Json] = parts[0].told() if len(parts) == 1 else {"pictures": _told(parts)}
    return search_json(
        query=told,
        took_ms=(time.perf_counter() - began) * 1000,
        collection=opened.document(),
        hits=documents,
        category=category,
    )


def _told(parts: Sequence[Part]) -> list[Json]:
    return [part.told() | {"weight": round(part.weight, 6)} for part in parts]


def _condition(options: Options) -> Condition | None:
    conditions: list[Condition] = []
    if options.where and options.where.strip():
        conditions.append(parse(options.where))
    if options.label is not None:
        conditions.append(Compare("label", "=", Value.of(options.label)))
    return conditions[0] if len(conditions) == 1 else And(tuple(conditions)) if conditions else None


def _of_nothing(shop: Collection, parts: Sequence[Part]) -> list[Hit]:
    """An empty collection still says what is no picture and no item."""
    for part in parts:
        if isinstance(part.source, str):
            shop.get(part.source)
        else:
            shop.search(part.source.data)
    return []


async def _by_vector(
    opened: Opened, parts: Sequence[Part], options: Options, asked: _Asked
) -> tuple[list[Hit], CategorySearch | None]:
    encoded = await asyncio.gather(*(_encoded(opened, part) for part in parts))
    query = encoded[0]
    if len(parts) > 1 or parts[0].weight < 0:
        try:
            rows = np.stack([one.vector for one in encoded])
            query = Encoded(vector=mixed(rows, [part.weight for part in parts]))
        except ValueError as error:
            raise Problem(422, "nothing-asked", str(error)) from error
    left_out = () if options.include_self else [_itself(one, options) for one in encoded]
    bare = Encoded(vector=query.vector)
    return await in_thread(_apart, opened.collection, bare, options.category, asked, left_out)


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


def _itself(query: Encoded, options: Options) -> Callable[[Item], bool]:
    """Says of an item whether it is what the query was made of, as ``Collection.search`` has it."""
    itself, digest = query.item, query.digest

    def is_query(item: Item) -> bool:
        if itself is None:
            return item.digest == digest
        grouped = options.per_group and itself.group
        return item.id == itself.id or bool(grouped and item.group == itself.group)

    return is_query


def _apart(
    shop: Collection,
    query: Encoded,
    category: str,
    asked: _Asked,
    left_out: Sequence[Callable[[Item], bool]],
) -> tuple[list[Hit], CategorySearch | None]:
    """Search, and leave out what the query was made of."""
    wanted, ask = asked["k"], asked["k"] + len(left_out)
    while True:
        found: CategorySearch | None = None
        these = _Asked(**{**asked, "k": ask})
        if category == "off":
            hits = shop.search(query, **these)
        else:
            found = search_within(shop, query, category=category, **these)
            hits = list(found.hits)
        others = [hit for hit in hits if not any(is_query(hit.item) for is_query in left_out)]
        if len(others) >= wanted or len(hits) < ask:
            return others[:wanted], found
        ask *= 4


def _hits_json(
    service: Service, opened: Opened, hits: Sequence[Hit], options: Options
) -> list[dict[str, Json]]:
    documents = hits_json(opened.collection, hits)
    for hit, document in zip(hits, documents, strict=True):
        with_links(service, opened, hit.item.digest, document)
    if options.fields is None:
        return documents
    return [_chosen(document, options.fields) for document in documents]


def with_links(
    service: Service, opened: Opened, digest: str, document: dict[str, Json]
) -> dict[str, Json]:
    """An item's document with where its pictures are had from."""
    address = f"{opened.address}/items/{quote(str(document['id']), safe='')}"
    for what in ("thumbnail", "picture"):
        has_file = document["path"] is not None
        document[what] = f"{address}/{what}?v={digest[:12]}" if has_file else None
    if not service.settings.show_paths:
        document["path"] = None
    return document


def _chosen(document: dict[str, Json], fields: Sequence[str]) -> dict[str, Json]:
    """The members of a hit that are wanted."""
    chosen = {name: document[name] for name in ("rank", "score", "id")}
    chosen |= {name: document[name] for name in fields if name in document}
    parts = {name.removeprefix("metadata.") for name in fields} - set(fields)
    metadata = document["metadata"]
    if parts and "metadata" not in chosen and isinstance(metadata, dict):
        chosen["metadata"] = {name: value for name, value in metadata.items() if name in parts}
    return chosen
