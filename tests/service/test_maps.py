"""The map of a collection over HTTP and with the client."""

from collections.abc import Callable
from pathlib import Path

import pytest

import lookalike
from contracts.collection import stock
from live import serving
from lookalike.client import connect
from lookalike.output.map_file import map_json


@pytest.fixture(scope="module")
def home(
    tmp_path_factory: pytest.TempPathFactory, card: Path, paint: Callable[[Path, int], Path]
) -> Path:
    home = tmp_path_factory.mktemp("maps")
    stock(home, card, paint)
    lookalike.open(home / "collections" / "void", encoder=card, create=True).close()
    return home


def test_the_service_and_the_client_give_the_map_of_the_collection(home: Path) -> None:
    with (
        lookalike.open(home / "collections" / "shop") as shop,
        serving(home) as live,
        connect(live.address, collection="shop") as remote,
    ):
        expected = map_json(shop.map(where="price<6", clusters=2, seed=3))
        found = live.client.get(
            "/v1/collections/shop/map", params={"where": "price<6", "clusters": 2, "seed": 3}
        ).json()
        assert found | {"seconds": 0} == expected | {"seconds": 0}
        read = remote.map(where="price<6", clusters=2, seed=3)
        assert map_json(read) | {"seconds": 0} == expected | {"seconds": 0}
        few = remote.map(sample=3)
        assert (len(few.points), few.items, few.sampled) == (3, 8, True)
        nothing = remote.map(where="colour=purple")
        assert nothing.points == ()
        assert "colour = 'purple'" in nothing.notes[0].message
        with pytest.raises(lookalike.errors.FilterError):
            remote.map(where="price is")
        with pytest.raises(TypeError, match="did you mean 'sample'"):
            remote.map(smaple=3)  # type: ignore[call-arg]
        for query in ("sample=0", "sample=10001", "clusters=25", "layout=tree", "seed=-1", "k=3"):
            assert live.client.get(f"/v1/collections/shop/map?{query}").status_code == 422, query
        empty = live.client.get("/v1/collections/void/map").json()
        assert (empty["items"], empty["points"]) == (0, [])


def test_the_page_of_the_map_and_its_parts_are_served(home: Path) -> None:
    with serving(home) as live:
        page = live.client.get("/map.html")
        assert page.status_code == 200
        assert "script-src 'self'" in page.headers["content-security-policy"]
        for name in ("map.js", "map.css", "map-page.js"):
            assert live.client.get(f"/{name}").status_code == 200, name
