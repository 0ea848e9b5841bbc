"""Requests to a collection that was replaced meanwhile are repeated on the new one."""

from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

from fastapi import Request, Response
from fastapi.routing import APIRoute

from lookalike.errors import (
    CollectionNotFoundError,
    CollectionReplacedError,
    LookalikeError,
    StoreError,
    StoreUnreachableError,
)
from lookalike.service.state import in_thread

if TYPE_CHECKING:
    from lookalike.service.collections import Opened

__all__ = ["RetryRoute"]

# Errors that may mean that the collection was replaced after it was opened.
_SIGNS = (CollectionReplacedError, CollectionNotFoundError, StoreError)


class RetryRoute(APIRoute):
    """A route that runs once more if its collection was replaced during the request.

    ``lookalike migrate`` replaces open collections, and so does removing one and creating it
    again. Nothing is stored twice: a request that failed in this way stored nothing, or stored it
    in the collection that was replaced.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def handler(request: Request) -> Response:
            try:
                return await handle(request)
            except LookalikeError as error:
                if not await _was_replaced(request, error):
                    raise
            return await handle(request)

        return handler


async def _was_replaced(request: Request, error: LookalikeError) -> bool:
    opened: Opened | None = getattr(request.state, "opened", None)
    if opened is None or not isinstance(error, _SIGNS) or isinstance(error, StoreUnreachableError):
        return False
    try:
        return not await in_thread(opened.is_current)
    except LookalikeError:  # its server is unreachable: the first error says more
        return False
