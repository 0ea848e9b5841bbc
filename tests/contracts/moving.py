"""Places for collections of each kind, that are gone after the test."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from contracts.server import an_address, opened
from lookalike.errors import CollectionNotFoundError

SERVERS = [
    pytest.param(kind, marks=pytest.mark.engines) for kind in ("elasticsearch", "opensearch")
]
KINDS = ["embedded", *SERVERS]

Place = Callable[[str], str]

__all__ = ["KINDS", "SERVERS", "Place", "place"]


def _removed(address: str) -> None:
    from lookalike.stores.servers.addresses import parse_address  # noqa: PLC0415 - few need it

    try:
        store = opened(parse_address(address))
    except CollectionNotFoundError:
        return
    names = store.settings.get("replaced")
    for name in names if isinstance(names, list) else []:
        store.sibling(str(name), create=False).drop()
    store.drop()


@pytest.fixture
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    """``place(kind)`` answers the address of a collection that is not there yet."""
    made: list[str] = []
    made_here: list[str] = []

    def address(kind: str) -> str:
        if kind == "embedded":
            made_here.append(str(tmp_path / f"shop{len(made_here)}"))
            return made_here[-1]
        url = request.getfixturevalue(f"{kind}_url")
        made.append(str(an_address(kind, url)))
        return made[-1]

    yield address
    for one in made:
        _removed(one)
