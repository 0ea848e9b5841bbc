"""An id that no item has leads to those that it may stand for."""

from pathlib import Path

import numpy as np
import pytest

from lookalike.core.near_ids import item_not_found, near_ids
from lookalike.core.records import Item
from lookalike.core.roots import Root
from lookalike.core.vectors import unit_rows
from memory_store import MemoryStore


def test_a_file_name_leads_to_the_stem_and_a_stem_to_file_names() -> None:
    assert near_ids("10245.jpg", [])[0] == "10245"
    assert "10245.jpg" in near_ids("10245", [])


def test_a_path_leads_to_its_ends() -> None:
    found = near_ids("photos/2024/cat.jpg", [])
    assert {"2024/cat.jpg", "cat.jpg", "cat"} <= set(found)
    assert "photos/2024/cat.jpg" not in found


def test_the_path_of_an_indexed_file_leads_to_the_id_that_its_root_gives_it(
    tmp_path: Path,
) -> None:
    roots = [
        Root(name="", path=tmp_path / "other"),
        Root(name="shoes", path=(tmp_path / "a").resolve()),
    ]
    assert near_ids(str(tmp_path / "a" / "b" / "c.png"), roots)[0] == "shoes/b/c.png"


def test_anything_may_be_given_and_few_ids_are_looked_up() -> None:
    for given in ("", "/", ".", "..", "a\0b", "~nobody/x", "x" * 5000, "a/" * 500):
        found = near_ids(given, [])
        assert given not in found
        assert len(found) < 200


@pytest.mark.parametrize(
    ("given", "near"),
    [
        ("mug-007.jpg", "'shop/mug-007-front.jpg'"),
        ("shop/mug-7-front.jpg", "'shop/mug-007-front.jpg'"),
        ("shop/sneekers-red.jpg", "'shop/sneakers-red.jpg'"),
        ("no such thing", ""),
        ("", ""),
        ("x" * 5000, ""),
    ],
)
def test_a_mistyped_id_leads_to_similar_ones(given: str, near: str) -> None:
    store = MemoryStore({}, "shop", create=True)
    store.bind(encoder="drawn", fingerprint="drawn", dim=2)
    ids = [f"shop/mug-{n:03}-front.jpg" for n in range(200)] + ["shop/sneakers-red.jpg"]
    items = [Item(id=one, digest="0", width=1, height=1) for one in ids]
    store.items.upsert(items, unit_rows(np.ones((len(ids), 2))))
    message = str(item_not_found(store, given))
    assert message.startswith(f"there is no item {given!r}")
    assert near in message
    assert ("did you mean" in message) == bool(near)
