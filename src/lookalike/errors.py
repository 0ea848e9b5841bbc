"""Everything that lookalike raises on purpose.

    LookalikeError
    ├── ImageError                 one picture cannot be used; a batch goes on without it
    │   ├── UnreadableImageError   its bytes could not be read
    │   ├── NotAnImageError         the bytes are something else
    │   ├── BrokenImageError       a picture, but damaged
    │   └── ImageTooLargeError     over the limit on bytes or pixels
    ├── FilterError                  a filter that cannot be understood; points at the place
    ├── SourceError                  what was to be indexed is not there or not a folder
    │   └── RootMovedError           it is a folder of the collection that was moved: relocate
    ├── DownloadError                a download cannot go on; one picture's failure is none
    ├── ExportError                  a file cannot be written, or not in that format
    ├── RunFileError                 a run file cannot be read, or says something impossible
    ├── EncoderError                 a network cannot be found, opened or run
    │   ├── ModelCardError           a card says something impossible, or cannot be read
    │   └── WeightsError             weights are missing, or not the ones the card names
    ├── CollectionError              a collection cannot do what was asked
    │   ├── CollectionNotFoundError  no collection there
    │   ├── CollectionReplacedError  no longer the one that was opened
    │   ├── FolderInUseError         a folder holds other files: no collection is made or moved
    │   ├── CollectionFormatError    a folder that is no collection, or one from a newer version
    │   ├── EncoderMismatchError     vectors of two encoders must not mix
    │   ├── InvalidIdError           an id that a new item cannot have
    │   └── ItemNotFoundError        no item of that id
    ├── StoreError                   the place where items are kept failed
    │   ├── StoreBusyError           another process holds it for writing
    │   ├── StoreFullError           no room left on the disk
    │   ├── StoreReadOnlyError       the place may not be written
    │   ├── StoreUnreachableError    its server, or a part of it, does not answer
    │   ├── StoreDeniedError         its server does not let us
    │   └── StoreDamagedError        its content is not what was written
    └── ServiceError                 a service cannot be reached, or answers as none of ours
        ├── ServiceBusyError         it has as much in work as it may
        └── AccessDeniedError        it asks for a key

Each says what happened, to what, and what to do. Wrong arguments are ``ValueError``.
"""

__all__ = [
    "AccessDeniedError",
    "BrokenImageError",
    "CollectionError",
    "CollectionFormatError",
    "CollectionNotFoundError",
    "CollectionReplacedError",
    "DownloadError",
    "EncoderError",
    "EncoderMismatchError",
    "ExportError",
    "FilterError",
    "FolderInUseError",
    "ImageError",
    "ImageTooLargeError",
    "InvalidIdError",
    "ItemNotFoundError",
    "LookalikeError",
    "ModelCardError",
    "NotAnImageError",
    "RootMovedError",
    "RunFileError",
    "ServiceBusyError",
    "ServiceError",
    "SourceError",
    "StoreBusyError",
    "StoreDamagedError",
    "StoreDeniedError",
    "StoreError",
    "StoreFullError",
    "StoreReadOnlyError",
    "StoreUnreachableError",
    "UnreadableImageError",
    "WeightsError",
]


class LookalikeError(Exception):
    """The root: catch this to catch everything that lookalike raises on purpose."""


class ImageError(LookalikeError):
    """One picture cannot be used. ``reason`` is a plain phrase without the path."""

    def __init__(self, reason: str, *, path: str | None = None) -> None:
        self.reason = reason
        self.path = path
        super().__init__(reason if path is None else f"{path}: {reason}")


class UnreadableImageError(ImageError):
    """The bytes could not be read: permission, a vanished file, a failing disk."""


class NotAnImageError(ImageError):
    """The bytes are not a picture in a format that can be read."""


class BrokenImageError(ImageError):
    """A picture by its first bytes, but truncated or otherwise damaged."""


class ImageTooLargeError(ImageError):
    """More bytes or pixels than the limits allow; found out before decoding."""


class FilterError(LookalikeError):
    """A filter cannot be understood. ``at`` is the position of the character it stumbled on."""

    def __init__(self, reason: str, *, text: str, at: int) -> None:
        self.reason = reason
        self.text = text
        self.at = at
        line = text.replace("\n", " ").replace("\t", " ")
        super().__init__(f"in the filter, {reason}\n  {line}\n  {' ' * at}^")


class SourceError(LookalikeError):
    """What was to be indexed is missing, not a folder, or cannot be listed."""


class RootMovedError(SourceError):
    """A folder to be indexed is one that the collection has already, moved to another place."""


class DownloadError(LookalikeError):
    """Pictures cannot be downloaded into a folder: its record or its disk does not allow it."""


class ExportError(LookalikeError):
    """A file cannot be written: one is there, its disk does not allow it, pyarrow is missing."""


class RunFileError(LookalikeError):
    """A run file cannot be read or says something impossible; names the file, line and key."""


class EncoderError(LookalikeError):
    """A network cannot be found, opened or run."""


class ModelCardError(EncoderError):
    """A model card cannot be read or says something impossible; names the file and the key."""


class WeightsError(EncoderError):
    """A network's weights are missing or not the ones that its card names."""


class CollectionError(LookalikeError):
    """A collection cannot do what was asked."""


class CollectionNotFoundError(CollectionError):
    """There is no collection at that name or path."""


class CollectionReplacedError(CollectionError):
    """Another collection lies there now than the one that was opened; open it again."""


class CollectionFormatError(CollectionError):
    """Not a collection, or one that a newer version of lookalike wrote."""


class FolderInUseError(CollectionError):
    """A folder holds files that are not lookalike's, so no collection is made or moved there."""


class EncoderMismatchError(CollectionError):
    """The collection's vectors come from another encoder; the two must not mix."""


class InvalidIdError(CollectionError, ValueError):
    """An id that a new item cannot have; the message says why."""


class ItemNotFoundError(CollectionError):
    """The collection has no item of that id."""


class StoreError(LookalikeError):
    """The place where items are kept failed."""


class StoreBusyError(StoreError):
    """Another process holds the store for writing."""


class StoreFullError(StoreError):
    """No room is left on the disk; nothing of the batch was written."""


class StoreReadOnlyError(StoreError):
    """The store may be read but not written."""


class StoreUnreachableError(StoreError):
    """The server where items are kept does not answer, or a part of it."""


class StoreDeniedError(StoreError):
    """The server does not know who asks, or does not let them do this."""


class StoreDamagedError(StoreError):
    """What was read back is not what was written."""


class ServiceError(LookalikeError):
    """A service cannot be reached, or does not answer as ``lookalike serve`` does."""


class ServiceBusyError(ServiceError):
    """A service has as much in work as it may, also after waiting as long as it asked."""


class AccessDeniedError(ServiceError):
    """A service asks for a key, or this one does not allow what was asked."""
