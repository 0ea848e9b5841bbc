"""One service for all tests of the page, one browser for each file of them."""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect, sync_playwright

import lookalike
from drawn_catalogue import Drawn
from end_to_end.visits import PHONE, Service, Visit, serving, visiting

expect.set_options(timeout=20_000)


@pytest.fixture(scope="session")
def stocked(
    tmp_path_factory: pytest.TempPathFactory,
    card: Path,
    catalogue: list[Drawn],
    catalogue_folder: Path,
) -> Path:
    """A home with three collections: ``shop`` as drawn, with a copy; ``void`` and ``yard``, empty.

    Labels, groups and metadata of ``shop`` say what was drawn.
    """
    home = tmp_path_factory.mktemp("page")
    pictures = home / "pictures"
    shutil.copytree(catalogue_folder, pictures)
    first = catalogue[0].path.relative_to(catalogue_folder).as_posix()
    shutil.copyfile(pictures / first, pictures / "copy #1 & 100%.jpg")
    told = {one.path.relative_to(catalogue_folder).as_posix(): one for one in catalogue}
    with lookalike.open(home / "collections" / "shop", encoder=card, create=True) as shop:
        shop.index(pictures)
        shop.store.items.update(
            [
                replace(
                    item,
                    label=told[item.id].kind,
                    group=told[item.id].product,
                    metadata={
                        "colour": told[item.id].colour,
                        "surfacePattern": told[item.id].pattern,
                        "price": float(told[item.id].price),
                        "title": told[item.id].title,
                        "constructor": told[item.id].background,
                    },
                )
                for item in shop
                if item.id in told
            ]
        )
    for name in ("void", "yard"):
        lookalike.open(home / "collections" / name, encoder=card, create=True).close()
    return home


@pytest.fixture(scope="session")
def service(stocked: Path) -> Iterator[Service]:
    with serving(stocked) as service:
        yield service


# One for each file of tests: Playwright's event loop would run on beneath other files' own.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    found = shutil.which("chromium")
    if found is None:
        pytest.skip("the page is tested in Chromium, which is not installed (apt install chromium)")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=found,
            args=[
                "--no-sandbox",  # a container has none to give
                "--use-fake-device-for-media-stream",
                "--use-fake-ui-for-media-stream",
            ],
        )
        yield browser
        browser.close()


@pytest.fixture
def visit(browser: Browser, service: Service) -> Iterator[Visit]:
    with visiting(browser, service) as visit:
        yield visit


@pytest.fixture
def phone(browser: Browser, service: Service) -> Iterator[Visit]:
    with visiting(browser, service, size=PHONE) as visit:
        yield visit


@pytest.fixture
def locked(browser: Browser, stocked: Path) -> Iterator[Visit]:
    """A tab on a service that asks for the key ``open sesame``."""
    with (
        serving(stocked, LOOKALIKE_READ_KEY="open sesame") as service,
        visiting(browser, service) as visit,
    ):
        yield visit


@pytest.fixture(scope="session")
def query(catalogue: list[Drawn]) -> Path:
    """An image that is in ``shop``."""
    return catalogue[0].path


@pytest.fixture
def folder(tmp_path: Path, paint: Callable[[Path, int], Path]) -> Path:
    """A folder on a user's desktop: 18 images, a broken one, a text file, and a hidden file."""
    place = tmp_path / "holiday"
    for number in range(18):
        paint(place / f"day {number // 9}" / f"{number}.png", 500 + number)
    (place / "broken.jpg").write_bytes(b"not a picture at all")
    (place / "notes.txt").write_text("sun, sea", encoding="utf-8")
    (place / ".hidden.png").write_bytes(b"")
    return place
