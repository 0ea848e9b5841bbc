"""How good the answers are: every measure agrees with a plain reference written here."""

import json
import math
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from html.parser import HTMLParser
from pathlib import Path
from subprocess import CompletedProcess

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from lookalike import Collection, Item, images
from lookalike.analysis.evaluation import (
    Comparison,
    Evaluation,
    Measures,
    Score,
    compare,
    evaluate,
    interval,
    measures,
)
from lookalike.core.progress import Progress
from lookalike.core.protocols import Encoder, Store
from lookalike.core.records import Json
from lookalike.core.vectors import cosines, unit_rows
from lookalike.errors import CollectionError, FilterError
from lookalike.output.report import render_evaluation
from lookalike.stores.embedded.store import EmbeddedStore

Paint = Callable[[Path, int], Path]
Make = Callable[..., Collection]

HOSTILE = "<script>alert('x')</script> & \"quotes\" $title ${body}"


def no_encoder(store: Store) -> Encoder:
    raise AssertionError(f"{store} needs no network here")


def item(
    name: str,
    label: str | None = None,
    *,
    group: str | None = None,
    digest: str | None = None,
    **metadata: Json,
) -> Item:
    return Item(
        id=name,
        digest=images.digest((digest or name).encode()),  # of what stands for its bytes
        width=8,
        height=8,
        label=label,
        group=group,
        metadata=metadata,
    )


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    """``make(items, vectors)`` is a collection of these, whatever the pictures may be."""
    made: list[Collection] = []

    def make(items: Sequence[Item], vectors: object) -> Collection:
        store = EmbeddedStore.open(tmp_path / f"shop{len(made)}", create=True)
        rows = unit_rows(np.array(vectors, dtype=np.float64))
        store.bind(encoder="drawn", fingerprint="drawn:1", dim=rows.shape[1])
        store.items.upsert(items, rows)
        made.append(Collection(store, no_encoder))
        return made[-1]

    yield make
    for one in made:
        one.close()


def turned(*degrees: float) -> list[list[float]]:
    """Vectors in the plane: the nearer the angles, the more alike."""
    return [[math.cos(math.radians(one)), math.sin(math.radians(one))] for one in degrees]


@pytest.fixture
def tiny_shop(make: Make) -> Collection:
    """Five pictures in a row: a, a, b, a, b."""
    labels = ["a", "a", "b", "a", "b"]
    items = [item(str(number), label) for number, label in enumerate(labels)]
    return make(items, turned(0, 1, 3, 7, 15))


# -- the measures --------------------------------------------------------------------------


def reference(
    vectors: np.ndarray, classes: Sequence[int], query: int, gallery: Sequence[int], k: int
) -> dict[str, float]:
    """One query's measures, as plainly as they are defined."""
    scores = cosines(vectors, vectors[query])
    ranked = sorted((row for row in gallery if row != query), key=lambda row: (-scores[row], row))
    right = [classes[row] == classes[query] for row in ranked]
    total = sum(right)

    def precision(upto: int) -> float:
        return sum(right[:upto]) / upto

    return {
        f"P@{k}": precision(k),
        f"R@{k}": 1.0 if any(right[:k]) else 0.0,
        f"recall@{k}": sum(right[:k]) / total,
        "mAP": sum(precision(n) for n, one in enumerate(right, 1) if one) / total,
        "mAP@R": sum(precision(n) for n, one in enumerate(right[:total], 1) if one) / total,
        "R-precision": precision(total),
    }


@st.composite
def problems(draw: st.DrawFn) -> tuple[np.ndarray, list[int], list[int], list[int]]:
    """Vectors with many ties, classes (some of one item, some none), queries and gallery."""
    count = draw(st.integers(2, 40))
    few = st.lists(st.integers(-2, 2), min_size=3, max_size=3).filter(any)
    pool = draw(st.lists(few, min_size=1, max_size=8))
    vectors = np.array([draw(st.sampled_from(pool)) for _ in range(count)], dtype=np.float64)
    classes = draw(st.lists(st.integers(-1, 4), min_size=count, max_size=count))
    rows = st.lists(st.integers(0, count - 1), min_size=1, unique=True)
    everything = list(range(count))
    gallery = draw(st.one_of(st.just(everything), rows))
    queries = [
        row
        for row in draw(st.one_of(st.just(everything), rows))
        if classes[row] >= 0
        and any(classes[other] == classes[row] for other in gallery if other != row)
    ]
    return unit_rows(vectors), classes, queries, gallery


@given(problems(), st.integers(1, 12))
def test_every_measure_agrees_with_the_plain_reference(
    problem: tuple[np.ndarray, list[int], list[int], list[int]], k: int
) -> None:
    vectors, classes, queries, gallery = problem
    if not queries:
        return
    made = measures(vectors, np.array(classes), np.array(queries), np.array(gallery), ks=[k])
    for number, query in enumerate(queries):
        expected = reference(vectors, classes, query, gallery, k)
        found = {name: values[number] for name, values in made.values.items()}
        assert found == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("cells", [1, 900, 10_000])
def test_the_measures_do_not_depend_on_the_size_of_a_block(
    monkeypatch: pytest.MonkeyPatch, cells: int
) -> None:
    rng = np.random.default_rng(3)
    vectors = unit_rows(rng.normal(size=(300, 16)))
    classes = rng.integers(0, 12, 300)
    rows = np.arange(300)
    whole = measures(vectors, classes, rows, rows)
    monkeypatch.setattr("lookalike.analysis.evaluation.rankings._CELLS", cells)
    monkeypatch.setattr("lookalike.analysis.evaluation.rankings._COLUMNS", 7)
    apart = measures(vectors, classes, rows, rows)
    assert_same(whole, apart)
    expected = [reference(vectors, classes.tolist(), row, range(300), 10) for row in range(300)]
    for name in expected[0]:
        assert whole.values[name] == pytest.approx([one[name] for one in expected], abs=1e-6)


def assert_same(one: Measures, other: Measures) -> None:
    assert one.values.keys() == other.values.keys()
    for name, values in one.values.items():
        np.testing.assert_array_equal(values, other.values[name])
    np.testing.assert_array_equal(one.first, other.first)
    np.testing.assert_allclose(one.curve, other.curve)


def test_a_query_with_nothing_to_find_is_a_wrong_argument() -> None:
    vectors = unit_rows(np.eye(3))
    with pytest.raises(ValueError, match="nothing to find"):
        measures(vectors, np.array([0, 0, 1]), np.array([2]), np.arange(3))
    with pytest.raises(ValueError, match="nothing to find"):
        measures(vectors, np.array([0, 0, -1]), np.array([2]), np.arange(3))


def test_a_case_reckoned_by_hand(tiny_shop: Collection) -> None:
    # rankings (right: *): 0: *1 2 *3 4; 1: *0 2 *3 4; 2: 1 0 3 *4; 3: 2 *1 *0 4; 4: 3 *2 1 0
    found = evaluate(tiny_shop, ks=(1, 2))
    precision = [(1 + 2 / 3) / 2, (1 + 2 / 3) / 2, 1 / 4, (1 / 2 + 2 / 3) / 2, 1 / 2]
    assert found.scores["mAP"].micro == pytest.approx(sum(precision) / 5)
    macro = (sum(precision[i] for i in (0, 1, 3)) / 3 + (precision[2] + precision[4]) / 2) / 2
    assert found.scores["mAP"].macro == pytest.approx(macro)
    assert found.scores["P@1"].micro == pytest.approx(2 / 5)
    assert found.scores["P@2"].micro == pytest.approx((1 + 1 + 0 + 1 + 1) / 10)
    assert found.scores["R@2"].micro == pytest.approx(4 / 5)
    assert found.scores["recall@2"].micro == pytest.approx((0.5 + 0.5 + 0 + 0.5 + 1) / 5)
    assert found.scores["R-precision"].micro == pytest.approx((0.5 + 0.5 + 0 + 0.5 + 0) / 5)
    assert found.scores["mAP@R"].micro == pytest.approx((0.5 + 0.5 + 0 + 0.25 + 0) / 5)
    assert found.curve[:2] == pytest.approx((2 / 5, 4 / 10))
    assert (found.queries, found.items, found.alone, found.unclassed) == (5, 5, 0, 0)


def test_classes_and_queries_come_worst_first_with_what_they_were_taken_for(
    tiny_shop: Collection,
) -> None:
    found = evaluate(tiny_shop, ks=(1,), worst=2)
    assert [(one.name, one.items, one.mistaken_for) for one in found.classes] == [
        ("b", 2, "a"),
        ("a", 3, "b"),
    ]
    assert found.headline == "P@1"
    pairs = [(one.name, one.taken_for, one.count) for one in found.confusions]
    assert pairs == [("b", "a", 2), ("a", "b", 1)]
    worst = found.worst[0]
    assert (worst.id, worst.relevant, worst.average_precision) == ("2", 1, 0.25)
    assert [(one.id, one.right) for one in worst.hits] == [
        ("1", False),
        ("0", False),
        ("3", False),
        ("4", True),
    ]
    assert worst.hits[0].score == pytest.approx(math.cos(math.radians(2)), abs=1e-6)
    assert found.worst[1].id == "4"


def test_a_query_does_not_find_itself_but_its_exact_copies(make: Make) -> None:
    items = [item("1", "a", digest="x"), item("2", "a", digest="x"), item("3", "b")]
    found = evaluate(make(items, turned(0, 0, 1)), ks=(1,))
    assert found.scores["P@1"].micro == 1
    assert found.alone == 1


def test_equal_scores_go_by_id_as_in_searches(make: Make) -> None:
    labels = {"q": "a", "m": "b", "b": "a", "x": "a", "c": "b"}
    shop = make([item(name, label) for name, label in labels.items()], turned(0, 5, 5, 5, 5))
    found = evaluate(shop, worst=5)
    for judged in found.worst:
        hits = shop.similar(judged.id, k=4, exact=True)
        assert [one.id for one in judged.hits] == [hit.item.id for hit in hits]
        assert [one.score for one in judged.hits] == [hit.score for hit in hits]


# -- what takes part -----------------------------------------------------------------------


def test_answers_are_judged_by_group_or_by_a_field(make: Make) -> None:
    items = [
        item("1", "x", group="p", price=1, spec={"size": "L"}),
        item("2", "y", group="p", price=1.0, spec={"size": "M"}),
        item("3", "x", group="q", price=2, spec={"size": "L"}),
        item("4", "y", group="q", price=True, spec={"size": "M"}),
    ]
    shop = make(items, turned(0, 1, 10, 11))
    assert evaluate(shop, by="group", ks=(1,)).scores["P@1"].micro == 1
    assert evaluate(shop, by="label", ks=(1,)).scores["P@1"].micro == 0
    assert evaluate(shop, by="spec.size", ks=(1,)).scores["P@1"].micro == 0
    by_price = evaluate(shop, by="metadata.price", ks=(1,))
    assert (by_price.queries, by_price.alone) == (2, 2)


def test_a_field_of_lists_cannot_judge(make: Make) -> None:
    shop = make([item("1", tags=["a"]), item("2", tags=["a"])], turned(0, 1))
    with pytest.raises(CollectionError, match="tags of '1' is a list"):
        evaluate(shop, by="tags")


def test_items_without_a_class_are_left_out_unless_they_are_to_distract(make: Make) -> None:
    shop = make([item("1", "a"), item("2"), item("3", "a")], turned(0, 1, 5))
    without = evaluate(shop, ks=(1,))
    assert (without.items, without.unclassed, without.scores["P@1"].micro) == (2, 1, 1)
    among = evaluate(shop, ks=(1,), distractors=True)
    assert (among.items, among.unclassed, among.scores["P@1"].micro) == (3, 1, 0)
    assert among.worst[0].hits[0].name is None
    assert among.confusions == ()


def test_a_filter_says_which_items_take_part(make: Make) -> None:
    items = [item(str(n), "ab"[n % 2], kind="ab"[n < 4]) for n in range(8)]
    shop = make(items, turned(*range(8)))
    assert evaluate(shop, where="kind=a").items == 4
    with pytest.raises(FilterError):
        evaluate(shop, where="kind=")
    with pytest.raises(CollectionError, match="no item meets kind=z: no item has kind = 'z'"):
        evaluate(shop, where="kind=z")


def test_queries_search_a_gallery_of_their_own(make: Make) -> None:
    items = [
        item("g1", group="1", split="gallery"),
        item("g2", group="2", split="gallery"),
        item("q1", group="1", split="query"),
        item("q2", group="2", split="query"),
        item("q3", group="3", split="query"),
        item("t1", group="1", split="train"),
    ]
    shop = make(items, turned(0, 10, 2, 4, 9, 4.5))
    found = evaluate(shop, by="group", split=("split=query", "split=gallery"), ks=(1, 2))
    assert (found.queries, found.items, found.alone) == (2, 2, 1)
    assert found.scores["R@1"].micro == 0.5  # q2 lies nearer to g1
    assert found.scores["R@2"].micro == 1
    assert [one.items for one in found.classes] == [1, 1]
    against_all = evaluate(shop, by="group", split=("split=query", None), ks=(1,))
    assert (against_all.queries, against_all.items) == (2, 6)
    assert all(judged.id not in {one.id for one in judged.hits} for judged in against_all.worst)
    with pytest.raises(CollectionError, match="no item meets split=no: no item has split"):
        evaluate(shop, by="group", split=("split=no", None))


@pytest.mark.parametrize(
    ("by", "hint"),
    [("label", "lookalike label"), ("group", "--group-column"), ("price", "info --fields")],
)
def test_without_classes_the_error_says_how_to_get_them(make: Make, by: str, hint: str) -> None:
    shop = make([item("1"), item("2")], turned(0, 1))
    with pytest.raises(CollectionError, match=f"none of the 2 items has a {by}") as error:
        evaluate(shop, by=by)
    assert hint in str(error.value)


def test_an_empty_collection_and_single_pictures_are_errors(make: Make) -> None:
    shop = make([item("1", "a"), item("2", "b")], turned(0, 1))
    with pytest.raises(CollectionError, match="no two images share a label"):
        evaluate(shop)
    shop.remove(["1", "2"])
    with pytest.raises(CollectionError, match="the collection is empty"):
        evaluate(shop)


@pytest.mark.parametrize("wrong", [{"ks": ()}, {"ks": (0, 1)}, {"queries": 0}])
def test_wrong_arguments_are_value_errors(tiny_shop: Collection, wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="must be"):
        evaluate(tiny_shop, **wrong)  # type: ignore[arg-type] # on purpose
    with pytest.raises(ValueError, match="nothing to compare"):
        compare([])


def test_a_draw_of_queries_is_counted_and_repeated_by_its_seed(make: Make) -> None:
    rng = np.random.default_rng(0)
    items = [item(f"{n:03}", str(n % 5)) for n in range(100)]
    shop = make(items, rng.normal(size=(100, 8)))
    one, same, other = (evaluate(shop, queries=20, seed=seed) for seed in (1, 1, 2))
    assert (one.queries, one.eligible, one.items) == (20, 100, 100)
    assert one.query_ids == same.query_ids != other.query_ids
    assert one.scores == same.scores
    heard: list[Progress] = []
    whole = evaluate(shop, queries=None, progress=heard.append)
    assert whole.queries == 100
    assert heard[-1] == Progress(done=100, total=100)


# -- intervals -----------------------------------------------------------------------------


def test_intervals_hold_the_mean_and_are_repeated_by_their_seed() -> None:
    values = np.random.default_rng(5).random((400, 2))
    low, high = interval(values, seed=7)
    again = interval(values, seed=7)
    assert (low < values.mean(axis=0)).all()
    assert (values.mean(axis=0) < high).all()
    np.testing.assert_array_equal(np.stack(again), np.stack([low, high]))
    assert (interval(values, seed=8)[0] != low).any()


def test_an_interval_is_as_wide_as_theory_says() -> None:
    values = np.random.default_rng(5).normal(size=(1000, 1))
    low, high = interval(values, resamples=2000)
    assert (high - low)[0] == pytest.approx(2 * 1.96 * values.std() / math.sqrt(1000), rel=0.1)


def test_intervals_cover_the_truth_about_as_often_as_they_say() -> None:
    rng = np.random.default_rng(11)
    covered = 0
    for seed in range(200):
        low, high = interval(rng.random((60, 1)), seed=seed, resamples=300)
        covered += bool(low[0] < 0.5 < high[0])
    assert 0.88 <= covered / 200 <= 0.99


# -- side by side --------------------------------------------------------------------------


def test_collections_are_measured_on_the_pictures_that_all_have(make: Make) -> None:
    first = [item(name, label, digest=name) for name, label in zip("abcdx", "11221", strict=True)]
    second = [item(f"other:{name}", "?", digest=name) for name in "dcbay"]
    one = make(first, turned(0, 1, 10, 11, 0.5))
    other = make(second, turned(5, 0, 6, 1, 3))
    found = compare([one, other], ks=(1,))
    assert (found.common, found.left_out) == (4, (1, 1))
    good, bad = found.evaluations
    assert (good.scores["P@1"].micro, bad.scores["P@1"].micro) == (1, 0)
    assert good.query_ids == bad.query_ids == ("a", "b", "c", "d")
    assert {judged.id for judged in bad.worst} == {f"other:{name}" for name in "abcd"}
    apart = found.differences[0]["P@1"]
    assert (apart.mean, apart.low, apart.high) == (-1, -1, -1)
    same = compare([one, one], ks=(1,))
    assert (same.common, same.left_out) == (5, (0, 0))
    assert same.evaluations[0].scores == same.evaluations[1].scores


def test_collections_without_a_common_picture_cannot_be_compared(make: Make) -> None:
    one = make([item("1", "a"), item("2", "a")], turned(0, 1))
    other = make([item("3", "a"), item("4", "a")], turned(0, 1))
    with pytest.raises(CollectionError, match="no image in common"):
        compare([one, other])


# -- the page ------------------------------------------------------------------------------


class Page(HTMLParser):
    """Checks that every tag is closed in order, and keeps tags, addresses and text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.text = ""
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href")]
        assert not any(name.startswith("on") for name, _ in attrs)
        if tag not in ("meta", "img", "br"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in {"line", "rect", "circle", "polyline"}
        self.tags.append(tag)
        assert not any(name.startswith("on") for name, _ in attrs)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def one_of(found: Evaluation) -> Comparison:
    return Comparison(evaluations=(found,), common=found.items, left_out=(0,), differences=())


def test_the_page_stands_alone_and_shows_pictures_that_are_gone(tiny_shop: Collection) -> None:
    found = evaluate(tiny_shop, worst=5)
    there = images.encode_thumbnail(Image.new("RGB", (9, 9), "red"), 9)
    text = render_evaluation(one_of(found), {(0, "0"): there, (0, "1"): None}, made_at="today")
    page = Page(text)
    assert "script" not in page.tags
    assert page.addresses
    assert all(one.startswith("data:image/jpeg;base64,") for one in page.addresses)
    assert "image not found" in page.text
    assert page.tags.count("svg") == 2
    assert "prefers-color-scheme: dark" in text
    assert not re.search(r"url\(|@import|https?://", text)
    assert "$" not in page.text


def test_what_a_collection_says_is_escaped(make: Make) -> None:
    items = [
        item(f"{HOSTILE}-{n}", HOSTILE if n % 2 else f"{HOSTILE} b", group=HOSTILE)
        for n in range(6)
    ]
    shop = make(items, turned(*range(6)))
    found = evaluate(shop, where='label!="<b>"')
    text = render_evaluation(one_of(found), {})
    page = Page(text)
    assert "script" not in page.tags
    assert HOSTILE in page.text
    assert 'label!="<b>"' in page.text


def test_pages_of_many_classes_and_several_collections_are_well_formed(make: Make) -> None:
    rng = np.random.default_rng(2)
    items = [item(f"{n:04}", f"class {n // 2}") for n in range(1300)]
    one, other = (make(items, rng.normal(size=(1300, 8))) for _ in range(2))
    page = Page(render_evaluation(compare([one, other], queries=None), {}))
    assert "The worst 500 of 650 classes" in page.text
    assert "points over" in page.text
    assert page.tags.count("svg") == 6
    assert page.tags.count("tr") < 1200


def test_an_evaluation_without_wrong_answers_says_so(make: Make) -> None:
    items = [item(str(n), str(n // 2)) for n in range(4)]
    found = evaluate(make(items, turned(0, 1, 50, 51)), ks=(3,), worst=0)
    page = Page(render_evaluation(one_of(found), {}))
    assert "No first result was wrong" in page.text
    assert found.scores["R@3"] == Score(micro=1, low=1, high=1, macro=1)


def test_the_page_begins_in_plain_words(make: Make) -> None:
    rng = np.random.default_rng(3)
    centres = np.eye(8)
    items = [item(f"{n:03}", f"kind {n // 12}") for n in range(72)]
    loose = np.repeat([0.05, 0.05, 0.05, 0.6, 0.7, 0.8], 12)[:, None]
    vectors = np.repeat(centres[:6], 12, axis=0) + loose * rng.normal(size=(72, 8))
    found = evaluate(make(items, vectors), queries=None)
    text = Page(render_evaluation(one_of(found), {})).text
    right = found.scores["P@10"].micro * 10
    assert f"Of the first 10 results, about {right:.0f} had." in text
    best, worst = text.split("It does best for ")[1].split(".")[0].split(", and worst for ")
    assert all(kind in best for kind in ("kind 0", "kind 1", "kind 2"))
    assert all(kind in worst for kind in ("kind 3", "kind 4", "kind 5"))
    assert "mostly taken for kind" in worst
    few = evaluate(make(items[:24], vectors[:24]), queries=None)
    assert "does best" not in Page(render_evaluation(one_of(few), {})).text


def test_the_page_says_what_was_left_out_and_drawn(make: Make) -> None:
    items = [item(f"{n}", str(n // 4), side="gq"[n % 2]) for n in range(12)]
    items += [item("alone", "z", side="q"), item("unlabelled", side="g")]
    one = make(items, turned(*range(14)))
    other = make(items[1:], turned(*range(13)))
    found = compare([one, other], split=("side=q", "side=g"), queries=3, ks=(2,))
    page = Page(render_evaluation(found, {}))
    for sentence in (
        "The queries are the images with side=q; they search the 5 images with side=g.",
        "3 of 6 possible queries were drawn at random (seed 0).",
        "Not used as queries, because no other item shares their label: 1.",
        "Without a label, and left out: 1.",
        "left out: 1 of shop0.",
    ):
        assert sentence in page.text
    twice = Page(render_evaluation(compare([one, one], ks=(2,)), {}))
    assert "shop0 (drawn) [2]" in twice.text


# -- the command ---------------------------------------------------------------------------

Run = Callable[..., CompletedProcess[str]]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    environment = {
        **{name: os.environ[name] for name in ("PATH", "SYSTEMROOT") if name in os.environ},
        "LOOKALIKE_HOME": str(tmp_path / "home"),
        "LOOKALIKE_CACHE": str(tmp_path / "cache"),
        "HOME": str(tmp_path),
        "PYTHONWARNINGS": "error",
        "PYTHONUTF8": "1",
    }

    def run(*arguments: object) -> CompletedProcess[str]:
        command = [sys.executable, "-m", "lookalike", *map(str, arguments)]
        return subprocess.run(
            command,
            env=environment,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            encoding="utf-8",
            check=False,
            timeout=120,
        )

    return run


@pytest.fixture
def photos(tmp_path: Path, paint: Paint) -> Path:
    folder = tmp_path / "photos"
    for number in range(12):
        paint(folder / ("even" if number % 2 else "odd") / f"{number}.png", number)
    return folder


@pytest.fixture
def indexed(run: Run, photos: Path, card: Path) -> Run:
    done = run("index", photos, "--format", "class-folders", "--encoder", card)
    assert done.returncode == 0, done.stderr
    return run


def test_the_command_prints_a_table_and_says_what_was_asked(indexed: Run) -> None:
    done = indexed("evaluate", "-k", "1,3")
    assert done.returncode == 0, done.stderr
    rows = [line.split("\t") for line in done.stdout.splitlines()]
    assert [row[0] for row in rows][:4] == ["P@1", "P@3", "R@1", "R@3"]
    assert all(0 <= float(row[1]) <= 1 for row in rows)
    assert "12 queries, 12 items, 2 classes by label" in done.stderr
    sampled = indexed("evaluate", "--queries", "5")
    assert "5 queries of 12 (drawn with seed 0" in sampled.stderr


def test_the_command_writes_json_a_page_and_sheets(
    indexed: Run, photos: Path, tmp_path: Path
) -> None:
    (photos / "odd" / "0.png").unlink()
    done = indexed("evaluate", "--json", "--report", "r.html", "--sheets", "sheets", "--worst", 12)
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    (one,) = document["evaluations"]
    assert one["queries"] == 12
    assert set(one["scores"]["mAP"]) == {"micro", "low", "high", "macro"}
    assert len(one["worst"]) == 12
    assert "values" not in one
    page = Page((tmp_path / "r.html").read_text(encoding="utf-8"))
    assert "image not found" in page.text
    assert len(list((tmp_path / "sheets").glob("worst-*.jpg"))) == 12


def test_the_command_compares_collections(
    indexed: Run, photos: Path, card: Path, tmp_path: Path
) -> None:
    part = tmp_path / "part"
    photos.rename(part)
    (part / "even" / "1.png").unlink()
    done = indexed("index", part, "-c", "other", "--format", "class-folders", "--encoder", card)
    assert done.returncode == 0, done.stderr
    done = indexed("evaluate", "-c", "default", "-c", "other", "--report", "r.html")
    assert done.returncode == 0, done.stderr
    assert "11 images in common" in done.stderr
    rows = [line.split("\t") for line in done.stdout.splitlines()]
    assert [row[1] for row in rows[:2]] == ["default", "other"]
    assert rows[1][5].startswith("+0.0000 (")
    assert Page((tmp_path / "r.html").read_text(encoding="utf-8")).tags.count("svg") == 4


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--by", "group"], 1, "none of the 12 items has a group"),
        (["-k", "1,x"], 2, "not a list of numbers"),
        (["-k", "0"], 2, "not a list of numbers"),
        (["--queries", "few"], 2, "neither a number"),
        (["--report", "missing/r.html"], 1, "the report cannot be written"),
        (["-c", "nowhere"], 1, "no collection"),
    ],
)
def test_the_command_explains_what_is_wrong(
    indexed: Run, arguments: list[str], code: int, message: str
) -> None:
    done = indexed("evaluate", *arguments)
    assert done.returncode == code
    assert message in done.stderr
    assert "Traceback" not in done.stderr
