"""Routes are matched on the raw path, so that an id may contain slashes and dots."""

import re
from urllib.parse import parse_qsl, quote, urlencode

from starlette.types import ASGIApp, Receive, Scope, Send

from lookalike.core.ids import is_plain

__all__ = ["BY_PARAMETER", "RawPaths", "item_address"]

BY_PARAMETER = "/item"
"""Replaces ``/items/{id}`` where the id is the query parameter ``id``."""

_BY_PARAMETER = re.compile(rf"(/v1(?:/collections/[^/]+)?){BY_PARAMETER}((?:/[a-z]+)?)")


class RawPaths:
    """Middleware that routes on the raw path. Paths are decoded once, in ``state``, not before.

    ``items/a%2Fsimilar`` is the item ``a/similar``; ``items/a/similar`` searches with the item
    ``a``.

    ``item?id=a`` means ``items/a``. It is for ids that clients and proxies resolve as path steps:
    they turn ``items/..`` into the collection, but leave ``item?id=..`` as it is.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"].startswith("/v1/"):
            raw = scope.get("raw_path")
            path = raw.decode("latin-1") if raw else quote(scope["path"])
            scope["path"] = path.partition("?")[0]
            named = _BY_PARAMETER.fullmatch(scope["path"])
            if named is not None:
                _name_in_path(scope, named[1], named[2])
        await self._app(scope, receive, send)


def _name_in_path(scope: Scope, collection: str, what: str) -> None:
    """Move the id from the query string into the path; it is empty unless there is exactly one."""
    pairs = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
    ids = [value for name, value in pairs if name == "id"]
    one = quote(ids[0], safe="") if len(ids) == 1 else ""
    scope["path"] = f"{collection}/items/{one}{what}"
    scope["query_string"] = urlencode([pair for pair in pairs if pair[0] != "id"]).encode()


def item_address(item_id: str, what: str, parameters: str) -> str:
    """Return the address of an item's thumbnail or image, relative to its collection."""
    if is_plain(item_id):
        return f"/items/{quote(item_id, safe='')}{what}?{parameters}"
    return f"{BY_PARAMETER}{what}?id={quote(item_id, safe='')}&{parameters}"
