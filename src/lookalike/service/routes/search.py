"""Routes of searching: by images, items and embeddings, with likes and dislikes."""

import asyncio
import time
from collections.abc import Sequence
from typing import Annotated, Any, TypeVar

import numpy as np
from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from lookalike.core.records import Json
from lookalike.core.vectors import Vector
from lookalike.errors import CollectionReplacedError, LookalikeError
from lookalike.search import ItemRef, Words, liked_and_disliked
from lookalike.search.directions import ONLY_LESS
from lookalike.service import schemas
from lookalike.service.problems import Problem, safe_problem, validate
from lookalike.service.retry import RetryRoute
from lookalike.service.schemas import ImageRef, Options, SearchRequest, UrlSearchOptions
from lookalike.service.search_documents import Part, search_document
from lookalike.service.state import ItemId, Served, Service, State
from lookalike.service.uploads import Body, Upload, decode_base64, parse_json_field, read_body

__all__ = ["QUERY_BODY", "parse_request", "read_parts", "router"]

_Request = TypeVar("_Request", bound=SearchRequest)
_AT_ONCE = 16  # queries of a batch at a time, to leave room for other requests

router = APIRouter(tags=["search"], route_class=RetryRoute)


# -- routes -------------------------------------------------------------------------------------

_IMAGE = {"type": "string", "format": "binary"}
QUERY_BODY = {
    "required": True,
    "content": {
        "application/json": {"schema": {"$ref": "#/components/schemas/SearchRequest"}},
        "multipart/form-data": {
            "schema": {
                "type": "object",
                "properties": {
                    "image": {"type": "array", "items": _IMAGE},
                    "parts": {"type": "string", "contentMediaType": "application/json"},
                },
                "description": "One image or several; other fields as in JSON. `parts` is JSON, "
                "in which `image` is the place of an uploaded image, from 0.",
            }
        },
        "image/*": {"schema": _IMAGE},
    },
}
_SEARCHED: dict[int | str, dict[str, Any]] = {200: {"model": schemas.SearchResponse}}


@router.post(
    "/search",
    responses=_SEARCHED,
    openapi_extra={"requestBody": QUERY_BODY},
    summary="Search by image or words",
)
async def search(
    request: Request, opened: Served, service: State, options: Annotated[UrlSearchOptions, Query()]
) -> JSONResponse:
    """Search by an uploaded image (raw, or in a form), base64, an item's id, words, or several.

    Options are query parameters; in a form or JSON they may be further fields.
    """
    began = time.perf_counter()
    body = await read_body(request, service.settings)
    wanted = parse_request(body, options, SearchRequest)
    parts = await read_parts(wanted, body.images, service)
    return JSONResponse(await search_document(service, opened, parts, wanted, began))


@router.post(
    "/search/batch",
    responses={200: {"model": schemas.BatchResponse}},
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {"schema": {"$ref": "#/components/schemas/BatchRequest"}},
                "multipart/form-data": QUERY_BODY["content"]["multipart/form-data"],  # type: ignore[index]
            },
        }
    },
    summary="Run several searches",
)
async def search_batch(
    request: Request, opened: Served, service: State, options: Annotated[UrlSearchOptions, Query()]
) -> JSONResponse:
    """Each query of a JSON list, or each image of a form, gets its own result or problem."""
    body = await read_body(request, service.settings)
    queries: list[tuple[SearchRequest, list[Upload]]]
    if body.document is not None:
        queries = [(one, []) for one in validate(schemas.BatchRequest, body.document).queries]
    else:
        wanted = parse_request(body, options, SearchRequest)
        if not body.images:
            raise Problem(422, "no-image", "send images, or JSON with queries")
        if len(body.images) > service.settings.max_queries:
            raise Problem(413, "too-many-parts", f"at most {service.settings.max_queries} queries")
        queries = [(wanted, [image]) for image in body.images]

    turn = asyncio.Semaphore(_AT_ONCE)

    async def one(wanted: SearchRequest, images: list[Upload]) -> dict[str, Json]:
        async with turn:
            return await run_one(wanted, images)

    async def run_one(wanted: SearchRequest, images: list[Upload]) -> dict[str, Json]:
        began = time.perf_counter()
        try:
            parts = await read_parts(wanted, images, service)
            return await search_document(service, opened, parts, wanted, began)
        except CollectionReplacedError:
            raise  # the whole batch is repeated
        except LookalikeError as error:
            return safe_problem(error, plainly=not service.settings.show_paths).document()
        except Problem as problem:
            return problem.document()

    found = await asyncio.gather(*(one(*query) for query in queries))
    return JSONResponse({"results": found})


@router.get(
    "/items/{id:path}/similar",
    responses=_SEARCHED,
    summary="Search by item",
)
async def similar(
    id: ItemId,
    opened: Served,
    service: State,
    options: Annotated[Options, Query()],
) -> JSONResponse:
    """Needs no encoding: the item's embedding is stored."""
    part = Part(source=ItemRef(id), crop=None, weight=1.0)
    return JSONResponse(
        await search_document(service, opened, [part], options, time.perf_counter())
    )


# -- query -------------------------------------------------------------------------------------


def parse_request(body: Body, options: BaseModel, schema: type[_Request]) -> _Request:
    """Return the query of any kind of body; options that it lacks come from the query string."""
    said: dict[str, Any] = options.model_dump(exclude_unset=True)
    if body.document is not None:
        said |= body.document
    for name, values in body.fields.items():
        listed = name in {"fields", "positive", "negative", "weights"}
        said[name] = values if listed else values[-1]
        if name == "parts":
            said[name] = parse_json_field(values[-1], name)
    wanted: _Request = validate(schema, said)
    return wanted


async def read_parts(
    wanted: SearchRequest, uploads: Sequence[Upload], service: Service
) -> list[Part]:
    """Return the parts of a query with their weights."""
    _check_images(wanted, uploads)
    given = [*_query_images(wanted, uploads)]
    words = [] if wanted.text is None else [Words(wanted.text)]
    if not given and not words and not wanted.positive and not wanted.parts:
        if wanted.negative:
            raise Problem(422, "nothing-asked", ONLY_LESS)
        raise Problem(
            422,
            "no-image",
            "send an image, or give id, image_base64, text, vector, parts or positive",
        )
    weights = wanted.weights or [wanted.weight or 1.0] * len(given)
    if len(weights) != len(given):
        raise Problem(422, "weights", f"{len(weights)} weights for {len(given)} images")
    parts = [
        Part(source=await _read_source(one, service), crop=wanted.crop, weight=weight)
        for one, weight in zip(given, weights, strict=True)
    ]
    alone = wanted.crop if not given else None  # which the search refuses: words have no parts
    parts += [Part(source=one, crop=alone, weight=1.0) for one in words]
    for one in wanted.parts:
        weight = 1.0 if one.weight is None else one.weight
        if not weight:
            raise Problem(422, "weights", "a part with weight 0 has no effect; leave it out")
        named = one if one.image is None else uploads[one.image]
        parts.append(Part(source=await _read_source(named, service), crop=one.crop, weight=weight))
    shares = liked_and_disliked(len(wanted.positive), len(wanted.negative), alone=not parts)
    for refs, sign, share in zip((wanted.positive, wanted.negative), (1, -1), shares, strict=True):
        for ref in refs:
            if isinstance(ref, str):
                parts.append(Part(source=ItemRef(ref), crop=None, weight=share))
            else:
                weight = share if ref.weight is None else sign * ref.weight
                source = await _read_source(ref, service)
                parts.append(Part(source=source, crop=ref.crop, weight=weight))
    return parts


def _check_images(wanted: SearchRequest, uploads: Sequence[Upload]) -> None:
    """Raise ``Problem`` unless each uploaded image is used once, where parts name any of them."""
    named = [part.image for part in wanted.parts if part.image is not None]
    if named and max(named) >= len(uploads):
        raise Problem(
            422,
            "no-image",
            f"a part names image {max(named)}, but {len(uploads)} were sent (counted from 0)",
        )
    unused = sorted({*range(len(uploads))} - {*named})
    if named and unused:
        raise Problem(
            422,
            "two-queries",
            f"parts name some of the images that were sent, but not image {unused[0]}",
        )
    if named and (wanted.weights or wanted.weight):
        raise Problem(422, "weights", "parts name the images that were sent; weights belong there")


def _query_images(wanted: SearchRequest, uploads: Sequence[Upload]) -> list[ImageRef | Upload]:
    """Return the images that no part names."""
    named = set(wanted.sources()) - {"text"}
    if named and (uploads or wanted.parts):
        raise Problem(
            422,
            "two-queries",
            "an image was sent and another one is named; give one of them, or both in parts",
        )
    if wanted.text and wanted.parts:
        raise Problem(422, "two-queries", "where there are parts, text is one of them")
    if any(part.image is not None for part in wanted.parts):
        return []
    return [*uploads] if uploads else [wanted] if named else []


async def _read_source(
    ref: ImageRef | Upload, service: Service
) -> Upload | ItemRef | Words | Vector:
    if isinstance(ref, Upload):
        return ref
    if ref.id is not None:
        return ItemRef(ref.id)
    if ref.vector is not None:
        return np.array(ref.vector, dtype=np.float32)
    if ref.image_base64 is not None:
        return decode_base64(ref.image_base64, service.settings)
    if ref.image_url is None:
        return Words(ref.text or "")
    from lookalike.service.url_fetching import fetch_image  # noqa: PLC0415 - few services allow it

    return await fetch_image(ref.image_url, service.settings)
