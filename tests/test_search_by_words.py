"""Searching by words, alone and mixed with images, in every way in."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

import lookalike
from lookalike import ItemRef, QueryPart, Words
from lookalike.cli import cli
from lookalike.core.protocols import Prepared
from lookalike.core.vectors import Matrix, unit_rows
from lookalike.encoders import OnnxEncoder
from lookalike.errors import WordsError

COLOURS = {"red": (255, 0, 0), "green": (0, 255, 0), "blue": (0, 0, 255)}


class ColourEncoder:
    """An encoder of a user's own that knows words too: colours, and what is drawn in them."""

    name = "colours"
    fingerprint = "colours:1"
    dim = 3
    decode_size = None

    def prepare(self, image: Image.Image, /) -> Prepared:
        return np.asarray(image.resize((4, 4)), dtype=np.uint8)

    def encode(self, batch: Sequence[Prepared], /) -> Matrix:
        means = [one.mean(axis=(0, 1)) + 1 for one in batch]
        return unit_rows(np.array(means, dtype=np.float32).reshape(-1, 3))

    def encode_words(self, texts: Sequence[str], /) -> Matrix:
        named = [[COLOURS[one] for one in text.split() if one in COLOURS] for text in texts]
        return unit_rows(np.array([np.sum(one, axis=0) + 1.0 for one in named]))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "images"
    place.mkdir()
    for name, colour in COLOURS.items():
        Image.new("RGB", (40, 30), colour).save(place / f"{name}.png")
    return place


@pytest.fixture
def shop(tmp_path: Path, folder: Path) -> lookalike.Collection:
    made = lookalike.open(tmp_path / "shop", encoder=ColourEncoder(), create=True)
    made.index(folder)
    return made


def _ids(found: lookalike.Results) -> list[str]:
    return [hit.item.id for hit in found]


def test_words_find_the_images_that_they_describe(shop: lookalike.Collection) -> None:
    for colour in COLOURS:
        for query in (f"something {colour}", Words(colour), [Words(colour)]):
            found = shop.search(query)
            assert _ids(found)[0] == f"{colour}.png"
            assert found[0].score == pytest.approx(1, abs=0.02)
            assert found.left_out == ()


def test_words_and_images_are_mixed_by_weight(shop: lookalike.Collection, folder: Path) -> None:
    green = QueryPart(source=folder / "green.png")
    less_green = QueryPart(source="the green", weight=-1.0)
    assert _ids(shop.search([green, QueryPart(source="the red"), less_green]))[0] == "red.png"
    more = shop.search([green, QueryPart(source="the red", weight=2.0)], include_self=True)
    assert _ids(more)[:2] == ["red.png", "green.png"]
    less = shop.search([green, QueryPart(source="the red", weight=0.5)], include_self=True)
    assert _ids(less)[:2] == ["green.png", "red.png"]
    assert _ids(shop.search([ItemRef("blue.png"), Words("red")], k=1)) == ["red.png"]


def test_words_are_encoded_once_for_several_searches(shop: lookalike.Collection) -> None:
    once = shop.encode(Words("blue"))
    assert _ids(shop.search(once, k=1)) == ["blue.png"]
    with pytest.raises(ValueError, match="words have no parts"):
        shop.search("light blue", crop=(0, 0, 0.5, 0.5))


def test_an_existing_file_is_an_image_whatever_it_is_called(
    shop: lookalike.Collection, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "blue.png").rename(folder / "red")
    monkeypatch.chdir(folder)
    assert _ids(shop.search("red", k=1)) == ["blue.png"]
    assert _ids(shop.search(Words("red"), k=1)) == ["red.png"]


def test_match_levels_are_not_for_words(shop: lookalike.Collection) -> None:
    with pytest.raises(WordsError, match="use min_score instead of min_match"):
        shop.search(Words("red"), min_match="fair")
    assert shop.search(Words("red"), min_score=0.9)
    found = shop.search([Words("red")])
    assert (found.matches, found.scale) == ((), None)


def test_an_empty_collection_finds_nothing_by_words(tmp_path: Path) -> None:
    with lookalike.open(tmp_path / "empty", encoder=ColourEncoder(), create=True) as empty:
        assert [note.code for note in empty.search(Words("red")).notes] == ["empty-collection"]


def test_an_encoder_without_words_says_so(tmp_path: Path, folder: Path, tiny: OnnxEncoder) -> None:
    with lookalike.open(tmp_path / "tiny", encoder=tiny, create=True) as shop:
        shop.index(folder)
        with pytest.raises(WordsError, match=r"^red: the encoder tiny does not support"):
            shop.search(Words("red"))
        with pytest.raises(WordsError, match="no such file, and the encoder tiny does not"):
            shop.search("red")


def test_a_query_that_fails_leaves_the_others(
    tmp_path: Path, folder: Path, card: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with lookalike.open(tmp_path / "shop", encoder=card, create=True) as shop:
        shop.index(folder)
    monkeypatch.chdir(folder)
    arguments = ["search", "-c", str(tmp_path / "shop"), "--json", "in red", "red.png"]
    done = CliRunner().invoke(cli, arguments)
    words, image = json.loads(done.stdout)
    assert done.exit_code == 3
    assert words["query"] == {"text": "in red"}
    assert words["error"]["code"] == "unusable-words"
    assert (image["query"], image["error"]) == ({"path": "red.png"}, None)


def test_images_and_items_are_joined_on_the_command_line(
    tmp_path: Path, folder: Path, card: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with lookalike.open(tmp_path / "shop", encoder=card, create=True) as shop:
        shop.index(folder)
        parts = [
            QueryPart(source=folder / "red.png", weight=2.0, crop=(0.0, 0.0, 0.5, 1.0)),
            QueryPart(source=ItemRef("blue.png"), weight=-0.5),
        ]
        expected = shop.search(parts)
    monkeypatch.chdir(folder)
    run = ["search", "-c", str(tmp_path / "shop")]
    done = CliRunner().invoke(
        cli, [*run, "--json", "--crop", "0,0,.5,1", "2:red.png", "-", ".5:@blue.png"]
    )
    found = json.loads(done.stdout)
    assert found["query"] == {
        "parts": [
            {"path": "red.png", "crop": [0.0, 0.0, 0.5, 1.0], "weight": 2.0},
            {"id": "blue.png", "weight": -0.5},
        ]
    }
    assert [hit["id"] for hit in found["hits"]] == _ids(expected)
    refused = CliRunner().invoke(cli, [*run, "red.png", "-", "red.png"])
    assert refused.exit_code == 2
    assert "cancel each other out" in refused.stderr
    refused = CliRunner().invoke(cli, [*run, "--crop", "0,0,.5,1", "in red"])
    assert "--crop needs an image" in refused.stderr
