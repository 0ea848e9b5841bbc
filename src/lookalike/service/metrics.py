"""The metrics of a service, in the format of Prometheus. Each app has its own."""

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
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lookalike.service.availability import Availability
from lookalike.service.page_files import PageFiles

__all__ = ["Metrics", "MetricsMiddleware"]

_VERSION: str = import_module("lookalike").__version__
_NOT_FOUND = 404
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class Metrics:
    """The metrics of one app; also a ``batching.EncodingMeter``."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=self.registry)
        Info("lookalike_build", "Version of lookalike.", registry=self.registry).info(
            {"version": _VERSION}
        )
        self._requests = Counter(
            "lookalike_requests",
            "Requests handled.",
            ("route", "method", "status"),
            registry=self.registry,
        )
        self._seconds = Histogram(
            "lookalike_request_seconds",
            "Time from a request's head to the end of the response.",
            ("route",),
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._open = Gauge(
            "lookalike_requests_open", "Requests in progress.", registry=self.registry
        )
        self._batch = Histogram(
            "lookalike_encode_batch_images",
            "Images encoded in one batch.",
            buckets=(1, 2, 4, 8, 16, 32),
            registry=self.registry,
        )
        self._encode = Histogram(
            "lookalike_encode_seconds",
            "Encoding time of a batch.",
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._waiting = Gauge(
            "lookalike_encode_waiting",
            "Images waiting, being prepared, or being encoded.",
            registry=self.registry,
        )
        self._items = Gauge(
            "lookalike_items",
            "Items of the available collections.",
            ("collection",),
            registry=self.registry,
        )
        self._up = Gauge(
            "lookalike_collection_up",
            "1 if a collection is available, 0 if not.",
            ("collection",),
            registry=self.registry,
        )

    def began(self) -> None:
        """Record the start of a request."""
        self._open.inc()

    def ended(self, route: str, method: str, status: int, seconds: float) -> None:
        """Record the end of a request."""
        self._open.dec()
        self._requests.labels(route, method, str(status)).inc()
        self._seconds.labels(route).observe(seconds)

    def batch(self, images: int, seconds: float) -> None:
        self._batch.observe(images)
        self._encode.observe(seconds)

    def waiting(self, change: int) -> None:
        self._waiting.inc(change)

    def document(self, states: Iterable[Availability], *, accept: str = "") -> tuple[bytes, str]:
        """Return the metrics with the availability of each collection, and the content type:
        OpenMetrics where ``accept`` allows it, else the older text format.
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
    """Middleware that counts and times requests by route, never by user input."""

    _METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

    def __init__(self, app: ASGIApp, *, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status, began = 500, time.perf_counter()

        async def send_and_note(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        self._metrics.began()
        try:
            await self._app(scope, receive, send_and_note)
        finally:
            method = scope["method"] if scope["method"] in self._METHODS else "other"
            self._metrics.ended(
                _find_route(scope, status), method, status, time.perf_counter() - began
            )


def _find_route(scope: Scope, status: int) -> str:
    """Return the route's pattern, the same whether the request names a collection or not."""
    if isinstance(getattr(scope.get("endpoint"), "__self__", None), PageFiles):
        return "page" if status < _NOT_FOUND else "none"  # it gets what no other route matches too
    path = getattr(scope.get("route"), "path", "none")
    return str(path).removeprefix("/v1").removeprefix("/collections/{name}") or "/collection"
