"""Every error as problem details (RFC 9457), with a ``code`` for programs."""

import logging
import math
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, TypeVar

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ValidationError
from starlette.exceptions import HTTPException

from lookalike import errors
from lookalike.core.error_codes import status_of
from lookalike.core.records import Json

__all__ = [
    "Busy",
    "Problem",
    "invalid",
    "problem_of",
    "problem_response",
    "register",
    "safe_problem",
    "validate",
]

# Messages without paths or host names, for services that hide paths.
_PLAINLY: Mapping[str, str] = {
    "store-unreachable": "the server that stores the items does not respond",
    "store-denied": "the server that stores the items does not allow this operation",
    "read-only": "the collection cannot be written, or not even read",
    "encoder-mismatch": "the collection holds embeddings of another encoder",
    "bad-source": "the folder to index does not exist, or cannot be listed",
}
_OTHERWISE: Mapping[int, str] = {
    404: "no such route; /v1/openapi.json lists all routes",
    405: "method not allowed here; /v1/openapi.json lists all routes",
}
_OURS = 500  # statuses from here on are failures of the service
_UNAVAILABLE = 503
_LOG = logging.getLogger("lookalike.service")


class Problem(HTTPException):
    """A request that fails; ``more`` are further members of the document."""

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        *,
        headers: Mapping[str, str] | None = None,
        **more: Json,
    ) -> None:
        super().__init__(status, detail, headers)
        self.code = code
        self.more = more

    def document(self) -> dict[str, Any]:
        return {
            "type": "about:blank",
            "title": HTTPStatus(self.status_code).phrase,
            "status": self.status_code,
            "code": self.code,
            "detail": self.detail,
            **self.more,
        }


class Busy(Problem):
    """The service is at its limit; retry after ``retry_s`` seconds."""

    def __init__(self, detail: str, *, retry_s: float = 1.0) -> None:
        after = str(max(1, math.ceil(retry_s)))
        super().__init__(_UNAVAILABLE, "busy", detail, headers={"Retry-After": after})


def problem_of(error: errors.LookalikeError) -> Problem:
    """Return the problem for an error of the core."""
    status, code = status_of(error)
    headers = {"Retry-After": "1"} if status == _UNAVAILABLE else None
    if isinstance(error, errors.FilterError):
        return Problem(status, code, error.reason, at=error.at, filter=error.text)
    if isinstance(error, errors.ImageError):
        return Problem(status, code, error.reason)
    return Problem(status, code, str(error), headers=headers)


def safe_problem(error: errors.LookalikeError, *, plainly: bool) -> Problem:
    """Return ``problem_of``; with ``plainly``, without paths and host names."""
    problem = problem_of(error)
    if not plainly or (problem.status_code < _OURS and problem.code not in _PLAINLY):
        return problem
    detail = _PLAINLY.get(problem.code, "the service failed; see its log")
    return Problem(problem.status_code, problem.code, detail, headers=problem.headers)


def register(app: FastAPI) -> None:
    """Make ``app`` return a problem for every error."""

    @app.exception_handler(errors.LookalikeError)
    async def of_core(request: Request, error: errors.LookalikeError) -> JSONResponse:
        problem = safe_problem(error, plainly=not request.app.state.service.settings.show_paths)
        if problem.status_code >= _OURS:
            _LOG.error("%s %s: %s", request.method, request.url.path, error)
        return problem_response(request, problem)

    @app.exception_handler(HTTPException)
    async def of_http(request: Request, error: HTTPException) -> JSONResponse:
        if not isinstance(error, Problem):
            code = HTTPStatus(error.status_code).phrase.lower().replace(" ", "-")
            detail = _OTHERWISE.get(error.status_code, str(error.detail))
            error = Problem(error.status_code, code, detail, headers=error.headers)
        return problem_response(request, error)

    @app.exception_handler(RequestValidationError)
    async def of_validation(request: Request, error: RequestValidationError) -> JSONResponse:
        return problem_response(request, invalid(error.errors()))

    @app.exception_handler(Exception)
    async def of_program(request: Request, _: Exception) -> JSONResponse:
        # The server's log has the traceback; the client gets no internals.
        return problem_response(
            request, Problem(500, "internal", "internal error; see the log of the service")
        )


def invalid(found: Any) -> Problem:  # noqa: ANN401 - pydantic's list of dicts
    """Return the problem of a request that does not match the schema; ``errors`` lists where."""
    listed: list[Json] = [
        {"at": ".".join(map(str, one["loc"])), "message": _message_of(one)} for one in found
    ]
    first = listed[0] if listed else {}
    detail = f"{first['at']}: {first['message']}" if isinstance(first, dict) and first else "bad"
    return Problem(422, "invalid-request", detail, errors=listed)


def _message_of(one: dict[str, Any]) -> str:
    """Return what is wrong with a part of a request; pydantic's words for too long text are odd."""
    if one["type"] == "string_too_long":
        return f"the text is longer than {one['ctx']['max_length']:,} characters"
    return str(one["msg"])


_Model = TypeVar("_Model", bound=BaseModel)


def validate(model: type[_Model], document: object) -> _Model:
    """Return a body as an instance of a schema. Raise ``Problem``."""
    try:
        return model.model_validate(document)
    except ValidationError as error:
        raise invalid([{**one, "loc": ("body", *one["loc"])} for one in error.errors()]) from error


def problem_response(request: Request, problem: Problem) -> JSONResponse:
    """Return the response for a problem."""
    return JSONResponse(
        problem.document() | {"instance": request.url.path},
        problem.status_code,
        dict(problem.headers or {}),
        media_type="application/problem+json",
    )
