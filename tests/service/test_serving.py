"""`lookalike serve` as a process: begun, asked by many, ended in good order, or killed."""

import contextlib
import os
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from inspect import iscoroutinefunction
from pathlib import Path
from typing import get_args
from urllib.parse import urlsplit

import httpx
import pytest
from prometheus_client.openmetrics.parser import (
    text_string_to_metric_families as openmetrics_families,
)
from prometheus_client.parser import text_string_to_metric_families as text_families

import lookalike
from hostile import photo, saved
from live import Live, ids, problem, process, serving
from lookalike.service.keys import Reads, Writes
from lookalike.service.metrics import Metrics
from lookalike.service.run import bind_socket
from lookalike.service.settings import ServiceSettings
from lookalike.service.state import ItemId, Served, State

PNG = saved(photo(seed=1), "PNG")


def open_requests(address: str) -> float:
    text = httpx.get(f"{address}/metrics").text
    return float(re.findall(r"^lookalike_requests_open (\S+)$", text, re.MULTILINE)[0])


# -- health and metrics ----------------------------------------------------------------------


def test_health_says_whether_it_lives_and_can_search(own: Live) -> None:
    assert own.client.get("/health/live").json() == {"status": "ok"}
    assert own.client.get("/health/ready").json()["status"] == "ok"
    (own.home / "collections" / "shop" / "collection.sqlite").write_bytes(b"damaged")
    own.app.state.service.collections._open.clear()
    own.app.state.service.availability._checks.clear()  # what is told may be a second old
    told = problem(own.client.get("/health/ready"), 503, "not-ready")
    assert told["collections"] == {"ready": 0, "away": 1}
    assert own.client.get("/health/live").status_code == 200


def test_a_service_is_ready_by_any_of_its_collections(home: Path) -> None:
    for name in ("first", "second"):
        shutil.copytree(home / "collections" / "shop", home / "collections" / name)
    shutil.rmtree(home / "collections" / "shop")
    with serving(home) as live:  # none is the default, and none was requested
        assert live.client.get("/health/ready").json()["collections"] == {"ready": 1, "away": 0}
    for name in ("first", "second"):
        database = home / "collections" / name / "collection.sqlite"
        with contextlib.closing(sqlite3.connect(database)) as newer:
            newer.execute("PRAGMA user_version = 9999")
    with serving(home) as live:
        away = problem(live.client.get("/health/ready"), 503, "not-ready")
        assert away["collections"]["ready"] == 0
    shutil.rmtree(home / "collections")
    with serving(home) as live:  # images can be sent to it
        assert live.client.get("/health/ready").json()["collections"] == {"ready": 0, "away": 0}


def test_metrics_count_by_route_and_never_by_what_was_sent(own: Live) -> None:
    for name in ("0.png", "mugs%2F1.png", "nobody"):
        own.client.get(f"/v1/items/{name}/similar")
        own.client.get(f"/v1/collections/shop/items/{name}/similar")
    own.client.post("/v1/search", files={"p": PNG})
    own.client.get("/v1/secret-words")
    text = own.client.get("/metrics").text

    def value(name: str) -> float:
        (found,) = re.findall(rf"^{re.escape(name)} (\S+)$", text, re.MULTILINE)
        return float(found)

    route = 'route="/items/{id:path}/similar"'
    assert value(f'lookalike_requests_total{{method="GET",{route},status="200"}}') == 4
    assert value(f'lookalike_requests_total{{method="GET",{route},status="404"}}') == 2
    assert value(f"lookalike_request_seconds_count{{{route}}}") == 6
    assert value("lookalike_encode_batch_images_sum") == 1
    assert value('lookalike_items{collection="shop"}') == 13
    assert value("lookalike_encode_waiting") == 0
    assert value("lookalike_requests_open") == 1  # this one
    assert "secret" not in text
    assert "mugs" not in text


def test_what_requests_share_is_found_without_a_thread() -> None:
    """FastAPI asks for a dependency that is a plain function on a thread, however small it is."""
    shared = [get_args(one)[1] for one in (State, Served, ItemId)]
    for one in (*shared, Reads, Writes):
        assert iscoroutinefunction(one.dependency), one


def test_pictures_in_work_are_those_of_all_collections() -> None:
    metrics = Metrics()
    for change in (1, 1, 1, -1):  # of one, another, and the first again
        metrics.waiting(change)
    text, _ = metrics.document([])
    assert "\nlookalike_encode_waiting 2.0\n" in text.decode()


@pytest.mark.parametrize("accept", ["", "application/openmetrics-text; version=1.0.0"])
def test_metrics_are_as_prometheus_reads_them(own: Live, accept: str) -> None:
    for path in ("/v1/items/0.png/similar", "/", "/style.css", "/nothing", "/v1/nothing"):
        own.client.get(path)
    answer = own.client.get("/metrics", headers={"Accept": accept})
    is_open = accept != ""
    assert answer.headers["content-type"].startswith(accept or "text/plain; version=")
    parse = openmetrics_families if is_open else text_families
    families = {one.name: one for one in parse(answer.text)}
    ours = {name: one for name, one in families.items() if name.startswith("lookalike_")}
    assert len(ours) >= 9
    for name, family in ours.items():
        assert family.documentation.endswith("."), name
        assert family.type in {"counter", "gauge", "histogram", "info"}, name
        assert re.fullmatch(r"[a-z][a-z_]*", name)
    build = families["lookalike_build"] if is_open else families["lookalike_build_info"]
    assert build.samples[0].labels == {"version": lookalike.__version__}
    routes = {one.labels["route"] for one in families["lookalike_requests"].samples}
    assert routes == {"/items/{id:path}/similar", "page", "none"}


def test_a_search_does_not_wait_behind_a_question_about_every_item(own: Live) -> None:
    opened = own.app.state.service.collections.get("shop")
    with opened.aside.store.database.lock:  # as long as such a question takes
        assert ids(own.client.get("/v1/items/0.png/similar?k=1")) == ["copy.png"]
        assert own.client.post("/v1/search", files={"p": PNG}).status_code == 200
        with pytest.raises(httpx.ReadTimeout):
            own.client.get("/v1/facets?field=label", timeout=0.5)
    assert own.client.get("/v1/facets?field=label").status_code == 200


# -- back-pressure ---------------------------------------------------------------------------


def test_more_than_can_be_borne_is_told_to_come_again(home: Path) -> None:
    with serving(home, settings=ServiceSettings(max_waiting=1)) as live:
        answers: list[httpx.Response] = []
        data = saved(photo(1500, 1000), "PNG")

        def ask() -> None:
            answers.append(httpx.post(f"{live.address}/v1/search", files={"p": data}, timeout=60))

        threads = [threading.Thread(target=ask) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        done = [answer for answer in answers if answer.status_code == 200]
        assert done
        for answer in answers:
            if answer not in done:
                problem(answer, 503, "busy")
                assert int(answer.headers["retry-after"]) >= 1
        assert live.client.post("/v1/search", files={"p": PNG}).status_code == 200


def test_answers_are_sent_at_once() -> None:
    """Without this the system waits 40 ms for more before it sends the end of an answer."""
    with bind_socket(ServiceSettings(port=0)) as one:
        assert one.proto == socket.IPPROTO_TCP


# -- the process -----------------------------------------------------------------------------


def test_serve_answers_and_ends_when_told(home: Path) -> None:
    with process(home) as (address, one):
        assert ids(httpx.get(f"{address}/v1/items/0.png/similar?k=1")) == ["copy.png"]
        assert "_created" not in httpx.get(f"{address}/metrics").text
        assert one.end(signal.SIGTERM) == 0
    assert "serving shop on http://127.0.0.1:" in one.lines[0]
    assert len(one.lines) == 1


def test_settings_come_from_the_environment_as_well(home: Path) -> None:
    said = {"LOOKALIKE_WRITE_KEY": "w", "LOOKALIKE_MAX_UPLOAD": "0.0001"}
    with process(home, "shop", "--host", "0.0.0.0", **said) as (address, one):  # noqa: S104
        access = httpx.get(f"{address}/v1/access").json()
        assert (access["read"], access["write"]) == (True, False)
        answer = httpx.post(f"{address}/v1/search", files={"p": PNG})
        assert problem(answer, 413, "too-large")["limit"] == 100
        assert httpx.get(f"{address}/v1/items/0.png").json()["path"] is None
        assert one.end(signal.SIGINT) == 0
    assert "warning: anyone who can reach 0.0.0.0 may read" in one.lines[0]


@pytest.mark.slow
def test_a_port_that_is_taken_and_an_unknown_collection_are_one_message(home: Path) -> None:
    with process(home) as (address, _):
        for arguments, words in (
            (["--port", str(urlsplit(address).port)], "cannot be used"),
            (["nowhere"], "there is no collection"),
            (["shop", str(home / "collections" / "shop")], "two collections are called shop"),
        ):
            done = subprocess.run(
                [sys.executable, "-m", "lookalike", "serve", "--port", "0", *arguments],
                env={**os.environ, "LOOKALIKE_HOME": str(home)},
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
            )
            assert done.returncode == 1
            assert done.stderr.startswith("error: ")
            assert words in done.stderr
            assert done.stderr.count("\n") == 1


@pytest.mark.slow
def test_what_was_taken_is_finished_before_the_end(home: Path) -> None:
    with process(home) as (address, one):
        answers: list[httpx.Response] = []
        data = [saved(photo(1500, 1000, seed=seed), "PNG") for seed in range(4)]

        def put(number: int) -> None:
            place = f"{address}/v1/items/new{number}"
            answers.append(httpx.put(place, files={"p": data[number]}, timeout=60))

        threads = [threading.Thread(target=put, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        while open_requests(address) < 5 and not answers:  # with the one that asks
            time.sleep(0.01)
        assert one.end(signal.SIGTERM) == 0
        for thread in threads:
            thread.join()
    assert [answer.status_code for answer in answers] == [201] * 4
    with lookalike.open(home / "collections" / "shop") as shop:
        assert {f"new{number}" for number in range(4)} <= {item.id for item in shop}


@pytest.mark.slow
def test_searches_that_were_taken_are_answered_and_no_more_are_taken(home: Path) -> None:
    with process(home) as (address, one):
        answers: list[httpx.Response] = []
        where = urlsplit(address)
        queries = [("p", saved(photo(1500, 1000, seed=seed), "PNG")) for seed in range(5)]

        def ask(path: str) -> None:
            answers.append(httpx.post(address + path, files=queries, timeout=60))

        paths = ("/v1/search", "/v1/search/batch", "/v1/search/batch")
        threads = [threading.Thread(target=ask, args=(path,)) for path in paths]
        for thread in threads:
            thread.start()
        while open_requests(address) < 1 + len(paths):  # with the one that asks
            assert not answers, "all was over before it could be ended"
        one.running.send_signal(signal.SIGTERM)
        while one.running.poll() is None:
            try:
                socket.create_connection((str(where.hostname), where.port or 0), 10).close()
            except ConnectionRefusedError:
                break
            time.sleep(0.05)
        assert one.end(signal.SIGTERM) == 0  # who asks twice has no less
        for thread in threads:
            thread.join()
    assert [answer.status_code for answer in answers] == [200] * len(paths)
    assert all(len(answer.json().get("results", queries)) == len(queries) for answer in answers)


@pytest.mark.slow
@pytest.mark.parametrize("path", ["/v1/items", "/v1/jobs"])
def test_killed_while_it_stores_many_it_has_each_whole_or_not_at_all(home: Path, path: str) -> None:
    sent = [("p", (f"n{seed}", saved(photo(400, 300, seed=seed), "PNG"))) for seed in range(90)]
    uploads = home / "collections" / "shop" / "uploads"
    with process(home) as (address, one):

        def put() -> None:
            with contextlib.suppress(httpx.TransportError):
                httpx.post(address + path, files=sent, timeout=60)

        writer = threading.Thread(target=put)
        writer.start()
        while len([*uploads.glob("*/*.png")]) < 60:
            time.sleep(0.001)
        one.running.kill()
        writer.join()
    for file in uploads.glob("*/*"):
        os.utime(file, (0, 0))  # what is left of a killed service goes when it is old
    with process(home) as (address, one):
        again = httpx.post(f"{address}/v1/items", files=sent, timeout=60).json()
        assert again["indexed"] + again["reused"] + again["unchanged"] == 90
        for name, (item, data) in sent:
            assert httpx.get(f"{address}/v1/items/{item}/image").content == data, name
        assert one.end(signal.SIGTERM) == 0
    with lookalike.open(home / "collections" / "shop") as shop:
        assert shop.check() == []
        assert len(shop) == 13 + 90
    assert len([*uploads.glob("*/*")]) == 90


@pytest.mark.slow
def test_killed_while_it_writes_it_is_consistent_when_it_comes_back(home: Path) -> None:
    with process(home) as (address, one):
        known: list[str] = []

        def put() -> None:
            for number in range(2000):
                try:
                    answer = httpx.put(f"{address}/v1/items/n{number}", files={"p": PNG})
                except httpx.TransportError:
                    return
                assert answer.status_code == 201
                known.append(f"n{number}")

        writer = threading.Thread(target=put)
        writer.start()
        while len(known) < 10:
            time.sleep(0.01)
        one.running.kill()
        writer.join()
    with process(home) as (address, one):
        for item in known:  # what was acknowledged is there, picture and all
            assert httpx.get(f"{address}/v1/items/{item}/image").content == PNG
        assert httpx.post(f"{address}/v1/search", files={"p": PNG}).status_code == 200
        assert httpx.put(f"{address}/v1/items/after", files={"p": PNG}).status_code == 201
        assert one.end(signal.SIGTERM) == 0
    with lookalike.open(home / "collections" / "shop") as shop:
        assert shop.check() == []
        assert len(shop) in {13 + len(known) + 1, 13 + len(known) + 2}


@pytest.mark.slow
def test_searches_go_on_while_another_process_indexes_and_removes(
    home: Path, tmp_path: Path, paint: Callable[[Path, int], Path]
) -> None:
    folder = tmp_path / "coming"
    pictures = [paint(folder / f"{number}.png", number) for number in range(150)]
    queries = [picture.read_bytes() for picture in pictures[:8]]
    failures: list[str] = []
    answered = [0]
    over = threading.Event()
    with process(home) as (address, one):

        def ask(number: int) -> None:
            with httpx.Client(base_url=address, timeout=60) as client:
                while not over.is_set():
                    answers = [
                        client.post("/v1/search", files={"p": queries[number]}),
                        client.get("/v1/items/0.png/similar?k=50"),
                        client.get("/v1/facets?field=label"),
                    ]
                    bad = [answer.text for answer in answers if answer.status_code != 200]
                    failures.extend(bad)
                    scores = [hit["score"] for hit in answers[1].json().get("hits", [])]
                    if scores != sorted(scores, reverse=True):
                        failures.append(f"out of order: {scores}")
                    answered[0] += len(answers)

        threads = [threading.Thread(target=ask, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        index = [sys.executable, "-m", "lookalike", "index", str(folder), "-q", "-c", "shop"]
        index.append("--allow-removals")
        environment = {**os.environ, "LOOKALIKE_HOME": str(home)}
        for part in (pictures[:50], pictures[50:100]):
            subprocess.run(index, env=environment, check=True, capture_output=True, timeout=60)
            for picture in part:
                picture.unlink()
        subprocess.run(index, env=environment, check=True, capture_output=True, timeout=60)
        over.set()
        for thread in threads:
            thread.join()
        assert failures == []
        assert answered[0] > 12
        listed = httpx.get(f"{address}/v1/items?limit=1000").json()
        assert listed["total"] == 13 + 50
        assert one.end(signal.SIGTERM) == 0


def test_importing_lookalike_loads_no_web_framework() -> None:
    script = (
        "import sys, lookalike, lookalike.cli; lookalike.open\n"
        "print([name for name in ('fastapi', 'pydantic', 'uvicorn') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"
