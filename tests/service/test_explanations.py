"""Explanations over HTTP: numbers and PNG, in every form of a query."""

import io

import numpy as np
import pytest
from PIL import Image

from live import Live, picture, problem

PATH = "/v1/collections/shop/items/0.png/explain"


def check(found: dict[str, object]) -> None:
    assert np.sum(found["item"]["contributions"]) == pytest.approx(found["score"], abs=1e-4)  # type: ignore[index]
    assert np.sum(found["pairs"]) == pytest.approx(found["score"], abs=1e-4)  # type: ignore[call-overload]


def test_every_form_of_a_query_is_explained_alike(live: Live) -> None:
    data = picture(live)
    post = live.client.post
    responses = [
        post(PATH, content=data, headers={"Content-Type": "image/png"}),
        post(PATH, files={"image": data}, data={"k": "5", "method": "map"}),
        post(PATH, json={"id": "mugs/1.png", "where": "price<3"}),
        live.client.get(f"{PATH}?query=mugs/1.png"),
        live.client.get("/v1/item/explain?id=0.png&query=mugs/1.png"),
    ]
    scores = []
    for response in responses:
        assert response.status_code == 200, response.text
        found = response.json()
        check(found)
        assert (found["id"], found["method"], found["adds_up"]) == ("0.png", "map", True)
        scores.append(found["score"])
    assert scores == pytest.approx([scores[0]] * 5, abs=1e-4)  # stored embeddings are rounded


def test_a_crop_is_explained(live: Live) -> None:
    found = live.client.get(f"{PATH}?query=mugs/1.png&crop=0,0,0.5,1").json()
    assert found["query"]["area"] == [0, 0, 0.5, 1]
    assert found == live.client.post(PATH, json={"id": "mugs/1.png", "crop": [0, 0, 0.5, 1]}).json()


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("image/png", "image/png"),
        ("image/avif,image/webp,image/*,*/*;q=0.8", "image/png"),
        ("application/json", "application/json"),
        ("*/*", "application/json"),
    ],
)
def test_the_format_is_what_is_accepted(live: Live, accept: str, kind: str) -> None:
    response = live.client.get(f"{PATH}?query=mugs/1.png", headers={"Accept": accept})
    assert response.headers["content-type"] == kind
    assert response.headers["vary"] == "Accept"


def test_an_image_shows_both(live: Live) -> None:
    response = live.client.get(f"{PATH}?query=mugs/1.png&format=png&side=200")
    with Image.open(io.BytesIO(response.content)) as page:
        assert page.format == "PNG"
        assert page.width > 300
    assert "sandbox" in response.headers["content-security-policy"]


def test_what_cannot_be_explained_is_a_problem(live: Live) -> None:
    get, post = live.client.get, live.client.post
    problem(get(PATH), 422, "invalid-request")
    problem(get(f"{PATH}?query=nothing"), 404, "no-such-item")
    problem(get("/v1/item/explain?id=nothing&query=0.png"), 404, "no-such-item")
    problem(get(f"{PATH}?query=0.png&crop=1,0,0,1"), 422, "invalid-request")
    problem(get(f"{PATH}?query=0.png&methd=map"), 422, "unknown-parameter")
    problem(post(PATH), 422, "no-image")
    problem(post(PATH, content=b"no", headers={"Content-Type": "image/png"}), 415, "not-an-image")
    problem(post(PATH, json={"vector": [1.0, 2.0]}), 422, "nothing-asked")
    problem(post(PATH, json={"text": "some words"}), 422, "unusable-words")


def test_a_turned_query_is_explained(live: Live) -> None:
    found = live.client.get(f"{PATH}?query=mugs/1.png&any_orientation=true").json()
    check(found)
    posted = live.client.post(PATH, json={"id": "mugs/1.png", "any_orientation": True}).json()
    assert posted == found
    (hit,) = (
        hit
        for hit in live.client.get(
            "/v1/item/similar?id=mugs/1.png&any_orientation=true&k=20"
        ).json()["hits"]
        if hit["id"] == "0.png"
    )
    assert (found["score"], found["orientation"]) == (
        pytest.approx(hit["score"], abs=1e-3),
        hit["orientation"],
    )
