"""Catalogues: each format's quirks, and what indexing one means for a collection."""

from pathlib import Path

import pytest
from PIL import Image

import lookalike
from lookalike.catalogues import open_catalogue, recognise
from lookalike.catalogues.table import Table, csv_value
from lookalike.encoders import OnnxEncoder
from lookalike.errors import SourceError
from lookalike.protocols import Catalogue
from lookalike.records import Entry, IndexReport, Skipped

MYNTRA = """\
id,gender,masterCategory,subCategory,articleType,baseColour,season,year,usage,productDisplayName,,
1,Men,Apparel,Topwear,Shirts,Navy Blue,Fall,2011,Casual,Turtle Check Men Navy Blue Shirt\r
2,Men,Apparel,Topwear,Shirts,Black,Summer,2014.0,NA,Boss Men Perfume, After Shave, Set\r
3,Women,Apparel,Bottomwear,Shorts,Pink,,,Sports,"Nike Women's EM Tempo 3.5"" Pink Short"
4,Men,Apparel,Topwear,Shirts,Black,Summer,2012,Casual,No Picture
five,Men,Apparel,Topwear,Shirts,Black,Summer,2012,Casual,No Number
6,Men,too few
"""


def paint(path: Path, shade: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (40, 40), (shade % 256, 40, 200 - shade % 200)).save(path)
    return path


def split(catalogue: Catalogue) -> tuple[dict[str, Entry], list[Skipped]]:
    ones = list(catalogue.entries())
    return (
        {one.id: one for one in ones if isinstance(one, Entry)},
        [one for one in ones if isinstance(one, Skipped)],
    )


@pytest.fixture
def myntra(tmp_path: Path) -> Path:
    root = tmp_path / "archive" / "fashion-dataset"
    root.mkdir(parents=True)
    (root / "styles.csv").write_text(MYNTRA, encoding="utf-8", newline="")
    for number in (1, 2, 3):
        paint(root / "images" / f"{number}.jpg", 50 * number)
    paint(root / "images" / "shirt_image.jpg", 9)
    (root / "styles").mkdir()
    (root / "styles" / "1.json").write_text(
        '{"data": {"price": 3995, "brandName": "Puma", "articleAttributes": {"Fit": "Slim"}}}'
    )
    (root / "styles" / "2.json").write_text('{"data": ')
    return tmp_path / "archive"


def test_myntra_is_read_with_its_quirks(myntra: Path) -> None:
    entries, odd = split(open_catalogue(myntra, "myntra"))
    assert sorted(entries) == ["1", "2", "3", "4"]
    first = dict(entries["1"].metadata or {})
    assert entries["1"].label == "Shirts"
    assert (first["year"], first["baseColour"], first["price"]) == (2011, "Navy Blue", 3995)
    assert (first["brand"], first["attributes"]) == ("Puma", {"Fit": "Slim"})
    second = dict(entries["2"].metadata or {})
    assert second["productDisplayName"] == "Boss Men Perfume, After Shave, Set"
    assert (second["year"], second["usage"]) == (2014, "NA")
    third = dict(entries["3"].metadata or {})
    assert third["productDisplayName"] == "Nike Women's EM Tempo 3.5\" Pink Short"
    assert "season" not in third
    assert "year" not in third
    assert [(one.path, one.reason) for one in odd] == [
        ("styles.csv:6", "'five' is no number of a product"),
        ("styles.csv:7", "3 values for 10 columns"),
    ]


def test_formats_are_recognised_by_their_content(myntra: Path, tmp_path: Path) -> None:
    assert recognise(myntra) == "myntra"
    assert recognise(myntra / "fashion-dataset") == "myntra"
    assert recognise(myntra / "fashion-dataset" / "images") == "folder"
    (tmp_path / "101" / "BACKGROUND_Google").mkdir(parents=True)
    assert recognise(tmp_path / "101") == "class-folders"
    for name in ("a.csv", "a.TSV", "a.jsonl"):
        (tmp_path / name).write_text("")
        assert recognise(tmp_path / name) == "table"
    with pytest.raises(SourceError, match="does not exist"):
        recognise(tmp_path / "nowhere")
    paint(tmp_path / "a.jpg", 1)
    with pytest.raises(SourceError, match="no table"):
        recognise(tmp_path / "a.jpg")
    with pytest.raises(SourceError, match="there is no format 'coco'"):
        open_catalogue(tmp_path, "coco")


def test_class_folders_give_labels_and_leave_the_background_out(tmp_path: Path) -> None:
    for path in ("chair/1.png", "chair/deep/2.png", "lamp/1.png", "BACKGROUND_Google/x.png"):
        paint(tmp_path / path, len(path))
    paint(tmp_path / "loose.png", 3)
    (tmp_path / "chair" / "notes.txt").write_text("no picture")
    entries, odd = split(open_catalogue(tmp_path, "class-folders"))
    assert {one: entry.label for one, entry in entries.items()} == {
        "chair/1.png": "chair",
        "chair/deep/2.png": "chair",
        "lamp/1.png": "lamp",
        "loose.png": None,
    }
    assert odd == []


def test_a_table_finds_its_columns_and_types_its_values(tmp_path: Path) -> None:
    paint(tmp_path / "pics" / "a.png", 1)
    table = tmp_path / "shop.csv"
    table.write_text(
        "\ufeffsku,image,category,product_id,price,code,name\r\n"
        'A1,pics/a.png,mug,p1,12.50,007,"Mug, large"\r\n'
        "A2,pics/b.png,,,,,\r\n"
        "A3,pics/c.png,mug,p2,1,2,Mug, small\r\n"
        "A4,,mug,p2,1,2,x\r\n"
        "A5,../../etc/passwd,mug,p2,1,2,x\r\n"
        "A6,https://example.org/x.jpg,mug,p2,1,2,x\r\n",
        encoding="utf-8",
        newline="",
    )
    entries, odd = split(Table(table))
    assert sorted(entries) == ["A1", "A2"]
    one = entries["A1"]
    assert (one.label, one.group, one.path) == ("mug", "p1", "pics/a.png")
    assert dict(one.metadata or {}) == {"price": 12.5, "code": "007", "name": "Mug, large"}
    assert one.stamp is not None
    assert (entries["A2"].label, dict(entries["A2"].metadata or {})) == (None, {})
    assert [(skip.path, skip.reason) for skip in odd] == [
        ("shop.csv:4", "8 values for 7 columns; is a comma unquoted?"),
        ("shop.csv:5", "no file in column 'image'"),
        ("shop.csv:6", f"../../etc/passwd lies outside {tmp_path}"),
        ("shop.csv:7", "its picture is a URL; download it first"),
    ]


def test_columns_and_the_folder_of_pictures_can_be_said(tmp_path: Path) -> None:
    paint(tmp_path / "elsewhere" / "a.png", 1)
    table = tmp_path / "t.tsv"
    table.write_text("what\twhere\nmug\ta.png\n")
    columns = {"file": "where", "label": "what"}
    entries, _ = split(Table(table, pictures=tmp_path / "elsewhere", columns=columns))
    assert entries["a.png"].label == "mug"
    with pytest.raises(SourceError, match=r"which column names the picture's file\? It has what"):
        split(Table(table))
    with pytest.raises(SourceError, match="no column 'nix'; it has what, where"):
        split(Table(table, columns={"file": "nix"}))


def test_json_lines_keep_lists_and_objects(tmp_path: Path) -> None:
    table = tmp_path / "t.jsonl"
    table.write_text(
        '{"file": "a.png", "label": "x", "tags": ["n", 1], "spec": {"size": 3}, "gone": null}\n'
        "\n"
        '{"file": \n'
        "[1]\n"
        '{"file": "b.png", "label": 12}\n'
    )
    entries, odd = split(Table(table))
    assert dict(entries["a.png"].metadata or {}) == {"tags": ["n", 1], "spec": {"size": 3}}
    assert entries["b.png"].label == "12"
    assert [one.path for one in odd] == ["t.jsonl:3", "t.jsonl:4"]


def test_a_table_in_another_encoding_is_said_with_its_line(tmp_path: Path) -> None:
    for name in ("t.csv", "t.jsonl"):
        (tmp_path / name).write_bytes(b"file,name\na.png,caf\xe9\n")
        with pytest.raises(SourceError, match="0xe9 is not UTF-8"):
            split(Table(tmp_path / name))


def test_csv_values() -> None:
    values = ["", " ", "7", "007", "-1.50", "1e5", "NA", "2024-01-31", "1,5", "9" * 30]
    assert [csv_value(text) for text in values] == [
        *(None, None, 7, "007", -1.5, "1e5", "NA", "2024-01-31", "1,5", "9" * 30)
    ]


# -- indexing ------------------------------------------------------------------------------


def index(folder: Path, source: Path, tiny: OnnxEncoder) -> IndexReport:
    with lookalike.open(folder, encoder=tiny) as shop:
        return shop.index(source)


def test_a_catalogue_becomes_items_with_what_it_says(
    myntra: Path, tmp_path: Path, tiny: OnnxEncoder
) -> None:
    report = index(tmp_path / "shop", myntra, tiny)
    assert (report.indexed, len(report.skipped)) == (3, 3)
    assert [skip.reason for skip in report.skipped][-1] == "there is no such file"
    with lookalike.open(tmp_path / "shop") as shop:
        assert [item.id for item in shop] == ["1", "2", "3"]
        assert shop.get("1").label == "Shirts"
        assert shop.facets("label") == [("Shirts", 2), ("Shorts", 1)]
        assert shop.count("year>=2011 and price exists") == 1
        hits = shop.similar("3", k=5, where="gender=Men")
        assert sorted(hit.item.id for hit in hits) == ["1", "2"]


def test_where_only_the_table_changed_nothing_is_read_again(
    tmp_path: Path, tiny: OnnxEncoder
) -> None:
    for name in "ab":
        paint(tmp_path / f"{name}.png", ord(name))
    table = tmp_path / "t.csv"
    table.write_text("id,file,label,price\n1,a.png,mug,5\n2,b.png,cup,6\n")
    index(tmp_path / "shop", table, tiny)
    content = (tmp_path / "a.png").read_bytes()
    stat = (tmp_path / "a.png").stat()
    (tmp_path / "a.png").write_bytes(b"\0" * len(content))  # would be refused, were it read
    import os  # noqa: PLC0415 - to put the stamp back

    os.utime(tmp_path / "a.png", ns=(stat.st_atime_ns, stat.st_mtime_ns))
    table.write_text("id,file,label,price\n1,a.png,beaker,7\n2,b.png,cup,6\n")
    report = index(tmp_path / "shop", table, tiny)
    assert (report.indexed, report.unchanged, report.skipped) == (0, 2, ())
    with lookalike.open(tmp_path / "shop") as shop:
        assert (shop.get("1").label, dict(shop.get("1").metadata)) == ("beaker", {"price": 7})


def test_lines_that_have_gone_remove_their_items_unless_a_line_was_odd(
    tmp_path: Path, tiny: OnnxEncoder
) -> None:
    for name in "abc":
        paint(tmp_path / f"{name}.png", ord(name))
    table = tmp_path / "t.csv"
    table.write_text("id,file\n1,a.png\n2,b.png\n3,c.png\n")
    index(tmp_path / "shop", table, tiny)
    table.write_text("id,file\n1,a.png\n2,b.png,\n3,c.png,x\n")
    report = index(tmp_path / "shop", table, tiny)
    assert (report.removed, report.kept) == (0, 1)
    table.write_text("id,file\n1,a.png\n")
    report = index(tmp_path / "shop", table, tiny)
    assert (report.removed, report.kept) == (2, 0)


def test_of_lines_with_one_id_the_last_wins_and_it_is_told(
    tmp_path: Path, tiny: OnnxEncoder
) -> None:
    for name in "ab":
        paint(tmp_path / f"{name}.png", ord(name))
    table = tmp_path / "t.csv"
    table.write_text("id,file,label\n1,a.png,first\n1,a.png,last\n")
    report = index(tmp_path / "shop", table, tiny)
    assert [skip.reason for skip in report.skipped] == ["id '1' again; the last wins"]
    with lookalike.open(tmp_path / "shop") as shop:
        assert shop.get("1").label == "last"


def test_answers_can_be_one_for_each_group(tmp_path: Path, tiny: OnnxEncoder) -> None:
    lines = ["file,group"]
    for product in range(6):
        for photo in range(4):
            name = f"{product}-{photo}.png"
            paint(tmp_path / name, 40 * product + photo)
            lines.append(f"{name},p{product}")
    (tmp_path / "t.csv").write_text("\n".join(lines) + "\n")
    index(tmp_path / "shop", tmp_path / "t.csv", tiny)
    with lookalike.open(tmp_path / "shop", encoder=tiny) as shop:
        hits = shop.search(tmp_path / "0-0.png", k=5, per_group=True)
        assert sorted(hit.item.group or "" for hit in hits) == ["p1", "p2", "p3", "p4", "p5"]
        assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)
        assert len(shop.similar("0-0.png", k=50, per_group=True)) == 5
        whole = shop.similar("0-0.png", k=50, per_group=True, include_self=True)
        assert whole[0].item.id == "0-0.png"
        assert len(whole) == 6


def test_items_can_be_labelled_by_hand(tmp_path: Path, tiny: OnnxEncoder) -> None:
    paint(tmp_path / "p" / "a.png", 1)
    index(tmp_path / "shop", tmp_path / "p", tiny)
    with lookalike.open(tmp_path / "shop") as shop:
        shop.label(["a.png"], "mug")
        assert shop.get("a.png").label == "mug"
        with pytest.raises(lookalike.errors.ItemNotFoundError, match="'b'"):
            shop.label(["a.png", "b"], "cup")
        assert shop.get("a.png").label == "mug"
        shop.label(["a.png"], None)
        assert shop.get("a.png").label is None
