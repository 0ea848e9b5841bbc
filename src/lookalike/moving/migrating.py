"""Build a collection for another encoder beside the live one, and replace it at the end.

    migrating.migrate(shop, load_encoder("efficientnet-lite2"))

Vectors of one encoder cannot be converted into those of another, so the images are read again.
Searches go on meanwhile, and so may indexing: the migration catches up with changes, with the last
of them while writing is locked.
"""

import hashlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from lookalike.collection import Collection
from lookalike.core import settings_keys
from lookalike.core.progress import ProgressCallback
from lookalike.core.protocols import Encoder, Store
from lookalike.core.records import (
    Entry,
    Item,
    Leftover,
    Skipped,
)
from lookalike.errors import CollectionError, CollectionNotFoundError, SourceError
from lookalike.images.limits import Limits
from lookalike.indexing.missing import copy_as_missing
from lookalike.indexing.pipeline import index_entries
from lookalike.indexing.unfinished import abandon
from lookalike.moving.transfer import (
    copy_settings,
    copy_side_tables,
    copy_skips,
)
from lookalike.sources.scan import stamp_of

__all__ = [
    "DropReport",
    "MigrateReport",
    "drop_old",
    "is_version",
    "migrate",
    "pair_items",
    "version_name",
]

_FEW = 64  # changes that may be left for the moment in which writing is locked
_TURNS = 5
# The other settings depend on the old encoder's vectors.
_MOVED = (
    settings_keys.ROOTS,
    settings_keys.THUMBNAILS,
    settings_keys.CATALOGUES,
    settings_keys.UPDATED_AT,
    settings_keys.UPLOADS,
)
_NO_FILE = "was added as bytes; its image is not kept"
_GONE = "its file no longer exists"
_LIMITS = Limits(max_pixels=10**10, max_bytes=10**10)  # accepted once, so accepted again


@dataclass(frozen=True, slots=True, kw_only=True)
class MigrateReport:
    """What a migration did.

    ``encoded`` images were read; ``reused`` got the vector of an exact duplicate; ``updated`` and
    ``removed`` items followed changes of the live collection. ``lost`` items have no usable image;
    they are missing items of the new collection, and items of the old one, which is now called
    ``kept``. ``outdated`` settings must be computed again. ``items`` are in the new collection.
    """

    encoded: int = 0
    reused: int = 0
    updated: int = 0
    removed: int = 0
    lost: tuple[Skipped, ...] = ()
    items: int = 0
    kept: str = ""
    outdated: tuple[str, ...] = ()
    interrupted: bool = False
    seconds: float = 0.0


def migrate(
    collection: Collection,
    encoder: Encoder,
    *,
    card: str | None = None,
    most: bool = False,
    progress: ProgressCallback | None = None,
    optimizing: ProgressCallback | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> MigrateReport:
    """Encode a collection's images with another encoder, and replace the collection by the result.

    ``card`` is the path of a model card to store, for an encoder that has no name of its own. An
    interrupted migration continues when it is repeated. With ``most``, it proceeds even if more
    than half of the images cannot be used. Afterwards ``collection`` is closed: open it again.

    Raise ``CollectionError`` if there is nothing to do or another collection is in the way;
    ``SourceError`` if a root is not available, or more than half of the images cannot be used;
    ``EncoderError`` and ``StoreError``. The live collection is then unchanged.
    """
    began = time.monotonic()
    old = collection.store
    build = _Build(live=collection, new=_start(collection, encoder, card), encoder=encoder)
    try:
        _catch_up(build, progress=progress, stop=stop)
        if not stop():
            build.new.search.optimize(progress=optimizing)
            _catch_up(build, progress=None, stop=stop)
        if stop():
            build.new.close()
            return build.report(interrupted=True, seconds=time.monotonic() - began)
        if not most:
            _check_lost(build.lost, old.search.count())
        bound = old.bound()
        keep = version_name(old.name, bound[1] if bound else "")
        outdated = [
            one for one in old.settings.names() if one not in (*_MOVED, *settings_keys.NOT_COPIED)
        ]
        before = [
            one
            for one in _read_names(old.settings.get(settings_keys.REPLACED))
            if one not in (keep, build.new.name)
        ]

        def finish_locked() -> None:
            build.sync_once()
            copy_settings(old, build.new, names=_MOVED)
            copy_skips(old, build.new)
            copy_side_tables(old, build.new, mirror=True)
            pairs = pair_items(old.items.scan(), build.new.items.scan()) if build.lost else ()
            lost = [item for item, there in pairs if item is not None and there is None]
            copy_as_missing(old, build.new, lost)
            build.new.settings.set(
                settings_keys.NEIGHBOURS, old.settings.get(settings_keys.NEIGHBOURS)
            )  # their number; the neighbours themselves are computed again
            build.new.settings.set(settings_keys.REPLACED, [*before, keep])
            build.items = build.new.search.count()

        kept = old.replace(build.new, keep=keep, last=finish_locked)
    except BaseException:
        abandon(build.new)
        build.new.close()
        raise
    return build.report(kept=kept, outdated=tuple(outdated), seconds=time.monotonic() - began)


@dataclass(frozen=True, slots=True, kw_only=True)
class DropReport:
    """``dropped`` collections were removed; folders that hold other files stay: ``left``."""

    dropped: tuple[str, ...] = ()
    left: tuple[Leftover, ...] = ()


def drop_old(collection: Collection) -> DropReport:
    """Remove the collections that migrations have replaced; other files in their folders stay."""
    store = collection.store
    gone, left = [], []
    for name in _read_names(store.settings.get(settings_keys.REPLACED)):
        try:
            old = store.sibling(name, create=False)
        except CollectionNotFoundError:
            continue  # another process has removed it
        if old.settings.get(settings_keys.VERSION_OF) != store.name:
            old.close()
            raise CollectionError(
                f"{name} is not a replaced version of this collection; it was not removed"
            )
        stays = old.drop()
        gone.append(name)
        if stays is not None:
            left.append(stays)
    store.settings.set(settings_keys.REPLACED, None)
    return DropReport(dropped=tuple(gone), left=tuple(left))


def version_name(name: str, fingerprint: str) -> str:
    """Return the name of a version of a collection: each encoder has its own."""
    return f"{name}-{hashlib.sha256(fingerprint.encode()).hexdigest()[:8]}"


def is_version(store: Store) -> bool:
    """Return whether a migration builds or has kept this collection beside the live one."""
    return store.settings.get(settings_keys.VERSION_OF) not in (None, store.name)


def _start(collection: Collection, encoder: Encoder, card: str | None) -> Store:
    """Return the store to build in: a new one, or that of an interrupted migration."""
    old = collection.store
    bound = old.bound()
    if bound is None or not old.search.count():
        raise CollectionError("the collection is empty; index into it with the other encoder")
    if bound[1] == encoder.fingerprint:
        raise CollectionError(f"the collection already uses {bound[0]}; there is nothing to do")
    for root in collection.roots():
        if not root.path.is_dir():
            raise SourceError(
                f"{root.path}, where images of the collection lie, is not there; make it "
                f"available, or forget it with `lookalike remove --root {root.name!r}`"
            )
    if old.settings.get(settings_keys.VERSION_OF) is None:
        old.settings.set(settings_keys.VERSION_OF, old.name)
    new = old.sibling(version_name(old.name, encoder.fingerprint), create=True)
    if new.search.count() and new.settings.get(settings_keys.VERSION_OF) != old.name:
        new.close()
        raise CollectionError(f"a collection called {new.name} exists already; rename it")
    try:
        new.settings.set(settings_keys.VERSION_OF, old.name)
        new.bind(encoder=encoder.name, fingerprint=encoder.fingerprint, dim=encoder.dim)
        if card is not None:
            new.settings.set(settings_keys.CARD, card)
        new.settings.set(
            settings_keys.THUMBNAILS, old.settings.get(settings_keys.THUMBNAILS)
        )  # so that they are made while it is built
    except BaseException:
        abandon(new)
        new.close()
        raise
    return new


@dataclass(slots=True, kw_only=True)
class _Build:
    """A new version of the live collection that is being built, and what was done so far."""

    live: Collection
    new: Store
    encoder: Encoder
    encoded: int = 0
    reused: int = 0
    updated: int = 0
    removed: int = 0
    items: int = 0
    lost: list[Skipped] = field(default_factory=list)

    def sync_once(
        self,
        *,
        progress: ProgressCallback | None = None,
        stop: Callable[[], bool] = lambda: False,
    ) -> int:
        """Compare both collections and copy the differences; return the number of changes."""
        self.lost = []
        gone: list[str] = []
        other: list[str] = []
        places = {root.name: root.path for root in self.live.roots()}
        skips = {name: self.new.skips.below(name) for name in ("", *places)}

        def find_changes() -> Iterator[Entry]:
            for item, there in pair_items(self.live.items(), self.new.items.scan()):
                if item is None and there is not None:
                    gone.append(there.id)
                elif item is not None and (there is None or there.digest != item.digest):
                    found = _make_entry(item, places, skips)
                    if isinstance(found, Entry):
                        yield found
                    elif there is None:
                        self.lost.append(found)
                elif (
                    item is not None
                    and there is not None
                    and _with_annotations(item, there) != there
                ):
                    other.append(item.id)

        total = max(self.live.store.search.count() - self.new.search.count(), 0)
        report = index_entries(
            self.new,
            self.encoder,
            find_changes(),
            total=total,
            limits=_LIMITS,
            progress=progress,
            stop=stop,
        )
        self.lost += report.skipped
        self.encoded += report.indexed
        self.reused += report.reused
        if report.interrupted:
            return 0
        self.removed += self.new.items.delete(gone) if gone else 0
        self._copy_annotations(other)
        return report.indexed + report.reused + len(gone) + len(other)

    def _copy_annotations(self, ids: list[str]) -> None:
        """Copy the annotations of live items."""
        for start in range(0, len(ids), 1000):
            some = ids[start : start + 1000]
            live, there = self.live.store.items.get(some), self.new.items.get(some)
            changed = [
                _with_annotations(live[one], there[one])
                for one in some
                if one in live and one in there
            ]
            self.new.items.update(changed)
            self.updated += len(changed)

    def report(
        self,
        *,
        kept: str = "",
        outdated: tuple[str, ...] = (),
        interrupted: bool = False,
        seconds: float,
    ) -> MigrateReport:
        return MigrateReport(
            encoded=self.encoded,
            reused=self.reused,
            updated=self.updated,
            removed=self.removed,
            lost=tuple(self.lost),
            items=self.items,
            kept=kept,
            outdated=outdated,
            interrupted=interrupted,
            seconds=seconds,
        )


def _check_lost(lost: Sequence[Skipped], items: int) -> None:
    if 2 * len(lost) > items:
        raise SourceError(
            f"{len(lost):,} of the {items:,} images cannot be used, for example "
            f"{lost[0].path}: {lost[0].reason}; they would not be in the new collection. If that "
            "is right, pass --yes"
        )


def _catch_up(
    build: _Build, *, progress: ProgressCallback | None, stop: Callable[[], bool]
) -> None:
    """Repeat until few changes are left; others may be indexing all the while."""
    for _ in range(_TURNS):
        if build.sync_once(progress=progress, stop=stop) <= _FEW or stop():
            return


def pair_items(
    mine: Iterator[Item], theirs: Iterator[Item]
) -> Iterator[tuple[Item | None, Item | None]]:
    """Yield the items of two scans in pairs with equal ids; ``None`` where one scan has none."""
    one, other = next(mine, None), next(theirs, None)
    while one is not None or other is not None:
        if other is None or (one is not None and one.id < other.id):
            yield one, None
            one = next(mine, None)
        elif one is None or other.id < one.id:
            yield None, other
            other = next(theirs, None)
        else:
            yield one, other
            one, other = next(mine, None), next(theirs, None)


def _make_entry(
    item: Item, places: Mapping[str, Path], skips: Mapping[str, Mapping[str, Skipped]]
) -> Entry | Skipped:
    """Return the entry to encode for an item, or why it has no usable image."""
    if not item.path or item.root not in places:
        return Skipped(path=item.id, reason=_NO_FILE)
    file = places[item.root] / item.path
    stamp = stamp_of(file)
    if stamp is None:
        return Skipped(path=item.path, reason=_GONE)
    skip = skips[item.root].get(item.path)
    if skip is not None and skip.stamp == stamp:
        return skip
    return Entry(
        id=item.id,
        image=file,
        root=item.root,
        path=item.path,
        stamp=stamp,
        label=item.label,
        group=item.group,
        metadata=item.metadata,
    )


def _with_annotations(item: Item, there: Item) -> Item:
    """Return ``there`` with the place and annotations of ``item``."""
    return replace(
        there,
        root=item.root,
        path=item.path,
        label=item.label,
        group=item.group,
        metadata=item.metadata,
    )


def _read_names(stored: object) -> list[str]:
    return [one for one in stored if isinstance(one, str)] if isinstance(stored, list) else []
