"""A map of a collection: a two-dimensional layout with named clusters, outliers and duplicates.

    from lookalike.analysis import mapping

    found = mapping.map_collection(shop)
    for point in found.points:
        print(point.id, point.x, point.y, found.clusters[point.cluster].name)

Items whose embeddings are similar lie together. Clusters are those of the embeddings, not of the
map; their names come from labels and words of the items.
"""

from lookalike.analysis.mapping.collection_map import (
    LAYOUTS,
    SAMPLE,
    CollectionMap,
    Layout,
    MapCluster,
    MapOptions,
    MapPoint,
    map_collection,
)

__all__ = [
    "LAYOUTS",
    "SAMPLE",
    "CollectionMap",
    "Layout",
    "MapCluster",
    "MapOptions",
    "MapPoint",
    "map_collection",
]
