"""Read the text files in which data sets list their images: columns separated by blanks."""

from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from lookalike.core.plurals import count_noun
from lookalike.core.records import Damaged, Skipped
from lookalike.errors import SourceError

__all__ = ["Line", "below", "has_columns", "read_lines", "skip_line"]


class Line(NamedTuple):
    """A line: ``values`` has one per column, or is the reason why the line has none.

    ``damaged`` means that lines may be missing. The last line is not ``ended`` if the file ends
    without a line break.
    """

    where: str
    values: list[str] | str
    damaged: bool = False
    ended: bool = True


def read_lines(path: Path, columns: Sequence[str]) -> Iterator[Line]:
    """Yield the lines of a list in order; memory stays flat.

    The header names the columns. The number of lines may stand before it; a wrong number is
    reported at the end. The last value may contain blanks. Raise ``SourceError`` for a file that
    cannot be read or has other columns.
    """
    counted: int | None = None
    found = number = 0
    header = False
    try:
        with path.open("rb") as file:
            for number, raw in enumerate(file, 1):
                where = f"{path.name}:{number}"
                try:
                    text = raw.decode("utf-8-sig" if number == 1 else "utf-8").strip()
                except UnicodeDecodeError as error:
                    wrong = f"byte {raw[error.start]:#x} is not UTF-8; save the file as UTF-8"
                    if not header:
                        raise SourceError(f"{path}: {wrong}") from error
                    found += 1
                    yield Line(where, wrong)
                    continue
                if not text:
                    continue
                if header:
                    found += 1
                    line = Line(where, _values(text, len(columns)), ended=raw.endswith(b"\n"))
                    yield _cut(line) if not line.ended and found < (counted or 0) else line
                elif counted is None and text.isascii() and text.isdigit():
                    counted = int(text[:18])
                else:
                    _check_header(path, text, columns)
                    header = True
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {error.strerror}") from error
    if not header:
        raise SourceError(f"{path} is empty; unpack it again")
    if counted is not None and counted != found:
        said = f"says that it has {count_noun(counted, 'line')}, but has {found:,}"
        yield Line(path.name, said, damaged=True)


def _cut(line: Line) -> Line:
    return line._replace(values="the file ends in the middle of this line", damaged=True)


def skip_line(line: Line) -> Skipped:
    """Return the skip to report for a line without values."""
    kind = Damaged if line.damaged else Skipped
    return kind(path=line.where, reason=str(line.values))


def has_columns(path: Path, columns: Sequence[str]) -> bool:
    """Return whether one of the first two lines of a file names these columns."""
    try:
        with path.open("rb") as file:
            first = [file.readline(4096).decode("utf-8-sig", "replace") for _ in range(2)]
    except OSError:
        return False
    return any(line.split() == list(columns) for line in first)


def below(path: str) -> str:
    """Return a path of a list. Raise ``ValueError`` if it is not below the list's folder."""
    place = PurePosixPath(path)
    if place.is_absolute() or ".." in place.parts or not place.parts or "\0" in path:
        raise ValueError(f"{path!r} does not lie in the folder")
    return place.as_posix()


def _values(text: str, count: int) -> list[str] | str:
    values = text.split(maxsplit=count - 1)
    return values if len(values) == count else f"{len(values)} values for {count} columns"


def _check_header(path: Path, text: str, columns: Sequence[str]) -> None:
    if text.split() != list(columns):
        raise SourceError(
            f"{path} does not have the columns {' '.join(columns)}, but {text[:100]!r}"
        )
