"""The server around the app: it listens before it reports its address, and shuts down cleanly."""

import asyncio
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

from lookalike.errors import SourceError
from lookalike.service.settings import ServiceSettings, is_loopback
from lookalike.service.state import Service

__all__ = [
    "HEAD_S",
    "HeadTimeoutProtocol",
    "ServiceServer",
    "bind_socket",
    "create_server",
    "exposure_warning",
]

HEAD_S = 10.0  # time limit for a request's head to arrive
_END_S = 30  # time limit for requests in progress at shutdown
_IDLE_S = 30  # time limit for an idle connection between two requests
_CONNECTIONS = 1000
_BACKLOG = 512


class HeadTimeoutProtocol(H11Protocol):
    """Closes connections whose request head takes too long: each one occupies a slot."""

    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._watch()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop()
        super().connection_lost(exc)

    def _watch(self) -> None:
        """Start the timer while a request's head is arriving; the body has its own limit."""
        cycle: RequestResponseCycle | None = self.cycle  # none before the first request
        if cycle is not None and not cycle.response_complete:
            self._stop()
        elif self._timer is None:
            self._timer = self.loop.call_later(HEAD_S, self.transport.close)

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class ServiceServer(uvicorn.Server):
    """On shutdown, ends streams and jobs at once, then waits for the requests in progress."""

    def __init__(self, config: uvicorn.Config, service: Service) -> None:
        super().__init__(config)
        self._service = service

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """As uvicorn's, but without raising the signal again: a clean shutdown exits with 0."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        wanted = (signal.SIGINT, signal.SIGTERM)
        before = {one: signal.signal(one, self.handle_exit) for one in wanted}
        try:
            yield
        finally:
            for one, handler in before.items():
                signal.signal(one, handler)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._service.closing.set()
        await self._service.jobs.close()
        await super().shutdown(sockets)


def create_server(
    app: FastAPI, settings: ServiceSettings, *, log_level: str = "warning"
) -> ServiceServer:
    """Return a server for an app of ``create_app``; start it with ``run(sockets=[…])``."""
    config = uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        http=HeadTimeoutProtocol,
        log_level=log_level,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=_IDLE_S,
        timeout_graceful_shutdown=_END_S,
        limit_concurrency=_CONNECTIONS,
        backlog=_BACKLOG,
        lifespan="on",
    )
    return ServiceServer(config, app.state.service)


def bind_socket(settings: ServiceSettings) -> socket.socket:
    """Return a socket bound to the settings' address. Raise ``SourceError`` if that fails."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    # asyncio sets TCP_NODELAY only where the protocol is named; else a response takes 40 ms more.
    one = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        one.bind((settings.host, settings.port))
    except (OSError, OverflowError) as error:
        one.close()
        raise SourceError(
            f"{settings.host}:{settings.port} cannot be used: "
            f"{getattr(error, 'strerror', None) or error}; choose another --port or --host"
        ) from error
    return one


def exposure_warning(settings: ServiceSettings) -> str | None:
    """Return a warning if others can reach a service that requires no key, else ``None``."""
    if is_loopback(settings.host) or (settings.read_key and settings.write_key):
        return None
    if settings.read_key is not None or settings.read_only:
        may = "" if settings.read_key else "read"
    else:
        may = "read, add and delete" if settings.write_key is None else "read"
    if not may:
        return None
    return (
        f"anyone who can reach {settings.host} may {may} images; set --read-key and --write-key "
        "(or LOOKALIKE_READ_KEY and LOOKALIKE_WRITE_KEY)"
    )
