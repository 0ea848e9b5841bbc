"""Items of the store that have exactly the content of a new image."""

from collections.abc import Collection
from typing import NamedTuple

from lookalike.core.protocols import Store
from lookalike.core.records import Item, Thumbnail
from lookalike.core.vectors import Vector
from lookalike.errors import ItemNotFoundError

__all__ = ["StoredCopy", "find_copies"]


class StoredCopy(NamedTuple):
    """An item with the same bytes: its vector and, if it has the right size, its thumbnail."""

    item: Item
    vector: Vector
    thumbnail: Thumbnail | None


def find_copies(store: Store, digests: Collection[str], side: int | None) -> dict[str, StoredCopy]:
    """Return digest → an item with exactly this content, and its stored vector and thumbnail.

    Vectors are read now: by the time the batch is written, an item may have other content (``mv
    a.jpg b.jpg; cp new.jpg a.jpg``).
    """
    sources = store.items.with_digest([*digests])
    while sources:
        ids = [*sources.values()]
        try:
            vectors = dict(zip(ids, store.items.vectors(ids), strict=True))
        except ItemNotFoundError:  # one has just been removed
            there = store.items.get(ids)
            sources = {digest: one for digest, one in sources.items() if one in there}
            continue
        stored = store.thumbnails.get(ids) if side is not None else {}
        fitting = {one: kept for one, kept in stored.items() if kept.side == side}
        # Read after the vectors: an item that still has the digest had it when its vector was read.
        items = store.items.get(ids)
        return {
            digest: StoredCopy(items[one], vectors[one], fitting.get(one))
            for digest, one in sources.items()
            if one in items and items[one].digest == digest
        }
    return {}
