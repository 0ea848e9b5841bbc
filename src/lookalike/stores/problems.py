"""Sentences and marks of `doctor`, the same for every store. Pure."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from lookalike.core.records import Item

__all__ = ["awaiting", "awaits_encoding", "digest_awaiting", "sentence", "usable"]

_EXAMPLES = 5
_LONGEST = 60  # characters of an id in a sentence
_OFF = 0.01  # tolerance of a stored vector's length; half floats are off by 0.001


def sentence(one: str, many: str, ids: Sequence[object], *, done: str = "") -> str:
    """Return a problem as a sentence: how many, what, some ids, and what was done about it."""
    shown = ", ".join(str(each)[:_LONGEST] for each in ids[:_EXAMPLES])
    more = ", …" if len(ids) > _EXAMPLES else ""
    problem = f"{len(ids):,} {one if len(ids) == 1 else many} ({shown}{more})"
    return f"{problem}; {done}" if done else problem


def digest_awaiting(id: str) -> str:
    """Return the digest that an item has until it is encoded again.

    No file and no other item has it, so the item is neither unchanged nor a duplicate.
    """
    return hashlib.sha256(f"lookalike: to be encoded again\0{id}".encode()).hexdigest()


def awaiting(item: Item) -> Item:
    """Return the item with the mark that makes the next `index` encode it again."""
    return replace(item, digest=digest_awaiting(item.id), stamp=None)


def awaits_encoding(item: Item) -> bool:
    """Return whether an item was marked by ``awaiting`` and not encoded since."""
    return item.digest == digest_awaiting(item.id)


def usable(rows: NDArray[np.floating]) -> NDArray[np.bool_]:
    """Return which rows (n, dim) are unit vectors: finite, and of length 1 up to rounding."""
    with np.errstate(invalid="ignore", over="ignore"):
        lengths = np.linalg.norm(rows.astype(np.float32), axis=1)
        found: NDArray[np.bool_] = np.abs(lengths - 1) < _OFF  # NaN is not
    return found
