"""Visual search: index pictures, hand in a picture, get the ones that look alike.

import lookalike

shop = lookalike.open("shop")
shop.index("photos/")
hits = shop.search("query.jpg", k=5)
"""

from typing import TYPE_CHECKING

from lookalike import errors
from lookalike.collection import Collection, CollectionInfo, Root
from lookalike.config import open_collection as open  # noqa: A004 - lookalike.open("shop")
from lookalike.errors import LookalikeError
from lookalike.images import Limits
from lookalike.records import Entry, Hit, IndexReport, Item, Progress, Skipped, Stamp
from lookalike.scan import ScanOptions

if TYPE_CHECKING:
    from lookalike.encoders import available_encoders, load_encoder

__all__ = [
    "Collection",
    "CollectionInfo",
    "Entry",
    "Hit",
    "IndexReport",
    "Item",
    "Limits",
    "LookalikeError",
    "Progress",
    "Root",
    "ScanOptions",
    "Skipped",
    "Stamp",
    "__version__",
    "available_encoders",
    "errors",
    "load_encoder",
    "open",
]

__version__ = "0.1.0"


def __getattr__(name: str) -> object:
    # Encoders bring a network runtime with them: only who asks for one loads it.
    if name in ("available_encoders", "load_encoder"):
        from lookalike import encoders  # noqa: PLC0415 - as above

        return getattr(encoders, name)
    raise AttributeError(f"module 'lookalike' has no attribute {name!r}")
