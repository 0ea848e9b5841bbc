"""Visual search: index pictures, hand in a picture, get the ones that look alike.

import lookalike

shop = lookalike.open("shop", create=True)
shop.index("photos/")
hits = shop.search("query.jpg", k=5)
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lookalike import errors
    from lookalike.client import RemoteCollection, connect
    from lookalike.collection import Collection, CollectionInfo, Description
    from lookalike.config import open_collection as open  # noqa: A004 - lookalike.open("shop")
    from lookalike.encoders import available_encoders, load_encoder
    from lookalike.errors import LookalikeError
    from lookalike.filters import Condition
    from lookalike.images import Limits
    from lookalike.records import (
        Entry,
        Field,
        Hit,
        IndexReport,
        Item,
        Note,
        Progress,
        Skipped,
        Stamp,
    )
    from lookalike.roots import Root
    from lookalike.scan import ScanOptions
    from lookalike.search import Encoded, ItemRef, Query, QueryPart, Results, SearchOptions

__all__ = [
    "Collection",
    "CollectionInfo",
    "Condition",
    "Description",
    "Encoded",
    "Entry",
    "Field",
    "Hit",
    "IndexReport",
    "Item",
    "ItemRef",
    "Limits",
    "LookalikeError",
    "Note",
    "Progress",
    "Query",
    "QueryPart",
    "RemoteCollection",
    "Results",
    "Root",
    "ScanOptions",
    "SearchOptions",
    "Skipped",
    "Stamp",
    "__version__",
    "available_encoders",
    "connect",
    "errors",
    "load_encoder",
    "open",
]

__version__ = "0.1.0"


# Public name → where it lives. Loaded when asked for: each part of the command line pays for what
# it uses, and only who encodes loads a network runtime.
_HOMES = {
    "Collection": "collection",
    "CollectionInfo": "collection",
    "Condition": "filters",
    "Description": "collection",
    "Encoded": "search",
    "Entry": "records",
    "Field": "records",
    "Hit": "records",
    "IndexReport": "records",
    "Item": "records",
    "ItemRef": "search",
    "Limits": "images",
    "LookalikeError": "errors",
    "Note": "records",
    "Progress": "records",
    "Query": "search",
    "QueryPart": "search",
    "RemoteCollection": "client",
    "Results": "search",
    "Root": "roots",
    "ScanOptions": "scan",
    "SearchOptions": "search",
    "Skipped": "records",
    "Stamp": "records",
    "available_encoders": "encoders",
    "connect": "client",
    "load_encoder": "encoders",
}


def __getattr__(name: str) -> object:
    if name == "open":
        return import_module("lookalike.config").open_collection
    if name == "errors":
        return import_module("lookalike.errors")
    if name in _HOMES:
        return getattr(import_module(f"lookalike.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'lookalike' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
