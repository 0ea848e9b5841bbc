"""YAML or TOML → plain values, each key with its line: text, and what TOML has types for.

YAML's plain words stay text (``no``, ``007``, ``1:30``): what a key takes decides what they are.
"""

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import yaml

from lookalike.errors import RunFileError

__all__ = ["Document", "Place", "Value", "expanded", "location", "named", "read_document", "where"]

Place: TypeAlias = tuple[str | int, ...]
Value: TypeAlias = "dict[str, Value] | list[Value] | object"

_MOST_BYTES = 200_000  # PyYAML takes a second for that
_MOST_VALUES = 20_000  # with aliases written out
_DEEPEST = 20
_NOTHING = ("", "~", "null", "Null", "NULL")
_REFERENCE = re.compile(r"\$(?:(\$)|\{([^{}]*)(\})?)")
_NAME = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)(?::-(.*))?", re.DOTALL)
_PLAIN = "tag:yaml.org,2002:"
_TAGS = frozenset(
    _PLAIN + name
    for name in ("null", "bool", "int", "float", "str", "timestamp", "seq", "map", "merge", "value")
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """The values of a file. ``lines`` has the line number (from 1) of each known place."""

    path: Path
    values: dict[str, Value]
    lines: Mapping[Place, int]

    def line(self, place: Place) -> int | None:
        """Return the line of a place, or of the nearest around it."""
        while place and place not in self.lines:
            place = place[:-1]
        return self.lines.get(place)


def read_document(path: Path, environment: Mapping[str, str]) -> Document:
    """Read and parse a file. Raise ``RunFileError`` naming the file, the line and the key."""
    suffix = path.suffix.lower()
    if suffix not in (".yaml", ".yml", ".toml"):
        raise RunFileError(f"{path}: the name of a run file must end in .yaml, .yml or .toml")
    text = _read_text(path)
    builder = _Builder(path, environment)
    values = _parse_toml(text, builder) if suffix == ".toml" else _parse_yaml(text, builder)
    if values is None or values == {}:
        raise RunFileError(f"{path} is empty; `lookalike init` writes a run file to start from")
    if not isinstance(values, dict):
        raise RunFileError(f"{path}: must be a group of keys (`key: value`), one a line")
    return Document(path=path, values=values, lines=builder.lines)


def _read_text(path: Path) -> str:
    try:
        if path.exists() and not path.is_file():
            raise RunFileError(f"{path} is not a file")
        with path.open("rb") as file:
            data = file.read(_MOST_BYTES + 1)
    except FileNotFoundError as error:
        raise RunFileError(f"{path} does not exist; `lookalike init` writes one") from error
    except (OSError, ValueError) as error:  # a name with a NUL in it is a ValueError
        what = getattr(error, "strerror", None) or error
        raise RunFileError(f"{path} cannot be read: {what}") from error
    if len(data) > _MOST_BYTES:
        raise RunFileError(f"{path} is larger than {_MOST_BYTES:,} bytes, so it is not a run file")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise RunFileError(f"{path}:{line}: is not UTF-8 text") from error


class _Builder:
    """Collect parsed values: count them, note their lines, expand environment variables."""

    def __init__(self, path: Path, environment: Mapping[str, str]) -> None:
        self.path = path
        self.lines: dict[Place, int] = {}
        self._environment = environment
        self._left = _MOST_VALUES

    def enter(self, place: Place) -> None:
        self._left -= 1
        if len(place) > _DEEPEST:
            raise self.error(place, "is nested too deeply")
        if self._left < 0:
            raise self.error(place, f"expands to more than {_MOST_VALUES:,} values")

    def text(self, text: str, place: Place) -> str:
        try:
            return expanded(text, self._environment)
        except ValueError as error:
            raise self.error(place, str(error)) from error

    def error(self, place: Place, what: str) -> RunFileError:
        document = Document(path=self.path, values={}, lines=self.lines)
        return RunFileError(f"{where(document, place)} {what}")


def location(document: Document, place: Place) -> str:
    """Return the file and line of a place: ``shop.yaml:12``."""
    line = document.line(place)
    return f"{document.path}{f':{line}' if line else ''}"


def where(document: Document, place: Place) -> str:
    """Return file, line and key of a place: ``shop.yaml:12: index.source``."""
    return f"{location(document, place)}: {named(place)}".rstrip()


def named(place: Place) -> str:
    """``index.source``; what cannot be printed is escaped."""
    text = ""
    for part in place:
        if isinstance(part, int):
            text += f"[{part + 1}]"
        else:
            word = part if part.isprintable() else repr(part)
            text += f".{word}" if text else word
    return text


def expanded(text: str, environment: Mapping[str, str]) -> str:
    """``${NAME}`` and ``${NAME:-default}`` from the environment; ``$$`` is a dollar.

    The default also stands for what is set but empty. Raise ``ValueError``.
    """

    def value(found: re.Match[str]) -> str:
        if found[1]:
            return "$"
        name = _NAME.fullmatch(found[2])
        if name is None or not found[3]:
            raise ValueError(
                f"has {found[0]!r}, which is neither ${{NAME}} nor ${{NAME:-default}}; write $$ "
                "for a dollar sign"
            )
        known = environment.get(name[1])
        if name[2] is not None:
            return known or name[2]
        if known is None:
            raise ValueError(
                f"needs the environment variable {name[1]}, which is not set; set it, or write "
                f"${{{name[1]}:-default}}"
            )
        return known

    return _REFERENCE.sub(value, text)


# -- YAML ----------------------------------------------------------------------------------


def _parse_yaml(text: str, builder: _Builder) -> Value:
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        at = f":{mark.line + 1}:{mark.column + 1}" if mark else ""
        what = error.problem or error.context or "cannot be understood"
        if mark and "${" in "".join(text.split("\n")[mark.line : mark.line + 1]):
            what += "; inside [ ] and { }, put text with ${…} in quotes"
        raise RunFileError(f"{builder.path}{at}: not YAML: {what}") from error
    except yaml.reader.ReaderError as error:
        line = text[: error.position].count("\n") + 1
        raise RunFileError(
            f"{builder.path}:{line}: not YAML: it contains a control character"
        ) from error
    except RecursionError as error:
        raise RunFileError(f"{builder.path}: is nested too deeply") from error
    except (yaml.YAMLError, ValueError, OverflowError) as error:
        raise RunFileError(f"{builder.path}: not YAML: {error}") from error
    return None if node is None else _from_node(node, (), builder)


def _from_node(node: yaml.Node, place: Place, builder: _Builder) -> Value:
    if place:
        builder.lines.setdefault(place, node.start_mark.line + 1)
    builder.enter(place)
    if node.tag not in _TAGS:
        raise builder.error(place, f"has the tag {node.tag!r}; only plain values are read")
    if isinstance(node, yaml.MappingNode):
        return _from_mapping(node, place, builder)
    if isinstance(node, yaml.SequenceNode):
        return [_from_node(one, (*place, at), builder) for at, one in enumerate(node.value)]
    raw = str(node.value)
    quoted = isinstance(node, yaml.ScalarNode) and node.style is not None
    if raw in _NOTHING and not quoted:
        return None
    text = builder.text(raw, place)
    return text if text or quoted else None


def _from_mapping(node: yaml.MappingNode, place: Place, builder: _Builder) -> Value:
    values: dict[str, Value] = {}
    for key, value in node.value:
        line = key.start_mark.line + 1
        if not isinstance(key, yaml.ScalarNode):
            raise RunFileError(f"{builder.path}:{line}: a key must be plain text")
        inner = (*place, str(key.value))
        if key.value in values:
            raise RunFileError(
                f"{builder.path}:{line}: {named(inner)} is given twice, first on line "
                f"{builder.lines[inner]}"
            )
        builder.lines[inner] = line
        values[str(key.value)] = _from_node(value, inner, builder)
    return values


# -- TOML ----------------------------------------------------------------------------------


def _parse_toml(text: str, builder: _Builder) -> Value:
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        what = str(error)
        found = re.fullmatch(r"(.*) \(at (?:line (\d+), column (\d+)|end of document)\)", what)
        at = f":{found[2]}:{found[3]}" if found and found[2] else ""
        raise RunFileError(
            f"{builder.path}{at}: not TOML: {found[1] if found and at else what}"
        ) from error
    except RecursionError as error:
        raise RunFileError(f"{builder.path}: is nested too deeply") from error
    except ValueError as error:  # a number of thousands of digits
        raise RunFileError(f"{builder.path}: not TOML: {error}") from error
    builder.lines.update(_find_toml_lines(text))
    return _from_toml(values, (), builder)


def _from_toml(value: object, place: Place, builder: _Builder) -> Value:
    builder.enter(place)
    if isinstance(value, dict):
        return {key: _from_toml(one, (*place, key), builder) for key, one in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_from_toml(one, (*place, at), builder) for at, one in enumerate(value)]
    return builder.text(value, place) if isinstance(value, str) else value


def _find_toml_lines(text: str) -> dict[Place, int]:
    """Return the lines of keys, as far as each line tells: the parser does not report them."""
    lines: dict[Place, int] = {}
    table: Place = ()
    for number, line in enumerate(text.splitlines(), 1):
        if head := re.match(r"\s*\[([^\[\]]+)\]", line):
            table = _split_dotted(head[1])
            lines.setdefault(table, number)
        elif key := re.match(r"""\s*([\w."'-]+)\s*=""", line):
            lines.setdefault((*table, *_split_dotted(key[1])), number)
    return lines


def _split_dotted(text: str) -> Place:
    """Return the words of ``a."b.c"``."""
    return tuple(
        part.strip("\"'") for part in re.findall(r"""\s*("[^"]*"|'[^']*'|[^."'\s]+)""", text)
    )
