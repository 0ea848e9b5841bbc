"""Upgrade a collection of the first format into an index of the newest one.

The first format left ``vector`` and ``tokens`` out of `_source`, and a server cannot change that
for an existing index. So the documents are copied, including those and the fields of other
programs, while writes are blocked; the old index is deleted when the new one holds as many.
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
    """Copy ``found`` into an index of the newest format, which then takes its name.

    Raise ``StoreError``; then everything is as before.
    """
    server = items.server
    # Unique names: an existing index is never deleted.
    old, chance = found.index, secrets.token_hex(4)
    new, keep = (f"{old}-format{one}-{chance}" for one in (mappings.FORMAT, found.format))
    indexes.block(server, old)
    try:
        _copied(items, found, new, encoder)
        # From here on, the server may have succeeded even if we get an error, so nothing is deleted
        # before it has confirmed.
        kept = indexes.replace(server, address.name, old, new, keep=keep)
    except BaseException:
        with suppress(LookalikeError):
            indexes.unblock(server, old)
        raise
    indexes.drop(server, kept)


def _copied(items: Reader, found: indexes.Found, new: str, encoder: Json) -> None:
    """Copy both indexes of a blocked collection. Raise ``StoreError`` unless all was copied."""
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
    """Return a document in the newest format, with derived fields computed again if possible."""
    source: dict[str, Json] = dict(hit["_source"])
    source.pop("vector", None)
    half = source.get("half")
    source |= graph_vector(half if isinstance(half, str) else None)
    with suppress(StoreDamagedError):  # not an item, or one that is repaired afterwards
        source["tokens"] = [*tokens(metadata_of(source))]
        source |= word_fields(item_of(source))
    return Action(verb="index", index=index, id=hit["_id"], source=source)
