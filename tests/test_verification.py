"""Files compared with their items by digest: what differs is listed, and nothing is changed."""

import json
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import pytest
from click.testing import CliRunner
from PIL import Image

import lookalike
from conftest import painted
from live import serving
from lookalike.cli.index import index_command
from lookalike.collection import Collection
from lookalike.core.progress import Progress, ignore_progress
from lookalike.encoders import OnnxEncoder
from lookalike.errors import SourceError
from lookalike.indexing.differences import VerificationReport
from lookalike.indexing.verification import verify
from lookalike.runfile.execution import execute
from lookalike.runfile.reading import read_run_file


def kinds(report: VerificationReport) -> list[tuple[str, str]]:
    return [(one.kind, one.path) for one in report.differences]


def change_unseen(path: Path) -> None:
    """Give a bitmap other pixels, and its old size and modification time."""
    stat = path.stat()
    Image.new("RGB", (40, 30), "blue").save(path)
    assert path.stat().st_size == stat.st_size
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


@pytest.fixture
def images(pictures: Path) -> Path:
    """Nine images and a bitmap, written an hour ago."""
    Image.new("RGB", (40, 30), "red").save(pictures / "b.bmp")
    for path in pictures.iterdir():
        os.utime(path, (time.time() - 3600, time.time() - 3600))
    return pictures


@pytest.fixture
def shop(tmp_path: Path, tiny: OnnxEncoder, images: Path) -> Iterator[Collection]:
    with lookalike.open(str(tmp_path / "shop"), encoder=tiny, create=True) as shop:
        shop.index(images)
        yield shop


def test_a_folder_as_it_was_indexed_is_verified(shop: Collection, images: Path) -> None:
    heard: list[Progress] = []
    report = verify(shop, images, progress=heard.append)
    assert (report.checked, report.matching, report.differences) == (10, 10, ())
    assert heard[-1].done == heard[-1].total == 10


def test_every_kind_of_difference_is_named(shop: Collection, images: Path) -> None:
    before = {item.id: item for item in shop}
    change_unseen(images / "b.bmp")
    painted(images / "1.png", 91)
    (images / "2.png").unlink()
    painted(images / "new.png", 92)
    (images / "3.png").unlink()
    (images / "3.png").mkdir()
    report = verify(shop, images)
    assert kinds(report) == [
        ("new", "new.png"),
        ("changed", "1.png"),
        ("changed-unseen", "b.bmp"),
        ("missing", "2.png"),
        ("missing", "3.png"),
    ]
    assert (report.checked, report.matching) == (10, 6)
    assert {item.id: item for item in shop} == before


def test_a_part_of_a_folder_is_verified_alone(shop: Collection, images: Path) -> None:
    painted(images / "part" / "x.png", 93)
    shop.index(images)
    (images / "2.png").unlink()
    (images / "part" / "x.png").unlink()
    report = verify(shop, images / "part")
    assert kinds(report) == [("missing", "part/x.png")]


def test_a_file_that_could_not_be_used_before_is_not_new(shop: Collection, images: Path) -> None:
    (images / "broken.png").write_bytes(b"no image")
    shop.index(images)
    report = verify(shop, images)
    assert (report.unusable, report.differences) == (1, ())
    (images / "broken.png").write_bytes(b"still no image")
    assert kinds(verify(shop, images)) == [("new", "broken.png")]


def test_what_may_not_be_read_is_named_with_the_reason(shop: Collection, images: Path) -> None:
    shop.limits = lookalike.Limits(max_bytes=200)
    report = verify(shop, images)
    assert ("unreadable", "b.bmp") in kinds(report)
    assert any("the limit is" in one.reason for one in report.differences)


def test_a_catalogue_is_verified_by_its_lines(tmp_path: Path, tiny: OnnxEncoder) -> None:
    for number in range(4):
        painted(tmp_path / f"{number}.png", number)
    table = tmp_path / "table.csv"
    lines = [f"{n}.png,{n}" for n in range(4)]
    table.write_text("\n".join(["file,id", *lines]) + "\n", encoding="utf-8")
    with lookalike.open(str(tmp_path / "shop"), encoder=tiny, create=True) as shop:
        shop.index(table)
        assert verify(shop, table).matching == 4
        table.write_text("\n".join(["file,id", *lines[:3]]) + "\n", encoding="utf-8")
        shutil.copy(tmp_path / "0.png", tmp_path / "1.png")
        report = verify(shop, table)
        assert kinds(report) == [("changed", "1.png"), ("missing", "3.png")]
        assert (report.checked, report.matching) == (4, 2)


def test_a_folder_that_was_never_indexed_is_refused(shop: Collection, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    with pytest.raises(SourceError, match="never indexed"):
        verify(shop, tmp_path / "other")


def test_a_stop_leaves_files_uncompared_and_says_nothing_of_them(
    shop: Collection, images: Path
) -> None:
    report = verify(shop, images, stop=lambda: True)
    assert (report.interrupted, report.checked, report.differences) == (True, 0, ())


def test_the_command_lists_what_differs_and_exits_with_3(
    shop: Collection, images: Path, tmp_path: Path
) -> None:
    words = [str(images), "-c", str(tmp_path / "shop"), "-q", "--verify"]
    ran = CliRunner().invoke(index_command, words)
    assert (ran.exit_code, ran.stdout[:24]) == (0, "10 of 10 items verified ")
    change_unseen(images / "b.bmp")
    ran = CliRunner().invoke(index_command, words)
    assert ran.exit_code == 3
    assert "changed-unseen\tb.bmp" in ran.stdout
    assert ran.stderr.startswith("9 of 10 items verified, 1 changed-unseen in ")
    found = json.loads(CliRunner().invoke(index_command, [*words, "--json"]).stdout)
    assert [one["path"] for one in found["differences"]] == ["b.bmp"]
    assert len(shop) == 10


def test_the_command_makes_no_collection_to_verify(images: Path, tmp_path: Path) -> None:
    ran = CliRunner().invoke(index_command, [str(images), "-c", str(tmp_path / "none"), "--verify"])
    assert ran.exit_code == 1
    assert not (tmp_path / "none").exists()


def test_a_service_verifies_a_folder_that_it_knows(
    tmp_path: Path, card: Path, images: Path
) -> None:
    home = tmp_path / "home"
    with lookalike.open(home / "collections" / "shop", encoder=card, create=True) as shop:
        shop.index(images)
    change_unseen(images / "b.bmp")
    with serving(home) as live, lookalike.connect(live.address) as client:
        report = client.verify()
        assert kinds(report) == [("changed-unseen", "b.bmp")]
        assert (report.checked, report.matching) == (10, 9)
        with pytest.raises(SourceError, match="no folder called 'other'"):
            client.verify("other")
        assert client.reindex(reread=True).replaced == 1
        assert client.verify().differences == ()


def test_a_run_file_fails_where_files_differ(tmp_path: Path, card: Path, images: Path) -> None:
    file = tmp_path / "shop.yaml"
    text = f"collection: ./shop\nencoder: {card}\nindex: {{source: pictures, verify: %s}}\n"

    def status(verify: str) -> tuple[str, str]:
        file.write_text(text % verify, encoding="utf-8")
        (one,) = execute(
            read_run_file(file, {}), only=(), force=(), shown=lambda _: nullcontext(ignore_progress)
        )
        return one.status, one.why

    assert status("false")[0] == "done"
    assert status("true")[0] == "current"
    change_unseen(images / "b.bmp")
    assert status("true") == ("failed", "files differ from their items: 1 changed-unseen")
