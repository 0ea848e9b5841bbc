"""Single files, patterns, archives and class folders with a folder around them as sources."""

import io
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

import lookalike
from lookalike import Collection
from lookalike.cli.index import index_command
from lookalike.core.records import Entry, Remote
from lookalike.errors import SourceError
from lookalike.images import Limits
from lookalike.sources import archives
from lookalike.sources.archives import read_archive
from lookalike.sources.catalogues import recognise
from lookalike.sources.catalogues.class_folders import ClassFolders, find_level
from lookalike.sources.named_files import find_common_folders

Paint = Callable[[Path, int], Path]


@pytest.fixture
def shop(tmp_path: Path, card: Path) -> Collection:
    return lookalike.open(tmp_path / "shop", encoder=card, create=True)


@pytest.fixture
def pics(tmp_path: Path, paint: Paint) -> Path:
    for number, name in enumerate(["a.png", "b.png", "deep/c.png", "deep/d.jpg"]):
        paint(tmp_path / "pics" / name, number)
    (tmp_path / "pics" / ".hidden.png").write_bytes(b"x")
    return tmp_path / "pics"


def ids(shop: Collection) -> list[str]:
    return sorted(item.id for item in shop)


# -- files and patterns --------------------------------------------------------------------


def test_single_files_have_the_ids_of_their_folder(shop: Collection, pics: Path) -> None:
    assert shop.index([pics / "a.png", pics / "deep" / "c.png"]).indexed == 2
    assert ids(shop) == ["a.png", "deep/c.png"]
    assert shop.index(pics / "a.png").unchanged == 1
    report = shop.index(pics)
    assert (report.indexed, report.unchanged, report.removed) == (2, 2, 0)
    (pics / "a.png").unlink()
    assert shop.index(pics / "b.png").removed == 0  # single files only add
    assert ids(shop) == ["a.png", "b.png", "deep/c.png", "deep/d.jpg"]


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("*.png", ["a.png", "b.png"]),
        ("**/*.jpg", ["d.jpg"]),
        ("**/[cd].*", ["c.png", "d.jpg"]),
        ("?.png", ["a.png", "b.png"]),
    ],
)
def test_a_pattern_names_files(
    shop: Collection, pics: Path, pattern: str, found: list[str]
) -> None:
    assert recognise(pics / pattern) == "files"
    assert shop.index(pics / pattern).indexed == len(found)
    assert [one.rsplit("/", 1)[-1] for one in ids(shop)] == found


def test_a_file_whose_name_looks_like_a_pattern_is_itself(
    shop: Collection, pics: Path, paint: Paint
) -> None:
    place = paint(pics / "a[1].png", 9)
    shop.index(place)
    assert ids(shop) == ["a[1].png"]


def test_a_file_of_a_catalogue_keeps_its_id_and_label(shop: Collection, pics: Path) -> None:
    (pics / "t.csv").write_text("sku,file,label\ns1,a.png,mug\n")
    shop.index(pics / "t.csv")
    report = shop.index([pics / "a.png", pics / "b.png"])
    assert (report.unchanged, report.indexed) == (1, 1)
    assert {item.id: item.label for item in shop} == {"s1": "mug", "b.png": None}


def test_what_is_not_there_is_an_error_before_any_work(shop: Collection, pics: Path) -> None:
    for wrong in (pics / "x.png", [pics / "a.png", pics / "x.png"]):
        with pytest.raises(SourceError, match="does not exist"):
            shop.index(wrong)
    with pytest.raises(SourceError, match="matches no file"):
        shop.index(pics / "*.tif")
    with pytest.raises(SourceError, match="is no file"):
        shop.index([pics / "deep"])
    assert len(shop) == 0
    assert shop.roots() == []


def test_files_of_unrelated_places_are_not_gathered_under_the_file_system() -> None:
    one, two = Path("/photos/a.png"), Path("/scans/b.png")
    assert find_common_folders([one, two]) == {Path("/photos"): [one], Path("/scans"): [two]}
    three = Path("/photos/deep/c.png")
    assert find_common_folders([one, three]) == {Path("/photos"): [one, three]}


def test_the_command_takes_files_patterns_and_folders_together(
    tmp_path: Path, pics: Path, card: Path
) -> None:
    options = ["-c", str(tmp_path / "shop"), "--encoder", str(card)]
    words = [str(pics / "a.png"), str(pics / "b.png"), str(pics / "deep" / "*")]
    result = CliRunner().invoke(index_command, [*words, *options])
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("4 indexed")
    result = CliRunner().invoke(index_command, [words[0], *options, "--verify"])
    assert isinstance(result.exception, SourceError)
    assert "--verify compares a folder or a catalogue" in str(result.exception)


# -- archives ------------------------------------------------------------------------------


def fill_zip(path: Path, pics: Path) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(pics.rglob("*")):
            archive.write(file, file.relative_to(pics))
        archive.writestr("notes.txt", "no image")
        archive.writestr("__MACOSX/a.png", b"x")
    return path


def fill_tar(path: Path, pics: Path) -> Path:
    mode = {".tar": "w", ".tgz": "w:gz", ".gz": "w:gz", ".xz": "w:xz", ".bz2": "w:bz2"}
    with tarfile.open(path, mode[path.suffix]) as archive:  # type: ignore[call-overload]
        archive.add(pics, "./")
        link = tarfile.TarInfo("link.png")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    return path


@pytest.mark.parametrize("name", ["p.zip", "p.tar", "p.tar.gz", "P.TGZ", "p.tar.xz", "p.tar.bz2"])
def test_the_images_of_an_archive_are_indexed(
    tmp_path: Path, shop: Collection, pics: Path, name: str
) -> None:
    fill = fill_zip if name.endswith(".zip") else fill_tar
    path = fill(tmp_path / name.lower(), pics).rename(tmp_path / name)
    assert recognise(path) == "archive"
    report = shop.index(path)
    assert (report.indexed, report.skipped) == (4, ())
    names = ["a.png", "b.png", "deep/c.png", "deep/d.jpg"]
    assert ids(shop) == [f"{name}/{one}" for one in names]
    assert shop.index(path).unchanged == 4
    hits = shop.search(pics / "a.png", k=1)
    assert hits[0].item.id == f"{name}/a.png"
    assert hits[0].score > 0.999
    assert shop.roots() == []


def make_zip(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


def test_no_name_in_an_archive_leads_out_of_it(tmp_path: Path, shop: Collection) -> None:
    names = ["../a.png", "/etc/b.png", "x/../../c.png", "..\\d.png", "C:\\e.png", "x/./f.png"]
    path = make_zip(tmp_path / "p.zip", dict.fromkeys(names, b"x"))
    found = list(read_archive(path, limits=Limits()))
    reasons = [one.image.reason for one in found if isinstance(one.image, Remote)]
    assert len(reasons) == 5
    assert all(one.endswith("leads out of the archive") for one in reasons)
    report = shop.index(path)
    assert report.indexed == 0
    assert len(report.skipped) == 6
    assert sorted(one.name for one in tmp_path.iterdir()) == ["p.zip", "shop"]


def test_a_large_image_in_an_archive_is_not_read(tmp_path: Path) -> None:
    path = make_zip(tmp_path / "p.zip", {"a.png": bytes(2_000_000), "b.png": b"x"})
    found = list(read_archive(path, limits=Limits(max_bytes=1_000_000)))
    assert isinstance(found[0].image, Remote)
    assert "the limit is 1,000,000" in found[0].image.reason
    assert found[1].image == b"x"


def test_a_declared_size_is_not_believed(tmp_path: Path) -> None:
    path = make_zip(tmp_path / "p.zip", {"a.png": bytes(2_000_000)})
    data = bytearray(path.read_bytes())
    for signature, place in ((b"PK\x01\x02", 24), (b"PK\x03\x04", 22)):
        at = data.index(signature) + place
        data[at : at + 4] = (10).to_bytes(4, "little")
    path.write_bytes(data)
    (one,) = read_archive(path, limits=Limits(max_bytes=1_000_000))
    assert isinstance(one.image, Remote) or len(one.image) <= 10  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", ["zip", "tar.gz"])
def test_an_archive_that_expands_beyond_measure_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr(archives, "_LEAST_EXPANDED", 1_000_000)
    path = tmp_path / f"p.{kind}"
    if kind == "zip":
        make_zip(path, {f"{n}.png": bytes(500_000) for n in range(9)})
    else:
        with tarfile.open(path, "w:gz") as archive:
            for number in range(9):
                info = tarfile.TarInfo(f"{number}.txt")
                info.size = 500_000
                archive.addfile(info, io.BytesIO(bytes(500_000)))
    with pytest.raises(SourceError, match="expands to more than 200 times its size"):
        list(read_archive(path, limits=Limits()))


def test_a_damaged_archive_is_one_message(tmp_path: Path, pics: Path, shop: Collection) -> None:
    for path in (fill_zip(tmp_path / "p.zip", pics), fill_tar(tmp_path / "p.tar.gz", pics)):
        whole = path.read_bytes()
        for content in (b"", b"no archive", whole[: len(whole) // 2]):
            path.write_bytes(content)
            with pytest.raises(SourceError, match="archive cannot be read"):
                shop.index(path)
    with pytest.raises(SourceError, match="does not exist"):
        shop.index(tmp_path / "no.zip")


def test_reading_an_archive_stops_on_request(tmp_path: Path) -> None:
    path = make_zip(tmp_path / "p.zip", {f"{n}.txt": b"" for n in range(50)} | {"a.png": b"x"})
    assert list(read_archive(path, limits=Limits(), stop=lambda: True)) == []


# -- class folders -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("paths", "level"),
    [
        (["mug/1.png", "lamp/1.png"], 1),
        (["set/mug/1.png", "set/lamp/1.png"], 2),
        (["set/set/mug/1.png", "set/set/lamp/deep/1.png"], 3),
        (["train/mug/1.png", "train/lamp/1.png", "test/mug/2.png"], 2),
        (["set/Train/mug/1.png", "set/val/lamp/1.png"], 3),
        (["train/1.png", "test/2.png"], 1),
        (["mug/1.png", "mug/deep/2.png"], 1),
        (["set/mug/1.png", "set/lamp/1.png", "cover.png"], 1),
        (["set/BACKGROUND_Google/1.png", "set/lamp/1.png", "set/mug/1.png"], 2),
        (["mug/1.png"], 1),
        (["1.png"], 1),
        ([], 1),
    ],
)
def test_labels_are_at_the_level_that_holds_them(paths: list[str], level: int) -> None:
    assert find_level(paths) == level


def test_a_folder_around_caltech_is_recognised(
    tmp_path: Path, paint: Paint, shop: Collection
) -> None:
    for number, name in enumerate(["accordion/1.png", "yin_yang/1.png", "BACKGROUND_Google/1.png"]):
        paint(tmp_path / "caltech" / "101_ObjectCategories" / name, number)
    assert recognise(tmp_path / "caltech") == "class-folders"
    report = shop.index(tmp_path / "caltech")
    assert {item.id: item.label for item in shop} == {
        "101_ObjectCategories/accordion/1.png": "accordion",
        "101_ObjectCategories/yin_yang/1.png": "yin_yang",
    }
    level, background = report.notes
    assert level.startswith(f"labels are the folders of level 2 in {tmp_path / 'caltech'}, such as")
    assert background.startswith("1 image of BACKGROUND_Google is left out, as it is of no class;")


def test_the_level_of_labels_can_be_named(tmp_path: Path, paint: Paint, card: Path) -> None:
    for number, name in enumerate(["a/b/1.png", "a/c/2.png"]):
        paint(tmp_path / "set" / name, number)
    for level, labels in ((None, ["b", "c"]), (1, ["a", "a"]), (2, ["b", "c"]), (3, [None, None])):
        catalogue = ClassFolders(tmp_path / "set", label_level=level)
        found = [one.label for one in catalogue.entries() if isinstance(one, Entry)]
        assert found == labels
        assert bool(catalogue.notes) == (level is None)
    options = ["-c", str(tmp_path / "shop"), "--encoder", str(card), "--label-level", "1"]
    words = [str(tmp_path / "set"), "--format", "class-folders"]
    result = CliRunner().invoke(index_command, [*words, *options])
    assert result.exit_code == 0, result.output
    with lookalike.open(tmp_path / "shop") as found_shop:
        assert found_shop.facets("label") == [("a", 2)]


def zipped(folder: Path, image: Path) -> Path:
    """An archive ``images.zip`` in a folder, with one image ``a.png``."""
    folder.mkdir()
    path = folder / "images.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.write(image, "a.png")
    return path


def test_another_archive_of_one_name_does_not_replace_the_first(
    shop: Collection, tmp_path: Path, paint: Callable[[Path, int], Path]
) -> None:
    first = zipped(tmp_path / "one", paint(tmp_path / "1.png", 1))
    second = zipped(tmp_path / "two", paint(tmp_path / "2.png", 2))
    shop.index(first)
    before = shop.get("images.zip/a.png").digest
    with pytest.raises(SourceError, match=r"two/images.zip: .* another archive of this name"):
        shop.index(second)
    assert shop.get("images.zip/a.png").digest == before
    assert shop.index(first).unchanged == 1


def test_an_archive_that_was_moved_keeps_its_ids(
    shop: Collection, tmp_path: Path, paint: Callable[[Path, int], Path]
) -> None:
    first = zipped(tmp_path / "one", paint(tmp_path / "1.png", 1))
    shop.index(first)
    moved = first.rename(tmp_path / "images.zip")
    assert shop.index(moved).indexed == 0
    assert [item.id for item in shop] == ["images.zip/a.png"]
