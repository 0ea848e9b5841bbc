"""Items whose file has gone: out of the results at once, and what was said of them kept."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

import lookalike
from contracts.moving import KINDS, Place, place
from lookalike.cli import cli
from lookalike.encoders import OnnxEncoder, load_encoder
from lookalike.errors import ItemNotFoundError
from lookalike.indexing import prune as pruning
from lookalike.moving import copying, migrating
from networks import tiny_card
from wording import Shelf, counted, table, words

__all__ = ["place"]  # a fixture


@pytest.fixture
def shelf(tmp_path: Path, tiny: OnnxEncoder) -> Shelf:
    return Shelf.made(tmp_path, tiny)


def labelled(shelf: Shelf, count: int = 3) -> Shelf:
    for number in range(count):
        shelf.paint(f"{number}.png", number)
    shelf.index(thumbnails=64)
    for number in range(count):
        shelf.shop.edit(f"{number}.png", label=f"label {number}", group="g", metadata={"n": number})
    return shelf


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_that_comes_back_has_its_words_and_thumbnail_again(
    kind: str, place: Place, tmp_path: Path, tiny: OnnxEncoder
) -> None:
    shelf = labelled(Shelf.made(tmp_path, tiny, place(kind)))
    before = shelf.shop.store.thumbnails.get(["1.png"])["1.png"]
    shelf.move("1.png", "../away.png")
    assert counted(shelf.index()) == {"unchanged": 2, "removed": 1}
    assert sorted(shelf.labels()) == ["0.png", "2.png"]
    assert "1.png" not in [hit.item.id for hit in shelf.shop.search(tmp_path / "away.png")]
    (gone,) = shelf.shop.missing()
    assert (gone.item.id, words(gone.item)) == ("1.png", ("label 1", "g", {"n": 1}))
    assert shelf.shop.info().missing == 1
    shelf.move("../away.png", "1.png")
    assert counted(shelf.index()) == {"indexed": 1, "unchanged": 2, "restored": 1}
    assert words(shelf.shop.get("1.png")) == ("label 1", "g", {"n": 1})
    assert shelf.shop.store.thumbnails.get(["1.png"]) == {"1.png": before}
    assert shelf.shop.info().missing == 0
    shelf.shop.close()


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_that_comes_back_at_another_path_has_its_words_again(
    kind: str, place: Place, tmp_path: Path, tiny: OnnxEncoder
) -> None:
    shelf = labelled(Shelf.made(tmp_path, tiny, place(kind)))
    shelf.move("1.png", "../away.png")
    shelf.index()
    shelf.move("../away.png", "deep/er/x.png")
    assert counted(shelf.index()) == {"indexed": 1, "unchanged": 2, "restored": 1}
    assert words(shelf.shop.get("deep/er/x.png")) == ("label 1", "g", {"n": 1})
    assert shelf.missing() == {}
    shelf.shop.close()


def test_other_content_under_the_old_name_has_the_words_too(shelf: Shelf) -> None:
    labelled(shelf)
    shelf.delete("1.png")
    shelf.index()
    shelf.paint("1.png", 77)
    assert counted(shelf.index()) == {"indexed": 1, "unchanged": 2, "restored": 1}
    assert shelf.labels()["1.png"] == "label 1"


def test_a_line_that_a_catalogue_drops_and_names_again_is_back(
    shelf: Shelf, tmp_path: Path
) -> None:
    shelf.paint("a.png", 1)
    shelf.paint("b.png", 2)
    both = {"images/a.png": "cup", "images/b.png": "mug"}
    source = table(tmp_path / "list.csv", both)
    shelf.shop.index(source)
    (one,) = [item.id for item in shelf.shop.items() if item.label == "cup"]
    shelf.shop.edit(one, metadata={"note": "mine"})
    table(source, {"images/b.png": "mug"})
    assert shelf.shop.index(source).removed == 1
    table(source, both)
    report = shelf.shop.index(source)
    assert report.restored == 1
    assert shelf.shop.get(one).metadata["note"] == "mine"


def test_what_is_removed_by_id_is_gone_for_good(shelf: Shelf) -> None:
    labelled(shelf)
    data = (shelf.folder / "1.png").read_bytes()
    shelf.delete("1.png")
    shelf.index()
    assert shelf.shop.remove(["0.png", "1.png", "nobody"]) == 2
    assert shelf.missing() == {}
    (shelf.folder / "1.png").write_bytes(data)
    assert shelf.index().restored == 0
    assert words(shelf.shop.get("1.png")) == (None, None, {})
    assert words(shelf.shop.get("0.png")) == (None, None, {})


def test_a_removed_root_takes_its_missing_items_along(shelf: Shelf) -> None:
    labelled(shelf)
    shelf.delete("1.png")
    shelf.index()
    shelf.shop.remove_root("")
    assert (len(shelf.shop), shelf.missing()) == (0, {})


def test_missing_items_are_kept_until_they_are_pruned(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    labelled(shelf)
    shelf.delete("1.png")
    shelf.index()
    shelf.delete("2.png")
    now = next(iter(shelf.shop.missing())).since
    monkeypatch.setattr("lookalike.indexing.missing.time.time", lambda: now + 10 * 86_400)
    shelf.index()
    assert shelf.missing() == {"1.png": "label 1", "2.png": "label 2"}
    dry = pruning.forget_missing(shelf.shop, older_than=5, dry_run=True)
    assert (dry.forgotten, dry.missing) == (("1.png",), 1)
    assert len(shelf.missing()) == 2
    assert pruning.forget_missing(shelf.shop, older_than=5).forgotten == ("1.png",)
    assert shelf.missing() == {"2.png": "label 2"}
    assert pruning.forget_missing(shelf.shop).forgotten == ("2.png",)
    assert shelf.missing() == {}
    assert list(shelf.shop.store.table("missing_thumbnails").scan()) == []


@pytest.mark.parametrize("kind", KINDS)
def test_a_copy_of_a_collection_has_its_missing_items_and_what_was_set_by_hand(
    kind: str, place: Place, tmp_path: Path, tiny: OnnxEncoder
) -> None:
    shelf = labelled(Shelf.made(tmp_path, tiny, place("embedded")))
    shelf.delete("1.png")
    shelf.index()
    there = lookalike.open(place(kind), encoder=tiny, create=True)
    copying.copy(shelf.shop.store, there.store)
    assert list(there.missing()) == list(shelf.shop.missing())
    for name in ("by_hand", "missing", "missing_thumbnails"):
        rows = list(shelf.shop.store.table(name).scan())
        assert list(there.store.table(name).scan()) == rows != []
    copying.copy(shelf.shop.store, there.store)
    shelf.shop.remove("1.png")
    copying.copy(shelf.shop.store, there.store)
    assert len(list(there.missing())) == 1
    copying.copy(shelf.shop.store, there.store, mirror=True)
    assert list(there.missing()) == []
    there.close()
    shelf.shop.close()


def test_a_migrated_collection_has_its_missing_items_and_what_was_set_by_hand(
    shelf: Shelf, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    labelled(shelf)
    data = (shelf.folder / "1.png").read_bytes()
    shelf.delete("1.png")
    shelf.index()
    other = load_encoder(tiny_card(tmp_path_factory.mktemp("other"), seed=5))
    migrating.migrate(shelf.shop, other)
    with lookalike.open(str(tmp_path / "shop"), encoder=other) as after:
        assert {one.item.id: one.item.label for one in after.missing()} == {"1.png": "label 1"}
        (shelf.folder / "1.png").write_bytes(data)
        assert after.index(shelf.folder).restored == 1
        assert after.get("1.png").label == "label 1"


# -- on the command line ---------------------------------------------------------------------------


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., str]:
    def command(*words_: str, code: int = 0) -> str:
        done = CliRunner().invoke(cli, [*words_, "-c", str(tmp_path / "shop")])
        assert done.exit_code == code, (done.output, done.exception)
        return done.stdout

    return command


def test_the_command_line_tells_what_is_missing_and_forgets_it(
    shelf: Shelf, run: Callable[..., str], card: Path
) -> None:
    labelled(shelf)
    shelf.delete("1.png")
    shelf.shop.close()
    encoder = ("--encoder", str(card))
    done = json.loads(run("index", str(shelf.folder), "--json", "-q", *encoder))
    assert (done["removed"], done["restored"], done["moved"]) == (1, 0, 0)
    assert run("list", "--missing") == "1.png\n"
    (document,) = json.loads(run("list", "--missing", "--json"))
    assert (document["id"], document["label"], document["group"]) == ("1.png", "label 1", "g")
    assert document["since"].startswith("20")
    assert "missing" in run("info")
    assert json.loads(run("info", "--json"))["missing"] == 1
    assert run("prune", "--missing", "--dry-run") == "1.png\n"
    kept = json.loads(run("prune", "--missing", "--older-than", "30", "--json"))
    assert kept == {"forgotten": [], "missing": 1, "dry_run": False}
    assert "1 missing item forgotten" in run("prune", "--missing")
    assert run("list", "--missing") == ""
    run("prune", "--older-than", "3", code=2)
    run("prune", str(shelf.folder), "--missing", code=2)
    run("prune", str(shelf.folder), "--older-than", "3", code=2)
    run("list", "--missing", "--where", "label=x", code=2)


def test_the_command_line_removes_a_missing_item_by_its_id(
    shelf: Shelf, run: Callable[..., str]
) -> None:
    labelled(shelf)
    shelf.delete("1.png")
    shelf.index()
    shelf.shop.close()
    assert "1 removed" in run("remove", "1.png")
    assert run("list", "--missing") == ""
    run("remove", "1.png", code=1)


def test_a_missing_item_is_not_found_by_its_id(shelf: Shelf) -> None:
    labelled(shelf)
    shelf.delete("1.png")
    shelf.index()
    with pytest.raises(ItemNotFoundError):
        shelf.shop.get("1.png")
    with pytest.raises(ItemNotFoundError):
        shelf.shop.label(["0.png", "1.png"], "x")
    assert shelf.labels()["0.png"] == "label 0"


def test_kept_items_of_vanished_files_still_give_their_words_to_where_the_file_is(
    shelf: Shelf,
) -> None:
    labelled(shelf)
    shelf.move("1.png", "x/1.png")
    report = shelf.index(keep_missing=True)
    assert (report.moved, report.kept, report.removed) == (1, 1, 0)
    assert shelf.labels()["x/1.png"] == "label 1"


def test_an_empty_collection_has_nothing_missing(tmp_path: Path, tiny: OnnxEncoder) -> None:
    shelf = Shelf.made(tmp_path, tiny)
    assert (list(shelf.shop.missing()), shelf.shop.info().missing) == ([], 0)
    shutil.rmtree(shelf.folder)
