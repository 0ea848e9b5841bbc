"""What the arguments of ``lookalike search`` mean."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lookalike.search import ItemRef, Query, QueryPart, VectorFile, Words
from lookalike.search.query_language import STDIN, parse_part, parse_queries
from lookalike.search.words import named_query, named_source

FILES = {"a.jpg", "b.jpg", "red", "2:a.jpg", "@2024", "words:red", "+.jpg"}


def _read(arguments: Sequence[str]) -> list[list[tuple[float, Any]]]:
    parsed = parse_queries(arguments, is_file=FILES.__contains__)
    return [[(part.weight, part.source) for part in one.query.parts] for one in parsed]


def test_arguments_that_stand_alone_are_queries_of_their_own() -> None:
    assert _read(["a.jpg", "red leather bag", "@2024/cat.jpg"]) == [
        [(1.0, "a.jpg")],
        [(1.0, Words("red leather bag"))],
        [(1.0, ItemRef("2024/cat.jpg"))],
    ]


def test_plus_and_minus_join_parts_to_one_query() -> None:
    assert _read(["a.jpg", "+", "in blue", "-", "b.jpg", "b.jpg"]) == [
        [(1.0, "a.jpg"), (1.0, Words("in blue")), (-1.0, "b.jpg")],
        [(1.0, "b.jpg")],
    ]


def test_a_part_may_have_a_weight() -> None:
    assert _read(["3:a.jpg", "-", "0.5:in blue", "+", ".25:@x", "-", "2.:words:1:2"]) == [
        [(3.0, "a.jpg"), (-0.5, Words("in blue")), (0.25, ItemRef("x")), (-2.0, Words("1:2"))]
    ]


@pytest.mark.parametrize(
    ("argument", "meaning"),
    [
        ("12:30 watch", (1.0, Words("12:30 watch"))),
        ("16:9", (1.0, Words("16:9"))),
        ("0:30 film", (1.0, Words("0:30 film"))),
        ("2:2024.jpg", (2.0, "2024.jpg")),
        ("2:words:30 watches", (2.0, Words("30 watches"))),
        ("2.0:30 watches", (2.0, Words("30 watches"))),
        ("2:@7", (2.0, ItemRef("7"))),
        ("12: watch", (12.0, Words(" watch"))),
    ],
)
def test_words_that_begin_like_a_time_have_no_weight(argument: str, meaning: object) -> None:
    assert _read([argument]) == [[meaning]]


@pytest.mark.parametrize("name", sorted(FILES))
def test_a_file_that_exists_is_that_file_whatever_its_name_means(name: str) -> None:
    assert _read([name]) == [[(1.0, name)]]


@pytest.mark.parametrize(
    ("argument", "meaning"),
    [
        ("words:a.jpg", Words("a.jpg")),  # words, though a file of that name exists
        ("words:@home", Words("@home")),
        ("words:words:red", Words("words:red")),
        ("./@2024", "./@2024"),  # a path with a slash is a path
        ("./1:x", "./1:x"),
        ("./red", "./red"),
    ],
)
def test_every_meaning_can_be_written_in_spite_of_files(argument: str, meaning: object) -> None:
    assert _read([argument]) == [[(1.0, meaning)]]


@pytest.mark.parametrize(
    ("arguments", "meaning"),
    [
        (["-"], [[(1.0, STDIN)]]),
        (["a.jpg", "-"], [[(1.0, "a.jpg")], [(1.0, STDIN)]]),
        (["-", "a.jpg"], [[(1.0, STDIN)], [(1.0, "a.jpg")]]),
        (["-", "+", "a.jpg"], [[(1.0, STDIN), (1.0, "a.jpg")]]),
        (["a.jpg", "-", "-"], [[(1.0, "a.jpg"), (-1.0, STDIN)]]),
        (["a.jpg", "+", "-", "b.jpg"], [[(1.0, "a.jpg"), (1.0, STDIN)], [(1.0, "b.jpg")]]),
        (["a.jpg", "-", "+", "b.jpg"], [[(1.0, "a.jpg")], [(1.0, STDIN), (1.0, "b.jpg")]]),
    ],
)
def test_a_minus_that_joins_nothing_is_standard_input(
    arguments: list[str], meaning: object
) -> None:
    assert _read(arguments) == meaning


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["+", "a.jpg"], "nothing before"),
        (["a.jpg", "+", "+", "b.jpg"], "nothing before"),
        (["a.jpg", "+"], "nothing after"),
        (["0:a.jpg"], "weight of '0:a.jpg' must be above 0"),
        (["1001:x.jpg"], "at most 1000"),
        (["@"], "needs the id"),
        ([""], "'' contains no words; give a text or a file"),
        (["2: "], "' ' contains no words; give a text or a file"),
        (["words:"], "no words"),
        (["words:  "], "no words"),
        (["red \udcff"], "no words"),
    ],
)
def test_what_means_nothing_is_refused(arguments: list[str], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        _read(arguments)


@pytest.mark.parametrize(
    "text", ["red leather bag", "t-shirt", "size 2.5", "St. Pauli", "50% off", "röd väska", "C++"]
)
def test_text_without_a_slash_or_a_suffix_is_words(text: str) -> None:
    assert named_source(text, is_file=lambda _: False) == Words(text)


@pytest.mark.parametrize(
    "text", ["q.jpg", "q.JPEG", "photos/q", "~me", "a\\b", "https://x.example/a", "list.txt"]
)
def test_text_that_looks_like_a_path_is_a_path(text: str) -> None:
    assert named_source(text, is_file=lambda _: False) == text


def test_a_folder_is_no_file_and_a_path_is_never_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bag").mkdir()
    (tmp_path / "mug").write_bytes(b"")
    (tmp_path / "gone").symlink_to("nowhere")
    assert named_source("bag") == Words("bag")
    assert named_source("mug") == "mug"
    assert named_source("gone") == "gone"
    assert named_source(Path("bag")) == Path("bag")
    query = named_query(Query((QueryPart(source="bag", weight=-2.0),)))
    assert (query.parts[0].source, query.parts[0].weight) == (Words("bag"), -2.0)


@given(st.lists(st.sampled_from(["a.jpg", "red shoe", "@x", "+", "-", "2:mug", "0:x", "@", ""])))
def test_arguments_are_parsed_or_refused_and_never_lost(arguments: list[str]) -> None:
    try:
        parsed = parse_queries(arguments, is_file=FILES.__contains__)
    except ValueError:
        return
    assert " ".join(one.text for one in parsed).split() == " ".join(arguments).split()
    assert all(one.query.parts for one in parsed)


@given(st.floats(0.01, 1000), st.text(min_size=1))
def test_a_weight_before_words_is_read_back(weight: float, text: str) -> None:
    argument = f"{weight:.4f}:words:{text}"
    try:
        part = parse_part(argument, sign=-1, is_file=lambda _: False)
    except ValueError:
        assert not text.strip()
        return
    assert part.source == Words(text)
    assert part.weight == pytest.approx(-weight, abs=1e-4)


# --- a whole query in one argument ---------------------------------------------------------------

SPACED = {"a.jpg", "b.jpg", "my red bag.jpg", "a + b.jpg", "c - d", "1:x.jpg", "e#0,0,1,1"}


def _read_spaced(*arguments: str) -> list[list[tuple[float, Any]]]:
    parsed = parse_queries(arguments, is_file=SPACED.__contains__)
    return [[(part.weight, part.source) for part in one.query.parts] for one in parsed]


@pytest.mark.parametrize(
    ("argument", "meaning"),
    [
        (
            "a.jpg + 0.5:b.jpg - @2024/cat.jpg",
            [(1.0, "a.jpg"), (0.5, "b.jpg"), (-1.0, ItemRef("2024/cat.jpg"))],
        ),
        ("my red bag.jpg + in blue", [(1.0, "my red bag.jpg"), (1.0, Words("in blue"))]),
        ("red bag - 2:a.jpg", [(1.0, Words("red bag")), (-2.0, "a.jpg")]),
        ("a + b.jpg", [(1.0, "a + b.jpg")]),  # one file
        ("a + b.jpg + a.jpg", [(1.0, "a + b.jpg"), (1.0, "a.jpg")]),
        ("a.jpg - 2:a + b.jpg", [(1.0, "a.jpg"), (-2.0, "a + b.jpg")]),
        ("c - d - a.jpg", [(1.0, "c - d"), (-1.0, "a.jpg")]),
        ("2:1:x.jpg + 1:x.jpg", [(2.0, "1:x.jpg"), (1.0, "1:x.jpg")]),
        ("gone.jpg - b.jpg", [(1.0, "gone.jpg"), (-1.0, "b.jpg")]),
        ("words:red + words:C++", [(1.0, Words("red + words:C++"))]),
        ("red + words:C++", [(1.0, Words("red")), (1.0, Words("C++"))]),
        ("vector:v.json - q.npy", [(1.0, VectorFile("v.json")), (-1.0, VectorFile("q.npy"))]),
    ],
)
def test_an_argument_may_hold_a_whole_query(argument: str, meaning: object) -> None:
    assert _read_spaced(argument) == [meaning]


@pytest.mark.parametrize(
    "text", ["Nike Men - Blue Shoe", "salt + pepper", "a-b", "3 + 4 - 5", "node.js - the book"]
)
def test_a_dash_in_words_is_no_operator(text: str) -> None:
    assert _read_spaced(text) == [[(1.0, Words(text))]]


def test_queries_in_one_argument_and_in_several_can_be_joined() -> None:
    assert _read_spaced("a.jpg + b.jpg", "-", "c - d", "a.jpg") == [
        [(1.0, "a.jpg"), (1.0, "b.jpg"), (-1.0, "c - d")],
        [(1.0, "a.jpg")],
    ]


@given(st.lists(st.sampled_from(sorted(SPACED)), min_size=1, max_size=4), st.data())
def test_files_of_any_name_are_found_between_operators(names: list[str], data: Any) -> None:  # noqa: ANN401
    signs = [data.draw(st.sampled_from("+-")) for _ in names[1:]]
    text = names[0] + "".join(f" {sign} {one}" for sign, one in zip(signs, names[1:], strict=True))
    read = _read_spaced(text)
    assert len(read) == 1
    joined = [str(source) for _, source in read[0]]
    # Two names beside each other may be that of a third file.
    assert joined == names or len(joined) < len(names)


# --- crops and vectors ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("argument", "source", "weight", "crop"),
    [
        ("a.jpg#0.2,0.1,0.6,0.9", "a.jpg", 1.0, (0.2, 0.1, 0.6, 0.9)),
        ("0.5:@cat#0,0,.5,1", ItemRef("cat"), 0.5, (0.0, 0.0, 0.5, 1.0)),
        ("-#0,0,1,0.5", STDIN, 1.0, (0.0, 0.0, 1.0, 0.5)),
        ("e#0,0,1,1", "e#0,0,1,1", 1.0, None),  # a file
        ("color #1,2,3,4", Words("color #1,2,3,4"), 1.0, None),
        ("a.jpg#1", Words("a.jpg#1"), 1.0, None),
    ],
)
def test_a_part_may_have_a_crop(argument: str, source: object, weight: float, crop: object) -> None:
    part = parse_part(argument, is_file=SPACED.__contains__)
    assert (part.source, part.weight, part.crop) == (source, weight, crop)


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("a.jpg#0.6,0,0.2,1", "a.jpg#0.6,0,0.2,1: a part of an image is"),
        ("a.jpg#0,0,2,1", "from 0 to 1"),
        ("vector:", "'vector:' needs a file"),
    ],
)
def test_crops_out_of_range_and_nameless_vectors_are_refused(argument: str, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        parse_part(argument, is_file=SPACED.__contains__)
