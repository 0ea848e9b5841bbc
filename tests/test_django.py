"""The Django app in a project of its own, asked as its clients ask."""

import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from wsgiref.simple_server import WSGIRequestHandler, make_server

import httpx
import pytest

import lookalike
from contracts.collection import stock
from live import serving
from lookalike.service.settings import ServiceSettings

if TYPE_CHECKING:
    from django.conf import LazySettings

django = pytest.importorskip("django", reason="Django is not installed; it is in the dev group")


@pytest.fixture(scope="module")
def home(
    tmp_path_factory: pytest.TempPathFactory, card: Path, paint: Callable[[Path, int], Path]
) -> Path:
    """A home with the collection ``shop``, and its pictures beside it; not to be written to."""
    home = tmp_path_factory.mktemp("django")
    stock(home, card, paint)
    return home


@pytest.fixture(scope="module")
def project() -> Iterator[None]:
    """The project, set up once in this process."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DJANGO_SETTINGS_MODULE", "django_project.settings")
        django.setup()
        yield


@pytest.fixture
def settings(project: None, home: Path) -> "Iterator[LazySettings]":
    """Settings that a test may change."""
    from django.test.utils import override_settings  # noqa: PLC0415 - where it is installed

    assert project is None
    with override_settings(LOOKALIKE_COLLECTION=home / "collections" / "shop"):
        from django.conf import settings  # noqa: PLC0415 - likewise

        yield settings


@pytest.fixture
def server(settings: "LazySettings") -> Iterator[httpx.Client]:
    """The project behind a real server."""
    from django.core.wsgi import get_wsgi_application  # noqa: PLC0415 - where it is installed

    assert settings.configured

    class Quiet(WSGIRequestHandler):
        def log_message(self, *_: object) -> None:
            """Tests are quiet."""

    with make_server("127.0.0.1", 0, get_wsgi_application(), handler_class=Quiet) as made:
        thread = threading.Thread(target=made.serve_forever, args=(0.01,))
        thread.start()
        try:
            address = f"http://127.0.0.1:{made.server_port}"
            with httpx.Client(base_url=address, timeout=60) as client:
                yield client
        finally:
            made.shutdown()
            thread.join()


@pytest.fixture
def picture(home: Path) -> bytes:
    return (home / "pictures" / "mugs" / "1.png").read_bytes()


def asked(server: httpx.Client, picture: bytes, **fields: str) -> httpx.Response:
    headers = {"X-API-Key": fields.pop("key")} if "key" in fields else {}
    return server.post(
        "/images/search/", data=fields, files={"image": ("q.png", picture)}, headers=headers
    )


def refused(answer: httpx.Response, status: int, code: str) -> str:
    found = answer.json()
    assert (answer.status_code, found["code"], found["ok"]) == (status, code, False), answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert found["detail"] == found["message"] != ""
    detail: str = found["detail"]
    return detail


def test_a_picture_is_answered_as_the_older_system_did(
    server: httpx.Client, picture: bytes
) -> None:
    answer = asked(server, picture)
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert (found["ok"], found["message"]) == (True, "")
    hits = found["response"]["hits"]
    assert hits["total"] == {"value": 8, "relation": "eq"}
    assert hits["max_score"] == hits["hits"][0]["_score"]
    scores = [hit["_score"] for hit in hits["hits"]]
    assert scores == sorted(scores, reverse=True)
    names = [hit["_source"]["image_name"] for hit in hits["hits"]]
    assert names[0] == "mugs/1.png"  # its exact duplicate
    at = names.index("mugs/a b.png")
    assert hits["hits"][at]["_source"] == {
        "image_name": "mugs/a b.png",
        "label": "mug",
        "image_url": "https://cdn.example/mugs%2Fa%20b.png?w=320",
    }
    assert "vector" not in answer.text


def test_a_label_is_searched_within(server: httpx.Client, picture: bytes) -> None:
    hits = asked(server, picture, label_id="mug").json()["response"]["hits"]["hits"]
    assert {hit["_source"]["label"] for hit in hits} == {"mug"}
    assert len(hits) == 4
    assert len(asked(server, picture, label_id="").json()["response"]["hits"]["hits"]) == 8


@pytest.mark.parametrize("label", ["9", '"', '" or id exists or label="', "\\", "x" * 5000, "é"])
def test_a_label_that_no_item_has_is_not_found(
    server: httpx.Client, picture: bytes, label: str
) -> None:
    refused(asked(server, picture, label_id=label), 404, "no-such-label")


def test_the_answer_is_that_of_the_service(
    server: httpx.Client, settings: "LazySettings", home: Path, picture: bytes
) -> None:
    settings.LOOKALIKE_PICTURE_URL = None
    with serving(home) as live:
        files = {"image": ("q.png", picture)}
        theirs = live.client.post("/images/search/", data={"label_id": "mug"}, files=files).json()
    ours = asked(server, picture, label_id="mug").json()
    for one in (theirs, ours):
        one["response"]["took"] = 0
        for hit in one["response"]["hits"]["hits"]:
            hit["_source"]["image_url"] = None
    assert ours == theirs


def test_what_is_no_picture_is_refused(
    server: httpx.Client, settings: "LazySettings", picture: bytes
) -> None:
    refused(asked(server, b"not a picture"), 415, "not-an-image")
    refused(asked(server, b""), 415, "not-an-image")
    refused(asked(server, picture[:100]), 422, "broken-image")
    refused(server.post("/images/search/"), 422, "no-image")
    refused(server.post("/images/search/", data={"image": "text"}), 422, "no-image")
    two = [("image", ("a.png", picture)), ("image", ("b.png", picture))]
    refused(server.post("/images/search/", files=two), 422, "no-image")
    settings.LOOKALIKE_MAX_UPLOAD = 50
    assert "50" in refused(asked(server, picture), 413, "image-too-large")


def test_a_form_that_cannot_be_read_is_refused(server: httpx.Client) -> None:
    for kind in ("multipart/form-data", "multipart/form-data; boundary=é"):
        answer = server.post(
            "/images/search/", content=b"--x\r\n", headers={b"Content-Type": kind.encode()}
        )
        assert answer.status_code in {400, 422}, answer.text
        assert answer.json()["ok"] is False


def test_other_methods_are_told_which_one(server: httpx.Client) -> None:
    answer = server.get("/images/search/")
    refused(answer, 405, "method-not-allowed")
    assert answer.headers["allow"] == "POST"


def test_a_key_is_asked_for_where_one_is_set(
    server: httpx.Client, settings: "LazySettings", picture: bytes
) -> None:
    settings.LOOKALIKE_KEY = "schlüssel"
    answer = asked(server, picture)
    refused(answer, 401, "key-needed")
    assert answer.headers["www-authenticate"].startswith("Bearer")
    refused(asked(server, picture, key="schlussel"), 401, "key-needed")
    for headers in (
        {b"X-API-Key": "schlüssel".encode()},
        {b"Authorization": "Bearer schlüssel".encode()},
    ):
        files = {"image": ("q.png", picture)}
        assert server.post("/images/search/", files=files, headers=headers).status_code == 200


def test_no_token_of_a_page_is_needed(settings: "LazySettings", picture: bytes) -> None:
    from django.core.files.uploadedfile import (  # noqa: PLC0415 - where it is installed
        SimpleUploadedFile,
    )
    from django.test import Client  # noqa: PLC0415 - likewise
    from django.urls import reverse  # noqa: PLC0415 - likewise

    assert "django.middleware.csrf.CsrfViewMiddleware" in settings.MIDDLEWARE
    strict = Client(enforce_csrf_checks=True)
    answer = strict.post(reverse("lookalike:search"), {"image": SimpleUploadedFile("q", picture)})
    assert answer.status_code == 200
    # And a project may ask for one.
    assert strict.post("/guarded/", {"image": SimpleUploadedFile("q", picture)}).status_code == 403
    easy = Client()
    assert easy.post("/guarded/", {"image": SimpleUploadedFile("q", picture)}).status_code == 200


def test_a_collection_that_is_not_there_is_our_failure(
    server: httpx.Client, settings: "LazySettings", picture: bytes, home: Path
) -> None:
    settings.LOOKALIKE_COLLECTION = home / "collections" / "nothing"
    answer = asked(server, picture)
    assert str(home) not in refused(answer, 503, "no-such-collection")
    assert answer.headers["retry-after"] == "1"


def test_a_collection_of_a_service_is_searched_as_well(
    server: httpx.Client, settings: "LazySettings", home: Path, picture: bytes
) -> None:
    expected = asked(server, picture, label_id="mug").json()["response"]["hits"]
    with serving(home, settings=ServiceSettings(read_key="k", write_key="w")) as live:
        settings.LOOKALIKE_COLLECTION = f"{live.address}#shop"
        refused(asked(server, picture), 503, "key-needed")
        settings.LOOKALIKE_API_KEY = "k"
        assert asked(server, picture, label_id="mug").json()["response"]["hits"] == expected
        refused(asked(server, picture, label_id="9"), 404, "no-such-label")
        refused(asked(server, b"no picture"), 415, "not-an-image")
    refused(asked(server, picture), 503, "service-failed")


def test_what_is_added_while_it_runs_is_found(
    server: httpx.Client, settings: "LazySettings", tmp_path: Path, picture: bytes, home: Path
) -> None:
    shutil.copytree(home / "collections" / "shop", tmp_path / "own")
    settings.LOOKALIKE_COLLECTION = tmp_path / "own"
    refused(asked(server, picture, label_id="new"), 404, "no-such-label")
    with lookalike.open(tmp_path / "own") as shop:
        shop.label(["0.png"], "new")
    hits = asked(server, picture, label_id="new").json()["response"]["hits"]["hits"]
    assert [hit["_source"]["image_name"] for hit in hits] == ["0.png"]


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ("", "System check identified no issues"),
        ("LOOKALIKE_COLLECTION = None", "LOOKALIKE_COLLECTION is not set"),
        ("LOOKALIKE_HITS = 0", "LOOKALIKE_HITS is 0, but must be from 1 to 1000"),
        ("LOOKALIKE_MAX_UPLOAD = '1 MB'", "LOOKALIKE_MAX_UPLOAD is '1 MB', but must be bytes"),
    ],
)
def test_settings_are_checked_before_the_project_runs(
    tmp_path: Path, setting: str, says: str
) -> None:
    (tmp_path / "own.py").write_text(f"from django_project.settings import *\n{setting}\n")
    paths = [str(tmp_path), str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")]
    done = subprocess.run(
        [sys.executable, "-m", "django", "check", "--settings", "own"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))},
        capture_output=True,
        text=True,
        check=False,
    )
    assert says in done.stdout + done.stderr
    assert (done.returncode == 0) == (setting == "")
