"""The words of items on a server: two fields of their documents, written with the items.

They are keywords, not text that the server takes apart: so the words are the same in all stores.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from lookalike.core.filters import Condition
from lookalike.core.keywords import KeywordCounts, Term, Wanted, WordHit
from lookalike.errors import StoreDeniedError
from lookalike.stores.servers import indexes
from lookalike.stores.servers.documents import ITEM, item_of
from lookalike.stores.servers.queries import Query, beginning, condition_query
from lookalike.stores.servers.reading import LIMIT, Reader, both

__all__ = ["LACKING", "ServerKeywords"]

LACKING: Query = {"bool": {"must_not": [{"exists": {"field": "words"}}]}}
"""Items that a version without keyword search has written."""


@dataclass(slots=True, kw_only=True)
class ServerKeywords:
    """Finds items by their words. ``ready`` says that the mapping has the fields."""

    items: Reader
    ready: bool = False

    def prepare(self) -> None:
        """Add the fields to the mapping, as before the first item is written.

        Without the privilege the fields stay out of the index, and items count as ``lacking``.
        """
        if not self.ready:
            with suppress(StoreDeniedError):
                indexes.add_words(self.items.server, self.items.index)
            self.ready = True

    def counts(self, terms: Sequence[Term]) -> KeywordCounts:
        wanted: dict[str, Any] = {str(place): _query(one) for place, one in enumerate(terms)}
        wanted["lacking"] = LACKING
        body: dict[str, Any] = {
            "size": 0,
            "track_total_hits": True,
            "aggs": {"terms": {"filters": {"filters": wanted}}},
        }
        if (query := both(self.items.only)) is not None:
            body["query"] = query
        found = self.items.search(body)
        buckets = found["aggregations"]["terms"]["buckets"]
        return KeywordCounts(
            items=found["hits"]["total"]["value"],
            lacking=buckets["lacking"]["doc_count"],
            having=[buckets[str(place)]["doc_count"] for place in range(len(terms))],
        )

    def ranked(
        self, wanted: Sequence[Wanted], *, k: int, where: Condition | None = None
    ) -> list[WordHit]:
        should = [
            {"constant_score": {"filter": _query(term, field), "boost": boost}}
            for term, score, label_score in wanted
            for field, boost in (("words", score), ("label_words", label_score))
        ]
        body: dict[str, Any] = {
            "track_total_hits": False,
            "_source": list(ITEM),
            "sort": [{"_score": "desc"}, {"id": "asc"}],
            "query": {
                "bool": {
                    "filter": [one for one in (self.items.only, condition_query(where)) if one],
                    "should": should,
                    "minimum_should_match": 1,
                }
            },
        }
        found: list[WordHit] = []
        while len(found) < k:
            body["size"] = min(k - len(found), LIMIT)
            hits = self.items.search(body)["hits"]["hits"]
            found += [WordHit(item_of(hit["_source"]), round(hit["sort"][0])) for hit in hits]
            if len(hits) < body["size"]:
                break
            body["search_after"] = hits[-1]["sort"]
        return found


def _query(term: Term, field: str = "words") -> Query:
    if term.prefix:
        return beginning(field, term.word)
    return {"term": {field: {"value": term.word}}}
