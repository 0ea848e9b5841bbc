"""A run file to start from: every key, with its purpose and default."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from types import UnionType
from typing import Any, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from lookalike.core.records import Entry, Remote
from lookalike.errors import SourceError
from lookalike.runfile.model import RunFile
from lookalike.runfile.reading import keys_of
from lookalike.runfile.sections import Columns
from lookalike.sources.catalogues import open_catalogue, recognise

__all__ = ["Start", "start_with", "template"]

_LOOKED_AT = 200  # entries of a catalogue that say what it has
_WIDTH = 34  # columns before a comment
_LONGEST = 98  # of a line; a longer one has its comment above it
_PLAIN = re.compile(r"[A-Za-z0-9_./][A-Za-z0-9_./*=<+-]*")
_HEAD = """\
# `lookalike run {name}` runs the steps that are out of date; --dry-run only lists them.
# Each section is a step: delete those that you do not want. Keys that are commented out show their
# default, or an example. ${{NAME}} and ${{NAME:-default}} are taken from the environment; write
# $$ for a dollar sign. Relative paths start from this file's folder.
"""

# Section → key → value; ``""`` for the top.
Values = Mapping[str, Mapping[str, object]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """A run file to write: its ``values``, and a ``note`` on what was found in the source."""

    values: Values
    note: str = ""


def start_with(source: Path | None, *, kind: str, folder: Path, name: str) -> Start:
    """Return a run file in ``folder`` for a source of a format (``auto`` recognises it).

    Sections that need labels are left out where there are none. ``name`` is the collection's
    where there is no source. Raise ``SourceError`` for what cannot be indexed.
    """
    whole: dict[str, Mapping[str, object]] = {
        "categories": {"by": "label"},
        "neighbours": {"k": 50},
        "evaluate": {"by": "label", "report": "report.html"},
    }
    if source is None:
        index = {"source": "images/", "format": kind}
        return Start(values={"": {"collection": name}, "index": index, **whole})
    kind = recognise(source) if kind == "auto" else kind
    said, note = _inspect_source(source, kind)
    top = {"collection": _suggest_name(source)}
    if not said.labels:
        whole = {"neighbours": whole["neighbours"]}
    place = _place(source, folder)
    if said.remote:
        fetch = {"catalogue": place, "to": "images/", "format": kind}
        steps: dict[str, Mapping[str, object]] = {"download": fetch, "index": {"format": "auto"}}
    else:
        steps = {"index": {"source": place, "format": kind}}
    return Start(values={"": top, **steps, **whole}, note=f"{source}: read as {kind}{note}")


@dataclass(frozen=True, slots=True)
class _Said:
    labels: bool = False
    remote: bool = False


def _inspect_source(source: Path, kind: str) -> tuple[_Said, str]:
    """Return what a catalogue says of its first images, and a note about it."""
    if kind == "folder":
        return _Said(), "; if each folder in it is a label, use --format class-folders"
    try:
        read = islice(open_catalogue(source, kind).entries(), _LOOKED_AT)
        entries = [one for one in read if isinstance(one, Entry)]
    except SourceError as error:
        return _Said(labels=True), f"; {error} (here: columns)"
    said = _Said(
        labels=any(one.label for one in entries),
        remote=any(isinstance(one.image, Remote) for one in entries),
    )
    found = [*(["labels"] if said.labels else []), *(["URLs to download"] if said.remote else [])]
    return said, f", with {' and '.join(found)}" if found else ""


def _suggest_name(source: Path) -> str:
    stem = source.resolve().stem if source.is_file() else source.resolve().name
    return re.sub(r"[^A-Za-z0-9_-]+", "-", stem).strip("-").lower() or "shop"


def _place(source: Path, folder: Path) -> str:
    """Return the source as the file says it: relative where it lies below the file's folder."""
    place, below = source.resolve(), folder.resolve()
    if place.is_relative_to(below):
        return f"{place.relative_to(below).as_posix()}{'/' if place.is_dir() else ''}"
    return str(place)


# -- text ----------------------------------------------------------------------------------


def template(start: Values, *, name: str, toml: bool = False) -> str:
    """Return the file's text: what ``start`` says, and every other key commented out."""
    write = _Toml() if toml else _Yaml()
    parts = [_HEAD.format(name=name)]
    keys = keys_of(RunFile)
    sections = {key: inner for key, field in keys.items() if (inner := _find_section(field))}
    top = start.get("", {})
    plain = [key for key in keys if key not in sections]
    order = [*plain, *sections] if toml else list(keys)
    for key in order:
        field = keys[key]
        if key in sections:
            parts.append("")
            parts += _write_lines(write, key, sections[key], start.get(key))
        else:
            if key == "declare" and not toml:
                parts.append("")
            parts.append(_write_line(write, key, field, top.get(key), said=key in top, indent=""))
    return "\n".join(parts) + "\n"


def _write_lines(
    write: "_Yaml | _Toml", key: str, section: type[BaseModel], said: Mapping[str, object] | None
) -> Iterator[str]:
    off = "" if said is not None else "# "
    for line in (section.__doc__ or "").strip().splitlines():
        yield f"# {line.strip()}"
    yield off + write.head(key)
    for name, field in keys_of(section).items():
        given = said or {}
        line = _write_line(
            write, name, field, given.get(name), said=name in given, indent=write.indent
        )
        for one in line.splitlines():
            yield one if said is not None else _comment_out(one, write.indent)


def _comment_out(line: str, indent: str) -> str:
    """Return a line of a section that is commented out as a whole."""
    return f"# {indent}{line.strip().removeprefix('# ')}"


def _write_line(
    write: "_Yaml | _Toml", key: str, field: FieldInfo, value: object, *, said: bool, indent: str
) -> str:
    if not said:
        value = _show_default(field)
    text = f"{indent}{'' if said else '# '}{write.pair(key, value)}"
    line = f"{text:<{_WIDTH}} # {field.description}"
    return line if len(line) <= _LONGEST else f"{indent}# {field.description}\n{text}"


def _show_default(field: FieldInfo) -> object:
    """Return a key's default, or an example where it has none."""
    if field.annotation is Columns:
        return {name: one.examples[0] for name, one in keys_of(Columns).items() if one.examples}
    return field.examples[0] if field.examples else field.get_default()


def _find_section(field: FieldInfo) -> type[BaseModel] | None:
    """Return the group of keys that a field of the file is, if it is one."""
    kind = field.annotation
    inner = get_args(kind) if get_origin(kind) in (Union, UnionType) else (kind,)
    return next(
        (one for one in inner if isinstance(one, type) and issubclass(one, BaseModel)), None
    )


class _Yaml:
    indent = "  "

    def head(self, key: str) -> str:
        return f"{key}:"

    def pair(self, key: str, value: object) -> str:
        return f"{key}: {self._format_value(value)}"

    def _format_value(self, value: Any) -> str:  # noqa: ANN401 - a default
        if isinstance(value, Mapping):
            inner = ", ".join(self.pair(key, one) for key, one in value.items())
            return f"{{{inner}}}"
        if isinstance(value, list | tuple):
            return f"[{', '.join(map(self._format_value, value))}]"
        if isinstance(value, str):
            is_plain = _PLAIN.fullmatch(value) and value.lower() != "null"
            return value if is_plain else _quote(value)
        return _format_number(value)


class _Toml:
    indent = ""

    def head(self, key: str) -> str:
        return f"[{key}]"

    def pair(self, key: str, value: object) -> str:
        return f"{key} = {self._format_value(value)}"

    def _format_value(self, value: Any) -> str:  # noqa: ANN401 - as above
        if isinstance(value, Mapping):
            return f"{{{', '.join(self.pair(key, one) for key, one in value.items())}}}"
        if isinstance(value, list | tuple):
            return f"[{', '.join(map(self._format_value, value))}]"
        if isinstance(value, str):
            return _quote(value)
        return _format_number(value)


def _quote(text: str) -> str:
    """In double quotes, escaped as both YAML and TOML have it."""
    written = json.dumps(text.replace("$", "$$"), ensure_ascii=False)
    return "".join(char if char.isprintable() else f"\\U{ord(char):08x}" for char in written)


def _format_number(value: Any) -> str:  # noqa: ANN401 - as above
    if isinstance(value, bool):
        return str(value).lower()
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
