"""Routes of items: list, get, add, replace, edit, remove."""

from collections.abc import Sequence
from functools import partial
from itertools import islice
from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse, Response

from lookalike.collection import Collection
from lookalike.core.filters import Compare, Condition, Value, all_of, to_condition
from lookalike.core.ids import check_id
from lookalike.core.records import Item, Json
from lookalike.errors import ImageError, ItemNotFoundError
from lookalike.output.json_documents import items_json, missing_json, notes_json
from lookalike.service import schemas, upload_files
from lookalike.service.additions import SentImage, add_images, read_images
from lookalike.service.collections import Opened
from lookalike.service.keys import Writes
from lookalike.service.problems import Problem, validate
from lookalike.service.retry import RetryRoute
from lookalike.service.schemas import ItemFields, NewItem
from lookalike.service.search_documents import add_links
from lookalike.service.state import ItemId, Served, Service, State, in_thread
from lookalike.service.uploads import decode_base64, parse_json_field, read_body

__all__ = ["router"]

router = APIRouter(tags=["items"], route_class=RetryRoute)

OverwriteByHand = Annotated[
    bool, Query(description="Also change labels, groups and metadata that were set by hand.")
]

_IMAGE = {"type": "string", "format": "binary"}


def _make_documents(
    service: Service, opened: Opened, items: Sequence[Item]
) -> list[dict[str, Json]]:
    documents = items_json(opened.collection, items)
    add_links(service, opened, items, documents)
    return documents


async def _make_response(
    service: Service, opened: Opened, item: Item, status: int = 200
) -> JSONResponse:
    (document,) = await in_thread(_make_documents, service, opened, [item])
    return JSONResponse(document, status)


# -- read ---------------------------------------------------------------------------------------


@router.get("/items", responses={200: {"model": schemas.ItemsResponse}}, summary="List items by id")
async def list_items(
    *,
    opened: Served,
    service: State,
    where: Annotated[str | None, Query(max_length=4000, description="A filter.")] = None,
    after: Annotated[
        str | None, Query(max_length=4096, description="`next` of the previous page.")
    ] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    total: Annotated[
        bool | None,
        Query(
            description="Count all items that match the filter. Default: only for the first page."
        ),
    ] = None,
    sample: Annotated[
        int | None,
        Query(ge=1, le=1000, description="Return a random sample of this size instead of a page."),
    ] = None,
    seed: Annotated[int, Query(description="The same seed gives the same sample.")] = 0,
) -> JSONResponse:
    """A page of items, sorted by id; ``next`` is the ``after`` of the next page.

    ``total`` is null where items were not counted, which takes longer than the page itself.
    """
    condition = to_condition(where)
    if sample is not None:
        return await in_thread(_sample, service, opened, condition, sample, seed)
    items = await in_thread(_page, opened.aside, condition, after, limit + 1)
    wanted = after is None if total is None else total
    counted = await in_thread(opened.aside.count, condition) if wanted else None
    shown = items[:limit]
    documents = await in_thread(_make_documents, service, opened, shown)
    following = shown[-1].id if len(items) > limit else None
    notes = []
    if not items and after is None:
        notes = notes_json(await in_thread(opened.aside.notes, condition))
    return JSONResponse({"items": documents, "total": counted, "next": following, "notes": notes})


def _sample(
    service: Service, opened: Opened, where: Condition | None, k: int, seed: int
) -> JSONResponse:
    total = opened.aside.count(where)
    documents = _make_documents(service, opened, opened.aside.sample(k, seed=seed, where=where))
    notes = [] if documents else notes_json(opened.aside.notes(where))
    return JSONResponse({"items": documents, "total": total, "next": None, "notes": notes})


def _page(shop: Collection, where: Condition | None, after: str | None, limit: int) -> list[Item]:
    beyond = None if after is None else Compare("id", ">", Value(after))
    return list(shop.store.items.scan(all_of(where, beyond), limit=limit))


@router.get(
    "/missing",
    responses={200: {"model": schemas.MissingItemsResponse}},
    summary="List items whose file is missing",
)
async def list_missing(
    opened: Served, limit: Annotated[int, Query(ge=1, le=1000)] = 100
) -> JSONResponse:
    """They are not in any results. Label, group and metadata come back with the file."""
    return await in_thread(_list_missing, opened, limit)


def _list_missing(opened: Opened, limit: int) -> JSONResponse:
    found = [missing_json(one) for one in islice(opened.aside.missing(), limit)]
    return JSONResponse({"items": found, "total": opened.aside.info().missing})


@router.get(
    "/items/{id:path}", responses={200: {"model": schemas.ItemResponse}}, summary="Get an item"
)
async def get_item(id: ItemId, opened: Served, service: State) -> JSONResponse:
    return await _make_response(service, opened, await in_thread(opened.collection.get, id))


# -- write --------------------------------------------------------------------------------------


@router.post(
    "/items",
    responses={200: {"model": schemas.AddedResponse}, 201: {"model": schemas.AddedResponse}},
    dependencies=[Writes],
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                "multipart/form-data": {
                    "schema": {
                        "type": "object",
                        "properties": {
                            "image": {"type": "array", "items": _IMAGE},
                            "items": {
                                "type": "string",
                                "description": "JSON: a list of NewItem, one for each image.",
                            },
                        },
                    }
                },
                "application/json": {"schema": {"$ref": "#/components/schemas/NewItems"}},
            },
        }
    },
    summary="Add or replace images",
)
async def add_items(
    *,
    request: Request,
    opened: Served,
    service: State,
    overwrite_by_hand: OverwriteByHand = False,
) -> JSONResponse:
    """An image with an ``id`` replaces the item that has this id. An image without one never
    replaces anything: its id is its file name or, if another image has that, one made of the name
    and the content. ``files`` says what happened to each image. An image that cannot be used is
    skipped with a reason; the others are added.

    201 if there is a new item, else 200.
    """
    body = await read_body(request, service.settings)
    sent = read_images(body, service.settings)
    report, added = await add_images(opened, sent, overwrite_by_hand=overwrite_by_hand)
    ids = [one.id for one in added if one.reason is None]
    items = await in_thread(opened.collection.store.items.get, ids)
    return JSONResponse(
        {
            "indexed": report.indexed,
            "reused": report.reused,
            "replaced": report.replaced,
            "unchanged": report.unchanged,
            "restored": report.restored,
            "relabelled": report.relabelled,
            "kept_by_hand": report.kept_by_hand,
            "files": [one.document() for one in added],
            "items": await in_thread(_make_documents, service, opened, list(items.values())),
            "skipped": [{"id": one.path, "reason": one.reason} for one in report.skipped],
        },
        201 if any(one.outcome == "created" for one in added) else 200,
    )


@router.put(
    "/items/{id:path}",
    responses={200: {"model": schemas.PutResponse}, 201: {"model": schemas.PutResponse}},
    dependencies=[Writes],
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                "image/*": {"schema": _IMAGE},
                "multipart/form-data": {
                    "schema": {
                        "type": "object",
                        "properties": {
                            "image": _IMAGE,
                            "label": {"type": "string"},
                            "group": {"type": "string"},
                            "metadata": {"type": "string", "description": "A JSON object."},
                        },
                    }
                },
                "application/json": {"schema": {"$ref": "#/components/schemas/PutItem"}},
            },
        }
    },
    summary="Add or replace one image",
)
async def put_item(
    request: Request,
    id: ItemId,
    opened: Served,
    service: State,
) -> JSONResponse:
    """201 for a new item, 200 if it was replaced or unchanged; ``outcome`` says which."""
    body = await read_body(request, service.settings)
    if body.document is not None:
        wanted: schemas.PutItem = validate(schemas.PutItem, body.document)
        upload = decode_base64(wanted.image_base64, service.settings)
        said = wanted.model_dump(exclude={"image_base64"}, exclude_unset=True)
    else:
        if len(body.images) != 1:
            raise Problem(422, "no-image", "send one image")
        upload = body.images[0]
        said = {name: values[-1] for name, values in body.fields.items()}
        if "metadata" in said:
            said["metadata"] = parse_json_field(said["metadata"], "metadata")
    new: NewItem = validate(NewItem, {**said, "id": id})
    if not await in_thread(opened.collection.__contains__, id):
        check_id(id)
    _, (added,) = await add_images(opened, [SentImage(said=new, upload=upload)], remember=False)
    if added.reason is not None:
        raise ImageError(added.reason)
    item = await in_thread(opened.collection.get, id)
    (document,) = await in_thread(_make_documents, service, opened, [item])
    status = 201 if added.outcome == "created" else 200
    return JSONResponse({**document, "outcome": added.outcome}, status)


@router.patch(
    "/items/{id:path}",
    responses={200: {"model": schemas.ItemResponse}},
    dependencies=[Writes],
    summary="Edit an item",
)
async def update_item(
    said: ItemFields,
    id: ItemId,
    opened: Served,
    service: State,
) -> JSONResponse:
    """Sets label, group and metadata. Omitted fields stay as they are; ``null`` removes a value.

    Indexing does not change what was set by hand, except with ``overwrite_by_hand``.
    """
    changed = said.model_dump(exclude_unset=True)
    if "metadata" in changed:
        changed["metadata"] = changed["metadata"] or {}
    async with opened.writing:
        item = await in_thread(partial(opened.collection.edit, id, **changed))
    return await _make_response(service, opened, item)


@router.delete("/items/{id:path}", status_code=204, dependencies=[Writes], summary="Remove an item")
async def delete_item(id: ItemId, opened: Served) -> Response:
    """An indexed file stays in its folder; an uploaded image is deleted with the item.

    A missing item is forgotten.
    """
    async with opened.writing:
        await in_thread(_remove, opened, id)
    return Response(status_code=204)


def _remove(opened: Opened, item_id: str) -> None:
    shop = opened.collection
    item = shop.store.items.get([item_id]).get(item_id)
    removed = shop.remove(item_id)  # a missing item too
    if item is None:
        if not removed:
            raise ItemNotFoundError(f"there is no item {item_id!r}")
        return
    root = upload_files.find_root(shop, opened.place.uploads)
    if root is not None and item.root == root.name and item.path:
        upload_files.delete_images(root, [item.path])
