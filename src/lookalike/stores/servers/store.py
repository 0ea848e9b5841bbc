"""The store on a server. What is pure stands beside it; here it is put to use.

As in the embedded store, the server's graph only proposes: every score is the cosine of the vector
that is stored, half floats as there, so the stores' answers are the same to the last decimal.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import quote

import numpy as np
from numpy.typing import NDArray

from lookalike.core.filters import FIELDS, Condition
from lookalike.core.progress import ProgressCallback
from lookalike.core.protocols import Keyed, NeighbourLists
from lookalike.core.records import (
    Field,
    Hit,
    Item,
    Json,
    Neighbours,
    NeighbourState,
    Skipped,
    Stamp,
    Thumbnail,
    ThumbnailState,
)
from lookalike.core.vectors import Matrix, unit_rows
from lookalike.errors import (
    CollectionError,
    CollectionNotFoundError,
    CollectionReplacedError,
    StoreDamagedError,
    StoreError,
)
from lookalike.stores.binding import (
    Bound,
    bound_of,
    check_encoder,
    check_thumbnails,
    check_vectors,
    no_vector,
)
from lookalike.stores.fields import FieldCount
from lookalike.stores.rows import stamp_of
from lookalike.stores.servers import documents, indexes, mappings
from lookalike.stores.servers.addresses import ServerAddress
from lookalike.stores.servers.beside import Beside
from lookalike.stores.servers.dialect import Dialect
from lookalike.stores.servers.documents import document_id, item_of
from lookalike.stores.servers.facets import distinct, facets
from lookalike.stores.servers.inspection import Inspection
from lookalike.stores.servers.neighbour_table import NeighbourTable
from lookalike.stores.servers.queries import HAS_VECTOR, Query, below, filter_query
from lookalike.stores.servers.reading import LIMIT, Reader, both
from lookalike.stores.servers.searching import Search
from lookalike.stores.servers.server import Answer, Server, Wire
from lookalike.stores.servers.side_table import ServerSideTable, row_counts
from lookalike.stores.servers.thumbnail_table import ThumbnailTable
from lookalike.stores.servers.upgrading import upgrade
from lookalike.stores.servers.versions import check_product
from lookalike.stores.servers.writing import Writer, no_item
from lookalike.stores.where import json_path, metadata_name

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["ServerStore"]

_PAGE = 2500  # items read at a time: as quick as more at once, and twice as quick as 1,000
_DIGESTS = 1000  # digests looked for at a time
_STAMPS = 10_000  # stamps, which are small
_VECTORS = 2000  # vectors: 7 MB of 1,280 values


_OLD = (
    "the index is of the first format, of which updates by other programs lose what searches need: "
    "`lookalike doctor --repair` copies it into one of the second format (docs/servers.md)"
)


class _Lent:
    """Another store's wire, which that one closes."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    def request(self, method: str, path: str, *, body: bytes | None, lines: bool) -> Answer:
        return self._wire.request(method, path, body=body, lines=lines)

    def close(self) -> None:
        """Not ours to close."""


class ServerStore:
    """Items and vectors in two indexes of a server: ``name`` and ``name.lookalike``.

    Any number of processes on any number of machines may read and write. Each item is whole at any
    moment; a batch is not one transaction: when it fails part way, the error says how much of it
    is stored.
    """

    def __init__(self, wire: Wire, dialect: Dialect, address: ServerAddress) -> None:
        self.address = address
        self.dialect = dialect
        self.server = Server(
            wire, address=str(address), kind=dialect.kind, timeout_s=address.timeout_s
        )
        self.folder: Path | None = None
        self.begun = False
        self.made: Sequence[Path] = ()
        self._wire = wire
        self._bound: Bound | None = None
        self._found: indexes.Found | None = None
        self._version = ""
        self._point(address.name, vectors=address.vectors or dialect.default_vectors)

    def _point(self, index: str, *, vectors: str, form: int = mappings.FORMAT) -> None:
        """Read and write this index and the one beside it."""
        self._items = Reader(
            server=self.server, dialect=self.dialect, index=index, only=documents.IS_ITEM
        )
        beside = Reader(server=self.server, dialect=self.dialect, index=mappings.beside_name(index))
        self._beside = Beside(reader=beside)
        self._table = NeighbourTable(items=self._items, beside=beside)
        self._tables: dict[str, ServerSideTable] = {}
        self._pictures = ThumbnailTable(items=self._items, beside=beside)
        self._writer = Writer(
            items=self._items,
            beside=self._beside,
            table=self._table,
            pictures=self._pictures,
            whole=form > 1,
        )
        self._search = Search(
            items=self._items,
            dialect=self.dialect,
            vectors=vectors,
            candidates=self.address.candidates,
            oversample=self.address.oversample,
        )

    @classmethod
    def open(cls, wire: Wire, dialect: Dialect, address: ServerAddress, *, create: bool) -> Self:
        """Open the collection at an address, or with ``create`` begin one there.

        Raises ``CollectionNotFoundError``, ``CollectionFormatError``, ``CollectionError`` (another
        product, version or way to index vectors) or ``StoreError``; then the wire is closed.
        """
        store = cls(wire, dialect, address)
        try:
            store._look(create=create)
        except BaseException:
            store.close()
            raise
        return store

    def _look(self, *, create: bool) -> None:
        self._version = check_product(self.server, self.dialect)
        found = indexes.found(self.server, self.address)
        if found is None and create:
            indexes.make(self.server, self.address, self.dialect)
            self.begun = True
            found = indexes.found(self.server, self.address)
        if found is None:
            raise CollectionNotFoundError(
                f"there is no collection at {self.address}; `lookalike index FOLDER` makes one"
            )
        if self.address.vectors not in (None, found.vectors):
            raise CollectionError(
                f"{self.address} was made with vectors={found.vectors}; leave the option out, or "
                "index into another collection"
            )
        # What an alias means may change (`replace`), and vectors of two encoders must not mix: so
        # it is followed once.
        self._point(found.index, vectors=found.vectors, form=found.format)
        self._found = found

    # -- writing ---------------------------------------------------------------------------

    def bind(self, *, encoder: str, fingerprint: str, dim: int) -> None:
        if self.bound() is None:
            if dim > self.dialect.longest:
                raise CollectionError(
                    f"{encoder} makes vectors of {dim:,} values, and {self.dialect.product} takes "
                    f"{self.dialect.longest:,} at most; choose another encoder"
                )
            self.dialect.vector_field(dim, self._search.vectors)  # raises what does not fit
            chosen: Json = {"name": encoder, "fingerprint": fingerprint, "dim": dim}
            self._beside.change_setting("encoder", lambda there: there or chosen)
        check_encoder(self.bound(), (encoder, fingerprint, dim), place=self.address)
        indexes.add_vectors(
            self.server,
            self.address,
            self.dialect,
            dim=dim,
            encoder={"name": encoder, "fingerprint": fingerprint, "dim": dim},
        )

    def bound(self) -> tuple[str, str, int] | None:
        if self._bound is None:
            self._bound = bound_of(self.setting("encoder"))
        return self._bound

    def upsert(
        self,
        items: Sequence[Item],
        vectors: Matrix,
        thumbnails: Sequence[Thumbnail | None] | None = None,
    ) -> None:
        check_vectors(items, vectors, self._dim())
        if not self.is_current():  # nothing else would tell vectors of another encoder apart
            raise CollectionReplacedError(
                f"{self.address} has been replaced or removed since it was opened; open it again"
            )
        self._writer.upsert(items, vectors, check_thumbnails(items, thumbnails))

    def insert(
        self,
        items: Sequence[Item],
        vectors: Matrix,
        thumbnails: Sequence[Thumbnail | None] | None = None,
    ) -> set[str]:
        check_vectors(items, vectors, self._dim())
        if not self.is_current():  # as for `upsert`
            raise CollectionReplacedError(
                f"{self.address} has been replaced or removed since it was opened; open it again"
            )
        return self._writer.insert(items, vectors, check_thumbnails(items, thumbnails))

    def update(self, items: Sequence[Item]) -> None:
        self._writer.update(items)

    def delete(self, ids: Sequence[str]) -> int:
        return self._writer.delete(ids)

    def set_thumbnails(self, items: Sequence[Item], thumbnails: Sequence[Thumbnail]) -> int:
        return self._pictures.set(items, thumbnails)

    def drop_thumbnails(self) -> None:
        self._pictures.drop()

    def skip(self, root: str, skips: Sequence[Skipped]) -> None:
        self._beside.skip(root, skips)

    def forget_skips(self, root: str, paths: Sequence[str]) -> None:
        self.server.write([self._beside.forgetting(root, path) for path in paths])

    def declare(self, field: str) -> None:
        """Only remembered: every field of the metadata can be asked for quickly as it is."""
        if field in FIELDS:
            raise ValueError(f"{field} is every item's own, and indexed already")
        json_path(field)  # the same names as everywhere
        name = metadata_name(field)
        self._beside.change_setting("declared", lambda there: [*sorted({*_texts(there), name})])

    def undeclare(self, field: str) -> bool:
        name = metadata_name(field)
        if name not in self.declared():
            return False
        self._beside.change_setting(
            "declared", lambda there: [one for one in _texts(there) if one != name]
        )
        return True

    def declared(self) -> list[str]:
        return _texts(self.setting("declared"))

    def set_setting(self, name: str, value: Json) -> None:
        self._beside.change_setting(name, lambda _: value)

    def change_setting(self, name: str, change: Callable[[Json], Json]) -> Json:
        return self._beside.change_setting(name, change)

    # -- reading ---------------------------------------------------------------------------

    def get(self, ids: Sequence[str]) -> dict[str, Item]:
        named = list(dict.fromkeys(ids))
        keys = [document_id(one) for one in named]
        found = self._items.sources(keys, source=documents.ITEM)
        return {
            one: item_of(there["_source"])
            for one, there in zip(named, found, strict=True)
            if there is not None and "id" in there["_source"]
        }

    def vectors(self, ids: Sequence[str]) -> Matrix:
        return unit_rows(self.rows(ids))

    def rows(self, ids: Sequence[str]) -> NDArray[np.floating]:
        named = list(dict.fromkeys(ids))
        found = self._items.sources([document_id(one) for one in named], source=("half",))
        places: dict[str, int] = {}
        stored: list[str] = []
        for one, there in zip(named, found, strict=True):
            if there is None:
                raise no_item(one)
            if not there["_source"].get("half"):
                raise no_vector(one)
            places[one] = len(stored)
            stored.append(there["_source"]["half"])
        return documents.halves(stored, self._dim())[[places[one] for one in ids]]

    def thumbnails(self, ids: Sequence[str]) -> dict[str, Thumbnail]:
        return self._pictures.pictures(ids)

    def thumbnail_sides(self, ids: Sequence[str]) -> dict[str, int]:
        return self._pictures.sides(ids)

    def thumbnail_state(self) -> ThumbnailState:
        return self._pictures.state()

    def with_digest(self, digests: Sequence[str]) -> dict[str, str]:
        found: dict[str, str] = {}
        for start in range(0, len(digests), _DIGESTS):
            part = list(digests[start : start + _DIGESTS])
            body: dict[str, Any] = {
                "size": len(part),
                "track_total_hits": False,
                "_source": ["digest", "id"],
                "query": both(documents.IS_ITEM, {"terms": {"digest": [*part]}}),
                "collapse": {"field": "digest"},  # one of each: there may be thousands of copies
                "sort": [{"id": "asc"}],
            }
            for hit in self._items.search(body)["hits"]["hits"]:
                found[hit["_source"]["digest"]] = hit["_source"]["id"]
        return found

    def count(self, where: Condition | None = None) -> int:
        return self._items.count(_query(where))

    def facets(
        self, field: str, where: Condition | None = None, *, limit: int = 100
    ) -> list[tuple[str | float | bool, int]]:
        return facets(self._items, field, _query(where), limit=limit)

    def distinct(self, field: str, where: Condition | None = None) -> int:
        return distinct(self._items, field, _query(where))

    def fields(self, *, limit: int = 200) -> list[Field]:
        count = FieldCount()
        for page in self._items.walk(None, by="id", source=("metadata",), size=_PAGE):
            for hit in page:
                count.add(documents.metadata_of(hit["_source"]))
        return count.fields()[:limit]

    def scan(self, where: Condition | None = None, *, limit: int | None = None) -> Iterator[Item]:
        query = _query(where)
        if limit is None or limit > LIMIT:
            pages = self._items.walk(query, by="id", source=documents.ITEM, size=_PAGE)
        else:
            pages = iter([self._items.first(query, by="id", source=documents.ITEM, size=limit)])
        hits = (hit for page in pages for hit in page)
        return (item_of(hit["_source"]) for hit in islice(hits, limit))

    def stamps(self, root: str, under: str = "") -> dict[str, tuple[str, Stamp | None]]:
        query = both({"term": {"root": {"value": root}}}, below(under) if under else None)
        found = {}
        for page in self._items.walk(query, by="id", columns=documents.STAMP, size=_STAMPS):
            for one in (hit["fields"] for hit in page):
                (path,) = one.get("path", [""])
                if under and not path.startswith(f"{under}/"):
                    continue
                (size,), (mtime_ns,) = one.get("size", [None]), one.get("mtime_ns", [None])
                found[path] = (one["id"][0], stamp_of(size, mtime_ns))
        return found

    def skips(self, root: str, under: str = "") -> dict[str, Skipped]:
        return dict(self._beside.skips(root, under))

    def beside(self, table: str) -> ServerSideTable:
        made = ServerSideTable(table=table, beside=self._beside.reader)
        return self._tables.setdefault(table, made)

    def tables(self) -> dict[str, int]:
        return row_counts(self._beside.reader)

    def setting(self, name: str) -> Json:
        return self._beside.setting(name)

    def settings(self) -> list[str]:
        return self._beside.settings()

    def facts(self) -> dict[str, Json]:
        names = f"{quote(self._items.index)},{quote(self._beside.reader.index)}"
        # A size is worth no privilege of its own.
        told = self.server.ask("GET", f"/{names}/_stats/store", allow=(400, 403, 404, 405)).body
        size = told.get("_all", {}).get("total", {}).get("store", {}).get("size_in_bytes")
        return {
            "store": self.dialect.kind,
            "address": str(self.address),
            "bytes": size,
            "ann_index_rows": 0 if self._search.vectors == "flat" else self.count(),
            "vectors": self._search.vectors,
            "server": f"{self.dialect.product} {self._version}".rstrip(),
        }

    # -- searching -------------------------------------------------------------------------

    def search(
        self, vectors: Matrix, *, k: int, exact: bool = False, where: Condition | None = None
    ) -> list[list[Hit]]:
        if k < 1:
            raise ValueError(f"k is {k}, but at least 1 answer must be asked for")
        if self.bound() is None:
            return [[] for _ in vectors]
        if vectors.ndim != 2 or vectors.shape[1] != self._dim():  # noqa: PLR2004 - a matrix
            raise ValueError(f"queries are {vectors.shape}, not (n, {self._dim()})")
        return self._search.hits(vectors, k=k, exact=exact, where=_query(where))

    def warm(self) -> None:
        """Nothing: the server keeps its own caches, and the connection is open already."""

    def optimize(self, *, progress: ProgressCallback | None = None) -> bool:  # noqa: ARG002 - the protocol's
        """Nothing: the server merges by itself, and its graph is written with the items."""
        return False

    # -- the neighbour table ---------------------------------------------------------------

    def neighbours(
        self,
        id: str,
        *,
        k: int,
        exact: bool = False,
        where: Condition | None = None,
    ) -> Neighbours | None:
        if k < 1:
            raise ValueError(f"k is {k}, but at least 1 answer must be asked for")
        return self._table.neighbours(id, k=k, exact=exact, where=_query(where))

    def keyed(self, after: int = 0) -> Iterator[Keyed]:
        floor = self._beside.raise_floor()
        query = both(HAS_VECTOR, {"range": {"key": {"gt": after, "lte": floor}}})
        for page in self._items.walk(query, by="key", source=("key", "id", "half"), size=_VECTORS):
            found = [hit["_source"] for hit in page]
            yield Keyed(
                keys=np.fromiter((one["key"] for one in found), np.int64, len(found)),
                ids=[one["id"] for one in found],
                rows=documents.halves([one["half"] for one in found], self._dim()),
            )

    def neighbour_lists(self, *, k: int) -> Iterator[NeighbourLists]:
        return self._table.lists(k)

    def set_neighbours(self, lists: NeighbourLists) -> None:
        self._table.put(lists)

    def confirm_neighbours(
        self, keys: NDArray[np.int64], marks: NDArray[np.int64], mark: int
    ) -> None:
        self._table.confirm(keys, marks, mark)

    def drop_neighbours(self) -> None:
        self._table.drop()

    def neighbour_state(self) -> NeighbourState:
        return self._table.state()

    # -- looking after it ------------------------------------------------------------------

    def check(self, *, repair: bool = False) -> list[str]:
        found = self._found
        if found is None:
            return []
        problems = []
        try:
            bound = self.bound()
        except StoreDamagedError as error:
            if not repair:
                return [str(error)]
            problems.append(self._restore_beside(found, str(error)))
            bound = self.bound()
        if bound is None:
            return problems
        if found.format < mappings.FORMAT:
            problems.append(self._upgraded(found, bound) if repair else _OLD)
        return problems + self._inspection().run(repair=repair)

    def _restore_beside(self, found: indexes.Found, why: str) -> str:
        if bound_of(found.encoder) is None:
            raise StoreDamagedError(f"{why}; here it cannot: the items do not name their encoder")
        indexes.make_beside(self.server, self.address, found.index)
        self.set_setting("encoder", found.encoder)
        return (
            f"{why}; made anew: settings, thumbnails, neighbour lists and the folders' places are "
            "lost, `lookalike index` of each folder brings them back"
        )

    def _upgraded(self, found: indexes.Found, bound: Bound) -> str:
        encoder: Json = {"name": bound[0], "fingerprint": bound[1], "dim": bound[2]}
        upgrade(self._items, self.address, found, encoder)
        self._look(create=False)
        return f"{_OLD}; copied into {self._items.index}, which has taken its place"

    def _inspection(self) -> Inspection:
        return Inspection(
            items=self._items,
            beside=self._beside,
            table=self._table,
            pictures=self._pictures,
            vector_field=self.dialect.vector_field(self._dim(), self._search.vectors),
            dim=self._dim(),
            whole=self._writer.whole,
        )

    def close(self) -> None:
        self.server.close()

    # -- moving ----------------------------------------------------------------------------

    def is_current(self) -> bool:
        return indexes.found(self.server, self.address) == self._found

    @property
    def name(self) -> str:
        return self.address.name

    @property
    def index(self) -> str:
        """The index of the items; not the collection's name where that is an alias."""
        return self._items.index

    def sibling(self, name: str, *, create: bool) -> Self:
        address = replace(
            self.address,
            name=name,
            vectors=self._search.vectors,
            shards=indexes.shards(self.server, self._items.index),
        )
        store = self.open(_Lent(self._wire), self.dialect, address, create=create)
        if create:
            indexes.unblock(store.server, store.index)  # it may have been replaced once
        return store

    def replace(self, new: Self, *, keep: str, last: Callable[[], None]) -> str:
        here = self._items.index
        if here == self.name:
            self._check_kept(keep)
        indexes.block(self.server, here)
        try:
            last()
            kept = indexes.replace(self.server, self.name, here, new.index, keep=keep)
        except BaseException:
            indexes.unblock(self.server, here)
            raise
        new.close()
        self.close()
        return kept

    def _check_kept(self, keep: str) -> None:
        """``CollectionError`` where ``keep`` is not what a migration of this one has left there.

        The clone that is made under that name replaces what is there. ``CollectionFormatError`` for
        an index that is not lookalike's.
        """
        try:
            there = self.sibling(keep, create=False)
        except CollectionNotFoundError:
            return
        mine = there.setting("version_of") == self.name
        there.close()
        if not mine:
            raise CollectionError(
                f"there is a collection called {keep} already, and {self.name} would be kept under "
                "that name; rename that one"
            )

    def drop(self) -> None:
        indexes.drop(self.server, self._items.index)
        self.close()

    def _dim(self) -> int:
        bound = self.bound()
        if bound is None:
            raise StoreError(f"{self.address} is not bound to an encoder yet")
        return bound[2]


def _query(condition: Condition | None) -> Query | None:
    return None if condition is None else filter_query(condition)


def _texts(value: Json) -> list[str]:
    return [str(one) for one in value] if isinstance(value, list) else []
