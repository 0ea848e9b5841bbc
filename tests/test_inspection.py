"""`doctor` on a folder: what is wrong is found and mended, and nobody's words are lost."""

import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.store import an_item, random_rows, small
from lookalike.core.filters import parse
from lookalike.encoders import OnnxEncoder
from lookalike.errors import StoreDamagedError
from lookalike.indexing.fitting import EncoderBinding
from lookalike.indexing.folder_indexing import index_folder
from lookalike.stores.embedded.own_files import DATABASE
from lookalike.stores.embedded.store import EmbeddedStore
from lookalike.stores.problems import digest_awaiting, sentence

DIM = 8
COUNT = 6


def begun(folder: Path) -> EmbeddedStore:
    store = EmbeddedStore.open(folder, create=True)
    store.bind(encoder="tiny", fingerprint="tiny-1", dim=DIM)
    store.search.declare("price")
    items = [
        an_item(f"{number}", label=f"l{number}", metadata={"price": number, "tags": ["new"]})
        for number in range(COUNT)
    ]
    store.items.upsert(items, random_rows(COUNT), [small(b"1")] * COUNT)
    return store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[EmbeddedStore]:
    made = begun(tmp_path / "shop")
    yield made
    made.close()


def harm(store: EmbeddedStore, *statements: str) -> None:
    db = sqlite3.connect(store.folder / DATABASE)
    for one in statements:
        db.execute(one)
    db.commit()
    db.close()


def vector_of(*values: float) -> str:
    """A statement that stores these numbers as a vector."""
    text = np.array(values, "<f2").tobytes().hex()
    return f"UPDATE vectors SET vector = x'{text}' WHERE seq = 2"  # noqa: S608 - a test's own


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("DELETE FROM vectors WHERE seq = 2", "1 item has no vector (1)"),
        ("UPDATE vectors SET vector = x'00ff' WHERE seq = 2", "1 vector has the wrong length (1)"),
        ("UPDATE vectors SET vector = 'text' WHERE seq = 2", "1 vector has the wrong length (1)"),
        (
            vector_of(*[0] * DIM),
            "1 vector is not a unit vector (1)",
        ),
        (
            vector_of(np.nan, *[0] * (DIM - 1)),
            "1 vector is not a unit vector (1)",
        ),
        (
            vector_of(np.inf, *[0] * (DIM - 1)),
            "1 vector is not a unit vector (1)",
        ),
        ("UPDATE items SET digest = x'12' WHERE seq = 2", "1 item has an invalid digest (1)"),
        ("UPDATE items SET width = 'wide' WHERE seq = 2", "1 item has an invalid digest (1)"),
    ],
)
def test_an_item_that_must_be_encoded_again_keeps_its_words(
    store: EmbeddedStore, statement: str, words: str
) -> None:
    before = {item.id: item for item in store.items.scan()}
    harm(store, statement)
    assert store.check() == [words]
    (done,) = store.check(repair=True)
    assert done == f"{words}; marked: `lookalike index` encodes them again"
    (waiting,) = store.check()
    assert waiting == "1 item waits (1) for the next `lookalike index` to be encoded again"
    after = {item.id: item for item in store.items.scan()}
    assert after.keys() == before.keys()
    kept = after.pop("1")
    assert (kept.label, kept.metadata) == ("l1", {"price": 1, "tags": ["new"]})
    assert (kept.digest, kept.stamp) == (digest_awaiting("1"), None)
    assert after == {one: item for one, item in before.items() if one != "1"}
    assert len(store.search.nearest(random_rows(1), k=COUNT)[0]) >= COUNT - 1
    assert store.items.with_digest([before["1"].digest]).get(before["1"].digest) != "1"
    store.items.upsert([before["1"]], random_rows(1))
    assert store.check() == []


@pytest.mark.parametrize(
    ("statements", "words"),
    [
        (("INSERT INTO vectors VALUES (99, x'00')",), "1 vector has no item"),
        (("INSERT INTO thumbnails VALUES (99, 1, 1)",), "1 thumbnail has no item"),
        (("INSERT INTO thumbnail_jpegs VALUES (99, x'00')",), "1 thumbnail has no item"),
        (("DELETE FROM thumbnail_jpegs WHERE seq = 2",), "1 thumbnail is not whole"),
        (("INSERT INTO neighbours VALUES (99, 99, 3, 1)",), "1 list of neighbours has no item"),
        (("INSERT INTO neighbours VALUES (2, 99, 3, 1)",), "1 list of neighbours is not whole"),
        (
            (
                "INSERT INTO neighbours VALUES (2, 99, 3, 1)",
                "INSERT INTO neighbour_lists VALUES (2, x'0011')",
            ),
            "1 list of neighbours is damaged",
        ),
        (("DELETE FROM field_values WHERE seq = 2",), "1 item is indexed with other values (1)"),
        (
            ("UPDATE field_values SET value = 7 WHERE seq = 2",),
            "1 item is indexed with other values",
        ),
        (
            ("INSERT INTO field_values VALUES (99, 'price', 'integer', 1)",),
            "1 item is indexed with",
        ),
    ],
)
def test_what_hangs_on_items_is_mended(
    store: EmbeddedStore, statements: tuple[str, ...], words: str
) -> None:
    before = list(store.items.scan())
    harm(store, *statements)
    assert any(problem.startswith(words) for problem in store.check()), store.check()
    store.check(repair=True)
    store.check(repair=True)  # the other half of a pair
    assert store.check() == []
    assert list(store.items.scan()) == before
    assert [item.id for item in store.items.scan(parse("price=1"))] == ["1"]


@pytest.mark.parametrize("text", ["not json", "[1, 2]", "12", "{"])
def test_metadata_that_cannot_be_read_are_kept_as_text(store: EmbeddedStore, text: str) -> None:
    store.search.undeclare("price")  # else SQLite itself refuses such a text
    harm(store, f"UPDATE items SET metadata = '{text}' WHERE seq = 2")  # noqa: S608
    assert store.check() == ["1 item has metadata that is not a JSON object (1)"]
    with pytest.raises(StoreDamagedError, match="the metadata of item '1'"):
        list(store.items.scan())
    store.check(repair=True)
    assert store.check() == []
    assert store.items.get(["1"])["1"].metadata == {"unreadable": text}


def test_a_setting_that_is_no_json_is_named(store: EmbeddedStore) -> None:
    harm(store, "INSERT INTO settings VALUES ('calibration', '{broken')")
    (problem,) = store.check(repair=True)
    assert problem.startswith("1 setting is not JSON (calibration)")
    with pytest.raises(StoreDamagedError, match="calibration"):
        store.settings.get("calibration")


def test_a_vector_that_is_missing_is_named_by_whoever_asks_for_it(store: EmbeddedStore) -> None:
    harm(store, "DELETE FROM vectors WHERE seq = 2")
    with pytest.raises(StoreDamagedError, match="item '1' has no vector"):
        store.items.vectors(["0", "1"])


def test_index_encodes_again_what_was_marked_and_keeps_what_was_said(
    tmp_path: Path, tiny: OnnxEncoder, pictures: Path
) -> None:
    store = EmbeddedStore.open(tmp_path / "shop", create=True)
    store.bind(encoder=tiny.name, fingerprint=tiny.fingerprint, dim=tiny.dim)
    index_folder(store, EncoderBinding(store=store, open_encoder=lambda: tiny), pictures)
    item = store.items.get(["3.png"])["3.png"]
    store.items.update([replace(item, label="mine", metadata={"price": 3})])
    vector = store.items.vectors(["3.png"])
    harm(store, "DELETE FROM vectors WHERE seq = (SELECT seq FROM items WHERE id = '3.png')")
    store.check(repair=True)
    report = index_folder(store, EncoderBinding(store=store, open_encoder=lambda: tiny), pictures)
    assert (report.indexed, report.unchanged, report.removed) == (1, 8, 0)
    assert store.check() == []
    again = store.items.get(["3.png"])["3.png"]
    assert (again.label, again.metadata, again.digest) == ("mine", {"price": 3}, item.digest)
    np.testing.assert_array_equal(store.items.vectors(["3.png"]), vector)
    store.close()


_HARMS = (
    "DELETE FROM vectors WHERE seq = {}",
    "UPDATE vectors SET vector = x'00' WHERE seq = {}",
    "UPDATE vectors SET vector = zeroblob(16) WHERE seq = {}",
    "UPDATE items SET digest = x'' WHERE seq = {}",
    "UPDATE items SET height = -1 WHERE seq = {}",
    "DELETE FROM field_values WHERE seq = {}",
    "DELETE FROM thumbnails WHERE seq = {}",
    "DELETE FROM thumbnail_jpegs WHERE seq = {}",
    "INSERT OR REPLACE INTO neighbours VALUES ({}, 1, 1, 1)",
    "INSERT OR REPLACE INTO neighbour_lists VALUES ({}, x'00')",
)


@settings(max_examples=25, deadline=None)
@given(harms=st.lists(st.tuples(st.sampled_from(_HARMS), st.integers(1, COUNT)), max_size=8))
def test_whatever_was_harmed_no_item_and_no_word_is_lost(
    harms: list[tuple[str, int]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    store = begun(tmp_path_factory.mktemp("harmed") / "shop")
    said = {item.id: (item.label, item.metadata) for item in store.items.scan()}
    harm(store, *(statement.format(seq) for statement, seq in harms))
    store.check(repair=True)
    store.check(repair=True)
    assert all("for the next `lookalike index`" in problem for problem in store.check())
    assert {item.id: (item.label, item.metadata) for item in store.items.scan()} == said
    store.close()


def test_a_sentence_names_how_many_and_some() -> None:
    assert sentence("item is", "items are", ["a"]) == "1 item is (a)"
    told = sentence("item is", "items are", [f"{one}" for one in range(1200)], done="mended")
    assert told == "1,200 items are (0, 1, 2, 3, 4, …); mended"
