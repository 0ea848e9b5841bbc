"""A collection of the first format into an index of the newest, which takes its place.

The first format left ``vector`` and ``tokens`` out of `_source`, and a server changes that for no
index that is there. So the documents are copied, those of others and their fields included, while
nobody writes; the old index goes when the new one holds as many.
"""

import secrets
from contextlib import suppress
from typing import Any
from urllib.parse import quote

from lookalike.core.records import Json
from lookalike.errors import LookalikeError, StoreDamagedError, StoreError
from lookalike.stores.servers import indexes, mappings
from lookalike.stores.servers.addresses import ServerAddress
from lookalike.stores.servers.bulk import Action
from lookalike.stores.servers.documents import (
    graph_vector,
    item_of,
    metadata_of,
    word_fields,
)
from lookalike.stores.servers.reading import Reader
from lookalike.stores.servers.tokens import tokens

__all__ = ["upgrade"]

_PAGE = 1000


def upgrade(items: Reader, address: ServerAddress, found: indexes.Found, encoder: Json) -> None:
    """Copy ``found`` into an index of the newest format, and let that take its name.

    Raises ``StoreError``; then all is as before.
    """
    server = items.server
    # Names that nobody else has: what is there already is never dropped.
    old, chance = found.index, secrets.token_hex(4)
    new, keep = (f"{old}-format{one}-{chance}" for one in (mappings.FORMAT, found.format))
    indexes.block(server, old)
    try:
        _copied(items, found, new, encoder)
        # Beyond this the server may have done it, even where we hear of an error: so nothing is
        # dropped before it said that it has.
        kept = indexes.replace(server, address.name, old, new, keep=keep)
    except BaseException:
        with suppress(LookalikeError):
            indexes.unblock(server, old)
        raise
    indexes.drop(server, kept)


def _copied(items: Reader, found: indexes.Found, new: str, encoder: Json) -> None:
    """Copy both indexes of a collection that nobody writes to; ``StoreError`` unless all came."""
    server, dialect, old = items.server, items.dialect, found.index
    indexes.blank_copy(server, dialect, found, new, encoder)
    here, there = mappings.beside_name(old), mappings.beside_name(new)
    server.ask("PUT", f"/{quote(here)}/_clone/{quote(there)}?wait_for_active_shards=1")
    server.ask("PUT", f"/{quote(there)}/_settings", {"index.blocks.write": None})
    every = Reader(server=server, dialect=dialect, index=old)
    for page in every.walk(None, by="id", source=("*",), size=_PAGE):
        server.write([_copy(new, hit) for hit in page])
    copied = Reader(server=server, dialect=dialect, index=new).count()
    if copied != every.count():
        indexes.drop(server, new)
        raise StoreError(
            f"{server.address}: only {copied:,} of {every.count():,} documents came into an index "
            "of the newest format; all is as before"
        )


def _copy(index: str, hit: Any) -> Action:  # noqa: ANN401 - JSON
    """A document in the newest format. What is derived is derived again, where that can be."""
    source: dict[str, Json] = dict(hit["_source"])
    source.pop("vector", None)
    half = source.get("half")
    source |= graph_vector(half if isinstance(half, str) else None)
    with suppress(StoreDamagedError):  # not an item, or one that is mended afterwards
        source["tokens"] = [*tokens(metadata_of(source))]
        source |= word_fields(item_of(source))
    return Action(verb="index", index=index, id=hit["_id"], source=source)
