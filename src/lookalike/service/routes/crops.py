"""Routes of proposed crops: parts of an image, or of an item, to search with."""

import time
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse

from lookalike.images.cropping import Box
from lookalike.search import ItemRef
from lookalike.service import schemas
from lookalike.service.collections import Opened
from lookalike.service.problems import Problem, validate
from lookalike.service.retry import RetryRoute
from lookalike.service.state import ItemId, Served, Service, State
from lookalike.service.uploads import Upload, decode_base64, read_body

if TYPE_CHECKING:
    from lookalike.core.records import Json

__all__ = ["router"]

router = APIRouter(tags=["search"], route_class=RetryRoute)

Count = Annotated[int, Query(ge=1, le=100, description="How many crops to propose, at most.")]

_IMAGE = {"type": "string", "format": "binary"}
_BODY = {
    "required": True,
    "content": {
        "application/json": {"schema": {"$ref": "#/components/schemas/CropsRequest"}},
        "multipart/form-data": {"schema": {"type": "object", "properties": {"image": _IMAGE}}},
        "image/*": {"schema": _IMAGE},
    },
}
_PROPOSED: dict[int | str, dict[str, Any]] = {200: {"model": schemas.CropsResponse}}


@router.post(
    "/crops",
    responses=_PROPOSED,
    openapi_extra={"requestBody": _BODY},
    summary="Propose crops of an image",
)
async def propose_crops(
    request: Request, opened: Served, service: State, count: Count = 4
) -> JSONResponse:
    """Parts of an uploaded image (raw, or in a form), base64 or an item that stand out, the most
    salient first.

    A search accepts each as `crop`; `crop=auto` is the first.
    """
    began = time.perf_counter()
    body = await read_body(request, service.settings)
    wanted = validate(schemas.CropsRequest, body.document or {})
    source = await _read_source(wanted, body.images, service)
    found = await opened.encoding.propose_crops(source, count=wanted.count or count)
    return _make_response(opened, source, found, began)


@router.get("/items/{id:path}/crops", responses=_PROPOSED, summary="Propose crops of an item")
async def propose_item_crops(id: ItemId, opened: Served, count: Count = 4) -> JSONResponse:
    """Parts of an item's image that stand out, the most salient first. Needs its file."""
    began = time.perf_counter()
    source = ItemRef(id)
    found = await opened.encoding.propose_crops(source, count=count)
    return _make_response(opened, source, found, began)


def _make_response(
    opened: Opened, source: bytes | ItemRef, found: list[Box], began: float
) -> JSONResponse:
    opened.confirm()
    crops: list[Json] = [[round(side, 4) for side in box] for box in found]
    query: Json = {"id": source.id} if isinstance(source, ItemRef) else {"path": None}
    return JSONResponse({"query": query, "seconds": time.perf_counter() - began, "crops": crops})


async def _read_source(
    wanted: schemas.CropsRequest, uploads: list[Upload], service: Service
) -> bytes | ItemRef:
    given = len(uploads) + len(wanted.sources())
    if given != 1:
        code = "two-queries" if given else "no-image"
        raise Problem(422, code, "send one image, or give id, image_base64 or image_url")
    if uploads:
        return uploads[0].data
    if wanted.id is not None:
        return ItemRef(wanted.id)
    if wanted.image_base64 is not None:
        return decode_base64(wanted.image_base64, service.settings).data
    from lookalike.service.url_fetching import fetch_image  # noqa: PLC0415 - few services allow it

    return (await fetch_image(wanted.image_url or "", service.settings)).data
