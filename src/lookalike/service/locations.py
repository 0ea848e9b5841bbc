"""Where a collection that is served lies: in a folder, or on a server."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from lookalike.config import Settings, collection_folder
from lookalike.service.upload_files import FOLDER, Uploads
from lookalike.stores.servers.addresses import names_server, parse_address

__all__ = ["Location", "locate"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Location:
    """``address`` opens the collection called ``name``, ``uploads`` is for what is sent to it.

    ``folder`` is where it lies, ``None`` for one on a server.
    """

    name: str
    address: str | Path
    folder: Path | None
    uploads: Uploads


def locate(address: str, known: Settings) -> Location:
    """Where an address (a name, a path or a server's) leads. Raises ``CollectionError``."""
    if not names_server(address):
        folder = collection_folder(address, known)
        uploads = Uploads(folder=folder / FOLDER, moves=True)
        return Location(name=folder.name, address=folder, folder=folder, uploads=uploads)
    server = parse_address(address)
    # Of two collections of one name, each would sweep away what the other has in the same folder.
    own = hashlib.sha256(str(server).encode()).hexdigest()[:8]
    uploads = Uploads(folder=known.home / FOLDER / f"{server.name}-{own}", moves=False)
    return Location(name=server.name, address=address, folder=None, uploads=uploads)
