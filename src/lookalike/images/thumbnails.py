"""Small pictures kept in the store, so that items are seen where their files are not.

Whether a collection keeps them, and how large, is a setting of the collection: whoever writes items
follows it.
"""

from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

from PIL import Image

from lookalike import images
from lookalike.core import settings_keys
from lookalike.core.protocols import Store
from lookalike.core.records import Item, Thumbnail
from lookalike.errors import ImageError, UnreadableImageError
from lookalike.images.decoding import DecodedImage, Limits

__all__ = [
    "check_side",
    "load_previews",
    "make_thumbnail",
    "render_thumbnail",
    "set_thumbnail_side",
    "thumbnail_side",
]

_SMALLEST, _LARGEST = 32, 1024  # pixels of the longer side
_BATCH = 100  # thumbnails read at a time: a megabyte


def thumbnail_side(store: Store) -> int | None:
    """How large new items' thumbnails are to be; ``None`` where none are kept."""
    match store.setting(settings_keys.THUMBNAILS):
        case {"side": int(side)}:
            return side
        case _:
            return None


def check_side(side: int) -> int:
    """The side of thumbnails to keep, or 0 for none. ``ValueError`` for what is neither."""
    if side and not _SMALLEST <= side <= _LARGEST:
        raise ValueError(
            f"a thumbnail has {_SMALLEST} to {_LARGEST} pixels on the longer side, or 0 for none, "
            f"not {side}"
        )
    return side


def set_thumbnail_side(store: Store, side: int) -> None:
    """Keep thumbnails of ``side`` pixels from now on; 0 keeps none and drops those that are there.

    Raises as ``check_side``.
    """
    check_side(side)
    if side != (thumbnail_side(store) or 0):
        store.set_setting(settings_keys.THUMBNAILS, {"side": side} if side else None)
    if not side:
        store.drop_thumbnails()


def make_thumbnail(
    data: bytes, side: int, *, limits: Limits, decoded: DecodedImage | None = None
) -> Thumbnail:
    """The thumbnail of a picture file's bytes; of ``decoded``, where that is large enough.

    Raises as ``images.decode``.
    """
    if decoded is None or max(decoded.image.size) < min(side, max(decoded.width, decoded.height)):
        decoded = images.decode(data, limits=limits, at_least=(side, side))
    return Thumbnail(jpeg=images.encode_thumbnail(decoded.image, side), side=side)


def render_thumbnail(
    item: Item, file: Path | None, kept: Thumbnail | None, *, side: int, limits: Limits
) -> bytes:
    """A JPEG of an item, at most ``side`` pixels on the longer side, never enlarged.

    ``kept`` is its thumbnail in the store: taken where it is large enough, or where its ``file``
    cannot be used. Raises ``ImageError`` where neither can.
    """
    if kept is not None and (file is None or kept.shows(item, side)):
        return _reduced(kept, side)
    if file is None:
        raise UnreadableImageError("the picture is not kept, only its vector")
    try:
        data = images.read(file, limits=limits)
        picture = images.decode(data, limits=limits, at_least=(side, side))
    except ImageError:
        if kept is None:
            raise
        return _reduced(kept, side)
    return images.encode_thumbnail(picture.image, side)


def load_previews(
    store: Store,
    items: Sequence[Item],
    files: Sequence[Path | None],
    *,
    side: int,
    limits: Limits,
) -> Iterator[Image.Image | None]:
    """Each item's picture to look at, at least ``side`` pixels if it can; ``None`` if it cannot.

    Of its thumbnail or its file (in the order of ``items``), as ``render_thumbnail``.
    """
    pairs = iter(zip(items, files, strict=True))
    while batch := list(islice(pairs, _BATCH)):
        kept = store.thumbnails([item.id for item, _ in batch])
        for item, file in batch:
            yield _image(item, file, kept.get(item.id), side, limits)


def _image(
    item: Item, file: Path | None, kept: Thumbnail | None, side: int, limits: Limits
) -> Image.Image | None:
    image = None
    if kept is None or not kept.shows(item, side):
        image = images.load_preview(file, side, limits)
    return image or images.load_preview(None if kept is None else kept.jpeg, side)


def _reduced(kept: Thumbnail, side: int) -> bytes:
    if kept.side <= side:
        return kept.jpeg
    return images.encode_thumbnail(images.decode(kept.jpeg, at_least=(side, side)).image, side)
