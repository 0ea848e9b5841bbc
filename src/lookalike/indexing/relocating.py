"""Recognise a folder that was moved by its files, and point the collection at it.

A collection stores where its folders are and, below them, each item's path, stamp and digest. A
moved folder is one where the same relative paths lead to the same files.
"""

import random
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from lookalike import images
from lookalike.core import settings_keys
from lookalike.core.protocols import Store
from lookalike.core.records import Item, Json
from lookalike.core.roots import Root, innermost, read_roots, roots_json
from lookalike.errors import ImageError, RootMovedError, SourceError
from lookalike.sources.scan import check_folder, stamp_of

__all__ = ["Relocation", "check_new", "relocate"]

_SAMPLE = 200  # sampled items
_SHARE = 0.8  # share of them that must have the same file; some may have changed
_LIMITS = images.Limits(max_pixels=10**10, max_bytes=10**10)  # only digests are needed


@dataclass(frozen=True, slots=True, kw_only=True)
class Relocation:
    """What a relocation did, or would do: ``roots`` as they are now, with ``items`` in all.

    Of ``looked_at`` randomly sampled items, ``same`` have the same file at the new place, ``other``
    have a different file, and the files of the rest do not exist there.
    """

    roots: tuple[Root, ...]
    items: int
    looked_at: int
    same: int
    other: int


def relocate(store: Store, old: Path, new: Path, *, dry_run: bool = False) -> Relocation:
    """Point the roots at or below ``old`` to the same places at or below ``new``.

    Raise ``SourceError``, and change nothing, if ``new`` does not exist, nothing was indexed from
    ``old``, ``new`` is already indexed by the collection, or fewer than 8 of 10 sampled items have
    the same file.
    """
    check_folder(new)
    before, place = old.resolve(), new.resolve()
    roots = read_roots(store.settings.get(settings_keys.ROOTS))
    moving = {root.name: root for root in roots if root.path.is_relative_to(before)}
    if not moving:
        raise SourceError(_explain_never_indexed(old, before, roots))
    moved = {
        name: Root(name=name, path=place / root.path.relative_to(before))
        for name, root in moving.items()
    }
    staying = [root for root in roots if root.name not in moving]
    for root in moved.values():
        taken = innermost(staying, root.path)
        if taken is not None:
            raise SourceError(
                f"{root.path} lies in {taken.path}, which the collection indexes already; its "
                f"items would be there twice (`lookalike remove --root {taken.name!r}` forgets one)"
            )
    found = _Match()
    items = 0
    for name, root in moved.items():
        ids = [one for path, (one, _) in store.items.stamps(name).items() if path]
        items += len(ids)
        found = found.add_sample(store, root.path, ids)
    if items and found.same < _SHARE * found.looked_at:
        raise SourceError(
            f"{new} does not hold the files that were indexed from {old}: of {found.looked_at:,} "
            f"that were looked for, {found.same:,} are there, {found.other:,} are other files, and "
            f"{found.absent:,} are not there; nothing was changed"
        )
    after = [moved.get(root.name, root) for root in roots]
    if not dry_run:
        store.settings.change(
            settings_keys.ROOTS,
            lambda stored: roots_json([moved.get(root.name, root) for root in read_roots(stored)]),
        )
        if store.settings.get(settings_keys.CATALOGUES):
            store.settings.change(
                settings_keys.CATALOGUES, lambda stored: _move_paths(stored, before, place)
            )
    return Relocation(
        roots=tuple(one for one in after if one.name in moved),
        items=items,
        looked_at=found.looked_at,
        same=found.same,
        other=found.other,
    )


def check_new(store: Store, place: Path) -> None:
    """Raise ``RootMovedError`` if ``place`` is a root that was moved.

    That is: all sampled files of the root have vanished from their old place and exist here.
    """
    for root in read_roots(store.settings.get(settings_keys.ROOTS)):
        # A folder inside the new one, or around it, cannot have been moved here.
        if root.path.is_relative_to(place):
            continue
        ids = [one for path, (one, _) in store.items.stamps(root.name).items() if path]
        if not ids or not any(_file_exists(place, item) for item in _sample(store, ids)):
            continue  # the cheapest check first: it nearly always decides
        if any(_file_exists(root.path, item) for item in _sample(store, ids)):
            continue
        found = _Match().add_sample(store, place, ids)
        if found.same >= _SHARE * found.looked_at:
            raise RootMovedError(
                f"{place} holds the files of {root.path}, which this collection indexes and where "
                f"they have all gone ({found.same:,} of {found.looked_at:,} that were looked for "
                f"are here); `lookalike relocate {_quote(root.path)} {_quote(place)}` tells the "
                "collection that the folder was moved, --as-new indexes it as another one"
            )


def _move_paths(catalogues: Json, old: Path, new: Path) -> Json:
    """Return the paths of catalogue files, with those below ``old`` moved below ``new``."""
    return [
        str(new / Path(one).relative_to(old)) if Path(one).is_relative_to(old) else one
        for one in (catalogues if isinstance(catalogues, list) else ())
        if isinstance(one, str)
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Match:
    """How many sampled items have the same file, another file, or none."""

    looked_at: int = 0
    same: int = 0
    other: int = 0

    @property
    def absent(self) -> int:
        return self.looked_at - self.same - self.other

    def add_sample(self, store: Store, folder: Path, ids: Sequence[str]) -> "_Match":
        """Return this match plus a sample of items in another folder."""
        looked, same, other = self.looked_at, self.same, self.other
        for item in _sample(store, ids):
            looked += 1
            verdict = _is_same(folder, item)
            same += verdict is True
            other += verdict is False
        return _Match(looked_at=looked, same=same, other=other)


def _sample(store: Store, ids: Sequence[str]) -> Iterator[Item]:
    """Yield a sample of items, the same one each time."""
    chance = random.Random(0)  # noqa: S311 - a sample
    some = chance.sample(sorted(ids), min(_SAMPLE, len(ids)))
    yield from store.items.get(some).values()


def _file_exists(folder: Path, item: Item) -> bool:
    return stamp_of(folder / item.path) is not None


def _is_same(folder: Path, item: Item) -> bool | None:
    """Return whether an item's file is the same there; ``None`` if there is no file.

    A copied file has another modification time, so its bytes are compared then.
    """
    file = folder / item.path
    stamp = stamp_of(file)
    if stamp is None:
        return None
    if stamp == item.stamp:
        return True
    if item.stamp is not None and stamp.size != item.stamp.size:
        return False
    try:
        return images.digest(images.read(file, limits=_LIMITS)) == item.digest
    except ImageError:
        return None


def _explain_never_indexed(old: Path, place: Path, roots: Sequence[Root]) -> str:
    around = innermost(roots, place)
    if around is not None:
        return (
            f"{old} lies in {around.path}, which was indexed as a whole; index that again, and "
            "files that were moved within it keep their labels"
        )
    known = ", ".join(str(root.path) for root in roots) or "none"
    return f"nothing was indexed from {old}; the collection's folders: {known}"


def _quote(path: Path) -> str:
    """Return a path quoted for the shell."""
    return shlex.quote(str(path))
