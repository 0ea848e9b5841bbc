"""A real server on a loopback port, in this process or in one of its own."""

import asyncio
import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
import time
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
from lookalike.service.run import ServiceServer, bind_socket, create_server
from lookalike.service.settings import ServiceSettings

__all__ = [
    "Live",
    "Process",
    "app_of",
    "hits",
    "ids",
    "picture",
    "problem",
    "process",
    "serving",
]


@dataclass(frozen=True, slots=True)
class Live:
    """A server that runs. ``client`` asks it; ``home`` holds its collections."""

    address: str
    home: Path
    client: httpx.Client
    app: FastAPI
    server: ServiceServer

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
    made = create_server(app, settings)
    with bind_socket(settings) as socket:
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


@contextlib.contextmanager
def process(home: Path, *arguments: str, **environment: str) -> Iterator[tuple[str, "Process"]]:
    """`lookalike serve` in a process of its own; its address, and what it writes."""
    kept = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
    with subprocess.Popen(
        [sys.executable, "-m", "lookalike", "serve", "--port", "0", *arguments],
        env={
            **kept,
            "LOOKALIKE_HOME": str(home),
            "LOOKALIKE_CACHE": os.environ["LOOKALIKE_CACHE"],
            "PYTHONWARNINGS": "error",
            **environment,
        },
        stderr=subprocess.PIPE,
        text=True,
    ) as running:
        one = Process(running)
        try:
            yield one.address(), one
        finally:
            running.kill()


class Process:
    """A service that runs, and the lines that it has written."""

    def __init__(self, running: "subprocess.Popen[str]") -> None:
        self.running = running
        self.lines: list[str] = []

    def address(self) -> str:
        """Where it serves; waits until it does."""
        assert self.running.stderr is not None
        for line in self.running.stderr:
            self.lines.append(line)
            if found := re.search(r"http://\S+", line):
                address = found[0].replace("0.0.0.0", "127.0.0.1")  # noqa: S104
                for _ in range(600):
                    try:
                        httpx.get(f"{address}/health/live")
                    except httpx.TransportError:
                        time.sleep(0.05)
                    else:
                        return address
        raise AssertionError("".join(self.lines))

    def end(self, how: signal.Signals) -> int:
        """Its exit code after a signal, when it has ended by itself."""
        self.running.send_signal(how)
        code = self.running.wait(60)
        assert self.running.stderr is not None
        self.lines += self.running.stderr
        return code


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
