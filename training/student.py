"""The network that is trained, its vector, and the loss. Imports PyTorch."""

from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - PyTorch's own name for it
from numpy.typing import NDArray

from lookalike.analysis.finetuning.tail import State, Tail

__all__ = ["Average", "pooled", "relational_loss", "vectors"]

_Tensor: TypeAlias = Any  # torch.Tensor; not every environment that checks types has torch
_BATCH = 32


def pooled(tail: Tail, maps: NDArray[np.floating], spread: float) -> _Tensor:
    """Return the student's vectors before centring, (n, 2 · dim) or, without spread, (n, dim).

    The mean over positions of the last map at length 1, and beside it the standard deviation over
    positions, at length ``spread``.
    """
    last = tail.last_map(maps)
    mean = F.normalize(last.mean(dim=(2, 3)))
    if not spread:
        return mean
    deviation = (last.var(dim=(2, 3), correction=0) + 1e-6).sqrt()
    return torch.cat([mean, spread * F.normalize(deviation)], dim=1)


def vectors(tail: Tail, maps: NDArray[np.floating], spread: float) -> NDArray[np.float32]:
    """Return what ``pooled`` gives, without gradients, as an array."""
    with torch.inference_mode():
        parts = [
            pooled(tail, maps[start : start + _BATCH], spread).numpy()
            for start in range(0, len(maps), _BATCH)
        ]
    return np.concatenate(parts)


def relational_loss(
    student: _Tensor, target: _Tensor, bank: _Tensor, bank_target: _Tensor, temperature: float
) -> _Tensor:
    """Return how far the student's neighbours are from the target's, a scalar.

    ``student`` (b, d) and ``target`` (b, e) are unit rows of a batch, ``bank`` (m, d) and
    ``bank_target`` (m, e) those of other views. Each row's cosines with the bank become a
    distribution by softmax over ``temperature``; the loss is the mean Kullback-Leibler divergence
    from the target's to the student's (Tejankar et al., "ISD", 2021, arXiv 2012.09259). Nothing
    else is asked of the student, so its dimensions need not be the teacher's and no head is needed.
    """
    wanted = F.softmax(target @ bank_target.T / temperature, dim=1)
    found = F.log_softmax(student @ bank.T / temperature, dim=1)
    return F.kl_div(found, wanted, reduction="batchmean")


class Average:
    """A moving average of weights: smoother than the last step's, and usually better."""

    def __init__(self, state: State, decay: float) -> None:
        self.state: State = {name: value.clone() for name, value in state.items()}
        self._decay = decay

    def add(self, learned: Mapping[str, _Tensor]) -> None:
        with torch.no_grad():
            for name, value in learned.items():
                self.state[name].lerp_(value, 1 - self._decay)
