"""A server of canned answers, for what real ones rarely do: refuse, lie, hang up, be away.

It speaks HTTP on a socket of its own, and hears what it was asked. How real servers answer is
written down from them; what a collection does on a real one, the contract tests.
"""

import json
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

__all__ = ["Answering", "Asked", "Reply", "answering"]


@dataclass(frozen=True)
class Asked:
    """A request as it came."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True)
class Reply:
    """An answer to it. Without a status, the connection is closed."""

    status: int | None
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class Answering:
    """What was asked so far, and on which port."""

    port: int
    asked: list[Asked]


@contextmanager
def answering(
    reply: Callable[[Asked], Reply], *, certificate: Path | None = None
) -> Iterator[Answering]:
    """Serve on a free port of this machine; with a certificate (PEM, with its key) over TLS."""
    asked: list[Asked] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            size = int(self.headers.get("content-length", 0))
            heard = Asked(
                method=self.command,
                path=self.path,
                headers={name.lower(): value for name, value in self.headers.items()},
                body=self.rfile.read(size),
            )
            asked.append(heard)
            said = reply(heard)
            if said.status is None:
                self.close_connection = True
                return
            text = said.body if isinstance(said.body, str) else json.dumps(said.body)
            data = text.encode()
            self.send_response(said.status)
            kind = "text/html" if isinstance(said.body, str) else "application/json"
            headers = {"content-type": kind, **said.headers, "content-length": str(len(data))}
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = answer  # noqa: N815 - their names

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield Answering(port=server.server_address[1], asked=asked)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
