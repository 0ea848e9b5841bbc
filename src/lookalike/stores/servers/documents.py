"""Convert items to documents of a server and back. Pure. The fields: docs/servers.md."""

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
    "make_item_fields",
    "metadata_of",
    "query_vector",
    "word_fields",
]

ITEM = (
    *("id", "digest", "width", "height", "root", "path", "size", "mtime_ns"),
    *("label", "group", "metadata"),
)
"""The fields of an item; responses contain no others unless requested."""

IS_ITEM: dict[str, Json] = {"exists": {"field": "id"}}
"""The query that only items meet: the index may contain documents of other programs."""

SCORED = (*ITEM, "half")
"""An item with its vector as it is stored."""

STAMP = ("id", "path", "size", "mtime_ns")

_LONGEST_ID = 512  # bytes of a server's own key
LONGEST_TERM = 32_766
"""Bytes of a text that a server can look up."""


def document_id(text: str) -> str:
    """Return the server's key for an id: the id itself, or a digest if the server would refuse
    it.
    """
    if text and len(text.encode()) <= _LONGEST_ID and not text.startswith("sha256:"):
        return text
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def make_item_fields(item: Item) -> dict[str, Json]:
    """Return the fields of an item: all of its document except the key and the vectors."""
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
        # As text, so that numbers, names and nesting are returned unchanged.
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
    """Return the whole document of an item, given its vector as ``half_of`` writes it."""
    return {**make_item_fields(item), "key": key, "half": half, **graph_vector(half)}


def graph_vector(half: str | None) -> dict[str, Json]:
    """Return the field that the ANN index reads, given an item's ``half``; empty if that is no
    vector.

    Both fields hold the same vector in two forms, so the second can be computed again.
    """
    try:
        (row,) = halves([half])
    except StoreDamagedError:
        return {}
    return {"vector": query_vector(row)} if len(row) else {}


def item_of(source: Mapping[str, Any]) -> Item:
    """Return the item of a document's ``ITEM`` fields. Raise ``StoreDamagedError`` if one is
    missing.

    Fields that other programs have added are ignored.
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
            f"the document of item {source.get('id', '?')!r} is incomplete ({error}); "
            "`lookalike doctor` finds all such items, and --repair repairs what it can"
        ) from error


def _words(value: Any) -> str | None:  # noqa: ANN401 - JSON
    """Return a label or group as text, whatever type another program has given it."""
    if value is None or isinstance(value, str):
        return value
    return value[0] if isinstance(value, list) and len(value) == 1 else str(value)


def metadata_of(source: Mapping[str, Any]) -> dict[str, Json]:
    """Return the metadata of a document. Raise ``StoreDamagedError`` if it is not a JSON object."""
    try:
        return _metadata(source["metadata"])
    except (KeyError, ValueError, TypeError) as error:
        raise StoreDamagedError(
            f"metadata of an item cannot be read ({error}); `lookalike doctor` finds it"
        ) from error


def _metadata(text: str) -> dict[str, Json]:
    found = json.loads(text)
    if not isinstance(found, dict):
        raise ValueError("metadata is not a JSON object")  # noqa: TRY004 - caught above
    return found


def half_of(row: NDArray[np.float16]) -> str:
    """Encode a vector (dim,) for storage: little-endian half floats in base64."""
    return base64.b64encode(row.astype("<f2").tobytes()).decode()


def halves(stored: Sequence[str | None], dim: int | None = None) -> NDArray[np.float16]:
    """Decode stored vectors to (n, dim) float16. Raise ``StoreDamagedError`` for invalid ones."""
    try:
        blobs = [base64.b64decode(one or "", validate=True) for one in stored]
    except ValueError as error:
        raise StoreDamagedError(
            "a stored vector is not base64; `lookalike doctor --repair` finds it"
        ) from error
    return matrix_of(blobs, dim if dim is not None else len(blobs[0]) // 2)


def query_vector(row: NDArray[np.floating]) -> list[Json]:
    """Return a vector (dim,) as JSON for the server's search, which only proposes: six decimals.

    Also used in documents, where each digit is a byte of ``_source``.
    """
    return [*np.round(row.astype(np.float64), 6).tolist()]


def check_texts(items: Sequence[Item]) -> None:
    """Refuse items that a server cannot store or look up, before any is written.

    Raise ``StoreError`` for a text that is too long, ``UnicodeEncodeError`` for invalid Unicode.
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
