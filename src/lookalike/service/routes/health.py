"""What those ask who run the service: does it live, can it search, what has it done?"""

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
"""Seconds with collections that may be away: a probe is often given one."""

_VERSION: str = import_module("lookalike").__version__

router = APIRouter(tags=["health"])


@router.head("/health/live", include_in_schema=False)
@router.get("/health/live", summary="Does the process answer?")
async def live() -> LiveResponse:
    return LiveResponse(status="ok")


@router.head("/health/ready", include_in_schema=False)
@router.get("/health/ready", responses={200: {"model": ReadyResponse}}, summary="Can it search?")
async def ready(service: State) -> JSONResponse:
    """503 while the service is ending, or where none of its collections can be asked.

    ``collections`` counts those that can be and those that are away, and names none.
    """
    if service.closing.is_set():
        raise Busy("the service is ending", retry_s=10)
    states = await service.availability.of(service.collections.monitored(), timeout_s=TIMEOUT_S)
    away = sum(one.error is not None for one in states)
    counts: dict[str, Json] = {"ready": len(states) - away, "away": away}
    if away and away == len(states):
        raise Problem(
            503,
            "not-ready",
            "no collection can be asked; the log says why",
            headers={"Retry-After": "1"},
            collections=counts,
        )
    return JSONResponse({"status": "ok", "version": _VERSION, "collections": counts})


@router.get(
    "/metrics",
    response_class=Response,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
    dependencies=[Reads],
    summary="Counters for Prometheus",
)
async def metrics(request: Request, service: State) -> Response:
    """In OpenMetrics' form where that is accepted."""
    states = await service.availability.of(service.collections.monitored(), timeout_s=TIMEOUT_S)
    text, kind = service.metrics.document(states, accept=request.headers.get("accept", ""))
    return Response(text, headers={"Content-Type": kind, "Vary": "Accept"})
