"""``Collection``: the public face. Images go in, similar images come out."""

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

from lookalike import images
from lookalike.collection_info import CollectionInfo
from lookalike.collection_items import CollectionItems, check_ids
from lookalike.core.arguments import checked_methods
from lookalike.core.ids import check_id
from lookalike.core.progress import ProgressCallback
from lookalike.core.protocols import Catalogue, Encoder, Store, TextEncoder, text_encoder_of
from lookalike.core.protocols.inputs import ClassEncoder, class_encoder_of
from lookalike.core.records import (
    Added,
    Entry,
    IndexReport,
    Json,
)
from lookalike.core.roots import Root
from lookalike.core.shards import Shard
from lookalike.errors import CollectionError, ImageError
from lookalike.indexing.fitting import ProjectionDim, check_dim, projected
from lookalike.query_images import PreparedQuery, find_own_item, load_query
from lookalike.search import (
    Encoded,
    ImageSource,
    ItemRef,
    Query,
    QueryLike,
    Results,
    SearchKeywords,
    SearchOptions,
    Words,
    run,
    words_vector,
)

if TYPE_CHECKING:
    from lookalike.analysis.categories.category_search import CategoryRules
    from lookalike.analysis.explanation import Explanation, Method
    from lookalike.sources.scan import ScanOptions

__all__ = ["Collection", "PreparedQuery", "Root"]


_BATCH = 32  # images that an encoder is given at once, unless it has a ``batch_size``


@checked_methods
class Collection(CollectionItems):
    """Items that are searched together, with one encoder and one store.

        shop = lookalike.open("shop", create=True)
        shop.index("photos/")
        for hit in shop.search("query.jpg", k=5):
            print(hit.score, hit.item.id)

    A collection is a context manager, and may be used from several threads. ``encoder`` is called
    when something must be encoded; what needs only stored embeddings never loads it.
    ``supports_words`` says without loading it whether it supports words.
    """

    def __init__(
        self,
        store: Store,
        encoder: Callable[[Store], Encoder],
        *,
        limits: images.Limits = images.Limits(),
        cache: Path | None = None,
        supports_words: Callable[[Store], bool] | None = None,
    ) -> None:
        super().__init__(store, limits=limits)
        self._make_encoder = encoder
        self._card_has_words = supports_words
        self._base: Encoder | None = None
        self._encoder: Encoder | None = None
        self.cache = cache
        """Folder for what can be computed again, such as signatures of images. None by default."""

    # -- indexing --------------------------------------------------------------------------

    def index(
        self,
        source: str | os.PathLike[str] | Catalogue | Iterable[Entry],
        *,
        format: str = "auto",
        options: "ScanOptions | None" = None,
        keep_missing: bool = False,
        allow_removals: bool = False,
        retry: bool = False,
        reread: bool = False,
        settle: float = 0.0,
        shard: Shard | None = None,
        overwrite_by_hand: bool = False,
        as_new: bool = False,
        thumbnails: int | None = None,
        dim: ProjectionDim = "auto",
        progress: ProgressCallback | None = None,
        stop: Callable[[], bool] = lambda: False,
        optimize: bool = True,
    ) -> IndexReport:
        """Bring the collection in line with a folder or a catalogue, or add entries.

        A folder is scanned completely. New and changed images are encoded, unchanged ones are not
        read, and exact duplicates reuse the stored embedding. Items whose file has gone are removed
        (or kept, with ``keep_missing``). If that would remove all items of the source, or more than
        three that are more than one in ten, none is removed, and the report says so (``held_back``,
        ``problems``); ``allow_removals`` removes them. A malformed catalogue never removes
        anything. ``retry`` tries unchanged files again that could not be used before; ``reread``
        reads every file, whatever its size and time. Files that are still being written, or changed
        less than ``settle`` seconds ago, are left for a later run (``being_written``).

        ``progress`` is called after each batch. If ``stop`` returns true, the run ends cleanly
        after the current batch; the next run continues. With ``optimize``, a large collection is
        prepared for fast searches at the end (see ``optimize``). With ``shard``, only that part of
        the source is indexed and nothing is removed, so several machines can fill one collection;
        afterwards ``indexing.prune`` removes what has vanished.

        ``thumbnails`` keeps a small JPEG of each item in the store, with so many pixels (32 to
        1024) on the longer side, for users who cannot reach the files; 0 keeps none and drops the
        existing ones. The collection remembers this for later runs and for ``add``. Items of this
        source without a thumbnail are given one, and are not encoded again.

        ``dim`` is for a new collection: its embeddings are projected to so many dimensions, on the
        principal components of a sample of these images, which are stored and never change.
        ``auto`` projects to 128 where there are at least 384 images, ``off`` never projects.

        A catalogue (``sources.catalogues``) also gives the label, group and metadata of an image.
        Those set by hand (``label``, ``edit``) stay, unless ``overwrite_by_hand``. ``format`` is
        the name of its format, ``folder`` for a folder of images alone, or ``auto`` to recognise it
        by its content. If only these values have changed, no image is read or encoded again.

        A file that was moved or renamed keeps its label, group, metadata and thumbnail. Those of
        removed items are kept (``missing``), and the item has them again when its file is back.

        A folder that holds the files of another root, which have all vanished there, is taken for
        that root moved: this is an error that says how to ``relocate`` it, unless ``as_new``.

        Raise ``SourceError`` for a missing folder, ``RootMovedError``, ``EncoderError``,
        ``EncoderMismatchError`` or ``StoreError``. An image that cannot be used raises nothing; it
        is listed in the report.
        """
        # Importing what indexing needs takes a fresh process 20 ms, which a search need not pay.
        from lookalike.indexing.index_source import IndexOptions, index_source  # noqa: PLC0415

        return index_source(
            self._store,
            self._base_encoder,
            source,
            IndexOptions(
                format=format,
                options=options,
                keep_missing=keep_missing,
                allow_removals=allow_removals,
                retry=retry,
                reread=reread,
                settle=settle,
                shard=shard,
                overwrite_by_hand=overwrite_by_hand,
                as_new=as_new,
                thumbnails=thumbnails,
                dim=check_dim(dim),
                optimize=optimize,
            ),
            limits=self.limits,
            progress=progress,
            stop=stop,
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

        Return the item with its ``outcome``: "created", "replaced" (label, group and metadata that
        are not given stay), or "unchanged" if the item has this very image. ``thumbnails`` is that
        of ``index``. Raise ``ImageError``, and ``InvalidIdError`` for an id that a new item cannot
        have (``core.ids``).
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
        return Added.of(self.get(id), report)

    def bind(self) -> None:
        """Bind an empty collection to its encoder now, before the first image is indexed.

        Raise ``EncoderError`` or ``EncoderMismatchError``.
        """
        self._bound_encoder()

    # -- searching -------------------------------------------------------------

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
            shop.search("red leather bag")

        ``query`` is an image: a file, the bytes of one, a PIL image, or an (h, w, 3) uint8 RGB
        array and the like; an ``ItemRef``; ``Words``; a vector (an array of one dimension); or
        several of these, with weights and crops as ``QueryPart``. A ``str`` is the path of an image
        if it names a file or looks like a path; otherwise it is words. ``crop`` (left, top, right,
        bottom), each in [0, 1] of the upright image, searches with a part of a single image. The
        keywords are the fields of ``SearchOptions``, on top of ``options``. ``rules`` belong to
        ``category``.

        Where the query is the file of an item, that item is left out unless ``include_self``, and
        ``Results.left_out`` names it; any other image finds its exact duplicates. Where nothing is
        found, ``Results.notes`` say why.

        Raise ``ImageError``, ``ItemNotFoundError``, ``WordsError`` where the encoder has no words,
        ``EncoderError``, ``FilterError``, ``CollectionError`` for a category that no item has, and
        ``ValueError`` for options out of range.
        """
        wanted = SearchOptions.of(options, keywords)
        return run(self, Query.of(query, crop=crop), wanted, rules=rules)

    def encode(
        self, query: ImageSource | Words | Encoded, *, crop: images.Box | None = None
    ) -> Encoded:
        """Encode an image or words for several searches; ``search`` accepts the result as a query.

        ``crop`` (left, top, right, bottom), each in [0, 1] of the upright image, encodes only that
        part. A ``str`` is a path here; words are ``Words``. Raise ``ImageError``, ``WordsError``,
        ``EncoderError``, ``CollectionError`` for an empty collection, and ``ValueError`` for an
        impossible crop.
        """
        if isinstance(query, Encoded):
            return query
        if isinstance(query, Words):
            if crop is not None:
                raise ValueError("a crop needs an image; words and vectors have none")
            return Encoded(vector=words_vector(self, query), words=query)
        return self.encode_prepared([self.prepare(query, crop=crop)])[0]

    def prepare(self, query: ImageSource, *, crop: images.Box | None = None) -> PreparedQuery:
        """Do the part of ``encode`` that concerns one image alone: read, decode, crop, scale down.

        A service that has the images of several users prepares each on its own thread and encodes
        them together. Raise as ``encode``.
        """
        data, decoded = self._load(query, crop)
        if self._store.bound() is None:
            raise CollectionError("the collection is empty; `lookalike index FOLDER` fills it")
        prepared = self._bound_encoder().prepare(decoded.image)
        self._store.search.warm()  # while an encoder that is just being opened opens on its thread
        return PreparedQuery(
            prepared=prepared,
            digest=None if data is None else images.digest(data),
            item=find_own_item(self._store, query),
        )

    @property
    def batch_size(self) -> int:
        """How many images ``encode_prepared`` best takes at a time; 1 before the first encoding."""
        encoder = self._encoder
        return 1 if encoder is None else getattr(encoder, "batch_size", _BATCH)

    def encode_prepared(self, queries: Sequence[PreparedQuery]) -> list[Encoded]:
        """Encode any number of prepared images at once. Raise ``EncoderError``."""
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
        check_ids([id])
        return self.search(ItemRef(id), options=options, **keywords)

    def explain(
        self,
        query: QueryLike,
        id: str,
        *,
        crop: images.Box | None = None,
        method: "Method" = "auto",
    ) -> "Explanation":
        """Return which regions make a query and an item alike.

            shop.explain("query.jpg", "2024/cat.jpg").save("why.png")

        ``query`` and ``crop`` are those of ``search``. With ``method`` "map", what the positions of
        each image add to the score is taken from the encoder and adds up to it; "occlusion" hides
        regions in turn, for encoders without a map; "auto" takes the first if the encoder has it.

        Raise as ``search``, ``ItemNotFoundError``, ``UnreadableImageError`` where the item's image
        has gone, and ``ExplanationError`` for "map" with an encoder that has none.
        """
        from lookalike.search.explaining import explain  # noqa: PLC0415 - a search needs none

        check_ids([id])
        return explain(self, Query.of(query, crop=crop), id, method=method)

    @property
    def encoder(self) -> Encoder:
        """The encoder of the stored embeddings, with the collection's projection."""
        return self._bound_encoder()

    @property
    def text_encoder(self) -> TextEncoder | None:
        """What turns words into vectors in the space of the images, if the encoder can."""
        return text_encoder_of(self._bound_encoder())

    @property
    def class_encoder(self) -> ClassEncoder | None:
        """The classes that the encoder knows by name, if it does."""
        return class_encoder_of(self._bound_encoder())

    @property
    def supports_words(self) -> bool:
        """Whether the encoder supports search by words. Loads no encoder where that is known."""
        if self._base is None and self._card_has_words is not None:
            return self._card_has_words(self._store)
        return text_encoder_of(self._base_encoder()) is not None

    def info(self) -> CollectionInfo:
        known = self._base is not None or self._card_has_words is not None
        return replace(super().info(), words=known and self.supports_words)

    # -- internals -------------------------------------------------------------------------

    def _bound_encoder(self) -> Encoder:
        """Return the encoder, after checking that it is the one of the stored embeddings."""
        if self._encoder is None:
            encoder = projected(self._store, self._base_encoder())
            self._store.bind(encoder=encoder.name, fingerprint=encoder.fingerprint, dim=encoder.dim)
            self._encoder = encoder
        return self._encoder

    def _base_encoder(self) -> Encoder:
        """Return the encoder without the collection's projection; it is opened once."""
        if self._base is None:
            self._base = self._make_encoder(self._store)
        return self._base

    def check_image(self, query: ImageSource) -> None:
        """Raise ``ImageError`` for what cannot be decoded, as ``encode`` does."""
        self._load(query)

    def load_image(self, query: ImageSource, *, side: int) -> images.DecodedImage:
        """Return the upright image of a query, with both sides at least ``side`` if it has that.

        Raise ``ImageError``.
        """
        return load_query(query, crop=None, limits=self.limits, decode_size=lambda: (side, side))[1]

    def _load(
        self, query: ImageSource, crop: images.Box | None = None
    ) -> tuple[bytes | None, images.DecodedImage]:
        return load_query(query, crop=crop, limits=self.limits, decode_size=self._decode_size)

    def _decode_size(self) -> tuple[int, int] | None:
        if self._store.bound() is None:
            return None
        return self._bound_encoder().decode_size
