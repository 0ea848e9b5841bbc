"""Entries to a batch: what each is to the store, and new pictures ready for the encoder.

    entries → read → digest → (known? keep, or reuse) → decode → prepare

The store is asked by the batch, not by the picture: on a server each question is a journey.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, TypeAlias

from lookalike import images
from lookalike.errors import ItemNotFoundError, PictureError, UnreadablePictureError
from lookalike.protocols import Encoder, Prepared, Store
from lookalike.records import Entry, Item, Remote, Skipped
from lookalike.vectors import Vector

__all__ = ["REMOTE", "Batch", "load"]

REMOTE = "its picture is a URL; `lookalike download` fetches it"

# Bytes of files that are held until the store has been asked about them, and one file more: 64
# product pictures are some MB, but 64 photos of 10 MB would be much for each thread.
_HELD = 16 * 2**20


@dataclass(slots=True)
class Batch:
    """Entries after reading: those to encode, those whose vector is known, those left out.

    ``update`` have new words for the content that they had, of ``same`` nothing is new.
    """

    encode: list[tuple[Item, Prepared]]
    reuse: list[tuple[Item, Vector]]
    update: list[Item]
    same: int
    skipped: list[tuple[Entry, Skipped]]
    size: int


class _File(NamedTuple):
    """The bytes of an entry that its item does not have yet."""

    data: bytes
    digest: str


_Read: TypeAlias = Item | Skipped | _File
"""What an entry is before others are looked at: an item whose content is as it was, with what is
now said of it; left out; or new content."""


def load(entries: Sequence[Entry], store: Store, encoder: Encoder, limits: images.Limits) -> Batch:
    """Read, recognise, decode and prepare one batch. Runs on a reader thread."""
    batch = Batch([], [], [], 0, [], len(entries))
    known = store.get([entry.id for entry in entries])
    waiting: list[tuple[Entry, _Read]] = []
    held = 0
    for place, entry in enumerate(entries, 1):
        read = _read(entry, known.get(entry.id), limits)
        waiting.append((entry, read))
        if isinstance(read, _File):
            held += len(read.data)
        if held < _HELD and place < len(entries):
            continue
        files = [read for _, read in waiting if isinstance(read, _File)]
        copies = _copies(store, {file.digest for file in files}) if files else {}
        for one, found in waiting:
            copy = copies.get(found.digest) if isinstance(found, _File) else None
            before = known.get(one.id)
            _add(batch, one, found, before=before, copy=copy, encoder=encoder, limits=limits)
        waiting, files, held = [], [], 0
    return batch


def _read(entry: Entry, before: Item | None, limits: images.Limits) -> _Read:
    """Read an entry's file, where that is needed; ``before`` is the item of its id."""
    if before is not None and before.path and before.root != entry.root:
        place = ": ".join(part for part in (before.root, before.path) if part)
        reason = f"its id {entry.id!r} is taken by {place}; rename one of them"
        return Skipped(path=entry.path or entry.id, reason=reason)
    if before is not None and entry.stamp is not None and before.stamp == entry.stamp:
        return _described(before, entry)
    try:
        data = _bytes(entry, limits)
    except PictureError as error:
        return _skipped(entry, error)
    digest = images.digest(data)
    if before is not None and before.digest == digest:
        return _described(before, entry)
    return _File(data, digest)


def _bytes(entry: Entry, limits: images.Limits) -> bytes:
    if isinstance(entry.picture, Remote):
        raise UnreadablePictureError(REMOTE)
    if isinstance(entry.picture, bytes):
        return entry.picture
    return images.read(entry.picture, limits=limits)


def _copies(store: Store, digests: Collection[str]) -> dict[str, tuple[Item, Vector]]:
    """Digest → an item of that very content with its vector, as they belong together.

    The vectors are taken now: by the time that the batch is written, an item may have got other
    content (``mv a.jpg b.jpg; cp new.jpg a.jpg``).
    """
    sources = store.with_digest([*digests])
    while sources:
        ids = [*sources.values()]
        try:
            vectors = dict(zip(ids, store.vectors(ids), strict=True))
        except ItemNotFoundError:  # one has gone just now
            there = store.get(ids)
            sources = {digest: one for digest, one in sources.items() if one in there}
            continue
        # Read after the vectors: an item that still has the digest had it when its vector was read.
        items = store.get(ids)
        return {
            digest: (items[one], vectors[one])
            for digest, one in sources.items()
            if one in items and items[one].digest == digest
        }
    return {}


def _add(
    batch: Batch,
    entry: Entry,
    read: _Read,
    *,
    before: Item | None,
    copy: tuple[Item, Vector] | None,
    encoder: Encoder,
    limits: images.Limits,
) -> None:
    """Put an entry where it belongs, given the item ``before`` and a ``copy``, if there are."""
    if isinstance(read, Skipped):
        batch.skipped.append((entry, read))
    elif isinstance(read, Item):
        if read == before:
            batch.same += 1
        else:
            batch.update.append(read)
    elif copy is not None:
        original, vector = copy
        item = _new_item(entry, read.digest, original.width, original.height, before)
        batch.reuse.append((item, vector))
    else:
        try:
            picture = images.decode(read.data, limits=limits, at_least=encoder.decode_size)
            prepared = encoder.prepare(picture.image)
        except PictureError as error:
            batch.skipped.append((entry, _skipped(entry, error)))
            return
        item = _new_item(entry, read.digest, picture.width, picture.height, before)
        batch.encode.append((item, prepared))


def _new_item(entry: Entry, digest: str, width: int, height: int, before: Item | None) -> Item:
    """The item with new content; what was said of the one ``before`` it stays."""
    if before is None:
        before = Item(id=entry.id, digest=digest, width=width, height=height)
    return _described(replace(before, digest=digest, width=width, height=height), entry)


def _described(item: Item, entry: Entry) -> Item:
    """The stored item with what the entry says anew; what it does not say stays."""
    return replace(
        item,
        root=entry.root,
        path=entry.path,
        stamp=entry.stamp,
        label=item.label if entry.label is None else entry.label,
        group=item.group if entry.group is None else entry.group,
        metadata=item.metadata if entry.metadata is None else entry.metadata,
    )


def _skipped(entry: Entry, error: PictureError) -> Skipped:
    # A file that could not be read may be readable next time without having changed: permission,
    # a failing network share. So nothing is remembered that would keep it from being tried.
    stamp = None if isinstance(error, UnreadablePictureError) else entry.stamp
    path = entry.path or entry.id
    if entry.line and entry.stamp is None:  # no file to look at, so say who names it
        path = f"{path} ({entry.line})"
    return Skipped(path=path, reason=error.reason, stamp=stamp)
