"""Searching with an image, and the results."""

import base64
import json
import re
from pathlib import Path
from urllib.parse import quote

import pytest
from playwright.sync_api import Locator, Route, expect

from drawn_catalogue import Drawn
from end_to_end.visits import Service, Visit

COPY = "copy #1 & 100%.jpg"


def about(identity: str) -> str:
    return f"?id={quote(identity, safe='')}"


def test_the_start_page_offers_images_to_start_from(visit: Visit) -> None:
    visit.open()
    expect(visit["#drop h1"]).to_have_text("Find images that look alike")
    expect(visit.cards).to_have_count(24)
    assert len(set(visit.ids())) == 24
    assert len({identity.split("/")[0] for identity in visit.ids()}) > 3  # not 24 of one kind
    visit.status(f"{len(visit.service.ids())} images")


def test_the_start_stays_as_it_is_when_one_comes_back(visit: Visit) -> None:
    visit.open()
    expect(visit.cards).to_have_count(24)
    before = visit.ids()
    visit.cards.first.locator("a").click()
    expect(visit.cards).to_have_count(20)
    visit.page.go_back()
    expect(visit.cards).to_have_count(24)
    assert visit.ids() == before


def test_a_result_has_its_title_with_its_label_below(visit: Visit, catalogue: list[Drawn]) -> None:
    visit.open(about("mug/mug-001-1.jpg"))
    told = {one.path.name: one for one in catalogue}
    for identity in (one for one in visit.ids()[:5] if one != COPY):
        drawn = told[identity.split("/")[-1]]
        card = visit[f'.card[data-id="{identity}"]']
        expect(card.locator(".called")).to_have_text(drawn.title)
        expect(card.locator(".kind")).to_have_text(drawn.kind)


def test_images_of_one_shape_form_columns(visit: Visit) -> None:
    def of_one_shape(route: Route) -> None:
        answer = route.fetch()
        told = answer.json()
        for hit in told["hits"]:
            hit["width"], hit["height"] = 300, 400
        route.fulfill(response=answer, json=told)

    visit.page.route("**/search", of_one_shape)
    visit.open(about("mug/mug-001-1.jpg"))
    boxes = (
        "all => all.map((one) => one.getBoundingClientRect()).map((one) => [one.left, one.width])"
    )
    places = visit.cards.evaluate_all(boxes)
    columns = {round(left) for left, _ in places}
    assert len(columns) < len(places)
    assert len({round(width) for _, width in places}) == 1  # the last row's too


def test_a_chosen_image_gives_results_best_first(visit: Visit, query: Path) -> None:
    visit.open()
    with visit.page.expect_file_chooser() as chooser:
        visit["#choose"].click()
    chooser.value.set_files(query)
    expect(visit.cards).to_have_count(20)
    scores = visit.scores()
    assert scores == sorted(scores, reverse=True)
    assert scores[0] > 0.999  # an uploaded image finds itself
    expect(visit["#query-name"]).to_have_text(query.name)
    assert visit["#query-image"].evaluate("one => one.complete && one.naturalWidth > 0")
    visit.status("20 results")


def test_a_dropped_image_starts_a_search(visit: Visit, query: Path) -> None:
    visit.open()
    visit.drag([query], drop=False)
    expect(visit["#over"]).to_be_visible()
    expect(visit["#over-says"]).to_have_text("Drop to search with this image")
    visit.drag([query])
    expect(visit["#query-name"]).to_have_text(query.name)
    expect(visit["#over"]).to_be_hidden()
    expect(visit.cards).to_have_count(20)


def test_a_pasted_image_starts_a_search(visit: Visit, query: Path) -> None:
    visit.open()
    visit.page.evaluate(
        """(data) => {
          const bytes = Uint8Array.from(atob(data), (one) => one.charCodeAt(0));
          const clipboardData = new DataTransfer();
          clipboardData.items.add(new File([bytes], "image.png", { type: "image/png" }));
          const said = { clipboardData, bubbles: true, cancelable: true };
          document.body.dispatchEvent(new ClipboardEvent("paste", said));
        }""",
        base64.b64encode(query.read_bytes()).decode(),
    )
    expect(visit["#query-name"]).to_have_text("image.png")
    expect(visit.cards).to_have_count(20)


def test_a_photo_is_taken_and_searched_with(visit: Visit) -> None:
    visit.open()
    visit["#take-photo"].click()
    visit["#capture"].click()
    expect(visit["#query-name"]).to_have_text("photo.jpg")
    expect(visit.cards).to_have_count(20)
    expect(visit["#camera"]).to_be_hidden()
    assert visit["#video"].evaluate("one => one.srcObject === null")


def test_the_back_button_undoes_a_search_with_a_result(visit: Visit, query: Path) -> None:
    visit.open()
    visit["#file"].set_input_files(query)
    expect(visit.cards).to_have_count(20)
    before = visit.ids()
    visit.cards.nth(2).locator("a").click()
    visit.settled()
    expect(visit["#query-name"]).to_have_attribute("title", before[2])
    assert before[2] not in visit.ids()
    visit.page.go_back()
    expect(visit["#query-name"]).to_have_text(query.name)
    visit.settled()
    assert visit.ids() == before
    visit.page.go_back()
    expect(visit["#drop h1"]).to_be_visible()
    visit.page.go_forward()
    expect(visit["#query-name"]).to_have_text(query.name)
    visit.settled()
    assert visit.ids() == before


@pytest.mark.parametrize("identity", [COPY, "mug/mug-001-1.jpg"])
def test_an_item_of_any_id_is_gone_on_from_by_its_address(visit: Visit, identity: str) -> None:
    assert identity in visit.service.ids()
    visit.open(about(identity))
    expect(visit["#query-name"]).to_have_attribute("title", identity)
    expect(visit.cards).to_have_count(20)
    assert visit["#query-image"].evaluate("one => one.decode().then(() => one.naturalWidth > 0)")


def test_the_count_is_asked_for_and_the_similarity_cut_without_asking(visit: Visit) -> None:
    visit.open(about(COPY))
    visit.slide("#k", 7)
    expect(visit.cards).to_have_count(7)
    assert json.loads(visit.searches[-1].post_data or "")["k"] == 7
    asked = len(visit.searches)
    scores = visit.scores()
    least = round(scores[3] * 100)
    visit.slide("#least", least)
    kept = sum(score >= least / 100 for score in scores)
    expect(visit.cards).to_have_count(kept)
    visit.status(f"{kept} of 7 results")
    visit.slide("#least", 0)
    expect(visit.cards).to_have_count(7)
    assert len(visit.searches) == asked


def test_a_cut_that_leaves_nothing_says_so_and_can_be_taken_back(visit: Visit) -> None:
    visit.open(f"{about('mug/mug-001-1.jpg')}&least=1")
    visit.state("No similar images")
    visit["#empty button"].click()
    expect(visit.cards).to_have_count(20)


def crop(visit: Visit) -> list[float]:
    found = visit.page.evaluate("new URLSearchParams(location.search).get('crop')")
    return [float(one) for one in (found or "0,0,1,1").split(",")]


def place(frame: Locator) -> tuple[float, float, float, float]:
    box = frame.bounding_box()
    assert box is not None
    return box["x"], box["y"], box["width"], box["height"]


def test_a_part_drawn_with_the_mouse_is_searched_with(visit: Visit) -> None:
    visit.open(about("mug/mug-001-1.jpg"))
    whole = visit.ids()
    visit["#crop-button"].click()
    visit.settled()
    assert crop(visit) == [0.2, 0.2, 0.8, 0.8]
    x, y, width, height = place(visit["#frame"])
    mouse = visit.page.mouse
    mouse.move(x + 0.05 * width, y + 0.05 * height)
    mouse.down()
    mouse.move(x + 0.15 * width, y + 0.1 * height, steps=3)
    mouse.move(x + 0.35 * width, y + 0.15 * height, steps=3)
    mouse.up()
    visit.settled()
    assert crop(visit) == pytest.approx([0.05, 0.05, 0.35, 0.15], abs=0.02)
    assert json.loads(visit.searches[-1].post_data or "")["crop"] == pytest.approx(
        crop(visit), abs=1e-3
    )
    assert visit.ids() != whole
    x, y, width, height = place(visit["#crop [data-grip=se]"])
    mouse.move(x + width / 2, y + height / 2)
    mouse.down()
    mouse.move(x + 400, y + 700, steps=3)  # beyond the image
    mouse.up()
    visit.settled()
    assert crop(visit)[2:] == [1, 1]
    visit["#crop-button"].click()
    visit.settled()
    assert crop(visit) == [0, 0, 1, 1]
    assert visit.ids() == whole


def test_a_part_is_moved_and_sized_by_keys_in_one_step_of_the_history(visit: Visit) -> None:
    visit.open(about("mug/mug-001-1.jpg"))
    visit["#crop-button"].press("Enter")
    expect(visit["#crop"]).to_be_focused()
    length = visit.page.evaluate("history.length")
    for key in ["ArrowLeft"] * 3 + ["ArrowDown"] * 2 + ["Shift+ArrowRight"] * 4:
        visit.page.keyboard.press(key)
    visit.until("location.search.includes('0.14')")
    visit.settled()
    assert crop(visit) == pytest.approx([0.14, 0.24, 0.82, 0.84])
    assert visit.page.evaluate("history.length") == length
    visit.page.keyboard.press("Escape")
    visit.settled()
    assert crop(visit) == [0, 0, 1, 1]


def test_likes_and_dislikes_change_the_results(visit: Visit) -> None:
    visit.open(about("mug/mug-001-1.jpg"))
    liked = visit.act("like", 3)
    expect(visit["#liked li"]).to_have_count(1)
    assert liked not in visit.ids()
    disliked = visit.act("dislike", 0)
    expect(visit["#disliked li"]).to_have_count(1)
    said = json.loads(visit.searches[-1].post_data or "")
    assert (said["positive"], said["negative"]) == ([liked], [disliked])
    visit["#liked button"].click()
    visit.settled()
    expect(visit["#liked"]).to_be_hidden()
    assert liked in visit.ids()


def test_further_images_are_chips_with_a_weight(visit: Visit, query: Path) -> None:
    visit.open(about("mug/mug-001-1.jpg"))
    before = visit.ids()
    expect(visit["#also"]).to_be_hidden()
    added = visit.act("compare", 2)
    visit["#details-actions"].get_by_text("Add to query").click()
    visit.settled()
    expect(visit["#also li"]).to_have_count(1)
    assert added not in visit.ids()
    visit["#also select"].select_option("2")
    visit.settled()
    visit["#weight select"].select_option("0.5")
    visit.settled()
    visit["#mix"].select_option("best")
    visit.settled()
    said = json.loads(visit.searches[-1].post_data or "")
    assert said["parts"] == [{"id": "mug/mug-001-1.jpg", "weight": 0.5}, {"id": added, "weight": 2}]
    assert said["mix"] == "best"
    visit["#more-files"].set_input_files(query)
    expect(visit["#also li"]).to_have_count(2)
    visit.settled()
    assert "multipart/form-data" in visit.searches[-1].headers["content-type"]
    mixed = visit.ids()
    visit.page.reload()
    visit.settled()
    assert visit.ids() == mixed
    expect(visit["#also li"]).to_have_count(2)
    for _ in range(2):
        visit["#also button"].first.click()
        visit.settled()
    expect(visit["#also"]).to_be_hidden()
    assert visit.ids() == before


def test_less_like_from_the_start_waits_for_a_query(visit: Visit) -> None:
    visit.open()
    disliked = visit.act("dislike", 0)
    expect(visit["#disliked li"]).to_have_count(1)
    visit.status("Results will be less like 1 image")
    visit.status("Now choose what they should be like")
    assert not visit.searches
    chosen = visit.cards.nth(1).get_attribute("data-id")
    visit.cards.nth(1).locator("a").click()
    expect(visit["#query-name"]).to_have_attribute("title", chosen or "")
    visit.settled()
    said = json.loads(visit.searches[-1].post_data or "")
    assert (said["id"], said["negative"]) == (chosen, [disliked])
    expect(visit["#disliked li"]).to_have_count(1)


def test_copies_are_folded_and_products_shown_once(visit: Visit, catalogue: list[Drawn]) -> None:
    visit.open(f"{about('mug/mug-001-1.jpg')}&k=50")
    everything = set(visit.ids())
    visit["#collapse"].check()
    visit.settled()
    assert len(visit.ids()) == len(everything) - 1
    visit["#collapse"].uncheck()
    visit["#per-group"].check()
    visit.settled()
    products = {one.product for one in catalogue} - {"mug-001"}
    assert len(visit.ids()) == len(products) + 1  # the copy is of no product


def test_results_are_ranked_by_the_expanded_query_and_for_variety(visit: Visit) -> None:
    visit.open(about("mug/mug-001-1.jpg"))
    plain = visit.ids()
    for name, value, said in (("expand", "5", "5"), ("diversity", "60", "0.6")):
        visit[f"#{name}"].fill(value)
        visit.until(f"location.search.includes('{name}={said}')")
        visit.settled()
        expect(visit[f"#{name}-says"]).to_have_text(said)
        assert json.loads(visit.searches[-1].post_data or "")[name] == float(said)
    assert visit.ids() != plain
    visit.page.reload()
    visit.settled()
    expect(visit["#diversity"]).to_have_value("60")


def test_a_turned_query_is_found_and_the_turn_is_shown(visit: Visit, query: Path) -> None:
    visit.open()
    visit["#file"].set_input_files(query)
    expect(visit.cards).to_have_count(20)
    visit["#any-orientation"].check()
    visit.settled()
    response = visit.searches[-1].response()
    assert response is not None
    found = response.json()["hits"]
    turned = [hit["id"] for hit in found if hit["orientation"] != "upright"]
    shown = visit.cards.filter(has_text=re.compile("turned|mirrored")).count()
    assert shown == len(turned)
    visit.act("like", 0)  # of a query of several images, none is turned
    visit.settled()
    expect(visit["#any-orientation"]).to_be_hidden()


def test_the_guessed_category_is_told_and_kept_to(visit: Visit, query: Path) -> None:
    visit.open()
    visit["#file"].set_input_files(query)
    expect(visit.cards).to_have_count(20)
    visit["#category"].check()
    visit.settled()
    said = visit["#status"].inner_text()
    assert "Category: " in said or "All categories: " in said


def test_a_result_is_shown_beside_the_query(visit: Visit, catalogue: list[Drawn]) -> None:
    visit.open(about("mug/mug-001-1.jpg"))
    identity = visit.act("compare", 1)
    dialog = visit["#details"]
    expect(dialog.locator("img")).to_have_count(2)
    expect(dialog).to_contain_text(identity)
    title = next(one.title for one in catalogue if identity.endswith(one.path.name))
    expect(dialog).to_contain_text(title)
    file = visit.service.address + (dialog.locator("a").get_attribute("href") or "")
    assert "/image?v=" in file
    dialog.get_by_role("button", name="Search with this image").click()
    visit.settled()
    expect(visit["#query-name"]).to_have_attribute("title", identity)


def test_the_address_opens_the_same_again(visit: Visit, query: Path) -> None:
    visit.open("?k=9&least=0.1&fold=1&in.label=%22mug%22&in.label=%22bag%22&of.price=5..")
    visit["#file"].set_input_files(query)
    visit.until("location.search.includes('up=')")
    visit.settled()
    liked = visit.act("like", 1)
    before, address = visit.ids(), visit.page.url
    assert 0 < len(before) <= 9
    assert "least=0.1" in address
    assert all(identity.startswith(("mug/", "bag/")) for identity in [*before, liked])
    visit.page.reload()
    visit.settled()
    assert (visit.ids(), visit.page.url) == (before, address)
    expect(visit["#collapse"]).to_be_checked()
    expect(visit["#liked li"]).to_have_count(1)


def test_the_results_of_the_latest_query_are_shown(visit: Visit, service: Service) -> None:
    visit.open()
    some = service.ids()[:6]
    visit.page.evaluate(
        """(ids) => {
          for (const id of ids) {
            history.pushState(null, "", `?id=${encodeURIComponent(id)}`);
            dispatchEvent(new PopStateEvent("popstate"));
          }
        }""",
        some,
    )
    expect(visit["#query-name"]).to_have_attribute("title", some[-1])
    visit.settled()
    expect(visit.cards).to_have_count(20)
    assert some[-1] not in visit.ids()
    assert visit["#query-image"].get_attribute("src") == (
        f"/v1/collections/shop/item/thumbnail?id={quote(some[-1], safe='')}&side=1200"
    )


def test_a_match_level_is_shown_on_its_result(visit: Visit) -> None:
    def telling(route: Route) -> None:
        answer = route.fetch()
        told = answer.json()
        told["hits"][0]["match"] = "strong"
        route.fulfill(response=answer, json=told)

    visit.page.route("**/search", telling)
    visit.open(about(COPY))
    expect(visit[".card .match"]).to_have_text(["strong"])
    expect(visit.cards.first.locator("a")).to_have_attribute(
        "aria-label", re.compile("strong match")
    )


def test_another_collection_is_searched_with_the_same_image(visit: Visit, query: Path) -> None:
    visit.open()
    visit["#file"].set_input_files(query)
    expect(visit.cards).to_have_count(20)
    visit["#collection"].select_option("yard")
    visit.settled()
    expect(visit["#query-name"]).to_have_text(query.name)
    assert "c=yard" in visit.page.url
    assert not {"mug", "bag"} & {identity.split("/")[0] for identity in visit.ids()}


def test_suggested_crops_are_tapped_to_search_with(visit: Visit) -> None:
    visit.open(about("mug/mug-001-1.jpg"))
    visit["#crop-button"].click()
    first = visit["#proposals button"].first
    expect(first).to_be_visible()
    first.click()
    visit.settled()
    chosen = crop(visit)
    assert chosen != [0.2, 0.2, 0.8, 0.8]
    assert json.loads(visit.searches[-1].post_data or "")["crop"] == pytest.approx(chosen, abs=1e-3)
    expect(first).to_have_attribute("aria-pressed", "true")
    visit["#crop-button"].click()
    expect(visit["#proposals"]).to_be_hidden()
