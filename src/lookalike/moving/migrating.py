"""Build a collection for another encoder beside the live one, and replace it at the end.

    migrating.migrate(shop, load_encoder("efficientnet-lite2"))

Vectors of one encoder cannot be converted into those of another, so the images are read again;
only a projection of the stored vectors needs none.
Searches go on meanwhile, and so may indexing: the migration catches up with changes, with the last
of them while writing is locked.
"""

import hashlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from lookalike.collection import Collection
from lookalike.core import settings_keys
from lookalike.core.arguments import checked
from lookalike.core.progress import ProgressCallback
from lookalike.core.protocols import Encoder, Store
from lookalike.core.records import (
    Leftover,
    Skipped,
)
from lookalike.errors import CollectionError, CollectionNotFoundError, SourceError
from lookalike.indexing.fitting import ProjectionDim
from lookalike.indexing.missing import copy_as_missing
from lookalike.indexing.unfinished import abandon
from lookalike.moving.target_space import TargetSpace, choose_space
from lookalike.moving.transfer import (
    copy_settings,
    copy_side_tables,
    copy_skips,
)
from lookalike.moving.version_build import MigrateReport, VersionBuild, pair_items

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
    settings_keys.ARCHIVES,
    settings_keys.ROOTS,
    settings_keys.THUMBNAILS,
    settings_keys.REGIONS,
    settings_keys.CATALOGUES,
    settings_keys.UPDATED_AT,
    settings_keys.UPLOADS,
)


@checked
def migrate(
    collection: Collection,
    encoder: Encoder,
    *,
    card: str | None = None,
    dim: ProjectionDim = "auto",
    most: bool = False,
    progress: ProgressCallback | None = None,
    optimizing: ProgressCallback | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> MigrateReport:
    """Encode a collection's images with another encoder, and replace the collection by the result.

    ``dim`` is that of ``Collection.index``: how many dimensions the new embeddings are projected
    to. With the encoder that the collection has, stored embeddings that are not projected yet are
    projected, and no image is read; for any other change they are encoded again.

    ``card`` is the path of a model card to store, for an encoder that has no name of its own. An
    interrupted migration continues when it is repeated. With ``most``, it proceeds even if more
    than half of the images cannot be used. Afterwards ``collection`` is closed: open it again.

    Raise ``CollectionError`` if there is nothing to do or another collection is in the way;
    ``SourceError`` if a root is not available, or more than half of the images cannot be used;
    ``EncoderError`` and ``StoreError``. The live collection is then unchanged.
    """
    began = time.monotonic()
    old = collection.store
    build = _start(collection, encoder, card, space=choose_space(old, encoder, dim))
    try:
        if not build.prepare(progress=progress, stop=stop):
            abandon(build.new)
            build.new.close()
            return build.report(interrupted=True, seconds=time.monotonic() - began)
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
        outdated = [one for one in settings_keys.COMPUTED if old.settings.get(one) is not None]
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


@checked
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


def _start(
    collection: Collection, encoder: Encoder, card: str | None, *, space: TargetSpace
) -> VersionBuild:
    """Return a build in a new store, or in that of an interrupted migration."""
    old = collection.store
    for root in collection.roots():
        if not space.from_stored and not root.path.is_dir():
            raise SourceError(
                f"{root.path}, where images of the collection lie, is not there; make it "
                f"available, or forget it with `lookalike remove --root {root.name!r}`"
            )
    if old.settings.get(settings_keys.VERSION_OF) is None:
        old.settings.set(settings_keys.VERSION_OF, old.name)
    new = old.sibling(version_name(old.name, space.key), create=True)
    if new.search.count() and new.settings.get(settings_keys.VERSION_OF) != old.name:
        new.close()
        raise CollectionError(f"a collection called {new.name} exists already; rename it")
    try:
        new.settings.set(settings_keys.VERSION_OF, old.name)
        stored = old.settings.get(settings_keys.CARD) if space.same_encoder else None
        if card is not None or stored is not None:
            new.settings.set(settings_keys.CARD, stored if card is None else card)
        new.settings.set(
            settings_keys.THUMBNAILS, old.settings.get(settings_keys.THUMBNAILS)
        )  # so that they are made while it is built
        new.settings.set(settings_keys.REGIONS, old.settings.get(settings_keys.REGIONS))
    except BaseException:
        abandon(new)
        new.close()
        raise
    return VersionBuild(live=collection, new=new, encoder=encoder, space=space)


def _check_lost(lost: Sequence[Skipped], items: int) -> None:
    if 2 * len(lost) > items:
        raise SourceError(
            f"{len(lost):,} of the {items:,} images cannot be used, for example "
            f"{lost[0].path}: {lost[0].reason}; they would not be in the new collection. If that "
            "is right, pass --yes"
        )


def _catch_up(
    build: VersionBuild, *, progress: ProgressCallback | None, stop: Callable[[], bool]
) -> None:
    """Repeat until few changes are left; others may be indexing all the while."""
    for _ in range(_TURNS):
        if build.sync_once(progress=progress, stop=stop) <= _FEW or stop():
            return


def _read_names(stored: object) -> list[str]:
    return [one for one in stored if isinstance(one, str)] if isinstance(stored, list) else []
