"""Bootstrapped intervals of means: the effect of the random choice of queries."""

import numpy as np

from lookalike.analysis.evaluation.rankings import Values

__all__ = ["interval"]

_RESAMPLES = 1000


def interval(
    values: Values, *, seed: int = 0, resamples: int = _RESAMPLES
) -> tuple[Values, Values]:
    """Return 95 % percentile intervals of column means (q, m), by resampling rows: two of (m,).

    64 resamples are held in memory at once, as counts of how often each row was drawn.
    """
    count = len(values)
    rng = np.random.default_rng(seed)
    means = []
    for start in range(0, resamples, 64):
        drawn = np.empty((min(64, resamples - start), count))
        for row in drawn:
            row[:] = np.bincount(rng.integers(0, count, count), minlength=count)
        means.append(drawn @ values / count)
    low, high = np.percentile(np.concatenate(means), [2.5, 97.5], axis=0)
    return low, high
