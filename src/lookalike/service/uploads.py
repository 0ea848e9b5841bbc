"""Reading request bodies under limits on bytes, time and number, before any work is done."""

import asyncio
import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from fastapi import Request
from starlette.datastructures import Headers, UploadFile
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lookalike.service.problems import Busy, Problem, problem_response
from lookalike.service.settings import ServiceSettings

__all__ = ["Body", "BodyLimits", "Upload", "decode_base64", "parse_json_field", "read_body"]

_JSON = frozenset({"application/json"})
_FORM = frozenset({"multipart/form-data"})
_MOST_FIELDS = 64
_FIELD_BYTES = 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """An image's bytes, and the name that the client gave it, which is never used as a path."""

    name: str
    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """A request's body in one form, whatever its content type."""

    images: list[Upload] = field(default_factory=list)
    fields: Mapping[str, list[str]] = field(default_factory=dict)
    document: dict[str, Any] | None = None


class BodyLimits:
    """Middleware that limits request bodies.

    The limits are ``max_body`` bytes for each, ``max_held`` bytes for all requests in progress,
    and ``body_s`` seconds to arrive.

    ``Content-Length`` is used only to refuse a request early.
    """

    def __init__(self, app: ASGIApp, *, settings: ServiceSettings) -> None:
        self._app = app
        self._settings = settings
        self._held = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        length = Headers(scope=scope).get("content-length", "0")
        said = int(length) if length.isascii() and length.isdecimal() else 0
        try:
            self._check(said, said)
        except Problem as problem:
            await problem_response(Request(scope), problem)(scope, receive, send)
            return
        taken, loop = 0, asyncio.get_running_loop()
        ends = loop.time() + self._settings.body_s

        async def counted() -> Message:
            nonlocal taken
            if taken < 0:  # the body is complete: what follows is the end of the connection
                return await receive()
            try:
                async with asyncio.timeout_at(ends):
                    message = await receive()
            except TimeoutError as error:
                raise Problem(
                    408,
                    "slow-request",
                    f"the request did not arrive within {self._settings.body_s:g} seconds",
                    headers={"Connection": "close"},
                ) from error
            size = len(message.get("body", b""))
            self._held += size
            taken += size
            self._check(taken, 0)
            return message

        try:
            await self._app(scope, counted, send)
        finally:
            self._held -= taken

    def _check(self, size: int, coming: int) -> None:
        most = self._settings.max_body
        if size > most:
            raise too_large_problem("the request", size, most)
        if self._held + coming > self._settings.max_held:
            raise Busy(
                "the requests in progress use all the memory that they may use; try again shortly"
            )


async def read_body(request: Request, settings: ServiceSettings) -> Body:
    """Read a body: a form with images, a raw image, or JSON.

    The body is stored with the request, which may be handled twice (see ``retry``). Raise
    ``Problem``: 400 if it cannot be parsed, 413 over a limit, 415 for other types.
    """
    body: Body | None = getattr(request.state, "body", None)
    if body is None:
        body = request.state.body = await _read_body(request, settings)
    return body


async def _read_body(request: Request, settings: ServiceSettings) -> Body:
    kind, _, _ = request.headers.get("content-type", "").partition(";")
    kind = kind.strip().lower()
    if kind in _FORM:
        return await _read_form(request, settings)
    data = await request.body()
    if kind in _JSON:
        return Body(document=_parse_object(data))
    if kind.startswith("image/") or kind == "application/octet-stream":
        return Body(images=[_check_upload(Upload(name="", data=data), settings)])
    if not data:
        return Body()
    raise Problem(
        415,
        "unsupported-media-type",
        "send a raw image (Content-Type: image/…), a form (multipart/form-data), or JSON "
        f"(application/json), not {kind or 'a body without a type'}",
    )


async def _read_form(request: Request, settings: ServiceSettings) -> Body:
    images: list[Upload] = []
    fields: dict[str, list[str]] = {}
    try:
        async with request.form(
            max_files=settings.max_images, max_fields=_MOST_FIELDS, max_part_size=_FIELD_BYTES
        ) as form:
            for name, value in form.multi_items():
                if isinstance(value, UploadFile):
                    if (value.size or 0) > settings.max_upload:
                        raise too_large_problem(
                            value.filename or name, value.size, settings.max_upload
                        )
                    upload = Upload(name=value.filename or "", data=await value.read())
                    images.append(upload)
                else:
                    fields.setdefault(name, []).append(value)
    except Problem:
        raise
    except HTTPException as error:  # raised by the parser
        if "Too many" in str(error.detail):
            raise Problem(413, "too-many-parts", str(error.detail)) from error
        raise Problem(400, "bad-form", str(error.detail)) from error
    return Body(images=images, fields=fields)


def _parse_object(data: bytes) -> dict[str, Any]:
    try:
        found = json.loads(data, parse_constant=_refuse_json)
    except (ValueError, RecursionError) as error:
        raise Problem(400, "bad-json", "the body is not JSON") from error
    if not isinstance(found, dict):
        raise Problem(422, "bad-json", "the body must be a JSON object")
    return found


def _refuse_json(word: str) -> None:
    raise ValueError(f"{word} is not JSON")


def parse_json_field(text: str, name: str) -> Any:  # noqa: ANN401 - whatever JSON holds
    """Return the value of a form field that holds JSON. Raise ``Problem``."""
    try:
        return json.loads(text, parse_constant=_refuse_json)
    except (ValueError, RecursionError) as error:
        raise Problem(422, "bad-json", f"the field {name} is not JSON") from error


def decode_base64(text: str, settings: ServiceSettings, *, name: str = "") -> Upload:
    """Return an image from base64, with or without a ``data:image/…;base64,`` prefix.

    Raise ``Problem``.
    """
    if text.startswith("data:"):
        text = text.partition(",")[2]
    if len(text) > settings.max_upload * 4 // 3 + 4:
        raise too_large_problem("the image", len(text) * 3 // 4, settings.max_upload)
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise Problem(422, "bad-base64", "image_base64 is not base64") from error
    return _check_upload(Upload(name=name, data=data), settings)


def _check_upload(upload: Upload, settings: ServiceSettings) -> Upload:
    if len(upload.data) > settings.max_upload:
        raise too_large_problem("the image", len(upload.data), settings.max_upload)
    return upload


def too_large_problem(what: str, size: int | None, most: int) -> Problem:
    """Return the problem of a body over a limit. It closes the connection; the rest is not read."""
    return Problem(
        413,
        "too-large",
        f"{what} has {size or 0:,} bytes; the limit is {most:,}",
        headers={"Connection": "close"},
        limit=most,
    )
