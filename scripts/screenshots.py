"""Take screenshots of the page in its main states, with drawn products: scripts/screenshots

    python scripts/screenshots.py [--all FOLDER]

They are written to docs/images. ``--all`` writes every state at three widths in both themes to a
folder instead, to look at. A service runs meanwhile, over collections in a temporary folder.
"""

import argparse
import io
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image
from playwright.sync_api import Browser, Page, expect, sync_playwright

import lookalike

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "examples"))
from drawn_catalogue import draw, draw_query  # noqa: E402 - beside this folder, not installed

IMAGES = ROOT / "docs" / "images"
PRODUCTS = 120
SIZES = {"phone": (390, 844), "tablet": (820, 1180), "desktop": (1280, 800), "wide": (1440, 900)}
SHAPES = {"wide.png": (1600, 120), "tall.png": (90, 1400), "tiny.png": (24, 32)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """What the states are made of: where the service is, a query, and a folder to add."""

    address: str
    query: Path
    folder: Path


def start(page: Page, stage: Stage) -> None:
    page.goto(f"{stage.address}/?c=shop")
    expect(page.locator("#grid .card")).to_have_count(24)


def results(page: Page, stage: Stage) -> None:
    start(page, stage)
    page.locator("#file").set_input_files(stage.query)
    expect(page.locator("#query-image")).to_be_visible()
    expect(page.locator("#grid .card")).to_have_count(20)
    expect(page.locator(".facet").first).to_be_attached()


def narrowed(page: Page, stage: Stage) -> None:
    results(page, stage)
    page.locator("#filters").evaluate("one => { one.open = true; }")
    page.locator("[data-field=label] label", has_text="mug").click()
    page.locator("[data-field=colour] summary").click()
    expect(page.locator("#filter-count")).to_have_text("1")
    page.locator(".query").evaluate("one => { one.scrollTop = 0; }")


def crop(page: Page, stage: Stage) -> None:
    results(page, stage)
    page.locator("#crop-button").click()


def tastes(page: Page, stage: Stage) -> None:
    results(page, stage)
    for key, at in (("+", 2), ("+", 4), ("-", 6)):
        page.locator("#grid .card > a").nth(at).press(key)
        page.wait_for_load_state("networkidle")
    page.evaluate("document.activeElement.blur()")
    page.evaluate("scrollTo(0, 0)")


def compare(page: Page, stage: Stage) -> None:
    results(page, stage)
    page.locator("#grid .card > a").first.press("c")


def adding(page: Page, stage: Stage) -> None:
    start(page, stage)
    page.locator("#add").click()
    page.locator("#folder").set_input_files(stage.folder)
    page.locator("#new-label").fill("holiday")


def added(page: Page, stage: Stage) -> None:
    page.goto(f"{stage.address}/?c=empty")
    page.locator("#add").click()
    page.locator("#folder").set_input_files(stage.folder)
    page.locator("#adding-go").click()
    expect(page.locator("#adding-done")).to_be_visible(timeout=60_000)
    page.locator("#adding-skipped summary").click()


def empty(page: Page, stage: Stage) -> None:
    page.goto(f"{stage.address}/?c=bare")
    expect(page.locator("#empty h2")).to_be_visible()


def nothing(page: Page, stage: Stage) -> None:
    results(page, stage)
    page.locator("#filters").evaluate("one => { one.open = true; }")
    page.locator("#where").fill("label=nothing")
    page.locator("#where").press("Enter")
    expect(page.locator("#empty h2")).to_be_visible()


def fault(page: Page, stage: Stage) -> None:
    page.goto(f"{stage.address}/?c=shop&id=nobody")
    expect(page.locator("#empty.bad")).to_be_visible()


def filter_fault(page: Page, stage: Stage) -> None:
    results(page, stage)
    page.locator("#filters").evaluate("one => { one.open = true; }")
    page.locator("#where").fill("price is 3")
    page.locator("#where").press("Enter")
    expect(page.locator("#where-says")).not_to_be_empty()
    page.locator("#where").scroll_into_view_if_needed()


def shapes(page: Page, stage: Stage) -> None:
    """Very wide, very tall and tiny images, and one whose file is gone."""
    page.route("**/mug-001-1.jpg/thumbnail*", lambda route: route.abort())
    page.goto(f"{stage.address}/?c=odd&id=wide.png")
    expect(page.locator("#grid .card").first).to_be_visible()


def keys(page: Page, stage: Stage) -> None:
    start(page, stage)
    page.locator("body").press("?")


STATES: tuple[Callable[[Page, Stage], None], ...] = (
    start, results, narrowed, crop, tastes, compare, adding, added, empty, nothing, fault,
    filter_fault, shapes, keys,
)  # fmt: skip
SHOWN = (
    ("page-start", start, "desktop", "light"),
    ("page-results", narrowed, "desktop", "light"),
    ("page-part", crop, "desktop", "dark"),
    ("page-likes", tastes, "desktop", "light"),
    ("page-compare", compare, "desktop", "dark"),
    ("page-adding", adding, "desktop", "light"),
    ("page-phone", results, "phone", "light"),
)


def prepare(home: Path) -> tuple[Path, Path]:
    """Collections in ``home``; a query and a folder to add."""
    images = home / "images"
    drawn = {
        one.path.relative_to(images).as_posix(): one for one in draw(images, products=PRODUCTS)
    }
    with lookalike.open(home / "collections" / "shop", create=True) as shop:
        shop.index(images)
        shop.store.items.update(
            [
                replace(
                    item,
                    label=drawn[item.id].kind,
                    group=drawn[item.id].product,
                    metadata={
                        "colour": drawn[item.id].colour,
                        "pattern": drawn[item.id].pattern,
                        "price": float(drawn[item.id].price),
                        "title": drawn[item.id].title,
                    },
                )
                for item in shop
            ]
        )
    for name in ("bare", "empty"):
        lookalike.open(home / "collections" / name, create=True).close()
    odd = home / "odd"
    odd.mkdir()
    for path in sorted((images / "mug").iterdir())[:4]:
        shutil.copy(path, odd)
    source = Image.open(min((images / "mug").iterdir()))
    for name, size in SHAPES.items():
        source.resize(size).save(odd / name)
    long = "an image whose name is longer than anybody would like it to be, with no end.png"
    source.save(odd / long)
    with lookalike.open(home / "collections" / "odd", create=True) as collection:
        collection.index(odd)
    query = home / "my mug.jpg"
    draw_query(query, "mug-001")
    folder = home / "holiday"
    folder.mkdir()
    dice = np.random.default_rng(1)
    for number in range(12):
        colours = dice.integers(0, 256, (2, 2, 3), dtype=np.uint8)
        Image.fromarray(colours).resize((400, 300)).save(folder / f"{number}.jpg")
    (folder / "broken.jpg").write_bytes(b"not an image")
    (folder / "notes.txt").write_text("sun, sea", encoding="utf-8")
    return query, folder


@contextmanager
def serving(home: Path) -> Iterator[str]:
    """The address of `lookalike serve` over ``home``."""
    with subprocess.Popen(
        [sys.executable, "-m", "lookalike", "serve", "--port", "0", "--hide-paths"],
        env={**os.environ, "LOOKALIKE_HOME": str(home)},
        stderr=subprocess.PIPE,
        text=True,
    ) as running:
        try:
            assert running.stderr is not None
            found = re.search(r"http://\S+", running.stderr.readline())
            assert found, "the service did not start"
            yield found[0]
        finally:
            running.terminate()


def shoot(
    browser: Browser,
    stage: Stage,
    state: Callable[[Page, Stage], None],
    *,
    size: str,
    theme: str,
) -> Image.Image:
    """Return a screenshot of the page in ``state``."""
    width, height = SIZES[size]
    context = browser.new_context(
        viewport={"width": width, "height": height},
        color_scheme="dark" if theme == "dark" else "light",
        reduced_motion="reduce",
        has_touch=size == "phone",
        is_mobile=size == "phone",
    )
    try:
        page = context.new_page()
        for _ in range(40):  # until the service listens
            try:
                page.goto(f"{stage.address}/health/live")
                break
            except Exception:  # noqa: BLE001 - whatever the browser calls it
                page.wait_for_timeout(250)
        state(page, stage)
        page.wait_for_load_state("networkidle")
        page.wait_for_timeout(200)
        return Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    finally:
        context.close()


def main() -> None:
    parser = argparse.ArgumentParser(description="Take screenshots of the page.")
    parser.add_argument("--all", type=Path, metavar="FOLDER", help="every state, into a folder")
    parser.add_argument("--only", nargs="*", default=[], help="states, with --all")
    chosen = parser.parse_args()
    chromium = shutil.which("chromium")
    if chromium is None:
        sys.exit("error: Chromium is needed: apt-get install chromium")
    with (
        tempfile.TemporaryDirectory() as folder,
        sync_playwright() as playwright,
    ):
        home = Path(folder)
        query, to_add = prepare(home)
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        with serving(home) as address:
            stage = Stage(address=address, query=query, folder=to_add)
            if chosen.all is None:
                for name, state, size, theme in SHOWN:
                    image = shoot(browser, stage, state, size=size, theme=theme)
                    path = IMAGES / f"{name}.webp"
                    image.save(path, quality=82, method=6)
                    print(f"{path.relative_to(ROOT)}  {path.stat().st_size // 1000} kB")
                return
            chosen.all.mkdir(parents=True, exist_ok=True)
            for state in STATES:
                if chosen.only and state.__name__ not in chosen.only:
                    continue
                for size in ("phone", "tablet", "wide"):
                    for theme in ("light", "dark"):
                        image = shoot(browser, stage, state, size=size, theme=theme)
                        image.save(chosen.all / f"{state.__name__}-{size}-{theme}.png")


if __name__ == "__main__":
    main()
