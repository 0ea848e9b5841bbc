"""The connection to a service: requests, retries while it is busy, problems as errors."""

import json
from collections.abc import Mapping
from importlib import import_module
from typing import Any, TypeAlias, TypedDict, Unpack
from urllib.parse import quote, urlencode, urlsplit

import urllib3

from lookalike.core.error_codes import KINDS
from lookalike.errors import AccessDeniedError, FilterError, ImageError, ServiceError

__all__ = ["Document", "RequestOptions", "ServiceConnection", "segment"]

Document: TypeAlias = dict[str, Any]  # JSON, by the schemas of the service's OpenAPI document

_CONNECT_S = 10.0
_TRIES = 4  # once, and again after a service that was busy asked to wait
_LONGEST_WAIT_S = 30  # whatever a service asks for
_FAILED = 400  # the first status of an error
_UNAUTHORIZED = 401


class RequestOptions(TypedDict, total=False):
    """What may belong to a request. ``about`` is the image that a problem would be of, ``kind``
    the body's type; with ``again`` false nothing is repeated after a broken connection.
    """

    query: Mapping[str, object]
    body: bytes
    kind: str
    about: str | None
    again: bool


class ServiceConnection:
    """Send requests to a service, retry while it is busy, and raise its problems as errors."""

    def __init__(self, url: str, key: str | None, timeout_s: float) -> None:
        self.address = _parse_address(url)
        headers = {"User-Agent": f"lookalike/{import_module('lookalike').__version__}"}
        if key is not None:
            # A header is sent as Latin-1, and a service reads it as UTF-8.
            headers["Authorization"] = f"Bearer {key.strip()}".encode().decode("latin-1")
        self._pool = urllib3.PoolManager(
            maxsize=16,
            headers=headers,
            timeout=urllib3.Timeout(connect=min(_CONNECT_S, timeout_s), read=timeout_s),
        )

    def ask(self, method: str, path: str, **asked: Unpack[RequestOptions]) -> Document:
        """Return the JSON object of the response; empty if the response is."""
        data = self.send(method, path, **asked)
        found = _parse_object(data) if data else {}
        if found is None:
            raise ServiceError(f"{self.address} does not respond as a lookalike service does")
        return found

    def send(self, method: str, path: str, **asked: Unpack[RequestOptions]) -> bytes:
        """Return the body of the response."""
        query, kind = asked.get("query", {}), asked.get("kind", "")
        parameters = urlencode(
            {name: _to_text(one) for name, one in query.items() if one is not None}
        )
        headers = {**self._pool.headers, **({"Content-Type": kind} if kind else {})}
        try:
            response = self._pool.request(
                method,
                self.address + path + ("?" if parameters else "") + parameters,
                body=asked.get("body"),
                headers=headers,
                retries=_make_retries(again=asked.get("again", True)),
            )
        except urllib3.exceptions.HTTPError as error:
            raise ServiceError(f"{self.address} cannot be reached: {_explain(error)}") from error
        if response.status >= _FAILED:
            raise self._error(response, asked.get("about"))
        if 300 <= response.status < _FAILED:  # noqa: PLR2004 - HTTP's
            place = response.headers.get("Location", "elsewhere")
            raise ServiceError(f"{self.address} redirects to {place}; connect to that address")
        return response.data

    def _error(self, response: urllib3.BaseHTTPResponse, about: str | None) -> Exception:
        """Return the error that a problem stands for. See ``core.error_codes``."""
        status, problem = (
            f"{response.status} {response.reason or ''}".strip(),
            _parse_object(response.data),
        )
        if problem is None or not isinstance(problem.get("code"), str):
            return ServiceError(
                f"{self.address} responds with {status}, and not as a lookalike service does"
            )
        detail = str(problem.get("detail"))
        kind = KINDS.get(problem["code"])
        if kind is None:
            return ServiceError(f"{self.address} responds with {status}: {detail}")
        if issubclass(kind, FilterError):
            return kind(detail, text=str(problem.get("filter")), at=int(problem.get("at", 0)))
        if issubclass(kind, ImageError):
            return kind(detail, path=about)
        if issubclass(kind, AccessDeniedError) and response.status == _UNAUTHORIZED:
            without = "asks for a key; give key=… or set LOOKALIKE_API_KEY"
            given = "does not allow that with the key that was given"
            return kind(
                f"{self.address} {given if 'Authorization' in self._pool.headers else without}"
            )
        return kind(detail)

    def close(self) -> None:
        self._pool.clear()


def _parse_address(url: str) -> str:
    try:
        parts = urlsplit(url)
        if parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0:
            return f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}"
    except ValueError:  # half an IPv6 address, a port that is not a number
        pass
    raise ServiceError(f"{url!r} is not the address of a service; give http://HOST:PORT")


def _make_retries(*, again: bool) -> urllib3.Retry:
    """Ask a busy service again when it says so; after a broken connection if that does no harm."""
    return urllib3.Retry(
        total=_TRIES - 1,
        redirect=0,
        read=1 if again else 0,
        other=0,
        status_forcelist=(503,),
        allowed_methods=None,  # searching is a POST, and what is put twice is there once
        backoff_factor=0.2,
        retry_after_max=_LONGEST_WAIT_S,
        raise_on_redirect=False,
        raise_on_status=False,
    )


def _explain(error: urllib3.exceptions.HTTPError) -> str:
    cause = getattr(error, "reason", None) or error
    if isinstance(cause, urllib3.exceptions.NewConnectionError | urllib3.exceptions.ProtocolError):
        cause = cause.__cause__ or cause
    return str(getattr(cause, "strerror", None) or cause)


def _parse_object(data: bytes) -> Document | None:
    try:
        found = json.loads(data)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _to_text(value: object) -> object:
    return str(value).lower() if isinstance(value, bool) else value


def segment(name: str) -> str:
    """Return a quoted path segment. ``.`` and ``..`` are quoted too: clients would remove them."""
    return quote(name, safe="").replace(".", "%2E") if name in {".", ".."} else quote(name, safe="")
