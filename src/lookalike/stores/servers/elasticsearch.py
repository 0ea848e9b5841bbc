"""Collections on Elasticsearch 8.18 and later: what is specific to it. The rest: ``servers/``."""

import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lookalike.core.records import Json
from lookalike.errors import CollectionError
from lookalike.stores.servers.addresses import Secrets, ServerAddress
from lookalike.stores.servers.dialect import Nearest, score_by_script
from lookalike.stores.servers.queries import Query
from lookalike.stores.servers.refusals import not_json, unreachable
from lookalike.stores.servers.server import Response, client_options
from lookalike.stores.servers.store import ServerStore

if TYPE_CHECKING:
    import elasticsearch

__all__ = ["Elasticsearch", "open_elasticsearch"]

# Errors are reported by us; the client's own messages appear when logging is configured.
logging.getLogger("elastic_transport").addHandler(logging.NullHandler())

_COARSE = frozenset({"int8_hnsw", "bbq_hnsw"})
_BBQ_DIM = 64  # minimum dimensions for one bit per value to be useful


@dataclass(frozen=True, slots=True)
class Elasticsearch:
    """The dialect of Elasticsearch."""

    kind: str = "elasticsearch"
    product: str = "Elasticsearch"
    oldest: tuple[int, int] = (8, 18)
    longest: int = 4096
    default_vectors: str = "int8_hnsw"

    def index_settings(self, vectors: str) -> dict[str, Json]:  # noqa: ARG002 - the dialect's
        return {}

    def vector_field(self, dim: int, vectors: str) -> dict[str, Json]:
        if vectors == "bbq_hnsw" and dim < _BBQ_DIM:
            raise CollectionError(
                f"vectors=bbq_hnsw needs vectors of {_BBQ_DIM} values or more, not {dim}; choose "
                "another way to index them"
            )
        options: dict[str, Json] = {"type": vectors}
        if vectors != "flat":
            options |= {"m": 16, "ef_construction": 100}
        return {
            "type": "dense_vector",
            "dims": dim,
            "element_type": "float",
            "index": True,
            "similarity": "cosine",
            # explicit, because defaults differ between versions
            "index_options": options,
        }

    def nearest(self, wanted: Nearest) -> dict[str, Json]:
        knn: dict[str, Json] = {
            "field": "vector",
            "query_vector": wanted.vector,
            "k": wanted.k,
            "num_candidates": wanted.candidates,
        }
        if wanted.where is not None:
            knn["filter"] = wanted.where
        if wanted.vectors in _COARSE:
            knn["rescore_vector"] = {"oversample": wanted.oversample}
        return {"knn": knn}

    def rescores(self, vectors: str) -> bool:  # noqa: ARG002 - the dialect's
        return True

    def exact(self, vector: list[Json], vectors: str, where: Query | None, k: int) -> Query | None:
        if vectors == "flat":  # which compares with every vector by itself
            knn: dict[str, Json] = {"field": "vector", "query_vector": vector}
            knn |= {"k": k, "num_candidates": max(k, 1)}
            return {"knn": knn if where is None else {**knn, "filter": where}}
        script: dict[str, Json] = {
            "source": "cosineSimilarity(params.query, 'vector') + 1.0",
            "params": {"query": vector},
        }
        return score_by_script(script, where)

    def shown_vectors(self) -> dict[str, Json]:
        return {"fields": ["vector"]}  # from 9.2 on, `_source` contains no vectors by default

    def open_moment(self, index: str) -> str:
        return f"/{index}/_pit?keep_alive=5m"

    def moment_of(self, response: dict[str, str]) -> str:
        return response["id"]

    def close_moment(self, moment: str) -> tuple[str, dict[str, Json]]:
        return "/_pit", {"id": moment}


class _Wire:
    """The official client, for one request at a time."""

    def __init__(self, client: "elasticsearch.Elasticsearch", address: ServerAddress) -> None:
        import elasticsearch  # noqa: PLC0415 - loaded already, by `open_elasticsearch`

        self._client = client
        self._address = address
        self._of = elasticsearch

    def request(self, method: str, path: str, *, body: bytes | None, lines: bool) -> Response:
        headers = {"accept": "application/json"}
        if body is not None:
            headers["content-type"] = "application/x-ndjson" if lines else "application/json"
        try:
            response = self._client.perform_request(method, path, headers=headers, body=body)
        except self._of.UnsupportedProductError:
            raise CollectionError(
                f"{self._address} is not Elasticsearch; for OpenSearch, begin the address with "
                "opensearch://"
            ) from None
        except self._of.ApiError as error:
            return Response(status=error.meta.status, body=error.body)
        except self._of.SerializationError as error:
            raise not_json(str(self._address), "Elasticsearch") from error
        except self._of.TransportError as error:
            raise unreachable(
                f"{type(error).__name__} {error.message}",
                address=str(self._address),
                tls=self._address.tls,
            ) from error
        return Response(status=response.meta.status, body=response.body)

    def close(self) -> None:
        self._client.close()


def open_elasticsearch(
    address: ServerAddress, *, create: bool = False, environment: Mapping[str, str] = os.environ
) -> ServerStore:
    """Open a collection on Elasticsearch, or create one there with ``create``.

    Raise ``CollectionError`` for another product or version, or if the official client is not
    installed; ``CollectionNotFoundError``, ``CollectionFormatError`` and ``StoreError``.
    """
    try:
        import elasticsearch  # noqa: PLC0415 - an extra
    except ImportError:
        raise CollectionError(
            f"{address} needs Elasticsearch's client: pip install 'lookalike[elasticsearch]'"
        ) from None
    client = elasticsearch.Elasticsearch(
        address.urls(), **_options(address, address.secrets(environment))
    )
    return ServerStore.open(_Wire(client, address), Elasticsearch(), address, create=create)


def _options(address: ServerAddress, secrets: Secrets) -> dict[str, Any]:
    options: dict[str, Any] = {"request_timeout": address.timeout_s, **client_options(address)}
    if secrets.api_key is not None:
        options["api_key"] = secrets.api_key
    if secrets.user is not None and secrets.password is not None:
        options["basic_auth"] = (secrets.user, secrets.password)
    return options
