"""The filter language: text that a person types → a tree of conditions on items.

    gender=Men and baseColour in (Red, Blue) and price<1000 and not label="Flip Flops"

    either   := both ("or" both)*
    both     := one ("and" one)*
    one      := "not" one | "(" either ")" | condition
    condition := field ("=" | "!=" | "<" | "<=" | ">" | ">=" | "^=") value
               | field ["not"] "in" "(" value ("," value)* ")"
               | field "exists" | field "missing"

``^=`` means "begins with". A field is one of ``FIELDS``, or a path into the metadata whose parts
are joined by dots. Values and names with spaces are written in single or double quotes. Each store
compiles the tree into its own queries; ``value_of`` gives the meaning of a field.
"""

import re
from dataclasses import dataclass
from typing import NoReturn, TypeAlias

from lookalike.core.arguments import describe_value
from lookalike.core.records import Item, Json
from lookalike.errors import FilterError

__all__ = [
    "FIELDS",
    "And",
    "Compare",
    "Condition",
    "Exists",
    "In",
    "Not",
    "Or",
    "Value",
    "all_of",
    "parse",
    "to_condition",
    "value_of",
]

FIELDS = frozenset({"id", "label", "group", "root", "path", "width", "height", "digest"})
"""Fields of the item itself; ``metadata.label`` names a metadata field that is called the same."""

_PREFIX = "metadata."


@dataclass(frozen=True, slots=True)
class Value:
    """A value as it was typed: its ``text`` and, if it is a number, its ``number``.

    ``Value.of(12.5)``, ``Value.of("Red")`` and ``Value.of(True)`` convert Python values.
    """

    text: str
    number: float | None = None

    @classmethod
    def of(cls, value: object) -> "Value":
        if isinstance(value, Value):
            return value
        if isinstance(value, bool):
            return cls("true" if value else "false")
        if isinstance(value, str):
            return cls(value)
        if isinstance(value, int | float):
            return cls(repr(value).removesuffix(".0"), float(value))
        raise TypeError(f"a filter compares with text, numbers, true and false, not {value!r}")


@dataclass(frozen=True, slots=True)
class Compare:
    """A condition on a field's value or, if that is a list, on any of its elements.

    Texts are equal if they are the same, and so are numbers; a typed number also equals a text
    that reads the same (``year=2011`` finds 2011 and "2011"). ``true`` and ``false`` also equal
    JSON's booleans. For order, a typed number is compared with numbers only, and other text with
    text only, by code point (for ISO dates this is their order). ``!=`` is the opposite of ``=``,
    so it also finds items without the field.
    """

    field: str
    operator: str
    value: Value


@dataclass(frozen=True, slots=True)
class In:
    """A field equals one of several values."""

    field: str
    values: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class Exists:
    """The item has the field, and its value is neither null nor an empty list."""

    field: str


@dataclass(frozen=True, slots=True)
class Not:
    part: "Condition"


@dataclass(frozen=True, slots=True)
class And:
    parts: tuple["Condition", ...]


@dataclass(frozen=True, slots=True)
class Or:
    parts: tuple["Condition", ...]


Condition: TypeAlias = Compare | In | Exists | Not | And | Or


def to_condition(where: str | Condition | None) -> Condition | None:
    """Return a filter as a condition; blank text is none.

    Raise ``FilterError``, and ``TypeError`` for what is neither text nor a condition.
    """
    if isinstance(where, str):
        return parse(where) if where.strip() else None
    if where is not None and not isinstance(where, Condition):
        wanted = "text such as 'label=mug and price<20', or a Condition"
        raise TypeError(f"where is {describe_value(where)}, but must be {wanted}")
    return where


def all_of(*conditions: Condition | None) -> Condition | None:
    """Return a condition that holds where all of them do; ``None`` holds everywhere."""
    parts = tuple(one for one in conditions if one is not None)
    return And(parts) if len(parts) > 1 else parts[0] if parts else None


def value_of(item: Item, field: str) -> Json:
    """Return the value that a filter compares for ``field``; ``None`` where the item has none.

    ``spec.size`` is the member ``size`` of the object ``spec``. A key that contains a dot itself
    (``{"a.b": 1}``) is not a field: no filter and no store can address it.
    """
    if field in FIELDS:
        own: Json = getattr(item, field)
        return own
    first, *inner = field.removeprefix(_PREFIX).split(".")
    value = item.metadata.get(first)
    for name in inner:
        value = value.get(name) if isinstance(value, dict) else None
    return value


_TOKEN = re.compile(
    r"""\s*(?:
        (?P<quoted>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')
      | (?P<symbol><=|>=|!=|\^=|[=<>(),])
      | (?P<word>[^\s=<>!^(),"']+)
      | (?P<end>$)
    )""",
    re.VERBOSE,
)
_WORDS = frozenset({"and", "or", "not", "in", "exists", "missing"})
_OPERATORS = frozenset({"=", "!=", "<", "<=", ">", ">=", "^="})
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?")
_DEEPEST = 50  # nested parentheses and "not"s


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str  # "quoted", "symbol", "word", "keyword" or "end"
    text: str
    at: int


def parse(text: str) -> Condition:
    """Return the tree of a filter. Raise ``FilterError``, which gives the place of the mistake."""
    return _Parser(text).whole()


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = self._split()
        self._next = 0
        self._depth = 0

    def whole(self) -> Condition:
        if self._peek().kind == "end":
            self._fail("a condition is missing, like label=mug")
        condition = self._parse_or()
        if self._peek().kind != "end":
            self._fail('"and" or "or" must stand between two conditions')
        return condition

    def _parse_or(self) -> Condition:
        parts = [self._parse_and()]
        while self._take("or"):
            parts.append(self._parse_and())
        return parts[0] if len(parts) == 1 else Or(tuple(parts))

    def _parse_and(self) -> Condition:
        parts = [self._parse_term()]
        while self._take("and"):
            parts.append(self._parse_term())
        return parts[0] if len(parts) == 1 else And(tuple(parts))

    def _parse_term(self) -> Condition:
        self._depth += 1
        if self._depth > _DEEPEST:
            self._fail(f"more than {_DEEPEST} nested parentheses")
        try:
            if self._take("not"):
                return Not(self._parse_term())
            if self._take("("):
                inner = self._parse_or()
                if not self._take(")"):
                    self._fail('a ")" is missing')
                return inner
            return self._parse_condition()
        finally:
            self._depth -= 1

    def _parse_condition(self) -> Condition:
        field = self._field()
        if self._take("exists"):
            return Exists(field)
        if self._take("missing"):
            return Not(Exists(field))
        negated = self._take("not")
        if self._take("in"):
            members = In(field, self._list())
            return Not(members) if negated else members
        operator = self._peek()
        if negated or operator.text not in _OPERATORS or operator.kind != "symbol":
            self._fail(
                f"after {field!r} must come one of = != < <= > >= ^=, or in, exists, missing"
            )
        self._next += 1
        value = self._parse_value()
        return Compare(field, operator.text, value)

    def _field(self) -> str:
        token = self._peek()
        if token.kind not in ("word", "quoted"):
            self._fail("the name of a field is missing")
        self._next += 1
        return token.text

    def _list(self) -> tuple[Value, ...]:
        if not self._take("("):
            self._fail('after "in" must come a list, like (Red, Blue)')
        values = [self._parse_value()]
        while self._take(","):
            values.append(self._parse_value())
        if not self._take(")"):
            self._fail('a "," or ")" is missing')
        return tuple(values)

    def _parse_value(self) -> Value:
        token = self._peek()
        if token.kind not in ("word", "quoted"):
            self._fail("a value is missing")
        self._next += 1
        typed_number = token.kind == "word" and _NUMBER.fullmatch(token.text)
        return Value(token.text, float(token.text) if typed_number else None)

    def _peek(self) -> _Token:
        return self._tokens[self._next]

    def _take(self, text: str) -> bool:
        token = self._peek()
        if token.text == text and token.kind in ("symbol", "keyword"):
            self._next += 1
            return True
        return False

    def _fail(self, reason: str) -> NoReturn:
        raise FilterError(reason, text=self._text, at=self._peek().at)

    def _split(self) -> list[_Token]:
        tokens: list[_Token] = []
        at = 0
        while True:
            match = _TOKEN.match(self._text, at)
            if match is None:
                start = at + len(self._text[at:]) - len(self._text[at:].lstrip())
                what = "a quote is not closed" if self._text[start] in "\"'" else "not understood"
                raise FilterError(what, text=self._text, at=start)
            kind = match.lastgroup or "end"
            text, start = match.group(kind), match.start(kind)
            if kind == "quoted":
                text = re.sub(r"\\(.)", r"\1", text[1:-1], flags=re.DOTALL)
            elif kind == "word" and text.lower() in _WORDS:
                kind, text = "keyword", text.lower()
            tokens.append(_Token(kind, text, start))
            if kind == "end":
                return tokens
            at = match.end()
