"""The app: routes, middleware, and what they share, put together."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import import_module
from importlib.resources import files
from pathlib import Path

from fastapi import Depends, FastAPI
from starlette.middleware.cors import CORSMiddleware
from starlette.staticfiles import StaticFiles

from lookalike.service import keys, problems, schemas
from lookalike.service.availability import AvailabilityMonitor
from lookalike.service.collections import Collections
from lookalike.service.headers import SecurityHeaders
from lookalike.service.jobs import Jobs
from lookalike.service.keys import Reads
from lookalike.service.metrics import Metrics, MetricsMiddleware
from lookalike.service.openapi import complete
from lookalike.service.paths import RawPaths
from lookalike.service.routes import collections as catalogue
from lookalike.service.routes import health, items, search
from lookalike.service.routes import images as pictures
from lookalike.service.routes import jobs as job_routes
from lookalike.service.routes import older_forms as older
from lookalike.service.settings import ServiceSettings
from lookalike.service.state import Service, in_thread, named
from lookalike.service.uploads import BodyLimits

__all__ = ["create_app"]

_VERSION: str = import_module("lookalike").__version__
_ONE = "/v1/collections/{name}"
# What is below an item comes before the item: an id may hold slashes.
_ROUTERS = (
    search.router,
    pictures.router,
    items.router,
    catalogue.router,
    job_routes.router,
)


def create_app(collections: Collections, settings: ServiceSettings, metrics: Metrics) -> FastAPI:
    """An ASGI app that serves ``collections``, and closes them at its end.

    ``metrics`` is the meter that the collections were given.
    """
    service = Service(
        settings=settings,
        collections=collections,
        availability=AvailabilityMonitor(collections),
        jobs=Jobs(tell_why=settings.show_paths),
        metrics=metrics,
    )

    @asynccontextmanager
    async def life(_: FastAPI) -> AsyncIterator[None]:
        if (first := collections.default()) is not None:
            # Its network opens meanwhile; of one that is away, who asks for it is told.
            await service.availability.one(first, timeout_s=health.TIMEOUT_S)
        yield
        await service.jobs.close()
        await in_thread(collections.close)

    app = FastAPI(
        title="lookalike",
        version=_VERSION,
        description="Visual search: hand in a picture, get the ones that look alike.",
        openapi_url="/v1/openapi.json",
        docs_url=None,  # FastAPI's page takes its scripts from another host
        redoc_url=None,
        redirect_slashes=False,
        generate_unique_id_function=lambda route: route.name,  # what generated clients call it
        lifespan=life,
        responses={"default": {"model": schemas.ProblemResponse, "description": "A problem."}},
    )
    app.state.service = service
    problems.register(app)
    app.include_router(health.router)
    app.include_router(keys.router, prefix="/v1")
    app.include_router(catalogue.all_router, prefix="/v1", dependencies=[Reads])
    named_too = [Reads, Depends(named)]
    app.include_router(catalogue.one_router, prefix=_ONE, dependencies=named_too)
    for router in _ROUTERS:
        app.include_router(router, prefix=_ONE, dependencies=named_too)
        app.include_router(router, prefix="/v1", dependencies=[Reads], include_in_schema=False)
    app.include_router(older.router, dependencies=[Reads])
    complete(app)
    _serve_page(app)
    app.add_middleware(RawPaths)
    app.add_middleware(BodyLimits, settings=settings)
    if settings.cors:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=list(settings.cors),
            allow_methods=["GET", "POST", "PUT", "PATCH", "DELETE"],
            allow_headers=["Authorization", "Content-Type", "X-API-Key", "Range"],
            expose_headers=["ETag", "Retry-After", "Content-Range"],
        )
    app.add_middleware(SecurityHeaders, settings=settings)
    app.add_middleware(MetricsMiddleware, metrics=metrics)
    return app


def _serve_page(app: FastAPI) -> None:
    page = Path(str(files("lookalike.service"))) / "page"
    if (page / "index.html").exists():
        app.mount("/", StaticFiles(directory=page, html=True), name="page")
