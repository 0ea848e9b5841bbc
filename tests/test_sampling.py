"""A few of many by chance."""

import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lookalike.core.filters import parse
from lookalike.core.records import Item
from lookalike.core.sampling import sample
from lookalike.stores.embedded.store import EmbeddedStore

MANY = 3000


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> EmbeddedStore:
    """Items of which the first two thirds by id are of one label."""
    store = EmbeddedStore.open(tmp_path_factory.mktemp("many") / "shop", create=True)
    store.bind(encoder="none", fingerprint="none", dim=2)
    items = [
        Item(
            id=f"{number:04d}",
            digest=hashlib.sha256(str(number).encode()).hexdigest(),
            width=1,
            height=1,
            label="mug" if number < MANY * 2 // 3 else "bag",
        )
        for number in range(MANY)
    ]
    store.items.upsert(items, np.tile(np.array([[1.0, 0.0]], dtype=np.float32), (MANY, 1)))
    return store


@given(seed=st.integers(-(2**70), 2**70), k=st.integers(1, 400))
def test_as_many_as_are_wanted_come_and_none_twice(store: EmbeddedStore, seed: int, k: int) -> None:
    chosen = [item.id for item in sample(store, k, seed=seed)]
    assert len(chosen) == len(set(chosen)) == k
    assert chosen == [item.id for item in sample(store, k, seed=seed)]


def test_every_item_is_as_likely_as_another(store: EmbeddedStore) -> None:
    labels = [item.label for seed in range(60) for item in sample(store, 24, seed=seed)]
    assert 0.6 < labels.count("mug") / len(labels) < 0.73
    reached = {item.id for seed in range(60) for item in sample(store, 24, seed=seed)}
    assert len(reached) > 900


def test_the_first_of_a_sample_are_the_sample_of_fewer(store: EmbeddedStore) -> None:
    assert sample(store, 50, seed=3)[:10] == sample(store, 10, seed=3)


def test_few_that_meet_a_condition_are_all_found(store: EmbeddedStore) -> None:
    where = parse('id>="2990"')
    assert {item.id for item in sample(store, 24, where=where)} == {
        f"{number:04d}" for number in range(2990, MANY)
    }


def test_a_sample_of_nothing_is_refused(store: EmbeddedStore) -> None:
    with pytest.raises(ValueError, match="at least one item"):
        sample(store, 0)
