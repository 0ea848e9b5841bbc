"""Keeping Pillow and libtiff from writing warnings and errors of their own."""

import contextlib
import importlib
import logging
import sys
import threading
import warnings
from collections.abc import Callable
from functools import cache
from typing import Any, TypeVar

from lookalike.errors import BrokenImageError

__all__ = ["run_quietly", "silence_libtiff"]

_T = TypeVar("_T")

# Pillow logs an error or two; without a handler Python would print them to the terminal.
logging.getLogger("PIL").addHandler(logging.NullHandler())


@cache
def silence_libtiff() -> None:
    """Stop libtiff from printing to stderr; Pillow has no call for this.

    Where its symbols cannot be reached (Windows), it goes on printing.
    """
    import ctypes  # noqa: PLC0415 - few images are TIFFs

    with contextlib.suppress(OSError, AttributeError):
        codecs = importlib.import_module("PIL._imaging").__file__
        setter = ctypes.CDLL(codecs).TIFFSetErrorHandler
        setter.argtypes, setter.restype = [ctypes.c_void_p], ctypes.c_void_p
        setter(None)


class _OnThisThread(threading.local):
    """Used as the module pattern of a warning filter: matches while this thread decodes."""

    decoding = False

    def match(self, _module: str) -> bool:
        return self.decoding


_here = _OnThisThread()
_filter: Any = ("ignore", None, Warning, _here, 0)
_filters_lock = threading.Lock()


def run_quietly(work: Callable[[], _T]) -> _T:
    """Return what ``work`` returns, without showing Pillow's warnings to the user.

    A truncated tag is of no interest, and our own limits take the place of the warning about
    decompression bombs. ``warnings.catch_warnings`` swaps a list that all threads share (before
    the context-aware warnings of Python 3.14), so two loader threads would restore each other's.
    The filter here is put in front and stays; it matches only on a thread that is decoding.
    """
    if getattr(sys.flags, "context_aware_warnings", False):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return work()
    for _ in range(_TRIES):
        filters: list[Any] = warnings.filters  # type: ignore[assignment]
        if not filters or filters[0] is not _filter:
            with _filters_lock:
                if _filter in filters:
                    filters.remove(_filter)
                filters.insert(0, _filter)
        _here.decoding = True
        try:
            return work()
        except Warning:  # another thread has just put "warnings are errors" in front of ours
            continue
        finally:
            _here.decoding = False
    raise BrokenImageError("it was disturbed while decoding; try again")


_TRIES = 10
