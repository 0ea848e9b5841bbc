"""The part of ``Collection`` that encodes: its encoder, queries, and proposed crops."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from lookalike import images
from lookalike.collection_info import CollectionInfo
from lookalike.collection_items import CollectionItems
from lookalike.core.arguments import check_whole, checked_methods
from lookalike.core.protocols import Encoder, Store, TextEncoder, text_encoder_of
from lookalike.core.protocols.inputs import ClassEncoder, class_encoder_of
from lookalike.errors import CollectionError
from lookalike.indexing.fitting import projected
from lookalike.query_images import PreparedQuery, find_own_item, load_query
from lookalike.regions.index import RegionIndex
from lookalike.regions.position_maps import find_boxes, finest_size, require_map
from lookalike.search import Encoded, ImageSource, ItemRef, Words, bytes_of, words_vector

__all__ = ["CollectionEncoding"]

_BATCH = 32  # images that an encoder is given at once, unless it has a ``batch_size``
_EMPTY = "the collection is empty; `lookalike index FOLDER` fills it"


@checked_methods
class CollectionEncoding(CollectionItems):
    """A collection with its encoder: the part of ``Collection`` that turns images into vectors."""

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
        self.region_index = RegionIndex(store)
        """The region vectors of the items, read when a search needs them."""

    def encode(
        self, query: ImageSource | Words | Encoded, *, crop: images.Crop | None = None
    ) -> Encoded:
        """Encode an image or words for several searches; ``search`` accepts the result as a query.

        ``crop`` (left, top, right, bottom), each in [0, 1] of the upright image, encodes only that
        part; ``auto`` the first of ``propose_crops``, if there is one, and ``Encoded.crop`` says
        which. A ``str`` is a path here; words are ``Words``. Raise ``ImageError``, ``WordsError``,
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

    def prepare(self, query: ImageSource, *, crop: images.Crop | None = None) -> PreparedQuery:
        """Do the part of ``encode`` that concerns one image alone: read, decode, crop, scale down.

        A service that has the images of several users prepares each on its own thread and encodes
        them together. Raise as ``encode``.
        """
        box = next(iter(self.propose_crops(query, count=1)), None) if crop == "auto" else crop
        data, decoded = self._load(query, box)
        if self._store.bound() is None:
            raise CollectionError(_EMPTY)
        prepared = self._bound_encoder().prepare(decoded.image)
        self._store.search.warm()  # while an encoder that is just being opened opens on its thread
        return PreparedQuery(
            prepared=prepared,
            digest=None if data is None else images.digest(data),
            item=find_own_item(self._store, query),
            crop=box,
        )

    def propose_crops(self, query: ImageSource | ItemRef, *, count: int = 4) -> list[images.Box]:
        """Return at most ``count`` parts of an image to search with, the most salient first.

        They are boxes that stand out from what is around them, as the encoder sees it (the map
        ``[map]`` of its card). ``query`` is an image as for ``search``, or an item with a file.
        An image of one colour has none. Raise as ``encode``, ``RegionError`` for an encoder without
        such a map, and ``ItemNotFoundError``.
        """
        check_whole("count", count, least=1)
        if isinstance(query, ItemRef):
            query = bytes_of(self, self.get(query.id))
        if self._store.bound() is None:
            self._load(query)
            raise CollectionError(_EMPTY)
        encoder = self._bound_encoder()
        require_map(encoder)
        size = finest_size(encoder)
        _, decoded = load_query(query, crop=None, limits=self.limits, decode_size=lambda: size)
        return find_boxes(encoder, decoded.image, count)

    @property
    def batch_size(self) -> int:
        """How many images ``encode_prepared`` best takes at a time; 1 before the first encoding."""
        encoder = self._encoder
        return 1 if encoder is None else getattr(encoder, "batch_size", _BATCH)

    def encode_prepared(self, queries: Sequence[PreparedQuery]) -> list[Encoded]:
        """Encode any number of prepared images at once. Raise ``EncoderError``."""
        vectors = self._bound_encoder().encode([one.prepared for one in queries])
        return [
            Encoded(vector=vector, digest=one.digest, item=one.item, crop=one.crop)
            for vector, one in zip(vectors, queries, strict=True)
        ]

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
