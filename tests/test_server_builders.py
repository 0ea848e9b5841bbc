"""What is sent to servers and what their answers mean, by literals: no server is needed."""

import json
import struct
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.store import CONDITIONS, VARIED, an_item, rows
from filter_semantics import meets
from lookalike.core.filters import And, Compare, Condition, Exists, Not, Or, Value, parse
from lookalike.core.records import Item, Json
from lookalike.errors import (
    CollectionError,
    CollectionFormatError,
    CollectionNotFoundError,
    FilterError,
    LookalikeError,
    StoreBusyError,
    StoreDeniedError,
    StoreError,
    StoreFullError,
    StoreReadOnlyError,
    StoreUnreachableError,
)
from lookalike.stores.servers import bulk, documents, mappings, tokens
from lookalike.stores.servers.addresses import Host, ServerAddress, parse_address
from lookalike.stores.servers.dialect import Nearest
from lookalike.stores.servers.elasticsearch import Elasticsearch
from lookalike.stores.servers.opensearch import OpenSearch
from lookalike.stores.servers.queries import below, facet_terms, filter_query
from lookalike.stores.servers.refusals import refusal, unreachable
from lookalike.stores.servers.server import iterate_pauses
from lookalike.stores.servers.versions import product_of

# -- addresses -----------------------------------------------------------------------------


def test_an_address_names_hosts_and_a_collection() -> None:
    assert parse_address("elasticsearch://localhost/shop") == ServerAddress(
        kind="elasticsearch", hosts=(Host(name="localhost", port=9200),), name="shop"
    )
    many = parse_address("opensearch+https://a:1,[::1]:2,c/behind/a proxy/shop?ca=/etc/ca.pem")
    assert many.hosts == (Host(name="a", port=1), Host(name="::1", port=2), Host(name="c"))
    assert (many.tls, many.prefix, many.ca, many.name) == (
        True,
        "/behind/a proxy",
        "/etc/ca.pem",
        "shop",
    )
    assert many.urls() == [
        "https://a:1/behind/a%20proxy",
        "https://[::1]:2/behind/a%20proxy",
        "https://c:9200/behind/a%20proxy",
    ]
    assert str(many) == "opensearch+https://a:1,[::1]:2,c:9200/behind/a%20proxy/shop"


def test_an_address_says_how_to_speak_with_the_server() -> None:
    address = parse_address(
        "elasticsearch://h/s?vectors=bbq_hnsw&candidates=500&oversample=3&shards=2&replicas=1"
        "&timeout=2.5&retries=0&verify=no"
    )
    assert (address.vectors, address.candidates, address.oversample) == ("bbq_hnsw", 500, 3.0)
    assert (address.shards, address.replicas, address.timeout_s) == (2, 1, 2.5)
    assert (address.retries, address.verify) == (0, False)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("ftp://h/shop", "cannot hold a collection"),
        ("elasticsearch+ssl://h/shop", "cannot hold a collection"),
        ("elasticsearch://h", "names no collection"),
        ("elasticsearch://h/", "names no collection"),
        ("elasticsearch://h/Shop", "lower-case letters"),
        ("elasticsearch://h/_all", "lower-case letters"),
        ("elasticsearch://h/a,b", "lower-case letters"),
        ("elasticsearch://h/a*", "lower-case letters"),
        (f"elasticsearch://h/{'x' * 250}", "lower-case letters"),
        ("elasticsearch:///shop", "is not a host"),
        ("elasticsearch://h:0/shop", "is not a host"),
        ("elasticsearch://h:99999/shop", "is not a host"),
        ("elasticsearch://a b/shop", "is not a host"),
        ("elasticsearch://h/shop?apikey=x", "no option 'apikey'"),
        ("elasticsearch://h/shop?candidates=many", "from 1 to 10000"),
        ("elasticsearch://h/shop?shards=0", "from 1 to 1024"),
        ("elasticsearch://h/shop?vectors=ivf", "one of int8_hnsw"),
        ("elasticsearch://h/shop?timeout=nan", "seconds"),
        ("elasticsearch://h/shop?verify=maybe", "yes or no"),
    ],
)
def test_an_address_that_means_nothing_is_refused(text: str, words: str) -> None:
    with pytest.raises(CollectionError, match=words):
        parse_address(text)


def test_secrets_come_from_the_environment_and_are_never_shown() -> None:
    with pytest.raises(CollectionError, match="LOOKALIKE_OPENSEARCH_PASSWORD") as caught:
        parse_address("opensearch://me:hunter2@h/shop")
    assert "hunter2" not in str(caught.value)
    address = parse_address("elasticsearch://h/shop")
    secrets = address.secrets({"LOOKALIKE_ELASTICSEARCH_API_KEY": "c2VjcmV0"})
    assert secrets.api_key == "c2VjcmV0"
    user = {"LOOKALIKE_ELASTICSEARCH_USER": "me", "LOOKALIKE_ELASTICSEARCH_PASSWORD": "hunter2"}
    both = address.secrets(user)
    assert (both.user, both.password) == ("me", "hunter2")
    assert "c2VjcmV0" not in repr(secrets)
    assert "hunter2" not in repr(both)
    assert address.secrets({"LOOKALIKE_OPENSEARCH_API_KEY": "x"}).api_key is None
    with pytest.raises(CollectionError, match="PASSWORD is not set"):
        address.secrets({"LOOKALIKE_ELASTICSEARCH_USER": "me"})
    with pytest.raises(CollectionError, match="are both set"):
        address.secrets({**user, "LOOKALIKE_ELASTICSEARCH_API_KEY": "x"})


# -- tokens and filters --------------------------------------------------------------------


def test_metadata_become_tokens() -> None:
    document: dict[str, Json] = {
        "price": 12.5,
        "tags": ["new", 7, True, None, ["deep"], {"no": 1}],
        "spec": {"wide": False, "size": {"cm": 1}},
        "none": None,
        "empty": [],
        "text": "",
        "a.b": "cannot be named",
        "": "nor can this",
        "x=y": 1,
    }
    found = tokens.tokens(document)
    named = [one for one in found if not one.startswith("#")]
    assert named == [
        "price=e",
        "price=nc029000000000000",
        "spec.size.cm=e",
        "spec.size.cm=nbff0000000000000",
        "spec.size=e",
        "spec.wide=bfalse",
        "spec.wide=e",
        "spec=e",
        "tags=btrue",
        "tags=e",
        "tags=nc01c000000000000",
        "tags=snew",
        "text=e",
        "text=s",
    ]
    digested = tokens.path_name("x=y")
    assert len(digested) == 65
    assert [one for one in found if one.startswith("#")] == [
        f"{digested}=e",
        f"{digested}=nbff0000000000000",
    ]


_NUMBERS = st.one_of(
    st.integers(-(10**20), 10**20),
    st.integers(-(10**400), 10**400),
    st.floats(allow_nan=False),
    st.sampled_from([2**53, 2**53 + 1, -(2**53) - 1, 0.0, -0.0]),
)


@given(_NUMBERS, _NUMBERS)
def test_tokens_of_numbers_have_the_order_of_numbers(one: float, other: float) -> None:
    first, second = tokens.number(one), tokens.number(other)
    if isinstance(one, float) or isinstance(other, float):  # what filters compare with is a float
        assert (first < second) == (one < other)
        assert (first == second) == (one == other)
    else:
        assert first <= second if one <= other else first >= second


@given(st.floats(allow_nan=False))
def test_a_number_can_be_read_from_its_token(value: float) -> None:
    assert tokens.value_of(tokens.number(value)) == value


@given(st.lists(st.text(max_size=4), min_size=2, max_size=8))
def test_first_after_lies_between_what_begins_so_and_the_rest(texts: list[str]) -> None:
    start, *others = texts
    after = tokens.first_after(start)
    for other in others:
        inside = other >= start and (after is None or other < after)
        assert inside == other.startswith(start)


def test_long_texts_are_told_apart_by_their_digest() -> None:
    long, longer = "x" * tokens.LONGEST, "x" * (tokens.LONGEST + 1)
    assert tokens.text(long) == f"s{long}"
    token = tokens.text(longer)
    assert token.startswith(f"s{long}\0")
    assert token != tokens.text(longer + "y")
    assert len(f"{'ü' * 200}={token}".encode()) < 32_766
    assert tokens.value_of(token) == f"{long}…"


@pytest.mark.parametrize(
    ("text", "query"),
    [
        ("label=mug", {"terms": {"label": ["mug"]}}),
        ("label!=mug", {"bool": {"must_not": [{"terms": {"label": ["mug"]}}]}}),
        ("label in (mug, cup)", {"terms": {"label": ["mug", "cup"]}}),
        ("label^=mu", {"range": {"label": {"gte": "mu", "lt": "mv"}}}),
        ("label<10", {"match_none": {}}),
        ("label<mug", {"range": {"label": {"lt": "mug"}}}),
        (
            "label exists",
            {
                "bool": {
                    "filter": [{"exists": {"field": "label"}}],
                    "must_not": [{"term": {"label": {"value": ""}}}],
                }
            },
        ),
        ("width>=100", {"range": {"width": {"gte": 100.0}}}),
        ("width=10.5", {"term": {"width": {"value": 10.5}}}),
        ("width<1e999", {"range": {"width": {"lt": 1.7976931348623157e308}}}),
        ("width=wide", {"match_none": {}}),
        ("colour=Red", {"terms": {"tokens": ["colour=sRed"]}}),
        ("year=2011", {"terms": {"tokens": ["year=s2011", "year=nc09f6c0000000000"]}}),
        ("new=true", {"terms": {"tokens": ["new=strue", "new=btrue"]}}),
        ("price exists", {"terms": {"tokens": ["price=e"]}}),
        ("price missing", {"bool": {"must_not": [{"terms": {"tokens": ["price=e"]}}]}}),
        (
            "price<=12.5",
            {"range": {"tokens": {"lte": "price=nc029000000000000", "gte": "price=n"}}},
        ),
        ("price>-1", {"range": {"tokens": {"gt": "price=n400fffffffffffff", "lt": "price=o"}}}),
        ("day>=2024-01-31", {"range": {"tokens": {"gte": "day=s2024-01-31", "lt": "day=t"}}}),
        ("name^=Ni", {"range": {"tokens": {"gte": "name=sNi", "lt": "name=sNj"}}}),
        ("metadata.label=x", {"terms": {"tokens": ["label=sx"]}}),
        (
            "label=a and not (label=b or width>1)",
            {
                "bool": {
                    "filter": [
                        {"terms": {"label": ["a"]}},
                        {
                            "bool": {
                                "must_not": [
                                    {
                                        "bool": {
                                            "should": [
                                                {"terms": {"label": ["b"]}},
                                                {"range": {"width": {"gt": 1.0}}},
                                            ],
                                            "minimum_should_match": 1,
                                        }
                                    }
                                ]
                            }
                        },
                    ]
                }
            },
        ),
    ],
)
def test_a_filter_becomes_a_query(text: str, query: dict[str, Any]) -> None:
    assert filter_query(parse(text)) == query


def holds(query: dict[str, Any], document: dict[str, Any]) -> bool:
    """What a server does with such a query, on one document."""
    ((kind, told),) = query.items()
    if kind == "match_none":
        return False
    if kind == "bool":
        should = told.get("should", [])
        return (
            all(holds(one, document) for one in told.get("filter", []))
            and not any(holds(one, document) for one in told.get("must_not", []))
            and (not should or any(holds(one, document) for one in should))
        )
    ((field, wanted),) = [("", told["field"])] if kind == "exists" else told.items()
    value = document[wanted if kind == "exists" else field]
    values = value if isinstance(value, list) else [value] if value is not None else []
    if kind == "exists":
        return bool(values)
    if kind == "terms":
        return bool(set(values) & set(wanted))
    if kind == "term":
        return wanted["value"] in values
    assert kind == "range"
    orders = {
        "lt": lambda a, b: a < b,
        "lte": lambda a, b: a <= b,
        "gt": lambda a, b: a > b,
        "gte": lambda a, b: a >= b,
    }
    return any(all(orders[word](one, bound) for word, bound in wanted.items()) for one in values)


@given(CONDITIONS)
def test_a_query_means_what_the_filter_means_in_plain_python(condition: Condition) -> None:
    query = filter_query(condition)
    for item in VARIED:
        assert holds(query, documents.make_item_fields(item)) == meets(condition, item), item


_VALUES = st.one_of(
    st.text(max_size=3), st.integers(-3, 3), st.integers(), st.floats(), st.booleans(), st.none()
)


@given(
    st.dictionaries(st.sampled_from(["a", "b", "b=s"]), _VALUES | st.lists(_VALUES, max_size=3)),
    st.sampled_from(["a", "b", "c"]),
    st.sampled_from(["=", "!=", "<", "<=", ">", ">=", "^="]),
    st.one_of(st.text(max_size=3), st.integers(-3, 3), st.floats(allow_nan=False), st.booleans()),
)
def test_any_metadata_is_found_as_in_plain_python(
    metadata: dict[str, Any], field: str, operator: str, value: object
) -> None:
    item = an_item("x", metadata=metadata)
    condition = Compare(field, operator, Value.of(value))
    assert holds(filter_query(condition), documents.make_item_fields(item)) == meets(
        condition, item
    )
    exists = Exists(field)
    assert holds(filter_query(exists), documents.make_item_fields(item)) == meets(exists, item)


def test_what_no_server_takes_is_said_before_it_is_asked() -> None:
    deep: Condition = Exists("a")
    for number in range(20):
        deep = And((Or((deep, Exists(f"b{number}"))), Exists("c")))
    with pytest.raises(FilterError, match="nested conditions"):
        filter_query(deep)
    with pytest.raises(FilterError, match="900 bytes"):
        filter_query(Compare("a", "^=", Value.of("é" * 500)))
    with pytest.raises(FilterError, match="cannot be the name"):
        filter_query(Compare("a..b", "=", Value.of("x")))
    assert filter_query(Not(Not(Exists("a")))) == {"terms": {"tokens": ["a=e"]}}
    assert filter_query(Compare("a", "=", Value.of("é" * 50_000)))


def test_a_folder_does_not_claim_its_neighbours() -> None:
    query = below("photos")
    assert query == {"range": {"path": {"gte": "photos/", "lt": "photos0"}}}


def test_facets_ask_for_values_of_one_field() -> None:
    order = [{"_count": "desc"}, {"_key": "asc"}]
    assert facet_terms("label", 5) == {"terms": {"field": "label", "size": 5, "order": order}}
    assert facet_terms("a.b(c)", 9) == {
        "terms": {"field": "tokens", "include": r"(a\.b\(c\)=[bns].*)?", "size": 9, "order": order}
    }


# -- documents and bulk --------------------------------------------------------------------


def test_an_item_comes_back_from_its_document() -> None:
    for item in VARIED:
        source = json.loads(json.dumps(documents.make_item_fields(item)))
        assert documents.item_of(source) == item
    bare = Item(id="b", digest="00" * 32, width=1, height=2)
    assert documents.item_of(documents.make_item_fields(bare)) == bare


def test_a_document_holds_the_vector_twice_exact_and_to_search_by() -> None:
    (row,) = rows((1, 2, 3)).astype("<f2")
    made = documents.document(an_item("a"), key=7, half=documents.half_of(row))
    assert made["key"] == 7
    assert documents.halves([str(made["half"])]).tolist() == [row.tolist()]
    assert made["vector"] == [0.267334, 0.534668, 0.801758, 0.0, 0.0, 0.0, 0.0, 0.0]


def test_ids_that_no_server_takes_are_digested() -> None:
    assert documents.document_id("Ünï/鞋 👟.jpg") == "Ünï/鞋 👟.jpg"
    assert documents.document_id("é" * 256) == "é" * 256
    for odd in ("", "é" * 257, "sha256:x"):
        assert documents.document_id(odd).startswith("sha256:")
        assert len(documents.document_id(odd)) == 71


def test_what_could_not_be_looked_up_is_refused() -> None:
    documents.check_texts([an_item("a", label="é" * 16_383)])
    with pytest.raises(StoreError, match="the label of 'a' is longer than 32,766 bytes"):
        documents.check_texts([an_item("a", label="é" * 16_384)])


def test_writes_become_lines() -> None:
    put = bulk.Action(verb="index", index="shop", id="é\n", source={"id": "é"}, seen=(4, 1))
    drop = bulk.Action(verb="delete", index="shop", id="b")
    change = bulk.Action(verb="update", index="shop", id="c", source={"mark": 3})
    ((some, body),) = bulk.chunks([put, drop, change])
    assert some == [put, drop, change]
    assert body.decode() == (
        '{"index":{"_index":"shop","_id":"é\\n","if_seq_no":4,"if_primary_term":1}}\n'
        '{"id":"é"}\n'
        '{"delete":{"_index":"shop","_id":"b"}}\n'
        '{"update":{"_index":"shop","_id":"c"}}\n'
        '{"doc":{"mark":3}}\n'
    )


def test_requests_stay_below_a_size_and_keep_the_order() -> None:
    actions = [bulk.Action(verb="delete", index="i", id=f"{number:04}") for number in range(100)]
    parts = list(bulk.chunks(actions, limit=200))
    assert [action for some, _ in parts for action in some] == actions
    assert max(len(body) for _, body in parts) <= 200
    assert len(parts) < 40
    assert list(bulk.chunks([])) == []
    assert len(list(bulk.chunks(actions[:2], limit=1))) == 2  # each larger than the limit


def test_every_write_has_its_outcome() -> None:
    answer = {
        "errors": True,
        "items": [
            {"index": {"status": 201, "_seq_no": 5, "_primary_term": 1}},
            {"delete": {"status": 404, "result": "not_found", "_seq_no": 6, "_primary_term": 1}},
            {"index": {"status": 429, "error": {"type": "es_rejected_execution_exception"}}},
            {
                "index": {
                    "status": 400,
                    "error": {
                        "type": "document_parsing_exception",
                        "reason": "failed to parse",
                        "caused_by": {"type": "x", "reason": "the vector has 3 dimensions"},
                    },
                }
            },
            {"index": {"status": 429, "error": {"type": "cluster_block_exception"}}},
        ],
    }
    found = bulk.outcomes(answer)
    assert [one.done for one in found] == [True, False, False, False, False]
    assert [bulk.again(one) for one in found] == [False, False, True, False, False]
    assert found[0].seen == (5, 1)
    assert found[3].reason == "the vector has 3 dimensions"


def test_pauses_grow_and_end() -> None:
    waits = list(iterate_pauses(60, chance=lambda: 1.0))
    assert waits[:4] == [0.1, 0.2, 0.4, 0.8]
    assert max(waits) == 10.0
    assert all(later >= earlier for earlier, later in pairwise(waits))
    assert 60 <= sum(waits) <= 70


# -- mappings and searches -----------------------------------------------------------------


def test_the_index_says_whose_it_is_and_keeps_what_others_add() -> None:
    body: dict[str, Any] = mappings.items_body(
        vectors="hnsw", shards=2, replicas=None, settings={"knn": True}, begun="1f"
    )
    assert body["settings"] == {
        "index": {"number_of_shards": 2, "auto_expand_replicas": "0-1", "knn": True}
    }
    assert body["mappings"]["_meta"] == {
        "lookalike": {"format": 2, "holds": "items", "vectors": "hnsw", "begun": "1f"}
    }
    assert body["mappings"]["dynamic"] == "false"
    assert "_source" not in body["mappings"]  # nothing is left out
    made = documents.document(an_item("a"), key=1, half=documents.half_of(np.ones(2, np.float16)))
    assert set(made) == {*body["mappings"]["properties"], "vector"}
    beside: dict[str, Any] = mappings.beside_body(replicas=0)
    assert beside["settings"] == {"index": {"number_of_shards": 1, "number_of_replicas": 0}}


def test_an_index_that_someone_else_made_is_left_alone() -> None:
    ours = mappings.items_body(vectors="hnsw", shards=1, replicas=None, settings={})
    assert mappings.made_with({"shop-3": ours}, address="x")[0] == "hnsw"
    with pytest.raises(CollectionFormatError, match="did not make"):
        mappings.made_with({"shop": {"mappings": {"properties": {}}}}, address="x")
    with pytest.raises(CollectionFormatError, match="did not make"):
        mappings.made_with({"shop": mappings.beside_body(replicas=None)}, address="x")
    with pytest.raises(CollectionFormatError, match="an alias of 2 indexes"):
        mappings.made_with({"a": ours, "b": ours}, address="x")
    newer = {"mappings": {"_meta": {"lookalike": {"format": 3, "holds": "items"}}}}
    with pytest.raises(CollectionFormatError, match="upgrade lookalike"):
        mappings.made_with({"shop": newer}, address="x")


@pytest.mark.parametrize(
    ("vectors", "options"),
    [
        ("int8_hnsw", {"type": "int8_hnsw", "m": 16, "ef_construction": 100}),
        ("hnsw", {"type": "hnsw", "m": 16, "ef_construction": 100}),
        ("bbq_hnsw", {"type": "bbq_hnsw", "m": 16, "ef_construction": 100}),
        ("flat", {"type": "flat"}),
    ],
)
def test_elasticsearch_is_told_in_full_how_to_index_vectors(
    vectors: str, options: dict[str, Any]
) -> None:
    assert Elasticsearch().vector_field(4096, vectors) == {
        "type": "dense_vector",
        "dims": 4096,
        "element_type": "float",
        "index": True,
        "similarity": "cosine",
        "index_options": options,
    }


def test_bits_need_enough_values() -> None:
    with pytest.raises(CollectionError, match="64 values or more"):
        Elasticsearch().vector_field(8, "bbq_hnsw")


def test_opensearch_is_told_which_engine_indexes_vectors() -> None:
    graph = {"m": 16, "ef_construction": 100}
    method = {"name": "hnsw", "space_type": "cosinesimil", "engine": "lucene"}
    field = {"type": "knn_vector", "dimension": 1280, "data_type": "float"}
    say = OpenSearch().vector_field
    assert say(1280, "hnsw") == {**field, "method": {**method, "parameters": graph}}
    assert say(1280, "int8_hnsw") == {
        **field,
        "method": {**method, "parameters": {**graph, "encoder": {"name": "sq"}}},
    }
    assert say(1280, "bbq_hnsw") == {**field, "space_type": "cosinesimil", "mode": "on_disk"}
    assert say(1280, "flat") == field
    assert OpenSearch().index_settings("hnsw") == {"knn": True}
    assert OpenSearch().index_settings("flat") == {}  # or a graph would be made all the same


def wanted(vectors: str, where: dict[str, Any] | None = None) -> Nearest:
    return Nearest(
        vector=[1.0, 0.0], k=18, vectors=vectors, candidates=200, oversample=2.0, where=where
    )


_MUG: dict[str, Any] = {"terms": {"label": ["mug"]}}


def test_elasticsearch_searches_filtered_and_rescored() -> None:
    knn = {"field": "vector", "query_vector": [1.0, 0.0], "k": 18, "num_candidates": 200}
    assert Elasticsearch().nearest(wanted("hnsw")) == {"knn": knn}
    assert Elasticsearch().nearest(wanted("int8_hnsw", _MUG)) == {
        "knn": {**knn, "filter": _MUG, "rescore_vector": {"oversample": 2.0}}
    }


def test_opensearch_searches_filtered_within_the_graph() -> None:
    knn = {"vector": [1.0, 0.0], "k": 200}
    assert OpenSearch().nearest(wanted("hnsw")) == {"query": {"knn": {"vector": knn}}}
    assert OpenSearch().nearest(wanted("int8_hnsw", _MUG)) == {
        "query": {"knn": {"vector": {**knn, "filter": _MUG}}}
    }
    assert OpenSearch().nearest(wanted("bbq_hnsw")) == {
        "query": {"knn": {"vector": {**knn, "rescore": {"oversample_factor": 2.0}}}}
    }
    flat = OpenSearch().nearest(wanted("flat", _MUG))
    assert flat == OpenSearch().exact([1.0, 0.0], "flat", _MUG, 18)


def test_an_exact_search_compares_with_every_vector() -> None:
    asked = {"bool": {"filter": [{"exists": {"field": "vector"}}, _MUG]}}
    order = [{"_score": "desc"}, {"id": "asc"}]
    painless = {
        "source": "cosineSimilarity(params.query, 'vector') + 1.0",
        "params": {"query": [1.0, 0.0]},
    }
    assert Elasticsearch().exact([1.0, 0.0], "hnsw", _MUG, 18) == {
        "query": {"script_score": {"query": asked, "script": painless}},
        "sort": order,
    }
    knn = {"field": "vector", "query_vector": [1.0, 0.0], "k": 18, "num_candidates": 18}
    assert Elasticsearch().exact([1.0, 0.0], "flat", None, 18) == {"knn": knn}
    params = {"field": "vector", "query_value": [1.0, 0.0], "space_type": "cosinesimil"}
    assert OpenSearch().exact([1.0, 0.0], "hnsw", _MUG, 18) == {
        "query": {
            "script_score": {
                "query": asked,
                "script": {"lang": "knn", "source": "knn_score", "params": params},
            }
        },
        "sort": order,
    }


def test_a_query_vector_is_short_text() -> None:
    row = np.array([struct.unpack(">f", b"\x3d\xcc\xcc\xcd")[0], 1 / 3], np.float32)
    assert documents.query_vector(row) == [0.1, 0.333333]


# -- what servers say ----------------------------------------------------------------------


def error(kind: str, reason: str) -> dict[str, Any]:
    cause = {"type": kind, "reason": reason}
    return {"error": {"root_cause": [cause], **cause}}


@pytest.mark.parametrize(
    ("status", "body", "expected", "words"),
    [
        (401, error("security_exception", "missing token"), StoreDeniedError, "_API_KEY"),
        (403, error("security_exception", "action [x] is unauthorized"), StoreDeniedError, "x"),
        (404, error("index_not_found_exception", "no such"), CollectionNotFoundError, "no coll"),
        (413, "<html>too large</html>", StoreError, "http.max_content_length"),
        (429, error("es_rejected_execution_exception", "queue"), StoreBusyError, "try again"),
        (
            429,
            error(
                "cluster_block_exception",
                "index [shop] blocked by: [TOO_MANY_REQUESTS/12/disk usage exceeded flood-stage "
                "watermark, index has read-only-allow-delete block];",
            ),
            StoreFullError,
            "no space on the disk",
        ),
        (
            403,
            error(
                "cluster_block_exception", "index [s] blocked by: [FORBIDDEN/8/index write (api)]"
            ),
            StoreReadOnlyError,
            "read but not written",
        ),
        (
            403,
            error(
                "index_create_block_exception",
                "blocked by: [FORBIDDEN/10/cluster create-index blocked (api)];",
            ),
            StoreFullError,
            "nearly full",
        ),
        (
            503,
            error("no_shard_available_action_exception", ""),
            StoreUnreachableError,
            "state red",
        ),
        (502, "<html>Bad Gateway</html>", StoreUnreachableError, "in front of the server"),
        (400, error("x", "y " * 400), StoreError, "…"),
        (500, None, StoreError, "no reason given"),
    ],
)
def test_a_refusal_says_what_happened_and_what_to_do(
    status: int, body: object, expected: type[LookalikeError], words: str
) -> None:
    found = refusal(status, body, address="elasticsearch://h:9200/shop", kind="elasticsearch")
    assert type(found) is expected
    assert words in str(found)
    assert "elasticsearch://h:9200/shop" in str(found)


@pytest.mark.parametrize(
    ("why", "tls", "words"),
    [
        ("NewConnectionError: [Errno 111] Connection refused", False, "no server is listening"),
        ("Failed to resolve 'nowhere'", False, "no such host"),
        ("ConnectionTimeout: timed out", False, "timeout=SECONDS"),
        ("SSLError: CERTIFICATE_VERIFY_FAILED certificate verify failed", True, "ca=FILE"),
        ("SSLError: WRONG_VERSION_NUMBER", True, "leave +https out"),
        ("RemoteDisconnected('Remote end closed connection')", False, "+https://"),
        ("something new", False, "something new"),
    ],
)
def test_a_server_that_is_away_is_said_with_the_likely_reason(
    why: str,
    tls: bool,  # noqa: FBT001 - a parameter of the test
    words: str,
) -> None:
    found = unreachable(why, address="opensearch://h:9200/shop", tls=tls)
    assert str(found).startswith("cannot reach opensearch://h:9200/shop")
    assert words in str(found)


def test_servers_say_what_they_are() -> None:
    assert product_of({"version": {"number": "8.19.3", "build_flavor": "default"}}) == (
        "elasticsearch",
        "8.19.3",
    )
    assert product_of({"version": {"distribution": "opensearch", "number": "2.19.1"}}) == (
        "opensearch",
        "2.19.1",
    )
    assert product_of({"nodes": {"x": {"version": "9.2.0"}}}) == ("elasticsearch", "9.2.0")
    assert product_of("<html>") == ("", "")
    assert product_of({"hello": 1}) == ("", "")
