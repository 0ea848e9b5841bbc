"""Routes of images: thumbnails and original files of items, never by path."""

import hashlib
import os
from email.utils import formatdate
from pathlib import Path
from typing import Annotated, NamedTuple
from urllib.parse import quote

from fastapi import APIRouter, Query, Request
from fastapi.responses import FileResponse, Response

from lookalike.collection import Collection
from lookalike.core.records import Item, Thumbnail
from lookalike.errors import UnreadableImageError
from lookalike.images.formats import format_of
from lookalike.images.thumbnails import render_thumbnail
from lookalike.service.collections import Opened
from lookalike.service.etags import is_unchanged
from lookalike.service.problems import Problem
from lookalike.service.retry import RetryRoute
from lookalike.service.state import ItemId, Served, State, in_thread

__all__ = ["ALONE", "find_file", "router"]

_TYPES = {
    "AVIF": "image/avif",
    "BMP": "image/bmp",
    "DIB": "image/bmp",
    "GIF": "image/gif",
    "HEIC": "image/heic",
    "JPEG": "image/jpeg",
    "PNG": "image/png",
    "TIFF": "image/tiff",
    "WebP": "image/webp",
}
_FOR_GOOD = "private, max-age=31536000, immutable"  # the URL identifies the content
_ASK_AGAIN = "private, no-cache"
ALONE = "default-src 'none'; sandbox"  # no file can run anything in a browser
_HEAD = 64 * 1024

router = APIRouter(tags=["images"], route_class=RetryRoute)


class _File(NamedTuple):
    """An item's current file; ``tag`` changes with its content."""

    item: Item
    place: Path
    found: os.stat_result
    tag: str


class _Small(NamedTuple):
    """The sources of a thumbnail: the stored thumbnail, the file, or the better of both."""

    item: Item
    kept: Thumbnail | None
    file: _File | None
    tag: str
    whole: bool  # as large as requested, or as the image itself


def find_file(shop: Collection, item: Item) -> _File:
    """Return an item's file, if it lies below a root of the collection with links resolved.

    Raise ``UnreadableImageError``.
    """
    place = shop.file_of(item)
    if place is None:
        raise UnreadableImageError("the image itself is not stored, only its embedding")
    try:
        real = place.resolve(strict=True)
        found = real.stat()
    except OSError as error:
        raise UnreadableImageError("the file is no longer where it was indexed") from error
    roots = [root.path.resolve() for root in shop.roots() if root.name == item.root]
    if not any(real.is_relative_to(root) for root in roots):
        raise UnreadableImageError("the file is a link that leads out of its folder")
    return _File(item, real, found, _tag(f"{item.digest} {found.st_size} {found.st_mtime_ns}"))


def _find_item_file(shop: Collection, item_id: str) -> _File:
    return find_file(shop, shop.get(item_id))


def _find_thumbnail(shop: Collection, item_id: str, side: int) -> _Small:
    """Return the sources of an item's thumbnail. Raise like ``find_file`` where none is stored."""
    item = shop.get(item_id)
    kept = shop.store.thumbnails.get([item_id]).get(item_id)
    whole = kept is not None and kept.shows(item, side)
    file = None
    if not whole:
        try:
            file = find_file(shop, item)
        except UnreadableImageError:
            if kept is None:
                raise
    if file is not None:
        return _Small(item, kept, file, file.tag, whole=True)
    return _Small(item, kept, None, _tag(f"{item.digest} kept {kept and kept.side}"), whole)


def _tag(mark: str) -> str:
    return hashlib.sha256(mark.encode()).hexdigest()[:32]


def _make_headers(
    request: Request, item: Item, file: _File | None, tag: str, *, whole: bool = True
) -> dict[str, str]:
    for_good = whole and request.query_params.get("v") == item.digest[:12]
    headers = {
        "ETag": tag,
        "Cache-Control": _FOR_GOOD if for_good else _ASK_AGAIN,
        "Content-Security-Policy": ALONE,
    }
    if file is not None:
        headers["Last-Modified"] = formatdate(file.found.st_mtime, usegmt=True)
    elif item.stamp is not None:
        headers["Last-Modified"] = formatdate(item.stamp.mtime_ns / 1e9, usegmt=True)
    return headers


_VERSION = Annotated[
    str | None,
    Query(max_length=64, description="The content's version, as in the links of responses."),
]
_JPEG = {"content": {"image/jpeg": {"schema": {"type": "string", "format": "binary"}}}}
_ANY = {"content": {"image/*": {"schema": {"type": "string", "format": "binary"}}}}
_SAME = {"description": "Not modified."}


@router.head("/items/{id:path}/thumbnail", include_in_schema=False)
@router.get(
    "/items/{id:path}/thumbnail",
    response_class=Response,
    responses={200: _JPEG, 304: _SAME},
    summary="Get an item's thumbnail",
)
async def thumbnail(
    request: Request,
    *,
    id: ItemId,
    opened: Served,
    service: State,
    side: Annotated[int, Query(ge=16, le=2048, description="The longer side, in pixels.")] = 320,
    v: _VERSION = None,  # noqa: ARG001 - read in `_make_headers`; for OpenAPI
) -> Response:
    """A JPEG whose longer side is at most ``side``, never enlarged. Smaller if the file is
    unavailable and only a smaller thumbnail is stored.
    """
    found = await in_thread(_find_thumbnail, opened.collection, id, side)
    tag = f'"{found.tag}-{side}"'
    headers = _make_headers(request, found.item, found.file, tag, whole=found.whole)
    if is_unchanged(request, tag):
        return Response(status_code=304, headers=headers)
    data = service.thumbnails.get((found.tag, side))
    if data is None:
        data = await in_thread(_render_jpeg, opened, found, side)
        service.thumbnails.put((found.tag, side), data)
    return Response(data, headers=headers, media_type="image/jpeg")


def _render_jpeg(opened: Opened, found: _Small, side: int) -> bytes:
    place = None if found.file is None else found.file.place
    limits = opened.collection.limits
    return render_thumbnail(found.item, place, found.kept, side=side, limits=limits)


@router.head("/items/{id:path}/picture", include_in_schema=False)  # deprecated alias
@router.get("/items/{id:path}/picture", include_in_schema=False)
@router.head("/items/{id:path}/image", include_in_schema=False)
@router.get(
    "/items/{id:path}/image",
    response_class=Response,
    responses={200: _ANY, 206: _ANY, 304: _SAME},
    summary="Get an item's original file",
)
async def image(
    request: Request,
    id: ItemId,
    opened: Served,
    v: _VERSION = None,  # noqa: ARG001 - as above
) -> Response:
    """Supports ranges. The content type is determined by the file's first bytes."""
    file = await in_thread(_find_item_file, opened.collection, id)
    tag = f'"{file.tag}"'
    headers = _make_headers(request, file.item, file, tag)
    if is_unchanged(request, tag):
        return Response(status_code=304, headers=headers)
    kind = await in_thread(_find_type, file.place)
    name = quote(file.item.id.rpartition("/")[2], safe="")
    headers["Content-Disposition"] = f"inline; filename*=UTF-8''{name}"
    return FileResponse(file.place, headers=headers, media_type=kind, stat_result=file.found)


def _find_type(place: Path) -> str:
    try:
        with place.open("rb") as opened:
            kind = format_of(opened.read(_HEAD))
    except OSError as error:
        raise UnreadableImageError("the file cannot be read") from error
    if kind is None:  # it was an image when it was indexed
        raise Problem(
            409, "no-longer-an-image", "the file is no longer an image; index the folder again"
        )
    return _TYPES[kind]
