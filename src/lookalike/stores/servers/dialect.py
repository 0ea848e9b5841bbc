"""What differs between the servers, as one small interface."""

from dataclasses import dataclass
from typing import Protocol

from lookalike.core.records import Json
from lookalike.stores.servers.queries import Query

__all__ = ["Dialect", "Nearest", "score_by_script"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Nearest:
    """What an approximate search asks for: ``k`` proposals to a ``vector`` (dim,).

    ``candidates`` is how many the graph looks at, ``oversample`` how many times ``k`` the server
    compares by their full vectors where the graph holds coarse ones.
    """

    vector: list[Json]
    k: int
    vectors: str
    candidates: int
    oversample: float
    where: Query | None


class Dialect(Protocol):
    """Words that one product has for what all can do. Pure."""

    @property
    def kind(self) -> str:
        """As in addresses: ``elasticsearch``."""

    @property
    def product(self) -> str:
        """As people say it: ``Elasticsearch``."""

    @property
    def oldest(self) -> tuple[int, int]:
        """The oldest version that is spoken with."""

    @property
    def longest(self) -> int:
        """Values that a vector may have."""

    @property
    def default_vectors(self) -> str:
        """How vectors are indexed unless the address says otherwise."""

    def index_settings(self, vectors: str) -> dict[str, Json]:
        """Settings that the index of the items needs; ``vectors`` is one of ``VECTORS``."""

    def vector_field(self, dim: int, vectors: str) -> dict[str, Json]:
        """The mapping of the field ``vector``."""

    def nearest(self, wanted: Nearest) -> dict[str, Json]:
        """The part of a search body that proposes the nearest."""

    def rescores(self, vectors: str) -> bool:
        """Whether proposals come in the order of full vectors, where ``vectors`` are coarse too."""

    def exact(self, vector: list[Json], vectors: str, where: Query | None, k: int) -> Query | None:
        """The part of a search body that compares with every vector, if there is one."""

    def shown_vectors(self) -> dict[str, Json]:
        """The part of a search body that shows the vectors of the graph, as they are stored.

        ``_source`` in it are further fields to show.
        """

    def open_moment(self, index: str) -> str:
        """The path that fixes a moment of an index, to be read page by page."""

    def moment_of(self, answer: dict[str, str]) -> str:
        """The moment's name in the answer."""

    def close_moment(self, moment: str) -> tuple[str, dict[str, Json]]:
        """The path and body that let it go."""


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
