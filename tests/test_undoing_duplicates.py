"""What was deleted or moved as a duplicate can be put back, and nothing is lost on the way."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from PIL import Image

from lookalike import images
from lookalike.analysis.duplicates import act, find, undo
from lookalike.cli.duplicates import duplicates_command
from lookalike.collection import Collection
from lookalike.core.records import Item
from lookalike.encoders import OnnxEncoder
from lookalike.errors import SourceError
from lookalike.sources.scan import ScanOptions
from lookalike.stores.embedded.store import EmbeddedStore


def drawn(seed: int) -> Image.Image:
    return Image.effect_noise((60, 50), 80 + seed).convert("RGB")


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Two images, the first of them three times."""
    folder = tmp_path / "photos"
    (folder / "more").mkdir(parents=True)
    drawn(0).save(folder / "a.png")
    drawn(1).save(folder / "b.png")
    for name in ("c.png", "more/d.png"):
        (folder / name).write_bytes((folder / "a.png").read_bytes())
    return folder


@pytest.fixture
def shop(tmp_path: Path, tiny: OnnxEncoder, photos: Path) -> Iterator[Collection]:
    with Collection(
        EmbeddedStore.open(tmp_path / "shop", create=True), lambda _store: tiny
    ) as shop:
        shop.index(photos)
        yield shop


def files(folder: Path) -> dict[str, str]:
    """Path → digest of the files of a folder, but for those in its trash."""
    return {
        str(one.relative_to(folder)): images.digest(one.read_bytes())
        for one in folder.rglob("*")
        if one.is_file() and ".lookalike-trash" not in one.parts
    }


def said(shop: Collection) -> dict[str, tuple[object, ...]]:
    return {
        one.id: (one.digest, one.label, one.group, dict(one.metadata), one.root, one.path)
        for one in shop
    }


def say(shop: Collection, item_id: str, **words: object) -> Item:
    item = replace(shop.get(item_id), **words)  # type: ignore[arg-type] # as the test gives
    shop.store.items.update([item])
    return item


@pytest.mark.parametrize("way", ["trash", "folder"])
def test_what_was_taken_away_comes_back_as_it_was(
    shop: Collection, photos: Path, tmp_path: Path, way: str
) -> None:
    say(shop, "c.png", label="cup", group="cups", metadata={"price": 3, "size": [1, 2]})
    say(shop, "more/d.png", label="mug", metadata={"price": 4, "note": "mine"})
    say(shop, "a.png", group="own")
    before, words = files(photos), said(shop)
    move_to = tmp_path / "away" if way == "folder" else None
    done = list(act(shop, find(shop, keep="first").groups, move_to=move_to))
    assert [one.done for one in done] == ["trashed" if way == "trash" else "moved"] * 2
    assert set(files(photos)) == {"a.png", "b.png"}
    kept = shop.get("a.png")
    assert (kept.label, kept.group) == ("cup", "own")  # what it lacked, and nothing else
    assert kept.metadata == {"price": 3, "size": [1, 2], "note": "mine"}
    record = done[0].record
    assert record is not None
    assert {one.done for one in undo(shop, record)} == {"restored"}
    assert files(photos) == before
    assert said(shop) == words
    assert list(undo(shop, record)) == []


def test_an_undo_never_overwrites_what_is_there_now(shop: Collection, photos: Path) -> None:
    done = list(act(shop, find(shop, keep="first").groups))
    (photos / "c.png").write_bytes(b"something new")
    assert done[0].record is not None
    outcomes = {one.item.id: (one.done, one.reason) for one in undo(shop, done[0].record)}
    assert outcomes == {
        "c.png": ("left", "something else is now in its place"),
        "more/d.png": ("restored", ""),
    }
    assert (photos / "c.png").read_bytes() == b"something new"
    (photos / "c.png").unlink()
    assert [one.done for one in undo(shop, done[0].record)] == ["restored"]


def test_what_the_user_has_said_since_is_kept(shop: Collection) -> None:
    say(shop, "c.png", label="cup")
    done = list(act(shop, find(shop, keep="first").groups))
    shop.label(["a.png"], "vase")
    assert done[0].record is not None
    assert len(list(undo(shop, done[0].record))) == 2
    assert shop.get("a.png").label == "vase"
    assert shop.get("c.png").label == "cup"


def test_a_file_that_was_indexed_again_before_the_undo_gets_its_words_back(
    shop: Collection, photos: Path
) -> None:
    say(shop, "c.png", label="cup")
    done = list(act(shop, find(shop, keep="first").groups))
    (photos / "c.png").write_bytes((photos / "a.png").read_bytes())
    shop.index(photos)
    assert shop.get("c.png").label is None
    assert done[0].record is not None
    assert {one.done for one in undo(shop, done[0].record)} == {"restored"}
    assert shop.get("c.png").label == "cup"


def test_the_trash_is_never_indexed(shop: Collection, photos: Path) -> None:
    list(act(shop, find(shop).groups))
    shop.index(photos, options=ScanOptions(hidden=True))
    assert len(shop) == 2


def test_what_is_deleted_for_good_is_written_down_and_cannot_come_back(
    shop: Collection, photos: Path
) -> None:
    done = list(act(shop, find(shop, keep="first").groups, permanently=True))
    assert [one.done for one in done] == ["deleted"] * 2
    assert not list((photos / ".lookalike-trash").rglob("*.png"))
    record = done[0].record
    assert record is not None
    first = json.loads(record.read_text(encoding="utf-8").splitlines()[0])
    assert first["event"] == "deleting"
    assert first["from"] == str(photos / "c.png")
    assert first["digest"] == shop.get("a.png").digest
    assert {one.reason for one in undo(shop, record)} == {"it was deleted for good"}


def test_a_file_that_was_changed_in_the_trash_is_left_there(shop: Collection) -> None:
    (first, _) = act(shop, find(shop, keep="first").groups)
    assert first.record is not None
    assert first.target is not None
    first.target.write_bytes(b"changed")
    outcomes = {one.item.id: one.done for one in undo(shop, first.record)}
    assert outcomes == {"c.png": "left", "more/d.png": "restored"}


@pytest.mark.parametrize("text", ["", "no record\n", '{"event": "moving", "key": "1"}\n'])
def test_what_is_no_record_is_refused(shop: Collection, tmp_path: Path, text: str) -> None:
    record = tmp_path / "record.jsonl"
    record.write_text(text)
    with pytest.raises(SourceError, match="record"):
        list(undo(shop, record))


def test_a_record_that_cannot_be_written_stops_all_before_a_file_is_touched(
    shop: Collection, photos: Path
) -> None:
    (photos / ".lookalike-trash").write_text("a file where the trash should be")
    before = files(photos)
    with pytest.raises(SourceError, match="cannot be written"):
        list(act(shop, find(shop).groups))
    assert files(photos) == before
    assert len(shop) == 4


# A process that dies in the middle: killed when it is about to do something to a file.
_DIES = """
import os, signal, sys
from pathlib import Path
from lookalike.collection import Collection
from lookalike.analysis.duplicates import act, find
from lookalike.stores.embedded.store import EmbeddedStore

what, number = sys.argv[2], int(sys.argv[3])
seen = 0

def watch(event, arguments):
    global seen
    wanted = event == what and (what != "open" or str(arguments[0]).endswith(".jsonl"))
    if wanted:
        seen += 1
        if seen == number:
            os.kill(os.getpid(), signal.SIGKILL)

with Collection(EmbeddedStore.open(Path(sys.argv[1])), lambda store: None) as shop:
    groups = find(shop, exact_only=True, keep="first").groups
    sys.addaudithook(watch)
    list(act(shop, groups))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
@pytest.mark.parametrize(
    "dies",
    [("open", 1), ("os.rename", 1), ("open", 2), ("open", 3), ("os.rename", 2), ("open", 4)],
)
def test_a_process_that_is_killed_leaves_a_record_from_which_all_comes_back(
    shop: Collection, photos: Path, tiny: OnnxEncoder, tmp_path: Path, dies: tuple[str, int]
) -> None:
    say(shop, "c.png", label="cup")
    before, words = files(photos), said(shop)
    shop.close()
    done = subprocess.run(
        [sys.executable, "-c", _DIES, str(tmp_path / "shop"), *map(str, dies)],
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    away = [one for one in (photos / ".lookalike-trash").rglob("*.png") if one.stat().st_size]
    assert len(files(photos)) + len(away) == len(before)
    records = list(photos.glob(".lookalike-trash/*/*.jsonl"))
    assert bool(records) == (dies != ("open", 1))
    with Collection(EmbeddedStore.open(tmp_path / "shop"), lambda _store: tiny) as again:
        for record in records:
            assert {one.done for one in undo(again, record)} <= {"restored"}
        assert files(photos) == before
        assert {name: one[:2] for name, one in said(again).items()} == {
            name: one[:2] for name, one in words.items()
        }


# --- the command -------------------------------------------------------------------------------


def command(tmp_path: Path, *arguments: str) -> Result:
    return CliRunner().invoke(duplicates_command, [*arguments, "-c", str(tmp_path / "shop"), "-q"])


@pytest.fixture
def place(shop: Collection, tmp_path: Path, card: Path) -> Path:
    shop.store.settings.set("card", str(card))
    shop.close()
    return tmp_path


def test_the_command_deletes_and_undoes(place: Path, photos: Path) -> None:
    before = files(photos)
    deleted = command(place, "--delete", "--yes", "--json")
    assert deleted.exit_code == 0, deleted.output
    record = json.loads(deleted.stdout)["record"]
    assert len(files(photos)) == 2
    dry = command(place, "--undo", record, "--dry-run")
    assert (dry.exit_code, len(files(photos))) == (0, 2)
    undone = command(place, "--undo", record, "--json")
    assert undone.exit_code == 0, undone.output
    assert json.loads(undone.stdout)["restored"] == 2
    assert files(photos) == before
    again = command(place, "--undo", record)
    assert (again.exit_code, again.stdout) == (0, "")
    assert "nothing to restore" in again.stderr


def test_the_command_says_what_could_not_be_put_back(place: Path, photos: Path) -> None:
    deleted = command(place, "--delete", "--permanently", "--yes", "--json")
    record = json.loads(deleted.stdout)["record"]
    assert len(files(photos)) == 2
    undone = command(place, "--undo", record)
    assert undone.exit_code == 1
    assert "deleted for good" in undone.stdout
    assert "2 left" in undone.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["--permanently"],
        ["--undo", "RECORD", "--delete", "--yes"],
        ["--undo", "RECORD", "--exact-only"],
        ["--undo", "nowhere.jsonl"],
    ],
)
def test_options_that_do_not_go_with_undo_are_refused(
    place: Path, tmp_path: Path, arguments: list[str]
) -> None:
    record = tmp_path / "record.jsonl"
    record.write_text("{}\n")
    given = [str(record) if one == "RECORD" else one for one in arguments]
    assert command(place, *given).exit_code == 2
