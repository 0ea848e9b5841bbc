"""An id is text that nobody on its way takes for something else, or it is refused when given."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import lookalike
from hostile import photo, saved
from lookalike.core.ids import LONGEST, alternative, check_id, id_from_name, id_problem, is_text
from lookalike.core.records import Entry
from lookalike.errors import InvalidIdError, ItemNotFoundError

PNG = saved(photo(seed=1), "PNG")
BAD = {
    "": "is empty",
    " \t": "is empty",
    ".": "a part",
    "..": "a part",
    "a/../b": "a part",
    "a/./b": "a part",
    "../a": "a part",
    "a/..": "a part",
    "%2e%2e": "a part",
    ".%2E": "a part",
    "a%2f..%2fb": "a part",
    "%252e%252e": "a part",
    "a\\..\\b": "a part",
    "a%5C..": "a part",
    "..;jsessionid=1": "a part",
    "a/.. /b": "a part",
    "/abs": "slash",
    "abs/": "slash",
    "\\\\host\\share": "slash",
    " a": "space",
    "a ": "space",
    "\u3000a": "space",
    "a\0b": "control character",
    "a\nb": "control character",
    "a\x7fb": "control character",
    "a\x85b": "control character",
    "a\u2028b": "control character",
    "a\ud800b": "surrogate",
    "x" * (LONGEST + 1): "longer than",
    "é" * (LONGEST // 2 + 1): "longer than",
}
GOOD = ("a.jpg", "2024/cat.jpg", "a//b", "...", "a..b", "..a", "100%.png", "a%2Fb", "https://x/y")


@pytest.mark.parametrize(("one", "why"), BAD.items(), ids=map(ascii, BAD))
def test_an_id_that_could_be_a_trick_is_refused(one: str, why: str) -> None:
    assert why in str(id_problem(one))
    with pytest.raises(InvalidIdError, match="give another one"):
        check_id(one)


@pytest.mark.parametrize("one", [*GOOD, "鞋 👟", "a b", "x" * LONGEST, "#?&=+", "C:/a", "-"])
def test_any_other_text_is_an_id(one: str) -> None:
    assert id_problem(one) is None


@given(st.text())
def test_every_file_name_gives_an_id(name: str) -> None:
    made = id_from_name(name, suffix=".png")
    assert id_problem(made) is None
    assert id_from_name(made, suffix=".png") == made


@pytest.mark.parametrize(
    ("name", "made"),
    [
        ("image.jpg", "image.jpg"),
        ("2024/cat.jpg", "2024/cat.jpg"),
        ("C:\\Users\\me\\cat.jpg", "Users/me/cat.jpg"),
        ("../../etc/passwd", "etc/passwd"),
        ("/abs/a\nb.jpg ", "abs/ab.jpg"),
        ("..", "image.png"),
        ("", "image.png"),
    ],
)
def test_a_file_name_becomes_an_id_as_it_is_but_for_what_none_can_have(
    name: str, made: str
) -> None:
    assert id_from_name(name, suffix=".png") == made


def test_a_long_file_name_keeps_its_suffix() -> None:
    made = id_from_name("é" * 3000 + ".jpg", suffix=".png")
    assert made.endswith("é.jpg")
    assert LONGEST - 1 <= len(made.encode()) <= LONGEST


@given(st.text(), st.text("0123456789abcdef", min_size=64, max_size=64), st.integers(1, 8))
def test_another_id_for_a_name_is_an_id_and_tells_contents_apart(
    name: str, digest: str, attempt: int
) -> None:
    first = id_from_name(name, suffix=".png")
    other = alternative(first, digest, attempt)
    assert id_problem(other) is None
    assert other != first
    assert digest[: 8 * attempt] in other
    assert alternative(first, digest, 0) == first
    assert alternative("a/b.c/image.jpg", digest, 1) == f"a/b.c/image-{digest[:8]}.jpg"


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory, card: Path) -> lookalike.Collection:
    return lookalike.open(tmp_path_factory.mktemp("ids") / "shop", encoder=card, create=True)


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.differing_executors])
@given(one=st.text() | st.sampled_from([*BAD, *GOOD]))
def test_any_text_is_refused_or_an_id_that_finds_its_item(
    shop: lookalike.Collection, one: str
) -> None:
    if "a" not in shop:
        shop.add("a", PNG)
    before = list(shop)
    problem = id_problem(one)
    if problem is not None:
        with pytest.raises(InvalidIdError):
            shop.add(one, PNG)
        report = shop.index([Entry(id=one, image=PNG), Entry(id="a", image=PNG)])
        assert (report.indexed, report.reused, report.unchanged) == (0, 0, 1)
        assert problem in report.skipped[0].reason
        assert one not in shop
        with pytest.raises(ItemNotFoundError):
            shop.get(one)
        with pytest.raises(ItemNotFoundError):
            shop.similar(one)
        with pytest.raises(ItemNotFoundError):
            shop.label([one], "x")
        assert shop.remove(one) == 0
    elif one != "a":
        assert shop.add(one, PNG).outcome == "created"
        assert shop.get(one).id == one
        assert one in shop
        assert [hit.item.id for hit in shop.similar(one)] == ["a"]
        assert shop.remove(one) == 1
    assert list(shop) == before


def test_an_item_that_has_such_an_id_already_stays_in_use(tmp_path: Path, card: Path) -> None:
    with lookalike.open(tmp_path / "shop", encoder=card, create=True) as shop:
        item = shop.add("a", PNG)
        odd = [one for one in BAD if one and is_text(one)]
        stored = shop.store.items.get(["a"])["a"]
        for one in odd:
            shop.store.items.upsert(
                [lookalike.Item(id=one, digest=item.digest, width=1, height=1)], shop.vectors(["a"])
            )
        assert stored == item
        for one in odd:
            assert shop.get(one).id == one
            assert shop.add(one, saved(photo(seed=2), "PNG")).outcome == "replaced"
            shop.label([one], "x")
            assert shop.similar(one, k=1)
            assert shop.remove(one) == 1
        assert [one.id for one in shop] == ["a"]


def test_a_table_with_bad_ids_says_so_line_by_line(tmp_path: Path, card: Path) -> None:
    for name in "abc":
        (tmp_path / f"{name}.png").write_bytes(saved(photo(seed=ord(name)), "PNG"))
    table = tmp_path / "t.csv"
    table.write_text("id,file\n..,a.png\ngood,b.png\n/x,c.png\n", encoding="utf-8")
    with lookalike.open(tmp_path / "shop", encoder=card, create=True) as shop:
        report = shop.index(table)
        assert [one.id for one in shop] == ["good"]
        assert [(one.path, "its id" in one.reason) for one in report.skipped] == [
            ("t.csv:2", True),
            ("t.csv:4", True),
        ]
        table.write_text("id,file\none,a.png\ngood,b.png\nx,c.png\n", encoding="utf-8")
        assert shop.index(table).indexed == 2  # the same files, with ids that can be had


def test_a_file_in_a_folder_may_be_called_anything(tmp_path: Path, card: Path) -> None:
    names = ["a\nb.png", " a.png", "a\x7f.png"]
    for number, name in enumerate(names):
        (tmp_path / "photos").mkdir(exist_ok=True)
        (tmp_path / "photos" / name).write_bytes(saved(photo(seed=number), "PNG"))
    with lookalike.open(tmp_path / "shop", encoder=card, create=True) as shop:
        assert shop.index(tmp_path / "photos").indexed == 3
        assert {one.id for one in shop} == set(names)


def test_adding_says_what_it_did(tmp_path: Path, card: Path) -> None:
    with lookalike.open(tmp_path / "shop", encoder=card, create=True) as shop:
        first = shop.add("a", PNG, label="x")
        assert (first.outcome, first == shop.get("a")) == ("created", True)
        assert shop.add("a", PNG, label="y").outcome == "unchanged"
        other = shop.add("a", saved(photo(seed=2), "PNG"))
        assert (other.outcome, other.label) == ("replaced", "y")


def test_indexing_a_folder_replaces_no_item_that_was_added_by_itself(
    tmp_path: Path, card: Path
) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.png").write_bytes(saved(photo(seed=5), "PNG"))
    (tmp_path / "photos" / "b.png").write_bytes(PNG)
    with lookalike.open(tmp_path / "shop", encoder=card, create=True) as shop:
        mine = shop.add("a.png", saved(photo(seed=6), "PNG"), label="mine")
        shop.add("b.png", PNG)
        report = shop.index(tmp_path / "photos")
        assert shop.get("a.png") == mine
        assert [one.path for one in report.skipped] == ["a.png"]
        assert "added individually" in report.skipped[0].reason
        assert shop.get("b.png").path == "b.png"  # the very image: now it has a file


def test_entries_that_replace_nothing_are_skipped_where_another_image_is(
    tmp_path: Path, card: Path
) -> None:
    other = saved(photo(seed=2), "PNG")
    with lookalike.open(tmp_path / "shop", encoder=card, create=True) as shop:
        mine = shop.add("a", PNG, label="mine")
        report = shop.index(
            [
                Entry(id="a", image=other, fresh=True),
                Entry(id="b", image=other, fresh=True),
                Entry(id="b", image=PNG, fresh=True),
                Entry(id="b", image=saved(photo(seed=9), "PNG"), fresh=True),
            ]
        )
        assert shop.get("a") == mine
        assert shop.get("b").digest != mine.digest
        assert (report.indexed, report.replaced, len(report.skipped)) == (0 + 1, 0, 3)
        assert shop.index([Entry(id="a", image=PNG, fresh=True)]).unchanged == 1
