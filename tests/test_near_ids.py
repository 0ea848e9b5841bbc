"""An id that no item has leads to those that it may stand for."""

from pathlib import Path

from lookalike.core.near_ids import near_ids
from lookalike.core.roots import Root


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
