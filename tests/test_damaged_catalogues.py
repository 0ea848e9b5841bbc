"""Malformed catalogues: each names the place, removes nothing, and overwrites nothing."""

import json
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import lookalike
from lookalike.cli.index import index_command
from lookalike.collection import Collection
from lookalike.core.records import Damaged, Entry, IndexReport, Skipped
from lookalike.errors import DownloadError, LookalikeError, SourceError
from lookalike.indexing import prune as pruning
from lookalike.sources.catalogues import open_catalogue
from lookalike.sources.catalogues.delimited import BadRow, read_delimited
from lookalike.sources.catalogues.table import Table

Paint = Callable[[Path, int], Path]
KINDS = ("mug", "tea pot", "lamp")


def label_of(number: int) -> str:
    return KINDS[number % 3]


PLAIN = "file,label,size\n" + "".join(f"{n}.png,{label_of(n)},{n + 10}\n" for n in range(12))
QUOTED = '"file","label","size"\r\n' + "".join(
    f'"{n}.png","{label_of(n)}","{n + 10}, or {n} ""inches"""\r\n' for n in range(12)
)
LINES = "file,label,text\n" + "".join(
    f'{n}.png,{label_of(n)},"soft,\nwarm\nand {n + 10}"\n' for n in range(12)
)
SLOPPY = "file,label,text\n" + "".join(f'{n}.png,{label_of(n)},{n}" wide\n' for n in range(12))
NUMBERED = "label,file,id\n" + "".join(f"{label_of(n)},{n}.png,p{n}\n" for n in range(12))
TABLES = {"plain": PLAIN, "quoted": QUOTED, "lines": LINES, "sloppy": SLOPPY, "ids": NUMBERED}


@pytest.fixture(scope="module", params=TABLES)
def indexed(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    card: Path,
    paint: Paint,
) -> Iterator[tuple[Collection, Path, str]]:
    """A collection of twelve products, their table, and its text."""
    folder = tmp_path_factory.mktemp(request.param)
    for number in range(12):
        paint(folder / f"{number}.png", number)
    table = folder / "products.csv"
    text = TABLES[request.param]
    table.write_bytes(text.encode())
    with lookalike.open(folder / "shop", encoder=card, create=True) as shop:
        assert shop.index(table).indexed == 12
        yield shop, table, text


def tried(shop: Collection, table: Path, damaged: bytes) -> IndexReport | None:
    """Index a damaged table, where that is possible; labels never change but by a quote."""
    table.write_bytes(damaged)
    before = {item.id: item for item in shop}
    try:
        report = shop.index(table, optimize=False)
    except SourceError:
        report = None
    for item in shop:
        known = before.get(item.id)
        assert known is not None, f"a new item {item.id!r}"
        assert (item.label or "").replace('"', "") == known.label
    return report


def mended(shop: Collection, table: Path, text: str) -> None:
    table.write_bytes(text.encode())
    report = shop.index(table, optimize=False)
    assert (report.removed, report.held_back, report.problems) == (0, 0, ())
    assert len(shop) == 12
    assert [item.label for item in shop] == [
        label_of(int(item.path.removesuffix(".png"))) for item in shop
    ]


relaxed = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@relaxed
@given(share=st.floats(0, 1, exclude_max=True))
def test_a_quote_at_any_place_costs_no_item_and_no_label(
    indexed: tuple[Collection, Path, str], share: float
) -> None:
    shop, table, text = indexed
    place = int(share * len(text))
    report = tried(shop, table, (text[:place] + '"' + text[place:]).encode())
    assert len(shop) == 12
    assert report is None or report.removed == 0
    mended(shop, table, text)


@relaxed
@given(share=st.floats(0, 1, exclude_max=True), byte=st.integers(128, 255))
def test_a_byte_of_another_encoding_costs_no_item_and_no_label(
    indexed: tuple[Collection, Path, str], share: float, byte: int
) -> None:
    shop, table, text = indexed
    place = int(share * len(text))
    data = text.encode()
    report = tried(shop, table, data[:place] + bytes([byte]) + data[place:])
    assert len(shop) == 12
    assert report is None or report.skipped
    mended(shop, table, text)


def test_a_file_cut_off_at_any_byte_costs_no_item_and_no_label(
    indexed: tuple[Collection, Path, str],
) -> None:
    """But where the cut cannot be told from lines that were taken out, at the end of a row."""
    shop, table, text = indexed
    ends = {0}
    reader = read_delimited(iter(text.splitlines(keepends=True)), ",")
    lines = text.splitlines(keepends=True)
    for row in reader:
        assert not isinstance(row, BadRow)
        end = len("".join(lines[: row.line - 1 + row.lines]))
        ends |= {end, end - 1, end - 2} if text[end - 2] == "\r" else {end, end - 1}
    for place in range(len(text)):
        report = tried(shop, table, text[:place].encode())
        if place not in ends:
            assert len(shop) == 12, text[:place]
            assert report is None or report.removed == 0
        else:
            assert len(shop) >= 9
        if report is not None and place < len(text) / 2:
            assert report.removed == 0
            assert report.problems, text[:place]
        mended(shop, table, text) if len(shop) == 12 else again(shop, table, text)


def again(shop: Collection, table: Path, text: str) -> None:
    table.write_bytes(text.encode())
    shop.index(table, optimize=False)
    assert len(shop) == 12


# -- where a quote opened ---------------------------------------------------------------------


def swallowed(text: str) -> list[tuple[int, str]]:
    rows = read_delimited(text.splitlines(keepends=True), ",")
    return [(row.line, row.reason) for row in rows if isinstance(row, BadRow)]


def test_the_line_is_told_in_which_a_quote_opens() -> None:
    head = 'file,text\na.png,"two\nlines"\n'
    (open_,) = swallowed(head + 'b.png,"never closed\nc.png,x\n')
    assert open_ == (4, "a quote opens here and is never closed, so nothing after it can be read")
    (late,) = swallowed(head + 'b.png,"cup\nc.png,"x"\nd.png,y\n')
    assert late == (4, "a quote opens here and is closed wrongly in line 5")
    (inner,) = swallowed('file,text\n"a\n",x"y\nb.png,"z\nc.png,w')
    assert inner[0] == 4
    (one,) = swallowed('file,text\na.png,"5"" and "6"\nb.png,x\n')
    assert one == (
        2,
        "a quote within a value is not doubled, or the value is not quoted as a whole",
    )


@pytest.mark.parametrize(
    "rows",
    [
        'a.png,"mug\nb.png,cup\nc.png,5",x\n',  # whole lines within a value
        'a.png,"mug\nb.png,5",x\n',  # the rest of one line and the beginning of the next
        'a.png,mug,"soft\nb.png,cup,5"\n',
    ],
)
def test_a_quote_that_a_later_line_closes_makes_no_entry(tmp_path: Path, rows: str) -> None:
    table = tmp_path / "t.csv"
    table.write_text(f"file,label,text\n{rows}d.png,lamp,z\n")
    found = list(Table(table).entries())
    assert [one.id for one in found if isinstance(one, Entry)] == ["d.png"]
    (odd,) = [one for one in found if isinstance(one, Damaged)]
    assert odd.path == "t.csv:2"


def test_a_text_of_several_lines_is_no_damage(tmp_path: Path) -> None:
    """Also where a line of it has as many commas as a row, or names an image in passing."""
    table = tmp_path / "t.csv"
    body = '<p>Soft, warm\n<img src=""https://shop.example/a.jpg""> of wool, red, large\n</p>'
    table.write_text(f'file,label,text\na.png,mug,"{body}"\nb.png,cup,"one, two, three\nfour"\n')
    found = [one for one in Table(table).entries() if one is not None]
    assert [one.id for one in found if isinstance(one, Entry)] == ["a.png", "b.png"]
    assert len(found) == 2


# -- every reader -----------------------------------------------------------------------------


@pytest.fixture
def shop(tmp_path: Path, card: Path) -> Iterator[Collection]:
    with lookalike.open(tmp_path / "shop", encoder=card, create=True) as shop:
        yield shop


def damages(table: Path) -> list[Damaged]:
    return [one for one in Table(table).entries() if isinstance(one, Damaged)]


@pytest.mark.parametrize("name", ["t.csv", "t.tsv", "t.jsonl"])
def test_a_table_of_no_bytes_is_damaged(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"")
    (one,) = damages(tmp_path / name)
    assert (one.path, one.reason) == (f"{name}:1", "the file is empty: it has no bytes")


@pytest.mark.parametrize("content", ["", "file,label\n", 'file,label\n0.png,"mug\n1.png,mug\n'])
def test_the_command_names_the_place_and_exits_with_4(
    shop: Collection, pictures: Path, content: str, tmp_path: Path
) -> None:
    table = pictures / "products.csv"
    table.write_text("file,label\n" + "".join(f"{n}.png,mug\n" for n in range(9)))
    shop.index(table)
    table.write_text(content)
    arguments = [str(table), "-c", str(tmp_path / "shop"), "-q", "--json"]
    for more in ([], ["--allow-removals"]):
        if more and content == "file,label\n":
            continue  # well-formed: it may be meant
        done = CliRunner().invoke(index_command, [*arguments, *more])
        report = json.loads(done.stdout)
        assert (done.exit_code, report["removed"], report["held_back"]) == (4, 0, 9)
        assert f"warning: {table}: " in done.stderr
        if content != "file,label\n":
            assert f"products.csv:{1 if not content else 2}: " in done.stderr
    assert [item.label for item in shop] == ["mug"] * 9


def test_half_a_file_of_json_lines_is_damaged(tmp_path: Path) -> None:
    rows = "".join(json.dumps({"file": f"{n}.png", "label": "mug"}) + "\n" for n in range(3))
    for end in (-2, -10, -20):
        (tmp_path / "t.jsonl").write_text(rows[:end])
        (one,) = damages(tmp_path / "t.jsonl")
        assert one.path == "t.jsonl:3"
        assert "the file ends in the middle of this line" in one.reason


@pytest.mark.parametrize("name", ["t.csv", "t.jsonl"])
def test_half_a_file_of_wide_text_is_damaged(tmp_path: Path, name: str) -> None:
    text = PLAIN if name == "t.csv" else '{"file": "a.png"}\n{"file": "b.png"}\n'
    (tmp_path / name).write_bytes(text.encode("utf-16")[:-3])
    found = list(Table(tmp_path / name).entries())
    assert isinstance(found[-1], Damaged)


@settings(max_examples=40, deadline=None)
@given(place=st.floats(0, 1, exclude_max=True), cut=st.booleans())
@example(place=0.0, cut=True)
def test_damaged_parquet_is_an_error_that_names_it(
    tmp_path_factory: pytest.TempPathFactory, place: float, *, cut: bool
) -> None:
    pa = pytest.importorskip("pyarrow")
    from pyarrow import parquet  # noqa: PLC0415 - an extra

    path = tmp_path_factory.mktemp("parquet") / "t.parquet"
    names = [f"{n}.png" for n in range(500)]
    parquet.write_table(pa.table({"file": names}), path, row_group_size=100)
    data = path.read_bytes()
    at = int(place * len(data))
    changed = data[:at] + (b"" if cut else bytes([data[at] ^ 0xFF]) + data[at + 1 :])
    path.write_bytes(changed)
    try:
        found = [one.id for one in Table(path).entries() if isinstance(one, Entry)]
    except SourceError as error:
        said = str(error)
    else:
        said = str(path)
        assert not cut
        assert len(found) <= 500
    assert str(path) in said


@pytest.mark.parametrize("content", ["[]", "{}", "", '{"images": ['])
def test_a_json_catalogue_that_became_nothing_removes_nothing(
    shop: Collection, pictures: Path, content: str
) -> None:
    path = pictures / "train.json"
    whole = {"images": [{"id": f"{n}.png", "class": "7", "url": "u"} for n in range(9)]}
    path.write_text(json.dumps(whole))
    shop.index(open_catalogue(path, "imaterialist", root=pictures))
    path.write_text(content)
    with pytest.raises(SourceError):
        shop.index(open_catalogue(path, "imaterialist", root=pictures))
    path.write_text('{"images": []}')
    catalogue = open_catalogue(path, "imaterialist", root=pictures)
    assert shop.index(catalogue).held_back == 9
    path.write_text(json.dumps(whole)[:-50])
    for report in (shop.index(catalogue, allow_removals=True), pruning.prune(shop, catalogue)):
        assert (report.removed, bool(report.held_back)) == (0, True)
        assert any("the file ends in the middle" in problem for problem in report.problems)
    assert {item.label for item in shop} == {"7"}


def test_half_of_the_annotations_change_no_label(
    shop: Collection, tmp_path: Path, paint: Paint
) -> None:
    for number in range(6):
        paint(tmp_path / "images" / f"{number}.jpg", number)
    images = [{"image_id": n, "url": "u"} for n in range(6)]
    labels = [{"image_id": n, "label_id": label} for n in range(6) for label in (n, 50)]
    text = json.dumps({"images": images, "annotations": labels})
    (tmp_path / "train.json").write_text(text)
    catalogue = open_catalogue(tmp_path / "train.json", "imaterialist", root=tmp_path / "images")
    shop.index(catalogue)
    before = list(shop)
    (tmp_path / "train.json").write_text(text[: text.rindex('"label_id"')])
    assert shop.index(catalogue).problems
    assert list(shop) == before


def test_a_record_of_downloads_that_was_emptied_removes_nothing(
    shop: Collection, pictures: Path
) -> None:
    from lookalike.sources.download.record import DownloadRecord, RecordRow  # noqa: PLC0415 - one test

    with DownloadRecord(pictures, create=True) as record:
        for n in range(9):
            record.put(RecordRow(id=str(n), urls=("u",), url="u", status="ok", file=f"{n}.png"))
    assert shop.index(pictures).indexed == 9
    database = sqlite3.connect(pictures / "downloads.sqlite")
    database.execute("DELETE FROM downloads")
    database.commit()
    database.close()
    assert shop.index(pictures).held_back == 9
    for name in ("downloads.sqlite-wal", "downloads.sqlite-shm"):
        (pictures / name).unlink(missing_ok=True)
    (pictures / "downloads.sqlite").write_bytes(b"")
    with pytest.raises(DownloadError):
        shop.index(pictures)
    assert len(shop) == 9


@settings(max_examples=25, deadline=None)
@given(share=st.floats(0, 1, exclude_max=True))
def test_a_list_of_myntra_cut_off_anywhere_removes_nothing_unasked(
    tmp_path_factory: pytest.TempPathFactory, share: float
) -> None:
    root = tmp_path_factory.mktemp("myntra")
    (root / "images").mkdir()
    header = "id,gender,masterCategory,subCategory,articleType,baseColour,season,year,usage,"
    text = header + "productDisplayName\n"
    text += "".join(f"{n},Men,A,T,Shirts,Navy,Fall,2011,Casual,Shirt {n}0\n" for n in range(9))
    cut = int(share * len(text))
    (root / "styles.csv").write_text(text[: max(cut, len(header) + 19)] + "1\xff"[: cut % 3])
    for one in open_catalogue(root, "myntra").entries():
        assert not isinstance(one, Entry) or one.label == "Shirts"


def test_a_wrong_byte_in_myntras_list_is_told_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    header = b"id,gender,masterCategory,subCategory,articleType,baseColour,season,year,usage,"
    rows = b"1,a,b,c,d,e,f,2011,h,Caf\xe9\n2,a,b,c,d,e,f,2011,h,Cup\n"
    (tmp_path / "styles.csv").write_bytes(header + b"productDisplayName\n" + rows)
    odd, fine = open_catalogue(tmp_path, "myntra").entries()
    assert isinstance(odd, Skipped)
    assert odd.path == "styles.csv:2"
    assert "byte 0xe9 is not UTF-8" in odd.reason
    assert isinstance(fine, Entry)


def test_a_damaged_file_beside_a_list_takes_no_words_away(
    shop: Collection, tmp_path: Path, paint: Paint
) -> None:
    root = tmp_path / "myntra"
    paint(root / "images" / "1.jpg", 1)
    header = "id,gender,masterCategory,subCategory,articleType,baseColour,season,year,usage,"
    (root / "styles.csv").write_text(header + "productDisplayName\n1,a,b,c,d,e,f,2011,h,Cup\n")
    (root / "styles").mkdir()
    (root / "styles" / "1.json").write_text('{"data": {"price": 7}}')
    shop.index(root)
    (root / "styles" / "1.json").write_text('{"data": {"pri')
    shop.index(root)
    assert dict(shop.get("1").metadata)["price"] == 7
    (root / "styles" / "1.json").write_text('{"data": {"price": 8}}')
    shop.index(root)
    assert dict(shop.get("1").metadata)["price"] == 8


def test_no_damage_is_a_traceback(tmp_path: Path) -> None:
    """Whatever bytes a table has, it gives entries, places, or an error that is ours."""
    for number, junk in enumerate(
        (b"\0\0\0", b"\xff\xfe\0", b"\xff\xfea", b'"""', b'"\n"\n', b",,,\n,")
    ):
        for suffix in (".csv", ".tsv", ".jsonl", ".parquet"):
            path = tmp_path / f"{number}{suffix}"
            path.write_bytes(junk)
            try:
                list(Table(path).entries())
            except LookalikeError:
                continue
