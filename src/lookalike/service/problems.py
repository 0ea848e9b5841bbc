"""Every error as problem details (RFC 9457), with a ``code`` for programs."""

import logging
import math
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, TypeVar

from fastapi import FastAPI, Request
from fastapi.encoders import jsonable_encoder
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

# What is told where a message might name a folder or a machine.
_PLAINLY: Mapping[str, str] = {
    "store-unreachable": "the server that keeps the items does not answer",
    "store-denied": "the server that keeps the items does not let this service do that",
    "read-only": "the collection may be read but not written, or not even read",
    "encoder-mismatch": "the collection holds vectors of another encoder",
    "bad-source": "the folder that was to be indexed is not there, or cannot be listed",
}
_OTHERWISE: Mapping[int, str] = {
    404: "nothing is served there; /v1/openapi.json says what is",
    405: "that cannot be done there; /v1/openapi.json says what can",
}
_OURS = 500  # from here on the failure is the service's
_UNAVAILABLE = 503
_LOG = logging.getLogger("lookalike.service")


class Problem(HTTPException):
    """A request that cannot be answered; ``more`` are further members of the document."""

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
    """As much is in work as may be; ``retry_s`` says when it is worth another try."""

    def __init__(self, detail: str, *, retry_s: float = 1.0) -> None:
        after = str(max(1, math.ceil(retry_s)))
        super().__init__(_UNAVAILABLE, "busy", detail, headers={"Retry-After": after})


def problem_of(error: errors.LookalikeError) -> Problem:
    """What an error of the core means to who asked."""
    status, code = status_of(error)
    headers = {"Retry-After": "1"} if status == _UNAVAILABLE else None
    if isinstance(error, errors.FilterError):
        return Problem(status, code, error.reason, at=error.at, filter=error.text)
    if isinstance(error, errors.ImageError):
        return Problem(status, code, error.reason)
    return Problem(status, code, str(error), headers=headers)


def safe_problem(error: errors.LookalikeError, *, plainly: bool) -> Problem:
    """``problem_of``, which ``plainly`` names no folder and no machine."""
    problem = problem_of(error)
    if not plainly or (problem.status_code < _OURS and problem.code not in _PLAINLY):
        return problem
    detail = _PLAINLY.get(problem.code, "the service failed; its log says how")
    return Problem(problem.status_code, problem.code, detail, headers=problem.headers)


def register(app: FastAPI) -> None:
    """Let ``app`` answer every error so."""

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
        # The server's log has the traceback; who asked learns nothing of the inside.
        return problem_response(
            request, Problem(500, "internal", "something went wrong in the service")
        )


def invalid(found: Any) -> Problem:  # noqa: ANN401 - pydantic's list of dicts
    """A request that is not as the document of the API says; ``errors`` name each place."""
    listed: list[Json] = [
        {"at": ".".join(map(str, one["loc"])), "message": str(one["msg"])}
        for one in jsonable_encoder(found, exclude={"ctx", "input"})
    ]
    first = listed[0] if listed else {}
    detail = f"{first['at']}: {first['message']}" if isinstance(first, dict) and first else "bad"
    return Problem(422, "invalid-request", detail, errors=listed)


_Model = TypeVar("_Model", bound=BaseModel)


def validate(model: type[_Model], document: object) -> _Model:
    """What a body says, by a schema. Raises ``Problem``."""
    try:
        return model.model_validate(document)
    except ValidationError as error:
        raise invalid([{**one, "loc": ("body", *one["loc"])} for one in error.errors()]) from error


def problem_response(request: Request, problem: Problem) -> JSONResponse:
    """The response that tells of a problem."""
    return JSONResponse(
        problem.document() | {"instance": request.url.path},
        problem.status_code,
        dict(problem.headers or {}),
        media_type="application/problem+json",
    )
