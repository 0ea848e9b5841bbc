"""Nothing in a folder that lookalike did not write is deleted, moved or changed by it."""

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import lookalike
from live import app_of, problem, serving
from lookalike import config
from lookalike.cli import cli
from lookalike.core.progress import ProgressCallback, ignore_progress
from lookalike.encoders import OnnxEncoder, load_encoder
from lookalike.errors import (
    CollectionFormatError,
    CollectionNotFoundError,
    FolderInUseError,
    StoreError,
)
from lookalike.indexing import prune as pruning
from lookalike.moving import copying, migrating
from lookalike.runfile.execution import execute
from lookalike.runfile.reading import read_run_file
from lookalike.service.settings import ServiceSettings
from lookalike.stores.embedded import exchange, own_files
from lookalike.stores.embedded.own_files import BETWEEN, DATABASE, UPLOADS
from lookalike.stores.embedded.store import EmbeddedStore
from networks import tiny_card

Paint = Callable[[Path, int], Path]
Contents = dict[str, bytes | str | None]

UPLOAD = f"{UPLOADS}/{'0' * 24}/{'1' * 24}.jpg"

# Names that people use, and names that look like lookalike's own.
PRECIOUS = [
    "holiday.jpg",
    "graph-2024.png",
    "graph-1-0123abcd.usearch.bak",
    "collection.sqlite.bak",
    "collection.sqlite-wal.old",
    "Collection.sql",
    "lookalike-backup.json.txt",
    "uploads/cat.jpg",
    f"uploads/{'a' * 24}/cat.jpg",
    f"uploads/{'a' * 24}/{'b' * 24}.jpg.orig",
    f"uploads/{'0' * 24}/notes.txt",
    "uploads/holiday/2024/beach.jpg",
    "2024/cat.jpg",
    ".hidden/.secret",
    "copy/collection.sqlite",
    "copy/graph-1-0123abcd.usearch",
]


@pytest.fixture(scope="session")
def other_card(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_card(tmp_path_factory.mktemp("others"), name="other", seed=5)


@pytest.fixture(scope="session")
def other(other_card: Path) -> OnnxEncoder:
    return load_encoder(other_card)


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory, card: Path, paint: Paint) -> Path:
    """A folder with images, and a collection of them in a folder beside, to be copied."""
    folder = tmp_path_factory.mktemp("model")
    for number in range(4):
        paint(folder / "pictures" / f"{number}.png", number)
    with lookalike.open(folder / "shop", encoder=card, create=True) as shop:
        shop.index(folder / "pictures")
    return folder


@pytest.fixture
def place(tmp_path: Path, model: Path) -> Path:
    """A collection in ``shop``, with an upload; its images in the model's folder."""
    shutil.copytree(model / "shop", tmp_path / "shop")
    _write(tmp_path / "shop" / UPLOAD, b"an upload")
    return tmp_path


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def contents(folder: Path) -> Contents:
    """Everything below a folder: the bytes of files, the targets of links, ``None`` for folders."""
    found: Contents = {}
    for base, folders, files in os.walk(folder):
        for name in [*folders, *files]:
            path = Path(base, name)
            key = path.relative_to(folder).as_posix()
            if path.is_symlink():
                found[key] = str(path.readlink())
            else:
                found[key] = None if path.is_dir() else path.read_bytes()
    return found


def run(*arguments: object) -> Result:
    return CliRunner().invoke(cli, [str(one) for one in arguments])


# -- where a collection may be made --------------------------------------------------------------


def test_a_collection_in_a_folder_of_images_is_refused_before_anything_is_written(
    tmp_path: Path, card: Path, pictures: Path
) -> None:
    before = contents(pictures)
    done = run("index", pictures, "-c", pictures, "--encoder", card)
    assert isinstance(done.exception, FolderInUseError)
    text = str(done.exception)
    assert text.startswith(f"{pictures} holds other files (0.png, 1.png, 2.png and 6 more), so no")
    assert "give a folder that is new or empty" in text
    assert contents(pictures) == before
    assert {path.name for path in tmp_path.iterdir()} >= {"pictures"}


def test_no_way_in_makes_a_collection_among_other_files(
    tmp_path: Path, model: Path, card: Path, monkeypatch: pytest.MonkeyPatch, other: OnnxEncoder
) -> None:
    victim = tmp_path / "home" / "collections" / "victim"
    _write(victim / "mine.jpg", b"mine")
    monkeypatch.setenv("LOOKALIKE_HOME", str(tmp_path / "home"))
    file = tmp_path / "run.yaml"
    file.write_text(
        f"collection: {victim}\nencoder: {card}\nindex: {{source: {model / 'pictures'}}}\n"
    )
    before = contents(tmp_path)

    with pytest.raises(FolderInUseError):
        lookalike.open(victim, create=True)
    with pytest.raises(FolderInUseError):
        lookalike.open("victim", create=True)
    done = run("copy", model / "shop", victim)
    assert isinstance(done.exception, FolderInUseError)
    outcomes = list(execute(read_run_file(file, {}), shown=quiet))
    assert (outcomes[0].status, "holds other files" in outcomes[0].why) == ("failed", True)
    with serving(tmp_path / "home") as live:
        problem(live.client.post("/v1/collections", json={"name": "victim"}), 409, "folder-in-use")
        assert live.client.get("/v1/collections").json()["collections"] == []
    assert contents(tmp_path) == before

    shutil.copytree(model / "shop", tmp_path / "shop")
    name = migrating.version_name("shop", other.fingerprint)
    _write(tmp_path / name / "mine.jpg", b"mine")  # in the way of a migration
    with lookalike.open(tmp_path / "shop") as shop, pytest.raises(FolderInUseError):
        migrating.migrate(shop, other)
    assert contents(tmp_path / name) == {"mine.jpg": b"mine"}
    with lookalike.open(tmp_path / "shop") as shop:
        assert len(shop) == 4


@contextmanager
def quiet(_: str) -> Iterator[ProgressCallback]:
    yield ignore_progress


@pytest.mark.parametrize("name", [".DS_Store", "Thumbs.db", "lost+found"])
def test_what_systems_put_into_folders_is_not_in_the_way_and_stays(
    tmp_path: Path, name: str
) -> None:
    _write(tmp_path / "shop" / name, b"a system's")
    lookalike.open(tmp_path / "shop", create=True).close()
    left = own_files.remove(tmp_path / "shop")
    assert left is not None
    assert left.files == (name,)
    assert contents(tmp_path / "shop") == {name: b"a system's"}


def test_files_and_broken_links_are_no_place_for_a_collection(tmp_path: Path) -> None:
    _write(tmp_path / "file", b"mine")
    with pytest.raises(FolderInUseError, match="is a file, or lies below one"):
        lookalike.open(tmp_path / "file", create=True)
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    with pytest.raises(FolderInUseError, match=r"is a link to .*nowhere, which does not exist"):
        lookalike.open(tmp_path / "link", create=True)
    assert contents(tmp_path) == {"file": b"mine", "link": str(tmp_path / "nowhere")}


@pytest.mark.parametrize("address", [".", "./", "../here", "/", "~"])
def test_paths_that_name_a_folder_in_use_are_refused(
    tmp_path: Path, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    _write(tmp_path / "here" / "mine.txt", b"mine")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path / "here")
    with pytest.raises(FolderInUseError, match="holds other files"):
        lookalike.open(address, create=True)
    assert contents(tmp_path) == {"here": None, "here/mine.txt": b"mine"}


def test_an_empty_folder_or_a_link_to_one_will_do_and_the_linked_one_stays(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "shop").symlink_to(tmp_path / "disk")
    lookalike.open(tmp_path / "shop", create=True).close()
    assert run("remove", "--all", "-y", "-c", tmp_path / "shop").exit_code == 0
    assert contents(tmp_path) == {"disk": None, "shop": str(tmp_path / "disk")}
    lookalike.open(tmp_path / "shop", create=True).close()


# -- files that are called like ours -------------------------------------------------------------


def _their_database(path: Path, *, wal: bool) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    db = sqlite3.connect(path, isolation_level=None)
    if wal:
        db.execute("PRAGMA journal_mode = WAL")
    db.execute("CREATE TABLE theirs (a)")
    db.execute("INSERT INTO theirs VALUES (1)")
    db.close()


@pytest.mark.parametrize("wal", [True, False])
@pytest.mark.parametrize("create", [True, False])
def test_anothers_database_of_our_name_is_neither_changed_nor_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, wal: bool, create: bool
) -> None:
    monkeypatch.setenv("LOOKALIKE_HOME", str(tmp_path))
    folder = tmp_path / "collections" / "theirs"
    _their_database(folder / DATABASE, wal=wal)
    before = contents(tmp_path)
    with pytest.raises(CollectionFormatError, match="another program"):
        lookalike.open("theirs", create=create)
    assert config.collections(config.settings()) == []
    with serving(tmp_path) as live:
        problem(
            live.client.delete("/v1/collections/theirs?confirm=theirs"), 404, "no-such-collection"
        )
    assert run("remove", "--all", "-y", "-c", "theirs").exit_code == 1
    assert contents(tmp_path) == before


def test_a_database_behind_a_link_is_not_deleted(place: Path) -> None:
    shop, disk = place / "shop", place / "disk.sqlite"
    (shop / DATABASE).rename(disk)
    (shop / DATABASE).symlink_to(disk)
    before = contents(place)
    done = run("remove", "--all", "-y", "-c", shop)
    assert isinstance(done.exception, StoreError)
    assert "does not delete through links" in str(done.exception)
    after = contents(place)
    assert {name: after[name] for name in before} == before


def test_links_in_a_collection_are_neither_followed_nor_removed(place: Path) -> None:
    shop, mine = place / "shop", place / "mine"
    _write(mine / ("0" * 24) / f"{'1' * 24}.jpg", b"mine")
    shutil.rmtree(shop / UPLOADS)
    (shop / UPLOADS).symlink_to(mine)
    (shop / "graph-1-0123abcd.usearch").symlink_to(mine)
    assert run("remove", "--all", "-y", "-c", shop).exit_code == 0
    assert contents(mine)[f"{'0' * 24}/{'1' * 24}.jpg"] == b"mine"
    assert contents(shop) == {UPLOADS: str(mine), "graph-1-0123abcd.usearch": str(mine)}


# -- what removes, replaces and moves ------------------------------------------------------------


def _remove(place: Path) -> None:
    done = run("remove", "--all", "--yes", "--json", "-c", place / "shop")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["left"]["folder"] == str(place / "shop")
    assert f"kept {place / 'shop'}: it contains other files (" in done.stderr


def _drop(place: Path) -> None:
    with lookalike.open(place / "shop") as shop:
        assert shop.store.drop() is not None


def _delete_by_service(place: Path) -> None:
    home = place / "home"
    (home / "collections").mkdir(parents=True)
    (place / "shop").rename(home / "collections" / "shop")
    try:
        with serving(home) as live:
            assert live.client.get("/v1/collections/shop").json()["items"] == 4
            assert live.client.delete("/v1/collections/shop?confirm=shop").status_code == 204
            assert live.client.get("/v1/collections").json()["collections"] == []
    finally:
        (home / "collections" / "shop").rename(place / "shop")


def _migrate(place: Path) -> None:
    with lookalike.open(place / "shop") as shop, pytest.raises(FolderInUseError, match="migration"):
        migrating.migrate(shop, load_encoder(place / "other.toml"))
    with lookalike.open(place / "shop") as shop:
        assert len(shop) == 4


def _index_and_check(place: Path) -> None:
    with lookalike.open(place / "shop") as shop:
        shop.index(shop.roots()[0].path)
        shop.check(repair=True)
        shop.optimize()


def _empty(place: Path) -> None:
    with lookalike.open(place / "shop") as shop:
        shop.remove([item.id for item in shop])
        shop.remove_root("")


def _copy_over(place: Path) -> None:
    with (
        lookalike.open(place / "model") as shop,
        lookalike.open(place / "shop") as other,
    ):
        copying.copy(shop.store, other.store, resume=True, mirror=True)


def _serve(place: Path) -> None:
    """Sending images, replacing and deleting them; and the sweep of a service that starts."""
    home = place / "home"
    (home / "collections").mkdir(parents=True)
    (place / "shop").rename(home / "collections" / "shop")
    image = (place / "image.png").read_bytes()
    try:
        for _ in range(2):
            with serving(home) as live:
                items = "/v1/collections/shop/items"
                sent = live.client.put(
                    f"{items}/mine", content=image, headers={"Content-Type": "image/png"}
                )
                assert sent.status_code in (200, 201)
                assert live.client.delete(f"{items}/mine").status_code in (200, 204)
    finally:
        (home / "collections" / "shop").rename(place / "shop")


ACTIONS = [
    _remove,
    _drop,
    _delete_by_service,
    _migrate,
    _index_and_check,
    _empty,
    _copy_over,
    _serve,
]


@pytest.fixture(scope="session")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("scratch")


@given(
    names=st.lists(st.sampled_from(PRECIOUS), min_size=1, max_size=6, unique=True),
    content=st.binary(max_size=64),
    action=st.sampled_from(ACTIONS),
    old=st.booleans(),
)
@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_files_that_were_put_into_a_collections_folder_stay_byte_for_byte(
    scratch: Path,
    model: Path,
    other_card: Path,
    *,
    names: list[str],
    content: bytes,
    action: Callable[[Path], None],
    old: bool,
) -> None:
    place = scratch / os.urandom(6).hex()
    shutil.copytree(model / "shop", place / "shop")
    shutil.copytree(model / "shop", place / "model")
    shutil.copytree(other_card.parent, place, dirs_exist_ok=True)
    shutil.copy(model / "pictures" / "0.png", place / "image.png")
    _write(place / "shop" / UPLOAD, b"an upload")
    for name in names:
        path = place / "shop" / name
        _write(path, content)
        if old:  # as a service judges what an earlier one has left
            os.utime(path, (1.0, 1.0))
    action(place)
    after = contents(place / "shop")
    assert {name: after.get(name) for name in names} == dict.fromkeys(names, content)
    if action in (_remove, _drop, _delete_by_service):
        rest = {name for name, what in after.items() if what is not None}
        assert rest == set(names)
    shutil.rmtree(place)


def test_what_a_migration_replaced_is_dropped_without_what_others_put_there(
    place: Path, other: OnnxEncoder
) -> None:
    with lookalike.open(place / "shop") as shop:
        kept = place / migrating.migrate(shop, other).kept
    _write(kept / "mine.jpg", b"mine")
    _write(kept / "uploads" / "mine.jpg", b"mine")
    done = run("migrate", "--drop-old", "-c", place / "shop", "--json")
    assert done.exit_code == 0, done.output
    said = json.loads(done.stdout)
    assert said["dropped"] == [kept.name]
    assert said["left"][0] == {"folder": str(kept), "files": ["mine.jpg", "uploads"], "count": 2}
    assert "it contains other files (mine.jpg, uploads)" in done.stderr
    assert contents(kept) == {
        "mine.jpg": b"mine",
        "uploads": None,
        "uploads/mine.jpg": b"mine",
    }
    assert (place / "shop" / UPLOAD).read_bytes() == b"an upload"


def test_files_put_there_while_a_migration_runs_keep_it_from_moving_them(
    place: Path, other: OnnxEncoder
) -> None:
    with (
        lookalike.open(place / "shop") as shop,
        pytest.raises(FolderInUseError, match="which a migration would move"),
    ):
        migrating.migrate(
            shop, other, progress=lambda _: _write(place / "shop" / "mine.jpg", b"mine")
        )
    assert (place / "shop" / "mine.jpg").read_bytes() == b"mine"
    with lookalike.open(place / "shop") as shop:
        assert shop.info().encoder == "tiny"
        (place / "shop" / "mine.jpg").unlink()
        assert migrating.migrate(shop, other).items == 4  # goes on from what was built


def test_a_collection_within_anothers_folder_outlives_that(place: Path, model: Path) -> None:
    shutil.copytree(model / "shop", place / "shop" / "inner")
    before = contents(place / "shop" / "inner")
    assert run("remove", "--all", "-y", "-c", place / "shop").exit_code == 0
    assert contents(place / "shop" / "inner") == before
    with lookalike.open(place / "shop" / "inner") as inner:
        assert len(inner) == 4


def test_a_collection_that_was_replaced_is_not_removed_by_who_had_the_old_one(place: Path) -> None:
    with lookalike.open(place / "shop") as late:
        assert run("remove", "--all", "-y", "-c", place / "shop").exit_code == 0
        lookalike.open(place / "shop", create=True).close()
        with pytest.raises(lookalike.errors.CollectionReplacedError):
            late.store.drop()
    assert own_files.holds_collection(place / "shop")


# -- a collection within the folder that it indexes ----------------------------------------------


def test_what_services_keep_in_collections_is_not_indexed_again(
    pictures: Path, model: Path, card: Path, paint: Paint
) -> None:
    for name in ("shop", "albums/other"):
        shutil.copytree(model / "shop", pictures / name)
        image = (pictures / "0.png").read_bytes()
        _write(pictures / name / UPLOADS / ("0" * 24) / f"{'1' * 24}.png", image)
    with lookalike.open(pictures / "own", encoder=card, create=True) as own:
        _write(pictures / "own" / UPLOADS / ("0" * 24) / f"{'1' * 24}.png", image)
        assert own.index(pictures).indexed == 9
        assert own.index(pictures).unchanged == 9
        # What people keep in folders of such names is theirs, and an image like any other.
        paint(pictures / "shop" / "mine.png", 30)
        paint(pictures / "shop" / UPLOADS / "mine.png", 31)
        paint(pictures / UPLOADS / ("0" * 24) / "mine.png", 32)
        assert own.index(pictures).indexed == 3
        assert pruning.prune(own, pictures, dry_run=True).vanished == ()


def test_one_that_an_earlier_version_made_among_images_works_and_spares_them(
    place: Path, paint: Paint, other: OnnxEncoder
) -> None:
    shop = place / "shop"
    for number in range(20, 23):
        paint(shop / f"{number}.png", number)
    before = {name: what for name, what in contents(shop).items() if name.endswith("g")}
    with lookalike.open(shop) as old:
        assert old.index(shop).indexed == 3
        with pytest.raises(FolderInUseError, match="copy the collection to a folder of its own"):
            migrating.migrate(old, other)
    done = run("copy", shop, place / "own")  # as the message says
    assert done.exit_code == 0, done.output
    with lookalike.open(place / "own") as own:
        assert migrating.migrate(own, other).items == 7
    assert run("remove", "--all", "-y", "-c", shop).exit_code == 0
    after = contents(shop)
    images = {name: what for name, what in before.items() if name != UPLOAD}
    assert {name: after.get(name) for name in images} == images


# -- kills ---------------------------------------------------------------------------------------

_KILLED = """
import os, signal, sys
from pathlib import Path
import lookalike
from lookalike.stores.embedded import own_files
count = int(sys.argv[2])
plain = Path.unlink
def unlink(self, missing_ok=False):
    global count
    if not count:
        os.kill(os.getpid(), signal.SIGKILL)
    count -= 1
    plain(self, missing_ok=missing_ok)
Path.unlink = unlink
shop = lookalike.open(Path(sys.argv[1]))
shop.store.drop()
"""


@pytest.mark.parametrize("count", [0, 1, 2])
def test_a_removal_that_was_killed_leaves_a_collection_or_none(place: Path, count: int) -> None:
    shop = place / "shop"
    _write(shop / "graph-1-0123abcd.usearch", b"stale")
    _write(shop / "mine.jpg", b"mine")
    done = subprocess.run([sys.executable, "-c", _KILLED, str(shop), str(count)], check=False)
    assert done.returncode == -signal.SIGKILL
    assert (shop / "mine.jpg").read_bytes() == b"mine"
    if count:
        with pytest.raises(CollectionNotFoundError):
            lookalike.open(shop)
        (shop / "mine.jpg").unlink()
        lookalike.open(shop, create=True).close()  # what was left is ours
    with lookalike.open(shop) as again:
        assert len(again) == (0 if count else 4)
        assert again.check() == []


def test_an_exchange_in_three_steps_that_was_killed_is_put_right(
    place: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exchange, "_at_once", lambda *_: False)
    shutil.copytree(model / "shop", place / "new")
    (place / "shop").rename(place / f"shop{BETWEEN}")  # the first step of three
    with lookalike.open(place / "shop") as shop:
        assert len(shop) == 4
    assert not (place / f"shop{BETWEEN}").exists()
    _write(place / f"shop{BETWEEN}" / "mine.txt", b"mine")
    with pytest.raises(FileExistsError, match="in the way"):
        exchange.exchange(place / "shop", place / "new")
    assert (place / f"shop{BETWEEN}" / "mine.txt").read_bytes() == b"mine"
    (place / "shop").rename(place / "gone")
    with pytest.raises(CollectionNotFoundError):
        EmbeddedStore.open(place / "shop")  # what lies there is no collection of ours
    assert app_of(place, ServiceSettings()) is not None


def test_the_database_is_known_as_ours_from_its_first_moment(tmp_path: Path) -> None:
    """Also while what was written still lies in the WAL beside it."""
    with lookalike.open(tmp_path / "shop", create=True):
        assert own_files.holds_collection(tmp_path / "shop")
    old = tmp_path / "old" / DATABASE  # as earlier versions began one
    old.parent.mkdir()
    db = sqlite3.connect(old, isolation_level=None)
    db.execute("PRAGMA journal_mode = WAL")
    db.execute(f"PRAGMA application_id = {own_files.APPLICATION_ID}")
    db.execute("CREATE TABLE items (a)")
    shutil.copytree(old.parent, tmp_path / "killed")
    db.close()
    assert own_files.holds_collection(tmp_path / "killed")


def test_files_that_a_service_renames_meanwhile_are_nobody_elses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A migration looks at a folder while uploads come and go there."""
    folder = tmp_path / "shop" / "uploads" / ("a" * 24)
    folder.mkdir(parents=True)
    gone = folder / f"{'b' * 16}.part"
    there = folder / f"{'c' * 24}.jpg"
    there.write_bytes(b"image")
    monkeypatch.setattr(
        own_files,
        "_entries",
        lambda path: [gone, there] if path == folder else sorted(path.iterdir()),
    )
    assert list(own_files.other_files(tmp_path / "shop")) == []
    (folder / "letter.txt").touch()
    monkeypatch.undo()
    assert list(own_files.other_files(tmp_path / "shop")) == [f"uploads/{'a' * 24}/letter.txt"]
