"""OpenVINO as a second runtime: the embeddings of ONNX Runtime, and messages of its own."""

import hashlib
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import numpy as np
import onnx
import pytest

pytest.importorskip("openvino", reason="the extra openvino is not installed")

from contracts.encoder import EncoderContract, drawn
from exports import Form, export
from lookalike.encoders import OnnxEncoder, load_encoder
from lookalike.encoders.devices import choose_devices
from lookalike.errors import EncoderError
from networks import tiny_card
from test_encoders_exports import card_for
from test_encoders_onnx import changed

CPU_ONLY = ["CPUExecutionProvider"]


def distance(card: Path | str) -> float:
    """Return the largest cosine distance of OpenVINO's embeddings to ONNX Runtime's."""
    vectors = []
    for device in ("openvino", "cpu"):
        encoder = load_encoder(card, device=device)
        assert encoder.device == device
        vectors.append(encoder.encode([encoder.prepare(drawn(seed)) for seed in range(5)]))
    return float(1 - (vectors[0] * vectors[1]).sum(axis=1).min())


class TestTinyEncoderOnOpenVino(EncoderContract):
    @pytest.fixture(scope="class")
    @classmethod
    def again(cls, tmp_path_factory: pytest.TempPathFactory) -> Callable[[], OnnxEncoder]:
        card = tiny_card(tmp_path_factory.mktemp("tiny"))
        return lambda: load_encoder(card, device="openvino")


@pytest.mark.parametrize(
    "form",
    [
        Form(layout="nhwc", dtype="uint8", side="side"),
        Form(dtype="float16", output_dtype="float16", batch=3),
        Form(quantised="static"),
        Form(batch=1, outputs=("map", "embedding")),
        Form(texts=True, outputs=("text_embeds", "embedding")),
    ],
    ids=["nhwc", "half", "static int8", "one image", "two halves"],
)
def test_embeddings_are_those_of_onnx_runtime_whatever_the_export(
    form: Form, tmp_path: Path
) -> None:
    assert distance(card_for(export(tmp_path, form), form)) < 1e-3


def test_further_inputs_get_what_the_card_says_for_each_image(tmp_path: Path) -> None:
    """Both halves are kept here, so the inputs of text are fed beside the image."""
    form = Form(texts=True, outputs=("logits_per_image", "embedding", "text_embeds"))
    words = '[map]\nname = "logits_per_image"\nlayout = "nchw"'
    assert distance(card_for(export(tmp_path, form), form, more=words)) < 1e-3


def test_embeddings_of_the_default_encoder_are_those_of_onnx_runtime() -> None:
    assert distance("efficientnet-lite0") < 1e-5


def test_the_runtime_is_no_part_of_the_fingerprint(tmp_path: Path) -> None:
    card = tiny_card(tmp_path)
    fingerprints = {load_encoder(card, device=one).fingerprint for one in ("cpu", "openvino")}
    assert len(fingerprints) == 1


def test_classes_and_positions_are_those_of_onnx_runtime(tmp_path: Path) -> None:
    card = tiny_card(tmp_path)
    ours, theirs = (load_encoder(card, device=one) for one in ("openvino", "cpu"))
    batch = [ours.prepare(drawn(seed)) for seed in range(3)]
    assert np.abs(ours.classify(batch) - theirs.classify(batch)).max() < 1e-4
    assert np.abs(ours.patches(batch) - theirs.patches(batch)).max() < 1e-4


@pytest.mark.parametrize("files", ["one", "two"])
def test_words_are_encoded_as_by_onnx_runtime(files: Literal["one", "two"], tmp_path: Path) -> None:
    pytest.importorskip("tokenizers", reason="the extra words is not installed")
    from two_towers import two_tower_card  # noqa: PLC0415 - needs that package

    card = two_tower_card(tmp_path, files=files)
    vectors = []
    for device in ("openvino", "cpu"):
        words = load_encoder(card, device=device).text_encoder
        assert words is not None
        vectors.append(words.encode_words(["a red bag", "something blue", "the green shoe"]))
    assert np.abs(vectors[0] - vectors[1]).max() < 1e-5


def test_without_the_package_the_message_says_what_to_install() -> None:
    message = re.escape(
        "device 'openvino' needs the package openvino, which is not installed; it comes with: "
        "pip install 'lookalike[openvino]'"
    )
    with pytest.raises(EncoderError, match=message):
        choose_devices("openvino", CPU_ONLY)


def test_the_package_comes_before_a_provider_of_onnx_runtime() -> None:
    both = ["OpenVINOExecutionProvider", *CPU_ONLY, "openvino"]
    assert [one.runtime for one in choose_devices("openvino", both)] == ["openvino"]
    (provider,) = choose_devices("openvino", both[:-1])
    assert provider.provider == "OpenVINOExecutionProvider"


def test_an_operator_that_openvino_lacks_is_named(tmp_path: Path) -> None:
    def unknown(model: onnx.ModelProto) -> None:
        model.graph.node[1].op_type = "Nonsense"

    card = changed(tiny_card(tmp_path), network=unknown)
    with pytest.raises(EncoderError, match=r"OpenVINO has no operators .*Nonsense") as raised:
        load_encoder(card, device="openvino")
    assert "src/" not in str(raised.value)


def test_a_file_that_is_no_model_is_said_to_be_none(tmp_path: Path) -> None:
    card = tiny_card(tmp_path)
    text = card.read_text(encoding="utf-8")
    (tmp_path / "tiny.onnx").write_bytes(b"no model at all")
    digest = text.split('sha256 = "')[1][:64]
    new = hashlib.sha256(b"no model at all").hexdigest()
    card.write_text(text.replace(digest, new), encoding="utf-8")
    with pytest.raises(EncoderError, match="the file is no ONNX model, or only a part of one"):
        load_encoder(card, device="openvino")


def test_opening_it_reports_nothing_to_anybody(tmp_path: Path) -> None:
    """The package's own telemetry would write an id into the home folder and send a message."""
    card = tiny_card(tmp_path)
    home = tmp_path / "home"
    home.mkdir()
    program = (
        "import sys; from lookalike.encoders import load_encoder\n"
        "assert load_encoder(sys.argv[1], device='openvino').device == 'openvino'\n"
        "assert not [one for one in sys.modules if one.startswith('openvino_telemetry')]"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, card],
        env={**os.environ, "HOME": str(home)},
        capture_output=True,
        check=True,
    )
    assert (done.stdout, done.stderr) == (b"", b"")
    assert list(home.iterdir()) == []
