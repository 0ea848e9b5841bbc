"""Collections on Elasticsearch, served as those in folders are."""

import os
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

import engines
import lookalike
from live import Live, hits, ids, problem, serving
from lookalike.config import Settings
from lookalike.errors import CollectionNotFoundError
from lookalike.service import upload_files
from lookalike.service.locations import locate
from lookalike.service.settings import ServiceSettings

_AWAY = "elasticsearch://127.0.0.1:9/shop?retries=0&timeout=2"  # where nothing ever listens


@pytest.fixture
def shop(
    elasticsearch_url: str, tmp_path: Path, card: Path, paint: Callable[[Path, int], Path]
) -> Iterator[str]:
    """The address of a collection of six pictures."""
    name = f"lookalike-test-{os.urandom(6).hex()}"
    address = f"elasticsearch://{urlsplit(elasticsearch_url).netloc}/{name}"
    for number in range(6):
        paint(tmp_path / "pictures" / "mugs" / f"{number}.png", number)
    with lookalike.open(address, encoder=card, create=True) as made:
        made.index(tmp_path / "pictures")
    yield address
    for index in (name, f"{name}.lookalike"):
        engines.call(elasticsearch_url, "DELETE", f"/{index}")


@pytest.fixture
def live(shop: str, tmp_path: Path) -> Iterator[Live]:
    with serving(tmp_path, shop) as live:
        yield live


@pytest.mark.engines
def test_it_goes_by_the_last_part_of_its_address(live: Live, shop: str) -> None:
    name = shop.rpartition("/")[2]
    assert live.client.get("/v1/collections").json()["default"] == name
    about = live.client.get(f"/v1/collections/{name}").json()
    assert (about["items"], about["store"]) == (6, "elasticsearch")
    assert live.client.get("/health/ready").status_code == 200


@pytest.mark.engines
def test_it_answers_as_the_collection_does(live: Live, shop: str) -> None:
    with lookalike.open(shop) as there:
        told = [(hit.item.id, round(hit.score, 6)) for hit in there.similar("mugs/2.png", k=4)]
    found = hits(live.client.get("/v1/items/mugs%2F2.png/similar?k=4"))
    assert [(hit["id"], hit["score"]) for hit in found] == told
    picture = (live.home / "pictures" / "mugs" / "3.png").read_bytes()
    with ThreadPoolExecutor(6) as threads:
        asked = [
            threads.submit(
                live.client.post,
                "/v1/search?k=1&include_self=true",
                content=picture,
                headers={"Content-Type": "image/png"},
            )
            for _ in range(12)
        ]
    assert [ids(one.result()) for one in asked] == [["mugs/3.png"]] * 12


@pytest.mark.engines
def test_what_is_uploaded_is_kept_on_this_machine_and_shown(
    live: Live, shop: str, paint: Callable[[Path, int], Path]
) -> None:
    data = paint(live.home / "new.png", 40).read_bytes()
    sent = live.client.put("/v1/items/new", content=data, headers={"Content-Type": "image/png"})
    assert sent.status_code == 201, sent.text
    uploads = locate(shop, Settings(home=live.home, cache=live.home)).uploads
    (file,) = uploads.folder.glob("*/*.png")
    assert file.is_relative_to(live.home / "uploads")
    assert live.client.get(sent.json()["image"]).content == data
    assert live.client.get("/v1/items/new/similar?k=1").status_code == 200
    assert live.client.delete("/v1/items/new").status_code == 204
    assert not file.exists()


@pytest.mark.engines
def test_machines_keep_uploads_apart(
    live: Live, shop: str, tmp_path: Path, paint: Callable[[Path, int], Path]
) -> None:
    data = paint(tmp_path / "new.png", 40).read_bytes()
    png = {"Content-Type": "image/png"}
    assert live.client.put("/v1/items/here", content=data, headers=png).status_code == 201
    with serving(tmp_path / "another", shop) as other:
        assert other.client.put("/v1/items/there", content=data, headers=png).status_code == 201
        assert other.client.get("/v1/items/there/image").content == data
    again = live.client.get("/v1/items/here/image")
    assert again.content == data
    with lookalike.open(shop) as there:
        assert len({root.path for root in there.roots()}) == 3


def test_two_collections_of_one_name_never_share_a_place_for_uploads(tmp_path: Path) -> None:
    known = Settings(home=tmp_path, cache=tmp_path)
    servers = ("elasticsearch://one:9200/shop", "elasticsearch://two:9200/shop")
    places = [locate(address, known) for address in servers]
    assert [place.name for place in places] == ["shop", "shop"]
    assert places[0].uploads.folder != places[1].uploads.folder
    assert all(one.uploads.folder.parent == tmp_path / upload_files.FOLDER for one in places)


def test_a_server_that_is_away_is_told_of_until_it_is_back(tmp_path: Path) -> None:
    with serving(tmp_path, _AWAY) as live:
        for asked in ("/v1/items", "/v1/collections/shop"):
            told = problem(live.client.get(asked), 503, "store-unreachable")
            assert "127.0.0.1:9" in told["detail"]
        told = problem(live.client.get("/health/ready"), 503, "not-ready")
        assert told["collections"] == {"ready": 0, "away": 1}
        assert "127.0.0.1:9" not in told["detail"]  # it is told to whoever asks
        assert live.client.get("/health/live").status_code == 200
        assert live.client.get("/metrics").status_code == 200


def test_who_may_not_see_paths_does_not_see_the_server_either(tmp_path: Path) -> None:
    with serving(tmp_path, _AWAY, settings=ServiceSettings(show_paths=False)) as live:
        told = problem(live.client.get("/v1/items"), 503, "store-unreachable")
        assert "127.0.0.1" not in told["detail"]
        batch = live.client.post("/v1/search/batch", json={"queries": [{"id": "0.png"}]})
        assert "127.0.0.1" not in batch.text
        (listed,) = live.client.get("/v1/collections").json()["collections"]
        assert listed["error"] == {"code": told["code"], "detail": told["detail"]}


def look_again(live: Live) -> None:
    """What is told of collections may be a second old."""
    live.app.state.service.availability._checks.clear()


def test_one_that_is_away_takes_no_other_out_of_service(home: Path) -> None:
    with serving(home, _AWAY.replace("/shop", "/mugs"), "shop") as live:
        told = live.client.get("/v1/collections").json()
        mugs, shop = told["collections"]
        assert (shop["name"], shop["items"], shop["encoder"]) == ("shop", 13, "tiny")
        assert shop["error"] is None
        assert (mugs["name"], mugs["items"], mugs["updated_at"]) == ("mugs", None, None)
        assert mugs["error"]["code"] == "store-unreachable"
        assert "no server is listening there" in mugs["error"]["detail"]
        ready = live.client.get("/health/ready")
        assert (ready.status_code, ready.json()["status"]) == (200, "ok")
        assert ready.json()["collections"] == {"ready": 1, "away": 1}
        text = live.client.get("/metrics").text
        assert 'lookalike_collection_up{collection="mugs"} 0.0' in text
        assert 'lookalike_collection_up{collection="shop"} 1.0' in text
        assert 'lookalike_items{collection="shop"} 13.0' in text
        assert 'lookalike_items{collection="mugs"}' not in text
        found = lookalike.connect(live.address, collection="shop").similar("0.png", k=1)
        assert [hit.item.id for hit in found] == ["copy.png"]
        with pytest.raises(CollectionNotFoundError, match="mugs, shop"):
            lookalike.connect(live.address)
        (live.home / "collections/shop/collection.sqlite").unlink()
        assert live.client.get("/v1/collections/shop/stats").status_code == 404
        look_again(live)
        problem(live.client.get("/health/ready"), 503, "not-ready")


def test_that_one_is_away_and_back_is_logged_once_each(
    home: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = home / "collections" / "shop"
    with serving(home, "shop") as live:
        folder.rename(home / "elsewhere")
        for _ in range(2):
            look_again(live)
            assert live.client.get("/health/ready").status_code == 503
        (home / "elsewhere").rename(folder)
        look_again(live)
        assert live.client.get("/health/ready").status_code == 200
    told = [one.message for one in caplog.records if one.name == "lookalike.service"]
    assert sum("shop is unavailable: there is no collection" in one for one in told) == 1
    assert told.count("shop is available again") == 1


def test_a_server_that_never_answers_holds_up_no_other_collection(home: Path) -> None:
    with socket.socket() as silent, ThreadPoolExecutor(40) as threads:
        silent.bind(("127.0.0.1", 0))
        address = f"elasticsearch://127.0.0.1:{silent.getsockname()[1]}/mute?retries=0"
        with serving(home, address, "shop") as live:
            silent.listen()  # from now on it takes connections, and says nothing
            waits = [
                threads.submit(httpx.get, f"{live.address}/v1/collections/mute/items", timeout=60)
                for _ in range(40)  # more than there are threads
            ]
            taken, _ = silent.accept()
            shop = httpx.get(f"{live.address}/v1/collections/shop/items/0.png/similar?k=1")
            assert ids(shop) == ["copy.png"]
            ready = httpx.get(f"{live.address}/health/ready", timeout=5).json()
            assert ready["collections"] == {"ready": 1, "away": 1}
            assert "lookalike_items" in httpx.get(f"{live.address}/metrics", timeout=5).text
            listed = httpx.get(f"{live.address}/v1/collections", timeout=20).json()["collections"]
            assert [one["error"] is None for one in listed] == [False, True]
            assert not any(one.done() for one in waits)
            taken.close()
            for one in waits:
                problem(one.result(), 503, "store-unreachable")


@pytest.mark.engines
def test_a_collection_that_is_not_on_the_server_is_no_start(
    elasticsearch_url: str, tmp_path: Path, unique_name: str
) -> None:
    address = f"elasticsearch://{urlsplit(elasticsearch_url).netloc}/{unique_name}"
    with (
        pytest.raises(CollectionNotFoundError, match=unique_name),
        serving(tmp_path, address),
    ):
        pass


@pytest.mark.engines
def test_a_server_that_was_away_at_the_start_is_asked_again(
    own_server: Callable[[str], engines.OwnServer], tmp_path: Path, unique_name: str, card: Path
) -> None:
    server = own_server("elasticsearch")
    address = f"elasticsearch://{urlsplit(server.url).netloc}/{unique_name}?retries=0"
    with lookalike.open(address, encoder=card, create=True):
        pass
    server.stop()
    with serving(tmp_path, address) as live:
        problem(live.client.get("/health/ready"), 503, "not-ready")
        server.start()
        # A node that failed is passed over for a second, and a busy machine takes its time.
        for _ in range(40):
            if live.client.get("/health/ready").status_code == 200:
                break
            time.sleep(0.25)
        else:
            pytest.fail("the service did not notice that the server is back")
        server.stop()
        problem(live.client.get("/health/ready"), 503, "not-ready")
