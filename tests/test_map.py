"""A map of a collection: layout, clusters and their names, outliers, JSON and the HTML file."""

import json
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from playwright.sync_api import Browser, Page, sync_playwright

import lookalike
from drawn_catalogue import Drawn
from lookalike.analysis.mapping import map_collection
from lookalike.analysis.mapping.clusters import choose_count, cluster_rows, name_clusters
from lookalike.analysis.mapping.layout import (
    fit_box,
    lay_out_by_components,
    lay_out_by_neighbours,
)
from lookalike.analysis.mapping.nearest import find_nearest_items
from lookalike.cli import invoke
from lookalike.core.records import Item
from lookalike.core.vectors import Matrix, unit_rows
from lookalike.errors import ExportError
from lookalike.output.map_file import describe_map, map_json, write_map

EVIL = "</script><script>window.hacked=1</script><!-- <script>"


def _groups(*sizes: int, dim: int = 32, seed: int = 3, spread: float = 0.15) -> Matrix:
    """Unit vectors in groups of these sizes, in order."""
    generator = np.random.default_rng(seed)
    middles = generator.normal(size=(len(sizes), dim))
    middles /= np.linalg.norm(middles, axis=1, keepdims=True)
    rows = np.concatenate(
        [
            middle + spread * generator.normal(size=(size, dim)) / dim**0.5
            for middle, size in zip(middles, sizes, strict=True)
        ]
    )
    return unit_rows(rows.astype(np.float32))


def _item(id: str, label: str | None = None, **metadata: Any) -> Item:  # noqa: ANN401 - any JSON
    return Item(id=id, digest=id, width=1, height=1, label=label, metadata=metadata)


# -- nearest neighbours and layout --------------------------------------------------------------


@settings(max_examples=30)
@given(st.integers(2, 40), st.integers(1, 6), st.integers(0, 10_000))
def test_nearest_items_are_those_of_an_exact_comparison(count: int, k: int, seed: int) -> None:
    rows = unit_rows(np.random.default_rng(seed).normal(size=(count, 8)).astype(np.float32))
    near = find_nearest_items(rows, k)
    scores = rows @ rows.T
    np.fill_diagonal(scores, -np.inf)
    expected = -np.sort(-scores, axis=1)[:, : min(k, count - 1)]
    assert near.cosines == pytest.approx(expected, abs=1e-5)
    assert not (near.places == np.arange(count)[:, None]).any()


def test_the_components_are_those_of_a_full_decomposition() -> None:
    rows = _groups(30, 30, 30)
    points = lay_out_by_components(rows)
    centred = rows - rows.mean(axis=0)
    values = np.linalg.svd(centred, compute_uv=False)
    assert np.linalg.norm(points, axis=0) == pytest.approx(values[:2], rel=1e-3)


def test_groups_lie_together_on_the_map() -> None:
    rows = _groups(40, 40, 40)
    near = find_nearest_items(rows, 15)
    points = lay_out_by_neighbours(near, lay_out_by_components(rows))
    assert points.shape == (120, 2)
    for group in range(3):
        own = points[group * 40 : group * 40 + 40]
        rest = np.delete(points, np.s_[group * 40 : group * 40 + 40], axis=0)
        middle = own.mean(axis=0)
        inside = np.linalg.norm(own - middle, axis=1).max()
        assert np.linalg.norm(rest - middle, axis=1).min() > inside
    again = lay_out_by_neighbours(near, lay_out_by_components(rows))
    assert np.array_equal(points, again)


def test_more_neighbours_are_kept_than_by_components() -> None:
    rows = _groups(*[20] * 12, spread=0.8)
    near = find_nearest_items(rows, 15)
    start = lay_out_by_components(rows)

    def kept(points: np.ndarray[Any, Any]) -> float:
        apart = ((points[:, None] - points[None]) ** 2).sum(axis=2)
        np.fill_diagonal(apart, np.inf)
        found = np.argsort(apart, axis=1)[:, :10]
        pairs = zip(found, near.places[:, :10], strict=True)
        return sum(len(np.intersect1d(one, other)) for one, other in pairs) / found.size

    assert kept(lay_out_by_neighbours(near, start)) > 1.5 * kept(start)


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5])
def test_few_and_equal_items_have_finite_positions(count: int) -> None:
    rows = unit_rows(np.ones((count, 6), dtype=np.float32))
    near = find_nearest_items(rows, 15)
    points = fit_box(lay_out_by_neighbours(near, lay_out_by_components(rows)))
    assert points.shape == (count, 2)
    assert ((points >= 0) & (points <= 1)).all()


# -- clusters -----------------------------------------------------------------------------------


def test_clusters_are_the_groups_and_the_largest_comes_first() -> None:
    rows = _groups(10, 40, 20)
    groups = cluster_rows(rows, 3)
    assert [{*groups[:10]}, {*groups[10:50]}, {*groups[50:]}] == [{2}, {0}, {1}]


def test_equal_rows_are_one_cluster() -> None:
    rows = unit_rows(np.ones((9, 4), dtype=np.float32))
    assert {*cluster_rows(rows, 4).tolist()} == {0}


def test_there_are_as_many_clusters_as_can_be_told_apart() -> None:
    assert [choose_count(one) for one in (1, 8, 78, 3000, 10**6)] == [1, 2, 6, 24, 24]


def test_a_cluster_is_named_by_its_labels_then_by_its_words() -> None:
    items = [_item(f"{n}.jpg", "mug", colour="red") for n in range(4)]
    items += [_item(f"b{n}.jpg", "cup" if n < 2 else "jug") for n in range(4)]
    items += [_item(f"wooden/chair-{n}.jpg", colour="red") for n in range(4)]
    items += [_item(f"{n}", None) for n in range(4)]
    groups = np.repeat(np.arange(4, dtype=np.int32), 4)
    names = name_clusters(items, groups)
    assert names[:2] == ["mug", "cup, jug"] or names[1] == "cup"
    assert {*names[2].split(", ")} == {"chair", "wooden"}
    assert names[3] == "cluster 4"


def test_clusters_with_one_name_are_numbered() -> None:
    items = [_item(f"{n}", "mug") for n in range(4)]
    names = name_clusters(items, np.array([0, 0, 1, 1], dtype=np.int32))
    assert names == ["mug", "mug (2)"]


# -- a collection -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def place(
    tmp_path_factory: pytest.TempPathFactory,
    card: Path,
    catalogue: list[Drawn],
    catalogue_folder: Path,
) -> Path:
    home = tmp_path_factory.mktemp("map")
    shutil.copytree(catalogue_folder, home / "images")
    shutil.copyfile(home / "images" / "mug" / "mug-001-1.jpg", home / "images" / "same.jpg")
    with lookalike.open(home / "shop", encoder=card, create=True) as shop:
        shop.index(home / "images" / "catalogue.csv")
        shop.add("same", (home / "images" / "same.jpg").read_bytes(), label=EVIL)
    assert len(catalogue) > 24
    return home / "shop"


@pytest.fixture
def shop(place: Path) -> Iterator[lookalike.Collection]:
    with lookalike.open(place) as shop:
        yield shop


def test_a_map_has_every_item_in_a_named_cluster(shop: lookalike.Collection) -> None:
    stages = set()
    found = map_collection(shop, progress=lambda one: stages.add(one.stage))
    assert [point.id for point in found.points] == [item.id for item in shop]
    assert all(0 <= point.x <= 1 and 0 <= point.y <= 1 for point in found.points)
    assert sum(cluster.items for cluster in found.clusters) == len(shop)
    assert all(cluster.name for cluster in found.clusters)
    assert not found.sampled
    assert found.kept is not None
    assert found.kept > 0.2
    assert stages == {"reading", "comparing", "laying out"}


def test_duplicates_are_alike_and_know_each_other(shop: lookalike.Collection) -> None:
    points = {point.id: point for point in map_collection(shop).points}
    assert points["same"].alike
    assert points["same"].nearest == "mug/mug-001-1.jpg"
    assert points["same"].score == pytest.approx(1, abs=1e-3)
    for point in points.values():
        expected = shop.similar(point.id, k=1)[0]
        assert point.score == pytest.approx(expected.score, abs=2e-3)


def test_an_item_unlike_all_others_is_an_outlier() -> None:
    from lookalike.analysis.mapping.collection_map import _find_outliers  # noqa: PLC0415 - inner

    values = np.array([0.1, 0.12, 0.11, 0.13, 0.1, 0.9])
    assert _find_outliers(values).tolist() == [False] * 5 + [True]


def test_a_filter_and_a_sample_bound_the_map(shop: lookalike.Collection) -> None:
    mugs = map_collection(shop, where="label=mug")
    assert {point.label for point in mugs.points} == {"mug"}
    few = map_collection(shop, sample=10, seed=4)
    assert (len(few.points), few.items, few.sampled) == (10, len(shop), True)
    assert "10 of" in describe_map(few)
    assert few.points == map_collection(shop, sample=10, seed=4).points


def test_nothing_to_show_says_why(shop: lookalike.Collection, tmp_path: Path, card: Path) -> None:
    found = map_collection(shop, where="label=zzz")
    assert (found.points, found.items) == ((), 0)
    assert "label = 'zzz'" in found.notes[0].message
    with lookalike.open(tmp_path / "new", encoder=card, create=True) as empty:
        assert map_collection(empty).points == ()


@pytest.mark.parametrize("count", [1, 2, 3])
def test_the_smallest_collections_have_a_map(
    tmp_path: Path, card: Path, paint: Callable[[Path, int], Path], count: int
) -> None:
    for number in range(count):
        paint(tmp_path / "images" / f"{number}.png", number)
    with lookalike.open(tmp_path / "shop", encoder=card, create=True) as shop:
        shop.index(tmp_path / "images")
        found = map_collection(shop)
        write_map(shop, found, tmp_path / "map.html")
    assert len(found.points) == count
    assert found.kept is None
    assert (found.points[0].nearest is None) == (count == 1)


def test_numbers_out_of_range_are_refused(shop: lookalike.Collection) -> None:
    with pytest.raises(ValueError, match="clusters is 25, but must be from 1 to 24"):
        map_collection(shop, clusters=25)
    with pytest.raises(ValueError, match="sample is 0"):
        map_collection(shop, sample=0)
    with pytest.raises(ValueError, match="layout is 'tree'"):
        map_collection(shop, layout="tree")  # type: ignore[arg-type]


# -- files and the command ----------------------------------------------------------------------


def test_a_file_is_not_replaced_by_mistake(shop: lookalike.Collection, tmp_path: Path) -> None:
    found = map_collection(shop, where="label=mug")
    target = tmp_path / "map.html"
    write_map(shop, found, target)
    with pytest.raises(ExportError, match="already exists"):
        write_map(shop, found, target)
    write_map(shop, found, target, force=True)
    with pytest.raises(ExportError, match="written as HTML"):
        write_map(shop, found, tmp_path / "map.png")


def test_the_command_writes_the_map_and_lists_it(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "map.html"
    assert invoke(["map", "-c", str(place), "-o", str(target), "-q", "--clusters", "3"]) == 0
    out, err = capsys.readouterr()
    assert "3 clusters" in out
    assert len(out.splitlines()) >= 4
    assert f"wrote {target}" in err
    text = target.read_text("utf-8")
    assert not re.search(r"(?:src|href)=.https?:", text)
    assert EVIL not in text
    assert len(text) < 1_500_000


def test_json_has_every_position_and_nothing_found_its_exit_code(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert invoke(["map", "-c", str(place), "--json", "--layout", "components"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["layout"] == "components"
    assert document["shown"] == document["items"] == len(document["points"])
    assert invoke(["map", "-c", str(place), "--where", "label=zzz"]) == 5
    assert "nothing to show: no item has label = 'zzz'" in capsys.readouterr().err


def test_the_document_is_that_of_the_map(shop: lookalike.Collection) -> None:
    found = map_collection(shop, clusters=2)
    document: dict[str, Any] = map_json(found)
    assert [one["id"] for one in document["points"]] == [point.id for point in found.points]
    assert [one["name"] for one in document["clusters"]] == [one.name for one in found.clusters]


# -- in the browser -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    found = shutil.which("chromium")
    if found is None:
        pytest.skip("the map is tested in Chromium, which is not installed")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def file(place: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("file") / "map.html"
    with lookalike.open(place) as shop:
        write_map(shop, map_collection(shop), target)
    return target


@pytest.fixture(params=[(390, 844, "dark"), (1440, 900, "light")], ids=["phone", "desktop"])
def page(request: pytest.FixtureRequest, browser: Browser, file: Path) -> Iterator[Page]:
    width, height, scheme = request.param
    page = browser.new_page(viewport={"width": width, "height": height}, color_scheme=scheme)
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("console", lambda one: problems.append(one.text) if one.type == "error" else None)
    page.on("request", lambda one: problems.append(one.url) if one.url[:4] == "http" else None)
    page.goto(file.as_uri())
    page.wait_for_selector(".map-legend button")
    page.wait_for_timeout(200)
    yield page
    assert problems == []
    page.close()


_COLOURS = """() => {
  const canvas = document.querySelector(".map-stage canvas");
  const data = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
  const seen = new Set();
  for (let at = 0; at < data.length; at += 16)
    if (data[at + 3] > 200) seen.add(data[at] * 65536 + data[at + 1] * 256 + data[at + 2]);
  return seen.size;
}"""


def _id(page: Page) -> str | None:
    found = page.locator(".map-about strong")
    return found.text_content() if found.count() else None


def test_the_file_draws_images_and_fits_the_screen(page: Page) -> None:
    assert page.evaluate(_COLOURS) > 100
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert page.evaluate("window.hacked") is None


def test_the_keyboard_walks_from_item_to_item(page: Page) -> None:
    page.focus(".map-stage canvas")
    page.keyboard.press("ArrowRight")
    first = _id(page)
    assert first is not None
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    assert _id(page) != first
    page.keyboard.press("+")
    page.keyboard.press("0")
    assert _id(page) is None
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Escape")
    assert _id(page) is None


def test_pointing_at_an_item_says_what_it_is_and_zooming_moves_it(page: Page) -> None:
    page.focus(".map-stage canvas")
    page.keyboard.press("ArrowUp")
    chosen = _id(page)
    page.keyboard.press("Escape")
    box = page.locator(".map-stage canvas").bounding_box()
    assert box is not None
    found = None
    for share in range(5, 95, 3):  # along a line through the middle
        page.mouse.move(box["x"] + box["width"] * share / 100, box["y"] + box["height"] / 2)
        found = found or _id(page)
    assert chosen is not None
    assert found is not None
    before = page.evaluate(_COLOURS)
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.wheel(0, -600)
    page.wait_for_timeout(200)
    assert page.evaluate(_COLOURS) != before


def test_the_legend_hides_clusters_and_colours_by_label(page: Page) -> None:
    before = page.evaluate(_COLOURS)
    for row in page.locator(".map-legend button").all():
        row.click()
        assert row.get_attribute("aria-pressed") == "false"
    page.wait_for_timeout(100)
    assert page.evaluate(_COLOURS) < before / 4
    page.select_option(".map-side select", "label")
    assert any("mug" in text for text in page.locator(".map-legend button").all_text_contents())
    assert EVIL in page.locator(".map-legend").text_content()  # type: ignore[operator]
    page.check('[data-only="alike"]')
    page.focus(".map-stage canvas")
    page.keyboard.press("ArrowRight")
    assert _id(page) is not None
