"""Which image files a table's rows mean: other spellings, and several images in one row."""

import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from unicodedata import normalize

import pytest

import lookalike
from lookalike.core.records import Entry, Remote, Skipped
from lookalike.errors import SourceError
from lookalike.sources.catalogues.image_paths import ImageFinder
from lookalike.sources.catalogues.table import Table

Paint = Callable[[Path, int], Path]


def split(table: Table) -> tuple[dict[str, Entry], list[Skipped]]:
    ones = list(table.entries())
    return (
        {one.id: one for one in ones if isinstance(one, Entry)},
        [one for one in ones if isinstance(one, Skipped)],
    )


def write(path: Path, text: str) -> Table:
    path.write_text(text, encoding="utf-8", newline="")
    return Table(path)


@pytest.mark.parametrize(
    ("written", "path"),
    [
        ("pics/Caf\u00e9 1.JPG", "pics/Caf\u00e9 1.JPG"),
        ("pics\\Caf\u00e9 1.JPG", "pics/Caf\u00e9 1.JPG"),
        ("./pics/Caf\u00e9 1.JPG", "pics/Caf\u00e9 1.JPG"),
        (".\\pics\\Caf\u00e9 1.JPG", "pics/Caf\u00e9 1.JPG"),
        ("  pics/Caf\u00e9 1.JPG ", "pics/Caf\u00e9 1.JPG"),
        ("/pics/Caf\u00e9 1.JPG", "pics/Caf\u00e9 1.JPG"),
        ("PICS/caf\u00c9 1.jpg", "pics/Caf\u00e9 1.JPG"),
        (normalize("NFD", "pics/Caf\u00e9 1.JPG"), "pics/Caf\u00e9 1.JPG"),
        ("pics/Caf%C3%A9%201.JPG", "pics/Caf\u00e9 1.JPG"),
        ("pics/Caf\u00e9 1", "pics/Caf\u00e9 1.JPG"),
        ("pics/CAF\u00c9 1", "pics/Caf\u00e9 1.JPG"),
        ("pics/v1.2", "pics/v1.2.png"),
        ("pics/%41.png", "pics/%41.png"),
        ("pics/b.png", normalize("NFD", "pics/b.png")),
        ("pics/nai\u0308ve.png", "pics/nai\u0308ve.png"),
        ("pics/na\u00efve.png", "pics/nai\u0308ve.png"),
    ],
)
def test_a_file_is_found_however_its_name_is_spelled(
    tmp_path: Path, paint: Paint, written: str, path: str
) -> None:
    for number, name in enumerate(
        ["Caf\u00e9 1.JPG", "v1.2.png", "%41.png", "A.png", "b.png", "nai\u0308ve.png"]
    ):
        paint(tmp_path / "pics" / name, number)
    table = write(tmp_path / "t.csv", f'file\n"{written}"\n')
    ((one, entry),) = split(table)[0].items()
    assert (one, entry.path) == (path, path)
    assert entry.stamp is not None
    assert bool(table.notes) == (written.removeprefix("./") != path)


def test_file_urls_are_paths(tmp_path: Path, paint: Paint) -> None:
    place = paint(tmp_path / "pics" / "a b.png", 1)
    for url in (place.as_uri(), place.as_uri().replace("file:///", "file://localhost/")):
        entries, _ = split(write(tmp_path / "t.csv", f"file\n{url}\n"))
        assert [*entries] == ["pics/a b.png"]
    entries, odd = split(write(tmp_path / "t.csv", "file\nfile:///etc/passwd.png\n"))
    assert entries == {}
    assert "is outside" in odd[0].reason
    entries, odd = split(write(tmp_path / "t.csv", "file\nfile://server/share/a.png\n"))
    assert [one.stamp for one in entries.values()] == [None]


@pytest.mark.parametrize(
    "written", ["../secret.png", "..\\secret.png", "pics/../../secret.png", " ../SECRET", "a\0.png"]
)
def test_no_spelling_leads_out_of_the_root(tmp_path: Path, paint: Paint, written: str) -> None:
    paint(tmp_path / "secret.png", 1)
    (tmp_path / "root" / "pics").mkdir(parents=True)
    finder = ImageFinder(tmp_path / "root")
    with suppress(ValueError):
        assert finder.find(written).stamp is None
    assert finder.respelled == 0


def test_a_link_out_of_the_root_is_no_other_spelling(tmp_path: Path, paint: Paint) -> None:
    paint(tmp_path / "secret.png", 1)
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "Link.png").symlink_to(tmp_path / "secret.png")
    with pytest.raises(ValueError, match="is outside"):
        ImageFinder(tmp_path / "root").find("link.png")


def test_what_may_be_several_files_is_none(tmp_path: Path, paint: Paint) -> None:
    for number, name in enumerate(["A.png", "a.png", "b.jpg", "b.png", "b.txt"]):
        paint(tmp_path / name.replace(".txt", ".bmp"), number)
    for name in ("a", "b"):
        entries, odd = split(write(tmp_path / "t.csv", f"file\n{name}\nA.png\n"))
        assert [*entries] == ["A.png"]
        assert odd[0].reason.startswith(f"{name} may be ")
    (tmp_path / "c.png.txt").write_text("no image")
    entries, _ = split(write(tmp_path / "t.csv", "file\nc.png\n"))
    assert entries["c.png"].stamp is None


def test_a_missing_file_keeps_the_name_that_the_catalogue_gives_it(tmp_path: Path) -> None:
    entries, odd = split(write(tmp_path / "t.csv", "file\npics\\a.png\nx.png\n"))
    assert [(one, entry.stamp) for one, entry in entries.items()] == [
        ("pics\\a.png", None),
        ("x.png", None),
    ]
    assert odd == []


def test_other_spellings_are_in_the_report(tmp_path: Path, card: Path, paint: Paint) -> None:
    paint(tmp_path / "pics" / "a.png", 1)
    paint(tmp_path / "pics" / "b.png", 2)
    table = write(tmp_path / "t.csv", "sku,file\n1,PICS\\A.PNG\n2,pics/b\n")
    with lookalike.open(tmp_path / "shop", encoder=card, create=True) as shop:
        report = shop.index(table)
        assert report.indexed == 2
        assert report.notes == (
            "2 files were found by another spelling, such as 'PICS\\\\A.PNG': pics/a.png",
        )
        assert [item.path for item in shop] == ["pics/a.png", "pics/b.png"]


def groups(entries: dict[str, Entry]) -> dict[str, tuple[str, str | None]]:
    return {one: (entry.path, entry.group) for one, entry in entries.items()}


@pytest.mark.parametrize(
    "row",
    [
        "s1,a.png|b.png|c.jpg",
        "s1, a.png | b.png |c.jpg|",
        's1,"a.png, b.png, c.jpg"',
        "s1,a.png;b.png;c.jpg",
        "s1,a|b|c",
    ],
)
def test_several_files_in_a_row_are_one_group(tmp_path: Path, paint: Paint, row: str) -> None:
    for number, name in enumerate(["a.png", "b.png", "c.jpg", "d.png"]):
        paint(tmp_path / name, number)
    entries, odd = split(write(tmp_path / "t.csv", f"sku,file\n{row}\ns2,d.png\n"))
    assert groups(entries) == {
        "s1": ("a.png", "s1"),
        "s1#2": ("b.png", "s1"),
        "s1#3": ("c.jpg", "s1"),
        "s2": ("d.png", None),
    }
    assert odd == []


def test_images_without_an_id_are_named_by_their_files(tmp_path: Path, paint: Paint) -> None:
    for number, name in enumerate(["a.png", "b.png", "x,y.png", "x.png", "y.png"]):
        paint(tmp_path / name, number)
    text = 'file,label\na.png|b.png|a.png,mug\n"x,y.png",\n'
    entries, _ = split(write(tmp_path / "t.csv", text))
    assert groups(entries) == {
        "a.png": ("a.png", "a.png"),
        "b.png": ("b.png", "a.png"),
        "x,y.png": ("x,y.png", None),  # a file whose name has a comma
    }
    assert entries["b.png"].label == "mug"


def test_lists_of_json_are_several_images(tmp_path: Path, paint: Paint) -> None:
    for number in range(3):
        paint(tmp_path / f"{number}.png", number)
    rows = [
        {"sku": "s1", "image": ["0.png", "1.png"], "product": "p"},
        {"sku": "s2", "image": [{"path": "2.png"}]},
        {"sku": "s3", "image": []},
        {"sku": "s4", "image": ["no.png", "../out.png"]},
    ]
    entries, odd = split(write(tmp_path / "t.json", json.dumps(rows)))
    assert groups(entries) == {
        "s1": ("0.png", "p"),
        "s1#2": ("1.png", "p"),
        "s2": ("2.png", None),
        "s4": ("no.png", None),
    }
    assert [one.path for one in odd] == ["t.json:3", "t.json:4"]


@pytest.mark.parametrize(
    ("header", "row", "urls"),
    [
        ("sku,image_url", "s,http://a/1.jpg|https://b/2.jpg", ["http://a/1.jpg", "https://b/2.jpg"]),
        ("sku,image_url", 's,"http://a/1.jpg, http://a/2.jpg"', ["http://a/1.jpg", "http://a/2.jpg"]),
        ("sku,image_url", 's,"http://a/1,2.jpg;w=3"', ["http://a/1,2.jpg;w=3"]),
        ("sku,image_url_1,image_url_2", "s,http://a/1.jpg,http://a/2.jpg",
         ["http://a/1.jpg", "http://a/2.jpg"]),
        ("sku,image_url,image_url_2", "s,http://a/1.jpg,", ["http://a/1.jpg"]),
        ("sku,Image URL 2,image_url 10,image_url_1", "s,http://a/2.jpg,http://a/3.jpg,http://a/1.jpg",
         ["http://a/1.jpg", "http://a/3.jpg"]),
    ],
)  # fmt: skip
def test_several_urls_in_a_row_are_several_images(
    tmp_path: Path, header: str, row: str, urls: list[str]
) -> None:
    entries, _ = split(write(tmp_path / "t.csv", f"{header}\n{row}\n"))
    assert [one.image for one in entries.values()] == [Remote((url,)) for url in urls]
    assert {one.group for one in entries.values()} == {"s" if len(urls) > 1 else None}


def test_several_columns_are_named_by_repeating_the_option(tmp_path: Path, paint: Paint) -> None:
    for number, name in enumerate(["a.png", "b.png"]):
        paint(tmp_path / name, number)
    path = tmp_path / "t.csv"
    path.write_text("sku,front,back\ns,a.png,b.png\nt,a.png,\n")
    table = Table(path, columns={"file": ("front", "back")})
    assert table.columns() == {"file": "front, back", "id": "sku"}
    entries, _ = split(table)
    assert groups(entries) == {"s": ("a.png", "s"), "s#2": ("b.png", "s"), "t": ("a.png", None)}
    with pytest.raises(SourceError, match="id can be in one column only"):
        split(Table(path, columns={"file": "front", "id": ("sku", "back")}))


def test_an_id_stays_when_an_image_is_added(tmp_path: Path, card: Path, paint: Paint) -> None:
    for number in range(3):
        paint(tmp_path / f"{number}.png", number)
    with lookalike.open(tmp_path / "shop", encoder=card, create=True) as shop:
        shop.index(write(tmp_path / "t.csv", "sku,file\ns,0.png\n"))
        shop.label(["s"], "by hand")
        report = shop.index(write(tmp_path / "t.csv", "sku,file\ns,0.png|1.png|2.png\n"))
        assert (report.indexed, report.removed) == (2, 0)
        found = {item.id: (item.label, item.group) for item in shop}
        assert found == {"s": ("by hand", "s"), "s#2": (None, "s"), "s#3": (None, "s")}
