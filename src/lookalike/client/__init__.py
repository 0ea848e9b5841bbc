"""A collection that a service keeps, asked over HTTP as if it lay on this machine.

    shop = lookalike.connect("https://images.example", collection="shop")
    for hit in shop.search("query.jpg", k=5):
        print(hit.score, hit.item.id)

The records that come back, and the errors, are those of ``lookalike.open``.
"""

from lookalike.client.collection import RemoteCollection, connect

__all__ = ["RemoteCollection", "connect"]
