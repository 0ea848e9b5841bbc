"""Health checks and metrics for operators."""

from importlib import import_module
from typing import TYPE_CHECKING

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

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
    """503 during shutdown, or while no collection is available.

    ``collections`` counts the available (`ready`) and unavailable (`away`) ones, without names.
    """
    if service.closing.is_set():
        raise Busy("the service is shutting down", retry_s=10)
    states = await service.availability.of(service.collections.monitored(), timeout_s=TIMEOUT_S)
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
