"""The layouts of Keras, PyTorch and TensorFlow Lite files, as those programs themselves wrote them.

``tests/golden/converted-keras*.zip`` and ``converted-*.tflite`` are made by
training/converted_golden.py.
"""

import re
import zipfile
from collections.abc import Callable
from pathlib import Path

import ml_dtypes
import numpy as np
import onnxruntime
import pytest
from numpy.typing import NDArray

from lookalike.core.vectors import unit_rows
from lookalike.encoders.converting import Conversion, convert
from lookalike.encoders.preprocessing import tensor
from seeded_weights import seeded_images
from weight_files import drawn, write_legacy_h5

_REASON = "the extra convert is not installed"
save_file = pytest.importorskip("safetensors.numpy", reason=_REASON).save_file
tflite = pytest.importorskip("tflite", reason=_REASON)
h5py = pytest.importorskip("h5py", reason=_REASON)

GOLDEN = Path(__file__).parent / "golden"


def outputs(conversion: Conversion, names: list[str]) -> list[NDArray[np.float32]]:
    spec = conversion.input
    session = onnxruntime.InferenceSession(conversion.content, providers=["CPUExecutionProvider"])
    pixels = tensor(list(seeded_images(3, spec.width)), spec)
    return [np.asarray(one) for one in session.run(names, {spec.name: pixels})]


def distance(left: NDArray[np.float32], right: NDArray[np.float32]) -> float:
    cosines = (unit_rows(left).astype(np.float64) * unit_rows(right)).sum(axis=1)
    return float((1 - cosines).max())


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("name", ["model.h5", "model.weights.h5", "outer.h5", "outer.keras"])
def test_every_layout_of_keras_gives_the_same_encoder(
    version: int, name: str, tmp_path: Path
) -> None:
    with zipfile.ZipFile(GOLDEN / f"converted-keras{version}.zip") as archive:
        path = Path(archive.extract(name, tmp_path))
    says_size = not name.endswith("weights.h5")
    conversion = convert(path, size=None if says_size else 64)
    assert (conversion.input.width, conversion.input.height) == (64, 64)
    rescales = name.startswith("outer")
    unnamed = version == 2 and name in ("model.weights.h5", "outer.keras")
    assert len(conversion.notes) == rescales + unnamed, conversion.notes
    (found,) = outputs(conversion, ["features"])
    expected = np.load(GOLDEN / f"converted-keras{version}.npz")["features"]
    assert distance(found, expected) < 1e-6
    assert distance(np.roll(found, 1, axis=0), expected) > 1e-4


@pytest.mark.parametrize("layout", ["zip", "legacy"])
def test_a_checkpoint_of_a_training_is_read(layout: str) -> None:
    """The tensors lie below "state_dict", with a prefix, beside those of the optimizer."""
    conversion = convert(GOLDEN / f"converted-checkpoint-{layout}.pth")
    assert (conversion.name, conversion.input.width) == ("vgg16-fc2", 96)
    (found,) = outputs(conversion, ["features"])
    expected = np.load(GOLDEN / "converted-checkpoint.npz")["features"]
    assert distance(found, expected) < 1e-6
    assert distance(np.roll(found, 1, axis=0), expected) > 1e-4


def renamed(path: Path, rename: Callable[[str], str], *, chunks: bool = False) -> None:
    """Give the layers of a Keras file other names, in their groups and lists."""
    with h5py.File(path, "r+") as file:
        weights = file["model_weights"]
        names = [str(one) for one in weights.attrs["layer_names"]]
        for name in names:
            group = weights[name]
            listed = [str(one) for one in group.attrs["weight_names"]]
            new = [f"{rename(name)}/{one.rpartition('/')[2]}" for one in listed]
            for before, after in zip(listed, new, strict=True):
                group.move(before, f"moved/{after}")
            group.attrs["weight_names"] = [f"moved/{one}".encode() for one in new]
            weights.move(name, f"{rename(name)}_group")
        groups = [f"{rename(name)}_group".encode() for name in names]
        del weights.attrs["layer_names"]
        parts = [groups[:50], groups[50:]] if chunks else [groups]
        for number, part in enumerate(parts):
            weights.attrs[f"layer_names{number if chunks else ''}"] = part


@pytest.mark.parametrize("chunks", [False, True])
def test_layers_with_names_of_another_version_are_taken_in_their_order(
    tmp_path: Path, *, chunks: bool
) -> None:
    """As Keras does it. A long list of names is split into several attributes."""
    with zipfile.ZipFile(GOLDEN / "converted-keras2.zip") as archive:
        path = Path(archive.extract("model.h5", tmp_path))
    renamed(path, lambda name: f"mobl_{name[::-1]}", chunks=chunks)
    (found,) = outputs(convert(path), ["features"])
    expected = np.load(GOLDEN / "converted-keras2.npz")["features"]
    assert distance(found, expected) < 1e-6


def test_a_resnet50_of_older_keras_has_its_own_names_and_epsilon(tmp_path: Path) -> None:
    golden = np.load(GOLDEN / "converted-resnet50-keras.npz")

    def older(name: str) -> str:
        layer, variable = name.split("/")
        if layer.startswith("conv1_"):
            layer = {"conv1_conv": "conv1", "conv1_bn": "bn_conv1"}[layer]
        elif layer == "predictions":
            layer = "fc1000"
        else:
            stage, block, part, kind = re.findall(r"\d|conv$|bn$", layer)
            branch = "1" if part == "0" else f"2{'abc'[int(part) - 1]}"
            kind = "res" if kind == "conv" else "bn"
            layer = f"{kind}{stage}{'abcdef'[int(block) - 1]}_branch{branch}"
        return f"{layer}/{variable}"

    tensors = drawn("resnet50-keras")
    for name in tensors:
        if name.endswith("moving_variance"):
            tensors[name] = tensors[name] + np.float32(1.001e-5 - 1e-3)
    write_legacy_h5(tmp_path / "old.h5", {older(name): one for name, one in tensors.items()})
    conversion = convert(tmp_path / "old.h5", architecture="resnet50-max")
    assert conversion.title.endswith("(weights of older Keras)")
    (found,) = outputs(conversion, ["features"])
    assert distance(found, golden["resnet50-max"]) < 1e-6


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16])
def test_half_precision_is_read(dtype: type, tmp_path: Path) -> None:
    tensors = drawn("vgg16-torchvision")
    save_file(tensors, tmp_path / "a.safetensors")
    save_file(
        {name: one.astype(dtype) for name, one in tensors.items()}, tmp_path / "b.safetensors"
    )
    (whole,) = outputs(convert(tmp_path / "a.safetensors"), ["features"])
    (half,) = outputs(convert(tmp_path / "b.safetensors"), ["features"])
    assert 0 < distance(whole, half) < 1e-3


@pytest.mark.parametrize(
    ("name", "most", "largest"), [("float", 1e-6, 1e-5), ("uint8", 1e-4, 0.03)]
)
def test_tflite_graphs_give_what_the_interpreter_gives(
    name: str, most: float, largest: float
) -> None:
    """The quantised one less exactly: the interpreter rounds every activation to eight bits."""
    conversion = convert(GOLDEN / f"converted-{name}.tflite")
    features, logits = outputs(conversion, ["features", "logits"])
    golden = np.load(GOLDEN / f"converted-{name}.npz")
    assert distance(features, golden["features"]) < most
    assert distance(np.roll(features, 1, axis=0), golden["features"]) > 100 * most
    assert np.abs(logits - golden["logits"]).max() < largest


def test_a_quantised_tflite_file_says_how_its_pixels_are_scaled() -> None:
    quantised = convert(GOLDEN / "converted-uint8.tflite")
    assert quantised.input.mean == pytest.approx((127.5,) * 3, abs=1)
    assert quantised.input.std == pytest.approx((127.5,) * 3, abs=1)
    assert len(quantised.notes) == 1
    guessed = convert(GOLDEN / "converted-float.tflite")
    assert guessed.input.mean == (127.5,) * 3
    assert "does not say how pixels are scaled" in guessed.notes[1]


def test_a_tflite_classifier_gives_its_embedding_its_map_and_its_classes() -> None:
    conversion = convert(GOLDEN / "converted-float.tflite")
    assert (conversion.name, conversion.output.dim) == ("converted-float", 40)
    assert conversion.logits is not None
    assert conversion.logits.classes == 7
    features, patches = outputs(conversion, ["features", "map"])
    assert patches.shape == (3, 40, 9, 9)
    np.testing.assert_allclose(patches.mean(axis=(2, 3)), features, atol=1e-5)
