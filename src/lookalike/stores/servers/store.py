"""The store on a server: it opens the two indexes of a collection and passes them to its roles.

As in the embedded store, the ANN index only proposes: every score is the cosine of the stored
vector, in half floats as there, so all stores return the same results to the last decimal.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Self
from urllib.parse import quote

from lookalike.core.records import Json
from lookalike.errors import (
    CollectionError,
    CollectionNotFoundError,
    CollectionReplacedError,
    StoreDamagedError,
)
from lookalike.stores.binding import Bound, bound_of, check_encoder
from lookalike.stores.servers import documents, indexes, mappings
from lookalike.stores.servers.addresses import ServerAddress
from lookalike.stores.servers.dialect import Dialect
from lookalike.stores.servers.inspection import Inspection
from lookalike.stores.servers.items import ServerItems
from lookalike.stores.servers.keywords import ServerKeywords
from lookalike.stores.servers.neighbour_table import ServerNeighbours
from lookalike.stores.servers.reading import Reader
from lookalike.stores.servers.search import ServerSearch
from lookalike.stores.servers.searching import Search
from lookalike.stores.servers.server import Response, Server, Wire
from lookalike.stores.servers.settings import ServerSettings, ServerSkips
from lookalike.stores.servers.side_index import SideIndex
from lookalike.stores.servers.side_table import ServerSideTable, row_counts
from lookalike.stores.servers.thumbnail_table import ServerThumbnails
from lookalike.stores.servers.upgrading import upgrade
from lookalike.stores.servers.versions import check_product
from lookalike.stores.servers.writing import Writer

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["ServerStore"]

_OLD = (
    "the index is of the first format, of which updates by other programs lose what searches need: "
    "`lookalike doctor --repair` copies it into one of the second format (docs/servers.md)"
)


class _Lent:
    """Another store's wire, which that store closes."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    def request(self, method: str, path: str, *, body: bytes | None, lines: bool) -> Response:
        return self._wire.request(method, path, body=body, lines=lines)

    def close(self) -> None:
        """Do nothing: the other store closes it."""


class ServerStore:
    """Items and vectors in two indexes of a server: ``name`` and ``name.lookalike``.

    Any number of processes on any number of machines may read and write. Each item is complete at
    any moment, but a batch is not one transaction: if it fails part way, the error says how much
    was stored.
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
        self._found: indexes.Found | None = None
        self._version = ""
        self._point(address.name, vectors=address.vectors or dialect.default_vectors)

    def _point(
        self, index: str, *, vectors: str, form: int = mappings.FORMAT, words: bool = False
    ) -> None:
        """Use this index and its side index."""
        reader = Reader(
            server=self.server, dialect=self.dialect, index=index, only=documents.IS_ITEM
        )
        beside = Reader(server=self.server, dialect=self.dialect, index=mappings.beside_name(index))
        side = SideIndex(reader=beside)
        self._reader, self._side = reader, side
        self._tables: dict[str, ServerSideTable] = {}
        self.settings = ServerSettings(side=side)
        self.skips = ServerSkips(side=side)
        self.neighbours = ServerNeighbours(items=reader, index=side)
        self.thumbnails = ServerThumbnails(items=reader, side=beside)
        self.keywords = ServerKeywords(items=reader, ready=words)
        writer = Writer(
            items=reader,
            side=side,
            neighbours=self.neighbours,
            thumbnails=self.thumbnails,
            words=self.keywords,
            whole=form > 1,
        )
        self.items = ServerItems(
            reader=reader, side=side, writer=writer, check_place=self._check_place
        )
        nearest = Search(
            items=reader,
            dialect=self.dialect,
            vectors=vectors,
            candidates=self.address.candidates,
            oversample=self.address.oversample,
        )
        self.search = ServerSearch(
            reader=reader, side=side, settings=self.settings, vectors=nearest
        )

    @classmethod
    def open(cls, wire: Wire, dialect: Dialect, address: ServerAddress, *, create: bool) -> Self:
        """Open the collection at an address, or create one there with ``create``.

        Raise ``CollectionNotFoundError``, ``CollectionFormatError``, ``CollectionError`` (another
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
        # The target of an alias may change (`replace`), and vectors of two encoders must not mix,
        # so the alias is resolved once.
        self._point(found.index, vectors=found.vectors, form=found.format, words=found.words)
        self._found = found

    def table(self, name: str) -> ServerSideTable:
        table = ServerSideTable(table=name, side=self._side.reader)
        return self._tables.setdefault(name, table)

    def tables(self) -> dict[str, int]:
        return row_counts(self._side.reader)

    def bind(self, *, encoder: str, fingerprint: str, dim: int) -> None:
        if self.bound() is None:
            if dim > self.dialect.longest:
                raise CollectionError(
                    f"{encoder} makes vectors of {dim:,} values, and {self.dialect.product} takes "
                    f"{self.dialect.longest:,} at most; choose another encoder"
                )
            self.dialect.vector_field(dim, self.search.vectors.vectors)  # raises for a mismatch
            chosen: Json = {"name": encoder, "fingerprint": fingerprint, "dim": dim}
            self.settings.change("encoder", lambda old: old or chosen)
        check_encoder(self.bound(), (encoder, fingerprint, dim), place=self.address)
        indexes.add_vectors(
            self.server,
            self.address,
            self.dialect,
            dim=dim,
            encoder={"name": encoder, "fingerprint": fingerprint, "dim": dim},
        )

    def bound(self) -> Bound | None:
        return self._side.bound()

    def facts(self) -> dict[str, Json]:
        names = f"{quote(self.index)},{quote(self._side.reader.index)}"
        # The size is not worth requiring a further privilege.
        stats = self.server.ask("GET", f"/{names}/_stats/store", allow=(400, 403, 404, 405)).body
        size = stats.get("_all", {}).get("total", {}).get("store", {}).get("size_in_bytes")
        vectors = self.search.vectors.vectors
        return {
            "store": self.dialect.kind,
            "address": str(self.address),
            "bytes": size,
            "ann_index_rows": 0 if vectors == "flat" else self.search.count(),
            "vectors": vectors,
            "server": f"{self.dialect.product} {self._version}".rstrip(),
        }

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
            done = ""
            if repair:
                encoder: Json = {"name": bound[0], "fingerprint": bound[1], "dim": bound[2]}
                upgrade(self._reader, self.address, found, encoder)
                self._look(create=False)
                done = f"; copied into {self.index}, which has taken its place"
            problems.append(f"{_OLD}{done}")
        inspection = Inspection(
            items=self._reader,
            side=self._side,
            neighbours=self.neighbours,
            thumbnails=self.thumbnails,
            words=self.keywords,
            vector_field=self.dialect.vector_field(self._side.dim, self.search.vectors.vectors),
            dim=self._side.dim,
            whole=self.items.writer.whole,
        )
        return problems + inspection.run(repair=repair)

    def _restore_beside(self, found: indexes.Found, why: str) -> str:
        if bound_of(found.encoder) is None:
            raise StoreDamagedError(f"{why}; here it cannot: the items do not name their encoder")
        indexes.make_beside(self.server, self.address, found.index)
        self.settings.set("encoder", found.encoder)
        return (
            f"{why}; created again: settings, thumbnails, neighbour lists and the folders' places "
            "are "
            "lost, `lookalike index` of each folder brings them back; also lost are what missing "
            "items were called and which labels, groups and metadata were set by hand: items have "
            "them still, but the next `lookalike index` of a catalogue replaces them"
        )

    def close(self) -> None:
        self.server.close()

    # -- moving ----------------------------------------------------------------------------

    def is_current(self) -> bool:
        return indexes.found(self.server, self.address) == self._found

    def _check_place(self) -> None:
        """Raise ``CollectionReplacedError`` unless the address still leads to this collection."""
        if not self.is_current():
            raise CollectionReplacedError(
                f"{self.address} has been replaced or removed since it was opened; open it again"
            )

    @property
    def name(self) -> str:
        return self.address.name

    @property
    def index(self) -> str:
        """Return the index of the items, which is not the collection's name if that is an alias."""
        return self._reader.index

    def sibling(self, name: str, *, create: bool) -> Self:
        address = replace(
            self.address,
            name=name,
            vectors=self.search.vectors.vectors,
            shards=indexes.shards(self.server, self.index),
        )
        store = self.open(_Lent(self._wire), self.dialect, address, create=create)
        if create:
            indexes.unblock(store.server, store.index)  # it may have been replaced once
        return store

    def replace(self, new: Self, *, keep: str, last: Callable[[], None]) -> str:
        here = self.index
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
        """Raise ``CollectionError`` unless ``keep`` is free or was left there by a migration of
        this store.

        The clone with that name replaces what is there. Raise ``CollectionFormatError`` for a
        foreign index.
        """
        try:
            there = self.sibling(keep, create=False)
        except CollectionNotFoundError:
            return
        mine = there.settings.get("version_of") == self.name
        there.close()
        if not mine:
            raise CollectionError(
                f"there is a collection called {keep} already, and {self.name} would be kept under "
                "that name; rename that one"
            )

    def drop(self) -> None:
        indexes.drop(self.server, self.index)
        self.close()
