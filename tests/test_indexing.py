"""Pictures into a store: what is done, what is left, and what survives when it is cut short."""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from random import Random
from typing import ClassVar

import numpy as np
import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import hostile
from drawn_catalogue import Drawn
from lookalike import Progress, images
from lookalike.core.protocols import Encoder, Prepared
from lookalike.core.records import (
    Entry,
    IndexReport,
    Item,
    Skipped,
    Stamp,
)
from lookalike.core.vectors import Matrix
from lookalike.encoders import OnnxEncoder
from lookalike.errors import EncoderError, SourceError
from lookalike.indexing import batch as batches
from lookalike.indexing import pipeline as indexing
from lookalike.indexing.fitting import EncoderBinding
from lookalike.indexing.folder_indexing import index_folder
from lookalike.indexing.folder_plan import plan_folder
from lookalike.indexing.pipeline import index_entries
from lookalike.sources.scan import Listing, ScanOptions
from lookalike.stores.embedded.items import EmbeddedItems
from lookalike.stores.embedded.store import EmbeddedStore

Paint = Callable[[Path, int], Path]


class CountingEncoder:
    """The tiny encoder, counting the pictures that it encodes."""

    def __init__(self, tiny: Encoder) -> None:
        self._tiny = tiny
        self.encoded = 0
        self.fail_at: int | None = None  # the batch in which ``failure`` is raised
        self.failure: BaseException = EncoderError("the network failed on purpose")
        self._batches = 0

    @property
    def name(self) -> str:
        return self._tiny.name

    @property
    def fingerprint(self) -> str:
        return self._tiny.fingerprint

    @property
    def dim(self) -> int:
        return self._tiny.dim

    @property
    def decode_size(self) -> tuple[int, int] | None:
        return self._tiny.decode_size

    def prepare(self, image: Image.Image, /) -> Prepared:
        return self._tiny.prepare(image)

    def encode(self, batch: Sequence[Prepared], /) -> Matrix:
        self._batches += 1
        if self._batches == self.fail_at:
            raise self.failure
        self.encoded += len(batch)
        return self._tiny.encode(batch)


@pytest.fixture
def encoder(tiny: OnnxEncoder) -> CountingEncoder:
    return CountingEncoder(tiny)


@pytest.fixture
def store(tmp_path: Path, tiny: OnnxEncoder) -> Iterator[EmbeddedStore]:
    store = opened(tmp_path / "shop", tiny)
    yield store
    store.close()


def opened(folder: Path, encoder: Encoder) -> EmbeddedStore:
    store = EmbeddedStore.open(folder, create=True)
    store.bind(encoder=encoder.name, fingerprint=encoder.fingerprint, dim=encoder.dim)
    return store


@pytest.fixture
def index(
    store: EmbeddedStore, encoder: CountingEncoder, pictures: Path
) -> Callable[..., IndexReport]:
    """``index(...)`` brings ``store`` in line with ``pictures``."""

    def run(**options: object) -> IndexReport:
        bind = EncoderBinding(store=store, open_encoder=lambda: encoder)
        return index_folder(store, bind, pictures, **options)  # type: ignore[arg-type]

    return run


def counts(report: IndexReport) -> dict[str, int]:
    """What is not zero of a report."""
    numbers = {
        name: getattr(report, name)
        for name in ("indexed", "reused", "unchanged", "removed", "kept")
    }
    numbers["skipped"] = len(report.skipped)
    return {name: number for name, number in numbers.items() if number}


def ids(store: EmbeddedStore) -> list[str]:
    return [item.id for item in store.items.scan()]


def content(store: EmbeddedStore) -> dict[str, tuple[str, Stamp | None, bytes]]:
    """All that a run decides: id → digest, stamp and the stored vector."""
    items = list(store.items.scan())
    vectors = store.items.vectors([item.id for item in items])
    return {
        item.id: (item.digest, item.stamp, vector.tobytes())
        for item, vector in zip(items, vectors, strict=True)
    }


def fresh_content(
    folder: Path, tiny: Encoder, pictures: Path
) -> dict[str, tuple[str, Stamp | None, bytes]]:
    """What a new collection of ``pictures`` holds."""
    store = opened(folder, tiny)
    index_folder(store, EncoderBinding(store=store, open_encoder=lambda: tiny), pictures)
    found = content(store)
    store.close()
    return found


def age(path: Path) -> None:
    """Another modification time for certain, however coarse the clock."""
    stat = path.stat()
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns + 1_000_000))


# -- the plan ------------------------------------------------------------------------------

OLD, NEW = Stamp(size=1, mtime_ns=1), Stamp(size=1, mtime_ns=2)


def test_a_plan_sorts_new_changed_unchanged_and_vanished() -> None:
    plan = plan_folder(
        Listing(files={"same": OLD, "changed": NEW, "new": NEW}),
        {"same": ("1", OLD), "changed": ("2", OLD), "gone": ("3", OLD)},
        {},
    )
    assert plan.work == ("changed", "new")
    assert plan.unchanged == 1
    assert plan.vanished == ("3",)
    assert plan.kept == 0


def test_a_plan_keeps_what_the_scan_could_not_look_for() -> None:
    known = {"a/1": ("a/1", OLD), "ab/1": ("ab/1", OLD), "a/b/2": ("a/b/2", OLD)}
    plan = plan_folder(Listing(unlisted=["a"]), known, {})
    assert plan.vanished == ("ab/1",)
    assert plan.kept == 2


def test_a_plan_leaves_remembered_skips_until_the_file_changes() -> None:
    same, changed = (
        Skipped(path=path, reason="cut off", stamp=OLD) for path in ("same", "changed")
    )
    stampless = Skipped(path="stampless", reason="no permission")
    listing = Listing(files={"same": OLD, "changed": NEW, "stampless": OLD})
    skips = {skip.path: skip for skip in (same, changed, stampless)}
    plan = plan_folder(listing, {}, skips)
    assert plan.skipped == (same,)
    assert plan.work == ("changed", "stampless")
    assert plan_folder(listing, {}, skips, retry=True).work == ("same", "changed", "stampless")


def test_a_plan_forgets_skips_of_files_that_went_or_are_as_their_item_again() -> None:
    skips = {
        path: Skipped(path=path, reason="cut off", stamp=NEW)
        for path in ("gone", "back", "still", "hidden/away")
    }
    listing = Listing(files={"back": OLD, "still": NEW}, unlisted=["hidden"])
    known = {"back": ("back", OLD), "hidden/away": ("hidden/away", None)}
    assert plan_folder(listing, known, skips).recovered == ("back", "gone")


def test_items_that_came_as_bytes_are_of_no_folder() -> None:
    plan = plan_folder(Listing(), {"": ("mine", None)}, {})
    assert plan.vanished == ()
    assert plan.kept == 0


_PATHS = st.sampled_from(["", "a", "b", "s/a", "s/b", "s/t/a", "s2/a", "t/a"])
_STAMPS = st.sampled_from([OLD, NEW])


@given(
    st.dictionaries(_PATHS.filter(bool), _STAMPS),
    st.lists(st.sampled_from(["", "s", "s/t", "s2", "a"]), max_size=3),
    st.dictionaries(_PATHS, st.none() | _STAMPS),
    st.dictionaries(_PATHS.filter(bool), st.none() | _STAMPS),
    st.booleans(),
)
def test_a_plan_accounts_for_every_path_once_and_removes_only_what_is_known_gone(
    files: dict[str, Stamp],
    unlisted: list[str],
    items: dict[str, Stamp | None],
    failed: dict[str, Stamp | None],
    retry: bool,  # noqa: FBT001 - hypothesis passes it
) -> None:
    listing = Listing(files=files, unlisted=unlisted)
    known = {path: (f"id of {path}", stamp) for path, stamp in items.items()}
    skips = {p: Skipped(path=p, reason="", stamp=stamp) for p, stamp in failed.items()}
    plan = plan_folder(listing, known, skips, retry=retry)

    unchanged = {path for path, stamp in files.items() if items.get(path) == stamp}
    again = {skip.path for skip in plan.skipped}
    assert plan.unchanged == len(unchanged)
    assert sorted([*plan.work, *unchanged, *again]) == sorted(files)
    assert all(failed[path] == files[path] and not retry for path in again)

    def below(path: str, folder: str) -> bool:
        return folder == "" or (path + "/").startswith(folder + "/")

    gone = {path for path in items if path and path not in files}
    unseen = {path for path in gone if any(below(path, folder) for folder in unlisted)}
    assert set(plan.vanished) == {f"id of {path}" for path in gone - unseen}
    assert plan.kept == len(unseen)


# -- one folder, again and again -----------------------------------------------------------


def test_new_pictures_become_items(store: EmbeddedStore, index: Callable[..., IndexReport]) -> None:
    assert counts(index()) == {"indexed": 9}
    assert ids(store) == [f"{number}.png" for number in range(9)]
    item = store.items.get(["3.png"])["3.png"]
    assert (item.root, item.path, item.width, item.height) == ("", "3.png", 48, 64)


def test_unchanged_files_are_not_even_opened(
    store: EmbeddedStore, index: Callable[..., IndexReport], pictures: Path
) -> None:
    index()
    stat = (pictures / "0.png").stat()
    before = content(store)
    (pictures / "0.png").write_bytes(b"?" * stat.st_size)  # what nobody reads nobody notices
    os.utime(pictures / "0.png", ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert counts(index()) == {"unchanged": 9}
    assert content(store) == before


def test_nothing_to_do_loads_no_network(
    store: EmbeddedStore, index: Callable[..., IndexReport], pictures: Path
) -> None:
    def refuse() -> Encoder:
        raise AssertionError("a network was asked for")

    index()
    (pictures / "8.png").unlink()
    assert counts(
        index_folder(store, EncoderBinding(store=store, open_encoder=refuse), pictures)
    ) == {"unchanged": 8, "removed": 1}


@pytest.mark.parametrize("what", ["size", "time"])
def test_a_file_of_another_size_or_time_is_encoded_again(
    store: EmbeddedStore,
    index: Callable[..., IndexReport],
    pictures: Path,
    paint: Paint,
    what: str,
) -> None:
    index()
    before = content(store)
    stat = (pictures / "2.png").stat()
    paint(pictures / "2.png", 50)
    if what == "size":
        assert (pictures / "2.png").stat().st_size != stat.st_size
        os.utime(pictures / "2.png", ns=(stat.st_atime_ns, stat.st_mtime_ns))
    else:
        age(pictures / "2.png")
    assert counts(index()) == {"indexed": 1, "unchanged": 8}
    after = content(store)
    assert {one for one in after if after[one] != before[one]} == {"2.png"}
    assert after["2.png"][2] != before["2.png"][2]


def test_a_touched_file_is_not_encoded_and_its_new_stamp_is_kept(
    index: Callable[..., IndexReport],
    encoder: CountingEncoder,
    pictures: Path,
    store: EmbeddedStore,
) -> None:
    index()
    age(pictures / "4.png")
    assert counts(index()) == {"unchanged": 9}
    assert encoder.encoded == 9
    stamp = store.items.get(["4.png"])["4.png"].stamp
    assert stamp is not None
    assert stamp.mtime_ns == (pictures / "4.png").stat().st_mtime_ns


@pytest.mark.parametrize("held", [1, batches._HELD])
def test_moved_and_copied_files_take_the_vector_that_is_there(
    *,
    store: EmbeddedStore,
    index: Callable[..., IndexReport],
    encoder: CountingEncoder,
    pictures: Path,
    tmp_path: Path,
    tiny: OnnxEncoder,
    monkeypatch: pytest.MonkeyPatch,
    held: int,
) -> None:
    """Also where each file is so large that it is looked up by itself."""
    monkeypatch.setattr(batches, "_HELD", held)
    index()
    (pictures / "sub").mkdir()
    (pictures / "0.png").rename(pictures / "sub" / "moved.png")
    shutil.copy(pictures / "1.png", pictures / "copy.png")
    assert counts(index()) == {"reused": 2, "unchanged": 8, "removed": 1}
    assert encoder.encoded == 9
    assert content(store) == fresh_content(tmp_path / "fresh", tiny, pictures)


@pytest.mark.parametrize("batch", [1, 2, 64])
def test_a_file_whose_old_place_has_got_new_content_takes_its_own_vector(
    *,
    store: EmbeddedStore,
    index: Callable[..., IndexReport],
    pictures: Path,
    paint: Paint,
    tmp_path: Path,
    tiny: OnnxEncoder,
    monkeypatch: pytest.MonkeyPatch,
    batch: int,
) -> None:
    """``mv 0.png 9.png``, then another picture as ``0.png``; and two files that change places."""
    monkeypatch.setattr(indexing, "BATCH", batch)
    index()
    (pictures / "0.png").rename(pictures / "9.png")
    paint(pictures / "0.png", 60)
    (pictures / "3.png").rename(pictures / "x")
    (pictures / "5.png").rename(pictures / "3.png")
    (pictures / "x").rename(pictures / "5.png")
    for path in pictures.iterdir():
        age(path)
    index()
    assert content(store) == fresh_content(tmp_path / "fresh", tiny, pictures)


def test_a_copy_that_changes_while_it_is_looked_up_is_not_taken(
    tmp_path: Path, tiny: OnnxEncoder, pictures: Path
) -> None:
    class Changing(EmbeddedItems):
        """Right after a copy was found, another process replaces or removes it."""

        replaced: Sequence[Item] = ()

        def with_digest(self, digests: Sequence[str]) -> dict[str, str]:
            found = super().with_digest(digests)
            if found and self.replaced:
                self.upsert(self.replaced, np.eye(1, tiny.dim, dtype=np.float32))
            elif found:
                self.delete(list(found.values()))
            return found

    data = (pictures / "0.png").read_bytes()
    for replaced in ([], [Item(id="a", digest="ab" * 32, width=1, height=1)]):
        folder = tmp_path / f"shop-{len(replaced)}"
        opened(folder, tiny).close()
        store = EmbeddedStore.open(folder)
        store.items = items = Changing(store.database)
        index_entries(store, tiny, [Entry(id="a", image=data)])
        items.replaced = replaced
        assert counts(index_entries(store, tiny, [Entry(id="b", image=data)])) == {"indexed": 1}
        assert float(store.items.vectors(["b"])[0] @ _vector(tiny, data)) > 0.9999
        store.close()


def test_of_copies_that_are_looked_up_together_one_that_goes_costs_no_other_its_vector(
    tmp_path: Path, tiny: OnnxEncoder, pictures: Path
) -> None:
    class Losing(EmbeddedItems):
        """Right after copies were found, another process removes the first."""

        def with_digest(self, digests: Sequence[str]) -> dict[str, str]:
            found = super().with_digest(digests)
            if "0" in found.values():
                self.delete(["0"])
            return found

    data = [(pictures / f"{number}.png").read_bytes() for number in range(3)]
    opened(tmp_path / "shop", tiny).close()
    store = EmbeddedStore.open(tmp_path / "shop")
    store.items = Losing(store.database)
    for number, one in enumerate(data):
        index_entries(store, tiny, [Entry(id=f"{number}", image=one)])
    copies = [Entry(id=f"copy-{number}", image=one) for number, one in enumerate(data)]
    assert counts(index_entries(store, tiny, copies)) == {"indexed": 1, "reused": 2}
    for number, one in enumerate(data):
        assert float(store.items.vectors([f"copy-{number}"])[0] @ _vector(tiny, one)) > 0.9999
    store.close()


def test_a_store_is_asked_by_the_batch_not_by_the_picture(
    *,
    tmp_path: Path,
    tiny: OnnxEncoder,
    pictures: Path,
    paint: Paint,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Asked(EmbeddedItems):
        questions: ClassVar[Counter[str]] = Counter()

        def get(self, ids: Sequence[str]) -> dict[str, Item]:
            self.questions["get"] += 1
            return super().get(ids)

        def with_digest(self, digests: Sequence[str]) -> dict[str, str]:
            self.questions["with_digest"] += 1
            return super().with_digest(digests)

        def vectors(self, ids: Sequence[str]) -> Matrix:
            self.questions["vectors"] += 1
            return super().vectors(ids)

    monkeypatch.setattr(indexing, "BATCH", 10)
    for number in range(100, 121):
        paint(pictures / f"{number}.png", number)
    opened(tmp_path / "shop", tiny).close()
    store = EmbeddedStore.open(tmp_path / "shop")
    store.items = items = Asked(store.database)
    assert counts(
        index_folder(store, EncoderBinding(store=store, open_encoder=lambda: tiny), pictures)
    ) == {"indexed": 30}
    assert items.questions == {"get": 3, "with_digest": 3}
    items.questions.clear()
    shutil.copytree(pictures, pictures / "copies")
    assert counts(
        index_folder(store, EncoderBinding(store=store, open_encoder=lambda: tiny), pictures)
    ) == {"reused": 30, "unchanged": 30}
    # once more at the end: have any of them moved here?
    assert items.questions == {"get": 7, "with_digest": 3, "vectors": 3}
    store.close()


def test_what_has_vanished_is_removed(
    store: EmbeddedStore, index: Callable[..., IndexReport], pictures: Path
) -> None:
    index()
    (pictures / "7.png").unlink()
    assert counts(index()) == {"unchanged": 8, "removed": 1}
    assert "7.png" not in ids(store)
    assert store.search.nearest(store.items.vectors(["0.png"]), k=20)[0][-1].item.id != "7.png"


def test_keep_missing_keeps_and_counts_what_has_vanished(
    store: EmbeddedStore, index: Callable[..., IndexReport], pictures: Path
) -> None:
    index()
    (pictures / "7.png").unlink()
    assert counts(index(keep_missing=True)) == {"unchanged": 8, "kept": 1}
    assert len(ids(store)) == 9


def test_a_missing_folder_removes_nothing(
    store: EmbeddedStore, index: Callable[..., IndexReport], pictures: Path
) -> None:
    index()
    pictures.rename(pictures.with_name("unplugged"))
    with pytest.raises(SourceError, match="does not exist"):
        index()
    assert len(ids(store)) == 9


def test_an_empty_folder_removes_nothing_without_being_told_to(
    store: EmbeddedStore, index: Callable[..., IndexReport], pictures: Path
) -> None:
    index()
    for path in pictures.iterdir():
        path.unlink()
    report = index()
    assert (report.held_back, counts(report)) == (9, {})
    assert len(ids(store)) == 9
    assert counts(index(allow_removals=True)) == {"removed": 9}
    assert ids(store) == []


def test_one_folder_of_a_root_leaves_the_rest_alone(
    store: EmbeddedStore, index: Callable[..., IndexReport], pictures: Path, paint: Paint
) -> None:
    for folder in ("s", "s2"):
        paint(pictures / folder / "a.png", 20)
        paint(pictures / folder / "b.png", 21)
    index()
    for path in ("s/a.png", "s2/a.png", "0.png"):
        (pictures / path).unlink()
    assert counts(index(under="s")) == {"unchanged": 1, "removed": 1}
    assert [one for one in ids(store) if not one[0].isdigit()] == [
        "s/b.png",
        "s2/a.png",
        "s2/b.png",
    ]
    assert "0.png" in ids(store)


def test_options_of_the_scan_are_heeded(
    index: Callable[..., IndexReport], store: EmbeddedStore
) -> None:
    index(options=ScanOptions(exclude=["[0-6].*"]))
    assert ids(store) == ["7.png", "8.png"]


def test_what_is_said_of_an_item_stays_when_its_picture_changes(
    store: EmbeddedStore, encoder: CountingEncoder, pictures: Path
) -> None:
    def put(picture: str, **said: object) -> Item:
        entry = Entry(id="x", image=pictures / picture, **said)  # type: ignore[arg-type]
        index_entries(store, encoder, [entry])
        return store.items.get(["x"])["x"]

    put("0.png", label="mug", group="p1", metadata={"price": 5})
    for picture in ("1.png", "1.png"):
        item = put(picture)
        assert (item.label, item.group, item.metadata) == ("mug", "p1", {"price": 5})
    assert put("1.png", label="cup").label == "cup"
    assert put("2.png", metadata={}).metadata == {}
    assert put("2.png").label == "cup"


def test_one_id_twice_never_joins_a_digest_with_the_vector_of_another(
    store: EmbeddedStore, encoder: CountingEncoder, pictures: Path
) -> None:
    first, second = ((pictures / name).read_bytes() for name in ("0.png", "1.png"))
    index_entries(store, encoder, [Entry(id="x", image=second)])
    twice = [Entry(id="x", image=first), Entry(id="x", image=second, label="late")]
    index_entries(store, encoder, twice)
    shown = {images.digest(data): data for data in (first, second)}[
        store.items.get(["x"])["x"].digest
    ]
    assert float(store.items.vectors(["x"])[0] @ _vector(encoder, shown)) > 0.9999


def _vector(encoder: Encoder, data: bytes) -> Matrix:
    row: Matrix = encoder.encode([encoder.prepare(images.decode(data).image)])[0]
    return row


# -- what cannot be used -------------------------------------------------------------------


def test_a_file_that_no_longer_decodes_keeps_its_item_and_is_said_each_time(
    store: EmbeddedStore, index: Callable[..., IndexReport], pictures: Path
) -> None:
    index()
    before = content(store)
    whole = (pictures / "5.png").read_bytes()
    (pictures / "5.png").write_bytes(b"x" * len(whole))
    age(pictures / "5.png")
    for _ in range(2):
        report = index()
        assert counts(report) == {"unchanged": 8, "skipped": 1}
        assert report.skipped[0].path == "5.png"
        assert content(store) == before
    _replace_unseen(pictures / "5.png", whole)
    assert counts(index()) == {"unchanged": 8, "skipped": 1}  # so it was not read again
    age(pictures / "5.png")
    assert counts(index()) == {"unchanged": 9}
    assert counts(index()) == {"unchanged": 9}
    assert store.skips.below("") == {}


def _replace_unseen(path: Path, data: bytes) -> None:
    """Other bytes of the same length and time: only who reads them can tell."""
    stat = path.stat()
    assert len(data) == stat.st_size
    path.write_bytes(data)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


def test_skips_are_remembered_until_retry(
    store: EmbeddedStore, index: Callable[..., IndexReport], pictures: Path
) -> None:
    whole = (pictures / "0.png").read_bytes()
    (pictures / "0.png").write_bytes(b"x" * len(whole))
    first = index()
    assert counts(first) == {"indexed": 8, "skipped": 1}
    _replace_unseen(pictures / "0.png", whole)
    again = index()
    assert counts(again) == {"unchanged": 8, "skipped": 1}
    assert again.skipped == first.skipped
    assert counts(index(retry=True)) == {"indexed": 1, "unchanged": 8}
    assert store.skips.below("") == {}


def test_a_skipped_file_that_goes_is_forgotten(
    store: EmbeddedStore, index: Callable[..., IndexReport], pictures: Path
) -> None:
    (pictures / "broken.png").write_bytes(b"x")
    index()
    assert set(store.skips.below("")) == {"broken.png"}
    (pictures / "broken.png").unlink()
    assert counts(index()) == {"unchanged": 9}
    assert store.skips.below("") == {}


def test_the_hostile_corpus_stops_nothing(
    store: EmbeddedStore, encoder: CountingEncoder, tmp_path: Path
) -> None:
    folder = tmp_path / "hostile"
    folder.mkdir()
    cases = {case.name: case for case in hostile.build(folder) if not case.left_out}
    report = index_folder(store, EncoderBinding(store=store, open_encoder=lambda: encoder), folder)
    items, skipped = set(ids(store)), {skip.path: skip.reason for skip in report.skipped}
    assert skipped.pop("caf\\xe9.png") == "its name is not UTF-8; rename it"
    assert items | set(skipped) == set(cases)
    assert not items & set(skipped)
    for name, case in cases.items():
        allowed = {outcome is None for outcome in case.outcomes}
        assert (name in items) in allowed, (name, skipped.get(name))
    assert all(reason and "\n" not in reason for reason in skipped.values())
    assert report.indexed + report.reused == len(items)
    assert store.check() == []
    again = index_folder(store, EncoderBinding(store=store, open_encoder=lambda: encoder), folder)
    assert counts(again) == {"unchanged": len(items), "skipped": len(skipped) + 1}


_PERMISSIONS = """
import json
import numpy as np, pathspec
from lookalike import images
from lookalike.indexing.fitting import EncoderBinding
from lookalike.indexing.folder_indexing import index_folder
from lookalike.stores.embedded.store import EmbeddedStore
from lookalike.core.vectors import unit_rows
from hostile import photo, saved

class Mean:
    name, fingerprint, dim, decode_size = "mean", "mean-1", 3, None
    def prepare(self, image):
        return np.asarray(image.resize((4, 4)))
    def encode(self, batch):
        return unit_rows(np.stack([one.mean(axis=(0, 1)) + 1.0 for one in batch]))

images.decode(saved(photo(), "JPEG"))  # whatever is imported late
become_nobody()
pictures = folder / "pictures"
for number, path in enumerate(["a.jpg", "locked/b.jpg", "blind/c.jpg", "d.jpg"]):
    (pictures / path).parent.mkdir(parents=True, exist_ok=True)
    (pictures / path).write_bytes(saved(photo(seed=number), "JPEG"))
store = EmbeddedStore.open(folder / "shop", create=True)
store.bind(encoder="mean", fingerprint="mean-1", dim=3)
said = []
def index():
    r = index_folder(store, EncoderBinding(store=store, open_encoder=Mean), pictures)
    said.append([r.indexed, r.unchanged, r.removed, r.kept, len(r.skipped), store.search.count()])
index()
(pictures / "locked").chmod(0)
(pictures / "blind").chmod(0o444)
(pictures / "a.jpg").unlink()
index()
(pictures / "locked").chmod(0o755)
(pictures / "blind").chmod(0o755)
index()
(pictures / "e.jpg").write_bytes(saved(photo(seed=9), "JPEG"))
(pictures / "e.jpg").chmod(0)
index()
index()
(pictures / "e.jpg").chmod(0o644)  # which changes neither size nor time
index()
store.close()
print(json.dumps(said))
"""


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="permissions are POSIX here")
def test_what_may_not_be_read_keeps_its_items_and_is_tried_again(
    as_nobody: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))
    locked = [0, 1, 1, 2, 2, 3]  # a.jpg is surely gone, two could not be looked for
    unread = [0, 3, 0, 0, 1, 3]
    assert json.loads(as_nobody(_PERMISSIONS)) == [
        [4, 0, 0, 0, 0, 4],
        locked,
        [0, 3, 0, 0, 0, 3],
        unread,
        unread,
        [1, 3, 0, 0, 0, 4],
    ]


# -- cut short -----------------------------------------------------------------------------


@pytest.mark.parametrize("failure", [EncoderError("out of memory"), KeyboardInterrupt()])
def test_a_failing_encoder_ends_the_run_removes_nothing_and_keeps_what_was_stored(
    *,
    store: EmbeddedStore,
    index: Callable[..., IndexReport],
    encoder: CountingEncoder,
    pictures: Path,
    paint: Paint,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    tiny: OnnxEncoder,
    failure: BaseException,
) -> None:
    index()
    monkeypatch.setattr(indexing, "BATCH", 3)
    (pictures / "0.png").unlink()
    for number in range(100, 110):
        paint(pictures / f"{number}.png", number)
    encoder.fail_at, encoder.failure = 1 + 3, failure  # one batch before, then the third
    with pytest.raises(type(failure)):
        index()
    assert len(ids(store)) == 9 + 6
    assert "0.png" in ids(store)
    assert store.check() == []
    assert not [one for one in threading.enumerate() if one.name.startswith("lookalike-read")]
    assert counts(index()) == {"indexed": 4, "unchanged": 14, "removed": 1}
    assert content(store) == fresh_content(tmp_path / "fresh", tiny, pictures)


def test_stop_ends_after_the_batch_in_hand_and_the_next_run_goes_on(
    store: EmbeddedStore,
    index: Callable[..., IndexReport],
    pictures: Path,
    paint: Paint,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    index()
    monkeypatch.setattr(indexing, "BATCH", 2)
    (pictures / "0.png").unlink()
    for number in range(100, 120):
        paint(pictures / f"{number}.png", number)
    heard: list[Progress] = []
    report = index(progress=heard.append, stop=lambda: len(heard) == 3)
    assert report.interrupted
    assert counts(report) == {"indexed": 6, "unchanged": 8, "kept": 1}
    assert len(ids(store)) == 15
    report = index()
    assert not report.interrupted
    assert counts(report) == {"indexed": 14, "unchanged": 14, "removed": 1}


def test_progress_rises_by_batches_to_the_total(
    index: Callable[..., IndexReport], pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(indexing, "BATCH", 4)
    (pictures / "3.png").write_bytes(b"x")
    heard: list[Progress] = []
    index(progress=heard.append)
    assert [(one.done, one.total, one.skipped) for one in heard] == [
        (4, 9, 1),
        (8, 9, 1),
        (9, 9, 1),
    ]


_INDEX = """
import sys
from pathlib import Path
from lookalike.indexing import pipeline
from lookalike.indexing.fitting import EncoderBinding
from lookalike.indexing.folder_indexing import index_folder
from lookalike.encoders import load_encoder
from lookalike.stores.embedded.store import EmbeddedStore
card, folder, pictures = map(Path, sys.argv[1:])
pipeline.BATCH = 2
encoder = load_encoder(card, threads=1)
store = EmbeddedStore.open(folder)
print("ready", flush=True)
sys.stdin.readline()
bind = EncoderBinding(store=store, open_encoder=lambda: encoder)
index_folder(store, bind, pictures, allow_removals=True)
store.close()
print("done", flush=True)
"""


def _child(*arguments: Path) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", _INDEX, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def _go(child: "subprocess.Popen[str]") -> None:
    assert child.stdin is not None
    assert child.stdout is not None
    assert child.stdout.readline() == "ready\n"
    child.stdin.write("\n")
    child.stdin.flush()


def _end(child: "subprocess.Popen[str]") -> str:
    with child:
        assert child.stdout is not None
        return child.stdout.read()


def test_killing_the_run_at_any_moment_costs_nothing_but_the_run(
    catalogue: list[Drawn], catalogue_folder: Path, card: Path, tiny: OnnxEncoder, tmp_path: Path
) -> None:
    """The run finds new, changed, moved and vanished files, and is killed 16 times on the way."""
    pictures, before = tmp_path / "pictures", tmp_path / "before"
    shutil.copytree(catalogue_folder, pictures)
    files = sorted(pictures.rglob("*.jpg"))
    assert len(files) == len(catalogue)
    away = tmp_path / "away"
    away.mkdir()
    for file in files[::2]:
        file.rename(away / file.name)
    store = opened(before, tiny)
    index_folder(store, EncoderBinding(store=store, open_encoder=lambda: tiny), pictures)
    store.close()
    for number, file in enumerate(files[::2]):
        (away / file.name).rename(file)
        if number % 4 == 0:
            files[2 * number + 1].unlink()  # was indexed, now gone
        elif number % 4 == 1:
            files[2 * number + 1].rename(pictures / f"moved-{number}.jpg")
    expected = fresh_content(tmp_path / "fresh", tiny, pictures)

    def prepared(round_: int) -> "subprocess.Popen[str]":
        shutil.copytree(before, tmp_path / f"shop-{round_}")
        return _child(card, tmp_path / f"shop-{round_}", pictures)

    child = prepared(0)
    _go(child)
    began = time.monotonic()
    assert _end(child) == "done\n"
    whole_run_s = time.monotonic() - began
    moments = Random(5)
    killed = 0
    waiting = prepared(1)
    for round_ in range(1, 17):
        child, waiting = waiting, prepared(round_ + 1)  # one starts up while another is killed
        _go(child)
        time.sleep(moments.uniform(0, 0.7) * whole_run_s)
        child.send_signal(signal.SIGKILL)
        killed += _end(child) == ""
        store = EmbeddedStore.open(tmp_path / f"shop-{round_}")
        assert store.check() == []
        there = content(store)
        assert all(there[one] == expected[one] for one in there.keys() & expected.keys())
        index_folder(
            store,
            EncoderBinding(store=store, open_encoder=lambda: tiny),
            pictures,
            allow_removals=True,
        )
        assert content(store) == expected
        store.close()
    waiting.kill()
    _end(waiting)
    assert killed >= 3  # not all came too late, however uneven the machine


def test_reading_runs_ahead_of_the_encoder_by_a_few_batches_only(
    store: EmbeddedStore,
    tiny: OnnxEncoder,
    pictures: Path,
    paint: Paint,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Slow(CountingEncoder):
        prepared = most = 0

        def prepare(self, image: Image.Image, /) -> Prepared:
            Slow.prepared += 1
            return super().prepare(image)

        def encode(self, batch: Sequence[Prepared], /) -> Matrix:
            time.sleep(0.01)
            self.most = max(self.most, Slow.prepared - self.encoded)
            return super().encode(batch)

    monkeypatch.setattr(indexing, "BATCH", 1)
    for number in range(100, 100 + 4 * (os.cpu_count() or 1) + 20):
        paint(pictures / f"{number}.png", number)
    encoder = Slow(tiny)
    index_folder(store, EncoderBinding(store=store, open_encoder=lambda: encoder), pictures)
    assert 2 <= encoder.most <= (os.cpu_count() or 1) + indexing._AHEAD + 1


def test_memory_does_not_grow_with_the_number_of_pictures(
    store: EmbeddedStore, tiny: OnnxEncoder, tmp_path: Path
) -> None:
    """2,000 photos of 1500 x 1000, each with other bytes; held at once they would be 9 GB."""
    folder = tmp_path / "many"
    folder.mkdir()
    photos = [hostile.saved(hostile.photo(1500, 1000, seed=n), "JPEG", quality=30) for n in (1, 2)]
    for number in range(2000):
        data = photos[number % 2]
        comment = b"\xff\xfe\x00\x08" + f"{number:06d}".encode()
        (folder / f"{number:04d}.jpg").write_bytes(data[:2] + comment + data[2:])
    memory: list[int] = []
    process = psutil.Process()
    report = index_folder(
        store,
        EncoderBinding(store=store, open_encoder=lambda: tiny),
        folder,
        progress=lambda _: memory.append(process.memory_info().rss),
    )
    assert counts(report) == {"indexed": 2000}
    half = len(memory) // 2
    assert max(memory[half:]) - max(memory[:half]) < 16 * 2**20


@pytest.mark.usefixtures("catalogue")
def test_two_processes_index_different_folders_into_one_collection(
    store: EmbeddedStore, card: Path, tiny: OnnxEncoder, catalogue_folder: Path, tmp_path: Path
) -> None:
    kinds = sorted(path for path in catalogue_folder.iterdir() if path.is_dir())
    both = tmp_path / "both"
    for number, kind in enumerate(kinds):
        for picture in kind.iterdir():
            target = both / f"{number % 2}" / kind.name / picture.name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(picture, target)
    script = _INDEX.replace("bind, pictures,", "bind, pictures.parent, under=pictures.name,")
    children = [
        subprocess.Popen(
            [sys.executable, "-c", script, str(card), str(store.folder), str(both / part)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for part in ("0", "1")
    ]
    for child in children:
        _go(child)
    assert [_end(child) for child in children] == ["done\n", "done\n"]
    assert content(store) == fresh_content(tmp_path / "fresh", tiny, both)
    assert store.check() == []
