"""All errors that lookalike raises on purpose.

    LookalikeError
    ├── ImageError                   one image cannot be used; a batch goes on without it
    │   ├── UnreadableImageError     its bytes could not be read
    │   ├── NotAnImageError          the bytes are something else
    │   ├── BrokenImageError         an image, but damaged
    │   └── ImageTooLargeError       over the limit on bytes or pixels
    ├── FilterError                  a filter cannot be parsed; points at the place
    ├── SourceError                  a source does not exist, or is not a folder
    │   └── RootMovedError           it is an indexed folder that was moved: relocate
    ├── DownloadError                a download cannot go on (the failure of one image is none)
    ├── ExportError                  a file cannot be written, or not in that format
    ├── RunFileError                 a run file cannot be read, or is invalid
    ├── EncoderError                 an encoder cannot be found, opened or run
    │   ├── ModelCardError           a model card cannot be read, or is invalid
    │   ├── PullError                an encoder cannot be pulled from a hub
    │   ├── WeightsError             weights are missing, or are not those that the card names
    │   ├── RegionError              the encoder cannot look for parts of images
    │   ├── ExplanationError         embeddings cannot be divided over the positions of images
    │   └── WordsError               words cannot be searched with, by this encoder or in this way
    ├── CollectionError              a collection cannot do what was requested
    │   ├── CollectionNotFoundError  no collection there
    │   ├── CollectionReplacedError  another collection has taken its place since it was opened
    │   ├── FolderInUseError         the folder holds other files: no collection is put there
    │   ├── CollectionFormatError    not a collection, or one of a newer version
    │   ├── EncoderMismatchError     embeddings of two encoders must not mix
    │   ├── InvalidIdError           an id that a new item cannot have
    │   └── ItemNotFoundError        no item with that id
    ├── StoreError                   the store that keeps the items failed
    │   ├── StoreBusyError           another process holds it for writing
    │   ├── StoreFullError           no space left on the disk
    │   ├── StoreReadOnlyError       it may not be written
    │   ├── StoreUnreachableError    its server, or a part of it, does not respond
    │   ├── StoreDeniedError         its server denies access
    │   └── StoreDamagedError        its content is not what was written
    └── ServiceError                 a service cannot be reached, or is none of lookalike's
        ├── ServiceBusyError         it is at its limit of work
        └── AccessDeniedError        it requires a key

Each message says what happened, where, and what to do. Wrong arguments raise ``TypeError``
or ``ValueError``.
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
    "ExplanationError",
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
    "PullError",
    "RegionError",
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
    "WordsError",
]


class LookalikeError(Exception):
    """The base class: catch it to catch every error that lookalike raises on purpose."""


class ImageError(LookalikeError):
    """One image cannot be used. ``reason`` is a plain phrase without the path."""

    def __init__(self, reason: str, *, path: str | None = None) -> None:
        self.reason = reason
        self.path = path
        super().__init__(reason if path is None else f"{path}: {reason}")


class UnreadableImageError(ImageError):
    """The bytes could not be read: permission, a vanished file, a failing disk."""


class NotAnImageError(ImageError):
    """The bytes are not an image in a format that can be read."""


class BrokenImageError(ImageError):
    """An image by its first bytes, but truncated or otherwise damaged."""


class ImageTooLargeError(ImageError):
    """More bytes or pixels than the limits allow; known before decoding."""


class FilterError(LookalikeError):
    """A filter cannot be parsed. ``at`` is the position of the character where parsing failed."""

    def __init__(self, reason: str, *, text: str, at: int) -> None:
        self.reason = reason
        self.text = text
        self.at = at
        line = text.replace("\n", " ").replace("\t", " ")
        super().__init__(f"in the filter, {reason}\n  {line}\n  {' ' * at}^")


class SourceError(LookalikeError):
    """A source is missing, is not a folder, or cannot be listed."""


class RootMovedError(SourceError):
    """The folder to index is one that the collection has indexed already, moved elsewhere."""


class DownloadError(LookalikeError):
    """Images cannot be downloaded into a folder, because of its record or its disk."""


class ExportError(LookalikeError):
    """A file cannot be written: it exists, the disk does not allow it, or pyarrow is missing."""


class RunFileError(LookalikeError):
    """A run file cannot be read or is invalid; the message names the file, line and key."""


class EncoderError(LookalikeError):
    """An encoder cannot be found, opened or run."""


class ModelCardError(EncoderError):
    """A model card cannot be read or is invalid; the message names the file and the key."""


class PullError(EncoderError):
    """An encoder cannot be pulled from a hub: the connection, the file, its terms or the disk."""


class WeightsError(EncoderError):
    """The weights of an encoder are missing, or are not those that its card names."""


class WordsError(EncoderError):
    """Words cannot be searched with: not by this encoder, or not in this way."""


class RegionError(EncoderError):
    """An encoder without position vectors, which cannot look for parts of images."""


class ExplanationError(EncoderError):
    """An encoder whose embeddings cannot be divided over the positions of an image."""


class CollectionError(LookalikeError):
    """A collection cannot do what was requested."""


class CollectionNotFoundError(CollectionError):
    """There is no collection with that name or at that path."""


class CollectionReplacedError(CollectionError):
    """The collection has been replaced by another since it was opened; open it again."""


class CollectionFormatError(CollectionError):
    """Not a collection, or one written by a newer version of lookalike."""


class FolderInUseError(CollectionError):
    """The folder holds files that are not lookalike's, so no collection is put there."""


class EncoderMismatchError(CollectionError):
    """The embeddings of the collection come from another encoder; the two must not mix.

    ``reason`` says which the two encoders are, and ``advice`` what can be done.
    """

    def __init__(self, reason: str, advice: str = "") -> None:
        self.reason = reason
        self.advice = advice
        super().__init__(f"{reason}; {advice}" if advice else reason)


class InvalidIdError(CollectionError, ValueError):
    """An id that a new item cannot have; the message says why."""


class ItemNotFoundError(CollectionError):
    """The collection has no item with that id."""


class StoreError(LookalikeError):
    """The store that keeps the items failed."""


class StoreBusyError(StoreError):
    """Another process holds the store for writing."""


class StoreFullError(StoreError):
    """No space is left on the disk; nothing of the batch was written."""


class StoreReadOnlyError(StoreError):
    """The store may be read but not written."""


class StoreUnreachableError(StoreError):
    """The server that keeps the items, or a part of it, does not respond."""


class StoreDeniedError(StoreError):
    """The server does not accept the credentials, or they do not permit this."""


class StoreDamagedError(StoreError):
    """The stored content is not what was written."""


class ServiceError(LookalikeError):
    """A service cannot be reached, or does not respond as ``lookalike serve`` does."""


class ServiceBusyError(ServiceError):
    """A service is at its limit of work, also after the wait that it requested."""


class AccessDeniedError(ServiceError):
    """A service requires a key, or the given one does not permit the request."""
