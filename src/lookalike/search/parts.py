"""From the parts of a query to one unit vector."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from lookalike import images
from lookalike.core.records import Item
from lookalike.core.vectors import mixed
from lookalike.errors import ItemNotFoundError, UnreadableImageError
from lookalike.search.query import (
    Encoded,
    ItemRef,
    Query,
    QueryPart,
    VectorFile,
    Words,
    is_vector,
)
from lookalike.search.vectors import check_vector, load_vector

if TYPE_CHECKING:
    from lookalike.collection import Collection
    from lookalike.collection_items import CollectionItems

__all__ = ["bytes_of", "check_parts", "encode_part", "mix", "resolve_crops"]


def check_parts(collection: "Collection", query: Query) -> None:
    """Raise for parts of a query to an empty collection that are neither images nor items."""
    for part in query.parts:
        if isinstance(part.source, ItemRef):
            raise ItemNotFoundError(f"there is no item {part.source.id!r}: the collection is empty")
        if isinstance(part.source, VectorFile) or is_vector(part.source):
            _vector_of(collection, part.source)
        elif not isinstance(part.source, Encoded | Words):
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
        return replace(found, digest=item.digest, item=item)
    if isinstance(source, Encoded | VectorFile) or is_vector(source):
        if part.crop is not None:
            raise ValueError("a crop needs an image; words and vectors have none")
        return source if isinstance(source, Encoded) else _vector_of(collection, source)
    return collection.encode(source, crop=part.crop)


def resolve_crops(collection: "Collection", query: Query) -> Query:
    """Return the query with the box in place of each crop ``auto``; ``None`` if nothing stands out.

    Raise as ``Collection.propose_crops``.
    """
    if all(part.crop != "auto" for part in query.parts):
        return query
    parts: list[QueryPart] = []
    for part in query.parts:
        found = part.crop
        if found == "auto":
            source = part.source
            if isinstance(source, Encoded | Words | VectorFile) or is_vector(source):
                raise ValueError("a crop needs an image; words and vectors have none")
            found = next(iter(collection.propose_crops(source, count=1)), None)
        parts.append(replace(part, crop=found))
    return Query(tuple(parts))


def bytes_of(collection: "CollectionItems", item: Item) -> bytes:
    """Return the bytes of an item's file. Raise ``ImageError`` where it has none any more."""
    place = collection.file_of(item)
    if place is None:
        raise UnreadableImageError(
            f"there is no file of {item.id!r}, only its embedding, so it can neither be "
            "cropped nor turned"
        )
    return images.read(place, limits=collection.limits)


def _vector_of(collection: "Collection", source: object) -> Encoded:
    given = load_vector(source.path) if isinstance(source, VectorFile) else source
    bound = collection.store.bound()
    if bound is None:
        return Encoded(vector=check_vector(given, dim=None))
    return Encoded(vector=check_vector(given, dim=bound[2], encoder=bound[0]))


def mix(encoded: Sequence[Encoded], parts: Sequence[QueryPart]) -> Encoded:
    """Return the weighted sum of the parts as a unit vector."""
    if len(parts) == 1 and parts[0].weight > 0:
        return encoded[0]
    rows = np.stack([one.vector for one in encoded])
    return Encoded(vector=mixed(rows, [part.weight for part in parts]))
