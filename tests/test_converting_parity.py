"""Converted encoders give what Keras and PyTorch give: tests/golden/converted-*.npz, made by
training/converted_golden.py from weights that both sides draw from the names of the tensors.
"""

import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from numpy.typing import NDArray
from PIL import Image

from lookalike.core.vectors import unit_rows
from lookalike.encoders.converting import Conversion, convert
from lookalike.encoders.preprocessing import prepare, tensor
from seeded_weights import seeded_images
from weight_files import MOBILENETV2, SHARED, drawn, write_legacy_h5, write_real_mobilenetv2

_REASON = "the extra convert is not installed"
pytest.importorskip("h5py", reason=_REASON)
save_file = pytest.importorskip("safetensors.numpy", reason=_REASON).save_file

GOLDEN = Path(__file__).parent / "golden"
IMAGES = 3
IMAGES_OF_CALTECH = SHARED / "data" / "caltech-101-sample.zip"
EVERY = 97  # as in training/converted_golden.py


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Write the file of a network, once for all tests."""
    folder = tmp_path_factory.mktemp("weights")

    def write(network: str) -> Path:
        keras = network.endswith("-keras")
        path = folder / f"{network}.{'h5' if keras else 'safetensors'}"
        if not path.exists():
            if keras:
                write_legacy_h5(path, drawn(network))
            else:
                save_file(drawn(network), path)
        return path

    return write


def embeddings(conversion: Conversion, output: str = "features") -> NDArray[np.float32]:
    """What the converted graph makes of images that are prepared as its card says."""
    spec = conversion.input
    session = onnxruntime.InferenceSession(conversion.content, providers=["CPUExecutionProvider"])
    pixels = tensor(list(seeded_images(IMAGES, spec.width)), spec)
    (found,) = session.run([output], {spec.name: pixels})
    return np.asarray(found, dtype=np.float32)


def distance(left: NDArray[np.float32], right: NDArray[np.float32]) -> float:
    """The largest cosine distance of two rows at one place."""
    cosines = (unit_rows(left).astype(np.float64) * unit_rows(right)).sum(axis=1)
    return float((1 - cosines).max())


@pytest.mark.parametrize(
    ("network", "architecture"),
    [
        ("mobilenetv2-keras", "mobilenetv2"),
        ("mobilenetv2-keras", "mobilenetv2-map"),
        ("mobilenetv2-keras", "mobilenetv2-legacy"),
        ("mobilenetv2-timm", "mobilenetv2"),
        ("mobilenetv2-torchvision", "mobilenetv2"),
        ("resnet50-keras", "resnet50-avg"),
        ("resnet50-keras", "resnet50-max"),
        ("resnet50-torchvision", "resnet50-avg"),
        ("resnet50-torchvision", "resnet50-max"),
        ("vgg16-keras", "vgg16-avg"),
        ("vgg16-keras", "vgg16-max"),
        ("vgg16-keras", "vgg16-fc1"),
        ("vgg16-keras", "vgg16-fc2"),
        ("vgg16-torchvision", "vgg16-fc1"),
        ("vgg16-torchvision", "vgg16-fc2"),
        ("vgg16_bn-torchvision", "vgg16-fc1"),
        ("vgg16_bn-torchvision", "vgg16-fc2"),
    ],
)
def test_embeddings_are_those_of_the_framework(
    network: str, architecture: str, files: Callable[[str], Path]
) -> None:
    golden = np.load(GOLDEN / f"converted-{network}.npz")
    size = None if "vgg16-fc" in architecture else int(golden["side"])
    conversion = convert(files(network), architecture=architecture, size=size)
    found = embeddings(conversion)
    assert found.shape == (IMAGES, conversion.output.dim)
    if architecture == "mobilenetv2-map":
        found = found[:, ::EVERY]
    expected = golden[architecture]
    assert distance(found, expected) < 1e-6  # 1e-4 is promised
    # A looser mistake would show: other images are further away than that by far.
    assert distance(np.roll(found, 1, axis=0), expected) > 1e-4
    assert np.abs(found - expected).max() < 1e-3 * np.abs(expected).max()


@pytest.mark.parametrize(
    ("network", "architecture"),
    [
        ("mobilenetv2-keras", "mobilenetv2"),
        ("mobilenetv2-torchvision", "mobilenetv2"),
        ("resnet50-keras", "resnet50-max"),
        ("vgg16-keras", "vgg16-fc2"),
        ("vgg16-torchvision", "vgg16-fc2"),
    ],
)
def test_classes_are_those_of_the_framework(
    network: str, architecture: str, files: Callable[[str], Path]
) -> None:
    golden = np.load(GOLDEN / f"converted-{network}.npz")
    conversion = convert(files(network), architecture=architecture)
    assert conversion.logits is not None
    found = embeddings(conversion, conversion.logits.name)
    assert found.shape == (IMAGES, conversion.logits.classes)
    assert np.abs(found - golden["logits"]).max() < 1e-3 * np.abs(golden["logits"]).max()


@pytest.mark.real
@pytest.mark.skipif(not MOBILENETV2.exists(), reason="the real encoders are not here")
def test_a_real_mobilenetv2_survives_the_way_through_a_file_of_keras(tmp_path: Path) -> None:
    """The weights of an ONNX file that somebody else made, written as Keras would and converted.

    That file has its batch norms folded, so those written beside the weights do nothing.
    """
    write_real_mobilenetv2(tmp_path / "real.h5")
    conversion = convert(tmp_path / "real.h5")
    spec = conversion.input
    with zipfile.ZipFile(IMAGES_OF_CALTECH) as archive:
        names = [name for name in archive.namelist() if name.endswith(".jpg")][::400]
        images = [Image.open(io.BytesIO(archive.read(name))) for name in names]
    pixels = tensor([prepare(image, spec) for image in images], spec)
    theirs = onnxruntime.InferenceSession(MOBILENETV2, providers=["CPUExecutionProvider"])
    ours = onnxruntime.InferenceSession(conversion.content, providers=["CPUExecutionProvider"])
    wanted = ["features", "logits"]
    expected = theirs.run(wanted, {"image": pixels})
    found = ours.run(wanted, {"image": pixels})
    assert distance(found[0], expected[0]) < 1e-6
    assert distance(np.roll(found[0], 1, axis=0), expected[0]) > 0.05
    np.testing.assert_allclose(found[1], expected[1], atol=2e-3)
