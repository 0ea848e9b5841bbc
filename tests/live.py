"""A real server on a loopback port, in this process or in one of its own."""

import asyncio
import contextlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
from fastapi import FastAPI

import lookalike
from lookalike.config import Settings
from lookalike.service.app import create_app
from lookalike.service.collections import Collections
from lookalike.service.metrics import Metrics
from lookalike.service.run import Server, bound, server
from lookalike.service.settings import ServiceSettings

__all__ = ["Live", "app_of", "hits", "ids", "picture", "problem", "serving"]


@dataclass(frozen=True, slots=True)
class Live:
    """A server that runs. ``client`` asks it; ``home`` holds its collections."""

    address: str
    home: Path
    client: httpx.Client
    app: FastAPI
    server: Server

    def opened(self, name: str = "shop") -> lookalike.Collection:
        """The collection as another process would open it."""
        return lookalike.open(self.home / "collections" / name, create=False)


def app_of(home: Path, settings: ServiceSettings, *addresses: str) -> FastAPI:
    metrics = Metrics()
    collections = Collections(
        known=Settings(home=home, cache=home / "cache"),
        addresses=addresses,
        settings=settings,
        meter=metrics,
    )
    return create_app(collections, settings, metrics)


@contextlib.contextmanager
def serving(home: Path, *addresses: str, settings: ServiceSettings | None = None) -> Iterator[Live]:
    """Serve the collections of ``home``; at the end the server has ended in good order."""
    settings = replace(settings or ServiceSettings(), port=0)
    app = app_of(home, settings, *addresses)
    made = server(app, settings)
    with bound(settings) as socket:
        thread = threading.Thread(target=asyncio.run, args=(made.serve(sockets=[socket]),))
        thread.start()
        address = f"http://127.0.0.1:{socket.getsockname()[1]}"
        try:
            while not made.started:
                assert thread.is_alive(), "the server did not start"
                thread.join(0.01)
            with httpx.Client(base_url=address, timeout=60) as client:
                yield Live(address, home, client, app, made)
        finally:
            made.should_exit = True
            thread.join(60)
            assert not thread.is_alive()


def picture(live: Live, name: str = "mugs/1.png") -> bytes:
    """A file that was indexed."""
    return (live.home / "pictures" / name).read_bytes()


def hits(answer: httpx.Response) -> list[dict[str, Any]]:
    """The hits of an answer, which must be one."""
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["hits"]
    return found


def ids(answer: httpx.Response) -> list[str]:
    return [hit["id"] for hit in hits(answer)]


def problem(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """The problem that an answer must be."""
    assert (answer.status_code, answer.headers["content-type"]) == (
        status,
        "application/problem+json",
    ), answer.text
    found: dict[str, Any] = answer.json()
    assert (found["code"], found["status"], found["type"]) == (code, status, "about:blank")
    assert found["detail"]
    return found
