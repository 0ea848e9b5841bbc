"""Which files a run reads again, and which it leaves because they are still being written."""

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner
from PIL import Image

import lookalike
from conftest import painted
from lookalike.cli.index import index_command
from lookalike.collection import Collection
from lookalike.core.records import Entry
from lookalike.encoders import OnnxEncoder
from lookalike.indexing.file_reading import BEING_WRITTEN


@pytest.fixture
def shop(tmp_path: Path, tiny: OnnxEncoder) -> Iterator[Collection]:
    with lookalike.open(str(tmp_path / "shop"), encoder=tiny, create=True) as shop:
        yield shop


def change_unseen(path: Path, data: bytes) -> None:
    """Give a file other content of the same size, and its old modification time."""
    stat = path.stat()
    assert stat.st_size == len(data)
    path.write_bytes(data)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


def make_old(folder: Path) -> None:
    """Give all files of a folder a modification time of an hour ago."""
    for path in folder.rglob("*.*"):
        os.utime(path, (time.time() - 3600, time.time() - 3600))


@contextmanager
def written_slowly(path: Path, data: bytes) -> Iterator[None]:
    """Write a file piece by piece, until the block ends; then write the rest."""
    done, begun = threading.Event(), threading.Event()

    def write() -> None:
        with path.open("wb", buffering=0) as file:
            place, step = 0, max(len(data) // 400, 1)
            while not done.is_set() and place < len(data) - step:
                place += file.write(data[place : place + step])
                begun.set()
                done.wait(0.02)
            file.write(data[place:])

    writer = threading.Thread(target=write)
    writer.start()
    try:
        assert begun.wait(10)
        yield
    finally:
        done.set()
        writer.join()


def same_size(folder: Path) -> tuple[bytes, bytes]:
    """Return two images in files of the same number of bytes."""
    found = []
    for colour in ("red", "blue"):
        path = folder / f"{colour}.bmp"
        Image.new("RGB", (40, 30), colour).save(path)
        found.append(path.read_bytes())
        path.unlink()
    return found[0], found[1]


def test_reread_finds_content_that_size_and_time_do_not_show(
    tmp_path: Path, shop: Collection, pictures: Path
) -> None:
    red, blue = same_size(tmp_path)
    (pictures / "0.bmp").write_bytes(red)
    make_old(pictures)
    shop.index(pictures)
    change_unseen(pictures / "0.bmp", blue)
    seen = shop.index(pictures)
    assert (seen.indexed, seen.unchanged) == (0, 10)
    reread = shop.index(pictures, reread=True)
    assert (reread.indexed, reread.replaced, reread.unchanged) == (1, 1, 9)
    assert shop.search(pictures / "0.bmp", k=1, include_self=True)[0].score > 0.999


def test_reread_tries_unusable_files_again(shop: Collection, pictures: Path) -> None:
    whole = (pictures / "0.png").read_bytes()
    (pictures / "0.png").write_bytes(b"x" * len(whole))
    make_old(pictures)
    assert len(shop.index(pictures).skipped) == 1
    change_unseen(pictures / "0.png", whole)
    assert len(shop.index(pictures).skipped) == 1
    report = shop.index(pictures, reread=True)
    assert (report.indexed, report.unchanged, report.skipped) == (1, 8, ())


def test_reread_reads_the_files_of_a_catalogue(
    tmp_path: Path, shop: Collection, pictures: Path
) -> None:
    red, blue = same_size(tmp_path)
    (pictures / "0.bmp").write_bytes(red)
    table = tmp_path / "table.csv"
    table.write_text("file,label\npictures/0.bmp,a\npictures/1.png,b\n", encoding="utf-8")
    shop.index(table)
    change_unseen(pictures / "0.bmp", blue)
    assert shop.index(table).unchanged == 2
    report = shop.index(table, reread=True)
    assert (report.replaced, report.unchanged) == (1, 1)
    assert shop.get("pictures/0.bmp").label == "a"


def test_a_file_that_is_being_written_is_left_for_the_next_run(
    tmp_path: Path, shop: Collection, pictures: Path
) -> None:
    data = painted(tmp_path / "late.png", 77).read_bytes() + b"\0" * 4000
    with written_slowly(pictures / "late.png", data):
        report = shop.index(pictures)
    assert (report.indexed, report.being_written) == (9, 1)
    assert [(one.path, one.reason) for one in report.skipped] == [("late.png", BEING_WRITTEN)]
    assert "late.png" not in shop
    report = shop.index(pictures)
    assert (report.indexed, report.being_written, report.skipped) == (1, 0, ())


def test_an_item_keeps_its_embedding_while_its_file_is_written_anew(
    tmp_path: Path, shop: Collection, pictures: Path
) -> None:
    shop.index(pictures)
    before = shop.get("3.png")
    data = painted(tmp_path / "new.png", 78).read_bytes() + b"\0" * 4000
    with written_slowly(pictures / "3.png", data):
        report = shop.index(pictures)
        assert (report.being_written, report.unchanged, report.removed) == (1, 8, 0)
        assert shop.get("3.png") == before
    report = shop.index(pictures)
    assert (report.indexed, report.replaced) == (1, 1)
    assert shop.get("3.png").digest != before.digest


def test_a_broken_file_is_broken_and_not_being_written(shop: Collection, pictures: Path) -> None:
    (pictures / "0.png").write_bytes((pictures / "0.png").read_bytes()[:60])
    report = shop.index(pictures)
    assert report.being_written == 0
    assert [one.reason for one in report.skipped] != [BEING_WRITTEN]
    assert len(report.skipped) == 1


def test_files_that_changed_a_moment_ago_wait_until_they_have_settled(
    shop: Collection, pictures: Path
) -> None:
    make_old(pictures)
    os.utime(pictures / "2.png")
    report = shop.index(pictures, settle=60)
    assert (report.indexed, report.being_written) == (8, 1)
    assert [one.path for one in report.skipped] == ["2.png"]
    make_old(pictures)
    assert shop.index(pictures, settle=60).indexed == 1


def test_a_time_in_the_future_does_not_hold_a_file_back(shop: Collection, pictures: Path) -> None:
    os.utime(pictures / "2.png", (time.time() + 9999, time.time() + 9999))
    assert shop.index(pictures, settle=1e-9).indexed == 9


@pytest.mark.parametrize("settle", [-1.0, float("nan"), float("inf")])
def test_a_time_to_settle_is_a_number_of_seconds(
    shop: Collection, pictures: Path, settle: float
) -> None:
    with pytest.raises(ValueError, match="settle"):
        shop.index(pictures, settle=settle)


def test_single_entries_are_not_waited_for(shop: Collection, tmp_path: Path) -> None:
    path = tmp_path / "bad.png"
    path.write_bytes(b"no image")
    began = time.monotonic()
    report = shop.index([Entry(id=f"{n}", image=path) for n in range(40)])
    assert len(report.skipped) == 40
    assert time.monotonic() - began < 5


def test_the_command_says_that_files_are_still_being_written(
    tmp_path: Path, card: Path, pictures: Path
) -> None:
    make_old(pictures)
    os.utime(pictures / "2.png")
    words = [str(pictures), "-c", str(tmp_path / "c"), "--encoder", str(card), "-q"]
    ran = CliRunner().invoke(index_command, [*words, "--settle", "60"])
    assert ran.exit_code == 0, ran.output
    assert f"1 skipped (1 {BEING_WRITTEN})" in ran.stdout
    ran = CliRunner().invoke(index_command, [*words, "--reread", "--json"])
    assert ran.exit_code == 0, ran.output
    assert '"indexed": 1' in ran.stdout
    assert '"being_written": 0' in ran.stdout
