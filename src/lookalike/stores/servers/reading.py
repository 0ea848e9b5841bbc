"""Reading an index: searches that are whole or an error, and walks that see one moment."""

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
"""Answers that a server gives at once (``index.max_result_window``)."""

KEYS = 1000
"""Keys in a query."""

_KEEP = "5m"  # a moment that nobody asks for is let go after this


@dataclass(frozen=True, slots=True, kw_only=True)
class Reader:
    """One index, read. ``only`` is what its documents must meet to be looked at."""

    server: Server
    dialect: Dialect
    index: str
    only: Query | None = None

    def search(self, body: Mapping[str, Any]) -> Any:  # noqa: ANN401 - JSON
        """One search. A shard that does not answer is an error, not a smaller answer."""
        path = f"/{quote(self.index)}/_search?allow_partial_search_results=false"
        answer = self.server.ask("POST", path, body).body
        self._check_index(answer["hits"]["hits"])
        return answer

    def searches(self, bodies: Sequence[Mapping[str, Any]]) -> list[Any]:
        """Many searches in one request; one by itself is quicker without that frame."""
        if len(bodies) == 1:
            return [self.search(bodies[0])]
        header = {"index": self.index, "allow_partial_search_results": False}
        lines: list[Mapping[str, Any]] = []
        for body in bodies:
            lines += [header, body]
        answers: list[Any] = self.server.ask_many("/_msearch", lines)["responses"]
        for place, answer in enumerate(answers):
            if "error" in answer:  # by itself it is waited for, where that helps, or told
                answers[place] = self.search(bodies[place])
            else:
                self._check_index(answer["hits"]["hits"])
        return answers

    def count(self, query: Query | None = None) -> int:
        """How many documents there are, or meet a query."""
        found = self.search({"size": 0, "track_total_hits": True, **self._queried(query)})
        total: int = found["hits"]["total"]["value"]
        return total

    def first(self, query: Query | None, *, by: str, source: Sequence[str], size: int) -> list[Any]:
        """The first ``size`` hits that meet a query, ascending by a field that none share."""
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
        """All hits that meet a query as pages of ``size``, ascending by a field that none share.

        They are those of the moment when the walk begins. With ``columns`` instead of ``source``,
        a hit has lists of values as its ``fields``, and no vector is read past on the way to them.
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
        """Documents by the server's own keys, in order, as they are now; for none ``None``."""
        found: list[Any] = []
        for start in range(0, len(ids), 1000):
            part = list(ids[start : start + 1000])
            path = f"/{quote(self.index)}/_mget?_source_includes={','.join(source)}"
            answer = self.server.ask("POST", path, {"ids": part}).body
            for one in answer["docs"]:
                if "error" in one:
                    # It has no status: there is no such index, or the document's shard is away.
                    gone = one["error"].get("type") == "index_not_found_exception"
                    raise refusal(
                        404 if gone else 503,
                        one,
                        address=self.server.address,
                        kind=self.server.kind,
                    )
                found.append(one if one.get("found") else None)
            self._check_index(answer["docs"])
        return found

    def refresh(self) -> None:
        """Make what others wrote visible to searches, where the credentials allow it.

        Without the privilege, searches see what the server's own interval has made visible.
        """
        with suppress(StoreDeniedError):
            self.server.ask("POST", f"/{quote(self.index)}/_refresh")

    def by_key(
        self, keys: Sequence[int], source: Sequence[str] = (), where: Query | None = None
    ) -> Iterator[tuple[int, dict[str, Any]]]:
        """Items by their keys, those that exist and meet a query."""
        for start in range(0, len(keys), KEYS):
            yield from keyed(self.search(keys_body(keys[start : start + KEYS], source, where)))

    def _queried(self, query: Query | None) -> dict[str, Any]:
        wanted = both(self.only, query)
        return {} if wanted is None else {"query": wanted}

    def _check_index(self, hits: Sequence[Any]) -> None:
        """Raise if what answers is no longer the index that was opened.

        The name may have become an alias of one with another encoder's vectors.
        """
        if hits and hits[0].get("_index", self.index) != self.index:
            raise CollectionReplacedError(
                f"{self.server.address} has been replaced since it was opened (`lookalike migrate` "
                "does so); open it again"
            )


def both(*queries: Query | None) -> Query | None:
    """A query for what meets all of some queries.

    Those that are such themselves become part of it: servers refuse what is nested too deep.
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
    """A search for the items of at most ``KEYS`` keys."""
    return {
        "size": KEYS,
        "query": both({"terms": {"key": [*keys]}}, where),
        "_source": ["key", *source],
        "track_total_hits": False,
    }


def keyed(answer: Any) -> Iterator[tuple[int, dict[str, Any]]]:  # noqa: ANN401 - JSON
    """What such a search has found, by key."""
    for hit in answer["hits"]["hits"]:
        yield hit["_source"]["key"], hit["_source"]


def _shown(source: Sequence[str], columns: Sequence[str]) -> dict[str, Json]:
    if columns:
        return {"docvalue_fields": [*columns], "stored_fields": "_none_"}
    return {"_source": [*source] or False}
