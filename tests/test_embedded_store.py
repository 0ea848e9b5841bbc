"""The embedded store: the contract with and without a graph, and what is particular to it."""

import multiprocessing
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contracts.store import DIM, StoreContract, an_item, random_rows, rows
from lookalike.core.filters import parse
from lookalike.core.keywords import match
from lookalike.core.records import SideRow
from lookalike.core.vectors import unit_rows
from lookalike.errors import (
    CollectionFormatError,
    CollectionNotFoundError,
    FolderInUseError,
    StoreBusyError,
    StoreDamagedError,
    StoreFullError,
)
from lookalike.indexing.missing import missing
from lookalike.stores.embedded import ann_cache, database, schema
from lookalike.stores.embedded.items import EmbeddedItems
from lookalike.stores.embedded.own_files import DATABASE
from lookalike.stores.embedded.store import EmbeddedStore
from lookalike.stores.embedded.where import where_sql


def opened(folder: Path) -> EmbeddedStore:
    store = EmbeddedStore.open(folder, create=True)
    store.bind(encoder="tiny", fingerprint="tiny-1", dim=DIM)
    return store


class TestEmbeddedStore(StoreContract):
    @pytest.fixture
    def store(self, tmp_path: Path) -> Iterator[EmbeddedStore]:
        store = opened(tmp_path / "shop")
        yield store
        store.close()

    @pytest.fixture
    def again(self, store: EmbeddedStore) -> Callable[[], EmbeddedStore]:
        return lambda: EmbeddedStore.open(store.folder)


class TestEmbeddedStoreThroughItsGraph(TestEmbeddedStore):
    """The same sentences where even eight rows are searched through the graph."""

    @pytest.fixture
    def store(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[EmbeddedStore]:
        monkeypatch.setattr(ann_cache, "EXACT_FLOATS", 2 * DIM)
        monkeypatch.setattr(ann_cache, "GROWTH_FLOATS", 2 * DIM)
        plain = EmbeddedItems.upsert

        def upsert_and_optimize(self: EmbeddedItems, *args: object) -> None:
            plain(self, *args)  # type: ignore[arg-type]
            ann_cache.AnnCache(self._db).optimize()

        monkeypatch.setattr(EmbeddedItems, "upsert", upsert_and_optimize)
        store = opened(tmp_path / "shop")
        yield store
        store.close()


@pytest.fixture
def graphed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[EmbeddedStore]:
    """A store of 1,000 items with a graph over them."""
    monkeypatch.setattr(ann_cache, "EXACT_FLOATS", 100 * DIM)
    monkeypatch.setattr(ann_cache, "GROWTH_FLOATS", 50 * DIM)
    store = opened(tmp_path / "shop")
    store.items.upsert([an_item(f"{number:04d}") for number in range(1000)], random_rows(1000))
    assert store.search.optimize()
    yield store
    store.close()


def graph_files(store: EmbeddedStore) -> list[Path]:
    return sorted(store.folder.glob("*.usearch"))


def recall(found: list[list[tuple[str, float]]], expected: list[list[tuple[str, float]]]) -> float:
    """The share of expected answers, with their very scores, that were found."""
    same = [len(set(one) & set(other)) for one, other in zip(found, expected, strict=True)]
    return sum(same) / sum(len(hits) for hits in expected)


def best(store: EmbeddedStore, *, exact: bool = False) -> list[list[tuple[str, float]]]:
    found = store.search.nearest(random_rows(20, seed=9), k=10, exact=exact)
    return [[(hit.item.id, hit.score) for hit in hits] for hits in found]


def test_the_graph_finds_what_exact_search_finds(graphed: EmbeddedStore) -> None:
    assert graphed.search.ann.current() is not None
    assert recall(best(graphed), best(graphed, exact=True)) >= 0.95


def test_rows_newer_than_the_graph_are_found_at_once(graphed: EmbeddedStore) -> None:
    vector = random_rows(1, seed=77)
    graphed.items.upsert([an_item("fresh")], vector)
    assert graphed.search.nearest(vector, k=1)[0][0].item.id == "fresh"
    assert not graphed.search.optimize()  # one row is not worth a new graph
    more = random_rows(60, seed=78)
    graphed.items.upsert([an_item(f"more-{number}") for number in range(60)], more)
    assert graphed.search.optimize()
    assert len(graph_files(graphed)) == 1
    assert graphed.search.nearest(more[:1], k=1)[0][0].item.id == "more-0"
    assert graphed.facts()["ann_index_rows"] == 1061


def test_a_graph_that_many_rows_have_left_is_built_anew(graphed: EmbeddedStore) -> None:
    graphed.items.delete([f"{number:04d}" for number in range(300)])
    assert graphed.search.optimize()
    assert graphed.facts()["ann_index_rows"] == 700


def test_a_collection_that_becomes_small_drops_its_graph(graphed: EmbeddedStore) -> None:
    graphed.items.delete([f"{number:04d}" for number in range(950)])
    assert graphed.search.optimize()
    assert graph_files(graphed) == []
    assert len(graphed.search.nearest(random_rows(1), k=99)[0]) == 50


@pytest.mark.parametrize("harm", ["deleted", "truncated", "emptied", "garbled"])
def test_a_harmed_graph_costs_no_answer_and_is_rebuilt_from_the_rows(
    graphed: EmbeddedStore, harm: str
) -> None:
    expected = best(graphed, exact=True)
    graphed.close()
    (file,) = graph_files(graphed)
    if harm == "deleted":
        file.unlink()
    elif harm == "truncated":
        os.truncate(file, file.stat().st_size // 2)
    elif harm == "emptied":
        file.write_bytes(b"")
    else:
        content = bytearray(file.read_bytes())
        content[:64] = bytes(64)
        file.write_bytes(content)
    store = EmbeddedStore.open(graphed.folder)
    assert best(store) == expected
    assert any("ANN index" in problem for problem in store.check())
    assert any("rebuilt" in problem for problem in store.check(repair=True))
    assert store.check() == []
    assert store.search.ann.current() is not None
    assert recall(best(store), expected) >= 0.95
    store.close()


def test_a_graph_of_another_version_is_not_opened(graphed: EmbeddedStore) -> None:
    record = graphed.settings.get("graph")
    assert isinstance(record, dict)
    (file,) = graph_files(graphed)
    file.write_bytes(b"usearch\x01\x00" + os.urandom(2000))
    graphed.settings.set("graph", {**record, "bytes": file.stat().st_size})
    graphed.close()
    store = EmbeddedStore.open(graphed.folder)
    assert store.search.ann.current() is None
    assert store.search.optimize()
    assert store.search.ann.current() is not None
    store.close()


def test_a_collection_can_be_moved_as_a_folder(graphed: EmbeddedStore, tmp_path: Path) -> None:
    expected = best(graphed)
    graphed.close()
    shutil.move(graphed.folder, tmp_path / "moved")
    moved = EmbeddedStore.open(tmp_path / "moved")
    assert best(moved) == expected
    assert moved.check() == []
    moved.close()


@given(
    st.lists(
        st.tuples(st.sampled_from(["put", "drop", "optimize"]), st.integers(0, 30)), max_size=40
    )
)
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_any_history_answers_like_a_dictionary(
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
    history: list[tuple[str, int]],
) -> None:
    monkeypatch.setattr(ann_cache, "EXACT_FLOATS", 5 * DIM)
    monkeypatch.setattr(ann_cache, "GROWTH_FLOATS", 3 * DIM)
    store = opened(tmp_path_factory.mktemp("history"))
    model: dict[str, np.ndarray[tuple[int], np.dtype[np.float32]]] = {}
    query = random_rows(1, seed=1000)
    for step, (what, number) in enumerate(history):
        if what == "put":
            vector = random_rows(1, seed=step)
            store.items.upsert([an_item(str(number))], vector)
            model[str(number)] = vector[0]
        elif what == "drop":
            assert store.items.delete([str(number)]) == (model.pop(str(number), None) is not None)
        else:
            store.search.optimize()
        expected = sorted(((-(query[0] @ one), name) for name, one in model.items()))[:5]
        (hits,) = store.search.nearest(query, k=5)
        np.testing.assert_allclose(
            [hit.score for hit in hits], [-score for score, _ in expected], atol=3e-3
        )
    store.close()


def test_large_unheld_collections_are_searched_in_flat_memory(
    graphed: EmbeddedStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = best(graphed, exact=True)
    monkeypatch.setattr(database, "CHUNK", 7)
    graphed.settings.set("graph", None)
    assert graphed.search.vectors.resident(0) is None
    assert best(graphed) == expected


def test_rows_that_have_gone_leave_memory(tmp_path: Path) -> None:
    """A service stays open while pictures come and go."""
    with closing(opened(tmp_path / "shop")) as store:
        for turn in range(20):
            ids = [f"{turn}-{number}" for number in range(40)]
            store.items.upsert([an_item(one) for one in ids], random_rows(40, seed=turn))
            store.items.delete([f"{turn - 1}-{number}" for number in range(40)])
            store.search.nearest(random_rows(1, seed=99), k=1)
            resident = store.search.vectors.resident(0)
            assert resident is not None
            assert len(resident) < 400


# -- processes, faults ---------------------------------------------------------------------


def _write_forever(folder: str) -> None:
    store = EmbeddedStore.open(Path(folder))
    number = 0
    while True:
        items = [an_item(f"{number}-{part}") for part in range(8)]
        store.items.upsert(items, random_rows(8, seed=number))
        number += 1


def test_killing_a_writer_at_any_moment_loses_nothing_committed(tmp_path: Path) -> None:
    store = opened(tmp_path / "shop")
    context = multiprocessing.get_context("spawn")
    seen = 0
    for round_ in range(12):
        writer = context.Process(target=_write_forever, args=(str(store.folder),))
        writer.start()
        deadline = time.monotonic() + 30
        start = store.search.count()
        while store.search.count() < start + 8 * (round_ % 4) + 1 and time.monotonic() < deadline:
            time.sleep(0.003 * round_ / 10)
        before = store.search.count()
        assert writer.pid is not None
        os.kill(writer.pid, signal.SIGKILL)
        writer.join()
        after = store.search.count()
        assert after >= before
        assert after % 8 == 0  # a batch is there whole or not at all
        assert after >= seen
        seen = after
        assert store.check() == []
        for number in range(after // 8):
            store.items.vectors([f"{number}-{part}" for part in range(8)])
        store.items.delete([item.id for item in store.items.scan()])
        seen = 0
    store.close()


def test_a_full_disk_is_said_and_loses_nothing(tmp_path: Path) -> None:
    store = opened(tmp_path / "shop")
    store.items.upsert([an_item("a")], random_rows(1))
    pages = store.database.connection.execute("PRAGMA page_count").fetchone()[0]
    store.database.connection.execute(f"PRAGMA max_page_count = {pages + 1}")
    many = [an_item(f"{number}", metadata={"text": "x" * 5000}) for number in range(50)]
    with pytest.raises(StoreFullError, match="no space"):
        store.items.upsert(many, random_rows(50))
    assert [item.id for item in store.items.scan()] == ["a"]
    store.database.connection.execute("PRAGMA max_page_count = 100000")
    store.items.upsert(many, random_rows(50))
    assert store.search.count() == 51
    store.close()


_READ_ONLY = """
import os, sys; from pathlib import Path
import usearch.index
from lookalike.errors import StoreReadOnlyError
from lookalike.stores.embedded.store import EmbeddedStore
if os.geteuid() == 0:
    os.setuid(65534)  # root may write anywhere
store = EmbeddedStore.open(Path(sys.argv[1]))
print(store.read_only, store.search.count(), end=" ")
print(len(store.search.nearest(store.items.vectors(["a"]), k=1)[0]))
try:
    store.items.delete(["a"])
except StoreReadOnlyError as error:
    print(error)
"""


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="permissions are POSIX here")
def test_a_read_only_folder_can_be_searched_but_not_written(tmp_path: Path) -> None:
    store = opened(tmp_path / "shop")
    store.items.upsert([an_item("a")], random_rows(1))
    store.close()
    for part in (tmp_path, *tmp_path.parents[:3]):
        part.chmod(0o755)
    store.folder.chmod(0o555)
    (store.folder / DATABASE).chmod(0o444)
    try:
        done = subprocess.run(
            [sys.executable, "-c", _READ_ONLY, str(store.folder)],
            capture_output=True,
            text=True,
            check=False,
        )
    finally:
        store.folder.chmod(0o755)
    assert done.stderr == ""
    assert done.stdout.splitlines() == [
        "True 1 1",
        f"{store.folder} may be read but not written",
    ]


def test_a_folder_that_cannot_be_made_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(FolderInUseError, match="is a file, or lies below one"):
        EmbeddedStore.open(tmp_path / "file" / "shop", create=True)


def test_another_process_that_holds_the_store_is_said(
    tmp_path: Path,
) -> None:
    store = opened(tmp_path / "shop")
    other = sqlite3.connect(store.folder / DATABASE, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    store.database.connection.execute("PRAGMA busy_timeout = 50")
    with pytest.raises(StoreBusyError, match="another process"):
        store.items.upsert([an_item("a")], random_rows(1))
    other.execute("ROLLBACK")
    other.close()
    store.items.upsert([an_item("a")], random_rows(1))
    store.close()


def test_what_is_no_collection_is_not_opened(tmp_path: Path) -> None:
    with pytest.raises(CollectionNotFoundError, match="no collection in"):
        EmbeddedStore.open(tmp_path)
    (tmp_path / DATABASE).write_bytes(b"this is a text, not a database" * 100)
    with pytest.raises(StoreDamagedError, match="not an SQLite database"):
        EmbeddedStore.open(tmp_path)
    (tmp_path / DATABASE).unlink()
    foreign = sqlite3.connect(tmp_path / DATABASE)
    foreign.execute("CREATE TABLE theirs (a)")
    foreign.commit()
    foreign.close()
    with pytest.raises(CollectionFormatError, match="another program"):
        EmbeddedStore.open(tmp_path)


def test_a_collection_of_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    store = opened(tmp_path / "shop")
    store.database.connection.execute(f"PRAGMA user_version = {schema.VERSION + 1}")
    store.close()
    with pytest.raises(CollectionFormatError, match="upgrade lookalike"):
        EmbeddedStore.open(store.folder)


def test_damaged_pages_are_reported_by_check(tmp_path: Path) -> None:
    store = opened(tmp_path / "shop")
    store.items.upsert([an_item(f"{number}") for number in range(2000)], random_rows(2000))
    store.close()
    path = store.folder / DATABASE
    content = bytearray(path.read_bytes())
    middle = len(content) // 2 // 16384 * 16384
    content[middle : middle + 16384] = os.urandom(16384)
    path.write_bytes(content)
    harmed = EmbeddedStore.open(store.folder)
    assert any("restore" in problem for problem in harmed.check())
    harmed.close()


def test_items_without_vectors_keep_their_words_and_are_marked(tmp_path: Path) -> None:
    store = opened(tmp_path / "shop")
    store.items.upsert([an_item("a"), an_item("b"), an_item("c")], random_rows(3))
    store.database.connection.execute("DELETE FROM vectors WHERE seq = 1")
    store.database.connection.execute("UPDATE vectors SET vector = x'00' WHERE seq = 2")
    assert store.check() == [
        "1 item has no vector (a)",
        "1 vector has the wrong length (b)",
    ]
    assert all("`lookalike index` encodes" in problem for problem in store.check(repair=True))
    assert store.check() == [
        "2 items wait (a, b) for the next `lookalike index` to be encoded again"
    ]
    assert [item.id for item in store.items.scan()] == ["a", "b", "c"]
    store.close()


@pytest.mark.parametrize(
    "dump", sorted((Path(__file__).parent / "formats").iterdir()), ids=lambda dump: dump.stem
)
def test_every_released_format_opens(dump: Path, tmp_path: Path) -> None:
    """The fixtures are dumps of a format; migrations must keep its items and answers."""
    folder = tmp_path / "shop"
    folder.mkdir()
    db = sqlite3.connect(folder / DATABASE)
    db.executescript(dump.read_text(encoding="utf-8"))
    db.close()
    store = EmbeddedStore.open(folder)
    assert [(item.id, item.label) for item in store.items.scan()] == [
        ("a.jpg", "mug"),
        ("b.jpg", None),
    ]
    assert store.items.get(["a.jpg"])["a.jpg"].metadata == {"price": 5}
    (hits,) = store.search.nearest(rows((1, 0)), k=2)
    assert [(hit.item.id, round(hit.score, 3)) for hit in hits] == [("a.jpg", 1.0), ("b.jpg", 0.0)]
    store.search.declare("price")
    assert store.search.count(parse("price=5")) == 1
    listed = store.neighbours.get("a.jpg", k=2)
    assert (listed is None) == (dump.stem == "1")  # later ones hold a table
    assert listed is None or [hit.item.id for hit in listed.hits] == ["b.jpg"]
    kept = store.table("by_hand").get(["a.jpg"])
    assert bool(kept) == (int(dump.stem) >= 5)
    assert [one.item.label for one in missing(store)] == ["jug"] * bool(kept)
    store.table("by_hand").put([SideRow(id="b.jpg", value={"label": "cup"})])
    assert store.table("by_hand").get(["b.jpg"])["b.jpg"].value == {"label": "cup"}
    for text, one in (("mugs", "a.jpg"), ("5", "a.jpg"), ("b", "b.jpg")):
        assert [hit.item.id for hit in match(store.keywords, text, k=2).hits] == [one]
    assert store.check() == []
    store.close()


def test_a_declared_field_is_looked_up_not_walked(tmp_path: Path) -> None:
    store = opened(tmp_path / "shop")
    store.search.declare("price")
    for condition in ("price=5", "price<5", 'price in (1, "two")', "label=mug"):
        sql, values = where_sql(parse(condition), store.search.declared())
        select = f"EXPLAIN QUERY PLAN SELECT seq FROM items WHERE {sql}"  # noqa: S608 - compiled
        plan = " ".join(row[3] for row in store.database.read(select, values))
        assert "INDEX" in plan
        assert "SCAN" not in plan
    store.close()


def test_a_migration_that_fails_leaves_the_old_format(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = opened(tmp_path / "shop")
    store.items.upsert([an_item("a")], random_rows(1))
    store.close()

    def broken(db: sqlite3.Connection) -> None:
        db.execute("DELETE FROM items")
        raise RuntimeError("power cut")

    monkeypatch.setattr(schema, "MIGRATIONS", (*schema.MIGRATIONS, broken))
    monkeypatch.setattr(schema, "VERSION", schema.VERSION + 1)
    with pytest.raises(RuntimeError, match="power cut"):
        EmbeddedStore.open(store.folder)
    monkeypatch.undo()
    store = EmbeddedStore.open(store.folder)
    assert store.search.count() == 1
    store.close()


def test_stored_vectors_are_close_to_what_was_given(tmp_path: Path) -> None:
    store = opened(tmp_path / "shop")
    vectors = unit_rows(np.abs(np.random.default_rng(0).normal(size=(100, DIM))))
    store.items.upsert([an_item(f"{number:03d}") for number in range(100)], vectors)
    back = store.items.vectors([f"{number:03d}" for number in range(100)])
    assert np.max(1 - (back * vectors).sum(axis=1)) < 1e-6
    store.close()


def test_words_that_another_program_changes_are_found_by_the_next_search(tmp_path: Path) -> None:
    store = opened(tmp_path / "shop")
    store.items.upsert([an_item("a", label="mug"), an_item("b")], random_rows(2))
    with closing(sqlite3.connect(tmp_path / "shop" / DATABASE)) as db, db:
        db.execute("UPDATE items SET label = 'cup' WHERE id = 'a'")
        db.execute("DELETE FROM items WHERE id = 'b'")
    assert match(store.keywords, "mug", k=1).hits == []
    assert match(store.keywords, "cup", k=1).hits[0].item.id == "a"
    store.close()


def test_a_collection_that_may_only_be_read_says_how_many_items_lack_their_words(
    tmp_path: Path,
) -> None:
    store = opened(tmp_path / "shop")
    store.items.upsert([an_item("a", label="mug"), an_item("b", label="mug")], random_rows(2))
    store.database.connection.execute("UPDATE items SET label = 'old mug' WHERE id = 'a'")
    store.database.read_only = True
    matches = match(store.keywords, "mug", k=2)
    assert [hit.item.id for hit in matches.hits] == ["b"]
    assert matches.lacking == 1
    store.database.read_only = False
    assert store.search.optimize()
    store.database.read_only = True
    assert [hit.item.id for hit in match(store.keywords, "mug", k=2).hits] == ["a", "b"]
    store.close()


def test_an_item_whose_metadata_cannot_be_read_waits_for_its_words(tmp_path: Path) -> None:
    store = opened(tmp_path / "shop")
    store.items.upsert([an_item("a", label="mug"), an_item("b", label="mug")], random_rows(2))
    store.database.connection.execute("UPDATE items SET metadata = 'no JSON' WHERE id = 'a'")
    matches = match(store.keywords, "mug", k=2)
    assert ([hit.item.id for hit in matches.hits], matches.lacking) == (["b"], 1)
    store.check(repair=True)
    assert [hit.item.id for hit in match(store.keywords, "mug", k=2).hits] == ["a", "b"]
    store.close()


def test_words_that_are_lost_are_noticed_and_written_anew(tmp_path: Path) -> None:
    store = opened(tmp_path / "shop")
    store.items.upsert([an_item("a", label="mug"), an_item("b", label="mug")], random_rows(2))
    store.database.connection.execute("DELETE FROM item_words WHERE rowid = 1")
    store.database.connection.execute("INSERT INTO item_words (rowid, label) VALUES (99, 'mug')")
    assert store.check() == [
        "1 item is not found by its words (a)",
        "1 row of words has no item (row 99)",
    ]
    assert all(one.endswith(("written again", "removed")) for one in store.check(repair=True))
    assert store.check() == []
    assert [hit.item.id for hit in match(store.keywords, "mug", k=3).hits] == ["a", "b"]
    store.close()
