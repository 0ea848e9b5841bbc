"""A query parameter that a route does not have is refused, by every route alike."""

import re

import pytest

from live import Live, problem


def operations(live: Live) -> list[tuple[str, str, set[str]]]:
    """Each documented operation: method, path, and the names of its query parameters."""
    found = []
    for path, methods in live.app.openapi()["paths"].items():
        for method, operation in methods.items():
            names = {one["name"] for one in operation.get("parameters", []) if one["in"] == "query"}
            found.append((method, path, names))
    return found


def filled(path: str) -> str:
    """Return a documented path with names in it that exist."""
    return re.sub(r"\{[^}]+\}", "0.png", path.replace("{name}", "shop"))


def test_every_route_refuses_a_parameter_that_it_does_not_have(live: Live) -> None:
    checked = 0
    for method, path, names in operations(live):
        if not path.startswith("/v1/"):
            continue  # probes may add what they like, and so may clients of older systems
        more = "&id=0.png" if "id" in names else ""
        found = live.client.request(method, f"{filled(path)}?were=x{more}")
        assert "'were'" in problem(found, 422, "unknown-parameter")["detail"], (method, path)
        checked += 1
    assert checked > 30


def test_the_nearest_name_is_given(live: Live) -> None:
    found = live.client.get("/v1/collections/shop/items?were=label%3Dmug")
    assert problem(found, 422, "unknown-parameter")["detail"].endswith("did you mean 'where'?")
    alias = live.client.get("/v1/items?limits=3")  # without the name of the collection
    assert problem(alias, 422, "unknown-parameter")["detail"].endswith("did you mean 'limit'?")


def test_every_documented_parameter_is_known(live: Live) -> None:
    checked = 0
    for method, path, names in operations(live):
        for name in names - {"id"} if path.startswith("/v1/") else ():
            found = live.client.request(method, f"{filled(path)}?{name}=%00")
            code = found.json().get("code") if "json" in found.headers["content-type"] else None
            assert code != "unknown-parameter", (method, path, name)
            checked += 1
    assert checked > 30


@pytest.mark.parametrize("path", ["/health/live?t=1", "/health/ready?t=1", "/metrics?t=1"])
def test_probes_may_add_parameters(path: str, live: Live) -> None:
    assert live.client.get(path).status_code == 200
