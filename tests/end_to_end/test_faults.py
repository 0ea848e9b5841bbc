"""What the page shows when something is missing, not allowed, or not an image."""

from pathlib import Path
from urllib.parse import quote

import pytest
from playwright.sync_api import Browser, Route, expect

from end_to_end.visits import Service, Visit, visiting

QUERY = f"?id={quote('mug/mug-001-1.jpg', safe='')}"


def test_a_service_that_is_gone_is_told_and_tried_again(visit: Visit) -> None:
    visit.refusals = True
    visit.open(QUERY)
    visit.page.context.set_offline(True)
    visit.slide("#k", 5)
    visit.state("The service does not respond")
    visit.page.context.set_offline(False)
    visit["#empty button"].click()
    expect(visit.cards).to_have_count(5)


def test_a_file_that_is_not_an_image_is_reported(visit: Visit, tmp_path: Path) -> None:
    visit.refusals = True
    visit.open()
    (tmp_path / "letter.jpg").write_text("Dear all", encoding="utf-8")
    visit["#file"].set_input_files(tmp_path / "letter.jpg")
    visit.state("Not an image")
    expect(visit["#query-panel"]).to_be_hidden()
    with visit.page.expect_file_chooser():
        visit["#empty button"].click()


def test_an_item_that_is_gone_is_told(visit: Visit) -> None:
    visit.refusals = True
    visit.open("?id=nobody.jpg")
    visit.state("This image no longer exists")
    visit["#empty button"].click()
    expect(visit["#drop h1"]).to_be_visible()


def test_a_search_from_another_device_asks_for_its_image(visit: Visit, query: Path) -> None:
    visit.open("?up=0123456789abcdef01&k=6")
    visit.state("The query image is on another device")
    with visit.page.expect_file_chooser() as chooser:
        visit["#empty button"].click()
    chooser.value.set_files(query)
    expect(visit.cards).to_have_count(6)


def test_a_busy_service_is_asked_again(visit: Visit) -> None:
    visit.refusals = True
    refused: list[Route] = []

    def busy(route: Route) -> None:
        if refused:
            route.continue_()
            return
        refused.append(route)
        problem = '{"status": 503, "code": "busy", "detail": "too much to do"}'
        route.fulfill(
            status=503,
            body=problem,
            headers={"Retry-After": "1", "Content-Type": "application/problem+json"},
        )

    visit.page.route("**/search", busy)
    visit.open(QUERY)
    expect(visit.cards).to_have_count(20)
    assert len(refused) == 1


def test_images_that_do_not_load_leave_a_placeholder(visit: Visit) -> None:
    visit.refusals = True
    visit.page.route("**/thumbnail*", lambda route: route.abort())
    visit.open(QUERY)
    expect(visit.cards.first.locator(".missing")).to_have_text("Cannot be shown")
    box = visit.cards.first.bounding_box()
    assert box is not None
    assert box["height"] > 100


def test_a_slow_search_shows_placeholders(visit: Visit) -> None:
    held: list[Route] = []
    visit.page.route("**/search", lambda route: held.append(route))  # noqa: PLW0108 - playwright marks what it calls
    visit.page.goto(f"{visit.service.address}/{QUERY}")
    expect(visit[".card.waiting"]).to_have_count(12)
    expect(visit["#grid"]).to_have_attribute("aria-busy", "true")
    held[0].continue_()
    expect(visit.cards).to_have_count(20)
    expect(visit["#grid"]).not_to_have_attribute("aria-busy", "true")


def test_a_key_is_asked_for_once_and_remembered_by_the_browser(locked: Visit) -> None:
    locked.refusals = True
    locked.page.goto(f"{locked.service.address}/?c=shop")
    expect(locked["#unlock"]).to_be_visible()
    locked["#key"].fill("open barley")
    locked["#key"].press("Enter")
    expect(locked["#unlock-says"]).to_contain_text("This key is not accepted")
    locked["#key"].fill("open sesame")
    locked["#key"].press("Enter")
    expect(locked["#unlock"]).to_be_hidden()
    expect(locked.cards).to_have_count(24)
    expect(locked["#add"]).to_be_hidden()  # a read key adds nothing
    locked.page.reload()
    expect(locked.cards).to_have_count(24)
    expect(locked["#unlock"]).to_be_hidden()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_theme_is_chosen_and_stays(browser: Browser, service: Service, theme: str) -> None:
    other = "dark" if theme == "light" else "light"
    with visiting(browser, service, theme=theme) as visit:  # type: ignore[arg-type] # of two
        visit.open()
        ground = "getComputedStyle(document.documentElement).backgroundColor"
        before = visit.page.evaluate(ground)
        visit["#theme"].click()
        after = visit.page.evaluate(ground)
        assert after != before
        visit.page.reload()
        assert visit.page.evaluate(ground) == after
        assert visit.page.evaluate("document.documentElement.dataset.theme") == other
