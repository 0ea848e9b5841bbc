"""The seams: where images come from, what embeds them, and what stores them.

Every implementation passes the same contract tests: ``tests/contracts/``.
"""

from lookalike.core.protocols.inputs import (
    Catalogue,
    ClassEncoder,
    Encoder,
    MapEncoder,
    PatchEncoder,
    Prepared,
    TextEncoder,
    class_encoder_of,
    map_encoder_of,
    patch_encoder_of,
    text_encoder_of,
)
from lookalike.core.protocols.stores import Items, ItemSearch, Lifecycle, Store
from lookalike.core.protocols.tables import (
    Keyed,
    NeighbourLists,
    NeighbourTable,
    SettingTable,
    SideTable,
    SkipTable,
    ThumbnailTable,
)

__all__ = [
    "Catalogue",
    "ClassEncoder",
    "Encoder",
    "ItemSearch",
    "Items",
    "Keyed",
    "Lifecycle",
    "MapEncoder",
    "NeighbourLists",
    "NeighbourTable",
    "PatchEncoder",
    "Prepared",
    "SettingTable",
    "SideTable",
    "SkipTable",
    "Store",
    "TextEncoder",
    "ThumbnailTable",
    "class_encoder_of",
    "map_encoder_of",
    "patch_encoder_of",
    "text_encoder_of",
]
