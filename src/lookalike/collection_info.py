"""What a collection is and what it holds, as records."""

from collections import Counter
from dataclasses import dataclass, replace

from lookalike.core import settings_keys
from lookalike.core.filters import Exists, Not
from lookalike.core.protocols import Store
from lookalike.core.records import Field, Skipped
from lookalike.core.roots import Root, read_roots
from lookalike.images.thumbnails import thumbnail_side
from lookalike.indexing import failures, missing

__all__ = ["CollectionInfo", "Description", "describe", "list_skipped", "read_info"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectionInfo:
    """What a collection is at one moment.

    ``items`` does not count the ``missing`` ones, whose files have gone and which are in no
    results. ``skipped`` counts files that could not be used, by reason. ``bytes`` is the size on
    the disk, ``None`` where a server does not report it. New items are given thumbnails of
    ``thumbnail_side`` pixels (``None``: none); ``thumbnails`` are kept, of ``thumbnail_bytes`` in
    all. ``updated_at`` is a Unix time. ``words`` says whether the encoder supports search by words;
    it is false also where that is not known before the encoder is opened.
    """

    address: str
    store: str
    items: int
    missing: int
    encoder: str | None
    fingerprint: str | None
    dim: int | None
    bytes: int | None
    ann_index_rows: int
    thumbnail_side: int | None
    thumbnails: int
    thumbnail_bytes: int
    roots: tuple[Root, ...]
    skipped: dict[str, int]
    updated_at: float | None
    words: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """Labels, groups and metadata of a collection's items.

    ``labels`` are the most frequent of ``distinct_labels``, with their counts; ``unlabelled`` items
    have none. ``groups`` counts the distinct ones. ``fields`` of the metadata are ``None`` if they
    were not requested.
    """

    items: int
    labels: dict[str, int]
    distinct_labels: int
    unlabelled: int
    groups: int
    fields: tuple[Field, ...] | None = None


def read_info(store: Store) -> CollectionInfo:
    """Return what a collection is and where it lies."""
    facts = store.facts()
    bound = store.bound()
    roots = read_roots(store.settings.get(settings_keys.ROOTS))
    names = {"", *(root.name for root in roots)}
    reasons = Counter(
        skip.reason for name in sorted(names) for skip in store.skips.below(name).values()
    )
    reasons.update(one.reason for one in failures.remembered(store))
    updated = store.settings.get(settings_keys.UPDATED_AT)
    thumbnails = store.thumbnails.state()
    size, ann_index_rows = facts.get("bytes"), facts.get("ann_index_rows")
    return CollectionInfo(
        address=str(facts["address"]),
        store=str(facts["store"]),
        items=store.search.count(),
        missing=missing.count(store),
        encoder=bound[0] if bound else None,
        fingerprint=bound[1] if bound else None,
        dim=bound[2] if bound else None,
        bytes=size if isinstance(size, int) else None,
        ann_index_rows=ann_index_rows if isinstance(ann_index_rows, int) else 0,
        thumbnail_side=thumbnail_side(store),
        thumbnails=thumbnails.items,
        thumbnail_bytes=thumbnails.bytes,
        roots=tuple(roots),
        skipped=dict(reasons.most_common()),
        updated_at=updated if isinstance(updated, float) else None,
    )


def describe(store: Store, *, labels: int, fields: bool) -> Description:
    """Return the most frequent labels, at most ``labels``, and with ``fields`` those too."""
    labelled = Exists("label")
    return Description(
        items=store.search.count(),
        labels={
            str(label): count
            for label, count in store.search.facets("label", labelled, limit=labels)
        },
        distinct_labels=store.search.distinct("label", labelled),
        unlabelled=store.search.count(Not(labelled)),
        groups=store.search.distinct("group", Exists("group")),
        fields=tuple(store.search.fields()) if fields else None,
    )


def list_skipped(store: Store) -> list[Skipped]:
    """Return everything that is recorded as skipped, with its reason, by path."""
    roots = read_roots(store.settings.get(settings_keys.ROOTS))
    places = {"": None, **{root.name: root.path for root in roots}}
    found = [
        skip if place is None else replace(skip, path=str(place / skip.path))
        for name, place in places.items()
        for skip in store.skips.below(name).values()
    ]
    found += failures.remembered(store)
    return sorted(found, key=lambda skip: skip.path)
