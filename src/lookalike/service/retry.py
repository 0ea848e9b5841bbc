"""Requests that meet a collection which has just been replaced are answered from the new one."""

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

# What may come of a collection that is no longer what it was opened as.
_SIGNS = (CollectionReplacedError, CollectionNotFoundError, StoreError)


class RetryRoute(APIRoute):
    """A route that is asked once more where its collection was replaced while it was at work.

    ``lookalike migrate`` does so to collections that are open, and who removes one and begins it
    again. Nothing is done twice by that: what failed so was not stored, and what was is replaced.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        asked = super().get_route_handler()

        async def handler(request: Request) -> Response:
            try:
                return await asked(request)
            except LookalikeError as error:
                if not await _was_replaced(request, error):
                    raise
            return await asked(request)

        return handler


async def _was_replaced(request: Request, error: LookalikeError) -> bool:
    opened: Opened | None = getattr(request.state, "opened", None)
    if opened is None or not isinstance(error, _SIGNS) or isinstance(error, StoreUnreachableError):
        return False
    try:
        return not await in_thread(opened.is_current)
    except LookalikeError:  # its server has just gone: the first error tells more
        return False
