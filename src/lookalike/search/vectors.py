"""Vectors as a query: from a file or an array to a unit vector."""

import io
import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lookalike.core.roots import expand_home
from lookalike.core.vectors import Vector, unit_rows

__all__ = ["check_vector", "load_vector", "parse_vector"]

_NPY = b"\x93NUMPY"
_MOST_BYTES = 8 * 2**20


def load_vector(path: str) -> NDArray[np.generic]:
    """Return the vector in a file, as ``parse_vector``. Raise ``ValueError``."""
    try:
        with Path(expand_home(path)).open("rb") as file:
            data = file.read(_MOST_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ValueError(f"{path}: the vector cannot be read: {reason}") from error
    return parse_vector(data, name=path)


def parse_vector(data: bytes, *, name: str) -> NDArray[np.generic]:
    """Return the (n,) vector in the bytes of a ``.npy`` file or a JSON list of numbers.

    An array of one row and ``{"vector": [...]}`` are read too. Raise ``ValueError``, which begins
    with ``name``.
    """
    if len(data) > _MOST_BYTES:
        raise ValueError(f"{name}: is larger than 8 MB, too large for a vector")
    try:
        found = _from_npy(data) if data.startswith(_NPY) else _from_json(data)
    except (ValueError, EOFError, RecursionError, OverflowError) as error:
        raise ValueError(
            f"{name}: holds no vector; give an array of one dimension as .npy, or a list of "
            "numbers as JSON"
        ) from error
    if found.ndim == 2 and len(found) > 1:  # noqa: PLR2004 - rows and columns
        raise ValueError(f"{name}: holds {len(found)} vectors; give a file with one")
    if found.ndim == 2:  # noqa: PLR2004 - as above
        found = found.reshape(-1)
    if found.ndim != 1:
        raise ValueError(f"{name}: holds an array of {found.ndim} dimensions, not a vector")
    return found


def _from_npy(data: bytes) -> NDArray[np.generic]:
    found: NDArray[np.generic] = np.load(io.BytesIO(data), allow_pickle=False)
    return found


def _from_json(data: bytes) -> NDArray[np.generic]:
    found = json.loads(data)
    if isinstance(found, dict):
        found = found.get("vector")
    if not isinstance(found, list):
        raise ValueError("not a list")  # noqa: TRY004 - as the other mistakes
    return np.asarray(found, dtype=np.float64)


def check_vector(source: object, *, dim: int | None, encoder: str = "") -> Vector:
    """Return an array of one dimension as a unit vector, (dim,) float32.

    Raise ``ValueError`` for another length than ``dim``, for values that are not finite numbers,
    and where all are 0.
    """
    vector = np.asarray(source)
    if vector.dtype.kind not in "iuf":
        raise ValueError(f"the vector has values of the type {vector.dtype}, not numbers")
    if dim is not None and len(vector) != dim:
        raise ValueError(
            f"the vector has {len(vector)} values, but embeddings here have {dim} ({encoder})"
        )
    wide = vector.astype(np.float64)
    bad = np.flatnonzero(~np.isfinite(wide))
    if bad.size:
        raise ValueError(
            f"value {bad[0] + 1} of the vector is {wide[bad[0]]}; all must be finite numbers"
        )
    if not wide.any():
        raise ValueError("all values of the vector are 0, so it has no direction")
    unit: Vector = unit_rows((wide / np.abs(wide).max())[None, :])[0]
    return unit
