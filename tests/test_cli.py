"""The command line, as a person and as a program meet it: real processes, real exit codes."""

import json
import os
import pty
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest
from PIL import Image

import networks

Run = Callable[..., CompletedProcess[str]]


def picture(path: Path, colour: tuple[int, int, int], size: tuple[int, int] = (64, 48)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).save(path, quality=95)
    return path


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Six reds and two blues, in two folders, with one file that is no picture."""
    folder = tmp_path / "photos"
    for number in range(6):
        picture(folder / "red" / f"{number}.png", (250 - 5 * number, 10 * number, 5))
    for number in range(2):
        picture(folder / "blue" / f"{number}.png", (5, 10 * number, 250))
    (folder / "page.jpg").write_text("<html>404</html>")
    return folder


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("PATH", "SYSTEMROOT") if name in os.environ}
    return {
        **kept,
        "LOOKALIKE_HOME": str(tmp_path / "home"),
        "LOOKALIKE_CACHE": str(tmp_path / "cache"),
        "HOME": str(tmp_path),
        "PYTHONWARNINGS": "error",
        "PYTHONUTF8": "1",
    }


@pytest.fixture
def run(environment: dict[str, str], tmp_path: Path) -> Run:
    """Runs `lookalike ARGUMENTS` in a process of its own."""

    def run(*arguments: object, stdin: bytes | None = None) -> CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, "-m", "lookalike", *map(str, arguments)],
            env=environment,
            cwd=tmp_path,
            input=stdin,
            capture_output=True,
            check=False,
            timeout=120,
        )
        return CompletedProcess(
            done.args, done.returncode, done.stdout.decode(), done.stderr.decode()
        )

    return run


@pytest.fixture
def card(tmp_path: Path) -> Path:
    return networks.tiny_card(tmp_path)


@pytest.fixture
def indexed(run: Run, photos: Path, card: Path) -> Run:
    done = run("index", photos, "--encoder", card)
    assert done.returncode == 0, done.stderr
    return run


def test_indexing_ends_with_a_summary_on_stdout(run: Run, photos: Path, card: Path) -> None:
    done = run("index", photos, "--encoder", card)
    assert done.returncode == 0
    assert done.stdout.startswith(
        "8 indexed, 0 unchanged, 0 removed, 1 skipped (1 not a readable image"
    )
    assert done.stdout.count("\n") == 1
    again = run("index", photos)
    assert again.stdout.startswith("0 indexed, 8 unchanged, 0 removed, 1 skipped")


def test_index_reports_as_json(run: Run, photos: Path, card: Path) -> None:
    report = json.loads(run("index", photos, "--encoder", card, "--json").stdout)
    assert (report["indexed"], report["items"], report["interrupted"]) == (8, 8, False)
    assert [one["path"] for one in report["skipped"]] == ["page.jpg"]
    assert "HTML" in report["skipped"][0]["reason"]


def test_strict_indexing_exits_with_3_when_a_picture_was_left_out(
    run: Run, photos: Path, card: Path
) -> None:
    assert run("index", photos, "--encoder", card, "--strict").returncode == 3
    (photos / "page.jpg").unlink()
    assert run("index", photos, "--strict").returncode == 0


def test_skipped_files_are_listed_on_request_one_a_line(run: Run, photos: Path, card: Path) -> None:
    (photos / "odd\nname.jpg").write_bytes(b"")
    done = run("index", photos, "--encoder", card, "--show-skipped")
    assert "skipped odd\\nname.jpg: the file is empty\n" in done.stderr
    assert "skipped page.jpg: not a readable image" in done.stderr


def test_a_missing_folder_is_one_clear_line_and_nothing_is_made(
    run: Run, tmp_path: Path, photos: Path
) -> None:
    done = run("index", tmp_path / "nowhere")
    assert done.returncode == 1
    assert "does not exist" in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "home").exists()
    done = run("index", photos / "page.jpg")
    assert done.returncode == 1
    assert "page.jpg contains no usable images: not a readable image" in done.stderr


def test_search_finds_the_like_and_leaves_out_the_query(indexed: Run, photos: Path) -> None:
    done = indexed("search", photos / "red" / "0.png", "-k", 3, "--json")
    assert done.returncode == 0
    assert done.stderr == ""
    answer = json.loads(done.stdout)
    assert [hit["id"] for hit in answer["hits"]] == ["red/1.png", "red/2.png", "red/3.png"]
    assert [hit["rank"] for hit in answer["hits"]] == [1, 2, 3]
    assert answer["hits"][0]["path"] == str(photos / "red" / "1.png")
    scores = [hit["score"] for hit in answer["hits"]]
    assert scores == sorted(scores, reverse=True)
    assert answer["query"] == {"path": str(photos / "red" / "0.png")}
    assert answer["total"] == 3
    assert answer["left_out"] == ["red/0.png"]
    assert answer["seconds"] > 0
    assert answer["collection"]["items"] == 8
    assert answer["collection"]["encoder"] == "tiny"
    with_itself = indexed("search", photos / "red" / "0.png", "--include-self", "--paths", "-k1")
    assert with_itself.stdout == f"{photos / 'red' / '0.png'}\n"


def test_search_reads_a_picture_from_stdin(indexed: Run, photos: Path) -> None:
    data = (photos / "blue" / "0.png").read_bytes()
    done = indexed("search", "-", "--paths", "-k", 1, stdin=data)
    assert done.stdout == f"{photos / 'blue' / '0.png'}\n"


def test_paths_survive_line_ends_with_null(run: Run, tmp_path: Path, card: Path) -> None:
    folder = tmp_path / "odd"
    names = ["a\nb.png", "[red]x[/red].png", "é 鞋.png"]
    for number, name in enumerate(names):
        picture(folder / name, (200, number, 0))
    query = picture(tmp_path / "q.png", (200, 100, 0))
    run("index", folder, "--encoder", card)
    done = run("search", query, "--paths", "-0")
    assert sorted(done.stdout.split("\0")[:-1]) == sorted(str(folder / name) for name in names)
    table = run("search", query).stdout
    assert "a\\nb.png" in table
    assert "[red]x[/red].png" in table
    assert "é 鞋.png" in table


def test_several_pictures_give_an_array_and_a_bad_one_does_not_stop_the_rest(
    indexed: Run, photos: Path
) -> None:
    done = indexed(
        "search", photos / "red/0.png", photos / "page.jpg", photos / "blue/0.png", "--json", "-k1"
    )
    assert done.returncode == 3
    assert done.stderr.count("page.jpg") == 1
    red, failed, blue = json.loads(done.stdout)
    assert [one["hits"][0]["id"] for one in (red, blue)] == ["red/1.png", "blue/1.png"]
    assert red["error"] is blue["error"] is None
    assert failed["query"] == {"path": str(photos / "page.jpg")}
    assert (failed["error"]["code"], failed["hits"]) == ("not-an-image", [])


def test_a_query_that_cannot_be_used_is_one_clear_line(indexed: Run, photos: Path) -> None:
    for query, words in (
        (photos / "page.jpg", "HTML"),
        (photos / "gone.jpg", "no such file"),
        (photos, "folder"),
        ("https://example.org/a.jpg", "URL"),
    ):
        done = indexed("search", query)
        assert done.returncode == 1
        assert words in done.stderr
        assert done.stderr.count("\n") == 1
        assert "Traceback" not in done.stderr


def test_nothing_found_exits_with_5_and_says_what_the_best_was(indexed: Run, photos: Path) -> None:
    done = indexed("search", photos / "red" / "0.png", "--min-score", "1")
    assert (done.returncode, done.stdout) == (5, "")
    assert done.stderr.startswith("nothing found: no result reaches min score 1.0")
    assert "the best is 0.9" in done.stderr
    empty = indexed("search", photos / "red" / "0.png", "--min-score", "1", "--json")
    document = json.loads(empty.stdout)
    assert (empty.returncode, document["hits"]) == (5, [])
    assert document["notes"][0]["code"] == "below-min-score"
    assert document["best"]["score"] == document["notes"][0]["best"]


def test_empty_standard_input_is_named(indexed: Run) -> None:
    done = indexed("search", "-", stdin=b"")
    assert done.returncode == 1
    assert done.stderr.startswith("error: standard input is empty")


def test_similar_needs_no_encoder(indexed: Run, tmp_path: Path) -> None:
    (tmp_path / "tiny.onnx").unlink()
    done = indexed("similar", "red/0.png", "--json", "-k", 2)
    assert [hit["id"] for hit in json.loads(done.stdout)["hits"]] == ["red/1.png", "red/2.png"]
    assert json.loads(done.stdout)["query"] == {"id": "red/0.png"}
    gone = indexed("similar", "nobody")
    assert (gone.returncode, gone.stderr) == (1, "error: there is no item 'nobody'\n")


def test_a_missing_network_is_said_with_its_path(
    indexed: Run, photos: Path, tmp_path: Path
) -> None:
    (tmp_path / "tiny.onnx").unlink()
    done = indexed("search", photos / "red" / "0.png")
    assert done.returncode == 1
    assert str(tmp_path / "tiny.onnx") in done.stderr


def test_another_encoder_is_refused_and_nothing_is_lost(
    indexed: Run, photos: Path, tmp_path: Path
) -> None:
    other = networks.tiny_card(tmp_path, name="other", seed=5)
    picture(photos / "new.png", (9, 9, 9))
    done = indexed("index", photos, "--encoder", other)
    assert done.returncode == 1
    assert "another collection" in done.stderr
    assert f"`lookalike migrate --encoder {other}`" in done.stderr
    assert "holds embeddings of the encoder tiny, not of other" in done.stderr
    named = indexed("search", photos / "new.png", "--encoder", other, "-c", "default")
    assert named.returncode == 1
    assert f"`lookalike migrate -c default --encoder {other}`" in named.stderr
    assert json.loads(indexed("info", "--json").stdout)["items"] == 8


def test_a_contact_sheet_is_written(indexed: Run, photos: Path, tmp_path: Path) -> None:
    sheet = tmp_path / "answers.png"
    done = indexed("search", photos / "red" / "0.png", "--sheet", sheet, "--json", "-k", 4)
    assert done.returncode == 0
    with Image.open(sheet) as image:
        assert image.width > 800
    assert json.loads(done.stdout)["total"] == 4
    wrong = indexed("search", photos / "red" / "0.png", "--sheet", tmp_path / "a.doc")
    assert wrong.returncode == 1
    assert "give a .png" in wrong.stderr
    nowhere = tmp_path / "nowhere" / "a.png"
    lost = indexed("search", photos / "red" / "0.png", "--sheet", nowhere)
    assert lost.returncode == 1
    assert lost.stderr.endswith(
        f"cannot write the sheet to {nowhere}: the folder {nowhere.parent} does not exist\n"
    )


def test_info_tells_what_there_is(indexed: Run, photos: Path) -> None:
    info = json.loads(indexed("info", "--json").stdout)
    assert info["items"] == 8
    assert (info["encoder"], info["dim"]) == ("tiny", 32)
    assert info["roots"] == [{"name": "", "path": str(photos)}]
    assert sum(info["skipped"].values()) == 1
    text = indexed("info").stdout
    for words in ("8", "tiny (32 values)", str(photos), "1 not a readable image"):
        assert words in text


def test_list_prints_ids_and_collections(indexed: Run) -> None:
    assert indexed("list", "-n", 3).stdout == "blue/0.png\nblue/1.png\nred/0.png\n"
    assert indexed("list", "-0", "-n", 1).stdout == "blue/0.png\0"
    assert [item["id"] for item in json.loads(indexed("list", "--json", "-n", 1).stdout)] == [
        "blue/0.png"
    ]
    assert indexed("list", "--collections").stdout == "default\n"


def test_remove_takes_items_roots_or_all_but_asks_first(indexed: Run, photos: Path) -> None:
    done = indexed("remove", "red/0.png", "nobody")
    assert (done.returncode, done.stdout) == (1, "1 removed\n")
    assert "'nobody'" in done.stderr
    assert (photos / "red" / "0.png").exists()
    refused = indexed("remove", "--all")
    assert refused.returncode == 2
    assert "--yes" in refused.stderr
    assert indexed("remove").returncode == 2
    assert indexed("remove", "--root", "", "-y").stdout == "7 removed\n"
    assert indexed("remove", "--all", "-y").returncode == 0
    assert indexed("info").returncode == 1


def test_collections_go_by_name_or_path(
    run: Run, photos: Path, card: Path, tmp_path: Path, environment: dict[str, str]
) -> None:
    run("index", photos / "red", "-c", "reds", "--encoder", card)
    run("index", photos / "blue", "-c", "./blues", "--encoder", card)
    assert (tmp_path / "home" / "collections" / "reds").is_dir()
    assert (tmp_path / "blues").is_dir()
    query = photos / "red" / "0.png"
    assert len(json.loads(run("search", query, "-c", "reds", "--json").stdout)["hits"]) == 5
    assert len(json.loads(run("search", query, "-c", "./blues", "--json").stdout)["hits"]) == 2
    environment["LOOKALIKE_COLLECTION"] = "reds"
    assert run("list", "-n", 1).stdout == "0.png\n"
    missing = run("search", query, "-c", "greens")
    assert missing.returncode == 1
    assert "existing collections: reds" in missing.stderr
    server = run("info", "-c", "elasticsearch://host:9200/shop")
    assert (server.returncode, "Traceback" in server.stderr) == (1, False)


def test_doctor_finds_and_repairs(indexed: Run, tmp_path: Path, photos: Path) -> None:
    well = indexed("doctor", "--json")
    assert (well.returncode, json.loads(well.stdout)["problems"]) == (0, [])
    import sqlite3  # noqa: PLC0415 - only to do harm

    db = sqlite3.connect(tmp_path / "home/collections/default/collection.sqlite")
    db.execute("DELETE FROM vectors WHERE seq = 1")
    db.commit()
    db.close()
    ill = indexed("doctor")
    assert ill.returncode == 1
    assert "problem: collection: 1 item has no vector (" in ill.stdout
    mended = indexed("doctor", "--repair", "--json")
    assert mended.returncode == 1  # not before it is encoded again
    told = json.loads(mended.stdout)
    assert "marked: `lookalike index` encodes them again" in told["problems"][0]
    assert "for the next `lookalike index`" in told["left"][0]
    again = indexed("index", photos)
    assert again.stdout.startswith("1 indexed, 7 unchanged, 0 removed")
    assert indexed("doctor").returncode == 0


def test_doctor_without_any_collection_is_well(run: Run) -> None:
    done = run("doctor")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "no problems found" in done.stdout


def test_a_wrong_word_is_met_with_the_near_one(run: Run) -> None:
    done = run("serach", "x.jpg")
    assert done.returncode == 2
    assert "did you mean 'search'?" in done.stderr


def test_completion_scripts_name_the_command(run: Run) -> None:
    for shell in ("bash", "zsh", "fish"):
        assert "_LOOKALIKE_COMPLETE" in run("completion", shell).stdout


def test_every_command_has_help_with_an_example(run: Run) -> None:
    for command in ("index", "search", "similar", "info", "list", "remove", "doctor"):
        text = run(command, "--help").stdout
        assert f"lookalike {command}" in text.split("\n\n", 1)[1]


@pytest.mark.usefixtures("indexed")
def test_a_closed_pipe_is_no_error(environment: dict[str, str]) -> None:
    done = subprocess.run(
        ["bash", "-c", f"{sys.executable} -m lookalike list | head -n 1"],
        env=environment,
        capture_output=True,
        check=False,
    )
    assert (done.stdout, done.stderr) == (b"blue/0.png\n", b"")


def test_ctrl_c_stops_after_the_batch_and_the_next_run_goes_on(
    environment: dict[str, str], run: Run, tmp_path: Path, card: Path
) -> None:
    folder = tmp_path / "many"
    first = picture(folder / "0.jpg", (1, 2, 3), (1500, 1000))
    content = first.read_bytes()
    for number in range(1, 1200):
        # trailing bytes after the end of the picture: another file, the same look
        (folder / f"{number}.jpg").write_bytes(content + number.to_bytes(4, "big"))
    process = subprocess.Popen(
        [sys.executable, "-m", "lookalike", "index", folder, "--encoder", card, "--json"],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    database = tmp_path / "home/collections/default/collection.sqlite"
    deadline = time.monotonic() + 60
    while not (database.exists() and _count(run) > 0) and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    report = json.loads(out)
    assert report["interrupted"]
    assert 0 < report["indexed"] < 1200
    assert b"the next run continues" in err
    rest = json.loads(run("index", folder, "--json").stdout)
    assert rest["indexed"] + report["indexed"] == 1200
    assert rest["items"] == 1200


def _count(run: Run) -> int:
    done = run("info", "--json")
    return int(json.loads(done.stdout)["items"]) if done.returncode == 0 else 0


def test_progress_is_a_bar_on_a_terminal(
    environment: dict[str, str], photos: Path, card: Path
) -> None:
    controller, terminal = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "lookalike", "index", photos, "--encoder", card],
        env={**environment, "TERM": "xterm-256color", "COLUMNS": "100"},
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
    )
    os.close(terminal)
    seen = b""
    while True:
        try:
            part = os.read(controller, 65536)
        except OSError:  # the terminal's other end has gone
            break
        if not part:
            break
        seen += part
    os.close(controller)
    assert process.wait(timeout=60) == 0
    assert b"8 indexed" in seen
    assert b"/s" in seen


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_bash_completes_commands(environment: dict[str, str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "lookalike"],
        env={
            **environment,
            "_LOOKALIKE_COMPLETE": "bash_complete",
            "COMP_WORDS": "lookalike sea",
            "COMP_CWORD": "1",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert "search" in done.stdout


def test_a_table_is_indexed_and_searched_by_what_it_says(
    run: Run, photos: Path, card: Path, tmp_path: Path
) -> None:
    table = tmp_path / "shop.csv"
    lines = [f"red/{number}.png,red,{number}" for number in range(6)]
    lines += [f"blue/{number}.png,blue,{number}" for number in range(2)]
    table.write_text("\n".join(["file,label,price", *lines, "gone.png,red,1"]) + "\n")
    done = run("index", table, "--root", photos, "--encoder", card)
    assert done.stdout.startswith("8 indexed")
    said = "read as table: file from column file, label from column label; other columns become"
    assert said in done.stderr
    query = photos / "red" / "0.png"
    where = "label=blue or price in (3, 4)"
    answer = json.loads(run("search", query, "--where", where, "--json").stdout)
    assert sorted(hit["id"] for hit in answer["hits"]) == [
        *("blue/0.png", "blue/1.png", "red/3.png", "red/4.png")
    ]
    assert answer["hits"][0]["metadata"] == {"price": 3}
    assert run("facets", "label").stdout == "6\tred\n2\tblue\n"
    assert json.loads(run("facets", "price", "--where", "label=blue", "--json").stdout) == [
        {"value": 0, "count": 1},
        {"value": 1, "count": 1},
    ]
    assert run("list", "--where", "price>=5").stdout == "red/5.png\n"
    assert run("label", "crimson", "red/0.png").stdout == "1 item labelled\n"
    assert run("list", "--where", "label=crimson").stdout == "red/0.png\n"


def test_a_filter_that_is_not_understood_points_at_the_place(indexed: Run, photos: Path) -> None:
    done = indexed("search", photos / "red" / "0.png", "--where", "label=mug and price is 3")
    assert done.returncode == 1
    lines = done.stderr.splitlines()
    assert lines[1].index("is 3") == lines[2].index("^")


def test_info_shows_labels_and_fields(run: Run, photos: Path, card: Path, tmp_path: Path) -> None:
    table = "file,label,price,tags\nred/0.png,mug,12,\nred/1.png,mug,x,a\nblue/0.png,,3.5,\n"
    (tmp_path / "shop.csv").write_text(table)
    assert run("index", "shop.csv", "--root", photos, "--encoder", card).returncode == 0
    text = run("info", "--fields").stdout
    assert "labels\tmug 2; 1 without a label\n" in text
    assert "price\tinteger, string, number\t100%\n" in text
    assert "tags\tstring\t33.3%\n" in text
    document = json.loads(run("info", "--fields", "--json").stdout)
    assert (document["labels"], document["unlabelled"]) == ({"mug": 2}, 1)
    assert document["fields"][1] == {"name": "tags", "types": {"string": 1}, "filled": 1}
    assert "fields" not in json.loads(run("info", "--json").stdout)


def test_info_lists_the_files_that_were_left_out(indexed: Run, photos: Path) -> None:
    (line,) = indexed("info", "--skipped").stdout.splitlines()
    assert line.startswith(f"{photos / 'page.jpg'}\t")
    (one,) = json.loads(indexed("info", "--skipped", "--json").stdout)
    assert one["path"] == str(photos / "page.jpg")
    assert "HTML" in one["reason"]


def test_export_writes_a_file_that_index_reads(indexed: Run, photos: Path, card: Path) -> None:
    done = indexed("export", "shop.csv", "--vectors", "npy")
    assert done.stdout == "8 items written to shop.csv (embeddings in shop.vectors.npy)\n"
    assert f"relative to {photos} (lookalike index --root)" in done.stderr
    again = indexed("index", "shop.csv", "--root", photos, "-c", "other", "--encoder", card)
    assert again.stdout.startswith("8 indexed"), again.stderr
    assert indexed("list").stdout == indexed("list", "-c", "other").stdout
    refused = indexed("export", "shop.csv")
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "--force" in refused.stderr
    report = json.loads(indexed("export", "shop.csv", "--force", "--json").stdout)
    assert (report["items"], report["path"], report["vectors"]) == (8, "shop.csv", None)


def test_export_to_stdout_prints_only_the_table(indexed: Run) -> None:
    done = indexed("export", "-", "--where", "id^=blue")
    assert [json.loads(line)["id"] for line in done.stdout.splitlines()] == [
        "blue/0.png",
        "blue/1.png",
    ]
    assert "2 items written to stdout" in done.stderr
    assert indexed("export", "-", "--format", "csv").stdout.startswith("id,file,label,group\r\n")


def test_an_export_that_cannot_be_is_wrong_usage(indexed: Run) -> None:
    for words in (["a.txt"], ["a.csv", "--vectors", "column"], ["-", "--format", "parquet"]):
        done = indexed("export", *words)
        assert (done.returncode, done.stdout) == (2, ""), done.stderr


def test_options_of_catalogues_are_refused_for_what_is_none(
    run: Run, photos: Path, tmp_path: Path
) -> None:
    done = run("index", photos, "--root", tmp_path)
    assert done.returncode == 1
    assert "is read as images alone" in done.stderr
    assert run("list", "--collections").stdout == ""


def test_fields_are_declared_and_listed(run: Run, photos: Path, card: Path) -> None:
    run("index", photos, "--encoder", card)
    assert run("declare", "price", "colour").stdout == "colour\nprice\n"
    assert run("declare", "--drop", "colour").stdout == "price\n"
    assert json.loads(run("declare", "--json").stdout) == ["price"]
    assert "always indexed" in run("declare", "label").stderr


def test_index_keeps_the_neighbour_table_in_line(run: Run, photos: Path, card: Path) -> None:
    run("index", photos, "--encoder", card)
    assert run("neighbours", "build", "-k", "3").returncode == 0
    (photos / "red" / "0.png").unlink()
    shutil.copy(photos / "red" / "1.png", photos / "red" / "copy.png")
    run("index", photos)
    state = json.loads(run("neighbours", "info", "--json").stdout)
    assert state["current"] == state["items"] == len(run("list").stdout.split())
    assert run("similar", "red/1.png", "-k", "1", "--paths").stdout.strip().endswith("copy.png")
