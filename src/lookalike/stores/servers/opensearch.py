"""Collections on OpenSearch 2.19 and later: what is specific to it. The rest: ``servers/``."""

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
    import opensearchpy

__all__ = ["OpenSearch", "open_opensearch"]

# Errors are reported by us; the client's own messages appear when logging is configured.
logging.getLogger("opensearch").addHandler(logging.NullHandler())

_GRAPH: dict[str, Json] = {"m": 16, "ef_construction": 100}


@dataclass(frozen=True, slots=True)
class OpenSearch:
    """The dialect of OpenSearch."""

    kind: str = "opensearch"
    product: str = "OpenSearch"
    oldest: tuple[int, int] = (2, 19)
    longest: int = 16_000
    default_vectors: str = "int8_hnsw"

    def index_settings(self, vectors: str) -> dict[str, Json]:
        return {} if vectors == "flat" else {"knn": True}  # without it, no ANN index is built

    def vector_field(self, dim: int, vectors: str) -> dict[str, Json]:
        field: dict[str, Json] = {"type": "knn_vector", "dimension": dim, "data_type": "float"}
        if vectors == "bbq_hnsw":  # Elasticsearch's name for one bit per value, here by FAISS
            return {**field, "space_type": "cosinesimil", "mode": "on_disk"}
        if vectors == "flat":  # compared one by one, by script
            return field
        coarse: dict[str, Json] = {"encoder": {"name": "sq"}} if vectors == "int8_hnsw" else {}
        method: dict[str, Json] = {
            "name": "hnsw",
            "space_type": "cosinesimil",
            "engine": "lucene",
            "parameters": {**_GRAPH, **coarse},
        }
        return {**field, "method": method}

    def nearest(self, wanted: Nearest) -> dict[str, Json]:
        if wanted.vectors == "flat":
            return self.exact(wanted.vector, wanted.vectors, wanted.where, wanted.k)
        # `k` is what the graph looks at on each shard, and `size` how many come back.
        knn: dict[str, Json] = {"vector": wanted.vector, "k": wanted.candidates}
        if wanted.where is not None:
            knn["filter"] = wanted.where
        if wanted.vectors == "bbq_hnsw":
            knn["rescore"] = {"oversample_factor": wanted.oversample}
        return {"query": {"knn": {"vector": knn}}}

    def rescores(self, vectors: str) -> bool:
        return vectors != "int8_hnsw"  # its Lucene engine orders by bytes

    def exact(self, vector: list[Json], vectors: str, where: Query | None, k: int) -> Query:  # noqa: ARG002 - the dialect's
        params: dict[str, Json] = {
            "field": "vector",
            "query_value": vector,
            "space_type": "cosinesimil",
        }
        script: dict[str, Json] = {"lang": "knn", "source": "knn_score", "params": params}
        return score_by_script(script, where)

    def shown_vectors(self) -> dict[str, Json]:
        return {"_source": ["vector"]}

    def open_moment(self, index: str) -> str:
        # By default, a snapshot is opened on the available shards, as if they were all.
        return f"/{index}/_search/point_in_time?keep_alive=5m&allow_partial_pit_creation=false"

    def moment_of(self, response: dict[str, str]) -> str:
        return response["pit_id"]

    def close_moment(self, moment: str) -> tuple[str, dict[str, Json]]:
        return "/_search/point_in_time", {"pit_id": [moment]}


class _Wire:
    """The official client, for one request at a time."""

    def __init__(self, client: "opensearchpy.OpenSearch", address: ServerAddress) -> None:
        import opensearchpy  # noqa: PLC0415 - loaded already, by `open_opensearch`

        self._client = client
        self._address = address
        self._of = opensearchpy

    def request(self, method: str, path: str, *, body: bytes | None, lines: bool) -> Response:
        headers = {"content-type": "application/x-ndjson" if lines else "application/json"}
        try:
            response = self._client.transport.perform_request(
                method, path, body=body, headers=headers
            )
        except (
            self._of.exceptions.ConnectionError,
            self._of.exceptions.ConnectionTimeout,
        ) as error:
            raise unreachable(
                f"{type(error).__name__} {error.error}",
                address=str(self._address),
                tls=self._address.tls,
            ) from error
        except self._of.exceptions.SerializationError as error:
            raise not_json(str(self._address), "OpenSearch") from error
        except self._of.exceptions.TransportError as error:
            return Response(status=int(error.status_code), body=error.info)
        return Response(status=200, body=response)

    def close(self) -> None:
        self._client.close()


def open_opensearch(
    address: ServerAddress, *, create: bool = False, environment: Mapping[str, str] = os.environ
) -> ServerStore:
    """Open a collection on OpenSearch, or create one there with ``create``.

    Raise ``CollectionError`` for another product or version, or if the official client is not
    installed; ``CollectionNotFoundError``, ``CollectionFormatError`` and ``StoreError``.
    """
    try:
        import opensearchpy  # noqa: PLC0415 - an extra
    except ImportError:
        raise CollectionError(
            f"{address} needs OpenSearch's client: pip install 'lookalike[opensearch]'"
        ) from None
    client = opensearchpy.OpenSearch(
        address.urls(), **_options(address, address.secrets(environment))
    )
    return ServerStore.open(_Wire(client, address), OpenSearch(), address, create=create)


def _options(address: ServerAddress, secrets: Secrets) -> dict[str, Any]:
    options: dict[str, Any] = {
        "timeout": address.timeout_s,
        "http_compress": False,
        "use_ssl": address.tls,
        **client_options(address),
    }
    if secrets.api_key is not None:
        raise CollectionError(
            "OpenSearch has no API keys; set LOOKALIKE_OPENSEARCH_USER and "
            "LOOKALIKE_OPENSEARCH_PASSWORD"
        )
    if address.aws is not None:
        options["http_auth"] = _signing(address, address.aws)
    elif secrets.user is not None and secrets.password is not None:
        options["http_auth"] = (secrets.user, secrets.password)
    return options


def _signing(address: ServerAddress, aws: str) -> "opensearchpy.Urllib3AWSV4SignerAuth":
    """Return what signs each request (AWS Signature Version 4).

    Credentials are found as by AWS's own tools: environment, profile, or the machine's role.
    """
    try:
        import botocore.session  # noqa: PLC0415 - an extra
    except ImportError:
        raise CollectionError(
            f"{address} needs signed requests: pip install 'lookalike[aws]'"
        ) from None
    import opensearchpy  # noqa: PLC0415 - loaded already, by `open_opensearch`

    credentials = botocore.session.get_session().get_credentials()
    if credentials is None:
        raise CollectionError(
            f"{address} needs signed requests, but there are no AWS credentials; set "
            "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE"
        )
    region, _, service = aws.partition(":")
    return opensearchpy.Urllib3AWSV4SignerAuth(credentials, region, service or "es")
