"""A store in memory: the example of docs/write-a-store.md, and a fast oracle for the others."""
# ruff: noqa: ARG002 - parameters that every store has, and that mean nothing here

import json
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

from filter_semantics import facets, meets
from lookalike import errors
from lookalike.core.filters import Condition
from lookalike.core.keywords import KeywordCounts, Term, Wanted, WordHit, words_of
from lookalike.core.progress import ProgressCallback
from lookalike.core.protocols import Keyed
from lookalike.core.records import Field, Hit, Item, Json, SideRow, Stamp, Thumbnail
from lookalike.core.vectors import Matrix, cosines, unit_rows
from lookalike.stores import binding
from lookalike.stores.declared import DeclaredFields
from lookalike.stores.fields import FieldCount
from lookalike.stores.tables import TableNeighbours, TableSettings, TableSkips, TableThumbnails


@dataclass
class Data:
    """A collection: items and vectors by id, and rows by table."""

    items: dict[str, tuple[int, Item, NDArray[np.float16]]] = field(default_factory=dict)
    tables: dict[str, dict[str, SideRow]] = field(default_factory=dict)
    bound: binding.Bound | None = None
    last_key: int = 0
    lock: threading.RLock = field(default_factory=threading.RLock)


Jpegs: TypeAlias = Sequence[Thumbnail | None] | None
Collections: TypeAlias = dict[str, Data]
"""Where collections lie: what a folder or a server is to other stores."""


@dataclass(frozen=True)
class Rows:
    """A table of rows beside the items: what every table of the collection is made of."""

    _store: "MemoryStore"
    _rows: dict[str, SideRow]

    def put(self, rows: Sequence[SideRow]) -> None:
        with self._store.writing():
            self._rows.update({row.id: row for row in rows})

    def get(self, ids: Sequence[str]) -> dict[str, SideRow]:
        with self._store.reading():
            return {one: self._rows[one] for one in ids if one in self._rows}

    def with_digest(self, digests: Sequence[str]) -> list[SideRow]:
        return [row for row in self.scan() if row.digest and row.digest in digests]

    def scan(self) -> Iterator[SideRow]:
        with self._store.reading():
            return iter([self._rows[one] for one in sorted(self._rows)])

    def delete(self, ids: Sequence[str]) -> int:
        with self._store.writing():
            return sum(self._rows.pop(one, None) is not None for one in ids)

    def count(self) -> int:
        return len(self._rows)


class MemoryItems:
    """Items with their vectors; the methods from ``by_key`` on are ``ItemKeys``."""

    def __init__(self, store: "MemoryStore") -> None:
        self._store, self._data = store, store.data

    def upsert(self, items: Sequence[Item], vectors: Matrix, thumbnails: Jpegs = None) -> None:
        jpegs = self._check(items, vectors, thumbnails)
        with self._store.writing():
            for item, row, jpeg in zip(items, vectors.astype(np.float16), jpegs, strict=True):
                self._data.last_key += 1
                self._data.items[item.id] = (self._data.last_key, item, row)
                self._store.thumbnails.write({item.id: jpeg})
                self._store.neighbours.rows.delete([item.id])
                self._store.skips.delete(item.root, [item.path])

    def insert(self, items: Sequence[Item], vectors: Matrix, thumbnails: Jpegs = None) -> set[str]:
        jpegs, taken = self._check(items, vectors, thumbnails), set[str]()
        with self._store.writing():
            for place, item in enumerate(items):
                if item.id in self._data.items:
                    taken.add(item.id)
                else:
                    self.upsert([item], vectors[place : place + 1], [jpegs[place]])
        return taken

    def update(self, items: Sequence[Item]) -> None:
        _check_text(items)
        with self._store.writing():
            found = [self._found(item.id) for item in items]
            for item, (key, _, row) in zip(items, found, strict=True):
                self._data.items[item.id] = (key, item, row)

    def delete(self, ids: Sequence[str]) -> int:
        with self._store.writing():
            found = [one for one in dict.fromkeys(ids) if one in self._data.items]
            for one in found:
                del self._data.items[one]
            self._store.thumbnails.write(dict.fromkeys(found))
            self._store.neighbours.rows.delete(found)
        return len(found)

    def get(self, ids: Sequence[str]) -> dict[str, Item]:
        with self._store.reading():
            return {one: self._data.items[one][1] for one in ids if one in self._data.items}

    def vectors(self, ids: Sequence[str]) -> Matrix:
        return unit_rows(self.rows(ids))

    def rows(self, ids: Sequence[str]) -> NDArray[np.floating]:
        with self._store.reading():
            return self._matrix([self._found(one)[2] for one in ids])

    def with_digest(self, digests: Sequence[str]) -> dict[str, str]:
        found = {item.digest: item.id for item in reversed([*self.scan()])}
        return {one: found[one] for one in digests if one in found}

    def scan(self, where: Condition | None = None, *, limit: int | None = None) -> Iterator[Item]:
        with self._store.reading():
            items = [self._data.items[one][1] for one in sorted(self._data.items)]
        return iter([item for item in items if where is None or meets(where, item)][:limit])

    def stamps(self, root: str, under: str = "") -> dict[str, tuple[str, Stamp | None]]:
        below = f"{under}/" if under else ""
        items = (one for one in self.scan() if one.root == root and one.path.startswith(below))
        return {item.path: (item.id, item.stamp) for item in items}

    def by_key(self, keys: Sequence[int], where: Condition | None = None) -> dict[int, Item]:
        wanted = {*keys}
        with self._store.reading():
            found = {key: item for key, item, _ in self._data.items.values() if key in wanted}
        return {key: item for key, item in found.items() if where is None or meets(where, item)}

    def keyed(self, after: int = 0) -> Iterator[Keyed]:
        with self._store.reading():
            every = sorted(self._data.items.values(), key=lambda one: one[0])
        if newer := [one for one in every if one[0] > after]:
            keys, items, rows = zip(*newer, strict=True)
            ids = [item.id for item in items]
            yield Keyed(keys=np.array(keys, np.int64), ids=ids, rows=self._matrix(rows))

    def newest(self) -> int:
        return max((key for key, _, _ in [*self._data.items.values()]), default=0)

    def count(self) -> int:
        return len(self._data.items)

    def _check(
        self, items: Sequence[Item], vectors: Matrix, thumbnails: Jpegs
    ) -> Sequence[Thumbnail | None]:
        binding.check_vectors(items, vectors, self._store.dim)
        _check_text(items)
        return binding.check_thumbnails(items, thumbnails)

    def _found(self, one: str) -> tuple[int, Item, NDArray[np.float16]]:
        if one not in self._data.items:
            raise errors.ItemNotFoundError(f"there is no item {one!r}")
        return self._data.items[one]

    def _matrix(self, rows: Sequence[NDArray[np.float16]]) -> NDArray[np.float16]:
        return np.array(rows, np.float16).reshape(len(rows), self._store.dim)


class MemorySearch(DeclaredFields):
    """Search and counts by looking at every item."""

    def __init__(self, store: "MemoryStore") -> None:
        self._store, self.settings = store, store.settings

    def nearest(
        self, vectors: Matrix, *, k: int, exact: bool = False, where: Condition | None = None
    ) -> list[list[Hit]]:
        binding.check_k(k)
        if self._store.bound() is None:
            return [[] for _ in vectors]
        binding.check_queries(vectors, self._store.dim)
        with self._store.reading():
            items = list(self._store.items.scan(where))
            rows = self._store.items.rows([item.id for item in items])
        found = []
        for vector in vectors:
            scores = cosines(rows, vector).tolist()
            hits = [Hit(item=item, score=one) for item, one in zip(items, scores, strict=True)]
            found.append(sorted(hits, key=lambda hit: (-hit.score, hit.item.id))[:k])
        return found

    def count(self, where: Condition | None = None) -> int:
        return len([*self._store.items.scan(where)])

    def facets(
        self, field: str, where: Condition | None = None, *, limit: int = 100
    ) -> list[tuple[str | float | bool, int]]:
        return facets(self._store.items.scan(where), field)[:limit]

    def distinct(self, field: str, where: Condition | None = None) -> int:
        return len(facets(self._store.items.scan(where), field))

    def fields(self, *, limit: int = 200) -> list[Field]:
        count = FieldCount()
        for item in self._store.items.scan():
            count.add(item.metadata)
        return count.fields()[:limit]

    def warm(self) -> None:
        """Do nothing: everything is in memory."""

    def optimize(self, *, progress: ProgressCallback | None = None) -> bool:
        return False


class MemoryKeywords:
    """Words by looking at those of every item."""

    def __init__(self, store: "MemoryStore") -> None:
        self._store = store

    def counts(self, terms: Sequence[Term]) -> KeywordCounts:
        words = [sum(words_of(item), ()) for item in self._store.items.scan()]
        having = [sum(_has(one, term) for one in words) for term in terms]
        return KeywordCounts(items=len(words), lacking=0, having=having)

    def ranked(
        self, wanted: Sequence[Wanted], *, k: int, where: Condition | None = None
    ) -> list[WordHit]:
        found = []
        for item in self._store.items.scan(where):
            label, others = words_of(item)
            score = sum(
                score * _has(label + others, term) + label_score * _has(label, term)
                for term, score, label_score in wanted
            )
            found += [WordHit(item, score)] if score else []
        return sorted(found, key=lambda hit: (-hit.score, hit.item.id))[:k]


class MemoryStore:
    """A collection in ``place``; several stores may have the same one open."""

    def __init__(self, place: Collections, name: str, *, create: bool = False) -> None:
        if name not in place and not create:
            raise errors.CollectionNotFoundError(f"there is no collection {name}")
        self.begun, self.folder, self.made = name not in place, None, ()
        self.place, self.name, self.data = place, name, place.setdefault(name, Data())
        own = [self.table(f".{role}") for role in ("settings", "skips", "thumbnails", "neighbours")]
        self.settings, self.skips = TableSettings(own[0], self.reading), TableSkips(own[1])
        self.items, self.search = MemoryItems(self), MemorySearch(self)
        self.keywords = MemoryKeywords(self)
        self.thumbnails = TableThumbnails(own[2], self.reading, self.items.get)
        self.neighbours = TableNeighbours(own[3], self.reading, self.items)

    def table(self, name: str) -> Rows:
        return Rows(self, self.data.tables.setdefault(name, {}))

    def tables(self) -> dict[str, int]:
        every = self.data.tables.items()
        return {name: len(rows) for name, rows in every if rows and name[0] != "."}

    def reading(self) -> threading.RLock:
        return self.data.lock

    @contextmanager
    def writing(self) -> Iterator[None]:
        with self.data.lock:
            if not self.is_current():
                raise errors.CollectionReplacedError(f"{self.name} has been replaced or removed")
            yield

    @property
    def dim(self) -> int:
        if self.data.bound is None:
            raise errors.StoreError(f"{self.name} is not bound to an encoder yet")
        return self.data.bound[2]

    def bind(self, *, encoder: str, fingerprint: str, dim: int) -> None:
        with self.writing():
            self.data.bound = self.data.bound or (encoder, fingerprint, dim)
        binding.check_encoder(self.data.bound, (encoder, fingerprint, dim), place=self.name)

    def bound(self) -> binding.Bound | None:
        return self.data.bound

    def check(self, *, repair: bool = False) -> list[str]:
        return []

    def facts(self) -> dict[str, Json]:
        return {"store": "memory", "address": self.name, "bytes": None, "ann_index_rows": 0}

    def is_current(self) -> bool:
        return self.place.get(self.name) is self.data

    def sibling(self, name: str, *, create: bool) -> Self:
        return type(self)(self.place, name, create=create)

    def replace(self, new: Self, *, keep: str, last: Callable[[], None]) -> str:
        with self.writing():
            last()
            kept = new.name if keep in self.place else keep
            del self.place[new.name]
            self.place[self.name], self.place[kept] = new.data, self.data
        return kept

    def drop(self) -> None:
        with self.writing():
            del self.place[self.name]

    def close(self) -> None:
        """Do nothing: there are no files."""


def _has(words: Sequence[str], term: Term) -> bool:
    return any(one == term.word or (term.prefix and one.startswith(term.word)) for one in words)


def _check_text(items: Sequence[Item]) -> None:
    """Raise ``UnicodeEncodeError`` for what no other store could write."""
    texts = [[item.id, item.label, item.group, dict(item.metadata)] for item in items]
    json.dumps(texts, ensure_ascii=False).encode()
