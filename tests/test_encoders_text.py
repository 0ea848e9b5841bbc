"""Text encoders: cleaning, tokens, and models of every shape that exporters make."""

import builtins
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto
from PIL import Image

from contracts.text_encoder import TextEncoderContract
from lookalike.core.protocols import Encoder, TextEncoder, text_encoder_of
from lookalike.core.vectors import unit_rows
from lookalike.encoders import load_encoder, read_card
from lookalike.encoders.projection import ProjectedEncoder, fit_projection
from lookalike.encoders.text import encoder as text_module
from lookalike.encoders.text.card import Cleaning, TextCard
from lookalike.encoders.text.cleaning import clean
from lookalike.encoders.text.tokens import Tokens
from lookalike.errors import EncoderError, ModelCardError, WeightsError
from two_towers import COLOURS, clip_tokenizer, siglip_tokenizer, two_tower_card

CLIP = clip_tokenizer()
SIGLIP = siglip_tokenizer()
BOS, EOS = 0, 1  # of the small CLIP


def _card(**more: Any) -> TextCard:  # noqa: ANN401 - fields of the card
    fields: dict[str, Any] = {
        "file": None,
        "sha256": None,
        "tokenizer": "tokenizer.json",
        "tokenizer_sha256": "",
        "output": "text_embeds",
        "length": 12,
    }
    return TextCard(**fields | more)


def _tokens(tokenizer: Any, **more: Any) -> Tokens:  # noqa: ANN401 - fields of the card
    return Tokens(tokenizer.to_str().encode(), _card(**more))


# -- cleaning ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("how", "text", "cleaned"),
    [
        ("clip", "  A  Red\n BAG ", "a red bag"),
        ("clip", "fish &amp;amp; chips", "fish & chips"),  # unescaped twice
        ("clip", "schÃ¶n", "schön"),  # UTF-8 that was read as Latin-1
        ("clip", "it\N{RIGHT SINGLE QUOTATION MARK}s_new!", "it's_new!"),  # punctuation stays
        ("siglip", "A red_bag, isn't it?", "a red bag isnt it"),
        ("siglip", "50% off: T-shirt", "50 off tshirt"),
        ("siglip", "fish &amp; chips", "fish amp chips"),
        ("siglip2", " A red_bag, isn't it? ", "a red_bag, isn't it?"),
        ("lower", "ÄÖ 1", "äö 1"),
        ("none", " A  Red ", " A  Red "),
    ],
)
def test_text_is_cleaned_as_the_training_data_was(how: Cleaning, text: str, cleaned: str) -> None:
    assert clean(text, how) == cleaned


@given(st.text(), st.sampled_from(["siglip", "siglip2", "lower"]))  # ftfy repairs in steps
def test_cleaned_text_stays_as_it_is(text: str, how: Cleaning) -> None:
    once = clean(text, how)
    assert clean(once, how) == once


# -- tokens --------------------------------------------------------------------------------------


def test_clip_begins_and_ends_a_text_and_pads_behind_it() -> None:
    found = _tokens(CLIP, cleaning="clip", pad=0, bos=BOS, eos=EOS).encode(["A RED bag"])
    words = [CLIP.token_to_id(one) for one in ("a</w>", "red</w>", "bag</w>")]
    assert found.ids.tolist() == [[BOS, *words, EOS, *[0] * 7]]
    assert found.mask.tolist() == [[1] * 5 + [0] * 7]
    assert found.ids.dtype == found.mask.dtype == np.int64


def test_clip_of_the_hub_pads_with_the_end() -> None:
    (row,) = _tokens(CLIP, cleaning="clip", pad=EOS).encode(["red"]).ids.tolist()
    assert row == [BOS, CLIP.token_to_id("red</w>"), *[EOS] * 10]


@pytest.mark.parametrize("ends", [{}, {"bos": BOS, "eos": EOS}])
def test_a_text_that_is_too_long_is_cut_and_keeps_its_end(ends: dict[str, int]) -> None:
    found = _tokens(CLIP, **ends).encode(["red " * 30, "red " * 10, "red " * 11])
    red = CLIP.token_to_id("red</w>")
    assert found.ids.tolist() == [[BOS, *[red] * 10, EOS]] * 3
    assert found.mask.all()


def test_siglip_has_no_begin_and_pads_with_its_end_to_the_whole_length() -> None:
    for ends in ({}, {"eos": 1}):
        tokens = _tokens(SIGLIP, cleaning="siglip", length=16, pad=1, **ends)
        (row,) = tokens.encode(["A red_bag."]).ids.tolist()
        plain = SIGLIP.encode("a red bag", add_special_tokens=False).ids
        assert row == [*plain, *[1] * (16 - len(plain))]
        assert BOS not in row[: len(plain)]


def test_no_text_is_the_begin_and_the_end_alone() -> None:
    assert _tokens(CLIP, length=4, bos=BOS, eos=EOS).encode([""]).ids.tolist() == [[BOS, EOS, 0, 0]]
    assert _tokens(SIGLIP, length=3, pad=1).encode([""]).ids.tolist() == [[1, 1, 1]]


@given(st.text(), st.integers(2, 20))
def test_every_text_has_ids_of_the_length(text: str, length: int) -> None:
    found = _tokens(CLIP, length=length, cleaning="clip", pad=7, bos=BOS, eos=EOS).encode([text])
    assert found.ids.shape == found.mask.shape == (1, length)
    count = int(found.mask.sum())
    assert 2 <= count <= length
    assert found.ids[0, 0] == BOS
    assert found.ids[0, count - 1] == EOS
    assert (found.ids[0, count:] == 7).all()
    assert found.mask[0].tolist() == [1] * count + [0] * (length - count)


# -- models --------------------------------------------------------------------------------------


def _scores(card: Path) -> np.ndarray[Any, Any]:
    """Cosines of three texts (rows) with images of the three colours, in one order."""
    encoder = load_encoder(card)
    pictures = [Image.new("RGB", (20, 20), colour) for colour in COLOURS.values()]
    images = encoder.encode([encoder.prepare(one) for one in pictures])
    texts = text_encoder_of(encoder)
    assert texts is not None
    vectors = texts.encode_words([f"something {name}" for name in COLOURS])
    assert vectors.dtype == np.float32
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(np.ones(3), abs=1e-6)
    scores: np.ndarray[Any, Any] = vectors @ images.T
    return scores


@pytest.mark.parametrize("files", ["one", "two"])
@pytest.mark.parametrize(
    ("words", "model"),
    [
        ("", {}),
        ("", {"ids": TensorProto.INT32}),
        ("", {"mask": False}),
        ("", {"batch": 1, "length": 12}),
        ("", {"batch": 2}),
        ('output = "last_hidden_state"\npooling = "eos"\nbos = 0\neos = 1', {}),
        ('output = "last_hidden_state"\npooling = "eos"\nbos = 0\neos = 1\npad = 1', {}),
        ('output = "last_hidden_state"\npooling = "last"', {"mask": False}),
        ('output = "last_hidden_state"\npooling = "mean"', {}),
        ('templates = ["a photo of a {}", "the {}."]', {}),
    ],
)
def test_words_are_near_the_images_that_they_describe(
    tmp_path: Path,
    files: Literal["one", "two"],
    words: str,
    model: dict[str, Any],
) -> None:
    scores = _scores(two_tower_card(tmp_path, files=files, words=words, **model))
    assert scores.argmax(axis=1).tolist() == [0, 1, 2]
    assert scores.diagonal().min() > 0.3
    assert scores.max() < 0.9  # nearer than another image are words never


def test_siglip_words_are_near_images_too(tmp_path: Path) -> None:
    words = (
        'cleaning = "siglip"\npad = 1\nlength = 16\noutput = "last_hidden_state"\npooling = "last"'
    )
    card = two_tower_card(tmp_path, words=words, tokenizer=SIGLIP, mask=False)
    texts = load_encoder(card).text_encoder
    assert texts is not None
    one, same = texts.encode_words(["The RED: bag", "the red bag"])
    assert one.tolist() == same.tolist()


def test_padding_that_is_attended_moves_the_vector(tmp_path: Path) -> None:
    """So it matters that the ids are those of the card."""
    vectors = []
    for pad in (1, 2):
        words = f'output = "last_hidden_state"\npooling = "last"\npad = {pad}'
        texts = load_encoder(two_tower_card(tmp_path / str(pad), words=words)).text_encoder
        assert texts is not None
        vectors.append(texts.encode_words(["red"])[0])
    assert vectors[0] @ vectors[1] < 0.999


def test_templates_are_averaged(tmp_path: Path) -> None:
    both = load_encoder(two_tower_card(tmp_path / "2", words='templates = ["a {}", "the {}"]'))
    none = load_encoder(two_tower_card(tmp_path / "0"))
    assert both.text_encoder is not None
    assert none.text_encoder is not None
    (found,) = both.text_encoder.encode_words(["{red} shoe"])
    mean = none.text_encoder.encode_words(["a {red} shoe", "the {red} shoe"]).mean(axis=0)
    assert found == pytest.approx(mean / np.linalg.norm(mean), abs=1e-6)
    assert both.text_encoder.digest != none.text_encoder.digest


def test_order_is_kept_and_every_number_of_texts_is_taken(tmp_path: Path) -> None:
    texts = load_encoder(two_tower_card(tmp_path, batch=3)).text_encoder
    assert isinstance(texts, TextEncoder)
    assert texts.encode_words([]).shape == (0, 8)
    asked = [f"{name} {what}" for what in ("bag", "shoe", "mug") for name in COLOURS]
    together = texts.encode_words([*asked, asked[0]])
    assert together[-1].tolist() == together[0].tolist()
    alone = load_encoder(tmp_path / "colours.toml").text_encoder
    assert alone is not None
    assert (
        np.abs(together[:-1] - np.stack([alone.encode_words([one])[0] for one in asked])).max()
        < 1e-6
    )


def test_the_texts_used_last_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_module, "_KEPT", 3)
    texts = load_encoder(two_tower_card(tmp_path)).text_encoder
    assert texts is not None
    for asked in ("red", "green", "blue", "red", "the red"):
        texts.encode_words([asked])
    assert list(texts._kept) == ["blue", "red", "the red"]


def test_the_fingerprint_covers_the_images_alone(tmp_path: Path) -> None:
    card = two_tower_card(tmp_path)
    with_words = read_card(card)
    card.write_text(card.read_text("utf-8").split("[words]")[0], "utf-8")
    without = read_card(card)
    assert with_words.fingerprint() == without.fingerprint()
    encoder = load_encoder(card)
    assert (without.words, encoder.text_encoder, text_encoder_of(encoder)) == (None, None, None)


def test_nothing_of_the_text_half_is_read_before_words_are_searched(tmp_path: Path) -> None:
    card = two_tower_card(tmp_path)
    (tmp_path / "text_model.onnx").unlink()
    (tmp_path / "tokenizer.json").unlink()
    encoder = load_encoder(card)
    image = encoder.prepare(Image.new("RGB", (9, 9), "red"))
    assert encoder.encode([image]).shape == (1, 8)
    assert encoder.text_encoder is not None
    with pytest.raises(WeightsError, match=r"tokenizer\.json"):
        encoder.text_encoder.encode_words(["red"])


class TestOneFile(TextEncoderContract):
    @pytest.fixture(scope="class")
    @classmethod
    def encoder(cls, tmp_path_factory: pytest.TempPathFactory) -> Encoder:
        return load_encoder(two_tower_card(tmp_path_factory.mktemp("one"), files="one"))


class TestTwoFiles(TextEncoderContract):
    @pytest.fixture(scope="class")
    @classmethod
    def encoder(cls, tmp_path_factory: pytest.TempPathFactory) -> Encoder:
        words = 'cleaning = "clip"\ntemplates = ["a {}", "the {}"]'
        return load_encoder(two_tower_card(tmp_path_factory.mktemp("two"), words=words, batch=1))


class TestProjected(TextEncoderContract):
    @pytest.fixture(scope="class")
    @classmethod
    def encoder(cls, tmp_path_factory: pytest.TempPathFactory) -> Encoder:
        base = load_encoder(two_tower_card(tmp_path_factory.mktemp("projected")))
        rows = unit_rows(np.random.default_rng(0).normal(size=(40, base.dim)) + 1)
        projection = fit_projection(rows, 5, base=base.fingerprint)
        return ProjectedEncoder(base, projection)


# -- what goes wrong -----------------------------------------------------------------------------


def _replaced(card: Path, old: str, new: str) -> Path:
    text = card.read_text("utf-8")
    assert old in text
    card.write_text(text.replace(old, new), "utf-8")
    return card


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("length = 12", "length = 0", "words.length must be a whole number from 1"),
        (
            "length = 12",
            "lenght = 12",
            "words.lenght is not a key of a card, did you mean 'length'",
        ),
        ("length = 12", "", "words.length is missing"),
        ("length = 12", 'length = 12\ncleaning = "upper"', "words.cleaning must be one of 'clip'"),
        ("length = 12", 'length = 12\npooling = "eos"', "words.eos is missing"),
        ("length = 12", "length = 12\nbos = 0", "words.bos needs words.eos too"),
        ("length = 12", "length = 12\npad = -1", "words.pad must be a whole number from 0"),
        ("length = 12", 'length = 12\ntemplates = ["a"]', "words.templates must have one {}"),
        ("length = 12", "length = 12\ntemplates = [1]", "words.templates must be a list of texts"),
        ('file = "text_model.onnx"', "", "words.sha256 is only for a file of its own"),
        ('builder = "onnx"', 'builder = "efficientnet-lite"', None),
    ],
)
def test_a_bad_card_is_explained(tmp_path: Path, old: str, new: str, message: str | None) -> None:
    card = _replaced(two_tower_card(tmp_path), old, new)
    if message is None:  # a checkpoint for images may have a text encoder in a file of its own
        assert read_card(card).words is not None
        return
    with pytest.raises(ModelCardError, match=re.escape(message.split(", did")[0])):
        read_card(card)


def test_a_checkpoint_has_no_text_half(tmp_path: Path) -> None:
    card = _replaced(two_tower_card(tmp_path, files="one"), '"onnx"', '"efficientnet-lite"')
    with pytest.raises(ModelCardError, match=r"words\.file is missing; only an ONNX file"):
        read_card(card)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('output = "text_embeds"', 'output = "text"', r"words.output is 'text', but the model has"),
        ("length = 12", 'length = 12\ninput = "ids"', "words.input is 'ids', but the model has"),
        ("length = 12", 'length = 12\nmask = "m"', "also takes attention_mask"),
        ('output = "text_embeds"', 'output = "last_hidden_state"', "gives arrays of shape"),
        ("length = 12", 'length = 12\npooling = "mean"', "needs a vector for each position"),
        ("length = 12", "length = 13", "words.length is 13, but the model takes 12"),
    ],
)
def test_a_model_that_is_not_as_its_card_says_is_explained(
    tmp_path: Path, old: str, new: str, message: str
) -> None:
    card = _replaced(two_tower_card(tmp_path, length=12), old, new)
    texts = load_encoder(card).text_encoder
    assert texts is not None
    with pytest.raises(EncoderError, match=re.escape(message)):
        texts.encode_words(["red"])


@pytest.mark.parametrize("file", ["text_model.onnx", "tokenizer.json"])
def test_another_file_than_the_card_names_is_refused(tmp_path: Path, file: str) -> None:
    card = two_tower_card(tmp_path)
    (tmp_path / file).write_bytes((tmp_path / file).read_bytes() + b" ")
    texts = load_encoder(card).text_encoder
    assert texts is not None
    with pytest.raises(WeightsError, match=rf"{file}: not the weights that the card of colours"):
        texts.encode_words(["red"])


def test_a_file_that_is_no_tokenizer_is_refused() -> None:
    for content in (b"", b"{}", b"\xff"):
        with pytest.raises(EncoderError, match=r"tokenizer\.json: is no tokenizer\.json"):
            Tokens(content, _card())


@pytest.mark.parametrize(
    ("package", "work"),
    [
        ("tokenizers", lambda: _tokens(CLIP)),
        ("ftfy", lambda: clean("red", "clip")),
    ],
)
def test_a_package_that_is_missing_is_named(
    package: str, work: Callable[[], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = builtins.__import__

    def without(name: str, *arguments: Any, **more: Any) -> object:  # noqa: ANN401 - as __import__
        if name == package:
            raise ImportError(name)
        return found(name, *arguments, **more)

    monkeypatch.delitem(sys.modules, package, raising=False)
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(EncoderError, match=rf"{package}.*pip install 'lookalike\[words\]'"):
        work()
