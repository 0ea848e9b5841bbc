"""A hub of models on this machine: it speaks the protocol of the real ones, and fails as they do.

    with HubServer() as hub:
        commit = hub.add("owner/name", {"onnx/model.onnx": content})
        hub.ways.append("cut")          # see WAYS
        ...                             # HF_ENDPOINT=hub.address

Large files (LFS) have their SHA-256 as etag and redirect to a second server, as to a CDN; others
have Git's digest and come directly. What the protocol is, was read in huggingface_hub's source.
Xet is off: no response names it.
"""

import hashlib
import json
import re
import threading
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import unquote, urlsplit

__all__ = ["WAYS", "HubServer"]

WAYS: Mapping[str, str] = {
    "gated": "401 with the code of a repository whose terms must be accepted",
    "awaiting": "403 with that code: logged in, not yet accepted",
    "private": "401 without a code, as for a repository that is not there",
    "bad-token": "401 for a token that nobody issued",
    "forbidden": "403 for a token that may not read this",
    "busy": "429",
    "down": "503",
    "hang": "no response",
    "login-page": "200 with a page, as from a network that wants a login first",
    "other-commit": "each request is told another commit",
    "cdn-refuses": "the CDN has 403, as for an address that has expired",
    "cdn-hangs": "the CDN sends half, then nothing",
    "cut": "the CDN closes the connection after half of what is left",
    "cut-at-once": "the CDN closes the connection before the first byte",
    "cut-without-ranges": "the CDN knows no ranges and closes after half",
    "without-ranges": "the CDN knows no ranges",
    "damaged": "the CDN sends other bytes, of the right size",
    "too-long": "the CDN sends more than was said",
}
_LFS_BYTES = 1000  # files of this size and more are in LFS
_HANG_S = 20.0  # longer than any test waits


class _Http(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that goes away is no fault of the server."""


class HubServer:
    """A hub and its CDN, on two ports.

    ``requests`` lists "METHOD path" and the range that was asked for, of both; ``tokens`` what
    each was given as authorization. ``ways`` are the ways of ``WAYS`` in which it misbehaves.
    """

    def __init__(self) -> None:
        self.ways: list[str] = []
        self.requests: list[str] = []
        self.tokens: list[tuple[str, str | None]] = []
        self.renamed: dict[str, str] = {}
        self.licences: dict[str, str] = {}  # what a repository's card names
        self.cut_left: int | None = None  # how often "cut" happens; None: always
        self._repositories: dict[str, dict[str, dict[str, bytes]]] = {}
        self._branches: dict[tuple[str, str], str] = {}
        self._hub = _Http(("127.0.0.1", 0), _handler(self._answer))
        # Another host name than the hub's, so that a token must not follow.
        self._cdn = _Http(("127.0.0.1", 0), _handler(self._answer_from_cdn))
        self._closing = threading.Event()

    def __enter__(self) -> Self:
        for server in (self._hub, self._cdn):
            threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *raised: object) -> None:
        self._closing.set()
        for server in (self._hub, self._cdn):
            server.shutdown()
            server.server_close()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self._hub.server_address[1]}"

    def add(self, repository: str, files: Mapping[str, bytes], *, branch: str = "main") -> str:
        """Commit the files as all that the repository has; return the commit."""
        digests = {path: hashlib.sha256(content).hexdigest() for path, content in files.items()}
        commit = _sha1(json.dumps([repository, branch, digests]).encode())
        self._repositories.setdefault(repository, {})[commit] = dict(files)
        self._branches[repository, branch] = commit
        return commit

    def replace(self, repository: str, commit: str, path: str, content: bytes) -> None:
        """Give a commit another file, which an honest hub never does."""
        self._repositories[repository][commit][path] = content

    def downloads(self, path: str = "") -> list[str]:
        """Return the requests to the CDN, and for small files to the hub."""
        return [one for one in self.requests if one.startswith("GET") and path in one]

    def _commit(self, repository: str, revision: str) -> str | None:
        commits = self._repositories.get(repository, {})
        found = self._branches.get((repository, revision), revision)
        return found if found in commits else None

    def _answer(self, request: "_Handler") -> None:
        request.note(self, "")
        if self._misbehaves(request):
            return
        path = unquote(urlsplit(request.path).path)
        listing = re.fullmatch(r"/api/models/([^/]+/[^/]+)/tree/([^/]+)", path)
        info = re.fullmatch(r"/api/models/([^/]+/[^/]+)(?:/revision/([^/]+))?", path)
        file = re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path)
        found = listing or info or file
        if found is None:
            request.send(404, b"nothing here")
            return
        repository, revision = found[1], found[2] or "main"
        if repository in self.renamed:
            target = request.path.replace(repository, self.renamed[repository])
            request.send(307, b"", {"Location": target})
            return
        commit = self._commit(repository, revision)
        if repository not in self._repositories:
            request.send(401, b"", {"X-Error-Code": "RepoNotFound"})
        elif commit is None:
            request.send(404, b"", {"X-Error-Code": "RevisionNotFound"})
        elif file is None:
            self._describe(request, repository, commit, tree=listing is not None)
        else:
            self._resolve(request, repository, commit, file[3])

    def _describe(self, request: "_Handler", repository: str, commit: str, *, tree: bool) -> None:
        files = self._repositories[repository][commit]
        entries: list[dict[str, Any]] = [
            {"type": "file", "path": path, "oid": _git_digest(content), "size": len(content)}
            for path, content in files.items()
        ]
        document: Any = entries
        if not tree:
            siblings = [{"rfilename": path} for path in files]
            document = {"id": repository, "sha": commit, "siblings": siblings}
            if repository in self.licences:
                document["cardData"] = {"license": self.licences[repository]}
        headers = {"Content-Type": "application/json", "X-Repo-Commit": commit}
        request.send(200, json.dumps(document).encode(), headers)

    def _resolve(self, request: "_Handler", repository: str, commit: str, path: str) -> None:
        content = self._repositories[repository][commit].get(path)
        if "other-commit" in self.ways:
            commit = _sha1(str(len(self.requests)).encode())
        headers = {"X-Repo-Commit": commit}
        if content is None:
            request.send(404, b"", {**headers, "X-Error-Code": "EntryNotFound"})
        elif len(content) < _LFS_BYTES:
            request.send(200, content, {**headers, "ETag": f'"{_git_digest(content)}"'})
        else:
            digest = hashlib.sha256(content).hexdigest()
            there = f"http://localhost:{self._cdn.server_address[1]}"
            request.send(
                302,
                b"",
                {
                    **headers,
                    "X-Linked-Etag": f'"{digest}"',
                    "X-Linked-Size": str(len(content)),
                    "Location": f"{there}/{repository}/{commit}/{path}?signature=0",
                },
            )

    def _answer_from_cdn(self, request: "_Handler") -> None:
        request.note(self, "cdn")
        owner, name, commit, path = urlsplit(request.path).path.lstrip("/").split("/", 3)
        content = self._repositories[f"{owner}/{name}"][commit][unquote(path)]
        start = _start(request.headers.get("Range"))
        if "cdn-refuses" in self.ways:
            request.send(403, b"<Error><Code>AccessDenied</Code></Error>")
            return
        if "damaged" in self.ways:
            content = bytes([content[0] ^ 1]) + content[1:]
        if "without-ranges" in self.ways or "cut-without-ranges" in self.ways:
            start = 0
        if start >= len(content):
            request.send(416, b"", {"Content-Range": f"bytes */{len(content)}"})
            return
        headers = {"Content-Length": str(len(content) - start)}
        if start:
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        rest = content[start:]
        if "too-long" in self.ways:
            rest += b"more"
            headers["Content-Length"] = str(len(rest))
        request.begin(206 if start else 200, headers)
        request.wfile.write(rest[: self._sent(len(rest))])
        request.wfile.flush()
        if "cdn-hangs" in self.ways:
            self._closing.wait(_HANG_S)

    def _sent(self, size: int) -> int:
        """Return how many bytes of ``size`` are sent before something happens."""
        if self.cut_left == 0:
            return size
        if "cut-at-once" in self.ways:
            return 0
        if {"cut", "cut-without-ranges", "cdn-hangs"} & set(self.ways):
            if self.cut_left is not None:
                self.cut_left -= 1
            return size // 2
        return size

    def _misbehaves(self, request: "_Handler") -> bool:
        ways = set(self.ways)
        if "hang" in ways:
            self._closing.wait(_HANG_S)
            request.close_connection = True
            return True
        if "login-page" in ways:
            request.send(200, b"<html>Welcome to our network</html>", {"Content-Type": "text/html"})
            return True
        refusals: dict[str, tuple[int, dict[str, str]]] = {
            "gated": (401, {"X-Error-Code": "GatedRepo"}),
            "awaiting": (403, {"X-Error-Code": "GatedRepo"}),
            "private": (401, {}),
            "bad-token": (401, {"X-Error-Message": "Invalid credentials in Authorization header"}),
            "forbidden": (403, {"X-Error-Message": "read access was not granted"}),
            "busy": (429, {}),
            "down": (503, {}),
        }
        for way in ways & set(refusals):
            request.send(refusals[way][0], b"", refusals[way][1])
            return True
        return False


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    answer: Callable[["_Handler"], None]

    def do_GET(self) -> None:
        type(self).answer(self)

    def do_HEAD(self) -> None:
        type(self).answer(self)

    def note(self, server: HubServer, host: str) -> None:
        asked = self.headers.get("Range")
        path = urlsplit(self.path).path
        server.requests.append(" ".join(filter(None, (self.command, host, path, asked))))
        server.tokens.append((host, self.headers.get("Authorization")))

    def begin(self, status: int, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        for name, value in {"Connection": "close", **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.close_connection = True

    def send(self, status: int, body: bytes, headers: Mapping[str, str] | None = None) -> None:
        self.begin(status, {"Content-Length": str(len(body)), **(headers or {})})
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


def _handler(answer: Callable[[_Handler], None]) -> type[_Handler]:
    return type("Handler", (_Handler,), {"answer": staticmethod(answer)})


def _git_digest(content: bytes) -> str:
    return _sha1(b"blob %d\0" % len(content) + content)


def _sha1(content: bytes) -> str:
    return hashlib.sha1(content, usedforsecurity=False).hexdigest()


def _start(asked: str | None) -> int:
    found = re.fullmatch(r"bytes=(\d+)-", asked or "")
    return int(found[1]) if found else 0
