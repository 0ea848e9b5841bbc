"""Reached by everybody: keyboard alone, screen readers, phones, both themes."""

from pathlib import Path
from typing import Literal
from urllib.parse import quote

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, FileChooser, expect

from end_to_end.visits import DESKTOP, PHONE, Service, Visit, visiting

QUERY = f"?id={quote('mug/mug-001-1.jpg', safe='')}"


def serious(visit: Visit) -> list[str]:
    """What axe-core finds that keeps people out, with where."""
    found = Axe().run(visit.page).response["violations"]
    return [
        f"{one['id']}: {node['html'][:200]} {node['failureSummary']}"
        for one in found
        if one["impact"] in {"serious", "critical"}
        for node in one["nodes"]
    ]


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_nothing_keeps_people_out(
    browser: Browser,
    service: Service,
    folder: Path,
    theme: Literal["light", "dark"],
    size: tuple[int, int],
) -> None:
    with visiting(browser, service, theme=theme, size=size) as visit:
        visit.refusals = True
        visit.open()
        assert serious(visit) == []
        visit.open(f"{QUERY}&more={quote('hat/hat-001-1.jpg', safe='')}&crop=0.1,0.1,0.9,0.9")
        visit["#filters"].evaluate("one => { one.open = true; }")
        expect(visit[".facet"].first).to_be_visible()
        visit["#facets"].evaluate("one => { for (const each of one.children) each.open = true; }")
        assert serious(visit) == []
        visit["body"].press("Escape")  # on a phone the filters cover the results
        visit.act("compare", 0)
        assert serious(visit) == []
        visit.page.keyboard.press("Escape")
        visit["#add"].click()
        visit["#folder"].set_input_files(folder)
        assert serious(visit) == []
        visit.page.keyboard.press("Escape")
        visit["#filters"].evaluate("one => { one.open = true; }")
        visit["#where"].fill("price is")
        visit["#where"].press("Enter")
        expect(visit["#where-says"]).not_to_be_empty()
        assert serious(visit) == []
        visit.open("?id=nobody")
        visit.state("This image no longer exists")
        assert serious(visit) == []


def _chooser_by_key(visit: Visit) -> FileChooser:
    """Just after a page's first paint Chromium takes no key for a person's: press again."""
    choosers: list[FileChooser] = []
    visit.page.on("filechooser", lambda chooser: choosers.append(chooser))  # noqa: PLW0108 - Playwright marks what it is given
    for _ in range(100):
        visit.page.keyboard.press("u")
        visit.page.wait_for_timeout(100)
        if choosers:
            break
    return choosers[0]


def test_the_keyboard_alone_is_enough_to_search_and_filter(visit: Visit, query: Path) -> None:
    press = visit.page.keyboard.press
    visit.open()
    _chooser_by_key(visit).set_files(query)
    expect(visit.cards).to_have_count(20)
    press("Tab")
    expect(visit[".skip"]).to_be_focused()
    press("Enter")
    press("Tab")
    focused = visit.page.locator("#grid :focus")
    expect(focused).to_have_attribute("title", visit.ids()[0])
    press("ArrowRight")
    expect(focused).to_have_attribute("title", visit.ids()[1])
    press("ArrowDown")
    below = focused.get_attribute("title") or ""
    assert visit.ids().index(below) > 2
    press("ArrowUp")
    expect(focused).to_have_attribute("title", visit.ids()[1])
    press("End")
    expect(focused).to_have_attribute("title", visit.ids()[-1])
    last = visit.ids()[-1]
    press("c")
    expect(visit["#details"]).to_be_visible()
    press("Escape")
    expect(visit["#details"]).to_be_hidden()
    press("-")
    visit.settled()
    expect(visit["#disliked li"]).to_have_count(1)
    expect(focused).to_have_attribute("title", visit.ids()[0])  # what was left out has no place
    assert last not in visit.ids()
    first = visit.ids()[0]
    press("Enter")
    visit.settled()
    expect(visit["#query-name"]).to_have_attribute("title", first)
    expect(focused).to_have_attribute("title", visit.ids()[0])
    press("/")
    visit.page.keyboard.type("label=mug")
    press("Enter")
    visit.settled()
    assert {identity.split("/")[0] for identity in visit.ids()} == {"mug"}
    press("Tab")
    expect(visit["#clear"]).to_be_focused()
    press("Enter")
    expect(visit.cards).to_have_count(20)
    visit["body"].press("?")
    expect(visit["#shortcuts"]).to_be_visible()


def test_a_person_without_a_mouse_begins_with_one_that_is_shown(visit: Visit) -> None:
    visit.open()
    expect(visit.cards).to_have_count(24)
    visit.cards.nth(3).locator("a").press("Enter")
    expect(visit.cards).to_have_count(20)
    visit.settled()
    expect(visit.page.locator("#grid :focus")).to_have_attribute("title", visit.ids()[0])


def test_a_phone_has_all_of_it_without_scrolling_sideways(phone: Visit, query: Path) -> None:
    width, _ = PHONE
    phone.open()
    phone["#file"].set_input_files(query)
    expect(phone.cards).to_have_count(20)
    assert phone.page.evaluate("document.documentElement.scrollWidth") <= width
    first = phone.cards.first
    more = first.locator("[data-act=compare]")
    picture = first.locator("img").bounding_box()
    button = more.bounding_box()
    assert picture is not None
    assert button is not None
    assert button["y"] >= picture["y"] + picture["height"]  # no button covers the image
    assert min(button["width"], button["height"]) >= 44
    phone["#filters summary"].first.tap()
    phone["details.facet"].first.locator("label").first.tap()
    phone.settled()
    expect(phone["#filter-count"]).to_have_text("1")
    expect(phone["#close-filters"]).to_have_text(f"Show {len(phone.ids())} results")
    seen = phone.cards.first.locator("img").bounding_box()
    sheet = phone["#filters"].bounding_box()
    assert seen is not None
    assert sheet is not None
    assert 0 < seen["y"] < sheet["y"]  # what the controls do is seen above them
    phone["#close-filters"].tap()
    expect(phone["#where"]).to_be_hidden()
    phone["#filters summary"].first.tap()
    phone["body"].press("Escape")
    expect(phone["#where"]).to_be_hidden()
    phone.cards.first.locator("a").tap()
    phone.settled()
    more.tap()
    expect(phone["#details img"]).to_have_count(2)
    top = "all => all.map((one) => one.getBoundingClientRect().top)"
    one, other = phone["#details img"].evaluate_all(top)
    assert one == other  # beside each other, here as well
    phone["#details"].get_by_role("button", name="More like this").tap()
    phone.settled()
    expect(phone["#liked li"]).to_have_count(1)
    expect(phone["#liked li"]).to_be_in_viewport()
    assert phone.page.evaluate("document.documentElement.scrollWidth") <= width


def test_everything_a_finger_meets_is_large_enough(phone: Visit) -> None:
    small = """() => [...document.querySelectorAll("button, a, select, summary, input, label")]
      .filter((one) => one.checkVisibility())
      .filter((one) => !one.matches(".skip, .brand, label *, label:not(:has(input))"))
      .map((one) => [one.outerHTML.slice(0, 120), one.getBoundingClientRect()])
      .filter(([, box]) => box.width > 1 && Math.min(box.width, box.height) < 43.5)
      .map(([said]) => said)"""
    phone.open()
    assert phone.page.evaluate(small) == []
    phone.open(f"{QUERY}&more={quote('hat/hat-001-1.jpg', safe='')}")
    phone["#filters summary"].first.tap()
    expect(phone["details.facet"].first).to_be_visible()
    assert phone.page.evaluate(small) == []
    phone["#close-filters"].tap()
    phone.cards.first.locator("[data-act=compare]").tap()
    assert phone.page.evaluate(small) == []


@pytest.mark.parametrize("colours", ["active", "none"])
def test_the_page_is_whole_in_forced_colours_and_enlarged_twice(
    visit: Visit, colours: Literal["active", "none"]
) -> None:
    visit.page.emulate_media(forced_colors=colours)
    visit.page.set_viewport_size({"width": 640, "height": 450})  # 1280 by 900 at 200 %
    visit.open(QUERY)
    expect(visit.cards).to_have_count(20)
    assert visit.page.evaluate("document.documentElement.scrollWidth") <= 640
    visit["#filters summary"].first.click()
    visit.slide("#k", 3)
    expect(visit.cards).to_have_count(3)
    expect(visit.cards.first).to_be_in_viewport()
    assert serious(visit) == []


@pytest.mark.parametrize("width", [320, 820, 2560])
def test_no_width_needs_scrolling_sideways(visit: Visit, width: int) -> None:
    visit.page.set_viewport_size({"width": width, "height": 800})
    visit.open(f"{QUERY}&k=50&crop=0,0,1,0.5")
    assert visit.page.evaluate("document.documentElement.scrollWidth") <= width
