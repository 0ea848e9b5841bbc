"""The collections that a service serves: opened at their first use, closed at the end."""

import asyncio
import logging
import math
import re
import threading
import time
import weakref
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import quote

from lookalike.config import Settings, collections, open_collection
from lookalike.core.cpus import usable_cores
from lookalike.core.suggestions import did_you_mean
from lookalike.errors import (
    CollectionError,
    CollectionNotFoundError,
    CollectionReplacedError,
    StoreDeniedError,
    StoreReadOnlyError,
    StoreUnreachableError,
)
from lookalike.moving.kept_versions import leave_out_versions
from lookalike.output.json_documents import collection_json
from lookalike.service import upload_files
from lookalike.service.batching import Batcher, EncodingMeter
from lookalike.service.locations import Location, locate
from lookalike.service.match_levels import MatchLevels
from lookalike.service.settings import ServiceSettings
from lookalike.stores.embedded import own_files
from lookalike.stores.embedded.own_files import holds_collection
from lookalike.stores.servers.addresses import names_server

if TYPE_CHECKING:
    from lookalike.collection import Collection
    from lookalike.core.records import Json

__all__ = ["Collections", "Opened"]

_NAME = re.compile(r"\w[\w .-]{0,62}", re.UNICODE)
_ASKED = 8  # requests to a server at a time
_FRESH_S = 1.0  # what is known of collections is reused for this long
_LOG = logging.getLogger("lookalike.service")


@dataclass(slots=True, eq=False, weakref_slot=True)
class Opened:
    """An open collection, and the batcher that encodes for it.

    ``aside`` is the same collection, opened a second time for queries that scan all items: a
    connection runs one query at a time, and searches must not wait for scans.

    A collection that was replaced stays open for the requests that use it, and is closed with the
    last of them. A collection on a server has its own ``threads``, so that a server that does not
    respond blocks no thread that other collections need.
    """

    name: str
    place: Location
    collection: "Collection"
    aside: "Collection"
    encoding: Batcher
    levels: MatchLevels
    threads: ThreadPoolExecutor | None
    writing: asyncio.Lock = field(default_factory=asyncio.Lock)  # one writer of ours at a time
    measuring: asyncio.Lock = field(default_factory=asyncio.Lock)  # likewise, of the levels
    _said: tuple[float, dict[str, "Json"]] | None = None
    _looked: float = -math.inf  # when a server last confirmed that it is still the same collection

    def __post_init__(self) -> None:
        self._looked = time.monotonic()
        weakref.finalize(self, _close, self.threads, self.collection, self.aside)

    @property
    def address(self) -> str:
        """The path of the collection in the API."""
        return f"/v1/collections/{quote(self.name, safe='')}"

    def is_current(self) -> bool:
        """Return whether it is still the collection at its address. Asks a server: may raise."""
        current = self.collection.store.is_current()
        self._looked = time.monotonic() if current else -math.inf
        return current

    def is_known_current(self) -> bool:
        """Return the same without delay; a server's last reply holds for a second."""
        if self.place.folder is not None:
            return self.collection.store.is_current()
        return time.monotonic() - self._looked < _FRESH_S

    def confirm(self) -> None:
        """Check that results came from this collection: a server knows it by name alone.

        Raise ``CollectionReplacedError``, and what a request to a server raises.
        """
        if self.place.folder is None and not self.is_current():
            raise CollectionReplacedError(f"{self.name} was replaced during the search; try again")

    def close(self) -> None:
        """Close the collection and release its files."""
        _close(self.threads, self.collection, self.aside)

    def document(self) -> dict[str, "Json"]:
        """Return the collection as responses describe it; at most a second old."""
        now = time.monotonic()
        if self._said is None or now - self._said[0] > _FRESH_S:
            self._said = now, collection_json(self.collection) | {"name": self.name}
        return self._said[1]


class Collections:
    """The collections under ``known.home``, or only those of ``addresses``: names, paths, servers'.

    Only the former can be created and deleted. Use it on one event loop, except for ``close``.
    Raise ``CollectionError`` for two addresses with the same name, and ``CollectionNotFoundError``
    for one without a collection. A server may be unreachable: until it is back, requests for its
    collection fail.
    """

    def __init__(
        self,
        *,
        known: Settings,
        addresses: Sequence[str] = (),
        settings: ServiceSettings,
        meter: EncodingMeter,
        device: str = "auto",
        threads: int | None = None,
    ) -> None:
        self._known = known
        self._chosen: dict[str, Location] = {}
        if not addresses and names_server(known.collection):
            addresses = [known.collection]
        for address in addresses:
            place = locate(address, known)
            if place.name in self._chosen:
                raise CollectionError(f"two collections are called {place.name}; serve one of them")
            if place.folder is None or not holds_collection(place.folder):
                try:  # opening raises what is wrong
                    open_collection(address, create=False, known=known).close()
                except StoreUnreachableError as error:
                    _LOG.warning("%s", error)
            self._chosen[place.name] = place
        self._settings = settings
        self._meter = meter
        self._device = device
        self._threads = threads
        # At least two lanes, so that a small image does not wait while a large one is decoded.
        self._lanes = threads or max(usable_cores(), 2)
        self._encoder = ThreadPoolExecutor(self._lanes, thread_name_prefix="lookalike-encode")
        # One lock per collection: a server that does not respond delays only its own requests.
        self._turns: dict[str, threading.Lock] = {}
        self._open: dict[str, Opened] = {}
        self._listed: tuple[float, list[str]] | None = None

    def names(self) -> list[str]:
        """Return the names of the collections, sorted; at most a second old.

        A collection that a migration builds or has kept can be used by name, but is not listed.
        """
        if self._chosen:
            return sorted(self._chosen)
        now = time.monotonic()
        if self._listed is None or now - self._listed[0] > _FRESH_S:
            there = collections(self._known)
            self._listed = now, leave_out_versions(self._known.home / "collections", there)
        return self._listed[1]

    def monitored(self) -> list[str]:
        """Return the collections that health and metrics cover.

        These are all that the service was started with. If it was started without naming any,
        these are the default and those that were requested so far.
        """
        names = self.names()
        return (
            names
            if self._chosen
            else [one for one in names if one in self._turns or one == self.default()]
        )

    def is_remote(self, name: str) -> bool:
        """Return whether a collection is on a server, which may be unreachable."""
        return name in self._chosen and self._chosen[name].folder is None

    def default(self) -> str | None:
        """Return the default: the only collection, or that of the settings; else ``None``."""
        names = self.names()
        if len(names) == 1:
            return names[0]
        return self._known.collection if self._known.collection in names else None

    def get(self, name: str) -> Opened:
        """Return the collection of a name, and open it first if needed, which takes a moment.

        Raise ``CollectionNotFoundError``, and what opening one raises.
        """
        place = self._place(name)
        before = self._open.get(name)
        if before is not None and before.is_current():
            return before
        with self._turns.setdefault(name, threading.Lock()):
            opened = self._open.get(name)
            if opened is None or opened is before:  # else another request was quicker
                self._open.pop(name, None)
                opened = self._open_place(place)
                self._open[name] = opened
                if before is not None:
                    _LOG.warning("%s was replaced, and was opened again", name)
        return opened

    def ready(self, name: str) -> Opened | None:
        """Return the collection if it is open and current, without delay; else ``None``."""
        opened = self._open.get(name)
        return opened if opened is not None and opened.is_known_current() else None

    def create(self, name: str, *, encoder: str | None = None, regions: int = 0) -> Opened:
        """Create a collection. Raise ``CollectionError`` for an invalid or existing name.

        Raise ``RegionError`` for ``regions`` with an encoder without a map.
        """
        self._may_change()
        if not _NAME.fullmatch(name) or name != name.strip() or name.endswith("."):
            raise CollectionError(
                f"{name!r} is not a valid collection name; use letters, digits, and _ - . between"
            )
        if name in collections(self._known):
            raise CollectionError(f"a collection called {name} exists already")
        with open_collection(name, encoder=encoder, create=True, known=self._known) as made:
            if regions:
                made.index((), regions=regions)
            if encoder is not None:
                made.bind()
        self._listed = None
        return self.get(name)

    def delete(self, name: str) -> None:
        """Delete a collection: only the files in its folder that lookalike wrote."""
        self._may_change()
        folder = self._place(name).folder
        if folder is None:  # collections on servers are never deleted
            raise CollectionError(f"{name} is on a server; delete its indexes there")
        with self._turns.setdefault(name, threading.Lock()):
            opened = self._open.pop(name, None)
            if opened is not None:
                opened.close()
            self._listed = None
            left = own_files.remove(folder)
            if left is not None:
                _LOG.warning("%s stays after its collection was deleted: %s", folder, left)

    def close(self) -> None:
        """Close all collections, after the images being encoded."""
        self._encoder.shutdown()
        for name in list(self._open):  # one that is being opened may wait for a server, and is left
            opened = self._open.pop(name, None)
            if opened is not None:
                opened.close()

    def _may_change(self) -> None:
        if self._chosen:
            raise CollectionError(
                "this service serves only the collections that it was started with; to create and "
                "delete collections, start it without naming any"
            )

    def _place(self, name: str) -> Location:
        """Return a collection's location. A requested name is compared, never used as a path."""
        if self._chosen:
            if name in self._chosen:
                return self._chosen[name]
        elif name in self._open:
            return self._open[name].place
        elif name in collections(self._known):
            return locate(name, self._known)
        raise _describe_missing(name, self.names())

    def _open_place(self, place: Location) -> Opened:
        try:
            made = open_collection(
                place.address,
                create=False,
                known=self._known,
                search=True,
                measured=True,
                device=self._device,
                threads=self._threads,
            )
        except CollectionNotFoundError as error:  # whose message contains the path
            raise _describe_missing(place.name, self.names()) from error
        made.limits = self._settings.limits
        with suppress(StoreReadOnlyError, StoreDeniedError):
            if upload_files.find_root(made, place.uploads) is not None:
                upload_files.ensure_root(made, place.uploads)
                upload_files.delete_orphans(made, place.uploads)
        batcher = Batcher(
            made,
            encoder=self._encoder,
            lanes=self._lanes,
            limit=self._settings.max_waiting,
            meter=self._meter,
        )
        aside = open_collection(place.address, create=False, known=self._known)
        threads = None
        if place.folder is None:
            threads = ThreadPoolExecutor(_ASKED, thread_name_prefix=f"lookalike-{place.name}")
        return Opened(place.name, place, made, aside, batcher, MatchLevels(made, aside), threads)


def _close(threads: ThreadPoolExecutor | None, *collections: "Collection") -> None:
    if threads is not None:
        threads.shutdown(wait=False)
    for one in collections:
        one.close()


def _describe_missing(name: str, names: Sequence[str]) -> CollectionNotFoundError:
    hint = did_you_mean(name, [one for one in names if one != name])  # the list may be a second old
    return CollectionNotFoundError(f"there is no collection called {name!r}{hint}")
