"""Wrong types and misspelt names of arguments give messages that say what is wanted."""

import inspect
import io
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any, Literal, TypedDict, Unpack

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import lookalike
from lookalike import SearchOptions, categories, evaluation, export, neighbours
from lookalike.core.arguments import checked


class _More(TypedDict, total=False):
    label: str | None


@checked
def place(
    name: str,
    count: int = 1,
    *,
    share: float = 0.5,
    kind: Literal["big", "small"] = "big",
    ids: Sequence[str] = (),
    to: "Path | str | None" = None,
    done: Callable[[int], None] | None = None,
    odd: "NotThere | None" = None,  # type: ignore[name-defined]  # noqa: F821 - for type checkers
    **more: Unpack[_More],
) -> Mapping[str, object]:
    return locals()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": 3}, "name is 3, but must be text"),
        ({"name": "a", "count": "3"}, "count is '3', but must be a whole number"),
        ({"name": "a", "count": True}, "count is True, but must be a whole number"),
        ({"name": "a", "count": 2.0}, "count is 2.0, but must be a whole number"),
        ({"name": "a", "share": "half"}, "share is 'half', but must be a number"),
        ({"name": "a", "ids": "one"}, "must be a list of texts; give ['one'] for one"),
        ({"name": "a", "ids": ["one", 2]}, "ids has 2 in it, but must be a list of texts"),
        ({"name": "a", "to": 3}, "to is 3, but must be a Path, text or None"),
        ({"name": "a", "done": "yes"}, "done is 'yes', but must be a function or None"),
        ({"name": "a", "label": 3}, "label is 3, but must be text or None"),
        ({"name": "a", "sare": 1}, "place has no argument 'sare'; did you mean 'share'?"),
        ({"name": "a", "zzz": 1}, "place has no argument 'zzz'; it has name, count, share"),
        ({"name": np.zeros((2, 3))}, "name is an array of shape (2, 3), but must be text"),
        ({"name": "x" * 900, "count": "y" * 900}, "count is 'yyyy"),
    ],
)
def test_a_wrong_argument_is_named_with_what_is_wanted(
    arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(TypeError, match=re.escape(message)) as caught:
        place(**arguments)
    assert len(str(caught.value)) < 200


def test_a_wrong_choice_is_a_value_error() -> None:
    with pytest.raises(ValueError, match="kind is 'tiny', but must be 'big' or 'small'"):
        place("a", kind="tiny")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="kind is 3, but must be 'big' or 'small'"):
        place("a", kind=3)  # type: ignore[arg-type]


def test_what_is_right_is_passed_on_unchanged() -> None:
    where = Path("here")
    count: Any = np.int64(3)
    found = place(
        "a", count, share=1, kind="small", ids=["b"], to=where, odd="anything", label=None
    )
    assert (found["count"], found["share"], found["to"]) == (3, 1, where)
    assert found["odd"] == "anything"  # its type cannot be known here
    assert found["more"] == {"label": None}


@given(st.integers(), st.floats(allow_nan=False), st.lists(st.text()))
def test_any_value_of_the_right_type_is_taken(count: int, share: float, ids: list[str]) -> None:
    found = place("a", count, share=share, ids=ids)
    assert (found["count"], found["share"], found["ids"]) == (count, share, ids)


def _public_functions() -> Iterator[tuple[str, Callable[..., object]]]:
    """Yield what users call: public functions, and the methods of collections."""
    for name in lookalike.__all__:
        one = getattr(lookalike, name)
        if isinstance(one, ModuleType) and hasattr(one, "__all__"):
            for inner in one.__all__:
                function = getattr(one, inner)
                if isinstance(function, FunctionType):
                    yield f"{name}.{inner}", function
        elif isinstance(one, FunctionType):
            yield name, one
    for cls in (lookalike.Collection, lookalike.RemoteCollection):
        for inner, function in inspect.getmembers(cls, inspect.isfunction):
            if not inner.startswith("_"):
                yield f"{cls.__name__}.{inner}", function


# Pure functions of arrays and records, which others call with what they have computed.
_COMPUTE = {
    "calibration.compute_thresholds",
    "calibration.estimate_chance",
    "categories.choose_scope",
    "contact_sheet.contact_sheet",
    "evaluation.class_of",
    "evaluation.interval",
    "evaluation.measures",
    "export.column",
    "export.format_of",
    "copying.describe_differences",
    "filters.all_of",
    "filters.matches",
    "filters.parse",
    "filters.to_condition",
    "filters.value_of",
    "migrating.is_version",
    "migrating.pair_items",
    "migrating.version_name",
}


def test_every_public_function_checks_its_arguments() -> None:
    functions = dict(_public_functions())
    assert len(functions) > 80
    unchecked = {name for name, one in functions.items() if not hasattr(one, "checks_arguments")}
    assert unchecked - _COMPUTE == set()


@pytest.fixture
def shop(tmp_path: Path, card: Path, paint: Callable[[Path, int], Path]) -> lookalike.Collection:
    for number in range(3):
        paint(tmp_path / "images" / f"{number}.png", number)
    shop = lookalike.open(tmp_path / "shop", encoder=card, create=True)
    shop.index(tmp_path / "images")
    return shop


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda shop: shop.search(12), "the query is 12, but must be an image (a path, bytes"),
        (lambda shop: shop.search(shop.get("0.png")), "search with lookalike.ItemRef('0.png')"),
        (lambda shop: shop.encode({}), "the query is a dict, but must be an image"),
        (lambda shop: shop.search("a.png", wher="x"), "no argument 'wher'; did you mean 'where'?"),
        (lambda _: SearchOptions(per_grup=True), "did you mean 'per_group'?"),  # type: ignore[call-arg]
        (lambda shop: shop.similar(["0.png"]), "id is a list, but must be text"),
        (lambda shop: shop.similar("0.png", k="5"), "k is '5', but must be a whole number"),
        (lambda shop: shop.similar("0.png", min_score="a"), "min_score is 'a', but must be from"),
        (lambda shop: shop.similar("0.png", where=3), "where is 3, but must be text such as"),
        (
            lambda shop: shop.similar("0.png", exact="no"),
            "exact is 'no', but must be True",
        ),
        (lambda shop: shop.similar("0.png", category=3), "category is 3, but must be text"),
        (lambda shop: shop.search(b"", crop=(0, 1)), "crop is (0, 1), but must be (left, top"),
        (lambda shop: shop.index(3), "source is 3, but must be a path"),
        (lambda shop: shop.index(".", options={}), "options is a dict, but must be a ScanOptions"),
        (lambda shop: shop.edit("0.png", lable="x"), "did you mean 'label'?"),
        (lambda shop: shop.sample("3"), "k is '3', but must be a whole number"),
        (lambda _: evaluation.evaluate("shop"), "collection is 'shop', but must be an open"),  # type: ignore[arg-type]
        (lambda shop: neighbours.build(shop, k="3"), "k is '3', but must be a whole number"),  # type: ignore[arg-type]
        (lambda shop: categories.train(shop, bye="label"), "no argument 'bye'"),  # type: ignore[call-arg]
        (lambda _: lookalike.open("shop", creat=True), "open has no argument 'creat'; did you"),  # type: ignore[call-arg]
    ],
)
def test_what_users_call_says_what_it_wants(
    shop: lookalike.Collection,
    tmp_path: Path,
    call: Callable[[lookalike.Collection], object],
    message: str,
) -> None:
    with shop, pytest.raises(TypeError, match=re.escape(message)):
        call(shop)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["images", "shop"]


def test_a_score_in_per_cent_is_explained(shop: lookalike.Collection) -> None:
    with shop, pytest.raises(ValueError, match=r"from -1 to 1; 80 % is 0\.8"):
        shop.similar("0.png", min_score=80)


def test_numbers_of_numpy_and_vectors_as_lists_are_taken(shop: lookalike.Collection) -> None:
    with shop:
        vector = shop.vectors(["0.png"])[0]
        numbers: dict[str, Any] = {"k": np.int64(1), "min_score": np.float32(0.5)}
        found = shop.search(vector.tolist(), **numbers)
        assert [hit.item.id for hit in found] == ["0.png"]


def test_a_stream_is_taken_where_a_file_is_written(shop: lookalike.Collection) -> None:
    stream = io.StringIO()
    with shop:
        export.export(shop, stream, format="csv")
    assert stream.getvalue().startswith("id,file")


def test_a_missing_collection_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(lookalike.errors.CollectionNotFoundError, match="there is no collection"):
        lookalike.open(tmp_path / "nothing")
    assert not (tmp_path / "nothing").exists()
