"""Read and check a run file. All mistakes are reported at once, each with its line and key."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from lookalike.compat import application_yaml
from lookalike.compat.application_yaml import OldKeyError
from lookalike.core.suggestions import did_you_mean
from lookalike.encoders.cards import available_encoders
from lookalike.errors import RunFileError
from lookalike.runfile.document import Document, Place, location, named, read_document, where
from lookalike.runfile.model import RunFile

__all__ = ["KeyNote", "LoadedRunFile", "keys_of", "read_run_file"]

_MOST_ERRORS = 20
_LONGEST = 60  # characters of a wrong value that are shown

# Keys that users expect at the top level, and what to do instead.
_ELSEWHERE = {
    "calibration": "is not a step: `lookalike search --min-match` calibrates when it is needed",
    "search": "is not a step: use `lookalike search` after the run",
    "source": "belongs below index (`index: {source: …}`)",
    "store": "is part of the collection's address (`collection: NAME`, a path, or an address)",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyNote:
    """What became of an old key: ``shop.yaml:3: es.port``, and a phrase about it."""

    where: str
    text: str

    def __str__(self) -> str:
        return f"{self.where} {self.text}"


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedRunFile:
    """A run file and its place: relative paths in it are resolved against its folder."""

    path: Path
    file: RunFile
    notes: tuple[KeyNote, ...] = ()

    def place(self, text: str) -> Path:
        """Return a path from the file, resolved against the file's folder."""
        return self.path.parent / os.path.expanduser(text)  # noqa: PTH111 - a Path's raises for an unknown ~user


def read_run_file(path: Path, environment: Mapping[str, str] = os.environ) -> LoadedRunFile:
    """Read a run file. Raise ``RunFileError`` with a line for each mistake."""
    document = read_document(path, environment)
    notes: tuple[KeyNote, ...] = ()
    if application_yaml.is_application_yaml(document.values):
        document, notes = _translate(document)
    try:
        file = RunFile.model_validate(document.values)
    except ValidationError as error:
        raise RunFileError("\n".join(_list_messages(error, document))) from error
    return LoadedRunFile(path=path, file=file, notes=notes)


def _translate(document: Document) -> tuple[Document, tuple[KeyNote, ...]]:
    """Translate an older system's file. Raise ``RunFileError`` naming the line and the key."""
    try:
        found = application_yaml.translate(
            document.values, available_encoders(), keys_of(RunFile).__contains__
        )
    except OldKeyError as error:
        if error.unknown:
            at = location(document, error.place)
            text = f"{at}: unknown key {named(error.place)!r}; it {error.reason}"
        else:
            text = f"{where(document, error.place)} {error.reason}"
        raise RunFileError(text) from error
    lines = dict(document.lines)
    for key, places in found.origins.items():
        line = next((document.line(place) for place in places), None)
        if line is not None:
            lines.setdefault((key,), line)
    notes = tuple(
        KeyNote(where=where(document, change.place), text=change.text) for change in found.changes
    )
    return Document(path=document.path, values=found.values, lines=lines), notes


def keys_of(section: type[BaseModel]) -> dict[str, Any]:
    """Return the keys of a section as a file writes them, with their fields."""
    return {field.alias or name: field for name, field in section.model_fields.items()}


def _list_messages(error: ValidationError, document: Document) -> Iterator[str]:
    found = error.errors(include_url=False)
    found.sort(key=lambda one: document.line(tuple(one["loc"])) or 0)
    for one in found[:_MOST_ERRORS]:
        place = tuple(one["loc"])
        if one["type"] == "extra_forbidden":
            yield _explain_unknown_key(document, place)
        else:
            yield f"{where(document, place)} {_phrase_error(one)}"
    if len(found) > _MOST_ERRORS:
        yield f"and {len(found) - _MOST_ERRORS} more"


# Start of pydantic's error type → message; {} is the wrong value.
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


def _phrase_error(error: Any) -> str:  # noqa: ANN401 - pydantic's
    kind, limits = error["type"], error.get("ctx", {})
    value = repr(error["input"])
    shown = value if len(value) <= _LONGEST else value[: _LONGEST - 1] + "…"
    if kind == "value_error":
        return str(limits["error"])
    if kind in ("greater_than_equal", "greater_than"):
        least = f"at least {limits['ge']}" if "ge" in limits else f"above {limits['gt']}"
        return f"must be {least}, not {shown}"
    if kind == "literal_error":
        return f"must be one of {limits['expected']}, not {shown}"
    phrase = next((text for start, text in _PHRASES.items() if kind.startswith(start)), None)
    return str(error["msg"]) if phrase is None else phrase.format(shown)


def _explain_unknown_key(document: Document, place: Place) -> str:
    """Return a message about a key that does not exist, with the nearest that does."""
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
        return f"{where(document, place)} {_ELSEWHERE[str(last)]}"
    known = keys_of(section)
    hint = did_you_mean(str(last), known) or f"; the keys here are {', '.join(known)}"
    return f"{location(document, place)}: unknown key {named(place)!r}{hint}"
