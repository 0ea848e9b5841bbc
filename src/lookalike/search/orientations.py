"""A query in all orientations: its image turned and mirrored, encoded in one batch."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from lookalike import images
from lookalike.core.protocols import Store
from lookalike.core.records import Hit
from lookalike.images.turning import ORIENTATIONS, Orientation, turn
from lookalike.search.directions import Directions
from lookalike.search.parts import bytes_of
from lookalike.search.query import (
    Encoded,
    ImageSource,
    ItemRef,
    Query,
    QueryPart,
    VectorFile,
    Words,
    is_vector,
)

if TYPE_CHECKING:
    from lookalike.collection import Collection
    from lookalike.core.vectors import Vector
    from lookalike.query_images import PreparedQuery

__all__ = [
    "check_turnable",
    "choose_orientation",
    "encode_turned",
    "match_orientations",
    "prepare_turned",
]

_MARGIN = 2  # times the encoder's input size: what a JPEG is decoded at, at least


def check_turnable(query: Query) -> None:
    """Raise ``ValueError`` for a query that is not one image or item."""
    if len(query.parts) > 1:
        raise ValueError(
            "any_orientation turns the image of a query, but this query has "
            f"{len(query.parts)} parts; search with one image or item"
        )
    source = query.parts[0].source
    turned = isinstance(source, Encoded) and source.orientations is not None
    other = isinstance(source, Encoded | VectorFile | Words) or is_vector(source)
    if other and not turned:
        raise ValueError("any_orientation needs an image to turn; words and vectors have none")


def encode_turned(collection: "Collection", part: QueryPart) -> Encoded:
    """Return the part of a query in all orientations. Raise as ``search.parts.encode_part``."""
    source = part.source
    if isinstance(source, ItemRef):
        item = collection.get(source.id)
        found = _encode_all(collection, bytes_of(collection, item), crop=part.crop)
        found = replace(found, digest=item.digest, item=item)
        if part.crop is not None:
            return found
        assert found.orientations is not None  # noqa: S101 - made just now
        stored = collection.vectors([item.id])  # what a search of the item alone compares with
        return replace(
            found,
            vector=stored[0],
            orientations=np.concatenate([stored, found.orientations[1:]]),
        )
    if isinstance(source, Encoded):
        return source
    return _encode_all(collection, source, crop=part.crop)  # type: ignore[arg-type]


def prepare_turned(
    collection: "Collection",
    source: ImageSource,
    crop: images.Crop | None,
    towards: "Vector",
) -> "tuple[PreparedQuery, Vector, Orientation]":
    """Return an image, prepared in the orientation most like ``towards``, and its vector."""
    prepared = _prepare_all(collection, source, crop)
    encoded = collection.encode_prepared(prepared)
    best = int(np.argmax([one.vector @ towards for one in encoded]))
    chosen = replace(prepared[best], crop=prepared[0].crop)
    return chosen, encoded[best].vector, ORIENTATIONS[best]


def match_orientations(
    store: Store, directions: Directions, hits: Sequence[Hit]
) -> dict[str, Orientation]:
    """Return, by id, the orientation in which a query is most like each hit; at least one hit."""
    ids = [hit.item.id for hit in hits]
    nearest: list[int] = directions.each(store.items.vectors(ids)).argmax(axis=0).tolist()
    return {id: ORIENTATIONS[place] for id, place in zip(ids, nearest, strict=True)}


def choose_orientation(
    store: Store, directions: Directions, encoded: Encoded, nearest: Sequence[Hit]
) -> Encoded:
    """Return a query in the orientation in which it is most like the first hit, if there is one."""
    if not nearest:
        return encoded
    (found,) = match_orientations(store, directions, nearest[:1]).values()
    return replace(encoded, vector=directions.vectors[ORIENTATIONS.index(found)])


def _encode_all(
    collection: "Collection", source: ImageSource, *, crop: images.Crop | None = None
) -> Encoded:
    """Return ``Collection.encode`` of an image or its part ``crop``, with all ``orientations``."""
    encoded = collection.encode_prepared(_prepare_all(collection, source, crop))
    return replace(encoded[0], orientations=np.stack([one.vector for one in encoded]))


def _prepare_all(
    collection: "Collection", source: ImageSource, crop: images.Crop | None
) -> "list[PreparedQuery]":
    """Return an image or its part ``crop``, prepared in all orientations, the upright one first."""
    upright = collection.prepare(source, crop=crop)
    side, box = _MARGIN * max(upright.prepared.shape[:2]), upright.crop
    if box is not None:
        side = max(images.size_for_crop((side, side), box))
    loaded = collection.load_image(source, side=side)
    image = (loaded if box is None else images.crop_image(loaded, box)).image
    return [upright, *(collection.prepare(turn(image, one)) for one in ORIENTATIONS[1:])]
