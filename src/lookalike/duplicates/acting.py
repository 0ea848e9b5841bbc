"""Moving or deleting copies. Only what is surely still the copy that was found is touched."""

import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from lookalike import images
from lookalike.collection import Collection
from lookalike.duplicates.grouping import Group
from lookalike.errors import PictureError, SourceError
from lookalike.records import Item

__all__ = ["MOVED", "Outcome", "act"]

MOVED = "moved.jsonl"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of one copy: ``moved``, ``deleted`` or ``left`` with the reason.

    ``path`` is where the file was and ``target`` where it is now. In a dry run, what would have
    become of it.
    """

    item: Item
    done: str
    path: Path | None
    target: Path | None = None
    reason: str = ""


def act(
    collection: Collection,
    groups: Sequence[Group],
    *,
    move_to: Path | None = None,
    dry_run: bool = False,
    progress: Callable[[int, int], None] = lambda *_: None,
    stop: Callable[[], bool] = lambda: False,
) -> Iterator[Outcome]:
    """Move each group's copies below ``move_to``, or delete them where that is ``None``.

    The representative stays. Before each step both files are read: a copy is left, with the
    reason, when the representative is not there or not what was indexed, or the copy is not, or
    both are one file (a link, or a folder indexed twice). A moved file keeps its path below its
    root, never takes the place of another, and is written down in ``MOVED`` in that folder: a line
    of JSON each with ``id``, ``from``, ``to``, ``digest`` and the id of the ``kept`` one. What is
    gone is removed from the collection. When ``stop`` answers true, the rest is left.

    Raises ``SourceError`` when the folder to move to lies in one that is indexed, or cannot be
    made. Nothing happens until the answers are asked for.
    """
    if move_to is not None:
        _check_target(collection, move_to)
    total = sum(len(group.copies) for group in groups)
    taken: set[Path] = set()
    done = 0
    for group in groups:
        why_not = _unlike(collection, group.kept)
        for copy in group.copies:
            if stop():
                return
            if why_not:
                outcome = _left(copy.item, collection, f"of {group.kept.id}: {why_not}")
            else:
                outcome = _outcome(collection, group.kept, copy.item, move_to, taken)
            if outcome.done != "left" and not dry_run:
                outcome = _done(outcome)
                if outcome.done != "left":
                    collection.remove(copy.item.id)
                    if move_to is not None:
                        _write_down(move_to / MOVED, outcome, group.kept)
            if outcome.target is not None:
                taken.add(outcome.target)
            done += 1
            progress(done, total)
            yield outcome


def _check_target(collection: Collection, move_to: Path) -> None:
    place = move_to.resolve()
    for root in collection.roots():
        if place.is_relative_to(root.path):
            raise SourceError(
                f"{move_to} lies in {root.path}, which the collection indexes: the copies would "
                "come back; move them elsewhere"
            )
    if place.exists() and not place.is_dir():
        raise SourceError(f"{move_to} is a file; give a folder to move copies to")


def _unlike(collection: Collection, item: Item) -> str:
    """Why an item's file is not the one that was indexed; empty when it is."""
    path = collection.file_of(item)
    if path is None:
        return "it came as bytes, and there is no file of it"
    try:
        data = images.read(path, collection.limits)
    except PictureError as error:
        return error.reason
    return "" if images.digest(data) == item.digest else "it has changed since it was indexed"


def _left(item: Item, collection: Collection, reason: str) -> Outcome:
    return Outcome(item=item, done="left", path=collection.file_of(item), reason=reason)


def _outcome(
    collection: Collection, kept: Item, item: Item, move_to: Path | None, taken: Iterable[Path]
) -> Outcome:
    """What is to become of a copy; looks, and touches nothing."""
    reason = _unlike(collection, item)
    path, original = collection.file_of(item), collection.file_of(kept)
    if reason or path is None or original is None:
        return _left(item, collection, reason)
    if path.is_symlink():
        return _left(item, collection, "it is a link")
    if original.samefile(path):
        return _left(item, collection, f"it is the same file as {kept.id}")
    if move_to is None:
        return Outcome(item=item, done="deleted", path=path)
    target = _free(move_to / item.root / item.path, taken)
    return Outcome(item=item, done="moved", path=path, target=target)


def _free(target: Path, taken: Iterable[Path]) -> Path:
    """``target``, or with a number where something is there."""
    number, free = 2, target
    while free in taken or os.path.lexists(free):
        free = target.with_stem(f"{target.stem}-{number}")
        number += 1
    return free


def _done(outcome: Outcome) -> Outcome:
    """Do it; answers what was really done."""
    path, target = outcome.path, outcome.target
    assert path is not None  # noqa: S101 - an outcome without one is left
    try:
        if target is None:
            path.unlink()
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            _move(path, target)
    except OSError as error:
        why = error.strerror or type(error).__name__
        return Outcome(item=outcome.item, done="left", path=path, reason=why)
    return outcome


def _write_down(record: Path, outcome: Outcome, kept: Item) -> None:
    line = {
        "id": outcome.item.id,
        "from": str(outcome.path),
        "to": str(outcome.target),
        "digest": outcome.item.digest,
        "kept": kept.id,
    }
    try:
        with record.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line, ensure_ascii=False) + "\n")
    except OSError as error:
        raise SourceError(f"{record} cannot be written: {error.strerror}") from error


def _move(path: Path, target: Path) -> None:
    """Move a file to where none is: the name is taken first, so that no other is overwritten."""
    with target.open("xb"):
        pass
    try:
        try:
            path.replace(target)
        except OSError:  # another file system: copy whole, then remove
            shutil.copy2(path, target)
            path.unlink()
    except OSError:
        if path.exists():
            target.unlink(missing_ok=True)
        raise
