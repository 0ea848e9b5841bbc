"""Backups: consistent while in use, whole or refused, restored without overwriting anything."""

import json
import multiprocessing
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import lookalike
from contracts.moving import place
from contracts.store import DIM, an_item, random_rows
from live import ids, serving
from lookalike.cli import cli
from lookalike.collection import Collection
from lookalike.core.records import Thumbnail
from lookalike.encoders import load_encoder
from lookalike.errors import (
    CollectionError,
    CollectionFormatError,
    CollectionNotFoundError,
    FolderInUseError,
    StoreDamagedError,
)
from lookalike.moving import backups, migrating
from lookalike.stores.embedded.own_files import DATABASE, MANIFEST, UPLOADS
from lookalike.stores.embedded.store import EmbeddedStore
from networks import tiny_card
from test_folder_safety import contents

__all__ = ["place"]  # a fixture


def run(*arguments: object) -> Result:
    return CliRunner().invoke(cli, [str(one) for one in arguments])


@pytest.fixture
def shop(tmp_path: Path, pictures: Path, card: Path) -> Path:
    """A collection with labels, metadata, thumbnails and a declared field."""
    folder = tmp_path / "shop"
    with lookalike.open(folder, encoder=card, create=True) as shop:
        shop.index(pictures, thumbnails=32)
        shop.label(["1.png", "2.png"], "mug")
        shop.add("mine", pictures / "0.png", group="g", metadata={"price": 5})
        shop.declare("price")
    return folder


def everything(shop: Collection) -> object:
    """All that is kept of the items, settings aside."""
    found = list(shop)
    store = shop.store
    names = [item.id for item in found]
    small = store.thumbnails.get(names)
    return (
        found,
        store.items.rows(names).tobytes(),
        {name: (one.side, one.jpeg) for name, one in small.items()},
        shop.declared(),
        [str(root) for root in shop.roots() if root.name != UPLOADS],
    )


def test_what_is_restored_equals_what_was_backed_up(shop: Path, tmp_path: Path) -> None:
    with lookalike.open(shop) as collection:
        before = everything(collection)
        report = backups.backup(collection, tmp_path / "backups" / "monday")
        assert (report.items, report.missing, report.interrupted) == (10, (), False)
        collection.remove(["mine"])
        collection.label(["1.png"], "cup")
    with lookalike.open(tmp_path / "backups" / "monday") as opened:  # it is a collection itself
        assert everything(opened) == before
        assert opened.check() == []
    restored = backups.restore(tmp_path / "backups" / "monday", tmp_path / "again")
    assert (restored.items, restored.bytes) == (10, report.bytes)
    with lookalike.open(tmp_path / "again") as again:
        assert everything(again) == before
        assert again.check() == []
        assert again.search(tmp_path / "pictures" / "3.png", include_self=True)[0].item.id
        assert again.index(tmp_path / "pictures").unchanged == 9
    assert not (tmp_path / "again" / MANIFEST).exists()
    assert sorted(path.name for path in (tmp_path / "backups").iterdir()) == ["monday"]


def _writes(folder: Path) -> None:
    with lookalike.open(folder) as shop:
        for turn in range(10_000):
            items = [an_item(f"{turn}-{n}", label=str(turn)) for n in range(20)]
            shop.store.items.upsert(items, random_rows(20, seed=turn))
            if turn % 3 == 2:
                shop.remove([f"{turn - 1}-{n}" for n in range(20)])


def test_a_backup_made_while_others_write_is_of_one_moment(tmp_path: Path) -> None:
    with lookalike.open(tmp_path / "shop", create=True) as shop:
        shop.store.bind(encoder="tiny", fingerprint="tiny-1", dim=DIM)
        shop.store.items.upsert([an_item(f"first-{n}") for n in range(3000)], random_rows(3000))
    process = multiprocessing.get_context("spawn").Process(
        target=_writes, args=(tmp_path / "shop",)
    )
    process.start()
    try:
        with lookalike.open(tmp_path / "shop") as shop:
            while shop.count("label=0") < 20:
                time.sleep(0.01)
            for number in range(5):
                before = shop.count()
                backups.backup(shop, tmp_path / str(number))
                assert shop.count() != before or process.is_alive()
        assert process.is_alive()
    finally:
        process.terminate()
        process.join()
    last = -1
    for number in range(5):
        with lookalike.open(tmp_path / str(number)) as opened:
            assert opened.check() == []
            found = dict(opened.facets("label", limit=10_000))
            assert set(found.values()) == {20}, "half a batch was backed up"
            newest = max(int(str(label)) for label in found)
            assert newest >= last
            last = newest


def test_uploads_come_along_and_are_shown_from_where_they_were_restored(
    tmp_path: Path, shop: Path, pictures: Path
) -> None:
    home = tmp_path / "home" / "collections"
    home.mkdir(parents=True)
    shop.rename(home / "shop")
    image = (pictures / "5.png").read_bytes()
    with serving(tmp_path / "home") as live:
        headers = {"Content-Type": "image/png"}
        address = "/v1/collections/shop/items/sent"
        assert live.client.put(address, content=image, headers=headers).is_success
        with live.opened() as collection:
            report = backups.backup(collection, tmp_path / "backup")
    assert (report.uploads, report.missing) == (1, ())
    shutil.rmtree(home / "shop")
    with lookalike.open(tmp_path / "backup") as opened:
        file = opened.file_of(opened.get("sent"))
        assert file is not None
        assert file.is_relative_to(tmp_path / "backup")
        assert file.read_bytes() == image
    backups.restore(tmp_path / "backup", home / "new")
    shutil.rmtree(tmp_path / "backup")
    with lookalike.open(home / "new") as again:
        file = again.file_of(again.get("sent"))
        assert file is not None
        assert file.is_relative_to(home / "new")
        assert file.read_bytes() == image
    with serving(tmp_path / "home") as live:
        shown = live.client.get("/v1/collections/new/items/sent/image")
        assert shown.content == image
        found = live.client.post(
            "/v1/collections/new/search?include_self=true", content=image, headers=headers
        )
        assert "sent" in ids(found)


def test_an_upload_that_has_gone_is_told_and_strays_stay_behind(tmp_path: Path, shop: Path) -> None:
    stray = shop / UPLOADS / ("a" * 24) / f"{'b' * 24}.jpg"
    stray.parent.mkdir(parents=True)
    stray.write_bytes(b"of no item")
    path = f"{'c' * 24}/{'d' * 24}.png"
    with lookalike.open(shop) as collection:
        collection.store.settings.set("uploads", UPLOADS)
        collection.store.settings.change(
            "roots",
            lambda roots: {**roots, UPLOADS: str(shop / UPLOADS)},  # type: ignore[dict-item] # a mapping
        )
        collection.store.items.upsert(
            [an_item("gone", root=UPLOADS, path=path)],
            np.asarray(collection.vectors(["1.png"]), np.float32),
        )
    done = run("backup", tmp_path / "backup", "-c", shop)
    assert done.exit_code == 0, done.output
    assert f"not backed up, as its file is missing: upload {path}" in done.stderr
    assert not (tmp_path / "backup" / UPLOADS).exists()
    assert stray.read_bytes() == b"of no item"


def test_the_ann_index_comes_along(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lookalike.stores.embedded.ann_cache.EXACT_FLOATS", 1000)
    with lookalike.open(tmp_path / "shop", create=True) as shop:
        shop.store.bind(encoder="tiny", fingerprint="tiny-1", dim=DIM)
        shop.store.items.upsert([an_item(f"{n}") for n in range(2000)], random_rows(2000))
        assert shop.optimize()
        rows = shop.info().ann_index_rows
        backups.backup(shop, tmp_path / "backup")
    backups.restore(tmp_path / "backup", tmp_path / "again")
    with lookalike.open(tmp_path / "again") as again:
        assert again.info().ann_index_rows == rows == 2000
        assert again.check() == []
        assert not again.optimize()


def test_what_a_migration_keeps_beside_the_original_is_not_the_copys(
    shop: Path, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    other = load_encoder(tiny_card(tmp_path_factory.mktemp("others"), name="other", seed=5))
    with lookalike.open(shop) as collection:
        collection.remove(["mine"])
        kept = migrating.migrate(collection, other).kept
    with lookalike.open(shop) as collection:
        backups.backup(collection, tmp_path / "backup")
    backups.restore(tmp_path / "backup", tmp_path / "again")
    for name in ("backup", "again"):
        with lookalike.open(tmp_path / name) as copy:
            assert migrating.drop_old(copy).dropped == ()
    assert (tmp_path / kept / DATABASE).exists()


# -- what is refused -----------------------------------------------------------------------------


@pytest.mark.parametrize("what", ["file", "folder", "collection", "link", "itself", "inside"])
def test_nothing_that_exists_is_overwritten(shop: Path, tmp_path: Path, what: str) -> None:
    with lookalike.open(shop) as collection:
        backups.backup(collection, tmp_path / "backup")
    place = tmp_path / "place"
    if what == "file":
        place.write_bytes(b"mine")
    elif what == "folder":
        place.mkdir()
        (place / "mine").write_bytes(b"mine")
    elif what == "collection":
        lookalike.open(place, create=True).close()
    elif what == "link":
        (tmp_path / "disk").mkdir()
        place.symlink_to(tmp_path / "disk")
    elif what == "itself":
        place = shop
    else:
        place = shop / "backup"
    before = contents(tmp_path)
    done = run("backup", place, "-c", shop)
    assert isinstance(done.exception, FolderInUseError)
    if what != "inside":
        assert "exists already, and is never overwritten" in str(done.exception)
        done = run("restore", tmp_path / "backup", "-c", place)
        assert isinstance(done.exception, FolderInUseError)
    assert contents(tmp_path) == before


def test_an_empty_folder_will_do(shop: Path, tmp_path: Path) -> None:
    for name in ("backup", "again"):
        (tmp_path / name).mkdir()
    assert run("backup", tmp_path / "backup", "-c", shop).exit_code == 0
    assert run("restore", tmp_path / "backup", "-c", tmp_path / "again").exit_code == 0


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A backup with an upload, to be damaged in copies."""
    folder = tmp_path_factory.mktemp("made")
    with lookalike.open(folder / "shop", create=True) as shop:
        shop.store.bind(encoder="tiny", fingerprint="tiny-1", dim=DIM)
        items = [an_item(f"{n}", label=str(n)) for n in range(200)]
        shop.store.items.upsert(
            items, random_rows(200), [Thumbnail(jpeg=b"x" * 500, side=32)] * 200
        )
        path = f"{'c' * 24}/{'d' * 24}.png"
        (folder / "shop" / UPLOADS / path).parent.mkdir(parents=True)
        (folder / "shop" / UPLOADS / path).write_bytes(b"an upload")
        shop.store.items.upsert([an_item("sent", root=UPLOADS, path=path)], random_rows(1))
        shop.store.settings.set("uploads", UPLOADS)
        shop.store.settings.set("roots", {UPLOADS: str(folder / "shop" / UPLOADS)})
        assert backups.backup(shop, folder / "backup").uploads == 1
    return folder


@given(seed=st.integers(0, 2**32), how=st.sampled_from(["bit", "cut", "gone", "longer"]))
@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_a_damaged_backup_is_refused_and_leaves_nothing(made: Path, seed: int, how: str) -> None:
    chance = random.Random(seed)
    place = made / os.urandom(6).hex()
    shutil.copytree(made / "backup", place / "backup")
    files = sorted(path for path in (place / "backup").rglob("*") if path.is_file())
    victim = chance.choice(files)
    content = bytearray(victim.read_bytes())
    if how == "bit":
        content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
    elif how == "cut":
        del content[chance.randrange(len(content)) :]
    elif how == "longer":
        content += b"x"
    if how == "gone":
        victim.unlink()
    else:
        victim.write_bytes(content)
    expected = (StoreDamagedError, CollectionFormatError)
    for attempt in (
        lambda: backups.verify(place / "backup"),
        lambda: backups.restore(place / "backup", place / "again"),
    ):
        try:
            attempt()
        except expected:
            continue
        # What the list says of itself (when, of what) may be another without harm.
        assert victim.name == MANIFEST
    if victim.name != MANIFEST:
        assert [path.name for path in place.iterdir()] == ["backup"]
    shutil.rmtree(place)


def test_a_backup_that_was_written_to_is_refused(shop: Path, tmp_path: Path) -> None:
    with lookalike.open(shop) as collection:
        backups.backup(collection, tmp_path / "backup")
    with lookalike.open(tmp_path / "backup") as opened:
        opened.search(tmp_path / "pictures" / "1.png")  # reading changes nothing
    assert backups.verify(tmp_path / "backup").items == 10
    with lookalike.open(tmp_path / "backup") as opened:
        opened.label(["1.png"], "changed")
    with pytest.raises(StoreDamagedError, match="was changed since"):
        backups.restore(tmp_path / "backup", tmp_path / "again")
    assert not (tmp_path / "again").exists()


@pytest.mark.parametrize("name", ["../../mine", "/etc/passwd", "uploads/../../mine", "mine.txt"])
def test_a_list_that_names_other_files_is_refused(shop: Path, tmp_path: Path, name: str) -> None:
    with lookalike.open(shop) as collection:
        backups.backup(collection, tmp_path / "backup")
    path = tmp_path / "backup" / MANIFEST
    said = json.loads(path.read_text())
    said["files"][name] = [0, "0" * 64]
    path.write_text(json.dumps(said))
    with pytest.raises(StoreDamagedError, match="damaged"):
        backups.restore(tmp_path / "backup", tmp_path / "again")


def test_what_is_no_backup_and_a_newer_ones_are_told_apart(shop: Path, tmp_path: Path) -> None:
    with pytest.raises(CollectionFormatError, match=rf"is not a backup: it holds no {MANIFEST}"):
        backups.restore(shop, tmp_path / "again")
    with pytest.raises(CollectionFormatError, match="is not a backup"):
        backups.verify(tmp_path / "missing")
    (shop / MANIFEST).write_text('{"lookalike-backup": 2}')
    with pytest.raises(CollectionFormatError, match="upgrade lookalike"):
        backups.verify(shop)


def test_a_damaged_collection_is_not_backed_up(tmp_path: Path) -> None:
    store = EmbeddedStore.open(tmp_path / "shop", create=True)
    store.bind(encoder="tiny", fingerprint="tiny-1", dim=DIM)
    store.items.upsert([an_item(f"{number}") for number in range(2000)], random_rows(2000))
    store.close()
    content = bytearray((tmp_path / "shop" / DATABASE).read_bytes())
    middle = len(content) // 2 // 16384 * 16384
    content[middle : middle + 16384] = os.urandom(16384)
    (tmp_path / "shop" / DATABASE).write_bytes(content)
    with lookalike.open(tmp_path / "shop") as shop, pytest.raises(StoreDamagedError):
        backups.backup(shop, tmp_path / "backup")
    assert [path.name for path in tmp_path.iterdir()] == ["shop"]


# -- stops and kills -----------------------------------------------------------------------------


def test_a_stop_leaves_nothing(made: Path, tmp_path: Path) -> None:
    calls: list[int] = []

    def stop() -> bool:
        calls.append(1)
        return len(calls) > 1

    with lookalike.open(made / "shop") as shop:
        assert backups.backup(shop, tmp_path / "a" / "backup", stop=stop).interrupted
    calls.clear()
    assert backups.restore(made / "backup", tmp_path / "a" / "again", stop=stop).interrupted
    assert list(tmp_path.iterdir()) == []


_KILLED = """
import os, signal, sys
from pathlib import Path
import lookalike
from lookalike.moving import backups
count = int(sys.argv[4])
def killed(*_):
    global count
    if not count:
        os.kill(os.getpid(), signal.SIGKILL)
    count -= 1
    return False
if sys.argv[1] == "backup":
    with lookalike.open(Path(sys.argv[2])) as shop:
        backups.backup(shop, Path(sys.argv[3]), stop=killed)
else:
    backups.restore(Path(sys.argv[2]), Path(sys.argv[3]), stop=killed)
"""


@pytest.mark.parametrize("count", [0, 1])
@pytest.mark.parametrize("what", ["backup", "restore"])
def test_a_kill_leaves_no_half_of_either(
    made: Path, tmp_path: Path, what: str, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = made / ("shop" if what == "backup" else "backup")
    target = tmp_path / "collections" / "new"
    done = subprocess.run(
        [sys.executable, "-c", _KILLED, what, str(source), str(target), str(count)], check=False
    )
    assert done.returncode == -signal.SIGKILL
    assert not target.exists()
    monkeypatch.setenv("LOOKALIKE_HOME", str(tmp_path))
    assert run("list", "--collections").stdout == ""
    assert (
        run(
            what, *((target, "-c", source) if what == "backup" else (source, "-c", target))
        ).exit_code
        == 0
    )
    with lookalike.open(target) as new:
        assert len(new) == 201


# -- the commands --------------------------------------------------------------------------------


def test_the_commands_tell_what_they_did(
    shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOOKALIKE_HOME", str(tmp_path / "home"))
    done = run("backup", tmp_path / "backup", "-c", shop)
    assert done.exit_code == 0, done.output
    assert done.stdout.startswith("10 items (")
    assert f"backed up to {tmp_path / 'backup'} in " in done.stdout
    said = json.loads(run("backup", tmp_path / "other", "-c", shop, "--json").stdout)
    assert (said["items"], said["missing"], said["interrupted"]) == (10, [], False)
    done = run("restore", tmp_path / "backup", "--check")
    assert done.stdout.startswith("undamaged: 10 items (")
    assert json.loads(run("restore", tmp_path / "backup", "--check", "--json").stdout)["of"] == str(
        shop
    )
    done = run("restore", tmp_path / "backup", "-c", "shop2")
    assert done.exit_code == 0, done.output
    assert "restored to" in done.stdout
    assert run("list", "--collections").stdout == "shop2\n"
    done = run("restore", tmp_path / "backup", "-c", "shop2", "--json")
    assert isinstance(done.exception, FolderInUseError)


def test_a_backup_of_what_is_not_there_is_an_error(tmp_path: Path) -> None:
    done = run("backup", tmp_path / "backup", "-c", tmp_path / "none")
    assert isinstance(done.exception, CollectionNotFoundError)
    assert list(tmp_path.iterdir()) == []


def test_servers_are_told_another_way(tmp_path: Path) -> None:
    done = run("restore", tmp_path / "backup", "-c", "elasticsearch://localhost:9200/shop")
    assert isinstance(done.exception, CollectionError)
    assert "lookalike copy FOLDER ADDRESS" in str(done.exception)


@pytest.mark.engines
@pytest.mark.parametrize("kind", ["elasticsearch", "opensearch"])
def test_a_backup_of_a_collection_on_a_server_says_what_to_do(
    kind: str, place: Callable[[str], str], tmp_path: Path
) -> None:
    with (
        lookalike.open(place(kind), create=True) as shop,
        pytest.raises(CollectionError, match=r"is on a server; `lookalike copy`"),
    ):
        backups.backup(shop, tmp_path / "backup")
    assert list(tmp_path.iterdir()) == []
