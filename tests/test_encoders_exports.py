"""Models of every form that exporters write run, or say what to do."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from contracts.encoder import EncoderContract, drawn
from exports import DIM, Form, export
from lookalike.core.vectors import unit_rows
from lookalike.encoders import OnnxEncoder, load_encoder
from lookalike.errors import EncoderError, ModelCardError
from networks import SIDE, tiny_card

CARD = """\
name = "{name}"

[weights]
file = "{name}.onnx"
sha256 = "{sha256}"
{data}
[input]
name = "{input}"
size = {side}
resize = "squash"
interpolation = "bilinear"
{stats}
{keys}

[output]
dim = {dim}
{output}
"""
CENTRED = "mean = [127.5, 127.5, 127.5]\nstd = [127.5, 127.5, 127.5]"


def card_for(
    path: Path,
    form: Form,
    output: str = 'name = "image_embeds"',
    *,
    keys: str = "",
    more: str = "",
    dim: int = DIM,
) -> Path:
    """Write the card of an exported model."""
    data = path.with_name(f"{path.name}_data")
    listed = ""
    if data.exists():
        listed = f'\n[weights.data]\n"{data.name}" = "{sha256(data)}"\n'
    plain = form.dtype == "uint8"
    text = CARD.format(
        name=path.stem,
        sha256=sha256(path),
        data=listed,
        input=form.input,
        side=SIDE,
        stats="" if plain else CENTRED,
        keys=f'layout = "{form.layout}"\ndtype = "{form.dtype}"\n{keys}',
        dim=dim,
        output=output,
    )
    card = path.with_suffix(".toml")
    card.write_text(f"{text}\n{more}", encoding="utf-8")
    return card


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> NDArray[np.float32]:
    """The embeddings of five images by the network itself."""
    return vectors(load_encoder(tiny_card(tmp_path_factory.mktemp("plain"))))


def vectors(encoder: OnnxEncoder, count: int = 5) -> NDArray[np.float32]:
    return encoder.encode([encoder.prepare(drawn(seed)) for seed in range(count)])


def nearness(found: NDArray[np.float32], expected: NDArray[np.float32]) -> float:
    return float((found * expected).sum(axis=1).min())


FORMS = st.builds(
    Form,
    batch=st.sampled_from(["batch_size", 1, 3]),
    side=st.sampled_from([SIDE, "height"]),
    layout=st.sampled_from(["nchw", "nhwc"]),
    dtype=st.sampled_from(["float32", "float16", "uint8"]),
    output_dtype=st.sampled_from(["float32", "float16"]),
    quantised=st.sampled_from(["no", "static"]),
    texts=st.booleans(),
)


@settings(max_examples=25)
@given(form=FORMS)
def test_the_form_of_an_export_changes_no_embedding(
    form: Form, expected: NDArray[np.float32], tmp_path_factory: pytest.TempPathFactory
) -> None:
    outputs = ("text_embeds", "embedding") if form.texts else ("embedding",)
    form = Form(**{**form.__dict__, "outputs": outputs})
    card = card_for(export(tmp_path_factory.mktemp("form"), form), form)
    assert nearness(vectors(load_encoder(card)), expected) > 0.999


@pytest.mark.parametrize(
    ("output", "shown"),
    [
        ("name = 'last_hidden_state'\npooling = 'cls'", "tokens"),
        ("name = 'last_hidden_state'\npooling = 'mean_tokens'", "tokens"),
        ("name = 'last_hidden_state'\npooling = 'mean'\nprefix_tokens = 1", "tokens"),
        ("name = 'feature_map'\npooling = 'mean'", "map"),
        ("name = 'pooler_output'", "pooler"),
    ],
)
def test_tokens_and_maps_are_pooled_to_the_same_embedding(
    output: str, shown: str, expected: NDArray[np.float32], tmp_path: Path
) -> None:
    form = Form(outputs=(shown,))
    card = card_for(export(tmp_path, form), form, output)
    assert nearness(vectors(load_encoder(card)), expected) > 1 - 1e-6


def test_a_model_of_one_image_may_leave_out_the_first_axis(
    expected: NDArray[np.float32], tmp_path: Path
) -> None:
    form = Form(batch=1, outputs=("flat",))
    card = card_for(export(tmp_path, form), form, 'name = "flat"')
    assert nearness(vectors(load_encoder(card)), expected) > 1 - 1e-6


@pytest.mark.parametrize("outside", [False, True])
def test_a_tensor_inside_the_model_can_be_the_output(
    outside: bool,  # noqa: FBT001 - a parameter of the test
    expected: NDArray[np.float32],
    tmp_path: Path,
) -> None:
    form = Form(outputs=("classes",))
    path = export(tmp_path, form, outside=outside)
    card = card_for(
        path, form, 'name = "net/features"', more='[logits]\nname = "logits"\nclasses = 10'
    )
    first = load_encoder(card, cache=tmp_path / "cache")
    assert nearness(vectors(first), expected) > 1 - 1e-6
    assert first.classify([first.prepare(drawn(0))]).shape == (1, 10)
    (cut,) = (tmp_path / "cache" / "networks").iterdir()
    before = cut.stat().st_mtime_ns
    assert nearness(vectors(load_encoder(card, cache=tmp_path / "cache")), expected) > 1 - 1e-6
    assert cut.stat().st_mtime_ns == before  # cut once
    cut.write_bytes(b"damaged")
    assert nearness(vectors(load_encoder(card, cache=tmp_path / "cache")), expected) > 1 - 1e-6


def test_a_text_half_is_cut_away_where_the_embedding_does_not_need_it(tmp_path: Path) -> None:
    form = Form(texts=True, outputs=("logits_per_image", "text_embeds", "embedding"))
    card = card_for(export(tmp_path, form), form)
    load_encoder(card, cache=tmp_path / "cache")
    (cut,) = (tmp_path / "cache" / "networks").iterdir()
    model = onnx.load(cut)
    assert [one.name for one in model.graph.input] == [form.input]
    assert [one.name for one in model.graph.output] == ["image_embeds"]


def test_an_input_that_the_embedding_needs_gets_what_the_card_says(tmp_path: Path) -> None:
    form = Form(texts=True, outputs=("logits_per_image",))
    path = export(tmp_path, form)
    output = 'name = "logits_per_image"'
    found = [
        vectors(load_encoder(card_for(path, form, output, more=more, dim=dim)))
        for more, dim in (
            ("", 1),
            ("[inputs]\ninput_ids = 3\nattention_mask = 1", 1),
            (
                """
[inputs]
input_ids = { value = [1, -2, -4, 2], shape = [2, 2] }
attention_mask = { value = 1, shape = [2, 2] }
""",
                2,
            ),
        )
    ]
    assert [one.shape for one in found] == [(5, 1), (5, 1), (5, 2)]


def test_weights_in_a_further_file_are_checked(tmp_path: Path) -> None:
    form = Form()
    path = export(tmp_path, form, outside=True)
    card = card_for(path, form)
    load_encoder(card)
    data = path.with_name("model.onnx_data")
    data.write_bytes(data.read_bytes()[:-4] + b"\1\2\3\4")
    with pytest.raises(EncoderError, match=r"model\.onnx_data: not the weights that the card"):
        load_encoder(card)


@pytest.mark.parametrize(
    ("form", "output", "said"),
    [
        (Form(dtype="float16"), "", r'input.dtype is "float32", but the model takes "float16"'),
        (Form(dtype="float64"), "", r"input pixel_values takes tensor\(double\); an image can be"),
        (Form(dtype="string"), "", r"input pixel_values takes tensor\(string\); an image can be"),
        (Form(layout="nhwc"), "", r'input.layout is "nchw", but .* which is "nhwc"'),
        (Form(side=64), "", "input.width is 32, but the model takes 64"),
        (Form(ir=99), "", "has IR version 99, .* pip install -U onnxruntime"),
        (Form(opset=99), "", "uses opset 99, .* or export it with opset_version="),
        (Form(outputs=("tokens",)), "last_hidden_state", "output.dim is 32, but the model gives"),
        (Form(outputs=()), "", "output.name is 'image_embeds', but the model has no such tensor"),
        (Form(), "image_embed", r"is 'image_embed', but .*; did you mean 'image_embeds'\?"),
        (Form(), "net/w1", "is 'net/w1', but the model has no such tensor"),
    ],
)
def test_what_does_not_fit_says_what_to_do(
    form: Form, output: str, said: str, tmp_path: Path
) -> None:
    card = card_for(export(tmp_path, form), form, f'name = "{output or "image_embeds"}"')
    text = card.read_text(encoding="utf-8")
    text = text.replace(f'dtype = "{form.dtype}"', "").replace(f'layout = "{form.layout}"', "")
    card.write_text(text, encoding="utf-8")
    with pytest.raises(EncoderError, match=said) as caught:
        vectors(load_encoder(card))
    assert "ONNXRuntimeError" not in str(caught.value)


def test_an_integer_output_is_no_embedding(tmp_path: Path) -> None:
    form = Form(output_dtype="uint8")
    card = card_for(export(tmp_path, form), form)
    with pytest.raises(ModelCardError, match=r"gives tensor\(uint8\), which is no embedding"):
        load_encoder(card)


@pytest.mark.parametrize(
    ("shape", "said"),
    [
        (["n", 1, SIDE, SIDE], "takes images of 1 channels"),
        (["n", 3 * SIDE * SIDE], "takes arrays of 2 axes"),
        (["n", 1, 3, SIDE, SIDE], "takes arrays of 5 axes"),
    ],
)
def test_an_input_that_is_no_image_is_named(
    shape: list[int | str], said: str, tmp_path: Path
) -> None:
    form = Form()
    path = export(tmp_path, form)
    model = onnx.load(path)
    wanted = onnx.helper.make_tensor_value_info(form.input, onnx.TensorProto.FLOAT, shape)
    model.graph.input[0].CopyFrom(wanted)
    model.graph.node.insert(
        0, onnx.helper.make_node("Reshape", [form.input, "as_image"], ["as_image_"])
    )
    model.graph.node[1].input[0] = "as_image_"
    as_image = np.array([-1, 3, SIDE, SIDE])
    model.graph.initializer.append(onnx.numpy_helper.from_array(as_image, "as_image"))
    onnx.save(model, path)
    with pytest.raises(ModelCardError, match=said):
        load_encoder(card_for(path, form))


def test_a_model_quantised_dynamically_is_run_one_by_one(tmp_path: Path) -> None:
    form = Form(quantised="dynamic")
    path = export(tmp_path, form)
    encoder = load_encoder(card_for(path, form, keys="max_batch = 1"), threads=1)
    batch = [encoder.prepare(drawn(seed)) for seed in range(5)]
    alone = np.concatenate([encoder.encode([one]) for one in batch])
    assert np.array_equal(encoder.encode(batch), alone)


def test_half_precision_is_pooled_in_full(tmp_path: Path) -> None:
    form = Form(outputs=("map",), output_dtype="float16")
    card = card_for(
        export(tmp_path, form), form, 'name = "feature_map"\npooling = "gem"\ngem_p = 8'
    )
    assert np.isfinite(vectors(load_encoder(card))).all()
    assert unit_rows(vectors(load_encoder(card))).dtype == np.float32


class TestFixedBatchOfHalfPrecision(EncoderContract):
    share_error = 2e-3  # of maps and embeddings that come as float16

    @pytest.fixture(scope="class")
    @classmethod
    def again(cls, tmp_path_factory: pytest.TempPathFactory) -> Callable[[], OnnxEncoder]:
        form = Form(batch=1, dtype="float16", output_dtype="float16", layout="nhwc")
        card = card_for(export(tmp_path_factory.mktemp("fixed"), form), form)
        return lambda: load_encoder(card)


class TestTokensOfTwoTowers(EncoderContract):
    @pytest.fixture(scope="class")
    @classmethod
    def again(cls, tmp_path_factory: pytest.TempPathFactory) -> Callable[[], OnnxEncoder]:
        form = Form(texts=True, outputs=("text_embeds", "tokens"), batch=3, side="height")
        output = 'name = "last_hidden_state"\npooling = "mean_tokens"'
        card = card_for(export(tmp_path_factory.mktemp("towers"), form), form, output)
        return lambda: load_encoder(card)
