"""Turned and mirrored queries: the best of eight orientations, and which one it was."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

import lookalike
from contracts.collection import stock
from live import serving
from lookalike import Collection, ItemRef, RemoteCollection, Words
from lookalike.errors import UnreadableImageError
from lookalike.images.turning import ORIENTATIONS, Orientation, turn

Ways = list[Collection | RemoteCollection]


@pytest.fixture(scope="module")
def home(
    tmp_path_factory: pytest.TempPathFactory, card: Path, paint: Callable[[Path, int], Path]
) -> Path:
    home = tmp_path_factory.mktemp("orientations")
    stock(home, card, paint)
    return home


@pytest.fixture(scope="module")
def shop(home: Path) -> Iterator[Collection]:
    with lookalike.open(home / "collections" / "shop") as shop:
        yield shop


@pytest.fixture(scope="module")
def ways(home: Path, shop: Collection) -> Iterator[Ways]:
    with (
        serving(home) as live,
        lookalike.connect(live.address, collection="shop") as remote,
    ):
        yield [shop, remote]


def _image(shop: Collection, id: str) -> Image.Image:
    place = shop.file_of(shop.get(id))
    assert place is not None
    return Image.open(place).convert("RGB")


# --- turning -------------------------------------------------------------------------------------


@given(pixels=arrays(np.uint8, st.tuples(st.integers(1, 6), st.integers(1, 6), st.just(3))))
def test_an_orientation_is_what_its_name_says(pixels: Any) -> None:  # noqa: ANN401 - an array
    image = Image.fromarray(pixels)
    for name in ORIENTATIONS:
        expected = pixels[:, ::-1] if name.startswith("mirrored") else pixels
        quarters = int(name.partition("-")[2] or 0) // 90
        expected = np.rot90(expected, -quarters)  # numpy turns anticlockwise
        assert np.array_equal(np.asarray(turn(image, name)), expected)


# --- searching -----------------------------------------------------------------------------------


@pytest.mark.parametrize("turned", ORIENTATIONS)
def test_an_image_is_found_in_any_orientation(ways: Ways, turned: Orientation) -> None:
    original = _image(ways[0], "similar.png")  # type: ignore[arg-type]
    query = turn(original, turned)
    for way in ways:
        found = way.search(query, any_orientation=True, k=3)
        assert found[0].item.id == "similar.png"
        assert found[0].score == pytest.approx(1, abs=1e-3)
        assert found.orientations is not None
        assert found.orientations.keys() == {hit.item.id for hit in found}
        again = turn(query, found.orientations["similar.png"])
        assert np.abs(np.asarray(again, int) - np.asarray(original, int)).max() <= 2


def test_each_item_has_the_best_of_its_eight_scores(shop: Collection) -> None:
    image = _image(shop, "mugs/1.png")
    expected: dict[str, float] = {}
    for one in ORIENTATIONS:
        for hit in shop.search(turn(image, one), k=50):
            expected[hit.item.id] = max(hit.score, expected.get(hit.item.id, -1))
    found = shop.search(image, k=50, any_orientation=True)
    assert {hit.item.id: hit.score for hit in found} == pytest.approx(expected, abs=1e-5)
    scores = [hit.score for hit in found]
    assert scores == sorted(scores, reverse=True)


def test_a_file_a_crop_and_bytes_are_turned_as_an_image_is(shop: Collection) -> None:
    place = shop.file_of(shop.get("0.png"))
    assert place is not None
    crop = (0.0, 0.0, 0.5, 1.0)
    for given_crop in (None, crop):
        sources: list[Any] = [place, place.read_bytes(), np.asarray(_image(shop, "0.png"))]
        first, *others = (
            shop.search(one, crop=given_crop, any_orientation=True, include_self=True, k=20)
            for one in sources
        )
        for other in others:
            assert {hit.item.id: hit.score for hit in other} == pytest.approx(
                {hit.item.id: hit.score for hit in first}, abs=1e-5
            )


def test_the_part_that_stands_out_is_turned(ways: Ways, shop: Collection) -> None:
    image = _image(shop, "mugs/1.png")
    boxes = shop.propose_crops(image, count=1)
    for way in ways:
        found = way.search(image, crop="auto", any_orientation=True, k=20)
        box = boxes[0] if boxes else None
        expected = way.search(image, crop=box, any_orientation=True, k=20)
        assert found.orientations == expected.orientations
        assert [hit.item.id for hit in found] == [hit.item.id for hit in expected]


def test_an_item_scores_at_least_what_it_scores_upright(ways: Ways) -> None:
    for way in ways:
        plain = {hit.item.id: hit.score for hit in way.similar("0.png", k=50)}
        found = way.similar("0.png", k=50, any_orientation=True)
        assert plain.keys() == {hit.item.id for hit in found}
        assert all(hit.score >= plain[hit.item.id] - 1e-6 for hit in found)
        assert [*found.left_out] == ["0.png"]


def test_every_other_option_applies(ways: Ways) -> None:
    for way in ways:
        ask = {"any_orientation": True, "k": 50}
        every = way.similar("0.png", **ask)  # type: ignore[arg-type]
        least = every[2].score
        assert [hit.item.id for hit in way.similar("0.png", min_score=least, **ask)] == [  # type: ignore[arg-type]
            hit.item.id for hit in every if hit.score >= least - 1e-6
        ]
        mugs = way.similar("0.png", category="mug", per_group=True, collapse="exact", **ask)  # type: ignore[arg-type]
        assert {hit.item.label for hit in mugs} == {"mug"}
        varied = way.similar("0.png", diversity=0.3, expand=2, where="label=mug", **ask)  # type: ignore[arg-type]
        assert {hit.item.label for hit in varied} == {"mug"}
        predicted = way.similar("mugs/1.png", category="auto", **ask)  # type: ignore[arg-type]
        assert predicted.category is not None


def test_a_table_has_the_orientations(shop: Collection) -> None:
    pytest.importorskip("pandas")
    found = shop.similar("0.png", any_orientation=True)
    assert found.orientations is not None
    assert [*found.to_pandas()["orientation"]] == [found.orientations[hit.item.id] for hit in found]
    assert "orientation" not in shop.similar("0.png").to_pandas()


def test_nothing_is_said_of_orientations_that_were_not_searched(ways: Ways) -> None:
    for way in ways:
        assert way.similar("0.png").orientations is None


# --- what cannot be turned -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "message"),
    [
        (Words("mug"), "needs an image to turn"),
        (np.ones(8, dtype=np.float32), "needs an image to turn"),
        ([ItemRef("0.png"), ItemRef("copy.png")], "this query has 2 parts"),
    ],
)
def test_only_one_image_or_item_can_be_turned(
    ways: Ways,
    query: Any,  # noqa: ANN401 - any query
    message: str,
) -> None:
    for way in ways:
        with pytest.raises(ValueError, match=message):
            way.search(query, any_orientation=True)


def test_an_item_without_its_file_cannot_be_turned(
    tmp_path: Path, card: Path, paint: Callable[[Path, int], Path]
) -> None:
    file = paint(tmp_path / "images" / "a.png", 1)
    paint(tmp_path / "images" / "b.png", 2)
    with lookalike.open(tmp_path / "shop", encoder=card, create=True) as shop:
        shop.index(tmp_path / "images")
        file.unlink()
        assert shop.similar("a.png")
        with pytest.raises(UnreadableImageError):
            shop.similar("a.png", any_orientation=True)
