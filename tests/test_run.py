"""Runs: what is done, what is left, what a failure stops; and the command as a person meets it."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from subprocess import CompletedProcess

import httpx
import pytest

import lookalike
from lookalike.analysis import categories
from lookalike.core.progress import ProgressCallback, ignore_progress
from lookalike.core.records import IndexReport
from lookalike.runfile.execution import execute
from lookalike.runfile.known_state import read_state
from lookalike.runfile.plan import plan
from lookalike.runfile.reading import LoadedRunFile, read_run_file
from lookalike.runfile.step_results import StepOutcome
from lookalike.runfile.steps import Step

Paint = Callable[[Path, int], Path]


@contextmanager
def quiet(_: str) -> Iterator[ProgressCallback]:
    yield ignore_progress


@pytest.fixture
def folder(tmp_path: Path, paint: Paint) -> Path:
    """Two labels of four pictures each."""
    for number in range(8):
        paint(tmp_path / "photos" / ("even", "odd")[number % 2] / f"{number}.png", number)
    return tmp_path


@pytest.fixture
def load(folder: Path, card: Path) -> Callable[..., LoadedRunFile]:
    def load(text: str = "") -> LoadedRunFile:
        file = folder / "shop.yaml"
        file.write_text(
            f"collection: ./shop\nencoder: {card}\n"
            "index: {source: photos, format: class-folders}\n" + text
        )
        return read_run_file(file, {})

    return load


WHOLE = """\
declare: price
categories:
neighbours: {k: 3}
evaluate: {k: [1, 3], json: report.json}
export: {file: items.jsonl}
"""


def run(
    loaded: LoadedRunFile, *, only: Sequence[Step] = (), force: Sequence[Step] = ()
) -> dict[str, str]:
    return {one.step: one.status for one in outcomes(loaded, only=only, force=force)}


def outcomes(
    loaded: LoadedRunFile, *, only: Sequence[Step] = (), force: Sequence[Step] = ()
) -> list[StepOutcome]:
    return list(execute(loaded, only=only, force=force, shown=quiet))


def test_one_file_takes_pictures_to_categories_neighbours_report_and_table(
    load: Callable[..., LoadedRunFile], folder: Path
) -> None:
    loaded = load(WHOLE)
    assert set(run(loaded).values()) == {"done"}
    with lookalike.open(folder / "shop", create=False) as shop:
        assert (len(shop), shop.declared()) == (8, ["price"])
        assert shop.store.neighbours.state().k == 3
        learned = categories.get_classifier_info(shop)
        assert learned is not None
        assert learned.labels == ("even", "odd")
    assert "was used as a query" in (folder / "report.html").read_text()
    assert json.loads((folder / "report.json").read_text())["common"] == 8
    assert len((folder / "items.jsonl").read_text().splitlines()) == 8


def test_a_second_run_finds_everything_up_to_date(
    load: Callable[..., LoadedRunFile], folder: Path
) -> None:
    loaded = load(WHOLE)
    run(loaded)
    before = (folder / "report.html").stat().st_mtime_ns
    assert set(run(loaded).values()) == {"current"}
    assert (folder / "report.html").stat().st_mtime_ns == before


def test_a_new_picture_makes_all_but_the_declared_fields_anew(
    load: Callable[..., LoadedRunFile], folder: Path, paint: Paint
) -> None:
    loaded = load(WHOLE)
    run(loaded)
    paint(folder / "photos" / "even" / "20.png", 20)
    found = run(loaded)
    assert found.pop("declare") == "current"
    assert set(found.values()) == {"done"}


def test_another_label_concerns_what_looks_at_labels(
    load: Callable[..., LoadedRunFile], folder: Path
) -> None:
    loaded = load(WHOLE)
    run(loaded)
    with lookalike.open(folder / "shop", create=False) as shop:
        shop.label(["even/0.png"], "odd")
    steps: tuple[Step, ...] = ("categories", "neighbours", "evaluate", "export")
    assert run(loaded, only=steps) == {
        "categories": "done",
        "neighbours": "current",
        "evaluate": "done",
        "export": "done",
    }


def test_a_change_in_the_file_makes_that_step_anew(load: Callable[..., LoadedRunFile]) -> None:
    run(load(WHOLE))
    found = run(load(WHOLE.replace("k: 3}", "k: 4}")))
    assert [step for step, status in found.items() if status == "done"] == ["neighbours"]


def test_something_else_that_was_learned_is_learned_again(
    load: Callable[..., LoadedRunFile], folder: Path
) -> None:
    loaded = load(WHOLE)
    run(loaded)
    with lookalike.open(folder / "shop", create=False) as shop:
        categories.train(shop, seed=5)
    assert run(loaded, only=["categories"]) == {"categories": "done"}


def test_force_does_a_step_again_and_only_leaves_others(load: Callable[..., LoadedRunFile]) -> None:
    loaded = load(WHOLE)
    run(loaded)
    assert run(loaded, only=["neighbours", "evaluate"], force=["evaluate"]) == {
        "neighbours": "current",
        "evaluate": "done",
    }


@pytest.mark.parametrize("text", ["", "neighbours: {k: 3}\n"])
def test_a_table_that_is_there_follows_the_items_without_its_step(
    load: Callable[..., LoadedRunFile], folder: Path, paint: Paint, text: str
) -> None:
    run(load("neighbours: {k: 3}\n"))
    paint(folder / "photos" / "even" / "20.png", 20)
    run(load(text), only=["index"])
    with lookalike.open(folder / "shop", create=False) as shop:
        state = shop.store.neighbours.state()
    assert state.items == state.current == 9


def test_a_failing_step_stops_those_that_need_it_and_no_other(
    load: Callable[..., LoadedRunFile], folder: Path
) -> None:
    found = outcomes(load("categories: {by: season}\nneighbours: {k: 3}\n"))
    assert [(one.step, one.status) for one in found] == [
        ("index", "done"),
        ("categories", "failed"),
        ("neighbours", "done"),
    ]
    assert "at least 2 different labels" in found[1].why
    (folder / "photos").rename(folder / "gone")
    found = outcomes(load("neighbours: {k: 3}\n"))
    assert [one.status for one in found] == ["failed", "left"]
    assert found[0].why == f"{folder / 'photos'} does not exist (index.source)"


def test_a_missing_source_makes_no_collection(
    load: Callable[..., LoadedRunFile], folder: Path
) -> None:
    loaded = load()
    (folder / "photos").rename(folder / "gone")
    assert run(loaded) == {"index": "failed"}
    assert not (folder / "shop").exists()


def test_a_file_that_another_has_written_is_not_replaced_by_an_export(
    load: Callable[..., LoadedRunFile], folder: Path
) -> None:
    (folder / "items.jsonl").write_text("mine")
    loaded = load("export: {file: items.jsonl}\n")
    failed = outcomes(loaded)[-1]
    assert failed.why.endswith("already exists; --force export replaces it")
    assert (folder / "items.jsonl").read_text() == "mine"
    assert run(loaded, force=["export"])["export"] == "done"


def test_a_failure_names_keys_and_not_the_flags_of_commands(folder: Path, card: Path) -> None:
    (folder / "table.csv").write_text("what,name\n1,2\n")
    (folder / "shop.yaml").write_text(
        f"collection: ./shop\nencoder: {card}\nindex: {{source: table.csv}}\n"
    )
    (failed,) = outcomes(read_run_file(folder / "shop.yaml", {}))
    assert "name it with index.columns.file, or index.columns.url" in failed.why
    (folder / "shop.yaml").write_text(
        f"collection: ./shop\nencoder: {card}\n"
        "index: {source: photos, format: class-folders, root: photos}\n"
    )
    (failed,) = outcomes(read_run_file(folder / "shop.yaml", {}))
    assert failed.why.startswith("index.root is for imaterialist")


def test_a_report_that_cannot_be_written_is_one_message(load: Callable[..., LoadedRunFile]) -> None:
    failed = outcomes(load("evaluate: {report: no/such/folder.html}\n"))[1]
    assert failed.status == "failed"
    assert failed.why.startswith("the report cannot be written to")


def test_a_stop_ends_the_run_and_the_next_goes_on(load: Callable[..., LoadedRunFile]) -> None:
    loaded = load(WHOLE)
    asked: list[Step] = []

    def stop() -> bool:
        return bool(asked)

    found = []
    for one in execute(loaded, shown=quiet, stop=stop):
        found.append((one.step, one.status))
        asked.append(one.step)
    assert found == [("index", "done")]
    assert set(run(loaded).values()) == {"current", "done"}


def test_work_that_knows_no_stop_is_left_at_its_next_progress(
    load: Callable[..., LoadedRunFile],
) -> None:
    loaded = load(WHOLE)
    run(loaded, only=["index"])
    calls = iter([False])  # at the beginning of the step; from then on true
    (one,) = execute(loaded, only=["evaluate"], shown=quiet, stop=lambda: next(calls, True))
    assert one.status == "interrupted"
    assert run(loaded, only=["evaluate"]) == {"evaluate": "done"}


def test_to_plan_makes_nothing(load: Callable[..., LoadedRunFile], folder: Path) -> None:
    loaded = load(WHOLE)
    before = sorted(folder.rglob("*"))
    assert {one.status for one in plan(loaded.file, read_state(loaded))} == {"due"}
    assert sorted(folder.rglob("*")) == before


def test_what_a_run_kept_and_cannot_be_read_is_done_again(
    load: Callable[..., LoadedRunFile], folder: Path
) -> None:
    loaded = load(WHOLE)
    run(loaded)
    with lookalike.open(folder / "shop", create=False) as shop:
        shop.store.settings.set("run", {"evaluate": [1], "categories": {"options": 3}})
    assert run(loaded, only=["evaluate", "categories"]) == {
        "categories": "done",
        "evaluate": "done",
    }


class _Silent(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def site(tmp_path: Path, paint: Paint) -> Iterator[str]:
    """The address of three pictures."""
    root = tmp_path / "site"
    for number in range(3):
        paint(root / f"{number}.png", number)

    def handler(*given: object) -> _Silent:
        return _Silent(*given, directory=str(root))  # type: ignore[arg-type] # as the server calls it

    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_pictures_are_downloaded_and_then_indexed(tmp_path: Path, card: Path, site: str) -> None:
    rows = [f"{number},{site}/{number}.png,hat" for number in range(3)]
    (tmp_path / "hats.csv").write_text("\n".join(["id,image_url,category", *rows]) + "\n")
    (tmp_path / "hats.yaml").write_text(
        f"collection: ./hats\nencoder: {card}\n"
        "download: {catalogue: hats.csv, to: pictures, labels: hat, allow_private: true}\n"
        "index:\n"
    )
    loaded = read_run_file(tmp_path / "hats.yaml", {})
    found = outcomes(loaded)
    assert [one.status for one in found] == ["done", "done"]
    assert isinstance(found[1].result, IndexReport)
    assert found[1].result.indexed == 3
    assert [one.status for one in outcomes(loaded)] == ["current", "current"]


# -- the command -------------------------------------------------------------------------------


@pytest.fixture
def command(folder: Path) -> Callable[..., CompletedProcess[str]]:
    def command(*words: object, **environment: str) -> CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "lookalike", *map(str, words)],
            cwd=folder,
            env={**os.environ, "PYTHONWARNINGS": "error", "PYTHONUTF8": "1", **environment},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )

    return command


Command = Callable[..., CompletedProcess[str]]


def test_the_command_tells_each_step_and_a_summary(
    load: Callable[..., LoadedRunFile], command: Command
) -> None:
    load(WHOLE)
    first = command("run", "shop.yaml")
    assert first.returncode == 0, first.stderr
    assert [line.split()[0] for line in first.stdout.splitlines()[:-1]] == [
        *("index", "declare", "categories", "neighbours", "evaluate", "export")
    ]
    assert first.stdout.splitlines()[-1].strip().startswith("6 done, in ")
    assert "neighbours: no complete neighbour table exists" in first.stderr
    again = command("run", "shop.yaml")
    assert all("up to date" in line for line in again.stdout.splitlines())


def test_a_dry_run_does_nothing_and_says_why(
    load: Callable[..., LoadedRunFile], command: Command, folder: Path
) -> None:
    load(WHOLE)
    done = command("run", "shop.yaml", "--dry-run")
    assert done.returncode == 0
    assert done.stdout.splitlines()[0] == "index       would run: the collection does not exist yet"
    assert not (folder / "shop").exists()
    steps = json.loads(command("run", "shop.yaml", "--dry-run", "--json").stdout)["steps"]
    assert {one["status"] for one in steps} == {"due"}


def test_json_has_what_each_step_did(load: Callable[..., LoadedRunFile], command: Command) -> None:
    load(WHOLE)
    done = command("run", "shop.yaml", "--json", "--quiet")
    note = "no item has the field 'price'"  # which the run file declares
    assert (done.returncode, done.stderr) == (0, f"note: {note}\n")
    document = json.loads(done.stdout)
    assert {one["step"]: one["notes"] for one in document["steps"]}["declare"] == [note]
    assert document["interrupted"] is False
    results = {one["step"]: one["result"] for one in document["steps"]}
    assert results["index"]["indexed"] == 8
    assert results["neighbours"]["built"] == 8
    assert results["evaluate"]["evaluations"][0]["queries"] == 8
    assert results["export"]["items"] == 8


def test_a_failure_is_one_message_and_exit_code_1(
    load: Callable[..., LoadedRunFile], command: Command
) -> None:
    load("categories: {by: season}\n")
    done = command("run", "shop.yaml", "--quiet")
    assert done.returncode == 1
    assert done.stderr.startswith("error: categories: training needs at least 2 different labels")
    assert done.stderr.count("\n") == 1
    assert done.stdout.splitlines()[-1].strip().startswith("1 done, 1 failed, in")


def test_a_step_that_the_file_lacks_and_one_that_is_none_are_told_apart(
    load: Callable[..., LoadedRunFile], command: Command
) -> None:
    load()
    lacking = command("run", "shop.yaml", "--only", "export")
    assert lacking.returncode == 1
    assert lacking.stderr == "error: shop.yaml has no section 'export', only index\n"
    assert command("run", "shop.yaml", "--only", "exprt").returncode == 2


def test_the_notes_on_older_keys_come_first(command: Command, folder: Path) -> None:
    (folder / "old.yaml").write_text("dataset: none\nes.index: visual\ncollection: ./c\n")
    done = command("run", "old.yaml")
    assert done.stderr.startswith("note: old.yaml:1: dataset is now index.source")
    assert done.returncode == 1


def test_ctrl_c_ends_cleanly_and_the_next_run_goes_on(
    load: Callable[..., LoadedRunFile], command: Command, folder: Path, paint: Paint
) -> None:
    for number in range(1500):
        paint(folder / "photos" / "many" / f"{number}.png", number)
    load("neighbours: {k: 3}\n")
    with subprocess.Popen(
        [sys.executable, "-u", "-m", "lookalike", "run", "shop.yaml"],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        assert process.stderr.readline().startswith("index: the collection does not exist yet")
        process.send_signal(signal.SIGINT)
        out, errors = process.communicate(timeout=120)
    assert process.returncode == 130, errors
    assert "interrupted" in out
    assert "the next run continues from here" in errors
    assert command("run", "shop.yaml").returncode == 0


def test_when_all_is_done_the_collection_is_served_as_the_file_says(
    load: Callable[..., LoadedRunFile], folder: Path
) -> None:
    load("service: {port: 0, read_key: open sesame}\n")
    with subprocess.Popen(
        [sys.executable, "-u", "-m", "lookalike", "run", "shop.yaml", "--serve"],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        try:
            told = next(line for line in process.stderr if line.startswith("serving shop on "))
            asked = f"{told.split()[3]}/v1/items"
            assert httpx.get(asked).status_code == 401
            answer = httpx.get(asked, headers={"X-API-Key": "open sesame"}, timeout=60)
            assert answer.json()["total"] == 8
        finally:
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=60)
    assert process.returncode == 0


def test_a_run_that_fails_serves_nothing(
    load: Callable[..., LoadedRunFile], command: Command
) -> None:
    load("evaluate: {report: missing/r.html}\nservice: {port: 0}\n")
    done = command("run", "shop.yaml", "--serve")
    assert done.returncode == 1
    assert "serving" not in done.stderr


def test_a_section_service_is_no_step_and_names_what_serves(
    load: Callable[..., LoadedRunFile], command: Command
) -> None:
    load("service:\n")
    done = command("run", "shop.yaml")
    assert done.returncode == 0
    assert "service" not in done.stdout
    assert done.stderr.endswith("to serve it: lookalike run shop.yaml --serve\n")


def test_init_writes_a_file_that_runs_and_replaces_none(
    command: Command, folder: Path, card: Path
) -> None:
    first = command("init", "hats.yaml", "--source", "photos", "--format", "class-folders")
    assert first.returncode == 0
    assert first.stdout == "wrote hats.yaml; next: lookalike run hats.yaml --dry-run\n"
    file = folder / "hats.yaml"
    file.write_text(file.read_text() + f"encoder: {card}\n")
    assert command("run", "hats.yaml").returncode == 0
    again = command("init", "hats.yaml")
    assert (again.returncode, again.stderr.count("\n")) == (1, 1)
    assert "already exists; use --force to overwrite it" in again.stderr
    assert command("init", "hats.yaml", "--force").returncode == 0
    assert command("init", "--toml").stdout.startswith("wrote lookalike.toml")
    assert command("init", "hats.json").returncode == 2
    assert command("init", "new.yaml", "--source", "no/such").returncode == 1


def test_searching_loads_neither_pydantic_nor_yaml() -> None:
    code = (
        "import sys, lookalike.cli.search, lookalike.config, lookalike.collection\n"
        "print([name for name in ('pydantic', 'yaml') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
