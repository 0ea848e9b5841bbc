"""Any ONNX file becomes an encoder in one command, and goes again without a trace."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from PIL import Image

import lookalike
from conftest import painted
from contracts.encoder import drawn
from exports import DIM, Form, export
from lookalike.cli import invoke
from lookalike.cli.encoder_add import comparison_lines
from lookalike.config import settings
from lookalike.core.vectors import unit_rows
from lookalike.encoders import load_encoder
from lookalike.encoders.adding import (
    AddedEncoder,
    AddOptions,
    add,
    check_encoder,
    list_encoders,
    remove_encoder,
)
from lookalike.encoders.adding.comparing import (
    RANGES,
    InputComparison,
    average_precisions,
    compare,
    in_range,
    range_of,
)
from lookalike.encoders.adding.labelled_images import drawn_images, images_in
from lookalike.encoders.adding.proposals import pooled
from lookalike.encoders.cards import find_card, read_card, shipped_encoders
from lookalike.errors import EncoderError
from networks import SIDE, tiny_card

QUICK = AddOptions(compare=False)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "encoders"


def added(path: Path, folder: Path, options: AddOptions = QUICK) -> AddedEncoder:
    return add(path, options, folder=folder)


def guesses(one: AddedEncoder) -> dict[str, str]:
    return {guess.key: guess.value for guess in one.guesses}


# What is read from the model


def test_an_export_becomes_an_encoder_by_name(tmp_path: Path, folder: Path) -> None:
    one = added(export(tmp_path, Form(), name="mine"), folder)
    assert one.written
    assert one.card.path == folder / "mine" / "mine.toml"
    assert read_card(one.card.path) == replace(one.card, input=replace(one.card.input, preset=None))
    encoder = load_encoder("mine", folder=folder)
    assert encoder.fingerprint == one.fingerprint
    assert encoder.encode([encoder.prepare(drawn(0))]).shape == (1, DIM)
    assert one.candidates[0].name == "image_embeds"


@pytest.mark.parametrize(
    ("form", "name", "pooling"),
    [
        (Form(outputs=("classes", "embedding")), "image_embeds", "none"),
        (Form(outputs=("classes",)), "net/features", "none"),
        (Form(outputs=("tokens", "pooler")), "pooler_output", "none"),
        (Form(outputs=("tokens",)), "last_hidden_state", "cls"),
        (Form(outputs=("map",)), "feature_map", "mean"),
        (Form(outputs=("flat",), batch=1), "flat", "none"),
        (
            Form(outputs=("logits_per_image", "text_embeds", "embedding"), texts=True),
            "image_embeds",
            "none",
        ),
    ],
)
def test_the_embedding_is_found_among_the_outputs(
    form: Form, name: str, pooling: str, tmp_path: Path, folder: Path
) -> None:
    output = added(export(tmp_path, form), folder).card.output
    assert (output.name, output.pooling, output.dim) == (name, pooling, DIM)


def test_type_layout_and_size_are_read_from_the_input(tmp_path: Path, folder: Path) -> None:
    form = Form(dtype="float16", layout="nhwc", batch=1)
    given = added(export(tmp_path, form), folder).card.input
    assert (given.dtype, given.layout, given.width, given.height) == ("float16", "nhwc", SIDE, SIDE)


def test_an_open_size_is_the_preset_s_or_the_user_s(tmp_path: Path, folder: Path) -> None:
    path = export(tmp_path, Form(side="height"), name="open")
    one = added(path, folder, replace(QUICK, preset="sscd"))
    assert (one.card.input.width, guesses(one)["input.size"]) == (320, "320")
    one = added(path, folder, replace(QUICK, size=64, name="small"))
    assert one.card.input.width == 64
    assert "input.size" not in guesses(one)


def test_a_model_quantised_at_run_time_is_run_one_by_one(tmp_path: Path, folder: Path) -> None:
    one = added(export(tmp_path, Form(quantised="dynamic")), folder)
    assert one.card.input.max_batch == 1
    assert not one.trial.depends_on_batch


@pytest.mark.parametrize(
    ("form", "file", "preset"),
    [
        (Form(), "openai-clip-vit", "clip"),
        (Form(outputs=("pooler",), layout="nhwc"), "mobilenetv2_imagenet", "keras-tf"),
        (Form(), "siglip2_base", "siglip2"),
        (Form(), "facebook-dinov2-small", "dinov2"),
        (Form(outputs=("pooler",)), "plain", "imagenet"),
        (Form(outputs=("tokens",)), "plain", "dinov2"),
        (Form(outputs=("pooler",), layout="nhwc"), "plain", "keras-tf"),
        (Form(outputs=("pooler",), centred=True), "plain", "pixels"),
        (Form(), "plain", "clip"),
    ],
)
def test_a_preset_is_guessed_with_a_reason(
    form: Form, file: str, preset: str, tmp_path: Path, folder: Path
) -> None:
    one = added(export(tmp_path / "files", form, name=file), folder)
    assert guesses(one)["preset"] == preset
    assert f"# Guessed: preset {preset}: " in one.card.path.read_text(encoding="utf-8")
    assert "preset" not in guesses(
        added(export(tmp_path, form), folder, replace(QUICK, preset="timm"))
    )


def test_what_the_user_says_counts(tmp_path: Path, folder: Path) -> None:
    options = AddOptions(
        name="said",
        preset="clip",
        output="feature_map",
        pooling="gem",
        channels="bgr",
        range="caffe",
        resize="pad",
        title="A title",
        licence="MIT",
        source="somewhere",
        compare=False,
    )
    card = added(export(tmp_path, Form(outputs=("map", "embedding"))), folder, options).card
    assert (card.output.name, card.output.pooling) == ("feature_map", "gem")
    assert (card.input.channels, card.input.mean[0], card.input.resize) == ("bgr", 103.939, "pad")
    assert (card.title, card.licence, card.source) == ("A title", "MIT", "somewhere")


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((512,), ("none", 512, 0)),
        ((2048, 1, 1), ("none", 2048, 0)),
        ((1280, 7, 7), ("mean", 1280, 0)),
        ((7, 7, 1280), ("mean", 1280, 0)),
        ((197, 768), ("cls", 768, 1)),
        ((201, 384), ("cls", 384, 5)),
        ((196, 768), ("mean", 768, 0)),
        ((1, 512), ("none", 512, 0)),
    ],
)
def test_shapes_say_how_to_pool(shape: tuple[int, ...], expected: tuple[str, int, int]) -> None:
    assert pooled(shape) == expected


# What cannot be used


@pytest.mark.parametrize(
    ("form", "options", "said"),
    [
        (Form(dtype="string"), QUICK, "no input takes a batch of colour images .* pixel_values"),
        (Form(dtype="float64"), QUICK, "no input takes a batch of colour images"),
        (Form(texts=True, outputs=("logits_per_image",)), QUICK, "no output is an embedding"),
        (Form(output_dtype="uint8"), QUICK, "no output is an embedding"),
        (Form(), replace(QUICK, output="image_embed"), "no tensor .* did you mean 'image_embeds'"),
        (Form(), replace(QUICK, input="pixels"), "no input 'pixels'; it has pixel_values"),
        (Form(), replace(QUICK, size=64), "takes images of 32 x 32 pixels only, not of --size 64"),
        (Form(), replace(QUICK, pooling="cls"), "--pooling cls needs a vector for each token"),
        (Form(), replace(QUICK, pooling="gem"), "--pooling gem needs a map or tokens"),
        (Form(), replace(QUICK, preset="klip"), "--preset 'klip' is unknown.*'clip'"),
        (Form(), replace(QUICK, name="a b"), "'a b' cannot be the name of an encoder"),
        (Form(), replace(QUICK, name="efficientnet-lite0"), "of lookalike's own; choose another"),
        (Form(), replace(QUICK, name="fast"), "fast is a quality, .*; choose another --name"),
        (Form(), replace(QUICK, name="resnet50"), "encoder pull resnet50` .* another --name"),
        (Form(dtype="uint8"), replace(QUICK, range="0..1"), "--range is not for a model that"),
        (Form(ir=99), QUICK, "has IR version 99, .* pip install -U onnxruntime"),
        (Form(), replace(QUICK, images=Path("nowhere")), "nowhere: is no folder"),
    ],
)
def test_what_cannot_be_used_says_what_to_do_and_leaves_nothing(
    form: Form, options: AddOptions, said: str, tmp_path: Path, folder: Path
) -> None:
    path = export(tmp_path, form)
    with pytest.raises(EncoderError, match=said) as caught:
        added(path, folder, options)
    assert "ONNXRuntimeError" not in str(caught.value)
    assert not folder.exists()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "it has no outputs"),
        (b"not a model", "is no ONNX model, or only a part of one"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:ab\n", "git lfs pull"),
    ],
)
def test_a_file_that_is_no_model_is_refused(
    content: bytes, said: str, tmp_path: Path, folder: Path
) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(content)
    with pytest.raises(EncoderError, match=said):
        added(path, folder)
    assert not folder.exists()


@pytest.mark.parametrize("output", [None, "image_embeds"])
def test_a_further_input_is_named_with_how_to_give_it_a_constant(
    output: str | None, tmp_path: Path, folder: Path
) -> None:
    path = export(tmp_path, Form())
    model = onnx.load(path)
    for node in model.graph.node:
        node.input[:] = ["scaled" if one == "pixel_values" else one for one in node.input]
    model.graph.node.insert(0, onnx.helper.make_node("Mul", ["pixel_values", "gain"], ["scaled"]))
    gain = onnx.helper.make_tensor_value_info("gain", onnx.TensorProto.FLOAT, [1])
    model.graph.input.append(gain)
    onnx.save(model, path)
    said = (
        r"image_embeds depends on the image and on gain \(float, 1\).*\n\[inputs\]\n\"gain\" = 1$"
    )
    with pytest.raises(EncoderError, match=said):
        added(path, folder, replace(QUICK, output=output))
    assert not folder.exists()


def test_an_onnx_file_of_another_name_is_recognised(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = export(tmp_path, Form(), name="mine").rename(tmp_path / "mine.pth")
    assert invoke(["encoder", "add", str(path), "--preset", "clip", "--no-compare", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["name"] == "mine"
    assert invoke(["encoder", "check", "mine", "--no-compare", "--json"]) == 0


def test_a_model_that_tells_nothing_apart_is_refused(tmp_path: Path, folder: Path) -> None:
    path = export(tmp_path, Form())
    model = onnx.load(path)
    for weight in model.graph.initializer:
        if weight.name == "net/w2":
            zeros = np.zeros_like(onnx.numpy_helper.to_array(weight))
            weight.CopyFrom(onnx.numpy_helper.from_array(zeros, weight.name))
    onnx.save(model, path)
    with pytest.raises(EncoderError, match="all images get the same embedding from image_embeds"):
        added(path, folder)
    assert not folder.exists()


def test_a_name_that_is_taken_is_not_overwritten(tmp_path: Path, folder: Path) -> None:
    path = export(tmp_path, Form())
    first = added(path, folder, replace(QUICK, name="one"))
    before = first.card.path.read_bytes()
    with pytest.raises(EncoderError, match=r"there is an encoder one already .* --replace"):
        added(path, folder, replace(QUICK, name="one", preset="timm"))
    assert first.card.path.read_bytes() == before
    added(path, folder, replace(QUICK, name="one", preset="timm", replace=True))
    assert first.card.path.read_bytes() != before
    tiny_card(folder / "hand", name="hand")
    with pytest.raises(EncoderError, match="was not written by this command"):
        added(path, folder, replace(QUICK, name="hand", replace=True))


def test_a_dry_run_writes_nothing(tmp_path: Path, folder: Path) -> None:
    one = add(export(tmp_path, Form()), QUICK, folder=folder, dry_run=True)
    assert not one.written
    assert not folder.exists()


# Comparing


def test_ranges_are_known_by_what_black_and_white_become(tmp_path: Path) -> None:
    given = read_card(tiny_card(tmp_path)).input
    assert range_of(given) == "-1..1"
    half = replace(given, scale=1 / 255, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
    assert range_of(half) == "-1..1"
    for name in RANGES:
        assert range_of(in_range(replace(given, channels="bgr"), name)) == name
    assert range_of(replace(given, scale=3.0)) is None


def test_average_precision_is_that_of_the_textbook() -> None:
    vectors = np.array([[1, 0], [0.9, 0.1], [0, 1], [0.8, 0.2]], dtype=np.float32)
    found = average_precisions(unit_rows(vectors), ["a", "b", "b", "a"])
    # The fellow of each comes second, third, first, second.
    assert found.tolist() == pytest.approx([1 / 2, 1 / 3, 1 / 2, 1 / 2])


@pytest.fixture
def saturating(tmp_path: Path) -> Path:
    """A model that cuts off its input above 12: of 0..255 it sees only what is almost black."""
    return clipped(tmp_path, "saturating", -1.0, 12.0)


def clipped(folder: Path, name: str, low: float, high: float) -> Path:
    """Return a model that cuts off its input below ``low`` and above ``high``."""
    path = export(folder, Form(), name=name)
    model = onnx.load(path)
    limits = [("low", low), ("high", high)]
    model.graph.initializer.extend(
        onnx.numpy_helper.from_array(np.array(value, dtype=np.float32), name)
        for name, value in limits
    )
    clip = onnx.helper.make_node("Clip", ["pixel_values", "low", "high"], ["clipped"])
    for node in model.graph.node:
        node.input[:] = ["clipped" if one == "pixel_values" else one for one in node.input]
    model.graph.node.insert(0, clip)
    onnx.save(model, path)
    return path


@pytest.fixture
def labelled(tmp_path: Path) -> Path:
    """Images of eight labels, four of each, in a folder for each."""
    for label in range(8):
        for view in range(4):
            path = painted(tmp_path / "labelled" / str(label) / f"{view}.png", label)
            image = Image.open(path).resize((60 + 4 * view, 48))
            image.point(lambda value, view=view: value * (0.7 + view / 10)).save(path)
    return tmp_path / "labelled"


def test_a_wrong_range_is_noticed(saturating: Path, labelled: Path, folder: Path) -> None:
    options = AddOptions(preset="pixels", images=labelled)
    one = added(saturating, folder, options)
    better = {each.value for each in one.comparisons if each.key == "range" and each.better}
    assert "-1..1" in better
    assert range_of(one.card.input) == "0..255"  # what the user said counts
    (advice,) = [line for line in one.advice if "fits better" in line]
    assert f"lookalike encoder add {saturating} --name=saturating --preset=pixels" in advice


@pytest.mark.parametrize(
    ("own", "file", "preset", "limits"),
    [
        (True, "caffe", "keras-caffe", (-1.0, 12.0)),
        (False, "siglip", "siglip", (0.3, 0.35)),
    ],
)
def test_a_better_range_replaces_a_guess_so_that_a_check_finds_none_better(
    *,
    own: bool,
    file: str,
    preset: str,
    limits: tuple[float, float],
    tmp_path: Path,
    labelled: Path,
    folder: Path,
) -> None:
    images = labelled if own else None
    one = added(clipped(tmp_path, file, *limits), folder, AddOptions(images=images))
    assert guesses(one)["preset"] == preset
    (reason,) = [guess.reason for guess in one.guesses if guess.key == "range"]
    assert reason.startswith(f"on {'your' if own else 'drawn'} images mAP is ")
    checked = check_encoder(one.card.path, images=images, device="cpu")
    assert not [each for each in checked.comparisons if each.key == "range" and each.better]
    assert guesses(one)["range"] == range_of(one.card.input)
    assert not any("fits better" in line and "range" in line for line in one.advice)
    assert read_card(one.card.path).fingerprint() == one.card.fingerprint()


@pytest.mark.parametrize(
    ("gain", "better", "verdict"),
    [
        (0.1, True, "better"),
        (0.05, False, "may be chance"),
        (0.02, False, "too small to count"),
        (0.001, False, ""),
        (-0.1, False, ""),
    ],
)
def test_every_higher_map_says_whether_it_counts(
    gain: float,
    better: bool,  # noqa: FBT001
    verdict: str,
) -> None:
    own = InputComparison(key="", value="", map=0.67, gain=0.0, better=False)
    other = InputComparison(key="range", value="0..1", map=0.67 + gain, gain=gain, better=better)
    assert other.verdict == verdict
    line = comparison_lines([own, other], "drawn")[1]
    assert line.endswith(f"with range 0..1, {verdict}" if verdict else "with range 0..1")


def test_comparing_has_the_card_first_and_one_change_each(tmp_path: Path) -> None:
    found = compare(load_encoder(tiny_card(tmp_path)), drawn_images(labels=3, views=2))
    assert (found[0].key, found[0].gain, found[0].better) == ("", 0.0, False)
    changes = [(one.key, one.value) for one in found[1:]]
    assert ("range", "-1..1") not in changes  # it is the card's own
    assert {key for key, _ in changes} == {"channels", "range", "resize"}


def test_drawn_images_are_many_of_several_labels() -> None:
    images = drawn_images(labels=4, views=2)
    assert len(images) == 8
    assert len({one.label for one in images}) == 4
    again, others = (drawn_images(seed, labels=4, views=2) for seed in (0, 1))
    assert images[0].image.tobytes() == again[0].image.tobytes()
    assert images[0].image.tobytes() != others[0].image.tobytes()


def test_a_folder_of_labels_is_read_and_what_is_no_image_passed_over(tmp_path: Path) -> None:
    for number in range(6):
        painted(tmp_path / f"label-{number % 2}" / f"{number}.jpg", number)
    (tmp_path / "label-0" / "broken.jpg").write_bytes(b"no image")
    painted(tmp_path / "lonely" / "one.jpg", 9)
    images = images_in(tmp_path)
    assert sorted(one.label for one in images) == ["label-0"] * 3 + ["label-1"] * 3
    with pytest.raises(EncoderError, match="two labels at least"):
        images_in(tmp_path / "lonely")


# Listing, checking, removing


def test_encoders_are_listed_with_what_is_wrong(tmp_path: Path, folder: Path) -> None:
    path = export(tmp_path, Form())
    added(path, folder, replace(QUICK, name="good"))
    (folder / "bad").mkdir()
    (folder / "bad" / "bad.toml").write_text("name = 3", encoding="utf-8")
    listed = {one.name: one for one in list_encoders(folder)}
    assert set(listed) == {*shipped_encoders(), "good", "bad"}
    assert listed["efficientnet-lite0"].shipped
    assert listed["good"].problem is None
    assert "name must be text" in str(listed["bad"].problem)
    path.unlink()
    assert "are not there" in str({one.name: one for one in list_encoders(folder)}["good"].problem)


def test_a_check_opens_and_tries_the_encoder(tmp_path: Path) -> None:
    checked = check_encoder(tiny_card(tmp_path), comparing=False)
    assert checked.trial.in_company < 1e-5
    assert not checked.trial.depends_on_batch
    assert checked.comparisons == ()


def test_removing_leaves_the_user_s_model(tmp_path: Path, folder: Path) -> None:
    path = export(tmp_path, Form())
    added(path, folder, replace(QUICK, name="one"))
    removed = remove_encoder("one", folder=folder)
    assert removed.deleted == (folder / "one" / "one.toml",)
    assert removed.kept == (path.resolve(),)
    assert path.exists()
    assert not (folder / "one").exists()


def test_removing_deletes_copies_but_nothing_else(tmp_path: Path, folder: Path) -> None:
    path = export(tmp_path, Form(), outside=True)
    added(path, folder, replace(QUICK, name="one", copy=True))
    assert load_encoder("one", folder=folder).dim == DIM
    (folder / "one" / "notes.txt").write_text("mine", encoding="utf-8")
    (folder / "one" / "model.onnx_data").write_bytes(b"replaced by the user")
    removed = remove_encoder("one", folder=folder)
    assert {one.name for one in removed.deleted} == {"model.onnx", "one.toml"}
    assert {one.name for one in removed.kept} == {"model.onnx_data", "notes.txt"}
    assert path.exists()
    assert path.with_name("model.onnx_data").exists()


def test_what_lookalike_did_not_write_is_not_removed(folder: Path) -> None:
    card = tiny_card(folder / "hand", name="hand")
    with pytest.raises(EncoderError, match="was written by hand"):
        remove_encoder("hand", folder=folder)
    assert card.exists()
    with pytest.raises(EncoderError, match="comes with lookalike"):
        remove_encoder("efficientnet-lite0", folder=folder)
    with pytest.raises(EncoderError, match="there is no encoder 'none'"):
        remove_encoder("none", folder=folder)


# From the command line


def test_the_commands_add_use_and_remove_an_encoder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = export(tmp_path, Form(), name="mine")
    for number in range(4):
        painted(tmp_path / "photos" / f"{number}.jpg", number)
    assert invoke(["encoder", "add", str(path), "--preset", "clip", "--no-compare", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["name"], document["written"]) == ("mine", True)
    assert document["card"]["input"]["resize"] == "crop"
    assert invoke(["encoder", "list", "--json"]) == 0
    names = [one["name"] for one in json.loads(capsys.readouterr().out)["encoders"]]
    assert "mine" in names
    photos = str(tmp_path / "photos")
    assert invoke(["index", photos, "-c", "shop", "--encoder", str(path), "-q"]) == 0
    assert lookalike.open("shop").info().encoder == "mine"
    assert invoke(["search", f"{photos}/1.jpg", "-c", "shop"]) == 0
    assert invoke(["encoder", "check", "mine", "--no-compare", "--json"]) == 0
    assert invoke(["encoder", "show", "mine"]) == 0
    capsys.readouterr()
    assert invoke(["encoder", "remove", "mine"]) == 1
    assert "mine is the encoder of shop" in capsys.readouterr().err
    again = ["encoder", "add", str(path), "--no-compare", "--replace"]
    assert invoke(again) == 1
    assert "choose another --name" in capsys.readouterr().err
    assert invoke(["encoder", "remove", "mine", "--force", "--json"]) == 0
    assert path.exists()
    assert not (settings().home / "encoders" / "mine").exists()


def test_a_model_without_a_card_is_told_how_to_get_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = export(tmp_path, Form(), name="my model")
    painted(tmp_path / "photos" / "1.jpg", 1)
    assert invoke(["index", str(tmp_path / "photos"), "--encoder", str(path)]) == 1
    assert f"lookalike encoder add '{path}'" in capsys.readouterr().err
    with pytest.raises(EncoderError, match="there is no such file"):
        find_card(tmp_path / "none.onnx")
    tiny_card(tmp_path, name="my model")
    with pytest.raises(EncoderError, match=r"its card lies beside it: use .*my model\.toml"):
        find_card(path)


def test_advice_names_the_command_that_follows_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = export(tmp_path, Form(), name="mine")
    assert invoke(["encoder", "add", str(path), "--preset", "siglip2", "--dry-run"]) == 0
    shown = capsys.readouterr()
    assert "(not written)" in shown.out
    assert "mAP on drawn images: " in shown.err
    assert "its licence is not known" in shown.err
