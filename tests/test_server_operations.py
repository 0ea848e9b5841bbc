"""What the owners of a cluster do to an index, and that nothing is lost by it.

Each operation is one of a real server. Where the server at hand does not have it (the Elasticsearch
of the tests has neither `_update_by_query` nor `_reindex`, nor scripts), the test is skipped there.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from contracts.server import an_address, bound, opened, removed
from contracts.store import an_item, random_rows, small
from lookalike.analysis import neighbours
from lookalike.collection import Collection
from lookalike.core.filters import parse
from lookalike.core.records import Item, Json
from lookalike.encoders import OnnxEncoder
from lookalike.errors import CollectionFormatError, LookalikeError, StoreDamagedError, StoreError
from lookalike.indexing.fitting import EncoderBinding
from lookalike.indexing.folder_indexing import index_folder
from lookalike.stores.servers import mappings
from lookalike.stores.servers.addresses import ServerAddress
from lookalike.stores.servers.documents import document, half_of
from lookalike.stores.servers.store import ServerStore

pytestmark = pytest.mark.engines

DIM = 8
COUNT = 30


@pytest.fixture(params=["elasticsearch", "opensearch"])
def address(request: pytest.FixtureRequest) -> ServerAddress:
    url = request.getfixturevalue(f"{request.param}_url")
    return an_address(request.param, url, "?replicas=0")


@pytest.fixture
def shop(address: ServerAddress) -> Iterator[ServerStore]:
    store = filled(bound(address, DIM))
    yield store
    removed(store)


def filled(store: ServerStore) -> ServerStore:
    items = [
        an_item(
            f"{number:02}",
            label=f"c{number % 3}",
            digest=f"{number:064x}",
            metadata={"price": number, "tags": ["new", str(number % 4)]},
        )
        for number in range(COUNT)
    ]
    store.items.upsert(items, random_rows(COUNT), [small(b"1")] * COUNT)
    return store


def told(store: ServerStore) -> dict[str, Any]:
    """What a collection answers to everything."""
    where = parse("price>=10 and tags=new and label=c1")
    return {
        "items": list(store.items.scan()),
        "count": [store.search.count(), store.search.count(where)],
        "search": store.search.nearest(random_rows(3, seed=5), k=7),
        "filtered": store.search.nearest(random_rows(3, seed=5), k=7, where=where),
        "exact": store.search.nearest(random_rows(3, seed=5), k=7, exact=True),
        "similar": store.search.nearest(store.items.vectors(["07"]), k=3),
        "facets": [
            store.search.facets("tags"),
            store.search.facets("label"),
            store.search.distinct("price"),
        ],
        "fields": store.search.fields(),
        "rows": store.items.rows([f"{number:02}" for number in range(COUNT)]).tolist(),
        "thumbnails": store.thumbnails.get(["03", "04"]),
        "stamps": store.items.stamps(""),
    }


def ask(store: ServerStore, method: str, path: str, body: dict[str, Any] | None = None) -> Any:  # noqa: ANN401 - JSON
    return store.server.ask(method, path, body).body


def needs(store: ServerStore, api: str) -> None:
    if store.dialect.kind == "elasticsearch":
        pytest.skip(f"the Elasticsearch of the tests has no {api}")


@contextmanager
def unwritten(store: ServerStore, *indexes: str) -> Iterator[None]:
    for one in indexes:
        ask(store, "PUT", f"/{one}/_block/write")
    yield
    for one in indexes:
        ask(store, "PUT", f"/{one}/_settings", {"index.blocks.write": None})


def elsewhere(store: ServerStore, index: str) -> ServerStore:
    return opened(replace(store.address, name=index))


def dropped(store: ServerStore, *indexes: str) -> None:
    for one in indexes:
        store.server.ask("DELETE", f"/{one}", allow=(404,))


# -- what changes documents ----------------------------------------------------------------


def test_a_field_of_their_own_changes_no_answer(shop: ServerStore) -> None:
    before = told(shop)
    for number in range(COUNT):
        doc = {"stock": number, "warehouse": {"city": "Ghent", "shelf": [1, 2]}}
        ask(shop, "POST", f"/{shop.index}/_update/{number:02}?refresh=true", {"doc": doc})
    assert told(shop) == before
    assert shop.check() == []


def test_their_fields_survive_whatever_we_write(shop: ServerStore) -> None:
    own = {"stock": 5, "supplier": {"name": "x"}}
    ask(shop, "POST", f"/{shop.index}/_update/07?refresh=true", {"doc": own})

    def kept() -> bool:
        source = ask(shop, "GET", f"/{shop.index}/_doc/07")["_source"]
        return bool(own.items() <= source.items())

    item = shop.items.get(["07"])["07"]
    shop.items.update([replace(item, label="other", metadata={"price": 1})])
    assert kept()
    (changed,) = shop.items.scan(parse("price=1 and label=other"))
    assert changed.id == "07"
    shop.items.upsert([replace(item, digest="ab" * 32)], random_rows(1, seed=9))  # encoded again
    assert kept()
    assert shop.search.nearest(random_rows(1, seed=9), k=1)[0][0].item.digest == "ab" * 32
    assert shop.thumbnails.get(["07"]) == {}
    assert shop.check() == []
    shop.items.upsert([item, an_item("new")], random_rows(2, seed=3))
    assert kept()
    assert shop.search.count() == COUNT + 1


def test_their_fields_can_be_mapped_and_searched(shop: ServerStore) -> None:
    ask(shop, "PUT", f"/{shop.index}/_mapping", {"properties": {"stock": {"type": "integer"}}})
    ask(shop, "POST", f"/{shop.index}/_update/07?refresh=true", {"doc": {"stock": 5}})
    found = ask(shop, "POST", f"/{shop.index}/_search", {"query": {"term": {"stock": 5}}})
    assert [hit["_id"] for hit in found["hits"]["hits"]] == ["07"]
    again = opened(shop.address)
    again.items.upsert([an_item("more")], random_rows(1, seed=4))
    assert again.check() == []
    again.close()


def test_updates_by_query_and_by_script_change_no_answer(shop: ServerStore) -> None:
    needs(shop, "_update_by_query")
    before = told(shop)
    path = f"/{shop.index}/_update_by_query?refresh=true"
    ask(shop, "POST", path)
    script = {"source": "ctx._source.stock = 3", "lang": "painless"}
    ask(shop, "POST", path, {"script": script})
    ask(shop, "POST", f"/{shop.index}/_update/03?refresh=true", {"script": script})
    assert told(shop) == before
    assert shop.check() == []


# -- what copies indexes -------------------------------------------------------------------


def copied_by_reindex(store: ServerStore, target: str) -> None:
    for here, there in (
        (store.index, target),
        (mappings.beside_name(store.index), mappings.beside_name(target)),
    ):
        (made,) = ask(store, "GET", f"/{here}").values()
        settings = {
            name: value
            for name, value in made["settings"]["index"].items()
            if name in ("knn", "number_of_shards", "number_of_replicas")
        }
        ask(store, "PUT", f"/{there}", {"settings": settings, "mappings": made["mappings"]})
        body = {"source": {"index": here}, "dest": {"index": there}}
        ask(store, "POST", "/_reindex?refresh=true", body)


def test_a_reindex_into_an_index_with_this_mapping_is_the_same_collection(
    shop: ServerStore,
) -> None:
    needs(shop, "_reindex")
    before, target = told(shop), f"{shop.index}-v2"
    ask(shop, "POST", f"/{shop.index}/_update/07?refresh=true", {"doc": {"stock": 5}})
    copied_by_reindex(shop, target)
    other = elsewhere(shop, target)
    try:
        assert told(other) == before
        assert other.check() == []
        assert ask(shop, "GET", f"/{target}/_doc/07")["_source"]["stock"] == 5
        # the old name, now an alias
        dropped(shop, shop.index, mappings.beside_name(shop.index))
        add = {"add": {"index": target, "alias": shop.index}}
        ask(shop, "POST", "/_aliases", {"actions": [add]})
        again = opened(shop.address)
        assert told(again) == before
        again.items.upsert([an_item("more")], random_rows(1, seed=4))
        assert again.search.count() == COUNT + 1
        again.close()
    finally:
        other.close()
        dropped(shop, target, mappings.beside_name(target))


def test_a_copy_by_a_program_that_reads_sources_is_mended(shop: ServerStore) -> None:
    """As scrolling tools do, to which Elasticsearch shows no vectors from 9.2 on."""
    before, target = told(shop), f"{shop.index}-v2"
    for here, there in (
        (shop.index, target),
        (mappings.beside_name(shop.index), mappings.beside_name(target)),
    ):
        (made,) = ask(shop, "GET", f"/{here}").values()
        knn = {"knn": True} if "knn" in made["settings"]["index"] else {}
        body = {"settings": {"number_of_replicas": 0, **knn}, "mappings": made["mappings"]}
        ask(shop, "PUT", f"/{there}", body)
        found = ask(shop, "POST", f"/{here}/_search", {"size": 1000})
        for hit in found["hits"]["hits"]:
            ask(shop, "PUT", f"/{there}/_doc/{quoted(hit['_id'])}", hit["_source"])
        ask(shop, "POST", f"/{there}/_refresh")
    other = elsewhere(shop, target)
    try:
        other.check(repair=True)
        assert other.check() == []
        assert told(other) == before
    finally:
        other.close()
        dropped(shop, target, mappings.beside_name(target))


def quoted(text: str) -> str:
    from urllib.parse import quote  # noqa: PLC0415 - here alone

    return quote(text, safe="")


def test_a_copy_into_an_index_of_no_mapping_is_told_from_a_strange_one(shop: ServerStore) -> None:
    target = f"{shop.index}-v2"
    source = ask(shop, "GET", f"/{shop.index}/_doc/07")["_source"]
    ask(shop, "PUT", f"/{target}/_doc/07?refresh=true", source)
    try:
        with pytest.raises(CollectionFormatError, match="not the mapping of a collection"):
            elsewhere(shop, target)
    finally:
        dropped(shop, target)


@pytest.mark.parametrize(("how", "shards"), [("clone", 1), ("split", 2), ("shrink", 1)])
def test_a_resized_index_is_the_same_collection(
    address: ServerAddress, how: str, shards: int
) -> None:
    shop = filled(bound(replace(address, shards=2 if how == "shrink" else 1), DIM))
    before, target = told(shop), f"{shop.index}-v2"
    beside = mappings.beside_name
    try:
        with unwritten(shop, shop.index, beside(shop.index)):
            body = {"settings": {"index.number_of_shards": shards, "index.blocks.write": None}}
            ask(shop, "PUT", f"/{shop.index}/_{how}/{target}?wait_for_active_shards=1", body)
            path = f"/{beside(shop.index)}/_clone/{beside(target)}?wait_for_active_shards=1"
            ask(shop, "PUT", path, {"settings": {"index.blocks.write": None}})
        other = elsewhere(shop, target)
        assert told(other) == before
        other.items.upsert([an_item("more")], random_rows(1, seed=4))
        assert other.check() == []
        other.close()
    finally:
        dropped(shop, target, beside(target))
        removed(shop)


def test_an_alias_of_several_indexes_is_refused(shop: ServerStore) -> None:
    second = filled(bound(replace(shop.address, name=f"{shop.address.name}-b"), DIM))
    alias = f"{shop.address.name}-all"
    actions = [{"add": {"index": one.index, "alias": alias}} for one in (shop, second)]
    ask(shop, "POST", "/_aliases", {"actions": actions})
    with pytest.raises(CollectionFormatError, match="an alias of 2 indexes"):
        elsewhere(shop, alias)
    removed(second)


def test_a_closed_index_says_so_and_loses_nothing(shop: ServerStore) -> None:
    before = told(shop)
    ask(shop, "POST", f"/{shop.index}/_close")
    for attempt in (
        lambda: shop.search.nearest(random_rows(1), k=1),
        shop.search.count,
        lambda: list(shop.items.scan()),
        lambda: shop.items.get(["07"]),
        lambda: shop.items.upsert([an_item("x")], random_rows(1)),
        lambda: shop.items.delete(["07"]),
    ):
        with pytest.raises(StoreError, match=r"is closed; open it"):
            attempt()
    ask(shop, "POST", f"/{shop.index}/_open?wait_for_active_shards=1")
    assert told(shop) == before


def test_a_read_only_index_that_allows_deletes_loses_nothing(shop: ServerStore) -> None:
    before = told(shop)
    path = f"/{shop.index}/_settings"
    ask(shop, "PUT", path, {"index.blocks.read_only_allow_delete": True})
    with pytest.raises(StoreError, match="read-only"):
        shop.items.upsert([an_item("x")], random_rows(1))
    with pytest.raises(StoreError, match="read-only"):
        shop.items.update([replace(next(iter(shop.items.scan())), label="x")])
    assert told(shop) == before
    ask(shop, "PUT", path, {"index.blocks.read_only_allow_delete": None})
    assert told(shop) == before


# -- what doctor finds ---------------------------------------------------------------------


def harm(store: ServerStore, one: str, fields: dict[str, Json]) -> None:
    path = f"/{store.index}/_update/{one}?refresh=true&retry_on_conflict=20"
    ask(store, "POST", path, {"doc": fields})


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"tokens": []}, "1 item is not found by its metadata (07)"),
        ({"tokens": ["price=sWrong"]}, "1 item is not found by its metadata (07)"),
        ({"vector": None}, "1 item is not in the ANN index (07)"),
        (
            {"vector": [1.0, 0, 0, 0, 0, 0, 0, 0]},
            "1 item has another vector in the ANN index (07)",
        ),
        ({"half": None}, "1 item has its vector in the ANN index only (07)"),
        ({"half": "broken!"}, "1 item has its vector in the ANN index only (07)"),
        ({"key": 3}, "1 item shares its key with another"),
        ({"key": 1_000_000}, "the counter of keys stands at 30, and an item has 1,000,000"),
        ({"root": None}, "1 item lacks fields (07)"),
    ],
)
def test_doctor_finds_what_is_inconsistent_and_mends_it(
    shop: ServerStore, fields: dict[str, Json], words: str
) -> None:
    before = told(shop)
    before.pop("thumbnails")  # those of another key are made again
    harm(shop, "07", fields)
    assert any(problem.startswith(words) for problem in shop.check()), shop.check()
    shop.check(repair=True)
    assert shop.check() == []
    after = told(shop)
    after.pop("thumbnails")
    assert after == before
    shop.items.upsert([an_item("more")], random_rows(1, seed=4))
    assert shop.check() == []


@pytest.mark.parametrize("half", [None, "broken!", "AAAA", half_of(np.zeros(DIM, np.float16))])
def test_an_item_whose_vector_is_lost_keeps_its_words_and_is_encoded_again(
    shop: ServerStore, half: str | None
) -> None:
    item = shop.items.get(["07"])["07"]
    harm(shop, "07", {"half": half, "vector": None})
    assert any("no usable vector (07)" in problem for problem in shop.check())
    assert any("marked" in problem for problem in shop.check(repair=True))
    (waiting,) = shop.check()
    assert "07) for the next `lookalike index`" in waiting
    kept = shop.items.get(["07"])["07"]
    assert (kept.label, kept.metadata, kept.stamp) == (item.label, item.metadata, None)
    assert shop.search.count() == COUNT
    assert kept.digest != item.digest
    with pytest.raises(StoreDamagedError, match="has no vector"):
        shop.items.vectors(["07"])
    assert len(shop.search.nearest(random_rows(1), k=COUNT)[0]) == COUNT - 1
    shop.items.upsert([item], random_rows(1))
    assert shop.check() == []


def test_index_encodes_again_what_doctor_has_marked(
    address: ServerAddress, tiny: OnnxEncoder, pictures: Path
) -> None:
    store = opened(address, create=True)
    try:
        store.bind(encoder=tiny.name, fingerprint=tiny.fingerprint, dim=tiny.dim)
        index_folder(store, EncoderBinding(store=store, open_encoder=lambda: tiny), pictures)
        item = store.items.get(["3.png"])["3.png"]
        store.items.update([replace(item, label="mine", metadata={"price": 3})])
        vector = store.items.vectors(["3.png"])
        harm(store, "3.png", {"half": None, "vector": None})
        store.check(repair=True)
        report = index_folder(
            store, EncoderBinding(store=store, open_encoder=lambda: tiny), pictures
        )
        assert (report.indexed, report.unchanged, report.removed) == (1, 8, 0)
        assert store.check() == []
        again = store.items.get(["3.png"])["3.png"]
        assert (again.label, again.metadata) == ("mine", {"price": 3})
        assert again.digest == item.digest
        np.testing.assert_allclose(store.items.vectors(["3.png"]), vector, atol=1e-3)
        assert (
            index_folder(
                store, EncoderBinding(store=store, open_encoder=lambda: tiny), pictures
            ).unchanged
            == 9
        )
    finally:
        removed(store)


def test_metadata_that_cannot_be_read_are_kept_as_text(shop: ServerStore) -> None:
    harm(shop, "07", {"metadata": "not { json"})
    with pytest.raises(StoreDamagedError, match="'07' is incomplete"):
        list(shop.items.scan())
    assert any("not a JSON object (07)" in problem for problem in shop.check(repair=True))
    assert shop.check() == []
    assert shop.items.get(["07"])["07"].metadata == {"unreadable": "not { json"}
    assert [item.id for item in shop.items.scan(parse('unreadable^="not {"'))] == ["07"]


def test_documents_of_others_are_passed_over_reported_and_left(shop: ServerStore) -> None:
    before = told(shop)
    for number in range(3):
        ask(shop, "PUT", f"/{shop.index}/_doc/theirs{number}?refresh=true", {"sku": number})
    assert told(shop) == before
    assert shop.search.count(parse("not label=c1")) == COUNT - COUNT // 3
    shop.check(repair=True)
    (problem,) = shop.check()
    assert problem.startswith("3 documents are not items (theirs")
    assert ask(shop, "GET", f"/{shop.index}/_doc/theirs1")["_source"] == {"sku": 1}


def test_a_document_under_another_key_is_reported_and_left(shop: ServerStore) -> None:
    source = ask(shop, "GET", f"/{shop.index}/_doc/07")["_source"]
    ask(shop, "PUT", f"/{shop.index}/_doc/copy?refresh=true", source)
    assert any("repeats the id" in problem for problem in shop.check())
    shop.check(repair=True)
    assert any("07 as copy" in problem for problem in shop.check())
    assert ask(shop, "GET", f"/{shop.index}/_doc/copy")["found"]


def test_a_field_mapped_otherwise_is_found(address: ServerAddress) -> None:
    store = bound(address, DIM)
    try:
        (made,) = ask(store, "GET", f"/{store.index}/_mapping").values()
        made["mappings"]["properties"]["label"] = {"type": "text"}
        ask(store, "DELETE", f"/{store.index}")
        knn = store.dialect.index_settings("int8_hnsw")
        body = {"settings": {"index": {"number_of_replicas": 0, **knn}}, **made}
        ask(store, "PUT", f"/{store.index}", body)
        (problem,) = opened(store.address).check(repair=True)
        assert "label is text, not keyword" in problem
    finally:
        removed(store)


def test_neighbour_lists_and_thumbnails_follow_what_is_mended(
    shop: ServerStore, tiny: OnnxEncoder
) -> None:
    neighbours.build(Collection(shop, lambda _: tiny), k=5)
    harm(shop, "07", {"key": 3})
    shop.check(repair=True)
    assert shop.check() == []
    near = shop.neighbours.get("07", k=3)
    assert near is None or near.hits == shop.search.nearest(shop.items.vectors(["07"]), k=4)[0][1:]


# -- the index beside ----------------------------------------------------------------------


def test_a_collection_without_the_index_beside_it_says_so_and_is_mended(
    shop: ServerStore,
) -> None:
    before = told(shop)
    dropped(shop, mappings.beside_name(shop.index))
    again = opened(shop.address)
    with pytest.raises(StoreDamagedError, match=r"\.lookalike.* is missing"):
        again.bound()
    with pytest.raises(LookalikeError):
        again.items.upsert([an_item("x")], random_rows(1))
    (problem,) = again.check()
    assert "is missing" in problem
    again.check(repair=True)
    assert again.check() == []
    after = told(again)
    assert after.pop("thumbnails") == {}
    before.pop("thumbnails")
    assert after == before
    again.items.upsert([an_item("more")], random_rows(1, seed=4))
    assert again.check() == []
    again.close()


# -- the first format ----------------------------------------------------------------------


def of_the_first_format(address: ServerAddress, store: ServerStore) -> ServerStore:
    """A collection as the first format had it, with items."""
    made: dict[str, Any] = mappings.items_body(
        vectors="int8_hnsw",
        shards=1,
        replicas=0,
        settings=store.dialect.index_settings("int8_hnsw"),
        begun="0ld",
    )
    made["mappings"] |= {
        "dynamic": "strict",
        "_source": {"excludes": ["vector", "tokens"]},
        "_meta": {
            "lookalike": {"format": 1, "holds": "items", "vectors": "int8_hnsw", "begun": "0ld"}
        },
    }
    made["mappings"]["properties"]["vector"] = store.dialect.vector_field(DIM, "int8_hnsw")
    ask(store, "DELETE", f"/{address.name}")
    ask(store, "PUT", f"/{address.name}", made)
    items = [
        an_item(
            f"{number:02}",
            label=f"c{number % 3}",
            digest=f"{number:064x}",
            metadata={"price": number, "tags": ["new", str(number % 4)]},
        )
        for number in range(COUNT)
    ]
    vectors = random_rows(COUNT).astype("<f2")
    for key, (item, row) in enumerate(zip(items, vectors, strict=True), 1):
        path = f"/{address.name}/_doc/{item.id}"
        ask(store, "PUT", path, document(item, key=key, half=half_of(row)))
    ask(store, "POST", f"/{address.name}/_refresh")
    return opened(address)


@pytest.fixture
def old(address: ServerAddress) -> Iterator[ServerStore]:
    store = filled(bound(address, DIM))
    first = of_the_first_format(address, store)
    store.close()
    yield first
    removed(first)


def test_a_collection_of_the_first_format_answers_and_is_written_as_before(
    old: ServerStore, address: ServerAddress
) -> None:
    fresh = filled(bound(replace(address, name=f"{address.name}-new"), DIM))
    try:
        assert told(old) == told(fresh)
        for store in (old, fresh):
            item = store.items.get(["07"])["07"]
            store.items.update([replace(item, label="other")])
            store.items.upsert([replace(item, id="05"), an_item("x")], random_rows(2, seed=8))
            store.items.delete(["09"])
        for one in ("items", "search", "facets", "filtered", "exact"):
            assert answers(old, one) == answers(fresh, one)
        (problem,) = old.check()
        assert "of the first format" in problem
    finally:
        removed(fresh)


def answers(store: ServerStore, one: str) -> object:
    queries = random_rows(3, seed=5)
    if one == "items":
        return list(store.items.scan())
    if one == "facets":
        return [store.search.facets("tags"), store.search.facets("label")]
    where = parse("price>=10") if one == "filtered" else None
    return store.search.nearest(queries, k=7, where=where, exact=one == "exact")


def test_what_an_update_loses_of_the_first_format_is_found_and_mended_for_good(
    old: ServerStore,
) -> None:
    before = told(old)
    old.server.ask("PUT", f"/{old.index}/_mapping", {"properties": {"stock": {"type": "long"}}})
    harm(old, "07", {"stock": 5})
    assert any("not found by its metadata (07)" in problem for problem in old.check())
    old.check(repair=True)
    again = opened(old.address)
    assert again.check() == []
    assert told(again) == before
    harm(again, "07", {"stock": 6})
    harm(again, "08", {"price_list": [1, 2]})
    assert told(again) == before
    assert again.check() == []
    again.items.upsert([an_item("more")], random_rows(1, seed=4))
    assert ask(again, "GET", f"/{again.index}/_doc/07")["_source"]["stock"] == 6
    again.close()


def test_items_read_from_a_server_know_no_fields_of_others(shop: ServerStore) -> None:
    harm(shop, "07", {"label": "mine", "stock": 4})
    (item,) = shop.items.scan(parse("label=mine"))
    assert isinstance(item, Item)
    assert json.loads(json.dumps(dict(item.metadata))) == {"price": 7, "tags": ["new", "3"]}


def test_two_programs_that_change_one_item_at_once_keep_both_changes(
    shop: ServerStore, run_together: Callable[..., None]
) -> None:
    item = shop.items.get(["07"])["07"]

    def theirs() -> None:
        for number in range(30):
            harm(shop, "07", {"stock": number})

    def ours() -> None:
        other = opened(shop.address)
        for number in range(30):
            other.items.update([replace(item, label=f"l{number}")])
        other.close()

    run_together(theirs, ours)
    source = ask(shop, "GET", f"/{shop.index}/_doc/07")["_source"]
    assert (source["stock"], source["label"]) == (29, "l29")
    assert shop.check() == []


@pytest.fixture
def run_together() -> Callable[..., None]:
    """Run functions at once, and raise what they raise."""
    from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415 - here alone

    def run(*functions: Callable[[], None]) -> None:
        with ThreadPoolExecutor(len(functions)) as pool:
            for one in [pool.submit(function) for function in functions]:
                one.result()

    return run
