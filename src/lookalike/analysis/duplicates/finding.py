"""Find the duplicates in a collection: exact ones by digest, near ones by pixels.

items → one for each digest → signatures → candidates (vector, hash) → compared → groups
"""

import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lookalike.analysis.duplicates import grouping
from lookalike.analysis.duplicates.grouping import Duplicate, DuplicateGroup, KeepRule
from lookalike.analysis.duplicates.near_duplicate import near_duplicate
from lookalike.analysis.duplicates.near_search import NearSearch
from lookalike.analysis.duplicates.signature_cache import SignatureCache
from lookalike.core.arguments import checked
from lookalike.core.filters import Condition
from lookalike.core.progress import ProgressCallback, ignore_progress
from lookalike.core.records import Item, Skipped

if TYPE_CHECKING:
    from lookalike.collection import Collection

__all__ = ["DuplicateReport", "find"]


@dataclass(frozen=True, slots=True, kw_only=True)
class DuplicateReport:
    """Groups of duplicates, largest first.

    ``items`` were examined. ``unread`` items have a file that is missing or cannot be decoded, or
    were added as bytes: only their exact duplicates are found. ``compared`` pairs were compared.
    ``interrupted``: stopped early, so near duplicates may be missing.
    """

    groups: tuple[DuplicateGroup, ...]
    items: int
    unread: tuple[Skipped, ...]
    compared: int
    interrupted: bool
    seconds: float

    @property
    def copies(self) -> int:
        return sum(len(group.duplicates) for group in self.groups)


@checked
def find(
    collection: "Collection",
    *,
    where: str | Condition | None = None,
    exact_only: bool = False,
    keep: KeepRule = "best",
    max_difference: float = 1.0,
    marked: bool = False,
    cache: Path | None = None,
    progress: ProgressCallback = ignore_progress,
    stop: Callable[[], bool] = lambda: False,
) -> DuplicateReport:
    """Return the duplicates among the items, all or those that meet a filter.

    Exact duplicates have the same bytes. Near duplicates are one image resized, recompressed,
    cropped by up to a tenth, mirrored or turned by quarters; with ``marked``, also images that
    differ in one place only, as with a watermark (or with another print on one shirt). ``keep``
    chooses the representative of a group (``grouping.rank``); every other item is a duplicate of
    the representative, not only of another duplicate. ``max_difference``, from 0 to 1, limits near
    duplicates. ``cache`` is a file that stores signatures for the next run. ``progress`` has the
    kind of comparison as its stage. Raise ``FilterError``, ``StoreError``.
    """
    began = time.monotonic()
    by_digest: dict[str, list[Item]] = defaultdict(list)
    count = 0
    for item in collection.items(where):
        by_digest[item.digest].append(item)
        count += 1
    for same in by_digest.values():
        same.sort(key=lambda item: grouping.rank(item, keep))
    firsts = [same[0] for same in by_digest.values()]
    unread: list[Skipped] = []
    compared = 0
    joined: list[tuple[int, dict[int, float]]] = []
    run: NearSearch | None = None
    if not exact_only and len(firsts) > 1:
        run = NearSearch(
            collection,
            firsts,
            SignatureCache(cache),
            progress,
            stop,
            most=max_difference,
            marked=marked,
        )
        run.read()
        unread = run.unread
        run.compare()
        compared = run.compared
        joined = run.groups(keep)
    return DuplicateReport(
        groups=_group(by_digest, joined, run),
        items=count,
        unread=tuple(unread),
        compared=compared,
        interrupted=not exact_only and stop(),
        seconds=time.monotonic() - began,
    )


def _group(
    by_digest: Mapping[str, list[Item]],
    joined: Sequence[tuple[int, dict[int, float]]],
    run: NearSearch | None,
) -> tuple[DuplicateGroup, ...]:
    """Return groups of items: near duplicates, and of each its exact duplicates."""
    groups = []
    taken: set[str] = set()
    for kept, others in joined if run is not None else ():
        assert run is not None  # noqa: S101 - asked in the line above
        item = run.items[kept]
        copies = _make_exact(by_digest[item.digest], 1.0)
        scores = run.scores(kept, list(others))
        for one, far in sorted(others.items(), key=lambda pair: (pair[1], pair[0])):
            same = by_digest[run.items[one].digest]
            copies += [
                near_duplicate(
                    each,
                    far,
                    run.turns[kept, one],
                    run.verdicts[kept, one],
                    score=scores[one],
                )
                for each in same
            ]
            taken.add(same[0].digest)
        taken.add(item.digest)
        groups.append(DuplicateGroup(kept=item, duplicates=tuple(copies)))
    groups += [
        DuplicateGroup(kept=same[0], duplicates=tuple(_make_exact(same, 1.0)))
        for digest, same in by_digest.items()
        if len(same) > 1 and digest not in taken
    ]
    return tuple(sorted(groups, key=lambda group: (-len(group.duplicates), group.kept.id)))


def _make_exact(same: Sequence[Item], score: float) -> list[Duplicate]:
    return [
        Duplicate(item=item, exact=True, difference=0.0, turn="", score=score, sure=True)
        for item in same[1:]
    ]
