"""The HTTP status and the code of each error. The service sends them, and the client raises the
same error again.
"""

from collections.abc import Mapping

from lookalike import errors

__all__ = ["KINDS", "STATUS", "status_of"]

STATUS: Mapping[type[errors.LookalikeError], tuple[int, str]] = {
    errors.LookalikeError: (500, "error"),
    errors.ImageError: (422, "unusable-image"),
    errors.UnreadableImageError: (404, "unreadable-image"),
    errors.NotAnImageError: (415, "not-an-image"),
    errors.BrokenImageError: (422, "broken-image"),
    errors.ImageTooLargeError: (413, "image-too-large"),
    errors.FilterError: (422, "bad-filter"),
    errors.SourceError: (422, "bad-source"),
    errors.RootMovedError: (409, "folder-moved"),
    errors.EncoderError: (503, "encoder-failed"),
    errors.WordsError: (422, "unusable-words"),
    errors.ExplanationError: (422, "no-explanation"),
    errors.RegionError: (422, "no-regions"),
    errors.CollectionError: (409, "collection"),
    errors.CollectionNotFoundError: (404, "no-such-collection"),
    errors.CollectionReplacedError: (503, "collection-replaced"),
    errors.CollectionFormatError: (500, "collection-format"),
    errors.FolderInUseError: (409, "folder-in-use"),
    errors.EncoderMismatchError: (409, "encoder-mismatch"),
    errors.InvalidIdError: (422, "bad-id"),
    errors.ItemNotFoundError: (404, "no-such-item"),
    errors.StoreError: (503, "store-failed"),
    errors.StoreBusyError: (503, "store-busy"),
    errors.StoreFullError: (507, "store-full"),
    errors.StoreReadOnlyError: (403, "read-only"),
    errors.StoreDamagedError: (500, "store-damaged"),
    errors.StoreUnreachableError: (503, "store-unreachable"),
    errors.StoreDeniedError: (502, "store-denied"),
    errors.ServiceError: (502, "service-failed"),
    errors.ServiceBusyError: (503, "busy"),
    errors.AccessDeniedError: (401, "key-needed"),
}

KINDS: Mapping[str, type[errors.LookalikeError] | type[ValueError]] = {
    **{code: kind for kind, (_, code) in STATUS.items()},
    "invalid-request": ValueError,
    "no-image": ValueError,
    "nothing-asked": ValueError,
    "no-default-collection": errors.CollectionNotFoundError,
    "no-such-root": errors.SourceError,
    "no-write-key": errors.AccessDeniedError,
    "too-large": errors.ImageTooLargeError,
    "wrong-key": errors.AccessDeniedError,
}
"""Code → what is raised where it is read, for the codes of requests too."""


def status_of(error: errors.LookalikeError) -> tuple[int, str]:
    """Return the status and code of an error, by the most specific class that has one."""
    return next(STATUS[kind] for kind in type(error).__mro__ if kind in STATUS)
