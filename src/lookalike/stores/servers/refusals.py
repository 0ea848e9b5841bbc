"""What a server says when it does not do what it was asked, as our errors. Pure."""

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

_LONGEST = 300  # characters of a server's own words in a message


def refusal(status: int, body: Any, *, address: str, kind: str) -> LookalikeError:  # noqa: ANN401, PLR0911 - JSON; a case each
    """The error for an answer that is none; ``kind`` is the kind of the address."""
    told, why = _words(body)
    if "cluster_block_exception" in (told, why) or "create-index blocked" in why:
        return _blocked(why, address=address)
    if "index_closed_exception" in told or "closed" in why.split():
        return StoreReadOnlyError(
            f"the index of {address} is closed; open it: POST NAME/_open, on the server"
        )
    said = _short(why) or told or "no reason given"
    match status:
        case 401 | 403:
            return _denied(status, said, address=address, kind=kind)
        case 404 if told == "index_not_found_exception":
            return CollectionNotFoundError(
                f"there is no collection at {address}; `lookalike index FOLDER` makes one"
            )
        case 413:
            return StoreError(
                f"{address} takes no request of this size; raise its http.max_content_length, or "
                "the limit of the proxy before it"
            )
        case 429:
            return StoreBusyError(f"{address} has more to do than it can; try again in a while")
        case 502 | 504:
            return StoreUnreachableError(
                f"{address}: what stands before the server does not reach it (HTTP {status})"
            )
        case 503:
            why = told if said.startswith("[") else said  # names of a node and of what it was to do
            return StoreUnreachableError(
                f"{address} is there, but a part of the collection is not (state red): "
                f"{why}; look at GET /_cluster/health on the server"
            )
    return StoreError(f"{address} refused: {said} ({status})")


def not_json(address: str, product: str) -> CollectionError:
    """The error for something that listens there, but is no such server."""
    return CollectionError(f"{address} is not {product}: what it answers is no JSON")


def unreachable(why: str, *, address: str, tls: bool) -> StoreUnreachableError:
    """The error for a server that did not answer."""
    low = why.lower()
    if "certificate" in low and "verif" in low:
        hint = (
            "its certificate is not trusted here; give the authority's with ?ca=FILE in the address"
        )
    elif tls and ("wrong_version_number" in low or "wrong version number" in low):
        hint = "it does not speak TLS; leave +https out of the address"
    elif not tls and ("remotedisconnected" in low or "closed connection" in low or "reset" in low):
        hint = (
            "it hung up: it was stopped meanwhile, or it speaks TLS (then begin the address with "
            "…+https://)"
        )
    elif "timed out" in low or "timeout" in low:
        hint = "it did not answer in time; ?timeout=SECONDS in the address waits longer"
    elif "resolve" in low or "name or service" in low or "nodename" in low:
        hint = "there is no such host"
    elif "refused" in low:
        hint = "nothing listens there; is the server running?"
    else:
        hint = _short(why)
    return StoreUnreachableError(f"cannot reach {address}: {hint}")


def _denied(status: int, said: str, *, address: str, kind: str) -> StoreDeniedError:
    before = f"LOOKALIKE_{kind.upper()}"
    key = f" or {before}_API_KEY" if kind == "elasticsearch" else ""
    if status == 401:  # noqa: PLR2004 - HTTP
        return StoreDeniedError(
            f"{address} does not know who asks, or does not take these credentials; set "
            f"{before}_USER and {before}_PASSWORD{key}"
        )
    return StoreDeniedError(
        f"{address}: these credentials may not do that ({said}); the privileges that are needed "
        "stand in docs/servers.md"
    )


def _blocked(why: str, *, address: str) -> LookalikeError:
    if "create-index blocked" in why:  # so OpenSearch does while its disks are nearly full
        return StoreFullError(
            f"the server makes no new collection at {address}: its disks are nearly full, or "
            "cluster.blocks.create_index is set"
        )
    if "flood-stage" in why or "disk usage" in why or "read-only / allow delete" in why:
        return StoreFullError(
            f"no room on the disk of {address}: the server has made the collection read-only; it "
            "can be searched, and written when there is room (or when whoever has set "
            "index.blocks.read_only_allow_delete takes that back)"
        )
    return StoreReadOnlyError(f"{address} may be read but not written ({_short(why)})")


def _words(body: Any) -> tuple[str, str]:  # noqa: ANN401 - JSON, or what a proxy sends
    """The type of an error, and the innermost reason."""
    error = body.get("error", body) if isinstance(body, dict) else body
    if not isinstance(error, dict):
        return "", str(error or "")
    told = str(error.get("type", ""))
    roots = error.get("root_cause") or [error]
    if roots and isinstance(roots[0], dict) and roots[0].get("type"):
        told = str(roots[0]["type"])
    cause: Any = error
    while isinstance(cause.get("caused_by"), dict):
        cause = cause["caused_by"]
    failed = error.get("failed_shards")
    if failed and isinstance(failed[0], dict) and isinstance(failed[0].get("reason"), dict):
        inner = _words({"error": failed[0]["reason"]})
        return inner[0] or told, inner[1]
    reason = str(cause.get("reason") or error.get("reason") or "")
    return told, reason


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST else f"{line[:_LONGEST]}…"
