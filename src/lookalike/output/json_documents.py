"""Items and results as JSON documents, the same on the command line and over HTTP."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from lookalike.core import settings_keys
from lookalike.core.error_codes import status_of
from lookalike.core.records import Hit, Item, Json, Missing, Note
from lookalike.errors import LookalikeError

if TYPE_CHECKING:
    from lookalike.analysis.calibration import Match
    from lookalike.analysis.categories import CategorySearch
    from lookalike.analysis.categories.category_search import CategoryChoice
    from lookalike.collection import Collection
    from lookalike.search import Results, SearchOptions

__all__ = [
    "category_json",
    "collection_json",
    "error_json",
    "hits_json",
    "item_json",
    "items_json",
    "matches_json",
    "missing_json",
    "notes_json",
    "search_json",
    "when",
]

_PREDICTED = 5  # labels that are listed


def item_json(collection: "Collection", item: Item) -> dict[str, Json]:
    """Return an item as a document; ``path`` is that of its file, or ``null`` without a file."""
    return items_json(collection, [item])[0]


def items_json(collection: "Collection", items: Sequence[Item]) -> list[dict[str, Json]]:
    """Return ``item_json`` of each item."""
    return [
        {
            "id": item.id,
            "path": None if place is None else str(place),
            "label": item.label,
            "group": item.group,
            "metadata": dict(item.metadata),
            "width": item.width,
            "height": item.height,
            "digest": item.digest,
        }
        for item, place in zip(items, collection.files_of(items), strict=True)
    ]


def missing_json(one: Missing) -> dict[str, Json]:
    """Return a missing item as a document, with the time ``since`` when it is missing."""
    item = one.item
    return {
        "id": item.id,
        "label": item.label,
        "group": item.group,
        "metadata": dict(item.metadata),
        "width": item.width,
        "height": item.height,
        "digest": item.digest,
        "since": when(one.since),
    }


def hits_json(collection: "Collection", results: "Results") -> list[dict[str, Json]]:
    """Return hits with their rank, from 1, score, and match level (``null`` where not calibrated).

    If near duplicates were folded, also how many each hit represents; if the query was searched in
    any orientation, the one that matched; if a region was more alike than a whole image, the box.
    """
    items = items_json(collection, [hit.item for hit in results])
    matches = results.matches or [None] * len(results)
    folded = results.folded
    turns = results.orientations
    boxes = any(hit.box is not None for hit in results)
    more: list[dict[str, Json]] = []
    for hit in results:
        added: dict[str, Json] = {} if folded is None else {"folded": folded[hit.item.id]}
        if turns is not None:
            added["orientation"] = turns[hit.item.id]
        if boxes:
            added["box"] = None if hit.box is None else [*hit.box]
        more.append(added)
    return [
        {"rank": rank, "score": round(hit.score, 6), "match": match, **item, **added}
        for rank, (hit, item, match, added) in enumerate(
            zip(results, items, matches, more, strict=True), 1
        )
    ]


def collection_json(collection: "Collection") -> dict[str, Json]:
    """Return the collection that results come from."""
    bound = collection.store.bound()
    updated = collection.store.settings.get(settings_keys.UPDATED_AT)
    return {
        "name": Path(str(collection.store.facts()["address"])).name,
        "items": len(collection),
        "updated_at": when(updated if isinstance(updated, float) else None),
        "encoder": bound[0] if bound else None,
    }


def search_json(
    *,
    query: dict[str, Json],
    seconds: float,
    collection: dict[str, Json],
    hits: Iterable[dict[str, Json]],
    results: "Results",
    options: "SearchOptions",
) -> dict[str, Json]:
    """Return the document of one query's results. All keys but ``folded`` are always present.

    ``hits`` are the documents of ``results``.
    """
    listed: list[Json] = [*hits]
    folded = results.folded
    return {
        "query": query,
        "seconds": round(seconds, 6),
        "total": len(listed),
        "score": results.score,
        "collection": collection,
        "category": None if results.category is None else category_json(results.category),
        "matches": matches_json(results, options.min_match),
        **({} if folded is None else {"folded": sum(folded[hit.item.id] for hit in results)}),
        "best": None if results.best is None else _nearest_json(results.best),
        "left_out": [*results.left_out],
        "notes": notes_json(results.notes),
        "hits": listed,
    }


def matches_json(results: "Results", min_match: "Match | None") -> dict[str, Json] | None:
    """Return where each match level begins, and why there is no hit; ``None`` without levels."""
    scale = results.scale
    if scale is None:
        return None
    below = next((note for note in results.notes if note.code == "below-min-match"), None)
    return {
        "min": min_match,
        **{one.match: round(one.least, 6) for one in scale.levels},
        "measured": scale.reason is None,
        "reason": scale.reason,
        "nothing": None if below is None else below.message,
        "nearest": None if below is None or results.best is None else _nearest_json(results.best),
    }


def notes_json(notes: Iterable[Note]) -> list[Json]:
    """Return notes with their code, message, and the members that the code has."""
    return [{"code": one.code, "message": one.message, **one.details} for one in notes]


def error_json(error: LookalikeError) -> dict[str, Json]:
    """Return an error as ``code`` and ``message``."""
    return {"code": status_of(error)[1], "message": str(error)}


def _nearest_json(hit: Hit) -> dict[str, Json]:
    return {"id": hit.item.id, "score": round(hit.score, 6)}


def category_json(found: "CategoryChoice | CategorySearch") -> dict[str, Json]:
    """Return what was predicted for an image, the scope that was searched, and why."""
    return {
        "predicted": [
            {"label": one.label, "probability": round(one.probability, 6)}
            for one in found.predictions[:_PREDICTED]
        ],
        "used": list(found.scope.labels),
        "scope": "category" if found.scope.labels else "all",
        "reason": found.scope.reason,
    }


def when(seconds: float | None) -> str | None:
    """Return a Unix time as ISO 8601 in UTC, to the second."""
    return (
        None if seconds is None else datetime.fromtimestamp(seconds, UTC).isoformat("T", "seconds")
    )
