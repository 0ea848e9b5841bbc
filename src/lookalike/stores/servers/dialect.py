"""What differs between the servers, as one small interface."""

from dataclasses import dataclass
from typing import Protocol

from lookalike.core.records import Json
from lookalike.stores.servers.queries import Query

__all__ = ["Dialect", "Nearest", "score_by_script"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Nearest:
    """An approximate search: ``k`` proposals for a ``vector`` (dim,).

    ``candidates`` is how many the ANN index considers, ``oversample`` how many times ``k`` the
    server compares by their full vectors if the index holds coarse ones.
    """

    vector: list[Json]
    k: int
    vectors: str
    candidates: int
    oversample: float
    where: Query | None


class Dialect(Protocol):
    """The requests of one product for what all products can do. Pure."""

    @property
    def kind(self) -> str:
        """Return the kind of address: ``elasticsearch``."""

    @property
    def product(self) -> str:
        """Return the product's name: ``Elasticsearch``."""

    @property
    def oldest(self) -> tuple[int, int]:
        """Return the oldest supported version."""

    @property
    def longest(self) -> int:
        """Return the maximum number of dimensions."""

    @property
    def default_vectors(self) -> str:
        """Return how vectors are indexed by default."""

    def index_settings(self, vectors: str) -> dict[str, Json]:
        """Return the settings of the items' index; ``vectors`` is one of ``VECTORS``."""

    def vector_field(self, dim: int, vectors: str) -> dict[str, Json]:
        """Return the mapping of the field ``vector``."""

    def nearest(self, wanted: Nearest) -> dict[str, Json]:
        """Return the part of a search body that proposes the nearest items."""

    def rescores(self, vectors: str) -> bool:
        """Return whether proposals are ordered by full vectors if ``vectors`` are coarse."""

    def exact(self, vector: list[Json], vectors: str, where: Query | None, k: int) -> Query | None:
        """Return the part of a search body that compares every vector, if the server supports
        it.
        """

    def shown_vectors(self) -> dict[str, Json]:
        """Return the part of a search body that returns the indexed vectors as they are stored.

        ``_source`` in it lists further fields to return.
        """

    def open_moment(self, index: str) -> str:
        """Return the path that opens a snapshot (point in time) of an index, to read it in
        pages.
        """

    def moment_of(self, response: dict[str, str]) -> str:
        """Return the snapshot's id from the response."""

    def close_moment(self, moment: str) -> tuple[str, dict[str, Json]]:
        """Return the path and body that close the snapshot."""


def score_by_script(script: dict[str, Json], where: Query | None) -> dict[str, Json]:
    """Return the part of a search body that scores every vector which meets a filter, best first.

    Of equal scores the lower id comes first.
    """
    filters: list[Json] = [{"exists": {"field": "vector"}}]
    if where is not None:
        filters.append(where)
    scored: dict[str, Json] = {"query": {"bool": {"filter": filters}}, "script": script}
    return {
        "query": {"script_score": scored},
        "sort": [{"_score": "desc"}, {"id": "asc"}],
    }
