"""The number of processor cores that may be used."""

import os

__all__ = ["usable_cores"]


def usable_cores() -> int:
    """Return how many cores this process may use; in a container often fewer than there are."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
