"""Searches for the service: encode what must be, search on a thread, and return a document."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from lookalike.collection import Collection
from lookalike.core.records import Item, Json
from lookalike.core.vectors import Vector
from lookalike.images.cropping import Crop
from lookalike.images.thumbnails import thumbnail_side
from lookalike.output.json_documents import hits_json, search_json
from lookalike.search import (
    Encoded,
    ItemRef,
    Query,
    QueryPart,
    Results,
    SearchOptions,
    Words,
    bytes_of,
    check_turnable,
    run,
)
from lookalike.service.collections import Opened
from lookalike.service.paths import item_address
from lookalike.service.problems import Problem
from lookalike.service.schemas import Options
from lookalike.service.state import Service, in_thread
from lookalike.service.uploads import Upload

__all__ = ["Part", "add_links", "search_document"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Part:
    """A part of a query. ``weight`` is below zero for what is disliked."""

    source: Upload | ItemRef | Words | Vector
    crop: Crop | None
    weight: float

    def document(self, used: QueryPart) -> dict[str, Json]:
        """Return how the response describes the part; ``used`` has the crop that was searched."""
        source = self.source
        document: dict[str, Json] = (
            {"id": source.id}
            if isinstance(source, ItemRef)
            else {"text": source.text}
            if isinstance(source, Words)
            else {"path": source.name or None}
            if isinstance(source, Upload)
            else {"vector": len(source)}
        )
        crop = used.source.crop if isinstance(used.source, Encoded) else None
        return document if crop is None else document | {"crop": [*crop]}


async def search_document(
    service: Service,
    opened: Opened,
    parts: Sequence[Part],
    options: Options,
    began: float,
) -> dict[str, Json]:
    """Return the document of a query's results. Raise ``Problem`` and what a search raises."""
    shop, levels = opened.collection, opened.levels
    wanted = options.search_options()
    query = Query(tuple(_as_sent(part) for part in parts))
    if wanted.any_orientation:
        try:
            check_turnable(query)
        except ValueError as error:
            raise Problem(422, "nothing-asked", str(error)) from error
    if shop.store.bound() is not None:
        encoded = (_encode_part(opened, part, wanted) for part in parts)
        query = Query(tuple(await asyncio.gather(*encoded)))
    min_match = wanted.min_match
    if min_match is not None and await in_thread(levels.known, min_match) is None:
        async with opened.measuring:  # waiting here holds no thread
            await in_thread(levels.measured)

    def search() -> dict[str, Json]:
        scale = levels.known(min_match) if min_match is None else levels.measured()
        try:
            results = run(shop, query, wanted, scale=scale)
        except ValueError as error:  # parts that cancel out, a vector of another length
            raise Problem(422, "nothing-asked", str(error)) from error
        opened.confirm()
        return search_json(
            query=parts[0].document(query.parts[0])
            if len(parts) == 1
            else {"parts": _describe_parts(parts, query)},
            seconds=time.perf_counter() - began,
            collection=opened.document(),
            hits=_make_hits(service, opened, results, options),
            results=results,
            options=wanted,
        )

    return await in_thread(
        search
    )  # in one call: each switch of threads costs a tenth of a millisecond


def _describe_parts(parts: Sequence[Part], query: Query) -> list[Json]:
    return [
        part.document(used) | {"weight": round(part.weight, 6)}
        for part, used in zip(parts, query.parts, strict=True)
    ]


def _as_sent(part: Part) -> QueryPart:
    source = part.source
    return QueryPart(
        source=source.data if isinstance(source, Upload) else source, weight=part.weight
    )


async def _encodes(shop: Collection, options: SearchOptions) -> bool:
    """Return whether words are to be encoded, and can be."""
    return options.text_mode not in ("labels", "keywords") and await _supports_words(shop)


async def _encode_part(opened: Opened, part: Part, options: SearchOptions) -> QueryPart:
    """Return the part with its image encoded: together with other requests' images."""
    shop, source = opened.collection, part.source
    if options.any_orientation:
        found = await opened.encoding.encode_turned(replace(_as_sent(part), crop=part.crop))
    elif isinstance(source, Upload):
        found = await opened.encoding.encode(source.data, crop=part.crop)
    elif isinstance(source, ItemRef) and part.crop is not None:
        item = await in_thread(shop.get, source.id)
        data = await in_thread(bytes_of, shop, item)
        cropped = await opened.encoding.encode(data, crop=part.crop)
        found = replace(cropped, digest=item.digest, item=item)
    elif isinstance(source, Words) and part.crop is None and await _encodes(shop, options):
        found = await opened.encoding.encode_words(source)
    else:  # nothing to encode here
        return QueryPart(source=source, crop=part.crop, weight=part.weight)
    return QueryPart(source=found, weight=part.weight)


async def _supports_words(shop: Collection) -> bool:
    """Return ``supports_words``, which may ask a server before the encoder is open."""
    return await in_thread(lambda: shop.supports_words)


def _make_hits(
    service: Service, opened: Opened, results: Results, options: Options
) -> list[dict[str, Json]]:
    documents = hits_json(opened.collection, results)
    add_links(service, opened, [hit.item for hit in results], documents)
    if options.fields is None:
        return documents
    return [_choose_fields(document, options.fields) for document in documents]


def add_links(
    service: Service, opened: Opened, items: Sequence[Item], documents: Sequence[dict[str, Json]]
) -> None:
    """Add the links to its thumbnail and image to each item's document."""
    has_file = [document["path"] is not None for document in documents]
    keeps = not all(has_file) and thumbnail_side(opened.collection.store) is not None
    for item, document, file in zip(items, documents, has_file, strict=True):
        for what, shown in (("thumbnail", file or keeps), ("image", file)):
            link = item_address(item.id, f"/{what}", f"v={item.digest[:12]}")
            document[what] = f"{opened.address}{link}" if shown else None
        if not service.settings.show_paths:
            document["path"] = None


def _choose_fields(document: dict[str, Json], fields: Sequence[str]) -> dict[str, Json]:
    """Return the members of a hit that ``fields`` names."""
    chosen = {name: document[name] for name in ("rank", "score", "id")}
    chosen |= {name: document[name] for name in fields if name in document}
    parts = {name.removeprefix("metadata.") for name in fields} - set(fields)
    metadata = document["metadata"]
    if parts and "metadata" not in chosen and isinstance(metadata, dict):
        chosen["metadata"] = {name: value for name, value in metadata.items() if name in parts}
    return chosen
