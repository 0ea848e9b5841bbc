"""Words without a text encoder: by labels, by classes, by keywords, and fused."""

import json
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

import lookalike
from contracts.store import an_item
from live import serving
from lookalike import ItemRef, QueryPart, Words
from lookalike.analysis.label_directions import label_direction, named_by
from lookalike.cli import cli
from lookalike.client import connect
from lookalike.core.vectors import Matrix, unit_rows
from lookalike.encoders import OnnxEncoder, find_card
from lookalike.encoders.classes import checkpoint_classes
from lookalike.errors import ImageError, WordsError

DIM = 32
KINDS = ("Casual Shoes", "Sports Shoes", "Handbags", "Ties")
_CENTRES = np.random.default_rng(1).normal(size=(len(KINDS), DIM))


class Stub:
    """An encoder that is never run: its name, fingerprint and dimensions, and its classes."""

    name = "stub"
    fingerprint = "stub:1"
    dim = DIM
    decode_size = None
    names = ("teddy", "running shoe", "tie")

    @property
    def class_encoder(self) -> "Stub":
        return self

    def vectors(self) -> Matrix:
        return unit_rows(np.stack([np.eye(DIM)[0], _CENTRES[1], np.eye(DIM)[2]]))

    def prepare(self, image: object, /) -> object:
        raise AssertionError(image)

    def encode(self, batch: Sequence[object], /) -> Matrix:
        raise AssertionError(batch)


def rows_of(kind: int, count: int, seed: int) -> Matrix:
    noise = np.random.default_rng(seed).normal(size=(count, DIM))
    return unit_rows(_CENTRES[kind] + 0.5 * noise)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A collection of four kinds; every second item has its label, all have a colour."""
    folder = tmp_path_factory.mktemp("words") / "collections" / "shop"
    with lookalike.open(folder, encoder=Stub(), create=True) as shop:  # type: ignore[arg-type]
        shop.bind()
        for kind, label in enumerate(KINDS):
            items = [
                an_item(
                    f"{kind}-{number:02}",
                    path="",
                    label=label if number % 2 else None,
                    metadata={"colour": "red" if number % 4 < 2 else "blue"},
                )
                for number in range(20)
            ]
            shop.store.items.upsert(items, rows_of(kind, 20, seed=kind))
    return folder


@pytest.fixture
def shop(place: Path) -> Iterator[lookalike.Collection]:
    with lookalike.open(place, encoder=Stub()) as shop:  # type: ignore[arg-type]
        yield shop


def kinds(found: lookalike.Results) -> list[int]:
    return [int(hit.item.id[0]) for hit in found]


def codes(found: lookalike.Results) -> list[str]:
    return [note.code for note in found.notes]


@pytest.mark.parametrize(
    ("text", "whole", "part"),
    [
        ("casual shoes", ["Casual Shoes"], ["Casual Shoes"]),
        ("SHOE, Casual", ["Casual Shoes"], ["Casual Shoes"]),
        ("shoes", ["Casual Shoes", "Sports Shoes"], ["Casual Shoes", "Sports Shoes"]),
        ("red shoes", [], ["Casual Shoes", "Sports Shoes"]),
        ("a red handbag", ["Handbags"], ["Handbags"]),
        ("a silk tie for casual shoes", ["Casual Shoes", "Ties"], ["Casual Shoes"]),
        ("t-shirt", [], []),
        ("nothing of this", [], []),
        ("--", [], []),
    ],
)
def test_words_name_labels(text: str, whole: list[str], part: list[str]) -> None:
    assert [*named_by(text, KINDS, whole=True)] == whole
    assert [*named_by(text, KINDS, whole=False)] == part


def test_words_that_would_name_very_many_labels_name_none() -> None:
    labels = [f"shoe {number}" for number in range(30)]
    assert named_by("shoe", labels, whole=True) == ()
    assert named_by("red shoe", labels, whole=False) == ()


def test_the_longest_name_is_meant() -> None:
    assert named_by("sports shoes", ["Shoes", "Sports Shoes"], whole=True) == ("Sports Shoes",)


def test_a_label_finds_its_images_that_have_no_label(shop: lookalike.Collection) -> None:
    for kind, label in enumerate(KINDS):
        found = shop.search(label.lower(), text_mode="labels", where="label missing")
        assert kinds(found) == [kind] * 10
        (note,) = found.notes
        assert note.code == "searched-by-label"
        assert note.details["labels"] == [label]
        assert note.message.endswith("the encoder does not support words")
        assert found.score == "cosine"
        assert [hit.score for hit in found] == sorted((hit.score for hit in found), reverse=True)


def test_the_direction_of_a_label_beats_the_mean_of_its_items(shop: lookalike.Collection) -> None:
    """Where items vary much in a way that has nothing to do with their labels."""
    nuisance = np.random.default_rng(5).normal(size=DIM)
    items, rows = [], []
    for kind in range(2):
        strength = np.random.default_rng(kind).normal(size=(60, 1))
        rows.append(unit_rows(rows_of(kind, 60, seed=9 + kind) + strength * nuisance))
        items += [
            an_item(f"n{kind}-{number}", label=f"nuisance {kind}" if number % 2 else None)
            for number in range(60)
        ]
    shop.store.items.upsert(items, np.concatenate(rows))
    direction = label_direction(shop.store, ["nuisance 0"])
    assert direction is not None
    mean = unit_rows(rows[0][1::2].mean(axis=0)[None])[0]
    shares = []
    for vector in (direction, mean):
        scores = np.concatenate([one[::2] for one in rows]) @ vector
        shares.append(np.mean(np.argsort(-scores)[:30] < 30))
    assert shares[0] > shares[1]
    shop.remove([item.id for item in items])


def test_a_label_of_all_items_or_of_none_has_no_direction(shop: lookalike.Collection) -> None:
    assert label_direction(shop.store, ["nothing"]) is None
    every = [*KINDS]
    assert label_direction(shop.store, every) is not None  # the others have none
    shop.store.items.upsert([an_item("z", label="lonely")], rows_of(0, 1, seed=3))
    assert label_direction(shop.store, ["lonely"]) is not None
    shop.remove("z")


def test_words_that_name_no_label_may_name_a_class(shop: lookalike.Collection) -> None:
    found = shop.search("running shoes", text_mode="labels", k=15)
    assert found.notes[0].details["classes"] == ["running shoe"]
    assert kinds(found).count(1) >= 14
    found = shop.search("ties", text_mode="labels", k=5)  # a label comes before a class
    assert found.notes[0].details["labels"] == ["Ties"]


def test_keywords_alone_say_how_much_of_the_words_an_item_has(shop: lookalike.Collection) -> None:
    found = shop.search("red handbags", text_mode="keywords", k=30)
    assert found.score == "words"
    whole = [hit for hit in found if hit.score == 1]
    assert {(hit.item.label, hit.item.metadata["colour"]) for hit in whole} == {("Handbags", "red")}
    assert found[: len(whole)] == whole
    assert all(0 < hit.score < 1 for hit in found[len(whole) :])
    assert codes(found) == []
    assert shop.search("red handbags", text_mode="keywords", min_score=1, k=30) == whole


def test_keywords_obey_the_other_options(shop: lookalike.Collection) -> None:
    found = shop.search("red", text_mode="keywords", where="label=Ties", k=3)
    assert [hit.item.label for hit in found] == ["Ties"] * 3
    assert len(shop.search("handbags", text_mode="keywords", k=3)) == 3
    items = [an_item(f"g{number}", group="pair", label="Gloves") for number in range(4)]
    shop.store.items.upsert(items, rows_of(0, 4, seed=8))
    found = shop.search("gloves", text_mode="keywords", per_group=True)
    assert [hit.item.id for hit in found] == ["g0"]
    category = shop.search("red", text_mode="keywords", category="Ties", k=4)
    assert [hit.item.label for hit in category] == ["Ties"] * 4
    with pytest.raises(WordsError, match="no embedding that a category could be predicted"):
        shop.search("red", text_mode="keywords", category="auto")
    shop.remove([item.id for item in items])


def test_text_that_no_file_can_be_called_is_words(shop: lookalike.Collection) -> None:
    for text in ("a" * 256, "a word " * 500, "a\0b", "a/\0b", "a\0.jpg"):
        found = shop.search(text)
        assert found == []
        assert codes(found)[0] == "no-match"
    with pytest.raises(ImageError):
        shop.search("b/" + "a" * 300)  # a path
    with pytest.raises(WordsError, match="stub does not support search by words"):
        shop.search("a" * 300, text_mode="encoder")
    for text in ("", " ", "\ud800.jpg"):
        with pytest.raises(ValueError, match="contains no words; give a text or a file"):
            shop.search(text)


def test_what_keywords_did_not_find_is_said(shop: lookalike.Collection) -> None:
    found = shop.search("purple unicorns")
    assert found == []
    (note,) = found.notes
    assert note.message == "no item, label or class matches 'purple unicorns'"
    assert (note.code, note.details["words"]) == ("no-match", ["purple", "unicorns"])
    found = shop.search("purple handbags")
    assert "no item has the word 'purple'" in [note.message for note in found.notes]
    for text in ("!!!", "красные туфли", "and", "of the items"):
        for query in (text, Words(text)):
            found = shop.search(query)
            assert found == []
            assert [note.message for note in found.notes] == [
                f"no item, label or class matches {text!r}"
            ]
    assert codes(shop.search(Words("red"), where="label=Nothing")) == ["no-such-value"]
    assert "long-text" in codes(shop.search(Words(" ".join(f"w{one}" for one in range(40)))))


def test_the_label_that_mistyped_words_resemble_is_suggested(shop: lookalike.Collection) -> None:
    mistyped = {"shose": "shoes", "handbgas": "Handbags", "sprots shose": "Sports Shoes"}
    for text, near in mistyped.items():
        (note,) = shop.search(text).notes
        assert note.message == f"no item, label or class matches {text!r}; did you mean {near!r}?"
        assert note.details["did_you_mean"] == near
        with pytest.raises(WordsError, match=f"did you mean '{near}'"):
            shop.search(text, text_mode="labels")
    found = shop.search("red shose")
    (note,) = (note for note in found.notes if note.code == "unknown-words")
    assert note.message == "no item has the word 'shose'; did you mean 'shoes'?"


def test_a_folder_that_was_searched_as_words_is_said_to_be_one(
    shop: lookalike.Collection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "qqq").mkdir()
    (note,) = shop.search("qqq").notes
    assert note.message.endswith("matches 'qqq'; 'qqq' is a folder, not an image")


def test_items_that_have_all_words_come_first(place: Path) -> None:
    with lookalike.open(place, encoder=Stub()) as shop:  # type: ignore[arg-type]
        # Far from what the label means, and so behind many items that have one word or none.
        items = [
            an_item(f"odd-{number}", path="", metadata={"about": "blue handbags"})
            for number in range(5)
        ]
        shop.store.items.upsert(items, -rows_of(2, 5, seed=11))
        found = shop.search("blue handbags", k=40)
        whole = [hit.item.label == "Handbags" or hit.item.id[:3] == "odd" for hit in found]
        blue = ["blue" in str(hit.item.metadata) for hit in found]
        both = [one and other for one, other in zip(whole, blue, strict=True)]
        assert sum(both) > 5
        assert both == sorted(both, reverse=True)
        assert "fused" in codes(found)
        shop.remove([item.id for item in items])


def test_scores_that_are_in_order_are_not_said_to_be_out_of_order(
    shop: lookalike.Collection,
) -> None:
    assert codes(shop.search("handbags", k=1)) == ["searched-by-label"]


CLASSES = ("red-breasted merganser", "red wolf", "timber wolf", "little blue heron", "four-poster")


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("red", []),
        ("blue", []),
        ("little", []),
        ("little blue", []),
        ("wolf", ["red wolf", "timber wolf"]),
        ("a red wolf", ["red wolf"]),
        ("heron", ["little blue heron"]),
        ("blue heron", ["little blue heron"]),
        ("merganser", ["red-breasted merganser"]),
        ("red-breasted", []),
        ("poster", ["four-poster"]),
        ("four", []),
    ],
)
def test_a_class_is_named_by_its_head_noun_and_never_by_a_mere_modifier(
    text: str, named: list[str]
) -> None:
    assert [*named_by(text, CLASSES, whole=True, head=True)] == named


LABELS = ("Perfume and Body Mist", "Flip-Flops", "Nike-2", "A")


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("and", []),
        ("the items of a", []),
        ("mist and rain", ["Perfume and Body Mist"]),
        ("bread and butter", []),
        ("flip", []),
        ("flip flops", ["Flip-Flops"]),
        ("flops", ["Flip-Flops"]),
        ("nike", ["Nike-2"]),
        ("a", ["A"]),
    ],
)
def test_stop_words_and_first_parts_name_no_label(text: str, named: list[str]) -> None:
    found = named_by(text, LABELS, whole=True) or named_by(text, LABELS, whole=False)
    assert [*found] == named


def test_by_default_labels_and_keywords_are_fused(shop: lookalike.Collection) -> None:
    found = shop.search("blue handbags", k=20)
    assert codes(found) == ["searched-by-label", "fused"]
    assert found.score == "cosine"
    places: dict[str, list[int]] = {"red": [], "blue": []}
    for place, hit in enumerate(found):
        if hit.item.label == "Handbags":
            places[str(hit.item.metadata["colour"])].append(place)
    assert np.mean(places["blue"]) < np.mean(places["red"])
    assert kinds(found)[:10] == [2] * 10
    direction = label_direction(shop.store, ["Handbags"])
    assert direction is not None
    for hit in found:
        (row,) = shop.vectors([hit.item.id])
        assert hit.score == pytest.approx(row @ direction, abs=1e-6)


def test_fusing_ranks_by_the_sum_of_reciprocal_ranks(shop: lookalike.Collection) -> None:
    near = [hit.item.id for hit in shop.search("handbags", text_mode="labels", k=80)]
    words = {hit.item.id for hit in shop.search("blue", text_mode="keywords", k=80)}
    found = [hit.item.id for hit in shop.search([Words("handbags")], text_mode="labels", k=80)]
    assert found == near
    query = [QueryPart(source=ItemRef("2-00")), QueryPart(source=Words("blue"))]
    fused = [hit.item.id for hit in shop.search(query, text_mode="keywords", k=79)]
    by_item = [hit.item.id for hit in shop.similar("2-00", k=79)]
    scores = {
        one: 1 / (60 + rank) + (1 / 61 if one in words else 0)
        for rank, one in enumerate(["2-00", *by_item], 1)
    }
    del scores["2-00"]
    assert fused == sorted(scores, key=lambda one: -scores[one])


def test_an_item_that_only_keywords_find_has_its_cosine(place: Path) -> None:
    with lookalike.open(place, encoder=Stub()) as shop:  # type: ignore[arg-type]
        items = [an_item(f"far-{number:03}", path="") for number in range(300)]
        shop.store.items.upsert(items, rows_of(2, 300, seed=6))
        far = an_item("odd", path="", metadata={"text": "zebra"})
        shop.store.items.upsert([far], unit_rows(-_CENTRES[2:3]))
        query = [QueryPart(source=ItemRef("2-00")), QueryPart(source=Words("zebra"))]
        hit = next(hit for hit in shop.search(query, k=300) if hit.item.id == "odd")
        cosine = float(shop.vectors(["odd"])[0] @ shop.vectors(["2-00"])[0])
        assert hit.score == pytest.approx(cosine, abs=1e-6)
        shop.remove([item.id for item in (*items, far)])


def test_words_that_name_nothing_cannot_be_subtracted(shop: lookalike.Collection) -> None:
    less = [QueryPart(source=ItemRef("0-00")), QueryPart(source=Words("handbags"), weight=-1)]
    assert 2 not in kinds(shop.search(less, k=20))
    unknown = [QueryPart(source=ItemRef("0-00")), QueryPart(source=Words("red"), weight=-1)]
    with pytest.raises(WordsError, match="only be less like words that name a label"):
        shop.search(unknown)
    with pytest.raises(WordsError, match="no label of the collection has these words"):
        shop.search(Words("red"), text_mode="labels")
    with pytest.raises(WordsError, match="stub does not support search by words"):
        shop.search(Words("red"), text_mode="encoder")
    with pytest.raises(ValueError, match="text_mode is 'words', but must be auto, encoder"):
        shop.search(Words("red"), text_mode="words")  # type: ignore[arg-type]


def test_every_way_in_has_the_same_modes(card: Path, tmp_path: Path) -> None:
    folder = tmp_path / "collections" / "shop"
    with lookalike.open(folder, encoder=card, create=True) as shop:
        shop.bind()
        bound = shop.store.bound()
        assert bound is not None
        rows = unit_rows(np.random.default_rng(0).normal(size=(40, bound[2])))
        items = [
            an_item(f"{one:02}", path="", label=("Mugs", "Cups")[one % 2]) for one in range(40)
        ]
        shop.store.items.upsert(items, rows)
        here = {
            mode: shop.search(Words("a mug 07"), k=5, text_mode=mode)
            for mode in ("labels", "keywords", "fused", "auto")
        }
    with serving(tmp_path) as live, connect(live.address, collection="shop") as shop:
        for mode, expected in here.items():
            there = shop.search(Words("a mug 07"), k=5, text_mode=mode)  # type: ignore[arg-type]
            assert [hit.item.id for hit in there] == [hit.item.id for hit in expected]
            assert there.score == expected.score
            assert [note.code for note in there.notes] == codes(expected)
    for mode, expected in here.items():
        run = ["search", "words:a mug 07", "-c", str(folder), "-k", "5", "--text-mode", mode]
        found = json.loads(CliRunner().invoke(cli, [*run, "--json"]).stdout)
        assert [hit["id"] for hit in found["hits"]] == [hit.item.id for hit in expected]
        assert found["score"] == expected.score


def test_items_of_an_older_version_are_counted_where_they_cannot_be_looked_at(
    place: Path, shop: lookalike.Collection
) -> None:
    with sqlite3.connect(place / "collection.sqlite") as db:
        db.execute("UPDATE items SET metadata = '{' WHERE id = '0-00'")
    found = shop.search(Words("red"), text_mode="keywords", k=1)
    assert "items-without-words" in codes(found)
    with sqlite3.connect(place / "collection.sqlite") as db:
        db.execute("""UPDATE items SET metadata = '{"colour": "red"}' WHERE id = '0-00'""")


def test_lite0_knows_the_thousand_classes_by_name() -> None:
    classes = checkpoint_classes(find_card("efficientnet-lite0"))
    assert classes is not None
    assert len(set(classes.names)) >= 998  # cranes and maillots are two each
    assert (classes.names[0], classes.names[999]) == ("tench", "toilet tissue")
    vectors = classes.vectors()
    assert vectors.shape == (1000, 1280)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)


def test_an_encoder_of_a_file_knows_no_classes(tiny: OnnxEncoder) -> None:
    assert tiny.class_encoder is None
