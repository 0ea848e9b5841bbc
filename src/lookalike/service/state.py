"""The parts that all requests of one app share, and the dependencies that provide them."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Annotated, TypeVar
from urllib.parse import unquote

from fastapi import Depends, Path, Request

from lookalike.service.availability import AvailabilityMonitor
from lookalike.service.collections import Collections, Opened
from lookalike.service.jobs import Jobs
from lookalike.service.metrics import Metrics
from lookalike.service.problems import Problem
from lookalike.service.settings import ServiceSettings
from lookalike.service.thumbnail_cache import ThumbnailCache

__all__ = ["ItemId", "Served", "Service", "State", "in_thread", "named"]

_Result = TypeVar("_Result")
# The threads of the request's collection; a collection in a folder uses the shared ones.
_threads: ContextVar[Executor | None] = ContextVar("threads", default=None)
_TIMEOUT_S = 30.0  # to wait for a collection on a server


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Service:
    """The parts of one app.

    ``closing`` is set when the server is asked to stop. ``mapping`` is held while a map is
    computed, which takes all cores: one at a time.
    """

    settings: ServiceSettings
    collections: Collections
    availability: AvailabilityMonitor
    jobs: Jobs
    metrics: Metrics
    thumbnails: ThumbnailCache = field(default_factory=ThumbnailCache)
    closing: asyncio.Event = field(default_factory=asyncio.Event)
    mapping: asyncio.Lock = field(default_factory=asyncio.Lock)


async def _get_service(request: Request) -> Service:  # async, so that FastAPI does not use a thread
    found: Service = request.app.state.service
    return found


State = Annotated[Service, Depends(_get_service)]


def decode_path_part(raw: str) -> str:
    """Return a path segment, percent-decoded. Raise ``Problem``. See ``paths.RawPaths``."""
    try:
        return unquote(raw, errors="strict")
    except UnicodeDecodeError as error:
        raise Problem(400, "bad-path", "the path is not percent-encoded UTF-8") from error


async def _get_collection(request: Request, service: State) -> Opened:
    raw = request.path_params.get("name")
    name = service.collections.default() if raw is None else decode_path_part(raw)
    if name is None:
        known = ", ".join(service.collections.names()) or "none yet"
        raise Problem(
            404,
            "no-default-collection",
            f"name a collection: /v1/collections/NAME/… (known: {known})",
        )
    ready = service.collections.ready(name)
    if ready is None and service.collections.is_remote(name):
        # Waiting for a server here uses no thread that other requests need.
        found = await service.availability.one(name, timeout_s=_TIMEOUT_S)
        if found.error is not None:
            raise found.error.with_traceback(None)
        ready = service.collections.ready(name)
    opened = ready if ready is not None else await in_thread(service.collections.get, name)
    request.state.opened = opened
    _threads.set(opened.threads)
    return opened


Served = Annotated[Opened, Depends(_get_collection)]


async def named(name: Annotated[str, Path(description="A collection's name.")]) -> None:
    """Document the path parameter that ``Served`` reads."""


async def _decode_item_id(
    id: Annotated[
        str,
        Path(
            description="An item's id, percent-encoded as one segment (`a%2Fb.jpg`). Plain slashes "
            "work too."
        ),
    ],
) -> str:
    if not id:
        raise Problem(422, "invalid-request", "name one item: items/ID, or item?id=ID")
    return decode_path_part(id)


ItemId = Annotated[str, Depends(_decode_item_id)]


async def in_thread(work: Callable[..., _Result], *arguments: object) -> _Result:
    """Run blocking work (disk, lock, server) on a thread, and return its result."""
    return await asyncio.get_running_loop().run_in_executor(_threads.get(), work, *arguments)
