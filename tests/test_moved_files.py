"""Files that are moved and renamed: what people said of them goes along."""

import shutil
from pathlib import Path

import pytest

import lookalike
from lookalike.core.manual_edits import ManualEdits
from lookalike.core.records import Item
from lookalike.core.shards import Shard
from lookalike.encoders import OnnxEncoder
from lookalike.indexing import folder_indexing
from lookalike.indexing import pipeline as indexing
from lookalike.indexing.pairing import Former, pair
from lookalike.indexing.prune import prune
from wording import Shelf, counted, table, words


@pytest.fixture
def shelf(tmp_path: Path, tiny: OnnxEncoder) -> Shelf:
    return Shelf.made(tmp_path, tiny)


def test_a_renamed_file_keeps_label_group_metadata_and_thumbnail(shelf: Shelf) -> None:
    shelf.paint("a.png", 1)
    shelf.paint("b.png", 2)
    shelf.index(thumbnails=64)
    shelf.shop.edit("a.png", label="mug", group="p1", metadata={"price": 3})
    before = shelf.shop.store.thumbnails.get(["a.png"])["a.png"]
    shelf.move("a.png", "shelf/c.png")
    report = shelf.index()
    assert counted(report) == {"reused": 1, "unchanged": 1, "removed": 1, "moved": 1}
    assert words(shelf.shop.get("shelf/c.png")) == ("mug", "p1", {"price": 3})
    assert shelf.shop.store.thumbnails.get(["shelf/c.png"]) == {"shelf/c.png": before}
    assert shelf.missing() == {}
    assert shelf.labels() == {"b.png": None, "shelf/c.png": "mug"}


def test_words_given_by_hand_are_by_hand_at_the_new_path_too(shelf: Shelf) -> None:
    shelf.paint("cats/a.png", 1)
    shelf.paint("dogs/b.png", 2)
    shelf.index(format="class-folders")
    shelf.shop.label(["cats/a.png"], "lion")
    shelf.move("cats/a.png", "dogs/a.png")
    report = shelf.index(format="class-folders")
    assert (report.moved, report.kept_by_hand) == (1, 1)
    assert shelf.labels() == {"dogs/a.png": "lion", "dogs/b.png": "dogs"}
    assert shelf.index(format="class-folders").kept_by_hand == 1
    assert shelf.labels()["dogs/a.png"] == "lion"


def test_a_catalogues_words_for_the_new_path_replace_its_words_for_the_old(shelf: Shelf) -> None:
    shelf.paint("cats/a.png", 1)
    shelf.paint("dogs/b.png", 2)
    shelf.index(format="class-folders")
    shelf.move("cats/a.png", "dogs/a.png")
    assert shelf.index(format="class-folders").moved == 1
    assert shelf.labels() == {"dogs/a.png": "dogs", "dogs/b.png": "dogs"}


def test_a_catalogue_that_says_nothing_leaves_the_words_from_before(
    shelf: Shelf, tmp_path: Path
) -> None:
    shelf.paint("a.png", 1)
    source = tmp_path / "list.csv"
    options = {"format": "table"}
    table(source, {"images/a.png": "mug"})
    shelf.shop.index(source, **options)  # type: ignore[arg-type]
    shelf.move("a.png", "b.png")
    table(source, {"images/b.png": ""})
    report = shelf.shop.index(source, **options)  # type: ignore[arg-type]
    assert (report.moved, report.removed) == (1, 1)
    assert [item.label for item in shelf.shop.items()] == ["mug"]


def test_two_files_that_change_names_keep_their_own_words(shelf: Shelf) -> None:
    shelf.paint("a.png", 1)
    shelf.paint("b.png", 2)
    shelf.index()
    shelf.shop.label(["a.png"], "one")
    shelf.shop.edit("b.png", group="two")
    shelf.move("a.png", "tmp.png")
    shelf.move("b.png", "a.png")
    shelf.move("tmp.png", "b.png")
    report = shelf.index()
    assert counted(report) == {"reused": 2, "moved": 2}
    assert words(shelf.shop.get("b.png")) == ("one", None, {})
    assert words(shelf.shop.get("a.png")) == (None, "two", {})


def test_an_edited_file_keeps_its_words_and_its_copy_gets_them(shelf: Shelf) -> None:
    shelf.paint("a.png", 1)
    shelf.index()
    shelf.shop.label(["a.png"], "mug")
    shelf.copy("a.png", "a-original.png")
    shelf.paint("a.png", 5)
    shelf.index()
    assert shelf.labels() == {"a.png": "mug", "a-original.png": "mug"}


def test_a_copy_of_a_file_that_stays_gets_nothing(shelf: Shelf) -> None:
    shelf.paint("a.png", 1)
    shelf.index()
    shelf.shop.label(["a.png"], "mug")
    shelf.copy("a.png", "b.png")
    assert counted(shelf.index()) == {"reused": 1, "unchanged": 1}
    assert shelf.labels() == {"a.png": "mug", "b.png": None}


def test_of_several_exact_copies_each_keeps_its_own_label(shelf: Shelf) -> None:
    for folder in ("x", "y", "z"):
        shelf.paint(f"{folder}/1.png", 1)
    shelf.paint("x/2.png", 1)
    shelf.index()
    for one in ("x/1.png", "y/1.png", "z/1.png", "x/2.png"):
        shelf.shop.label([one], f"of {one}")
    for folder in ("x", "y"):
        shutil.move(shelf.folder / folder, shelf.folder / f"new/{folder}")
    report = shelf.index()
    assert (report.moved, report.removed) == (3, 3)
    assert shelf.labels() == {
        "new/x/1.png": "of x/1.png",
        "new/x/2.png": "of x/2.png",
        "new/y/1.png": "of y/1.png",
        "z/1.png": "of z/1.png",
    }


def test_copies_that_cannot_be_told_apart_get_no_label_and_lose_none(shelf: Shelf) -> None:
    shelf.paint("x/1.png", 1)
    shelf.paint("y/1.png", 1)
    shelf.index()
    shelf.shop.label(["x/1.png"], "one")
    shelf.shop.label(["y/1.png"], "two")
    shelf.move("x/1.png", "new/a.png")
    shelf.move("y/1.png", "new/b.png")
    report = shelf.index()
    assert report.moved == 0
    assert "exact duplicates" in report.notes[0]
    assert shelf.labels() == {"new/a.png": None, "new/b.png": None}
    assert shelf.missing() == {"x/1.png": "one", "y/1.png": "two"}


def test_copies_of_which_the_same_is_said_all_keep_it(shelf: Shelf) -> None:
    for number in range(20):
        shelf.paint(f"old/{number}.png", 1)
    shelf.index()
    shelf.shop.label([f"old/{number}.png" for number in range(20)], "blank")
    for number in range(20):
        shelf.move(f"old/{number}.png", f"new/x{number}.png")
    assert shelf.index().moved == 20
    assert set(shelf.labels().values()) == {"blank"}


def test_a_file_moved_to_another_folder_of_the_collection_keeps_its_label(
    shelf: Shelf, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    shelf.paint("a.png", 1)
    shelf.paint("b.png", 2)
    shelf.index()
    shelf.shop.label(["a.png"], "mug")
    shutil.copy2(shelf.folder / "b.png", other / "b.png")
    shelf.shop.index(other)
    shutil.move(shelf.folder / "a.png", other / "a.png")
    # The new place is looked at before the old one: the file there is seen to have gone.
    assert shelf.shop.index(other).moved == 1
    assert shelf.shop.get("other:a.png").label == "mug"
    shelf.index()
    shelf.index()
    assert shelf.shop.get("other:a.png").label == "mug"
    assert "a.png" not in shelf.labels()


def test_a_move_is_known_although_the_run_was_cut_off(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(6):
        shelf.paint(f"{number}.png", number)
    shelf.index()
    for number in range(6):
        shelf.shop.label([f"{number}.png"], f"label {number}")
    shutil.copytree(shelf.folder, shelf.folder / "moved")
    for number in range(6):
        shelf.delete(f"{number}.png")
    monkeypatch.setattr(indexing, "BATCH", 2)
    heard: list[object] = []
    assert shelf.index(progress=heard.append, stop=lambda: len(heard) == 2).interrupted
    monkeypatch.setattr(folder_indexing, "carry_annotations", _cut_off)
    with pytest.raises(KeyboardInterrupt):
        shelf.index()
    monkeypatch.undo()
    report = shelf.index()
    assert (report.moved, report.removed) == (6, 6)
    assert shelf.labels() == {f"moved/{n}.png": f"label {n}" for n in range(6)}
    assert shelf.missing() == {}


def _cut_off(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


def test_a_whole_renamed_folder_is_not_encoded_again(shelf: Shelf) -> None:
    for number in range(9):
        shelf.paint(f"2023/{number}.png", number)
    shelf.index()
    shelf.shop.label(["2023/3.png"], "mug")
    shutil.move(shelf.folder / "2023", shelf.folder / "2024")
    assert counted(shelf.index()) == {"reused": 9, "removed": 9, "moved": 9}
    assert shelf.labels()["2024/3.png"] == "mug"


def test_parts_of_a_folder_on_several_machines_keep_words_when_pruned(shelf: Shelf) -> None:
    for number in range(8):
        shelf.paint(f"a/{number}.png", number)
    shelf.index()
    for number in range(8):
        shelf.shop.label([f"a/{number}.png"], str(number))
    shutil.move(shelf.folder / "a", shelf.folder / "b")
    shelf.paint("a/none.png", 20)
    for number in (1, 2):
        shelf.index(shard=Shard.parse(f"{number}/2"))
    report = prune(shelf.shop, shelf.folder)
    assert (report.moved, report.removed) == (8, 8)
    assert shelf.labels() == {**{f"b/{n}.png": str(n) for n in range(8)}, "a/none.png": None}


def _item(path: str, label: str | None = None) -> Item:
    return Item(id=path, digest="ab" * 32, width=1, height=1, path=path, label=label)


@pytest.mark.parametrize(
    ("formers", "arrivals", "expected"),
    [
        (["x/1:a", "y/1:b"], ["n/x/1", "n/y/1"], {"n/x/1": "a", "n/y/1": "b"}),
        (["x/1:a", "x/2:b"], ["n/2", "n/1"], {"n/1": "a", "n/2": "b"}),
        (["x/1:a", "y/2:b"], ["x/7", "y/7"], {"x/7": "a", "y/7": "b"}),
        (["x/1:a", "y/2:b"], ["z/7"], {}),
        (["x/1:a", "y/2:a"], ["z/7"], {"z/7": "a"}),
        (["x/1:a"], ["z/7", "z/8"], {"z/7": "a"}),
        (["x/1:a"], ["z/7", "z/1"], {"z/1": "a"}),
        (["x/1:a", "y/1:b"], ["z/1", "w/1"], {}),
        (["x/1:a", "y/1:b", "v/2:c"], ["z/1", "w/1", "w/2"], {"w/2": "c"}),
        (["x/1:a", "y/1:"], ["z/1"], {}),
    ],
)
def test_paths_decide_which_copy_is_which(
    formers: list[str], arrivals: list[str], expected: dict[str, str]
) -> None:
    before = [one.split(":") for one in formers]
    found = pair(
        [Former(item=_item(path, label or None), origin="vanished") for path, label in before],
        [_item(path) for path in arrivals],
    )
    assert {item.id: former.item.label for former, item in found.moved} == expected
    unpaired = set(arrivals) - expected.keys()
    assert {item.id for item in found.unclear} <= unpaired


def test_thousands_of_copies_of_one_image_are_paired_at_once() -> None:
    formers = [
        Former(
            item=_item(f"old/{n % 100}/{n}.png", f"{n}"), origin="vanished", by_hand=ManualEdits()
        )
        for n in range(5_000)
    ]
    found = pair(formers, [_item(f"new/{n % 100}/{n}.png") for n in range(5_000)])
    assert len(found.moved) == 5_000
    assert all(f"{former.item.label}.png" in item.id for former, item in found.moved)


def test_an_upload_under_the_id_of_a_missing_item_has_its_words_again(shelf: Shelf) -> None:
    shelf.paint("a.png", 1)
    shelf.paint("b.png", 2)
    data = (shelf.folder / "a.png").read_bytes()
    shelf.index()
    shelf.shop.edit("a.png", label="mug", metadata={"price": 1})
    shelf.delete("a.png")
    shelf.index()
    report = shelf.shop.index([lookalike.Entry(id="up-1", image=data)])
    assert counted(report) == {"indexed": 1, "restored": 1}
    assert words(shelf.shop.get("up-1")) == ("mug", None, {"price": 1})


def test_a_label_under_which_another_file_was_moved_waits_until_its_image_is_back(
    shelf: Shelf,
) -> None:
    for number, name in enumerate(("a.png", "b.png", "c.png")):
        shelf.paint(name, number)
    shelf.index()
    shelf.shop.label(["a.png"], "one")
    shelf.shop.label(["b.png"], "two")
    shelf.move("b.png", "../kept.png")
    shelf.move("a.png", "b.png")
    shelf.index()
    assert shelf.labels() == {"b.png": "one", "c.png": None}
    assert shelf.missing() == {"b.png": "two"}
    assert shelf.shop.info().missing == 1
    shelf.move("../kept.png", "d.png")
    assert shelf.index().restored == 1
    assert shelf.labels() == {"b.png": "one", "c.png": None, "d.png": "two"}
    assert shelf.missing() == {}


def test_a_removal_by_id_forgets_what_was_there_before_too(shelf: Shelf) -> None:
    for number, name in enumerate(("a.png", "b.png", "c.png")):
        shelf.paint(name, number)
    shelf.index()
    shelf.shop.label(["a.png"], "one")
    shelf.shop.label(["b.png"], "two")
    shelf.move("a.png", "b.png")
    shelf.index()
    assert shelf.shop.remove("b.png") == 1
    assert shelf.missing() == {}
