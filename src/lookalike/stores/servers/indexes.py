"""Finding a collection's indexes on a server, and making them."""

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
    """The collection that an address leads to: its items' index, and how that indexes vectors.

    ``words`` says that the index has the fields of keyword search.

    The index has the address's name, unless that is an alias. ``begun`` is another one for a
    collection that was begun in the place of one that was removed.
    """

    index: str
    vectors: str
    begun: str
    format: int = field(default=mappings.FORMAT, compare=False)
    encoder: Json = field(default=None, compare=False)
    words: bool = field(default=False, compare=False)


def found(server: Server, address: ServerAddress) -> Found | None:
    """What is there; ``CollectionFormatError`` for an index that is not ours."""
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
    """Make both indexes; where somebody else is quicker, theirs are taken."""
    vectors = address.vectors or dialect.default_vectors
    bodies = {
        mappings.beside_name(address.name): mappings.beside_body(replicas=address.replicas),
        # It comes last: while it is not there, there is no collection.
        address.name: mappings.items_body(
            vectors=vectors,
            shards=address.shards,
            replicas=address.replicas,
            settings=dialect.index_settings(vectors),
            begun=secrets.token_hex(8),
        ),
    }
    for name, body in bodies.items():
        answer = server.ask("PUT", f"/{quote(name)}", body, allow=(400,))
        if answer.status == 400 and "already_exists" not in str(answer.body):  # noqa: PLR2004 - HTTP
            server.ask("PUT", f"/{quote(name)}", body)  # raises what is wrong


def add_vectors(
    server: Server, address: ServerAddress, dialect: Dialect, *, dim: int, encoder: Json
) -> None:
    """Give the items' index its field of vectors, if it has none, and write the encoder there.

    So the index can be told what it is also where the one beside it was lost.
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
    """Make the index beside the items anew, where it was lost."""
    body = mappings.beside_body(replicas=address.replicas)
    server.ask("PUT", f"/{quote(mappings.beside_name(index))}", body)


def blank_copy(server: Server, dialect: Dialect, found: Found, name: str, encoder: Json) -> None:
    """Make the index ``name`` for the items of another, empty and of the newest format.

    It has the fields that others have added to the mapping, too.
    """
    (old,) = server.ask("GET", f"/{quote(found.index)}").body.values()
    told, fields = old["settings"]["index"], old["mappings"].get("properties", {})
    body: dict[str, Any] = mappings.items_body(
        vectors=found.vectors,
        shards=int(told["number_of_shards"]),
        replicas=None if "auto_expand_replicas" in told else int(told["number_of_replicas"]),
        settings=dialect.index_settings(found.vectors),
        begun=found.begun,
    )
    body["mappings"]["properties"] |= fields
    body |= {"mappings": {**body["mappings"], **mappings.encoder_meta({"": body}, encoder)}}
    server.ask("PUT", f"/{quote(name)}", body)


def add_thumbnails(server: Server, beside: str) -> None:
    """Give the index beside the items its fields of thumbnails, if it has none."""
    _add_fields(server, beside, "jpeg", mappings.thumbnail_properties())


def add_side_tables(server: Server, beside: str) -> None:
    """Give the index beside the items the field of side tables, if it has none."""
    _add_fields(server, beside, "digest", mappings.side_table_properties())


def add_words(server: Server, index: str) -> None:
    """Give the items' index the fields of keyword search, if it has none."""
    _add_fields(server, index, "words", mappings.word_properties())


def _add_fields(server: Server, index: str, field: str, body: dict[str, Json]) -> None:
    answer = server.ask("GET", f"/{quote(index)}/_mapping")
    (mapping,) = answer.body.values()
    if field not in mapping["mappings"].get("properties", {}):
        server.ask("PUT", f"/{quote(index)}/_mapping", body)


def shards(server: Server, index: str) -> int:
    """In how many parts an index lies."""
    answer = server.ask("GET", f"/{quote(index)}/_settings/index.number_of_shards")
    (one,) = answer.body.values()
    return int(one["settings"]["index"]["number_of_shards"])


def replace(server: Server, name: str, old: str, new: str, *, keep: str) -> str:
    """Let ``name`` mean the index ``new`` in place of ``old``, in one step; where ``old`` is now.

    ``old`` must take no writes. Where ``name`` is the index itself it is cloned first, which costs
    no room: an alias can only take its place when it goes.
    """
    if old != name:
        actions = [_action("remove", old, name), _action("add", new, name)]
        server.ask("POST", "/_aliases", {"actions": actions})
        return old
    # The items come last: whoever finds their clone finds the other one, too.
    both = {mappings.beside_name(old): mappings.beside_name(keep), old: keep}
    for index, clone in both.items():
        server.ask("DELETE", f"/{quote(clone)}", allow=(404,))  # of a try that was cut off
        server.ask("PUT", f"/{quote(index)}/_clone/{quote(clone)}?wait_for_active_shards=1")
    gone: list[Json] = [{"remove_index": {"index": index}} for index in both]
    server.ask("POST", "/_aliases", {"actions": [_action("add", new, name), *gone]})
    return keep


def block(server: Server, index: str) -> None:
    """Let a collection's indexes take no writes; those under way are waited for."""
    for one in (index, mappings.beside_name(index)):
        server.ask("PUT", f"/{quote(one)}/_block/write")


def unblock(server: Server, index: str) -> None:
    """Let a collection's indexes take writes again."""
    for one in (index, mappings.beside_name(index)):
        server.ask("PUT", f"/{quote(one)}/_settings", {"index.blocks.write": None})


def drop(server: Server, index: str) -> None:
    """Delete a collection's indexes, and with them what points at them."""
    for one in (index, mappings.beside_name(index)):
        server.ask("DELETE", f"/{quote(one)}", allow=(404,))


def _action(verb: str, index: str, alias: str) -> Json:
    return {verb: {"index": index, "alias": alias}}


def _mapping(server: Server, address: ServerAddress) -> Any | None:  # noqa: ANN401 - JSON
    answer = server.ask("GET", f"/{quote(address.name)}/_mapping", allow=(404,))
    return answer.body if answer.status < 300 else None  # noqa: PLR2004 - HTTP
