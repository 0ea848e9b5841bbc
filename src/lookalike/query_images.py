"""The image of a query: read and decoded, and the item whose file it is."""

import os
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import Image

from lookalike import images
from lookalike.core import settings_keys
from lookalike.core.protocols import Prepared, Store
from lookalike.core.records import Item, id_of
from lookalike.core.roots import expand_home, innermost, read_roots
from lookalike.errors import ImageError, NotAnImageError
from lookalike.search import ImageSource
from lookalike.search.query import check_source

__all__ = ["PreparedQuery", "find_own_item", "load_query"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PreparedQuery:
    """An image at its encoder's input size, to be encoded together with others.

    ``digest``, ``item`` and ``crop`` are those of ``Encoded``.
    """

    prepared: Prepared
    digest: str | None = None
    item: Item | None = None
    crop: images.Box | None = None


def load_query(
    query: ImageSource,
    *,
    crop: images.Box | None,
    limits: images.Limits,
    decode_size: Callable[[], tuple[int, int] | None],
) -> tuple[bytes | None, images.DecodedImage]:
    """Return the bytes of a query, if it has any, and its decoded image or the part ``crop``.

    The result has at least ``decode_size`` pixels (width, height) if the original has them; that is
    called once the file has been read. Raise ``ImageError``, and ``ValueError`` for an impossible
    crop.
    """
    check_source(query)
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
        data = images.read(expand_home(path), limits=limits)
    try:
        at_least = decode_size()
        if crop is not None and at_least is not None:
            at_least = images.size_for_crop(at_least, crop)
        decoded = images.decode(data, limits=limits, at_least=at_least)
    except ImageError as error:
        raise type(error)(error.reason, path=error.path or path) from error
    return data, _crop(decoded, crop)


def find_own_item(store: Store, query: ImageSource) -> Item | None:
    """Return the item whose file the query is, if there is one."""
    if not isinstance(query, str | os.PathLike):
        return None
    place = expand_home(query).resolve()
    try:
        os.fspath(place).encode()
    except UnicodeEncodeError:
        return None  # no item has such an id
    root = innermost(read_roots(store.settings.get(settings_keys.ROOTS)), place)
    if root is None:
        return None
    item_id = id_of(root.name, place.relative_to(root.path).as_posix())
    return store.items.get([item_id]).get(item_id)


def _crop(image: images.DecodedImage, crop: images.Box | None) -> images.DecodedImage:
    return image if crop is None else images.crop_image(image, crop)
