"""The drawn catalogue: what is known of it is true of its files."""

import csv
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from drawn_catalogue import BACKGROUNDS, KINDS, QUERY_BACKGROUND, Drawn, draw, draw_query

PRODUCTS = 24


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("catalogue")


@pytest.fixture(scope="module")
def drawn(folder: Path) -> list[Drawn]:
    return draw(folder, products=PRODUCTS)


def test_each_product_has_one_to_three_photos(drawn: list[Drawn]) -> None:
    photos = defaultdict(list)
    for picture in drawn:
        photos[picture.product].append(picture)
    assert len(photos) == PRODUCTS
    assert {len(of_one) for of_one in photos.values()} <= {1, 2, 3}


def test_every_kind_is_there_equally_often(drawn: list[Drawn]) -> None:
    products = {(picture.kind, picture.product) for picture in drawn}
    assert sorted(kind for kind, _ in products) == sorted([*KINDS] * (PRODUCTS // len(KINDS)))


def test_photos_of_one_product_differ_only_in_how_they_are_taken(drawn: list[Drawn]) -> None:
    known = defaultdict(set)
    backgrounds = defaultdict(list)
    for p in drawn:
        known[p.product].add((p.kind, p.colour, p.pattern, p.title, p.price))
        backgrounds[p.product].append(p.background)
    assert all(len(facts) == 1 for facts in known.values())
    assert all(len(set(of_one)) == len(of_one) for of_one in backgrounds.values())


def test_every_picture_opens_and_shows_something(drawn: list[Drawn]) -> None:
    for picture in drawn:
        with Image.open(picture.path) as image:
            assert image.format == "JPEG"
            assert image.size in {(480, 480), (480, 600), (600, 480)}
            assert np.asarray(image, dtype=float).std() > 8


def test_the_table_says_what_each_file_shows(folder: Path, drawn: list[Drawn]) -> None:
    with (folder / "catalogue.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    on_disk = {path.relative_to(folder).as_posix() for path in folder.rglob("*.jpg")}
    assert {row["file"] for row in rows} == on_disk
    expected = [(p.kind, p.product, p.colour, p.pattern, p.background, p.title) for p in drawn]
    columns = ("label", "group", "colour", "pattern", "background", "title")
    assert [tuple(row[name] for name in columns) for row in rows] == expected
    assert all(row["file"].startswith(f"{row['label']}/{row['group']}-") for row in rows)
    assert all(float(row["price"]) > 0 for row in rows)


def test_one_seed_gives_the_same_bytes_whatever_the_number(
    folder: Path, drawn: list[Drawn], tmp_path: Path
) -> None:
    fewer = draw(tmp_path, products=6)
    again = {p.path.relative_to(tmp_path): p.path.read_bytes() for p in fewer}
    assert again == {path: (folder / path).read_bytes() for path in again}
    assert len(drawn) > len(fewer)


def test_another_seed_gives_other_pictures(drawn: list[Drawn], tmp_path: Path) -> None:
    other = draw(tmp_path, seed=8, products=1)
    assert other[0].path.read_bytes() != drawn[0].path.read_bytes()


def test_a_query_shows_a_known_product_before_an_unknown_background(
    drawn: list[Drawn], tmp_path: Path
) -> None:
    shown = draw_query(tmp_path / "query.jpg", drawn[0].product)
    assert QUERY_BACKGROUND not in BACKGROUNDS
    assert shown.background == QUERY_BACKGROUND
    assert (shown.kind, shown.title) == (drawn[0].kind, drawn[0].title)
    Image.open(shown.path).close()


@pytest.mark.parametrize("product", ["mug", "mug-0", "teapot-001", "mug-x", ""])
def test_a_query_for_no_product_is_refused(product: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="is no product"):
        draw_query(tmp_path / "query.jpg", product)
