"""From the parts of a query to one unit vector."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from lookalike import images
from lookalike.core.records import Item
from lookalike.core.vectors import mixed, unit_rows
from lookalike.errors import ItemNotFoundError, UnreadableImageError
from lookalike.search.query import Encoded, ItemRef, Query, QueryPart, Words, is_vector

if TYPE_CHECKING:
    from lookalike.collection import Collection

__all__ = ["bytes_of", "check_parts", "encode_part", "mix"]


def check_parts(collection: "Collection", query: Query) -> None:
    """Raise for parts of a query to an empty collection that are neither images nor items."""
    for part in query.parts:
        if isinstance(part.source, ItemRef):
            raise ItemNotFoundError(f"there is no item {part.source.id!r}: the collection is empty")
        if not isinstance(part.source, Encoded | Words) and not is_vector(part.source):
            collection.check_image(part.source)


def encode_part(collection: "Collection", part: QueryPart) -> Encoded:
    """Return the vector of a part, and the item that it is, if it is one."""
    source = part.source
    if isinstance(source, ItemRef):
        item = collection.get(source.id)
        if part.crop is None:
            return Encoded(vector=collection.vectors([item.id])[0], digest=item.digest, item=item)
        data = bytes_of(collection, item)
        found = collection.encode(data, crop=part.crop)
        return Encoded(vector=found.vector, digest=item.digest, item=item)
    if isinstance(source, Encoded) or is_vector(source):
        if part.crop is not None:
            raise ValueError("a crop needs an image; words and vectors have none")
        return source if isinstance(source, Encoded) else _vector_of(collection, source)
    return collection.encode(source, crop=part.crop)


def bytes_of(collection: "Collection", item: Item) -> bytes:
    """Return the bytes of an item's file. Raise ``ImageError`` where it has none any more."""
    place = collection.file_of(item)
    if place is None:
        raise UnreadableImageError(
            f"there is no file of {item.id!r}, only its embedding, so no crop of it can be encoded"
        )
    return images.read(place, limits=collection.limits)


def _vector_of(collection: "Collection", source: object) -> Encoded:
    vector = np.asarray(source, dtype=np.float32)
    bound = collection.store.bound()
    if bound is not None and len(vector) != bound[2]:
        raise ValueError(
            f"the vector has {len(vector)} values, but embeddings here have {bound[2]} ({bound[0]})"
        )
    if not np.isfinite(vector).all() or not vector.any():
        raise ValueError("the vector must have finite values that are not all 0")
    return Encoded(vector=unit_rows(vector[None, :])[0])


def mix(encoded: Sequence[Encoded], parts: Sequence[QueryPart]) -> Encoded:
    """Return the weighted sum of the parts as a unit vector."""
    if len(parts) == 1 and parts[0].weight > 0:
        return encoded[0]
    rows = np.stack([one.vector for one in encoded])
    return Encoded(vector=mixed(rows, [part.weight for part in parts]))
