"""The collections that a service serves: opened when first asked for, closed at the end."""

import asyncio
import re
import shutil
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from lookalike.config import Settings, collection_folder, collections, open_collection
from lookalike.cores import usable_cores
from lookalike.documents import collection_json
from lookalike.errors import CollectionError, CollectionNotFoundError, StoreReadOnlyError
from lookalike.service import kept
from lookalike.service.batching import Batcher, Meter
from lookalike.service.settings import ServiceSettings
from lookalike.stores.embedded import DATABASE

if TYPE_CHECKING:
    from lookalike.collection import Collection
    from lookalike.records import Json

__all__ = ["Collections", "Opened"]

_NAME = re.compile(r"\w[\w .-]{0,62}", re.UNICODE)
_LANES = 4  # batches at a time: enough that a core never waits for the next
_FRESH_S = 1.0  # how old may be what is told of collections


@dataclass(slots=True, eq=False)
class Opened:
    """A collection that is open, and what encodes for it.

    ``aside`` is the same one opened once more, for questions that look at every item: a connection
    answers one question at a time, and a search must not wait behind them.
    """

    name: str
    folder: Path
    collection: "Collection"
    aside: "Collection"
    encoding: Batcher
    file: tuple[int, int]  # device and inode of its database
    writing: asyncio.Lock = field(default_factory=asyncio.Lock)  # one writer of ours at a time
    _said: tuple[float, dict[str, "Json"]] | None = None

    @property
    def address(self) -> str:
        """Where the API has it."""
        return f"/v1/collections/{quote(self.name, safe='')}"

    def close(self) -> None:
        """Let go of its files."""
        self.collection.close()
        self.aside.close()

    def document(self) -> dict[str, "Json"]:
        """What answers say of the collection; a second old at most."""
        now = time.monotonic()
        if self._said is None or now - self._said[0] > _FRESH_S:
            self._said = now, collection_json(self.collection) | {"name": self.name}
        return self._said[1]


class Collections:
    """Those under ``known.home``, or only those of ``addresses`` (names or paths).

    Only the former can be begun and deleted. To be used on one event loop, but for ``close``.
    Raises ``CollectionError`` for two addresses that end in one name, and
    ``CollectionNotFoundError`` for one where no collection is.
    """

    def __init__(
        self,
        *,
        known: Settings,
        addresses: Sequence[str] = (),
        settings: ServiceSettings,
        meter: Meter,
        device: str = "auto",
        threads: int | None = None,
    ) -> None:
        self._known = known
        self._chosen: dict[str, Path] = {}
        for address in addresses:
            folder = collection_folder(address, known)
            if folder.name in self._chosen:
                raise CollectionError(f"two collections are called {folder.name}; serve one")
            if not (folder / DATABASE).exists():
                open_collection(address, create=False, known=known)  # says so
            self._chosen[folder.name] = folder
        self._settings = settings
        self._meter = meter
        self._device = device
        self._threads = threads
        cores = usable_cores()
        self._readers = ThreadPoolExecutor(cores + 1, thread_name_prefix="lookalike-prepare")
        self._lanes = min(threads or cores, _LANES)
        self._encoder = ThreadPoolExecutor(self._lanes, thread_name_prefix="lookalike-encode")
        self._lock = threading.Lock()
        self._open: dict[str, Opened] = {}
        self._listed: tuple[float, list[str]] | None = None

    def names(self) -> list[str]:
        """Names of the collections that are there, sorted; a second old at most."""
        if self._chosen:
            return sorted(self._chosen)
        now = time.monotonic()
        if self._listed is None or now - self._listed[0] > _FRESH_S:
            self._listed = now, collections(self._known)
        return self._listed[1]

    def default(self) -> str | None:
        """The one that is meant when none is named: the only one, or the setting's."""
        names = self.names()
        if len(names) == 1:
            return names[0]
        return self._known.collection if self._known.collection in names else None

    def get(self, name: str) -> Opened:
        """The collection of a name, opened if it is not yet. May take a moment; see ``Opened``.

        Raises ``CollectionNotFoundError``, and what opening one raises.
        """
        folder = self._folder(name)
        file = _file_of(folder)
        opened = self._open.get(name)
        if opened is not None and opened.file == file:
            return opened
        with self._lock:
            opened = self._open.get(name)
            if opened is None or opened.file != file:
                opened = self._opened(name, folder, file)
                self._open[name] = opened
        return opened

    def ready(self, name: str) -> Opened | None:
        """``get``, but only if that takes no time."""
        opened = self._open.get(name)
        with suppress(CollectionNotFoundError):
            if opened is not None and opened.file == _file_of(opened.folder):
                return opened
        return None

    def create(self, name: str, *, encoder: str | None = None) -> Opened:
        """Begin a collection. Raises ``CollectionError`` for a bad name or one that is there."""
        self._may_change()
        if not _NAME.fullmatch(name) or name != name.strip() or name.endswith("."):
            raise CollectionError(
                f"{name!r} cannot be a collection's name; use letters, digits, and _ - . between"
            )
        if name in collections(self._known):
            raise CollectionError(f"there is a collection called {name} already")
        with open_collection(name, encoder=encoder, known=self._known) as made:
            if encoder is not None:
                made.bind()
        self._listed = None
        return self.get(name)

    def delete(self, name: str) -> None:
        """Delete a collection with all that is in its folder."""
        self._may_change()
        folder = self._folder(name)
        with self._lock:
            opened = self._open.pop(name, None)
            if opened is not None:
                opened.close()
            # First what makes the folder a collection: half deleted it is none.
            (folder / DATABASE).unlink()
            self._listed = None
            shutil.rmtree(folder)

    def counts(self) -> list[tuple[str, int]]:
        """How many items each open collection has."""
        return [(name, len(opened.collection)) for name, opened in sorted(self._open.items())]

    def close(self) -> None:
        """Close what is open, after what is being encoded."""
        self._readers.shutdown(cancel_futures=True)
        self._encoder.shutdown()
        with self._lock:
            for opened in self._open.values():
                opened.close()
            self._open.clear()

    def _may_change(self) -> None:
        if self._chosen:
            raise CollectionError(
                "this service serves the collections that it was started with; start it without "
                "naming any to begin and delete collections"
            )

    def _folder(self, name: str) -> Path:
        """Where a collection lies. A name from a request is compared, never made a path."""
        if self._chosen:
            if name in self._chosen:
                return self._chosen[name]
        elif name in self._open:
            return self._open[name].folder
        elif name in collections(self._known):
            return collection_folder(name, self._known)
        raise CollectionNotFoundError(f"there is no collection called {name!r}")

    def _opened(self, name: str, folder: Path, file: tuple[int, int]) -> Opened:
        made = open_collection(
            folder,
            create=False,
            known=self._known,
            search=True,
            device=self._device,
            threads=self._threads,
        )
        made.limits = self._settings.limits
        with suppress(StoreReadOnlyError):
            if kept.find(made) is not None:
                kept.root_of(made, folder)
                kept.sweep(made)
        batcher = Batcher(
            made,
            readers=self._readers,
            encoder=self._encoder,
            lanes=self._lanes,
            limit=self._settings.max_waiting,
            meter=self._meter,
        )
        aside = open_collection(folder, create=False, known=self._known)
        return Opened(name, folder, made, aside, batcher, file)


def _file_of(folder: Path) -> tuple[int, int]:
    try:
        found = (folder / DATABASE).stat()
    except OSError as error:
        raise CollectionNotFoundError(f"there is no collection called {folder.name!r}") from error
    return found.st_dev, found.st_ino
