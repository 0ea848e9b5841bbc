"""Converted encoders give what Keras and PyTorch give: tests/golden/converted-*.npz, made by
training/converted_golden.py from weights that both sides draw from the names of the tensors.
"""

import json
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import onnxruntime
import pytest
from numpy.typing import NDArray
from safetensors.numpy import save_file

from lookalike.core.vectors import unit_rows
from lookalike.encoders.converting import Conversion, convert
from lookalike.encoders.preprocessing import tensor
from seeded_weights import seeded_array, seeded_images

GOLDEN = Path(__file__).parent / "golden"
IMAGES = 3
EVERY = 97  # as in training/converted_golden.py


def drawn(network: str) -> dict[str, NDArray[np.float32]]:
    """The tensors of a network, by the framework's names."""
    shapes = json.loads(str(np.load(GOLDEN / f"converted-{network}.npz")["shapes"]))
    return {name: seeded_array(name, tuple(shape)) for name, shape in shapes}


def write_legacy_h5(path: Path, tensors: dict[str, NDArray[np.float32]]) -> None:
    """Write weights as ``model.save_weights("FILE.h5")`` of Keras 2 did."""
    layers: dict[str, list[str]] = {}
    for name in tensors:
        layers.setdefault(name.partition("/")[0], []).append(f"{name}:0")
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = [one.encode() for one in layers]
        for one, weights in layers.items():
            group = file.create_group(one)
            group.attrs["weight_names"] = [name.encode() for name in weights]
            for name in weights:
                group[name] = tensors[name.removesuffix(":0")]


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
