"""What the server stores rely on, asked of real servers over plain HTTP."""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import pytest

from engines import OwnServer, address, call

pytestmark = pytest.mark.engines

Documents = Mapping[str, Mapping[str, object]]

NORTH = [1.0, 0.0, 0.0, 0.0]
DOCUMENTS: Documents = {
    "north": {"vector": NORTH, "label": "cold"},
    "between": {"vector": [3.0, 4.0, 0.0, 0.0], "label": "mild"},  # not of length one
    "south": {"vector": [-1.0, 0.0, 0.0, 0.0], "label": "cold"},
}
COSINES = {"north": 1.0, "between": 0.6, "south": -1.0}


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """How one engine is asked."""

    index: Callable[[str], dict[str, object]]  # by the kind of index: hnsw, exact
    nearest: Callable[[int, object], dict[str, object]]  # by k and a filter or None
    exact: dict[str, object]  # the body of a search that compares with every vector


def _elasticsearch_index(kind: str) -> dict[str, object]:
    options = {"hnsw": {"type": "hnsw", "m": 16, "ef_construction": 100}, "exact": {"type": "flat"}}
    vector = {
        "type": "dense_vector",
        "dims": 4,
        "index": True,
        "similarity": "cosine",
        "index_options": options.get(kind, {"type": kind}),
    }
    return {
        "settings": {"number_of_shards": 1, "number_of_replicas": 0},
        "mappings": {
            "dynamic": "strict",
            "properties": {"vector": vector, "label": {"type": "keyword"}},
        },
    }


def _elasticsearch_nearest(k: int, where: object) -> dict[str, object]:
    knn: dict[str, object] = {"field": "vector", "query_vector": NORTH, "k": k}
    knn["num_candidates"] = 100
    if where is not None:
        knn["filter"] = where
    return {"size": k, "knn": knn}


def _opensearch_index(kind: str) -> dict[str, object]:
    # Never another engine than lucene: the native libraries of the others are not there, and the
    # server would end.
    method = {"name": "hnsw", "engine": "lucene", "space_type": "cosinesimil"}
    vector: dict[str, object] = {"type": "knn_vector", "dimension": 4}
    if kind != "exact":
        vector["method"] = method
    return {
        "settings": {
            "index": {"knn": kind != "exact", "number_of_shards": 1, "number_of_replicas": 0}
        },
        "mappings": {
            "dynamic": "strict",
            "properties": {"vector": vector, "label": {"type": "keyword"}},
        },
    }


def _opensearch_nearest(k: int, where: object) -> dict[str, object]:
    knn: dict[str, object] = {"vector": NORTH, "k": k}
    if where is not None:
        knn["filter"] = where
    return {"size": k, "query": {"knn": {"vector": knn}}}


_OPENSEARCH_EXACT: dict[str, object] = {
    "size": 10,
    "query": {
        "script_score": {
            "query": {"exists": {"field": "vector"}},
            "script": {
                "lang": "knn",
                "source": "knn_score",
                "params": {"field": "vector", "query_value": NORTH, "space_type": "cosinesimil"},
            },
        }
    },
}


DIALECTS = {
    "elasticsearch": Dialect(
        index=_elasticsearch_index,
        nearest=_elasticsearch_nearest,
        exact=_elasticsearch_nearest(10, None),
    ),
    "opensearch": Dialect(
        index=_opensearch_index, nearest=_opensearch_nearest, exact=_OPENSEARCH_EXACT
    ),
}


class Engine:
    """A real server and how it is asked."""

    def __init__(self, name: str, prefix: str) -> None:
        self.name = name
        self.dialect = DIALECTS[name]
        self.url = address(name)
        self.prefix = prefix
        self.made: list[str] = []

    def index_of(self, kind: str, documents: Documents) -> str:
        """A new index with these documents, ready to be searched."""
        index = f"{self.prefix}-{len(self.made)}"
        self.made.append(index)
        made = call(self.url, "PUT", f"/{index}", self.dialect.index(kind))
        assert made.status == 200, made.body
        items = self.write(index, documents)
        assert {item["status"] for item in items} <= {201}, items
        return index

    def write(self, index: str, documents: Documents) -> list[dict[str, object]]:
        """What became of each document of a bulk request."""
        lines = []
        for key, document in documents.items():
            lines += [{"index": {"_index": index, "_id": key}}, document]
        done = call(self.url, "POST", "/_bulk?refresh=true", lines=lines)
        assert done.status == 200, done.body
        return [item["index"] for item in done.body["items"]]

    def scores(self, index: str, body: dict[str, object]) -> dict[str, float]:
        found = call(self.url, "POST", f"/{index}/_search", body)
        assert found.status == 200, found.body
        return {hit["_id"]: hit["_score"] for hit in found.body["hits"]["hits"]}


@pytest.fixture(params=list(DIALECTS))
def engine(request: pytest.FixtureRequest, unique_name: str) -> Iterator[Engine]:
    engine = Engine(request.param, unique_name)
    yield engine
    for index in engine.made:
        call(engine.url, "DELETE", f"/{index}")


def test_a_server_says_which_it_is(engine: Engine) -> None:
    answer = call(engine.url, "GET", "/")
    if engine.name == "elasticsearch":  # the assembled one has no page there, but the header
        assert answer.headers["x-elastic-product"] == "Elasticsearch"
    else:
        assert answer.body["version"]["distribution"] == "opensearch"


def test_the_nearest_come_first_with_the_score_of_the_formula(engine: Engine) -> None:
    scores = engine.scores(engine.index_of("hnsw", DOCUMENTS), engine.dialect.nearest(3, None))
    assert list(scores) == ["north", "between", "south"]
    assert scores == pytest.approx({key: (1 + cos) / 2 for key, cos in COSINES.items()}, abs=1e-5)


def test_exact_scores_are_those_of_the_formula(engine: Engine) -> None:
    scores = engine.scores(engine.index_of("exact", DOCUMENTS), engine.dialect.exact)
    assert scores == pytest.approx({key: (1 + cos) / 2 for key, cos in COSINES.items()}, abs=1e-5)


def test_a_filter_chooses_before_the_neighbours_are_counted(engine: Engine) -> None:
    index = engine.index_of("hnsw", DOCUMENTS)
    mild = engine.dialect.nearest(1, {"term": {"label": "mild"}})
    assert list(engine.scores(index, mild)) == ["between"]


def test_writing_an_id_again_replaces_its_document(engine: Engine) -> None:
    index = engine.index_of("hnsw", DOCUMENTS)
    (item,) = engine.write(index, {"south": {"vector": [0.0, 0.0, 1.0, 0.0], "label": "warm"}})
    assert item["status"] == 200
    scores = engine.scores(index, engine.dialect.nearest(10, None))
    assert len(scores) == 3
    assert math.isclose(scores["south"], 0.5, abs_tol=1e-5)


def test_a_bad_document_is_refused_and_its_neighbours_are_kept(engine: Engine) -> None:
    index = engine.index_of("hnsw", DOCUMENTS)
    items = engine.write(
        index,
        {
            "short": {"vector": [1.0, 0.0]},
            "zero": {"vector": [0.0, 0.0, 0.0, 0.0]},
            "stranger": {"vector": NORTH, "unheard": 1},
            "good": {"vector": NORTH},
        },
    )
    assert [item["status"] for item in items] == [400, 400, 400, 201]


def test_an_alias_moves_in_one_step(engine: Engine) -> None:
    old = engine.index_of("hnsw", DOCUMENTS)
    new = engine.index_of("hnsw", {"only": {"vector": NORTH, "label": "new"}})
    alias = f"{engine.prefix}-alias"
    for actions in (
        [{"add": {"index": old, "alias": alias}}],
        [{"remove": {"index": old, "alias": alias}}, {"add": {"index": new, "alias": alias}}],
    ):
        assert call(engine.url, "POST", "/_aliases", {"actions": actions}).status == 200
    assert list(engine.scores(alias, engine.dialect.nearest(3, None))) == ["only"]


def test_what_is_deleted_is_not_found_again(engine: Engine) -> None:
    index = engine.index_of("hnsw", DOCUMENTS)
    assert call(engine.url, "DELETE", f"/{index}/_doc/north?refresh=true").status == 200
    assert list(engine.scores(index, engine.dialect.nearest(3, None))) == ["between", "south"]
    assert call(engine.url, "DELETE", f"/{index}").status == 200
    gone = call(engine.url, "POST", f"/{index}/_search", engine.dialect.nearest(3, None))
    assert gone.status == 404


@pytest.mark.parametrize("engine", ["elasticsearch"], indirect=True)
@pytest.mark.parametrize("kind", ["int8_hnsw", "int8_flat", "int4_hnsw"])
def test_rescoring_makes_the_scores_of_quantised_vectors_right(engine: Engine, kind: str) -> None:
    knn = {"field": "vector", "query_vector": NORTH, "k": 3, "num_candidates": 100}
    body: dict[str, object] = {"knn": {**knn, "rescore_vector": {"oversample": 1.0}}}
    scores = engine.scores(engine.index_of(kind, DOCUMENTS), body)
    assert scores == pytest.approx({key: (1 + cos) / 2 for key, cos in COSINES.items()}, abs=1e-5)


@pytest.mark.slow
@pytest.mark.timeout(600)  # two starts of a server beside all the other work
@pytest.mark.parametrize("name", list(DIALECTS))
def test_a_killed_server_has_its_documents_when_it_is_started_again(
    name: str, own_server: Callable[[str], OwnServer]
) -> None:
    server = own_server(name)
    path = "/kept/_doc/1"
    assert call(server.url, "PUT", path, {"label": "acknowledged"}).status == 201
    server.kill()
    with pytest.raises(ConnectionRefusedError):
        call(server.url, "GET", path)
    server.start()
    found = call(server.url, "GET", path)
    assert (found.status, found.body["_source"]) == (200, {"label": "acknowledged"})
