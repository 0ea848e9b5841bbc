"""The contract on servers: collections of their own, that are gone afterwards."""

import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from urllib.parse import urlsplit

import pytest

from contracts.store import DIM, StoreContract
from lookalike.errors import CollectionNotFoundError
from lookalike.stores.servers.addresses import ServerAddress, parse_address
from lookalike.stores.servers.elasticsearch import open_elasticsearch
from lookalike.stores.servers.opensearch import open_opensearch
from lookalike.stores.servers.store import ServerStore

_OPEN = {"elasticsearch": open_elasticsearch, "opensearch": open_opensearch}


def an_address(kind: str, url: str, options: str = "") -> ServerAddress:
    """A collection that is not there yet."""
    name = f"lookalike-test-{os.urandom(6).hex()}"
    return parse_address(f"{kind}://{urlsplit(url).netloc}/{name}{options}")


def opened(address: ServerAddress, *, create: bool = False) -> ServerStore:
    return _OPEN[address.kind](address, create=create)


def removed(store: ServerStore) -> None:
    """Take both indexes away, and close."""
    with suppress(CollectionNotFoundError):  # a test has done so
        opened(store.address).drop()
    store.close()


def bound(address: ServerAddress, dim: int = DIM) -> ServerStore:
    store = opened(address, create=True)
    store.bind(encoder="tiny", fingerprint="tiny-1", dim=dim)
    return store


class ServerContract(StoreContract):
    @pytest.fixture
    def address(self) -> ServerAddress:
        raise NotImplementedError

    @pytest.fixture
    def store(self, address: ServerAddress) -> Iterator[ServerStore]:
        store = bound(address)
        yield store
        removed(store)

    @pytest.fixture
    def again(self, store: ServerStore) -> Callable[[], ServerStore]:
        return lambda: opened(store.address)
