"""Find the pairs that are worth comparing: near by vector, or near by perceptual hash.

Vectors find cropped, framed or marked images; hashes find turned or shrunk ones. Pairs are computed
in blocks of some thousands, never as a full matrix.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from lookalike.core.cpus import usable_cores
from lookalike.core.vectors import Matrix

__all__ = [
    "BITS",
    "LEAST_COSINE",
    "NEAREST",
    "Pairs",
    "find_by_hash",
    "find_by_vector",
    "unite_pairs",
]

NEAREST = 6  # of each image by vector
LEAST_COSINE = 0.6
BITS = 4  # bits of 64 in which two hashes may differ
_BLOCK = 32_000_000  # scores at a time: 128 MB
_TILE = 1024
_GROUP = 64
_ROWS, _COLUMNS = 16, 8192  # hashes compared at once: 1 MB, four times as fast as 64 MB

Pairs: TypeAlias = NDArray[np.int64]  # (n, 2) positions, the smaller first, each pair once


def find_by_vector(
    vectors: Matrix, *, progress: Callable[[int], None] = lambda _: None
) -> Iterator[Pairs]:
    """Yield each row with its ``NEAREST`` others with a cosine of at least ``LEAST_COSINE``."""
    count = len(vectors)
    most = min(NEAREST, count - 1)
    if most < 1:
        return
    width = -(-count // _GROUP) * _GROUP
    step = max(1, min(_TILE, _BLOCK // width))
    scores = np.full((step, width), -1.0, np.float32)
    for start in range(0, count, step):
        some = scores[: min(step, count - start)]
        some[:, :count] = vectors[start : start + step] @ vectors.T
        rows = np.arange(len(some))
        some[rows, start + rows] = -1.0
        # The nearest are in the groups with the highest maxima; sorting these is cheap.
        groups = some.reshape(len(some), -1, _GROUP)
        chosen = np.argsort(-groups.max(2), axis=1)[:, :most]
        left = groups[rows[:, None], chosen].reshape(len(some), -1)
        near = np.argsort(-left, axis=1)[:, :most]
        row, place = np.nonzero(np.take_along_axis(left, near, axis=1) >= LEAST_COSINE)
        at = near[row, place]
        yield _order_pairs(row + start, chosen[row, at // _GROUP] * _GROUP + at % _GROUP)
        progress(min(start + step, count))


def find_by_hash(
    hashes: NDArray[np.uint64],
    *,
    bits: int = BITS,
    progress: Callable[[int], None] = lambda _: None,
) -> Iterator[Pairs]:
    """Yield pairs whose hashes differ in at most ``bits`` under one of the eight turns.

    ``hashes`` (n, 8) are those of ``signatures.hashes``. Compares all pairs: 8 turns times n²/2.
    """
    straight = np.ascontiguousarray(hashes[:, 0])
    count = len(straight)

    def block(start: int) -> list[Pairs]:
        found = []
        for low in range(start, min(start + _TILE, count), _ROWS):
            mine = hashes[low : low + _ROWS]
            for first in range(low, count, _COLUMNS):
                others = straight[first : first + _COLUMNS]
                least = np.full((len(mine), len(others)), 64, np.uint8)
                for turn in range(8):
                    apart = np.bitwise_count(mine[:, turn, None] ^ others[None, :])
                    np.minimum(least, apart, out=least)
                row, column = np.nonzero(least <= bits)
                later = column + first > row + low
                found.append(_order_pairs(row[later] + low, column[later] + first))
        return found

    with ThreadPoolExecutor(usable_cores()) as pool:
        for number, found in enumerate(pool.map(block, range(0, count, _TILE)), 1):
            yield from found
            progress(min(number * _TILE, count))


def unite_pairs(parts: Iterator[Pairs], count: int) -> Pairs:
    """Return every pair once, of positions below ``count``."""
    keys = [np.empty(0, np.int64)]
    for part in parts:
        keys.append(part[:, 0] * count + part[:, 1])
        if sum(map(len, keys[1:])) > len(keys[0]) + 1_000_000:
            keys = [np.unique(np.concatenate(keys))]
    both: Pairs = np.stack(np.divmod(np.unique(np.concatenate(keys)), max(count, 1)), axis=1)
    return both


def _order_pairs(first: NDArray[np.integer], second: NDArray[np.integer]) -> Pairs:
    low, high = np.minimum(first, second), np.maximum(first, second)
    return np.stack([low, high], axis=1).astype(np.int64)
