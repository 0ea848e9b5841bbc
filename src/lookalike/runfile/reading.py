"""A run file, read and checked: every mistake is told with its line and key, all at once."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from lookalike.core.suggestions import did_you_mean
from lookalike.encoders.cards import available_encoders
from lookalike.errors import RunFileError
from lookalike.runfile import older
from lookalike.runfile.document import Document, Place, read_document, where
from lookalike.runfile.model import RunFile

__all__ = ["Loaded", "keys_of", "read_run_file"]

_MOST_ERRORS = 20
_LONGEST = 60  # characters of a wrong value that are shown

# What people look for under another name, or that is not there.
_ELSEWHERE = {
    "calibration": "needs no step: `lookalike search --min-match` measures it on first need",
    "search": "is no step: ask with `lookalike search` once the run is done",
    "source": "belongs below index (`index: {source: …}`)",
    "store": "is said by the collection's address (`collection: NAME`, a path, or an address)",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """A run file as it is meant: relative paths in it are below the folder it lies in."""

    path: Path
    file: RunFile
    notes: tuple[older.Note, ...] = ()

    def place(self, text: str) -> Path:
        """Where a path of the file leads."""
        return self.path.parent / os.path.expanduser(text)  # noqa: PTH111 - a Path's raises for an unknown ~user


def read_run_file(path: Path, environment: Mapping[str, str] = os.environ) -> Loaded:
    """Read a run file. Raises ``RunFileError``, a line for each mistake."""
    document = read_document(path, environment)
    notes: tuple[older.Note, ...] = ()
    if older.recognised(document):
        known = keys_of(RunFile)
        document, notes = older.translated(document, available_encoders(), known.__contains__)
    try:
        file = RunFile.model_validate(document.values)
    except ValidationError as error:
        raise RunFileError("\n".join(_told(error, document))) from error
    return Loaded(path=path, file=file, notes=notes)


def keys_of(section: type[BaseModel]) -> dict[str, Any]:
    """The keys of a section as a file has them, with the fields they are."""
    return {field.alias or name: field for name, field in section.model_fields.items()}


def _told(error: ValidationError, document: Document) -> Iterator[str]:
    found = error.errors(include_url=False)
    found.sort(key=lambda one: document.line(tuple(one["loc"])) or 0)
    for one in found[:_MOST_ERRORS]:
        place = tuple(one["loc"])
        yield f"{where(document, place)} {_phrase(one, place)}"
    if len(found) > _MOST_ERRORS:
        yield f"and {len(found) - _MOST_ERRORS} more"


# Kind of a mistake (its first letters), and what is said of it; {} is the wrong value.
_PHRASES = {
    "missing": "is missing",
    "int_": "must be a whole number, not {}",
    "float_": "must be a number, not {}",
    "finite_number": "must be a number, not {}",
    "bool_": "must be true or false, not {}",
    "string_too_short": "must not be empty",
    "string_": "must be text, not {}",
    "tuple_type": "must be a value or a list, not {}",
    "too_short": "must not be an empty list",
    "model_": "must be a group of keys, not {}",
}


def _phrase(error: Any, place: Place) -> str:  # noqa: ANN401 - pydantic's
    kind, limits = error["type"], error.get("ctx", {})
    value = repr(error["input"])
    shown = value if len(value) <= _LONGEST else value[: _LONGEST - 1] + "…"
    if kind == "extra_forbidden":
        return _unknown(place)
    if kind == "value_error":
        return str(limits["error"])
    if kind in ("greater_than_equal", "greater_than"):
        least = f"at least {limits['ge']}" if "ge" in limits else f"above {limits['gt']}"
        return f"must be {least}, not {shown}"
    if kind == "literal_error":
        return f"must be one of {limits['expected']}, not {shown}"
    phrase = next((text for start, text in _PHRASES.items() if kind.startswith(start)), None)
    return str(error["msg"]) if phrase is None else phrase.format(shown)


def _unknown(place: Place) -> str:
    *around, last = place
    section: type[BaseModel] = RunFile
    for part in around:
        annotation = keys_of(section)[str(part)].annotation
        section = next(
            one
            for one in (annotation, *get_args(annotation))
            if isinstance(one, type) and issubclass(one, BaseModel)
        )
    if not around and last in _ELSEWHERE:
        return _ELSEWHERE[str(last)]
    known = keys_of(section)
    what = f"of {'.'.join(map(str, around))}" if around else "of a run file"
    hint = did_you_mean(str(last), known)
    return f"is no key {what}{hint or '; there are ' + ', '.join(known)}"
