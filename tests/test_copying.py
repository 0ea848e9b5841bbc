"""Copying a collection from any store into any other."""

import json
import multiprocessing
import os
import signal
import time
from dataclasses import replace

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from contracts.moving import KINDS, SERVERS, Place, place
from contracts.store import DIM, VARIED, an_item, random_rows
from lookalike.cli.copy import copy_command
from lookalike.collection import Collection
from lookalike.config import open_collection
from lookalike.core.manual_edits import read_edits
from lookalike.core.protocols import Store
from lookalike.core.records import Hit, Skipped, Stamp
from lookalike.errors import CollectionError, EncoderMismatchError, StoreReadOnlyError
from lookalike.moving import copying
from lookalike.stores.servers import indexes
from lookalike.stores.servers.store import ServerStore

__all__ = ["place"]  # a fixture


def opened(address: str) -> Collection:
    return open_collection(address, create=True)


def filled(address: str, count: int = 300) -> Collection:
    shop = opened(address)
    store = shop.store
    store.bind(encoder="tiny", fingerprint="tiny-1", dim=DIM)
    items = [an_item(f"{n:04d}é", label=str(n % 5), metadata={"price": n}) for n in range(count)]
    store.items.upsert([*items, *VARIED], random_rows(count + len(VARIED)))
    store.settings.set("roots", {"": "/photos", "other": "/scans"})
    store.settings.set("categories", {"model": [1, 2.5, None]})
    store.search.declare("price")
    skips = [Skipped(path="broken.jpg", reason="cut off", stamp=Stamp(size=1, mtime_ns=2))]
    store.skips.put("other", skips)
    return shop


def everything(store: Store) -> dict[str, object]:
    items = list(store.items.scan())
    queries = random_rows(5, seed=3)
    return {
        "bound": store.bound(),
        "items": items,
        "rows": store.items.rows([item.id for item in items]).tobytes(),
        "declared": store.search.declared(),
        "roots": store.settings.get("roots"),
        "categories": store.settings.get("categories"),
        "skips": store.skips.below("other"),
        "answers": store.search.nearest(queries, k=7, exact=True),
    }


@pytest.mark.parametrize("to", KINDS)
@pytest.mark.parametrize("of", KINDS)
def test_a_copy_holds_every_bit(place: Place, of: str, to: str) -> None:
    with filled(place(of)) as shop, opened(place(to)) as other:
        report = copying.copy(shop.store, other.store)
        assert everything(other.store) == everything(shop.store)
        assert (report.copied, report.items, report.searches) == (309, 309, 20)
        assert (report.skips, report.problems) == (1, ())


@pytest.mark.engines
def test_there_and_back_again_gives_the_same_answers(place: Place) -> None:
    with filled(place("embedded")) as shop:
        before = everything(shop.store)
        last = shop
        for kind in ("elasticsearch", "opensearch", "embedded"):
            following = opened(place(kind))
            copying.copy(last.store, following.store)
            last.close()
            last = following
        assert everything(last.store) == before
        last.close()


@pytest.mark.parametrize("to", KINDS)
def test_a_copy_that_is_done_again_brings_only_what_has_changed(place: Place, to: str) -> None:
    with filled(place("embedded")) as shop, opened(place(to)) as other:
        copying.copy(shop.store, other.store)
        shop.label(["0001é"], "cup")
        shop.store.items.upsert([an_item("0002é", digest="f" * 64)], random_rows(1, seed=8))
        shop.store.items.upsert([an_item("new")], random_rows(1, seed=9))
        report = copying.copy(shop.store, other.store)
        assert (report.copied, report.updated, report.unchanged) == (2, 1, 307)
        assert everything(other.store) == everything(shop.store)


def test_what_has_gone_from_the_source_goes_only_when_asked_for(place: Place) -> None:
    with filled(place("embedded")) as shop, opened(place("embedded")) as other:
        copying.copy(shop.store, other.store)
        shop.remove(["0001é", "0002é"])
        report = copying.copy(shop.store, other.store)
        assert (report.extra, report.removed, report.searches) == (2, 0, 0)
        assert report.problems == ()
        report = copying.copy(shop.store, other.store, mirror=True)
        assert (report.extra, report.removed, report.searches) == (0, 2, 20)
        assert everything(other.store) == everything(shop.store)


@pytest.mark.parametrize("of", SERVERS)
def test_a_source_that_may_only_be_read_is_copied(place: Place, of: str) -> None:
    with filled(place(of)) as shop, opened(place("embedded")) as other:
        assert isinstance(shop.store, ServerStore)
        indexes.block(shop.store.server, shop.store.index)
        with pytest.raises(StoreReadOnlyError):
            shop.remove("0001é")
        copying.copy(shop.store, other.store)
        assert everything(other.store) == everything(shop.store)


def _copy_forever(of: str, to: str) -> None:
    copying._BATCH = 10  # so that it is killed part way
    with opened(of) as shop, opened(to) as other:
        copying.copy(shop.store, other.store, progress=lambda *_: time.sleep(0.02))


@pytest.mark.parametrize("to", KINDS)
def test_a_copy_that_was_killed_goes_on(place: Place, to: str) -> None:
    of, address = place("embedded"), place(to)
    filled(of, 600).close()
    process = multiprocessing.get_context("spawn").Process(target=_copy_forever, args=(of, address))
    process.start()
    with opened(address) as other:
        deadline = time.monotonic() + 60
        while other.store.search.count() < 50 and time.monotonic() < deadline:
            time.sleep(0.02)
        assert process.pid is not None
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        there = other.store.search.count()
        assert 50 <= there < 609
        with opened(of) as shop:
            report = copying.copy(shop.store, other.store)
            assert report.unchanged >= there - 1
            assert report.copied == 609 - report.unchanged
            assert everything(other.store) == everything(shop.store)


def test_a_copy_stops_when_asked_and_goes_on(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copying, "_BATCH", 50)
    with filled(place("embedded")) as shop, opened(place("embedded")) as other:
        report = copying.copy(
            shop.store, other.store, stop=lambda: other.store.search.count() >= 100
        )
        assert (report.interrupted, report.items) == (True, 100)
        report = copying.copy(shop.store, other.store)
        assert (report.interrupted, report.copied, report.unchanged) == (False, 209, 100)


def test_a_collection_of_another_encoder_is_refused(place: Place) -> None:
    with filled(place("embedded")) as shop, opened(place("embedded")) as other:
        other.store.bind(encoder="b", fingerprint="other", dim=DIM)
        with pytest.raises(EncoderMismatchError):
            copying.copy(shop.store, other.store)
        assert other.store.search.count() == 0


def test_a_collection_with_other_items_is_refused_unless_resumed(place: Place) -> None:
    with filled(place("embedded")) as shop, opened(place("embedded")) as other:
        other.store.bind(encoder="tiny", fingerprint="tiny-1", dim=DIM)
        other.store.items.upsert([an_item("mine")], random_rows(1))
        with pytest.raises(CollectionError, match="not empty"):
            copying.copy(shop.store, other.store)
        assert other.store.search.count() == 1
        report = copying.copy(shop.store, other.store, resume=True)
        assert (report.items, report.extra, report.problems) == (310, 1, ())


@pytest.mark.parametrize("to", KINDS)
def test_resuming_never_replaces_what_was_there_before(place: Place, to: str) -> None:
    with filled(place("embedded")) as shop, opened(place(to)) as other:
        shop.label(["0003é"], "theirs")
        other.store.bind(encoder="tiny", fingerprint="tiny-1", dim=DIM)
        mine = [an_item("0001é", digest="e" * 64), replace(shop.get("0002é"), label="plate")]
        vectors = random_rows(1, seed=5), shop.store.items.rows(["0002é"]).astype(np.float32)
        other.store.items.upsert(mine, np.concatenate(vectors))
        other.label(["0001é", "0002é"], "mine")
        other.store.settings.set("categories", {"model": [7]})
        before = other.get("0001é"), other.get("0002é")
        for _ in range(2):  # the second time it is no copy of its own either
            report = copying.copy(shop.store, other.store, resume=True)
            assert (report.kept, report.items) == (2, 309)
            assert (
                "'0001\\xe9', '0002\\xe9': have other content, labels or metadata there"
                in (report.problems[0])
            )
            assert (other.get("0001é"), other.get("0002é")) == before
            assert other.get("0003é").label == "theirs"
            assert other.store.settings.get("categories") == {"model": [7]}
            hands = read_edits(other.store, ["0001é", "0002é", "0003é"])
            assert [one.fields["label"] for one in hands.values()] == ["mine", "mine", "theirs"]
        report = copying.copy(shop.store, other.store, resume=True, mirror=True)
        assert (report.kept, report.problems) == (0, ())
        assert everything(other.store) == everything(shop.store)


def test_a_collection_of_other_folders_is_refused(place: Place) -> None:
    with filled(place("embedded")) as shop, opened(place("embedded")) as other:
        other.store.settings.set("roots", {"": "/elsewhere"})
        with pytest.raises(CollectionError, match="other folders"):
            copying.copy(shop.store, other.store, resume=True)


def test_a_collection_is_not_copied_onto_itself(place: Place) -> None:
    address = place("embedded")
    with (
        filled(address) as shop,
        opened(address) as same,
        pytest.raises(CollectionError, match="onto itself"),
    ):
        copying.copy(shop.store, same.store)


def test_a_source_that_changes_meanwhile_is_never_mixed_up(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An item that is replaced or removed while its batch is read comes whole or not at all."""
    monkeypatch.setattr(copying, "_BATCH", 50)
    new = random_rows(1, seed=77)
    with filled(place("embedded")) as shop, opened(place("embedded")) as other:
        read = shop.store.items.rows

        def rows(ids: list[str]) -> object:
            found = read(ids)
            if "0010é" in ids:
                shop.store.items.upsert([an_item("0010é", digest="e" * 64)], new)
                shop.store.items.delete(["0011é"])
            return found

        monkeypatch.setattr(shop.store.items, "rows", rows)
        copying.copy(shop.store, other.store)
        assert other.get("0010é").digest == "e" * 64
        np.testing.assert_allclose(other.vectors(["0010é"]), new, atol=1e-3)


def test_a_copy_that_is_wrong_is_told(place: Place) -> None:
    with filled(place("embedded")) as shop, opened(place("embedded")) as other:
        copying.copy(shop.store, other.store)
        items = list(shop.items())
        other.store.items.upsert(items, random_rows(len(items), seed=5))
        report = copying.copy(shop.store, other.store)
        assert any("nearest" in one for one in report.problems)
        assert "vectors differ" in report.problems


def test_an_empty_collection_can_be_copied(place: Place) -> None:
    with opened(place("embedded")) as shop, opened(place("embedded")) as other:
        shop.store.settings.set("roots", {"": "/photos"})
        report = copying.copy(shop.store, other.store)
        assert (report.items, report.settings) == (0, ("roots",))


_HITS = st.lists(
    st.tuples(st.integers(0, 30), st.sampled_from([0.9, 0.5, 0.2])), max_size=8, unique_by=hash
)


@given(_HITS, st.data())
def test_answers_are_the_same_up_to_the_order_of_equals(
    pairs: list[tuple[int, float]], data: st.DataObject
) -> None:
    hits = sorted(
        (Hit(item=an_item(str(number)), score=score) for number, score in dict(pairs).items()),
        key=lambda hit: -hit.score,
    )
    assert copying.describe_differences(hits, hits) == []
    if hits:
        place = data.draw(st.integers(0, len(hits) - 1))
        other = [*hits]
        other[place] = replace(hits[place], item=an_item("another"))
        level = hits[place].score == hits[-1].score
        assert (copying.describe_differences(hits, other) == []) == level
        other[place] = replace(hits[place], score=hits[place].score + 0.01)
        assert copying.describe_differences(hits, other)
        assert copying.describe_differences(hits, hits[:-1])


def test_the_command_tells_what_it_did(place: Place) -> None:
    of, to = place("embedded"), place("embedded")
    filled(of).close()
    answer = CliRunner().invoke(copy_command, [of, to])
    assert answer.exit_code == 0, answer.output
    assert "309 copied" in answer.stdout
    assert "20 searches compared: same results" in answer.stdout
    answer = CliRunner().invoke(copy_command, [of, to, "--json"])
    told = json.loads(answer.stdout)
    assert (told["copied"], told["unchanged"], told["problems"]) == (0, 309, [])
