"""Catalogues: each format's quirks, and what indexing one means for a collection."""

from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
from PIL import Image

import lookalike
from lookalike.core.protocols import Catalogue
from lookalike.core.records import Entry, IndexReport, Remote, Skipped
from lookalike.encoders import OnnxEncoder
from lookalike.errors import SourceError
from lookalike.sources.catalogues import open_catalogue, recognise
from lookalike.sources.catalogues.table import Table

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
        ("styles.csv:6", "'five' is not a product number"),
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
    assert recognise(paint(tmp_path / "a.jpg", 1)) == "files"
    (tmp_path / "a.bin").write_bytes(b"x")
    with pytest.raises(SourceError, match="not an image, an archive, or a table"):
        recognise(tmp_path / "a.bin")
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
    assert sorted(entries) == ["A1", "A2", "A6"]
    assert entries["A6"].image == Remote(("https://example.org/x.jpg",))
    one = entries["A1"]
    assert (one.label, one.group, one.path) == ("mug", "p1", "pics/a.png")
    assert dict(one.metadata or {}) == {"price": 12.5, "code": "007", "name": "Mug, large"}
    assert one.stamp is not None
    assert (entries["A2"].label, dict(entries["A2"].metadata or {})) == (None, {})
    assert [(skip.path, skip.reason) for skip in odd] == [
        ("shop.csv:4", "8 values for 7 columns; is a comma unquoted?"),
        ("shop.csv:5", "no image in column 'image'"),
        (
            "shop.csv:6",
            f"../../etc/passwd is outside {tmp_path}; give the folder of the files with --root",
        ),
    ]


def test_columns_and_the_folder_of_pictures_can_be_said(tmp_path: Path) -> None:
    paint(tmp_path / "elsewhere" / "a.png", 1)
    table = tmp_path / "t.tsv"
    table.write_text("what\twhere\nmug\ta.png\n")
    columns = {"file": "where", "label": "what"}
    entries, _ = split(Table(table, root=tmp_path / "elsewhere", columns=columns))
    assert entries["a.png"].label == "mug"
    with pytest.raises(SourceError, match=r"which column names the image's file\? It has what"):
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


def test_lines_in_another_encoding_are_left_out_and_the_rest_goes_on(tmp_path: Path) -> None:
    csv, lines = tmp_path / "t.csv", tmp_path / "t.jsonl"
    csv.write_bytes(b"file,name\na.png,caf\xe9\nb.png,tea\n")
    lines.write_bytes(b'{"file": "a.png", "name": "caf\xe9"}\n{"file": "b.png"}\n')
    for table, number in ((csv, 2), (lines, 1)):
        entries, odd = split(Table(table))
        assert sorted(entries) == ["b.png"]
        assert odd[0].path == f"{table.name}:{number}"
        assert odd[0].reason.startswith("byte 0xe9 is not UTF-8; save the table as UTF-8, or give")
    entries, odd = split(Table(csv, encoding="cp1252"))
    assert (dict(entries["a.png"].metadata or {}), odd) == ({"name": "café"}, [])
    with pytest.raises(SourceError, match="there is no encoding 'klingon'"):
        split(Table(csv, encoding="klingon"))
    csv.write_bytes(b"file,caf\xe9\na.png,1\n")
    with pytest.raises(SourceError, match=r"t\.csv, line 1, its header: byte 0xe9 is not UTF-8"):
        split(Table(csv))


def test_tables_as_spreadsheets_save_them_are_read(tmp_path: Path) -> None:
    (tmp_path / "semicolons.csv").write_text("File;Label;price\na.png;mug, large;1,5\n")
    (tmp_path / "wide.csv").write_text("file\tlabel\na.png\tmug\n", encoding="utf-16")
    (tmp_path / "marked.csv").write_text("file,label\na.png,mug\n", encoding="utf-8-sig")
    for name, label in (("semicolons", "mug, large"), ("wide", "mug"), ("marked", "mug")):
        entries, odd = split(Table(tmp_path / f"{name}.csv"))
        assert (entries["a.png"].label, odd) == (label, [])


def test_ids_and_labels_stay_as_they_are_written(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("id,file,label\n1.50,a.png,007\n1.5,b.png,12.0\n")
    entries, _ = split(Table(tmp_path / "t.csv"))
    assert {one: entry.label for one, entry in entries.items()} == {"1.50": "007", "1.5": "12.0"}
    (tmp_path / "t.jsonl").write_text(
        '{"id": 1, "file": "a.png", "label": 12.0}\n'
        '{"id": "2", "file": "b.png", "label": true}\n'
        '{"id": 3, "file": "c.png", "label": null}\n'
        '{"id": 4, "file": "d.png", "label": ["a"]}\n'
        '{"id": 5, "file": "e.png", "label": "\\ud800"}\n'
        '{"id": 6, "file": 7}\n'
    )
    entries, odd = split(Table(tmp_path / "t.jsonl"))
    assert [(one, entry.label) for one, entry in entries.items()] == [
        *(("1", "12"), ("2", "true"), ("3", None))
    ]
    assert [(skip.path, skip.reason) for skip in odd] == [
        ("t.jsonl:4", "its label is not text: ['a']"),
        ("t.jsonl:5", "holds half a character (an escape \\ud800 to \\udfff alone)"),
        ("t.jsonl:6", "no image in column 'file'"),
    ]


def test_a_value_without_end_is_told_with_its_cause(tmp_path: Path) -> None:
    lines = [f"{number}.png,x" for number in range(200_000)]
    lines[3] = '3.png,"open'
    (tmp_path / "t.csv").write_text("\n".join(["file,label", *lines]))
    entries, odd = split(Table(tmp_path / "t.csv"))
    assert {"0.png", "1.png", "2.png", "199999.png"} < entries.keys()
    assert "a value of more than 1,000,000 characters; is a quote left open?" in {
        skip.reason for skip in odd
    }


def test_the_url_of_a_picture_can_be_said(tmp_path: Path) -> None:
    (tmp_path / "t.jsonl").write_text(
        '{"file": "a.png", "url": "http://x/a", "src": ["http://x/1", "http://x/2"]}\n'
    )
    entries, _ = split(Table(tmp_path / "t.jsonl"))
    assert entries["a.png"].image == tmp_path / "a.png"
    assert dict(entries["a.png"].metadata or {})["url"] == "http://x/a"
    entries, _ = split(Table(tmp_path / "t.jsonl", columns={"url": "src"}))
    assert entries["http://x/1"].image == Remote(("http://x/1",))
    assert entries["http://x/2"].group == "http://x/1"


def parquet_of(path: Path, rows: list[dict[str, object]]) -> Path:
    pa = pytest.importorskip("pyarrow")
    from pyarrow import parquet  # noqa: PLC0415 - an extra

    parquet.write_table(pa.Table.from_pylist(rows), path)
    return path


def test_parquet_keeps_its_types(tmp_path: Path) -> None:
    rows: list[dict[str, object]] = [
        {
            "id": 1,
            "file": "a.png",
            "label": "mug",
            "price": Decimal("12.50"),
            "day": date(2024, 1, 31),
            "sizes": [40, 41],
            "spec": {"wide": True},
            "weight": float("nan"),
        },
        {"id": 2, "file": "b.png", "label": None},
    ]
    entries, odd = split(Table(parquet_of(tmp_path / "t.parquet", rows)))
    assert odd == []
    assert (entries["1"].label, entries["2"].label) == ("mug", None)
    assert dict(entries["1"].metadata or {}) == {
        "price": 12.5,
        "day": "2024-01-31",
        "sizes": [40, 41],
        "spec": {"wide": True},
    }


def test_parquet_may_hold_the_pictures_themselves(tmp_path: Path, tiny: OnnxEncoder) -> None:
    data = paint(tmp_path / "a.png", 7).read_bytes()
    rows: list[dict[str, object]] = [{"id": "x", "image": {"bytes": data, "path": "a.png"}}]
    report = index(tmp_path / "shop", parquet_of(tmp_path / "t.parquet", rows), tiny)
    assert (report.indexed, report.skipped) == (1, ())
    assert index(tmp_path / "shop", tmp_path / "t.parquet", tiny).unchanged == 1


def test_parquet_that_cannot_be_used_is_said(tmp_path: Path) -> None:
    bare = parquet_of(tmp_path / "bare.parquet", [{"price": 1, "name": "x"}])
    with pytest.raises(SourceError, match=r"which column names the image's file\? It has price"):
        split(Table(bare))
    whole = bare.read_bytes()
    for broken in (b"", b"no parquet", whole[: len(whole) // 2], whole[:-3]):
        bare.write_bytes(broken)
        with pytest.raises(SourceError, match="not a whole Parquet file"):
            split(Table(bare))


# -- indexing ------------------------------------------------------------------------------


def index(folder: Path, source: Path, tiny: OnnxEncoder) -> IndexReport:
    with lookalike.open(folder, encoder=tiny, create=True) as shop:
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
    assert (report.removed, report.kept, report.held_back) == (0, 0, 1)
    assert "t.csv:4: 3 values for 2 columns" in report.problems[0]
    table.write_text("id,file\n1,a.png\n")
    report = index(tmp_path / "shop", table, tiny)
    assert (report.removed, report.kept) == (2, 0)


def test_of_lines_with_one_id_the_last_wins_and_it_is_told(
    tmp_path: Path, tiny: OnnxEncoder
) -> None:
    for name in "abc":
        paint(tmp_path / f"{name}.png", 50 * ord(name))
    table = tmp_path / "t.csv"
    table.write_text(
        "id,file,label\n1,a.png,first\n1,a.png,last\n2,a.png,x\n2,c.png,y\n2,b.png,z\n"
    )
    for _ in range(2):  # and again, over what is stored
        report = index(tmp_path / "shop", table, tiny)
        assert [(skip.path, skip.reason) for skip in report.skipped] == [
            ("t.csv:3", "id '1' appears again; the last line wins"),
            ("t.csv:5", "id '2' appears again; the last line wins"),
            ("t.csv:6", "id '2' appears again; the last line wins"),
        ]
        with lookalike.open(tmp_path / "shop", encoder=tiny, create=True) as shop:
            assert (shop.get("1").label, shop.get("1").path) == ("last", "a.png")
            assert (shop.get("2").label, shop.get("2").path) == ("z", "b.png")
            (hit,) = shop.search(tmp_path / "b.png", k=1, include_self=True)
            assert (hit.item.id, round(hit.score, 2)) == ("2", 1.0)


def test_ids_that_differ_only_by_case_or_unicode_form_are_kept_and_noted(
    tmp_path: Path, tiny: OnnxEncoder
) -> None:
    for number, name in enumerate("abcd"):
        paint(tmp_path / f"{name}.png", 50 * number)
    table = tmp_path / "t.csv"
    table.write_text("id,file\nA1,a.png\na1,b.png\ncaf\u00e9,c.png\ncafe\u0301,d.png\n", "utf-8")
    report = index(tmp_path / "shop", table, tiny)
    assert (report.indexed, report.skipped) == (4, ())
    assert report.notes == tuple(
        f"t.csv:{line}: id {one} differs only by case or Unicode form from {other}; both are kept"
        for line, one, other in ((3, "'a1'", "'A1'"), (5, r"'cafe\u0301'", r"'caf\xe9'"))
    )


def test_a_catalogue_of_urls_says_how_to_download_it(tmp_path: Path, tiny: OnnxEncoder) -> None:
    table = tmp_path / "t.csv"
    table.write_text("url\n" + "".join(f"http://example.org/{one}.jpg\n" for one in range(5)))
    with pytest.raises(SourceError, match="fetch them with `lookalike download"):
        index(tmp_path / "shop", table, tiny)
    paint(tmp_path / "a.png", 1)
    table.write_text("file\na.png\nhttp://example.org/x.jpg\n")
    report = index(tmp_path / "shop", table, tiny)
    assert report.indexed == 1
    assert [(skip.path, skip.reason) for skip in report.skipped] == [
        ("t.csv:3", "its image is a URL; `lookalike download` fetches it")
    ]


def test_a_table_whose_files_lie_elsewhere_says_so_and_nothing_is_lost(
    tmp_path: Path, tiny: OnnxEncoder
) -> None:
    table = tmp_path / "t.csv"
    table.write_text("id,file\n1,a.png\n2,b.png\n")
    for name in "ab":
        paint(tmp_path / f"{name}.png", ord(name))
    index(tmp_path / "shop", table, tiny)
    for name in "ab":
        (tmp_path / f"{name}.png").unlink()
    with pytest.raises(SourceError, match=r"none of the 2 images .* --root"):
        index(tmp_path / "shop", table, tiny)
    with lookalike.open(tmp_path / "shop") as shop:
        assert len(shop) == 2


def test_answers_can_be_one_for_each_group(tmp_path: Path, tiny: OnnxEncoder) -> None:
    lines = ["file,group"]
    for product in range(6):
        for photo in range(4):
            name = f"{product}-{photo}.png"
            paint(tmp_path / name, 40 * product + photo)
            lines.append(f"{name},p{product}")
    (tmp_path / "t.csv").write_text("\n".join(lines) + "\n")
    index(tmp_path / "shop", tmp_path / "t.csv", tiny)
    with lookalike.open(tmp_path / "shop", encoder=tiny, create=True) as shop:
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
