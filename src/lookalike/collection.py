"""``Collection``: the public face. Pictures go in, look-alikes come out."""

import os
import re
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self, TypedDict, Unpack

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lookalike import images
from lookalike.core import manual_edits, settings_keys
from lookalike.core import notes as reasons
from lookalike.core.filters import FIELDS, Condition, Exists, Not, parse
from lookalike.core.ids import check_id, is_text
from lookalike.core.progress import ProgressCallback
from lookalike.core.protocols import Catalogue, Encoder, Prepared, Store
from lookalike.core.records import (
    Added,
    Entry,
    Field,
    IndexReport,
    Item,
    Json,
    Missing,
    Note,
    Outcome,
    Skipped,
    id_of,
)
from lookalike.core.roots import Root, below, innermost, read_roots, roots_json, with_root
from lookalike.core.sampling import sample
from lookalike.core.shards import Shard
from lookalike.errors import (
    CollectionError,
    ImageError,
    ItemNotFoundError,
    NotAnImageError,
    SourceError,
    UnreadableImageError,
)
from lookalike.images.thumbnails import (
    load_previews,
    render_thumbnail,
    set_thumbnail_side,
    thumbnail_side,
)
from lookalike.indexing import failures
from lookalike.indexing import missing as absent
from lookalike.indexing.catalogue_files import remember_catalogue
from lookalike.indexing.unfinished import abandon
from lookalike.search import (
    Encoded,
    ImageSource,
    ItemRef,
    Query,
    QueryLike,
    Results,
    SearchKeywords,
    SearchOptions,
    run,
)

if TYPE_CHECKING:
    from lookalike.analysis.categories.category_search import CategoryRules
    from lookalike.indexing.relocating import Relocation
    from lookalike.sources.scan import ScanOptions

__all__ = [
    "Collection",
    "CollectionInfo",
    "Description",
    "PreparedQuery",
    "Root",
]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PreparedQuery:
    """A picture at its encoder's input size, to be encoded together with others.

    ``digest`` and ``item`` are as in ``Encoded``.
    """

    prepared: Prepared
    digest: str | None = None
    item: Item | None = None


_BATCH = 32  # pictures that an encoder is given at once that does not say otherwise


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectionInfo:
    """What a collection is, at one moment. ``skipped`` counts left-out files by reason.

    ``missing`` items have no file any more: they are in no results, and not among ``items``.

    ``bytes`` is its size on the disk, ``None`` where a server does not tell who asks. New items are
    given thumbnails of ``thumbnail_side`` pixels (``None``: none); ``thumbnails`` are kept, of
    ``thumbnail_bytes`` together.
    """

    address: str
    store: str
    items: int
    missing: int
    encoder: str | None
    fingerprint: str | None
    dim: int | None
    bytes: int | None
    ann_index_rows: int
    thumbnail_side: int | None
    thumbnails: int
    thumbnail_bytes: int
    roots: tuple[Root, ...]
    skipped: dict[str, int]
    updated_at: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """What is said about a collection's items.

    ``labels`` are the most frequent with their counts, of ``distinct_labels`` in all;
    ``unlabelled`` items have none. ``groups`` counts the different ones. ``fields`` of the
    metadata are ``None`` where nobody asked for them.
    """

    items: int
    labels: dict[str, int]
    distinct_labels: int
    unlabelled: int
    groups: int
    fields: tuple[Field, ...] | None = None


class Collection:
    """Items searchable together: one encoder, one store.

        shop = lookalike.open("shop", create=True)
        shop.index("photos/")
        for hit in shop.search("query.jpg", k=5):
            print(hit.score, hit.item.id)

    A collection is a context manager, and may be used from several threads. ``encoder`` is called
    when a picture must first be encoded; what needs only stored vectors never loads a network.
    """

    def __init__(
        self,
        store: Store,
        encoder: Callable[[Store], Encoder],
        *,
        limits: images.Limits = images.Limits(),
        cache: Path | None = None,
    ) -> None:
        self._store = store
        self._make_encoder = encoder
        self._encoder: Encoder | None = None
        self.limits = limits
        self.cache = cache
        """Folder for what can be computed again, such as signatures of images; none by default."""

    @property
    def store(self) -> Store:
        """Where the items are kept, for what is built upon a collection."""
        return self._store

    # -- putting pictures in ---------------------------------------------------------------

    def index(
        self,
        source: str | os.PathLike[str] | Catalogue | Iterable[Entry],
        *,
        format: str = "auto",
        options: "ScanOptions | None" = None,
        keep_missing: bool = False,
        allow_removals: bool = False,
        retry: bool = False,
        shard: Shard | None = None,
        overwrite_by_hand: bool = False,
        as_new: bool = False,
        thumbnails: int | None = None,
        progress: ProgressCallback | None = None,
        stop: Callable[[], bool] = lambda: False,
        optimize: bool = True,
    ) -> IndexReport:
        """Bring the collection in line with a folder or a catalogue, or add entries.

        A folder is scanned whole: new and changed pictures are encoded, unchanged ones left, exact
        copies take the vector that is there, and items whose file has gone are removed (or kept,
        with ``keep_missing``). When all items of the source would go, or more than three that are
        more than one in ten, nothing is removed, and the report says so (``held_back``,
        ``problems``); ``allow_removals`` removes them. A malformed catalogue never removes
        anything. ``retry`` tries unchanged files again that could not be used.
        ``progress`` hears after each batch; when ``stop`` answers true, the run ends cleanly after
        the batch in hand and the next run goes on. With ``optimize``, a large collection is
        prepared for quick searches at the end (see there). With ``shard``, only that part of the
        source is looked at and nothing removed: several machines fill one collection, and
        ``indexing.prune`` removes what has vanished.

        ``thumbnails`` keeps a small JPEG of each item in the store, so many pixels (32 to 1024) on
        the longer side, for those who cannot reach the files; 0 keeps none and drops those that are
        there. The collection remembers it: later runs and ``add`` follow. Items of this source
        that lack theirs are given it, without encoding again.

        A catalogue (``sources.catalogues``) also says what a picture is: its label, group and
        metadata. What was set by hand (``label``, ``edit``) stays, unless ``overwrite_by_hand``.
        ``format`` is its format's name, ``folder`` for pictures and nothing else, or
        ``auto`` to recognise it by its content. Where only the catalogue's words have changed,
        nothing is read or encoded again.

        A file that was moved or renamed takes its words along. Of what was removed, label, group,
        metadata and thumbnail are kept (``missing``), and the item has them again when its file is
        back.

        A folder that holds the files of another one, which have all vanished there, was moved:
        that is an error which says how to ``relocate`` the other, unless ``as_new``.

        Raises ``SourceError`` for a missing folder, ``RootMovedError``, ``EncoderError``,
        ``EncoderMismatchError`` or ``StoreError``; a picture that cannot be used is only listed in
        the report.
        """
        # What indexing needs costs a fresh process 20 ms, which a search should not pay.
        from lookalike.indexing.catalogue_indexing import index_catalogue  # noqa: PLC0415
        from lookalike.indexing.entry_indexing import index_listed  # noqa: PLC0415
        from lookalike.sources.catalogues import open_catalogue, recognise  # noqa: PLC0415

        if thumbnails is not None:
            set_thumbnail_side(self._store, thumbnails)
        common = _Common(limits=self.limits, progress=progress, stop=stop)
        if isinstance(source, str | os.PathLike):
            path = _expanded(source)
            format = recognise(path) if format == "auto" else format
            if format != "folder":
                source = open_catalogue(path, format)
        if isinstance(source, str | os.PathLike):
            report = self._index_folder(
                _expanded(source),
                common,
                options,
                keep_missing=keep_missing,
                allow_removals=allow_removals,
                retry=retry,
                shard=shard,
                overwrite_by_hand=overwrite_by_hand,
                as_new=as_new,
            )
        elif isinstance(source, Catalogue):
            root, under, _ = self._root_of(source.root, as_new=as_new)
            if under:
                raise SourceError(
                    f"{source.root} lies in {root.path}, which this collection indexes as a "
                    "folder; index the catalogue into another collection"
                )
            report = index_catalogue(
                self._store,
                self._bound_encoder(),
                source,
                name=root.name,
                keep_missing=keep_missing,
                allow_removals=allow_removals,
                retry=retry,
                shard=shard,
                overwrite_by_hand=overwrite_by_hand,
                **common,
            )
        else:
            if shard is not None:
                source = (entry for entry in source if entry.id in shard)
            report = index_listed(
                self._store,
                self._bound_encoder(),
                source,
                overwrite_by_hand=overwrite_by_hand,
                **common,
            )
            failures.remember(self._store, "", report.skipped, whole=False, kind="id")
        remember_catalogue(self._store, source)
        if report.indexed or report.reused or report.removed:
            self._store.settings.set(settings_keys.UPDATED_AT, time.time())
        if optimize and not report.interrupted:
            self._store.search.optimize()
        return report

    def _index_folder(
        self,
        folder: Path,
        common: "_Common",
        options: "ScanOptions | None",
        *,
        keep_missing: bool,
        allow_removals: bool,
        retry: bool,
        shard: Shard | None,
        overwrite_by_hand: bool,
        as_new: bool,
    ) -> IndexReport:
        from lookalike.indexing.folder_indexing import index_folder  # noqa: PLC0415 - as in `index`
        from lookalike.sources.scan import ScanOptions, check_folder  # noqa: PLC0415 - likewise

        check_folder(folder)
        root, under, apart = self._root_of(folder, as_new=as_new)
        return index_folder(
            self._store,
            self._bound_encoder,
            root.path,
            name=root.name,
            under=under,
            options=options or ScanOptions(),
            apart=apart,
            keep_missing=keep_missing,
            allow_removals=allow_removals,
            retry=retry,
            shard=shard,
            overwrite_by_hand=overwrite_by_hand,
            **common,
        )

    def add(
        self,
        id: str,
        image: str | os.PathLike[str] | bytes,
        *,
        label: str | None = None,
        group: str | None = None,
        metadata: dict[str, Json] | None = None,
        thumbnails: int | None = None,
    ) -> Added:
        """Add one image under an id of your own, in place of the item that has this id, if any.

        Return the item, with the ``outcome``: "created", "replaced" (label, group and metadata that
        are not given stay), or "unchanged" for the very image that was there. ``thumbnails`` is as
        for ``index``. Raises ``ImageError``, and ``InvalidIdError`` for an id that no new item
        may have (``core.ids``).
        """
        if id not in self:
            check_id(id)
        data = image if isinstance(image, bytes) else Path(image)
        report = self.index(
            [Entry(id=id, image=data, label=label, group=group, metadata=metadata)],
            overwrite_by_hand=True,
            thumbnails=thumbnails,
        )
        if report.skipped:
            raise ImageError(report.skipped[0].reason, path=id)
        outcome: Outcome = "created"
        if not report.indexed + report.reused:
            outcome = "unchanged"
        elif report.replaced:
            outcome = "replaced"
        return Added(
            **{name: getattr(self.get(id), name) for name in Item.__slots__}, outcome=outcome
        )

    def remove(self, ids: str | Sequence[str]) -> int:
        """Remove items by id and return how many there were. Their files are not touched.

        They are gone for good, missing items (``missing``) too: nothing that was said of them is
        kept.
        """
        named = (
            [one for one in [ids] if is_text(one)]
            if isinstance(ids, str)
            else [one for one in ids if is_text(one)]
        )
        removed = self._store.items.delete(named)
        if removed:
            self._store.settings.set(settings_keys.UPDATED_AT, time.time())
        return removed + absent.forget(self._store, named)

    def remove_root(self, name: str) -> int:
        """Forget a folder and every item that came from it. Its files are not touched."""
        if name not in (root.name for root in self.roots()):
            raise SourceError(f"the collection has no root called {name!r}")
        # Items that came as bytes have no path: they are of no root, not of the first.
        gone = [one.item.id for one in self.missing() if one.item.root == name]
        absent.forget(self._store, gone)
        removed = self.remove(
            [one for path, (one, _) in self._store.items.stamps(name).items() if path]
        )
        self._store.skips.delete(name, list(self._store.skips.below(name)))
        self._store.settings.change(
            settings_keys.ROOTS,
            lambda stored: roots_json([root for root in read_roots(stored) if root.name != name]),
        )
        return removed

    def bind(self) -> None:
        """Tie an empty collection to its encoder now, rather than with the first picture.

        Raises ``EncoderError`` and ``EncoderMismatchError``.
        """
        self._bound_encoder()

    def optimize(self, *, progress: ProgressCallback | None = None) -> bool:
        """Prepare a large collection for quick searches; see ``Store.optimize``."""
        return self._store.search.optimize(progress=progress)

    # -- asking ----------------------------------------------------------------------------

    def search(
        self,
        query: QueryLike,
        *,
        crop: images.Box | None = None,
        options: SearchOptions | None = None,
        rules: "CategoryRules | None" = None,
        **keywords: Unpack[SearchKeywords],
    ) -> Results:
        """Return the ``k`` items most like an image, best first.

            shop.search("query.jpg", k=5, where="price<20")
            shop.search([QueryPart(source="a.jpg"), QueryPart(source=ItemRef("b"), weight=-1)])

        ``query`` is an image: a file, the bytes of one, a PIL image, or an (h, w, 3) uint8 RGB
        array and the like; an ``ItemRef``; a vector (an array of one dimension); or several of
        these, with weights and crops as ``QueryPart``. ``crop`` (left, top, right, bottom), each in
        [0, 1] of the upright image, searches with a part of a single image. The keywords are the
        fields of ``SearchOptions``, on top of ``options``. ``rules`` belong to ``category``.

        Where the query is the file of an item, that item is left out unless ``include_self``, and
        ``Results.left_out`` names it; any other image finds its exact duplicates. Where nothing is
        found, ``Results.notes`` say why.

        Raises ``ImageError``, ``ItemNotFoundError``, ``EncoderError``, ``FilterError``,
        ``CollectionError`` for a category that no item has, and ``ValueError`` for options out of
        range.
        """
        wanted = SearchOptions.of(options, keywords)
        return run(self, Query.of(query, crop=crop), wanted, rules=rules)

    def encode(self, query: ImageSource | Encoded, *, crop: images.Box | None = None) -> Encoded:
        """Encode a picture once, for several searches: ``search`` takes the answer as its query.

        ``crop`` (left, top, right, bottom), each in [0, 1] of the upright picture, encodes that
        part alone. Raises ``ImageError``, ``EncoderError``, ``CollectionError`` for an empty
        collection, and ``ValueError`` for an impossible crop.
        """
        if isinstance(query, Encoded):
            return query
        return self.encode_prepared([self.prepare(query, crop=crop)])[0]

    def prepare(self, query: ImageSource, *, crop: images.Box | None = None) -> PreparedQuery:
        """The part of ``encode`` that is one picture's own: read, decode, crop, scale down.

        Who has pictures of several people at hand prepares each on a thread and encodes them
        together. Raises as ``encode``.
        """
        data, picture = self._picture(query, crop)
        if self._store.bound() is None:
            raise CollectionError("the collection is empty; `lookalike index FOLDER` fills it")
        prepared = self._bound_encoder().prepare(picture.image)
        self._store.search.warm()  # while a network that is just being opened opens on its thread
        return PreparedQuery(
            prepared=prepared,
            digest=None if data is None else images.digest(data),
            item=self._itself(query),
        )

    @property
    def batch_size(self) -> int:
        """How many pictures ``encode_prepared`` best takes at a time; 1 while nobody can say."""
        encoder = self._encoder
        return 1 if encoder is None else getattr(encoder, "batch_size", _BATCH)

    def encode_prepared(self, queries: Sequence[PreparedQuery]) -> list[Encoded]:
        """The rest of ``encode``, for any number of pictures at once. Raises ``EncoderError``."""
        vectors = self._bound_encoder().encode([one.prepared for one in queries])
        return [
            Encoded(vector=vector, digest=one.digest, item=one.item)
            for vector, one in zip(vectors, queries, strict=True)
        ]

    def similar(
        self,
        id: str,
        *,
        options: SearchOptions | None = None,
        **keywords: Unpack[SearchKeywords],
    ) -> Results:
        """Return the ``k`` items most like an item, best first; nothing is encoded.

        As ``search`` with an ``ItemRef``. With ``per_group`` the item's own group is left out with
        it. Where the neighbour table has the results (``analysis.neighbours``), they are read
        from there.
        """
        _check_texts([id])
        return self.search(ItemRef(id), options=options, **keywords)

    def get(self, id: str) -> Item:
        """The item of an id; ``ItemNotFoundError`` when there is none."""
        item = self._store.items.get([id]).get(id) if is_text(id) else None
        if item is None:
            raise ItemNotFoundError(f"there is no item {id!r}")
        return item

    def vectors(self, ids: Sequence[str]) -> NDArray[np.float32]:
        """Stored vectors, (len(ids), dim) float32 with unit rows."""
        return self._store.items.vectors(ids)

    def thumbnail(self, id: str, *, side: int = 320) -> bytes:
        """A JPEG of an item, at most ``side`` pixels on the longer side, never enlarged.

        The one that is kept, if it is large enough or the file is away; else of the file. Raises
        ``ItemNotFoundError``, and ``ImageError`` where neither can be had.
        """
        item = self.get(id)
        kept = self._store.thumbnails.get([id]).get(id)
        return render_thumbnail(item, self.file_of(item), kept, side=side, limits=self.limits)

    def previews(self, items: Iterable[Item], *, side: int) -> Iterator[Image.Image | None]:
        """Each item's picture to look at, at least ``side`` pixels if it can; ``None`` for none.

        Of the thumbnail that is kept or of the file, as ``thumbnail``.
        """
        wanted = list(items)
        files = self.files_of(wanted)
        return load_previews(self._store, wanted, files, side=side, limits=self.limits)

    def file_of(self, item: Item) -> Path | None:
        """Where an item's picture lies, or ``None`` if it came as bytes."""
        return self.files_of([item])[0]

    def files_of(self, items: Iterable[Item]) -> list[Path | None]:
        """``file_of`` each, looking the roots up once."""
        roots = {root.name: root.path for root in self.roots()}
        return [
            roots[item.root] / item.path if item.path and item.root in roots else None
            for item in items
        ]

    def __contains__(self, id: object) -> bool:
        return isinstance(id, str) and is_text(id) and id in self._store.items.get([id])

    def count(self, where: str | Condition | None = None) -> int:
        """How many items there are, or meet a filter."""
        return self._store.search.count(_condition(where))

    def items(self, where: str | Condition | None = None) -> Iterator[Item]:
        """Items by ascending id, all or those that meet a filter."""
        return self._store.items.scan(_condition(where))

    def sample(self, k: int, *, seed: int = 0, where: str | Condition | None = None) -> list[Item]:
        """``k`` items by chance, all or of those that meet a filter; of exact copies one.

        The same for the same ``seed``, but for what was added or removed; fewer than ``k`` only
        when there are not as many. ``ValueError`` when ``k`` is below 1.
        """
        return sample(self._store, k, seed=seed, where=_condition(where))

    def facets(
        self, field: str, where: str | Condition | None = None, *, limit: int = 100
    ) -> list[tuple[str | float | bool, int]]:
        """The values of a field (``label``, ``price``, ``spec.size`` …) and how many items each.

        Most first; of a list each element counts. Raises ``FilterError``.
        """
        return self._store.search.facets(field, _condition(where), limit=limit)

    def notes(
        self, where: str | Condition | None = None, *, field: str | None = None
    ) -> tuple[Note, ...]:
        """Say why no item meets a filter, or why none of those that do has a field.

        Empty where some do. Raises ``FilterError``.
        """
        condition = _condition(where)
        if field is None:
            return reasons.explain_filter(self._store, condition)
        return reasons.explain_field(self._store, field, condition)

    def declare(self, field: str) -> None:
        """Index a metadata field, so that filters and facets on it are quick in large collections.

        Raises ``FilterError`` for what cannot be a field's name, and ``CollectionError`` for one
        of an item's own, which are indexed already.
        """
        if field in FIELDS:
            raise CollectionError(
                f"{field} is every item's own, and needs no index; metadata.{field} is the field "
                "of that name in the metadata"
            )
        self._store.search.declare(field)

    def undeclare(self, field: str) -> bool:
        """Drop a field's index; says whether there was one."""
        return self._store.search.undeclare(field)

    def declared(self) -> list[str]:
        """The metadata fields that are indexed, sorted."""
        return self._store.search.declared()

    def label(self, ids: Sequence[str], label: str | None) -> None:
        """Set the label of items by hand, or remove it (``None``). ``ItemNotFoundError``.

        Nothing is encoded, and indexing does not change it (see ``index``).
        """
        _check_texts(ids)
        manual_edits.apply_edit(self._store, ids, {"label": label})

    def edit(
        self,
        id: str,
        **changes: Unpack[manual_edits.ItemChanges],
    ) -> Item:
        """Set ``label``, ``group`` or ``metadata`` of an item by hand; ``ItemNotFoundError``.

        What is not given stays; ``metadata`` replaces all of it. Indexing does not change what was
        set by hand (see ``index``). Returns the item.
        """
        _check_texts([id])
        return manual_edits.apply_edit(self._store, [id], changes)[0]

    def missing(self) -> Iterator[Missing]:
        """Yield the items whose file has gone, by ascending id, with what was said of them.

        They are in no results. They come back with their file; ``remove`` or
        ``indexing.prune.prune_missing`` forgets them.
        """
        return absent.missing(self._store)

    def __len__(self) -> int:
        return self._store.search.count()

    def __iter__(self) -> Iterator[Item]:
        return self._store.items.scan()

    def info(self) -> CollectionInfo:
        """What the collection holds and where."""
        facts = self._store.facts()
        bound = self._store.bound()
        roots = self.roots()
        names = {"", *(root.name for root in roots)}
        reasons = Counter(
            skip.reason for name in sorted(names) for skip in self._store.skips.below(name).values()
        )
        reasons.update(one.reason for one in failures.remembered(self._store))
        updated = self._store.settings.get(settings_keys.UPDATED_AT)
        pictured = self._store.thumbnails.state()
        size, ann_index_rows = facts.get("bytes"), facts.get("ann_index_rows")
        return CollectionInfo(
            address=str(facts["address"]),
            store=str(facts["store"]),
            items=len(self),
            missing=absent.count(self._store),
            encoder=bound[0] if bound else None,
            fingerprint=bound[1] if bound else None,
            dim=bound[2] if bound else None,
            bytes=size if isinstance(size, int) else None,
            ann_index_rows=ann_index_rows if isinstance(ann_index_rows, int) else 0,
            thumbnail_side=thumbnail_side(self._store),
            thumbnails=pictured.items,
            thumbnail_bytes=pictured.bytes,
            roots=tuple(roots),
            skipped=dict(reasons.most_common()),
            updated_at=updated if isinstance(updated, float) else None,
        )

    def describe(self, *, labels: int = 20, fields: bool = True) -> Description:
        """What is said about the items: labels, groups and, with ``fields``, the metadata.

        Unlike ``info`` this looks at every item: 0.2 s for 100,000, and another second for the
        fields.
        """
        labelled = Exists("label")
        return Description(
            items=len(self),
            labels={
                str(label): count
                for label, count in self._store.search.facets("label", labelled, limit=labels)
            },
            distinct_labels=self._store.search.distinct("label", labelled),
            unlabelled=self._store.search.count(Not(labelled)),
            groups=self._store.search.distinct("group", Exists("group")),
            fields=tuple(self._store.search.fields()) if fields else None,
        )

    def skipped(self) -> list[Skipped]:
        """All that is remembered as left out, with its reason, by path.

        ``path`` is where a file lies, the line of a catalogue (``products.csv:12``), or for what
        came as bytes its id. Of lines and the like the last run over a source counts.
        """
        roots = {"": None, **{root.name: root.path for root in self.roots()}}
        found = [
            skip if place is None else replace(skip, path=str(place / skip.path))
            for name, place in roots.items()
            for skip in self._store.skips.below(name).values()
        ]
        found += failures.remembered(self._store)
        return sorted(found, key=lambda skip: skip.path)

    def check(self, *, repair: bool = False) -> list[str]:
        """Problems with what is stored, as plain sentences; ``repair`` mends what it can."""
        return self._store.check(repair=repair)

    # -- roots -----------------------------------------------------------------------------

    def roots(self) -> list[Root]:
        """The folders that have been indexed, first come first."""
        return read_roots(self._store.settings.get(settings_keys.ROOTS))

    def relocate(
        self,
        old: str | os.PathLike[str],
        new: str | os.PathLike[str],
        *,
        dry_run: bool = False,
    ) -> "Relocation":
        """Tell the collection that an indexed folder lies at ``new`` now; ids stay as they are.

        ``old`` is the folder as it was indexed, or one that several such folders lie in. A sample
        of the items is looked for at the new place. Raises ``SourceError`` when nothing was indexed
        from ``old``, and when too few files are there or are the same.
        """
        from lookalike.indexing import relocating  # noqa: PLC0415 - a search should not pay for it

        return relocating.relocate(self._store, _expanded(old), _expanded(new), dry_run=dry_run)

    def _root_of(self, folder: Path, *, as_new: bool) -> tuple[Root, str, list[str]]:
        """The root that ``folder`` is or lies in, the path below it, and roots within it."""
        place = folder.resolve()
        around = innermost(self.roots(), place)
        if not _is_text(place.name if around is None else place.relative_to(around.path)):
            raise SourceError(f"{ascii(str(folder))[1:-1]}: its name is not UTF-8; rename it")
        if around is None:
            if not as_new:
                from lookalike.indexing import relocating  # noqa: PLC0415 - a search should not pay for it

                relocating.check_new(self._store, place)
            self._store.settings.change(
                settings_keys.ROOTS, lambda stored: roots_json(with_root(read_roots(stored), place))
            )
        roots = self.roots()
        root = innermost(roots, place)
        if root is None:  # another process has removed it in between
            raise SourceError(f"{folder} has just been removed from the collection; try again")
        under = place.relative_to(root.path).as_posix()
        return root, "" if under == "." else under, below(roots, root)

    # -- inside ----------------------------------------------------------------------------

    def _bound_encoder(self) -> Encoder:
        """The encoder, after making sure that it is the one of the stored vectors."""
        if self._encoder is None:
            encoder = self._make_encoder(self._store)
            self._store.bind(encoder=encoder.name, fingerprint=encoder.fingerprint, dim=encoder.dim)
            self._encoder = encoder
        return self._encoder

    def check_image(self, query: ImageSource) -> None:
        """Raise ``ImageError`` for what cannot be decoded, as ``encode`` does."""
        self._picture(query)

    def _picture(
        self, query: ImageSource, crop: images.Box | None = None
    ) -> tuple[bytes | None, images.DecodedImage]:
        """The query's bytes, if it has any, and the picture."""
        if isinstance(query, Image.Image):
            return None, _crop(images.from_image(query), crop)
        if isinstance(query, np.ndarray):
            return None, _crop(images.from_array(query), crop)
        if isinstance(query, bytes):
            data, path = query, None
        else:
            path = os.fspath(query)
            if path.lower().startswith(("http://", "https://")):
                raise NotAnImageError("is a URL; save the image first and give the file", path=path)
            data = self._read(path)
        try:
            at_least = self._decode_size()
            if crop is not None and at_least is not None:
                at_least = images.size_for_crop(at_least, crop)
            picture = images.decode(data, limits=self.limits, at_least=at_least)
        except ImageError as error:
            raise type(error)(error.reason, path=error.path or path) from error
        return data, _crop(picture, crop)

    def _read(self, path: str) -> bytes:
        """Return the bytes of a query's file. Raise ``ImageError``."""
        try:
            return images.read(_expanded(path), limits=self.limits)
        except UnreadableImageError as error:
            if os.path.lexists(_expanded(path)) or not _reads_as_words(path):
                raise
            bound = self._store.bound()
            encoder = "this encoder" if bound is None else f"the encoder {bound[0]}"
            raise UnreadableImageError(
                f"there is no such file, and {encoder} does not support search by words", path=path
            ) from error

    def _decode_size(self) -> tuple[int, int] | None:
        if self._store.bound() is None:
            return None
        return self._bound_encoder().decode_size

    def _itself(self, query: ImageSource) -> Item | None:
        """The item whose file the query is."""
        if not isinstance(query, str | os.PathLike):
            return None
        place = _expanded(query).resolve()
        if not _is_text(place):
            return None  # no item has such an id
        root = innermost(self.roots(), place)
        if root is None:
            return None
        item_id = id_of(root.name, place.relative_to(root.path).as_posix())
        return self._store.items.get([item_id]).get(item_id)

    def close(self) -> None:
        """Let go of files and connections."""
        self._store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close; after an error, a collection that was begun here and is still empty goes."""
        if error is not None:
            abandon(self._store)
        self.close()


def _crop(image: images.DecodedImage, crop: images.Box | None) -> images.DecodedImage:
    return image if crop is None else images.crop_image(image, crop)


def _reads_as_words(query: str) -> bool:
    """Return whether a query that is not a file looks like words rather than a path."""
    return not re.search(r"[/\\]", query) and not Path(query).suffix


def _expanded(path: str | os.PathLike[str]) -> Path:
    """With ``~`` as the home folder; a file that is really called ``~draft.jpg`` stays."""
    return Path(os.path.expanduser(path))  # noqa: PTH111 - a Path's raises where this passes over


def _is_text(path: str | os.PathLike[str]) -> bool:
    """Whether a path can be written as UTF-8, and so be part of an id."""
    try:
        os.fspath(path).encode()
    except UnicodeEncodeError:
        return False
    return True


class _Common(TypedDict):
    """What all ways of indexing take."""

    limits: images.Limits
    progress: ProgressCallback | None
    stop: Callable[[], bool]


def _condition(where: str | Condition | None) -> Condition | None:
    if isinstance(where, str):
        return parse(where) if where.strip() else None
    return where


def _check_texts(ids: Iterable[str]) -> None:
    """Raise ``ItemNotFoundError`` for an id that no store can even be asked for."""
    for one in ids:
        if not is_text(one):
            raise ItemNotFoundError(f"there is no item {one!r}")
