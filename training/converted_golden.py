"""Make the golden embeddings of converted encoders: what Keras and PyTorch compute.

Run by hand, in environments of their own, when a graph builder or a preprocessing changes:

    export PYTHONPATH=tests
    python -m venv /tmp/keras-env && /tmp/keras-env/bin/pip install tensorflow-cpu
    /tmp/keras-env/bin/python training/converted_golden.py keras tests/golden
    /tmp/keras-env/bin/python training/converted_golden.py tflite tests/golden
    /tmp/keras-env/bin/python training/converted_golden.py keras-files tests/golden
    /tmp/keras-env/bin/pip install --no-deps tf_keras
    /tmp/keras-env/bin/python training/converted_golden.py keras2-files tests/golden
    python -m venv /tmp/torch-env && /tmp/torch-env/bin/pip install torchvision timm
    /tmp/torch-env/bin/python training/converted_golden.py torch tests/golden

The weights are drawn by ``tests/seeded_weights.py`` from the names of the tensors, so a file
``converted-<network>-<framework>.npz`` holds only the names, the shapes (a JSON list), and for each
encoder the embeddings of ``seeded_images(3, side)``, prepared by the framework's own functions.
VGG16 is an eighth as wide there, so that the tests stay quick.

"tflite" makes a small network of every translated operator, as floats and quantised, and what the
interpreter computes. "keras-files" and "keras2-files" write a very narrow MobileNetV2 in the
layouts of Keras 3 and Keras 2, also inside another model.
"""
# ruff: noqa: ANN401  the frameworks have no types here

import json
import sys
import tempfile
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seeded_weights import seeded_array, seeded_images

__all__ = ["VGG_WIDTHS"]

IMAGES = 3
VGG_WIDTHS = (8, 16, 32, 64, 64)  # an eighth of the true ones
VGG_DENSE = 96
_EVERY = 97  # of the flattened map, one number in so many is kept

Outputs = Mapping[str, NDArray[np.float32]]
Shapes = Mapping[str, tuple[int, ...]]


def write(folder: Path, name: str, shapes: Shapes, outputs: Outputs, *, side: int) -> None:
    path = folder / f"converted-{name}.npz"
    listed = json.dumps([[one, list(shape)] for one, shape in shapes.items()])
    arrays: dict[str, Any] = {"shapes": np.array(listed), "side": np.array(side), **outputs}
    np.savez_compressed(path, **arrays)
    spread = {key: float(np.std(rows, axis=0).mean()) for key, rows in outputs.items()}
    print(f"{path}: {path.stat().st_size} bytes, {len(shapes)} tensors, spread {spread}")


def fill_keras(model: Any) -> Shapes:
    """Give a Keras model its seeded weights; their names and shapes."""
    shapes = {}
    for layer in model.layers:
        for variable in layer.weights:
            name = f"{layer.name}/{variable.name}"
            shapes[name] = tuple(variable.shape)
            variable.assign(seeded_array(name, tuple(variable.shape)))
    return shapes


def write_keras(folder: Path) -> None:
    import keras  # noqa: PLC0415
    from keras.applications import mobilenet_v2, resnet, vgg16  # noqa: PLC0415
    from keras.src.applications.imagenet_utils import (  # noqa: PLC0415
        preprocess_input as any_preprocessing,
    )

    def outputs(
        model: Any, layers: Mapping[str, str], prepare: Callable[[Any], Any], side: int = 224
    ) -> dict[str, NDArray[np.float32]]:
        images = seeded_images(IMAGES, side).astype(np.float32)
        taps = keras.Model(model.input, [model.get_layer(one).output for one in layers.values()])
        found = taps(prepare(images), training=False)
        arrays = map(np.asarray, found if isinstance(found, list) else [found])
        return dict(zip(layers, arrays, strict=True))

    model = mobilenet_v2.MobileNetV2(weights=None, classifier_activation=None)
    shapes = fill_keras(model)
    found = outputs(
        model, {"map": "out_relu", "logits": "predictions"}, mobilenet_v2.preprocess_input
    )
    legacy = outputs(model, {"map": "out_relu"}, any_preprocessing)  # mode "caffe" by default
    result = {
        "mobilenetv2": found["map"].mean(axis=(1, 2)),
        "mobilenetv2-map": found["map"].reshape(IMAGES, -1)[:, ::_EVERY],
        "mobilenetv2-legacy": legacy["map"].mean(axis=(1, 2)),
        "logits": found["logits"],
    }
    write(folder, "mobilenetv2-keras", shapes, result, side=224)

    model = resnet.ResNet50(weights=None, classifier_activation=None)
    shapes = fill_keras(model)
    taps = {"map": "conv5_block3_out", "logits": "predictions"}
    found = outputs(model, taps, resnet.preprocess_input)
    result = {
        "resnet50-avg": found["map"].mean(axis=(1, 2)),
        "resnet50-max": found["map"].max(axis=(1, 2)),
        "logits": found["logits"],
    }
    write(folder, "resnet50-keras", shapes, result, side=224)

    model = narrow_keras_vgg16(keras)
    shapes = fill_keras(model)
    taps = {"vgg16-fc1": "fc1", "vgg16-fc2": "fc2", "logits": "predictions", "map": "block5_pool"}
    found = outputs(model, taps, vgg16.preprocess_input, side=96)
    last = found.pop("map")
    found["vgg16-avg"], found["vgg16-max"] = last.mean(axis=(1, 2)), last.max(axis=(1, 2))
    write(folder, "vgg16-keras", shapes, found, side=96)


def narrow_keras_vgg16(keras: Any) -> Any:
    """VGG16 by the names of Keras, an eighth as wide, for 96 pixels."""
    layers = keras.layers
    hidden = given = keras.Input((96, 96, 3))
    for group, (count, width) in enumerate(zip((2, 2, 3, 3, 3), VGG_WIDTHS, strict=True), 1):
        for number in range(1, count + 1):
            name = f"block{group}_conv{number}"
            hidden = layers.Conv2D(width, 3, activation="relu", padding="same", name=name)(hidden)
        hidden = layers.MaxPooling2D(2, strides=2, name=f"block{group}_pool")(hidden)
    hidden = layers.Flatten(name="flatten")(hidden)
    hidden = layers.Dense(VGG_DENSE, activation="relu", name="fc1")(hidden)
    hidden = layers.Dense(VGG_DENSE, activation="relu", name="fc2")(hidden)
    return keras.Model(given, layers.Dense(10, name="predictions")(hidden))


def write_tflite(folder: Path) -> None:
    import keras  # noqa: PLC0415
    import tensorflow as tf  # noqa: PLC0415

    model = every_operator(keras)
    fill_keras(model)
    images = seeded_images(IMAGES, 33)
    scaled = (images / 127.5 - 1).astype(np.float32)

    def converted(*, quantised: bool) -> bytes:
        converter = tf.lite.TFLiteConverter.from_keras_model(model)
        if quantised:
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
            converter.representative_dataset = lambda: ([one[None]] for one in scaled)
            converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
            converter.inference_input_type = tf.uint8
            converter.inference_output_type = tf.uint8
        return bytes(converter.convert())

    def run(content: bytes) -> dict[str, NDArray[np.float32]]:
        interpreter = tf.lite.Interpreter(
            model_content=content, experimental_preserve_all_tensors=True
        )
        interpreter.allocate_tensors()
        (given,) = interpreter.get_input_details()
        dense = [
            one
            for one in interpreter._get_ops_details()  # noqa: SLF001  nothing else tells the operators
            if one["op_name"] == "FULLY_CONNECTED"
        ]
        places = {"features": dense[-1]["inputs"][0], "logits": dense[-1]["outputs"][0]}
        details = {one["index"]: one for one in interpreter.get_tensor_details()}
        rows: dict[str, list[NDArray[np.float32]]] = {name: [] for name in places}
        for image, floats in zip(images, scaled, strict=True):
            pixels = image if given["dtype"] == np.uint8 else floats
            interpreter.set_tensor(given["index"], pixels[None])
            interpreter.invoke()
            for name, at in places.items():
                scale, zero = details[at]["quantization"]
                found = interpreter.get_tensor(at).astype(np.float32).ravel()
                rows[name].append((found - zero) * scale if scale else found)
        return {name: np.stack(found) for name, found in rows.items()}

    for name, quantised in (("float", False), ("uint8", True)):
        content = converted(quantised=quantised)
        path = folder / f"converted-{name}.tflite"
        path.write_bytes(content)
        found: dict[str, Any] = {**run(content)}
        np.savez_compressed(path.with_suffix(".npz"), **found)
        print(f"{path}: {len(content)} bytes")


def every_operator(keras: Any) -> Any:
    """A small classifier that needs every operator which is translated."""
    layers = keras.layers
    given = keras.Input((33, 33, 3))

    def convolution(hidden: Any, name: str, width: int, kernel: int = 1, **options: Any) -> Any:
        options = {"padding": "same", **options}
        return layers.Conv2D(width, kernel, name=name, **options)(hidden)

    hidden = convolution(given, "stem", 8, 3, strides=2)
    hidden = layers.ReLU(6.0)(hidden)
    wide = convolution(hidden, "expand", 24, activation="relu")
    wide = layers.ZeroPadding2D(((1, 1), (1, 1)))(wide)
    wide = layers.DepthwiseConv2D(3, name="each", activation="relu")(wide)
    hidden = layers.Add()([hidden, convolution(wide, "project", 8)])
    hidden = layers.DepthwiseConv2D(5, strides=2, padding="same", name="far")(hidden)
    hidden = keras.ops.hard_swish(hidden) if hasattr(keras.ops, "hard_swish") else hidden
    squeezed = layers.GlobalAveragePooling2D(keepdims=True)(hidden)
    squeezed = convolution(squeezed, "narrow", 4, activation="relu")
    squeezed = convolution(squeezed, "widen", 8, activation="sigmoid")
    hidden = layers.Multiply()([hidden, squeezed])
    hidden = layers.Subtract()([hidden, convolution(hidden, "less", 8)])
    beside = layers.MaxPooling2D(3, strides=1, padding="same")(hidden)
    near = layers.AveragePooling2D(3, strides=1, padding="same")(hidden)
    hidden = layers.Concatenate()([hidden, beside, near])
    hidden = convolution(hidden, "last", 40, activation="relu6")
    hidden = layers.Dropout(0.2)(layers.GlobalAveragePooling2D()(hidden))
    return keras.Model(given, layers.Dense(7, activation="softmax", name="classes")(hidden))


def write_keras_files(folder: Path, *, version: int) -> None:
    """A MobileNetV2 too narrow to be of use, in every layout of a version of Keras."""
    if version == 2:
        import tf_keras as keras  # noqa: PLC0415
    else:
        import keras  # noqa: PLC0415
    build = keras.applications.MobileNetV2
    model = build(alpha=0.01, weights=None, include_top=False, input_shape=(64, 64, 3))
    for layer in model.layers:
        for variable in layer.weights:
            name = f"{layer.name}/{variable.name.rpartition('/')[2].removesuffix(':0')}"
            drawn = seeded_array(name, tuple(variable.shape))
            variable.assign(np.round(drawn * 16) / 16)  # so that the archive is small
    outer = keras.Sequential(
        [
            keras.Input((64, 64, 3)),
            keras.layers.Rescaling(1 / 127.5, offset=-1),
            model,
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(5, name="own_classes"),
        ]
    )
    images = seeded_images(IMAGES, 64).astype(np.float32) / 127.5 - 1
    features = np.asarray(model(images, training=False)).mean(axis=(1, 2))
    np.savez_compressed(folder / f"converted-keras{version}.npz", features=features)
    archive = folder / f"converted-keras{version}.zip"
    with (
        tempfile.TemporaryDirectory() as temporary,
        zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as files,
    ):
        for name, save in (
            ("model.h5", model.save),
            ("model.weights.h5", model.save_weights),
            ("outer.h5", outer.save),
            ("outer.keras", outer.save),
        ):
            path = Path(temporary) / name
            save(path)
            files.write(path, name)
    print(f"{archive}: {archive.stat().st_size} bytes")


def fill_torch(model: Any) -> Shapes:
    """Give a PyTorch model its seeded weights; their names and shapes."""
    import torch  # noqa: PLC0415

    state = model.state_dict()
    shapes = {name: tuple(one.shape) for name, one in state.items() if one.ndim}
    for name, shape in shapes.items():
        state[name] = torch.from_numpy(seeded_array(name, shape))
    model.load_state_dict(state)
    model.eval()
    return shapes


def write_torch(folder: Path) -> None:
    import timm  # noqa: PLC0415
    import torch  # noqa: PLC0415
    from torchvision import models  # noqa: PLC0415
    from torchvision.transforms import functional  # noqa: PLC0415

    def pixels(side: int) -> Any:
        images = torch.from_numpy(seeded_images(IMAGES, side).transpose(0, 3, 1, 2))
        scaled = images.to(torch.float32) / 255
        return functional.normalize(scaled, [0.485, 0.456, 0.406], [0.229, 0.224, 0.225])

    def vgg(*, norms: bool, widths: tuple[int, ...] = VGG_WIDTHS, dense: int = VGG_DENSE) -> Any:
        plan: list[int | str] = []
        for count, width in zip((2, 2, 3, 3, 3), widths, strict=True):
            plan += [*[width] * count, "M"]
        features = models.vgg.make_layers(plan, batch_norm=norms)
        model = models.vgg.VGG(features, num_classes=10, init_weights=False)
        model.avgpool = torch.nn.Identity()
        model.classifier[0] = torch.nn.Linear(widths[-1] * 9, dense)
        model.classifier[3] = torch.nn.Linear(dense, dense)
        model.classifier[6] = torch.nn.Linear(dense, 10)
        return model

    with torch.no_grad():
        for name, model in (
            ("mobilenetv2-torchvision", models.mobilenet_v2()),
            ("mobilenetv2-timm", timm.create_model("mobilenetv2_100")),
        ):
            shapes = fill_torch(model)
            last = (
                model.features(pixels(224))
                if name.endswith("vision")
                else model.forward_features(pixels(224))
            )
            result = {"mobilenetv2": last.mean(dim=(2, 3)), "logits": model(pixels(224))}
            write(folder, name, shapes, _arrays(result), side=224)

        model = models.resnet50()
        shapes = fill_torch(model)
        stem = model.maxpool(model.relu(model.bn1(model.conv1(pixels(224)))))
        last = model.layer4(model.layer3(model.layer2(model.layer1(stem))))
        result = {
            "resnet50-avg": last.mean(dim=(2, 3)),
            "resnet50-max": last.amax(dim=(2, 3)),
            "logits": model(pixels(224)),
        }
        write(folder, "resnet50-torchvision", shapes, _arrays(result), side=224)

        for norms in (False, True):
            model = vgg(norms=norms)
            shapes = fill_torch(model)
            flat = model.features(pixels(96)).flatten(1)
            result = {
                "vgg16-fc1": model.classifier[:2](flat),
                "vgg16-fc2": model.classifier[:5](flat),
                "logits": model(pixels(96)),
            }
            name = f"vgg16{'_bn' if norms else ''}-torchvision"
            write(folder, name, shapes, _arrays(result), side=96)

        model = vgg(norms=False, widths=(2, 2, 3, 3, 4), dense=8)
        fill_torch(model)
        found = model.classifier[:5](model.features(pixels(96)).flatten(1)).numpy()
        np.savez_compressed(folder / "converted-checkpoint.npz", features=found)
    # As programs for training save them: below a name, with a prefix, beside other things.
    state = {f"module.{name}": one for name, one in model.state_dict().items()}
    whole = {"epoch": 3, "best": 0.7, "state_dict": state, "optimizer": {"lr": 0.1, "m": [state]}}
    torch.save(whole, folder / "converted-checkpoint-zip.pth")
    legacy = folder / "converted-checkpoint-legacy.pth"
    torch.save(whole, legacy, _use_new_zipfile_serialization=False)


def _arrays(tensors: Mapping[str, Any]) -> Outputs:
    return {name: one.numpy() for name, one in tensors.items()}


if __name__ == "__main__":
    target = Path(sys.argv[2])
    {
        "keras": write_keras,
        "keras-files": lambda folder: write_keras_files(folder, version=3),
        "keras2-files": lambda folder: write_keras_files(folder, version=2),
        "tflite": write_tflite,
        "torch": write_torch,
    }[sys.argv[1]](target)
