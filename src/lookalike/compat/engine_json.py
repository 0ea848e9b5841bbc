"""Search results in the JSON form of an Elasticsearch response, for clients of older systems."""

from collections.abc import Iterable, Mapping, Sequence

from lookalike.core.records import Json

__all__ = ["engine_hits_json", "engine_response_json"]


def engine_hits_json(hits: Iterable[Mapping[str, Json]], *, name: str) -> list[dict[str, Json]]:
    """Return hits as Elasticsearch lists them in ``hits.hits``, with the id under ``name``.

    Of each hit's document, ``id``, ``score``, ``label`` and ``image`` are used. ``_score`` is a
    cosine. Vectors are not included.
    """
    return [
        {
            "_id": hit["id"],
            "_score": hit["score"],
            "_source": {name: hit["id"], "label": hit["label"], "image_url": hit["image"]},
        }
        for hit in hits
    ]


def engine_response_json(hits: Sequence[Mapping[str, Json]], *, took_ms: float) -> dict[str, Json]:
    """Return the body of ``POST /images/search/``: the engine's response, and ``ok``.

    ``hits`` are sorted best first, and have the keys that ``engine_hits_json`` needs.
    """
    listed: list[Json] = [*engine_hits_json(hits, name="image_name")]
    return {
        "response": {
            "took": round(took_ms),
            "timed_out": False,
            "hits": {
                "total": {"value": len(listed), "relation": "eq"},
                "max_score": hits[0]["score"] if hits else None,
                "hits": listed,
            },
        },
        "ok": True,
        "message": "",
    }
