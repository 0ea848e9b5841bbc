"""Crops that the program proposes: boxes that stand out, in every way in."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray
from PIL import Image

import lookalike
from contracts.collection import stock
from live import Live, problem, serving
from lookalike import ItemRef, QueryPart
from lookalike.client import connect
from lookalike.encoders import OnnxEncoder
from lookalike.errors import CollectionError, ItemNotFoundError, NotAnImageError, RegionError
from lookalike.regions.position_maps import position_map
from lookalike.regions.proposals import overlap, propose_boxes

BOX = (0.5, 0.25, 0.75, 0.5)


def scene(size: tuple[int, int] = (192, 192)) -> Image.Image:
    """A soft grey image with something red and striped in ``BOX``."""
    width, height = size
    made = Image.fromarray(np.full((height, width, 3), (120, 125, 130), np.uint8))
    left, top, right, bottom = (
        round(side * (width, height)[place % 2]) for place, side in enumerate(BOX)
    )
    thing = np.zeros((bottom - top, right - left, 3), np.uint8)
    thing[:, :, 0] = 220
    thing[::6, :, 1] = 200
    made.paste(Image.fromarray(thing), (left, top))
    return made


@pytest.fixture
def home(tmp_path: Path, card: Path, paint: Callable[[Path, int], Path]) -> Path:
    images = stock(tmp_path, card, paint)
    scene().save(images / "scene.png")
    with lookalike.open(tmp_path / "collections" / "shop") as shop:
        shop.index(images)
    return tmp_path


# --- which boxes -------------------------------------------------------------------------------


def test_what_differs_from_its_surroundings_is_proposed_first() -> None:
    positions = np.zeros((12, 12, 5), np.float32)
    positions[3:6, 6:10] = (0, 2, 0, 1, 0)
    assert propose_boxes(positions, 4)[0] == (6 / 12, 3 / 12, 10 / 12, 6 / 12)


def test_nothing_stands_out_of_an_even_map() -> None:
    assert propose_boxes(np.ones((12, 12, 5), np.float32), 4) == []
    assert propose_boxes(np.ones((1, 1, 5), np.float32), 4) == []


@given(
    positions=arrays.arrays(
        np.float32,
        st.tuples(st.integers(1, 14), st.integers(1, 14), st.integers(1, 6)),
        elements=st.floats(-100, 100, width=32),
    ),
    count=st.integers(1, 9),
)
def test_proposals_lie_in_the_image_and_apart(positions: NDArray[np.float32], count: int) -> None:
    found = propose_boxes(positions, count)
    assert len(found) <= count
    for place, (left, top, right, bottom) in enumerate(found):
        assert 0 <= left < right <= 1
        assert 0 <= top < bottom <= 1
        assert all(overlap(found[place], other) < 0.3 for other in found[:place])
    assert propose_boxes(positions, count) == found


def test_a_map_shows_the_whole_image_whatever_its_shape(tiny: OnnxEncoder) -> None:
    for size in ((192, 192), (384, 128)):
        (found, *_) = propose_boxes(position_map(tiny, scene(size)), 1)
        assert overlap(found, BOX) > 0.4


# --- in every way in ---------------------------------------------------------------------------


def test_python_proposes_crops_of_images_and_items(home: Path) -> None:
    with lookalike.open(home / "collections" / "shop") as shop:
        found = shop.propose_crops(home / "pictures" / "scene.png", count=3)
        assert overlap(found[0], BOX) > 0.4
        assert len(found) <= 3
        assert shop.propose_crops(ItemRef("scene.png"), count=3) == found
        assert shop.propose_crops((home / "pictures" / "scene.png").read_bytes(), count=3) == found
        assert shop.propose_crops(Image.new("RGB", (90, 90), "white")) == []
        with pytest.raises(ItemNotFoundError):
            shop.propose_crops(ItemRef("none.png"))
        with pytest.raises(NotAnImageError):
            shop.propose_crops(b"text")
        with pytest.raises(ValueError, match="count is 0"):
            shop.propose_crops(scene(), count=0)


def test_auto_is_the_first_proposal(home: Path) -> None:
    with lookalike.open(home / "collections" / "shop") as shop:
        (box,) = shop.propose_crops(scene(), count=1)
        expected = shop.search(scene(), crop=box, k=5)
        assert [*shop.search(scene(), crop="auto", k=5)] == [*expected]
        assert [*shop.search(QueryPart(source=scene(), crop="auto"), k=5)] == [*expected]
        assert shop.encode(scene(), crop="auto").crop == box
        even = Image.new("RGB", (90, 90), "white")
        assert [*shop.search(even, crop="auto", k=5)] == [*shop.search(even, k=5)]


def test_an_empty_collection_and_an_encoder_without_a_map_say_so(
    tmp_path: Path, card: Path, paint: Callable[[Path, int], Path]
) -> None:
    with (
        lookalike.open(tmp_path / "new", encoder=card, create=True) as shop,
        pytest.raises(CollectionError, match="is empty"),
    ):
        shop.propose_crops(scene())
    text = card.read_text("utf-8").replace('[map]\nname = "map"\nlayout = "nchw"\n', "")
    bare = card.with_name("no-map.toml")
    bare.write_text(text, "utf-8")
    paint(tmp_path / "images" / "0.png", 0)
    with lookalike.open(tmp_path / "bare", encoder=bare, create=True) as shop:
        shop.index(tmp_path / "images")
        with pytest.raises(RegionError, match=r"no vectors for positions .* give a crop"):
            shop.search(scene(), crop="auto")


def _command(home: Path, *words: str) -> subprocess.CompletedProcess[str]:
    shop = str(home / "collections" / "shop")
    return subprocess.run(
        [sys.executable, "-m", "lookalike", *words, "-c", shop],
        capture_output=True,
        text=True,
        check=False,
        cwd=home / "pictures",
    )


def test_the_command_line_lists_crops_and_searches_with_the_first(home: Path) -> None:
    listed = _command(home, "crops", "scene.png", "none.png", "@scene.png", "--json")
    first, missing, item = json.loads(listed.stdout)
    assert listed.returncode == 3
    assert overlap(first["crops"][0], BOX) > 0.4
    assert item["crops"] == first["crops"]
    assert missing["error"]["code"] == "unreadable-image"
    found = json.loads(_command(home, "search", "scene.png", "--crop", "auto", "--json").stdout)
    assert found["query"]["crop"] == pytest.approx(first["crops"][0], abs=1e-4)
    table = _command(home, "crops", "scene.png")
    assert table.returncode == 0
    given = ",".join(f"{side:.4g}" for side in found["query"]["crop"])
    assert given in table.stdout
    bad = _command(home, "search", "scene.png", "--crop", "most")
    assert bad.returncode == 2
    assert "neither auto nor four numbers" in bad.stderr


def test_a_service_and_its_client_propose_crops(home: Path) -> None:
    with (
        serving(home) as live,
        lookalike.open(home / "collections" / "shop") as shop,
        connect(live.address, collection="shop") as remote,
    ):
        expected = [pytest.approx(box, abs=1e-3) for box in shop.propose_crops(scene())]
        assert remote.propose_crops(scene()) == expected
        assert remote.propose_crops(ItemRef("scene.png")) == expected
        assert len(remote.propose_crops(scene(), count=1)) == 1
        found = remote.search(scene(), crop="auto", k=3)
        assert [hit.item.id for hit in found] == [
            hit.item.id for hit in shop.search(scene(), crop="auto", k=3)
        ]
        parts = [QueryPart(source=scene(), crop="auto"), QueryPart(source=ItemRef("0.png"))]
        assert [hit.item.id for hit in remote.search(parts, k=3)] == [
            hit.item.id for hit in shop.search(parts, k=3)
        ]
        _says_which(live, home)


def _says_which(live: Live, home: Path) -> None:
    data = (home / "pictures" / "scene.png").read_bytes()
    post = live.client.post
    shown = post("/v1/search?crop=auto&k=1", content=data, headers={"Content-Type": "image/png"})
    (box, *_) = post("/v1/crops", files={"image": data}).json()["crops"]
    assert shown.json()["query"]["crop"] == pytest.approx(box, abs=1e-4)
    by_id = post("/v1/crops", json={"id": "scene.png", "count": 1}).json()
    assert by_id["crops"] == [box]
    assert by_id["query"] == {"id": "scene.png"}
    problem(post("/v1/crops"), 422, "no-image")
    problem(post("/v1/crops", json={"id": "none"}), 404, "no-such-item")
    problem(post("/v1/crops?count=0", content=data), 422, "invalid-request")
    problem(
        post("/v1/crops", content=b"text", headers={"Content-Type": "image/png"}),
        415,
        "not-an-image",
    )
