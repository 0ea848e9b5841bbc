"""Words: what texts are split into, and what all stores then agree on."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.store import DIM, an_item, random_rows
from lookalike.core.keywords import MOST_TERMS, STOP_WORDS, match, split, words_of
from memory_store import MemoryStore


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Casual Shoes", "casual shoe"),
        ("FlipFlops", "flip flop flipflop"),
        ("flip_flops.jpg", "flip flop jpg"),
        ("T-Shirt", "t shirt tshirt"),
        ("H&M women\u2019s", "h m hm women"),
        ("HTMLPage mug12", "html page htmlpage mug 12 mug12"),
        ("men/casual-shoes/1163", "men casual shoe casualshoe 1163"),
        ("watches dresses purses boxes brushes", "watch dress purse box brush"),
        ("hoodies hoodie tie ties accessories", "hoody hoody tie tie accessory"),
        ("glass tennis bus as", "glass tennis bus as"),
        ("Crème Brûlée GRÖSSE Größe", "creme brulee grosse grosse"),
        ("红色鞋子", "红 色 鞋 子"),
        ("3f9a8b7c6d5e4f3a2b1c", "3f9a8b7c6d5e4f3a2b1c"),
        ("-- '' & ' * \0 \ud800", ""),
        ("½ ² ™", "1 2 2 tm"),
    ],
)
def test_a_text_is_split_into_words(text: str, words: str) -> None:
    assert split(text) == words.split()


@given(st.text())
def test_words_hold_nothing_that_a_store_could_misread(text: str) -> None:
    for word in split(text):
        assert word
        assert len(word) <= 64
        assert not set(word) & set(" \t\n\0\"'*-+^:(){}&/\\,.;")


@given(st.text(max_size=40), st.sampled_from(["label", "group", "id"]))
def test_an_item_is_found_by_whatever_its_words_come_from(text: str, field: str) -> None:
    store = MemoryStore({}, "shop", create=True)
    store.bind(encoder="tiny", fingerprint="tiny-1", dim=DIM)
    item = an_item(**{"id": "a", field: f"x {text}".encode(errors="replace").decode()})
    store.items.upsert([item], random_rows(1))
    words = [*words_of(item).label, *words_of(item).others]
    for word in words:
        if word in STOP_WORDS:
            assert match(store.keywords, word, k=1).hits == []
            continue
        (hit,) = match(store.keywords, word, k=1).hits
        assert hit.share == 1


def test_of_an_item_with_very_many_words_the_first_are_kept() -> None:
    item = an_item("a", metadata={"text": " ".join(map(str, range(5000)))})
    label, others = words_of(item)
    assert label == ()
    assert others[:3] == ("a", "0", "1")
    assert len(others) == 1000


def test_deep_metadata_are_read_to_a_limit() -> None:
    deep: list[object] = ["bottom"]
    for _ in range(5000):
        deep = [deep]
    item = an_item("a", metadata={"flat": "top", "deep": deep})
    assert words_of(item).others == ("a", "top")


def test_of_a_long_text_the_first_words_are_looked_for() -> None:
    store = MemoryStore({}, "shop", create=True)
    store.bind(encoder="tiny", fingerprint="tiny-1", dim=DIM)
    items = [an_item(str(number)) for number in range(MOST_TERMS + 1)]
    store.items.upsert(items, random_rows(len(items)))
    matches = match(store.keywords, " ".join(item.id for item in items), k=100)
    assert {hit.item.id for hit in matches.hits} == {item.id for item in items[:MOST_TERMS]}
    assert matches.cut
    assert not match(store.keywords, " ".join(item.id for item in items[1:]), k=100).cut


def test_the_parts_of_a_compound_that_no_item_has_do_not_count() -> None:
    store = MemoryStore({}, "shop", create=True)
    store.bind(encoder="tiny", fingerprint="tiny-1", dim=DIM)
    store.items.upsert([an_item("a", label="Tshirts"), an_item("b")], random_rows(2))
    matches = match(store.keywords, "T-Shirt", k=5)
    assert [(hit.item.id, hit.share) for hit in matches.hits] == [("a", 1)]
    assert matches.unknown == ()
