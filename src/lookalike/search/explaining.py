"""Why a query and an item are alike: ``Collection.explain``.

query → one unit vector, as a search has it ┐
                                            ├ shares of positions → contributions, pairs
item  → its stored vector, its image ───────┘
"""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from lookalike import images
from lookalike.analysis.explanation import Divided, ExplainedImage, Explanation, Method
from lookalike.analysis.explanation.contributions import explain_pair, merge_positions, settle
from lookalike.analysis.explanation.occlusion import divide_by_occlusion
from lookalike.core.protocols import Encoder, Prepared, patch_encoder_of
from lookalike.core.records import Item
from lookalike.errors import (
    ExplanationError,
    ImageError,
    ItemNotFoundError,
    UnreadableImageError,
    WordsError,
)
from lookalike.images.cropping import Box
from lookalike.images.turning import SIDEWAYS_TURNS, Orientation, turn_back
from lookalike.search.orientations import check_turnable, prepare_turned
from lookalike.search.parts import encode_part, mix
from lookalike.search.query import Encoded as EncodedQuery
from lookalike.search.query import ImageSource, ItemRef, Query, QueryPart, Words, is_vector
from lookalike.search.text import plan_text
from lookalike.search.words import has_words, named_query

if TYPE_CHECKING:
    from lookalike.collection import Collection
    from lookalike.core.vectors import Vector

__all__ = ["explain", "read_item"]

_SHOWN = 1024  # pixels of an image to be shown, at least, if it has them
_METHODS = ("auto", "map", "occlusion")


def explain(
    collection: "Collection",
    query: Query,
    id: str,
    *,
    method: Method = "auto",
    any_orientation: bool = False,
    read: "Callable[[Collection, Item], bytes] | None" = None,
) -> Explanation:
    """Return which regions make a query and an item alike; ``Collection.explain``.

    With ``any_orientation`` the query's image is turned and mirrored to be most like the item.
    ``read`` returns the bytes of an item's image, instead of ``read_item``. Raise as a search, and
    ``ExplanationError`` where ``method`` is "map" and the encoder has none.
    """
    if method not in _METHODS:
        raise ValueError(f"method is {method!r}; it is one of {', '.join(_METHODS)}")
    read = read or read_item
    if collection.store.bound() is None:
        raise ItemNotFoundError(f"there is no item {id!r}: the collection is empty")
    item = collection.get(id)
    query = _without_words(collection, named_query(query))
    if any_orientation:
        check_turnable(query)
    own = _image_part(query)
    sides = []
    vector: Vector
    orientation: Orientation = "upright"
    target = collection.vectors([id])[0]
    if own is None:
        vector = mix([encode_part(collection, part) for part in query.parts], query.parts).vector
    else:
        source = own.source
        asked = collection.get(source.id) if isinstance(source, ItemRef) else None
        data = source if asked is None else read(collection, asked)
        if any_orientation:
            prepared, vector, orientation = prepare_turned(
                collection,
                data,  # type: ignore[arg-type]
                own.crop,
                target,
            )
        else:
            prepared = collection.prepare(data, crop=own.crop)  # type: ignore[arg-type]
            vector = collection.encode_prepared([prepared])[0].vector
        if asked is not None and own.crop is None and orientation == "upright":
            vector = collection.vectors([asked.id])[0]  # what a search compares with
        name = _name(own.source)
        sides.append(
            _Shown.of(
                collection,
                data,  # type: ignore[arg-type]
                prepared.crop,
                prepared.prepared,
                name,
                sideways=orientation in SIDEWAYS_TURNS,
            )
        )
    data = read(collection, item)
    prepared = collection.prepare(data)
    sides.append(_Shown.of(collection, data, None, prepared.prepared, item.id))
    used, shares = _divide(collection.encoder, [side.prepared for side in sides], method)
    vectors = [vector, target][-len(sides) :]
    if used == "map":
        shares = [settle(one, whole) for one, whole in zip(shares, vectors, strict=True)]
    if own is not None:
        shares[0] = turn_back(shares[0], orientation)
    shares = [merge_positions(one) for one in shares]
    asked_shares = None if own is None else shares[0]
    pair = explain_pair(
        Divided(vector=vector, shares=asked_shares), Divided(vector=target, shares=shares[-1])
    )
    assert pair.item is not None  # noqa: S101 - it has shares
    return Explanation(
        score=pair.score,
        method=used,
        item_id=id,
        query=None if pair.query is None else sides[0].explained(pair.query),
        item=sides[-1].explained(pair.item),
        pairs=pair.pairs,
        orientation=orientation,
    )


def read_item(
    collection: "Collection",
    item: Item,
    *,
    locate: "Callable[[Collection, Item], Path | None] | None" = None,
) -> bytes:
    """Return the bytes of the image that an item's embedding is of, or its stored thumbnail.

    ``locate`` returns the path of its file, or raises ``ImageError``, in place of
    ``Collection.file_of``. Raise ``UnreadableImageError`` where the file has gone or changed, and
    no thumbnail is stored.
    """
    reason = "it was added on its own, without a file that is remembered"
    try:
        place = collection.file_of(item) if locate is None else locate(collection, item)
        if place is not None:
            data = images.read(place, limits=collection.limits)
            if images.digest(data) == item.digest:
                return data
            reason = "its file has changed since it was indexed"
    except ImageError as error:
        reason = f"its file: {error.reason}"
    kept = collection.store.thumbnails.get([item.id]).get(item.id)
    if kept is None:
        raise UnreadableImageError(
            f"{item.id!r} cannot be explained: {reason}, and no thumbnail is stored "
            "(index with thumbnails)"
        )
    return kept.jpeg


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Shown:
    """An image to be explained: as it is shown, and as the encoder takes it."""

    image: images.DecodedImage
    prepared: Prepared
    area: Box
    name: str

    @classmethod
    def of(
        cls,
        collection: "Collection",
        source: ImageSource,
        crop: Box | None,
        prepared: Prepared,
        name: str,
        *,
        sideways: bool = False,
    ) -> "_Shown":
        whole = collection.load_image(source, side=_SHOWN)
        left, top, right, bottom = crop or (0.0, 0.0, 1.0, 1.0)
        width, height = (right - left) * whole.width, (bottom - top) * whole.height
        seen = getattr(collection.encoder, "area", None)
        inner = (0.0, 0.0, 1.0, 1.0)
        if seen is not None and sideways:  # what is seen lies in the middle
            x, y, z, w = seen(height, width)
            inner = y, x, w, z
        elif seen is not None:
            inner = seen(width, height)
        area = (
            left + inner[0] * (right - left),
            top + inner[1] * (bottom - top),
            left + inner[2] * (right - left),
            top + inner[3] * (bottom - top),
        )
        return cls(image=whole, prepared=prepared, area=area, name=name)

    def explained(self, contributions: NDArray[np.float32]) -> ExplainedImage:
        return ExplainedImage(
            image=self.image.image, contributions=contributions, area=self.area, name=self.name
        )


def _divide(
    encoder: Encoder, batch: Sequence[Prepared], method: Method
) -> tuple[Literal["map", "occlusion"], list[NDArray[np.float32]]]:
    """Return how the images were divided, and the shares (rows, columns, dim) of each."""
    if method != "occlusion":
        patches = patch_encoder_of(encoder)
        missing = ExplanationError(f"{encoder.name} gives no vectors for positions")
        if patches is not None:
            try:
                return "map", [*patches.shares(batch)]
            except ExplanationError as error:
                missing = error
        if method == "map":
            raise ExplanationError(f'{missing}; method "occlusion" needs no map')
    return "occlusion", [divide_by_occlusion(one, encoder.encode) for one in batch]


def _without_words(collection: "Collection", query: Query) -> Query:
    """Return the query with vectors in place of words. Raise ``WordsError`` for words without."""
    if not query.parts:
        raise ValueError("the query has no parts; give an image, an item, words or a vector")
    if not has_words(query):
        return query
    plan = plan_text(collection, query, "auto")
    if not plan.query.parts:
        raise WordsError(
            f"{plan.text}: these words are searched by keywords, which no region of an image "
            "explains"
        )
    return plan.query


def _image_part(query: Query) -> QueryPart | None:
    """Return the part of a query that is one image or item, and nothing else."""
    if len(query.parts) != 1 or query.parts[0].weight <= 0:
        return None
    (part,) = query.parts
    other = isinstance(part.source, EncodedQuery | Words) or is_vector(part.source)
    return None if other else part


def _name(source: object) -> str:
    if isinstance(source, ItemRef):
        return source.id
    return Path(source).name if isinstance(source, str | os.PathLike) else ""
