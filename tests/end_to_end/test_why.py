"""Why a result is alike: regions over both images, and places that point at each other."""

from pathlib import Path

import pytest
from playwright.sync_api import expect

from end_to_end.visits import Visit

_COLOUR = """canvas => canvas.getContext("2d")
  .getImageData(0, 0, canvas.width, canvas.height).data.reduce((sum, value) => sum + value)"""


def opened(visit: Visit, query: Path) -> None:
    """Search with an image, open the details of the second result, and ask why it is alike."""
    visit.open("?c=shop")
    visit["#file"].set_input_files(query)
    visit.settled()
    expect(visit["#query-image"]).to_be_visible()
    visit.act("compare", 1)
    visit["#why"].click()
    expect(visit["#beside canvas"]).to_have_count(2)


def test_regions_are_coloured_and_taken_away_again(visit: Visit, query: Path) -> None:
    opened(visit, query)
    for number in range(2):
        assert visit["#beside canvas"].nth(number).evaluate(_COLOUR) > 1000
    expect(visit["#why-says"]).to_contain_text("the regions of an image add up to ")
    expect(visit["#why"]).to_have_attribute("aria-pressed", "true")
    visit["#why"].click()
    expect(visit["#beside canvas"]).to_have_count(0)
    expect(visit["#why-says"]).to_be_hidden()


def test_a_place_in_one_image_points_at_its_counterpart(visit: Visit, query: Path) -> None:
    opened(visit, query)
    one, other = visit["#beside canvas"].nth(0), visit["#beside canvas"].nth(1)
    before = other.evaluate("canvas => canvas.toDataURL()")
    box = one.bounding_box()
    assert box is not None
    visit.page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    expect(visit["#why-says [role=status]"]).to_contain_text("This place of the query adds")
    assert other.evaluate("canvas => canvas.toDataURL()") != before
    visit.page.mouse.move(2, 2)
    expect(visit["#why-says [role=status]"]).to_contain_text("Point at a place")
    assert other.evaluate("canvas => canvas.toDataURL()") == before


def test_the_keyboard_moves_between_places(visit: Visit, query: Path) -> None:
    opened(visit, query)
    visit["#why"].focus()
    other = visit["#beside canvas"].nth(1)
    other.focus()
    visit.page.keyboard.press("ArrowLeft")
    says = visit["#why-says [role=status]"]
    expect(says).to_contain_text("This place of the result adds")
    first = other.evaluate("canvas => canvas.toDataURL()")
    visit.page.keyboard.press("ArrowUp")
    assert other.evaluate("canvas => canvas.toDataURL()") != first
    visit.page.keyboard.press("Escape")
    expect(visit["#details"]).to_be_hidden()


def test_a_touch_points_too_and_the_page_fits(phone: Visit, query: Path) -> None:
    phone.open("?c=shop")
    phone["#file"].set_input_files(query)
    phone.settled()
    phone.cards.nth(1).locator("[data-act=compare]").tap()
    phone["#why"].tap()
    expect(phone["#beside canvas"]).to_have_count(2)
    phone["#beside canvas"].first.tap()
    expect(phone["#why-says [role=status]"]).to_contain_text("This place of the query adds")
    assert phone.page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_a_query_of_several_parts_colours_the_result_alone(visit: Visit, query: Path) -> None:
    visit.open("?c=shop")
    visit["#file"].set_input_files(query)
    visit.settled()
    visit.act("like", 2)
    visit.act("compare", 0)
    visit["#why"].click()
    expect(visit["#beside canvas"]).to_have_count(1)
    expect(visit["#why-says"]).to_contain_text("only the result is coloured")


def test_what_cannot_be_explained_is_said(visit: Visit, query: Path) -> None:
    visit.open("?c=shop")
    visit["#file"].set_input_files(query)
    visit.settled()
    visit.refusals = True
    visit.page.route(
        "**/explain?*",
        lambda route: route.fulfill(
            status=422,
            content_type="application/problem+json",
            body='{"code": "no-explanation", "detail": "the file has gone"}',
        ),
    )
    visit.act("compare", 1)
    visit["#why"].click()
    expect(visit["#why-says [role=alert]"]).to_have_text("the file has gone")
    expect(visit["#why"]).to_have_attribute("aria-pressed", "false")


@pytest.mark.parametrize("address", ["?c=shop"])
def test_images_without_a_score_offer_no_explanation(visit: Visit, address: str) -> None:
    visit.open(address)
    visit.act("compare", 0)
    expect(visit["#details"]).to_be_visible()
    expect(visit["#why"]).to_have_count(0)
