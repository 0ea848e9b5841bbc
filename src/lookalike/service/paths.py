"""Routes are matched on the path as it was sent, so that an id may hold what a path is made of."""

from urllib.parse import quote

from starlette.types import ASGIApp, Receive, Scope, Send

__all__ = ["RawPaths"]


class RawPaths:
    """Middleware: ``items/a%2Fsimilar`` is the item ``a/similar``, ``items/a/similar`` asks for
    what is similar to ``a``. Decoded once, in ``state``; a server decodes before.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"].startswith("/v1/"):
            raw = scope.get("raw_path")
            path = raw.decode("latin-1") if raw else quote(scope["path"])
            scope["path"] = path.partition("?")[0]
        await self._app(scope, receive, send)
