"""The last stages of an EfficientNet-Lite in PyTorch: the part that is trained.

Batch norm keeps the mean and variance of its first training, so it is a scale and a shift, and both
fold into the convolution before it: the same function as ``efficientnet_lite.build_network``
writes, whose arrays are returned again. The content of a small batch never changes it.

Importing this imports PyTorch.
"""

from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - PyTorch's own name for it
from numpy.typing import NDArray

from lookalike.analysis.finetuning.quality import Recipe
from lookalike.core.vectors import Matrix, unit_rows
from lookalike.encoders.efficientnet_lite import EPSILON, STAGES, Block, blocks_of, same_padding
from lookalike.errors import EncoderError

__all__ = ["Head", "State", "Tail"]

State: TypeAlias = dict[str, Any]  # name → torch.Tensor
_Tensor: TypeAlias = Any  # torch.Tensor; not every environment that checks types has torch

_CONVOLUTIONS = (("_expand_conv", "_bn0"), ("_depthwise_conv", "_bn1"), ("_project_conv", "_bn2"))
_BATCH = 32  # images per batch without training: 17 MB between two layers of Lite0's stage 6


class Tail:
    """From the feature map of the frozen part to features, with trainable weights.

    The last ``stages`` of the network and the last convolution are trainable. ``arrays`` is the
    whole checkpoint.
    """

    def __init__(self, arrays: Mapping[str, NDArray[np.generic]], stages: int) -> None:
        self._blocks = [block for block in blocks_of(arrays) if block.stage >= STAGES - stages]
        self._all = arrays
        self.trainable: State = {}
        self._fixed: State = {}
        for conv, norm in self._convolutions():
            for name in (f"{conv}.weight", f"{norm}.weight", f"{norm}.bias"):
                self.trainable[name] = _tensor(arrays[name]).requires_grad_()
            for part in ("running_mean", "running_var"):
                self._fixed[f"{norm}.{part}"] = _tensor(arrays[f"{norm}.{part}"])

    def features(self, maps: NDArray[np.floating]) -> _Tensor:
        """Convert maps (n, rows, columns, channels) to features (n, dim) float32, not scaled."""
        return self.last_map(maps).mean(dim=(2, 3))

    def last_map(self, maps: NDArray[np.floating]) -> _Tensor:
        """Return the map whose mean the features are: (n, dim, rows, columns) float32."""
        # channels are last already, so this only declares it: the fastest order on a CPU
        hidden = torch.from_numpy(np.ascontiguousarray(maps, np.float32)).permute(0, 3, 1, 2)
        for block in self._blocks:
            hidden = self._block(hidden, block)
        return F.relu6(self._convolve(hidden, "_conv_head", "_bn1"))

    def vectors(self, maps: NDArray[np.floating]) -> Matrix:
        """Return unit vectors, (n, dim) float32, as the finished encoder computes them.

        Raise ``EncoderError`` if an image's features are zeros or not finite: the training
        diverged.
        """
        with torch.inference_mode():
            parts = [
                self.features(maps[start : start + _BATCH]).numpy()
                for start in range(0, len(maps), _BATCH)
            ]
        try:
            return unit_rows(np.concatenate(parts))
        except ValueError as error:
            raise EncoderError(f"the network gives no vector for an image: {error}") from error

    def state(self) -> State:
        """Return a copy of the trainable weights."""
        return {name: value.detach().clone() for name, value in self.trainable.items()}

    def load(self, state: State) -> None:
        with torch.no_grad():
            for name, value in state.items():
                self.trainable[name].copy_(value)

    def between(self, state: State, share: float) -> State:
        """Return the point ``share`` of the way from the first weights to ``state``, on a line."""
        return {
            name: torch.lerp(_tensor(self._all[name]), value, share)
            for name, value in state.items()
        }

    def arrays(self) -> dict[str, NDArray[np.generic]]:
        """Return the whole checkpoint with the trained weights."""
        return {
            **self._all,
            **{name: value.detach().numpy().copy() for name, value in self.trainable.items()},
        }

    def _convolutions(self) -> list[tuple[str, str]]:
        pairs = [
            (f"_blocks.{block.index}.{conv}", f"_blocks.{block.index}.{norm}")
            for block in self._blocks
            for conv, norm in _CONVOLUTIONS
        ]
        there = [(conv, norm) for conv, norm in pairs if f"{conv}.weight" in self._all]
        return [*there, ("_conv_head", "_bn1")]

    def _block(self, tensor: _Tensor, block: Block) -> _Tensor:
        prefix = f"_blocks.{block.index}."
        hidden = tensor
        if f"{prefix}_expand_conv.weight" in self.trainable:
            hidden = F.relu6(self._convolve(hidden, f"{prefix}_expand_conv", f"{prefix}_bn0"))
        hidden = self._convolve(
            hidden, f"{prefix}_depthwise_conv", f"{prefix}_bn1", stride=block.stride
        )
        hidden = self._convolve(F.relu6(hidden), f"{prefix}_project_conv", f"{prefix}_bn2")
        return hidden + tensor if block.skip else hidden

    def _convolve(self, tensor: _Tensor, conv: str, norm: str, *, stride: int = 1) -> _Tensor:
        weight = self.trainable[f"{conv}.weight"]  # (out, in / groups, k, k)
        scale = self.trainable[f"{norm}.weight"] * torch.rsqrt(
            self._fixed[f"{norm}.running_var"] + EPSILON
        )
        bias = self.trainable[f"{norm}.bias"] - self._fixed[f"{norm}.running_mean"] * scale
        kernel = weight.shape[-1]
        (top, bottom), (left, right) = (
            same_padding(size, kernel, stride) for size in tensor.shape[2:]
        )
        around: tuple[int, int] = (top, left)
        if (top, left) != (
            bottom,
            right,
        ):  # asymmetric, at the end, which convolutions do not support
            tensor, around = F.pad(tensor, (left, right, top, bottom)), (0, 0)
        return F.conv2d(
            tensor,
            weight * scale[:, None, None, None],
            bias,
            stride=stride,
            padding=around,
            groups=tensor.shape[1] // weight.shape[1],
        )


class Head:
    """A direction for each label; the cosines of an image's vector with them classify it.

    Normalised softmax: cosines over a temperature, with cross-entropy (Zhai and Wu, "Classification
    is a Strong Baseline for Deep Metric Learning", 2019, arXiv 1811.12649), so that training
    optimises what searching compares. The directions start as each label's mean vector (Qi, Brown
    and Lowe, "Low-Shot Learning with Imprinted Weights", 2018, arXiv 1712.07136): random ones would
    first pull the features apart. It is not part of the encoder.
    """

    def __init__(self, vectors: Matrix, classes: NDArray[np.intp], recipe: Recipe) -> None:
        means = np.stack([vectors[classes == one].mean(axis=0) for one in np.unique(classes)])
        self.directions = torch.from_numpy(unit_rows(means)).requires_grad_()  # (labels, dim)
        self._temperature = recipe.temperature
        self._smoothing = recipe.smoothing

    def loss(self, features: _Tensor, classes: NDArray[np.intp]) -> _Tensor:
        cosines = F.normalize(features) @ F.normalize(self.directions).T  # (n, labels)
        return F.cross_entropy(
            cosines / self._temperature,
            torch.from_numpy(classes.astype(np.int64)),
            label_smoothing=self._smoothing,
        )


def _tensor(array: NDArray[np.generic]) -> _Tensor:
    return torch.from_numpy(np.array(array, dtype=np.float32))
