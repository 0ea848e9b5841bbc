"""Convert items and vectors to the embedded store's rows and back. The bytes: docs/storage.md."""

import json
from collections.abc import Sequence
from typing import Any

from lookalike.core.records import Item, Json
from lookalike.errors import StoreDamagedError
from lookalike.stores.stored_values import stamp_of

__all__ = ["COLUMNS", "item_of", "row_of"]


COLUMNS = 'id, digest, width, height, root, path, size, mtime_ns, label, "group", metadata'


def row_of(item: Item) -> tuple[object, ...]:
    stamp = item.stamp
    return (
        item.id,
        bytes.fromhex(item.digest),
        item.width,
        item.height,
        item.root,
        item.path,
        stamp.size if stamp else None,
        stamp.mtime_ns if stamp else None,
        item.label,
        item.group,
        json.dumps(dict(item.metadata), ensure_ascii=False),
    )


def item_of(row: Sequence[Any]) -> Item:
    """Return the item of a row of ``COLUMNS``."""
    one, digest, width, height, root, path, size, mtime_ns, label, group, metadata = row
    return Item(
        id=one,
        digest=digest.hex(),
        width=width,
        height=height,
        root=root,
        path=path,
        stamp=stamp_of(size, mtime_ns),
        label=label,
        group=group,
        metadata=_metadata(one, metadata) if metadata != "{}" else {},
    )


def _metadata(one: str, text: str) -> dict[str, Json]:
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise StoreDamagedError(
            f"the metadata of item {one!r} is not a JSON object; `lookalike doctor --repair` "
            "keeps it as text"
        )
    return found
