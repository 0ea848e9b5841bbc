"""Find, create and replace a collection's indexes on a server."""

import secrets
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from lookalike.core.records import Json
from lookalike.errors import CollectionNotFoundError
from lookalike.stores.servers import mappings
from lookalike.stores.servers.addresses import ServerAddress
from lookalike.stores.servers.dialect import Dialect
from lookalike.stores.servers.server import Server

__all__ = [
    "Found",
    "add_side_tables",
    "add_thumbnails",
    "add_vectors",
    "add_words",
    "blank_copy",
    "block",
    "drop",
    "found",
    "make",
    "make_beside",
    "replace",
    "shards",
    "unblock",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """The collection at an address: its items' index, and how that indexes vectors.

    The index has the address's name, unless that is an alias. ``begun`` distinguishes it from
    another collection that was created in the place of a removed one.
    """

    index: str
    vectors: str
    begun: str
    format: int = field(default=mappings.FORMAT, compare=False)
    encoder: Json = field(default=None, compare=False)
    words: bool = field(default=False, compare=False)


def found(server: Server, address: ServerAddress) -> Found | None:
    """Return what exists at an address. Raise ``CollectionFormatError`` for a foreign index."""
    mapping = _mapping(server, address)
    if mapping is None:
        return None
    vectors, fields = mappings.made_with(mapping, address=str(address))
    form, encoder = mappings.format_of(mapping)
    return Found(
        index=next(iter(mapping)),
        vectors=vectors,
        begun=mappings.begun_as(mapping),
        format=form,
        encoder=encoder,
        words="words" in fields,
    )


def make(server: Server, address: ServerAddress, dialect: Dialect) -> None:
    """Create both indexes; if another process creates them first, use those."""
    vectors = address.vectors or dialect.default_vectors
    bodies = {
        mappings.beside_name(address.name): mappings.beside_body(replicas=address.replicas),
        # Created last: until it exists, there is no collection.
        address.name: mappings.items_body(
            vectors=vectors,
            shards=address.shards,
            replicas=address.replicas,
            settings=dialect.index_settings(vectors),
            begun=secrets.token_hex(8),
        ),
    }
    for name, body in bodies.items():
        response = server.ask("PUT", f"/{quote(name)}", body, allow=(400,))
        if response.status == 400 and "already_exists" not in str(response.body):  # noqa: PLR2004 - HTTP
            server.ask("PUT", f"/{quote(name)}", body)  # raises the actual error


def add_vectors(
    server: Server, address: ServerAddress, dialect: Dialect, *, dim: int, encoder: Json
) -> None:
    """Add the vector field to the items' index if it has none, and store the encoder there.

    So the encoder is known even if the index beside the items is lost.
    """
    mapping = _mapping(server, address)
    if mapping is None:
        raise CollectionNotFoundError(f"{address} has just been removed; try again")
    vectors, properties = mappings.made_with(mapping, address=str(address))
    if "vector" not in properties:
        body = mappings.vector_properties(dialect.vector_field(dim, vectors))
        body |= mappings.encoder_meta(mapping, encoder)
        server.ask("PUT", f"/{quote(address.name)}/_mapping", body)


def make_beside(server: Server, address: ServerAddress, index: str) -> None:
    """Create the index beside the items again after it was lost."""
    body = mappings.beside_body(replicas=address.replicas)
    server.ask("PUT", f"/{quote(mappings.beside_name(index))}", body)


def blank_copy(server: Server, dialect: Dialect, found: Found, name: str, encoder: Json) -> None:
    """Create the index ``name`` for the items of another, empty and in the newest format.

    It also has the fields that other programs have added to the mapping.
    """
    (old,) = server.ask("GET", f"/{quote(found.index)}").body.values()
    settings_, fields = old["settings"]["index"], old["mappings"].get("properties", {})
    body: dict[str, Any] = mappings.items_body(
        vectors=found.vectors,
        shards=int(settings_["number_of_shards"]),
        replicas=None
        if "auto_expand_replicas" in settings_
        else int(settings_["number_of_replicas"]),
        settings=dialect.index_settings(found.vectors),
        begun=found.begun,
    )
    body["mappings"]["properties"] |= fields
    body |= {"mappings": {**body["mappings"], **mappings.encoder_meta({"": body}, encoder)}}
    server.ask("PUT", f"/{quote(name)}", body)


def add_thumbnails(server: Server, beside: str) -> None:
    """Add the thumbnail fields to the index beside the items if it has none."""
    _add_fields(server, beside, "jpeg", mappings.thumbnail_properties())


def add_side_tables(server: Server, beside: str) -> None:
    """Add the side-table field to the index beside the items if it has none."""
    _add_fields(server, beside, "digest", mappings.side_table_properties())


def add_words(server: Server, index: str) -> None:
    """Give the items' index the fields of keyword search, if it has none."""
    _add_fields(server, index, "words", mappings.word_properties())


def _add_fields(server: Server, index: str, field: str, body: dict[str, Json]) -> None:
    response = server.ask("GET", f"/{quote(index)}/_mapping")
    (mapping,) = response.body.values()
    if field not in mapping["mappings"].get("properties", {}):
        server.ask("PUT", f"/{quote(index)}/_mapping", body)


def shards(server: Server, index: str) -> int:
    """Return the number of shards of an index."""
    response = server.ask("GET", f"/{quote(index)}/_settings/index.number_of_shards")
    (one,) = response.body.values()
    return int(one["settings"]["index"]["number_of_shards"])


def replace(server: Server, name: str, old: str, new: str, *, keep: str) -> str:
    """Let ``name`` mean the index ``new`` instead of ``old``, in one step; return where ``old`` is
    now.

    ``old`` must be blocked for writes. If ``name`` is the index itself, it is cloned first, which
    takes no space: an alias can only replace the name of an index that is deleted.
    """
    if old != name:
        actions = [_action("remove", old, name), _action("add", new, name)]
        server.ask("POST", "/_aliases", {"actions": actions})
        return old
    # The items come last: if their clone exists, so does the other one.
    both = {mappings.beside_name(old): mappings.beside_name(keep), old: keep}
    for index, clone in both.items():
        server.ask("DELETE", f"/{quote(clone)}", allow=(404,))  # left by an interrupted try
        server.ask("PUT", f"/{quote(index)}/_clone/{quote(clone)}?wait_for_active_shards=1")
    gone: list[Json] = [{"remove_index": {"index": index}} for index in both]
    server.ask("POST", "/_aliases", {"actions": [_action("add", new, name), *gone]})
    return keep


def block(server: Server, index: str) -> None:
    """Block writes to a collection's indexes; wait for those in progress."""
    for one in (index, mappings.beside_name(index)):
        server.ask("PUT", f"/{quote(one)}/_block/write")


def unblock(server: Server, index: str) -> None:
    """Allow writes to a collection's indexes again."""
    for one in (index, mappings.beside_name(index)):
        server.ask("PUT", f"/{quote(one)}/_settings", {"index.blocks.write": None})


def drop(server: Server, index: str) -> None:
    """Delete a collection's indexes, and the aliases of them."""
    for one in (index, mappings.beside_name(index)):
        server.ask("DELETE", f"/{quote(one)}", allow=(404,))


def _action(verb: str, index: str, alias: str) -> Json:
    return {verb: {"index": index, "alias": alias}}


def _mapping(server: Server, address: ServerAddress) -> Any | None:  # noqa: ANN401 - JSON
    response = server.ask("GET", f"/{quote(address.name)}/_mapping", allow=(404,))
    return response.body if response.status < 300 else None  # noqa: PLR2004 - HTTP
