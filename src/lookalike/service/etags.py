"""Whether a client has a response already (RFC 9110, 13.1.2)."""

from starlette.requests import Request

__all__ = ["is_unchanged"]


def is_unchanged(request: Request, etag: str) -> bool:
    """Return whether ``If-None-Match`` of a request names a response's ETag, weak or not."""
    known = request.headers.get("if-none-match", "")
    return known.strip() == "*" or etag in [
        one.strip().removeprefix("W/") for one in known.split(",")
    ]
