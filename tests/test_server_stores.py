"""The stores on real servers: the contract, and what is particular to them."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from contracts.server import ServerContract, an_address, bound, opened, removed
from contracts.store import an_item, random_rows, rows, small
from lookalike.analysis import neighbours
from lookalike.collection import Collection
from lookalike.core.filters import parse
from lookalike.core.keywords import match
from lookalike.core.vectors import unit_rows
from lookalike.encoders import OnnxEncoder
from lookalike.errors import (
    CollectionError,
    CollectionFormatError,
    CollectionNotFoundError,
    StoreReadOnlyError,
)
from lookalike.indexing import pipeline as indexing
from lookalike.indexing.fitting import EncoderBinding
from lookalike.indexing.folder_indexing import index_folder
from lookalike.stores.servers.addresses import ServerAddress
from lookalike.stores.servers.server import Response, Wire
from lookalike.stores.servers.store import ServerStore

pytestmark = pytest.mark.engines


class TestElasticsearch(ServerContract):
    @pytest.fixture
    def address(self, elasticsearch_url: str) -> ServerAddress:
        return an_address("elasticsearch", elasticsearch_url)


class TestOpenSearch(ServerContract):
    @pytest.fixture
    def address(self, opensearch_url: str) -> ServerAddress:
        return an_address("opensearch", opensearch_url)


@pytest.fixture(params=["elasticsearch", "opensearch"])
def place(request: pytest.FixtureRequest) -> Callable[[str], ServerAddress]:
    """Answers addresses of collections that are not there yet, given their options."""
    url = request.getfixturevalue(f"{request.param}_url")

    def address(options: str) -> ServerAddress:
        return an_address(request.param, url, options)

    return address


@contextmanager
def begun(address: ServerAddress, dim: int = 8) -> Iterator[ServerStore]:
    store = bound(address, dim)
    with removing(store):
        yield store


@contextmanager
def removing(store: ServerStore) -> Iterator[None]:
    try:
        yield
    finally:
        removed(store)


class Listening:
    """A wire that writes down what is asked for."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self.asked: list[str] = []

    def request(self, method: str, path: str, *, body: bytes | None, lines: bool) -> Response:
        self.asked.append(f"{method} {path.partition('?')[0]}")
        return self._wire.request(method, path, body=body, lines=lines)

    def close(self) -> None:
        self._wire.close()


@contextmanager
def heard(store: ServerStore) -> Iterator[list[str]]:
    """The requests to the server, as they are made."""
    wire = store.server._wire
    listening = Listening(wire)
    store.server._wire = listening
    try:
        yield listening.asked
    finally:
        store.server._wire = wire


def wide_rows(
    count: int, dim: int, seed: int = 0
) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    return unit_rows(np.random.default_rng(seed).normal(size=(count, dim)))


@pytest.mark.parametrize("vectors", ["int8_hnsw", "hnsw", "flat"])
def test_however_vectors_are_indexed_scores_are_true_and_the_nearest_found(
    place: Callable[[str], ServerAddress], vectors: str
) -> None:
    with begun(place(f"?vectors={vectors}"), dim=64) as store:
        items = [an_item(f"{number:03}", label=str(number % 5)) for number in range(300)]
        stored = wide_rows(300, 64)
        store.items.upsert(items, stored)
        queries = wide_rows(5, 64, seed=1)
        for where, among in ((None, range(300)), (parse("label=3"), range(3, 300, 5))):
            exact = store.search.nearest(queries, k=10, exact=True, where=where)
            for query, hits in zip(queries, exact, strict=True):
                scores = np.sort([stored[one] @ query for one in among])[::-1][:10]
                np.testing.assert_allclose([hit.score for hit in hits], scores, atol=1e-3)
            near = store.search.nearest(queries, k=10, where=where)
            same = [
                len({*map(str, one)} & {*map(str, two)})
                for one, two in zip(near, exact, strict=True)
            ]
            assert np.mean(same) >= 9
        assert store.facts()["vectors"] == vectors


def test_elasticsearch_searches_by_bits_and_rescores(elasticsearch_url: str) -> None:
    address = an_address("elasticsearch", elasticsearch_url, "?vectors=bbq_hnsw&oversample=4")
    with begun(address, dim=64) as store:
        store.items.upsert([an_item(f"{number:03}") for number in range(300)], wide_rows(300, 64))
        (exact,) = store.search.nearest(wide_rows(1, 64, seed=1), k=10, exact=True)
        (near,) = store.search.nearest(wide_rows(1, 64, seed=1), k=10)
        assert len({hit.item.id for hit in near} & {hit.item.id for hit in exact}) >= 8
        assert all(
            hit.score == pytest.approx(1.0)
            for (hit,) in store.search.nearest(store.items.vectors(["000"]), k=1)
        )


def test_vectors_that_are_too_short_for_bits_bind_nothing(elasticsearch_url: str) -> None:
    store = opened(an_address("elasticsearch", elasticsearch_url, "?vectors=bbq_hnsw"), create=True)
    with pytest.raises(CollectionError, match="64 values or more"):
        store.bind(encoder="tiny", fingerprint="tiny-1", dim=8)
    assert store.bound() is None
    removed(store)


def test_vectors_of_vgg16_fit(place: Callable[[str], ServerAddress]) -> None:
    with begun(place(""), dim=4096) as store:
        stored = wide_rows(3, 4096)
        store.items.upsert([an_item("a"), an_item("b"), an_item("c")], stored)
        (hits,) = store.search.nearest(stored[1:2], k=1)
        assert hits[0].item.id == "b"
        assert hits[0].score == pytest.approx(1.0, abs=1e-3)


def test_vectors_that_are_too_long_are_refused_before_they_are_made(
    place: Callable[[str], ServerAddress],
) -> None:
    address = place("")
    store = opened(address, create=True)
    with pytest.raises(CollectionError, match=r"takes (4,096|16,000) at most"):
        store.bind(encoder="vast", fingerprint="vast-1", dim=20_000)
    assert store.bound() is None
    removed(store)


def test_in_several_shards_counts_are_exact_and_order_holds(
    place: Callable[[str], ServerAddress],
) -> None:
    with begun(place("?shards=3")) as store:
        # of each value another number of items, so that every shard has other favourites
        values = [value for value in range(40) for _ in range(1 + value % 7)]
        items = [
            an_item(
                f"{number:03}", label=f"v{value:02}", digest=f"{value:064x}", metadata={"v": value}
            )
            for number, value in enumerate(values)
        ]
        store.items.upsert(items, random_rows(len(items)))
        expected = sorted(
            ((values.count(value), value) for value in set(values)),
            key=lambda one: (-one[0], one[1]),
        )
        assert store.search.facets("v", limit=9) == [
            (value, count) for count, value in expected[:9]
        ]
        assert store.search.facets("label", limit=3) == [
            (f"v{value:02}", count) for count, value in expected[:3]
        ]
        assert store.search.distinct("v") == store.search.distinct("label") == 40
        assert [item.id for item in store.items.scan()] == [item.id for item in items]
        assert [
            hit.item.id for hit in store.search.nearest(store.items.vectors(["007"]), k=1)[0]
        ] == ["007"]
        assert len(store.search.nearest(random_rows(1), k=150)[0]) == 150
        firsts = {f"{value:064x}": f"{values.index(value):03}" for value in range(40)}
        assert store.items.with_digest([*firsts, "ff" * 32]) == firsts


def test_a_collection_is_not_begun_by_looking_for_it(place: Callable[[str], ServerAddress]) -> None:
    address = place("")
    with pytest.raises(CollectionNotFoundError, match=address.name):
        opened(address)
    with begun(address) as store:
        opened(address).close()
        assert store.server.ask("GET", f"/{address.name}/_count").body["count"] == 0


def test_an_index_of_others_is_not_written(place: Callable[[str], ServerAddress]) -> None:
    address = place("")
    with begun(place("")) as store:
        store.server.ask("PUT", f"/{address.name}", {"mappings": {}})
        with pytest.raises(CollectionFormatError, match="did not make"):
            opened(address, create=True)
        store.server.ask("DELETE", f"/{address.name}")


def test_a_collection_that_may_only_be_read_says_so_and_answers(
    place: Callable[[str], ServerAddress],
) -> None:
    with begun(place("")) as store:
        store.items.upsert([an_item("a")], rows((1, 0)))
        path = f"/{store.address.name},{store.address.name}.lookalike/_settings"
        store.server.ask("PUT", path, {"index.blocks.write": True})
        with pytest.raises(StoreReadOnlyError, match="read but not written"):
            store.items.upsert([an_item("b")], rows((0, 1)))
        with pytest.raises(StoreReadOnlyError):
            store.items.delete(["a"])
        assert [hit.item.id for hit in store.search.nearest(rows((1, 0)), k=2)[0]] == ["a"]
        assert [part.ids for part in store.neighbours.keyed()] == [["a"]]
        store.server.ask("PUT", path, {"index.blocks.write": False})
        store.items.upsert([an_item("b")], rows((0, 1)))
        assert store.search.count() == 2


def test_check_finds_what_lost_its_other_half(
    place: Callable[[str], ServerAddress],
) -> None:
    with begun(place("")) as store:
        store.items.upsert([an_item("a"), an_item("b")], rows((1, 0), (0, 1)))
        name = store.address.name
        bare = {"id": "c", "key": 99, "root": "", "path": "", "metadata": "{}", "digest": ""}
        store.server.ask("PUT", f"/{name}/_doc/c?refresh=true", bare)
        row = {"kind": "neighbours", "key": 98, "mark": 98, "k": 1, "exact": True, "entries": ""}
        store.server.ask("PUT", f"/{name}.lookalike/_doc/x?refresh=true", row)
        assert store.check()[:2] == [
            "1 item lacks fields (c)",
            "1 item has no usable vector (c)",
        ]
        assert store.check()[-1] == "1 list of neighbours has no item (x)"
        assert store.check(repair=True)[-1].endswith("; removed")
        assert store.check() == [
            "1 item waits (c) for the next `lookalike index` to be encoded again"
        ]
        assert [item.id for item in store.items.scan()] == ["a", "b", "c"]


def test_nothing_of_a_walk_stays_open(place: Callable[[str], ServerAddress]) -> None:
    with begun(place("")) as store:
        store.items.upsert([an_item(f"{number}") for number in range(5)], random_rows(5))
        walks = [store.items.scan() for _ in range(3)]
        for walk in walks:
            next(walk)
        before = contexts(store)
        for walk in walks:
            walk.close()  # type: ignore[attr-defined]  # a generator
        assert before - contexts(store) == 3


def contexts(store: ServerStore) -> int:
    """Searches that the server holds open on the collection."""
    told = store.server.ask("GET", f"/{store.address.name}/_stats/search").body
    count: int = told["_all"]["total"]["search"]["open_contexts"]
    return count


def test_a_search_is_one_request(place: Callable[[str], ServerAddress]) -> None:
    with begun(place("")) as store:
        items = [an_item(f"{number:02}", label=f"{number % 2}") for number in range(60)]
        store.items.upsert(items, random_rows(60))
        store.bound()
        for queries, k, where in (
            (1, 10, None),
            (1, 10, parse("label=1")),
            (1, 60, None),
            (7, 10, None),
        ):
            with heard(store) as asked:
                found = store.search.nearest(random_rows(queries), k=k, where=where)
            assert [len(hits) for hits in found] == [k] * queries
            assert len(asked) == 1, asked


def test_a_neighbour_list_is_read_with_two_requests_and_its_absence_with_one(
    place: Callable[[str], ServerAddress], tiny: OnnxEncoder
) -> None:
    with begun(place("")) as store:
        store.items.upsert([an_item(f"{number:02}") for number in range(30)], random_rows(30))
        with heard(store) as asked:
            assert store.neighbours.get("00", k=5) is None
        assert len(asked) == 1, asked
        neighbours.build(Collection(store, lambda _: tiny), k=20)
        with heard(store) as asked:
            listed = store.neighbours.get("00", k=5)
        assert len(asked) == 2, asked
        assert listed is not None
        assert listed.hits == store.search.nearest(store.items.vectors(["00"]), k=6)[0][1:]


def test_indexing_asks_by_the_batch_not_by_the_picture(
    *,
    place: Callable[[str], ServerAddress],
    tiny: OnnxEncoder,
    tmp_path: Path,
    paint: Callable[[Path, int], Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(indexing, "BATCH", 20)
    folder = tmp_path / "pictures"
    for number in range(60):
        paint(folder / f"{number}.png", number)
    store = opened(place(""), create=True)
    with removing(store):
        store.bind(encoder=tiny.name, fingerprint=tiny.fingerprint, dim=tiny.dim)
        for known in (0, 60):
            bind = EncoderBinding(store=store, open_encoder=lambda: tiny)
            with heard(store) as asked:
                report = index_folder(store, bind, folder)
            assert (report.indexed, report.reused) == (60 - known, known)
            # Whether the vectors' field is there. A walk each over stamps and skips, with its
            # beginning and end; twice whether thumbnails are kept, three times whether regions are,
            # twice which tables beside the items have rows, and what earlier runs could not use.
            # For a batch: which are known, copies, whether it is still this
            # collection, keys (twice), the items, the floor. With copies in a batch also their
            # vectors, their items and the journal of what arrived. What arrived may have moved
            # here: the journal's mapping (twice), its rows, the items, the roots, a walk over
            # copies elsewhere, and the journal is emptied.
            most = 15 + 3 * 7 if not known else 15 + 3 * 10 + 9
            assert len(asked) <= most, asked
            shutil.copytree(folder, folder / "copies", dirs_exist_ok=True)


def test_thumbnails_lie_beside_the_items_and_never_in_their_documents(
    place: Callable[[str], ServerAddress],
) -> None:
    with begun(place("")) as store:
        store.items.upsert([an_item("a"), an_item("b")], random_rows(2), [small(b"1"), None])
        ask = store.server.ask
        (mapping,) = ask("GET", f"/{store.index}/_mapping").body.values()
        assert "jpeg" not in mapping["mappings"]["properties"]
        (mapping,) = ask("GET", f"/{store.index}.lookalike/_mapping").body.values()
        assert mapping["mappings"]["properties"]["jpeg"] == {"type": "binary"}
        document = ask("GET", f"/{store.index}/_doc/a").body["_source"]
        assert document.keys() == ask("GET", f"/{store.index}/_doc/b").body["_source"].keys()


def test_thumbnails_that_outlived_their_item_are_not_shown_and_mended(
    place: Callable[[str], ServerAddress],
) -> None:
    """As a lookalike that knows of no thumbnails leaves them."""
    with begun(place("")) as store:
        items = [an_item("a"), an_item("b"), an_item("c")]
        store.items.upsert(items, random_rows(3), [small(b"1"), small(b"2"), small(b"3")])
        ask = store.server.ask
        ask("DELETE", f"/{store.index}/_doc/a?refresh=true")
        newer = ask("GET", f"/{store.index}/_doc/b").body["_source"] | {"key": 99}
        ask("PUT", f"/{store.index}/_doc/b?refresh=true", newer)
        assert store.thumbnails.get(["a", "b", "c"]) == {"c": small(b"3")}
        assert "2 thumbnails have no item" in str(store.check())
        store.check(repair=True)
        assert store.thumbnails.state().items == 1


def test_an_index_from_before_keyword_search_says_so_and_is_mended(
    place: Callable[[str], ServerAddress],
) -> None:
    with begun(place("")) as store:
        ask, name = store.server.ask, store.address.name
        store.items.upsert([an_item("a", label="mug"), an_item("b", label="mug")], random_rows(2))
        (whole,) = ask("GET", f"/{name}/_mapping").body.values()
        documents = [ask("GET", f"/{name}/_doc/{one}").body["_source"] for one in ("a", "b")]
        settings = {"index": store.dialect.index_settings("hnsw")}
        for field in ("words", "label_words"):
            del whole["mappings"]["properties"][field]
        ask("DELETE", f"/{name}")
        ask("PUT", f"/{name}", {"mappings": whole["mappings"], "settings": settings})
        for one in documents:
            bare = {key: value for key, value in one.items() if "words" not in key}
            ask("PUT", f"/{name}/_doc/{one['id']}?refresh=true", bare)
        older = opened(store.address)
        assert match(older.keywords, "mug", k=3).lacking == 2
        assert match(older.keywords, "mug", k=3).hits == []
        older.items.upsert([an_item("c", label="mug")], random_rows(1))
        matches = match(older.keywords, "mug", k=3)
        assert ([hit.item.id for hit in matches.hits], matches.lacking) == (["c"], 2)
        # Elasticsearch from 9.2 on shows no vectors, so that the copies lack theirs, too.
        assert older.check()[-1] == "2 items are not found by their words (a, b)"
        assert (
            older.check(repair=True)[-1] == "2 items are not found by their words (a, b); repaired"
        )
        assert older.check() == []
        matches = match(older.keywords, "mug", k=3)
        assert ([hit.item.id for hit in matches.hits], matches.lacking) == (["a", "b", "c"], 0)
        older.close()


def test_a_search_for_words_is_two_requests(place: Callable[[str], ServerAddress]) -> None:
    with begun(place("")) as store:
        store.items.upsert([an_item("a", label="red mug"), an_item("b")], random_rows(2))
        with heard(store) as asked:
            assert [hit.item.id for hit in match(store.keywords, "red mugs", k=3).hits] == ["a"]
        assert len(asked) == 2, asked
