"""Translate a server's error responses into lookalike's errors. Pure."""

from typing import Any

from lookalike.errors import (
    CollectionError,
    CollectionNotFoundError,
    LookalikeError,
    StoreBusyError,
    StoreDeniedError,
    StoreError,
    StoreFullError,
    StoreReadOnlyError,
    StoreUnreachableError,
)

__all__ = ["not_json", "refusal", "unreachable"]

_LONGEST = 300  # characters of a server's own message that are shown


def refusal(status: int, body: Any, *, address: str, kind: str) -> LookalikeError:  # noqa: ANN401, PLR0911 - JSON; a case each
    """Return the error for an error response; ``kind`` is the kind of the address."""
    error_type, why = _words(body)
    if "cluster_block_exception" in (error_type, why) or "create-index blocked" in why:
        return _blocked(why, address=address)
    if "index_closed_exception" in error_type or "closed" in why.split():
        return StoreReadOnlyError(
            f"the index of {address} is closed; open it: POST NAME/_open, on the server"
        )
    said = _short(why) or error_type or "no reason given"
    match status:
        case 401 | 403:
            return _denied(status, said, address=address, kind=kind)
        case 404 if error_type == "index_not_found_exception":
            return CollectionNotFoundError(
                f"there is no collection at {address}; `lookalike index FOLDER` makes one"
            )
        case 413:
            return StoreError(
                f"{address} does not accept a request of this size; raise its "
                "http.max_content_length, or "
                "the limit of the proxy before it"
            )
        case 429:
            return StoreBusyError(f"{address} is overloaded; try again later")
        case 502 | 504:
            return StoreUnreachableError(
                f"{address}: the proxy in front of the server does not reach it (HTTP {status})"
            )
        case 503:
            why = (
                error_type if said.startswith("[") else said
            )  # only the names of a node and of an action
            return StoreUnreachableError(
                f"{address} is available, but a part of the collection is not (state red): "
                f"{why}; look at GET /_cluster/health on the server"
            )
    return StoreError(f"{address} refused: {said} ({status})")


def not_json(address: str, product: str) -> CollectionError:
    """Return the error for a server that is not the expected product."""
    return CollectionError(f"{address} is not {product}: its response is not JSON")


def unreachable(why: str, *, address: str, tls: bool) -> StoreUnreachableError:
    """Return the error for a server that did not respond."""
    low = why.lower()
    if "certificate" in low and "verif" in low:
        hint = (
            "its certificate is not trusted here; give the authority's with ?ca=FILE in the address"
        )
    elif tls and ("wrong_version_number" in low or "wrong version number" in low):
        hint = "it does not speak TLS; leave +https out of the address"
    elif not tls and ("remotedisconnected" in low or "closed connection" in low or "reset" in low):
        hint = (
            "it closed the connection: it was stopped, or it speaks TLS (then start the address "
            "with "
            "…+https://)"
        )
    elif "timed out" in low or "timeout" in low:
        hint = "it did not respond in time; ?timeout=SECONDS in the address waits longer"
    elif "resolve" in low or "name or service" in low or "nodename" in low:
        hint = "there is no such host"
    elif "refused" in low:
        hint = "no server is listening there; is it running?"
    else:
        hint = _short(why)
    return StoreUnreachableError(f"cannot reach {address}: {hint}")


def _denied(status: int, said: str, *, address: str, kind: str) -> StoreDeniedError:
    before = f"LOOKALIKE_{kind.upper()}"
    key = f" or {before}_API_KEY" if kind == "elasticsearch" else ""
    if status == 401:  # noqa: PLR2004 - HTTP
        return StoreDeniedError(
            f"{address} requires credentials, or does not accept these; set "
            f"{before}_USER and {before}_PASSWORD{key}"
        )
    return StoreDeniedError(
        f"{address}: these credentials do not allow that ({said}); docs/servers.md lists the "
        "required privileges"
    )


def _blocked(why: str, *, address: str) -> LookalikeError:
    if "create-index blocked" in why:  # OpenSearch does so when its disks are nearly full
        return StoreFullError(
            f"the server does not create a collection at {address}: its disks are nearly full, or "
            "cluster.blocks.create_index is set"
        )
    if "flood-stage" in why or "disk usage" in why or "read-only / allow delete" in why:
        return StoreFullError(
            f"no space on the disk of {address}: the server has made the collection read-only; it "
            "can be searched, and written again when there is space (or when "
            "index.blocks.read_only_allow_delete is reset)"
        )
    return StoreReadOnlyError(f"{address} may be read but not written ({_short(why)})")


def _words(body: Any) -> tuple[str, str]:  # noqa: ANN401 - JSON, or what a proxy sends
    """Return the type of an error, and its innermost reason."""
    error = body.get("error", body) if isinstance(body, dict) else body
    if not isinstance(error, dict):
        return "", str(error or "")
    error_type = str(error.get("type", ""))
    roots = error.get("root_cause") or [error]
    if roots and isinstance(roots[0], dict) and roots[0].get("type"):
        error_type = str(roots[0]["type"])
    cause: Any = error
    while isinstance(cause.get("caused_by"), dict):
        cause = cause["caused_by"]
    failed = error.get("failed_shards")
    if failed and isinstance(failed[0], dict) and isinstance(failed[0].get("reason"), dict):
        inner = _words({"error": failed[0]["reason"]})
        return inner[0] or error_type, inner[1]
    reason = str(cause.get("reason") or error.get("reason") or "")
    return error_type, reason


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST else f"{line[:_LONGEST]}…"
