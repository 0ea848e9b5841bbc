"""Queries of several parts: weights, likes and dislikes, the mean of vectors or the best score."""

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import lookalike
from contracts.collection import stock
from live import serving
from lookalike import Collection, ItemRef, QueryPart, RemoteCollection
from lookalike.core.records import Item
from lookalike.core.vectors import Matrix, unit_rows
from lookalike.search.directions import Directions, Mix
from lookalike.search.query import Encoded
from memory_store import MemoryStore

if TYPE_CHECKING:
    from lookalike.search import QueryLike

DIM, ITEMS = 8, 40


def _rows(count: int, seed: int) -> Matrix:
    return unit_rows(np.random.default_rng(seed).normal(size=(count, DIM)))


@pytest.fixture(scope="module")
def store() -> MemoryStore:
    store = MemoryStore({}, "shop", create=True)
    store.bind(encoder="drawn", fingerprint="drawn", dim=DIM)
    items = [Item(id=f"{n:02}", digest=f"{n:064}", width=1, height=1) for n in range(ITEMS)]
    store.items.upsert(items, _rows(ITEMS, 0))
    return store


def _directions(rows: Matrix, *weights: float) -> Directions:
    parts = [
        QueryPart(source=row, weight=weight) for row, weight in zip(rows, weights, strict=True)
    ]
    return Directions.of_each([Encoded(vector=row) for row in rows], parts)


# --- the best score ------------------------------------------------------------------------------


@given(
    seed=st.integers(1, 1000),
    weights=st.lists(st.floats(0.05, 5) | st.floats(-5, -0.05), min_size=1, max_size=5),
    k=st.integers(1, ITEMS + 5),
)
def test_each_item_has_its_best_score_and_the_best_items_come_first(
    store: MemoryStore, seed: int, weights: list[float], k: int
) -> None:
    if max(weights) < 0:
        weights[0] = -weights[0]
    directions = _directions(_rows(len(weights), seed), *weights)
    hits, complete = directions.nearest(store, k, exact=True, where=None)
    every = store.items.vectors([f"{n:02}" for n in range(ITEMS)])
    cosines = directions.vectors.astype(np.float64) @ unit_rows(every).astype(np.float64).T
    scores = (np.array(directions.factors)[:, None] * cosines).max(axis=0)
    assert complete == (k > ITEMS)
    assert [hit.score for hit in hits] == pytest.approx(np.sort(scores)[::-1][:k], abs=1e-5)
    for hit in hits:
        assert hit.score == pytest.approx(scores[int(hit.item.id)], abs=1e-5)
    assert directions.scores(every) == pytest.approx(scores, abs=1e-5)


@given(seed=st.integers(1, 1000), like=st.floats(0.1, 5), unlike=st.floats(-5, -0.1))
def test_of_one_part_that_is_liked_best_is_the_mean(seed: int, like: float, unlike: float) -> None:
    rows = _rows(3, seed)
    mean = unit_rows((like * rows[0] + unlike * (rows[1] + rows[2]))[None])
    assert _directions(rows, like, unlike, unlike).vectors == pytest.approx(mean, abs=1e-4)


def test_a_weight_is_a_share_of_the_greatest() -> None:
    assert _directions(_rows(3, 1), 2.0, 0.5, 4.0).factors == (0.5, 0.125, 1.0)


# --- the ways in ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def ways(
    tmp_path_factory: pytest.TempPathFactory, card: Path, paint: Callable[[Path, int], Path]
) -> Iterator[list[Collection | RemoteCollection]]:
    home = tmp_path_factory.mktemp("mixed")
    stock(home, card, paint)
    with (
        serving(home) as live,
        lookalike.open(home / "collections" / "shop") as shop,
        lookalike.connect(live.address, collection="shop") as remote,
    ):
        yield [shop, remote]


def test_best_finds_what_is_like_any_of_the_parts(
    ways: list[Collection | RemoteCollection],
) -> None:
    ids = ["mugs/1.png", "similar.png"]
    query = [ItemRef(one) for one in ids]
    expected: dict[str, float] = {}
    for one in ids:
        for hit in ways[0].similar(one, k=20, include_self=True):
            expected[hit.item.id] = max(hit.score, expected.get(hit.item.id, -1))
    for way in ways:
        found = way.search(query, mix="best", k=20, include_self=True)
        assert {hit.item.id: hit.score for hit in found} == pytest.approx(expected, abs=1e-5)
        assert [hit.score for hit in found][:2] == pytest.approx([1, 1], abs=1e-5)
        others = way.search(query, mix="best", k=20)
        assert not {hit.item.id for hit in others} & {*ids}
        assert {*others.left_out} == {*ids}


def test_best_folds_filters_and_predicts_as_the_mean_does(
    ways: list[Collection | RemoteCollection],
) -> None:
    query = [ItemRef("mugs/1.png"), ItemRef("0.png")]
    for way in ways:
        mugs = way.search(query, mix="best", where="label=mug", k=20)
        assert {hit.item.label for hit in mugs} == {"mug"}
        groups = [hit.item.group for hit in way.search(query, mix="best", per_group=True, k=20)]
        assert len(set(groups)) == len(groups)
        predicted = way.search(query, mix="best", category="auto", k=2)
        assert predicted.category is not None
        given = way.search(query, mix="best", category="mug", k=2)
        assert {hit.item.label for hit in given} == {"mug"}


def test_keywords_are_fused_with_the_best_score(ways: list[Collection | RemoteCollection]) -> None:
    for way in ways:
        query: QueryLike = [ItemRef("similar.png"), ItemRef("0.png"), lookalike.Words("mug")]
        found = way.search(query, mix="best", text_mode="keywords", k=3)
        assert all("mugs/" in hit.item.id for hit in found)


# --- what cannot be searched ---------------------------------------------------------------------


def test_results_can_not_only_be_less_like_something(
    ways: list[Collection | RemoteCollection],
) -> None:
    for way in ways:
        for mix in get_args(Mix):
            with pytest.raises(ValueError, match="only what results should be less like"):
                way.search(QueryPart(source=ItemRef("0.png"), weight=-1.0), mix=mix)


def test_parts_that_cancel_out_are_refused_also_by_best(
    ways: list[Collection | RemoteCollection],
) -> None:
    query: QueryLike = [ItemRef("0.png"), QueryPart(source=ItemRef("copy.png"), weight=-1.0)]
    for way in ways:
        with pytest.raises(ValueError, match="cancel"):
            way.search(query, mix="best")


@pytest.mark.parametrize("weight", [0.0, math.nan, math.inf, -math.inf])
def test_a_weight_is_a_number_other_than_0(weight: float) -> None:
    with pytest.raises(ValueError, match="must be a number other than 0"):
        QueryPart(source="a.jpg", weight=weight)


# --- more and less like this ---------------------------------------------------------------------


@given(liked=st.integers(0, 5), disliked=st.integers(0, 5))
def test_feedback_shares_its_weight_among_what_is_liked_and_disliked(
    liked: int, disliked: int
) -> None:
    parts = lookalike.feedback([ItemRef("a")] * liked, [ItemRef("b")] * disliked)
    up = sum(part.weight for part in parts if part.weight > 0)
    down = sum(part.weight for part in parts if part.weight < 0)
    assert len(parts) == liked + disliked
    assert up == pytest.approx(1.5 if liked else 0)
    assert down == pytest.approx((-1.0 if liked else -0.25) if disliked else 0)


def test_what_is_disliked_never_cancels_the_query_alone(
    ways: list[Collection | RemoteCollection],
) -> None:
    for way in ways:
        away = lookalike.feedback([], [ItemRef("copy.png")])  # the query's exact duplicate
        assert way.search([ItemRef("0.png"), *away], k=3)


def test_likes_move_the_results_towards_them_and_dislikes_away(
    ways: list[Collection | RemoteCollection],
) -> None:
    for way in ways:
        plain = [hit.item.id for hit in way.similar("0.png", k=20)]
        liked, disliked = plain[-1], plain[1]
        near = {
            hit.item.id: hit.score for hit in way.search(ItemRef(liked), k=20, include_self=True)
        }
        more = way.search([ItemRef("0.png"), *lookalike.feedback([ItemRef(liked)], [])], k=20)
        assert near[more[0].item.id] >= near[plain[0]]
        less: QueryLike = [ItemRef("0.png"), *lookalike.feedback([], [ItemRef(disliked)])]
        ranked = [hit.item.id for hit in way.search(less, k=20, include_self=True)]
        assert ranked.index(disliked) >= plain.index(disliked)
