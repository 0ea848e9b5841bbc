"""Move or delete duplicates: only files that certainly still are the duplicates that were found.

both files read → digests → compared in full detail → record → moved → checked again
"""

import stat as file_kinds
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from lookalike import images
from lookalike.analysis.duplicates import removal_record
from lookalike.analysis.duplicates.confirming import SIDE_SURE, ImageView, confirm
from lookalike.analysis.duplicates.file_moves import free, move
from lookalike.analysis.duplicates.grouping import Duplicate, DuplicateGroup
from lookalike.analysis.duplicates.image_signatures import load_view
from lookalike.analysis.duplicates.near_duplicate import TURNS
from lookalike.analysis.duplicates.removal_record import InheritedValues
from lookalike.core.arguments import checked
from lookalike.core.progress import Progress, ProgressCallback, ignore_progress
from lookalike.core.records import Item
from lookalike.errors import ImageError, ItemNotFoundError, SourceError
from lookalike.sources.scan import TRASH

if TYPE_CHECKING:
    from lookalike.collection import Collection


__all__ = ["MOVED", "REMOVED", "DuplicateOutcome", "act"]

MOVED = "moved.jsonl"
REMOVED = "removed.jsonl"


@dataclass(frozen=True, slots=True, kw_only=True)
class DuplicateOutcome:
    """The outcome of one duplicate: ``moved``, ``trashed``, ``deleted``, or ``left`` (with the
    reason).

    ``path`` is where the file was and ``target`` where it is now; ``record`` is the file from which
    this can be undone. In a dry run, what would have happened.
    """

    item: Item
    done: str
    path: Path | None
    target: Path | None = None
    reason: str = ""
    record: Path | None = None


@checked
def act(
    collection: "Collection",
    groups: Sequence[DuplicateGroup],
    *,
    move_to: Path | None = None,
    permanently: bool = False,
    dry_run: bool = False,
    progress: ProgressCallback = ignore_progress,
    stop: Callable[[], bool] = lambda: False,
) -> Iterator[DuplicateOutcome]:
    """Move each group's duplicates below ``move_to``; without it, into the trash of their root.

    The trash is the folder ``.lookalike-trash`` in each indexed folder, so on the same disk, and is
    never indexed. ``permanently`` deletes instead. The representative stays.

    Before each step both files are read. A duplicate is left, with the reason, if either file is
    missing or is not what was indexed; if both are one file (a link, a folder that is reached by
    two paths); or if the aligned images differ at up to 2048 pixels in some place by more than a
    duplicate may. Every step is written to a record first: ``MOVED`` in ``move_to``, or ``REMOVED``
    in the trash, from which ``undo`` restores everything. A moved file never overwrites another.
    Removed files are removed from the collection; label, group and metadata that the representative
    lacks are passed to it. When ``stop`` returns true, the rest is left.

    Raise ``SourceError`` if the folder to move to is inside an indexed one, or a record cannot be
    written. Nothing happens until the outcomes are consumed.
    """
    if move_to is not None:
        _check_target(collection, move_to)
    run = _Run(collection, move_to, permanently=permanently)
    total = sum(len(group.duplicates) for group in groups)
    done = 0
    for group in groups:
        for copy in group.duplicates:
            if stop():
                return
            outcome = run.outcome(group.kept, copy, dry_run=dry_run)
            done += 1
            progress(Progress(done=done, total=total))
            yield outcome


def _check_target(collection: "Collection", move_to: Path) -> None:
    place = move_to.resolve()
    for root in collection.roots():
        if place.is_relative_to(root.path):
            raise SourceError(
                f"{move_to} lies in {root.path}, which the collection indexes, so the duplicates "
                "would be indexed again; move them elsewhere"
            )
    if place.exists() and not place.is_dir():
        raise SourceError(f"{move_to} is a file; give a folder to move duplicates to")


class _LeftError(Exception):
    """Raised when a file is left untouched; the message is the reason, as a phrase."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Step:
    """One file to move: ``before`` is its size and modification time when it was read."""

    path: Path
    original: Path
    target: Path
    before: tuple[int, int]


class _Run:
    """One call of ``act``: the targets, and the names that are in use."""

    def __init__(
        self, collection: "Collection", move_to: Path | None, *, permanently: bool
    ) -> None:
        self._collection = collection
        self._roots = {root.name: root.path for root in collection.roots()}
        self._move_to = move_to
        self._permanently = permanently
        self._stamp = f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
        self._folders: dict[str, Path] = {}
        self._record: Path | None = None
        self._taken: set[Path] = set()

    def outcome(self, kept: Item, copy: Duplicate, *, dry_run: bool) -> DuplicateOutcome:
        """Process one duplicate; change nothing in a dry run."""
        item = copy.item
        path = self._path(item)
        try:
            step = self._check(kept, copy)
            target = step.target
            if not dry_run:
                self._do(kept, copy, step)
        except _LeftError as left:
            return DuplicateOutcome(item=item, done="left", path=path, reason=str(left))
        if self._permanently:
            return DuplicateOutcome(item=item, done="deleted", path=path, record=self._record)
        return DuplicateOutcome(
            item=item,
            done="trashed" if self._move_to is None else "moved",
            path=path,
            target=target,
            record=self._record,
        )

    def _path(self, item: Item) -> Path | None:
        return (
            self._roots[item.root] / item.path if item.path and item.root in self._roots else None
        )

    def _target(self, item: Item) -> Path:
        if self._move_to is not None:
            return free(self._move_to / item.root / item.path, self._taken)
        if item.root not in self._folders:
            trash = self._roots[item.root] / TRASH
            self._folders[item.root] = free(trash / self._stamp)
        return free(self._folders[item.root] / "files" / item.path, self._taken)

    def _check(self, kept: Item, copy: Duplicate) -> "_Step":
        """Return what is to be done, once all is well. Raise ``_LeftError``."""
        item = copy.item
        original, path = self._path(kept), self._path(item)
        kept_data, _ = self._read(kept, original, f"of {kept.id}: ")
        data, before = self._read(item, path, "")
        assert original is not None  # noqa: S101 - read
        assert path is not None  # noqa: S101 - read
        if path.is_symlink():
            raise _LeftError("it is a link")
        if original.samefile(path):
            raise _LeftError(f"it is the same file as {kept.id}")
        if kept.digest != item.digest:
            try:
                first, second = (
                    load_view(one, side=SIDE_SURE, limits=self._collection.limits)
                    for one in (kept_data, data)
                )
            except ImageError as error:
                raise _LeftError(error.reason) from error
            _check_same(first, second, copy.turn)
        target = self._target(item)
        self._taken.add(target)
        return _Step(path=path, original=original, target=target, before=before)

    def _read(self, item: Item, path: Path | None, of: str) -> tuple[bytes, tuple[int, int]]:
        """Return a file's bytes with its size and time, if it is the one that was indexed."""
        if path is None:
            raise _LeftError(f"{of}it was added as bytes and has no file")
        try:
            before = _read_state(path)
            data = images.read(path, self._collection.limits)
        except ImageError as error:
            raise _LeftError(of + error.reason) from error
        if images.digest(data) != item.digest:
            raise _LeftError(f"{of}it has changed since it was indexed")
        return data, before

    def _do(self, kept: Item, copy: Duplicate, step: "_Step") -> None:
        """Record, move, check again, and only then remove the item. Raise ``_LeftError``."""
        try:
            now, item = (self._collection.get(one.id) for one in (kept, copy.item))
        except ItemNotFoundError as error:
            raise _LeftError("one of the two is no longer in the collection") from error
        if (now.digest, item.digest) != (kept.digest, copy.item.digest):
            raise _LeftError("the collection now has another image under its id")
        given = _choose_inherited(now, item)
        if self._record is None:
            self._record = self._create_record(item)
        key = removal_record.begin(
            self._record,
            item=item,
            path=step.path,
            target=None if self._permanently else step.target,
            kept=now,
            kept_path=step.original,
            given=given,
            facts={
                "exact": copy.item.digest == kept.digest,
                "difference": copy.difference,
                "score": round(copy.score, 6),
            },
        )
        try:
            self._move(kept, step)
        except _LeftError as left:
            removal_record.append(self._record, key, "left", reason=str(left))
            raise
        removal_record.append(self._record, key, "deleted" if self._permanently else "moved")
        self._collection.store.items.update([_inherit(now, given)])
        self._collection.remove(item.id)

    def _create_record(self, item: Item) -> Path:
        if self._move_to is not None:
            return self._move_to / MOVED
        return self._folders[item.root] / REMOVED

    def _move(self, kept: Item, step: "_Step") -> None:
        """Move a file away, and back if it was another file or the kept one moved with it."""
        path, target = step.path, step.target
        try:
            move(path, target)
        except OSError as error:
            raise _LeftError(error.strerror or type(error).__name__) from error
        why = ""
        try:
            if _read_state(target) != step.before:
                why = "it was changed while it was looked at"
            else:  # one file under two paths that the system does not know to be one
                self._read(kept, step.original, f"of {kept.id}: ")
            if not why and self._permanently:
                target.unlink()
        except (ImageError, OSError) as error:
            why = str(error)
        except _LeftError as left:
            why = str(left)
        if why:
            _move_back(target, path)
            raise _LeftError(why)


def _move_back(target: Path, path: Path) -> None:
    try:
        move(target, path)
    except OSError as error:
        raise SourceError(
            f"{path} was moved to {target} and could not be put back: {error.strerror}"
        ) from error


def _read_state(path: Path) -> tuple[int, int]:
    """Return size and modification time of a regular file. Raise ``ImageError``."""
    try:
        found = path.stat()
    except OSError as error:
        raise ImageError("there is no such file") from error
    if not file_kinds.S_ISREG(found.st_mode):
        raise ImageError("it is not a file")
    return found.st_size, found.st_mtime_ns


def _check_same(kept: ImageView, copy: ImageView, turn: str) -> None:
    verdict = confirm(kept, copy, turn=TURNS.index(turn) if turn in TURNS else 0, side=SIDE_SURE)
    if not verdict.sure:
        raise _LeftError(f"not surely the same image: {verdict.reason}")


def _choose_inherited(kept: Item, item: Item) -> InheritedValues:
    """Return what the kept item lacks and the other has."""
    return InheritedValues(
        label=item.label if kept.label is None else None,
        group=item.group if kept.group is None else None,
        metadata={
            name: value for name, value in item.metadata.items() if name not in kept.metadata
        },
    )


def _inherit(kept: Item, given: InheritedValues) -> Item:
    return replace(
        kept,
        label=kept.label if given.label is None else given.label,
        group=kept.group if given.group is None else given.group,
        metadata={**kept.metadata, **given.metadata},
    )
