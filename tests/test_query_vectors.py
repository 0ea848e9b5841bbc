"""Vectors as a query, from arrays, lists and files, and what is said of those that are none."""

import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

import lookalike
from contracts.collection import stock
from live import serving
from lookalike import Collection, ItemRef, QueryPart, RemoteCollection
from lookalike.cli import cli
from lookalike.search import VectorFile
from lookalike.search.vectors import check_vector, parse_vector


def _npy(array: Any) -> bytes:  # noqa: ANN401 - any array
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


# --- what is a vector ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "data",
    [
        *(_npy(np.array([1, 2, 3], kind)) for kind in ("f2", "f4", ">f8", "i2", "u1")),
        _npy(np.array([[1, 2, 3]], "f4")),
        b"[1, 2, 3]",
        b" [[1, 2.0, 3]]",
        b'{"vector": [1, 2, 3]}',
    ],
)
def test_a_vector_is_read_from_an_array_or_json(data: bytes) -> None:
    assert parse_vector(data, name="v").tolist() == [1, 2, 3]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "v: holds no vector"),
        (b"\xff\xd8\xff", "v: holds no vector"),
        (b'"red"', "v: holds no vector"),
        (b'["a", "b"]', "v: holds no vector"),
        (b"[[1, 2], [3]]", "v: holds no vector"),
        (b"[" * 100_000, "v: holds no vector"),
        (_npy([1.0])[:20], "v: holds no vector"),
        (_npy(np.array([{}])), "v: holds no vector"),  # an object would have to be unpickled
        (_npy(np.ones((3, 4))), "v: holds 3 vectors; give a file with one"),
        (_npy(np.ones((1, 2, 3))), "an array of 3 dimensions"),
        (_npy(np.float32(1)), "an array of 0 dimensions"),
        (b" " * 9_000_000, "larger than 8 MB"),
    ],
)
def test_what_is_no_vector_is_said_plainly(data: bytes, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_vector(data, name="v")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.array([1.0, np.nan, 2.0]), "value 2 of the vector is nan; all must be finite"),
        (np.array([1.0, 2.0, -np.inf]), "value 3 of the vector is -inf"),
        (np.zeros(3), "all values of the vector are 0"),
        (np.ones(4), r"has 4 values, but embeddings here have 3 \(drawn\)"),
        (np.ones(0), "has 0 values"),
        (np.array(["a", "b", "c"]), "not numbers"),
        (np.array([1j, 2, 3]), "not numbers"),
        (np.array([True, False, True]), "not numbers"),
    ],
)
def test_a_vector_has_the_length_of_embeddings_and_finite_values(
    values: Any,  # noqa: ANN401 - arrays of several types
    message: str,
) -> None:
    with pytest.raises(ValueError, match=message):
        check_vector(values, dim=3, encoder="drawn")


@pytest.mark.parametrize("scale", [1e-300, 1e-20, 1.0, 1e300])
def test_a_vector_may_have_any_length_but_0(scale: float) -> None:
    unit = check_vector(np.array([3.0, 4.0, 0.0]) * scale, dim=3)
    assert unit == pytest.approx(np.array([0.6, 0.8, 0.0]))
    assert unit.dtype == np.float32


# --- the ways in ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def home(
    tmp_path_factory: pytest.TempPathFactory, card: Path, paint: Callable[[Path, int], Path]
) -> Path:
    home = tmp_path_factory.mktemp("vectors")
    stock(home, card, paint)
    return home


@pytest.fixture(scope="module")
def ways(home: Path) -> Iterator[list[Collection | RemoteCollection]]:
    with (
        serving(home) as live,
        lookalike.open(home / "collections" / "shop") as shop,
        lookalike.connect(live.address, collection="shop") as remote,
    ):
        yield [shop, remote]


@pytest.fixture
def vector(home: Path) -> list[float]:
    with lookalike.open(home / "collections" / "shop") as shop:
        found: list[float] = shop.vectors(["mugs/1.png"])[0].tolist()
        return found


def test_a_list_of_numbers_and_a_file_are_vectors_like_an_array(
    ways: list[Collection | RemoteCollection], vector: list[float], tmp_path: Path
) -> None:
    np.save(tmp_path / "v.npy", np.array(vector) * 3)
    for way in ways:
        for query in (vector, tuple(vector), np.array(vector), VectorFile(str(tmp_path / "v.npy"))):
            found = way.search(query, k=2)
            assert found[0].item.id == "mugs/1.png"
            assert found[0].score == pytest.approx(1, abs=1e-3)


def test_a_vector_is_a_part_among_others(
    ways: list[Collection | RemoteCollection], vector: list[float]
) -> None:
    array = np.array(vector)
    for way in ways:
        mixed = way.search([QueryPart(source=array, weight=2), ItemRef("0.png")], k=4)
        items = way.search(
            [QueryPart(source=ItemRef("mugs/1.png"), weight=2), ItemRef("0.png")],
            k=4,
            include_self=True,
        )
        expected = [hit.item.id for hit in items if hit.item.id != "0.png"]
        assert [hit.item.id for hit in mixed][:3] == expected[:3]
        with pytest.raises(ValueError, match="value 1 of the vector is nan"):
            way.search(array * np.nan)
        with pytest.raises(ValueError, match="crop needs an image"):
            way.search(QueryPart(source=array, crop=(0, 0, 1, 0.5)))


@pytest.fixture
def search(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    monkeypatch.chdir(tmp_path)

    def search(*arguments: str, stdin: bytes | None = None) -> Any:  # noqa: ANN401 - click's
        place = str(home / "collections" / "shop")
        return CliRunner().invoke(cli, ["search", *arguments, "-c", place], input=stdin)

    return search


def test_the_command_line_reads_a_vector_from_a_file_or_standard_input(
    search: Callable[..., Any], vector: list[float], tmp_path: Path
) -> None:
    np.save(tmp_path / "v.npy", np.array(vector, dtype=np.float32))
    (tmp_path / "v.json").write_text(json.dumps(vector))
    text = json.dumps(vector).encode()
    for arguments, stdin in (
        (["--vector", "v.npy"], None),
        (["--vector", "v.json"], None),
        (["--vector", "-"], text),
        (["--vector", "-"], (tmp_path / "v.npy").read_bytes()),
        (["v.npy"], None),
        (["vector:v.json"], None),
        (["vector:-"], text),
    ):
        done = search(*arguments, "--json", stdin=stdin)
        assert done.exit_code == 0, done.output
        document = json.loads(done.stdout)
        assert document["hits"][0]["id"] == "mugs/1.png"
        assert document["query"] == {"path": arguments[-1].removeprefix("vector:")}
    mixed = search("v.npy + 0.5:@0.png - vector:v.json", "--json", "--include-self")
    assert [one["weight"] for one in json.loads(mixed.stdout)["query"]["parts"]] == [1, 0.5, -1]


def test_the_command_line_says_what_is_wrong_with_a_vector(
    search: Callable[..., Any], tmp_path: Path
) -> None:
    np.save(tmp_path / "short.npy", np.ones(3))
    np.save(tmp_path / "nan.npy", np.full(32, np.nan))
    (tmp_path / "text.json").write_text("red")
    for arguments, message in (
        (["--vector", "gone.npy"], "gone.npy: the vector cannot be read: No such file"),
        (["--vector", "short.npy"], "has 3 values, but embeddings here have"),
        (["nan.npy"], "value 1 of the vector is nan"),
        (["--vector", "text.json"], "text.json: holds no vector"),
        (["vector:"], "'vector:' needs a file"),
        ([], "Missing argument 'QUERY...'"),
        (["short.npy#0,0,1,0.5"], "a crop needs an image"),
    ):
        done = search(*arguments)
        assert done.exit_code == 2
        assert message in done.stderr
        assert "Traceback" not in done.output


def test_a_vector_is_explained_too(
    home: Path, vector: list[float], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    np.save("v.npy", np.array(vector))
    place = str(home / "collections" / "shop")
    done = CliRunner().invoke(cli, ["explain", "v.npy", "mugs/1.png", "-c", place])
    assert done.exit_code == 0, done.output
    assert "score 1.000" in done.stderr
