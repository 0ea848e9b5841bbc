"""The app: routes, middleware, and the parts that they share."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import import_module
from importlib.resources import files
from pathlib import Path

from fastapi import Depends, FastAPI
from starlette.middleware.cors import CORSMiddleware

from lookalike.output.map_file import MAP_FILES
from lookalike.service import keys, problems, schemas
from lookalike.service.availability import AvailabilityMonitor
from lookalike.service.collections import Collections
from lookalike.service.headers import SecurityHeaders
from lookalike.service.jobs import Jobs
from lookalike.service.keys import Reads
from lookalike.service.metrics import Metrics, MetricsMiddleware
from lookalike.service.openapi import complete
from lookalike.service.page_files import PageFiles
from lookalike.service.parameters import KnownParameters
from lookalike.service.paths import RawPaths
from lookalike.service.routes import collections as collection_routes
from lookalike.service.routes import crops, explanations, health, items, older_forms, search
from lookalike.service.routes import images as image_routes
from lookalike.service.routes import jobs as job_routes
from lookalike.service.routes import maps as map_routes
from lookalike.service.settings import ServiceSettings
from lookalike.service.state import Service, in_thread, named
from lookalike.service.uploads import BodyLimits

__all__ = ["create_app"]

_VERSION: str = import_module("lookalike").__version__
_ONE = "/v1/collections/{name}"
# Routes below an item come before the item's own, because an id may contain slashes.
_ROUTERS = (
    search.router,
    explanations.router,
    crops.router,
    image_routes.router,
    items.router,
    collection_routes.router,
    job_routes.router,
    map_routes.router,
)


def create_app(collections: Collections, settings: ServiceSettings, metrics: Metrics) -> FastAPI:
    """Return an ASGI app that serves ``collections``, and closes them when it ends.

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
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        if (first := collections.default()) is not None:
            # Load its encoder now. If it is unreachable, its requests report that.
            await service.availability.one(first, timeout_s=health.TIMEOUT_S)
        yield
        await service.jobs.close()
        await in_thread(collections.close)

    app = FastAPI(
        title="lookalike",
        version=_VERSION,
        description="Visual search: send an image, get the items that look like it.",
        openapi_url="/v1/openapi.json",
        docs_url=None,  # FastAPI's page loads scripts from another host
        redoc_url=None,
        redirect_slashes=False,
        generate_unique_id_function=lambda route: (
            route.name
        ),  # the method name in generated clients
        lifespan=lifespan,
        responses={
            "default": {"model": schemas.ProblemResponse, "description": "A problem (RFC 9457)."}
        },
    )
    app.state.service = service
    problems.register(app)
    app.include_router(health.router)
    app.include_router(keys.router, prefix="/v1", dependencies=[KnownParameters])
    for_all = [Reads, KnownParameters]
    app.include_router(collection_routes.all_router, prefix="/v1", dependencies=for_all)
    for_named = [*for_all, Depends(named)]
    app.include_router(collection_routes.one_router, prefix=_ONE, dependencies=for_named)
    for router in _ROUTERS:
        app.include_router(router, prefix=_ONE, dependencies=for_named)
        app.include_router(router, prefix="/v1", dependencies=for_all, include_in_schema=False)
    app.include_router(older_forms.router, dependencies=[Reads])
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
        app.add_route(
            "/{path:path}",
            PageFiles(page, Path(str(MAP_FILES))).serve,
            name="page",
            include_in_schema=False,
        )
