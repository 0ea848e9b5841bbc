"""Send many writes in one request, and check each: status 200 says nothing about single writes."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lookalike.core.records import Json

__all__ = [
    "CHUNK_BYTES",
    "Action",
    "BulkOutcome",
    "again",
    "as_json",
    "chunks",
    "lines",
    "outcomes",
]

CHUNK_BYTES = 5_000_000
"""Bytes per request, unless one action is larger. Servers accept 100 MB, those that are
rented often 10."""

# The node's queue is full, or a shard is moving to another node: a later try succeeds.
_LATER = frozenset({429, 502, 503, 504})


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """One write: ``verb`` is ``index``, ``create``, ``update`` or ``delete``.

    With ``seen`` (sequence number and primary term), it fails if anyone has written the document
    since. ``source`` is the document, or for ``update`` the fields that change: all others stay,
    including those that other programs have added.
    """

    verb: str
    index: str
    id: str
    source: Mapping[str, Json] | None = None
    seen: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BulkOutcome:
    """The result of an action: an HTTP ``status``, and the ``kind`` and ``reason`` of an error."""

    status: int
    kind: str = ""
    reason: str = ""
    seen: tuple[int, int] | None = None

    @property
    def done(self) -> bool:
        return self.status < 300  # noqa: PLR2004 - HTTP


def as_json(document: Mapping[str, Any]) -> bytes:
    """Return a document as compact JSON: spaces would be a tenth of a vector."""
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()


def lines(action: Action) -> bytes:
    """Return an action as the one or two lines of a bulk request."""
    header: dict[str, Json] = {"_index": action.index, "_id": action.id}
    if action.seen is not None:
        header["if_seq_no"], header["if_primary_term"] = action.seen
    text = as_json({action.verb: header}) + b"\n"
    if action.source is not None:
        source = {"doc": dict(action.source)} if action.verb == "update" else dict(action.source)
        text += as_json(source) + b"\n"
    return text


def chunks(
    actions: Sequence[Action], *, limit: int = CHUNK_BYTES
) -> Iterator[tuple[list[Action], bytes]]:
    """Yield the actions in requests of about ``limit`` bytes, with their bodies."""
    some: list[Action] = []
    body = bytearray()
    for action in actions:
        text = lines(action)
        if some and len(body) + len(text) > limit:
            yield some, bytes(body)
            some, body = [], bytearray()
        some.append(action)
        body += text
    if some:
        yield some, bytes(body)


def outcomes(response: Any) -> list[BulkOutcome]:  # noqa: ANN401 - JSON
    """Return the outcome of each action from the response to a bulk request."""
    found = []
    for entry in response["items"]:
        (one,) = entry.values()
        error = one.get("error") or {}
        seen = (one["_seq_no"], one["_primary_term"]) if "_seq_no" in one else None
        found.append(
            BulkOutcome(
                status=one["status"],
                kind=error.get("type", ""),
                reason=_reason(error),
                seen=seen,
            )
        )
    return found


def again(outcome: BulkOutcome) -> bool:
    """Return whether an action may succeed if it is tried again later."""
    # A full disk is also reported as 429, but waiting does not free it.
    return outcome.status in _LATER and outcome.kind != "cluster_block_exception"


def _reason(error: Mapping[str, Any]) -> str:
    """Return the innermost reason of an error."""
    cause: Any = error
    while isinstance(cause.get("caused_by"), dict):
        cause = cause["caused_by"]
    return str(cause.get("reason", "")) or str(error.get("reason", ""))
