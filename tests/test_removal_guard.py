"""Absence is not deletion: what vanishes from a source is held back, by every way in."""

import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click import Command
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st

import lookalike
from contracts.moving import KINDS, Place, place
from live import serving
from lookalike.analysis import neighbours
from lookalike.cli.index import index_command
from lookalike.cli.prune import prune_command
from lookalike.cli.run import run_command
from lookalike.collection import Collection
from lookalike.errors import ServiceError, SourceError
from lookalike.indexing import prune as pruning
from lookalike.indexing import removals
from lookalike.service.settings import ServiceSettings

__all__ = ["place"]  # a fixture

Paint = Callable[[Path, int], Path]
# -- the rule ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("gone", "known", "held"),
    [
        (3, 30, False),  # a small shop takes three products off
        (4, 30, True),
        (500, 44_000, False),  # a night in a large one
        (4_400, 44_000, False),
        (4_401, 44_000, True),
        (22_000, 44_000, True),  # half of the lines are cut off
        (880, 44_000, False),  # two in a hundred, every night
        (4, 4, True),  # an emptied folder of four
        (1, 1, True),
        (3, 4, False),
        (0, 0, False),
        (0, 9, False),
    ],
)
def test_more_than_a_small_share_is_too_many(gone: int, known: int, *, held: bool) -> None:
    assert removals.is_too_many(gone, known) is held


ids = st.sets(st.sampled_from("abcdefghijklmnopqrstuvwxyz"), min_size=1)


@given(gone=ids, moved=ids, left=ids, allow=st.booleans())
def test_each_vanished_item_goes_or_is_held_back(
    gone: set[str], moved: set[str], left: set[str], *, allow: bool
) -> None:
    emptied = dict.fromkeys(left, "photos/2019")
    known = len(gone) + 3
    found = removals.decide(gone, known, place="/p", moved=moved, emptied=emptied, allow=allow)
    assert set(found.remove) <= gone
    assert len(found.remove) + found.held_back == len(gone)
    assert bool(found.problems) == bool(found.held_back)
    if allow:
        assert found.held_back == 0
    else:
        assert set(found.remove) >= gone & moved  # what was moved is no loss
        lost = len(set(found.remove) - moved)
        assert not removals.is_too_many(lost, known)


# -- folders ----------------------------------------------------------------------------------


@pytest.fixture
def photos(tmp_path: Path, paint: Paint) -> Path:
    """A folder of forty: ten each in ``a``, ``b`` and ``disk/deep``, and ten on top."""
    folder = tmp_path / "photos"
    for number in range(40):
        below = ("", "a", "b", "disk/deep")[number // 10]
        paint(folder / below / f"{number}.png", number)
    return folder


@pytest.fixture
def shop(tmp_path: Path, card: Path) -> Iterator[Collection]:
    with lookalike.open(tmp_path / "shop", encoder=card, create=True) as shop:
        yield shop


@pytest.mark.parametrize("kind", KINDS)
def test_an_empty_folder_removes_nothing(
    kind: str, place: Place, card: Path, pictures: Path, tmp_path: Path
) -> None:
    with lookalike.open(place(kind), encoder=card, create=True) as shop:
        (pictures / "broken.png").write_bytes(b"no image at all")
        shop.index(pictures, thumbnails=64)
        shop.label(["3.png"], "by hand")
        neighbours.build(shop, k=3)
        before = contents(shop)
        pictures.rename(tmp_path / "disk")
        pictures.mkdir()
        report = shop.index(pictures)
        assert (report.removed, report.held_back, report.kept) == (0, 9, 0)
        assert report.problems[0].startswith(f"{pictures}: none of its 9 items is there any more")
        assert "--allow-removals" in report.problems[0]
        assert pruning.prune(shop, pictures).held_back == 9
        neighbours.build(shop, k=3)
        assert contents(shop) == before
        pictures.rmdir()
        (tmp_path / "disk").rename(pictures)
        report = shop.index(pictures)
        assert (report.unchanged, report.held_back, report.problems) == (9, 0, ())
        shutil.rmtree(pictures)
        pictures.mkdir()
        assert shop.index(pictures, allow_removals=True).removed == 9
        assert len(shop) == 0


def contents(shop: Collection) -> dict[str, Any]:
    """All that an empty mount must not cost: items, what is kept beside them, skipped files."""
    every = [item.id for item in shop]
    return {
        "items": list(shop),
        "thumbnails": shop.store.thumbnails.get(every),
        "neighbours": shop.store.neighbours.state(),
        "skipped": shop.skipped(),
    }


def test_a_folder_whose_only_file_was_renamed_is_followed(
    shop: Collection, tmp_path: Path, paint: Paint
) -> None:
    only = paint(tmp_path / "photos" / "old.png", 1)
    shop.index(only.parent)
    only.rename(only.with_name("new.png"))
    report = shop.index(only.parent)
    assert (report.removed, report.held_back) == (1, 0)
    assert [item.id for item in shop] == ["new.png"]


def test_files_that_were_moved_do_not_count(shop: Collection, photos: Path) -> None:
    shop.index(photos)
    (photos / "a").rename(photos / "sorted")
    (photos / "disk" / "deep").rename(photos / "other")
    for number in range(3):
        (photos / f"{number}.png").unlink()
    report = shop.index(photos)
    assert (report.removed, report.held_back, report.problems) == (23, 0, ())
    assert len(shop) == 37


def test_when_too_many_are_gone_those_that_were_moved_still_are(
    shop: Collection, photos: Path
) -> None:
    shop.index(photos)
    (photos / "a").rename(photos / "sorted")
    shutil.rmtree(photos / "b")
    report = shop.index(photos)
    assert (report.removed, report.held_back) == (10, 10)
    assert "10 of its 40 items are no longer there, more than one in 10" in report.problems[0]
    assert {item.id.split("/")[0] for item in shop if "/" in item.id} == {"sorted", "b", "disk"}


def test_a_few_that_are_gone_are_removed(shop: Collection, photos: Path) -> None:
    shop.index(photos)
    for number in range(4):
        (photos / f"{number}.png").unlink()
    assert (shop.index(photos).removed, len(shop)) == (4, 36)


def test_a_part_of_a_folder_has_its_own_guard(shop: Collection, photos: Path) -> None:
    shop.index(photos)
    for number in range(10, 14):
        (photos / "a" / f"{number}.png").unlink()  # 4 of 40, but of 10 here
    report = shop.index(photos / "a")
    assert (report.removed, report.held_back) == (0, 4)
    assert report.problems[0].startswith(f"{photos / 'a'}: 4 of its 10 items")
    assert pruning.prune(shop, photos / "a").held_back == 4
    assert shop.index(photos).removed == 4


@pytest.mark.parametrize("leftover", ["", ".directory", "lost+found/x"])
def test_a_disk_below_the_root_that_is_not_mounted_removes_nothing(
    shop: Collection, photos: Path, paint: Paint, leftover: str
) -> None:
    for number in range(100, 180):
        paint(photos / "a" / f"{number}.png", number)
    shop.index(photos)  # the disk has 10 of 120: no large share
    shutil.rmtree(photos / "disk" / "deep")
    if leftover:
        (photos / "disk" / leftover).parent.mkdir(exist_ok=True)
        (photos / "disk" / leftover).write_text("")
    (photos / "a" / "100.png").unlink()
    report = shop.index(photos)
    assert (report.removed, report.held_back) == (1, 10)
    assert "the folder disk is there, but empty, and had 10 items" in report.problems[0]
    (photos / "disk").rename(photos / "gone")
    report = shop.index(photos)
    assert (report.removed, report.held_back) == (10, 0)  # somebody deleted the folder


def test_many_emptied_folders_are_told_in_a_few_lines(
    shop: Collection, tmp_path: Path, paint: Paint
) -> None:
    for number in range(28):
        paint(tmp_path / "photos" / str(number // 4) / f"{number}.png", number)
    for number in range(300):
        (tmp_path / "photos" / "rest").mkdir(exist_ok=True)
        shutil.copy(
            tmp_path / "photos" / "0" / "0.png", tmp_path / "photos" / "rest" / f"{number}.png"
        )
    shop.index(tmp_path / "photos")
    for number in range(28):
        (tmp_path / "photos" / str(number // 4) / f"{number}.png").unlink()
    report = shop.index(tmp_path / "photos")
    assert (report.removed, report.held_back, len(report.problems)) == (0, 28, 6)
    assert "2 more folders are there, but empty, and had 8 items" in report.problems[-1]


def test_patterns_that_leave_out_much_are_a_removal_too(shop: Collection, photos: Path) -> None:
    shop.index(photos)
    options = lookalike.ScanOptions(exclude=["a/"])
    assert shop.index(photos, options=options).held_back == 10
    assert shop.index(photos, options=options, allow_removals=True).removed == 10


def test_keep_missing_holds_nothing_back(shop: Collection, pictures: Path) -> None:
    shop.index(pictures)
    for path in pictures.iterdir():
        path.unlink()
    report = shop.index(pictures, keep_missing=True)
    assert (report.kept, report.held_back, report.problems) == (9, 0, ())


def test_a_share_that_fails_halfway_keeps_what_it_did_not_list(
    shop: Collection, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A network drive that stops answering in the middle of a scan."""
    shop.index(photos)
    real, asked = os.scandir, []

    def failing(place: str) -> object:
        asked.append(place)
        if len(asked) > 2:
            raise OSError(112, "Host is down")
        return real(place)

    monkeypatch.setattr(os, "scandir", failing)
    report = shop.index(photos)
    assert (report.removed, report.held_back) == (0, 0)
    assert report.kept > 0
    assert any("Host is down" in skip.reason for skip in report.skipped)
    assert len(shop) == 40


# -- catalogues -------------------------------------------------------------------------------


@pytest.fixture
def table(pictures: Path) -> Path:
    table = pictures / "products.csv"
    table.write_text("file,label\n" + "".join(f"{n}.png,mug\n" for n in range(9)))
    return table


def test_a_table_with_half_its_lines_removes_nothing(shop: Collection, table: Path) -> None:
    shop.index(table)
    table.write_text("file,label\n" + "".join(f"{n}.png,cup\n" for n in range(5)))
    report = shop.index(table)
    assert (report.unchanged, report.removed, report.held_back) == (5, 0, 4)
    assert report.problems[0].startswith(f"{table}: 4 of its 9 items")
    assert pruning.prune(shop, table).held_back == 4
    assert shop.get("0.png").label == "cup"  # what is there is brought in line
    assert shop.get("8.png").label == "mug"
    assert shop.index(table, allow_removals=True).removed == 4


def test_products_under_new_ids_do_not_count(shop: Collection, table: Path) -> None:
    table.write_text("id,file\n" + "".join(f"p{n},{n}.png\n" for n in range(9)))
    shop.index(table)
    table.write_text("id,file\n" + "".join(f"sku-{n},{n}.png\n" for n in range(8)))
    report = shop.index(table)
    assert (report.removed, report.held_back) == (9, 0)


def test_a_line_whose_image_is_elsewhere_keeps_its_own_item_only(
    shop: Collection, pictures: Path
) -> None:
    table = pictures / "products.csv"
    rows = [f"p{n},{n}.png" for n in range(9)]
    table.write_text("\n".join(["id,file", *rows, ""]))
    shop.index(table)
    table.write_text("\n".join(["id,file", *rows[:7], "p7,https://shop.example/7.png", ""]))
    report = shop.index(table)
    assert (report.removed, report.held_back) == (1, 0)
    assert "p7" in shop
    assert "p8" not in shop


def test_class_folders_of_which_one_is_gone_remove_nothing(
    shop: Collection, tmp_path: Path, paint: Paint
) -> None:
    for number in range(16):
        paint(tmp_path / "classes" / "abcd"[number // 4] / f"{number}.png", number)
    shop.index(tmp_path / "classes", format="class-folders")
    shutil.rmtree(tmp_path / "classes" / "b")
    report = shop.index(tmp_path / "classes", format="class-folders")
    assert (report.removed, report.held_back) == (0, 4)


def test_class_folders_that_are_empty_are_places_of_disks(
    shop: Collection, tmp_path: Path, paint: Paint
) -> None:
    for number in range(60):
        paint(tmp_path / "classes" / "ab"[number < 4] / f"{number}.png", number)
    shop.index(tmp_path / "classes", format="class-folders")
    for number in range(4):
        (tmp_path / "classes" / "b" / f"{number}.png").unlink()
    report = shop.index(tmp_path / "classes", format="class-folders")
    assert (report.removed, report.held_back) == (0, 4)


# -- the command line -------------------------------------------------------------------------


def run(command: Command, *arguments: object) -> Result:
    return CliRunner().invoke(command, [*map(str, arguments)])


@pytest.fixture
def emptied(tmp_path: Path, card: Path, pictures: Path) -> Path:
    """A folder that lost its nine images after it was indexed into the collection ``shop``."""
    with lookalike.open(tmp_path / "shop", encoder=card, create=True) as shop:
        shop.index(pictures)
    for path in pictures.iterdir():
        path.unlink()
    return pictures


def count(tmp_path: Path) -> int:
    with lookalike.open(tmp_path / "shop") as shop:
        return len(shop)


def test_index_says_what_it_held_back_and_exits_with_4(emptied: Path, tmp_path: Path) -> None:
    done = run(index_command, emptied, "-c", tmp_path / "shop", "-q", "--strict")
    assert done.exit_code == 4
    assert done.stdout.startswith("0 indexed, 0 unchanged, 0 removed, 9 missing but not removed")
    assert f"warning: {emptied}: none of its 9 items is there any more" in done.stderr
    assert "pass --allow-removals" in done.stderr
    done = run(index_command, emptied, "-c", tmp_path / "shop", "-q", "--json")
    report = json.loads(done.stdout)
    assert (done.exit_code, report["removed"], report["held_back"]) == (4, 0, 9)
    assert len(report["problems"]) == 1
    assert count(tmp_path) == 9
    done = run(index_command, emptied, "-c", tmp_path / "shop", "-q", "--allow-removals")
    assert (done.exit_code, count(tmp_path)) == (0, 0)


def test_prune_says_what_it_held_back_and_exits_with_4(emptied: Path, tmp_path: Path) -> None:
    for more in ((), ("--dry-run",)):
        done = run(prune_command, emptied, "-c", tmp_path / "shop", "-q", *more)
        assert done.exit_code == 4
        assert "none of its 9 items" in done.stderr
        assert "9 kept, 9 of them missing but not removed" in done.output
    done = run(prune_command, emptied, "-c", tmp_path / "shop", "-q", "--json")
    assert (done.exit_code, json.loads(done.stdout)["held_back"]) == (4, 9)
    assert count(tmp_path) == 9
    for allowed in ("--yes", "--allow-removals"):
        done = run(prune_command, emptied, "-c", tmp_path / "shop", "-q", allowed)
        assert (done.exit_code, count(tmp_path)) == (0, 0)


def test_of_several_sources_each_has_its_own_guard(
    emptied: Path, tmp_path: Path, paint: Paint
) -> None:
    other = paint(tmp_path / "other" / "1.png", 1).parent
    done = run(index_command, emptied, other, "-c", tmp_path / "shop", "-q", "--json")
    report = json.loads(done.stdout)
    assert (done.exit_code, report["indexed"] + report["reused"], report["held_back"]) == (4, 1, 9)


# -- run files and jobs -----------------------------------------------------------------------


def test_a_run_file_fails_at_what_was_held_back(emptied: Path, tmp_path: Path) -> None:
    file = tmp_path / "shop.yaml"
    text = f"collection: ./shop\nindex: {{source: {emptied.name}}}\nneighbours: {{k: 3}}\n"
    file.write_text(text)
    done = run(run_command, file, "-q")
    assert done.exit_code == 4
    assert "none of its 9 items" in done.stderr
    assert "pass index.allow_removals" in done.stderr
    assert "index failed: 0 indexed" in " ".join(done.stdout.split())
    assert "not run: index failed" in done.stdout
    done = run(run_command, file, "-q", "--json")
    step = json.loads(done.stdout)["steps"][0]
    assert (done.exit_code, step["status"], step["result"]["held_back"]) == (4, "failed", 9)
    assert count(tmp_path) == 9
    file.write_text(text.replace("}", ", allow_removals: true}", 1))
    done = run(run_command, file, "-q")
    assert count(tmp_path) == 0
    assert "none of its" not in done.stderr


@pytest.mark.parametrize("show_paths", [True, False])
def test_a_job_fails_at_what_was_held_back(
    tmp_path: Path, card: Path, pictures: Path, *, show_paths: bool
) -> None:
    home = tmp_path / "home"
    with lookalike.open(home / "collections" / "shop", encoder=card, create=True) as shop:
        shop.index(pictures)
    for path in pictures.iterdir():
        path.unlink()

    def ended(**asked: object) -> dict[str, Any]:
        begun = live.client.post("/v1/jobs", json={"root": "", **asked})
        assert begun.status_code == 202
        address = begun.headers["location"]
        with live.client.stream("GET", f"{address}/events") as events:
            last = [line for line in events.iter_lines() if line.startswith("data: ")][-1]
        found = json.loads(last.removeprefix("data: "))
        assert isinstance(found, dict)
        return found

    with serving(home, settings=ServiceSettings(show_paths=show_paths)) as live:
        job = ended()
        assert (job["state"], job["report"]["held_back"]) == ("failed", 9)
        assert "none of its 9 items is there any more" in job["error"]
        assert 'pass "allow_removals": true' in job["error"]
        assert (str(pictures) in json.dumps(job)) is show_paths
        assert live.client.get("/v1/items").json()["total"] == 9
        job = ended(allow_removals=True)
        assert (job["state"], job["error"], job["report"]["removed"]) == ("done", None, 9)


def test_a_client_is_told_what_was_held_back(tmp_path: Path, card: Path, pictures: Path) -> None:
    home = tmp_path / "home"
    with lookalike.open(home / "collections" / "shop", encoder=card, create=True) as shop:
        shop.index(pictures)
    for path in pictures.iterdir():
        path.unlink()
    with serving(home) as live, lookalike.connect(live.address) as client:
        report = client.reindex()
        assert (report.removed, report.held_back, len(client)) == (0, 9, 9)
        assert "none of its 9 items is there any more" in report.problems[0]
        assert client.reindex(allow_removals=True).removed == 9
        assert client.reindex(stop=lambda: True).removed == 0
        with pytest.raises(SourceError, match="no folder called 'other'"):
            client.reindex("other")
        pictures.rmdir()
        with pytest.raises(ServiceError, match="does not exist"):
            client.reindex()
