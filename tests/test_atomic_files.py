"""Files appear whole under their name, or not at all."""

import stat
from pathlib import Path

import pytest

from lookalike.core.atomic_files import replace_file, write_file


def test_a_file_is_written_whole(tmp_path: Path) -> None:
    write_file(tmp_path / "report.html", "größe\n")
    assert (tmp_path / "report.html").read_bytes() == "größe\n".encode()
    assert [one.name for one in tmp_path.iterdir()] == ["report.html"]


def test_after_a_failure_the_file_before_is_there_and_nothing_else(tmp_path: Path) -> None:
    file = tmp_path / "table.csv"
    file.write_text("before", "utf-8")
    with pytest.raises(TypeError), replace_file(file) as out:
        out.writelines([b"half", "no bytes"])  # type: ignore[list-item]
    assert file.read_text("utf-8") == "before"
    assert [one.name for one in tmp_path.iterdir()] == ["table.csv"]


def test_a_check_that_fails_replaces_nothing(tmp_path: Path) -> None:
    def check() -> None:
        raise FileExistsError

    with pytest.raises(FileExistsError), replace_file(tmp_path / "a", check=check) as out:
        out.write(b"content")
    assert list(tmp_path.iterdir()) == []


def test_a_temporary_file_of_another_writer_stays(tmp_path: Path) -> None:
    other = tmp_path / "other.part"
    other.write_bytes(b"theirs")
    with pytest.raises(FileExistsError), replace_file(tmp_path / "a", temporary=other):
        pass
    assert other.read_bytes() == b"theirs"


def test_permissions_and_links_stay(tmp_path: Path) -> None:
    file, link = tmp_path / "report.html", tmp_path / "latest.html"
    file.write_bytes(b"before")
    file.chmod(0o640)
    link.symlink_to(file)
    write_file(link, b"after")
    assert link.is_symlink()
    assert file.read_bytes() == b"after"
    assert stat.S_IMODE(file.stat().st_mode) == 0o640


def test_a_name_as_long_as_a_disk_allows_is_written(tmp_path: Path) -> None:
    file = tmp_path / ("n" * 255)
    write_file(file, b"content")
    assert file.read_bytes() == b"content"


def test_a_new_file_replaces_nothing(tmp_path: Path) -> None:
    place = tmp_path / "file"
    write_file(place, "first", exclusive=True)
    with pytest.raises(FileExistsError):
        write_file(place, "second", exclusive=True)
    dangling = tmp_path / "link"
    dangling.symlink_to(tmp_path / "nothing")
    with pytest.raises(FileExistsError):
        write_file(dangling, "second", exclusive=True)
    assert place.read_text() == "first"
    assert sorted(one.name for one in tmp_path.iterdir()) == ["file", "link"]


def test_a_missing_folder_is_named_and_not_the_temporary_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as missing:
        write_file(tmp_path / "nowhere" / "a.txt", "content")
    assert missing.value.strerror == f"the folder {tmp_path / 'nowhere'} does not exist"
    assert missing.value.filename == str(tmp_path / "nowhere" / "a.txt")
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError, match="file is not a folder"):
        write_file(tmp_path / "file" / "a.txt", "content")
