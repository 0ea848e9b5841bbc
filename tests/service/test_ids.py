"""No id is a step in a path: what is meant for an item reaches that item, or nothing at all."""

import shutil
import socket
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote, urlsplit

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hostile import photo, saved
from live import Live, problem, serving
from lookalike.client import connect
from lookalike.core.ids import id_problem
from lookalike.errors import InvalidIdError, ItemNotFoundError

PNG = saved(photo(seed=1), "PNG")
C = "/v1/collections/shop"
STEPS = [".", "..", "a/../..", "../shop", "%2e%2e", "..%2f..", "..\\", "..;x", "/..", "./", "//"]


def raw(live: Live, method: str, path: str) -> int:
    """The status of a request whose path is sent as it is, which no client would do."""
    parts = urlsplit(live.address)
    assert parts.hostname is not None
    with socket.create_connection((parts.hostname, parts.port or 80), timeout=20) as line:
        head = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n"
        line.sendall(f"{head}Content-Length: 0\r\n\r\n".encode())
        answer = b""
        while chunk := line.recv(65536):
            answer += chunk
    return int(answer.split()[1])


@pytest.fixture
def odd(own: Live) -> Live:
    """A service whose collection has items of ids that no new one may have."""
    with own.opened() as shop:
        item, vector = shop.get("0.png"), shop.vectors(["0.png"])
        for one in [*STEPS, "a\nb", " x "]:
            shop.store.items.upsert([replace(item, id=one, label="odd")], vector)
    return own


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("shown", [quote, lambda one: one, lambda one: quote(one, safe="")])
def test_removing_an_item_never_removes_the_collection(
    own: Live, step: str, shown: Callable[[str], str]
) -> None:
    for method in ("DELETE", "PUT", "PATCH"):
        path = f"{C}/items/{shown(step)}"
        status = raw(own, method, path)
        assert status >= 400, (method, path, status)
        # as a client or a proxy tidies it
        tidied = str(httpx.URL(own.address).join(path).raw_path, "ascii")
        assert raw(own, method, tidied) >= 400, (method, tidied)
    with own.opened() as shop:
        assert len(shop) == 13


def test_deleting_a_collection_says_its_name_twice(own: Live) -> None:
    for path in (C, f"{C}?confirm=", f"{C}?confirm=other", f"{C}?confirm=shop%20"):
        found = problem(own.client.delete(path), 422, "not-confirmed")
        assert "?confirm=shop" in found["detail"]
    assert own.client.delete(f"{C}/").status_code in {404, 405, 422}
    assert own.client.get(C).json()["items"] == 13
    assert own.client.delete(f"{C}?confirm=shop").status_code == 204
    problem(own.client.get(C), 404, "no-such-collection")


@pytest.mark.parametrize("step", [*STEPS, "a\nb", " x ", "x" * 1025])
def test_a_new_item_is_given_no_such_id(own: Live, step: str) -> None:
    answer = own.client.put(f"{C}/item", params={"id": step}, files={"p": PNG})
    problem(answer, 422, "bad-id")
    with connect(own.address) as shop, pytest.raises(InvalidIdError):
        shop.add(step, PNG)
    with own.opened() as shop:
        assert len(shop) == 13


@pytest.mark.parametrize("step", [*STEPS, "a\nb", " x "])
def test_an_item_that_has_such_an_id_is_asked_for_by_a_parameter(odd: Live, step: str) -> None:
    asked = {"id": step}
    item = odd.client.get(f"{C}/item", params=asked).json()
    assert item["id"] == step
    for link in (item["thumbnail"], item["image"]):
        assert "/item/" in link
        assert odd.client.get(link).status_code == 200
    similar = odd.client.get(f"{C}/item/similar", params={**asked, "k": 2, "where": "label=mug"})
    assert len(similar.json()["hits"]) == 2
    told = odd.client.patch(f"{C}/item", params=asked, json={"label": "seen"})
    assert told.json()["label"] == "seen"
    with connect(odd.address) as shop:
        assert shop.get(step).label == "seen"
        assert step in shop
        assert len(shop.similar(step, k=3)) == 3
        assert shop.image(step)
        assert shop.thumbnail(step)
        shop.label([step], "told")
        assert shop.remove(step) == 1
        assert step not in shop
    problem(odd.client.delete(f"{C}/item", params=asked), 404, "no-such-item")
    with odd.opened() as shop:
        assert len(shop) == 13 + len(STEPS) + 2 - 1


def test_a_route_by_parameter_needs_one_id(own: Live) -> None:
    for path in ("item", "item?id=", "item?id=a&id=b", "item/similar", "items/"):
        problem(own.client.get(f"{C}/{path}"), 422, "invalid-request")
        if "similar" not in path:
            problem(own.client.delete(f"{C}/{path}"), 422, "invalid-request")
    problem(own.client.get(f"{C}/item?id=%ff"), 404, "no-such-item")
    with own.opened() as shop:
        assert len(shop) == 13


@pytest.mark.parametrize(
    "parent", ["jobs", "items", "item", "facets", "stats", "search", "nothing"]
)
def test_no_parent_of_a_route_is_deleted(own: Live, parent: str) -> None:
    for end in ("", "/", "/.", "/..", "//", "/%2e%2e"):
        assert raw(own, "DELETE", f"{C}/{parent}{end}") >= 400
    with own.opened() as shop:
        assert len(shop) == 13


@pytest.fixture(scope="module")
def drawn(stocked: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    home = tmp_path_factory.mktemp("ids")
    shutil.copytree(stocked / "collections", home / "collections")
    with serving(home) as live:
        yield live


@settings(
    deadline=None,
    max_examples=60,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    one=st.text(max_size=30)
    | st.lists(st.sampled_from(["..", ".", "/", "\\", "%2e", "a", ";", " ", "%", "?", "#"])).map(
        "".join
    )
)
def test_any_text_is_refused_or_comes_back_and_nothing_else_changes(drawn: Live, one: str) -> None:
    before = [item["id"] for item in drawn.client.get(f"{C}/items").json()["items"]]
    with connect(drawn.address) as shop:
        if one in shop:
            return
        if id_problem(one) is not None:
            with pytest.raises(InvalidIdError):
                shop.add(one, PNG)
            with pytest.raises(ItemNotFoundError):
                shop.get(one)
            assert shop.remove(one) == 0
        else:
            assert shop.add(one, PNG).id == one
            assert shop.get(one).id == one
            assert shop.image(one) == PNG
            assert shop.similar(one, k=1)
            link = drawn.client.get(f"{C}/items/{quote(one, safe='')}").json()
            assert link["id"] == one
            assert drawn.client.get(link["thumbnail"]).status_code == 200
            assert shop.remove(one) == 1
    assert [item["id"] for item in drawn.client.get(f"{C}/items").json()["items"]] == before
