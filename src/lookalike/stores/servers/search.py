"""Search and count items on a server."""

from dataclasses import dataclass

from lookalike.core.filters import Condition
from lookalike.core.progress import ProgressCallback
from lookalike.core.protocols import SettingTable
from lookalike.core.records import Field, Hit
from lookalike.core.vectors import Matrix
from lookalike.stores.binding import check_k, check_queries
from lookalike.stores.declared import DeclaredFields
from lookalike.stores.fields import FieldCount
from lookalike.stores.servers import documents, facets
from lookalike.stores.servers.queries import condition_query
from lookalike.stores.servers.reading import Reader
from lookalike.stores.servers.searching import Search
from lookalike.stores.servers.side_index import SideIndex

__all__ = ["ServerSearch"]

_PAGE = 2500  # items read at a time


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSearch(DeclaredFields):
    """Searches by vector, by condition, and by the fields of the metadata.

    A server indexes every metadata field anyway, so declared ones are only recorded.
    """

    reader: Reader
    side: SideIndex
    settings: SettingTable
    vectors: Search

    def nearest(
        self, vectors: Matrix, *, k: int, exact: bool = False, where: Condition | None = None
    ) -> list[list[Hit]]:
        check_k(k)
        if self.side.bound() is None:
            return [[] for _ in vectors]
        check_queries(vectors, self.side.dim)
        return self.vectors.hits(vectors, k=k, exact=exact, where=condition_query(where))

    def count(self, where: Condition | None = None) -> int:
        return self.reader.count(condition_query(where))

    def facets(
        self, field: str, where: Condition | None = None, *, limit: int = 100
    ) -> list[tuple[str | float | bool, int]]:
        return facets.facets(self.reader, field, condition_query(where), limit=limit)

    def distinct(self, field: str, where: Condition | None = None) -> int:
        return facets.distinct(self.reader, field, condition_query(where))

    def fields(self, *, limit: int = 200) -> list[Field]:
        count = FieldCount()
        for page in self.reader.walk(None, by="id", source=("metadata",), size=_PAGE):
            for hit in page:
                count.add(documents.metadata_of(hit["_source"]))
        return count.fields()[:limit]

    def warm(self) -> None:
        """Do nothing: the server has its own caches, and the connection is open already."""

    def optimize(self, *, progress: ProgressCallback | None = None) -> bool:  # noqa: ARG002 - the protocol's
        """Do nothing: the server merges by itself, and writes its ANN index with the items."""
        return False
