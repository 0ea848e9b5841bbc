"""The neighbour table: always what an exact search would answer, whatever has happened."""

import json
import multiprocessing
import os
import signal
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.store import DIM, an_item, random_rows
from lookalike.analysis import neighbour_lists, neighbours
from lookalike.cli.neighbours import neighbours_command
from lookalike.collection import Collection
from lookalike.core.progress import Progress
from lookalike.core.protocols import Encoder, NeighbourLists, Store
from lookalike.core.vectors import Matrix, cosines, unit_rows
from lookalike.errors import EncoderError, ItemNotFoundError
from lookalike.stores.embedded import ann_cache, database
from lookalike.stores.embedded.search import EmbeddedSearch
from lookalike.stores.embedded.store import EmbeddedStore


def no_encoder(_store: Store) -> Encoder:
    raise EncoderError("nothing is encoded here")


def opened(folder: Path) -> Collection:
    store = EmbeddedStore.open(folder, create=True)
    store.bind(encoder="tiny", fingerprint="tiny-1", dim=DIM)
    return Collection(store, no_encoder)


def filled(shop: Collection, count: int, seed: int = 0) -> Collection:
    items = [
        an_item(f"{n:04d}", label="even" if n % 2 == 0 else "odd", group=f"g{n % 7}")
        for n in range(count)
    ]
    shop.store.items.upsert(items, random_rows(count, seed))
    return shop


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Collection]:
    with opened(tmp_path / "shop") as shop:
        yield shop


Table = dict[str, list[tuple[str, float]]]


def table(shop: Collection, k: int) -> Table:
    """Every list of the table, in ids."""
    ids = {
        int(key): one
        for some in shop.store.neighbours.keyed()
        for key, one in zip(some.keys, some.ids, strict=True)
    }
    return {
        ids[int(key)]: [
            (ids[int(other)], float(score))
            for other, score in zip(near, scores, strict=True)
            if other
        ]
        for lists in shop.store.neighbours.lists(k=k)
        for key, near, scores in zip(lists.keys, lists.near, lists.scores, strict=True)
    }


def plainly(shop: Collection, k: int) -> Table:
    """The same by comparing every item with every other in plain arithmetic."""
    some = list(shop.store.neighbours.keyed())
    if not some:
        return {}
    ids = [one for part in some for one in part.ids]
    rows = np.concatenate([part.rows for part in some])
    found: Table = {}
    for number, one in enumerate(ids):
        scores = cosines(rows, unit_rows(rows[number : number + 1])[0])
        ranked = sorted((-float(score), other) for score, other in zip(scores, ids, strict=True))
        found[one] = [(other, -score) for score, other in ranked if other != one][:k]
    return found


# -- lists are those of a rebuild ----------------------------------------------------------------


@pytest.mark.parametrize("count", [0, 1, 2, 5, 300])
@pytest.mark.parametrize("k", [1, 4, 400])
def test_a_table_holds_the_nearest_of_each_item(shop: Collection, count: int, k: int) -> None:
    report = neighbours.build(filled(shop, count), k=k)
    assert (report.built, report.waiting) == (count, 0)
    assert table(shop, k) == plainly(shop, k)


def test_blocks_and_tiles_make_no_difference(
    shop: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(neighbours, "_BLOCK", 70)
    monkeypatch.setattr(neighbour_lists, "_TILE", 33)
    monkeypatch.setattr(database, "CHUNK", 41)
    neighbours.build(filled(shop, 300), k=5)
    assert table(shop, 5) == plainly(shop, 5)
    shop.store.items.delete([f"{n:04d}" for n in range(20, 40)])
    shop.store.items.upsert([an_item(f"x{n}") for n in range(90)], random_rows(90, seed=4))
    report = neighbours.build(shop)
    assert report.merged
    assert report.kept
    assert table(shop, 5) == plainly(shop, 5)


def test_copies_stay_and_ties_come_by_id(shop: Collection) -> None:
    same = np.repeat(random_rows(1), 40, axis=0)
    shop.store.items.upsert([an_item(f"{n:02d}") for n in reversed(range(40))], same)
    neighbours.build(shop, k=3)
    assert [one for one, _ in table(shop, 3)["05"]] == ["00", "01", "02"]
    assert [one for one, _ in table(shop, 3)["01"]] == ["00", "02", "03"]
    assert [hit.item.id for hit in shop.similar("01", k=3)] == ["00", "02", "03"]


_STEPS = st.lists(
    st.tuples(
        st.sampled_from(["put", "put", "delete", "tell", "build", "stopped build"]),
        st.sets(st.integers(0, 11), min_size=1, max_size=5),
        st.integers(0, 3),  # few directions, so that there are ties
    ),
    max_size=12,
)


@given(_STEPS, st.integers(1, 5), st.booleans())
@settings(max_examples=120, deadline=None)
def test_after_any_changes_an_update_equals_a_rebuild(
    steps: list[tuple[str, set[int], int]],
    k: int,
    ties: bool,  # noqa: FBT001 - hypothesis gives it
) -> None:
    with tempfile.TemporaryDirectory() as folder, opened(Path(folder) / "shop") as shop:
        neighbours.build(shop, k=k)
        for turn, (what, numbers, seed) in enumerate(steps):
            ids = [f"{n:02d}" for n in sorted(numbers)]
            if what == "put":
                vectors = random_rows(len(ids), seed if ties else 100 + turn)
                items = [an_item(one, label=str(seed), group=f"g{seed}") for one in ids]
                shop.store.items.upsert(items, vectors)
            elif what == "delete":
                shop.store.items.delete(ids)
            elif what == "tell":
                there = shop.store.items.get(ids)
                shop.store.items.update([an_item(one, label="told") for one in there])
            elif what == "build":
                neighbours.build(shop)
            else:
                asked = iter([False] * seed)
                neighbours.build(shop, stop=lambda asked=asked: next(asked, True))  # type: ignore[misc]
            assert_as_searched(shop, k)
        report = neighbours.build(shop)
        assert report.waiting == 0
        assert table(shop, k) == plainly(shop, k)
        assert_as_searched(shop, k)
        again = neighbours.build(shop)
        assert (again.built, again.merged, again.kept) == (0, 0, len(shop))


def assert_as_searched(shop: Collection, k: int) -> None:
    """``similar`` answers as if there were no table, and what the table says is right.

    Of those that are level at the end of the answers a search may name any: there, scores only.
    """
    expected = plainly(shop, 99)
    for one, others in expected.items():
        hits = [(hit.item.id, hit.score) for hit in shop.similar(one, k=k, exact=True)]
        assert [score for _, score in hits] == [score for _, score in others[:k]]
        listed = shop.store.neighbours.get(one, k=k)
        if listed is not None:
            found = [(hit.item.id, hit.score) for hit in listed.hits]
            assert found == others[: len(found)]
            assert not listed.complete or len(found) == len(others)


# -- similar with the table ----------------------------------------------------------------------


@given(
    k=st.integers(1, 14),
    where=st.sampled_from([None, "label=a", "label=b", "label=nothing", "id<05 or label=a"]),
    per_group=st.booleans(),
    collapse=st.booleans(),
    include_self=st.booleans(),
    min_score=st.sampled_from([None, 0.2]),
    exact=st.booleans(),
    gone=st.sets(st.integers(1, 15), max_size=4),
    later=st.booleans(),
    seed=st.integers(0, 5),
)
@settings(max_examples=100, deadline=None)
def test_similar_answers_the_same_with_a_table_and_without(
    *,
    k: int,
    where: str | None,
    per_group: bool,
    collapse: bool,
    include_self: bool,
    min_score: float | None,
    exact: bool,
    gone: set[int],
    later: bool,
    seed: int,
) -> None:
    dice = np.random.default_rng(seed)
    with tempfile.TemporaryDirectory() as folder, opened(Path(folder) / "shop") as shop:
        items = [
            an_item(
                f"{n:02d}",
                label="ab"[int(dice.integers(2))],
                group=[None, "p", "q", "r"][int(dice.integers(4))],
                digest=f"{int(dice.integers(9)):064x}",
            )
            for n in range(16)
        ]
        shop.store.items.upsert(items, random_rows(16, seed))
        neighbours.build(shop, k=6)
        shop.store.items.delete([f"{n:02d}" for n in gone])
        if later:
            shop.store.items.upsert([an_item("later", label="a")], random_rows(1, 77))

        def answer() -> list[tuple[str, float]]:
            hits = shop.similar(
                "00",
                k=k,
                where=where,
                per_group=per_group,
                collapse=collapse,
                include_self=include_self,
                min_score=min_score,
                exact=exact,
            )
            return [(hit.item.id, hit.score) for hit in hits]

        by_table = answer()
        neighbours.drop(shop)
        assert by_table == answer()


def test_the_table_is_read_and_not_searched(
    shop: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    neighbours.build(filled(shop, 100), k=20)

    def search(*_args: object, **_options: object) -> list[object]:
        raise AssertionError("searched")

    monkeypatch.setattr(EmbeddedSearch, "nearest", search)
    assert len(shop.similar("0003", k=20)) == 20
    assert len(shop.similar("0003", k=3, where="label=odd")) == 3
    assert len(shop.similar("0003", k=4, per_group=True)) == 4
    shop.store.items.delete([shop.similar("0003", k=1)[0].item.id])
    assert len(shop.similar("0003", k=19)) == 19
    for options in ({"k": 20}, {"k": 15, "where": "label=odd"}):  # the list ends before
        with pytest.raises(AssertionError, match="searched"):
            shop.similar("0003", **options)
    shop.store.items.upsert([an_item("later")], random_rows(1))
    with pytest.raises(AssertionError, match="searched"):
        shop.similar("0003", k=1)
    with pytest.raises(ItemNotFoundError):
        shop.similar("nobody")


def test_a_small_collections_lists_are_complete(
    shop: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    neighbours.build(filled(shop, 5), k=20)
    monkeypatch.delattr(EmbeddedSearch, "nearest")
    assert len(shop.similar("0003", k=50)) == 4
    assert shop.similar("0003", k=5, where="label=nothing") == []


# -- through the graph ---------------------------------------------------------------------------


def test_past_a_size_the_store_proposes_and_exact_searches_do_not_believe_it(
    shop: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(neighbours, "EXACT_FLOATS", 4 * 100 * DIM)
    monkeypatch.setattr(neighbours, "_SEARCHES", 70)
    filled(shop, 500)
    report = neighbours.build(shop, k=5)
    state = shop.store.neighbours.state()
    assert (report.built, state.current, state.exact) == (500, 500, 0)
    assert table(shop, 5) == plainly(shop, 5)  # no graph yet at this size: all are looked at
    shop.store.items.delete(["0007", "0008"])
    shop.store.items.upsert([an_item(f"x{n}") for n in range(30)], random_rows(30, seed=9))
    report = neighbours.build(shop)
    assert report.merged
    assert table(shop, 5) == plainly(shop, 5)
    shop.store.items.upsert([an_item(f"y{n}") for n in range(200)], random_rows(200, seed=10))
    assert neighbours.build(shop).merged == 0  # too many at once: made anew
    assert table(shop, 5) == plainly(shop, 5)
    found = shop.store.neighbours.get("x1", k=3)
    assert found is not None
    assert shop.store.neighbours.get("x1", k=3, exact=True) is None


def test_lists_that_a_graph_proposed_are_nearly_those_of_all_items(
    shop: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both sizes lowered, so that 2,000 items are treated as a million are."""
    monkeypatch.setattr(neighbours, "EXACT_FLOATS", 0)
    monkeypatch.setattr(ann_cache, "EXACT_FLOATS", 0)
    filled(shop, 2000)
    report = neighbours.build(shop, k=10)
    assert shop.info().ann_index_rows == 2000  # the build has seen to it
    state = shop.store.neighbours.state()
    assert (report.built, state.current, state.exact) == (2000, 2000, 0)

    monkeypatch.undo()
    searched = {item_id: dict(near) for item_id, near in table(shop, 10).items()}
    neighbours.build(shop, rebuild=True)
    assert shop.store.neighbours.state().exact == 2000
    compared = table(shop, 10)
    found = [one in searched[item_id] for item_id, near in compared.items() for one, _ in near]
    assert np.mean(found) > 0.99
    for item_id, near in compared.items():
        for other, score in near:
            assert searched[item_id].get(other, score) == score  # what is found, is scored alike


# -- stopping, killing, two at once --------------------------------------------------------------


def test_a_stopped_build_keeps_what_it_did_and_the_next_goes_on(
    shop: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(neighbours, "_BLOCK", 50)
    filled(shop, 200)
    heard: list[Progress] = []
    report = neighbours.build(shop, k=5, progress=heard.append, stop=lambda: len(heard) >= 2)
    assert (report.built, report.waiting, report.interrupted) == (100, 100, True)
    report = neighbours.build(shop)
    assert (report.built, report.kept, report.waiting) == (100, 100, 0)
    assert table(shop, 5) == plainly(shop, 5)


def _building(folder: Path) -> None:
    neighbours._BLOCK = 16
    with opened(folder) as shop:
        neighbours.build(shop, k=10, rebuild=True)


def test_a_killed_build_leaves_a_table_that_is_right_and_goes_on(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    with opened(tmp_path / "shop") as shop:
        filled(shop, 3000)
        worker = context.Process(target=_building, args=(tmp_path / "shop",))
        worker.start()
        deadline = time.monotonic() + 60
        while not shop.store.neighbours.state().rows and time.monotonic() < deadline:
            time.sleep(0.005)
        assert worker.pid is not None
        os.kill(worker.pid, signal.SIGKILL)
        worker.join()
        before = shop.store.neighbours.state()
        assert before.rows
        assert shop.store.check() == []
        assert neighbours.build(shop).built == 3000 - before.rows
        some = {one: table(shop, 10)[one] for one in ("0000", "1500", "2999")}
        for one, others in some.items():
            hits = shop.store.search.nearest(shop.store.items.vectors([one]), k=11, exact=True)[0]
            expected = [(hit.item.id, hit.score) for hit in hits if hit.item.id != one]
            assert others == expected


def test_two_builds_at_once_and_writes_between_leave_it_right(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(neighbours, "_BLOCK", 16)
    with opened(tmp_path / "shop") as shop, opened(tmp_path / "shop") as other:
        filled(shop, 200)
        turn = 0

        def meanwhile(_progress: Progress) -> None:
            nonlocal turn
            turn += 1
            other.store.items.upsert([an_item(f"new{turn}")], random_rows(1, seed=turn))
            other.store.items.delete([f"{turn:04d}"])
            neighbours.build(other)

        neighbours.build(shop, k=5, progress=meanwhile)
        assert_as_searched(shop, 5)
        neighbours.build(shop)
        assert table(shop, 5) == plainly(shop, 5)
        assert_as_searched(other, 5)


def test_another_k_makes_all_lists_anew_and_drop_forgets(shop: Collection) -> None:
    neighbours.build(filled(shop, 50), k=5)
    assert neighbours.build(shop, k=8).built == 50
    assert neighbours.read_k(shop) == 8
    assert table(shop, 8) == plainly(shop, 8)
    assert table(shop, 5) == {}
    assert neighbours.build(shop, rebuild=True).built == 50
    neighbours.drop(shop)
    assert neighbours.read_k(shop) is None
    assert shop.store.neighbours.state().rows == 0
    with pytest.raises(ValueError, match="k is 0"):
        neighbours.build(shop, k=0)


# -- the decision, with literals -----------------------------------------------------------------


def test_changes_says_what_becomes_of_each_row() -> None:
    lists = NeighbourLists(
        keys=np.array([1, 2, 3, 4, 5]),
        marks=np.array([6, 6, 6, 7, 7]),
        exact=np.ones(5, np.bool_),
        near=np.array([[2, 3], [6, 3], [6, 0], [1, 5], [4, 0]]),
        scores=np.zeros((5, 2)),
    )
    change = neighbour_lists.find_changes(lists, np.array([1, 2, 3, 4, 7]))  # 5 and 6 have gone
    assert change.gone.tolist() == [False, False, False, False, True]
    assert change.again.tolist() == [False, True, False, True, False]
    assert change.shorter.tolist() == [False, False, True, False, False]
    assert change.behind.tolist() == [True, False, True, False, False]


def test_rows_far_apart_in_order_do_not_matter() -> None:
    vectors: Matrix = random_rows(40)
    stored = vectors.astype(np.float16).astype(np.float32)
    keys = np.arange(1, 41)
    one = neighbour_lists.VectorRows(keys, keys, stored)
    turned = neighbour_lists.VectorRows(keys[::-1], keys[::-1], stored[::-1])
    queries = unit_rows(stored)
    near, scores, _ = neighbour_lists.find_nearest(one, keys, queries, 4)
    again, scores_again, _ = neighbour_lists.find_nearest(turned, keys, queries, 4)
    assert near.tolist() == again.tolist()
    assert scores.tolist() == scores_again.tolist()


# -- the command line ----------------------------------------------------------------------------


def test_the_commands_build_tell_and_drop(shop: Collection, tmp_path: Path) -> None:
    filled(shop, 30)
    shop.close()

    def run(*words: str) -> str:
        done = CliRunner().invoke(neighbours_command, [*words, "-c", str(tmp_path / "shop")])
        assert done.exit_code == 0, done.output
        return done.stdout

    assert "no neighbour table" in run("info")
    assert "30 lists built, 0 updated, 0 unchanged" in run("build", "-k", "4", "-q")
    assert "0 lists built, 0 updated, 30 unchanged" in run("build", "-q")
    assert "4 for each of 30 of 30 items" in run("info")
    assert json.loads(run("info", "--json"))["k"] == 4
    assert json.loads(run("build", "--rebuild", "--json", "-q"))["built"] == 30
    assert run("drop") == "dropped\n"
    assert json.loads(run("info", "--json"))["k"] is None
