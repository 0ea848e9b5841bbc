"""Routes of explanations: which regions make a query and an item alike, as numbers or as PNG."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse, Response

from lookalike.collection import Collection
from lookalike.core.records import Item
from lookalike.search import ItemRef
from lookalike.search import Query as SearchQuery
from lookalike.search.explaining import explain, read_item
from lookalike.search.query import QueryPart
from lookalike.service import schemas
from lookalike.service.collections import Opened
from lookalike.service.problems import Problem, validate
from lookalike.service.retry import RetryRoute
from lookalike.service.routes.images import ALONE, find_file
from lookalike.service.routes.search import QUERY_BODY, parse_request, read_parts
from lookalike.service.schemas import ExplainItemOptions, ExplainRequest
from lookalike.service.search_documents import Part
from lookalike.service.state import ItemId, Served, State
from lookalike.service.uploads import Upload, read_body

__all__ = ["router"]

_PNG = "image/png"
_FORMATS = {"application/json": "json", _PNG: "png", "image/*": "png"}
_EXPLAINED: dict[int | str, dict[str, Any]] = {
    200: {
        "model": schemas.ExplanationResponse,
        "content": {_PNG: {"schema": {"type": "string", "format": "binary"}}},
    }
}
_BODY = {
    **QUERY_BODY,
    "content": {
        **QUERY_BODY["content"],  # type: ignore[dict-item]
        "application/json": {"schema": {"$ref": "#/components/schemas/ExplainRequest"}},
    },
}

router = APIRouter(tags=["search"], route_class=RetryRoute)


@router.get("/items/{id:path}/explain", responses=_EXPLAINED, summary="Explain two items")
async def explain_items(
    request: Request, id: ItemId, opened: Served, options: Annotated[ExplainItemOptions, Query()]
) -> Response:
    """Which regions make the item and another one alike, and what each adds to the score."""
    said = options.model_dump(exclude_unset=True)
    wanted = validate(ExplainRequest, {"id": said.pop("query"), **said})
    part = Part(source=ItemRef(options.query), crop=wanted.crop, weight=1.0)
    return await _respond(request, opened, [part], id, wanted)


@router.post(
    "/items/{id:path}/explain",
    responses=_EXPLAINED,
    openapi_extra={"requestBody": _BODY},
    summary="Explain a query and an item",
)
async def explain_query(
    request: Request,
    id: ItemId,
    opened: Served,
    service: State,
    options: Annotated[schemas.UrlExplainOptions, Query()],
) -> Response:
    """Which regions make a query and the item alike. The body is that of a search."""
    body = await read_body(request, service.settings)
    wanted = parse_request(body, options, ExplainRequest)
    parts = await read_parts(wanted, body.images, service)
    return await _respond(request, opened, parts, id, wanted)


async def _respond(
    request: Request, opened: Opened, parts: Sequence[Part], item_id: str, options: ExplainRequest
) -> Response:
    """Return the explanation in the format that is wanted."""
    query = SearchQuery(tuple(_as_part(part) for part in parts))
    read = partial(read_item, locate=_locate)
    kind = options.format or _preferred(request.headers.get("accept", ""))

    def work() -> Response:
        try:
            found = explain(
                opened.collection,
                query,
                item_id,
                method=options.method,
                any_orientation=options.any_orientation,
                read=read,
            )
        except ValueError as error:  # parts that cancel out, a vector of another length
            raise Problem(422, "nothing-asked", str(error)) from error
        opened.confirm()
        headers = {"Vary": "Accept"}
        if kind == "json":
            return JSONResponse(found.to_json(), headers=headers)
        headers["Content-Security-Policy"] = ALONE
        return Response(found.encode(side=options.side), media_type=_PNG, headers=headers)

    return await opened.encoding.run(work)


def _as_part(part: Part) -> QueryPart:
    source = part.source
    return QueryPart(
        source=source.data if isinstance(source, Upload) else source,
        crop=part.crop,
        weight=part.weight,
    )


def _locate(shop: Collection, item: Item) -> Path:
    return find_file(shop, item).place


def _preferred(accept: str) -> str:
    """Return the first format that an ``Accept`` header names; JSON where it names none."""
    ranges = (one.partition(";")[0].strip().lower() for one in accept.split(","))
    return next((_FORMATS[one] for one in ranges if one in _FORMATS), "json")
