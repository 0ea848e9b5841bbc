"""What a service counts, in Prometheus' form. Each app has its own numbers."""

import time
from collections.abc import Iterable
from importlib import import_module

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    Info,
    PlatformCollector,
    ProcessCollector,
)
from prometheus_client.exposition import choose_encoder
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lookalike.service.availability import Availability

__all__ = ["Metrics", "MetricsMiddleware"]

_VERSION: str = import_module("lookalike").__version__
_NOT_FOUND = 404
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class Metrics:
    """Satisfies ``batching.Meter`` as well."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=self.registry)
        Info("lookalike_build", "What runs.", registry=self.registry).info({"version": _VERSION})
        self._requests = Counter(
            "lookalike_requests",
            "Requests answered.",
            ("route", "method", "status"),
            registry=self.registry,
        )
        self._seconds = Histogram(
            "lookalike_request_seconds",
            "From a request's head to the end of its answer.",
            ("route",),
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._open = Gauge("lookalike_requests_open", "Requests in work.", registry=self.registry)
        self._batch = Histogram(
            "lookalike_encode_batch_pictures",
            "Pictures encoded together.",
            buckets=(1, 2, 4, 8, 16, 32),
            registry=self.registry,
        )
        self._encode = Histogram(
            "lookalike_encode_seconds",
            "Time of the network for a batch.",
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._waiting = Gauge(
            "lookalike_encode_waiting",
            "Pictures being prepared, waiting, or encoded.",
            registry=self.registry,
        )
        self._items = Gauge(
            "lookalike_items",
            "Items of the collections that can be asked.",
            ("collection",),
            registry=self.registry,
        )
        self._up = Gauge(
            "lookalike_collection_up",
            "1 where a collection can be asked, 0 where it is away.",
            ("collection",),
            registry=self.registry,
        )

    def began(self) -> None:
        """A request has come."""
        self._open.inc()

    def ended(self, route: str, method: str, status: int, seconds: float) -> None:
        """A request has been answered."""
        self._open.dec()
        self._requests.labels(route, method, str(status)).inc()
        self._seconds.labels(route).observe(seconds)

    def batch(self, pictures: int, seconds: float) -> None:
        self._batch.observe(pictures)
        self._encode.observe(seconds)

    def waiting(self, change: int) -> None:
        self._waiting.inc(change)

    def document(self, states: Iterable[Availability], *, accept: str = "") -> tuple[bytes, str]:
        """What Prometheus reads, with how each collection stands now, and its type: the one that
        it accepts, OpenMetrics or its own older text.
        """
        self._items.clear()
        self._up.clear()
        for one in states:
            self._up.labels(one.name).set(one.document is not None)
            if one.document is not None:
                self._items.labels(one.name).set(float(str(one.document["items"])))
        encode, kind = choose_encoder(accept)
        return encode(self.registry), kind


class MetricsMiddleware:
    """Middleware: counts and times every request by its route, never by what a person sent."""

    _METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

    def __init__(self, app: ASGIApp, *, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status, began = 500, time.perf_counter()

        async def noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        self._metrics.began()
        try:
            await self._app(scope, receive, noted)
        finally:
            method = scope["method"] if scope["method"] in self._METHODS else "other"
            self._metrics.ended(_route(scope, status), method, status, time.perf_counter() - began)


def _route(scope: Scope, status: int) -> str:
    """The pattern that matched, the same whether the collection was named or not."""
    if isinstance(scope.get("endpoint"), StaticFiles):  # which also takes what nothing else does
        return "page" if status < _NOT_FOUND else "none"
    path = getattr(scope.get("route"), "path", "none")
    return str(path).removeprefix("/v1").removeprefix("/collections/{name}") or "/collection"
