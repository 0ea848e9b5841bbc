"""Numbers of more than 8 bits → 8 bits."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["stretch_to_bytes"]

_MOST = 0.9  # of the floats of an image that tell its range


def stretch_to_bytes(numbers: NDArray[Any]) -> NDArray[np.uint8]:
    """Return numbers of any shape whose range is not stated as bytes.

    It is the smallest of [0, 1] (floats only), [0, 255] and [0, 65535] that holds them all, else
    from the least to the greatest. Floats of which few lie outside of [0, 1], such as highlights,
    are clipped to it. NaN becomes black.
    """
    floats = numbers.dtype.kind == "f"
    values = np.array(numbers, dtype=np.float64)
    finite = values[np.isfinite(values)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
    if floats and finite.size and np.mean((finite >= 0) & (finite <= 1)) >= _MOST:
        low, high = max(low, 0.0), min(high, 1.0)
    for top in (1.0, 255.0, 65535.0) if floats else (255.0, 65535.0):
        if low >= 0 and high <= top:
            low, high = 0.0, top
            break
    with np.errstate(all="ignore"):  # infinities are replaced right after
        values -= low
        values *= 255 / (high - low) if high > low else 0
    np.nan_to_num(values, copy=False, nan=0, posinf=255, neginf=0)
    return np.rint(values.clip(0, 255, out=values), out=values).astype(np.uint8)
