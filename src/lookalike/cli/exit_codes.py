"""Exit codes of all commands; docs/cli.md has them as a table."""

from collections.abc import Sequence
from typing import Final

__all__ = [
    "DONE",
    "FAILED",
    "HELD_BACK",
    "INTERRUPTED",
    "LEFT_OUT",
    "NOTHING_FOUND",
    "USAGE",
    "of_batch",
]

DONE: Final = 0
FAILED: Final = 1  # an error, or everything failed
USAGE: Final = 2
LEFT_OUT: Final = 3  # partly done: some queries failed, or with --strict some images
HELD_BACK: Final = 4  # missing items were not removed, or a catalogue is damaged
NOTHING_FOUND: Final = 5  # search, similar, duplicates IMAGE
INTERRUPTED: Final = 130


def of_batch(outcomes: Sequence[bool | None]) -> int:
    """Return the exit code of several queries.

    ``outcomes`` holds one value per query: whether it found something, or ``None`` if it failed.
    """
    failed = outcomes.count(None)
    if failed:
        return FAILED if failed == len(outcomes) else LEFT_OUT
    return DONE if all(outcomes) else NOTHING_FOUND
