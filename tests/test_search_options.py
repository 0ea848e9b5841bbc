"""Every way in has the same search options and gives the same results."""

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeAlias, get_type_hints

import click
import numpy as np
import pytest

import lookalike
from contracts.collection import stock
from live import Live, serving
from lookalike import ItemRef, Query, QueryPart, SearchOptions
from lookalike.analysis import categories
from lookalike.cli.search import search_command, similar_command
from lookalike.client import RemoteCollection, connect
from lookalike.search import SearchKeywords
from lookalike.service.schemas import Options

_Found: TypeAlias = dict[str, Any]
_Ask: TypeAlias = Callable[..., _Found]

NAMES = set(SearchOptions.names())

ASKED: list[dict[str, Any]] = [
    {},
    {"k": 3},
    {"k": 50},
    {"min_score": 0.9},
    {"min_score": 1.0},
    {"min_match": "strong"},
    {"where": "colour=red"},
    {"where": "colour=purple"},
    {"category": "mug"},
    {"category": "auto", "mass": 0.5},
    {"per_group": True},
    {"collapse": "exact"},
    {"collapse": "near", "k": 20},
    {"exact": True},
    {"include_self": True},
    {"include_blank": True},
    {"include_self": True, "collapse": "exact"},
    {"text_mode": "keywords"},
    {"mix": "best"},
    {"expand": 2},
    {"expand": 3, "where": "price<6", "k": 2},
    {"expand": 2, "category": "mug"},
    {"any_orientation": True},
    {"any_orientation": True, "k": 50, "expand": 2, "diversity": 0.2, "category": "auto"},
    {"diversity": 0.5},
    {"diversity": 1.0, "collapse": "near"},
    {"diversity": 0.3, "per_group": True, "expand": 1, "min_score": 0.1},
    {"per_group": True, "where": "price<6", "k": 2},
]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("options")


@pytest.fixture(scope="module")
def images(home: Path, card: Path, paint: Callable[[Path, int], Path]) -> Path:
    folder = stock(home, card, paint)
    with lookalike.open(home / "collections" / "shop") as shop:
        shop.label(["0.png", "copy.png", "similar.png"], "other")
    return folder


@pytest.fixture(scope="module")
def live(home: Path, images: Path) -> Iterator[Live]:
    assert images.is_dir()
    with serving(home) as live:
        yield live


def _document(results: lookalike.Results) -> _Found:
    return {
        "hits": [(hit.item.id, round(hit.score, 6)) for hit in results],
        "matches": [*results.matches],
        "left_out": [*results.left_out],
        "best": None if results.best is None else results.best.item.id,
        "notes": [note.code for note in results.notes],
        "used": None if results.category is None else [*results.category.scope.labels],
        "folded": results.folded,
        "orientations": results.orientations,
    }


def _read(found: _Found) -> _Found:
    calibrated = found["matches"] is not None
    return {
        "hits": [(hit["id"], hit["score"]) for hit in found["hits"]],
        "matches": [hit["match"] for hit in found["hits"]] if calibrated else [],
        "left_out": found["left_out"],
        "best": None if found["best"] is None else found["best"]["id"],
        "notes": [note["code"] for note in found["notes"]],
        "used": None if found["category"] is None else found["category"]["used"],
        "folded": {hit["id"]: hit["folded"] for hit in found["hits"]}
        if "folded" in found
        else None,
        "orientations": {hit["id"]: hit["orientation"] for hit in found["hits"]}
        if any("orientation" in hit for hit in found["hits"])
        else None,
    }


def _python(home: Path) -> _Ask:
    def ask(item_id: str, **options: Any) -> _Found:  # noqa: ANN401 - search options
        with lookalike.open(home / "collections" / "shop") as shop:
            return _document(shop.similar(item_id, **options))

    return ask


def _client(live: Live) -> _Ask:
    def ask(item_id: str, **options: Any) -> _Found:  # noqa: ANN401 - search options
        with connect(live.address, collection="shop") as shop:
            return _document(shop.similar(item_id, **options))

    return ask


def _command(home: Path) -> _Ask:
    def ask(item_id: str, **options: Any) -> _Found:  # noqa: ANN401 - search options
        arguments = []
        for name, value in options.items():
            flag = "-k" if name == "k" else f"--{name.replace('_', '-')}"
            arguments += (
                [flag]
                if value is True
                else [f"{flag}={value}"]
                if name != "k"
                else [
                    flag,
                    str(value),
                ]
            )
        place = str(home / "collections" / "shop")
        done = subprocess.run(
            [
                *(sys.executable, "-m", "lookalike", "similar", "-c", place),
                *(*arguments, "--json", item_id),
            ],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode in (0, 5), done.stderr
        return _read(json.loads(done.stdout))

    return ask


# --- the same names everywhere -----------------------------------------------------------------


def test_python_takes_every_option() -> None:
    assert set(get_type_hints(SearchKeywords, localns={"Match": str, "Collapse": str})) == NAMES


@pytest.mark.parametrize("command", [search_command, similar_command])
def test_the_command_line_has_every_option(command: click.Command) -> None:
    options = {one.name: one for one in command.params}
    assert options.keys() >= NAMES
    for name in NAMES - {"k"}:
        assert options[name].opts == [f"--{name.replace('_', '-')}"]
    for name in ("k", "category", "mass"):
        assert options[name].default == getattr(SearchOptions(), name)


def test_rest_has_every_option_with_its_default() -> None:
    assert Options.model_fields.keys() - {"label", "fields"} == NAMES
    assert Options().search_options() == SearchOptions()


def test_every_option_is_in_the_documents() -> None:
    text = (Path(__file__).parents[1] / "docs" / "service.md").read_text("utf-8")
    assert [name for name in NAMES if not re.search(rf"`{name}\b", text)] == []


# --- the same results everywhere ---------------------------------------------------------------


@pytest.mark.parametrize("options", ASKED, ids=str)
def test_every_way_in_gives_the_same_results(
    home: Path, live: Live, options: dict[str, Any]
) -> None:
    expected = _python(home)("mugs/1.png", **options)
    found = _client(live)("mugs/1.png", **options)
    # A service and the command line give levels to every result of a calibrated collection.
    for way in (found, _command(home)("mugs/1.png", **options)):
        if not expected["matches"]:
            way = {**way, "matches": []}  # noqa: PLW2901 - compared without them
        assert way == expected


def test_collapse_leaves_the_query_out_first_and_then_folds(home: Path, live: Live) -> None:
    """``copy.png`` is an exact duplicate of ``0.png``, which is the query: it is a result."""
    for ask in (_python(home), _client(live), _command(home)):
        found = ask("0.png", collapse="exact", k=2)
        assert found["left_out"] == ["0.png"]
        assert found["hits"][0][0] == "copy.png"


def test_parts_are_mixed_by_weight_in_python_and_over_http(
    home: Path, images: Path, live: Live
) -> None:
    query = Query(
        (
            QueryPart(source=images / "0.png"),
            QueryPart(source=ItemRef("mugs/1.png"), weight=0.5),
            QueryPart(source=ItemRef("similar.png"), weight=-0.25),
        )
    )
    with (
        lookalike.open(home / "collections" / "shop") as shop,
        connect(live.address, collection="shop") as remote,
    ):
        expected = shop.search(query, k=3, include_self=True)
        found = remote.search(query, k=3, include_self=True)
        assert [hit.item.id for hit in found] == [hit.item.id for hit in expected]
        assert [hit.score for hit in found] == pytest.approx(
            [hit.score for hit in expected], abs=1e-5
        )


def test_a_vector_is_a_query(home: Path, live: Live) -> None:
    with (
        lookalike.open(home / "collections" / "shop") as shop,
        connect(live.address, collection="shop") as remote,
    ):
        vector = shop.vectors(["0.png"])[0] * 7  # of any length but 0
        ways: list[lookalike.Collection | RemoteCollection] = [shop, remote]
        for way in ways:
            found = way.search(vector, k=2)
            assert {hit.item.id for hit in found} == {"0.png", "copy.png"}
            assert found[0].score == pytest.approx(1, abs=1e-3)
            with pytest.raises(ValueError, match=r"3 values, but embeddings here have \d+"):
                way.search(np.ones(3, dtype=np.float32))
        with pytest.raises(ValueError, match="value 1 of the vector is nan"):
            shop.search(vector * np.nan)


def test_a_crop_is_a_part_of_one_image(home: Path, images: Path, live: Live) -> None:
    crop = (0.0, 0.0, 0.5, 0.5)
    with (
        lookalike.open(home / "collections" / "shop") as shop,
        connect(live.address, collection="shop") as remote,
    ):
        expected = shop.search((images / "0.png").read_bytes(), crop=crop, k=3)
        for found in (
            remote.search(images / "0.png", crop=crop, k=3),
            remote.search(ItemRef("0.png"), crop=crop, k=3, include_self=True),
            shop.search(ItemRef("0.png"), crop=crop, k=3, include_self=True),
        ):
            assert [hit.item.id for hit in found] == [hit.item.id for hit in expected]
        with pytest.raises(ValueError, match="crop belongs to a query of one image"):
            shop.search([images / "0.png", ItemRef("0.png")], crop=crop)


def test_parts_that_cancel_out_ask_for_nothing(home: Path, live: Live) -> None:
    query = [
        QueryPart(source=ItemRef("0.png")),
        QueryPart(source=ItemRef("copy.png"), weight=-1.0),
    ]
    with (
        lookalike.open(home / "collections" / "shop") as shop,
        connect(live.address, collection="shop") as remote,
    ):
        ways: list[lookalike.Collection | RemoteCollection] = [shop, remote]
        for way in ways:
            with pytest.raises(ValueError, match="cancel"):
                way.search(query)
            with pytest.raises(ValueError, match=r"no parts|parts or positive"):
                way.search([])


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"k": 0}, "k is 0"),
        ({"k": True}, "k is True"),
        ({"k": 2.5}, "k is 2.5"),
        ({"min_score": 80}, "min_score is 80"),
        ({"min_match": "good"}, "min_match is 'good'"),
        ({"mass": 0}, "mass is 0"),
        ({"collapse": "all"}, "collapse is 'all'"),
        ({"expand": -1}, "expand is -1, but must be a whole number from 0 to 100"),
        ({"expand": 101}, "expand is 101"),
        ({"diversity": 1.5}, "diversity is 1.5, but must be from 0 to 1"),
        ({"diversity": 0.5, "k": 1001}, "diversity needs k of at most 1000, but k is 1001"),
        ({"mix": "worst"}, "mix is 'worst', but must be mean or best"),
    ],
)
def test_options_out_of_range_are_refused(option: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        SearchOptions(**option)


def test_the_categories_module_searches_as_the_option_does(home: Path) -> None:
    with lookalike.open(home / "collections" / "shop") as shop:
        found = categories.search(shop, ItemRef("mugs/1.png"), category="mug", k=3)
        assert _document(found.results) == _document(
            shop.similar("mugs/1.png", category="mug", k=3)
        )


def test_the_client_sends_filters_as_text(live: Live) -> None:
    with connect(live.address, collection="shop") as remote:
        assert isinstance(remote, RemoteCollection)
        condition = lookalike.SearchOptions(where="label=mug").condition
        with pytest.raises(ValueError, match="takes a filter as text"):
            remote.similar("0.png", where=condition)


def test_an_item_has_no_vote_on_its_own_category(
    tmp_path: Path, card: Path, paint: Callable[[Path, int], Path]
) -> None:
    for number in range(4):
        paint(tmp_path / "images" / f"{number}.png", number)
    with lookalike.open(tmp_path / "shop", encoder=card, create=True) as shop:
        shop.index(tmp_path / "images")
        shop.label(["0.png"], "unique")
        shop.label(["1.png", "2.png", "3.png"], "mug")
        for found in (
            shop.similar("0.png", category="auto"),
            shop.search(tmp_path / "images" / "0.png", category="auto"),
        ):
            assert found.category is not None
            assert [one.label for one in found.category.predictions] == ["mug"]
