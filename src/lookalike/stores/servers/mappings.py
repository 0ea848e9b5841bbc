"""The two indexes of a collection as bodies of ``PUT``: settings and mappings. Pure.

``shop`` holds the items, ``shop.lookalike`` the data beside them. The mapping itself (``_meta``)
describes them, so that no index of another program is taken for a collection.
"""

from typing import Any

from lookalike.core.records import Json
from lookalike.errors import CollectionFormatError

__all__ = [
    "FORMAT",
    "META",
    "OUR_FIELDS",
    "begun_as",
    "beside_body",
    "beside_name",
    "encoder_meta",
    "format_of",
    "items_body",
    "made_with",
    "side_table_properties",
    "thumbnail_properties",
    "vector_properties",
    "word_properties",
]

FORMAT = 2
"""1 left ``vector`` and ``tokens`` out of ``_source``, so updates by other programs lost them."""
META = "lookalike"

_KEPT: Json = {"type": "keyword", "index": False, "doc_values": False}  # returned, never searched
_WORD: Json = {"type": "keyword"}
_WHOLE: Json = {"type": "long"}

_ITEM: dict[str, Json] = {
    "id": _WORD,
    "key": _WHOLE,
    "digest": _WORD,
    "width": {"type": "double"},
    "height": {"type": "double"},
    "root": _WORD,
    "path": _WORD,
    "size": {"type": "long", "index": False},
    "mtime_ns": {"type": "long", "index": False},
    "label": _WORD,
    "group": _WORD,
    "metadata": _KEPT,
    "tokens": _WORD,
    "half": _KEPT,
}
_WORDS: dict[str, Json] = {"words": _WORD, "label_words": _WORD}
OUR_FIELDS: dict[str, str] = {
    name: str(field["type"]) for name, field in _ITEM.items() if isinstance(field, dict)
}
"""The fields of an item's document and their types, without the vector's."""


def beside_name(name: str) -> str:
    """Return the name of the index beside the items of a collection."""
    return f"{name}.lookalike"


def items_body(
    *, vectors: str, shards: int, replicas: int | None, settings: dict[str, Json], begun: str = ""
) -> dict[str, Json]:
    """Return the body of the items' index. The vector field is added with the encoder.

    ``begun`` distinguishes it from earlier and later indexes of the same name.
    """
    return {
        "settings": {"index": {**_sizes(shards, replicas), **settings}},
        "mappings": {
            # Fields that the owners of the cluster add are stored, but not indexed unless they
            # map them: they are never refused, and never widen the mapping.
            "dynamic": "false",
            "_meta": {
                META: {"format": FORMAT, "holds": "items", "vectors": vectors, "begun": begun}
            },
            # `_source` contains every field, because whatever rewrites a document (`_update`,
            # `_update_by_query`, `_reindex`) builds the new one from it.
            "properties": {**_ITEM, **_WORDS},
        },
    }


def beside_body(*, replicas: int | None) -> dict[str, Json]:
    """Return the body of the index beside the items: settings, skips, counter, neighbour table."""
    return {
        "settings": {"index": _sizes(1, replicas)},
        "mappings": {
            "dynamic": "strict",
            "_meta": {META: {"format": FORMAT, "holds": "beside"}},
            "properties": {
                "kind": _WORD,
                "name": _WORD,
                "value": _KEPT,
                "root": _WORD,
                "path": _WORD,
                "size": {"type": "long", "index": False},
                "mtime_ns": {"type": "long", "index": False},
                "reason": _KEPT,
                "next": {"type": "long", "index": False},
                "floor": {"type": "long", "index": False},
                "key": _WHOLE,
                "mark": _WHOLE,
                "k": {"type": "integer"},
                "exact": {"type": "boolean"},
                "entries": _KEPT,
                "bytes": {"type": "integer"},
            },
        },
    }


def vector_properties(field: dict[str, Json]) -> dict[str, Json]:
    """Return the body of ``PUT …/_mapping`` that adds the vector field."""
    return {"properties": {"vector": field}}


def encoder_meta(response: Any, encoder: Json) -> dict[str, Json]:  # noqa: ANN401 - JSON
    """Return the body of ``PUT …/_mapping`` that stores the encoder in ``_meta``.

    ``response`` is that of ``GET …/_mapping``, because a server replaces ``_meta`` as a whole.
    """
    (one,) = response.values()
    meta = dict(one["mappings"]["_meta"])
    return {"_meta": {**meta, META: {**meta[META], "encoder": encoder}}}


def format_of(response: Any) -> tuple[int, Json]:  # noqa: ANN401 - JSON
    """Return the format and the encoder of the items' index from ``GET …/_mapping``."""
    (one,) = response.values()
    ours = one["mappings"]["_meta"][META]
    return int(ours.get("format", 1)), ours.get("encoder")


def begun_as(response: Any) -> str:  # noqa: ANN401 - JSON
    """Return which collection of its name it is, from ``GET …/_mapping``."""
    (one,) = response.values()
    return str(one["mappings"]["_meta"][META].get("begun", ""))


def thumbnail_properties() -> dict[str, Json]:
    """Return the body of ``PUT …/_mapping`` that adds thumbnails to the index beside the items.

    It is sent with the first thumbnail, so it also reaches indexes that were created before.
    """
    return {"properties": {"side": {"type": "integer"}, "jpeg": {"type": "binary"}}}


def word_properties() -> dict[str, Json]:
    """Return the body of ``PUT …/_mapping`` that adds what keyword search needs to the items.

    An index that was made before there was any gets it with the next items that are written.
    """
    return {"properties": {**_WORDS}}


def side_table_properties() -> dict[str, Json]:
    """Return the body of ``PUT …/_mapping`` that adds what side tables need to the index beside.

    Like thumbnails, it comes with the first row.
    """
    return {"properties": {"digest": _WORD}}


def made_with(response: Any, *, address: str) -> tuple[str, dict[str, Any]]:  # noqa: ANN401 - JSON
    """Return how the vectors of a collection are indexed, and its fields, from ``GET …/_mapping``.

    Raise ``CollectionFormatError`` for a foreign index or one of a newer format.
    """
    mappings = [one.get("mappings", {}) for one in response.values()]
    if len(mappings) != 1:
        raise CollectionFormatError(
            f"{address} is an alias of {len(mappings)} indexes ({', '.join(sorted(response))}); a "
            "collection is one index: point the alias at one, or use the name of an index"
        )
    ours = mappings[0].get("_meta", {}).get(META)
    if (
        not isinstance(ours, dict)
        and {"half", "digest"} <= mappings[0].get("properties", {}).keys()
    ):
        raise CollectionFormatError(
            f"{address} has items of lookalike, but not the mapping of a collection: it was copied "
            "into an index that was not made for it. Make the target with the settings and the "
            "mapping (`_meta` too) of the index that is copied, then copy again: docs/servers.md"
        )
    if not isinstance(ours, dict) or ours.get("holds") != "items":
        raise CollectionFormatError(
            f"{address} is an index that lookalike did not make; it is left alone: choose "
            "another name"
        )
    if ours.get("format", 0) > FORMAT:
        raise CollectionFormatError(
            f"{address} was written by a newer lookalike (format {ours['format']}; this one reads "
            f"up to {FORMAT}); upgrade lookalike"
        )
    return str(ours.get("vectors", "")), mappings[0].get("properties", {})


def _sizes(shards: int, replicas: int | None) -> dict[str, Json]:
    copies: dict[str, Json] = (
        # a copy as soon as there is a second machine, and no yellow state while there is none
        {"auto_expand_replicas": "0-1"} if replicas is None else {"number_of_replicas": replicas}
    )
    return {"number_of_shards": shards, **copies}
