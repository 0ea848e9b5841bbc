"""Read an index: searches that are complete or fail, and walks over one snapshot."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from lookalike.core.records import Json
from lookalike.errors import CollectionReplacedError, StoreDeniedError
from lookalike.stores.servers.dialect import Dialect
from lookalike.stores.servers.queries import Query
from lookalike.stores.servers.refusals import refusal
from lookalike.stores.servers.server import Server

__all__ = ["KEYS", "LIMIT", "Reader", "both", "keyed", "keys_body"]

LIMIT = 10_000
"""Maximum hits per response (``index.max_result_window``)."""

KEYS = 1000
"""Keys in a query."""

_KEEP = "5m"  # an unused snapshot is closed after this


@dataclass(frozen=True, slots=True, kw_only=True)
class Reader:
    """Reads one index. ``only`` is a query that its documents must meet."""

    server: Server
    dialect: Dialect
    index: str
    only: Query | None = None

    def search(self, body: Mapping[str, Any]) -> Any:  # noqa: ANN401 - JSON
        """Search once. A shard that does not respond is an error, not a smaller result."""
        path = f"/{quote(self.index)}/_search?allow_partial_search_results=false"
        response = self.server.ask("POST", path, body).body
        self._check_index(response["hits"]["hits"])
        return response

    def searches(self, bodies: Sequence[Mapping[str, Any]]) -> list[Any]:
        """Run many searches in one request; a single one is sent directly, which is faster."""
        if len(bodies) == 1:
            return [self.search(bodies[0])]
        header = {"index": self.index, "allow_partial_search_results": False}
        lines: list[Mapping[str, Any]] = []
        for body in bodies:
            lines += [header, body]
        responses: list[Any] = self.server.ask_many("/_msearch", lines)["responses"]
        for place, response in enumerate(responses):
            if "error" in response:  # a single search is retried if that helps, or raises
                responses[place] = self.search(bodies[place])
            else:
                self._check_index(response["hits"]["hits"])
        return responses

    def count(self, query: Query | None = None) -> int:
        """Return how many documents exist, or meet a query."""
        found = self.search({"size": 0, "track_total_hits": True, **self._queried(query)})
        total: int = found["hits"]["total"]["value"]
        return total

    def first(self, query: Query | None, *, by: str, source: Sequence[str], size: int) -> list[Any]:
        """Return the first ``size`` hits of a query, ascending by a unique field."""
        body = {
            "size": size,
            "track_total_hits": False,
            **_shown(source, ()),
            "sort": [{by: "asc"}],
            **self._queried(query),
        }
        hits: list[Any] = self.search(body)["hits"]["hits"]
        return hits

    def walk(
        self,
        query: Query | None,
        *,
        by: str,
        source: Sequence[str] = (),
        columns: Sequence[str] = (),
        size: int,
        extra: Mapping[str, Json] | None = None,
    ) -> Iterator[list[Any]]:
        """Yield all hits of a query in pages of ``size``, ascending by a unique field.

        They are those of the moment when the walk starts. With ``columns`` instead of ``source``, a
        hit has lists of values as its ``fields``, and the server need not read past vectors.
        """
        opened = self.server.ask("POST", self.dialect.open_moment(quote(self.index))).body
        moment = self.dialect.moment_of(opened)
        body: dict[str, Any] = {
            "size": size,
            "track_total_hits": False,
            **_shown(source, columns),
            "sort": [{by: "asc"}],
            "pit": {"id": moment, "keep_alive": _KEEP},
            **self._queried(query),
            **(extra or {}),
        }
        try:
            while True:
                found = self.server.ask(
                    "POST", "/_search?allow_partial_search_results=false", body
                ).body
                moment = body["pit"]["id"] = found.get("pit_id", moment)
                hits: list[Any] = found["hits"]["hits"]
                if hits:
                    yield hits
                if len(hits) < size:
                    return
                body["search_after"] = hits[-1]["sort"]
        finally:
            path, closing = self.dialect.close_moment(moment)
            self.server.ask("DELETE", path, closing, allow=(404,))

    def sources(self, ids: Sequence[str], *, source: Sequence[str]) -> list[Any]:
        """Return documents by the server's own keys, in order; ``None`` for a missing one."""
        found: list[Any] = []
        for start in range(0, len(ids), 1000):
            part = list(ids[start : start + 1000])
            path = f"/{quote(self.index)}/_mget?_source_includes={','.join(source)}"
            response = self.server.ask("POST", path, {"ids": part}).body
            for one in response["docs"]:
                if "error" in one:
                    # No status: the index does not exist, or the document's shard is not available.
                    gone = one["error"].get("type") == "index_not_found_exception"
                    raise refusal(
                        404 if gone else 503,
                        one,
                        address=self.server.address,
                        kind=self.server.kind,
                    )
                found.append(one if one.get("found") else None)
            self._check_index(response["docs"])
        return found

    def refresh(self) -> None:
        """Make writes of others visible to searches, if the credentials allow it.

        Without the privilege, searches see what the server's own interval has made visible.
        """
        with suppress(StoreDeniedError):
            self.server.ask("POST", f"/{quote(self.index)}/_refresh")

    def by_key(
        self, keys: Sequence[int], source: Sequence[str] = (), where: Query | None = None
    ) -> Iterator[tuple[int, dict[str, Any]]]:
        """Return items by their keys: those that exist and meet a query."""
        for start in range(0, len(keys), KEYS):
            yield from keyed(self.search(keys_body(keys[start : start + KEYS], source, where)))

    def _queried(self, query: Query | None) -> dict[str, Any]:
        wanted = both(self.only, query)
        return {} if wanted is None else {"query": wanted}

    def _check_index(self, hits: Sequence[Any]) -> None:
        """Raise if the response is no longer from the index that was opened.

        The name may have become an alias of an index with another encoder's vectors.
        """
        if hits and hits[0].get("_index", self.index) != self.index:
            raise CollectionReplacedError(
                f"{self.server.address} has been replaced since it was opened (`lookalike migrate` "
                "does so); open it again"
            )


def both(*queries: Query | None) -> Query | None:
    """Return a query for what meets all of some queries.

    Nested conjunctions are flattened, because servers refuse queries that are nested too deep.
    """
    parts: list[Json] = []
    for query in queries:
        match query:
            case None:
                pass
            case {"bool": {"filter": list(inner), **others}} if not others and len(query) == 1:
                parts += inner
            case _:
                parts.append(query)
    return {"bool": {"filter": parts}} if parts else None


def keys_body(
    keys: Sequence[int], source: Sequence[str], where: Query | None = None
) -> dict[str, Any]:
    """Return a search for the items of at most ``KEYS`` keys."""
    return {
        "size": KEYS,
        "query": both({"terms": {"key": [*keys]}}, where),
        "_source": ["key", *source],
        "track_total_hits": False,
    }


def keyed(response: Any) -> Iterator[tuple[int, dict[str, Any]]]:  # noqa: ANN401 - JSON
    """Yield the hits of such a search with their keys."""
    for hit in response["hits"]["hits"]:
        yield hit["_source"]["key"], hit["_source"]


def _shown(source: Sequence[str], columns: Sequence[str]) -> dict[str, Json]:
    if columns:
        return {"docvalue_fields": [*columns], "stored_fields": "_none_"}
    return {"_source": [*source] or False}
