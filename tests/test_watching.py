"""Sources that are watched: what changes is indexed, what is unfinished waits, nothing is lost."""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import watchfiles
from click.testing import CliRunner

import lookalike
from conftest import painted
from live import serving
from lookalike.cli.index import index_command
from lookalike.encoders import OnnxEncoder
from lookalike.errors import SourceError
from lookalike.indexing.watching import WatchEvent, watch_sources

if TYPE_CHECKING:
    from lookalike.core.records import IndexReport

LONG = 30.0  # a busy machine is slow at times


def wait_for(condition: Callable[[], bool], what: str = "") -> None:
    end = time.monotonic() + LONG
    while not condition():
        if time.monotonic() > end:
            pytest.fail(f"did not happen: {what or condition}")
        time.sleep(0.05)


class Watch:
    """A watch on a thread of its own, and what it reported."""

    def __init__(self) -> None:
        self.events: list[WatchEvent] = []
        self.end = threading.Event()
        self.report: IndexReport | None = None
        self.error: BaseException | None = None

    @property
    def problems(self) -> list[str]:
        return [one.message for one in self.events if one.kind == "problem"]

    def total(self, name: str) -> int:
        return sum(getattr(one.report, name) for one in self.events if one.report is not None)


class Place:
    """A folder of images that is watched, and the collection of it, as others see it."""

    def __init__(self, tmp_path: Path, encoder: OnnxEncoder) -> None:
        self.folder = tmp_path / "images"
        self.address = str(tmp_path / "shop")
        self.encoder = encoder
        for number in range(5):
            path = self.paint(f"{number}.png", number)
            os.utime(path, (time.time() - 60, time.time() - 60))  # written long before the watch

    def paint(self, name: str, number: int) -> Path:
        return painted(self.folder / name, number)

    @contextmanager
    def watched(
        self, *sources: Path, settle: float = 0.3, poll: float | None = None
    ) -> Iterator[Watch]:
        watch = Watch()

        def run() -> None:
            try:
                with lookalike.open(self.address, encoder=self.encoder, create=True) as shop:
                    watch.report = watch_sources(
                        shop,
                        sources or [self.folder],
                        stop=watch.end.is_set,
                        settle=settle,
                        poll=poll,
                        on_event=watch.events.append,
                    )
            except BaseException as error:  # noqa: BLE001 - raised by the test's own thread
                watch.error = error

        thread = threading.Thread(target=run)
        thread.start()
        try:
            wait_for(lambda: bool(watch.events) or watch.error is not None, "the first pass")
            yield watch
        finally:
            watch.end.set()
            thread.join()
        if watch.error is not None:
            raise watch.error

    def ids(self) -> list[str]:
        with lookalike.open(self.address, encoder=self.encoder) as shop:
            return sorted(item.id for item in shop)

    def has(self, *ids: str) -> Callable[[], bool]:
        return lambda: self.ids() == sorted(ids)


@pytest.fixture
def place(tmp_path: Path, tiny: OnnxEncoder) -> Place:
    return Place(tmp_path, tiny)


FIVE = [f"{number}.png" for number in range(5)]


def test_new_changed_and_deleted_files_are_followed(place: Place) -> None:
    with place.watched() as watch:
        assert place.ids() == FIVE
        place.paint("new.png", 20)
        wait_for(place.has(*FIVE, "new.png"))
        place.paint("0.png", 21)
        wait_for(lambda: watch.total("replaced") == 1)
        (place.folder / "1.png").unlink()
        wait_for(place.has("0.png", "2.png", "3.png", "4.png", "new.png"))
    assert watch.report is not None
    assert (watch.report.indexed, watch.report.removed) == (7, 1)
    assert (watch.report.unchanged, watch.report.interrupted) == (5, False)


def test_a_renamed_file_is_moved_and_keeps_its_words(place: Place) -> None:
    with place.watched() as watch:
        with lookalike.open(place.address, encoder=place.encoder) as shop:
            shop.label(["2.png"], "mug")
        (place.folder / "deep").mkdir()
        (place.folder / "2.png").rename(place.folder / "deep" / "two.png")
        wait_for(lambda: "deep/two.png" in place.ids())
        wait_for(lambda: "2.png" not in place.ids())
    with lookalike.open(place.address, encoder=place.encoder) as shop:
        assert shop.get("deep/two.png").label == "mug"
    assert watch.report is not None
    assert watch.report.indexed == 5


def test_folders_that_come_and_go_are_followed(place: Place) -> None:
    aside = place.folder.parent / "aside"
    for number in range(3):
        painted(aside / "inner" / f"{number}.png", 40 + number)
    more = [f"aside/inner/{number}.png" for number in range(3)]
    with place.watched():
        aside.rename(place.folder / "aside")
        wait_for(place.has(*FIVE, *more))
        place.paint("aside/inner/late.png", 50)
        wait_for(place.has(*FIVE, *more, "aside/inner/late.png"))
        (place.folder / "aside" / "inner" / "late.png").unlink()
        shutil.rmtree(place.folder / "aside" / "inner")  # more than three and one in ten
        wait_for(lambda: not (place.folder / "aside" / "inner").exists())
        (place.folder / "aside").rmdir()
        place.paint("5.png", 5)
        wait_for(lambda: "5.png" in place.ids())


def test_a_file_is_read_when_nothing_more_is_written(place: Place, tmp_path: Path) -> None:
    data = painted(tmp_path / "late.png", 60).read_bytes()
    with place.watched(settle=1.0) as watch:
        with (place.folder / "late.png").open("wb", buffering=0) as file:
            for start in range(0, len(data), len(data) // 8 + 1):
                file.write(data[start : start + len(data) // 8 + 1])
                time.sleep(0.3)
        wait_for(place.has(*FIVE, "late.png"))
    assert watch.report is not None
    assert (watch.report.skipped, watch.report.replaced) == ((), 0)


def test_a_burst_of_files_is_indexed_in_a_few_passes(place: Place) -> None:
    with place.watched() as watch:
        for number in range(150):
            place.paint(f"burst/{number}.png", 100 + number)
        wait_for(lambda: len(place.ids()) == 155)
    assert watch.total("indexed") + watch.total("reused") == 155
    assert len(watch.events) < 30


def test_a_source_that_vanishes_keeps_its_items_until_it_is_back(place: Place) -> None:
    away = place.folder.with_name("away")
    with place.watched() as watch:
        place.folder.rename(away)
        wait_for(lambda: bool(watch.problems))
        assert "does not exist" in watch.problems[0]
        assert place.ids() == FIVE
        away.rename(place.folder)
        place.paint("back.png", 70)
        wait_for(place.has(*FIVE, "back.png"))
        place.paint("again.png", 71)
        wait_for(place.has(*FIVE, "back.png", "again.png"))
        assert len(watch.problems) <= 3  # it may vanish while it is read, but no look repeats it
    assert watch.report is not None
    assert watch.report.removed == 0


def test_another_folder_in_its_place_is_listened_to(place: Place, tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(place.folder, other)
    with place.watched():
        place.folder.rename(tmp_path / "old")
        other.rename(place.folder)
        time.sleep(1.2)
        place.paint("in-the-other.png", 72)
        wait_for(place.has(*FIVE, "in-the-other.png"))


def test_too_many_deletions_are_held_back_and_reported_once(place: Place) -> None:
    with place.watched() as watch:
        for name in FIVE[:4]:
            (place.folder / name).unlink()
        wait_for(lambda: watch.total("held_back") > 0)
        place.paint("more.png", 73)
        wait_for(lambda: "more.png" in place.ids())
        assert set(FIVE) < set(place.ids())
    assert watch.report is not None
    assert watch.report.held_back == 4
    assert "no longer there" in watch.report.problems[0]


def test_several_sources_are_watched_a_catalogue_too(place: Place, tmp_path: Path) -> None:
    for number in range(3):
        painted(tmp_path / "listed" / f"l{number}.png", 80 + number)
    table = tmp_path / "listed" / "table.csv"
    table.write_text("file,label\nl0.png,a\nl1.png,b\n", encoding="utf-8")
    with place.watched(place.folder, table) as watch:
        wait_for(lambda: len(place.ids()) == 7)
        table.write_text("file,label\nl0.png,a\nl1.png,c\nl2.png,d\n", encoding="utf-8")
        wait_for(lambda: len(place.ids()) == 8)
        place.paint("new.png", 81)
        wait_for(lambda: len(place.ids()) == 9)
    assert watch.total("relabelled") == 1
    assert {one.source for one in watch.events} == {str(place.folder), str(table)}


def test_without_events_a_source_is_polled(place: Place) -> None:
    with place.watched(poll=0.3):
        place.paint("polled.png", 82)
        wait_for(place.has(*FIVE, "polled.png"))


def test_where_nothing_can_be_heard_it_is_said_and_polled(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError("OS file watch limit reached")

    monkeypatch.setattr(watchfiles, "watch", refuse)
    monkeypatch.setattr("lookalike.indexing.watching._DEAF_S", 0.3)
    with place.watched() as watch:
        place.paint("unheard.png", 83)
        wait_for(place.has(*FIVE, "unheard.png"))
        assert len(watch.problems) == 1
        assert "OS file watch limit reached" in watch.problems[0]


def test_a_collection_inside_its_source_does_not_set_off_passes(place: Place) -> None:
    place.address = str(place.folder / "collection")
    before = threading.active_count()
    with place.watched() as watch:
        place.paint("new.png", 84)
        wait_for(place.has(*FIVE, "new.png"))
        time.sleep(1.5)
        assert len(watch.events) <= 3
    assert threading.active_count() == before


def test_a_source_that_is_not_there_at_first_is_an_error(place: Place, tmp_path: Path) -> None:
    with (
        pytest.raises(SourceError, match="does not exist"),
        place.watched(tmp_path / "nowhere"),
    ):
        pass


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_the_command_ends_cleanly_beside_a_service(
    place: Place, card: Path, tmp_path: Path, how: signal.Signals
) -> None:
    home = tmp_path / "home"
    place.address = str(home / "collections" / "shop")
    with lookalike.open(place.address, encoder=card, create=True) as shop:
        shop.index(place.folder)
    words = ["index", str(place.folder), "-c", place.address, "--watch", "--settle", "0.3"]
    with serving(home) as live:
        process = subprocess.Popen(
            [sys.executable, "-m", "lookalike", *words, "--json"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        first = json.loads(process.stdout.readline())
        assert (first["event"], first["unchanged"]) == ("indexed", 5)
        path = place.paint("new.png", 90)
        second = json.loads(process.stdout.readline())
        assert (second["event"], second["indexed"]) == ("indexed", 1)
        found = live.client.post(
            "/v1/search", files={"image": path.read_bytes()}, params={"k": 1}
        ).json()
        assert found["hits"][0]["id"] == "new.png"
        process.send_signal(how)
        rest, said = process.communicate(timeout=LONG)
    assert process.returncode == 0, said
    last = json.loads(rest.splitlines()[-1])
    assert (last["event"], last["indexed"], last["unchanged"]) == ("ended", 1, 5)
    assert "stopping after the current batch" in said


@pytest.mark.parametrize(
    "words", [["--watch", "--verify"], ["--poll", "3"], ["--watch", "--shard", "1/2"]]
)
def test_options_that_contradict_each_other_are_refused(place: Place, words: list[str]) -> None:
    ran = CliRunner().invoke(index_command, [str(place.folder), "-c", place.address, *words])
    assert ran.exit_code == 2
    assert not Path(place.address).exists()


def test_a_service_watches_a_folder_and_other_jobs_run_meanwhile(
    place: Place, card: Path, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    place.address = str(home / "collections" / "shop")
    with lookalike.open(place.address, encoder=card, create=True) as shop:
        shop.index(place.folder)
    with serving(home) as live, lookalike.connect(live.address) as client:
        wanted = {"root": "", "watch": True, "settle": 0.3}
        begun = live.client.post("/v1/jobs", json=wanted)
        assert (begun.status_code, begun.json()["kind"]) == (202, "watch")
        place.paint("new.png", 92)
        wait_for(lambda: "new.png" in client)
        assert client.reindex().unchanged == 6
        again = live.client.post("/v1/jobs", json=wanted)
        assert (again.status_code, again.json()["code"]) == (409, "already-watched")
        both = live.client.post("/v1/jobs", json={**wanted, "verify": True})
        assert both.status_code == 422
        address = begun.headers["location"]
        live.client.delete(address)
        wait_for(lambda: live.client.get(address).json()["state"] == "cancelled")
        job = live.client.get(address).json()
        assert (job["error"], job["report"]["indexed"]) == (None, 1)
        place.paint("later.png", 93)
        report = client.reindex(watch=True, settle=0.3, stop=lambda: len(client) == 7)
        assert report.indexed == 1
        assert live.client.post("/v1/jobs", json=wanted).status_code == 202  # ends with the service


def test_a_run_file_runs_again_when_its_source_changes(
    place: Place, card: Path, tmp_path: Path
) -> None:
    file = tmp_path / "shop.yaml"
    file.write_text(
        f"collection: ./shop\nencoder: {card}\n"
        "index: {source: images, watch: true, settle: 0.3}\n"
        "export: {file: items.jsonl}\n",
        encoding="utf-8",
    )
    with subprocess.Popen(
        [sys.executable, "-m", "lookalike", "run", str(file), "-q"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        wait_for((tmp_path / "items.jsonl").exists)
        place.paint("new.png", 94)
        wait_for(lambda: len((tmp_path / "items.jsonl").read_text().splitlines()) == 6)
        process.send_signal(signal.SIGTERM)
        said, errors = process.communicate(timeout=LONG)
    assert process.returncode == 0, errors
    assert "1 indexed, 5 unchanged" in said
    assert said.endswith("stopped watching\n")
