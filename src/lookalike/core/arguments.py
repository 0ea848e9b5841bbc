"""Checks of the arguments of public functions: wrong types and misspelt names get our message.

    @checked
    def sample(self, k: int, *, where: str | Condition | None = None): ...

    shop.sample("5")        TypeError: k is '5', but must be a whole number
    shop.sample(5, wher=…)  TypeError: sample has no argument 'wher'; did you mean 'where'?

The annotations say what is wanted. What they cannot say (a range, a file that must exist) is
checked by the function itself.
"""

import inspect
import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache, wraps
from types import FunctionType, UnionType
from typing import Any, ForwardRef, Literal, TypeVar, Union, Unpack, get_args, get_origin

import numpy as np

from lookalike.core.suggestions import did_you_mean

__all__ = [
    "check_flag",
    "check_number",
    "check_whole",
    "checked",
    "checked_methods",
    "describe_value",
    "name_unknown",
]

_Function = TypeVar("_Function", bound=Callable[..., Any])
_Class = TypeVar("_Class")

_NUMBERS = (int, float, np.integer, np.floating)
_LONGEST = 60  # characters of a value that a message shows
_NAMED = {
    str: "text",
    bytes: "bytes",
    int: "a whole number",
    float: "a number",
    bool: "True or False",
    dict: "a dict",
    Mapping: "a dict",
}
# What the function itself checks, with a better message than its many types would give.
_OWN_MESSAGE = frozenset({"query", "crop", "where"})


class _OpenCollection:
    """Stands for ``Collection``, which this layer does not know."""


_UNCHECKED = (inspect.Parameter.empty, Any, object, type(None))


def checked(function: _Function, *, name: str = "", types: bool = True) -> _Function:
    """Check the types of a function's arguments, and the names of its keywords, at each call.

    A call costs a microsecond or two more. A type that is named only for type checkers (under
    ``TYPE_CHECKING``) is checked if it is public. ``name`` is what messages call the function.
    Without ``types``, only names are checked.
    """
    plan: list[_Plan] = []  # made at the first call: then every name in annotations is there

    @wraps(function)
    def call(*args: Any, **keywords: Any) -> Any:  # noqa: ANN401 - of any function
        if not plan:
            plan.append(_Plan(function, name or function.__name__, types=types))
        plan[0].check(args, keywords)
        return function(*args, **keywords)

    call.__dict__["checks_arguments"] = True
    return call  # type: ignore[return-value]


def checked_methods(cls: type[_Class]) -> type[_Class]:
    """Check the arguments of a class's own public methods and constructor: see ``checked``."""
    for name, member in [*vars(cls).items()]:
        if not isinstance(member, FunctionType):
            continue
        if name == "__init__":
            setattr(cls, name, checked(member, name=cls.__name__))
        elif not name.startswith("_"):
            setattr(cls, name, checked(member))
    return cls


class _Plan:
    """What a function takes, read once from its signature."""

    def __init__(self, function: Callable[..., Any], name: str, *, types: bool) -> None:
        self.name = name
        places = inspect.signature(function).parameters.values()
        self.positions: list[tuple[str, object]] = []
        self.known: dict[str, object] = {}
        self.open = False  # takes any keyword
        for one in places:
            own = one.name in _OWN_MESSAGE or not types
            wanted = Any if own else _evaluate(one.annotation, function)
            if types and getattr(one.annotation, "__name__", one.annotation) == "Collection":
                wanted = _OpenCollection
            if one.kind is one.VAR_KEYWORD:
                self._add_keywords(one.annotation, function)
            elif one.kind is one.VAR_POSITIONAL:
                pass
            elif one.kind is one.KEYWORD_ONLY:
                self.known[one.name] = wanted
            else:
                self.positions.append((one.name, wanted))
                if one.kind is not one.POSITIONAL_ONLY:
                    self.known[one.name] = wanted
        self.wanted = {
            name: wanted for name, wanted in self.known.items() if wanted not in _UNCHECKED
        }

    def _add_keywords(self, annotation: object, function: Callable[..., Any]) -> None:
        """Take what ``Unpack[SomeTypedDict]`` has; any other ``**keywords`` may be anything.

        With a parameter ``options``, the keywords are those of a class that checks their values.
        """
        options = get_args(annotation)[0] if get_origin(annotation) is Unpack else None
        if isinstance(options, ForwardRef):
            options = _evaluate(options.__forward_arg__, function)
        if options is None or options is Any:
            self.open = True
        else:
            own = "options" in self.known
            for name, wanted in options.__annotations__.items():
                self.known[name] = Any if own else _evaluate(wanted, function)

    def check(self, args: Sequence[object], keywords: Mapping[str, object]) -> None:
        for name, value in keywords.items():
            if name not in self.known and not self.open:
                raise TypeError(name_unknown(self.name, name, self.known))
            wanted = self.wanted.get(name)
            if wanted is not None and not _is(value, wanted):
                raise _wrong(name, value, wanted)
        for (name, wanted), value in zip(self.positions, args, strict=False):
            if not _is(value, wanted):
                raise _wrong(name, value, wanted)


def _wrong(name: str, value: object, wanted: object) -> Exception:
    """Return the error for a value: a ``ValueError`` where only the choice is wrong."""
    parts = _flatten(wanted)
    message = f"{name} is {describe_value(value)}, but must be {_say(wanted)}"
    if Sequence[str] in parts and isinstance(value, str):
        message += f"; give [{describe_value(value)}] for one"
    for part in parts:
        inner = get_args(part)
        if (
            isinstance(value, list | tuple)
            and isinstance(value, _class_of(part))
            and len(inner) == 1
        ):
            odd = next(one for one in value if not _is(one, inner[0]))
            message = f"{name} has {describe_value(odd)} in it, but must be {_say(wanted)}"
    literals = [one for one in parts if get_origin(one) is Literal]
    kinds = {type(choice) for one in literals for choice in get_args(one)}
    return ValueError(message) if type(value) in kinds else TypeError(message)


def _class_of(wanted: object) -> type:
    """Return the class of a generic type, such as ``Sequence[str]``."""
    origin = get_origin(wanted)
    return origin if isinstance(origin, type) else type(None)


def check_whole(name: str, value: object, *, least: int, most: int | None = None) -> int:
    """Return a whole number of at least ``least`` and, if given, at most ``most``.

    Raise ``TypeError`` for what is no number, and ``ValueError`` for any other number.
    """
    span = f"of at least {least}" if most is None else f"from {least} to {most}"
    wanted = f"{name} is {describe_value(value)}, but must be a whole number {span}"
    if not isinstance(value, _NUMBERS):
        raise TypeError(wanted)
    whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
    if not whole or value < least or (most is not None and value > most):
        raise ValueError(wanted)
    return int(value)


def check_number(name: str, value: object, range: str, *, low: float, high: float) -> float:  # noqa: A002 - in words
    """Return a number from ``low`` to ``high``. Raise as ``check_whole``."""
    wanted = f"{name} is {describe_value(value)}, but must be {range}"
    if not isinstance(value, _NUMBERS) or isinstance(value, bool):
        raise TypeError(wanted)
    if not low <= value <= high:
        percent = 1 < value <= 100 and high == 1  # noqa: PLR2004 - what a per cent is of
        raise ValueError(f"{wanted}{f'; {value:g} % is {value / 100:g}' if percent else ''}")
    return float(value)


def check_flag(name: str, value: object) -> None:
    """Raise ``TypeError`` for what is neither true nor false, such as the text ``no``."""
    if not isinstance(value, bool | np.bool_):
        raise TypeError(f"{name} is {describe_value(value)}, but must be True or False")


def name_unknown(function: str, name: str, known: Iterable[str]) -> str:
    """Return the message on a keyword that a function does not have."""
    names = [one for one in known if one != "self"]
    hint = did_you_mean(name, names) or f"; it has {', '.join(names) or 'none'}"
    return f"{function} has no argument {name!r}{hint}"


def describe_value(value: object) -> str:
    """Return a value as a message names it: short values in full, others by their type."""
    if value is None or isinstance(value, str | bool | int | float | complex | bytes):
        text = repr(value)
        return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
    name = type(value).__name__
    if isinstance(value, np.ndarray):
        return f"an array of shape {value.shape}"
    return f"{'an' if name[:1].lower() in 'aeiou' else 'a'} {name}"


class _PublicNames(dict[str, object]):
    """The public names of the package, which are imported when they are looked up."""

    def __missing__(self, name: str) -> object:
        package = sys.modules[__name__.partition(".")[0]]
        if name in package.__all__:
            return getattr(package, name)
        raise KeyError(name)


def _evaluate(annotation: object, function: Callable[..., Any]) -> object:
    """Return an annotation as types; ``Any`` where it names what only type checkers know."""
    if not isinstance(annotation, str):
        return annotation
    try:
        return eval(annotation, function.__globals__, _PublicNames())  # noqa: S307 - our own source
    except (NameError, TypeError, AttributeError):
        return Any


@cache
def _simple(wanted: object) -> tuple[type, ...] | None:
    """Return the classes whose instances an annotation takes; ``None`` where that does not say."""
    if wanted is int:
        return (int, np.integer)
    if wanted is float:
        return _NUMBERS
    if wanted is bool:
        return (bool, np.bool_)
    if not isinstance(wanted, type) or wanted is object or wanted.__module__ == "typing":
        return None  # of typing: such as TextIO, which no stream is an instance of
    return (wanted,)


def _is(value: object, wanted: object) -> bool:  # noqa: PLR0911 - a case each
    """Return whether a value is of a type. What cannot be decided counts as one."""
    if wanted in _UNCHECKED:
        return wanted is not type(None) or value is None
    origin = get_origin(wanted)
    if origin is Union or origin is UnionType:
        return any(_is(value, one) for one in get_args(wanted))
    if origin is Literal:
        return value in get_args(wanted) if isinstance(value, str | int | bool | None) else False
    if origin is not None:
        return _is_of(value, origin, get_args(wanted))
    if wanted is _OpenCollection:
        return hasattr(value, "store")
    simple = _simple(wanted)
    if simple is None:
        return True
    if getattr(wanted, "_is_protocol", False):
        return not isinstance(value, str | bytes | int | float | list | tuple | dict | None)
    if isinstance(value, bool) and wanted in (int, float):
        return False
    return isinstance(value, simple)


def _is_of(value: object, origin: object, parts: tuple[object, ...]) -> bool:
    """Return whether a value is of a generic type, such as ``Sequence[str]``."""
    if origin is os.PathLike:
        return isinstance(value, os.PathLike)
    if not isinstance(origin, type):
        return True
    if isinstance(value, str | bytes) and issubclass(origin, Iterable):
        return False  # a list of one letter each is never meant
    if not isinstance(value, origin):
        return False
    if isinstance(value, list | tuple) and len(parts) == 1:
        return all(_is(one, parts[0]) for one in value)
    return True


def _say(wanted: object) -> str:
    """Return what an annotation wants, in words."""
    parts: list[str] = []
    for one in _flatten(wanted):
        name = _say_one(one)
        if name not in parts:
            parts.append(name)
    if "text" in parts and "a path" in parts:
        parts = ["a path", *(one for one in parts if one not in ("text", "a path"))]
    *rest, last = parts
    return f"{', '.join(rest)} or {last}" if rest else last


def _flatten(wanted: object) -> list[object]:
    origin = get_origin(wanted)
    if origin is Union or origin is UnionType:
        return [part for one in get_args(wanted) for part in _flatten(one)]
    return [wanted]


def _say_one(wanted: object) -> str:  # noqa: C901, PLR0911 - a case each
    origin = get_origin(wanted)
    if wanted is type(None):
        return "None"
    if wanted is _OpenCollection:
        return "an open collection, as lookalike.open returns it"
    if origin is Literal:
        return " or ".join(map(repr, get_args(wanted)))
    if origin is os.PathLike:
        return "a path"
    if origin is Callable or wanted is Callable:
        return "a function"
    if origin is not None and isinstance(origin, type):
        if issubclass(origin, Mapping):
            return "a dict"
        if issubclass(origin, np.ndarray):
            return "an array"
        if issubclass(origin, Iterable):
            inner = get_args(wanted)
            return f"a list of {_plural(inner[0])}" if inner else "a list"
    if isinstance(wanted, type):
        name = wanted.__name__
        article = "an" if name[:1].lower() in "aeiou" else "a"
        return _NAMED.get(wanted, f"{article} {name}")
    return "something else"


def _plural(wanted: object) -> str:
    if wanted is str:
        return "texts"
    if wanted in (int, float):
        return "numbers"
    return f"{wanted.__name__} objects" if isinstance(wanted, type) else f"these: {_say(wanted)}"
