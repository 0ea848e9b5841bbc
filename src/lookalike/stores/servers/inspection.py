"""Check whether a collection on a server is complete, and repair it.

The owners of a cluster update, copy and restore documents with other tools. The fields ``metadata``
and ``half`` define an item; tokens and the indexed vector are computed from them again. No item and
no document of another program is ever removed.
"""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias
from urllib.parse import quote

import numpy as np
from numpy.typing import NDArray

from lookalike.core.records import Json
from lookalike.errors import StoreDamagedError
from lookalike.stores.problems import digest_awaiting, sentence, usable
from lookalike.stores.servers import mappings
from lookalike.stores.servers.bulk import Action
from lookalike.stores.servers.documents import (
    IS_ITEM,
    ITEM,
    document_id,
    graph_vector,
    half_of,
    halves,
    item_of,
    metadata_of,
    word_fields,
)
from lookalike.stores.servers.keywords import ServerKeywords
from lookalike.stores.servers.neighbour_table import ServerNeighbours
from lookalike.stores.servers.queries import HAS_VECTOR, Query
from lookalike.stores.servers.reading import Reader
from lookalike.stores.servers.side_index import SideIndex
from lookalike.stores.servers.thumbnail_table import ServerThumbnails
from lookalike.stores.servers.tokens import tokens

__all__ = ["Inspection"]

_PAGE = 500  # documents with both vectors: 7 MB of 1,280 values
_SHOWN = 10
_ALIKE = 0.999  # least cosine of two forms of one vector

_Change: TypeAlias = dict[str, Json]
_WORD_FIELDS = ("words", "label_words")
_WORDS = {
    "partial": ("item lacks fields", "items lack fields"),
    "metadata": (
        "item has metadata that is not a JSON object",
        "items have metadata that is not a JSON object",
    ),
    "tokens": ("item is not found by its metadata", "items are not found by their metadata"),
    "half": ("item has no usable vector", "items have no usable vector"),
    "rebuilt": (
        "item has its vector in the ANN index only",
        "items have their vectors in the ANN index only",
    ),
    "graph": ("item is not in the ANN index", "items are not in the ANN index"),
    "differ": (
        "item has another vector in the ANN index",
        "items have other vectors in the ANN index",
    ),
    "misplaced": (
        "document repeats the id of an item under another key",
        "documents repeat the ids of items under other keys",
    ),
    "keys": ("item shares its key with another", "items share their keys with others"),
    "words": ("item is not found by its words", "items are not found by their words"),
}
_DONE = {
    "partial": "completed, and marked if they must be encoded again by `lookalike index`",
    "metadata": "kept as text, as the field `unreadable`",
    "tokens": "repaired",
    "words": "repaired",
    "half": "marked: `lookalike index` encodes them again",
    "rebuilt": "repaired",
    "graph": "repaired",
    "differ": "repaired",
    "misplaced": "not changed: give them an `id` and `_id` of their own, or delete them",
    "keys": "repaired",
}


@dataclass(slots=True)
class _Found:
    """What a walk has found: ids by problem, and the writes that repair it."""

    ids: dict[str, list[str]] = field(default_factory=lambda: {name: [] for name in _WORDS})
    waiting: list[str] = field(default_factory=list)
    repairs: list[Action] = field(default_factory=list)
    keys: Counter[int] = field(default_factory=Counter)
    twice: list[tuple[int, str, str]] = field(default_factory=list)
    highest: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspection:
    """Checks the two indexes of a collection whose vectors have ``dim`` dimensions.

    ``whole`` means that `_source` contains all fields.
    """

    items: Reader
    side: SideIndex
    neighbours: ServerNeighbours
    thumbnails: ServerThumbnails
    words: ServerKeywords
    vector_field: Mapping[str, Json]
    dim: int
    whole: bool

    def run(self, *, repair: bool) -> list[str]:
        """Return what is wrong, as sentences; with ``repair``, repair what can be repaired."""
        for reader in (self.items, self.side.reader):  # other programs may not have refreshed it
            reader.refresh()
        if repair:
            self.words.prepare()
        problems = [*self._check_mapping(), *self._check_foreign_documents()]
        found = self._walk(repair=repair)
        problems += [
            sentence(*words, found.ids[name], done=_DONE[name] if repair else "")
            for name, words in _WORDS.items()
            if found.ids[name]
        ]
        if found.waiting:
            problem = sentence("item waits", "items wait", found.waiting)
            problems.append(f"{problem} for the next `lookalike index` to be encoded again")
        problems += self._check_counter(found, repair=repair)
        if repair and found.twice:
            self._assign_new_keys(found.twice)
        problems += self._check_orphans(repair=repair)
        return problems

    # -- the indexes themselves ------------------------------------------------------------

    def _check_mapping(self) -> list[str]:
        """Return fields with a wrong mapping, which only a new index can repair."""
        response = self.items.server.ask("GET", f"/{quote(self.items.index)}/_mapping").body
        (one,) = response.values()
        there = one["mappings"].get("properties", {})
        wrong = [
            f"{name} is {there.get(name, {}).get('type', 'not mapped')}, not {kind}"
            for name, kind in mappings.OUR_FIELDS.items()
            if there.get(name, {}).get("type") != kind
        ]
        vector, wanted = there.get("vector", {}), self.vector_field
        wrong += [
            f"vector has {name} {vector.get(name)}, not {wanted.get(name)}"
            for name in ("type", "dims", "dimension")
            if vector.get(name) != wanted.get(name)
        ]
        if not wrong:
            return []
        problem = sentence("field is mapped otherwise", "fields are mapped otherwise", wrong)
        return [f"{problem}: copy the collection to another name with `lookalike copy`"]

    def _check_foreign_documents(self) -> list[str]:
        query: Query = {"bool": {"must_not": [IS_ITEM]}}
        body = {"size": _SHOWN, "track_total_hits": True, "_source": False, "query": query}
        found = self.items.search(body)["hits"]
        count = found["total"]["value"]
        if not count:
            return []
        names = [hit["_id"] for hit in found["hits"]] + [""] * (count - len(found["hits"]))
        problem = sentence("document is not an item", "documents are not items", names)
        return [
            f"{problem}; they are ignored and never changed: keep them in an index of their own"
        ]

    # -- the items -------------------------------------------------------------------------

    def _walk(self, *, repair: bool) -> _Found:
        bare: Query = {"bool": {"must_not": [HAS_VECTOR]}}
        outside = {
            hit["_id"]
            for page in self.items.walk(bare, by="id", source=(), size=10_000)
            for hit in page
        }
        found = _Found()
        extra: dict[str, Json] = {
            "docvalue_fields": ["tokens", *_WORD_FIELDS],
            "seq_no_primary_term": True,
        }
        shown = self.items.dialect.shown_vectors() if self.whole else {}
        source = [*ITEM, "key", "half", *shown.pop("_source", [])]  # type: ignore[misc]
        for page in self.items.walk(
            None, by="id", source=source, size=_PAGE, extra={**extra, **shown}
        ):
            for hit in page:
                self._check_document(hit, outside, found)
            if repair and found.repairs:
                self.items.server.write(found.repairs)
            found.repairs = []
        return found

    def _check_document(self, hit: Any, outside: set[str], found: _Found) -> None:  # noqa: ANN401 - JSON
        source, ids = hit["_source"], found.ids
        one = str(source["id"])
        if hit["_id"] != document_id(one):
            ids["misplaced"].append(f"{one} as {hit['_id']}")
        change = _fill_missing(source)
        if change:
            ids["partial"].append(one)
        try:
            metadata: Mapping[str, Json] = metadata_of({"metadata": "{}", **source, **change})
        except StoreDamagedError:
            ids["metadata"].append(one)
            metadata = {"unreadable": str(source["metadata"])}
            change["metadata"] = json.dumps(metadata, ensure_ascii=False)
        wanted = tokens(metadata)
        if set(hit.get("fields", {}).get("tokens", [])) != set(wanted):
            ids["tokens"].append(one)
            change["tokens"] = [*wanted]
        change |= _word_change({**source, **change}, hit.get("fields", {}), ids["words"])
        change |= self._repair_vectors(hit, one, found, outside=hit["_id"] in outside)
        self._check_key(source.get("key"), one, hit, found)
        if change:
            # An index of the first format would lose the fields that are not in `_source`.
            if not self.whole:
                words = _word_change({**source, **change}, {}, [])
                change = {
                    **graph_vector(source.get("half")),
                    "tokens": [*wanted],
                    **words,
                    **change,
                }
            found.repairs.append(self._make_action(hit["_id"], change, hit))

    def _repair_vectors(
        self,
        hit: Any,  # noqa: ANN401 - JSON
        one: str,
        found: _Found,
        *,
        outside: bool,
    ) -> dict[str, Json]:
        """Return the changes that repair the vectors of an item."""
        source, ids = hit["_source"], found.ids
        half = source.get("half")
        row = _decode_half(half, self.dim)
        marked = source.get("digest") == digest_awaiting(one)
        graph = _decode_indexed(hit, self.dim)
        if row is None and graph is not None:
            ids["rebuilt"].append(one)
            return {"half": half_of(graph.astype(np.float16))}
        if row is None:
            if marked and source.get("size") is None:
                found.waiting.append(one)
                return {}
            ids["half"].append(one)
            again: dict[str, Json] = {"digest": digest_awaiting(one), "half": None, "vector": None}
            return {**again, "size": None, "mtime_ns": None}
        if marked:
            found.waiting.append(one)
        if outside:
            ids["graph"].append(one)
            return graph_vector(half)
        if "vector" in hit.get("fields", {}) or "vector" in source:
            near = graph is not None and float(graph @ row.astype(np.float32)) > _ALIKE
            if not near:
                ids["differ"].append(one)
                return graph_vector(half)
        return {}

    def _check_key(self, key: Any, one: str, hit: Any, found: _Found) -> None:  # noqa: ANN401 - JSON
        if not isinstance(key, int):
            found.twice.append((0, one, hit["_id"]))
            return
        found.highest = max(found.highest, key)
        found.keys[key] += 1
        if found.keys[key] > 1:
            found.ids["keys"].append(one)
            found.twice.append((key, one, hit["_id"]))

    def _assign_new_keys(self, twice: Sequence[tuple[int, str, str]]) -> None:
        """Give items new unique keys."""
        first = self.side.claim_keys(len(twice))
        self.items.server.write(
            [
                self._make_action(place, {"key": key})
                for key, (_, _, place) in enumerate(twice, first)
            ]
        )
        if not self.whole:  # their vectors and tokens were lost
            self._walk(repair=True)

    def _make_action(self, place: str, fields: dict[str, Json], hit: Any = None) -> Action:  # noqa: ANN401
        seen = None if hit is None else (hit["_seq_no"], hit["_primary_term"])
        return Action(verb="update", index=self.items.index, id=place, source=fields, seen=seen)

    # -- the side index ----------------------------------------------------------------------

    def _check_counter(self, found: _Found, *, repair: bool) -> list[str]:
        last = self.side.last_key()
        if last >= found.highest:
            return []
        if repair:
            self.side.pass_key(found.highest)
        problem = f"the counter of keys stands at {last:,}, and an item has {found.highest:,}"
        return [problem + ("; raised" if repair else "")]

    def _check_orphans(self, *, repair: bool) -> list[str]:
        problems = []
        for one, many, ids in (
            (
                "list of neighbours has no item",
                "lists of neighbours have no item",
                self.neighbours.orphans(),
            ),
            ("thumbnail has no item", "thumbnails have no item", self.thumbnails.orphans()),
        ):
            if not ids:
                continue
            problems.append(sentence(one, many, ids, done="removed" if repair else ""))
            if repair:
                index = self.side.reader.index
                self.items.server.write(
                    [Action(verb="delete", index=index, id=place) for place in ids]
                )
        return problems


def _fill_missing(source: Mapping[str, Any]) -> dict[str, Json]:
    """Return the required fields that a document lacks, with default values."""
    one = str(source["id"])
    change: dict[str, Json] = {
        name: "{}" if name == "metadata" else ""
        for name in ("root", "path", "metadata")
        if source.get(name) is None
    }
    numbers = [source.get(name) for name in ("width", "height")]
    if not source.get("digest") or not all(isinstance(one, int | float) for one in numbers):
        change |= {"digest": digest_awaiting(one), "size": None, "mtime_ns": None}
        if None in numbers:
            change |= {"width": 1, "height": 1}
    return change


def _word_change(source: Mapping[str, Any], shown: Mapping[str, Any], ids: list[str]) -> _Change:
    """Return the changes that repair an item's searchable words; ``shown`` are the indexed ones."""
    try:
        wanted = word_fields(item_of(source))
    except StoreDamagedError:
        return {}
    if all(set(shown.get(name, [])) == set(wanted[name]) for name in _WORD_FIELDS):
        return {}
    ids.append(str(source["id"]))
    return {**wanted}


def _decode_half(half: Any, dim: int) -> NDArray[np.float16] | None:  # noqa: ANN401 - JSON
    """Return the stored vector, if it is valid."""
    if not isinstance(half, str) or not half:
        return None
    try:
        rows = halves([half], dim)
    except StoreDamagedError:
        return None
    return rows[0] if usable(rows)[0] else None


def _decode_indexed(hit: Any, dim: int) -> NDArray[np.float32] | None:  # noqa: ANN401 - JSON
    """Return the indexed vector (dim,) as a unit vector, if it was returned and is valid."""
    shown = hit.get("fields", {}).get("vector") or hit["_source"].get("vector")
    if not isinstance(shown, list):
        return None
    if len(shown) == 1 and isinstance(shown[0], list):  # as the only value of a list
        shown = shown[0]
    if len(shown) != dim:
        return None
    row = np.asarray(shown, np.float32)
    length = float(np.linalg.norm(row))
    return row / np.float32(length) if length > 0 and np.isfinite(length) else None
