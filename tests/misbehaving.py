"""A web server that does what web servers do, good and bad, by the first part of the path.

``with Server() as server`` runs it on a thread; ``server.requests`` counts paths. Take it to test
whatever fetches things: ``WAYS`` lists what it can do.
"""

import asyncio
import contextlib
import gzip
import io
import random
import threading
import zlib
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Self
from urllib.parse import unquote

from PIL import Image

__all__ = ["WAYS", "Server", "picture"]

Writer = asyncio.StreamWriter
_LONG_S = 30.0  # longer than any test waits


def picture(kind: str = "JPEG", seed: int = 0, side: int = 24) -> bytes:
    """A small picture of noise, another one for each seed."""
    pixels = random.Random(seed).randbytes(side * side * 3)
    file = io.BytesIO()
    Image.frombytes("RGB", (side, side), pixels).save(file, kind)
    return file.getvalue()


def _head(status: str, length: int | None, *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", *headers]
    if length is not None:
        lines.append(f"Content-Length: {length}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def _whole(body: bytes, *headers: str, status: str = "200 OK") -> bytes:
    return _head(status, len(body), *headers) + body


_HTML = b"<!DOCTYPE html><html><body>Not found, but we say 200</body></html>"
_XML = b'<?xml version="1.0"?><Error><Code>NoSuchKey</Code></Error>'
_PICTURE = picture()
_JPEG_TYPE = "Content-Type: image/jpeg"

_ANSWERS = {
    "png.jpg": _whole(picture("PNG"), _JPEG_TYPE),
    "wrong-type": _whole(_PICTURE, "Content-Type: text/html"),
    "html": _whole(_HTML, _JPEG_TYPE),
    "xml": _whole(_XML, "Content-Type: application/xml"),
    "404": _whole(_HTML, status="404 Not Found"),
    "410": _whole(b"", status="410 Gone"),
    "204": _head("204 No Content", None),
    "empty": _whole(b"", _JPEG_TYPE),
    "truncated": _whole(_PICTURE[: len(_PICTURE) // 2], _JPEG_TYPE),
    "gzip": _whole(gzip.compress(_PICTURE), "Content-Encoding: gzip"),
    "deflate": _whole(zlib.compress(_PICTURE)[2:-4], "Content-Encoding: deflate"),
    "gzip-truncated": _whole(gzip.compress(_PICTURE)[:-20], "Content-Encoding: gzip"),
    "gzip-lie": _whole(_PICTURE, "Content-Encoding: gzip"),
    "gzip-broken": _whole(b"\x1f\x8bnonsense", "Content-Encoding: gzip"),
    "bomb": _whole(gzip.compress(bytes(60_000_000)), "Content-Encoding: gzip"),
    "brotli": _whole(b"whatever", "Content-Encoding: br"),
    "500": _whole(b"", status="500 Internal Server Error"),
    "busy": _whole(b"", "Retry-After: 86400", status="429 Too Many Requests"),
    "garbage": b"\x00\xffI am no web server\r\n\r\n",
    "circle": _whole(b"", "Location: /circle-back", status="302 Found"),
    "circle-back": _whole(b"", "Location: /circle", status="301 Moved Permanently"),
    "redirect": _whole(b"", "Location: /ok/redirected", status="307 Temporary Redirect"),
    "to-file": _whole(b"", "Location: file:///etc/passwd", status="302 Found"),
    "to-nonsense": _whole(b"", "Location: http://[", status="302 Found"),
    "no-location": _whole(b"", status="302 Found"),
    "huge": _head("200 OK", 10**12, _JPEG_TYPE) + _PICTURE,
    "understated": _head("200 OK", len(_PICTURE) // 2, _JPEG_TYPE) + _PICTURE,
}
# These are followed by the end of the connection.
_CUT = {
    "cut-off": _head("200 OK", len(_PICTURE), _JPEG_TYPE) + _PICTURE[:-100],
    "chunk-cut-off": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n100\r\nabc",
    "half-a-head": b"HTTP/1.1 200 OK\r\nContent-Len",
    "closes": b"",
    "until-closed": b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + _PICTURE,
    "closed-after": _whole(_PICTURE, "Connection: keep-alive"),
    "understated": _ANSWERS.pop("understated"),
    "huge": _ANSWERS.pop("huge"),
    "garbage": _ANSWERS.pop("garbage"),
}


async def _hang(server: "Server", path: str, writer: Writer) -> None:  # noqa: ARG001 - a way
    await asyncio.sleep(_LONG_S)


async def _hang_midway(server: "Server", path: str, writer: Writer) -> None:  # noqa: ARG001 - a way
    writer.write(_head("200 OK", len(_PICTURE)) + _PICTURE[:50])
    await writer.drain()
    await asyncio.sleep(_LONG_S)


async def _trickle(server: "Server", path: str, writer: Writer) -> None:  # noqa: ARG001 - a way
    writer.write(_head("200 OK", len(_PICTURE)))
    for at in range(len(_PICTURE)):
        writer.write(_PICTURE[at : at + 1])
        await writer.drain()
        await asyncio.sleep(0.05)


async def _slow(server: "Server", path: str, writer: Writer) -> None:  # noqa: ARG001 - a way
    await asyncio.sleep(0.2)
    writer.write(_whole(_PICTURE))


async def _endless(server: "Server", path: str, writer: Writer) -> None:  # noqa: ARG001 - a way
    writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
    while True:
        writer.write(_PICTURE * 100)
        await writer.drain()


async def _good(server: "Server", path: str, writer: Writer) -> None:  # noqa: ARG001 - a way
    writer.write(_whole(picture(seed=zlib.crc32(path.encode()))))


async def _recovers(server: "Server", path: str, writer: Writer) -> None:
    if server.requests[path] == 1:
        writer.write(_whole(b"", "Retry-After: 1", status="503 Service Unavailable"))
    else:
        writer.write(_whole(_PICTURE))


async def _farther(server: "Server", path: str, writer: Writer) -> None:  # noqa: ARG001 - a way
    further = f"Location: {path}/on"
    writer.write(_whole(b"", further, status="302 Found"))


async def _elsewhere(server: "Server", path: str, writer: Writer) -> None:
    """/elsewhere/<host>:<port> redirects there."""
    del server
    where = f"Location: http://{unquote(path.split('/')[2])}/ok"
    writer.write(_whole(b"", where, status="302 Found"))


_ACTS: dict[str, Callable[["Server", str, Writer], Awaitable[None]]] = {
    "ok": _good,
    "hang": _hang,
    "hang-midway": _hang_midway,
    "trickle": _trickle,
    "slow": _slow,
    "endless": _endless,
    "recovers": _recovers,
    "farther": _farther,
    "elsewhere": _elsewhere,
}
WAYS = frozenset({*_ANSWERS, *_CUT, *_ACTS})


class Server:
    """The server, on a free port of 127.0.0.1.

    ``requests`` counts paths, ``agents`` user agents; ``connections`` counts connections made,
    ``most`` is how many requests were under way at once.
    """

    def __init__(self) -> None:
        self.requests: Counter[str] = Counter()
        self.agents: Counter[str] = Counter()
        self.connections = 0
        self.most = 0
        self.port = 0
        self._under_way = 0
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._enough: asyncio.Event | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def url(self, path: str, host: str = "127.0.0.1") -> str:
        return f"http://{host}:{self.port}/{path}"

    def __enter__(self) -> Self:
        self._thread.start()
        self._ready.wait()
        return self

    def __exit__(self, *raised: object) -> None:
        if self._loop is not None and self._enough is not None:
            self._loop.call_soon_threadsafe(self._enough.set)
        self._thread.join()

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._enough = asyncio.Event()
        server = await asyncio.start_server(self._connected, "127.0.0.1", 0, backlog=500)
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._enough.wait()
        server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _connected(self, reader: asyncio.StreamReader, writer: Writer) -> None:
        task = asyncio.create_task(self._talk(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _talk(self, reader: asyncio.StreamReader, writer: Writer) -> None:
        self.connections += 1
        try:
            while await self._answer(reader, writer):
                pass
        except (OSError, asyncio.IncompleteReadError):
            pass  # the other side has gone
        finally:
            writer.close()
            with contextlib.suppress(OSError, asyncio.CancelledError):
                await writer.wait_closed()

    async def _answer(self, reader: asyncio.StreamReader, writer: Writer) -> bool:
        """Answer one request; says whether the connection stays open."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        path = head[0].split(" ")[1]
        headers = dict(line.split(": ", 1) for line in head[1:] if ": " in line)
        self.requests[path] += 1
        self.agents[headers.get("User-Agent", "")] += 1
        way = path.split("/")[1]
        self._under_way += 1
        self.most = max(self.most, self._under_way)
        try:
            if way in _ACTS:
                await _ACTS[way](self, path, writer)
            else:
                writer.write(_ANSWERS.get(way) or _CUT[way])
            await writer.drain()
        finally:
            self._under_way -= 1
        return way not in _CUT and way not in {"endless", "hang"}
