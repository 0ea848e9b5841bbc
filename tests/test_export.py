"""Exports: what is written, and that it can be indexed again."""

import csv
import io
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

import lookalike
from lookalike import Collection, Entry, Item
from lookalike.core.progress import Progress
from lookalike.core.records import Json
from lookalike.encoders import OnnxEncoder
from lookalike.errors import ExportError, FilterError
from lookalike.output import export as export_module
from lookalike.output.export import export, format_of
from lookalike.output.table_writers import NpyWriter
from lookalike.sources.catalogues.table import Table

Paint = Callable[[Path, int], Path]

SAID: dict[str, dict[str, Json]] = {
    "0.png": {"price": 10, "name": 'a "quoted", name', "colour": "Red"},
    "1.png": {"price": 12.5, "name": "two\nlines\rand more", "code": "007"},
    "2.png": {"price": 0.00001, "name": "=1+1", "label": "a field of that name"},
    "3.png": {"name": "鞋 👟", "metadata.x": "prefixed", "": "nameless"},
    "4.png": {},
}
TYPED: dict[str, dict[str, Json]] = {
    "0.png": {"new": True, "tags": ["a", 1], "size": {"w": 1.5}, "mixed": "10"},
    "1.png": {"new": False, "mixed": 10, "large": 2**60, "huge": 2**70},
}


@pytest.fixture
def shop(tmp_path: Path, tiny: OnnxEncoder, pictures: Path) -> Iterator[Collection]:
    """Nine items, some of which something is said about."""
    with lookalike.open(tmp_path / "shop", encoder=tiny, create=True) as shop:
        shop.index(pictures)
        _say(shop, SAID)
        yield shop


def _say(shop: Collection, said: dict[str, dict[str, Json]]) -> None:
    place = {root.name: root.path for root in shop.roots()}[""]
    shop.index(
        Entry(
            id=one,
            image=place / one,
            path=one,
            label="mug" if number % 2 else "2.50",
            group=f"p{number // 2}",
            metadata=metadata,
        )
        for number, (one, metadata) in enumerate(said.items())
    )


def _again(path: Path, pictures: Path, place: Path, tiny: OnnxEncoder) -> dict[str, Item]:
    """The items of a new collection that has indexed an exported file."""
    with lookalike.open(place, encoder=tiny, create=True) as other:
        report = other.index(Table(path, root=pictures))
        assert report.skipped == ()
        return {item.id: item for item in other}


def table(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("suffix", ["csv", "tsv", "jsonl", "parquet"])
def test_an_export_is_indexed_into_an_equal_collection(
    shop: Collection, pictures: Path, tmp_path: Path, tiny: OnnxEncoder, suffix: str
) -> None:
    report = export(shop, tmp_path / f"out.{suffix}")
    assert report.root == pictures.resolve()
    assert (report.items, report.removed, report.as_json) == (9, 0, ())
    assert report.path is not None
    again = _again(report.path, pictures, tmp_path / "again", tiny)
    before = {item.id: item for item in shop}
    assert again.keys() == before.keys()
    for one, item in before.items():
        expected = {export_module.column(name): value for name, value in item.metadata.items()}
        assert again[one].metadata == expected
        for field in ("id", "path", "root", "label", "group", "digest", "width", "height"):
            assert getattr(again[one], field) == getattr(item, field), field


def test_json_lines_keep_every_type(
    shop: Collection, pictures: Path, tmp_path: Path, tiny: OnnxEncoder
) -> None:
    _say(shop, TYPED)
    report = export(shop, tmp_path / "out.jsonl")
    again = _again(tmp_path / "out.jsonl", pictures, tmp_path / "again", tiny)
    assert {one: dict(again[one].metadata) for one in TYPED} == TYPED
    assert report.as_json == ()


def test_csv_holds_as_text_what_it_has_no_form_for(shop: Collection, tmp_path: Path) -> None:
    _say(shop, TYPED)
    report = export(shop, tmp_path / "out.csv", where="id=0.png")
    assert report.as_json == ("size", "tags")
    (row,) = table(tmp_path / "out.csv")
    assert list(row)[:4] == ["id", "file", "label", "group"]
    assert list(row)[4:] == ["mixed", "new", "size", "tags"]
    assert (row["new"], row["tags"], row["size"]) == ("true", '["a", 1]', '{"w": 1.5}')


def test_parquet_columns_have_the_type_of_their_values(shop: Collection, tmp_path: Path) -> None:
    _say(shop, TYPED)
    report = export(shop, tmp_path / "out.parquet", facts=True)
    schema = pq.read_schema(tmp_path / "out.parquet")
    types = {name: str(schema.field(name).type) for name in schema.names}
    assert types | {"new": "bool", "price": "double", "large": "int64", "width": "int64"} == types
    assert report.as_json == ("huge", "mixed", "size", "tags")
    assert schema.field("tags").metadata == {b"lookalike": b"json"}
    rows = {row["id"]: row for row in pq.read_table(tmp_path / "out.parquet").to_pylist()}
    assert [json.loads(rows[one]["mixed"]) for one in TYPED] == ["10", 10]
    assert rows["1.png"]["large"] == 2**60
    assert json.loads(rows["1.png"]["huge"]) == 2**70


def test_facts_say_where_and_what_a_picture_is(
    shop: Collection, pictures: Path, tmp_path: Path
) -> None:
    export(shop, tmp_path / "out.jsonl", facts=True, where="id=4.png")
    row = json.loads((tmp_path / "out.jsonl").read_text())
    assert row["path"] == str(pictures.resolve() / "4.png")
    assert (row["width"], row["height"], row["digest"]) == (64, 48, shop.get("4.png").digest)


def test_vectors_lie_beside_the_file_in_its_order(shop: Collection, tmp_path: Path) -> None:
    for _ in range(2):
        report = export(shop, tmp_path / "out.csv", vectors="npy", force=True, where="not id=3.png")
    assert report.vectors == tmp_path / "out.vectors.npy"
    matrix = np.load(tmp_path / "out.vectors.npy")
    ids = [row["id"] for row in table(tmp_path / "out.csv")]
    assert matrix.dtype == np.float32
    assert matrix.flags.c_contiguous
    np.testing.assert_array_equal(matrix, shop.vectors(ids))


def test_no_items_make_a_matrix_without_rows(shop: Collection, tmp_path: Path) -> None:
    export(shop, tmp_path / "out.csv", vectors="npy", where="id=nobody")
    assert np.load(tmp_path / "out.vectors.npy").shape == (0, 32)


def test_vectors_are_a_column_of_parquet(shop: Collection, tmp_path: Path) -> None:
    export(shop, tmp_path / "out.parquet", vectors="column")
    table = pq.read_table(tmp_path / "out.parquet")
    info = shop.info()
    assert str(table.schema.field("vector").type) == "fixed_size_list<element: float>[32]"
    vectors = np.array(table["vector"].to_pylist(), dtype=np.float32)
    np.testing.assert_array_equal(vectors, shop.vectors(table["id"].to_pylist()))
    assert table.schema.metadata is not None
    assert table.schema.metadata[b"lookalike.encoder"] == b"tiny"
    assert table.schema.metadata[b"lookalike.fingerprint"] == (info.fingerprint or "").encode()
    assert table.schema.metadata[b"lookalike.dim"] == b"32"


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
def test_many_batches_are_written_whole(
    shop: Collection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    export(shop, tmp_path / f"one.{suffix}")
    monkeypatch.setattr(export_module, "BATCH", 2)
    heard: list[Progress] = []
    export(
        shop,
        tmp_path / f"many.{suffix}",
        vectors="npy",
        progress=heard.append,
    )
    if suffix == "parquet":
        assert pq.read_table(tmp_path / "one.parquet") == pq.read_table(tmp_path / "many.parquet")
        assert pq.ParquetFile(tmp_path / "many.parquet").num_row_groups == 5
    else:
        assert (tmp_path / f"one.{suffix}").read_bytes() == (
            tmp_path / f"many.{suffix}"
        ).read_bytes()
    np.testing.assert_array_equal(
        np.load(tmp_path / "many.vectors.npy"), shop.vectors([item.id for item in shop])
    )
    assert heard[-1] == Progress(done=9, total=9, stage="written")


def test_an_item_removed_meanwhile_is_passed_over(
    shop: Collection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export_module, "BATCH", 2)

    def remove(progress: Progress) -> None:
        if progress.stage == "written" and progress.done == 2:
            shop.remove(["3.png", "5.png", "4.png"])

    report = export(shop, tmp_path / "out.csv", vectors="npy", progress=remove)
    assert (report.items, report.removed) == (6, 3)
    lines = (tmp_path / "out.csv").read_text(encoding="utf-8").splitlines()
    assert len(np.load(tmp_path / "out.vectors.npy")) == 6
    assert not any(line.startswith(("3.png", "4.png", "5.png")) for line in lines)


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
def test_an_empty_collection_makes_an_empty_table(
    tmp_path: Path, tiny: OnnxEncoder, suffix: str
) -> None:
    path = tmp_path / f"out.{suffix}"
    with lookalike.open(tmp_path / "empty", encoder=tiny, create=True) as empty:
        assert export(empty, path, vectors="npy").items == 0
        assert empty.info().dim is None
    assert len(np.load(tmp_path / "out.vectors.npy")) == 0
    if suffix == "parquet":
        assert pq.read_table(path).num_rows == 0
    else:
        text = path.read_text(encoding="utf-8")
        assert text == ("id,file,label,group\n" if suffix == "csv" else "")


def test_items_of_several_folders_lie_below_what_holds_them_all(
    shop: Collection, paint: Paint, tmp_path: Path, tiny: OnnxEncoder
) -> None:
    paint(tmp_path / "scans" / "deep" / "a.png", 40)
    shop.index(tmp_path / "scans")
    shop.add("bytes", paint(tmp_path / "own.png", 41).read_bytes())
    report = export(shop, tmp_path / "out.csv", where="not id=bytes")
    assert report.root == tmp_path.resolve()
    rows = table(tmp_path / "out.csv")
    assert {row["file"] for row in rows} >= {"scans/deep/a.png", "pictures/0.png"}
    again = _again(tmp_path / "out.csv", tmp_path, tmp_path / "again", tiny)
    assert again.keys() == {item.id for item in shop} - {"bytes"}
    export(shop, tmp_path / "all.jsonl")
    rows = [json.loads(line) for line in (tmp_path / "all.jsonl").read_text().splitlines()]
    assert [row["id"] for row in rows if not row["file"]] == ["bytes"]


def test_a_file_that_is_there_is_replaced_only_by_force(shop: Collection, tmp_path: Path) -> None:
    path = tmp_path / "out.csv"
    path.write_text("mine")
    with pytest.raises(ExportError, match="--force"):
        export(shop, path)
    assert path.read_text() == "mine"
    (tmp_path / "new.vectors.npy").write_text("mine")
    with pytest.raises(ExportError, match=r"new\.vectors\.npy"):
        export(shop, tmp_path / "new.csv", vectors="npy")
    assert not (tmp_path / "new.csv").exists()
    export(shop, path, force=True)
    assert path.read_text().startswith("id,")
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(ExportError, match="not a file"):
        export(shop, tmp_path / "folder.csv", force=True)
    assert list(tmp_path.glob(".*")) == []


def test_nothing_is_left_of_an_export_that_failed(
    shop: Collection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ExportError, match="does not exist"):
        export(shop, tmp_path / "nowhere" / "out.csv")
    with pytest.raises(FilterError):
        export(shop, tmp_path / "out.csv", where="label=")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    before = set(tmp_path.iterdir())
    for suffix in ("csv", "parquet"):
        with monkeypatch.context() as patch:
            patch.setattr(NpyWriter, "write", full)
            with pytest.raises(ExportError, match=r"cannot be written: No space left"):
                export(shop, tmp_path / f"out.{suffix}", vectors="npy")
    assert set(tmp_path.iterdir()) == before


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_a_full_disk_behind_a_stream_is_an_error(shop: Collection, form: str) -> None:
    out = io.TextIOWrapper(Path("/dev/full").open("wb", buffering=0), write_through=True)  # noqa: SIM115 - closed below
    with pytest.raises(ExportError, match="the output cannot be written: No space left"):
        export(shop, out, format=form)
    out.detach().close()


def test_without_pyarrow_the_extra_is_named(
    shop: Collection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ExportError, match=r"pip install 'lookalike\[parquet\]'"):
        export(shop, tmp_path / "out.parquet")
    assert not (tmp_path / "out.parquet").exists()


def test_formats_that_cannot_be_are_refused() -> None:
    assert format_of("a.CSV") == "csv"
    assert format_of(None) == "jsonl"
    assert format_of("a.txt", "tsv") == "tsv"
    with pytest.raises(ValueError, match="no suffix"):
        format_of("a.txt")
    with pytest.raises(ValueError, match="unknown format 'xls'"):
        format_of("a.csv", "xls")
    with pytest.raises(ValueError, match="to a file"):
        format_of(None, "parquet")
    with pytest.raises(ValueError, match="beside a file"):
        format_of(None, "csv", "npy")
    with pytest.raises(ValueError, match="only Parquet"):
        format_of("a.csv", None, "column")
