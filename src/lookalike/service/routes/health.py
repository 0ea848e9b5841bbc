"""Health checks and metrics for operators."""

import time
from importlib import import_module
from typing import TYPE_CHECKING

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from lookalike.service.availability import Availability
from lookalike.service.keys import Reads
from lookalike.service.problems import Busy, Problem
from lookalike.service.schemas import LiveResponse, ReadyResponse
from lookalike.service.state import State

if TYPE_CHECKING:
    from lookalike.core.records import Json

__all__ = ["TIMEOUT_S", "router"]

TIMEOUT_S = 0.8
"""Seconds to wait for collections that may be unreachable: probes often time out after one."""

_VERSION: str = import_module("lookalike").__version__

router = APIRouter(tags=["health"])


@router.head("/health/live", include_in_schema=False)
@router.get("/health/live", summary="Liveness")
async def live() -> LiveResponse:
    return LiveResponse(status="ok")


@router.head("/health/ready", include_in_schema=False)
@router.get("/health/ready", responses={200: {"model": ReadyResponse}}, summary="Readiness")
async def ready(service: State) -> JSONResponse:
    """503 during shutdown, or while there are collections and none is available.

    ``collections`` counts the available (`ready`) and unavailable (`away`) ones, without names. A
    service that has no collection yet is ready to receive images.
    """
    if service.closing.is_set():
        raise Busy("the service is shutting down", retry_s=10)
    states = await _check(service)
    away = sum(one.error is not None for one in states)
    counts: dict[str, Json] = {"ready": len(states) - away, "away": away}
    if away and away == len(states):
        raise Problem(
            503,
            "not-ready",
            "no collection is available; see the log",
            headers={"Retry-After": "1"},
            collections=counts,
        )
    return JSONResponse({"status": "ok", "version": _VERSION, "collections": counts})


async def _check(service: State) -> list[Availability]:
    """Return the states of the monitored collections and, if none is available, of others.

    The others are checked in turn until one is available: they count as monitored from then on.
    """
    end = time.monotonic() + TIMEOUT_S
    names = service.collections.monitored()
    states = await service.availability.of(names, timeout_s=TIMEOUT_S)
    others = (one for one in service.collections.names() if one not in names)
    while all(one.error is not None for one in states) and (rest := end - time.monotonic()) > 0:
        if (name := next(others, None)) is None:
            break
        states.append(await service.availability.one(name, timeout_s=rest))
    return states


@router.get(
    "/metrics",
    response_class=Response,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
    dependencies=[Reads],
    summary="Metrics for Prometheus",
)
async def metrics(request: Request, service: State) -> Response:
    """In OpenMetrics format where the client accepts it."""
    states = await service.availability.of(service.collections.monitored(), timeout_s=TIMEOUT_S)
    text, kind = service.metrics.document(states, accept=request.headers.get("accept", ""))
    return Response(text, headers={"Content-Type": kind, "Vary": "Accept"})
