"""The rows in which the annotations of missing items are stored beside the items."""

import base64
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from lookalike.core.manual_edits import ManualEdits
from lookalike.core.protocols import Store
from lookalike.core.records import (
    Item,
    Json,
    Missing,
    SideRow,
    Stamp,
    Thumbnail,
)

__all__ = [
    "BATCH",
    "REPLACED",
    "TABLE",
    "THUMBNAILS",
    "item_of",
    "missing_row",
    "parts",
    "place_json",
    "read_missing",
    "read_thumbnail",
    "rekey",
    "thumbnail_row",
]


TABLE = "missing"
THUMBNAILS = "missing_thumbnails"
REPLACED = "replaced"
"""Annotations of content that has gone from an id that other content, with its own, has now."""

BATCH = 200  # items whose thumbnails are held at a time


def rekey(store: Store, rows: Sequence[SideRow]) -> None:
    """Move rows of missing items to ``REPLACED``, under other keys: their ids are in use again."""
    store.table(REPLACED).put(
        [
            replace(row, id=hashlib.sha256(f"{row.id}\n{row.digest}".encode()).hexdigest())
            for row in rows
        ]
    )
    store.table(TABLE).delete([row.id for row in rows])


def place_json(item: Item) -> dict[str, Json]:
    """Return where an item's image was, its size, and its annotations."""
    return {
        "root": item.root,
        "path": item.path,
        "size": item.stamp.size if item.stamp else None,
        "mtime_ns": item.stamp.mtime_ns if item.stamp else None,
        "width": item.width,
        "height": item.height,
        "label": item.label,
        "group": item.group,
        "metadata": dict(item.metadata),
    }


def item_of(one: str, digest: str, value: Mapping[str, Any]) -> Item:
    """Return the item that ``place_json`` wrote."""
    size, mtime_ns = value.get("size"), value.get("mtime_ns")
    return Item(
        id=one,
        digest=digest,
        width=value["width"],
        height=value["height"],
        root=value["root"],
        path=value["path"],
        stamp=None if size is None or mtime_ns is None else Stamp(size, mtime_ns),
        label=value["label"],
        group=value["group"],
        metadata=value["metadata"],
    )


def missing_row(item: Item, hand: ManualEdits, since: float) -> SideRow:
    """Return the row of an item that is missing since a Unix time, with its manual edits."""
    value: dict[str, Json] = {
        "id": item.id,
        **place_json(item),
        "since": since,
        "by_hand": hand.as_json(),
    }
    return SideRow(id=item.id, digest=item.digest, value=value)


def read_missing(row: SideRow) -> tuple[Missing, ManualEdits]:
    """Return what ``missing_row`` wrote."""
    value: Any = row.value
    hand = ManualEdits.of_json(value["by_hand"])
    item = item_of(value["id"], row.digest, value)
    return Missing(item=item, since=value["since"]), hand


def thumbnail_row(one: str, small: Thumbnail) -> SideRow:
    """Return the row of the thumbnail of a missing item with the id ``one``."""
    jpeg = base64.b64encode(small.jpeg).decode()
    return SideRow(id=one, value={"side": small.side, "jpeg": jpeg})


def read_thumbnail(row: SideRow) -> Thumbnail:
    """Return what ``thumbnail_row`` wrote."""
    value: Any = row.value
    return Thumbnail(jpeg=base64.b64decode(value["jpeg"]), side=value["side"])


def parts(some: Sequence[Any]) -> Iterator[Any]:
    """Yield a sequence in parts of ``BATCH``."""
    for start in range(0, len(some), BATCH):
        yield some[start : start + BATCH]
