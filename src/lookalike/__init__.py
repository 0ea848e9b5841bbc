"""Visual search: index images, search with an image, and get the most similar ones.

import lookalike

shop = lookalike.open("shop", create=True)
shop.index("photos/")
hits = shop.search("query.jpg", k=5)
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lookalike import errors
    from lookalike.analysis import (
        calibration,
        categories,
        duplicates,
        evaluation,
        finetuning,
        mapping,
        neighbours,
    )
    from lookalike.analysis.explanation import Explanation
    from lookalike.analysis.mapping import map_collection
    from lookalike.client import RemoteCollection, connect
    from lookalike.collection import Collection
    from lookalike.collection_info import CollectionInfo, Description
    from lookalike.config import open_collection as open  # noqa: A004 - lookalike.open("shop")
    from lookalike.core import filters
    from lookalike.core.filters import Condition
    from lookalike.core.progress import Progress
    from lookalike.core.records import (
        Entry,
        Field,
        Hit,
        IndexReport,
        Item,
        Note,
        Skipped,
        Stamp,
    )
    from lookalike.core.roots import Root
    from lookalike.display import contact_sheet
    from lookalike.encoders import available_encoders, load_encoder
    from lookalike.errors import LookalikeError
    from lookalike.images.limits import Limits
    from lookalike.moving import backups, copying, migrating
    from lookalike.moving.encoder_comparison import compare_encoders
    from lookalike.output import export
    from lookalike.search import (
        Encoded,
        ItemRef,
        Query,
        QueryPart,
        Results,
        SearchOptions,
        Words,
        feedback,
    )
    from lookalike.sources import catalogues
    from lookalike.sources.scan import ScanOptions

__all__ = [
    "Collection",
    "CollectionInfo",
    "Condition",
    "Description",
    "Encoded",
    "Entry",
    "Explanation",
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
    "Words",
    "__version__",
    "available_encoders",
    "backups",
    "calibration",
    "catalogues",
    "categories",
    "compare_encoders",
    "connect",
    "contact_sheet",
    "copying",
    "duplicates",
    "errors",
    "evaluation",
    "export",
    "feedback",
    "filters",
    "finetuning",
    "load_encoder",
    "map_collection",
    "mapping",
    "migrating",
    "neighbours",
    "open",
]

__version__ = "0.1.0"


# Public name → where it lives. Loaded when asked for: each part of the command line pays for what
# it uses, and only who encodes loads a network runtime.
_HOMES = {
    "Collection": "collection",
    "CollectionInfo": "collection_info",
    "Condition": "core.filters",
    "Description": "collection_info",
    "Encoded": "search",
    "Entry": "core.records",
    "Explanation": "analysis.explanation",
    "Field": "core.records",
    "Hit": "core.records",
    "IndexReport": "core.records",
    "Item": "core.records",
    "ItemRef": "search",
    "Limits": "images",
    "LookalikeError": "errors",
    "Note": "core.records",
    "Progress": "core.progress",
    "Query": "search",
    "QueryPart": "search",
    "feedback": "search",
    "RemoteCollection": "client",
    "Results": "search",
    "Root": "core.roots",
    "ScanOptions": "sources.scan",
    "SearchOptions": "search",
    "Skipped": "core.records",
    "Stamp": "core.records",
    "Words": "search",
    "available_encoders": "encoders",
    "compare_encoders": "moving.encoder_comparison",
    "connect": "client",
    "load_encoder": "encoders",
    "map_collection": "analysis.mapping",
}


# Public modules, and where they live: everything else may move.
_MODULES = {
    "backups": "moving.backups",
    "calibration": "analysis.calibration",
    "catalogues": "sources.catalogues",
    "categories": "analysis.categories",
    "contact_sheet": "display.contact_sheet",
    "copying": "moving.copying",
    "duplicates": "analysis.duplicates",
    "evaluation": "analysis.evaluation",
    "export": "output.export",
    "filters": "core.filters",
    "finetuning": "analysis.finetuning",
    "mapping": "analysis.mapping",
    "migrating": "moving.migrating",
    "neighbours": "analysis.neighbours",
}


def __getattr__(name: str) -> object:
    if name == "open":
        return import_module("lookalike.config").open_collection
    if name == "errors":
        return import_module("lookalike.errors")
    if name in _MODULES:
        return import_module(f"lookalike.{_MODULES[name]}")
    if name in _HOMES:
        return getattr(import_module(f"lookalike.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'lookalike' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
