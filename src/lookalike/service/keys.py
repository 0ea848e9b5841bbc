"""Read and write access by two keys, compared in constant time."""

import hashlib
import hmac
from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from lookalike.service.problems import Problem
from lookalike.service.schemas import AccessResponse
from lookalike.service.settings import ServiceSettings
from lookalike.service.state import State

__all__ = ["COOKIE", "Reads", "Writes", "may_read", "may_write", "router"]

COOKIE = "lookalike_session"
_CHALLENGE = {"WWW-Authenticate": 'Bearer realm="lookalike"'}

router = APIRouter(tags=["session"])


def session_token(key: str) -> str:
    """Return the session token that a browser stores instead of the key."""
    return hmac.digest(key.encode(), b"lookalike session", hashlib.sha256).hex()


def may_read(settings: ServiceSettings, request: Request) -> bool:
    """Return whether a request may read: with either key, or if no read key is set."""
    if settings.read_key is None:
        return True
    return any(_has_key(request, key) for key in (settings.read_key, settings.write_key) if key)


def may_write(settings: ServiceSettings, request: Request) -> bool:
    """Return whether a request may write: with the write key, or if no key is set at all."""
    if settings.write_key is None:
        return settings.read_key is None
    return _has_key(request, settings.write_key)


def _has_key(request: Request, key: str) -> bool:
    """Return whether a request has the key: as bearer token, ``X-API-Key`` or session."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    shown = token.strip() if scheme.lower() == "bearer" else request.headers.get("x-api-key", "")
    session = request.cookies.get(COOKIE, "")
    # Both are always compared, so that the time reveals nothing.
    # Header bytes arrive decoded as Latin-1; a key beyond ASCII is UTF-8.
    by_key = hmac.compare_digest(shown.encode("latin-1"), key.encode())
    by_session = hmac.compare_digest(
        session.encode("utf-8", "replace"), session_token(key).encode()
    )
    return by_key or by_session


async def reader(request: Request, service: State) -> None:
    """Raise ``Problem`` 401 without read access."""
    if not may_read(service.settings, request):
        raise Problem(
            401, "key-needed", "send the key: Authorization: Bearer …", headers=_CHALLENGE
        )


async def writer(request: Request, service: State) -> None:
    """Raise ``Problem`` 401 or 403 without write access."""
    settings = service.settings
    if settings.read_only:
        raise Problem(403, "read-only", "this service was started with --read-only")
    if not may_write(settings, request):
        if settings.write_key is None:
            raise Problem(
                403, "no-write-key", "writing needs a write key, and this service has none"
            )
        raise Problem(
            401, "key-needed", "send the write key: Authorization: Bearer …", headers=_CHALLENGE
        )


Reads = Depends(reader)
Writes = Depends(writer)


class Key(BaseModel):
    key: Annotated[str, Field(max_length=1000)]


@router.post(
    "/session", status_code=204, response_class=Response, summary="Start a session with a key"
)
async def create_session(body: Key, request: Request, response: Response, service: State) -> None:
    """Set a cookie that stands for the key, for pages, which load images without headers.

    Scripts and other sites cannot read the cookie.
    """
    keys = [key for key in (service.settings.read_key, service.settings.write_key) if key]
    if not any(hmac.compare_digest(body.key.encode(), key.encode()) for key in keys):
        raise Problem(401, "wrong-key", "this key is not valid", headers=_CHALLENGE)
    response.set_cookie(
        COOKIE,
        session_token(body.key),
        httponly=True,
        samesite="strict",
        # A proxy that terminates TLS says so. A client that lies only gets a stricter cookie.
        secure="https" in {request.url.scheme, request.headers.get("x-forwarded-proto", "")},
    )


@router.delete("/session", status_code=204, response_class=Response, summary="End the session")
async def delete_session(response: Response) -> None:
    response.delete_cookie(COOKIE, httponly=True, samesite="strict")


@router.get(
    "/access",
    responses={200: {"model": AccessResponse}},
    summary="Your access rights, and the limits",
)
async def access(request: Request, service: State) -> JSONResponse:
    """Needs no key: a page uses it to show only what is allowed."""
    settings = service.settings
    write = not settings.read_only and may_write(settings, request)
    return JSONResponse(
        {
            "read": may_read(settings, request),
            "write": write,
            "max_upload": settings.max_upload,
            "max_body": settings.max_body,
            "max_images": settings.max_images,
        }
    )
