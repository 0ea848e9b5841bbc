"""Routes of collections: list, create, describe, delete; statistics and facets."""

from dataclasses import asdict
from functools import partial
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Query
from fastapi.responses import JSONResponse, Response
from pydantic import Field

from lookalike.collection import Collection
from lookalike.core.filters import to_condition
from lookalike.core.records import Json, Note
from lookalike.encoders import available_encoders
from lookalike.encoders.cards.finding import card_path, hint_to_get
from lookalike.encoders.qualities import QUALITIES
from lookalike.output.json_documents import notes_json, when
from lookalike.service import schemas
from lookalike.service.availability import Availability
from lookalike.service.collections import Opened
from lookalike.service.keys import Writes
from lookalike.service.problems import Problem, safe_problem
from lookalike.service.retry import RetryRoute
from lookalike.service.state import Served, Service, State, in_thread

__all__ = ["all_router", "one_router", "router"]

_TIMEOUT_S = 5.0  # to wait for a collection that may be unreachable

all_router = APIRouter(tags=["collections"])
one_router = APIRouter(tags=["collections"], route_class=RetryRoute)
router = APIRouter(tags=["collections"], route_class=RetryRoute)


@all_router.get(
    "/collections",
    responses={200: {"model": schemas.CollectionsResponse}},
    summary="List collections",
)
async def list_collections(service: State) -> JSONResponse:
    """A collection that is unavailable, because its server is unreachable for example, has an
    ``error``; its other members except ``name`` are null.
    """
    names = await in_thread(service.collections.names)
    states = await service.availability.of(names, timeout_s=_TIMEOUT_S)
    listed = [_summarise(one, plainly=not service.settings.show_paths) for one in states]
    return JSONResponse({"collections": listed, "default": service.collections.default()})


def _summarise(state: Availability, *, plainly: bool) -> dict[str, Json]:
    if state.document is not None:
        return {**state.document, "error": None}
    nothing: dict[str, Json] = dict.fromkeys(("items", "updated_at", "encoder", "words"))
    error: Json = None
    if state.error is not None:
        problem = safe_problem(state.error, plainly=plainly)
        error = {"code": problem.code, "detail": problem.detail}
    return {"name": state.name, **nothing, "error": error}


@all_router.post(
    "/collections",
    status_code=201,
    responses={201: {"model": schemas.CollectionResponse}},
    dependencies=[Writes],
    summary="Create a collection",
)
async def create_collection(new: schemas.NewCollection, service: State) -> JSONResponse:
    """Not possible where the service was started with chosen collections."""
    if new.encoder is not None and card_path(new.encoder) is None:
        known = ", ".join((*QUALITIES, *available_encoders()))
        unknown = f"there is no encoder {new.encoder!r}; available: {known}"
        raise Problem(422, "no-such-encoder", hint_to_get(new.encoder) or unknown)
    create = partial(service.collections.create, encoder=new.encoder, regions=new.regions)
    opened = await in_thread(create, new.name)
    return JSONResponse(await in_thread(_describe, service, opened), 201)


@one_router.get(
    "", responses={200: {"model": schemas.CollectionResponse}}, summary="Describe a collection"
)
async def get_collection(opened: Served, service: State) -> JSONResponse:
    return JSONResponse(await in_thread(_describe, service, opened))


def _describe(service: Service, opened: Opened) -> dict[str, Json]:
    info = opened.aside.info()
    shown = service.settings.show_paths
    roots: list[Json] = [
        {"name": root.name, "path": str(root.path) if shown else None} for root in info.roots
    ]
    return {
        "name": opened.name,
        "default": service.collections.default() == opened.name,
        "items": info.items,
        "missing": info.missing,
        "updated_at": when(info.updated_at),
        "encoder": info.encoder,
        "words": info.words,
        "store": info.store,
        "fingerprint": info.fingerprint,
        "dim": info.dim,
        "bytes": info.bytes,
        "ann_index_rows": info.ann_index_rows,
        "thumbnail_side": info.thumbnail_side,
        "thumbnails": info.thumbnails,
        "thumbnail_bytes": info.thumbnail_bytes,
        "roots": roots,
        "skipped": {**info.skipped},
        "declared": [*opened.collection.declared()],
    }


@one_router.delete("", status_code=204, dependencies=[Writes], summary="Delete a collection")
async def delete_collection(
    opened: Served,
    service: State,
    confirm: Annotated[
        str | None, Query(max_length=1000, description="The collection's name, repeated.")
    ] = None,
) -> Response:
    """Deletes everything that is stored in it; the indexed files stay.

    ``confirm`` makes sure that this is intended: clients and proxies can turn a request that
    removes an item into this one, if the item's id looks like a path step.
    """
    if confirm != opened.name:
        again = quote(opened.name, safe="")
        raise Problem(
            422,
            "not-confirmed",
            f"this deletes the whole collection {opened.name}; to confirm, add ?confirm={again}",
        )
    async with opened.writing:
        await in_thread(service.collections.delete, opened.name)
    return Response(status_code=204)


@router.get(
    "/stats",
    responses={200: {"model": schemas.StatsResponse}},
    summary="Count labels, groups and metadata fields",
)
async def stats(
    opened: Served,
    labels: Annotated[int, Query(ge=0, le=1000, description="Number of labels to return.")] = 20,
    fields: Annotated[bool, Query(description="Include the metadata fields.")] = True,  # noqa: FBT002 - HTTP's
) -> JSONResponse:
    """Counts are numbers of items. Scans all items."""
    said = await in_thread(lambda: opened.aside.describe(labels=labels, fields=fields))
    document: dict[str, Any] = asdict(said)
    if said.fields is None:
        del document["fields"]
    return JSONResponse(document)


@router.get(
    "/facets",
    responses={200: {"model": schemas.FacetsResponse}},
    summary="Count items by the values of fields",
)
async def facets(
    opened: Served,
    field: Annotated[
        list[Annotated[str, Field(min_length=1, max_length=200)]],
        Query(min_length=1, max_length=20, description="`label`, `group`, `price` …; repeatable."),
    ],
    where: Annotated[str | None, Query(max_length=4000, description="A filter.")] = None,
    limit: Annotated[
        int, Query(ge=1, le=1000, description="Number of values to return for each field.")
    ] = 100,
) -> JSONResponse:
    """The most frequent values come first. ``total`` items match the filter."""
    return JSONResponse(await in_thread(_read_facets, opened.aside, field, where, limit))


def _read_facets(
    shop: Collection, fields: list[str], where: str | None, limit: int
) -> dict[str, Json]:
    condition = to_condition(where)
    found: list[Json] = []
    notes: dict[str, Note] = {}
    for field in fields:
        counted = shop.facets(field, condition, limit=limit)
        values: list[Json] = [{"value": value, "count": count} for value, count in counted]
        distinct = shop.store.search.distinct(field, condition)
        found.append({"field": field, "distinct": distinct, "values": values})
        if not counted:
            notes |= {note.message: note for note in shop.notes(condition, field=field)}
    return {
        "total": shop.count(condition),
        "facets": found,
        "notes": notes_json(notes.values()),
    }
