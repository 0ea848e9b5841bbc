"""Model cards say what is wrong with them, and where."""

import re
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from lookalike.config import settings
from lookalike.encoders import ModelCard, available_encoders, find_card, read_card
from lookalike.encoders.cards import (
    Input,
    Logits,
    Origin,
    Output,
    PatchMap,
    Weights,
    card_text,
    default_folder,
    presets,
    shipped_encoders,
    user_encoders,
)
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
        "efficientnet-lite0-pooled",
        "efficientnet-lite1",
        "efficientnet-lite2",
        "efficientnet-lite2-pooled",
        "efficientnet-lite2-pooled-260",
        "lookalike-v1",
        "lookalike-v1-192",
        "lookalike-v1-260",
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
        ("[output]", '[output]\npooling = "mid"', r"output\.pooling must be one of 'none', 'mean'"),
        ("[output]", "[output]\ngem_p = 2", r'output\.gem_p is only for pooling = "gem"'),
        ("[output]", '[output]\npooling = "gem"\ngem_p = 0', r"output\.gem_p must be above 0"),
        ("[output]", "[output]\nprefix_tokens = 2", r"output\.prefix_tokens is not for"),
        ("width = 32", "size = 32\nwidth = 32", r"input\.width is given by input\.size"),
        ("width = 32", 'preset = "klip"\nwidth = 32', r"input\.preset 'klip' is unknown.*'clip'\?"),
        ("width = 32", 'dtype = "int8"\nwidth = 32', r"input\.dtype must be one of 'float32'"),
        ("width = 32", 'dtype = "uint8"\nwidth = 32', r"input\.mean is not for dtype"),
        ("width = 32", "max_batch = 0\nwidth = 32", r"input\.max_batch must be a whole number"),
        ("[map]", '[inputs]\nids = "a"\n[map]', r"inputs of 'ids' must be a number or a list"),
        ("[map]", "[inputs]\nids = {shape = [1]}\n[map]", r"inputs of 'ids' must be a value, or"),
        ("[map]", "[inputs]\nids = {value = [1, 2], shape = [3]}\n[map]", r"that fits its values"),
        ("[map]", "[origin]\nrevision = 'a'\n[map]", r"origin\.repository is missing"),
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
        ("dim = 32", 'dim = 32\npooling = "gem"'),
        ("width = 32", 'dtype = "float16"\nwidth = 32'),
        (r"\[map\]", "[inputs]\nids = 0\n[map]"),
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


GOLDEN = f"""\
name = "golden"
title = "t"
licence = "l"
source = "s"

[weights]
builder = "onnx"
file = "golden.onnx"
sha256 = "{"ab" * 32}"

[input]
name = "image"
width = 224
height = 192
layout = "nhwc"
channels = "bgr"
resize = "squash"
interpolation = "bicubic"
scale = 0.00392156862745098
mean = [0.485, 0.456, 0.406]
std = [0.229, 0.224, 0.225]

[output]
name = "features"
dim = 32
"""


@pytest.mark.parametrize(
    ("old", "new", "digest"),
    [
        ("", "", "5b7ed3bcd02ad079"),
        ("dim = 32", 'dim = 32\npooling = "avg"', "5a1cc6e4d2331d1d"),
        ("dim = 32", 'dim = 32\npooling = "mean"', "5a1cc6e4d2331d1d"),
        ("dim = 32", 'dim = 32\npooling = "max"\nlayout = "nhwc"', "52d2c498b16c1cab"),
        ('"squash"', '"crop"\ncrop = 0.875', "a3d1be0609c3f3a2"),
        ('"squash"', '"pad"\nfill = [9, 8, 7]', "609431249a008915"),
        (
            "dim = 32",
            f'dim = 32\n[weights.data]\n"golden.onnx.data" = "{"cd" * 32}"',
            "ccb6d10562726f8c",
        ),
    ],
)
def test_the_fingerprints_of_cards_from_before_are_kept(
    old: str, new: str, digest: str, tmp_path: Path
) -> None:
    card = read_card(written(tmp_path, GOLDEN.replace(old, new, 1)))
    assert card.fingerprint(1, 0) == f"golden:{digest}"


def test_only_what_matters_must_be_said(tmp_path: Path) -> None:
    text = f"""
name = "short"
weights = {{ file = "a.onnx", sha256 = "{"0" * 64}" }}
input = {{ name = "x", preset = "clip" }}
output = {{ name = "y", dim = 512 }}
"""
    card = read_card(written(tmp_path, text))
    assert (card.title, card.licence, card.source) == ("short", "", "")
    assert (card.input.width, card.input.height, card.input.resize) == (224, 224, "crop")
    assert card.input.mean == (0.48145466, 0.4578275, 0.40821073)


def test_a_preset_is_the_keys_that_it_stands_for(tmp_path: Path) -> None:
    keys = "\n".join(f"{key} = {value!r}" for key, value in presets()["keras-caffe"].keys.items())
    head, rest = GOLDEN.split("[input]")
    tail = rest.split("[output]")[1]
    prints = {
        read_card(
            written(tmp_path, f'{head}[input]\nname = "image"\n{one}\n[output]{tail}')
        ).fingerprint()
        for one in (keys, 'preset = "keras-caffe"', 'preset = "vgg16"')
    }
    assert len(prints) == 1


@pytest.mark.parametrize("name", presets())
def test_every_preset_can_be_used_and_is_in_the_docs(name: str, tmp_path: Path) -> None:
    head, rest = GOLDEN.split("[input]")
    text = f'{head}[input]\nname = "x"\npreset = "{name}"\n[output]{rest.split("[output]")[1]}'
    card = read_card(written(tmp_path, text))
    assert card.input.preset == name
    text = DOCS.read_text(encoding="utf-8")
    assert f"| `{name}` |" in text
    assert all(f"`{alias}`" in text for alias in presets()[name].aliases)


NEW_KEYS = """
[inputs]
"a b" = 0
ids = { value = [1, 2.5], shape = [1, 2] }

[origin]
repository = "owner/name"
revision = "0123"
terms = 'research "only"'
"""


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("", ""),
        ("dim = 32", f"dim = 32\n{NEW_KEYS}"),
        ("dim = 32", 'dim = 32\npooling = "gem"\ngem_p = 2.5\nprefix_tokens = 3'),
        ("dim = 32", 'dim = 32\npooling = "mean_tokens"'),
        ("dim = 32", 'dim = 32\npooling = "mean_tokens"\nprefix_tokens = 0'),
        ("dim = 32", 'dim = 32\n[weights.data]\n"a/b.data" = "' + "cd" * 32 + '"'),
        ("width = 224", "max_batch = 1\nwidth = 224"),
        ('title = "t"\nlicence = "l"\nsource = "s"', ""),
    ],
)
def test_a_card_that_is_written_reads_back_as_it_was(old: str, new: str, tmp_path: Path) -> None:
    card = read_card(written(tmp_path, GOLDEN.replace(old, new, 1)))
    again = read_card(written(tmp_path, card_text(card, comment="first\n\nsecond")))
    assert again == card


def test_a_user_s_own_cards_go_by_name(tmp_path: Path) -> None:
    assert user_encoders(tmp_path) == ()
    tiny_card(tmp_path / "mine", name="mine")
    tiny_card(tmp_path / "mine", name="other")  # not the card of its folder
    assert user_encoders(tmp_path) == ("mine",)
    assert available_encoders(tmp_path) == (*shipped_encoders(), "mine")
    assert find_card("mine", folder=tmp_path).path == tmp_path / "mine" / "mine.toml"
    with pytest.raises(
        EncoderError, match=r"lookalike-v1-260, mine, and any card .*; did you mean 'mine'\?$"
    ):
        find_card("mime", folder=tmp_path)


def test_a_user_s_card_does_not_replace_one_that_comes_with_lookalike(tmp_path: Path) -> None:
    tiny_card(tmp_path / "efficientnet-lite0", name="efficientnet-lite0")
    assert find_card("efficientnet-lite0", folder=tmp_path) == find_card("efficientnet-lite0")


def test_a_user_s_own_cards_lie_where_collections_do(monkeypatch: pytest.MonkeyPatch) -> None:
    assert default_folder() == settings().home / "encoders"
    monkeypatch.delenv("LOOKALIKE_HOME")
    assert default_folder() == settings().home / "encoders"  # platformdirs says the same
    monkeypatch.setenv("XDG_DATA_HOME", "relative")
    assert default_folder() == Path.home() / ".local/share/lookalike/encoders" or sys.platform in {
        "win32",
        "darwin",
    }


def test_the_example_in_the_docs_is_a_sound_card(tmp_path: Path) -> None:
    blocks = re.findall(r"```toml\n(.*?)```", DOCS.read_text(encoding="utf-8"), re.DOTALL)
    example = next(one for one in blocks if "[weights]" in one)
    preset, inputs, data, words = (
        next(one for one in blocks if mark in one and one != example)
        for mark in ("preset =", "[inputs]", "[weights.data]", "[words]")
    )
    card = read_card(written(tmp_path, example))
    assert card.output.pooling == "mean"
    assert not card.weights.data
    card = read_card(written(tmp_path, f"{example}\n{data}\n{inputs}"))
    assert card.weights.data[0][0] == "net.onnx.data"
    assert [one.name for one in card.inputs] == ["attention_mask", "input_ids"]
    text = read_card(written(tmp_path, f"{example}\n{words}")).words
    assert text is not None
    assert (text.file, text.cleaning, text.length) == ("text_model.onnx", "clip", 77)
    head, rest = example.split("[input]")
    example = f"{head}{preset}[output]{rest.split('[output]')[1]}"
    card = read_card(written(tmp_path, example))
    assert (card.input.width, card.input.interpolation) == (336, "bicubic")


def written(folder: Path, text: str) -> Path:
    (folder / "card.toml").write_text(text, encoding="utf-8")
    return folder / "card.toml"


@pytest.mark.parametrize(
    "record", [ModelCard, Weights, Input, Output, PatchMap, Logits, Origin, TextCard]
)
def test_every_key_and_every_encoder_is_in_the_docs(record: type[Any]) -> None:
    text = DOCS.read_text(encoding="utf-8")
    for key in (field.name for field in fields(record) if field.name != "path"):
        assert f"`{key}`" in text or f"**`[{key}]`**" in text, key
    assert all(f"`{name}`" in text for name in available_encoders())
