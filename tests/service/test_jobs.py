"""Indexing jobs: begun, followed by events, cancelled, ended with the service."""

import json
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

import lookalike
from hostile import photo, saved
from live import Live, problem, serving
from lookalike.service.settings import ServiceSettings


def events(answer: httpx.Response) -> Iterator[tuple[str, dict[str, Any]]]:
    """(name, document) of each server-sent event."""
    name = ""
    for line in answer.iter_lines():
        if line.startswith("event: "):
            name = line.removeprefix("event: ")
        elif line.startswith("data: "):
            yield name, json.loads(line.removeprefix("data: "))


def followed(live: Live, address: str) -> list[tuple[str, dict[str, Any]]]:
    with live.client.stream("GET", f"{address}/events") as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        return list(events(answer))


@pytest.fixture
def folder(tmp_path: Path, paint: Callable[[Path, int], Path]) -> Path:
    """A folder of 200 pictures, of which nothing is indexed yet."""
    folder = tmp_path / "many"
    for number in range(200):
        paint(folder / f"{number}.png", number)
    return folder


@pytest.fixture
def watched(tmp_path: Path, card: Path, folder: Path) -> Iterator[Live]:
    """A server over a collection that knows ``folder``, but has only its first picture."""
    others = sorted(folder.iterdir())[1:]
    aside = tmp_path / "aside"
    aside.mkdir()
    for one in others:
        one.rename(aside / one.name)
    with lookalike.open(
        tmp_path / "home" / "collections" / "shop", encoder=card, create=True
    ) as shop:
        shop.index(folder)
    for one in others:
        shutil.move(aside / one.name, one)
    with serving(tmp_path / "home") as live:
        yield live


def test_a_known_folder_is_indexed_again_and_followed(watched: Live) -> None:
    begun = watched.client.post("/v1/jobs", json={"root": ""})
    assert begun.status_code == 202
    assert begun.json()["kind"] == "folder"
    address = begun.headers["location"]
    told = followed(watched, address)
    assert [name for name, _ in told[:-1]] == ["progress"] * (len(told) - 1)
    name, last = told[-1]
    assert (name, last["state"], last["report"]["indexed"]) == ("end", "done", 199)
    assert last["done"] == last["total"] == 199
    assert watched.client.get(address).json() == last
    assert watched.client.get("/v1/jobs").json() == {"jobs": [last]}
    assert watched.client.get("/v1/stats").json()["items"] == 200
    assert followed(watched, address) == [("end", last)]


def test_no_request_names_a_folder_of_this_machine(watched: Live, folder: Path) -> None:
    for root in (str(folder), "/", "..", "uploads"):
        problem(watched.client.post("/v1/jobs", json={"root": root}), 404, "no-such-root")
    refused = watched.client.post("/v1/jobs", json={"root": "", "path": str(folder)})
    problem(refused, 422, "invalid-request")


def test_pictures_that_are_sent_become_items_in_a_job(watched: Live) -> None:
    files = [("p", (f"new/{seed}.png", saved(photo(seed=seed), "PNG"))) for seed in range(5)]
    files.append(("p", ("notes.txt", b"just text")))
    begun = watched.client.post("/v1/jobs", files=files)
    name, last = followed(watched, begun.headers["location"])[-1]
    assert (name, last["kind"], last["state"]) == ("end", "images", "done")
    assert last["report"]["indexed"] == 5
    assert [one["path"] for one in last["report"]["skipped"]] == ["notes.txt"]
    assert watched.client.get("/v1/items/new%2F4.png/image").status_code == 200


def test_a_job_of_which_nothing_can_be_used_fails_and_is_remembered(watched: Live) -> None:
    files = [("p", (f"{name}.txt", b"just text")) for name in "ab"]
    begun = watched.client.post("/v1/jobs", files=files)
    last = followed(watched, begun.headers["location"])[-1][1]
    assert last["state"] == "failed"
    assert last["error"].startswith("no image could be used: a.txt: ")
    assert last["error"].endswith(", and 1 more")
    assert [one["path"] for one in last["report"]["skipped"]] == ["a.txt", "b.txt"]
    with watched.opened() as shop:
        assert [one.path for one in shop.skipped()] == ["a.txt", "b.txt"]
    skipped = watched.client.get("/v1/collections/shop").json()["skipped"]
    assert sum(skipped.values()) == 2


def test_a_cancelled_job_keeps_what_is_stored(watched: Live) -> None:
    first = watched.client.post("/v1/jobs", json={"root": ""}).headers["location"]
    second = watched.client.post("/v1/jobs", json={"root": ""}).headers["location"]
    assert watched.client.delete(second).json()["state"] in {"cancelled", "running"}
    watched.client.delete(first)
    assert followed(watched, first)[-1][1]["state"] == "cancelled"
    assert followed(watched, second)[-1][1]["state"] == "cancelled"
    with watched.opened() as shop:
        assert shop.check() == []
    again = watched.client.post("/v1/jobs", json={"root": ""}).headers["location"]
    assert followed(watched, again)[-1][1]["state"] == "done"
    assert watched.client.get("/v1/stats").json()["items"] == 200


def test_a_job_that_fails_says_why(watched: Live, folder: Path) -> None:
    shutil.rmtree(folder)
    begun = watched.client.post("/v1/jobs", json={"root": ""})
    last = followed(watched, begun.headers["location"])[-1][1]
    assert last["state"] == "failed"
    assert str(folder) in last["error"]
    assert watched.client.get("/v1/stats").json()["items"] == 1  # nothing was removed


def test_beyond_loopback_a_failed_job_names_no_folder(watched: Live, folder: Path) -> None:
    with serving(watched.home, settings=ServiceSettings(show_paths=False)) as live:
        shutil.rmtree(folder)
        begun = live.client.post("/v1/jobs", json={"root": ""})
        last = followed(live, begun.headers["location"])[-1][1]
    assert last["state"] == "failed"
    assert str(folder) not in last["error"]


def test_too_many_waiting_jobs_are_sent_away(watched: Live) -> None:
    answers = [watched.client.post("/v1/jobs", json={"root": ""}) for _ in range(30)]
    refused = [answer for answer in answers if answer.status_code != 202]
    for answer in refused:
        problem(answer, 503, "busy")
        assert int(answer.headers["retry-after"]) >= 1
    assert watched.client.get("/v1/items/0.png/similar").status_code == 200
    for answer in answers:
        if answer.status_code == 202:
            watched.client.delete(answer.headers["location"])


def test_an_unknown_job_is_a_problem(live: Live) -> None:
    for answer in (
        live.client.get("/v1/jobs/0123456789abcdef"),
        live.client.get("/v1/jobs/0123456789abcdef/events"),
        live.client.delete("/v1/jobs/0123456789abcdef"),
    ):
        problem(answer, 404, "no-such-job")
    problem(live.client.get("/v1/jobs/x"), 422, "invalid-request")


def test_the_end_of_the_service_ends_streams_and_jobs_in_good_order(watched: Live) -> None:
    address = watched.client.post("/v1/jobs", json={"root": ""}).headers["location"]
    told: list[tuple[str, dict[str, Any]]] = []
    follower = threading.Thread(target=lambda: told.extend(followed(watched, address)))
    follower.start()
    while not told and follower.is_alive() and not watched.app.state.service.jobs.of("shop"):
        time.sleep(0.01)
    watched.server.should_exit = True
    follower.join(30)
    assert not follower.is_alive()
    assert told
    with watched.opened() as shop:
        assert shop.check() == []
        assert len(shop) in range(1, 201)
