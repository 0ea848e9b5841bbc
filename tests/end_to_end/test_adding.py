"""Adding images to a collection from the page."""

import shutil
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Browser, Dialog, Route, expect

from end_to_end.visits import Visit, serving, visiting


def test_a_dropped_folder_is_added_with_what_was_left_out(visit: Visit, folder: Path) -> None:
    visit.open("?c=yard")
    visit.state("No images yet")
    visit.drag([folder])
    expect(visit["#adding-what"]).to_have_text(
        "19 images for “yard”, and 2 other files that will be skipped."
    )
    expect(visit["#adding-strip img"]).to_have_count(7)  # to see that they are the right ones
    visit["#new-label"].fill("holiday")
    visit["#adding-go"].click()
    expect(visit["#adding-says"]).to_have_text("18 images added, 1 skipped.")
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
        "0 images added, 18 already in the collection, 1 skipped."
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
    visit.page.on("dialog", lambda question: question.accept())
    visit["#adding-stop"].click()
    expect(visit["#adding-says"]).to_contain_text("stopped")
    visit["#adding-done"].click()
    added = len(visit.service.ids("void"))
    assert 0 < added <= 16
    expect(visit.cards).to_have_count(added)
    with visit.service.client as client:
        for identity in visit.service.ids("void"):
            client.delete(f"/v1/collections/void/items/{identity}")


def test_several_chosen_images_are_added_under_their_names(visit: Visit, folder: Path) -> None:
    visit.open("?c=void")
    visit["#add"].click()
    visit["#files"].set_input_files([folder / "day 0" / "0.png", folder / "day 0" / "1.png"])
    visit["#adding-go"].click()
    expect(visit["#adding-says"]).to_have_text("2 images added.")
    assert visit.service.ids("void") == ["0.png", "1.png"]
    with visit.service.client as client:
        for identity in visit.service.ids("void"):
            client.delete(f"/v1/collections/void/items/{identity}")
    visit.page.keyboard.press("Escape")
    expect(visit["#adding"]).to_be_hidden()


def test_another_image_of_the_same_name_does_not_replace_the_first(
    visit: Visit, tmp_path: Path, paint: Callable[[Path, int], Path]
) -> None:
    first = paint(tmp_path / "phone" / "image.png", 1)
    second = paint(tmp_path / "camera" / "image.png", 2)

    def added(one: Path) -> str:
        visit.open("?c=void")
        visit["#add"].click()
        visit["#files"].set_input_files([one])
        visit["#adding-go"].click()
        expect(visit["#adding-done"]).to_be_visible()
        return visit["#adding-says"].inner_text()

    assert added(first) == "1 image added."
    assert added(second) == "1 image added, 1 of them renamed."
    visit["#adding-renamed summary"].click()
    expect(visit["#adding-renamed li"]).to_contain_text("image.png is now image-")
    assert added(second) == "0 images added, 1 already in the collection."
    ids = visit.service.ids("void")
    assert (len(ids), "image.png" in ids) == (2, True)
    with visit.service.client as client:
        kept = client.get("/v1/collections/void/items/image.png/image").content
        assert kept == first.read_bytes()
        for identity in ids:
            client.delete(f"/v1/collections/void/items/{identity}")


def test_an_image_is_replaced_only_when_that_is_chosen_and_confirmed(
    visit: Visit, tmp_path: Path, paint: Callable[[Path, int], Path]
) -> None:
    first = paint(tmp_path / "phone" / "image.png", 1)
    second = paint(tmp_path / "camera" / "image.png", 2)
    with visit.service.client as client:
        address = "/v1/collections/void/items/image.png"
        client.put(address, files={"p": first.read_bytes()})
        visit.open("?c=void")
        visit["#add"].click()
        visit["#files"].set_input_files([second])
        visit["#replacing"].check()
        asked: list[str] = []

        def answer(dialog: Dialog) -> None:
            asked.append(dialog.message)
            if len(asked) == 1:
                dialog.dismiss()
            else:
                dialog.accept()

        visit.page.on("dialog", answer)
        visit["#adding-go"].click()
        expect(visit["#adding-go"]).to_be_visible()  # nothing was sent
        assert client.get(f"{address}/image").content == first.read_bytes()
        visit["#adding-go"].click()
        expect(visit["#adding-says"]).to_have_text("0 images added, 1 replaced.")
        assert "“void”" in asked[0]
        assert len(asked) == 2
        assert client.get(f"{address}/image").content == second.read_bytes()
        client.delete(address)


def test_the_page_of_a_service_without_collections_creates_one(
    browser: Browser, tmp_path: Path
) -> None:
    with serving(tmp_path / "home") as service, visiting(browser, service) as visit:
        visit.page.goto(service.address)
        visit.state("No collection yet")
        visit["#empty button"].click()
        expect(visit["#adding-what"]).to_contain_text("Images are added to “images”")
        visit.page.keyboard.press("Escape")
        visit.state("No images yet")


def test_one_file_that_is_too_large_costs_no_other(
    browser: Browser, stocked: Path, folder: Path, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    shutil.copytree(stocked / "collections" / "void", home / "collections" / "void")
    files = sorted((folder / "day 0").glob("*.png"))
    large = tmp_path / "large.png"
    large.write_bytes(files[0].read_bytes() + bytes(1_100_000))
    with (
        serving(home, LOOKALIKE_MAX_UPLOAD="1") as service,
        visiting(browser, service) as visit,
    ):
        visit.open("?c=void")
        visit["#add"].click()
        visit["#files"].set_input_files([large, *files])
        visit["#adding-go"].click()
        expect(visit["#adding-says"]).to_have_text(f"{len(files)} images added, 1 skipped.")
        visit["#adding-skipped summary"].click()
        expect(visit["#adding-skipped li"]).to_have_text(
            "large.png has 1.1 MB; the service takes up to 1 MB for one image"
        )


def test_a_batch_that_is_refused_is_sent_again_file_by_file(visit: Visit, folder: Path) -> None:
    """As a proxy with a limit of its own refuses it: with a page, not with our problem."""
    sent: list[Route] = []

    def refuse_first(route: Route) -> None:
        sent.append(route)
        if len(sent) == 1:
            route.fulfill(status=413, content_type="text/html", body="<h1>413</h1>")
        else:
            route.continue_()

    visit.refusals = True
    visit.open("?c=void")
    visit["#add"].click()
    visit["#files"].set_input_files(sorted((folder / "day 0").glob("*.png"))[:3])
    visit.page.route("**/items", refuse_first)
    visit["#adding-go"].click()
    expect(visit["#adding-says"]).to_have_text("3 images added.")
    assert len(sent) == 4
    with visit.service.client as client:
        for identity in visit.service.ids("void"):
            client.delete(f"/v1/collections/void/items/{identity}")
