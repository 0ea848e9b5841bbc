"""The settings of a project that concern the app."""

from dataclasses import dataclass
from pathlib import Path

from django.conf import settings

from lookalike.errors import CollectionError

__all__ = ["AppSettings", "read"]

_MOST_HITS = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class AppSettings:
    """``collection`` is a name, a path, or the URL of a service with, perhaps, ``#NAME``.

    ``key`` is what who asks must show, and ``service_key`` what is shown to a service;
    ``max_upload`` is in bytes. ``image_url`` makes an item's address: ``{id}`` in it stands for
    the id, percent-encoded.
    """

    collection: str
    key: str | None
    service_key: str | None
    hits: int
    max_upload: int
    image_url: str | None


def read() -> AppSettings:
    """Return what the project says now. Raise ``CollectionError`` for what cannot be right."""
    collection = getattr(settings, "LOOKALIKE_COLLECTION", None)
    if not collection:
        raise CollectionError("LOOKALIKE_COLLECTION is not set: a collection's name, path or URL")
    hits = getattr(settings, "LOOKALIKE_HITS", 10)
    if not isinstance(hits, int) or not 1 <= hits <= _MOST_HITS:
        raise CollectionError(f"LOOKALIKE_HITS is {hits!r}, but must be from 1 to {_MOST_HITS}")
    max_upload = getattr(settings, "LOOKALIKE_MAX_UPLOAD", 20_000_000)
    if not isinstance(max_upload, int) or max_upload < 1:
        raise CollectionError(f"LOOKALIKE_MAX_UPLOAD is {max_upload!r}, but must be bytes")
    return AppSettings(
        # A path without a slash would be taken for a name.
        collection=str(collection.absolute() if isinstance(collection, Path) else collection),
        key=getattr(settings, "LOOKALIKE_KEY", None) or None,
        service_key=getattr(settings, "LOOKALIKE_API_KEY", None) or None,
        hits=hits,
        max_upload=max_upload,
        image_url=_read_image_url(),
    )


def _read_image_url() -> str | None:
    """Return ``LOOKALIKE_IMAGE_URL``, or the setting by its older name."""
    older = getattr(settings, "LOOKALIKE_PICTURE_URL", None)
    return getattr(settings, "LOOKALIKE_IMAGE_URL", older) or None
