"""The contract on a store in memory: what a new store has to do, and no more."""

from collections.abc import Callable

import pytest

from contracts.store import DIM, StoreContract
from memory_store import MemoryStore


class TestMemoryStore(StoreContract):
    @pytest.fixture
    def store(self) -> MemoryStore:
        store = MemoryStore({}, "shop", create=True)
        store.bind(encoder="tiny", fingerprint="tiny-1", dim=DIM)
        return store

    @pytest.fixture
    def again(self, store: MemoryStore) -> Callable[[], MemoryStore]:
        return lambda: MemoryStore(store.place, store.name)
