"""What every store promises. A store's test module subclasses this with a ``store`` fixture."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from operator import eq, ge, gt, le, lt, ne

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from filter_semantics import meets
from lookalike.core.filters import And, Compare, Condition, Exists, In, Not, Or, Value, parse
from lookalike.core.keywords import KeywordMatches, Term, match
from lookalike.core.protocols import NeighbourLists, Store
from lookalike.core.records import (
    Field,
    Hit,
    Item,
    Json,
    Neighbours,
    SideRow,
    Skipped,
    Stamp,
    Thumbnail,
    ThumbnailState,
)
from lookalike.core.vectors import Matrix, unit_rows
from lookalike.errors import (
    CollectionNotFoundError,
    EncoderMismatchError,
    ItemNotFoundError,
    LookalikeError,
)

DIM = 8
_ORDER = {"=": eq, "!=": ne, "<": lt, "<=": le, ">": gt, ">=": ge}


def an_item(id: str, **changes: object) -> Item:
    item = Item(
        id=id,
        digest=f"{abs(hash(id)):064x}"[-64:],
        width=640,
        height=480,
        path=id,
        stamp=Stamp(size=1000, mtime_ns=1_700_000_000_123_456_789),
    )
    return replace(item, **changes)  # type: ignore[arg-type]


def rows(*values: tuple[float, ...]) -> Matrix:
    padded = [[*row, *[0.0] * (DIM - len(row))] for row in values]
    return unit_rows(np.array(padded, dtype=np.float32))


def random_rows(count: int, seed: int = 0) -> Matrix:
    return unit_rows(np.random.default_rng(seed).normal(size=(count, DIM)))


def small(content: bytes, side: int = 64) -> Thumbnail:
    return Thumbnail(jpeg=b"\xff\xd8" + content, side=side)


VARIED = [
    an_item(f"{number:02d}", label=label, group=group, width=100 * number + 1, metadata=metadata)
    for number, (label, group, metadata) in enumerate(
        [
            ("mug", "p1", {}),
            ("mug", None, {"price": 10, "colour": "Red", "tags": ["new", "sale"]}),
            (None, "p1", {"price": 10.5, "colour": "Navy Blue", "tags": []}),
            ("", "", {"price": "10", "colour": None, "tags": [None]}),
            ("10", "12", {"price": -3, "colour": ["Red", "Blue"], "tags": ["new", 10, True]}),
            ("鞋", "é", {"price": 1e9, "colour": "red", "spec": {"size": 10, "kind": "Red"}}),
            ("true", None, {"price": True, "colour": False, "spec": {"size": [9, 10]}}),
            ("mug", "p2", {"day": "2024-01-31", "colour": {"main": "Red"}, "price": [5, 10]}),
            ("cup", "p2", {"day": "2023-12-01", "price": None, "colour": "", "base colour": "x"}),
        ]
    )
]
_FIELDS_DRAWN = st.sampled_from(
    [
        *("label", "group", "id", "width", "path", "digest", "price", "colour", "tags", "day"),
        *("spec", "spec.size", "spec.kind", "base colour", "nothing", "metadata.price"),
    ]
)
_VALUES_DRAWN = st.sampled_from(
    [
        *map(Value.of, (10, 10.5, -3, 101, 1e9, "10", "Red", "red", "", "mug", "2024-01-31")),
        *map(Value.of, ("鞋", True, False, "true", "new", "p1", "0", "Navy Blue")),
    ]
)
CONDITIONS: st.SearchStrategy[Condition] = st.recursive(
    st.builds(
        Compare,
        _FIELDS_DRAWN,
        st.sampled_from(["=", "!=", "<", "<=", ">", ">=", "^="]),
        _VALUES_DRAWN,
    )
    | st.builds(In, _FIELDS_DRAWN, st.lists(_VALUES_DRAWN, max_size=3).map(tuple))
    | st.builds(Exists, _FIELDS_DRAWN),
    lambda inner: (
        st.builds(Not, inner)
        | st.builds(And, st.lists(inner, min_size=1, max_size=3).map(tuple))
        | st.builds(Or, st.lists(inner, min_size=1, max_size=3).map(tuple))
    ),
    max_leaves=6,
)


_LEAVES: st.SearchStrategy[Json] = st.sampled_from(
    ["", "x", 0, 1, -2.5, True, False, None, [], ["a"], {}]
)
_DOCUMENTS = st.dictionaries(
    st.sampled_from(["price", "tags", "spec", "base colour", "a.b", 'quo"te', ""]),
    _LEAVES | st.dictionaries(st.sampled_from(["size", "kind"]), _LEAVES, min_size=1),
)


def fields_of(documents: list[dict[str, Json]]) -> dict[str, Field]:
    """What ``Store.fields`` means, said the slow way."""
    flat: list[dict[str, Json]] = []
    for document in documents:
        inner = {
            f"{name}.{key}": one
            for name, value in document.items()
            if isinstance(value, dict)
            for key, one in value.items()
        }
        flat.append(document | inner)
    names = {name for document in flat for name in document}
    kinds = {bool: "boolean", int: "integer", float: "number", str: "string", list: "array"}
    kinds |= {dict: "object", type(None): "null"}

    def field(name: str) -> Field:
        values = [document[name] for document in flat if name in document]
        types = [kinds[type(value)] for value in values]
        return Field(
            name=name,
            types={kind: types.count(kind) for kind in types},
            filled=sum(value is not None and value not in ("", [], {}) for value in values),
        )

    return {name: field(name) for name in names}


def together(work: Callable[[Store], None], stores: list[Store]) -> None:
    """Do the work with every store at once; what one raises, this raises."""
    with ThreadPoolExecutor(len(stores)) as pool:
        for result in [pool.submit(work, store) for store in stores]:
            result.result()


def found(store: Store, text: str, where: Condition | None = None) -> list[str]:
    """The ids of the items that have a word of the text, sorted."""
    return sorted(hit.item.id for hit in match(store.keywords, text, k=50, where=where).hits)


class StoreContract:
    """Sentences; ``store`` is a fresh store bound to dim 8, ``again`` opens it a second time."""

    @pytest.fixture
    def store(self) -> Store:
        raise NotImplementedError

    @pytest.fixture
    def again(self) -> Callable[[], Store]:
        raise NotImplementedError

    # -- items and vectors -----------------------------------------------------------------

    def test_an_item_comes_back_as_it_went_in(self, store: Store) -> None:
        item = an_item(
            "Ünïcode/鞋 👟.jpg",
            root="shop",
            label="shoe",
            group="p1",
            metadata={"price": 12.5, "sizes": [40, 41], "note": None, "name": "Schuh"},
        )
        store.items.upsert([item], rows((1, 2, 3)))
        assert store.items.get([item.id]) == {item.id: item}
        np.testing.assert_allclose(store.items.vectors([item.id]), rows((1, 2, 3)), atol=1e-3)

    def test_an_empty_store_answers_every_question(self, store: Store) -> None:
        assert store.search.count() == 0
        assert list(store.items.scan()) == []
        assert store.items.get(["a"]) == {}
        assert store.items.stamps("") == {}
        assert store.skips.below("") == {}
        assert store.search.nearest(rows((1, 0)), k=3) == [[]]
        assert store.search.nearest(rows((1, 0)), k=3, where=parse("label=x")) == [[]]
        assert store.search.facets("label") == []
        assert store.items.delete(["a"]) == 0
        assert store.items.vectors([]).shape == (0, DIM)
        assert not store.check()

    def test_upserting_twice_leaves_one_item_with_the_last_content(self, store: Store) -> None:
        store.items.upsert([an_item("a", label="old")], rows((1, 0)))
        store.items.upsert([an_item("a", label="new")], rows((0, 1)))
        assert store.search.count() == 1
        assert store.items.get(["a"])["a"].label == "new"
        assert store.search.nearest(rows((0, 1)), k=2)[0][0].score == pytest.approx(1, abs=1e-3)

    def test_of_two_items_with_one_id_in_a_batch_the_last_wins(self, store: Store) -> None:
        store.items.upsert([an_item("a", label="1"), an_item("a", label="2")], rows((1, 0), (0, 1)))
        assert store.search.count() == 1
        assert store.items.get(["a"])["a"].label == "2"
        np.testing.assert_allclose(store.items.vectors(["a"]), rows((0, 1)), atol=1e-3)

    def test_inserting_replaces_nothing_and_names_what_was_taken(self, store: Store) -> None:
        store.items.upsert([an_item("a", label="old")], rows((1, 0)), [small(b"old")])
        items = [an_item("a", label="x"), an_item("b", label="1"), an_item("b", label="2")]
        lost = store.items.insert(
            items, rows((0, 1), (0, 1), (1, 1)), [small(b"x"), small(b"b"), None]
        )
        assert lost == {"a", "b"}
        assert {one.id: one.label for one in store.items.scan()} == {"a": "old", "b": "1"}
        np.testing.assert_allclose(store.items.vectors(["a"]), rows((1, 0)), atol=1e-3)
        assert store.thumbnails.get(["a", "b"]) == {"a": small(b"old"), "b": small(b"b")}
        assert store.search.nearest(rows((0, 1)), k=1)[0][0].item.id == "b"
        assert store.items.insert([], random_rows(0)) == set()
        assert not store.check()

    def test_of_many_that_insert_one_id_at_once_one_does(
        self, store: Store, again: Callable[[], Store]
    ) -> None:
        stores = [store, again(), again()]

        def insert(number: int) -> set[str]:
            item = an_item("a", label=str(number))
            return stores[number % 3].items.insert([item], random_rows(1, seed=number))

        with ThreadPoolExecutor(6) as pool:
            lost = list(pool.map(insert, range(12)))
        assert lost.count(set()) == 1
        winner = lost.index(set())
        assert store.items.get(["a"])["a"].label == str(winner)
        np.testing.assert_allclose(
            store.items.vectors(["a"]), random_rows(1, seed=winner), atol=1e-2
        )
        assert not store.check()

    def test_update_changes_what_is_said_and_keeps_the_vector(self, store: Store) -> None:
        store.items.upsert([an_item("a")], rows((1, 2)))
        store.items.update([an_item("a", label="mug", stamp=Stamp(size=1, mtime_ns=2))])
        assert store.items.get(["a"])["a"].label == "mug"
        assert store.items.get(["a"])["a"].stamp == Stamp(size=1, mtime_ns=2)
        np.testing.assert_allclose(store.items.vectors(["a"]), rows((1, 2)), atol=1e-3)

    def test_update_of_something_new_changes_nothing(self, store: Store) -> None:
        store.items.upsert([an_item("a")], rows((1, 0)))
        with pytest.raises(ItemNotFoundError, match="'b'"):
            store.items.update([an_item("a", label="x"), an_item("b")])
        assert store.items.get(["a"])["a"].label is None

    def test_delete_passes_over_what_is_not_there(self, store: Store) -> None:
        store.items.upsert([an_item("a"), an_item("b")], rows((1, 0), (0, 1)))
        assert store.items.delete(["a", "nobody", "a"]) == 1
        assert [item.id for item in store.items.scan()] == ["b"]

    def test_vectors_come_in_the_order_asked_and_may_repeat(self, store: Store) -> None:
        store.items.upsert([an_item("a"), an_item("b")], rows((1, 0), (0, 1)))
        got = store.items.vectors(["b", "a", "b"])
        assert got.dtype == np.float32
        np.testing.assert_allclose(got, rows((0, 1), (1, 0), (0, 1)), atol=1e-3)

    def test_vectors_of_a_missing_item_name_it(self, store: Store) -> None:
        store.items.upsert([an_item("a")], rows((1, 0)))
        with pytest.raises(ItemNotFoundError, match="'nobody'"):
            store.items.vectors(["a", "nobody"])

    def test_vectors_that_are_not_unit_rows_are_refused_whole(self, store: Store) -> None:
        items = [an_item("a"), an_item("b")]
        for bad in (np.zeros, np.ones):
            vectors = rows((1, 0), (0, 1))
            vectors[1] = bad(DIM)
            with pytest.raises(ValueError, match="length 1"):
                store.items.upsert(items, vectors)
        vectors[1] = np.nan
        with pytest.raises(ValueError, match="length 1"):
            store.items.upsert(items, vectors)
        with pytest.raises(ValueError, match="vectors are"):
            store.items.upsert(items, rows((1, 0)))
        assert store.search.count() == 0

    @pytest.mark.parametrize("operator", ["=", "!=", "<", "<=", ">", ">="])
    @pytest.mark.parametrize("place", ["7f", "7f3", "80" * 32, "8", "AB", "zz", ""])
    def test_digests_are_in_the_order_of_their_digits(
        self, store: Store, operator: str, place: str
    ) -> None:
        digests = ["00" * 32, "7e" * 32, "7f" * 32, "7f30" * 16, "80" * 32, "ab" * 32, "ff" * 32]
        items = [an_item(digest, digest=digest) for digest in digests]
        store.items.upsert(items, random_rows(len(items)))
        wanted = [one for one in sorted(digests) if _ORDER[operator](one, place)]
        found = store.items.scan(Compare("digest", operator, Value(place)))
        assert [item.id for item in found] == wanted

    def test_copies_are_found_by_digest(self, store: Store) -> None:
        store.items.upsert([an_item("a", digest="ab" * 32)], rows((1, 0)))
        assert store.items.with_digest(["ab" * 32, "cd" * 32]) == {"ab" * 32: "a"}

    def test_scan_gives_every_item_once_by_id(self, store: Store) -> None:
        ids = [f"{number:04d}" for number in range(300)]
        store.items.upsert([an_item(one) for one in reversed(ids)], random_rows(300))
        assert [item.id for item in store.items.scan()] == ids

    def test_scan_gives_the_first_items_alone_where_only_they_are_wanted(
        self, store: Store
    ) -> None:
        ids = [f"{number:04d}" for number in range(30)]
        labels = ["mug" if number % 3 else "cup" for number in range(30)]
        items = [an_item(one, label=label) for one, label in zip(ids, labels, strict=True)]
        store.items.upsert(items, random_rows(30))
        for limit in (0, 1, 7, 30, 1000, 100_000):
            assert [item.id for item in store.items.scan(limit=limit)] == ids[:limit]
        later = parse('label=cup and id>"0009"')
        assert [item.id for item in store.items.scan(later, limit=2)] == ["0012", "0015"]

    def test_scan_shows_one_moment_whatever_is_written_meanwhile(self, store: Store) -> None:
        store.items.upsert([an_item(str(number)) for number in range(10)], random_rows(10))
        walk = store.items.scan()
        first = next(walk)
        store.items.delete([str(number) for number in range(10)])
        store.items.upsert([an_item("later")], random_rows(1))
        assert {first.id, *(item.id for item in walk)} == {str(number) for number in range(10)}

    def test_an_id_may_be_any_text(self, store: Store) -> None:
        ids = ["鞋 👟", "a/b c?d#e%20f&g=h", "é" * 257, "sha256:x", "_id", "*", "\n", "a\0b"]
        ids += ["x" * 3000, "long " * 200 + "1", "long " * 200 + "2"]
        vectors = random_rows(len(ids))
        store.items.upsert([an_item(one, path="") for one in ids], vectors)
        assert [item.id for item in store.items.scan()] == sorted(ids)
        assert set(store.items.get(ids)) == set(ids)
        np.testing.assert_allclose(store.items.vectors(ids), vectors, atol=1e-3)
        for one, vector in zip(ids, vectors, strict=True):
            assert store.search.nearest(vector[None, :], k=1)[0][0].item.id == one
            assert store.search.count(Compare("id", "=", Value.of(one))) == 1
        assert store.items.delete(ids) == len(ids)
        assert store.search.count() == 0

    def test_what_is_no_text_is_refused_whole(self, store: Store) -> None:
        for item in (
            an_item("\ud800"),
            an_item("a", label="\ud800"),
            an_item("a", metadata={"t": ["\ud800"]}),
        ):
            with pytest.raises(UnicodeEncodeError):
                store.items.upsert([an_item("b"), item], random_rows(2))
        assert store.search.count() == 0

    def test_nothing_to_write_writes_nothing(self, store: Store) -> None:
        store.items.upsert([], random_rows(0))
        store.items.update([])
        store.skips.put("", [])
        store.skips.delete("", [])
        assert store.items.delete([]) == 0
        assert store.items.get([]) == {}
        assert store.items.with_digest([]) == {}
        assert store.search.count() == 0

    # -- thumbnails ------------------------------------------------------------------------

    def test_a_thumbnail_comes_back_as_it_went_in(self, store: Store) -> None:
        every = small(bytes(range(256)) * 40, side=1024)
        ids = ["鞋 👟/é.jpg", "a\0b", "x" * 600]
        store.items.upsert(
            [an_item(one) for one in [*ids, "bare"]],
            random_rows(4),
            [every, small(b""), None, None],
        )
        assert store.thumbnails.get([*ids, "bare", "nobody"]) == {ids[0]: every, ids[1]: small(b"")}
        assert store.thumbnails.sides([*ids, "bare", "nobody"]) == {ids[0]: 1024, ids[1]: 64}
        assert store.thumbnails.state() == ThumbnailState(items=2, bytes=256 * 40 + 2 + 2)
        assert store.check() == []

    def test_many_are_asked_for_the_sides_of_theirs(self, store: Store) -> None:
        ids = [f"{number:04d}é" for number in range(1200)]
        assert store.thumbnails.sides(ids) == {}
        items = [an_item(one) for one in ids[:9]]
        store.items.upsert(items, random_rows(9), [small(b"1", side=32 + n) for n in range(9)])
        store.items.upsert(items[:2], random_rows(2, 1), [small(b"2", side=99), None])
        sides = {ids[0]: 99, **{ids[number]: 32 + number for number in range(2, 9)}}
        assert store.thumbnails.sides(ids) == sides
        assert store.thumbnails.sides(ids[5:]) == {one: sides[one] for one in ids[5:9]}

    def test_an_item_and_its_thumbnail_change_together(self, store: Store) -> None:
        store.items.upsert([an_item("a"), an_item("b")], random_rows(2), [small(b"1"), small(b"1")])
        store.items.upsert([an_item("a"), an_item("b")], random_rows(2, 1), [small(b"2"), None])
        assert store.thumbnails.get(["a", "b"]) == {"a": small(b"2")}
        store.items.upsert([an_item("a")], random_rows(1, 2))
        assert store.thumbnails.get(["a", "b"]) == {}
        assert store.thumbnails.state() == ThumbnailState(items=0, bytes=0)
        assert store.check() == []

    def test_of_two_thumbnails_of_one_id_in_a_batch_the_last_wins(self, store: Store) -> None:
        store.items.upsert([an_item("a"), an_item("a")], random_rows(2), [small(b"1"), small(b"2")])
        assert store.thumbnails.get(["a"]) == {"a": small(b"2")}
        store.items.upsert([an_item("a"), an_item("a")], random_rows(2), [small(b"3"), None])
        assert store.thumbnails.get(["a"]) == {}

    def test_there_is_a_place_for_the_thumbnail_of_each_item(self, store: Store) -> None:
        with pytest.raises(ValueError, match="1 thumbnails for 2 items"):
            store.items.upsert([an_item("a"), an_item("b")], random_rows(2), [small(b"1")])
        assert store.search.count() == 0

    def test_what_is_said_anew_leaves_the_thumbnail(self, store: Store) -> None:
        store.items.upsert([an_item("a")], random_rows(1), [small(b"1")])
        store.items.update([an_item("a", label="mug", metadata={"price": 5}, digest="cd" * 32)])
        assert store.thumbnails.get(["a"]) == {"a": small(b"1")}

    def test_a_thumbnail_goes_with_its_item(self, store: Store) -> None:
        store.items.upsert(
            [an_item("a"), an_item("b")], random_rows(2), [small(b"1"), small(b"22")]
        )
        store.items.delete(["a"])
        assert store.thumbnails.get(["a", "b"]) == {"b": small(b"22")}
        assert store.thumbnails.state() == ThumbnailState(items=1, bytes=4)
        store.items.upsert([an_item("a")], random_rows(1))
        assert store.thumbnails.get(["a"]) == {}

    def test_an_item_is_given_a_thumbnail_later(self, store: Store) -> None:
        items = [an_item("a"), an_item("b"), an_item("gone")]
        store.items.upsert(items, random_rows(3), [None, small(b"1"), None])
        vectors = store.items.vectors(["a", "b"])
        store.items.delete(["gone"])
        thumbnails = [small(b"2"), small(b"3", side=128), small(b"4")]
        assert store.thumbnails.put(items, thumbnails) == 2
        assert store.thumbnails.get(["a", "b", "gone"]) == {"a": thumbnails[0], "b": thumbnails[1]}
        assert list(store.items.scan()) == items[:2]
        np.testing.assert_array_equal(store.items.vectors(["a", "b"]), vectors)
        assert store.thumbnails.put([], []) == 0

    def test_a_thumbnail_of_other_content_is_passed_over(self, store: Store) -> None:
        """Between reading a file and writing its thumbnail somebody may replace the item."""
        before = an_item("a", digest="ab" * 32)
        store.items.upsert([an_item("a", digest="cd" * 32)], random_rows(1))
        assert store.thumbnails.put([before], [small(b"1")]) == 0
        assert store.thumbnails.get(["a"]) == {}

    def test_dropped_thumbnails_are_gone_and_nothing_else(self, store: Store) -> None:
        items = [an_item(f"{number:02}") for number in range(30)]
        store.thumbnails.clear()
        store.items.upsert(items, random_rows(30), [small(b"x" * 5000)] * 30)
        store.thumbnails.clear()
        assert store.thumbnails.get([item.id for item in items]) == {}
        assert store.thumbnails.state() == ThumbnailState(items=0, bytes=0)
        assert list(store.items.scan()) == items
        np.testing.assert_allclose(
            store.items.vectors([item.id for item in items]), random_rows(30), atol=1e-3
        )
        assert store.thumbnails.put(items[:1], [small(b"1")]) == 1

    # -- searching -------------------------------------------------------------------------

    def test_scores_are_cosines_best_first(self, store: Store) -> None:
        store.items.upsert(
            [an_item("same"), an_item("half"), an_item("none"), an_item("opposite")],
            rows((1, 0), (1, 3**0.5), (0, 1), (-1, 0)),
        )
        (hits,) = store.search.nearest(rows((1, 0)), k=10)
        assert [hit.item.id for hit in hits] == ["same", "half", "none", "opposite"]
        assert [hit.score for hit in hits] == pytest.approx([1, 0.5, 0, -1], abs=1e-3)

    def test_equal_scores_come_by_id(self, store: Store) -> None:
        ids = ["c", "a", "d", "b"]
        store.items.upsert([an_item(one) for one in ids], rows(*[(0.3, 0.7, 0.1)] * 4))
        (hits,) = store.search.nearest(rows((1, 1)), k=4)
        assert [hit.item.id for hit in hits] == ["a", "b", "c", "d"]
        assert len({hit.score for hit in hits}) == 1

    def test_exactly_k_answers_come_while_there_are_k(self, store: Store) -> None:
        store.items.upsert([an_item(f"{number}") for number in range(9)], random_rows(9))
        for k in (1, 5, 9, 50, 20_000):
            assert len(store.search.nearest(random_rows(1, seed=1), k=k)[0]) == min(k, 9)

    def test_removed_items_are_no_answers_and_cost_no_places(self, store: Store) -> None:
        store.items.upsert([an_item(f"{number:03d}") for number in range(200)], random_rows(200))
        query = random_rows(1, seed=5)
        store.search.nearest(query, k=1)
        gone = [hit.item.id for hit in store.search.nearest(query, k=100)[0]]
        store.items.delete(gone)
        (hits,) = store.search.nearest(query, k=100)
        assert len(hits) == 100
        assert not {hit.item.id for hit in hits} & set(gone)

    def test_many_queries_at_once_answer_as_one_by_one(self, store: Store) -> None:
        store.items.upsert([an_item(f"{number}") for number in range(50)], random_rows(50))
        queries = random_rows(70, seed=2)
        together = store.search.nearest(queries, k=3)
        for query, hits in zip(queries, together, strict=True):
            assert store.search.nearest(query[None, :], k=3)[0] == hits

    def test_exact_search_equals_plain_arithmetic(self, store: Store) -> None:
        vectors = random_rows(120)
        store.items.upsert([an_item(f"{number:03d}") for number in range(120)], vectors)
        for query in random_rows(10, seed=3):
            (hits,) = store.search.nearest(query[None, :], k=10, exact=True)
            expected = np.sort(vectors @ query)[::-1][:10]
            np.testing.assert_allclose([hit.score for hit in hits], expected, atol=2e-3)

    def test_a_write_is_seen_by_the_next_search(self, store: Store) -> None:
        for number in range(5):
            vector = random_rows(1, seed=number)
            store.items.upsert([an_item(f"{number}")], vector)
            assert store.search.nearest(vector, k=1)[0][0].item.id == f"{number}"

    def test_another_connection_sees_a_write_and_a_removal(
        self, store: Store, again: Callable[[], Store]
    ) -> None:
        other = again()
        store.items.upsert([an_item("a"), an_item("b")], rows((1, 0), (0, 1)))
        assert [hit.item.id for hit in other.search.nearest(rows((1, 0)), k=5)[0]] == ["a", "b"]
        store.items.delete(["a"])
        assert [hit.item.id for hit in other.search.nearest(rows((1, 0)), k=5)[0]] == ["b"]
        assert other.bound() == store.bound()
        other.close()

    def test_asking_for_no_answers_is_an_error(self, store: Store) -> None:
        with pytest.raises(ValueError, match="k is 0"):
            store.search.nearest(rows((1, 0)), k=0)

    def test_a_query_of_the_wrong_length_is_an_error(self, store: Store) -> None:
        store.items.upsert([an_item("a")], rows((1, 0)))
        with pytest.raises(ValueError, match="queries are"):
            store.search.nearest(unit_rows(np.ones((1, DIM + 1))), k=1)

    # -- keywords --------------------------------------------------------------------------

    def test_items_are_found_by_the_words_of_all_that_is_said_of_them(self, store: Store) -> None:
        said = [
            an_item("a", label="Flip Flops"),
            an_item("b", group="set-7"),
            an_item("c", path="men/sandals/Beach_Walk.jpg"),
            an_item("vendor:wedge 12.png", path=""),
            an_item(
                "d", metadata={"note": {"long": ["Crêpe sole", {"x": "rubber"}]}, "year": 2011}
            ),
            an_item("e", metadata={"price": 12.5, "new": True, "none": None}),
        ]
        store.items.upsert(said, random_rows(len(said)))
        for text, ids in {
            "flip": ["a"],
            "FLOP": ["a"],
            "set-7": ["b"],
            "sandal": ["c"],
            "beachwalk": [],
            "walk": ["c"],
            "wedges": ["vendor:wedge 12.png"],
            "crepe": ["d"],
            "rubber": ["d"],
            "2011": ["d"],
            "jpg": [],
            "note": [],
            "true": [],
            "12": ["vendor:wedge 12.png"],
        }.items():
            assert found(store, text) == ids, text

    def test_items_with_more_of_the_words_come_first_and_rare_words_count_more(
        self, store: Store
    ) -> None:
        items = [
            *(an_item(f"bag {number}", metadata={"colour": "red"}) for number in range(8)),
            an_item("x1", metadata={"colour": "red", "kind": "satchel"}),
            an_item("x2", metadata={"kind": "satchel"}),
            an_item("x3", metadata={"colour": "red"}),
        ]
        store.items.upsert(items, random_rows(len(items)))
        matches = match(store.keywords, "Red satchels, please", k=4)
        assert [hit.item.id for hit in matches.hits] == ["x1", "x2", "bag 0", "bag 1"]
        shares = [hit.share for hit in matches.hits]
        assert 1 > shares[0] > shares[1] > shares[2] == shares[3] > 0
        assert matches.unknown == ("please",)
        assert match(store.keywords, "satchel red", k=1).hits[0].share == 1

    def test_items_whose_label_has_the_word_come_before_others(self, store: Store) -> None:
        items = [
            an_item("a", metadata={"text": "goes with every shoe"}),
            an_item("b", label="Casual Shoes"),
            an_item("c", group="shoe"),
        ]
        store.items.upsert(items, random_rows(3))
        hits = match(store.keywords, "shoes", k=5).hits
        assert [(hit.item.id, hit.share) for hit in hits] == [("b", 1), ("a", 1), ("c", 1)]

    def test_a_word_that_no_item_has_is_the_beginning_of_words(self, store: Store) -> None:
        items = [an_item("a", label="bandana"), an_item("b", label="band"), an_item("c")]
        store.items.upsert(items, random_rows(3))
        assert found(store, "band") == ["b"]
        assert found(store, "bandan") == ["a"]
        assert match(store.keywords, "bandan", k=1).beginnings == ("bandan",)
        assert found(store, "band*") == ["a", "b"]
        assert found(store, "ba") == []
        assert found(store, "ba*") == ["a", "b"]

    def test_words_are_searched_among_the_items_that_meet_a_filter(self, store: Store) -> None:
        store.items.upsert(VARIED, random_rows(len(VARIED)))
        assert found(store, "mug", where=parse("group=p1")) == ["00"]
        assert found(store, "red", where=parse("label=mug and not group=p2")) == ["01"]
        assert found(store, "red", where=parse("label=nothing")) == []
        # what a word counts is the same with a filter
        hits = match(store.keywords, "mug red", k=9).hits
        among = match(store.keywords, "mug red", k=9, where=parse("label=mug")).hits
        assert among == [hit for hit in hits if hit.item.label == "mug"]

    def test_the_words_of_an_item_change_with_it(self, store: Store) -> None:
        store.items.upsert([an_item("a", label="mug"), an_item("b", label="mug")], random_rows(2))
        store.items.update([an_item("a", label="cup")])
        assert (found(store, "mug"), found(store, "cup")) == (["b"], ["a"])
        store.items.upsert([an_item("b", label="jug")], random_rows(1))
        assert (found(store, "mug"), found(store, "jug")) == ([], ["b"])
        assert store.items.insert([an_item("b", label="can")], random_rows(1)) == {"b"}
        store.items.insert([an_item("c", label="can")], random_rows(1))
        assert found(store, "can") == ["c"]
        store.items.delete(["a", "b", "c"])
        assert found(store, "cup jug can") == []
        assert store.keywords.counts([Term("cup"), Term("c", prefix=True)]).having == [0, 0]
        assert not store.check()

    def test_k_matches_are_returned_in_the_order_of_ids(self, store: Store) -> None:
        items = [an_item(f"{number:03}", label="mug") for number in range(150)]
        store.items.upsert(items[::-1], random_rows(150))
        hits = match(store.keywords, "mug", k=120).hits
        assert [hit.item for hit in hits] == items[:120]
        with pytest.raises(ValueError, match="at least 1"):
            match(store.keywords, "mug", k=0)

    @pytest.mark.parametrize(
        "text",
        [
            *("", " ", "* ** -'&", "\0", '"', "(", "{label}:x", "label : x", "\ud800"),
            *("a AND NOT b", "NEAR(a b, 2)", "^a + b", "a'; DROP TABLE items; --", "x" * 100_000),
            "word " * 50_000 + " ".join(map(str, range(10_000))),
        ],
    )
    def test_no_text_is_taken_for_anything_but_words(self, store: Store, text: str) -> None:
        items = [an_item("one", label="label x"), an_item("two", label="drop near")]
        store.items.upsert(items, random_rows(2))
        matches = match(store.keywords, text, k=5)
        assert {hit.item.id for hit in matches.hits} <= {"one", "two"}
        assert matches.cut == (len(text) > 200_000)
        assert bool(matches.hits) == any(one in text.lower() for one in ("label", "drop", "near"))
        assert store.search.count() == 2

    def test_a_store_without_items_or_an_encoder_matches_nothing(self, store: Store) -> None:
        assert match(store.keywords, "red mug", k=3) == KeywordMatches(
            hits=[], words=2, unknown=("red", "mug")
        )

    # -- filters ---------------------------------------------------------------------------

    def test_a_filter_comes_before_the_search_and_never_costs_a_place(self, store: Store) -> None:
        items = [
            an_item(f"{number:03d}", label="odd" if number % 2 else "even") for number in range(200)
        ]
        store.items.upsert(items, random_rows(200))
        query = random_rows(1, seed=3)
        for text, expected in (("label=odd", 100), ("label=nothing", 0), ("id^=00", 10)):
            (hits,) = store.search.nearest(query, k=150, where=parse(text))
            assert len(hits) == expected
            assert all(meets(parse(text), hit.item) for hit in hits)
        (best,) = store.search.nearest(query, k=200)
        (odd,) = store.search.nearest(query, k=5, where=parse("label=odd"))
        assert odd == [hit for hit in best if hit.item.label == "odd"][:5]

    def test_a_filter_sees_what_has_just_been_written(self, store: Store) -> None:
        store.items.upsert([an_item("a", label="x")], rows((1, 0)))
        where = parse("label=x")
        assert len(store.search.nearest(rows((1, 0)), k=5, where=where)[0]) == 1
        store.items.upsert([an_item("b", label="x")], rows((1, 0)))
        assert len(store.search.nearest(rows((1, 0)), k=5, where=where)[0]) == 2
        store.items.update([an_item("a", label="y")])
        assert [hit.item.id for hit in store.search.nearest(rows((1, 0)), k=5, where=where)[0]] == [
            "b"
        ]

    @given(st.data())
    @settings(
        max_examples=60,
        deadline=None,
        suppress_health_check=[
            HealthCheck.function_scoped_fixture,  # the items are the same for every example
            HealthCheck.differing_executors,  # one class a kind of store
        ],
    )
    def test_any_filter_means_what_it_means_in_plain_python(
        self, store: Store, data: st.DataObject
    ) -> None:
        if not store.search.count():
            store.items.upsert(VARIED, random_rows(len(VARIED)))
        indexed = data.draw(st.sets(st.sampled_from(["price", "colour", "tags", "spec.size"])))
        for field in {*store.search.declared(), *indexed}:
            store.search.declare(field) if field in indexed else store.search.undeclare(field)
        condition = data.draw(CONDITIONS)
        expected = [item.id for item in VARIED if meets(condition, item)]
        assert [item.id for item in store.items.scan(condition)] == expected
        assert store.search.count(condition) == len(expected)
        (hits,) = store.search.nearest(rows((1, 1)), k=100, where=condition)
        assert sorted(hit.item.id for hit in hits) == expected

    def test_facets_count_items_by_value_most_first(self, store: Store) -> None:
        store.items.upsert(
            [
                an_item("a", label="x", metadata={"c": ["red", "red", "blue"], "n": 1}),
                an_item("b", label="x", metadata={"c": "red", "n": 1.0, "new": True}),
                an_item("c", label="y", metadata={"c": None, "n": "1"}),
                an_item("d"),
            ],
            random_rows(4),
        )
        assert store.search.facets("label") == [("x", 2), ("y", 1)]
        assert store.search.facets("c") == [("red", 2), ("blue", 1)]
        assert store.search.facets("c", parse("id=b")) == [("red", 1)]
        assert store.search.facets("new") == [(True, 1)]
        assert store.search.facets("n") == [(1, 2), ("1", 1)]
        assert store.search.facets("label", limit=1) == [("x", 2)]
        assert store.search.facets("nothing") == []

    def test_values_that_as_many_items_have_come_in_their_order(self, store: Store) -> None:
        values: list[Json] = ["b", 2, "10", True, -1.5, "B", False, 1, "鞋", "é"]
        store.items.upsert([an_item("a", metadata={"v": values})], random_rows(1))
        expected = [False, True, -1.5, 1, 2, "10", "B", "b", "é", "鞋"]
        for _ in range(2):
            found = store.search.facets("v")
            assert found == [(value, 1) for value in expected]
            assert [type(value) is bool for value, _ in found[:3]] == [True, True, False]
            assert store.search.distinct("v") == len(values)
            store.search.declare("v")

    def test_declared_fields_follow_every_write(self, store: Store) -> None:
        price = {"price": 5, "tags": ["new", "new"]}
        store.items.upsert([an_item("a", metadata=price), an_item("b")], random_rows(2))
        store.search.declare("metadata.price")
        store.search.declare("tags")
        store.search.declare("tags")
        assert store.search.declared() == ["price", "tags"]
        store.items.upsert(
            [an_item("c", metadata=price), an_item("d", metadata=price)], random_rows(2)
        )
        assert store.search.count(parse("price=5 and tags=new")) == 3
        assert store.search.facets("tags") == [("new", 3)]
        store.items.update([an_item("a", metadata={"price": "5 euros"})])
        store.items.upsert([an_item("c", metadata={"price": [5, 6]})], random_rows(1))
        store.items.delete(["d"])
        assert [item.id for item in store.items.scan(parse("price<=5"))] == ["c"]
        assert store.search.facets("price", parse("id!=b")) == [(5, 1), (6, 1), ("5 euros", 1)]
        assert store.search.facets("tags") == []
        assert store.search.undeclare("price")
        assert not store.search.undeclare("price")
        assert store.search.declared() == ["tags"]
        assert [item.id for item in store.items.scan(parse("price^=5"))] == ["a"]

    def test_what_is_every_items_own_need_not_be_declared(self, store: Store) -> None:
        with pytest.raises(ValueError, match="label"):
            store.search.declare("label")

    def test_distinct_counts_the_values_that_facets_would_list(self, store: Store) -> None:
        store.items.upsert(VARIED, random_rows(len(VARIED)))
        for field in ("label", "group", "price", "colour", "spec.size", "nothing"):
            for where in (None, parse("label=mug"), parse("label exists")):
                assert store.search.distinct(field, where) == len(
                    store.search.facets(field, where, limit=99)
                )

    @given(st.lists(_DOCUMENTS, max_size=6), st.integers(1, 12))
    @settings(
        max_examples=40,
        deadline=None,
        suppress_health_check=[
            HealthCheck.function_scoped_fixture,  # emptied before each example
            HealthCheck.differing_executors,  # one class a kind of store
        ],
    )
    def test_fields_are_counted_as_plain_python_counts_them(
        self, store: Store, documents: list[dict[str, Json]], limit: int
    ) -> None:
        store.items.delete([item.id for item in store.items.scan()])
        items = [an_item(f"{number}", metadata=one) for number, one in enumerate(documents)]
        store.items.upsert(items, random_rows(len(items)))
        expected = fields_of(documents)
        assert {one.name: one for one in store.search.fields()} == expected
        first = sorted(expected.values(), key=lambda one: (-one.filled, one.name))[:limit]
        assert store.search.fields(limit=limit) == first

    # -- the neighbour table ---------------------------------------------------------------

    def test_keys_are_never_used_twice_and_ascend(self, store: Store) -> None:
        assert list(store.neighbours.keyed()) == []
        store.items.upsert([an_item("a"), an_item("b")], rows((1, 0), (0, 1)))
        (first,) = store.neighbours.keyed()
        assert set(first.ids) == {"a", "b"}
        store.items.delete(["b"])
        store.items.upsert([an_item("a"), an_item("c")], rows((1, 0), (0, 1)))
        (second,) = store.neighbours.keyed()
        assert set(second.ids) == {"a", "c"}
        assert second.keys.min() > first.keys.max() > first.keys.min() > 0
        assert [part.ids for part in store.neighbours.keyed(int(second.keys[0]))] == [
            second.ids[1:]
        ]
        np.testing.assert_allclose(
            unit_rows(second.rows), store.items.vectors(second.ids), atol=1e-6, rtol=0
        )

    def test_neighbours_come_back_as_items_with_the_very_scores(self, store: Store) -> None:
        keys = self._with_neighbours(store)
        expected = [("b", 0.123456789), ("c", -0.987654321)]
        listed = store.neighbours.get("a", k=5)
        assert listed is not None
        assert [(hit.item.id, hit.score) for hit in listed.hits] == expected
        assert not listed.complete  # cut at two
        (best,) = (store.neighbours.get("a", k=1) or Neighbours([], complete=True)).hits
        assert best.item == store.items.get(["b"])["b"]
        assert store.neighbours.get("b", k=5) == Neighbours(
            [Hit(item=store.items.get(["a"])["a"], score=1.0)], complete=True
        )
        assert store.neighbours.get("c", k=1) is None  # no list
        assert store.neighbours.get("nobody", k=1) is None
        assert store.neighbours.get("b", k=1, exact=True) is None  # a graph's
        assert store.neighbours.get("a", k=1, exact=True) is not None
        (lists,) = store.neighbours.lists(k=2)
        assert lists.keys.tolist() == sorted([keys["a"], keys["b"]])
        assert list(store.neighbours.lists(k=3)) == []
        with pytest.raises(ValueError, match="k is 0"):
            store.neighbours.get("a", k=0)

    def test_neighbours_that_have_gone_or_do_not_meet_the_filter_are_left_out(
        self, store: Store
    ) -> None:
        self._with_neighbours(store)
        mugs = store.neighbours.get("a", k=5, where=parse("label=mug or label=cup and id=x"))
        assert mugs is not None
        assert [hit.item.id for hit in mugs.hits] == ["c"]
        store.items.delete(["b"])
        listed = store.neighbours.get("a", k=5)
        assert listed is not None
        assert [hit.item.id for hit in listed.hits] == ["c"]
        assert not listed.complete
        assert store.neighbours.get("b", k=5) is None
        assert store.neighbours.state().rows == 1

    def test_a_newer_item_silences_lists_until_they_are_confirmed(self, store: Store) -> None:
        keys = self._with_neighbours(store)
        store.items.update([an_item("c", label="told")])  # says nothing about vectors
        assert store.neighbours.get("a", k=1) is not None
        store.items.upsert([an_item("d")], rows((1, 1)))
        assert store.neighbours.get("a", k=1) is None
        state = store.neighbours.state()
        assert (state.items, state.rows, state.current, state.exact, state.k) == (4, 2, 0, 1, 2)
        newest = max(int(part.keys.max()) for part in store.neighbours.keyed())
        was = max(keys.values())
        both = np.array([keys["a"], keys["b"]])
        store.neighbours.confirm(both, np.array([was, was - 1]), newest)  # b's mark is another
        assert store.neighbours.get("a", k=1) is not None
        assert store.neighbours.get("b", k=1) is None
        assert store.neighbours.state().current == 1

    def test_lists_of_items_that_have_gone_are_not_kept(self, store: Store) -> None:
        self._with_neighbours(store)
        (lists,) = store.neighbours.lists(k=2)
        store.items.delete(["b"])
        store.neighbours.put(lists)
        assert store.neighbours.state().rows == 1
        store.neighbours.clear()
        assert store.neighbours.state().rows == 0
        assert store.neighbours.get("a", k=1) is None
        assert store.check() == []

    def _with_neighbours(self, store: Store) -> dict[str, int]:
        """Three items and invented lists of two of them; answers the keys."""
        items = [an_item("a"), an_item("b"), an_item("c", label="mug")]
        store.items.upsert(items, rows((1, 0), (0, 1), (1, 1)))
        keys = {
            one: int(key)
            for part in store.neighbours.keyed()
            for key, one in zip(part.keys, part.ids, strict=True)
        }
        a, b, c = keys["a"], keys["b"], keys["c"]
        store.neighbours.put(
            NeighbourLists(
                keys=np.array([a, b]),
                marks=np.full(2, max(a, b, c)),
                exact=np.array([True, False]),
                near=np.array([[b, c], [a, 0]]),
                scores=np.array([[0.123456789, -0.987654321], [1.0, 0.0]]),
            )
        )
        return keys

    # -- places ----------------------------------------------------------------------------

    def test_stamps_are_of_one_root_and_one_folder(self, store: Store) -> None:
        stamp = Stamp(size=1, mtime_ns=2)
        places = [
            ("", "photos/a.jpg"),
            ("", "photos/sub/b.jpg"),
            ("", "photos2/c.jpg"),
            ("", "photos.jpg"),
            ("other", "photos/d.jpg"),
        ]
        items = [
            an_item(f"{root}:{path}", root=root, path=path, stamp=stamp) for root, path in places
        ]
        store.items.upsert(items, random_rows(len(items)))
        assert set(store.items.stamps("")) == {path for root, path in places if not root}
        assert store.items.stamps("", "photos") == {
            "photos/a.jpg": (":photos/a.jpg", stamp),
            "photos/sub/b.jpg": (":photos/sub/b.jpg", stamp),
        }
        assert set(store.items.stamps("other", "photos")) == {"photos/d.jpg"}

    def test_a_skip_is_remembered_until_the_place_becomes_an_item(self, store: Store) -> None:
        skip = Skipped(path="x/a.jpg", reason="cut off", stamp=Stamp(size=3, mtime_ns=4))
        other = Skipped(path="x2/b.jpg", reason="empty")
        store.skips.put("", [skip, other])
        assert store.skips.below("") == {"x/a.jpg": skip, "x2/b.jpg": other}
        assert store.skips.below("", "x") == {"x/a.jpg": skip}
        store.items.upsert([an_item("a", path="x/a.jpg")], rows((1, 0)))
        assert store.skips.below("") == {"x2/b.jpg": other}
        store.skips.delete("", ["x2/b.jpg"])
        assert store.skips.below("") == {}

    # -- tables beside the items -----------------------------------------------------------

    def test_rows_beside_the_items_come_back_as_they_went_in(
        self, store: Store, again: Callable[[], Store]
    ) -> None:
        rows_in = [
            SideRow(id="b/é 鞋.jpg", value={"label": "mug", "tags": [1, 2.5, None, True]}),
            SideRow(id="a\0b", value="x" * 40_000, digest="ab" * 32),
            SideRow(id="c" * 600, value=None, digest="cd" * 32),
        ]
        table = store.table("words")
        table.put(rows_in)
        other = again()
        assert list(other.table("words").scan()) == sorted(rows_in, key=lambda row: row.id)
        assert other.table("words").get([row.id for row in rows_in]) == {
            row.id: row for row in rows_in
        }
        assert other.table("words").count() == 3
        other.close()

    def test_an_empty_table_beside_the_items_answers_every_question(self, store: Store) -> None:
        table = store.table("words")
        assert (list(table.scan()), table.get(["a"]), table.count()) == ([], {}, 0)
        assert table.with_digest(["ab" * 32]) == []
        assert (table.delete(["a"]), table.delete([]), table.get([])) == (0, 0, {})
        table.put([])
        assert (table.count(), store.tables()) == (0, {})

    def test_a_row_beside_the_items_is_replaced_and_deleted_by_id(self, store: Store) -> None:
        table = store.table("words")
        table.put([SideRow(id="a", value=1, digest="ab" * 32), SideRow(id="b", value=2)])
        table.put([SideRow(id="a", value=3), SideRow(id="a", value=4)])
        assert [row.value for row in table.scan()] == [4, 2]
        assert table.with_digest(["ab" * 32]) == []
        assert table.delete(["a", "nobody"]) == 1
        assert [row.id for row in table.scan()] == ["b"]

    def test_rows_beside_the_items_are_found_by_digest(self, store: Store) -> None:
        table = store.table("words")
        digests = ["ab" * 32, "cd" * 32, ""]
        table.put(
            [
                SideRow(id=f"{number}", value=number, digest=digests[number % 3])
                for number in range(9)
            ]
        )
        found = table.with_digest(["cd" * 32, "ef" * 32, "ab" * 32, ""])
        assert [row.id for row in found] == ["0", "1", "3", "4", "6", "7"]

    def test_tables_beside_the_items_are_apart_from_each_other_and_from_the_items(
        self, store: Store
    ) -> None:
        store.items.upsert([an_item("a")], rows((1, 0)))
        store.table("one").put([SideRow(id="a", value=1)])
        store.table("two").put([SideRow(id="a", value=2)])
        assert store.table("one").get(["a"])["a"].value == 1
        store.table("one").delete(["a"])
        assert store.tables() == {"two": 1}
        assert store.table("two").count() == 1
        store.items.delete(["a"])
        assert store.table("two").get(["a"])["a"].value == 2
        assert not store.check()

    def test_more_rows_beside_the_items_than_a_page_are_all_read(self, store: Store) -> None:
        many = [SideRow(id=f"{number:05}", value=number) for number in range(2_500)]
        store.table("many").put(many)
        assert store.tables() == {"many": 2_500}
        assert list(store.table("many").scan()) == many
        assert len(store.table("many").get([row.id for row in many])) == 2_500
        assert store.table("many").delete([row.id for row in many]) == 2_500

    # -- the rest --------------------------------------------------------------------------

    def test_settings_are_kept(self, store: Store, again: Callable[[], Store]) -> None:
        assert store.settings.get("roots") is None
        store.settings.set("roots", {"": "/päth", "n": [1, 2.5, None, True]})
        other = again()
        assert other.settings.get("roots") == {"": "/päth", "n": [1, 2.5, None, True]}
        other.close()

    def test_two_who_change_a_setting_at_once_both_do(
        self, store: Store, again: Callable[[], Store]
    ) -> None:
        others = [again() for _ in range(4)]

        def add(other: Store) -> None:
            for _ in range(5):
                other.settings.change(
                    "n", lambda value: (value if isinstance(value, int) else 0) + 1
                )

        together(add, others)
        assert store.settings.get("n") == 20
        for other in others:
            other.close()

    def test_two_who_write_at_once_both_do(self, store: Store, again: Callable[[], Store]) -> None:
        others = [again() for _ in range(3)]

        def write(other: Store) -> None:
            for number in range(5):
                items = [an_item(f"own-{id(other)}-{number}"), an_item(f"same-{number}")]
                other.items.upsert(items, random_rows(2, seed=number))
                assert other.search.count(Compare("id", "=", Value.of(items[0].id))) == 1
                other.items.update([an_item(f"same-{number}", label=str(id(other)))])

        together(write, others)
        assert store.search.count() == 20
        keys = [int(key) for part in store.neighbours.keyed() for key in part.keys]
        assert len(set(keys)) == 20
        labels = {item.label for item in store.items.scan(parse("id^=same"))}
        assert labels <= {str(id(other)) for other in others}
        for other in others:
            other.close()

    def test_keys_are_read_in_order_while_others_write(
        self, store: Store, again: Callable[[], Store]
    ) -> None:
        """What was not there when all keys were read has a higher key than any that was."""
        other = again()
        done = threading.Event()

        def write(store: Store) -> None:
            try:
                for number in range(12):
                    store.items.upsert(
                        [an_item(f"{number}-{part}") for part in range(3)], random_rows(3)
                    )
            finally:
                done.set()

        writer = threading.Thread(target=write, args=(other,))
        writer.start()
        seen: dict[int, str] = {}
        while True:
            last_round = done.is_set()
            highest = max(seen, default=0)
            now = {
                int(key): one
                for part in store.neighbours.keyed()
                for key, one in zip(part.keys, part.ids, strict=True)
            }
            assert min((key for key in now if key not in seen), default=highest + 1) > highest
            seen |= now
            if last_round:
                break
            done.wait(0.02)  # who reads all keys without a break keeps overtaking who writes
        writer.join()
        assert len(set(seen.values())) == 36
        other.close()

    def test_a_store_is_bound_to_one_encoder(self, store: Store) -> None:
        name, fingerprint, dim = store.bound() or ("", "", 0)
        store.bind(encoder=name, fingerprint=fingerprint, dim=dim)
        with pytest.raises(EncoderMismatchError, match="another collection"):
            store.bind(encoder="b", fingerprint="other", dim=dim)
        with pytest.raises(EncoderMismatchError):
            store.bind(encoder=name, fingerprint=fingerprint, dim=dim + 1)

    def test_rows_come_as_they_are_stored(self, store: Store) -> None:
        stored = random_rows(3)
        store.items.upsert([an_item("a"), an_item("b"), an_item("c")], stored)
        there = store.items.rows(["c", "a", "c"])
        np.testing.assert_array_equal(there, stored[[2, 0, 2]].astype(there.dtype))
        store.items.upsert([an_item("d")], there[:1].astype(np.float32))
        assert (
            store.items.rows(["d"]).tobytes() == there[:1].tobytes()
        )  # there and back, bit by bit
        with pytest.raises(ItemNotFoundError, match="nowhere"):
            store.items.rows(["nowhere"])

    def test_settings_are_listed_by_name(self, store: Store) -> None:
        before = store.settings.names()
        store.settings.set("roots", {"": "/photos"})
        store.settings.set("a é", 1)
        assert store.settings.names() == sorted({*before, "a é", "roots"})

    def test_a_sibling_takes_the_place_and_the_old_one_can_only_be_read(
        self, store: Store, again: Callable[[], Store]
    ) -> None:
        store.items.upsert([an_item("old")], random_rows(1))
        late = again()
        new = store.sibling(f"{store.name}-new", create=True)
        new.bind(encoder="other", fingerprint="other-1", dim=DIM)

        def last() -> None:
            new.items.upsert([an_item("new")], random_rows(1, seed=1))

        kept = store.replace(new, keep=f"{store.name}-old", last=last)
        now = again()
        try:
            assert now.is_current()
            assert not late.is_current()
            assert [item.id for item in now.items.scan()] == ["new"]
            assert now.bound() == ("other", "other-1", DIM)
            with pytest.raises(LookalikeError):
                late.items.upsert([an_item("late")], random_rows(1))
            now.items.upsert([an_item("more")], random_rows(1, seed=2))
            assert now.search.count() == 2
            old = now.sibling(kept, create=False)
            assert [item.id for item in old.items.scan()] == ["old"]
            old.drop()
            with pytest.raises(CollectionNotFoundError):
                now.sibling(kept, create=False)
        finally:
            late.close()
            now.drop()
        with pytest.raises(CollectionNotFoundError):
            again()

    def test_one_that_was_removed_and_begun_again_is_another(
        self, store: Store, again: Callable[[], Store]
    ) -> None:
        late, beside = again(), store.sibling(f"{store.name}-beside", create=True)
        try:
            assert late.is_current()
            again().drop()
            assert not late.is_current()
            beside.sibling(store.name, create=True).close()
            assert not late.is_current()
            now = again()
            assert now.is_current()
            now.close()
        finally:
            late.close()
            beside.drop()

    def test_several_threads_write_and_search_at_once(self, store: Store) -> None:
        errors: list[BaseException] = []

        def work(thread: int) -> None:
            try:
                for number in range(20):
                    store.items.upsert([an_item(f"{thread}-{number}")], random_rows(1, seed=number))
                    store.search.nearest(random_rows(1, seed=number), k=3)
                    if number % 4 == 0:
                        store.items.delete([f"{thread}-{number}"])
            except BaseException as error:  # noqa: BLE001 - reported below
                errors.append(error)

        threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not errors, repr(errors)
        assert store.search.count() == 4 * 15

    def test_closing_twice_is_fine(self, store: Store) -> None:
        store.close()
        store.close()
