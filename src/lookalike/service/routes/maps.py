"""The route of a collection's map."""

from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import JSONResponse

from lookalike.analysis.mapping import map_collection
from lookalike.output.map_file import map_json
from lookalike.service import schemas
from lookalike.service.retry import RetryRoute
from lookalike.service.state import Served, State, in_thread

__all__ = ["router"]

router = APIRouter(tags=["collections"], route_class=RetryRoute)


@router.get("/map", responses={200: {"model": schemas.MapResponse}}, summary="Map a collection")
async def get_map(
    opened: Served,
    service: State,
    asked: Annotated[schemas.MapRequest, Query()],
) -> JSONResponse:
    """Positions of items in two dimensions, with named clusters, outliers and near-identical items.

    Computed on request, which takes seconds for thousands of items; one map at a time.
    """
    async with service.mapping:
        found = await in_thread(lambda: map_collection(opened.aside, **asked.model_dump()))
    return JSONResponse(map_json(found))
