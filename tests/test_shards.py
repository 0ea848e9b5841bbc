"""Several machines fill one collection, a shard each; what has vanished goes by itself."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from contracts.moving import KINDS, Place, place
from lookalike.cli.index import index_command
from lookalike.cli.prune import prune_command
from lookalike.collection import Collection
from lookalike.config import open_collection
from lookalike.core.shards import Shard
from lookalike.errors import SourceError
from lookalike.indexing import prune as pruning

__all__ = ["place"]  # a fixture

Paint = Callable[[Path, int], Path]
ROOT = Path(__file__).parents[1]


@given(st.text(), st.integers(1, 50))
def test_each_id_is_in_exactly_one_shard(one: str, of: int) -> None:
    assert sum(one in Shard(number=number + 1, of=of) for number in range(of)) == 1


def test_shards_are_the_same_on_every_machine() -> None:
    """Values that must never change: machines of two versions would index twice or not at all."""
    ids = ["a.jpg", "2024/cat.jpg", "鞋", "scans:1.png"]
    parts = [
        next(number for number in range(1, 9) if one in Shard(number=number, of=8)) for one in ids
    ]
    assert parts == [3, 4, 4, 4]


def test_shards_are_about_equal() -> None:
    sizes = [
        sum(f"photos/{one}.jpg" in Shard(number=number, of=8) for one in range(4000))
        for number in range(1, 9)
    ]
    assert sum(sizes) == 4000
    assert min(sizes) > 400
    assert max(sizes) < 600


@pytest.mark.parametrize("text", ["", "3", "0/8", "9/8", "-1/8", "1/0", "a/b", "1/8/2", "1.5/8"])
def test_what_is_no_shard_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"shard"):
        Shard.parse(text)
    answer = CliRunner().invoke(index_command, [".", "--shard", text])
    assert answer.exit_code == 2


@pytest.fixture
def shop(tmp_path: Path, card: Path) -> Iterator[Collection]:
    with open_collection(str(tmp_path / "shop"), encoder=card, create=True) as shop:
        yield shop


def test_shards_of_a_folder_make_the_whole(shop: Collection, pictures: Path) -> None:
    reports = [shop.index(pictures, shard=Shard(number=number, of=3)) for number in (1, 2, 3)]
    assert sum(report.indexed for report in reports) == 9
    assert sum(report.kept for report in reports) == 0
    assert len(shop) == 9
    again = [shop.index(pictures, shard=Shard(number=number, of=3)) for number in (1, 2, 3)]
    assert [report.unchanged for report in again] == [report.indexed for report in reports]
    assert shop.index(pictures).unchanged == 9


def test_shards_of_a_catalogue_make_the_whole(shop: Collection, pictures: Path) -> None:
    lines = ["id,file,label", *(f"p{number},{number}.png,mug" for number in range(9))]
    (pictures / "products.csv").write_text("\n".join(lines))
    reports = [
        shop.index(pictures / "products.csv", shard=Shard(number=number, of=4))
        for number in (1, 2, 3, 4)
    ]
    assert sum(report.indexed for report in reports) == 9
    assert {item.id for item in shop} == {f"p{number}" for number in range(9)}
    assert shop.index(pictures / "products.csv").unchanged == 9


def test_a_shard_removes_nothing(shop: Collection, pictures: Path) -> None:
    shop.index(pictures)
    for number in (1, 2, 3):
        (pictures / f"{number}.png").unlink()
    reports = [shop.index(pictures, shard=Shard(number=number, of=2)) for number in (1, 2)]
    assert sum(report.removed for report in reports) == 0
    assert sum(report.kept for report in reports) == 3
    assert len(shop) == 9


# -- prune ---------------------------------------------------------------------------------------


def test_prune_removes_what_has_vanished(shop: Collection, pictures: Path) -> None:
    shop.index(pictures)
    shop.add("bytes", (pictures / "7.png").read_bytes())
    for number in (1, 2, 3):
        (pictures / f"{number}.png").unlink()
    report = pruning.prune(shop, pictures, dry_run=True)
    assert (report.vanished, report.removed) == (("1.png", "2.png", "3.png"), 0)
    assert len(shop) == 10
    report = pruning.prune(shop, pictures)
    assert (report.checked, report.removed) == (9, 3)
    assert {item.id for item in shop} == {"bytes", *(f"{n}.png" for n in (0, 4, 5, 6, 7, 8))}


def test_prune_removes_what_a_catalogue_no_longer_names(shop: Collection, pictures: Path) -> None:
    table = pictures / "products.csv"
    lines = ["id,file", *(f"p{number},{number}.png" for number in range(9))]
    table.write_text("\n".join(lines))
    shop.index(table)
    table.write_text("\n".join(lines[:-2]))
    assert pruning.prune(shop, table, dry_run=True).vanished == ("p7", "p8")
    assert pruning.prune(shop, table).removed == 2
    assert len(shop) == 7


def test_a_line_that_cannot_be_understood_keeps_all(shop: Collection, pictures: Path) -> None:
    table = pictures / "products.csv"
    lines = ["id,file", *(f"p{number},{number}.png" for number in range(9))]
    table.write_text("\n".join(lines))
    shop.index(table)
    table.write_text("\n".join([*lines[:-2], "p7,"]))
    report = pruning.prune(shop, table)
    assert (report.removed, report.kept, report.held_back) == (0, 0, 2)
    assert "products.csv:9: no image in column 'file'" in report.problems[0]
    assert len(shop) == 9


def test_prune_holds_back_what_index_would(shop: Collection, pictures: Path) -> None:
    shop.index(pictures)
    for number in range(5):
        (pictures / f"{number}.png").unlink()
    for dry_run in (False, True):
        report = pruning.prune(shop, pictures, dry_run=dry_run)
        assert (len(report.vanished), report.removed, report.held_back) == (5, 0, 5)
        assert "5 of its 9 items are no longer there" in report.problems[0]
    assert len(shop) == 9
    assert pruning.prune(shop, pictures, allow_removals=True).removed == 5


def test_a_folder_that_is_away_or_was_never_indexed_removes_nothing(
    shop: Collection, pictures: Path, tmp_path: Path
) -> None:
    shop.index(pictures)
    pictures.rename(tmp_path / "away")
    with pytest.raises(SourceError, match="does not exist"):
        pruning.prune(shop, pictures, allow_removals=True)
    with pytest.raises(SourceError, match="never indexed"):
        pruning.prune(shop, tmp_path / "away", allow_removals=True)
    assert len(shop) == 9


def test_prune_of_a_subfolder_looks_there_alone(
    shop: Collection, pictures: Path, paint: Paint
) -> None:
    paint(pictures / "sub" / "a.png", 20)
    paint(pictures / "sub" / "b.png", 21)
    paint(pictures / "sub2" / "a.png", 22)
    shop.index(pictures)
    for name in ("0.png", "sub/a.png", "sub2/a.png"):
        (pictures / name).unlink()
    assert pruning.prune(shop, pictures / "sub").vanished == ("sub/a.png",)
    assert "0.png" in shop
    assert "sub2/a.png" in shop


def test_the_command_lists_before_it_removes(shop: Collection, pictures: Path) -> None:
    shop.index(pictures)
    address = shop.info().address
    (pictures / "1.png").unlink()
    answer = CliRunner().invoke(prune_command, [str(pictures), "-c", address, "--dry-run"])
    assert answer.exit_code == 0, answer.output
    assert answer.stdout == "1.png\n"
    assert answer.stderr == "1 would be removed, 8 kept\n"
    answer = CliRunner().invoke(prune_command, [str(pictures), "-c", address, "--json"])
    told = json.loads(answer.stdout)
    assert (told["removed"], told["vanished"], told["items"]) == (1, ["1.png"], 8)
    answer = CliRunner().invoke(prune_command, [str(pictures), "-c", address])
    assert answer.stdout == "0 removed, 8 kept\n"


# -- eight at once -------------------------------------------------------------------------------


def worker(pictures: Path, address: str, part: int, card: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [
            *(sys.executable, "-m", "lookalike", "index", str(pictures), "--json", "-q"),
            *("-c", address, "--shard", f"{part}/8", "--encoder", str(card), "--threads", "1"),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
    )


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_eight_workers_lose_and_double_nothing_though_one_is_killed(
    place: Place, kind: str, tmp_path: Path, card: Path, paint: Paint
) -> None:
    folder = tmp_path / "many"
    for number in range(640):
        paint(folder / f"{number % 7}" / f"{number}.png", number)
    for number in range(20):  # exact copies, which two workers may meet at once
        original = folder / f"{number % 7}" / f"{number}.png"
        (folder / f"copy-{number}.png").write_bytes(original.read_bytes())
    address = place(kind)
    workers = [worker(folder, address, part, card) for part in range(1, 9)]
    with open_collection(address, encoder=card, create=True) as shop:
        deadline = time.monotonic() + 120
        while not len(shop) and time.monotonic() < deadline:
            time.sleep(0.02)
        os.kill(workers[2].pid, signal.SIGKILL)
        workers[2].communicate()
        workers[2] = worker(folder, address, 3, card)
        told = []
        for one in workers:
            out, err = one.communicate(timeout=200)
            assert one.returncode == 0, err
            told.append(json.loads(out))
        paths = {str(file.relative_to(folder)) for file in folder.rglob("*.png")}
        items = list(shop)
        assert [item.id for item in items] == sorted(paths)
        assert sum(one["removed"] for one in told) == 0
        assert not [one["skipped"] for one in told if one["skipped"]]
        assert len(shop.roots()) == 1
        assert shop.store.check() == []
        assert sorted(one for part in shop.store.neighbours.keyed() for one in part.ids) == sorted(
            paths
        )
        (hits,) = shop.store.search.nearest(shop.vectors(["3/3.png"]), k=2, exact=True)
        assert {hit.item.id for hit in hits} == {"3/3.png", "copy-3.png"}
        assert shop.index(folder).unchanged == len(paths)  # a last look finds nothing to do
        (folder / "copy-3.png").unlink()
        assert pruning.prune(shop, folder).vanished == ("copy-3.png",)
        assert len(shop) == len(paths) - 1
