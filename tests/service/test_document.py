"""The OpenAPI document is true: whatever it allows is answered, and as it says."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from live import Live, app_of, serving
from lookalike.core.error_codes import STATUS
from lookalike.service import schemas
from lookalike.service.settings import ServiceSettings

_ROUTES = sorted(
    (path, method.upper())
    for path, methods in app_of(Path("nowhere"), ServiceSettings()).openapi()["paths"].items()
    for method in methods
)


def _examples(name: str) -> list[Any]:
    config: dict[str, Any] = getattr(schemas, name).model_config
    return list(config.get("json_schema_extra", {}).get("examples", []))


@pytest.fixture(scope="module")
def drawn(stocked: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """A server that may be written to: most requests that can be drawn are nonsense."""
    home = tmp_path_factory.mktemp("drawn")
    shutil.copytree(stocked / "collections", home / "collections")
    with serving(home) as live:
        yield live


@pytest.mark.parametrize(("path", "method"), _ROUTES, ids=lambda one: str(one).strip("/"))
def test_whatever_the_document_allows_is_answered_as_it_says(
    drawn: Live, path: str, method: str
) -> None:
    schema = schemathesis.openapi.from_dict(drawn.app.openapi())
    operation = schema[path][method]

    @settings(
        max_examples=12,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy())
    def ask(case: "schemathesis.Case[Any]") -> None:
        if "{name}/" in path:  # what is deleted whole is none that is there
            case.path_parameters["name"] = "shop"
        response = case.call(base_url=drawn.address)
        case.validate_response(
            response,
            checks=[
                not_a_server_error,
                status_code_conformance,
                content_type_conformance,
                response_schema_conformance,
            ],
        )

    ask()


def test_every_operation_has_a_name_and_a_summary_of_its_own() -> None:
    paths = app_of(Path("nowhere"), ServiceSettings()).openapi()["paths"]
    operations = [one for methods in paths.values() for one in methods.values()]
    for key in ("operationId", "summary"):
        assert len({one[key] for one in operations}) == len(operations)
    assert all(re.fullmatch(r"[a-z]+(_[a-z]+)*", one["operationId"]) for one in operations)


@pytest.mark.parametrize("name", [one for one in schemas.__all__ if _examples(one)])
def test_examples_are_what_they_are_examples_of(name: str) -> None:
    model = getattr(schemas, name)
    for example in _examples(name):
        model.model_validate(example)


def _told() -> str:
    return (Path(__file__).parents[2] / "docs" / "service.md").read_text(encoding="utf-8")


def _routes_told() -> set[tuple[str, str]]:
    """Methods and paths in the documentation; a path without a method has that before it."""
    found, method = set(), ""
    for verb, path in re.findall(r"`(?:(GET|POST|PUT|PATCH|DELETE) )?((?:C|/)[^ `?]*)", _told()):
        method = verb or method
        found.add((path, method))
    return found


def test_every_route_is_in_the_documentation() -> None:
    short = {(path.replace("/v1/collections/{name}", "C"), method) for path, method in _ROUTES}
    assert short - _routes_told() == set()


def test_the_documentation_tells_of_no_route_that_is_not_there() -> None:
    rows = re.findall(r"^\| `(GET|POST|PUT|PATCH|DELETE) ([^`]+)`", _told(), re.MULTILINE)
    there = {(path.replace("/v1/collections/{name}", "C"), method) for path, method in _ROUTES}
    assert {(path, method) for method, path in rows} - there == set()


def test_every_option_of_a_search_is_in_the_documentation() -> None:
    schemas = app_of(Path("nowhere"), ServiceSettings()).openapi()["components"]["schemas"]
    table = _told().split("### Queries")[1].split("### Results")[0]
    told = set(re.findall(r"`(\w+)`", table))
    assert set(schemas["SearchRequest"]["properties"]) - told == set()


def test_every_code_of_a_problem_of_the_core_is_in_the_documentation() -> None:
    said = _told().split("### Problems")[1].split("## Who may")[0]
    rows = {
        int(status): cell
        for line in said.splitlines()
        if (found := re.match(r"\| ([\d, ]+) \|(.*)", line))
        for status in re.findall(r"\d+", found[1])
        for cell in [found[2]]
    }
    for status, code in STATUS.values():
        assert f"`{code}`" in rows.get(status, ""), f"{status} {code} is not in docs/service.md"
