"""Read the elements of a list in a JSON file one by one, without loading the file.

``members`` yields the objects of a list at the top of the file, of which one level is read:
deeper values are passed over, so memory does not grow with what a file holds. ``records`` yields
those of a table, whole.
"""

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, TypeAlias

from lookalike.errors import SourceError

__all__ = ["BrokenJsonError", "JsonObject", "Value", "members", "open_json", "records"]

_DEEPEST = 50  # brackets within a value of a record
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"  # what Windows puts before UTF-8

Value: TypeAlias = object  # text, number, bool, None; or a list of these
JsonObject: TypeAlias = dict[str, Value]
_Event: TypeAlias = tuple[str, Value]


class BrokenJsonError(Exception):
    """A file cannot be parsed any further; the message says why and what to do."""


class _Nested:
    """Stands for a value too deep to be read."""


_NESTED = _Nested()


@contextmanager
def open_json(path: Path, *, lists: bool = False) -> Iterator[Iterator[_Event]]:
    """Open a JSON file that holds an object, or with ``lists`` one of those, and yield the events
    of its parser.

    Raise ``BrokenJsonError`` where parsing fails, and ``SourceError`` for a file that cannot be
    read or is not JSON at all. ``ijson.items`` is not used: its memory grows with the square of
    the depth, so 200,000 brackets are too much. Without ``use_float``, an integer of 5,000 digits
    ends the process.
    """
    import ijson  # noqa: PLC0415 - only this format needs it

    try:
        with path.open("rb") as file:
            _seek_text(file, path, b"[{" if lists else b"{")
            yield ijson.basic_parse(file, use_float=True)
    except (ijson.JSONError, UnicodeDecodeError) as error:
        raise BrokenJsonError(_explain(str(error))) from error
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {error.strerror}") from error


def _seek_text(file: BinaryIO, path: Path, wanted: bytes) -> None:
    head = file.read(64)
    if head.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\0" in head[:4]:
        raise SourceError(f"{path} is UTF-16 or UTF-32, and JSON is UTF-8; save it as UTF-8")
    text = head.removeprefix(_BYTE_ORDER_MARK)
    begins = text.lstrip()[:20]
    if begins and begins[0] not in wanted:
        what = "is a list, not an object with images" if begins[:1] == b"[" else "is not JSON"
        start = begins.decode("utf-8", "backslashreplace")
        raise SourceError(f"{path} {what}; it begins with {start!r}. Is it the right file?")
    file.seek(len(head) - len(text))


def _explain(error: str) -> str:
    if "premature EOF" in error or "ncomplete" in error:
        return "the file ends in the middle; download it again"
    if "UTF8" in error or "utf-8" in error:
        return "a byte that is not UTF-8; save the file as UTF-8, or download it again"
    if "overflow" in error:
        return "a number too large to be read; put it in quotes"
    if "trailing garbage" in error:
        return "something follows the end; download it again"
    return "not JSON from here on; download it again"


def members(
    events: Iterator[_Event], name: str, keys: dict[str, str] | None = None
) -> Iterator[JsonObject | None]:
    """Yield the elements of the list called ``name``, ``None`` for one that is not an object.

    ``keys`` receives each key at the top, with the event that its value begins with. The file is
    read to its end, where it may be damaged.
    """
    next(events)  # the opening brace
    for event, key in events:
        if event != "map_key":
            continue
        event, _ = next(events)  # noqa: PLW2901 - what the key stands for
        if keys is not None:
            keys[str(key)] = event
        if key != name or event != "start_array":
            _skip(events, event)
            continue
        for event, _ in events:  # noqa: PLW2901 - its elements
            if event == "start_map":
                yield _object(events)
            elif event == "end_array":
                break
            else:
                _skip(events, event)
                yield None


def records(events: Iterator[_Event]) -> Iterator[JsonObject | None]:
    """Yield the elements of the list that the file is, or of the first list of objects in it, with
    all that they contain; ``None`` for one that is not an object.

    Raise ``BrokenJsonError`` for values that are nested too deeply.
    """
    event, _ = next(events, ("", None))
    if event == "start_map":
        for event, _ in events:
            if event == "map_key":
                event, _ = next(events)  # noqa: PLW2901 - what the key stands for
                if event == "start_array" and (yield from _list_records(events, alone=False)):
                    return
                if event == "start_map":
                    _skip(events, event)
    elif event == "start_array":
        yield from _list_records(events, alone=True)
        next(events, None)  # what follows the list is an error


def _list_records(
    events: Iterator[_Event], *, alone: bool
) -> Generator[JsonObject | None, None, bool]:
    """Yield the elements of a list that has begun; return whether it is a list of objects.

    Unless it stands ``alone``, it is only if its first element is one.
    """
    found = alone
    for event, value in events:
        if event == "end_array":
            return found
        if event == "start_map":
            found = True
            row = _whole(events, event, value)
            yield row if isinstance(row, dict) else None
        else:
            _skip(events, event)
            if found:
                yield None
    return found


def _whole(events: Iterator[_Event], event: str, value: Value, depth: int = 0) -> Value:
    """Return the value that begins with an event, with everything in it."""
    if event not in ("start_map", "start_array"):
        return value
    if depth == _DEEPEST:
        raise BrokenJsonError(f"values are nested more than {_DEEPEST} deep; flatten them")
    if event == "start_array":
        elements: list[Value] = []
        for begins, one in events:
            if begins == "end_array":
                break
            elements.append(_whole(events, begins, one, depth + 1))
        return elements
    item: JsonObject = {}
    for ends, key in events:
        if ends == "end_map":
            break
        item[str(key)] = _whole(events, *next(events), depth + 1)
    return item


def _object(events: Iterator[_Event]) -> JsonObject:
    """Return the rest of an object that has begun."""
    item: JsonObject = {}
    for event, key in events:
        if event == "end_map":
            break
        event, value = next(events)  # noqa: PLW2901 - what the key stands for
        if event == "start_array":
            value = list(_elements(events))
        elif event == "start_map":
            _skip(events, event)
            value = _NESTED
        item[str(key)] = value
    return item


def _elements(events: Iterator[_Event]) -> Iterator[Value]:
    for event, value in events:
        if event == "end_array":
            return
        if event in ("start_array", "start_map"):
            _skip(events, event)
            yield _NESTED
        else:
            yield value


def _skip(events: Iterator[_Event], event: str) -> None:
    """Read past the rest of a value that begins with ``event``."""
    depth = 1 if event in ("start_array", "start_map") else 0
    while depth:
        event, _ = next(events)
        if event in ("start_array", "start_map"):
            depth += 1
        elif event in ("end_array", "end_map"):
            depth -= 1
