"""The files of the web UI: under a name that changes with them, so that browsers may keep them.

A document (``index.html``) is asked for again each time, by its ETag. All that it loads lies below
``page/<version>/``, where the version is a digest of all files: after an upgrade a browser loads
either all of the new files or none. Texts are compressed once, when the service starts.
"""

import gzip
import hashlib
import mimetypes
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from lookalike.service.etags import is_unchanged

__all__ = ["PageFiles"]

_FOR_GOOD = "public, max-age=31536000, immutable"
_ASK_AGAIN = "no-cache"
_LINK = re.compile(r'\b(href|src)="([\w./-]+)(#[\w-]*)?"')
_LOADED = re.compile(r'^\s*(?:import|export)\b[^"]*"\./([\w./-]+)"', re.MULTILINE)
_ENTRY = re.compile(r'<script type="module" src="([\w./-]+)"></script>')
_TEXTS = frozenset({".html", ".css", ".js", ".svg", ".json", ".webmanifest"})


@dataclass(frozen=True, slots=True, kw_only=True)
class _File:
    """A file as it is sent. ``packed`` is its content with gzip, if that is smaller."""

    content: bytes
    packed: bytes | None
    media_type: str
    etag: str


class PageFiles:
    """The files of some folders, read once. ``serve`` is the endpoint of ``/{path:path}``."""

    def __init__(self, *folders: Path) -> None:
        contents = {
            path.relative_to(folder).as_posix(): path.read_bytes()
            for folder in folders
            for path in sorted(folder.rglob("*"))
            if path.is_file()
        }
        self.version = _digest(b"".join(name.encode() + one for name, one in contents.items()))
        self._files = {
            name: _file(name, self._document(one, contents) if name.endswith(".html") else one)
            for name, one in contents.items()
        }

    async def serve(self, request: Request) -> Response:
        """Return a file, or 304 where the browser has it. Raise ``HTTPException`` with 404."""
        path = request.path_params["path"]
        name = path.removeprefix(f"page/{self.version}/")
        is_versioned = name != path
        file = self._files.get(name if path else "index.html")
        if file is None:
            raise HTTPException(404)
        caching = _FOR_GOOD if is_versioned and not name.endswith(".html") else _ASK_AGAIN
        return _response(file, request, caching)

    def _document(self, content: bytes, contents: Mapping[str, bytes]) -> bytes:
        """Return a document that loads everything by its versioned name, modules at once."""
        below = f"page/{self.version}/"

        def rename(link: re.Match[str]) -> str:
            attribute, name, fragment = link.groups(default="")
            return f'{attribute}="{below if name in contents else ""}{name}{fragment}"'

        def preload(entry: re.Match[str]) -> str:
            modules = _modules(entry.group(1), contents)
            links = [f'<link rel="modulepreload" href="{name}">' for name in modules]
            return "\n".join([*links, entry.group()])

        text = _ENTRY.sub(preload, content.decode("utf-8"))
        return _LINK.sub(rename, text).encode("utf-8")


def _modules(entry: str, contents: Mapping[str, bytes]) -> list[str]:
    """Return a module and all that it loads, directly or not."""
    found: dict[str, None] = {}
    waiting = [entry]
    while waiting:
        name = waiting.pop()
        if name in contents and name not in found:
            found[name] = None
            waiting += _LOADED.findall(contents[name].decode("utf-8"))
    return sorted(found)


def _file(name: str, content: bytes) -> _File:
    packed = gzip.compress(content, 9, mtime=0) if Path(name).suffix in _TEXTS else content
    return _File(
        content=content,
        packed=packed if len(packed) < len(content) else None,
        media_type=mimetypes.guess_type(name)[0] or "application/octet-stream",
        etag=_digest(content),
    )


def _response(file: _File, request: Request, caching: str) -> Response:
    packed = file.packed if "gzip" in request.headers.get("accept-encoding", "") else None
    etag = f'"{file.etag}{"" if packed is None else "-gzip"}"'
    headers = {"ETag": etag, "Cache-Control": caching, "Vary": "Accept-Encoding"}
    if is_unchanged(request, etag):
        return Response(status_code=304, headers=headers)
    if packed is not None:
        headers["Content-Encoding"] = "gzip"
    return Response(packed or file.content, media_type=file.media_type, headers=headers)


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]
