"""The map of a collection on its page."""

import re
from typing import Literal

import pytest
from playwright.sync_api import Browser, expect

from end_to_end.test_reach import serious
from end_to_end.visits import DESKTOP, PHONE, Service, Visit, visiting

MAP = "map.html?c=shop"


def _open(visit: Visit, service: Service, page: str = MAP) -> None:
    visit.page.goto(f"{service.address}/{page}")
    expect(visit["#about"]).to_contain_text("neighbours are near on the map", timeout=60_000)


def test_the_map_opens_from_the_start_page_and_leads_to_a_search(
    visit: Visit, service: Service
) -> None:
    visit.open("?c=shop&in.colour=%22navy%22")
    expect(visit["#to-map"]).to_have_attribute("href", re.compile("where="))
    visit.open("?c=shop")
    visit["#to-map"].click()
    expect(visit["#about"]).to_contain_text("neighbours are near on the map", timeout=60_000)
    assert visit["#title"].text_content() == "Map of shop"
    visit["#canvas"].focus()
    visit.page.keyboard.press("ArrowRight")
    chosen = visit[".map-about strong"].text_content()
    assert chosen in service.ids()
    visit.page.keyboard.press("ArrowDown")
    expect(visit[".map-about strong"]).not_to_have_text(chosen or "")
    other = visit[".map-about strong"].text_content()
    visit[".map-about a"].click()
    expect(visit.cards.first).to_be_visible()
    assert visit.page.evaluate("new URLSearchParams(location.search).get('id')") == other


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_nothing_keeps_people_out_of_the_map(
    browser: Browser,
    service: Service,
    theme: Literal["light", "dark"],
    size: tuple[int, int],
) -> None:
    with visiting(browser, service, theme=theme, size=size) as visit:
        _open(visit, service)
        visit["#canvas"].focus()
        visit.page.keyboard.press("ArrowRight")
        expect(visit[".map-about strong"]).to_be_visible()
        assert serious(visit) == []
        assert visit.page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_thumbnails_are_drawn_and_the_legend_hides_clusters(visit: Visit, service: Service) -> None:
    _open(visit, service)
    colours = """() => {
      const { width, height } = document.getElementById("canvas"), seen = new Set();
      const pen = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
      pen.drawImage(document.getElementById("canvas"), 0, 0);
      const data = pen.getImageData(0, 0, width, height).data;
      for (let at = 0; at < data.length; at += 16)
        if (data[at + 3] > 200) seen.add(data[at] * 65536 + data[at + 1] * 256 + data[at + 2]);
      return seen.size;
    }"""
    visit.until(f"({colours})() > 500")
    for row in visit[".map-legend button"].all():
        row.click()
    visit.until(f"({colours})() < 50")
    visit["#colours"].select_option("label")
    expect(visit[".map-legend"]).to_contain_text("mug")


def test_a_filter_that_no_item_meets_says_so(visit: Visit, service: Service) -> None:
    visit.page.goto(f"{service.address}/map.html?c=shop&where=label%3Dnothing")
    expect(visit["#about"]).to_contain_text("no item has label = 'nothing'")
    visit.page.goto(f"{service.address}/map.html?c=void")
    expect(visit["#about"]).to_contain_text(re.compile("empty|nothing"))
