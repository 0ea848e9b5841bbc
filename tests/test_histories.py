"""Random histories of a folder that people keep: whatever happens to files, no words are lost."""

import shutil
from collections import Counter
from dataclasses import dataclass, field

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import lookalike
from conftest import painted
from contracts.server import an_address
from lookalike import Progress, images
from lookalike.encoders import OnnxEncoder
from wording import Shelf

_NAMES = ["a.png", "b.png", "x/a.png", "x/c.png", "y/a.png", "y/d.png"]
_CONTENTS = 3  # different images: exact duplicates are frequent

Step = tuple[str, str, str]

_NAME = st.sampled_from(_NAMES)
_STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("paint"), _NAME, st.sampled_from("012")),
        st.tuples(st.just("move"), _NAME, _NAME),
        st.tuples(st.just("swap"), _NAME, _NAME),
        st.tuples(st.just("copy"), _NAME, _NAME),
        st.tuples(st.just("delete"), _NAME, st.just("")),
        st.tuples(st.just("label"), _NAME, st.just("")),
        st.tuples(st.just("index"), st.sampled_from(["", "", "cut off"]), st.just("")),
        st.tuples(st.just("index"), st.sampled_from(["x", "y"]), st.just("")),
    ),
    min_size=4,
    max_size=20,
)


@dataclass
class World:
    """A folder and its collection; ``given`` are the labels that people gave, each another one."""

    shelf: Shelf
    content_of: dict[str, str] = field(default_factory=dict)  # label → digest when it was given
    overwritten: set[str] = field(default_factory=set)

    def do(self, step: Step) -> None:
        what, one, other = step
        folder = self.shelf.folder
        there = (folder / one).is_file()
        if what == "paint":
            painted(folder / one, int(other))
        elif what == "label":
            self._label(one)
        elif what == "index":
            self._index(one)
        elif what == "delete" and there:
            (folder / one).unlink()
        elif what == "move" and there and one != other:
            self.shelf.move(one, other)
        elif what == "copy" and there and one != other:
            self.shelf.copy(one, other)
        elif what == "swap" and there and (folder / other).is_file() and one != other:
            shutil.move(folder / one, folder / "swap")
            shutil.move(folder / other, folder / one)
            shutil.move(folder / "swap", folder / other)

    def _label(self, one: str) -> None:
        if one not in self.shelf.shop:
            return
        before = self.shelf.shop.get(one)
        if before.label is not None:
            self.overwritten.add(before.label)
        label = f"label {len(self.content_of)}"
        self.shelf.shop.label([one], label)
        self.content_of[label] = before.digest

    def _index(self, how: str) -> None:
        folder = self.shelf.folder
        if how in ("x", "y"):
            if (folder / how).is_dir():
                self.shelf.shop.index(folder / how, allow_removals=True)
        elif how == "cut off":
            heard: list[Progress] = []  # of the first batch
            self.shelf.index(allow_removals=True, progress=heard.append, stop=lambda: bool(heard))
        else:
            self.shelf.index(allow_removals=True)

    def check(self) -> None:
        """Every label that nobody replaced is on an item or among the missing."""
        shop, folder = self.shelf.shop, self.shelf.folder
        shown = Counter(item.label for item in shop.items() if item.label)
        kept = Counter(one.item.label for one in shop.missing() if one.item.label)
        known = {*shown, *kept}
        assert self.content_of.keys() - self.overwritten <= known
        for item in shop.items():
            assert (folder / item.path).is_file()
            assert images.digest((folder / item.path).read_bytes()) == item.digest


_SETTINGS = settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@given(history=_STEPS)
@_SETTINGS
def test_no_history_of_files_loses_a_label(
    tiny: OnnxEncoder, tmp_path_factory: pytest.TempPathFactory, history: list[Step]
) -> None:
    live(str(tmp_path_factory.mktemp("history") / "shop"), tiny, tmp_path_factory, history)


@pytest.mark.engines
@pytest.mark.parametrize("kind", ["elasticsearch", "opensearch"])
@given(history=_STEPS)
@settings(_SETTINGS, max_examples=3)
def test_no_history_of_files_loses_a_label_on_a_server(
    kind: str,
    request: pytest.FixtureRequest,
    tiny: OnnxEncoder,
    tmp_path_factory: pytest.TempPathFactory,
    history: list[Step],
) -> None:
    url = request.getfixturevalue(f"{kind}_url")
    live(str(an_address(kind, url)), tiny, tmp_path_factory, history)


def live(
    address: str,
    tiny: OnnxEncoder,
    tmp_path_factory: pytest.TempPathFactory,
    history: list[Step],
) -> None:
    """Let a history happen to a folder and its collection, and look at what is left."""
    folder = tmp_path_factory.mktemp("images")
    shop = lookalike.open(address, encoder=tiny, create=True)
    try:
        world = World(Shelf(folder=folder, shop=shop))
        for number, name in enumerate(_NAMES[:4]):
            painted(folder / name, number % _CONTENTS)
        world.do(("index", "", ""))
        for step in history:
            world.do(step)
        world.do(("index", "", ""))
        world.check()
        before = world.shelf.labels(), world.shelf.missing()
        world.do(("index", "", ""))  # nothing more happens
        assert (world.shelf.labels(), world.shelf.missing()) == before
    finally:
        shop.store.drop()
        shutil.rmtree(folder, ignore_errors=True)
