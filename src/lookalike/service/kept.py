"""Pictures that came over HTTP, kept as files below the collection, so that they can be shown.

    COLLECTION/uploads/<hash of the id>/<hash of the content>.jpg

Names are made of hashes alone: nothing that a sender wrote becomes part of a path.
"""

import hashlib
import os
import secrets
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from lookalike import images
from lookalike.collection import Collection
from lookalike.errors import StoreFullError
from lookalike.formats import format_of
from lookalike.records import Entry, Json, Stamp
from lookalike.roots import Root, read_roots, roots_json
from lookalike.service.schemas import Said

__all__ = ["FOLDER", "find", "forget", "keep", "root_of", "sweep"]

FOLDER = "uploads"
_SETTING = "uploads"  # the root's name, among the collection's settings
_PARTIAL = ".part"
_OLD_S = 3600.0


def root_of(collection: Collection, folder: Path) -> Root:
    """The root for what is kept of a collection in ``folder``, made if it is not there.

    A collection that was copied or moved took its pictures along: then the root follows.
    """
    place = (folder / FOLDER).resolve()
    try:
        place.mkdir(exist_ok=True)
    except OSError as error:
        raise StoreFullError(f"{place} cannot be made: {error.strerror}") from error
    known = find(collection)
    if known is not None and known.path == place:
        return known
    name = FOLDER if known is None else known.name
    names = {root.name for root in collection.roots()} - ({name} if known else set())
    number = 2
    while name in names:
        name, number = f"{FOLDER}-{number}", number + 1
    root = Root(name=name, path=place)

    def with_it(stored: Json) -> Json:
        return roots_json([*(one for one in read_roots(stored) if one.name != name), root])

    collection.store.change_setting("roots", with_it)
    collection.store.set_setting(_SETTING, name)
    return root


def find(collection: Collection) -> Root | None:
    """The root for what is kept, if there is one."""
    name = collection.store.setting(_SETTING)
    return next((root for root in collection.roots() if root.name == name), None)


def keep(root: Root, item_id: str, data: bytes, said: Said) -> Entry:
    """Write a picture to where it stays, and answer the entry that makes it an item.

    Raises ``StoreFullError`` when it cannot be written.
    """
    kind = format_of(data) or "bin"
    digest = images.digest(data)
    folder = hashlib.sha256(item_id.encode()).hexdigest()[:24]
    path = f"{folder}/{digest[:24]}.{_SUFFIXES.get(kind, 'bin')}"
    place = root.path / path
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        if not place.exists():
            partial = place.with_name(f"{secrets.token_hex(8)}{_PARTIAL}")
            with partial.open("xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            partial.replace(place)
        found = place.stat()
    except OSError as error:
        raise StoreFullError(f"the picture cannot be kept: {error.strerror}") from error
    return Entry(
        id=item_id,
        picture=place,
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


def forget(root: Root, paths: Iterable[str]) -> None:
    """Delete kept files that no item has any more."""
    for path in paths:
        place = root.path / path
        with suppress(OSError):
            place.unlink()
            place.parent.rmdir()  # refuses while another file is there


def sweep(collection: Collection) -> int:
    """Delete what a service that was killed has left: files of no item, an hour old or more."""
    root = find(collection)
    if root is None:
        return 0
    known = collection.store.stamps(root.name)
    gone = 0
    for one in sorted(root.path.glob("*/*")):
        with suppress(OSError):
            path = one.relative_to(root.path).as_posix()
            if path not in known and time.time() - one.stat().st_mtime > _OLD_S:
                one.unlink()
                gone += 1
                one.parent.rmdir()  # refuses while another file is there
    return gone
