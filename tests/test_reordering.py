"""Query expansion and diversity: which order results have, and that scores stay the query's own."""

from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import lookalike
from contracts.collection import stock
from contracts.server import an_address, bound, removed
from live import serving
from lookalike import Collection, ItemRef, RemoteCollection, Words
from lookalike.analysis import neighbours
from lookalike.core.records import Item
from lookalike.core.vectors import Matrix, cosines, unit_rows
from lookalike.errors import WordsError
from lookalike.search.directions import Directions
from lookalike.search.diversity import diversify
from lookalike.search.expansion import expand
from lookalike.stores.embedded.store import EmbeddedStore
from lookalike.stores.servers.store import ServerStore
from memory_store import MemoryStore

if TYPE_CHECKING:
    from lookalike.core.protocols import Store

DIM, ITEMS = 6, 60


def _rows(count: int, seed: int, spread: float = 1.0) -> Matrix:
    rng = np.random.default_rng(seed)
    return unit_rows(rng.normal(size=DIM) + spread * rng.normal(size=(count, DIM)))


@pytest.fixture(scope="module")
def shop() -> Collection:
    """Items with vectors alone: groups and labels repeat, and every seventh item is a duplicate."""
    store = MemoryStore({}, "shop", create=True)
    store.bind(encoder="drawn", fingerprint="drawn", dim=DIM)
    rows = _rows(ITEMS, 0)
    rows[7::7] = rows[:-7:7]
    items = [
        Item(
            id=f"{n:02}",
            digest=f"{(n - 7 if n % 7 == 0 and n else n):064}",
            width=1,
            height=1,
            label="odd" if n % 2 else "even",
            group=f"g{n % 20}",
        )
        for n in range(ITEMS)
    ]
    store.items.upsert(items, rows)
    return Collection(store, _no_encoder)


def _no_encoder(_: object) -> Any:  # noqa: ANN401 - never returns
    raise AssertionError("nothing is to be encoded")


@pytest.fixture(
    scope="module",
    params=[
        "embedded",
        pytest.param("elasticsearch", marks=pytest.mark.engines),
        pytest.param("opensearch", marks=pytest.mark.engines),
    ],
)
def elsewhere(
    request: pytest.FixtureRequest, shop: Collection, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Collection]:
    """The same items in another store."""
    store: Store
    if request.param == "embedded":
        store = EmbeddedStore.open(tmp_path_factory.mktemp("reordering") / "shop", create=True)
        store.bind(encoder="tiny", fingerprint="tiny-1", dim=DIM)
    else:
        url = request.getfixturevalue(f"{request.param}_url")
        store = bound(an_address(request.param, url), dim=DIM)
    items = list(shop.store.items.scan())
    store.items.upsert(items, shop.vectors([item.id for item in items]))
    store.search.optimize()
    yield Collection(store, _no_encoder)
    if isinstance(store, ServerStore):
        removed(store)
    else:
        store.close()


def _all_vectors(shop: Collection) -> dict[str, Matrix]:
    ids = [f"{n:02}" for n in range(ITEMS)]
    return dict(zip(ids, shop.vectors(ids), strict=True))


# --- expansion -----------------------------------------------------------------------------------


def test_an_expanded_query_is_the_weighted_sum_of_it_and_its_neighbours() -> None:
    query, *near = _rows(4, 3)
    weights = np.array([1.0, *(float(query @ one) ** 3 for one in near)])
    expected = unit_rows((weights @ np.stack([query, *near]))[None])
    assert expand(Directions.of(query), np.stack(near)).vectors == pytest.approx(expected, abs=1e-6)


def test_neighbours_on_the_other_side_have_no_weight() -> None:
    query = unit_rows(np.ones((1, DIM)))[0]
    assert expand(Directions.of(query), -query[None]).vectors == pytest.approx(query[None])


def test_each_direction_is_expanded_with_its_own_neighbours() -> None:
    axes = np.eye(DIM, dtype=np.float32)
    near = unit_rows(axes[:1] + 0.5 * axes[3])
    expanded = expand(Directions(axes[:2], (1.0, 0.5)), near)
    assert expanded.vectors[1] == pytest.approx(axes[1])
    assert expanded.vectors[0][3] > 0
    assert expanded.factors == (1.0, 0.5)


FOLDED = st.fixed_dictionaries(
    {
        "per_group": st.booleans(),
        "collapse": st.sampled_from([None, "exact"]),
        "where": st.sampled_from([None, "label=odd"]),
    }
)


@given(seed=st.integers(1, 50), n=st.integers(0, 12), k=st.integers(1, 20), options=FOLDED)
def test_expansion_ranks_by_the_mixed_query_and_scores_by_the_query(
    shop: Collection, seed: int, n: int, k: int, options: dict[str, Any]
) -> None:
    query = _rows(1, seed)[0]
    found = shop.search(query, k=k, expand=n, **options)
    rows = _all_vectors(shop)
    near = shop.search(query, k=max(n, 1), **options)[:n]
    ranking = expand(Directions.of(query), np.array([rows[hit.item.id] for hit in near]))
    again = shop.search(ranking.vectors[0], k=k, **options)
    assert [hit.item.id for hit in found] == [hit.item.id for hit in again]
    for hit in found:
        (score,) = cosines(rows[hit.item.id][None], query)
        assert hit.score == pytest.approx(score, abs=1e-6)


def test_an_item_is_expanded_without_itself_and_left_out(shop: Collection) -> None:
    found = shop.similar("03", expand=5, k=ITEMS)
    assert "03" not in {hit.item.id for hit in found}
    assert len(found) == ITEMS - 1


def test_keywords_alone_cannot_be_expanded(
    ways: list[Collection | RemoteCollection],
) -> None:
    for way in ways:
        with pytest.raises(WordsError, match="no embedding that could be expanded"):
            way.search(Words("mug"), expand=3, text_mode="keywords")


# --- diversity -----------------------------------------------------------------------------------


@given(seed=st.integers(1, 200), count=st.integers(1, 30), k=st.integers(1, 30))
def test_without_diversity_nothing_is_reordered(seed: int, count: int, k: int) -> None:
    rows = _rows(count, seed)
    relevance = np.sort(rows @ rows[0])[::-1]
    assert diversify(rows, relevance, 0, k) == list(range(min(k, count)))


@given(
    seed=st.integers(1, 200),
    count=st.integers(1, 20),
    diversity=st.floats(0, 1),
)
def test_every_choice_has_the_greatest_marginal_relevance(
    seed: int, count: int, diversity: float
) -> None:
    rows = _rows(count, seed)
    relevance = np.sort(rows @ rows[0])[::-1]
    chosen = diversify(rows, relevance, diversity, count)
    assert sorted(chosen) == list(range(count))
    assert chosen[0] == 0
    alike = rows.astype(np.float64) @ rows.T
    for step in range(1, count):
        gains = {
            one: (1 - diversity) * relevance[one] - diversity * alike[one, chosen[:step]].max()
            for one in chosen[step:]
        }
        assert gains[chosen[step]] == pytest.approx(max(gains.values()), abs=1e-6)


@given(seed=st.integers(1, 100), k=st.integers(1, 49), diversity=st.floats(0.01, 1))
def test_fewer_results_are_the_first_of_more(
    shop: Collection, seed: int, k: int, diversity: float
) -> None:
    query = _rows(1, seed)[0]
    more = shop.search(query, k=50, diversity=diversity)
    fewer = shop.search(query, k=k, diversity=diversity)
    assert [hit.item.id for hit in fewer] == [hit.item.id for hit in more][:k]


@given(
    seed=st.integers(1, 100),
    diversity=st.floats(0, 1),
    least=st.floats(-1, 1),
    options=st.fixed_dictionaries(
        {
            "expand": st.integers(0, 5),
            "per_group": st.booleans(),
            "collapse": st.sampled_from([None, "exact"]),
            "where": st.sampled_from([None, "label=odd"]),
            "category": st.sampled_from(["off", "odd"]),
            "k": st.integers(1, 30),
        }
    ),
)
def test_options_together_keep_what_each_promises(
    shop: Collection, seed: int, diversity: float, least: float, options: dict[str, Any]
) -> None:
    query = _rows(1, seed)[0]
    found = shop.search(query, diversity=diversity, min_score=least, **options)
    plain = shop.search(query, **{**options, "k": ITEMS}, min_score=least)
    assert {hit.item.id for hit in found} <= {hit.item.id for hit in plain}
    if not options["expand"] and diversity:  # thresholds come before the choice
        assert len(found) == min(options["k"], len(plain))
    assert all(hit.score >= least - 1e-6 for hit in found)
    assert len({hit.item.id for hit in found}) == len(found) <= options["k"]
    if options["per_group"]:
        assert len({hit.item.group for hit in found}) == len(found)
    if options["collapse"]:
        assert len({hit.item.digest for hit in found}) == len(found)
    if options["where"] or options["category"] == "odd":
        assert {hit.item.label for hit in found} <= {"odd"}
    ordered = all(one.score >= after.score for one, after in pairwise(found))
    assert ("reordered" in {note.code for note in found.notes}) == (not ordered)


@given(
    seed=st.integers(1, 100),
    options=st.fixed_dictionaries(
        {
            "expand": st.integers(0, 5),
            "diversity": st.sampled_from([0.0, 0.3, 0.7, 1.0]),
            "per_group": st.booleans(),
            "where": st.sampled_from([None, "label=odd"]),
            "k": st.integers(1, 30),
        }
    ),
)
def test_every_store_gives_the_same_results(
    shop: Collection, elsewhere: Collection, seed: int, options: dict[str, Any]
) -> None:
    query = _rows(1, seed)[0]
    expected, found = shop.search(query, **options), elsewhere.search(query, **options)
    assert [hit.item.id for hit in found] == [hit.item.id for hit in expected]
    assert [hit.score for hit in found] == pytest.approx([hit.score for hit in expected], abs=1e-3)


def test_diversity_puts_duplicates_last(shop: Collection) -> None:
    query = shop.vectors(["00"])[0]
    assert {hit.item.id for hit in shop.search(query, k=2)} == {"00", "07"}
    varied = shop.search(query, k=2, diversity=0.5)
    assert len({hit.item.digest for hit in varied}) == 2


def test_keywords_are_varied_too(ways: list[Collection | RemoteCollection]) -> None:
    for way in ways:
        plain = way.search(Words("mug"), text_mode="keywords", k=10)
        varied = way.search(Words("mug"), text_mode="keywords", k=10, diversity=0.5)
        assert {hit.item.id for hit in varied} == {hit.item.id for hit in plain}
        fused = way.search([ItemRef("0.png"), Words("mug")], k=3, diversity=0.3, expand=2)
        assert fused


def test_a_threshold_that_nothing_reaches_names_the_best(shop: Collection) -> None:
    query = _rows(1, 5)[0]
    (best,) = shop.search(query, k=1)
    found = shop.search(query, diversity=0.5, expand=2, min_score=1.0)
    assert not found
    assert found.best is not None
    assert found.best.score <= best.score
    assert [note.code for note in found.notes] == ["below-min-score"]


def test_the_neighbour_table_changes_no_result(
    tmp_path: Path, card: Path, paint: Callable[[Path, int], Path]
) -> None:
    for number in range(12):
        paint(tmp_path / "images" / f"{number}.png", number)
    with lookalike.open(tmp_path / "shop", encoder=card, create=True) as shop:
        shop.index(tmp_path / "images")
        ways: list[dict[str, Any]] = [{"expand": 3}, {"diversity": 0.5}]
        before = [shop.similar("3.png", k=4, **way) for way in ways]
        neighbours.build(shop, k=5)
        assert [shop.similar("3.png", k=4, **way) for way in ways] == before


@pytest.fixture(scope="module")
def ways(
    tmp_path_factory: pytest.TempPathFactory, card: Path, paint: Callable[[Path, int], Path]
) -> Iterator[list[Collection | RemoteCollection]]:
    home = tmp_path_factory.mktemp("reordered")
    stock(home, card, paint)
    with (
        serving(home) as live,
        lookalike.open(home / "collections" / "shop") as shop,
        lookalike.connect(live.address, collection="shop") as remote,
    ):
        yield [shop, remote]
