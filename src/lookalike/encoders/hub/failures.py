"""What went wrong between here and a hub, as one message: what, where, what to do."""

import errno
from collections.abc import Iterator

from lookalike.errors import PullError

__all__ = ["explain", "is_break", "is_unreachable"]

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_UNAUTHORISED, _FORBIDDEN, _TOO_MANY = 401, 403, 429
_SERVER_ERRORS = 500
_INVALID = "Invalid credentials"


def _kinds(error: BaseException) -> set[str]:
    """Return the names of an error's classes.

    huggingface_hub 1 is built on httpx and version 2 on its successor, with the same names in
    another module.
    """
    return {kind.__name__ for kind in type(error).__mro__}


def is_break(error: BaseException) -> bool:
    """Return whether a connection broke or stalled, so that continuing may help."""
    return bool(_kinds(error) & {"TimeoutException", "NetworkError", "RemoteProtocolError"})


def is_unreachable(error: BaseException) -> bool:
    """Return whether the hub could not be asked, so that a file in the cache may serve."""
    status = _status(error)
    return (
        bool(_kinds(error) & {"TransportError", "OfflineModeIsEnabled"})
        or status == _TOO_MANY
        or (status is not None and status >= _SERVER_ERRORS)
    )


# The first class that an error is of decides; an error may be of several.
_MESSAGES = {
    "GatedRepoError": "{repository} is gated: accept its terms at {endpoint}/{repository}, then "
    "log in with `hf auth login` or set HF_TOKEN",
    "RepositoryNotFoundError": "{endpoint} has no repository {repository}, or it is private; check "
    "the name, and for a private one log in with `hf auth login` or set HF_TOKEN",
    "RevisionNotFoundError": "{repository} has no revision {revision} at {endpoint}",
    "EntryNotFoundError": "{repository} has no file {path} in revision {revision}",
    "HFValidationError": "{repository!r} is not a repository's name, which is OWNER/NAME",
    "OfflineModeIsEnabled": "{path} of {repository} is not in the cache, and HF_HUB_OFFLINE "
    "forbids connections; unset it, or fill the cache where there is a connection",
    "ProxyError": "the proxy refused the connection to {endpoint}: {text}; check HTTPS_PROXY",
    "TimeoutException": "{endpoint} did not respond in time for {path} of {repository}; try again, "
    "or allow more seconds with HF_HUB_DOWNLOAD_TIMEOUT",
    "ConnectError": "{endpoint} cannot be reached: {text}; check the connection, and HF_ENDPOINT "
    "and HTTPS_PROXY if they are set",
}


def explain(
    error: Exception, *, endpoint: str, repository: str, path: str, revision: str
) -> PullError:
    """Return the error to raise for ``error``, which came up with a file of a repository."""
    kinds, status = _kinds(error), _status(error)
    # A hub also returns 401 for what does not exist, so that it does not reveal what is private.
    # The library takes it so for its own endpoint only.
    if status == _UNAUTHORISED and _INVALID not in _header(error, "X-Error-Message"):
        kinds.add("RepositoryNotFoundError")
    for kind, message in _MESSAGES.items():
        if kind in kinds:
            facts = {"endpoint": endpoint, "repository": repository, "path": path}
            return PullError(message.format(**facts, revision=revision, text=_text(error)))
    file = f"{path} of {repository}"
    if status is not None:
        return PullError(_of_status(status, error, endpoint=endpoint, file=file))
    if isinstance(error, OSError) and error.errno in _FULL:
        return PullError(
            f"no space is left for {file}; free some, then pull again: what has arrived is kept"
        )
    return PullError(f"{file} could not be downloaded from {endpoint}: {_text(error)}")


def _of_status(status: int, error: Exception, *, endpoint: str, file: str) -> str:
    if status == _UNAUTHORISED:
        return (
            f"{endpoint} does not accept the token; log in again with `hf auth login`, or correct "
            "HF_TOKEN"
        )
    if status == _FORBIDDEN:
        said = _said(error)
        return (
            f"{_host(error) or endpoint} denies access to {file}"
            f"{f' ({said})' if said else ''}; check what your token may read"
        )
    if status == _TOO_MANY:
        return f"{endpoint} has had too many requests; wait a few minutes, then try again"
    if status >= _SERVER_ERRORS:
        return f"{_host(error) or endpoint} failed (HTTP {status}); try again later"
    return f"{_host(error) or endpoint} refused {file} (HTTP {status})"


def _status(error: BaseException) -> int | None:
    status = getattr(getattr(error, "response", None), "status_code", None)
    return status if isinstance(status, int) else None


def _header(error: BaseException, name: str) -> str:
    headers = getattr(getattr(error, "response", None), "headers", {})
    return str(headers.get(name, ""))


def _host(error: Exception) -> str:
    """Return the host that responded: after a redirect it is not the hub's own."""
    url = getattr(getattr(error, "response", None), "url", None)
    host = getattr(url, "host", "")
    return host if isinstance(host, str) else ""


def _said(error: Exception) -> str:
    said = getattr(error, "server_message", None)
    return " ".join(said.split()) if isinstance(said, str) else ""


def _text(error: BaseException) -> str:
    """Return the first line that says something, of the error or of what caused it."""
    for one in _chain(error):
        line = next((line.strip() for line in str(one).splitlines() if line.strip()), "")
        if line:
            return line
    return type(error).__name__


def _chain(error: BaseException) -> Iterator[BaseException]:
    one: BaseException | None = error
    while one is not None:
        yield one
        one = one.__cause__ or one.__context__
