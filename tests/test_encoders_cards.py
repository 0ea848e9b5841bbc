"""Model cards say what is wrong with them, and where."""

import re
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from lookalike.encoders import ModelCard, available_encoders, find_card, read_card
from lookalike.encoders.cards import Input, Logits, Output, PatchMap, Weights
from lookalike.encoders.text import TextCard
from lookalike.errors import EncoderError, ModelCardError
from networks import tiny_card

DOCS = Path(__file__).parents[1] / "docs" / "encoders.md"


@pytest.fixture
def card(tmp_path: Path) -> Path:
    return tiny_card(tmp_path)


def test_every_shipped_card_is_sound_and_bears_its_name() -> None:
    assert available_encoders() == (
        "efficientnet-lite0",
        "efficientnet-lite1",
        "efficientnet-lite2",
    )
    for name in available_encoders():
        shipped = find_card(name)
        assert shipped.name == name
        assert shipped.licence == "Apache-2.0"
        assert shipped.weights.install is not None


def test_what_is_left_out_has_its_default(card: Path) -> None:
    read = read_card(card)
    assert (read.input.scale, read.input.crop, read.input.fill) == (1.0, 1.0, (0, 0, 0))
    assert (read.output.pooling, read.output.layout) == ("none", "nchw")
    assert read.weights.package is None


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("resize =", "resise =", r"input\.resise is not a key .* did you mean 'resize'\?"),
        ('title = "A', 'titel = "A', r"titel is not a key .* 'title'"),
        ("[map]", "[patches]", r"patches is not a key"),
        ('name = "tiny"\n', "", r": name is missing"),
        ('sha256 = "', 'sha256 = "X', r"weights\.sha256 must match"),
        ('"squash"', '"stretch"', r"input\.resize must be one of 'squash', 'crop', 'pad'"),
        ('"bilinear"', '"cubic"', r"input\.interpolation must be one of"),
        ("width = 32", "width = 0", r"input\.width must be a whole number from 1"),
        ("width = 32", "width = 32.0", r"input\.width must be a whole number"),
        ("width = 32", "width = true", r"input\.width must be a whole number"),
        ("[127.5, 127.5, 127.5]\nstd", "[1, 2]\nstd", r"input\.mean must be three numbers"),
        ("[127.5, 127.5, 127.5]\nstd", "[1, 2, nan]\nstd", r"input\.mean must be three numbers"),
        ("std = [127.5, ", "std = [0, ", r"input\.std must be three numbers above 0"),
        ("width =", "scale = 0\nwidth =", r"input\.scale must be above 0"),
        ("width =", "crop = 0.9\nwidth =", r'input\.crop is only for resize = "crop"'),
        ('"squash"', '"crop"\ncrop = 1.5', r"input\.crop must be above 0 and at most 1"),
        ('"squash"', '"pad"\nfill = [0, 0, 256]', r"input\.fill must be three whole numbers"),
        ("dim = 32", 'dim = "32"', r"output\.dim must be a whole number"),
        ('builder = "onnx"', 'builder = "onnx"\ninstall = "x"', r"weights\.install .* no package"),
        ('builder = "onnx"', 'builder = "torch"', r"weights\.builder must be one of 'onnx'"),
        ('builder = "onnx"', "builder = = ", r"not TOML"),
        ("[map]", "[[map]]", r"map must be a table"),
        ('title = "A small seeded network for tests"', 'title = " "', r"title must be text"),
    ],
)
def test_a_mistake_is_named_with_file_and_key(card: Path, old: str, new: str, said: str) -> None:
    text = card.read_text(encoding="utf-8")
    assert old in text
    card.write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(ModelCardError, match=said) as caught:
        read_card(card)
    assert str(card) in str(caught.value)


def test_an_unknown_name_lists_those_there_are() -> None:
    with pytest.raises(EncoderError, match=r"efficientnet-lite0, .*mean 'efficientnet-lite0'"):
        find_card("efficientnet-light0")


def test_a_card_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelCardError, match="cannot be read: No such file"):
        find_card(tmp_path / "none.toml")
    with pytest.raises(ModelCardError, match="cannot be read"):
        find_card("./none.toml")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (r'sha256 = "\w{8}', 'sha256 = "01234567'),
        ('"rgb"', '"bgr"'),
        ('"bilinear"', '"bicubic"'),
        ('"squash"', '"pad"'),
        ("width = 32", "width = 64"),
        (r"mean = .*", "mean = [127.5, 127.5, 127.0]"),
        ('name = "features"', 'name = "map"'),
        ("dim = 32", 'dim = 32\npooling = "max"'),
    ],
)
def test_whatever_changes_a_vector_changes_the_fingerprint(card: Path, old: str, new: str) -> None:
    before = read_card(card).fingerprint(1)
    text = card.read_text(encoding="utf-8")
    assert re.search(old, text)
    card.write_text(re.sub(old, new, text, count=1), encoding="utf-8")
    assert read_card(card).fingerprint(1) != before


def test_what_changes_no_vector_leaves_the_fingerprint(card: Path, tmp_path: Path) -> None:
    before = read_card(card)
    text = card.read_text(encoding="utf-8").replace("A small", "Another").replace("[map]", "[map]#")
    moved = tmp_path / "elsewhere" / "card.toml"
    moved.parent.mkdir()
    moved.write_text(text, encoding="utf-8")
    assert read_card(moved).fingerprint(1) == before.fingerprint(1)
    assert before.fingerprint(2) != before.fingerprint(1)  # the code's own revision counts


def test_the_fingerprint_of_the_default_encoder_is_kept() -> None:
    """Collections in use carry it: a change here makes every one of them be indexed anew."""
    assert (
        find_card("efficientnet-lite0").fingerprint(1, 1) == "efficientnet-lite0:89eaead1f9fef351"
    )


def test_the_example_in_the_docs_is_a_sound_card(tmp_path: Path) -> None:
    example, data, words = re.findall(
        r"```toml\n(.*?)```", DOCS.read_text(encoding="utf-8"), re.DOTALL
    )
    (tmp_path / "card.toml").write_text(example, encoding="utf-8")
    card = read_card(tmp_path / "card.toml")
    assert card.output.pooling == "avg"
    assert not card.weights.data
    (tmp_path / "card.toml").write_text(f"{example}\n{data}", encoding="utf-8")
    ((name, _),) = read_card(tmp_path / "card.toml").weights.data
    assert name == "net.onnx.data"
    (tmp_path / "card.toml").write_text(f"{example}\n{words}", encoding="utf-8")
    text = read_card(tmp_path / "card.toml").words
    assert text is not None
    assert (text.file, text.cleaning, text.length, text.eos) == (
        "text_model.onnx",
        "clip",
        77,
        None,
    )


@pytest.mark.parametrize("record", [ModelCard, Weights, Input, Output, PatchMap, Logits, TextCard])
def test_every_key_and_every_encoder_is_in_the_docs(record: type[Any]) -> None:
    text = DOCS.read_text(encoding="utf-8")
    for key in (field.name for field in fields(record) if field.name != "path"):
        assert f"`{key}`" in text or f"**`[{key}]`**" in text, key
    assert all(f"`{name}`" in text for name in available_encoders())
