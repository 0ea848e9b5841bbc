"""A proxy between a client and a server, that a test makes slow or rude."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from urllib.parse import urlsplit

__all__ = ["Between", "between"]


@dataclass(slots=True, kw_only=True)
class Between:
    """``delay_s``: what each part of an answer waits. ``cut``: how many answers to bulk requests
    are still to be swallowed, with the connection, though the server has done what they tell."""

    port: int
    delay_s: float = 0.0
    cut: int = 0


@contextmanager
def between(url: str) -> Iterator[Between]:
    """Listen on a free port of this machine, and pass on what comes to the server at ``url``."""
    place = urlsplit(url)
    target = (place.hostname or "", place.port or 9200)
    listening = socket.create_server(("127.0.0.1", 0))
    rules = Between(port=listening.getsockname()[1])
    opened: list[socket.socket] = [listening]

    def connect() -> None:
        with suppress(OSError):
            while True:
                client, _ = listening.accept()
                server = socket.create_connection(target)
                opened.extend((client, server))
                asked = threading.Event()  # the request under way is a bulk one
                for work in (_ask, _answer):
                    threading.Thread(
                        target=work, args=(client, server, asked, rules), daemon=True
                    ).start()

    thread = threading.Thread(target=connect, daemon=True)
    thread.start()
    try:
        yield rules
    finally:
        for one in opened:
            _end(one)
        thread.join(10)


def _ask(
    client: socket.socket, server: socket.socket, asked: threading.Event, _rules: Between
) -> None:
    with suppress(OSError):
        while part := client.recv(65_536):
            if part.startswith(b"POST /_bulk"):
                asked.set()
            server.sendall(part)
    _end(server)


def _answer(
    client: socket.socket, server: socket.socket, asked: threading.Event, rules: Between
) -> None:
    with suppress(OSError):
        while part := server.recv(65_536):
            if rules.cut and asked.is_set():
                rules.cut -= 1
                break
            asked.clear()
            time.sleep(rules.delay_s)
            client.sendall(part)
    _end(client)
    _end(server)


def _end(one: socket.socket) -> None:
    with suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)
    one.close()
