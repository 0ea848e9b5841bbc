"""Names of the settings that a collection keeps beside its items: each is a small JSON document.

The stores keep settings by name and know none of these but their own. Names are stored in
collections, so they never change.
"""

__all__ = [
    "ARCHIVES",
    "CALIBRATION",
    "CARD",
    "CATALOGUES",
    "CATEGORIES",
    "COMPUTED",
    "COPIED_FROM",
    "DECLARED",
    "ENCODER",
    "GRAPH",
    "NEIGHBOURS",
    "NOT_COPIED",
    "PROJECTION",
    "REGIONS",
    "REGION_CHANGES",
    "REPLACED",
    "ROOTS",
    "RUN",
    "THUMBNAILS",
    "UPDATED_AT",
    "UPLOADS",
    "VERSION_OF",
]

ARCHIVES = "archives"
"""Name → path of the indexed archives."""
CALIBRATION = "calibration"
"""Scores of the match levels."""
CARD = "card"
"""Path of the model card that the collection was begun with."""
CATALOGUES = "catalogues"
"""Files of indexed catalogues, and folders of such files, which no output replaces."""
CATEGORIES = "categories"
"""Which of the two slots holds the trained categories."""
COPIED_FROM = "copied_from"
"""Address of the collection that this one is a copy of."""
DECLARED = "declared"
"""Metadata fields with an index, where a store has no other place for them."""
ENCODER = "encoder"
"""Name, fingerprint and dimensions of the encoder that the collection is bound to."""
GRAPH = "graph"
"""State of the embedded store's ANN index."""
NEIGHBOURS = "neighbours"
"""How many nearest neighbours of each item are kept."""
PROJECTION = "projection"
"""Mean and principal components that embeddings are projected on."""
REGIONS = "regions"
"""How many regions of each image have vectors of their own, and which roots still lack them."""
REGION_CHANGES = "region_changes"
"""A number that grows with each change of the regions, and what was changed last."""
REPLACED = "replaced"
"""Names of the versions that migrations have replaced."""
ROOTS = "roots"
"""Name → path of the indexed folders."""
RUN = "run"
"""What runs of a run file have done."""
THUMBNAILS = "thumbnails"
"""Size of the thumbnails that are kept."""
UPDATED_AT = "updated_at"
"""When the items last changed (Unix time)."""
UPLOADS = "uploads"
"""Name of the root that holds the images which a service was sent."""
VERSION_OF = "version_of"
"""Name of the collection that this one is a version of, while and after a migration."""

COMPUTED = (CALIBRATION, CATEGORIES, RUN)
"""Settings that were computed from the embeddings: another encoder outdates them."""
NOT_COPIED = frozenset(
    {COPIED_FROM, DECLARED, ENCODER, GRAPH, NEIGHBOURS, REGION_CHANGES, REPLACED, VERSION_OF}
)
"""Settings that a store, a copy or a migration has for itself; ``declare`` copies ``DECLARED``."""
