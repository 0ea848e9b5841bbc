"""One server for most tests of the service, over a collection that they do not change."""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

import lookalike
from live import Live, serving

COLOURS = ("red", "green", "blue")


def stock(home: Path, pictures: Path, card: Path, paint: Callable[[Path, int], Path]) -> None:
    """``shop`` of twelve pictures below ``pictures``, with labels, groups and metadata.

    Ids hold slashes, spaces, percent signs, other scripts, and a route's own words.
    """
    names = [
        "0.png",
        "mugs/1.png",
        "mugs/blue one.png",
        "mugs/100%.png",
        "mugs/a+b&c=d?e#f.png",
        "böden/Größe.png",
        "製品/茶碗.png",
        "odd/similar/7.png",
        "odd/similar",
        "odd/thumbnail.png",
        "deep/er/and/deeper/10.png",
        "copy.png",
    ]
    for number, name in enumerate(names):
        if name == "copy.png":
            shutil.copyfile(pictures / "0.png", pictures / name)
        elif name == "odd/similar":
            paint(pictures / "odd" / "odd.png", number)
        else:
            paint(pictures / name, number)
    with lookalike.open(home / "collections" / "shop", encoder=card, create=True) as shop:
        shop.index(pictures)
        odd = shop.get("odd/odd.png")
        told = [
            replace(
                item,
                label="mug" if "mugs/" in item.id else None,
                group=f"g{number // 2}",
                metadata={"price": number, "colour": COLOURS[number % 3], "tags": ["a", number]},
            )
            for number, item in enumerate(shop)
        ]
        shop.store.items.update(told)
        vector = shop.vectors(["odd/odd.png"])
        shop.store.items.upsert([replace(odd, id="odd/similar", label="odd")], vector)


@pytest.fixture(scope="session")
def stocked(
    tmp_path_factory: pytest.TempPathFactory, card: Path, paint: Callable[[Path, int], Path]
) -> Path:
    """A home with the collection ``shop`` (and its pictures beside it); not to be written to."""
    home = tmp_path_factory.mktemp("stocked")
    stock(home, home / "pictures", card, paint)
    return home


@pytest.fixture(scope="session")
def live(stocked: Path) -> Iterator[Live]:
    """A server over ``stocked``; not to be written to."""
    with serving(stocked) as live:
        yield live


@pytest.fixture
def home(stocked: Path, tmp_path: Path) -> Path:
    """A copy of ``stocked`` to write to; the pictures stay where they are."""
    shutil.copytree(stocked / "collections", tmp_path / "home" / "collections")
    return tmp_path / "home"


@pytest.fixture
def own(home: Path) -> Iterator[Live]:
    """A server of the test's own."""
    with serving(home) as live:
        yield live
