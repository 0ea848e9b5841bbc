"""The OpenAPI document, with the bodies that routes accept in several forms."""

from copy import deepcopy
from typing import Any

from fastapi import FastAPI
from pydantic.json_schema import models_json_schema

from lookalike.service import schemas
from lookalike.service.paths import BY_PARAMETER

__all__ = ["OPEN", "complete"]

_BODIES = (
    schemas.BatchRequest,
    schemas.ExplainRequest,
    schemas.CropsRequest,
    schemas.NewItems,
    schemas.NewJob,
    schemas.PutItem,
    schemas.SearchRequest,
)

OPEN = frozenset({"/health/live", "/health/ready", "/v1/access", "/v1/session"})
"""Routes that need no key."""


def complete(app: FastAPI) -> None:
    """Add to ``app``'s OpenAPI document the bodies that routes parse themselves, and the keys."""
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
            made["paths"] |= _use_parameter(made["paths"])
            for path, operations in made["paths"].items():
                for operation in operations.values():
                    _describe_problems(operation["responses"])
                    if path in OPEN:
                        operation["security"] = []
            components["securitySchemes"] = {
                "key": {"type": "http", "scheme": "bearer"},
                "header": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
            }
            made["security"] = [{}, {"key": []}, {"header": []}]
        return app.openapi_schema or made

    app.openapi = document  # type: ignore[method-assign] # as FastAPI's documentation has it


def _use_parameter(paths: dict[str, Any]) -> dict[str, Any]:
    """Return the item routes with the id as a parameter; ``paths.RawPaths`` maps them."""
    found = {}
    for path, operations in paths.items():
        if "/items/{id}" not in path:
            continue
        others = found[path.replace("/items/{id}", BY_PARAMETER)] = deepcopy(operations)
        for operation in others.values():
            operation["operationId"] += "_use_parameter"
            operation["summary"] += " (id as a parameter)"
            for one in operation["parameters"]:
                if (one["in"], one["name"]) == ("path", "id"):
                    one["in"], one["description"] = "query", "An item's id; any text."
                    one["schema"]["minLength"] = 1
    return found


def _describe_problems(responses: dict[str, Any]) -> None:
    """Document that every error is a problem document."""
    problem = {"schema": {"$ref": "#/components/schemas/ProblemResponse"}}
    responses.pop("422", None)  # FastAPI's own error format, which is not used
    responses["default"] = {
        "description": "A problem (RFC 9457).",
        "content": {"application/problem+json": problem},
    }
