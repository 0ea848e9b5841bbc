"""Files of weights as frameworks write them, made without those frameworks.

write_legacy_h5(path, drawn("resnet50-keras"))      # random weights of the true shapes
write_real_mobilenetv2(path)                        # real ones, from beside the project
"""

import json
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray

from seeded_weights import seeded_array

__all__ = ["MOBILENETV2", "SHARED", "drawn", "write_legacy_h5", "write_real_mobilenetv2"]

GOLDEN = Path(__file__).parent / "golden"
SHARED = Path(__file__).parents[2] / "shared"
MOBILENETV2 = SHARED / "weights" / "mobilenetv2_imagenet.onnx"


def drawn(network: str, *, narrower: int = 1) -> dict[str, NDArray[np.float32]]:
    """The tensors of a network, by the framework's names; its layers so many times narrower."""
    shapes = json.loads(str(np.load(GOLDEN / f"converted-{network}.npz")["shapes"]))

    def narrow(side: int) -> int:
        return side // narrower if side >= 8 * narrower else side

    return {name: seeded_array(name, tuple(map(narrow, shape))) for name, shape in shapes}


def write_legacy_h5(path: Path, tensors: dict[str, NDArray[np.float32]]) -> None:
    """Write weights as ``model.save_weights("FILE.h5")`` of Keras 2 did."""
    import h5py  # noqa: PLC0415  an extra

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


def write_real_mobilenetv2(path: Path) -> None:
    """Write the weights of ``MOBILENETV2``, which somebody else made, as Keras would.

    That file has its batch norms folded, so those written beside the weights do nothing.
    """
    model = onnx.load(MOBILENETV2)
    arrays = {  # in half precision, under their names with "_h"
        one.name.removesuffix("_h"): onnx.numpy_helper.to_array(one).astype(np.float32)
        for one in model.graph.initializer
    }
    convolutions = [node for node in model.graph.node if node.op_type == "Conv"]
    tensors: dict[str, NDArray[np.float32]] = {}
    layers = dict.fromkeys(name.partition("/")[0] for name in drawn("mobilenetv2-keras"))
    kernels = [name for name in layers if not name.lower().endswith("bn") and name != "bn_Conv1"]
    norms = [name for name in layers if name not in kernels]
    for name, norm, node in zip(kernels, [*norms, ""], convolutions, strict=True):
        weight, bias = arrays[node.input[1]], arrays[node.input[2]]
        if not norm:  # the classifier, a convolution there
            tensors |= {f"{name}/kernel": weight[:, :, 0, 0].T, f"{name}/bias": bias}
            continue
        depthwise = name.endswith("depthwise")
        tensors[f"{name}/kernel"] = weight.transpose((2, 3, 0, 1) if depthwise else (2, 3, 1, 0))
        ones = np.ones_like(bias)
        tensors |= {f"{norm}/gamma": ones, f"{norm}/beta": bias}
        tensors |= {f"{norm}/moving_mean": 0 * ones, f"{norm}/moving_variance": ones * (1 - 1e-3)}
    write_legacy_h5(path, tensors)
