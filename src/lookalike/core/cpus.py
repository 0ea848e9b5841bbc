"""How many processor cores there are to use."""

import os

__all__ = ["usable_cores"]


def usable_cores() -> int:
    """Cores that this process may use: fewer than the machine has, in many a container."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
