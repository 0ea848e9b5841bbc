"""Restore moved or trashed duplicates from the record of their removal."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from lookalike.analysis.duplicates import removal_record
from lookalike.analysis.duplicates.file_moves import move
from lookalike.analysis.duplicates.removal import DuplicateOutcome
from lookalike.analysis.duplicates.removal_record import InheritedValues, Removal
from lookalike.core.arguments import checked
from lookalike.core.digests import sha256_of
from lookalike.core.records import Entry, Item, Stamp
from lookalike.errors import ItemNotFoundError

if TYPE_CHECKING:
    from lookalike.collection import Collection


__all__ = ["undo"]


@checked
def undo(
    collection: "Collection", record: Path, *, dry_run: bool = False
) -> Iterator[DuplicateOutcome]:
    """Restore every file of a record that is still away, the last one first.

    A file is restored with its original bytes, never over an existing one, and its item with label,
    group and metadata; values that the kept item inherited are removed again if they are unchanged.
    An outcome is ``restored``, or ``left`` with the reason: the file was deleted permanently, is no
    longer where it was moved to, has changed, or its place is taken. Raise ``SourceError`` if the
    record cannot be read or written. Calling it twice does no harm.
    """
    entries = removal_record.read(record)
    for removal in reversed(entries):
        if removal.event in ("restored", "left"):
            continue
        reason = _why_not(removal)
        if not reason and not dry_run:
            reason = _put_back(collection, record, removal)
        yield DuplicateOutcome(
            item=removal.item,
            done="left" if reason else "restored",
            path=removal.target,
            target=removal.path,
            reason=reason,
            record=record,
        )


def _why_not(removal: Removal) -> str:
    """Return why a file cannot be restored; empty if it can be, or exists already."""
    if _is(removal.path, removal.item.digest):
        return ""
    if removal.path.exists() or removal.path.is_symlink():
        return "something else is now in its place"
    if removal.target is None:
        return "it was deleted for good"
    if not removal.target.exists():
        return f"it is no longer at {removal.target}"
    if not _is(removal.target, removal.item.digest):
        return f"{removal.target} has changed since"
    return ""


def _is(path: Path, digest: str) -> bool:
    try:
        return path.is_file() and sha256_of(path) == digest
    except OSError:
        return False


def _put_back(collection: "Collection", record: Path, removal: Removal) -> str:
    """Restore a file and its item; return why not, if that fails."""
    if not _is(removal.path, removal.item.digest):
        assert removal.target is not None  # noqa: S101 - asked before
        try:
            move(removal.target, removal.path)
        except OSError as error:
            return error.strerror or type(error).__name__
    reason = _restore_item(collection, removal)
    if not reason:
        removal_record.append(record, removal.key, "restored")
    return reason


def _restore_item(collection: "Collection", removal: Removal) -> str:
    item = removal.item
    taken = [one for one in [removal.kept] if one in collection]
    if item.id in collection:
        now = collection.get(item.id)
        if now.digest != item.digest:
            return "its file is back, but the collection has another image under its id"
        collection.store.items.update(
            [
                replace(
                    now,
                    label=item.label if now.label is None else now.label,
                    group=item.group if now.group is None else now.group,
                    metadata={**item.metadata, **now.metadata},
                )
            ]
        )
    else:
        found = removal.path.stat()
        report = collection.index(
            [
                Entry(
                    id=item.id,
                    image=removal.path,
                    root=item.root,
                    path=item.path,
                    stamp=Stamp(size=found.st_size, mtime_ns=found.st_mtime_ns),
                    label=item.label,
                    group=item.group,
                    metadata=item.metadata,
                )
            ]
        )
        if report.skipped:
            return f"its file is back, but was not indexed: {report.skipped[0].reason}"
    for one in taken:
        try:
            kept = collection.get(one)
        except ItemNotFoundError:
            continue
        collection.store.items.update([_disinherit(kept, removal.given)])
    return ""


def _disinherit(kept: Item, given: InheritedValues) -> Item:
    """Return the kept item without inherited values that are unchanged."""
    return replace(
        kept,
        label=None if given.label is not None and kept.label == given.label else kept.label,
        group=None if given.group is not None and kept.group == given.group else kept.group,
        metadata={
            name: value
            for name, value in kept.metadata.items()
            if name not in given.metadata or given.metadata[name] != value
        },
    )
