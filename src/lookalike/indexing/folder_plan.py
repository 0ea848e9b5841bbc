"""Compare a scan of a folder with what is stored. Pure."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from lookalike.core.records import Skipped, Stamp
from lookalike.sources.scan import Listing

__all__ = ["FolderPlan", "plan_folder"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderPlan:
    """What a folder's scan means for the stored items.

    ``work`` are paths to read; ``vanished`` are ids of items whose file no longer exists; ``kept``
    counts items that were not found but whose place could not be searched. ``skipped`` failed
    before and are unchanged. ``recovered`` are paths whose stored skip no longer applies.
    """

    work: tuple[str, ...]
    unchanged: int
    vanished: tuple[str, ...]
    kept: int
    skipped: tuple[Skipped, ...]
    recovered: tuple[str, ...]


def plan_folder(
    listing: Listing,
    known: Mapping[str, tuple[str, Stamp | None]],
    skips: Mapping[str, Skipped],
    *,
    retry: bool = False,
    reread: bool = False,
    bare: Collection[str] = (),
) -> FolderPlan:
    """Compare a scan with what is stored; change nothing.

    ``known`` and ``skips`` are the store's items and skips of the same root and folder, by path.
    With ``retry``, unusable files are tried again even if they are unchanged. With ``reread``, no
    file counts as unchanged. ``bare`` are ids of
    items that lack a thumbnail; their files are read even if unchanged.
    """
    work, again = [], []
    unchanged = 0
    for path, stamp in listing.files.items():
        before = known.get(path)
        if reread:
            work.append(path)
        elif before is not None and before[1] == stamp and before[0] not in bare:
            unchanged += 1
        elif (skip := skips.get(path)) is not None and skip.stamp == stamp and not retry:
            again.append(skip)
        else:
            work.append(path)
    # An item without a path was added as bytes: it has no file that could vanish.
    gone = [(path, known[path][0]) for path in known.keys() - listing.files.keys() if path]
    vanished = sorted(one for path, one in gone if listing.covers(path))
    recovered = [
        path
        for path in skips
        if (
            listing.covers(path)
            if path not in listing.files
            else (before := known.get(path)) is not None and before[1] == listing.files[path]
        )
    ]
    return FolderPlan(
        work=tuple(work),
        unchanged=unchanged,
        vanished=tuple(vanished),
        kept=len(gone) - len(vanished),
        skipped=(*listing.skipped, *again),
        recovered=tuple(sorted(recovered)),
    )
