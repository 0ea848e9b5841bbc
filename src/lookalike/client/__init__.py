"""A collection of a service, used over HTTP as if it were on this machine.

    shop = lookalike.connect("https://images.example", collection="shop")
    for hit in shop.search("query.jpg", k=5):
        print(hit.score, hit.item.id)

The records that come back, and the errors, are those of ``lookalike.open``.
"""

from lookalike.client.collection import RemoteCollection, connect

__all__ = ["RemoteCollection", "connect"]
