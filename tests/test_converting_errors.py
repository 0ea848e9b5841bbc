"""Files that cannot be converted give one sentence: what, where, what to do."""

import io
import json
import pickle
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from lookalike.encoders.converting import convert
from lookalike.errors import WeightsError
from weight_files import drawn

_REASON = "the extra convert is not installed"
h5py = pytest.importorskip("h5py", reason=_REASON)
save_file = pytest.importorskip("safetensors.numpy", reason=_REASON).save_file
tflite = pytest.importorskip("tflite", reason=_REASON)

GOLDEN = Path(__file__).parent / "golden"


def vgg16() -> dict[str, NDArray[np.float32]]:
    """A narrow VGG16, by the names of torchvision."""
    return drawn("vgg16-torchvision")


@pytest.fixture
def refused(tmp_path: Path) -> Callable[..., str]:
    """Write a file, convert it, and return the message without the file's path."""

    def message(name: str, content: bytes | dict[str, Any], **options: Any) -> str:  # noqa: ANN401
        path = tmp_path / name
        if isinstance(content, bytes):
            path.write_bytes(content)
        else:
            save_file(content, path)
        with pytest.raises(WeightsError) as raised:
            convert(path, **options)
        said = str(raised.value)
        assert said.startswith(f"{path}: ")
        assert "\n" not in said
        return said.removeprefix(f"{path}: ")

    return message


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.h5", b"", "is empty"),
        ("a.h5", b"not HDF5\0", "is no HDF5 file"),
        ("a.h5", b"not at all", "is a text file, not a file of weights; wanted is"),
        ("a.pth", "drei Wörter\n".encode(), "is a text file, not a file of weights; wanted is"),
        ("a.pth", b"a" * 511 + "ö".encode(), "is a text file, not a file of weights; wanted is"),
        ("a.pth", b"\x08\x08\x12\x07pytorch", "is an ONNX model, which needs no conversion"),
        ("a.pth", b"\x89PNG\r\n\x1a\n", "is not a file of weights that can be read; wanted is"),
        ("a.pb", b"\x08\x01", "is a TensorFlow graph, which cannot be converted; export"),
        ("a.h5", b"<!DOCTYPE html><html>", "is a web page, not a file of weights"),
        ("a.h5", b"version https://git-lfs.github.com/spec/v1\n", "is a pointer of Git LFS"),
        ("a.zip", b"PK\x03\x04 cut off", "is a damaged or cut off archive"),
        ("a.pth", b"\x80\x02cut off", "not a readable PyTorch checkpoint"),
        ("a.tflite", b"\x1c\x00\x00\x00TFL3", "is damaged or cut off"),
        ("a.h5", b"\x89HDF\r\n\x1a\n and no more", "cannot be opened as HDF5"),
    ],
)
def test_a_file_of_another_kind_is_named(
    name: str, content: bytes, said: str, refused: Callable[..., str]
) -> None:
    assert said in refused(name, content)


def an_archive(*names: str) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name in names:
            archive.writestr(name, b"{}")
    return stream.getvalue()


def test_an_archive_of_something_else_is_named(refused: Callable[..., str]) -> None:
    assert "an archive of something else" in refused("a.zip", an_archive("a.txt"))
    script = an_archive("net/data.pkl", "net/constants.pkl", "net/code/net.py")
    assert "is a TorchScript program, not a file of weights; export" in refused("a.pt", script)
    broken = an_archive("model.weights.h5")
    assert "is no readable .keras file" in refused("a.keras", broken)


def test_folders_and_missing_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"is a folder; what can be converted is a Keras \.h5"):
        convert(tmp_path)
    (tmp_path / "saved_model.pb").write_bytes(b"")
    with pytest.raises(WeightsError, match="is a TensorFlow SavedModel"):
        convert(tmp_path)
    with pytest.raises(WeightsError, match=r"none\.h5: cannot be read: No such file"):
        convert(tmp_path / "none.h5")


class Attack:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return eval, ("__import__('pathlib').Path('ran').touch()",)


def test_a_pickle_with_code_is_refused_and_not_run(
    refused: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    said = refused("a.pth", pickle.dumps(Attack(), protocol=2))
    assert "asks for" in said
    assert "eval" in said
    assert "it was not loaded" in said
    assert "torch.save(model.state_dict(), FILE)" in said
    assert not (tmp_path / "ran").exists()


# Keras


@pytest.fixture(scope="module")
def keras_model() -> bytes:
    with zipfile.ZipFile(GOLDEN / "converted-keras2.zip") as archive:
        return archive.read("model.h5")


@pytest.mark.parametrize("part", [0.1, 0.5, 0.9, 0.999])
def test_a_cut_off_hdf5_file_is_named(
    part: float, keras_model: bytes, refused: Callable[..., str]
) -> None:
    said = refused("a.h5", keras_model[: int(len(keras_model) * part)])
    assert "cannot be opened as HDF5; it is damaged or cut off" in said


def test_an_hdf5_file_without_weights_is_named(tmp_path: Path, refused: Callable[..., str]) -> None:
    path = tmp_path / "other.h5"
    with h5py.File(path, "w") as file:
        file["temperatures"] = np.zeros(3)
    said = refused("a.h5", path.read_bytes())
    assert "holds no weights of a Keras model" in said
    assert "model.save_weights" in said


def test_links_out_of_an_hdf5_file_are_refused(
    tmp_path: Path, keras_model: bytes, refused: Callable[..., str]
) -> None:
    path = tmp_path / "linked.h5"
    path.write_bytes(keras_model)
    with h5py.File(path, "r+") as file:
        layer = file["model_weights/Conv_1/Conv_1"]
        del layer["kernel:0"]
        layer["kernel:0"] = h5py.ExternalLink("/etc/passwd", "/kernel")
    assert "is a link; links are not followed" in refused("a.h5", path.read_bytes())


def test_a_group_that_holds_itself_is_refused(
    tmp_path: Path, keras_model: bytes, refused: Callable[..., str]
) -> None:
    path = tmp_path / "circle.h5"
    path.write_bytes(keras_model)
    with h5py.File(path, "r+") as file:
        file["model_weights/Conv_1/again"] = file["model_weights"]
    assert "has two names" in refused("a.h5", path.read_bytes())


def test_a_damaged_part_of_an_hdf5_file_is_named(
    tmp_path: Path, keras_model: bytes, refused: Callable[..., str]
) -> None:
    path = tmp_path / "packed.h5"
    path.write_bytes(keras_model)
    with h5py.File(path, "r+") as file:
        layer = file["model_weights/Conv_1/Conv_1"]
        kernel = layer["kernel:0"][()]
        del layer["kernel:0"]
        packed = layer.create_dataset("kernel:0", data=kernel, compression="gzip")
        place = packed.id.get_chunk_info(0)
    content = bytearray(path.read_bytes())
    middle = place.byte_offset + place.size // 2
    content[middle : middle + 64] = bytes(64)
    assert "Conv_1/kernel is damaged" in refused("a.h5", bytes(content))


def test_numbers_in_another_file_are_refused(
    tmp_path: Path, keras_model: bytes, refused: Callable[..., str]
) -> None:
    path = tmp_path / "outside.h5"
    path.write_bytes(keras_model)
    (tmp_path / "numbers").write_bytes(bytes(8 * 1280 * 4))
    with h5py.File(path, "r+") as file:
        layer = file["model_weights/Conv_1/Conv_1"]
        del layer["kernel:0"]
        outside = [(str(tmp_path / "numbers"), 0, 8 * 1280 * 4)]
        layer.create_dataset("kernel:0", (1, 1, 8, 1280), "f4", external=outside)
    assert "Conv_1/kernel lies in another file" in refused("a.h5", path.read_bytes())


def test_a_missing_layer_of_keras_is_named(
    tmp_path: Path, keras_model: bytes, refused: Callable[..., str]
) -> None:
    path = tmp_path / "less.h5"
    path.write_bytes(keras_model)
    with h5py.File(path, "r+") as file:
        weights = file["model_weights"]
        names = [one for one in weights.attrs["layer_names"] if one != b"block_7_expand"]
        weights.attrs["layer_names"] = [one for one in names if one != "block_7_expand"]
    said = refused("a.h5", path.read_bytes())
    assert "is incomplete: MobileNetV2 of Keras needs the layer block_7_expand" in said


# Tensors of PyTorch


def test_an_unknown_network_is_named(refused: Callable[..., str]) -> None:
    other = {"encoder.layer.0.weight": np.zeros((4, 4), np.float32)}
    said = refused("a.safetensors", other)
    assert "is not MobileNetV2, VGG16 or ResNet50" in said
    assert "it begins with encoder.layer.0.weight" in said
    assert "Export other networks to ONNX" in said


def test_a_missing_tensor_is_named(refused: Callable[..., str]) -> None:
    tensors = vgg16()
    del tensors["features.17.weight"]
    said = refused("a.safetensors", tensors)
    assert "is incomplete: VGG16 of torchvision needs the layer features.17" in said


def test_a_missing_dense_layer_is_named_if_it_is_asked_for(refused: Callable[..., str]) -> None:
    tensors = {name: one for name, one in vgg16().items() if "classifier" not in name}
    said = refused("a.safetensors", tensors, architecture="vgg16-fc1")
    assert "there is no tensor classifier.0.weight, which VGG16 of torchvision needs" in said


def test_a_tensor_of_another_shape_is_named(refused: Callable[..., str]) -> None:
    tensors = vgg16()
    tensors["features.5.weight"] = np.zeros((16, 7, 3, 3), np.float32)
    tensors["features.5.bias"] = np.zeros(16, np.float32)
    said = refused("a.safetensors", tensors)
    assert "features.5.weight has shape (16, 7, 3, 3), which does not fit" in said
    assert "the layer before it gives 8 channels" in said
    tensors = vgg16() | {"features.5.bias": np.zeros(3, np.float32)}
    assert "the bias of features.5.weight has shape (3,)" in refused("a.safetensors", tensors)
    tensors = vgg16() | {"classifier.3.weight": np.zeros((96, 5), np.float32)}
    said = refused("a.safetensors", tensors)
    assert "classifier.3.weight has shape (96, 5), which does not fit" in said


def test_a_larger_network_is_not_taken_for_its_smaller_sister(refused: Callable[..., str]) -> None:
    tensors = vgg16() | {"features.30.weight": np.zeros((64, 64, 3, 3), np.float32)}
    said = refused("a.safetensors", tensors)
    assert "is a larger network than VGG16 of torchvision: it also has features.30.weight" in said


def test_a_cut_off_safetensors_file_is_named(tmp_path: Path, refused: Callable[..., str]) -> None:
    path = tmp_path / "whole.safetensors"
    save_file(vgg16(), path)
    content = path.read_bytes()
    assert "is a damaged safetensors file" in refused("a.safetensors", content[:-100])


def test_numbers_that_numpy_lacks_are_named(refused: Callable[..., str]) -> None:
    header = json.dumps({"w": {"dtype": "F8_E4M3", "shape": [2], "data_offsets": [0, 2]}}).encode()
    content = struct.pack("<Q", len(header)) + header + bytes(2)
    assert "save them as float32" in refused("a.safetensors", content)


@given(data=st.data())
@settings(max_examples=40, deadline=None)
def test_tensors_of_any_shape_never_end_in_a_traceback(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    tensors = drawn("vgg16-torchvision", narrower=8)
    name = data.draw(st.sampled_from(sorted(tensors)))
    shape = data.draw(st.lists(st.integers(0, 12), max_size=4))
    tensors[name] = np.ones(shape, np.float32)
    path = tmp_path_factory.mktemp("shapes") / "a.safetensors"
    save_file(tensors, path)
    architecture = data.draw(st.sampled_from(["vgg16-fc1", "vgg16-fc2", "vgg16-max"]))
    try:
        convert(path, architecture=architecture)
    except WeightsError as error:
        assert str(path) in str(error)  # noqa: PT017  some shapes fit


# Architectures


def test_an_unknown_architecture_is_named(tmp_path: Path) -> None:
    save_file(vgg16(), tmp_path / "a.safetensors")
    with pytest.raises(ValueError, match=r"no architecture 'vgg16-fc3'; .*did you mean"):
        convert(tmp_path / "a.safetensors", architecture="vgg16-fc3")
    with pytest.raises(ValueError, match="size must be from 32 to 1024 pixels, not 8"):
        convert(tmp_path / "a.safetensors", size=8)


def test_an_architecture_that_the_file_does_not_hold_is_named(refused: Callable[..., str]) -> None:
    said = refused("a.safetensors", vgg16(), architecture="resnet50-max")
    assert said == "holds VGG16 of torchvision, which cannot become resnet50-max"
    said = refused("a.safetensors", vgg16(), architecture="vgg16-fc1-legacy")
    assert "prepares images for weights of Keras" in said
    assert said.endswith("use vgg16-fc1")
    said = refused("a.safetensors", vgg16(), size=224)
    assert "takes images of 96 x 96 pixels only, not 224 x 224" in said
    small = (GOLDEN / "converted-float.tflite").read_bytes()
    said = refused("a.tflite", small, architecture="mobilenetv2")
    assert "give neither an architecture nor a size" in said


# TensorFlow Lite


def test_an_operator_that_is_not_translated_is_named(refused: Callable[..., str]) -> None:
    content = bytearray((GOLDEN / "converted-float.tflite").read_bytes())
    model = tflite.Model.GetRootAsModel(content, 0)
    for at in range(model.OperatorCodesLength()):
        code = model.OperatorCodes(at)
        if code.DeprecatedBuiltinCode() == tflite.BuiltinOperator.CONCATENATION:
            table = code._tab
            content[table.Pos + table.Offset(4)] = tflite.BuiltinOperator.TANH
            content[table.Pos + table.Offset(10)] = tflite.BuiltinOperator.TANH
    said = refused("a.tflite", bytes(content))
    assert "uses TANH, which is not translated (translated are ADD, " in said
    assert "export the network to ONNX instead" in said


@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_a_damaged_tflite_file_never_ends_in_a_traceback(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    content = bytearray((GOLDEN / "converted-uint8.tflite").read_bytes())
    for _ in range(data.draw(st.integers(1, 8))):
        content[data.draw(st.integers(8, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.mktemp("damaged") / "a.tflite"
    path.write_bytes(content[: data.draw(st.integers(8, len(content)))])
    try:
        convert(path)
    except WeightsError as error:
        assert str(path) in str(error)  # noqa: PT017  most files still are whole
