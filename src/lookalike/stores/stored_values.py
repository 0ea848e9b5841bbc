"""Convert vectors and file stamps as every store keeps them."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from lookalike.core.records import Stamp
from lookalike.errors import StoreDamagedError

__all__ = ["matrix_of", "stamp_of"]


def stamp_of(size: int | None, mtime_ns: int | None) -> Stamp | None:
    return None if size is None or mtime_ns is None else Stamp(size, mtime_ns)


def matrix_of(blobs: Sequence[bytes], dim: int) -> NDArray[np.float16]:
    """Return stored vectors as (n, dim) float16."""
    try:
        return np.frombuffer(b"".join(blobs), dtype="<f2").reshape(len(blobs), dim)
    except ValueError as error:
        raise StoreDamagedError(
            "a stored vector has the wrong length; `lookalike doctor --repair` finds it, and "
            "`lookalike index` then encodes it again"
        ) from error
