"""Why a query and an item are alike: contributions that add up, and images that show them."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import lookalike
from contracts.encoder import drawn
from lookalike import Collection, Explanation, ItemRef, QueryPart, Words
from lookalike.analysis.explanation import Divided, ExplainedImage, explain_pair
from lookalike.analysis.explanation.contributions import merge_positions, settle
from lookalike.analysis.explanation.drawing import overlay
from lookalike.analysis.explanation.occlusion import divide_by_occlusion
from lookalike.cli import cli
from lookalike.cli import invoke as run_cli
from lookalike.core.records import Entry
from lookalike.core.vectors import unit_rows
from lookalike.errors import (
    ExplanationError,
    ExportError,
    ItemNotFoundError,
    UnreadableImageError,
    WordsError,
)
from lookalike.images.turning import ORIENTATIONS, SIDEWAYS_TURNS, Orientation, turn, turn_back

Paint = Callable[[Path, int], Path]

CLOSE = 1e-4


@pytest.fixture
def shop(tmp_path: Path, card: Path, pictures: Path) -> Iterator[Collection]:
    with lookalike.open(tmp_path / "shop", encoder=card, create=True) as shop:
        shop.index(pictures)
        yield shop


# -- contributions ------------------------------------------------------------------------------


def shares(seed: int, rows: int, columns: int, dim: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(rows, columns, dim)).astype(np.float32)


@given(
    rows=st.integers(1, 40), columns=st.integers(1, 40), most=st.integers(1, 16), seed=st.integers()
)
def test_merged_positions_keep_their_sum(rows: int, columns: int, most: int, seed: int) -> None:
    fine = shares(abs(seed) % 100, rows, columns, 3)
    merged = merge_positions(fine, most)
    assert merged.shape == (min(rows, most), min(columns, most), 3)
    assert merged.sum(axis=(0, 1)) == pytest.approx(fine.sum(axis=(0, 1)), abs=1e-3)


@given(seed=st.integers(0, 99), rows=st.integers(1, 6), columns=st.integers(1, 6))
def test_contributions_and_pairs_add_up_to_the_score(seed: int, rows: int, columns: int) -> None:
    vectors = unit_rows(np.random.default_rng(seed).normal(size=(2, 8)).astype(np.float32))
    query, item = (
        Divided(vector=vector, shares=settle(shares(seed + n, *grid, 8), vector))
        for n, (vector, grid) in enumerate(
            zip(vectors, [(rows, columns), (columns, rows)], strict=True)
        )
    )
    pair = explain_pair(query, item)
    assert pair.query is not None
    assert pair.item is not None
    assert pair.pairs is not None
    score = float(vectors[0] @ vectors[1])
    assert pair.score == pytest.approx(score, abs=CLOSE)
    assert float(pair.query.sum()) == pytest.approx(score, abs=CLOSE)
    assert float(pair.item.sum()) == pytest.approx(score, abs=CLOSE)
    assert pair.pairs.sum(axis=(2, 3)) == pytest.approx(pair.query, abs=CLOSE)
    assert pair.pairs.sum(axis=(0, 1)) == pytest.approx(pair.item, abs=CLOSE)


def check_sums(found: Explanation, score: float) -> None:
    assert found.score == pytest.approx(score, abs=CLOSE)
    assert found.adds_up
    assert found.query is not None
    assert found.pairs is not None
    for contributions in (found.query.contributions, found.item.contributions, found.pairs):
        assert float(contributions.sum()) == pytest.approx(score, abs=CLOSE)


def test_the_regions_of_a_hit_add_up_to_its_score(shop: Collection, pictures: Path) -> None:
    query = pictures / "3.png"
    for hit in shop.search(query, k=3):
        check_sums(shop.explain(query, hit.item.id), hit.score)


def test_the_regions_of_two_items_add_up_to_their_score(shop: Collection) -> None:
    hit = shop.similar("4.png", k=1)[0]
    check_sums(shop.explain(ItemRef("4.png"), hit.item.id), hit.score)


def test_the_regions_of_a_part_of_the_query_lie_in_it(shop: Collection, pictures: Path) -> None:
    crop = (0.25, 0.5, 1.0, 1.0)
    hit = shop.search(pictures / "2.png", crop=crop, k=1)[0]
    found = shop.explain(pictures / "2.png", hit.item.id, crop=crop)
    check_sums(found, hit.score)
    assert found.query is not None
    assert found.query.area == crop
    heat = found.query.heatmap()
    height, width = heat.shape
    assert (width, height) == found.query.image.size
    assert not heat[: height // 2].any()
    assert not heat[:, : width // 4].any()


def test_the_regions_add_up_where_embeddings_are_projected(
    tmp_path: Path, card: Path, paint: Paint
) -> None:
    folder = tmp_path / "many"
    for number in range(24):
        paint(folder / f"{number}.png", number)
    with lookalike.open(tmp_path / "projected", encoder=card, create=True) as shop:
        shop.index(folder, dim=6)
        hit = shop.search(folder / "5.png", k=1)[0]
        check_sums(shop.explain(folder / "5.png", hit.item.id), hit.score)


def test_several_parts_and_vectors_explain_the_item_alone(shop: Collection) -> None:
    parts = [QueryPart(source=ItemRef("1.png")), QueryPart(source=ItemRef("2.png"), weight=-0.5)]
    hit = shop.search(parts, k=1)[0]
    for query in (parts, shop.vectors([hit.item.id])[0]):
        found = shop.explain(query, hit.item.id)
        assert found.query is None
        assert found.pairs is None
        assert float(found.item.contributions.sum()) == pytest.approx(found.score, abs=CLOSE)
        with pytest.raises(ValueError, match="not one image"):
            found.counterpart(0.5, 0.5)
    assert shop.explain(parts, hit.item.id).score == pytest.approx(hit.score, abs=CLOSE)


def test_hidden_regions_lower_the_score_by_their_contributions(shop: Collection) -> None:
    found = shop.explain(ItemRef("1.png"), "3.png", method="occlusion")
    assert found.method == "occlusion"
    assert not found.adds_up
    assert found.query is not None
    prepared = shop.prepare(str(shop.file_of(shop.get("1.png")))).prepared
    lost = divide_by_occlusion(prepared, shop.encoder.encode)
    assert found.query.contributions == pytest.approx(lost @ shop.vectors(["3.png"])[0], abs=CLOSE)


def test_an_object_in_one_corner_is_what_makes_images_alike(
    tmp_path: Path, card: Path, shop: Collection
) -> None:
    del shop
    folder = tmp_path / "corners"
    folder.mkdir()
    rng = np.random.default_rng(0)
    disc = rng.integers(0, 256, (24, 24, 3), dtype=np.uint8)
    for name, corner in (("left", (0, 0)), ("right", (40, 40))):
        image = Image.new("RGB", (64, 64), (127, 127, 127))
        image.paste(Image.fromarray(disc), corner)
        image.save(folder / f"{name}.png")
    with lookalike.open(tmp_path / "corners-shop", encoder=card, create=True) as corners:
        corners.index(folder)
        found = corners.explain(ItemRef("left.png"), "right.png")
    assert found.query is not None
    row, column = divmod(int(found.query.contributions.argmax()), 8)
    assert row < 4
    assert column < 4
    other = found.counterpart((column + 0.5) / 8, (row + 0.5) / 8)
    assert min(divmod(int(other.argmax()), 8)) >= 4


# -- what cannot be explained ---------------------------------------------------------------------


class NoMap:
    """An encoder that gives vectors and nothing else."""

    def __init__(self, base: object) -> None:
        self._base = base

    def __getattr__(self, name: str) -> object:
        if name == "patch_encoder":
            raise AttributeError(name)
        return getattr(self._base, name)


def test_an_encoder_without_a_map_is_explained_by_hiding(
    tmp_path: Path, tiny: object, pictures: Path
) -> None:
    with lookalike.open(tmp_path / "blind", encoder=NoMap(tiny), create=True) as shop:  # type: ignore[arg-type]
        shop.index(pictures)
        assert shop.explain(ItemRef("0.png"), "1.png").method == "occlusion"
        with pytest.raises(ExplanationError, match=r'tiny gives no vectors.*"occlusion"'):
            shop.explain(ItemRef("0.png"), "1.png", method="map")


def test_an_item_whose_image_has_gone_or_changed_is_explained_by_its_thumbnail(
    shop: Collection, pictures: Path, paint: Paint
) -> None:
    paint(pictures / "1.png", 77)
    with pytest.raises(UnreadableImageError, match="its file has changed since"):
        shop.explain(ItemRef("0.png"), "1.png")
    (pictures / "2.png").unlink()
    with pytest.raises(UnreadableImageError, match="no thumbnail is stored"):
        shop.explain(ItemRef("0.png"), "2.png")
    paint(pictures / "1.png", 1)
    paint(pictures / "2.png", 2)
    shop.index(pictures, thumbnails=64)
    score = float(shop.vectors(["0.png"])[0] @ shop.vectors(["2.png"])[0])
    (pictures / "2.png").unlink()
    check_sums(shop.explain(ItemRef("0.png"), "2.png"), score)


def test_an_item_that_came_as_bytes_says_so(shop: Collection, pictures: Path) -> None:
    shop.index([Entry(id="bytes", image=(pictures / "5.png").read_bytes())])
    with pytest.raises(
        UnreadableImageError, match="'bytes' cannot be explained: it was added on its own"
    ):
        shop.explain(ItemRef("0.png"), "bytes")


def test_wrong_arguments_are_named(shop: Collection, tmp_path: Path, card: Path) -> None:
    with pytest.raises(ItemNotFoundError, match="no item 'nothing'"):
        shop.explain(ItemRef("0.png"), "nothing")
    with pytest.raises(ItemNotFoundError, match="no item 'nothing'"):
        shop.explain(ItemRef("nothing"), "0.png")
    with pytest.raises(ValueError, match="method is 'gradient'; it is one of auto, map, occlusion"):
        shop.explain(ItemRef("0.png"), "0.png", method="gradient")  # type: ignore[arg-type]
    with pytest.raises(WordsError, match="keywords, which no region"):
        shop.explain(Words("red"), "0.png")
    with pytest.raises(ValueError, match="no parts"):
        shop.explain([], "0.png")
    with (
        lookalike.open(tmp_path / "empty", encoder=card, create=True) as empty,
        pytest.raises(ItemNotFoundError, match="the collection is empty"),
    ):
        empty.explain(ItemRef("0.png"), "0.png")


# -- what is shown ------------------------------------------------------------------------------


@pytest.fixture
def explanation(shop: Collection) -> Explanation:
    return shop.explain(ItemRef("1.png"), "3.png")


def test_an_explanation_is_an_image_of_both_with_a_scale(
    explanation: Explanation, tmp_path: Path
) -> None:
    path = tmp_path / "why.png"
    explanation.save(path, side=200)
    with Image.open(path) as page:
        colours = np.asarray(page.convert("RGB"), dtype=int).reshape(-1, 3)
        width, height = page.size
    assert width > 2 * 150
    assert height > 200
    near = [
        int(np.abs(colours - colour).sum(axis=1).min()) for colour in ((235, 94, 0), (20, 100, 200))
    ]
    assert max(near) < 120  # both ends of the scale are drawn
    assert explanation._repr_png_()[:8] == path.read_bytes()[:8]


def test_regions_are_coloured_where_they_contribute() -> None:
    contributions = np.zeros((2, 2), np.float32)
    contributions[0, 1], contributions[1, 0] = 1, -1
    shown = ExplainedImage(image=Image.new("RGB", (100, 100), "grey"), contributions=contributions)
    page = np.asarray(overlay(shown, 1.0, side=100), dtype=int)
    warm = page[:, :, 0] - page[:, :, 2]
    assert warm[:50, 50:].mean() > 80  # orange, upper right
    assert warm[50:, :50].mean() < -60  # blue, lower left
    assert abs(warm[10, 10]) < 5


@pytest.mark.parametrize("name", ["why.gif", "why", "why.txt"])
def test_other_formats_are_refused(explanation: Explanation, tmp_path: Path, name: str) -> None:
    with pytest.raises(ExportError, match=r"written as \.png, \.jpg or \.webp"):
        explanation.save(tmp_path / name)


def test_a_file_that_cannot_be_written_is_named(explanation: Explanation, tmp_path: Path) -> None:
    with pytest.raises(
        ExportError, match=r"why\.png cannot be written: the folder .*no does not exist"
    ):
        explanation.save(tmp_path / "no" / "why.png")


def test_json_has_all_numbers_and_comes_back(explanation: Explanation) -> None:
    assert explanation.query is not None
    document = json.loads(json.dumps(explanation.to_json()))
    assert np.sum(document["query"]["contributions"]) == pytest.approx(document["score"], abs=CLOSE)
    assert np.sum(document["pairs"]) == pytest.approx(document["score"], abs=CLOSE)
    again = Explanation.from_json(
        document, query=explanation.query.image, item=explanation.item.image
    )
    check_sums(again, explanation.score)
    assert again.to_json() == explanation.to_json()


def test_places_outside_are_refused(explanation: Explanation) -> None:
    with pytest.raises(ValueError, match=r"does not see the place \(1\.5, 0\.5\) of the item"):
        explanation.counterpart(1.5, 0.5, on="item")


# -- the command line -----------------------------------------------------------------------------


def run(shop: Collection, *words: object) -> Result:
    address = shop.info().address
    return CliRunner().invoke(cli, ["explain", *map(str, words), "-c", address])


def test_the_command_writes_an_image_and_prints_the_regions(
    shop: Collection, pictures: Path, tmp_path: Path
) -> None:
    target = tmp_path / "why.png"
    for _ in range(2):  # it may replace what it wrote
        ran = run(shop, pictures / "1.png", "3.png", "-o", target)
        assert ran.exit_code == 0, ran.output
    with Image.open(target) as page:
        assert page.height > 480
    assert [line.split()[0] for line in ran.stdout.splitlines()] == ["query"] * 3 + ["item"] * 3
    assert "the regions of an image add up to it" in ran.stderr
    assert f"wrote {target}" in ran.stderr


def test_the_command_prints_json_of_items_and_mixtures(shop: Collection) -> None:
    found = json.loads(run(shop, "@1.png", "@3.png", "--json", "--crop", "0,0,0.5,1").stdout)
    assert found["id"] == "3.png"
    assert found["query"]["area"] == [0, 0, 0.5, 1]
    assert np.sum(found["item"]["contributions"]) == pytest.approx(found["score"], abs=CLOSE)
    ran = run(shop, "@1.png", "+", "@2.png", "3.png", "--json", "--method", "occlusion")
    mixed = json.loads(ran.stdout)
    assert (mixed["query"], mixed["pairs"], mixed["method"]) == (None, None, "occlusion")


def test_the_command_says_what_is_wrong(
    shop: Collection, pictures: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    image = pictures / "1.png"
    for words, code, message in (
        ((image, "nothing"), 1, "no item 'nothing'"),
        ((image, image, "3.png"), 2, "are two queries; join them with '+'"),
        ((image, "3.png", "-o", image), 1, "is an input of this command"),
        ((image, "3.png", "-o", pictures / "2.png"), 1, "an image that lookalike did not write"),
        ((image, "3.png", "-o", pictures / "why.txt"), 1, "give a .png or .jpg file"),
        ((image, "3.png", "-o", pictures / "no" / "why.png"), 1, "does not exist"),
    ):
        assert run_cli(["explain", *map(str, words), "-c", shop.info().address]) == code
        assert message in capfd.readouterr().err


# -- turned queries -------------------------------------------------------------------------------


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_a_grid_over_a_turned_image_is_turned_back(orientation: Orientation) -> None:
    pixels = np.arange(12, dtype=np.float32).reshape(3, 4)
    turned = np.asarray(turn(Image.fromarray(pixels), orientation))
    assert (turned.shape == (4, 3)) == (orientation in SIDEWAYS_TURNS)
    assert turn_back(turned, orientation).tolist() == pixels.tolist()


@pytest.mark.parametrize("orientation", ["turned-90", "turned-270", "mirrored-90", "mirrored"])
def test_the_regions_of_a_turned_query_lie_on_it_as_it_was_given(
    tmp_path: Path, shop: Collection, orientation: Orientation
) -> None:
    folder = tmp_path / "drawn"
    folder.mkdir()
    drawn(3).save(folder / "drawn.png")
    shop.index(folder)
    (item,) = (item for item in shop if item.id.endswith("drawn.png"))
    upright = shop.explain(folder / "drawn.png", item.id)
    given = turn(drawn(3), orientation)
    found = shop.explain(given, item.id, any_orientation=True)
    check_sums(found, 1.0)
    assert found.query is not None
    assert found.query.image.size == given.size
    assert found.orientation != "upright"
    assert upright.query is not None
    expected = turn(Image.fromarray(upright.query.contributions), orientation)
    assert found.query.contributions == pytest.approx(np.asarray(expected), abs=1e-3)


def test_only_an_image_can_be_turned(shop: Collection) -> None:
    with pytest.raises(ValueError, match="any_orientation needs an image"):
        shop.explain(shop.vectors(["0.png"])[0], "1.png", any_orientation=True)
    found = json.loads(run(shop, "@1.png", "3.png", "--json", "--any-orientation").stdout)
    results = shop.search(ItemRef("1.png"), any_orientation=True, k=9)
    score = next(hit.score for hit in results if hit.item.id == "3.png")
    assert found["score"] == pytest.approx(score, abs=1e-3)
    assert results.orientations is not None
    assert found["orientation"] == results.orientations["3.png"]
