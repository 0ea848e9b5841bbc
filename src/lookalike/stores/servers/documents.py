"""Items as documents of a server, and back. Pure. The fields: docs/servers.md."""

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lookalike.core.keywords import NONE, words_of
from lookalike.core.records import Item, Json
from lookalike.errors import StoreDamagedError, StoreError
from lookalike.stores.servers.tokens import tokens
from lookalike.stores.stored_values import matrix_of, stamp_of

__all__ = [
    "IS_ITEM",
    "ITEM",
    "LONGEST_TERM",
    "SCORED",
    "STAMP",
    "check_texts",
    "document",
    "document_id",
    "graph_vector",
    "half_of",
    "halves",
    "item_of",
    "metadata_of",
    "query_vector",
    "told",
    "word_fields",
]

ITEM = (
    *("id", "digest", "width", "height", "root", "path", "size", "mtime_ns"),
    *("label", "group", "metadata"),
)
"""What makes an item; answers carry nothing else unless it is asked for."""

IS_ITEM: dict[str, Json] = {"exists": {"field": "id"}}
"""What a document must meet to be an item: somebody else may have put documents beside them."""

SCORED = (*ITEM, "half")
"""An item with its vector as it is stored."""

STAMP = ("id", "path", "size", "mtime_ns")

_LONGEST_ID = 512  # bytes of a server's own key
LONGEST_TERM = 32_766
"""Bytes of a text that a server can look up."""


def document_id(text: str) -> str:
    """The server's key for an id: the id itself, or a digest where a server would not take it."""
    if text and len(text.encode()) <= _LONGEST_ID and not text.startswith("sha256:"):
        return text
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def told(item: Item) -> dict[str, Json]:
    """What is said about an item: all of its document but the key and the vectors."""
    stamp = item.stamp
    metadata = dict(item.metadata)
    return {
        "id": item.id,
        "digest": item.digest,
        "width": item.width,
        "height": item.height,
        "root": item.root,
        "path": item.path,
        "size": stamp.size if stamp else None,
        "mtime_ns": stamp.mtime_ns if stamp else None,
        "label": item.label,
        "group": item.group,
        # As text: numbers, names and nesting come back as they went in, whatever they are.
        "metadata": json.dumps(metadata, ensure_ascii=False),
        "tokens": [*tokens(metadata)],
        **word_fields(item),
    }


def word_fields(item: Item) -> dict[str, list[Json]]:
    """The fields that keyword search looks in. ``words`` is never empty: see ``NONE``."""
    words = words_of(item)
    return {
        "words": [*words.label, *words.others] or [NONE],
        "label_words": [*words.label],
    }


def document(item: Item, *, key: int, half: str) -> dict[str, Json]:
    """The whole document of an item, given its vector as ``half_of`` writes it."""
    return {**told(item), "key": key, "half": half, **graph_vector(half)}


def graph_vector(half: str | None) -> dict[str, Json]:
    """The field of the server's graph, given an item's ``half``; nothing where that is no vector.

    The vectors of an item and of the graph are one, in two forms: so the second can be made anew.
    """
    try:
        (row,) = halves([half])
    except StoreDamagedError:
        return {}
    return {"vector": query_vector(row)} if len(row) else {}


def item_of(source: Mapping[str, Any]) -> Item:
    """The item of a document's ``ITEM`` fields; ``StoreDamagedError`` where one is missing.

    Fields that somebody else has added are passed over.
    """
    try:
        metadata = source["metadata"]
        return Item(
            id=source["id"],
            digest=source["digest"],
            width=source["width"],
            height=source["height"],
            root=source["root"],
            path=source["path"],
            stamp=stamp_of(source.get("size"), source.get("mtime_ns")),
            label=_words(source.get("label")),
            group=_words(source.get("group")),
            metadata=_metadata(metadata) if metadata != "{}" else {},
        )
    except (KeyError, ValueError, TypeError) as error:
        raise StoreDamagedError(
            f"the document of item {source.get('id', '?')!r} is not whole ({error}); "
            "`lookalike doctor` finds all such, and with --repair mends what it can"
        ) from error


def _words(value: Any) -> str | None:  # noqa: ANN401 - JSON
    """A label or group as text, whatever somebody else has made of it."""
    if value is None or isinstance(value, str):
        return value
    return value[0] if isinstance(value, list) and len(value) == 1 else str(value)


def metadata_of(source: Mapping[str, Any]) -> dict[str, Json]:
    """The metadata of a document; ``StoreDamagedError`` where they are no JSON object."""
    try:
        return _metadata(source["metadata"])
    except (KeyError, ValueError, TypeError) as error:
        raise StoreDamagedError(
            f"metadata of an item cannot be read ({error}); `lookalike doctor` says whose"
        ) from error


def _metadata(text: str) -> dict[str, Json]:
    found = json.loads(text)
    if not isinstance(found, dict):
        raise ValueError("metadata is no JSON object")  # noqa: TRY004 - caught above
    return found


def half_of(row: NDArray[np.float16]) -> str:
    """A vector (dim,) as it is stored: half floats, little-endian, in base64."""
    return base64.b64encode(row.astype("<f2").tobytes()).decode()


def halves(stored: Sequence[str | None], dim: int | None = None) -> NDArray[np.float16]:
    """Stored vectors as (n, dim) float16; ``StoreDamagedError`` where one is no such vector."""
    try:
        blobs = [base64.b64decode(one or "", validate=True) for one in stored]
    except ValueError as error:
        raise StoreDamagedError(
            "a stored vector is no base64; `lookalike doctor --repair` says whose"
        ) from error
    return matrix_of(blobs, dim if dim is not None else len(blobs[0]) // 2)


def query_vector(row: NDArray[np.floating]) -> list[Json]:
    """A vector (dim,) as JSON for the server's own search, which only proposes: six decimals.

    In documents too, where each digit is a byte of ``_source``.
    """
    return [*np.round(row.astype(np.float64), 6).tolist()]


def check_texts(items: Sequence[Item]) -> None:
    """Refuse items that no server could keep or look up, before any is written.

    ``StoreError`` for a text that is too long, ``UnicodeEncodeError`` for one that is no Unicode.
    """
    for item in items:
        json.dumps(dict(item.metadata), ensure_ascii=False).encode()
        for name in ("id", "root", "path", "label", "group"):
            value = getattr(item, name)
            if value is not None and len(value.encode()) > LONGEST_TERM:
                raise StoreError(
                    f"the {name} of {item.id[:80]!r} is longer than {LONGEST_TERM:,} bytes, more "
                    "than a server can look up; shorten it"
                )
