"""How good a match is: the words of a collection's calibration, over HTTP."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import lookalike
from live import Live, hits, serving
from lookalike.analysis import calibration
from lookalike.output.json_documents import hits_json
from lookalike.search import ItemRef, Query, SearchOptions, run
from lookalike.service.match_levels import MatchLevels

PNG = {"Content-Type": "image/png"}


@pytest.fixture(scope="module")
def many(
    tmp_path_factory: pytest.TempPathFactory, card: Path, paint: Callable[[Path, int], Path]
) -> Path:
    """A home with ``many``: forty pictures, enough to measure."""
    home = tmp_path_factory.mktemp("many")
    for number in range(40):
        paint(home / "pictures" / f"{number}.png", number)
    with lookalike.open(home / "collections" / "many", encoder=card, create=True) as made:
        made.index(home / "pictures")
    return home


@pytest.fixture
def own(many: Path, tmp_path: Path) -> Iterator[Live]:
    shutil.copytree(many / "collections", tmp_path / "collections")
    with serving(tmp_path) as live:
        yield live


def _scale(live: Live) -> calibration.Calibration | None:
    with live.opened("many") as shop:
        return calibration.load_calibration(shop)


def test_an_answer_has_the_same_members_before_calibration(own: Live) -> None:
    answer = own.client.get("/v1/items/3.png/similar?k=5")
    assert answer.json()["matches"] is None
    assert all(hit["match"] is None for hit in hits(answer))
    assert _scale(own) is None


def test_a_level_that_is_asked_for_is_measured_once_and_kept(own: Live) -> None:
    first = own.client.get("/v1/items/3.png/similar?k=40&min_match=weak")
    scale = _scale(own)
    assert scale is not None
    told = first.json()["matches"]
    assert told["min"] == "weak"
    assert {level.match: round(level.least, 6) for level in scale.levels} == {
        match: told[match] for match in ("strong", "fair", "weak")
    }
    assert all(hit["score"] >= told["weak"] - 1e-6 for hit in hits(first))
    own.client.get("/v1/items/4.png/similar?min_match=fair")
    assert _scale(own) == scale  # its moment too


def test_answers_have_the_words_that_the_core_gives(own: Live) -> None:
    with own.opened("many") as shop:
        scale = calibration.calibrate(shop)
        results = run(shop, Query.of(ItemRef("3.png")), SearchOptions(k=30), scale=scale)
        expected = [(one["id"], one["match"]) for one in hits_json(shop, results)]
    answer = own.client.get("/v1/items/3.png/similar?k=30")
    assert [(hit["id"], hit["match"]) for hit in hits(answer)] == expected
    assert answer.json()["matches"]["min"] is None


def test_no_hit_has_a_reason(own: Live) -> None:
    whole = own.client.get("/v1/items/3.png/similar?min_match=weak&min_score=1")
    assert hits(whole) == []
    told = whole.json()["matches"]
    assert told["nothing"].startswith("the most similar item, ")
    assert -1 <= told["nearest"]["score"] < 1
    assert whole.json()["best"] == told["nearest"]
    (note,) = whole.json()["notes"]
    assert (note["code"], note["message"]) == ("below-min-match", told["nothing"])


def test_every_query_of_a_batch_may_ask_for_its_own_level(own: Live) -> None:
    queries = [{"id": "3.png", "min_match": match} for match in ("strong", "fair", "weak")]
    queries.append({"id": "3.png"})
    answers = own.client.post("/v1/search/batch", json={"queries": queries}).json()["results"]
    assert [one["matches"]["min"] for one in answers[:3]] == ["strong", "fair", "weak"]
    counts = [one["total"] for one in answers]
    assert counts == sorted(counts)
    assert counts[-1] == 10


def test_an_unknown_level_is_refused(own: Live) -> None:
    answer = own.client.get("/v1/items/3.png/similar?min_match=good")
    assert answer.json()["code"] == "invalid-request"


def test_few_items_are_judged_by_rule_of_thumb(live: Live) -> None:
    told = live.client.get("/v1/items/0.png/similar?min_match=weak").json()["matches"]
    assert told["measured"] is False
    assert told["weak"] == calibration.FIXED["weak"]
    assert "too few" in told["reason"]


def test_the_word_is_a_member_that_may_be_left_out(own: Live) -> None:
    path = "/v1/items/3.png/similar?k=1&min_match=weak&fields="
    assert set(hits(own.client.get(f"{path}label"))[0]) == {"rank", "score", "id", "label"}
    assert set(hits(own.client.get(f"{path}match"))[0]) == {"rank", "score", "id", "match"}


def test_what_cannot_be_kept_is_still_measured_once(many: Path) -> None:
    with lookalike.open(many / "collections" / "many", create=False) as shop:
        levels = MatchLevels(shop, shop)
        assert levels.known("weak") is None
        scale = levels.measured()
        shop.store.settings.set("calibration", None)  # as if nothing could be written
        levels._looked -= 2.0  # as if that were a while ago
        assert levels.known(None) is scale
        assert levels.measured() is scale


def test_levels_go_with_the_items_that_they_were_measured_on(many: Path, tmp_path: Path) -> None:
    shutil.copytree(many / "collections", tmp_path / "collections")
    with lookalike.open(tmp_path / "collections" / "many", create=False) as shop:
        levels = MatchLevels(shop, shop)
        levels.measured()
        for number in range(20):
            shop.remove(f"{number}.png")
        levels._looked -= 2.0
        assert levels.known("weak") is None
