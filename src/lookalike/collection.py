"""``Collection``: the public face. Images go in, similar images come out."""

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

from lookalike import images
from lookalike.collection_encoding import CollectionEncoding
from lookalike.collection_items import check_ids
from lookalike.core.arguments import checked_methods
from lookalike.core.ids import check_id
from lookalike.core.progress import ProgressCallback
from lookalike.core.protocols import Catalogue
from lookalike.core.records import (
    Added,
    Entry,
    IndexReport,
    Json,
)
from lookalike.core.roots import Root
from lookalike.core.shards import Shard
from lookalike.errors import ImageError
from lookalike.indexing.fitting import ProjectionDim, check_dim
from lookalike.query_images import PreparedQuery
from lookalike.regions.table import check_region_count
from lookalike.search import (
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
    from lookalike.analysis.explanation import Explanation, Method
    from lookalike.sources.scan import ScanOptions

__all__ = ["Collection", "PreparedQuery", "Root"]


@checked_methods
class Collection(CollectionEncoding):
    """Items that are searched together, with one encoder and one store.

        shop = lookalike.open("shop", create=True)
        shop.index("photos/")
        for hit in shop.search("query.jpg", k=5):
            print(hit.score, hit.item.id)

    A collection is a context manager, and may be used from several threads. ``encoder`` is called
    when something must be encoded; what needs only stored embeddings never loads it.
    ``supports_words`` says without loading it whether it supports words.
    """

    # -- indexing --------------------------------------------------------------------------

    def index(
        self,
        source: str | os.PathLike[str] | Catalogue | Iterable[Entry | str | os.PathLike[str]],
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
        regions: int | None = None,
        dim: ProjectionDim = "auto",
        progress: ProgressCallback | None = None,
        stop: Callable[[], bool] = lambda: False,
        optimize: bool = True,
    ) -> IndexReport:
        """Bring the collection in line with a folder or a catalogue, or add entries.

        A single image, a pattern (``"scans/*.jpg"``), a list of files and an archive (zip, tar)
        only add and replace items. A folder is scanned completely. New and changed images are
        encoded, unchanged ones are not read, and exact duplicates reuse the stored embedding. Items
        whose file has gone are removed (or kept, with ``keep_missing``). If that would remove all
        items of the source, or more than three that are more than one in ten, none is removed, and
        the report says so (``held_back``, ``problems``); ``allow_removals`` removes them. A
        malformed catalogue never removes anything. ``retry`` tries unchanged files again that could
        not be used before; ``reread`` reads every file, whatever its size and time. Files that are
        still being written, or changed less than ``settle`` seconds ago, are left for a later run
        (``being_written``).

        ``progress`` is called after each batch. If ``stop`` returns true, the run ends cleanly
        after the current batch; the next run continues. With ``optimize``, a large collection is
        prepared for fast searches at the end (see ``optimize``). With ``shard``, only that part of
        the source is indexed and nothing is removed, so several machines can fill one collection;
        afterwards ``indexing.prune`` removes what has vanished.

        ``thumbnails`` keeps a small JPEG of each item in the store, with so many pixels (32 to
        1024) on the longer side, for users who cannot reach the files; 0 keeps none and drops the
        existing ones. The collection remembers this for later runs and for ``add``. Items of this
        source without a thumbnail are given one, and are not encoded again.

        ``regions`` gives each image so many region vectors at most (1 to 16) beside that of the
        whole: of the parts that stand out, which ``search`` finds and names by ``Hit.box``. Each
        takes about as long to make as an item, and five maps more. 0 gives none and drops the
        existing ones. The collection remembers this; items of this source get theirs in this run.

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
        from lookalike.sources.catalogues.object_folder import open_objects  # noqa: PLC0415

        return index_source(
            self._store,
            self._base_encoder,
            open_objects(source, self.cache),
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
                regions=None if regions is None else check_region_count(regions),
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
        crop: images.Crop | None = None,
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
        bottom), each in [0, 1] of the upright image, searches with a part of a single image, and
        ``auto`` with the one that stands out most (``propose_crops``). The keywords are the fields
        of ``SearchOptions``, on top of ``options``. ``rules`` belong to ``category``.

        Where the query is the file of an item, that item is left out unless ``include_self``, and
        ``Results.left_out`` names it; any other image finds its exact duplicates. Where nothing is
        found, ``Results.notes`` say why.

        Raise ``ImageError``, ``ItemNotFoundError``, ``WordsError`` where the encoder has no words,
        ``EncoderError``, ``FilterError``, ``CollectionError`` for a category that no item has, and
        ``ValueError`` for options out of range.
        """
        wanted = SearchOptions.of(options, keywords)
        return run(self, Query.of(query, crop=crop), wanted, rules=rules)

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
        crop: images.Crop | None = None,
        method: "Method" = "auto",
        any_orientation: bool = False,
    ) -> "Explanation":
        """Return which regions make a query and an item alike.

            shop.explain("query.jpg", "2024/cat.jpg").save("why.png")

        ``query``, ``crop`` and ``any_orientation`` are those of ``search``. With ``method`` "map",
        what the positions of each image add to the score is taken from the encoder and adds up to
        it; "occlusion" hides regions in turn, for encoders without a map; "auto" takes the first if
        the encoder has it.

        Raise as ``search``, ``ItemNotFoundError``, ``UnreadableImageError`` where the item's image
        has gone, and ``ExplanationError`` for "map" with an encoder that has none.
        """
        from lookalike.search.explaining import explain  # noqa: PLC0415 - a search needs none

        check_ids([id])
        return explain(
            self, Query.of(query, crop=crop), id, method=method, any_orientation=any_orientation
        )
