"""The request forms of older systems, answered from a collection, so that their clients work on."""

import time
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse

from lookalike.compat.engine_json import engine_hits_json, engine_response_json
from lookalike.core.filters import Compare, Value
from lookalike.core.records import Json
from lookalike.core.suggestions import did_you_mean
from lookalike.service.problems import Problem
from lookalike.service.retry import RetryRoute
from lookalike.service.schemas import Options
from lookalike.service.search_documents import Part, search_document
from lookalike.service.state import Served, State, in_thread
from lookalike.service.uploads import Body, read_body

__all__ = ["router"]

router = APIRouter(tags=["older forms"], route_class=RetryRoute)

_MOST = 50


def _form(*fields: str) -> dict[str, Any]:
    properties: dict[str, Any] = {"image": {"type": "string", "format": "binary"}}
    properties |= {name: {"type": "string"} for name in fields}
    schema = {"type": "object", "properties": properties, "required": ["image"]}
    return {
        "requestBody": {"required": True, "content": {"multipart/form-data": {"schema": schema}}}
    }


def _picture(body: Body) -> Part:
    if len(body.pictures) != 1:
        raise Problem(422, "no-image", "send one image, in the field image")
    return Part(source=body.pictures[0], crop=None, weight=1.0)


@router.post("/image_query", openapi_extra=_form(), summary="Seed form: the hits as a list")
async def image_query(
    request: Request,
    opened: Served,
    service: State,
    size: Annotated[int, Query(ge=1, le=_MOST, description="How many answers.")] = 10,
) -> JSONResponse:
    """A form with ``image``; answers what used to be the engine's ``hits.hits``."""
    body = await read_body(request, service.settings)
    part = _picture(body)
    answer = await search_document(service, opened, [part], Options(k=size), time.perf_counter())
    return JSONResponse(engine_hits_json(_hits(answer), name="image_path"))


@router.post("/images/search", include_in_schema=False)
@router.post(
    "/images/search/", openapi_extra=_form("label_id"), summary="Seed form: within a label"
)
async def images_search(request: Request, opened: Served, service: State) -> JSONResponse:
    """A form with ``image`` and perhaps ``label_id``; 404 for a label that no item has."""
    body = await read_body(request, service.settings)
    part = _picture(body)
    label = (body.fields.get("label_id") or [""])[-1] or None
    if label is not None and not await _occurs(opened, label):
        known = await in_thread(lambda: opened.collection.facets("label", limit=1000))
        near = did_you_mean(label, (str(one) for one, _ in known))
        raise Problem(404, "no-such-label", f"no item has the label {label!r}{near}")
    answer = await search_document(
        service, opened, [part], Options(label=label), time.perf_counter()
    )
    took_ms = float(str(answer["seconds"])) * 1000
    return JSONResponse(engine_response_json(_hits(answer), took_ms=took_ms))


async def _occurs(opened: Served, label: str) -> bool:
    has_it = Compare("label", "=", Value.of(label))
    return await in_thread(opened.collection.count, has_it) > 0


def _hits(answer: dict[str, Json]) -> list[dict[str, Any]]:
    hits = answer["hits"]
    return [hit for hit in hits if isinstance(hit, dict)] if isinstance(hits, list) else []
