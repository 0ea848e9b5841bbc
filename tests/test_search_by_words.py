"""Searching by words, alone and mixed with images, in every way in."""

import json
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

import lookalike
from contracts.collection import Shop
from live import Live, serving
from lookalike import ItemRef, QueryPart, Words
from lookalike.cli import cli
from lookalike.client import connect
from lookalike.core.protocols import Prepared
from lookalike.core.vectors import Matrix, unit_rows
from lookalike.errors import WordsError
from networks import tiny_card
from two_towers import COLOURS, two_tower_card

if TYPE_CHECKING:
    from lookalike.search import QueryLike


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with ``shop``, whose encoder has words, and ``mute``, whose encoder has none."""
    home = tmp_path_factory.mktemp("words")
    for name, colour in COLOURS.items():
        (home / "images").mkdir(exist_ok=True)
        Image.new("RGB", (40, 30), colour).save(home / "images" / f"{name}.png")
    card = two_tower_card(home / "card", words='cleaning = "clip"')
    for collection, one in (("shop", card), ("mute", tiny_card(home / "tiny"))):
        place = home / "collections" / collection
        with lookalike.open(place, encoder=one, create=True) as made:
            made.index(home / "images")
    return home


@pytest.fixture
def images(home: Path) -> Path:
    return home / "images"


@pytest.fixture(scope="module")
def live(home: Path) -> Iterator[Live]:
    with serving(home) as live:
        yield live


@pytest.fixture(params=["here", "served"])
def shop(request: pytest.FixtureRequest, home: Path, live: Live) -> Iterator[Shop]:
    if request.param == "here":
        with lookalike.open(home / "collections" / "shop") as shop:
            yield shop
    else:
        with connect(live.address, collection="shop") as remote:
            yield remote


@pytest.fixture
def run(home: Path, images: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Run ``lookalike search`` in the folder of the images."""
    monkeypatch.chdir(images)

    def run(*arguments: str, collection: str = "shop", **more: Any) -> Result:  # noqa: ANN401
        place = str(home / "collections" / collection)
        return CliRunner().invoke(cli, ["search", "-c", place, *arguments], **more)

    return run


def _ids(found: lookalike.Results) -> list[str]:
    return [hit.item.id for hit in found]


# -- Python, here and through a service -----------------------------------------------------------


def test_words_find_the_images_that_they_describe(shop: Shop) -> None:
    for colour in COLOURS:
        for query in (f"Something {colour}", Words(colour), [Words(colour)]):
            found = shop.search(query)
            assert _ids(found)[0] == f"{colour}.png"
            assert 0.3 < found[0].score < 0.8  # words are never as near as an image
            assert found[1].score < 0
            assert found.left_out == ()


def test_words_and_images_are_mixed_by_weight(shop: Shop, images: Path) -> None:
    green = QueryPart(source=images / "green.png")
    less_green = QueryPart(source="the green", weight=-1.0)
    found = shop.search([green, QueryPart(source="the red"), less_green], include_self=True)
    assert _ids(found)[0] == "red.png"
    more = shop.search([green, QueryPart(source="the red", weight=4.0)], include_self=True)
    assert _ids(more)[:2] == ["red.png", "green.png"]
    less = shop.search([green, QueryPart(source="the red", weight=0.5)], include_self=True)
    assert _ids(less)[:2] == ["green.png", "red.png"]
    assert _ids(shop.search([ItemRef("blue.png"), Words("red")], k=1)) == ["red.png"]


def test_an_existing_file_is_an_image_whatever_it_is_called(
    shop: Shop, images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "red").write_bytes((images / "blue.png").read_bytes())
    monkeypatch.chdir(tmp_path)
    assert _ids(shop.search("red", k=1)) == ["blue.png"]
    assert _ids(shop.search(Words("red"), k=1)) == ["red.png"]


def test_match_levels_are_not_for_words(shop: Shop, images: Path) -> None:
    queries: list[QueryLike] = [Words("red"), [images / "red.png", Words("red")]]
    for query in queries:
        with pytest.raises(WordsError, match="use min_score instead of min_match"):
            shop.search(query, min_match="fair")
        found = shop.search(query)
        assert (found.matches, found.scale) == ((), None)
    assert len(shop.search(Words("red"), min_score=0.2)) == 1


def test_words_have_no_crop(shop: Shop) -> None:
    with pytest.raises(ValueError, match="a crop needs an image"):
        shop.search("light blue", crop=(0, 0, 0.5, 0.5))


def test_what_a_collection_says_of_words(home: Path, live: Live) -> None:
    for name, expected in (("shop", True), ("mute", False)):
        with lookalike.open(home / "collections" / name) as here:
            assert here.supports_words is expected
            assert here.info().words is expected
        with connect(live.address, collection=name) as remote:
            assert remote.info().words is remote.supports_words is expected
    listed = live.client.get("/v1/collections").json()["collections"]
    assert {one["name"]: one["words"] for one in listed} == {"mute": False, "shop": True}


def test_an_encoder_without_words_says_so(home: Path, live: Live) -> None:
    with (
        lookalike.open(home / "collections" / "mute") as here,
        connect(live.address, collection="mute") as remote,
    ):
        ways: list[Shop] = [here, remote]
        for way in ways:
            with pytest.raises(WordsError, match=r"red: the encoder tiny does not support search"):
                way.search(Words("red"), text_mode="encoder")
        with pytest.raises(WordsError, match="no such file, and the encoder tiny does not"):
            here.search("red", text_mode="encoder")


# -- in one process ------------------------------------------------------------------------------


def test_words_are_encoded_once_for_several_searches(home: Path) -> None:
    with lookalike.open(home / "collections" / "shop") as shop:
        once = shop.encode(Words("blue"))
        assert once.words == Words("blue")
        assert _ids(shop.search(once, k=1)) == ["blue.png"]
        with pytest.raises(WordsError, match="min_match"):
            shop.search(once, min_match="weak")
        with pytest.raises(ValueError, match="a crop needs an image"):
            shop.encode(Words("blue"), crop=(0, 0, 0.5, 0.5))


def test_words_alone_open_no_image_encoder(home: Path) -> None:
    def opening() -> int:
        return sum(one.name == "lookalike-open" for one in threading.enumerate())

    with lookalike.open(home / "collections" / "shop") as shop:
        (home / "card" / "vision_model.onnx").rename(home / "card" / "away.onnx")
        try:
            assert _ids(shop.search(Words("red"), k=1)) == ["red.png"]
        finally:
            (home / "card" / "away.onnx").rename(home / "card" / "vision_model.onnx")
        assert opening() == 0
        assert _ids(shop.search(home / "images" / "red.png", include_self=True))[0] == "red.png"


def test_one_model_with_both_halves_searches_by_both(home: Path, tmp_path: Path) -> None:
    card = two_tower_card(tmp_path / "card", files="one")
    with lookalike.open(tmp_path / "shop", encoder=card, create=True) as shop:
        assert shop.index(home / "images").indexed == 3
        assert _ids(shop.search([Words("the green")], k=1)) == ["green.png"]


def test_words_are_projected_with_the_images(tmp_path: Path) -> None:
    """The images are mostly red, so their mean is far from that of texts."""
    rng = np.random.default_rng(0)
    colours = rng.integers(0, 256, (120, 3))
    colours[:, 0] = np.maximum(colours[:, 0], 150)
    (tmp_path / "images").mkdir()
    for number, colour in enumerate(colours):
        place = tmp_path / "images" / f"{number:03}.png"
        Image.new("RGB", (8, 8), tuple(colour.tolist())).save(place)
    card = two_tower_card(tmp_path / "card")
    with (
        lookalike.open(tmp_path / "plain", encoder=card, create=True) as plain,
        lookalike.open(tmp_path / "projected", encoder=card, create=True) as projected,
    ):
        plain.index(tmp_path / "images", dim="off")
        projected.index(tmp_path / "images", dim=3)
        assert projected.info().words
        assert projected.encode(Words("the red")).vector.shape == (3,)
        for name in COLOURS:
            wanted = np.array(COLOURS[name]) / 127.5 - 1
            best = (colours / 127.5 - 1) @ wanted
            for shop in (plain, projected):
                found = [int(one[:3]) for one in _ids(shop.search(Words(name), k=10))]
                assert np.sort(best)[-40] <= best[found].min()
        near = ItemRef(_ids(plain.search(Words("blue"), k=1))[0])
        less = projected.search([near, Words("blue"), QueryPart(source=Words("red"), weight=-1)])
        assert colours[[int(one[:3]) for one in _ids(less)], 2].min() > 150


class _Colours:
    """An encoder of a user's own that knows words too."""

    name = "colours"
    fingerprint = "colours:1"
    dim = 3
    decode_size = None

    def prepare(self, image: Image.Image, /) -> Prepared:
        return np.asarray(image.resize((4, 4)), dtype=np.uint8)

    def encode(self, batch: Sequence[Prepared], /) -> Matrix:
        return unit_rows(np.array([one.mean(axis=(0, 1)) + 1 for one in batch]).reshape(-1, 3))

    def encode_words(self, texts: Sequence[str], /) -> Matrix:
        return unit_rows(np.array([np.array(COLOURS[text]) + 1.0 for text in texts]))


def test_an_encoder_of_ones_own_may_know_words(home: Path, tmp_path: Path) -> None:
    with lookalike.open(tmp_path / "own", encoder=_Colours(), create=True) as shop:
        assert shop.search(Words("red")).notes[0].code == "empty-collection"
        shop.index(home / "images")
        assert shop.info().words
        assert _ids(shop.search("blue", k=1)) == ["blue.png"]


# -- the command line ----------------------------------------------------------------------------


def test_the_command_line_searches_by_words(run: Callable[..., Result]) -> None:
    done = run("something red", "--json", "-k", "1")
    found = json.loads(done.stdout)
    assert (done.exit_code, found["query"]) == (0, {"text": "something red"})
    assert [hit["id"] for hit in found["hits"]] == ["red.png"]
    assert run("words:green", "--paths", "-k", "1").stdout.endswith("green.png\n")


def test_the_command_line_mixes_images_and_words(run: Callable[..., Result]) -> None:
    done = run("green.png", "+", "red", "-", "words:green", "--json", "--include-self")
    found = json.loads(done.stdout)
    assert found["hits"][0]["id"] == "red.png"
    assert found["query"] == {
        "parts": [
            {"path": "green.png", "weight": 1.0},
            {"text": "red", "weight": 1.0},
            {"text": "green", "weight": -1.0},
        ]
    }
    first = run("@green.png", "+", "4:red", "--paths").stdout.splitlines()[0]
    assert first.endswith("red.png")
    liked = run("@green.png", "--positive", "9:red", "--paths").stdout.splitlines()[0]
    assert liked.endswith("red.png")


def test_an_image_from_standard_input_is_a_part(run: Callable[..., Result], images: Path) -> None:
    data = (images / "blue.png").read_bytes()
    done = run("-", "+", "0.1:red", "--paths", "-k", "1", input=data)
    assert done.stdout.endswith("blue.png\n")


def test_images_and_items_are_joined_with_crops(run: Callable[..., Result]) -> None:
    done = run("--json", "--crop", "0,0,.5,1", "2:red.png", "-", ".5:@blue.png")
    assert json.loads(done.stdout)["query"] == {
        "parts": [
            {"path": "red.png", "crop": [0.0, 0.0, 0.5, 1.0], "weight": 2.0},
            {"id": "blue.png", "weight": -0.5},
        ]
    }


def test_a_sheet_of_words_has_no_query_image(run: Callable[..., Result], tmp_path: Path) -> None:
    for name, query in (("words.png", ["something red"]), ("image.png", ["@red.png", "+", "red"])):
        done = run(*query, "--sheet", str(tmp_path / name))
        assert done.exit_code == 0, done.stderr
    with Image.open(tmp_path / "words.png") as words, Image.open(tmp_path / "image.png") as image:
        assert words.width < image.width


def test_a_query_that_fails_leaves_the_others(run: Callable[..., Result]) -> None:
    done = run("--json", "--text-mode=encoder", "in red", "red.png", collection="mute")
    words, image = json.loads(done.stdout)
    assert done.exit_code == 3
    assert words["query"] == {"text": "in red"}
    assert words["error"]["code"] == "unusable-words"
    assert (image["query"], image["error"]) == ({"path": "red.png"}, None)


def test_words_that_look_like_a_missing_file_are_told_how_to_be_words(
    run: Callable[..., Result],
) -> None:
    done = run("red and/or blue")
    assert done.exit_code == 1
    assert "no such file; to search by words, write 'words:red and/or blue'" in done.stderr
    assert run("words:red and/or blue").exit_code == 0
    for text in ("node.js", "black/white dress", "black/white"):
        assert f"write 'words:{text}'" in run(text).stderr
    for path in ("my images/red.png", "./images", "/images/red"):
        assert "words:" not in run(path).stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["red.png", "-", "red.png"], "cancel each other out"),
        (["--crop", "0,0,.5,1", "in red"], "--crop needs an image"),
        (["red.png", "+"], "nothing after the last one"),
        (["--positive", "0:red", "red.png"], "must be above 0"),
    ],
)
def test_a_query_that_means_nothing_is_wrong_usage(
    run: Callable[..., Result], arguments: list[str], message: str
) -> None:
    done = run(*arguments)
    assert done.exit_code == 2
    assert message in done.stderr


def test_info_says_whether_words_are_supported(home: Path) -> None:
    for name, text in (
        ("shop", "by meaning, labels and keywords"),
        ("mute", "by labels and keywords (the encoder has no text encoder)"),
    ):
        place = str(home / "collections" / name)
        done = CliRunner().invoke(cli, ["info", "-c", place])
        assert f"words\t{text}\n" in done.stdout
        done = CliRunner().invoke(cli, ["info", "-c", place, "--json"])
        assert json.loads(done.stdout)["words"] is (name == "shop")


# -- REST ----------------------------------------------------------------------------------------


def _search(live: Live, *, collection: str = "shop", **request: Any) -> dict[str, Any]:  # noqa: ANN401
    response = live.client.post(f"/v1/collections/{collection}/search", **request)
    found: dict[str, Any] = response.json()
    return found


def test_rest_takes_text_in_every_form(live: Live, images: Path) -> None:
    image = (images / "green.png").read_bytes()
    alone: list[dict[str, Any]] = [
        {"json": {"text": "the red"}},
        {"params": {"text": "the red"}},
        {"files": {"text": (None, "the red")}},
    ]
    for request in alone:
        found = _search(live, **request)
        assert found["query"] == {"text": "the red"}
        assert found["hits"][0]["id"] == "red.png"
    beside: list[dict[str, Any]] = [
        {"json": {"id": "green.png", "text": "red", "weight": 0.1}},
        {"data": {"text": "red", "weight": "0.1"}, "files": {"image": ("g.png", image)}},
    ]
    for request in beside:
        found = _search(live, **request)
        assert [part.get("text") for part in found["query"]["parts"]] == [None, "red"]
        assert found["hits"][0]["id"] == "red.png"
    found = _search(
        live,
        json={
            "parts": [{"text": "red"}, {"text": "green", "weight": -1}],
            "negative": [{"text": "blue"}],
        },
    )
    assert found["hits"][0]["id"] == "red.png"
    batch = live.client.post(
        "/v1/collections/shop/search/batch", json={"queries": [{"text": one} for one in COLOURS]}
    ).json()
    assert [one["hits"][0]["id"] for one in batch["results"]] == [f"{one}.png" for one in COLOURS]


@pytest.mark.parametrize(
    ("document", "code"),
    [
        ({"text": " "}, "invalid-request"),
        ({"text": "x" * 4001}, "invalid-request"),
        ({"text": "red", "parts": [{"text": "blue"}]}, "two-queries"),
        ({"parts": [{"text": "blue", "id": "red.png"}]}, "invalid-request"),
        ({"text": "red", "crop": [0, 0, 0.5, 0.5]}, "nothing-asked"),
        ({"text": "red", "min_match": "fair"}, "unusable-words"),
        ({"parts": [{"text": "red"}, {"text": "red", "weight": -1}]}, "nothing-asked"),
    ],
)
def test_rest_refuses_text_that_cannot_be_searched(
    live: Live, document: dict[str, Any], code: str
) -> None:
    found = _search(live, json=document)
    assert (found["status"], found["code"]) == (422, code)


def test_rest_says_that_an_encoder_has_no_words(live: Live) -> None:
    found = _search(live, collection="mute", json={"text": "red", "text_mode": "encoder"})
    assert (found["status"], found["code"]) == (422, "unusable-words")
    assert found["detail"] == "red: the encoder tiny does not support search by words"
