"""Filtering results by label, metadata, number and expression."""

from urllib.parse import quote

from playwright.sync_api import Locator, expect

from drawn_catalogue import Drawn
from end_to_end.visits import Visit

QUERY = f"?id={quote('mug/mug-001-1.jpg', safe='')}"


def facet(visit: Visit, field: str) -> Locator:
    """A facet, opened."""
    found = visit[f"details.facet[data-field='{field}']"]
    if found.get_attribute("open") is None:
        found.locator("summary").click()
    return found


def test_checked_values_filter_and_keep_the_counts_of_their_field(
    visit: Visit, catalogue: list[Drawn]
) -> None:
    visit.open(QUERY)
    label = facet(visit, "label")
    mugs = sum(one.kind == "mug" for one in catalogue)
    line = label.locator("label", has_text="mug")
    expect(line.locator("data")).to_have_text(str(mugs))
    lines = label.locator("label").count()
    line.click()
    visit.settled()
    assert len(visit.ids()) == mugs - 1  # the query itself is left out
    expect(visit["#filter-count"]).to_have_text("1")
    colour = facet(visit, "colour").locator("data")
    colours = {one.colour for one in catalogue if one.kind == "mug"}
    expect(colour).to_have_count(len(colours))
    expect(label.locator("label")).to_have_count(lines)
    label.locator("label", has_text="bag").click()
    visit.settled()
    expect(label.locator("summary .count")).to_have_text("2")
    assert {identity.split("/")[0] for identity in visit.ids()} == {"mug", "bag"}
    visit["#clear"].click()
    visit.settled()
    expect(visit.cards).to_have_count(20)
    expect(visit["#filter-count"]).to_be_hidden()


def test_what_is_not_looked_at_is_not_counted_again(visit: Visit) -> None:
    visit.open(QUERY)
    expect(visit["details.facet[data-field=colour]"]).to_be_attached()
    asked: list[str] = []
    visit.page.on("request", lambda request: asked.append(request.url))
    label = facet(visit, "label")
    label.locator("label", has_text="mug").click()
    visit.settled()
    counted = [url for url in asked if "/facets?" in url]
    assert len(counted) == 1
    assert "field=label" in counted[0]
    with visit.page.expect_request(lambda request: "field=colour" in request.url):
        facet(visit, "colour")


def test_the_example_of_a_filter_means_something_here(visit: Visit) -> None:
    visit.open(QUERY)
    example = visit["#where"].get_attribute("placeholder") or ""
    assert example.startswith("label=")
    visit["#where"].fill(example)
    visit["#where"].press("Enter")
    visit.settled()
    assert len({identity.split("/")[0] for identity in visit.ids()}) == 1
    expect(visit["#where-says"]).to_be_empty()


def test_fields_have_readable_titles_and_their_own_name_for_filters(visit: Visit) -> None:
    visit.open(QUERY)
    pattern = facet(visit, "surfacePattern").locator("summary")
    expect(pattern).to_have_text("Surface pattern")
    expect(pattern).to_have_attribute("title", "Name in filters: surfacePattern")


def test_a_field_of_any_name_can_be_ticked(visit: Visit, catalogue: list[Drawn]) -> None:
    visit.open(f"{QUERY}&k=50&in.__proto__=1&of.toString=1..2")
    visit["#clear"].click()
    visit.settled()
    backgrounds = facet(visit, "constructor")
    first = backgrounds.locator("label").first
    count = int(first.locator("data").inner_text())
    name = first.locator("span").inner_text()
    assert count == sum(one.background == name for one in catalogue)
    first.click()
    visit.settled()
    expect(visit["#filter-count"]).to_have_text("1")
    assert count - 1 <= len(visit.ids()) <= count


def test_values_are_searched_by_name(visit: Visit) -> None:
    visit.open(QUERY)
    colour = facet(visit, "colour")
    colour.locator("[type=search]").fill("TEA")
    shown = colour.locator("li:visible span").all_inner_texts()
    assert shown
    assert all("tea" in one for one in shown)
    colour.locator("[type=search]").fill("no such colour")
    expect(colour.locator("li:visible")).to_have_text("No matching value")


def test_a_number_is_filtered_from_and_to(visit: Visit, catalogue: list[Drawn]) -> None:
    visit.open(f"{QUERY}&k=50")
    price = facet(visit, "price")
    prices = sorted(float(one.price) for one in catalogue)
    low, high = prices[len(prices) // 4], prices[len(prices) // 2]
    price.get_by_label("Price from").fill(str(low))
    price.get_by_label("Price from").press("Enter")
    visit.settled()
    price.get_by_label("Price to").fill(str(high))
    price.get_by_label("Price to").press("Tab")
    visit.settled()
    expect(visit["#filter-count"]).to_have_text("1")
    fitting = {
        f"{one.kind}/{one.path.name}" for one in catalogue if low <= float(one.price) <= high
    } - {"mug/mug-001-1.jpg"}
    assert set(visit.ids()) == fitting
    assert f"of.price={low:g}..{high:g}" in visit.page.url


def test_a_filter_that_is_wrong_says_so_where_it_was_written(visit: Visit) -> None:
    visit.refusals = True
    visit.open(f"{QUERY}&in.label=%22mug%22")
    before = visit.ids()
    visit.page.keyboard.press("/")
    expect(visit["#where"]).to_be_focused()
    visit.page.keyboard.type("price is 3")
    visit.page.keyboard.press("Enter")
    expect(visit["#where-says"]).to_contain_text("after 'price' must come one of")
    expect(visit["#where-says"]).to_contain_text("at character 7")
    expect(visit["#where"]).to_have_attribute("aria-invalid", "true")
    assert visit.ids() == before  # what was there stays
    visit["#where"].fill("price < 1e9")
    visit["#where"].press("Enter")
    visit.settled()
    expect(visit["#where-says"]).to_be_empty()
    assert visit.ids() == before


def test_a_filter_that_nothing_meets_says_why(visit: Visit) -> None:
    visit.open(f"{QUERY}&where=colr%3Dred")
    visit.state("No results")
    expect(visit["#empty"]).to_contain_text("No item has the field 'colr'; did you mean 'colour'?")


def test_a_filter_that_nothing_meets_can_be_cleared(visit: Visit) -> None:
    visit.open(f"{QUERY}&where=label%3Dnothing")
    visit.state("No results")
    visit["#empty button"].click()
    expect(visit.cards).to_have_count(20)
