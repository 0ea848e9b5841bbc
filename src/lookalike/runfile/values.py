"""The kinds of values in a run file, and what all of its sections have in common."""

from collections.abc import Mapping
from typing import Annotated, Any, TypeAlias

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    model_validator,
)

from lookalike.core.filters import parse
from lookalike.core.suggestions import did_you_mean
from lookalike.errors import FilterError

__all__ = [
    "Count",
    "Filter",
    "Section",
    "Size",
    "Text",
    "Texts",
    "all_as_none",
    "among",
    "as_list",
    "check_one_line",
]


def as_list(value: object) -> object:
    """Return a single value as a list of one."""
    return [value] if isinstance(value, str | int | float) else value


def _check_filter(text: str) -> str:
    try:
        if text.strip():
            parse(text)
    except FilterError as error:
        raise ValueError(error.reason) from error
    return text


def among(*names: str) -> AfterValidator:
    """Return a validator that accepts only these names."""

    def check(value: str) -> str:
        if value not in names:
            hint = did_you_mean(value, names)
            raise ValueError(f"must be one of {', '.join(names)}, not {value!r}{hint}")
        return value

    return AfterValidator(check)


def all_as_none(value: object) -> object:
    """Return ``None`` for ``all``, which means no limit."""
    return None if value == "all" else value


def _check_no_nul(text: str) -> str:
    """Refuse what no operating system accepts in a path or name."""
    if "\0" in text:
        raise ValueError("must not hold a NUL character")
    return text


def check_one_line(text: str) -> str:
    """Refuse text with line breaks or control characters."""
    if not text.isprintable():
        raise ValueError("must be one line of text")
    return text


Text: TypeAlias = Annotated[str, StringConstraints(min_length=1), AfterValidator(_check_no_nul)]
Filter: TypeAlias = Annotated[str, AfterValidator(_check_filter)]
Texts: TypeAlias = Annotated[tuple[Text, ...], BeforeValidator(as_list)]
Count: TypeAlias = Annotated[int, Field(ge=1)]
Size: TypeAlias = Annotated[float, Field(gt=0)]


class Section(BaseModel):
    """A group of keys. A key without a value counts as not given."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, coerce_numbers_to_str=True, allow_inf_nan=False
    )

    @model_validator(mode="before")
    @classmethod
    def _without_nothing(cls, given: Any) -> Any:  # noqa: ANN401 - whatever stands there
        if not isinstance(given, Mapping):
            return given
        return {
            key: value
            for key, value in given.items()
            if value is not None or key not in cls.model_fields
        }
