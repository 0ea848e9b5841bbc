"""Region vectors: small things in items are found, and the place is named, in every way in."""

import json
import random
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest
from PIL import Image

import lookalike
from benchmarks import parts
from live import serving
from lookalike import Query, QueryPart, SearchOptions
from lookalike.client import connect
from lookalike.encoders import load_encoder
from lookalike.errors import CollectionError, RegionError
from lookalike.moving import copying, migrating
from lookalike.regions.proposals import overlap
from lookalike.regions.table import TABLE, region_count
from lookalike.search.regions import RegionMode
from networks import tiny_card

PLACE = (96, 48, 144, 96)
"""Where the thing lies in the scenes, in pixels."""
SIDE = 192
SHARED = Path(__file__).parents[2] / "shared" / "data" / "myntra-small.zip"
_MODES: tuple[RegionMode, ...] = ("on", "off")


def thing() -> Image.Image:
    """A red and green pattern that nothing else here resembles."""
    rows = np.zeros((48, 48, 3), np.uint8)
    rows[:, :, 0] = 220
    rows[::6, :, 1] = 200
    return Image.fromarray(rows)


def scene(number: int) -> Image.Image:
    """A bluish image, each of its own tone and pattern."""
    rows = np.full((SIDE, SIDE, 3), (60, 90 + 12 * number, 200 - 9 * number), np.uint8)
    rows[:, :: 24 + 4 * number] -= 25
    return Image.fromarray(rows)


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """Seven scenes; the thing lies in the fourth, at a quarter of its width."""
    folder = tmp_path / "images"
    folder.mkdir()
    for number in range(7):
        made = scene(number)
        if number == 3:
            made.paste(thing(), PLACE[:2])
        made.save(folder / f"{number}.png")
    return folder


@pytest.fixture
def shop(tmp_path: Path, images: Path, card: Path) -> Iterator[lookalike.Collection]:
    path = tmp_path / "collections" / "shop"
    with lookalike.open(path, encoder=card, create=True) as opened:
        opened.index(images, regions=4)
        yield opened


def _rows(shop: lookalike.Collection) -> dict[str, Any]:
    return {row.id: row.value for row in shop.store.table(TABLE).scan()}


# --- searching ---------------------------------------------------------------------------------


def test_a_thing_in_an_item_is_found_with_its_place(shop: lookalike.Collection) -> None:
    found = shop.search(thing(), k=3)
    assert found[0].item.id == "3.png"
    box = found[0].box
    assert box is not None
    left, top, right, bottom = (side / SIDE for side in PLACE)
    assert overlap(box, (left, top, right, bottom)) > 0.3
    whole = shop.search(thing(), k=7, regions="off")
    assert all(hit.box is None for hit in whole)
    scores = {hit.item.id: hit.score for hit in whole}
    assert found[0].score > scores["3.png"] + 0.1
    assert all(hit.score >= scores[hit.item.id] - 1e-6 for hit in found)


def test_scores_are_the_best_of_the_whole_and_of_each_region(shop: lookalike.Collection) -> None:
    query = shop.encode(thing()).vector
    index = shop.region_index.scores(query[None, :], [1.0])
    items = {item.id: item for item in shop.items()}
    best = index.of(item.digest for item in items.values())
    whole = {one: float(shop.vectors([one])[0] @ query) for one in items}
    for hit in shop.search(thing(), k=7):
        region = best.get(hit.item.digest, (-1.0, None))[0]
        assert hit.score == pytest.approx(max(region, whole[hit.item.id]), abs=1e-3)
        assert (hit.box is not None) == (region > whole[hit.item.id] + 1e-6)
    for k in range(1, 7):
        assert [*shop.search(thing(), k=k)] == [*shop.search(thing(), k=7)][:k]


def test_filters_come_before_regions(shop: lookalike.Collection) -> None:
    shop.label(["1.png", "3.png"], "kept")
    assert [hit.item.id for hit in shop.search(thing(), where="label=kept")] == ["3.png", "1.png"]
    assert "3.png" not in {hit.item.id for hit in shop.search(thing(), where="id!=3.png")}
    assert len(shop.search(thing(), where="id!=3.png", k=7)) == 6


def test_an_item_as_a_query_finds_regions_and_not_itself(shop: lookalike.Collection) -> None:
    found = shop.similar("3.png", k=7)
    assert "3.png" not in {hit.item.id for hit in found}
    assert len(found) == 6


def test_without_regions_asking_for_them_is_an_error(
    tmp_path: Path, images: Path, card: Path
) -> None:
    with lookalike.open(tmp_path / "plain", encoder=card, create=True) as plain:
        plain.index(images)
        assert plain.search(thing(), k=2) == plain.search(thing(), k=2, regions="off")
        with pytest.raises(CollectionError, match="index FOLDER --regions 4"):
            plain.search(thing(), regions="on")
        with pytest.raises(ValueError, match="regions is 'all', but must be auto, on or off"):
            SearchOptions(regions="all")  # type: ignore[arg-type]
        for count in (-1, 17):
            with pytest.raises(ValueError, match=f"regions is {count}"):
                plain.index(images, regions=count)


def test_expansion_goes_by_whole_images(shop: lookalike.Collection) -> None:
    assert all(hit.box is None for hit in shop.search(thing(), expand=2))
    with pytest.raises(ValueError, match="expand goes by whole images"):
        shop.search(thing(), expand=2, regions="on")


# --- indexing ----------------------------------------------------------------------------------


def test_several_parts_and_diversity_go_by_whole_images_unless_regions_are_asked_for(
    shop: lookalike.Collection,
) -> None:
    mixed = Query.of([QueryPart(source=thing()), QueryPart(source=scene(1), weight=-0.5)])
    for query, options in (
        (mixed, SearchOptions()),
        (mixed, SearchOptions(mix="best")),
        (Query.of(thing()), SearchOptions(diversity=0.4)),
    ):
        auto = shop.search(query, options=options)
        off = shop.search(query, options=replace(options, regions="off"))
        assert [(hit.item.id, hit.score) for hit in auto] == [
            (hit.item.id, hit.score) for hit in off
        ]
        assert all(hit.box is None for hit in auto)
        assert any(hit.box for hit in shop.search(query, options=replace(options, regions="on")))


def test_regions_are_made_for_items_that_are_there_without_encoding_them_again(
    tmp_path: Path, images: Path, card: Path
) -> None:
    with lookalike.open(tmp_path / "late", encoder=card, create=True) as late:
        late.index(images)
        before = late.vectors(["3.png"])
        report = late.index(images, regions=3)
        assert (report.indexed, report.unchanged) == (0, 7)
        assert late.search(thing(), k=1)[0].box is not None
        assert np.array_equal(late.vectors(["3.png"]), before)
        assert {one["count"] for one in _rows(late).values()} == {3}
        kept = _rows(late)
        late.index(images)
        assert _rows(late) == kept
        late.index(images, regions=2)
        assert {one["count"] for one in _rows(late).values()} == {2}
        late.index(images, regions=0)
        assert _rows(late) == {}
        assert late.search(thing(), k=1)[0].box is None


def test_regions_go_and_come_with_their_items(shop: lookalike.Collection, images: Path) -> None:
    assert len(_rows(shop)) == 7
    first = shop.get("0.png").digest
    shop.remove("0.png")
    assert first not in _rows(shop)
    changed = shop.get("3.png").digest
    scene(9).save(images / "3.png")
    (images / "5.png").unlink()
    shop.index(images, allow_removals=True)
    rows = _rows(shop)
    assert changed not in rows
    assert rows.keys() == {item.digest for item in shop.items()}
    assert shop.get("3.png").digest in rows
    best = shop.search(thing(), k=1)[0]
    assert best.score < 0.9
    scene(3).save(images / "copy.png")
    (images / "1.png").rename(images / "moved.png")
    shop.index(images, allow_removals=True)
    assert _rows(shop).keys() == {item.digest for item in shop.items()}


def test_duplicates_share_their_regions(shop: lookalike.Collection, images: Path) -> None:
    (images / "again.png").write_bytes((images / "3.png").read_bytes())
    shop.index(images)
    assert len(_rows(shop)) == 7
    found = shop.search(thing(), k=2)
    assert {hit.item.id for hit in found} == {"3.png", "again.png"}
    assert found[0].box == found[1].box is not None
    shop.remove("3.png")
    assert shop.search(thing(), k=1)[0].item.id == "again.png"


def test_a_search_notices_what_another_process_writes(
    shop: lookalike.Collection, images: Path
) -> None:
    with lookalike.open(shop.store.folder or "") as other:
        assert other.search(thing(), k=1)[0].item.id == "3.png"
        made = scene(5)
        made.paste(thing(), (20, 20))
        shop.add("new", _png(images, made))
        shop.remove("3.png")
        found = other.search(thing(), k=1)[0]
        assert found.item.id == "new"
        assert found.box is not None


def _png(images: Path, made: Image.Image) -> bytes:
    place = images.parent / "new.png"
    made.save(place)
    return place.read_bytes()


def test_an_encoder_without_a_map_has_no_regions(tmp_path: Path, images: Path, card: Path) -> None:
    text = card.read_text("utf-8").replace('[map]\nname = "map"\nlayout = "nchw"\n', "")
    bare = card.with_name("bare.toml")
    bare.write_text(text, "utf-8")
    with lookalike.open(tmp_path / "bare", encoder=bare, create=True) as shop:
        with pytest.raises(RegionError, match="no vectors for positions"):
            shop.index(images, regions=4)
        assert region_count(shop.store) == 0


# --- moving ------------------------------------------------------------------------------------


def test_a_copy_has_the_regions(shop: lookalike.Collection, tmp_path: Path, card: Path) -> None:
    with lookalike.open(tmp_path / "copy", encoder=card, create=True) as target:
        copying.copy(shop.store, target.store)
        assert _rows(target) == _rows(shop)
        found, expected = target.search(thing(), k=3), shop.search(thing(), k=3)
        assert [(hit.item.id, hit.box) for hit in found] == [
            (hit.item.id, hit.box) for hit in expected
        ]


def test_a_migration_makes_regions_with_the_new_encoder(
    shop: lookalike.Collection, tmp_path: Path
) -> None:
    place = shop.store.folder
    assert place is not None
    other = tiny_card(tmp_path, name="other", seed=5)
    migrating.migrate(shop, load_encoder(other), card=str(other))
    with lookalike.open(place) as migrated:
        assert region_count(migrated.store) == 4
        assert _rows(migrated).keys() == {item.digest for item in migrated.items()}
        assert migrated.search(thing(), k=1)[0].item.id == "3.png"


# --- in every way in ---------------------------------------------------------------------------


def test_the_command_line_makes_and_shows_regions(tmp_path: Path, images: Path, card: Path) -> None:
    thing().save(tmp_path / "thing.png")
    place = str(tmp_path / "made")

    def run(*words: str) -> str:
        return subprocess.run(
            [sys.executable, "-m", "lookalike", *words, "-c", place],
            capture_output=True,
            text=True,
            check=True,
        ).stdout

    run("index", str(images), "--regions", "4", "--encoder", str(card), "--json")
    query = str(tmp_path / "thing.png")
    hit = json.loads(run("search", query, "-k", "1", "--json"))["hits"][0]
    assert hit["id"] == "3.png"
    assert len(hit["box"]) == 4
    shown = ",".join(f"{side:.2f}" for side in hit["box"])
    assert shown in run("search", query, "-k", "1")
    off = json.loads(run("search", query, "-k", "1", "--regions", "off", "--json"))
    assert "box" not in off["hits"][0]


def test_a_service_and_its_client_show_regions(shop: lookalike.Collection, tmp_path: Path) -> None:
    with serving(tmp_path) as live, connect(live.address, collection="shop") as remote:
        expected = shop.search(thing(), k=3)
        found = remote.search(thing(), k=3)
        assert [(hit.item.id, hit.box) for hit in found] == [
            (hit.item.id, hit.box) for hit in expected
        ]
        assert remote.search(thing(), k=1, regions="off")[0].box is None
        made = scene(5)
        made.paste(thing(), (20, 20))
        remote.add("added", _png(tmp_path / "images", made))
        remote.remove("3.png")
        added = remote.search(thing(), k=1)[0]
        assert added.item.id == "added"
        assert added.box is not None
        remote.reindex(regions=2)
        assert {one["count"] for one in _rows(shop).values() if one["count"] != 4} == {2}


def test_results_with_regions_compare_by_their_boxes(shop: lookalike.Collection) -> None:
    hit = shop.search(thing(), k=1)[0]
    assert hit != replace(hit, box=None)


# --- real images --------------------------------------------------------------------------------


@pytest.mark.real
@pytest.mark.skipif(not SHARED.exists(), reason="needs ../shared/data")
def test_a_product_at_a_quarter_of_the_width_is_found_by_its_crop_and_by_regions(
    tmp_path: Path,
) -> None:
    """Products pasted into backgrounds, as ``benchmarks/parts.py`` measures with many more."""
    chance = random.Random(3)
    things, backgrounds = parts.products(8), parts.scenes(24)
    made = [
        parts.paste(background, one, 1 / 4, chance)
        for background, one in zip(backgrounds, things, strict=False)
    ]
    scenes, products = tmp_path / "scenes", tmp_path / "products"
    scenes.mkdir()
    products.mkdir()
    for number, background in enumerate(backgrounds):
        shown = made[number][0] if number < len(made) else background
        shown.save(scenes / f"{number}.png")
    for number, one in enumerate(things):
        (products / f"{number}.jpg").write_bytes(one.path.read_bytes())
    with lookalike.open(tmp_path / "products-shop", create=True) as shop:
        shop.index(products)
        ranks = [
            parts.rank_of(f"{number}.jpg", shop.search(image, crop=box, k=8))
            for number, (image, box) in enumerate(made)
        ]
        assert ranks.count(1) >= 7
    with lookalike.open(tmp_path / "scenes-shop", create=True) as shop:
        shop.index(scenes, regions=4)
        first = {
            mode: sum(
                shop.search(one.path, k=1, regions=mode)[0].item.id == f"{number}.png"
                for number, one in enumerate(things)
            )
            for mode in _MODES
        }
    assert first["on"] >= first["off"] + 2


# --- on a server -------------------------------------------------------------------------------


def _found(shop: lookalike.Collection) -> list[Any]:
    return [(hit.item.id, hit.box) for hit in shop.search(thing(), k=4)]


@pytest.mark.engines
@pytest.mark.parametrize("kind", ["elasticsearch", "opensearch"])
def test_a_server_keeps_regions_too(
    kind: str, images: Path, unique_name: str, request: pytest.FixtureRequest
) -> None:
    card = request.getfixturevalue("card")
    shop = request.getfixturevalue("shop")
    place = urlsplit(request.getfixturevalue(f"{kind}_url")).netloc
    with lookalike.open(f"{kind}://{place}/{unique_name}", encoder=card, create=True) as served:
        try:
            served.index(images, regions=4)
            assert _found(served) == _found(shop)
            assert served.search(thing(), k=1, where="id!=3.png")[0].item.id != "3.png"
            served.remove("3.png")
            assert served.search(thing(), k=1)[0].item.id != "3.png"
            assert _rows(served).keys() == {item.digest for item in served.items()}
        finally:
            served.store.drop()
