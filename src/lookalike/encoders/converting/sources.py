"""Which network a file holds: its layers under each naming, and the naming that fits."""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from lookalike.encoders.converting import keras_layers, torch_files
from lookalike.encoders.converting.keras_files import KerasFile
from lookalike.encoders.converting.layers import Layer
from lookalike.encoders.converting.naming import NAMINGS, Naming
from lookalike.encoders.converting.torch_files import Tensors
from lookalike.errors import WeightsError

__all__ = ["WeightsSource", "keras_sources", "recognise", "torch_sources"]

_NEARLY = 0.5  # of the layers: below this a file is of another network, not an incomplete one
_SHOWN = 3  # names in a message
_CONVOLUTION = 4  # axes of its weight


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightsSource:
    """A file's layers under one naming: ``has`` and ``read`` take the builder's names.

    ``strange`` are names of convolutions that look like the network's and are none of its.
    ``by_name`` is false where layers were taken in their order, because their names say nothing.
    """

    naming: Naming
    has: Callable[[str], bool]
    read: Callable[[str], Layer]
    strange: tuple[str, ...]
    by_name: bool = True

    @property
    def present(self) -> float:
        """The share of the needed layers that are there."""
        needed = [name for name in self.naming.names if name not in self.naming.optional]
        return sum(map(self.has, needed)) / len(needed)

    @property
    def extras(self) -> int:
        """How many of the layers are there that a file may lack."""
        return sum(map(self.has, self.naming.optional))


def keras_sources(file: KerasFile) -> Iterator[WeightsSource]:
    """Yield the file under each naming of Keras."""
    for naming in NAMINGS:
        if naming.framework == "keras":
            yield _keras_source(file, naming)


def torch_sources(tensors: Tensors) -> Iterator[WeightsSource]:
    """Yield the tensors under each naming of torchvision and timm."""
    for naming in NAMINGS:
        if naming.framework == "torch":
            yield _torch_source(tensors, naming)


def recognise(path: Path, sources: Iterable[WeightsSource], names: Iterable[str]) -> WeightsSource:
    """Return the source whose layers are all there. Raise ``WeightsError`` if there is none.

    ``names`` are those in the file, for the message.
    """
    best = max(sources, key=lambda one: (one.present, one.by_name, one.extras))
    if best.present < _NEARLY:
        shown = ", ".join(list(names)[:_SHOWN]) or "nothing"
        raise WeightsError(
            f"{path}: is not MobileNetV2, VGG16 or ResNet50 by the names of Keras, torchvision or "
            f"timm: it begins with {shown}. Export other networks to ONNX and add that file"
        )
    naming = best.naming
    for name, (own, norm) in naming.names.items():
        if name not in naming.optional and not best.has(name):
            beside = f" with its batch norm {norm}" if norm else ""
            raise WeightsError(
                f"{path}: is incomplete: {naming.title} needs the layer {own}{beside}"
            )
    if best.strange:
        shown = ", ".join(best.strange[:_SHOWN])
        raise WeightsError(
            f"{path}: is a larger network than {naming.title}: it also has {shown}. Export it to "
            "ONNX and add that file"
        )
    return best


def _keras_source(file: KerasFile, naming: Naming) -> WeightsSource:
    layers, by_name = keras_layers.named_like(file, naming)
    claimed = {own for own, _ in naming.names.values()}
    return WeightsSource(
        naming=naming,
        has=lambda name: keras_layers.has_layer(layers, naming, name),
        read=lambda name: keras_layers.read_layer(layers, naming, name),
        by_name=by_name,
        strange=tuple(
            name
            for name, one in layers.items()
            if one.kind in ("convolution", "depthwise")
            and name not in claimed
            and re.fullmatch(naming.family, name)
        ),
    )


def _torch_source(tensors: Tensors, naming: Naming) -> WeightsSource:
    prefix = torch_files.prefix_for(tensors, naming)
    claimed = {f"{prefix}{own}.weight" for own, _ in naming.names.values()}
    return WeightsSource(
        naming=naming,
        has=lambda name: torch_files.has_layer(tensors, prefix, naming, name),
        read=lambda name: torch_files.read_layer(tensors, prefix, naming, name),
        strange=tuple(
            name
            for name, array in tensors.items()
            if array.ndim == _CONVOLUTION
            and name not in claimed
            and name.startswith(prefix)
            and re.fullmatch(naming.family, name.removeprefix(prefix).removesuffix(".weight"))
        ),
    )
