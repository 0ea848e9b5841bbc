"""Reading the tensors out of files of PyTorch: checkpoints and safetensors. Nothing is run."""

from collections.abc import Mapping
from pathlib import Path

from lookalike.encoders.checkpoint import read_checkpoint
from lookalike.encoders.converting.layers import Array, Layer, Norm, folded, layer
from lookalike.encoders.converting.naming import Naming
from lookalike.errors import WeightsError

__all__ = ["has_layer", "prefix_for", "read_layer", "read_safetensors", "read_torch"]

Tensors = Mapping[str, Array]

_ADVICE = (
    "save only the weights: torch.save(model.state_dict(), FILE), or safetensors.torch.save_file"
)


def read_torch(path: Path) -> Tensors:
    """Return the tensors of a checkpoint. Raise ``WeightsError`` if it holds more than data."""
    try:
        return read_checkpoint(path.read_bytes(), nested=True)
    except OSError as error:
        raise WeightsError(f"{path}: cannot be read: {error.strerror or error}") from error
    except WeightsError as error:
        raise WeightsError(f"{path}: {error}; {_ADVICE}") from error


def read_safetensors(path: Path) -> Tensors:
    """Return the tensors of a safetensors file. Raise ``WeightsError`` if it is damaged."""
    try:
        import ml_dtypes  # noqa: F401, PLC0415  comes with onnx and brings bfloat16 to NumPy
        from safetensors import SafetensorError  # noqa: PLC0415  an extra
        from safetensors.numpy import load_file  # noqa: PLC0415
    except ImportError as error:
        raise WeightsError(
            f"{path}: reading safetensors needs safetensors: pip install 'lookalike[convert]'"
        ) from error
    try:
        tensors: dict[str, Array] = load_file(path)
    except OSError as error:
        raise WeightsError(f"{path}: cannot be read: {error.strerror or error}") from error
    except SafetensorError as error:
        raise WeightsError(f"{path}: is a damaged safetensors file: {error}") from error
    except (AttributeError, KeyError, TypeError, ValueError) as error:  # no such dtype
        raise WeightsError(
            f"{path}: has tensors of a type that NumPy lacks ({error}); save them as float32"
        ) from error
    return tensors


def prefix_for(tensors: Tensors, naming: Naming) -> str:
    """Return what stands before the naming's names in the file, like "module." or "backbone."."""
    best, most = "", 0
    first = [f"{own}.weight" for own, _ in list(naming.names.values())[1:3]]
    found = {name[: -len(one)] for one in first for name in tensors if name.endswith(one)}
    for prefix in sorted(found | {""}):
        if prefix and not prefix.endswith("."):
            continue
        count = sum(f"{prefix}{own}.weight" in tensors for own, _ in naming.names.values())
        if count > most:
            best, most = prefix, count
    return best


def has_layer(tensors: Tensors, prefix: str, naming: Naming, name: str) -> bool:
    """Return whether the layer with the builder's ``name`` is there, with its batch norm."""
    own, norm = naming.names[name]
    there = f"{prefix}{own}.weight" in tensors
    return there and (norm is None or f"{prefix}{norm}.running_mean" in tensors)


def read_layer(tensors: Tensors, prefix: str, naming: Naming, name: str) -> Layer:
    """Return the layer with the builder's ``name``. Raise ``WeightsError`` if it is not there."""
    own, norm = naming.names[name]

    def tensor(full: str) -> Array:
        try:
            return tensors[f"{prefix}{full}"]
        except KeyError:
            raise WeightsError(
                f"there is no tensor {prefix}{full}, which {naming.title} needs"
            ) from None

    origin = f"{prefix}{own}.weight"
    weight = tensor(f"{own}.weight")
    if naming.network == "vgg16" and name in naming.optional:
        weight = weight.reshape(len(weight), -1)  # timm's are convolutions
    bias = tensors.get(f"{prefix}{own}.bias")
    if norm is None:
        return layer(weight, bias, origin)
    mean, variance = tensor(f"{norm}.running_mean"), tensor(f"{norm}.running_var")
    gamma, beta = tensors.get(f"{prefix}{norm}.weight"), tensors.get(f"{prefix}{norm}.bias")
    return folded(weight, bias, Norm(gamma, beta, mean, variance, naming.epsilon), origin)
