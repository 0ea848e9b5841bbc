"""Reading the weights out of Keras files with h5py: no Keras, and nothing in the file is run.

Three layouts exist. The older ``.h5`` holds either weights or a whole model (then below
``model_weights``); an attribute of each layer lists its weights in order. Keras 3's ``.weights.h5``
holds ``layers/<class>_<number>/vars/<number>`` and, in an attribute, the layer's own name, which
files by Keras 2 lack. A ``.keras`` file is a zip archive with such a ``model.weights.h5`` and
``config.json``. A model inside a model is read like its parts.
"""
# ruff: noqa: ANN401  h5py has no types

import io
import json
import re
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from lookalike.encoders.converting.layers import Array
from lookalike.errors import WeightsError

__all__ = ["KerasFile", "KerasLayer", "open_keras"]

_LARGEST = 2**27  # elements of a tensor, 512 MiB: VGG16's fc1 has 103 million
_CONFIG_LIMIT = 64 * 2**20  # bytes of a model's description; ResNet50's has 100 kB
_WEIGHTS_LIMIT = 2**31  # bytes of weights in a .keras archive
_VARIABLE = re.compile(
    r"(?:.+?_)??(depthwise_kernel|kernel|bias|gamma|beta|moving_mean|moving_variance|"
    r"running_mean|running_std|running_variance|W|b)(?:_\d+)?(?::\d+)?"
)
_MEANING = {
    "W": "kernel",
    "b": "bias",
    "running_mean": "moving_mean",
    "running_std": "moving_variance",  # the name that Keras 1 gave to the variance
    "running_variance": "moving_variance",
}
_NORM = ("gamma", "beta", "moving_mean", "moving_variance")
_MATRIX, _KERNEL = 2, 4  # axes

# What h5py raises for files that are damaged, by its documentation and by trying.
_DAMAGE = (OSError, RuntimeError, KeyError, ValueError, TypeError, AttributeError, IndexError)


@dataclass(slots=True)
class KerasLayer:
    """A layer's variables by name (``kernel``, ``bias``, ``gamma`` …), unread until asked for."""

    name: str
    variables: dict[str, Any] = field(default_factory=dict)

    @property
    def kind(self) -> str:
        """One of "convolution", "depthwise", "norm", "dense", "other"."""
        if "depthwise_kernel" in self.variables:
            return "depthwise"
        if "moving_mean" in self.variables:
            return "norm"
        axes = len(self.variables["kernel"].shape) if "kernel" in self.variables else 0
        return {_KERNEL: "convolution", _MATRIX: "dense"}.get(axes, "other")

    def read(self, variable: str) -> Array | None:
        """Return an array, or ``None`` where the layer has no such variable."""
        dataset = self.variables.get(variable)
        if dataset is None:
            return None
        if dataset.external or dataset.is_virtual:
            raise WeightsError(f"{self.name}/{variable} lies in another file; it is not read")
        if not np.issubdtype(dataset.dtype, np.floating) or dataset.size > _LARGEST:
            raise WeightsError(
                f"{self.name}/{variable} is no tensor of weights: {dataset.dtype}, "
                f"shape {dataset.shape}"
            )
        try:
            return np.asarray(dataset[()])
        except OSError as error:
            raise WeightsError(f"{self.name}/{variable} is damaged: {error}") from error


@dataclass(frozen=True, slots=True)
class KerasFile:
    """The layers of a file in their order, and what its description of the model says.

    ``named`` is whether the layers have their own names, not only those of their classes.
    ``input_size`` is (height, width) where the file says it; ``rescales`` whether the model has a
    layer that changes the pixels' range by itself.
    """

    layers: Mapping[str, KerasLayer]
    named: bool
    input_size: tuple[int, int] | None
    rescales: bool


@contextmanager
def open_keras(path: Path) -> Iterator[KerasFile]:
    """Give the layers of a Keras file while it is open. Raise ``WeightsError`` if it is damaged,
    holds no weights or links to other files.
    """
    try:
        import h5py  # noqa: PLC0415  an extra, and slow to import
    except ImportError as error:
        raise WeightsError(
            f"{path}: reading Keras files needs h5py: pip install 'lookalike[convert]'"
        ) from error
    source: Path | io.BytesIO = path
    config: object = None
    with path.open("rb") as stream:
        zipped = stream.read(4) == b"PK\x03\x04"
    if zipped:
        source, config = _unzipped(path)
    try:
        file = h5py.File(source, "r")
    except OSError as error:
        raise WeightsError(
            f"{path}: cannot be opened as HDF5; it is damaged or cut off: {error}"
        ) from error
    with file:
        try:
            _refuse_links(file, h5py, seen=set())
            found = _contents(file, config)
        except _DAMAGE as error:
            raise WeightsError(f"{path}: is damaged: {error}") from error
        except WeightsError as error:
            raise WeightsError(f"{path}: {error}") from error
        if not found.layers:
            raise WeightsError(
                f"{path}: holds no weights of a Keras model; save them by "
                "model.save_weights('FILE.weights.h5') or model.save('FILE.h5')"
            )
        yield found


def _unzipped(path: Path) -> tuple[io.BytesIO, object]:
    try:
        with zipfile.ZipFile(path) as archive:
            weights = archive.getinfo("model.weights.h5")
            described = archive.getinfo("config.json")
            if weights.file_size > _WEIGHTS_LIMIT or described.file_size > _CONFIG_LIMIT:
                raise WeightsError(f"{path}: is too large")
            return io.BytesIO(archive.read(weights)), json.loads(archive.read(described))
    except (KeyError, ValueError, RuntimeError, OSError, zipfile.BadZipFile) as error:
        raise WeightsError(f"{path}: is no readable .keras file: {error}") from error


def _refuse_links(group: Any, h5py: Any, *, seen: set[int]) -> None:
    """A link may lead to any other file on this machine, and a second name for a group in circles.

    ``seen`` are the places in the file of the groups above and before.
    """
    place = h5py.h5o.get_info(group.id).addr
    if place in seen:
        raise WeightsError(f"the group {group.name} has two names; such files are not read")
    seen.add(place)
    for name in group:
        link = group.get(name, getlink=True)
        if not isinstance(link, h5py.HardLink):
            raise WeightsError(f"{group.name}/{name} is a link; links are not followed")
        child = group[name]
        if isinstance(child, h5py.Group):
            _refuse_links(child, h5py, seen=seen)


def _contents(file: Any, config: object) -> KerasFile:
    if config is None and "model_config" in file.attrs:
        text = file.attrs["model_config"]
        config = json.loads(text if isinstance(text, str) else bytes(text))
    root = file.get("model_weights", file)
    size, rescales = _described(config)
    if _listed(root, "layer_names") is not None:
        return KerasFile(_older(root), named=True, input_size=size, rescales=rescales)
    found = list(_newer(file))
    named = all(given is not None for given, _ in found)
    layers: dict[str, KerasLayer] = {}
    for given, one in found:
        one.name = given or one.name
        layers.setdefault(one.name, one)
    return KerasFile(layers, named=named, input_size=size, rescales=rescales)


def _listed(group: Any, attribute: str) -> list[str] | None:
    """Return an attribute that is a list of names; long ones are split into numbered parts."""
    parts = [attribute] if attribute in group.attrs else []
    while not parts or f"{attribute}{len(parts)}" in group.attrs:
        if f"{attribute}{len(parts)}" not in group.attrs:
            return None
        parts.append(f"{attribute}{len(parts)}")
    values = [value for part in parts for value in np.asarray(group.attrs[part]).ravel()]
    return [value.decode() if isinstance(value, bytes) else str(value) for value in values]


def _older(root: Any) -> dict[str, KerasLayer]:
    layers: dict[str, KerasLayer] = {}
    for group_name in _listed(root, "layer_names") or []:
        group = root[group_name]
        for weight in _listed(group, "weight_names") or []:
            *before, last = weight.split("/")
            match = _VARIABLE.fullmatch(last)
            if match is None:
                continue
            # "block1_conv1/kernel:0", "outer/block1_conv1/kernel" or just "block1_conv1_W_1:0"
            name = before[-1] if before else group_name
            variable = _MEANING.get(match[1], match[1])
            one = layers.setdefault(name, KerasLayer(name))
            one.variables.setdefault(variable, group[weight])
    return layers


def _newer(group: Any, name: str = "") -> Iterator[tuple[str | None, KerasLayer]]:
    """Yield the layers below a group, by class and number, with their own names if known."""
    if "vars" in group and len(group["vars"]):
        variables = group["vars"]
        given = variables.attrs.get("name")
        one = KerasLayer(name, _by_position([variables[key] for key in sorted(variables, key=int)]))
        if name.startswith("depthwise") and "kernel" in one.variables:
            one.variables["depthwise_kernel"] = one.variables.pop("kernel")
        if one.variables:
            yield (given.decode() if isinstance(given, bytes) else given), one
    for key in sorted(group, key=_numbered):
        if key != "vars" and hasattr(group[key], "keys"):
            yield from _newer(group[key], key)


def _by_position(datasets: list[Any]) -> dict[str, Any]:
    axes = [len(one.shape) for one in datasets]
    if axes == [1] * len(_NORM):
        return dict(zip(_NORM, datasets, strict=True))
    if axes[0] in (_MATRIX, _KERNEL) and axes[1:] in ([], [1]):
        return dict(zip(("kernel", "bias"), datasets, strict=False))
    return {}


def _numbered(key: str) -> tuple[str, int]:
    """Sort "conv2d_10" after "conv2d_9", and "conv2d" before "conv2d_1"."""
    stem, _, number = key.rpartition("_")
    return (stem, int(number)) if stem and number.isdecimal() else (key, 0)


def _described(config: object) -> tuple[tuple[int, int] | None, bool]:
    """Return the input size and whether there is a layer that rescales, from a model's config."""
    size: tuple[int, int] | None = None
    rescales = False
    waiting = [config]
    while waiting:
        match waiting.pop():
            case {"class_name": str(kind), "config": dict(inner)}:
                rescales = rescales or kind in ("Rescaling", "Normalization")
                shape = inner.get("batch_shape", inner.get("batch_input_shape"))
                match shape:
                    case [_, int(height), int(width), 3]:
                        size = size or (height, width)
                waiting.append(inner)
            case dict(values):
                waiting.extend(values.values())
            case list(values):
                waiting.extend(values)
    return size, rescales
