"""Migrating a collection to another encoder, while it is in use."""

import errno
import json
import multiprocessing
import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from contracts.moving import KINDS, SERVERS, Place, place
from contracts.store import an_item
from lookalike.cli.migrate import migrate_command
from lookalike.collection import Collection
from lookalike.config import open_collection
from lookalike.core.protocols import Store
from lookalike.encoders import OnnxEncoder, load_encoder
from lookalike.errors import CollectionError, LookalikeError, SourceError
from lookalike.moving import migrating
from lookalike.stores.embedded import exchange
from lookalike.stores.servers import indexes
from lookalike.stores.servers.store import ServerStore
from networks import tiny_card

__all__ = ["place"]  # a fixture

Paint = Callable[[Path, int], Path]


@pytest.fixture(scope="session")
def other_card(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_card(tmp_path_factory.mktemp("others"), name="other", seed=5)


@pytest.fixture(scope="session")
def other(other_card: Path) -> OnnxEncoder:
    return load_encoder(other_card)


@pytest.fixture
def shop(request: pytest.FixtureRequest) -> Iterator[Collection]:
    """A collection of nine pictures in a folder; the kind of its store is the parameter."""
    place: Place = request.getfixturevalue("place")
    card: Path = request.getfixturevalue("card")
    pictures: Path = request.getfixturevalue("pictures")
    address = place(getattr(request, "param", "embedded"))
    with open_collection(address, encoder=card, create=True) as shop:
        shop.index(pictures)
        shop.label(["1.png", "2.png"], "mug")
        yield shop


everywhere = pytest.mark.parametrize("shop", KINDS, indirect=True)


@everywhere
def test_what_was_said_of_an_image_that_has_gone_comes_back_with_it(
    shop: Collection, pictures: Path, other: OnnxEncoder, tmp_path: Path
) -> None:
    address = address_of(shop)
    (pictures / "1.png").rename(tmp_path / "gone.png")
    report = migrating.migrate(shop, other)
    assert len(report.lost) == 1
    with again(address, other) as new:
        migrating.drop_old(new)
        assert [(one.item.id, one.item.label) for one in new.missing()] == [("1.png", "mug")]
        (tmp_path / "gone.png").rename(pictures / "1.png")
        assert new.index(pictures).restored == 1
        assert new.get("1.png").label == "mug"


def address_of(shop: Collection) -> str:
    return shop.info().address


def again(address: str, encoder: OnnxEncoder | None = None) -> Collection:
    """The collection as someone opens it now."""
    return open_collection(address, create=False, encoder=encoder)


@everywhere
def test_the_new_encoder_takes_over_and_the_old_collection_stays(
    shop: Collection, other: OnnxEncoder, other_card: Path, pictures: Path
) -> None:
    address, before = address_of(shop), list(shop.items())
    old = shop.search(pictures / "1.png", k=9, include_self=True)
    report = migrating.migrate(shop, other, card=str(other_card))
    assert (report.encoded, report.lost, report.items) == (9, (), 9)
    with again(address, other) as new:
        assert new.info().fingerprint == other.fingerprint
        assert list(new.items()) == before
        assert [root.path for root in new.roots()] == [pictures.resolve()]
        first = new.search(pictures / "1.png", k=9, include_self=True)
        assert first[0].item.id == "1.png"
        assert first[0].score == pytest.approx(1, abs=1e-3)
        assert [hit.score for hit in first] != [hit.score for hit in old]
        kept = new.store.sibling(report.kept, create=False)
        assert [item.id for item in kept.items.scan()] == [item.id for item in before]
        assert kept.bound() != new.store.bound()
        kept.close()
        assert migrating.drop_old(new).dropped == (report.kept,)
        assert migrating.drop_old(new).dropped == ()
        assert list(new.items()) == before
        assert new.index(pictures).unchanged == 9


@pytest.mark.parametrize("linked", [True, False])
def test_uploads_are_in_both_collections_afterwards(
    shop: Collection, other: OnnxEncoder, monkeypatch: pytest.MonkeyPatch, *, linked: bool
) -> None:
    folder, kept = Path(address_of(shop)), f"uploads/{'a' * 24}/{'1' * 24}.jpg"
    (folder / kept).parent.mkdir(parents=True)
    (folder / kept).write_bytes(b"one")
    if not linked:

        def link(*_: object, **__: object) -> None:
            raise PermissionError(errno.EPERM, "this file system has no links")

        monkeypatch.setattr(os, "link", link)
    old = folder.with_name(migrating.migrate(shop, other).kept)
    for one in (folder, old):
        assert (one / kept).read_bytes() == b"one"
    assert (folder / kept).samefile(old / kept) is linked
    with again(str(folder), other) as new:
        assert migrating.drop_old(new) == migrating.DropReport(dropped=(old.name,))
    assert (folder / kept).exists()
    assert not old.exists()


def test_uploads_behind_a_link_stay_where_they_are(
    shop: Collection, other: OnnxEncoder, tmp_path: Path
) -> None:
    folder, disk = Path(address_of(shop)), tmp_path / "disk"
    disk.mkdir()
    (disk / "mine.jpg").write_bytes(b"mine")
    (folder / "uploads").symlink_to(disk)
    old = folder.with_name(migrating.migrate(shop, other).kept)
    assert (folder / "uploads").readlink() == disk
    with again(str(folder), other) as new:
        (left,) = migrating.drop_old(new).left
    assert (left.files, left.count) == (("uploads",), 1)
    assert (old / "uploads").readlink() == disk
    assert (disk / "mine.jpg").read_bytes() == b"mine"


@everywhere
def test_back_again_needs_no_encoding(
    shop: Collection, other: OnnxEncoder, tiny: OnnxEncoder, pictures: Path
) -> None:
    address = address_of(shop)
    migrating.migrate(shop, other)
    with again(address, other) as new:
        new.label(["3.png"], "cup")
        new.remove("4.png")
        report = migrating.migrate(new, tiny)
    assert (report.encoded, report.updated, report.removed, report.items) == (0, 1, 1, 8)
    with again(address) as back:
        assert back.info().fingerprint == tiny.fingerprint
        assert back.get("3.png").label == "cup"
        assert len(back) == 8
        assert back.search(pictures / "3.png", include_self=True)[0].item.id == "3.png"
        back.remove("5.png")  # it takes writes again
        assert len(back) == 7


@everywhere
def test_what_changes_during_the_build_is_there_after_it(
    shop: Collection, other: OnnxEncoder, pictures: Path, paint: Paint
) -> None:
    address = address_of(shop)
    changed = False

    def change(_progress: object) -> None:
        nonlocal changed
        if changed:
            return
        changed = True
        with again(address) as live:  # as another process would
            paint(pictures / "new.png", 50)
            paint(pictures / "0.png", 51)
            (pictures / "8.png").unlink()
            live.index(pictures)
            live.label(["1.png"], None)
            live.label(["2.png"], "cup")
            assert len(live.search(pictures / "1.png", k=20)) == 8  # searches go on

    report = migrating.migrate(shop, other, progress=change)
    assert report.lost == ()
    with again(address, other) as new:
        assert {item.id for item in new.items()} == {
            *(f"{number}.png" for number in range(8)),
            "new.png",
        }
        assert (new.get("1.png").label, new.get("2.png").label) == (None, "cup")
        hits = new.search(pictures / "0.png", include_self=True)
        assert hits[0].item.id == "0.png"
        assert hits[0].score == pytest.approx(1, abs=1e-3)


@everywhere
def test_whoever_has_the_old_one_open_cannot_write_into_either(
    shop: Collection, other: OnnxEncoder, card: Path, pictures: Path, paint: Paint
) -> None:
    address = address_of(shop)
    with open_collection(address, encoder=card, create=True) as late:
        assert len(late.search(pictures / "1.png")) == 8
        assert late.store.is_current()
        migrating.migrate(shop, other)
        assert not late.store.is_current()
        paint(pictures / "late.png", 60)
        with pytest.raises(LookalikeError):
            late.index(pictures)
    with again(address, other) as new:
        assert len(new) == 9
        assert new.store.check() == []
        assert new.index(pictures).indexed == 1


@everywhere
def test_pictures_that_have_gone_are_listed_and_stay_behind(
    shop: Collection, other: OnnxEncoder, pictures: Path
) -> None:
    address = address_of(shop)
    shop.add("bytes", (pictures / "7.png").read_bytes())
    (pictures / "3.png").unlink()
    (pictures / "4.png").write_bytes(b"no picture at all")
    report = migrating.migrate(shop, other)
    assert sorted(one.path for one in report.lost) == ["3.png", "4.png", "bytes"]
    assert {one.path: one.reason for one in report.lost}["3.png"] == "its file no longer exists"
    with again(address, other) as new:
        assert len(new) == 7


def test_a_disk_that_is_away_stops_it(shop: Collection, other: OnnxEncoder, pictures: Path) -> None:
    shutil.move(pictures, pictures.with_name("away"))
    with pytest.raises(SourceError, match="is not there"):
        migrating.migrate(shop, other)
    assert len(shop) == 9


def test_losing_more_than_half_needs_a_yes(
    shop: Collection, other: OnnxEncoder, pictures: Path
) -> None:
    address, before = address_of(shop), shop.info().fingerprint
    for number in range(5):
        (pictures / f"{number}.png").unlink()
    with pytest.raises(SourceError, match="5 of the 9 images cannot be used"):
        migrating.migrate(shop, other)
    with again(address) as live:
        assert live.info().fingerprint == before
        assert migrating.migrate(live, other, most=True).items == 4


def test_the_same_encoder_an_empty_collection_and_a_stranger_in_the_way_are_refused(
    shop: Collection, tiny: OnnxEncoder, other: OnnxEncoder, place: Place, card: Path
) -> None:
    with pytest.raises(CollectionError, match="nothing to do"):
        migrating.migrate(shop, tiny)
    with (
        open_collection(place("embedded"), encoder=card, create=True) as empty,
        pytest.raises(CollectionError, match="empty"),
    ):
        migrating.migrate(empty, other)
    stranger = shop.store.sibling(
        migrating.version_name(shop.store.name, other.fingerprint), create=True
    )
    stranger.bind(encoder=other.name, fingerprint=other.fingerprint, dim=other.dim)
    with open_collection(str(stranger.facts()["address"]), encoder=other) as mine:
        mine.add("a", Path(str(shop.file_of(shop.get("1.png")))))
        with pytest.raises(CollectionError, match="already"):
            migrating.migrate(shop, other)
        assert len(mine) == 1
    stranger.close()


@pytest.mark.parametrize("shop", SERVERS, indirect=True)
def test_one_that_was_killed_before_the_swap_and_left_a_lock_goes_on(
    shop: Collection, other: OnnxEncoder, pictures: Path, paint: Paint
) -> None:
    address = address_of(shop)
    assert isinstance(shop.store, ServerStore)

    def killed(_progress: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        migrating.migrate(shop, other, progress=killed)
    indexes.block(shop.store.server, shop.store.index)
    migrating.migrate(shop, other)
    paint(pictures / "new.png", 90)
    with again(address, other) as new:
        assert new.index(pictures).indexed == 1
        assert len(new) == 10


@everywhere
def test_a_collection_that_has_the_name_of_the_kept_one_stays(
    shop: Collection, other: OnnxEncoder, tiny: OnnxEncoder
) -> None:
    name = migrating.version_name(shop.store.name, tiny.fingerprint)
    stranger = shop.store.sibling(name, create=True)
    try:
        stranger.bind(encoder=tiny.name, fingerprint=tiny.fingerprint, dim=tiny.dim)
        stranger.items.upsert([an_item("mine")], shop.vectors(["1.png"]))
        with suppress(CollectionError):  # or the old one is kept under another name
            assert migrating.migrate(shop, other).kept != name
        assert [item.id for item in stranger.items.scan()] == ["mine"]
        assert shop.store.sibling(name, create=False).search.count() == 1
    finally:
        stranger.drop()


def _migrate(address: str, card: Path) -> None:
    encoder = load_encoder(card)
    with open_collection(address) as shop:
        migrating.migrate(shop, encoder, progress=lambda _: time.sleep(0.3))


@everywhere
def test_a_migration_that_was_killed_goes_on(
    shop: Collection, other: OnnxEncoder, other_card: Path, pictures: Path, paint: Paint
) -> None:
    address = address_of(shop)
    for number in range(100, 400):
        paint(pictures / f"{number}.png", number)
    shop.index(pictures)
    process = multiprocessing.get_context("spawn").Process(
        target=_migrate, args=(address, other_card)
    )
    process.start()
    name = migrating.version_name(shop.store.name, other.fingerprint)
    deadline = time.monotonic() + 60
    there = 0
    while there < 64 and time.monotonic() < deadline:
        there = _count(shop.store, name)
        time.sleep(0.02)
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    there = _count(shop.store, name)
    assert 64 <= there < 309
    report = migrating.migrate(shop, other)
    assert report.encoded <= 309 - there + 64
    assert report.encoded >= 309 - there - 64
    with again(address, other) as new:
        assert len(new) == 309


def _count(store: Store, name: str) -> int:
    try:
        there = store.sibling(name, create=False)
    except CollectionError:
        return 0
    try:
        return there.search.count() if there.bound() else 0
    finally:
        there.close()


def test_a_failure_at_the_last_moment_leaves_all_as_it_was(
    shop: Collection, pictures: Path
) -> None:
    address, before = address_of(shop), shop.info().fingerprint

    def fail() -> None:
        raise CollectionError("at the last moment")

    new = shop.store.sibling("new", create=True)
    with pytest.raises(CollectionError, match="at the last moment"):
        shop.store.replace(new, keep="kept", last=fail)
    assert shop.index(pictures).unchanged == 9
    new.drop()
    with again(address) as live:
        assert live.info().fingerprint == before


def test_where_the_system_cannot_exchange_folders_they_are_renamed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        (tmp_path / name / f"of-{name}").touch()
    exchange.exchange(tmp_path / "one", tmp_path / "other")
    assert (tmp_path / "one" / "of-other").exists()
    monkeypatch.setattr(exchange, "_at_once", lambda *_: False)
    exchange.exchange(tmp_path / "one", tmp_path / "other")
    assert (tmp_path / "one" / "of-one").exists()
    assert (tmp_path / "other" / "of-other").exists()
    with pytest.raises(FileNotFoundError):
        exchange.exchange(tmp_path / "one", tmp_path / "missing")
    assert (tmp_path / "one" / "of-one").exists()


_IDS = st.sets(st.text(min_size=1, max_size=3), max_size=12)


@given(_IDS, _IDS)
def test_two_scans_are_laid_side_by_side(mine: set[str], theirs: set[str]) -> None:
    pairs = list(
        migrating.pair_items(
            (an_item(one) for one in sorted(mine)), (an_item(one) for one in sorted(theirs))
        )
    )
    assert {one.id for one, other in pairs if one and not other} == mine - theirs
    assert {other.id for one, other in pairs if other and not one} == theirs - mine
    assert [one.id for one, other in pairs if one and other] == sorted(mine & theirs)


def test_the_command_tells_what_it_did(shop: Collection, other_card: Path, pictures: Path) -> None:
    address = address_of(shop)
    shop.store.settings.set("categories", {"model": 1})
    (pictures / "3.png").unlink()
    answer = CliRunner().invoke(migrate_command, ["-c", address, "--encoder", str(other_card)])
    assert answer.exit_code == 0, answer.output
    assert "8 encoded, 1 lost, 8 items in use, old collection kept as" in answer.stdout
    assert "lost 3.png: its file no longer exists" in answer.stderr
    assert "computed from the old embeddings, so run again: " in answer.stderr
    assert "categories" in answer.stderr
    with again(address) as new:  # by the card that it remembers
        assert new.search(pictures / "1.png", include_self=True)[0].item.id == "1.png"
    answer = CliRunner().invoke(migrate_command, ["-c", address, "--drop-old", "--json"])
    assert len(json.loads(answer.stdout)["dropped"]) == 1
    answer = CliRunner().invoke(migrate_command, ["-c", address])
    assert answer.exit_code == 2
