"""Uploaded images, stored as files so that they can be shown.

    COLLECTION/uploads/<hash of the id>/<random>.jpg    (``stores.own_files`` knows the names)
    HOME/uploads/<collection>-<hash of its address>/…    of a collection on a server

File names consist of hashes and random digits only: nothing that a client sent becomes part of a
path.
"""

import hashlib
import os
import secrets
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from lookalike import images
from lookalike.collection import Collection
from lookalike.core import settings_keys
from lookalike.core.atomic_files import replace_file
from lookalike.core.records import Entry, Item, Json, Stamp
from lookalike.core.roots import Root, read_roots, roots_json
from lookalike.errors import StoreFullError
from lookalike.images.formats import format_of
from lookalike.service.schemas import ItemFields
from lookalike.stores.embedded.own_files import UPLOADS, is_upload, upload_files

__all__ = [
    "FOLDER",
    "Uploads",
    "delete_images",
    "delete_orphans",
    "ensure_root",
    "find_root",
    "suffix_of",
    "write_image",
]

FOLDER = UPLOADS
_PARTIAL = ".part"
_OLD_S = 3600.0
_TRIES = 5  # to write into a folder that other requests may remove meanwhile


@dataclass(frozen=True, slots=True, kw_only=True)
class Uploads:
    """The ``folder`` for images that are uploaded to a collection.

    A folder that ``moves`` lies in the collection's own folder: it is copied with it, and the root
    follows. For a collection on a server, each machine has its own folder, each with a root.
    """

    folder: Path
    moves: bool


def ensure_root(collection: Collection, uploads: Uploads) -> Root:
    """Return the root for uploaded images; create it if it does not exist.

    Raise ``StoreFullError`` when its folder cannot be created.
    """
    place = uploads.folder.resolve()
    try:
        place.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreFullError(f"{place} cannot be created: {error.strerror}") from error
    known = find_root(collection, uploads)
    if known is not None and known.path == place:
        return known
    made: list[Root] = []

    def with_it(stored: Json) -> Json:
        """Add the root. Runs again where another machine was faster."""
        same = next((one for one in read_roots(stored) if one.path == place), None)
        if same is not None:  # another service has just added it
            made.append(same)
            return stored
        others = [one for one in read_roots(stored) if known is None or one.name != known.name]
        name = FOLDER if known is None else known.name
        number = 2
        while name in {one.name for one in others}:
            name, number = f"{FOLDER}-{number}", number + 1
        made.append(Root(name=name, path=place))
        return roots_json([*others, made[-1]])

    collection.store.settings.change(settings_keys.ROOTS, with_it)
    root = made[-1]
    if uploads.moves:
        collection.store.settings.set(settings_keys.UPLOADS, root.name)
    return root


def find_root(collection: Collection, uploads: Uploads) -> Root | None:
    """Return the root for uploaded images, if there is one."""
    if not uploads.moves:
        place = uploads.folder.resolve()
        return next((root for root in collection.roots() if root.path == place), None)
    name = collection.store.settings.get(settings_keys.UPLOADS)
    return next((root for root in collection.roots() if root.name == name), None)


def write_image(
    root: Root, item_id: str, data: bytes, said: ItemFields, *, before: Item | None = None
) -> Entry:
    """Write an image to its file, and return the entry to index.

    Each upload gets its own file, so that no request deletes or changes another's. If the item
    ``before`` has the same image, its file is reused. Raise ``StoreFullError`` when the image
    cannot be written.
    """
    digest = images.digest(data)
    if before is not None and before.root == root.name and before.digest == digest:
        path = before.path
        place = root.path / path
        with suppress(OSError):
            if place.stat().st_size == len(data):
                return _make_entry(item_id, root, path, place.stat(), said)
    folder = hashlib.sha256(item_id.encode()).hexdigest()[:24]
    path = f"{folder}/{secrets.token_hex(12)}{suffix_of(data)}"
    place = root.path / path
    for tries in range(_TRIES):
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            partial = place.with_name(f"{secrets.token_hex(8)}{_PARTIAL}")
            with replace_file(place, temporary=partial, durable=True) as file:
                file.write(data)
            found = place.stat()
        except (
            FileNotFoundError
        ) as error:  # the removal of another upload has just removed the folder
            if tries + 1 == _TRIES:
                raise StoreFullError(f"the image cannot be stored: {error.strerror}") from error
        except OSError as error:
            raise StoreFullError(f"the image cannot be stored: {error.strerror}") from error
        else:
            break
    return _make_entry(item_id, root, path, found, said)


def _make_entry(
    item_id: str, root: Root, path: str, found: os.stat_result, said: ItemFields
) -> Entry:
    return Entry(
        id=item_id,
        image=root.path / path,
        root=root.name,
        path=path,
        stamp=Stamp(found.st_size, found.st_mtime_ns),
        label=said.label,
        group=said.group,
        metadata=said.metadata,
    )


_SUFFIXES = {
    "AVIF": "avif",
    "BMP": "bmp",
    "DIB": "bmp",
    "GIF": "gif",
    "HEIC": "heic",
    "JPEG": "jpg",
    "PNG": "png",
    "TIFF": "tif",
    "WebP": "webp",
}


def suffix_of(data: bytes) -> str:
    """Return the suffix of a file with this content: ``.jpg``."""
    return f".{_SUFFIXES.get(format_of(data) or '', 'bin')}"


def delete_images(root: Root, paths: Iterable[str]) -> None:
    """Delete uploaded files that no item uses any more; files with other names stay."""
    for path in filter(is_upload, paths):
        place = root.path / path
        with suppress(OSError):
            place.unlink()
            place.parent.rmdir()  # fails while the folder holds another file


def delete_orphans(collection: Collection, uploads: Uploads) -> int:
    """Delete files without an item that a killed service left, and return how many.

    Only files that are at least an hour old are deleted.
    """
    root = find_root(collection, uploads)
    if root is None:
        return 0
    known = collection.store.items.stamps(root.name)
    gone = 0
    for one in upload_files(root.path.resolve()):
        with suppress(OSError):
            path = f"{one.parent.name}/{one.name}"
            if path not in known and time.time() - one.stat().st_mtime > _OLD_S:
                one.unlink()
                gone += 1
                one.parent.rmdir()  # fails while the folder holds another file
    return gone
