"""What a scan lists of a folder, and what it says of the rest."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

import hostile
from lookalike import images
from lookalike.core.records import Stamp
from lookalike.errors import SourceError
from lookalike.sources.scan import IGNORE_FILE, Listing, ScanOptions, scan


def make(root: Path, *paths: str) -> Path:
    """Empty files at these paths; a scan opens none of them."""
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(b"")
    return root


def listed(root: Path, under: str = "", **options: object) -> list[str]:
    chosen = ScanOptions(**options)  # type: ignore[arg-type]
    return list(scan(root, suffixes=images.SUFFIXES, under=under, options=chosen).files)


# -- which files ---------------------------------------------------------------------------


def test_pictures_are_told_by_their_suffix_in_any_case(tmp_path: Path) -> None:
    make(tmp_path, "a.jpg", "b.JPG", "c.JpEg", "d.webp", "e.txt", "jpg", "f.jpg.txt", "g.txt.jpg")
    assert listed(tmp_path) == ["a.jpg", "b.JPG", "c.JpEg", "d.webp", "g.txt.jpg"]


def test_hidden_files_and_folders_are_left_out_unless_asked_for(tmp_path: Path) -> None:
    make(tmp_path, "a.jpg", ".b.jpg", ".c/d.jpg", "e/.f/g.jpg", "e/.h.jpg")
    assert listed(tmp_path) == ["a.jpg"]
    assert listed(tmp_path, hidden=True) == [
        ".b.jpg",
        "a.jpg",
        ".c/d.jpg",
        "e/.h.jpg",
        "e/.f/g.jpg",
    ]


@pytest.mark.parametrize("name", ["@eaDir", "$RECYCLE.BIN", "__MACOSX", "lost+found", "#recycle"])
def test_folders_that_systems_make_are_not_entered(tmp_path: Path, name: str) -> None:
    make(tmp_path, "a.jpg", f"{name}/b.jpg", f"sub/{name}/c.jpg", f"{name}s/d.jpg")
    assert sorted(listed(tmp_path, hidden=True)) == sorted(["a.jpg", f"{name}s/d.jpg"])


def test_a_folder_with_a_pictures_name_is_a_folder(tmp_path: Path) -> None:
    make(tmp_path, "album.jpg/a.jpg")
    assert listed(tmp_path) == ["album.jpg/a.jpg"]


def test_exclude_takes_away_files_and_whole_folders(tmp_path: Path) -> None:
    make(tmp_path, "a.jpg", "a-small.jpg", "old/b.jpg", "sub/old/c.jpg", "sub/d.jpg")
    assert listed(tmp_path, exclude=["*-small.*", "old/"]) == ["a.jpg", "sub/d.jpg"]
    assert listed(tmp_path, exclude=["/old/"]) == [
        "a-small.jpg",
        "a.jpg",
        "sub/d.jpg",
        "sub/old/c.jpg",
    ]
    assert listed(tmp_path, exclude=["*.jpg", "!d.jpg"]) == ["sub/d.jpg"]


def test_include_takes_what_matches_whatever_its_suffix_and_nothing_else(tmp_path: Path) -> None:
    make(tmp_path, "a.jpg", "b.scan", "sub/c.scan", "sub/d.jpg", "front/e.png")
    assert listed(tmp_path, include=["*.scan"]) == ["b.scan", "sub/c.scan"]
    assert listed(tmp_path, include=["front/"]) == ["front/e.png"]
    assert listed(tmp_path, include=["*.scan"], exclude=["sub"]) == ["b.scan"]


def test_an_ignore_file_holds_for_its_folder_and_below(tmp_path: Path) -> None:
    make(tmp_path, "a.jpg", "s/a.jpg", "s/b.jpg", "s/t/a.jpg", "t/a.jpg")
    (tmp_path / "s" / IGNORE_FILE).write_text("# copies\n\na.jpg\n")
    assert listed(tmp_path) == ["a.jpg", "s/b.jpg", "t/a.jpg"]
    (tmp_path / "s" / IGNORE_FILE).write_text("/a.jpg\n")
    assert listed(tmp_path) == ["a.jpg", "s/b.jpg", "s/t/a.jpg", "t/a.jpg"]


def test_a_deeper_ignore_file_takes_back_what_an_outer_one_ignores(tmp_path: Path) -> None:
    make(tmp_path, "a.jpg", "s/a.jpg", "s/b.jpg", "s/t/a.jpg", "u/a.jpg")
    (tmp_path / IGNORE_FILE).write_text("*.jpg\n")
    (tmp_path / "s" / IGNORE_FILE).write_text("!a.jpg\n")
    (tmp_path / "s/t").mkdir(exist_ok=True)
    (tmp_path / "s/t" / IGNORE_FILE).write_text("a.jpg\n")
    assert listed(tmp_path) == ["s/a.jpg"]


def test_a_folder_that_is_ignored_is_not_looked_into(tmp_path: Path) -> None:
    make(tmp_path, "raw/a.jpg", "b.jpg")
    (tmp_path / IGNORE_FILE).write_text("raw/\n")
    (tmp_path / "raw" / IGNORE_FILE).write_text("!a.jpg\n")
    assert listed(tmp_path) == ["b.jpg"]


def test_an_ignore_file_that_cannot_be_read_stops_the_scan_by_name(tmp_path: Path) -> None:
    make(tmp_path, "a.jpg", "s/b.jpg")
    (tmp_path / "s" / IGNORE_FILE).write_bytes(b"caf\xe9/\n")
    with pytest.raises(SourceError, match=f"s/{IGNORE_FILE} cannot be read"):
        listed(tmp_path)


# -- where ---------------------------------------------------------------------------------


def test_under_lists_one_folder_with_paths_below_the_root(tmp_path: Path) -> None:
    make(tmp_path, "a.jpg", "s/b.jpg", "s/t/c.jpg", "s2/d.jpg")
    assert listed(tmp_path, "s") == ["s/b.jpg", "s/t/c.jpg"]
    assert listed(tmp_path, "s/t") == ["s/t/c.jpg"]


def test_ignore_files_above_count_for_a_folder_as_well(tmp_path: Path) -> None:
    make(tmp_path, "s/t/a.jpg", "s/t/b.jpg", "s/t/c.jpg")
    (tmp_path / IGNORE_FILE).write_text("a.jpg\n")
    (tmp_path / "s" / IGNORE_FILE).write_text("/t/b.jpg\n")
    assert listed(tmp_path, "s/t") == listed(tmp_path) == ["s/t/c.jpg"]


def test_folders_apart_are_not_entered(tmp_path: Path) -> None:
    make(tmp_path, "a.jpg", "s/b.jpg", "s/t/c.jpg", "s2/d.jpg")
    apart = {str((tmp_path / "s").resolve())}
    found = scan(tmp_path, suffixes=images.SUFFIXES, apart=apart)
    assert list(found.files) == ["a.jpg", "s2/d.jpg"]


def test_the_order_does_not_depend_on_the_file_system(tmp_path: Path) -> None:
    paths = ["10.jpg", "2.jpg", "B.jpg", "a.jpg", "z/1.jpg", "b/z/2.jpg", "b/a.jpg"]
    make(tmp_path / "one", *paths)
    make(tmp_path / "two", *reversed(paths))
    assert (
        listed(tmp_path / "one")
        == listed(tmp_path / "two")
        == ["10.jpg", "2.jpg", "B.jpg", "a.jpg", "b/a.jpg", "b/z/2.jpg", "z/1.jpg"]
    )


def test_a_missing_folder_is_an_error_and_not_an_empty_one(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="gone does not exist"):
        listed(tmp_path / "gone")
    with pytest.raises(SourceError, match="gone does not exist"):
        listed(tmp_path, "gone")


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    make(tmp_path, "a.jpg")
    with pytest.raises(SourceError, match=r"a\.jpg is a file, not a folder"):
        listed(tmp_path / "a.jpg")


def test_an_empty_folder_lists_nothing(tmp_path: Path) -> None:
    assert scan(tmp_path, suffixes=images.SUFFIXES) == Listing()


# -- links ---------------------------------------------------------------------------------


def test_links_are_not_followed(tmp_path: Path) -> None:
    make(tmp_path / "other", "a.jpg")
    make(tmp_path / "root", "b.jpg")
    (tmp_path / "root/link").symlink_to(tmp_path / "other")
    (tmp_path / "root/link.jpg").symlink_to(tmp_path / "other/a.jpg")
    assert listed(tmp_path / "root") == ["b.jpg"]


def test_links_are_followed_when_asked_for(tmp_path: Path) -> None:
    make(tmp_path / "other", "a.jpg")
    make(tmp_path / "root", "b.jpg")
    (tmp_path / "root/link").symlink_to(tmp_path / "other")
    (tmp_path / "root/link.jpg").symlink_to(tmp_path / "other/a.jpg")
    assert listed(tmp_path / "root", follow_links=True) == ["b.jpg", "link.jpg", "link/a.jpg"]


def test_links_that_lead_in_circles_end(tmp_path: Path) -> None:
    make(tmp_path, "a.jpg", "s/t/b.jpg")
    (tmp_path / "s/t/up").symlink_to(tmp_path)
    (tmp_path / "s/t/here").symlink_to(".")
    (tmp_path / "twice").symlink_to("s")
    assert listed(tmp_path, follow_links=True) == ["a.jpg", "s/t/b.jpg"]


def test_a_link_to_nothing_is_reported_when_followed(tmp_path: Path) -> None:
    make(tmp_path, "a.jpg")
    (tmp_path / "gone.jpg").symlink_to("nothing.jpg")
    (tmp_path / "loop.jpg").symlink_to("loop.jpg")
    found = scan(tmp_path, suffixes=images.SUFFIXES, options=ScanOptions(follow_links=True))
    assert list(found.files) == ["a.jpg"]
    assert [skip.path for skip in found.skipped] == ["gone.jpg", "loop.jpg"]


# -- what is said of a file ----------------------------------------------------------------


def test_a_stamp_is_size_and_time_to_the_nanosecond(tmp_path: Path) -> None:
    make(tmp_path, "a.jpg").joinpath("a.jpg").write_bytes(b"12345")
    os.utime(tmp_path / "a.jpg", ns=(1, 1_700_000_000_123_456_789))
    found = scan(tmp_path, suffixes=images.SUFFIXES)
    assert found.files == {"a.jpg": Stamp(size=5, mtime_ns=1_700_000_000_123_456_789)}


def test_odd_names_are_listed_as_they_are(tmp_path: Path) -> None:
    names = ["new\nline.jpg", "tab\t.jpg", " .jpg", "é.jpg", "e\u0301.jpg", "n" * 251 + ".jpg"]
    make(tmp_path, *names)
    assert sorted(listed(tmp_path)) == sorted(names)


def test_names_that_are_not_utf8_are_reported_in_print(tmp_path: Path) -> None:
    make(tmp_path, "a.jpg", os.fsdecode(b"caf\xe9.jpg"), os.fsdecode(b"d\xff/b.jpg"))
    found = scan(tmp_path, suffixes=images.SUFFIXES)
    assert list(found.files) == ["a.jpg"]
    assert [(skip.path, skip.reason) for skip in found.skipped] == [
        ("caf\\xe9.jpg", "its name is not UTF-8; rename it"),
        ("d\\xff/b.jpg", "its name is not UTF-8; rename it"),
    ]
    assert found.unlisted == []


def test_found_hears_how_many_there_are_so_far(tmp_path: Path) -> None:
    make(tmp_path, "a.jpg", "s/b.jpg", "s/c.jpg", "t/d.jpg")
    heard: list[int] = []
    scan(tmp_path, suffixes=images.SUFFIXES, found=heard.append)
    assert heard == [1, 3, 4]


def test_a_scan_opens_no_file(tmp_path: Path) -> None:
    """A named pipe that somebody opens to read would wait for ever."""
    os.mkfifo(tmp_path / "pipe.jpg")
    assert listed(tmp_path) == ["pipe.jpg"]


def test_the_hostile_corpus_is_listed_but_for_what_is_to_be_left_out(tmp_path: Path) -> None:
    cases = hostile.build(tmp_path)
    found = scan(tmp_path, suffixes=images.SUFFIXES)
    expected = {os.path.basename(case.path).decode() for case in cases if not case.left_out}  # noqa: PTH119 - bytes
    assert set(found.files) == expected
    assert [skip.path for skip in found.skipped] == ["caf\\xe9.png"]


# -- what cannot be looked into ------------------------------------------------------------


def test_a_folder_that_cannot_be_listed_is_said_and_covers_nothing_below() -> None:
    found = Listing(unlisted=["s", "t/u"])
    assert [path for path in ("s/a", "s", "s2/a", "t/a", "t/u/v/a", "a") if found.covers(path)] == [
        "s2/a",
        "t/a",
        "a",
    ]
    assert not Listing(unlisted=[""]).covers("a")


_UNREADABLE = """
import json
import pathspec, encodings.idna
from lookalike.errors import SourceError
from lookalike.sources.scan import scan
become_nobody()
for path in ("a.jpg", "locked/b.jpg", "blind/c.jpg", "blind/d/e.jpg", "z/f.jpg"):
    (folder / path).parent.mkdir(parents=True, exist_ok=True)
    (folder / path).touch()
(folder / "locked").chmod(0)
(folder / "blind").chmod(0o444)  # its names can be listed, its files not looked at
found = scan(folder, suffixes={".jpg"})
said = [[skip.path, skip.reason] for skip in found.skipped]
covered = [p for p in ("a.jpg", "locked/b.jpg", "blind/c.jpg", "blind/d/e.jpg", "z/gone.jpg")
           if found.covers(p)]
(folder / "z").chmod(0)
try:
    scan(folder, suffixes={".jpg"}, under="z")
except SourceError as error:
    message = str(error)
for name in ("locked", "blind", "z"):
    (folder / name).chmod(0o755)
print(json.dumps({"files": [*found.files], "said": said, "covered": covered, "error": message}))
"""


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="permissions are POSIX here")
def test_what_cannot_be_looked_at_is_reported_and_not_taken_for_gone(
    as_nobody: Callable[[str], str],
) -> None:
    seen = json.loads(as_nobody(_UNREADABLE))
    assert seen["files"] == ["a.jpg", "z/f.jpg"]
    assert sorted(seen["said"]) == [
        ["blind/c.jpg", "cannot be read: Permission denied"],
        ["blind/d/", "the folder cannot be listed: Permission denied"],
        ["locked/", "the folder cannot be listed: Permission denied"],
    ]
    assert seen["covered"] == ["a.jpg", "z/gone.jpg"]
    assert "z cannot be listed: Permission denied" in seen["error"]
