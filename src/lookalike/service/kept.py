"""Pictures that came over HTTP, kept as files below the collection, so that they can be shown.

    COLLECTION/uploads/<hash of the id>/<hash of the content>.jpg

Names are made of hashes alone: nothing that a sender wrote becomes part of a path.
"""

import hashlib
import os
import secrets
import shutil
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from lookalike import images
from lookalike.collection import Collection
from lookalike.errors import StoreFullError
from lookalike.formats import format_of
from lookalike.records import Entry, Item, Json, Stamp
from lookalike.roots import Root, read_roots, roots_json
from lookalike.service.schemas import Said

__all__ = ["FOLDER", "find", "forget", "keep", "root_of", "sweep"]

FOLDER = "uploads"
_PARTIAL = ".part"
_OLD_S = 3600.0


def root_of(collection: Collection, folder: Path) -> Root:
    """The root for what is kept of a collection in ``folder``, made if it is not there.

    A collection that was copied or moved has its pictures where it is now.
    """
    place = (folder / FOLDER).resolve()
    place.mkdir(exist_ok=True)

    def with_it(stored: Json) -> Json:
        roots = read_roots(stored)
        names = {root.name for root in roots if root.path != place}
        name = next((root.name for root in roots if root.path == place), None)
        if name is None:
            moved = [root for root in roots if _is_ours(root) and not root.path.exists()]
            name = moved[0].name if moved else FOLDER
            number = 2
            while name in names - {root.name for root in moved[:1]}:
                name, number = f"{FOLDER}-{number}", number + 1
        others = [root for root in roots if root.name != name]
        return roots_json([*others, Root(name=name, path=place)])

    current = find(collection, folder)
    if current is not None:
        return current
    roots = read_roots(collection.store.change_setting("roots", with_it))
    return next(root for root in roots if root.path == place)


def find(collection: Collection, folder: Path) -> Root | None:
    """The root for what is kept, if there is one."""
    place = (folder / FOLDER).resolve()
    return next((root for root in collection.roots() if root.path == place), None)


def _is_ours(root: Root) -> bool:
    return root.name.startswith(FOLDER) and root.path.name == FOLDER


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


def left_behind(items: Sequence[Item], entries: Sequence[Entry], root: Root) -> list[str]:
    """Of items that were replaced by ``entries``, the kept files that are no longer theirs."""
    now = {entry.id: entry.path for entry in entries}
    return [
        item.path
        for item in items
        if item.root == root.name and item.path and now.get(item.id) != item.path
    ]


def sweep(collection: Collection, folder: Path) -> int:
    """Delete what a service that was killed has left: files of no item, an hour old or more."""
    place = (folder / FOLDER).resolve()
    root = find(collection, folder)
    if root is None:
        return 0
    known = collection.store.stamps(root.name)
    gone = 0
    for one in sorted(place.glob("*/*")):
        path = one.relative_to(place).as_posix()
        with suppress(OSError):
            if path not in known and time.time() - one.stat().st_mtime > _OLD_S:
                one.unlink()
                gone += 1
    for one in place.iterdir():
        if one.is_dir() and not any(one.iterdir()):
            shutil.rmtree(one, ignore_errors=True)
    return gone
