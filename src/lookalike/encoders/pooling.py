"""From the output of a model to one vector for each image. Pure."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from lookalike.encoders.cards import Output

__all__ = ["pool"]

_TOKENS, _MAP = 3, 4  # axes: (n, tokens, channels), (n, channels, rows, columns) in some order
_LEAST = np.float32(1e-6)  # GeM takes a root of what may be 0 or below


def pool(rows: NDArray[Any], output: Output) -> NDArray[np.float32]:
    """Return the vectors, (n, dim) float32, pooled as the card says; not of length 1.

    ``rows`` is (n, …): without pooling it is flattened. The others take a map or tokens, but "cls"
    and "mean_tokens" tokens only. "gem" is the generalised mean of Radenović, Tolias and Chum,
    "Fine-tuning CNN Image Retrieval with No Human Annotation" (2018): mean(x^p)^(1/p) of what is
    above zero.

    Raise ``ValueError`` saying what does not fit.
    """
    values = rows.astype(np.float32, copy=False)  # half precision would lose by adding up
    if output.pooling != "none":
        values = _pooled(values, output)
    vectors = values.reshape(len(values), -1)
    if vectors.shape[1] != output.dim:
        raise ValueError(
            f"output.dim is {output.dim}, but the model gives {vectors.shape[1]} numbers"
        )
    return vectors


def _pooled(values: NDArray[np.float32], output: Output) -> NDArray[np.float32]:
    pooling = output.pooling
    axes: tuple[int, ...]
    tokens = pooling in {"cls", "mean_tokens"}
    if values.ndim not in ({_TOKENS} if tokens else {_TOKENS, _MAP}):
        wanted = "(n, tokens, channels)" if tokens else "a map or (n, tokens, channels)"
        raise ValueError(
            f'output.pooling = "{pooling}" needs {wanted}, but {output.name} is of shape '
            f"{values.shape}"
        )
    if pooling == "cls":
        return values[:, 0]
    if values.ndim == _TOKENS:
        if output.prefix_tokens >= values.shape[1]:
            raise ValueError(
                f"output.prefix_tokens is {output.prefix_tokens}, but {output.name} has "
                f"{values.shape[1]} tokens"
            )
        values, axes = values[:, output.prefix_tokens :], (1,)
    elif output.prefix_tokens:
        raise ValueError(
            f"output.prefix_tokens is for (n, tokens, channels), but {output.name} is of shape "
            f"{values.shape}"
        )
    else:
        axes = (2, 3) if output.layout == "nchw" else (1, 2)
    if pooling == "max":
        highest: NDArray[np.float32] = values.max(axis=axes)
        return highest
    if pooling == "gem":
        # The largest value is taken out first, so that no power overflows.
        top = np.maximum(values.max(axis=axes, keepdims=True), _LEAST)
        powers = (np.maximum(values, _LEAST) / top) ** np.float32(output.gem_p)
        root = powers.mean(axis=axes) ** np.float32(1 / output.gem_p)
        pooled: NDArray[np.float32] = root * top.reshape(root.shape)
        return pooled
    mean: NDArray[np.float32] = values.mean(axis=axes)
    return mean
