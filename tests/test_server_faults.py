"""What becomes of a collection when its server is stopped, killed, slow, full or in part away.

On real servers of these tests' own. What takes longer: ``scripts/faults``.
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import lookalike
from between import between
from contracts.server import an_address, bound, opened, removed
from contracts.store import an_item, random_rows
from engines import OwnServer
from lookalike.core.progress import Progress
from lookalike.errors import StoreFullError, StoreUnreachableError
from lookalike.stores.servers.store import ServerStore

pytestmark = [pytest.mark.engines, pytest.mark.slow, pytest.mark.timeout(600)]

Cli = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(params=["elasticsearch", "opensearch"])
def server(request: pytest.FixtureRequest, own_server: Callable[[str], OwnServer]) -> OwnServer:
    return own_server(request.param)


@pytest.fixture
def store(server: OwnServer) -> Iterator[ServerStore]:
    """A collection of 20 items, ``00`` to ``19``."""
    store = bound(an_address(server.engine, server.url))
    store.items.upsert([an_item(f"{number:02}") for number in range(20)], random_rows(20))
    yield store
    server.start()
    removed(store)


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    def run(*words: str | Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "lookalike", *map(str, words)],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "LOOKALIKE_HOME": str(tmp_path / "home")},
        )

    return run


def said(done: subprocess.CompletedProcess[str]) -> str:
    """The one line that a failed command says."""
    assert done.returncode == 1, done
    *_, line = done.stderr.splitlines()
    assert line.startswith("error: "), done.stderr
    assert "Traceback" not in done.stderr
    return line


def test_indexing_goes_on_where_a_killed_server_left_it(
    server: OwnServer, tmp_path: Path, card: Path, paint: Callable[[Path, int], Path], cli: Cli
) -> None:
    photos = tmp_path / "photos"
    for number in range(300):
        paint(photos / f"{number}.png", number)
    address = str(an_address(server.engine, server.url))
    seen: list[int] = []

    def kill(progress: Progress) -> None:
        seen.append(progress.done)
        if len(seen) == 2:
            server.kill()

    with lookalike.open(address, encoder=card, create=True) as shop:
        with pytest.raises(StoreUnreachableError, match="is it running"):
            shop.index(photos, progress=kill)
        with pytest.raises(StoreUnreachableError, match="is it running"):
            len(shop)
    for words in (("index", photos), ("search", photos / "0.png")):
        assert "no server is listening there; is it running?" in said(cli(*words, "-c", address))
    server.start()
    with lookalike.open(address) as shop:
        kept = len(shop)
        assert seen[1] <= kept < 300
        report = shop.index(photos)
        assert (report.unchanged, report.indexed + report.reused) == (kept, 300 - kept)
        assert (report.skipped, report.removed) == ((), 0)
        assert {item.id for item in shop.store.items.scan()} == {f"{one}.png" for one in range(300)}
        assert len(shop.search(photos / "7.png", k=5)) == 5
        assert shop.store.check() == []
        assert isinstance(shop.store, ServerStore)
        removed(shop.store)


def test_what_was_acknowledged_is_there_after_a_kill_in_the_middle_of_writes(
    server: OwnServer, store: ServerStore
) -> None:
    acknowledged: list[str] = []
    vectors = random_rows(50)

    def write() -> None:
        writer = opened(store.address)
        for batch in range(10_000):
            ids = [f"{batch}-{number}" for number in range(50)]
            writer.items.upsert([an_item(one) for one in ids], vectors)
            acknowledged.extend(ids)

    with ThreadPoolExecutor(1) as pool:
        writing = pool.submit(write)
        while len(acknowledged) < 100 and not writing.done():
            time.sleep(0.01)
        server.kill()
        with pytest.raises(StoreUnreachableError):
            writing.result(120)
    server.start()
    found = {item.id for item in store.items.scan()}
    assert {*acknowledged} <= found
    assert store.check() == []
    assert len(found) == store.search.count() <= 20 + len(acknowledged) + 50


def test_a_store_that_is_open_goes_on_after_a_restart(
    server: OwnServer, store: ServerStore
) -> None:
    before = store.search.nearest(random_rows(3, seed=1), k=5)
    server.stop()
    with pytest.raises(StoreUnreachableError):
        store.search.nearest(random_rows(3, seed=1), k=5)
    server.start()
    assert store.search.nearest(random_rows(3, seed=1), k=5) == before
    store.items.upsert([an_item("20")], random_rows(1))
    assert store.search.count() == 21


def test_an_answer_that_is_lost_on_the_way_neither_loses_nor_doubles_what_was_written(
    server: OwnServer, store: ServerStore
) -> None:
    with between(server.url) as rules:
        host = replace(store.address.hosts[0], port=rules.port)
        far = opened(replace(store.address, hosts=(host,)))
        for cut in (1, 2, 3):
            rules.cut = cut
            far.items.upsert([an_item(f"far-{cut}")], random_rows(1))
            assert rules.cut == 0
        rules.cut = 1
        far.items.update([an_item("far-1", label="told")])
        rules.cut = 1
        far.items.delete(["far-2"])
        far.close()
    assert store.search.count() == 22
    assert store.items.get(["far-1"])["far-1"].label == "told"
    assert store.check() == []


def test_a_slow_server_is_waited_for_as_long_as_the_address_says(
    server: OwnServer, store: ServerStore, cli: Cli
) -> None:
    with between(server.url) as rules:
        host = replace(store.address.hosts[0], port=rules.port)
        slow = replace(store.address, hosts=(host,), timeout_s=10)
        rules.delay_s = 0.3
        waiting = opened(slow)
        assert waiting.search.count() == 20
        waiting.close()
        rules.delay_s = 3
        done = cli("info", "-c", f"{slow}?timeout=0.5&retries=1")
        assert "did not respond in time; ?timeout=SECONDS in the address waits longer" in said(done)


def test_a_full_disk_stops_writing_and_nothing_else(store: ServerStore) -> None:
    names = f"/{store.address.name},{store.address.name}.lookalike/_settings"
    store.server.ask("PUT", names, {"index.blocks.read_only_allow_delete": True})
    with pytest.raises(StoreFullError, match="no space on the disk"):
        store.items.upsert([an_item("20")], random_rows(1))
    with pytest.raises(StoreFullError, match="no space on the disk"):
        store.items.update([an_item("00", label="told")])
    assert len(store.search.nearest(random_rows(1), k=20)[0]) == 20
    store.server.ask("PUT", names, {"index.blocks.read_only_allow_delete": None})
    store.items.upsert([an_item("20")], random_rows(1))
    assert store.search.count() == 21


def test_a_shard_that_is_away_is_an_error_within_the_timeout_and_comes_back(
    server: OwnServer,
) -> None:
    store = bound(an_address(server.engine, server.url, "?shards=2&replicas=0&timeout=3"))
    every = [f"{number:02}" for number in range(20)]
    store.items.upsert([*map(an_item, every)], random_rows(20))
    (node,) = store.server.ask("GET", "/_nodes/_local/name").body["nodes"]
    away = {"index": store.address.name, "shard": 0, "node": node, "allow_primary": True}
    start = "cluster.routing.allocation.node_initial_primaries_recoveries"
    store.server.ask("PUT", "/_cluster/settings", {"persistent": {start: 0}})
    brief = "?metric=none" if server.engine == "elasticsearch" else ""  # or it warns
    store.server.ask("POST", f"/_cluster/reroute{brief}", {"commands": [{"cancel": away}]})
    asking: dict[str, Callable[[], object]] = {
        "search": lambda: store.search.nearest(random_rows(2), k=20),
        "exact": lambda: store.search.nearest(random_rows(2), k=20, exact=True),
        "count": store.search.count,
        "scan": lambda: [*store.items.scan()],
        "stamps": lambda: store.items.stamps(""),
        "facets": lambda: store.search.facets("label"),
        "get": lambda: store.items.get(every),
        "upsert": lambda: store.items.upsert([*map(an_item, every)], random_rows(20)),
    }
    began = time.monotonic()
    try:
        for name, ask in asking.items():
            with pytest.raises(StoreUnreachableError, match="a part of the collection is not"):
                pytest.fail(f"{name}: {ask()}")
        assert time.monotonic() - began < 60  # it was a minute for each of them
    finally:
        store.server.ask("PUT", "/_cluster/settings", {"persistent": {start: None}})
    store.close()
    store = opened(replace(store.address, timeout_s=60))
    assert store.search.count() == 20
    found = store.search.nearest(random_rows(1), k=20)[0]
    assert np.isclose(found[0].score, 1, atol=1e-3)
    assert len(found) == 20
    removed(store)
