"""Finding a collection's indexes on a server, and making them."""

from typing import Any
from urllib.parse import quote

from lookalike.errors import CollectionNotFoundError
from lookalike.stores.servers import mappings
from lookalike.stores.servers.addresses import ServerAddress
from lookalike.stores.servers.dialect import Dialect
from lookalike.stores.servers.server import Server

__all__ = ["add_vectors", "make", "vectors_of"]


def vectors_of(server: Server, address: ServerAddress) -> str | None:
    """How the collection there indexes its vectors; ``None`` when there is none.

    Raises ``CollectionFormatError`` for an index that is not ours.
    """
    mapping = _mapping(server, address)
    return None if mapping is None else mappings.made_with(mapping, address=str(address))[0]


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
        ),
    }
    for name, body in bodies.items():
        answer = server.ask("PUT", f"/{quote(name)}", body, allow=(400,))
        if answer.status == 400 and "already_exists" not in str(answer.body):  # noqa: PLR2004 - HTTP
            server.ask("PUT", f"/{quote(name)}", body)  # raises what is wrong


def add_vectors(server: Server, address: ServerAddress, dialect: Dialect, *, dim: int) -> None:
    """Give the items' index its field of vectors, if it has none."""
    mapping = _mapping(server, address)
    if mapping is None:
        raise CollectionNotFoundError(f"{address} has just been removed; try again")
    vectors, properties = mappings.made_with(mapping, address=str(address))
    if "vector" not in properties:
        body = mappings.vector_properties(dialect.vector_field(dim, vectors))
        server.ask("PUT", f"/{quote(address.name)}/_mapping", body)


def _mapping(server: Server, address: ServerAddress) -> Any | None:  # noqa: ANN401 - JSON
    answer = server.ask("GET", f"/{quote(address.name)}/_mapping", allow=(404,))
    return answer.body if answer.status < 300 else None  # noqa: PLR2004 - HTTP
