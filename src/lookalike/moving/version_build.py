"""A new version of a collection that is built beside the live one, until it can replace it."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from lookalike.collection import Collection
from lookalike.core.progress import ProgressCallback
from lookalike.core.protocols import Encoder, Store
from lookalike.core.records import Entry, IndexReport, Item, Skipped
from lookalike.core.vectors import Vector
from lookalike.images.limits import Limits
from lookalike.indexing.fitting import EncoderBinding
from lookalike.indexing.pipeline import index_entries
from lookalike.moving.target_space import TargetSpace, bind_from_stored, project_items
from lookalike.sources.scan import stamp_of

__all__ = ["MigrateReport", "VersionBuild", "pair_items"]

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


@dataclass(slots=True, kw_only=True)
class VersionBuild:
    """A new version of the live collection that is being built, and what was done so far."""

    live: Collection
    new: Store
    encoder: Encoder
    space: TargetSpace
    known: Mapping[str, Vector] = field(default_factory=dict)
    encoded: int = 0
    reused: int = 0
    updated: int = 0
    removed: int = 0
    items: int = 0
    lost: list[Skipped] = field(default_factory=list)

    def prepare(self, *, progress: ProgressCallback | None, stop: Callable[[], bool]) -> bool:
        """Bind the new store; return whether ``stop`` did not end that."""
        if self.space.from_stored:
            self.encoder = bind_from_stored(self.live.store, self.new, self.encoder, self.space)
            return True
        binding = EncoderBinding(
            store=self.new,
            open_encoder=lambda: self.encoder,
            dim=self.space.dim,
            limits=_LIMITS,
            progress=progress,
            stop=stop,
        )
        bound = binding.bind(self._sample)
        if bound is None:
            return False
        self.encoder, self.known = bound, binding.known
        return True

    def _sample(self, count: int) -> list[Entry]:
        places = {root.name: root.path for root in self.live.roots()}
        skips: dict[str, dict[str, Skipped]] = {name: {} for name in ("", *places)}
        made = [_make_entry(item, places, skips) for item in self.live.sample(count)]
        return [one for one in made if isinstance(one, Entry)]

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
                    # Of stored embeddings no more than the id is needed.
                    found = (
                        Entry(id=item.id, image=b"")
                        if self.space.from_stored
                        else _make_entry(item, places, skips)
                    )
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
        report = self._write(find_changes(), total=total, progress=progress, stop=stop)
        self.lost += report.skipped
        self.encoded += report.indexed
        self.reused += report.reused
        if report.interrupted:
            return 0
        self.removed += self.new.items.delete(gone) if gone else 0
        self._copy_annotations(other)
        return report.indexed + report.reused + len(gone) + len(other)

    def _write(
        self,
        changes: Iterator[Entry],
        *,
        total: int,
        progress: ProgressCallback | None,
        stop: Callable[[], bool],
    ) -> IndexReport:
        if self.space.from_stored:
            return project_items(
                self.live.store,
                self.new,
                self.encoder,
                changes,
                total=total,
                progress=progress,
                stop=stop,
            )
        return index_entries(
            self.new,
            self.encoder,
            changes,
            total=total,
            limits=_LIMITS,
            vectors=self.known,
            progress=progress,
            stop=stop,
        )

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
