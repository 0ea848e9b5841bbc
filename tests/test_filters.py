"""The filter language: what is understood, and where a misunderstanding is pointed out."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lookalike.core.filters import And, Compare, Exists, In, Not, Or, Value, all_of, parse, value_of
from lookalike.core.records import Item, Json
from lookalike.errors import FilterError
from lookalike.stores.embedded.store import EmbeddedStore


def is_(field: str, text: str) -> Compare:
    return Compare(field, "=", Value(text))


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("label=mug", is_("label", "mug")),
        ("label = 'Flip Flops'", is_("label", "Flip Flops")),
        ('name="3.5"" "', None),
        (r'name="a \"b\""', is_("name", 'a "b"')),
        ("price<1000", Compare("price", "<", Value("1000", 1000.0))),
        ('price<"1000"', Compare("price", "<", Value("1000"))),
        ("price>=-1.5e3", Compare("price", ">=", Value("-1.5e3", -1500.0))),
        ("a.b.c != true", Compare("a.b.c", "!=", Value("true"))),
        ("name^=Nike", Compare("name", "^=", Value("Nike"))),
        ("day>=2024-01-31", Compare("day", ">=", Value("2024-01-31"))),
        ("colour in (Red, 'Navy Blue')", In("colour", (Value("Red"), Value("Navy Blue")))),
        ("colour NOT IN (Red)", Not(In("colour", (Value("Red"),)))),
        ("price exists", Exists("price")),
        ("price missing", Not(Exists("price"))),
        ("'base colour'=Red", is_("base colour", "Red")),
        ("a=1 and b=2 or c=3", None),
        ("not a=x", Not(is_("a", "x"))),
        ("not (a=x or a=y)", Not(Or((is_("a", "x"), is_("a", "y"))))),
        ("a=x AND b=y and c=z", And((is_("a", "x"), is_("b", "y"), is_("c", "z")))),
        ("größe=鞋", is_("größe", "鞋")),
    ],
)
def test_what_a_person_types_becomes_a_tree(text: str, tree: object) -> None:
    if tree is not None:
        assert parse(text) == tree


def test_and_binds_closer_than_or() -> None:
    assert parse("a=x and b=y or c=z") == Or((And((is_("a", "x"), is_("b", "y"))), is_("c", "z")))
    assert parse("a=x and (b=y or c=z)") == And((is_("a", "x"), Or((is_("b", "y"), is_("c", "z")))))


@pytest.mark.parametrize(
    ("text", "at", "words"),
    [
        ("", 0, "a condition is missing"),
        ("   ", 3, "a condition is missing"),
        ("label", 5, "after 'label' must come"),
        ("label=", 6, "a value is missing"),
        ("label==mug", 6, "a value is missing"),
        ("label=mug colour=red", 10, '"and" or "or"'),
        ("label=mug and", 13, "the name of a field"),
        ("(label=mug", 10, '")" is missing'),
        ("label=mug)", 9, '"and" or "or"'),
        ("label in Red", 9, "must come a list"),
        ("label in (Red", 13, '"," or ")"'),
        ("label in ()", 10, "a value is missing"),
        ('label="mug', 6, "a quote is not closed"),
        ("label=mug and price ! 3", 20, "not understood"),
        ("label not mug", 10, "after 'label' must come"),
        ("(" * 60 + "a=1" + ")" * 60, 50, "nested parentheses"),
    ],
)
def test_an_error_points_at_the_character(text: str, at: int, words: str) -> None:
    with pytest.raises(FilterError) as caught:
        parse(text)
    assert words in caught.value.reason
    assert caught.value.at == at
    assert str(caught.value).splitlines()[-1] == "  " + " " * at + "^"


@given(st.text(max_size=60))
def test_any_text_is_a_tree_or_a_filter_error(text: str) -> None:
    try:
        parse(text)
    except FilterError as error:
        at = error.at
    else:
        at = 0
    assert 0 <= at <= len(text)


def test_values_of_python_become_values() -> None:
    assert Value.of("Red") == Value("Red")
    assert Value.of(3) == Value("3", 3.0)
    assert Value.of(2.5) == Value("2.5", 2.5)
    assert Value.of(True) == Value("true")  # noqa: FBT003 - the value itself


_KEYS = st.text("ab.", min_size=1, max_size=4)
_DOCUMENTS = st.recursive(
    st.none() | st.booleans() | st.integers(0, 3) | st.sampled_from(["", "x", "y"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(_KEYS, inner, max_size=3),
    max_leaves=8,
)
_PATHS = st.lists(st.sampled_from(["a", "b", "ab"]), min_size=1, max_size=3).map(".".join)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedStore]:
    with closing(EmbeddedStore.open(tmp_path_factory.mktemp("home") / "shop", create=True)) as it:
        it.bind(encoder="e", fingerprint="e:1", dim=2)
        yield it


@settings(deadline=None)
@given(st.dictionaries(_KEYS, _DOCUMENTS, max_size=4), _PATHS, st.sampled_from(["", "metadata."]))
def test_the_value_of_a_field_is_the_one_that_a_store_finds(
    store: EmbeddedStore, metadata: dict[str, Json], path: str, prefix: str
) -> None:
    item = Item(id="1", digest="0" * 64, width=1, height=1, metadata=metadata)
    field = prefix + path
    store.items.upsert([item], np.eye(1, 2, dtype=np.float32))
    value = value_of(item, field)
    assert store.search.count(Exists(field)) == (value is not None and value != [])
    if isinstance(value, str | int):
        assert store.search.count(Compare(field, "=", Value.of(value))) == 1


def test_a_key_with_a_dot_is_no_field() -> None:
    item = Item(id="1", digest="0" * 64, width=1, height=1, metadata={"a.b": "x", "a": {"b": "y"}})
    assert value_of(item, "a.b") == "y"
    assert value_of(item, "metadata.a.b") == "y"
    assert value_of(replace(item, metadata={"a.b": "x"}), "a.b") is None


def test_an_own_field_and_a_metadata_field_of_its_name_are_two() -> None:
    item = Item(id="1", digest="0" * 64, width=1, height=1, label="mug", metadata={"label": "cup"})
    assert value_of(item, "label") == "mug"
    assert value_of(item, "metadata.label") == "cup"


def test_conditions_are_combined_and_none_changes_nothing() -> None:
    assert all_of(None, None) is None
    assert all_of(None, Exists("a")) == Exists("a")
    assert all_of(Exists("a"), None, Exists("b")) == And((Exists("a"), Exists("b")))
