"""A collection for another encoder, built beside the live one and put in its place at the end.

    migrating.migrate(shop, load_encoder("efficientnet-lite2"))

Vectors of one encoder cannot be turned into those of another, so the images are read again.
Searches go on meanwhile, and so may indexing: what has changed is caught up with, the last of it
while nobody writes.
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
    "paired",
    "version_name",
]

_FEW = 64  # changes that may wait for the moment in which nobody else writes
_TURNS = 5
# The other settings are made of the old encoder's vectors.
_MOVED = (
    settings_keys.ROOTS,
    settings_keys.THUMBNAILS,
    settings_keys.CATALOGUES,
    settings_keys.UPDATED_AT,
    settings_keys.UPLOADS,
)
_NO_FILE = "came as bytes; its image is not kept"
_GONE = "its file has gone"
_LIMITS = Limits(max_pixels=10**10, max_bytes=10**10)  # what was taken once is taken again


@dataclass(frozen=True, slots=True, kw_only=True)
class MigrateReport:
    """What was done, counted as it happened.

    ``encoded`` images were read, ``reused`` took the vector of an exact copy, ``told`` and
    ``removed`` followed changes of the live collection. ``lost`` items have no image that can be
    used; they are missing items of the new collection, and in the old one, which is called ``kept``
    now. ``left`` settings must be made anew. ``items`` are in the new one.
    """

    encoded: int = 0
    reused: int = 0
    told: int = 0
    removed: int = 0
    lost: tuple[Skipped, ...] = ()
    items: int = 0
    kept: str = ""
    left: tuple[str, ...] = ()
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
    """Encode a collection's images with another encoder, and let that take its place.

    ``card`` is the path of a model card to remember, for an encoder that has no name of its own. A
    migration that was stopped or killed goes on when it is done again. Afterwards ``collection`` is
    closed: open it again.

    Raise ``CollectionError`` where there is nothing to do or another collection is in the way,
    ``SourceError`` for a root that is away, and when more than half of the images cannot be used,
    unless ``most``; ``EncoderError`` and ``StoreError``. Then the live collection is as it was.
    """
    began = time.monotonic()
    old = collection.store
    build = _Build(live=collection, new=_begun(collection, encoder, card), encoder=encoder)
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
        left = [
            one for one in old.settings.names() if one not in (*_MOVED, *settings_keys.NOT_COPIED)
        ]
        before = [
            one
            for one in _names(old.settings.get(settings_keys.REPLACED))
            if one not in (keep, build.new.name)
        ]

        def last() -> None:
            build.turn()
            copy_settings(old, build.new, names=_MOVED)
            copy_skips(old, build.new)
            copy_side_tables(old, build.new, mirror=True)
            pairs = paired(old.items.scan(), build.new.items.scan()) if build.lost else ()
            lost = [item for item, there in pairs if item is not None and there is None]
            copy_as_missing(old, build.new, lost)
            build.new.settings.set(
                settings_keys.NEIGHBOURS, old.settings.get(settings_keys.NEIGHBOURS)
            )  # how many, not which
            build.new.settings.set(settings_keys.REPLACED, [*before, keep])
            build.items = build.new.search.count()

        kept = old.replace(build.new, keep=keep, last=last)
    except BaseException:
        abandon(build.new)
        build.new.close()
        raise
    return build.report(kept=kept, left=tuple(left), seconds=time.monotonic() - began)


@dataclass(frozen=True, slots=True, kw_only=True)
class DropReport:
    """``dropped`` collections are removed; folders that hold other files stay: ``left``."""

    dropped: tuple[str, ...] = ()
    left: tuple[Leftover, ...] = ()


def drop_old(collection: Collection) -> DropReport:
    """Remove what migrations of this collection have replaced; other files in the folders stay."""
    store = collection.store
    gone, left = [], []
    for name in _names(store.settings.get(settings_keys.REPLACED)):
        try:
            old = store.sibling(name, create=False)
        except CollectionNotFoundError:
            continue  # somebody was quicker
        if old.settings.get(settings_keys.VERSION_OF) != store.name:
            old.close()
            raise CollectionError(f"{name} is not what was replaced here; it is left alone")
        stays = old.drop()
        gone.append(name)
        if stays is not None:
            left.append(stays)
    store.settings.set(settings_keys.REPLACED, None)
    return DropReport(dropped=tuple(gone), left=tuple(left))


def version_name(name: str, fingerprint: str) -> str:
    """Return what a collection is called beside the live one: each encoder has its own."""
    return f"{name}-{hashlib.sha256(fingerprint.encode()).hexdigest()[:8]}"


def is_version(store: Store) -> bool:
    """Return whether it is one that a migration builds or has kept, beside the live collection."""
    return store.settings.get(settings_keys.VERSION_OF) not in (None, store.name)


def _begun(collection: Collection, encoder: Encoder, card: str | None) -> Store:
    """Return the store to build in, new or from a try that was cut off."""
    old = collection.store
    bound = old.bound()
    if bound is None or not old.search.count():
        raise CollectionError("the collection is empty; index into it with the other encoder")
    if bound[1] == encoder.fingerprint:
        raise CollectionError(f"the collection is of {bound[0]} already; there is nothing to do")
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
        raise CollectionError(f"there is a collection called {new.name} already; rename that one")
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
    """A collection on its way from the live one's images, and what was done for it."""

    live: Collection
    new: Store
    encoder: Encoder
    encoded: int = 0
    reused: int = 0
    told: int = 0
    removed: int = 0
    items: int = 0
    lost: list[Skipped] = field(default_factory=list)

    def turn(
        self,
        *,
        progress: ProgressCallback | None = None,
        stop: Callable[[], bool] = lambda: False,
    ) -> int:
        """Compare both, and do what the new one lacks; how many changes that were."""
        self.lost = []
        gone: list[str] = []
        other: list[str] = []
        places = {root.name: root.path for root in self.live.roots()}
        skips = {name: self.new.skips.below(name) for name in ("", *places)}

        def wanted() -> Iterator[Entry]:
            for item, there in paired(self.live.items(), self.new.items.scan()):
                if item is None and there is not None:
                    gone.append(there.id)
                elif item is not None and (there is None or there.digest != item.digest):
                    found = _entry(item, places, skips)
                    if isinstance(found, Entry):
                        yield found
                    elif there is None:
                        self.lost.append(found)
                elif item is not None and there is not None and _told(item, there) != there:
                    other.append(item.id)

        total = max(self.live.store.search.count() - self.new.search.count(), 0)
        report = index_entries(
            self.new,
            self.encoder,
            wanted(),
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
        self._tell(other)
        return report.indexed + report.reused + len(gone) + len(other)

    def _tell(self, ids: list[str]) -> None:
        """Let items say what the live ones say."""
        for start in range(0, len(ids), 1000):
            some = ids[start : start + 1000]
            live, there = self.live.store.items.get(some), self.new.items.get(some)
            changed = [_told(live[one], there[one]) for one in some if one in live and one in there]
            self.new.items.update(changed)
            self.told += len(changed)

    def report(
        self,
        *,
        kept: str = "",
        left: tuple[str, ...] = (),
        interrupted: bool = False,
        seconds: float,
    ) -> MigrateReport:
        return MigrateReport(
            encoded=self.encoded,
            reused=self.reused,
            told=self.told,
            removed=self.removed,
            lost=tuple(self.lost),
            items=self.items,
            kept=kept,
            left=left,
            interrupted=interrupted,
            seconds=seconds,
        )


def _check_lost(lost: Sequence[Skipped], items: int) -> None:
    if 2 * len(lost) > items:
        raise SourceError(
            f"{len(lost):,} of the {items:,} images cannot be used, for example "
            f"{lost[0].path}: {lost[0].reason}; they would not be in the new collection. If that "
            "is right, say --yes"
        )


def _catch_up(
    build: _Build, *, progress: ProgressCallback | None, stop: Callable[[], bool]
) -> None:
    """Take turns until little is left; somebody may be indexing all the while."""
    for _ in range(_TURNS):
        if build.turn(progress=progress, stop=stop) <= _FEW or stop():
            return


def paired(
    mine: Iterator[Item], theirs: Iterator[Item]
) -> Iterator[tuple[Item | None, Item | None]]:
    """Items of two scans side by side: those of one id together, ``None`` where one has none."""
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


def _entry(
    item: Item, places: Mapping[str, Path], skips: Mapping[str, Mapping[str, Skipped]]
) -> Entry | Skipped:
    """An item's image with all that is said of it, or why there is none."""
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


def _told(item: Item, there: Item) -> Item:
    """``there`` with what is said of ``item``."""
    return replace(
        there,
        root=item.root,
        path=item.path,
        label=item.label,
        group=item.group,
        metadata=item.metadata,
    )


def _names(stored: object) -> list[str]:
    return [one for one in stored if isinstance(one, str)] if isinstance(stored, list) else []
