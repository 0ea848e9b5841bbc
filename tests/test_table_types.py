"""Types of a table's columns: recognised from all values, or named; shown before indexing."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

import lookalike
from lookalike.cli.index import index_command
from lookalike.cli.preview_source import preview_command
from lookalike.core.records import Entry, Json
from lookalike.errors import SourceError
from lookalike.runfile.reading import read_run_file
from lookalike.runfile.step_inputs import open_sources
from lookalike.sources.catalogues.table import Table

Paint = Callable[[Path, int], Path]


def write(path: Path, header: str, values: list[str], *, delimiter: str = ",") -> Path:
    """Write a table of a file column and one of these values."""
    rows = [f'{n}.png{delimiter}"{value}"' for n, value in enumerate(values)]
    path.write_text("\n".join([f"file{delimiter}{header}", *rows, ""]), encoding="utf-8")
    return path


def read(table: Table, column: str) -> list[Json]:
    return [
        dict(one.metadata or {}).get(column) for one in table.entries() if isinstance(one, Entry)
    ]


@pytest.mark.parametrize(
    ("column", "values", "stored", "kind"),
    [
        ("price", ["7", "-1.50", "", "0.5"], [7, -1.5, None, 0.5], "number"),
        ("code", ["7", "12", "007"], ["7", "12", "007"], "text"),  # the last one decides
        ("code", ["007", "7"], ["007", "7"], "text"),
        ("code", ["1", "9" * 16], ["1", "9" * 16], "text"),
        ("price", ["7", "8", "N/A", "9"], [7, 8, "N/A", 9], "number"),
        ("model", ["501", "A7", "B8"], ["501", "A7", "B8"], "text"),
        ("title", ["1984", "Dune", "Emma"], ["1984", "Dune", "Emma"], "text"),
        ("ean", ["4006381333931", "96385074"], ["4006381333931", "96385074"], "text"),
        ("EAN13", ["4006381333931"], ["4006381333931"], "text"),
        ("zip code", ["10115"], ["10115"], "text"),
        ("meaning", ["4"], [4], "number"),  # no ean
        ("added", ["2024-01-31", "2025-12-01T10:00"], ["2024-01-31", "2025-12-01T10:00"], "date"),
        ("added", ["31.1.2024"], ["31.1.2024"], "text"),
        ("price", ["1,5", "2,50"], ["1,5", "2,50"], "text"),  # may be lists
        ("n", ["1e5", "7"], ["1e5", 7], "number"),
        ("n", ["-0", "00", "0"], ["-0", "00", "0"], "text"),
    ],
)
def test_a_column_is_of_one_type(
    tmp_path: Path, column: str, values: list[str], stored: list[Json], kind: str
) -> None:
    table = Table(write(tmp_path / "t.csv", column, values))
    assert read(table, column) == stored
    (report,) = (one for one in table.preview() if one.column == column)
    assert (report.use, report.type) == ("metadata", kind)
    assert report.examples == tuple(dict.fromkeys(one for one in stored if one is not None))[:3]


def test_a_code_after_many_rows_makes_all_of_them_text(tmp_path: Path) -> None:
    values = [str(number) for number in range(1, 30_000)]
    table = Table(write(tmp_path / "t.csv", "article", [*values, "0001"]))
    assert read(table, "article") == [*values, "0001"]
    assert next(iter(table.preview()[1:])).note == "has codes such as 0001"
    table = Table(write(tmp_path / "t.csv", "article", values))
    assert read(table, "article") == [int(one) for one in values]


@pytest.mark.parametrize(
    ("values", "decimal", "delimiter", "stored"),
    [
        (["12,50", "3", "1.234,00"], None, ";", [12.5, 3, 1234.0]),
        (["12,50", "1.234"], None, ";", [12.5, 1234]),
        (["12.50", "3"], None, ";", [12.5, 3]),
        (["12.50", "3,5"], None, ";", [12.5, "3,5"]),
        (["1.234"], None, ";", [1.234]),
        (["12,50", "1 234,5", "1\u00a0234"], "comma", ",", [12.5, 1234.5, 1234]),
        (["1,234.50", "7", "1'000"], "point", ",", [1234.5, 7, 1000]),
        (["12,50"], "point", ";", ["12,50"]),
        (["1.234", "2.500"], "comma", ";", [1234, 2500]),
    ],
)
def test_decimal_commas_are_read_where_the_table_says_so(
    tmp_path: Path, values: list[str], decimal: str | None, delimiter: str, stored: list[Json]
) -> None:
    path = write(tmp_path / "t.csv", "price", values, delimiter=delimiter)
    assert read(Table(path, decimal=decimal), "price") == stored


@pytest.mark.parametrize(
    ("kind", "values", "stored"),
    [
        ("text", ["7", "8.50"], ["7", "8.50"]),
        ("number", ["7", "1,234.5", "007"], [7, 1234.5, "007"]),
        ("boolean", ["yes", "No", "1", "f"], [True, False, True, False]),
        ("date", ["2024-01-31", "2024/1/5", "31.1.2024", "20240131", "2024-01-31 9:05:00"],
         ["2024-01-31", "2024-01-05", "2024-01-31", "2024-01-31", "2024-01-31T09:05:00"]),
        ("date:dmy", ["3/4/2025", "3-4-2025 12:30"], ["2025-04-03", "2025-04-03T12:30:00"]),
        ("date:mdy", ["3/4/2025"], ["2025-03-04"]),
    ],
)  # fmt: skip
def test_a_type_can_be_named(
    tmp_path: Path, kind: str, values: list[str], stored: list[Json]
) -> None:
    table = Table(write(tmp_path / "t.csv", "x", values), column_types={"x": kind})
    assert read(table, "x") == stored


def test_values_of_another_type_stay_and_are_noted(tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv", "x", ["3/4/2025", "2025-02-30", "2025-02-28", "soon"])
    table = Table(path, column_types={"x": "date"})
    for _ in range(2):  # the notes are those of one reading
        assert read(table, "x") == ["3/4/2025", "2025-02-30", "2025-02-28", "soon"]
        (note,) = table.notes
        assert note.startswith("3 values of column 'x' stay text: '3/4/2025' (t.csv:2) is not a")
        assert note.endswith("date that is clear: day or month first?")


def test_json_keeps_its_types_unless_told(tmp_path: Path) -> None:
    rows = [{"file": "a.png", "ean": 4006381333931, "on": "3/4/2025"}, {"file": "b.png", "n": "7"}]
    path = tmp_path / "t.json"
    path.write_text(json.dumps(rows))
    table = Table(path)
    assert [(one.column, one.type) for one in table.preview()] == [
        ("file", "text"), ("ean", "number"), ("on", "text"), ("n", "text"),
    ]  # fmt: skip
    table = Table(path, column_types={"ean": "text", "on": "date:dmy", "n": "number"})
    assert read(table, "ean") == ["4006381333931", None]
    assert read(table, "on") == ["2025-04-03", None]
    assert read(table, "n") == [None, 7]


def test_a_key_that_the_first_objects_lack_is_a_column_too(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    path.write_text('{"file": "a.png"}\n{"file": "b.png", "label": "mug", "sku": "s2"}\n')
    found = [one for one in Table(path).entries() if isinstance(one, Entry)]
    assert [(one.id, one.label) for one in found] == [("a.png", None), ("s2", "mug")]


def test_wrong_types_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv", "x", ["1"])
    with pytest.raises(SourceError, match="must be one of text, number, date"):
        Table(path, column_types={"x": "money"})
    with pytest.raises(SourceError, match="no column 'y', which --column-type names"):
        list(Table(path, column_types={"y": "text"}).entries())
    with pytest.raises(SourceError, match="must be comma or point"):
        Table(path, decimal=",")


def test_the_command_shows_types_before_it_indexes(
    tmp_path: Path, card: Path, paint: Paint
) -> None:
    for number in range(3):
        paint(tmp_path / f"{number}.png", number)
    path = tmp_path / "t.csv"
    path.write_text("sku;file;ean;price\n1;0.png;0012;1,50\n2;1.png;0013;2\n3;2.png;0014;x\n")
    options = [str(path), "-c", str(tmp_path / "shop"), "--encoder", str(card)]
    result = CliRunner().invoke(index_command, options)
    assert result.exit_code == 0, result.output
    assert f"{path}: read as table: file from column file, id from column sku;" in result.stderr
    assert (
        f"{path}: metadata: ean text (0012, 0013), has codes such as 0012; price number (1.5, 2), "
        "others stay text, such as 'x'"
    ) in result.stderr
    more = ["--column-type", "price=text", "--json"]
    result = CliRunner().invoke(index_command, [*options, *more])
    (source,) = json.loads(result.stdout)["sources"]
    assert [(one["column"], one["use"], one["type"]) for one in source["columns"]] == [
        ("sku", "id", "text"),
        ("file", "file", "text"),
        ("ean", "metadata", "text"),
        ("price", "metadata", "text"),
    ]
    with lookalike.open(tmp_path / "shop") as shop:
        assert shop.get("1").metadata["price"] == "1,50"
        (note,) = shop.notes("price<20")
        assert note.code == "other-type"
        assert "price is text, such as '1,50'" in note.message
        assert "--column-type price=number" in note.message
    for wrong in ("price", "price=money", "=text"):
        result = CliRunner().invoke(index_command, [*options, "--column-type", wrong])
        assert result.exit_code == 2
        assert "is not NAME=TYPE" in result.output


def test_numbers_compared_as_text_are_explained(tmp_path: Path, card: Path, paint: Paint) -> None:
    paint(tmp_path / "0.png", 0)
    with lookalike.open(tmp_path / "shop", encoder=card, create=True) as shop:
        shop.index(Table(write(tmp_path / "t.csv", "price", ["7"])))
        (note,) = shop.notes("price<'20 EUR'")
        assert note.code == "other-type"
        assert note.message == "price is a number, such as 7, and < '20 EUR' compares text"
        assert [one.code for one in shop.notes("price<2")] == ["nothing-meets-filter"]


def test_preview_shows_what_indexing_would_do(tmp_path: Path, paint: Paint) -> None:
    paint(tmp_path / "0.png", 0)
    path = write(tmp_path / "t.csv", "added", ["31.12.2024", "1.1.2025"])
    result = CliRunner().invoke(preview_command, [str(path), "--column-type", "added=date"])
    assert result.exit_code == 0, result.output
    assert "2024-12-31, 2025-01-01" in result.stdout
    assert "1.png (missing)" in result.stdout
    result = CliRunner().invoke(preview_command, [str(path), "--json", "-n", "1"])
    document = json.loads(result.stdout)
    assert document["format"] == "table"
    assert document["images"] == [
        {
            "id": "0.png",
            "image": "0.png",
            "found": True,
            "label": None,
            "group": None,
            "metadata": {"added": "31.12.2024"},
        }
    ]
    result = CliRunner().invoke(preview_command, [str(tmp_path)])
    assert result.stdout == f"{tmp_path}: read as folder\n"


def test_a_run_file_has_the_same_options(tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv", "price", ["1,5"])
    file = tmp_path / "run.yaml"
    file.write_text(
        f"collection: shop\nindex:\n  source: {path}\n  decimal: comma\n"
        "  column_types: {price: number}\n  columns: {file: [file]}\n"
    )
    loaded = read_run_file(file)
    assert loaded.file.index is not None
    ((_, _, table),) = open_sources(loaded, loaded.file.index)
    assert isinstance(table, Table)
    assert read(table, "price") == [1.5]
