"""Tables of text as the world writes them: encodings, marks, separators, JSON lists."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lookalike.cli.index import index_command
from lookalike.core.records import Damaged, Entry, Skipped
from lookalike.errors import SourceError
from lookalike.sources.catalogues import open_catalogue, recognise
from lookalike.sources.catalogues.table import Table

Paint = Callable[[Path, int], Path]
TEXT = "file,label\r\na.png,Becher\r\nb.png,Schüssel\r\n"


def split(table: Table) -> tuple[dict[str, Entry], list[Skipped]]:
    ones = list(table.entries())
    return (
        {one.id: one for one in ones if isinstance(one, Entry)},
        [one for one in ones if isinstance(one, Skipped)],
    )


def write(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    ("content", "encoding"),
    [
        (TEXT.encode(), None),
        (TEXT.encode("utf-8-sig"), None),
        (TEXT.encode("utf-8-sig"), "utf-8"),
        (TEXT.encode("utf-16"), None),
        (TEXT.encode("utf-16"), "utf-16"),
        (TEXT.encode("utf-16"), "utf-16-le"),
        (TEXT.encode("utf-16-le"), None),
        (TEXT.encode("utf-16-be"), None),
        (TEXT.encode("utf-16-be"), "utf-16"),
        (TEXT.encode("utf-32"), None),
        (TEXT.encode("cp1252"), "cp1252"),
        (TEXT.encode("latin-1"), "ISO-8859-1"),
    ],
)
def test_an_encoding_is_found_by_its_mark_its_zeros_or_its_name(
    tmp_path: Path, content: bytes, encoding: str | None
) -> None:
    entries, odd = split(Table(write(tmp_path / "t.csv", content), encoding=encoding))
    assert {one.id: one.label for one in entries.values()} == {
        "a.png": "Becher",
        "b.png": "Schüssel",
    }
    assert odd == []


@pytest.mark.parametrize(
    ("encoding", "message"),
    [
        ("klingon", "there is no encoding 'klingon'"),
        ("", "there is no encoding ''"),
        ("a\0b", "there is no encoding"),
        ("hex", "cannot be read as 'hex'"),
        ("base64", "cannot be read as 'base64'"),
        ("undefined", "cannot be read as 'undefined'"),
        ("idna", "cannot be read as 'idna'"),
        ("punycode", "cannot be read as 'punycode'"),
        ("utf-16", "line 1, its header: byte 0xa is not UTF-16"),
        ("utf-32", "line 1, its header: byte 0x66 is not UTF-32"),
        ("cp037", "which column names the image's file"),
    ],
)
def test_an_encoding_that_does_not_fit_is_one_message(
    tmp_path: Path, encoding: str, message: str
) -> None:
    table = Table(write(tmp_path / "t.csv", TEXT.encode()), encoding=encoding)
    with pytest.raises(SourceError, match=message):
        split(table)


def test_a_mark_that_contradicts_the_encoding_is_said(tmp_path: Path) -> None:
    table = write(tmp_path / "t.csv", TEXT.encode("utf-8-sig"))
    with pytest.raises(
        SourceError, match="not cp1252: it begins with the byte-order mark of UTF-8"
    ):
        split(Table(table, encoding="cp1252"))


@pytest.mark.parametrize("name", ["t.csv", "t.tsv", "t.jsonl"])
def test_utf16_of_odd_length_ends_in_the_middle(tmp_path: Path, name: str) -> None:
    text = {
        "t.csv": "file\na.png\nb.png\n",
        "t.tsv": "file\na.png\nb.png\n",
        "t.jsonl": '\n{"file": "a.png"}\n{"file": "b.png"}\n',
    }[name]
    whole = text.encode("utf-16")
    for content, line in ((whole[:-1], 3), (whole + b"x", 4)):
        entries, odd = split(Table(write(tmp_path / name, content)))
        assert "a.png" in entries
        assert [(one.path, one.reason) for one in odd] == [
            (f"{name}:{line}", "the file ends in the middle of this line")
        ]
        assert isinstance(odd[0], Damaged)


def test_half_a_character_costs_its_line_only(tmp_path: Path) -> None:
    content = "file\na.png\n".encode("utf-16") + b"\x00\xd8" + "b.png\nc.png\n".encode("utf-16-le")
    entries, odd = split(Table(write(tmp_path / "t.csv", content)))
    assert [*entries] == ["a.png", "c.png"]
    assert [one.path for one in odd] == ["t.csv:3"]
    assert "is not UTF-16" in odd[0].reason


@pytest.mark.parametrize(
    "text",
    [
        "sep=;\r\nfile;label\r\na.png;x, y\r\n",
        '"sep=;"\r\nfile;label\r\na.png;x, y\r\n',
        "SEP=\t\nfile\tlabel\na.png\tx, y\n",
        "sep=^\nfile^label\na.png^x, y\n",
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_excels_separator_line_is_obeyed(tmp_path: Path, text: str, encoding: str) -> None:
    entries, odd = split(Table(write(tmp_path / "t.csv", text.encode(encoding))))
    assert (entries["a.png"].label, odd) == ("x, y", [])
    assert entries["a.png"].line == "t.csv:3"


def test_a_table_of_a_header_alone_is_checked(tmp_path: Path) -> None:
    assert split(Table(write(tmp_path / "t.csv", b"file,label\n"))) == ({}, [])
    with pytest.raises(SourceError, match="which column names the image's file"):
        split(Table(write(tmp_path / "u.csv", b"name,label\n")))


def test_many_empty_lines_leave_room_for_a_stop(tmp_path: Path) -> None:
    for name, text in (("t.csv", "file\n"), ("t.jsonl", '{"file": "b.png"}\n')):
        table = write(tmp_path / name, text.encode() + b"\n" * 25_000)
        assert list(Table(table).entries()).count(None) >= 2


ROWS = [{"file": "a.png", "tags": ["x", {"y": [1]}], "price": 12.5}, {"file": "b.png", "n": 7}]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("t.json", json.dumps(ROWS)),
        ("t.json", json.dumps(ROWS, indent=2)),
        ("t.json", "\ufeff" + json.dumps(ROWS)),
        ("t.json", json.dumps({"count": 2, "page": {"rows": [1]}, "ids": [1], "products": ROWS})),
        ("t.json", json.dumps({"products": ROWS}, indent=2)),
        ("t.json", "\n".join(json.dumps(row) for row in ROWS)),
        ("t.jsonl", json.dumps(ROWS)),
        ("t.ndjson", json.dumps(ROWS, indent=1)),
    ],
)
def test_json_is_a_table_however_its_rows_are_written(tmp_path: Path, name: str, text: str) -> None:
    path = write(tmp_path / name, text.encode())
    assert recognise(path) == "table"
    entries, odd = split(Table(path))
    assert {one: dict(entry.metadata or {}) for one, entry in entries.items()} == {
        "a.png": {"tags": ["x", {"y": [1]}], "price": 12.5},
        "b.png": {"n": 7},
    }
    assert odd == []


def test_a_json_list_that_breaks_off_keeps_what_came_before(tmp_path: Path) -> None:
    text = json.dumps(ROWS)
    for cut in (text[:-1], text[:-4], text + "x", text[:-1] + ", 5"):
        entries, odd = split(Table(write(tmp_path / "t.json", cut.encode())))
        assert "a.png" in entries
        assert isinstance(odd[-1], Damaged)
    entries, odd = split(Table(write(tmp_path / "t.json", b'[5, {"file": "a.png"}, "x"]')))
    assert [*entries] == ["a.png"]
    assert [one.path for one in odd] == ["t.json:1", "t.json:3"]
    deep = '[{"file": "a.png", "x": ' + "[" * 100_000
    _, odd = split(Table(write(tmp_path / "t.json", deep.encode())))
    assert "nested more than 50 deep" in odd[0].reason
    for nothing in (b"[]", b'{"a":\n 1}', b'{"a":\n [1, 2]}'):
        entries, odd = split(Table(write(tmp_path / "t.json", nothing)))
        assert entries == {}
        assert len(odd) == 1
    with pytest.raises(SourceError, match="is UTF-8; leave the encoding out"):
        split(Table(write(tmp_path / "t.json", text.encode()), encoding="cp1252"))
    with pytest.raises(SourceError, match="UTF-16 or UTF-32"):
        split(Table(write(tmp_path / "t.json", text.encode("utf-16"))))


@pytest.mark.parametrize("name", ["t.xlsx", "T.XLS", "t.ods"])
def test_a_spreadsheet_is_refused_with_what_to_do(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / name, b"PK\x03\x04")
    with pytest.raises(SourceError, match=r"is a spreadsheet, which is not read; save .* as CSV"):
        recognise(path)


def test_json_without_rows_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "t.json", b'{"answer":\n 42}')
    with pytest.raises(SourceError, match="no list of objects, so it is no table"):
        recognise(path)
    annotations = write(tmp_path / "a.json", b'{"images": [{"image_id": 1}], "annotations": []}')
    assert recognise(annotations) == "imaterialist"


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150)
@given(
    content=st.one_of(
        st.binary(max_size=200),
        st.text(max_size=100).map(lambda text: ("file,label\n" + text).encode("utf-16")[:-1]),
        st.binary(max_size=60).map(lambda tail: b"file;label\na.png;x\n" + tail),
        st.binary(max_size=60).map(lambda tail: b'[{"file": "a.png"}, ' + tail),
    ),
    name=st.sampled_from(["t.csv", "t.tsv", "t.jsonl", "t.json"]),
    encoding=st.sampled_from(
        [None, "utf-8", "utf-16", "utf-16-le", "utf-32", "utf-7", "cp1252", "shift_jis", "gb18030",
         "cp037", "idna", "hex", "undefined", "unicode_escape", "iso2022_jp", "ascii"]
    ),
)  # fmt: skip
def test_no_byte_and_no_encoding_can_raise(
    tmp_path: Path, content: bytes, name: str, encoding: str | None
) -> None:
    table = Table(write(tmp_path / name, content), encoding=encoding)
    try:
        found = list(table.entries())
        table.columns()
    except SourceError:
        return
    assert all(one is None or isinstance(one, Entry | Skipped) for one in found)


@pytest.mark.parametrize("name", ["styles.csv", "styles/1.json", "product_tree.json"])
def test_files_beside_a_catalogue_cannot_raise_either(tmp_path: Path, name: str) -> None:
    header = "id,gender,masterCategory,subCategory,articleType,baseColour,season,year,usage,"
    (tmp_path / "images").mkdir()
    (tmp_path / "styles").mkdir()
    (tmp_path / "styles.csv").write_text(f"{header}productDisplayName\n1,M,A,T,S,N,F,2011,C,X\n")
    train = {"images": [{"id": "a.jpg", "url": "http://a/b.jpg", "class": 3}]}
    write(tmp_path / "train.json", json.dumps(train).encode())
    content = b"" if name.endswith(".json") else (tmp_path / name).read_bytes()
    for wrong in (b"\xff", b"\xff\xfe\x00", b"\x80\x81", b"\xed\xa0\x80"):
        write(tmp_path / name, content + wrong)
        format = "imaterialist" if name == "product_tree.json" else "myntra"
        source = tmp_path / "train.json" if format == "imaterialist" else tmp_path
        assert any(isinstance(one, Entry) for one in open_catalogue(source, format).entries())


def test_the_command_says_what_is_wrong_in_one_line(
    tmp_path: Path, card: Path, paint: Paint
) -> None:
    paint(tmp_path / "a.png", 1)
    table = write(tmp_path / "t.csv", "file\na.png\nb.png\n".encode("utf-16")[:-1])
    options = ["-c", str(tmp_path / "shop"), "--encoder", str(card)]
    result = CliRunner().invoke(index_command, [str(table), *options])
    assert "1 indexed" in result.output
    assert "t.csv:3" in result.output
    assert result.exit_code == 4
