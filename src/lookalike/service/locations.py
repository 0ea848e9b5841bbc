"""Where a served collection is stored: in a folder, or on a server."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from lookalike.config import Settings, collection_folder
from lookalike.service.upload_files import FOLDER, Uploads
from lookalike.stores.servers.addresses import names_server, parse_address

__all__ = ["Location", "locate"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Location:
    """The location of the collection ``name``.

    ``address`` opens it, ``folder`` holds it (``None`` for one on a server), and ``uploads`` holds
    the images that are uploaded to it.
    """

    name: str
    address: str | Path
    folder: Path | None
    uploads: Uploads


def locate(address: str, known: Settings) -> Location:
    """Return the location of an address: a name, a path or a server's.

    Raise ``CollectionError``.
    """
    if not names_server(address):
        folder = collection_folder(address, known)
        uploads = Uploads(folder=folder / FOLDER, moves=True)
        return Location(name=folder.name, address=folder, folder=folder, uploads=uploads)
    server = parse_address(address)
    # Two collections of one name must not share a folder: each would delete the other's orphans.
    own = hashlib.sha256(str(server).encode()).hexdigest()[:8]
    uploads = Uploads(folder=known.home / FOLDER / f"{server.name}-{own}", moves=False)
    return Location(name=server.name, address=address, folder=None, uploads=uploads)
