"""The page's own decisions, run in the browser: addresses, filters, portions, boxes."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from playwright.sync_api import Browser

from end_to_end.visits import Service, Visit, visiting
from lookalike.core import filters

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
NAME = TEXT.filter(bool) | st.sampled_from(["__proto__", "constructor", "label", "a.b", 'a"b\\'])
NUMBER = st.integers(-(2**53), 2**53) | st.floats(-1e15, 1e15).map(lambda one: round(one, 6) + 0.0)
END = st.none() | NUMBER
SIDE = st.integers(0, 9000)
BOX = st.tuples(SIDE, SIDE, st.integers(400, 1000), st.integers(400, 1000)).map(
    lambda one: [one[0] / 1e4, one[1] / 1e4, (one[0] + one[2]) / 1e4, (one[1] + one[3]) / 1e4]
)
WEIGHT = st.sampled_from([0.25, 1, 2, 1000]) | st.integers(1, 99_999).map(lambda one: one / 100)
STATES = st.fixed_dictionaries(
    {
        "collection": st.none() | TEXT.filter(bool),
        "id": st.none() | TEXT,
        "upload": st.none(),
        "words": TEXT,
        "textMode": st.sampled_from(["auto", "encoder", "labels", "keywords", "fused"]),
        "weight": WEIGHT,
        "also": st.lists(
            st.fixed_dictionaries({"id": TEXT.filter(bool), "weight": WEIGHT})
            | st.fixed_dictionaries({"upload": st.just("0a1b2c"), "weight": WEIGHT}),
            max_size=3,
        ),
        "mix": st.sampled_from(["mean", "best"]),
        "crop": st.none() | BOX,
        "liked": st.lists(TEXT, max_size=3),
        "disliked": st.lists(TEXT, max_size=3),
        "k": st.integers(1, 50),
        "least": st.integers(0, 100).map(lambda one: one / 100),
        "where": TEXT,
        "values": st.dictionaries(
            NAME, st.lists(TEXT | NUMBER | st.booleans(), min_size=1, max_size=3), max_size=3
        ),
        "ranges": st.dictionaries(
            NAME, st.tuples(END, END).filter(lambda one: one != (None, None)), max_size=2
        ),
        "expand": st.integers(0, 10),
        "diversity": st.integers(0, 100).map(lambda one: one / 100),
        "anyOrientation": st.booleans(),
        "collapse": st.booleans(),
        "includeBlank": st.booleans(),
        "perGroup": st.booleans(),
        "category": st.booleans(),
    }
)


@pytest.fixture(scope="module")
def desk(browser: Browser, service: Service) -> Iterator[Visit]:
    """A tab whose modules are called."""
    with visiting(browser, service) as visit:
        visit.open()
        yield visit


def as_json(states: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """With lists for tuples, as JavaScript has it."""
    said: list[dict[str, Any]] = json.loads(json.dumps(states))
    return said


@settings(deadline=None, max_examples=60)
@given(states=st.lists(STATES, min_size=1, max_size=8))
def test_a_url_holds_the_whole_state(desk: Visit, states: list[dict[str, Any]]) -> None:
    read = desk.evaluate(
        "address",
        "(page, all) => JSON.stringify(JSON.parse(all).map((one) => page.parse(page.format(one))))",
        json.dumps(states),
    )
    assert json.loads(read) == as_json(states)


@settings(deadline=None, max_examples=60)
@given(search=st.lists(TEXT | st.sampled_from("?&=%"), max_size=8).map("".join))
def test_any_query_string_gives_a_valid_state(desk: Visit, search: str) -> None:
    state = desk.evaluate("address", "(page, search) => page.parse(search)", search)
    assert 1 <= state["k"] <= 50
    assert 0 <= state["least"] <= 1


@settings(deadline=None, max_examples=60)
@given(states=st.lists(STATES, min_size=1, max_size=8))
def test_checked_values_become_a_valid_filter(desk: Visit, states: list[dict[str, Any]]) -> None:
    for state in states:
        state["where"] = ""
    made = desk.evaluate(
        "address",
        "(page, all) => JSON.parse(all).map((one) => page.filter(one))",
        json.dumps(states),
    )
    for state, filter_ in zip(states, made, strict=True):
        assert bool(filter_) == bool(state["values"] or state["ranges"])
        if filter_:
            filters.parse(filter_)


def test_a_filter_keeps_the_users_expression_in_parentheses(desk: Visit) -> None:
    state = {"values": {"label": ["mug", 'a "b"']}, "ranges": {"price": [1, None]}}
    whole = desk.evaluate(
        "address", "(page, one) => page.filter(one)", {**state, "where": "a=1 or b=2"}
    )
    assert whole == '"label" in ("mug", "a \\"b\\"") and "price">=1 and (a=1 or b=2)'
    place = desk.evaluate(
        "address",
        "(page, [one, at]) => page.positionInWhere(one, at)",
        [{**state, "where": "a=1 or b=2"}, whole.index("or b")],
    )
    assert place == "a=1 or b=2".index("or b")


def test_ten_thousand_files_are_sent_in_batches_within_the_limits(desk: Visit) -> None:
    sizes = desk.evaluate(
        "add-images",
        """(page) => {
          const files = Array.from({ length: 10000 }, (_, at) => [`${at}`, { size: at % 7 * 3e6 }]);
          const bytes = (batch) => batch.reduce((sum, [, file]) => sum + file.size, 0);
          const limits = { max_images: 100, max_body: 2 ** 28 };
          return page.batches(files, limits).map((batch) => [batch.length, bytes(batch)]);
        }""",
    )
    assert sum(length for length, _ in sizes) == 10_000
    assert max(length for length, _ in sizes) <= 16
    assert max(size for _, size in sizes) <= 32 * 2**20


def test_hidden_files_and_other_kinds_are_not_taken_for_images(desk: Visit) -> None:
    names = ["a/b.JPG", "a/.b.jpg", ".a/b.jpg", "a.txt", "scan.tiff", "photo.heic", "jpg"]
    kept = desk.evaluate(
        "add-images",
        """(page, names) =>
          page.imageFiles(names.map((one) => [one, { type: '' }])).map(([one]) => one)""",
        names,
    )
    assert kept == ["a/b.JPG", "scan.tiff", "photo.heic"]


@settings(deadline=None, max_examples=60)
@given(
    box=BOX,
    grip=st.sampled_from(["all", "nw", "ne", "sw", "se"]),
    dx=st.floats(-2, 2),
    dy=st.floats(-2, 2),
)
def test_a_crop_box_never_leaves_its_image(
    desk: Visit, box: list[float], grip: str, dx: float, dy: float
) -> None:
    left, top, right, bottom = desk.evaluate(
        "crop", "(page, args) => page.moveBox(...args)", [box, grip, dx, dy]
    )
    assert 0 <= left < right <= 1.000001
    assert 0 <= top < bottom <= 1.000001
