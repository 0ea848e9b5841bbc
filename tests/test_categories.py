"""Categories: what is learned of labels, and searching in two steps."""

import json
import os
import subprocess
import sys
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

import lookalike
from drawn_catalogue import Drawn
from lookalike import Collection
from lookalike.analysis import categories
from lookalike.analysis.categories import (
    Prediction,
    category_search,
    choose_scope,
    logistic,
    prediction,
    stored_model,
    training,
)
from lookalike.analysis.categories.labels import LabelField, condition_of, is_of
from lookalike.core.filters import parse
from lookalike.core.progress import Progress
from lookalike.core.protocols import Prepared
from lookalike.core.records import Hit, Item, Json
from lookalike.core.vectors import Matrix, unit_rows
from lookalike.encoders import OnnxEncoder
from lookalike.errors import CollectionError, EncoderMismatchError, StoreDamagedError
from lookalike.output.report import render_categories
from lookalike.search import Encoded
from lookalike.sources.catalogues import open_catalogue

Paint = Callable[[Path, int], Path]

SHARED = Path(__file__).parents[2] / "shared" / "data"
MARK, SLOT = "categories", "categories 1"  # what a first training writes


@pytest.fixture
def shop(tmp_path: Path, tiny: OnnxEncoder) -> Iterator[Collection]:
    """An empty collection."""
    with lookalike.open(tmp_path / "shop", encoder=tiny, create=True) as shop:
        shop.store.bind(encoder=tiny.name, fingerprint=tiny.fingerprint, dim=tiny.dim)
        yield shop


def clusters(labels: Sequence[str], *, spread: float = 0.25, seed: int = 3) -> Matrix:
    """A vector for each label: near those of the same label, as far as ``spread``."""
    middles = {
        label: np.random.default_rng(zlib.crc32(label.encode())).normal(size=32)
        for label in sorted(set(labels))
    }
    chosen = np.stack([middles[label] for label in labels])
    return unit_rows(chosen + spread * np.random.default_rng(seed).normal(size=chosen.shape))


def stock(
    shop: Collection,
    labels: Sequence[str | None],
    vectors: Matrix | None = None,
    **fields: Sequence[object],
) -> None:
    """Items ``0000``, ``0001`` … with vectors by label; ``fields`` are of the items."""
    given_vectors = clusters([label or "" for label in labels]) if vectors is None else vectors
    items = [
        Item(
            id=f"{number:04}",
            **{
                "digest": f"{number:064x}",
                "width": 1,
                "height": 1,
                "label": label,
                **{name: values[number] for name, values in fields.items()},
            },  # type: ignore[arg-type] # fields of an item
        )
        for number, label in enumerate(labels)
    ]
    shop.store.items.upsert(items, given_vectors)


def query(label: str, *, spread: float = 0.1) -> Encoded:
    """A picture of a label, as ``clusters`` makes them."""
    return Encoded(vector=clusters([label], spread=spread, seed=99)[0])


def labels_of(hits: Sequence[Hit]) -> list[str | None]:
    return [hit.item.label for hit in hits]


THREE = ["cup", "jug", "pot"] * 40


# -- learning ------------------------------------------------------------------------------


def test_labels_that_lie_apart_are_learned(shop: Collection) -> None:
    stock(shop, THREE)
    report = categories.train(shop)
    assert (report.by, report.classes, report.items, report.held_out) == ("label", 3, 120, 24)
    assert report.unjudged == 0
    assert report.accuracy == report.top5 == report.macro_accuracy == 1
    assert report.confusions == ()
    for label in ("cup", "jug", "pot"):
        first = categories.predict(shop, query(label))[0]
        assert first.label == label
        assert first.probability > 0.8


def test_probabilities_are_ranked_and_sum_to_one(shop: Collection) -> None:
    stock(shop, THREE)
    for _ in ("vote", "model"):
        found = categories.predict(shop, query("jug"))
        chances = [one.probability for one in found]
        assert sum(chances) == pytest.approx(1, abs=1e-5)
        assert chances == sorted(chances, reverse=True)
        categories.train(shop)


def test_items_without_a_label_are_passed_over(shop: Collection) -> None:
    stock(shop, [*THREE, None, None, ""])
    report = categories.train(shop)
    assert report.items == len(THREE)
    assert {one.label for one in categories.predict(shop, query("jug"))} == set(THREE)


@pytest.mark.parametrize("labels", [[], [None], ["cup"] * 5])
def test_fewer_than_two_labels_are_an_error(shop: Collection, labels: list[str | None]) -> None:
    if labels:
        stock(shop, labels)
    with pytest.raises(CollectionError, match="at least 2 different labels"):
        categories.train(shop)
    assert categories.get_classifier_info(shop) is None


def test_too_many_labels_are_an_error(shop: Collection, monkeypatch: pytest.MonkeyPatch) -> None:
    stock(shop, THREE)
    monkeypatch.setattr(training, "_MOST_LABELS", 2)
    with pytest.raises(CollectionError, match="3 different values, but at most 2 can be"):
        categories.train(shop)


def test_of_very_many_items_some_are_drawn(
    shop: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    stock(shop, THREE)
    monkeypatch.setattr(training, "_MOST_ITEMS", 60)
    report = categories.train(shop)
    assert report.items == 60
    assert report.accuracy == 1


def test_a_label_of_one_item_is_learned_and_not_judged(shop: Collection) -> None:
    labels = [*THREE, "bowl"]
    stock(shop, labels)
    report = categories.train(shop)
    assert (report.classes, report.unjudged) == (4, 1)
    assert categories.predict(shop, query("bowl"))[0].label == "bowl"


def test_two_items_are_enough_though_nothing_can_be_held_out(shop: Collection) -> None:
    stock(shop, ["cup", "jug"])
    report = categories.train(shop)
    assert (report.items, report.held_out, report.accuracy, report.ece) == (2, 0, None, None)
    assert categories.predict(shop, query("jug"))[0].label == "jug"


def test_vectors_and_labels_belong_together_over_several_batches(
    shop: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seed 004 gave the vectors of each later batch the names of the first."""
    rng = np.random.default_rng(5)
    labels = rng.choice(["cup", "jug", "pot"], 200).tolist()
    stock(shop, labels)
    monkeypatch.setattr(training, "_CHUNK", 7)
    assert categories.train(shop).accuracy == 1


def test_training_twice_with_one_seed_gives_the_same_model(shop: Collection) -> None:
    stock(shop, THREE)
    prints = []
    for seed in (0, 0, 1):
        categories.train(shop, seed=seed)
        learned = categories.get_classifier_info(shop)
        assert learned is not None
        prints.append(learned.fingerprint)
    assert prints[0] == prints[1] != prints[2]


def test_a_filter_says_what_is_learned_from(shop: Collection) -> None:
    stock(shop, THREE)
    assert categories.train(shop, where="label in (cup, jug)").classes == 2


def test_a_metadata_field_can_be_learned(shop: Collection) -> None:
    metadata = [{"spec": {"use": f"{label}s"}, "n": 3} for label in THREE]
    stock(shop, [None] * len(THREE), clusters(THREE), metadata=metadata)
    assert categories.train(shop, "spec.use").accuracy == 1
    assert categories.predict(shop, query("jug"))[0].label == "jugs"
    found = categories.search(shop, query("jug"), k=3)
    assert found.scope.labels[0] == "jugs"
    with pytest.raises(CollectionError, match="at least 2"):
        categories.train(shop, "n")  # numbers are no categories


def test_what_identifies_items_is_no_category(shop: Collection) -> None:
    with pytest.raises(ValueError, match="path is not a category"):
        categories.train(shop, "path")


def test_a_training_that_is_interrupted_changes_nothing(shop: Collection) -> None:
    stock(shop, THREE)
    categories.train(shop)
    before = [shop.store.settings.get(one) for one in (MARK, SLOT)]
    heard = []

    def stop(now: Progress) -> None:
        heard.append(now)
        if now.done == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        categories.train(shop, seed=1, progress=stop)
    assert [now.done for now in heard] == [1, 2, 3, 4, 5]
    assert [shop.store.settings.get(one) for one in (MARK, SLOT)] == before


def test_mistakes_are_counted_by_pair(shop: Collection) -> None:
    mixed = ["cup"] * 100 + ["mug"] * 100
    vectors = clusters(["same"] * 200, spread=0.3)
    stock(shop, mixed, vectors)
    report = categories.train(shop)
    assert report.accuracy is not None
    wrong = sum(one.items for one in report.confusions)
    assert wrong == round((1 - report.accuracy) * report.held_out)
    assert {(one.label, one.predicted) for one in report.confusions} <= {
        ("cup", "mug"),
        ("mug", "cup"),
    }
    assert sum(one.items for one in report.calibration) == report.held_out


# -- what is held out ----------------------------------------------------------------------


@given(
    st.lists(
        st.tuples(st.integers(0, 4), st.sampled_from("abcdefg"), st.sampled_from("uvwxyz")),
        min_size=1,
        max_size=60,
    ),
    st.integers(0, 5),
)
def test_copies_and_groups_come_to_one_side(items: list[tuple[int, str, str]], seed: int) -> None:
    classes = np.array([one for one, _, _ in items], dtype=np.intp)
    keys = [(f"digest {digest}", f"group {group}") for _, digest, group in items]
    held = logistic.divide(classes, keys, seed=seed)
    sides: dict[str, set[bool]] = {}
    for own, side in zip(keys, held.tolist(), strict=True):
        for key in own:
            sides.setdefault(key, set()).add(side)
    assert all(len(side) == 1 for side in sides.values())
    assert not held.all()


@given(st.lists(st.integers(0, 6), min_size=1, max_size=200), st.integers(0, 5))
def test_a_fifth_of_each_class_is_held_out_and_some_stay(labels: list[int], seed: int) -> None:
    classes = np.array(labels, dtype=np.intp)
    held = logistic.divide(classes, [(str(one),) for one in range(len(labels))], seed=seed)
    for one in set(labels):
        n, out = int((classes == one).sum()), int(held[classes == one].sum())
        assert out == (0 if n == 1 else max(1, round(0.2 * n)))
        assert out < n


def test_copies_of_an_item_do_not_make_it_look_better_than_it_is(shop: Collection) -> None:
    """Each picture comes twice, and labels are at random: only leakage could know them."""
    rng = np.random.default_rng(2)
    labels = np.repeat(rng.choice(["a", "b", "c", "d"], 150), 2).tolist()
    vectors = np.repeat(clusters(["x"] * 150, spread=1), 2, axis=0)
    digests = [f"{number // 2:064x}" for number in range(300)]
    stock(shop, labels, vectors, digest=digests)
    accuracy = categories.train(shop).accuracy
    assert accuracy is not None
    assert accuracy < 0.5


# -- calibration ---------------------------------------------------------------------------


def test_the_temperature_makes_probabilities_truer() -> None:
    """Logits three times too sure: temperature 3 is found, and the calibration error falls."""
    rng = np.random.default_rng(0)
    true = rng.normal(size=(4000, 5)).astype(np.float32) * 1.5
    chances = logistic.softmax(true)
    classes = np.array([rng.choice(5, p=row / row.sum()) for row in chances.astype(float)])
    temperature = logistic.fit_temperature(true * 3, classes)
    assert temperature == pytest.approx(3, rel=0.1)
    before = logistic.evaluate_probabilities(logistic.softmax(true * 3), classes)
    after = logistic.evaluate_probabilities(logistic.softmax(true * 3, temperature), classes)
    assert after.ece < before.ece / 3
    assert after.log_loss < before.log_loss
    assert after.accuracy == before.accuracy


def test_a_class_that_was_never_learned_is_missed_and_does_not_calibrate() -> None:
    probabilities = np.array([[0.9, 0.1], [0.2, 0.8]], np.float32)
    found = logistic.evaluate_probabilities(probabilities, np.array([0, -1], dtype=np.intp))
    assert found.accuracy == 0.5
    assert found.log_loss == pytest.approx(-np.log(0.9), abs=1e-4)
    assert logistic.fit_temperature(probabilities, np.array([-1, -2], dtype=np.intp)) == 1


@given(st.lists(st.floats(-50, 50, width=32), min_size=1, max_size=20), st.floats(0.2, 5))
def test_softmax_sums_to_one(logits: list[float], temperature: float) -> None:
    found = logistic.softmax(np.array(logits, np.float32), temperature)
    assert float(found.sum()) == pytest.approx(1, abs=1e-4)


# -- keeping -------------------------------------------------------------------------------


def test_a_model_survives_closing_and_opening(
    shop: Collection, tmp_path: Path, tiny: OnnxEncoder
) -> None:
    stock(shop, THREE)
    categories.train(shop)
    picture = query("pot")
    before, learned = categories.predict(shop, picture), categories.get_classifier_info(shop)
    shop.close()
    with lookalike.open(tmp_path / "shop", encoder=tiny, create=True) as again:
        assert categories.predict(again, picture) == before
        assert categories.get_classifier_info(again) == learned
    assert learned is not None
    assert learned.labels == ("cup", "jug", "pot")
    assert learned.encoder == tiny.fingerprint
    assert learned.report["accuracy"] == 1


def rewrite(folder: Path, tiny: OnnxEncoder, **changed: Json) -> None:
    """Change what another process would find of a first training."""
    with lookalike.open(folder, encoder=tiny, create=True) as other:
        document, mark = other.store.settings.get(SLOT), other.store.settings.get(MARK)
        assert isinstance(document, dict)
        assert isinstance(mark, dict)
        document |= changed
        if "fingerprint" not in changed:
            document["fingerprint"] = stored_model._hash_document(document)
        other.store.settings.set(SLOT, document)
        other.store.settings.set(MARK, {**mark, "fingerprint": document["fingerprint"]})


def test_a_model_of_another_encoder_is_refused(
    shop: Collection, tmp_path: Path, tiny: OnnxEncoder
) -> None:
    stock(shop, THREE)
    categories.train(shop)
    rewrite(tmp_path / "shop", tiny, encoder="other:0123")
    for ask in (categories.predict, categories.search):
        with pytest.raises(EncoderMismatchError, match=r"trained on vectors of other:0123"):
            ask(shop, query("cup"))


@pytest.mark.parametrize("name", ["data", "labels", "temperature", "fingerprint"])
def test_a_damaged_model_is_noticed(
    shop: Collection, tmp_path: Path, tiny: OnnxEncoder, name: str
) -> None:
    stock(shop, THREE)
    categories.train(shop)
    document = shop.store.settings.get(SLOT)
    assert isinstance(document, dict)
    kept = {"fingerprint": document["fingerprint"]}
    rewrite(tmp_path / "shop", tiny, **{**kept, name: "nonsense"})
    shop.close()
    with lookalike.open(tmp_path / "shop", encoder=tiny, create=True) as again:
        with pytest.raises(StoreDamagedError, match="categories train"):
            categories.predict(again, query("cup"))
        assert categories.drop(again)
        assert categories.predict(again, query("cup"))[0].label == "cup"


@pytest.mark.parametrize("mark", ["nonsense", {"slot": "other"}, {"slot": SLOT}])
def test_a_damaged_mark_is_noticed(shop: Collection, mark: Json) -> None:
    stock(shop, THREE)
    categories.train(shop)
    shop.store.settings.set(MARK, mark)
    with pytest.raises(StoreDamagedError, match="categories train"):
        categories.predict(shop, query("cup"))
    categories.train(shop)
    assert categories.predict(shop, query("cup"))[0].label == "cup"


def test_a_model_is_decoded_once_until_it_is_learned_anew(
    shop: Collection, tmp_path: Path, tiny: OnnxEncoder
) -> None:
    stock(shop, THREE)
    categories.train(shop)
    first = stored_model.load(shop)
    assert stored_model.load(shop) is first
    with lookalike.open(
        tmp_path / "shop", encoder=tiny, create=True
    ) as other:  # as another process would
        other.label([item.id for item in other.items("label=jug")], "mug")
        categories.train(other)
        assert {one.label for one in categories.predict(shop, query("cup"))} == {
            "cup",
            "mug",
            "pot",
        }
        assert stored_model.load(shop) is not first
        categories.drop(other)
        assert categories.get_classifier_info(shop) is None


def test_of_two_trainings_only_the_last_takes_room(shop: Collection) -> None:
    stock(shop, THREE)
    for _ in range(3):
        categories.train(shop)
        held = [one for one in stored_model._SLOTS if shop.store.settings.get(one) is not None]
        assert len(held) == 1
    categories.drop(shop)
    assert all(shop.store.settings.get(one) is None for one in stored_model._SLOTS)


# -- how it stands against the items now ---------------------------------------------------


@pytest.mark.parametrize("field", ["label", "kind", "path"])
def test_what_has_changed_since_is_counted(shop: Collection, field: str) -> None:
    def give(labels: Sequence[str]) -> None:
        values: list[Json] = [[one] if field == "path" else one for one in labels]
        stock(
            shop,
            labels if field == "label" else [None] * len(labels),
            clusters(labels),
            metadata=[{} if field == "label" else {"kind": one, "path": one} for one in values],
        )

    by = field if field != "path" else "metadata.path"
    give(THREE)
    assert categories.get_classifier_status(shop) is None
    categories.train(shop, by)
    same = categories.get_classifier_status(shop)
    assert same is not None
    assert same.current
    assert (same.items_then, same.items_now, same.labels_then, same.labels_now) == (120, 120, 3, 3)

    give(["cup"] * 50 + ["jug"] * 40 + ["vase"] * 31)  # the pots are gone, and cups have come
    now = categories.get_classifier_status(shop)
    assert now is not None
    assert not now.current
    assert (now.items_then, now.items_now, now.labels_then, now.labels_now) == (120, 121, 3, 3)
    assert (now.added, now.gone, now.changed) == (("vase",), ("pot",), 1)


def test_the_filter_that_was_learned_with_counts_afterwards_too(shop: Collection) -> None:
    stock(shop, THREE, metadata=[{"n": number} for number in range(len(THREE))])
    categories.train(shop, where="n<60")
    found = categories.get_classifier_status(shop)
    assert found is not None
    assert (found.items_then, found.current) == (60, True)
    categories.train(shop, where=parse("n<60"))
    assert categories.get_classifier_status(shop) is None  # the filter itself is not kept


def test_a_search_notices_that_its_label_has_gone(shop: Collection) -> None:
    stock(shop, THREE)
    categories.train(shop)
    shop.label([item.id for item in shop.items("label=jug")], "mug")
    picture = query("jug")
    found = categories.search(shop, picture, k=5)
    assert found.predictions[0].label == "jug"
    assert found.scope.labels == ()
    assert found.scope.reason == (
        "the classifier is out of date: no item has jug as its label any more; "
        "`lookalike categories train` trains it again"
    )
    assert list(found.hits) == shop.search(picture, k=5)
    assert categories.search(shop, query("cup"), k=5).scope.labels == ("cup",)


def test_dropping_forgets(shop: Collection) -> None:
    stock(shop, THREE)
    assert not categories.drop(shop)
    categories.train(shop)
    assert categories.drop(shop)
    assert categories.get_classifier_info(shop) is None
    assert not categories.drop(shop)


# -- the vote ------------------------------------------------------------------------------


def test_without_training_the_nearest_items_vote(shop: Collection) -> None:
    stock(shop, [*THREE, *[None] * 20])
    found = categories.predict(shop, query("jug"))
    assert found[0].label == "jug"
    assert found[0].probability > 0.9


def test_nearer_items_weigh_more() -> None:
    def hit(label: str, score: float) -> Hit:
        return Hit(item=Item(id=label, digest="", width=1, height=1, label=label), score=score)

    found = prediction._vote([hit("a", 0.9), hit("b", 0.9 - 0.025), hit("b", 0.2)], "label")
    assert found[("a",)] / found[("b",)] == pytest.approx(np.e, rel=1e-3)


def test_an_indexed_picture_has_no_vote_on_itself(shop: Collection, pictures: Path) -> None:
    shop.index(pictures)
    shop.label(["0.png"], "only")
    shop.label(["1.png"], "other")
    assert [one.label for one in categories.predict(shop, pictures / "0.png")] == ["other"]


def test_where_nothing_has_a_label_none_can_be_predicted(shop: Collection, pictures: Path) -> None:
    shop.index(pictures)
    for ask in (categories.predict, categories.search):
        with pytest.raises(CollectionError, match="no item has a label"):
            ask(shop, pictures / "0.png")


def test_another_field_than_the_learned_one_is_voted_on(shop: Collection) -> None:
    metadata = [{"use": f"{label}s"} for label in THREE]
    stock(shop, THREE, metadata=metadata)
    categories.train(shop)
    assert categories.predict(shop, query("jug"), "use")[0].label == "jugs"


# -- choosing ------------------------------------------------------------------------------

drawn = st.lists(st.floats(0.001, 1), min_size=1, max_size=30).map(
    lambda parts: [
        Prediction(label=f"l{number}", probability=part / sum(parts))
        for number, part in enumerate(parts)
    ]
)


@given(drawn, st.floats(0.05, 1))
def test_the_fewest_labels_that_reach_the_mass_are_chosen(
    predictions: list[Prediction], mass: float
) -> None:
    scope = choose_scope(predictions, mass=mass, least=0, most=30)
    chances = {one.label: one.probability for one in predictions}
    ranked = sorted(chances.values(), reverse=True)
    assert sum(chances[label] for label in scope.labels) >= mass - 1e-5
    assert sum(ranked[: len(scope.labels) - 1]) < mass
    assert scope.probability == pytest.approx(sum(chances[label] for label in scope.labels))


def ranked(*chances: float) -> list[Prediction]:
    return [Prediction(label="abcdefgh"[i], probability=c) for i, c in enumerate(chances)]


def test_an_unsure_prediction_chooses_nothing() -> None:
    scope = choose_scope(ranked(0.29, 0.28, 0.22, 0.21), least=0.3)
    assert scope.labels == ()
    assert scope.reason == "unsure: the most probable label, a, has 0.29, less than 0.3"


def test_too_many_labels_choose_nothing() -> None:
    scope = choose_scope(ranked(0.4, 0.2, 0.2, 0.2), most=3)
    assert scope.labels == ()
    assert scope.reason == "unsure: 4 labels would be needed for 0.9, more than 3"


def test_no_prediction_chooses_nothing() -> None:
    assert choose_scope([]).labels == ()


@pytest.mark.parametrize("mass", [0, -1, 1.1, float("nan")])
def test_an_impossible_mass_is_refused(shop: Collection, mass: float) -> None:
    with pytest.raises(ValueError, match="mass is"):
        choose_scope(ranked(1), mass=mass)
    with pytest.raises(ValueError, match="mass is"):
        categories.search(shop, b"", mass=mass)


# -- two steps -----------------------------------------------------------------------------


def test_the_category_comes_first_and_the_answers_are_full(shop: Collection) -> None:
    """Seed 004 filtered the global ten afterwards, so none to five came back."""
    labels = ["common"] * 200 + ["rare"] * 12 + ["third"] * 30
    stock(shop, labels, clusters(labels, spread=0.7))
    categories.train(shop)
    found = categories.search(shop, query("rare", spread=0.2), k=12, mass=0.3)
    assert found.scope.labels == ("rare",)
    assert labels_of(found.hits) == ["rare"] * 12
    assert found.predictions[0].label == "rare"
    assert "1 label with" in found.scope.reason


@settings(deadline=None)  # each example writes to a disk
@given(
    st.lists(st.sampled_from(["cup", "jug", "pot"]), min_size=3, max_size=40),
    st.integers(1, 12),
    st.sampled_from(["cup", "jug", "pot"]),
)
def test_a_given_label_gives_exactly_as_many_as_there_are(
    tmp_path_factory: pytest.TempPathFactory,
    tiny: OnnxEncoder,
    labels: list[str],
    k: int,
    label: str,
) -> None:
    folder = tmp_path_factory.mktemp("two") / "shop"
    with lookalike.open(folder, encoder=tiny, create=True) as shop:
        shop.store.bind(encoder=tiny.name, fingerprint=tiny.fingerprint, dim=tiny.dim)
        stock(shop, labels)
        picture = query("jug")
        if label not in labels:
            with pytest.raises(CollectionError, match="no item has"):
                categories.search(shop, picture, k=k, category=label)
            return
        found = categories.search(shop, picture, k=k, category=label)
        assert labels_of(found.hits) == [label] * min(k, labels.count(label))
        assert found.predictions == ()
        assert found.scope.reason == "as given"


def test_too_few_of_the_category_fall_back_to_everything(shop: Collection) -> None:
    labels = ["cup"] * 60 + ["jug"] * 3
    stock(shop, labels)
    found = categories.search(shop, query("jug"), k=10)
    assert found.predictions[0].label == "jug"
    assert found.scope.labels == ()
    assert found.scope.reason == "only 3 of 10 results are of jug"
    assert len(found.hits) == 10
    assert labels_of(found.hits)[:3] == ["jug"] * 3


def test_an_unsure_prediction_falls_back_to_everything(shop: Collection) -> None:
    stock(shop, THREE)
    picture = query("cup")
    found = categories.search(shop, picture, k=5, least=1.1)
    assert found.scope.labels == ()
    assert found.scope.reason.startswith("unsure: the most probable label, cup")
    assert list(found.hits) == shop.search(picture, k=5)


def test_too_many_labels_fall_back_to_everything(shop: Collection) -> None:
    stock(shop, THREE)
    found = categories.search(shop, query("cup"), k=5, most=0)
    assert found.scope.labels == ()
    assert "more than 0" in found.scope.reason


def test_asking_for_less_than_one_answer_is_refused(shop: Collection) -> None:
    stock(shop, THREE)
    for category in ("auto", "cup", "off"):
        with pytest.raises(ValueError, match="k is -1"):
            categories.search(shop, query("cup"), k=-1, category=category)


def test_off_is_the_plain_search(shop: Collection) -> None:
    stock(shop, THREE)
    picture = query("cup")
    found = categories.search(shop, picture, k=5, category="off")
    assert list(found.hits) == shop.search(picture, k=5)
    assert (found.scope.labels, found.scope.reason, found.predictions) == ((), "off", ())


def test_a_filter_holds_beside_the_category(shop: Collection) -> None:
    metadata = [{"price": number} for number in range(len(THREE))]
    stock(shop, THREE, metadata=metadata)
    for where in ("price<60", parse("price<60")):
        found = categories.search(shop, query("jug"), k=8, where=where)
        assert found.scope.labels == ("jug",)
        assert labels_of(found.hits) == ["jug"] * 8
        assert all(int(hit.item.id) < 60 for hit in found.hits)


def test_a_least_score_is_no_reason_to_fall_back(shop: Collection) -> None:
    stock(shop, THREE)
    found = categories.search(shop, query("jug"), k=8, min_score=0.999)
    assert found.scope.labels == ("jug",)
    assert all(hit.score >= 0.999 for hit in found.hits)


def test_a_wrong_label_is_answered_with_near_ones(shop: Collection) -> None:
    stock(shop, THREE)
    for _ in ("untrained", "trained"):
        with pytest.raises(CollectionError, match="no item has 'jugg' as its label; did you mean"):
            categories.search(shop, query("jug"), category="jugg")
        categories.train(shop)


def test_the_picture_is_encoded_once_and_left_out_of_its_answers(
    tmp_path: Path, tiny: OnnxEncoder, pictures: Path
) -> None:
    calls: list[int] = []

    class Counting:
        name, fingerprint, dim = tiny.name, tiny.fingerprint, tiny.dim
        decode_size = tiny.decode_size
        prepare = staticmethod(tiny.prepare)

        @staticmethod
        def encode(batch: Sequence[Prepared], /) -> Matrix:
            calls.append(len(batch))
            return tiny.encode(batch)

    with lookalike.open(tmp_path / "shop", encoder=Counting(), create=True) as shop:
        shop.index(pictures)
        shop.label([f"{number}.png" for number in range(9)], "picture")
        calls.clear()
        found = categories.search(shop, pictures / "3.png", k=8)
        assert calls == [1]
        assert "3.png" not in [hit.item.id for hit in found.hits]
        assert len(found.hits) == 8
        assert found.scope.labels == ("picture",)
        itself = categories.search(shop, pictures / "3.png", k=9, include_self=True)
        assert itself.hits[0].item.id == "3.png"


def test_an_encoded_picture_answers_as_the_picture_does(
    shop: Collection, pictures: Path, tmp_path: Path
) -> None:
    shop.index(pictures)
    elsewhere = tmp_path / "copy.png"
    elsewhere.write_bytes((pictures / "2.png").read_bytes())
    for picture in (
        pictures / "2.png",
        elsewhere,
        elsewhere.read_bytes(),
        Image.open(elsewhere).copy(),
    ):
        encoded = shop.encode(picture)
        assert shop.encode(encoded) is encoded
        for include_self in (False, True):
            assert shop.search(encoded, include_self=include_self) == shop.search(
                picture, include_self=include_self
            )


def test_an_empty_collection_encodes_nothing(tmp_path: Path, tiny: OnnxEncoder) -> None:
    with lookalike.open(tmp_path / "none", encoder=tiny, create=True) as shop:
        with pytest.raises(CollectionError, match="the collection is empty"):
            shop.encode(np.zeros((8, 8), np.uint8))
        assert shop.search(Encoded(vector=np.zeros(32, np.float32))) == []


# -- label paths ---------------------------------------------------------------------------

LEAVES = ["home/cup", "home/jug", "wear/hat", "wear/sock"] * 30


@pytest.fixture(params=["list", "text"])
def tree(request: pytest.FixtureRequest, shop: Collection) -> SimpleNamespace:
    """Paths as lists in the metadata, and as texts with slashes; learned by ``train()``."""
    if request.param == "list":
        metadata = [{"category": label.split("/")} for label in LEAVES]
        stock(shop, [None] * len(LEAVES), clusters(LEAVES), metadata=metadata)
        return SimpleNamespace(shop=shop, train=lambda: categories.train(shop, "category"))
    stock(shop, LEAVES)
    return SimpleNamespace(shop=shop, train=lambda: categories.train(shop, levels=True))


def kinds(hits: Sequence[Hit]) -> set[str]:
    """The paths of answers."""
    found = set()
    for hit in hits:
        names = hit.item.metadata.get("category")
        found.add("/".join(map(str, names)) if isinstance(names, list) else str(hit.item.label))
    return found


def test_a_parent_is_as_probable_as_its_leaves_together(tree: SimpleNamespace) -> None:
    assert tree.train().accuracy == 1
    picture = query("home/jug", spread=0.6)
    leaves = categories.predict(tree.shop, picture)
    top = categories.predict(tree.shop, picture, level=1)
    assert {one.label for one in leaves} == set(LEAVES)
    assert {one.label for one in top} == {"home", "wear"}
    for parent in top:
        below = [one.probability for one in leaves if one.label.startswith(f"{parent.label}/")]
        assert parent.probability == pytest.approx(sum(below), abs=1e-6)
    assert categories.predict(tree.shop, picture, level=7) == leaves
    with pytest.raises(ValueError, match="level is 0"):
        categories.predict(tree.shop, picture, level=0)


def test_an_unsure_leaf_is_searched_at_its_parent(tree: SimpleNamespace) -> None:
    tree.train()
    rows = clusters(["home/cup", "home/jug"], spread=0.01)
    between = unit_rows((rows[0] + rows[1])[None, :])[0]
    found = categories.search(tree.shop, Encoded(vector=between), k=40, mass=0.95, most=1)
    assert found.scope.labels == ("home",)
    assert len(found.hits) == 40
    assert kinds(found.hits) <= {"home/cup", "home/jug"}


def test_a_leaf_and_a_parent_can_be_given(tree: SimpleNamespace) -> None:
    tree.train()
    picture = query("wear/hat")
    leaf = categories.search(tree.shop, picture, k=100, category="home/cup")
    assert (len(leaf.hits), kinds(leaf.hits)) == (30, {"home/cup"})
    parent = categories.search(tree.shop, picture, k=100, category="home")
    assert (len(parent.hits), kinds(parent.hits)) == (60, {"home/cup", "home/jug"})


@pytest.mark.parametrize("by", ["category", "category_path"])
def test_a_product_tree_is_learned_and_searched_level_by_level(
    tmp_path: Path, paint: Paint, tiny: OnnxEncoder, by: str
) -> None:
    """iMaterialist's way: a class for each picture, and beside the file what the classes are."""
    kinds = {0: "home/kitchen/cup", 1: "home/kitchen/jug", 2: "home/office/pen", 3: "wear/hat/cap"}
    images = []
    for number in range(48):
        one = f"{number:02}"
        # pictures of a class are alike: the same drawing, brighter
        picture = Image.open(paint(tmp_path / "pictures" / f"{one}.png", number % 4))
        with picture:
            brighter = picture.convert("RGB").point(lambda value, by=number: min(255, value + by))
        brighter.save(tmp_path / "pictures" / one, format="PNG")
        (tmp_path / "pictures" / f"{one}.png").unlink()
        images.append({"id": one, "url": "https://example.org/a.jpg", "class": number % 4})
    tree: dict[str, dict[str, dict[str, list[int]]]] = {}
    for number, path in kinds.items():
        top, middle, leaf = path.split("/")
        tree.setdefault(top, {}).setdefault(middle, {})[leaf] = [number]
    (tmp_path / "train.json").write_text(json.dumps({"images": images}))
    (tmp_path / "product_tree.json").write_text(json.dumps(tree))
    with lookalike.open(tmp_path / "shop", encoder=tiny, create=True) as shop:
        catalogue = open_catalogue(
            tmp_path / "train.json", "imaterialist", root=tmp_path / "pictures"
        )
        assert shop.index(catalogue).indexed == 48
        report = categories.train(shop, by, levels=by == "category_path")
        assert {one.label for one in report.labels} == set(kinds.values())
        asked = shop.get("05")  # 5 % 4: a jug
        picture_of = shop.encode(tmp_path / "pictures" / "05")
        for level, names in enumerate(["home", "home/kitchen", "home/kitchen/jug"], 1):
            assert categories.predict(shop, picture_of, level=level)[0].label == names
        found = categories.search(shop, picture_of, k=5)
        assert found.scope.labels == ("home/kitchen/jug",)
        assert {hit.item.metadata["category_path"] for hit in found.hits} == {"home/kitchen/jug"}
        assert asked.id not in {hit.item.id for hit in found.hits}
        wider = categories.search(shop, picture_of, k=100, category="home/kitchen")
        assert len(wider.hits) == 23
        standing = categories.get_classifier_status(shop)
        assert standing is not None
        assert standing.current


names = st.sampled_from(["a", "b", "a/b", "a/b/c", "ab", "true", "b/a", "", "/a"])
values = st.one_of(
    names, st.lists(st.one_of(names, st.booleans(), st.integers(0, 2)), max_size=3), st.none()
)


@settings(
    deadline=None,  # each example writes to a disk
    max_examples=40,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    given_values=st.lists(values, min_size=1, max_size=8),
    paths=st.lists(
        st.lists(st.sampled_from(["a", "b", "c", "true"]), min_size=1, max_size=3).map(tuple),
        min_size=1,
        max_size=3,
    ),
    levels=st.booleans(),
)
def test_what_is_of_a_label_is_the_same_to_us_and_to_the_store(
    *, shop: Collection, given_values: list[Json], paths: list[tuple[str, ...]], levels: bool
) -> None:
    shop.remove([item.id for item in shop])
    count = len(given_values)
    stock(
        shop,
        [None] * count,
        clusters(["x"] * count),
        metadata=[{"kind": value} for value in given_values],
    )
    meaning = LabelField(by="kind", levels=levels)
    asked = [item.id for item in shop.items(condition_of(meaning, paths))]
    assert asked == [item.id for item in shop if is_of(item, meaning, paths)]


def test_the_answers_do_not_depend_on_where_they_are_looked_for_first(
    shop: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(11)
    labels = rng.choice(["cup", "jug", "pot"], 300).tolist()
    stock(shop, labels, clusters(labels, spread=0.8))
    categories.train(shop)
    pictures = [query(label, spread=0.9) for label in ("cup", "jug", "pot")]
    for ahead in (1, 3, 1000):
        monkeypatch.setattr(category_search, "_AHEAD", ahead)
        for picture in pictures:
            for k in (1, 10, 60):
                found = categories.search(shop, picture, k=k, least=0, mass=0.5)
                again = categories.search(shop, picture, k=k, least=0, mass=0.5, exact=True)
                assert found == again


# -- the command line ----------------------------------------------------------------------


def run(folder: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    kept_names = ("PATH", "PYTHONPATH", "SYSTEMROOT", "LOOKALIKE_CACHE", "LOOKALIKE_HOME")
    environment = {name: os.environ[name] for name in kept_names if name in os.environ}
    return subprocess.run(
        [sys.executable, "-m", "lookalike", *map(str, arguments), "-c", str(folder)],
        env={**environment, "PYTHONWARNINGS": "error", "PYTHONUTF8": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="session")
def drawn_shop(
    tmp_path_factory: pytest.TempPathFactory,
    card: Path,
    catalogue: list[Drawn],
    catalogue_folder: Path,
) -> Path:
    """The drawn catalogue, indexed and labelled."""
    folder = tmp_path_factory.mktemp("categories") / "shop"
    with lookalike.open(folder, encoder=card, create=True) as shop:
        shop.index(catalogue_folder / "catalogue.csv")
        assert len(shop) == len(catalogue)
        assert shop.count("label exists") == len(catalogue)
    return folder


def test_the_commands_train_predict_tell_and_forget(
    drawn_shop: Path, catalogue: list[Drawn]
) -> None:
    none = run(drawn_shop, "categories", "info")
    assert (none.returncode, none.stdout) == (5, "")
    assert "no classifier; train one" in none.stderr

    done = run(drawn_shop, "categories", "train", "--json")
    assert done.stderr == ""
    report = json.loads(done.stdout)
    assert report["classes"] == len({one.kind for one in catalogue})
    assert report["items"] == len(catalogue)
    assert 0 <= report["ece"] <= 1
    shown = run(drawn_shop, "categories", "train")
    assert "trained on" in shown.stdout
    told = json.loads(run(drawn_shop, "categories", "info", "--json").stdout)
    assert told["by"] == "label"
    assert told["standing"]["current"] is True
    assert told["standing"]["items_then"] == len(catalogue)
    known = json.loads(run(drawn_shop, "info", "--json").stdout)["categories"]
    assert known["standing"] == told["standing"]
    assert "now unchanged" in run(drawn_shop, "info").stdout
    assert told["report"]["accuracy"] == report["accuracy"]
    assert told["fingerprint"] in run(drawn_shop, "categories", "info").stdout

    picture = catalogue[0].path
    predicted = json.loads(run(drawn_shop, "categories", "predict", picture, "--json").stdout)
    assert len(predicted["predicted"]) <= 5
    text = run(drawn_shop, "categories", "predict", picture, "-n", "1").stdout
    assert text.split()[1] == predicted["predicted"][0]["label"]
    both = run(drawn_shop, "categories", "predict", picture, "none.jpg", "--json")
    assert both.returncode == 3
    first_answer, failed = json.loads(both.stdout)
    assert first_answer == {**predicted, "error": None}
    assert (failed["predicted"], failed["error"]["code"]) == ([], "unreadable-image")
    assert "none.jpg" in both.stderr

    with lookalike.open(drawn_shop) as shop:
        first = next(iter(shop))
        shop.label([first.id], "new kind")
        told = run(drawn_shop, "categories", "info").stdout
        shop.label([first.id], first.label)
    assert "new: new kind; 1 label has more or fewer items; train again with `looka" in told

    assert run(drawn_shop, "categories", "drop").stderr == "deleted\n"
    assert json.loads(run(drawn_shop, "info", "--json").stdout)["categories"] is None
    assert run(drawn_shop, "categories", "drop").stderr == "no classifier to delete\n"


def test_the_page_of_a_training_holds_it_all_and_no_script(
    drawn_shop: Path, catalogue: list[Drawn], tmp_path: Path
) -> None:
    target = tmp_path / "page.html"
    done = run(drawn_shop, "categories", "train", "--report", target, "-q")
    assert done.stderr == f"wrote {target}\n"
    text = target.read_text(encoding="utf-8")
    for kind in {one.kind for one in catalogue}:
        assert kind in text
    assert "<script" not in text
    assert "http" not in text
    missing = run(drawn_shop, "categories", "train", "--report", tmp_path / "no" / "page.html")
    assert missing.returncode == 1
    assert "cannot write the report" in missing.stderr
    assert run(drawn_shop, "categories", "drop").returncode == 0


@pytest.mark.parametrize("count", [2, 60])
def test_a_page_escapes_names_and_shows_the_most_confused(shop: Collection, count: int) -> None:
    names = [f"<i>{number}</i>" for number in range(count)]
    given = names * 12
    stock(shop, given, clusters(given, spread=1.5))
    report = categories.train(shop)
    assert report.accuracy is not None
    page = render_categories(report, collection="<i>shop</i>")
    assert "<i>" not in page
    assert "&lt;i&gt;0&lt;/i&gt;" in page
    asked = {one.label: one.held_out for one in report.labels}
    assert sum(asked.values()) == report.held_out
    assert sum(one.right for one in report.labels) == round(report.held_out * report.accuracy)
    for one in report.labels:
        if one.taken_for is not None:
            assert any(
                (each.label, each.predicted) == (one.label, one.taken_for)
                for each in report.confusions
            )


def test_a_page_says_so_when_nothing_was_judged(shop: Collection) -> None:
    stock(shop, ["cup", "jug"])
    page = render_categories(categories.train(shop), collection="shop")
    assert "too few" in page
    assert "cup" in page


def test_an_answer_says_what_was_predicted_and_used(
    drawn_shop: Path, catalogue: list[Drawn]
) -> None:
    picture = catalogue[0].path
    done = run(drawn_shop, "search", picture, "--category", "auto", "--json", "-k", "2")
    found = json.loads(done.stdout)["category"]
    assert done.stderr == ""
    assert set(found) == {"predicted", "used", "scope", "reason"}
    assert set(found["predicted"][0]) == {"label", "probability"}
    assert found["scope"] == ("category" if found["used"] else "all")

    given_label = run(drawn_shop, "search", picture, "--category", catalogue[0].kind, "-k", "2")
    assert given_label.stderr.startswith(f"searched in {catalogue[0].kind} (as given)\n")
    assert "show it with --include-self" in given_label.stderr
    assert len(given_label.stdout.splitlines()) == 2
    unsure = run(drawn_shop, "search", picture, "--category", "auto", "-k", "50", "--mass", "0.5")
    assert unsure.stderr.startswith("predicted ")
    assert "; searched " in unsure.stderr
    assert json.loads(run(drawn_shop, "search", picture, "--json").stdout)["category"] is None


@pytest.mark.parametrize(
    "arguments",
    [
        ("search", "x.jpg", "--category", "auto", "--mass", "0"),
        ("categories", "train", "--by", "path"),
        ("categories", "predict", "x.jpg", "--level", "0"),
    ],
)
def test_wrong_usage_ends_with_2(drawn_shop: Path, arguments: tuple[str, ...]) -> None:
    done = run(drawn_shop, *arguments)
    assert (done.returncode, done.stdout) == (2, "")


# -- the real thing ------------------------------------------------------------------------


@pytest.mark.real
@pytest.mark.skipif(
    not (SHARED / "caltech-101-sample.zip").exists(), reason="the real pictures are not there"
)
@pytest.mark.slow
def test_caltech_is_learned_well(tmp_path: Path) -> None:
    import zipfile  # noqa: PLC0415 - here only

    with zipfile.ZipFile(SHARED / "caltech-101-sample.zip") as archive:
        names = [name for name in archive.namelist() if name.endswith(".jpg")]
        some = [name for name in names if "BACKGROUND" not in name][:600]
        archive.extractall(tmp_path, some)
    with lookalike.open(tmp_path / "shop", create=True) as shop:
        shop.index(tmp_path / "101_ObjectCategories", optimize=False)
        for item in list(shop):
            shop.label([item.id], item.path.partition("/")[0])
        report = categories.train(shop)
        assert report.accuracy is not None
        assert report.accuracy > 0.9
        assert report.ece is not None
        assert report.ece < 0.1
