"""Collections that are replaced while they are served: by a migration, or by one begun anew."""

import gc
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

import httpx
import pytest

import engines
import lookalike
from hostile import photo, saved
from live import Live, hits, ids, problem, process, serving
from lookalike.encoders import OnnxEncoder, load_encoder
from lookalike.moving import migrating
from networks import tiny_card

PNG = saved(photo(seed=1), "PNG")
TYPED = {"Content-Type": "image/png"}
ITSELF = "/v1/collections/shop/search?k=1&include_self=true"


@pytest.fixture(scope="session")
def other_card(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of a network whose vectors are as long, and say nothing to those of ``card``."""
    return tiny_card(tmp_path_factory.mktemp("others"), name="other", seed=5)


@pytest.fixture(scope="session")
def other(other_card: Path) -> OnnxEncoder:
    return load_encoder(other_card)


def migrate(address: str | Path, other: OnnxEncoder, card: Path) -> str:
    """Let another encoder take over; what the old collection is called from then on."""
    with lookalike.open(address) as shop:
        return migrating.migrate(shop, other, card=str(card)).kept


def model(live: Live) -> str:
    return str(live.client.get("/v1/collections/shop").json()["encoder"])


def search(address: str, data: bytes) -> httpx.Response:
    return httpx.post(address + ITSELF, content=data, headers=TYPED, timeout=60)


def test_a_migrated_collection_is_answered_from_with_its_new_encoder(
    own: Live, stocked: Path, other: OnnxEncoder, other_card: Path
) -> None:
    data = (stocked / "pictures" / "mugs" / "1.png").read_bytes()
    before = hits(search(own.address, data))
    kept = migrate(own.home / "collections" / "shop", other, other_card)
    (found,) = hits(search(own.address, data))
    assert (found["id"], before[0]["id"]) == ("mugs/1.png", "mugs/1.png")
    assert found["score"] > 0.999
    assert model(own) == "other"
    assert own.client.put("/v1/items/new", content=PNG, headers=TYPED).status_code == 201
    with own.opened() as shop, own.opened(kept) as old:
        assert (len(shop), len(old)) == (14, 13)
        assert shop.check() == old.check() == []


def test_what_was_uploaded_is_there_after_a_migration_and_when_the_old_one_has_gone(
    own: Live, other: OnnxEncoder, other_card: Path
) -> None:
    address = own.home / "collections" / "shop"
    for name in ("new", "odd%2Fnew"):
        put = own.client.put(f"/v1/items/{name}", content=PNG, headers=TYPED)
        assert put.status_code == 201
    kept = migrate(address, other, other_card)
    assert own.client.get("/v1/items/new/image").content == PNG
    again = own.client.put("/v1/items/new", content=saved(photo(seed=2), "PNG"), headers=TYPED)
    assert again.status_code == 200, again.text
    with own.opened(kept) as old:
        (file,) = old.files_of([old.get("odd/new")])
        assert file is not None
        assert file.read_bytes() == PNG
    with own.opened() as shop:
        assert migrating.drop_old(shop).dropped == (kept,)
    assert own.client.get("/v1/items/odd%2Fnew/image").content == PNG
    assert own.client.delete("/v1/items/odd%2Fnew").status_code == 204
    assert len([*address.glob("uploads/*/*")]) == 1


def test_what_a_migration_builds_and_keeps_is_not_listed_but_goes_by_its_name(
    own: Live, other: OnnxEncoder, other_card: Path
) -> None:
    """Were it one of two, ``/v1/search`` would no longer know which is meant."""
    collections = own.app.state.service.collections
    listed: list[list[str]] = []

    def look(*_: object) -> None:
        collections._listed = None  # which may be a second old
        told = own.client.get("/v1/collections").json()["collections"]
        listed.append([one["name"] for one in told])

    address = own.home / "collections" / "shop"
    shutil.copytree(address, address.with_name("shop-20261121"))  # a name of somebody's own
    with lookalike.open(address) as shop:
        kept = migrating.migrate(shop, other, card=str(other_card), progress=look).kept
    look()
    assert len(listed) > 1
    assert {tuple(names) for names in listed} == {("shop", "shop-20261121")}
    assert own.client.get(f"/v1/collections/{kept}").json()["encoder"] == "tiny"


def test_it_is_opened_once_and_the_old_one_closed_with_the_last_request_that_has_it(
    own: Live, other: OnnxEncoder, other_card: Path
) -> None:
    collections = own.app.state.service.collections
    before = collections.get("shop")
    migrate(own.home / "collections" / "shop", other, other_card)
    found: list[object] = []
    threads = [
        threading.Thread(target=lambda: found.append(collections.get("shop"))) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({id(one) for one in found}) == 1
    assert before not in found
    store = before.collection.store
    assert store.search.count() == 13  # who has it reads on
    del before
    gc.collect()
    with pytest.raises(lookalike.LookalikeError, match="closed"):
        store.search.count()


def test_one_that_was_removed_and_begun_again_is_another(
    own: Live, stocked: Path, other_card: Path
) -> None:
    data = (stocked / "pictures" / "mugs" / "1.png").read_bytes()
    assert ids(search(own.address, data)) == ["mugs/1.png"]
    folder = own.home / "collections" / "shop"
    shutil.rmtree(folder)
    gone = problem(search(own.address, data), 404, "no-such-collection")
    assert gone["detail"] == "there is no collection called 'shop'"
    with lookalike.open(folder, encoder=other_card, create=True) as shop:
        shop.index(stocked / "pictures" / "mugs")
    (found,) = hits(search(own.address, data))
    assert (found["id"], model(own)) == ("1.png", "other")
    assert found["score"] > 0.999


@pytest.mark.parametrize("form", ["bytes", "form", "batch"])
def test_a_request_that_meets_it_half_way_is_answered_from_the_new_one(
    own: Live, other: OnnxEncoder, other_card: Path, form: str
) -> None:
    """It has been taken, and has the old collection in hand, when the other takes its place."""
    service = own.app.state.service
    opened = service.collections.get("shop")
    sent: list[httpx.Response] = []

    def ask() -> None:
        if form == "bytes":
            sent.append(own.client.put("/v1/items/new", content=PNG, headers=TYPED))
        elif form == "form":
            sent.append(own.client.post("/v1/items", files={"p": ("new", PNG)}))
        else:
            sent.append(own.client.patch("/v1/items/0.png", json={"label": "new"}))

    with opened.collection.store.database.lock:
        thread = threading.Thread(target=ask)
        thread.start()
        while service.metrics.registry.get_sample_value("lookalike_requests_open") != 1:
            thread.join(0.01)
        migrate(own.home / "collections" / "shop", other, other_card)
    thread.join()
    assert sent[0].status_code in {200, 201}, sent[0].text
    with own.opened() as shop:
        assert shop.store.bound() == (other.name, other.fingerprint, other.dim)
        if form == "batch":
            assert shop.get("0.png").label == "new"
        else:
            (near,) = shop.search(PNG, k=1, include_self=True)
            assert (near.item.id, near.score > 0.999) == ("new", True)


class Asking:
    """Who searches and writes without a pause, and notes every answer that should not be."""

    def __init__(self, address: str, pictures: dict[str, bytes]) -> None:
        self.wrong: list[str] = []
        self.known: list[str] = []
        self.models: list[str] = []
        self._address = address
        self._pictures = pictures
        self._over = threading.Event()
        work = (self._search, self._search, self._write, self._list)
        self._threads = [threading.Thread(target=self._repeat, args=(one,)) for one in work]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def pause(self) -> None:
        self._over.wait(0.01)

    def _repeat(self, work: Callable[[httpx.Client, int], None]) -> None:
        with httpx.Client(base_url=self._address, timeout=60) as client:
            number = 0
            while not self._over.is_set():
                work(client, number)
                number += 1

    def _good(self, answer: httpx.Response) -> bool:
        """An answer, or to be asked again; never anything else."""
        if answer.status_code == 503 and "retry-after" in answer.headers:
            return False
        if not answer.is_success:
            self.wrong.append(answer.text)
        return answer.is_success

    def _search(self, client: httpx.Client, number: int) -> None:
        name = sorted(self._pictures)[number % len(self._pictures)]
        answer = client.post(ITSELF, content=self._pictures[name], headers=TYPED)
        if self._good(answer):
            found: dict[str, Any] = answer.json()
            hit = found["hits"][0] if found["hits"] else {}
            if hit.get("id") != name or hit["score"] < 0.999:  # a query of another encoder
                self.wrong.append(f"{name}: {hit}")
            self.models.append(found["collection"]["encoder"])

    def _write(self, client: httpx.Client, number: int) -> None:
        name = f"new/{number % 50}"
        if self._good(
            client.put(
                f"/v1/collections/shop/items/{name.replace('/', '%2F')}", content=PNG, headers=TYPED
            )
        ):
            self.known.append(name)

    def _list(self, client: httpx.Client, _: int) -> None:
        self._good(client.get("/v1/collections/shop/items?where=label=mug"))
        self._good(client.get("/v1/collections/shop/facets?field=label"))


@pytest.mark.slow
def test_a_process_goes_on_through_migrations_without_one_wrong_answer(
    home: Path, stocked: Path, card: Path, other_card: Path
) -> None:
    pictures = {
        f"mugs/{path.name}": path.read_bytes() for path in (stocked / "pictures/mugs").iterdir()
    }
    with process(home, "shop") as (address, one):
        with Asking(address, pictures) as asking:
            for encoder, name in ((other_card, "other"), (card, "tiny")):
                command = [sys.executable, "-m", "lookalike", "migrate", "-c", "shop", "-q"]
                done = subprocess.run(
                    [*command, "--encoder", str(encoder)],
                    env={**os.environ, "LOOKALIKE_HOME": str(home)},
                    capture_output=True,
                    text=True,
                    timeout=120,
                    check=False,
                )
                assert done.returncode == 0, done.stderr
                before = len(asking.models)
                while name not in asking.models[before:] and not asking.wrong:
                    asking.pause()
        assert asking.wrong == []
        assert httpx.get(f"{address}/v1/items/0.png/similar?k=1").status_code == 200
        assert one.end(signal.SIGTERM) == 0
    assert sum("was opened again" in line for line in one.lines) == 2
    with lookalike.open(home / "collections" / "shop") as shop:
        assert shop.check() == []
        assert {item.id for item in shop} >= set(asking.known)


# -- on a server -----------------------------------------------------------------------------


@pytest.fixture
def served(
    elasticsearch_url: str, tmp_path: Path, card: Path, paint: Callable[[Path, int], Path]
) -> Iterator[tuple[str, Live]]:
    """The address of a collection of six pictures, and who serves it."""
    name = f"lookalike-test-{os.urandom(6).hex()}"
    address = f"elasticsearch://{urlsplit(elasticsearch_url).netloc}/{name}"
    for number in range(6):
        paint(tmp_path / "pictures" / f"{number}.png", number)
    with lookalike.open(address, encoder=card, create=True) as made:
        made.index(tmp_path / "pictures")
    with serving(tmp_path, address) as live:
        yield address, live
    for index in engines.call(elasticsearch_url, "GET", f"/{name}*").body:
        engines.call(elasticsearch_url, "DELETE", f"/{index}")


def nearest(live: Live, number: int) -> dict[str, Any]:
    data = (live.home / "pictures" / f"{number}.png").read_bytes()
    answer = live.client.post("/v1/search?k=1&include_self=true", content=data, headers=TYPED)
    (found,) = hits(answer)
    return found


@pytest.mark.engines
def test_on_a_server_a_migration_is_followed_as_well(
    served: tuple[str, Live], other: OnnxEncoder, other_card: Path, tiny: OnnxEncoder, card: Path
) -> None:
    address, live = served
    assert nearest(live, 3)["id"] == "3.png"
    for encoder, path in ((other, other_card), (tiny, card)):  # an index, and then an alias
        migrate(address, encoder, path)
        found = nearest(live, 3)
        assert (found["id"], found["score"] > 0.999) == ("3.png", True)
        sent = live.client.put("/v1/items/new", content=PNG, headers=TYPED)
        assert sent.status_code in {200, 201}, sent.text
        with lookalike.open(address) as shop:
            assert shop.store.bound() == (encoder.name, encoder.fingerprint, encoder.dim)
            (hit,) = shop.search(PNG, k=1, include_self=True)
            assert (hit.item.id, hit.score > 0.999) == ("new", True)


@pytest.mark.engines
def test_on_a_server_one_begun_again_never_answers_with_the_old_encoder(
    served: tuple[str, Live], other_card: Path
) -> None:
    address, live = served
    assert nearest(live, 3)["id"] == "3.png"
    opened = live.app.state.service.collections
    (name,) = opened.names()
    before = opened.ready(name)
    with lookalike.open(address) as shop:
        shop.store.drop()
    with lookalike.open(address, encoder=other_card, create=True) as shop:
        shop.index(live.home / "pictures")
    before._looked = float("inf")  # as within the second that a server's word holds
    found = nearest(live, 3)
    assert (found["id"], found["score"] > 0.999) == ("3.png", True)
    assert opened.ready(name) is not before
    with pytest.raises(lookalike.LookalikeError):
        before.collection.add("late", PNG)
