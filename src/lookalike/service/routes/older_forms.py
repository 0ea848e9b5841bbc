"""The request forms of older systems, so that their clients keep working."""

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


def _describe_form(*fields: str) -> dict[str, Any]:
    properties: dict[str, Any] = {"image": {"type": "string", "format": "binary"}}
    properties |= {name: {"type": "string"} for name in fields}
    schema = {"type": "object", "properties": properties, "required": ["image"]}
    return {
        "requestBody": {"required": True, "content": {"multipart/form-data": {"schema": schema}}}
    }


def _make_part(body: Body) -> Part:
    if len(body.images) != 1:
        raise Problem(422, "no-image", "send one image, in the field image")
    return Part(source=body.images[0], crop=None, weight=1.0)


@router.post("/image_query", openapi_extra=_describe_form(), summary="Older form: hits as a list")
async def image_query(
    request: Request,
    opened: Served,
    service: State,
    size: Annotated[int, Query(ge=1, le=_MOST, description="How many results to return.")] = 10,
) -> JSONResponse:
    """Takes a form with ``image``; returns hits in the form of Elasticsearch's ``hits.hits``."""
    body = await read_body(request, service.settings)
    part = _make_part(body)
    document = await search_document(service, opened, [part], Options(k=size), time.perf_counter())
    return JSONResponse(engine_hits_json(_read_hits(document), name="image_path"))


@router.post("/images/search", include_in_schema=False)
@router.post(
    "/images/search/",
    openapi_extra=_describe_form("label_id"),
    summary="Older form: search within a label",
)
async def images_search(request: Request, opened: Served, service: State) -> JSONResponse:
    """Takes a form with ``image`` and optionally ``label_id``; 404 if no item has this label."""
    body = await read_body(request, service.settings)
    part = _make_part(body)
    label = (body.fields.get("label_id") or [""])[-1] or None
    if label is not None and not await _has_label(opened, label):
        known = await in_thread(lambda: opened.collection.facets("label", limit=1000))
        near = did_you_mean(label, (str(one) for one, _ in known))
        raise Problem(404, "no-such-label", f"no item has the label {label!r}{near}")
    document = await search_document(
        service, opened, [part], Options(label=label), time.perf_counter()
    )
    took_ms = float(str(document["seconds"])) * 1000
    return JSONResponse(engine_response_json(_read_hits(document), took_ms=took_ms))


async def _has_label(opened: Served, label: str) -> bool:
    has_it = Compare("label", "=", Value.of(label))
    return await in_thread(opened.collection.count, has_it) > 0


def _read_hits(document: dict[str, Json]) -> list[dict[str, Any]]:
    hits = document["hits"]
    return [hit for hit in hits if isinstance(hit, dict)] if isinstance(hits, list) else []
