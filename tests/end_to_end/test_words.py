"""Searching by words on the page."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from playwright.sync_api import Browser, expect

import lookalike
from end_to_end.test_reach import serious
from end_to_end.visits import DESKTOP, PHONE, Service, Visit, serving, visiting
from two_towers import COLOURS, two_tower_card


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, card: Path) -> Iterator[Service]:
    """A service with ``colours``, which supports words, and ``mute``, which does not."""
    home = tmp_path_factory.mktemp("words")
    for name, colour in COLOURS.items():
        for shade in (255, 180):
            pixel = tuple(min(one, shade) for one in colour)
            place = home / "images" / f"{name}-{shade}.png"
            place.parent.mkdir(exist_ok=True)
            Image.new("RGB", (90, 60), pixel).save(place)
    wordy = two_tower_card(home / "card", words='cleaning = "clip"')
    for collection, one in (("colours", wordy), ("mute", card)):
        with lookalike.open(home / "collections" / collection, encoder=one, create=True) as made:
            made.index(home / "images")
    with serving(home) as service:
        yield service


def _search(visit: Visit, words: str) -> None:
    visit["#words"].fill(words)
    visit["#words"].press("Enter")
    visit.settled()


def _asked(visit: Visit) -> dict[str, Any]:
    asked: dict[str, Any] = json.loads(visit.searches[-1].post_data or "{}")
    return asked


def test_words_find_images(visit: Visit) -> None:
    visit.open()
    expect(visit["#drop h1"]).to_be_visible()
    _search(visit, "something red")
    visit.status("6 results")
    assert [one.split("-")[0] for one in visit.ids()[:2]] == ["red", "red"]
    assert _asked(visit)["text"] == "something red"
    expect(visit["#query-panel"]).to_be_hidden()
    assert visit.page.title() == "something red · lookalike"
    assert "q=something+red" in visit.page.url
    _search(visit, "the green")
    assert visit.ids()[0].startswith("green")
    visit.page.go_back()
    visit.settled()
    expect(visit["#words"]).to_have_value("something red")
    assert visit.ids()[0].startswith("red")


def test_words_are_added_to_an_image_and_taken_away(visit: Visit) -> None:
    visit.open("?id=green-255.png")
    expect(visit["#words"]).to_have_attribute("placeholder", "Add words to the image")
    before = visit.scores()
    _search(visit, "red")
    asked = _asked(visit)
    assert (asked["id"], asked["text"]) == ("green-255.png", "red")
    assert visit.scores() != before
    expect(visit["#query-image"]).to_be_visible()
    _search(visit, "")
    assert visit.scores() == before


def test_words_beside_an_uploaded_image(visit: Visit) -> None:
    visit.open()
    visit["#file"].set_input_files(visit.service.home / "images" / "blue-255.png")
    visit.status("6 results")
    visit.settled()
    before = dict(zip(visit.ids(), visit.scores(), strict=True))
    assert before["red-255.png"] == pytest.approx(before["green-255.png"], abs=0.01)
    _search(visit, "red")
    found = dict(zip(visit.ids(), visit.scores(), strict=True))
    assert found["red-255.png"] > found["green-255.png"] + 0.2
    expect(visit["#query-name"]).to_have_text("blue-255.png")


def test_a_result_goes_on_without_the_words(visit: Visit) -> None:
    visit.open("?q=red")
    visit.cards.first.locator("a").click()
    visit.settled()
    expect(visit["#words"]).to_have_value("")
    assert "q=" not in visit.page.url
    assert "text" not in _asked(visit)


def test_the_field_is_there_for_every_encoder(visit: Visit) -> None:
    for collection in ("mute", "colours"):
        visit.open(f"?c={collection}")
        expect(visit["#words-form"]).to_be_visible()
        expect(visit["#text-mode-row"]).to_be_hidden()
        visit["#collection"].blur()
        visit.page.keyboard.press("w")
        expect(visit["#words"]).to_be_focused()


def test_words_are_keywords_where_the_encoder_has_none(visit: Visit) -> None:
    visit.open("?c=mute")
    _search(visit, "red 180 purple")
    visit.status("4 results")
    expect(visit["#status"]).to_contain_text("no item has the word 'purple'")
    assert visit.ids()[0] == "red-180.png"
    shown = visit.cards.first.locator("data")
    expect(shown).to_have_attribute("title", "Share of the words: 1 means all of them")
    expect(visit.cards.first.locator("a").first).to_have_attribute(
        "aria-label", re.compile("red-180.png.*, words 0")
    )


def test_how_words_are_searched_can_be_chosen(visit: Visit) -> None:
    visit.open("?q=red")
    expect(visit["#text-mode"]).to_have_value("auto")
    assert "text_mode" not in _asked(visit)
    visit["#text-mode"].select_option("keywords")
    visit.status("2 results")
    assert _asked(visit)["text_mode"] == "keywords"
    assert "by=keywords" in visit.page.url
    visit.page.reload()
    visit.status("2 results")
    expect(visit["#text-mode"]).to_have_value("keywords")


def test_words_that_the_collection_does_not_support_are_explained(visit: Visit) -> None:
    visit.refusals = True
    visit.open("?c=mute&q=red&by=encoder")
    visit.state("These words cannot be searched")
    expect(visit["#empty p"]).to_contain_text("does not support search by words")
    visit["#empty button"].click()
    visit.settled()
    expect(visit["#drop h1"]).to_be_visible()


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_the_field_keeps_nobody_out(
    browser: Browser, service: Service, size: tuple[int, int]
) -> None:
    with visiting(browser, service, size=size) as visit:
        for place in ("", "?q=red", "?id=red-255.png&q=blue"):
            visit.open(place)
            expect(visit["#words"]).to_be_visible()
            assert serious(visit) == []
            wide = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
            assert visit.page.evaluate(wide) <= 0
