"""A table of a card: its keys, checked one by one."""

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

from lookalike.core.suggestions import did_you_mean
from lookalike.encoders.cards.records import Triple
from lookalike.errors import ModelCardError

__all__ = ["SHA256", "CardTable"]

SHA256 = "[0-9a-f]{64}"

_Choice = TypeVar("_Choice", bound=str)


class CardTable:
    """One table of a card, whose keys are the fields of ``record`` but ``path``, and ``more``.

    Every method raises ``ModelCardError`` naming the card and the key.
    """

    def __init__(
        self,
        values: object,
        path: Path,
        prefix: str,
        record: type[Any],
        more: Iterable[str] = (),
    ) -> None:
        self._path = path
        self._prefix = prefix
        if not isinstance(values, dict):
            raise ModelCardError(f"{path}: {prefix.removesuffix('.')} must be a table")
        self._values: dict[str, object] = values
        known = {field.name for field in fields(record)} - {"path"} | set(more)
        for key in values:
            if key not in known:
                raise self.error(key, f"is not a key of a card{did_you_mean(key, known)}")

    def __contains__(self, key: str) -> bool:
        return key in self._values

    def table(self, key: str, record: type[Any], more: Iterable[str] = ()) -> "CardTable":
        return CardTable(self._get(key), self._path, f"{self._prefix}{key}.", record, more)

    def free(self, key: str) -> dict[str, object]:
        """Return a table whose keys are names that the user has chosen."""
        value = self._get(key)
        if not isinstance(value, dict):
            raise self.error(key, "must be a table")
        return value

    def text(self, key: str, default: str | None = None, *, pattern: str | None = None) -> str:
        value = self._get(key, default)
        if not (isinstance(value, str) and (value.strip() or value == default)):
            raise self.error(key, f"must be text, not {value!r}")
        if pattern is not None and not re.fullmatch(pattern, value):
            raise self.error(key, f"must match {pattern}, which {value!r} does not")
        return value

    def texts(self, key: str) -> tuple[str, ...]:
        value = self._get(key)
        if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
            raise self.error(key, f"must be a list of texts, not {value!r}")
        return tuple(value)

    def digests(self, key: str) -> tuple[tuple[str, str], ...]:
        value = self._get(key)
        if not isinstance(value, dict):
            raise self.error(key, 'must be a table: "FILE" = "SHA-256"')
        for file, digest in value.items():
            if not (isinstance(digest, str) and re.fullmatch(SHA256, digest)):
                what = f"of {file!r} must match {SHA256}, which {digest!r} does not"
                raise self.error(key, what)
        return tuple(sorted(value.items()))

    def choice(
        self,
        key: str,
        choices: tuple[_Choice, ...],
        default: str | None = None,
        older: Mapping[str, str] | None = None,
    ) -> _Choice:
        """Return one of ``choices``; ``older`` maps what some were called before."""
        value = self._get(key, default)
        if older is not None and isinstance(value, str):
            value = older.get(value, value)
        for choice in choices:
            if value == choice:
                return choice
        raise self.error(key, f"must be one of {', '.join(map(repr, choices))}, not {value!r}")

    def count(self, key: str, limit: int, default: int | None = None) -> int:
        return self.whole(key, 1, limit, default)

    def whole(self, key: str, least: int, limit: int, default: int | None = None) -> int:
        value = self._get(key, default)
        if type(value) is not int or not least <= value <= limit:
            raise self.error(key, f"must be a whole number from {least} to {limit}, not {value!r}")
        return value

    def number(self, key: str, default: float) -> float:
        (number,) = self._numbers(key, [self._get(key, default)], "a number")
        return number

    def positive(self, key: str, default: float) -> float:
        number = self.number(key, default)
        if number <= 0:
            raise self.error(key, f"must be above 0, not {number}")
        return number

    def triple(self, key: str, default: list[float] | None = None) -> Triple:
        value = self._get(key, default)
        if not isinstance(value, list) or len(value) != len("rgb"):
            raise self.error(key, f"must be three numbers, one a channel, not {value!r}")
        first, second, third = self._numbers(key, value, "three numbers, one a channel")
        return first, second, third

    def error(self, key: str, what: str) -> ModelCardError:
        return ModelCardError(f"{self._path}: {self._prefix}{key} {what}")

    def _numbers(self, key: str, values: list[Any], wanted: str) -> list[float]:
        for value in values:
            if type(value) not in (int, float) or not math.isfinite(value):
                raise self.error(key, f"must be {wanted}, not {value!r}")
        return [float(value) for value in values]

    def _get(self, key: str, default: object = None) -> object:
        value = self._values.get(key, default)
        if value is None:  # TOML has no null, so this is a key that is not there
            raise self.error(key, "is missing")
        return value
