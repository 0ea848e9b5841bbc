"""A folder that was moved: recognised, and pointed at again."""

import json
import os
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from contracts.moving import KINDS, Place, place
from lookalike.cli import cli
from lookalike.encoders import OnnxEncoder
from lookalike.errors import RootMovedError, SourceError
from wording import Shelf, counted, table

__all__ = ["place"]  # a fixture


@pytest.fixture
def shelf(tmp_path: Path, tiny: OnnxEncoder) -> Shelf:
    return filled(Shelf.made(tmp_path, tiny))


def filled(shelf: Shelf, count: int = 10) -> Shelf:
    for number in range(count):
        shelf.paint(f"{number % 3}/{number}.png", number)
    shelf.index()
    shelf.shop.label(["0/0.png"], "mug")
    return shelf


def moved(shelf: Shelf, name: str = "elsewhere") -> Path:
    new = shelf.folder.with_name(name)
    shutil.move(shelf.folder, new)
    return new


@pytest.mark.parametrize("kind", KINDS)
def test_a_moved_folder_is_pointed_at_again_and_nothing_else_changes(
    kind: str, place: Place, tmp_path: Path, tiny: OnnxEncoder
) -> None:
    shelf = filled(Shelf.made(tmp_path, tiny, place(kind)))
    before = list(shelf.shop.items())
    new = moved(shelf)
    found = shelf.shop.relocate(shelf.folder, new)
    assert (found.items, found.looked_at, found.same, found.other) == (10, 10, 10, 0)
    assert [root.path for root in shelf.shop.roots()] == [new]
    assert list(shelf.shop.items()) == before
    assert counted(shelf.shop.index(new)) == {"unchanged": 10}
    assert all(file is not None and file.is_file() for file in shelf.shop.files_of(before))
    shelf.shop.close()


def test_indexing_a_moved_folder_stops_and_names_the_command(shelf: Shelf) -> None:
    before = list(shelf.shop.items())
    new = moved(shelf)
    with pytest.raises(RootMovedError, match="10 of 10") as caught:
        shelf.shop.index(new)
    assert f"`lookalike relocate {shelf.folder} {new}`" in str(caught.value)
    assert list(shelf.shop.items()) == before
    assert [root.path for root in shelf.shop.roots()] == [shelf.folder]
    assert shelf.shop.index(new, as_new=True).reused == 10
    assert len(shelf.shop) == 20


def test_a_folder_that_was_copied_is_another_one(shelf: Shelf) -> None:
    new = shelf.folder.with_name("copied")
    shutil.copytree(shelf.folder, new)
    assert shelf.shop.index(new).reused == 10


def test_another_folder_in_the_place_of_one_that_is_away_is_another_one(shelf: Shelf) -> None:
    shutil.move(shelf.folder, shelf.folder.with_name("unplugged"))
    other = Shelf(folder=shelf.folder.with_name("other"), shop=shelf.shop)
    for number in range(10):  # the same names, other images
        other.paint(f"{number % 3}/{number}.png", 50 + number)
    assert other.index().indexed == 10


def test_files_that_were_copied_without_their_times_are_compared_by_content(shelf: Shelf) -> None:
    new = moved(shelf)
    for file in new.rglob("*.png"):
        os.utime(file, (1, 1))
    with pytest.raises(RootMovedError):
        shelf.shop.index(new)
    assert shelf.shop.relocate(shelf.folder, new).same == 10
    assert counted(shelf.shop.index(new)) == {"unchanged": 10}


def test_a_folder_that_does_not_match_is_refused(shelf: Shelf, tmp_path: Path) -> None:
    new = moved(shelf)
    for number in range(4):
        (new / f"{number % 3}/{number}.png").unlink()
    shelf_at_new = Shelf(folder=new, shop=shelf.shop)
    shelf_at_new.paint("1/4.png", 99)
    with pytest.raises(SourceError, match="10 that were looked for, 5 are there, 1 are other"):
        shelf.shop.relocate(shelf.folder, new)
    assert [root.path for root in shelf.shop.roots()] == [shelf.folder]
    with pytest.raises(SourceError, match="does not exist"):
        shelf.shop.relocate(shelf.folder, tmp_path / "nowhere")
    with pytest.raises(SourceError, match=r"nothing was indexed from .*; the collection's folders"):
        shelf.shop.relocate(tmp_path / "nowhere", new)
    with pytest.raises(SourceError, match="which was indexed as a whole"):
        shelf.shop.relocate(shelf.folder / "1", new)


def test_a_folder_that_is_indexed_already_is_refused(shelf: Shelf, tmp_path: Path) -> None:
    other = Shelf(folder=tmp_path / "other", shop=shelf.shop)
    other.paint("x.png", 33)
    other.index()
    shutil.move(shelf.folder, other.folder / "in")
    with pytest.raises(SourceError, match="which the collection indexes already"):
        shelf.shop.relocate(shelf.folder, other.folder / "in")


def test_folders_below_one_that_was_moved_all_follow(shelf: Shelf, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    for name, first in (("photos", 20), ("scans", 30)):
        other = Shelf(folder=disk / name, shop=shelf.shop)
        for number in range(first, first + 5):
            other.paint(f"{number}.png", number)
        other.index()
    shutil.move(disk, tmp_path / "new disk")
    found = shelf.shop.relocate(disk, tmp_path / "new disk")
    assert [root.path.name for root in found.roots] == ["photos", "scans"]
    assert {root.name: root.path for root in shelf.shop.roots()} == {
        "": shelf.folder,
        "photos": tmp_path / "new disk/photos",
        "scans": tmp_path / "new disk/scans",
    }
    assert counted(shelf.shop.index(tmp_path / "new disk/scans")) == {"unchanged": 5}


def test_a_catalogue_that_was_moved_is_recognised_too(tmp_path: Path, tiny: OnnxEncoder) -> None:
    shop = tmp_path / "catalogue"
    shelf = Shelf.made(tmp_path, tiny)
    inside = Shelf(folder=shop / "images", shop=shelf.shop)
    for number in range(5):
        inside.paint(f"{number}.png", number)
    source = table(shop / "list.csv", {f"images/{n}.png": "mug" for n in range(5)})
    shelf.shop.index(source)
    shutil.move(shop, tmp_path / "moved")
    with pytest.raises(RootMovedError):
        shelf.shop.index(tmp_path / "moved/list.csv")
    assert shelf.shop.relocate(shop, tmp_path / "moved").items == 5
    assert counted(shelf.shop.index(tmp_path / "moved/list.csv")) == {"unchanged": 5}


def test_the_command_line_relocates(shelf: Shelf, tmp_path: Path, card: Path) -> None:
    new = moved(shelf, "new place")
    shelf.shop.close()

    def run(*arguments: str) -> tuple[str, str]:
        done = CliRunner().invoke(cli, [*arguments, "-c", str(tmp_path / "shop")])
        assert done.exit_code == 0 or isinstance(done.exception, RootMovedError), done.output
        return done.stdout, str(done.exception)

    _, message = run("index", str(new), "-q", "--encoder", str(card))
    assert f"`lookalike relocate {shelf.folder} '{new}'`" in message
    told, _ = run("relocate", str(shelf.folder), str(new), "--dry-run")
    assert "10 items would now be read from" in told
    assert json.loads(run("info", "--json")[0])["roots"][0]["path"] == str(shelf.folder)
    document = json.loads(run("relocate", str(shelf.folder), str(new), "--json")[0])
    assert document == {
        "roots": [{"name": "", "path": str(new)}],
        "items": 10,
        "looked_at": 10,
        "same": 10,
        "other": 0,
        "dry_run": False,
    }
    assert json.loads(run("index", str(new), "-q", "--json")[0])["unchanged"] == 10
