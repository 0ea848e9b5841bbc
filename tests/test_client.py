"""A served collection answers as one on this machine does, and says what is the matter if not."""

import http.server
import json
import os
import re
import shutil
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pytest
from PIL import Image

import lookalike
from contracts.collection import CollectionContract, Shop, bare, stock
from live import Live, serving
from lookalike import errors
from lookalike.client import RemoteCollection, connect
from lookalike.core.error_codes import KINDS, STATUS
from lookalike.core.records import Entry
from lookalike.errors import (
    AccessDeniedError,
    CollectionNotFoundError,
    ImageTooLargeError,
    ServiceBusyError,
    ServiceError,
    StoreReadOnlyError,
)
from lookalike.search import Words
from lookalike.service.problems import problem_of
from lookalike.service.settings import ServiceSettings

_OneAnswer: TypeAlias = tuple[int, dict[str, str], bytes]
_Answers: TypeAlias = list[_OneAnswer]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def pictures(home: Path, card: Path, paint: Callable[[Path, int], Path]) -> Path:
    return stock(home, card, paint)


class TestACollectionOnThisMachine(CollectionContract):
    @pytest.fixture
    def shop(self, home: Path, pictures: Path) -> Iterator[Shop]:
        assert pictures.is_dir()
        with lookalike.open(home / "collections" / "shop") as shop:
            yield shop


class TestACollectionOfAService(CollectionContract):
    @pytest.fixture
    def shop(self, home: Path, pictures: Path) -> Iterator[Shop]:
        assert pictures.is_dir()
        with serving(home) as live, connect(live.address) as shop:
            yield shop


@pytest.fixture
def live(home: Path, pictures: Path) -> Iterator[Live]:
    assert pictures.is_dir()
    with serving(home) as live:
        yield live


# -- the same answers ---------------------------------------------------------------------------


def test_answers_are_those_of_the_collection_itself(live: Live, pictures: Path) -> None:
    rng = np.random.default_rng(3)
    upright = Image.open(pictures / "mugs" / "a b.png")
    queries = [
        (pictures / "0.png").read_bytes(),
        upright.convert("P"),
        upright.convert("RGBA"),
        rng.integers(0, 256, (50, 30), dtype=np.uint8),
        rng.random((30, 50, 3)),
    ]
    with live.opened() as here, connect(live.address) as there:
        for query in queries:
            for options in ({"k": 3}, {"k": 20, "where": "label=mug"}, {"per_group": True}):
                expected = here.search(query, **options)  # type: ignore[arg-type]
                found = there.search(query, **options)  # type: ignore[arg-type]
                assert [hit.item for hit in found] == [bare(hit.item) for hit in expected]
                assert [hit.score for hit in found] == pytest.approx(
                    [hit.score for hit in expected], abs=2e-6
                )
        assert [*there] == [bare(item) for item in here]
        assert there.facets("price") == here.facets("price")
        assert there.describe() == here.describe()
        told, known = there.info(), here.info()
        assert told == replace(known, address=told.address, updated_at=told.updated_at)
        assert told.address == f"{live.address}/v1/collections/shop"
        assert told.updated_at == int(known.updated_at or 0)


def test_a_part_of_a_picture_is_searched_by(live: Live, pictures: Path, tmp_path: Path) -> None:
    both = Image.new("RGB", (128, 48))
    both.paste(Image.open(pictures / "0.png"), (0, 0))
    both.paste(Image.open(pictures / "mugs" / "a b.png"), (64, 0))
    both.save(tmp_path / "both.png")
    with connect(live.address) as shop:
        left = shop.search(tmp_path / "both.png", k=1, crop=(0, 0, 0.5, 1))
        right = shop.search(tmp_path / "both.png", k=1, crop=(0.5, 0, 1, 1))
        assert left[0].item.id in {"0.png", "copy.png"}
        assert right[0].item.id == "mugs/a b.png"
        with pytest.raises(ValueError, match="crop"):
            shop.search(both, crop=(0.5, 0, 0.1, 1))


def test_an_items_picture_comes_back_as_it_is(live: Live, pictures: Path) -> None:
    with connect(live.address) as shop:
        assert shop.image("mugs/a b.png") == (pictures / "mugs" / "a b.png").read_bytes()
        assert shop.thumbnail("mugs/a b.png", side=32)[:3] == b"\xff\xd8\xff"
        with pytest.raises(errors.ItemNotFoundError):
            shop.image("nothing")
        with pytest.raises(ValueError, match="side"):
            shop.thumbnail("0.png", side=5)


def test_items_of_many_pages_come_once_each(
    live: Live, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert pictures.is_dir()
    monkeypatch.setattr("lookalike.client.items._PAGE", 3)
    with live.opened() as here, connect(live.address) as there:
        assert [item.id for item in there] == [item.id for item in here]
        assert [item.id for item in there.items("label=mug")] == [
            item.id for item in here.items("label=mug")
        ]


def test_a_client_is_used_by_several_threads(live: Live, pictures: Path) -> None:
    data = (pictures / "0.png").read_bytes()
    wrong: list[object] = []
    with connect(live.address) as shop:
        expected = [hit.item.id for hit in shop.search(data)]

        def ask() -> None:
            for _ in range(5):
                found = [hit.item.id for hit in shop.search(data)]
                if found != expected:
                    wrong.append(found)

        threads = [threading.Thread(target=ask) for _ in range(6)]
        for one in threads:
            one.start()
        for one in threads:
            one.join()
    assert wrong == []


def test_the_example_of_the_documents_runs(
    live: Live, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = (Path(__file__).parents[1] / "docs" / "client.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL)
    shutil.copyfile(pictures / "0.png", tmp_path / "query.jpg")
    monkeypatch.chdir(tmp_path)
    example = example.replace("mug/mug-003-1.jpg", "mugs/1.png")
    exec(example.replace("http://127.0.0.1:8000", live.address), {})  # noqa: S102 - our own page
    assert "mug-1" not in live.opened()


# -- which service, and who may -----------------------------------------------------------------


def test_one_of_several_collections_is_chosen_by_name(home: Path, pictures: Path) -> None:
    assert pictures.is_dir()
    lookalike.open(home / "collections" / "a b", create=True).close()
    with serving(home) as live:
        with connect(live.address, collection="a b") as empty:
            assert (empty.name, len(empty)) == ("a b", 0)
            assert empty.search(np.zeros((8, 8), np.uint8)) == []
        with pytest.raises(CollectionNotFoundError, match="'nothing'"):
            connect(live.address, collection="nothing")
        with pytest.raises(CollectionNotFoundError, match="a b, shop"):
            connect(live.address)


@pytest.mark.parametrize(
    "url", ["", "pictures.example", "ftp://pictures.example", "http://", "http://[", "http://a:b"]
)
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(ServiceError, match="is not the address of a service"):
        connect(url)


def test_a_service_that_is_not_there_is_said_to_be_out_of_reach() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(ServiceError, match=f"{port} cannot be reached: .*refused"):
        connect(f"http://127.0.0.1:{port}")


def test_keys_are_taken_from_the_argument_or_the_environment(
    home: Path, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = ServiceSettings(read_key="le-ser", write_key="schlüssel")
    with serving(home, settings=settings) as live:
        with pytest.raises(AccessDeniedError, match="LOOKALIKE_API_KEY"):
            connect(live.address)
        with pytest.raises(AccessDeniedError, match="with the key that was given"):
            connect(live.address, key="wrong")
        with connect(live.address, key="le-ser") as shop:
            assert len(shop) == 8
            with pytest.raises(AccessDeniedError):
                shop.add("a", pictures / "0.png")
        monkeypatch.setenv("LOOKALIKE_API_KEY", "schlüssel")
        with connect(live.address) as shop:
            assert shop.add("a", pictures / "0.png").id == "a"
    with (
        serving(home, settings=ServiceSettings(read_only=True)) as live,
        connect(live.address) as shop,
        pytest.raises(StoreReadOnlyError, match="--read-only"),
    ):
        shop.remove("0.png")


def test_a_picture_over_the_services_limit_is_left_out_of_many(
    home: Path, pictures: Path, tmp_path: Path
) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (200, 200, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "large.png")
    with (
        serving(home, settings=ServiceSettings(max_upload=50_000)) as live,
        connect(live.address) as shop,
    ):
        with pytest.raises(ImageTooLargeError, match=r"large\.png: .*50,000"):
            shop.search(tmp_path / "large.png")
        report = shop.index(
            Entry(id=f"n/{one.stem}", image=one)
            for one in (pictures / "0.png", tmp_path / "large.png", pictures / "mugs" / "1.png")
        )
        assert [skip.path for skip in report.skipped] == ["n/large"]
        assert shop.count("id^=n/") == 2


# -- when something is wrong --------------------------------------------------------------------


@pytest.mark.parametrize("kind", STATUS, ids=lambda kind: kind.__name__)
def test_every_error_of_the_core_comes_back_as_itself(kind: type[errors.LookalikeError]) -> None:
    assert KINDS[STATUS[kind][1]] is kind
    if kind is errors.FilterError:
        sample: errors.LookalikeError = errors.FilterError("a value is missing", text="a=", at=2)
    else:
        sample = kind("it is so")
    problem = problem_of(sample)
    status, body = problem.status_code, problem.document()
    with answering([(status, {"Content-Type": "application/problem+json"}, _json(body))]) as there:
        with pytest.raises(kind) as caught:
            connect(there.address)
        assert type(caught.value) is kind
        if status != 401:
            assert str(caught.value) == str(sample)


def _json(document: object) -> bytes:
    return json.dumps(document).encode()


class Answering(http.server.ThreadingHTTPServer):
    """Gives the answers it was made with, the last one for ever; ``asked`` counts."""

    def __init__(self, answers: _Answers) -> None:
        self.answers = answers
        self.asked = 0
        super().__init__(("127.0.0.1", 0), _Answer)

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Answer(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Answering

    def do_GET(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        answers = self.server.answers
        status, headers, body = answers[min(self.server.asked, len(answers) - 1)]
        self.server.asked += 1
        if status == 0:  # break the connection
            self.close_connection = True
            return
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_DELETE = do_PUT = do_GET  # noqa: N815 - as the standard library has them

    def log_message(self, *_: object) -> None:
        """Tests are quiet."""


@contextmanager
def answering(answers: _Answers) -> Iterator[Answering]:
    with Answering(answers) as there:
        thread = threading.Thread(target=there.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield there
        finally:
            there.shutdown()
            thread.join()


SHOP: _OneAnswer = (200, {}, _json({"default": "shop", "collections": []}))
HITS: _OneAnswer = (200, {}, _json({"hits": []}))
BUSY = (503, {"Retry-After": "0"}, _json({"code": "busy", "detail": "try again shortly"}))


def test_a_busy_service_is_asked_again(pictures: Path) -> None:
    with answering([SHOP, BUSY, BUSY, HITS]) as there, connect(there.address) as shop:
        assert shop.search(pictures / "0.png") == []
        assert there.asked == 4


def test_a_service_that_stays_busy_is_said_to_be(pictures: Path) -> None:
    with answering([SHOP, BUSY]) as there, connect(there.address) as shop:
        with pytest.raises(ServiceBusyError, match="try again shortly"):
            shop.search(pictures / "0.png")
        assert there.asked == 1 + 4


def test_a_broken_connection_is_tried_once_more_unless_that_does_harm(pictures: Path) -> None:
    broken: _OneAnswer = (0, {}, b"")
    with answering([SHOP, broken, HITS]) as there, connect(there.address) as shop:
        assert shop.search(pictures / "0.png") == []
    with answering([SHOP, broken]) as there, connect(there.address) as shop:
        with pytest.raises(ServiceError, match="cannot be reached"):
            shop.remove("0.png")
        assert there.asked == 2


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (
            (502, {}, b"<html>Bad Gateway"),
            "responds with 502 Bad Gateway, and not as a lookalike service does",
        ),
        ((200, {}, b"<html>Welcome"), "does not respond as a lookalike service does"),
        ((200, {}, b"[]"), "does not respond as a lookalike service does"),
        ((200, {}, b"{}"), "does not respond as a lookalike service does"),
        ((200, {}, b'{"default": 7}'), "does not respond as a lookalike service does"),
        ((302, {"Location": "https://x.example/"}, b""), "redirects to https://x.example/"),
        ((400, {}, b'{"code": "odd", "detail": "so"}'), "responds with 400 Bad Request: so"),
    ],
)
def test_what_is_no_such_service_is_said_to_be_none(answer: _OneAnswer, says: str) -> None:
    with answering([answer]) as there, pytest.raises(ServiceError, match=says):
        connect(there.address)


def test_a_service_that_does_not_answer_in_time_is_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(ServiceError, match="timed out"):
            connect(address, timeout_s=0.1)


def test_the_key_is_not_sent_on_to_another_place() -> None:
    with answering([SHOP]) as other:
        away = (307, {"Location": other.address}, b"")
        with answering([away]) as there, pytest.raises(ServiceError, match="redirects to"):
            connect(there.address, key="secret")
        assert other.asked == 0


def test_the_client_may_be_closed_twice(live: Live) -> None:
    shop = connect(live.address)
    assert isinstance(shop, RemoteCollection)
    shop.close()
    shop.close()


def test_the_environments_key_is_not_needed_where_none_is_asked_for(live: Live) -> None:
    assert "LOOKALIKE_API_KEY" not in os.environ
    with connect(f"{live.address}/") as shop:
        assert len(shop) == 8


def test_text_that_is_too_long_is_refused_in_plain_words(live: Live) -> None:
    with (
        connect(live.address) as shop,
        pytest.raises(ValueError, match="the text is longer than 4,000 characters"),
    ):
        shop.search(Words("a" * 4001))
