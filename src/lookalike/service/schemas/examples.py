"""Examples in the OpenAPI document."""

from pydantic import ConfigDict

from lookalike.core.records import Json

__all__ = ["example"]


def example(**members: Json) -> ConfigDict:
    """A model's configuration with an example of it."""
    return ConfigDict(json_schema_extra={"examples": [members]})
