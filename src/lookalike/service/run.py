"""A server around the app: bound before it says so, ended in good order."""

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
    "Server",
    "bind_socket",
    "create_server",
    "exposure_warning",
]

HEAD_S = 10.0  # how long a request's head may take to arrive
_END_S = 30  # how long requests that were taken may go on after the end was asked for
_IDLE_S = 30  # how long a connection may be quiet between two requests
_CONNECTIONS = 1000
_BACKLOG = 512


class HeadTimeoutProtocol(H11Protocol):
    """Closes connections that take too long to say what they want: they cost a place each."""

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
        """Time runs while a request's head is on its way; its body has a limit of its own."""
        cycle: RequestResponseCycle | None = self.cycle  # none before the first request
        if cycle is not None and not cycle.response_complete:
            self._stop()
        elif self._timer is None:
            self._timer = self.loop.call_later(HEAD_S, self.transport.close)

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class Server(uvicorn.Server):
    """Ends streams and jobs as soon as it is told to end, then waits for what it took."""

    def __init__(self, config: uvicorn.Config, service: Service) -> None:
        super().__init__(config)
        self._service = service

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """As uvicorn's, which raises the signal once more at the end: an end in good order is 0."""
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


def create_server(app: FastAPI, settings: ServiceSettings, *, log_level: str = "warning") -> Server:
    """A server for an app of ``create_app``; ``run(sockets=[bind_socket(settings)])`` serves."""
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
    return Server(config, app.state.service)


def bind_socket(settings: ServiceSettings) -> socket.socket:
    """A socket at the settings' address. Raises ``SourceError`` when it cannot be had."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    # asyncio sends small packets at once only where the protocol is named: 40 ms an answer.
    one = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        one.bind((settings.host, settings.port))
    except (OSError, OverflowError) as error:
        one.close()
        raise SourceError(
            f"{settings.host}:{settings.port} cannot be served from: "
            f"{getattr(error, 'strerror', None) or error}; choose another --port or --host"
        ) from error
    return one


def exposure_warning(settings: ServiceSettings) -> str | None:
    """What to warn of when others can reach a service that asks for no key."""
    if is_loopback(settings.host) or (settings.read_key and settings.write_key):
        return None
    if settings.read_key is not None or settings.read_only:
        may = "" if settings.read_key else "read"
    else:
        may = "read, add and delete" if settings.write_key is None else "read"
    if not may:
        return None
    return (
        f"anyone who can reach {settings.host} may {may} pictures; set --read-key and --write-key "
        "(or LOOKALIKE_READ_KEY and LOOKALIKE_WRITE_KEY)"
    )
