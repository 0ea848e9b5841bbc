"""Fetch one URL: the bytes of an image, or a status and a reason for the failure."""

import asyncio
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

import aiohttp
from yarl import URL

from lookalike import images
from lookalike.errors import (
    BrokenImageError,
    ImageError,
    ImageTooLargeError,
    NotAnImageError,
    SourceError,
)
from lookalike.images.formats import format_of
from lookalike.sources.download.addresses import (
    PrivateAddressError,
    open_public_socket,
    open_socket,
)
from lookalike.sources.download.politeness import Politeness
from lookalike.sources.object_storage import SCHEMES, NoObjectError, read_object

__all__ = [
    "OK",
    "FetchOutcome",
    "check_image",
    "describe_limit",
    "fetch",
    "find_url_problem",
    "open_session",
]

OK = "ok"

_HEADERS = {"Accept": "image/*,*/*;q=0.5", "Accept-Encoding": "identity"}
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_AT_LEAST = (224, 224)  # every byte of a JPEG is read, at an eighth of the cost
_LONGEST_URL = 8192
_PIECE = 2**16


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchOutcome:
    """The result of a request.

    ``status`` is ``ok`` or one word for the failure (docs/downloads.md lists them), ``reason`` a
    short phrase. ``url`` is the requested one, ``http_status`` that of the last response.
    ``reached`` means that a connection was made. ``kind`` is the image's format according to its
    content.
    """

    status: str
    url: str
    reason: str = ""
    http_status: int | None = None
    retry_after: str | None = None
    reached: bool = True
    data: bytes = b""
    kind: str | None = None


class _Failure(Exception):  # noqa: N818 - carries an outcome to the caller
    def __init__(self, status: str, reason: str, *, reached: bool = True) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason
        self.reached = reached


@asynccontextmanager
async def open_session(politeness: Politeness) -> AsyncIterator[aiohttp.ClientSession]:
    """Return a session that keeps connections, takes no cookies and checks every address."""
    connector = aiohttp.TCPConnector(
        limit=politeness.concurrent,
        limit_per_host=politeness.per_host,  # redirects lead to hosts that have no queue
        ttl_dns_cache=60,
        socket_factory=open_socket if politeness.allow_private else open_public_socket,
    )
    session = aiohttp.ClientSession(
        connector=connector,
        auto_decompress=False,
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={**_HEADERS, "User-Agent": politeness.user_agent},
        timeout=aiohttp.ClientTimeout(
            total=None, sock_connect=politeness.connect_s, sock_read=politeness.read_s
        ),
    )
    async with session:
        yield session


def find_url_problem(url: str) -> str | None:
    """Return why a URL cannot be requested, or ``None``."""
    try:
        _parse_url(url)
    except _Failure as failure:
        return failure.reason
    return None


def _parse_url(text: str) -> URL:
    if len(text) > _LONGEST_URL:
        raise _Failure("bad-url", f"a URL of {len(text):,} characters")
    try:
        scheme = urlsplit(text).scheme.lower()
        if scheme not in {"http", "https"} | SCHEMES:
            what = f"{scheme}: is not downloaded from" if scheme else "it does not begin with http"
            raise _Failure("bad-url", what)
        text.encode()  # raises for a lone surrogate
        url = URL(text)
        if not url.host:
            raise _Failure("bad-url", "it names no host")
        _ = url.port  # raises if it is not a number
        url.host.encode("idna" if not url.host.isascii() else "ascii")
    except (ValueError, UnicodeError) as error:
        raise _Failure("bad-url", "it is not a URL") from error
    return url


async def fetch(session: aiohttp.ClientSession, url: str, politeness: Politeness) -> FetchOutcome:
    """Request a URL and read the response; never raise for what a host does.

    ``ok`` means that all bytes have arrived; whether they are an image, ``check_image`` decides.
    """
    outcome = FetchOutcome(status=OK, url=url)
    try:
        async with asyncio.timeout(politeness.total_s):
            if url.partition("://")[0].lower() in SCHEMES:
                return await _fetch_object(outcome, politeness)
            return await _follow(session, outcome, politeness)
    except _Failure as failure:
        status, reason, reached = failure.status, failure.reason, failure.reached
    except TimeoutError as error:
        # aiohttp's own timeouts have classes of their own; any other is the total limit.
        reached = not isinstance(error, aiohttp.ConnectionTimeoutError)
        silent = reached and isinstance(error, aiohttp.ServerTimeoutError)
        status = "timeout"
        reason = (
            f"silent for {politeness.read_s:g} s"
            if silent
            else f"not done in {politeness.total_s:g} s"
            if reached
            else f"no connection in {politeness.connect_s:g} s"
        )
    except aiohttp.ClientConnectorError as error:
        status, reason, reached = _describe_no_connection(error)
    except (aiohttp.ServerDisconnectedError, aiohttp.ClientPayloadError):
        status, reason, reached = "cut-off", "the connection was closed midway", True
    except aiohttp.ClientResponseError:
        status, reason, reached = "bad-response", "the host does not speak HTTP", True
    except ValueError:  # aiohttp's InvalidURL, and an impossible host name
        status, reason, reached = "bad-url", "it is not a URL", True
    except aiohttp.ClientError as error:
        status, reached = "cut-off", True
        reason = f"the connection failed ({type(error).__name__})"
    except OSError as error:
        status, reached = "cut-off", True
        reason = f"the connection failed ({error.strerror or type(error).__name__})"
    return replace(outcome, status=status, reason=reason, reached=reached)


async def _fetch_object(outcome: FetchOutcome, politeness: Politeness) -> FetchOutcome:
    _parse_url(outcome.url)
    largest = politeness.max_bytes
    try:
        data = await asyncio.to_thread(read_object, outcome.url, max_bytes=largest)
    except SourceError as error:
        status = "no-object" if isinstance(error, NoObjectError) else "unreadable-object"
        reason = str(error).removeprefix(f"{outcome.url} ")
        return replace(outcome, status=status, reason=_escape(reason))
    if data is None:
        return replace(outcome, status="too-large", reason=describe_limit(largest))
    return replace(outcome, data=data)


def _describe_no_connection(error: aiohttp.ClientConnectorError) -> tuple[str, str, bool]:
    cause = error.os_error
    # The second case: a name with several private addresses, whose errors aiohttp joins.
    if isinstance(cause, PrivateAddressError) or "a private address" in str(cause):
        return "private-address", "it leads to a private address", True
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return "unreachable", "no host of that name", False
    if isinstance(error, aiohttp.ClientSSLError):
        return "unreachable", "no secure connection (its certificate or TLS)", False
    words = cause.strerror or type(cause).__name__
    # asyncio's own text contains the address, and strerror is then all of it.
    return "unreachable", "connection refused" if "refused" in str(cause) else words[:120], False


async def _follow(
    session: aiohttp.ClientSession, outcome: FetchOutcome, politeness: Politeness
) -> FetchOutcome:
    url = _parse_url(outcome.url)
    seen = {url}
    while True:
        # aiohttp handles fragments and user names.
        async with session.get(url, allow_redirects=False) as response:
            target = response.headers.get("Location")
            if response.status not in _REDIRECTS or not target:
                return await _read(response, outcome, politeness)
        url = _resolve_redirect(url, target)
        if url in seen:
            raise _Failure("redirects", "it redirects in a circle")
        if len(seen) > politeness.redirects:
            raise _Failure("redirects", f"it redirects more than {politeness.redirects} times")
        seen.add(url)


def _resolve_redirect(url: URL, location: str) -> URL:
    try:
        target = url.join(URL(location))
    except ValueError as error:
        raise _Failure("redirects", "it redirects to what is not a URL") from error
    if target.scheme not in {"http", "https"}:
        raise _Failure("redirects", f"it redirects to {target.scheme[:20]}:, which is not followed")
    if not target.host:
        raise _Failure("redirects", "it redirects to what is not a URL")
    return target


async def _read(
    response: aiohttp.ClientResponse, outcome: FetchOutcome, politeness: Politeness
) -> FetchOutcome:
    status = response.status
    outcome = replace(outcome, http_status=status)
    if status != 200:  # noqa: PLR2004 - the one that comes with the image
        return replace(
            outcome,
            status=f"http-{status}",
            reason=_escape(response.reason or "") or f"HTTP status {status}",
            retry_after=response.headers.get("Retry-After"),
        )
    largest = politeness.max_bytes
    if (response.content_length or 0) > largest:
        return replace(outcome, status="too-large", reason=describe_limit(largest))
    data = bytearray()
    try:
        async for piece in response.content.iter_chunked(_PIECE):
            data += piece
            if len(data) > largest:
                return replace(outcome, status="too-large", reason=describe_limit(largest))
    except aiohttp.ClientPayloadError:
        reason = f"the connection was closed after {len(data):,} bytes"
        return replace(outcome, status="cut-off", reason=reason)
    coding = response.headers.get("Content-Encoding", "").strip().lower()
    body = bytes(data)
    if coding not in {"", "identity"} and format_of(body) is None:
        try:
            body = await asyncio.to_thread(_decompress, body, coding, largest)
        except _Failure as failure:
            return replace(outcome, status=failure.status, reason=failure.reason)
    return replace(outcome, data=body)


def _decompress(data: bytes, coding: str, largest: int) -> bytes:
    """Decompress data that was compressed against the request, to at most ``largest`` bytes."""
    if coding not in {"gzip", "x-gzip", "deflate"}:
        raise _Failure("bad-response", f"compressed as {_escape(coding)}, which was not requested")
    # 47: gzip or zlib. Some hosts send deflate without zlib's two bytes (-15).
    for window in (47, -15) if coding == "deflate" else (47,):
        unpacker = zlib.decompressobj(window)
        try:
            unpacked = unpacker.decompress(data, largest + 1)
        except zlib.error:
            continue
        if len(unpacked) > largest:
            raise _Failure("too-large", f"decompressed, {describe_limit(largest)}")
        if not unpacker.eof:
            raise _Failure("cut-off", "its compressed bytes end too early")
        return unpacked
    raise _Failure("broken", f"it cannot be decompressed as {coding}")


def check_image(outcome: FetchOutcome, limits: images.Limits) -> FetchOutcome:
    """Check the bytes of an ``ok`` outcome: it stays ``ok`` if they are a complete image."""
    if not outcome.data:
        return replace(outcome, status="empty", reason="no bytes were sent")
    try:
        images.decode(outcome.data, limits=limits, at_least=_AT_LEAST)
    except ImageError as error:
        reason = error.reason
        _, known, thing = reason.partition("it looks like ")
        if known:
            thing = "a web page" if "HTML" in thing else thing
            reason = f"{thing} instead of an image"
        return replace(outcome, status=_classify_error(error), reason=reason, data=b"")
    return replace(outcome, kind=format_of(outcome.data))


def _classify_error(error: ImageError) -> str:
    for kind, status in (
        (NotAnImageError, "not-an-image"),
        (ImageTooLargeError, "too-large"),
        (BrokenImageError, "broken"),
    ):
        if isinstance(error, kind):
            return status
    return "broken"


def describe_limit(largest: int) -> str:
    """Return the reason of a file of more than ``largest`` bytes."""
    return f"over the limit of {largest / 1e6:.3g} MB"


def _escape(text: str) -> str:
    return "".join(char for char in text if char.isprintable())[:120]
