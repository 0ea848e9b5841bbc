"""Entries to a batch: what each is to the store, and new images ready for the encoder.

    entries → read → digest → (known? keep, or reuse) → decode → prepare

The store is asked by the batch, not by the image: on a server each question is a journey.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple, TypeAlias

from lookalike import images
from lookalike.core.ids import id_problem, is_text
from lookalike.core.manual_edits import NOTHING, ManualEdits, read_edits
from lookalike.core.protocols import Encoder, Prepared, Store
from lookalike.core.records import Entry, Item, Remote, Skipped, Thumbnail, id_of
from lookalike.core.vectors import Vector
from lookalike.errors import ImageError, ItemNotFoundError, UnreadableImageError
from lookalike.images.thumbnails import make_thumbnail

__all__ = ["REMOTE", "TAKEN", "Batch", "load", "taken"]

REMOTE = "its image is a URL; `lookalike download` fetches it"
TAKEN = "another image has its id"

# Bytes of files that are held until the store has been asked about them, and one file more: 64
# product images are some MB, but 64 photos of 10 MB would be much for each thread.
_HELD = 16 * 2**20
_SHOWN = 100  # characters of an id in a message


@dataclass(slots=True)
class Batch:
    """Entries after reading: those to encode, those whose vector is known, those left out.

    ``update`` have new words for the content that they had, of ``same`` nothing is new.
    ``arrived`` are the entries of new content, ``before`` the items that it replaces. The source
    changed the words of ``relabelled`` items and said something else than people did of
    ``kept_by_hand``; ``overwritten`` has what remains set by hand of others.
    ``thumbnails`` are by the digest of what they show; ``bare`` items are there and lack theirs.
    ``replaced`` are ids of items that had other content, ``fresh`` entries must replace nothing.
    """

    encode: list[tuple[Item, Prepared]]
    reuse: list[tuple[Item, Vector]]
    update: list[Item]
    same: int
    skipped: list[tuple[Entry, Skipped]]
    size: int
    thumbnails: dict[str, Thumbnail] = field(default_factory=dict)
    bare: list[Item] = field(default_factory=list)
    arrived: dict[str, Entry] = field(default_factory=dict)
    before: dict[str, Item] = field(default_factory=dict)
    relabelled: int = 0
    kept_by_hand: int = 0
    overwritten: dict[str, ManualEdits] = field(default_factory=dict)
    replaced: set[str] = field(default_factory=set)
    fresh: dict[str, Entry] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Small:
    """The thumbnails that a batch is to have: of ``side`` pixels; ``have`` are the items' own.

    They are made of the image that is decoded for the encoder if they can be: never is that
    decoded larger for them, which would change its vector a little.
    """

    batch: Batch
    side: int | None
    have: Mapping[str, int]
    limits: images.Limits

    def add(self, digest: str, data: bytes, decoded: images.DecodedImage | None = None) -> None:
        """Make the thumbnail of new content, if there is to be one. Raise ``ImageError``."""
        if self.side is not None and digest not in self.batch.thumbnails:
            small = make_thumbnail(data, self.side, limits=self.limits, decoded=decoded)
            self.batch.thumbnails[digest] = small

    def complete(self, before: Item, entry: Entry, data: bytes | None = None) -> None:
        """Make the one that an item lacks, if the entry still has what was encoded."""
        if self.side is None or self.have.get(before.id) == self.side:
            return
        try:
            data = _bytes(entry, self.limits) if data is None else data
            if images.digest(data) == before.digest:
                self.add(before.digest, data)
                self.batch.bare.append(before)
        except ImageError as error:
            self.batch.skipped.append((entry, _skipped(entry, error)))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Words:
    """What of a batch's items was set ``by_hand``, and whether the source may ``overwrite`` it."""

    batch: Batch
    by_hand: Mapping[str, ManualEdits]
    overwrite: bool

    def described(self, item: Item, entry: Entry) -> Item:
        """Return the item with what the entry says anew; what it does not say stays."""
        entry = _counting(item, entry)
        told = replace(
            item,
            root=entry.root,
            path=entry.path,
            stamp=entry.stamp,
            label=item.label if entry.label is None else entry.label,
            group=item.group if entry.group is None else entry.group,
            metadata=item.metadata if entry.metadata is None else entry.metadata,
        )
        hand = self.by_hand.get(item.id, NOTHING)
        return (hand.without(entry) if self.overwrite else hand).over(told)

    def count(self, before: Item, item: Item, entry: Entry) -> None:
        """Count what became of the words of an item that is there."""
        entry = _counting(before, entry)
        words = [(one.label, one.group, dict(one.metadata)) for one in (before, item)]
        self.batch.relabelled += words[0] != words[1]
        hand = self.by_hand.get(item.id, NOTHING)
        if hand.against(entry) and not self.overwrite:
            self.batch.kept_by_hand += 1
        elif self.overwrite and (rest := hand.without(entry)) != hand:
            self.batch.overwritten[item.id] = rest


class _Copy(NamedTuple):
    """An item with its vector and, if it is as large as wanted, its thumbnail."""

    item: Item
    vector: Vector
    thumbnail: Thumbnail | None


class _File(NamedTuple):
    """The bytes of an entry that its item does not have yet."""

    data: bytes
    digest: str


_Read: TypeAlias = Item | Skipped | _File
"""What an entry is before others are looked at: an item whose content is as it was, with what is
now said of it; left out; or new content."""


def load(
    entries: Sequence[Entry],
    store: Store,
    encoder: Encoder,
    limits: images.Limits,
    *,
    side: int | None = None,
    overwrite_by_hand: bool = False,
) -> Batch:
    """Read, recognise, decode and prepare one batch. Runs on a reader thread.

    With ``side``, each item is to have a thumbnail of so many pixels. What was set by hand stays
    whatever the entries say, unless ``overwrite_by_hand``.
    """
    batch = Batch([], [], [], 0, [], len(entries))
    known = store.items.get([entry.id for entry in entries if is_text(entry.id)])
    have = store.thumbnails.sides([*known]) if side is not None else {}
    small = _Small(batch=batch, side=side, have=have, limits=limits)
    told = [one.id for one in entries if one.id in known and _says(one)]
    hands = read_edits(store, told) if told else {}
    words = _Words(batch=batch, by_hand=hands, overwrite=overwrite_by_hand)
    waiting: list[tuple[Entry, _Read]] = []
    held = 0
    seen: set[str] = set()
    for place, entry in enumerate(entries, 1):
        before = known.get(entry.id)
        if entry.fresh and entry.id in seen:
            read: _Read = taken(entry)
        else:
            read = _refused(entry, before) or _read(entry, before, small, words)
        seen.add(entry.id)
        waiting.append((entry, read))
        if isinstance(read, _File):
            held += len(read.data)
        if held < _HELD and place < len(entries):
            continue
        files = [read for _, read in waiting if isinstance(read, _File)]
        copies = _copies(store, {file.digest for file in files}, side) if files else {}
        for one, found in waiting:
            copy = copies.get(found.digest) if isinstance(found, _File) else None
            before = known.get(one.id)
            _add(small, words, one, found, before=before, copy=copy, encoder=encoder)
        waiting, files, held = [], [], 0
    return batch


def _counting(item: Item, entry: Entry) -> Entry:
    """Return the entry without its words, where they may be cut off and the item has some."""
    if entry.partial and (item.label is not None or item.group is not None or item.metadata):
        return replace(entry, label=None, group=None, metadata=None)
    return entry


def _says(entry: Entry) -> bool:
    return any(one is not None for one in (entry.label, entry.group, entry.metadata))


def _refused(entry: Entry, before: Item | None) -> Skipped | None:
    """Leave out a new item whose id none may have. One that is there, from before, stays in use.

    The id of a file in a folder is its path: whoever named the file gave it no id.
    """
    if before is not None or (_is_own(entry) and is_text(entry.id)):
        return None
    problem = id_problem(entry.id)
    if problem is None:
        return None
    shown = entry.id if len(entry.id) <= _SHOWN else f"{entry.id[:_SHOWN]}…"
    # No stamp: the same file is looked at again when it is given another id.
    path = entry.line or entry.path or shown.encode("utf-8", "backslashreplace").decode()
    return Skipped(path=path, reason=f"its id {shown!a} {problem}")


def _is_own(entry: Entry) -> bool:
    """Return whether nobody chose the id: it is the file's path."""
    return bool(entry.path) and entry.id == id_of(entry.root, entry.path)


def _read(entry: Entry, before: Item | None, small: _Small, words: _Words) -> _Read:
    """Read an entry's file, where that is needed; ``before`` is the item of its id."""
    if before is not None and not entry.fresh and before.path and before.root != entry.root:
        place = ": ".join(part for part in (before.root, before.path) if part)
        reason = f"its id {entry.id!r} is taken by {place}; rename one of them"
        return Skipped(path=entry.path or entry.id, reason=reason)
    # Two files may have one size and time, so it must also be the same file.
    same = before is not None and (before.root, before.path) == (entry.root, entry.path)
    if before is not None and same and before.stamp == entry.stamp is not None:
        small.complete(before, entry)
        return words.described(before, entry)
    try:
        data = _bytes(entry, small.limits)
    except ImageError as error:
        return _skipped(entry, error)
    digest = images.digest(data)
    if before is None:
        return _File(data, digest)
    if before.digest == digest:
        small.complete(before, entry, data)
        # What replaces nothing does not move the item's file either.
        at = before if entry.fresh else entry
        entry = replace(entry, root=at.root, path=at.path, stamp=at.stamp)
        return words.described(before, entry)
    return _in_the_way(entry, before) or _File(data, digest)


def _in_the_way(entry: Entry, before: Item) -> Skipped | None:
    """Leave out new content for an item that nobody meant by the id."""
    if entry.fresh:
        return taken(entry)
    if not before.path and _is_own(entry):
        reason = f"its id {entry.id!r} is taken by an image that was added by itself; rename it"
        return Skipped(path=entry.path, reason=reason)
    return None


def taken(entry: Entry) -> Skipped:
    """Return the entry as one that would have replaced an item that nobody meant."""
    return Skipped(path=entry.path or entry.id, reason=TAKEN)


def _bytes(entry: Entry, limits: images.Limits) -> bytes:
    if isinstance(entry.image, Remote):
        raise UnreadableImageError(REMOTE)
    if isinstance(entry.image, bytes):
        return entry.image
    return images.read(entry.image, limits=limits)


def _copies(store: Store, digests: Collection[str], side: int | None) -> dict[str, _Copy]:
    """Digest → an item of that very content with what is stored of it, as they belong together.

    The vectors are taken now: by the time that the batch is written, an item may have got other
    content (``mv a.jpg b.jpg; cp new.jpg a.jpg``).
    """
    sources = store.items.with_digest([*digests])
    while sources:
        ids = [*sources.values()]
        try:
            vectors = dict(zip(ids, store.items.vectors(ids), strict=True))
        except ItemNotFoundError:  # one has gone just now
            there = store.items.get(ids)
            sources = {digest: one for digest, one in sources.items() if one in there}
            continue
        small = store.thumbnails.get(ids) if side is not None else {}
        fitting = {one: kept for one, kept in small.items() if kept.side == side}
        # Read after the vectors: an item that still has the digest had it when its vector was read.
        items = store.items.get(ids)
        return {
            digest: _Copy(items[one], vectors[one], fitting.get(one))
            for digest, one in sources.items()
            if one in items and items[one].digest == digest
        }
    return {}


def _add(
    small: _Small,
    words: _Words,
    entry: Entry,
    read: _Read,
    *,
    before: Item | None,
    copy: _Copy | None,
    encoder: Encoder,
) -> None:
    """Put an entry where it belongs, given the item ``before`` and a ``copy``, if there are."""
    batch = small.batch
    if isinstance(read, Skipped):
        batch.skipped.append((entry, read))
    elif isinstance(read, Item):
        if before is not None:
            words.count(before, read, entry)
        if read == before:
            batch.same += 1
        else:
            batch.update.append(read)
    else:
        try:
            _add_new(small, words, entry, read, before=before, copy=copy, encoder=encoder)
        except ImageError as error:
            batch.skipped.append((entry, _skipped(entry, error)))


def _add_new(
    small: _Small,
    words: _Words,
    entry: Entry,
    file: _File,
    *,
    before: Item | None,
    copy: _Copy | None,
    encoder: Encoder,
) -> None:
    """Bring new content: the vector of a ``copy``, or what the encoder makes one of."""
    batch, digest = small.batch, file.digest
    if copy is not None:
        if copy.thumbnail is not None:
            batch.thumbnails[digest] = copy.thumbnail
        small.add(digest, file.data)
        size = copy.item.width, copy.item.height
        item = _new_item(words, entry, digest, size, before)
        _note(batch, entry, before)
        batch.reuse.append((item, copy.vector))
    else:
        decoded = images.decode(file.data, limits=small.limits, at_least=encoder.decode_size)
        prepared = encoder.prepare(decoded.image)
        small.add(digest, file.data, decoded)
        size = decoded.width, decoded.height
        item = _new_item(words, entry, digest, size, before)
        _note(batch, entry, before)
        batch.encode.append((item, prepared))


def _note(batch: Batch, entry: Entry, before: Item | None) -> None:
    if before is not None:
        batch.replaced.add(entry.id)
    elif entry.fresh:
        batch.fresh[entry.id] = entry


def _new_item(
    words: _Words, entry: Entry, digest: str, size: tuple[int, int], before: Item | None
) -> Item:
    """Return the item with new content; what was said of the one ``before`` it stays."""
    width, height = size
    words.batch.arrived[entry.id] = entry
    if before is None:
        item = Item(id=entry.id, digest=digest, width=width, height=height)
        return words.described(item, entry)
    words.batch.before[before.id] = before
    item = words.described(replace(before, digest=digest, width=width, height=height), entry)
    words.count(before, item, entry)
    return item


def _skipped(entry: Entry, error: ImageError) -> Skipped:
    # A file that could not be read may be readable next time without having changed: permission,
    # a failing network share. So nothing is remembered that would keep it from being tried.
    stamp = None if isinstance(error, UnreadableImageError) else entry.stamp
    path = entry.path or entry.id
    if entry.line and entry.stamp is None:  # no file to look at, so say who names it
        path = f"{path} ({entry.line})"
    return Skipped(path=path, reason=error.reason, stamp=stamp)
