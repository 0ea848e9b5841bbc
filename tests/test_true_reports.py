"""Every command says what happened: exit code, stdout, stderr and ``--json`` of what goes wrong."""

import io
import json
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import lookalike
from conftest import painted
from lookalike.cli import invoke
from lookalike.cli.exit_codes import of_batch
from lookalike.cli.output import stdout
from lookalike.core.suggestions import closest, did_you_mean
from lookalike.sources.scan import describe_passed


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, card: Path) -> Path:
    """A place with folders, tables and the collection ``./shop``; not to be written to."""
    place = tmp_path_factory.mktemp("reports")
    for number in range(4):
        painted(place / "pictures" / f"{number}.png", number)
    (place / "pictures" / "page.jpg").write_text("<html>404</html>")
    shutil.copy(place / "pictures" / "0.png", place / "query.png")
    painted(place / "other.png", 77)
    (place / "broken.jpg").write_text("<html>404</html>")
    (place / "documents").mkdir()
    for name in ("a.pdf", "b.PDF", "notes.txt", "README", ".hidden.png"):
        (place / "documents" / name).write_bytes(b"x")
    (place / "linked").mkdir()
    for number in range(3):
        (place / "linked" / f"{number}.png").symlink_to(place / "pictures" / f"{number}.png")
    (place / "ignored").mkdir()
    (place / "ignored" / ".lookalikeignore").write_text("*.png\n")
    shutil.copy(place / "query.png", place / "ignored" / "a.png")
    (place / "empty").mkdir()
    (place / "hopeless").mkdir()
    for number in range(2):
        (place / "hopeless" / f"{number}.jpg").write_text("<html>404</html>")
    (place / "refused.csv").write_text(
        "id,url\na,http://127.0.0.1:9/a.png\nb,http://127.0.0.1:9/b.png\n"
    )
    (place / "run.yaml").write_text(
        "collection: ./run\nindex:\n  source: hopeless\nexport:\n  file: out.csv\n"
    )
    with lookalike.open(place / "shop", create=True, encoder=card) as shop:
        shop.index(place / "pictures")
        shop.store.items.update(
            [
                replace(
                    item,
                    label="Mug" if number else None,
                    metadata={"colour": "red", "gender": "Men", "price": number},
                )
                for number, item in enumerate(shop)
            ]
        )
    return place


@pytest.fixture
def place(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of ``made`` to work in; its images stay where they were indexed."""
    target = tmp_path / "place"
    shutil.copytree(made, target, symlinks=True)
    monkeypatch.chdir(target)
    return target


@dataclass(frozen=True)
class Said:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:  # noqa: ANN401 - JSON
        return json.loads(self.out)


Lookalike = Callable[..., Said]


@pytest.fixture
def cli(place: Path, card: Path, capfd: pytest.CaptureFixture[str]) -> Iterator[Lookalike]:
    """Runs a command line in ``place``. ``{card}`` and ``{made}`` stand for the places."""

    def called(*words: str) -> Said:
        capfd.readouterr()
        stdout.taken = False
        code = invoke([word.format(card=card, place=place) for word in words])
        out, err = capfd.readouterr()
        return Said(code, out, err)

    yield called
    stdout.taken = False


# What is typed, the exit code, and what stdout and stderr hold (a regular expression; "" nothing).
CASES = [
    # nothing there
    ("search other.png -c ./nowhere", 1, "", "error: there is no collection in .*nowhere"),
    ("similar 0.png -c ./shopp", 1, "", "did you mean 'shop'?"),
    ("info -c ./nowhere", 1, "", "error: there is no collection"),
    ("list -c ./nowhere", 1, "", "error: there is no collection"),
    ("facets label -c ./nowhere", 1, "", "error: there is no collection"),
    ("label mug 0.png -c ./nowhere", 1, "", "error: there is no collection"),
    ("export - -c ./nowhere", 1, "", "error: there is no collection"),
    ("remove 0.png -c ./nowhere", 1, "", "error: there is no collection"),
    ("declare price -c ./nowhere", 1, "", "error: there is no collection"),
    ("duplicates -c ./nowhere", 1, "", "error: there is no collection"),
    ("evaluate -c ./nowhere", 1, "", "error: there is no collection"),
    ("calibrate -c ./nowhere", 1, "", "error: there is no collection"),
    ("categories info -c ./nowhere", 1, "", "error: there is no collection"),
    ("neighbours info -c ./nowhere", 1, "", "error: there is no collection"),
    ("copy ./nowhere ./there", 1, "", "error: there is no collection"),
    ("migrate -c ./nowhere --encoder {card}", 1, "", "error: there is no collection"),
    ("prune pictures -c ./nowhere", 1, "", "error: there is no collection"),
    ("index nowhere -c ./new", 1, "", "error: nowhere does not exist"),
    ("index nowhere.csv -c ./new", 1, "", "error: .*nowhere.csv"),
    ("download nowhere.csv --to new", 1, "", "error: .*nowhere.csv"),
    ("download --to empty --failures", 1, "", "holds no downloads.sqlite"),
    ("backup backup -c ./nowhere", 1, "", "error: there is no collection"),
    ("restore nowhere -c ./there", 1, "", "error: .*nowhere"),
    ("restore pictures -c ./there", 1, "", "error: .*pictures"),
    ("doctor -c ./nowhere", 1, "", "error: there is no collection"),
    ("train -c ./nowhere --to enc", 1, "", "error: there is no collection"),
    ("train -c ./shop --to enc --by colr", 1, "", "the field 'colr'; did you mean 'colour'"),
    ("categories predict other.png -c ./nowhere", 1, "", "error: there is no collection"),
    ("categories drop -c ./nowhere", 1, "", "error: there is no collection"),
    ("neighbours build -c ./nowhere", 1, "", "error: there is no collection"),
    ("neighbours info -c ./shop", 0, "no neighbour table", ""),
    ("serve ./nowhere --port 0", 1, "", "error: .*nowhere"),
    ("init new.yaml --source nowhere", 1, "", "error: .*nowhere"),
    ("run nowhere.yaml", 1, "", "error: .*nowhere.yaml"),
    ("remove nobody -c ./shop", 1, "0 removed", "error: there is no item 'nobody'"),
    ("label mug nobody -c ./shop", 1, "", "error: there is no item 'nobody'"),
    ("similar nobody -c ./shop", 1, "", "error: there is no item 'nobody'"),
    ("similar 0 -c ./shop", 1, "", "no item '0'; did you mean '0.png'"),
    ("similar pictures/0.jpg -c ./shop", 1, "", "did you mean '0.png'"),
    ("label mug pictures/0.png -c ./shop", 1, "", "did you mean '0.png'"),
    ("remove pictures/0.png -c ./shop", 1, "0 removed", "did you mean '0.png'"),
    ("export nodir/a.csv -c ./shop", 1, "", "nodir/a.csv .*: the folder .*nodir does not exist"),
    ("init nodir/a.toml", 1, "", "nodir/a.toml: the folder .*nodir does not exist"),
    ("duplicates -c ./shop --report nodir/a.html", 1, "", "the folder .*nodir does not exist"),
    ("search gone.png -c ./shop", 1, "", "error: gone.png: there is no such file"),
    # nothing matched
    ("search other.png -c ./shop --min-score 0.99", 5, "", "nothing found: no result reaches min "),
    ("similar 0.png -c ./shop --min-score 0.99", 5, "", r"reaches min score 0\.99; the best is 0"),
    ("search other.png -c ./shop --where colr=red", 5, "", "the field 'colr'; did you mean 'colou"),
    ("similar 0.png -c ./shop --where gender=men", 5, "", "no item has gender = 'men'; 4 have 'Me"),
    ("search other.png -c ./shop --where label=mug", 5, "", "label = 'mug'; 3 have 'Mug'"),
    ("search other.png -c ./shop --where price=9", 5, "", "no item has price = '9'"),
    ("search other.png -c ./shop --where price>9", 5, "", "no item meets the filter"),
    ("list -c ./shop --where colr=red", 0, "", "note: no item has the field 'colr'; did you mean"),
    ("list -c ./shop --where gender^=m", 0, "", "no item has gender begins with 'm'; 4 have 'Men'"),
    ("facets colr -c ./shop", 0, "", "note: no item has the field 'colr'; did you mean 'colour'?"),
    ("facets group -c ./shop", 0, "", "note: no item has a group"),
    ("facets colour -c ./shop --where colr=red", 0, "", "note: no item has the field 'colr'"),
    ("export out.csv -c ./shop --where colr=red", 0, "0 items written", "note: no item has the f"),
    ("export - -c ./shop --where colr=red", 0, "", "note: no item has the field 'colr'"),
    ("declare colr -c ./shop", 0, "colr", "note: no item has the field 'colr'; did you mean 'co"),
    ("search other.png -c ./shop --per-group", 0, "0.png", "note: no item has a group"),
    ("evaluate -c ./shop --by colr", 1, "", "no item has the field 'colr'; did you mean 'colour'"),
    ("evaluate -c ./shop --where gender=men", 1, "", "no item meets gender=men: .*4 have 'Men'"),
    ("categories train -c ./shop --by colr", 1, "", "no item has the field 'colr'; did you mean"),
    ("categories info -c ./shop", 5, "", "no classifier; train one"),
    ("search other.png -c ./shop --category mug", 1, "", "no item has 'mug' .*did you mean 'Mug'"),
    ("duplicates -c ./shop --where colr=red", 0, "", "note: no item has the field 'colr'"),
    ("duplicates other.png -c ./shop", 5, "", "other.png: no duplicate"),
    # all failed, or could not
    ("search broken.jpg -c ./shop", 1, "", "error: broken.jpg: not a readable image"),
    (
        "search broken.jpg gone.png -c ./shop",
        1,
        "broken.jpg\ngone.png",
        "(?m)^error: gone.png: there is no such file",
    ),
    ("similar nobody noone -c ./shop", 1, "nobody\nnoone", "error: there is no item 'noone'"),
    ("categories predict broken.jpg -c ./shop", 1, "", "error: broken.jpg: not a readable image"),
    ("duplicates broken.jpg -c ./shop", 1, "", "error: broken.jpg: not a readable image"),
    (
        "index documents -c ./new --encoder {card}",
        1,
        "0 indexed",
        r"no usable images in .*documents: passed over 2 \.pdf",
    ),
    ("index linked -c ./new --encoder {card}", 1, "0 indexed", r"3 links \(--follow-links"),
    (
        "index ignored -c ./new --encoder {card}",
        1,
        "0 indexed",
        "1 excluded by --exclude or a .look",
    ),
    ("index pictures -c ./new --include *.bmp", 1, "0 indexed", "5 not matched by --include"),
    (
        "index empty -c ./new --encoder {card}",
        0,
        "0 indexed",
        "no usable images in .*empty: the folder",
    ),
    (
        "index hopeless -c ./new --encoder {card}",
        1,
        "2 skipped",
        "error: hopeless contains no usable",
    ),
    ("download refused.csv --to new --attempts 1 --allow-private", 1, "2 failed", "failed a: .*\n"),
    (
        "run run.yaml",
        1,
        "index +failed",
        "error: index: nothing could be used: 2 not a readable image",
    ),
    # part failed
    (
        "search broken.jpg other.png -c ./shop",
        3,
        "broken.jpg\nother.png\n1\t",
        "(?m)^error: broken.jpg: ",
    ),
    ("similar nobody 0.png -c ./shop", 3, "1\t", "nobody: error: there is no item"),
    ("categories predict broken.jpg other.png -c ./shop", 3, "Mug", "error: broken.jpg"),
    ("duplicates broken.jpg query.png -c ./shop", 3, "exact", "error: broken.jpg"),
    (
        "index hopeless pictures -c ./new --encoder {card}",
        3,
        "4 indexed",
        "hopeless contains no usable",
    ),
    ("index pictures -c ./new --encoder {card}", 0, "1 skipped", "--show-skipped"),
    ("index pictures -c ./new --encoder {card} --strict", 3, "1 skipped", "--show-skipped"),
    # wrong type
    ("serach x", 2, "", "did you mean 'search'"),
    ("search other.png -c ./shop -k x", 2, "", "Invalid value for '-k'"),
    ("search other.png -c ./shop --min-score 7", 2, "", "Invalid value for '--min-score'"),
    ("search other.png -c ./shop --where label=", 1, "", "in the filter, a value is missing"),
    ("search pictures/ -c ./shop", 1, "", "error: .*folder"),
    ("search pictures -c ./shop", 5, "", "nothing found: .*'pictures' is a folder"),
    ("index documents/notes.txt -c ./new", 1, "", "error: .*notes.txt"),
    ("index pictures -c ./documents", 1, "", "error: .*documents"),
    ("export out.doc -c ./shop", 2, "", "Error: "),
    ("remove -c ./shop", 2, "", "give ids, or one of --where, --root and --all"),
    ("declare label -c ./shop", 1, "", "error: label is a field of the item itself"),
    ("run refused.csv", 1, "", "error: .*refused.csv"),
    # found
    ("search query.png -c ./shop -k 1", 0, r"1\t1\.000\t0\.png\t-\t-\n", ""),
    ("search pictures/0.png -c ./shop --where price>8", 5, "", "nothing found: no item meets"),
]


@pytest.mark.parametrize(("typed", "code", "out", "err"), CASES, ids=[one[0] for one in CASES])
def test_a_command_says_what_happened(
    cli: Lookalike, typed: str, code: int, out: str, err: str
) -> None:
    said = cli(*typed.split())
    assert (said.code, "Traceback" in said.err) == (code, False), said
    for expected, there in ((out, said.out), (err, said.err)):
        assert re.search(expected, there) if expected else there == "", said


@pytest.mark.parametrize(
    ("typed", "code"), [one[:2] for one in CASES], ids=[one[0] for one in CASES]
)
def test_with_json_stdout_is_one_document_and_the_exit_code_the_same(
    cli: Lookalike, typed: str, code: int
) -> None:
    if typed.split(maxsplit=1)[0] in {"init", "serve"}:  # which write a file, and answer over HTTP
        return
    said = cli(*typed.split(), "--json")
    assert said.code == code, said
    if typed.startswith("export - ") and code == 0:  # stdout is the file
        return
    document = said.document
    if code in (1, 2) and not isinstance(document, list) and "error" in document:
        assert set(document["error"]) == {"code", "message"}
        assert document["error"]["code"]
        assert said.err != ""
    if code == 2:
        assert document["error"]["code"] == "usage"


def test_each_exit_code_is_in_the_table_of_the_docs() -> None:
    page = (Path(__file__).parents[1] / "docs" / "cli.md").read_text(encoding="utf-8")
    told = {int(one) for one in re.findall(r"^\| (\d+) \|", page, re.MULTILINE)}
    assert told == {0, 1, 2, 3, 4, 5, 130}
    assert {one[1] for one in CASES} <= told


def test_a_batch_has_an_exit_code_of_its_own_for_each_outcome() -> None:
    assert of_batch([True]) == of_batch([True, True]) == 0
    assert of_batch([None]) == of_batch([None, None]) == 1
    assert of_batch([None, True]) == of_batch([None, False]) == 3
    assert of_batch([False]) == of_batch([True, False]) == 5


class _Interrupted(io.BytesIO):
    """What a person is asked for and answers with Ctrl-C."""

    def read(self, size: int | None = -1, /) -> bytes:  # noqa: ARG002 - as BytesIO has it
        raise KeyboardInterrupt


@pytest.mark.parametrize("words", [(), ("--json",)])
def test_an_interrupted_command_exits_with_130(
    cli: Lookalike, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(_Interrupted()))
    said = cli("search", "-", "-c", "./shop", *words)
    assert (said.code, said.err.strip()) == (130, "interrupted")
    told = {"error": {"code": "interrupted", "message": "interrupted"}}
    assert (said.document if words else said.out) == (told if words else "")


# --- shapes ------------------------------------------------------------------------------------


def test_a_search_has_the_same_keys_whatever_was_found(cli: Lookalike) -> None:
    found = cli("search", "query.png", "-c", "./shop", "--json").document
    nothing = cli("search", "query.png", "-c", "./shop", "--json", "--where", "a=b").document
    both = cli("search", "query.png", "broken.jpg", "-c", "./shop", "--json").document
    similar = cli("similar", "0.png", "-c", "./shop", "--json").document
    cli("calibrate", "-c", "./shop")
    later = cli("search", "query.png", "-c", "./shop", "--json").document
    keys = set(found)
    assert keys == set(nothing) == set(both[0]) == set(similar) == set(later)
    assert {"query", "hits", "matches", "category", "best", "left_out", "notes", "error"} < keys
    assert [set(one["hits"][0]) for one in (found, later)] == [set(similar["hits"][0])] * 2
    assert (both[1]["query"], both[1]["hits"], both[1]["total"]) == ({"path": "broken.jpg"}, [], 0)
    assert both[1]["error"]["code"] == "not-an-image"
    assert nothing["notes"][0]["code"] == "no-such-field"


def test_a_row_has_the_same_columns_before_and_after_calibration(cli: Lookalike) -> None:
    before = cli("search", "query.png", "-c", "./shop").out.splitlines()
    cli("calibrate", "-c", "./shop")
    after = cli("search", "query.png", "-c", "./shop").out.splitlines()
    assert {line.count("\t") for line in (*before, *after)} == {4}


def test_a_file_of_the_collection_is_left_out_and_named(cli: Lookalike, made: Path) -> None:
    own = str(made / "pictures" / "0.png")
    said = cli("search", own, "-c", "./shop")
    assert said.err == "left out the query itself: 0.png (show it with --include-self)\n"
    assert cli("search", own, "-c", "./shop", "--json").document["left_out"] == ["0.png"]
    with_it = cli("search", own, "-c", "./shop", "--include-self", "--json").document
    assert (with_it["hits"][0]["id"], with_it["left_out"]) == ("0.png", [])


def test_an_export_of_nothing_says_why_in_its_report(cli: Lookalike) -> None:
    said = cli("export", "out.csv", "-c", "./shop", "--where", "colr=red", "--json")
    assert said.document["items"] == 0
    assert said.document["notes"] == ["no item has the field 'colr'; did you mean 'colour'?"]


def test_notes_are_json_on_stderr_where_stdout_is_an_array(cli: Lookalike) -> None:
    said = cli("facets", "colr", "-c", "./shop", "--json")
    assert said.document == []
    (note,) = json.loads(said.err)["notes"]
    assert (note["code"], note["did_you_mean"]) == ("no-such-field", "colour")


def test_the_collection_of_a_folder_without_images_is_not_kept(cli: Lookalike, place: Path) -> None:
    report = cli("index", "documents", "-c", "./new", "--encoder", "{card}", "--json").document
    assert report["passed"] == {".pdf": 2, ".txt": 1, "without": 1, "hidden": 1}
    assert not (place / "new").exists()


def test_copies_of_images_that_are_away_are_unknown_and_not_none(
    cli: Lookalike, place: Path
) -> None:
    with Image.open(painted(place / "away" / "own.png", 50)) as image:
        image.resize((60, 45)).save(place / "away" / "smaller.png")
    cli("index", "away", "-c", "./lost", "--encoder", "{card}")
    shutil.rmtree(place / "away")
    said = cli("duplicates", "-c", "./lost")
    assert (said.code, "could not be read" in said.err) == (1, True)
    assert cli("duplicates", "-c", "./lost", "--exact-only").code == 0


def test_what_was_passed_over_is_named_beside_what_could_not_be_read(
    cli: Lookalike, place: Path
) -> None:
    (place / "documents" / "page.jpg").write_text("<html>404</html>")
    report = cli("index", "documents", "-c", "./new", "--encoder", "{card}", "--json").document
    assert [one["path"] for one in report["skipped"]] == ["page.jpg"]
    assert report["passed"][".pdf"] == 2
    painted(place / "documents" / "1.png", 1)
    report = cli("index", "documents", "-c", "./new", "--json").document
    assert (report["indexed"], report["passed"], report["notes"]) == (1, {}, [])


# --- what failed is shown afterwards -------------------------------------------------------------


def test_what_failed_without_a_file_is_listed_by_info_until_it_works(
    cli: Lookalike, place: Path
) -> None:
    table = place / "pictures" / "table.csv"
    table.write_text("id,file,label\na,0.png,mug\nb,gone.png,mug\nc,,mug\n")

    def skipped() -> dict[str, str]:
        found = cli("info", "--skipped", "-c", "./new", "--json").document
        return {one["path"]: one["reason"] for one in found}

    cli("index", "pictures/table.csv", "-c", "./new", "--encoder", "{card}")
    assert any("gone.png" in path for path in skipped())
    assert any(path.startswith("table.csv:4") for path in skipped())
    assert sum(cli("info", "-c", "./new", "--json").document["skipped"].values()) == len(skipped())
    table.write_text("id,file,label\na,0.png,mug\nb,1.png,mug\n")
    cli("index", "pictures/table.csv", "-c", "./new")
    assert skipped() == {}


def test_bytes_that_are_no_image_are_listed_by_their_id_until_they_are(
    place: Path, card: Path
) -> None:
    with lookalike.open(place / "new", create=True, encoder=card) as shop:
        report = shop.index([lookalike.Entry(id="a", image=b"no image")])
        assert report.nothing_usable
        assert [one.path for one in shop.skipped()] == ["a"]
        shop.add("a", (place / "query.png").read_bytes())
        assert shop.skipped() == []


def test_failed_downloads_are_named_by_download_and_by_index(cli: Lookalike, place: Path) -> None:
    words = ["download", "refused.csv", "--to", "new", "--attempts", "1", "--allow-private"]
    report = cli(*words, "--json")
    assert report.code == 1
    assert {one["id"] for one in report.document["failures"]} == {"a", "b"}
    again = cli(*words, "--json")
    assert (again.code, again.document["failed_before"]) == (1, 2)
    indexed = cli("index", "new", "-c", "./fetched", "--encoder", "{card}")
    assert indexed.code == 1
    assert "none of the 2 images of new could be downloaded" in indexed.err
    assert not (place / "fetched").exists()


# --- the parts -----------------------------------------------------------------------------------


def test_a_word_that_differs_by_case_is_the_closest() -> None:
    assert closest("COLOUR", ["colours", "colour"]) == ["colour"]
    assert did_you_mean("colr", ["colour", "size"]) == "; did you mean 'colour'?"
    assert did_you_mean("xyz", ["colour", "size"]) == ""
    assert closest("a", []) == []
    assert closest("colr", ["gender", "baseColour"]) == ["baseColour"]
    assert closest("sesn", ["season", "articleType"]) == ["season"]


def test_what_was_passed_over_is_counted_by_kind_most_first() -> None:
    assert (
        describe_passed({"links": 1, ".cr2": 1200})
        == "1,200 .cr2, 1 link (--follow-links takes it)"
    )
    many = {f".{number}": number for number in range(1, 10)}
    assert describe_passed(many).endswith(", 6 others")


def test_a_label_is_suggested_by_its_words_before_its_letters() -> None:
    assert closest("Shoes", ["Shorts", "Casual Shoes"]) == ["Casual Shoes"]
    assert closest("shoe", ["Sports Shoes", "Casual Running Shoes"]) == ["Sports Shoes"]
    assert closest("size", ["seize", "spec.size"]) == ["spec.size"]
    assert closest("Shoe", ["Casual Shoes", "Shoes", "shoe"]) == ["shoe"]
