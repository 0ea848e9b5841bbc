"""Going back, and what stays when something is wrong: nobody loses the results that they had."""

from collections.abc import Callable
from pathlib import Path
from urllib.parse import unquote

import numpy as np
from PIL import Image
from playwright.sync_api import Dialog, Route, expect

from end_to_end.visits import Visit


def place(visit: Visit) -> int:
    found: int = visit.page.evaluate("Math.round(scrollY)")
    return found


def test_back_returns_to_the_place_on_the_page(phone: Visit) -> None:
    phone.open(f"?c=shop&id={phone.service.ids()[0]}")
    phone.cards.nth(12).scroll_into_view_if_needed()
    before = place(phone)
    assert before > 500
    phone.cards.nth(12).locator("a").click()
    phone.settled()
    assert place(phone) == 0
    phone.page.go_back()
    phone.settled()
    phone.until(f"Math.abs(scrollY - {before}) < 5")
    phone.page.reload()
    phone.settled()
    phone.until(f"Math.abs(scrollY - {before}) < 5")


def test_back_closes_a_dialog_and_nothing_else(visit: Visit) -> None:
    visit.open(f"?c=shop&id={visit.service.ids()[0]}")
    address = visit.page.url
    visit.act("compare", 2)
    expect(visit["#details"]).to_be_visible()
    visit.page.go_back()
    expect(visit["#details"]).to_be_hidden()
    assert visit.page.url == address
    visit.page.keyboard.press("?")
    expect(visit["#shortcuts"]).to_be_visible()
    visit.page.keyboard.press("Escape")
    expect(visit["#shortcuts"]).to_be_hidden()
    visit.until("!history.state?.dialog")  # closing it took its entry away
    assert visit.page.url == address


def test_a_search_from_a_dialog_is_one_step_back(visit: Visit) -> None:
    first = visit.service.ids()[0]
    visit.open(f"?c=shop&id={first}")
    identity = visit.act("compare", 2)
    visit["#details-actions button"].first.click()
    visit.settled()
    expect(visit["#details"]).to_be_hidden()
    assert f"id={identity}" in unquote(visit.page.url)
    visit.page.go_back()
    visit.settled()
    assert f"id={first}" in unquote(visit.page.url)


def test_a_shared_address_never_shows_the_start_page(visit: Visit) -> None:
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    visit.page.route("**/v1/collections", hold)
    address = f"{visit.service.address}/?c=shop&id={visit.service.ids()[0]}"
    visit.page.goto(address, wait_until="domcontentloaded")
    visit.until("document.querySelector('#collection') !== null")
    expect(visit["#drop"]).to_be_hidden()
    for route in held:
        route.continue_()
    visit.page.unroute("**/v1/collections")
    visit.settled()
    assert visit.cards.count() > 5


def test_a_wrong_file_keeps_the_results(visit: Visit, tmp_path: Path) -> None:
    visit.refusals = True
    visit.open(f"?c=shop&id={visit.service.ids()[0]}")
    before, address = visit.ids(), visit.page.url
    wrong = tmp_path / "notes.jpg"
    wrong.write_text("no image")
    visit["#file"].set_input_files(wrong)
    expect(visit["#status [role=alert]"]).to_have_text("Not an image.")
    visit.status("These are still the previous results.")
    assert visit.ids() == before
    assert unquote(visit.page.url) == unquote(address)


def test_a_mistyped_filter_after_an_empty_one_says_so(visit: Visit) -> None:
    visit.refusals = True
    visit.open(f"?c=shop&id={visit.service.ids()[0]}&where=label%3Dnothing")
    visit.state("No results")
    visit["#filters > summary"].click() if not visit["#where"].is_visible() else None
    visit["#where"].fill("label=(")
    visit["#where"].press("Enter")
    visit.state("The filter is not valid")


def test_an_unknown_collection_leads_to_one_that_exists(visit: Visit) -> None:
    visit.refusals = True
    visit.open(f"?c=nowhere&id={visit.service.ids()[0]}")
    visit.state("There is no such collection")
    visit["#empty button"].click()
    visit.settled()
    assert visit.cards.count() > 5


def test_a_photograph_is_made_smaller_before_it_is_sent(
    visit: Visit, tmp_path: Path, paint: Callable[[Path, int], Path]
) -> None:
    noise = np.random.default_rng(1).integers(-12, 12, (3000, 4000, 1))
    with Image.open(paint(tmp_path / "small.png", 3)) as small:
        large = np.asarray(small.convert("RGB").resize((4000, 3000))).astype(int) + noise
    path = tmp_path / "large.jpg"
    Image.fromarray(large.clip(0, 255).astype(np.uint8)).save(path, quality=95)
    assert path.stat().st_size > 4_000_000
    sent: list[int] = []
    visit.page.on(
        "request",
        lambda one: (
            sent.append(int(one.headers.get("content-length", 0)))
            if one.url.endswith("/search")
            else None
        ),
    )
    visit.open("?c=shop")
    visit["#file"].set_input_files(path)
    visit.page.wait_for_url("**/*up=*")
    visit.settled()
    shown = visit.ids()
    with path.open("rb") as file, visit.service.client as client:
        whole = client.post("/v1/collections/shop/search?k=20", files={"image": file}).json()
    expected = [hit["id"] for hit in whole["hits"]]
    assert len(set(shown[:10]) & set(expected[:10])) >= 9
    bytes_shown = visit.evaluate("image-store", "async (store) => (await store.stored()).bytes")
    assert 0 < bytes_shown < path.stat().st_size / 5


def test_only_images_that_were_searched_are_kept_and_can_be_forgotten(
    visit: Visit, tmp_path: Path, paint: Callable[[Path, int], Path]
) -> None:
    visit.refusals = True
    visit.open("?c=shop")
    wrong = tmp_path / "wrong.jpg"
    wrong.write_text("no image")
    visit["#file"].set_input_files(wrong)
    visit.state("Not an image")
    visit["#file"].set_input_files(paint(tmp_path / "right.png", 4))
    visit.settled()
    visit.until("document.querySelector('#shown') !== null")
    visit["#keys"].click()
    expect(visit["#stored-says"]).to_contain_text("1 image, ")
    visit["#forget"].click()
    expect(visit["#stored-says"]).to_have_text("None.")
    expect(visit["#forget"]).to_be_hidden()


def test_stored_images_are_bounded_in_number_and_bytes(visit: Visit) -> None:
    visit.open()

    def kept(sizes: list[int]) -> list[int]:
        found: list[int] = visit.evaluate("image-store", "(store, s) => store.surplus(s)", sizes)
        return [at for at in range(len(sizes)) if at not in found]

    assert kept([1] * 50) == list(range(10, 50))
    assert kept([60_000_000, 3_000_000, 2_000_000]) == [1, 2]
    assert kept([]) == []


def test_an_upload_goes_on_behind_a_closed_dialog_and_stops_when_asked(
    visit: Visit, folder: Path
) -> None:
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    visit.open("?c=void")
    visit["#add"].click()
    visit["#folder"].set_input_files(folder)
    visit.page.route("**/items", hold)
    visit["#adding-go"].click()
    visit.until("document.querySelector('#add').classList.contains('busy')")
    visit.page.mouse.click(5, 5)  # beside the dialog: nothing happens
    expect(visit["#adding"]).to_be_visible()
    visit.page.keyboard.press("Escape")
    expect(visit["#adding"]).to_be_hidden()
    expect(visit["#add"]).to_contain_text("Adding, 0%")
    for route in held:
        route.continue_()
    visit.page.unroute("**/items")
    expect(visit["#add"]).to_contain_text("Images added")
    visit["#add"].click()
    expect(visit["#adding-says"]).to_contain_text("18 images added, 1 skipped.")
    with visit.service.client as client:
        for identity in visit.service.ids("void"):
            client.delete(f"/v1/collections/void/items/{identity}")


def test_stopping_an_upload_asks_first(visit: Visit, folder: Path) -> None:
    questions: list[str] = []

    def answer(dialog: Dialog) -> None:
        questions.append(dialog.message)
        dialog.dismiss()

    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    visit.open("?c=void")
    visit["#add"].click()
    visit["#folder"].set_input_files(folder)
    visit.page.route("**/items", hold)
    visit.page.on("dialog", answer)
    visit["#adding-go"].click()
    visit["#adding-stop"].click()
    assert questions == ["Stop adding images? Those that were added stay."]
    expect(visit["#adding-stop"]).to_be_visible()
    for route in held:
        route.continue_()
    visit.page.unroute("**/items")
    expect(visit["#adding-done"]).to_be_visible()
    with visit.service.client as client:
        for identity in visit.service.ids("void"):
            client.delete(f"/v1/collections/void/items/{identity}")
