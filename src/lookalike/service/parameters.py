"""Query parameters that a route does not have are refused: a typo must not change the results."""

from collections.abc import Iterator
from typing import Any

from fastapi import Depends, Request
from pydantic import BaseModel

from lookalike.core.suggestions import did_you_mean
from lookalike.service.problems import Problem

__all__ = ["KnownParameters"]


async def _check_parameters(request: Request) -> None:
    """Raise ``Problem`` for the first query parameter that the route does not have."""
    if not request.query_params:
        return
    known = frozenset(_names(request.scope["route"].dependant))
    for name in request.query_params:
        if name not in known:
            those = f"there are {', '.join(sorted(known))}" if known else "this route has none"
            raise Problem(
                422,
                "unknown-parameter",
                f"there is no query parameter {name!r}; {those}{did_you_mean(name, known)}",
            )


KnownParameters = Depends(_check_parameters)
"""The dependency of all routes whose parameters are ours to name."""


def _names(dependant: Any) -> Iterator[str]:  # noqa: ANN401 - fastapi's Dependant
    """Yield the names of a route's query parameters, with those of its dependencies."""
    for one in dependant.query_params:
        kind = one.field_info.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):  # its fields are the parameters
            yield from (field.alias or name for name, field in kind.model_fields.items())
        else:
            yield one.alias
    for other in dependant.dependencies:
        yield from _names(other)
