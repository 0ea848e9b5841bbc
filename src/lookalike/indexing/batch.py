"""Turn entries into a batch: compare each with the store, and prepare new images for the encoder.

    entries → read → digest → (known? keep, or reuse) → decode → prepare

The store is queried once per batch, not once per image: on a server, each request is a round trip.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple, TypeAlias

import numpy as np

from lookalike import images
from lookalike.core.ids import id_problem, is_text
from lookalike.core.manual_edits import NOTHING, ManualEdits, read_edits
from lookalike.core.protocols import Encoder, Prepared, Store
from lookalike.core.records import BeingWritten, Entry, Item, Skipped, Thumbnail, id_of
from lookalike.core.vectors import Vector
from lookalike.errors import ImageError
from lookalike.indexing.file_reading import (
    DEFAULT,
    ReadOptions,
    being_written,
    find_growing,
    read_entry,
    skip,
)
from lookalike.indexing.side_content import SideContent
from lookalike.indexing.stored_copies import StoredCopy, find_copies
from lookalike.regions.records import Regions

__all__ = ["TAKEN", "Batch", "load", "taken"]

TAKEN = "another image has its id"

# Files are held in memory, up to this many bytes and one file more, until the store has been
# queried about them: 64 product images are a few MB, but 64 of 10 MB are too much per thread.
_HELD = 16 * 2**20
_NOTHING: Prepared = np.empty((0, 0, 3), np.uint8)  # of an image that was encoded before
_SHOWN = 100  # characters of an id in a message


@dataclass(slots=True)
class Batch:
    """The entries of a batch after reading.

    ``encode`` are new images; ``vectors`` are the embeddings of those that were encoded before,
    to fit a projection, by digest. ``reuse`` are copies whose vector is stored, ``update``
    items with new annotations only, and ``same`` counts the unchanged ones. ``arrived`` maps
    ids to the entries of new content, ``before`` to the items that it replaces. ``relabelled``
    counts items whose label, group or metadata changed; ``kept_by_hand`` items for which the
    source disagrees with manual edits, which were kept; ``overwritten`` holds the manual edits
    that remain for other items. ``thumbnails`` are keyed by the digest of their image; ``bare``
    items exist and lack theirs. ``replaced`` are ids of items that had other content; ``fresh``
    entries must not replace anything. ``regions`` are keyed by digest too. ``blank`` maps the
    digests of blank images to a path, and ``noted`` has what decoding notes, with the paths.
    """

    encode: list[tuple[Item, Prepared]]
    reuse: list[tuple[Item, Vector]]
    update: list[Item]
    same: int
    skipped: list[tuple[Entry, Skipped]]
    size: int
    thumbnails: dict[str, Thumbnail] = field(default_factory=dict)
    bare: list[Item] = field(default_factory=list)
    regions: dict[str, Regions] = field(default_factory=dict)
    arrived: dict[str, Entry] = field(default_factory=dict)
    before: dict[str, Item] = field(default_factory=dict)
    relabelled: int = 0
    kept_by_hand: int = 0
    overwritten: dict[str, ManualEdits] = field(default_factory=dict)
    replaced: set[str] = field(default_factory=set)
    fresh: dict[str, Entry] = field(default_factory=dict)
    vectors: Mapping[str, Vector] = field(default_factory=dict)
    blank: dict[str, str] = field(default_factory=dict)
    noted: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Annotator:
    """Applies annotations: manual edits win unless the source may ``overwrite`` them."""

    batch: Batch
    by_hand: Mapping[str, ManualEdits]
    overwrite: bool

    def describe(self, item: Item, entry: Entry) -> Item:
        """Return the item with the label, group and metadata that the entry gives; others stay."""
        entry = _drop_cut_annotations(item, entry)
        updated = replace(
            item,
            root=entry.root,
            path=entry.path,
            stamp=entry.stamp,
            label=item.label if entry.label is None else entry.label,
            group=item.group if entry.group is None else entry.group,
            metadata=item.metadata if entry.metadata is None else entry.metadata,
        )
        hand = self.by_hand.get(item.id, NOTHING)
        return (hand.without(entry) if self.overwrite else hand).over(updated)

    def count(self, before: Item, item: Item, entry: Entry) -> None:
        """Count what happened to the annotations of an existing item."""
        entry = _drop_cut_annotations(before, entry)
        values = [(one.label, one.group, dict(one.metadata)) for one in (before, item)]
        self.batch.relabelled += values[0] != values[1]
        hand = self.by_hand.get(item.id, NOTHING)
        if hand.against(entry) and not self.overwrite:
            self.batch.kept_by_hand += 1
        elif self.overwrite and (rest := hand.without(entry)) != hand:
            self.batch.overwritten[item.id] = rest


class _File(NamedTuple):
    """The bytes of an entry that its item does not have yet."""

    data: bytes
    digest: str


_Read: TypeAlias = Item | Skipped | _File
"""The result of reading an entry by itself: an item with unchanged content and current annotations;
a skipped entry; or new content."""


def load(
    entries: Sequence[Entry],
    store: Store,
    encoder: Encoder,
    limits: images.Limits,
    *,
    side: int | None = None,
    regions: int = 0,
    overwrite_by_hand: bool = False,
    reading: ReadOptions = DEFAULT,
    vectors: Mapping[str, Vector] | None = None,
) -> Batch:
    """Read, compare, decode and prepare one batch. Runs on a reader thread.

    ``vectors`` are embeddings that are known already, by digest. With ``side``, each item gets a
    thumbnail of this many pixels, and at most ``regions`` regions. Manual edits are kept unless
    ``overwrite_by_hand``. Files that are still being written are skipped.
    """
    batch = Batch([], [], [], 0, [], len(entries), vectors=vectors or {})
    known = store.items.get([entry.id for entry in entries if is_text(entry.id)])
    content = SideContent(
        batch=batch, store=store, encoder=encoder, side=side, regions=regions, limits=limits
    )
    content.look_up(known.values())
    annotated = [one.id for one in entries if one.id in known and _has_annotations(one)]
    hands = read_edits(store, annotated) if annotated else {}
    annotator = _Annotator(batch=batch, by_hand=hands, overwrite=overwrite_by_hand)
    waiting: list[tuple[Entry, _Read]] = []
    held = 0
    seen: set[str] = set()
    for place, entry in enumerate(entries, 1):
        before = known.get(entry.id)
        refusal = (
            taken(entry)
            if entry.fresh and entry.id in seen
            else _refuse_bad_id(entry, before) or _refuse_other_root(entry, before)
        )
        seen.add(entry.id)
        waiting.append(
            (entry, refusal)
            if refusal is not None
            else _read(entry, before, content, annotator, reading)
        )
        if isinstance(read := waiting[-1][1], _File):
            held += len(read.data)
        if held < _HELD and place < len(entries):
            continue
        files = [read for _, read in waiting if isinstance(read, _File)]
        digests = {file.digest for file in files}
        copies = find_copies(store, digests, side) if files else {}
        content.look_for_regions(digests)
        for one, found in waiting:
            copy = copies.get(found.digest) if isinstance(found, _File) else None
            before = known.get(one.id)
            _add(content, annotator, one, found, before=before, copy=copy, encoder=encoder)
        waiting, files, held = [], [], 0
    if reading.look_again:
        growing = find_growing([one for one, _ in batch.skipped])
        batch.skipped = [
            (one, being_written(one) if one.id in growing else skipped)
            for one, skipped in batch.skipped
        ]
    return batch


def _drop_cut_annotations(item: Item, entry: Entry) -> Entry:
    """Return the entry without annotations if they may be cut off and the item already has some."""
    if entry.partial and (item.label is not None or item.group is not None or item.metadata):
        return replace(entry, label=None, group=None, metadata=None)
    return entry


def _has_annotations(entry: Entry) -> bool:
    return any(one is not None for one in (entry.label, entry.group, entry.metadata))


def _refuse_bad_id(entry: Entry, before: Item | None) -> Skipped | None:
    """Return a skip for a new item with an invalid id; an existing item with that id stays in use.

    The id of a file in a folder is its path, which is not a chosen id and is always allowed.
    """
    if before is not None or (_is_own(entry) and is_text(entry.id)):
        return None
    problem = id_problem(entry.id)
    if problem is None:
        return None
    shown = entry.id if len(entry.id) <= _SHOWN else f"{entry.id[:_SHOWN]}…"
    # No stamp: the same file is tried again when it gets another id.
    path = entry.line or entry.path or shown.encode("utf-8", "backslashreplace").decode()
    return Skipped(path=path, reason=f"its id {shown!a} {problem}")


def _refuse_other_root(entry: Entry, before: Item | None) -> Skipped | None:
    """Return a skip for an entry whose id an item of another root has."""
    if before is None or entry.fresh or not before.path or before.root == entry.root:
        return None
    place = ": ".join(part for part in (before.root, before.path) if part)
    reason = f"its id {entry.id!r} is taken by {place}; rename one of them"
    return Skipped(path=entry.path or entry.id, reason=reason)


def _is_own(entry: Entry) -> bool:
    """Return whether the id is just the file's path, so that nobody chose it."""
    return bool(entry.path) and entry.id == id_of(entry.root, entry.path)


def _read(
    entry: Entry,
    before: Item | None,
    content: SideContent,
    annotator: _Annotator,
    reading: ReadOptions,
) -> tuple[Entry, _Read]:
    """Read an entry's file if needed; ``before`` is the item with its id.

    Return the entry too, with the stamp of what was read.
    """
    # Two files may have one size and time, so it must also be the same file.
    same = before is not None and (before.root, before.path) == (entry.root, entry.path)
    same = same and before is not None and before.stamp == entry.stamp is not None
    if before is not None and same and not reading.reread:
        content.complete(before, entry)
        return entry, annotator.describe(before, entry)
    try:
        entry, data = read_entry(entry, content.limits, reading)
    except ImageError as error:
        return entry, skip(entry, error)
    if isinstance(data, BeingWritten):
        return entry, data
    digest = images.digest(data)
    if before is None:
        return entry, _File(data, digest)
    if before.digest == digest:
        content.complete(before, entry, data)
        # An entry that must not replace anything does not move the item's file either.
        at = before if entry.fresh else entry
        entry = replace(entry, root=at.root, path=at.path, stamp=at.stamp)
        return entry, annotator.describe(before, entry)
    return entry, _refuse_replacing(entry, before) or _File(data, digest)


def _refuse_replacing(entry: Entry, before: Item) -> Skipped | None:
    """Return a skip for new content that would replace an item by accident."""
    if entry.fresh:
        return taken(entry)
    if not before.path and _is_own(entry):
        reason = f"its id {entry.id!r} is taken by an image that was added individually; rename it"
        return Skipped(path=entry.path, reason=reason)
    return None


def taken(entry: Entry) -> Skipped:
    """Return a skip for an entry that would replace another item by accident."""
    return Skipped(path=entry.path or entry.id, reason=TAKEN)


def _add(
    content: SideContent,
    annotator: _Annotator,
    entry: Entry,
    read: _Read,
    *,
    before: Item | None,
    copy: StoredCopy | None,
    encoder: Encoder,
) -> None:
    """Add an entry to the right part of the batch, given the item ``before`` and a ``copy``, if
    any.
    """
    batch = content.batch
    if isinstance(read, Skipped):
        batch.skipped.append((entry, read))
    elif isinstance(read, Item):
        if before is not None:
            annotator.count(before, read, entry)
        if read == before:
            batch.same += 1
        else:
            batch.update.append(read)
    else:
        try:
            _add_new(content, annotator, entry, read, before=before, copy=copy, encoder=encoder)
        except ImageError as error:
            batch.skipped.append((entry, skip(entry, error)))


def _add_new(
    content: SideContent,
    annotator: _Annotator,
    entry: Entry,
    file: _File,
    *,
    before: Item | None,
    copy: StoredCopy | None,
    encoder: Encoder,
) -> None:
    """Add new content: with the vector of a ``copy``, or prepared for the encoder."""
    batch, digest = content.batch, file.digest
    if copy is not None:
        if copy.thumbnail is not None:
            batch.thumbnails[digest] = copy.thumbnail
        content.add(digest, file.data)
        size = copy.item.width, copy.item.height
        item = _make_item(annotator, entry, digest, size, before)
        _note_replaced(batch, entry, before)
        batch.reuse.append((item, copy.vector))
    else:
        decoded = images.decode(file.data, limits=content.limits, at_least=encoder.decode_size)
        prepared = _NOTHING if digest in batch.vectors else encoder.prepare(decoded.image)
        content.add(digest, file.data, decoded)
        if decoded.notes:
            batch.noted.append((entry.path or entry.id, decoded.notes))
        if decoded.blank:
            batch.blank.setdefault(digest, entry.path or entry.id)
        size = decoded.width, decoded.height
        item = _make_item(annotator, entry, digest, size, before)
        _note_replaced(batch, entry, before)
        batch.encode.append((item, prepared))


def _note_replaced(batch: Batch, entry: Entry, before: Item | None) -> None:
    if before is not None:
        batch.replaced.add(entry.id)
    elif entry.fresh:
        batch.fresh[entry.id] = entry


def _make_item(
    annotator: _Annotator, entry: Entry, digest: str, size: tuple[int, int], before: Item | None
) -> Item:
    """Return the item with new content; it keeps the annotations of the item ``before``."""
    width, height = size
    annotator.batch.arrived[entry.id] = entry
    if before is None:
        item = Item(id=entry.id, digest=digest, width=width, height=height)
        return annotator.describe(item, entry)
    annotator.batch.before[before.id] = before
    item = annotator.describe(replace(before, digest=digest, width=width, height=height), entry)
    annotator.count(before, item, entry)
    return item
