"""Write a file completely or not at all."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self, TextIO

from lookalike.core.atomic_files import replace_file
from lookalike.errors import ExportError

__all__ = ["WholeFile", "export_errors"]


class WholeFile:
    """A file that appears under its name when the block succeeds; otherwise it does not."""

    def __init__(self, path: Path, *, force: bool) -> None:
        self._path = path
        self._force = force
        self._check()

    def _check(self) -> None:
        if self._path.exists() and not self._path.is_file():
            raise ExportError(f"{self._path} exists and is not a file; choose another name")
        if self._path.exists() and not self._force:
            raise ExportError(f"{self._path} already exists; --force (force=True) replaces it")

    def __enter__(self) -> Self:
        self._replacing = replace_file(self._path, check=self._check)
        self.file: BinaryIO = self._replacing.__enter__()
        self._text: TextIO | None = None
        return self

    def text(self) -> TextIO:
        self._text = io.TextIOWrapper(self.file, encoding="utf-8", newline="")
        return self._text

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            (self._text or self.file).close()
        except BaseException as failure:
            self._replacing.__exit__(type(failure), failure, failure.__traceback__)
            raise
        self._replacing.__exit__(kind, error, trace)


@contextmanager
def export_errors(path: Path | None) -> Iterator[None]:
    """Raise ``ExportError`` for the operating system's errors."""
    try:
        yield
    except BrokenPipeError:  # the reader has stopped reading
        raise
    except OSError as error:
        what = error.strerror or str(error)
        raise ExportError(f"{path or 'the output'} cannot be written: {what}") from error
