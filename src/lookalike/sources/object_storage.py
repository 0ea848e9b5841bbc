"""Read objects of S3, Google Cloud Storage and the like through fsspec.

fsspec and the library of each kind of storage (s3fs, gcsfs) belong to the extra ``object-storage``.
Credentials and the address of another server come from the environment, as these libraries read
it (``AWS_PROFILE``, ``AWS_ENDPOINT_URL``, ``GOOGLE_APPLICATION_CREDENTIALS`` …).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

from lookalike.errors import SourceError

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

__all__ = [
    "SCHEMES",
    "NoObjectError",
    "ObjectFacts",
    "is_object_url",
    "list_objects",
    "read_object",
]

SCHEMES = frozenset({"s3", "s3a", "gs", "gcs", "memory"})
_LISTED = SCHEMES | {"http", "https"}  # of the latter, web pages with links are listings
_NEEDS = {"s3": "s3fs", "s3a": "s3fs", "gs": "gcsfs", "gcs": "gcsfs"}
_LINKS = frozenset({"http", "https"})
_PIECE = 2**20


class NoObjectError(SourceError):
    """There is no such object. Never leaves ``sources``."""


class ObjectFacts(NamedTuple):
    """An object: its URL, its path below the listed place, and what shows whether it changed."""

    url: str
    path: str
    size: int | None
    mtime: float | None
    etag: str


def is_object_url(text: str) -> bool:
    """Return whether a text names a place in object storage, or a listing on the web."""
    scheme, mark, rest = text.partition("://")
    return bool(mark and rest) and scheme.lower() in _LISTED


def list_objects(url: str) -> Iterator[ObjectFacts]:
    """Yield the objects below a URL, folder by folder. Raise ``SourceError``."""
    base = url.rstrip("/")
    links = base.partition("://")[0].lower() in _LINKS
    with _translated(base):
        system, root = _open(base)
        if not links and not system.exists(root):
            raise FileNotFoundError(base)
        root = root.rstrip("/")
        waiting = [root + "/" if links else root]
        seen = set(waiting)
        while waiting:
            folder = waiting.pop()
            for found in sorted(system.ls(folder, detail=True), key=lambda one: str(one["name"])):
                name = str(found["name"])
                if not name.startswith(root + "/") or name.rstrip("/") == folder.rstrip("/"):
                    continue  # a link to elsewhere, or the folder's own entry
                if found["type"] == "directory" or (links and name.endswith("/")):
                    if name not in seen:
                        seen.add(name)
                        waiting.append(name)
                    continue
                facts = system.info(name) if links else found
                path = name[len(root) + 1 :]
                yield ObjectFacts(
                    url=name if links else f"{base}/{path}",
                    path=path,
                    size=facts.get("size"),
                    mtime=_read_time(facts),
                    etag=str(facts.get("ETag") or facts.get("etag") or ""),
                )


def read_object(url: str, *, max_bytes: int) -> bytes | None:
    """Return the bytes of an object; ``None`` if they are more than ``max_bytes``.

    Raise ``SourceError`` with the reason as its text.
    """
    with _translated(url):
        system, path = _open(url)
        size = 0
        pieces = []
        with system.open(path, "rb", cache_type="none") as file:
            while piece := file.read(_PIECE):
                pieces.append(piece)
                size += len(piece)
                if size > max_bytes:
                    return None
        return b"".join(pieces)


def _open(url: str) -> "tuple[AbstractFileSystem, str]":
    try:
        import fsspec  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise SourceError(_describe_missing(url, "fsspec")) from error
    scheme = url.partition("://")[0].lower()
    try:
        found: tuple[AbstractFileSystem, str] = fsspec.url_to_fs(url)
    except ImportError as error:
        raise SourceError(_describe_missing(url, _NEEDS.get(scheme, "aiohttp"))) from error
    system, path = found
    system.invalidate_cache()  # a listing of an earlier run says nothing about now
    return system, path


def _describe_missing(url: str, package: str) -> str:
    wanted = "gcsfs" if package == "gcsfs" else "'lookalike[object-storage]'"
    return f"{url} needs {package}, which is not installed: pip install {wanted}"


@contextmanager
def _translated(url: str) -> Iterator[None]:
    """Raise what a storage library raises as ``SourceError``, in plain words."""
    try:
        yield
    except SourceError:
        raise
    except FileNotFoundError as error:
        raise NoObjectError(f"{url} does not exist") from error
    except Exception as error:  # each library has errors of its own
        raise SourceError(f"{url} {_describe(error)}") from error


def _describe(error: Exception) -> str:
    kind, text = type(error).__name__, str(error)
    if "NoSuchBucket" in text:
        return "does not exist"
    if "Credentials" in kind or "credentials" in text:
        return "cannot be read without credentials; none were found in the environment"
    if isinstance(error, PermissionError) or "403" in text or "401" in text:
        return "may not be read with these credentials"
    if isinstance(error, TimeoutError) or "Timeout" in kind:
        return "does not respond in time"
    if isinstance(error, ConnectionError) or "Connect" in kind or "Endpoint" in kind:
        return "cannot be reached: its server does not respond"
    first = text.splitlines()[0][:200] if text else kind
    return f"cannot be read: {first}"


def _read_time(facts: dict[str, object]) -> float | None:
    """Return the modification time of an object in seconds since 1970, if it is known."""
    for name in ("LastModified", "mtime", "updated", "created"):
        value = facts.get(name)
        if isinstance(value, datetime):
            return value.timestamp()
        if isinstance(value, str):
            try:
                return datetime.fromisoformat(value).timestamp()
            except ValueError:
                continue
        if isinstance(value, int | float):
            return float(value)
    return None
