"""Read the file of an entry, and tell files that are still being written."""

import math
import time
from dataclasses import dataclass, replace
from pathlib import Path

from lookalike import images
from lookalike.core.records import BeingWritten, Entry, Remote, Skipped, Stamp
from lookalike.errors import ImageError, UnreadableImageError
from lookalike.sources.scan import stamp_of

__all__ = [
    "BEING_WRITTEN",
    "DEFAULT",
    "REMOTE",
    "ReadOptions",
    "being_written",
    "find_growing",
    "read_entry",
    "skip",
]

REMOTE = "its image is a URL; `lookalike download` fetches it"
BEING_WRITTEN = "still being written; the next run reads it"

_RECENT_S = 2.0  # a file that cannot be decoded and changed less long ago is looked at again
_AGAIN_S = 0.25  # so much later
_NS = 1e9


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadOptions:
    """Which files are read.

    With ``reread``, size and time do not make a file unchanged: each is read and its digest is
    compared. Files that changed less than ``settle`` seconds ago are not read. With ``look_again``,
    a new file that cannot be used is looked at a second time: it may have only begun.
    """

    reread: bool = False
    settle: float = 0.0
    look_again: bool = True

    def __post_init__(self) -> None:
        if not 0 <= self.settle < math.inf:
            raise ValueError(f"settle is {self.settle}; it must be a number of seconds, at least 0")

    def is_unsettled(self, stamp: Stamp | None) -> bool:
        """Return whether a file with this stamp has changed too recently to be read."""
        return stamp is not None and _is_younger(stamp, self.settle)


DEFAULT = ReadOptions()


def read_entry(
    entry: Entry, limits: images.Limits, reading: ReadOptions = DEFAULT
) -> tuple[Entry, bytes | BeingWritten]:
    """Return the bytes of an entry's image, and the entry with the stamp of what was read.

    A file that changes while it is read is still being written. Raise ``ImageError``.
    """
    if reading.is_unsettled(entry.stamp):
        return entry, being_written(entry)
    if isinstance(entry.image, Remote):
        raise UnreadableImageError(REMOTE)
    if isinstance(entry.image, bytes):
        return entry, entry.image
    before = stamp_of(entry.image)
    data = images.read(entry.image, limits=limits)
    after = stamp_of(entry.image)
    if before is not None and after is not None and before != after:
        return entry, being_written(entry)
    if entry.stamp is not None and after is not None:
        entry = replace(entry, stamp=after)  # it may have changed since it was listed
    return entry, data


def find_growing(unusable: list[Entry]) -> set[str]:
    """Return the ids of those entries whose file has only begun to be written.

    ``unusable`` are entries whose file could not be used. Where it was changed a moment ago, it is
    looked at again a moment later. Those that have changed by then are still being written.
    """
    fresh: dict[str, tuple[Path, Stamp]] = {}
    for entry in unusable:
        if isinstance(entry.image, Path) and entry.stamp is not None:
            stamp = stamp_of(entry.image)
            if stamp is not None and (stamp != entry.stamp or _is_younger(stamp, _RECENT_S)):
                fresh[entry.id] = entry.image, entry.stamp
    if not fresh:
        return set()
    if all(stamp_of(path) == stamp for path, stamp in fresh.values()):
        time.sleep(_AGAIN_S)
    return {one for one, (path, stamp) in fresh.items() if stamp_of(path) not in (stamp, None)}


def being_written(entry: Entry) -> BeingWritten:
    """Return the skip of a file that is still being written."""
    return BeingWritten(path=entry.path or entry.id, reason=BEING_WRITTEN)


def skip(entry: Entry, error: ImageError) -> Skipped:
    """Return the skip of an image that cannot be used."""
    # A file that could not be read may become readable without changing (permissions, a network
    # share), so no stamp is stored that would prevent the next try.
    stamp = None if isinstance(error, UnreadableImageError) else entry.stamp
    path = entry.path or entry.id
    if entry.line and entry.stamp is None:  # there is no file, so give the line that names it
        path = f"{path} ({entry.line})"
    return Skipped(path=path, reason=error.reason, stamp=stamp)


def _is_younger(stamp: Stamp, seconds: float) -> bool:
    """Return whether a file changed less than ``seconds`` ago; a time to come says nothing."""
    return seconds > 0 and 0 <= time.time() - stamp.mtime_ns / _NS < seconds
