"""Calibration: which scores are strong, fair and weak, and when nothing looks like a picture."""

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from statistics import NormalDist

import numpy as np
import pytest
from click.testing import CliRunner, Result
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

import lookalike
from contracts.store import an_item
from lookalike.analysis import calibration
from lookalike.analysis.calibration import FIXED, Calibration, Match
from lookalike.cli.calibrate import calibrate_command
from lookalike.cli.inspect import info_command
from lookalike.cli.search import search_command, similar_command
from lookalike.collection import Collection
from lookalike.core.protocols import Encoder, Store
from lookalike.core.records import Entry, Hit
from lookalike.core.vectors import Matrix, unit_rows
from lookalike.errors import EncoderError
from lookalike.search import Encoded
from lookalike.stores.embedded.store import EmbeddedStore

DIM = 32
LEVELS: tuple[Match, ...] = ("strong", "fair", "weak")
ALL_SCORES = st.floats(-1, 1)


def no_encoder(_store: Store) -> Encoder:
    raise EncoderError("nothing is encoded here")


def opened(folder: Path, fingerprint: str = "tiny-1") -> Collection:
    store = EmbeddedStore.open(folder, create=True)
    store.bind(encoder="tiny", fingerprint=fingerprint, dim=DIM)
    return Collection(store, no_encoder)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "shop"


@pytest.fixture
def shop(folder: Path) -> Iterator[Collection]:
    with opened(folder) as shop:
        yield shop


def kinds(count: int, of_each: int = 10, *, seed: int = 0, spread: float = 0.6) -> Matrix:
    """Vectors of ``count`` kinds, each ``of_each`` times: alike within a kind, by chance across."""
    rng = np.random.default_rng(seed)
    middles = np.repeat(unit_rows(rng.normal(size=(count, DIM))), of_each, axis=0)
    return unit_rows(middles + spread * unit_rows(rng.normal(size=middles.shape)))


def put(shop: Collection, vectors: Matrix, *, start: int = 0, **fields: list[str]) -> None:
    """Items ``0000``, ``0001`` … ; ``fields`` are of the items."""
    items = [
        an_item(
            f"{start + number:04d}", **{name: values[number] for name, values in fields.items()}
        )
        for number in range(len(vectors))
    ]
    shop.store.items.upsert(items, vectors)


def least(scale: Calibration) -> tuple[float, ...]:
    return tuple(scale.least(match) for match in LEVELS)


def hit(score: float, item_id: str = "a.jpg") -> Hit:
    return Hit(item=an_item(item_id), score=score)


# -- the statistics ------------------------------------------------------------------------


def test_chance_grows_with_the_number_of_items() -> None:
    pairs = np.random.default_rng(0).normal(0.2, 0.05, 100_000)
    scores = [calibration.estimate_chance(pairs, items) for items in (2, 100, 10_000, 1_000_000)]
    assert scores == sorted(scores)
    assert scores[0] == pytest.approx(0.2, abs=0.002)
    assert scores[2] == pytest.approx(NormalDist(0.2, 0.05).inv_cdf(1 - 1e-4), abs=0.005)


def test_pairs_that_are_truly_alike_do_not_count_as_chance() -> None:
    rng = np.random.default_rng(0)
    unrelated = rng.normal(0.2, 0.05, 90_000)
    alike = rng.normal(0.7, 0.05, 10_000)
    pure = calibration.estimate_chance(unrelated, 1000)
    mixed = calibration.estimate_chance(np.concatenate([unrelated, alike]), 1000)
    assert mixed == pytest.approx(pure, abs=0.03)


def test_the_best_of_unrelated_pictures_reaches_about_chance(shop: Collection) -> None:
    put(shop, kinds(300, of_each=1))
    pairs = unit_rows(np.random.default_rng(1).normal(size=(600, DIM)))
    scores = np.einsum("ij,ij->i", pairs[:300], pairs[300:]).astype(np.float64)
    expected = calibration.estimate_chance(scores, 300)
    strangers = unit_rows(np.random.default_rng(2).normal(size=(100, DIM)))
    best = [hits[0].score for hits in shop.store.search.nearest(strangers, k=1)]
    assert np.median(best) == pytest.approx(expected, abs=0.05)


@settings(max_examples=60, deadline=None)
@given(
    pairs=arrays.arrays(np.float64, st.integers(1, 50), elements=ALL_SCORES),
    nearest=arrays.arrays(np.float64, st.integers(1, 50), elements=ALL_SCORES),
    items=st.integers(1, 10**9),
)
def test_levels_are_in_order_and_are_cosines(
    pairs: calibration.Values, nearest: calibration.Values, items: int
) -> None:
    found = calibration.compute_thresholds(pairs, nearest, items)
    assert -1 <= found["weak"] <= found["fair"] <= found["strong"] <= 1
    assert np.mean(nearest < found["weak"]) <= 0.05 + 1 / len(nearest)


def test_where_nothing_has_a_look_alike_the_nearest_is_not_strong() -> None:
    rng = np.random.default_rng(0)
    pairs, nearest = rng.normal(0.2, 0.05, 5000), rng.normal(0.35, 0.02, 500)
    found = calibration.compute_thresholds(pairs, nearest, 1000)
    assert np.mean(nearest >= found["strong"]) == 0


def test_where_everything_is_of_one_kind_its_pictures_still_match() -> None:
    rng = np.random.default_rng(0)
    pairs, nearest = rng.normal(0.6, 0.15, 5000).clip(-1, 1), rng.normal(0.85, 0.05, 500)
    found = calibration.compute_thresholds(pairs, nearest, 10_000)
    assert np.mean(nearest >= found["weak"]) == pytest.approx(0.95, abs=0.01)


# -- measuring -----------------------------------------------------------------------------


def test_a_kind_that_is_there_matches_and_a_stranger_does_not(shop: Collection) -> None:
    vectors = kinds(31)
    put(shop, vectors[:-10])
    scale = calibration.calibrate(shop)
    assert scale.reason is None
    known = unit_rows(vectors[:300:10] + 0.2 * kinds(30, of_each=1, seed=9))
    for row in known:
        assert scale.match_hits(shop.search(Encoded(vector=row)), min_match="fair").hits
    strangers = vectors[-10:]
    found = [
        scale.match_hits(shop.search(Encoded(vector=row)), min_match="fair") for row in strangers
    ]
    assert [one.hits for one in found] == [()] * 10
    assert all(one.nothing is not None for one in found)


def test_levels_say_how_often_the_nearest_has_the_label(shop: Collection) -> None:
    put(shop, kinds(30), label=[f"kind {number // 10}" for number in range(300)])
    scale = calibration.calibrate(shop)
    assert sum(level.nearest for level in scale.levels) <= scale.sampled == 300
    assert scale.levels[0].labelled == scale.levels[0].nearest > 0
    assert scale.levels[0].same_label == scale.levels[0].labelled


def test_exact_copies_do_not_make_matches_stricter(shop: Collection, tmp_path: Path) -> None:
    vectors = kinds(30)
    put(shop, vectors)
    with opened(tmp_path / "twice") as twice:
        digests = [an_item(f"{number:04d}").digest for number in range(300)]
        put(twice, np.concatenate([vectors, vectors]), digest=digests * 2)
        doubled = calibration.calibrate(twice).least("strong")
        assert doubled == pytest.approx(calibration.calibrate(shop).least("strong"), abs=0.02)


def test_pictures_of_one_product_do_not_make_matches_stricter(
    shop: Collection, tmp_path: Path
) -> None:
    vectors = kinds(30)
    put(shop, vectors)
    with opened(tmp_path / "grouped") as grouped:
        near = unit_rows(vectors + 0.01 * kinds(30, seed=5))
        put(grouped, np.concatenate([vectors, near]), group=[f"p{n}" for n in range(300)] * 2)
        several = calibration.calibrate(grouped).least("strong")
        assert several == pytest.approx(calibration.calibrate(shop).least("strong"), abs=0.02)


def test_many_copies_of_one_picture_do_not_hide_the_others(shop: Collection) -> None:
    vectors = kinds(20)
    copies = np.repeat(vectors[:1], 40, axis=0)
    digests = [an_item(f"{n:04d}").digest for n in range(200)]
    put(shop, np.concatenate([vectors, copies]), digest=[*digests, *digests[:1] * 40])
    scale = calibration.calibrate(shop)
    assert scale.sampled == 240
    assert scale.nearest is not None
    assert scale.nearest.p999 < 0.999


def test_measuring_twice_gives_the_same_levels(shop: Collection) -> None:
    put(shop, kinds(60))
    one, other = calibration.calibrate(shop), calibration.calibrate(shop)
    assert replace(one, measured_at=0) == replace(other, measured_at=0)


@pytest.mark.parametrize("count", [0, 1, 2, 5, 19])
def test_with_few_items_the_levels_are_fixed_and_say_so(shop: Collection, count: int) -> None:
    if count:
        put(shop, kinds(count, of_each=1))
    scale = calibration.get_calibration(shop)
    assert least(scale) == tuple(FIXED[match] for match in LEVELS)
    assert scale.reason is not None
    assert scale.reason.startswith(f"{count} item")


def test_a_collection_that_was_never_indexed_has_fixed_levels(tmp_path: Path) -> None:
    with Collection(EmbeddedStore.open(tmp_path / "new", create=True), no_encoder) as new:
        assert calibration.calibrate(new).reason is not None
        assert calibration.load_calibration(new) is None


def test_copies_of_one_picture_have_fixed_levels(shop: Collection) -> None:
    put(shop, np.repeat(kinds(1, of_each=1), 50, axis=0), digest=["ab" * 32] * 50)
    scale = calibration.get_calibration(shop)
    assert scale.reason is not None
    assert "duplicates of one another" in scale.reason
    assert scale.match(1.0) == "strong"


def test_an_encoder_that_tells_nothing_apart_is_said_to(shop: Collection) -> None:
    put(shop, np.repeat(kinds(1, of_each=1), 50, axis=0))
    scale = calibration.get_calibration(shop)
    assert scale.reason == "the encoder gives nearly the same vector for all images"
    assert least(scale) == tuple(FIXED[match] for match in LEVELS)


# -- keeping -------------------------------------------------------------------------------


def test_what_was_measured_is_kept_with_the_collection(shop: Collection, folder: Path) -> None:
    put(shop, kinds(30))
    scale = calibration.get_calibration(shop)
    shop.close()
    with opened(folder) as again:
        assert calibration.load_calibration(again) == scale
        assert calibration.get_calibration(again) == scale


def test_a_collection_that_has_half_as_many_items_again_is_measured_anew(shop: Collection) -> None:
    put(shop, kinds(10))
    scale = calibration.get_calibration(shop)
    put(shop, kinds(5, seed=1), start=1000)
    assert calibration.get_calibration(shop) == scale
    put(shop, kinds(1, seed=2), start=2000)
    assert calibration.load_calibration(shop) is None
    assert calibration.get_calibration(shop).items == 160


def test_a_collection_that_lost_a_third_is_measured_anew(shop: Collection) -> None:
    put(shop, kinds(15))
    calibration.get_calibration(shop)
    shop.remove([f"{number:04d}" for number in range(50)])
    assert calibration.load_calibration(shop) is not None
    shop.remove("0050")
    assert calibration.load_calibration(shop) is None


def test_fixed_levels_end_when_there_are_enough_items(shop: Collection) -> None:
    put(shop, kinds(19, of_each=1))
    assert calibration.get_calibration(shop).reason is not None
    put(shop, kinds(1, of_each=1, seed=4), start=19)
    assert calibration.get_calibration(shop).reason is None


def test_levels_of_another_encoder_are_not_used(shop: Collection) -> None:
    put(shop, kinds(30))
    calibration.get_calibration(shop)
    document = shop.store.settings.get("calibration")
    assert isinstance(document, dict)
    shop.store.settings.set("calibration", {**document, "fingerprint": "tiny-2"})
    assert calibration.load_calibration(shop) is None
    assert calibration.get_calibration(shop).fingerprint == "tiny-1"


@pytest.mark.parametrize("document", [None, 1, "x", [], {}, {"levels": []}, {"levels": [1, 2, 3]}])
def test_a_document_that_is_none_is_measured_anew(shop: Collection, document: object) -> None:
    put(shop, kinds(30))
    shop.store.settings.set("calibration", document)  # type: ignore[arg-type] # any JSON
    assert calibration.load_calibration(shop) is None
    assert calibration.get_calibration(shop).reason is None


_READ_ONLY = """
import numpy as np
from lookalike.analysis import calibration
from lookalike.collection import Collection
from lookalike.core.records import Item
from lookalike.stores.embedded.store import EmbeddedStore
from lookalike.core.vectors import unit_rows
from statistics import NormalDist
import usearch.index
shop = folder / "shop"
store = EmbeddedStore.open(shop, create=True)
store.bind(encoder="tiny", fingerprint="tiny-1", dim=8)
items = [Item(id=f"{n}", digest=f"{n:064x}", width=1, height=1) for n in range(50)]
store.items.upsert(items, unit_rows(np.random.default_rng(0).normal(size=(50, 8))))
store.close()
(shop / "collection.sqlite").chmod(0o444)
shop.chmod(0o555)
become_nobody()
store = EmbeddedStore.open(shop)
found = Collection(store, lambda: None)
scale = calibration.get_calibration(found)
print(store.read_only, scale.reason, calibration.load_calibration(found))
"""


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="permissions are POSIX here")
def test_a_collection_that_cannot_be_written_is_measured_all_the_same(
    as_nobody: Callable[[str], str],
) -> None:
    assert as_nobody(_READ_ONLY).split() == ["True", "None", "None"]


# -- judging -------------------------------------------------------------------------------


@pytest.fixture
def scale(shop: Collection) -> Calibration:
    """Levels 0.8, 0.65 and 0.5, as if measured."""
    made = calibration.get_calibration(shop)
    return replace(made, reason=None, chance=0.5)


@pytest.mark.parametrize(
    ("score", "match"),
    [(1.0, "strong"), (0.8, "strong"), (0.79, "fair"), (0.5, "weak"), (0.49, None), (-1.0, None)],
)
def test_a_score_has_a_word(scale: Calibration, score: float, match: str | None) -> None:
    assert scale.match(score) == match


def test_answers_below_the_level_are_left_out(scale: Calibration) -> None:
    hits = [hit(0.9), hit(0.7), hit(0.6), hit(0.2)]
    assert scale.match_hits(hits).matches == ("strong", "fair", "weak", None)
    found = scale.match_hits(hits, min_match="fair")
    assert (found.hits, found.matches) == (tuple(hits[:2]), ("strong", "fair"))
    assert (found.nothing, found.nearest) == (None, None)


def test_of_a_word_and_a_score_the_stricter_counts(scale: Calibration) -> None:
    hits = [hit(0.9), hit(0.7), hit(0.6)]
    assert len(scale.match_hits(hits, min_match="weak", min_score=0.65).hits) == 2
    assert len(scale.match_hits(hits, min_match="strong", min_score=0.65).hits) == 1


def test_nothing_is_explained_by_what_unrelated_pictures_reach(scale: Calibration) -> None:
    found = scale.match_hits([hit(0.41), hit(0.3)], min_match="weak")
    assert found.nothing == (
        "the most similar item, a.jpg, has 0.410, but unrelated images reach 0.500 here by chance"
    )
    assert found.nearest == hit(0.41)


def test_a_match_that_is_too_weak_is_said_to_be_one(scale: Calibration) -> None:
    found = scale.match_hits([hit(0.55)], min_match="strong")
    assert found.nothing == (
        "the most similar item, a.jpg, has 0.550, a weak match, but 0.800 is required"
    )


def test_where_chance_says_little_the_reason_is_another(scale: Calibration) -> None:
    one_kind = replace(scale, chance=0.9).match_hits([hit(0.4)], min_match="weak").nothing
    few = (
        replace(scale, reason="2 items are too few")
        .match_hits([hit(0.4)], min_match="weak")
        .nothing
    )
    assert one_kind is not None
    assert few is not None
    assert one_kind.endswith("19 of 20 images here have a neighbour at 0.500 or more")
    assert few.endswith("a weak match begins at 0.500 in any collection")


def test_no_answers_at_all_need_no_explanation_of_scores(scale: Calibration) -> None:
    assert scale.match_hits([], min_match="weak").nothing is None


def test_another_word_is_refused(scale: Calibration) -> None:
    with pytest.raises(ValueError, match="strong, fair, weak"):
        scale.least("good")  # type: ignore[arg-type] # what a person may write


# -- the command line ----------------------------------------------------------------------


def said(command: object, folder: Path, *arguments: str) -> Result:
    return CliRunner().invoke(command, [*arguments, "-c", str(folder)])  # type: ignore[arg-type]


@pytest.fixture
def stocked(shop: Collection, folder: Path) -> Path:
    """Ten of each of thirty kinds, and one item like no other."""
    put(shop, kinds(30), label=["kind"] * 300)
    put(shop, unit_rows(np.random.default_rng(77).normal(size=(1, DIM))), start=9999)
    shop.close()
    return folder


def test_calibrate_shows_the_levels(stocked: Path) -> None:
    done = said(calibrate_command, stocked)
    assert [line.split("\t")[0] for line in done.stdout.splitlines()] == ["strong", "fair", "weak"]
    assert "two items at random" in done.stderr
    document = json.loads(said(calibrate_command, stocked, "--json").stdout)
    assert [one["match"] for one in document["levels"]] == ["strong", "fair", "weak"]
    assert (document["items"], document["reason"]) == (301, None)


def test_calibrate_says_that_few_items_tell_nothing(shop: Collection, folder: Path) -> None:
    put(shop, kinds(5, of_each=1))
    done = said(calibrate_command, folder)
    assert done.exit_code == 0
    assert "5 items are too few" in done.stderr
    assert "0.650" in done.stdout


def test_answers_have_words_once_there_are_levels(stocked: Path) -> None:
    before = said(similar_command, stocked, "0000", "-k", "1").stdout
    assert "strong" not in before
    document = json.loads(said(similar_command, stocked, "0000", "--json").stdout)
    assert document["matches"] is None
    assert {one["match"] for one in document["hits"]} == {None}
    assert before.endswith("\t-\n")
    said(calibrate_command, stocked)
    after = said(similar_command, stocked, "0000", "-k", "1").stdout.rstrip("\n")
    assert after.rpartition("\t")[0] == before.rpartition("\t")[0]
    assert after.rpartition("\t")[2] in {"strong", "fair"}
    document = json.loads(said(similar_command, stocked, "0000", "--json", "-k", "30").stdout)
    assert {"strong", None} < {one["match"] for one in document["hits"]}
    assert document["matches"]["measured"] is True
    assert "strong from" in said(info_command, stocked).stdout


def test_nothing_that_looks_like_it_is_exit_5_and_explained(stocked: Path) -> None:
    done = said(similar_command, stocked, "9999", "--min-match", "fair")
    assert (done.exit_code, done.stdout) == (5, "")
    assert done.stderr.startswith("nothing found: the most similar item, ")
    document = json.loads(
        said(similar_command, stocked, "9999", "--min-match", "fair", "--json").stdout
    )
    assert document["hits"] == []
    assert document["matches"]["min"] == "fair"
    assert document["matches"]["nearest"]["score"] < document["matches"]["fair"]
    assert document["matches"]["nothing"] in done.stderr


def test_a_least_match_goes_with_a_filter_and_a_least_score(stocked: Path) -> None:
    filtered = said(
        similar_command, stocked, "0000", "--min-match", "weak", "--where", "label=other"
    )
    assert (filtered.exit_code, filtered.stdout) == (5, "")
    assert filtered.stderr.startswith("nothing found: no item has label = 'other'")
    strict = said(similar_command, stocked, "0000", "--min-match", "weak", "--min-score", "0.999")
    assert strict.exit_code == 5
    assert "0.999 is required" in strict.stderr


def test_a_few_items_are_judged_by_rule_of_thumb_and_it_is_said(
    shop: Collection, folder: Path
) -> None:
    put(shop, kinds(1, of_each=5, spread=0.1))
    done = said(similar_command, folder, "0000", "--min-match", "strong")
    assert done.exit_code == 0
    assert "5 items are too few" in done.stderr
    assert done.stdout.count("strong") == 4


def test_search_takes_a_least_match_with_and_without_a_category(
    tmp_path: Path, card: Path, paint: Callable[[Path, int], Path]
) -> None:
    folder = tmp_path / "shop"
    with lookalike.open(folder, encoder=card, create=True) as shop:
        shop.index([Entry(id=f"{n}", image=paint(tmp_path / f"{n}.png", n)) for n in range(40)])
        shop.label([f"{n}" for n in range(40)], "stripes")
    query = str(paint(tmp_path / "query.png", 3))
    again = str(paint(tmp_path / "more.jpg", 3))  # other bytes, the same picture
    for category in ("off", "stripes", "auto"):
        done = said(search_command, folder, query, "--include-self", "--category", category,
                    "--min-match", "strong", "--json")  # fmt: skip
        document = json.loads(done.stdout)
        assert document["hits"][0]["id"] == "3"
        assert {one["match"] for one in document["hits"]} == {"strong"}
    assert "\tstrong" in said(search_command, folder, again, "--min-match", "strong").stdout
