"""A service's JSON responses, read into the records of the core."""

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from lookalike.analysis.categories.category_search import CategoryChoice, Scope
from lookalike.analysis.categories.labels import Prediction
from lookalike.analysis.mapping import CollectionMap, MapCluster, MapPoint
from lookalike.collection_info import CollectionInfo, Description
from lookalike.core.records import Added, Field, Hit, IndexReport, Item, Missing, Note, Skipped
from lookalike.core.roots import Root
from lookalike.search import Results

__all__ = [
    "read_added",
    "read_description",
    "read_info",
    "read_item",
    "read_map",
    "read_missing",
    "read_note",
    "read_report",
    "read_results",
]

_ITEM_FIELDS = ("id", "digest", "width", "height", "label", "group", "metadata")
_COUNTS = (
    "indexed",
    "reused",
    "replaced",
    "unchanged",
    "restored",
    "relabelled",
    "kept_by_hand",
)


def read_item(document: Mapping[str, Any]) -> Item:
    """Return an item; ``root``, ``path`` and ``stamp`` stay empty."""
    return Item(**{name: document[name] for name in _ITEM_FIELDS})


def read_added(document: Mapping[str, Any]) -> Added:
    """Return the item that an upload added, with its ``outcome``."""
    fields = {name: document[name] for name in _ITEM_FIELDS}
    return Added(**fields, outcome=document["outcome"])


def read_missing(document: Mapping[str, Any]) -> Missing:
    """Return a missing item, with the time since when it is missing."""
    since = datetime.fromisoformat(document["since"]).timestamp()
    return Missing(item=read_item(document), since=since)


def read_map(document: Mapping[str, Any]) -> CollectionMap:
    """Return a map."""
    points = []
    for one in document["points"]:
        nearest = one["nearest"] or {"id": None, "score": None}
        fields = {**one, "nearest": nearest["id"], "score": nearest["score"]}
        points.append(MapPoint(**fields))
    return CollectionMap(
        points=tuple(points),
        clusters=tuple(MapCluster(**one) for one in document["clusters"]),
        layout=document["layout"],
        items=document["items"],
        kept=document["neighbours_kept"],
        seconds=document["seconds"],
        notes=tuple(map(read_note, document["notes"])),
    )


def read_note(document: Mapping[str, Any]) -> Note:
    """Return a note, with its further members as details."""
    details = {name: value for name, value in document.items() if name not in ("code", "message")}
    return Note(code=document["code"], message=document["message"], details=details)


def read_report(document: Mapping[str, Any], skipped: tuple[Skipped, ...]) -> IndexReport:
    """Return the report of uploaded images; ``skipped`` lists those that could not be used."""
    return IndexReport(**{name: document[name] for name in _COUNTS}, skipped=skipped)


def read_results(document: Mapping[str, Any], *, best: Hit | None) -> Results:
    """Return the results of a search; ``best`` is the best item where all scores were too low."""
    hits, matches = document["hits"], document.get("matches")
    return Results(
        [Hit(item=read_item(one), score=one["score"], box=_read_box(one)) for one in hits],
        notes=[read_note(one) for one in document.get("notes", [])],
        left_out=document.get("left_out", []),
        best=best,
        matches=[one["match"] for one in hits] if matches is not None else (),
        category=_read_category(document.get("category")),
        folded={one["id"]: one["folded"] for one in hits} if "folded" in document else None,
        orientations={one["id"]: one["orientation"] for one in hits}
        if any("orientation" in one for one in hits)
        else None,
        score=document.get("score", "cosine"),
    )


def _read_box(document: Mapping[str, Any]) -> tuple[float, float, float, float] | None:
    """Return the part of an image that a hit is of, if it is not the whole."""
    if document.get("box") is None:
        return None
    left, top, right, bottom = document["box"]
    return left, top, right, bottom


def _read_category(document: Mapping[str, Any] | None) -> CategoryChoice | None:
    if document is None:
        return None
    return CategoryChoice(
        predictions=tuple(Prediction(**one) for one in document["predicted"]),
        scope=Scope(labels=tuple(document["used"]), reason=document["reason"]),
    )


def read_info(document: Mapping[str, Any], *, address: str) -> CollectionInfo:
    """Return what a collection holds; ``address`` is its URL. Roots without a path are left out."""
    updated = document["updated_at"]
    return CollectionInfo(
        address=address,
        store=document["store"],
        items=document["items"],
        missing=document["missing"],
        encoder=document["encoder"],
        fingerprint=document["fingerprint"],
        dim=document["dim"],
        bytes=document["bytes"],
        ann_index_rows=document["ann_index_rows"],
        thumbnail_side=document["thumbnail_side"],
        thumbnails=document["thumbnails"],
        thumbnail_bytes=document["thumbnail_bytes"],
        roots=tuple(
            Root(name=one["name"], path=Path(one["path"]))
            for one in document["roots"]
            if one["path"] is not None
        ),
        skipped=document["skipped"],
        updated_at=None if updated is None else datetime.fromisoformat(updated).timestamp(),
        words=document["words"],
    )


def read_description(document: Mapping[str, Any]) -> Description:
    """Return the counts of labels, groups and metadata fields."""
    fields = document.get("fields")
    return Description(
        items=document["items"],
        labels=document["labels"],
        distinct_labels=document["distinct_labels"],
        unlabelled=document["unlabelled"],
        groups=document["groups"],
        fields=None if fields is None else tuple(Field(**one) for one in fields),
    )
