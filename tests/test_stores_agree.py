"""Random histories on every kind of store: whatever is asked afterwards, the answers are equal."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, TypeAlias

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contracts.server import an_address, bound, removed
from contracts.store import CONDITIONS, DIM, VARIED, an_item, random_rows, small
from lookalike.core.filters import Condition
from lookalike.core.keywords import match
from lookalike.core.protocols import Store
from lookalike.core.records import Hit, Item, Skipped, Stamp
from lookalike.errors import ItemNotFoundError
from lookalike.stores.embedded.store import EmbeddedStore
from memory_store import MemoryStore

_IDS = [*(item.id for item in VARIED), "photos/é 鞋.jpg", "photos2/a", "x" * 600, "a\0b"]
_TEXTS = ["mug", "red mugs p2", "10 sal", "blu* 鞋 nothing", "photos"]
_FIELDS = ["label", "group", "width", "price", "colour", "tags", "spec.size", "day", "nothing"]

Step: TypeAlias = Callable[[Store], object]


@dataclass(frozen=True)
class Named:
    """A step of a history, with words for a failure's report."""

    words: str
    do: Step

    def __repr__(self) -> str:
        return self.words


def an_odd_item(one: str, content: int, number: int) -> Item:
    item = replace(VARIED[content], id=one, path=one, root="" if number % 2 else "other")
    return replace(item, digest=f"{content:064x}", stamp=Stamp(size=number, mtime_ns=number))


def put(items: Sequence[Item], seed: int, sides: Sequence[int | None]) -> Named:
    vectors = random_rows(len(items), seed=seed)  # of few seeds: many items are exact copies
    every = (*sides, *[None] * len(items))
    thumbnails = [None if side is None else small(bytes([side]), side) for side in every]
    given = thumbnails[: len(items)] if sides else None
    return Named(
        f"put {[item.id for item in items]} {seed} {given}",
        lambda store: store.items.upsert(items, vectors, given),
    )


def picture(items: Sequence[Item], side: int) -> Named:
    last = list({item.id: item for item in items}.values())
    thumbnails = [small(bytes([side, 1]), side)] * len(last)
    return Named(
        f"picture {[item.id for item in last]} {side}",
        lambda store: store.thumbnails.put(last, thumbnails),
    )


def unpicture() -> Named:
    return Named("unpicture", lambda store: store.thumbnails.clear())


def tell(items: Sequence[Item]) -> Named:
    return Named(f"tell {[item.id for item in items]}", lambda store: update(store, items))


def update(store: Store, items: Sequence[Item]) -> str:
    try:
        store.items.update(items)
    except ItemNotFoundError as error:
        return str(error)
    return "told"


def drop(ids: Sequence[str]) -> Named:
    return Named(f"drop {ids}", lambda store: store.items.delete(ids))


def skip(path: str, root: str, reason: str) -> Named:
    skips = [Skipped(path=path, reason=reason, stamp=Stamp(size=1, mtime_ns=2))]
    return Named(f"skip {root}:{path}", lambda store: store.skips.put(root, skips))


def forget(path: str, root: str) -> Named:
    return Named(f"forget {root}:{path}", lambda store: store.skips.delete(root, [path]))


def declare(field: str) -> Named:
    return Named(f"declare {field}", lambda store: store.search.declare(field))


def undeclare(field: str) -> Named:
    return Named(f"undeclare {field}", lambda store: store.search.undeclare(field))


_ONE = st.sampled_from(_IDS)
_ITEM = st.builds(an_odd_item, _ONE, st.integers(0, len(VARIED) - 1), st.integers(0, 5))
_ITEMS = st.lists(_ITEM, min_size=1, max_size=6)
_SIDE = st.sampled_from([None, 32, 64, 128])
_ROOT = st.sampled_from(["", "other"])
_DECLARED = st.sampled_from(["price", "colour", "tags", "spec.size"])
_STEPS = st.one_of(
    st.builds(put, _ITEMS, st.integers(0, 3), st.lists(_SIDE, max_size=6)),
    st.builds(put, _ITEMS, st.integers(0, 3), st.lists(_SIDE, max_size=6)),
    st.builds(picture, _ITEMS, st.sampled_from([32, 64])),
    st.builds(unpicture),
    st.builds(tell, _ITEMS),
    st.builds(drop, st.lists(_ONE, max_size=5)),
    st.builds(skip, _ONE, _ROOT, st.sampled_from(["empty", "cut off"])),
    st.builds(forget, _ONE, _ROOT),
    st.builds(declare, _DECLARED),
    st.builds(undeclare, _DECLARED),
)


def asked(store: Store, where: Condition) -> dict[str, Any]:
    """What a store answers to everything that has one right answer."""
    there = [item.id for item in store.items.scan()]
    return {
        "items": list(store.items.scan()),
        "found": [item.id for item in store.items.scan(where)],
        "counts": (store.search.count(), store.search.count(where)),
        "vectors": store.items.vectors(there).tolist(),
        "got": store.items.get(_IDS),
        "stamps": [
            store.items.stamps(root, under) for root in ("", "other") for under in ("", "photos")
        ],
        "skips": [
            store.skips.below(root, under) for root in ("", "other") for under in ("", "photos")
        ],
        "facets": [
            [
                (value, type(value) is bool, count)
                for value, count in store.search.facets(field, given)
            ]
            for field in _FIELDS
            for given in (None, where)
        ],
        "distinct": [store.search.distinct(field, where) for field in _FIELDS],
        "fields": store.search.fields(),
        "declared": store.search.declared(),
        "digests": set(store.items.with_digest([f"{number:064x}" for number in range(12)])),
        "keyed": {one for part in store.neighbours.keyed() for one in part.ids},
        "thumbnails": store.thumbnails.get(_IDS),
        "sides": store.thumbnails.sides(_IDS),
        "pictured": store.thumbnails.state(),
        "words": [
            match(store.keywords, text, k=4, where=given)
            for text in _TEXTS
            for given in (None, where)
        ],
        "problems": store.check(),
    }


def level(hits: Sequence[Hit], others: Sequence[Hit]) -> None:
    """The same answers to the last decimal; of those level with the last, any."""
    assert [hit.score for hit in hits] == [hit.score for hit in others]
    least = hits[-1].score if hits else 0
    clear = [[hit for hit in one if hit.score > least] for one in (hits, others)]
    assert clear[0] == clear[1]
    for one in (hits, others):
        ordered = [(-hit.score, hit.item.id) for hit in one]
        assert all(earlier < later for earlier, later in pairwise(ordered))


def emptied(store: Store) -> None:
    store.items.delete([item.id for item in store.items.scan()])
    for root in ("", "other"):
        store.skips.delete(root, list(store.skips.below(root)))
    for field in store.search.declared():
        store.search.undeclare(field)


@pytest.fixture(
    scope="module",
    params=[
        "memory",
        pytest.param("elasticsearch", marks=pytest.mark.engines),
        pytest.param("opensearch", marks=pytest.mark.engines),
    ],
)
def pair(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Store, Store]]:
    """The embedded store and another: in memory, the plainest there can be, or on a server."""
    here = EmbeddedStore.open(tmp_path_factory.mktemp("agree") / "shop", create=True)
    here.bind(encoder="tiny", fingerprint="tiny-1", dim=DIM)
    if request.param == "memory":
        other = MemoryStore({}, "shop", create=True)
        other.bind(encoder="tiny", fingerprint="tiny-1", dim=DIM)
        yield here, other
    else:
        url = request.getfixturevalue(f"{request.param}_url")
        there = bound(an_address(request.param, url))
        yield here, there
        removed(there)
    here.close()


@given(st.lists(_STEPS, min_size=1, max_size=8), CONDITIONS, st.integers(0, 5), st.integers(1, 12))
@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_any_history_leaves_stores_with_the_same_answers(
    pair: tuple[Store, Store], history: list[Named], where: Condition, seed: int, k: int
) -> None:
    here, there = pair
    for store in pair:
        emptied(store)
    for step in history:
        assert step.do(here) == step.do(there), step
    first, second = asked(here, where), asked(there, where)
    for what, answer in first.items():
        assert second[what] == answer, what
    queries = random_rows(2, seed=seed)  # among them vectors that are stored
    for exact in (False, True):
        for condition in (None, where):
            answers = here.search.nearest(queries, k=k, exact=exact, where=condition)
            others = there.search.nearest(queries, k=k, exact=exact, where=condition)
            for one, other in zip(answers, others, strict=True):
                level(one, other)


def test_a_thousand_vectors_have_the_same_exact_answers(pair: tuple[Store, Store]) -> None:
    vectors = random_rows(1000)
    items = [an_item(f"{number:04}", label=str(number % 7)) for number in range(1000)]
    for store in pair:
        emptied(store)
        store.items.upsert(items, vectors)
    queries = random_rows(20, seed=9)
    found = [store.search.nearest(queries, k=10, exact=True) for store in pair]
    assert found[0] == found[1]
    near = pair[1].search.nearest(queries, k=10)
    same = [
        len({hit.item.id for hit in one} & {hit.item.id for hit in other})
        for one, other in zip(found[0], near, strict=True)
    ]
    assert np.mean(same) >= 9.5  # of 10: what the graph finds of the true nearest
