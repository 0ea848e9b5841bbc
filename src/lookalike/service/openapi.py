"""The OpenAPI document, with the bodies that routes take in more than one form."""

from copy import deepcopy
from typing import Any

from fastapi import FastAPI
from pydantic.json_schema import models_json_schema

from lookalike.service import schemas
from lookalike.service.paths import BY_PARAMETER

__all__ = ["OPEN", "complete"]

_BODIES = (
    schemas.BatchRequest,
    schemas.NewItems,
    schemas.NewJob,
    schemas.PutItem,
    schemas.SearchRequest,
)

OPEN = frozenset({"/health/live", "/health/ready", "/v1/access", "/v1/session"})
"""What is answered without a key."""


def complete(app: FastAPI) -> None:
    """Let ``app`` describe the bodies that its routes read by themselves, and its keys."""
    plain = app.openapi

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            made = plain()
            _, found = models_json_schema(
                [(body, "validation") for body in _BODIES],
                ref_template="#/components/schemas/{model}",
            )
            components = made.setdefault("components", {})
            components.setdefault("schemas", {}).update(found.get("$defs", {}))
            made["paths"] |= _by_parameter(made["paths"])
            for path, operations in made["paths"].items():
                for operation in operations.values():
                    _tell_of_problems(operation["responses"])
                    if path in OPEN:
                        operation["security"] = []
            components["securitySchemes"] = {
                "key": {"type": "http", "scheme": "bearer"},
                "header": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
            }
            made["security"] = [{}, {"key": []}, {"header": []}]
        return app.openapi_schema or made

    app.openapi = document  # type: ignore[method-assign] # as FastAPI's documentation has it


def _by_parameter(paths: dict[str, Any]) -> dict[str, Any]:
    """Routes of an item whose id is a parameter, which ``paths.RawPaths`` leads to the others."""
    found = {}
    for path, operations in paths.items():
        if "/items/{id}" not in path:
            continue
        others = found[path.replace("/items/{id}", BY_PARAMETER)] = deepcopy(operations)
        for operation in others.values():
            operation["operationId"] += "_by_parameter"
            operation["summary"] += ", its id as a parameter"
            for one in operation["parameters"]:
                if (one["in"], one["name"]) == ("path", "id"):
                    one["in"], one["description"] = "query", "An item's id, whatever it is."
                    one["schema"]["minLength"] = 1
    return found


def _tell_of_problems(responses: dict[str, Any]) -> None:
    """Whatever goes wrong has one form, and a type of its own."""
    problem = {"schema": {"$ref": "#/components/schemas/ProblemResponse"}}
    responses.pop("422", None)  # FastAPI's own form, which is not used
    responses["default"] = {
        "description": "A problem (RFC 9457).",
        "content": {"application/problem+json": problem},
    }
