"""Searching: a picture, an item, or several of both with what is liked and disliked."""

import asyncio
import time
from collections.abc import Sequence
from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse

from lookalike.core.records import Json
from lookalike.core.vectors import Vector
from lookalike.errors import CollectionReplacedError, LookalikeError
from lookalike.search import liked_and_disliked
from lookalike.service import schemas
from lookalike.service.problems import Problem, safe_problem, validate
from lookalike.service.retry import RetryRoute
from lookalike.service.schemas import ImageRef, Options, SearchOptions, SearchRequest
from lookalike.service.search_documents import Part, search_document
from lookalike.service.state import ItemId, Served, Service, State
from lookalike.service.uploads import Body, Upload, decode_base64, read_body

__all__ = ["router"]

_AT_ONCE = 16  # queries of a batch in work: the rest leaves room for other requests

router = APIRouter(tags=["search"], route_class=RetryRoute)


# -- routes -------------------------------------------------------------------------------------

_PICTURE = {"type": "string", "format": "binary"}
_BODY = {
    "required": True,
    "content": {
        "application/json": {"schema": {"$ref": "#/components/schemas/SearchRequest"}},
        "multipart/form-data": {
            "schema": {
                "type": "object",
                "properties": {"image": {"type": "array", "items": _PICTURE}},
                "description": "One picture or several; other fields as in JSON.",
            }
        },
        "image/*": {"schema": _PICTURE},
    },
}
_SEARCHED: dict[int | str, dict[str, Any]] = {200: {"model": schemas.SearchResponse}}


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
    return JSONResponse(await search_document(service, opened, parts, wanted, began))


@router.post(
    "/search/batch",
    responses={200: {"model": schemas.BatchResponse}},
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
        queries = [(one, []) for one in validate(schemas.BatchRequest, body.document).queries]
    else:
        wanted = _request(body, options)
        if not body.pictures:
            raise Problem(422, "no-image", "send pictures, or JSON with queries")
        if len(body.pictures) > service.settings.max_queries:
            raise Problem(413, "too-many-parts", f"at most {service.settings.max_queries} queries")
        queries = [(wanted, [picture]) for picture in body.pictures]

    turn = asyncio.Semaphore(_AT_ONCE)

    async def one(wanted: SearchRequest, pictures: list[Upload]) -> dict[str, Json]:
        async with turn:
            return await alone(wanted, pictures)

    async def alone(wanted: SearchRequest, pictures: list[Upload]) -> dict[str, Json]:
        began = time.perf_counter()
        try:
            parts = await _parts(wanted, pictures, service)
            return await search_document(service, opened, parts, wanted, began)
        except CollectionReplacedError:
            raise  # all are asked again
        except LookalikeError as error:
            return safe_problem(error, plainly=not service.settings.show_paths).document()
        except Problem as problem:
            return problem.document()

    found = await asyncio.gather(*(one(*query) for query in queries))
    return JSONResponse({"results": found})


@router.get(
    "/items/{id:path}/similar",
    responses=_SEARCHED,
    summary="What looks like an item",
)
async def similar(
    id: ItemId,
    opened: Served,
    service: State,
    options: Annotated[Options, Query()],
) -> JSONResponse:
    """Needs no network: the item's vector is stored."""
    part = Part(source=id, crop=None, weight=1.0)
    return JSONResponse(
        await search_document(service, opened, [part], options, time.perf_counter())
    )


# -- what is asked ------------------------------------------------------------------------------


def _request(body: Body, options: Options) -> SearchRequest:
    """The query of any form of body, with the options of the query string where it says nothing."""
    said: dict[str, Any] = options.model_dump(exclude_unset=True)
    if body.document is not None:
        said |= body.document
    for name, values in body.fields.items():
        listed = name in {"fields", "positive", "negative", "weights"}
        said[name] = values if listed else values[-1]
    wanted: SearchRequest = validate(SearchRequest, said)
    return wanted


async def _parts(wanted: SearchRequest, uploads: Sequence[Upload], service: Service) -> list[Part]:
    """Return the parts of a query with their weights."""
    asked = [*_asked(wanted, uploads)]
    if not asked and not wanted.positive and not wanted.parts:
        raise Problem(
            422, "no-image", "send a picture, or give id, image_base64, vector, parts or positive"
        )
    weights = wanted.weights or [wanted.weight or 1.0] * len(asked)
    if len(weights) != len(asked):
        raise Problem(422, "weights", f"{len(weights)} weights for {len(asked)} pictures")
    parts = [
        Part(source=await _source(one, service), crop=wanted.crop, weight=weight)
        for one, weight in zip(asked, weights, strict=True)
    ]
    for one in wanted.parts:
        weight = 1.0 if one.weight is None else one.weight
        if not weight:
            raise Problem(422, "weights", "a part with weight 0 asks for nothing; leave it out")
        parts.append(Part(source=await _source(one, service), crop=one.crop, weight=weight))
    shares = liked_and_disliked(len(wanted.positive), len(wanted.negative), alone=not parts)
    for refs, sign, share in zip((wanted.positive, wanted.negative), (1, -1), shares, strict=True):
        for ref in refs:
            if isinstance(ref, str):
                parts.append(Part(source=ref, crop=None, weight=share))
            else:
                weight = share if ref.weight is None else sign * ref.weight
                source = await _source(ref, service)
                parts.append(Part(source=source, crop=ref.crop, weight=weight))
    return parts


def _asked(wanted: SearchRequest, uploads: Sequence[Upload]) -> list[ImageRef | Upload]:
    if bool(wanted.sources()) + bool(uploads) + bool(wanted.parts) > 1:
        raise Problem(422, "two-queries", "a picture was sent and another one is named; give one")
    return [*uploads] if uploads else [wanted] if wanted.sources() else []


async def _source(ref: ImageRef | Upload, service: Service) -> Upload | str | Vector:
    if isinstance(ref, Upload):
        return ref
    if ref.id is not None:
        return ref.id
    if ref.vector is not None:
        return np.array(ref.vector, dtype=np.float32)
    if ref.image_base64 is not None:
        return decode_base64(ref.image_base64, service.settings)
    from lookalike.service.url_fetching import fetch_image  # noqa: PLC0415 - few services allow it

    return await fetch_image(ref.image_url or "", service.settings)
