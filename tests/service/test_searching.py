"""Searching over HTTP, as a program meets it."""

import base64
import json
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from PIL import Image

from hostile import photo, saved
from live import Live, hits, ids, picture, problem, serving
from lookalike.output.json_documents import hits_json
from lookalike.service.settings import ServiceSettings

# -- forms of a query ------------------------------------------------------------------------


def test_every_form_of_a_picture_has_the_same_answer(live: Live) -> None:
    data = picture(live)
    text = base64.b64encode(data).decode()
    path = "/v1/collections/shop/search"
    ask = live.client.post
    answers = [
        ask(path, content=data, headers={"Content-Type": "image/png"}),
        ask(path, content=data, headers={"Content-Type": "application/octet-stream"}),
        ask(path, files={"image": data}),
        ask(path, files={"anything": ("photo.png", data, "text/html")}),
        ask(path, json={"image_base64": text}),
        ask(path, json={"image_base64": f"data:image/png;base64,{text}"}),
        ask("/v1/search", files={"image": data}),
    ]
    assert len({json.dumps(hits(answer)) for answer in answers}) == 1
    assert ids(answers[0])[0] == "mugs/1.png"


def test_an_answer_is_what_the_library_answers_with_links(live: Live) -> None:
    data = picture(live)
    answer = live.client.post("/v1/search?k=4", files={"image": ("a.png", data)}).json()
    with live.opened() as shop:
        expected = hits_json(shop, shop.search(data, k=4))
        info = shop.info()
    assert [
        {name: value for name, value in hit.items() if name not in {"thumbnail", "image"}}
        for hit in answer["hits"]
    ] == expected
    assert answer["query"] == {"path": "a.png"}
    assert (answer["total"], answer["score"]) == (4, "cosine")
    assert answer["seconds"] > 0
    assert answer["collection"]["name"] == "shop"
    assert answer["collection"]["items"] == info.items == 13
    for hit in answer["hits"]:
        for link in (hit["thumbnail"], hit["image"]):
            assert live.client.get(link).status_code == 200


@pytest.mark.parametrize(
    "name",
    [
        "0.png",
        "mugs/blue one.png",
        "mugs/100%.png",
        "mugs/a+b&c=d?e#f.png",
        "böden/Größe.png",
        "製品/茶碗.png",
        "odd/similar/7.png",
        "odd/similar",
        "odd/thumbnail.png",
        "deep/er/and/deeper/10.png",
    ],
)
def test_an_item_is_found_by_its_id_whatever_that_holds(live: Live, name: str) -> None:
    path = f"/v1/collections/shop/items/{quote(name, safe='')}"
    assert live.client.get(path).json()["id"] == name
    answer = live.client.get(f"{path}/similar", params={"k": 3})
    with live.opened() as shop:
        assert ids(answer) == [hit.item.id for hit in shop.similar(name, k=3)]
    assert answer.json()["query"] == {"id": name}
    assert ids(live.client.post("/v1/search", json={"id": name, "k": 3})) == ids(answer)
    plain = "/v1/items/" + quote(name)
    if not name.endswith("similar"):
        assert live.client.get(plain).json()["id"] == name
        assert ids(live.client.get(f"{plain}/similar", params={"k": 3})) == ids(answer)


def test_plain_slashes_ask_what_is_similar_and_encoded_ones_name_the_item(live: Live) -> None:
    problem(live.client.get("/v1/items/odd/similar"), 404, "no-such-item")  # similar to `odd`
    assert live.client.get("/v1/items/odd%2Fsimilar").json()["id"] == "odd/similar"
    assert hits(live.client.get("/v1/items/odd/similar/similar"))


# -- options ---------------------------------------------------------------------------------


def test_options_stand_in_query_form_and_json_alike(live: Live) -> None:
    data, path = picture(live), "/v1/search"
    wanted: dict[str, str | int | float] = {
        "k": 2,
        "where": "colour=red and price<9",
        "min_score": -0.5,
        "collapse": "true",
    }
    answers = [
        live.client.post(path, params=wanted, files={"image": data}),
        live.client.post(
            path, data={name: str(value) for name, value in wanted.items()}, files={"p": data}
        ),
        live.client.post(path, json=wanted | {"image_base64": base64.b64encode(data).decode()}),
        live.client.post(path, params={"k": 9}, data=wanted, files={"p": data}),
    ]
    assert len({json.dumps(hits(answer)) for answer in answers}) == 1
    assert {hit["metadata"]["colour"] for hit in hits(answers[0])} == {"red"}


def test_a_label_a_group_and_a_threshold_narrow_the_answers(live: Live) -> None:
    data = {"image": picture(live)}
    mugs = hits(live.client.post("/v1/search?label=mug&k=20", files=data))
    assert {hit["label"] for hit in mugs} == {"mug"}
    groups = hits(live.client.post("/v1/search?per_group=true&k=20", files=data))
    assert len({hit["group"] for hit in groups}) == len(groups)
    every = hits(live.client.post("/v1/search?k=20", files=data))
    cut = every[2]["score"]
    above = hits(live.client.post(f"/v1/search?k=20&min_score={cut}", files=data))
    assert [hit["id"] for hit in above] == [hit["id"] for hit in every if hit["score"] >= cut]
    assert hits(live.client.post("/v1/search?where=label=nothing", files=data)) == []


def test_only_the_wanted_members_of_a_hit_come(live: Live) -> None:
    (hit,) = hits(live.client.get("/v1/items/0.png/similar?k=1&fields=label&fields=metadata.price"))
    assert set(hit) == {"rank", "score", "id", "label", "metadata"}
    assert set(hit["metadata"]) == {"price"}
    (hit,) = hits(live.client.get("/v1/items/0.png/similar?k=1&fields=metadata.nothing"))
    assert hit["metadata"] == {}
    problem(live.client.get("/v1/items/0.png/similar?fields=vector"), 422, "invalid-request")


def test_an_upload_finds_its_exact_duplicates_and_an_item_is_left_out(live: Live) -> None:
    data = picture(live, "0.png")
    found = live.client.post("/v1/search?k=20", files={"p": data})
    assert ids(found)[:2] == ["0.png", "copy.png"]
    assert found.json()["left_out"] == []
    for answer in (
        live.client.get("/v1/items/0.png/similar?k=20"),
        live.client.post("/v1/search?k=20", json={"id": "0.png"}),
        live.client.post("/v1/search?k=20", json={"id": "0.png", "category": "auto"}),
    ):
        assert "copy.png" in ids(answer)
        assert "0.png" not in ids(answer)
        assert answer.json()["left_out"] == ["0.png"]
    with_it = live.client.get("/v1/items/0.png/similar?k=20&include_self=true")
    assert ids(with_it)[:2] == ["0.png", "copy.png"]
    assert with_it.json()["left_out"] == []


def test_an_answer_without_hits_says_why(live: Live) -> None:
    def notes(path: str) -> list[dict[str, Any]]:
        answer = live.client.get(f"/v1/{path}").json()
        found: list[dict[str, Any]] = answer["notes"]
        return found

    similar = "items/deep%2Fer%2Fand%2Fdeeper%2F10.png/similar"
    wrong = {
        "code": "no-such-field",
        "message": "no item has the field 'colr'; did you mean 'colour'?",
        "field": "colr",
        "did_you_mean": "colour",
    }
    for path in (
        f"{similar}?where=colr%3Dred",
        "items?where=colr%3Dred",
        "items?sample=3&where=colr%3Dred",
        "facets?field=colr",
        "facets?field=price&where=colr%3Dred",
    ):
        assert notes(path) == [wrong]
    (case,) = notes(f"{similar}?where=colour%3DRed")
    assert (case["code"], case["did_you_mean"], case["count"]) == ("other-case", "red", 4)
    (below,) = notes(f"{similar}?min_score=0.9999")
    assert below["code"] == "below-min-score"
    answer = live.client.get(f"/v1/{similar}?min_score=0.9999").json()
    assert answer["best"] == {"id": below["id"], "score": below["best"]}
    mixed = {"id": "0.png", "positive": ["copy.png"], "min_score": 0.9999}
    assert live.client.post("/v1/search", json=mixed).json()["best"]["score"] < 0.9999
    assert notes(f"{similar}?where=price%3C3") == []


def test_the_category_is_predicted_and_said(live: Live) -> None:
    answer = live.client.post("/v1/search?category=mug", files={"p": picture(live)}).json()
    assert answer["category"]["used"] == ["mug"]
    assert {hit["label"] for hit in answer["hits"]} == {"mug"}
    answer = live.client.post("/v1/search?category=auto&k=2", files={"p": picture(live)}).json()
    assert answer["category"]["predicted"]
    assert answer["category"]["scope"] in {"category", "all"}
    by_id = live.client.post("/v1/search", json={"id": "mugs/1.png", "category": "mug"})
    assert "mugs/1.png" not in ids(by_id)
    refused = live.client.post("/v1/search?category=car", files={"p": picture(live)})
    problem(refused, 409, "collection")


# -- parts and several pictures --------------------------------------------------------------


def test_a_part_of_a_picture_is_searched_by(live: Live, tmp_path: Path) -> None:
    both = Image.new("RGB", (128, 48))
    folder = live.home / "pictures"
    with Image.open(folder / "0.png") as left, Image.open(folder / "mugs/blue one.png") as right:
        both.paste(left, (0, 0))
        both.paste(right, (64, 0))
    both.save(tmp_path / "both.png")
    data = (tmp_path / "both.png").read_bytes()
    first = live.client.post("/v1/search?k=1", data={"crop": "0,0,0.5,1"}, files={"p": data})
    assert ids(first)[0] in {"0.png", "copy.png"}
    assert first.json()["query"] == {"path": "upload", "crop": [0.0, 0.0, 0.5, 1.0]}
    as_it_is = {"content": data, "headers": {"Content-Type": "image/png"}}
    same = live.client.post("/v1/search?k=1&crop=0,0,0.5,1", **as_it_is)  # type: ignore[arg-type]
    assert ids(same) == ids(first)
    problem(live.client.post("/v1/search?crop=1,2", **as_it_is), 422, "invalid-request")  # type: ignore[arg-type]
    text = base64.b64encode(data).decode()
    second = live.client.post("/v1/search", json={"image_base64": text, "crop": [0.5, 0, 1, 1]})
    assert ids(second)[0] == "mugs/blue one.png"
    own = live.client.post("/v1/search", json={"id": "0.png", "crop": [0, 0, 0.5, 0.5], "k": 20})
    assert "0.png" not in ids(own)


@pytest.mark.parametrize("crop", [[0, 0, 0, 1], [0.5, 0, 0.2, 1], [0, 0, 1.2, 1], [0, 1], "x"])
def test_an_impossible_part_is_refused(live: Live, crop: object) -> None:
    answer = live.client.post("/v1/search", json={"id": "0.png", "crop": crop})
    problem(answer, 422, "invalid-request")


def test_several_pictures_are_mixed_and_left_out(live: Live) -> None:
    one, other = picture(live, "mugs/1.png"), picture(live, "mugs/blue one.png")
    files = [("image", ("1", one)), ("image", ("2", other))]
    answer = live.client.post("/v1/search?k=20", files=files)
    assert {"mugs/1.png", "mugs/blue one.png"} <= set(ids(answer))
    assert answer.json()["query"] == {
        "parts": [{"path": "1", "weight": 1.0}, {"path": "2", "weight": 1.0}]
    }
    by_id = {"id": "mugs/1.png", "positive": [{"id": "mugs/blue one.png", "weight": 1}], "k": 20}
    same = live.client.post("/v1/search", json=by_id)
    both = {"mugs/1.png", "mugs/blue one.png"}
    assert ids(same) == [name for name in ids(answer) if name not in both]
    assert set(same.json()["left_out"]) == both
    leaning = {"weights": ["1000", "0.001"], "k": "20"}
    heavy = ids(live.client.post("/v1/search", data=leaning, files=files))
    alone = ids(live.client.post("/v1/search?k=20", files={"p": one}))
    assert heavy == alone
    one_weight = live.client.post("/v1/search", data={"weights": "1"}, files=files)
    problem(one_weight, 422, "weights")


def test_what_is_disliked_falls_back(live: Live) -> None:
    plain = hits(live.client.post("/v1/search", json={"id": "0.png", "k": 20}))
    disliked = plain[1]["id"]
    asked = {"id": "0.png", "negative": [disliked], "k": 20, "include_self": True}
    away = {hit["id"]: hit["score"] for hit in hits(live.client.post("/v1/search", json=asked))}
    assert away[disliked] < plain[1]["score"]
    asked["include_self"] = False
    assert disliked not in ids(live.client.post("/v1/search", json=asked))


def test_liked_items_are_a_query_of_their_own(live: Live) -> None:
    answer = live.client.post("/v1/search", json={"positive": ["0.png"], "k": 3})
    assert "0.png" not in ids(answer)
    assert len(ids(answer)) == 3
    both = {"positive": ["0.png"], "negative": ["0.png"]}
    assert ids(live.client.post("/v1/search", json=both))  # liked more than disliked
    opposite = {
        "positive": [{"id": "0.png", "weight": 1}],
        "negative": [{"id": "0.png", "weight": 1}],
    }
    problem(live.client.post("/v1/search", json=opposite), 422, "nothing-asked")


def test_a_form_mixes_uploads_items_and_words_with_weights_and_crops(live: Live) -> None:
    one, other = picture(live, "mugs/1.png"), picture(live, "mugs/blue one.png")
    files = [("image", ("1", one)), ("image", ("2", other))]
    parts: list[dict[str, object]] = [
        {"image": 1, "weight": 2, "crop": [0, 0, 0.5, 1]},
        {"id": "0.png", "weight": -0.5},
        {"image": 0},
    ]
    form = live.client.post("/v1/search?k=20", data={"parts": json.dumps(parts)}, files=files)
    encoded = [base64.b64encode(data).decode() for data in (one, other)]
    as_json = [
        {"image_base64": encoded[part.pop("image")]} | part  # type: ignore[call-overload]
        if "image" in part
        else part
        for part in parts
    ]
    same = live.client.post("/v1/search", json={"parts": as_json, "k": 20})
    assert ids(form) == ids(same)
    assert [part["weight"] for part in form.json()["query"]["parts"]] == [2, -0.5, 1]
    assert form.json()["query"]["parts"][0] == {"path": "2", "crop": [0, 0, 0.5, 1], "weight": 2}
    best = {"parts": json.dumps([{"id": "0.png"}]), "weights": ["1", "0.5"], "mix": "best"}
    answer = live.client.post("/v1/search?k=20", data=best, files=files)
    assert [part["weight"] for part in answer.json()["query"]["parts"]] == [1, 0.5, 1]
    worded = {"parts": json.dumps([{"image": 0}, {"image": 1}, {"text": "mug"}])}
    assert hits(live.client.post("/v1/search", data=worded, files=files))


@pytest.mark.parametrize(
    ("parts", "code", "detail"),
    [
        ([{"image": 2}], "no-image", "names image 2, but 2 were sent"),
        ([{"image": 0}], "two-queries", "but not image 1"),
        ([{"image": -1}], "invalid-request", "parts"),
        ([{"image": 0, "id": "0.png"}], "invalid-request", "give one of"),
        ([{"weight": 2}], "invalid-request", "give one of"),
        ("[", "bad-json", "the field parts is not JSON"),
    ],
)
def test_parts_of_a_form_that_mean_nothing_are_refused(
    live: Live, parts: object, code: str, detail: str
) -> None:
    one = picture(live, "mugs/1.png")
    files = [("image", ("1", one)), ("image", ("2", one))]
    data = {"parts": parts if isinstance(parts, str) else json.dumps(parts)}
    answer = live.client.post("/v1/search", data=data, files=files)
    assert detail in problem(answer, 422, code)["detail"]


def test_only_less_like_is_no_query(live: Live) -> None:
    for asked in (
        {"negative": ["0.png"]},
        {"parts": [{"id": "0.png", "weight": -1}]},
        {"parts": [{"id": "0.png", "weight": -1}], "mix": "best"},
    ):
        answer = live.client.post("/v1/search", json=asked)
        assert (
            "only what results should be less like"
            in problem(answer, 422, "nothing-asked")["detail"]
        )
    sent = live.client.post("/v1/search", json={"parts": [{"image": 0}]})
    assert "names image 0, but 0 were sent" in problem(sent, 422, "no-image")["detail"]


# -- batches ---------------------------------------------------------------------------------


def test_a_batch_has_an_answer_or_a_problem_for_each(live: Live) -> None:
    queries = [
        {"id": "0.png", "k": 2},
        {"id": "nobody"},
        {"image_base64": base64.b64encode(b"no picture").decode()},
        {"image_base64": base64.b64encode(picture(live)).decode(), "label": "mug"},
        {"id": "0.png", "where": "price <"},
    ]
    answers = live.client.post("/v1/search/batch", json={"queries": queries}).json()["results"]
    assert [answer.get("code") for answer in answers] == [
        None,
        "no-such-item",
        "not-an-image",
        None,
        "bad-filter",
    ]
    assert len(answers[0]["hits"]) == 2
    assert {hit["label"] for hit in answers[3]["hits"]} == {"mug"}


def test_each_picture_of_a_form_is_a_query_of_a_batch(live: Live) -> None:
    files = [("p", (name, picture(live, name))) for name in ("0.png", "mugs/1.png")]
    files.append(("p", ("bad", b"<html>")))
    answers = live.client.post("/v1/search/batch?k=1", files=files).json()["results"]
    assert [answer.get("query", {}).get("path") for answer in answers] == [
        "0.png",
        "mugs/1.png",
        None,
    ]
    assert answers[2]["code"] == "not-an-image"
    problem(live.client.post("/v1/search/batch", json={"queries": []}), 422, "invalid-request")
    many = {"queries": [{"id": "0.png"}] * 65}
    problem(live.client.post("/v1/search/batch", json=many), 422, "invalid-request")


def test_a_batch_that_is_larger_than_the_queue_is_answered_whole(home: Path) -> None:
    with serving(home, settings=ServiceSettings(max_waiting=20)) as live:
        data = saved(photo(), "PNG")
        files = [("p", (str(number), data)) for number in range(60)]
        answers = live.client.post("/v1/search/batch?k=1", files=files).json()["results"]
        assert [answer["total"] for answer in answers] == [1] * 60


# -- what cannot be answered -----------------------------------------------------------------


def test_what_is_no_query_has_a_problem_that_says_so(live: Live) -> None:
    ask = live.client.post
    data = picture(live)
    problem(ask("/v1/search"), 422, "no-image")
    problem(ask("/v1/search", json={}), 422, "no-image")
    problem(ask("/v1/search", json={"id": "x", "image_base64": "eA=="}), 422, "invalid-request")
    problem(ask("/v1/search", json=[1]), 422, "bad-json")
    problem(ask("/v1/search", json={"id": "0.png", "top": 5}), 422, "invalid-request")
    problem(ask("/v1/search", json={"image_base64": "%"}), 422, "bad-base64")
    problem(ask("/v1/search", json={"image_url": "http://example.org/a.jpg"}), 403, "urls-off")
    typed = {"Content-Type": "application/json"}
    problem(ask("/v1/search", content=b"{", headers=typed), 400, "bad-json")
    problem(ask("/v1/search", content=b"[" * 100_000, headers=typed), 400, "bad-json")
    odd = {"Content-Type": "text/plain"}
    problem(ask("/v1/search", content=b"hello", headers=odd), 415, "unsupported-media-type")
    problem(ask("/v1/search", files={"p": data}, data={"id": "0.png"}), 422, "two-queries")
    problem(ask("/v1/search", files={"p": data}, params={"k": 0}), 422, "invalid-request")
    problem(ask("/v1/search", files={"p": data}, params={"k": 1001}), 422, "invalid-request")
    found = problem(
        ask("/v1/search", files={"p": data}, params={"where": "price <"}), 422, "bad-filter"
    )
    assert found["at"] == 7
    problem(ask("/v1/search", json={"id": "nobody"}), 404, "no-such-item")
    problem(ask("/v1/collections/nowhere/search", json={"id": "x"}), 404, "no-such-collection")
    problem(live.client.get("/v1/nothing"), 404, "not-found")
    problem(live.client.patch("/v1/search"), 405, "method-not-allowed")


def test_a_picture_that_cannot_be_used_says_why(live: Live) -> None:
    whole = saved(photo(), "JPEG")
    problem(live.client.post("/v1/search", files={"p": b"<html>"}), 415, "not-an-image")
    problem(live.client.post("/v1/search", files={"p": b""}), 415, "not-an-image")
    broken = live.client.post("/v1/search", files={"p": whole[: len(whole) // 2]})
    problem(broken, 422, "broken-image")


def test_an_empty_collection_has_no_answers_but_still_says_what_is_no_picture(
    home: Path,
) -> None:
    with serving(home) as live:
        made = live.client.post("/v1/collections", json={"name": "empty"})
        assert made.status_code == 201
        path = "/v1/collections/empty"
        data = saved(photo(), "PNG")
        assert hits(live.client.post(f"{path}/search", files={"p": data})) == []
        problem(live.client.post(f"{path}/search", files={"p": b"x"}), 415, "not-an-image")
        problem(live.client.get(f"{path}/items/a/similar"), 404, "no-such-item")
        empty = {"code": "empty-collection", "message": "the collection is empty"}
        answer = live.client.post(f"{path}/search", files={"p": data}).json()
        assert answer["notes"] == [empty]
        listed = live.client.get(f"{path}/items").json()
        assert listed == {"items": [], "total": 0, "next": None, "notes": [empty]}
        # two are served, and none of them by default
        problem(live.client.get("/v1/stats"), 404, "no-default-collection")


# -- older forms -----------------------------------------------------------------------------


def test_the_older_upload_form_is_answered_as_a_list_of_hits(live: Live) -> None:
    answer = live.client.post("/image_query?size=3", files={"image": picture(live)})
    found = answer.json()
    assert len(found) == 3
    assert set(found[0]) == {"_id", "_score", "_source"}
    assert set(found[0]["_source"]) == {"image_path", "label", "image_url"}
    assert found[0]["_score"] >= found[1]["_score"]
    assert live.client.get(found[0]["_source"]["image_url"]).status_code == 200
    assert len(live.client.post("/image_query", files={"image": picture(live)}).json()) == 10
    for size in (0, 51, "x"):
        bad = live.client.post(f"/image_query?size={size}", files={"image": picture(live)})
        problem(bad, 422, "invalid-request")
    problem(live.client.post("/image_query"), 422, "no-image")
    problem(live.client.post("/image_query", files={"image": b"x"}), 415, "not-an-image")


def test_the_older_search_within_a_label_is_answered_as_its_engine_did(live: Live) -> None:
    for path in ("/images/search/", "/images/search"):
        answer = live.client.post(
            path, data={"label_id": "mug"}, files={"image": picture(live)}
        ).json()
        engine = answer["response"]
        assert engine["hits"]["hits"]
        assert {hit["_source"]["label"] for hit in engine["hits"]["hits"]} == {"mug"}
        assert engine["hits"]["hits"][0]["_source"]["image_name"].startswith("mugs/")
        assert engine["hits"]["max_score"] == engine["hits"]["hits"][0]["_score"]
    everywhere = live.client.post("/images/search/", files={"image": picture(live)}).json()
    assert len(everywhere["response"]["hits"]["hits"]) == 10
    unknown = live.client.post("/images/search/", data={"label_id": "9"}, files={"image": b"x"})
    problem(unknown, 404, "no-such-label")
    problem(live.client.post("/images/search/", files={"image": b"x"}), 415, "not-an-image")
