"""Weights that were trained further, as a small file beside a card: only the arrays that changed.

The rest comes from the base encoder's own package. So a trained encoder costs a few megabytes, and
its classifier and every output of the base stay available (docs/decisions/0046-training.md).
"""

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from lookalike.errors import WeightsError

__all__ = ["read_trained", "trained_bytes"]

Arrays: TypeAlias = dict[str, NDArray[np.generic]]

_DAMAGE = (ValueError, OSError, EOFError, KeyError, zipfile.BadZipFile, NotImplementedError)


def read_trained(content: bytes, path: Path, base: Mapping[str, NDArray[np.generic]]) -> Arrays:
    """Return the arrays in the content of a file that ``trained_bytes`` made, as float32.

    Raise ``WeightsError`` for a file that is damaged, or holds an array that ``base`` does not have
    in that shape.
    """
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as file:
            arrays = {name: file[name].astype(np.float32) for name in file.files}
    except _DAMAGE as error:
        raise WeightsError(f"{path}: cannot be read as a file of weights: {error}") from error
    for name, array in arrays.items():
        known = base.get(name)
        if known is None or known.shape != array.shape:
            wanted = "no such array" if known is None else f"shape {known.shape}"
            raise WeightsError(
                f"{path}: {name} has shape {array.shape}, but the base encoder has {wanted}"
            )
    return dict(arrays)


def trained_bytes(arrays: Mapping[str, NDArray[np.generic]]) -> bytes:
    """Return arrays as the content of an ``.npz`` file, stored as float16, in order of their names.

    Raise ``ValueError`` for a value that float16 cannot hold.
    """
    with np.errstate(over="ignore"):  # found below, by name
        halves = {name: arrays[name].astype(np.float16) for name in sorted(arrays)}
    for name, half in halves.items():
        if not np.isfinite(half).all():
            raise ValueError(f"{name} holds values that float16 cannot hold")
    file = io.BytesIO()
    np.savez(file, **halves)  # type: ignore[arg-type] # numpy's stub takes the names for options
    return file.getvalue()
