"""Random histories of everything that can remove, move or replace something: nothing is lost.

Commands run as people run them. What people own is written down beside: their files byte for byte,
the labels that they gave, the images that they sent. After each step all of it must be there, but
for what somebody named; and each command must have told the truth about what it did.
"""

import contextlib
import json
import multiprocessing
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)

import lookalike
from conftest import painted
from contracts.server import an_address, opened
from live import serving
from lookalike import images
from lookalike.cli import cli
from lookalike.core.records import Item
from lookalike.encoders import load_encoder
from lookalike.errors import CollectionNotFoundError, LookalikeError
from lookalike.stores.servers import mappings
from lookalike.stores.servers.addresses import parse_address
from lookalike.stores.servers.store import ServerStore
from networks import tiny_card

MANY = int(os.environ.get("LOOKALIKE_TEST_HISTORIES", "0"))
"""Histories to try of each store; 0 is a few. More find more: 500 take about ten minutes."""

_NAMES = ["a.png", "b.png", "x/a.png", "x/c.png", "y/a.png", "y/d.png"]
_NAME = st.sampled_from(_NAMES)
_CONTENT = st.integers(0, 2)  # few, so that exact duplicates are frequent
_SENT = 100  # what is sent shows other images than the folders
_HELD_BACK = 4
_INTERRUPTED = 130
_COMMANDS = ["index", "table", "label", "duplicates", "doctor", "prune"]

Words = dict[str, str]


class Told:
    """What a command said: its exit code, and its JSON if it printed some."""

    def __init__(self, arguments: Sequence[object]) -> None:
        words = [str(one) for one in arguments]
        done = CliRunner().invoke(cli, words, catch_exceptions=True)
        raised = done.exception
        if raised is not None and not isinstance(raised, SystemExit | LookalikeError):
            raise raised
        self.error = raised if isinstance(raised, LookalikeError) else None
        self.code = 1 if self.error else done.exit_code
        self.stderr = done.stderr
        self.json: Any = None
        with contextlib.suppress(ValueError):
            self.json = json.loads(done.stdout)
        self.words = words

    def __repr__(self) -> str:
        said = self.error or self.stderr or self.json
        return f"`lookalike {' '.join(self.words)}` → {self.code}: {said}"


def _die_at(calls: int) -> Callable[[FrameType, str, object], None]:
    """Return a profiler that kills this process at a call within lookalike."""
    left = [calls]

    def look(frame: FrameType, event: str, _: object) -> None:
        if event == "call" and "/lookalike/" in frame.f_code.co_filename:
            left[0] -= 1
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    return look


def _killed(arguments: list[str], calls: int, environment: dict[str, str]) -> None:
    """Run a command in a process that ends without notice at its so many-th call."""
    os.environ.update(environment)
    sys.stdout = sys.stderr = Path(os.devnull).open("w")  # noqa: SIM115 - until the process ends
    sys.setprofile(_die_at(calls))
    with contextlib.suppress(LookalikeError):
        cli.main(arguments, standalone_mode=False)


class Nothing(RuleBasedStateMachine):
    """A folder, a table and a service, all filling one collection; ``kind`` is its store's."""

    kind = "embedded"
    url = ""
    cards: tuple[Path, Path]

    def __init__(self) -> None:
        super().__init__()
        self.place = Path(tempfile.mkdtemp(prefix="nothing-is-lost-"))
        self.home = self.place / "home"
        os.environ["LOOKALIKE_HOME"] = str(self.home)
        self.photos, self.table = self.place / "photos", self.place / "table"
        self.files: dict[Path, bytes] = {}  # what people own
        self.labels: Words = {}  # given by hand → the id that it was given to
        self.sent: set[str] = set()  # digests of what was sent
        self.given = 0
        self.encoder = 0
        self.record: Path | None = None
        self.backups = 0
        for number, name in enumerate(_NAMES[:4]):
            self.write(self.photos / name, number % 3)
        for number in range(4):
            self.write(self.table / f"{number}.png", 10 + number)
        self.own(self.photos / "x/letter.txt", b"dear aunt")
        self.own(self.place / "taxes.txt", b"1999")
        if self.kind == "embedded":
            self.address = str(self.home / "collections/shop")
        else:
            self.address = str(an_address(self.kind, self.url, "?replicas=0"))
        self.addresses = [self.address]
        told = self.run("index", self.photos, "--encoder", self.cards[0], "--json")
        assert told.code == 0, told
        self.write_table()
        assert self.run("index", self.list, "--json").code == 0

    @initialize(shared=st.booleans())
    def share_the_folder(self, *, shared: bool) -> None:
        """Somebody keeps files in the collection's folder too, or nobody does."""
        if shared and self.kind == "embedded":
            self.own(Path(self.address) / "diary.txt", b"today")
            self.own(Path(self.address) / "holiday/1.png", (self.photos / "a.png").read_bytes())

    # -- what people own -------------------------------------------------------------------

    def own(self, path: Path, data: bytes) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        self.files[path] = data

    def write(self, path: Path, number: int) -> None:
        self.files[path] = painted(path, number).read_bytes()

    @property
    def list(self) -> Path:
        return self.table / "list.csv"

    def write_table(self) -> None:
        rows = [f"{number}.png,kind {number}" for number in range(4)]
        self.own(self.list, "\n".join(["file,label", *rows, ""]).encode())

    def items(self) -> dict[str, Item]:
        with lookalike.open(self.address) as shop:
            return {one.id: one for one in shop}

    def all_labels(self) -> set[str | None]:
        """The labels of items, and of those that are missing."""
        with lookalike.open(self.address) as shop:
            return {one.label for one in shop} | {one.item.label for one in shop.missing()}

    def state(self) -> tuple[dict[str, Item], dict[str, Item]]:
        with lookalike.open(self.address) as shop:
            return {one.id: one for one in shop}, {one.item.id: one.item for one in shop.missing()}

    def run(self, *arguments: object) -> Told:
        return Told([*arguments, "-c", self.address])

    def check(self) -> None:
        """Everything is there that nobody named."""
        for path, data in self.files.items():
            assert path.is_file(), f"{path} is lost"
            assert path.read_bytes() == data, f"{path} has changed"
        with lookalike.open(self.address) as shop:
            items = list(shop)
            labels = {one.label for one in items} | {one.item.label for one in shop.missing()}
            assert len(shop) == len(items)
        assert self.labels.keys() <= labels, f"lost: {self.labels.keys() - labels}"
        assert self.sent <= {one.digest for one in items}

    def check_report(self, told: Told, before: dict[str, Item]) -> None:
        """A report counts what happened."""
        after = self.items()
        gone = before.keys() - after.keys()
        assert told.json is not None, told
        assert told.json["items"] == len(after), told
        assert told.json["removed"] == len(gone), (told, gone)
        new = {one for one in after if one not in before or before[one].digest != after[one].digest}
        assert told.json["indexed"] + told.json["reused"] == len(new), (told, new)
        held_back = bool(told.json["held_back"] or told.json["problems"])
        assert (told.code == _HELD_BACK) == held_back, told

    # -- what happens to the files -----------------------------------------------------------

    @rule(name=_NAME, number=_CONTENT)
    def paint(self, name: str, number: int) -> None:
        self.write(self.photos / name, number)

    @rule(one=_NAME, other=_NAME)
    def move(self, one: str, other: str) -> None:
        old, new = self.photos / one, self.photos / other
        if one != other and old in self.files and new not in self.files:
            new.parent.mkdir(exist_ok=True)
            shutil.move(old, new)
            self.files[new] = self.files.pop(old)

    @rule(name=_NAME)
    def delete(self, name: str) -> None:
        if self.files.pop(self.photos / name, None) is not None:
            (self.photos / name).unlink()

    # -- indexing ------------------------------------------------------------------------------

    @rule(allow=st.booleans())
    def index(self, *, allow: bool) -> None:
        before = self.items()
        told = self.run("index", self.photos, "--json", *(["--allow-removals"] if allow else []))
        self.check_report(told, before)
        there = {
            path.relative_to(self.photos).as_posix(): images.digest(data)
            for path, data in self.files.items()
            if path.suffix == ".png" and path.is_relative_to(self.photos)
            if ".lookalike-trash" not in path.parts
        }
        stored = {one.path: one.digest for one in self.items().values() if one.root == ""}
        stored.pop("", None)  # what was sent
        if told.code != _HELD_BACK:
            assert stored == there, told
        assert there.items() <= stored.items(), told
        assert not (allow and told.json["held_back"]), told
        self.check()

    @rule(where=st.sampled_from(["photos", "photos/x", "table"]))
    def unmount(self, where: str) -> None:
        """An empty folder takes no item away that more than three others would follow."""
        folder, away = self.place / where, self.place / "unplugged"
        if not folder.is_dir():
            return
        before = self.state()
        shutil.move(folder, away)
        folder.mkdir()
        source = self.list if where == "table" else folder
        told = self.run("index", source, "--json")
        folder.rmdir()
        shutil.move(away, folder)
        under = where.partition("/")[2]
        known = [
            one for one in before[0].values()
            if one.path.startswith(under) and one.path and one.root == ""
        ]  # fmt: skip
        if where == "table":
            assert told.code == 1, told
            assert told.error is not None, told
        else:
            assert (told.code, told.json["held_back"]) == (
                (_HELD_BACK, len(known)) if known else (0, 0)
            ), told
        assert self.state() == before, told
        self.check()

    @rule(how=st.sampled_from(["", "header", "open quote", "half", "garbage", "fewer"]))
    def damage_table(self, how: str) -> None:
        whole = self.files[self.list]
        lines = whole.decode().splitlines(keepends=True)
        self.list.write_bytes(
            {
                "": b"",
                "header": lines[0].encode(),
                "open quote": "".join([*lines[:2], '1.png,"kind 1\n', *lines[3:]]).encode(),
                "half": whole[: len(whole) // 2 + 3],
                "garbage": whole[:20] + b"\xff\xfe\x00" + whole[20:],
                "fewer": "".join(lines[:2]).encode(),
            }[how]
        )
        before, missing = self.state()
        told = self.run("index", self.list, "--json")
        self.list.write_bytes(whole)
        after, still = self.state()
        if how != "fewer":  # three of four may well be meant, unless no other is left
            assert told.code in (1, _HELD_BACK), told
        if told.code != 0:
            assert before.keys() <= after.keys(), told
            assert missing.keys() <= after.keys() | still.keys(), told
        told = self.run("index", self.list, "--json")
        assert told.code == 0, told
        labels = [one.path for one in self.items().values() if one.root == "table"]
        assert sorted(labels) == [f"{number}.png" for number in range(4)], told
        self.check()

    # -- people's words and images ---------------------------------------------------------------

    @rule(data=st.data())
    def label(self, data: st.DataObject) -> None:
        items = self.items()
        if not items:
            return
        one = data.draw(st.sampled_from(sorted(items)))
        self.given += 1
        label = f"by hand {self.given}"
        assert self.run("label", label, one).code == 0
        self.labels.pop(str(items[one].label), None)
        self.labels[label] = one
        assert self.items()[one].label == label
        self.check()

    @rule(number=_CONTENT, again=_CONTENT)
    def send(self, number: int, again: int) -> None:
        """Two phones send images under one name."""
        addresses = [] if self.kind == "embedded" else [self.address]
        name = "shop" if self.kind == "embedded" else parse_address(self.address).name
        before = {one.digest for one in self.items().values()}
        with serving(self.home, *addresses) as live:
            for one in (number, again):
                data = painted(self.place / "sent.png", _SENT + one).read_bytes()
                digest = images.digest(data)
                files = [("image", ("image.png", data))]
                answer = live.client.post(f"/v1/collections/{name}/items", files=files)
                assert answer.status_code in (200, 201), answer.text
                (told,) = answer.json()["files"]
                assert told["outcome"] == ("unchanged" if digest in before else "created")
                before.add(digest)
                self.sent.add(digest)
                assert self.items()[told["id"]].digest == digest
            for path in ("items/..", "items/%2e%2e", "items/x/../.."):
                answer = live.client.delete(f"/v1/collections/{name}/{path}")
                assert answer.status_code >= 400, answer.text
        (self.place / "sent.png").unlink()
        self.check()

    # -- what people name ----------------------------------------------------------------------

    @rule(data=st.data())
    def remove(self, data: st.DataObject) -> None:
        items, missing = self.state()
        one = data.draw(st.sampled_from(sorted({*items, *missing, "nobody"})))
        told = self.run("remove", one, "--json")
        known = one in items or one in missing
        assert (told.code, told.json["removed"]) == ((0, 1) if known else (1, 0)), told
        for item in (items.get(one), missing.get(one)):
            if item is not None:
                self.labels.pop(str(item.label), None)
                self.sent.discard(item.digest)
        assert one not in self.items()
        self.check()

    @rule(dry=st.booleans(), missing=st.booleans())
    def prune(self, *, dry: bool, missing: bool) -> None:
        before, gone = self.state()
        what = ["--missing"] if missing else [self.photos]
        told = self.run("prune", *what, "--yes", "--json", *(["--dry-run"] if dry else []))
        assert told.code == 0, told
        after, still = self.state()
        if dry:
            assert (after, still) == (before, gone)
        elif missing:
            assert not still
            for item in gone.values():
                self.labels.pop(str(item.label), None)
        else:
            assert all(
                not (self.photos / before[one].path).is_file() for one in before.keys() - after
            )
        self.check()

    @rule(put_back=st.booleans(), dry=st.booleans())
    def duplicates(self, *, put_back: bool, dry: bool) -> None:
        before, _ = self.state()
        told = self.run(
            "duplicates", "--delete", "--yes", "--json", *(["--dry-run"] if dry else [])
        )
        copies = [copy for group in told.json["groups"] for copy in group["duplicates"]]
        assert told.code == any(copy["done"] == "left" for copy in copies), told
        taken = [copy for copy in copies if copy["done"] == "trashed"]
        if dry:
            self.check()
            assert self.state()[0] == before
            return
        for copy in taken:
            path, target = Path(copy["path"]), Path(copy["target"])
            if path in self.files:  # or it is an image that the service keeps
                self.files[target] = self.files.pop(path)
                assert images.digest(self.files[target]) == copy["digest"]
        assert before.keys() - self.items().keys() == {copy["id"] for copy in taken}
        held = self.all_labels()
        lost = {one: self.labels.pop(one) for one in [*self.labels] if one not in held}
        assert {*lost.values()} <= {copy["id"] for copy in taken}
        self.check()
        if taken and put_back:
            undone = self.run("duplicates", "--undo", told.json["record"], "--json")
            assert undone.code == 0, undone
            for copy in taken:
                path, target = Path(copy["path"]), Path(copy["target"])
                if target in self.files:
                    self.files[path] = self.files.pop(target)
            self.labels |= lost
            assert self.items() == before
            self.check()

    # -- moving the collection -----------------------------------------------------------------

    @rule(drop=st.booleans())
    def migrate(self, *, drop: bool) -> None:
        before, _ = self.state()
        if not before or not self.photos.is_dir():
            return
        told = self.run(
            "migrate", "--yes", "--json", "--encoder", self.cards[1 - self.encoder],
            *(["--drop-old"] if drop else []),
        )  # fmt: skip
        if any(path.is_relative_to(Path(self.address)) for path in self.files):
            assert told.error is not None, told  # the folder holds what is not the collection's
            self.check()
            return
        assert told.error is None, told
        assert told.code == 0, told
        self.encoder = 1 - self.encoder
        after, missing = self.state()
        lost = {one["path"] for one in told.json["lost"]}
        assert len(lost) == len(before.keys() - after.keys()), told
        assert before.keys() <= after.keys() | missing.keys(), told
        self.sent &= {one.digest for one in after.values()} | {
            one.digest for one in before.values() if (one.path or one.id) not in lost
        }
        self.check()

    @rule()
    def copy(self) -> None:
        """Go on with the copy; the original is left as it was."""
        target = str(self.place / f"copy {len(self.addresses)}/shop")
        told = Told(["copy", self.address, target, "--json"])
        assert told.code == 0, told
        before, here = self.state(), self.address
        self.address = target
        assert self.state() == before
        self.address = here
        if self.kind != "embedded" or len(self.addresses) > 1:
            shutil.rmtree(Path(target).parent)
            return
        self.addresses.append(target)
        self.check()

    @precondition(lambda self: self.kind == "embedded")
    @rule()
    def back_up(self) -> None:
        self.backups += 1
        backup, other = (self.place / f"{name} {self.backups}" for name in ("backup", "restored"))
        assert self.run("backup", backup, "--json").code == 0
        again = self.run("backup", backup, "--json")
        assert again.code != 0, again
        assert Told(["restore", backup, "-c", other, "--json"]).code == 0
        assert Told(["restore", backup, "-c", other, "--json"]).code != 0
        before, here = self.state(), self.address
        self.address = str(other)
        assert self.state() == before
        self.address = here
        self.check()
        shutil.rmtree(backup)
        shutil.rmtree(other)

    # -- accidents -------------------------------------------------------------------------------

    @rule(what=st.sampled_from(_COMMANDS), calls=st.integers(1, 12).map(lambda power: 2**power))
    def kill(self, what: str, calls: int) -> None:
        items = sorted(self.items())
        one = items[calls % len(items)] if items else "nobody"
        arguments: dict[str, list[object]] = {
            "index": ["index", self.photos, "--allow-removals"],
            "table": ["index", self.list],
            "label": ["label", "never mind", one],
            "duplicates": ["duplicates", "--delete", "--yes"],
            "doctor": ["doctor", "--repair"],
            "prune": ["prune", self.photos, "--yes"],
        }
        words = [*map(str, arguments[what]), "-c", self.address]
        before, records = self.items(), self.records()
        child = _PROCESSES.Process(target=_killed, args=(words, calls, {**os.environ}))
        child.start()
        child.join(120)
        assert child.exitcode is not None
        if what == "label" and one in before:  # either of both
            now = self.items()[one].label
            assert now in (before[one].label, "never mind")
            if now == "never mind":
                self.labels.pop(str(before[one].label), None)
        if what == "duplicates":
            # What was taken away comes back by the record, even if that was not finished.
            for record in self.records() - records:
                told = self.run("duplicates", "--undo", record, "--json")
                assert told.code == 0, told
        self.check()

    def records(self) -> set[Path]:
        return {*self.place.rglob(".lookalike-trash/*/removed.jsonl")}

    @rule()
    def look_after(self) -> None:
        before = self.state()
        told = self.run("doctor", "--repair", "--json")
        assert told.code == 0, told
        assert self.state() == before
        assert self.run("doctor", "--json").json["ok"]
        self.check()

    @precondition(lambda self: self.kind != "embedded")
    @rule(what=st.sampled_from(["update", "update by query", "rewrite", "reindex"]))
    def owners_of_the_cluster(self, what: str) -> None:
        before = self.state()
        store = opened(parse_address(self.address))
        try:
            _operate(store, what)
        finally:
            store.close()
        told = self.run("doctor", "--repair", "--json")
        assert told.code == 0, told
        assert self.state() == before
        self.check()

    # -- the end -----------------------------------------------------------------------------------

    def teardown(self) -> None:
        try:
            self.check()
            for address in self.addresses:
                told = Told(["remove", "--all", "--yes", "--json", "-c", address])
                assert told.code == 0, told
                with pytest.raises(CollectionNotFoundError):
                    lookalike.open(address)
            for path, data in self.files.items():
                assert path.read_bytes() == data, f"{path} is lost"
        finally:
            shutil.rmtree(self.place, ignore_errors=True)
            if self.kind != "embedded":
                _dropped(self.kind, self.address)


def _operate(store: ServerStore, what: str) -> None:
    """Do what the owners of a cluster do; what their server can't is left."""
    here = store.index

    def ask(method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:  # noqa: ANN401 - JSON
        return store.server.ask(method, path, body).body

    found = ask("POST", f"/{here}/_search?size=1000", {"query": {"match_all": {}}})["hits"]["hits"]
    if what == "update" and found:
        ask("POST", f"/{here}/_update/{found[0]['_id']}?refresh=true", {"doc": {"stock": 5}})
    elif what == "rewrite":
        for one in found:
            ask("PUT", f"/{here}/_doc/{one['_id']}?refresh=true", one["_source"])
    elif store.dialect.kind == "elasticsearch":
        return  # that of the tests has neither
    elif what == "update by query":
        ask("POST", f"/{here}/_update_by_query?refresh=true&conflicts=proceed")
    elif what == "reindex":
        _reindexed(store, ask)


def _reindexed(store: ServerStore, ask: Callable[..., Any]) -> None:
    """Both indexes into others and back."""
    for index in (store.index, mappings.beside_name(store.index)):
        aside = f"{index}-aside"
        (made,) = ask("GET", f"/{index}").values()
        kept = {"knn", "number_of_shards", "number_of_replicas"}
        told = {name: one for name, one in made["settings"]["index"].items() if name in kept}
        body = {"settings": told, "mappings": made["mappings"]}
        for source, target in ((index, aside), (aside, index)):
            if target == index:
                ask("DELETE", f"/{index}")
            # An alias goes with its index: who replaces the index has to bring it along.
            ask("PUT", f"/{target}", body | {"aliases": made["aliases"] if target == index else {}})
            copy = {"source": {"index": source}, "dest": {"index": target}}
            ask("POST", "/_reindex?refresh=true", copy)
        ask("DELETE", f"/{aside}")


def _dropped(kind: str, address: str) -> None:
    """Remove what a failed history has left on a server."""
    with contextlib.suppress(CollectionNotFoundError):
        store = opened(parse_address(address))
        assert store.dialect.kind == kind
        store.drop()


@pytest.fixture(scope="session")
def cards(card: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    other = tiny_card(tmp_path_factory.mktemp("others"), name="other", seed=5)
    load_encoder(other)
    return card, other


_PROCESSES = multiprocessing.get_context("forkserver")
_PROCESSES.set_forkserver_preload(["lookalike.cli", "test_nothing_is_lost"])


def _histories(kind: str, url: str, cards: tuple[Path, Path], few: int) -> None:
    machine = type("Nothing", (Nothing,), {"kind": kind, "url": url, "cards": cards})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=MANY or few,
            stateful_step_count=25 if MANY else 15,
            deadline=None,
            phases=[Phase.generate],  # accidents differ each time, so nothing gets simpler
            derandomize=not MANY,
            suppress_health_check=[*HealthCheck],
        ),
    )


@pytest.fixture(autouse=True)
def _at_home(monkeypatch: pytest.MonkeyPatch) -> None:
    """Histories set the home of collections; it is what it was afterwards."""
    monkeypatch.setenv("LOOKALIKE_HOME", os.environ["LOOKALIKE_HOME"])


def test_nothing_is_lost(cards: tuple[Path, Path]) -> None:
    _histories("embedded", "", cards, 20)


@pytest.mark.engines
@pytest.mark.parametrize("kind", ["elasticsearch", "opensearch"])
def test_nothing_is_lost_on_a_server(
    kind: str, request: pytest.FixtureRequest, cards: tuple[Path, Path]
) -> None:
    _histories(kind, request.getfixturevalue(f"{kind}_url"), cards, 4)
