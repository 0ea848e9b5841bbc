"""What a collection holds, read and edited without its encoder."""

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self, Unpack

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lookalike import images
from lookalike.collection_info import CollectionInfo, Description, describe, list_skipped, read_info
from lookalike.collection_view import CollectionView
from lookalike.core import manual_edits, settings_keys
from lookalike.core import notes as reasons
from lookalike.core.arguments import checked_methods
from lookalike.core.filters import FIELDS, Condition, to_condition
from lookalike.core.ids import is_text
from lookalike.core.near_ids import item_not_found
from lookalike.core.progress import ProgressCallback
from lookalike.core.protocols import Store
from lookalike.core.records import Item, Missing, Note, Skipped
from lookalike.core.roots import Root, expand_home, read_roots
from lookalike.core.sampling import sample
from lookalike.errors import CollectionError, ItemNotFoundError
from lookalike.images.thumbnails import load_previews, render_thumbnail
from lookalike.indexing import deletion
from lookalike.indexing import missing as absent
from lookalike.indexing.unfinished import abandon

if TYPE_CHECKING:
    from lookalike.analysis.mapping import CollectionMap, MapOptions
    from lookalike.indexing.relocating import Relocation

__all__ = ["CollectionItems", "check_ids"]


@checked_methods
class CollectionItems(CollectionView):
    """The items of a collection: the part of ``Collection`` that needs no encoder."""

    def __init__(self, store: Store, *, limits: images.Limits) -> None:
        self._store = store
        self.limits = limits

    @property
    def store(self) -> Store:
        """The store that keeps the items, for code that builds on a collection."""
        return self._store

    # -- reading ---------------------------------------------------------------------------

    def get(self, id: str) -> Item:
        """Return the item with an id. Raise ``ItemNotFoundError``."""
        item = self._store.items.get([id]).get(id) if is_text(id) else None
        if item is None:
            raise item_not_found(self._store, id)
        return item

    def vectors(self, ids: Sequence[str]) -> NDArray[np.float32]:
        """Return the stored embeddings, (len(ids), dim) float32 with rows of length 1.

        Raise ``ItemNotFoundError``.
        """
        try:
            return self._store.items.vectors(ids)
        except ItemNotFoundError:
            there = self._store.items.get(ids)
            absent = next((one for one in ids if one not in there), None)
            if absent is None:
                raise
            raise item_not_found(self._store, absent) from None

    def thumbnail(self, id: str, *, side: int = 320) -> bytes:
        """Return a JPEG of an item, at most ``side`` pixels on the longer side, never enlarged.

        It is the stored one, if that is large enough or the file is not there, else one of the
        file. Raise ``ItemNotFoundError``, and ``ImageError`` where neither can be used.
        """
        item = self.get(id)
        kept = self._store.thumbnails.get([id]).get(id)
        return render_thumbnail(item, self.file_of(item), kept, side=side, limits=self.limits)

    def previews(self, items: Iterable[Item], *, side: int) -> Iterator[Image.Image | None]:
        """Yield an image to show of each item, at least ``side`` pixels if possible, or ``None``.

        It comes from the stored thumbnail or the file, as for ``thumbnail``.
        """
        wanted = list(items)
        files = self.files_of(wanted)
        return load_previews(self._store, wanted, files, side=side, limits=self.limits)

    def file_of(self, item: Item) -> Path | None:
        """Return the path of an item's file; ``None`` if it came as bytes."""
        return self.files_of([item])[0]

    def files_of(self, items: Iterable[Item]) -> list[Path | None]:
        """Return ``file_of`` each item; the roots are looked up once."""
        roots = {root.name: root.path for root in self.roots()}
        return [
            roots[item.root] / item.path if item.path and item.root in roots else None
            for item in items
        ]

    def __contains__(self, id: object) -> bool:
        return isinstance(id, str) and is_text(id) and id in self._store.items.get([id])

    def count(self, where: str | Condition | None = None) -> int:
        """Return how many items there are, or how many meet a filter."""
        return self._store.search.count(to_condition(where))

    def items(self, where: str | Condition | None = None) -> Iterator[Item]:
        """Yield items by ascending id, all or those that meet a filter."""
        return self._store.items.scan(to_condition(where))

    def sample(self, k: int, *, seed: int = 0, where: str | Condition | None = None) -> list[Item]:
        """Return ``k`` random items that meet a filter; of exact duplicates only one.

        The same ``seed`` gives the same items, apart from what was added or removed since. Fewer
        than ``k`` are returned only when there are not that many. Raise ``ValueError`` for ``k``
        below 1.
        """
        return sample(self._store, k, seed=seed, where=to_condition(where))

    def facets(
        self, field: str, where: str | Condition | None = None, *, limit: int = 100
    ) -> list[tuple[str | float | bool, int]]:
        """Return the values of a field (``label``, ``price``, ``spec.size`` …) and how many items
        have each, the most frequent first.

        Each element of a list counts. Raise ``FilterError``.
        """
        return self._store.search.facets(field, to_condition(where), limit=limit)

    def notes(
        self, where: str | Condition | None = None, *, field: str | None = None
    ) -> tuple[Note, ...]:
        """Return notes on why no item meets a filter, or why none that does has a field.

        They are empty where some item does. Raise ``FilterError``.
        """
        condition = to_condition(where)
        if field is None:
            return reasons.explain_filter(self._store, condition)
        return reasons.explain_field(self._store, field, condition)

    def map(
        self, *, where: str | Condition | None = None, **options: Unpack["MapOptions"]
    ) -> "CollectionMap":
        """Lay out the items in two dimensions: ``lookalike.map_collection``."""
        from lookalike.analysis.mapping import map_collection  # noqa: PLC0415 - rarely used

        return map_collection(self, where=where, **options)  # type: ignore[arg-type]

    def declare(self, field: str) -> None:
        """Index a metadata field, so that filters and facets on it are fast in large collections.

        Raise ``FilterError`` for what cannot be the name of a field, and ``CollectionError`` for a
        field of the item itself, which is always indexed.
        """
        if field in FIELDS:
            raise CollectionError(
                f"{field} is a field of the item itself, and always indexed; metadata.{field} is "
                "the field of that name in the metadata"
            )
        self._store.search.declare(field)

    def undeclare(self, field: str) -> bool:
        """Drop the index of a field, and return whether there was one."""
        return self._store.search.undeclare(field)

    def declared(self) -> list[str]:
        """Return the metadata fields that are indexed, sorted."""
        return self._store.search.declared()

    def label(self, ids: Sequence[str], label: str | None) -> None:
        """Set the label of items by hand, or remove it (``None``). Raise ``ItemNotFoundError``.

        Nothing is encoded, and indexing does not change the label (see ``index``).
        """
        check_ids(ids)
        manual_edits.apply_edit(self._store, ids, {"label": label})

    def edit(
        self,
        id: str,
        **changes: Unpack[manual_edits.ItemChanges],
    ) -> Item:
        """Set ``label``, ``group`` or ``metadata`` of an item by hand, and return the item.

        What is not given stays; ``metadata`` replaces all metadata. Indexing does not change what
        was set by hand (see ``index``). Raise ``ItemNotFoundError``.
        """
        check_ids([id])
        return manual_edits.apply_edit(self._store, [id], changes)[0]

    def missing(self) -> Iterator[Missing]:
        """Yield the items whose file has gone, by ascending id, with their label and metadata.

        They are in no results. They come back with their file; ``remove`` or
        ``indexing.prune.forget_missing`` removes them for good.
        """
        return absent.missing(self._store)

    def __len__(self) -> int:
        return self._store.search.count()

    def __iter__(self) -> Iterator[Item]:
        return self._store.items.scan()

    def info(self) -> CollectionInfo:
        """Return what the collection is and where it lies."""
        return read_info(self._store)

    def describe(self, *, labels: int = 20, fields: bool = True) -> Description:
        """Return the labels and groups of the items and, with ``fields``, their metadata fields.

        Unlike ``info`` this reads every item: 0.2 s for 100,000, and another second for the fields.
        """
        return describe(self._store, labels=labels, fields=fields)

    def skipped(self) -> list[Skipped]:
        """Return what could not be used, with the reason, by path.

        ``path`` is that of the file, the line of a catalogue (``products.csv:12``), or the id of
        what came as bytes. For lines and ids the last run over a source counts.
        """
        return list_skipped(self._store)

    def check(self, *, repair: bool = False) -> list[str]:
        """Return the problems of the stored data as sentences; ``repair`` repairs what it can."""
        return self._store.check(repair=repair)

    def remove(self, ids: str | Sequence[str]) -> int:
        """Remove items by id and return how many there were. Their files are not touched.

        They are removed for good, missing items (``missing``) too: no label, group or metadata is
        kept.
        """
        return deletion.remove_items(self._store, [ids] if isinstance(ids, str) else ids)

    def remove_root(self, name: str) -> int:
        """Remove a root with all its items, and return how many there were. No file is touched."""
        return deletion.remove_root(self._store, name)

    def optimize(self, *, progress: ProgressCallback | None = None) -> bool:
        """Prepare a large collection for fast searches; see ``Store.optimize``."""
        return self._store.search.optimize(progress=progress)

    # -- roots -----------------------------------------------------------------------------

    def roots(self) -> list[Root]:
        """Return the indexed folders, in the order in which they were added."""
        return read_roots(self._store.settings.get(settings_keys.ROOTS))

    def relocate(
        self,
        old: str | os.PathLike[str],
        new: str | os.PathLike[str],
        *,
        dry_run: bool = False,
    ) -> "Relocation":
        """Point the collection to the new path of an indexed folder. Ids stay as they are.

        ``old`` is the folder as it was indexed, or a folder that contains several such. A sample of
        the items is looked for at ``new``. Raise ``SourceError`` if nothing was indexed from
        ``old``, or too few of the files are there or are the same.
        """
        from lookalike.indexing import relocating  # noqa: PLC0415 - a search should not pay for it

        return relocating.relocate(self._store, expand_home(old), expand_home(new), dry_run=dry_run)

    # -- closing ---------------------------------------------------------------------------

    def close(self) -> None:
        """Close files and connections."""
        self._store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close. After an error, remove a collection that was begun here and is still empty."""
        if error is not None:
            abandon(self._store)
        self.close()


def check_ids(ids: Iterable[str]) -> None:
    """Raise ``ItemNotFoundError`` for an id that no store could hold."""
    for one in ids:
        if not is_text(one):
            raise ItemNotFoundError(f"there is no item {one!r}")
