"""From the layers of a Keras file to those that the graph builders take."""

from collections.abc import Iterable, Iterator, Mapping

from lookalike.encoders.converting.keras_files import KerasFile, KerasLayer
from lookalike.encoders.converting.layers import Array, Layer, Norm, folded, layer
from lookalike.encoders.converting.naming import Naming
from lookalike.errors import WeightsError

__all__ = ["has_layer", "named_like", "read_layer"]

_OTHER_NAMES = {"Logits": "predictions"}  # MobileNetV2's classifier in older Keras


def named_like(file: KerasFile, naming: Naming) -> tuple[Mapping[str, KerasLayer], bool]:
    """Return the file's layers by the names that ``naming`` uses, and whether these are theirs.

    Where the file has only the names of classes, or those of another version of Keras, the layers
    are matched by their order, as Keras does it: the kinds must then be the same, one by one.
    """
    layers = {_OTHER_NAMES.get(name, name): one for name, one in file.layers.items()}
    if any(own in layers for own, _ in naming.names.values()):
        return layers, True
    wanted = list(_in_order(naming))
    ordered = _by_order(layers.values(), naming, wanted) if file.named else None
    if not file.named:
        ordered = _by_class(layers.values(), naming, wanted)
    return (layers, True) if ordered is None else (ordered, False)


def _by_order(
    layers: Iterable[KerasLayer], naming: Naming, wanted: list[tuple[str, str]]
) -> dict[str, KerasLayer] | None:
    """Match layers of any names one by one. Only MobileNetV2 has had other names in the past."""
    if naming.network != "mobilenetv2":
        return None
    found = [one for one in layers if one.kind != "other"]
    for count in (len(wanted), len(wanted) - len(naming.optional)):  # with and without classifier
        if [one.kind for one in found] == [kind for _, kind in wanted[:count]]:
            return {name: one for (name, _), one in zip(wanted, found, strict=False)}
    return None


def _by_class(
    layers: Iterable[KerasLayer], naming: Naming, wanted: list[tuple[str, str]]
) -> dict[str, KerasLayer] | None:
    """Match layers of which the class and the number within it are known."""
    by_kind: dict[str, list[KerasLayer]] = {}
    for one in layers:
        by_kind.setdefault(one.kind, []).append(one)
    for kind in ("convolution", "depthwise", "norm"):
        if len(by_kind.get(kind, [])) != sum(one == kind for _, one in wanted):
            return None
    if len(by_kind.get("dense", [])) != len(naming.optional):
        by_kind["dense"] = []  # somebody's own head
    turns = {kind: iter(ones) for kind, ones in by_kind.items()}
    pairs = ((name, next(turns.get(kind, iter(())), None)) for name, kind in wanted)
    return {name: one for name, one in pairs if one is not None}


def has_layer(layers: Mapping[str, KerasLayer], naming: Naming, name: str) -> bool:
    """Return whether the layer with the builder's ``name`` is there, with its batch norm."""
    own, norm = naming.names[name]
    return own in layers and (norm is None or norm in layers)


def read_layer(layers: Mapping[str, KerasLayer], naming: Naming, name: str) -> Layer:
    """Return the layer with the builder's ``name``. Raise ``WeightsError`` if it is not there."""
    own, norm = naming.names[name]
    found = _the_layer(layers, own, naming)
    origin = f"{own}/kernel"
    kernel = found.read("depthwise_kernel")
    depthwise = name.endswith("depthwise")
    if kernel is None:
        kernel = found.read("kernel")
    if kernel is None:
        raise WeightsError(f"layer {own} has no kernel, which {naming.title} needs")
    weight = _turned(kernel, origin, depthwise=depthwise)
    bias = found.read("bias")
    if norm is None:
        return layer(weight, bias, origin)
    beside = _the_layer(layers, norm, naming)
    mean, variance = beside.read("moving_mean"), beside.read("moving_variance")
    if mean is None or variance is None:
        raise WeightsError(f"layer {norm} has no mean and variance, which {naming.title} needs")
    parts = Norm(beside.read("gamma"), beside.read("beta"), mean, variance, naming.epsilon)
    return folded(weight, bias, parts, origin)


def _the_layer(layers: Mapping[str, KerasLayer], name: str, naming: Naming) -> KerasLayer:
    try:
        return layers[name]
    except KeyError:
        raise WeightsError(f"there is no layer {name}, which {naming.title} needs") from None


def _turned(kernel: Array, origin: str, *, depthwise: bool) -> Array:
    """From Keras's (height, width, in, out) to (out, in, height, width), dense to (out, in)."""
    if kernel.ndim == 2:  # noqa: PLR2004  in, out
        return kernel.T
    if kernel.ndim != 4:  # noqa: PLR2004
        raise WeightsError(f"{origin} has shape {kernel.shape}; a kernel has two or four axes")
    if depthwise:
        height, width, channels, each = kernel.shape
        return kernel.transpose(2, 3, 0, 1).reshape(channels * each, 1, height, width)
    return kernel.transpose(3, 2, 0, 1)


def _in_order(naming: Naming) -> Iterator[tuple[str, str]]:
    """Yield (layer, kind) in the order of Keras's ``model.layers``."""
    names = list(naming.names)
    for name in names:
        own, norm = naming.names[name]
        if name.endswith(".shortcut"):
            continue
        beside = f"{name.rpartition('.')[0]}.shortcut"
        shortcut = naming.names.get(beside) if name.endswith(".3") else None
        dense = name in ("classifier", "fc1", "fc2", "predictions")
        kind = "depthwise" if name.endswith("depthwise") else "dense" if dense else "convolution"
        if shortcut is not None:
            yield shortcut[0], "convolution"
        yield own, kind
        if shortcut is not None and shortcut[1] is not None:
            yield shortcut[1], "norm"
        if norm is not None:
            yield norm, "norm"
