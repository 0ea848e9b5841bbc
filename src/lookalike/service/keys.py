"""Who may read and who may write: two keys, compared in constant time."""

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
    """What a browser keeps instead of the key, which cannot be had back from it."""
    return hmac.digest(key.encode(), b"lookalike session", hashlib.sha256).hex()


def may_read(settings: ServiceSettings, request: Request) -> bool:
    """With either key, or where none is set."""
    if settings.read_key is None:
        return True
    return any(_has(request, key) for key in (settings.read_key, settings.write_key) if key)


def may_write(settings: ServiceSettings, request: Request) -> bool:
    """With the write key; without keys anybody; with a read key alone nobody."""
    if settings.write_key is None:
        return settings.read_key is None
    return _has(request, settings.write_key)


def _has(request: Request, key: str) -> bool:
    """Whether a request shows a key: as bearer token, as ``X-API-Key``, or as a session."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    shown = token.strip() if scheme.lower() == "bearer" else request.headers.get("x-api-key", "")
    session = request.cookies.get(COOKIE, "")
    # Both are compared, whichever was sent: the time says nothing.
    # A header's bytes, which are UTF-8 where a key is more than ASCII, come as Latin-1.
    by_key = hmac.compare_digest(shown.encode("latin-1"), key.encode())
    by_session = hmac.compare_digest(
        session.encode("utf-8", "replace"), session_token(key).encode()
    )
    return by_key or by_session


async def reader(request: Request, service: State) -> None:
    """Raises ``Problem`` 401 for who may not read."""
    if not may_read(service.settings, request):
        raise Problem(
            401, "key-needed", "send the key: Authorization: Bearer …", headers=_CHALLENGE
        )


async def writer(request: Request, service: State) -> None:
    """Raises ``Problem`` 401 or 403 for who may not write."""
    settings = service.settings
    if settings.read_only:
        raise Problem(403, "read-only", "this service was started with --read-only")
    if not may_write(settings, request):
        if settings.write_key is None:
            raise Problem(
                403, "no-write-key", "nothing may be written without a write key; set one"
            )
        raise Problem(
            401, "key-needed", "send the write key: Authorization: Bearer …", headers=_CHALLENGE
        )


Reads = Depends(reader)
Writes = Depends(writer)


class Key(BaseModel):
    key: Annotated[str, Field(max_length=1000)]


@router.post(
    "/session", status_code=204, response_class=Response, summary="Keep a key in the browser"
)
async def create_session(body: Key, request: Request, response: Response, service: State) -> None:
    """For pages, whose pictures are asked for without headers: sets a cookie that stands for the
    key, out of reach of scripts and of other sites.
    """
    keys = [key for key in (service.settings.read_key, service.settings.write_key) if key]
    if not any(hmac.compare_digest(body.key.encode(), key.encode()) for key in keys):
        raise Problem(401, "wrong-key", "that is not a key of this service", headers=_CHALLENGE)
    response.set_cookie(
        COOKIE,
        session_token(body.key),
        httponly=True,
        samesite="strict",
        # Where a proxy speaks TLS, it says so. Who lies about it has a cookie that is sent less.
        secure="https" in {request.url.scheme, request.headers.get("x-forwarded-proto", "")},
    )


@router.delete("/session", status_code=204, response_class=Response, summary="Forget the key")
async def delete_session(response: Response) -> None:
    response.delete_cookie(COOKIE, httponly=True, samesite="strict")


@router.get("/access", responses={200: {"model": AccessResponse}}, summary="What you may do")
async def access(request: Request, service: State) -> JSONResponse:
    """Needs no key: a page asks before it shows what cannot be used."""
    settings = service.settings
    write = not settings.read_only and may_write(settings, request)
    return JSONResponse({"read": may_read(settings, request), "write": write})
