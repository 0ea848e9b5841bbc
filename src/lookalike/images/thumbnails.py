"""Thumbnails kept in the store, so that items can be shown where their files cannot be reached.

Whether a collection keeps thumbnails, and of which size, is a setting of the collection. All that
writes items follows it.
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
from lookalike.images.limits import Limits
from lookalike.images.records import DecodedImage

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
    """Return the size of the thumbnails of new items in pixels; ``None`` if none are kept."""
    match store.settings.get(settings_keys.THUMBNAILS):
        case {"side": int(side)}:
            return side
        case _:
            return None


def check_side(side: int) -> int:
    """Return the side of thumbnails, or 0 for none. Raise ``ValueError`` for any other number."""
    if side and not _SMALLEST <= side <= _LARGEST:
        raise ValueError(
            f"a thumbnail has {_SMALLEST} to {_LARGEST} pixels on the longer side, or 0 for none, "
            f"not {side}"
        )
    return side


def set_thumbnail_side(store: Store, side: int) -> None:
    """Keep thumbnails of ``side`` pixels from now on; 0 keeps none and drops the existing ones.

    Raise as ``check_side``.
    """
    check_side(side)
    if side != (thumbnail_side(store) or 0):
        store.settings.set(settings_keys.THUMBNAILS, {"side": side} if side else None)
    if not side:
        store.thumbnails.clear()


def make_thumbnail(
    data: bytes, side: int, *, limits: Limits, decoded: DecodedImage | None = None
) -> Thumbnail:
    """Return the thumbnail of an image file's bytes; of ``decoded``, if that is large enough.

    Raise as ``images.decode``.
    """
    if decoded is None or max(decoded.image.size) < min(side, max(decoded.width, decoded.height)):
        decoded = images.decode(data, limits=limits, at_least=(side, side))
    return Thumbnail(jpeg=images.encode_thumbnail(decoded.image, side), side=side)


def render_thumbnail(
    item: Item, file: Path | None, kept: Thumbnail | None, *, side: int, limits: Limits
) -> bytes:
    """Return a JPEG of an item, at most ``side`` pixels on the longer side, never enlarged.

    ``kept`` is the item's thumbnail in the store. It is used if it is large enough, or if ``file``
    cannot be used. Raise ``ImageError`` if neither can be used.
    """
    if kept is not None and (file is None or kept.shows(item, side)):
        return _reduce(kept, side)
    if file is None:
        raise UnreadableImageError("the image itself is not kept, only its embedding")
    try:
        data = images.read(file, limits=limits)
        decoded = images.decode(data, limits=limits, at_least=(side, side))
    except ImageError:
        if kept is None:
            raise
        return _reduce(kept, side)
    return images.encode_thumbnail(decoded.image, side)


def load_previews(
    store: Store,
    items: Sequence[Item],
    files: Sequence[Path | None],
    *,
    side: int,
    limits: Limits,
) -> Iterator[Image.Image | None]:
    """Yield an image of each item to show, of at least ``side`` pixels if possible, else ``None``.

    It comes from the thumbnail or the file, as for ``render_thumbnail``; ``files`` are in the order
    of ``items``.
    """
    pairs = iter(zip(items, files, strict=True))
    while batch := list(islice(pairs, _BATCH)):
        kept = store.thumbnails.get([item.id for item, _ in batch])
        for item, file in batch:
            yield _load_source(item, file, kept.get(item.id), side, limits)


def _load_source(
    item: Item, file: Path | None, kept: Thumbnail | None, side: int, limits: Limits
) -> Image.Image | None:
    image = None
    if kept is None or not kept.shows(item, side):
        image = images.load_preview(file, side, limits)
    return image or images.load_preview(None if kept is None else kept.jpeg, side)


def _reduce(kept: Thumbnail, side: int) -> bytes:
    if kept.side <= side:
        return kept.jpeg
    return images.encode_thumbnail(images.decode(kept.jpeg, at_least=(side, side)).image, side)
