"""Putting pictures into a collection from the page."""

from pathlib import Path

from playwright.sync_api import Browser, Route, expect

from end_to_end.visits import Visit, serving, visiting


def test_a_dropped_folder_is_added_with_what_was_left_out(visit: Visit, folder: Path) -> None:
    visit.open("?c=yard")
    visit.state("Nothing here yet")
    visit.drag([folder])
    expect(visit["#adding-what"]).to_have_text(
        "19 pictures for “yard”, and 2 other files that will be left out."
    )
    expect(visit["#adding-strip img"]).to_have_count(7)  # to see that they are the right ones
    visit["#new-label"].fill("holiday")
    visit["#adding-go"].click()
    expect(visit["#adding-says"]).to_have_text("18 pictures added, 1 left out.")
    visit["#adding-skipped summary"].click()
    expect(visit["#adding-skipped li"]).to_contain_text("holiday/broken.jpg")
    visit["#adding-done"].click()
    expect(visit.cards).to_have_count(18)
    expect(visit["#collection option:checked"]).to_have_text("yard (18)")
    expect(visit.cards.first).to_contain_text("holiday")
    assert set(visit.service.ids("yard")) == {
        f"holiday/day {number // 9}/{number}.png" for number in range(18)
    }
    visit.cards.first.locator("a").click()
    visit.settled()
    expect(visit.cards).to_have_count(17)
    assert visit.scores()
    visit["#add"].click()
    visit["#folder"].set_input_files(folder)
    visit["#adding-go"].click()
    expect(visit["#adding-says"]).to_have_text(
        "0 pictures added, 18 were there already, 1 left out."
    )


def test_adding_is_stopped_in_the_middle_and_keeps_what_it_has(visit: Visit, folder: Path) -> None:
    sent: list[Route] = []

    def first_alone(route: Route) -> None:
        sent.append(route)
        if len(sent) == 1:
            route.continue_()

    visit.open("?c=void")
    visit["#empty button"].click()
    visit["#folder"].set_input_files(folder)
    visit.page.route("**/items", first_alone)
    visit["#adding-go"].click()
    expect(visit["#adding-says"]).to_contain_text("16 of 19")
    visit["#adding-stop"].click()
    expect(visit["#adding-says"]).to_contain_text("stopped by you")
    visit["#adding-done"].click()
    added = len(visit.service.ids("void"))
    assert 0 < added <= 16
    expect(visit.cards).to_have_count(added)
    with visit.service.client as client:
        for identity in visit.service.ids("void"):
            client.delete(f"/v1/collections/void/items/{identity}")


def test_several_chosen_pictures_are_added_under_their_names(visit: Visit, folder: Path) -> None:
    visit.open("?c=void")
    visit["#add"].click()
    visit["#files"].set_input_files([folder / "day 0" / "0.png", folder / "day 0" / "1.png"])
    visit["#adding-go"].click()
    expect(visit["#adding-says"]).to_have_text("2 pictures added.")
    assert visit.service.ids("void") == ["0.png", "1.png"]
    with visit.service.client as client:
        for identity in visit.service.ids("void"):
            client.delete(f"/v1/collections/void/items/{identity}")
    visit.page.keyboard.press("Escape")
    expect(visit["#adding"]).to_be_hidden()


def test_a_service_without_a_collection_begins_one_from_the_page(
    browser: Browser, tmp_path: Path
) -> None:
    with serving(tmp_path / "home") as service, visiting(browser, service) as visit:
        visit.page.goto(service.address)
        visit.state("No collection yet")
        visit["#empty button"].click()
        expect(visit["#adding-what"]).to_contain_text("Pictures become part of “pictures”")
        visit.page.keyboard.press("Escape")
        visit.state("Nothing here yet")
